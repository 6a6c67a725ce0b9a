//! A folder whose files are read, and what was found in it so far.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path};

use flate2::bufread::GzDecoder;
use hashbrown::HashSet;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Value;

use super::findings::Findings;
use super::stream::{Bounded, Elements, Held, LONGEST_ELEMENT, LONGEST_WHOLE, Members, Object, Whole, plain};
use super::twice::Twice;
use super::{MANIFEST, print};
use crate::capture::Pieces;

/// Whole numbers up to here are exact in JavaScript.
const EXACT: i64 = 1 << 53;

/// What a viewer makes of a file that is not there, or not to be read.
const UNREAD: &str = "a viewer cannot load what is in it";

/// What a viewer makes of an index or a manifest without what it has to say.
pub(super) const UNTOLD: &str = "viewers read undefined there";

/// Text of a file.
pub(super) type Text = BufReader<Box<dyn Read>>;

pub(super) struct Folder<'f> {
    pub(super) path: &'f Path,
    pub(super) findings: &'f mut Findings,
    /// Hashes of the names of files that were looked for.
    pub(super) known: HashSet<u64>,
    /// Names of files and folders that are links.
    pub(super) links: BTreeSet<String>,
    /// Keys that files have twice.
    pub(super) twice: Twice,
    /// Sums of what tells packets and flows from others.
    pub(super) packets: u64,
    pub(super) flows: u64,
    /// Whether packets were read one by one.
    pub(super) has_packets: bool,
}

/// A packed file.
struct Inflated(GzDecoder<BufReader<File>>);

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| io::Error::new(error.kind(), format!("it cannot be inflated: {error}")))
    }
}

impl<'f> Folder<'f> {
    pub(super) fn new(path: &'f Path, findings: &'f mut Findings) -> Folder<'f> {
        Folder {
            path,
            findings,
            known: HashSet::new(),
            links: BTreeSet::new(),
            twice: Twice::default(),
            packets: 0,
            flows: 0,
            has_packets: false,
        }
    }
}

impl Folder<'_> {
    pub(super) fn problem(&mut self, file: &str, what: impl fmt::Display, then: &str) {
        self.findings.problem(file, what, then);
    }

    /// A file; inflated if its name ends so, as the viewer does it.
    pub(super) fn open(&mut self, name: &str) -> Option<Text> {
        // Names come out of files, and lead nowhere else.
        if Path::new(name).components().any(|part| !matches!(part, Component::Normal(_))) {
            self.problem(name, "leads out of the folder", UNREAD);
            return None;
        }
        self.known.insert(print(&name));
        self.note_links(name);
        let path = self.path.join(name);
        // A pipe or a device may never end.
        if std::fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            self.problem(name, "is not a regular file", UNREAD);
            return None;
        }
        let opened = File::open(path).and_then(|file| {
            let mut file = BufReader::with_capacity(1 << 16, file);
            let is_packed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
            Ok((file, is_packed))
        });
        let (file, is_packed) = opened.inspect_err(|error| self.problem(name, error, UNREAD)).ok()?;
        let text: Box<dyn Read> = if name.ends_with(".gz") {
            Box::new(Inflated(GzDecoder::new(file)))
        } else if is_packed {
            self.problem(name, "is packed with gzip, and its name does not end in .gz", "viewers read it as it is");
            return None;
        } else {
            Box::new(file)
        };
        let is_json = name.ends_with(".json") || name.ends_with(".json.gz");
        let text: Box<dyn Read> = if is_json { Box::new(self.twice.watch(name, text)) } else { text };
        Some(BufReader::with_capacity(1 << 16, text))
    }

    /// Notes where a file or a folder on the way to it is a link: what it leads to is not in the folder.
    pub(super) fn note_links(&mut self, name: &str) {
        let mut way = Path::new(name).ancestors().filter(|part| *part != Path::new("")).collect::<Vec<_>>();
        way.reverse();
        for part in way {
            let is_link = std::fs::symlink_metadata(self.path.join(part)).is_ok_and(|there| there.is_symlink());
            let part = part.to_string_lossy().into_owned();
            if is_link && self.links.insert(part.clone()) {
                let then = "a copy of the folder may lack what it leads to, and servers may refuse it";
                self.findings.note(&part, "is a symbolic link", then);
            }
        }
    }

    /// Bytes of a file, as it lies there.
    pub(super) fn length(&self, name: &str) -> Option<u64> {
        std::fs::metadata(self.path.join(name)).ok().map(|there| there.len())
    }

    /// A file that is held whole: at most [`LONGEST_WHOLE`] bytes of text.
    pub(super) fn whole<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let text = Bounded::new(self.open(name)?, &Held::default(), LONGEST_WHOLE);
        let read = serde_json::from_reader(text).and_then(|value| serde_json::from_value(plain(value)));
        read.inspect_err(|error| self.problem(name, error, UNREAD)).ok()
    }

    /// Hands a file to what takes it piece by piece.
    fn stream<T, S: for<'de> DeserializeSeed<'de, Value = T>>(
        &mut self,
        name: &str,
        seed: impl FnOnce(Held) -> S,
    ) -> Option<T> {
        let held = Held::default();
        let text = Bounded::new(self.open(name)?, &held, LONGEST_ELEMENT);
        let mut reader = serde_json::Deserializer::from_reader(text);
        let read = seed(held).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        read.inspect_err(|error| self.problem(name, error, UNREAD)).ok()
    }

    /// Hands over the elements of a file that is an array.
    pub(super) fn elements(&mut self, name: &str, take: impl FnMut(Value)) -> bool {
        self.stream(name, |held| Elements(held, take)).is_some()
    }

    /// Hands over the members of a file that is an object, one by one.
    pub(super) fn each(&mut self, name: &str, take: impl FnMut(String, Value)) -> bool {
        self.members(name, |held| Whole(held, take)).is_some()
    }

    /// Hands a file that is an object to what takes its members.
    pub(super) fn members<M: Members>(&mut self, name: &str, members: impl FnOnce(Held) -> M) -> Option<M> {
        self.stream(name, |held| Object(members(held)))
    }

    /// Lines of a file.
    pub(super) fn pieces(&mut self, name: &str) -> Option<Pieces<Text>> {
        let text = self.open(name)?;
        self.ends_a_line(name);
        Some(Pieces::new(text))
    }

    /// Notes where the last line does not end: what wrote it may not have come to its end.
    fn ends_a_line(&mut self, name: &str) {
        let last = |mut file: File| {
            let mut byte = [0];
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut byte)).map(|()| byte[0])
        };
        if !name.ends_with(".gz") && File::open(self.path.join(name)).and_then(last).is_ok_and(|byte| byte != b'\n') {
            self.findings.note(name, "its last line does not end", "it may have been cut");
        }
    }

    /// Hands over the lines of a file, with their numbers from 1.
    pub(super) fn lines(&mut self, name: &str, mut take: impl FnMut(&mut Findings, u64, &str)) {
        let Some(mut lines) = self.pieces(name) else { return };
        for number in 1.. {
            match lines.line() {
                Ok(Some(line)) => take(self.findings, number, line),
                Ok(None) if number == 1 => return self.problem(name, "is empty", UNREAD),
                Ok(None) => break,
                Err(error) => return self.problem(name, error, UNREAD),
            }
        }
    }

    /// A whole number of a manifest or an index.
    pub(super) fn number(&mut self, file: &str, value: &Value, name: &str) -> i64 {
        value[name].as_i64().unwrap_or_else(|| {
            let what = format_args!("{name} is {}, and no whole number", value[name]);
            self.findings.problem(file, what, UNTOLD);
            0
        })
    }

    /// `time_range` of a manifest.
    pub(super) fn range(&mut self, manifest: &Value) -> (i64, i64) {
        let range = &manifest["time_range"];
        let [start, end, duration] = ["start", "end", "duration"].map(|name| self.number(MANIFEST, range, name));
        let is = end.saturating_sub(start);
        self.findings.equal(MANIFEST, "duration", &duration, &is, "viewers choose other widths of bins");
        if start < -EXACT || end > EXACT {
            let then = "viewers lose digits and show other dates; nanoseconds, maybe";
            self.problem(MANIFEST, "times are beyond 2^53", then);
        }
        (start, end)
    }
}

/// The cells of a row, if a viewer finds so many of them.
pub(super) fn cells<'l>(
    findings: &mut Findings,
    name: &str,
    number: u64,
    line: &'l str,
    width: usize,
) -> Option<Vec<&'l str>> {
    let cells: Vec<&str> = line.split(',').collect();
    if cells.len() != width {
        let then = "viewers leave a short row out, and take cells of a long one for others";
        findings.problem(name, format_args!("line {number} has {} cells, not {width}", cells.len()), then);
    } else if line.contains('"') {
        findings.problem(name, format_args!("line {number} has quotes"), "viewers do not know them, and show them");
    } else {
        return Some(cells);
    }
    None
}

/// A cell that is to be a whole number; 0 if it is none.
pub(super) fn integer(findings: &mut Findings, name: &str, line: u64, cell: &str) -> i64 {
    cell.parse::<i64>().unwrap_or_else(|_| {
        let then = "viewers take its digits, or 0";
        findings.problem(name, format_args!("line {line}: {cell:?} is no whole number"), then);
        0
    })
}
