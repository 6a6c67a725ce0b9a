//! Turning back: files that begin before what was read come into their places, and hours are made again.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Line;
use super::aside::tomorrow;
use super::waiting::Coming;
use crate::error::Result;
use crate::time::Timestamp;
use crate::watch::Product;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Entry, Fed, Journal, Out, State};
use crate::watch::spans::hour;

/// Puts files, the earliest first, in their places in the sequence; hours from there on are not out any more.
///
/// Tells how many are too late for that.
pub(super) fn turn_back(line: &Line, journal: &Journal, mut coming: Vec<Coming>) -> Result<u64> {
    let mut late = 0;
    let sequence = journal.sequence(&line.sensor)?;
    // What was read of a file that is another now is not there any more.
    let replaced: HashMap<PathBuf, Option<Timestamp>> =
        coming.iter().map(|coming| (coming.arrival.path.clone(), coming.first)).collect();
    let is_other = |entry: &Entry| matches!(entry, Entry::File { fed, .. } if replaced.contains_key(&fed.path));
    let earliest = |entry: &Entry| match entry {
        Entry::File { fed, became, .. } => {
            let first = *replaced.get(&fed.path)?;
            // What begins behind it has its name, as in a ring of files, and does not stand in its place: its records stay.
            let last = became.as_ref().and_then(|became| became.last);
            fed.first.filter(|_| last.zip(first).is_none_or(|(last, first)| last >= first))
        }
        Entry::Quiet { .. } => None,
    };
    let before = sequence.iter().filter_map(earliest).min();
    let sequence: Vec<Entry> = sequence.into_iter().filter(|entry| !is_other(entry)).collect();
    let mut from = None;
    while let Some(Coming { arrival: Arrival { path, identity, .. }, first, .. }) = coming.first() {
        from = turns_to(line, journal, &sequence, first.unwrap_or(Timestamp::MIN))?;
        if from.is_some() {
            break;
        }
        let reason = "it begins before hours that are out, and captures of these are gone";
        line.health.late_file(&line.sensor);
        line.health.trouble(format!("{}: late: {reason}", path.display()));
        tracing::warn!(path = %path.display(), sensor = %line.sensor, "late: {reason}");
        journal.set_aside(&line.sensor, path, identity, State::Late, reason)?;
        coming.remove(0);
        late += 1;
    }
    let Some((first, from)) = coming.first().map(|coming| coming.first.unwrap_or(Timestamp::MIN)).zip(from) else {
        return Ok(late);
    };
    let first = before.map_or(first, |before| before.min(first));
    let from = Timestamp(hour(first.0)).min(from);
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
    order.sort_by_key(|&at| begins[at]);
    let mut next = Some(tomorrow());
    for &at in order.iter().rev() {
        if let Entry::File { fed, .. } = &mut entries[at] {
            fed.next = next;
            next = fed.first.or(next);
        }
    }
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let entries: Vec<Entry> = order.into_iter().filter_map(|at| entries[at].take()).collect();
    journal.turn_back(&line.sensor, &entries, &outs)?;
    Ok(late)
}

/// The hour from which hours have to be made again for a packet at a time, if the captures of all of them are held: flows that had ended may
/// go on with it. Where only those of its own hour on are held, that one; a flow that goes on is then cut at its begin.
fn turns_to(line: &Line, journal: &Journal, sequence: &[Entry], first: Timestamp) -> Result<Option<Timestamp>> {
    let reach = line.settings.by_hour().map(Product::reach).max().unwrap_or(0);
    for from in [first.0.saturating_sub(reach), first.0].map(|time| Timestamp(hour(time))) {
        if can_turn_back(line, journal, sequence, from)? {
            return Ok(Some(from));
        }
    }
    Ok(None)
}

/// Whether no hour from a time on is out, or the captures of all of them are held.
fn can_turn_back(line: &Line, journal: &Journal, sequence: &[Entry], from: Timestamp) -> Result<bool> {
    let mut is_out = false;
    for product in line.settings.by_hour() {
        is_out |= journal.out(&line.sensor, &product.name())?.until > from;
    }
    if !is_out {
        return Ok(true);
    }
    let forgotten = journal.forgotten(&line.sensor)?.is_some_and(|last| last >= from);
    let gone = sequence.iter().any(|entry| match entry {
        Entry::File { fed, became, .. } => {
            let reaches = became.as_ref().is_none_or(|became| became.last.is_some_and(|last| last >= from));
            // One that has become another is told anew, and read anew.
            reaches && !fed.path.exists()
        }
        Entry::Quiet { .. } => false,
    });
    Ok(!gone && !forgotten)
}
