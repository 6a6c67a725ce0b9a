//! gzip and zstd streams, decoded so that everything in front of damage is kept.
//!
//! Both are driven through their low-level interfaces: the ready-made readers drop what a failing call had already
//! decoded, and how much that is would depend on the sizes of the buffers.

use std::io::{self, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::get_error_name;

use super::report::Compression;

/// The largest zstd window that is accepted, as a power of two: 128 MiB, as in the `zstd` program.
const WINDOW_LOG: u32 = 27;

/// Compressed bytes read at once.
const INPUT: usize = 128 << 10;

/// What a zstd decoder wants to see of a new frame.
const FRAME_START: usize = 5;

/// Recognises compression by the first four bytes.
pub(super) fn recognise(magic: [u8; 4]) -> Compression {
    match magic {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// One step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes were written to the output; at least one.
    Decoded(usize),
    /// The stream ended as it should.
    End,
    /// The input ended inside the stream.
    Truncated(&'static str),
    /// The stream is damaged.
    Corrupt(&'static str),
    /// The stream may be sound, but asks for more than it is given.
    Unsupported(&'static str),
}

/// A decoder over a reader of compressed bytes.
pub(super) struct Decompressor {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    ended: bool,
    taken: u64,
    codec: Codec,
}

enum Codec {
    /// The open member, if any, and whether one was finished before.
    Gzip {
        member: Option<Box<Decompress>>,
        finished: bool,
    },
    Zstd(Box<Frames>),
    /// It failed in the call before, after that had delivered bytes.
    Failed(&'static str),
}

/// Decoding zstd frames, one step a call.
struct Frames {
    decoder: Decoder<'static>,
    /// How many bytes the decoder asks for; 0 between frames.
    wanted: usize,
    /// The output was filled to its end, so the decoder may have more.
    more: bool,
    /// A frame was read to its end.
    finished: bool,
}

/// Bytes of a zstd block header, which the decoder asks for along with the block in front of it.
const BLOCK_HEADER: usize = 3;

const BAD_GZIP: &str = "the gzip stream is damaged";
const BAD_ZSTD: &str = "the zstd stream is damaged";

impl Decompressor {
    /// A decoder for a compression that is not [`Compression::None`].
    pub(super) fn new(compression: Compression, input: Box<dyn Read + Send>) -> io::Result<Decompressor> {
        let codec = match compression {
            Compression::Zstd => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
                Codec::Zstd(Box::new(Frames { decoder, wanted: 0, more: false, finished: false }))
            }
            Compression::Gzip | Compression::None => Codec::Gzip { member: None, finished: false },
        };
        Ok(Decompressor { input, buffer: vec![0; INPUT], at: 0, end: 0, ended: false, taken: 0, codec })
    }

    /// Compressed bytes decoded so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Decodes into `output`, which must not be empty. Errors are those of the reader underneath.
    pub(super) fn step(&mut self, output: &mut [u8]) -> io::Result<Step> {
        loop {
            if self.at == self.end && !self.ended {
                self.load()?;
            }
            let input = self.buffer.get(self.at..self.end).unwrap_or_default();
            let (used, step) = self.codec.step(input, self.ended, output);
            self.at += used;
            self.taken += used as u64;
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn load(&mut self) -> io::Result<()> {
        self.at = 0;
        self.end = loop {
            match self.input.read(&mut self.buffer) {
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.end = 0;
                    return Err(error);
                }
            }
        };
        self.ended = self.end == 0;
        Ok(())
    }
}

impl Codec {
    /// Takes some of `input`; `None` asks for another turn, which makes progress. Empty input means its end.
    fn step(&mut self, input: &[u8], ended: bool, output: &mut [u8]) -> (usize, Option<Step>) {
        match self {
            Codec::Gzip { member, finished } => match gzip(member, finished, input, ended, output) {
                Ok(done) => done,
                Err((used, 0)) => (used, Some(Step::Corrupt(BAD_GZIP))),
                Err((used, decoded)) => {
                    *self = Codec::Failed(BAD_GZIP);
                    (used, Some(Step::Decoded(decoded)))
                }
            },
            Codec::Zstd(frames) => frames.step(input, ended, output),
            Codec::Failed(message) => (0, Some(Step::Corrupt(message))),
        }
    }
}

/// On failure: what was taken and what was decoded before.
type Failure = (usize, usize);

fn gzip(
    member: &mut Option<Box<Decompress>>,
    finished: &mut bool,
    input: &[u8],
    ended: bool,
    output: &mut [u8],
) -> Result<(usize, Option<Step>), Failure> {
    let Some(decoder) = member else {
        // Between members. Zeros after the last one are padding (tapes, block devices); anything else is damage.
        return Ok(match input {
            [] if *finished => (0, Some(Step::End)),
            [] => (0, Some(Step::Truncated("the gzip stream is cut"))),
            [0, ..] if *finished => match input.iter().position(|byte| *byte != 0) {
                None => (input.len(), None),
                Some(zeros) => (zeros, Some(Step::Corrupt("there are other bytes after the end of the gzip stream"))),
            },
            [first, ..] if *finished && *first != 0x1f => {
                (0, Some(Step::Corrupt("there are other bytes after the end of the gzip stream")))
            }
            _ => {
                *member = Some(Box::new(Decompress::new_gzip(15)));
                (0, None)
            }
        });
    };
    let before = (decoder.total_in(), decoder.total_out());
    let result = decoder.decompress(input, output, FlushDecompress::None);
    let used = (decoder.total_in() - before.0) as usize;
    let decoded = (decoder.total_out() - before.1) as usize;
    let Ok(status) = result else {
        return Err((used.min(input.len()), decoded.min(output.len())));
    };
    if status == flate2::Status::StreamEnd {
        *member = None;
        *finished = true;
        return Ok((used, (decoded > 0).then_some(Step::Decoded(decoded))));
    }
    Ok(match (used, decoded) {
        (used, 1..) => (used, Some(Step::Decoded(decoded))),
        (0, 0) if ended => (0, Some(Step::Truncated("the gzip stream is cut"))),
        (0, 0) => (0, Some(Step::Corrupt(BAD_GZIP))),
        (used, 0) => (used, None),
    })
}

/// What a refusal of the zstd decoder means. Of its error it gives no more than the name.
fn refused(error: &io::Error) -> Step {
    // ZSTD_error_frameParameter_windowTooLarge and ZSTD_error_dictionary_wrong.
    let [window, dictionary] = [16_usize, 32].map(|code| get_error_name(code.wrapping_neg()));
    match error.to_string() {
        name if name == window => Step::Unsupported(
            "the zstd stream needs a window of more than 128 MiB; unpack it with `zstd -d --long=31` and read that",
        ),
        name if name == dictionary => Step::Unsupported(
            "the zstd stream needs a dictionary; unpack it with `zstd -d -D DICTIONARY` and read that",
        ),
        _ => Step::Corrupt(BAD_ZSTD),
    }
}

impl Frames {
    /// A call of the decoder that fails delivers nothing, not even what it decoded before it failed. So each call gets
    /// the bytes for one thing only: a header, a block, a checksum; or none, to hand out what it has.
    fn step(&mut self, input: &[u8], ended: bool, output: &mut [u8]) -> (usize, Option<Step>) {
        if self.wanted == 0 {
            if input.is_empty() {
                let step = if self.finished { Step::End } else { Step::Truncated("the zstd stream is cut") };
                return (0, Some(step));
            }
            self.wanted = FRAME_START;
        }
        let size = match self.wanted {
            _ if self.more => 0,
            wanted @ 0..=BLOCK_HEADER => wanted,
            wanted => wanted - BLOCK_HEADER,
        };
        let room = output.len();
        let mut source = InBuffer::around(input.get(..size).unwrap_or(input));
        let mut sink = OutBuffer::around(output);
        let hint = self.decoder.run(&mut source, &mut sink);
        let (used, decoded) = (source.pos(), sink.pos());
        let hint = match hint {
            Ok(hint) => hint,
            Err(error) => return (used, Some(refused(&error))),
        };
        self.wanted = hint;
        self.finished |= hint == 0;
        let had_more = std::mem::replace(&mut self.more, decoded == room);
        match (used, decoded) {
            (used, 1..) => (used, Some(Step::Decoded(decoded))),
            (0, 0) if hint == 0 || had_more => (0, None),
            (0, 0) if ended => (0, Some(Step::Truncated("the zstd stream is cut"))),
            (0, 0) => (0, Some(Step::Corrupt(BAD_ZSTD))),
            (used, 0) => (used, None),
        }
    }
}
