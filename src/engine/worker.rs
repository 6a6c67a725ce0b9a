//! One worker: the flow table of its share of host pairs, and the shard views that live on it.

use super::view::{Batch, Mark, Part, ShardView, View};
use crate::decode::Packet;
use crate::table::{FlowTable, Pipeline};
use crate::time::Timestamp;

pub(super) struct Worker {
    table: FlowTable,
    views: Vec<Box<dyn ShardView>>,
    wants_flows: bool,
    pipeline: Pipeline,
    ended: Vec<u32>,
}

impl Worker {
    pub(super) fn new(views: &[&mut dyn View]) -> Worker {
        Worker {
            table: FlowTable::new(),
            views: views.iter().map(|view| view.shard()).collect(),
            wants_flows: views.iter().any(|view| view.wants_flows()),
            pipeline: Pipeline::default(),
            ended: Vec::new(),
        }
    }

    /// Turns to a file: tells the views its number, and closes what ended before it began.
    pub(super) fn begin(&mut self, number: u32, first: Timestamp, next: Timestamp) -> Vec<Option<Part>> {
        for view in &mut self.views {
            view.file(number, next);
        }
        self.close(Some(first))
    }

    /// Takes packets of one file in capture order.
    pub(super) fn packets(&mut self, packets: &[Packet], bytes: &[u8]) {
        let Worker { table, views, pipeline, .. } = self;
        if !self.wants_flows {
            let batch = Batch { packets, flows: &[], next: &[], bytes, table };
            return views.iter_mut().for_each(|view| view.packets(&batch));
        }
        pipeline.run(table, packets, |packets, flows, next, table| {
            let batch = Batch { packets, flows, next, bytes, table };
            views.iter_mut().for_each(|view| view.packets(&batch));
        });
    }

    /// Closes what ended at or before `before`, or everything; a part for each view that has one.
    pub(super) fn close(&mut self, before: Option<Timestamp>) -> Vec<Option<Part>> {
        if before.is_none() {
            self.table.settle();
        }
        let parts: Vec<Option<Part>> = self.views.iter_mut().map(|view| view.close(before, &self.table)).collect();
        if before.is_some() && self.wants_flows {
            self.forget();
        }
        parts
    }

    /// Asks for what is complete by what the views have seen themselves; a part for each view that has one.
    pub(super) fn hand_over(&mut self) -> Vec<Option<Part>> {
        self.views.iter_mut().map(|view| view.hand_over()).collect()
    }

    /// Tells the views that no packet before a time will come, and whether it is known that one will behind it.
    pub(super) fn quiet(&mut self, until: Timestamp, follows: bool) {
        self.views.iter_mut().for_each(|view| view.quiet(until, follows));
    }

    /// Takes a marker inside a file; a part for each view that has one.
    pub(super) fn mark(&mut self, mark: Mark) -> Vec<Option<Part>> {
        let parts = self.views.iter_mut().map(|view| view.mark(mark, &self.table)).collect();
        self.forget();
        parts
    }

    /// Makes the table forget the flows that views have let go of and no other keeps: one by one, or all that nobody keeps
    /// in one go where that is cheaper. Either costs no more than a constant for each flow that was let go of.
    fn forget(&mut self) {
        let Worker { table, views, ended, .. } = self;
        views.iter_mut().for_each(|view| view.ended(ended));
        let keeps = |flow: u32| views.iter().any(|view| view.keeps(flow));
        if ended.len() >= table.ids() / 4 {
            if !ended.is_empty() {
                table.retain(keeps);
            }
        } else {
            ended.iter().filter(|flow| !keeps(**flow)).for_each(|&flow| table.forget(flow));
        }
        ended.clear();
    }
}

/// Hands each view the parts that workers closed at one marker.
pub(super) fn merge(workers: Vec<Vec<Option<Part>>>, views: &mut [&mut dyn View]) -> crate::error::Result<()> {
    let mut workers: Vec<_> = workers.into_iter().map(Vec::into_iter).collect();
    for view in views {
        let parts: Vec<Part> = workers.iter_mut().filter_map(|parts| parts.next().flatten()).collect();
        if !parts.is_empty() {
            view.merge(parts)?;
        }
    }
    Ok(())
}
