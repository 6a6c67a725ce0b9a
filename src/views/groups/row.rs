//! A flow's counters in one window: a narrow row for the piece that is growing, and where the others are.
//!
//! A piece is a set of the flow's packets in which no gap exceeds the idle split. The row, one cache line, holds the
//! piece that packets are being added to. A packet that does not belong to it, or that its narrow counters cannot take,
//! retires the piece. While a flow's packets come in order, pieces retire to its chain ([`super::chain`]), each
//! later than the one before by more than the idle split, or full. From the first packet on that is too early for the growing
//! piece, they retire to a sorted map in which pieces that touch are merged ([`super::piece`]). So there are never more pieces
//! than idle gaps fit into the window, nor, out of order, than the flow has slices.

use bytemuck::{Pod, Zeroable};

use super::chain::Link;
use super::piece::{Piece, Pieces};
use crate::app::Notes;
use crate::config::Measure;
use crate::decode::packet::{Packet, tcp_flag};
use crate::table::direction::{Direction, evidence};

/// One flow in one window. All zero: unused.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Row {
    /// Earliest and latest packet of the growing piece, ns.
    pub(super) first: i64,
    pub(super) last: i64,
    /// When the best evidence of direction was seen, ns.
    evidence_time: i64,
    /// Packets with SYN, ACK, RST, FIN: four counts of 16 bits.
    flags: u64,
    /// Bytes from the low and from the high end, by the configured measure: two counts of 32 bits.
    bytes: u64,
    /// Bytes by the other measure, both directions.
    other: u32,
    /// Number of the window plus one; 0 when the row is unused.
    pub(super) window: u32,
    /// With [`HAS_EXTRA`] the index of the flow's [`Extra`], else the newest piece of its chain.
    more: u32,
    /// Packets from the low and from the high end: two counts of 16 bits.
    packets: u32,
    /// Packets with SYN and without ACK, and packets with captured TCP flags: two counts of 16 bits.
    marks: u32,
    state: u16,
    /// Best evidence plus one: rank and client in `1 + rank * 2 + client is high`.
    evidence: u8,
    /// Set when the window closes: `Direction` as a number.
    direction: u8,
}

/// The growing piece's earliest packet came from the high end.
const FIRST_HIGH: u16 = 1;
/// A packet other than RST came from the low end; shifted by one for the high end.
const ANSWER: u16 = 2;
/// Set when the window closes: the client is the high end.
const CLIENT_HIGH: u16 = 8;
/// `more` is the index of an [`Extra`].
const HAS_EXTRA: u16 = 16;
/// A packet came that was too early for the growing piece.
const DISORDERED: u16 = 32;
/// A packet moved the start of a growing piece to an earlier time.
const WIDENED: u16 = 64;
/// The first piece that retired began with a packet from the high end.
const OLDEST_HIGH: u16 = 128;

/// Packets that a row's narrow counters can take; 65,535 packets of 65,535 bytes stay below 2^32.
const MOST: u32 = 0xffff;

/// Both measures of a packet's bytes, the configured one first.
#[inline(always)]
pub(super) fn measures(packet: &Packet, measure: Measure) -> (u32, u32) {
    match measure {
        Measure::Wire => (packet.wire, packet.captured),
        Measure::Captured => (packet.captured, packet.wire),
    }
}

impl Row {
    /// A row of a window, without packets.
    pub(super) fn of(window: u32) -> Row {
        Row { window, ..Row::zeroed() }
    }

    /// Adds a packet of the row's window to the growing piece, unless it has to go another way or there is no such piece: then
    /// nothing changes and the answer is no.
    #[inline(always)]
    pub(super) fn add(&mut self, packet: &Packet, from_high: bool, idle: i64, measure: Measure) -> bool {
        let time = packet.time.0;
        let packets = (self.packets & 0xffff) + (self.packets >> 16);
        // No packets wrap around to many.
        let full_or_none = packets.wrapping_sub(1) >= MOST - 1;
        if time < self.first.saturating_sub(idle)
            || time > self.last.saturating_add(idle)
            || full_or_none
            || packet.wire | packet.captured > MOST
        {
            return false;
        }
        if time <= self.first && (time < self.first || !from_high) {
            self.state = self.state & !FIRST_HIGH | u16::from(from_high) | WIDENED;
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.count(packet, from_high, measure);
        true
    }

    /// Whether a packet starts the next piece of a flow of which everything so far is in the row and its chain, in order: the
    /// growing piece can retire as it lies.
    #[inline(always)]
    pub(super) fn succeeds(&self, packet: &Packet, idle: i64) -> bool {
        packet.time.0 > self.last.saturating_add(idle)
            && !self.is_idle()
            && self.state & (HAS_EXTRA | DISORDERED) == 0
            && packet.wire | packet.captured <= MOST
            && self.last.checked_sub(self.first).is_some()
    }

    /// Whether a packet comes too early for the growing piece.
    pub(super) fn precedes(&self, packet: &Packet, idle: i64) -> bool {
        packet.time.0 < self.first.saturating_sub(idle)
    }

    /// Takes note when a packet that starts the next piece is no later than the start of this one: a full piece retires
    /// whatever the time.
    pub(super) fn widen(&mut self, packet: &Packet) {
        if packet.time.0 <= self.first {
            self.state |= WIDENED;
        }
    }

    /// Remembers that packets come out of order.
    pub(super) fn disorder(&mut self) {
        self.state |= DISORDERED;
    }

    /// Whether the flow's earliest packet came from the high end, where the row itself can tell.
    #[inline]
    pub(super) fn earliest_high(&self) -> Option<bool> {
        match self.state & (DISORDERED | WIDENED | HAS_EXTRA) {
            0 if self.more == 0 => Some(self.state & FIRST_HIGH != 0),
            0 => Some(self.state & OLDEST_HIGH != 0),
            _ => None,
        }
    }

    /// Whether packets came out of order.
    pub(super) fn disordered(&self) -> bool {
        self.state & DISORDERED != 0
    }

    /// The flow's extra, by index.
    #[inline]
    pub(super) fn extra(&self) -> Option<usize> {
        (self.state & HAS_EXTRA != 0).then_some(self.more as usize)
    }

    /// Gives the flow an extra, whose chain the row's becomes.
    pub(super) fn set_extra(&mut self, index: usize) {
        self.more = u32::try_from(index).expect("fewer than 2^32 flows with extras");
        self.state |= HAS_EXTRA;
    }

    /// The newest piece of the row's own chain; empty when the flow has an extra, which then has the chain.
    #[inline]
    pub(super) fn chain(&self) -> Link {
        if self.state & HAS_EXTRA != 0 { Link::default() } else { Link(self.more) }
    }

    /// Sets the newest piece of the row's own chain.
    pub(super) fn set_chain(&mut self, link: Link) {
        if self.more == 0 && self.state & FIRST_HIGH != 0 {
            self.state |= OLDEST_HIGH;
        }
        self.more = link.0;
    }

    /// Starts the growing piece anew with a packet that fits a row.
    #[inline(always)]
    pub(super) fn start(&mut self, packet: &Packet, from_high: bool, measure: Measure) {
        self.first = packet.time.0;
        self.last = packet.time.0;
        self.state = self.state & !FIRST_HIGH | u16::from(from_high);
        self.drop_piece();
        self.count(packet, from_high, measure);
    }

    #[inline(always)]
    fn count(&mut self, packet: &Packet, from_high: bool, measure: Measure) {
        let (bytes, other) = measures(packet, measure);
        self.packets += 1 << (u32::from(from_high) * 16);
        self.bytes += u64::from(bytes) << (u32::from(from_high) * 32);
        self.other += other;
        let flags = packet.tcp_flags;
        self.flags += tcp_flag::lanes(flags);
        let syn_only = flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        self.marks += u32::from(syn_only) | u32::from(packet.has_flags) << 16;
        self.witness(packet, from_high);
    }

    /// Takes what a packet says of the flow as a whole: evidence of direction, and whether an end answers.
    #[inline(always)]
    pub(super) fn witness(&mut self, packet: &Packet, from_high: bool) {
        self.state |= u16::from(packet.tcp_flags & tcp_flag::RST == 0) << (1 + u16::from(from_high));
        if let Some((rank, sender_is_client)) = evidence(packet.tcp_flags, packet.asks) {
            self.offer(rank, from_high == sender_is_client, packet.time.0);
        }
    }

    #[inline]
    fn offer(&mut self, rank: Direction, client_high: bool, time: i64) {
        let code = 1 + rank as u8 * 2 + u8::from(client_high);
        let order = |code: u8, time: i64| ((code - 1) / 2, time, (code - 1) % 2);
        if self.evidence == 0 || order(code, time) < order(self.evidence, self.evidence_time) {
            self.evidence = code;
            self.evidence_time = time;
        }
    }

    /// What the packets themselves said of the direction, and whether the client is the high end.
    pub(super) fn evidence(&self) -> Option<(Direction, bool)> {
        let code = self.evidence.checked_sub(1)?;
        Some((Direction::ALL[usize::from(code / 2)], code % 2 == 1))
    }

    /// Notes that an end sent something that is no RST.
    pub(super) fn mark_answer(&mut self, from_high: bool) {
        self.state |= ANSWER << u16::from(from_high);
    }

    /// Settles the direction.
    pub(super) fn settle(&mut self, direction: Direction, client_high: bool) {
        self.direction = direction as u8;
        self.state = self.state & !CLIENT_HIGH | if client_high { CLIENT_HIGH } else { 0 };
    }

    /// The settled direction.
    pub(super) fn direction(&self) -> Direction {
        Direction::ALL[usize::from(self.direction)]
    }

    /// Whether the client is the high end, once settled.
    pub(super) fn client_high(&self) -> bool {
        self.state & CLIENT_HIGH != 0
    }

    /// Whether the server sent anything but RST, once settled.
    pub(super) fn answered(&self) -> bool {
        self.state & (ANSWER << u16::from(!self.client_high())) != 0
    }

    /// Whether the growing piece has no packets.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.packets == 0
    }

    /// Leaves the row without a growing piece.
    #[inline]
    pub(super) fn drop_piece(&mut self) {
        self.packets = 0;
        self.bytes = 0;
        self.other = 0;
        self.flags = 0;
        self.marks = 0;
    }

    /// A copy of the growing piece, if it has packets.
    #[inline]
    pub(super) fn piece(&self) -> Option<Piece> {
        (!self.is_idle()).then(|| self.narrow().into())
    }

    /// The growing piece as it lies in the row.
    #[inline(always)]
    pub(super) fn narrow(&self) -> Narrow {
        Narrow {
            first: self.first,
            last: self.last,
            flags: self.flags,
            bytes: self.bytes,
            packets: self.packets,
            marks: self.marks,
            other: self.other,
            first_high: self.state & FIRST_HIGH != 0,
        }
    }
}

/// A piece with narrow counters, several in a word as in a [`Row`]: words are written and read back whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Narrow {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Packets with SYN, ACK, RST, FIN: four counts of 16 bits.
    pub(super) flags: u64,
    /// Bytes from the low and from the high end: two counts of 32 bits.
    pub(super) bytes: u64,
    /// Packets from the low and from the high end: two counts of 16 bits.
    pub(super) packets: u32,
    /// Packets with SYN and without ACK, and packets with captured TCP flags: two counts of 16 bits.
    pub(super) marks: u32,
    pub(super) other: u32,
    pub(super) first_high: bool,
}

impl Narrow {
    /// Packets with SYN, ACK, RST, FIN.
    #[inline(always)]
    pub(super) fn flag_counts(&self) -> [u64; 4] {
        [self.flags & 0xffff, self.flags >> 16 & 0xffff, self.flags >> 32 & 0xffff, self.flags >> 48]
    }

    /// Packets from the low and from the high end.
    #[inline(always)]
    pub(super) fn packet_counts(&self) -> [u64; 2] {
        [u64::from(self.packets & 0xffff), u64::from(self.packets >> 16)]
    }

    /// Bytes from the low and from the high end.
    #[inline(always)]
    pub(super) fn byte_counts(&self) -> [u64; 2] {
        [self.bytes & 0xffff_ffff, self.bytes >> 32]
    }
}

impl From<Narrow> for Piece {
    #[inline]
    fn from(narrow: Narrow) -> Piece {
        Piece {
            first: narrow.first,
            last: narrow.last,
            first_high: narrow.first_high,
            packets: narrow.packet_counts(),
            bytes: narrow.byte_counts(),
            other: u64::from(narrow.other),
            flags: narrow.flag_counts(),
            syn_only: u64::from(narrow.marks & 0xffff),
            flagged: u64::from(narrow.marks >> 16),
            notes: None,
        }
    }
}

/// What few flows have: pieces out of order, and notes.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// The newest piece of the flow's chain; see [`super::chain`].
    pub(super) chain: Link,
    /// Pieces that are not growing.
    pub(super) older: Pieces,
    /// Notes of the growing piece.
    pub(super) notes: Option<Box<[Notes; 2]>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_cache_line() {
        assert_eq!(size_of::<Row>(), 64);
    }
}
