//! A window of contiguous bytes over a capture, which the record walk moves along.
//!
//! Behind it is a whole memory map, or a chunk that is filled by reading: the bytes of a record that straddles the
//! end are carried over to the front of the next chunk. A chunk is used again once no batch holds on to it; with a
//! consumer that keeps up, one chunk serves the whole file and stays in the processor's cache.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use super::bytes::Bytes;
use super::compressed::{Decompressor, Step};
use super::map::Map;
use super::walk::LookAhead;

/// Bytes read at once; fits the second-level cache of current processors.
pub(super) const CHUNK: usize = 256 << 10;

/// Bytes of a map walked in one batch at most, so that offsets fit 32 bits.
pub(super) const SPAN: usize = 1 << 30;

/// Chunks kept for use again; more than this are in flight only if the consumer is far behind.
const KEPT: usize = 64;

const SHRANK: &str = "the file shrank while it was read";

/// How the bytes came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As they should.
    Whole,
    /// Early.
    Cut(&'static str),
    /// In damage.
    Broken(&'static str),
    /// Where the decompressor gave up on what may be sound.
    Refused(&'static str),
}

/// Where chunks are filled from.
pub(super) enum Source {
    /// A file or stream as it is, and how long it was when it was opened.
    Plain(Box<dyn Read + Send>, Option<u64>),
    /// Through a decompressor.
    Packed(Box<Decompressor>),
}

/// See the module.
pub(super) struct Window {
    backing: Backing,
    /// First byte that has not been walked, in the map or chunk.
    at: usize,
    /// Absolute position of the map's or chunk's first byte, in the decompressed stream.
    base: u64,
    /// Where prefetching has got to, counted from `at`.
    asked: usize,
}

enum Backing {
    /// `valid` bytes of the map are the file's.
    Map {
        map: Arc<Map>,
        span: usize,
        needed: usize,
        valid: usize,
    },
    Chunks(Chunks),
}

struct Chunks {
    source: Source,
    size: usize,
    current: Arc<Vec<u8>>,
    filled: usize,
    kept: Vec<Arc<Vec<u8>>>,
    read: u64,
    ending: Option<Ending>,
}

impl Window {
    /// Over a map; `span` is [`SPAN`] but in tests.
    pub(super) fn over_map(map: Map, span: usize) -> Window {
        let valid = map.as_slice().len();
        Window { backing: Backing::Map { map: Arc::new(map), span, needed: 0, valid }, at: 0, base: 0, asked: 0 }
    }

    /// Over a source that is read; `size` is [`CHUNK`] but in tests.
    pub(super) fn over_source(source: Source, size: usize) -> Window {
        let chunks = Chunks {
            source,
            size: size.max(1),
            current: Arc::default(),
            filled: 0,
            kept: Vec::new(),
            read: 0,
            ending: None,
        };
        Window { backing: Backing::Chunks(chunks), at: 0, base: 0, asked: 0 }
    }

    /// The bytes at hand.
    pub(super) fn slice(&self) -> &[u8] {
        match &self.backing {
            Backing::Map { map, span, needed, valid } => {
                let rest = map.as_slice().get(self.at..*valid).unwrap_or_default();
                rest.get(..(*span).max(*needed)).unwrap_or(rest)
            }
            Backing::Chunks(chunks) => chunks.current.get(self.at..chunks.filled).unwrap_or_default(),
        }
    }

    /// Shared ownership of the first `length` bytes at hand.
    pub(super) fn share(&self, length: usize) -> Bytes {
        match &self.backing {
            Backing::Map { map, .. } => Bytes::of_map(map, self.at, length),
            Backing::Chunks(chunks) => Bytes::of_chunk(&chunks.current, self.at, length),
        }
    }

    /// The prefetching that a walk over [`slice`](Self::slice) should do.
    pub(super) fn look_ahead(&self) -> LookAhead {
        match self.backing {
            Backing::Map { .. } => LookAhead::on(self.asked),
            Backing::Chunks(_) => LookAhead::off(),
        }
    }

    /// Steps over `length` bytes that have been walked.
    pub(super) fn advance(&mut self, length: usize, ahead: &LookAhead) {
        self.at += length;
        self.asked = ahead.asked(length);
        if let Backing::Map { needed, .. } = &mut self.backing {
            *needed = 0;
        }
    }

    /// Whether part of what was at hand turned out to be no longer in the file; from then on it is not at hand.
    pub(super) fn shrank(&mut self) -> bool {
        let Backing::Map { map, valid, .. } = &mut self.backing else { return false };
        let now = map.length().min(*valid);
        std::mem::replace(valid, now) > now
    }

    /// Absolute position of the first byte at hand, in the decompressed stream.
    pub(super) fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Bytes taken from the file.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.backing {
            Backing::Map { .. } => self.at as u64,
            Backing::Chunks(Chunks { source: Source::Packed(decoder), .. }) => decoder.taken(),
            Backing::Chunks(chunks) => chunks.read,
        }
    }

    /// How the bytes ended, once [`extend`](Self::extend) has said that they did.
    pub(super) fn ending(&self) -> Ending {
        match &self.backing {
            Backing::Map { map, valid, .. } if *valid < map.as_slice().len() => Ending::Cut(SHRANK),
            Backing::Map { .. } => Ending::Whole,
            Backing::Chunks(chunks) => chunks.ending.unwrap_or(Ending::Whole),
        }
    }

    /// Gets more bytes, so that at least `needed` are at hand; `false` if the input ends before. What is at hand stays
    /// at hand.
    pub(super) fn extend(&mut self, needed: usize) -> io::Result<bool> {
        match &mut self.backing {
            Backing::Map { needed: reach, valid, .. } => {
                *reach = needed;
                Ok(valid.saturating_sub(self.at) >= needed)
            }
            Backing::Chunks(chunks) => {
                self.base += self.at as u64;
                chunks.make_room(self.at, needed);
                self.at = 0;
                while chunks.filled < needed {
                    if !chunks.fill()? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

impl Chunks {
    /// Moves the bytes from `at` on to the front of a chunk that nobody else holds and that has room for `needed`.
    fn make_room(&mut self, at: usize, needed: usize) {
        let size = self.size.max(needed);
        let tail = at.min(self.filled)..self.filled;
        let kept = tail.len();
        // A chunk that grew for one long record is not kept for the short ones behind it.
        if self.current.len() == size
            && let Some(own) = Arc::get_mut(&mut self.current)
        {
            own.copy_within(tail, 0);
        } else {
            let mut next = self.take(size);
            if let Some(room) = Arc::get_mut(&mut next)
                && let (Some(to), Some(from)) = (room.get_mut(..kept), self.current.get(tail))
            {
                to.copy_from_slice(from);
            }
            let old = std::mem::replace(&mut self.current, next);
            if old.len() == self.size && self.kept.len() < KEPT {
                self.kept.push(old);
            }
        }
        self.filled = kept;
    }

    /// A chunk that nobody holds. New ones are zeroed once, by the system, and never again.
    fn take(&mut self, size: usize) -> Arc<Vec<u8>> {
        let free = |chunk: &mut Arc<Vec<u8>>| chunk.len() == size && Arc::get_mut(chunk).is_some();
        match self.kept.iter_mut().position(free) {
            Some(index) => self.kept.swap_remove(index),
            None => Arc::new(vec![0; size]),
        }
    }

    /// Reads once; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ending.is_some() {
            return Ok(false);
        }
        let room = Arc::get_mut(&mut self.current).and_then(|chunk| chunk.get_mut(self.filled..)).unwrap_or_default();
        let read = match &mut self.source {
            Source::Plain(reader, length) => {
                let read = loop {
                    match reader.read(room) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        other => break other?.min(room.len()),
                    }
                };
                self.read += read as u64;
                if read == 0 {
                    let shrank = length.is_some_and(|length| self.read < length);
                    self.ending = Some(if shrank { Ending::Cut(SHRANK) } else { Ending::Whole });
                }
                read
            }
            Source::Packed(decoder) => match decoder.step(room)? {
                Step::Decoded(read) => read,
                Step::End => {
                    self.ending = Some(Ending::Whole);
                    0
                }
                Step::Truncated(message) => {
                    self.ending = Some(Ending::Cut(message));
                    0
                }
                Step::Corrupt(message) => {
                    self.ending = Some(Ending::Broken(message));
                    0
                }
                Step::Unsupported(message) => {
                    self.ending = Some(Ending::Refused(message));
                    0
                }
            },
        };
        self.filled += read;
        Ok(read > 0)
    }
}
