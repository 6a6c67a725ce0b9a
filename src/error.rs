//! The library's error: what failed, in which file, and where in it.
//!
//! A malformed packet is a count and never an error. A damaged file is no error either: what came before the damage is
//! kept and the file's report says where it ends. Errors are what stops a run or leaves an input unread.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong; one word wide, so that results stay small.
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

/// The kinds of errors.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused something about a file or folder.
    Io {
        /// What was being done: `open`, `read`, `write`.
        action: &'static str,
        /// The path it was done to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A configuration value is out of its bounds or unknown.
    Config(String),
    /// A table says something that is not taken.
    Table {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What it says, and what would be taken.
        message: String,
    },
    /// A host has a name that cannot be written: the name, why, and what to do.
    Name(String),
    /// An invariant of the engine is broken: the ledger does not balance, say.
    Invariant(String),
    /// A folder cannot be watched: another process does it, or the journal of its pipeline cannot be used. Or a file in it is of no use.
    Watch {
        /// The folder, the journal, or the file.
        path: PathBuf,
        /// Why, and what to do.
        message: String,
    },
    /// The journal of a pipeline is damaged, which no other try mends.
    DamagedJournal {
        /// The journal.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A sink refused a record, and this is what it says.
    Sink(Box<dyn std::error::Error + Send + Sync>),
    /// The caller asked the run to stop.
    Stopped,
}

impl Error {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        ErrorKind::Io { action, path: path.to_owned(), source }.into()
    }

    /// An error of the caller's sink.
    pub fn sink(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        ErrorKind::Sink(source.into()).into()
    }

    pub(crate) fn config(message: impl Into<String>) -> Error {
        ErrorKind::Config(message.into()).into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error(Box::new(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::Io { action, path, source } => write!(f, "{}: cannot {action}: {source}", path.display()),
            ErrorKind::Config(message) | ErrorKind::Name(message) => f.write_str(message),
            ErrorKind::Table { path, line, message } => write!(f, "{}, line {line}: {message}", path.display()),
            ErrorKind::Watch { path, message } | ErrorKind::DamagedJournal { path, message } => {
                write!(f, "{}: {message}", path.display())
            }
            ErrorKind::Invariant(message) => write!(f, "internal invariant broken: {message}; please report this"),
            ErrorKind::Sink(source) => write!(f, "{source}"),
            ErrorKind::Stopped => f.write_str("stopped"),
        }
    }
}

// The message already tells the cause; [`Error::kind`] has it as a value.
impl std::error::Error for Error {}
