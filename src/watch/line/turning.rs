//! Turning back: files that begin before what was read come into their places, and hours are made again.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::Line;
use super::captures::{self, Captures, name};
use super::waiting::{Coming, Waiting};
use crate::error::Result;
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Became, Entry, Fed, Journal, Out, State};

/// Puts files in their places in the sequence; hours from there on are not out any more.
///
/// Tells how many are too late for that, or are gone though hours to come need them.
pub(super) fn turn_back(line: &Line, journal: &Journal, waiting: &Waiting, mut coming: Vec<Coming>) -> Result<u64> {
    let newer: HashMap<PathBuf, Option<Timestamp>> =
        coming.iter().map(|coming| (coming.arrival.path.clone(), coming.first)).collect();
    let has_lost_its_name = |entry: &mut Entry| name(entry).is_some_and(|path| newer.contains_key(path));
    let mut sequence = journal.sequence(&line.sensor)?;
    let is_behind = |fed: &Fed, became: Option<&Became>| {
        let first = newer.get(&fed.path).copied().flatten();
        captures::last(fed, became).zip(first).is_some_and(|(last, first)| first > last)
    };
    let (mut gone, mut replaced): (_, BTreeMap<PathBuf, Vec<Entry>>) = (Vec::new(), BTreeMap::new());
    let mut began = HashMap::new();
    for entry in sequence.extract_if(.., has_lost_its_name) {
        let Entry::File { fed, became, .. } = &entry else { continue };
        if is_behind(fed, became.as_ref()) {
            // Its records stay, and it is gone.
            gone.push(entry);
            continue;
        }
        began.extend(fed.first.map(|first| (fed.path.clone(), first)));
        if fed.first.is_some() && newer.get(&fed.path) == Some(&None) {
            let (path, what) = (fed.path.display(), "has no packets any more: those that it had leave their hours");
            tracing::warn!(%path, sensor = %line.sensor, "{what}");
            line.health.trouble(format!("{path}: {what}"));
        }
        replaced.entry(fed.path.clone()).or_default().push(entry);
    }
    let mut captures = Captures::new(line, journal, &sequence)?;
    gone.iter().for_each(|entry| captures.lose(entry));
    // Hours change from its first packet on, or from that of what it was before. One without packets changes none.
    let changes =
        |coming: &Coming| [coming.first, began.get(&coming.arrival.path).copied()].into_iter().flatten().min();
    coming.sort_by_key(changes);
    let mut late = 0;
    let mut turn = None;
    let mut takes = Vec::with_capacity(coming.len());
    for coming in coming {
        if let (None, Some(first)) = (turn, changes(&coming)) {
            let from = captures.turns_to(line, journal, first)?;
            if captures.can_turn_back(line, journal, from)? {
                turn = Some((first, from));
            } else {
                let Arrival { path, identity, .. } = &coming.arrival;
                let reason =
                    "it begins before hours that are out, and captures of these, or of flows in them, are gone";
                line.health.late_file(&line.sensor);
                line.health.trouble(format!("{}: late: {reason}", path.display()));
                tracing::warn!(path = %path.display(), sensor = %line.sensor, "late: {reason}");
                journal.set_aside(&line.sensor, path, identity, State::Late, reason)?;
                late += 1;
                // Nothing is read in place of what it was.
                let was = replaced.remove(path).unwrap_or_default();
                was.iter().for_each(|entry| captures.lose(entry));
                gone.extend(was);
                continue;
            }
        }
        line.tells_double(journal, &coming.arrival)?;
        takes.push(coming);
    }
    if takes.is_empty() {
        return Ok(late);
    }
    let coming = takes;
    // Without one, no packet has gone or come.
    let (first, from) = turn.unwrap_or((Timestamp::MAX, Timestamp::MAX));
    tracing::info!(sensor = %line.sensor, files = coming.len(), "files begin before what was read: hours are made again");
    let mut outs = Vec::new();
    for product in line.settings.by_hour() {
        let out = journal.out(&line.sensor, &product.name())?;
        let (until, needs) = match out.until <= from {
            true => (out.until, out.needs),
            false => (from, journal.needed(&line.sensor, &product.name(), from)?),
        };
        // Scans are out with their groups.
        if product.name() == "groups" {
            outs.push(("scans".into(), Out { until, needs }));
        }
        outs.push((product.name(), Out { until, needs }));
    }
    let new = coming.into_iter().map(|Coming { arrival: Arrival { path, identity, .. }, first, .. }| Entry::File {
        place: 0,
        fed: Fed { path, identity, first, next: None },
        became: None,
    });
    // The wall clock was wrong.
    let stays = |entry: &Entry| !matches!(entry, Entry::Quiet { until, .. } if *until > first);
    let mut entries: Vec<Entry> = sequence.into_iter().filter(stays).chain(new).collect();
    // Those without packets stay behind what they stood behind.
    let mut before = Timestamp::MIN;
    let mut begins: Vec<Timestamp> = Vec::with_capacity(entries.len());
    for entry in &entries {
        before = match entry {
            Entry::File { fed, .. } => fed.first.unwrap_or(before),
            Entry::Quiet { until, .. } => *until,
        };
        begins.push(before);
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    // Of files that begin at once, as the engine takes them.
    order.sort_by_key(|&at| (begins[at], name(&entries[at])));
    let ends = order.last().and_then(|&at| Some((begins[at], name(&entries[at])?.clone())));
    let mut next = Some(waiting.next(&ends.unwrap_or((Timestamp::MIN, PathBuf::new()))));
    for &at in order.iter().rev() {
        if let Entry::File { fed, .. } = &mut entries[at] {
            fed.next = next;
            next = fed.first.or(next);
        }
    }
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let entries: Vec<Entry> = order.into_iter().filter_map(|at| entries[at].take()).collect();
    // Others that are gone are missed by the next run, where it needs them.
    for fed in gone.into_iter().filter_map(file).filter(|fed| waiting.passed_over.contains(&fed.path)) {
        late += u64::from(line.loses(journal, &fed.identity, &fed.path)?);
    }
    let replaced = replaced.into_values().flatten();
    let replaced: Vec<Identity> = replaced.filter_map(file).map(|fed| fed.identity).collect();
    journal.turn_back(&line.sensor, &entries, &replaced, &outs)?;
    Ok(late)
}

fn file(entry: Entry) -> Option<Fed> {
    match entry {
        Entry::File { fed, .. } => Some(fed),
        Entry::Quiet { .. } => None,
    }
}

/// Whether a file that begins at a time has come too late as things stand, and would not if captures were there again that nobody was to remove.
pub(super) fn lacks(line: &Line, journal: &Journal, first: Timestamp) -> Result<bool> {
    let sequence = journal.sequence(&line.sensor)?;
    let mut captures = Captures::new(line, journal, &sequence)?;
    let from = captures.turns_to(line, journal, first)?;
    captures.lacks(line, journal, &sequence, from)
}
