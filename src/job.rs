//! The main job whole: captures in; groups, scans and metrics out.

use crate::config::Config;
use crate::engine::ledger::{Amount, Outcome, balance};
use crate::engine::view::View;
use crate::engine::{Builder, Engine, FileReport, Input, Report};
use crate::error::Result;
use crate::sink::{Metrics, Sink};
use crate::views::groups::{Aside, GroupCounts, Groups, Window, WindowTotals, Windows};

/// A run of the groups view.
#[derive(Clone, Debug)]
pub struct Job {
    config: Config,
    engine: Builder,
    clip: Option<Window>,
    single: bool,
    sensor: Option<String>,
    finished: Finished,
}

/// What earlier runs of the same job have finished, and this one takes over instead of doing it again.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Windows whose records are out, with what they held.
    pub windows: Vec<WindowTotals>,
    /// Files that need not be read again, since all their packets are in those windows or in none.
    pub files: Vec<(FileReport, Aside)>,
}

impl Job {
    /// A job on one thread, over everything that the inputs hold.
    #[must_use]
    pub fn new(config: Config) -> Job {
        Job {
            config,
            engine: Engine::builder(),
            clip: None,
            single: false,
            sensor: None,
            finished: Finished::default(),
        }
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

    /// Names the sensor, to the sink and in the metrics. Several sensors are as many jobs, into one sink each or all into one
    /// ([`Runs`](crate::sink::runs::Runs)).
    #[must_use]
    pub fn sensor(mut self, sensor: Option<String>) -> Job {
        self.sensor = sensor;
        self
    }

    /// Takes over what earlier runs have finished: their windows are not emitted again, and the metrics count them in.
    #[must_use]
    pub fn finished(mut self, finished: Finished) -> Job {
        self.finished = finished;
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
        if let Some(sensor) = &self.sensor {
            sink.on_sensor(sensor)?;
        }
        let segments_seen = (inputs.len() + self.finished.files.len()) as u64;
        let done = self.finished.windows.iter().map(|totals| totals.window).collect();
        let mut groups = Groups::new(&self.config, windows, sink)?.without(done);
        let mut views: Vec<&mut dyn View> = vec![&mut groups];
        views.extend(others.iter_mut().map(|view| &mut **view as &mut dyn View));
        let mut report = self.engine.clone().build().run(inputs, &mut views)?;
        let (mut outcome, mut counts, seen_again) = (groups.outcome(), groups.counts(), groups.done());
        self.take_over(seen_again, &mut report, &mut outcome, &mut counts)?;
        for file in &mut report.files {
            file.sensor.clone_from(&self.sensor);
        }
        let sensor = self.sensor.as_deref();
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

    /// Adds what earlier runs finished, and checks that it is the same packets: those that were read again and those of
    /// files that were not must add up to what the finished windows held.
    fn take_over(
        &self,
        seen_again: Amount,
        report: &mut Report,
        outcome: &mut Outcome,
        counts: &mut GroupCounts,
    ) -> Result<()> {
        let mut of_finished = seen_again;
        let mut held = Amount::default();
        for (file, aside) in &self.finished.files {
            of_finished += file.tally.intake.accepted - aside.out_of_window - aside.late;
            outcome.out_of_window += aside.out_of_window;
            outcome.late += aside.late;
            report.total.merge(&file.tally);
            report.files.push(file.clone());
        }
        report.files.sort_by(|a, b| a.path.cmp(&b.path));
        for totals in &self.finished.windows {
            held += totals.outcome.kept;
            held += totals.outcome.collapsed;
            *outcome += totals.outcome;
            *counts += totals.counts;
        }
        balance("what earlier runs finished", held, &[of_finished])
    }
}
