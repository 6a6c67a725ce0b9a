//! Packets wait until those that were captured a moment before them have come.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::record::Packet;

/// Microseconds that a packet waits, by the times of those behind it.
const WINDOW: i64 = 10_000;

/// Packets that wait at most; beyond that the earliest goes on.
const MOST: usize = 65_536;

/// A packet that waits. Of those of one time, the first goes first.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    number: u64,
    packet: Packet,
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        (self.packet.time, self.number).cmp(&(other.packet.time, other.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    held: BinaryHeap<Reverse<Held>>,
    numbered: u64,
    newest: i64,
}

impl Reorder {
    /// Takes a packet as it comes.
    pub(super) fn push(&mut self, packet: Packet) {
        self.newest = packet.time;
        self.held.push(Reverse(Held { number: self.numbered, packet }));
        self.numbered += 1;
    }

    /// The next packet whose time has come.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let Reverse(first) = self.held.peek()?;
        let due = first.packet.time <= self.newest.saturating_sub(WINDOW) || self.held.len() > MOST;
        if due { self.flush() } else { None }
    }

    /// The next packet, when no more come.
    pub(super) fn flush(&mut self) -> Option<Packet> {
        self.held.pop().map(|Reverse(held)| held.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_within_the_window_is_put_in_order() {
        let mut reorder = Reorder::default();
        let mut out = Vec::new();
        for (seq, time) in [(0, 0), (1, 9_000), (2, 3_000), (3, 9_000), (4, 30_000), (5, 1_000)] {
            reorder.push(Packet { time, seq, ..Packet::default() });
            out.extend(std::iter::from_fn(|| reorder.pop()).map(|packet| packet.seq));
        }
        assert_eq!(out, [0, 2, 1, 3]);
        out.extend(std::iter::from_fn(|| reorder.flush()).map(|packet| packet.seq));
        assert_eq!(out, [0, 2, 1, 3, 5, 4]);
    }
}
