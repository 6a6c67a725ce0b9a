//! Which switches make a difference: sets of them are tried until each difference has the smallest that was found.
//!
//! A set explains a value if the first dialect, with these switches as in the second, has the second's value there. All together
//! explain every one. First each switch is tried alone; in the order of the list, the first that explains a value is its reason.
//! Of what is left, one switch after the other is taken out of the set, for the values that stay explained without it, until
//! there is none that could be. Layouts have constants of their own, so the layout counts as a switch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::Dialect;
use super::meanings::Pair;
use super::rows::{Place, Runner};
use crate::error::Result;
use crate::views::flows::Cell;

/// Sets of switches that are tried at most to make others smaller. What is not reduced then keeps the set that it has,
/// which explains it.
pub const MOST_RUNS: usize = 1000;

/// A reason of differences: switches that together make them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The switches; `layout` is the choice and order of columns.
    pub switches: Vec<&'static str>,
    /// Values, or rows, of which they are the reason.
    pub values: u64,
}

/// A switch that stands differently in two dialects, and what it was found to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// Its name.
    pub name: &'static str,
    /// How it stands in either.
    pub stands: [&'static str; 2],
    /// What it decides.
    pub about: &'static str,
    /// Values and rows of which it is the reason alone.
    pub alone: u64,
    /// Those of which it is one of several.
    pub with_others: u64,
}

/// Something that the second dialect has and the first has not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// A row.
    Row,
    /// No row.
    NoRow,
    /// This value in a column.
    Value(usize, Cell<'static>),
}

/// Switches by their places in the list, a bit each.
type Set = u64;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) columns: BTreeMap<usize, Vec<Reason>>,
    pub(super) rows: Vec<Reason>,
    pub(super) no_rows: Vec<Reason>,
    pub(super) switches: Vec<Tried>,
    pub(super) unreduced: u64,
}

/// Something wanted, and switches that bring it.
struct Open {
    wanted: Wanted,
    set: Set,
}

pub(super) struct Search<'s> {
    runner: &'s Runner,
    dialects: [&'s Dialect; 2],
    pairs: &'s [Pair],
    /// The switches in question; the layout last, if that differs.
    tried: Vec<Tried>,
    /// How many more sets are tried.
    runs_left: usize,
}

impl<'s> Search<'s> {
    /// A search; nothing if the two have not the same switches.
    pub(super) fn new(
        runner: &'s Runner,
        dialects: [&'s Dialect; 2],
        pairs: &'s [Pair],
        runs_left: usize,
    ) -> Option<Search<'s>> {
        let [ours, theirs] = dialects.map(Dialect::switches);
        if ours.is_empty() || !ours.iter().map(|switch| switch.name).eq(theirs.iter().map(|switch| switch.name)) {
            return None;
        }
        let tried = |name, stands, about| Tried { name, stands, about, alone: 0, with_others: 0 };
        let both = ours.into_iter().zip(theirs).filter(|(ours, theirs)| ours.value != theirs.value);
        let switches = both.map(|(ours, theirs)| tried(ours.name, [ours.value, theirs.value], ours.about));
        let names = |dialect: &Dialect| dialect.columns().into_iter().map(|column| column.name).collect::<Vec<_>>();
        let layouts = dialects.map(Dialect::name);
        let layout = (names(dialects[0]) != names(dialects[1]))
            .then(|| tried(LAYOUT, layouts, "which columns there are, and constants in them"));
        Some(Search { runner, dialects, pairs, tried: switches.chain(layout).collect(), runs_left })
    }

    /// How many switches are in question.
    pub(super) fn switches(&self) -> usize {
        self.tried.len()
    }

    /// Finds the reasons of all that is wanted, by row; `places` says which row is which.
    pub(super) fn run(mut self, places: HashMap<Place, usize>, wanted: Vec<Vec<Wanted>>) -> Result<Found> {
        let all = (1 << self.tried.len()) - 1;
        let open = |wanted: Vec<Wanted>| wanted.into_iter().map(|wanted| Open { wanted, set: all }).collect();
        let mut rows: Vec<Vec<Open>> = wanted.into_iter().map(open).collect();
        for place in 0..self.tried.len() {
            self.runner.runs.expect(self.tried.len() - place);
            self.attempt(all, 1 << place, &places, &mut rows)?;
        }
        let mut unreduced = BTreeSet::new();
        while self.reduce(&places, &mut rows, &mut unreduced)? {}
        self.runner.runs.expect(0);
        Ok(self.sum(&rows, &unreduced))
    }

    /// Takes each switch out of the sets that have others, where that leaves the value; false if it did nowhere.
    fn reduce(
        &mut self,
        places: &HashMap<Place, usize>,
        rows: &mut [Vec<Open>],
        unreduced: &mut BTreeSet<Set>,
    ) -> Result<bool> {
        let mut smaller = false;
        for place in 0..self.tried.len() {
            let sets: BTreeSet<Set> = rows.iter().flatten().map(|open| open.set).collect();
            // Each switch that is left will be taken out of the sets that have it then; of those that are there now, it is known.
            let left = |set: &Set| if set.count_ones() > 1 { (set >> place).count_ones() as usize } else { 0 };
            self.runner.runs.expect(sets.iter().map(left).sum::<usize>().min(self.runs_left));
            for set in sets.into_iter().filter(|set| set & 1 << place != 0 && set.count_ones() > 1) {
                if let Some(left) = self.runs_left.checked_sub(1) {
                    self.runs_left = left;
                    smaller |= self.attempt(set, set & !(1 << place), places, rows)?;
                } else {
                    unreduced.insert(set);
                }
            }
        }
        Ok(smaller)
    }

    /// Tries a set: what is explained by `by` and would be by `set` is explained by that. False if nothing is.
    fn attempt(&mut self, by: Set, set: Set, places: &HashMap<Place, usize>, rows: &mut [Vec<Open>]) -> Result<bool> {
        if by == set || !rows.iter().flatten().any(|open| open.set == by) {
            return Ok(false);
        }
        let mut any = false;
        let (dialect, layout) = self.with(set)?;
        let mut met = vec![false; rows.len()];
        self.runner.run(&dialect, |place, cells| {
            let Some(&row) = places.get(&place) else { return Ok(()) };
            met[row] = true;
            for open in rows[row].iter_mut().filter(|open| open.set == by) {
                let brings = match &open.wanted {
                    Wanted::Row => true,
                    Wanted::NoRow => false,
                    Wanted::Value(column, value) => {
                        let pair = &self.pairs[*column];
                        pair.same(&cells[pair.at[layout]], value)
                    }
                };
                if brings {
                    (open.set, any) = (set, true);
                }
            }
            Ok(())
        })?;
        let gone = rows.iter_mut().zip(met).filter(|(_, met)| !met).flat_map(|(row, _)| row);
        for open in gone.filter(|open| open.set == by && open.wanted == Wanted::NoRow) {
            (open.set, any) = (set, true);
        }
        Ok(any)
    }

    /// The dialect with the switches of a set as in the second, all others as in the first; and in whose layout.
    fn with(&self, set: Set) -> Result<(Dialect, usize)> {
        let of = |place: usize| usize::from(set & 1 << place != 0);
        let tried = || self.tried.iter().enumerate();
        let layout = tried().find(|(_, tried)| tried.name == LAYOUT).map_or(0, |(place, _)| of(place));
        let switches = tried().filter(|(_, tried)| tried.name != LAYOUT);
        let mut dialect = self.dialects[layout].clone();
        for (place, tried) in switches {
            dialect = dialect.set(tried.name, tried.stands[of(place)])?;
        }
        Ok((dialect, layout))
    }

    fn sum(mut self, rows: &[Vec<Open>], unreduced: &BTreeSet<Set>) -> Found {
        let mut columns: BTreeMap<usize, BTreeMap<Set, u64>> = BTreeMap::new();
        let (mut of_rows, mut of_no_rows) = (BTreeMap::new(), BTreeMap::new());
        let mut left = 0;
        for Open { wanted, set } in rows.iter().flatten() {
            let count = match wanted {
                Wanted::Row => &mut of_rows,
                Wanted::NoRow => &mut of_no_rows,
                Wanted::Value(column, _) => columns.entry(*column).or_default(),
            };
            *count.entry(*set).or_default() += 1;
            left += u64::from(unreduced.contains(set));
            for (_, tried) in self.tried.iter_mut().enumerate().filter(|(place, _)| set & 1 << place != 0) {
                *(if set.count_ones() == 1 { &mut tried.alone } else { &mut tried.with_others }) += 1;
            }
        }
        let reasons = |counts: BTreeMap<Set, u64>| {
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_by_key(|&(set, values)| (std::cmp::Reverse(values), set.count_ones(), set));
            counts.into_iter().map(|(set, values)| Reason { switches: self.names(set), values }).collect::<Vec<_>>()
        };
        Found {
            columns: columns.into_iter().map(|(column, counts)| (column, reasons(counts))).collect(),
            rows: reasons(of_rows),
            no_rows: reasons(of_no_rows),
            unreduced: left,
            switches: self.tried.clone(),
        }
    }

    fn names(&self, set: Set) -> Vec<&'static str> {
        let tried = self.tried.iter().enumerate();
        tried.filter(|(place, _)| set & 1 << place != 0).map(|(_, tried)| tried.name).collect()
    }
}

/// The name of the layout among the switches.
const LAYOUT: &str = "layout";
