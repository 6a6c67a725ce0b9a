//! Turning back: files that begin before what was read come into their places, and hours are made again.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Line;
use super::aside::tomorrow;
use super::waiting::Coming;
use crate::error::Result;
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Entry, Fed, Journal, Out, State};
use crate::watch::spans::hour;

/// Puts files in their places in the sequence; hours from there on are not out any more.
///
/// Tells how many are too late for that, or are gone though hours to come need them.
pub(super) fn turn_back(line: &Line, journal: &Journal, mut coming: Vec<Coming>) -> Result<u64> {
    let newer: HashMap<PathBuf, Option<Timestamp>> =
        coming.iter().map(|coming| (coming.arrival.path.clone(), coming.first)).collect();
    let has_lost_its_name = |entry: &mut Entry| name(entry).is_some_and(|path| newer.contains_key(path));
    let mut sequence = journal.sequence(&line.sensor)?;
    let mut replaced: Vec<Entry> = sequence.extract_if(.., has_lost_its_name).collect();
    // What begins behind a file has its name, as in a ring of files, and does not stand in its place: its records stay, and it is gone.
    let is_behind = |entry: &mut Entry| match entry {
        Entry::File { fed, became, .. } => {
            let last = became.as_ref().and_then(|became| became.last);
            last.zip(newer.get(&fed.path).copied().flatten()).is_some_and(|(last, first)| last < first)
        }
        Entry::Quiet { .. } => false,
    };
    let mut gone: Vec<Entry> = replaced.extract_if(.., is_behind).collect();
    let began: HashMap<PathBuf, Timestamp> = replaced
        .iter()
        .filter_map(|entry| match entry {
            Entry::File { fed, .. } => Some((fed.path.clone(), fed.first?)),
            Entry::Quiet { .. } => None,
        })
        .collect();
    // Hours change from its first packet on, or from that of what it was before. One without packets changes none.
    let changes =
        |coming: &Coming| [coming.first, began.get(&coming.arrival.path).copied()].into_iter().flatten().min();
    coming.sort_by_key(changes);
    let mut late = 0;
    let mut turn = None;
    let mut takes = Vec::with_capacity(coming.len());
    for coming in coming {
        if let (None, Some(first)) = (turn, changes(&coming)) {
            let from = turns_to(line, &sequence, first);
            if can_turn_back(line, journal, (&sequence, &gone), from)? {
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
                gone.extend(replaced.extract_if(.., |entry| name(entry) == Some(path)));
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
    let mut next = Some(tomorrow());
    for &at in order.iter().rev() {
        if let Entry::File { fed, .. } = &mut entries[at] {
            fed.next = next;
            next = fed.first.or(next);
        }
    }
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let entries: Vec<Entry> = order.into_iter().filter_map(|at| entries[at].take()).collect();
    let until = outs.iter().map(|(_, out)| out.until).min().unwrap_or(Timestamp::MIN);
    for entry in &gone {
        if let Entry::File { fed, became, .. } = entry
            && became.as_ref().and_then(|became| became.last).is_none_or(|last| last >= until)
        {
            let (path, why) = (fed.path.display(), "another has its name, and hours that are not out need it");
            tracing::warn!(%path, sensor = %line.sensor, "{why}");
            line.health.lost(&line.sensor, &fed.path, why);
            line.health.trouble(format!("{path}: {why}; what they have of it is lost"));
            late += 1;
        }
    }
    // What no hour has of them is to be read if they are there again.
    let is_in_none =
        |entry: &mut Entry| matches!(entry, Entry::File { fed, .. } if fed.first.is_none_or(|first| first >= until));
    replaced.extend(gone.extract_if(.., is_in_none));
    let replaced: Vec<Identity> = replaced.into_iter().filter_map(file).map(|fed| fed.identity).collect();
    journal.turn_back(&line.sensor, &entries, &replaced, &outs)?;
    Ok(late)
}

/// The name of a file of the sequence.
fn name(entry: &Entry) -> Option<&PathBuf> {
    match entry {
        Entry::File { fed, .. } => Some(&fed.path),
        Entry::Quiet { .. } => None,
    }
}

fn file(entry: Entry) -> Option<Fed> {
    match entry {
        Entry::File { fed, .. } => Some(fed),
        Entry::Quiet { .. } => None,
    }
}

/// The hour from which hours have to be made again for a packet at a time: flows that had ended may go on with it, and its bucket may be of an hour before.
fn turns_to(line: &Line, sequence: &[Entry], first: Timestamp) -> Timestamp {
    let gap = gap(sequence, first);
    let changes = line.settings.by_hour().map(|product| product.changes(first.0, gap)).min();
    Timestamp(hour(changes.unwrap_or(first.0)))
}

/// The time without packets that a time lies in, as far as files tell: none is known inside one.
fn gap(sequence: &[Entry], at: Timestamp) -> [i64; 2] {
    let mut gap = [None, None];
    for entry in sequence {
        let Entry::File { fed: Fed { first: Some(first), .. }, became: Some(became), .. } = entry else { continue };
        let Some(last) = became.last else { continue };
        if (*first..=last).contains(&at) {
            return [at.0; 2];
        }
        match *first > at {
            true => gap[1] = gap[1].into_iter().chain([first.0]).min(),
            false => gap[0] = gap[0].max(Some(last.0)),
        }
    }
    gap.map(|end| end.unwrap_or(at.0))
}

/// From where captures are needed to make hours from a time on again, where any of these is out.
fn needed(line: &Line, journal: &Journal, from: Timestamp) -> Result<Option<Timestamp>> {
    let mut needs = None;
    for product in line.settings.by_hour() {
        if journal.out(&line.sensor, &product.name())?.until > from {
            let of_product = journal.needed(&line.sensor, &product.name(), from)?;
            needs = Some(needs.map_or(of_product, |needs: Timestamp| needs.min(of_product)));
        }
    }
    Ok(needs)
}

/// Whether no hour from a time on is out, or all captures are held that they are made of: those of the sequence, and not those that are gone.
/// Without one, flows in them that are whole would be cut.
fn can_turn_back(line: &Line, journal: &Journal, entries: (&[Entry], &[Entry]), from: Timestamp) -> Result<bool> {
    let Some(needs) = needed(line, journal, from)? else { return Ok(true) };
    let (sequence, gone) = entries;
    if journal.forgotten(&line.sensor)?.is_some_and(|last| last >= needs)
        || gone.iter().any(|entry| reaches(entry, needs))
    {
        return Ok(false);
    }
    // One that has become another is told anew, and read anew.
    let mut held = sequence.iter().filter(|entry| reaches(entry, needs)).filter_map(name);
    Ok(held.all(|path| path.exists()))
}

/// Whether a file has packets from a time on, as far as is known.
fn reaches(entry: &Entry, from: Timestamp) -> bool {
    match entry {
        Entry::File { became, .. } => became.as_ref().is_none_or(|became| became.last.is_some_and(|last| last >= from)),
        Entry::Quiet { .. } => false,
    }
}

/// Whether a file that begins at a time has come too late as things stand, and would not if captures were there again that nobody was to remove.
pub(super) fn lacks(line: &Line, journal: &Journal, first: Timestamp) -> Result<bool> {
    let from = turns_to(line, &journal.sequence(&line.sensor)?, first);
    let Some(needs) = needed(line, journal, from)? else { return Ok(false) };
    if journal.forgotten(&line.sensor)?.is_some_and(|last| last >= needs) {
        return Ok(false);
    }
    let mut is_away = false;
    for entry in journal.sequence(&line.sensor)?.iter().filter(|entry| reaches(entry, needs)) {
        if let Entry::File { fed, .. } = entry
            && !fed.path.exists()
        {
            if journal.was_removed(&fed.identity)? {
                return Ok(false);
            }
            is_away = true;
        }
    }
    Ok(is_away)
}

/// Whether a file that was too late is so no more: captures that were away are there again.
pub(super) fn is_in_time(line: &Line, journal: &Journal, first: Timestamp) -> Result<bool> {
    let sequence = journal.sequence(&line.sensor)?;
    can_turn_back(line, journal, (&sequence, &[]), turns_to(line, &sequence, first))
}
