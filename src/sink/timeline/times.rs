//! Times of packets that are looked at once more when the first and the last are known, in a temporary file: each as what it is behind the
//! one before, which is a byte or two.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::flow::varint::{LONGEST, append, put, take, unzigzag, zigzag};

/// Bytes that are written and read at once.
const GATHER: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Times {
    folder: PathBuf,
    /// None before there is more than is gathered.
    file: Option<File>,
    gathered: Vec<u8>,
    last: i64,
}

impl Times {
    /// None yet; a temporary file will lie in `folder`.
    pub(super) fn new(folder: &Path) -> Times {
        Times { folder: folder.to_owned(), file: None, gathered: Vec::new(), last: 0 }
    }

    pub(super) fn push(&mut self, time: i64) -> Result<()> {
        let mut bytes = [0; LONGEST];
        let end = put(&mut bytes, 0, zigzag(time.wrapping_sub(self.last)));
        append(&mut self.gathered, &bytes, end);
        self.last = time;
        if self.gathered.len() >= GATHER { self.put_away() } else { Ok(()) }
    }

    fn put_away(&mut self) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => Ok(file),
            None => tempfile::tempfile_in(&self.folder),
        };
        let written = file.and_then(|mut file| file.write_all(&self.gathered).map(|()| file));
        self.file = Some(written.map_err(|source| self.failed("write", source))?);
        self.gathered.clear();
        Ok(())
    }

    /// Hands over all, as they came.
    pub(super) fn each(mut self, mut hand_over: impl FnMut(i64)) -> Result<()> {
        let (mut bytes, gathered) = (Vec::new(), std::mem::take(&mut self.gathered));
        let mut time = 0_i64;
        let mut each = |bytes: &mut Vec<u8>, left: usize| {
            let mut rest = &bytes[..];
            while rest.len() > left {
                time = time.wrapping_add(unzigzag(take(&mut rest)));
                hand_over(time);
            }
            bytes.drain(..bytes.len() - rest.len());
        };
        if let Some(mut file) = self.file.take() {
            let mut read = || -> io::Result<()> {
                file.rewind()?;
                while (&file).take(GATHER as u64).read_to_end(&mut bytes)? > 0 {
                    // The last may go on in what is read next.
                    each(&mut bytes, LONGEST);
                }
                Ok(())
            };
            read().map_err(|source| self.failed("read", source))?;
        }
        bytes.extend_from_slice(&gathered);
        each(&mut bytes, 0);
        Ok(())
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::io(action, &self.folder.join("a temporary file"), source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_came() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 100_000_i64] {
            let mut times = Times::new(folder.path());
            let all: Vec<i64> = (0..count).map(|n| n.wrapping_mul(i64::MAX / 7) ^ i64::MIN).collect();
            all.iter().try_for_each(|&time| times.push(time)).unwrap();
            let mut back = Vec::new();
            times.each(|time| back.push(time)).unwrap();
            assert_eq!(back, all);
        }
        let mut times = Times::new(&folder.path().join("none"));
        let pushed = (0..=GATHER).try_for_each(|_| times.push(1));
        assert!(pushed.unwrap_err().to_string().contains("temporary file"));
    }
}
