//! Buckets: what happened in each stretch of time, one row a stretch, for as many widths at once as are wanted.
//!
//! Rows of one width come in order of time, each as soon as its bucket is over (`shard.rs` says when). A stretch without packets
//! between two that have some is rows of zeros, or one row where it is longer than a limit: two packets 136 years apart make three
//! rows. Packets that come late go to the bucket that they belong to as long as it has not left.
//!
//! Promises: every accepted packet is in exactly one bucket of a width or `late`, and a packet that is late for every width is `late` in
//! the ledger; rows are a function of packets and settings.
//!
//! [`bridge`] writes the rows of another program, byte for byte.

pub mod bridge;
mod dns;
mod job;
mod known;
mod row;
mod seen;
mod series;
mod shard;
mod sides;

use std::ops::AddAssign;
use std::sync::Arc;

pub use job::BucketJob;
pub use row::{ByWay, COLUMNS, Column, Counts, Row, Way};
pub use sides::Local;

use crate::config::Measure;
use crate::engine::ledger::{Intake, Outcome, balance};
use crate::engine::view::{Part, ShardView, View};
use crate::error::{Error, Result};
use crate::sink::buckets::BucketSink;
use crate::time::NS_PER_SECOND;
use crate::views::groups::Window;
use shard::{Left, Shard};

/// The narrowest bucket, nanoseconds.
pub const NARROWEST: i64 = 1_000;

/// The widest bucket, nanoseconds: 366 days.
pub const WIDEST: i64 = 366 * 86_400 * NS_PER_SECOND;

/// The longest silence behind which a packet is still of a flow that is known, nanoseconds.
pub const LONGEST_SILENCE: i64 = known::LONGEST;

/// How buckets are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Lengths of buckets, nanoseconds.
    pub widths: Vec<i64>,
    /// The first bucket begins with the first packet, or with `clip`; else buckets begin at multiples of their width since 1970.
    pub from_start: bool,
    /// Who is local.
    pub local: Vec<Local>,
    /// Which length counts.
    pub bytes: Measure,
    /// How far behind the newest packet one may come and still be in its bucket, nanoseconds.
    pub reorder: i64,
    /// So many empty buckets in a row are a row each; more are one row.
    pub gap_limit: u64,
    /// Only packets of this window; the empty buckets at its ends are rows too.
    pub clip: Option<Window>,
}

impl Default for Settings {
    /// Buckets of 100 ms, a second for packets that come late, an hour of empty rows.
    fn default() -> Settings {
        Settings {
            widths: vec![NS_PER_SECOND / 10],
            from_start: false,
            local: Vec::new(),
            bytes: Measure::Wire,
            reorder: NS_PER_SECOND,
            gap_limit: 36_000,
            clip: None,
        }
    }
}

impl Settings {
    /// Checks the widths.
    ///
    /// # Errors
    /// There is none, there are two of a kind, or one is not from [`NARROWEST`] to [`WIDEST`].
    pub fn check(&self) -> Result<()> {
        let mut widths = self.widths.clone();
        widths.sort_unstable();
        widths.dedup();
        if widths.is_empty() || widths.len() < self.widths.len() {
            return Err(Error::config("buckets need a width, and each width once".to_owned()));
        }
        if widths.iter().any(|width| !(NARROWEST..=WIDEST).contains(width)) {
            return Err(Error::config("buckets last from 1 µs to 366 days".to_owned()));
        }
        Ok(())
    }
}

/// What a run of the buckets view counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketCounts {
    /// Rows emitted.
    pub rows: u64,
    /// Of those, rows that stand for a gap.
    pub gaps: u64,
    /// Packets that were late for a width, by width added up.
    pub late: u64,
}

impl AddAssign for BucketCounts {
    fn add_assign(&mut self, other: BucketCounts) {
        self.rows += other.rows;
        self.gaps += other.gaps;
        self.late += other.late;
    }
}

/// The buckets view: hands its rows to a sink.
pub struct Buckets<'s> {
    settings: Arc<Settings>,
    sink: &'s mut dyn BucketSink,
    outcome: Outcome,
    counts: BucketCounts,
}

impl<'s> Buckets<'s> {
    /// A view of settings that were [checked](Settings::check).
    #[must_use]
    pub fn new(settings: Settings, sink: &'s mut dyn BucketSink) -> Buckets<'s> {
        Buckets { settings: Arc::new(settings), sink, outcome: Outcome::default(), counts: BucketCounts::default() }
    }

    /// What became of the accepted packets, so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What was counted, so far.
    #[must_use]
    pub fn counts(&self) -> BucketCounts {
        self.counts
    }

    /// Hands over a row; one for each bucket of a gap that is short.
    fn emit(&mut self, row: Row) -> Result<()> {
        self.counts.late += row.counts.late;
        if row.buckets == 1 || row.buckets > self.settings.gap_limit {
            self.counts.rows += 1;
            self.counts.gaps += u64::from(row.buckets > 1);
            return self.sink.on_bucket(&row);
        }
        self.counts.rows += row.buckets;
        let starts = std::iter::successors(Some(row.start.0), |start| start.checked_add(row.width));
        for (start, _) in starts.zip(0..row.buckets) {
            self.sink.on_bucket(&Row { start: crate::Timestamp(start), buckets: 1, ..row })?;
        }
        Ok(())
    }
}

impl View for Buckets<'_> {
    fn wants_marks(&self) -> bool {
        true
    }

    fn wants_order(&self) -> bool {
        true
    }

    fn wants_batches(&self) -> bool {
        true
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(Shard::new(Arc::clone(&self.settings)))
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let Ok(left) = part.downcast::<Left>() else { continue };
            self.outcome += left.outcome;
            for row in left.rows {
                self.emit(row)?;
            }
        }
        self.sink.on_marker()
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let Outcome { kept, late, out_of_window, .. } = self.outcome;
        balance("the buckets view", intake.accepted, &[kept, late, out_of_window])
    }
}
