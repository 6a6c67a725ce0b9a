//! A run without an end: files come as they are made.

use std::path::{Path, PathBuf};

use super::FileReport;
use crate::error::{Error, Result};
use crate::time::{NS_PER_SECOND, Timestamp};

/// Nanoseconds by which a file may begin before the end of those in front of it though nobody said so: packets come out of order, and of two files
/// one ends in the middle of that. The clock of such a run stays so far behind the last packet.
pub const DISORDER: i64 = NS_PER_SECOND;

/// What comes next in such a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A file, which begins no earlier than the one before.
    File {
        /// Where it is.
        path: PathBuf,
        /// When the file behind it begins, which may be before this one ends; nothing if none is known. Then none may begin earlier than
        /// [`DISORDER`] before what was read.
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
