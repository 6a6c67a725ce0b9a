//! The reorder stage of one flow: packets wait here until no earlier one is to be expected.
//!
//! A packet waits while it is within the reorder window of the flow's newest packet; those that wait leave by time, and
//! those of one time as they came. Which wait when is a function of the flow's own packets, so nothing else shows.
//! At most [`MOST`] wait beside the newest; then the earliest leaves.
//!
//! The newest packet waits in place. Only a flow whose packets come closer together than the window has more, in a list
//! of its own.

use std::collections::VecDeque;

use super::arrival::Arrival;

/// Packets that wait beside the newest.
pub const MOST: usize = 32;

/// Packets of one flow that wait.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    newest: Option<Arrival>,
    /// Those that are not newer than the newest, by time.
    #[expect(clippy::box_collection, reason = "most rows have none, and rows are many")]
    older: Option<Box<VecDeque<Arrival>>>,
    /// The latest time that has left.
    left: i64,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { newest: None, older: None, left: i64::MIN }
    }
}

impl Waiting {
    /// Takes the next packet as it came, and hands on those whose turn has come. One that comes behind its turn is handed
    /// on at once, ahead of those that wait, which may have come before it.
    #[inline]
    pub(super) fn push(&mut self, arrival: Arrival, window: i64, mut hand_on: impl FnMut(&Arrival)) {
        let Some(newest) = &mut self.newest else {
            if window == 0 || arrival.time < self.left {
                self.left = self.left.max(arrival.time);
                return hand_on(&arrival);
            }
            self.newest = Some(arrival);
            return;
        };
        if arrival.time < newest.time {
            let floor = newest.time.saturating_sub(window);
            return self.out_of_order(arrival, floor, hand_on);
        }
        let floor = arrival.time.saturating_sub(window);
        if let Some(older) = &mut self.older {
            while let Some(first) = older.front().filter(|first| first.time < floor) {
                self.left = first.time;
                hand_on(first);
                older.pop_front();
            }
        }
        if newest.time < floor {
            self.left = newest.time;
            hand_on(newest);
        } else {
            self.older.get_or_insert_default().push_back(*newest);
        }
        *newest = arrival;
        self.limit(hand_on);
    }

    #[cold]
    fn out_of_order(&mut self, arrival: Arrival, floor: i64, mut hand_on: impl FnMut(&Arrival)) {
        // What is older than all that wait does not wait itself.
        if arrival.time < self.left || arrival.time < floor {
            self.left = self.left.max(arrival.time);
            return hand_on(&arrival);
        }
        let older = self.older.get_or_insert_default();
        let at = older.partition_point(|other| other.time <= arrival.time);
        older.insert(at, arrival);
        self.limit(hand_on);
    }

    #[inline]
    fn limit(&mut self, mut hand_on: impl FnMut(&Arrival)) {
        if let Some(older) = &mut self.older
            && older.len() > MOST
            && let Some(first) = older.pop_front()
        {
            self.left = first.time;
            hand_on(&first);
        }
    }

    /// Hands on those that came before a time.
    pub(super) fn take_until(&mut self, until: i64, mut hand_on: impl FnMut(&Arrival)) {
        if let Some(older) = &mut self.older {
            while let Some(first) = older.front().filter(|first| first.time < until) {
                self.left = first.time;
                hand_on(first);
                older.pop_front();
            }
        }
        if let Some(newest) = self.newest.take_if(|newest| newest.time < until) {
            self.left = newest.time;
            hand_on(&newest);
        }
    }

    /// Hands on all that wait.
    pub(super) fn flush(&mut self, mut hand_on: impl FnMut(&Arrival)) {
        self.older.take().into_iter().flat_map(|older| *older).for_each(|arrival| hand_on(&arrival));
        if let Some(newest) = self.newest.take() {
            self.left = newest.time;
            hand_on(&newest);
        }
    }

    /// Whether a packet would come behind its turn.
    pub(super) fn is_late(&self, time: i64, window: i64) -> bool {
        time < self.left || self.newest().is_some_and(|newest| time < newest.saturating_sub(window))
    }

    /// Time of the earliest packet that waits.
    pub(super) fn earliest(&self) -> Option<i64> {
        let first = self.older.as_ref().and_then(|older| older.front());
        first.map(|first| first.time).or_else(|| self.newest())
    }

    /// Time of the newest packet that waits.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest.as_ref().map(|newest| newest.time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;
    use crate::decode::Packet;

    fn arrival(time: i64, wire: u32) -> Arrival {
        Arrival::of(&Packet { time: Timestamp(time), wire, ..Packet::default() }, false, &[])
    }

    /// Hands packets with these times on, and says in which order; `wire` is the place of each.
    fn order(times: &[i64], window: i64) -> Vec<(i64, u32)> {
        let (mut waiting, mut out) = (Waiting::default(), Vec::new());
        for (&time, wire) in times.iter().zip(0..) {
            waiting.push(arrival(time, wire), window, |a| out.push((a.time, a.wire)));
        }
        waiting.flush(|a| out.push((a.time, a.wire)));
        out
    }

    proptest! {
        #[test]
        fn what_is_within_the_window_is_put_in_order(steps in prop::collection::vec((0..20_i64, 0..9_i64), 0..30)) {
            let mut now = 0;
            let times: Vec<i64> = steps.iter().map(|&(step, back)| { now += step; now - back }).collect();
            let out = order(&times, 10);
            let mut sorted: Vec<_> = times.iter().copied().zip(0..).collect();
            sorted.sort();
            prop_assert_eq!(out, sorted);
        }

        #[test]
        fn every_packet_leaves_once_and_without_a_window_at_once(times: Vec<i64>, window in 0..100_i64) {
            let mut out = order(&times, window);
            let came: Vec<_> = times.iter().copied().zip(0..).collect();
            prop_assert_eq!(&order(&times, 0), &came);
            out.sort_by_key(|&(_, place)| place);
            prop_assert_eq!(out, came);
        }
    }

    #[test]
    fn what_comes_behind_its_turn_is_ahead_of_what_waits() {
        assert_eq!(order(&[0, 100, 50, 101], 10), [(0, 0), (50, 2), (100, 1), (101, 3)]);
        assert_eq!(order(&[100, 200, 50, 201], 10), [(100, 0), (50, 2), (200, 1), (201, 3)]);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut waiting = Waiting::default();
        let mut left = 0;
        for wire in 0..1000 {
            waiting.push(arrival(0, wire), 10, |_| left += 1);
        }
        assert_eq!(left, 1000 - MOST - 1);
    }
}
