//! One worker: the flow table of its share of host pairs, and the shard views that live on it.

use super::view::{Batch, Part, ShardView, View};
use crate::decode::Packet;
use crate::table::{FlowRef, FlowTable, RUN, Rows};
use crate::time::Timestamp;

pub(super) struct Worker {
    table: FlowTable,
    views: Vec<Box<dyn ShardView>>,
    wants_flows: bool,
    flows: Vec<FlowRef>,
    rows: Vec<Rows>,
}

impl Worker {
    pub(super) fn new(views: &[&mut dyn View]) -> Worker {
        Worker {
            table: FlowTable::new(),
            views: views.iter().map(|view| view.shard()).collect(),
            wants_flows: views.iter().any(|view| view.wants_flows()),
            flows: Vec::with_capacity(RUN),
            rows: Vec::new(),
        }
    }

    /// Turns to a file: tells the views its number, and closes what ended before it began.
    pub(super) fn begin(&mut self, number: u32, first: Timestamp) -> Vec<Option<Part>> {
        for view in &mut self.views {
            view.file(number);
        }
        self.close(Some(first))
    }

    /// Takes packets of one file in capture order.
    pub(super) fn packets(&mut self, packets: &[Packet], bytes: &[u8]) {
        if self.views.is_empty() {
            return;
        }
        for packets in packets.chunks(RUN) {
            self.flows.clear();
            if self.wants_flows {
                self.rows.clear();
                self.rows.extend(self.views.iter().filter_map(|view| view.rows()));
                self.table.resolve(packets, &self.rows, &mut self.flows);
            }
            let batch = Batch { packets, flows: &self.flows, bytes, table: &self.table };
            for view in &mut self.views {
                view.packets(&batch);
            }
        }
    }

    /// Closes what ended at or before `before`, or everything; a part for each view that has one.
    pub(super) fn close(&mut self, before: Option<Timestamp>) -> Vec<Option<Part>> {
        let parts: Vec<Option<Part>> = self.views.iter_mut().map(|view| view.close(before, &self.table)).collect();
        if before.is_some() && self.wants_flows && self.views.iter().any(|view| view.let_go()) {
            let views = &self.views;
            self.table.retain(|flow| views.iter().any(|view| view.keeps(flow)));
        }
        parts
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
