//! The rows of a collector on a bridge, byte for byte: training on what a gateway sees, 100 ms a row.
//!
//! Every frame counts, IP or not, by the bytes that were captured, and its headers are looked at where Ethernet and IPv4 have them. What
//! that gets wrong is kept: frames of IPv6 and with VLAN tags are `in` and nothing else, later fragments have ports that nobody sent, a
//! SYN that is sent again is a new flow, a packet that comes late counts in the bucket that is open. [`super::Settings`] makes rows
//! that are right.
//!
//! One thing is not kept: without limit, two frames 136 years apart would make 4 × 10^10 rows. Empty buckets in a row beyond
//! [`Settings::gap_limit`] are left out, and counted.

mod row;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use hashbrown::HashSet;

pub use row::{COLUMNS, Column, Row, Value};

use super::BucketCounts;
use crate::capture::{Capture, Io, Records, Stamp};
use crate::decode::reject::{Malformed, Reject};
use crate::engine::ledger::{Amount, Outcome, Tally};
use crate::engine::{FileReport, Input, Progress, Report};
use crate::error::{Error, Result};
use crate::sink::Metrics;
use crate::sink::bridge::BridgeSink;

/// How rows are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Milliseconds of a bucket, at least 1.
    pub bucket_ms: u32,
    /// Whose packets are `out`: those that it sends.
    pub bridge: Ipv4Addr,
    /// What the other clock shows when it is 1970, nanoseconds: `t_mono_ns` is a bucket's start less this.
    pub mono_origin: i64,
    /// Empty buckets in a row that are written.
    pub gap_limit: u64,
}

impl Settings {
    /// What widths there are, for people.
    pub const WIDTHS: &str = "whole milliseconds, from 1 to 4294967295 (49.7 days)";

    /// Nanoseconds as [`Settings::bucket_ms`]; nothing if there is no such width.
    #[must_use]
    pub fn width(ns: i64) -> Option<u32> {
        u32::try_from(ns / 1_000_000).ok().filter(|ms| *ms > 0 && ns % 1_000_000 == 0)
    }
}

impl Default for Settings {
    /// The original's, and a day of empty rows.
    fn default() -> Settings {
        Settings { bucket_ms: 100, bridge: Ipv4Addr::new(10, 200, 0, 1), mono_origin: 0, gap_limit: 864_000 }
    }
}

/// What a bucket counts.
#[derive(Clone, Debug, Default)]
struct Bucket {
    /// In, out.
    packets: [u64; 2],
    bytes: [u64; 2],
    syn: u64,
    fin: u64,
    rst: u64,
    udp: u64,
    tcp: u64,
    dns: u64,
    new_flows: u64,
    ips: HashSet<[u8; 4]>,
    ports: HashSet<u16>,
}

impl Bucket {
    fn add(&mut self, frame: &[u8], bridge: [u8; 4]) {
        let look = Look::at(frame);
        let way = usize::from(look.ends.is_some_and(|[src, _]| src == bridge));
        self.packets[way] += 1;
        self.bytes[way] += frame.len() as u64;
        match look.protocol {
            Some(6) => {
                let has = |flags: u8| u64::from(look.flags & flags != 0);
                self.tcp += 1;
                self.syn += has(SYN);
                self.fin += has(FIN);
                self.rst += has(RST);
                self.new_flows += u64::from(look.flags & (SYN | ACK) == SYN);
            }
            Some(17) => {
                self.udp += 1;
                self.dns += u64::from(look.dst_port == Some(53));
            }
            _ => {}
        }
        self.ips.extend(look.ends.map(|[_, dst]| dst));
        self.ports.extend(look.dst_port);
    }

    fn clear(&mut self) {
        let Bucket { ips, ports, .. } = std::mem::take(self);
        (self.ips, self.ports) = (ips, ports);
        self.ips.clear();
        self.ports.clear();
    }

    fn row(&self, start: i64, settings: &Settings) -> Row {
        Row {
            start,
            mono: i128::from(start) - i128::from(settings.mono_origin),
            bucket_ms: settings.bucket_ms,
            packets: self.packets,
            bytes: self.bytes,
            syn: self.syn,
            fin: self.fin,
            rst: self.rst,
            udp: self.udp,
            tcp: self.tcp,
            dns: self.dns,
            ips: self.ips.len() as u64,
            ports: self.ports.len() as u64,
            new_flows: self.new_flows,
        }
    }
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What is seen of a frame, as if it were Ethernet and IPv4 without fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    protocol: Option<u8>,
    /// Source and destination.
    ends: Option<[[u8; 4]; 2]>,
    dst_port: Option<u16>,
    flags: u8,
}

impl Look {
    fn at(frame: &[u8]) -> Look {
        Look::into(frame).unwrap_or_default()
    }

    fn into(frame: &[u8]) -> Option<Look> {
        let (ethernet, ip) = frame.split_at_checked(14)?;
        let header = ip.first_chunk::<20>().filter(|_| ethernet[12..] == [8, 0])?;
        let length = usize::from(header[0] & 15) * 4;
        let rest = ip.get(length..).filter(|_| length >= 20)?;
        let [_, _, _, _, _, _, _, _, _, protocol, _, _, a, b, c, d, e, f, g, h] = *header;
        let port = |rest: &[u8]| u16::from_be_bytes([rest[2], rest[3]]);
        let (dst_port, flags) = match protocol {
            6 if rest.len() >= 20 => (Some(port(rest)), rest[13] & 0x3f),
            17 if rest.len() >= 8 => (Some(port(rest)), 0),
            _ => (None, 0),
        };
        Some(Look { protocol: Some(protocol), ends: Some([[a, b, c, d], [e, f, g, h]]), dst_port, flags })
    }
}

/// Rows of one capture.
struct Rows<'o> {
    settings: Settings,
    sink: &'o mut dyn BridgeSink,
    bucket: Bucket,
    /// Where the open bucket begins.
    start: Option<i64>,
    counts: Counts,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Captures that were named, those that cannot be read included.
    pub captures: u64,
    /// Rows handed over.
    pub rows: u64,
    /// Empty buckets left out.
    pub left_out: u64,
}

impl Rows<'_> {
    fn width(&self) -> i64 {
        i64::from(self.settings.bucket_ms) * 1_000_000
    }

    fn frame(&mut self, time: i64, frame: &[u8]) -> Result<()> {
        let width = self.width();
        let start = *self.start.get_or_insert(time.div_euclid(width).saturating_mul(width));
        let passed = (i128::from(time) - i128::from(start)).div_euclid(i128::from(width));
        if passed > 0 {
            self.row()?;
            let empty = u64::try_from(passed - 1).unwrap_or(u64::MAX);
            self.pass(empty)?;
        }
        self.bucket.add(frame, self.settings.bridge.octets());
        Ok(())
    }

    /// Hands over the open bucket, and goes on to the next.
    fn row(&mut self) -> Result<()> {
        if let Some(start) = self.start {
            self.sink.on_row(&self.bucket.row(start, &self.settings))?;
            self.bucket.clear();
            self.start = Some(start.saturating_add(self.width()));
            self.counts.rows += 1;
        }
        Ok(())
    }

    /// Goes over empty buckets: all of them are rows, or none.
    fn pass(&mut self, empty: u64) -> Result<()> {
        if empty <= self.settings.gap_limit {
            return (0..empty).try_for_each(|_| self.row());
        }
        self.counts.left_out += empty;
        let over = i128::from(empty) * i128::from(self.width());
        self.start = self.start.map(|start| (i128::from(start) + over).clamp(i64::MIN.into(), i64::MAX.into()) as i64);
        Ok(())
    }
}

/// Hands over the rows of captures, one capture behind another, as they come.
///
/// # Errors
/// The sink's, or a stop was asked for. An input that cannot be read is no error: the others are finished, and
/// [`Report::failed`] lists it.
pub fn run(
    settings: Settings,
    inputs: Vec<Input>,
    io: Io,
    progress: &Arc<Progress>,
    sink: &mut dyn BridgeSink,
) -> Result<(Report, Counts)> {
    let mut report = Report::default();
    let mut counts = Counts { captures: inputs.len() as u64, ..Counts::default() };
    for input in inputs {
        let capture = match input.reader {
            Some(reader) => Capture::from_reader(&input.path, reader),
            None => Capture::open(&input.path, io),
        };
        let mut capture = match capture {
            Ok(capture) => capture,
            Err(error) => {
                report.failed.push(error);
                continue;
            }
        };
        let mut rows =
            Rows { settings, sink: &mut *sink, bucket: Bucket::default(), start: None, counts: Counts::default() };
        let mut tally = Tally::default();
        let read = read(&mut capture, &mut rows, &mut tally, progress, &mut report.failed);
        // Read to its end or given up, what was read of it was read.
        progress.ended(&tally);
        read?;
        rows.row()?;
        rows.sink.on_marker()?;
        counts.rows += rows.counts.rows;
        counts.left_out += rows.counts.left_out;
        let path = PathBuf::from(capture.path());
        report.total.merge(&tally);
        report.files.push(FileReport { path, sensor: None, capture: capture.report().clone(), tally });
    }
    Ok((report, counts))
}

/// What a run came to, as other products tell it.
#[must_use]
pub fn metrics(report: &Report, counts: Counts) -> Metrics<'_, BucketCounts> {
    Metrics {
        segments_seen: counts.captures,
        files: &report.files,
        total: &report.total,
        outcome: Outcome { kept: report.total.intake.accepted, ..Outcome::default() },
        counts: BucketCounts { rows: counts.rows, ..BucketCounts::default() },
        sensor: None,
    }
}

/// Reads a capture, which `tally` counts.
fn read(
    capture: &mut Capture,
    rows: &mut Rows<'_>,
    tally: &mut Tally,
    progress: &Progress,
    failed: &mut Vec<Error>,
) -> Result<()> {
    let (mut records, mut told) = (Records::default(), 0);
    loop {
        progress.stopped()?;
        match capture.fill(&mut records, 512) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                failed.push(error);
                return Ok(());
            }
        }
        for record in records.list() {
            let amount = Amount::one(record.wire, record.captured);
            tally.intake.read += amount;
            if record.stamp == Stamp::Unrepresentable {
                tally.reject(record, Reject::Malformed(Malformed::Time));
                continue;
            }
            tally.intake.accepted += amount;
            rows.frame(record.time.0, records.frame(record))?;
        }
        // A row is visible as soon as its bucket is over.
        rows.sink.on_marker()?;
        let at = capture.report().bytes_read;
        progress.add(at.saturating_sub(told), records.list().len() as u64);
        told = at;
    }
}
