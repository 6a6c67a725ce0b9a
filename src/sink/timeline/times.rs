//! Times of packets that are looked at once more when the first and the last are known, in a temporary file: each as what it is behind the
//! one before, which is a byte or two.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use crate::error::Result;
use crate::flow::varint::{LONGEST, append, put, take, unzigzag, zigzag};
use crate::sink::scratch::Scratch;

/// Bytes that are written and read at once.
const GATHER: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Times {
    scratch: Scratch,
    /// None before there is more than is gathered.
    file: Option<File>,
    gathered: Vec<u8>,
    last: i64,
}

impl Times {
    /// None yet; a temporary file will lie in `scratch`.
    pub(super) fn new(scratch: Scratch) -> Times {
        Times { scratch, file: None, gathered: Vec::new(), last: 0 }
    }

    pub(super) fn push(&mut self, time: i64) -> Result<()> {
        let mut bytes = [0; LONGEST];
        let end = put(&mut bytes, 0, zigzag(time.wrapping_sub(self.last)));
        append(&mut self.gathered, &bytes, end);
        self.last = time;
        if self.gathered.len() >= GATHER { self.put_away() } else { Ok(()) }
    }

    fn put_away(&mut self) -> Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.scratch.file()?,
        };
        file.write_all(&self.gathered).map_err(|source| self.scratch.unwritten(source))?;
        self.file = Some(file);
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
            read().map_err(|source| self.scratch.unread(source))?;
        }
        bytes.extend_from_slice(&gathered);
        each(&mut bytes, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_came() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 100_000_i64] {
            let mut times = Times::new(Scratch::with_output(folder.path().to_owned()));
            let all: Vec<i64> = (0..count).map(|n| n.wrapping_mul(i64::MAX / 7) ^ i64::MIN).collect();
            all.iter().try_for_each(|&time| times.push(time)).unwrap();
            let mut back = Vec::new();
            times.each(|time| back.push(time)).unwrap();
            assert_eq!(back, all);
        }
        let mut times = Times::new(Scratch::with_output(folder.path().join("none")));
        let pushed = (0..=GATHER).try_for_each(|_| times.push(1));
        assert!(pushed.unwrap_err().to_string().contains("temporary file"));
    }
}
