//! Several runs into one sink, as if they were one: sensors that run apart, on standard output.
//!
//! Records pass as they come, each run's behind its sensor. The metrics come once, last, and account for all runs together.

use super::metrics::OwnedMetrics;
use super::{Metrics, Sink};
use crate::engine::FileReport;
use crate::error::Result;
use crate::scan::summary::ScanSummary;
use crate::views::groups::{Aside, GroupRecord, WindowTotals};

/// A sink for one run after another.
pub struct Runs<S> {
    sink: S,
    metrics: Option<OwnedMetrics>,
}

impl<S: Sink> Runs<S> {
    /// Passes records on to `sink`.
    pub fn new(sink: S) -> Runs<S> {
        Runs { sink, metrics: None }
    }

    /// Ends the runs: hands over the metrics, if there was a run.
    ///
    /// # Errors
    /// The sink refuses them.
    pub fn finish(mut self) -> Result<S> {
        if let Some(metrics) = &self.metrics {
            self.sink.on_metrics(&metrics.borrow())?;
        }
        Ok(self.sink)
    }
}

impl<S: Sink> Sink for Runs<S> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.sink.on_sensor(sensor)
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.sink.on_group(group)
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.sink.on_scan(scan)
    }

    fn on_file(&mut self, file: &FileReport, aside: &Aside) -> Result<()> {
        self.sink.on_file(file, aside)
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.sink.on_window(totals)
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        OwnedMetrics::gather(&mut self.metrics, metrics);
        Ok(())
    }
}
