//! How a pipeline is doing: what its threads count, as text for Prometheus, as a verdict, and as a [`Status`].
//!
//! Nothing here is counted packet by packet: a file, an hour, a look at the disk costs a lock or less. Counters begin at 0 with the process.
//! A file counts when it is noted that it was read; what is read again later, because a file came late, does not count again.

mod exposition;
mod status;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::arrivals::at::At;
use super::queue::Queue;
use crate::capture;
use crate::engine::FileReport;
use crate::engine::ledger::Tally;
use crate::time::Timestamp;

pub use status::{CaptureStatus, ProductStatus, Reading, STATUS, SensorStatus, Status, Trouble};

/// Rotations that a sensor may be behind.
const MOST_BEHIND: u32 = 3;

/// How long a line works that failed before until it is believed to, if no hour of it is out by then.
const PROVEN: Duration = Duration::from_secs(300);

/// Troubles that are remembered; the oldest go first.
const TROUBLES: usize = 20;

/// What that begins with.
const LOW: &str = "disk: ";

/// What is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// Counters and gauges of one pipeline, for all its threads.
#[derive(Debug)]
pub struct Health {
    begun: SystemTime,
    rotation_ns: AtomicU64,
    least_free: AtomicU64,
    free: AtomicU64,
    kept_for_hours: AtomicU64,
    removed_unread: AtomicU64,
    removed_needed: AtomicU64,
    queue: Arc<Queue>,
    at: Arc<At>,
    stopping: AtomicBool,
    capture: Mutex<Option<Capture>>,
    sensors: Mutex<BTreeMap<String, Sensor>>,
    products: Mutex<BTreeMap<(String, String), Product>>,
    troubles: Mutex<VecDeque<Trouble>>,
}

/// Our own capture.
#[derive(Clone, Copy, Debug, Default)]
struct Capture {
    running: bool,
    begun: u64,
    received: u64,
    captured: u64,
    dropped: u64,
}

#[derive(Clone, Debug, Default)]
struct Sensor {
    files: u64,
    damaged: u64,
    failures: u64,
    quarantined: u64,
    late: u64,
    /// Captures that were gone when they were to be read, or hours needed them.
    lost: BTreeSet<PathBuf>,
    /// The newest of them, and what happened to it.
    last_lost: Option<(PathBuf, &'static str)>,
    wild: u64,
    late_packets: u64,
    live_flows: u64,
    lag: Option<(Duration, Instant)>,
    /// The file that is being read, and since when.
    reading: Option<(PathBuf, SystemTime, Instant)>,
    tally: Tally,
    failed: Option<Failed>,
}

/// Why a line came to an end, and since when it works again.
#[derive(Clone, Debug)]
struct Failed {
    why: String,
    again: Option<Instant>,
}

impl Sensor {
    /// Why it does not work; one that has begun again has not got any further by that.
    fn failed(&self) -> Option<&str> {
        let failed = self.failed.as_ref()?;
        failed.again.is_none_or(|since| since.elapsed() < PROVEN).then_some(failed.why.as_str())
    }

    /// A lag that nobody renews grows: whoever should is stuck.
    fn lag(&self) -> Duration {
        self.lag.map_or(Duration::ZERO, |(lag, since)| match lag {
            Duration::ZERO => lag,
            lag => lag.saturating_add(since.elapsed()),
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Product {
    records: u64,
    hours: u64,
    newest: Option<Timestamp>,
    late: u64,
    stray: u64,
}

impl Health {
    /// Of a pipeline whose sensors begin a file at least every `rotation`, and that is to leave so many bytes of its disk free.
    #[must_use]
    pub fn new(rotation: Duration, least_free: u64) -> Health {
        let health = Health {
            begun: SystemTime::now(),
            rotation_ns: AtomicU64::new(0),
            least_free: AtomicU64::new(0),
            free: AtomicU64::new(UNKNOWN),
            kept_for_hours: AtomicU64::new(0),
            removed_unread: AtomicU64::new(0),
            removed_needed: AtomicU64::new(0),
            queue: Arc::default(),
            at: Arc::default(),
            stopping: AtomicBool::new(false),
            capture: Mutex::default(),
            sensors: Mutex::default(),
            products: Mutex::default(),
            troubles: Mutex::default(),
        };
        health.limits(rotation, least_free);
        health
    }

    /// Takes other limits.
    pub fn limits(&self, rotation: Duration, least_free: u64) {
        self.rotation_ns.store(u64::try_from(rotation.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.least_free.store(least_free, Relaxed);
    }

    /// A file was read, to its end or to where it is damaged.
    pub fn file(&self, sensor: &str, report: &FileReport) {
        self.sensor(sensor, |sensor| {
            sensor.files += 1;
            let whole = matches!(report.capture.status, capture::Status::Complete | capture::Status::Empty);
            sensor.damaged += u64::from(!whole);
            sensor.tally.merge(&report.tally);
        });
    }

    /// A file could not be read, and will be tried again or put aside.
    pub fn failed(&self, sensor: &str) {
        self.sensor(sensor, |sensor| sensor.failures += 1);
    }

    /// A file was put aside.
    pub fn quarantined(&self, sensor: &str) {
        self.sensor(sensor, |sensor| sensor.quarantined += 1);
    }

    /// A file came too late for anything of it to be read.
    pub fn late_file(&self, sensor: &str) {
        self.sensor(sensor, |sensor| sensor.late += 1);
    }

    /// A capture is gone, or cannot be read, of which hours that are not out have something, or should have; `why` says what happened to it. Until
    /// the process ends, not all is well.
    pub fn lost(&self, sensor: &str, capture: &Path, why: &'static str) {
        self.sensor(sensor, |sensor| {
            sensor.lost.insert(capture.to_owned());
            sensor.last_lost = Some((capture.to_owned(), why));
        });
    }

    /// So many packets were of a wild time, and are in no hour.
    pub fn wild(&self, sensor: &str, packets: u64) {
        self.sensor(sensor, |sensor| sensor.wild += packets);
    }

    /// So many packets were of hours of groups that were out, and are in no group.
    pub fn late_packets(&self, sensor: &str, packets: u64) {
        self.sensor(sensor, |sensor| sensor.late_packets += packets);
    }

    /// So many complete files wait to be read, of those that its line was told.
    pub fn queue(&self, sensor: &str, waiting: usize) {
        self.take(sensor, 0, waiting);
    }

    /// The line of a sensor has come to files that it was told, and holds so many.
    pub(super) fn take(&self, sensor: &str, files: usize, held: usize) {
        self.sensor(sensor, |_| self.queue.take(sensor, files, held));
    }

    /// What is read of files before lines have them.
    pub(super) fn at(&self) -> &Arc<At> {
        &self.at
    }

    /// What waits, by sensor.
    pub(super) fn queues(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// How long ago the newest complete file ended that is not out of the engine yet; zero if all are. Until it is told anew, it grows
    /// with the clock.
    pub fn lag(&self, sensor: &str, lag: Duration) {
        self.sensor(sensor, |sensor| sensor.lag = Some((lag, Instant::now())));
    }

    /// A file is being read, or none is any more.
    pub fn reading(&self, sensor: &str, path: Option<&Path>) {
        let reading = path.map(|path| (path.to_owned(), SystemTime::now(), Instant::now()));
        self.sensor(sensor, |sensor| sensor.reading = reading);
    }

    /// So many flows have not ended yet.
    pub fn live_flows(&self, sensor: &str, flows: usize) {
        self.sensor(sensor, |sensor| sensor.live_flows = flows as u64);
    }

    /// The line of a sensor works, or works again.
    pub fn line_began(&self, sensor: &str) {
        self.sensor(sensor, |sensor| {
            if let Some(failed) = &mut sensor.failed {
                failed.again.get_or_insert_with(Instant::now);
            }
        });
    }

    /// The line of a sensor came to an end that it should not have. Until an hour of it is out, or it has worked for five minutes, the pipeline is
    /// not healthy.
    pub fn line_failed(&self, sensor: &str, why: &str) {
        self.sensor(sensor, |sensor| sensor.failed = Some(Failed { why: why.to_owned(), again: None }));
    }

    /// Whether the line of a sensor does not work.
    pub(super) fn has_failed(&self, sensor: &str) -> bool {
        lock(&self.sensors).get(sensor).is_some_and(|sensor| sensor.failed().is_some())
    }

    /// Records were made.
    pub fn records(&self, product: &str, sensor: &str, rows: u64) {
        self.product(product, sensor, |product| product.records += rows);
    }

    /// So many records of hours that were out stand in the next: `late` of packets that came late, and others, which should have been waited for.
    pub fn moved(&self, product: &str, sensor: &str, late: u64, stray: u64) {
        self.product(product, sensor, |product| {
            product.late += late;
            product.stray += stray;
        });
    }

    /// The hour that begins at `start` is out.
    pub fn hour_out(&self, product: &str, sensor: &str, start: Timestamp) {
        self.sensor(sensor, |sensor| sensor.failed = None);
        self.product(product, sensor, |product| {
            product.hours += 1;
            product.newest = product.newest.max(Some(start));
        });
    }

    /// So many bytes are free.
    pub fn disk_free(&self, bytes: u64) {
        // A disk of 2^64 - 1 bytes free would pass for an unknown one.
        self.free.store(bytes.min(UNKNOWN - 1), Relaxed);
    }

    /// So many captures are older than they are to be kept, and needed for hours that are not out, or are made again if files that wait want it; or may
    /// still be written.
    pub fn kept_for_hours(&self, captures: usize) {
        self.kept_for_hours.store(captures as u64, Relaxed);
    }

    /// So many captures were removed for their age or size that had come too late to be read, or whose records had no place.
    pub fn removed_unread(&self, captures: u64) {
        self.removed_unread.fetch_add(captures, Relaxed);
    }

    /// So many captures were removed that hours to come need: flows that began there are cut if the watcher begins anew.
    pub fn removed_needed(&self, captures: u64) {
        self.removed_needed.fetch_add(captures, Relaxed);
    }

    /// Our own capture runs, or does not though it should.
    pub fn capturing(&self, running: bool) {
        let mut capture = lock(&self.capture);
        let capture = capture.get_or_insert_default();
        capture.begun += u64::from(running && !capture.running);
        capture.running = running;
    }

    /// What a run of tcpdump counted, in packets: those that passed its filter, that it captured, and that were dropped.
    pub fn capture_counts(&self, received: u64, captured: u64, dropped: u64) {
        let mut capture = lock(&self.capture);
        let capture = capture.get_or_insert_default();
        capture.received += received;
        capture.captured += captured;
        capture.dropped += dropped;
    }

    /// The pipeline has been asked to end.
    pub fn stopping(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Something that somebody should know of; the last twenty are remembered.
    pub fn trouble(&self, text: impl Into<String>) {
        let mut troubles = lock(&self.troubles);
        if troubles.len() == TROUBLES {
            troubles.pop_front();
        }
        troubles.push_back(Trouble { time: seconds(SystemTime::now()), text: text.into() });
    }

    /// Whether less is free than should be.
    #[must_use]
    pub fn is_low_on_disk(&self) -> bool {
        let free = self.free.load(Relaxed);
        free != UNKNOWN && free < self.least_free.load(Relaxed)
    }

    /// Whether all is well, and if not, why, a reason a line.
    #[must_use]
    pub fn healthy(&self) -> (bool, String) {
        let reasons = self.reasons();
        match reasons.is_empty() {
            true => (true, "ok\n".to_owned()),
            false => (false, reasons.join("\n") + "\n"),
        }
    }

    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.is_low_on_disk() {
            let (free, least) = (self.free.load(Relaxed), self.least_free.load(Relaxed));
            reasons.push(low(free, least));
        }
        let stopping = self.stopping.load(Relaxed);
        if lock(&self.capture).is_some_and(|capture| !capture.running) && !stopping {
            reasons.push("capture: it does not run".to_owned());
        }
        if let Some((path, since)) = self.at.slow() {
            let (path, since) = (path.display(), since.elapsed().as_secs());
            reasons.push(format!("no file is looked at: {path} is read for {since} s, and the disk does not give it"));
        }
        let most = Duration::from_nanos(self.rotation_ns.load(Relaxed)).saturating_mul(MOST_BEHIND);
        for (name, sensor) in &*lock(&self.sensors) {
            if let Some(why) = sensor.failed() {
                reasons.push(format!("sensor {name}: failed: {why}"));
            }
            if let Some((path, why)) = &sensor.last_lost {
                let (lost, path) = (sensor.lost.len(), path.display());
                reasons.push(format!("sensor {name}: captures that are lost: {lost}; the last one: {path}: {why}"));
            }
            let lag = sensor.lag();
            if lag > most {
                let (lag, most) = (lag.as_secs(), most.as_secs());
                reasons.push(format!("sensor {name}: {lag} s behind, more than {MOST_BEHIND} rotations ({most} s)"));
            }
        }
        // One reason is one line, whatever a folder is called.
        for reason in &mut reasons {
            if reason.contains(char::is_control) {
                *reason = reason.replace(char::is_control, "\u{fffd}");
            }
        }
        reasons
    }

    fn sensor<T>(&self, name: &str, change: impl FnOnce(&mut Sensor) -> T) -> T {
        let mut sensors = lock(&self.sensors);
        match sensors.get_mut(name) {
            Some(sensor) => change(sensor),
            None => change(sensors.entry(name.to_owned()).or_default()),
        }
    }

    fn product(&self, product: &str, sensor: &str, change: impl FnOnce(&mut Product)) {
        change(lock(&self.products).entry((product.to_owned(), sensor.to_owned())).or_default());
    }
}

/// What is said where too little is free.
fn low(free: u64, least: u64) -> String {
    format!("{LOW}{free} bytes are free, fewer than {least}")
}

/// What a thread that panicked left is counters still.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Memory that this process holds, in bytes; nothing where the system has no `/proc`.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_wrong_is_said_and_what_is_over_is_not() {
        let health = Health::new(MINUTE, 1000);
        assert_eq!(health.healthy(), (true, "ok\n".into()));
        health.lag("a\nb", 3 * MINUTE + Duration::from_secs(1));
        health.lag("c", 2 * MINUTE);
        health.disk_free(999);
        health.capturing(false);
        health.line_failed("d", "no space");
        health.lost("e", Path::new("1.pcap"), "it vanished before it was read");
        // It is looked for again with every run.
        health.lost("e", Path::new("1.pcap"), "it vanished before it was read");
        let (well, why) = health.healthy();
        let lines: Vec<&str> = why.lines().collect();
        assert!(!well && lines.len() == 5, "{why}");
        assert_eq!(
            lines[4],
            "sensor e: captures that are lost: 1; the last one: 1.pcap: it vanished before it was read"
        );
        assert_eq!(lines[0], "disk: 999 bytes are free, fewer than 1000");
        assert_eq!(lines[1], "capture: it does not run");
        assert_eq!(lines[2], "sensor a\u{fffd}b: 181 s behind, more than 3 rotations (180 s)");
        assert_eq!(lines[3], "sensor d: failed: no space");
        health.lag("a\nb", Duration::ZERO);
        health.disk_free(1000);
        health.capturing(true);
        health.line_began("d");
        assert!(health.healthy().1.contains("sensor d: failed"), "it may fail as it did before");
        health.hour_out("groups", "d", Timestamp(0));
        assert_eq!(health.healthy().1.lines().count(), 1, "what is lost stays so");
        health.limits(Duration::from_secs(30), 1001);
        assert_eq!(health.healthy().1.lines().count(), 3, "c, and the disk: {}", health.healthy().1);
    }

    #[test]
    fn what_waits_came_late_or_was_put_aside_is_counted_and_not_unwell() {
        let health = Health::new(MINUTE, 0);
        // More than a queue takes: the rest waits in the folder.
        health.queue("a", crate::watch::queue::MOST + 1);
        health.failed("a");
        health.quarantined("a");
        health.late_file("a");
        assert_eq!(health.healthy(), (true, "ok\n".into()));
        let text = health.prometheus();
        for name in ["file_failures_total", "files_quarantined_total", "files_late_total"] {
            assert!(text.contains(&format!("pcap_compactor_{name}{{sensor=\"a\"}} 1\n")), "{name}: {text}");
        }
        assert!(text.contains("pcap_compactor_files_waiting{sensor=\"a\"} 4097\n"), "{text}");
    }

    #[test]
    fn a_file_that_is_read_is_shown_with_the_time_since_when() {
        let health = Health::new(MINUTE, 0);
        health.reading("a", Some(Path::new("a/x.pcap")));
        std::thread::sleep(Duration::from_millis(5));
        let reading = health.status().sensors[0].reading.clone().unwrap();
        let now = seconds(SystemTime::now());
        assert!(reading.path == "a/x.pcap" && (now - 5..=now).contains(&reading.since), "{reading:?}");
        let long = |health: &Health| {
            let text = health.prometheus();
            let line = text.lines().find(|line| line.starts_with("pcap_compactor_reading_seconds{sensor=\"a\"} "));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap()
        };
        assert!(long(&health) >= 0.005);
        health.reading("a", None);
        assert_eq!((long(&health), health.status().sensors[0].reading.is_none()), (0.0, true));
    }

    #[test]
    fn a_lag_that_nobody_renews_grows() {
        let health = Health::new(Duration::from_millis(1), 0);
        health.lag("all out", Duration::ZERO);
        health.lag("stuck", Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(5));
        let (well, why) = health.healthy();
        assert!(!well && why.contains("sensor stuck: ") && !why.contains("all out"), "{why}");
    }

    #[test]
    fn a_capture_that_ends_with_everything_is_no_trouble() {
        let health = Health::new(MINUTE, 0);
        health.capturing(true);
        health.stopping();
        health.capturing(false);
        assert!(health.healthy().0);
    }

    #[test]
    fn troubles_are_the_last_ones() {
        let health = Health::new(MINUTE, 0);
        (0..TROUBLES + 5).for_each(|n| health.trouble(format!("{n}")));
        let troubles = health.status().troubles;
        assert_eq!((troubles.len(), troubles[0].text.as_str()), (TROUBLES, "5"));
    }
}
