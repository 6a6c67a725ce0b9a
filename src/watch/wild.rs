//! Packets of a wild time: ahead of those before them by more than a day, and then time goes back.
//!
//! One such packet would keep its flow open until its time comes, and with it its hour, and what a restart reads. As the last one of its file it
//! would end all flows, and pass hours that are yet to come. So it is in no record of an hour, and is counted. A [`tame`] view sees none of
//! them, nor what a marker says of them.
//!
//! What is wild follows from the file and from when the next one begins, by the journal: a packet is, if one behind it in its batch is where
//! time was, or, where none is behind it, if the next file begins more than a day before it. Where no file waits, the next one begins no later than
//! tomorrow by the wall clock. So a day without packets is no wild time, and a batch of wild times is.
//!
//! A time long ago does no such harm: its flow ends with the next packet of the same two ends, or leaves at the next marker.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::config::Config;
use crate::decode::Packet;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, Mark, ShardView, View};
use crate::table::FlowRef;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::groups::Windows;
use crate::watch::sifted::{LeftOut, Sift, Sifted};

/// How far ahead a packet, or the clock of a sensor, may be, nanoseconds.
pub(super) const DAY: i64 = 86_400 * NS_PER_SECOND;

/// What was seen of the file that is being read.
#[derive(Debug)]
pub(super) struct Seen {
    wild: AtomicU64,
    /// When it begins.
    begins: AtomicI64,
    /// The first packet of views that is not before that.
    first: AtomicI64,
    newest: AtomicI64,
    late: AtomicU64,
    /// Windows that end here or before are closed.
    closed: AtomicI64,
    windows: Windows,
}

impl Seen {
    /// By a configuration, which says what windows are.
    pub(super) fn new(config: &Config) -> Seen {
        Seen {
            wild: AtomicU64::new(0),
            begins: AtomicI64::new(i64::MIN),
            first: AtomicI64::new(i64::MIN),
            newest: AtomicI64::new(i64::MIN),
            late: AtomicU64::new(0),
            closed: AtomicI64::new(i64::MIN),
            windows: Windows::tumbling(config.window_seconds, None),
        }
    }

    /// A file comes.
    fn begin(&self) {
        self.wild.store(0, Relaxed);
        self.first.store(i64::MIN, Relaxed);
        self.newest.store(i64::MIN, Relaxed);
        self.late.store(0, Relaxed);
    }

    /// Windows that end at a time or before are closed.
    fn close(&self, before: Timestamp) {
        if let Some(window) = self.windows.of(before) {
            self.closed.fetch_max(window.start.0, Relaxed);
        }
    }

    /// Packets have come, and `newest` is the latest so far.
    fn see(&self, batch: &Batch<'_>, newest: i64) {
        if batch.packets.is_empty() {
            return;
        }
        self.newest.store(newest, Relaxed);
        if self.first.load(Relaxed) == i64::MIN {
            let believed = self.begins.load(Relaxed)..=newest;
            let first = batch.packets.iter().map(|packet| packet.time.0).find(|time| believed.contains(time));
            self.first.store(first.unwrap_or(i64::MIN), Relaxed);
        }
        let closed = self.closed.load(Relaxed);
        let late = batch.packets.iter().filter(|packet| packet.time.0 < closed).count();
        self.late.fetch_add(late as u64, Relaxed);
    }

    /// Packets of windows that were closed.
    pub(super) fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }

    /// Packets of a wild time in the file.
    pub(super) fn wild(&self) -> u64 {
        self.wild.load(Relaxed)
    }

    /// Of the others that are not before the file's first packet, the first one and the latest; nothing if there are none.
    pub(super) fn span(&self) -> Option<[Timestamp; 2]> {
        let first = Some(self.first.load(Relaxed)).filter(|first| *first > i64::MIN)?;
        Some([Timestamp(first), self.newest()?])
    }

    /// The latest of the others; nothing if there are none.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        Some(self.newest.load(Relaxed)).filter(|newest| *newest > i64::MIN).map(Timestamp)
    }
}

/// A view that sees no wild time; what it saw instead is told to `seen`.
pub(super) fn tame<'v>(view: Box<dyn View + 'v>, seen: Option<Arc<Seen>>) -> Sifted<'v> {
    Sifted::new(view, move |left_out| Tame {
        left_out,
        seen: seen.clone(),
        next: i64::MAX,
        is_new: false,
        newest: i64::MIN,
        packets: Vec::new(),
        flows: Vec::new(),
        let_go: Vec::new(),
    })
}

struct Tame {
    left_out: LeftOut,
    seen: Option<Arc<Seen>>,
    /// When the next file begins.
    next: i64,
    /// A file has begun, and its first time was not told yet.
    is_new: bool,
    /// Of the packets that are believed; at first, when the file begins.
    newest: i64,
    packets: Vec<Packet>,
    flows: Vec<FlowRef>,
    /// Flows of packets that were left out, which no view may have.
    let_go: Vec<u32>,
}

/// Whether a time is ahead of another by more than may be.
fn is_ahead(time: i64, of: i64) -> bool {
    time.saturating_sub(of) > DAY
}

impl Tame {
    /// Takes out the packets of a wild time.
    fn judge(&mut self, batch: &Batch<'_>) {
        self.packets.clear();
        self.flows.clear();
        // From each packet on, when time is where it was before the batch; of the last one, when the next file begins.
        let mut back = vec![self.next; batch.packets.len()];
        let mut earliest = i64::MAX;
        for (nth, packet) in batch.packets.iter().enumerate().rev() {
            if nth + 1 < back.len() {
                back[nth] = earliest;
            }
            if packet.time.0 >= self.newest.saturating_sub(DAY) {
                earliest = earliest.min(packet.time.0);
            }
        }
        let mut left_out = Amount::default();
        for (nth, (packet, back)) in batch.packets.iter().zip(back).enumerate() {
            let (time, flow) = (packet.time.0, batch.flows.get(nth));
            if is_ahead(time, self.newest) && is_ahead(time, back) {
                left_out += Amount::one(packet.wire, packet.captured);
                self.let_go.extend(flow.map(|flow| flow.id));
                continue;
            }
            self.newest = self.newest.max(time);
            self.packets.push(*packet);
            self.flows.extend(flow.copied());
        }
        self.left_out.add(left_out);
        if let Some(seen) = &self.seen {
            seen.wild.fetch_add(left_out.packets, Relaxed);
        }
    }
}

impl Sift for Tame {
    fn file(&mut self, next: Timestamp) {
        (self.next, self.is_new) = (next.0, true);
        if let Some(seen) = &self.seen {
            seen.begin();
        }
    }

    fn packets(&mut self, batch: &Batch<'_>, shard: &mut dyn ShardView) {
        let newest = batch.packets.iter().map(|packet| packet.time.0).max().unwrap_or(i64::MIN);
        if is_ahead(newest, self.newest) {
            self.judge(batch);
            shard.packets(&Batch { packets: &self.packets, flows: &self.flows, ..*batch });
        } else {
            self.newest = self.newest.max(newest);
            shard.packets(batch);
        }
        if let Some(seen) = &self.seen {
            seen.see(batch, self.newest);
        }
    }

    fn close(&mut self, before: Option<Timestamp>) {
        if let Some(first) = before.filter(|_| std::mem::take(&mut self.is_new)) {
            self.newest = first.0;
            if let Some(seen) = &self.seen {
                seen.begins.store(first.0, Relaxed);
            }
        }
        if let Some((seen, before)) = self.seen.as_ref().zip(before) {
            seen.close(before);
        }
    }

    fn mark(&mut self, mark: Mark) -> Mark {
        let believed = |time: Timestamp| if is_ahead(time.0, self.newest) { Timestamp(self.newest) } else { time };
        Mark { newest: believed(mark.newest), last: believed(mark.last), end: believed(mark.end), ..mark }
    }

    fn quiet(&mut self, until: Timestamp) {
        self.newest = self.newest.max(until.0);
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.let_go);
    }
}
