//! Whether the folder of a timeline is what a viewer takes, whoever wrote it; and what the viewer would not show.
//!
//! Every file is read. What is looked at: types, that files agree with their index and with each other, sums, order and ranges. Flows are held in memory
//! while their files are read, packets are not: of packets.csv and of flows there is a sum by flow's key, in which their order does not count.
//!
//! A folder of the original's is right if the original wrote it so: what it hides is told, and no problem.

mod chunked;
mod list;
mod multires;
mod packets;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::names::LONGEST_MANIFEST;
use crate::capture::Pieces;
use crate::error::{Error, Result};
use crate::views::timeline::flags::flag_type;

/// Bytes of the longest file that is held whole.
const LONGEST: u64 = 1 << 30;

/// Problems that are told; the others are counted.
const MOST: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The format, as the manifest names it.
    pub format: String,
    /// What is wrong, a sentence each that begins with the file: the first hundred.
    pub problems: Vec<String>,
    /// How many more there are.
    pub more: u64,
    /// What is right, and not shown.
    pub hidden: Vec<String>,
    /// What is right, and unusual.
    pub notes: Vec<String>,
}

impl Findings {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, file: &str, what: impl fmt::Display) {
        if self.problems.len() < MOST {
            self.problems.push(format!("{file}: {what}"));
        } else {
            self.more += 1;
        }
    }

    /// Says so where two things that have to be equal are not.
    fn equal<T: PartialEq + Serialize>(&mut self, file: &str, what: &str, says: &T, is: &T) {
        if says != is {
            self.problem(file, format_args!("{what} says {}, but it is {}", short(says), short(is)));
        }
    }
}

/// A value as JSON, if that is short.
fn short(value: &impl Serialize) -> String {
    const LONGEST: usize = 100;
    let text = serde_json::to_string(value).unwrap_or_else(|_| "no JSON".into());
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Checks a folder of version 2.0, 3.3 or 5.0.
///
/// # Errors
/// It has no manifest that can be read: a regular file of at most 16 MiB. What is in the manifest and in other files is found, and no error.
pub fn check(folder: &Path) -> Result<Findings> {
    let path = folder.join("manifest.json");
    let refused = |what| Error::io("read", &path, std::io::Error::other(what));
    match std::fs::metadata(&path) {
        Ok(there) if !there.is_file() => return Err(refused("it is not a regular file")),
        Ok(there) if there.len() > LONGEST_MANIFEST => return Err(refused("it is longer than 16 MiB")),
        _ => {}
    }
    let text = std::fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
    let mut findings = Findings::default();
    let manifest: Value = match serde_json::from_str(&text) {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.problem("manifest.json", error);
            return Ok(findings);
        }
    };
    findings.format = manifest["format"].as_str().unwrap_or_default().to_owned();
    let mut folder = Folder { path: folder, findings: &mut findings };
    match (manifest["format"].as_str(), manifest["version"].as_str()) {
        (Some("chunked"), Some("2.0")) => chunked::check(&mut folder, &manifest),
        (Some("multires_packets"), Some("3.3")) => multires::check(&mut folder, &manifest),
        (Some("flow_list_csv"), Some("5.0")) => list::check(&mut folder, &manifest),
        (format, version) => {
            let known = "chunked 2.0, multires_packets 3.3 and flow_list_csv 5.0 are known";
            let what = format!("format {} of version {}: {known}", short(&format), short(&version));
            folder.findings.problem("manifest.json", what);
        }
    }
    Ok(findings)
}

/// A folder, and what was found in it so far.
struct Folder<'f> {
    path: &'f Path,
    findings: &'f mut Findings,
}

impl Folder<'_> {
    fn problem(&mut self, file: &str, what: impl fmt::Display) {
        self.findings.problem(file, what);
    }

    fn open(&mut self, name: &str) -> Option<BufReader<File>> {
        // Names come out of files, and lead nowhere else.
        if Path::new(name).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            self.problem(name, "leads out of the folder");
            return None;
        }
        // A pipe or a device may never end.
        if std::fs::metadata(self.path.join(name)).is_ok_and(|there| !there.is_file()) {
            self.problem(name, "is not a regular file");
            return None;
        }
        match File::open(self.path.join(name)) {
            Ok(file) => Some(BufReader::with_capacity(1 << 16, file)),
            Err(error) => {
                self.problem(name, error);
                None
            }
        }
    }

    /// A file as a value, which is held whole: at most [`LONGEST`] bytes.
    fn json(&mut self, name: &str) -> Option<Value> {
        let file = self.open(name)?;
        if file.get_ref().metadata().is_ok_and(|there| there.len() > LONGEST) {
            self.problem(name, "is longer than 1 GiB, more than is read at once");
            return None;
        }
        serde_json::from_reader(file).inspect_err(|error| self.problem(name, error)).ok()
    }

    /// Hands over the elements of a file that is an array, one by one.
    fn elements(&mut self, name: &str, mut take: impl FnMut(&mut Findings, Value)) {
        let Some(file) = self.open(name) else { return };
        let mut reader = serde_json::Deserializer::from_reader(file);
        let findings = &mut *self.findings;
        let read = Elements(|value| take(findings, value)).deserialize(&mut reader).and_then(|()| reader.end());
        if let Err(error) = read {
            self.problem(name, error);
        }
    }

    /// Hands over the lines of a file, with their numbers from 1.
    fn lines(&mut self, name: &str, mut take: impl FnMut(&mut Findings, u64, &str)) {
        let Some(file) = self.open(name) else { return };
        let mut lines = Pieces::new(file);
        for number in 1.. {
            match lines.line() {
                Ok(Some(line)) => take(self.findings, number, line),
                Ok(None) => break,
                Err(error) => return self.problem(name, error),
            }
        }
    }

    /// Hands over the rows of a table, split at commas, with the number of their line. Their first line must be `header`.
    fn rows(&mut self, name: &str, header: &str, mut take: impl FnMut(&mut Findings, u64, &[&str])) -> u64 {
        let mut rows = 0;
        let width = header.split(',').count();
        self.lines(name, |findings, number, line| {
            if number == 1 {
                return findings.equal(name, "its first line", &line, &header);
            }
            rows += 1;
            if let Some(cells) = cells(findings, name, number, line, width) {
                take(findings, number, &cells);
            }
        });
        rows
    }

    /// Hands over the rows of a table whose first line names its columns: the cells of `columns`, of which the first `required` must be
    /// there.
    fn table(
        &mut self,
        name: &str,
        columns: &[&str],
        required: usize,
        mut take: impl FnMut(&mut Findings, u64, &[Option<&str>]),
    ) -> u64 {
        let (mut rows, mut width, mut places) = (0, 0, Vec::new());
        self.lines(name, |findings, number, line| {
            if number == 1 {
                let names: Vec<&str> = line.split(',').collect();
                width = names.len();
                places = columns.iter().map(|column| names.iter().position(|name| name == column)).collect();
                for (column, _) in columns.iter().zip(&places).take(required).filter(|(_, place)| place.is_none()) {
                    findings.problem(name, format_args!("its first line has no column {column}"));
                }
                return;
            }
            rows += 1;
            if places.iter().take(required).any(Option::is_none) {
                return;
            }
            if let Some(cells) = cells(findings, name, number, line, width) {
                let chosen: Vec<Option<&str>> = places.iter().map(|place| Some(cells[(*place)?])).collect();
                take(findings, number, &chosen);
            }
        });
        rows
    }

    /// A whole number of a manifest or an index.
    fn number(&mut self, file: &str, value: &Value, name: &str) -> i64 {
        value[name].as_i64().unwrap_or_else(|| {
            self.problem(file, format_args!("{name} is {}, and no whole number", value[name]));
            0
        })
    }

    /// `time_range` of a manifest.
    fn range(&mut self, manifest: &Value) -> (i64, i64) {
        let range = &manifest["time_range"];
        let [start, end, duration] = ["start", "end", "duration"].map(|name| self.number(MANIFEST, range, name));
        self.findings.equal(MANIFEST, "duration", &duration, &end.saturating_sub(start));
        if start < -EXACT || end > EXACT {
            self.problem(MANIFEST, "times are beyond 2^53, where viewers lose digits; nanoseconds, maybe");
        }
        (start, end)
    }

    /// The list of hosts, which has to be that of those seen.
    fn hosts(&mut self, name: &str, seen: &BTreeSet<String>) {
        let Some(list) = self.json(name) else { return };
        let seen: Vec<Value> = seen.iter().map(|host| host.as_str().into()).collect();
        self.findings.equal(name, "it", &list, &Value::Array(seen));
    }
}

/// The cells of a row, if a viewer finds so many of them.
fn cells<'l>(findings: &mut Findings, name: &str, number: u64, line: &'l str, width: usize) -> Option<Vec<&'l str>> {
    let cells: Vec<&str> = line.split(',').collect();
    if cells.len() != width {
        findings.problem(name, format_args!("line {number} has {} cells", cells.len()));
    } else if line.contains('"') {
        findings.problem(name, format_args!("line {number} has quotes, which viewers do not know"));
    } else {
        return Some(cells);
    }
    None
}

/// Whether a set of flags is called so. Where there was no number, 0 stands in its place.
fn is_called(flags: i64, name: &str) -> bool {
    name == flag_type(Some(flags)) || (name == "INVALID" && flags == 0)
}

/// Ports.
const PORTS: std::ops::RangeInclusive<i64> = 0..=65_535;

/// Whole numbers up to here are exact in JavaScript.
const EXACT: i64 = 1 << 53;

const MANIFEST: &str = "manifest.json";

/// Elements of an array, as they are read.
struct Elements<F>(F);

impl<'de, F: FnMut(Value)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Value)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> std::result::Result<(), A::Error> {
        while let Some(value) = list.next_element()? {
            (self.0)(value);
        }
        Ok(())
    }
}

/// The lowest number and the highest.
#[derive(Clone, Copy, Debug, Default)]
struct Extent(Option<(i64, i64)>);

impl Extent {
    fn add(&mut self, n: i64) {
        self.0 = Some(self.0.map_or((n, n), |(low, high)| (low.min(n), high.max(n))));
    }

    fn range(self) -> (i64, i64) {
        self.0.unwrap_or_default()
    }
}
