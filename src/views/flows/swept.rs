//! Flows that end in sweeps, as cicflowmeter of PyPI ends them: a shard of its own.
//!
//! A sweep comes behind every 1,000th packet of the run, and behind any packet of a flow that then lasts longer than 120 s. It
//! ends the flows that have been silent for 240 s or last 90 s. Nothing else does, so where flows are cut depends on all
//! traffic: one shard has to see it whole.
//!
//! Two ends have one flow, whatever the protocol; who sent its first packet is the client. A packet that comes more than 240 s
//! behind it while no sweep has ended it begins a second beside it, between the same client and server. What follows is compared
//! with the first as long as that is there, then with the second, where 480 s are allowed, and so on. Once the first is gone,
//! the next packet begins another, and those beside it get no more.
//!
//! However times lie, two ends have fewer than 25,000 flows at once, since each needs a longer silence than the one before it. A packet
//! looks at them one after the other.
//!
//! No sweep looks at all flows. A flow is asked, when its ends speak again or at a marker behind which it may be over, what the
//! sweeps since its last packet have made of it. While time goes on, only the newest of them matters.

use std::sync::Arc;

use hashbrown::HashMap;

use super::arrival::Arrival;
use super::deadlines::Deadlines;
use super::flow::{Flow, Serial};
use super::record::EndReason;
use super::settings::Plan;
use super::shard::Closed;
use crate::decode::Packet;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, Mark, Part, ShardView};
use crate::table::key::from_high;
use crate::table::{Ends, FlowTable};
use crate::time::{NS_PER_SECOND, Timestamp};

/// Packets from sweep to sweep.
const PACKETS: u64 = 1000;
/// A flow that lasts longer asks for a sweep.
const LONGEST: i64 = 120 * NS_PER_SECOND;
/// A sweep ends flows that last so long.
const LONG: i64 = 90 * NS_PER_SECOND;
/// And those that have been silent for so long; one that is silent for longer has another beside it.
const SILENT: i64 = 240 * NS_PER_SECOND;

/// Sweeps that are remembered from marker to marker.
const REMEMBERED: usize = 4096;

/// The sweeps of a run.
#[derive(Debug, Default)]
struct Sweeps {
    packets: u64,
    count: u64,
    /// Number and time of those behind which none was later.
    latest: Vec<(u64, i64)>,
}

impl Sweeps {
    /// Counts a packet of a flow, and sweeps if it is time to.
    fn pass(&mut self, time: i64, flow: &Flow) {
        self.packets += 1;
        if self.packets.is_multiple_of(PACKETS) || flow.last.saturating_sub(flow.opened) > LONGEST {
            self.count += 1;
            while self.latest.pop_if(|(_, earlier)| *earlier <= time).is_some() {}
            self.latest.push((self.count, time));
        }
    }

    /// Why those behind `seen`, of which there are some, have ended a flow.
    fn over(&self, seen: u64, flow: &Flow) -> Option<EndReason> {
        if flow.last.saturating_sub(flow.opened) >= LONG {
            return Some(EndReason::Active);
        }
        let (_, latest) = self.latest.get(self.latest.partition_point(|(number, _)| *number <= seen))?;
        (latest.saturating_sub(flow.last) >= SILENT).then_some(EndReason::Idle)
    }
}

/// A flow of two ends.
#[derive(Debug)]
struct Entry {
    flow: Flow,
    /// With the protocol of its first packet.
    ends: Ends,
    /// It was begun beside so many.
    level: i64,
}

/// The flows of two ends.
#[derive(Debug)]
struct Pair {
    /// Protocol 0.
    key: Ends,
    /// By level, then by client. One at most is of level 0.
    entries: Vec<Entry>,
    /// Sweeps that they have been asked about.
    seen: u64,
    /// Flows that they have had.
    count: u32,
}

impl Pair {
    /// Hands over those that sweeps have ended.
    fn settle(&mut self, sweeps: &Sweeps, closed: &mut Closed, plan: &Plan) {
        let seen = std::mem::replace(&mut self.seen, sweeps.count);
        if seen == sweeps.count {
            return;
        }
        self.entries.retain_mut(|entry| {
            let Some(reason) = sweeps.over(seen, &entry.flow) else { return true };
            closed.close(std::mem::take(&mut entry.flow), reason, entry.ends, plan);
            false
        });
    }

    /// The place of the flow that a packet is of; a new one has no packets.
    fn find(&mut self, time: i64, ends: Ends, plan: &Plan) -> usize {
        let Some(first) = self.entries.first().filter(|entry| entry.level == 0) else {
            return self.begin(0, Flow::default(), ends, 0);
        };
        let client = first.flow.began_high;
        let (mut at, mut level) = (0, 0);
        while time.saturating_sub(self.entries[at].flow.last) > SILENT.saturating_mul(level + 1) {
            level += 1;
            // Those of the next level stand behind, two at most.
            let order = |entry: &Entry| (entry.level, entry.flow.began_high);
            let behind = self.entries.iter().skip(at + 1).take_while(|entry| order(entry) < (level, client));
            let next = at + 1 + behind.count();
            if self.entries.get(next).is_none_or(|entry| order(entry) != (level, client)) {
                let flow = self.entries[at].flow.beside(&ends, plan);
                return self.begin(next, flow, ends, level);
            }
            at = next;
        }
        at
    }

    fn begin(&mut self, at: usize, mut flow: Flow, ends: Ends, level: i64) -> usize {
        flow.serial = Serial { count: self.count, ..Serial::default() };
        self.count = self.count.wrapping_add(1);
        // Nearly all have one.
        self.entries.reserve_exact(1);
        self.entries.insert(at, Entry { flow, ends, level });
        at
    }

    /// When all are over, if nothing more comes and there is a sweep.
    fn deadline(&self) -> i64 {
        let newest = self.entries.iter().map(|entry| entry.flow.last).max();
        newest.unwrap_or(i64::MIN).saturating_add(SILENT)
    }
}

/// All flows of a run.
pub(super) struct Swept {
    plan: Arc<Plan>,
    sweeps: Sweeps,
    /// Places among `pairs`, by ends whatever their protocol.
    places: HashMap<Ends, u32>,
    pairs: Vec<Pair>,
    free: Vec<u32>,
    deadlines: Deadlines,
    closed: Closed,
}

/// The ends of a packet's flow.
fn ends(packet: &Packet, from_high: bool) -> Ends {
    let [from, to] = [(packet.src, packet.src_port), (packet.dst, packet.dst_port)];
    let [(low, low_port), (high, high_port)] = if from_high { [to, from] } else { [from, to] };
    Ends { low, high, low_port, high_port, protocol: packet.protocol, v6: packet.v6 }
}

impl Swept {
    pub(super) fn new(plan: Arc<Plan>) -> Swept {
        Swept {
            plan,
            sweeps: Sweeps::default(),
            places: HashMap::new(),
            pairs: Vec::new(),
            free: Vec::new(),
            deadlines: Deadlines::default(),
            closed: Closed::default(),
        }
    }

    /// The place of two ends, where they have one.
    fn place(&mut self, ends: Ends, time: i64) -> u32 {
        let key = Ends { protocol: 0, ..ends };
        if let Some(&place) = self.places.get(&key) {
            return place;
        }
        let pair = Pair { key, entries: Vec::new(), seen: 0, count: 0 };
        let place = match self.free.pop() {
            Some(place) => {
                self.pairs[place as usize] = pair;
                place
            }
            None => {
                self.pairs.push(pair);
                u32::try_from(self.pairs.len() - 1).expect("fewer than 2^32 pairs of ends are alive")
            }
        };
        self.places.insert(key, place);
        self.deadlines.insert(time.saturating_add(SILENT), place);
        place
    }

    /// Hands over flows that are over, of ends that have been silent at `now` for as long as a sweep allows.
    fn expire(&mut self, now: i64) {
        for (_, place) in self.deadlines.passed(now) {
            let pair = &mut self.pairs[place as usize];
            pair.settle(&self.sweeps, &mut self.closed, &self.plan);
            if pair.entries.is_empty() {
                self.places.remove(&pair.key);
                self.free.push(place);
            } else {
                self.deadlines.insert(pair.deadline(), place);
            }
        }
        self.forget_sweeps();
    }

    /// Where time went back so often that many sweeps matter, makes them matter no more: asks every flow.
    fn forget_sweeps(&mut self) {
        if self.sweeps.latest.len() <= REMEMBERED {
            return;
        }
        for pair in &mut self.pairs {
            pair.settle(&self.sweeps, &mut self.closed, &self.plan);
        }
        self.sweeps.latest.clear();
    }
}

impl ShardView for Swept {
    fn packets(&mut self, batch: &Batch<'_>) {
        for packet in batch.packets {
            if self.plan.settings.clip.is_some_and(|clip| packet.time < clip.start || packet.time >= clip.end) {
                self.closed.aside.out_of_window += Amount::one(packet.wire, packet.captured);
                continue;
            }
            let from_high = from_high(packet);
            let arrival = Arrival::of(packet, from_high, batch.frame(packet));
            let ends = ends(packet, from_high);
            let place = self.place(ends, arrival.time);
            let pair = &mut self.pairs[place as usize];
            pair.settle(&self.sweeps, &mut self.closed, &self.plan);
            let at = pair.find(arrival.time, ends, &self.plan);
            let flow = &mut pair.entries[at].flow;
            if !flow.add(&arrival, || ends, &self.plan) {
                self.closed.aside.filtered += Amount::one(arrival.wire, arrival.captured);
            }
            self.sweeps.pass(arrival.time, flow);
        }
    }

    fn mark(&mut self, mark: Mark, _: &FlowTable) -> Option<Part> {
        self.expire(mark.last.min(mark.next_file).0);
        std::mem::take(&mut self.closed).part(&self.plan)
    }

    fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        match before {
            Some(before) => self.expire(before.0),
            None => {
                for mut pair in std::mem::take(&mut self.pairs) {
                    pair.settle(&self.sweeps, &mut self.closed, &self.plan);
                    for Entry { flow, ends, .. } in pair.entries {
                        self.closed.close(flow, EndReason::Eof, ends, &self.plan);
                    }
                }
            }
        }
        std::mem::take(&mut self.closed).part(&self.plan)
    }
}
