//! One pipeline on an output folder, and one on a watched folder.
//!
//! Locks are of the kind that the system gives back when a process ends, however it does. The watched folder is locked itself, so that nothing is
//! written there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::schema::OWN;
use crate::error::{Error, ErrorKind, Result};

/// Its name in the output folder's own folder.
const NAME: &str = "watch.lock";

/// An output folder and a watched folder that are this process's until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _output: File,
    _folder: File,
}

impl Lock {
    /// See [`Journal::lock`](super::Journal::lock).
    pub(super) fn take(output: &Path, folder: &Path) -> Result<Lock> {
        let own = output.join(OWN);
        fs::create_dir_all(&own).map_err(|source| Error::io("make the folder", &own, source))?;
        let path = own.join(NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(|source| Error::io("open", &path, source))?;
        let taken = |file: &mut File| said(file).map(|(process, since, _)| format!("process {process}, since {since}"));
        try_lock(&mut file, output, "records are written here already", taken)?;

        let opened = File::open(folder).and_then(|opened| Ok((key(&opened)?, opened)));
        let (key, mut opened) = opened.map_err(|source| Error::io("open", folder, source))?;
        try_lock(&mut opened, folder, "this folder is watched already", |_| watcher(key))?;

        let line = format!("{} {:.0} {} {}\n", std::process::id(), jiff::Timestamp::now(), key.0, key.1);
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(line.as_bytes()));
        written.map_err(|source| Error::io("write", &path, source))?;
        Ok(Lock { _output: file, _folder: opened })
    }
}

/// Locks a file, or says who has it.
fn try_lock(file: &mut File, path: &Path, taken: &str, by: impl FnOnce(&mut File) -> Option<String>) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        Err(TryLockError::WouldBlock) => {
            let who = by(file).unwrap_or_else(|| "another process".to_owned());
            let message = format!("{taken}, by {who}; two would do the same work twice");
            Err(ErrorKind::Watch { path: path.to_owned(), message }.into())
        }
    }
}

/// Device and number of a folder.
type Key = (u64, u64);

fn key(file: &File) -> std::io::Result<Key> {
    file.metadata().map(|there| (there.dev(), there.ino()))
}

/// What the lock file of an output folder says: process, since when, and the folder that it watches.
fn said(file: &mut File) -> Option<(u32, String, Key)> {
    let mut line = String::new();
    file.rewind().and_then(|()| file.take(256).read_to_string(&mut line)).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (process, since) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    Some((process, since, (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
}

/// Who watches a folder. Linux tells which process has a lock and what it has open; of others nothing is known.
fn watcher(folder: Key) -> Option<String> {
    let device = format!("{:02x}:{:02x}:{}", rustix::fs::major(folder.0), rustix::fs::minor(folder.0), folder.1);
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
    let found = lines.find(|((owner, _, key), _)| (*owner, *key) == (process, folder));
    Some(match found {
        Some(((_, since, _), path)) => {
            let output = path.ancestors().nth(2).unwrap_or(&path).display().to_string();
            format!("process {process}, since {since}, which writes to {output}")
        }
        None => format!("process {process}"),
    })
}
