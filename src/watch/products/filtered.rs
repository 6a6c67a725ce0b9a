//! A view that sees only packets that match, beside others that see all.

use std::sync::Arc;

use crate::decode::Packet;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, Mark, Part, ShardView, View};
use crate::filter::Filter;
use crate::table::{FlowRef, FlowTable};
use crate::time::Timestamp;
use crate::watch::sifted::{LeftOut, Sifted};

/// See the module.
pub(super) fn filtered<'v>(filter: Filter, view: impl View + 'v) -> Sifted<'v> {
    let filter = Arc::new(filter);
    Sifted::new(Box::new(view), move |shard, left_out| {
        let filter = Arc::clone(&filter);
        Box::new(FilteredShard { filter, shard, left_out, packets: Vec::new(), flows: Vec::new() })
    })
}

struct FilteredShard {
    filter: Arc<Filter>,
    shard: Box<dyn ShardView>,
    left_out: LeftOut,
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
        self.left_out.add(left_out);
        self.shard.packets(&Batch { packets: &self.packets, flows: &self.flows, ..*batch });
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        self.shard.close(before, table)
    }

    fn mark(&mut self, mark: Mark, table: &FlowTable) -> Option<Part> {
        self.shard.mark(mark, table)
    }

    fn hand_over(&mut self) -> Option<Part> {
        self.shard.hand_over()
    }

    fn settled(&self) -> Timestamp {
        self.shard.settled()
    }

    fn quiet(&mut self, until: Timestamp, follows: bool) {
        self.shard.quiet(until, follows);
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        self.shard.ended(flows);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.shard.keeps(flow)
    }
}
