//! What a turn back goes by: the captures of a sensor as they stand, put in order once for however many files are late.

use std::path::{Path, PathBuf};

use super::Line;
use super::aside::begins;
use crate::error::Result;
use crate::time::Timestamp;
use crate::watch::Identity;
#[cfg(doc)]
use crate::watch::Product;
use crate::watch::journal::{Became, Entry, Fed, Journal};
use crate::watch::spans::hour;

/// See the module.
pub(super) struct Captures {
    /// Where packets are known to be that views had, sorted.
    times: Vec<Timestamp>,
    /// How far files reach that are in hours and that nobody has any more.
    lost: Option<Timestamp>,
    /// Files of the sequence by how far they reach, the furthest last, of which it was not looked whether they are there.
    unseen: Vec<(Timestamp, PathBuf, Identity)>,
    /// How far the furthest reaches that is not there, as far as was looked.
    away: Option<Timestamp>,
}

impl Captures {
    /// Of a sequence of a line's sensor.
    pub(super) fn new(line: &Line, journal: &Journal, sequence: &[Entry]) -> Result<Captures> {
        Ok(Captures::of(sequence, journal.forgotten(&line.sensor)?))
    }

    fn of(sequence: &[Entry], forgotten: Option<Timestamp>) -> Captures {
        let mut times: Vec<_> = sequence.iter().filter_map(seen).flatten().collect();
        times.sort_unstable();
        let file = |entry: &Entry| match entry {
            Entry::File { fed, .. } => Some((reach(entry)?, fed.path.clone(), fed.identity.clone())),
            Entry::Quiet { .. } => None,
        };
        let mut unseen: Vec<_> = sequence.iter().filter_map(file).collect();
        unseen.sort_unstable_by(|(a, a_path, _), (b, b_path, _)| (a, a_path).cmp(&(b, b_path)));
        Captures { times, lost: forgotten, unseen, away: None }
    }

    /// A file is not to be had any more.
    pub(super) fn lose(&mut self, entry: &Entry) {
        self.lost = self.lost.max(reach(entry));
    }

    /// The hour from which hours have to be made again for a file that begins at a time, by what each product [may change](Product::changes). Where
    /// nothing was needed of what it [remembers](Product::remembers), for a silence was behind that, it is the hour of that, which needs it.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) fn turns_to(&self, line: &Line, journal: &Journal, first: Timestamp) -> Result<Timestamp> {
        let (gap, config) = (|at| self.gap(Timestamp(at)), &line.settings.config);
        let changes = line.settings.by_hour().map(|product| product.changes(first.0, gap, config)).min();
        let from = hour(changes.unwrap_or(first.0));
        let mut turns = from;
        for product in line.settings.by_hour() {
            let Some(remembers) = product.remembers(first.0, config) else { continue };
            if journal.needed(&line.sensor, &product.name(), Timestamp(from))?.0 > remembers {
                turns = turns.min(hour(remembers));
            }
        }
        Ok(Timestamp(turns))
    }

    /// From the last packet before a time to the first behind it, as far as files tell: between these two lies the one that has neither.
    fn gap(&self, at: Timestamp) -> [i64; 2] {
        let behind = self.times.partition_point(|time| *time <= at);
        let before = self.times[..behind].last().copied();
        [before, self.times.get(behind).copied()].map(|end| end.unwrap_or(at).0)
    }

    /// Whether no hour from a time on is out, or all captures are held that they are made of. Without one, flows in them that are whole would be cut.
    pub(super) fn can_turn_back(&mut self, line: &Line, journal: &Journal, from: Timestamp) -> Result<bool> {
        let Some(needs) = needed(line, journal, from)? else { return Ok(true) };
        Ok(self.lost.is_none_or(|reach| reach < needs) && self.are_there(needs))
    }

    /// Whether all files are there that have packets from a time on. One that has become another is told anew, and read anew, if that is not behind it.
    fn are_there(&mut self, needs: Timestamp) -> bool {
        while self.away.is_none()
            && let Some((reach, path, identity)) = self.unseen.pop_if(|(reach, ..)| *reach >= needs)
        {
            let is_other = || Identity::of(&path).is_ok_and(|now| now != identity);
            self.away = Some(reach).filter(|_| !path.exists() || is_other() && is_taken(&path, reach));
        }
        self.away.is_none_or(|reach| reach < needs)
    }

    /// Whether hours from a time on cannot be made again as things stand, and could if captures were there that nobody was to remove.
    pub(super) fn lacks(
        &mut self,
        line: &Line,
        journal: &Journal,
        sequence: &[Entry],
        from: Timestamp,
    ) -> Result<bool> {
        let Some(needs) = needed(line, journal, from)? else { return Ok(false) };
        if self.lost.is_some_and(|reach| reach >= needs) || self.are_there(needs) {
            return Ok(false);
        }
        for entry in sequence.iter().filter(|entry| reach(entry).is_some_and(|reach| reach >= needs)) {
            if let Entry::File { fed, .. } = entry
                && !fed.path.exists()
                && journal.was_removed(&fed.identity)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
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

/// The latest packet of a file of the sequence, if it has any; of one that was never read, only where it begins is known.
pub(super) fn last(fed: &Fed, became: Option<&Became>) -> Option<Timestamp> {
    became.filter(|became| !became.is_unread()).map_or(fed.first, |became| became.last)
}

/// Whether what has a name now begins behind the end of what had it: as in a ring of files, it does not stand in the place of that.
pub(super) fn is_taken(path: &Path, last: Timestamp) -> bool {
    begins(path).ok().flatten().is_some_and(|first| first > last)
}

/// The name of a file of the sequence.
pub(super) fn name(entry: &Entry) -> Option<&PathBuf> {
    match entry {
        Entry::File { fed, .. } => Some(&fed.path),
        Entry::Quiet { .. } => None,
    }
}

/// The first packet and the latest that views had of a file.
fn seen(entry: &Entry) -> Option<[Timestamp; 2]> {
    match entry {
        Entry::File { became: Some(became), .. } => became.seen,
        _ => None,
    }
}

/// Up to where a file has packets, as far as is known; nothing if it has none.
fn reach(entry: &Entry) -> Option<Timestamp> {
    match entry {
        Entry::File { became: Some(became), .. } => became.last,
        Entry::File { became: None, .. } => Some(Timestamp::MAX),
        Entry::Quiet { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;

    /// A file up to a time, with these packets of views; not read without the first.
    fn file(path: PathBuf, last: Option<Option<i64>>, seen: Option<[i64; 2]>) -> Entry {
        let identity = Identity { device: 0, inode: 0, size: 0, digest: String::new() };
        let last = last.map(|last| last.map(Timestamp));
        let seen = seen.map(|seen| seen.map(Timestamp));
        let became = last.map(|last| Became { packets: 1, last, seen, ..Became::default() });
        Entry::File { place: 0, fed: Fed { path, identity, first: None, next: None }, became }
    }

    #[test]
    fn a_gap_is_between_packets_that_are_known() {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(3);
        let mut below = |n: u64| (dice.next_u64() % n) as i64;
        let (mut between, mut within) = (0, 0);
        for _ in 0..2000 {
            let (mut sequence, mut packets, mut spans) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..below(6) {
                let of_file: Vec<i64> = (0..below(4)).map(|_| below(40)).collect();
                let seen = of_file.iter().min().zip(of_file.iter().max()).map(|(first, last)| [*first, *last]);
                // What is no packet of views says nothing.
                sequence.push(file("x".into(), Some(Some(below(40))), seen));
                spans.extend(seen);
                packets.extend(of_file);
            }
            sequence.push(file("y".into(), None, None));
            sequence.push(Entry::Quiet { place: 0, until: Timestamp(20), follows: false });
            let captures = Captures::of(&sequence, None);
            for at in 0..40 {
                // As it reads: all packets are asked.
                let before = packets.iter().filter(|time| **time <= at).max();
                let behind = packets.iter().filter(|time| **time > at).min();
                let (known, plain) = (captures.gap(Timestamp(at)), [before, behind].map(|time| *time.unwrap_or(&at)));
                if spans.iter().any(|[first, last]| (*first..=*last).contains(&at)) {
                    assert!(known[0] <= plain[0] && known[1] >= plain[1], "{at} {known:?} {plain:?} {sequence:?}");
                    within += 1;
                } else {
                    assert_eq!(known, plain, "{at} {sequence:?}");
                    between += 1;
                }
            }
        }
        assert!(between > 10_000 && within > 10_000, "{between} {within}");
    }

    #[test]
    fn what_is_there_is_known_for_any_time_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        ["a", "c", "e"].into_iter().for_each(|name| fs::write(path(name), "").unwrap());
        let sequence = [("a", Some(10)), ("b", Some(20)), ("c", Some(30)), ("d", None), ("e", Some(40))]
            .map(|(name, last)| file(path(name), Some(last), None));
        for times in [[15, 20, 21, 40, 41, 5], [41, 40, 21, 20, 15, 5]] {
            let mut captures = Captures::of(&sequence, None);
            let there = times.map(|time| captures.are_there(Timestamp(time)));
            assert_eq!(there, times.map(|time| time > 20), "{times:?}");
        }
        let unread = [file(path("f"), None, None)];
        assert!(!Captures::of(&unread, None).are_there(Timestamp::MAX), "nobody knows how far it reaches");
    }
}
