//! Groups and scan summaries as batches.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use pcap_compactor::config::Backpressure;
use pcap_compactor::engine::{Builder, Progress};
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::decided;
use pcap_compactor::sink::runs::Runs;
use pcap_compactor::sink::tables::groups::{RecordRows, group_columns, scan_columns};
use pcap_compactor::sink::tables::schema::schema;
use pcap_compactor::sink::tables::{About, Style};
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::views::groups::GroupRecord;
use pcap_compactor::{Config, Job, Result};
use pyo3::prelude::*;

use crate::errors::{OptionError, Problem, raised};
use crate::options::Options;
use crate::product::{Done, Outlet, Product};
use crate::reading::{Found, Sources, config, engine, expression, packets, style};

/// Which records leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Groups,
    Scans,
}

/// Groups or scan summaries, by some options.
pub(crate) struct Groups {
    sources: Sources,
    which: Which,
    config: Config,
    engine: Builder,
    single: bool,
    style: Style,
    about: About,
}

impl Groups {
    pub(crate) fn of(which: Which, sources: Sources, options: &Options<'_>) -> PyResult<Groups> {
        let config = config(options)?;
        if config.emitter_backpressure_policy == Backpressure::DropOldest {
            return Err(OptionError::new_err(
                "drop_oldest is for output that cannot wait; a table can: leave emitter_backpressure_policy at block",
            ));
        }
        let single = options.flag("single_window")?;
        if single && !(options.has("hour")? || options.has("from_")? && options.has("to")?) {
            return Err(OptionError::new_err("single_window needs from_ and to, or hour"));
        }
        let lateness = options.whole("lateness", 0, u64::from(u32::MAX))?;
        let lateness = lateness.map(|seconds| seconds.cast_signed() * 1_000_000_000);
        let filter = expression(options)?;
        let decided = decided::Groups::new(&config, (sources.range, single), lateness, packets(options, &filter)?);
        let about = About::new("groups", None, &decided).map_err(|error| raised(options.py(), &error))?;
        let engine = engine(options)?.lateness_ns(lateness);
        Ok(Groups { sources, which, config, engine, single, style: style(options)?, about })
    }

    fn about(&self, product: &'static str) -> About {
        About { product, ..self.about.clone() }
    }
}

impl Product for Groups {
    fn sources(&self) -> &Sources {
        &self.sources
    }

    fn schema(&self) -> SchemaRef {
        let (columns, product) = match self.which {
            Which::Groups => (group_columns(), "groups"),
            Which::Scans => (scan_columns(), "scans"),
        };
        Arc::new(schema(&columns, self.style, None, self.about(product).metadata()))
    }

    fn run(&self, found: &Found, progress: &Arc<Progress>, out: &Outlet) -> Result<Done> {
        let batches = Batches {
            out,
            which: self.which,
            groups: RecordRows::groups(self.style, &self.about("groups")),
            scans: RecordRows::scans(self.style, &self.about("scans")),
            done: Done::default(),
        };
        let mut runs = Runs::new(batches);
        let mut reports = Vec::new();
        for unit in &found.units {
            let job = Job::new(self.config.clone())
                .engine(self.engine.clone().progress(Arc::clone(progress)))
                .sensor(unit.sensor.clone());
            let job = match self.sources.range {
                Some(range) if self.single => job.single_window(range),
                range => job.clip(range),
            };
            reports.push(job.run(unit.inputs(), &mut runs)?);
        }
        let mut done = runs.finish()?.done;
        reports.iter().for_each(|report| done.add(report));
        Ok(done)
    }
}

/// Gathers records into batches.
struct Batches<'o> {
    out: &'o Outlet,
    which: Which,
    groups: RecordRows<GroupRecord>,
    scans: RecordRows<ScanSummary>,
    done: Done,
}

impl Sink for Batches<'_> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.groups.turn_to(sensor);
        self.scans.turn_to(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        if self.which == Which::Scans {
            return Ok(());
        }
        self.groups.push(group)?;
        self.out.full(self.groups.rows())
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.scans.push(scan)?;
        let rows = self.scans.rows();
        match self.which {
            Which::Scans => self.out.full(rows)?,
            Which::Groups if rows.is_full() => self.done.scans.push(rows.take()?),
            Which::Groups => {}
        }
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        self.out.rest(self.groups.rows())?;
        let rows = self.scans.rows();
        match self.which {
            Which::Scans => self.out.rest(rows)?,
            Which::Groups if !rows.is_empty() => self.done.scans.push(rows.take()?),
            Which::Groups => {}
        }
        let late = metrics.outcome.late.packets;
        if late > 0 {
            let message =
                format!("{late} packets are late: their hour ended before their own file began; sort that file first");
            self.done.problems.push(Problem { path: None, offset: None, message });
        }
        self.done.tell(metrics);
        Ok(())
    }
}
