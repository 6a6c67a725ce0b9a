//! Records of a capture by itself, as the commands make them of it: a flow that goes on in the next capture is cut at this one's end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::filtered::filtered;
use super::page::{Page, Pen};
use super::told::{Told, of_capture};
use super::{Format, Kind, Product, SCANS};
use crate::capture::Status;
use crate::config::Config;
use crate::engine::view::View;
use crate::engine::{Engine, FileReport, Input, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::scan::summary::ScanSummary;
use crate::sink::atomic::AtomicFile;
use crate::sink::buckets::{BucketSink, BucketWriter};
use crate::sink::flows::{FlowSink, FlowWriter};
#[cfg(feature = "tables")]
use crate::sink::tables::{Style, TableFile, buckets::BucketRows, flows::FlowRows};
use crate::sink::{Metrics, Sink};
use crate::time::Timestamp;
use crate::views::buckets::{BucketCounts, Buckets, Row, Settings as BucketSettings};
use crate::views::flows::{FlowCounts, FlowRecord, Flows, Settings as FlowSettings};
use crate::views::groups::{GroupRecord, Groups, Windows};
use crate::watch::Settings;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::Written;
use crate::watch::output::Output;

/// What became of a capture.
pub(in crate::watch) struct Made {
    pub(in crate::watch) report: FileReport,
    /// The files that were written, with their products.
    pub(in crate::watch) files: Vec<(String, Written)>,
}

/// Reads a capture once, and writes what all products by the capture have of it, in place of what is there; `before` is called when files
/// are about to appear. Of a file without bytes nothing is written.
///
/// The inner error is the capture's: it cannot be read to an end, so nothing is written.
pub(in crate::watch) fn make(
    settings: &Settings,
    output: &Output,
    arrival: &Arrival,
    progress: &Arc<Progress>,
    before: impl FnOnce() -> Result<()>,
) -> Result<std::result::Result<Made, Error>> {
    let sensor: Arc<str> = arrival.sensor.as_str().into();
    let mut sheets = Vec::new();
    for product in settings.products.iter().filter(|product| product.is_by_capture()) {
        sheets.push(Sheet::new(product, (settings, output), arrival, &sensor)?);
    }
    let mut views = Vec::new();
    for sheet in &mut sheets {
        views.push(sheet.view(&settings.config, &sensor)?);
    }
    let mut all: Vec<&mut dyn View> = views.iter_mut().map(|view| &mut **view as &mut dyn View).collect();
    let engine = Engine::builder().progress(Arc::clone(progress)).build();
    let mut ran = engine.run(vec![Input::file(&arrival.path)], &mut all)?;
    drop(views);
    if let Some(error) = ran.failed.pop() {
        return Ok(Err(error));
    }
    let Some(report) = ran.files.pop() else {
        return Err(ErrorKind::Invariant("a capture that was read has no report".into()).into());
    };
    let mut files = Vec::new();
    if report.capture.status != Status::Empty {
        let first = report.capture.first_time.unwrap_or(Timestamp(0));
        before()?;
        for sheet in sheets {
            sheet.commit(first, &mut files)?;
        }
    }
    Ok(Ok(Made { report, files }))
}

/// A name less `.pcap`. Other endings stay, so `a.pcap`, `a.pcapng` and `a.pcap1` have records of their own.
fn stem(name: &OsStr) -> Option<&OsStr> {
    let path = Path::new(name);
    path.extension().filter(|end| *end == "pcap").and(path.file_stem())
}

/// Where the records of a capture lie in the folder of each product, without their ending: as it lies in its sensor's folder. Captures may have the
/// same: `x` and `x.pcap`, or `x.pcap` and `local/x.pcap`.
pub(in crate::watch) fn place(folder: &Path, arrival: &Arrival) -> PathBuf {
    let within = arrival.path.strip_prefix(folder).unwrap_or(&arrival.path);
    let mut parts: Vec<_> = within.iter().collect();
    let name = parts.pop().unwrap_or_default();
    // The first folder is the sensor.
    let folders: PathBuf = parts.into_iter().skip(1).collect();
    Path::new(&arrival.sensor).join(folders).join(stem(name).unwrap_or(name))
}

/// The files of all products at a place, from the output's folder on.
pub(in crate::watch) fn files(settings: &Settings, place: &Path) -> Vec<PathBuf> {
    let products = settings.products.iter().filter(|product| product.is_by_capture());
    let of_product = |product: &Product| {
        let scans = matches!(product.kind, Kind::Groups).then(|| file(SCANS, product.scans_extension(), place));
        [file(&product.name(), product.extension(), place)].into_iter().chain(scans)
    };
    products.flat_map(of_product).collect()
}

fn file(product: &str, extension: &str, place: &Path) -> PathBuf {
    let mut file = Path::new(product).join(place).into_os_string();
    file.push(".");
    file.push(extension);
    file.into()
}

/// A file under way, and what it says at its end.
struct Under {
    product: String,
    path: PathBuf,
    rows: u64,
    told: Told,
}

impl Under {
    fn new(
        product: String,
        extension: &str,
        (settings, output): (&Settings, &Output),
        arrival: &Arrival,
    ) -> Result<(Under, AtomicFile)> {
        let path = self::file(&product, extension, &place(&settings.folder, arrival));
        let file = output.create(&path)?;
        let capture = arrival.path.strip_prefix(&settings.folder).unwrap_or(&arrival.path);
        let told = of_capture(&arrival.sensor, capture, &arrival.identity);
        Ok((Under { product, path, rows: 0, told }, file))
    }

    /// Makes it visible, as `end` completes it.
    fn commit(
        self,
        end: impl FnOnce(Told) -> Result<AtomicFile>,
        first: Timestamp,
        files: &mut Vec<(String, Written)>,
    ) -> Result<()> {
        let bytes = end(self.told)?.commit()?.length();
        files.push((self.product, Written { path: self.path, hour: first, bytes, rows: self.rows }));
        Ok(())
    }
}

/// What takes the records of a product.
enum Sheet {
    Groups(Box<GroupSheet>),
    Flows(Box<FlowSheet>, Box<FlowSettings>, Filter),
    Buckets(Box<BucketSheet>, BucketSettings),
}

impl Sheet {
    fn new(product: &Product, at: (&Settings, &Output), arrival: &Arrival, sensor: &Arc<str>) -> Result<Sheet> {
        let (under, file) = Under::new(product.name(), product.extension(), at, arrival)?;
        let config = &at.0.config;
        Ok(match &product.kind {
            Kind::Groups => {
                let pen = Pen::new(product, config, sensor)?;
                let groups = (under, pen.groups(file)?);
                let (under, file) = Under::new(SCANS.into(), product.scans_extension(), at, arrival)?;
                let scans = (under, pen.scans(file)?);
                Sheet::Groups(Box::new(GroupSheet { groups, scans, pen }))
            }
            Kind::Flows(dialect) => {
                let (settings, filter) = super::flows(dialect.as_ref(), config);
                let out = match product.format {
                    Format::Jsonl | Format::Csv => {
                        FlowOut::Text(product.flow_writer(dialect.as_ref(), &settings, file))
                    }
                    #[cfg(feature = "tables")]
                    Format::Table(form) => {
                        let about = product.about(config)?;
                        let mut rows = FlowRows::new(settings.columns.clone(), Style::default(), &about);
                        let table = super::table(file, form, rows.rows().schema())?;
                        FlowOut::Table(rows, table)
                    }
                };
                Sheet::Flows(Box::new(FlowSheet { under, out }), Box::new(settings), filter)
            }
            Kind::Buckets { width, .. } => {
                let out = match product.format {
                    Format::Jsonl | Format::Csv => BucketOut::Text(product.bucket_writer(sensor, file)?),
                    #[cfg(feature = "tables")]
                    Format::Table(form) => {
                        let mut rows = BucketRows::new(None, true, Style::default(), &product.about(config)?);
                        rows.turn_to(Some(sensor));
                        let table = super::table(file, form, rows.rows().schema())?;
                        BucketOut::Table(rows, table)
                    }
                };
                Sheet::Buckets(Box::new(BucketSheet { under, out }), super::buckets(*width, config))
            }
        })
    }

    fn view<'m>(&'m mut self, config: &Config, sensor: &Arc<str>) -> Result<Box<dyn View + 'm>> {
        Ok(match self {
            Sheet::Groups(sink) => {
                Box::new(Groups::new(config, Windows::tumbling(config.window_seconds, None), &mut **sink)?)
            }
            Sheet::Flows(sink, settings, filter) => {
                let flows = Flows::new((**settings).clone(), Some(Arc::clone(sensor)), &mut **sink);
                if filter.is_open() { Box::new(flows) } else { Box::new(filtered(filter.clone(), flows)) }
            }
            Sheet::Buckets(sink, settings) => Box::new(Buckets::new(settings.clone(), &mut **sink)),
        })
    }

    /// Makes its file visible, and says so.
    fn commit(self, first: Timestamp, files: &mut Vec<(String, Written)>) -> Result<()> {
        match self {
            Sheet::Groups(sheet) => {
                let GroupSheet { groups: (groups, page), scans: (scans, scans_page), .. } = *sheet;
                scans.commit(|told| scans_page.end(told), first, files)?;
                groups.commit(|told| page.end(told), first, files)
            }
            Sheet::Flows(sheet, ..) => {
                let FlowSheet { under, out } = *sheet;
                under.commit(|told| out.end(told), first, files)
            }
            Sheet::Buckets(sheet, _) => {
                let BucketSheet { under, out } = *sheet;
                under.commit(|told| out.end(told), first, files)
            }
        }
    }
}

struct GroupSheet {
    groups: (Under, Page<GroupRecord>),
    scans: (Under, Page<ScanSummary>),
    pen: Pen,
}

impl Sink for GroupSheet {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        let GroupSheet { groups: (under, page), pen, .. } = self;
        under.rows += 1;
        page.put(group, pen)
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        let GroupSheet { scans: (under, page), pen, .. } = self;
        under.rows += 1;
        page.put(scan, pen)
    }

    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}

/// What flows are written into.
#[cfg_attr(feature = "tables", expect(clippy::large_enum_variant, reason = "one for each capture that is read"))]
enum FlowOut {
    Text(FlowWriter<AtomicFile>),
    #[cfg(feature = "tables")]
    Table(FlowRows, TableFile<AtomicFile>),
}

impl FlowOut {
    /// Completes it, but does not make it visible.
    fn end(self, told: Told) -> Result<AtomicFile> {
        match self {
            FlowOut::Text(mut writer) => {
                drop(told);
                writer.written()?;
                Ok(writer.into_inner())
            }
            #[cfg(feature = "tables")]
            FlowOut::Table(mut rows, file) => file.close(rows.rows(), told),
        }
    }
}

struct FlowSheet {
    under: Under,
    out: FlowOut,
}

impl FlowSink for FlowSheet {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.under.rows += 1;
        match &mut self.out {
            FlowOut::Text(writer) => writer.on_flow(flow),
            #[cfg(feature = "tables")]
            FlowOut::Table(rows, file) => {
                rows.push(flow)?;
                file.fill(rows.rows())
            }
        }
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

/// What buckets are written into.
#[cfg_attr(feature = "tables", expect(clippy::large_enum_variant, reason = "one for each capture that is read"))]
enum BucketOut {
    Text(BucketWriter<AtomicFile>),
    #[cfg(feature = "tables")]
    Table(BucketRows, TableFile<AtomicFile>),
}

impl BucketOut {
    /// Completes it, but does not make it visible.
    fn end(self, told: Told) -> Result<AtomicFile> {
        match self {
            BucketOut::Text(writer) => {
                drop(told);
                Ok(writer.finish()?.0)
            }
            #[cfg(feature = "tables")]
            BucketOut::Table(mut rows, file) => file.close(rows.rows(), told),
        }
    }
}

struct BucketSheet {
    under: Under,
    out: BucketOut,
}

impl BucketSink for BucketSheet {
    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.under.rows += 1;
        match &mut self.out {
            BucketOut::Text(writer) => writer.on_bucket(row),
            #[cfg(feature = "tables")]
            BucketOut::Table(rows, file) => {
                rows.push(row)?;
                file.fill(rows.rows())
            }
        }
    }

    fn on_metrics(&mut self, _: &Metrics<BucketCounts>) -> Result<()> {
        Ok(())
    }
}
