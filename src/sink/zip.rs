//! An archive of files (ZIP, APPNOTE 6.3), put together in one go: no byte is gone back to, so it may go into a pipe.
//!
//! A file's length and checksum stand behind it (4.3.9). All files are of the earliest time that there is, so equal files make
//! equal archives. From 4 GiB on a file would need a form that not everybody reads, and is refused.

use std::io::Write;

use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::error::{Error, Result};

/// Deflate, with length and checksum behind the bytes, of 1980-01-01.
const METHOD: [u16; 4] = [1 << 3, 8, 0, 0x21];
/// The version of the format that this needs: 2.0.
const VERSION: u16 = 20;

/// An archive under way.
pub(super) struct Archive {
    /// What comes next, and how many bytes are in front of it.
    ready: Vec<u8>,
    taken: u64,
    directory: Vec<u8>,
    files: u16,
}

/// A file under way.
pub(super) struct File {
    name: &'static str,
    at: u64,
    packer: DeflateEncoder<Vec<u8>>,
    checksum: Hasher,
    length: u64,
    packed: u64,
}

fn words(out: &mut Vec<u8>, words: &[u16]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

fn longs(out: &mut Vec<u8>, longs: &[u32]) {
    out.extend(longs.iter().flat_map(|long| long.to_le_bytes()));
}

/// A length as it can be written.
fn short(length: u64) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::sink("an archive has room for 4 GiB, and this is more; write CSV"))
}

impl Archive {
    pub(super) fn new() -> Archive {
        Archive { ready: Vec::new(), taken: 0, directory: Vec::new(), files: 0 }
    }

    /// Begins a file; the one before has been ended.
    pub(super) fn begin(&mut self, name: &'static str) -> File {
        let at = self.taken + self.ready.len() as u64;
        longs(&mut self.ready, &[0x0403_4b50]);
        words(&mut self.ready, &[VERSION]);
        words(&mut self.ready, &METHOD);
        longs(&mut self.ready, &[0; 3]);
        words(&mut self.ready, &[name.len() as u16, 0]);
        self.ready.extend_from_slice(name.as_bytes());
        let packer = DeflateEncoder::new(Vec::new(), Compression::default());
        File { name, at, packer, checksum: Hasher::new(), length: 0, packed: 0 }
    }

    /// Appends to a file.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn add(&mut self, file: &mut File, bytes: &[u8]) -> Result<()> {
        file.checksum.update(bytes);
        file.length += bytes.len() as u64;
        file.packer.write_all(bytes).expect("a vector takes bytes");
        file.packed += file.packer.get_ref().len() as u64;
        self.ready.append(file.packer.get_mut());
        short(file.length).map(drop)
    }

    /// Ends a file.
    ///
    /// # Errors
    /// It is too long, or begins too late.
    pub(super) fn end(&mut self, file: File) -> Result<()> {
        let File { name, at, packer, checksum, length, packed } = file;
        let rest = packer.finish().expect("a vector takes bytes");
        let sizes = [checksum.finalize(), short(packed + rest.len() as u64)?, short(length)?];
        self.ready.extend(rest);
        longs(&mut self.ready, &[0x0807_4b50]);
        longs(&mut self.ready, &sizes);
        let entry = &mut self.directory;
        longs(entry, &[0x0201_4b50]);
        words(entry, &[VERSION, VERSION]);
        words(entry, &METHOD);
        longs(entry, &sizes);
        words(entry, &[name.len() as u16, 0, 0, 0, 0]);
        longs(entry, &[0, short(at)?]);
        entry.extend_from_slice(name.as_bytes());
        self.files += 1;
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn finish(&mut self) -> Result<()> {
        let at = short(self.taken + self.ready.len() as u64)?;
        let length = short(self.directory.len() as u64)?;
        self.ready.append(&mut self.directory);
        longs(&mut self.ready, &[0x0605_4b50]);
        words(&mut self.ready, &[0, 0, self.files, self.files]);
        longs(&mut self.ready, &[length, at]);
        words(&mut self.ready, &[0]);
        Ok(())
    }

    /// Appends what is ready to `out`.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        self.taken += self.ready.len() as u64;
        out.append(&mut self.ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_everybody_is_refused() {
        assert_eq!(short(u64::from(u32::MAX)).unwrap(), u32::MAX);
        let mut archive = Archive::new();
        let mut file = archive.begin("long");
        assert!(archive.add(&mut file, b"text").is_ok());
        file.length = u64::from(u32::MAX);
        let said = archive.add(&mut file, b"more").unwrap_err().to_string();
        assert!(said.contains("4 GiB") && said.contains("write CSV"), "{said}");

        let mut archive = Archive { taken: 1 << 32, ..Archive::new() };
        let file = archive.begin("late");
        assert!(archive.end(file).is_err() && archive.finish().is_err());
    }
}
