//! One capture: opened, recognised by its content, walked batch by batch, reported on.

use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::compressed::{self, Decompressor};
use super::map::Map;
use super::pcap::{self, Pcap};
use super::pcapng::Pcapng;
use super::record::Records;
use super::report::{Compression, Format, Report, Status};
use super::walk::Stop;
use super::window::{CHUNK, Ending, SPAN, Source, Window};
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// A file that was written to more recently than this may still be written to.
pub(super) const SETTLED: Duration = Duration::from_secs(60);

/// How files are read. What is read is the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// Memory maps for regular files that were not written to within the last 60 seconds, else reading.
    #[default]
    Auto,
    /// Memory maps wherever that works. Do not use it on files that may shrink.
    Mmap,
    /// Reading.
    Read,
}

/// A capture being read.
pub struct Capture {
    path: PathBuf,
    window: Window,
    walker: Walker,
    report: Report,
    length: Option<u64>,
    /// The first record, if somebody asked for its time before it was delivered.
    first: Option<Records>,
    ended: bool,
}

enum Walker {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// The parts of a capture that tests make small.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) chunk: usize,
    pub(super) span: usize,
}

impl Sizes {
    const USUAL: Sizes = Sizes { chunk: CHUNK, span: SPAN };
}

impl Capture {
    /// Opens a file and reads its header. FIFOs and devices are read as streams.
    ///
    /// # Errors
    ///
    /// The file is missing, is a folder, or cannot be opened or read. A file that is no capture is no error: its
    /// [`report`](Self::report) says so.
    pub fn open(path: &Path, io: Io) -> Result<Capture> {
        Capture::open_sized(path, io, Sizes::USUAL)
    }

    pub(super) fn open_sized(path: &Path, io: Io, sizes: Sizes) -> Result<Capture> {
        let refused = |error| Error::io("open", path, error);
        let mut file = File::open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if metadata.is_dir() {
            return Err(refused(ErrorKind::IsADirectory.into()));
        }
        if !metadata.is_file() {
            return Capture::from_reader_sized(path, Box::new(file), sizes);
        }
        let failed = |error| Error::io("read", path, error);
        let head = head(&mut file).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let length = metadata.len();
        let compression = head.first_chunk().map_or(Compression::None, |magic| compressed::recognise(*magic));
        let map = if compression == Compression::None && length > 0 && wants_map(io, &metadata) {
            // A file system that cannot map is read instead.
            file.try_clone().and_then(Map::new).ok()
        } else {
            None
        };
        let window = match map {
            Some(map) => Window::over_map(map, sizes.span),
            None => {
                Window::over_source(source(compression, Box::new(file), Some(length)).map_err(failed)?, sizes.chunk)
            }
        };
        Capture::start(path, window, compression, Some(length))
    }

    /// Reads a stream, standard input say; `name` stands for it in errors. Waits for the stream's first bytes.
    ///
    /// # Errors
    ///
    /// The stream cannot be read.
    pub fn from_reader(name: &Path, reader: Box<dyn Read + Send>) -> Result<Capture> {
        Capture::from_reader_sized(name, reader, Sizes::USUAL)
    }

    pub(super) fn from_reader_sized(name: &Path, mut reader: Box<dyn Read + Send>, sizes: Sizes) -> Result<Capture> {
        let failed = |error| Error::io("read", name, error);
        let head = head(&mut reader).map_err(failed)?;
        let compression = head.first_chunk().map_or(Compression::None, |magic| compressed::recognise(*magic));
        let whole = Box::new(Cursor::new(head).chain(reader));
        let source = source(compression, whole, None).map_err(failed)?;
        Capture::start(name, Window::over_source(source, sizes.chunk), compression, None)
    }

    /// Reads the file header.
    fn start(path: &Path, mut window: Window, compression: Compression, length: Option<u64>) -> Result<Capture> {
        let failed = |error| Error::io("read", path, error);
        let mut report = Report { compression, ..Report::default() };
        window.extend(pcap::HEADER).map_err(failed)?;
        let head = window.slice();
        let mut used = 0;
        let walker = match head.first_chunk() {
            None if head.is_empty() && window.ending() == Ending::Whole => {
                Err((Status::Empty, "the file is empty".to_owned()))
            }
            None if window.ending() == Ending::Whole => {
                Err((Status::Unsupported, "the file is too short to be a capture".to_owned()))
            }
            None => Err(ended_inside(window.ending(), "")),
            Some(magic) if Pcapng::recognises(*magic) => {
                report.format = Format::Pcapng;
                Ok(Walker::Pcapng(Pcapng::default()))
            }
            Some(magic) if Pcap::recognises(*magic) => {
                report.format = Format::Pcap;
                match head.first_chunk::<{ pcap::HEADER }>() {
                    Some(header) => match Pcap::new(header) {
                        Ok(pcap) => {
                            used = pcap::HEADER;
                            Ok(Walker::Pcap(pcap))
                        }
                        Err(Stop::Damage(status, message)) => Err((status, message)),
                        Err(Stop::Full | Stop::More(_)) => Err((Status::Corrupt, "the pcap header is cut".to_owned())),
                    },
                    None => Err(ended_inside(window.ending(), "the file ends inside its header")),
                }
            }
            Some(magic) => Err(unknown(*magic)),
        };
        let mut capture = Capture {
            path: path.to_owned(),
            window,
            walker: Walker::Pcapng(Pcapng::default()),
            report,
            length,
            first: None,
            ended: false,
        };
        match walker {
            Ok(walker) => {
                if let Walker::Pcap(pcap) = &walker {
                    capture.report.link_types.push(pcap.link());
                }
                capture.walker = walker;
                let ahead = capture.window.look_ahead();
                capture.window.advance(used, &ahead);
            }
            Err((status, message)) => capture.end(status, Some(message)),
        }
        Ok(capture)
    }

    /// Fills `batch`, cleared first, with the next records: at least one and at most `limit` (at least 1), as many as
    /// are at hand. Returns `false` when there are no more; the report is final then.
    ///
    /// # Errors
    ///
    /// The file could be opened but not read on. What was delivered before is good; the capture has ended.
    pub fn fill(&mut self, batch: &mut Records, limit: usize) -> Result<bool> {
        batch.clear();
        if let Some(first) = self.first.take() {
            batch.list.extend_from_slice(&first.list);
            batch.bytes = first.bytes;
        } else {
            self.walk(batch, limit.max(1))?;
        }
        self.report.count(&batch.list);
        Ok(!batch.list.is_empty())
    }

    /// Time of the first record, which stays to be delivered; `None` if the file has no record.
    ///
    /// A record without a time reads 0 here as elsewhere. Asking costs a batch of its own for the first record.
    ///
    /// # Errors
    ///
    /// As for [`fill`](Self::fill). Only the time of a record that is still to be delivered is known: after the first
    /// `fill` this answers from the report.
    pub fn first_time(&mut self) -> Result<Option<Timestamp>> {
        if self.first.is_none() {
            if self.report.packets > 0 {
                return Ok(self.report.first_time);
            }
            let mut first = Records::default();
            self.walk(&mut first, 1)?;
            if first.list.is_empty() {
                return Ok(None);
            }
            self.first = Some(first);
        }
        Ok(self.first.as_ref().and_then(|first| first.list.first()).map(|record| record.time))
    }

    /// What is known of the capture so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Bytes of the file, compressed ones if it is compressed; `None` for streams.
    #[must_use]
    pub fn bytes_total(&self) -> Option<u64> {
        self.length
    }

    /// The path or name it was opened under.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn walk(&mut self, batch: &mut Records, limit: usize) -> Result<()> {
        while !self.ended {
            let window = self.window.slice();
            let mut ahead = self.window.look_ahead();
            let (used, stop) = match &mut self.walker {
                Walker::Pcap(pcap) => pcap.walk(window, &mut ahead, &mut batch.list, limit),
                Walker::Pcapng(pcapng) => pcapng.walk(window, &mut ahead, &mut batch.list, limit),
            };
            if self.window.shrank() {
                // What was walked may be zeros in place of what is gone: once more, over what is there.
                batch.list.clear();
                continue;
            }
            if !batch.list.is_empty() {
                batch.bytes = self.window.share(used);
            }
            self.window.advance(used, &ahead);
            self.report.bytes_read = self.window.bytes_read();
            match stop {
                // The damage is still there when the next batch is asked for.
                Stop::Damage(status, message) => self.end(status, Some(message)),
                Stop::Full => {}
                Stop::More(needed) if batch.list.is_empty() => match self.window.extend(needed) {
                    Ok(true) => {}
                    Ok(false) => self.run_out(),
                    Err(error) => {
                        self.end(Status::Truncated, Some(format!("the file cannot be read on: {error}")));
                        return Err(Error::io("read", &self.path, error));
                    }
                },
                Stop::More(_) => {}
            }
            if !batch.list.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The input has ended with the window's bytes.
    fn run_out(&mut self) {
        let clean = self.window.slice().is_empty();
        match self.window.ending() {
            Ending::Whole if clean => self.end(Status::Complete, None),
            ending => {
                let (status, message) = ended_inside(
                    ending,
                    match self.report.format {
                        Format::Pcapng => "the file ends inside a block",
                        Format::Pcap | Format::Unknown => "the file ends inside a record",
                    },
                );
                self.end(status, Some(message));
            }
        }
    }

    /// Fixes the report and lets go of the file.
    fn end(&mut self, status: Status, message: Option<String>) {
        self.ended = true;
        self.report.status = status;
        self.report.message = message;
        self.report.offset = (!matches!(status, Status::Complete | Status::Empty)).then(|| self.window.position());
        self.report.bytes_read = self.window.bytes_read();
        if let Walker::Pcapng(pcapng) = &self.walker {
            if self.report.format == Format::Pcapng {
                self.report.link_types = pcapng.links().to_vec();
            }
            self.report.dropped = pcapng.dropped();
        }
        self.window = Window::over_source(Source::Plain(Box::new(io::empty()), None), 1);
    }
}

/// The status of an input that ended inside something.
fn ended_inside(ending: Ending, message: &str) -> (Status, String) {
    match ending {
        Ending::Whole => (Status::Truncated, message.to_owned()),
        Ending::Cut(why) => (Status::Truncated, why.to_owned()),
        Ending::Broken(why) => (Status::Corrupt, why.to_owned()),
        Ending::Refused(why) => (Status::Unsupported, why.to_owned()),
    }
}

/// The status of a file that starts with bytes of no known format.
fn unknown(magic: [u8; 4]) -> (Status, String) {
    let message = if compressed::recognise(magic) == Compression::None {
        "the file is neither pcap nor pcapng"
    } else {
        "the file is compressed twice, which is not read"
    };
    (Status::Unsupported, message.to_owned())
}

/// The first four bytes, or fewer if there are no more.
fn head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(4);
    reader.take(4).read_to_end(&mut head)?;
    Ok(head)
}

fn source(compression: Compression, reader: Box<dyn Read + Send>, length: Option<u64>) -> io::Result<Source> {
    Ok(match compression {
        Compression::None => Source::Plain(reader, length),
        Compression::Gzip | Compression::Zstd => Source::Packed(Box::new(Decompressor::new(compression, reader)?)),
    })
}

fn wants_map(io: Io, metadata: &Metadata) -> bool {
    match io {
        Io::Mmap => true,
        Io::Read => false,
        Io::Auto => is_settled(metadata),
    }
}

/// Whether the file was last written to at least [`SETTLED`] ago. A time in the future is no such time.
pub(super) fn is_settled(metadata: &fs::Metadata) -> bool {
    metadata.modified().is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age >= SETTLED))
}
