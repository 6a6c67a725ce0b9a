//! One worker: the flow table of its share of host pairs, and the shard views that live on it.

use super::view::{Batch, Mark, Part, ShardView, View};
use crate::decode::Packet;
use crate::table::{Asked, FlowRef, FlowTable, RUN, Rows};
use crate::time::Timestamp;

pub(super) struct Worker {
    table: FlowTable,
    views: Vec<Box<dyn ShardView>>,
    wants_flows: bool,
    asked: [Asked; 2],
    flows: [Vec<FlowRef>; 2],
    rows: Vec<Rows>,
    ended: Vec<u32>,
}

impl Worker {
    pub(super) fn new(views: &[&mut dyn View]) -> Worker {
        Worker {
            table: FlowTable::new(),
            views: views.iter().map(|view| view.shard()).collect(),
            wants_flows: views.iter().any(|view| view.wants_flows()),
            asked: Default::default(),
            flows: [Vec::with_capacity(RUN), Vec::with_capacity(RUN)],
            rows: Vec::new(),
            ended: Vec::new(),
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
    ///
    /// A run of packets waits twice for memory: for the slots of its flows and for their rows. Three runs are under way at
    /// a time, so that what one waits for comes while another is worked on.
    pub(super) fn packets(&mut self, packets: &[Packet], bytes: &[u8]) {
        if !self.wants_flows {
            let batch = Batch { packets, flows: &[], bytes, table: &self.table };
            return self.views.iter_mut().for_each(|view| view.packets(&batch));
        }
        let run = |nth: usize| &packets[nth * RUN..packets.len().min((nth + 1) * RUN)];
        let runs = packets.len().div_ceil(RUN);
        for step in 0..runs + 2 {
            if step < runs {
                self.table.ask(run(step), &mut self.asked[step % 2]);
            }
            if let Some(nth) = step.checked_sub(1).filter(|&nth| nth < runs) {
                self.rows.clear();
                self.rows.extend(self.views.iter().filter_map(|view| view.rows()));
                self.flows[nth % 2].clear();
                self.table.resolve(&self.asked[nth % 2], &self.rows, &mut self.flows[nth % 2]);
            }
            if let Some(nth) = step.checked_sub(2) {
                let batch = Batch { packets: run(nth), flows: &self.flows[nth % 2], bytes, table: &self.table };
                self.views.iter_mut().for_each(|view| view.packets(&batch));
            }
        }
    }

    /// Closes what ended at or before `before`, or everything; a part for each view that has one.
    pub(super) fn close(&mut self, before: Option<Timestamp>) -> Vec<Option<Part>> {
        let parts: Vec<Option<Part>> = self.views.iter_mut().map(|view| view.close(before, &self.table)).collect();
        if before.is_some() && self.wants_flows {
            self.forget();
            if self.views.iter().any(|view| view.let_go()) {
                let views = &self.views;
                self.table.retain(|flow| views.iter().any(|view| view.keeps(flow)));
            }
        }
        parts
    }

    /// Takes a marker inside a file; a part for each view that has one.
    pub(super) fn mark(&mut self, mark: Mark) -> Vec<Option<Part>> {
        let parts = self.views.iter_mut().map(|view| view.mark(mark, &self.table)).collect();
        self.forget();
        parts
    }

    /// Makes the table forget the flows that views have let go of and no other keeps.
    fn forget(&mut self) {
        self.views.iter_mut().for_each(|view| view.ended(&mut self.ended));
        for flow in self.ended.drain(..) {
            if !self.views.iter().any(|view| view.keeps(flow)) {
                self.table.forget(flow);
            }
        }
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
