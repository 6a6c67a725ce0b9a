//! Records in order, however many: runs that fit into memory are sorted and put into a temporary file, and merged when all have come. Most
//! come nearly in order, of which a stable sort makes use. A run is read in pieces of 32 KiB, so the merge of a billion packets takes 100 MB.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes of records in memory, about.
const RUN: usize = 32 << 20;

/// Bytes that are written at once.
const GATHER: usize = 256 << 10;

/// Bytes of a run that are read at once.
const PIECE: usize = 32 << 10;

/// What is put in order. Records that are equal in order stay as they came only where nothing is equal: give each a number.
pub(crate) trait Record: Ord + Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads what [`Record::write`] wrote.
    fn read(bytes: &mut &[u8]) -> Self;
    /// Bytes that it takes beside its own size.
    fn beside(&self) -> usize {
        0
    }
}

/// Records under way.
#[derive(Debug)]
pub(crate) struct Sorted<R> {
    folder: PathBuf,
    most: usize,
    waiting: Vec<R>,
    bytes: usize,
    file: Option<File>,
    /// Where runs begin and end.
    runs: Vec<(u64, u64)>,
}

impl<R: Record> Sorted<R> {
    /// None yet; a temporary file will lie in `folder`.
    pub(crate) fn new(folder: &Path) -> Sorted<R> {
        Sorted::of(folder, RUN)
    }

    fn of(folder: &Path, most: usize) -> Sorted<R> {
        Sorted { folder: folder.to_owned(), most, waiting: Vec::new(), bytes: 0, file: None, runs: Vec::new() }
    }

    /// Takes a record.
    pub(crate) fn push(&mut self, record: R) -> Result<()> {
        self.bytes += size_of::<R>() + record.beside();
        self.waiting.push(record);
        if self.bytes >= self.most { self.put_away() } else { Ok(()) }
    }

    /// Hands over all in order.
    pub(crate) fn each(mut self, mut take: impl FnMut(R) -> Result<()>) -> Result<()> {
        if self.runs.is_empty() {
            self.waiting.sort();
            return self.waiting.into_iter().try_for_each(take);
        }
        self.put_away()?;
        self.waiting = Vec::new();
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let mut runs: Vec<Run> =
            self.runs.iter().map(|&(at, end)| Run { at, end, piece: Vec::new(), read: 0 }).collect();
        // Runs overlap little, so most wait until the others have come to where they begin.
        let mut later = Vec::with_capacity(runs.len());
        for (number, run) in runs.iter_mut().enumerate() {
            later.extend(self.next(run, &mut file)?.map(|record| Reverse((record, number))));
        }
        later.sort();
        let mut heads = BinaryHeap::new();
        loop {
            while later.last().is_some_and(|next| heads.peek().is_none_or(|head| head < next)) {
                heads.extend(later.pop());
            }
            let Some(mut head) = heads.peek_mut() else { return Ok(()) };
            let number = head.0.1;
            match self.next(&mut runs[number], &mut file)? {
                Some(next) => take(std::mem::replace(&mut head.0.0, next))?,
                None => take(PeekMut::pop(head).0.0)?,
            }
        }
    }

    fn put_away(&mut self) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.folder).map_err(|source| self.failed("create", source))?,
        };
        self.waiting.sort();
        let begin = self.runs.last().map_or(0, |&(_, end)| end);
        let end = self.write(&file, begin).map_err(|source| self.failed("write", source))?;
        self.runs.push((begin, end));
        self.file = Some(file);
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    fn write(&self, mut file: &File, begin: u64) -> io::Result<u64> {
        file.seek(SeekFrom::Start(begin))?;
        let (mut bytes, mut end) = (Vec::with_capacity(GATHER + PIECE), begin);
        for record in &self.waiting {
            let at = bytes.len();
            bytes.extend_from_slice(&[0; 8]);
            record.write(&mut bytes);
            let length = (bytes.len() - at - 8) as u64;
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
            if bytes.len() >= GATHER {
                file.write_all(&bytes)?;
                end += bytes.len() as u64;
                bytes.clear();
            }
        }
        file.write_all(&bytes)?;
        Ok(end + bytes.len() as u64)
    }

    fn next(&self, run: &mut Run, file: &mut File) -> Result<Option<R>> {
        run.next(file).map_err(|source| self.failed("read", source))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::io(action, &self.folder.join("a temporary file"), source)
    }
}

/// A run that is read.
struct Run {
    /// What is to be read next.
    at: u64,
    end: u64,
    piece: Vec<u8>,
    /// Bytes of the piece that are behind.
    read: usize,
}

impl Run {
    fn next<R: Record>(&mut self, file: &mut File) -> io::Result<Option<R>> {
        if !self.reach(8, file)? {
            return Ok(None);
        }
        let length = self.piece[self.read..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)) as usize;
        self.read += 8;
        if !self.reach(length, file)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = &self.piece[self.read..self.read + length];
        self.read += length;
        Ok(Some(R::read(&mut bytes)))
    }

    /// Reads on until so many bytes are there; false at the end.
    fn reach(&mut self, bytes: usize, file: &mut File) -> io::Result<bool> {
        let missing = bytes.saturating_sub(self.piece.len() - self.read);
        if missing == 0 {
            return Ok(true);
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        if missing > left {
            return Ok(false);
        }
        self.piece.drain(..std::mem::take(&mut self.read));
        let from = self.piece.len();
        self.piece.resize(from + missing.max(PIECE).min(left), 0);
        file.seek(SeekFrom::Start(self.at))?;
        file.read_exact(&mut self.piece[from..])?;
        self.at += (self.piece.len() - from) as u64;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Text(String);

    impl Record for Text {
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(self.0.as_bytes());
        }
        fn read(bytes: &mut &[u8]) -> Text {
            Text(String::from_utf8(std::mem::take(bytes).to_vec()).unwrap())
        }
        fn beside(&self) -> usize {
            self.0.len()
        }
    }

    proptest! {
        #[test]
        fn all_come_back_in_order(lengths in prop::collection::vec((0..300_usize, 0..26_u8), 0..300), most in 1..3000_usize) {
            let texts: Vec<Text> =
                lengths.iter().map(|&(n, c)| Text(char::from(b'a' + c).to_string().repeat(n * n / 10))).collect();
            let mut sorted = Sorted::of(&std::env::temp_dir(), most);
            texts.iter().try_for_each(|text| sorted.push(text.clone())).unwrap();
            let mut back = Vec::new();
            sorted.each(|text| { back.push(text); Ok(()) }).unwrap();
            let mut expected = texts;
            expected.sort();
            prop_assert_eq!(back, expected);
        }
    }
}
