//! A piece of a flow that is not growing any more, with counters that cannot overflow.

use std::collections::BTreeMap;

use super::row::measures;
use crate::app::Notes;
use crate::config::Measure;
use crate::decode::packet::{Packet, tcp_flag};

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
        let lanes = tcp_flag::lanes(packet.tcp_flags);
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

/// Pieces of one flow; no two of them touch.
///
/// The latest lies apart, since most packets belong to it and most flows have no other.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    latest: Option<Piece>,
    /// The others, by their first time.
    earlier: BTreeMap<i64, Piece>,
}

impl Pieces {
    /// Adds a piece, merging it with those it touches: those at most `idle` ns away.
    pub(super) fn absorb(&mut self, piece: Piece, idle: i64) {
        match &mut self.latest {
            None => self.latest = Some(piece),
            Some(latest) if piece.first > latest.last.saturating_add(idle) => {
                let before = std::mem::replace(latest, piece);
                self.earlier.insert(before.first, before);
            }
            // It begins inside the latest piece or close behind it, and what lies before is out of its reach.
            Some(latest) if piece.first >= latest.first => latest.merge(piece),
            Some(_) => self.absorb_early(piece, idle),
        }
    }

    /// Adds a piece that begins before the latest one.
    fn absorb_early(&mut self, mut piece: Piece, idle: i64) {
        if let Some(latest) = self.latest.take() {
            self.earlier.insert(latest.first, latest);
        }
        while let Some((&at, _)) = self
            .earlier
            .range(..=piece.last.saturating_add(idle))
            .next_back()
            .filter(|(_, older)| older.last.saturating_add(idle) >= piece.first)
        {
            let older = self.earlier.remove(&at).expect("the entry was just found");
            piece.merge(older);
        }
        self.earlier.insert(piece.first, piece);
        self.latest = self.earlier.pop_last().map(|(_, latest)| latest);
    }

    /// The pieces, earliest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.earlier.values().chain(&self.latest)
    }

    /// The pieces themselves, earliest first.
    pub(super) fn into_iter(self) -> impl Iterator<Item = Piece> {
        self.earlier.into_values().chain(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
