//! Text in lines, or in cells that commas part, none longer than [`LONGEST_PIECE`]: what has no end is not held whole.

use std::io::{self, BufRead, ErrorKind};

use memchr::{memchr, memchr2};

/// Bytes that a line or a cell may have: 1 MiB.
pub const LONGEST_PIECE: usize = 1 << 20;

/// Reads text piece by piece, whichever kind is asked for next.
#[derive(Debug)]
pub struct Pieces<R> {
    text: R,
    piece: Vec<u8>,
    /// Where the next piece begins.
    at: u64,
}

impl<R: BufRead> Pieces<R> {
    /// At the beginning of a text.
    pub fn new(text: R) -> Pieces<R> {
        Pieces { text, piece: Vec::new(), at: 0 }
    }

    /// What stands from here to the end of the line, without LF or CR LF; nothing at the end of the text.
    ///
    /// # Errors
    /// It cannot be read, is no UTF-8, or is longer than [`LONGEST_PIECE`]; the error names the byte where it begins.
    pub fn line(&mut self) -> io::Result<Option<&str>> {
        let begin = self.at;
        match self.take("line", |bytes| memchr(b'\n', bytes))? {
            Some(_) => text(&self.piece, begin).map(Some),
            None => Ok(None),
        }
    }

    /// What stands from here to the next comma or the end of the line, and whether it is the line's last; nothing at the end of the
    /// text.
    ///
    /// # Errors
    /// As [`Pieces::line`].
    pub fn cell(&mut self) -> io::Result<Option<(&str, bool)>> {
        let begin = self.at;
        match self.take("cell", |bytes| memchr2(b',', b'\n', bytes))? {
            Some(end) => text(&self.piece, begin).map(|text| Some((text, end != b','))),
            None => Ok(None),
        }
    }

    /// Takes a piece; the byte that ends it, which is LF at the end of the text.
    fn take(&mut self, what: &str, end: impl Fn(&[u8]) -> Option<usize>) -> io::Result<Option<u8>> {
        self.piece.clear();
        let begin = self.at;
        loop {
            let waiting = match self.text.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                waiting => waiting?,
            };
            if waiting.is_empty() {
                return Ok((!self.piece.is_empty()).then_some(b'\n'));
            }
            let ended = end(waiting);
            let length = ended.unwrap_or(waiting.len());
            if self.piece.len() + length > LONGEST_PIECE {
                let why = format!("the {what} that begins at byte {begin} is longer than 1 MiB");
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
            self.piece.extend_from_slice(&waiting[..length]);
            let last = ended.and_then(|at| waiting.get(at).copied());
            let taken = length + usize::from(last.is_some());
            self.text.consume(taken);
            self.at += taken as u64;
            if last.is_some() {
                return Ok(last);
            }
        }
    }
}

fn text(piece: &[u8], begin: u64) -> io::Result<&str> {
    let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
    let other = |error: std::str::Utf8Error| {
        let at = begin + error.valid_up_to() as u64;
        io::Error::new(ErrorKind::InvalidData, format!("byte {at} is no UTF-8"))
    };
    std::str::from_utf8(piece).map_err(other)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// Lines as they come through a window of so many bytes.
    fn lines(bytes: &[u8], window: usize) -> Vec<String> {
        let mut pieces = Pieces::new(BufReader::with_capacity(window, bytes));
        std::iter::from_fn(|| pieces.line().unwrap().map(str::to_owned)).collect()
    }

    #[test]
    fn lines_are_those_of_the_standard_library() {
        for text in ["", "\n", "a", "a\n", "a\r\nb\n\nc", "\r\n\r", "zoé\n😀\n"] {
            for window in [1, 2, 100] {
                let expected: Vec<String> = text.as_bytes().lines().map(Result::unwrap).collect();
                // A CR at the very end stays there, and goes here.
                let expected: Vec<&str> = expected.iter().map(|line| line.trim_end_matches('\r')).collect();
                assert_eq!(lines(text.as_bytes(), window), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn cells_end_at_commas_and_lines_go_on_behind_them() {
        let mut pieces = Pieces::new(&b"a,,b\nc\r\nd,e\nf"[..]);
        let mut cell = || pieces.cell().unwrap().map(|(text, last)| (text.to_owned(), last));
        let cells = [("a", false), ("", false), ("b", true), ("c", true), ("d", false)];
        for (text, last) in cells {
            assert_eq!(cell(), Some((text.to_owned(), last)));
        }
        assert_eq!(pieces.line().unwrap(), Some("e"));
        assert_eq!(pieces.cell().unwrap(), Some(("f", true)));
        assert!(pieces.cell().unwrap().is_none() && pieces.line().unwrap().is_none());
    }

    #[test]
    fn a_piece_without_end_is_refused_where_it_begins() {
        let mut bytes = b"a\n".to_vec();
        bytes.resize(2 + LONGEST_PIECE, b'x');
        assert_eq!(lines(&bytes, 4096)[1].len(), LONGEST_PIECE);
        let endless = b"a\n".chain(BufReader::new(io::repeat(b'x')));
        let mut pieces = Pieces::new(endless);
        pieces.line().unwrap();
        let error = pieces.line().unwrap_err().to_string();
        assert_eq!(error, "the line that begins at byte 2 is longer than 1 MiB");
        let mut pieces = Pieces::new(&b"ab,c\xff\n"[..]);
        pieces.cell().unwrap();
        assert_eq!(pieces.cell().unwrap_err().to_string(), "byte 4 is no UTF-8");
    }
}
