//! Rows of the bridge as batches.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use pcap_compactor::Result;
use pcap_compactor::capture::Io;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::bridge::BridgeSink;
use pcap_compactor::sink::decided;
use pcap_compactor::sink::tables::bridge::{BridgeRows, columns};
use pcap_compactor::sink::tables::schema::schema;
use pcap_compactor::sink::tables::{About, Style};
use pcap_compactor::time::length;
use pcap_compactor::views::buckets::bridge::{self, Row, Settings};
use pyo3::prelude::*;

use crate::errors::{OptionError, Problem, raised};
use crate::options::Options;
use crate::product::{Done, Outlet, Product};
use crate::reading::{Found, Sources, io};

/// What the bridge's rows cannot be told.
const OF_DIALECT: [&str; 16] = [
    "align",
    "local",
    "reorder",
    "times",
    "addresses",
    "bytes",
    "root",
    "by_sensor",
    "from_",
    "to",
    "hour",
    "tunnels",
    "dedup",
    "filter",
    "no_pure_acks",
    "no_rst",
];

/// Rows of the bridge, by some options.
pub(crate) struct Bridge {
    sources: Sources,
    settings: Settings,
    io: Io,
    about: About,
}

impl Bridge {
    pub(crate) fn of(sources: Sources, options: &Options<'_>) -> PyResult<Bridge> {
        options.choice("dialect", &[("bridge", ())])?;
        for option in OF_DIALECT {
            if options.has(option)? {
                return Err(OptionError::new_err(format!("dialect 'bridge' takes no {option}; leave it out")));
            }
        }
        let usual = Settings::default();
        let bucket_ms = match &options.texts("every")?[..] {
            [] => Some(usual.bucket_ms),
            [width] => length(width).and_then(Settings::width),
            _ => None,
        };
        let settings = Settings {
            bucket_ms: bucket_ms.ok_or_else(|| {
                let widths = Settings::WIDTHS;
                OptionError::new_err(format!("dialect 'bridge' has one width, of {widths}, as every = '100ms'"))
            })?,
            bridge: options.read("bridge_address")?.unwrap_or(usual.bridge),
            mono_origin: options
                .number("mono_origin", "nanoseconds since 1970, a whole number")?
                .unwrap_or(usual.mono_origin),
            gap_limit: options.whole("gap_limit", 0, u64::MAX)?.unwrap_or(usual.gap_limit),
        };
        let decided = decided::Bridge::from(&settings);
        let about = About::new("buckets", Some("bridge"), &decided).map_err(|error| raised(options.py(), &error))?;
        Ok(Bridge { sources, settings, io: io(options)?, about })
    }
}

impl Product for Bridge {
    fn sources(&self) -> &Sources {
        &self.sources
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(schema(&columns(), Style::default(), self.about.dialect, self.about.metadata()))
    }

    fn run(&self, found: &Found, progress: &Arc<Progress>, out: &Outlet) -> Result<Done> {
        let mut batches = Batches { out, rows: BridgeRows::new(&self.about) };
        let inputs = found.units.iter().flat_map(|unit| unit.inputs()).collect();
        let (report, counts) = bridge::run(self.settings, inputs, self.io, progress, &mut batches)?;
        out.rest(batches.rows.rows())?;
        let mut done = Done::default();
        done.add(&report);
        if counts.left_out > 0 {
            let message = format!(
                "{} empty buckets are left out, in gaps longer than gap_limit; raise it to have them",
                counts.left_out
            );
            done.problems.push(Problem { path: None, offset: None, message });
        }
        done.tell(&bridge::metrics(&report, counts));
        Ok(done)
    }
}

/// Gathers rows into batches.
struct Batches<'o> {
    out: &'o Outlet,
    rows: BridgeRows,
}

impl BridgeSink for Batches<'_> {
    fn on_row(&mut self, row: &Row) -> Result<()> {
        self.rows.push(row)?;
        self.out.full(self.rows.rows())
    }
}
