//! From where packets have to be read again to make what is not out yet.
//!
//! A span is the time in which a 5-tuple was never silent for longer than any view remembers it ([`View::hindsight`]). What lies before a span has
//! no say in it: how its flows begin and end, and which of them bucket rows call new, follows from the packets of the span. So the records of an hour
//! can be made from all packets since the earliest span began that reaches into that hour, or to what a view may still remember at the clock. A flow
//! that has not left is of such a span, also where a packet that begins the next one waits: its view ends it at the marker
//! ([`ShardView::settled`] says what is to come). Where packets need those of other 5-tuples, all of a period are needed
//! ([`Hindsight::period`]). For buckets, the last packet before the hour is needed as well: rows of empty ones begin behind it.
//!
//! What ends a span is a packet behind a silence as packets came; a view looks at them in order of time, and has that packet wait. One that comes late, for a place
//! in the silence, is then of the flow before it, and there is no silence. So a span that is over is held until the next one is, and such a packet joins
//! the two. More than one may be over and yet lie open where no marker came between; they are held as one, which is too long at worst.
//!
//! Which packets are late for a bucket goes by what has left, and so by packets that no span knows of: those from the last one on that lies before
//! all that may be late in the first file that is needed ([`Late`]). They are needed as well.
//!
//! Some 5-tuples are never silent. So of a span no more is needed than [`LONGEST`] before the hours to come, and whatever goes by what is needed, captures
//! that stay, what the journal knows, what a start reads, is bounded. Flows that go on for longer are cut there by whoever reads again.
//!
//! The view tells that whenever what a product has [settled](Standing::settled) passes the end of an hour. So an hour is complete when the view
//! that makes it says so, and what is needed goes by the same word.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::standing::Standing;
use super::wild::DAY;
use crate::engine::ledger::Intake;
use crate::engine::view::{Batch, Hindsight, Mark, Part, ShardView, View};
use crate::error::Result;
use crate::table::FlowTable;
use crate::time::{NS_PER_SECOND, Timestamp};

/// Nanoseconds of an hour.
pub(super) const HOUR: i64 = 3600 * NS_PER_SECOND;

/// How long before the hours to come packets are needed for a span at most, nanoseconds.
pub(super) const LONGEST: i64 = DAY;

/// Begin of the hour of a time.
pub(super) fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR).saturating_mul(HOUR)
}

/// Hours that end here are complete: nothing of them comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Of which product, by its place in the list.
    pub(super) product: usize,
    /// The end of an hour.
    pub(super) until: i64,
    /// The earliest packet that is needed for what is not complete.
    pub(super) needs: i64,
    /// No packet says so, but a clock.
    pub(super) is_quiet: bool,
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

/// From when on packets of a file that begins at a time may come for records that have left; nothing where none do, nanoseconds.
pub(super) type Late = Box<dyn Fn(i64) -> Option<i64> + Send + Sync>;

/// What says of a product which packets it needs.
pub(super) struct Needs {
    pub(super) standing: Arc<Standing>,
    pub(super) late: Late,
    pub(super) hindsight: Hindsight,
}

/// See the module.
pub(super) struct Spans {
    products: Arc<[Needs]>,
    silence: i64,
    hears: Hears,
}

impl Spans {
    /// Tells when one of `products` is behind the end of an hour. A span ends with a silence longer than `silence`, nanoseconds; where that is nothing,
    /// no view looks back: nobody is told of the clock, and files in any order make the same.
    pub(super) fn new(products: Vec<Needs>, silence: i64, hears: Hears) -> Spans {
        Spans { products: products.into(), silence, hears }
    }
}

impl View for Spans {
    fn wants_marks(&self) -> bool {
        true
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(Shard {
            silence: self.silence,
            passed: vec![i64::MIN; self.products.len()],
            needed: vec![i64::MIN; self.products.len()],
            products: Arc::clone(&self.products),
            looked: i64::MIN,
            is_quiet: false,
            rows: Vec::new(),
            behind: BTreeMap::new(),
            latest: BTreeMap::new(),
            files: VecDeque::new(),
            first: i64::MIN,
            is_new: false,
            next: i64::MAX,
            clock: i64::MIN,
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

/// The time of packets, empty where it ends before it begins.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: i64,
    last: i64,
}

const NONE: Span = Span { first: i64::MAX, last: i64::MIN };

/// A file, and the time of its packets that views have.
struct File {
    begins: i64,
    packets: Span,
}

/// The spans of a 5-tuple.
#[derive(Clone, Copy, Debug)]
struct Row {
    now: Span,
    /// Those before that a late packet may join to it.
    before: Span,
}

const EMPTY: Row = Row { now: NONE, before: NONE };

impl Row {
    fn is_live(&self) -> bool {
        self.now.last > NONE.last
    }
}

struct Shard {
    products: Arc<[Needs]>,
    silence: i64,
    /// By flow.
    rows: Vec<Row>,
    /// Of spans that are over: the earliest begin, by the hour of the end.
    behind: BTreeMap<i64, i64>,
    /// The latest packet of each hour from the earliest that was not passed on, and of the one before.
    latest: BTreeMap<i64, i64>,
    /// Those with packets from what is needed on, as they came.
    files: VecDeque<File>,
    /// When the file begins.
    first: i64,
    /// A file has begun, and its first time was not told yet.
    is_new: bool,
    /// When the file behind it begins.
    next: i64,
    clock: i64,
    /// By product: up to where hours have been passed.
    passed: Vec<i64>,
    /// By product: since when packets are needed, as was told last.
    needed: Vec<i64>,
    /// Spans that ended before have been let go of.
    looked: i64,
    /// The marker that comes next is of no file.
    is_quiet: bool,
    /// Spans that are held.
    live: usize,
    ended: Vec<u32>,
}

impl Shard {
    /// The earliest packet that has a say in what a product has not settled, or in what ends at a time or later.
    fn needs(&self, product: usize, until: i64, settled: i64) -> i64 {
        let reaches = until.min(settled.min(self.clock).saturating_sub(self.silence));
        let spans = self.rows.iter().map(|row| row.now);
        let firsts = spans.filter(|span| span.last >= reaches).map(|span| span.first);
        let behind = self.behind.range(hour(reaches)..).map(|(_, first)| *first);
        let Needs { hindsight, late, .. } = &self.products[product];
        let first = firsts.chain(behind).fold(until, i64::min);
        let first = hindsight.begin(first).max(until.saturating_sub(LONGEST));
        let has_empty_rows = late(until).is_some();
        let before = self.latest.range(..until).next_back().filter(|_| has_empty_rows).map(|(_, latest)| *latest);
        before.map_or(first, |before| before.min(first))
    }

    /// The earliest packet that is needed where those since a time are, so that packets are late for a product as they were.
    fn late(&self, product: usize, needs: i64) -> i64 {
        let Some(file) = self.files.iter().find(|file| file.packets.last >= needs) else { return needs };
        let Some(since) = (self.products[product].late)(file.begins) else { return needs };
        let ends = self.files.iter().flat_map(|file| [file.packets.first, file.packets.last]);
        needs.min(ends.filter(|end| (NONE.last + 1..since).contains(end)).max().unwrap_or(since))
    }

    /// What was last seen before this has no say in what is still to come.
    fn open(&self) -> i64 {
        let settled = self.products.iter().map(|product| product.standing.settled());
        settled.fold(self.clock, i64::min).saturating_sub(self.silence)
    }

    /// Lets go of what no view remembers, once an hour. Of what has not been passed, the begin stays.
    fn expire(&mut self) {
        let earliest = self.passed.iter().copied().min().unwrap_or(i64::MIN);
        if let Some((&hour, _)) = self.latest.range(..earliest).next_back() {
            self.latest = self.latest.split_off(&hour);
        }
        let needed = self.needed.iter().copied().min().unwrap_or(i64::MIN);
        while self.files.front().is_some_and(|file| file.packets.last < needed) {
            self.files.pop_front();
        }
        let before = hour(self.open());
        self.behind = self.behind.split_off(&earliest.min(before));
        if before <= self.looked {
            return;
        }
        self.looked = before;
        for (flow, row) in (0..).zip(&mut self.rows) {
            if row.before.last < before {
                row.before = NONE;
            }
            if row.now.last < before && row.is_live() {
                if row.now.last >= earliest {
                    behind(&mut self.behind, row.now);
                }
                *row = EMPTY;
                self.live -= 1;
                self.ended.push(flow);
            }
        }
    }
}

/// Notes a span that is over.
fn behind(spans: &mut BTreeMap<i64, i64>, span: Span) {
    let first = spans.entry(hour(span.last)).or_insert(i64::MAX);
    *first = span.first.min(*first);
}

impl ShardView for Shard {
    fn file(&mut self, _: u32, next: Timestamp) {
        (self.is_new, self.next) = (true, next.0);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        if self.silence == 0 {
            return;
        }
        if batch.table.ids() > self.rows.len() {
            self.rows.resize(batch.table.ids(), EMPTY);
        }
        let open = self.open();
        if let Some(file) = self.files.back_mut() {
            let Span { first, last } = &mut file.packets;
            *last = batch.packets.iter().map(|packet| packet.time.0).fold(*last, i64::max);
            // What is before its begin may be late itself.
            *first = batch.packets.first().map_or(*first, |packet| (*first).min(packet.time.0.max(file.begins)));
        }
        let mut latest = (i64::MIN, i64::MIN);
        for (packet, flow) in batch.packets.iter().zip(batch.flows) {
            let (row, time) = (&mut self.rows[flow.id as usize], packet.time.0);
            // What is read again is whole files: of one, no packet needs any from before it, and none stands before one of a file in front.
            let first = time.max(self.first);
            if !(latest.0..=latest.1).contains(&first) {
                let hour = hour(first);
                let of_hour = self.latest.entry(hour).or_insert(i64::MIN);
                *of_hour = first.max(*of_hour);
                latest = (hour, *of_hour);
            }
            // What is silent in this file may go on in one that begins before the silence is over.
            let silence = |since: Span| time.min(self.next).saturating_sub(since.last);
            if silence(row.now) > self.silence {
                if row.is_live() {
                    behind(&mut self.behind, row.now);
                } else {
                    self.live += 1;
                }
                let before = if row.before.last >= open { row.before.first } else { i64::MAX };
                row.before = Span { first: row.now.first.min(before), ..row.now };
                row.now = NONE;
            } else if silence(row.before) <= self.silence {
                row.now.first = row.now.first.min(row.before.first);
                row.before = NONE;
            }
            row.now = Span { first: row.now.first.min(first), last: row.now.last.max(time) };
        }
    }

    fn mark(&mut self, mark: Mark, _: &FlowTable) -> Option<Part> {
        self.clock = self.clock.max(mark.last.min(mark.next_file).0);
        let is_quiet = std::mem::take(&mut self.is_quiet);
        let mut told = Vec::new();
        for product in 0..self.products.len() {
            let settled = self.products[product].standing.settled();
            let until = hour(settled.min(self.clock));
            if until > self.passed[product] {
                let needs = self.late(product, self.needs(product, until, settled));
                (self.passed[product], self.needed[product]) = (until, needs);
                told.push(News::Passed(Passed { product, until, needs, is_quiet }));
            }
        }
        self.expire();
        if self.silence > 0 {
            told.push(News::Clock(self.clock, self.live));
        }
        Some(Box::new(told))
    }

    fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        if let Some(first) = before.filter(|_| std::mem::take(&mut self.is_new)) {
            self.first = first.0;
            self.files.push_back(File { begins: first.0, packets: NONE });
        }
        None
    }

    fn quiet(&mut self, _: Timestamp, _: bool) {
        self.is_quiet = true;
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.ended);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.rows.get(flow as usize).is_some_and(Row::is_live)
    }
}
