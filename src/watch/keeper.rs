//! What is removed when, and how much room there is.
//!
//! A capture goes when it is over its age or there are too many bytes of captures, the oldest first; but only if this pipeline was given it, it is
//! still the file that it was, all of its packets are in hours that are out for all products by the hour, no hour to come needs them, and the
//! records are out that it has by itself, or it was told that it gets none; and only if nobody writes it any more (`writers.rs`). One without packets has
//! none that would hold it, so that alone holds what tcpdump has begun and waits with. Where the system does not say who writes, what shows it is another
//! capture of the sensor that was changed later: the last of each stays. Until then a capture stays, and is counted. What lives for ever does not hold
//! captures for ever: for a flow none is needed of more than a day before the hours to come.
//!
//! As long as files of a sensor wait that begin before what was read, its captures stay, since hours that are out may be made of them again; so
//! they do at a start, until it is known what waits. These are counted as well.
//!
//! Where room is made because the disk is full, those go, too, that only hours to come need; they are counted and named. A flow that began
//! there is then cut if the pipeline is begun anew, and nothing else. A capture that came too late, or gets no records by itself, goes by the same
//! rules; that is counted, too.
//!
//! Records go with their hours, when these are out: for their age file by file, for their size all of an hour, the oldest first; reports of what could not be read, and these files, by how long they lie there, or by their size.
//!
//! Nothing is removed but regular files below the two folders that were there at the first look, that nobody is known to write, and no link is followed on the way. Between the
//! last look at a file and its removal another can take its name; no system prevents that.

mod root;
#[cfg(test)]
mod tests;
mod writers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::root::{Found, Root};
use self::writers::{Writers, writers};
use super::journal::{Held, Journal, Out};
use super::settings::{Settings, WhenFull};
use crate::capture::hour_folder;
use crate::error::Result;
use crate::time::{NS_PER_SECOND, Timestamp};

/// So many looks are from one at a capture that is not where it was to the next: it may be there again, or have got another name.
const AGAIN: i64 = 5;

/// What the name of a report has behind that of its file.
pub(super) const REPORT: &str = ".reason.txt";

/// Bytes of a block, as files are measured in.
const BLOCK: u64 = 512;

/// What a look found and did.
#[derive(Debug, Default)]
pub struct Looked {
    /// Files that were removed, and their bytes.
    pub removed: Vec<(PathBuf, u64)>,
    /// Captures that are over their age or size and stay, because their hours are not out, or hours to come need them, or may need them when they
    /// are made again, or because they may still be written.
    pub kept_for_hours: u64,
    /// Those of them that stay because files wait that begin before what was read, or that could not be read yet.
    pub kept_for_files: u64,
    /// Those of them that stay because they may still be written.
    pub kept_for_writers: u64,
    /// Captures that were removed though hours to come need them: a flow that still lives began there or before.
    pub needed: u64,
    /// Captures that were removed though records lack them: they had come too late, or the records that they were to have by themselves had no place.
    pub unread: u64,
    /// Bytes that are free, where there are fewer: for captures or for records.
    pub free: u64,
    /// Whether these are fewer than [`Settings::least_free`].
    pub low: bool,
    /// Whether nothing more is to be captured: from when there is too little room for captures until a tenth more than that is free.
    /// Only with [`WhenFull::StopCapturing`].
    pub stop_capturing: bool,
}

/// Removes what is over, and watches the room.
#[derive(Debug)]
pub struct Keeper {
    settings: Arc<Settings>,
    folder: Root,
    output: Root,
    /// When captures were last changed, by their row; nothing of those that are not there.
    changed: HashMap<i64, Option<i64>>,
    /// Looks at captures that were taken, modulo [`AGAIN`].
    turn: i64,
    /// Whether captures have records by themselves.
    by_capture: bool,
    /// Sensors whose captures stay.
    waits: BTreeSet<String>,
    stopped: bool,
    /// Captures that stayed at the last look, for hours, for files, and for who writes them.
    kept: [u64; 3],
    /// Who writes a file, with its path.
    writers: fn(&File, &Path) -> Writers,
}

/// Bytes that are free where a folder lies.
type Free<'f> = &'f dyn Fn(&Path, &File) -> io::Result<u64>;

impl Keeper {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Keeper {
        let (folder, output) = (Root::new(&settings.folder), Root::new(&settings.output));
        let by_capture = settings.by_capture();
        Keeper {
            settings,
            folder,
            output,
            changed: HashMap::new(),
            turn: 0,
            by_capture,
            waits: BTreeSet::new(),
            stopped: false,
            kept: [0; 3],
            writers,
        }
    }

    /// Looks at everything, and removes what is over. A file that cannot be removed is said to be so in a warning, and tried again the next time.
    ///
    /// # Errors
    /// The watched or the output folder cannot be opened, or is another than at the first look; the journal cannot be read or written.
    pub fn look(&mut self, journal: &Journal, now: SystemTime) -> Result<Looked> {
        self.look_at(journal, now, &of_disk)
    }

    /// Of these sensors files wait, from now on, that may need captures of hours that are out; of others none.
    pub fn wait_for(&mut self, sensors: BTreeSet<String>) {
        self.waits = sensors;
    }

    /// The bytes that are free, for captures or for records, where there are fewer.
    ///
    /// # Errors
    /// One of the folders cannot be opened.
    pub fn free(&mut self) -> Result<u64> {
        self.folder.open()?;
        self.output.open()?;
        Ok(self.folder.free(&of_disk)?.min(self.output.free(&of_disk)?))
    }

    fn look_at(&mut self, journal: &Journal, now: SystemTime, free: Free<'_>) -> Result<Looked> {
        let now = nanoseconds(now);
        self.folder.open()?;
        self.output.open()?;
        let mut looked = Looked::default();
        self.records(journal, now, &mut looked)?;
        self.reports(journal, now, &mut looked)?;
        let before = self.folder.free(free)?;
        self.captures(journal, now, before, &mut looked)?;

        let least = self.settings.least_free;
        let for_captures = if looked.removed.is_empty() { before } else { self.folder.free(free)? };
        looked.free = for_captures.min(self.output.free(free)?);
        looked.low = looked.free < least;
        // Not on and off with every file that comes and goes.
        let enough = if self.stopped { least.saturating_add(least / 10) } else { least };
        self.stopped = self.settings.when_full == WhenFull::StopCapturing && for_captures < enough;
        looked.stop_capturing = self.stopped;
        self.say(&looked);
        Ok(looked)
    }

    fn say(&mut self, looked: &Looked) {
        let Looked { kept_for_hours, kept_for_files, kept_for_writers, .. } = *looked;
        let kept = [kept_for_hours - kept_for_files - kept_for_writers, kept_for_files, kept_for_writers];
        let why = [
            "hours that are not out need them",
            "files wait, or are looked for at the start, that may need them",
            "they may still be written: somebody has them open, or who does is not known, and none of their sensors is newer",
        ];
        for ((captures, before), why) in kept.into_iter().zip(self.kept).zip(why) {
            if captures > 0 && before == 0 {
                tracing::warn!(captures, "captures that are over their age or size stay: {why}");
            }
        }
        if looked.needed > 0 {
            let captures = looked.needed;
            tracing::warn!(
                captures,
                "captures were removed in which live flows began: a restart would cut these flows"
            );
        }
        if looked.unread > 0 {
            let captures = looked.unread;
            tracing::warn!(captures, "captures were removed that had come too late, or whose records had no place");
        }
        self.kept = kept;
    }

    /// Removes captures, the oldest first, until none is over and there is room.
    fn captures(&mut self, journal: &Journal, now: i64, mut free: u64, looked: &mut Looked) -> Result<()> {
        let Settings { keep, least_free, when_full, .. } = *self.settings;
        let makes_room = when_full == WhenFull::DropOldest && free < least_free;
        if keep.captures.is_none() && keep.capture_bytes.is_none() && !makes_room {
            return Ok(());
        }
        let held = self.held(journal)?;
        let mut total: u64 = held.iter().map(|(_, held)| held.identity.size).sum();
        let newest = newest(&held);
        let mut outs = HashMap::new();
        let mut gone = Vec::new();
        for (last_change, held) in held {
            let over = is_over(keep.captures, last_change, now) || keep.capture_bytes.is_some_and(|most| total > most);
            let is_full = makes_room && free < least_free;
            if !(over || is_full) {
                break;
            }
            let out = match outs.get(&held.sensor) {
                Some(out) => *out,
                None => *outs.entry(held.sensor.clone()).or_insert(self.out(journal, &held.sensor)?),
            };
            let is_out = held.read && held.last.is_none_or(|last| last < out.until);
            let is_needed = held.last.is_some_and(|last| last >= out.needs);
            let stays = !is_out || is_needed && !is_full;
            if stays || self.by_capture && !(held.own || held.refused) {
                looked.kept_for_hours += u64::from(over);
                continue;
            }
            if !is_full && self.waits.contains(&held.sensor) {
                looked.kept_for_hours += 1;
                looked.kept_for_files += 1;
                continue;
            }
            match self.folder.find(self.folder.below(&held.path)) {
                Ok(Some(found)) if is(&found.metadata, &held) => {
                    let now_changed = changed(&found.metadata);
                    if now_changed != last_change {
                        // It may be written anew without having grown; by the next look that is known.
                        self.changed.insert(held.id, Some(now_changed));
                        continue;
                    }
                    let is_last = newest.get(&held.sensor).is_none_or(|newest| *newest <= last_change);
                    if self.may_be_written(&found, &held.path, is_last) {
                        looked.kept_for_hours += u64::from(over);
                        looked.kept_for_writers += u64::from(over);
                        continue;
                    }
                    if let Err(error) = found.remove() {
                        cannot(&held.path, &error);
                        continue;
                    }
                    let there = &found.metadata;
                    // What a file held is free later, on some file systems; more would go than has to.
                    free = free.saturating_add(if there.nlink() == 1 { there.blocks() * BLOCK } else { 0 });
                    looked.unread += u64::from(held.late || self.by_capture && held.refused);
                    if is_needed {
                        looked.needed += 1;
                        tracing::warn!(path = %held.path.display(), sensor = held.sensor, "is removed though a live flow began there or before");
                    }
                    looked.removed.push((held.path, there.size()));
                    gone.push(held.id);
                }
                Ok(_) => {}
                Err(error) => {
                    cannot(&held.path, &error);
                    continue;
                }
            }
            total -= held.identity.size;
            self.changed.insert(held.id, None);
        }
        if gone.is_empty() { Ok(()) } else { journal.removed_captures(&gone) }
    }

    /// Whether somebody may still write a capture; `is_last` says that none of its sensor was changed later.
    fn may_be_written(&self, found: &Found, path: &Path, is_last: bool) -> bool {
        match (self.writers)(&found.file, path) {
            Writers::Nobody => false,
            Writers::Somebody => true,
            Writers::Unknown => is_last,
        }
    }

    /// Captures that are still what they were, and when they were last changed; the oldest first.
    fn held(&mut self, journal: &Journal) -> Result<Vec<(i64, Held)>> {
        let before = std::mem::take(&mut self.changed);
        self.turn = (self.turn + 1) % AGAIN;
        let mut there = Vec::new();
        for held in journal.held()? {
            let changed = match before.get(&held.id) {
                Some(Some(changed)) => Some(*changed),
                // Few at each look, however many are gone.
                Some(None) if held.id % AGAIN != self.turn => None,
                _ => match self.folder.find(self.folder.below(&held.path)) {
                    Ok(found) => found.filter(|found| is(&found.metadata, &held)).map(|found| changed(&found.metadata)),
                    // It may be there the next time.
                    Err(_) => continue,
                },
            };
            self.changed.insert(held.id, changed);
            there.extend(changed.map(|changed| (changed, held)));
        }
        there.sort_by(|(a_changed, a), (b_changed, b)| (a_changed, &a.path).cmp(&(b_changed, &b.path)));
        Ok(there)
    }

    /// How far all products by the hour of a sensor are.
    fn out(&self, journal: &Journal, sensor: &str) -> Result<Out> {
        let mut all = Out { until: Timestamp::MAX, needs: Timestamp::MAX };
        for product in self.settings.by_hour() {
            let out = journal.out(sensor, &product.name())?;
            all = Out { until: all.until.min(out.until), needs: all.needs.min(out.needs) };
        }
        Ok(all)
    }

    /// Removes records, the oldest hours first.
    fn records(&self, journal: &Journal, now: i64, looked: &mut Looked) -> Result<()> {
        let keep = self.settings.keep;
        if keep.records.is_none() && keep.record_bytes.is_none() {
            return Ok(());
        }
        let hours = journal.written()?;
        let mut total: u64 = hours.iter().map(|hour| hour.file.bytes).sum();
        let mut begun = None;
        for hour in hours {
            // What an hour has begun to lose it loses whole.
            let large = keep.record_bytes.is_some_and(|most| total > most) || begun == Some(hour.file.hour);
            // What is of a time that is not over its age was written later yet, unless that time is still to come.
            let began = hour.file.hour.ns();
            let young = began <= now && !is_over(keep.records, began, now);
            if young && !large {
                continue;
            }
            let mut by_capture = self.settings.products.iter().filter(|product| product.is_by_capture());
            let by_capture = by_capture.any(|product| product.makes(&hour.product));
            let until = journal.out(&hour.sensor, &hour.product)?.until;
            // What lay there before the journal is out, however far captures have come since.
            if !by_capture && !hour.stays && hour.file.hour >= until {
                continue;
            }
            let path = &hour.file.path;
            match self.output.find(Some(path)) {
                Ok(Some(found)) if found.metadata.is_file() => {
                    if !large && !is_over(keep.records, changed(&found.metadata), now) {
                        continue;
                    }
                    if let Err(error) = found.remove() {
                        cannot(path, &error);
                        continue;
                    }
                    looked.removed.push((self.settings.output.join(path), found.metadata.size()));
                }
                Ok(_) => {
                    tracing::warn!(path = %path.display(), "records are gone, or something else is in their place")
                }
                Err(error) => {
                    cannot(path, &error);
                    continue;
                }
            }
            journal.removed(path)?;
            begun = large.then_some(hour.file.hour);
            total -= hour.file.bytes;
            if !by_capture {
                self.folders(path, until);
            }
        }
        Ok(())
    }

    /// Removes the folders of a day, a month and a year that have become empty. Those of the hour that comes next stay: it may be written just now.
    fn folders(&self, path: &Path, next: Timestamp) {
        let mut parts = path.iter();
        let Some(series) = parts.next().zip(parts.next()).map(|(product, sensor)| Path::new(product).join(sensor))
        else {
            return;
        };
        let next = series.join(hour_folder(next));
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != series && folder.starts_with(&series)) {
            if next.starts_with(folder) || !self.output.remove_empty(folder) {
                break;
            }
        }
    }

    /// Removes reports, and files that could not be read: for their age file by file, for their size a file with its report, the oldest first.
    fn reports(&self, journal: &Journal, now: i64, looked: &mut Looked) -> Result<()> {
        let keep = self.settings.keep;
        if keep.reports.is_none() && keep.report_bytes.is_none() {
            return Ok(());
        }
        let mut lying: BTreeMap<PathBuf, Vec<Lying>> = BTreeMap::new();
        self.output.each_file(Path::new("quarantine"), &mut |path, found| {
            let name = path.as_os_str().as_bytes();
            let file = OsStr::from_bytes(name.strip_suffix(REPORT.as_bytes()).unwrap_or(name));
            lying.entry(file.into()).or_default().push(Lying::new(path, &found.metadata));
        });
        let mut lying: Vec<Vec<Lying>> = lying.into_values().collect();
        lying.sort_by_key(|files| files.iter().map(|file| file.came).max());
        let mut total: u64 = lying.iter().flatten().map(|file| file.bytes).sum();
        for files in lying {
            let large = keep.report_bytes.is_some_and(|most| total > most);
            for file in files.into_iter().filter(|file| large || is_over(keep.reports, file.came, now)) {
                match self.output.find(Some(&file.path)) {
                    Ok(Some(found)) if Lying::new(file.path.clone(), &found.metadata) == file => {
                        // As one that was put aside in the middle may be.
                        if (self.writers)(&found.file, &self.settings.output.join(&file.path)) == Writers::Somebody {
                            continue;
                        }
                        if let Err(error) = found.remove() {
                            cannot(&file.path, &error);
                            continue;
                        }
                        let there = &found.metadata;
                        if there.nlink() == 1 {
                            journal.forget_quarantined(there.dev(), there.ino(), there.size())?;
                        }
                        total -= file.bytes;
                        looked.removed.push((self.settings.output.join(file.path), file.bytes));
                    }
                    // It has become another meanwhile.
                    Ok(_) => {}
                    Err(error) => cannot(&file.path, &error),
                }
            }
        }
        Ok(())
    }
}

/// A file that could not be read, or a report, as it was found.
#[derive(PartialEq, Eq)]
struct Lying {
    path: PathBuf,
    /// When it came there: a capture that was moved is as old as it was.
    came: i64,
    bytes: u64,
}

impl Lying {
    fn new(path: PathBuf, there: &Metadata) -> Lying {
        Lying { path, came: since_1970(there.ctime(), there.ctime_nsec()), bytes: there.size() }
    }
}

/// When the capture of each sensor was changed that was changed last.
fn newest(held: &[(i64, Held)]) -> HashMap<String, i64> {
    let mut newest: HashMap<String, i64> = HashMap::new();
    for (changed, held) in held {
        match newest.get_mut(&held.sensor) {
            Some(newest) => *newest = (*newest).max(*changed),
            None => drop(newest.insert(held.sensor.clone(), *changed)),
        }
    }
    newest
}

fn of_disk(_: &Path, folder: &File) -> io::Result<u64> {
    let disk = rustix::fs::fstatvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn cannot(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), "cannot be removed: {error}");
}

/// Whether a file is still the one that was taken.
fn is(there: &Metadata, held: &Held) -> bool {
    let known = &held.identity;
    there.is_file() && (there.dev(), there.ino(), there.size()) == (known.device, known.inode, known.size)
}

/// Whether something that was finished at a time is over its age.
fn is_over(age: Option<Duration>, finished: i64, now: i64) -> bool {
    age.is_some_and(|age| i128::from(now) - i128::from(finished) >= age.as_nanos().cast_signed())
}

fn changed(there: &Metadata) -> i64 {
    since_1970(there.mtime(), there.mtime_nsec())
}

fn since_1970(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(NS_PER_SECOND).saturating_add(nanoseconds)
}

fn nanoseconds(time: SystemTime) -> i64 {
    let of = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    time.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|before| -of(before.duration()), of)
}
