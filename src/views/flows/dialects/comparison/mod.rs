//! Two dialects over the same captures: which values differ, by how much, and why.
//!
//! Rows are of one flow where the engine's records say so: the same ends, whichever is the client, the same protocol, the same
//! earliest packet to the nanosecond. How a dialect writes times, and which end it puts first, does not matter. Columns are of
//! one thing by a table of names (`meanings.rs`).
//!
//! Between dialects that have the same switches, as those of the CICFlowMeter family, every difference has a reason that was tried: the fewest switches found (`why.rs`) that, set in
//! the first dialect as they stand in the second, make the value of the first that of the second. For other pairs what is
//! documented ([`Dialect::differences`]) has to do.
//!
//! Memory: the rows of the first dialect, about 3 KB each with 84 columns (of wa1kpcap, also its packets), and 48 bytes for each
//! value of the second that differs. Either may have [`MOST_ROWS`] rows unless [more](Comparer::most_rows) are allowed; beyond that is an error. The captures are read
//! once a dialect, and once for each set of switches that is tried.

mod meanings;
mod rows;
mod spread;
mod why;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

pub use rows::Runs;
pub use spread::Spread;
pub use why::{MOST_RUNS, Reason, Tried};

use super::Dialect;
use crate::engine::{Builder, Report};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::views::flows::{Cell, Settings};
use meanings::{Pair, pairs};
use rows::Runner;
use spread::Differences;
use why::{Search, Wanted};

/// Rows that either dialect may have, unless others are asked for.
pub const MOST_ROWS: usize = 500_000;

/// What the values of two dialects differ in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The two, by name.
    pub dialects: [&'static str; 2],
    /// Flows that have a row in both.
    pub rows: u64,
    /// Flows that have one in the first alone, and in the second alone.
    pub only_rows: [Lone; 2],
    /// The columns that were compared, in the order of the first.
    pub columns: Vec<Compared>,
    /// Columns of the first alone, and of the second alone.
    pub only_columns: [Vec<&'static str>; 2],
    /// Whether both have the same switches, so that there are reasons.
    pub one_family: bool,
    /// The switches that stand differently in the two.
    pub switches: Vec<Tried>,
    /// Values whose reason may name more switches than it takes, since [enough](Comparer::most_runs) were tried.
    pub unreduced: u64,
}

/// Rows of one dialect alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lone {
    /// How many.
    pub rows: u64,
    /// Why, the most frequent first; nothing where the two are not of one family.
    pub why: Vec<Reason>,
}

/// A column in both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Its names.
    pub names: [&'static str; 2],
    /// Its unit in the first, which numbers of the second were brought to.
    pub unit: &'static str,
    /// Rows of both in which it differs.
    pub rows: u64,
    /// By how much, where both have numbers in any of them.
    pub spread: Option<Spread>,
    /// Why, the most frequent first; nothing where the two are not of one family.
    pub why: Vec<Reason>,
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Comparer {
    runner: Runner,
    most_rows: usize,
    most_runs: usize,
}

impl Comparer {
    /// Compares over these captures, read by `engine`, of which packets count that match `filter`. What a dialect says nothing of
    /// is as in `usual`.
    pub fn new<P: Into<std::path::PathBuf>>(
        engine: Builder,
        filter: Filter,
        usual: Settings,
        captures: impl IntoIterator<Item = P>,
    ) -> Comparer {
        let captures = captures.into_iter().map(Into::into).collect();
        let runner = Runner { engine, filter, usual, captures, runs: Arc::default() };
        Comparer { runner, most_rows: MOST_ROWS, most_runs: MOST_RUNS }
    }

    /// How many rows either dialect may have.
    #[must_use]
    pub fn most_rows(self, rows: usize) -> Comparer {
        Comparer { most_rows: rows, ..self }
    }

    /// How many sets of switches are tried to make reasons smaller; [`MOST_RUNS`] unless others are asked for.
    #[must_use]
    pub fn most_runs(self, runs: usize) -> Comparer {
        Comparer { most_runs: runs, ..self }
    }

    /// Tells these how many times the captures will be read. How far that is, the engine's
    /// [`Progress`](crate::engine::Progress) says, which goes on from run to run.
    #[must_use]
    pub fn runs(mut self, runs: Arc<Runs>) -> Comparer {
        self.runner.runs = runs;
        self
    }

    /// Compares two dialects. The report is of the first's run.
    ///
    /// # Errors
    /// More rows than there may be, as an error of the sink; a stop that was asked for, or a ledger that does not balance.
    pub fn compare(&self, first: &Dialect, second: &Dialect) -> Result<(Comparison, Report)> {
        let pairs = pairs(first, second);
        let search = Search::new(&self.runner, [first, second], &pairs, self.most_runs);
        self.runner.runs.expect(2 + search.as_ref().map_or(0, Search::switches));
        let mut places = HashMap::new();
        let mut values: Vec<Vec<Cell<'static>>> = Vec::new();
        let report = self.runner.run(first, |place, cells| {
            let row = values.len();
            self.room(first, row)?;
            places.insert(place, row);
            values.push(pairs.iter().map(|pair| cells[pair.at[0]].clone()).collect());
            Ok(())
        })?;
        let mut differences = vec![Differences::default(); pairs.len()];
        let mut wanted: Vec<Vec<Wanted>> = vec![Vec::new(); values.len()];
        let mut met = vec![false; values.len()];
        let (mut both, mut rows) = (0, 0);
        self.runner.run(second, |place, cells| {
            self.room(second, rows)?;
            rows += 1;
            let Some(&row) = places.get(&place) else {
                places.insert(place, wanted.len());
                wanted.push(vec![Wanted::Row]);
                return Ok(());
            };
            (met[row], both) = (true, both + 1);
            for (column, (pair, ours)) in pairs.iter().zip(&values[row]).enumerate() {
                let theirs = &cells[pair.at[1]];
                if !pair.same(ours, theirs) {
                    differences[column].add(pair.amounts(ours, theirs));
                    wanted[row].push(Wanted::Value(column, theirs.clone()));
                }
            }
            Ok(())
        })?;
        drop(values);
        let gone = met.iter().enumerate().filter(|(_, met)| !**met);
        gone.for_each(|(row, _)| wanted[row].push(Wanted::NoRow));
        let [gone, new] = [met.len() as u64 - both, wanted.len() as u64 - met.len() as u64];
        let one_family = search.is_some();
        let found = search.map(|search| search.run(places, wanted)).transpose()?.unwrap_or_default();
        let only_rows = [Lone { rows: gone, why: found.no_rows }, Lone { rows: new, why: found.rows }];
        let only = |side: usize, dialect: &Dialect| -> Vec<&'static str> {
            let columns = dialect.columns().into_iter().enumerate();
            let alone = columns.filter(|(at, _)| pairs.iter().all(|pair| pair.at[side] != *at));
            alone.map(|(_, column)| column.name).collect()
        };
        let only_columns = [only(0, first), only(1, second)];
        let mut why: BTreeMap<usize, Vec<Reason>> = found.columns;
        let compared = |(column, (pair, differences)): (usize, (&Pair, Differences))| Compared {
            names: pair.names,
            unit: pair.unit,
            rows: differences.rows,
            spread: differences.spread(),
            why: why.remove(&column).unwrap_or_default(),
        };
        Ok((
            Comparison {
                dialects: [first.name, second.name],
                rows: both,
                only_rows,
                columns: pairs.iter().zip(differences).enumerate().map(compared).collect(),
                only_columns,
                one_family,
                switches: found.switches,
                unreduced: found.unreduced,
            },
            report,
        ))
    }

    /// Refuses one row more than there may be.
    fn room(&self, dialect: &Dialect, rows: usize) -> Result<()> {
        if rows < self.most_rows {
            return Ok(());
        }
        let (name, most) = (dialect.name, self.most_rows);
        Err(Error::sink(format!("{name} has more than {most} flows here, and rows are compared in memory")))
    }
}
