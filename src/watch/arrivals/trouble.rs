//! What there is to say, each cause once.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Seen;
use crate::error::Error;

/// Why something is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// A file or folder cannot be read.
    Unreadable(PathBuf),
    /// A file is no capture.
    Foreign(PathBuf),
    /// There are links.
    Links,
    /// Not everything is told by the system.
    Polling,
}

/// What was said, and what will be.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    known: HashSet<Cause>,
    new: Vec<Seen>,
}

impl Trouble {
    pub(super) fn say(&mut self, cause: Cause, action: &'static str, path: &Path, source: io::Error) {
        if self.known.contains(&cause) {
            return;
        }
        let error = Error::io(action, path, source);
        self.new.push(match &cause {
            Cause::Unreadable(path) => Seen::Unreadable { path: path.clone(), error },
            _ => Seen::Trouble(error),
        });
        self.known.insert(cause);
    }

    /// A file is no capture, neither by its name nor by what it holds.
    pub(super) fn foreign(&mut self, path: &Path) {
        if self.known.insert(Cause::Foreign(path.to_owned())) {
            tracing::info!(path = %path.display(), "is no capture, by its name and what it holds: it stays where it is, and is not read");
        }
    }

    /// A link is where a file or folder could be.
    pub(super) fn link(&mut self, path: &Path) {
        let why = "it is a link, and no link is followed; what it leads to may be moved here";
        self.say(Cause::Links, "take", path, io::Error::other(why));
    }

    /// It can be read. If that ends, it is said anew.
    pub(super) fn over(&mut self, path: &Path) {
        if !self.known.is_empty() {
            self.known.remove(&Cause::Unreadable(path.to_owned()));
        }
    }

    /// What is new.
    pub(super) fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.new)
    }
}
