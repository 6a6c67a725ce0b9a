//! The worker's share: there is one worker, which sees all packets in the order of the capture.
//!
//! A bucket leaves when the clock is behind its end by the reorder window, empty or not; but a row for a gap leaves when the gap is
//! over. The clock is the latest time that two packets in a row have reached: one wild time moves nothing, and would make all packets
//! behind it late if it did. The price is that a row waits for two packets. The clock does not pass the beginning of the next file,
//! which may lie in this one.
//!
//! A row is of the time at which its bucket begins. What is yet to come begins no earlier than the bucket of each width that leaves next, and that is
//! what the shard says at a marker ([`ShardView::settled`]): a row waits for its second packet, and the row of a gap for the end of the gap, however
//! long that is. Where it is told that no packet before some time will come, nobody knows of a gap yet that ends there: its rows, if they come, are of
//! times before what was said.
//!
//! Which packets begin a flow is told in the order of time. So packets of which it cannot be told as they come wait until the clock is behind
//! them by the window, and then count as new in their bucket, which is still open; at most 65,536 wait, and of those that come later still
//! it is told as they come. A packet that is late for a width has no say in it, so all widths have the same flows.

use std::sync::Arc;

use super::Settings;
use super::known::{Flows, Step};
use super::row::Row;
use super::seen::Seen;
use super::sides::Sides;
use super::widths::{InTime, Widths};
use crate::config::Measure;
use crate::decode::Packet;
use crate::engine::ledger::{Amount, Outcome};
use crate::engine::view::{Batch, Mark, Part, ShardView};
use crate::prefetch::prefetch;
use crate::table::{FlowRef, FlowTable};
use crate::time::Timestamp;
use crate::views::in_order::InOrder;

/// What is handed over at a marker.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Rows as they left, of those that left together one width behind the other.
    pub(super) rows: Vec<Row>,
    /// Where those that left together end.
    pub(super) ends: Vec<usize>,
    pub(super) outcome: Outcome,
}

impl Left {
    /// What left since the last time left together.
    #[inline]
    fn end(&mut self) {
        let end = self.rows.len();
        if self.ends.last().copied().unwrap_or(0) < end {
            self.ends.push(end);
        }
    }
}

/// See the module.
pub(super) struct Shard {
    settings: Arc<Settings>,
    sides: Sides,
    widths: Widths,
    flows: Flows,
    /// Packets of which it is to be told whether a flow begins with them.
    waiting: InOrder<Step>,
    clock: i64,
    /// No packet that is not late comes before.
    now: i64,
    /// Time of the last packet; none in front of a file.
    last: Option<i64>,
    next_file: i64,
    /// No packet before this would come, it was told last.
    quiet: i64,
    /// Rows to come begin here or later, as the last marker stood.
    settled: i64,
    left: Left,
}

impl Shard {
    pub(super) fn new(settings: Arc<Settings>) -> Shard {
        Shard {
            sides: Sides::new(&settings.local),
            widths: Widths::new(&settings),
            flows: Flows::default(),
            waiting: InOrder::default(),
            clock: i64::MIN,
            now: i64::MIN,
            last: None,
            next_file: i64::MAX,
            quiet: i64::MIN,
            settled: i64::MIN,
            left: Left::default(),
            settings,
        }
    }

    #[inline]
    fn take<'f>(&mut self, packet: &Packet, frame: impl Fn() -> &'f [u8], flow: FlowRef) {
        let (time, amount) = (packet.time.0, Amount::one(packet.wire, packet.captured));
        if self.settings.clip.is_some_and(|clip| packet.time < clip.start || packet.time >= clip.end) {
            self.left.outcome.out_of_window += amount;
            return;
        }
        let bytes = match self.settings.bytes {
            Measure::Wire => packet.wire,
            Measure::Captured => packet.captured,
        };
        let seen = Seen::of(packet, &frame, self.sides.way(packet, &frame), bytes);
        let mut step = Step::of(flow.id, packet);
        let stay = self.widths.stay(time);
        let in_time = match stay {
            Some(stay) => {
                // A later fragment is of the flow of those whose ports are 0, and has none.
                let is_new = step.is_later() || self.flows.is_new_in(stay << 2 | seen.way as u64, flow);
                self.widths.count(&seen, is_new);
                InTime::All
            }
            None => self.widths.turn(time, &seen),
        };
        match in_time {
            InTime::None => self.left.outcome.late += amount,
            InTime::Some | InTime::All => self.left.outcome.kept += amount,
        }
        if in_time == InTime::All && !self.flows.passes(time, &mut step) {
            self.waiting.push(time, step);
        }
        if stay.is_none() {
            self.relieve();
        }
        let reached = self.last.replace(time).map_or(i64::MIN, |last| last.min(time));
        if reached > self.clock {
            self.clock = reached;
            self.now = reached.saturating_sub(self.settings.reorder).min(self.next_file);
            self.pass(self.now);
        } else if self.waiting.is_crowded() {
            self.told(self.now.saturating_sub(1));
        }
    }

    /// Where more buckets of a width are open than may be, the earliest leaves, though it is not over.
    #[cold]
    fn relieve(&mut self) {
        for nth in 0..self.settings.widths.len() {
            if let Some(end) = self.widths.crowded(nth) {
                self.told(end.saturating_sub(1));
                self.widths.relieve(nth, end, &mut self.left.rows);
                self.left.end();
            }
        }
    }

    /// Nothing before this time is waited for.
    #[inline]
    fn pass(&mut self, now: i64) {
        if self.waiting.has_by(now.saturating_sub(1)) {
            self.told(now.saturating_sub(1));
        }
        if self.widths.is_due(now) {
            self.widths.leave(now, &mut self.left.rows);
            self.left.end();
        }
    }

    /// Tells of packets up to a time, and of those that find no room to wait, whether flows begin with them.
    fn told(&mut self, until: i64) {
        while let Some((time, step)) = self.waiting.pop_by(until) {
            if let Some(kind) = self.flows.take(time, &step) {
                self.widths.begins(time, kind);
            }
        }
    }

    fn take_left(&mut self) -> Option<Part> {
        let left = std::mem::take(&mut self.left);
        let nothing = left.rows.is_empty() && left.outcome == Outcome::default();
        if nothing { None } else { Some(Box::new(left)) }
    }
}

impl ShardView for Shard {
    fn file(&mut self, _: u32, next: Timestamp) {
        self.next_file = next.0;
        (self.last, self.clock, self.now) = (None, i64::MIN, i64::MIN);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.flows.reach(batch.table.ids());
        for (nth, (packet, flow)) in batch.packets.iter().zip(batch.flows).enumerate() {
            if let Some(next) = batch.next.get(nth) {
                prefetch(self.flows.address(next.id));
            }
            self.take(packet, || batch.frame(packet), *flow);
        }
    }

    fn mark(&mut self, mark: Mark, _: &FlowTable) -> Option<Part> {
        self.flows.expire(self.now);
        self.settled = self.widths.settled(mark.last.min(mark.next_file).0, self.quiet);
        self.take_left()
    }

    fn hand_over(&mut self) -> Option<Part> {
        self.take_left()
    }

    fn settled(&self) -> Timestamp {
        Timestamp(self.settled)
    }

    fn quiet(&mut self, until: Timestamp, follows: bool) {
        self.quiet = until.0;
        self.pass(until.0);
        // The gap is one between packets, though the one behind it is yet to come.
        if follows {
            self.widths.fill(until.0, &mut self.left.rows);
            self.left.end();
        }
    }

    fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        if before.is_none() {
            self.told(i64::MAX);
            let to = self.settings.clip.map(|clip| clip.end.0).filter(|to| *to != i64::MAX);
            self.widths.finish(to, &mut self.left.rows);
            self.left.end();
        }
        self.take_left()
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        self.flows.ended(flows);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.flows.keeps(flow)
    }
}
