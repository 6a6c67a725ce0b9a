//! The folder and those in it: watched each by itself, and looked through.
//!
//! A folder is watched first and listed then, so whatever comes in between is told, found, or both.

use std::collections::BTreeMap;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::events::{Events, OVER};
use super::files::{Files, Stamp, below, is_gone};
use super::trouble::{Cause, Trouble};
use crate::capture::identity::numbers;
use crate::capture::{by_name, is_output};

/// Folders that are known, and what tells of them.
pub(super) struct Folders {
    root: PathBuf,
    events: Option<Events>,
    known: BTreeMap<PathBuf, Folder>,
    round: u64,
    /// How often folders are looked through that tell nothing.
    poll: Duration,
    /// There are such folders.
    polled: bool,
}

struct Folder {
    /// Device and inode.
    place: (u64, u64),
    watched: bool,
    round: u64,
}

impl Folders {
    pub(super) fn new(root: PathBuf, events: Option<Events>, poll: Duration) -> Folders {
        Folders { root, events, known: BTreeMap::new(), round: 0, poll, polled: false }
    }

    /// Whether some of them have to be looked through often, since they tell nothing.
    pub(super) fn is_polled(&self) -> bool {
        self.polled
    }

    /// Whether something was not told since this was asked last.
    pub(super) fn lost(&self) -> bool {
        self.events.as_ref().is_some_and(Events::lost)
    }

    /// Looks through all of them.
    pub(super) fn look_through(&mut self, files: &mut Files, at_start: bool, trouble: &mut Trouble) {
        self.round += 1;
        self.polled = false;
        files.begin_round();
        self.search(self.root.clone(), files, at_start, trouble);
        files.end_round();
        let gone = self.known.iter().filter(|(_, folder)| folder.round != self.round).map(|(path, _)| path.clone());
        for path in gone.collect::<Vec<_>>() {
            files.left_below(&path);
            self.forget(&path);
        }
    }

    /// Looks through one, and all in it.
    pub(super) fn search(&mut self, folder: PathBuf, files: &mut Files, at_start: bool, trouble: &mut Trouble) {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            match self.list(&folder, trouble) {
                Ok(List { mut inside, found }) => {
                    trouble.over(&folder);
                    folders.append(&mut inside);
                    for (path, stamp) in found {
                        files.found(&path, stamp, at_start, trouble, Instant::now());
                    }
                }
                Err(error) if is_gone(&error) && folder != self.root => {}
                Err(error) => {
                    if !is_gone(&error) {
                        files.keep_below(&folder);
                        self.keep_below(&folder);
                    }
                    trouble.say(Cause::Unreadable(folder.clone()), "list", &folder, error);
                }
            }
        }
    }

    /// A folder is no more under this name; whether it was known.
    pub(super) fn left(&mut self, folder: &Path) -> bool {
        let gone: Vec<PathBuf> = below(&self.known, folder).map(|(path, _)| path.clone()).collect();
        gone.iter().for_each(|path| self.forget(path));
        !gone.is_empty()
    }

    /// Watches a folder and lists it.
    fn list(&mut self, folder: &Path, trouble: &mut Trouble) -> io::Result<List> {
        // The root alone may be a link: it was named.
        let metadata = if folder == self.root { fs::metadata(folder) } else { fs::symlink_metadata(folder) }?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut list = List::default();
        if folder != self.root && is_output(folder) {
            tracing::debug!(folder = %folder.display(), "a folder of output, passed over");
            return Ok(list);
        }
        self.watch(folder, &metadata, trouble);
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            match kind(&path, entry.file_type()?, trouble) {
                Some(Kind::Folder) => list.inside.push(path),
                Some(Kind::File) => match entry.metadata() {
                    Ok(metadata) => found.push((metadata.modified().ok(), path, Stamp::of(&metadata))),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error),
                },
                None => {}
            }
        }
        // What was written to last comes last: it follows the others.
        found.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        list.found = found.into_iter().map(|(_, path, stamp)| (path, stamp)).collect();
        Ok(list)
    }

    /// Nothing is told any more; folders are looked through often.
    pub(super) fn deaf(&mut self, trouble: &mut Trouble) {
        self.events = None;
        self.poll(&self.root.clone(), io::Error::other(OVER), trouble);
    }

    fn watch(&mut self, folder: &Path, metadata: &Metadata, trouble: &mut Trouble) {
        let place = numbers(metadata);
        let mut watched = match self.known.get(folder) {
            Some(known) if known.place == place => known.watched,
            Some(_) => {
                self.forget(folder);
                false
            }
            None => false,
        };
        if !watched && let Some(events) = &mut self.events {
            match events.watch(folder) {
                Ok(()) => watched = true,
                // Listing it says so.
                Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(_) if events.is_over() => self.deaf(trouble),
                Err(error) => self.poll(folder, error, trouble),
            }
        }
        if self.events.is_none() {
            self.polled = true;
        } else if is_remote(folder) {
            let why = "its file system does not tell what other machines write";
            self.poll(folder, io::Error::other(why), trouble);
        }
        self.known.insert(folder.to_owned(), Folder { place, watched, round: self.round });
    }

    /// A folder has to be looked through often.
    pub(super) fn poll(&mut self, folder: &Path, why: io::Error, trouble: &mut Trouble) {
        self.polled = true;
        let why = format!("{why}; in place of that, it is looked at every {:?}", self.poll);
        trouble.say(Cause::Polling, "watch", folder, io::Error::other(why));
    }

    fn keep_below(&mut self, folder: &Path) {
        let paths: Vec<PathBuf> = below(&self.known, folder).map(|(path, _)| path.clone()).collect();
        for path in paths {
            if let Some(known) = self.known.get_mut(&path) {
                known.round = self.round;
            }
        }
    }

    fn forget(&mut self, folder: &Path) {
        if let Some(Folder { watched: true, .. }) = self.known.remove(folder)
            && let Some(events) = &mut self.events
        {
            events.unwatch(folder);
        }
    }
}

/// What lies in a folder.
#[derive(Default)]
struct List {
    inside: Vec<PathBuf>,
    found: Vec<(PathBuf, Stamp)>,
}

/// What matters here.
pub(super) enum Kind {
    File,
    Folder,
}

/// What has this name; nothing if it is passed over.
pub(super) fn kind(path: &Path, found: FileType, trouble: &mut Trouble) -> Option<Kind> {
    if by_name(path).is_some() {
        return None;
    }
    if found.is_symlink() {
        trouble.link(path);
    }
    match (found.is_dir(), found.is_file()) {
        (true, _) => Some(Kind::Folder),
        (_, true) => Some(Kind::File),
        _ => None,
    }
}

/// Whether others than this machine's processes write where a folder or file lies.
#[cfg(target_os = "linux")]
pub(in crate::watch) fn is_remote(path: &Path) -> bool {
    /// 9P, AFS (the kernel's and OpenAFS), Ceph, CIFS, Coda, FUSE, GFS2, GPFS, Lustre, NCP, NFS, OCFS2, SMB, SMB2, VirtualBox.
    const REMOTE: [u32; 16] = [
        0x0102_1997,
        0x6b41_4653,
        0x5346_414f,
        0x00c3_6400,
        0xff53_4d42,
        0x7375_7245,
        0x6573_5546,
        0x0116_1970,
        0x4750_4653,
        0x0bd0_0bd0,
        0x564c,
        0x6969,
        0x7461_636f,
        0x517b,
        0xfe53_4d42,
        0x786f_4256,
    ];
    // The numbers are of 32 bits, in a word whose width and sign are the machine's.
    rustix::fs::statfs(path).is_ok_and(|system| REMOTE.contains(&(system.f_type as u32)))
}

/// Elsewhere no system call tells it portably; what is not told is found at the next look.
#[cfg(not(target_os = "linux"))]
pub(in crate::watch) fn is_remote(_: &Path) -> bool {
    false
}
