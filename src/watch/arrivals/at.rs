//! What the thread that looks at files reads just now: a disk may never answer it, and no file is told then.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug, Default)]
pub(in crate::watch) struct At(Mutex<Option<Reading>>);

#[derive(Debug)]
struct Reading {
    path: PathBuf,
    since: Instant,
    is_said: bool,
}

impl At {
    /// Reads of a file.
    pub(super) fn reads<T>(&self, path: &Path, read: impl FnOnce() -> T) -> T {
        *self.lock() = Some(Reading { path: path.to_owned(), since: Instant::now(), is_said: false });
        let read = read();
        *self.lock() = None;
        read
    }

    /// The file, if it takes longer than this and that was not said yet.
    pub(in crate::watch) fn slow_after(&self, long: Duration) -> Option<PathBuf> {
        let mut at = self.lock();
        let reading = at.as_mut().filter(|reading| !reading.is_said && reading.since.elapsed() > long)?;
        reading.is_said = true;
        Some(reading.path.clone())
    }

    /// The file of which that was said, and since when it is read.
    pub(in crate::watch) fn slow(&self) -> Option<(PathBuf, Instant)> {
        self.lock().as_ref().filter(|reading| reading.is_said).map(|reading| (reading.path.clone(), reading.since))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_said_once_and_known_until_it_is_read() {
        let (at, path) = (At::default(), Path::new("a.pcap"));
        at.reads(path, || {
            assert_eq!((at.slow_after(Duration::from_secs(60)), at.slow()), (None, None));
            assert_eq!(at.slow_after(Duration::ZERO).as_deref(), Some(path));
            assert_eq!(at.slow_after(Duration::ZERO), None);
            assert_eq!(at.slow().map(|(path, _)| path).as_deref(), Some(path));
        });
        assert_eq!((at.slow_after(Duration::ZERO), at.slow()), (None, None));
    }
}
