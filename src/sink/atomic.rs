//! Files that appear whole or not at all: a temporary name beside the place, fsync, rename.
//!
//! Every file that is written goes this way, large or small. What is no regular file, a pipe or a device, is written into
//! and stays what it is; for that there is no temporary name and no way back. A link stays too: what it leads to is replaced.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use walkdir::WalkDir;

use super::blocks::BlockWriter;
use super::seal::Seal;
use crate::error::{Error, Result};

/// A file under way. Dropped before [`AtomicFile::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    /// The same as the user knows it, for errors.
    named: PathBuf,
    /// Where it lies until then; nothing for what is written into.
    temporary: Option<PathBuf>,
    /// The folder, where it was handed over open.
    #[cfg(unix)]
    folder: Option<OwnedFd>,
    replaces: bool,
    out: BlockWriter,
    _unfinished: Option<Unfinished>,
}

impl AtomicFile {
    /// Starts the file that will be at `path`, in place of one that is there; its folder is made if it is missing.
    ///
    /// # Errors
    /// `path` is a folder; its folder or the temporary file in there cannot be made; a pipe or device cannot be opened.
    pub fn create(path: &Path) -> Result<AtomicFile> {
        AtomicFile::start(path, true)
    }

    /// As [`AtomicFile::create`], but replaces nothing.
    ///
    /// # Errors
    /// As [`AtomicFile::create`]; and as an I/O error of the kind [`ErrorKind::AlreadyExists`], `path` is taken.
    pub fn create_new(path: &Path) -> Result<AtomicFile> {
        AtomicFile::start(path, false)
    }

    /// Starts the file that will be at `path`, whose folder is `folder`, wherever that lies by now. A link of that name is replaced, not followed.
    ///
    /// # Errors
    /// The temporary file cannot be made.
    #[cfg(all(unix, feature = "watch"))]
    pub(crate) fn create_in(folder: OwnedFd, path: &Path) -> Result<AtomicFile> {
        use rustix::fs::{Mode, OFlags, openat};
        let temporary = folder_of(path).join(temporary_name(path));
        let failed = |source| Error::io("create", path, source);
        let name = temporary.file_name().unwrap_or_default();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let create = || openat(&folder, name, flags, Mode::from_raw_mode(0o666));
        let file = match create() {
            // A leftover of a process of the same number.
            Err(rustix::io::Errno::EXIST) => {
                rustix::fs::unlinkat(&folder, name, rustix::fs::AtFlags::empty()).and_then(|()| create())
            }
            other => other,
        };
        let out = BlockWriter::new(file.map_err(io::Error::from).map_err(failed)?.into()).map_err(failed)?;
        let _unfinished = Some(Unfinished::new(&temporary));
        let (path, temporary) = (path.to_owned(), Some(temporary));
        Ok(AtomicFile { named: path.clone(), path, temporary, folder: Some(folder), replaces: true, out, _unfinished })
    }

    fn start(path: &Path, replaces: bool) -> Result<AtomicFile> {
        let refused = |source| Error::io("write", path, source);
        let mut target = path.to_owned();
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(refused(ErrorKind::IsADirectory.into())),
            Ok(there) if !there.is_file() => {
                let out = OpenOptions::new().write(true).open(path).and_then(BlockWriter::new).map_err(refused)?;
                return Ok(AtomicFile {
                    path: target,
                    named: path.to_owned(),
                    temporary: None,
                    #[cfg(unix)]
                    folder: None,
                    replaces,
                    out,
                    _unfinished: None,
                });
            }
            Ok(_) if path.is_symlink() => target = fs::canonicalize(path).map_err(refused)?,
            // A link to what is not there yet.
            Err(_) if path.is_symlink() => target = folder_of(path).join(fs::read_link(path).map_err(refused)?),
            _ => {}
        }
        if !replaces {
            vacant(path)?;
        }
        let folder = folder_of(&target);
        fs::create_dir_all(folder).map_err(|source| Error::io("make the folder", folder, source))?;
        let temporary = folder.join(temporary_name(&target));
        // Never written through: a leftover of a process of the same number, or a link that somebody put there.
        let create = || OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&temporary).and_then(|()| create())
            }
            other => other,
        };
        let file = file.map_err(|source| Error::io("create", path, source))?;
        let out = BlockWriter::new(file).map_err(refused)?;
        let _unfinished = Some(Unfinished::new(&temporary));
        Ok(AtomicFile {
            path: target,
            named: path.to_owned(),
            temporary: Some(temporary),
            #[cfg(unix)]
            folder: None,
            replaces,
            out,
            _unfinished,
        })
    }

    /// Its path, as the user knows it.
    #[cfg(all(feature = "watch", feature = "tables"))]
    pub(crate) fn named(&self) -> &Path {
        &self.named
    }

    /// Appends what `with` appends to a buffer, whose other content it must leave alone.
    ///
    /// # Errors
    /// The buffer is full and cannot be written.
    #[inline]
    pub(crate) fn append(&mut self, with: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.out.append(with).map_err(|source| Error::io("write", &self.named, source))
    }

    /// Makes the file visible under its name, whole and on the disk, and tells what it holds.
    ///
    /// # Errors
    /// It cannot be written or renamed, or its name, which was to be new, has been taken; then nothing is visible.
    pub fn commit(mut self) -> Result<Seal> {
        let failed = |source| Error::io("write", &self.named, source);
        self.out.flush().map_err(failed)?;
        let seal = self.out.seal();
        let Some(temporary) = &self.temporary else { return Ok(seal) };
        self.out.sync().map_err(failed)?;
        if !self.replaces {
            vacant(&self.path)?;
        }
        self.rename(temporary).map_err(failed)?;
        self.temporary = None;
        Ok(seal)
    }

    /// The rename is on the disk when its folder is; a file system that cannot sync folders has its own promise.
    fn rename(&self, temporary: &Path) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(folder) = &self.folder {
            let [from, to] = [temporary, &self.path].map(|path| path.file_name().unwrap_or_default());
            rustix::fs::renameat(folder, from, folder, to)?;
            let _ = rustix::fs::fsync(folder);
            return Ok(());
        }
        fs::rename(temporary, &self.path)?;
        let _ = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    /// Does nothing to a file that is not visible before it is whole; its blocks are to go past the page cache.
    fn flush(&mut self) -> io::Result<()> {
        if self.temporary.is_none() { self.out.flush() } else { Ok(()) }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        let Some(temporary) = &self.temporary else { return };
        #[cfg(unix)]
        if let Some(folder) = &self.folder {
            let name = temporary.file_name().unwrap_or_default();
            let _ = rustix::fs::unlinkat(folder, name, rustix::fs::AtFlags::empty());
            return;
        }
        let _ = fs::remove_file(temporary);
    }
}

/// Temporary names under which something is being written, of files and folders.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// They are being removed, or are gone.
static ENDING: AtomicBool = AtomicBool::new(false);

/// For who makes files in a folder under way, which is as good as never removed while more of them come.
///
/// # Errors
/// The process is about to end, and what is unfinished with it.
pub(super) fn going_on() -> io::Result<()> {
    if ENDING.load(Ordering::Relaxed) {
        Err(io::Error::new(ErrorKind::Interrupted, "the process is being ended"))
    } else {
        Ok(())
    }
}

/// Notes what is being written under a temporary name until it is dropped.
#[derive(Debug)]
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    pub(super) fn new(temporary: &Path) -> Unfinished {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(temporary.to_owned());
        Unfinished(temporary.to_owned())
    }

    /// Gives it its own name by `rename`. A folder is not removed meanwhile, of which half would go under that name.
    ///
    /// # Errors
    /// Of `rename`; or the process is [being ended](going_on).
    pub(super) fn named_by<T>(&self, rename: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let _unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        going_on()?;
        rename()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Removes all files and folders that this process is writing and has not made visible. For a process that is about to end at once:
/// whoever writes them meets errors from then on.
pub fn remove_unfinished() {
    let unfinished = {
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        ENDING.store(true, Ordering::Relaxed);
        std::mem::take(&mut *unfinished)
    };
    for path in unfinished {
        // What had begun before may come while it is removed.
        for _ in 0..10 {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if removed.is_ok() || !path.exists() {
                break;
            }
        }
    }
}

/// Writes a small file whole, and tells what it holds.
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::commit`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<Seal> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|source| Error::io("write", path, source))?;
    file.commit()
}

/// Removes what processes left that were killed while they wrote, from a folder (`depth` 1) or also from those in it. The
/// caller makes sure that none is writing there.
pub fn sweep(folder: &Path, depth: usize) {
    for entry in WalkDir::new(folder).max_depth(depth).into_iter().flatten() {
        if entry.file_type().is_file() && is_temporary(&entry.file_name().to_string_lossy()) {
            // What cannot be removed takes room and does no other harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Characters of a file's name in its temporary name: at most 4 bytes each, of the 255 that file systems take.
const MOST_OF_A_NAME: usize = 48;

/// `.NAME.PROCESS-NUMBER.tmp`: no two files under way share it.
pub(crate) fn temporary_name(path: &Path) -> OsString {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(own_name(path));
    name.push(format!(".{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    name
}

/// What temporary names of a path begin with. A name may be as long as the system lets it, and they have to be longer.
fn own_name(path: &Path) -> String {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    [".", &own.chars().take(MOST_OF_A_NAME).collect::<String>()].concat()
}

/// Whether a name is a temporary name of a path.
pub(super) fn is_temporary_of(name: &str, path: &Path) -> bool {
    let ids = name.strip_prefix(&own_name(path)).and_then(|rest| rest.strip_prefix('.'));
    is_temporary(name) && ids.is_some_and(|ids| !ids.trim_end_matches(".tmp").contains('.'))
}

fn is_temporary(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    let ids = parts.and_then(|parts| parts.rsplit_once('.')).and_then(|(_, ids)| ids.split_once('-'));
    ids.is_some_and(|(process, number)| process.parse::<u32>().is_ok() && number.parse::<u64>().is_ok())
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn vacant(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Err(Error::io("create", path, io::Error::new(ErrorKind::AlreadyExists, "it exists already"))),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind as Kind;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_visible_before_the_commit_or_after_a_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.jsonl");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(names(&folder.path().join("a")), [""; 0]);
        let seal = write_whole(&path, b"whole").unwrap();
        assert_eq!(Seal::of(&path).unwrap(), seal);
        fs::write(&path, b"whale").unwrap();
        assert_ne!(Seal::of(&path).unwrap(), seal);
        assert_eq!(write_whole(&path, b"whole").unwrap(), seal);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(&folder.path().join("a")), ["b.jsonl"]);
    }

    #[test]
    fn a_new_file_takes_no_name_that_is_taken_even_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let taken = |error: &Error| matches!(error.kind(), Kind::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists);
        let mut early = AtomicFile::create_new(&path).unwrap();
        early.write_all(b"late").unwrap();
        AtomicFile::create_new(&path).unwrap().commit().unwrap();
        assert!(taken(&early.commit().unwrap_err()));
        let error = AtomicFile::create_new(&path).unwrap_err();
        assert!(taken(&error), "{error}");
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (vec![], vec!["a".to_owned()]));
    }

    #[test]
    fn two_writers_of_one_file_leave_that_of_the_last_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut files = ["first", "second"].map(|_| AtomicFile::create(&path).unwrap());
        files[0].write_all(b"first").unwrap();
        files[1].write_all(b"second").unwrap();
        let [first, second] = files;
        first.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        second.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_folder_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AtomicFile::create(folder.path()).is_err());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(AtomicFile::create_new(&link).is_err());
    }

    /// A temporary name says nothing to whoever reads of it.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_names_the_place_as_the_user_did() {
        let folder = tempfile::tempdir().unwrap();
        let said = AtomicFile::create(Path::new("/proc/x")).unwrap_err().to_string();
        assert!(said.starts_with("/proc/x: cannot create: "), "{said}");
        let (kept, link) = (folder.path().join("kept"), folder.path().join("link"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("real"), "old").unwrap();
        std::os::unix::fs::symlink("kept/real", &link).unwrap();
        let file = AtomicFile::create(&link).unwrap();
        fs::remove_dir_all(&kept).unwrap();
        let said = file.commit().unwrap_err().to_string();
        assert!(said.starts_with(&format!("{}: cannot write: ", link.display())), "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_into_and_stays_a_device() {
        for create in [AtomicFile::create, AtomicFile::create_new] {
            let mut file = create(Path::new("/dev/null")).unwrap();
            file.write_all(b"gone").unwrap();
            file.commit().unwrap();
            assert!(!fs::metadata("/dev/null").unwrap().is_file());
        }
    }

    #[test]
    fn sweeping_takes_leftovers_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(temporary_name(Path::new("13.jsonl")));
        for name in [left.as_path(), Path::new("13.jsonl"), Path::new(".mine.tmp"), Path::new(".a.1-x.tmp")] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path(), 1);
        assert_eq!(names(folder.path()), [".a.1-x.tmp", ".mine.tmp", "13.jsonl"]);
    }
}
