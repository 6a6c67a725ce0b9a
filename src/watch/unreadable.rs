//! Files and folders that could not be read, and were not since then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::arrivals::{Arrival, is_gone};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unreadable(BTreeSet<PathBuf>);

impl Unreadable {
    pub(super) fn insert(&mut self, path: PathBuf) {
        self.0.insert(path);
    }

    /// Files have come: so could the folders be read that they lie in.
    pub(super) fn came(&mut self, arrivals: &[Arrival]) {
        for path in arrivals.iter().flat_map(|arrival| arrival.path.ancestors()) {
            if self.0.is_empty() {
                return;
            }
            self.0.remove(path);
        }
    }

    /// What is gone is not to be read any more.
    pub(super) fn forget_gone(&mut self) {
        self.0.retain(|path| !path.symlink_metadata().is_err_and(|error| is_gone(&error)));
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those that are there.
    pub(super) fn there(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path).filter(|path| path.symlink_metadata().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::watch::Identity;

    fn arrivals(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Arrival> {
        let identity = Identity { device: 0, inode: 0, size: 0, digest: String::new() };
        paths.into_iter().map(|path| Arrival { sensor: "s".into(), path, identity: identity.clone() }).collect()
    }

    #[test]
    fn what_comes_could_be_read_and_so_could_its_folders() {
        let mut unreadable = Unreadable::default();
        ["/in", "/in/s", "/in/s/a", "/in/s/b", "/in/t"].into_iter().for_each(|path| unreadable.insert(path.into()));
        unreadable.came(&arrivals(["/in/s/a".into(), "/in/s/bb".into()]));
        assert_eq!(unreadable.0, BTreeSet::from(["/in/s/b".into(), "/in/t".into()]));
    }

    #[test]
    fn what_is_gone_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let [stays, goes] = ["stays", "goes"].map(|name| folder.path().join(name));
        let mut unreadable = Unreadable::default();
        for path in [&stays, &goes] {
            fs::write(path, "").unwrap();
            unreadable.insert(path.clone());
        }
        // Nothing can have this name.
        unreadable.insert(stays.join("below"));
        fs::remove_file(&goes).unwrap();
        unreadable.forget_gone();
        assert_eq!((unreadable.there().collect::<Vec<_>>(), unreadable.0.len()), (vec![stays.as_path()], 1));
    }

    #[test]
    fn many_arrivals_are_not_held_against_many_that_cannot_be_read() {
        let path = |folder: &str, nth: u32| PathBuf::from(format!("/in/{folder}/{nth}"));
        let mut unreadable = Unreadable::default();
        (0..50_000).for_each(|nth| unreadable.insert(path("bad", nth)));
        let came = arrivals((0..50_000).map(|nth| path("good", nth)));
        let began = Instant::now();
        unreadable.came(&came);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(unreadable.0.len(), 50_000);
    }
}
