//! Packets wait until those that were captured a moment before them have come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::record::Packet;

/// Microseconds that a packet waits, by the times of those behind it.
const WINDOW: i64 = 10_000;

/// Packets that wait at most; beyond that the earliest goes on.
const MOST: usize = 65_536;

/// See the module. Packets stay where they are put; what is kept in order is small.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    /// Time, number and place of those that wait. Of those of one time, the first goes first.
    order: BinaryHeap<Reverse<(i64, u64, usize)>>,
    packets: Vec<Packet>,
    free: Vec<usize>,
    numbered: u64,
    newest: i64,
}

impl Reorder {
    /// Takes a packet as it comes.
    pub(super) fn push(&mut self, packet: Packet) {
        self.newest = packet.time;
        let place = self.free.pop().unwrap_or(self.packets.len());
        self.order.push(Reverse((packet.time, self.numbered, place)));
        self.numbered += 1;
        match self.packets.get_mut(place) {
            Some(free) => *free = packet,
            None => self.packets.push(packet),
        }
    }

    /// The next packet whose time has come.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let &Reverse((time, ..)) = self.order.peek()?;
        let due = time <= self.newest.saturating_sub(WINDOW) || self.order.len() > MOST;
        if due { self.flush() } else { None }
    }

    /// The next packet, when no more come.
    pub(super) fn flush(&mut self) -> Option<Packet> {
        let Reverse((_, _, place)) = self.order.pop()?;
        self.free.push(place);
        self.packets.get(place).copied()
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
