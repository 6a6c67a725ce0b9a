//! A block: 21 statistics of one sequence of signed values.
//!
//! Of the magnitudes b of all n values: `mean` Σ b / n, `var` Σ (b - mean)² / n, `std` its root, `min`, `max`, `range`
//! max - min, `median` the middle one or the mean of the two middle ones, `sum`, `count`. `up` is over the positive
//! values, `down` over the magnitudes of the negative ones; 0 without any. A block without values has empty cells.

use crate::flow::moments::{Figures, Form, Summary};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, FeatureColumn};

/// How many columns a block has.
pub(super) const WIDTH: usize = 21;

macro_rules! block {
    ($name:literal $unit:literal $square:literal $what:literal) => {
        [
            block!(@ $name "mean" Float $unit $what),
            block!(@ $name "std" Float $unit $what),
            block!(@ $name "var" Float $square $what),
            block!(@ $name "min" Float $unit $what),
            block!(@ $name "max" Float $unit $what),
            block!(@ $name "range" Float $unit $what),
            block!(@ $name "median" Float $unit $what),
            block!(@ $name "sum" Float $unit $what),
            block!(@ $name "up_mean" Float $unit $what),
            block!(@ $name "up_std" Float $unit $what),
            block!(@ $name "up_min" Float $unit $what),
            block!(@ $name "up_max" Float $unit $what),
            block!(@ $name "up_sum" Float $unit $what),
            block!(@ $name "up_count" Integer "" $what),
            block!(@ $name "down_mean" Float $unit $what),
            block!(@ $name "down_std" Float $unit $what),
            block!(@ $name "down_min" Float $unit $what),
            block!(@ $name "down_max" Float $unit $what),
            block!(@ $name "down_sum" Float $unit $what),
            block!(@ $name "down_count" Integer "" $what),
            block!(@ $name "count" Integer "" $what),
        ]
    };
    (@ $name:literal $stat:literal $kind:ident $unit:literal $what:literal) => {
        FeatureColumn {
            name: concat!("feature.", $name, ".", $stat),
            kind: Kind::$kind,
            unit: $unit,
            about: concat!($stat, " of ", $what),
        }
    };
}

/// The columns of all blocks, in their order.
pub(super) const BLOCKS: [[FeatureColumn; WIDTH]; 8] = [
    block!("packet_lengths" "bytes" "bytes^2" "frame lengths on the wire, signed by direction"),
    block!("ip_lengths" "bytes" "bytes^2" "IP lengths, signed by direction"),
    block!("trans_lengths" "bytes" "bytes^2" "lengths of TCP or UDP header and payload, signed by direction"),
    block!("app_lengths" "bytes" "bytes^2" "lengths of captured TCP or UDP payload, signed by direction"),
    block!("iats" "s" "s^2" "times to the packet before, negative where time goes back"),
    block!("payload_bytes" "bytes" "bytes^2" "lengths of captured TCP or UDP payload, signed by direction"),
    block!("tcp_flags" "" "" "TCP flags, FIN 1 to CWR 128"),
    block!("tcp_window" "" "" "TCP window fields, not scaled"),
];

/// Works out blocks one after another.
#[derive(Debug)]
pub(super) struct Desk {
    all: Vec<(i64, u64)>,
    up: Vec<(i64, u64)>,
    down: Vec<(i64, u64)>,
}

impl Desk {
    /// Room for blocks of that many values.
    pub(super) fn new(most: usize) -> Desk {
        let [all, up, down] = [(); 3].map(|()| Vec::with_capacity(most));
        Desk { all, up, down }
    }

    /// Appends the cells of a block of values, of which `unit` make the unit of its columns.
    pub(super) fn block(&mut self, values: impl Iterator<Item = i64>, unit: f64, cells: &mut Vec<Cell<'static>>) {
        let Desk { all, up, down } = self;
        [&mut *all, up, down].into_iter().for_each(Vec::clear);
        for value in values {
            let magnitude = (value.saturating_abs(), 1);
            all.push(magnitude);
            match value {
                1.. => up.push(magnitude),
                0 => {}
                _ => down.push(magnitude),
            }
        }
        if all.is_empty() {
            cells.extend(std::iter::repeat_n(Cell::Absent, WIDTH));
            return;
        }
        let figures = |pairs| Summary::of(pairs, Form::Population).figures(unit);
        // What is of one sign is summarised once; the summary of nothing is all 0.
        let (all, up, down) = match (up.len() == all.len(), down.len() == all.len()) {
            (false, false) => (figures(all), figures(up), figures(down)),
            (is_up, _) => {
                let all = figures(all);
                if is_up { (all, all, Figures::default()) } else { (all, Figures::default(), all) }
            }
        };
        let Figures { mean, std, var, min, max, range, median, sum, .. } = all;
        cells.extend([mean, std, var, min, max, range, median, sum].map(Cell::Float));
        for side in [up, down] {
            cells.extend([side.mean, side.std, side.min, side.max, side.sum].map(Cell::Float));
            cells.push(Cell::Count(side.count));
        }
        cells.push(Cell::Count(all.count));
    }
}
