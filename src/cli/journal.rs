//! What `--resume` knows: which hours an earlier run of the same job has finished, and from which files.
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

use std::collections::BTreeMap;
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
}

/// A finished window, and what its groups and its scans hold.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Done {
    totals: WindowTotals,
    sealed: [Seal; 2],
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

/// All times.
const EVER: Window = Window { start: Timestamp::MIN, end: Timestamp::MAX };

/// Records looked at in one go.
const BATCH: usize = 4096;

/// What earlier runs have done of this one's work.
pub(crate) struct Resumed {
    pub(crate) finished: Finished,
    /// Output that is not as it was written; its hours are done again.
    pub(crate) damaged: Vec<PathBuf>,
}

/// The journal of an output folder.
pub(crate) struct Journal {
    path: PathBuf,
    job: String,
    files: BTreeMap<PathBuf, Entry>,
    windows: BTreeMap<Window, Done>,
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
                    Line::Window(done) => drop(journal.windows.insert(done.totals.window, *done)),
                }
            }
        }
        journal
    }

    /// Takes out of `inputs` the files that need not be read, and tells what is finished. Removes the records of hours that
    /// an earlier run wrote and this one will not keep.
    pub(crate) fn finished(&mut self, inputs: &mut Vec<Input>, windows: &Windows, output: &Files) -> Result<Resumed> {
        for input in &*inputs {
            if let Ok(identity) = Identity::of(input.path()) {
                self.present.insert(input.path().to_owned(), identity);
            }
        }
        let mut touched: Vec<Window> = Vec::new();
        if !self.resumes {
            touched.push(EVER);
            self.files.clear();
        }
        for input in &*inputs {
            let path = input.path();
            let known = self.files.get(path);
            if known.is_none_or(|entry| self.present.get(path) != Some(&entry.identity)) {
                touched.extend(known.and_then(|entry| extent(&entry.report.capture)));
                touched.extend(self.reach(input));
            }
        }
        for (path, entry) in &self.files {
            if !self.present.contains_key(path) {
                touched.extend(extent(&entry.report.capture));
            }
        }
        let (mut stale, mut damaged) = (Vec::new(), Vec::new());
        self.windows.retain(|&window, done| {
            let mut keep = !touched.iter().any(|range| window.start < range.end && range.start < window.end);
            if keep {
                let sealed = output.places(window).into_iter().zip(done.sealed);
                let broken = sealed.filter(|(path, seal)| Seal::of(path).ok() != Some(*seal)).map(|(path, _)| path);
                damaged.extend(broken.inspect(|_| keep = false));
            }
            if !keep {
                stale.extend(output.traces(window));
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
        let windows_done = self.windows.values().map(|done| done.totals).collect();
        let mut finished = Finished { windows: windows_done, files: Vec::new() };
        let (files, known, present) = (&self.files, &self.windows, &self.present);
        inputs.retain(|input| {
            let Some(entry) = files.get(input.path()) else { return true };
            if present.get(input.path()) != Some(&entry.identity) || !covered(&entry.report.capture, windows, known) {
                return true;
            }
            finished.files.push((entry.report.clone(), entry.aside));
            false
        });
        self.files =
            finished.files.iter().map(|(report, _)| (report.path.clone(), files[&report.path].clone())).collect();
        Ok(Resumed { finished, damaged })
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
        push(&mut lines, &Line::Job(self.job.clone()));
        for entry in self.files.values() {
            push(&mut lines, &Line::File(Box::new(entry.clone())));
        }
        for done in self.windows.values() {
            push(&mut lines, &Line::Window(Box::new(*done)));
        }
        write_whole(&self.path, &lines)?;
        let out = OpenOptions::new().append(true).open(&self.path);
        let out = out.map_err(|source| self.error(source))?;
        Ok(Journaled { output, journal: self, out })
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

/// From a file's first packet to its latest: where those lie that are not late.
fn extent(report: &CaptureReport) -> Option<Window> {
    if report.without_time > 0 {
        return Some(EVER);
    }
    let (start, last) = (report.first_time?, report.max_time?);
    Some(Window { start, end: Timestamp(last.0.saturating_add(1)) })
}

/// Whether every window that a file may have packets in is finished.
fn covered(report: &CaptureReport, windows: &Windows, known: &BTreeMap<Window, Done>) -> bool {
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
            self.append(&Line::File(Box::new(Entry { identity, report: file.clone(), aside: *aside })))?;
        }
        self.output.on_file(file, aside)
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.output.on_window(totals)?;
        self.append(&Line::Window(Box::new(Done { totals: *totals, sealed: self.output.sealed() })))?;
        self.out.sync_data().map_err(|source| self.journal.error(source))
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
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
        let mut journal = Journal::open(folder.path(), "job".into(), true);
        let mut inputs = vec![Input::File(path.clone())];
        let output = Files::new(folder.path(), Format::Jsonl, Times::Seconds, true);
        let windows = Windows::tumbling(3600, None);
        assert_eq!(journal.finished(&mut inputs, &windows, &output).unwrap().finished.files.len(), 0);
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
