//! A hash whose values may be seen: the same on every machine, in every version that keeps this file.
//!
//! It seeds the draws of token sampling, picks the sample targets of scans, and is the digest of `--format none`. It is not
//! a defence against chosen input; the flow table has its own keyed hash for that.

use std::net::IpAddr;

/// A hash over numbers, one multiply each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StableHash(u64);

/// The fractional part of the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl StableHash {
    /// Starts from a seed.
    #[must_use]
    pub(crate) const fn new(seed: u64) -> StableHash {
        StableHash(seed ^ GOLDEN)
    }

    /// Adds a number: a 64 by 64 bit multiply, its halves folded together.
    #[inline]
    pub(crate) fn number(&mut self, n: u64) {
        let product = u128::from(self.0 ^ n) * u128::from(GOLDEN);
        self.0 = ((product >> 64) as u64 ^ product as u64).wrapping_add(GOLDEN).rotate_left(23);
    }

    /// Adds many numbers at once: their products do not wait for one another.
    #[inline]
    pub(crate) fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        const { assert!(N.is_multiple_of(2)) };
        let mut sum = 0u64;
        let mut key = GOLDEN;
        for pair in numbers.chunks_exact(2) {
            // Another key for each place, so that numbers cannot change places.
            key = key.wrapping_mul(0xd134_2543_de82_ef95) | 1;
            let product = u128::from(pair[0] ^ key) * u128::from(pair[1].wrapping_add(key.rotate_left(32)) | 1 << 63);
            sum = sum.wrapping_add((product >> 64) as u64 ^ product as u64);
        }
        self.number(sum);
    }

    /// Adds an address with its family.
    pub(crate) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.number(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => {
                self.number(6 << 60 | 1);
                self.number((v6.to_bits() >> 64) as u64);
                self.number(v6.to_bits() as u64);
            }
        }
    }

    /// Adds text with its length.
    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    /// The hash: the finaliser of SplitMix64 over what was added.
    #[must_use]
    pub(crate) const fn finish(self) -> u64 {
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_change() {
        let mut hash = StableHash::new(42);
        hash.number(7);
        hash.text("union select");
        hash.address("2001:db8::1".parse().unwrap());
        assert_eq!(hash.finish(), 9_797_013_641_936_609_704);
    }
}
