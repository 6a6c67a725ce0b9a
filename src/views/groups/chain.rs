//! Retired pieces of flows whose packets come in order: a list a flow, newest first, in one arena.
//!
//! A capture of many slow flows has more retired pieces than flows, most of them of one packet. Such a piece takes
//! 16 bytes, any other 48, and retiring appends, so it costs no cache miss. Two counters of a piece share a word where
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

/// A link's bits in the first word; the bit above them marks a piece of one packet.
const LINK: u64 = (1 << 31) - 1;
const SINGLE: u64 = 1 << 31;

/// Bits of a single packet's time behind the start of its window, ns: 4.8 hours.
const TIME_BITS: u32 = 44;

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
        let lengths = piece.bytes[0] | piece.bytes[1] | piece.other;
        if piece.packets[0] + piece.packets[1] == 1 && behind >> TIME_BITS == 0 && lengths <= 0xffff {
            let bytes = u64::from(piece.bytes[0] | piece.bytes[1]);
            let high = u64::from(piece.packets[1]);
            // One packet has each flag once at most: bits 0, 16, 32, 48 become four neighbours.
            let flags = piece.flags & 1 | piece.flags >> 15 & 2 | piece.flags >> 30 & 4 | piece.flags >> 45 & 8;
            self.0.push([
                u64::from(previous.0) | SINGLE | bytes << 32 | u64::from(piece.other) << 48,
                behind | high << 44 | flags << 45 | u64::from(piece.syn_only) << 49 | u64::from(piece.flagged) << 50,
            ]);
            return link;
        }
        let counts = |[a, b]: [u16; 2]| u64::from(a) | u64::from(b) << 16;
        self.0.push([
            u64::from(previous.0) | counts(piece.packets) << 32,
            counts([piece.syn_only, piece.flagged]) | u64::from(piece.other) << 32,
        ]);
        let span = piece.last.wrapping_sub(piece.first) as u64;
        self.0.push([piece.first as u64, span << 1 | u64::from(piece.first_high)]);
        self.0.push([u64::from(piece.bytes[0]) | u64::from(piece.bytes[1]) << 32, piece.flags]);
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
        for head in &*heads {
            prefetch_row(units, head.at());
        }
        while !heads.is_empty() {
            heads.retain_mut(|head| {
                *head = Link((units[head.at()][0] & LINK) as u32);
                prefetch_row(units, head.at());
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
    if head & SINGLE != 0 {
        let first = base.wrapping_add((second & ((1 << TIME_BITS) - 1)) as i64);
        let high = (second >> 44 & 1) as usize;
        let bit = |at: u32| second >> at & 1;
        let (mut bytes, mut packets) = ([0; 2], [0; 2]);
        bytes[high] = (head >> 32) as u32 & 0xffff;
        packets[high] = 1;
        let narrow = Narrow {
            first,
            last: first,
            flags: bit(45) | bit(46) << 16 | bit(47) << 32 | bit(48) << 48,
            bytes,
            other: (head >> 48) as u32,
            packets,
            syn_only: bit(49) as u16,
            flagged: bit(50) as u16,
            first_high: high == 1,
        };
        return (narrow, previous);
    }
    let ([first, span], [bytes, flags]) = (units[1], units[2]);
    let narrow = Narrow {
        first: first as i64,
        last: (first as i64).wrapping_add((span >> 1) as i64),
        flags,
        bytes: [bytes as u32, (bytes >> 32) as u32],
        other: (second >> 32) as u32,
        packets: [(head >> 32) as u16, (head >> 48) as u16],
        syn_only: second as u16,
        flagged: (second >> 16) as u16,
        first_high: span & 1 == 1,
    };
    (narrow, previous)
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
            bytes: if high { [0, 65_535] } else { [1500, 0] },
            other: 65_535,
            packets: if high { [0, 1] } else { [1, 0] },
            syn_only: 1,
            flagged: 1,
            first_high: high,
        };
        let long_ago = Narrow { first: i64::MIN, last: i64::MIN, ..single(false) };
        let many = Narrow {
            first: -5,
            last: 1 << 60,
            flags: u64::MAX,
            bytes: [u32::MAX, 7],
            other: u32::MAX,
            packets: [65_534, 1],
            syn_only: 65_535,
            flagged: 65_535,
            first_high: true,
        };
        let pieces = [single(true), many, single(false), long_ago];
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
