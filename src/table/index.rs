//! The index of the flow table: from a key to its flow id, one cache line a look.
//!
//! A bucket is a cache line: three keys, their ids, and how many keys found the bucket full and were put further on. A key
//! starts at the bucket that the top bits of its tag name; a look ends at the first bucket that no key was put past. So a key
//! that is not there costs one line as a rule, forgetting one needs no marks and moves nothing, and the memory of a flow is
//! a third of a line at a load of one.
//!
//! The index is ours and not a library's because the hot path asks for its cache lines a batch ahead. hashbrown cannot be
//! prefetched, which on a thousand warm flows makes it the faster of the two and on a million cold ones the slower by more
//! than half (`cargo bench --bench table`). It serves where no prefetch is needed.

use bytemuck::{Pod, Zeroable};

use super::arena::Arena;
use crate::prefetch::prefetch_row;

/// What is looked for: 16 bytes, of which [`PRESENT`] is always set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Key {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// Set in the high half of every key, so that no key equals an empty place.
pub(super) const PRESENT: u64 = 1 << 49;

/// Keys a bucket.
const PLACES: usize = 3;

#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Bucket {
    low: [u64; PLACES],
    high: [u64; PLACES],
    /// Flow ids plus one; 0 in a free place.
    ids: [u32; PLACES],
    /// Keys that were put past this bucket.
    passed: u32,
}

const FIRST_BITS: u32 = 10;

/// The load at which the index grows, as a fraction. Above it many keys lie beyond the line that was asked for; below,
/// the index would be memory that is touched for little.
const FULL: (usize, usize) = (7, 10);

/// See the module. Tags are 32 bits of keyed hash, and a function of the key.
pub(super) struct Index {
    buckets: Arena<Bucket>,
    shift: u32,
    live: usize,
}

impl Index {
    /// An index with room for some keys.
    pub(super) fn with_room(keys: usize) -> Index {
        let bits = (keys * FULL.1).div_ceil(PLACES * FULL.0).next_power_of_two().trailing_zeros().max(FIRST_BITS);
        let mut buckets = Arena::default();
        buckets.reach(1 << bits);
        Index { buckets, shift: 32 - bits, live: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// A view that looks keys up, for several looks in a row.
    #[inline]
    pub(super) fn looks(&self) -> Looks<'_> {
        Looks { buckets: &self.buckets, shift: self.shift }
    }

    /// Makes room for `more` keys.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize, tag: impl Fn(Key) -> u32) {
        while (self.live + more) * FULL.1 > self.buckets.len() * PLACES * FULL.0 {
            self.grow(&tag);
        }
    }

    /// Adds a key that is not there.
    pub(super) fn add(&mut self, key: Key, tag: u32, id: u32) {
        let mask = self.buckets.len() - 1;
        let mut at = (tag >> self.shift) as usize & mask;
        while !self.buckets[at].put(key, id) {
            self.buckets[at].passed += 1;
            at = (at + 1) & mask;
        }
        self.live += 1;
    }

    /// Takes a key out that is there.
    pub(super) fn remove(&mut self, key: Key, tag: u32) {
        let mask = self.buckets.len() - 1;
        let mut at = (tag >> self.shift) as usize & mask;
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(place) =
                (0..PLACES).find(|&place| bucket.low[place] == key.low && bucket.high[place] == key.high)
            {
                (bucket.low[place], bucket.high[place], bucket.ids[place]) = (0, 0, 0);
                break;
            }
            bucket.passed -= 1;
            at = (at + 1) & mask;
        }
        self.live -= 1;
    }

    /// Keys and ids, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, u32)> {
        self.buckets.iter().flat_map(Bucket::entries)
    }

    /// Doubles the index where it lies: memory that was never touched is the dearest there is.
    ///
    /// A key's bucket is the top bits of its tag, so a key moves from about `i` to about `2 i`. Taken from the last bucket
    /// down, keys come to lie behind all that have not moved. The few of which that is not certain, in the first buckets and
    /// at the end, wait until all others are in place.
    #[cold]
    fn grow(&mut self, tag: &impl Fn(Key) -> u32) {
        let before = self.buckets.len();
        self.buckets.reach(before * 2);
        self.shift -= 1;
        let mut waiting = Vec::new();
        let buckets = &mut self.buckets[..];
        for from in (0..before).rev() {
            let bucket = std::mem::take(&mut buckets[from]);
            for (key, id) in bucket.entries() {
                let home = (tag(key) >> self.shift) as usize;
                let end = (home >= from).then(|| (home..buckets.len()).find(|&at| buckets[at].has_room())).flatten();
                let Some(end) = end else {
                    waiting.push((key, id));
                    continue;
                };
                buckets[home..end].iter_mut().for_each(|bucket| bucket.passed += 1);
                buckets[end].put(key, id);
            }
        }
        self.live -= waiting.len();
        for (key, id) in waiting {
            self.add(key, tag(key), id);
        }
    }
}

impl Bucket {
    fn has_room(&self) -> bool {
        self.ids.contains(&0)
    }

    /// Puts a key into a free place, if there is one.
    fn put(&mut self, key: Key, id: u32) -> bool {
        let Some(place) = self.ids.iter().position(|&id| id == 0) else { return false };
        (self.low[place], self.high[place], self.ids[place]) = (key.low, key.high, id + 1);
        true
    }

    fn entries(&self) -> impl Iterator<Item = (Key, u32)> + use<> {
        let Bucket { low, high, ids, .. } = *self;
        (0..PLACES)
            .filter_map(move |place| Some((Key { low: low[place], high: high[place] }, ids[place].checked_sub(1)?)))
    }
}

/// See [`Index::looks`].
#[derive(Clone, Copy)]
pub(super) struct Looks<'i> {
    buckets: &'i [Bucket],
    shift: u32,
}

impl Looks<'_> {
    /// Asks for the line where a look for this tag begins.
    #[inline(always)]
    pub(super) fn ask(&self, tag: u32) {
        prefetch_row(self.buckets, (tag >> self.shift) as usize);
    }

    /// The id of a key.
    #[inline(always)]
    pub(super) fn find(&self, key: Key, tag: u32) -> Option<u32> {
        let mask = self.buckets.len() - 1;
        let mut at = (tag >> self.shift) as usize & mask;
        loop {
            let Bucket { low, high, ids, passed } = &self.buckets[at];
            // All places are compared without a branch: which of them it is cannot be foreseen.
            let mut found = 0;
            for place in 0..PLACES {
                let equal = (low[place] ^ key.low) | (high[place] ^ key.high) == 0;
                found |= if equal { ids[place] } else { 0 };
            }
            if found != 0 {
                return Some(found - 1);
            }
            if *passed == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A tag that puts many keys into the last buckets and the first, where they wrap around.
    fn tag(key: Key) -> u32 {
        match key.low % 3 {
            0 => u32::MAX - (key.low as u32 & 0xff) * 0x1000,
            1 => (key.low as u32 & 0xf) * 0x1000,
            _ => (key.low as u32).wrapping_mul(0x9e37_79b9),
        }
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    fn agrees_with_a_map_where_buckets_overflow_wrap_around_grow_and_empty() {
        let mut index = Index::with_room(0);
        let mut model: HashMap<u64, u32> = HashMap::new();
        let key = |n: u64| Key { low: n, high: PRESENT | n << 56 };
        for n in 0..20_000u64 {
            index.reserve(1, tag);
            index.add(key(n), tag(key(n)), n as u32);
            model.insert(n, n as u32);
            if n % 5 == 4 {
                let gone = n / 2;
                if model.remove(&gone).is_some() {
                    index.remove(key(gone), tag(key(gone)));
                }
            }
        }
        assert_eq!(index.len(), model.len());
        for n in 0..21_000 {
            assert_eq!(index.looks().find(key(n), tag(key(n))), model.get(&n).copied(), "key {n}");
        }
        let mut listed: Vec<u32> = index.iter().map(|(_, id)| id).collect();
        listed.sort_unstable();
        let mut known: Vec<u32> = model.values().copied().collect();
        known.sort_unstable();
        assert_eq!(listed, known);
        for n in known {
            index.remove(key(u64::from(n)), tag(key(u64::from(n))));
        }
        assert_eq!(index.len(), 0);
        assert!(index.buckets.iter().all(|bucket| bucket.passed == 0 && bucket.ids == [0; PLACES]));
    }
}
