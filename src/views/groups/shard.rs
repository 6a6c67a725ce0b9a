//! A worker's share of the groups view: open windows, and a row for every flow in each.
//!
//! A flow's row lies at its id and belongs to the window that the flow was last seen in; the rows of its other open
//! windows are parked in a map. Most flows live in one window, so most packets find their row where it lies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chain::Chains;
use super::fragments::{Fragments, Side};
use super::piece::Piece;
use super::plan::Plan;
use super::record::Window;
use super::row::{Extra, Row};
use crate::app::{Notes, Segment};
use crate::decode::PairSeed;
use crate::decode::fragment::datagram;
use crate::decode::packet::{Fragment, Packet, protocol};
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, Part, ShardView};
use crate::prefetch::prefetch_row;
use crate::table::arena::Arena;
use crate::table::{FlowRef, FlowTable};
use crate::time::Timestamp;

/// One worker's share.
pub(super) struct Shard {
    pub(super) plan: Arc<Plan>,
    pub(super) rows: Arena<Row>,
    pub(super) extras: Vec<Extra>,
    pub(super) chains: Chains,
    /// Rows of flows that were last seen in another window, by window number and flow id.
    pub(super) parked: HashMap<(u32, u32), Row>,
    pub(super) fragments: Fragments,
    /// Flows that open windows know by more than their row: parked ones and those of waiting fragments. Made when
    /// windows close, for the table to ask.
    pub(super) held: HashSet<u32>,
    /// The flows of each open window, so that closing one costs what is in it, whatever else there is or was.
    pub(super) members: Members,
    /// Flows that have had no packet but such as no window takes; their rows say [`STRAY`].
    strays: Vec<u32>,
    /// Flows of windows that were closed, for the table to forget.
    pub(super) gone: Vec<u32>,
    pub(super) pairs: PairSeed,
    /// Open windows by start: their number.
    pub(super) open: BTreeMap<Window, u32>,
    numbers: u32,
    /// Windows that end at or before this are closed.
    closed: Timestamp,
    now: Now,
    /// Number of the file whose packets come.
    file: u32,
    /// Files with smaller numbers have been read to the end.
    pub(super) read_before: u32,
    /// Packets that no window of this run takes, by file, since the last hand-over.
    pub(super) aside: BTreeMap<u32, Aside>,
}

/// The window of a row whose flow is in none.
const STRAY: u32 = u32::MAX;

/// Flows by the number of their window, each once, as they came.
#[derive(Default)]
pub(super) struct Members {
    /// The window that flows were added to last lies apart: most come to one.
    latest: u32,
    list: Vec<u32>,
    others: HashMap<u32, Vec<u32>>,
}

impl Members {
    fn add(&mut self, window: u32, flow: u32) {
        if window != self.latest {
            let list = self.others.remove(&window).unwrap_or_default();
            let before = std::mem::replace(&mut self.list, list);
            if !before.is_empty() {
                self.others.insert(self.latest, before);
            }
            self.latest = window;
        }
        self.list.push(flow);
    }

    /// Takes the flows of a window out.
    pub(super) fn take(&mut self, window: u32) -> Vec<u32> {
        if window == self.latest {
            std::mem::take(&mut self.list)
        } else {
            self.others.remove(&window).unwrap_or_default()
        }
    }

    /// The flows of a window.
    pub(super) fn of(&self, window: u32) -> &[u32] {
        if window == self.latest { &self.list } else { self.others.get(&window).map_or(&[], Vec::as_slice) }
    }
}

/// Packets of one file that no window of this run takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Outside the range that was asked for.
    pub out_of_window: Amount,
    /// Of windows that were closed.
    pub late: Amount,
    /// Of windows that an earlier run has finished.
    pub done: Amount,
}

impl std::ops::AddAssign for Aside {
    fn add_assign(&mut self, other: Aside) {
        self.out_of_window += other.out_of_window;
        self.late += other.late;
        self.done += other.done;
    }
}

/// The time range of the last packet, and where its packets go.
#[derive(Clone, Copy)]
struct Now {
    start: i64,
    end: i64,
    goes: Goes,
}

#[derive(Clone, Copy)]
enum Goes {
    /// To the window of this number.
    To(u32),
    Late,
    Outside,
    /// To a window that an earlier run has finished.
    Done,
}

const NOWHERE: Now = Now { start: 0, end: 0, goes: Goes::Outside };

impl Shard {
    pub(super) fn new(plan: Arc<Plan>) -> Shard {
        let fragments = Fragments::new(plan.idle);
        Shard {
            plan,
            rows: Arena::default(),
            extras: Vec::new(),
            chains: Chains::default(),
            parked: HashMap::new(),
            fragments,
            held: HashSet::new(),
            members: Members::default(),
            strays: Vec::new(),
            gone: Vec::new(),
            pairs: PairSeed::random(),
            open: BTreeMap::new(),
            numbers: 0,
            closed: Timestamp::MIN,
            now: NOWHERE,
            file: 0,
            read_before: 0,
            aside: BTreeMap::new(),
        }
    }

    #[cold]
    fn turn_to(&mut self, time: Timestamp) {
        let Some(window) = self.plan.windows.of(time) else {
            // No range of times is known to lie outside; the next packet is looked at again.
            self.now = NOWHERE;
            return;
        };
        let goes = if window.end <= self.closed {
            Goes::Late
        } else if self.plan.done.contains(&window) {
            Goes::Done
        } else {
            let numbers = &mut self.numbers;
            Goes::To(*self.open.entry(window).or_insert_with(|| {
                *numbers = numbers.checked_add(1).expect("fewer than 2^32 windows in a run");
                *numbers
            }))
        };
        self.now = Now { start: window.start.0, end: window.end.0, goes };
    }

    #[cold]
    fn put_aside(&mut self, packet: &Packet, flow: u32, goes: Goes) {
        let row = &mut self.rows[flow as usize];
        if row.window == 0 {
            row.window = STRAY;
            self.strays.push(flow);
        }
        let aside = self.aside.entry(self.file).or_default();
        let amount = match goes {
            Goes::Late => &mut aside.late,
            Goes::Done => &mut aside.done,
            Goes::Outside | Goes::To(_) => &mut aside.out_of_window,
        };
        *amount += Amount::one(packet.wire, packet.captured);
    }

    /// Makes `flow`'s row that of `window`, parking another window's.
    fn enter(&mut self, flow: u32, window: u32) -> &mut Row {
        let row = &mut self.rows[flow as usize];
        if row.window != window {
            if row.window != 0 && row.window != STRAY {
                self.parked.insert((row.window, flow), *row);
            }
            let parked = if self.parked.is_empty() { None } else { self.parked.remove(&(window, flow)) };
            *row = parked.unwrap_or_else(|| {
                self.members.add(window, flow);
                Row::of(window)
            });
        }
        row
    }

    /// The extra of a flow in the window that its row belongs to.
    fn extra(&mut self, flow: u32) -> &mut Extra {
        let row = &mut self.rows[flow as usize];
        if let Some(index) = row.extra() {
            return &mut self.extras[index];
        }
        let index = self.extras.len();
        self.extras.push(Extra { chain: row.chain(), ..Extra::default() });
        row.set_extra(index);
        &mut self.extras[index]
    }

    /// Adds a piece to a flow in a window.
    pub(super) fn absorb(&mut self, flow: u32, window: u32, piece: Piece) {
        self.enter(flow, window);
        let idle = self.plan.idle;
        self.extra(flow).older.absorb(piece, idle);
    }

    /// Takes packets from the `done`th on as long as each only counts: it goes to the flow's growing piece or succeeds it.
    /// Returns the first that needs more, which is then among the done.
    #[inline]
    fn simple<'b>(&mut self, batch: &Batch<'b>, done: &mut usize) -> Option<(&'b Packet, FlowRef)> {
        let (idle, measure, now) = (self.plan.idle, self.plan.measure, self.now);
        let services = &self.plan.services;
        let rows = &mut self.rows[..];
        for (packet, &flow) in batch.packets.iter().zip(batch.flows).skip(*done) {
            if let Some(next) = batch.next.get(*done) {
                prefetch_row(rows, next.id as usize);
            }
            *done += 1;
            let Goes::To(window) = now.goes else { return Some((packet, flow)) };
            let row = &mut rows[flow.id as usize];
            if packet.time.0 < now.start
                || packet.time.0 >= now.end
                || packet.fragment != Fragment::Whole
                || row.window != window
                || packet.payload_length > 0 && packet.protocol == protocol::TCP && services.reads(packet.dst_port)
            {
                return Some((packet, flow));
            }
            if !row.add(packet, flow.from_high, idle, measure) {
                if !row.succeeds(packet, idle) {
                    return Some((packet, flow));
                }
                row.set_chain(self.chains.push(row.chain(), &row.narrow(), now.start));
                row.start(packet, flow.from_high, measure);
            }
        }
        None
    }

    /// Takes any packet.
    fn any(&mut self, packet: &Packet, flow: FlowRef, batch: &Batch<'_>) {
        if packet.time.0 < self.now.start || packet.time.0 >= self.now.end {
            self.turn_to(packet.time);
        }
        let window = match self.now.goes {
            Goes::To(window) => window,
            aside => return self.put_aside(packet, flow.id, aside),
        };
        if packet.fragment != Fragment::Whole && self.add_fragment(packet, flow, window, batch.frame(packet)) {
            return;
        }
        self.add_slowly(packet, flow, window);
        if packet.payload_length > 0 && packet.protocol == protocol::TCP && self.plan.services.reads(packet.dst_port) {
            self.enrich(packet, flow, batch);
        }
    }

    /// A packet that the flow's growing piece does not take, or that starts one.
    #[inline(never)]
    fn add_slowly(&mut self, packet: &Packet, flow: FlowRef, window: u32) {
        let (measure, idle) = (self.plan.measure, self.plan.idle);
        let row = self.enter(flow.id, window);
        if row.add(packet, flow.from_high, idle, measure) {
            return;
        }
        if packet.wire | packet.captured > 0xffff {
            row.witness(packet, flow.from_high);
            let piece = Piece::of(packet, flow.from_high, measure);
            self.extra(flow.id).older.absorb(piece, idle);
            return;
        }
        if !row.is_idle() {
            if row.precedes(packet, idle) {
                row.disorder();
            }
            row.widen(packet);
            self.retire(flow.id);
        }
        self.rows[flow.id as usize].start(packet, flow.from_high, measure);
    }

    /// Moves a flow's growing piece behind it.
    fn retire(&mut self, flow: u32) {
        let (idle, base) = (self.plan.idle, self.now.start);
        let row = &mut self.rows[flow as usize];
        let narrow = row.narrow();
        row.drop_piece();
        let endless = narrow.last.checked_sub(narrow.first).is_none();
        if endless || row.disordered() || row.extra().is_some_and(|extra| self.extras[extra].notes.is_some()) {
            let extra = self.extra(flow);
            let piece = Piece { notes: extra.notes.take(), ..narrow.into() };
            extra.older.absorb(piece, idle);
            return;
        }
        match row.extra() {
            Some(extra) => {
                let chain = &mut self.extras[extra].chain;
                *chain = self.chains.push(*chain, &narrow, base);
            }
            None => {
                let chain = self.chains.push(row.chain(), &narrow, base);
                row.set_chain(chain);
            }
        }
    }

    #[cold]
    fn add_fragment(&mut self, packet: &Packet, flow: FlowRef, window: u32, frame: &[u8]) -> bool {
        let side: Side = (flow.id, flow.from_high);
        let datagram = datagram(packet, frame);
        if packet.fragment == Fragment::First {
            if let Some(datagram) = datagram {
                self.fragments.first(window, packet, datagram, side);
            }
            return false;
        }
        let piece = Piece::of(packet, flow.from_high, self.plan.measure);
        self.held.insert(flow.id);
        self.fragments.later(window, packet, datagram, side, piece);
        true
    }

    #[inline(never)]
    fn enrich(&mut self, packet: &Packet, flow: FlowRef, batch: &Batch<'_>) {
        let payload = packet.payload(batch.frame(packet));
        if payload.is_empty() {
            return;
        }
        let Some(enricher) = self.plan.services.enricher(packet.dst_port) else { return };
        let mut notes = Notes::default();
        enricher.read(&Segment { payload, packet, flow: batch.table.tuple(flow.id) }, &mut notes);
        if notes.is_empty() {
            return;
        }
        let side = usize::from(flow.from_high);
        if packet.wire | packet.captured > 0xffff {
            // The packet is a piece of its own, already among the older ones; its notes join it by touching it.
            let mut both = [Notes::default(), Notes::default()];
            both[side] = notes;
            let piece = Piece {
                first: packet.time.0,
                last: packet.time.0,
                first_high: true,
                notes: Some(Box::new(both)),
                ..Piece::default()
            };
            let idle = self.plan.idle;
            self.extra(flow.id).older.absorb(piece, idle);
            return;
        }
        self.extra(flow.id).notes.get_or_insert_default()[side].merge(notes);
    }
}

impl ShardView for Shard {
    fn file(&mut self, number: u32, _: Timestamp) {
        self.file = number;
        self.read_before = number;
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.rows.reach(batch.table.ids());
        let mut done = 0;
        while let Some((packet, flow)) = self.simple(batch, &mut done) {
            self.any(packet, flow, batch);
        }
        for next in batch.next.iter().skip(done) {
            prefetch_row(&self.rows, next.id as usize);
        }
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        // The window of the last representable time has no end that could be reached.
        let before = before.map(|before| before.min(Timestamp(i64::MAX - 1)));
        if let Some(before) = before {
            self.closed = self.closed.max(before);
        }
        self.now = NOWHERE;
        let closing: BTreeMap<Window, u32> = match before {
            None => std::mem::take(&mut self.open),
            Some(before) => self.open.extract_if(.., |window, _| window.end <= before).collect(),
        };
        if before.is_none() {
            self.read_before = u32::MAX;
        } else {
            for flow in self.strays.drain(..) {
                if let Some(row) = self.rows.get_mut(flow as usize).filter(|row| row.window == STRAY) {
                    row.window = 0;
                    self.gone.push(flow);
                }
            }
        }
        if closing.is_empty() && self.aside.is_empty() && before.is_some() {
            return None;
        }
        Some(Box::new(super::close::hand_over(self, &closing, table)))
    }

    fn settled(&self) -> Timestamp {
        self.plan.windows.of(self.closed).map_or(self.closed, |window| window.start)
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.gone);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.rows.get(flow as usize).is_some_and(|row| row.window != 0) || self.held.contains(&flow)
    }
}
