//! The worker's share: there is one worker, which sees all packets in the order of the capture.
//!
//! A bucket leaves when the clock is behind its end by the reorder window, empty or not; but a row for a gap leaves when the gap is
//! over. The clock is the latest time that two packets in a row have reached: one wild time moves nothing, and would make all packets
//! behind it late if it did. The price is that a row waits for two packets. The clock does not pass the beginning of the next file,
//! which may lie in this one.

use std::sync::Arc;

use super::Settings;
use super::known::{Flows, New};
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

/// What is handed over at a marker.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) rows: Vec<Row>,
    pub(super) outcome: Outcome,
}

/// See the module.
pub(super) struct Shard {
    settings: Arc<Settings>,
    sides: Sides,
    series: Vec<Series>,
    flows: Flows,
    clock: i64,
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
            clock: i64::MIN,
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
        let new = self.flows.is_new(flow, packet);
        let seen = Seen::of(packet, frame, self.sides.way(packet, frame), bytes, new.map(|new| new.kind));
        let instead = new.and_then(|New { kind, instead }| Some((instead?, kind)));
        // A packet that is late for a narrow bucket may be in time for a wide one.
        let mut counted = false;
        for series in &mut self.series {
            if series.add(time, &seen) {
                counted = true;
                if let Some((later, kind)) = instead {
                    series.take_back(later, kind);
                }
            }
            if series.is_crowded() {
                series.leave_first(&mut self.left.rows);
            }
        }
        if counted {
            self.left.outcome.kept += amount;
        } else {
            self.left.outcome.late += amount;
            if let Some((later, _)) = instead {
                self.flows.stays(flow, later);
            }
        }
        let reached = self.last.replace(time).map_or(i64::MIN, |last| last.min(time));
        if reached > self.clock {
            self.clock = reached;
            let now = reached.saturating_sub(self.settings.reorder).min(self.next_file);
            for series in self.series.iter_mut().filter(|series| series.is_due(now)) {
                series.leave(now, &mut self.left.rows);
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
        (self.last, self.clock) = (None, i64::MIN);
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
        self.flows.expire(self.clock);
        self.hand_over()
    }

    fn quiet(&mut self, until: Timestamp) {
        for series in self.series.iter_mut().filter(|series| series.is_due(until.0)) {
            series.leave(until.0, &mut self.left.rows);
        }
    }

    fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        if before.is_none() {
            let to = self.settings.clip.map(|clip| clip.end.0).filter(|to| *to != i64::MAX);
            for series in &mut self.series {
                series.finish(to, &mut self.left.rows);
            }
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
