//! A run of the flows view whole: captures in; flows and metrics out.

use std::sync::Arc;

use super::{Flows, Settings};
use crate::engine::view::View;
use crate::engine::{Builder, Engine, Input, Report};
use crate::error::Result;
use crate::sink::Metrics;
use crate::sink::flows::FlowSink;

/// A run of the flows view.
#[derive(Clone, Debug)]
pub struct FlowJob {
    settings: Settings,
    engine: Builder,
    sensor: Option<Arc<str>>,
    apart: bool,
}

impl FlowJob {
    /// A job on one thread.
    #[must_use]
    pub fn new(settings: Settings) -> FlowJob {
        FlowJob { settings, engine: Engine::builder(), sensor: None, apart: false }
    }

    /// How the engine runs.
    #[must_use]
    pub fn engine(mut self, engine: Builder) -> FlowJob {
        self.engine = engine;
        self
    }

    /// What records say of where they were seen; `apart` also puts it into the metrics, where sensors run apart.
    #[must_use]
    pub fn sensor(mut self, sensor: Option<&str>, apart: bool) -> FlowJob {
        self.sensor = sensor.map(Arc::from);
        self.apart = apart;
        self
    }

    /// Runs it: records go to `sink`, the metrics last.
    ///
    /// # Errors
    /// A sink's error, a stop that was asked for, or a ledger that does not balance. An input that cannot be read is no
    /// error: the others are finished, and [`Report::failed`] lists it.
    pub fn run(&self, inputs: Vec<Input>, sink: &mut dyn FlowSink) -> Result<Report> {
        let segments_seen = inputs.len() as u64;
        let mut flows = Flows::new(self.settings.clone(), self.sensor.clone(), sink);
        let mut report = self.engine.clone().build().run(inputs, &mut [&mut flows as &mut dyn View])?;
        let (outcome, counts) = (flows.outcome(), flows.counts());
        let sensor = self.sensor.as_deref().filter(|_| self.apart);
        for file in &mut report.files {
            file.sensor = sensor.map(str::to_owned);
        }
        sink.on_metrics(&Metrics {
            segments_seen,
            files: &report.files,
            total: &report.total,
            outcome,
            counts,
            sensor,
        })?;
        Ok(report)
    }
}
