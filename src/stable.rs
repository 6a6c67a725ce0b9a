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

/// Another key for each place, so that numbers cannot change places: a multiplicative sequence. A static, because
/// constants of eight bytes in the code cost more than loads.
static PLACES: [u64; 32] = {
    let mut keys = [GOLDEN; 32];
    let mut at = 1;
    while at < keys.len() {
        keys[at] = keys[at - 1].wrapping_mul(0xd134_2543_de82_ef95) | 1;
        at += 1;
    }
    keys
};

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
        const { assert!(N <= PLACES.len()) };
        let mut sum = 0u64;
        for (pair, keys) in numbers.as_chunks::<2>().0.iter().zip(PLACES.as_chunks::<2>().0) {
            let product = u128::from(pair[0] ^ keys[0]) * u128::from(pair[1] ^ keys[1]);
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
        let (words, rest) = text.as_bytes().as_chunks();
        words.iter().for_each(|word| self.number(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            self.number(rest.iter().rfold(0, |word, &byte| word << 8 | u64::from(byte)));
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
