//! JSON Lines: one record a line, fields in a fixed order, times as exact decimals.
//!
//! Written by hand rather than through a serialiser: times have nine decimals and 64-bit integers, which JSON libraries keep as floats or as
//! slow arbitrary-precision text, and this is the hottest part of a run with output (`cargo bench --bench sinks`).

use std::io::Write;
use std::net::IpAddr;
#[cfg(any(feature = "watch", feature = "tables"))]
use std::path::Path;

use super::text::Text;
use super::{Metrics, Sink};
use crate::app::notes::Body;
#[cfg(any(feature = "watch", feature = "tables"))]
use crate::capture::Identity;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::groups::{GroupKey, GroupRecord, Window};

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
    /// The last group's key, and its line up to the first time: the slices of a group follow one another.
    head: Option<(GroupKey, Vec<u8>)>,
    /// The last group's window, and what its line says of it.
    lineage: Option<(Window, Vec<u8>)>,
    /// Its numbers.
    text: Text,
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
        self.head = None;
    }

    /// Appends a group and a line feed.
    pub fn group(&mut self, group: &GroupRecord, out: &mut Vec<u8>) {
        if self.head.as_ref().is_none_or(|(key, _)| !key.same(&group.key)) {
            let mut head = self.head.take().map_or_else(Vec::new, |(_, text)| text);
            head.clear();
            self.key(&group.key, &mut head);
            self.head = Some((group.key.clone(), head));
        }
        if self.lineage.as_ref().is_none_or(|(window, _)| *window != group.window) {
            let mut text = b",\"lineage_hour\":".to_vec();
            self.window(group.window, &mut text);
            text.extend_from_slice(b",\"flows\":");
            self.lineage = Some((group.window, text));
        }
        if let Some((_, head)) = &self.head {
            out.extend_from_slice(head);
        }
        let mut text = self.text.start();
        text.span(group, (b",\"last_ts\":", b",\"duration_s\":"), self.times);
        text.field(b",\"counts\":{\"pkts_up\":", group.counts.pkts_up);
        text.field(b",\"pkts_dn\":", group.counts.pkts_dn);
        text.field(b",\"bytes_up\":", group.counts.bytes_up);
        text.field(b",\"bytes_dn\":", group.counts.bytes_dn);
        text.field(b"},\"tcp_flags\":{\"syn\":", group.tcp_flags.syn);
        text.field(b",\"ack\":", group.tcp_flags.ack);
        text.field(b",\"rst\":", group.tcp_flags.rst);
        text.field(b",\"fin\":", group.tcp_flags.fin);
        text.signed(b"},\"tokens\":{\"pkts_up_bin\":", group.tokens.pkts_up_bin);
        text.signed(b",\"pkts_dn_bin\":", group.tokens.pkts_dn_bin);
        text.signed(b",\"bytes_up_bin\":", group.tokens.bytes_up_bin);
        text.signed(b",\"bytes_dn_bin\":", group.tokens.bytes_dn_bin);
        text.signed(b",\"dur_bin\":", group.tokens.dur_bin);
        text.field(b",\"syn_bin\":", group.tokens.syn_bin);
        text.field(b",\"ack_bin\":", group.tokens.ack_bin);
        text.field(b",\"rst_bin\":", group.tokens.rst_bin);
        text.field(b",\"fin_bin\":", group.tokens.fin_bin);
        text.put(b"}");
        if let Some(section) = &group.section {
            text.finish(out);
            out.push(b',');
            string(section.name, out);
            body(&section.body, out);
            text = self.text.start();
        }
        if let Some((_, lineage)) = &self.lineage {
            text.slice(lineage);
        }
        text.number(group.flows);
        text.put(b",\"direction\":\"");
        text.slice(group.direction.name().as_bytes());
        text.put(b"\"}\n");
        text.finish(out);
    }

    /// A group's line up to its first time.
    fn key(&self, key: &GroupKey, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"group\"");
        self.sensor(out);
        out.extend_from_slice(b",\"key\":{\"src_ip\":\"");
        address(key.src_ip, out);
        out.extend_from_slice(b"\",\"dst_ip\":\"");
        address(key.dst_ip, out);
        field(out, b"\",\"dst_port\":", key.dst_port);
        out.extend_from_slice(b",\"transport\":\"");
        out.extend_from_slice(key.transport.name().as_bytes());
        out.extend_from_slice(b"\",\"service\":");
        string(&key.service, out);
        out.extend_from_slice(b"},\"first_ts\":");
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

/// What a section holds.
fn body(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Tokens { tokens, total, .. } => {
            out.extend_from_slice(b":{\"uri_tokens\":[");
            for (i, token) in tokens.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(token, out);
            }
            field(out, b"],\"uri_tokens_total\":", *total);
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
        }
    }
    out.push(b'}');
}

/// Seconds with nine decimals.
pub(super) fn decimal(time: Timestamp, out: &mut Vec<u8>) {
    let mut buffer = Text::default();
    let mut text = buffer.start();
    text.time(time, Times::Seconds);
    text.finish(out);
}

#[inline]
pub(crate) fn number(out: &mut Vec<u8>, n: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

#[inline]
pub(super) fn field(out: &mut Vec<u8>, name: &[u8], n: impl itoa::Integer) {
    out.extend_from_slice(name);
    number(out, n);
}

pub(crate) fn address(address: IpAddr, out: &mut Vec<u8>) {
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

/// Sixteen hexadecimal digits.
#[inline]
pub(super) fn hex(id: u64, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend((0..16).rev().map(|nibble| HEX[(id >> (nibble * 4) & 15) as usize]));
}

/// A capture as JSON: its name, and what it holds if that is known.
#[cfg(any(feature = "watch", feature = "tables"))]
pub(crate) fn capture(name: &Path, identity: Option<&Identity>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    string(&name.to_string_lossy(), out);
    if let Some(identity) = identity {
        field(out, b",\"bytes\":", identity.size);
        out.extend_from_slice(b",\"digest\":");
        string(&identity.digest, out);
    }
    out.push(b'}');
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Section;
    use crate::engine::ledger::Amount;
    use crate::table::direction::Direction;
    use crate::views::groups::tokens::Tokens;
    use crate::views::groups::{Counts, TcpFlags, Transport};

    /// A record whose numbers are all `n` or `bin`.
    fn record(n: u64, bin: i32, first: i64, last: i64) -> GroupRecord {
        GroupRecord {
            key: GroupKey {
                src_ip: "2001:db8::1".parse().unwrap(),
                dst_ip: "10.0.0.1".parse().unwrap(),
                dst_port: 65_535,
                transport: Transport::Other,
                service: "x\"y".into(),
            },
            first_ts: Timestamp(first),
            last_ts: Timestamp(last),
            counts: Counts { pkts_up: n, pkts_dn: n, bytes_up: n, bytes_dn: n },
            tcp_flags: TcpFlags { syn: n, ack: n, rst: n, fin: n },
            tokens: Tokens {
                pkts_up_bin: bin,
                pkts_dn_bin: bin,
                bytes_up_bin: bin,
                bytes_dn_bin: bin,
                dur_bin: bin,
                syn_bin: n,
                ack_bin: n,
                rst_bin: n,
                fin_bin: n,
            },
            section: Some(Section { name: "ftp", body: Body::Counts([("RETR", n)].into()) }),
            window: Window { start: Timestamp(first), end: Timestamp(last) },
            flows: n,
            direction: Direction::Learned,
            amount: Amount::default(),
        }
    }

    #[test]
    fn numbers_of_any_length_are_written_in_full() {
        for (n, bin) in [(0, 0), (9, -9), (10, 10), (99, -99), (100, 100), (u64::MAX, i32::MIN)] {
            for times in [Times::Seconds, Times::Nanoseconds] {
                let (first, last) = (i64::MIN, i64::MAX);
                let mut lines = Lines::new(times);
                lines.turn_to("s");
                let mut out = Vec::new();
                lines.group(&record(n, bin, first, last), &mut out);
                lines.group(&record(n, bin, first, last), &mut out);
                let text = String::from_utf8(out).unwrap();
                assert_eq!(text.lines().next(), text.lines().nth(1), "what is kept of a record does not show");
                let read: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
                for at in ["/counts/pkts_up", "/tcp_flags/fin", "/tokens/fin_bin", "/flows", "/ftp/RETR"] {
                    assert_eq!(read.pointer(at).unwrap().to_string(), n.to_string(), "{at}");
                }
                assert_eq!(read["tokens"]["dur_bin"].to_string(), bin.to_string());
                assert_eq!(read["key"]["service"], "x\"y");
                let [least, most] = match times {
                    Times::Seconds => ["-9223372036.854775808", "9223372036.854775807"],
                    Times::Nanoseconds => ["-9223372036854775808", "9223372036854775807"],
                };
                assert_eq!([&read["first_ts"], &read["last_ts"]].map(ToString::to_string), [least, most]);
            }
        }
    }
}
