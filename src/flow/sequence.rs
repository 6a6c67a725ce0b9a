//! TCP sequence analysis: what each segment of a connection is, by the numbers that its direction has used before.
//!
//! Per direction the analysis knows which sequence numbers were seen: all from the first to the highest, but for a few
//! holes. So a segment that arrives late and fills a hole is told from one that repeats what was there. Numbers are
//! compared modulo 2^32 (RFC 9293, section 3.4): those up to 2^30 back are behind, all others ahead. SYN and FIN take
//! one each. It knows what the capture shows, not what the receiver got: a segment lost behind the capture point is
//! seen, and its repetition a retransmission.
//!
//! Memory is bounded: at most [`HOLES`] holes a direction, and the last 2^30 numbers. A hole beyond that is forgotten,
//! counted, and treated as seen.

use super::Side;
use crate::decode::packet::tcp_flag;

/// Holes that are remembered for a direction; of more, those with the lowest numbers are forgotten.
pub const HOLES: usize = 64;

/// Sequence numbers that are remembered: the largest window there is (RFC 7323, section 2.3).
const REACH: i64 = 1 << 30;

/// What the analysis reads of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; read only if the ACK flag is set.
    pub ack: u32,
    /// Flags, as [`tcp_flag`] has them.
    pub flags: u8,
    /// The window field, not scaled.
    pub window: u16,
    /// Bytes of payload, by the headers.
    pub payload: u32,
}

/// What the sequence numbers of a segment make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// It takes no sequence numbers: a bare acknowledgement, or a reset.
    Empty = 0,
    /// All its numbers are new and behind the highest before; perhaps with a hole between.
    New = 1,
    /// All its numbers are new and before the highest: it fills a hole, or precedes the first segment of the capture.
    OutOfOrder = 2,
    /// Some of its numbers were seen, some not.
    PartialOverlap = 3,
    /// All its numbers were seen.
    Retransmission = 4,
    /// At most one byte, at the last number that was seen (RFC 1122, section 4.2.3.6). A repeated single byte looks the
    /// same.
    KeepAlive = 5,
    /// One new byte sent into a closed window (RFC 9293, section 3.8.6.1). Its number stays unseen: it will be sent
    /// again.
    ZeroWindowProbe = 6,
}

impl Class {
    /// Every class; its index is its number.
    pub const ALL: [Class; 7] = [
        Class::Empty,
        Class::New,
        Class::OutOfOrder,
        Class::PartialOverlap,
        Class::Retransmission,
        Class::KeepAlive,
        Class::ZeroWindowProbe,
    ];
}

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// By its sequence numbers.
    pub class: Class,
    /// It repeats an acknowledgement while data is outstanding (RFC 5681, section 2, "duplicate acknowledgment").
    pub duplicate_ack: bool,
    /// It closes the window; SYN, FIN and RST do not count.
    pub zero_window: bool,
    /// It is a SYN with another initial number than the one before: another connection between the same ports.
    pub reopens: bool,
}

/// A connection's two directions; starts with [`Connection::default`].
#[derive(Clone, Debug, Default)]
pub struct Connection {
    halves: [Half; 2],
}

impl Connection {
    /// Takes the next segment in the order of capture, and tells what it is.
    #[inline]
    pub fn add(&mut self, side: Side, segment: &Segment) -> Verdict {
        let has = |flag| segment.flags & flag != 0;
        let reopens = has(tcp_flag::SYN) && self.halves[side as usize].is_other_connection(segment.seq);
        if reopens {
            self.halves[side as usize] = self.halves[side as usize].afresh();
            if !has(tcp_flag::ACK) {
                self.halves[1 - side as usize] = self.halves[1 - side as usize].afresh();
            }
        }
        let [up, down] = &mut self.halves;
        let (half, other) = match side {
            Side::Up => (up, &*down),
            Side::Down => (down, &*up),
        };
        let bare = !has(tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST);
        let class = half.class(segment, bare && other.is_closed());
        let duplicate_ack = bare && segment.payload == 0 && half.repeats(segment) && other.is_ahead_of(segment.ack);
        if has(tcp_flag::ACK) && !has(tcp_flag::RST) {
            half.known |= ACKED;
            half.ack = segment.ack;
        }
        if !has(tcp_flag::RST) {
            half.known |= WINDOW;
            half.window = segment.window;
        }
        Verdict { class, duplicate_ack, zero_window: bare && segment.window == 0, reopens }
    }

    /// How many holes were forgotten. While it is 0, every class is right.
    #[must_use]
    pub fn forgotten_holes(&self) -> u64 {
        self.halves.iter().filter_map(|half| half.holes.as_ref()).map(|holes| holes.forgotten).sum()
    }

    /// Bytes that the connection takes, this value included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let holes = self.halves.iter().filter_map(|half| half.holes.as_ref());
        size_of::<Self>()
            + holes.map(|holes| size_of::<Holes>() + holes.list.capacity() * size_of::<[u32; 2]>()).sum::<usize>()
    }
}

/// A segment was seen, so `start` and `next` mean something.
const BEGUN: u8 = 1;
/// A SYN was seen, so `initial` does.
const SYN: u8 = 1 << 1;
/// Nothing before `start` can be new: there is the SYN, or more was seen than is remembered.
const FLOOR: u8 = 1 << 2;
/// `ack` means something.
const ACKED: u8 = 1 << 3;
/// `window` means something.
const WINDOW: u8 = 1 << 4;

/// What one direction has sent.
#[derive(Clone, Debug, Default)]
struct Half {
    /// The lowest number that is remembered.
    start: u32,
    /// The number behind the highest that was seen.
    next: u32,
    /// The number of the SYN.
    initial: u32,
    /// The newest acknowledgement.
    ack: u32,
    /// The newest window field.
    window: u16,
    known: u8,
    /// Numbers between `start` and `next` that were not seen; boxed, since most directions never have one.
    holes: Option<Box<Holes>>,
}

/// Holes as ranges [from, to), in ascending order, none empty.
#[derive(Clone, Debug, Default)]
struct Holes {
    list: Vec<[u32; 2]>,
    forgotten: u64,
}

impl Half {
    fn knows(&self, what: u8) -> bool {
        self.known & what != 0
    }

    /// Whether a SYN with this number cannot belong to what was seen.
    fn is_other_connection(&self, seq: u32) -> bool {
        match self.known & (BEGUN | SYN) {
            0 => false,
            // Data that overtook its SYN.
            BEGUN => seq.wrapping_add(1) != self.start,
            _ => seq != self.initial,
        }
    }

    /// The direction of the next connection; what was forgotten stays counted.
    fn afresh(&mut self) -> Half {
        let mut holes = self.holes.take();
        if let Some(holes) = &mut holes {
            holes.list.clear();
        }
        Half { holes, ..Half::default() }
    }

    fn is_closed(&self) -> bool {
        self.knows(WINDOW) && self.window == 0
    }

    /// Whether numbers from `ack` on were seen.
    fn is_ahead_of(&self, ack: u32) -> bool {
        self.knows(BEGUN) && (self.next.wrapping_sub(ack) as i32) > 0
    }

    /// Whether the segment has the acknowledgement and the window of the one before.
    fn repeats(&self, segment: &Segment) -> bool {
        self.known & (ACKED | WINDOW) == ACKED | WINDOW
            && segment.flags & tcp_flag::ACK != 0
            && (segment.ack, segment.window) == (self.ack, self.window)
    }

    /// Tells the class and remembers the numbers.
    #[inline]
    fn class(&mut self, segment: &Segment, into_closed_window: bool) -> Class {
        let (syn, fin) = (segment.flags & tcp_flag::SYN != 0, segment.flags & tcp_flag::FIN != 0);
        if segment.flags & tcp_flag::RST != 0 {
            return Class::Empty;
        }
        if self.knows(BEGUN) && segment.payload <= 1 && !syn && !fin {
            if segment.seq == self.next.wrapping_sub(1) {
                return Class::KeepAlive;
            }
            if into_closed_window && segment.payload == 1 && segment.seq == self.next {
                return Class::ZeroWindowProbe;
            }
        }
        let length = i64::from(segment.payload).min(REACH - 3) + i64::from(syn) + i64::from(fin);
        let class = self.place(segment.seq, length);
        if syn {
            self.known |= SYN | FLOOR;
            self.initial = segment.seq;
        }
        class
    }

    /// Enters `length` numbers from `seq` on. Positions are counted from `next`: what is new has them from 0 on.
    #[inline]
    fn place(&mut self, seq: u32, length: i64) -> Class {
        if !self.knows(BEGUN) {
            self.known |= BEGUN;
            (self.start, self.next) = (seq, seq.wrapping_add(length as u32));
            return if length == 0 { Class::Empty } else { Class::New };
        }
        if length == 0 {
            return Class::Empty;
        }
        let behind = i64::from(self.next.wrapping_sub(seq));
        let from = if behind <= REACH { -behind } else { i64::from(seq.wrapping_sub(self.next)) };
        if from == 0 {
            self.advance(length);
            return Class::New;
        }
        self.place_aside(from, from + length)
    }

    /// Enters numbers that do not begin at `next`.
    #[cold]
    fn place_aside(&mut self, from: i64, to: i64) -> Class {
        let start = -i64::from(self.next.wrapping_sub(self.start));
        let precedes = from < start && !self.knows(FLOOR);
        let mut unseen = (to - from.max(0)).max(0);
        if precedes {
            unseen += to.min(start) - from;
        }
        unseen += self.fill(from, to);
        if precedes {
            self.start = self.number(from);
            if to < start {
                self.dig(0, to, start);
            }
        }
        if to > 0 {
            self.advance(to);
        }
        if from > 0 {
            let last = self.holes.as_ref().map_or(0, |holes| holes.list.len());
            self.dig(last, (-to).max(-REACH), from - to);
            if to > REACH {
                self.forget_part();
            }
        }
        match unseen {
            0 => Class::Retransmission,
            _ if unseen < to - from => Class::PartialOverlap,
            _ if from > 0 => Class::New,
            _ => Class::OutOfOrder,
        }
    }

    /// Counts a hole of which a part is out of reach.
    fn forget_part(&mut self) {
        self.holes.get_or_insert_default().forgotten += 1;
    }

    /// The number at a position.
    fn number(&self, position: i64) -> u32 {
        self.next.wrapping_add(position as u32)
    }

    /// Moves `next`, and forgets what is out of reach behind it.
    #[inline]
    fn advance(&mut self, by: i64) {
        let start = -i64::from(self.next.wrapping_sub(self.start));
        if start < by - REACH {
            self.forget_before(by - REACH);
            self.start = self.number(by - REACH);
            self.known |= FLOOR;
        }
        self.next = self.number(by);
    }

    fn forget_before(&mut self, floor: i64) {
        let next = self.next;
        let Some(holes) = &mut self.holes else { return };
        let all = holes.list.len();
        holes.list.retain(|&[begin, _]| -i64::from(next.wrapping_sub(begin)) >= floor);
        holes.forgotten += (all - holes.list.len()) as u64;
    }

    /// Takes [from, to) out of the holes; returns how many numbers were in them.
    fn fill(&mut self, from: i64, to: i64) -> i64 {
        let next = self.next;
        let Some(holes) = &mut self.holes else { return 0 };
        let position = |number: u32| -i64::from(next.wrapping_sub(number));
        let number = |position: i64| next.wrapping_add(position as u32);
        let first = holes.list.partition_point(|&[_, end]| position(end) <= from);
        let behind = holes.list.partition_point(|&[begin, _]| position(begin) < to);
        if first >= behind {
            return 0;
        }
        let (begin, end) = (position(holes.list[first][0]), position(holes.list[behind - 1][1]));
        let filled: i64 = holes.list[first..behind]
            .iter()
            .map(|&[begin, end]| position(end).min(to) - position(begin).max(from))
            .sum();
        let before = (begin < from).then(|| [number(begin), number(from)]);
        let after = (end > to).then(|| [number(to), number(end)]);
        holes.list.splice(first..behind, before.into_iter().chain(after));
        holes.bound();
        filled
    }

    /// Makes [from, to) the hole at this place of the list.
    fn dig(&mut self, at: usize, from: i64, to: i64) {
        let hole = [self.number(from), self.number(to)];
        let holes = self.holes.get_or_insert_default();
        holes.list.insert(at, hole);
        holes.bound();
    }
}

impl Holes {
    fn bound(&mut self) {
        if self.list.len() > HOLES {
            self.list.remove(0);
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests;
