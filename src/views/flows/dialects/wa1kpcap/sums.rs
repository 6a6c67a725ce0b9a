//! What a block's figures follow from, in one pass.
//!
//! A variance is exact: n Σ b² - (Σ b)² is an integer, and only its quotient by n² is rounded, as in
//! [`crate::flow::moments`]. What has not enough room in integers of 128 bits is worked out there.

use crate::flow::moments::LIMIT;

/// Sums of magnitudes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) count: u64,
    sum: u64,
    squares: u128,
    min: u64,
    max: u64,
}

/// Figures of magnitudes; all 0 without any.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) std: f64,
    pub(super) var: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) range: f64,
    pub(super) sum: f64,
}

impl Sums {
    pub(super) const NONE: Sums = Sums { count: 0, sum: 0, squares: 0, min: u64::MAX, max: 0 };

    /// Sums wrap where they do not [`fit`](Sums::fit).
    #[inline(always)]
    pub(super) fn add(&mut self, magnitude: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(magnitude);
        self.squares = self.squares.wrapping_add(u128::from(magnitude) * u128::from(magnitude));
        self.min = self.min.min(magnitude);
        self.max = self.max.max(magnitude);
    }

    pub(super) fn and(&self, other: &Sums) -> Sums {
        Sums {
            count: self.count + other.count,
            sum: self.sum.wrapping_add(other.sum),
            squares: self.squares.wrapping_add(other.squares),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Whether no magnitude counts as less than it is ([`LIMIT`]), and neither the sum has more than 63 bits nor anything of the variance more than 126.
    pub(super) fn fit(&self) -> bool {
        let bits = |n: u64| u64::BITS - n.leading_zeros();
        self.max <= LIMIT.unsigned_abs() && bits(self.count) + bits(self.max) <= 63
    }

    /// All magnitudes are this one.
    pub(super) fn is_one(&self) -> bool {
        self.min == self.max
    }

    /// The figures in a coarser unit, of which `unit` make one.
    #[inline]
    pub(super) fn figures(&self, unit: f64) -> Figures {
        if self.count == 0 {
            return Figures::default();
        }
        // Most units are 1, and a division costs more than asking.
        let in_units = |n: f64| if unit == 1.0 { n } else { n / unit };
        let n = self.count as f64;
        let sum = self.sum as i64 as f64;
        let [squares, square] =
            [(self.count, self.squares), (self.sum, self.sum.into())].map(|(a, b)| u128::from(a) * b);
        // Of many sides one packet is all there is.
        let var = if squares == square { 0.0 } else { nearest(squares - square) / (n * n) };
        Figures {
            count: self.count,
            mean: in_units(sum / n),
            std: if var == 0.0 { 0.0 } else { in_units(var.sqrt()) },
            var: in_units(in_units(var)),
            min: in_units(self.min as i64 as f64),
            max: in_units(self.max as i64 as f64),
            range: in_units((self.max - self.min) as i64 as f64),
            sum: in_units(sum),
        }
    }
}

/// The nearest float; of numbers of 63 bits the processor knows it.
#[inline]
fn nearest(number: u128) -> f64 {
    i64::try_from(number).map_or_else(|_| number as f64, |number| number as f64)
}
