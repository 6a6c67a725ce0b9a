//! How far a product by the hour is: what its view says at each marker, told to what passes its hours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::engine::view::{Batch, Mark, Part, ShardView, View};
use crate::table::FlowTable;
use crate::time::Timestamp;
use crate::watch::sifted::Sifted;

/// See the module.
#[derive(Debug)]
pub(super) struct Standing {
    settled: AtomicI64,
    late: AtomicU64,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { settled: AtomicI64::new(i64::MIN), late: AtomicU64::new(0) }
    }
}

impl Standing {
    /// As the last marker stood: all records that are yet to come are of this time or later, nanoseconds.
    pub(super) fn settled(&self) -> i64 {
        self.settled.load(Relaxed)
    }

    /// Packets that came for hours that had been passed: each may make a record of them.
    pub(super) fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }

    /// Another such packet.
    pub(super) fn is_late(&self) {
        self.late.fetch_add(1, Relaxed);
    }
}

/// A view that tells at each marker what is settled.
pub(super) fn told<'v>(view: Box<dyn View + 'v>, standing: Arc<Standing>) -> Sifted<'v> {
    Sifted::new(view, move |shard, _| Box::new(Shard { shard, standing: Arc::clone(&standing) }))
}

struct Shard {
    shard: Box<dyn ShardView>,
    standing: Arc<Standing>,
}

impl ShardView for Shard {
    fn file(&mut self, number: u32, next: Timestamp) {
        self.shard.file(number, next);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.shard.packets(batch);
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        self.shard.close(before, table)
    }

    fn mark(&mut self, mark: Mark, table: &FlowTable) -> Option<Part> {
        let part = self.shard.mark(mark, table);
        self.standing.settled.store(self.shard.settled().0, Relaxed);
        part
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
