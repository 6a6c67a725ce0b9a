//! The nine quantised tokens of a group, computed exactly.
//!
//! A bin is the floor of a logarithm. The original divides float logarithms, which is one too high for 2^48 - 1 and one too
//! low for 1000 in base 10. Here a bin is found by comparing integers: for every bin there is the smallest count, or
//! the smallest number of nanoseconds, that reaches it. A base is a 64-bit float and thus exactly an odd integer times a power of
//! two, so these thresholds are worked out once, in whole numbers of any length.

use crate::error::{Error, Result};

/// The smallest base there is. Below it there would be thousands of bins, each a percent wide.
pub const MIN_BASE: f64 = 1.01;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// The nine tokens of a group.
///
/// Bins are floors of logarithms, of the configured bases; a count of 0 and a duration of 0 have bin 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tokens {
    /// Bin of the packets from the source.
    pub pkts_up_bin: i32,
    /// Bin of the packets to the source.
    pub pkts_dn_bin: i32,
    /// Bin of the bytes from the source.
    pub bytes_up_bin: i32,
    /// Bin of the bytes to the source.
    pub bytes_dn_bin: i32,
    /// Bin of the duration in seconds; negative below one second.
    pub dur_bin: i32,
    /// Packets with SYN, as counted.
    pub syn_bin: u64,
    /// Packets with ACK, as counted.
    pub ack_bin: u64,
    /// Packets with RST, as counted.
    pub rst_bin: u64,
    /// Packets with FIN, as counted.
    pub fin_bin: u64,
}

/// What a count and a duration are binned by.
#[derive(Clone, Debug)]
pub struct Bins {
    count: Ladder,
    duration: Ladder,
}

impl Bins {
    /// Bins of these logarithm bases (`count_log_base`, `duration_log_base`).
    ///
    /// # Errors
    ///
    /// A configuration error when a base is not a finite number from [`MIN_BASE`] on.
    pub fn new(count_base: f64, duration_base: f64) -> Result<Bins> {
        Ok(Bins {
            count: Ladder::of_counts(&Base::new("count_log_base", count_base)?),
            duration: Ladder::of_durations(&Base::new("duration_log_base", duration_base)?),
        })
    }

    /// Bin of a count: floor(log(n)), or 0 for 0.
    #[inline]
    #[must_use]
    pub fn count(&self, n: u64) -> i32 {
        self.count.bin(n)
    }

    /// Bin of a duration in nanoseconds: floor(log(seconds)), or 0 when it is not positive.
    #[inline]
    #[must_use]
    pub fn duration(&self, ns: i64) -> i32 {
        u64::try_from(ns).map_or(0, |ns| self.duration.bin(ns))
    }
}

/// The smallest integer of every bin that any integer is in.
#[derive(Clone, Debug)]
struct Ladder {
    /// The bin of 1.
    lowest: i32,
    /// The smallest integers of the bins above the lowest, in order. Bins that no integer is in share theirs with the next.
    steps: Vec<u64>,
    /// By number of leading zeros: how many steps the smallest such integer reaches, and how many the largest.
    spans: [(u32, u32); 64],
}

impl Ladder {
    fn new(lowest: i32, steps: Vec<u64>) -> Ladder {
        let reached = |n: u64| steps.partition_point(|&step| step <= n) as u32;
        let spans = std::array::from_fn(|zeros| (reached(1 << (63 - zeros)), reached(u64::MAX >> zeros)));
        Ladder { lowest, steps, spans }
    }

    /// The steps are the counts ceil(b^k), for k from 1 on.
    fn of_counts(base: &Base) -> Ladder {
        let mut steps = Vec::new();
        let mut power = Natural::from(1);
        // base^k is power * 2^(k * exponent).
        for k in 1.. {
            power.multiply(base.odd);
            let Some(step) = power.shifted(k * base.exponent) else { break };
            steps.push(step);
        }
        Ladder::new(0, steps)
    }

    /// The steps are the nanoseconds ceil(10^9 b^k), for the negative k that a nanosecond exceeds and from there on.
    fn of_durations(base: &Base) -> Ladder {
        // 10^9 b^k is power * 2^(9 + k * exponent).
        let mut rising = vec![NS_PER_SECOND];
        let mut power = Natural::from(NS_PER_SECOND >> 9);
        for k in 1.. {
            power.multiply(base.odd);
            let Some(step) = power.shifted(9 + k * base.exponent) else { break };
            rising.push(step);
        }
        // ns >= 10^9 b^-k, that is ns * odd^k >= 10^9 * 2^(-k * exponent).
        let mut falling = Vec::new();
        let mut power = Natural::from(1);
        let mut step = NS_PER_SECOND;
        let mut k = 0;
        while step > 1 {
            k += 1;
            power.multiply(base.odd);
            let reaches = |ns: u64| power.times_is_at_least(ns, NS_PER_SECOND, -k * base.exponent);
            // A float guess, at most a few off, which the exact comparison corrects.
            step = ((step as f64 / base.value).ceil() as u64).max(1);
            while !reaches(step) {
                step += 1;
            }
            while step > 1 && reaches(step - 1) {
                step -= 1;
            }
            falling.push(step);
        }
        // The last of them is the nanosecond itself, which is in this bin and starts no step.
        let lowest = -i32::try_from(k).expect("bases from 1.01 on have fewer than 3,000 bins below a second");
        let steps = falling.into_iter().rev().skip(1).chain(rising).collect();
        Ladder::new(lowest, steps)
    }

    #[inline]
    fn bin(&self, n: u64) -> i32 {
        let Some(&(from, to)) = self.spans.get(n.leading_zeros() as usize) else { return 0 };
        let mut reached = from;
        if from < to {
            reached += self.steps[from as usize..to as usize].partition_point(|&step| step <= n) as u32;
        }
        self.lowest + reached as i32
    }
}

/// A base, as the exact number it is: `odd * 2^exponent`.
struct Base {
    value: f64,
    odd: u64,
    exponent: i64,
}

impl Base {
    fn new(name: &str, value: f64) -> Result<Base> {
        if !(MIN_BASE..=f64::MAX).contains(&value) {
            return Err(Error::config(format!("{name} must be a finite number from {MIN_BASE} on, not {value}")));
        }
        // A normal float of IEEE 754: 11 bits of biased exponent above 52 of mantissa, without its leading one.
        let bits = value.to_bits();
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        let zeros = mantissa.trailing_zeros();
        Ok(Base { value, odd: mantissa >> zeros, exponent: (bits >> 52).cast_signed() - 1075 + i64::from(zeros) })
    }
}

/// A positive whole number of any length: 64-bit digits, the lowest first, the highest not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Natural(Vec<u64>);

impl From<u64> for Natural {
    fn from(digit: u64) -> Natural {
        Natural(vec![digit])
    }
}

impl Natural {
    fn multiply(&mut self, factor: u64) {
        let mut carry = 0;
        for digit in &mut self.0 {
            let product = u128::from(*digit) * u128::from(factor) + u128::from(carry);
            (*digit, carry) = (product as u64, (product >> 64) as u64);
        }
        if carry > 0 {
            self.0.push(carry);
        }
    }

    fn bits(&self) -> i64 {
        self.0.last().map_or(0, |top| self.0.len() as i64 * 64 - i64::from(top.leading_zeros()))
    }

    /// The 64 bits from bit `from` on, which may be negative.
    fn bits_from(&self, from: i64) -> u64 {
        let digit = |at: i64| usize::try_from(at).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(0);
        let (at, offset) = (from.div_euclid(64), from.rem_euclid(64));
        let pair = u128::from(digit(at)) | u128::from(digit(at + 1)) << 64;
        (pair >> offset) as u64
    }

    /// ceil(self * 2^shift), if it fits.
    fn shifted(&self, shift: i64) -> Option<u64> {
        if self.bits() + shift > 64 {
            return None;
        }
        let whole = self.bits_from(-shift);
        let fraction = self.0.iter().zip(0..).any(|(digit, at)| {
            let below = -shift - at * 64;
            below > 0 && (below >= 64 || digit & ((1 << below) - 1) != 0) && *digit != 0
        });
        whole.checked_add(u64::from(fraction))
    }

    /// Whether self * factor >= other * 2^shift.
    fn times_is_at_least(&self, factor: u64, other: u64, shift: i64) -> bool {
        let mut product = self.clone();
        product.multiply(factor);
        let other = Natural::from(other);
        let bits = product.bits();
        if bits != other.bits() + shift {
            return bits > other.bits() + shift;
        }
        // Aligned at the top, the highest 64 bits of the product tell, or, where they are all of `other`, its lower ones do not matter.
        product.bits_from(bits - 64) >= other.bits_from(other.bits() - 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        kind: String,
        base: f64,
        rows: Vec<(u64, i32)>,
    }

    #[test]
    fn bins_are_exact_at_every_step_and_in_every_base() {
        let golden: Vec<Golden> = serde_json::from_str(include_str!("../../../tests/golden/tokens.json")).unwrap();
        for Golden { kind, base, rows } in golden {
            let bins = Bins::new(base, base).unwrap();
            for (value, bin) in rows {
                let found = if kind == "count" { bins.count(value) } else { bins.duration(value.try_into().unwrap()) };
                assert_eq!(found, bin, "{kind} {value} in base {base}");
            }
        }
    }

    #[test]
    fn the_float_traps_of_the_original_are_avoided() {
        let two = Bins::new(2.0, 2.0).unwrap();
        for k in 1..64 {
            assert_eq!((two.count((1 << k) - 1), two.count(1 << k)), (k - 1, k));
        }
        let ten = Bins::new(10.0, 10.0).unwrap();
        for k in 1..20_u32 {
            assert_eq!((ten.count(10_u64.pow(k) - 1), ten.count(10_u64.pow(k))), (k as i32 - 1, k as i32));
        }
    }

    #[test]
    fn nothing_has_bin_zero_and_parts_of_a_second_have_negative_ones() {
        let bins = Bins::new(2.0, 2.0).unwrap();
        assert_eq!((bins.count(0), bins.count(1), bins.count(2)), (0, 0, 1));
        let seconds = [0, 2_000_000_000, 1_999_999_999, 1_000_000_000, 500_000_000, 1_000_000, 1_000, 1, -1, i64::MIN];
        assert_eq!(seconds.map(|ns| bins.duration(ns)), [0, 1, 0, 0, -1, -10, -20, -30, 0, 0]);
    }

    #[test]
    fn bases_that_make_no_bins_are_refused() {
        for base in [1.0, 1.0 + f64::EPSILON, 1.009, 0.5, 0.0, -2.0, f64::NAN, f64::INFINITY] {
            assert!(Bins::new(base, 2.0).is_err() && Bins::new(2.0, base).is_err(), "{base}");
        }
        for base in [MIN_BASE, f64::MAX] {
            assert!(Bins::new(base, base).is_ok());
        }
    }

    proptest! {
        #[test]
        fn bins_never_fall_as_values_rise(base in MIN_BASE..20.0, a in 1_u64.., b in 1_u64..) {
            let bins = Bins::new(base, base).unwrap();
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(bins.count(low) <= bins.count(high));
            let ns = |n: u64| (n >> 1).max(1).cast_signed();
            prop_assert!(bins.duration(ns(low)) <= bins.duration(ns(high)));
        }

        /// Far from a step the float logarithm is right.
        #[test]
        fn bins_are_floors_of_logarithms(base in 1.1_f64..20.0, n in 1_u64.., shift in 0_u32..63) {
            let bins = Bins::new(base, base).unwrap();
            let n = (n >> shift).max(1);
            let log = |value: f64| value.ln() / base.ln();
            let exact = log(n as f64);
            if (exact - exact.round()).abs() > 1e-9 {
                prop_assert_eq!(bins.count(n), exact.floor() as i32);
            }
        }
    }
}
