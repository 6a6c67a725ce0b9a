//! Products by the hour: the views of a run that does not end, and what takes their records.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::filtered::filtered;
use super::{Kind, Product, SCANS, TIMES};
use crate::config::Config;
use crate::engine::view::View;
use crate::error::Result;
use crate::filter::Filter;
use crate::scan::summary::ScanSummary;
use crate::sink::atomic::AtomicFile;
use crate::sink::buckets::{BucketSink, BucketWriter};
use crate::sink::csv;
use crate::sink::flows::{FlowSink, FlowWriter};
use crate::sink::jsonl::Lines;
use crate::sink::{Metrics, Sink};
use crate::time::Timestamp;
use crate::views::buckets::{BucketCounts, Buckets, Counts, Row, Settings as BucketSettings};
use crate::views::flows::{FlowCounts, FlowRecord, Flows, Settings as FlowSettings};
use crate::views::groups::{GroupRecord, Groups, WindowTotals, Windows};
use crate::watch::health::Health;
use crate::watch::hours::{Hours, Place, Placed};
use crate::watch::journal::{Journal, Written};
use crate::watch::output::Output;

/// A product of a sensor under way: what takes its records.
pub(in crate::watch) enum Making {
    Groups(Box<GroupHours>),
    Flows(Box<FlowHours>, Box<FlowSettings>, Filter),
    Buckets(Box<BucketHours>, BucketSettings),
}

impl Making {
    pub(in crate::watch) fn new(
        product: &Product,
        output: &Rc<Output>,
        sensor: &Arc<str>,
        journal: &Rc<Journal>,
        health: &Arc<Health>,
        config: &Config,
    ) -> Result<Making> {
        let extension = product.extension();
        let place = |product: String, extension| Place::new(output, (sensor, product, extension), journal, health);
        Ok(match &product.kind {
            Kind::Groups => {
                let (mut lines, mut rows) = (Lines::new(TIMES), csv::Rows::new(TIMES));
                lines.turn_to(sensor);
                rows.turn_to(sensor);
                Making::Groups(Box::new(GroupHours {
                    place: place(product.name(), extension)?,
                    scans_place: place(SCANS.into(), "jsonl")?,
                    csv: product.csv,
                    lines,
                    rows,
                    open: None,
                    groups: 0,
                    bytes: 0,
                    scans: Vec::new(),
                    scan_count: 0,
                }))
            }
            Kind::Flows(dialect) => {
                let (mut writer, settings, filter) = product.flow_writer(dialect.as_ref(), config, Vec::new());
                let header = std::mem::take(writer.written()?);
                let hours = Rc::new(RefCell::new(Hours::new(place(product.name(), extension)?, header)));
                Making::Flows(Box::new(FlowHours { hours, writer }), Box::new(settings), filter)
            }
            Kind::Buckets { width, .. } => {
                let (mut writer, settings) = product.bucket_writer(*width, config, sensor, Vec::new())?;
                let header = std::mem::take(writer.written()?);
                let hours = Rc::new(RefCell::new(Hours::new(place(product.name(), extension)?, header)));
                Making::Buckets(Box::new(BucketHours { hours, writer }), settings)
            }
        })
    }

    /// Its view.
    pub(in crate::watch) fn view<'m>(&'m mut self, config: &Config, sensor: &Arc<str>) -> Result<Box<dyn View + 'm>> {
        Ok(match self {
            Making::Groups(sink) => {
                Box::new(Groups::new(config, Windows::tumbling(config.window_seconds, None), &mut **sink)?)
            }
            Making::Flows(sink, settings, filter) => {
                let flows = Flows::new((**settings).clone(), Some(Arc::clone(sensor)), &mut **sink);
                if filter.is_open() { Box::new(flows) } else { Box::new(filtered(filter.clone(), flows)) }
            }
            Making::Buckets(sink, settings) => Box::new(Buckets::new(settings.clone(), &mut **sink)),
        })
    }

    /// Its hours, where rows have hours of their own.
    pub(in crate::watch) fn hours(&self) -> Option<Rc<RefCell<Hours>>> {
        match self {
            Making::Groups(_) => None,
            Making::Flows(sink, ..) => Some(Rc::clone(&sink.hours)),
            Making::Buckets(sink, _) => Some(Rc::clone(&sink.hours)),
        }
    }
}

/// Takes the groups of a sensor.
pub(in crate::watch) struct GroupHours {
    place: Place,
    scans_place: Place,
    csv: bool,
    lines: Lines,
    rows: csv::Rows,
    open: Option<AtomicFile>,
    groups: u64,
    bytes: u64,
    scans: Vec<u8>,
    scan_count: u64,
}

impl GroupHours {
    fn is_out(&self, end: Timestamp) -> bool {
        end.0 <= self.place.until()
    }

    fn start(&mut self, hour: Timestamp) -> Result<AtomicFile> {
        let mut file = self.place.create(&self.place.of_hour(hour.0))?;
        if self.csv {
            let header = csv::header();
            self.bytes += header.len() as u64;
            file.append(|out| out.extend_from_slice(header.as_bytes()))?;
        }
        Ok(file)
    }
}

impl Sink for GroupHours {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        if self.is_out(group.window.end) {
            return Ok(());
        }
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.start(group.window.start)?,
        };
        let GroupHours { lines, rows, bytes, .. } = self;
        file.append(|out| {
            let from = out.len();
            if self.csv {
                rows.row(group, out)
            } else {
                lines.group(group, out)
            }
            *bytes += (out.len() - from) as u64;
        })?;
        self.groups += 1;
        self.open = Some(file);
        Ok(())
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        if !self.is_out(scan.window.end) {
            self.lines.scan(scan, &mut self.scans);
            self.scan_count += 1;
        }
        Ok(())
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        let (start, end) = (totals.window.start, totals.window.end);
        if self.is_out(end) {
            return Ok(());
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => self.start(start)?,
        };
        let path = self.scans_place.of_hour(start.0);
        let scans = std::mem::take(&mut self.scans);
        self.scans_place.write_whole(&path, &scans)?;
        file.commit()?;
        let rows = std::mem::take(&mut self.scan_count);
        let written = Written { path, hour: start, bytes: scans.len() as u64, rows };
        self.scans_place.commit(end.0, end.0, Some(&written))?;
        let (rows, bytes) = (std::mem::take(&mut self.groups), std::mem::take(&mut self.bytes));
        let written = Written { path: self.place.of_hour(start.0), hour: start, bytes, rows };
        self.place.commit(end.0, end.0, Some(&written))
    }

    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}

/// Takes the flows of a sensor.
pub(in crate::watch) struct FlowHours {
    hours: Rc<RefCell<Hours>>,
    writer: FlowWriter<Vec<u8>>,
}

impl FlowSink for FlowHours {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.writer.on_flow(flow)?;
        let row = std::mem::take(self.writer.written()?);
        let (time, order) = (flow.last_ts.0, flow.first_ts.0);
        self.hours.borrow_mut().row(Placed { time, order, is_empty: false, text: row })
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

/// Takes the buckets of a sensor.
pub(in crate::watch) struct BucketHours {
    hours: Rc<RefCell<Hours>>,
    writer: BucketWriter<Vec<u8>>,
}

impl BucketSink for BucketHours {
    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.writer.on_bucket(row)?;
        let text = std::mem::take(self.writer.written()?);
        let (time, is_empty) = (row.start.0, row.counts == Counts::default());
        self.hours.borrow_mut().row(Placed { time, order: time, is_empty, text })
    }

    fn on_metrics(&mut self, _: &Metrics<BucketCounts>) -> Result<()> {
        Ok(())
    }
}
