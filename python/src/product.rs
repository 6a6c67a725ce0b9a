//! A product as batches of columns: what a query is about, and what one pass comes to.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crossbeam_channel::Sender;
use pcap_compactor::capture::Status;
use pcap_compactor::engine::{Progress, Report};
use pcap_compactor::sink::metrics::{Counted, Metrics};
use pcap_compactor::sink::tables::rows::Rows;
use pcap_compactor::{ErrorKind, Result};

use crate::errors::Problem;
use crate::reading::{Found, Sources};

/// Groups, scans, flows or buckets, by some options.
pub(crate) trait Product: Send + Sync {
    /// What is read.
    fn sources(&self) -> &Sources;

    /// Its columns.
    fn schema(&self) -> SchemaRef;

    /// Runs the engine over all units, and hands batches to `out`.
    ///
    /// # Errors
    /// The engine's.
    fn run(&self, found: &Found, progress: &Arc<Progress>, out: &Outlet) -> Result<Done>;
}

/// Where batches go. It is bounded, so the engine waits for who takes them.
pub(crate) struct Outlet(pub(crate) Sender<RecordBatch>);

impl Outlet {
    /// Hands over all rows if they are enough for a batch.
    pub(crate) fn full(&self, rows: &mut Rows) -> Result<()> {
        if rows.is_full() { self.send(rows.take()?) } else { Ok(()) }
    }

    /// Hands over what is left.
    pub(crate) fn rest(&self, rows: &mut Rows) -> Result<()> {
        if rows.is_empty() { Ok(()) } else { self.send(rows.take()?) }
    }

    fn send(&self, batch: RecordBatch) -> Result<()> {
        // Who takes them has gone.
        self.0.send(batch).map_err(|_| ErrorKind::Stopped.into())
    }
}

/// What a pass came to.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The line of metrics, JSON.
    pub(crate) metrics: String,
    /// What could not be read, wholly or in part.
    pub(crate) problems: Vec<Problem>,
    /// Files that are captures.
    pub(crate) captures: u64,
    /// Scan summaries, where groups were asked for.
    pub(crate) scans: Vec<RecordBatch>,
}

impl Done {
    /// Notes the metrics of all runs.
    pub(crate) fn tell<C: Copy + Counted>(&mut self, metrics: &Metrics<'_, C>) {
        let mut line = Vec::new();
        metrics.write(&mut line);
        self.metrics = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    }

    /// Notes what a run says of its files, of which flows go on from one to another.
    pub(crate) fn add_in_turn(&mut self, report: &Report) {
        self.add(report);
        self.problems.extend(report.overlap().map(|overlap| Problem {
            path: Some(overlap.file.to_owned()),
            offset: None,
            message: overlap.to_string(),
        }));
    }

    /// Notes what a run says of its files.
    pub(crate) fn add(&mut self, report: &Report) {
        self.problems.extend(report.failed.iter().map(Problem::of));
        for file in &report.files {
            let (path, capture) = (file.path.display(), &file.capture);
            let is_capture = capture.packets > 0 || !matches!(capture.status, Status::Unsupported | Status::Empty);
            self.captures += u64::from(is_capture);
            if capture.status != Status::Complete {
                let message = capture.message.as_deref().unwrap_or("the file is empty");
                let at = capture.offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
                let message = format!("{path}: {}{at}: {message}", capture.status.name());
                self.problems.push(Problem { path: Some(file.path.clone()), offset: capture.offset, message });
            }
            for (link, frames) in &file.tally.unsupported_links {
                let message = format!("{path}: link type {link} is not supported; {frames} of its frames are left out");
                self.problems.push(Problem { path: Some(file.path.clone()), offset: None, message });
            }
        }
    }
}
