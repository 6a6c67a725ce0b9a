//! One pipeline on an output folder, and one on a watched folder and all below and around it.
//!
//! Locks are of the kind that the system gives back when a process ends, however it does. The watched folder is locked itself, so that nothing is
//! written there, and the folders around it are locked as those that others may lock, too: so one who wants to watch them finds that something in
//! them is watched, and one who wants to watch a folder below finds that all is. Folders that belong to everybody, as `/tmp`, are left out,
//! since who cleans them up passes over what is locked; and those that cannot be opened.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::schema::OWN;
use crate::error::{Error, ErrorKind, Result};
use crate::watch::output::Output;

/// Its name in the output folder's own folder.
const NAME: &str = "watch.lock";

/// An output folder and a watched folder that are this process's until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _output: File,
    _folder: File,
    _around: Vec<File>,
}

impl Lock {
    /// See [`Journal::lock`](super::Journal::lock).
    pub(super) fn take(output: &Path, folder: &Path) -> Result<Lock> {
        let name = Path::new(OWN).join(NAME);
        let path = output.join(&name);
        let lock = || -> Result<File> {
            Output::make(output)?;
            let mut file = Output::open(output)?.open_file(&name)?;
            let locked = file.try_lock();
            let taken = || said(&mut file).map(|(process, since, ..)| format!("process {process}, since {since}"));
            is_free(locked, output, "records are written here already", taken)?;
            Ok(file)
        };
        // Where none is, none is made before the folder is had: whoever is refused leaves nothing behind.
        let there = if path.symlink_metadata().is_ok() { Some(lock()?) } else { None };
        let failed = |source| Error::io("open", folder, source);
        let opened = File::open(folder).map_err(failed)?;
        let key = key(&opened).map_err(failed)?;
        let real = folder.canonicalize().map_err(failed)?;
        is_free(opened.try_lock(), folder, "this folder is watched already", || watcher(&real, key))?;
        let mut around = Vec::new();
        for above in real.ancestors().skip(1) {
            let Ok(opened) = File::open(above) else { continue };
            let Some(key) = of_few(&opened) else { continue };
            let locked = opened.try_lock_shared();
            is_free(locked, above, "this folder is watched already, with all in it", || watcher(above, key))?;
            around.push(opened);
        }
        let mut file = there.map_or_else(lock, Ok)?;
        let line =
            format!("{} {:.0} {} {} {}\n", std::process::id(), jiff::Timestamp::now(), key.0, key.1, real.display());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(line.as_bytes()));
        written.map_err(|source| Error::io("write", &path, source))?;
        Ok(Lock { _output: file, _folder: opened, _around: around })
    }
}

/// Says who has a lock that could not be had.
fn is_free(
    locked: std::result::Result<(), TryLockError>,
    path: &Path,
    taken: &str,
    by: impl FnOnce() -> Option<String>,
) -> Result<()> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        Err(TryLockError::WouldBlock) => {
            let who = by().unwrap_or_else(|| "another process".to_owned());
            let message = format!("{taken}, by {who}; two would do the same work twice");
            Err(ErrorKind::Watch { path: path.to_owned(), message }.into())
        }
    }
}

/// A folder that not everybody may write into.
fn of_few(folder: &File) -> Option<Key> {
    const STICKY: u32 = 0o1000;
    folder.metadata().ok().filter(|there| there.mode() & STICKY == 0).map(|there| (there.dev(), there.ino()))
}

/// Device and number of a folder.
type Key = (u64, u64);

fn key(file: &File) -> std::io::Result<Key> {
    file.metadata().map(|there| (there.dev(), there.ino()))
}

/// What the lock file of an output folder says: process, since when, and the folder that it watches.
fn said(file: &mut File) -> Option<(u32, String, Key, PathBuf)> {
    const LONGEST: u64 = 8192;
    let mut line = String::new();
    file.rewind().and_then(|()| file.take(LONGEST).read_to_string(&mut line)).ok()?;
    let mut words = line.trim_end_matches('\n').splitn(5, ' ');
    let (process, since) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let key = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((process, since, key, words.next().unwrap_or_default().into()))
}

/// Who watches a folder, or one in it. Linux tells which process has a lock and what it has open; of others nothing is known.
fn watcher(folder: &Path, key: Key) -> Option<String> {
    let device = format!("{:02x}:{:02x}:{}", rustix::fs::major(key.0), rustix::fs::minor(key.0), key.1);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let of = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let at = words.iter().position(|word| *word == device)?;
        words.get(at.checked_sub(1)?)?.parse::<u32>().ok()
    };
    let process = locks.lines().find_map(of)?;
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let outputs = open.filter_map(|entry| fs::read_link(entry.path()).ok()).filter(|path| path.ends_with(NAME));
    let mut lines = outputs.filter_map(|path| Some((said(&mut File::open(&path).ok()?)?, path)));
    let found =
        lines.find(|((owner, _, watched, path), _)| *owner == process && (*watched == key || path.starts_with(folder)));
    Some(match found {
        Some(((_, since, _, watched), path)) => {
            let output = path.ancestors().nth(2).unwrap_or(&path).display();
            format!("process {process}, since {since}, which watches {} and writes to {output}", watched.display())
        }
        None => format!("process {process}"),
    })
}
