//! Retired pieces of flows whose packets come in order: a list a flow, newest first, in one arena.
//!
//! A capture of many slow flows has more retired pieces than flows, most of them of one packet, and memory that is touched for
//! the first time costs more than the packets that fill it. So a piece is packed by what it holds, and retiring appends,
//! which costs no cache miss.

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
pub(super) struct Chains(Arena<u32>);

/// How a piece is packed: the first word is the link to the piece before, the lowest set bit of the second names the form.
/// Times are ns behind the start of the window: 42 bits are 73 minutes. Numbers are bits.
///
/// One packet of at most 16,383 bytes, all captured, in three words. Its marks follow from its flags:
///
/// ```text
/// link 32        SINGLE 1 | is high 1 | flags 4 x 1 | flagged 1 | bytes 14 | time 42
/// ```
///
/// At most seven packets, all captured, in six words:
///
/// ```text
/// link 32        0 | SOME 1 | first is high 1 | packets 2 x 3 | marks 2 x 3 | 7 free | time 42
/// bytes 2 x 16   span 40 | flags 4 x 3 | 12 free
/// ```
///
/// At most 63 packets, of which none has more than 65,535 bytes, so that 22 bits hold their sum, in eight words:
///
/// ```text
/// link 32        00 | FEW 1 | first is high 1 | packets 2 x 6 | marks 2 x 6
/// time 42 | bytes 22        span 42 | bytes 22        flags 4 x 6 | other 22
/// ```
///
/// Any other takes thirteen words.
const SINGLE: u32 = 1;
const SOME: u32 = 2;
const FEW: u32 = 4;

/// Most packets of a piece of each form.
const MOST_SOME: u32 = 7;
const MOST_FEW: u32 = 63;

const TIME: u32 = 42;
const SPAN: u32 = 40;

/// Words that are asked for ahead: with the first and the last of a single, the line of all of it.
const SINGLE_WORDS: usize = 3;

impl Chains {
    /// Puts a piece in front of a chain. `base` is the start of its window.
    ///
    /// # Panics
    /// When 16 GiB of pieces are alive.
    #[inline]
    pub(super) fn push(&mut self, previous: Link, piece: &Narrow, base: i64) -> Link {
        let link = Link(u32::try_from(self.0.len() + 1).expect("fewer than 16 GiB of retired pieces are alive"));
        let behind = piece.first.wrapping_sub(base) as u64;
        let span = piece.last.wrapping_sub(piece.first) as u64;
        let packets = (piece.packets & 0xffff) + (piece.packets >> 16);
        let [low, high] = [piece.bytes as u32, (piece.bytes >> 32) as u32];
        let all_captured = u64::from(low) + u64::from(high) == u64::from(piece.other);
        if packets == 1 && all_captured && piece.other < 1 << 14 && behind >> TIME == 0 {
            let bits = u64::from(SINGLE)
                | u64::from(piece.packets >> 16) << 1
                | lanes::<1>(piece.flags) << 2
                | u64::from(piece.marks >> 16) << 6
                | u64::from(piece.other) << 7
                | behind << 21;
            self.0.extend([previous.0, bits as u32, (bits >> 32) as u32]);
            return link;
        }
        if packets <= MOST_SOME && all_captured && (low | high) >> 16 == 0 && behind >> TIME == 0 && span >> SPAN == 0 {
            let bits = u64::from(SOME)
                | u64::from(piece.first_high) << 2
                | pair::<3>(piece.packets) << 3
                | pair::<3>(piece.marks) << 9
                | behind << 22;
            let rest = span | lanes::<3>(piece.flags) << SPAN;
            let words =
                [previous.0, bits as u32, (bits >> 32) as u32, low | high << 16, rest as u32, (rest >> 32) as u32];
            self.0.extend(words);
            return link;
        }
        if packets <= MOST_FEW && (behind | span) >> TIME == 0 {
            let head = FEW
                | u32::from(piece.first_high) << 3
                | (pair::<6>(piece.packets) << 4) as u32
                | (pair::<6>(piece.marks) << 16) as u32;
            let [a, b, c] = [
                behind | u64::from(low) << TIME,
                span | u64::from(high) << TIME,
                lanes::<6>(piece.flags) | u64::from(piece.other) << 24,
            ];
            self.0.extend([
                previous.0,
                head,
                a as u32,
                (a >> 32) as u32,
                b as u32,
                (b >> 32) as u32,
                c as u32,
                (c >> 32) as u32,
            ]);
            return link;
        }
        self.0.extend([
            previous.0,
            u32::from(piece.first_high) << 3,
            piece.packets,
            piece.marks,
            piece.other,
            piece.first as u32,
            (piece.first >> 32) as u32,
            piece.last as u32,
            (piece.last >> 32) as u32,
            low,
            high,
            piece.flags as u32,
            (piece.flags >> 32) as u32,
        ]);
        link
    }

    /// Whether no piece was ever put in.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The piece at a link, and the link of the one before it.
    #[inline]
    pub(super) fn get(&self, link: Link, base: i64) -> (Narrow, Link) {
        unpack(&self.0[link.at()..], base)
    }

    /// Appends the pieces of a chain, newest first.
    pub(super) fn read(&self, mut link: Link, base: i64, out: &mut Vec<Narrow>) {
        let words = &self.0[..];
        while !link.is_end() {
            let (piece, previous) = unpack(&words[link.at()..], base);
            out.push(piece);
            link = previous;
        }
    }

    /// Brings the chains that begin at `heads` into the cache, many at a time where one would wait for each link.
    pub(super) fn warm(&self, heads: &mut Vec<Link>) {
        let words = &self.0[..];
        heads.retain(|head| !head.is_end());
        // A piece may lie across two lines.
        let ask = |head: &Link| {
            prefetch_row(words, head.at());
            prefetch_row(words, head.at().wrapping_add(SINGLE_WORDS - 1));
        };
        heads.iter().for_each(ask);
        while !heads.is_empty() {
            heads.retain_mut(|head| {
                *head = Link(words[head.at()]);
                ask(head);
                !head.is_end()
            });
        }
    }

    /// Copies a chain to another arena, in order; returns its new head.
    pub(super) fn copy(&self, head: Link, to: &mut Chains, base: i64) -> Link {
        let mut pieces = Vec::new();
        self.read(head, base, &mut pieces);
        pieces.iter().rev().fold(Link::default(), |link, piece| to.push(link, piece, base))
    }
}

/// Two counts of 16 bits, brought together as two of `N`.
#[inline(always)]
fn pair<const N: u32>(counts: u32) -> u64 {
    let mask = (1 << N) - 1;
    u64::from(counts & mask | (counts >> 16 & mask) << N)
}

/// Undoes [`pair`].
#[inline(always)]
fn unpair<const N: u32>(packed: u64) -> u32 {
    let mask = (1 << N) - 1;
    (packed & mask | (packed >> N & mask) << 16) as u32
}

/// Four counts of 16 bits, brought together as four of `N`.
#[inline(always)]
fn lanes<const N: u32>(counts: u64) -> u64 {
    let mask = (1 << N) - 1;
    counts & mask | (counts >> 16 & mask) << N | (counts >> 32 & mask) << (2 * N) | (counts >> 48 & mask) << (3 * N)
}

/// Undoes [`lanes`].
#[inline(always)]
fn unlanes<const N: u32>(packed: u64) -> u64 {
    let mask = (1 << N) - 1;
    packed & mask | (packed >> N & mask) << 16 | (packed >> (2 * N) & mask) << 32 | (packed >> (3 * N) & mask) << 48
}

#[inline(always)]
fn both(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The piece at the start of `words`, and the link of the one before it.
#[inline(always)]
fn unpack(words: &[u32], base: i64) -> (Narrow, Link) {
    let &[link, head, third] = words.first_chunk().expect("a piece has three words at least");
    let bits = both(head, third);
    let piece = if head & SINGLE != 0 {
        single(bits, base)
    } else if head & SOME != 0 {
        let &[_, _, _, bytes, low, high] = words.first_chunk().expect("some packets have six words");
        some(bits, bytes, both(low, high), base)
    } else if head & FEW != 0 {
        let &[_, _, a, b, c, d, e, f] = words.first_chunk().expect("few packets have eight words");
        few(u64::from(head), [both(a, b), both(c, d), both(e, f)], base)
    } else {
        let &[_, _, packets, marks, other, a, b, c, d, e, f, g, h] =
            words.first_chunk().expect("any other piece has thirteen words");
        Narrow {
            first: both(a, b) as i64,
            last: both(c, d) as i64,
            flags: both(g, h),
            bytes: both(e, f),
            packets,
            marks,
            other,
            first_high: head >> 3 & 1 == 1,
        }
    };
    (piece, Link(link))
}

#[inline(always)]
fn single(bits: u64, base: i64) -> Narrow {
    let first = base.wrapping_add((bits >> 21) as i64);
    let high = (bits >> 1 & 1) as u32;
    let flags = bits >> 2 & 15;
    let bytes = bits >> 7 & 0x3fff;
    // SYN without ACK, as the row counts it.
    let syn_only = flags & 3 == 1;
    Narrow {
        first,
        last: first,
        flags: unlanes::<1>(flags),
        bytes: bytes << (high * 32),
        packets: 1 << (high * 16),
        marks: u32::from(syn_only) | ((bits >> 6 & 1) as u32) << 16,
        other: bytes as u32,
        first_high: high == 1,
    }
}

#[inline(always)]
fn some(bits: u64, bytes: u32, rest: u64, base: i64) -> Narrow {
    let first = base.wrapping_add((bits >> 22) as i64);
    let [low, high] = [bytes & 0xffff, bytes >> 16];
    Narrow {
        first,
        last: first.wrapping_add((rest & ((1 << SPAN) - 1)) as i64),
        flags: unlanes::<3>(rest >> SPAN),
        bytes: both(low, high),
        packets: unpair::<3>(bits >> 3),
        marks: unpair::<3>(bits >> 9),
        other: low + high,
        first_high: bits >> 2 & 1 == 1,
    }
}

#[inline(always)]
fn few(head: u64, [second, third, fourth]: [u64; 3], base: i64) -> Narrow {
    let time = |word: u64| (word & ((1 << TIME) - 1)) as i64;
    let first = base.wrapping_add(time(second));
    Narrow {
        first,
        last: first.wrapping_add(time(third)),
        flags: unlanes::<6>(fourth),
        bytes: second >> TIME | third >> TIME << 32,
        packets: unpair::<6>(head >> 4),
        marks: unpair::<6>(head >> 16),
        other: (fourth >> 24) as u32,
        first_high: head >> 3 & 1 == 1,
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
            last: base + (1 << TIME),
            flags: 63 | 62 << 16 | 1 << 32 | 63 << 48,
            bytes: 63 * 65_535 * (1 | 1 << 32),
            packets: 62 | 1 << 16,
            marks: 63 | 5 << 16,
            other: 63 * 65_535,
            first_high: true,
        };
        let fewest = Narrow { packets: 1 | 62 << 16, first_high: false, ..few };
        let some = Narrow {
            first: base + 2,
            last: base + 2 + (1 << SPAN) - 1,
            flags: 7 | 6 << 16 | 1 << 32 | 7 << 48,
            bytes: 65_535 | 65_534 << 32,
            packets: 1 | 6 << 16,
            marks: 7 | 5 << 16,
            other: 65_535 + 65_534,
            first_high: true,
        };
        let cut = Narrow { other: 3, ..some };
        let longer = Narrow { last: some.last + 1, first_high: false, ..some };
        let whole = |high: bool| Narrow { bytes: 16_383 << (u32::from(high) * 32), other: 16_383, ..single(high) };
        let syn = Narrow { flags: 1, marks: 1 | 1 << 16, ..whole(false) };
        let plain = Narrow { flags: 0, marks: 0, ..whole(true) };
        let silent = Narrow { flags: 0, marks: 1 << 16, ..whole(true) };
        let pieces = [single(true), many, few, single(false), long_ago, fewest, some, cut, longer, syn, plain, silent];
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
