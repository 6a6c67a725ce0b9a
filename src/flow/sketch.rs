//! What is kept of values that a flow has too many of: exact power sums, and a histogram for the median.
//!
//! A sketch takes bounded memory for any number of values, and does not depend on their order. Count, sum, least,
//! greatest and the first four powers are exact, so the moments are. The histogram has 64 buckets for each power of two
//! of magnitude: its median is a bucket's middle, within 1/128 of every value in the bucket, and exact below 64.

use super::counts::{Counts, Seed};
use super::moments::{LIMIT, Powers};
use super::wide::Wide;

/// Buckets for each power of two, as a power of two.
const PRECISION: u32 = 6;

/// A bounded stand-in for many integers.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    count: u64,
    sum: i128,
    ends: [i64; 2],
    // With n < 2^48 values within 2^61: 171, 232 and 293 bits.
    second: Wide<3>,
    third: Wide<4>,
    fourth: Wide<5>,
    buckets: Counts<i16>,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch {
            count: 0,
            sum: 0,
            ends: [i64::MAX, i64::MIN],
            second: Wide::default(),
            third: Wide::default(),
            fourth: Wide::default(),
            buckets: Counts::default(),
        }
    }
}

impl Sketch {
    /// Adds a value; beyond ±[`LIMIT`] it counts as that.
    pub(super) fn add(&mut self, value: i64, seed: Seed) {
        let value = value.clamp(-LIMIT, LIMIT);
        self.count += 1;
        self.sum += i128::from(value);
        self.ends = [self.ends[0].min(value), self.ends[1].max(value)];
        let square = i128::from(value) * i128::from(value);
        self.second = self.second.plus(Wide::from(square));
        if value.unsigned_abs() < 1 << 31 {
            self.third = self.third.plus(Wide::from(square * i128::from(value)));
            self.fourth = self.fourth.plus(Wide::from(square * square));
        } else {
            let cube = Wide::from(square).times(value);
            self.third = self.third.plus(cube);
            self.fourth = self.fourth.plus(cube.resize().times(value));
        }
        self.buckets.add(bucket(value), 0, seed);
    }

    /// How many values.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub(super) fn sum(&self) -> i128 {
        self.sum
    }

    /// The least and the greatest of them; the other way round when there are none.
    pub(super) fn ends(&self) -> [i64; 2] {
        self.ends
    }

    /// Sums of powers of (value - pivot).
    ///
    /// Each is a sum of at most 16 terms below n 2^244, so 8 limbs hold it with room for three more factors n.
    pub(super) fn around(&self, pivot: i64) -> Powers<8> {
        let p = pivot;
        let n = Wide::<8>::from(i128::from(self.count));
        let (s1, s2, s3, s4) = (Wide::from(self.sum), self.second.resize(), self.third.resize(), self.fourth.resize());
        // Σ (x - p)^k by the binomial theorem, p factored out step by step.
        let second = s2.minus(s1.times(2).minus(n.times(p)).times(p));
        let third = s3.minus(s2.times(3).minus(s1.times(3).minus(n.times(p)).times(p)).times(p));
        let fourth =
            s4.minus(s3.times(4).minus(s2.times(6).minus(s1.times(4).minus(n.times(p)).times(p)).times(p)).times(p));
        Powers { second, third, fourth }
    }

    /// Appends the histogram: (a bucket's middle, values in it).
    pub(super) fn buckets(&self, pairs: &mut Vec<(i64, u64)>) {
        pairs.extend(self.buckets.iter().map(|(&bucket, [times, _])| (middle(bucket), u64::from(times))));
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.buckets.heap()
    }
}

/// The bucket of a value: magnitudes below 2^PRECISION have their own, others share it with those of the same leading
/// PRECISION + 1 bits. At most 3,584 in magnitude.
fn bucket(value: i64) -> i16 {
    let magnitude = value.unsigned_abs();
    let shift = magnitude.checked_ilog2().unwrap_or(0).saturating_sub(PRECISION);
    let index = (i64::from(shift) << PRECISION) + (magnitude >> shift) as i64;
    (index * value.signum()) as i16
}

/// The middle of a bucket.
fn middle(bucket: i16) -> i64 {
    let index = i64::from(bucket.unsigned_abs());
    // The mantissa of all but the first bucket range has its leading bit in the index.
    let shift = ((index >> PRECISION) - 1).max(0);
    let mantissa = index - (shift << PRECISION);
    let low = mantissa << shift;
    (low + ((1 << shift) - 1) / 2) * i64::from(bucket.signum())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_is_within_its_precision(value in -LIMIT..=LIMIT, shift in 0..61) {
            let value = value >> shift;
            let middle = middle(bucket(value));
            prop_assert!(middle.abs_diff(value) <= value.unsigned_abs() / 128, "{middle} for {value}");
            prop_assert_eq!(bucket(middle), bucket(value));
        }

        #[test]
        fn buckets_are_in_the_order_of_values(a in -LIMIT..=LIMIT, b in -LIMIT..=LIMIT, shift in 0..61) {
            let (a, b) = (a >> shift, b >> shift);
            prop_assert!((a <= b) == (bucket(a) <= bucket(b)) || bucket(a) == bucket(b));
        }
    }

    #[test]
    fn a_hostile_flow_fills_at_most_this_many_buckets() {
        assert_eq!(bucket(LIMIT), 3584);
        assert_eq!(bucket(-LIMIT), -3584);
        assert_eq!(middle(bucket(63)), 63);
    }
}
