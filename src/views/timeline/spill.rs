//! Bytes that wait for the end of their flow: in memory, and beyond a budget in a temporary file without a name.
//!
//! The file is written from front to back and read where an extent lies. Once no flow has an extent it is emptied, so it grows with what lives
//! at once beyond the budget and what ended meanwhile.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::error::Result;
use crate::sink::scratch::Scratch;

/// The bytes of one flow.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// In the file: where, and how many.
    extents: Vec<(u64, usize)>,
    /// Behind these, in memory.
    pub(super) bytes: Vec<u8>,
}

/// The bytes of all flows.
#[derive(Debug)]
pub(super) struct Spill {
    budget: usize,
    scratch: Scratch,
    file: Option<File>,
    /// Bytes in memory.
    held: usize,
    /// Bytes in the file, and how many of them are still of flows.
    end: u64,
    live: u64,
}

impl Spill {
    /// Holds `budget` bytes in memory, and the others in a file in `scratch`.
    pub(super) fn new(budget: usize, scratch: Scratch) -> Spill {
        Spill { budget, scratch, file: None, held: 0, end: 0, live: 0 }
    }

    /// Counts bytes that were appended to a flow's. Whether all are to be [put away](Spill::put_away).
    pub(super) fn grown(&mut self, by: usize) -> bool {
        self.held += by;
        self.held > self.budget
    }

    /// Writes the bytes of all flows to the file.
    pub(super) fn put_away<'w>(&mut self, all: impl Iterator<Item = &'w mut Waiting>) -> Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.scratch.file()?,
        };
        self.write(&mut file, all).map_err(|source| self.scratch.unwritten(source))?;
        self.file = Some(file);
        self.held = 0;
        Ok(())
    }

    fn write<'w>(&mut self, file: &mut File, all: impl Iterator<Item = &'w mut Waiting>) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.end))?;
        let mut out = io::BufWriter::with_capacity(1 << 20, file);
        for waiting in all {
            if waiting.bytes.is_empty() {
                continue;
            }
            let bytes = std::mem::take(&mut waiting.bytes);
            out.write_all(&bytes)?;
            waiting.extents.push((self.end, bytes.len()));
            self.end += bytes.len() as u64;
            self.live += bytes.len() as u64;
        }
        out.flush()
    }

    /// All bytes of a flow.
    pub(super) fn take(&mut self, waiting: &mut Waiting) -> Result<Vec<u8>> {
        let tail = std::mem::take(&mut waiting.bytes);
        self.held -= tail.len().min(self.held);
        if waiting.extents.is_empty() {
            return Ok(tail);
        }
        let mut bytes = Vec::new();
        for (at, length) in std::mem::take(&mut waiting.extents) {
            self.read(at, length, &mut bytes).map_err(|source| self.scratch.unread(source))?;
            self.live -= length as u64;
        }
        if self.live == 0 {
            self.end = 0;
            if let Some(Err(source)) = self.file.as_ref().map(|file| file.set_len(0)) {
                return Err(self.scratch.unwritten(source));
            }
        }
        bytes.extend_from_slice(&tail);
        Ok(bytes)
    }

    fn read(&mut self, at: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(at))?;
        let from = bytes.len();
        bytes.resize(from + length, 0);
        file.read_exact(&mut bytes[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_order_and_the_file_is_emptied() {
        let mut spill = Spill::new(10, Scratch::of_system());
        let mut flows = [Waiting::default(), Waiting::default()];
        let mut expected = [Vec::new(), Vec::new()];
        for n in 0..50_u8 {
            let flow = usize::from(n % 3 == 0);
            flows[flow].bytes.push(n);
            expected[flow].push(n);
            if spill.grown(1) {
                spill.put_away(flows.iter_mut()).unwrap();
                assert_eq!(spill.held, 0);
            }
        }
        assert!(flows[0].extents.len() > 2);
        assert_eq!(spill.take(&mut flows[0]).unwrap(), expected[0]);
        assert!(spill.end > 0);
        assert_eq!(spill.take(&mut flows[1]).unwrap(), expected[1]);
        assert_eq!((spill.end, spill.live, spill.held), (0, 0, 0));
        assert_eq!(spill.file.as_ref().unwrap().metadata().unwrap().len(), 0);
    }
}
