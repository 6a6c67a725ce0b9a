//! The flows of most packets: they are passed on, all others counted.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::Metrics;
use super::flows::FlowSink;
use crate::engine::ledger::Amount;
use crate::error::Result;
use crate::views::flows::{FlowCounts, FlowRecord};

/// Passes on the flows that have most packets, in the order in which they came; of equal ones the earlier. The packets of the
/// others are `over_limit` in the ledger.
///
/// It holds as many records as it passes on, and nothing leaves before all have come.
#[derive(Debug)]
pub struct MostPackets<S> {
    sink: S,
    /// Nothing: all are passed on at once.
    limit: Option<usize>,
    held: BinaryHeap<Held>,
    came: u64,
    left_out: Amount,
}

impl<S: FlowSink> MostPackets<S> {
    /// Passes `limit` flows on to `sink`, or all.
    pub fn new(sink: S, limit: Option<usize>) -> MostPackets<S> {
        MostPackets { sink, limit, held: BinaryHeap::new(), came: 0, left_out: Amount::default() }
    }

    /// Gives the sink back.
    pub fn into_inner(self) -> S {
        self.sink
    }

    /// Lets go of the flow that is to leave first, if this one has more packets or there is room; says whether.
    fn make_room(&mut self, limit: usize, packets: u64) -> bool {
        if self.held.len() < limit {
            return true;
        }
        if self.held.peek().is_none_or(|least| least.record.amount.packets >= packets) {
            return false;
        }
        if let Some(least) = self.held.pop() {
            self.left_out += least.record.amount;
        }
        true
    }
}

/// A flow that stays for now. The greatest leaves first: that of fewest packets, of equal ones the latest.
#[derive(Debug)]
struct Held {
    place: u64,
    record: Box<FlowRecord>,
}

impl Held {
    fn key(&self) -> (Reverse<u64>, u64) {
        (Reverse(self.record.amount.packets), self.place)
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

impl<S: FlowSink> FlowSink for MostPackets<S> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        let Some(limit) = self.limit else { return self.sink.on_flow(flow) };
        self.came += 1;
        if self.make_room(limit, flow.amount.packets) {
            self.held.push(Held { place: self.came, record: Box::new(flow.clone()) });
        } else {
            self.left_out += flow.amount;
        }
        Ok(())
    }

    fn on_marker(&mut self) -> Result<()> {
        if self.limit.is_none() { self.sink.on_marker() } else { Ok(()) }
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        if self.limit.is_none() {
            return self.sink.on_metrics(metrics);
        }
        let mut held = std::mem::take(&mut self.held).into_vec();
        held.sort_unstable_by_key(|held| held.place);
        let mut counts = metrics.counts.without_flows();
        counts.flows_over_limit = self.came - held.len() as u64;
        for Held { record, .. } in held {
            counts.add(&record);
            self.sink.on_flow(&record)?;
        }
        let mut outcome = metrics.outcome;
        outcome.kept = outcome.kept - self.left_out;
        outcome.over_limit += self.left_out;
        self.sink.on_metrics(&Metrics { outcome, counts, ..*metrics })
    }
}
