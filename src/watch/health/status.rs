//! How a pipeline is doing, for somebody who looks at its folder.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Health, LOW, UNKNOWN, lock, low, resident, seconds};
use crate::error::Result;
use crate::watch::output::Output;

/// A pipeline at one moment. Times are in seconds since 1970, counts since its process began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this library.
    pub version: String,
    /// The number of the process.
    pub process: u32,
    /// When it began.
    pub begun: i64,
    /// When this was so.
    pub time: i64,
    /// Whether all is well.
    pub healthy: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// Whether it has been asked to end.
    pub stopping: bool,
    /// By name.
    pub sensors: Vec<SensorStatus>,
    /// By product and sensor.
    pub products: Vec<ProductStatus>,
    /// Free bytes on the disk, once they have been looked at.
    pub disk_free: Option<u64>,
    /// Bytes that are to be free.
    pub least_free: u64,
    /// Captures that are older than they are to be kept, and needed for hours that are not out, or are made again if files that wait want it; or that
    /// may still be written.
    pub kept_for_hours: u64,
    /// Captures that came too late to be read, or whose records had no place, and were removed for their age or size.
    #[serde(default)]
    pub removed_unread: u64,
    /// Captures that were removed though hours to come need them.
    #[serde(default)]
    pub removed_needed: u64,
    /// Our own capture, if there is one.
    pub capture: Option<CaptureStatus>,
    /// Memory of the process in bytes, where the system tells.
    pub resident: Option<u64>,
    /// The last troubles, oldest first.
    pub troubles: Vec<Trouble>,
}

/// A sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorStatus {
    /// Its name.
    pub sensor: String,
    /// Complete files that are not read yet.
    pub waiting: u64,
    /// How many seconds ago the newest complete file ended that is not out of the engine; 0 if all are.
    pub lag_seconds: f64,
    /// The file that is being read, if one is.
    #[serde(default)]
    pub reading: Option<Reading>,
    /// Files that were read.
    pub files: u64,
    /// Those of them that are damaged, and read to there.
    pub damaged: u64,
    /// Times that a file could not be read.
    pub failures: u64,
    /// Files that were put aside.
    pub quarantined: u64,
    /// Files that came too late.
    pub late: u64,
    /// Captures that were gone, or could not be read, before they were read or their hours were out.
    #[serde(default)]
    pub lost: u64,
    /// Packets in files that were read.
    pub packets: u64,
    /// Those of them that products were made of.
    pub accepted: u64,
    /// Flows that have not ended yet.
    pub live_flows: u64,
    /// Why nothing of this sensor is worked on, if that is so.
    pub failed: Option<String>,
}

/// A file that is being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Where it is.
    pub path: String,
    /// Since when.
    pub since: i64,
}

/// A product of a sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductStatus {
    /// The product's name.
    pub product: String,
    /// The sensor's name.
    pub sensor: String,
    /// Records that were made.
    pub records: u64,
    /// Hours that are out.
    pub hours: u64,
    /// When the newest of them begins.
    pub newest: Option<i64>,
}

/// Our own capture. Counts are of runs of tcpdump that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStatus {
    /// Whether tcpdump runs.
    pub running: bool,
    /// How often it began.
    pub begun: u64,
    /// Packets that passed its filter.
    pub received: u64,
    /// Packets that it captured.
    pub captured: u64,
    /// Packets that were lost, because nobody took them in time.
    pub dropped: u64,
}

/// Something that somebody should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When.
    pub time: i64,
    /// What.
    pub text: String,
}

/// Where a status lies, from the output folder on.
pub const STATUS: &str = ".pcap-compactor/status.json";

impl Status {
    /// Whether nothing has happened between this and an earlier one. Time, lag and memory go on by themselves.
    #[must_use]
    pub fn is_as(&self, before: &Status) -> bool {
        let mut now = self.clone();
        (now.time, now.resident, now.disk_free) = (before.time, before.resident, before.disk_free);
        for (sensor, before) in now.sensors.iter_mut().zip(&before.sensors) {
            sensor.lag_seconds = before.lag_seconds;
        }
        now == *before
    }

    /// Takes in what is free now. That is what has changed where nothing can be written any more, this status not either.
    pub fn disk(&mut self, free: u64) {
        if self.disk_free.is_some_and(|noted| noted <= free) {
            return;
        }
        self.disk_free = Some(free);
        if free < self.least_free {
            self.healthy = false;
            self.reasons.retain(|reason| !reason.starts_with(LOW));
            self.reasons.insert(0, low(free, self.least_free));
        }
    }

    /// Puts a status, as text, to its place in a pipeline's output folder; whole, and through no link.
    ///
    /// # Errors
    /// The folder is not there, or cannot be written.
    pub fn put(text: &[u8], output: &Path) -> Result<()> {
        Output::open(output)?.write_whole(Path::new(STATUS), text)
    }
}

impl Health {
    /// How it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        let reasons = self.reasons();
        let sensors = lock(&self.sensors);
        let products = lock(&self.products);
        let free = self.free.load(Relaxed);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            begun: seconds(self.begun),
            time: seconds(SystemTime::now()),
            healthy: reasons.is_empty(),
            reasons,
            stopping: self.stopping.load(Relaxed),
            sensors: sensors
                .iter()
                .map(|(name, sensor)| SensorStatus {
                    sensor: name.clone(),
                    waiting: self.queue.waiting(name),
                    lag_seconds: sensor.lag().as_secs_f64(),
                    reading: sensor
                        .reading
                        .as_ref()
                        .map(|(path, since, _)| Reading { path: path.display().to_string(), since: seconds(*since) }),
                    files: sensor.files,
                    damaged: sensor.damaged,
                    failures: sensor.failures,
                    quarantined: sensor.quarantined,
                    late: sensor.late,
                    lost: sensor.lost.len() as u64,
                    packets: sensor.tally.intake.read.packets,
                    accepted: sensor.tally.intake.accepted.packets,
                    live_flows: sensor.live_flows,
                    failed: sensor.failed().map(str::to_owned),
                })
                .collect(),
            products: products
                .iter()
                .map(|((name, sensor), product)| ProductStatus {
                    product: name.clone(),
                    sensor: sensor.clone(),
                    records: product.records,
                    hours: product.hours,
                    newest: product.newest.map(|time| time.seconds()),
                })
                .collect(),
            disk_free: (free != UNKNOWN).then_some(free),
            least_free: self.least_free.load(Relaxed),
            kept_for_hours: self.kept_for_hours.load(Relaxed),
            removed_unread: self.removed_unread.load(Relaxed),
            removed_needed: self.removed_needed.load(Relaxed),
            capture: lock(&self.capture).map(|capture| CaptureStatus {
                running: capture.running,
                begun: capture.begun,
                received: capture.received,
                captured: capture.captured,
                dropped: capture.dropped,
            }),
            resident: resident(),
            troubles: lock(&self.troubles).iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_status_reads_back_as_it_was_written() {
        let health = Health::new(Duration::from_secs(60), 1000);
        health.queue("a", 3);
        health.lag("a", Duration::from_secs(5));
        health.records("groups", "a", 7);
        health.hour_out("groups", "a", crate::Timestamp::from_seconds(3600));
        health.capture_counts(3, 2, 1);
        health.disk_free(999);
        health.trouble("x\ny");
        let status = health.status();
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status, "{text}");
        assert_eq!((status.healthy, status.sensors[0].waiting, status.products[0].newest), (false, 3, Some(3600)));
        assert!(status.begun > 1_700_000_000 && status.time >= status.begun);
        let mut full = Status { healthy: true, ..status.clone() };
        full.disk(2000);
        assert_eq!((full.healthy, full.disk_free), (true, Some(999)));
        full.disk(0);
        assert_eq!((full.healthy, full.disk_free), (false, Some(0)));
        let disk: Vec<&String> = full.reasons.iter().filter(|reason| reason.starts_with("disk: ")).collect();
        assert_eq!(disk, ["disk: 0 bytes are free, fewer than 1000"]);
        let mut later = Status { time: status.time + 5, resident: Some(1), ..status.clone() };
        later.sensors[0].lag_seconds += 5.0;
        assert!(later.is_as(&status));
        later.sensors[0].waiting += 1;
        assert!(!later.is_as(&status));
    }
}
