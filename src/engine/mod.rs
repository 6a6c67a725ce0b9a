//! One pass over captures, for any views at once.
//!
//! ```text
//! capture -> decode -> (shard) -> worker: flow table -> shard views -> parts -> view: merge -> sink
//! ```
//!
//! [`Engine::run`] puts the files in order of their first packet, reads and decodes them, and hands packets to the worker that owns their
//! pair of hosts. In front of each file the workers learn that no packet of windows that ended before it will come any
//! more; they hand over what is complete, and the calling thread merges it. Workers share nothing. With one thread the
//! same code runs inline, without channels.

pub mod feed;
pub mod ledger;
pub mod view;

mod inline;
mod overlap;
mod plan;
mod reader;
mod threads;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use overlap::Overlap;
pub use plan::Input;

use crate::capture::{Io, Report as CaptureReport};
use crate::decode::Tunnels;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use ledger::Tally;
use view::View;

/// How to run. Made by [`Engine::builder`].
#[derive(Clone, Debug)]
pub struct Engine {
    threads: usize,
    pin: bool,
    io: Io,
    tunnels: Tunnels,
    dedup: usize,
    filter: Option<Arc<Filter>>,
    lateness_ns: Option<i64>,
    progress: Arc<Progress>,
}

/// Builds an [`Engine`].
#[derive(Clone, Debug)]
pub struct Builder(Engine);

/// What a run has done so far; readable from other threads while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    packets: AtomicU64,
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

impl Progress {
    /// Bytes of input behind us; of a compressed file, its compressed bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Frames read.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// What became of the frames of all files that are behind us, and of those that a run that stopped has given up: what is known of a
    /// run that failed.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the run to stop at the next batch; it then fails with [`ErrorKind::Stopped`].
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(ErrorKind::Stopped.into()) } else { Ok(()) }
    }

    pub(crate) fn ended(&self, tally: &Tally) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).merge(tally);
    }

    pub(crate) fn add(&self, bytes: u64, packets: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.packets.fetch_add(packets, Ordering::Relaxed);
    }
}

impl Engine {
    /// One thread, no pinning, `--io auto`, innermost tunnels.
    #[must_use]
    pub fn builder() -> Builder {
        Builder(Engine {
            threads: 1,
            pin: false,
            io: Io::Auto,
            tunnels: Tunnels::Inner,
            dedup: 0,
            filter: None,
            lateness_ns: None,
            progress: Arc::default(),
        })
    }

    /// Reads `inputs` once and hands every packet to every view.
    ///
    /// Inputs that cannot be read are left out and listed in the report; the others are finished.
    ///
    /// # Errors
    /// A sink's error, a stop that was asked for, or a ledger that does not balance.
    pub fn run(&self, inputs: Vec<Input>, views: &mut [&mut dyn View]) -> Result<Report> {
        let plan = plan::Plan::new(inputs, self.io, &self.progress)?;
        tracing::debug!(files = plan.files.len(), unreadable = plan.failed.len(), threads = self.threads, "run begins");
        let mut report =
            if self.threads <= 1 { inline::run(self, plan, views)? } else { threads::run(self, plan, views)? };
        report.files.sort_by(|a, b| a.path.cmp(&b.path));
        for file in &report.files {
            file.tally.intake.check(&file.path.display().to_string())?;
            report.total.merge(&file.tally);
        }
        for view in views {
            view.finish(&report.total.intake)?;
        }
        Ok(report)
    }
}

impl Engine {
    /// Hands every packet of a feed's files to every view, on one thread. The report has totals and no files, for the feed hears of
    /// each.
    ///
    /// # Errors
    /// The feed's, a sink's, a stop that was asked for, or a ledger that does not balance.
    pub fn stream(&self, feed: &mut dyn feed::Feed, views: &mut [&mut dyn View]) -> Result<Report> {
        let report = inline::stream(self, feed, views)?;
        for view in views {
            view.finish(&report.total.intake)?;
        }
        Ok(report)
    }
}

impl Builder {
    /// Fails if its progress was asked to stop.
    pub(crate) fn stopped(&self) -> Result<()> {
        self.0.progress.stopped()
    }

    /// Threads in all, at least 1. With 2, one reads and decodes and one owns all flows.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Builder {
        self.0.threads = threads.max(1);
        self
    }

    /// No more threads than this.
    pub(crate) fn at_most(mut self, threads: usize) -> Builder {
        self.0.threads = self.0.threads.min(threads).max(1);
        self
    }

    /// Pins each thread to a core of its own.
    #[must_use]
    pub fn pin(mut self, pin: bool) -> Builder {
        self.0.pin = pin;
        self
    }

    /// How files are read.
    #[must_use]
    pub fn io(mut self, io: Io) -> Builder {
        self.0.io = io;
        self
    }

    /// Whether tunnels are followed.
    #[must_use]
    pub fn tunnels(mut self, tunnels: Tunnels) -> Builder {
        self.0.tunnels = tunnels;
        self
    }

    /// Leaves out a frame with the time, wire length and bytes of one of the `records` frames before it in its file;
    /// 0, the default, leaves out none.
    #[must_use]
    pub fn dedup(mut self, records: usize) -> Builder {
        self.0.dedup = records;
        self
    }

    /// Leaves out packets that do not match; the ledger counts them as `filtered`. The default is an open filter, which
    /// costs nothing.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Builder {
        self.0.filter = (!filter.is_open()).then(|| Arc::new(filter));
        self
    }

    /// Closes windows that ended this many nanoseconds before the newest packet, without waiting for the input's end.
    #[must_use]
    pub fn lateness_ns(mut self, lateness: Option<i64>) -> Builder {
        self.0.lateness_ns = lateness;
        self
    }

    /// Where to tell how far the run is.
    #[must_use]
    pub fn progress(mut self, progress: Arc<Progress>) -> Builder {
        self.0.progress = progress;
        self
    }

    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine {
        self.0
    }
}

/// What became of one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileReport {
    /// Its path, as given.
    pub path: PathBuf,
    /// Its sensor, where sensors run apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<String>,
    /// What the reader says of it.
    pub capture: CaptureReport,
    /// What the decoder says of its frames.
    pub tally: Tally,
}

/// What became of a run's input.
#[derive(Debug, Default)]
pub struct Report {
    /// Every file that was opened, by path.
    pub files: Vec<FileReport>,
    /// Inputs that could not be read.
    pub failed: Vec<Error>,
    /// The sum over all files.
    pub total: Tally,
}
