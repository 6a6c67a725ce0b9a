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
#[cfg(feature = "tables")]
use crate::sink::tables::{self, groups::RecordRows};
use crate::views::groups::{GroupRecord, Window, WindowTotals};

/// The format of group files; scans beside CSV, and metrics, are JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON Lines.
    Jsonl,
    /// CSV with a header.
    Csv,
    /// Tables of typed columns; scans as well.
    #[cfg(feature = "tables")]
    Table(tables::Form, tables::Style),
}

/// The groups of a window under way.
enum Open {
    Text(AtomicFile),
    #[cfg(feature = "tables")]
    Table(Box<tables::TableFile<AtomicFile>>),
}

/// Rows of tables.
#[cfg(feature = "tables")]
struct TableRows {
    form: tables::Form,
    groups: RecordRows<GroupRecord>,
    scans: RecordRows<ScanSummary>,
}

#[cfg(feature = "tables")]
impl TableRows {
    fn new(form: tables::Form, style: tables::Style, settings: &str) -> TableRows {
        let about = |product| tables::About { product, dialect: None, settings: settings.to_owned() };
        TableRows {
            form,
            groups: RecordRows::groups(style, &about("groups")),
            scans: RecordRows::scans(style, &about("scans")),
        }
    }

    /// Starts a table.
    fn start<R>(form: tables::Form, rows: &mut RecordRows<R>, path: &Path) -> Result<tables::TableFile<AtomicFile>> {
        tables::TableFile::create(AtomicFile::create(path)?, path, form, rows.rows().schema())
    }

    /// Writes the rows that wait, and completes a table. What a window was made of is in the metrics.
    fn end<R>(rows: &mut RecordRows<R>, file: tables::TableFile<AtomicFile>) -> Result<AtomicFile> {
        file.close(rows.rows(), [])
    }
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
    open: Option<Open>,
    sealed: [Seal; 2],
    #[cfg(feature = "tables")]
    tables: Option<TableRows>,
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
            #[cfg(feature = "tables")]
            tables: match format {
                Format::Table(form, style) => Some(TableRows::new(form, style, "")),
                _ => None,
            },
        }
    }

    /// Has tables say what decided their values, as JSON.
    #[cfg(feature = "tables")]
    #[must_use]
    pub fn told(mut self, settings: &str) -> Files {
        if let Format::Table(form, style) = self.format {
            self.tables = Some(TableRows::new(form, style, settings));
        }
        self
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
        const ENDINGS: [&str; 4] = ["jsonl", "csv", "parquet", "arrow"];
        let kinds = ["groups", "scans"].into_iter().flat_map(|kind| ENDINGS.map(|ending| (kind, ending)));
        kinds
            .into_iter()
            .flat_map(|(kind, extension)| [hourly.place(kind, window, extension), exact.place(kind, window, extension)])
            .collect()
    }

    /// Where a window's groups and its scans go.
    #[must_use]
    pub fn places(&self, window: Window) -> [PathBuf; 2] {
        [self.place("groups", window, self.extension()), self.place("scans", window, self.scans_extension())]
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
            #[cfg(feature = "tables")]
            Format::Table(form, _) => form.ending(),
        }
    }

    fn scans_extension(&self) -> &'static str {
        if self.format == Format::Csv { "jsonl" } else { self.extension() }
    }

    /// Starts the file of a window's groups.
    fn start(&mut self, window: Window) -> Result<Open> {
        let path = self.place("groups", window, self.extension());
        #[cfg(feature = "tables")]
        if let Some(TableRows { form, groups, .. }) = &mut self.tables {
            return Ok(Open::Table(Box::new(TableRows::start(*form, groups, &path)?)));
        }
        let mut file = AtomicFile::create(&path)?;
        if self.format == Format::Csv {
            file.append(|out| out.extend_from_slice(csv::header().as_bytes()))?;
        }
        Ok(Open::Text(file))
    }
}

impl Sink for Files {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.lines.turn_to(sensor);
        self.rows.turn_to(sensor);
        #[cfg(feature = "tables")]
        if let Some(TableRows { groups, scans, .. }) = &mut self.tables {
            groups.turn_to(sensor);
            scans.turn_to(sensor);
        }
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.start(group.window)?);
        }
        match &mut self.open {
            Some(Open::Text(file)) => file.append(|out| match self.format {
                Format::Csv => self.rows.row(group, out),
                _ => self.lines.group(group, out),
            }),
            #[cfg(feature = "tables")]
            Some(Open::Table(file)) => {
                let Some(TableRows { groups, .. }) = &mut self.tables else { return Ok(()) };
                groups.push(group)?;
                file.fill(groups.rows())
            }
            None => Ok(()),
        }
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        #[cfg(feature = "tables")]
        if let Some(TableRows { scans, .. }) = &mut self.tables {
            return scans.push(scan);
        }
        self.lines.scan(scan, &mut self.scans);
        Ok(())
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.start(totals.window)?,
        };
        let path = self.place("scans", totals.window, self.scans_extension());
        self.sealed = match open {
            Open::Text(file) => [file.commit()?, write_whole(&path, &std::mem::take(&mut self.scans))?],
            #[cfg(feature = "tables")]
            Open::Table(file) => {
                let Some(TableRows { form, groups, scans }) = &mut self.tables else { return Ok(()) };
                let groups = TableRows::end(groups, *file)?.commit()?;
                let file = TableRows::start(*form, scans, &path)?;
                [groups, TableRows::end(scans, file)?.commit()?]
            }
        };
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        let mut line = Vec::new();
        metrics.write(&mut line);
        write_whole(&self.folder.join("metrics.json"), &line)?;
        Ok(())
    }
}
