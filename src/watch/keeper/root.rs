//! A folder below which files are found and removed, and nothing anywhere else.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// How deep folders of reports are.
const DEPTH: usize = 4;

/// A folder. Which it is shows when it is first opened; later there must be no other in its place.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    /// Device and number.
    first: Option<(u64, u64)>,
    opened: Option<File>,
}

/// A file below it.
#[derive(Debug)]
pub(super) struct Found {
    folder: OwnedFd,
    name: OsString,
    /// Open for reading.
    pub(super) file: File,
    pub(super) metadata: Metadata,
}

impl Found {
    /// Removes its name.
    pub(super) fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.folder, &self.name, AtFlags::empty())?)
    }
}

impl Root {
    pub(super) fn new(path: &Path) -> Root {
        Root { path: path.to_owned(), first: None, opened: None }
    }

    /// Opens it for a look.
    pub(super) fn open(&mut self) -> Result<()> {
        let failed = |source| Error::io("open", &self.path, source);
        let opened = File::open(&self.path).map_err(failed)?;
        let there = opened.metadata().map_err(failed)?;
        if !there.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let key = (there.dev(), there.ino());
        if *self.first.get_or_insert(key) != key {
            let message = "it is another folder than at the start, so nothing is removed";
            return Err(failed(io::Error::other(message)));
        }
        self.opened = Some(opened);
        Ok(())
    }

    /// The bytes that are free where it lies.
    pub(super) fn free(&self, free: super::Free<'_>) -> Result<u64> {
        let asked = self.opened().and_then(|opened| free(&self.path, opened));
        asked.map_err(|source| Error::io("ask for the free space of", &self.path, source))
    }

    /// A path from here on, of one that begins as this folder's does.
    pub(super) fn below<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(&self.path).ok()
    }

    /// Finds a file by its path from here on; nothing if there is none, or the way there leads through links or out of here.
    pub(super) fn find(&self, path: Option<&Path>) -> io::Result<Option<Found>> {
        let Some((folder, name)) = path.and_then(|path| path.parent().zip(path.file_name())) else { return Ok(None) };
        let found = self.folder(folder).and_then(|folder| found(folder, name));
        match found {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// Visits regular files in a folder, and in those in it; what cannot be opened is passed over.
    pub(super) fn each_file(&self, path: &Path, visit: &mut dyn FnMut(PathBuf, Found)) {
        if let Ok(folder) = self.folder(path) {
            each(folder, path, DEPTH, visit);
        }
    }

    /// Removes a folder if it is empty.
    pub(super) fn remove_empty(&self, path: &Path) -> bool {
        let Some((around, name)) = path.parent().zip(path.file_name()) else { return false };
        self.folder(around).and_then(|around| unlinkat(around, name, AtFlags::REMOVEDIR)).is_ok()
    }

    /// Opens a folder below, step by step, so that no link is followed.
    fn folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let mut folder =
            self.opened().map_err(|_| Errno::NOENT)?.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        for step in path.components() {
            let Component::Normal(name) = step else { return Err(Errno::NOENT) };
            folder = enter(&folder, name)?;
        }
        Ok(folder)
    }

    fn opened(&self) -> io::Result<&File> {
        self.opened.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn enter(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    openat(folder, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Looks at a file. One that is a pipe or a device is not waited for.
fn found(folder: OwnedFd, name: &OsStr) -> rustix::io::Result<Found> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(&folder, name, flags, Mode::empty())?);
    let metadata = file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Found { folder, name: name.to_owned(), file, metadata })
}

fn each(folder: OwnedFd, path: &Path, depth: usize, visit: &mut dyn FnMut(PathBuf, Found)) {
    let Ok(entries) = Dir::read_from(&folder) else { return };
    for entry in entries.flatten() {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if let Ok(inner) = enter(&folder, name) {
            if depth > 0 {
                each(inner, &path.join(name), depth - 1, visit);
            }
        } else if let Ok(folder) = folder.try_clone()
            && let Ok(found) = found(folder, name)
            && found.metadata.is_file()
        {
            visit(path.join(name), found);
        }
    }
}
