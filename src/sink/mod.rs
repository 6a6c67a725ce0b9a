//! Where records go.

pub mod atomic;
mod blocks;
pub mod bridge;
pub mod buckets;
pub mod channel;
pub mod csv;
pub mod decided;
pub mod digest;
pub mod files;
pub mod flows;
pub mod folder;
mod java;
pub mod jsonl;
pub mod metrics;
pub mod most;
pub mod notation;
mod pandas;
mod python;
pub mod runs;
#[cfg(feature = "payload")]
pub(crate) mod said;
pub(crate) mod scratch;
pub mod seal;
mod sheet;
pub(crate) mod sorted;
#[cfg(feature = "tables")]
pub mod tables;
mod text;
pub mod timeline;
mod zip;

use crate::engine::FileReport;
use crate::error::Result;
use crate::scan::summary::ScanSummary;
use crate::views::groups::{Aside, GroupRecord, WindowTotals};
pub use metrics::Metrics;

/// Receives the records of a run, in order: per window its groups, its scans, then the window's end; the metrics last.
pub trait Sink {
    /// The records that follow are of this sensor; comes first, and only where sensors run apart.
    ///
    /// # Errors
    /// As [`Sink::on_group`].
    fn on_sensor(&mut self, _sensor: &str) -> Result<()> {
        Ok(())
    }

    /// A group.
    ///
    /// # Errors
    /// Whatever stops the run; see [`crate::error::Error::sink`].
    fn on_group(&mut self, group: &GroupRecord) -> Result<()>;

    /// A scan summary.
    ///
    /// # Errors
    /// As [`Sink::on_group`].
    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()>;

    /// A file has been read, and these of its packets went to no window; comes in front of the windows it completes.
    ///
    /// # Errors
    /// As [`Sink::on_group`].
    fn on_file(&mut self, _file: &FileReport, _aside: &Aside) -> Result<()> {
        Ok(())
    }

    /// A window is complete: no record of it will follow.
    ///
    /// # Errors
    /// As [`Sink::on_group`].
    fn on_window(&mut self, _totals: &WindowTotals) -> Result<()> {
        Ok(())
    }

    /// The run is complete; called once, last.
    ///
    /// # Errors
    /// As [`Sink::on_group`].
    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()>;
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        (**self).on_sensor(sensor)
    }
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        (**self).on_group(group)
    }
    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        (**self).on_scan(scan)
    }
    fn on_file(&mut self, file: &FileReport, aside: &Aside) -> Result<()> {
        (**self).on_file(file, aside)
    }
    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        (**self).on_window(totals)
    }
    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        (**self).on_metrics(metrics)
    }
}

/// Lets go of every record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Sink for Discard {
    fn on_group(&mut self, _: &GroupRecord) -> Result<()> {
        Ok(())
    }
    fn on_scan(&mut self, _: &ScanSummary) -> Result<()> {
        Ok(())
    }
    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}
