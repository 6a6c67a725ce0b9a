//! Records in order, however many: runs that fit into memory are sorted and put into a temporary file, and merged when all have come. Most
//! come nearly in order, of which a stable sort makes use. A run is read in pieces of 32 KiB, so the merge of a billion packets takes 100 MB.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::scratch::Scratch;
use crate::error::Result;
use crate::flow::varint::{LONGEST, append, put, take};

/// Bytes of records in memory, about.
const RUN: usize = 32 << 20;

/// Bytes that are written at once.
const GATHER: usize = 256 << 10;

/// Bytes of a run that are read at once.
const PIECE: usize = 32 << 10;

/// What is put in order. Records that are equal in order stay as they came only where nothing is equal: give each a number.
pub(crate) trait Record: Ord + Sized {
    /// What the next record is told by, the same to who writes and who reads: of numbers that rise, the last.
    type Before: Default;
    /// Appends it.
    fn write(&self, before: &mut Self::Before, out: &mut Vec<u8>);
    /// Reads what [`Record::write`] wrote.
    fn read(before: &mut Self::Before, bytes: &mut &[u8]) -> Self;
    /// Bytes that it takes beside its own size.
    fn beside(&self) -> usize {
        0
    }
}

/// Records under way.
#[derive(Debug)]
pub(crate) struct Sorted<R> {
    scratch: Scratch,
    most: usize,
    waiting: Vec<R>,
    bytes: usize,
    file: Option<File>,
    /// Where runs begin and end.
    runs: Vec<(u64, u64)>,
}

impl<R: Record> Sorted<R> {
    /// None yet; a temporary file will lie in `scratch`.
    pub(crate) fn new(scratch: Scratch) -> Sorted<R> {
        Sorted::of(scratch, RUN)
    }

    fn of(scratch: Scratch, most: usize) -> Sorted<R> {
        Sorted { scratch, most, waiting: Vec::new(), bytes: 0, file: None, runs: Vec::new() }
    }

    /// Takes a record.
    pub(crate) fn push(&mut self, record: R) -> Result<()> {
        if self.waiting.capacity() == 0 {
            // To grow is to copy, into pages that were never used.
            self.waiting.reserve_exact(self.most / size_of::<R>().max(1) + 1);
        }
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
        let run = |&(at, end): &(u64, u64)| Run { at, end, piece: Vec::new(), read: 0, before: R::Before::default() };
        let mut runs: Vec<Run<R>> = self.runs.iter().map(run).collect();
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
            None => self.scratch.file()?,
        };
        self.waiting.sort();
        let begin = self.runs.last().map_or(0, |&(_, end)| end);
        let end = self.write(&file, begin).map_err(|source| self.scratch.unwritten(source))?;
        self.runs.push((begin, end));
        self.file = Some(file);
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    fn write(&self, mut file: &File, begin: u64) -> io::Result<u64> {
        file.seek(SeekFrom::Start(begin))?;
        let (mut bytes, mut end) = (Vec::with_capacity(GATHER + PIECE), begin);
        let (mut text, mut before) = (Vec::new(), R::Before::default());
        for record in &self.waiting {
            text.clear();
            record.write(&mut before, &mut text);
            let mut length = [0; LONGEST];
            let digits = put(&mut length, 0, text.len() as u64);
            append(&mut bytes, &length, digits);
            bytes.extend_from_slice(&text);
            if bytes.len() >= GATHER {
                file.write_all(&bytes)?;
                end += bytes.len() as u64;
                bytes.clear();
            }
        }
        file.write_all(&bytes)?;
        Ok(end + bytes.len() as u64)
    }

    fn next(&self, run: &mut Run<R>, file: &mut File) -> Result<Option<R>> {
        run.next(file).map_err(|source| self.scratch.unread(source))
    }
}

/// A run that is read.
struct Run<R: Record> {
    /// What is to be read next.
    at: u64,
    end: u64,
    piece: Vec<u8>,
    /// Bytes of the piece that are behind.
    read: usize,
    before: R::Before,
}

impl<R: Record> Run<R> {
    fn next(&mut self, file: &mut File) -> io::Result<Option<R>> {
        // The last record may be shorter than a length can be.
        self.reach(LONGEST, file)?;
        let mut rest = &self.piece[self.read..];
        if rest.is_empty() {
            return Ok(None);
        }
        let length = take(&mut rest) as usize;
        self.read = self.piece.len() - rest.len();
        if !self.reach(length, file)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = &self.piece[self.read..self.read + length];
        self.read += length;
        Ok(Some(R::read(&mut self.before, &mut bytes)))
    }

    /// Reads on until so many bytes are there; false where the run has fewer.
    #[inline]
    fn reach(&mut self, bytes: usize, file: &mut File) -> io::Result<bool> {
        let missing = bytes.saturating_sub(self.piece.len() - self.read);
        if missing > 0 && self.at < self.end {
            self.read_on(missing, file)?;
        }
        Ok(self.piece.len() - self.read >= bytes)
    }

    #[cold]
    fn read_on(&mut self, missing: usize, file: &mut File) -> io::Result<()> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        self.piece.drain(..std::mem::take(&mut self.read));
        let from = self.piece.len();
        self.piece.resize(from + missing.max(PIECE).min(left), 0);
        file.seek(SeekFrom::Start(self.at))?;
        file.read_exact(&mut self.piece[from..])?;
        self.at += (self.piece.len() - from) as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Text(String);

    impl Record for Text {
        type Before = usize;
        fn write(&self, before: &mut usize, out: &mut Vec<u8>) {
            out.extend_from_slice(&before.to_le_bytes());
            out.extend_from_slice(self.0.as_bytes());
            *before = self.0.len();
        }
        fn read(before: &mut usize, bytes: &mut &[u8]) -> Text {
            let (told, text) = std::mem::take(bytes).split_first_chunk().unwrap();
            assert_eq!(usize::from_le_bytes(*told), *before, "readers know what the writer knew");
            *before = text.len();
            Text(String::from_utf8(text.to_vec()).unwrap())
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
            let mut sorted = Sorted::of(Scratch::of_system(), most);
            texts.iter().try_for_each(|text| sorted.push(text.clone())).unwrap();
            let mut back = Vec::new();
            sorted.each(|text| { back.push(text); Ok(()) }).unwrap();
            let mut expected = texts;
            expected.sort();
            prop_assert_eq!(back, expected);
        }
    }
}
