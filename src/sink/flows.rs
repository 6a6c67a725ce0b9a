//! Where flows go: JSON Lines, CSV, an array, a spreadsheet, or a digest, all over the columns that were chosen.

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;

use super::Metrics;
use super::csv;
use super::jsonl::{self, Times};
use super::metrics::OwnedMetrics;
use super::notation::Notation;
use super::pandas;
#[cfg(feature = "payload")]
use super::said;
use super::sheet::Sheet;
use super::text::Text;
use crate::error::{Error, Result};
use crate::stable::StableHash;
use crate::views::flows::columns::Piece;
use crate::views::flows::{Cell, Columns, FlowCounts, FlowRecord};

/// Receives the flows of a run; the metrics last.
pub trait FlowSink {
    /// A flow.
    ///
    /// # Errors
    /// Whatever stops the run; see [`Error::sink`].
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()>;

    /// Flows that had ended by now have been handed over; more will come.
    ///
    /// # Errors
    /// As [`FlowSink::on_flow`].
    fn on_marker(&mut self) -> Result<()> {
        Ok(())
    }

    /// The run is complete; called once, last.
    ///
    /// # Errors
    /// As [`FlowSink::on_flow`].
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()>;
}

impl<S: FlowSink + ?Sized> FlowSink for &mut S {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        (**self).on_flow(flow)
    }
    fn on_marker(&mut self) -> Result<()> {
        (**self).on_marker()
    }
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        (**self).on_metrics(metrics)
    }
}

/// How flows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line, the metrics as the last.
    Lines,
    /// A header and one row a flow (RFC 4180), no metrics. Lists are JSON arrays, unless a [`Notation`] says otherwise.
    Csv,
    /// One JSON array of an object a flow, indented, without metrics: what pandas' `to_json` writes of records.
    Array,
    /// A spreadsheet (.xlsx) of one sheet, a header and a row a flow, without metrics. It has at most 1,048,575 flows, and 32,767
    /// characters a cell.
    Sheet,
    /// A digest of all cells in one line of JSON, and the metrics.
    Digest,
}

/// Writes flows to a stream.
pub struct FlowWriter<W: Write> {
    out: W,
    name: PathBuf,
    buffer: Vec<u8>,
    form: Form,
    columns: Columns,
    /// What stands in front of each cell: a comma and, in JSON, its name.
    heads: Vec<Vec<u8>>,
    times: Times,
    notation: Notation,
    text: Text,
    hash: StableHash,
    flows: u64,
    /// Where that is the form.
    sheet: Option<Sheet>,
}

/// Bytes gathered before they are written.
const BUFFER: usize = 48 << 10;

impl<W: Write> FlowWriter<W> {
    /// Writes to `out`, a header first where there is one; `name` names it in errors.
    pub fn new(out: W, name: impl Into<PathBuf>, form: Form, columns: Columns, times: Times) -> FlowWriter<W> {
        let mut buffer = Vec::with_capacity(BUFFER + (16 << 10));
        if form == Form::Csv {
            buffer.extend_from_slice(columns.names().collect::<Vec<_>>().join(",").as_bytes());
            buffer.push(b'\n');
        }
        let head = |(place, name): (usize, &str)| match form {
            Form::Csv if place == 0 => Vec::new(),
            Form::Csv => b",".to_vec(),
            Form::Array => format!("{}\n    \"{name}\":", if place == 0 { "" } else { "," }).into_bytes(),
            _ => format!(",\"{name}\":").into_bytes(),
        };
        let heads = columns.names().enumerate().map(head).collect();
        let (text, hash) = (Text::default(), StableHash::new(0));
        let notation = Notation::default();
        let sheet = (form == Form::Sheet).then(|| Sheet::new(&columns, &mut buffer));
        let name = name.into();
        FlowWriter { out, name, buffer, form, columns, heads, times, notation, text, hash, flows: 0, sheet }
    }

    /// Writes the numbers and lists of CSV, and the lists of spreadsheets, as another program does.
    #[must_use]
    pub fn notation(self, notation: Notation) -> FlowWriter<W> {
        FlowWriter { notation, ..self }
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// What has been written, with what waited.
    ///
    /// # Errors
    /// It cannot be written.
    #[cfg(feature = "watch")]
    pub(crate) fn written(&mut self) -> Result<&mut W> {
        self.flush(false)?;
        Ok(&mut self.out)
    }

    fn flush(&mut self, last: bool) -> Result<()> {
        if let Some(sheet) = &mut self.sheet {
            sheet.pack(&mut self.buffer, last)?;
        }
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|source| Error::io("write", &self.name, source))
    }
}

impl<W: Write> FlowSink for FlowWriter<W> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.flows += 1;
        let (out, text) = (&mut self.buffer, &mut self.text);
        match self.form {
            Form::Digest => {
                let hash = &mut self.hash;
                self.columns.show(flow, |piece| match piece {
                    Piece::Cell(cell) => digest(hash, cell),
                    Piece::Run(cells, places) => places.for_each(|at| cells.show(at, |cell| digest(hash, cell))),
                    #[cfg(feature = "payload")]
                    Piece::Said(cell) => said::digest(hash, &cell),
                    Piece::Figures(count, figures) => {
                        let [a, b, c, d, e, f, g, h, i, j, k] = figures.map(f64::to_bits);
                        hash.numbers([count, a, b, c, d, e, f, g, h, i, j, k]);
                    }
                });
                return Ok(());
            }
            Form::Sheet => {
                let how = (self.times, self.notation);
                if let Some(sheet) = &mut self.sheet {
                    sheet.flow(&self.columns, flow, how, text, out)?;
                }
            }
            Form::Lines | Form::Csv | Form::Array => {
                let csv = self.form == Form::Csv;
                let [begin, end]: [&[u8]; 2] = match self.form {
                    Form::Csv => [b"", b"\n"],
                    Form::Array if self.flows == 1 => [b"[\n  {", b"\n  }"],
                    Form::Array => [b",\n  {", b"\n  }"],
                    _ => [b"{\"type\":\"flow\"", b"}\n"],
                };
                out.extend_from_slice(begin);
                let array = self.form == Form::Array;
                let (times, notation) = (self.times, self.notation);
                let write = |cell: &Cell<'_>, text: &mut Text, out: &mut Vec<u8>| {
                    if array
                        && let Cell::Float(n) = cell
                        && n.is_finite()
                    {
                        let mut writing = text.start();
                        pandas::float(*n, &mut writing);
                        writing.finish(out);
                    } else if !csv {
                        json(cell, times, text, out);
                    } else if !notation.writes(cell, text, out) {
                        comma_separated(cell, times, text, out);
                    }
                };
                let all = &self.heads[..];
                let mut heads = all;
                let head = |heads: &mut &[Vec<u8>], out: &mut Vec<u8>| {
                    if let Some((head, rest)) = heads.split_first() {
                        out.extend_from_slice(head);
                        *heads = rest;
                    }
                };
                self.columns.show(flow, |piece| {
                    if let Piece::Run(cells, Range { start: mut at, end }) = piece {
                        while at < end {
                            // In front of the first column there is no comma.
                            let first = heads.len() == all.len();
                            let written = if csv && !first { notation.row(cells, at..end, text, out) } else { 0 };
                            (at, heads) = (at + written, &heads[written..]);
                            if at < end {
                                head(&mut heads, out);
                                cells.show(at, |cell| write(cell, text, out));
                                at += 1;
                            }
                        }
                        return;
                    }
                    head(&mut heads, out);
                    match piece {
                        Piece::Run(..) => {}
                        Piece::Cell(cell) => write(cell, text, out),
                        #[cfg(feature = "payload")]
                        Piece::Said(cell) if csv => said::csv_cell(&cell, times, text, out),
                        #[cfg(feature = "payload")]
                        Piece::Said(cell) => said::json_cell(&cell, times, text, out),
                        Piece::Figures(count, numbers) => {
                            write(&Cell::Count(count), text, out);
                            for number in numbers {
                                head(&mut heads, out);
                                write(&Cell::Float(number), text, out);
                            }
                        }
                    }
                });
                out.extend_from_slice(end);
            }
        }
        if out.len() >= BUFFER { self.flush(false) } else { Ok(()) }
    }

    fn on_marker(&mut self) -> Result<()> {
        // A flow that has left is visible at once, also to a reader of a pipe.
        if self.buffer.is_empty() { Ok(()) } else { self.flush(false) }
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        if self.form == Form::Digest {
            let (flows, digest) = (self.flows, self.hash.finish());
            let line = format!("{{\"type\":\"digest\",\"records\":{flows},\"digest\":\"{digest:016x}\"}}\n");
            self.buffer.extend_from_slice(line.as_bytes());
        }
        match self.form {
            Form::Csv | Form::Sheet => {}
            Form::Array => self.buffer.extend_from_slice(if self.flows == 0 { b"[]" } else { b"\n]" }),
            Form::Lines | Form::Digest => metrics.write(&mut self.buffer),
        }
        self.flush(true)
    }
}

/// A cell of CSV.
#[inline]
fn comma_separated(cell: &Cell<'_>, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    match cell {
        Cell::Absent => {}
        Cell::Text(text) => csv::cell(text, out),
        Cell::Numbers(_) | Cell::Floats(_) => {
            out.push(b'"');
            json(cell, times, text, out);
            out.push(b'"');
        }
        Cell::List(_) => {
            let mut list = Vec::new();
            json(cell, times, text, &mut list);
            csv::cell(&String::from_utf8_lossy(&list), out);
        }
        other => plain(other, times, text, out),
    }
}

/// The shortest decimal that reads back as the same number.
#[inline]
fn float(n: f64, out: &mut Vec<u8>) {
    if n.to_bits() == 0 {
        // A third of all figures.
        out.extend_from_slice(b"0.0");
    } else {
        out.extend_from_slice(zmij::Buffer::new().format(n).as_bytes());
    }
}

/// A cell of JSON.
pub(super) fn json(cell: &Cell<'_>, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    match cell {
        Cell::Absent => out.extend_from_slice(b"null"),
        Cell::Float(n) if !n.is_finite() => out.extend_from_slice(b"null"),
        Cell::Text(text) => jsonl::string(text, out),
        Cell::Numbers(list) => array(list, out, |&n, out| jsonl::number(out, n)),
        Cell::Floats(list) => array(list, out, |&n, out| float(n, out)),
        Cell::List(list) => array(list, out, |cell, out| json(cell, times, text, out)),
        Cell::Id(_) | Cell::Address(_) => {
            out.push(b'"');
            plain(cell, times, text, out);
            out.push(b'"');
        }
        other => plain(other, times, text, out),
    }
}

fn array<T>(list: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, item) in list.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// A cell that needs no quotes but those of a string.
#[inline]
pub(super) fn plain(cell: &Cell<'_>, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    match *cell {
        Cell::Count(n @ 0..10) => out.push(b'0' + n as u8),
        Cell::Count(n) => jsonl::number(out, n),
        Cell::Integer(n) => jsonl::number(out, n),
        Cell::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        Cell::Float(n) => float(n, out),
        Cell::Id(id) => jsonl::hex(id, out),
        Cell::Time(time) => span(time.0, times, text, out),
        Cell::Span(ns) => span(ns, times, text, out),
        Cell::Address(address) => jsonl::address(address, out),
        Cell::Absent | Cell::Text(_) | Cell::Numbers(_) | Cell::Floats(_) | Cell::List(_) => {}
    }
}

pub(super) fn span(ns: i64, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    let mut writing = text.start();
    writing.time(crate::time::Timestamp(ns), times);
    writing.finish(out);
}

/// Adds a cell to a digest, with what it is.
fn digest(hash: &mut StableHash, cell: &Cell<'_>) {
    match cell {
        Cell::Absent => hash.number(1 << 63),
        Cell::Flag(flag) => hash.number(u64::from(*flag)),
        Cell::Count(n) | Cell::Id(n) => hash.number(*n),
        Cell::Float(n) => hash.number(n.to_bits()),
        Cell::Text(text) => hash.text(text),
        Cell::Time(time) => hash.number(time.0 as u64),
        Cell::Span(n) | Cell::Integer(n) => hash.number(*n as u64),
        Cell::Address(address) => hash.address(*address),
        Cell::Numbers(list) => {
            hash.number(list.len() as u64);
            list.iter().for_each(|&n| hash.number(n as u64));
        }
        Cell::Floats(list) => {
            hash.number(list.len() as u64);
            list.iter().for_each(|n| hash.number(n.to_bits()));
        }
        Cell::List(list) => {
            hash.number(list.len() as u64);
            list.iter().for_each(|cell| digest(hash, cell));
        }
    }
}

/// Several runs into one sink, as if they were one: the metrics come once, last.
pub struct FlowRuns<S> {
    sink: S,
    metrics: Option<OwnedMetrics<FlowCounts>>,
}

impl<S: FlowSink> FlowRuns<S> {
    /// Passes flows on to `sink`.
    pub fn new(sink: S) -> FlowRuns<S> {
        FlowRuns { sink, metrics: None }
    }

    /// Ends the runs: hands over the metrics, if there was a run.
    ///
    /// # Errors
    /// The sink refuses them.
    pub fn finish(mut self) -> Result<S> {
        if let Some(metrics) = &self.metrics {
            self.sink.on_metrics(&metrics.borrow())?;
        }
        Ok(self.sink)
    }
}

impl<S: FlowSink> FlowSink for FlowRuns<S> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.sink.on_flow(flow)
    }

    fn on_marker(&mut self) -> Result<()> {
        self.sink.on_marker()
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        OwnedMetrics::gather(&mut self.metrics, metrics);
        Ok(())
    }
}
