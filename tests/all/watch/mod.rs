//! The pipeline as a process: files that arrive, kills, quiet, bad files and full disks. What comes out is compared with what a run that
//! nothing disturbed makes; that this is what whole runs make of the whole capture is a test of the library.

mod by_capture;
mod disturbed;
#[cfg(target_os = "linux")]
mod failing_disk;
mod lost_journal;
#[cfg(target_os = "linux")]
mod resting;
#[cfg(feature = "tables")]
mod tables;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::synth::{Spec, frames};
use tempfile::TempDir;

use crate::command::{Ran, command};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(120);

const PRODUCTS: [&str; 4] = ["groups", "flows", "flows:cic", "buckets:1s@csv"];

/// A place with captures of a sensor, by the minute.
struct Site {
    dir: TempDir,
    parts: Vec<PathBuf>,
    products: Vec<&'static str>,
}

impl Site {
    fn new(packets: u64, hours: u32) -> Site {
        Site::by(Duration::from_secs(60), packets, hours)
    }

    /// With captures of this length.
    fn by(length: Duration, packets: u64, hours: u32) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        fs::create_dir_all(&store).unwrap();
        fs::create_dir_all(dir.path().join("in/gate")).unwrap();
        let (mut parts, mut now, mut open) = (Vec::new(), i64::MIN, None);
        frames(&Spec { packets, hours, ..Spec::default() }, |time, wire, frame| {
            let slot = time.ns().div_euclid(length.as_nanos() as i64);
            if slot != now {
                now = slot;
                let path = store.join(format!("capture_{slot}.pcap"));
                let next = PcapWriter::new(File::create(&path)?, PcapLayout::default())?;
                open.replace(next).map_or(Ok(()), |before: PcapWriter<File>| before.finish().map(drop))?;
                parts.push(path);
            }
            open.as_mut().map_or(Ok(()), |open| open.record(time, wire, frame))
        })
        .unwrap();
        open.map(|open| open.finish().unwrap());
        Site { dir, parts, products: PRODUCTS.to_vec() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lets a file arrive: whole by renaming, or as it is written.
    fn arrive(&self, part: &Path, renamed: bool) {
        let place = self.path("in/gate").join(part.file_name().unwrap());
        if renamed {
            let aside = self.path("aside");
            fs::copy(part, &aside).unwrap();
            fs::rename(aside, place).unwrap();
        } else {
            fs::copy(part, place).unwrap();
        }
    }

    /// `watch` from the folder to an output.
    fn watch(&self, output: &str, more: &[&str]) -> Command {
        let mut watch = self.watch_aloud(output, more);
        watch.arg("-q").stderr(Stdio::null());
        watch
    }

    /// The same, and it says what it does.
    fn watch_aloud(&self, output: &str, more: &[&str]) -> Command {
        let mut watch = command(["watch"]);
        watch.arg(self.path("in")).arg("-o").arg(self.path(output)).args(more);
        for product in &self.products {
            watch.args(["--product", product]);
        }
        watch
    }

    /// What the watcher said last of how it is.
    fn status(&self, output: &str) -> Option<serde_json::Value> {
        let text = fs::read(self.path(output).join(".pcap-compactor/status.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Why not all is well, as it was said last.
    fn failed(&self, output: &str) -> String {
        self.status(output).map_or(String::new(), |status| status["reasons"].to_string())
    }

    /// How many unfinished files lie there.
    fn temporary(&self, output: &str) -> usize {
        let entries = walkdir::WalkDir::new(self.path(output)).into_iter().filter_map(Result::ok);
        entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "tmp")).count()
    }

    fn start(&self, output: &str, more: &[&str]) -> Watcher {
        Watcher(self.watch(output, more).spawn().unwrap())
    }

    fn once(&self, output: &str) -> Option<i32> {
        self.watch(output, &["--once", "--stable", "100ms"]).status().unwrap().code()
    }

    /// What is out, by path.
    fn records(&self, output: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = self.path(output);
        // Files come and go while it is walked.
        let entries = walkdir::WalkDir::new(&folder).into_iter().filter_map(Result::ok);
        let is_record = |end: &OsStr| ["csv", "jsonl", "parquet", "arrow"].iter().any(|record| end == *record);
        let ours = |path: &Path| path.extension().is_some_and(is_record);
        entries
            .filter(|entry| entry.file_type().is_file() && ours(entry.path()))
            .filter_map(|entry| {
                Some((entry.path().strip_prefix(&folder).unwrap().to_owned(), fs::read(entry.path()).ok()?))
            })
            .collect()
    }

    /// What a run that nothing disturbs makes of these files.
    fn expected(&self, parts: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
        parts.iter().for_each(|part| self.arrive(part, true));
        assert_eq!(self.once("expected"), Some(0));
        fs::remove_dir_all(self.path("in/gate")).unwrap();
        fs::create_dir(self.path("in/gate")).unwrap();
        self.records("expected")
    }
}

/// A watcher at work, which does not outlive its test.
struct Watcher(Child);

impl Watcher {
    fn kill(mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "it has ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to end, and waits for that.
    fn end(mut self) -> Option<i32> {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The records where time went on behind the last packet: what ended with the input was silent for too long.
fn quiet(mut records: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    for (path, bytes) in &mut records {
        if path.starts_with("flows") {
            *bytes = String::from_utf8_lossy(bytes)
                .replace("\"end_reason\":\"eof\"", "\"end_reason\":\"idle\"")
                .into_bytes();
        }
    }
    records
}

/// Tells where two outputs differ first.
fn same(made: &BTreeMap<PathBuf, Vec<u8>>, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_eq!(made.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, bytes) in made {
        let [made, expected] = [bytes, &expected[path]].map(|bytes| String::from_utf8_lossy(bytes));
        let differs = made.lines().zip(expected.lines()).enumerate().find(|(_, (made, expected))| made != expected);
        let lines = (made.lines().count(), expected.lines().count());
        assert!(made == expected, "{}: {lines:?} lines, the first that differ {differs:?}", path.display());
    }
}

#[test]
fn a_quiet_sensor_closes_its_hours_by_the_wall_clock() {
    let site = Site::new(3000, 1);
    let expected = quiet(site.expected(&site.parts));
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let watcher = site.start("out", &["--rotation", "1s", "--grace", "1s"]);
    until("all hours are out", || site.records("out").len() == expected.len());
    assert_eq!(watcher.end(), Some(0));
    same(&site.records("out"), &expected);
    // It goes on as if nothing had been.
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);
}

/// A place with captures of two hours of which the last minute of the first and the first of the second are silent; and how many are before.
fn silent_around_the_hour() -> (Site, usize) {
    let mut site = Site::new(3000, 2);
    let minute = |part: &PathBuf| -> u64 { part.file_stem().unwrap().to_str().unwrap()[8..].parse().unwrap() };
    let first = minute(&site.parts[0]) / 60;
    let second = site.parts.iter().position(|part| minute(part) / 60 > first).unwrap();
    site.parts.drain(second - 1..=second);
    (site, second - 1)
}

#[test]
fn empty_buckets_in_front_of_a_file_that_grows_are_of_their_hour() {
    let (mut site, before) = silent_around_the_hour();
    site.products = vec!["buckets:1s@csv", "flows"];
    let expected = site.expected(&site.parts);
    for killed in [false, true] {
        let output = format!("out{killed}");
        fs::remove_dir_all(site.path("in/gate")).unwrap();
        fs::create_dir(site.path("in/gate")).unwrap();
        site.parts[..before].iter().for_each(|part| site.arrive(part, true));
        let grows = &site.parts[before];
        let bytes = fs::read(grows).unwrap();
        let watcher = site.start(&output, &["--stable", "100ms"]);
        let read = || site.status(&output).is_some_and(|status| status["sensors"][0]["files"] == before);
        until("the first hour is read", read);
        let mut growing = File::create(site.path("in/gate").join(grows.file_name().unwrap())).unwrap();
        growing.write_all(&bytes).unwrap();
        until("the first hour of buckets is out", || !site.records(&output).is_empty());
        if killed {
            watcher.kill();
        } else {
            watcher.end();
        }
        // It was complete but for being closed.
        drop(growing);
        site.parts[before + 1..].iter().for_each(|part| site.arrive(part, true));
        assert_eq!(site.once(&output), Some(0));
        same(&site.records(&output), &expected);
    }
}

#[test]
fn a_second_watcher_is_refused_and_the_first_is_named() {
    let site = Site::new(1000, 1);
    let first = site.start("out", &[]);
    until("it has begun", || site.path("out/.pcap-compactor/status.json").exists());
    for output in ["out", "other"] {
        let ran = Ran::of(site.watch(output, &[]).stderr(Stdio::piped()).output().unwrap());
        assert!(ran.code == Some(1) && ran.said.contains(&first.0.id().to_string()), "{output}: {}", ran.said);
    }
    assert_eq!(first.end(), Some(0));
}

#[test]
fn captures_that_hours_to_come_need_stay_past_their_time() {
    let (site, before) = silent_around_the_hour();
    let expected = site.expected(&site.parts);
    // All but the last of the first hour is out by the second capture of the second, while flows go on.
    let (early, rest) = site.parts.split_at(before + 5);
    early.iter().for_each(|part| site.arrive(part, true));
    let keep = ["--keep-captures", "1s", "--keep-capture-bytes", "1kB", "--look", "1s"];
    let watcher = site.start("out", &keep);
    let there = || fs::read_dir(site.path("in/gate")).unwrap().count();
    until("old captures go", || there() < early.len());
    assert!(there() > 1, "those stay that are needed");
    watcher.kill();
    rest.iter().for_each(|part| site.arrive(part, true));
    assert_eq!(site.once("out"), Some(0), "none is missed");
    same(&site.records("out"), &expected);
}

#[test]
fn what_stands_there_at_a_restart_has_the_captures_that_its_hours_need() {
    let site = Site::new(5000, 2);
    let expected = quiet(site.expected(&site.parts));
    let (stands, comes) = (site.parts.len() / 3, site.parts.len() - 1);
    for (nth, part) in site.parts.iter().enumerate() {
        if nth != stands && nth != comes {
            site.arrive(part, true);
        }
    }
    assert_eq!(site.once("out"), Some(0));
    // All of them are over their age then, and all of their hours are out.
    std::thread::sleep(Duration::from_millis(1100));
    site.arrive(&site.parts[stands], true);
    let soon = ["--stable", "2s", "--look", "1s", "--rotation", "1s", "--grace", "1s"];
    let watcher = site.start("out", &[&soon[..], &["--keep-captures", "1s"]].concat());
    until("it has begun", || site.status("out").is_some_and(|status| status["running"] != false));
    site.arrive(&site.parts[comes], true);
    let all = || quiet(site.records("out")) == expected;
    let late = || site.status("out").map_or(String::new(), |status| status["troubles"].to_string());
    until("all is out", || all() || late().contains("late"));
    assert!(!late().contains("late"), "{}", late());
    until("then they go", || fs::read_dir(site.path("in/gate")).unwrap().count() < 10);
    assert_eq!(watcher.end(), Some(0));
    same(&quiet(site.records("out")), &expected);
}

#[test]
fn a_capture_that_waits_for_its_first_packet_stays_whatever_its_age() {
    let site = Site::new(3000, 1);
    let expected = site.expected(&site.parts[..1]);
    let path = site.path("in/gate").join(site.parts[0].file_name().unwrap());
    let bytes = fs::read(&site.parts[0]).unwrap();
    // As a tcpdump leaves it that has begun and hears nothing, or a packet and half of the next.
    for written in [24, 1000] {
        let output = format!("out{written}");
        let mut writes = File::create(&path).unwrap();
        writes.write_all(&bytes[..written]).unwrap();
        writes.set_modified(std::time::SystemTime::now() - Duration::from_secs(2400)).unwrap();
        let soon = ["--stable", "100ms", "--look", "1s", "--rotation", "1s", "--grace", "0s"];
        let watcher = site.start(&output, &[&soon[..], &["--keep-captures", "30min"]].concat());
        until("it is read and over its age", || {
            site.status(&output).is_some_and(|status| status["kept_for_hours"] == 1)
        });
        std::thread::sleep(Duration::from_millis(2500));
        assert!(path.exists(), "it was removed while it was written");
        writes.write_all(&bytes[written..]).unwrap();
        drop(writes);
        until("all of it is out", || site.records(&output).len() == expected.len());
        until("it is as it should be", || quiet(site.records(&output)) == quiet(expected.clone()));
        assert_eq!(watcher.end(), Some(0));
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn captures_go_at_the_end_of_a_run_of_what_is_there() {
    let site = Site::new(3000, 1);
    let expected = site.expected(&site.parts);
    site.parts.iter().for_each(|part| site.arrive(part, true));
    std::thread::sleep(Duration::from_millis(1100));
    let once = site.watch("out", &["--once", "--stable", "100ms", "--keep-captures", "1s"]).status().unwrap();
    assert_eq!(once.code(), Some(0));
    same(&site.records("out"), &expected);
    assert_eq!(fs::read_dir(site.path("in/gate")).unwrap().count(), 0);
}

#[test]
fn what_was_removed_to_make_room_is_not_lost() {
    let (site, before) = silent_around_the_hour();
    site.parts[..before + 5].iter().for_each(|part| site.arrive(part, true));
    let full = ["--least-free", "4000TB", "--when-full", "drop-oldest", "--look", "1s"];
    let removed = |what: &str| site.status("out").map_or(0, |status| status[what].as_u64().unwrap());
    let watcher = site.start("out", &full);
    until("what is needed goes, too", || removed("removed_needed") > 0);
    watcher.kill();
    let watcher = site.start("out", &full);
    let troubles = || site.status("out").map_or(String::new(), |status| status["troubles"].to_string());
    until("it is said to be gone", || troubles().contains("was removed though it was needed"));
    assert!(!site.failed("out").contains("lost"), "{}", site.failed("out"));
    assert_eq!(watcher.end(), Some(0));
}
