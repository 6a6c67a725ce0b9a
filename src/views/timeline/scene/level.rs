//! Packets at one scale: alone, or added up by bin, sender, receiver and class.

use super::super::hosts::Host;

/// Columns of one length. Bins that are empty have no row, so a silence costs nothing, however long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Where the bin begins, or the packet is: microseconds behind the scene's first. Ascending.
    pub time: Vec<u64>,
    /// Who sent.
    pub src: Vec<Host>,
    /// To whom.
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
    pub fn between(&self, from: u64, to: u64) -> std::ops::Range<usize> {
        let first = self.time.partition_point(|&time| time < from);
        first..self.time.partition_point(|&time| time < to).max(first)
    }

    /// The same, by bins of a width that holds those of these whole; nothing if that makes more than `most` rows.
    fn wider(&self, width: u64, most: usize) -> Option<Rows> {
        let mut wider = Rows::default();
        let mut places: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some(&time) = self.time.get(at) {
            let bin = time / width * width;
            let end = at + self.time[at..].partition_point(|&time| time / width * width == bin);
            let key = |&place: &usize| (self.src[place], self.dst[place], self.class[place]);
            places.clear();
            places.extend(at..end);
            places.sort_unstable_by_key(key);
            for equal in places.chunk_by(|a, b| key(a) == key(b)) {
                let (src, dst, class) = key(&equal[0]);
                wider.time.push(bin);
                wider.src.push(src);
                wider.dst.push(dst);
                wider.class.push(class);
                wider.count.push(equal.iter().fold(0, |sum: u32, &place| sum.saturating_add(self.count[place])));
                wider.bytes.push(equal.iter().fold(0, |sum: u64, &place| sum.saturating_add(self.bytes[place])));
            }
            if wider.len() > most {
                return None;
            }
            at = end;
        }
        wider.shrink();
        Some(wider)
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

/// Bins are four times as wide from one scale to the next.
const STEP: u64 = 4;

/// All scales up to one bin, without those that would not halve the rows: they say little that the one before does not.
pub(super) fn levels(packets: Rows) -> Vec<Level> {
    let Some(&span) = packets.time.last() else { return Vec::new() };
    let mut levels = vec![Level { width: 1, rows: packets }];
    let mut width = STEP;
    loop {
        let last = &levels[levels.len() - 1].rows;
        let most = if width > span { usize::MAX } else { last.len() / 2 };
        if let Some(rows) = last.wider(width, most) {
            levels.push(Level { width, rows });
        }
        match width.checked_mul(STEP).filter(|_| width <= span) {
            Some(next) => width = next,
            None => return levels,
        }
    }
}
