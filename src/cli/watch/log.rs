//! Messages of a program that runs for months: on standard error, and in files that do not fill the disk.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::text::printable;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// `[2025-10-19 15:00:00] INFO - Part - message`, in UTC.
    Text,
    /// An object a line.
    Json,
}

/// Which messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// What failed.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> LevelFilter {
        match level {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
        }
    }
}

/// Begins to write messages, for as long as the process lasts.
pub(super) fn start(format: Format, level: Level, files: Option<Files>) -> anyhow::Result<()> {
    let level = LevelFilter::from(level);
    // Standard error may be a pipe that nobody reads any more, or full. What cannot be written there is lost; to complain of it there would be a panic.
    let builder = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).log_internal_errors(false);
    let begun = match (format, files) {
        (Format::Text, None) => builder.event_format(Text).with_writer(io::stderr).try_init(),
        (Format::Text, Some(files)) => builder.event_format(Text).with_writer(io::stderr.and(files)).try_init(),
        (Format::Json, None) => builder.json().flatten_event(true).with_writer(io::stderr).try_init(),
        (Format::Json, Some(files)) => builder.json().flatten_event(true).with_writer(io::stderr.and(files)).try_init(),
    };
    begun.map_err(|error| anyhow::anyhow!("messages cannot be written: {error}"))
}

/// The text format.
struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut message = String::new();
        context.field_format().format_fields(Writer::new(&mut message), event)?;
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::WARN => "WARNING",
            tracing::Level::ERROR => "ERROR",
            tracing::Level::INFO => "INFO",
            _ => "DEBUG",
        };
        let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
        writeln!(out, "[{time}] {level} - {} - {}", part(metadata.target()), printable(&message))
    }
}

/// The part of the program that speaks: `pcap_compactor::watch::line`, and what is in there, is `Line`.
fn part(target: &str) -> String {
    let within = target.split_once("::watch::").map_or(target.rsplit("::").next(), |(_, path)| path.split("::").next());
    let name = within.unwrap_or(target);
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Files of messages in a folder, of which the oldest go.
#[derive(Clone)]
pub(super) struct Files(Arc<Mutex<Open>>);

struct Open {
    folder: PathBuf,
    /// What names of this run begin with.
    stem: String,
    number: u32,
    file: File,
    written: u64,
    size: u64,
    count: usize,
    /// That a write failed has been said.
    complained: bool,
}

/// What all names begin with.
const PREFIX: &str = "pipeline_";

impl Files {
    /// Begins the file of this run; makes the folder if it is missing.
    pub(super) fn create(folder: &Path, size: u64, count: usize) -> anyhow::Result<Files> {
        let stem = format!("{PREFIX}{}", Timestamp::now().strftime("%Y%m%d_%H%M%S"));
        let begin = || {
            fs::create_dir_all(folder)?;
            create(folder, &stem, 0)
        };
        let (file, number) = begin().with_context(|| format!("{}: cannot write messages there", folder.display()))?;
        let open = Open { folder: folder.to_owned(), stem, number, file, written: 0, size, count, complained: false };
        open.prune();
        Ok(Files(Arc::new(Mutex::new(open))))
    }
}

/// Creates the next file of a name, and tells its number; none is written over.
fn create(folder: &Path, stem: &str, from: u32) -> io::Result<(File, u32)> {
    for number in from.. {
        let name = if number == 0 { format!("{stem}.log") } else { format!("{stem}_{number:03}.log") };
        match File::create_new(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (file, number)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

impl Open {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.written > 0 && self.written + length > self.size {
            (self.file, self.number) = create(&self.folder, &self.stem, self.number + 1)?;
            self.written = 0;
            self.prune();
        }
        self.written += length;
        self.file.write_all(line)
    }

    /// Removes the oldest files beyond the number that is kept. Names are in the order of time: a number of more than three digits
    /// would need a gigabyte of messages in a second.
    fn prune(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<(String, PathBuf)> = entries
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .filter(|(name, _)| name.starts_with(PREFIX) && name.ends_with(".log"))
            .map(|(name, path)| (name.trim_end_matches(".log").to_owned(), path))
            .collect();
        files.sort();
        let beyond = files.len().saturating_sub(self.count);
        for (_, path) in &files[..beyond] {
            // What cannot be removed takes room, and is tried again.
            let _ = fs::remove_file(path);
        }
    }
}

impl Write for Files {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = open.line(line) {
            // A full disk does not stop the work, and the messages are on standard error.
            if !std::mem::replace(&mut open.complained, true) {
                super::say(&format!("{}: cannot write messages there any more: {error}", open.folder.display()));
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Files {
    type Writer = Files;

    fn make_writer(&'a self) -> Files {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_messages_are_cut_by_size_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pipeline_20200101_000000.log"), "old").unwrap();
        fs::write(dir.path().join("other.log"), "mine").unwrap();
        let mut files = Files::create(dir.path(), 4096, 3).unwrap();
        for n in 0..40 {
            files.write_all(format!("{n:03} {}\n", "x".repeat(1000)).as_bytes()).unwrap();
        }
        let mut names: Vec<String> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!((names.len(), names[0].as_str()), (4, "other.log"), "{names:?}");
        let last = fs::read_to_string(dir.path().join(&names[3])).unwrap();
        assert!(last.starts_with("036 ") && last.lines().count() == 4, "{last}");
        assert!(names[1..].iter().all(|name| fs::metadata(dir.path().join(name)).unwrap().len() <= 4096));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_has_the_name_of_a_file_of_messages_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, dir.path().join("pipeline_x.log")).unwrap();
        let (mut file, number) = create(dir.path(), "pipeline_x", 0).unwrap();
        file.write_all(b"a").unwrap();
        assert_eq!((number, elsewhere.exists()), (1, false));
        assert_eq!(fs::read_to_string(dir.path().join("pipeline_x_001.log")).unwrap(), "a");
    }

    #[test]
    fn a_part_is_what_people_know_of_its_module() {
        let parts = ["pcap_compactor::watch::line", "pcap_compactor::watch::line::feeding", "Capture", ""];
        assert_eq!(parts.map(part), ["Line", "Line", "Capture", ""]);
    }
}
