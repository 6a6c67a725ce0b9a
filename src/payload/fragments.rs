//! Datagrams out of their IP fragments, for those who read payload.
//!
//! Datagrams that are not complete wait in packet time, up to [`PATIENCE`] and [`OPEN`] of a pair of hosts in a [`PERIOD`], whatever else is
//! in the capture. A fragment after [`PATIENCE`] begins another datagram of the same identification. Bytes that came first
//! stay where fragments overlap.
//!
//! So which datagram a fragment is of depends on where the one before it began, that on the one before that, and so on, for as long as somebody
//! uses an identification again. Whoever begins to read in the middle of a capture would have to begin at its first packet. This ends at each
//! multiple of [`PERIOD`]: no datagram goes on there. One in millions has fragments on both sides, and stays incomplete.
//!
//! Pairs are as many as somebody cares to forge, so there is one more bound: where a [stretch](Fragments::end_stretch) of the
//! capture ends, what began more than [`WAITING`] fragments ago is let go of. These are the fragments of the capture, not
//! those that are here; so it falls on the same datagrams however pairs are dealt out to workers, and all workers together
//! hold at most [`WAITING`] fragments and those of the running stretch.

use std::collections::HashMap;
use std::hash::RandomState;

use crate::Timestamp;
use crate::decode::Packet;
use crate::decode::fragment::{Datagram, datagram};
use crate::decode::packet::Fragment;
use crate::time::NS_PER_SECOND;

/// Nanoseconds of capture time within which the fragments of a datagram come together: as long as a group waits for a
/// first fragment.
pub const PATIENCE: i64 = 64 * NS_PER_SECOND;
/// Nanoseconds from one time that no datagram crosses to the next, from 1970 on. An hour has a whole number of these.
pub const PERIOD: i64 = 600 * NS_PER_SECOND;
/// Datagrams of a pair of hosts that may be incomplete at once in a period; the oldest goes first.
pub const OPEN: usize = 16;
/// Fragments of the whole capture for which a datagram may wait, from the beginning of the stretch in which it began.
pub const WAITING: u64 = 131_072;
/// Fragments of one datagram: as many as 64 KiB have at the least sensible size.
pub const FRAGMENTS: usize = 256;

/// A reassembled datagram's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassembled<T = ()> {
    /// IP protocol number of what `bytes` begin with.
    pub protocol: u8,
    /// Everything behind the IP headers: transport header and payload.
    pub bytes: Vec<u8>,
    /// What came with the first fragment.
    pub with: T,
}

/// Fragments that wait for others. Each comes with something of the caller's, of which a datagram gives back what came with
/// its first fragment.
#[derive(Debug)]
pub struct Fragments<T = ()> {
    pairs: HashMap<(u128, u128, bool), Vec<Partial<T>>, RandomState>,
    /// Fragments of the capture in the stretches behind us.
    behind: u64,
    let_go: u64,
}

impl<T> Default for Fragments<T> {
    fn default() -> Fragments<T> {
        Fragments { pairs: HashMap::default(), behind: 0, let_go: 0 }
    }
}

#[derive(Debug)]
struct Partial<T> {
    datagram: Datagram,
    first: Timestamp,
    /// Fragments of the capture in the stretches before it began.
    after: u64,
    /// Protocol, as the first fragment says, and what came with it.
    begins: Option<(u8, T)>,
    /// Bytes of the whole, once the last fragment is there.
    length: Option<usize>,
    /// Where pieces lie, in order and without overlaps.
    pieces: Vec<(usize, Vec<u8>)>,
}

/// A fragment's place in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part<'f> {
    protocol: u8,
    offset: usize,
    more: bool,
    bytes: &'f [u8],
}

impl<T> Fragments<T> {
    /// Takes a fragment, given the captured bytes of its frame. Gives the datagram that it completes.
    pub fn push(&mut self, packet: &Packet, frame: &[u8], with: T) -> Option<Reassembled<T>> {
        let part = part(packet, frame)?;
        let id = datagram(packet, frame)?;
        let waiting = self.pairs.entry((packet.src, packet.dst, packet.v6)).or_default();
        let now = period(packet.time);
        // Those of other times can no longer be joined by anything, but for disorder at their ends. A pair holds no more than three periods' so.
        waiting.retain(|partial| period(partial.first).abs_diff(now) <= 1);
        let of_period = |partial: &Partial<T>| period(partial.first) == now;
        let is_it = |partial: &Partial<T>| partial.datagram == id && of_period(partial);
        let fresh = |partial: &Partial<T>| packet.time.ns().abs_diff(partial.first.ns()) <= PATIENCE as u64;
        waiting.retain(|partial| !is_it(partial) || fresh(partial));
        let at = waiting.iter().position(is_it).unwrap_or_else(|| {
            if waiting.iter().filter(|partial| of_period(partial)).count() == OPEN {
                let oldest = waiting.iter().position(of_period).unwrap_or_default();
                waiting.remove(oldest);
                self.let_go += 1;
            }
            let (first, after, pieces) = (packet.time, self.behind, Vec::new());
            waiting.push(Partial { datagram: id, first, after, begins: None, length: None, pieces });
            waiting.len() - 1
        });
        if !waiting[at].add(part, with) {
            return None;
        }
        let whole = waiting.remove(at);
        if waiting.is_empty() {
            self.pairs.remove(&(packet.src, packet.dst, packet.v6));
        }
        whole.join()
    }

    /// Lets go of what waits since before a time. The caller knows that no packet before it will come.
    pub fn forget_before(&mut self, time: Timestamp) {
        let stale = Timestamp(time.ns().saturating_sub(PATIENCE));
        self.retain(|partial| partial.first >= stale);
    }

    /// Ends a stretch of the capture in which this many fragments came, those of other workers included. Whoever never calls it
    /// holds fragments of any number of pairs.
    pub fn end_stretch(&mut self, fragments: u32) {
        self.behind += u64::from(fragments);
        let (behind, waited) = (self.behind, self.waiting());
        self.retain(|partial| behind - partial.after <= WAITING);
        self.let_go += (waited - self.waiting()) as u64;
    }

    fn retain(&mut self, keep: impl Fn(&Partial<T>) -> bool) {
        self.pairs.retain(|_, waiting| {
            waiting.retain(&keep);
            !waiting.is_empty()
        });
    }

    /// Takes the number of datagrams that were let go of for want of room, by [`OPEN`] or [`WAITING`].
    pub fn take_let_go(&mut self) -> u64 {
        std::mem::take(&mut self.let_go)
    }

    /// Datagrams that are not complete.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pairs.values().map(Vec::len).sum()
    }
}

fn period(time: Timestamp) -> i64 {
    time.ns().div_euclid(PERIOD)
}

impl<T> Partial<T> {
    /// Adds a fragment; says whether the datagram is complete.
    fn add(&mut self, part: Part<'_>, with: T) -> bool {
        let end = part.offset + part.bytes.len();
        if !part.more {
            self.length.get_or_insert(end);
        }
        if part.offset == 0 {
            self.begins.get_or_insert((part.protocol, with));
        }
        let (mut at, mut index) = (part.offset, 0);
        while at < end && self.pieces.len() < FRAGMENTS {
            let (gap_end, resume) = match self.pieces.get(index) {
                Some((start, bytes)) => ((*start).min(end), start + bytes.len()),
                None => (end, end),
            };
            if at < gap_end {
                self.pieces.insert(index, (at, part.bytes[at - part.offset..gap_end - part.offset].to_vec()));
                index += 1;
            }
            at = at.max(resume);
            index += 1;
        }
        let mut reached = 0;
        for (start, bytes) in &self.pieces {
            if *start != reached {
                return false;
            }
            reached += bytes.len();
        }
        self.begins.is_some() && self.length.is_some_and(|length| reached >= length)
    }

    fn join(self) -> Option<Reassembled<T>> {
        let mut bytes = Vec::with_capacity(self.length?);
        self.pieces.iter().for_each(|(_, piece)| bytes.extend_from_slice(piece));
        bytes.truncate(self.length?);
        let (mut protocol, with) = self.begins?;
        // Behind an IPv6 fragment header, further extension headers may come before the transport's.
        while matches!(protocol, 0 | 43 | 60) {
            let &[next, length, ..] = bytes.first_chunk::<8>()?;
            protocol = next;
            bytes.drain(..((usize::from(length) + 1) * 8).min(bytes.len()));
        }
        Some(Reassembled { protocol, bytes, with })
    }
}

/// Where a fragment belongs; nothing where its header says no such place, or it is cut.
fn part<'f>(packet: &Packet, frame: &'f [u8]) -> Option<Part<'f>> {
    if packet.fragment == Fragment::Whole {
        return None;
    }
    let ip = frame.get(usize::from(packet.ip_offset)..)?;
    let ip = ip.get(..packet.ip_length as usize)?;
    // Where the frame had no room for all of it, it would end the datagram too early.
    let claimed = if packet.v6 { 40 + u16_at(ip, 4)? } else { u16_at(ip, 2)? };
    if claimed > ip.len() {
        return None;
    }
    let (protocol, field, unit, data) = if packet.v6 {
        let header = v6_fragment_header(ip)?;
        let bytes = ip.get(header..)?.first_chunk::<8>()?;
        (bytes[0], u16_at(bytes, 2)?, 0xfff8, ip.get(header + 8..)?)
    } else {
        (*ip.get(9)?, u16_at(ip, 6)?, 0x1fff, ip.get(usize::from(*ip.first()? & 15) * 4..)?)
    };
    let (offset, more) =
        if packet.v6 { (field & unit, field & 1 != 0) } else { ((field & unit) * 8, field & 0x2000 != 0) };
    // No datagram is longer than its length field can say.
    let whole = offset + data.len() <= usize::from(u16::MAX);
    (whole && (data.len().is_multiple_of(8) || !more)).then_some(Part { protocol, offset, more, bytes: data })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes).into())
}

/// Where the fragment header of an IPv6 packet is (RFC 8200, section 4.5).
fn v6_fragment_header(ip: &[u8]) -> Option<usize> {
    let (mut next, mut at) = (*ip.get(6)?, 40);
    // Every header has 8 bytes or more, so the walk ends with the packet.
    loop {
        match next {
            44 => return Some(at),
            0 | 43 | 60 | 135 | 139 | 140 => {
                next = *ip.get(at)?;
                at += (usize::from(*ip.get(at + 1)?) + 1) * 8;
            }
            51 => {
                next = *ip.get(at)?;
                at += (usize::from(*ip.get(at + 1)?) + 2) * 4;
            }
            _ => return None,
        }
    }
}
