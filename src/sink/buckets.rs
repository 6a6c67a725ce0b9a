//! Where buckets go: JSON Lines, CSV, or a digest.

use std::io::Write;
use std::path::PathBuf;

use super::Metrics;
use super::csv;
use super::jsonl::{Times, string};
use super::metrics::OwnedMetrics;
use super::text::Text;
use crate::error::{Error, Result};
use crate::stable::StableHash;
use crate::time::Timestamp;
use crate::views::buckets::{BucketCounts, COLUMNS, Row};

/// Receives the buckets of a run; the metrics last.
pub trait BucketSink {
    /// The rows that follow are of this sensor; none where sensors do not run apart.
    ///
    /// # Errors
    /// Whatever stops the run; see [`Error::sink`].
    fn on_sensor(&mut self, _sensor: Option<&str>) -> Result<()> {
        Ok(())
    }

    /// A row.
    ///
    /// # Errors
    /// As [`BucketSink::on_sensor`].
    fn on_bucket(&mut self, row: &Row) -> Result<()>;

    /// Rows that were complete by now have been handed over; more will come.
    ///
    /// # Errors
    /// As [`BucketSink::on_sensor`].
    fn on_marker(&mut self) -> Result<()> {
        Ok(())
    }

    /// The run is complete; called once, last.
    ///
    /// # Errors
    /// As [`BucketSink::on_sensor`].
    fn on_metrics(&mut self, metrics: &Metrics<BucketCounts>) -> Result<()>;
}

/// How buckets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line, the metrics as the last.
    Lines,
    /// A header and one row a bucket (RFC 4180), no metrics.
    Csv,
    /// A digest of all numbers in one line of JSON, and the metrics.
    Digest,
}

/// Writes buckets to a stream.
pub struct BucketWriter<W: Write> {
    out: W,
    name: PathBuf,
    buffer: Vec<u8>,
    form: Form,
    times: Times,
    /// Where the other clock's 1970 is, if rows say what it shows.
    mono_origin: Option<i64>,
    /// Rows have a sensor.
    sensors: bool,
    /// What stands in front of the first number of each row.
    sensor: Vec<u8>,
    text: Text,
    hash: StableHash,
    rows: u64,
    metrics: Option<OwnedMetrics<BucketCounts>>,
}

/// Bytes that are gathered before they are written.
const BUFFER: usize = 48 << 10;

/// The line with which CSV begins.
#[must_use]
pub fn header(with_mono: bool, with_sensors: bool) -> String {
    let front = [with_sensors.then_some("sensor"), Some("start"), Some("width"), Some("buckets")];
    let mono = with_mono.then_some("t_mono_ns");
    let names = front.into_iter().chain([mono]).flatten().chain(COLUMNS.iter().map(|column| column.name));
    names.collect::<Vec<_>>().join(",") + "\n"
}

impl<W: Write> BucketWriter<W> {
    /// Writes to `out`, whose name stands in errors. With `mono_origin`, nanoseconds, rows also say what a clock shows that was 0 then;
    /// with `sensors`, whose they are. `header` is whether CSV begins with one.
    pub fn new(
        out: W,
        name: impl Into<PathBuf>,
        (form, times): (Form, Times),
        mono_origin: Option<i64>,
        sensors: bool,
        header: bool,
    ) -> BucketWriter<W> {
        let mut buffer = Vec::new();
        if form == Form::Csv && header {
            buffer.extend_from_slice(self::header(mono_origin.is_some(), sensors).as_bytes());
        }
        BucketWriter {
            out,
            name: name.into(),
            buffer,
            form,
            times,
            mono_origin,
            sensors,
            sensor: Vec::new(),
            text: Text::default(),
            hash: StableHash::new(0),
            rows: 0,
            metrics: None,
        }
    }

    /// Ends the runs: writes the metrics of all of them, and gives the stream back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<(W, Option<OwnedMetrics<BucketCounts>>)> {
        if self.form == Form::Digest {
            let (rows, digest) = (self.rows, self.hash.finish());
            let line = format!("{{\"type\":\"digest\",\"records\":{rows},\"digest\":\"{digest:016x}\"}}\n");
            self.buffer.extend_from_slice(line.as_bytes());
        }
        if let Some(metrics) = self.metrics.as_ref().filter(|_| self.form != Form::Csv) {
            metrics.borrow().write(&mut self.buffer);
        }
        self.flush()?;
        Ok((self.out, self.metrics))
    }

    /// What has been written, with what waited.
    ///
    /// # Errors
    /// It cannot be written.
    #[cfg(feature = "watch")]
    pub(crate) fn written(&mut self) -> Result<&mut W> {
        self.flush()?;
        Ok(&mut self.out)
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|source| Error::io("write", &self.name, source))
    }

    fn time(&mut self, time: i64) {
        let mut writing = self.text.start();
        writing.time(Timestamp(time), self.times);
        writing.finish(&mut self.buffer);
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn mono(&self, row: &Row) -> Option<i128> {
        self.mono_origin.map(|origin| i128::from(row.start.0) - i128::from(origin))
    }

    fn line(&mut self, row: &Row) {
        self.buffer.extend_from_slice(b"{\"type\":\"bucket\"");
        self.buffer.extend_from_slice(&self.sensor);
        self.buffer.extend_from_slice(b",\"start\":");
        self.time(row.start.0);
        self.buffer.extend_from_slice(b",\"width\":");
        self.time(row.width);
        self.buffer.extend_from_slice(b",\"buckets\":");
        self.number(row.buckets);
        if let Some(mono) = self.mono(row) {
            self.buffer.extend_from_slice(b",\"t_mono_ns\":");
            self.number(mono);
        }
        for column in COLUMNS {
            self.buffer.extend_from_slice(b",\"");
            self.buffer.extend_from_slice(column.name.as_bytes());
            self.buffer.extend_from_slice(b"\":");
            self.number((column.get)(&row.counts));
        }
        self.buffer.extend_from_slice(b"}\n");
    }

    fn row(&mut self, row: &Row) {
        self.buffer.extend_from_slice(&self.sensor);
        self.time(row.start.0);
        self.buffer.push(b',');
        self.time(row.width);
        self.buffer.push(b',');
        self.number(row.buckets);
        if let Some(mono) = self.mono(row) {
            self.buffer.push(b',');
            self.number(mono);
        }
        for column in COLUMNS {
            self.buffer.push(b',');
            self.number((column.get)(&row.counts));
        }
        self.buffer.push(b'\n');
    }
}

impl<W: Write> BucketSink for BucketWriter<W> {
    fn on_sensor(&mut self, sensor: Option<&str>) -> Result<()> {
        self.sensor.clear();
        let sensor = sensor.unwrap_or_default();
        match self.form {
            _ if !self.sensors => {}
            Form::Lines => {
                self.sensor.extend_from_slice(b",\"sensor\":");
                string(sensor, &mut self.sensor);
            }
            Form::Csv => {
                csv::cell(sensor, &mut self.sensor);
                self.sensor.push(b',');
            }
            Form::Digest => self.hash.text(sensor),
        }
        Ok(())
    }

    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.rows += 1;
        match self.form {
            Form::Lines => self.line(row),
            Form::Csv => self.row(row),
            Form::Digest => {
                self.hash.numbers([row.start.0 as u64, row.width as u64]);
                self.hash.number(row.buckets);
                COLUMNS.iter().for_each(|column| self.hash.number((column.get)(&row.counts)));
            }
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn on_marker(&mut self) -> Result<()> {
        // A row that has left is visible at once, also to a reader of a pipe.
        if self.buffer.is_empty() { Ok(()) } else { self.flush() }
    }

    fn on_metrics(&mut self, metrics: &Metrics<BucketCounts>) -> Result<()> {
        OwnedMetrics::gather(&mut self.metrics, metrics);
        Ok(())
    }
}
