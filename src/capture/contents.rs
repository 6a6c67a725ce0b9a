//! What an input holds, as a stream of bytes, decompressed: for what is no capture, and for telling whether it is one.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};

use super::compressed::{self, Decompressor, Step};
use super::inputs::Input;
use super::report::Compression;
use super::stdin::{self, Stdin};
use crate::error::{Error, Result};

/// Bytes that are looked at.
const BEGINNING: u64 = 4096;

/// The bytes of an input. Damage in a compressed one is an error behind all that lies before it.
pub struct Contents {
    source: Source,
    taken: u64,
}

enum Source {
    Plain(Box<dyn Read + Send>),
    Packed(Box<Decompressor>),
}

impl Contents {
    /// Opens an input.
    ///
    /// # Errors
    /// It is missing, is a folder, or cannot be opened or read.
    pub fn open(input: &Input) -> Result<Contents> {
        let path = input.path();
        let source: Box<dyn Read + Send> = match input {
            Input::Stdin => Box::new(Stdin),
            Input::File(path) => Box::new(File::open(path).map_err(|error| Error::io("open", path, error))?),
        };
        Contents::of(source).map_err(|error| Error::io("read", path, error))
    }

    fn of(mut source: Box<dyn Read + Send>) -> io::Result<Contents> {
        let mut head = Vec::with_capacity(4);
        source.by_ref().take(4).read_to_end(&mut head)?;
        let compression = head.first_chunk().map_or(Compression::None, |magic| compressed::recognise(*magic));
        let whole = Box::new(Cursor::new(head).chain(source));
        let source = match compression {
            Compression::None => Source::Plain(whole),
            Compression::Gzip | Compression::Zstd => Source::Packed(Box::new(Decompressor::new(compression, whole)?)),
        };
        Ok(Contents { source, taken: 0 })
    }

    /// Whether it is compressed.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        matches!(self.source, Source::Packed(_))
    }

    /// Bytes of the file behind us; of a compressed one, its compressed bytes.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Plain(_) => self.taken,
            Source::Packed(decompressor) => decompressor.taken(),
        }
    }
}

impl Read for Contents {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.source {
            Source::Plain(source) => source.read(into)?,
            Source::Packed(decompressor) => match decompressor.step(into)? {
                Step::Decoded(length) => length,
                Step::End => 0,
                Step::Truncated(why) => return Err(io::Error::new(ErrorKind::UnexpectedEof, why)),
                Step::Corrupt(why) | Step::Unsupported(why) => return Err(io::Error::new(ErrorKind::InvalidData, why)),
            },
        };
        self.taken += read as u64;
        Ok(read)
    }
}

/// What an input begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The first bytes of what it holds, up to 4 KiB or the first damage.
    pub bytes: Vec<u8>,
    /// Damage came first.
    pub is_damaged: bool,
}

/// What an input begins with. Standard input loses nothing of it, for [`Stdin`] reads it again; a pipe or a device that has a name would, so
/// those are not looked at.
///
/// # Errors
/// As [`Contents::open`].
pub fn beginning(input: &Input) -> Result<Option<Beginning>> {
    let failed = |error| Error::io("read", input.path(), error);
    match input {
        Input::Stdin => of_stdin().map(Some).map_err(failed),
        Input::File(path) if std::fs::metadata(path).is_ok_and(|there| there.is_file()) => {
            Ok(Some(look(Contents::open(input)?)))
        }
        Input::File(_) => Ok(None),
    }
}

fn look(contents: Contents) -> Beginning {
    let mut bytes = Vec::new();
    // Damage is told of by whoever reads on.
    let is_damaged = contents.take(BEGINNING).read_to_end(&mut bytes).is_err();
    Beginning { bytes, is_damaged }
}

/// Bytes that tell what standard input is, if it is compressed, and bytes in which they must be: a block of zstd may have 128 KiB.
const ENOUGH: usize = 256;
const MOST_AHEAD: usize = 1 << 20;

/// Looks at what is there; of a compressed stream as far as it takes to see what is in it.
fn of_stdin() -> io::Result<Beginning> {
    let mut ahead = stdin::ahead();
    let (mut piece, mut looked) = ([0; 8192], 0);
    loop {
        let read = loop {
            match stdin::more(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        ahead.extend(&piece[..read]);
        let is_whole = read == 0 || ahead.len() >= MOST_AHEAD;
        // A look begins at the first byte, so that not many are of a stream that comes in drops.
        if !is_whole && ahead.len() < 2 * looked {
            continue;
        }
        looked = ahead.len();
        let contents = Contents::of(Box::new(Cursor::new(Vec::from(ahead.clone()))))?;
        let is_packed = contents.is_packed();
        let Beginning { bytes, is_damaged } = look(contents);
        if is_whole || !is_packed || bytes.len() >= ENOUGH {
            // What has not come yet is not missing.
            return Ok(Beginning { is_damaged: is_damaged && is_whole, bytes });
        }
    }
}
