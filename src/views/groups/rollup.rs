//! From flows to slices: the pieces of a group's flows, merged where they touch.

use super::chain::{Chains, Link};
use super::close::Entry;
use super::piece::Piece;
use super::row::{Extra, Narrow, Row};
use crate::app::Notes;
use crate::error::Result;
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

/// Scratch space of the roll-up, kept from group to group.
#[derive(Default)]
pub(super) struct Rollup {
    /// Pieces with their flows' rows.
    parts: Vec<(Piece, u32)>,
    /// The same, where all are narrow.
    narrow: Vec<(Narrow, u32)>,
    members: Vec<u32>,
    heads: Vec<Link>,
    chain: Vec<Narrow>,
}

impl Rollup {
    /// Brings what the flows of some entries point at into the cache; their rows should be there.
    pub(super) fn warm<E: Entry>(&mut self, entries: &[E], store: &Store) {
        let rows = &store.rows[..];
        self.heads.clear();
        self.heads.extend(entries.iter().map(|entry| rows[entry.row()].chain()));
        store.chains.warm(&mut self.heads);
    }

    /// Hands over the slices of one group, in order of time. `entries` are all of its flows; `base` is the start of their
    /// window.
    ///
    /// # Errors
    /// What `emit` says; then the rest is left out.
    #[inline]
    pub(super) fn slices<E: Entry>(
        &mut self,
        entries: &[E],
        store: &mut Store,
        base: i64,
        idle: i64,
        mut emit: impl FnMut(&mut Slice) -> Result<()>,
    ) -> Result<()> {
        if let [only] = entries {
            let row = &store.rows[only.row()];
            if row.extra().is_none() && row.chain().is_end() {
                if row.is_idle() {
                    return Ok(());
                }
                return emit(&mut row.narrow().slice(row));
            }
            if row.extra().is_none() && self.gather_chain(row, &store.chains, base) {
                return self.cut_chain(row, idle, emit);
            }
        }
        if entries.iter().all(|entry| store.rows[entry.row()].extra().is_none()) {
            self.gather_narrow(entries, store, base);
            let mut parts = std::mem::take(&mut self.narrow);
            let done = self.cut(parts.drain(..), &store.rows, idle, emit);
            self.narrow = parts;
            done
        } else {
            self.gather(entries, store, base);
            let mut parts = std::mem::take(&mut self.parts);
            let done = self.cut(parts.drain(..), &store.rows, idle, emit);
            self.parts = parts;
            done
        }
    }

    /// Collects the pieces of a flow's row and chain, newest first. False if they did not come in order of time.
    fn gather_chain(&mut self, row: &Row, chains: &Chains, base: i64) -> bool {
        self.chain.clear();
        if !row.is_idle() {
            self.chain.push(row.narrow());
        }
        chains.read(row.chain(), base, &mut self.chain);
        self.chain.is_sorted_by(|newer, older| newer.first >= older.first)
    }

    /// Merges the pieces of one flow that touch.
    fn cut_chain(&mut self, row: &Row, idle: i64, mut emit: impl FnMut(&mut Slice) -> Result<()>) -> Result<()> {
        let mut rest = self.chain.iter().rev().peekable();
        while let Some(piece) = rest.next() {
            let mut slice = piece.slice(row);
            while let Some(next) = rest.next_if(|next| next.first <= slice.last.saturating_add(idle)) {
                slice.merge(&next.slice(row));
            }
            emit(&mut slice)?;
        }
        Ok(())
    }

    /// Collects the pieces of flows that have none but in rows and chains, by time.
    fn gather_narrow<E: Entry>(&mut self, entries: &[E], store: &Store, base: i64) {
        let rows = &store.rows[..];
        self.narrow.clear();
        for entry in entries {
            let at = entry.row() as u32;
            let row = &rows[entry.row()];
            if !row.is_idle() {
                self.narrow.push((row.narrow(), at));
            }
            let mut link = row.chain();
            while !link.is_end() {
                let (piece, previous) = store.chains.get(link, base);
                self.narrow.push((piece, at));
                link = previous;
            }
        }
        // A single flow in order lies newest first, and most are that.
        self.narrow.reverse();
        if !self.narrow.is_sorted_by_key(|(piece, _)| piece.first) {
            self.narrow.sort_unstable_by_key(|(piece, _)| piece.first);
        }
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
                self.parts.extend(extra.older.into_iter().map(|piece| (piece, at)));
            }
            self.parts.extend(growing.map(|piece| (piece, at)));
            while !link.is_end() {
                let (piece, previous) = store.chains.get(link, base);
                self.parts.push((piece.into(), at));
                link = previous;
            }
        }
        self.parts.sort_unstable_by_key(|(piece, _)| piece.first);
    }

    /// Merges pieces that touch. The order of pieces that begin together does not matter: merging commutes.
    fn cut<P: Span>(
        &mut self,
        parts: impl Iterator<Item = (P, u32)>,
        rows: &[Row],
        idle: i64,
        mut emit: impl FnMut(&mut Slice) -> Result<()>,
    ) -> Result<()> {
        let mut rest = parts.peekable();
        while let Some((mut piece, at)) = rest.next() {
            let row = &rows[at as usize];
            let notes = piece.take_notes();
            let mut slice = piece.slice(row);
            slice.note(notes, row.client_high());
            self.members.clear();
            while let Some((mut piece, next)) =
                rest.next_if(|(next, _)| next.first() <= slice.last.saturating_add(idle))
            {
                if self.members.is_empty() {
                    self.members.push(at);
                }
                self.members.push(next);
                let row = &rows[next as usize];
                let notes = piece.take_notes();
                slice.merge(&piece.slice(row));
                slice.note(notes, row.client_high());
            }
            if !self.members.is_empty() {
                self.members.sort_unstable();
                self.members.dedup();
                slice.flows = self.members.len() as u64;
            }
            emit(&mut slice)?;
        }
        Ok(())
    }
}

/// A run of a flow's packets, wide or narrow.
trait Span {
    /// Its earliest packet, ns.
    fn first(&self) -> i64;
    /// It as the start of a slice, turned so that the client of its flow comes first.
    fn slice(&self, flow: &Row) -> Slice;
    /// The notes of its packets.
    fn take_notes(&mut self) -> Option<Box<[Notes; 2]>>;
}

/// Low and high, turned to client and server.
#[inline(always)]
fn turn([low, high]: [u64; 2], client_high: bool) -> [u64; 2] {
    if client_high { [high, low] } else { [low, high] }
}

impl Span for Piece {
    fn first(&self) -> i64 {
        self.first
    }

    fn slice(&self, flow: &Row) -> Slice {
        Slice {
            first: self.first,
            last: self.last,
            packets: turn(self.packets, flow.client_high()),
            bytes: turn(self.bytes, flow.client_high()),
            other: self.other,
            flags: self.flags,
            flows: 1,
            direction: flow.direction(),
            answered: flow.answered(),
            notes: None,
        }
    }

    fn take_notes(&mut self) -> Option<Box<[Notes; 2]>> {
        self.notes.take()
    }
}

impl Span for Narrow {
    #[inline]
    fn first(&self) -> i64 {
        self.first
    }

    #[inline(always)]
    fn slice(&self, flow: &Row) -> Slice {
        Slice {
            first: self.first,
            last: self.last,
            packets: turn(self.packet_counts(), flow.client_high()),
            bytes: turn(self.byte_counts(), flow.client_high()),
            other: self.other.into(),
            flags: self.flag_counts(),
            flows: 1,
            direction: flow.direction(),
            answered: flow.answered(),
            notes: None,
        }
    }

    #[inline]
    fn take_notes(&mut self) -> Option<Box<[Notes; 2]>> {
        None
    }
}

impl Slice {
    /// Adds a piece of the same group, but neither its notes nor that it may be of another flow.
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
        self.direction = self.direction.max(other.direction);
        self.answered |= other.answered;
    }

    fn note(&mut self, notes: Option<Box<[Notes; 2]>>, client_high: bool) {
        if let Some(notes) = notes {
            let [low, high] = *notes;
            self.notes.get_or_insert_default().merge(if client_high { high } else { low });
        }
    }
}
