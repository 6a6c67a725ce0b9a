//! Statistics of a multiset of integers: the formulas, and how they stay exact.
//!
//! With n values x, their mean m and central moments M_k = Σ (x - m)^k / n:
//!
//! | figure | population form | sample form |
//! |---|---|---|
//! | `mean` | Σ x / n | the same |
//! | `var` | M_2 | M_2 n / (n - 1) |
//! | `std` | √var | √var |
//! | `skew` | g = M_3 / M_2^1.5 | g √(n (n - 1)) / (n - 2) |
//! | `kurt` | h = M_4 / M_2² - 3 | ((n + 1) h + 6) (n - 1) / ((n - 2) (n - 3)) |
//! | `cv` | std / mean | std / mean |
//! | `median` | the middle value, or the mean of the two middle ones | the same |
//!
//! A figure is 0 where it is undefined: everything without values, `skew` and `kurt` of equal values, `cv` with mean 0,
//! and the sample forms below 2 (`var`), 3 (`skew`) and 4 (`kurt`) values. Kurtosis is Fisher's: 0 for a normal
//! distribution. The sample forms are those of Joanes and Gill, "Comparing measures of sample skewness and kurtosis"
//! (The Statistician 47, 1998): `G1` and `G2`.
//!
//! Values are integers, so n^k M_k is an integer too. It is computed as one, without rounding, from power sums around
//! the rounded mean: nothing cancels, and the order of values does not matter. Only the last step, a quotient or a
//! root, is in `f64`. The errors that remain are a few units in the last place, about 10⁻¹⁵.
//!
//! Values must lie within ±[`LIMIT`], and their number below 2^48; [`Summary::of`] and sketches clamp the former.

use super::sketch::Sketch;
use super::wide::Wide;

/// The largest magnitude of a value, 2^61: in nanoseconds 73 years.
pub const LIMIT: i64 = 1 << 61;

/// Whether the values are all there is, or a sample of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The values are the population: moments divide by n.
    #[default]
    Population,
    /// The values are a sample: `var`, `skew` and `kurt` estimate those of the population.
    Sample,
}

/// Statistics of a multiset of integers, in their unit (its square for `var`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: i128,
    /// The least of them.
    pub min: i64,
    /// The greatest of them.
    pub max: i64,
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    pub var: f64,
    /// Their standard deviation.
    pub std: f64,
    /// Their skewness, without unit.
    pub skew: f64,
    /// Their excess kurtosis, without unit.
    pub kurt: f64,
    /// Their coefficient of variation, without unit.
    pub cv: f64,
    /// Their median.
    pub median: f64,
    /// False where the flow had more values than it may hold; then the median is within 0.8 % (1/128) of a true middle
    /// value.
    pub median_is_exact: bool,
}

/// The summary of nothing.
impl Default for Summary {
    fn default() -> Summary {
        Summary {
            count: 0,
            sum: 0,
            min: 0,
            max: 0,
            mean: 0.0,
            var: 0.0,
            std: 0.0,
            skew: 0.0,
            kurt: 0.0,
            cv: 0.0,
            median: 0.0,
            median_is_exact: true,
        }
    }
}

impl Summary {
    /// Summarises (value, how often) pairs, which it puts in another order. A value may occur in several pairs.
    #[must_use]
    pub fn of(pairs: &mut Vec<(i64, u64)>, form: Form) -> Summary {
        for (value, _) in pairs.iter_mut() {
            *value = (*value).clamp(-LIMIT, LIMIT);
        }
        summarise(pairs, &[], form)
    }

    /// Greatest less least value.
    #[must_use]
    pub fn range(&self) -> u64 {
        self.max.abs_diff(self.min)
    }

    /// The figures in a coarser unit that is `unit` of the values' units: 10⁹ makes seconds of nanoseconds.
    #[must_use]
    pub fn figures(&self, unit: f64) -> Figures {
        let figures = Figures {
            count: self.count,
            sum: nearest(self.sum),
            mean: self.mean,
            std: self.std,
            var: self.var,
            min: self.min as f64,
            max: self.max as f64,
            range: self.range() as f64,
            median: self.median,
            skew: self.skew,
            kurt: self.kurt,
            cv: self.cv,
        };
        if unit == 1.0 { figures } else { figures.in_units_of(unit) }
    }
}

/// A [`Summary`] as numbers for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "named as in Summary")]
pub struct Figures {
    pub count: u64,
    pub sum: f64,
    pub mean: f64,
    pub std: f64,
    pub var: f64,
    pub min: f64,
    pub max: f64,
    pub range: f64,
    pub median: f64,
    pub skew: f64,
    pub kurt: f64,
    pub cv: f64,
}

impl Figures {
    fn in_units_of(self, unit: f64) -> Figures {
        Figures {
            sum: self.sum / unit,
            mean: self.mean / unit,
            std: self.std / unit,
            var: self.var / unit / unit,
            min: self.min / unit,
            max: self.max / unit,
            range: self.range / unit,
            median: self.median / unit,
            ..self
        }
    }
}

/// Summarises pairs and sketches as one multiset; the pairs are of use to nobody afterwards.
pub(super) fn summarise(pairs: &mut Vec<(i64, u64)>, sketches: &[Sketch], form: Form) -> Summary {
    let (mut min, mut max, mut count, mut sum) = (i64::MAX, i64::MIN, 0, 0);
    for sketch in sketches {
        min = min.min(sketch.ends()[0]);
        max = max.max(sketch.ends()[1]);
        count += sketch.count();
        sum += sketch.sum();
    }
    for &(value, times) in pairs.iter() {
        min = min.min(value);
        max = max.max(value);
        count += times;
        sum += i128::from(value) * i128::from(times);
    }
    if count == 0 {
        return Summary::default();
    }
    let mean = nearest(sum) / count as f64;
    if min == max {
        return Summary { count, sum, min, max, mean, median: mean, ..Summary::default() };
    }
    let spread = max.abs_diff(min);
    let moments = match (&pairs[..], sketches) {
        (&[one, other], []) => of_two(one.min(other).1, one.max(other).1, spread),
        _ => None,
    };
    let moments = moments.unwrap_or_else(|| self::moments(pairs, sketches, Bulk { count, sum, spread }));
    let median_is_exact = sketches.iter().all(|sketch| sketch.count() == 0);
    sketches.iter().for_each(|sketch| sketch.buckets(pairs));
    let median = median(pairs, count).clamp(min as f64, max as f64);
    let summary = Summary { count, sum, min, max, mean, median, median_is_exact, ..Summary::default() };
    shape(summary, &moments, form)
}

/// The nearest `f64`; most numbers have 64 bits, and of those the processor knows it.
#[inline]
fn nearest(number: i128) -> f64 {
    #[cold]
    #[inline(never)]
    fn wide(number: i128) -> f64 {
        number as f64
    }
    i64::try_from(number).map_or_else(|_| wide(number), |number| number as f64)
}

/// Variance and what follows from it, by the table above.
fn shape(mut summary: Summary, moments: &Moments, form: Form) -> Summary {
    let n = summary.count as f64;
    let Moments { second, third, fourth } = *moments;
    let skew = third / (second * second.sqrt());
    let kurt = fourth / (second * second) - 3.0;
    (summary.var, summary.skew, summary.kurt) = match form {
        Form::Population => (second / (n * n), skew, kurt),
        Form::Sample => (
            if n < 2.0 { 0.0 } else { second / (n * (n - 1.0)) },
            if n < 3.0 { 0.0 } else { skew * (n * (n - 1.0)).sqrt() / (n - 2.0) },
            if n < 4.0 { 0.0 } else { ((n + 1.0) * kurt + 6.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0)) },
        ),
    };
    summary.std = summary.var.sqrt();
    summary.cv = if summary.sum == 0 { 0.0 } else { summary.std / summary.mean };
    summary
}

/// n^k M_k for k = 2, 3, 4, each rounded once.
struct Moments {
    second: f64,
    third: f64,
    fourth: f64,
}

/// The moments of two values, `spread` apart, of which the lower occurs `a` times and the higher `b` times. In closed form,
/// with d the spread:
///
/// n² M_2 = a b d², n³ M_3 = a b (a - b) d³, n⁴ M_4 = a b (a² - a b + b²) d⁴
///
/// The first is rounded once, as ever; nothing where it has more than 128 bits.
fn of_two(a: u64, b: u64, spread: u64) -> Option<Moments> {
    let exact = (u128::from(a) * u128::from(b)).checked_mul(u128::from(spread) * u128::from(spread))?;
    let second = u64::try_from(exact).map_or(exact as f64, |exact| exact as f64);
    let (d, difference) = (spread as f64, a as f64 - b as f64);
    let product = a as f64 * b as f64;
    // a² - a b + b² = (a - b)² + a b: nothing cancels.
    let fourth = second * (difference * difference + product) * (d * d);
    Some(Moments { second, third: second * difference * d, fourth })
}

/// What is known before the moments.
struct Bulk {
    count: u64,
    sum: i128,
    spread: u64,
}

impl Bulk {
    /// The mean, rounded to an integer within least and greatest value.
    fn pivot(&self) -> i64 {
        let n = self.count as i64;
        match i64::try_from(self.sum + i128::from(n / 2)) {
            Ok(sum) => sum.div_euclid(n),
            Err(_) => (self.sum + i128::from(n / 2)).div_euclid(i128::from(n)) as i64,
        }
    }
}

/// The moments, in integers as wide as they can need.
///
/// With d the spread, no term or partial sum of n^4 M_4 exceeds 6 (n d)^4, since deviations are at most d and their sum
/// at most n / 2.
fn moments(pairs: &[(i64, u64)], sketches: &[Sketch], bulk: Bulk) -> Moments {
    let bits = (u64::BITS - bulk.count.leading_zeros()) + (u64::BITS - bulk.spread.leading_zeros());
    match bits {
        // Moving the sketch's sums from 0 to the pivot takes room for the values themselves, not only for their spread.
        _ if !sketches.is_empty() => {
            let powers = sketches.iter().map(|sketch| sketch.around(bulk.pivot()));
            central::<8>(pairs, powers.fold(Powers::default(), Powers::plus), bulk)
        }
        ..=15 => central::<1>(pairs, Powers::default(), bulk),
        16..=31 => central::<2>(pairs, Powers::default(), bulk),
        32..=62 => central::<4>(pairs, Powers::default(), bulk),
        _ => central::<8>(pairs, Powers::default(), bulk),
    }
}

/// Sums of second, third and fourth powers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Powers<const N: usize> {
    pub(super) second: Wide<N>,
    pub(super) third: Wide<N>,
    pub(super) fourth: Wide<N>,
}

impl<const N: usize> Powers<N> {
    fn plus(self, other: Powers<N>) -> Powers<N> {
        Powers {
            second: self.second.plus(other.second),
            third: self.third.plus(other.third),
            fourth: self.fourth.plus(other.fourth),
        }
    }
}

/// The moments out of power sums around the pivot: those of the pairs and `others`.
#[inline(always)]
fn central<const N: usize>(pairs: &[(i64, u64)], others: Powers<N>, bulk: Bulk) -> Moments {
    let pivot = bulk.pivot();
    let Powers { mut second, mut third, mut fourth } = others;
    for &(value, times) in pairs {
        // Values are within ±2^61 and the pivot among them, so this is within i64, and its square within i128.
        let deviation = value - pivot;
        let power = Wide::from(i128::from(deviation) * i128::from(deviation)).times(times as i64);
        second = second.plus(power);
        let power = power.times(deviation);
        third = third.plus(power);
        fourth = fourth.plus(power.times(deviation));
    }
    let n = bulk.count as i64;
    // At most n / 2, since the pivot is the rounded mean.
    let first = (bulk.sum - i128::from(n) * i128::from(pivot)) as i64;
    let first_squared = Wide::from(i128::from(first) * i128::from(first));
    // n² M_2 = n S_2 - S_1²
    // n³ M_3 = n (n S_3 - 3 S_1 S_2) + 2 S_1³
    // n⁴ M_4 = n (n (n S_4 - 4 S_1 S_3) + 6 S_1² S_2) - 3 S_1⁴
    let second_moment = second.times(n).minus(first_squared);
    let third_moment =
        third.times(n).minus(second.times(first).times(3)).times(n).plus(first_squared.times(first).times(2));
    let fourth_moment = fourth.times(n).minus(third.times(first).times(4)).times(n);
    let fourth_moment = fourth_moment.plus(second.times(first).times(first).times(6)).times(n);
    let fourth_moment = fourth_moment.minus(first_squared.times(first).times(first).times(3));
    Moments { second: second_moment.to_f64(), third: third_moment.to_f64(), fourth: fourth_moment.to_f64() }
}

/// The median of pairs that count `count` values in all.
fn median(pairs: &mut [(i64, u64)], count: u64) -> f64 {
    let (low, high) = ((count - 1) / 2, count / 2);
    // As many pairs as values: each occurs once, and no order but that around the middle is needed.
    if pairs.len() as u64 == count && pairs.len() > 32 {
        let (below, &mut (upper, _), _) = pairs.select_nth_unstable(high as usize);
        let lower = if low == high { upper } else { below.iter().map(|&(value, _)| value).max().unwrap_or(upper) };
        return midpoint(lower, upper);
    }
    pairs.sort_unstable_by_key(|&(value, _)| value);
    let mut seen = 0;
    let mut lower = None;
    for &(value, times) in pairs.iter() {
        seen += times;
        if lower.is_none() && seen > low {
            lower = Some(value);
        }
        if let Some(lower) = lower
            && seen > high
        {
            return midpoint(lower, value);
        }
    }
    0.0
}

fn midpoint(a: i64, b: i64) -> f64 {
    // Values are within ±2^61.
    (a + b) as f64 / 2.0
}

#[cfg(test)]
mod tests;
