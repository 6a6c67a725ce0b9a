//! Records as files: `groups/YYYY/MM/DD/HH.jsonl`, `scans/...` and `metrics.json` in one folder, one commit an hour.
//!
//! A window's files become visible when the window is complete, whole; a run that fails leaves the hours it finished. Windows that are
//! no whole hours are named by their start: `HHMMSS`. Two runs at once in one folder would disturb one another.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::atomic::{AtomicFile, sweep, write_whole};
use super::csv;
use super::jsonl::{Lines, Times};
use super::seal::Seal;
use super::{Metrics, Sink};
use crate::capture::hour_folder;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::views::groups::{GroupRecord, Window, WindowTotals};

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
    scans: Vec<u8>,
    open: Option<AtomicFile>,
    sealed: [Seal; 2],
}

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

    /// Removes the metrics of an earlier run: they do not tell of what is written from now on.
    ///
    /// # Errors
    /// They are there and cannot be removed.
    pub fn withdraw_metrics(&self) -> Result<()> {
        let path = self.folder.join("metrics.json");
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, source)),
            _ => Ok(()),
        }
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

    /// Starts the file of a window's groups.
    fn start(&self, window: Window) -> Result<AtomicFile> {
        let mut file = AtomicFile::create(&self.place("groups", window, self.extension()))?;
        if self.format == Format::Csv {
            file.append(|out| out.extend_from_slice(csv::header().as_bytes()))?;
        }
        Ok(file)
    }
}

impl Sink for Files {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.lines.turn_to(sensor);
        self.rows.turn_to(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.start(group.window)?);
        }
        let Some(file) = &mut self.open else { return Ok(()) };
        file.append(|out| match self.format {
            Format::Jsonl => self.lines.group(group, out),
            Format::Csv => self.rows.row(group, out),
        })
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.lines.scan(scan, &mut self.scans);
        Ok(())
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        let groups = match self.open.take() {
            Some(file) => file,
            None => self.start(totals.window)?,
        };
        let groups = groups.commit()?;
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
