//! Retired pieces of flows whose packets come in order: a list a flow, newest first, in one arena.
//!
//! A capture of many slow flows has more retired pieces than flows, most of them of one packet. Such a piece takes
//! 16 bytes, one of few packets 32, any other 64, and retiring appends, so it costs no cache miss. Two counters of a piece share a word where
//! [`Narrow`] bounds them; a link is 31 bits of 16-byte units.

use super::row::Narrow;
use crate::prefetch::prefetch_row;
use crate::table::arena::Arena;

/// A piece in a chain, or the end of one (the default).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link(pub(super) u32);

impl Link {
    /// Whether the chain ends here.
    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 == 0
    }

    fn at(self) -> usize {
        (self.0 as usize).wrapping_sub(1)
    }
}

/// The arena of all chains of a worker.
#[derive(Default)]
pub(super) struct Chains(Arena<[u64; 2]>);

/// A link's bits in the first word; the two bits above them say how the piece is packed. One packet:
///
/// ```text
/// link 31 | SINGLE | bytes 16 | other 16        time 44 | high | flags 4 x 1 | marks 2 x 1
/// ```
///
/// Few packets, of which none has more than 65,535 bytes, so that 22 bits hold their sum:
///
/// ```text
/// link 31 | 0 | FEW | first is high | packets 2 x 6 | marks 2 x 6        time 42 | bytes 22
/// span 42 | bytes 22                                                      flags 4 x 6 | other 22
/// ```
///
/// Any other takes four units. Times are ns behind the start of the window: 42 bits are 73 minutes.
const LINK: u64 = (1 << 31) - 1;
const SINGLE: u64 = 1 << 31;
const FEW: u64 = 1 << 32;

/// Most packets of a piece that is packed as few.
const MOST_FEW: u32 = 63;

/// Bits of a single packet's time.
const TIME: u32 = 44;

/// Bits of the times of few packets.
const SHORT: u32 = 42;

impl Chains {
    /// Puts a piece in front of a chain. `base` is the start of its window.
    ///
    /// # Panics
    /// When 32 GiB of pieces are alive.
    #[inline]
    pub(super) fn push(&mut self, previous: Link, piece: &Narrow, base: i64) -> Link {
        let link = u32::try_from(self.0.len() + 1).ok().filter(|&link| u64::from(link) < LINK - 2);
        let link = Link(link.expect("fewer than 32 GiB of retired pieces are alive"));
        let behind = piece.first.wrapping_sub(base) as u64;
        let bytes = piece.bytes | piece.bytes >> 32;
        let one = piece.packets == 1 || piece.packets == 1 << 16;
        if one && behind >> TIME == 0 && (bytes as u32 | piece.other) <= 0xffff {
            // One packet has each flag once at most: bits 0, 16, 32, 48 become four neighbours.
            let flags = piece.flags & 1 | piece.flags >> 15 & 2 | piece.flags >> 30 & 4 | piece.flags >> 45 & 8;
            let marks = u64::from(piece.marks & 1 | piece.marks >> 15 & 2);
            self.0.push([
                u64::from(previous.0) | SINGLE | (bytes & 0xffff) << 32 | u64::from(piece.other) << 48,
                behind | u64::from(piece.packets >> 16) << 44 | flags << 45 | marks << 49,
            ]);
            return link;
        }
        let span = piece.last.wrapping_sub(piece.first) as u64;
        if (piece.packets & 0xffff) + (piece.packets >> 16) <= MOST_FEW && (behind | span) >> SHORT == 0 {
            let pair = |lanes: u32| u64::from(lanes & 63 | lanes >> 10 & 63 << 6);
            let flags = piece.flags & 63
                | piece.flags >> 10 & 63 << 6
                | piece.flags >> 20 & 63 << 12
                | piece.flags >> 30 & 63 << 18;
            let head = u64::from(previous.0) | FEW | u64::from(piece.first_high) << 33;
            self.0.extend([
                [head | pair(piece.packets) << 34 | pair(piece.marks) << 46, behind | piece.bytes << SHORT],
                [span | piece.bytes >> 32 << SHORT, flags | u64::from(piece.other) << 24],
            ]);
            return link;
        }
        self.0.extend([
            [u64::from(previous.0) | u64::from(piece.first_high) << 33, u64::from(piece.packets)],
            [piece.first as u64, piece.last as u64],
            [piece.bytes, piece.flags],
            [u64::from(piece.marks), u64::from(piece.other)],
        ]);
        link
    }

    /// The piece at a link, and the link of the one before it.
    #[inline]
    pub(super) fn get(&self, link: Link, base: i64) -> (Narrow, Link) {
        unpack(&self.0[link.at()..], base)
    }

    /// Appends the pieces of a chain, newest first.
    pub(super) fn read(&self, mut link: Link, base: i64, out: &mut Vec<Narrow>) {
        let units = &self.0[..];
        while !link.is_end() {
            let (piece, previous) = unpack(&units[link.at()..], base);
            out.push(piece);
            link = previous;
        }
    }

    /// Brings the chains that begin at `heads` into the cache, many at a time where one would wait for each link.
    pub(super) fn warm(&self, heads: &mut Vec<Link>) {
        let units = &self.0[..];
        heads.retain(|head| !head.is_end());
        // A piece of two units may lie across two lines.
        let ask = |head: &Link| {
            prefetch_row(units, head.at());
            prefetch_row(units, head.at().wrapping_add(1));
        };
        heads.iter().for_each(ask);
        while !heads.is_empty() {
            heads.retain_mut(|head| {
                *head = Link((units[head.at()][0] & LINK) as u32);
                ask(head);
                !head.is_end()
            });
        }
    }

    /// Copies a chain to another arena, in order; returns its new head.
    pub(super) fn copy(&self, head: Link, to: &mut Chains, base: i64) -> Link {
        let mut pieces = Vec::new();
        let mut link = head;
        while !link.is_end() {
            let (piece, previous) = self.get(link, base);
            pieces.push(piece);
            link = previous;
        }
        pieces.iter().rev().fold(Link::default(), |link, piece| to.push(link, piece, base))
    }
}

/// The piece at the start of `units`, and the link of the one before it.
#[inline(always)]
fn unpack(units: &[[u64; 2]], base: i64) -> (Narrow, Link) {
    let [head, second] = units[0];
    let previous = Link((head & LINK) as u32);
    let piece = if head & SINGLE != 0 {
        single(head, second, base)
    } else if head & FEW != 0 {
        few([head, second], units[1], base)
    } else {
        let ([first, last], [bytes, flags], [marks, other]) = (units[1], units[2], units[3]);
        Narrow {
            first: first as i64,
            last: last as i64,
            flags,
            bytes,
            packets: second as u32,
            marks: marks as u32,
            other: other as u32,
            first_high: head >> 33 & 1 == 1,
        }
    };
    (piece, previous)
}

#[inline(always)]
fn single(head: u64, second: u64, base: i64) -> Narrow {
    let first = base.wrapping_add((second & ((1 << TIME) - 1)) as i64);
    let high = (second >> 44 & 1) as u32;
    let bit = |at: u32| second >> at & 1;
    Narrow {
        first,
        last: first,
        flags: bit(45) | bit(46) << 16 | bit(47) << 32 | bit(48) << 48,
        bytes: (head >> 32 & 0xffff) << (high * 32),
        packets: 1 << (high * 16),
        marks: (bit(49) | bit(50) << 16) as u32,
        other: (head >> 48) as u32,
        first_high: high == 1,
    }
}

#[inline(always)]
fn few([head, second]: [u64; 2], [third, fourth]: [u64; 2], base: i64) -> Narrow {
    let time = |word: u64| (word & ((1 << SHORT) - 1)) as i64;
    let pair = |at: u32| (head >> at & 63 | (head >> (at + 6) & 63) << 16) as u32;
    let lane = |at: u32| fourth >> at & 63;
    let first = base.wrapping_add(time(second));
    Narrow {
        first,
        last: first.wrapping_add(time(third)),
        flags: lane(0) | lane(6) << 16 | lane(12) << 32 | lane(18) << 48,
        bytes: second >> SHORT | third >> SHORT << 32,
        packets: pair(34),
        marks: pair(46),
        other: (fourth >> 24) as u32,
        first_high: head >> 33 & 1 == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_as_they_were_newest_first() {
        let base = 1_697_716_800_000_000_000;
        let single = |high: bool| Narrow {
            first: base + 3_599_999_999_999,
            last: base + 3_599_999_999_999,
            flags: 1 | 1 << 32 | 1 << 48,
            bytes: if high { 65_535 << 32 } else { 1500 },
            other: 65_535,
            packets: if high { 1 << 16 } else { 1 },
            marks: 1 | 1 << 16,
            first_high: high,
        };
        let long_ago = Narrow { first: i64::MIN, last: i64::MIN, ..single(false) };
        let many = Narrow {
            first: -5,
            last: 1 << 60,
            flags: u64::MAX,
            bytes: u64::from(u32::MAX) | 7 << 32,
            other: u32::MAX,
            packets: 65_534 | 1 << 16,
            marks: u32::MAX,
            first_high: true,
        };
        let few = Narrow {
            first: base + 1,
            last: base + (1 << SHORT),
            flags: 63 | 62 << 16 | 1 << 32 | 63 << 48,
            bytes: 63 * 65_535 * (1 | 1 << 32),
            packets: 62 | 1 << 16,
            marks: 63 | 5 << 16,
            other: 63 * 65_535,
            first_high: true,
        };
        let fewest = Narrow { packets: 1 | 62 << 16, first_high: false, ..few };
        let pieces = [single(true), many, few, single(false), long_ago, fewest];
        let mut chains = Chains::default();
        let mut head = Link::default();
        for piece in &pieces {
            head = chains.push(head, piece, base);
        }
        let mut copy = Chains::default();
        let mut link = chains.copy(head, &mut copy, base);
        chains.warm(&mut vec![head, Link::default()]);
        for piece in pieces.iter().rev() {
            let (found, previous) = copy.get(link, base);
            assert_eq!(&found, piece);
            link = previous;
        }
        assert!(link.is_end());
    }
}
