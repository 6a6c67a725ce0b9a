//! A view that sees no packet which was long over when its file began.
//!
//! Such a packet would make a record of an hour that may be out, or change one. How far back a file may change records has to follow from when it
//! begins, for that is known before it is read: by it a file that comes late finds the hours that are made again, and files behind it make what they
//! made before. So what is further back is late, whatever was read before, is in no record of the product, and is counted; as with windows, of which a
//! packet is late where they had ended when its file began.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::decode::Packet;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, ShardView, View};
use crate::table::FlowRef;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::watch::sifted::{LeftOut, Sift, Sifted};

/// Packets of the file that is being read which are late, by product.
#[derive(Debug, Default)]
pub(super) struct Late(Mutex<BTreeMap<Arc<str>, u64>>);

impl Late {
    fn add(&self, product: &Arc<str>, packets: u64) {
        *self.products().entry(Arc::clone(product)).or_default() += packets;
    }

    /// Those since it was asked last.
    pub(super) fn take(&self) -> BTreeMap<Arc<str>, u64> {
        std::mem::take(&mut self.products())
    }

    fn products(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far before the first packet of its file one may be and still count, nanoseconds: packets come out of order, but a minute is more than any
/// buffer holds them. The more it is, the further back are hours that a late file may change, and captures that it needs.
pub(super) const REACH: i64 = 60 * NS_PER_SECOND;

/// A view of a product that sees no packet further than [`REACH`] before the first one of its file.
pub(super) fn punctual<'v>(view: impl View + 'v, product: &Arc<str>, late: &Arc<Late>) -> Sifted<'v> {
    let (product, late) = (Arc::clone(product), Arc::clone(late));
    Sifted::new(Box::new(view), move |left_out| Punctual {
        product: Arc::clone(&product),
        late: Arc::clone(&late),
        left_out,
        is_new: false,
        from: i64::MIN,
        packets: Vec::new(),
        flows: Vec::new(),
        let_go: Vec::new(),
    })
}

struct Punctual {
    product: Arc<str>,
    late: Arc<Late>,
    left_out: LeftOut,
    /// A file has begun, and its first time was not told yet.
    is_new: bool,
    /// What is before is late, nanoseconds.
    from: i64,
    packets: Vec<Packet>,
    flows: Vec<FlowRef>,
    /// Flows of packets that were left out.
    let_go: Vec<u32>,
}

impl Sift for Punctual {
    fn file(&mut self, _: Timestamp) {
        self.is_new = true;
    }

    fn close(&mut self, before: Option<Timestamp>) {
        if let Some(first) = before.filter(|_| std::mem::take(&mut self.is_new)) {
            self.from = first.0.saturating_sub(REACH);
        }
    }

    fn packets(&mut self, batch: &Batch<'_>, shard: &mut dyn ShardView) {
        if batch.packets.iter().all(|packet| packet.time.0 >= self.from) {
            return shard.packets(batch);
        }
        self.packets.clear();
        self.flows.clear();
        let mut left_out = Amount::default();
        for (nth, packet) in batch.packets.iter().enumerate() {
            let flow = batch.flows.get(nth);
            if packet.time.0 >= self.from {
                self.packets.push(*packet);
                self.flows.extend(flow.copied());
            } else {
                left_out += Amount::one(packet.wire, packet.captured);
                self.let_go.extend(flow.map(|flow| flow.id));
            }
        }
        self.left_out.add(left_out);
        self.late.add(&self.product, left_out.packets);
        shard.packets(&Batch { packets: &self.packets, flows: &self.flows, ..*batch });
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.let_go);
    }
}
