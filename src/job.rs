//! The main job whole: captures in; groups, scans and metrics out.

use crate::config::Config;
use crate::engine::view::View;
use crate::engine::{Builder, Engine, Input, Report};
use crate::error::Result;
use crate::sink::{Metrics, Sink};
use crate::views::groups::{Groups, Window, Windows};

/// A run of the groups view.
#[derive(Clone, Debug)]
pub struct Job {
    config: Config,
    engine: Builder,
    clip: Option<Window>,
    single: bool,
    sensor: Option<String>,
}

impl Job {
    /// A job on one thread, over everything that the inputs hold.
    #[must_use]
    pub fn new(config: Config) -> Job {
        Job { config, engine: Engine::builder(), clip: None, single: false, sensor: None }
    }

    /// How the engine runs.
    #[must_use]
    pub fn engine(mut self, engine: Builder) -> Job {
        self.engine = engine;
        self
    }

    /// Only packets of this time range; windows are clipped to it.
    #[must_use]
    pub fn clip(mut self, clip: Option<Window>) -> Job {
        self.clip = clip;
        self
    }

    /// Only packets of this time range, as one window whatever its length.
    #[must_use]
    pub fn single_window(mut self, window: Window) -> Job {
        self.clip = Some(window);
        self.single = true;
        self
    }

    /// Names the sensor in the metrics.
    #[must_use]
    pub fn sensor(mut self, sensor: Option<String>) -> Job {
        self.sensor = sensor;
        self
    }

    /// Runs it: records go to `sink`, the metrics last.
    ///
    /// # Errors
    /// A configuration out of its bounds, a sink's error, a stop that was asked for, or a ledger that does not balance.
    /// An input that cannot be read is no error: the others are finished, and [`Report::failed`] lists it.
    pub fn run(&self, inputs: Vec<Input>, sink: &mut dyn Sink) -> Result<Report> {
        self.run_beside(inputs, sink, &mut [])
    }

    /// As [`Job::run`], with other views beside the groups, in the same pass.
    ///
    /// # Errors
    /// As [`Job::run`].
    pub fn run_beside(&self, inputs: Vec<Input>, sink: &mut dyn Sink, others: &mut [&mut dyn View]) -> Result<Report> {
        let windows = match self.clip {
            Some(window) if self.single => Windows::single(window),
            clip => Windows::tumbling(self.config.window_seconds, clip),
        };
        let segments_seen = inputs.len() as u64;
        let mut groups = Groups::new(&self.config, windows, sink)?;
        let mut views: Vec<&mut dyn View> = vec![&mut groups];
        views.extend(others.iter_mut().map(|view| &mut **view as &mut dyn View));
        let report = self.engine.clone().build().run(inputs, &mut views)?;
        let (outcome, counts) = (groups.outcome(), groups.counts());
        let sensor = self.sensor.as_deref();
        sink.on_metrics(&Metrics { segments_seen, report: &report, outcome, counts, sensor })?;
        Ok(report)
    }
}
