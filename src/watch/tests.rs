//! Lines against whole runs over the same packets.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use super::arrivals::Arrival;
use super::health::Health;
use super::journal::Journal;
use super::line::{Control, Ended, Line, Order};
use super::pipeline::Permits;
use super::spans::hour;
use super::{Identity, Product, Settings};
use crate::capture::{Capture, Io, PcapLayout, PcapWriter};
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

const SENSOR: &str = "gate";

/// A folder with a capture of three hours, whole and in files of two minutes.
struct Traffic {
    folder: tempfile::TempDir,
    whole: PathBuf,
    parts: Vec<PathBuf>,
}

impl Traffic {
    fn new(packets: u64) -> Traffic {
        Traffic::with(packets, |_| None)
    }

    /// In parts, but not in the whole, some packets come again behind themselves, at another time.
    fn with(packets: u64, again: impl Fn(u64) -> Option<i64>) -> Traffic {
        Traffic::of(packets, again, |_| true)
    }

    /// The same, less packets of other times than are heard.
    fn of(packets: u64, again: impl Fn(u64) -> Option<i64>, is_heard: impl Fn(Timestamp) -> bool) -> Traffic {
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

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn settings(&self) -> Settings {
        let products = ["groups", "flows", "flows:cic", "buckets:1s@csv"].map(|text| Product::parse(text).unwrap());
        Settings {
            retry_delay: Duration::from_millis(20),
            ..Settings::new(self.folder.path().join("in"), self.output(), products.to_vec())
        }
    }

    /// What whole runs make of it, by path.
    fn expected(&self) -> BTreeMap<PathBuf, String> {
        let mut made = BTreeMap::new();
        let inputs = || vec![Input::file(&self.whole)];
        let batch = self.folder.path().join("batch");
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
        let dialect: Dialect = "cic".parse().unwrap();
        let settings = dialect.settings(usual);
        let mut writer = FlowWriter::new(Vec::new(), "x", FlowForm::Csv, settings.columns.clone(), Times::Seconds)
            .notation(dialect.notation());
        let header = std::mem::take(writer.written().unwrap());
        let mut sink = FlowRows { rows: Rows::default(), writer };
        let engine = crate::engine::Engine::builder().filter(dialect.filter().clone());
        FlowJob::new(settings).engine(engine).sensor(Some(SENSOR), true).run(inputs(), &mut sink).unwrap();
        by_hour("flows-cic", "csv", header, sink.rows);
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
    fn made(&self) -> BTreeMap<PathBuf, String> {
        let ours = |path: &Path| path.extension().is_some_and(|end| end == "csv" || end == "jsonl");
        read(&self.output()).into_iter().filter(|(path, _)| ours(path)).collect()
    }

    fn arrivals(&self, parts: &[PathBuf]) -> Vec<Arrival> {
        let arrival = |path: &PathBuf| Arrival {
            sensor: SENSOR.into(),
            path: path.clone(),
            identity: Identity::of(path).unwrap(),
        };
        parts.iter().map(arrival).collect()
    }
}

#[derive(Default)]
struct Rows(BTreeMap<i64, Vec<(i64, Vec<u8>)>>);

struct FlowRows {
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

struct BucketRows {
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

/// All files below a folder, as text.
fn read(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            (entry.path().strip_prefix(folder).unwrap().to_owned(), text)
        })
        .collect()
}

/// A line at work.
struct Work {
    orders: Sender<Order>,
    health: Arc<Health>,
    control: Arc<Control>,
    thread: JoinHandle<Result<Ended>>,
}

impl Work {
    fn start(settings: Settings) -> Work {
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

    fn tell(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    fn finish(self, close: bool) -> Ended {
        self.tell(Order::Finish { close });
        self.thread.join().unwrap().unwrap()
    }
}

/// Tells where two outputs differ first.
fn compare(made: &BTreeMap<PathBuf, String>, expected: &BTreeMap<PathBuf, String>) {
    let names = |of: &BTreeMap<PathBuf, String>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(made), names(expected));
    for (path, text) in expected {
        let differs = text.lines().zip(made[path].lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{}", path.display());
        assert_eq!(text.lines().count(), made[path].lines().count(), "{}", path.display());
    }
}

#[test]
fn files_one_by_one_make_what_a_whole_run_makes() {
    let traffic = Traffic::new(30_000);
    let work = Work::start(traffic.settings());
    for part in traffic.parts.chunks(1) {
        work.tell(Order::Complete(traffic.arrivals(part)));
    }
    let ended = work.finish(true);
    assert_eq!((ended.files, ended.packets, ended.waiting), (traffic.parts.len() as u64, 30_000, 0));
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_line_that_is_stopped_anywhere_goes_on_where_it_stood() {
    let traffic = Traffic::new(20_000);
    let expected = traffic.expected();
    let mut rest = &traffic.parts[..];
    for (nth, files) in [7, 20, 1, 13, 25, 2].into_iter().enumerate() {
        let work = Work::start(traffic.settings());
        let (now, later) = rest.split_at(files.min(rest.len()));
        rest = later;
        now.chunks(3).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        if nth % 2 == 0 {
            work.finish(false);
        } else {
            thread::sleep(Duration::from_millis(10 * nth as u64));
            work.control.stop();
            drop(work.orders);
            let _ = work.thread.join().unwrap();
        }
    }
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    work.finish(true);
    compare(&traffic.made(), &expected);
}

#[test]
fn a_late_file_makes_its_hours_again() {
    let traffic = Traffic::new(20_000);
    let work = Work::start(traffic.settings());
    let late = traffic.parts.len() / 3;
    let others: Vec<PathBuf> = [&traffic.parts[..late], &traffic.parts[late + 1..]].concat();
    others.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[late..=late])));
    assert_eq!(work.finish(true).packets, 20_000);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn what_is_no_capture_is_set_aside_and_delays_nothing() {
    let traffic = Traffic::new(5_000);
    let bad = traffic.folder.path().join("in").join(SENSOR).join("bad.pcap");
    fs::write(&bad, "this is no capture").unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&bad))));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let ended = work.finish(true);
    assert_eq!((ended.packets, ended.quarantined), (5_000, 1));
    assert!(!bad.exists());
    let reason =
        fs::read_to_string(traffic.output().join("quarantine").join(SENSOR).join("bad.pcap.reason.txt")).unwrap();
    assert!(reason.starts_with(&format!("{}\n", bad.display())) && reason.contains("tried 3 times"), "{reason}");
    assert!(!reason.contains("sink"), "it names the reason and no part of the program: {reason}");
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_has_become_a_pipe_is_not_waited_for() {
    let traffic = Traffic::new(5_000);
    let pipe = traffic.folder.path().join("in").join(SENSOR).join("pipe.pcap");
    fs::copy(&traffic.parts[0], &pipe).unwrap();
    let arrivals = traffic.arrivals(std::slice::from_ref(&pipe));
    fs::remove_file(&pipe).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(arrivals));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let ended = work.finish(true);
    assert_eq!((ended.packets, ended.quarantined), (5_000, 1));
    let reason = traffic.output().join("quarantine").join(SENSOR).join("pipe.pcap.reason.txt");
    let said = fs::read_to_string(reason).unwrap();
    let named = format!("{}\ncannot read: it is no regular file\n", pipe.display());
    assert!(said.starts_with(&named), "{said}");
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_is_read_again_is_found_under_its_new_name() {
    let traffic = Traffic::new(5_000);
    let expected = traffic.expected();
    let work = Work::start(traffic.settings());
    let (first, rest) = traffic.parts.split_at(traffic.parts.len() / 4);
    work.tell(Order::Complete(traffic.arrivals(first)));
    work.finish(false);
    let renamed: Vec<PathBuf> = first.iter().map(|path| path.with_extension("done.pcap")).collect();
    first.iter().zip(&renamed).for_each(|(from, to)| fs::rename(from, to).unwrap());
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&[&renamed, rest].concat())));
    work.finish(true);
    compare(&traffic.made(), &expected);
}

#[test]
fn a_file_that_grew_after_all_is_read_anew_and_makes_no_other_late() {
    let traffic = Traffic::new(5_000);
    let expected = traffic.expected();
    let (grows, late) = (&traffic.parts[3], &traffic.parts[1]);
    let whole = fs::read(grows).unwrap();
    fs::write(grows, &whole[..whole.len() / 2]).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&[traffic.parts[0].clone(), grows.clone()])));
    thread::sleep(Duration::from_millis(300));
    fs::write(grows, &whole).unwrap();
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(late))));
    let rest = [&traffic.parts[2..3], &traffic.parts[3..]].concat();
    work.tell(Order::Complete(traffic.arrivals(&rest)));
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &expected);
}

#[test]
fn captures_that_are_gone_when_they_are_needed_are_told_and_those_that_were_renamed_are_not() {
    let traffic = Traffic::new(5_000);
    let lost = |work: &Work| work.health.status().sensors.first().map_or(0, |sensor| sensor.lost);
    let work = Work::start(traffic.settings());
    let (first, rest) = traffic.parts.split_at(traffic.parts.len() / 3);
    work.tell(Order::Complete(traffic.arrivals(first)));
    work.finish(false);
    // Its hour is not out.
    fs::remove_file(&first[first.len() - 1]).unwrap();
    let (vanishes, moves) = (&rest[rest.len() - 1], &rest[rest.len() - 2]);
    let arrivals = traffic.arrivals(rest);
    fs::remove_file(vanishes).unwrap();
    let moved = moves.with_extension("moved.pcap");
    fs::rename(moves, &moved).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(arrivals));
    work.tell(Order::Complete(traffic.arrivals(&[moved])));
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while lost(&work) < 2 && std::time::Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(lost(&work), 2);
    let (well, why) = work.health.healthy();
    assert!(!well && why.contains("captures that are lost: 2; the last one: "), "{why}");
    assert_eq!(work.finish(false).files, rest.len() as u64 - 1);
}

const YEAR: i64 = 365 * 86_400 * NS_PER_SECOND;

/// Stops in the middle and goes on; what the metrics say of both runs, and what is needed at the stop.
fn in_two_runs(traffic: &Traffic) -> ([String; 2], Timestamp) {
    let (before, after) = traffic.parts.split_at(traffic.parts.len() * 2 / 3);
    let mut needs = Timestamp::MIN;
    let told = [(before, false), (after, true)].map(|(parts, close)| {
        let work = Work::start(traffic.settings());
        parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        let health = Arc::clone(&work.health);
        work.finish(close);
        if !close {
            needs = Journal::open(&traffic.output()).unwrap().out(SENSOR, "flows").unwrap().needs;
        }
        health.prometheus()
    });
    (told, needs)
}

fn metric(told: &[String; 2], name: &str) -> u64 {
    let value = |text: &String| {
        let lines = text.lines().filter(|line| line.starts_with(&format!("pcap_compactor_{name}{{")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    told.iter().map(value).sum()
}

#[test]
fn packets_of_a_wild_time_are_counted_and_change_no_hour() {
    let usual = Traffic::new(20_000);
    let (_, needs) = in_two_runs(&usual);
    let expected = usual.expected();
    // A year ahead in the midst of files, three in a row, and as the last of its file.
    let traffic = Traffic::with(20_000, |nth| match nth {
        1000 | 5000..5003 => Some(YEAR),
        _ => None,
    });
    let last = &traffic.parts[traffic.parts.len() / 2];
    let mut bytes = fs::read(last).unwrap();
    let mut record = bytes[24..].to_vec();
    let length = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
    record.truncate(16 + length);
    // 2096, which no clock can show.
    record[..4].copy_from_slice(&4_000_000_000u32.to_le_bytes());
    bytes.append(&mut record);
    fs::write(last, bytes).unwrap();
    let (told, needs_with) = in_two_runs(&traffic);
    compare(&traffic.made(), &expected);
    assert_eq!(needs_with, needs, "a restart reads no more for it");
    assert_eq!(metric(&told, "wild_packets_total"), 5);
    assert_eq!(metric(&told, "packets_total"), 20_005);
}

#[test]
fn a_packet_of_long_ago_is_in_a_record_and_no_hour_waits_for_it() {
    let usual = Traffic::new(20_000);
    let (_, needs) = in_two_runs(&usual);
    let traffic = Traffic::with(20_000, |nth| (nth == 5000 || nth == 12_000).then_some(-YEAR));
    let (told, needs_with) = in_two_runs(&traffic);
    assert!(needs_with >= needs, "a restart reads no more for it: {needs_with:?}, {needs:?}");
    assert_eq!((metric(&told, "wild_packets_total"), metric(&told, "packets_total")), (0, 20_002));
    let in_parts = traffic.made();
    // Some packets are of no flow.
    let in_flows = |made: &BTreeMap<PathBuf, String>| {
        let flows = made.iter().filter(|(path, _)| path.starts_with("flows"));
        let rows = flows.flat_map(|(_, text)| text.lines());
        let rows = rows.map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
        rows.map(|row| row["pkts_up"].as_u64().unwrap() + row["pkts_dn"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(in_flows(&in_parts), in_flows(&usual.made()) + 2);
    fs::remove_dir_all(traffic.output()).unwrap();
    let work = Work::start(traffic.settings());
    traffic.parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
    work.finish(true);
    compare(&without_ids(in_parts), &without_ids(traffic.made()));
}

/// Where time goes back, the id of a flow also goes by the markers of the run, which a restart counts anew.
fn without_ids(mut made: BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    for text in made.values_mut() {
        let mut parts = text.split("\"flow_id\":\"");
        let first = parts.next().unwrap_or_default().to_owned();
        *text = first + &parts.map(|part| &part[16..]).collect::<String>();
    }
    made
}

/// Waits until so many files have been read.
fn wait(work: &Work, files: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while metric(&[work.health.prometheus(), String::new()], "files_read_total") < files {
        assert!(Instant::now() < end, "it reads no more");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_name_that_another_capture_takes_leaves_the_records_of_the_first() {
    // More files than hours to come need.
    const RING: usize = 38;
    let traffic = Traffic::new(3000);
    assert!(traffic.parts.len() > RING + 10, "{}", traffic.parts.len());
    let expected = traffic.expected();
    let work = Work::start(traffic.settings());
    for (nth, part) in traffic.parts.iter().enumerate() {
        let ring = part.with_file_name(format!("ring_{:02}.pcap", nth % RING));
        fs::rename(part, &ring).unwrap();
        work.tell(Order::Complete(traffic.arrivals(&[ring])));
        wait(&work, nth as u64 + 1);
    }
    let ended = work.finish(true);
    assert_eq!((ended.quarantined, ended.files), (0, traffic.parts.len() as u64));
    compare(&traffic.made(), &expected);
}

#[test]
fn what_was_completed_later_makes_no_other_file_late() {
    let traffic = Traffic::new(3000);
    let expected = traffic.expected();
    let (half, late) = (&traffic.parts[40], &traffic.parts[42]);
    let whole = fs::read(half).unwrap();
    fs::write(half, &whole[..whole.len() / 2]).unwrap();
    let others: Vec<PathBuf> = traffic.parts.iter().filter(|part| *part != late).cloned().collect();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    assert_eq!(work.finish(true).files, others.len() as u64);
    for (part, bytes) in [(half, Some(&whole)), (late, None)] {
        bytes.map_or(Ok(()), |bytes| fs::write(part, bytes)).unwrap();
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(part))));
        assert_eq!(work.finish(true).quarantined, 0);
    }
    compare(&traffic.made(), &expected);
}

#[test]
fn rows_of_empty_buckets_are_there_whenever_it_stopped() {
    // Silent around the ends of hours, for longer than any flow is held.
    let near = |time: Timestamp| (time.0 + 600 * NS_PER_SECOND).rem_euclid(3600 * NS_PER_SECOND) < 1200 * NS_PER_SECOND;
    let traffic = Traffic::of(3000, |_| None, |time| !near(time));
    let expected = traffic.expected();
    let hours: Vec<i64> = traffic
        .parts
        .iter()
        .map(|part| hour(Capture::open(part, Io::Auto).unwrap().first_time().unwrap().unwrap().0))
        .collect();
    let turns = (1..hours.len()).filter(|&at| hours[at - 1] < hours[at]);
    for cut in turns.flat_map(|at| [at, at + 1, at + 2]) {
        let (before, after) = traffic.parts.split_at(cut);
        for (parts, close) in [(before, false), (after, true)] {
            let work = Work::start(traffic.settings());
            work.tell(Order::Complete(traffic.arrivals(parts)));
            work.finish(close);
        }
        compare(&traffic.made(), &expected);
        fs::remove_dir_all(traffic.output()).unwrap();
        fs::create_dir(traffic.output()).unwrap();
    }
}

#[test]
fn a_day_without_packets_is_no_wild_time() {
    let mut traffic = Traffic::new(1000);
    let whole = traffic.folder.path().join("in").join(SENSOR).join("gap.pcap");
    let mut out = PcapWriter::new(File::create(&whole).unwrap(), PcapLayout::default()).unwrap();
    let mut nth = 0;
    frames(&Spec { packets: 3000, hours: 1, ..Spec::default() }, |time, wire, frame| {
        nth += 1;
        let gap = if nth > 1200 { 3 * 86_400 * NS_PER_SECOND } else { 0 };
        out.record(Timestamp(time.0 + gap), wire, frame)
    })
    .unwrap();
    out.finish().unwrap();
    (traffic.parts, traffic.whole) = (vec![whole.clone()], whole);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    assert_eq!(work.finish(true).packets, 3000);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_whose_reading_cannot_be_noted_counts_once() {
    let traffic = Traffic::new(3000);
    drop(Journal::open(&traffic.output()).unwrap());
    let database = rusqlite::Connection::open(traffic.output().join(".pcap-compactor/watch.sqlite")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF packets ON file BEGIN SELECT RAISE(ABORT, 'no room'); END";
    database.execute_batch(refuse).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let end = Instant::now() + Duration::from_secs(60);
    while work.health.healthy().0 {
        assert!(Instant::now() < end, "it does not fail");
        thread::sleep(Duration::from_millis(2));
    }
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let health = Arc::clone(&work.health);
    while metric(&[health.prometheus(), String::new()], "files_read_total") < traffic.parts.len() as u64 {
        assert!(Instant::now() < end, "it does not go on");
        thread::sleep(Duration::from_millis(5));
    }
    let ended = work.finish(true);
    assert_eq!((ended.files, ended.packets), (traffic.parts.len() as u64, 3000));
    assert_eq!(metric(&[health.prometheus(), String::new()], "packets_total"), 3000);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn to_make_hours_again_only_what_they_need_is_read() {
    let traffic = Traffic::new(20_000);
    let expected = traffic.expected();
    let at = traffic.parts.len() - 10;
    let others: Vec<PathBuf> = [&traffic.parts[..at], &traffic.parts[at + 1..]].concat();
    let work = Work::start(traffic.settings());
    others.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
    work.finish(true);
    let first = |part: &PathBuf| Capture::open(part, Io::Auto).unwrap().first_time().unwrap().unwrap();
    let from = Timestamp(hour(first(&traffic.parts[at]).0 - 600 * NS_PER_SECOND));
    let journal = Journal::open(&traffic.output()).unwrap();
    let products = ["groups", "flows", "flows-cic", "buckets-1s"];
    let needs = products.map(|product| journal.needed(SENSOR, product, from).unwrap()).into_iter().min().unwrap();
    // What ends before is gone.
    let gone: Vec<&PathBuf> =
        traffic.parts.windows(2).filter(|two| first(&two[1]) < needs).map(|two| &two[0]).collect();
    assert!(gone.len() > 3, "{needs:?} of {from:?}");
    gone.into_iter().for_each(|part| fs::remove_file(part).unwrap());
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[at..=at])));
    let health = Arc::clone(&work.health);
    assert_eq!(work.finish(true).quarantined, 0);
    assert!(health.status().troubles.is_empty(), "{:?}", health.status().troubles);
    compare(&traffic.made(), &expected);
}
