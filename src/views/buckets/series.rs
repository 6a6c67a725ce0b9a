//! The buckets of one width: those that are open, and what has left.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use super::row::{Counts, Row};
use super::seen::Seen;
use crate::time::Timestamp;

/// Buckets that are open at most, beside the current one: where times are wild without end, the earliest leaves.
const MOST: usize = 65_536;

/// A bucket while it is open.
#[derive(Debug, Default)]
struct Bucket {
    counts: Counts,
    /// Destinations by way.
    ips: [HashSet<u128>; 4],
    /// Destination ports by way, with their protocol above.
    ports: [HashSet<u32>; 4],
}

impl Bucket {
    #[inline]
    fn meet(&mut self, seen: &Seen<'_>) {
        let way = seen.way as usize;
        self.ips[way].insert(seen.dst());
        if let Some(port) = seen.dst_port() {
            self.ports[way].insert(port);
        }
    }

    /// What it has counted; it is as new then.
    fn take(&mut self) -> Counts {
        let counts = Counts {
            dst_ips: std::array::from_fn(|way| self.ips[way].len() as u64),
            dst_ports: std::array::from_fn(|way| self.ports[way].len() as u64),
            ..self.counts
        };
        self.counts = Counts::default();
        self.ips.iter_mut().for_each(HashSet::clear);
        self.ports.iter_mut().for_each(HashSet::clear);
        counts
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Series {
    width: i64,
    /// So many empty buckets in a row are a row each.
    gap_limit: u64,
    /// Where a bucket begins; that of the first packet, if nothing else was said.
    origin: Option<i64>,
    /// The bucket that the last packet went to: its number and its half-open span, empty if there is none.
    current: i64,
    span: [i64; 2],
    bucket: Box<Bucket>,
    /// Others that are open, by number.
    open: BTreeMap<i64, Box<Bucket>>,
    /// The number of the bucket that leaves next; none before the first.
    next: Option<i64>,
    /// Buckets to use again.
    #[expect(clippy::vec_box, reason = "they come from a map whose nodes should be small, and go back there")]
    free: Vec<Box<Bucket>>,
}

impl Series {
    /// Buckets of `width` nanoseconds, one of which begins at `origin`. Those from `from` on are written even if they are empty.
    pub(super) fn new(width: i64, gap_limit: u64, origin: Option<i64>, from: Option<i64>) -> Series {
        let mut series = Series {
            width,
            gap_limit,
            origin,
            current: 0,
            span: [0; 2],
            bucket: Box::default(),
            open: BTreeMap::new(),
            next: None,
            free: Vec::new(),
        };
        series.next = from.map(|from| series.number(from));
        series
    }

    /// The number of the bucket that a time lies in.
    fn number(&mut self, time: i64) -> i64 {
        self.origin.get_or_insert(time);
        self.number_of(time)
    }

    fn number_of(&self, time: i64) -> i64 {
        let origin = self.origin.unwrap_or(0);
        let number = (i128::from(time) - i128::from(origin)).div_euclid(i128::from(self.width));
        // A difference of two times of 64 bits may have 65, but no width is 1 ns.
        number.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Where a bucket begins.
    fn start(&self, number: i64) -> i64 {
        let start = i128::from(self.origin.unwrap_or(0)) + i128::from(number) * i128::from(self.width);
        start.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The times of the current bucket, half-open; an empty span if there is none.
    #[inline]
    pub(super) fn span(&self) -> [i64; 2] {
        self.span
    }

    /// Adds what was counted of packets of the current bucket.
    pub(super) fn count(&mut self, counts: &Counts) {
        self.bucket.counts += *counts;
    }

    /// Notes where a packet of the current bucket goes.
    #[inline]
    pub(super) fn meet(&mut self, seen: &Seen<'_>) {
        self.bucket.meet(seen);
    }

    /// Counts a packet whose bucket has left.
    #[cold]
    pub(super) fn late(&mut self) {
        self.newest().counts.late += 1;
    }

    /// Counts a flow of TCP, UDP or others that begins with a packet of this time, which was counted.
    #[inline]
    pub(super) fn begins(&mut self, time: i64, kind: usize) {
        let bucket = match (self.span[0]..self.span[1]).contains(&time) {
            true => Some(&mut self.bucket),
            false => self.open.get_mut(&self.number_of(time)),
        };
        if let Some(flows) = bucket.and_then(|bucket| bucket.counts.new_flows.get_mut(kind)) {
            *flows += 1;
        }
    }

    /// Makes the bucket of a time the current one; false if it has left, and what comes for it is late.
    pub(super) fn turn_to(&mut self, time: i64) -> bool {
        if (self.span[0]..self.span[1]).contains(&time) {
            return true;
        }
        let number = self.number(time);
        if self.next.is_some_and(|next| number < next) {
            return false;
        }
        self.turn_away();
        self.bucket = self.open.remove(&number).or_else(|| self.free.pop()).unwrap_or_default();
        self.current = number;
        self.span = [self.start(number), self.start(number.saturating_add(1))];
        true
    }

    /// Puts the current bucket among the others.
    fn turn_away(&mut self) {
        if self.span[0] < self.span[1] {
            self.open.insert(self.current, std::mem::take(&mut self.bucket));
            self.span = [0; 2];
        }
    }

    /// The newest bucket that is open. There is one: that which the clock stands in is.
    #[cold]
    fn newest(&mut self) -> &mut Bucket {
        self.turn_away();
        match self.open.last_entry() {
            Some(newest) => newest.into_mut(),
            None => &mut self.bucket,
        }
    }

    /// The number of the earliest bucket that is open.
    #[inline]
    fn first_open(&self) -> Option<i64> {
        let current = (self.span[0] < self.span[1]).then_some(self.current);
        current.into_iter().chain(self.open.keys().next().copied()).min()
    }

    /// The earliest time that, once nothing before it is waited for, lets buckets leave; the latest time if there is none.
    pub(super) fn due(&self) -> i64 {
        let Some(first) = self.first_open() else { return i64::MAX };
        let full = self.start(first.saturating_add(1));
        match self.next.filter(|next| *next < first) {
            None => full,
            Some(next) if first.abs_diff(next) <= self.gap_limit => self.start(next.saturating_add(1)),
            Some(_) => self.start(first),
        }
    }

    #[inline]
    fn is_full_due(&self, now: i64) -> bool {
        let over = |&number: &i64| self.start(number.saturating_add(1)) <= now;
        (self.span[0] < self.span[1] && self.span[1] <= now) || self.open.keys().next().is_some_and(over)
    }

    /// Up to which bucket those that leave next are empty for good; nothing if none is. Whether they are a row each depends on how many
    /// they will be, so they leave before that is known only where they are few in any case.
    #[inline]
    fn empty_until(&self, now: i64) -> Option<i64> {
        let first = self.first_open()?;
        let next = self.next.filter(|next| *next < first)?;
        let until = self.number_of(now).min(first);
        (next < until && (until == first || first.abs_diff(next) <= self.gap_limit)).then_some(until)
    }

    /// Hands over the buckets that end at or before `now`, in order. Those without packets between them come as one row.
    pub(super) fn leave(&mut self, now: i64, rows: &mut Vec<Row>) {
        if self.span[1] <= now {
            self.turn_away();
        }
        while self.is_full_due(now)
            && let Some((number, mut bucket)) = self.open.pop_first()
        {
            self.hole(number, rows);
            rows.push(self.row(number, 1, bucket.take()));
            self.next = Some(number.saturating_add(1));
            self.free.push(bucket);
        }
        if let Some(until) = self.empty_until(now) {
            self.hole(until, rows);
        }
    }

    /// Whether more buckets are open than may be.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.open.len() > MOST
    }

    /// The end of the earliest bucket that is open beside the current one.
    #[cold]
    pub(super) fn first_end(&self) -> i64 {
        self.open.keys().next().map_or(i64::MIN, |first| self.start(first.saturating_add(1)))
    }

    /// Where the next row begins, if packets to come are of `clock` or later. Where no bucket is open, a gap that reaches to `quiet` is known only when
    /// a packet comes.
    pub(super) fn settled(&self, clock: i64, quiet: i64) -> i64 {
        let open = self.first_open();
        let number = match (self.next, open) {
            (Some(next), Some(_)) => next,
            (Some(next), None) => next.max(self.number_of(quiet)),
            (None, open) => open.into_iter().chain([self.number_of(clock)]).min().unwrap_or(i64::MIN),
        };
        self.start(number)
    }

    /// Hands over all buckets, and empty ones up to `to`.
    pub(super) fn finish(&mut self, to: Option<i64>, rows: &mut Vec<Row>) {
        self.turn_away();
        self.leave(i64::MAX, rows);
        if let Some(to) = to.filter(|_| self.origin.is_some()) {
            let end = self.number(to.saturating_sub(1)).saturating_add(1);
            self.hole(end, rows);
        }
    }

    /// Hands over the empty buckets that end at or before `until`; those that are full have left. Of a gap that is known to be one row, no part.
    pub(super) fn fill(&mut self, until: i64, rows: &mut Vec<Row>) {
        let until = match self.first_open() {
            Some(_) => self.empty_until(until),
            None => Some(self.number_of(until)),
        };
        if let Some(until) = until {
            self.hole(until, rows);
        }
    }

    /// A row for the empty buckets in front of one.
    fn hole(&mut self, number: i64, rows: &mut Vec<Row>) {
        let Some(next) = self.next.filter(|next| *next < number) else { return };
        let buckets = number.abs_diff(next);
        rows.push(self.row(next, buckets, Counts::default()));
        self.next = Some(number);
    }

    fn row(&self, number: i64, buckets: u64, counts: Counts) -> Row {
        Row { start: Timestamp(self.start(number)), width: self.width, buckets, counts }
    }
}
