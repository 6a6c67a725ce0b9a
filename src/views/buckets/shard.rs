//! The worker's share: there is one worker, which sees all packets in the order of the capture.
//!
//! A bucket leaves when the clock is behind its end by the reorder window, empty or not; but a row for a gap leaves when the gap is
//! over. The clock is the latest time that two packets in a row have reached: one wild time moves nothing, and would make all packets
//! behind it late if it did. The price is that a row waits for two packets. The clock does not pass the beginning of the next file,
//! which may lie in this one.
//!
//! Which packets begin a flow is told in the order of time. So packets wait until the clock is behind them by the window, and then count as
//! new in their bucket, which is still open; at most 65,536 wait, and of those that come later still it is told as they come. A packet that is late for a width has no say in it, so all widths have the same flows.

use std::sync::Arc;

use super::Settings;
use super::known::{Flows, Step};
use super::row::Row;
use super::seen::Seen;
use super::series::Series;
use super::sides::Sides;
use crate::config::Measure;
use crate::decode::Packet;
use crate::engine::ledger::{Amount, Outcome};
use crate::engine::view::{Batch, Mark, Part, ShardView};
use crate::prefetch::prefetch;
use crate::table::FlowTable;
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
    series: Vec<Series>,
    flows: Flows,
    /// Packets of which it is to be told whether a flow begins with them.
    waiting: InOrder<Step>,
    clock: i64,
    /// No packet that is not late comes before.
    now: i64,
    /// Time of the last packet; none in front of a file.
    last: Option<i64>,
    next_file: i64,
    left: Left,
}

impl Shard {
    pub(super) fn new(settings: Arc<Settings>) -> Shard {
        let clip = settings.clip;
        let from = clip.map(|clip| clip.start.0).filter(|from| *from != i64::MIN);
        let origin = if settings.from_start { from } else { Some(0) };
        Shard {
            sides: Sides::new(&settings.local),
            series: settings.widths.iter().map(|&width| Series::new(width, settings.gap_limit, origin, from)).collect(),
            flows: Flows::default(),
            waiting: InOrder::default(),
            clock: i64::MIN,
            now: i64::MIN,
            last: None,
            next_file: i64::MAX,
            left: Left::default(),
            settings,
        }
    }

    #[inline]
    fn take(&mut self, packet: &Packet, frame: &[u8], flow: u32) {
        let (time, amount) = (packet.time.0, Amount::one(packet.wire, packet.captured));
        if self.settings.clip.is_some_and(|clip| packet.time < clip.start || packet.time >= clip.end) {
            self.left.outcome.out_of_window += amount;
            return;
        }
        let bytes = match self.settings.bytes {
            Measure::Wire => packet.wire,
            Measure::Captured => packet.captured,
        };
        let seen = Seen::of(packet, frame, self.sides.way(packet, frame), bytes);
        // A packet that is late for a narrow bucket may be in time for a wide one.
        let (mut counted, mut late) = (false, false);
        for series in &mut self.series {
            match series.add(time, &seen) {
                true => counted = true,
                false => late = true,
            }
        }
        match counted {
            true => self.left.outcome.kept += amount,
            false => self.left.outcome.late += amount,
        }
        if !late {
            self.flows.wait(flow);
            self.waiting.push(time, Step::of(flow, packet));
        }
        for nth in 0..self.series.len() {
            if self.series[nth].is_crowded() {
                self.relieve(nth);
            }
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

    /// Nothing before this time is waited for.
    #[inline]
    fn pass(&mut self, now: i64) {
        self.told(now.saturating_sub(1));
        for series in self.series.iter_mut().filter(|series| series.is_due(now)) {
            series.leave(now, &mut self.left.rows);
        }
        self.left.end();
    }

    /// The earliest bucket of a width leaves, though it is not over.
    #[cold]
    fn relieve(&mut self, nth: usize) {
        let end = self.series[nth].first_end();
        self.told(end.saturating_sub(1));
        self.series[nth].leave(end, &mut self.left.rows);
        self.left.end();
    }

    /// Tells of packets up to a time, and of those that find no room to wait, whether flows begin with them.
    #[inline]
    fn told(&mut self, until: i64) {
        while self.waiting.next().is_some_and(|time| time <= until || self.waiting.is_crowded())
            && let Some((time, step)) = self.waiting.pop()
        {
            if let Some(kind) = self.flows.take(time, &step) {
                self.series.iter_mut().for_each(|series| series.begins(time, kind));
            }
        }
    }

    fn hand_over(&mut self) -> Option<Part> {
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
            self.take(packet, batch.frame(packet), flow.id);
        }
    }

    fn mark(&mut self, _: Mark, _: &FlowTable) -> Option<Part> {
        self.flows.expire(self.now);
        self.hand_over()
    }

    fn quiet(&mut self, until: Timestamp, follows: bool) {
        self.pass(until.0);
        // The gap is one between packets, though the one behind it is yet to come.
        if follows {
            self.series.iter_mut().for_each(|series| series.fill(until.0, &mut self.left.rows));
            self.left.end();
        }
    }

    fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        if before.is_none() {
            self.told(i64::MAX);
            let to = self.settings.clip.map(|clip| clip.end.0).filter(|to| *to != i64::MAX);
            for series in &mut self.series {
                series.finish(to, &mut self.left.rows);
            }
            self.left.end();
        }
        self.hand_over()
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        self.flows.ended(flows);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.flows.keeps(flow)
    }
}
