//! Signed integers wider than the machine's, for sums that must be exact.
//!
//! Fourth powers of nanoseconds leave 128 bits behind. These integers are two's complement over `N` limbs of 64 bits
//! and know what power sums need: add, subtract, multiply by a machine word, and become the nearest `f64`. They wrap
//! silently; each user shows in a comment why its numbers fit.

/// A signed integer of `N` × 64 bits, least significant limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide<const N: usize>([u64; N]);

impl<const N: usize> Default for Wide<N> {
    fn default() -> Self {
        Wide([0; N])
    }
}

impl<const N: usize> From<i128> for Wide<N> {
    #[inline]
    fn from(n: i128) -> Self {
        let mut limbs = [if n < 0 { u64::MAX } else { 0 }; N];
        let words = [n as u64, (n >> 64) as u64];
        for (limb, word) in limbs.iter_mut().zip(words) {
            *limb = word;
        }
        Wide(limbs)
    }
}

impl<const N: usize> Wide<N> {
    /// The same number in `M` limbs, which must hold it.
    #[inline]
    pub(super) fn resize<const M: usize>(self) -> Wide<M> {
        let mut limbs = [if self.is_negative() { u64::MAX } else { 0 }; M];
        for (to, from) in limbs.iter_mut().zip(self.0) {
            *to = from;
        }
        Wide(limbs)
    }

    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        let mut sum = self.0;
        let mut carry = false;
        for (limb, other) in sum.iter_mut().zip(other.0) {
            let (partial, one) = limb.overflowing_add(other);
            let (whole, two) = partial.overflowing_add(u64::from(carry));
            *limb = whole;
            carry = one | two;
        }
        Wide(sum)
    }

    #[inline]
    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    /// Times a machine word.
    #[inline]
    pub(super) fn times(self, by: i64) -> Self {
        // In two's complement a negative factor stands for 2^64 more than it is; what that adds is taken off one limb up.
        let (factor, excess) = (u128::from(by as u64), (by >> 63) as u64);
        let mut product = self.0;
        let (mut carry, mut borrow, mut below) = (0, false, 0);
        for limb in &mut product {
            let wide = u128::from(*limb) * factor + carry;
            carry = wide >> 64;
            let (partial, one) = (wide as u64).overflowing_sub(below & excess);
            let (whole, two) = partial.overflowing_sub(u64::from(borrow));
            (below, *limb, borrow) = (*limb, whole, one | two);
        }
        Wide(product)
    }

    #[inline]
    fn negated(self) -> Self {
        let mut limbs = self.0;
        let mut carry = true;
        for limb in &mut limbs {
            (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
        }
        Wide(limbs)
    }

    #[inline]
    fn is_negative(self) -> bool {
        self.0[N - 1] >> 63 == 1
    }

    /// The nearest `f64`, ties to even.
    #[inline]
    pub(super) fn to_f64(self) -> f64 {
        let negative = self.is_negative();
        let Wide(limbs) = if negative { self.negated() } else { self };
        let Some(top) = limbs.iter().rposition(|&limb| limb != 0) else { return 0.0 };
        if top == 0 {
            let magnitude = limbs[0] as f64;
            return if negative { -magnitude } else { magnitude };
        }
        let mut bits = u128::from(limbs[top]) << 64 | u128::from(limbs[top - 1]);
        // What lies below only decides whether a tie is one.
        if limbs[..top - 1].iter().any(|&limb| limb != 0) {
            bits |= 1;
        }
        // 2^(64 × (top - 1)), an exact power of two for every N that is used.
        let scale = f64::from_bits((1023 + 64 * top as u64 - 64) << 52);
        let magnitude = bits as f64 * scale;
        if negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    fn big<const N: usize>(wide: Wide<N>) -> BigInt {
        let bytes: Vec<u8> = wide.0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        BigInt::from_signed_bytes_le(&bytes)
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_integers(a: i128, b: i128, factors: [i64; 5]) {
            let (mut wide, mut model) = (Wide::<8>::from(a), BigInt::from(a));
            for factor in factors {
                wide = wide.times(factor).minus(Wide::from(b)).plus(Wide::from(a));
                model = model * factor - b + a;
                prop_assert_eq!(big(wide), model.clone());
            }
            prop_assert_eq!(big(wide.resize::<9>()), model);
        }

        #[test]
        fn a_float_is_the_nearest(a: i128, factor: i64, low: i64) {
            let wide = Wide::<4>::from(a).times(factor).plus(Wide::from(i128::from(low)));
            // Parsing decimal digits rounds correctly.
            let nearest: f64 = big(wide).to_string().parse().unwrap();
            prop_assert_eq!(wide.to_f64(), nearest);
        }
    }

    #[test]
    fn ties_go_to_even_unless_a_low_bit_breaks_them() {
        let tie = Wide::<8>::from((1 << 53) + 1);
        assert_eq!(tie.to_f64(), (1_u64 << 53) as f64);
        let shifted = tie.times(1 << 62).times(1 << 62).times(1 << 62);
        assert_eq!(shifted.to_f64(), 2f64.powi(53 + 186));
        assert_eq!(shifted.plus(Wide::from(1)).to_f64(), 2f64.powi(186) * ((1_u64 << 53) + 2) as f64);
        assert_eq!(Wide::<8>::from(-3).times(1 << 62).to_f64(), -3.0 * 2f64.powi(62));
    }
}
