//! How many flows begin in bins, recounted from lists: the `flow_bins_*.json` of version 5.0.
//!
//! Flows of a pair come in the order of their start, so one bin of each width is open. What a bin has of a pair and a kind is hashed when the
//! next begins, and the hashes are summed by pair and width; so little is held, however many bins there are. What the files have is
//! taken off again, and nothing is left where they agree. Pairs of which something is left are counted once more, to tell where.

use std::collections::BTreeMap;

use super::print;
use crate::sink::timeline::flow_bins::{INVALID, KINDS, WIDTHS};

/// What a bin has of a pair and a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Flows that the first host of the pair began, and the second.
    pub(super) by: [u64; 2],
    /// The earliest start, and the latest end.
    pub(super) range: (i64, i64),
}

impl Sum {
    fn add(&mut self, by_low: bool, (start, end): (i64, i64)) {
        let is_first = self.by == [0; 2];
        self.by[usize::from(!by_low)] += 1;
        let (first, last) = if is_first { (start, end) } else { self.range };
        self.range = (first.min(start), last.max(end));
    }
}

/// Of kinds whose flows may have packets that lists have not, the ends are told apart from the rest.
const BROKEN_OFF: [&str; 2] = ["invalid_ack", "invalid_synack"];

/// Whether flows of a kind were broken off.
pub(super) fn is_broken_off(kind: usize) -> bool {
    KINDS.get(kind).is_some_and(|name| BROKEN_OFF.contains(name))
}

/// Hashes of a pair by width.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prints {
    of: [u64; WIDTHS.len()],
    /// The ends of flows that were broken off.
    ends: [u64; WIDTHS.len()],
    /// How much later these ends are in files than in lists, in all.
    later: [i128; WIDTHS.len()],
}

impl Prints {
    /// Adds what lists have, or takes off what files have.
    pub(super) fn add(&mut self, width: usize, bin: i64, kind: usize, sum: &Sum, is_of_lists: bool) {
        let (first, last) = sum.range;
        let is_broken_off = is_broken_off(kind);
        let of = print(&(bin, kind, sum.by, first, if is_broken_off { 0 } else { last }));
        let ends = if is_broken_off { print(&(bin, kind, last)) } else { 0 };
        for (sums, print) in [(&mut self.of, of), (&mut self.ends, ends)] {
            if let Some(sum) = sums.get_mut(width) {
                *sum = if is_of_lists { sum.wrapping_add(print) } else { sum.wrapping_sub(print) };
            }
        }
        if let Some(later) = self.later.get_mut(width).filter(|_| is_broken_off) {
            *later += i128::from(last) * if is_of_lists { -1 } else { 1 };
        }
    }

    /// Whether lists and files have the same at a width; ends that are not known are not before those of lists.
    pub(super) fn agree(&self, width: usize, with_ends: bool) -> bool {
        self.of[width] == 0 && if with_ends { self.ends[width] == 0 } else { self.later[width] >= 0 }
    }
}

/// The bins of a pair that are open.
#[derive(Debug, Default)]
pub(super) struct Open {
    bins: [(i64, [Sum; KINDS.len()]); WIDTHS.len()],
}

impl Open {
    /// Adds a flow at a time since the first packet of all.
    pub(super) fn add(&mut self, prints: &mut Prints, since: i64, kind: usize, by_low: bool, range: (i64, i64)) {
        for (width, (_, us, _)) in WIDTHS.into_iter().enumerate() {
            let bin = since.div_euclid(us);
            if self.bins[width].0 != bin {
                self.close(prints, width);
                self.bins[width].0 = bin;
            }
            if let Some(sum) = self.bins[width].1.get_mut(kind) {
                sum.add(by_low, range);
            }
        }
    }

    /// Nothing more comes of this pair.
    pub(super) fn finish(&mut self, prints: &mut Prints) {
        (0..WIDTHS.len()).for_each(|width| self.close(prints, width));
    }

    fn close(&mut self, prints: &mut Prints, width: usize) {
        let (bin, sums) = std::mem::take(&mut self.bins[width]);
        for (kind, sum) in sums.iter().enumerate().filter(|(_, sum)| sum.by != [0; 2]) {
            prints.add(width, bin, kind, sum, true);
        }
    }
}

/// Bins of some pairs, whole: by width, bin and kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(pub(super) BTreeMap<(usize, i64, usize), Sum>);

impl Counted {
    pub(super) fn add(&mut self, since: i64, kind: usize, by_low: bool, range: (i64, i64)) {
        for (width, (_, us, _)) in WIDTHS.into_iter().enumerate() {
            self.0.entry((width, since.div_euclid(us), kind)).or_default().add(by_low, range);
        }
    }
}

/// What is wrong with a file's word for a pair in a bin; or its sums by kind.
pub(super) fn sums(pair: &str, of: &serde_json::Value) -> Result<Vec<(usize, Sum)>, String> {
    let known = |members: &serde_json::Value, from: usize| -> Result<(), String> {
        let members = members.as_object().ok_or("invalid, initiated_by or ranges has no members")?;
        match members.keys().find(|name| !KINDS[from..].contains(&name.as_str())) {
            Some(name) => Err(format!("{name} is no kind of flows")),
            None => Ok(()),
        }
    };
    known(&of["invalid"], INVALID)?;
    known(&of["ranges"], 0)?;
    let hosts = pair.split_once("<->").ok_or("it is no pair")?;
    let begun = of["initiated_by"].as_object().ok_or("initiated_by has no members")?;
    for (host, kinds) in begun {
        if *host != hosts.0 && *host != hosts.1 {
            return Err(format!("initiated_by has {host}, which is not of the pair"));
        }
        known(kinds, 0)?;
    }
    let mut sums = Vec::new();
    for (kind, name) in KINDS.into_iter().enumerate() {
        let is_invalid = kind >= INVALID;
        let count = if is_invalid { &of["invalid"][name] } else { &of[name] };
        let number = |n: &serde_json::Value| match (n.is_null(), n.as_u64()) {
            (true, _) => Ok(0),
            (_, Some(n)) => Ok(n),
            _ => Err(format!("{name} is {n}, and no number of flows")),
        };
        if count.is_null() && !is_invalid {
            return Err(format!("{name} is missing"));
        }
        let count = number(count)?;
        let low = number(&of["initiated_by"][hosts.0][name])?;
        let high = if hosts.0 == hosts.1 { 0 } else { number(&of["initiated_by"][hosts.1][name])? };
        if low.checked_add(high) != Some(count) {
            return Err(format!("{} of {count} {name} were begun", low.saturating_add(high)));
        }
        let range = of["ranges"].get(name);
        let ends = range.and_then(|range| match range.as_array().map(Vec::as_slice) {
            Some([first, last]) => first.as_i64().zip(last.as_i64()),
            _ => None,
        });
        match (count > 0, range.is_some(), ends) {
            (false, false, _) => {}
            (true, true, Some(range)) if range.0 <= range.1 => sums.push((kind, Sum { by: [low, high], range })),
            _ => return Err(format!("the range of {name} is no pair of times, or missing, or of no flow")),
        }
    }
    Ok(sums)
}
