//! CSV: one flat row a group. Scan summaries and metrics have no rows.

use std::io::Write;

use super::jsonl::{Times, address, field};
use super::text::Text;
use super::{Metrics, Sink};
use crate::app::Section;
use crate::app::notes::Body;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::views::groups::{GroupKey, GroupRecord, Window};

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
    rows: Rows,
}

impl<W: Write> Csv<W> {
    /// Writes to `out`, the header first; `name` names it in errors.
    pub fn new(out: W, name: &'static str, times: Times) -> Csv<W> {
        Csv { out, buffer: header().into_bytes(), name, rows: Rows::new(times) }
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
pub(crate) fn header() -> String {
    COLUMNS.join(",") + "\n"
}

/// Appends groups to a buffer as rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    times: Times,
    sensor: String,
    /// The last group's key, and its row up to the service: the slices of a group follow one another.
    head: Option<(GroupKey, Vec<u8>)>,
    /// The last group's window, and its two cells.
    window: Option<(Window, Vec<u8>)>,
    text: Text,
}

impl Rows {
    pub(crate) fn new(times: Times) -> Rows {
        Rows { times, ..Rows::default() }
    }

    /// All rows that follow are of this sensor.
    pub(crate) fn turn_to(&mut self, sensor: &str) {
        sensor.clone_into(&mut self.sensor);
        self.head = None;
    }

    /// Appends a group as a row.
    pub(crate) fn row(&mut self, group: &GroupRecord, out: &mut Vec<u8>) {
        if self.head.as_ref().is_none_or(|(key, _)| !key.same(&group.key)) {
            let mut head = self.head.take().map_or_else(Vec::new, |(_, text)| text);
            head.clear();
            self.key(&group.key, &mut head);
            self.head = Some((group.key.clone(), head));
        }
        if self.window.as_ref().is_none_or(|(window, _)| *window != group.window) {
            let (mut cells, mut text) = (Vec::new(), self.text.start());
            for at in [group.window.start, group.window.end] {
                text.put(b",");
                text.time(at, self.times);
            }
            text.finish(&mut cells);
            self.window = Some((group.window, cells));
        }
        if let Some((_, head)) = &self.head {
            out.extend_from_slice(head);
        }
        let (counts, flags, tokens) = (&group.counts, &group.tcp_flags, &group.tokens);
        let mut text = self.text.start();
        text.put(b",");
        text.span(group, (b",", b","), self.times);
        let counts = [counts.pkts_up, counts.pkts_dn, counts.bytes_up, counts.bytes_dn];
        for n in counts.into_iter().chain([flags.syn, flags.ack, flags.rst, flags.fin]) {
            text.field(b",", n);
        }
        for bin in [tokens.pkts_up_bin, tokens.pkts_dn_bin, tokens.bytes_up_bin, tokens.bytes_dn_bin, tokens.dur_bin] {
            text.signed(b",", bin);
        }
        for n in [tokens.syn_bin, tokens.ack_bin, tokens.rst_bin, tokens.fin_bin] {
            text.field(b",", n);
        }
        text.put(b",");
        if let Some(found) = &group.section {
            text.finish(out);
            section(found, out);
            text = self.text.start();
        } else {
            text.put(b",,,");
        }
        if let Some((_, window)) = &self.window {
            text.slice(window);
        }
        text.field(b",", group.flows);
        text.put(b",");
        text.slice(group.direction.name().as_bytes());
        text.put(b"\n");
        text.finish(out);
    }

    /// A group's row up to the service.
    fn key(&self, key: &GroupKey, out: &mut Vec<u8>) {
        cell(&self.sensor, out);
        out.push(b',');
        address(key.src_ip, out);
        out.push(b',');
        address(key.dst_ip, out);
        field(out, b",", key.dst_port);
        out.push(b',');
        out.extend_from_slice(key.transport.name().as_bytes());
        out.push(b',');
        cell(&key.service, out);
    }
}

/// The columns `section`, `uri_tokens`, `uri_tokens_total` and `commands`.
fn section(section: &Section, out: &mut Vec<u8>) {
    cell(section.name, out);
    out.push(b',');
    match &section.body {
        Body::Tokens { tokens, total, .. } => {
            cell(&tokens.join(" "), out);
            field(out, b",", *total);
            out.push(b',');
        }
        Body::Counts(counts) => {
            out.extend_from_slice(b",,");
            cell(&counts.iter().map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" "), out);
        }
    }
}

pub(super) fn cell(text: &str, out: &mut Vec<u8>) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']);
    if !formula && !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    for part in text.as_bytes().split_inclusive(|&byte| byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

impl<W: Write> Sink for Csv<W> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.rows.turn_to(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.rows.row(group, &mut self.buffer);
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
            cell(s, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cell("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("plain"), "plain");
    }
}
