//! A run of the buckets view whole: captures in; rows and metrics out.

use super::{Buckets, Settings};
use crate::engine::view::View;
use crate::engine::{Builder, Engine, Input, Report};
use crate::error::Result;
use crate::sink::Metrics;
use crate::sink::buckets::BucketSink;

/// A run of the buckets view.
#[derive(Clone, Debug)]
pub struct BucketJob {
    settings: Settings,
    engine: Builder,
    sensor: Option<String>,
}

impl BucketJob {
    /// A job on one thread.
    ///
    /// # Errors
    /// As [`Settings::check`].
    pub fn new(settings: Settings) -> Result<BucketJob> {
        settings.check()?;
        Ok(BucketJob { settings, engine: Engine::builder(), sensor: None })
    }

    /// How the engine runs.
    #[must_use]
    pub fn engine(mut self, engine: Builder) -> BucketJob {
        self.engine = engine;
        self
    }

    /// Whose captures these are, where sensors run apart.
    #[must_use]
    pub fn sensor(mut self, sensor: Option<String>) -> BucketJob {
        self.sensor = sensor;
        self
    }

    /// Runs it: rows go to `sink`, the metrics last.
    ///
    /// # Errors
    /// A sink's error, a stop that was asked for, or a ledger that does not balance. An input that cannot be read is no
    /// error: the others are finished, and [`Report::failed`] lists it.
    pub fn run(&self, inputs: Vec<Input>, sink: &mut dyn BucketSink) -> Result<Report> {
        let segments_seen = inputs.len() as u64;
        sink.on_sensor(self.sensor.as_deref())?;
        let mut buckets = Buckets::new(self.settings.clone(), sink);
        let mut report = self.engine.clone().build().run(inputs, &mut [&mut buckets as &mut dyn View])?;
        let (outcome, counts) = (buckets.outcome(), buckets.counts());
        for file in &mut report.files {
            file.sensor.clone_from(&self.sensor);
        }
        sink.on_metrics(&Metrics {
            segments_seen,
            files: &report.files,
            total: &report.total,
            outcome,
            counts,
            sensor: self.sensor.as_deref(),
        })?;
        Ok(report)
    }
}
