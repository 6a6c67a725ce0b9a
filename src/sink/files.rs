//! Records as files: `groups/YYYY/MM/DD/HH.jsonl`, `scans/...` and `metrics.json` in one folder, one commit an hour.
//!
//! A window's files become visible when the window is complete, whole; a run that fails leaves the hours it finished. Windows that are
//! no whole hours are named by their start: `HHMMSS`. Two runs at once in one folder would disturb one another.

use std::path::{Path, PathBuf};

use super::atomic::{AtomicFile, sweep, write_whole};
use super::csv;
use super::jsonl::{Lines, Times};
use super::seal::Seal;
use super::{Metrics, Sink};
use crate::capture::hour_folder;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::views::groups::{GroupRecord, Window, WindowTotals};
use std::io::Write;

/// The format of group files; scans and metrics are always JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON Lines.
    Jsonl,
    /// CSV with a header.
    Csv,
}

/// Writes records into a folder.
pub struct Files {
    folder: PathBuf,
    format: Format,
    times: Times,
    rows: csv::Rows,
    /// Whole hours, or windows of another length.
    hourly: bool,
    lines: Lines,
    buffer: Vec<u8>,
    scans: Vec<u8>,
    open: Option<AtomicFile>,
    sealed: [Seal; 2],
}

/// Bytes gathered before they are written.
const BUFFER: usize = 256 << 10;

impl Files {
    /// Writes into `folder`, which is made if it is missing. `hourly`: no two windows begin in one hour.
    #[must_use]
    pub fn new(folder: &Path, format: Format, times: Times, hourly: bool) -> Files {
        Files {
            folder: folder.to_owned(),
            format,
            times,
            lines: Lines::new(times),
            rows: csv::Rows::new(times),
            hourly,
            buffer: Vec::with_capacity(BUFFER + 4096),
            scans: Vec::new(),
            open: None,
            sealed: [Seal::default(); 2],
        }
    }

    /// Removes what runs left that were killed while they wrote here. None may be writing.
    pub fn sweep(&self) {
        sweep(&self.folder, 1);
        // Year, month, day, file.
        ["groups", "scans"].iter().for_each(|kind| sweep(&self.folder.join(kind), 4));
    }

    /// Everywhere that a window's records may lie, whatever the format and the naming of the run that wrote them.
    #[must_use]
    pub fn traces(&self, window: Window) -> Vec<PathBuf> {
        let [hourly, exact] = [true, false].map(|hourly| Files::new(&self.folder, self.format, self.times, hourly));
        let kinds = [("groups", "jsonl"), ("groups", "csv"), ("scans", "jsonl")];
        kinds
            .into_iter()
            .flat_map(|(kind, extension)| [hourly.place(kind, window, extension), exact.place(kind, window, extension)])
            .collect()
    }

    /// Where a window's groups and its scans go.
    #[must_use]
    pub fn places(&self, window: Window) -> [PathBuf; 2] {
        [self.place("groups", window, self.extension()), self.place("scans", window, "jsonl")]
    }

    /// What the last window's groups and its scans hold.
    #[must_use]
    pub fn sealed(&self) -> [Seal; 2] {
        self.sealed
    }

    fn place(&self, kind: &str, window: Window, extension: &str) -> PathBuf {
        let hour = hour_folder(window.start);
        let second = window.start.seconds().rem_euclid(3600);
        let name = match self.hourly {
            true => format!("{hour}.{extension}"),
            false => format!("{hour}{:02}{:02}.{extension}", second / 60, second % 60),
        };
        self.folder.join(kind).join(name)
    }

    fn extension(&self) -> &'static str {
        match self.format {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
        }
    }

    /// The file of a window's groups, opened with the first record.
    fn file(&mut self, window: Window) -> Result<&mut AtomicFile> {
        let path = self.place("groups", window, self.extension());
        match &mut self.open {
            Some(file) => Ok(file),
            open => {
                let mut file = AtomicFile::create(&path)?;
                if self.format == Format::Csv {
                    file.write_all(csv::header().as_bytes()).map_err(|source| Error::io("write", &path, source))?;
                }
                Ok(open.insert(file))
            }
        }
    }

    fn flush(&mut self, window: Window) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let path = self.place("groups", window, self.extension());
        self.file(window)?.write_all(&buffer).map_err(|source| Error::io("write", &path, source))?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }
}

impl Sink for Files {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.lines.turn_to(sensor);
        self.rows.turn_to(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        match self.format {
            Format::Jsonl => self.lines.group(group, &mut self.buffer),
            Format::Csv => self.rows.row(group, &mut self.buffer),
        }
        if self.buffer.len() >= BUFFER { self.flush(group.window) } else { Ok(()) }
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.lines.scan(scan, &mut self.scans);
        Ok(())
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.flush(totals.window)?;
        let groups = self.open.take().map(AtomicFile::commit).transpose()?.unwrap_or_default();
        let path = self.place("scans", totals.window, "jsonl");
        self.sealed = [groups, write_whole(&path, &std::mem::take(&mut self.scans))?];
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        let mut line = Vec::new();
        metrics.write(&mut line);
        write_whole(&self.folder.join("metrics.json"), &line)?;
        Ok(())
    }
}
