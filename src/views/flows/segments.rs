//! What the TCP segments of a flow say: flags, windows, the handshake, and what the sequence analysis makes of each.

use super::arrival::Arrival;
use crate::decode::packet::tcp_flag;
use crate::flow::sequence::{Class, Connection, Verdict};

/// Windows of one direction, as they stand in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// That of the first segment.
    pub initial: u16,
    /// The smallest.
    pub min: u16,
    /// The greatest.
    pub max: u16,
    /// Their sum.
    pub sum: u64,
    /// How many there were; the others mean nothing while it is 0.
    pub count: u64,
}

impl Windows {
    fn add(&mut self, window: u16) {
        if self.count == 0 {
            *self = Windows { initial: window, min: window, max: window, ..Windows::default() };
        }
        self.min = self.min.min(window);
        self.max = self.max.max(window);
        self.sum += u64::from(window);
        self.count += 1;
    }

    /// Their mean; 0 without any.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// Segments of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Segments with each flag, FIN first: the bits of the header's 14th byte from the lowest on.
    pub flags: [u32; 8],
    /// Segments by what their sequence numbers make them, in the order of [`Class::ALL`].
    pub classes: [u32; Class::ALL.len()],
    /// Acknowledgements that were repeated while data was outstanding.
    pub duplicate_acks: u32,
    /// Segments that closed the window.
    pub zero_windows: u32,
    /// Windows.
    pub windows: Windows,
}

/// The segments of a flow, by end.
#[derive(Clone, Debug, Default)]
pub(super) struct Analysis {
    connection: Connection,
    pub(super) ends: [Segments; 2],
    /// The last SYN before it was answered: its time and its sender.
    syn: Option<(i64, usize)>,
    /// The first answer to it was seen.
    answered: bool,
    /// From that SYN to its sender's acknowledgement of the answer, ns.
    pub(super) handshake: Option<i64>,
}

impl Analysis {
    /// Asks what a segment is.
    #[inline]
    pub(super) fn judge(&mut self, arrival: &Arrival) -> Option<Verdict> {
        Some(self.connection.add(arrival.side(), &arrival.segment()?))
    }

    /// Counts a segment.
    #[inline]
    pub(super) fn count(&mut self, arrival: &Arrival, verdict: Option<Verdict>) {
        let end = &mut self.ends[arrival.end()];
        for (bit, count) in end.flags.iter_mut().enumerate() {
            *count += u32::from(arrival.flags >> bit & 1);
        }
        if let Some(window) = arrival.window() {
            end.windows.add(window);
        }
        if let Some(verdict) = verdict {
            end.classes[verdict.class as usize] += 1;
            end.duplicate_acks += u32::from(verdict.duplicate_ack);
            end.zero_windows += u32::from(verdict.zero_window);
        }
        if self.handshake.is_none() {
            self.shake(arrival);
        }
    }

    fn shake(&mut self, arrival: &Arrival) {
        let has = |flag| arrival.flags & flag != 0;
        if arrival.asks_to_connect() && !self.answered {
            self.syn = Some((arrival.time, arrival.end()));
            return;
        }
        let Some((sent, client)) = self.syn else { return };
        if !has(tcp_flag::ACK) || has(tcp_flag::RST) {
            return;
        }
        if has(tcp_flag::SYN) {
            self.answered |= arrival.end() != client;
        } else if self.answered && arrival.end() == client {
            self.handshake = Some(arrival.time.saturating_sub(sent).max(0));
        }
    }

    /// Holes in the sequence that were forgotten; while there are none, every class is right.
    pub(super) fn forgotten_holes(&self) -> u64 {
        self.connection.forgotten_holes()
    }
}
