//! Products by the hour: the views of a run that does not end, and what takes their records.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::filtered::filtered;
use super::page::{Page, Pen};
use super::told::of_hour;
use super::{Format, Kind, Product, SCANS};
use crate::config::Config;
use crate::engine::view::View;
use crate::error::Result;
use crate::filter::Filter;
use crate::scan::summary::ScanSummary;
use crate::sink::atomic::AtomicFile;
use crate::sink::buckets::{BucketSink, BucketWriter};
use crate::sink::flows::{FlowSink, FlowWriter};
#[cfg(feature = "tables")]
use crate::sink::tables;
use crate::sink::{Metrics, Sink};
use crate::time::NS_PER_SECOND;
use crate::views::buckets::{BucketCounts, Buckets, Counts, Row, Settings as BucketSettings};
#[cfg(feature = "tables")]
use crate::views::flows::Columns;
use crate::views::flows::{FlowCounts, FlowRecord, Flows, Settings as FlowSettings};
use crate::views::groups::{GroupRecord, Groups, Window, WindowTotals, Windows};
use crate::watch::hours::{Hourly, Hours, Layout, Placed};
use crate::watch::journal::Written;
use crate::watch::outlet::{Outlet, Place};
use crate::watch::punctual::{Late, punctual};
use crate::watch::spans::HOUR;
use crate::watch::standing::{Standing, told};

/// A product of a sensor under way: what takes its records.
pub(in crate::watch) struct Making {
    product: Arc<str>,
    pub(in crate::watch) records: Records,
}

/// What takes records.
pub(in crate::watch) enum Records {
    Groups(Box<GroupHours>),
    Flows(Box<FlowHours>, Box<FlowSettings>, Filter),
    Buckets(Box<BucketHours>, BucketSettings),
}

impl Making {
    pub(in crate::watch) fn new(product: &Product, outlet: &Rc<Outlet>, config: &Config) -> Result<Making> {
        let sensor = &outlet.sensor;
        let hours = |layout| -> Result<_> {
            let place = Place::new(outlet, product.name(), product.extension(), HOUR)?;
            Ok(Rc::new(RefCell::new(Hours::new(place, layout))))
        };
        let records = match &product.kind {
            Kind::Groups => {
                let window = i64::try_from(config.window_seconds).unwrap_or(i64::MAX).saturating_mul(NS_PER_SECOND);
                let pages = |product: String, extension| Place::new(outlet, product, extension, window);
                Records::Groups(Box::new(GroupHours {
                    standing: Arc::default(),
                    pen: Pen::new(product, config, sensor)?,
                    groups: Pages::new(pages(product.name(), product.extension())?),
                    scans: Pages::new(pages(SCANS.into(), product.scans_extension())?),
                }))
            }
            Kind::Flows(dialect) => {
                let (settings, filter) = super::flows(dialect.as_ref(), config);
                let (rows, layout) = match product.format {
                    Format::Jsonl | Format::Csv => {
                        let mut writer = product.flow_writer(dialect.as_ref(), &settings, Vec::new());
                        let header = std::mem::take(writer.written()?);
                        (FlowRows::Text(Box::new(writer)), Layout::Text(header))
                    }
                    #[cfg(feature = "tables")]
                    Format::Table(form) => {
                        let columns = settings.columns.clone();
                        let layout = Layout::Table(form, columns.list(), product.about(config)?);
                        (FlowRows::Packed(columns), layout)
                    }
                };
                Records::Flows(Box::new(FlowHours { hours: hours(layout)?, rows }), Box::new(settings), filter)
            }
            Kind::Buckets { width, .. } => {
                let (rows, layout) = match product.format {
                    Format::Jsonl | Format::Csv => {
                        let mut writer = product.bucket_writer(sensor, Vec::new())?;
                        let header = std::mem::take(writer.written()?);
                        (BucketRows::Text(Box::new(writer)), Layout::Text(header))
                    }
                    #[cfg(feature = "tables")]
                    Format::Table(form) => {
                        let layout = Layout::Table(form, tables::buckets::columns(true, false), product.about(config)?);
                        (BucketRows::Packed(Arc::clone(sensor)), layout)
                    }
                };
                Records::Buckets(Box::new(BucketHours { hours: hours(layout)?, rows }), super::buckets(*width, config))
            }
        };
        Ok(Making { product: product.name().into(), records })
    }

    /// Its view, which tells `late` of packets that no record has. Whether packets come late is asked of those that the product is made of.
    pub(in crate::watch) fn view<'m>(
        &'m mut self,
        config: &Config,
        sensor: &Arc<str>,
        late: &Arc<Late>,
    ) -> Result<Box<dyn View + 'm>> {
        let Making { product, records } = self;
        Ok(match records {
            Records::Groups(sink) => {
                let standing = Arc::clone(&sink.standing);
                let groups = Groups::new(config, Windows::tumbling(config.window_seconds, None), &mut **sink)?;
                Box::new(told(groups, 1, &standing))
            }
            Records::Flows(sink, settings, filter) => {
                let standing = Arc::clone(sink.hours.borrow().standing());
                let flows = Flows::new((**settings).clone(), Some(Arc::clone(sensor)), &mut **sink);
                let flows = punctual(told(flows, 1, &standing), product, late);
                if filter.is_open() { Box::new(flows) } else { Box::new(filtered(filter.clone(), flows)) }
            }
            Records::Buckets(sink, settings) => {
                let standing = Arc::clone(sink.hours.borrow().standing());
                let width = settings.widths.iter().copied().max().unwrap_or(1);
                let buckets = told(Buckets::new(settings.clone(), &mut **sink), width, &standing);
                Box::new(punctual(buckets, product, late))
            }
        })
    }

    /// Its hours.
    pub(in crate::watch) fn hours(&self) -> Hourly {
        match &self.records {
            Records::Groups(sink) => {
                let GroupHours { standing, groups, scans, .. } = &**sink;
                Hourly::Windows(Arc::clone(standing), [groups.place.clone(), scans.place.clone()])
            }
            Records::Flows(sink, ..) => Hourly::Rows(Rc::clone(&sink.hours)),
            Records::Buckets(sink, _) => Hourly::Rows(Rc::clone(&sink.hours)),
        }
    }
}

/// The files of windows of a product, one after the other.
struct Pages<R: 'static> {
    place: Place,
    open: Option<Page<R>>,
    rows: u64,
}

impl<R> Pages<R> {
    fn new(place: Place) -> Pages<R> {
        Pages { place, open: None, rows: 0 }
    }

    fn is_out(&self, window: Window) -> bool {
        window.end.0 <= self.place.until()
    }

    /// Begins the file of a window with what `begin` makes of it, or goes on with it.
    fn page(&mut self, window: Window, begin: impl FnOnce(AtomicFile) -> Result<Page<R>>) -> Result<&mut Page<R>> {
        let page = match self.open.take() {
            Some(page) => page,
            None => begin(self.place.create(window.start.0)?)?,
        };
        Ok(self.open.insert(page))
    }

    /// Makes the file of a window visible, if it has begun and none lies there that stays.
    fn show(&mut self, window: Window) -> Result<Option<Written>> {
        let Some(page) = self.open.take() else { return Ok(None) };
        let (path, rows) = (self.place.of_hour(window.start.0), std::mem::take(&mut self.rows));
        if self.place.stays(window.start.0)? {
            self.place.left_out(window.start.0, rows);
            return Ok(None);
        }
        let bytes = page.end(of_hour(&self.place.outlet().sensor, window.start))?.commit()?.length();
        Ok(Some(Written { path, hour: window.start, bytes, rows }))
    }
}

/// Takes the groups of a sensor.
pub(in crate::watch) struct GroupHours {
    standing: Arc<Standing>,
    pen: Pen,
    groups: Pages<GroupRecord>,
    scans: Pages<ScanSummary>,
}

impl Sink for GroupHours {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        let GroupHours { pen, groups, .. } = self;
        if groups.is_out(group.window) {
            return Ok(());
        }
        groups.rows += 1;
        groups.page(group.window, |file| pen.groups(file))?.put(group, pen)
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        let GroupHours { pen, groups, scans, .. } = self;
        // As long as its groups are not out, its file is made again whole.
        if groups.is_out(scan.window) {
            return Ok(());
        }
        scans.rows += 1;
        scans.page(scan.window, |file| pen.scans(file))?.put(scan, pen)
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        let window = totals.window;
        let GroupHours { pen, groups, scans, .. } = self;
        if groups.is_out(window) {
            return Ok(());
        }
        // A window without records has files, too.
        groups.page(window, |file| pen.groups(file))?;
        scans.page(window, |file| pen.scans(file))?;
        let of_scans = scans.show(window)?;
        let of_groups = groups.show(window)?;
        let end = window.end.0;
        scans.place.commit(end, end, of_scans.as_ref())?;
        groups.place.commit(end, end, of_groups.as_ref())
    }

    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}

/// What makes flows rows.
enum FlowRows {
    Text(Box<FlowWriter<Vec<u8>>>),
    #[cfg(feature = "tables")]
    Packed(Columns),
}

/// Takes the flows of a sensor.
pub(in crate::watch) struct FlowHours {
    hours: Rc<RefCell<Hours>>,
    rows: FlowRows,
}

impl FlowSink for FlowHours {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        let row = match &mut self.rows {
            FlowRows::Text(writer) => {
                writer.on_flow(flow)?;
                std::mem::take(writer.written()?)
            }
            #[cfg(feature = "tables")]
            FlowRows::Packed(columns) => tables::flows::packed(columns, flow),
        };
        let (time, order) = (flow.last_ts.0, flow.first_ts.0);
        self.hours.borrow_mut().row(Placed { time, order, is_empty: false, row })
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

/// What makes buckets rows.
enum BucketRows {
    Text(Box<BucketWriter<Vec<u8>>>),
    #[cfg(feature = "tables")]
    Packed(Arc<str>),
}

/// Takes the buckets of a sensor.
pub(in crate::watch) struct BucketHours {
    hours: Rc<RefCell<Hours>>,
    rows: BucketRows,
}

impl BucketSink for BucketHours {
    fn on_bucket(&mut self, bucket: &Row) -> Result<()> {
        let row = match &mut self.rows {
            BucketRows::Text(writer) => {
                writer.on_bucket(bucket)?;
                std::mem::take(writer.written()?)
            }
            #[cfg(feature = "tables")]
            BucketRows::Packed(sensor) => tables::buckets::packed(sensor, bucket),
        };
        let (time, is_empty) = (bucket.start.0, bucket.counts == Counts::default());
        self.hours.borrow_mut().row(Placed { time, order: time, is_empty, row })
    }

    fn on_metrics(&mut self, _: &Metrics<BucketCounts>) -> Result<()> {
        Ok(())
    }
}
