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
    /// This is a link.
    Link(PathBuf),
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
        self.say(Cause::Link(path.to_owned()), "take", path, io::Error::other(why));
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
        self.known.retain(|cause| match cause {
            Cause::Unreadable(path) => !is_gone(path),
            Cause::Link(path) => path.is_symlink(),
            Cause::Polling => true,
        });
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

    #[test]
    fn every_link_is_named_once_as_long_as_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let links = ["a", "b"].map(|name| folder.path().join(name));
        let mut trouble = Trouble::default();
        let mut say = || {
            links.iter().for_each(|link| trouble.link(link));
            let said = trouble.take().into_iter().map(|seen| match seen {
                Seen::Trouble(error) => error.to_string(),
                other => panic!("{other:?}"),
            });
            let said: Vec<String> = said.collect();
            trouble.forget_gone();
            said
        };
        links.iter().for_each(|link| std::os::unix::fs::symlink("nowhere", link).unwrap());
        let said = say();
        assert!(said.len() == 2 && said[0].contains("/a: ") && said[1].contains("/b: "), "{said:?}");
        assert_eq!(say().len(), 0);
        fs::remove_file(&links[1]).unwrap();
        fs::write(&links[1], "").unwrap();
        assert_eq!(say().len(), 0, "that it is none any more shows at the next look");
        fs::remove_file(&links[1]).unwrap();
        std::os::unix::fs::symlink("nowhere", &links[1]).unwrap();
        assert_eq!(say().len(), 1);
    }
}
