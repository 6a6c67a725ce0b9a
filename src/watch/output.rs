//! The output folder: what is written there, and that nothing is written anywhere else.
//!
//! Folders in it are entered one by one, and none that is a link: who may write into one of them does not choose where records go. The output
//! folder itself may be a link, since it was chosen. It is held open, so one that is removed while a pipeline works is missed, and not made anew behind
//! the back of its journal.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::sink::atomic::AtomicFile;

/// Bytes of the name of a file from elsewhere that are kept.
const LONGEST: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    folder: OwnedFd,
}

impl Output {
    /// Makes the folder, if it is not there.
    pub(super) fn make(path: &Path) -> Result<()> {
        let made = fs::create_dir_all(path).map_err(|error| match path.is_symlink() && !path.exists() {
            true => {
                io::Error::new(io::ErrorKind::NotFound, "it is a link to nothing; make the folder that it leads to")
            }
            false => error,
        });
        made.map_err(|source| Error::io("make the folder", path, source))
    }

    /// Opens the folder, which has to be there.
    pub(super) fn open(path: &Path) -> Result<Output> {
        let opened = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = opened.map_err(|error| Error::io("open", path, error.into()))?;
        Ok(Output { path: path.to_owned(), folder })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a file, named from here on, that appears whole or not at all.
    pub(super) fn create(&self, file: &Path) -> Result<AtomicFile> {
        let folder = self.folder(file.parent().unwrap_or(Path::new("")))?;
        // A name that cannot be taken shows here, before anything is written.
        match statat(&folder, file.file_name().unwrap_or_default(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Directory => {
                Err(self.refused("write", file, Errno::ISDIR))
            }
            Err(error) if error != Errno::NOENT => Err(self.refused("write", file, error)),
            _ => AtomicFile::create_in(folder, &self.path.join(file)),
        }
    }

    /// Whether it is the path of one file that an error is about: something else has its name or that of a folder on its way, or a name is too long.
    /// What is wrong with the folder of a product, or of a sensor in it, is wrong for all files there.
    pub(super) fn is_of_path(&self, error: &Error) -> bool {
        let ErrorKind::Io { path, source, .. } = error.kind() else { return false };
        let way = path.strip_prefix(&self.path).map_or(0, |way| way.components().count());
        let kinds = [io::ErrorKind::NotADirectory, io::ErrorKind::IsADirectory, io::ErrorKind::InvalidFilename];
        way > 2 && kinds.contains(&source.kind())
    }

    /// Writes a small file whole.
    pub(super) fn write_whole(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        let mut out = self.create(file)?;
        out.write_all(bytes).map_err(|source| Error::io("write", &self.path.join(file), source))?;
        out.commit().map(drop)
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, file: &Path) -> Result<()> {
        let folder = self.folder(file.parent().unwrap_or(Path::new("")))?;
        match unlinkat(folder, file.file_name().unwrap_or_default(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.refused("remove", file, error)),
        }
    }

    /// Opens a file for reading and writing; makes it if it is missing.
    pub(super) fn open_file(&self, file: &Path) -> Result<File> {
        let folder = self.folder(file.parent().unwrap_or(Path::new("")))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(folder, file.file_name().unwrap_or_default(), flags, Mode::from_raw_mode(0o666));
        Ok(opened.map_err(|error| self.refused("open", file, error))?.into())
    }

    /// A name that nothing in a folder has, alone or with an ending, for a file from elsewhere: its own, or that and a number.
    pub(super) fn free_name(&self, from: &Path, folder: &Path, ending: &str) -> Result<OsString> {
        let place = self.folder(folder)?;
        let is_free = |name: &OsStr| match statat(&place, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => Err(self.refused("look at", &folder.join(name), error)),
        };
        let name = from.file_name().unwrap_or_default().as_bytes();
        // So that there is room for what goes behind it.
        let name = OsStr::from_bytes(&name[..name.len().min(LONGEST)]);
        let mut free = name.to_owned();
        for number in 1.. {
            let mut ended = free.clone();
            ended.push(ending);
            if is_free(&free)? && is_free(&ended)? {
                break;
            }
            free = name.to_owned();
            free.push(format!(".{number}"));
        }
        Ok(free)
    }

    /// Moves a file from elsewhere to a place; from another disk it cannot be moved.
    pub(super) fn take_in(&self, from: &Path, place: &Path) -> Result<()> {
        let folder = self.folder(place.parent().unwrap_or(Path::new("")))?;
        let moved = renameat(CWD, from, folder, place.file_name().unwrap_or_default());
        moved.map_err(|error| Error::io("move", from, error.into()))
    }

    /// Opens a folder, named from here on, and makes what is missing of it.
    pub(super) fn folder(&self, path: &Path) -> Result<OwnedFd> {
        let refused = |path: &Path, error| self.refused("enter", path, error);
        let mut folder =
            self.folder.as_fd().try_clone_to_owned().map_err(|source| Error::io("open", &self.path, source))?;
        let mut way = PathBuf::new();
        for step in path.components() {
            way.push(step);
            let Component::Normal(name) = step else { return Err(refused(&way, Errno::INVAL)) };
            let enter = || {
                openat(
                    &folder,
                    name,
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )
            };
            folder = match enter() {
                Err(Errno::NOENT) => {
                    match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(self.refused("make the folder", &way, error)),
                    }
                    enter()
                }
                entered => entered,
            }
            .map_err(|error| refused(&way, error))?;
        }
        Ok(folder)
    }

    /// What the system said of a path from here on, or what is behind it.
    fn refused(&self, action: &'static str, path: &Path, error: Errno) -> Error {
        let there = statat(&self.folder, path, AtFlags::SYMLINK_NOFOLLOW);
        let source = if there.is_ok_and(|there| FileType::from_raw_mode(there.st_mode) == FileType::Symlink) {
            io::Error::new(
                io::ErrorKind::NotADirectory,
                "it is a link, and nothing is written through one; put a folder there, or choose another output",
            )
        } else if fstat(&self.folder).is_ok_and(|there| there.st_nlink == 0) {
            io::Error::other("the output folder has been removed; the next start makes it anew")
        } else {
            error.into()
        };
        Error::io(action, &self.path.join(path), source)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_written_through_a_link_but_the_chosen_one() {
        let dir = tempfile::tempdir().unwrap();
        let [chosen, real, elsewhere] = ["chosen", "real", "elsewhere"].map(|name| dir.path().join(name));
        fs::create_dir(&real).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        symlink(&real, &chosen).unwrap();
        let output = Output::open(&chosen).unwrap();
        output.write_whole(Path::new("flows/s/2025/13.csv"), b"a").unwrap();
        assert_eq!(fs::read(real.join("flows/s/2025/13.csv")).unwrap(), b"a");
        symlink(&elsewhere, real.join("flows/s/2026")).unwrap();
        symlink(&elsewhere, real.join("quarantine")).unwrap();
        symlink(elsewhere.join("lock"), real.join("lock")).unwrap();
        symlink(elsewhere.join("new"), real.join("flows/s/2025/14.csv")).unwrap();
        let links = [
            ("flows/s/2026", output.create(Path::new("flows/s/2026/01/13.csv")).map(drop)),
            ("quarantine", output.take_in(&real.join("flows/s/2025/13.csv"), Path::new("quarantine/s/13.csv"))),
            ("lock", output.open_file(Path::new("lock")).map(drop)),
        ];
        for (path, refused) in links {
            let said = refused.unwrap_err().to_string();
            let named = format!("{}: cannot ", chosen.join(path).display());
            assert!(said.starts_with(&named) && said.contains("it is a link"), "{said}");
        }
        // A link in the place of a file gives way to it.
        output.write_whole(Path::new("flows/s/2025/14.csv"), b"b").unwrap();
        assert!(!real.join("flows/s/2025/14.csv").is_symlink());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn what_is_wrong_with_one_path_is_told_from_what_is_wrong_with_all() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::open(dir.path()).unwrap();
        output.write_whole(Path::new("flows/s/a.csv"), b"a").unwrap();
        output.write_whole(Path::new("flows/s/d.csv/x.csv"), b"x").unwrap();
        output.write_whole(Path::new("flows/file"), b"").unwrap();
        output.write_whole(Path::new("groups"), b"").unwrap();
        symlink(dir.path(), dir.path().join("flows/s/link")).unwrap();
        symlink(dir.path(), dir.path().join("flows/link")).unwrap();
        let long = format!("flows/s/{}.csv", "n".repeat(252));
        for (path, is_its_own) in [
            ("flows/s/a.csv/x.csv", true),
            ("flows/s/d.csv", true),
            ("flows/s/link/x.csv", true),
            (&long, true),
            (&format!("{long}/x.csv"), true),
            ("flows/link/x.csv", false),
            ("flows/file/x.csv", false),
            ("groups/s/x.csv", false),
        ] {
            let error = output.create(Path::new(path)).unwrap_err();
            assert_eq!(output.is_of_path(&error), is_its_own, "{error}");
        }
        let full = Error::io("write", &dir.path().join("flows/s/a.csv"), io::ErrorKind::StorageFull.into());
        assert!(!output.is_of_path(&full));
    }

    #[test]
    fn a_folder_that_is_removed_is_missed_and_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::create_dir(&path).unwrap();
        let output = Output::open(&path).unwrap();
        let file = output.create(Path::new("flows/a.csv")).unwrap();
        fs::remove_dir_all(&path).unwrap();
        assert!(file.commit().is_err());
        let said = output.create(Path::new("flows/a.csv")).unwrap_err().to_string();
        assert!(said.contains("has been removed"), "{said}");
        assert!(!path.exists());
    }

    #[test]
    fn what_is_put_aside_takes_no_name_that_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bad) = (dir.path().join("out"), dir.path().join("a.pcap"));
        fs::create_dir(&path).unwrap();
        let output = Output::open(&path).unwrap();
        // The report of one that lies elsewhere.
        output.write_whole(Path::new("quarantine/a.pcap.2.txt"), b"").unwrap();
        for (content, named) in [("1", "a.pcap"), ("2", "a.pcap.1"), ("3", "a.pcap.3")] {
            fs::write(&bad, content).unwrap();
            assert_eq!(output.free_name(&bad, Path::new("quarantine"), ".txt").unwrap(), named);
            output.take_in(&bad, &Path::new("quarantine").join(named)).unwrap();
            assert_eq!(fs::read_to_string(path.join("quarantine").join(named)).unwrap(), content);
        }
        let long = output.free_name(Path::new(&"n".repeat(255)), Path::new("quarantine"), ".reason.txt").unwrap();
        output.write_whole(&Path::new("quarantine").join(long.clone()), b"").unwrap();
        assert_eq!(long.len(), LONGEST);
        assert!(output.take_in(&bad, Path::new("quarantine/a.pcap.4")).is_err(), "there is none");
    }
}
