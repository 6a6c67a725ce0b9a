//! What came waits, and goes on in the order of time.
//!
//! Most comes in order and stands in a line, or belongs a few places before its end. The rest stays where it is put; what is kept in order of it
//! is small.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// So many wait at most; beyond that the earliest goes on.
const MOST: usize = 65_536;

/// So far from the end of the line a place in it is looked for: one wild time does not send all that come behind it elsewhere.
const NEAR: usize = 8;

/// Time, and which of one time came first.
type Key = (i64, u64);

/// See the module.
#[derive(Debug)]
pub(crate) struct InOrder<T> {
    line: VecDeque<(Key, T)>,
    /// The places of the others.
    order: BinaryHeap<Reverse<(Key, usize)>>,
    others: Vec<T>,
    free: Vec<usize>,
    numbered: u64,
}

impl<T> Default for InOrder<T> {
    fn default() -> InOrder<T> {
        InOrder { line: VecDeque::new(), order: BinaryHeap::new(), others: Vec::new(), free: Vec::new(), numbered: 0 }
    }
}

impl<T: Copy> InOrder<T> {
    #[inline]
    pub(crate) fn push(&mut self, time: i64, what: T) {
        let key = (time, self.numbered);
        self.numbered += 1;
        if self.line.back().is_none_or(|(last, _)| last.0 <= time) {
            return self.line.push_back((key, what));
        }
        self.push_back(key, what);
    }

    /// Puts one before the end.
    #[cold]
    fn push_back(&mut self, key: Key, what: T) {
        let length = self.line.len();
        let near = length.saturating_sub(NEAR)..length;
        if let Some(before) = near.rev().find(|&at| self.line[at].0.0 <= key.0) {
            return self.line.insert(before + 1, (key, what));
        }
        let place = self.free.pop().unwrap_or(self.others.len());
        self.order.push(Reverse((key, place)));
        match self.others.get_mut(place) {
            Some(free) => *free = what,
            None => self.others.push(what),
        }
    }

    /// The time of the next; of those of one time the first that came goes first.
    #[inline]
    pub(crate) fn next(&self) -> Option<i64> {
        self.first().map(|(time, _)| time)
    }

    /// Whether more wait than may.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.line.len() + self.order.len() > MOST
    }

    /// Whether the next has a time of at most `until`, or more wait than may.
    #[inline]
    pub(crate) fn has_by(&self, until: i64) -> bool {
        self.next().is_some_and(|time| time <= until || self.is_crowded())
    }

    /// Takes the next, if it [is there](InOrder::has_by).
    #[inline]
    pub(crate) fn pop_by(&mut self, until: i64) -> Option<(i64, T)> {
        if !self.has_by(until) {
            return None;
        }
        if self.order.is_empty() {
            return self.line.pop_front().map(|((time, _), what)| (time, what));
        }
        self.pop()
    }

    /// Takes the next.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(i64, T)> {
        let first = self.first()?;
        if self.line.front().is_some_and(|(key, _)| *key == first) {
            return self.line.pop_front().map(|((time, _), what)| (time, what));
        }
        let Reverse(((time, _), place)) = self.order.pop()?;
        self.free.push(place);
        self.others.get(place).map(|what| (time, *what))
    }

    #[inline]
    fn first(&self) -> Option<Key> {
        let in_line = self.line.front().map(|(key, _)| *key);
        match self.order.peek() {
            None => in_line,
            Some(Reverse((other, _))) => Some(in_line.map_or(*other, |key| key.min(*other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_as_if_all_were_sorted(steps in prop::collection::vec(prop_oneof![2 => (0..40_i64).prop_map(Some), 1 => Just(None)], 0..300)) {
            let mut line = InOrder::default();
            let mut sorted = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(time) => {
                        line.push(time, number);
                        sorted.push((time, number));
                        sorted.sort_unstable();
                    }
                    None => {
                        prop_assert_eq!(line.next(), sorted.first().map(|(time, _)| *time));
                        let first = (!sorted.is_empty()).then(|| sorted.remove(0));
                        prop_assert_eq!(line.pop(), first);
                    }
                }
            }
            prop_assert_eq!(std::iter::from_fn(|| line.pop()).collect::<Vec<_>>(), sorted);
        }
    }
}
