//! Inputs that are passed over, and why.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why an input was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Its content is neither a capture nor compressed.
    NotACapture,
    /// Its name says that it is still being written.
    Unfinished,
    /// It grew or shrank while it was looked at.
    Changing,
    /// Its name starts with a dot.
    Hidden,
    /// It is no regular file, or a link that leads nowhere.
    NotAFile,
    /// It is the same file as one named before.
    Repeated,
    /// It is a folder without captures.
    NoCaptures,
    /// It is a folder that this program writes into.
    Output,
}

impl Cause {
    /// The reason as the end of a sentence that starts with the path.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Cause::NotACapture => "is not a capture",
            Cause::Unfinished => "is still being written, by its name",
            Cause::Changing => "is still being written",
            Cause::Hidden => "is hidden",
            Cause::NotAFile => "is not a regular file",
            Cause::Repeated => "is named twice and read once",
            Cause::NoCaptures => "holds no captures",
            Cause::Output => "is a folder of output",
        }
    }
}

/// One input that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The input.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
}

impl Skipped {
    pub(super) fn new(path: &Path, cause: Cause) -> Skipped {
        Skipped { path: path.to_owned(), cause }
    }
}

/// `PATH: REASON`.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause.reason())
    }
}

/// Whether a folder is one that output was written into: it has a journal.
pub(crate) fn is_output(folder: &Path) -> bool {
    folder.join(".pcap-compactor").is_dir()
}

/// Endings of names that files have while they are written or moved.
const UNFINISHED: [&[u8]; 8] =
    [b".tmp", b".part", b".partial", b".filepart", b".crdownload", b".current", b".swp", b"~"];

/// Why a file is passed over for its name alone.
pub(crate) fn by_name(path: &Path) -> Option<Cause> {
    let name = path.file_name()?.as_encoded_bytes();
    if name.starts_with(b".") {
        return Some(Cause::Hidden);
    }
    let lower = name.to_ascii_lowercase();
    UNFINISHED.iter().any(|ending| lower.ends_with(ending)).then_some(Cause::Unfinished)
}
