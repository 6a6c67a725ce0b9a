//! What a user named, turned into the captures to read.
//!
//! Files are taken as they are given. Folders are searched, by name order, for regular files whose first bytes are
//! those of a capture or of a compressed file, or that have none; everything else in them is listed with the reason.
//! Nothing that was named or found disappears without an entry.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::compressed;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::reader::{Capture, Io};
use super::report::Compression;
use super::skipped::{Cause, Skipped, by_name, is_output};
use super::stdin::Stdin;
use crate::error::{Error, Result};

/// One capture to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file, a FIFO or a device.
    File(PathBuf),
}

impl Input {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// As for [`Capture::open`].
    pub fn open(&self, io: Io) -> Result<Capture> {
        match self {
            Input::Stdin => Capture::from_reader(self.path(), Box::new(Stdin)),
            Input::File(path) => Capture::open(path, io),
        }
    }

    /// Its path, or `-`.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Input::Stdin => Path::new("-"),
            Input::File(path) => path,
        }
    }
}

/// What became of the inputs that a user named.
#[derive(Debug, Default)]
pub struct Expanded {
    /// Captures to read, in the order given; inside a folder by name.
    pub captures: Vec<Input>,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
    /// What is missing or cannot be read.
    pub failed: Vec<Error>,
}

/// Expands files, folders (searched through; linked folders inside them are not) and `-` for standard input.
///
/// One file given twice, under whatever names, is read once. What is missing or unreadable is collected, so that the
/// rest can be read.
#[must_use]
pub fn expand(inputs: &[PathBuf]) -> Expanded {
    let mut expanded = Expanded::default();
    let mut seen = Seen::default();
    for input in inputs {
        if input.as_os_str() == "-" {
            if std::mem::replace(&mut seen.stdin, true) {
                expanded.skipped.push(Skipped::new(input, Cause::Repeated));
            } else {
                expanded.captures.push(Input::Stdin);
            }
            continue;
        }
        match fs::metadata(input) {
            Ok(metadata) if metadata.is_dir() => expanded.search(input, &mut seen),
            Ok(metadata) => expanded.take(input, &metadata, &mut seen),
            Err(error) => expanded.failed.push(Error::io("open", input, error)),
        }
    }
    expanded
}

#[derive(Default)]
struct Seen {
    stdin: bool,
    files: HashSet<Identity>,
}

impl Expanded {
    fn take(&mut self, path: &Path, metadata: &Metadata, seen: &mut Seen) {
        if seen.files.insert(identity(path, metadata)) {
            self.captures.push(Input::File(path.to_owned()));
        } else {
            self.skipped.push(Skipped::new(path, Cause::Repeated));
        }
    }

    fn search(&mut self, folder: &Path, seen: &mut Seen) {
        let (captures, failed) = (self.captures.len(), self.failed.len());
        let mut repeated = false;
        let mut entries = WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    let source = error.into_io_error().unwrap_or_else(|| io::Error::other("the folders form a loop"));
                    self.failed.push(Error::io("open", &path, source));
                    continue;
                }
            };
            if entry.file_type().is_dir() {
                if is_output(entry.path()) {
                    self.skipped.push(Skipped::new(entry.path(), Cause::Output));
                    entries.skip_current_dir();
                }
                continue;
            }
            let path = entry.path();
            match examine(path) {
                Ok(Ok(metadata)) => {
                    self.take(path, &metadata, seen);
                    repeated |= self.skipped.last().is_some_and(|last| last.cause == Cause::Repeated);
                }
                Ok(Err(cause)) => self.skipped.push(Skipped::new(path, cause)),
                Err(error) => self.failed.push(Error::io("open", path, error)),
            }
        }
        if self.captures.len() == captures && self.failed.len() == failed && !repeated {
            self.skipped.push(Skipped::new(folder, Cause::NoCaptures));
        }
    }
}

/// Looks at a file that was found in a folder: its metadata if it is a capture, or why it is none.
pub(super) fn examine(path: &Path) -> io::Result<std::result::Result<Metadata, Cause>> {
    if let Some(cause) = by_name(path) {
        return Ok(Err(cause));
    }
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(Err(Cause::NotAFile)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(Cause::NotAFile)),
        Err(error) => return Err(error),
    };
    let mut head = Vec::with_capacity(4);
    File::open(path)?.take(4).read_to_end(&mut head)?;
    Ok(match head.first_chunk() {
        Some(magic) if is_capture(*magic) => Ok(metadata),
        // A capture that nothing was written to: it is reported with the others, as it is where it is named.
        None if head.is_empty() => Ok(metadata),
        _ => Err(Cause::NotACapture),
    })
}

/// Whether a file that starts so is a capture, or a compressed file.
pub(crate) fn is_capture(magic: [u8; 4]) -> bool {
    Pcap::recognises(magic) || Pcapng::recognises(magic) || compressed::recognise(magic) != Compression::None
}

/// What makes a file the same file under another name.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);

#[cfg(unix)]
pub(super) fn identity(_: &Path, metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// What makes a file the same file under another name: the path it leads to.
#[cfg(not(unix))]
pub(super) type Identity = PathBuf;

#[cfg(not(unix))]
pub(super) fn identity(path: &Path, _: &Metadata) -> Identity {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCAP: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

    fn names(expanded: &Expanded) -> Vec<&str> {
        expanded.captures.iter().map(|input| input.path().file_name().unwrap().to_str().unwrap()).collect()
    }

    fn causes(expanded: &Expanded) -> Vec<(&str, Cause)> {
        let name = |skipped: &Skipped| -> &str {
            let name = skipped.path.file_name().unwrap().to_str().unwrap();
            Box::leak(name.to_owned().into_boxed_str())
        };
        expanded.skipped.iter().map(|skipped| (name(skipped), skipped.cause)).collect()
    }

    #[test]
    fn a_folder_yields_its_captures_by_name_and_says_why_the_rest_is_left() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("sub")).unwrap();
        for name in ["b.bin", "sub/a", "c.pcap.tmp", "d.pcap~", ".hidden.pcap", "e.PART"] {
            fs::write(root.path().join(name), PCAP).unwrap();
        }
        fs::write(root.path().join("notes.pcap"), "hello, this is text").unwrap();
        fs::write(root.path().join("nothing.pcap"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("nowhere", root.path().join("z-link")).unwrap();
        let expanded = expand(&[root.path().to_owned()]);
        assert_eq!(names(&expanded), ["b.bin", "nothing.pcap", "a"]);
        assert!(expanded.failed.is_empty());
        assert_eq!(
            causes(&expanded),
            [
                (".hidden.pcap", Cause::Hidden),
                ("c.pcap.tmp", Cause::Unfinished),
                ("d.pcap~", Cause::Unfinished),
                ("e.PART", Cause::Unfinished),
                ("notes.pcap", Cause::NotACapture),
                #[cfg(unix)]
                ("z-link", Cause::NotAFile),
            ]
        );
    }

    #[test]
    fn one_file_under_several_names_is_read_once() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a.pcap");
        fs::write(&file, PCAP).unwrap();
        let link = root.path().join("b.pcap");
        fs::hard_link(&file, &link).unwrap();
        let expanded = expand(&[link.clone(), file, root.path().to_owned(), "-".into(), "-".into()]);
        assert_eq!(expanded.captures, [Input::File(link), Input::Stdin]);
        assert!(expanded.skipped.iter().all(|skipped| skipped.cause == Cause::Repeated));
        assert_eq!(expanded.skipped.len(), 4);
    }

    #[test]
    fn a_missing_file_does_not_keep_the_others_from_being_read() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("text.txt");
        fs::write(&file, "named by the user, so it is taken").unwrap();
        let expanded = expand(&[root.path().join("missing"), file.clone()]);
        assert_eq!(expanded.captures, [Input::File(file)]);
        assert_eq!(expanded.failed.len(), 1);
        assert!(expanded.failed[0].to_string().contains("missing: cannot open"));
    }

    #[test]
    fn a_folder_without_captures_is_named() {
        let root = tempfile::tempdir().unwrap();
        let expanded = expand(&[root.path().to_owned()]);
        assert_eq!(expanded.skipped, [Skipped::new(root.path(), Cause::NoCaptures)]);
    }
}
