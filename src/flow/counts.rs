//! How often each of a few things occurred, upwards and downwards.
//!
//! Lengths and windows of a flow repeat, so a table of counts says as much as the list, and everything that does not
//! depend on order follows from it exactly. An entry is its key and eight bytes. Tables are hashed with a seed that the
//! caller keeps, so that nobody can choose keys that collide; no output may depend on it.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// The secret of all tables of a run.
#[derive(Clone, Copy, Debug)]
pub struct Seed([u64; 2]);

impl Seed {
    /// From the operating system's randomness.
    #[must_use]
    pub fn random() -> Seed {
        let state = RandomState::new();
        Seed([0_u64, 1].map(|n| state.hash_one(n)))
    }
}

/// What can be counted.
pub(super) trait Key: Copy + Eq {
    /// All of it, in two words.
    fn words(&self) -> [u64; 2];
}

impl Key for u16 {
    fn words(&self) -> [u64; 2] {
        [u64::from(*self), 0]
    }
}

impl Key for i16 {
    fn words(&self) -> [u64; 2] {
        [u64::from(*self as u16), 0]
    }
}

/// Counts of keys, on two sides.
#[derive(Clone, Debug)]
pub(super) struct Counts<K> {
    entries: HashTable<Entry<K>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<K> {
    key: K,
    times: [u32; 2],
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts { entries: HashTable::new() }
    }
}

impl<K: Key> Counts<K> {
    /// Counts a key on a side, 0 or 1.
    #[inline]
    pub(super) fn add(&mut self, key: K, side: usize, seed: Seed) {
        if !self.add_known(key, side, seed) {
            let mut times = [0; 2];
            times[side] = 1;
            self.entries.insert_unique(hash(key, seed), Entry { key, times }, |entry| hash(entry.key, seed));
        }
    }

    /// Counts a key if it has an entry; else returns false.
    #[inline]
    pub(super) fn add_known(&mut self, key: K, side: usize, seed: Seed) -> bool {
        // A full entry is passed over, so the key gets another one.
        let free = |entry: &Entry<K>| entry.key == key && entry.times[side] != u32::MAX;
        match self.entries.find_mut(hash(key, seed), free) {
            Some(entry) => {
                entry.times[side] += 1;
                true
            }
            None => false,
        }
    }

    /// Entries, in no order. A key may have several.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, [u32; 2])> {
        self.entries.iter().map(|entry| (&entry.key, entry.times))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.entries.allocation_size()
    }
}

/// A keyed 64 by 64 bit multiply, its halves folded together.
#[inline]
fn hash<K: Key>(key: K, Seed([first, second]): Seed) -> u64 {
    let words = key.words();
    let product = u128::from(words[0] ^ first) * u128::from(words[1] ^ second);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_a_map(keys: Vec<(u16, bool)>, mask: u16) {
            let (mut counts, mut model) = (Counts::<u16>::default(), BTreeMap::<u16, [u32; 2]>::new());
            let seed = Seed::random();
            for (key, side) in keys {
                counts.add(key & mask, side.into(), seed);
                model.entry(key & mask).or_default()[usize::from(side)] += 1;
            }
            prop_assert_eq!(counts.len(), model.len());
            let counts: BTreeMap<u16, [u32; 2]> = counts.iter().map(|(&key, times)| (key, times)).collect();
            prop_assert_eq!(counts, model);
        }
    }

    #[test]
    fn a_count_may_pass_four_billion() {
        let (mut counts, seed) = (Counts::<u16>::default(), Seed::random());
        counts.add(7, 0, seed);
        for entry in &mut counts.entries {
            entry.times[0] = u32::MAX;
        }
        counts.add(7, 0, seed);
        counts.add(7, 1, seed);
        let sum: u64 = counts.iter().map(|(_, [up, _])| u64::from(up)).sum();
        assert_eq!(sum, 1 << 32);
    }
}
