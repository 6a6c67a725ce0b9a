//! Traffic of a sensor, what whole runs make of it, and a line that is at work on it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use crate::capture::{PcapLayout, PcapWriter};
use crate::config::Config;
use crate::engine::Input;
use crate::error::Result;
use crate::job::Job;
use crate::sink::Metrics;
use crate::sink::buckets::{BucketSink, BucketWriter, Form as BucketForm};
use crate::sink::files::{Files, Format};
use crate::sink::flows::{FlowSink, FlowWriter, Form as FlowForm};
use crate::sink::jsonl::Times;
use crate::synth::{Spec, frames};
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::buckets::{BucketCounts, BucketJob, Row};
use crate::views::flows::dialects::Dialect;
use crate::views::flows::{FlowCounts, FlowJob, FlowRecord, Settings as FlowSettings};
use crate::watch::arrivals::Arrival;
use crate::watch::health::Health;
use crate::watch::line::{Control, Ended, Line, Order};
use crate::watch::permits::Permits;
use crate::watch::spans::hour;
use crate::watch::{Identity, Product, Settings};

pub(super) const SENSOR: &str = "gate";

/// What is made, unless it is said.
pub(super) const PRODUCTS: [&str; 5] = ["groups", "flows", "flows:cic", "flows:nf-v3", "buckets:1s@csv"];

/// A frame, and when it was.
pub(super) type Framed = (Timestamp, Vec<u8>);

/// Writes a capture.
pub(super) fn write<'f>(path: &Path, frames: impl IntoIterator<Item = &'f Framed>) {
    let mut file = PcapWriter::new(File::create(path).unwrap(), PcapLayout::default()).unwrap();
    for (time, frame) in frames {
        file.record(*time, frame.len() as u32, frame).unwrap();
    }
    file.finish().unwrap();
}

/// A folder with a capture of three hours, whole and in files of two minutes.
pub(super) struct Traffic {
    pub(super) folder: tempfile::TempDir,
    pub(super) whole: PathBuf,
    pub(super) parts: Vec<PathBuf>,
}

impl Traffic {
    pub(super) fn new(packets: u64) -> Traffic {
        Traffic::with(packets, |_| None)
    }

    /// In parts, but not in the whole, some packets come again behind themselves, at another time.
    pub(super) fn with(packets: u64, again: impl Fn(u64) -> Option<i64>) -> Traffic {
        Traffic::of(packets, again, |_| true)
    }

    /// The same, less packets of other times than are heard.
    pub(super) fn of(
        packets: u64,
        again: impl Fn(u64) -> Option<i64>,
        is_heard: impl Fn(Timestamp) -> bool,
    ) -> Traffic {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("in").join(SENSOR)).unwrap();
        let whole = folder.path().join("whole.pcap");
        let layout = PcapLayout::default();
        let mut all = PcapWriter::new(File::create(&whole).unwrap(), layout).unwrap();
        let (mut parts, mut open) = (Vec::new(), None);
        let (mut now, mut nth) = (i64::MIN, 0);
        let spec = Spec { packets, hours: 3, ..Spec::default() };
        frames(&spec, |time, wire, frame| {
            if !is_heard(time) {
                return Ok(());
            }
            all.record(time, wire, frame)?;
            let slot = time.0.div_euclid(120 * NS_PER_SECOND);
            if slot != now {
                now = slot;
                let path = folder.path().join("in").join(SENSOR).join(format!("part_{slot:08}.pcap"));
                open.replace(PcapWriter::new(File::create(&path)?, layout)?)
                    .map_or(Ok(()), |before| before.finish().map(drop))?;
                parts.push(path);
            }
            let Some(open) = &mut open else { return Ok(()) };
            open.record(time, wire, frame)?;
            nth += 1;
            again(nth - 1).map_or(Ok(()), |later| open.record(Timestamp(time.0 + later), wire, frame))
        })
        .unwrap();
        all.finish().unwrap();
        open.map(|open| open.finish().unwrap());
        Traffic { folder, whole, parts }
    }

    /// Captures of frames, in the order in which they begin.
    pub(super) fn captures<'f>(captures: impl IntoIterator<Item = &'f [Framed]>) -> Traffic {
        let folder = tempfile::tempdir().unwrap();
        let sensor = folder.path().join("in").join(SENSOR);
        fs::create_dir_all(&sensor).unwrap();
        let part = |(nth, frames): (usize, &[Framed])| {
            let path = sensor.join(format!("part_{nth:08}.pcap"));
            write(&path, frames);
            path
        };
        let parts = captures.into_iter().enumerate().map(part).collect();
        Traffic { whole: folder.path().join("whole.pcap"), folder, parts }
    }

    pub(super) fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings_for(&PRODUCTS)
    }

    /// The same for some products.
    pub(super) fn settings_for(&self, products: &[&str]) -> Settings {
        let products = products.iter().map(|text| Product::parse(text).unwrap());
        Settings {
            retry_delay: Duration::from_millis(20),
            ..Settings::new(self.folder.path().join("in"), self.output(), products.collect())
        }
    }

    /// What whole runs make of it, by path.
    pub(super) fn expected(&self) -> BTreeMap<PathBuf, String> {
        self.expected_of(std::slice::from_ref(&self.whole))
    }

    /// The same of other captures.
    pub(super) fn expected_of(&self, captures: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let mut made = BTreeMap::new();
        let inputs = || captures.iter().map(Input::file).collect();
        let batch = self.folder.path().join("batch");
        // Of what was expected before nothing stays.
        let _ = fs::remove_dir_all(&batch);
        let mut files = Files::new(&batch, Format::Jsonl, Times::Seconds, true);
        Job::new(Config::default()).sensor(Some(SENSOR.into())).run(inputs(), &mut files).unwrap();
        for (path, text) in read(&batch) {
            let mut parts = path.components();
            if let Some(kind) = parts.next().filter(|_| path.extension().is_some_and(|end| end == "jsonl")) {
                made.insert(Path::new(&kind).join(SENSOR).join(parts), text);
            }
        }
        let mut rows = Rows::default();
        let usual = FlowSettings::default();
        let mut by_hour = |name: &str, end: &str, header: Vec<u8>, rows: Rows| {
            for (hour, mut rows) in rows.0 {
                rows.sort();
                let lines = rows.into_iter().map(|(_, text)| text);
                let text = [header.clone()].into_iter().chain(lines).flatten().collect();
                let path = Path::new(name)
                    .join(SENSOR)
                    .join(format!("{}.{end}", crate::capture::hour_folder(Timestamp(hour))));
                made.insert(path, String::from_utf8(text).unwrap());
            }
        };
        let mut sink = FlowRows {
            rows: Rows::default(),
            writer: FlowWriter::new(Vec::new(), "x", FlowForm::Lines, usual.columns.clone(), Times::Seconds),
        };
        FlowJob::new(usual.clone()).sensor(Some(SENSOR), true).run(inputs(), &mut sink).unwrap();
        by_hour("flows", "jsonl", Vec::new(), sink.rows);
        for name in ["cic", "nf-v3"] {
            let dialect: Dialect = name.parse().unwrap();
            let settings = dialect.settings(usual.clone());
            let mut writer = FlowWriter::new(Vec::new(), "x", FlowForm::Csv, settings.columns.clone(), Times::Seconds)
                .notation(dialect.notation());
            let header = std::mem::take(writer.written().unwrap());
            let mut sink = FlowRows { rows: Rows::default(), writer };
            let engine = crate::engine::Engine::builder().filter(dialect.filter().clone());
            FlowJob::new(settings).engine(engine).sensor(Some(SENSOR), true).run(inputs(), &mut sink).unwrap();
            by_hour(&format!("flows-{name}"), "csv", header, sink.rows);
        }
        let how = (BucketForm::Csv, Times::Seconds);
        let mut writer = BucketWriter::new(Vec::new(), "x", how, None, true, true);
        let header = std::mem::take(writer.written().unwrap());
        let mut sink = BucketRows { rows: std::mem::take(&mut rows), writer };
        let second = crate::views::buckets::Settings { widths: vec![NS_PER_SECOND], ..Default::default() };
        BucketJob::new(second).unwrap().sensor(Some(SENSOR.into())).run(inputs(), &mut sink).unwrap();
        by_hour("buckets-1s", "csv", header, sink.rows);
        made
    }

    /// What lies in the output.
    pub(super) fn made(&self) -> BTreeMap<PathBuf, String> {
        let ours = |path: &Path| path.extension().is_some_and(|end| end == "csv" || end == "jsonl");
        read(&self.output()).into_iter().filter(|(path, _)| ours(path)).collect()
    }

    pub(super) fn arrivals(&self, parts: &[PathBuf]) -> Vec<Arrival> {
        let arrival = |path: &PathBuf| Arrival {
            sensor: SENSOR.into(),
            path: path.clone(),
            identity: Identity::of(path).unwrap(),
        };
        parts.iter().map(arrival).collect()
    }
}

#[derive(Default)]
pub(super) struct Rows(BTreeMap<i64, Vec<(i64, Vec<u8>)>>);

pub(super) struct FlowRows {
    rows: Rows,
    writer: FlowWriter<Vec<u8>>,
}

impl FlowSink for FlowRows {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.writer.on_flow(flow)?;
        let text = std::mem::take(self.writer.written()?);
        self.rows.0.entry(hour(flow.last_ts.0)).or_default().push((flow.first_ts.0, text));
        Ok(())
    }
    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

pub(super) struct BucketRows {
    rows: Rows,
    writer: BucketWriter<Vec<u8>>,
}

impl BucketSink for BucketRows {
    fn on_sensor(&mut self, sensor: Option<&str>) -> Result<()> {
        self.writer.on_sensor(sensor)
    }
    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.writer.on_bucket(row)?;
        let text = std::mem::take(self.writer.written()?);
        self.rows.0.entry(hour(row.start.0)).or_default().push((row.start.0, text));
        Ok(())
    }
    fn on_metrics(&mut self, _: &Metrics<BucketCounts>) -> Result<()> {
        Ok(())
    }
}

/// All files below a folder, as text. A line that works there may take one away meanwhile.
pub(super) fn read(folder: &Path) -> BTreeMap<PathBuf, String> {
    let is_gone = |kind| kind == ErrorKind::NotFound;
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = match entry {
            Err(error) if error.io_error().is_some_and(|error| is_gone(error.kind())) => continue,
            entry => entry.unwrap(),
        };
        if entry.file_type().is_file() {
            match fs::read(entry.path()) {
                Err(error) if is_gone(error.kind()) => {}
                bytes => {
                    let text = String::from_utf8_lossy(&bytes.unwrap()).into_owned();
                    files.insert(entry.path().strip_prefix(folder).unwrap().to_owned(), text);
                }
            }
        }
    }
    files
}

/// A line at work.
pub(super) struct Work {
    pub(super) orders: Sender<Order>,
    pub(super) health: Arc<Health>,
    pub(super) control: Arc<Control>,
    pub(super) thread: JoinHandle<Result<Ended>>,
}

impl Work {
    pub(super) fn start(settings: Settings) -> Work {
        fs::create_dir_all(&settings.output).unwrap();
        let (orders, inbox) = unbounded();
        let control = Arc::new(Control::default());
        let health = Arc::new(Health::new(Duration::from_secs(60), 0));
        let line = Line {
            sensor: SENSOR.into(),
            settings: Arc::new(settings),
            health: Arc::clone(&health),
            inbox,
            permits: Permits::new(1),
            control: Arc::clone(&control),
        };
        Work { orders, health, control, thread: thread::spawn(move || line.run()) }
    }

    pub(super) fn tell(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    pub(super) fn finish(self, close: bool) -> Ended {
        self.tell(Order::Finish { close });
        let ended = self.thread.join().unwrap().unwrap();
        let strays = super::metric(&[self.health.prometheus(), String::new()], "stray_records_total");
        assert_eq!(strays, 0, "hours were out before all of their records had come");
        ended
    }
}

/// Tells where two outputs differ first.
pub(super) fn compare(made: &BTreeMap<PathBuf, String>, expected: &BTreeMap<PathBuf, String>) {
    let names = |of: &BTreeMap<PathBuf, String>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(made), names(expected));
    for (path, text) in expected {
        let differs = text.lines().zip(made[path].lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{}", path.display());
        assert_eq!(text.lines().count(), made[path].lines().count(), "{}", path.display());
    }
}
