//! The record that stands for what a scanner sent.

use std::collections::{BTreeSet, BinaryHeap};
use std::net::IpAddr;

use super::forest::Label;
use crate::engine::ledger::Amount;
use crate::stable::StableHash;
use crate::views::groups::{Transport, Window};

/// Distinct targets in a summary's sample.
pub const SAMPLE: usize = 20;

/// The shape of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Many destinations.
    Horizontal,
    /// Many ports on one destination.
    Vertical,
    /// Both.
    Block,
}

impl Kind {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Horizontal => "horizontal",
            Kind::Vertical => "vertical",
            Kind::Block => "block",
        }
    }
}

/// One scanner in one window, by transport.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanSummary {
    /// The scanner.
    pub src_ip: IpAddr,
    /// The window.
    pub window: Window,
    /// Distinct destinations of the source, answered ones included.
    pub unique_dsts: u64,
    /// Distinct ports of the source on all destinations.
    pub unique_ports: u64,
    /// Packets with SYN and without ACK, over all TCP packets of its flows; 0 without TCP.
    pub syn_only_ratio: f64,
    /// At most 20 distinct targets: those with the smallest seeded hash, in that order.
    pub sample_targets: Vec<(IpAddr, u16)>,
    /// The transport.
    pub transport: Transport,
    /// The shape.
    pub kind: Kind,
    /// What the forest said; nothing when there were too few to fit one.
    pub forest: Option<Label>,
    /// Contacts that were answered by more than RST.
    pub answered: u64,
    /// Groups (slices) that it stands for.
    pub groups: u64,
    /// Packets and bytes that it stands for.
    pub amount: Amount,
    /// Bytes that it stands for, by the configured measure.
    pub bytes: u64,
}

/// A summary while its source's groups go by.
pub(crate) struct Gathering {
    pub(crate) summary: ScanSummary,
    ports: BTreeSet<u16>,
    targets: BinaryHeap<(u64, IpAddr, u16)>,
    seed: u64,
    last_dst: Option<IpAddr>,
}

impl Gathering {
    pub(crate) fn new(summary: ScanSummary, seed: u64) -> Gathering {
        Gathering { summary, ports: BTreeSet::new(), targets: BinaryHeap::new(), seed, last_dst: None }
    }

    /// Takes a contact; contacts come in order of destination.
    pub(crate) fn contact(&mut self, dst: IpAddr, port: u16, answered: bool) {
        if self.last_dst != Some(dst) {
            self.last_dst = Some(dst);
            self.summary.unique_dsts += 1;
        }
        self.ports.insert(port);
        self.summary.answered += u64::from(answered);
        let mut hash = StableHash::new(self.seed);
        hash.address(self.summary.src_ip);
        hash.address(dst);
        hash.number(u64::from(port));
        self.targets.push((hash.finish(), dst, port));
        if self.targets.len() > SAMPLE {
            self.targets.pop();
        }
    }

    /// Takes a slice that the summary stands for.
    pub(crate) fn collapse(&mut self, amount: Amount, bytes: u64) {
        self.summary.groups += 1;
        self.summary.amount += amount;
        self.summary.bytes += bytes;
    }

    pub(crate) fn finish(mut self) -> ScanSummary {
        self.summary.unique_ports = self.ports.len() as u64;
        self.summary.sample_targets =
            self.targets.into_sorted_vec().into_iter().map(|(_, dst, port)| (dst, port)).collect();
        self.summary
    }
}

impl ScanSummary {
    /// What the forest said, as written in records: `inlier`, `outlier`, or `none`.
    #[must_use]
    pub fn forest_name(&self) -> &'static str {
        match self.forest {
            None => "none",
            Some(Label::Inlier) => "inlier",
            Some(Label::Outlier) => "outlier",
        }
    }
}
