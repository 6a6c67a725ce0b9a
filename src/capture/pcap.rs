//! Classic pcap: the global header, and the walk over its records.
//!
//! ```text
//! record   0       4          8          12      16            16 (24) + captured
//!          | sec   | fraction | captured | wire  | (8 more) ... | frame ...
//! ```
//!
//! The fraction counts micro- or nanoseconds, by the magic number; one that is a second or more simply adds. The
//! "modified" format (magic `a1b2cd34`) has eight more bytes in each record header, which are skipped.
//! Versions 2.0 to 2.3 had the two lengths the other way round; this follows libpcap's `sf-pcap.c`.

use super::record::{LinkType, Record, Stamp};
use super::report::Status;
use super::walk::{LookAhead, Stop, captured_limit, u32_of};
use crate::time::Timestamp;

/// Bytes of the global header.
pub(crate) const HEADER: usize = 24;

/// Bytes of a record header that every layout has.
const RECORD: usize = 16;

/// What the global header says of the records.
#[derive(Debug)]
pub(crate) struct Pcap {
    big: bool,
    /// Nanoseconds in one unit of the fraction.
    unit: i64,
    /// Bytes between the record header's common part and the frame.
    extra: usize,
    order: Lengths,
    link: LinkType,
    limit: u32,
}

/// Which of a record's two lengths comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured, wire: version 2.4 and later.
    CapturedFirst,
    /// Wire, captured: versions below 2.3.
    WireFirst,
    /// Version 2.3 was written both ways; the smaller one is the captured one.
    SmallerIsCaptured,
}

impl Pcap {
    /// Whether a file that starts so is a classic pcap.
    pub(crate) fn recognises(magic: [u8; 4]) -> bool {
        matches!(u32::from_be_bytes(magic), 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34)
            || matches!(u32::from_le_bytes(magic), 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34)
    }

    /// Reads the global header.
    pub(crate) fn new(header: &[u8; HEADER]) -> Result<Pcap, Stop> {
        let mut header = *header;
        let modified = match header {
            [0xa1, 0xb2, 0xcd, 0x34, ..] => {
                // pcap-parser knows the modified format in one byte order only.
                header[2..4].copy_from_slice(&[0xc3, 0xd4]);
                true
            }
            [0x34, 0xcd, 0xb2, 0xa1, ..] => true,
            _ => false,
        };
        let Ok((_, read)) = pcap_parser::pcap::parse_pcap_header(&header) else {
            return Err(Stop::corrupt("the pcap header cannot be read"));
        };
        if read.version_major != 2 {
            return Err(Stop::Damage(
                Status::Unsupported,
                format!("pcap version {}.{} is not supported, only version 2", read.version_major, read.version_minor),
            ));
        }
        let order = match read.version_minor {
            0..=2 => Lengths::WireFirst,
            3 => Lengths::SmallerIsCaptured,
            _ => Lengths::CapturedFirst,
        };
        Ok(Pcap {
            big: read.is_bigendian(),
            unit: if read.is_nanosecond_precision() { 1 } else { 1000 },
            extra: if modified { 8 } else { 0 },
            order,
            // The upper half holds the length of the frame check sequence and other flags.
            link: LinkType((read.network.0 as u32 & 0xffff) as u16),
            limit: captured_limit(read.snaplen),
        })
    }

    /// The link type of all records.
    pub(crate) fn link(&self) -> LinkType {
        self.link
    }

    /// Appends whole records of `window` until `list` holds `limit`; says how many bytes they took, and why it stopped.
    pub(crate) fn walk(
        &self,
        window: &[u8],
        ahead: &mut LookAhead,
        list: &mut Vec<Record>,
        limit: usize,
    ) -> (usize, Stop) {
        match (self.big, self.order == Lengths::CapturedFirst) {
            (false, true) => self.records::<false, false>(window, ahead, list, limit),
            (true, true) => self.records::<true, false>(window, ahead, list, limit),
            (false, false) => self.records::<false, true>(window, ahead, list, limit),
            (true, false) => self.records::<true, true>(window, ahead, list, limit),
        }
    }

    #[inline(never)]
    fn records<const BIG: bool, const OLD: bool>(
        &self,
        window: &[u8],
        ahead: &mut LookAhead,
        list: &mut Vec<Record>,
        limit: usize,
    ) -> (usize, Stop) {
        let (unit, extra, link, longest) = (self.unit, self.extra, self.link, self.limit);
        let mut at = 0;
        let stop = loop {
            if list.len() >= limit {
                break Stop::Full;
            }
            let Some((head, body)) = window.get(at..).and_then(<[u8]>::split_first_chunk::<RECORD>) else {
                break Stop::More(RECORD);
            };
            let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, w0, w1, w2, w3] = *head;
            let mut captured = u32_of::<BIG>([c0, c1, c2, c3]);
            let mut wire = u32_of::<BIG>([w0, w1, w2, w3]);
            if OLD && (self.order == Lengths::WireFirst || captured > wire) {
                std::mem::swap(&mut captured, &mut wire);
            }
            if captured > longest {
                break too_long(captured, longest);
            }
            let length = extra + captured as usize;
            if length > body.len() {
                break Stop::More(RECORD + length);
            }
            ahead.at(window, at);
            let seconds = i64::from(u32_of::<BIG>([s0, s1, s2, s3]));
            let fraction = i64::from(u32_of::<BIG>([f0, f1, f2, f3]));
            list.push(Record {
                time: Timestamp(seconds * 1_000_000_000 + fraction * unit),
                offset: (at + RECORD + extra) as u32,
                captured,
                wire,
                link,
                stamp: Stamp::Known,
            });
            at += RECORD + length;
        };
        (at, stop)
    }
}

#[cold]
fn too_long(captured: u32, longest: u32) -> Stop {
    Stop::corrupt(format!("a record claims {captured} captured bytes, more than {longest}"))
}
