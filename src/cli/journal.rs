//! What `--resume` knows: which hours an earlier run of the same job has finished, and from which files.
//!
//! The journal lies in the output folder, one line of JSON an entry, appended when an hour is committed. An hour counts as
//! finished while every file that may hold packets of it is unchanged (length and modification time) and no other has
//! come or gone. A file need not be read again when all hours between its first and last packet are finished.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{Capture, Input, Io};
use pcap_compactor::engine::FileReport;
use pcap_compactor::error::{Error, Result};
use pcap_compactor::job::Finished;
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::atomic::write_whole;
use pcap_compactor::sink::files::Files;
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
    Window(WindowTotals),
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
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

/// The journal of an output folder.
pub(crate) struct Journal {
    path: PathBuf,
    job: String,
    files: BTreeMap<PathBuf, Entry>,
    windows: BTreeMap<Window, WindowTotals>,
    /// Whether what the journal tells counts as finished.
    resumes: bool,
    /// The files of this run, as they were when it began.
    present: BTreeMap<PathBuf, Identity>,
}

impl Journal {
    /// The journal in `folder`. Without `resume`, or if it was made by another job, nothing in it counts as finished.
    pub(crate) fn open(folder: &Path, job: String, resume: bool) -> Journal {
        let path = folder.join(".pcap-compactor").join("journal.jsonl");
        let mut journal = Journal {
            path,
            job,
            files: BTreeMap::new(),
            windows: BTreeMap::new(),
            resumes: false,
            present: BTreeMap::new(),
        };
        let text = fs::read_to_string(&journal.path).unwrap_or_default();
        // A last line that a crash cut short does not parse, and what it said is done again.
        let mut lines = text.lines().map_while(|line| serde_json::from_str::<Line>(line).ok());
        if let Some(Line::Job(job)) = lines.next() {
            journal.resumes = resume && job == journal.job;
            for line in lines {
                match line {
                    Line::Job(_) => {}
                    Line::File(entry) => drop(journal.files.insert(entry.report.path.clone(), *entry)),
                    Line::Window(totals) => drop(journal.windows.insert(totals.window, totals)),
                }
            }
        }
        journal
    }

    /// Takes out of `inputs` the files that need not be read, and tells what is finished. Removes the records of hours that
    /// an earlier run wrote and this one will not keep.
    pub(crate) fn finished(
        &mut self,
        inputs: &mut Vec<Input>,
        windows: &Windows,
        files_of: &Files,
        place: impl Fn(Window) -> [PathBuf; 2],
    ) -> Result<Finished> {
        for input in &*inputs {
            if let Ok(identity) = Identity::of(input.path()) {
                self.present.insert(input.path().to_owned(), identity);
            }
        }
        let mut touched: Vec<Window> = Vec::new();
        if !self.resumes {
            touched.push(Window { start: Timestamp::MIN, end: Timestamp::MAX });
            self.files.clear();
        }
        for input in &*inputs {
            let path = input.path();
            let known = self.files.get(path);
            if known.is_some_and(|entry| self.present.get(path) == Some(&entry.identity)) {
                continue;
            }
            touched.extend(known.and_then(|entry| extent(&entry.report)));
            // What ended before a file's first packet is closed to it: there its packets would be late.
            let first = match input {
                Input::File(path) if self.resumes && !self.windows.is_empty() && path.is_file() => {
                    Capture::open(path, Io::Read).and_then(|mut file| file.first_time()).ok().flatten()
                }
                _ => None,
            };
            touched.push(Window { start: first.unwrap_or(Timestamp::MIN), end: Timestamp::MAX });
        }
        for (path, entry) in &self.files {
            if !self.present.contains_key(path) {
                touched.extend(extent(&entry.report));
            }
        }
        let mut stale = Vec::new();
        self.windows.retain(|window, _| {
            let keep = !touched.iter().any(|range| window.start < range.end && range.start < window.end)
                && place(*window).iter().all(|path| path.is_file());
            if !keep {
                stale.extend(files_of.traces(*window));
            }
            keep
        });
        for path in stale {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(pcap_compactor::ErrorKind::Io { action: "remove", path, source }.into());
                }
                _ => {}
            }
        }
        let mut finished = Finished { windows: self.windows.values().copied().collect(), files: Vec::new() };
        let (files, known, present) = (&self.files, &self.windows, &self.present);
        inputs.retain(|input| {
            let Some(entry) = files.get(input.path()) else { return true };
            if present.get(input.path()) != Some(&entry.identity) || !covered(&entry.report, windows, known) {
                return true;
            }
            finished.files.push((entry.report.clone(), entry.aside));
            false
        });
        self.files =
            finished.files.iter().map(|(report, _)| (report.path.clone(), files[&report.path].clone())).collect();
        Ok(finished)
    }

    /// Starts to write: what is still true first, then what a sink tells.
    pub(crate) fn write<S: Sink>(self, sink: S) -> Result<Journaled<S>> {
        let mut lines = Vec::new();
        push(&mut lines, &Line::Job(self.job.clone()));
        for entry in self.files.values() {
            push(&mut lines, &Line::File(Box::new(entry.clone())));
        }
        for totals in self.windows.values() {
            push(&mut lines, &Line::Window(*totals));
        }
        write_whole(&self.path, &lines)?;
        let out = OpenOptions::new().append(true).open(&self.path);
        let out = out.map_err(|source| self.error(source))?;
        Ok(Journaled { sink, journal: self, out })
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

/// From a file's earliest to its latest packet.
fn extent(report: &FileReport) -> Option<Window> {
    if report.capture.without_time > 0 {
        return Some(Window { start: Timestamp::MIN, end: Timestamp::MAX });
    }
    let (start, last) = (report.capture.min_time?, report.capture.max_time?);
    Some(Window { start, end: Timestamp(last.0.saturating_add(1)) })
}

/// Whether every window between a file's earliest and latest packet is finished.
fn covered(report: &FileReport, windows: &Windows, known: &BTreeMap<Window, WindowTotals>) -> bool {
    let Some(extent) = extent(report) else { return report.capture.without_time == 0 };
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

/// A sink with a journal beside it.
pub(crate) struct Journaled<S> {
    pub(crate) sink: S,
    journal: Journal,
    out: File,
}

impl<S> Journaled<S> {
    fn append(&mut self, line: &Line) -> Result<()> {
        let mut text = Vec::new();
        push(&mut text, line);
        self.out.write_all(&text).map_err(|source| self.journal.error(source))
    }
}

impl<S: Sink> Sink for Journaled<S> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.sink.on_sensor(sensor)
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.sink.on_group(group)
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.sink.on_scan(scan)
    }

    fn on_file(&mut self, file: &FileReport, aside: &Aside) -> Result<()> {
        if let Some(&identity) = self.journal.present.get(&file.path) {
            self.append(&Line::File(Box::new(Entry { identity, report: file.clone(), aside: *aside })))?;
        }
        self.sink.on_file(file, aside)
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.sink.on_window(totals)?;
        self.append(&Line::Window(*totals))?;
        self.out.sync_data().map_err(|source| self.journal.error(source))
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        self.sink.on_metrics(metrics)
    }
}
