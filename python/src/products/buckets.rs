//! Buckets as batches.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use pcap_compactor::engine::{Builder, Progress};
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::buckets::BucketSink;
use pcap_compactor::sink::decided;
use pcap_compactor::sink::metrics::OwnedMetrics;
use pcap_compactor::sink::tables::buckets::{BucketRows, columns};
use pcap_compactor::sink::tables::schema::schema;
use pcap_compactor::sink::tables::{About, Style};
use pcap_compactor::time::length;
use pcap_compactor::views::buckets::{BucketCounts, BucketJob, Local, NARROWEST, Row, Settings, WIDEST};
use pcap_compactor::{Error, Result};
use pyo3::prelude::*;

use crate::errors::{OptionError, Problem, raised};
use crate::options::Options;
use crate::product::{Done, Outlet, Product};
use crate::reading::{Found, Sources, engine, expression, measure, packets, style};

/// Buckets, by some options.
pub(crate) struct Buckets {
    sources: Sources,
    job: BucketJob,
    engine: Builder,
    mono_origin: Option<i64>,
    sensors: bool,
    style: Style,
    about: About,
}

impl Buckets {
    pub(crate) fn of(sources: Sources, options: &Options<'_>) -> PyResult<Buckets> {
        if options.has("bridge_address")? {
            return Err(OptionError::new_err(
                "bridge_address is about a dialect; add dialect='bridge', or leave it out",
            ));
        }
        let usual = Settings::default();
        let width = |text: &String| {
            length(text).filter(|ns| (NARROWEST..=WIDEST).contains(ns)).ok_or_else(|| {
                OptionError::new_err(format!(
                    "every = '{text}': write a whole number and a unit, from 1us to 366d: 100ms, 1s, 10min, 1h, 1d"
                ))
            })
        };
        let every = options.texts("every")?.iter().map(width).collect::<PyResult<Vec<i64>>>()?;
        let settings_of = Settings {
            widths: if every.is_empty() { usual.widths } else { every },
            from_start: options.choice("align", &[("epoch", false), ("start", true)])?.unwrap_or(false),
            local: options.all::<Local>("local")?,
            bytes: measure(options)?.unwrap_or(usual.bytes),
            reorder: options.length("reorder", 6, "milliseconds: 1000 or 0.5")?.unwrap_or(usual.reorder),
            gap_limit: options.whole("gap_limit", 0, u64::MAX)?.unwrap_or(usual.gap_limit),
            clip: sources.range,
        };
        let wrong = |error: Error| raised(options.py(), &error);
        let mono_origin = options.number("mono_origin", "nanoseconds since 1970, a whole number")?;
        let filter = expression(options)?;
        let decided = decided::Buckets::new(&settings_of, mono_origin, packets(options, &filter)?);
        let about = About::new("buckets", None, &decided).map_err(wrong)?;
        Ok(Buckets {
            job: BucketJob::new(settings_of).map_err(wrong)?,
            engine: engine(options)?,
            mono_origin,
            sensors: options.flag("by_sensor")?,
            style: style(options)?,
            sources,
            about,
        })
    }

    fn rows(&self) -> BucketRows {
        BucketRows::new(self.mono_origin, self.sensors, self.style, &self.about)
    }
}

impl Product for Buckets {
    fn sources(&self) -> &Sources {
        &self.sources
    }

    fn schema(&self) -> SchemaRef {
        let columns = columns(self.sensors, self.mono_origin.is_some());
        Arc::new(schema(&columns, self.style, None, self.about.metadata()))
    }

    fn run(&self, found: &Found, progress: &Arc<Progress>, out: &Outlet) -> Result<Done> {
        let mut batches = Batches { out, rows: self.rows(), metrics: None };
        let mut done = Done::default();
        for unit in &found.units {
            let engine = self.engine.clone().progress(Arc::clone(progress));
            let job = self.job.clone().engine(engine).sensor(unit.sensor.clone());
            done.add_in_turn(&job.run(unit.inputs(), &mut batches)?);
        }
        out.rest(batches.rows.rows())?;
        let metrics = batches.metrics.ok_or_else(|| Error::sink("there was nothing to read"))?;
        let metrics = metrics.borrow();
        if metrics.counts.late > 0 {
            let message = format!(
                "{} packets came when their bucket had left; reorder says how long one waits",
                metrics.counts.late
            );
            done.problems.push(Problem { path: None, offset: None, message });
        }
        done.tell(&metrics);
        Ok(done)
    }
}

/// Gathers rows into batches.
struct Batches<'o> {
    out: &'o Outlet,
    rows: BucketRows,
    metrics: Option<OwnedMetrics<BucketCounts>>,
}

impl BucketSink for Batches<'_> {
    fn on_sensor(&mut self, sensor: Option<&str>) -> Result<()> {
        self.rows.turn_to(sensor);
        Ok(())
    }

    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.rows.push(row)?;
        self.out.full(self.rows.rows())
    }

    fn on_metrics(&mut self, metrics: &Metrics<BucketCounts>) -> Result<()> {
        OwnedMetrics::gather(&mut self.metrics, metrics);
        Ok(())
    }
}
