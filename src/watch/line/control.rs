//! A hand on the engine's run, from other threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::Progress;

/// How a line is stopped in the middle of a file.
#[derive(Debug, Default)]
pub(in crate::watch) struct Control {
    run: Mutex<Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// Of the engine's run that is under way.
    progress: Arc<Progress>,
    /// What is read, and since when.
    reading: Option<Instant>,
    /// It was read for too long.
    overdue: bool,
    /// Nothing more is to be done.
    stopped: bool,
    /// Nothing more behind the file that is being read.
    leaving: bool,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it for good.
    pub(in crate::watch) fn stop(&self) {
        let mut run = self.lock();
        run.stopped = true;
        run.progress.stop();
    }

    /// Lets it end behind the file that is being read.
    pub(in crate::watch) fn leave(&self) {
        self.lock().leaving = true;
    }

    /// Gives up a file that has been read for longer than this.
    pub(in crate::watch) fn give_up_after(&self, longest: Duration) {
        let mut run = self.lock();
        if run.reading.is_some_and(|since| since.elapsed() > longest) {
            run.overdue = true;
            run.progress.stop();
        }
    }

    /// A run of the engine begins.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let mut run = self.lock();
        run.progress = Arc::default();
        (run.reading, run.overdue) = (None, false);
        if run.stopped {
            run.progress.stop();
        }
        Arc::clone(&run.progress)
    }

    /// A file is read, or is not any more.
    pub(super) fn reading(&self, now: bool) {
        self.lock().reading = now.then(Instant::now);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.lock().leaving
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.lock().overdue
    }
}
