//! A run without an end: files come as they are made.

use std::path::{Path, PathBuf};

use super::FileReport;
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// What comes next in such a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A file, which begins no earlier than the one before.
    File {
        /// Where it is.
        path: PathBuf,
        /// When the file behind it begins, which may be before this one ends; nothing if none is known.
        next: Option<Timestamp>,
    },
    /// No packet before this time will come: what is over by then leaves, though no packet says so.
    Quiet {
        /// The time.
        until: Timestamp,
        /// Whether it is known that a packet will come behind it.
        follows: bool,
    },
    /// Nothing.
    End,
}

/// Where such a run takes its files from.
pub trait Feed {
    /// What comes next; waits for it.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn next(&mut self) -> Result<Next>;

    /// What became of the file that came last: what was read of it, if it could be opened, and why that is not all.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn read(&mut self, path: &Path, report: Option<FileReport>, failed: Option<Error>) -> Result<()>;
}
