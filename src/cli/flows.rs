//! `flows`: captures in; one row a flow and a ledger out.

mod beside;
mod each;
mod tables;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use pcap_compactor::engine::Progress;
use pcap_compactor::engine::ledger::{Amount, Outcome};
use pcap_compactor::flow::moments::Form as Moments;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::atomic::{AtomicFile, write_whole};
use pcap_compactor::sink::flows::{FlowRuns, FlowSink, FlowWriter, Form};
use pcap_compactor::sink::metrics::OwnedMetrics;
use pcap_compactor::sink::most::MostPackets;
use pcap_compactor::views::flows::columns::Group;
use pcap_compactor::views::flows::dialects::nexus::Report;
use pcap_compactor::views::flows::dialects::{Dialect, Zone};
use pcap_compactor::views::flows::{
    Columns, FlowCounts, FlowJob, FlowRecord, GoesOn, Labels, Lifetime, Settings, TcpEnd,
};
use pcap_compactor::{Config, Input};

use super::places::{Named, no_file_of_nothing, standard_output};
use super::progress::Bar;
use super::reading::{Reading, Sources, Writing};
use super::summary::{Sum, closing, complaints, is_capture, stats};
use super::text::things;
use super::units::Unit;
use super::{Exit, Shared, Usage, interrupt, labels, say, stdout};
use tables::Tables;

/// Arguments of `flows`.
#[derive(clap::Args)]
#[command(after_help = "\
A flow is what two ends (address and port, of one protocol) say to one another. It ends when TCP closes or resets it, when \
its ports are used anew, or when it is silent for longer than the idle timeout; `end_reason` says which. `src` is the \
client; `direction` says how that is known.

Examples:
  pcap-compactor flows capture.pcap > flows.jsonl
  pcap-compactor flows captures/ --format csv -o flows.csv             # all captures in one table
  pcap-compactor flows captures/ --format csv -o tables --each         # a table for each
  pcap-compactor flows captures/ --source-file -o flows.csv            # one, of flows that are of one capture each, named
  pcap-compactor flows capture.pcap --columns @default,@stats          # every statistic as well
  pcap-compactor flows capture.pcap --columns src_ip,dst_ip,iat_mean   # only these
  pcap-compactor flows capture.pcap --app                              # and what payload says: TLS, HTTP, DNS, QUIC, ...
  pcap-compactor flows capture.pcap --columns src_ip,tls_sni,tls_ja4   # only who asked for which name
  pcap-compactor flows capture.pcap --sequences 20                     # the first 20 packets of each, one by one
  pcap-compactor flows capture.pcap --flow-end never                   # one flow for each pair of ends
  tcpdump -w - | pcap-compactor flows -                                # flows leave as they end
  pcap-compactor flows capture.pcap --dialect wa1kpcap > features.csv  # as wa1kpcap 0.2.0 writes them
  pcap-compactor flows capture.pcap --dialect nexus > flows.csv        # as NexusFlowMeter 0.1.5 does
  pcap-compactor flows capture.pcap --dialect nexus --max-flows 100 -o flows.xlsx   # those of most packets, as a spreadsheet
  pcap-compactor flows capture.pcap --dialect cic --time-zone Europe/Berlin         # times as its clocks there
  pcap-compactor schema flows                                          # all columns, with unit and meaning")]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// When flows end: by the rules below, or never, which makes one flow of all packets of a 5-tuple.
    #[arg(long, value_enum, default_value_t = EndArg::Rules, help_heading = "Flows")]
    flow_end: EndArg,
    /// The longest silence inside a TCP flow, in seconds; 0: any. Default: 300.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    tcp_timeout: Option<i64>,
    /// The longest silence inside a UDP flow, in seconds; 0: any. Default: 120; with --dialect, the dialect's.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    udp_timeout: Option<i64>,
    /// The longest silence inside a flow of another protocol, in seconds; 0: any. Default: 60.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    other_timeout: Option<i64>,
    /// The longest time from a flow's first packet to its last, in seconds; 0: any. Default: any.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    active_timeout: Option<i64>,
    /// How far behind its flow's newest packet a packet may come and still be put in its place, in milliseconds; 0: packets
    /// are taken as they come. At most 33 packets of a flow wait, whatever the time.
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_negative_numbers = true, default_value = "10", help_heading = "Flows")]
    reorder: i64,
    /// Leave out flows with fewer packets.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Flows")]
    min_packets: u64,
    /// Write only the N flows of most packets, of equal ones the first; with --each of every table. The rows keep their order and
    /// come when all flows have ended; packets of the others are `over_limit` in the ledger.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Flows")]
    max_flows: Option<u32>,
    /// Leave out TCP segments whose bytes were all seen before.
    #[arg(long, help_heading = "Packets")]
    no_retransmissions: bool,

    /// Write into this file instead of standard output. It appears when it is whole, in place of one that was there; missing
    /// folders are made. FILE.schema.json beside it says what its columns are, and by which options they came about; one of another
    /// making is not replaced.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Write no FILE.schema.json.
    #[arg(long, requires = "output", help_heading = "Output")]
    no_schema: bool,
    /// Take --output for a folder, and write a table for each capture into it, FOLDER/a.pcap.csv for a.pcap, those of a folder of
    /// captures as they lie in there. Captures are apart: no flow goes on in the next. Beside them, schema.json says what the
    /// columns are, and metrics.json what became of the packets of each. Nothing that is there is replaced.
    #[arg(long, requires = "output", conflicts_with = "report", help_heading = "Output")]
    each: bool,
    /// With --each, replace tables that are there.
    #[arg(long, requires = "each", help_heading = "Output")]
    force: bool,
    /// Write a table for each protocol, in place of one: FLOWS_tcp_flows.csv, FLOWS_udp_flows.csv, FLOWS_icmp_flows.csv and
    /// FLOWS_other_flows.csv (with --dialect nexus FLOWS_unknown_flows.csv) for --output FLOWS.csv. All four are written, without rows
    /// where there are no flows, so none of a run before stays. In JSON Lines each ends with the ledger of all.
    #[arg(long, requires = "output", help_heading = "Output")]
    split_by_protocol: bool,
    /// Keep captures apart, as --each does, but in one table: a last column, source_file, names the capture.
    #[arg(long, conflicts_with = "each", help_heading = "Output")]
    source_file: bool,
    /// What to write: JSON Lines, CSV, one JSON array as pandas writes it, or a spreadsheet, which has room for 1,048,575
    /// flows; `none` does all the work and prints a digest of the cells and the metrics. Default: as the name of --output ends
    /// (.csv; .xlsx; .jsonl, .ndjson, .json), else jsonl; with --dialect csv, and .json is an array.
    #[arg(long, value_enum, help_heading = "Output")]
    format: Option<Format>,
    /// Write flows as another program does: wa1kpcap, cic (CICFlowMeter, corrected), cic-java, cic-engelen, cic-2018, cic-2017,
    /// cic-py and cic-py-0.2 (cicflowmeter of PyPI), lycos (LycoSTand), nexus, nf-v2, nf-v3 (NetFlow features of NF-UQ-NIDS, as
    /// of nProbe). What flows are, which packets count and the columns are the dialect's; `pcap-compactor schema flows
    /// --dialect NAME` lists them, and where they are right and the program is not.
    #[arg(long, value_name = "NAME", help_heading = "Output", conflicts_with_all = ["flow_end", "tcp_timeout",
        "other_timeout", "active_timeout", "reorder", "no_retransmissions", "columns", "sequences", "stats_form", "app", "times"])]
    dialect: Option<Dialect>,
    /// With --dialect nexus, also write its text report of all flows that are written into this file.
    #[arg(long, value_name = "FILE", help_heading = "Output", requires = "dialect")]
    report: Option<PathBuf>,
    /// Set a switch of a dialect of CICFlowMeter's family, or of wa1kpcap: --set std=population. May be given more than once;
    /// `pcap-compactor schema flows --dialect NAME` lists the switches.
    #[arg(long, value_name = "NAME=VALUE", value_parser = switch, requires = "dialect", help_heading = "Output")]
    set: Vec<(String, String)>,
    /// The zone of a dialect's times that are dates, as the machine's of CICFlowMeter and NexusFlowMeter: Europe/Berlin. An hour
    /// that clocks show twice stands so. Default: UTC.
    #[arg(long, value_name = "ZONE", requires = "dialect", help_heading = "Output")]
    time_zone: Option<Zone>,
    /// Columns in their order, parted by commas; groups as @default, @stats, @tcp, @app, and
    /// @all, which is all but @app. Only what they need is computed.
    #[arg(long, value_name = "LIST", help_heading = "Output")]
    columns: Option<String>,
    /// Also write the first N packets of each flow one by one, as lists: times, lengths, flags, windows.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Output")]
    sequences: usize,
    /// Rules, as TOML, that say what flows are known to be: a `label` between these hosts and ports, at that time. Adds a
    /// column `label`, and a report of what the rules came to.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    label: Option<PathBuf>,
    /// Also write what payload says: of all protocols, or of those listed, parted by commas: --app=tls,dns.
    #[arg(long, value_name = "LIST", num_args = 0..=1, require_equals = true, default_missing_value = "app", help_heading = "Payload")]
    app: Option<String>,
    /// Bytes of a direction that wait to be read: TCP segments ahead of their turn, and headers that are not complete. What
    /// is longer is not read; 1024 to 1048576. Default: 65536.
    #[arg(long, value_name = "BYTES", value_parser = buffer, help_heading = "Payload")]
    app_buffer: Option<usize>,
    /// Requests, responses, names, commands and certificates that are kept of a flow; `app_left_out` counts the others.
    /// Default: 256.
    #[arg(long, value_name = "N", help_heading = "Payload")]
    app_items: Option<usize>,
    /// Bytes of text that are kept of a flow. Default: 65536.
    #[arg(long, value_name = "BYTES", help_heading = "Payload")]
    app_text: Option<usize>,
    /// Whether variance, skewness and kurtosis are of a population (divided by n) or of a sample (n - 1).
    #[arg(long, value_enum, default_value_t = MomentsArg::Population, help_heading = "Output")]
    stats_form: MomentsArg,
    #[command(flatten)]
    writing: Writing,

    /// Settings as TOML; of them flows take the service ports and which bytes count.
    #[arg(long, value_name = "FILE", help_heading = "Processing")]
    config: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

impl Args {
    /// How much of payload is kept: bytes of a direction that wait, things, bytes of text.
    fn app_limits(&self) -> [usize; 3] {
        let given = [self.app_buffer, self.app_items, self.app_text];
        let usual = [64 << 10, 256, 64 << 10];
        std::array::from_fn(|limit| given[limit].unwrap_or(usual[limit]))
    }

    /// The dialect, with its switches.
    fn dialect(&self) -> anyhow::Result<Option<Dialect>> {
        let Some(dialect) = self.dialect.clone() else { return Ok(None) };
        let mut set = self.set.iter().map(|(switch, value)| (switch.as_str(), value.as_str()));
        let see = match dialect.switches().is_empty() {
            true => String::new(),
            false => format!("; `pcap-compactor schema flows --dialect {}` lists the switches", dialect.name()),
        };
        let set = set.try_fold(dialect, |dialect, (switch, value)| dialect.set(switch, value));
        let dialect = set.map_err(|mistake| Usage(format!("--set: {mistake}{see}")))?;
        match self.time_zone.clone() {
            Some(zone) => Ok(Some(dialect.in_zone(zone).map_err(|mistake| Usage(format!("--time-zone: {mistake}")))?)),
            None => Ok(Some(dialect)),
        }
    }

    fn is_nexus(&self) -> bool {
        self.dialect.as_ref().is_some_and(|dialect| dialect.name() == "nexus")
    }

    fn format(&self) -> Format {
        let usual = if self.dialect.is_some() { Format::Csv } else { Format::Jsonl };
        self.format.or(self.format_by_name()).unwrap_or(usual)
    }

    /// What the end of the output's name says that it is.
    fn format_by_name(&self) -> Option<Format> {
        let end = self.output.as_deref().filter(|_| !self.each)?.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "csv" => Some(Format::Csv),
            "xlsx" => Some(Format::Xlsx),
            "json" if self.dialect.is_some() || self.format == Some(Format::Json) => Some(Format::Json),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EndArg {
    Rules,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Json,
    Xlsx,
    None,
}

impl Format {
    /// Its name for people.
    fn about(self) -> &'static str {
        match self {
            Format::Jsonl => "JSON Lines",
            Format::Csv => "CSV",
            Format::Json => "JSON",
            Format::Xlsx => "a spreadsheet",
            Format::None => "nothing",
        }
    }

    /// How the names of its files end.
    fn ending(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Xlsx => "xlsx",
            Format::None => "none",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum MomentsArg {
    Population,
    Sample,
}

/// A switch and its value.
fn switch(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    match (name.trim(), value.trim()) {
        ("", _) | (_, "") => Err("write NAME=VALUE, a switch and its value, as in std=population".into()),
        (name, value) => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Seconds with up to nine decimals, as nanoseconds.
fn seconds(text: &str) -> Result<i64, String> {
    decimal(text, 9).ok_or_else(|| "seconds go from 0 to 9223372036, with up to 9 decimals: 300 or 0.5".into())
}

/// Milliseconds with up to six decimals, as nanoseconds.
fn milliseconds(text: &str) -> Result<i64, String> {
    decimal(text, 6).ok_or_else(|| "milliseconds go from 0 to 9223372036854, with up to 6 decimals: 10 or 0.5".into())
}

/// Bytes for what waits of a direction. A message that is longer is never read, and a TLS hello alone has hundreds.
fn buffer(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| (1024..=1 << 20).contains(bytes));
    bytes
        .ok_or_else(|| "a number of bytes, 1024 to 1048576; to read no payload, leave out --app and its columns".into())
}

/// A decimal number, not negative, times ten to the power of `places`, exactly.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > places || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

/// Runs `flows`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    if args.format() == Format::None && args.output.is_some() {
        return Err(no_file_of_nothing().into());
    }
    args.output.as_deref().filter(|_| !args.each).map_or(Ok(()), of_no_other_kind)?;
    if args.split_by_protocol && args.output.as_deref().is_some_and(is_a_stream) {
        return Err(Usage(
            "--split-by-protocol makes files beside --output, which is a pipe or a device; name a file".into(),
        )
        .into());
    }
    if args.format() == Format::Xlsx && args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Usage("a spreadsheet is not for a terminal; name a file: --output flows.xlsx".into()).into());
    }
    let dialect = args.dialect()?;
    let settings = settings(args, dialect.as_ref())?;
    let mut about = report(args)?;
    let (found, exit) = args.sources.find("flows", settings.clip, shared)?;
    let folder = args.output.as_deref().filter(|_| args.each);
    let tables = folder.map(|folder| each::tables(args, folder, &found)).transpose()?;
    let outputs = outputs(args, folder.zip(tables.as_deref()));
    found.spare(outputs, &[("--config", args.config.as_deref()), ("--label", args.label.as_deref())])?;
    if let (None, Some(place)) = (folder, schema(args)) {
        beside::replaceable(&place)?;
    }
    if let Some(path) = args.output.as_deref()
        && let Some(by_name) = args.format_by_name().filter(|by_name| *by_name != args.format() && !shared.quiet)
    {
        let (path, format) = (path.display(), args.format().about());
        say(&format!("{path}: becomes {format}, as --format says, not {}, as its name does", by_name.about()));
    }
    let rules = settings.labels.clone();
    let progress = Arc::new(Progress::default());
    interrupt::watch(&progress)?;
    let bytes = found.bytes();
    let units = if args.source_file { each::apart(args, &found.units)? } else { found.units };
    let bar = Bar::show(&progress, move || bytes, shared.quiet);
    let began = Instant::now();
    let run = Run { args, dialect: dialect.as_ref(), settings, progress: &progress };
    let done = match (&args.output, tables) {
        (Some(folder), Some(tables)) => each::run(&run, folder, tables)?,
        (Some(path), None) => vec![into_files(&run, path, units, about.as_mut())?],
        (None, _) => vec![write(&run, units, about.as_mut(), vec![("standard output".into(), stdout::lock()?)])?.1],
    };
    drop(bar);
    let took = began.elapsed();
    let mut sum = Sum::default();
    let (mut counts, mut exit) = (FlowCounts::default(), exit);
    for Done { reports, metrics } in &done {
        let metrics = metrics.as_ref().map(OwnedMetrics::borrow);
        counts += metrics.as_ref().map_or_else(FlowCounts::default, |metrics| metrics.counts);
        // Told once, of all runs together.
        let mut outcome = metrics.map_or_else(Outcome::default, |metrics| metrics.outcome);
        for report in reports {
            exit = exit.max(complaints(report, &outcome, shared.quiet));
            sum.add(report, &std::mem::take(&mut outcome), Amount::default());
        }
    }
    if !shared.quiet {
        closing(&sum, took, "in flows", &things(counts.flows, "flow"));
        limits(&counts);
        rules.iter().for_each(|rules| labels::tell(&rules.report()));
    }
    // What a failed run has to say takes the place of nothing.
    if sum.captures == 0 {
        anyhow::bail!("none of the inputs is a capture that can be read");
    }
    if let (Some(path), Some(about)) = (&args.report, about) {
        let read = done.iter().flat_map(|done| &done.reports).flat_map(|report| &report.files);
        let names: Vec<_> = read.map(|file| file.path.display().to_string()).collect();
        write_whole(path, about.text(&names.join(", ")).as_bytes())?;
    }
    if let Some(path) = &args.writing.stats {
        write_whole(path, stats(args.reading.threads(), sum.read_now(), took).as_bytes())?;
    }
    Ok(exit)
}

/// Whether it is there, and is a pipe or a device.
fn is_a_stream(path: &Path) -> bool {
    path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Refuses folders, and names of files of a kind that is not written.
fn of_no_other_kind(path: &Path) -> Result<(), Usage> {
    if path.is_dir() {
        let path = path.display();
        return Err(Usage(format!(
            "{path}: is a folder; name a file, or take --each for a table of each capture in there"
        )));
    }
    let end = path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase);
    let others = ["gz", "zst", "xz", "bz2", "zip", "parquet", "arrow", "feather", "xls"];
    match end.filter(|end| others.contains(&&**end)) {
        Some(end) => Err(Usage(format!(
            "{}: no .{end} is written; name it .csv, .jsonl, .json or .xlsx, or leave out --output and pass the rows on",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// Says where a limit was reached, and what that did.
fn limits(counts: &FlowCounts) {
    let reached = [
        (
            counts.packets_behind,
            "packet",
            "behind the time or the 33 packets within which --reorder puts right: counted at once, ahead of packets that came before and still waited",
        ),
        (
            counts.flows_behind,
            "flow",
            "of ends that had been silent for longer than the timeout when time went back: each stands for itself",
        ),
        (
            counts.forgotten_holes,
            "hole",
            "of TCP sequences forgotten, as too many or too far back; what fills them counts as repeated",
        ),
        (counts.app_gaps, "gap", "in TCP payload: it was not captured, or did not fit into --app-buffer"),
        (
            counts.app_left_out,
            "thing",
            "that payload said did not fit into --app-items or --app-text; `app_left_out` counts them by flow",
        ),
        (counts.unread_certificates, "certificate", "could not be read; `tls_certs_unread` counts them by flow"),
        (
            counts.datagrams_let_go,
            "datagram",
            "in fragments, too many of which were open at once: their payload was not read",
        ),
        (counts.flows_over_limit, "flow", "left out by --max-flows, which keeps those of most packets"),
    ];
    for (n, thing, what) in reached.into_iter().filter(|(n, ..)| *n > 0) {
        say(&format!("{} {what}", things(n, thing)));
    }
}

/// What is written, and by which option; into a folder, the tables in there.
fn outputs(args: &Args, tables: Option<(&Path, &[each::Table])>) -> Vec<Named> {
    let places = args.output.iter().flat_map(|path| tables::places(args, path)).map(|path| ("--output", path));
    let records = if args.output.is_some() { places.collect() } else { vec![standard_output()] };
    let schema = schema(args).map(|path| ("the schema beside --output", path));
    let mut outputs = match tables {
        Some((folder, tables)) => each::outputs(args, folder, tables),
        None => records.into_iter().chain(schema).collect(),
    };
    let others = [("--stats", &args.writing.stats), ("--report", &args.report)];
    outputs.extend(others.into_iter().filter_map(|(option, path)| Some((option, path.clone()?))));
    outputs
}

/// Where the table's schema goes, if there is to be one.
fn schema(args: &Args) -> Option<PathBuf> {
    args.output.as_deref().filter(|_| !args.no_schema).and_then(beside::place)
}

/// The report, if it is to be written.
fn report(args: &Args) -> Result<Option<Report>, Usage> {
    match (&args.report, &args.dialect) {
        (Some(_), Some(dialect)) if dialect.name() != "nexus" => {
            Err(Usage(format!("--dialect {} has no report; leave out --report", dialect.name())))
        }
        (report, _) => Ok(report.as_ref().map(|_| Report::default())),
    }
}

fn settings(args: &Args, dialect: Option<&Dialect>) -> anyhow::Result<Settings> {
    let config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    let mut columns = args.columns.as_deref().map_or(Ok(Columns::default()), Columns::parse)?;
    if args.sequences > 0 {
        columns = columns.and(Group::Sequences);
    } else if args.columns.as_deref().is_some_and(|list| list.contains("seq_") || list.contains("@sequences")) {
        return Err(Usage("columns of sequences need --sequences N, which says of how many packets".into()).into());
    }
    if let Some(list) = &args.app {
        columns = columns.and_of_payload(list)?;
    }
    let usual = Settings::new(&config);
    let settings = Settings {
        lifetime: lifetime(args)?,
        reorder: args.reorder,
        sequences: args.sequences,
        form: match args.stats_form {
            MomentsArg::Population => Moments::Population,
            MomentsArg::Sample => Moments::Sample,
        },
        min_packets: args.min_packets,
        no_retransmissions: args.no_retransmissions,
        bytes: args.writing.measure().unwrap_or(usual.bytes),
        clip: args.sources.range()?,
        columns,
        labels: args.label.as_deref().map(Labels::load).transpose()?.map(Arc::new),
        #[cfg(feature = "payload")]
        payload: {
            let [stream, items, text] = args.app_limits();
            pcap_compactor::payload::Limits { stream, items, text, details: true }
        },
        ..usual
    };
    let mut settings = match dialect {
        Some(dialect) => of_dialect(dialect, settings, args)?,
        None => settings,
    };
    if !settings.columns.need_payload() && [args.app_buffer, args.app_items, args.app_text] != [None; 3] {
        return Err(Usage("--app-buffer, --app-items and --app-text are about payload; add --app".into()).into());
    }
    if settings.labels.is_some() {
        settings.columns = settings.columns.and_label();
    }
    if args.source_file {
        settings.columns = settings.columns.and_source_file();
    }
    Ok(settings)
}

/// The settings of a dialect, where it has some.
fn of_dialect(dialect: &Dialect, usual: Settings, args: &Args) -> Result<Settings, Usage> {
    let mut settings = dialect.settings(usual);
    if args.writing.measure().is_some_and(|asked| asked != settings.bytes) {
        let name = dialect.name();
        return Err(Usage(format!("--dialect {name} has a measure of bytes of its own; leave out --bytes")));
    }
    if let Some(timeout) = args.udp_timeout {
        if settings.sweeps {
            let name = dialect.name();
            return Err(Usage(format!(
                "--dialect {name} ends flows in sweeps, not by a timeout; leave out --udp-timeout"
            )));
        }
        if dialect.switches().iter().any(|switch| switch.name == "idle_timeout" && switch.value == "off") {
            return Err(Usage(format!(
                "--dialect {} ends no flow by silence while its switch idle_timeout is off; leave out --udp-timeout, or add \
                 --set idle_timeout=udp-120s",
                dialect.name()
            )));
        }
        settings.lifetime.udp_idle = limit(timeout);
    }
    Ok(settings)
}

/// When flows end.
fn lifetime(args: &Args) -> Result<Lifetime, Usage> {
    let timeouts = [
        ("--tcp-timeout", args.tcp_timeout),
        ("--udp-timeout", args.udp_timeout),
        ("--other-timeout", args.other_timeout),
        ("--active-timeout", args.active_timeout),
    ];
    if args.flow_end == EndArg::Never {
        return match timeouts.iter().find(|(_, given)| given.is_some()) {
            Some((option, _)) => Err(Usage(format!("--flow-end never has no timeouts; leave out {option}"))),
            None => Ok(Lifetime::NEVER),
        };
    }
    let usual = Lifetime::default();
    let [tcp_idle, udp_idle, other_idle, active] = timeouts.map(|(_, given)| given);
    Ok(Lifetime {
        tcp_idle: tcp_idle.map_or(usual.tcp_idle, limit),
        udp_idle: udp_idle.map_or(usual.udp_idle, limit),
        other_idle: other_idle.map_or(usual.other_idle, limit),
        active: active.map_or(usual.active, limit),
        tcp_end: TcpEnd::Closed,
        goes_on: GoesOn::Never,
    })
}

/// A length of time as a limit: 0 is none.
fn limit(ns: i64) -> Option<i64> {
    (ns > 0).then_some(ns)
}

/// What tables came to: the runs, and the metrics of all of them; none if there was no run.
struct Done {
    reports: Vec<pcap_compactor::engine::Report>,
    metrics: Option<OwnedMetrics<FlowCounts>>,
}

/// What the arguments come to.
struct Run<'a> {
    args: &'a Args,
    dialect: Option<&'a Dialect>,
    settings: Settings,
    progress: &'a Arc<Progress>,
}

impl Done {
    /// Whether a capture was read; without one no file takes the place of another.
    fn has_captures(&self) -> bool {
        self.reports.iter().flat_map(|report| &report.files).any(|file| is_capture(&file.capture))
    }
}

/// Runs all units into one file, or one a protocol, and writes beside it what it is.
fn into_files(run: &Run<'_>, path: &Path, units: Vec<Unit>, about: Option<&mut Report>) -> anyhow::Result<Done> {
    let create = |place: PathBuf| AtomicFile::create(&place).map(|file| (place, file));
    let files = tables::places(run.args, path).into_iter().map(create).collect::<Result<_, _>>()?;
    let schema = schema(run.args).map(|place| Ok::<_, anyhow::Error>((AtomicFile::create(&place)?, place)));
    let schema = schema.transpose()?;
    let (files, done) = write(run, units, about, files)?;
    if !done.has_captures() {
        return Ok(done);
    }
    for file in files {
        file.commit()?;
    }
    if let Some((mut file, place)) = schema {
        let text = beside::text(run.args, run.dialect, &run.settings)?;
        file.write_all(text.as_bytes()).with_context(|| format!("{}: cannot write", place.display()))?;
        file.commit()?;
    }
    Ok(done)
}

/// Runs all units into one stream, or one a protocol; each has a name for errors.
fn write<W: Write>(
    run: &Run<'_>,
    units: Vec<Unit>,
    about: Option<&mut Report>,
    outs: Vec<(PathBuf, W)>,
) -> anyhow::Result<(Vec<W>, Done)> {
    let Run { args, dialect, settings, progress } = run;
    let mut engine = args.reading.engine(progress);
    if let Some(dialect) = dialect {
        engine = engine.filter(args.reading.filter.filter().and(dialect.filter().clone()));
    }
    let writers = outs.into_iter().map(|(name, out)| writer(run, name, out)).collect();
    let watched = Watched { sink: Tables::new(args, writers), about, metrics: None };
    let limit = args.max_flows.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut runs = FlowRuns::new(MostPackets::new(watched, limit));
    let mut reports = Vec::new();
    for unit in units.into_iter().filter(|unit| !unit.inputs.is_empty()) {
        let mut settings = settings.clone();
        if let [capture] = &unit.inputs[..]
            && args.source_file
        {
            settings.source_file = Some(args.sources.inside(capture.path()).display().to_string().into());
        }
        let apart = unit.sensor.is_some();
        let sensor = unit.sensor.as_deref().or(args.sources.are_named().then_some("local"));
        let job = FlowJob::new(settings).engine(engine.clone()).sensor(sensor, apart);
        reports.push(job.run(unit.inputs.into_iter().map(Input::from).collect(), &mut runs)?);
    }
    let Watched { sink, metrics, .. } = runs.finish()?.into_inner();
    Ok((sink.into_inner(), Done { reports, metrics }))
}

/// Writes flows to a stream.
fn writer<W: Write>(run: &Run<'_>, name: PathBuf, out: W) -> FlowWriter<W> {
    let Run { args, dialect, settings, .. } = run;
    let form = match args.format() {
        Format::Jsonl => Form::Lines,
        Format::Csv => Form::Csv,
        Format::Json => Form::Array,
        Format::Xlsx => Form::Sheet,
        Format::None => Form::Digest,
    };
    let writer = FlowWriter::new(out, name, form, settings.columns.clone(), args.writing.times());
    match dialect {
        Some(dialect) => writer.notation(dialect.notation()),
        None => writer,
    }
}

/// Passes flows on, tells the report of them, and keeps the metrics.
struct Watched<'r, S> {
    sink: S,
    about: Option<&'r mut Report>,
    metrics: Option<OwnedMetrics<FlowCounts>>,
}

impl<S: FlowSink> FlowSink for Watched<'_, S> {
    fn on_flow(&mut self, flow: &FlowRecord) -> pcap_compactor::Result<()> {
        if let Some(about) = &mut self.about {
            about.add(flow);
        }
        self.sink.on_flow(flow)
    }
    fn on_marker(&mut self) -> pcap_compactor::Result<()> {
        self.sink.on_marker()
    }
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> pcap_compactor::Result<()> {
        self.metrics = Some(metrics.to_owned());
        self.sink.on_metrics(metrics)
    }
}
