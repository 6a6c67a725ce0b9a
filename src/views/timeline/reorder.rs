//! Packets wait until those that were captured a moment before them have come.
//!
//! The clock is what two packets in a row have reached: one alone may have a wild time, and then those behind it would not be put in order.

use super::record::Packet;
use crate::views::in_order::InOrder;

/// See the module.
#[derive(Debug)]
pub(super) struct Reorder {
    /// Microseconds that a packet waits, by the times of those behind it.
    window: i64,
    waiting: InOrder<Packet>,
    newest: i64,
    clock: i64,
}

impl Reorder {
    pub(super) fn new(window: i64) -> Reorder {
        Reorder { window, waiting: InOrder::default(), newest: i64::MIN, clock: i64::MIN }
    }

    /// Takes a packet as it comes.
    pub(super) fn push(&mut self, packet: Packet) {
        self.clock = packet.time.min(self.newest);
        self.newest = packet.time;
        self.waiting.push(packet.time, packet);
    }

    /// The next packet whose time has come.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        self.waiting.pop_by(self.clock.saturating_sub(self.window)).map(|(_, packet)| packet)
    }

    /// The next packet, when no more come. Of those of one time, the first goes first.
    pub(super) fn flush(&mut self) -> Option<Packet> {
        self.waiting.pop().map(|(_, packet)| packet)
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
