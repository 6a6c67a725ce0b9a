//! From where packets have to be read again to make what is not out yet.
//!
//! A span is the time in which a 5-tuple was never silent for longer than any flow may be. How its flows end, by whatever rule, follows
//! from the packets of the span alone. So the flows of an hour, and those that bucket rows call new, can be made from all packets since the
//! earliest span began that reaches into that hour. The last packet before it is needed as well: rows of empty buckets begin behind it.
//! The view tells that whenever the clock passes the end of an hour by a margin.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::engine::ledger::Intake;
use crate::engine::view::{Batch, Mark, Part, ShardView, View};
use crate::error::Result;
use crate::table::FlowTable;
use crate::time::{NS_PER_SECOND, Timestamp};

/// Nanoseconds of an hour.
pub(super) const HOUR: i64 = 3600 * NS_PER_SECOND;

/// Begin of the hour of a time.
pub(super) fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR).saturating_mul(HOUR)
}

/// Hours that end here are complete: nothing of them comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Whose margin it is, by its place in the list.
    pub(super) margin: usize,
    /// The end of an hour.
    pub(super) until: i64,
    /// The earliest packet that is needed for what is not complete.
    pub(super) needs: i64,
}

/// Hears what has been passed, and how many 5-tuples are live.
pub(super) type Hears = Rc<RefCell<dyn FnMut(News) -> Result<()>>>;

/// What is told at a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Passed(Passed),
    /// What the clock shows, and how many 5-tuples are live.
    Clock(i64, usize),
}

/// See the module.
pub(super) struct Spans {
    margins: Arc<[i64]>,
    silence: i64,
    hears: Hears,
}

impl Spans {
    /// Tells when the clock, by packets, is behind the end of an hour by one of `margins`. A span ends with `silence`. Both in nanoseconds.
    pub(super) fn new(margins: &[i64], silence: i64, hears: Hears) -> Spans {
        Spans { margins: margins.into(), silence, hears }
    }
}

impl View for Spans {
    fn wants_marks(&self) -> bool {
        true
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(Shard {
            silence: self.silence,
            passed: vec![i64::MIN; self.margins.len()],
            margins: Arc::clone(&self.margins),
            spans: Vec::new(),
            behind: BTreeMap::new(),
            latest: BTreeMap::new(),
            first: i64::MIN,
            is_new: false,
            next: i64::MAX,
            clock: i64::MIN,
            looked: i64::MIN,
            live: 0,
            ended: Vec::new(),
        })
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let Ok(news) = part.downcast::<Vec<News>>() else { continue };
            news.into_iter().try_for_each(|news| (self.hears.borrow_mut())(news))?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &Intake) -> Result<()> {
        Ok(())
    }
}

/// A span, empty where it ends before it begins.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: i64,
    last: i64,
}

const NONE: Span = Span { first: i64::MAX, last: i64::MIN };

struct Shard {
    margins: Arc<[i64]>,
    silence: i64,
    /// By flow.
    spans: Vec<Span>,
    /// Of spans behind which another began: the earliest begin, by the hour of the end.
    behind: BTreeMap<i64, i64>,
    /// The latest packet of each hour from the earliest that was not passed on, and of the one before.
    latest: BTreeMap<i64, i64>,
    /// When the file begins: packets are read again by file, so an earlier one in it needs none before.
    first: i64,
    /// A file has begun, and its first time was not told yet.
    is_new: bool,
    /// When the file behind it begins.
    next: i64,
    clock: i64,
    /// When it was last looked for what is over.
    looked: i64,
    passed: Vec<i64>,
    /// Spans that are held.
    live: usize,
    ended: Vec<u32>,
}

impl Shard {
    /// The earliest begin of spans that reach to a time.
    fn needs(&self, until: i64) -> i64 {
        let reaches = until.min(self.clock.saturating_sub(self.silence));
        let firsts = self.spans.iter().filter(|span| span.last >= reaches).map(|span| span.first);
        let behind = self.behind.range(hour(reaches)..).map(|(_, first)| *first);
        let before = self.latest.range(..until).next_back().map(|(_, latest)| *latest);
        firsts.chain(behind).chain(before).min().unwrap_or(until).min(until)
    }

    /// Lets go of what is over and of no hour to come, once an hour.
    fn expire(&mut self) {
        let earliest = self.passed.iter().copied().min().unwrap_or(i64::MIN);
        if let Some((&hour, _)) = self.latest.range(..earliest).next_back() {
            self.latest = self.latest.split_off(&hour);
        }
        let before = earliest.min(self.clock.saturating_sub(self.silence));
        if before.saturating_sub(self.looked) < self.silence {
            return;
        }
        self.looked = before;
        self.behind = self.behind.split_off(&hour(before));
        for (flow, span) in (0..).zip(&mut self.spans) {
            if span.last < before && span.first <= span.last {
                *span = NONE;
                self.live -= 1;
                self.ended.push(flow);
            }
        }
    }
}

impl ShardView for Shard {
    fn file(&mut self, _: u32, next: Timestamp) {
        (self.is_new, self.next) = (true, next.0);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        if batch.table.ids() > self.spans.len() {
            self.spans.resize(batch.table.ids(), NONE);
        }
        let mut latest = (i64::MIN, i64::MIN);
        for (packet, flow) in batch.packets.iter().zip(batch.flows) {
            if !(latest.0..=latest.1).contains(&packet.time.0) {
                let hour = hour(packet.time.0);
                let of_hour = self.latest.entry(hour).or_insert(i64::MIN);
                *of_hour = packet.time.0.max(*of_hour);
                latest = (hour, *of_hour);
            }
            let (span, time) = (&mut self.spans[flow.id as usize], packet.time.0.max(self.first));
            // Where time goes back, too: a span is rather too long than too short. What is silent in this file may go on in one that begins before
            // the silence is over.
            if time.min(self.next).saturating_sub(span.last) > self.silence {
                if span.first <= span.last {
                    let first = self.behind.entry(hour(span.last)).or_insert(i64::MAX);
                    *first = span.first.min(*first);
                } else {
                    self.live += 1;
                }
                *span = NONE;
            }
            *span = Span { first: span.first.min(time), last: span.last.max(time) };
        }
    }

    fn mark(&mut self, mark: Mark, _: &FlowTable) -> Option<Part> {
        self.clock = self.clock.max(mark.last.min(mark.next_file).0);
        let mut told = Vec::new();
        for margin in 0..self.margins.len() {
            let until = hour(self.clock.saturating_sub(self.margins[margin]));
            if until > self.passed[margin] {
                self.passed[margin] = until;
                told.push(News::Passed(Passed { margin, until, needs: self.needs(until) }));
            }
        }
        self.expire();
        told.push(News::Clock(self.clock, self.live));
        Some(Box::new(told))
    }

    fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        if let Some(first) = before.filter(|_| std::mem::take(&mut self.is_new)) {
            self.first = first.0;
        }
        None
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.ended);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.spans.get(flow as usize).is_some_and(|span| span.first <= span.last)
    }
}
