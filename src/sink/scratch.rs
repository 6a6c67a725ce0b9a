//! Where temporary files without a name lie: they vanish with the process, and take room until then.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::atomic::folder_of;
use super::folder::AtomicFolder;
use crate::error::{Error, Result};

/// A folder for temporary files.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    /// As the user knows it: it may lie in a folder that is not there yet.
    named: PathBuf,
    /// How to have them elsewhere.
    way_out: &'static str,
}

/// They follow what is written.
const WITH_OUTPUT: &str = "it lies where --output does, so name one on another disk";

impl Scratch {
    /// Where the system has temporary files.
    pub(crate) fn of_system() -> Scratch {
        let folder = std::env::temp_dir();
        Scratch { named: folder.clone(), folder, way_out: "TMPDIR names another folder for it" }
    }

    /// In a folder that was chosen.
    pub(crate) fn chosen(folder: PathBuf) -> Scratch {
        Scratch { named: folder.clone(), folder, way_out: "choose another folder for it" }
    }

    /// In a folder that output goes to.
    #[cfg(any(test, feature = "watch"))]
    pub(crate) fn with_output(folder: PathBuf) -> Scratch {
        Scratch { way_out: WITH_OUTPUT, ..Scratch::chosen(folder) }
    }

    /// Beside a folder that is under way.
    pub(crate) fn beside(folder: &AtomicFolder) -> Scratch {
        let [folder, named] = [folder.temporary(), folder.named()].map(|path| folder_of(path).to_owned());
        Scratch { folder, named, way_out: WITH_OUTPUT }
    }

    /// Makes a file.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn file(&self) -> Result<File> {
        tempfile::tempfile_in(&self.folder).map_err(|source| self.failed("make a temporary file", source))
    }

    /// It cannot be written.
    pub(crate) fn unwritten(&self, source: io::Error) -> Error {
        self.failed("write a temporary file", source)
    }

    /// It cannot be read.
    pub(crate) fn unread(&self, source: io::Error) -> Error {
        Error::io("read a temporary file", &self.named, source)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        let source = io::Error::new(source.kind(), format!("{source}; {}", self.way_out));
        Error::io(action, &self.named, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads of a full disk wants to know which, and how to take another.
    #[test]
    fn a_full_disk_is_named_with_the_way_out() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let said = Scratch::of_system().unwritten(full()).to_string();
        let temporary = std::env::temp_dir().display().to_string();
        assert!(said.starts_with(&format!("{temporary}: cannot write a temporary file: ")), "{said}");
        assert!(said.ends_with("; TMPDIR names another folder for it"), "{said}");
        let around = tempfile::tempdir().unwrap();
        let outer = AtomicFolder::create(&around.path().join("out"), false, |_| Ok(())).unwrap();
        let inner = outer.inside("v2.0", |_| Ok(())).unwrap();
        for (folder, place) in [(&outer, around.path().to_owned()), (&inner, around.path().join("out"))] {
            let scratch = Scratch::beside(folder);
            assert!(scratch.file().is_ok());
            let said = scratch.unwritten(full()).to_string();
            assert!(said.starts_with(&format!("{}: cannot write a temporary file: ", place.display())), "{said}");
            assert!(said.contains("--output"), "{said}");
        }
        let said = Scratch::with_output(around.path().join("none")).file().unwrap_err().to_string();
        assert!(said.contains("none: cannot make a temporary file: ") && said.contains("--output"), "{said}");
    }
}
