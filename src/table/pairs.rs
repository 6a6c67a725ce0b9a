//! Dense numbers for IPv6 host pairs, so that a flow key is 16 bytes whatever the address family.

use hashbrown::HashTable;

use crate::decode::PairSeed;

/// Numbers unordered pairs of IPv6 addresses.
pub(crate) struct Pairs {
    seed: PairSeed,
    index: HashTable<u32>,
    list: Vec<Pair>,
    free: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Pair {
    low: u128,
    high: u128,
    hash: u32,
    /// Flows between them.
    flows: u32,
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs { seed: PairSeed::random(), index: HashTable::new(), list: Vec::new(), free: Vec::new() }
    }
}

impl Pairs {
    /// The number of a pair; `low <= high`.
    #[inline]
    pub(crate) fn number(&mut self, low: u128, high: u128) -> u32 {
        let hash = self.seed.hash(low, high, true);
        let list = &self.list;
        if let Some(&found) = self.index.find(spread(hash), |&i| {
            let pair = &list[i as usize];
            pair.low == low && pair.high == high
        }) {
            return found;
        }
        self.add(Pair { low, high, hash, flows: 0 })
    }

    #[cold]
    fn add(&mut self, pair: Pair) -> u32 {
        let number = match self.free.pop() {
            Some(number) => {
                self.list[number as usize] = pair;
                number
            }
            None => {
                self.list.push(pair);
                u32::try_from(self.list.len() - 1).expect("fewer than 2^32 host pairs are alive")
            }
        };
        let list = &self.list;
        self.index.insert_unique(spread(pair.hash), number, |&i| spread(list[i as usize].hash));
        number
    }

    /// The addresses of a pair, smaller first.
    pub(crate) fn get(&self, number: u32) -> (u128, u128) {
        let pair = &self.list[number as usize];
        (pair.low, pair.high)
    }

    /// A flow between the pair was made.
    pub(crate) fn hold(&mut self, number: u32) {
        self.list[number as usize].flows += 1;
    }

    /// A flow between the pair was forgotten; with the last of them the pair is.
    pub(crate) fn release(&mut self, number: u32) {
        let pair = &mut self.list[number as usize];
        pair.flows -= 1;
        if pair.flows > 0 {
            return;
        }
        let hash = spread(pair.hash);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == number) {
            entry.remove();
            self.free.push(number);
        }
        if self.index.is_empty() {
            *self = Pairs::default();
        }
    }
}

/// hashbrown takes its tag from the top bits and the bucket from the bottom ones.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) | u64::from(hash.wrapping_mul(0x9E37_79B9)) << 32
}
