//! Flows: one wide row for each, from its first packet to its end.
//!
//! A worker has a row for every live flow (`shard.rs`). Packets wait a moment in the flow's reorder stage (`waiting.rs`), so
//! that what depends on order (`flow.rs`, `session.rs`, [`crate::flow`]) sees packet time. Flows end by rules of
//! [`Lifetime`] and leave at the next marker of the engine, so memory follows live flows. The merge brings those of one marker
//! into one order, makes their records (`record.rs`) and hands them to a [`FlowSink`]. What is computed follows from the
//! columns that are wanted ([`columns`]); payload is read only for columns of what it says (`said`).
//!
//! Promises: every accepted packet is in exactly one flow or counted, `accepted = kept + filtered + out_of_window`;
//! output is a function of packets and settings. In each stretch between markers flows are in order of first time, 5-tuple
//! and number (or of bytes before these, see [`Order`]); a flow comes behind those that ended stretches before it.
//!
//! Later fragments of a datagram have no ports, and make a flow with ports 0.

mod arrival;
mod cell;
mod cells;
mod choice;
pub mod columns;
pub(crate) mod deadlines;
pub mod dialects;
mod feature;
mod flow;
mod group;
mod job;
pub mod labels;
mod record;
#[cfg(feature = "payload")]
mod said;
#[cfg(not(feature = "payload"))]
#[path = "silent.rs"]
mod said;
mod segments;
mod session;
mod settings;
mod shard;
mod statistics;
mod steps;
mod stretch;
pub mod swept;
mod teardown;
mod waiting;

#[cfg(test)]
mod tests;

use std::ops::AddAssign;
use std::sync::Arc;

pub use cell::Cell;
pub use cells::Cells;
pub(crate) use cells::Plain;
pub use columns::Columns;
pub use feature::{Feature, FeatureColumn, FeatureState, FlowPacket, Roles};
pub use job::FlowJob;
pub use labels::Labels;
pub use record::{EndReason, FlowFigures, FlowRecord, SideRecord};
pub use segments::{Segments, Windows};
pub use session::QUIET;
pub use settings::{ClientRule, GoesOn, Lifetime, Order, Settings, TcpEnd};
pub use steps::{Sequence, Step};
pub use waiting::MOST;

use crate::engine::ledger::{Intake, Outcome, balance};
use crate::engine::view::{Hindsight, Part, ShardView, View};
use crate::error::Result;
use crate::sink::flows::FlowSink;
use record::Finisher;
use settings::Plan;
use shard::{Closed, Ended, Shard};
use swept::Swept;

/// What a run of the flows view counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Flows emitted.
    pub flows: u64,
    /// Those by why they ended, in the order of [`EndReason::ALL`].
    pub ended: [u64; EndReason::ALL.len()],
    /// Packets in them that came further behind their time than the reorder window.
    pub packets_behind: u64,
    /// Flows that began where time went back: before their 5-tuple's flow, or before flows that may have left, by more than
    /// the idle timeout.
    pub flows_behind: u64,
    /// Holes of TCP sequences beyond the bound on those that are remembered.
    pub forgotten_holes: u64,
    /// Places where TCP payload was missing, or longer than the buffer for it; 0 where payload is not read, as those below.
    pub app_gaps: u64,
    /// Things found in payload but not kept, for want of room.
    pub app_left_out: u64,
    /// Certificates that could not be read.
    pub unread_certificates: u64,
    /// Datagrams that came in fragments and were let go of before they were complete, for want of room: their payload was
    /// not read. 0 where none is.
    pub datagrams_let_go: u64,
    /// Flows beyond the number of those that are kept, see [`MostPackets`](crate::sink::most::MostPackets); their packets
    /// are `over_limit` in the ledger.
    pub flows_over_limit: u64,
}

impl FlowCounts {
    /// Counts a flow.
    pub(crate) fn add(&mut self, flow: &FlowRecord) {
        self.flows += 1;
        self.ended[flow.end_reason as usize] += 1;
        self.packets_behind += flow.behind;
        self.forgotten_holes += flow.forgotten_holes;
        #[cfg(feature = "payload")]
        if let Some(said) = &flow.app {
            self.app_gaps += u64::from(said.gaps);
            self.app_left_out += u64::from(said.left_out);
            self.unread_certificates += said.tls.as_ref().map_or(0, |tls| u64::from(tls.unread_certificates));
        }
    }

    /// What is not counted flow by flow.
    pub(crate) fn without_flows(&self) -> FlowCounts {
        let FlowCounts { flows_behind, datagrams_let_go, flows_over_limit, .. } = *self;
        FlowCounts { flows_behind, datagrams_let_go, flows_over_limit, ..FlowCounts::default() }
    }
}

impl AddAssign for FlowCounts {
    fn add_assign(&mut self, other: FlowCounts) {
        self.flows += other.flows;
        self.ended.iter_mut().zip(other.ended).for_each(|(sum, n)| *sum += n);
        self.packets_behind += other.packets_behind;
        self.flows_behind += other.flows_behind;
        self.forgotten_holes += other.forgotten_holes;
        self.app_gaps += other.app_gaps;
        self.app_left_out += other.app_left_out;
        self.unread_certificates += other.unread_certificates;
        self.datagrams_let_go += other.datagrams_let_go;
        self.flows_over_limit += other.flows_over_limit;
    }
}

/// The flows view: hands its records to a sink.
pub struct Flows<'s> {
    plan: Arc<Plan>,
    sensor: Option<Arc<str>>,
    sink: &'s mut dyn FlowSink,
    finisher: Finisher,
    outcome: Outcome,
    counts: FlowCounts,
}

impl<'s> Flows<'s> {
    /// A view; `sensor` is what its records say of where they were seen.
    #[must_use]
    pub fn new(settings: Settings, sensor: Option<Arc<str>>, sink: &'s mut dyn FlowSink) -> Flows<'s> {
        Flows {
            plan: Arc::new(Plan::new(settings)),
            sensor,
            sink,
            finisher: Finisher::default(),
            outcome: Outcome::default(),
            counts: FlowCounts::default(),
        }
    }

    /// What became of the accepted packets, so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What was counted, so far.
    #[must_use]
    pub fn counts(&self) -> FlowCounts {
        self.counts
    }

    fn emit(&mut self, ended: &mut Ended) -> Result<()> {
        let Ended { ends, reason, flow, words } = ended;
        let mut record = self.finisher.finish(ends, flow, words.take(), *reason, self.sensor.clone(), &self.plan);
        self.label(&mut record);
        self.outcome.kept += record.amount;
        self.counts.add(&record);
        self.sink.on_flow(&record)?;
        self.finisher.reuse(&mut record);
        Ok(())
    }
}

impl Flows<'_> {
    /// Labels a flow, where there are rules.
    fn label(&self, record: &mut FlowRecord) {
        let Some(labels) = &self.plan.settings.labels else { return };
        record.label = labels.label(record);
        if let (Some(label), Some(at)) = (&record.label, self.plan.label_at) {
            record.features.set(record.features.len().saturating_sub(at), label.to_string().into());
        }
    }
}

impl View for Flows<'_> {
    fn wants_flows(&self) -> bool {
        !self.plan.settings.sweeps
    }

    fn wants_marks(&self) -> bool {
        true
    }

    fn wants_order(&self) -> bool {
        self.plan.settings.sweeps
    }

    fn hindsight(&self) -> Hindsight {
        self.plan.settings.hindsight()
    }

    fn shard(&self) -> Box<dyn ShardView> {
        let plan = Arc::clone(&self.plan);
        if self.plan.settings.sweeps { Box::new(Swept::new(plan)) } else { Box::new(Shard::new(plan)) }
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        let mut workers = Vec::new();
        for part in parts {
            let Ok(closed) = part.downcast::<Closed>() else { continue };
            self.outcome.out_of_window += closed.aside.out_of_window;
            self.outcome.filtered += closed.aside.filtered;
            self.counts.flows_behind += closed.aside.stale;
            self.counts.datagrams_let_go += closed.aside.let_go;
            workers.push(closed.ended);
        }
        if let [only] = &mut workers[..] {
            while let Some(next) = only.next() {
                self.emit(next)?;
            }
        }
        while let Some((_, worker)) = {
            let heads = workers.iter_mut().filter_map(|ended| Some((ended.first()?.order(&self.plan), ended)));
            heads.min_by_key(|(order, _)| *order)
        } && let Some(next) = worker.next()
        {
            self.emit(next)?;
        }
        self.sink.on_marker()
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let Outcome { kept, filtered, out_of_window, .. } = self.outcome;
        balance("the flows view", intake.accepted, &[kept, filtered, out_of_window])
    }
}
