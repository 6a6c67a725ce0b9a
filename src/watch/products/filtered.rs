//! A view that sees only packets that match, beside others that see all.

use std::sync::{Arc, Mutex, PoisonError};

use crate::decode::Packet;
use crate::engine::FileReport;
use crate::engine::ledger::{Amount, Intake};
use crate::engine::view::{Batch, Mark, Part, ShardView, View};
use crate::error::Result;
use crate::filter::Filter;
use crate::table::{FlowRef, FlowTable};
use crate::time::Timestamp;

/// See the module.
pub(super) struct Filtered<V> {
    filter: Arc<Filter>,
    view: V,
    left_out: Arc<Mutex<Amount>>,
}

impl<V: View> Filtered<V> {
    pub(super) fn new(filter: Filter, view: V) -> Filtered<V> {
        Filtered { filter: Arc::new(filter), view, left_out: Arc::default() }
    }
}

impl<V: View> View for Filtered<V> {
    fn wants_flows(&self) -> bool {
        self.view.wants_flows()
    }

    fn wants_marks(&self) -> bool {
        self.view.wants_marks()
    }

    fn wants_order(&self) -> bool {
        self.view.wants_order()
    }

    fn wants_batches(&self) -> bool {
        self.view.wants_batches()
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(FilteredShard {
            filter: Arc::clone(&self.filter),
            shard: self.view.shard(),
            left_out: Arc::clone(&self.left_out),
            packets: Vec::new(),
            flows: Vec::new(),
        })
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        self.view.merge(parts)
    }

    fn file(&mut self, number: u32, report: &FileReport) -> Result<()> {
        self.view.file(number, report)
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let left_out = *self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.finish(&Intake { accepted: intake.accepted - left_out, ..*intake })
    }
}

struct FilteredShard {
    filter: Arc<Filter>,
    shard: Box<dyn ShardView>,
    left_out: Arc<Mutex<Amount>>,
    packets: Vec<Packet>,
    flows: Vec<FlowRef>,
}

impl ShardView for FilteredShard {
    fn file(&mut self, number: u32, next: Timestamp) {
        self.shard.file(number, next);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.packets.clear();
        self.flows.clear();
        let mut left_out = Amount::default();
        for (nth, packet) in batch.packets.iter().enumerate() {
            if self.filter.matches(packet, packet.link, batch.frame(packet)) {
                self.packets.push(*packet);
                self.flows.extend(batch.flows.get(nth).copied());
            } else {
                left_out += Amount::one(packet.wire, packet.captured);
            }
        }
        if !left_out.is_nothing() {
            *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) += left_out;
        }
        self.shard.packets(&Batch { packets: &self.packets, flows: &self.flows, ..*batch });
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        self.shard.close(before, table)
    }

    fn mark(&mut self, mark: Mark, table: &FlowTable) -> Option<Part> {
        self.shard.mark(mark, table)
    }

    fn quiet(&mut self, until: Timestamp) {
        self.shard.quiet(until);
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        self.shard.ended(flows);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.shard.keeps(flow)
    }
}
