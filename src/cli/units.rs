//! What `compact` runs over: one unit, or one for each sensor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_compactor::capture::{Cause, Input, Skipped, expand, hour_folder, hours, segments};
use pcap_compactor::views::groups::Window;
use pcap_compactor::{Error, Timestamp};

use super::Exit;

/// The files of one run.
pub(crate) struct Unit {
    /// Its sensor, where sensors run apart.
    pub(crate) sensor: Option<String>,
    /// What to read.
    pub(crate) inputs: Vec<Input>,
}

impl Unit {
    /// Its folder under the one for all output: a sensor that runs apart has its own.
    pub(crate) fn folder(&self, all: &Path) -> PathBuf {
        self.sensor.as_ref().map_or(all.to_owned(), |sensor| all.join(sensor))
    }
}

/// Everything that was found.
pub(crate) struct Found {
    pub(crate) units: Vec<Unit>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) failed: Vec<Error>,
    /// Sensors without a file to read.
    pub(crate) silent: Vec<String>,
}

/// The files that a user named.
pub(crate) fn named(inputs: &[PathBuf], by_sensor: bool) -> Found {
    let found = expand(inputs);
    let unit = Unit { sensor: by_sensor.then(|| "local".to_owned()), inputs: found.captures };
    Found { units: vec![unit], skipped: found.skipped, failed: found.failed, silent: Vec::new() }
}

/// The segments of sensors in a range of time.
pub(crate) fn of_sensors(
    root: &Path,
    sensors: &[String],
    range: Window,
    by_sensor: bool,
) -> pcap_compactor::Result<Found> {
    let found = segments(root, &distinct(sensors), range.start, range.end, Duration::from_millis(500))?;
    let mut units: Vec<Unit> = Vec::new();
    for segment in found.list {
        let sensor = by_sensor.then_some(segment.sensor);
        let input = Input::File(segment.path);
        match units.last_mut() {
            Some(unit) if unit.sensor == sensor => unit.inputs.push(input),
            _ => units.push(Unit { sensor, inputs: vec![input] }),
        }
    }
    Ok(Found { units, skipped: found.skipped, failed: found.failed, silent: found.silent })
}

/// Says that sensors have nothing in a range of time: where it was looked for, and what there is.
pub(crate) fn nothing_of_sensors(root: &Path, sensors: &[String], range: Window) -> String {
    const HOUR: i64 = 3600 * 1_000_000_000;
    let from = hour_folder(Timestamp(range.start.ns().saturating_sub(HOUR)));
    let to = hour_folder(Timestamp(range.end.ns().saturating_sub(1)));
    let there = match hours(root, &distinct(sensors)) {
        Ok(Some((first, last))) => {
            format!("the hours that are there go from {} to {}", hour_folder(first), hour_folder(last))
        }
        _ => "no such folder is there at all".into(),
    };
    format!("{}: there are no captures in SENSOR/{from} to {to} (UTC); {there}", root.display())
}

fn distinct(sensors: &[String]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for sensor in sensors.iter().filter(|sensor| !sensor.is_empty()) {
        if !distinct.contains(sensor) {
            distinct.push(sensor.clone());
        }
    }
    distinct
}

/// Whether leaving a file out makes the run a partial one.
pub(crate) fn weight(skipped: &Skipped) -> Exit {
    match skipped.cause {
        Cause::Repeated | Cause::Hidden | Cause::NotACapture | Cause::Output => Exit::Ok,
        _ => Exit::Partial,
    }
}
