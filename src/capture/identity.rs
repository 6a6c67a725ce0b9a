//! What makes a file the same file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use sha1::{Digest, Sha1};

/// Bytes at each end that are looked at.
const END: u64 = 4096;

/// A file, and what it holds. Of one that is renamed it stays, of one that is written anew it does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device; 0 where there is no such number.
    pub device: u64,
    /// The file's number there; 0 where there is no such number.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// SHA-1 of the first and the last 4 KiB, as text: of the one behind the other, though they overlap in a short file.
    pub digest: String,
}

impl Identity {
    /// Looks at a file. It never waits, and reads 8 KiB at most.
    ///
    /// # Errors
    /// It is missing, cannot be read, or is no regular file: a link, a folder, a FIFO, a device.
    pub fn of(path: &Path) -> io::Result<Identity> {
        let (file, metadata) = open(path)?;
        Identity::read(file, &metadata).map(|(identity, _)| identity)
    }

    /// The identity of an open file, and its first four bytes if it has so many.
    pub(crate) fn read(file: File, metadata: &Metadata) -> io::Result<(Identity, Option<[u8; 4]>)> {
        let size = metadata.len();
        let ends = ends(&file, size)?;
        let magic = ends.first_chunk().copied();
        let (device, inode) = numbers(metadata);
        Ok((Identity { device, inode, size, digest: hex(&Sha1::digest(&ends)) }, magic))
    }

    /// Whether a file is this one, grown: it has its number and begins with what this held, as far as both ends of that tell. Numbers alone are
    /// used again.
    #[cfg(feature = "watch")]
    pub(crate) fn has_grown_to(&self, path: &Path) -> io::Result<bool> {
        let (file, metadata) = open(path)?;
        let is_longer = numbers(&metadata) == (self.device, self.inode) && metadata.len() > self.size;
        Ok(is_longer && hex(&Sha1::digest(&ends(&file, self.size)?)) == self.digest)
    }
}

/// The first and the last bytes of the first `size` ones of a file.
fn ends(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let end = END.min(size);
    let mut ends = part(file, 0, end)?;
    ends.extend(part(file, size - end, end)?);
    Ok(ends)
}

/// So many bytes of a file from this one on; fewer where it ends before. Where the system can, it leaves the place where the file is read.
pub(crate) fn part(file: &File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut read = 0;
    while read < part.len() {
        match read_at(file, &mut part[read..], from + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    part.truncate(read);
    Ok(part)
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], from: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, from)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, into: &mut [u8], from: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(from))?;
    file.read(into)
}

/// Opens a regular file for reading, and nothing else, even if another takes its name in this moment.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    regular(fs::symlink_metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    }
    let file = options.open(path)?;
    let metadata = regular(file.metadata()?)?;
    Ok((file, metadata))
}

fn regular(metadata: Metadata) -> io::Result<Metadata> {
    if metadata.is_file() {
        return Ok(metadata);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// Device and inode.
pub(crate) fn numbers(metadata: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        (0, 0)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_part_of_it_and_both_ends_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pcap");
        let mut bytes = vec![7; 10_000];
        fs::write(&path, &bytes).unwrap();
        let whole = Identity::of(&path).unwrap();
        assert_eq!(whole.size, 10_000);
        let moved = dir.path().join("b.pcap");
        fs::rename(&path, &moved).unwrap();
        assert_eq!(Identity::of(&moved).unwrap(), whole);
        for (at, differs) in [(0, true), (4095, true), (5000, false), (5904, true), (9999, true)] {
            bytes[at] = 8;
            fs::write(&moved, &bytes).unwrap();
            assert_eq!(Identity::of(&moved).unwrap() != whole, differs, "byte {at}");
            bytes[at] = 7;
        }
        fs::write(&moved, &bytes[1..]).unwrap();
        assert_ne!(Identity::of(&moved).unwrap().digest, "");
        assert_ne!(Identity::of(&moved).unwrap(), whole);
    }

    #[test]
    fn the_digest_is_that_of_the_ends_behind_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "").unwrap();
        assert_eq!(Identity::of(&path).unwrap().digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        fs::write(&path, "abc").unwrap();
        // sha1sum of "abcabc".
        assert_eq!(Identity::of(&path).unwrap().digest, "f8c1d87006fbf7e5cc4b026c3138bc046883dc71");
    }

    #[cfg(all(unix, feature = "watch"))]
    #[test]
    fn a_file_has_grown_where_it_begins_as_it_was_and_not_where_another_has_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let [path, moved, other] = ["a", "b", "c"].map(|name| dir.path().join(name));
        for size in [100, 4096, 5000, 10_000] {
            let mut bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let before = Identity::of(&path).unwrap();
            assert!(!before.has_grown_to(&path).unwrap(), "{size}: it is as it was");
            bytes.extend([1; 50]);
            fs::write(&path, &bytes).unwrap();
            fs::rename(&path, &moved).unwrap();
            assert!(before.has_grown_to(&moved).unwrap(), "{size}");
            fs::copy(&moved, &other).unwrap();
            assert!(!before.has_grown_to(&other).unwrap(), "{size}: a copy is another");
            for at in [0, size - 1] {
                bytes[at] ^= 1;
                fs::write(&moved, &bytes).unwrap();
                assert!(!before.has_grown_to(&moved).unwrap(), "{size}: byte {at} is another");
                bytes[at] ^= 1;
            }
            fs::remove_file(&moved).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        use std::os::unix::net::UnixListener;
        let dir = tempfile::tempdir().unwrap();
        let [fifo, link, socket] = ["fifo", "link", "socket"].map(|name| dir.path().join(name));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &link).unwrap();
        let _bound = UnixListener::bind(&socket).unwrap();
        for path in [&fifo, &link, &socket, dir.path(), Path::new("/dev/zero")] {
            let error = Identity::of(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}: {error}", path.display());
        }
        assert_eq!(Identity::of(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
