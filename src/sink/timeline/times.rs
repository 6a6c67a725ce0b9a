//! Times of packets that are looked at once more when the first and the last are known, in a temporary file: eight bytes each.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes that are written and read at once.
const GATHER: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Times {
    folder: PathBuf,
    /// None before the first.
    out: Option<BufWriter<File>>,
    count: u64,
}

impl Times {
    /// None yet; a temporary file will lie in `folder`.
    pub(super) fn new(folder: &Path) -> Times {
        Times { folder: folder.to_owned(), out: None, count: 0 }
    }

    pub(super) fn push(&mut self, time: i64) -> Result<()> {
        let pushed = match &mut self.out {
            Some(out) => out.write_all(&time.to_le_bytes()),
            None => tempfile::tempfile_in(&self.folder).and_then(|file| {
                let out = self.out.insert(BufWriter::with_capacity(GATHER, file));
                out.write_all(&time.to_le_bytes())
            }),
        };
        self.count += 1;
        pushed.map_err(|source| self.failed("write", source))
    }

    /// Hands over all, as they came.
    pub(super) fn each(mut self, mut take: impl FnMut(i64)) -> Result<()> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let mut file = out.into_inner().map_err(|error| self.failed("write", error.into_error()))?;
        let read = || -> io::Result<()> {
            file.seek(SeekFrom::Start(0))?;
            let mut bytes = BufReader::with_capacity(GATHER, file);
            for _ in 0..self.count {
                let mut time = [0; 8];
                bytes.read_exact(&mut time)?;
                take(i64::from_le_bytes(time));
            }
            Ok(())
        };
        read().map_err(|source| self.failed("read", source))
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
        let times = Times::new(&folder.path().join("none")).push(1);
        assert!(times.unwrap_err().to_string().contains("temporary file"));
    }
}
