//! The keyed hash of an unordered pair of addresses, which decides the shard of a packet.
//!
//! Both directions of a conversation, and all fragments of a datagram, hash alike. The secrets are drawn once a
//! process, so that nobody can send traffic that falls into one shard; no output may depend on them.

use std::hash::{BuildHasher, RandomState};

use super::packet::Packet;

/// The secrets of a pair hash.
#[derive(Clone, Copy, Debug)]
pub struct PairSeed {
    mask: u64,
    factor: u64,
    high_factor: u64,
    pair_mask: u64,
    pair_factor: u64,
}

impl PairSeed {
    /// Secrets from the operating system's randomness.
    #[must_use]
    pub fn random() -> PairSeed {
        let state = RandomState::new();
        PairSeed::from_words([0_u64, 1, 2, 3, 4].map(|n| state.hash_one(n)))
    }

    /// These secrets. Factors are made odd: an even one would drop bits, and zero all of them.
    #[must_use]
    pub const fn from_words([mask, factor, high_factor, pair_mask, pair_factor]: [u64; 5]) -> PairSeed {
        PairSeed { mask, factor: factor | 1, high_factor: high_factor | 1, pair_mask, pair_factor: pair_factor | 1 }
    }

    /// The hash of a packet's hosts.
    #[inline(always)]
    #[must_use]
    pub fn of(&self, packet: &Packet) -> u32 {
        self.hash(packet.src, packet.dst, packet.v6)
    }

    /// The hash of two addresses in the integer form of [`Packet`](super::Packet), whichever comes first.
    #[inline(always)]
    #[must_use]
    pub fn hash(&self, src: u128, dst: u128, v6: bool) -> u32 {
        let sum = self.address(src, v6).wrapping_add(self.address(dst, v6));
        let mixed = fold(sum ^ self.pair_mask, self.pair_factor);
        (mixed ^ (mixed >> 32)) as u32
    }

    #[inline(always)]
    fn address(&self, bits: u128, v6: bool) -> u64 {
        let low = bits as u64 ^ self.mask;
        if v6 {
            fold(low ^ fold((bits >> 64) as u64 ^ self.mask, self.high_factor), self.factor)
        } else {
            fold(low, self.factor)
        }
    }
}

/// Both halves of the product of two words, folded into one.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: PairSeed = PairSeed::from_words([
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0x2545_f491_4f6c_dd1d,
        0xd6e8_feb8_6659_fd93,
    ]);

    #[test]
    fn both_directions_hash_alike_and_seeds_differ() {
        for v6 in [false, true] {
            assert_eq!(SEED.hash(1, 2, v6), SEED.hash(2, 1, v6));
        }
        let (a, b) = (PairSeed::random(), PairSeed::random());
        assert!((0..8).any(|n| a.hash(n, 99, false) != b.hash(n, 99, false)));
    }

    /// Neighbouring addresses must spread over every group of bits, since shards and tables take different ones.
    #[test]
    fn every_byte_of_the_hash_spreads_sequential_addresses() {
        for (v6, step) in [(false, 1_u128), (false, 256), (true, 1), (true, 1 << 64), (true, 1 << 120)] {
            let count = if step > 1 << 100 { 256 } else { 16_384 };
            for shift in [0, 8, 16, 24] {
                let mut buckets = [0_u32; 16];
                for n in 0..count {
                    let hash = SEED.hash(0x0a00_0001 + n * step, 0xc0a8_0001, v6);
                    buckets[(hash >> shift) as usize & 15] += 1;
                }
                let mean = count as u32 / 16;
                // Six standard deviations of a binomial.
                let slack = 6 * mean.isqrt() + 1;
                assert!(
                    buckets.iter().all(|b| b.abs_diff(mean) <= slack),
                    "v6 {v6} step {step} bits {shift}: {buckets:?}"
                );
            }
        }
    }
}
