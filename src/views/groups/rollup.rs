//! From flows to slices: the pieces of a group's flows, merged where they touch.

use super::chain::{Chains, Link};
use super::close::Entry;
use super::piece::Piece;
use super::row::{Extra, Row};
use crate::app::Notes;
use crate::table::arena::Arena;
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
    pub(super) notes: Option<Box<Notes>>,
}

/// What one worker handed over of all its windows: rows, and what they point at.
pub(super) struct Store {
    pub(super) rows: Arena<Row>,
    pub(super) extras: Vec<Extra>,
    pub(super) chains: Chains,
}

impl Store {
    /// SYN-only packets of a flow, and its packets with TCP flags.
    pub(super) fn syn_only(&self, at: usize, base: i64) -> (u64, u64) {
        let row = &self.rows[at];
        let (mut syn_only, mut flagged) = (0, 0);
        let mut add = |piece: &Piece| {
            syn_only += piece.syn_only;
            flagged += piece.flagged;
        };
        row.piece().iter().for_each(&mut add);
        let mut link = row.chain();
        if let Some(extra) = row.extra().map(|index| &self.extras[index]) {
            extra.older.iter().for_each(&mut add);
            link = extra.chain;
        }
        while !link.is_end() {
            let (piece, previous) = self.chains.get(link, base);
            add(&piece.into());
            link = previous;
        }
        (syn_only, flagged)
    }
}

/// A piece with its flow's row.
struct Part {
    piece: Piece,
    row: u32,
}

/// Scratch space of the roll-up, kept from group to group.
#[derive(Default)]
pub(super) struct Rollup {
    parts: Vec<Part>,
    members: Vec<u32>,
    heads: Vec<Link>,
    slices: Vec<Slice>,
}

impl Rollup {
    /// Brings what the flows of some entries point at into the cache; their rows should be there.
    pub(super) fn warm<E: Entry>(&mut self, entries: &[E], store: &Store) {
        let rows = &store.rows[..];
        self.heads.clear();
        self.heads.extend(entries.iter().map(|entry| rows[entry.row()].chain()));
        store.chains.warm(&mut self.heads);
    }

    /// The slices of one group, in order of time. `entries` are all of its flows; `base` is the start of their window.
    #[inline]
    pub(super) fn slices<E: Entry>(&mut self, entries: &[E], store: &mut Store, base: i64, idle: i64) -> &mut [Slice] {
        self.slices.clear();
        if let [only] = entries {
            let row = &store.rows[only.row()];
            if row.extra().is_none() && row.chain().is_end() {
                let high = row.client_high();
                self.slices.extend(row.piece().map(|piece| Slice {
                    flows: 1,
                    direction: row.direction(),
                    answered: row.answered(),
                    ..Slice::of(&piece, high)
                }));
                return &mut self.slices;
            }
        }
        self.gather(entries, store, base);
        self.cut(&store.rows, idle);
        &mut self.slices
    }

    /// Collects the pieces of all flows, by time.
    fn gather<E: Entry>(&mut self, entries: &[E], store: &mut Store, base: i64) {
        self.parts.clear();
        for entry in entries {
            let at = entry.row() as u32;
            let row = &store.rows[entry.row()];
            let mut growing = row.piece();
            let mut link = row.chain();
            if let Some(index) = row.extra() {
                let extra = std::mem::take(&mut store.extras[index]);
                link = extra.chain;
                if let Some(piece) = &mut growing {
                    piece.notes = extra.notes;
                }
                self.parts.extend(extra.older.into_iter().map(|piece| Part { piece, row: at }));
            }
            self.parts.extend(growing.map(|piece| Part { piece, row: at }));
            while !link.is_end() {
                let (piece, previous) = store.chains.get(link, base);
                self.parts.push(Part { piece: piece.into(), row: at });
                link = previous;
            }
        }
        // A single flow in order lies newest first, and most are that.
        self.parts.reverse();
        if !self.parts.is_sorted_by_key(|part| part.piece.first) {
            self.parts.sort_unstable_by_key(|part| part.piece.first);
        }
    }

    /// Merges pieces that touch. The order of pieces that begin together does not matter: merging commutes.
    fn cut(&mut self, rows: &[Row], idle: i64) {
        let mut rest = self.parts.drain(..).peekable();
        while let Some(part) = rest.next() {
            let row = &rows[part.row as usize];
            let mut slice = Slice::of(&part.piece, row.client_high());
            slice.flows = 1;
            slice.direction = row.direction();
            slice.answered = row.answered();
            slice.note(part.piece.notes, row.client_high());
            self.members.clear();
            while let Some(next) = rest.next_if(|next| next.piece.first <= slice.last.saturating_add(idle)) {
                if self.members.is_empty() {
                    self.members.push(part.row);
                }
                self.members.push(next.row);
                let row = &rows[next.row as usize];
                slice.merge(&Slice::of(&next.piece, row.client_high()));
                slice.direction = slice.direction.max(row.direction());
                slice.answered |= row.answered();
                slice.note(next.piece.notes, row.client_high());
            }
            if !self.members.is_empty() {
                self.members.sort_unstable();
                self.members.dedup();
                slice.flows = self.members.len() as u64;
            }
            self.slices.push(slice);
        }
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
            self.notes.get_or_insert_default().merge(if client_high { high } else { low });
        }
    }
}
