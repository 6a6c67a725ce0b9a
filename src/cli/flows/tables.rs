//! The tables that flows go into: one, or with `--split-by-protocol` one a protocol.

use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::Result;
use pcap_compactor::decode::packet::protocol;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::{FlowSink, FlowWriter, Form};
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::{self, flows::FlowTable};
use pcap_compactor::views::flows::dialects::nexus;
use pcap_compactor::views::flows::{FlowCounts, FlowRecord};

use super::args::Format;
#[cfg(feature = "tables")]
use super::beside;
use super::{Args, Run};

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

/// A table under way.
pub(super) enum Table<W: Write + Send> {
    /// Text, or a spreadsheet.
    Text(Box<FlowWriter<W>>),
    /// Typed columns.
    #[cfg(feature = "tables")]
    Columns(Box<FlowTable<W>>),
}

impl<W: Write + Send> Table<W> {
    /// Begins the table of a run; `name` names `out` in errors.
    pub(super) fn create(run: &Run<'_>, name: PathBuf, out: W) -> anyhow::Result<Table<W>> {
        let Run { args, dialect, settings, .. } = run;
        let form = match args.format() {
            Format::Jsonl => Form::Lines,
            Format::Csv => Form::Csv,
            Format::Json => Form::Array,
            Format::Xlsx => Form::Sheet,
            Format::None => Form::Digest,
            #[cfg(feature = "tables")]
            format @ (Format::Parquet | Format::Arrow) => {
                let form = if format == Format::Parquet { tables::Form::Parquet } else { tables::Form::Arrow };
                let about = beside::about(args, *dialect, settings)?;
                let style = args.writing.style();
                let table = FlowTable::create(out, name, form, settings.columns.clone(), style, &about)?;
                return Ok(Table::Columns(Box::new(table)));
            }
        };
        let writer = FlowWriter::new(out, name, form, settings.columns.clone(), args.writing.times());
        Ok(Table::Text(Box::new(match dialect {
            Some(dialect) => writer.notation(dialect.notation()),
            None => writer,
        })))
    }

    fn into_inner(self) -> Option<W> {
        match self {
            Table::Text(writer) => Some(writer.into_inner()),
            #[cfg(feature = "tables")]
            Table::Columns(table) => table.into_inner(),
        }
    }
}

impl<W: Write + Send> FlowSink for Table<W> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        match self {
            Table::Text(writer) => writer.on_flow(flow),
            #[cfg(feature = "tables")]
            Table::Columns(table) => table.on_flow(flow),
        }
    }
    fn on_marker(&mut self) -> Result<()> {
        match self {
            Table::Text(writer) => writer.on_marker(),
            #[cfg(feature = "tables")]
            Table::Columns(table) => table.on_marker(),
        }
    }
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        match self {
            Table::Text(writer) => writer.on_metrics(metrics),
            #[cfg(feature = "tables")]
            Table::Columns(table) => table.on_metrics(metrics),
        }
    }
}

/// Writes each flow into the table that it belongs to.
pub(super) struct Tables<W: Write + Send> {
    tables: Vec<Table<W>>,
    place: fn(&FlowRecord) -> usize,
}

impl<W: Write + Send> Tables<W> {
    /// All that there are, in the order of [`places`].
    pub(super) fn new(args: &Args, tables: Vec<Table<W>>) -> Tables<W> {
        let place: fn(&FlowRecord) -> usize = match (args.split_by_protocol, args.is_nexus()) {
            (false, _) => |_| 0,
            (true, false) => by_number,
            (true, true) => by_name,
        };
        Tables { tables, place }
    }

    /// The streams of tables that are complete: all, if the metrics have come.
    pub(super) fn into_inner(self) -> Vec<W> {
        self.tables.into_iter().filter_map(Table::into_inner).collect()
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

impl<W: Write + Send> FlowSink for Tables<W> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.tables[(self.place)(flow)].on_flow(flow)
    }
    fn on_marker(&mut self) -> Result<()> {
        self.tables.iter_mut().try_for_each(Table::on_marker)
    }
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        self.tables.iter_mut().try_for_each(|table| table.on_metrics(metrics))
    }
}
