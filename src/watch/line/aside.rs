//! What is wrong with a file, and where it goes then.

use std::fs;
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

/// What a report says of a file that lies beside it.
const MOVED: &str = "moved here";

/// What it says of one that stays.
const LEFT: &str = "left where it is";

/// Where a file goes that cannot be read, and its report.
fn places(line: &Line, output: &Output, path: &Path) -> Result<(PathBuf, PathBuf)> {
    let folder = Path::new("quarantine").join(&*line.sensor);
    let place = folder.join(output.free_name(path, &folder)?);
    let mut report = place.clone().into_os_string();
    report.push(REPORT);
    Ok((place, report.into()))
}

/// Whether it is this file that has a name.
fn lies_at(path: &Path, identity: &Identity) -> bool {
    path.symlink_metadata()
        .is_ok_and(|now| (now.dev(), now.ino(), now.len()) == (identity.device, identity.inode, identity.size))
}

/// Moves a file that was put aside and lies in the folder still: a run was killed between the two, or somebody has put it back. Tells whether it has;
/// one that cannot be moved stays, and its report does not say otherwise.
pub(super) fn put_away(line: &Line, output: &Output, journal: &Journal, arrival: &Arrival) -> Result<bool> {
    let Arrival { path, identity, .. } = arrival;
    if !promises(path) || !lies_at(path, identity) {
        return Ok(false);
    }
    let reason = journal.reason(identity)?.unwrap_or_default();
    let (place, report) = places(line, output, path)?;
    let told = |what: &str| {
        let text = format!("{}\n{reason}\nput aside before; {what}\n", path.display());
        output.write_whole(&report, text.as_bytes())
    };
    if output.take_in(path, &place)? {
        tracing::warn!(path = %path.display(), sensor = %line.sensor, "was quarantined and still there, and is moved: {reason}");
        if let Err(error) = told(MOVED) {
            tracing::warn!(path = %path.display(), sensor = %line.sensor, "{error}; it has no report");
        }
        return Ok(true);
    }
    let says = fs::read_to_string(line.settings.output.join(&report));
    if says.is_ok_and(|text| text.trim_end().ends_with(MOVED)) {
        told(LEFT)?;
    }
    Ok(false)
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
    let (place, report) = places(line, output, path)?;
    let tried = if tries == 1 { "read once".to_owned() } else { format!("tried {tries} times") };
    let report = |what: &str| {
        let text = format!("{}\n{reason}\n{tried}; {what}\n", path.display());
        output.write_whole(&report, text.as_bytes())
    };
    report(MOVED)?;
    // Known before it is moved: whenever this is stopped, it is told.
    journal.set_aside(&line.sensor, path, identity, State::Quarantined, reason)?;
    tracing::error!(path = %path.display(), sensor = %line.sensor, "quarantined: {reason}");
    line.health.quarantined(&line.sensor);
    line.health.trouble(format!("{}: {reason}", path.display()));
    let is_it = lies_at(path, identity);
    // What is not named as a capture may be needed where it is.
    let moved = match is_it && promises(path) {
        true => output.take_in(path, &place),
        false => Ok(false),
    };
    let told = moved.and_then(|moved| match (moved, is_it) {
        (true, _) => Ok(()),
        (false, true) => report(LEFT),
        (false, false) => report("it is not there any more, and another may have its name"),
    });
    // It is put aside all the same.
    if let Err(error) = told {
        tracing::warn!(path = %path.display(), sensor = %line.sensor, "{error}; it is left where it is");
    }
    Ok(())
}
