//! What there is to say, each cause once.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Seen;
use super::files::is_gone;
use crate::error::Error;

/// Why something is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// A file or folder cannot be read.
    Unreadable(PathBuf),
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

    /// What is gone may come again, and is said anew then; so this does not grow with files that are no more.
    pub(super) fn forget_gone(&mut self) {
        let is_gone = |path: &Path| path.symlink_metadata().is_err_and(|error| is_gone(&error));
        self.known.retain(|cause| !matches!(cause, Cause::Unreadable(path) if is_gone(path)));
    }

    /// What is new.
    pub(super) fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_gone_is_not_held_and_said_anew_when_it_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let [stays, goes] = ["stays", "goes"].map(|name| folder.path().join(name));
        let mut trouble = Trouble::default();
        let say = |trouble: &mut Trouble| {
            for path in [&stays, &goes] {
                fs::write(path, "").unwrap();
                let error = io::ErrorKind::PermissionDenied.into();
                trouble.say(Cause::Unreadable(path.clone()), "read", path, error);
            }
            trouble.take().len()
        };
        assert_eq!((say(&mut trouble), say(&mut trouble)), (2, 0));
        fs::remove_file(&goes).unwrap();
        trouble.forget_gone();
        assert_eq!(trouble.known, HashSet::from([Cause::Unreadable(stays.clone())]));
        assert_eq!(say(&mut trouble), 1);
    }
}
