//! The text report that NexusFlowMeter writes beside its flows.

use std::fmt::Write;

use super::columns::{name, port};
use crate::views::flows::{FlowRecord, Plain};

/// Gathers the flows of the dialect, in their order, and tells about all of them. It keeps eight bytes a flow.
///
/// What depends on when and how the run was made is left out: the time of analysis, and how long it took.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Flows by protocol, in the order in which protocols came.
    protocols: Vec<(&'static str, usize)>,
    /// Seconds.
    durations: Vec<f64>,
    packets: Amounts,
    bytes: Amounts,
    bidirectional: usize,
    /// Those of most packets, and what is said of them.
    top: Vec<(u64, String)>,
}

/// Amounts of flows.
#[derive(Clone, Copy, Debug, Default)]
struct Amounts {
    sum: u64,
    most: u64,
}

impl Amounts {
    fn add(&mut self, n: u64) {
        self.sum = self.sum.saturating_add(n);
        self.most = self.most.max(n);
    }
}

/// How many flows of most packets are named.
const TOP: usize = 5;

impl Report {
    /// Takes a flow that was made with the dialect's settings; does nothing about others.
    pub fn add(&mut self, flow: &FlowRecord) {
        let [_, _, Plain::Float(duration), Plain::Count(packets), _, _, both, _, Plain::Count(bytes), ..] =
            *flow.features.plain()
        else {
            return;
        };
        let protocol = name(flow);
        match self.protocols.iter_mut().find(|(known, _)| *known == protocol) {
            Some((_, flows)) => *flows += 1,
            None => self.protocols.push((protocol, 1)),
        }
        self.durations.push(duration);
        self.packets.add(packets);
        self.bytes.add(bytes);
        self.bidirectional += usize::from(matches!(both, Plain::True));
        let place = self.top.partition_point(|(more, _)| *more >= packets);
        if place < TOP {
            self.top.insert(place, (packets, ends(flow)));
            self.top.truncate(TOP);
        }
    }

    /// The report; `source` names what was read.
    #[must_use]
    pub fn text(&self, source: &str) -> String {
        let mut out = String::new();
        self.write(source, &mut out).expect("a string takes text");
        out
    }

    fn write(&self, source: &str, out: &mut String) -> std::fmt::Result {
        let flows = self.durations.len();
        // Without flows all are 0.
        let mean = |sum: f64| sum / flows.max(1) as f64;
        let share = |of: usize| mean(of as f64) * 100.0;
        let rule = |length| "-".repeat(length);

        writeln!(out, "PCAP Flow Analysis Report\n{}\n", "=".repeat(50))?;
        writeln!(out, "Source file: {source}\nTotal flows analyzed: {flows}\n")?;
        writeln!(out, "Protocol Distribution:\n{}", rule(30))?;
        let mut protocols = self.protocols.clone();
        protocols.sort_by_key(|(_, flows)| std::cmp::Reverse(*flows));
        for (protocol, flows) in protocols {
            writeln!(out, "  {protocol:<8}: {flows:>6} flows ({:>5.1}%)", share(flows))?;
        }
        let mut durations = self.durations.clone();
        durations.sort_unstable_by(f64::total_cmp);
        let at = |place: usize| durations.get(place).copied().unwrap_or(0.0);
        let median = (at(flows.saturating_sub(1) / 2) + at(flows / 2)) / 2.0;
        writeln!(out, "\nFlow Duration Statistics:\n{}", rule(30))?;
        writeln!(out, "  Average: {:>8.2} seconds", mean(durations.iter().fold(0.0, |sum, duration| sum + duration)))?;
        writeln!(out, "  Median:  {median:>8.2} seconds")?;
        writeln!(out, "  Max:     {:>8.2} seconds", at(flows.saturating_sub(1)))?;
        writeln!(out, "\nFlow Size Statistics:\n{}", rule(25))?;
        writeln!(out, "  Avg packets/flow: {:>6.1}", mean(self.packets.sum as f64))?;
        writeln!(out, "  Avg bytes/flow:   {:>6.1}", mean(self.bytes.sum as f64))?;
        writeln!(out, "  Max packets/flow: {:>6}", self.packets.most)?;
        writeln!(out, "  Max bytes/flow:   {:>6}", self.bytes.most)?;
        writeln!(out, "\nTop 5 Flows by Packet Count:\n{}", rule(40))?;
        for (packets, ends) in &self.top {
            writeln!(out, "  {ends}: {packets} packets")?;
        }
        let (both, one) = (self.bidirectional, flows - self.bidirectional);
        writeln!(out, "\nFlow Characteristics:\n{}", rule(25))?;
        writeln!(out, "  Bidirectional flows: {both} ({:.1}%)", share(both))?;
        writeln!(out, "  Unidirectional flows: {one} ({:.1}%)", share(one))
    }
}

/// The ends of a flow, with nothing behind the colon where there is no port.
fn ends(flow: &FlowRecord) -> String {
    let [from, to] = [0, 1].map(|end| port(flow, end).map_or_else(String::new, |port| port.to_string()));
    format!("{}:{from} <-> {}:{to} ({})", flow.src_ip, flow.dst_ip, name(flow))
}
