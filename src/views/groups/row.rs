//! A flow's counters in one window: a narrow row for the piece that is growing, wide pieces for the rest.
//!
//! A piece is a set of the flow's packets in which no gap exceeds the idle split. The row, one cache line, holds the
//! piece that packets are being added to. A packet that does not belong to it (a gap, a packet from long before), or
//! that its narrow counters cannot take, sends the piece to the flow's older pieces, where pieces that touch are merged.
//! So there are never more older pieces than the flow has slices, whatever the order of packets.

use std::collections::BTreeMap;

use bytemuck::{Pod, Zeroable};

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
    /// Bytes from the low and from the high end, by the configured measure.
    bytes: [u32; 2],
    /// Bytes by the other measure, both directions.
    other: u32,
    /// Number of the window plus one; 0 when the row is unused.
    pub(super) window: u32,
    /// Index of the flow's [`Extra`] plus one; 0 when there is none.
    pub(super) extra: u32,
    /// Packets from the low and from the high end.
    packets: [u16; 2],
    /// Packets with SYN and without ACK.
    syn_only: u16,
    /// Packets with captured TCP flags.
    flagged: u16,
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

/// Packets that a row's narrow counters can take; 65,535 packets of 65,535 bytes stay below 2^32.
const MOST: u32 = 0xffff;

/// `flags` of one packet, by FIN, SYN, RST and ACK bits.
const LANES: [u64; 32] = {
    let mut lanes = [0; 32];
    let mut flags = 0;
    while flags < 32u8 {
        let [syn, ack, rst, fin] = [
            flags & tcp_flag::SYN != 0,
            flags & tcp_flag::ACK != 0,
            flags & tcp_flag::RST != 0,
            flags & tcp_flag::FIN != 0,
        ];
        lanes[flags as usize] = syn as u64 | (ack as u64) << 16 | (rst as u64) << 32 | (fin as u64) << 48;
        flags += 1;
    }
    lanes
};

/// Both measures of a packet's bytes, the configured one first.
#[inline(always)]
fn measures(packet: &Packet, measure: Measure) -> (u32, u32) {
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

    /// Adds a packet of the row's window, unless it has to go another way: then nothing changes and the answer is no.
    #[inline(always)]
    pub(super) fn add(&mut self, packet: &Packet, from_high: bool, idle: i64, measure: Measure) -> bool {
        let time = packet.time.0;
        let full = u32::from(self.packets[0]) + u32::from(self.packets[1]) >= MOST;
        if time < self.first.saturating_sub(idle)
            || time > self.last.saturating_add(idle)
            || full
            || packet.wire | packet.captured > MOST
        {
            return false;
        }
        if time <= self.first && (time < self.first || !from_high) {
            self.state = self.state & !FIRST_HIGH | u16::from(from_high);
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.count(packet, from_high, measure);
        true
    }

    /// Starts the growing piece with a packet that fits a row.
    #[inline]
    pub(super) fn start(&mut self, packet: &Packet, from_high: bool, measure: Measure) {
        self.first = packet.time.0;
        self.last = packet.time.0;
        self.state = self.state & !FIRST_HIGH | u16::from(from_high);
        self.count(packet, from_high, measure);
    }

    #[inline(always)]
    fn count(&mut self, packet: &Packet, from_high: bool, measure: Measure) {
        let side = usize::from(from_high);
        let (bytes, other) = measures(packet, measure);
        self.packets[side] += 1;
        self.bytes[side] += bytes;
        self.other += other;
        let flags = packet.tcp_flags;
        self.flags += LANES[usize::from(flags & 31)];
        self.syn_only += u16::from(flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN);
        self.flagged += u16::from(packet.has_flags);
        self.witness(packet, from_high);
    }

    /// Takes what a packet says of the flow as a whole: evidence of direction, and whether an end answers.
    #[inline(always)]
    pub(super) fn witness(&mut self, packet: &Packet, from_high: bool) {
        self.state |= u16::from(packet.tcp_flags & tcp_flag::RST == 0) << (1 + u16::from(from_high));
        if let Some((rank, sender_is_client)) = evidence(packet) {
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

    /// The growing piece, if it has packets, widened; leaves the row without one.
    pub(super) fn take(&mut self) -> Option<Piece> {
        let piece = self.piece()?;
        self.packets = [0; 2];
        self.bytes = [0; 2];
        self.other = 0;
        self.flags = 0;
        self.syn_only = 0;
        self.flagged = 0;
        Some(piece)
    }

    /// A copy of the growing piece, if it has packets.
    #[inline]
    pub(super) fn piece(&self) -> Option<Piece> {
        if self.packets == [0; 2] {
            return None;
        }
        let lane = |i: u32| (self.flags >> (16 * i)) & 0xffff;
        Some(Piece {
            first: self.first,
            last: self.last,
            first_high: self.state & FIRST_HIGH != 0,
            packets: self.packets.map(u64::from),
            bytes: self.bytes.map(u64::from),
            other: u64::from(self.other),
            flags: [lane(0), lane(1), lane(2), lane(3)],
            syn_only: u64::from(self.syn_only),
            flagged: u64::from(self.flagged),
            notes: None,
        })
    }
}

/// A piece with counters that cannot overflow.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    /// Earliest and latest packet, ns.
    pub(super) first: i64,
    pub(super) last: i64,
    /// The earliest packet came from the high end (of equal times, the low end's counts).
    pub(super) first_high: bool,
    /// Packets by end: low, high.
    pub(super) packets: [u64; 2],
    /// Bytes by end, by the configured measure.
    pub(super) bytes: [u64; 2],
    /// Bytes by the other measure.
    pub(super) other: u64,
    /// Packets with SYN, ACK, RST, FIN.
    pub(super) flags: [u64; 4],
    pub(super) syn_only: u64,
    pub(super) flagged: u64,
    /// What enrichers noted of packets from the low and from the high end.
    pub(super) notes: Option<Box<[Notes; 2]>>,
}

impl Piece {
    /// A piece of one packet, whatever its length.
    pub(super) fn of(packet: &Packet, from_high: bool, measure: Measure) -> Piece {
        let (bytes, other) = measures(packet, measure);
        let lanes = LANES[usize::from(packet.tcp_flags & 31)];
        let mut piece = Piece {
            first: packet.time.0,
            last: packet.time.0,
            first_high: from_high,
            other: u64::from(other),
            flags: [lanes & 1, lanes >> 16 & 1, lanes >> 32 & 1, lanes >> 48],
            syn_only: u64::from(packet.tcp_flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN),
            flagged: u64::from(packet.has_flags),
            ..Piece::default()
        };
        piece.packets[usize::from(from_high)] = 1;
        piece.bytes[usize::from(from_high)] = u64::from(bytes);
        piece
    }

    /// Adds another piece of the same flow. Commutative and associative.
    pub(super) fn merge(&mut self, other: Piece) {
        if (other.first, other.first_high) < (self.first, self.first_high) {
            self.first_high = other.first_high;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for side in 0..2 {
            self.packets[side] += other.packets[side];
            self.bytes[side] += other.bytes[side];
        }
        for (sum, n) in self.flags.iter_mut().zip(other.flags) {
            *sum += n;
        }
        self.other += other.other;
        self.syn_only += other.syn_only;
        self.flagged += other.flagged;
        merge_notes(&mut self.notes, other.notes);
    }
}

/// Adds notes to notes, side by side.
pub(super) fn merge_notes(into: &mut Option<Box<[Notes; 2]>>, from: Option<Box<[Notes; 2]>>) {
    match (into.as_mut(), from) {
        (_, None) => {}
        (None, from) => *into = from,
        (Some(into), Some(from)) => {
            let [low, high] = *from;
            into[0].merge(low);
            into[1].merge(high);
        }
    }
}

/// Pieces of one flow, by their first time; no two of them touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(BTreeMap<i64, Piece>);

impl Pieces {
    /// Adds a piece, merging it with those it touches: those at most `idle` ns away.
    pub(super) fn absorb(&mut self, mut piece: Piece, idle: i64) {
        while let Some((&at, _)) = self
            .0
            .range(..=piece.last.saturating_add(idle))
            .next_back()
            .filter(|(_, older)| older.last.saturating_add(idle) >= piece.first)
        {
            let older = self.0.remove(&at).expect("the entry was just found");
            piece.merge(older);
        }
        self.0.insert(piece.first, piece);
    }

    /// The pieces, earliest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.0.values()
    }

    /// The pieces themselves, earliest first.
    pub(super) fn into_iter(self) -> impl Iterator<Item = Piece> {
        self.0.into_values()
    }
}

/// What few flows have: pieces before and behind the growing one, and notes.
#[derive(Debug, Default)]
pub(super) struct Extra {
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

    #[test]
    fn zigzag_times_make_no_more_pieces_than_slices() {
        let mut pieces = Pieces::default();
        for i in 0..10_000i64 {
            let time = (i % 3) * 1_000_000 + i;
            pieces.absorb(Piece { first: time, last: time, packets: [1, 0], ..Piece::default() }, 10_000);
        }
        assert_eq!(pieces.iter().count(), 3);
        assert_eq!(pieces.iter().map(|piece| piece.packets[0]).sum::<u64>(), 10_000);
    }
}
