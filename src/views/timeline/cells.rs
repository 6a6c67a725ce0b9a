//! Rows of CSV. One without quotes is cut at its commas where it lies; csv-core reads the others, and the header.
//!
//! A row ends with LF, CR LF or CR, and a line of nothing is no row. What the cells are is csv-core's word: the two are held against
//! each other.

use std::io::{self, ErrorKind, Read};

use csv_core::{ReadRecordResult, Reader};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Bytes that a row may have, about: 1 MiB. A row is held whole, and a table whose quotes or lines do not end is one row.
const LONGEST: usize = 1 << 20;

/// Rows under way.
#[derive(Debug)]
pub(super) struct Cells<R> {
    source: R,
    /// What was read; the next row begins at `at`.
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
    /// Line feeds behind us.
    feeds: u64,
    quoted: Reader,
    /// The cells of a row with quotes, without them.
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'r> {
    /// The line in which it begins, from 1.
    pub(super) line: u64,
    text: &'r [u8],
    /// Where its cells end.
    ends: &'r [usize],
    /// Bytes between two cells.
    gap: usize,
}

impl<'r> Row<'r> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&'r [u8]> {
        let end = *self.ends.get(place)?;
        let begin = if place == 0 { 0 } else { self.ends.get(place - 1)? + self.gap };
        self.text.get(begin..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'r [u8]> {
        (0..self.len()).map_while(|place| self.get(place))
    }
}

/// How far a row could be cut.
enum Cut {
    /// It has so many bytes.
    Whole(usize),
    /// It has a quote.
    Quoted,
    /// Its end was not found.
    Open,
}

impl<R: Read> Cells<R> {
    pub(super) fn new(source: R) -> Cells<R> {
        Cells {
            source,
            bytes: Vec::new(),
            at: 0,
            ended: false,
            feeds: 0,
            quoted: Reader::new(),
            text: vec![0; 1 << 10],
            ends: Vec::new(),
        }
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// The line in which the next row begins, from 1.
    pub(super) fn line(&self) -> u64 {
        // The end of the row before still lies here.
        let ends = self.bytes[self.at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        self.feeds + 1 + ends.filter(|byte| **byte == b'\n').count() as u64
    }

    /// The first row, which may follow a byte order mark.
    pub(super) fn header(&mut self) -> io::Result<Option<Row<'_>>> {
        self.read_quoted()
    }

    /// The next row; nothing at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Row<'_>>> {
        loop {
            while let Some(&byte @ (b'\r' | b'\n')) = self.bytes.get(self.at) {
                self.feeds += u64::from(byte == b'\n');
                self.at += 1;
            }
            let rest = &self.bytes[self.at..];
            let length = match cut(rest, &mut self.ends) {
                Cut::Whole(length) => length,
                Cut::Quoted => return self.read_quoted(),
                Cut::Open if !self.ended => {
                    self.fill()?;
                    continue;
                }
                Cut::Open if rest.is_empty() => return Ok(None),
                Cut::Open => {
                    self.ends.push(rest.len());
                    rest.len()
                }
            };
            let begin = self.at;
            self.at += length;
            let text = &self.bytes[begin..self.at];
            return Ok(Some(Row { line: self.feeds + 1, text, ends: &self.ends, gap: 1 }));
        }
    }

    fn read_quoted(&mut self) -> io::Result<Option<Row<'_>>> {
        let (line, fed) = (self.feeds + 1, self.quoted.line());
        let (mut length, mut cells) = (0, 0);
        loop {
            while self.at == self.bytes.len() && !self.ended {
                self.fill()?;
            }
            // At the end of the table a line feed ends the row, unless a quote is open: then it is part of the cell.
            let is_end = self.at == self.bytes.len();
            let bytes = if is_end { &b"\n"[..] } else { &self.bytes[self.at..] };
            let (result, read, wrote, ended) =
                self.quoted.read_record(bytes, &mut self.text[length..], &mut self.ends[cells..]);
            if is_end && wrote > 0 {
                return Err(never_ends("the row ends with the table"));
            }
            self.at += if is_end { 0 } else { read };
            length += wrote;
            cells += ended;
            match result {
                ReadRecordResult::InputEmpty if is_end => return Ok(None),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull if length.max(cells) >= LONGEST => {
                    return Err(too_long());
                }
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len() + 8, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        self.feeds += self.quoted.line() - fed;
        Ok(Some(Row { line, text: &self.text[..length], ends: &self.ends[..cells], gap: 0 }))
    }

    /// Reads on, behind what is not yet taken.
    fn fill(&mut self) -> io::Result<()> {
        self.bytes.drain(..std::mem::take(&mut self.at));
        let before = self.bytes.len();
        if before > LONGEST {
            return Err(too_long());
        }
        // A long row is looked at from its begin whenever more of it comes.
        self.bytes.resize(before + PIECE.max(before), 0);
        let read = loop {
            match self.source.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(before + read.as_ref().map_or(0, |&read| read));
        self.ended = read? == 0;
        Ok(())
    }
}

fn too_long() -> io::Error {
    never_ends("the row is longer than 1 MiB")
}

fn never_ends(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what}; a line or a quote has no end"))
}

/// Looks for the ends of cells in the row that begins here.
fn cut(rest: &[u8], ends: &mut Vec<usize>) -> Cut {
    ends.clear();
    for (nth, chunk) in rest.chunks(8).enumerate() {
        let mut low = up_to_comma(chunk.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [b'0'; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            padded
        }));
        while low != 0 {
            let at = 8 * nth + low.trailing_zeros() as usize / 8;
            match rest[at] {
                b',' => ends.push(at),
                b'\n' | b'\r' => {
                    ends.push(at);
                    return Cut::Whole(at);
                }
                b'"' => return Cut::Quoted,
                _ => {}
            }
            low &= low - 1;
        }
    }
    Cut::Open
}

/// The high bits of those bytes that are no more than a comma, as quotes and ends of lines are, and digits, dots and letters are not.
fn up_to_comma(bytes: [u8; 8]) -> u64 {
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const ABOVE: u64 = u64::from_ne_bytes([b',' + 1; 8]);
    let word = u64::from_le_bytes(bytes);
    // With its high bit set no byte borrows from the next.
    !((word | HIGH) - ABOVE) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'b>(&'b [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }

    type Rows = Vec<Vec<Vec<u8>>>;

    /// Rows, and what was wrong with the one behind them.
    fn read(bytes: &[u8], step: usize) -> (Rows, Option<String>) {
        let mut cells = Cells::new(Slow(bytes, step));
        let owned = |row: Row| row.iter().map(<[u8]>::to_vec).collect();
        let mut rows = Rows::new();
        loop {
            match if rows.is_empty() { cells.header() } else { cells.next() } {
                Ok(Some(row)) => rows.push(owned(row)),
                Ok(None) => return (rows, None),
                Err(error) => return (rows, Some(error.to_string())),
            }
        }
    }

    fn ours(bytes: &[u8], step: usize) -> Rows {
        read(bytes, step).0
    }

    /// Rows as csv has them, but for the last if its quote has no end, so that a line feed becomes part of it.
    fn of_csv(bytes: &[u8]) -> Rows {
        let mut rows = all_of_csv(bytes);
        if rows != all_of_csv(&[bytes, b"\n"].concat()) {
            rows.pop();
        }
        rows
    }

    fn all_of_csv(bytes: &[u8]) -> Rows {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn rows_are_as_csv_has_them(
            parts in prop::collection::vec(
                prop::sample::select(vec!["a", "10.0.0.1", "1700000000000000", "\"", "\"\"", ",", ",", "\n", "\r", "\r\n", " ", "é", "\u{ad}"]),
                0..60,
            ),
            // Of fewer csv knows no byte order mark.
            step in 4..40_usize,
        ) {
            let text = parts.concat();
            prop_assert_eq!(ours(text.as_bytes(), step), of_csv(text.as_bytes()));
        }

        #[test]
        fn any_bytes_are_rows_as_csv_has_them(bytes in prop::collection::vec(any::<u8>(), 0..100), step in 4..40_usize) {
            prop_assert_eq!(ours(&bytes, step), of_csv(&bytes));
        }
    }

    #[test]
    fn a_row_longer_than_what_is_read_at_once_is_one() {
        let long = "x".repeat(3 * PIECE / 2);
        for text in [format!("a,b\n{long},{long}\n1,2"), format!("a,b\n\"{long}\",{long}\n1,2")] {
            let rows = ours(text.as_bytes(), PIECE);
            assert_eq!((rows.len(), rows[1][1].len(), rows[2][1].clone()), (3, long.len(), b"2".to_vec()));
        }
        assert_eq!(ours(b"\xef\xbb\xbfa,b\n1", 9), [vec![b"a".to_vec(), b"b".to_vec()], vec![b"1".to_vec()]]);
    }

    #[test]
    fn a_quote_without_end_is_no_row() {
        for text in ["a,b\n1,2\n3,\"4\n5,6\n", "a,b\n1,2\n3,\"4\n5,6", "a,b\n1,2\n\"", "a,b\n1,2\n\"\"\"3"] {
            for step in [4, PIECE] {
                let (rows, wrong) = read(text.as_bytes(), step);
                assert_eq!(rows.len(), 2, "{text:?}");
                let said = "the row ends with the table; a line or a quote has no end";
                assert_eq!(wrong.as_deref(), Some(said), "{text:?}");
            }
        }
        for text in ["a,b\n1,2\n3,\"4\"", "a,b\n1,2\n3,\"4\"\"\"\n", "a,b\n1,2\n3,4\"", "a,b\n1,2\n3,\"\""] {
            let (rows, wrong) = read(text.as_bytes(), 4);
            assert_eq!((rows.len(), wrong), (3, None), "{text:?}");
        }
    }

    #[test]
    fn a_row_knows_its_line() {
        let mut cells = Cells::new(&b"a,b\r\n1,2\r\n\r\n\"x\ny\",2\n3,4\n\n\n\"5\",6"[..]);
        cells.header().unwrap();
        let mut lines = Vec::new();
        while let Some(row) = cells.next().unwrap() {
            lines.push(row.line);
        }
        assert_eq!(lines, [2, 4, 6, 9]);
    }
}
