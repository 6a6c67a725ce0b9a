//! What a pipeline makes: groups, flows, buckets, each a view of the same run.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use super::health::Health;
use super::hours::{Hours, Place};
use super::journal::{Journal, Written};
use super::output::Output;
use crate::config::Config;
use crate::engine::ledger::{Amount, Intake};
use crate::engine::view::{Batch, Mark, Part, ShardView, View};
use crate::error::Result;
use crate::filter::Filter;
use crate::scan::summary::ScanSummary;
use crate::sink::atomic::AtomicFile;
use crate::sink::buckets::{BucketSink, BucketWriter, Form as BucketForm};
use crate::sink::csv;
use crate::sink::flows::{FlowSink, FlowWriter, Form as FlowForm};
use crate::sink::jsonl::{Lines, Times};
use crate::sink::{Metrics, Sink};
use crate::table::FlowTable;
use crate::time::{NS_PER_SECOND, Timestamp, length};
use crate::views::buckets::{BucketCounts, Buckets, NARROWEST, Row, Settings as BucketSettings, WIDEST};
use crate::views::flows::dialects::Dialect;
use crate::views::flows::{FlowCounts, FlowRecord, Flows, Settings as FlowSettings, TcpEnd};
use crate::views::groups::{GroupRecord, Groups, WindowTotals, Windows};

/// A product with its format.
#[derive(Clone, Debug)]
pub struct Product {
    kind: Kind,
    csv: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Groups,
    Flows(Option<Dialect>),
    Buckets { width: i64, name: String },
}

/// What can be asked for.
const FORMS: &str =
    "groups; flows, or flows:DIALECT (flows:cic); buckets:WIDTH (buckets:100ms); each may end in @csv or @jsonl";

impl Product {
    /// Reads `groups`, `flows`, `flows:DIALECT` or `buckets:WIDTH`, with `@csv` or `@jsonl` behind; without, dialects are CSV and the others
    /// JSON Lines.
    ///
    /// # Errors
    /// What is wrong, and what there is.
    pub fn parse(text: &str) -> std::result::Result<Product, String> {
        let (what, format) = text.split_once('@').map_or((text, None), |(what, format)| (what, Some(format)));
        let kind = match what.split_once(':') {
            None if what == "groups" => Kind::Groups,
            None if what == "flows" => Kind::Flows(None),
            None if what == "buckets" => Kind::Buckets { width: NS_PER_SECOND / 10, name: "100ms".into() },
            Some(("flows", dialect)) => {
                let dialect: Dialect = dialect.parse().map_err(|error: crate::Error| error.to_string())?;
                Kind::Flows(Some(dialect))
            }
            Some(("buckets", width)) => {
                let fits = |ns: &i64| (NARROWEST..=WIDEST).contains(ns);
                let ns = length(width)
                    .filter(fits)
                    .ok_or_else(|| format!("`{width}` is no width; write 100ms, 1s, 10min, 1h"))?;
                Kind::Buckets { width: ns, name: width.replace(' ', "") }
            }
            _ => return Err(format!("there is no product `{text}`, but: {FORMS}")),
        };
        let csv = match format {
            None => matches!(kind, Kind::Flows(Some(_))),
            Some("csv") => true,
            Some("jsonl") => false,
            Some(other) => return Err(format!("there is no format `{other}`, but csv and jsonl")),
        };
        let product = Product { kind, csv };
        product.can_be_watched()?;
        Ok(product)
    }

    /// Its name, which its folder has: `groups`, `flows`, `flows-cic`, `buckets-100ms`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Groups => "groups".into(),
            Kind::Flows(None) => "flows".into(),
            Kind::Flows(Some(dialect)) => format!("flows-{}", dialect.name()),
            Kind::Buckets { name, .. } => format!("buckets-{name}"),
        }
    }

    /// Its name with its format, as [`Product::parse`] reads it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let what = match &self.kind {
            Kind::Groups => "groups".into(),
            Kind::Flows(None) => "flows".into(),
            Kind::Flows(Some(dialect)) => format!("flows:{}", dialect.name()),
            Kind::Buckets { name, .. } => format!("buckets:{name}"),
        };
        format!("{what}@{}", if self.csv { "csv" } else { "jsonl" })
    }

    /// Refuses flows that nothing ends: their rows would never be complete.
    fn can_be_watched(&self) -> std::result::Result<(), String> {
        let Some(settings) = self.flow_settings() else { return Ok(()) };
        let life = settings.lifetime;
        let endless = [life.tcp_idle, life.udp_idle, life.other_idle].contains(&None);
        if !endless && !settings.sweeps {
            return Ok(());
        }
        let why = if settings.sweeps { "in sweeps over all traffic" } else { "by no silence" };
        Err(format!(
            "{} ends flows {why}, so no hour would ever be complete; take flows, flows:cic, flows:nf-v2 or flows:nf-v3",
            self.name()
        ))
    }

    fn flow_settings(&self) -> Option<FlowSettings> {
        match &self.kind {
            Kind::Flows(None) => Some(FlowSettings::default()),
            Kind::Flows(Some(dialect)) => Some(dialect.settings(FlowSettings::default())),
            _ => None,
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Nanoseconds for which a 5-tuple may be held though its flow has ended.
const HELD: i64 = 240 * NS_PER_SECOND;

/// Nanoseconds by which packets come out of order, with room to spare.
const SLACK: i64 = 2 * NS_PER_SECOND;

/// A product of a sensor under way: what takes its records.
pub(super) enum Making {
    Groups(Box<GroupHours>),
    Flows(Box<FlowHours>, Box<FlowSettings>, Filter),
    Buckets(Box<BucketHours>, BucketSettings),
}

impl Making {
    pub(super) fn new(
        product: &Product,
        output: &Rc<Output>,
        sensor: &Arc<str>,
        journal: &Rc<Journal>,
        health: &Arc<Health>,
        config: &Config,
    ) -> Result<Making> {
        let extension = if product.csv { "csv" } else { "jsonl" };
        let place = |product: String, extension| Place::new(output, (sensor, product, extension), journal, health);
        let times = Times::Seconds;
        Ok(match &product.kind {
            Kind::Groups => {
                let (mut lines, mut rows) = (Lines::new(times), csv::Rows::new(times));
                lines.turn_to(sensor);
                rows.turn_to(sensor);
                Making::Groups(Box::new(GroupHours {
                    place: place(product.name(), extension)?,
                    scans_place: place("scans".into(), "jsonl")?,
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
                let usual = FlowSettings::new(config);
                let settings =
                    dialect.as_ref().map_or_else(|| usual.clone(), |dialect| dialect.settings(usual.clone()));
                let form = if product.csv { FlowForm::Csv } else { FlowForm::Lines };
                let mut writer = FlowWriter::new(Vec::new(), product.name(), form, settings.columns.clone(), times);
                if let Some(dialect) = dialect {
                    writer = writer.notation(dialect.notation());
                }
                let header = std::mem::take(writer.written()?);
                let hours = Rc::new(RefCell::new(Hours::new(place(product.name(), extension)?, header)));
                let filter = dialect.as_ref().map_or_else(Filter::default, |dialect| dialect.filter().clone());
                Making::Flows(Box::new(FlowHours { hours, writer }), Box::new(settings), filter)
            }
            Kind::Buckets { width, .. } => {
                let settings =
                    BucketSettings { widths: vec![*width], bytes: config.bytes, ..BucketSettings::default() };
                let form = if product.csv { BucketForm::Csv } else { BucketForm::Lines };
                let mut writer = BucketWriter::new(Vec::new(), product.name(), (form, times), None, true, true);
                writer.on_sensor(Some(sensor))?;
                let header = std::mem::take(writer.written()?);
                let hours = Rc::new(RefCell::new(Hours::new(place(product.name(), extension)?, header)));
                Making::Buckets(Box::new(BucketHours { hours, writer }), settings)
            }
        })
    }

    /// Its view.
    pub(super) fn view<'m>(&'m mut self, config: &Config, sensor: &Arc<str>) -> Result<Box<dyn View + 'm>> {
        Ok(match self {
            Making::Groups(sink) => {
                Box::new(Groups::new(config, Windows::tumbling(config.window_seconds, None), &mut **sink)?)
            }
            Making::Flows(sink, settings, filter) => {
                let flows = Flows::new((**settings).clone(), Some(Arc::clone(sensor)), &mut **sink);
                if filter.is_open() { Box::new(flows) } else { Box::new(Filtered::new(filter.clone(), flows)) }
            }
            Making::Buckets(sink, settings) => Box::new(Buckets::new(settings.clone(), &mut **sink)),
        })
    }

    /// Its hours, where rows have hours of their own; and how far behind the clock they are complete, in nanoseconds.
    pub(super) fn hours(&self) -> Option<(Rc<RefCell<Hours>>, i64)> {
        match self {
            Making::Groups(_) => None,
            Making::Flows(sink, settings, _) => Some((Rc::clone(&sink.hours), silence(settings) + SLACK)),
            Making::Buckets(sink, settings) => Some((Rc::clone(&sink.hours), settings.reorder + SLACK)),
        }
    }

    /// The longest silence behind which it remembers a 5-tuple, in nanoseconds.
    pub(super) fn silence(&self) -> i64 {
        match self {
            Making::Groups(_) => 0,
            Making::Flows(_, settings, _) => silence(settings),
            Making::Buckets(..) => crate::views::buckets::LONGEST_SILENCE,
        }
    }
}

/// The longest time that a flow is held behind its last packet.
fn silence(settings: &FlowSettings) -> i64 {
    let life = settings.lifetime;
    let idle = [life.tcp_idle, life.udp_idle, life.other_idle].into_iter().map(|idle| idle.unwrap_or(i64::MAX / 4));
    let held = if life.tcp_end == TcpEnd::AnyFin { HELD } else { 0 };
    idle.max().unwrap_or(0).max(held) + settings.reorder
}

/// Takes the groups of a sensor.
pub(super) struct GroupHours {
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
pub(super) struct FlowHours {
    hours: Rc<RefCell<Hours>>,
    writer: FlowWriter<Vec<u8>>,
}

impl FlowSink for FlowHours {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.writer.on_flow(flow)?;
        let row = std::mem::take(self.writer.written()?);
        self.hours.borrow_mut().row(flow.last_ts.0, flow.first_ts.0, row)
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

/// Takes the buckets of a sensor.
pub(super) struct BucketHours {
    hours: Rc<RefCell<Hours>>,
    writer: BucketWriter<Vec<u8>>,
}

impl BucketSink for BucketHours {
    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.writer.on_bucket(row)?;
        let text = std::mem::take(self.writer.written()?);
        self.hours.borrow_mut().row(row.start.0, row.start.0, text)
    }

    fn on_metrics(&mut self, _: &Metrics<BucketCounts>) -> Result<()> {
        Ok(())
    }
}

/// A view that sees only packets that match, beside others that see all.
struct Filtered<V> {
    filter: Arc<Filter>,
    view: V,
    left_out: Arc<Mutex<Amount>>,
}

impl<V: View> Filtered<V> {
    fn new(filter: Filter, view: V) -> Filtered<V> {
        Filtered { filter: Arc::new(filter), view, left_out: Arc::default() }
    }
}

impl<V: View> View for Filtered<V> {
    fn wants_flows(&self) -> bool {
        self.view.wants_flows()
    }

    fn wants_marks(&self) -> bool {
        self.view.wants_marks()
    }

    fn wants_order(&self) -> bool {
        self.view.wants_order()
    }

    fn wants_batches(&self) -> bool {
        self.view.wants_batches()
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(FilteredShard {
            filter: Arc::clone(&self.filter),
            shard: self.view.shard(),
            left_out: Arc::clone(&self.left_out),
            packets: Vec::new(),
            flows: Vec::new(),
        })
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        self.view.merge(parts)
    }

    fn file(&mut self, number: u32, report: &crate::engine::FileReport) -> Result<()> {
        self.view.file(number, report)
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let left_out = *self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.finish(&Intake { accepted: intake.accepted - left_out, ..*intake })
    }
}

struct FilteredShard {
    filter: Arc<Filter>,
    shard: Box<dyn ShardView>,
    left_out: Arc<Mutex<Amount>>,
    packets: Vec<crate::decode::Packet>,
    flows: Vec<crate::table::FlowRef>,
}

impl ShardView for FilteredShard {
    fn file(&mut self, number: u32, next: Timestamp) {
        self.shard.file(number, next);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.packets.clear();
        self.flows.clear();
        let mut left_out = Amount::default();
        for (nth, packet) in batch.packets.iter().enumerate() {
            if self.filter.matches(packet, packet.link, batch.frame(packet)) {
                self.packets.push(*packet);
                self.flows.extend(batch.flows.get(nth).copied());
            } else {
                left_out += Amount::one(packet.wire, packet.captured);
            }
        }
        if !left_out.is_nothing() {
            *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) += left_out;
        }
        self.shard.packets(&Batch { packets: &self.packets, flows: &self.flows, ..*batch });
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        self.shard.close(before, table)
    }

    fn mark(&mut self, mark: Mark, table: &FlowTable) -> Option<Part> {
        self.shard.mark(mark, table)
    }

    fn quiet(&mut self, until: Timestamp) {
        self.shard.quiet(until);
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        self.shard.ended(flows);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.shard.keeps(flow)
    }
}
