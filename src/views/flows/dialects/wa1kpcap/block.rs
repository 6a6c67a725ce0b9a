//! A block: 21 statistics of one sequence of signed values.
//!
//! Of the magnitudes b of all n values: `mean` Σ b / n, `var` Σ (b - mean)² / n, `std` its root, `min`, `max`, `range`
//! max - min, `median` the middle one or the mean of the two middle ones, `sum`, `count`. `up` is over the positive
//! values, `down` over the magnitudes of the negative ones; 0 without any. A block without values has empty cells.

use super::sums::{Figures, Sums};
use crate::flow::moments::{self, Form, Summary};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cells, FeatureColumn, Plain};

/// How many columns a block has.
pub(super) const WIDTH: usize = 21;

macro_rules! block {
    ($name:literal $unit:literal $square:literal $what:literal) => {
        [
            block!(@ $name "mean" Float $unit "mean of magnitudes: " $what),
            block!(@ $name "std" Float $unit "standard deviation (of a population) of magnitudes: " $what),
            block!(@ $name "var" Float $square "variance (of a population) of magnitudes: " $what),
            block!(@ $name "min" Float $unit "least of magnitudes: " $what),
            block!(@ $name "max" Float $unit "greatest of magnitudes: " $what),
            block!(@ $name "range" Float $unit "greatest less least of magnitudes: " $what),
            block!(@ $name "median" Float $unit "median of magnitudes: " $what),
            block!(@ $name "sum" Float $unit "sum of magnitudes: " $what),
            block!(@ $name "up_mean" Float $unit "mean of positive values: " $what),
            block!(@ $name "up_std" Float $unit "standard deviation (of a population) of positive values: " $what),
            block!(@ $name "up_min" Float $unit "least of positive values: " $what),
            block!(@ $name "up_max" Float $unit "greatest of positive values: " $what),
            block!(@ $name "up_sum" Float $unit "sum of positive values: " $what),
            block!(@ $name "up_count" Integer "" "number of positive values: " $what),
            block!(@ $name "down_mean" Float $unit "mean of magnitudes of negative values: " $what),
            block!(@ $name "down_std" Float $unit "standard deviation (of a population) of magnitudes of negative values: " $what),
            block!(@ $name "down_min" Float $unit "least of magnitudes of negative values: " $what),
            block!(@ $name "down_max" Float $unit "greatest of magnitudes of negative values: " $what),
            block!(@ $name "down_sum" Float $unit "sum of magnitudes of negative values: " $what),
            block!(@ $name "down_count" Integer "" "number of negative values: " $what),
            block!(@ $name "count" Integer "" "number of values: " $what),
        ]
    };
    (@ $name:literal $stat:literal $kind:ident $unit:literal $about:literal $what:literal) => {
        FeatureColumn {
            name: concat!("feature.", $name, ".", $stat),
            kind: Kind::$kind,
            unit: $unit,
            about: concat!($about, $what),
        }
    };
}

/// The columns of all blocks, in their order.
pub(super) const BLOCKS: [[FeatureColumn; WIDTH]; 8] = [
    block!("packet_lengths" "bytes" "bytes^2" "frame lengths on the wire, negative if down"),
    block!("ip_lengths" "bytes" "bytes^2" "IP lengths, negative if down"),
    block!("trans_lengths" "bytes" "bytes^2" "lengths of TCP or UDP header and payload, negative if down"),
    block!("app_lengths" "bytes" "bytes^2" "lengths of captured TCP or UDP payload, negative if down"),
    block!("iats" "s" "s^2" "times to the packet before, negative where time goes back; see `float_times`"),
    block!("payload_bytes" "bytes" "bytes^2" "lengths of captured TCP or UDP payload, negative if down; see `udp_without_payload`"),
    block!("tcp_flags" "" "" "TCP flags, FIN 1 to CWR 128"),
    block!("tcp_window" "" "" "TCP window fields, not scaled"),
];

/// Works out blocks one after another.
#[derive(Debug, Default)]
pub(super) struct Desk {
    magnitudes: Vec<u64>,
}

/// The figures of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    all: Figures,
    median: f64,
    up: Figures,
    down: Figures,
}

impl Block {
    fn cells(&self) -> [Plain; WIDTH] {
        let Block { all, median, up, down } = self;
        let (f, c) = (Plain::Float, Plain::Count);
        [
            f(all.mean),
            f(all.std),
            f(all.var),
            f(all.min),
            f(all.max),
            f(all.range),
            f(*median),
            f(all.sum),
            f(up.mean),
            f(up.std),
            f(up.min),
            f(up.max),
            f(up.sum),
            c(up.count),
            f(down.mean),
            f(down.std),
            f(down.min),
            f(down.max),
            f(down.sum),
            c(down.count),
            c(all.count),
        ]
    }
}

impl Desk {
    /// Appends the block of values, of which `unit` make the unit of its columns; empty cells without any.
    pub(super) fn block(&mut self, values: &[i64], unit: f64, cells: &mut Cells) {
        if values.is_empty() {
            return cells.put([Plain::Absent; WIDTH]);
        }
        cells.put(self.figures(values, unit).cells());
    }

    #[inline(always)]
    fn figures(&mut self, values: &[i64], unit: f64) -> Block {
        let [mut zero, mut up, mut down] = [Sums::NONE; 3];
        for &value in values {
            let side = match value {
                0 => &mut zero,
                1.. => &mut up,
                _ => &mut down,
            };
            side.add(value.unsigned_abs());
        }
        let all = up.and(&down).and(&zero);
        if !all.fit() {
            return wide(values, unit);
        }
        let all_figures = all.figures(unit);
        let median = if all.is_one() { all_figures.mean } else { self.median(values) / unit };
        // What is of one sign is worked out once.
        let side = |side: &Sums| if side.count == all.count { all_figures } else { side.figures(unit) };
        Block { all: all_figures, median, up: side(&up), down: side(&down) }
    }

    /// The middle magnitude, or the mean of the two middle ones. They have less than 63 bits.
    fn median(&mut self, values: &[i64]) -> f64 {
        self.magnitudes.clear();
        self.magnitudes.extend(values.iter().map(|value| value.unsigned_abs()));
        let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
        let (below, &mut upper, _) = self.magnitudes.select_nth_unstable(high);
        let lower = if low == high { upper } else { below.iter().copied().max().unwrap_or(upper) };
        (lower + upper) as i64 as f64 / 2.0
    }
}

/// The block of values of any size.
#[cold]
fn wide(values: &[i64], unit: f64) -> Block {
    let side = |is_of: fn(&i64) -> bool| {
        let mut pairs = values.iter().copied().filter(is_of).map(|value| (value.saturating_abs(), 1)).collect();
        let of = Summary::of(&mut pairs, Form::Population).figures(unit);
        let moments::Figures { count, sum, mean, std, var, min, max, range, median, .. } = of;
        (Figures { count, mean, std, var, min, max, range, sum }, median)
    };
    let ((all, median), (up, _), (down, _)) = (side(|_| true), side(|value| *value > 0), side(|value| *value < 0));
    Block { all, median, up, down }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            8 => -70_000_i64..70_000,
            2 => Just(0),
            2 => -1_000_000_000_000_i64..1_000_000_000_000,
            1 => any::<i64>(),
            1 => Just(i64::MIN),
        ]
    }

    proptest! {
        #[test]
        fn one_pass_gives_what_moments_give(values in prop::collection::vec(value(), 1..80), most in any::<i64>()) {
            // Some with only small values, and some with only a few different ones.
            let most = most.checked_abs().unwrap_or(1).max(1) >> (most & 63);
            let small: Vec<i64> = values.iter().map(|value| value % (most + 1)).collect();
            for values in [values, small] {
                for unit in [1.0, 1e9, (1_u64 << 36) as f64] {
                    prop_assert_eq!(Desk::default().figures(&values, unit), wide(&values, unit));
                }
            }
        }
    }
}
