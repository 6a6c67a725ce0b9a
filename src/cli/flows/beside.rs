//! The file beside a table of flows that says what the table is: its dialect, its columns, and the options that decide their
//! values. It depends on nothing else, so equal options write equal bytes.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pcap_compactor::Timestamp;
use pcap_compactor::config::Measure;
use pcap_compactor::decode::Tunnels;
use pcap_compactor::flow::moments::Form as Moments;
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::Settings;
use pcap_compactor::views::flows::dialects::{Dialect, Zone};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::Args;
use crate::cli::Usage;
use crate::cli::schema::Schema;
use crate::cli::text::utc;

/// Where it is; nothing beside a pipe or a device.
pub(super) fn place(table: &Path) -> Option<PathBuf> {
    if super::is_a_stream(table) {
        return None;
    }
    let mut name = table.file_name()?.to_owned();
    name.push(".schema.json");
    Some(table.with_file_name(name))
}

/// Refuses a place where a file is that no run wrote.
///
/// # Errors
/// There is one; the text says how else.
pub(super) fn replaceable(place: &Path) -> Result<(), Usage> {
    #[derive(Deserialize)]
    struct Ours {
        program: String,
    }
    let ours = || {
        let file = BufReader::new(File::open(place).ok()?);
        serde_json::from_reader::<_, Ours>(file).ok().filter(|ours| ours.program == env!("CARGO_PKG_NAME"))
    };
    if place.is_file() && ours().is_none() {
        return Err(Usage(format!(
            "{}: is no schema that a run wrote, and would be replaced; take --no-schema, or name another --output",
            place.display()
        )));
    }
    Ok(())
}

/// What it holds.
pub(super) fn text(args: &Args, dialect: Option<&Dialect>, settings: &Settings) -> anyhow::Result<String> {
    let beside = Beside {
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        format: args.format().ending(),
        schema: Schema::new(dialect, settings.columns.list()),
        options: Options::new(args, dialect, settings),
    };
    Ok(serde_json::to_string_pretty(&beside)? + "\n")
}

/// The options alone, on one line.
#[cfg(feature = "tables")]
pub(super) fn options(args: &Args, dialect: Option<&Dialect>, settings: &Settings) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&Options::new(args, dialect, settings))?)
}

#[derive(Serialize)]
struct Beside<'a> {
    program: &'static str,
    version: &'static str,
    format: &'static str,
    options: Options<'a>,
    #[serde(flatten)]
    schema: Schema,
}

/// The options as they stand, those of the dialect's own included. A timeout that is null has no limit.
#[derive(Serialize)]
struct Options<'a> {
    tcp_timeout_seconds: Option<Number>,
    udp_timeout_seconds: Option<Number>,
    other_timeout_seconds: Option<Number>,
    active_timeout_seconds: Option<Number>,
    tcp_end: &'static str,
    client: &'static str,
    reorder_seconds: Number,
    min_packets: u64,
    max_flows: Option<u32>,
    split_by_protocol: bool,
    source_file: bool,
    no_retransmissions: bool,
    bytes: &'static str,
    tunnels: &'static str,
    dedup: usize,
    filter: &'a str,
    no_pure_acks: bool,
    no_rst: bool,
    from: Option<String>,
    to: Option<String>,
    times: &'static str,
    time_zone: &'a str,
    label: Option<String>,
    config: Option<String>,
    /// Of columns that no dialect has.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats_form: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequences: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<App>,
}

/// How much payload was kept, where it was read.
#[derive(Serialize)]
struct App {
    buffer: usize,
    items: usize,
    text: usize,
}

impl<'a> Options<'a> {
    fn new(args: &'a Args, dialect: Option<&Dialect>, settings: &Settings) -> Options<'a> {
        let (lifetime, filter) = (&settings.lifetime, &args.reading.filter);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let usual = dialect.is_none();
        Options {
            tcp_timeout_seconds: lifetime.tcp_idle.map(seconds),
            udp_timeout_seconds: lifetime.udp_idle.map(seconds),
            other_timeout_seconds: lifetime.other_idle.map(seconds),
            active_timeout_seconds: lifetime.active.map(seconds),
            tcp_end: lifetime.tcp_end.name(),
            client: settings.client.name(),
            reorder_seconds: seconds(settings.reorder),
            min_packets: settings.min_packets,
            max_flows: args.max_flows,
            split_by_protocol: args.split_by_protocol,
            source_file: args.source_file,
            no_retransmissions: settings.no_retransmissions,
            bytes: match settings.bytes {
                Measure::Wire => "wire",
                Measure::Captured => "captured",
            },
            tunnels: match args.reading.tunnels() {
                Tunnels::Inner => "inner",
                Tunnels::Outer => "outer",
            },
            dedup: args.reading.dedup,
            filter: filter.text(),
            no_pure_acks: filter.no_pure_acks,
            no_rst: filter.no_rst,
            from: settings.clip.map(|clip| clip.start).filter(|start| *start != Timestamp::MIN).map(utc),
            to: settings.clip.map(|clip| clip.end).filter(|end| *end != Timestamp::MAX).map(utc),
            times: match args.writing.times() {
                Times::Seconds => "s",
                Times::Nanoseconds => "ns",
            },
            time_zone: args.time_zone.as_ref().map_or("UTC", Zone::name),
            label: path(&args.label),
            config: path(&args.config),
            stats_form: usual.then_some(match settings.form {
                Moments::Population => "population",
                Moments::Sample => "sample",
            }),
            sequences: usual.then_some(settings.sequences),
            app: settings.columns.need_payload().then(|| {
                let [buffer, items, text] = args.app_limits();
                App { buffer, items, text }
            }),
        }
    }
}

/// Nanoseconds as seconds, whole ones without a fraction.
fn seconds(ns: i64) -> Number {
    const SECOND: i64 = 1_000_000_000;
    match ns % SECOND {
        0 => (ns / SECOND).into(),
        _ => Number::from_f64(ns as f64 / SECOND as f64).unwrap_or_else(|| (ns / SECOND).into()),
    }
}
