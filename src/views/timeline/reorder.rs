//! Packets wait until those that were captured a moment before them have come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::record::Packet;

/// Microseconds that a packet waits, by the times of those behind it.
const WINDOW: i64 = 10_000;

/// Packets that wait at most; beyond that the earliest goes on.
const MOST: usize = 65_536;

/// See the module. Most packets come in order: those stand in a line. The others stay where they are put; what is kept in order of
/// them is small.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    /// In order, with their numbers.
    line: VecDeque<(u64, Packet)>,
    /// Time, number and place of the others that wait.
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
        let number = self.numbered;
        self.numbered += 1;
        if self.line.back().is_none_or(|(_, last)| last.time <= packet.time) {
            return self.line.push_back((number, packet));
        }
        let place = self.free.pop().unwrap_or(self.packets.len());
        self.order.push(Reverse((packet.time, number, place)));
        match self.packets.get_mut(place) {
            Some(free) => *free = packet,
            None => self.packets.push(packet),
        }
    }

    /// The next packet whose time has come.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let time = self.first_in_line().into_iter().chain(self.first_of_others()).min()?.0;
        let waiting = self.line.len() + self.order.len();
        let due = time <= self.newest.saturating_sub(WINDOW) || waiting > MOST;
        if due { self.flush() } else { None }
    }

    /// The next packet, when no more come. Of those of one time, the first goes first.
    pub(super) fn flush(&mut self) -> Option<Packet> {
        let in_line = self.first_in_line();
        if in_line.is_some() && self.first_of_others().is_none_or(|other| in_line < Some(other)) {
            return self.line.pop_front().map(|(_, packet)| packet);
        }
        let Reverse((_, _, place)) = self.order.pop()?;
        self.free.push(place);
        self.packets.get(place).copied()
    }

    fn first_in_line(&self) -> Option<(i64, u64)> {
        self.line.front().map(|(number, packet)| (packet.time, *number))
    }

    fn first_of_others(&self) -> Option<(i64, u64)> {
        self.order.peek().map(|&Reverse((time, number, _))| (time, number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_as_if_all_that_wait_were_sorted_each_time(times in prop::collection::vec(0..40_i64, 0..200)) {
            let mut reorder = Reorder::default();
            let (mut waiting, mut out, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for (seq, time) in (0..).zip(times.iter().map(|time| time * 1000)) {
                reorder.push(Packet { time, seq, ..Packet::default() });
                out.extend(std::iter::from_fn(|| reorder.pop()).map(|packet| packet.seq));
                waiting.push((time, seq));
                waiting.sort_unstable();
                let due = waiting.partition_point(|(waits, _)| *waits <= time - WINDOW);
                expected.extend(waiting.drain(..due).map(|(_, seq)| seq));
            }
            prop_assert_eq!(&out, &expected);
            out.extend(std::iter::from_fn(|| reorder.flush()).map(|packet| packet.seq));
            expected.extend(waiting.into_iter().map(|(_, seq)| seq));
            prop_assert_eq!(out, expected);
        }
    }

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
