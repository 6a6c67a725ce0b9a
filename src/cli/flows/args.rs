//! What `flows` is told on the command line.

use std::path::PathBuf;

use clap::ValueEnum;
use pcap_compactor::time::decimal;
use pcap_compactor::views::flows::dialects::{Dialect, Zone};

use crate::cli::Usage;
use crate::cli::reading::{Reading, Sources, Writing, milliseconds};

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
    pub(super) sources: Sources,

    /// When flows end: by the rules below, or never, which makes one flow of all packets of a 5-tuple.
    #[arg(long, value_enum, default_value_t = EndArg::Rules, help_heading = "Flows")]
    pub(super) flow_end: EndArg,
    /// The longest silence inside a TCP flow, in seconds; 0: any. Default: 300.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    pub(super) tcp_timeout: Option<i64>,
    /// The longest silence inside a UDP flow, in seconds; 0: any. Default: 120; with --dialect, the dialect's.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    pub(super) udp_timeout: Option<i64>,
    /// The longest silence inside a flow of another protocol, in seconds; 0: any. Default: 60.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    pub(super) other_timeout: Option<i64>,
    /// The longest time from a flow's first packet to its last, in seconds; 0: any. Default: any.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, help_heading = "Flows")]
    pub(super) active_timeout: Option<i64>,
    /// How far behind its flow's newest packet a packet may come and still be put in its place, in milliseconds; 0: packets
    /// are taken as they come. At most 33 packets of a flow wait, whatever the time.
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_negative_numbers = true, default_value = "10", help_heading = "Flows")]
    pub(super) reorder: i64,
    /// Leave out flows with fewer packets.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Flows")]
    pub(super) min_packets: u64,
    /// Write only the N flows of most packets, of equal ones the first; with --each of every table. The rows keep their order and
    /// come when all flows have ended; packets of the others are `over_limit` in the ledger.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Flows")]
    pub(super) max_flows: Option<u32>,
    /// Leave out TCP segments whose bytes were all seen before.
    #[arg(long, help_heading = "Packets")]
    pub(super) no_retransmissions: bool,

    /// Write into this file instead of standard output. It appears when it is whole, in place of one that was there; missing
    /// folders are made. FILE.schema.json beside it says what its columns are, and by which options they came about; one of another
    /// making is not replaced.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// Write no FILE.schema.json.
    #[arg(long, requires = "output", help_heading = "Output")]
    pub(super) no_schema: bool,
    /// Take --output for a folder, and write a table for each capture into it, FOLDER/a.pcap.csv for a.pcap, those of a folder of
    /// captures as they lie in there. Captures are apart: no flow goes on in the next. Beside them, schema.json says what the
    /// columns are, and metrics.json what became of the packets of each. Nothing that is there is replaced.
    #[arg(long, requires = "output", conflicts_with = "report", help_heading = "Output")]
    pub(super) each: bool,
    /// With --each, replace tables that are there.
    #[arg(long, requires = "each", conflicts_with_all = ["report", "source_file"], help_heading = "Output")]
    pub(super) force: bool,
    /// Write a table for each protocol, in place of one: FLOWS_tcp_flows.csv, FLOWS_udp_flows.csv, FLOWS_icmp_flows.csv and
    /// FLOWS_other_flows.csv (with --dialect nexus FLOWS_unknown_flows.csv) for --output FLOWS.csv. All four are written, without rows
    /// where there are no flows, so none of a run before stays. In JSON Lines each ends with the ledger of all.
    #[arg(long, requires = "output", help_heading = "Output")]
    pub(super) split_by_protocol: bool,
    /// Keep captures apart, as --each does, but in one table: a last column, source_file, names the capture.
    #[arg(long, conflicts_with = "each", help_heading = "Output")]
    pub(super) source_file: bool,
    /// What to write: JSON Lines, CSV, one JSON array as pandas writes it, a spreadsheet, which has room for 1,048,575 flows,
    /// Parquet, or Arrow's file format; `none` does all the work and prints a digest of the cells and the metrics. Default: as the
    /// name of --output ends (.csv; .xlsx; .jsonl, .ndjson, .json; .parquet; .arrow, .feather), else jsonl; with --dialect csv,
    /// and .json is an array.
    #[arg(long, value_enum, help_heading = "Output")]
    pub(super) format: Option<Format>,
    /// Write flows as another program does: wa1kpcap, cic (CICFlowMeter, corrected), cic-java, cic-engelen, cic-2018, cic-2017,
    /// cic-py and cic-py-0.2 (cicflowmeter of PyPI), lycos (LycoSTand), nexus, nf-v2, nf-v3 (NetFlow features of NF-UQ-NIDS, as
    /// of nProbe). What flows are, which packets count and the columns are the dialect's; `pcap-compactor schema flows
    /// --dialect NAME` lists them, and where they are right and the program is not.
    #[arg(long, value_name = "NAME", help_heading = "Output", conflicts_with_all = ["flow_end", "tcp_timeout",
        "other_timeout", "active_timeout", "reorder", "no_retransmissions", "columns", "sequences", "stats_form", "app", "times"])]
    pub(super) dialect: Option<Dialect>,
    /// With --dialect nexus, also write its text report of all flows that are written into this file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) report: Option<PathBuf>,
    /// Set a switch of a dialect of CICFlowMeter's family, or of wa1kpcap: --set std=population. May be given more than once;
    /// `pcap-compactor schema flows --dialect NAME` lists the switches.
    #[arg(long, value_name = "NAME=VALUE", value_parser = switch, help_heading = "Output")]
    pub(super) set: Vec<(String, String)>,
    /// The zone of a dialect's times that are dates, as the machine's of CICFlowMeter and NexusFlowMeter: Europe/Berlin. An hour
    /// that clocks show twice stands so. Default: UTC.
    #[arg(long, value_name = "ZONE", help_heading = "Output")]
    pub(super) time_zone: Option<Zone>,
    /// Columns in their order, parted by commas; groups as @default, @stats, @tcp, @app, and
    /// @all, which is all but @app. Only what they need is computed.
    #[arg(long, value_name = "LIST", help_heading = "Output")]
    pub(super) columns: Option<String>,
    /// Also write the first N packets of each flow one by one, as lists: times, lengths, flags, windows.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Output")]
    pub(super) sequences: usize,
    /// Rules, as TOML, that say what flows are known to be: a `label` between these hosts and ports, at that time. Adds a
    /// column `label`, and a report of what the rules came to.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) label: Option<PathBuf>,
    /// Also write what payload says: of all protocols, or of those listed, parted by commas: --app=tls,dns.
    #[arg(long, value_name = "LIST", num_args = 0..=1, require_equals = true, default_missing_value = "app", help_heading = "Payload")]
    pub(super) app: Option<String>,
    /// Bytes of a direction that wait to be read: TCP segments ahead of their turn, and headers that are not complete. What
    /// is longer is not read; 1024 to 1048576. Default: 65536.
    #[arg(long, value_name = "BYTES", value_parser = buffer, help_heading = "Payload")]
    pub(super) app_buffer: Option<usize>,
    /// Requests, responses, names, commands and certificates that are kept of a flow; `app_left_out` counts the others.
    /// Default: 256.
    #[arg(long, value_name = "N", help_heading = "Payload")]
    pub(super) app_items: Option<usize>,
    /// Bytes of text that are kept of a flow. Default: 65536.
    #[arg(long, value_name = "BYTES", help_heading = "Payload")]
    pub(super) app_text: Option<usize>,
    /// Whether variance, skewness and kurtosis are of a population (divided by n) or of a sample (n - 1).
    #[arg(long, value_enum, default_value_t = MomentsArg::Population, help_heading = "Output")]
    pub(super) stats_form: MomentsArg,
    #[command(flatten)]
    pub(super) writing: Writing,

    /// Settings as TOML; of them flows take the service ports and which bytes count.
    #[arg(long, value_name = "FILE", help_heading = "Processing")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

impl Args {
    /// How much of payload is kept: bytes of a direction that wait, things, bytes of text.
    #[cfg(feature = "payload")]
    pub(super) fn app_limits(&self) -> [usize; 3] {
        let given = [self.app_buffer, self.app_items, self.app_text];
        let usual = [64 << 10, 256, 64 << 10];
        std::array::from_fn(|limit| given[limit].unwrap_or(usual[limit]))
    }

    /// The dialect, with its switches.
    pub(super) fn dialect(&self) -> anyhow::Result<Option<Dialect>> {
        let Some(dialect) = self.dialect.clone() else {
            // Clap would not ask for one beside an option that excludes it.
            let given = [
                ("--report", self.report.is_some()),
                ("--set", !self.set.is_empty()),
                ("--time-zone", self.time_zone.is_some()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                Some((option, _)) => {
                    Err(Usage(format!("{option} is about a dialect; add --dialect, or leave it out")).into())
                }
                None => Ok(None),
            };
        };
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

    pub(super) fn is_nexus(&self) -> bool {
        self.dialect.as_ref().is_some_and(|dialect| dialect.name() == "nexus")
    }

    pub(super) fn format(&self) -> Format {
        let usual = if self.dialect.is_some() { Format::Csv } else { Format::Jsonl };
        self.format.or(self.format_by_name()).unwrap_or(usual)
    }

    /// What the end of the output's name says that it is.
    pub(super) fn format_by_name(&self) -> Option<Format> {
        let end = self.output.as_deref().filter(|_| !self.each)?.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "csv" => Some(Format::Csv),
            "xlsx" => Some(Format::Xlsx),
            #[cfg(feature = "tables")]
            "parquet" => Some(Format::Parquet),
            #[cfg(feature = "tables")]
            "arrow" | "feather" => Some(Format::Arrow),
            "json" if self.dialect.is_some() || self.format == Some(Format::Json) => Some(Format::Json),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EndArg {
    Rules,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Jsonl,
    Csv,
    Json,
    Xlsx,
    #[cfg(feature = "tables")]
    Parquet,
    #[cfg(feature = "tables")]
    Arrow,
    None,
}

impl Format {
    /// Its name for people.
    pub(super) fn about(self) -> &'static str {
        match self {
            Format::Jsonl => "JSON Lines",
            Format::Csv => "CSV",
            Format::Json => "JSON",
            Format::Xlsx => "a spreadsheet",
            #[cfg(feature = "tables")]
            Format::Parquet => "Parquet",
            #[cfg(feature = "tables")]
            Format::Arrow => "Arrow",
            Format::None => "nothing",
        }
    }

    /// Whether it is for programs, and a terminal would show noise.
    pub(super) fn is_binary(self) -> bool {
        match self {
            Format::Jsonl | Format::Csv | Format::Json | Format::None => false,
            Format::Xlsx => true,
            #[cfg(feature = "tables")]
            Format::Parquet | Format::Arrow => true,
        }
    }

    /// Whether its columns have types.
    #[cfg(feature = "tables")]
    pub(super) fn is_table(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// How the names of its files end.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Xlsx => "xlsx",
            #[cfg(feature = "tables")]
            Format::Parquet => "parquet",
            #[cfg(feature = "tables")]
            Format::Arrow => "arrow",
            Format::None => "none",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum MomentsArg {
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

/// Bytes for what waits of a direction. A message that is longer is never read, and a TLS hello alone has hundreds.
fn buffer(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| (1024..=1 << 20).contains(bytes));
    bytes
        .ok_or_else(|| "a number of bytes, 1024 to 1048576; to read no payload, leave out --app and its columns".into())
}
