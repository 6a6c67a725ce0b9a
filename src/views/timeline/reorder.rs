//! Packets wait until those that were captured a moment before them have come.
//!
//! The clock is what two packets in a row have reached: one alone may have a wild time, and then those behind it would not be put in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::record::Packet;

/// Packets that wait at most; beyond that the earliest goes on.
const MOST: usize = 65_536;

/// See the module. Most packets come in order: those stand in a line. The others stay where they are put; what is kept in order of
/// them is small.
#[derive(Debug)]
pub(super) struct Reorder {
    /// Microseconds that a packet waits, by the times of those behind it.
    window: i64,
    /// In order, with their numbers.
    line: VecDeque<(u64, Packet)>,
    /// Time, number and place of the others that wait.
    order: BinaryHeap<Reverse<(i64, u64, usize)>>,
    packets: Vec<Packet>,
    free: Vec<usize>,
    numbered: u64,
    newest: i64,
    clock: i64,
}

impl Reorder {
    pub(super) fn new(window: i64) -> Reorder {
        Reorder {
            window,
            line: VecDeque::new(),
            order: BinaryHeap::new(),
            packets: Vec::new(),
            free: Vec::new(),
            numbered: 0,
            newest: i64::MIN,
            clock: i64::MIN,
        }
    }

    /// Takes a packet as it comes.
    pub(super) fn push(&mut self, packet: Packet) {
        self.clock = packet.time.min(self.newest);
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
        let due = time <= self.clock.saturating_sub(self.window) || waiting > MOST;
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

    const WINDOW: i64 = 10_000;

    proptest! {
        #[test]
        fn it_is_as_if_all_that_wait_were_sorted_each_time(times in prop::collection::vec(0..40_i64, 0..200)) {
            let mut reorder = Reorder::new(WINDOW);
            let (mut waiting, mut out, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            let mut before = i64::MIN;
            for (seq, time) in (0..).zip(times.iter().map(|time| time * 1000)) {
                reorder.push(Packet { time, seq, ..Packet::default() });
                out.extend(std::iter::from_fn(|| reorder.pop()).map(|packet| packet.seq));
                waiting.push((time, seq));
                waiting.sort_unstable();
                let clock = time.min(std::mem::replace(&mut before, time));
                let due = waiting.partition_point(|(waits, _)| *waits <= clock.saturating_sub(WINDOW));
                expected.extend(waiting.drain(..due).map(|(_, seq)| seq));
            }
            prop_assert_eq!(&out, &expected);
            out.extend(std::iter::from_fn(|| reorder.flush()).map(|packet| packet.seq));
            expected.extend(waiting.into_iter().map(|(_, seq)| seq));
            prop_assert_eq!(out, expected);
        }
    }

    fn order(times: &[i64]) -> Vec<i64> {
        let (mut reorder, mut out) = (Reorder::new(WINDOW), Vec::new());
        for (seq, &time) in (0..).zip(times) {
            reorder.push(Packet { time, seq, ..Packet::default() });
            out.extend(std::iter::from_fn(|| reorder.pop()).map(|packet| packet.seq));
        }
        out.extend(std::iter::from_fn(|| reorder.flush()).map(|packet| packet.seq));
        out
    }

    #[test]
    fn what_comes_within_the_window_is_put_in_order() {
        assert_eq!(order(&[0, 9_000, 3_000, 9_000, 30_000, 30_000, 1_000]), [0, 2, 1, 3, 6, 4, 5]);
    }

    #[test]
    fn one_wild_time_hastens_nothing_and_two_are_believed() {
        assert_eq!(order(&[5_000, 1 << 60, 4_000, 6_000]), [2, 0, 3, 1]);
        assert_eq!(order(&[5_000, 1 << 60, 1 << 60, 4_000, 6_000]), [0, 3, 4, 1, 2]);
    }
}
