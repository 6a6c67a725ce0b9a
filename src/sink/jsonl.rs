//! JSON Lines: one record a line, fields in a fixed order, times as exact decimals.
//!
//! Written by hand rather than through a serialiser: times have nine decimals and 64-bit integers, which JSON libraries keep as floats or as
//! slow arbitrary-precision text, and this is the hottest part of a run with output (`cargo bench --bench sinks`).

use std::io::Write;
use std::net::IpAddr;

use super::{Metrics, Sink};
use crate::app::notes::Body;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::groups::{GroupRecord, Window};

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Seconds with nine decimals.
    #[default]
    Seconds,
    /// Integer nanoseconds.
    Nanoseconds,
}

/// Appends records to a buffer as lines of JSON.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    times: Times,
    /// A `sensor` field for every record.
    sensor: Option<String>,
    /// The last address written and its text: groups come sorted by source.
    last: Option<(IpAddr, String)>,
}

impl Lines {
    /// Lines with times as told.
    #[must_use]
    pub fn new(times: Times) -> Lines {
        Lines { times, ..Lines::default() }
    }

    /// Gives all lines that follow a `sensor` field.
    pub fn turn_to(&mut self, sensor: &str) {
        self.sensor = Some(sensor.to_owned());
    }

    /// Appends a group and a line feed.
    pub fn group(&mut self, group: &GroupRecord, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"group\"");
        self.sensor(out);
        out.extend_from_slice(b",\"key\":{\"src_ip\":\"");
        self.source(group.key.src_ip, out);
        out.extend_from_slice(b"\",\"dst_ip\":\"");
        address(group.key.dst_ip, out);
        field(out, b"\",\"dst_port\":", group.key.dst_port);
        out.extend_from_slice(b",\"transport\":\"");
        out.extend_from_slice(group.key.transport.name().as_bytes());
        out.extend_from_slice(b"\",\"service\":");
        string(&group.key.service, out);
        out.extend_from_slice(b"},\"first_ts\":");
        self.time(group.first_ts, out);
        out.extend_from_slice(b",\"last_ts\":");
        self.time(group.last_ts, out);
        out.extend_from_slice(b",\"duration_s\":");
        self.time(Timestamp(group.duration_ns()), out);
        field(out, b",\"counts\":{\"pkts_up\":", group.counts.pkts_up);
        field(out, b",\"pkts_dn\":", group.counts.pkts_dn);
        field(out, b",\"bytes_up\":", group.counts.bytes_up);
        field(out, b",\"bytes_dn\":", group.counts.bytes_dn);
        field(out, b"},\"tcp_flags\":{\"syn\":", group.tcp_flags.syn);
        field(out, b",\"ack\":", group.tcp_flags.ack);
        field(out, b",\"rst\":", group.tcp_flags.rst);
        field(out, b",\"fin\":", group.tcp_flags.fin);
        field(out, b"},\"tokens\":{\"pkts_up_bin\":", group.tokens.pkts_up_bin);
        field(out, b",\"pkts_dn_bin\":", group.tokens.pkts_dn_bin);
        field(out, b",\"bytes_up_bin\":", group.tokens.bytes_up_bin);
        field(out, b",\"bytes_dn_bin\":", group.tokens.bytes_dn_bin);
        field(out, b",\"dur_bin\":", group.tokens.dur_bin);
        field(out, b",\"syn_bin\":", group.tokens.syn_bin);
        field(out, b",\"ack_bin\":", group.tokens.ack_bin);
        field(out, b",\"rst_bin\":", group.tokens.rst_bin);
        field(out, b",\"fin_bin\":", group.tokens.fin_bin);
        out.push(b'}');
        if let Some(section) = &group.section {
            out.push(b',');
            string(section.name, out);
            match &section.body {
                Body::Tokens { tokens, total, .. } => {
                    out.extend_from_slice(b":{\"uri_tokens\":[");
                    for (i, token) in tokens.iter().enumerate() {
                        if i > 0 {
                            out.push(b',');
                        }
                        string(token, out);
                    }
                    field(out, b"],\"uri_tokens_total\":", *total);
                    out.push(b'}');
                }
                Body::Counts(counts) => {
                    out.extend_from_slice(b":{");
                    for (i, (name, n)) in counts.iter().enumerate() {
                        if i > 0 {
                            out.push(b',');
                        }
                        string(name, out);
                        field(out, b":", *n);
                    }
                    out.push(b'}');
                }
            }
        }
        out.extend_from_slice(b",\"lineage_hour\":");
        self.window(group.window, out);
        field(out, b",\"flows\":", group.flows);
        out.extend_from_slice(b",\"direction\":\"");
        out.extend_from_slice(group.direction.name().as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    /// Appends a scan summary and a line feed.
    pub fn scan(&mut self, scan: &ScanSummary, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"scan\"");
        self.sensor(out);
        out.extend_from_slice(b",\"src_ip\":\"");
        address(scan.src_ip, out);
        out.extend_from_slice(b"\",\"window\":");
        self.window(scan.window, out);
        field(out, b",\"unique_dsts\":", scan.unique_dsts);
        field(out, b",\"unique_ports\":", scan.unique_ports);
        out.extend_from_slice(b",\"syn_only_ratio\":");
        // The shortest decimal that reads back as the same number.
        out.extend_from_slice(format!("{:?}", scan.syn_only_ratio).as_bytes());
        out.extend_from_slice(b",\"sample_targets\":[");
        for (i, (dst, port)) in scan.sample_targets.iter().enumerate() {
            out.extend_from_slice(if i > 0 { b",[\"" } else { b"[\"" });
            address(*dst, out);
            field(out, b"\",", *port);
            out.push(b']');
        }
        out.extend_from_slice(b"],\"transport\":\"");
        out.extend_from_slice(scan.transport.name().as_bytes());
        out.extend_from_slice(b"\",\"kind\":\"");
        out.extend_from_slice(scan.kind.name().as_bytes());
        out.extend_from_slice(b"\",\"forest\":\"");
        out.extend_from_slice(scan.forest_name().as_bytes());
        field(out, b"\",\"answered\":", scan.answered);
        field(out, b",\"groups\":", scan.groups);
        field(out, b",\"packets\":", scan.amount.packets);
        field(out, b",\"bytes\":", scan.bytes);
        out.extend_from_slice(b"}\n");
    }

    fn sensor(&self, out: &mut Vec<u8>) {
        if let Some(sensor) = &self.sensor {
            out.extend_from_slice(b",\"sensor\":");
            string(sensor, out);
        }
    }

    fn source(&mut self, source: IpAddr, out: &mut Vec<u8>) {
        match &self.last {
            Some((last, text)) if *last == source => out.extend_from_slice(text.as_bytes()),
            _ => {
                let text = source.to_string();
                out.extend_from_slice(text.as_bytes());
                self.last = Some((source, text));
            }
        }
    }

    #[inline]
    fn time(&self, time: Timestamp, out: &mut Vec<u8>) {
        match self.times {
            Times::Nanoseconds => number(out, time.0),
            Times::Seconds => decimal(time, out),
        }
    }

    fn window(&self, window: Window, out: &mut Vec<u8>) {
        let bound = |time: Timestamp, out: &mut Vec<u8>| match self.times {
            Times::Nanoseconds => number(out, time.0),
            Times::Seconds if time.0 % NS_PER_SECOND == 0 => number(out, time.seconds()),
            Times::Seconds => decimal(time, out),
        };
        out.push(b'[');
        bound(window.start, out);
        out.push(b',');
        bound(window.end, out);
        out.push(b']');
    }
}

/// Seconds with nine decimals.
#[inline]
pub(super) fn decimal(time: Timestamp, out: &mut Vec<u8>) {
    if time.0 < 0 {
        out.push(b'-');
    }
    let ns = time.0.unsigned_abs();
    number(out, ns / NS_PER_SECOND.unsigned_abs());
    let mut fraction = ns % NS_PER_SECOND.unsigned_abs();
    let mut digits = *b".000000000";
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    out.extend_from_slice(&digits);
}

#[inline]
pub(super) fn number(out: &mut Vec<u8>, n: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

#[inline]
pub(super) fn field(out: &mut Vec<u8>, name: &[u8], n: impl itoa::Integer) {
    out.extend_from_slice(name);
    number(out, n);
}

pub(super) fn address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                number(out, octet);
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// A JSON string; control characters as `\u00xx` (RFC 8259, section 7).
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x00..=0x1f | 0x7f => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Writes lines to a stream; the metrics last.
pub struct JsonLines<W: Write> {
    lines: Lines,
    out: W,
    buffer: Vec<u8>,
    name: &'static str,
}

/// Bytes gathered before they are written.
const BUFFER: usize = 256 << 10;

impl<W: Write> JsonLines<W> {
    /// Writes to `out`; `name` names it in errors.
    pub fn new(out: W, name: &'static str, lines: Lines) -> JsonLines<W> {
        JsonLines { lines, out, buffer: Vec::with_capacity(BUFFER + 4096), name }
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|source| Error::io("write", self.name.as_ref(), source))
    }

    #[inline]
    fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.lines.turn_to(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.lines.group(group, &mut self.buffer);
        self.flush_if_full()
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.lines.scan(scan, &mut self.buffer);
        self.flush_if_full()
    }

    fn on_window(&mut self, _: &crate::views::groups::WindowTotals) -> Result<()> {
        // An hour that is complete is visible at once, also to a reader of a pipe.
        self.flush()
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        metrics.write(&mut self.buffer);
        self.flush()
    }
}
