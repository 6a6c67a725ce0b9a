//! What one capture turned out to be: format, counts, times, and where and why reading ended.

use serde::{Deserialize, Serialize};

use super::record::{LinkType, Record, Stamp};
use crate::time::Timestamp;

/// What the bytes of a file are wrapped in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// gzip (RFC 1952), one or more members.
    Gzip,
    /// Zstandard (RFC 8878), one or more frames.
    Zstd,
}

impl Compression {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// The file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Not recognised.
    #[default]
    Unknown,
    /// Classic pcap in any of its byte orders, resolutions and record layouts.
    Pcap,
    /// pcapng.
    Pcapng,
}

impl Format {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Unknown => "unknown",
            Format::Pcap => "pcap",
            Format::Pcapng => "pcapng",
        }
    }
}

/// How reading a file ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It ended on the border of a record or block.
    #[default]
    Complete,
    /// It ended inside a record, a block or a header, or its compressed stream did.
    Truncated,
    /// It holds something that cannot be; what came before is kept.
    Corrupt,
    /// It is no capture, or one of a version, or compressed in a way, that is not read.
    Unsupported,
    /// It has no bytes.
    Empty,
}

impl Status {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::Complete => "complete",
            Status::Truncated => "truncated",
            Status::Corrupt => "corrupt",
            Status::Unsupported => "unsupported",
            Status::Empty => "empty",
        }
    }
}

/// What is known of one capture; final once [`Capture::fill`](super::Capture::fill) has returned `false`.
///
/// Everything but `bytes_read` is a function of the file's decompressed bytes, and the same for every way of reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The file format.
    pub format: Format,
    /// What it was wrapped in.
    pub compression: Compression,
    /// Link types that the header or the interfaces declare, with or without packets; sorted, each once.
    pub link_types: Vec<LinkType>,
    /// Records delivered.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
    /// Their bytes in the capture.
    pub captured_bytes: u64,
    /// Records that carry no time, or one that does not fit 64-bit nanoseconds.
    pub without_time: u64,
    /// Time of the first record that has one, in file order.
    pub first_time: Option<Timestamp>,
    /// Time of the last record that has one, in file order.
    pub last_time: Option<Timestamp>,
    /// The earliest time.
    pub min_time: Option<Timestamp>,
    /// The latest time.
    pub max_time: Option<Timestamp>,
    /// How reading ended.
    pub status: Status,
    /// First byte of the incomplete or damaged record, block or header, counted in the decompressed stream; `None`
    /// when the file is complete or empty.
    pub offset: Option<u64>,
    /// One sentence for a user; `None` when the file is complete.
    pub message: Option<String>,
    /// Packets that the capturing side says it dropped: interface statistics (a later block of an interface replaces
    /// an earlier one) and the counts in obsolete packet blocks.
    pub dropped: u64,
    /// Bytes taken from the file so far, compressed ones if it is compressed: progress against
    /// [`Capture::bytes_total`](super::Capture::bytes_total). How it grows depends on the way of reading.
    pub bytes_read: u64,
}

impl Report {
    /// Adds delivered records.
    pub(super) fn count(&mut self, records: &[Record]) {
        let (mut wire, mut captured, mut untimed) = (0u64, 0u64, 0u64);
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        for record in records {
            wire += u64::from(record.wire);
            captured += u64::from(record.captured);
            let known = record.stamp == Stamp::Known;
            untimed += u64::from(!known);
            min = min.min(if known { record.time.ns() } else { i64::MAX });
            max = max.max(if known { record.time.ns() } else { i64::MIN });
        }
        self.packets += records.len() as u64;
        self.wire_bytes += wire;
        self.captured_bytes += captured;
        self.without_time += untimed;
        if untimed == records.len() as u64 {
            return;
        }
        let timed = |record: &&Record| record.stamp == Stamp::Known;
        if self.first_time.is_none() {
            self.first_time = records.iter().find(timed).map(|record| record.time);
        }
        self.last_time = records.iter().rev().find(timed).map(|record| record.time);
        self.min_time = Some(self.min_time.map_or(Timestamp(min), |time| time.min(Timestamp(min))));
        self.max_time = Some(self.max_time.map_or(Timestamp(max), |time| time.max(Timestamp(max))));
    }
}
