//! Files that appear whole or not at all: a temporary name beside the place, fsync, rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::blocks::BlockWriter;
use crate::error::{Error, Result};

/// A file under way. Dropped before [`AtomicFile::commit`], it leaves nothing behind.
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    out: Option<BlockWriter>,
}

impl AtomicFile {
    /// Starts the file that will be at `path`; its folder is made if it is missing.
    ///
    /// # Errors
    /// The folder or the temporary file, `.NAME.tmp` in the same folder, cannot be made.
    pub fn create(path: &Path) -> Result<AtomicFile> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|source| Error::io("make the folder", folder, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.tmp"));
        // A leftover of a run that was killed, or a link somebody put there: never written through.
        match fs::remove_file(&temporary) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("replace", &temporary, source));
            }
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(|source| Error::io("create", &temporary, source))?;
        let out = BlockWriter::new(file).map_err(|source| Error::io("write", &temporary, source))?;
        Ok(AtomicFile { path: path.to_owned(), temporary, out: Some(out) })
    }

    /// Makes the file visible under its name, whole and on the disk.
    ///
    /// # Errors
    /// It cannot be written or renamed; then nothing is visible.
    pub fn commit(mut self) -> Result<()> {
        let Some(mut out) = self.out.take() else { return Ok(()) };
        out.sync().and_then(|()| fs::rename(&self.temporary, &self.path)).map_err(|source| self.discard(source))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // The rename is on the disk when its folder is; a file system that cannot sync folders has its own promise.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn discard(&self, source: io::Error) -> Error {
        let _ = fs::remove_file(&self.temporary);
        Error::io("write", &self.path, source)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(bytes.len()), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_visible_before_the_commit_or_after_a_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.jsonl");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 0);
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}
