//! The sequences of a flow: what its first packets were, one by one.

use super::arrival::Arrival;
use crate::flow::Sample;
use crate::time::Timestamp;

/// One packet of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was captured.
    pub time: Timestamp,
    /// Its lengths, window and direction.
    pub sample: Sample,
    /// The flags of a TCP header.
    pub tcp_flags: Option<u8>,
}

/// The first packets of a flow in packet time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Those that were kept.
    pub steps: Vec<Step>,
    /// How many more there were.
    pub left_out: u64,
}

impl Sequence {
    pub(super) fn add(&mut self, arrival: &Arrival, most: usize) {
        if self.steps.len() >= most {
            self.left_out += 1;
            return;
        }
        self.steps.push(Step {
            time: Timestamp(arrival.time),
            sample: arrival.sample(),
            tcp_flags: arrival.is_tcp().then_some(arrival.flags),
        });
    }
}
