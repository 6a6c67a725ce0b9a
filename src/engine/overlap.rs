//! Captures that were taken at the same time, of which flows of one run are wrong: files are read one behind the other.

use std::fmt;
use std::path::Path;

use super::{FileReport, Report};
use crate::time::{NS_PER_SECOND, Timestamp};

/// Nanoseconds by which packets of two files of one tap may overlap: those that came out of order.
const ALLOWED: i64 = NS_PER_SECOND;

/// A file that begins before one in front of it ends. Its text says what that does, and the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap<'r> {
    /// The file that begins too early.
    pub file: &'r Path,
    /// The one that it overlaps.
    pub before: &'r Path,
}

impl Report {
    /// The first file, in the order in which they were read, that begins more than a second before another in front of it ends.
    #[must_use]
    pub fn overlap(&self) -> Option<Overlap<'_>> {
        let times = |file: &'_ FileReport| file.capture.first_time.zip(file.capture.max_time);
        let mut read: Vec<_> = self.files.iter().filter_map(|file| Some((times(file)?, &*file.path))).collect();
        read.sort_by_key(|&((first, _), path)| (first, path));
        let mut before: Option<(Timestamp, &Path)> = None;
        for ((first, last), file) in read {
            if let Some((_, before)) = before.filter(|(until, _)| until.0.saturating_sub(first.0) > ALLOWED) {
                return Some(Overlap { file, before });
            }
            before = before.max(Some((last, file)));
        }
        None
    }
}

impl fmt::Display for Overlap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, before) = (self.file.display(), self.before.display());
        write!(
            f,
            "{file} begins before {before} ends, and files are read one behind the other: flows of both are cut, or counted as new twice; \
             merge them first, with `mergecap -w MERGED {before} {file}` say"
        )
    }
}
