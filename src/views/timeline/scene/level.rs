//! Packets at one scale: alone, or added up by bin, sender, receiver and class.
//!
//! Bins by pairs of hosts do not become fewer where every packet is of another pair, as in a scan. There bins tell less: first only busy hosts
//! are told apart, then only senders. So every scene has a scale of at most [`COARSE_ROWS`] rows that still says something about time.

use std::collections::HashSet;
use std::ops::Range;

use super::super::hosts::Host;
use super::{Busy, NOBODY};

/// The coarsest scale of a scene has at most so many rows.
pub const COARSE_ROWS: usize = 100_000;

/// Columns of one length. Bins that are empty have no row, so a silence costs nothing, however long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Where the bin begins, or the packet is: microseconds behind the scene's first. Ascending.
    pub time: Vec<u64>,
    /// Who sent. In bins the number behind the last host stands for hosts that are not told apart; see [`Told`].
    pub src: Vec<Host>,
    /// To whom; in bins also [`NOBODY`], where that is not told.
    pub dst: Vec<Host>,
    /// [`Class`](super::Class) as a number.
    pub class: Vec<u8>,
    /// Packets.
    pub count: Vec<u32>,
    /// Their lengths.
    pub bytes: Vec<u64>,
    /// Of packets alone: the place of the flow among the lines, plus 1, or 0. Empty for bins.
    pub flow: Vec<u32>,
}

impl Rows {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// The places of rows whose time is in `from..to`.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> Range<usize> {
        let first = self.time.partition_point(|&time| time < from);
        first..self.time.partition_point(|&time| time < to).max(first)
    }

    /// Some of them by bins of a width that holds those of these whole, with ends as `ends` makes them, or without them; nothing if that makes more than `most`
    /// rows.
    fn wider(
        &self,
        range: Range<usize>,
        width: u64,
        most: usize,
        ends: impl Fn(Host, Host) -> Option<(Host, Host)>,
    ) -> Option<Rows> {
        let mut wider = Rows::default();
        let mut places: Vec<((Host, Host, u8), usize)> = Vec::new();
        let Range { start: mut at, end: upto } = range;
        while let Some(&time) = self.time[..upto].get(at) {
            let bin = time / width * width;
            let end = at + self.time[at..upto].partition_point(|&time| time / width * width == bin);
            places.clear();
            places.extend((at..end).filter_map(|place| {
                let (src, dst) = ends(self.src[place], self.dst[place])?;
                Some(((src, dst, self.class[place]), place))
            }));
            places.sort_unstable();
            for equal in places.chunk_by(|a, b| a.0 == b.0) {
                let (src, dst, class) = equal[0].0;
                wider.time.push(bin);
                wider.src.push(src);
                wider.dst.push(dst);
                wider.class.push(class);
                wider.count.push(equal.iter().fold(0, |sum: u32, &(_, place)| sum.saturating_add(self.count[place])));
                wider.bytes.push(equal.iter().fold(0, |sum: u64, &(_, place)| sum.saturating_add(self.bytes[place])));
            }
            if wider.len() > most {
                return None;
            }
            at = end;
        }
        wider.shrink();
        Some(wider)
    }

    /// The packets of some hosts, by bins as of a scale: these hosts are told apart, others if they are busy.
    pub(super) fn of_hosts(&self, range: Range<usize>, width: u64, hosts: &[Host], busy: &Busy) -> Rows {
        let wanted: HashSet<Host> = hosts.iter().copied().collect();
        let named = |host| if wanted.contains(&host) { host } else { busy.named(host) };
        let ends = |src, dst| (wanted.contains(&src) || wanted.contains(&dst)).then(|| (named(src), named(dst)));
        self.wider(range, width, usize::MAX, ends).unwrap_or_default()
    }

    /// Gives back room to grow.
    fn shrink(&mut self) {
        let Rows { time, src, dst, class, count, bytes, flow } = self;
        [time, bytes].into_iter().for_each(Vec::shrink_to_fit);
        [src, dst, count, flow].into_iter().for_each(Vec::shrink_to_fit);
        class.shrink_to_fit();
    }
}

/// Packets at one scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Microseconds that a bin is wide; 1 for packets alone.
    pub width: u64,
    /// What lies in them.
    pub rows: Rows,
}

/// What bins tell of who sent and who got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Both.
    #[default]
    Pairs,
    /// Both, where they are busy; all others are one.
    Busy,
    /// Who sent, if busy, and not to whom.
    Senders,
}

impl Told {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Told::Pairs => "pairs",
            Told::Busy => "busy",
            Told::Senders => "senders",
        }
    }

    /// The ends of a packet, or of a bin that tells as much.
    fn ends(self, busy: &Busy, src: Host, dst: Host) -> (Host, Host) {
        match self {
            Told::Pairs => (src, dst),
            Told::Busy => (busy.named(src), busy.named(dst)),
            Told::Senders => (busy.named(src), NOBODY),
        }
    }
}

/// Bins are four times as wide from one scale to the next.
const STEP: u64 = 4;

/// A scale that says something about time has so many bins in the time of all.
const BINS: u64 = 64;

/// All scales, and the least that bins of one tell. Fine ones tell pairs as long as that makes them fewer, and coarse ones what they must.
pub(super) fn levels(packets: Rows, busy: &Busy) -> (Vec<Level>, Told) {
    let Some(&span) = packets.time.last() else { return (Vec::new(), Told::Pairs) };
    let says = |levels: &[Level]| {
        let coarse = levels.iter().find(|level| level.rows.len() <= COARSE_ROWS);
        coarse.is_some_and(|level| level.width == 1 || level.width <= span / BINS)
    };
    let mut levels = vec![Level { width: 1, rows: packets }];
    levels.extend(bins(&levels[0], span, busy, Told::Pairs));
    if says(&levels) {
        return (levels, Told::Pairs);
    }
    levels.retain(|level| level.width <= (span / BINS).max(1));
    // Busy hosts from the coarsest scale of pairs on, which is the quickest, and from packets on, which makes more scales.
    let ways = [(Told::Busy, levels.len()), (Told::Busy, 1), (Told::Senders, levels.len())];
    for (told, from) in ways.into_iter().skip(usize::from(levels.len() == 1)) {
        let coarser = bins(&levels[from - 1], span, busy, told);
        if says(&coarser) {
            levels.truncate(from);
            levels.extend(coarser);
            return (levels, told);
        }
    }
    // One bin of senders has few rows, whatever there is.
    levels.truncate(1);
    levels.extend(bins(&levels[0], span, busy, Told::Senders));
    (levels, Told::Senders)
}

/// Coarser scales up to one bin, without those that would not halve the rows: they say little that the one before does not. But the first that a page
/// gets at once is there.
fn bins(from: &Level, span: u64, busy: &Busy, told: Told) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    let mut width = from.width.saturating_mul(STEP);
    loop {
        let last = levels.last().map_or(&from.rows, |level| &level.rows);
        let most = match last.len() {
            _ if width > span => usize::MAX,
            rows if rows > COARSE_ROWS => COARSE_ROWS.max(rows / 2),
            rows => rows / 2,
        };
        if let Some(rows) = last.wider(0..last.len(), width, most, |src, dst| Some(told.ends(busy, src, dst))) {
            levels.push(Level { width, rows });
        }
        match width.checked_mul(STEP).filter(|_| width <= span) {
            Some(next) => width = next,
            None => return levels,
        }
    }
}
