//! Isolation Forest on one feature, as scikit-learn's `IsolationForest` does it (Liu, Ting, Zhou 2008).
//!
//! The rules are those of scikit-learn 1.9.1, `ensemble/_iforest.py` and `tree/_splitter.pyx`: values are rounded to
//! 32 bits; a tree sees `min(256, n)` of them, drawn without replacement, and is at most `ceil(log2(that))` deep; a node splits at
//! a uniform draw between its smallest and largest value unless they lie within 1e-7; a leaf's path length is its
//! depth plus the mean depth of an unsuccessful search among its values; outliers are what scores strictly below the
//! percentile asked for, so ties with it are inliers and equal values share one label.
//!
//! The randomness is ours (Xoshiro256++, [`libm`] for the logarithm), so labels are the same on every platform but not
//! bit for bit scikit-learn's, whose own labels near the threshold change with the seed. In one dimension a tree is a row of intervals,
//! which is why no tree is ever built: splitting a sorted sample yields its leaves from left to right, and all distinct
//! values are scored in one walk beside them. Time is O(trees (256 log 256 + distinct values)) after a sort.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Most values that one tree sees (`max_samples="auto"`).
const MAX_SAMPLE: usize = 256;

/// Values this close are one (`FEATURE_THRESHOLD`, 32-bit as there).
const SAME: f32 = 1e-7;

/// What the forest says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// It lies among the others (scikit-learn's +1).
    Inlier,
    /// It is easily isolated (scikit-learn's -1).
    Outlier,
}

/// Fits `trees` trees to `values` and labels each of them, so that at most the share `contamination` (0 to 0.5) are outliers.
///
/// A contamination of 0 means no outliers; scikit-learn rejects it. The labels depend on the order of the values when
/// there are more than 256. Values should be finite; one that is NaN is an outlier before all others.
#[must_use]
pub fn labels(values: &[f64], trees: usize, contamination: f64, seed: u64) -> Vec<Label> {
    if values.is_empty() || contamination.is_nan() || contamination <= 0.0 {
        return vec![Label::Inlier; values.len()];
    }
    let scores = scores(values, trees, seed);
    let threshold = percentile(&scores, contamination.min(1.0));
    scores.into_iter().map(|score| if score < threshold { Label::Outlier } else { Label::Inlier }).collect()
}

/// scikit-learn's `score_samples`: from -1 (isolated at once) towards 0.
fn scores(values: &[f64], trees: usize, seed: u64) -> Vec<f64> {
    // Adding zero turns -0.0 into 0.0, which it equals.
    let values: Vec<f32> = values.iter().map(|&value| value as f32 + 0.0).collect();
    let mut distinct = values.clone();
    distinct.sort_unstable_by(f32::total_cmp);
    distinct.dedup_by(|a, b| a.to_bits() == b.to_bits());

    let size = values.len().min(MAX_SAMPLE);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut forest = Walk {
        random: &mut random,
        max_depth: size.max(2).next_power_of_two().ilog2(),
        mean_depths: (0..=size).map(mean_depth).collect(),
        paths: vec![0.0; distinct.len()],
        distinct: &distinct,
        reached: 0,
    };
    let mut drawn = values.clone();
    for _ in 0..trees {
        if values.len() > size {
            draw(&mut drawn, size, forest.random);
        }
        let mut sample = [0.0; MAX_SAMPLE];
        let sample = &mut sample[..size];
        sample.copy_from_slice(&drawn[..size]);
        sample.sort_unstable_by(f32::total_cmp);
        forest.reached = 0;
        forest.node(sample, 0, f64::INFINITY);
    }

    let scale = trees as f64 * mean_depth(size);
    let paths = forest.paths;
    let score = |path: f64| if scale > 0.0 { -libm::exp2(-path / scale) } else { -0.5 };
    let by_distinct: Vec<f64> = paths.into_iter().map(score).collect();
    let place = |value: &f32| distinct.binary_search_by(|other| other.total_cmp(value)).ok();
    values.iter().map(|value| place(value).and_then(|at| by_distinct.get(at).copied()).unwrap_or(-1.0)).collect()
}

/// The walk along one tree after the other.
struct Walk<'a> {
    random: &'a mut Xoshiro256PlusPlus,
    max_depth: u32,
    /// By number of values.
    mean_depths: Vec<f64>,
    /// Sum of the path lengths so far, by distinct value.
    paths: Vec<f64>,
    distinct: &'a [f32],
    /// How many of the distinct values this tree's leaves have reached.
    reached: usize,
}

impl Walk<'_> {
    /// Splits a sorted node whose values, and all that would fall into it, are at most `upper`.
    fn node(&mut self, sorted: &[f32], depth: u32, upper: f64) {
        if depth < self.max_depth
            && let [min, .., max] = *sorted
            && max > min + SAME
        {
            let (low, high) = (f64::from(min), f64::from(max));
            let drawn = low + (high - low) * unit(self.random);
            let at = if drawn < high { drawn } else { low };
            let (left, right) = sorted.split_at(sorted.partition_point(|&value| f64::from(value) <= at));
            self.node(left, depth + 1, at);
            self.node(right, depth + 1, upper);
        } else {
            let path = f64::from(depth) + self.mean_depths[sorted.len()];
            let rest = self.paths.iter_mut().zip(self.distinct).skip(self.reached);
            for (sum, _) in rest.take_while(|(_, value)| f64::from(**value) <= upper) {
                *sum += path;
                self.reached += 1;
            }
        }
    }
}

/// Mean depth of an unsuccessful search in a binary search tree of `n` values (`_average_path_length`).
fn mean_depth(n: usize) -> f64 {
    const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = n as f64;
            2.0 * (libm::log(n - 1.0) + EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

/// Brings a uniform draw of `size` values without replacement to the front (Fisher and Yates).
fn draw(values: &mut [f32], size: usize, random: &mut Xoshiro256PlusPlus) {
    for at in 0..size.min(values.len()) {
        let left = (values.len() - at) as u64;
        values.swap(at, at + below(left, random) as usize);
    }
}

/// A uniform integer below `n` (Lemire 2019).
fn below(n: u64, random: &mut Xoshiro256PlusPlus) -> u64 {
    let reject = n.wrapping_neg() % n;
    loop {
        let product = u128::from(random.next_u64()) * u128::from(n);
        if product as u64 >= reject {
            return (product >> 64) as u64;
        }
    }
}

/// A uniform number in [0, 1), a multiple of 2^-53.
fn unit(random: &mut Xoshiro256PlusPlus) -> f64 {
    (random.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// The share-quantile as `numpy.percentile(scores, 100 * share)` interpolates it, in its order of operations.
fn percentile(scores: &[f64], share: f64) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = (sorted.len() - 1) as f64 * (100.0 * share / 100.0);
    let at = libm::floor(position);
    let t = position - at;
    let last = sorted.len() - 1;
    let below = sorted[(at as usize).min(last)];
    let above = sorted[(at as usize + 1).min(last)];
    let gap = above - below;
    if t < 0.5 { below + gap * t } else { above - gap * (1.0 - t) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        trees: usize,
        seeds: u32,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        contamination: f64,
        values: Vec<f64>,
        /// How many seeds call the value an outlier.
        outlier: Vec<u32>,
        /// The smallest distance of its score from the threshold, over the seeds.
        margin: Vec<f64>,
        /// Its mean score.
        score: Vec<f64>,
    }

    fn outliers(values: &[f64], contamination: f64) -> Vec<f64> {
        let labels = labels(values, 256, contamination, 42);
        values.iter().zip(labels).filter(|(_, label)| *label == Label::Outlier).map(|(value, _)| *value).collect()
    }

    #[test]
    fn labels_are_scikit_learns_wherever_its_seeds_agree() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/forest.json")).unwrap();
        let mut compared = 0;
        for case in golden.cases {
            let labels = labels(&case.values, golden.trees, case.contamination, 42);
            for (i, label) in labels.into_iter().enumerate() {
                if case.margin[i] >= 0.02 && [0, golden.seeds].contains(&case.outlier[i]) {
                    let outlier = case.outlier[i] == golden.seeds;
                    assert_eq!(label == Label::Outlier, outlier, "{}, value {i} = {}", case.name, case.values[i]);
                    compared += 1;
                }
            }
        }
        assert!(compared > 500, "only {compared} labels were clear enough to compare");
    }

    #[test]
    fn scores_are_scikit_learns_to_two_hundredths() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/forest.json")).unwrap();
        for case in golden.cases {
            for (i, score) in scores(&case.values, golden.trees, 42).into_iter().enumerate() {
                assert!(
                    (score - case.score[i]).abs() < 0.02,
                    "{}, value {i}: {score}, not {}",
                    case.name,
                    case.score[i]
                );
            }
        }
    }

    #[test]
    fn labels_are_the_same_in_every_build() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i * i % 997) / 997.0).collect();
        let labels = labels(&values, 256, 0.14, 42);
        let places: Vec<usize> = (0..400).filter(|&i| labels[i] == Label::Outlier).collect();
        let expected = [
            0, 1, 2, 3, 4, 5, 6, 7, 8, 31, 32, 44, 45, 55, 63, 71, 77, 89, 95, 100, 105, 114, 118, 122, 130, 134, 141,
            148, 158, 161, 164, 167, 170, 173, 184, 192, 207, 214, 221, 230, 232, 266, 268, 277, 286, 291, 311, 322,
            325, 340, 343, 353, 360, 371, 375, 388,
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn the_originals_traps_are_reproduced() {
        assert_eq!(outliers(&[1.0, 1.0, 0.0], 0.14), [0.0]);
        assert_eq!(outliers(&[0.5; 30], 0.14), [0.0; 0]);
        let half: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        assert_eq!(outliers(&half, 0.14), [0.0; 0]);
    }

    #[test]
    fn no_contamination_means_no_outliers() {
        assert_eq!(outliers(&[0.0, 0.0, 0.0, 1.0], 0.0), [0.0; 0]);
        assert_eq!(outliers(&[], 0.14), [0.0; 0]);
        assert_eq!(outliers(&[1.0], 0.5), [0.0; 0]);
    }

    #[test]
    fn equal_values_share_a_label_and_the_share_of_outliers_is_kept() {
        let values: Vec<f64> = (0..700).map(|i| f64::from(i * 7919 % 101) / 101.0).collect();
        let labels = labels(&values, 64, 0.14, 42);
        for (i, value) in values.iter().enumerate() {
            let first = values.iter().position(|other| other == value).unwrap();
            assert_eq!(labels[i], labels[first]);
        }
        assert!(labels.iter().filter(|label| **label == Label::Outlier).count() <= 98);
    }

    #[test]
    fn values_that_are_no_numbers_do_no_harm() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0, 0.0, 0.5];
        assert_eq!(labels(&odd, 32, 0.14, 42).len(), odd.len());
    }
}
