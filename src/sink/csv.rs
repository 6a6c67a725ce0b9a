//! CSV: one flat row a group. Scan summaries and metrics have no rows.

use std::io::Write;

use super::jsonl::{Times, address, decimal, field, number};
use super::{Metrics, Sink};
use crate::app::Section;
use crate::app::notes::Body;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::time::Timestamp;
use crate::views::groups::GroupRecord;

/// Column names, in order.
pub const COLUMNS: [&str; 34] = [
    "sensor",
    "src_ip",
    "dst_ip",
    "dst_port",
    "transport",
    "service",
    "first_ts",
    "last_ts",
    "duration_s",
    "pkts_up",
    "pkts_dn",
    "bytes_up",
    "bytes_dn",
    "syn",
    "ack",
    "rst",
    "fin",
    "pkts_up_bin",
    "pkts_dn_bin",
    "bytes_up_bin",
    "bytes_dn_bin",
    "dur_bin",
    "syn_bin",
    "ack_bin",
    "rst_bin",
    "fin_bin",
    "section",
    "uri_tokens",
    "uri_tokens_total",
    "commands",
    "window_start",
    "window_end",
    "flows",
    "direction",
];

/// Writes groups as CSV (RFC 4180). Text that came from packets is guarded: a cell that a spreadsheet would take for a
/// formula gets a leading apostrophe (CWE-1236).
pub struct Csv<W: Write> {
    out: W,
    buffer: Vec<u8>,
    name: &'static str,
    times: Times,
    sensor: String,
}

impl<W: Write> Csv<W> {
    /// Writes to `out`, the header first; `name` names it in errors.
    pub fn new(out: W, name: &'static str, times: Times) -> Csv<W> {
        Csv { out, buffer: header().into_bytes(), name, times, sensor: String::new() }
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|source| Error::io("write", self.name.as_ref(), source))
    }

    /// Gives the stream back, everything written.
    ///
    /// # Errors
    /// The stream refuses the rest.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        Ok(self.out)
    }
}

/// The header row.
pub(super) fn header() -> String {
    COLUMNS.join(",") + "\n"
}

/// Appends a group as a row.
pub(super) fn row(group: &GroupRecord, times: Times, sensor: &str, out: &mut Vec<u8>) {
    let time = |time: Timestamp, out: &mut Vec<u8>| match times {
        Times::Seconds => decimal(time, out),
        Times::Nanoseconds => number(out, time.0),
    };
    let (key, counts, flags, tokens) = (&group.key, &group.counts, &group.tcp_flags, &group.tokens);
    text(sensor, out);
    out.push(b',');
    address(key.src_ip, out);
    out.push(b',');
    address(key.dst_ip, out);
    field(out, b",", key.dst_port);
    out.push(b',');
    out.extend_from_slice(key.transport.name().as_bytes());
    out.push(b',');
    text(&key.service, out);
    for at in [group.first_ts, group.last_ts, Timestamp(group.duration_ns())] {
        out.push(b',');
        time(at, out);
    }
    let counts = [counts.pkts_up, counts.pkts_dn, counts.bytes_up, counts.bytes_dn];
    for n in counts.into_iter().chain([flags.syn, flags.ack, flags.rst, flags.fin]) {
        field(out, b",", n);
    }
    for bin in [tokens.pkts_up_bin, tokens.pkts_dn_bin, tokens.bytes_up_bin, tokens.bytes_dn_bin, tokens.dur_bin] {
        field(out, b",", bin);
    }
    for n in [tokens.syn_bin, tokens.ack_bin, tokens.rst_bin, tokens.fin_bin] {
        field(out, b",", n);
    }
    out.push(b',');
    section(group.section.as_ref(), out);
    for at in [group.window.start, group.window.end] {
        out.push(b',');
        time(at, out);
    }
    field(out, b",", group.flows);
    out.push(b',');
    out.extend_from_slice(group.direction.name().as_bytes());
    out.push(b'\n');
}

/// The columns `section`, `uri_tokens`, `uri_tokens_total` and `commands`.
fn section(section: Option<&Section>, out: &mut Vec<u8>) {
    let Some(section) = section else { return out.extend_from_slice(b",,,") };
    text(section.name, out);
    out.push(b',');
    match &section.body {
        Body::Tokens { tokens, total, .. } => {
            text(&tokens.join(" "), out);
            field(out, b",", *total);
            out.push(b',');
        }
        Body::Counts(counts) => {
            out.extend_from_slice(b",,");
            text(&counts.iter().map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" "), out);
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']);
    if !formula && !text.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

impl<W: Write> Sink for Csv<W> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        sensor.clone_into(&mut self.sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        row(group, self.times, &self.sensor, &mut self.buffer);
        if self.buffer.len() >= 256 << 10 { self.flush() } else { Ok(()) }
    }

    fn on_scan(&mut self, _: &ScanSummary) -> Result<()> {
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_looks_like_a_formula_is_defused_and_quotes_are_doubled() {
        let cell = |s: &str| {
            let mut out = Vec::new();
            text(s, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cell("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("plain"), "plain");
    }
}
