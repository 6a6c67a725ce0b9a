//! By how much numbers differ.

use serde::Serialize;

/// Magnitudes of differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Values that are numbers in both.
    pub values: u64,
    /// The greatest difference, in the column's unit.
    pub max: f64,
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The greatest in relation to the greater of the two numbers; 0 to 2, above 1 where their signs differ.
    pub max_relative: f64,
    /// The middle one of these.
    pub median_relative: f64,
}

/// The differences of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences {
    pub(super) rows: u64,
    absolute: Vec<f64>,
    relative: Vec<f64>,
}

impl Differences {
    /// Takes one; what are no numbers differs without magnitude.
    pub(super) fn add(&mut self, numbers: Option<[f64; 2]>) {
        self.rows += 1;
        if let Some([a, b]) = numbers {
            let difference = (a - b).abs();
            self.absolute.push(difference);
            self.relative.push(difference / a.abs().max(b.abs()));
        }
    }

    pub(super) fn spread(mut self) -> Option<Spread> {
        let [max, median] = extent(&mut self.absolute)?;
        let [max_relative, median_relative] = extent(&mut self.relative)?;
        Some(Spread { values: self.absolute.len() as u64, max, median, max_relative, median_relative })
    }
}

/// The greatest and the middle one.
fn extent(numbers: &mut [f64]) -> Option<[f64; 2]> {
    numbers.sort_unstable_by(f64::total_cmp);
    let (max, middle) = (*numbers.last()?, numbers.len() / 2);
    let median = if numbers.len() % 2 == 1 { numbers[middle] } else { numbers[middle - 1].midpoint(numbers[middle]) };
    Some([max, median])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_of_the_numbers_and_rows_of_all() {
        let mut differences = Differences::default();
        assert_eq!(differences.clone().spread(), None);
        for numbers in [Some([10.0, 8.0]), None, Some([-1.0, 1.0]), Some([0.0, 5.0]), Some([100.0, 99.0])] {
            differences.add(numbers);
        }
        assert_eq!(differences.rows, 5);
        let spread = Spread { values: 4, max: 5.0, median: 2.0, max_relative: 2.0, median_relative: 0.6 };
        assert_eq!(differences.clone().spread(), Some(spread));
        differences.add(Some([0.0, 3.0]));
        assert_eq!(differences.spread().map(|spread| (spread.median, spread.median_relative)), Some((2.0, 1.0)));
    }
}
