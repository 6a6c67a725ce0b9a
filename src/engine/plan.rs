//! The order of files: by first packet time, then path.

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;

use super::Progress;
use crate::capture::{Capture, Io};
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// Files that stay open between planning and reading; the others are opened again.
const KEPT_OPEN: usize = 128;

/// A capture to read.
pub struct Input {
    pub(crate) path: PathBuf,
    pub(crate) reader: Option<Box<dyn Read + Send>>,
}

impl Input {
    /// A file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Input {
        Input { path: path.into(), reader: None }
    }

    /// A stream, under a name: standard input, say.
    #[must_use]
    pub fn stream(name: impl Into<PathBuf>, reader: Box<dyn Read + Send>) -> Input {
        Input { path: name.into(), reader: Some(reader) }
    }
}

impl From<crate::capture::Input> for Input {
    fn from(input: crate::capture::Input) -> Input {
        match input {
            crate::capture::Input::File(path) => Input::file(path),
            crate::capture::Input::Stdin => Input::stream("-", Box::new(crate::capture::Stdin)),
        }
    }
}

/// A file in its place.
pub(super) struct Planned {
    /// Its place in the order of files.
    pub(super) number: u32,
    pub(super) path: PathBuf,
    /// Time of the first record; the earliest time for a file without one.
    pub(super) first: Timestamp,
    /// When the next file begins; the latest time for the last.
    pub(super) next: Timestamp,
    capture: Option<Capture>,
}

impl Planned {
    /// A file that comes by itself, or why it cannot be opened.
    pub(super) fn one(
        path: PathBuf,
        number: u32,
        next: Option<Timestamp>,
        io: Io,
    ) -> std::result::Result<Planned, (PathBuf, Error)> {
        let opened = Capture::open(&path, io).and_then(|mut capture| Ok((capture.first_time()?, capture)));
        match opened {
            Ok((first, capture)) => Ok(Planned {
                number,
                path,
                first: first.unwrap_or(Timestamp::MIN),
                next: next.unwrap_or(Timestamp::MAX),
                capture: Some(capture),
            }),
            Err(error) => Err((path, error)),
        }
    }

    /// The capture, at its first record.
    pub(super) fn open(self, io: Io) -> Result<Capture> {
        match self.capture {
            Some(capture) => Ok(capture),
            None => Capture::open(&self.path, io),
        }
    }
}

/// The files of a run, in order, and those that could not be opened.
pub(super) struct Plan {
    pub(super) files: VecDeque<Planned>,
    pub(super) failed: Vec<Error>,
}

impl Plan {
    pub(super) fn new(inputs: Vec<Input>, io: Io, progress: &Progress) -> Result<Plan> {
        let mut files = Vec::with_capacity(inputs.len());
        let mut failed = Vec::new();
        let keep_all = inputs.len() <= KEPT_OPEN;
        for input in inputs {
            progress.stopped()?;
            let stream = input.reader.is_some();
            let opened = match input.reader {
                Some(reader) => Capture::from_reader(&input.path, reader),
                None => Capture::open(&input.path, io),
            };
            let first = opened.and_then(|mut capture| Ok((capture.first_time()?, capture)));
            if stream {
                progress.stopped()?;
            }
            match first {
                Ok((first, capture)) => files.push(Planned {
                    number: 0,
                    path: input.path,
                    first: first.unwrap_or(Timestamp::MIN),
                    next: Timestamp::MAX,
                    capture: (keep_all || stream).then_some(capture),
                }),
                Err(error) => failed.push(error),
            }
        }
        files.sort_by(|a: &Planned, b: &Planned| (a.first, &a.path).cmp(&(b.first, &b.path)));
        for (file, number) in files.iter_mut().zip(0..) {
            file.number = number;
        }
        let firsts: Vec<Timestamp> = files.iter().skip(1).map(|file| file.first).collect();
        for (file, next) in files.iter_mut().zip(firsts) {
            file.next = next;
        }
        Ok(Plan { files: files.into(), failed })
    }
}
