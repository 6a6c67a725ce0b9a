//! What decided the values of a product beside its captures, as tables of typed columns and the file beside a table of flows say it.
//!
//! All of it is told, defaults and what a dialect has of its own included, and nothing else is: not how captures are read, nor where
//! records go. So the same records have the same words, whoever asked for them. Absent lengths of time are no limit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Not;

use serde::Serialize;

use super::jsonl::Times;
use crate::config::{Config, Measure};
use crate::decode::Tunnels;
use crate::flow::moments::Form;
use crate::time::{Timestamp, utc};
use crate::views::flows::dialects::Dialect;
use crate::views::groups::Window;
use crate::views::{buckets, flows};

/// Which packets of the captures there are.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Packets<'a> {
    /// An expression as it was given; empty if there is none.
    pub filter: &'a str,
    /// Without TCP packets that only acknowledge.
    pub no_pure_acks: bool,
    /// Without TCP packets with RST.
    pub no_rst: bool,
    /// Without frames that equal one of so many before them.
    pub dedup: usize,
    /// Whose addresses they have.
    #[serde(serialize_with = "tunnels")]
    pub tunnels: Tunnels,
}

fn tunnels<S: serde::Serializer>(tunnels: &Tunnels, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match tunnels {
        Tunnels::Inner => "inner",
        Tunnels::Outer => "outer",
    })
}

/// Of groups and scan summaries.
#[derive(Debug, Serialize)]
pub struct Groups<'a> {
    config: &'a Config,
    clip_ns: Option<[i64; 2]>,
    single_window: bool,
    lateness_ns: Option<i64>,
    #[serde(flatten)]
    packets: Packets<'a>,
}

impl<'a> Groups<'a> {
    /// With a range of time, which may be one window; and how late packets may come.
    #[must_use]
    pub fn new(
        config: &'a Config,
        (range, single_window): (Option<Window>, bool),
        lateness_ns: Option<i64>,
        packets: Packets<'a>,
    ) -> Groups<'a> {
        Groups { config, clip_ns: range.map(ends), single_window, lateness_ns, packets }
    }
}

fn ends(range: Window) -> [i64; 2] {
    [range.start.0, range.end.0]
}

/// Of buckets.
#[derive(Debug, Serialize)]
pub struct Buckets<'a> {
    widths_ns: &'a [i64],
    align: &'static str,
    local: Vec<String>,
    bytes: Measure,
    reorder_ns: i64,
    gap_limit: u64,
    clip_ns: Option<[i64; 2]>,
    mono_origin_ns: Option<i64>,
    #[serde(flatten)]
    packets: Packets<'a>,
}

impl<'a> Buckets<'a> {
    /// With the other clock's 1970, if rows say what it shows.
    #[must_use]
    pub fn new(settings: &'a buckets::Settings, mono_origin: Option<i64>, packets: Packets<'a>) -> Buckets<'a> {
        Buckets {
            widths_ns: &settings.widths,
            align: if settings.from_start { "start" } else { "epoch" },
            local: settings.local.iter().map(ToString::to_string).collect(),
            bytes: settings.bytes,
            reorder_ns: settings.reorder,
            gap_limit: settings.gap_limit,
            clip_ns: settings.clip.map(ends),
            mono_origin_ns: mono_origin,
            packets,
        }
    }
}

/// Of the bridge's rows.
#[derive(Debug, Serialize)]
pub struct Bridge {
    bucket_ms: u32,
    bridge_address: Ipv4Addr,
    mono_origin_ns: i64,
    gap_limit: u64,
}

impl From<&buckets::bridge::Settings> for Bridge {
    fn from(settings: &buckets::bridge::Settings) -> Bridge {
        Bridge {
            bucket_ms: settings.bucket_ms,
            bridge_address: settings.bridge,
            mono_origin_ns: settings.mono_origin,
            gap_limit: settings.gap_limit,
        }
    }
}

/// What of flows their settings do not say.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// Whose they are, with its switches.
    pub dialect: Option<&'a Dialect>,
    /// Which packets.
    pub packets: Packets<'a>,
    /// Those that the dialect leaves out are taken, too.
    pub no_dialect_filter: bool,
    /// Only so many flows, those of most packets.
    pub max_flows: Option<u32>,
    /// A table for each protocol.
    pub split_by_protocol: bool,
    /// Captures are kept apart.
    pub source_file: bool,
    /// The unit of times.
    pub times: Times,
    /// The zone of times that are dates.
    pub time_zone: &'a str,
    /// The file of rules, as it was named.
    pub label: Option<&'a str>,
    /// The file of settings, as it was named.
    pub config: Option<&'a str>,
}

/// Of flows.
#[derive(Debug, Serialize)]
pub struct Flows<'a> {
    tcp_timeout_seconds: Option<Seconds>,
    udp_timeout_seconds: Option<Seconds>,
    other_timeout_seconds: Option<Seconds>,
    active_timeout_seconds: Option<Seconds>,
    tcp_end: &'static str,
    client: &'static str,
    reorder_seconds: Seconds,
    min_packets: u64,
    max_flows: Option<u32>,
    split_by_protocol: bool,
    source_file: bool,
    no_retransmissions: bool,
    bytes: Measure,
    service_ports: &'a BTreeSet<u16>,
    #[serde(flatten)]
    packets: Packets<'a>,
    /// Of wa1kpcap's alone, as its original can be told it.
    #[serde(skip_serializing_if = "Not::not")]
    no_dialect_filter: bool,
    from: Option<String>,
    to: Option<String>,
    times: &'static str,
    time_zone: &'a str,
    label: Option<&'a str>,
    config: Option<&'a str>,
    /// Of the dialect.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    switches: BTreeMap<&'static str, &'static str>,
    /// Of columns that no dialect has.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats_form: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequences: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<App>,
}

/// How much payload was kept, where it was read.
#[derive(Debug, Serialize)]
struct App {
    buffer: usize,
    items: usize,
    text: usize,
}

impl<'a> Flows<'a> {
    /// Of such settings, and what is beside them.
    #[must_use]
    pub fn new(settings: &'a flows::Settings, beside: Beside<'a>) -> Flows<'a> {
        let life = &settings.lifetime;
        let usual = beside.dialect.is_none();
        Flows {
            tcp_timeout_seconds: life.tcp_idle.map(Seconds::of),
            udp_timeout_seconds: life.udp_idle.map(Seconds::of),
            other_timeout_seconds: life.other_idle.map(Seconds::of),
            active_timeout_seconds: life.active.map(Seconds::of),
            tcp_end: life.tcp_end.name(),
            client: settings.client.name(),
            reorder_seconds: Seconds::of(settings.reorder),
            min_packets: settings.min_packets,
            max_flows: beside.max_flows,
            split_by_protocol: beside.split_by_protocol,
            source_file: beside.source_file,
            no_retransmissions: settings.no_retransmissions,
            bytes: settings.bytes,
            service_ports: &settings.service_ports,
            packets: beside.packets,
            no_dialect_filter: beside.no_dialect_filter,
            from: settings.clip.map(|clip| clip.start).filter(|start| *start != Timestamp::MIN).map(utc),
            to: settings.clip.map(|clip| clip.end).filter(|end| *end != Timestamp::MAX).map(utc),
            times: match beside.times {
                Times::Seconds => "s",
                Times::Nanoseconds => "ns",
            },
            time_zone: beside.time_zone,
            label: beside.label,
            config: beside.config,
            switches: beside
                .dialect
                .map(Dialect::switches)
                .unwrap_or_default()
                .into_iter()
                .map(|switch| (switch.name, switch.value))
                .collect(),
            stats_form: usual.then_some(match settings.form {
                Form::Population => "population",
                Form::Sample => "sample",
            }),
            sequences: usual.then_some(settings.sequences),
            #[cfg(feature = "payload")]
            app: settings.columns.need_payload().then_some(App {
                buffer: settings.payload.stream,
                items: settings.payload.items,
                text: settings.payload.text,
            }),
            #[cfg(not(feature = "payload"))]
            app: None,
        }
    }
}

/// A length of time, a whole number if it is one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Seconds {
    Whole(i64),
    Decimal(f64),
}

impl Seconds {
    fn of(ns: i64) -> Seconds {
        const SECOND: i64 = 1_000_000_000;
        match ns % SECOND {
            0 => Seconds::Whole(ns / SECOND),
            _ => Seconds::Decimal(ns as f64 / SECOND as f64),
        }
    }
}
