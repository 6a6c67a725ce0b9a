//! Buckets: what happened in each stretch of time, one row a stretch, for as many widths at once as are wanted.
//!
//! Rows of one width come in order of time, each as soon as its bucket is over (`shard.rs` says when). A stretch without packets
//! between two that have some is rows of zeros, or one row where it is longer than a limit: two packets 136 years apart make three
//! rows. Packets that come late go to the bucket that they belong to as long as it has not left.
//!
//! Rows of several widths come in the order in which their buckets end, the narrower first. A short gap is known as such only when the packet
//! behind it is: where one comes late into a gap that is long without it, rows of the gap come behind those of other widths.
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
mod widths;

use std::iter::Peekable;
use std::ops::AddAssign;
use std::sync::Arc;

pub use job::BucketJob;
pub use row::{ByWay, COLUMNS, Column, Counts, HEAD, Row, Way};
pub use sides::Local;

use crate::config::Measure;
use crate::engine::ledger::{Intake, Outcome, balance};
use crate::engine::view::{Hindsight, Part, ShardView, View};
use crate::error::{Error, Result};
use crate::sink::buckets::BucketSink;
use crate::time::NS_PER_SECOND;
use crate::views::groups::Window;
use shard::{Left, Shard};

/// The narrowest bucket, nanoseconds.
pub const NARROWEST: i64 = 1_000;

/// The widest bucket, nanoseconds: 366 days.
pub const WIDEST: i64 = 366 * 86_400 * NS_PER_SECOND;

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
    /// How long the view looks back: a flow is new where its 5-tuple has been silent for longer.
    #[must_use]
    pub fn hindsight(&self) -> Hindsight {
        let records = self.widths.iter().copied().max().unwrap_or(0);
        Hindsight { records, flows: known::LONGEST, period: 0 }
    }

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

    /// Hands over rows that left together, of one width behind the other: in the order in which they end, the narrower first.
    fn emit(&mut self, rows: &[Row]) -> Result<()> {
        let limit = self.settings.gap_limit;
        let of_width = rows.chunk_by(|a, b| a.width == b.width);
        let mut widths: Vec<_> =
            of_width.map(|rows| rows.iter().flat_map(move |row| row.each(limit)).peekable()).collect();
        let first = |rows: &mut Peekable<_>| rows.peek().map(|row: &Row| (row.end(), row.width));
        while let Some((_, nth)) = (0..).zip(&mut widths).filter_map(|(nth, rows)| Some((first(rows)?, nth))).min()
            && let Some(row) = widths.get_mut(nth).and_then(Iterator::next)
        {
            self.counts.late += row.counts.late;
            self.counts.rows += 1;
            self.counts.gaps += u64::from(row.buckets > 1);
            self.sink.on_bucket(&row)?;
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

    fn hindsight(&self) -> Hindsight {
        self.settings.hindsight()
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(Shard::new(Arc::clone(&self.settings)))
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let Ok(left) = part.downcast::<Left>() else { continue };
            self.outcome += left.outcome;
            let mut from = 0;
            for &end in &left.ends {
                self.emit(left.rows.get(from..end).unwrap_or_default())?;
                from = end;
            }
        }
        self.sink.on_marker()
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let Outcome { kept, late, out_of_window, .. } = self.outcome;
        balance("the buckets view", intake.accepted, &[kept, late, out_of_window])
    }
}
