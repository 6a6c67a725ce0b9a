//! A view that sees only packets that match, beside others that see all.

use std::sync::Arc;

use crate::decode::Packet;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, ShardView, View};
use crate::filter::Filter;
use crate::table::FlowRef;
use crate::watch::sifted::{LeftOut, Sift, Sifted};

/// See the module.
pub(super) fn filtered<'v>(filter: Filter, view: impl View + 'v) -> Sifted<'v> {
    let filter = Arc::new(filter);
    Sifted::new(Box::new(view), move |left_out| {
        let filter = Arc::clone(&filter);
        Filtered { filter, left_out, packets: Vec::new(), flows: Vec::new() }
    })
}

struct Filtered {
    filter: Arc<Filter>,
    left_out: LeftOut,
    packets: Vec<Packet>,
    flows: Vec<FlowRef>,
}

impl Sift for Filtered {
    fn packets(&mut self, batch: &Batch<'_>, shard: &mut dyn ShardView) {
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
        shard.packets(&Batch { packets: &self.packets, flows: &self.flows, ..*batch });
    }
}
