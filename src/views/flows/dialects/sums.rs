//! Running sums, from which mean and variance follow exactly, whatever the number of values.

/// Sums of integers below 2^55.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) count: u64,
    pub(super) sum: i128,
    squares: u128,
    /// How often `squares` went around.
    around: u32,
    min: i64,
    max: i64,
}

/// Figures of at least one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) sum: f64,
    pub(super) mean: f64,
    /// Of a sample or a population; 0 for one value.
    pub(super) var: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Figures {
    pub(super) fn std(&self) -> f64 {
        self.var.sqrt()
    }

    /// In a unit that is so many times as great.
    pub(super) fn per(self, unit: f64) -> Figures {
        let Figures { sum, mean, var, min, max } = self;
        Figures { sum: sum / unit, mean: mean / unit, var: var / (unit * unit), min: min / unit, max: max / unit }
    }
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { count: 0, sum: 0, squares: 0, around: 0, min: i64::MAX, max: i64::MIN }
    }
}

impl Sums {
    pub(super) fn add(&mut self, value: i64) {
        self.count += 1;
        self.sum += i128::from(value);
        let around;
        (self.squares, around) = self.squares.overflowing_add(u128::from(value.unsigned_abs()).pow(2));
        self.around += u32::from(around);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub(super) fn and(mut self, other: &Sums) -> Sums {
        let around;
        (self.squares, around) = self.squares.overflowing_add(other.squares);
        Sums {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares,
            around: self.around + other.around + u32::from(around),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Their figures; nothing without values.
    pub(super) fn figures(&self, sample: bool) -> Option<Figures> {
        if self.count == 0 {
            return None;
        }
        let (n, sum) = (self.count as f64, nearest(self.sum));
        let divisor = if sample { n - 1.0 } else { n };
        let var = if self.count == 1 || self.min == self.max { 0.0 } else { self.spread() / divisor };
        Some(Figures { sum, mean: sum / n, var, min: self.min as f64, max: self.max as f64 })
    }

    /// The sum of squared distances from the mean: (n Σ x² - (Σ x)²) / n. Its numerator is an integer; where that has no room in
    /// 128 bits, values are centuries apart, and it is rounded.
    fn spread(&self) -> f64 {
        let n = self.count as f64;
        let squares = u128::from(self.count).checked_mul(self.squares).filter(|_| self.around == 0);
        match (squares, self.sum.unsigned_abs().checked_pow(2)) {
            (Some(squares), Some(square)) => {
                let numerator = squares.saturating_sub(square);
                i128::try_from(numerator).map_or(numerator as f64, nearest) / n
            }
            _ => {
                let squares = self.squares as f64 + f64::from(self.around) * 2_f64.powi(128);
                (squares - (self.sum as f64).powi(2) / n).max(0.0)
            }
        }
    }
}

/// The nearest float; of numbers of 64 bits the processor knows it.
#[inline]
fn nearest(number: i128) -> f64 {
    i64::try_from(number).map_or(number as f64, |number| number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[i64]) -> Sums {
        let mut sums = Sums::default();
        values.iter().for_each(|&value| sums.add(value));
        sums
    }

    #[test]
    fn figures_are_exact_where_a_sum_of_squares_would_cancel() {
        let far = 120_000_000_000_000_000;
        let figures = sums(&[far + 1, far + 2, far + 3]).figures(true).unwrap();
        assert_eq!((figures.var, figures.mean, figures.min), (1.0, (far + 2) as f64, (far + 1) as f64));
        assert_eq!(sums(&[-3, 5]).figures(false).unwrap().var, 16.0);
        assert_eq!(sums(&[7]).figures(true).unwrap(), Figures { sum: 7.0, mean: 7.0, var: 0.0, min: 7.0, max: 7.0 });
        assert!(sums(&[]).figures(true).is_none());
        let (parts, whole) = (sums(&[1, 2]).and(&sums(&[9, -4])), sums(&[1, 2, 9, -4]));
        assert_eq!(parts.figures(true), whole.figures(true));
    }

    #[test]
    fn the_widest_gaps_are_rounded_not_wrong() {
        let wide = 1_i64 << 54;
        let mut sums = Sums::default();
        for _ in 0..(1 << 20) + 4 {
            sums.add(wide);
            sums.add(-wide);
        }
        assert!(sums.around > 0);
        let std = sums.figures(false).unwrap().std();
        assert!((std / wide as f64 - 1.0).abs() < 1e-12, "{std}");
    }
}
