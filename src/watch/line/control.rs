//! A hand on the engine's run, from other threads.

use std::path::{Path, PathBuf};
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
    /// What is read, since when, and whether it was said that it takes long.
    reading: Option<(PathBuf, Instant, bool)>,
    /// It was read for too long.
    overdue: bool,
    /// Nothing more is to be done.
    stopped: bool,
    /// Nothing more behind the file that is being read.
    leaving: bool,
    /// Since when there has been nothing to do, and nothing that the clock would bring.
    idle: Option<Instant>,
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

    /// Whether there has been nothing to do for so long. If all that the line was told was taken when this is asked, all of it is done.
    pub(in crate::watch) fn is_idle_for(&self, long: Duration) -> bool {
        self.lock().idle.is_some_and(|since| since.elapsed() >= long)
    }

    /// Gives up a file that has been read for longer than this.
    pub(in crate::watch) fn give_up_after(&self, longest: Duration) {
        let mut run = self.lock();
        if run.reading.as_ref().is_some_and(|(_, since, _)| since.elapsed() > longest) {
            run.overdue = true;
            run.progress.stop();
        }
    }

    /// A file that has been read for longer than this, once.
    pub(in crate::watch) fn slow_after(&self, long: Duration) -> Option<PathBuf> {
        let mut run = self.lock();
        let (path, since, said) = run.reading.as_mut()?;
        (!*said && since.elapsed() > long).then(|| {
            *said = true;
            path.clone()
        })
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
    pub(super) fn reading(&self, path: Option<&Path>) {
        self.lock().reading = path.map(|path| (path.to_owned(), Instant::now(), false));
    }

    /// There is nothing to do, or something may be.
    pub(super) fn idle(&self, idle: bool) {
        self.lock().idle = idle.then(Instant::now);
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
