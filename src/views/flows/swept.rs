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

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::arrival::Arrival;
use super::deadlines::Deadlines;
use super::flow::{Flow, Serial};
use super::record::EndReason;
use super::said::Words;
use super::settings::Plan;
use super::shard::{Closed, Ended};
use crate::decode::Packet;
use crate::engine::ledger::Amount;
use crate::engine::view::{Batch, Mark, Part, ShardView};
use crate::prefetch::prefetch_all;
use crate::table::key::from_high;
use crate::table::{Ends, FlowTable};
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::rows::Rows;

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

/// Packets whose ends are looked up before their flows are.
const AHEAD: usize = 32;

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

/// The flows of two ends.
#[derive(Debug)]
struct Pair {
    /// Protocol 0.
    key: Ends,
    /// Flows that they have had.
    count: u32,
    /// The place of that which was begun beside no other.
    first: Option<u32>,
    /// Those that were begun beside others, by level, then by client. Nearly all have none.
    beside: Vec<Beside>,
    /// Sweeps that they have been asked about.
    seen: u64,
}

/// A flow that was begun beside others between the same ends.
#[derive(Debug)]
struct Beside {
    /// It was begun beside so many.
    level: i64,
    /// Its client is the high end.
    client_high: bool,
    place: u32,
}

/// All flows of a run.
pub(super) struct Swept {
    plan: Arc<Plan>,
    sweeps: Sweeps,
    /// Places among `pairs`, by ends whatever their protocol.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    pairs: Rows<Pair>,
    free_pairs: Vec<u32>,
    flows: Live,
    deadlines: Deadlines,
    closed: Closed,
}

/// Flows that last: as those that have ended, so that they need not move at the end of input. A free place has no packets.
#[derive(Default)]
struct Live {
    rows: Rows<Ended>,
    free: Vec<u32>,
}

impl Live {
    /// The place of a flow that begins. `ends` has the protocol of its first packet.
    fn begin(&mut self, mut flow: Flow, serial: Serial, ends: Ends) -> u32 {
        flow.serial = serial;
        let ended = Ended { ends, reason: EndReason::Eof, flow, words: Words::default() };
        let Some(place) = self.free.pop() else { return self.rows.push(ended) };
        self.rows[place] = ended;
        place
    }

    /// Hands over a flow that sweeps have ended.
    fn end(&mut self, place: u32, reason: EndReason, closed: &mut Closed, plan: &Plan) {
        let Ended { ends, flow, .. } = &mut self.rows[place];
        closed.close(std::mem::take(flow), reason, *ends, plan);
        self.free.push(place);
    }
}

impl Pair {
    /// Hands over those that sweeps have ended.
    fn settle(&mut self, sweeps: &Sweeps, flows: &mut Live, closed: &mut Closed, plan: &Plan) {
        let seen = std::mem::replace(&mut self.seen, sweeps.count);
        if seen == sweeps.count {
            return;
        }
        let mut lasts = |place: u32| {
            let over = sweeps.over(seen, &flows.rows[place].flow);
            over.inspect(|&reason| flows.end(place, reason, closed, plan)).is_none()
        };
        self.first = self.first.filter(|&first| lasts(first));
        self.beside.retain(|beside| lasts(beside.place));
    }

    /// The place of the flow that a packet is of; a new one has no packets.
    fn find(&mut self, time: i64, ends: Ends, flows: &mut Live, plan: &Plan) -> u32 {
        let Some(first) = self.first else {
            let place = flows.begin(Flow::default(), self.serial(), ends);
            self.first = Some(place);
            return place;
        };
        let client_high = flows.rows[first].flow.began_high;
        let (mut place, mut level, mut behind) = (first, 0, 0);
        while time.saturating_sub(flows.rows[place].flow.last) > SILENT.saturating_mul(level + 1) {
            level += 1;
            // Those of the next level stand behind, two at most.
            let order = |beside: &Beside| (beside.level, beside.client_high);
            behind += self.beside[behind..].iter().take_while(|beside| order(beside) < (level, client_high)).count();
            match self.beside.get(behind).filter(|beside| order(beside) == (level, client_high)) {
                Some(beside) => place = beside.place,
                None => {
                    let flow = flows.rows[place].flow.beside(&ends, plan);
                    place = flows.begin(flow, self.serial(), ends);
                    self.beside.insert(behind, Beside { level, client_high, place });
                    break;
                }
            }
        }
        place
    }

    /// What tells the next flow from those before it.
    fn serial(&mut self) -> Serial {
        let count = self.count;
        self.count = count.wrapping_add(1);
        Serial { count, ..Serial::default() }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.beside.is_empty()
    }

    /// When all are over, if nothing more comes and there is a sweep.
    fn deadline(&self, flows: &Live) -> i64 {
        let places = self.first.into_iter().chain(self.beside.iter().map(|beside| beside.place));
        let newest = places.map(|place| flows.rows[place].flow.last).max();
        newest.unwrap_or(i64::MIN).saturating_add(SILENT)
    }
}

/// The ends of a packet's flow.
fn ends(packet: &Packet, from_high: bool) -> Ends {
    let [from, to] = [(packet.src, packet.src_port), (packet.dst, packet.dst_port)];
    let [(low, low_port), (high, high_port)] = if from_high { [to, from] } else { [from, to] };
    Ends { low, high, low_port, high_port, protocol: packet.protocol, v6: packet.v6 }
}

/// Of addresses and ports, in three words.
fn hash(hasher: &DefaultHashBuilder, key: &Ends) -> u64 {
    hasher.hash_one((key.low, key.high, u32::from(key.low_port) << 16 | u32::from(key.high_port)))
}

impl Swept {
    pub(super) fn new(plan: Arc<Plan>) -> Swept {
        Swept {
            plan,
            sweeps: Sweeps::default(),
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            pairs: Rows::default(),
            free_pairs: Vec::new(),
            flows: Live::default(),
            deadlines: Deadlines::default(),
            closed: Closed::default(),
        }
    }

    /// The place of two ends, where they have one.
    fn place(&mut self, ends: Ends, time: i64) -> u32 {
        let key = Ends { protocol: 0, ..ends };
        let hash = hash(&self.hasher, &key);
        if let Some(&place) = self.places.find(hash, |&place| self.pairs[place].key == key) {
            return place;
        }
        let pair = Pair { key, count: 0, first: None, beside: Vec::new(), seen: 0 };
        let place = match self.free_pairs.pop() {
            Some(place) => {
                self.pairs[place] = pair;
                place
            }
            None => self.pairs.push(pair),
        };
        let Swept { places, hasher, pairs, .. } = self;
        places.insert_unique(hash, place, |&place| self::hash(hasher, &pairs[place].key));
        self.deadlines.insert(time.saturating_add(SILENT), place);
        place
    }

    /// Finds the ends of packets, or makes room for them, and asks for the memory of their flows.
    fn find_ahead(&mut self, packets: &[Packet], found: &mut Vec<(Ends, bool, u32)>) {
        found.clear();
        for packet in packets {
            let from_high = from_high(packet);
            let ends = ends(packet, from_high);
            let place = self.place(ends, packet.time.0);
            if let Some(first) = self.pairs[place].first {
                prefetch_all(&self.flows.rows[first]);
            }
            found.push((ends, from_high, place));
        }
    }

    /// The flow that stands first at a place.
    fn first(&self, place: u32) -> Option<&Flow> {
        Some(&self.flows.rows[self.pairs[place].first?].flow)
    }

    /// Takes the next packet between two ends.
    fn take(&mut self, packet: &Packet, arrival: &Arrival, ends: Ends, place: u32) {
        if self.plan.settings.clip.is_some_and(|clip| packet.time < clip.start || packet.time >= clip.end) {
            self.closed.aside.out_of_window += Amount::one(packet.wire, packet.captured);
            return;
        }
        let pair = &mut self.pairs[place];
        pair.settle(&self.sweeps, &mut self.flows, &mut self.closed, &self.plan);
        let place = pair.find(arrival.time, ends, &mut self.flows, &self.plan);
        let flow = &mut self.flows.rows[place].flow;
        if !flow.add(arrival, || ends, &self.plan) {
            self.closed.aside.filtered += Amount::one(arrival.wire, arrival.captured);
        }
        self.sweeps.pass(arrival.time, flow);
    }

    /// Hands over flows that are over, of ends that have been silent at `now` for as long as a sweep allows.
    fn expire(&mut self, now: i64) {
        for (_, place) in self.deadlines.passed(now) {
            let pair = &mut self.pairs[place];
            pair.settle(&self.sweeps, &mut self.flows, &mut self.closed, &self.plan);
            if pair.is_empty() {
                if let Ok(found) = self.places.find_entry(hash(&self.hasher, &pair.key), |&other| other == place) {
                    found.remove();
                }
                self.free_pairs.push(place);
            } else {
                self.deadlines.insert(pair.deadline(&self.flows), place);
            }
        }
        self.forget_sweeps();
    }

    /// Where time went back so often that many sweeps matter, makes them matter no more: asks every flow.
    fn forget_sweeps(&mut self) {
        if self.sweeps.latest.len() <= REMEMBERED {
            return;
        }
        self.settle_all();
        self.sweeps.latest.clear();
    }

    /// Hands over the flows that sweeps have ended, of all ends.
    fn settle_all(&mut self) {
        for pair in self.pairs.iter_mut() {
            pair.settle(&self.sweeps, &mut self.flows, &mut self.closed, &self.plan);
        }
    }
}

impl ShardView for Swept {
    fn packets(&mut self, batch: &Batch<'_>) {
        let mut found = Vec::with_capacity(AHEAD);
        for packets in batch.packets.chunks(AHEAD) {
            self.find_ahead(packets, &mut found);
            for (nth, (packet, &(ends, from_high, place))) in packets.iter().zip(&found).enumerate() {
                let behind = |n: usize| found.get(nth + n).and_then(|&(_, _, place)| self.first(place));
                behind(4).into_iter().for_each(Flow::ask);
                behind(2).into_iter().for_each(Flow::ask_features);
                self.take(packet, &Arrival::of(packet, from_high, batch.frame(packet)), ends, place);
            }
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
                self.settle_all();
                self.closed.take_all(std::mem::take(&mut self.flows.rows), &self.plan);
            }
        }
        std::mem::take(&mut self.closed).part(&self.plan)
    }
}
