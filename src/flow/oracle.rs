//! The statistics of [`super::moments`] written plainly, in sixty-digit arithmetic: what tests hold the fast ones
//! against.

use num_bigint::{BigInt, Sign};

use super::moments::{Figures, Form, Summary};

/// Numbers are integers times 10^-DIGITS.
const DIGITS: u32 = 60;

fn one() -> BigInt {
    BigInt::from(10).pow(DIGITS)
}

fn square_root(n: &BigInt) -> BigInt {
    (n * one()).sqrt()
}

/// A quotient of integers as a number.
fn quotient(a: BigInt, b: &BigInt) -> BigInt {
    a * one() / b
}

/// A float as a number.
fn exactly(x: f64) -> BigInt {
    let bits = x.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = BigInt::from((bits & ((1 << 52) - 1)) | u64::from(exponent > 0) << 52) * one();
    let power = exponent.max(1) - 1075;
    let magnitude = if power < 0 { mantissa >> -power } else { mantissa << power };
    if x < 0.0 { -magnitude } else { magnitude }
}

/// How far a float is from a number: relative, or absolute where the number is below 1.
fn error(fast: f64, true_value: &BigInt) -> f64 {
    assert!(fast.is_finite());
    let far = BigInt::from_biguint(Sign::Plus, (exactly(fast) - true_value).magnitude().clone());
    let base = BigInt::from_biguint(Sign::Plus, true_value.magnitude().clone()).max(one());
    // Eighteen digits are enough to show an error.
    let scaled: i128 = (far * BigInt::from(10).pow(30) / base).try_into().unwrap_or(i128::MAX);
    scaled as f64 / 1e30
}

/// Statistics of values, written plainly. All but the first four are numbers.
struct Truth {
    count: u64,
    sum: i128,
    ends: [i64; 2],
    middle: [i64; 2],
    mean: BigInt,
    var: BigInt,
    std: BigInt,
    skew: BigInt,
    kurt: BigInt,
    cv: BigInt,
}

/// Holds a summary against the values it should be of: integers must be equal; returns the largest error of the other
/// figures. The median is among them unless it is marked.
pub(super) fn largest_error(summary: &Summary, values: &[(i64, u64)], form: Form) -> f64 {
    let Some(truth) = Truth::of(values, form) else {
        assert_eq!(*summary, Summary::default());
        return 0.0;
    };
    assert_eq!((summary.count, summary.sum), (truth.count, truth.sum));
    assert_eq!([summary.min, summary.max], truth.ends);
    assert_eq!(i128::from(summary.range()), i128::from(summary.max) - i128::from(summary.min));
    let mut errors = vec![
        error(summary.mean, &truth.mean),
        error(summary.var, &truth.var),
        error(summary.std, &truth.std),
        error(summary.skew, &truth.skew),
        error(summary.kurt, &truth.kurt),
        error(summary.cv, &truth.cv),
    ];
    let [low, high] = truth.middle;
    if summary.median_is_exact {
        errors.push(error(summary.median, &((BigInt::from(low) + high) * one() / 2)));
    } else {
        let [low, high] = [low as f64, high as f64];
        assert!(summary.median >= low - low.abs() / 128.0 && summary.median <= high + high.abs() / 128.0);
    }
    errors.into_iter().fold(0.0, f64::max)
}

/// As [`largest_error`], of the figures of a row, of whose unit `unit` make one; the second is that of the median.
pub(crate) fn largest_errors(figures: &Figures, values: &[(i64, u64)], unit: u64) -> [f64; 2] {
    let Some(truth) = Truth::of(values, Form::Population) else {
        assert_eq!(*figures, Figures::default());
        return [0.0; 2];
    };
    assert_eq!(figures.count, truth.count);
    let whole = |n: i128| quotient(BigInt::from(n), &BigInt::from(unit));
    let [min, max] = truth.ends.map(i128::from);
    let [low, high] = truth.middle.map(i128::from);
    let errors = [
        error(figures.sum, &whole(truth.sum)),
        error(figures.min, &whole(min)),
        error(figures.max, &whole(max)),
        error(figures.range, &whole(max - min)),
        error(figures.mean, &(truth.mean / unit)),
        error(figures.var, &(truth.var / unit / unit)),
        error(figures.std, &(truth.std / unit)),
        error(figures.skew, &truth.skew),
        error(figures.kurt, &truth.kurt),
        error(figures.cv, &truth.cv),
    ];
    [errors.into_iter().fold(0.0, f64::max), error(figures.median, &(whole(low + high) / 2))]
}

impl Truth {
    /// That of values, if there are any.
    fn of(values: &[(i64, u64)], form: Form) -> Option<Truth> {
        let mut values = values.to_vec();
        values.sort_unstable();
        let count: u64 = values.iter().map(|&(_, times)| times).sum();
        let sum: i128 = values.iter().map(|&(value, times)| i128::from(value) * i128::from(times)).sum();
        if count == 0 {
            return None;
        }
        let ends = [values[0].0, values[values.len() - 1].0];
        let n = BigInt::from(count);
        // Σ (n x - Σ x)^k = n^(k + 1) M_k
        let power_sum =
            |k: u32| -> BigInt { values.iter().map(|&(value, times)| (&n * value - sum).pow(k) * times).sum() };
        let [second, third, fourth] = [2, 3, 4].map(power_sum);
        let equal = second == BigInt::ZERO;
        let mean = quotient(BigInt::from(sum), &n);
        let population = quotient(second.clone(), &n.pow(3));
        let (mut skew, mut kurt) = (BigInt::ZERO, BigInt::ZERO);
        if !equal {
            // (D_3 / n⁴) / (D_2 / n³)^1.5 = D_3 √n / D_2^1.5
            skew = &third * square_root(&(&n * one())) * one() / square_root(&(second.pow(3) * one()));
            kurt = quotient(&n * &fourth, &second.pow(2)) - 3 * one();
        }
        let mut var = population;
        if form == Form::Sample {
            var = if count < 2 { BigInt::ZERO } else { quotient(second, &(n.pow(2) * (&n - 1))) };
            skew = if count < 3 || equal {
                BigInt::ZERO
            } else {
                skew * square_root(&(&n * (&n - 1) * one())) / ((&n - 2) * one())
            };
            kurt = if count < 4 || equal {
                BigInt::ZERO
            } else {
                ((&n + 1) * kurt + 6 * one()) * (&n - 1) / ((&n - 2) * (&n - 3))
            };
        }
        let std = square_root(&var);
        let cv = if sum == 0 { BigInt::ZERO } else { &std * one() / &mean };
        let middle = middle(&values, count);
        Some(Truth { count, sum, ends, middle, mean, var, std, skew, kurt, cv })
    }
}

/// The two middle values of sorted pairs.
fn middle(values: &[(i64, u64)], count: u64) -> [i64; 2] {
    [(count - 1) / 2, count / 2].map(|at| {
        let mut seen = 0;
        let reached = |&&(_, times): &&(i64, u64)| {
            seen += times;
            seen > at
        };
        values.iter().find(reached).unwrap().0
    })
}
