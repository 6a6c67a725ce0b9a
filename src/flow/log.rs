//! The last packets of a flow, as bytes.
//!
//! A packet takes eight or nine bytes here: less than any set of running sums for the flows that are most of all flows,
//! those of a few packets. Nothing is lost, any lengths and times come back as they went in.
//!
//! ```text
//! flags     bit 0     down
//!           bit 1     it has a window (it is TCP)
//!           bit 2     the headers are plain: link, then
//!           bit 3     IP header of 40 bytes, not 20
//!           bits 4-7  L4 header, in words of four bytes
//! gap       varint    zigzag, ns since the flow's packet before
//! link      varint    plain: frame less IP bytes; else frame, IP and L4 bytes, each a varint
//! payload   varint    bytes
//! window    2 bytes   if it has one
//! ```

use super::varint::{self, append, put, take, unzigzag, zigzag};
use super::{Sample, Side};
use crate::prefetch::prefetch;

/// Bytes of the longest record: flags, a 64-bit and four 32-bit varints, the window.
const LONGEST: usize = 1 + varint::LONGEST + 4 * 5 + 2;

/// Bytes of the least step.
const STEP: usize = 16;

const DOWN: u8 = 1;
const WINDOW: u8 = 1 << 1;
const PLAIN: u8 = 1 << 2;
const LONG_IP: u8 = 1 << 3;
const WORDS: u32 = 4;

/// Packets of a flow in the order in which they were added, each with the time since the one before, in ns.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Vec<u8>);

impl Log {
    /// Whether any packet still fits into `room` bytes.
    #[inline]
    pub(super) fn fits(&self, room: usize) -> bool {
        self.0.len() + LONGEST <= room
    }

    /// Appends a packet.
    #[inline]
    pub(super) fn push(&mut self, gap: i64, sample: &Sample) {
        let mut record = [0; LONGEST];
        let mut end = 1;
        let mut flags = if sample.side == Side::Down { DOWN } else { 0 };
        end = put(&mut record, end, zigzag(gap));
        match plain(sample) {
            Some((bits, link)) => {
                flags |= PLAIN | bits;
                end = put(&mut record, end, link.into());
            }
            None => {
                for length in [sample.frame, sample.ip, sample.l4] {
                    end = put(&mut record, end, length.into());
                }
            }
        }
        end = put(&mut record, end, sample.payload.into());
        if let Some(window) = sample.window {
            flags |= WINDOW;
            record[end..end + 2].copy_from_slice(&window.to_le_bytes());
            end += 2;
        }
        record[0] = flags;
        if self.0.capacity() - self.0.len() < end {
            // By half, not by doubling: logs are many and the last step is what is left empty. The least step is what allocators
            // round up to.
            self.0.reserve_exact(end.max(self.0.len() / 2).max(STEP));
        }
        append(&mut self.0, &record, end);
    }

    /// Asks for the memory behind the last packet.
    #[inline]
    pub(super) fn ask(&self) {
        prefetch(self.0.as_ptr().addr().wrapping_add(self.0.len()));
    }

    /// The packets, each with its gap.
    #[inline]
    pub(super) fn iter(&self) -> Packets<'_> {
        Packets(&self.0)
    }

    /// Forgets the packets, keeps the room.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.0.capacity()
    }
}

/// Flag bits and link bytes of a packet whose headers are plain.
#[inline]
fn plain(sample: &Sample) -> Option<(u8, u32)> {
    let link = sample.frame.checked_sub(sample.ip)?;
    let long = match sample.ip.checked_sub(sample.l4)? {
        20 => 0,
        40 => LONG_IP,
        _ => return None,
    };
    let header = sample.l4.checked_sub(sample.payload)?;
    (header % 4 == 0 && header < 64).then_some((long | (header as u8 / 4) << WORDS, link))
}

/// Reads a log.
pub(super) struct Packets<'l>(&'l [u8]);

impl Iterator for Packets<'_> {
    type Item = (i64, Sample);

    #[inline]
    fn next(&mut self) -> Option<(i64, Sample)> {
        let (&flags, rest) = self.0.split_first()?;
        self.0 = rest;
        let gap = unzigzag(take(&mut self.0));
        let first = take(&mut self.0) as u32;
        let (frame, ip, l4, payload);
        if flags & PLAIN != 0 {
            payload = take(&mut self.0) as u32;
            l4 = payload + u32::from(flags >> WORDS) * 4;
            ip = l4 + if flags & LONG_IP != 0 { 40 } else { 20 };
            frame = ip + first;
        } else {
            frame = first;
            ip = take(&mut self.0) as u32;
            l4 = take(&mut self.0) as u32;
            payload = take(&mut self.0) as u32;
        }
        let mut window = None;
        if flags & WINDOW != 0
            && let Some((bytes, rest)) = self.0.split_first_chunk()
        {
            window = Some(u16::from_le_bytes(*bytes));
            self.0 = rest;
        }
        let side = if flags & DOWN != 0 { Side::Down } else { Side::Up };
        Some((gap, Sample { side, frame, ip, l4, payload, window }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{any_sample, plain_sample};
    use super::*;

    proptest! {
        #[test]
        fn packets_come_back_as_they_went_in(
            packets in prop::collection::vec((any::<i64>(), 0..64, prop_oneof![any_sample(), plain_sample()]), 0..40)
        ) {
            let mut log = Log::default();
            let packets: Vec<_> = packets.into_iter().map(|(gap, shift, sample)| (gap >> shift, sample)).collect();
            for &(gap, sample) in &packets {
                prop_assert!(log.fits(log.0.len() + LONGEST));
                log.push(gap, &sample);
            }
            prop_assert_eq!(log.iter().collect::<Vec<_>>(), packets);
        }
    }

    #[test]
    fn a_data_segment_takes_nine_bytes() {
        let mut log = Log::default();
        log.push(
            1_000_000,
            &Sample { side: Side::Down, frame: 1514, ip: 1500, l4: 1480, payload: 1448, window: Some(501) },
        );
        assert_eq!(log.0.len(), 1 + 3 + 1 + 2 + 2);
    }
}
