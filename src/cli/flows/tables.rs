//! The tables that flows go into: one, or with `--split-by-protocol` one a protocol.

use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::Result;
use pcap_compactor::decode::packet::protocol;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::{FlowSink, FlowWriter};
use pcap_compactor::views::flows::dialects::nexus;
use pcap_compactor::views::flows::{FlowCounts, FlowRecord};

use super::Args;

/// The tables of protocols. Of the dialect nexus the last has what it calls Unknown.
const PROTOCOLS: [&str; 4] = ["tcp", "udp", "icmp", "other"];

/// Where they go, `table` being the one that there is unless they are split.
pub(super) fn places(args: &Args, table: &Path) -> Vec<PathBuf> {
    if !args.split_by_protocol {
        return vec![table.to_owned()];
    }
    let known = args.each || args.format_by_name().is_some();
    let stem = table.file_stem().filter(|_| known).or(table.file_name()).unwrap_or_default();
    let name = |protocol: &str| {
        let mut name = stem.to_owned();
        name.push(format!("_{protocol}_flows.{}", args.format().ending()));
        table.with_file_name(name)
    };
    PROTOCOLS
        .map(|protocol| if args.is_nexus() && protocol == "other" { name("unknown") } else { name(protocol) })
        .into()
}

/// Writes each flow into the table that it belongs to.
pub(super) struct Tables<W: Write> {
    tables: Vec<FlowWriter<W>>,
    place: fn(&FlowRecord) -> usize,
}

impl<W: Write> Tables<W> {
    /// All that there are, in the order of [`places`].
    pub(super) fn new(args: &Args, tables: Vec<FlowWriter<W>>) -> Tables<W> {
        let place: fn(&FlowRecord) -> usize = match (args.split_by_protocol, args.is_nexus()) {
            (false, _) => |_| 0,
            (true, false) => by_number,
            (true, true) => by_name,
        };
        Tables { tables, place }
    }

    pub(super) fn into_inner(self) -> Vec<W> {
        self.tables.into_iter().map(FlowWriter::into_inner).collect()
    }
}

fn by_number(flow: &FlowRecord) -> usize {
    match flow.protocol {
        protocol::TCP => 0,
        protocol::UDP => 1,
        protocol::ICMP => 2,
        _ => 3,
    }
}

/// As the column `protocol` has it.
fn by_name(flow: &FlowRecord) -> usize {
    match nexus::protocol(flow) {
        "TCP" => 0,
        "UDP" => 1,
        "ICMP" => 2,
        _ => 3,
    }
}

impl<W: Write> FlowSink for Tables<W> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.tables[(self.place)(flow)].on_flow(flow)
    }
    fn on_marker(&mut self) -> Result<()> {
        self.tables.iter_mut().try_for_each(FlowWriter::on_marker)
    }
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        self.tables.iter_mut().try_for_each(|table| table.on_metrics(metrics))
    }
}
