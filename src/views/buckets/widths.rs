//! The buckets of all widths.
//!
//! As long as packets come for the bucket of each width that the last one went to, they are counted once, for all widths together: what is
//! counted goes to these buckets when one of them is another. Each such *stay* has a number, by which others can tell that buckets are
//! still the same.

use super::Settings;
use super::row::Row;
use super::seen::{Seen, Tally};
use super::series::Series;

/// Which widths a packet was in time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InTime {
    All,
    Some,
    None,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Widths {
    series: Vec<Series>,
    /// Packets of this stay.
    tally: Tally,
    /// Times that lie in the current bucket of every width, half-open.
    span: [i64; 2],
    stay: u64,
    /// No bucket leaves as long as packets before this are waited for.
    due: i64,
}

impl Widths {
    pub(super) fn new(settings: &Settings) -> Widths {
        let from = settings.clip.map(|clip| clip.start.0).filter(|from| *from != i64::MIN);
        let origin = if settings.from_start { from } else { Some(0) };
        let series =
            settings.widths.iter().map(|&width| Series::new(width, settings.gap_limit, origin, from)).collect();
        Widths { series, tally: Tally::default(), span: [0; 2], stay: 0, due: i64::MAX }
    }

    /// The number of this stay, if a packet of this time is of it.
    #[inline]
    pub(super) fn stay(&self, time: i64) -> Option<u64> {
        (self.span[0]..self.span[1]).contains(&time).then_some(self.stay)
    }

    /// Counts a packet of this stay; `is_new` unless one of the same way, destination and port was counted in it.
    #[inline]
    pub(super) fn count(&mut self, seen: &Seen<'_>, is_new: bool) {
        self.tally.add(seen);
        if is_new {
            self.series.iter_mut().for_each(|series| series.meet(seen));
        }
    }

    /// Counts a packet that is not of this stay, and begins another.
    #[cold]
    pub(super) fn turn(&mut self, time: i64, seen: &Seen<'_>) -> InTime {
        self.settle();
        // A packet that is late for a narrow bucket may be in time for a wide one.
        let in_time = self.series.iter_mut().filter_map(|series| series.turn_to(time).then_some(())).count();
        if in_time == self.series.len() {
            self.begin();
            self.count(seen, true);
            return InTime::All;
        }
        let mut tally = Tally::default();
        tally.add(seen);
        let counts = tally.take().unwrap_or_default();
        for series in &mut self.series {
            if series.turn_to(time) {
                series.count(&counts);
                series.meet(seen);
            } else {
                series.late();
            }
        }
        self.begin();
        if in_time > 0 { InTime::Some } else { InTime::None }
    }

    /// Counts a flow of TCP, UDP or others that begins with a packet of this time, which was counted.
    #[inline]
    pub(super) fn begins(&mut self, time: i64, kind: usize) {
        self.series.iter_mut().for_each(|series| series.begins(time, kind));
    }

    /// Whether buckets leave when nothing before `now` is waited for.
    #[inline]
    pub(super) fn is_due(&self, now: i64) -> bool {
        self.due <= now
    }

    /// Hands over the buckets that are over when nothing before `now` is waited for.
    pub(super) fn leave(&mut self, now: i64, rows: &mut Vec<Row>) {
        self.settle();
        self.series.iter_mut().filter(|series| series.due() <= now).for_each(|series| series.leave(now, rows));
        self.begin();
    }

    /// The end of the earliest bucket of a width that has more of them open than may be.
    #[inline]
    pub(super) fn crowded(&self, nth: usize) -> Option<i64> {
        self.series.get(nth).filter(|series| series.is_crowded()).map(Series::first_end)
    }

    /// Hands over the buckets of one width that end at or before `now`, though they may not be over.
    #[cold]
    pub(super) fn relieve(&mut self, nth: usize, now: i64, rows: &mut Vec<Row>) {
        self.settle();
        if let Some(series) = self.series.get_mut(nth) {
            series.leave(now, rows);
        }
        self.begin();
    }

    /// Where the earliest row that is to come begins, if packets to come are of `clock` or later; gaps that may be open at `quiet` aside.
    pub(super) fn settled(&self, clock: i64, quiet: i64) -> i64 {
        self.series.iter().map(|series| series.settled(clock, quiet)).min().unwrap_or(i64::MAX)
    }

    /// Hands over the empty buckets that end at or before `until`; those that are full have left.
    pub(super) fn fill(&mut self, until: i64, rows: &mut Vec<Row>) {
        self.settle();
        self.series.iter_mut().for_each(|series| series.fill(until, rows));
        self.begin();
    }

    /// Hands over all buckets, and empty ones up to `to`.
    pub(super) fn finish(&mut self, to: Option<i64>, rows: &mut Vec<Row>) {
        self.settle();
        self.series.iter_mut().for_each(|series| series.finish(to, rows));
        self.begin();
    }

    /// What was counted in this stay goes to its buckets.
    fn settle(&mut self) {
        if let Some(counts) = self.tally.take() {
            self.series.iter_mut().for_each(|series| series.count(&counts));
        }
    }

    /// Begins a stay, in the buckets that are current.
    fn begin(&mut self) {
        self.stay += 1;
        let both = |[from, to]: [i64; 2], [a, b]: [i64; 2]| [from.max(a), to.min(b)];
        self.span = self.series.iter().map(Series::span).fold([i64::MIN, i64::MAX], both);
        self.due = self.series.iter().map(Series::due).min().unwrap_or(i64::MAX);
    }
}
