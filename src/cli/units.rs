//! What `compact` runs over: one unit, or one for each sensor.

use std::path::PathBuf;
use std::time::Duration;

use pcap_compactor::Error;
use pcap_compactor::capture::{Cause, Input, Skipped, expand, segments};
use pcap_compactor::views::groups::Window;

use super::Exit;

/// The files of one run.
pub(crate) struct Unit {
    /// Its sensor, where sensors run apart.
    pub(crate) sensor: Option<String>,
    /// What to read.
    pub(crate) inputs: Vec<Input>,
}

/// Everything that was found.
pub(crate) struct Found {
    pub(crate) units: Vec<Unit>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) failed: Vec<Error>,
}

/// The files that a user named.
pub(crate) fn named(inputs: &[PathBuf], by_sensor: bool) -> Found {
    let found = expand(inputs);
    let unit = Unit { sensor: by_sensor.then(|| "local".to_owned()), inputs: found.captures };
    Found { units: vec![unit], skipped: found.skipped, failed: found.failed }
}

/// The segments of sensors in a range of time.
pub(crate) fn of_sensors(
    root: &std::path::Path,
    sensors: &[String],
    range: Window,
    by_sensor: bool,
) -> pcap_compactor::Result<Found> {
    let mut distinct: Vec<String> = Vec::new();
    for sensor in sensors.iter().filter(|sensor| !sensor.is_empty()) {
        if !distinct.contains(sensor) {
            distinct.push(sensor.clone());
        }
    }
    let found = segments(root, &distinct, range.start, range.end, Duration::from_millis(500))?;
    let mut units: Vec<Unit> = Vec::new();
    for segment in found.list {
        let sensor = by_sensor.then_some(segment.sensor);
        let input = Input::File(segment.path);
        match units.last_mut() {
            Some(unit) if unit.sensor == sensor => unit.inputs.push(input),
            _ => units.push(Unit { sensor, inputs: vec![input] }),
        }
    }
    Ok(Found { units, skipped: found.skipped, failed: found.failed })
}

/// Whether leaving a file out makes the run a partial one.
pub(crate) fn weight(skipped: &Skipped) -> Exit {
    match skipped.cause {
        Cause::Repeated | Cause::Hidden | Cause::NotACapture => Exit::Ok,
        _ => Exit::Partial,
    }
}
