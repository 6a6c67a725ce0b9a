//! A worker's share of the flows view: a row for every live flow, and the flows that have ended since the last marker.
//!
//! A row lies at its flow's id. It is made by the first packet of a 5-tuple and lasts until the tuple has been silent for
//! the idle timeout, through as many flows as follow one another there; then the table forgets the id. When a flow ends is
//! decided by its own packets in packet time. The clock of markers only decides when what has ended by it leaves.
//!
//! That clock is the last record in front of the marker, but no later than the first record of the next file. So a file
//! that begins before this one ends finds the flows still there. A wild time does no harm unless it is that last record,
//! and then until the next marker: the clock goes back with time. A flow that begins before the clock, by more than the
//! idle timeout, is counted: what came before it may have left.
//!
//! A flow that is over may be followed by another of its row, of which packets wait. So rows are looked at by the last packet
//! of the flow, not of the row, and at a marker the flow ends that is over by its clock: first what waits is taken that no packet at or
//! behind the clock can come before. Hence no flow is held further behind the clock than the idle timeout and the reorder
//! window, which is what the shard says at markers ([`ShardView::settled`]).

use std::sync::Arc;

use super::arrival::Arrival;
use super::deadlines::{Deadlines, slot};
use super::flow::{Flow, LEFT_BEHIND, Serial};
use super::record::EndReason;
use super::said::{Held, Listener, Words};
use super::settings::{Order, Plan, TcpEnd};
use super::stretch::Stretch;
use super::teardown::{LINGER, Verdict};
use super::waiting::Waiting;
use crate::decode::packet::Fragment;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, Mark, Part, ShardView};
use crate::prefetch::{prefetch, prefetch_all};
use crate::table::{Ends, FlowTable};
use crate::time::Timestamp;
use crate::views::rows::Rows;

/// A flow that has ended. As large as a [`Row`]: blocks of those that the end of input empties hold what was in them.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Ended {
    pub(super) ends: Ends,
    pub(super) reason: EndReason,
    pub(super) flow: Flow,
    pub(super) words: Words,
}

impl Ended {
    /// What orders the flows of one marker: the rank, first time, 5-tuple, and the order of flows between two ends.
    #[expect(clippy::type_complexity, reason = "it is compared as a whole")]
    pub(super) fn order(&self, plan: &Plan) -> (i64, i64, (bool, u128, u16, u128, u16, u8), i64, Serial) {
        let Ends { low, high, low_port, high_port, protocol, v6 } = self.ends;
        let ends = (v6, low, low_port, high, high_port, protocol);
        let Serial { mark, turns, count } = self.flow.serial;
        let serial = Serial { mark: mark & !LEFT_BEHIND, turns, count };
        (self.rank(plan), self.flow.first, ends, self.flow.opened, serial)
    }

    /// What most flows are ordered by.
    fn rank(&self, plan: &Plan) -> i64 {
        match plan.settings.order {
            Order::Time => self.flow.first,
            Order::Bytes => {
                let [low, high] = self.flow.bytes(plan);
                i64::try_from(low.saturating_add(high)).map_or(i64::MIN, |bytes| -bytes)
            }
        }
    }
}

/// What a worker hands over at a marker.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) aside: Aside,
    pub(super) ended: EndedFlows,
}

impl Closed {
    /// What the merge is handed: flows in order, or nothing.
    pub(super) fn part(mut self, plan: &Plan) -> Option<Part> {
        self.ended.sort(plan);
        let Aside { out_of_window, filtered, stale, let_go } = self.aside;
        let nothing = self.ended.order.is_empty() && out_of_window.packets + filtered.packets + stale + let_go == 0;
        if nothing { None } else { Some(Box::new(self)) }
    }

    /// Puts a flow among those that have ended. How its connection was closed says more than what came later.
    pub(super) fn close(&mut self, mut flow: Flow, reason: EndReason, ends: Ends, plan: &Plan) {
        if self.takes(&flow, plan) {
            let by_closing = plan.settings.lifetime.tcp_end == TcpEnd::Closed;
            let reason = flow.session.closed.filter(|_| by_closing).unwrap_or(reason);
            let words = flow.said.finish(plan);
            self.ended.flows.push(Ended { ends, reason, flow, words });
        }
    }

    /// Puts all flows of sweeps that have packets among those that have ended; they stay where they are.
    pub(super) fn take_all(&mut self, mut flows: Rows<Ended>, plan: &Plan) {
        for ended in flows.iter_mut() {
            if !self.takes(&ended.flow, plan) {
                ended.flow = Flow::default();
            }
        }
        for ended in std::mem::replace(&mut self.ended.flows, flows).into_rows() {
            self.ended.flows.push(ended);
        }
    }

    /// Whether a flow leaves; the packets of one that has too few are counted.
    fn takes(&mut self, flow: &Flow, plan: &Plan) -> bool {
        let amount = flow.amount();
        let enough = amount.packets >= plan.settings.min_packets;
        if flow.has_begun() && !enough {
            self.aside.filtered += amount;
        }
        flow.has_begun() && enough
    }
}

/// Flows that have ended, and the order in which they leave. Flows are large: they stay where they are, and places are sorted.
/// A place without packets is free.
#[derive(Debug, Default)]
pub(super) struct EndedFlows {
    flows: Rows<Ended>,
    /// Ranks and places, those that leave last in front.
    order: Vec<(i64, u32)>,
}

impl EndedFlows {
    fn sort(&mut self, plan: &Plan) {
        let flows = &self.flows;
        self.order.reserve_exact(flows.len());
        let there = flows.iter().filter(|(_, ended)| ended.flow.has_begun());
        self.order.extend(there.map(|(place, ended)| (ended.rank(plan), place)));
        let order = |(_, place): &(i64, u32)| flows[*place].order(plan);
        self.order.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| order(b).cmp(&order(a))));
    }

    /// The flow that leaves next.
    pub(super) fn first(&self) -> Option<&Ended> {
        self.order.last().map(|(_, place)| &self.flows[*place])
    }

    /// Takes the flow that leaves next, and asks for the memory of those behind it.
    pub(super) fn next(&mut self) -> Option<&mut Ended> {
        let behind = |n: usize| Some(&self.flows[self.order.get(self.order.len().checked_sub(n)?)?.1]);
        behind(1 + 2 * AHEAD).into_iter().for_each(prefetch_all);
        behind(1 + AHEAD).into_iter().for_each(|ended| ended.flow.ask());
        behind(1 + AHEAD / 2).into_iter().for_each(|ended| ended.flow.ask_features());
        self.order.pop().map(|(_, place)| &mut self.flows[place])
    }
}

/// Packets that are in no flow that leaves, and what is not where one would look for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aside {
    pub(super) out_of_window: Amount,
    /// Repetitions, and packets of flows that had too few.
    pub(super) filtered: Amount,
    /// Flows that began before the clock, or before the flow that was there, by more than the idle timeout.
    pub(super) stale: u64,
    /// Datagrams that were let go of before they were complete.
    pub(super) let_go: u64,
}

/// How many flows lie between asking for what a flow has elsewhere and its turn; its own memory is asked for as many
/// before.
const AHEAD: usize = 8;

const _: () = assert!(size_of::<Ended>() == size_of::<Row>());

/// What has a flow id; whole cache lines.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Row {
    flow: Flow,
    waiting: Waiting,
    held: Held,
    /// It has packets.
    live: bool,
    /// The stretch of a file in which its last packet came.
    heard: u32,
    /// The mark of the flow that begins behind a silence, with a packet that waits.
    next: u32,
    /// Where it stands among the deadlines, the upper half of a time; it may have stood elsewhere before time went back.
    slot: i32,
}

impl Row {
    /// Time of its newest packet.
    #[inline]
    fn newest(&self) -> i64 {
        self.waiting.newest().map_or(self.flow.last, |newest| newest.max(self.flow.last))
    }

    /// Whether a packet that comes behind its turn lies so far before all it holds that it is of another flow.
    #[cold]
    fn is_behind(&self, time: i64, idle: i64, window: i64) -> bool {
        let first = if self.flow.is_closed() { self.flow.last } else { self.flow.first };
        let earliest = self.waiting.earliest().map_or(first, |earliest| earliest.min(first));
        self.waiting.is_late(time, window) && earliest.saturating_sub(time) > idle
    }

    /// When to look at it: its flow, or the one that begins with what waits first, may be over before all that waits is.
    fn look(&self, idle: i64, plan: &Plan) -> i64 {
        let last = if self.flow.has_begun() { Some(self.flow.last) } else { self.waiting.earliest() };
        last.map_or_else(|| self.deadline(idle, plan), |last| deadline(last, idle, plan))
    }

    /// When all it holds is over, if nothing more comes.
    fn deadline(&self, idle: i64, plan: &Plan) -> i64 {
        let deadline = deadline(self.newest(), idle, plan);
        if self.flow.is_closed() { deadline.max(self.flow.last.saturating_add(LINGER)) } else { deadline }
    }
}

/// One worker's share.
pub(super) struct Shard {
    plan: Arc<Plan>,
    rows: Rows<Row>,
    deadlines: Deadlines,
    listener: Listener,
    /// The time that the marker behind us told.
    clock: i64,
    /// Where the clock has been at most: what is over by then has left.
    reached: i64,
    /// The newest record of the run.
    newest: i64,
    stretch: Stretch,
    closed: Closed,
    /// Ids that are no longer needed.
    free: Vec<u32>,
}

impl Shard {
    pub(super) fn new(plan: Arc<Plan>) -> Shard {
        Shard {
            plan,
            rows: Rows::default(),
            deadlines: Deadlines::default(),
            listener: Listener::default(),
            clock: i64::MIN,
            reached: i64::MIN,
            newest: i64::MIN,
            stretch: Stretch::default(),
            closed: Closed::default(),
            free: Vec::new(),
        }
    }

    /// Asks for the lines of a row.
    #[inline]
    fn ask(&self, id: u32) {
        let row = self.rows.address(id);
        (0..size_of::<Row>()).step_by(64).for_each(|line| prefetch(row.wrapping_add(line)));
    }

    /// Takes the next packet of a flow.
    #[inline]
    fn arrive(&mut self, id: u32, arrival: Arrival, idle: i64, table: &FlowTable) {
        let ends = || table.ends(id);
        let (time, window) = (arrival.time, self.plan.settings.reorder);
        let row = &mut self.rows[id];
        if !row.live {
            row.live = true;
            let over = deadline(time, idle, &self.plan);
            self.closed.aside.stale += u64::from(time.saturating_add(idle) < self.clock);
            row.flow.serial = Serial { mark: self.stretch.mark(over, Serial::default()), ..Serial::default() };
            row.slot = self.deadlines.insert(over, id) as i32;
        }
        row.heard = self.stretch.name;
        let newest = row.newest();
        let (back, follows) = (time < newest, time.saturating_sub(newest) > idle);
        let mark = |flow: &Flow| self.stretch.mark(deadline(time, idle, &self.plan), flow.serial);
        let next = if follows && window == 0 { mark(&row.flow) } else { row.next };
        let mut desk = Desk { plan: &self.plan, closed: &mut self.closed, idle, next };
        let Row { flow, waiting, held, .. } = row;
        waiting.push(arrival, window, |arrival| desk.take(flow, held, arrival, ends));
        if follows {
            // What waited before it has been taken.
            row.next = mark(&row.flow);
        }
        if back {
            // What it holds may now be over earlier.
            let look = row.look(idle, &self.plan);
            if slot(look) < row.slot.into() {
                row.slot = self.deadlines.insert(look, id) as i32;
            }
        }
    }

    /// Ends what a row holds where time goes back to `time`, before all of it by more than the idle timeout.
    #[cold]
    fn go_back(&mut self, id: u32, time: i64, idle: i64, ends: Ends) {
        let row = &mut self.rows[id];
        let mut desk = Desk { plan: &self.plan, closed: &mut self.closed, idle, next: row.next };
        row.waiting.flush(|arrival| desk.take(&mut row.flow, &mut row.held, arrival, || ends));
        let mut ended = std::mem::take(&mut row.flow);
        let mark = self.stretch.name;
        // Where it was heard of in another stretch, it may as well have left at the marker between.
        let turns = if row.heard == mark {
            let Serial { mark: before, turns, .. } = ended.serial;
            // Another flow may begin at its time in this stretch.
            ended.serial.mark = LEFT_BEHIND | mark;
            if before == mark { turns + 1 } else { 1 }
        } else {
            0
        };
        desk.close(ended, EndReason::Idle, ends);
        row.flow.serial = Serial { mark, turns, count: 0 };
        row.waiting = Waiting::default();
        row.slot = self.deadlines.insert(deadline(time, idle, &self.plan), id) as i32;
        self.closed.aside.stale += 1;
    }

    /// Ends the flows that are over at `now`.
    fn expire(&mut self, now: i64, table: &FlowTable) {
        self.reached = self.reached.max(now);
        self.newest = self.newest.max(now);
        let passed = self.deadlines.passed(now);
        for (nth, &(slot, id)) in passed.iter().enumerate() {
            if let Some(&(_, later)) = passed.get(nth + 2 * AHEAD) {
                self.ask(later);
            }
            if let Some(&(_, soon)) = passed.get(nth + AHEAD) {
                self.rows[soon].flow.ask();
            }
            let row = &mut self.rows[id];
            if !row.live || i64::from(row.slot) != slot {
                continue;
            }
            let idle = self.plan.idle(table.ends(id).protocol);
            let deadline = row.deadline(idle, &self.plan);
            if deadline < now {
                let row = std::mem::take(row);
                self.end(row, idle, now, table.ends(id));
                self.free.push(id);
            } else {
                if row.look(idle, &self.plan) < now {
                    let mut desk = Desk { plan: &self.plan, closed: &mut self.closed, idle, next: row.next };
                    desk.settle(row, now, table.ends(id));
                }
                row.slot = self.deadlines.insert(row.look(idle, &self.plan), id) as i32;
            }
        }
    }

    /// Ends what a row holds, at the time `now`.
    fn end(&mut self, mut row: Row, idle: i64, now: i64, ends: Ends) {
        let mut desk = Desk { plan: &self.plan, closed: &mut self.closed, idle, next: row.next };
        row.waiting.flush(|arrival| desk.take(&mut row.flow, &mut row.held, arrival, || ends));
        let reason = row.flow.over(now, idle, &self.plan).unwrap_or(EndReason::Eof);
        desk.close(row.flow, reason, ends);
    }

    /// What has ended, in order.
    fn take_closed(&mut self) -> Option<Part> {
        std::mem::take(&mut self.closed).part(&self.plan)
    }
}

/// When all flows of a row are over whose newest packet came at `last`. Which flow that packet is of is open while it waits, so
/// when its flow began does not matter here.
fn deadline(last: i64, idle: i64, plan: &Plan) -> i64 {
    last.saturating_add(idle.min(plan.held))
}

/// Where packets go whose turn has come.
struct Desk<'s> {
    plan: &'s Plan,
    closed: &'s mut Closed,
    idle: i64,
    /// The mark of a flow that begins behind a silence.
    next: u32,
}

impl Desk<'_> {
    /// Ends the flow of a row that is over at `now`, though packets wait behind it: they are of the next one. What waits for longer than it may is
    /// taken first, for none that comes at `now` or later goes before it.
    #[cold]
    fn settle(&mut self, row: &mut Row, now: i64, ends: Ends) {
        let Row { flow, waiting, held, .. } = row;
        waiting.take_until(now.saturating_sub(self.plan.settings.reorder), |arrival| {
            self.take(flow, held, arrival, || ends);
        });
        let is_over = |flow: &Flow, time: i64| time.saturating_sub(flow.last) > self.idle;
        if flow.has_begun()
            && is_over(flow, now)
            && let Some(first) = waiting.earliest().filter(|first| is_over(flow, *first))
            && let Some(reason) = flow.over(first, self.idle, self.plan)
        {
            let serial = self.next(flow.serial);
            let ended = std::mem::take(flow);
            flow.serial = serial;
            self.close(ended, reason, ends);
        }
    }

    /// Adds a packet to its flow, or ends that and begins another.
    #[inline]
    fn take(&mut self, flow: &mut Flow, held: &mut Held, arrival: &Arrival, ends: impl Fn() -> Ends) {
        if flow.has_begun()
            && let Some((reason, serial)) = self.follows(flow, arrival)
        {
            let mut ended = std::mem::take(flow);
            if ended.goes_on(arrival, self.idle, self.plan) {
                *flow = ended.heir(self.plan);
            }
            flow.serial = serial;
            self.close(ended, reason, ends());
        }
        flow.said.take(arrival, held, &ends, self.plan);
        let verdict = if self.plan.judges { flow.judge(arrival, &ends, self.plan) } else { Verdict::Stays };
        if verdict == Verdict::LeftOut || !flow.add(arrival, &ends, self.plan) {
            self.closed.aside.filtered += Amount::one(arrival.wire, arrival.captured);
        }
        if let Verdict::Ends(reason) = verdict {
            let remains = flow.remains(arrival.time, self.plan);
            let ended = std::mem::replace(flow, remains);
            self.close(ended, reason, ends());
        }
    }

    /// Whether a packet is of the next flow: why this one has ended, and what the next is called.
    #[inline]
    fn follows(&self, flow: &Flow, arrival: &Arrival) -> Option<(EndReason, Serial)> {
        let Serial { mark, turns, count } = flow.serial;
        if let Some(reason) = flow.over(arrival.time, self.idle, self.plan) {
            let is_silent = arrival.time.saturating_sub(flow.last) > self.idle;
            return Some((reason, if is_silent { self.next(flow.serial) } else { Serial { mark, turns, count: 0 } }));
        }
        let reopens = flow.is_followed_by(arrival, self.plan);
        reopens.then_some((EndReason::Reuse, Serial { mark, turns, count: count + 1 }))
    }

    /// What the flow is called that begins behind a silence.
    fn next(&self, before: Serial) -> Serial {
        let turns = if before.mark == self.next { before.turns } else { 0 };
        Serial { mark: self.next, turns, count: 0 }
    }

    fn close(&mut self, flow: Flow, reason: EndReason, ends: Ends) {
        self.closed.close(flow, reason, ends, self.plan);
    }
}

impl ShardView for Shard {
    fn file(&mut self, _: u32, _: Timestamp) {
        self.stretch.is_new = true;
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.rows.reach(batch.table.ids());
        batch.flows.iter().take(AHEAD).for_each(|flow| self.rows[flow.id].flow.ask());
        for next in batch.next.iter().skip(batch.packets.len()) {
            self.ask(next.id);
        }
        for (nth, (packet, flow)) in batch.packets.iter().zip(batch.flows).enumerate() {
            if let Some(next) = batch.next.get(nth) {
                self.ask(next.id);
            }
            if let Some(soon) = batch.flows.get(nth + AHEAD) {
                self.rows[soon.id].flow.ask();
            }
            if let Some(sooner) = batch.flows.get(nth + AHEAD / 2) {
                self.rows[sooner.id].flow.ask_features();
            }
            if self.plan.settings.clip.is_some_and(|clip| packet.time < clip.start || packet.time >= clip.end) {
                self.closed.aside.out_of_window += Amount::one(packet.wire, packet.captured);
                continue;
            }
            let frame = batch.frame(packet);
            let mut arrival = Arrival::of(packet, flow.from_high, frame);
            let idle = self.plan.idle(arrival.protocol);
            let row = &self.rows[flow.id];
            if arrival.time < row.newest() && row.is_behind(arrival.time, idle, self.plan.settings.reorder) {
                self.go_back(flow.id, arrival.time, idle, batch.table.ends(flow.id));
            }
            if self.plan.said {
                let Row { flow, held, .. } = &mut self.rows[flow.id];
                self.listener.hear(packet, frame, &mut arrival, flow, held, idle, &self.plan);
            }
            self.arrive(flow.id, arrival, idle, batch.table);
            if self.plan.said && packet.fragment != Fragment::Whole {
                let rows = &mut self.rows;
                self.listener.join(packet, frame, *flow, batch.table, &self.plan, |id| {
                    let row = rows.get_mut(id).filter(|row| row.live);
                    row.map(|Row { flow, held, .. }| (flow, held))
                });
            }
        }
    }

    fn mark(&mut self, mark: Mark, table: &FlowTable) -> Option<Part> {
        let now = mark.last.min(mark.next_file).0;
        // What waits for fragments waits one stretch longer than flows, so that no single time ends it.
        let before = std::mem::replace(&mut self.clock, now).min(now);
        self.newest = self.newest.max(mark.newest.0);
        self.expire(now, table);
        self.stretch.passes(mark.end.0);
        self.closed.aside.let_go += self.listener.end_stretch(mark.fragments, before);
        self.take_closed()
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        match before {
            Some(before) => {
                self.clock = self.clock.max(before.0);
                self.expire(before.0, table);
                self.stretch.closes(before.0);
            }
            None => {
                while let Some((first, rows)) = self.rows.pop() {
                    for (row, id) in rows.into_iter().zip(first..).filter(|(row, _)| row.live) {
                        let ends = table.ends(id);
                        self.end(row, self.plan.idle(ends.protocol), self.newest, ends);
                    }
                }
            }
        }
        self.take_closed()
    }

    fn settled(&self) -> Timestamp {
        Timestamp(self.reached.saturating_sub(self.plan.settings.hindsight().records))
    }

    fn quiet(&mut self, _: Timestamp, _: bool) {
        self.stretch.is_quiet = true;
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.free);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.rows.get(flow).is_some_and(|row| row.live)
    }
}
