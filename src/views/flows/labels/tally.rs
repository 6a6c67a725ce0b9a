//! What the rules came to.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::rule::Subject;
use crate::time::{NS_PER_SECOND, Timestamp};

/// Unlabelled flows of attackers that are told one by one.
const EXAMPLES: usize = 5;

/// Minutes that the clock may be off, at most: a day.
const MOST: i64 = 24 * 60;

/// Counts while flows are labelled.
#[derive(Debug)]
pub(super) struct Tally {
    /// Lines of the rules.
    lines: Vec<usize>,
    labels: BTreeMap<Arc<str>, u64>,
    /// Flows by rule.
    matched: Vec<u64>,
    unmatched: u64,
    of_attackers: u64,
    examples: Vec<String>,
    /// Flows by the rule that counted and another that was hidden.
    hidden: BTreeMap<(usize, usize), u64>,
    /// For each number of minutes by which the clock could be off, how many more flows and rules with both ends would match than
    /// for one less.
    steps: Vec<i64>,
}

/// What the rules came to for all flows that were labelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Flows by label, of those that a rule matched.
    pub labels: Vec<(String, u64)>,
    /// Flows that no rule matched.
    pub unmatched: u64,
    /// Those that an attacker began.
    pub of_attackers: u64,
    /// The first few of these.
    pub examples: Vec<String>,
    /// Rules that matched no flow.
    pub idle: Vec<Idle>,
    /// Rules that hid others.
    pub overlaps: Vec<Overlap>,
    /// Another clock by which more flows would match.
    pub offset: Option<Offset>,
}

/// A rule that matched no flow. Its text says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Its line.
    pub line: usize,
    /// Its label.
    pub label: String,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rule of line {} ({}) matched no flow", self.line, self.label)
    }
}

/// Flows that matched two rules with different labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Line of the rule that counted.
    pub line: usize,
    /// Line of the one that it hid.
    pub hidden: usize,
    /// How many flows.
    pub flows: u64,
}

/// A clock that would fit better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Minutes to be added to the times of packets.
    pub minutes: i64,
    /// Matches of flows and rules with `from` and `to` then.
    pub matches: u64,
    /// Those matches as it is.
    pub now: u64,
}

impl Tally {
    pub(super) fn new(lines: Vec<usize>) -> Tally {
        Tally {
            matched: vec![0; lines.len()],
            lines,
            labels: BTreeMap::new(),
            unmatched: 0,
            of_attackers: 0,
            examples: Vec::new(),
            hidden: BTreeMap::new(),
            steps: vec![0; 2 * MOST as usize + 2],
        }
    }

    /// Notes with which clocks a flow that begins at `first` would lie in a window with both ends. Of another, more flows are in
    /// the open side the further the clock is moved, which says nothing about the clock.
    pub(super) fn could_match(&mut self, window: &Range<i64>, first: i64) {
        if window.start == i64::MIN || window.end == i64::MAX {
            return;
        }
        let minute = 60 * i128::from(NS_PER_SECOND);
        // first + minutes >= border, for the first time.
        let reaches = |border: i64| (i128::from(border) - i128::from(first) + minute - 1).div_euclid(minute);
        let place = |minutes: i128| (minutes.clamp(i128::from(-MOST), i128::from(MOST) + 1) as i64 + MOST) as usize;
        self.steps[place(reaches(window.start))] += 1;
        self.steps[place(reaches(window.end))] -= 1;
    }

    pub(super) fn match_rule(&mut self, place: usize, label: &Arc<str>) {
        self.matched[place] += 1;
        match self.labels.get_mut(label) {
            Some(flows) => *flows += 1,
            None => _ = self.labels.insert(Arc::clone(label), 1),
        }
    }

    pub(super) fn hide(&mut self, by: usize, hidden: usize) {
        *self.hidden.entry((by, hidden)).or_default() += 1;
    }

    /// Counts a flow that no rule matched, and whose it was if it is an attacker's.
    pub(super) fn miss(&mut self, attacker: Option<&Subject>) {
        self.unmatched += 1;
        let Some(flow) = attacker else { return };
        self.of_attackers += 1;
        if self.examples.len() < EXAMPLES {
            let Subject { src, dst, protocol, first } = flow;
            let time = Timestamp(*first);
            self.examples.push(format!("{} {} to {} {}, protocol {protocol}, at {time}", src.0, src.1, dst.0, dst.1));
        }
    }

    /// Counts of the same rules, from 0.
    pub(super) fn anew(&self) -> Tally {
        Tally::new(self.lines.clone())
    }

    pub(super) fn report<'r>(&self, labels: impl Iterator<Item = &'r str>) -> Report {
        let rules = self.lines.iter().zip(labels).zip(&self.matched);
        let idle =
            rules.filter(|(_, flows)| **flows == 0).map(|((&line, label), _)| Idle { line, label: label.to_owned() });
        let overlap = |(&(by, hidden), &flows): (&(usize, usize), &u64)| Overlap {
            line: self.lines[by],
            hidden: self.lines[hidden],
            flows,
        };
        Report {
            labels: self.labels.iter().map(|(label, &flows)| (label.to_string(), flows)).collect(),
            unmatched: self.unmatched,
            of_attackers: self.of_attackers,
            examples: self.examples.clone(),
            idle: idle.collect(),
            overlaps: self.hidden.iter().map(overlap).collect(),
            offset: self.offset(),
        }
    }

    /// The clock with most matches, if it has a tenth more than the one that is; of equal ones whole hours, then half hours,
    /// then what is nearest.
    fn offset(&self) -> Option<Offset> {
        let mut sum = 0_i64;
        let matches: Vec<(i64, i64)> = (-MOST..=MOST)
            .zip(&self.steps)
            .map(|(minutes, step)| {
                sum += step;
                (minutes, sum)
            })
            .collect();
        let now = matches.get(MOST as usize)?.1;
        let unusual = |minutes: i64| (minutes % 60 != 0, minutes % 30 != 0, minutes.abs());
        let best = matches.iter().max_by_key(|(minutes, n)| (*n, std::cmp::Reverse(unusual(*minutes))))?;
        let &(minutes, n) = best;
        (n > now + now / 10).then_some(Offset { minutes, matches: n as u64, now: now as u64 })
    }
}
