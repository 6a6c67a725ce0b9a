//! What an output folder knows of itself: which hours it holds, from which files, and which of them `--resume` need not do
//! again.
//!
//! The journal lies in the output folder, one line of JSON an entry, appended when an hour is committed. An hour is done from
//! its own packets alone, so it counts as finished while
//!
//! - its output is as it was written, byte for byte: it is read, for a disk that lost its end tells nobody; and
//! - no file has come, gone or changed (in length or modification time) that has or had a packet of it. Where those of a new
//!   or changed file lie is not known before it is walked through once, which is cheaper than to do its later hours
//!   again. What it holds of hours that ended before its first packet is late, and touches nothing.
//!
//! A file need not be read again when all hours between its first and last packet are finished. A file that is written to between
//! that look and its reading may turn out to hold packets of a finished hour; then the run fails and says so.
//!
//! Nothing is lost to a run that has nothing to put in its place. Hours outside of its range are left alone. So are those with
//! packets of captures that it does not read and that are still there; a run that would write such an hour fails. The
//! others are replaced one by one as their successors are complete, and what has no successor is removed in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{Capture, Input, Io, Records, Report as CaptureReport};
use pcap_compactor::engine::FileReport;
use pcap_compactor::error::{Error, Result};
use pcap_compactor::job::Finished;
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::atomic::write_whole;
use pcap_compactor::sink::files::Files;
use pcap_compactor::sink::seal::Seal;
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::views::groups::{Aside, GroupRecord, Window, WindowTotals, Windows};
use serde::{Deserialize, Serialize};

/// Windows that a file may span and still be looked up one by one.
const SPAN: usize = 100_000;

#[derive(Serialize, Deserialize)]
enum Line {
    /// What the lines behind it were made with: everything that output depends on but the captures.
    Job(String),
    File(Box<Entry>),
    Window(Box<Done>),
    /// An hour that is to be removed unless a line behind this one says that it was done again.
    Stale(Window),
}

/// A finished window, and what its groups and its scans hold.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Done {
    totals: WindowTotals,
    sealed: [Seal; 2],
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    /// The range that was asked for when it was read.
    range: Option<Window>,
    identity: Identity,
    report: FileReport,
    aside: Aside,
}

/// What a file looked like when it was read.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    length: u64,
    modified_ns: u128,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Identity> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Identity { length: metadata.len(), modified_ns: modified.as_nanos() })
    }
}

/// All times.
const EVER: Window = Window { start: Timestamp::MIN, end: Timestamp::MAX };

/// Records looked at in one go.
const BATCH: usize = 4096;

/// What earlier runs have done of this one's work.
pub(crate) struct Resumed {
    pub(crate) finished: Finished,
    /// Output that is not as it was written; its hours are done again.
    pub(crate) damaged: Vec<PathBuf>,
    /// Hours of captures that this run does not read, which are left as they are.
    pub(crate) left: usize,
}

/// The journal of an output folder.
pub(crate) struct Journal {
    path: PathBuf,
    job: String,
    range: Option<Window>,
    resume: bool,
    /// Files and windows, each with the job that it was done in.
    files: BTreeMap<PathBuf, (String, Entry)>,
    windows: BTreeMap<Window, (String, Done)>,
    /// Windows whose files are to be removed in the end.
    stale: BTreeSet<Window>,
    /// Files that may not be replaced, with a capture that they have packets of.
    guarded: BTreeMap<PathBuf, PathBuf>,
    /// The files of this run, as they were when it began.
    present: BTreeMap<PathBuf, Identity>,
}

impl Journal {
    /// The journal in `folder`, for a run over a range of times. Without `resume`, or if it was made by another job, nothing in it
    /// counts as finished.
    pub(crate) fn open(folder: &Path, job: String, range: Option<Window>, resume: bool) -> Journal {
        let mut journal = Journal {
            path: folder.join(".pcap-compactor").join("journal.jsonl"),
            job,
            range,
            resume,
            files: BTreeMap::new(),
            windows: BTreeMap::new(),
            stale: BTreeSet::new(),
            guarded: BTreeMap::new(),
            present: BTreeMap::new(),
        };
        let text = fs::read_to_string(&journal.path).unwrap_or_default();
        let mut job = String::new();
        // A last line that a crash cut short does not parse, and what it said is done again.
        for line in text.lines().map_while(|line| serde_json::from_str::<Line>(line).ok()) {
            match line {
                Line::Job(next) => job = next,
                Line::File(entry) => drop(journal.files.insert(entry.report.path.clone(), (job.clone(), *entry))),
                Line::Window(done) => {
                    journal.stale.remove(&done.totals.window);
                    journal.windows.insert(done.totals.window, (job.clone(), *done));
                }
                Line::Stale(window) => {
                    journal.windows.remove(&window);
                    journal.stale.insert(window);
                }
            }
        }
        journal
    }

    /// Takes out of `inputs` the files that need not be read, and tells what is finished.
    pub(crate) fn finished(&mut self, inputs: &mut Vec<Input>, windows: &Windows, output: &Files) -> Resumed {
        for input in &*inputs {
            if let Ok(identity) = Identity::of(input.path()) {
                self.present.insert(input.path().to_owned(), identity);
            }
        }
        let touched: Vec<(Window, Option<Window>)> = if self.resume { self.touched(inputs) } else { Vec::new() };
        let (mut finished, mut damaged, mut left) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let mut guarded = 0;
        for (window, (job, done)) in std::mem::take(&mut self.windows) {
            if !self.range.is_none_or(|range| overlap(whole_hours(range), window)) {
                left.insert(window, (job, done));
                continue;
            }
            let own = self.files.values().filter(|(_, entry)| reaches(entry, window)).collect::<Vec<_>>();
            let absent = own.iter().map(|(_, entry)| &entry.report.path).find(|path| {
                // With `--resume` the folder follows its captures: what is gone takes its packets with it.
                !self.present.contains_key(*path) && (!self.resume || path.exists())
            });
            if let Some(capture) = absent {
                self.guarded.extend(output.traces(window).into_iter().map(|path| (path, capture.clone())));
                left.insert(window, (job, done));
                guarded += 1;
                continue;
            }
            let mut keep = self.resume
                && job == self.job
                && windows.of(window.start) == Some(window)
                && !touched
                    .iter()
                    .any(|&(range, but)| overlap(range, window) && !but.is_some_and(|but| within(window, but)));
            if keep {
                let sealed = output.places(window).into_iter().zip(done.sealed);
                let broken = sealed.filter(|(path, seal)| Seal::of(path).ok() != Some(*seal)).map(|(path, _)| path);
                damaged.extend(broken.inspect(|_| keep = false));
            }
            if keep {
                finished.insert(window, (job, done));
            } else if !own.is_empty() {
                self.stale.insert(window);
            }
        }
        let mut resumed = Resumed {
            finished: Finished { windows: finished.values().map(|(_, done)| done.totals).collect(), files: Vec::new() },
            damaged,
            left: guarded,
        };
        let mut kept = BTreeMap::new();
        inputs.retain(|input| {
            let Some((job, entry)) = self.files.get(input.path()) else { return true };
            let same = *job == self.job
                && entry.range == self.range
                && self.present.get(input.path()) == Some(&entry.identity);
            if !self.resume || !same || !covered(&entry.report.capture, windows, &finished) {
                return true;
            }
            resumed.finished.files.push((entry.report.clone(), entry.aside));
            kept.insert(entry.report.path.clone(), (job.clone(), entry.clone()));
            false
        });
        // Of files that are not read, what hours that stay have of them is remembered.
        let stays = |entry: &Entry| left.keys().any(|&window| reaches(entry, window));
        let absent = std::mem::take(&mut self.files).into_iter();
        kept.extend(absent.filter(|(path, (_, entry))| !self.present.contains_key(path) && stays(entry)));
        self.files = kept;
        self.windows = finished;
        self.windows.extend(left);
        resumed
    }

    /// The times whose windows new, changed and vanished files touch; of a file that is as it was, all but those of the range
    /// that it was read for.
    fn touched(&self, inputs: &[Input]) -> Vec<(Window, Option<Window>)> {
        let mut touched = Vec::new();
        for input in inputs {
            let path = input.path();
            match self.files.get(path).filter(|(job, _)| *job == self.job) {
                Some((_, entry)) if self.present.get(path) == Some(&entry.identity) => {
                    touched.extend(
                        extent(&entry.report.capture).map(|extent| (extent, Some(entry.range.unwrap_or(EVER)))),
                    );
                }
                known => {
                    touched
                        .extend(known.and_then(|(_, entry)| extent(&entry.report.capture)).map(|range| (range, None)));
                    touched.extend(self.reach(input).map(|range| (range, None)));
                }
            }
        }
        for (path, (_, entry)) in &self.files {
            if !self.present.contains_key(path) {
                touched.extend(extent(&entry.report.capture).map(|range| (range, None)));
            }
        }
        touched
    }

    /// Where the packets of a new or changed file lie, as far as finished hours may be among them.
    fn reach(&self, input: &Input) -> Option<Window> {
        let last = self.windows.last_key_value().map(|(window, _)| window.end)?;
        let path = match input {
            Input::File(path) if path.is_file() => path,
            // What can be read only once is not looked into.
            _ => return Some(EVER),
        };
        // What cannot be opened has no packets for this run either.
        let mut capture = Capture::open(path, Io::Auto).ok()?;
        let mut walk = || {
            if capture.first_time()?.is_some_and(|first| first < last) {
                let mut batch = Records::default();
                while capture.fill(&mut batch, BATCH)? {}
                return Ok(extent(capture.report()));
            }
            Ok::<_, Error>(None)
        };
        walk().unwrap_or(Some(EVER))
    }

    /// Starts to write: what is still true first, then what comes to be.
    pub(crate) fn write(self, output: Files) -> Result<Journaled> {
        let mut lines = Vec::new();
        let mut by_job: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
        for (job, entry) in self.files.values() {
            by_job.entry(job).or_default().push(Line::File(Box::new(entry.clone())));
        }
        for (job, done) in self.windows.values() {
            by_job.entry(job).or_default().push(Line::Window(Box::new(*done)));
        }
        // This run's job comes last: the lines that follow are of it.
        let own = by_job.remove(&*self.job).unwrap_or_default();
        for (job, done) in by_job.into_iter().chain([(&*self.job, own)]) {
            push(&mut lines, &Line::Job(job.to_owned()));
            done.iter().for_each(|line| push(&mut lines, line));
        }
        self.stale.iter().for_each(|&window| push(&mut lines, &Line::Stale(window)));
        write_whole(&self.path, &lines)?;
        // It tells of the run before.
        output.withdraw_metrics()?;
        let out = OpenOptions::new().append(true).open(&self.path);
        let out = out.map_err(|source| self.error(source))?;
        let taken = self.windows.keys().flat_map(|&window| output.places(window)).collect();
        Ok(Journaled { output, journal: self, out, taken })
    }

    fn error(&self, source: io::Error) -> Error {
        pcap_compactor::ErrorKind::Io { action: "write", path: self.path.clone(), source }.into()
    }
}

fn push(lines: &mut Vec<u8>, line: &Line) {
    // A path that is not UTF-8 cannot be journalled; its file is read again.
    if let Ok(mut text) = serde_json::to_vec(line) {
        lines.append(&mut text);
        lines.push(b'\n');
    }
}

fn overlap(a: Window, b: Window) -> bool {
    a.start < b.end && b.start < a.end
}

/// Whether `a` lies in `b`.
fn within(a: Window, b: Window) -> bool {
    b.start <= a.start && a.end <= b.end
}

/// The hours that a range has a part of: two windows of one hour may lie in one file.
fn whole_hours(range: Window) -> Window {
    const HOUR: i64 = 3600 * 1_000_000_000;
    let start = range.start.0.checked_sub(range.start.0.rem_euclid(HOUR)).unwrap_or(i64::MIN);
    let end =
        range.end.0.checked_add((-i128::from(range.end.0)).rem_euclid(i128::from(HOUR)) as i64).unwrap_or(i64::MAX);
    Window { start: Timestamp(start), end: Timestamp(end) }
}

/// Whether a file has packets of a window, or may have.
fn reaches(entry: &Entry, window: Window) -> bool {
    extent(&entry.report.capture).is_some_and(|extent| overlap(extent, window))
}

/// From a file's first packet to its latest: where those lie that are not late.
fn extent(report: &CaptureReport) -> Option<Window> {
    if report.without_time > 0 {
        return Some(EVER);
    }
    let (start, last) = (report.first_time?, report.max_time?);
    Some(Window { start, end: Timestamp(last.0.saturating_add(1)) })
}

/// Whether every window that a file may have packets in is finished.
fn covered(report: &CaptureReport, windows: &Windows, known: &BTreeMap<Window, (String, Done)>) -> bool {
    let Some(extent) = extent(report) else { return true };
    let mut time = extent.start;
    for _ in 0..SPAN {
        match windows.of(time) {
            Some(window) if !known.contains_key(&window) => return false,
            Some(window) => time = window.end,
            None => match windows.next(time) {
                Some(next) => time = next,
                None => return true,
            },
        }
        if time >= extent.end {
            return true;
        }
    }
    false
}

/// An output folder with a journal beside it.
pub(crate) struct Journaled {
    output: Files,
    journal: Journal,
    out: File,
    /// Files that hold hours which stay or have been done.
    taken: BTreeSet<PathBuf>,
}

impl Journaled {
    fn append(&mut self, line: &Line) -> Result<()> {
        let mut text = Vec::new();
        push(&mut text, line);
        self.out.write_all(&text).map_err(|source| self.journal.error(source))
    }
}

impl Sink for Journaled {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.output.on_sensor(sensor)
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.output.on_group(group)
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.output.on_scan(scan)
    }

    fn on_file(&mut self, file: &FileReport, aside: &Aside) -> Result<()> {
        if let Some(&identity) = self.journal.present.get(&file.path) {
            if aside.done.packets > 0 && Identity::of(&file.path).ok() != Some(identity) {
                let reason = "it changed while it was read, and some of its hours are finished; run again";
                let (path, source) = (file.path.clone(), io::Error::other(reason));
                return Err(pcap_compactor::ErrorKind::Io { action: "resume", path, source }.into());
            }
            self.append(&Line::File(Box::new(Entry {
                range: self.journal.range,
                identity,
                report: file.clone(),
                aside: *aside,
            })))?;
        }
        self.output.on_file(file, aside)
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        let places = self.output.places(totals.window);
        if let Some((path, capture)) = places.iter().find_map(|path| self.journal.guarded.get_key_value(path)) {
            let reason = format!(
                "it holds packets of {}, which this run does not read; read that too, name another folder, or remove this one",
                capture.display()
            );
            let (path, source) = (path.clone(), io::Error::other(reason));
            return Err(pcap_compactor::ErrorKind::Io { action: "replace", path, source }.into());
        }
        self.output.on_window(totals)?;
        self.taken.extend(places);
        self.append(&Line::Window(Box::new(Done { totals: *totals, sealed: self.output.sealed() })))?;
        self.out.sync_data().map_err(|source| self.journal.error(source))
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        for &window in &self.journal.stale {
            for path in self.output.traces(window).into_iter().filter(|path| !self.taken.contains(path)) {
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(pcap_compactor::ErrorKind::Io { action: "remove", path, source }.into());
                    }
                    _ => {}
                }
            }
        }
        self.output.on_metrics(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_compactor::engine::ledger::{Amount, Tally};
    use pcap_compactor::sink::files::Format;
    use pcap_compactor::sink::jsonl::Times;

    #[test]
    fn a_file_that_changed_while_it_was_read_may_have_nothing_in_finished_hours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        fs::write(&path, "as it was").unwrap();
        let mut journal = Journal::open(folder.path(), "job".into(), None, true);
        let mut inputs = vec![Input::File(path.clone())];
        let output = Files::new(folder.path(), Format::Jsonl, Times::Seconds, true);
        let windows = Windows::tumbling(3600, None);
        assert_eq!(journal.finished(&mut inputs, &windows, &output).finished.files.len(), 0);
        let mut journaled = journal.write(output).unwrap();
        let file =
            FileReport { path: path.clone(), sensor: None, capture: CaptureReport::default(), tally: Tally::default() };
        let done = Aside { done: Amount::one(60, 60), ..Aside::default() };
        journaled.on_file(&file, &done).unwrap();
        fs::write(&path, "as it has become").unwrap();
        journaled.on_file(&file, &Aside::default()).unwrap();
        let error = journaled.on_file(&file, &done).unwrap_err().to_string();
        assert!(error.contains("a.pcap: cannot resume: it changed while it was read"), "{error}");
    }
}
