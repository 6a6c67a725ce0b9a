//! From flows to slices: the pieces of a group's flows, merged where they touch.

use super::close::Entry;
use super::row::{Extra, Piece, Row};
use crate::app::Notes;
use crate::table::direction::Direction;

/// A maximal run of a group's packets without a gap longer than the idle split; sides are (client, server).
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) packets: [u64; 2],
    pub(super) bytes: [u64; 2],
    pub(super) other: u64,
    pub(super) flags: [u64; 4],
    pub(super) flows: u64,
    pub(super) direction: Direction,
    pub(super) answered: bool,
    /// What enrichers noted of the client's packets.
    pub(super) notes: Notes,
}

/// A piece with its flow.
struct Part {
    piece: Piece,
    row: u32,
    client_high: bool,
}

/// Rolls up one group. `entries` are all of its flows; `parts` is scratch space.
#[inline]
pub(super) fn slices<E: Entry>(
    entries: &[E],
    rows: &[Row],
    extras: &mut [Extra],
    idle: i64,
    mut emit: impl FnMut(Slice),
) {
    if let [only] = entries {
        let row = &rows[only.row()];
        if row.extra == 0
            && let Some(piece) = row.piece()
        {
            let mut slice = Slice::of(&piece, row.client_high());
            slice.flows = 1;
            slice.direction = row.direction();
            slice.answered = row.answered();
            return emit(slice);
        }
    }
    let mut parts: Vec<Part> = Vec::with_capacity(entries.len());
    for entry in entries {
        let row = &rows[entry.row()];
        let mut add = |piece| parts.push(Part { piece, row: entry.row() as u32, client_high: row.client_high() });
        let mut growing = row.piece();
        if let Some(extra) = row.extra.checked_sub(1) {
            let extra = std::mem::take(&mut extras[extra as usize]);
            if let Some(piece) = &mut growing {
                piece.notes = extra.notes;
            }
            extra.older.into_iter().for_each(&mut add);
        }
        growing.into_iter().for_each(add);
    }
    parts.sort_unstable_by_key(|part| (part.piece.first, part.piece.last));
    let mut rest = parts.into_iter().peekable();
    let mut members = Vec::new();
    while let Some(part) = rest.next() {
        let mut slice = Slice::of(&part.piece, part.client_high);
        members.clear();
        members.push(part.row);
        slice.note(part.piece.notes, part.client_high);
        while let Some(part) = rest.next_if(|part| part.piece.first <= slice.last.saturating_add(idle)) {
            slice.merge(&Slice::of(&part.piece, part.client_high));
            slice.note(part.piece.notes, part.client_high);
            members.push(part.row);
        }
        members.sort_unstable();
        members.dedup();
        slice.flows = members.len() as u64;
        slice.direction = members.iter().map(|&row| rows[row as usize].direction()).max().unwrap_or_default();
        slice.answered = members.iter().any(|&row| rows[row as usize].answered());
        emit(slice);
    }
}

impl Slice {
    /// A piece as the start of a slice, turned so that the client comes first.
    #[inline]
    fn of(piece: &Piece, client_high: bool) -> Slice {
        let turn = |[low, high]: [u64; 2]| if client_high { [high, low] } else { [low, high] };
        Slice {
            first: piece.first,
            last: piece.last,
            packets: turn(piece.packets),
            bytes: turn(piece.bytes),
            other: piece.other,
            flags: piece.flags,
            ..Slice::default()
        }
    }

    fn merge(&mut self, other: &Slice) {
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
    }

    fn note(&mut self, notes: Option<Box<[Notes; 2]>>, client_high: bool) {
        if let Some(notes) = notes {
            let [low, high] = *notes;
            self.notes.merge(if client_high { high } else { low });
        }
    }
}
