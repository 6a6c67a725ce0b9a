//! Names of flows that may begin at the time of another of their 5-tuple.
//!
//! Another flow of that name may have left where time goes back; what is left of it nobody remembers. So the name has a mark of where in
//! its files the run is.

use super::flow::Serial;
use crate::stable::StableHash;

/// Where in its files a run is: by what they say alone, so that names which come from it do not depend on what else the clock was told, or on where
/// the run began.
#[derive(Debug)]
pub(super) struct Stretch {
    /// The stretch between two markers of a file: the first time of the file and the number of the stretch, hashed. 0 in front of the first file.
    pub(super) name: u32,
    first: i64,
    /// Markers since a file began at that time.
    marks: u64,
    /// A file has begun, and its first time was not told yet.
    pub(super) is_new: bool,
    /// The marker that comes next is of no file.
    pub(super) is_quiet: bool,
    /// How far files have come, where they begin, at their markers: flows from before it may have left.
    told: i64,
}

impl Default for Stretch {
    fn default() -> Stretch {
        Stretch { name: 0, first: i64::MIN, marks: 0, is_new: false, is_quiet: false, told: i64::MIN }
    }
}

impl Stretch {
    /// A file begins, or windows close.
    pub(super) fn closes(&mut self, before: i64) {
        if std::mem::take(&mut self.is_new) {
            if before != self.first {
                (self.first, self.marks) = (before, 0);
            }
            self.rename();
        }
        if !self.is_quiet {
            self.told = self.told.max(before);
        }
    }

    /// A marker of a file, or of none.
    pub(super) fn passes(&mut self, end: i64) {
        if !std::mem::take(&mut self.is_quiet) {
            self.marks += 1;
            self.told = self.told.max(end);
            self.rename();
        }
    }

    fn rename(&mut self) {
        let mut hash = StableHash::new(0);
        hash.number(self.first as u64);
        hash.number(self.marks);
        self.name = ((hash.finish() >> 33) as u32).max(1);
    }

    /// The mark of a flow that begins in the stretch, and would be over at `over` without another packet; `before` is the name of the one before
    /// it, if that is still held. A flow that began at its time may have left; where time went back in this stretch, others have.
    pub(super) fn mark(&self, over: i64, before: Serial) -> u32 {
        if before.mark == self.name || over < self.told { self.name } else { 0 }
    }
}
