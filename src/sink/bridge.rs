//! Where rows of the bridge go: JSON Lines as the bridge writes them, or CSV.

use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::views::buckets::bridge::{COLUMNS, Row, Value};

/// Receives the rows of the bridge.
pub trait BridgeSink {
    /// A row.
    ///
    /// # Errors
    /// Whatever stops the run; see [`Error::sink`].
    fn on_row(&mut self, row: &Row) -> Result<()>;

    /// Rows that were complete by now have been handed over; more may come.
    ///
    /// # Errors
    /// As [`BridgeSink::on_row`].
    fn on_marker(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line, byte for byte the bridge's.
    Lines,
    /// One line a row (RFC 4180).
    Csv,
}

/// The line with which CSV begins.
#[must_use]
pub fn header() -> String {
    COLUMNS.iter().map(|column| column.about.name).collect::<Vec<_>>().join(",") + "\n"
}

/// Writes rows to a stream.
pub struct BridgeWriter<W: Write> {
    out: W,
    name: PathBuf,
    buffer: Vec<u8>,
    form: Form,
}

/// Bytes that are gathered before they are written.
const BUFFER: usize = 48 << 10;

impl<W: Write> BridgeWriter<W> {
    /// Writes to `out`, whose name stands in errors. `header` is whether CSV begins with one.
    pub fn new(out: W, name: impl Into<PathBuf>, form: Form, header: bool) -> BridgeWriter<W> {
        let buffer = if form == Form::Csv && header { self::header().into_bytes() } else { Vec::new() };
        BridgeWriter { out, name: name.into(), buffer, form }
    }

    /// Ends the runs, and gives the stream back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|source| Error::io("write", &self.name, source))
    }
}

impl<W: Write> BridgeSink for BridgeWriter<W> {
    fn on_row(&mut self, row: &Row) -> Result<()> {
        let (form, out) = (self.form, &mut self.buffer);
        for (nth, column) in COLUMNS.iter().enumerate() {
            let between: &[u8] = match (form, nth) {
                (Form::Lines, 0) => b"{",
                (Form::Lines, _) => b", ",
                (Form::Csv, 0) => b"",
                (Form::Csv, _) => b",",
            };
            out.extend_from_slice(between);
            if form == Form::Lines {
                out.push(b'"');
                out.extend_from_slice(column.about.name.as_bytes());
                out.extend_from_slice(b"\": ");
            }
            match (column.get)(row) {
                Value::Number(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
                Value::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
                Value::Word(word) if form == Form::Csv => out.extend_from_slice(word.as_bytes()),
                Value::Word(word) => {
                    out.push(b'"');
                    out.extend_from_slice(word.as_bytes());
                    out.push(b'"');
                }
            }
        }
        out.extend_from_slice(if form == Form::Lines { b"}\n" } else { b"\n" });
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn on_marker(&mut self) -> Result<()> {
        self.flush()
    }
}
