//! Folders that appear whole or not at all, as files do: a temporary name beside the place, fsync, rename.
//!
//! A folder that is there is replaced only by a successor that is complete, and only if it holds what such a folder holds: nobody loses
//! a home to a mistyped name. Where the system can, both change places in one step.
//!
//! A process that is killed leaves what it had under the temporary name. While one lives it holds a lock on a file in there, which says whose
//! the folder is, so the next that writes to the same place knows what is dead, and removes it. Where there are no locks, leftovers stay.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::atomic::{Unfinished, folder_of, going_on, is_temporary_of, temporary_name};
use super::blocks::BlockWriter;
use crate::error::{Error, Result};

/// Says of a folder what makes it none that may be replaced, as a sentence goes on: `it holds a.txt`.
pub type Ours = fn(&Path) -> std::result::Result<(), String>;

/// A folder under way. Dropped before [`AtomicFolder::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFolder {
    /// Where it will be; inside another that is under way, where it lies in that.
    path: PathBuf,
    /// The same as the user knows it, for errors.
    named: PathBuf,
    temporary: PathBuf,
    replaces: bool,
    is_ours: Ours,
    /// Folders in it that have been made.
    made: RefCell<HashSet<PathBuf>>,
    swept: Vec<PathBuf>,
    mark: Option<Mark>,
    unfinished: Unfinished,
}

/// The file in a folder under way that says so, and is locked while its process lives.
#[derive(Debug)]
struct Mark {
    path: PathBuf,
    _locked: File,
}

/// The name of the mark, and what it says.
const MARK: &str = ".under-way";
const SAYS: &[u8] = b"pcap-compactor writes this folder, and removes it if it was killed.\n";

/// A file in a folder under way.
#[derive(Debug)]
pub struct Part {
    /// Where it will be, as the user knows it.
    path: PathBuf,
    out: BlockWriter,
}

/// A folder in a folder under way that takes very many small files.
#[derive(Debug)]
pub struct Shelf {
    /// As the user knows it.
    path: PathBuf,
    #[cfg(target_os = "linux")]
    place: File,
    #[cfg(not(target_os = "linux"))]
    place: PathBuf,
}

impl AtomicFolder {
    /// Starts the folder that will be at `path`; the folder around it is made if it is missing. An empty one in its place is as good
    /// as none. One that `is_ours` is replaced if `replaces`.
    ///
    /// # Errors
    /// `path` is a file; it is a folder that is not ours; as an I/O error of the kind [`ErrorKind::AlreadyExists`], it is ours and
    /// `replaces` is not set; or the temporary folder beside it cannot be made.
    pub fn create(path: &Path, replaces: bool, is_ours: Ours) -> Result<AtomicFolder> {
        AtomicFolder::start(path, path, replaces, is_ours)
    }

    /// Starts a folder in this one, which is there when this one is.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`], of a place that is not taken.
    pub fn inside(&self, name: &str, is_ours: Ours) -> Result<AtomicFolder> {
        AtomicFolder::start(&self.temporary.join(name), &self.named.join(name), false, is_ours)
    }

    fn start(path: &Path, named: &Path, replaces: bool, is_ours: Ours) -> Result<AtomicFolder> {
        let refused = |source| Error::io("write", named, source);
        // What a link leads to is replaced, and a name such as `.` has nothing beside it.
        let target = match path.symlink_metadata() {
            Ok(there) => fs::canonicalize(path).map_err(|error| {
                let is_loose = there.is_symlink() && error.kind() == ErrorKind::NotFound;
                let loose = || {
                    io::Error::new(error.kind(), "it is a link to what is not there; remove it, or name another folder")
                };
                refused(if is_loose { loose() } else { error })
            })?,
            Err(_) => path.to_owned(),
        };
        vacant(&target, replaces, is_ours).map_err(|source| Error::io("create", named, source))?;
        let around = folder_of(&target);
        fs::create_dir_all(around).map_err(|source| Error::io("make the folder", folder_of(named), source))?;
        let swept = sweep(&target);
        // One may be taken by a process of the same number in another container.
        let temporary = loop {
            let temporary = around.join(temporary_name(&target));
            match fs::create_dir(&temporary) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(|source| Error::io("create", named, source))?;
                    break temporary;
                }
            }
        };
        let unfinished = Unfinished::new(&temporary);
        let mark = Mark::set(&temporary).map_err(|source| Error::io("create", named, source))?;
        Ok(AtomicFolder {
            path: target,
            named: named.to_owned(),
            temporary,
            replaces,
            is_ours,
            made: RefCell::default(),
            swept,
            mark,
            unfinished,
        })
    }

    /// What processes that were killed had left of this folder, and is removed now.
    #[must_use]
    pub fn swept(&self) -> &[PathBuf] {
        &self.swept
    }

    /// Starts a file in it; `name` may lead through folders, which are made.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn file(&self, name: &str) -> Result<Part> {
        let (path, place) = (self.named.join(name), self.temporary.join(name));
        let file = self.make(folder_of(&place)).and_then(|()| File::create_new(&place));
        let file = file.map_err(|source| Error::io("create", &path, source))?;
        Ok(Part { path, out: BlockWriter::unsealed(file) })
    }

    /// Makes a folder in it for very many small files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn shelf(&self, name: &str) -> Result<Shelf> {
        let (path, place) = (self.named.join(name), self.temporary.join(name));
        let failed = |source| Error::io("make the folder", &path, source);
        self.make(&place).map_err(failed)?;
        #[cfg(target_os = "linux")]
        let place = File::open(&place).map_err(failed)?;
        Ok(Shelf { path, place })
    }

    /// Makes a folder, once.
    fn make(&self, folder: &Path) -> io::Result<()> {
        going_on()?;
        let mut made = self.made.borrow_mut();
        if !made.contains(folder) {
            fs::create_dir_all(folder)?;
            made.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Where it lies until it is visible.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Where it will be, as the user knows it.
    pub(super) fn named(&self) -> &Path {
        &self.named
    }

    /// Opens a file in it that was closed.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn read(&self, name: &str) -> Result<File> {
        File::open(self.temporary.join(name)).map_err(|source| Error::io("open", &self.named.join(name), source))
    }

    /// Makes the folder visible under its name, whole and on the disk; one inside another that is under way is there when that is.
    ///
    /// # Errors
    /// It cannot be written or renamed, or its place has been taken meanwhile; then nothing is visible.
    pub fn commit(mut self) -> Result<()> {
        let failed = |source| Error::io("write", &self.named, source);
        // Inside a folder that is under way it goes to the disk with that. Until then temporary files may vanish that would go there too.
        if !folder_of(&self.path).join(MARK).exists() {
            sync(&self.temporary).map_err(failed)?;
        }
        vacant(&self.path, self.replaces, self.is_ours).map_err(failed)?;
        if let Some(mark) = self.mark.take() {
            // It is whole now: if it were left, that would be for people to look at.
            mark.remove().map_err(failed)?;
            let _ = File::open(&self.temporary).and_then(|folder| folder.sync_all());
        }
        let rename = || match fs::rename(&self.temporary, &self.path) {
            Err(error) if self.replaces && self.path.is_dir() => {
                tracing::debug!(%error, "the folder has a predecessor");
                change_places(&self.temporary, &self.path)?;
                Ok(true)
            }
            other => other.map(|()| false),
        };
        if self.unfinished.named_by(rename).map_err(failed)? {
            // To remove it may take long, and is to be taken up by others.
            self.mark = Mark::set(&self.temporary).unwrap_or_default();
        }
        let _ = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        // What is dropped now is the predecessor.
        Ok(())
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

impl Part {
    /// Appends bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|source| Error::io("write", &self.path, source))
    }

    /// Appends what `with` appends; it must leave alone what is there. Saves a copy.
    ///
    /// # Errors
    /// It cannot be written.
    #[inline]
    pub fn append_with(&mut self, with: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.out.append(with).map_err(|source| Error::io("write", &self.path, source))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn close(mut self) -> Result<()> {
        self.flush()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|source| Error::io("write", &self.path, source))
    }
}

impl Shelf {
    /// Writes a file. Of a million files each look for the folder, and each write, has its price: there is one.
    ///
    /// # Errors
    /// It is there already, or cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let file = going_on().and_then(|()| self.create(name));
        let file = file.map_err(|source| Error::io("create", &self.path.join(name), source))?;
        (&file).write_all(bytes).map_err(|source| Error::io("write", &self.path.join(name), source))
    }

    #[cfg(target_os = "linux")]
    fn create(&self, name: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.place, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn create(&self, name: &str) -> io::Result<File> {
        File::create_new(self.place.join(name))
    }
}

impl Mark {
    /// Marks a folder; not at all where there are no locks.
    fn set(folder: &Path) -> io::Result<Option<Mark>> {
        let (early, path) = (folder.join(".early"), folder.join(MARK));
        let mut file = File::create_new(&early)?;
        file.write_all(SAYS)?;
        if file.try_lock().is_err() {
            fs::remove_file(&early)?;
            return Ok(None);
        }
        // Under its name it is locked from the first moment.
        fs::rename(&early, &path)?;
        Ok(Some(Mark { path, _locked: file }))
    }

    fn remove(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }

    /// The mark of a folder whose process is dead, locked.
    fn of_dead(folder: &Path) -> Option<File> {
        let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
        let path = folder.join(MARK);
        if !fs::symlink_metadata(folder).ok()?.is_dir() || !is_file(&path) {
            return None;
        }
        let file = File::open(&path).ok()?;
        let mut says = Vec::new();
        (&file).take(2 * SAYS.len() as u64).read_to_end(&mut says).ok()?;
        (says == SAYS && file.try_lock().is_ok()).then_some(file)
    }
}

/// Removes what dead processes left of a folder; no link is followed, and nothing without our mark is touched.
fn sweep(target: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder_of(target)) else { return Vec::new() };
    let temporary = entries.flatten().filter(|entry| is_temporary_of(&entry.file_name().to_string_lossy(), target));
    let mut swept = Vec::new();
    for folder in temporary.map(|entry| entry.path()) {
        // Its lock is held until it is gone, so that no two remove it.
        if let Some(_locked) = Mark::of_dead(&folder)
            && remove(&folder).is_ok()
        {
            swept.push(folder);
        }
    }
    swept.sort();
    swept
}

/// Removes a leftover, its mark last: what is cut short can be taken up.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false if entry.file_name() == MARK => {}
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(folder)
}

/// Brings all that lies in a folder to the disk. Where the system can, in one step: of a million files each has its price.
fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if rustix::fs::syncfs(File::open(folder)?).is_ok() {
        return Ok(());
    }
    for entry in WalkDir::new(folder).contents_first(true) {
        let entry = entry?;
        let synced = File::open(entry.path()).and_then(|file| file.sync_all());
        // A file system that cannot sync folders has its own promise.
        if entry.file_type().is_file() {
            synced?;
        }
    }
    Ok(())
}

/// Whether a folder may take a place.
fn vacant(path: &Path, replaces: bool, is_ours: Ours) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    if !there.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "a file is there; name a folder"));
    }
    if fs::read_dir(path)?.next().is_none() {
        return Ok(());
    }
    match is_ours(path) {
        Ok(()) if replaces => Ok(()),
        Ok(()) => Err(io::Error::new(ErrorKind::AlreadyExists, "it exists already")),
        Err(why) => Err(io::Error::new(ErrorKind::DirectoryNotEmpty, format!("{why}; name another folder"))),
    }
}

/// Lets two folders change places, in one step where the system can.
fn change_places(new: &Path, old: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    step_by_step(new, old)
}

fn step_by_step(new: &Path, old: &Path) -> io::Result<()> {
    let aside = folder_of(old).join(temporary_name(old));
    fs::rename(old, &aside)?;
    if let Err(error) = fs::rename(new, old) {
        fs::rename(&aside, old)?;
        return Err(error);
    }
    fs::rename(&aside, new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind as Kind;

    fn ours(folder: &Path) -> std::result::Result<(), String> {
        if folder.join("ours").exists() { Ok(()) } else { Err("it is not ours".into()) }
    }

    /// Writes a folder with a file that says `text`.
    fn write(path: &Path, replaces: bool, text: &str) -> Result<()> {
        fill(AtomicFolder::create(path, replaces, ours)?, text)
    }

    fn fill(folder: AtomicFolder, text: &str) -> Result<()> {
        let mut part = folder.file("a/ours")?;
        part.append(text.as_bytes())?;
        part.close()?;
        folder.file("ours")?.close()?;
        folder.commit()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn kind(error: &Error) -> ErrorKind {
        match error.kind() {
            Kind::Io { source, .. } => source.kind(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("x/y");
        let folder = AtomicFolder::create(&path, false, ours).unwrap();
        folder.file("a").unwrap().append(b"half").unwrap();
        assert!(!path.exists());
        drop(folder);
        assert_eq!(names(&around.path().join("x")), [""; 0]);
        write(&path, false, "one").unwrap();
        assert_eq!(fs::read_to_string(path.join("a/ours")).unwrap(), "one");
        assert_eq!(names(&around.path().join("x")), ["y"]);
    }

    #[test]
    fn a_folder_inside_another_appears_with_that() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("y");
        let outer = AtomicFolder::create(&path, false, ours).unwrap();
        fill(outer.inside("v1", ours).unwrap(), "one").unwrap();
        outer.file("ours").unwrap().close().unwrap();
        assert!(!path.exists());
        outer.commit().unwrap();
        assert_eq!(
            (names(&path), names(&path.join("v1"))),
            (vec!["ours".into(), "v1".into()], vec!["a".into(), "ours".into()])
        );
    }

    /// Errors name places as the user did: a temporary name is gone when they are read.
    #[test]
    fn an_error_of_a_folder_inside_another_names_the_place_that_it_was_to_have() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("y");
        let outer = AtomicFolder::create(&path, false, ours).unwrap();
        let inner = outer.inside("v1", ours).unwrap();
        fs::remove_dir_all(outer.temporary()).unwrap();
        fs::write(outer.temporary(), "").unwrap();
        let here = |error: Error| match error.kind() {
            Kind::Io { path, .. } => path.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(here(outer.inside("v2", ours).unwrap_err()), path.join("v2"));
        assert_eq!(here(inner.file("x").unwrap_err()), path.join("v1/x"));
        assert_eq!(here(inner.read("x").unwrap_err()), path.join("v1/x"));
        assert_eq!(here(inner.commit().unwrap_err()), path.join("v1"));
    }

    #[test]
    fn only_its_like_is_replaced_and_only_when_asked() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("y");
        fs::create_dir(&path).unwrap();
        write(&path, false, "one").unwrap();
        assert_eq!(kind(&write(&path, false, "two").unwrap_err()), ErrorKind::AlreadyExists);
        write(&path, true, "two").unwrap();
        assert_eq!(fs::read_to_string(path.join("a/ours")).unwrap(), "two");
        fs::remove_file(path.join("ours")).unwrap();
        assert_eq!(kind(&write(&path, true, "three").unwrap_err()), ErrorKind::DirectoryNotEmpty);
        let file = path.join("a/ours");
        assert_eq!(kind(&write(&file, true, "three").unwrap_err()), ErrorKind::NotADirectory);
        assert!(write(&file.join("z"), true, "three").is_err());
        assert_eq!((names(around.path()), fs::read_to_string(&file).unwrap()), (vec!["y".into()], "two".into()));
    }

    /// What was killed is swept by the next; what lives, or is not surely ours, is not.
    #[test]
    fn leftovers_of_the_dead_go_and_all_else_stays() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("y");
        let left = |name: &str, mark: Option<&[u8]>| {
            let folder = around.path().join(name);
            fs::create_dir_all(folder.join("flows")).unwrap();
            fs::write(folder.join("flows/chunk_00000.json"), "half").unwrap();
            if let Some(mark) = mark {
                fs::write(folder.join(MARK), mark).unwrap();
            }
        };
        left(".y.1-0.tmp", Some(SAYS));
        left(".y.2-0.tmp", None);
        left(".y.3-0.tmp", Some(b"somebody else's"));
        left(".yy.4-0.tmp", Some(SAYS));
        left(".y.z.5-0.tmp", Some(SAYS));
        left("y.6-0.tmp", Some(SAYS));
        left("real", Some(SAYS));
        let alive = AtomicFolder::create(&path, false, ours).unwrap();
        assert_eq!(alive.swept(), [around.path().join(".y.1-0.tmp")]);
        #[cfg(unix)]
        std::os::unix::fs::symlink("real", around.path().join(".y.7-0.tmp")).unwrap();
        let other = AtomicFolder::create(&path, false, ours).unwrap();
        assert_eq!(other.swept(), [""; 0].map(PathBuf::from));
        alive.file("a").unwrap().close().unwrap();
        drop((alive, other));
        let mut stay = vec![".y.2-0.tmp", ".y.3-0.tmp", ".y.z.5-0.tmp", ".yy.4-0.tmp", "real", "y.6-0.tmp"];
        if cfg!(unix) {
            stay.insert(2, ".y.7-0.tmp");
        }
        assert_eq!(names(around.path()), stay);
        assert_eq!(names(&around.path().join("real")), [MARK, "flows"]);
        write(&path, false, "whole").unwrap();
        assert_eq!(names(&path), ["a", "ours"], "no mark is in what is whole");
    }

    #[test]
    fn a_place_that_is_taken_meanwhile_stays_taken() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("y");
        let folder = AtomicFolder::create(&path, false, ours).unwrap();
        write(&path, false, "first").unwrap();
        assert_eq!(kind(&folder.commit().unwrap_err()), ErrorKind::AlreadyExists);
        assert_eq!((names(around.path()), names(&path)), (vec!["y".into()], vec!["a".into(), "ours".into()]));
    }

    #[test]
    fn places_change_also_step_by_step() {
        let around = tempfile::tempdir().unwrap();
        let [new, old] = ["new", "old"].map(|name| around.path().join(name));
        for path in [&new, &old] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        step_by_step(&new, &old).unwrap();
        assert_eq!([&new, &old].map(|path| fs::read_to_string(path.join("file")).unwrap()), ["old", "new"]);
        assert!(step_by_step(&around.path().join("none"), &old).is_err());
        assert_eq!((names(around.path()), names(&old)), (vec!["new".into(), "old".into()], vec!["file".into()]));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let around = tempfile::tempdir().unwrap();
        let (real, link) = (around.path().join("real"), around.path().join("link"));
        write(&real, false, "one").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        write(&link, true, "two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(real.join("a/ours")).unwrap(), "two");
    }
}
