//! Reading captures: files, compressed files and streams in, batches of records out.
//!
//! [`Capture`] walks classic pcap and pcapng, plain or inside gzip or zstd, recognised by content alone. A batch
//! ([`Records`]) owns its bytes: a range of the memory map or a chunk it holds on to, so it may travel to another
//! thread and outlive the reader.
//!
//! Promises:
//!
//! - Exactly the whole records in front of the first damage are delivered, whatever the back-end, the chunk size or
//!   the compression; [`Report`] names the damage and its byte offset.
//! - No bytes of an input can make it panic, or hold more memory than a few chunks, one block of at most 16 MiB and
//!   the decompressor's window of at most 128 MiB.
//! - Lies in a record header (a captured length above the wire length, times that run backwards) are data, not errors.
//!
//! It does not decode frames, does not merge files and does not sort records.
//!
//! [`expand`] turns what a user named into captures to read, [`segments()`] finds them in a sensor's hourly folders,
//! and [`PcapWriter`] and [`PcapngWriter`] make captures for tests and demonstrations.

mod bytes;
mod civil;
mod clock;
mod compressed;
mod contents;
#[cfg(any(feature = "watch", feature = "tables"))]
pub(crate) mod identity;
mod inputs;
mod map;
mod pcap;
mod pcapng;
mod pieces;
mod reader;
mod record;
mod report;
mod segments;
mod skipped;
mod stdin;
mod walk;
mod window;
mod write;

#[cfg(test)]
mod tests;

pub use bytes::Bytes;
pub use civil::{civil_from_days, days_from_civil, hour_folder};
pub use contents::{Beginning, Contents, beginning};
#[cfg(any(feature = "watch", feature = "tables"))]
pub use identity::Identity;
pub use inputs::{Expanded, Input, expand};
pub use map::install_shrink_guard;
pub use pieces::{LONGEST_PIECE, Pieces};
pub use reader::{Capture, Io};
pub use record::{LinkType, Record, Records, Stamp};
pub use report::{Compression, Format, Report, Status};
pub use segments::{Segment, Segments, hours, segments};
pub use skipped::{Cause, Skipped};
pub use stdin::{Stdin, end_stdin};
pub use write::{PcapLayout, PcapWriter, PcapngWriter};
#[cfg(feature = "watch")]
pub(crate) use {
    inputs::is_capture,
    pcap::{HEADER, Pcap},
    skipped::{by_name, is_output},
    walk::{LookAhead, Stop},
};
