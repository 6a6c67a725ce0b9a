//! What is wrong with a file, and where it goes then.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Line;
use crate::capture::{Capture, Io, Report, Status, identity};
use crate::engine::FileReport;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::{Arrival, promises};
use crate::watch::journal::{Journal, State};
use crate::watch::keeper::REPORT;
use crate::watch::output::Output;
use crate::watch::wild::DAY;

/// The time of a file's first packet, if it is a capture.
pub(super) fn begins(path: &Path) -> Result<Option<Timestamp>> {
    // It may have become a pipe, which is not waited for.
    identity::open(path).map_err(|source| Error::io("read", path, source))?;
    let refused = |message: String| Err(ErrorKind::Watch { path: path.to_owned(), message }.into());
    let mut capture = Capture::open(path, Io::Auto)?;
    let first = capture.first_time()?;
    let report = capture.report();
    if first.is_none() && matches!(report.status, Status::Unsupported | Status::Corrupt) {
        return refused(fault(report));
    }
    if first.is_some_and(|first| first > tomorrow()) {
        let why = "its first packet is of a time to come, and nothing could follow it; mend its times, or the clock";
        return refused(why.to_owned());
    }
    Ok(first)
}

/// The latest packet of a file that is of no wild time; `believed` is the latest that views have seen.
pub(super) fn last_packet(report: &FileReport, believed: Option<Timestamp>) -> Option<Timestamp> {
    let capture = &report.capture;
    let Some(believed) = believed else {
        let tomorrow = tomorrow();
        return capture.max_time.filter(|time| *time <= tomorrow).or(capture.last_time);
    };
    let near = |time: &Timestamp| time.0.saturating_sub(believed.0) <= DAY;
    Some(capture.max_time.filter(near).unwrap_or(believed))
}

/// A time that no clock can show yet, nanoseconds.
pub(super) fn tomorrow() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX).saturating_add(DAY))
}

/// What was wrong with a file that was read.
pub(super) fn damage(report: &FileReport) -> Option<String> {
    matches!(report.capture.status, Status::Truncated | Status::Corrupt | Status::Unsupported)
        .then(|| fault(&report.capture))
}

/// Says it for people.
fn fault(report: &Report) -> String {
    let at = report.offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
    format!("{}{at}: {}", report.status.name(), report.message.as_deref().unwrap_or("no more is known"))
}

/// What stands behind the tries in the report of a file that lies beside it.
const MOVED: &str = "moved here; put it back to have it tried again";

/// In the output, the folder of what was put aside of a sensor.
fn folder(sensor: &str) -> PathBuf {
    Path::new("quarantine").join(sensor)
}

/// The report of a file in that folder.
fn report_of(place: &Path) -> PathBuf {
    let mut report = place.as_os_str().to_owned();
    report.push(REPORT);
    report.into()
}

/// Whether it is this file that has a name.
fn lies_at(path: &Path, identity: &Identity) -> bool {
    path.symlink_metadata()
        .is_ok_and(|now| (now.dev(), now.ino(), now.len()) == (identity.device, identity.inode, identity.size))
}

/// Knows nothing any more of a file that was put aside and lies in the folder again: somebody has mended the clock or the disk, say, and put it
/// back, or a run was killed before it was moved. It is tried as any other.
pub(super) fn is_put_back(line: &Line, output: &Output, journal: &Journal, arrival: &Arrival) -> Result<()> {
    let Arrival { path, identity, .. } = arrival;
    let Some((sensor, place)) = journal.whose(identity)? else { return Ok(()) };
    let folder = folder(&sensor);
    // One that was left where it was is known by that path.
    let was_moved = place != *path && place.parent().is_some_and(|parent| parent.ends_with(&folder));
    if !was_moved || journal.knows(identity)? != Some(State::Quarantined) || !lies_at(path, identity) {
        return Ok(());
    }
    journal.forget_quarantined(identity.device, identity.inode, identity.size)?;
    tracing::info!(path = %path.display(), sensor = %line.sensor, "was put aside, and is tried again");
    // One that has two names may lie there by the other.
    let report = report_of(&folder.join(place.file_name().unwrap_or_default()));
    if place.exists() { Ok(()) } else { output.remove(&report) }
}

/// Takes a file that cannot be read out of the way, after so many tries, with a report of the reason beside it.
pub(super) fn quarantine(
    line: &Line,
    output: &Output,
    journal: &Journal,
    arrival: &Arrival,
    (reason, tries): (&str, u32),
) -> Result<()> {
    let Arrival { path, identity, .. } = arrival;
    let folder = folder(&line.sensor);
    let place = folder.join(output.free_name(path, &folder, REPORT)?);
    let report = report_of(&place);
    let tried = if tries == 1 { "read once".to_owned() } else { format!("tried {tries} times") };
    let report = |what: &str| {
        let text = format!("{}\n{reason}\n{tried}; {what}\n", path.display());
        output.write_whole(&report, text.as_bytes())
    };
    report(MOVED)?;
    // Known before it is moved: whenever this is stopped, it is told, and tried again.
    journal.set_aside(&line.sensor, &output.path().join(&place), identity, State::Quarantined, reason)?;
    tracing::error!(path = %path.display(), sensor = %line.sensor, "quarantined: {reason}");
    line.health.quarantined(&line.sensor);
    line.health.trouble(format!("{}: {reason}", path.display()));
    let is_it = lies_at(path, identity);
    // What is not named as a capture may be needed where it is.
    let stays = match (is_it, promises(path)) {
        (true, true) => output.take_in(path, &place).err().map(|error| format!("left where it is: {error}")),
        (true, false) => Some("left where it is, as it is not named as a capture".to_owned()),
        (false, _) => Some("it is not there any more, and another may have its name".to_owned()),
    };
    let told = stays.map_or(Ok(()), |stays| journal.moved(identity, path).and_then(|_| report(&stays)));
    // It is put aside all the same.
    if let Err(error) = told {
        tracing::warn!(path = %path.display(), sensor = %line.sensor, "{error}; it is left where it is");
    }
    Ok(())
}
