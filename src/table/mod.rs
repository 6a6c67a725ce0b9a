//! The flow table: it knows identity, the views know lifetime.
//!
//! A canonical 5-tuple maps to a dense `u32` flow id. Views keep their own rows, indexed by that id, and say at each
//! marker which ids they still need; the rest are forgotten and their numbers used again.

pub mod arena;
pub mod direction;
mod index;
pub mod key;
mod pairs;

use std::hash::{BuildHasher, RandomState};

use arena::Arena;
use bytemuck::Zeroable;
use index::{Index, Key, Looks, PRESENT};

use crate::decode::packet::Packet;
use key::{FiveTuple, endpoint};
use pairs::Pairs;

/// Packets resolved at a time: about as many cache lines as a core can wait for at once.
pub const RUN: usize = 32;

/// A packet's flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowRef {
    /// Dense flow id.
    pub id: u32,
    /// The packet's source is the `high` end of the flow's 5-tuple.
    pub from_high: bool,
}

/// A [`Key`] is the canonical 5-tuple in 16 bytes.
///
/// IPv4: each half is `address << 16 | port`, the smaller first. IPv6: `low` is `pair number << 16 | port of the
/// smaller address`, `high` is `V6 | port of the larger`. The protocol number is in the top byte of `high`.
const V6: u64 = 1 << 48;

/// Maps 5-tuples to dense flow ids.
pub struct FlowTable {
    index: Index,
    keys: Arena<Key>,
    free: Vec<u32>,
    pairs: Pairs,
    seed: Seed,
}

/// The secret of the tags: nobody can choose addresses that collide.
#[derive(Clone, Copy)]
struct Seed([u64; 2]);

impl Seed {
    #[inline(always)]
    fn tag(self, key: Key) -> u32 {
        let product = u128::from(key.low ^ self.0[0]) * u128::from(key.high ^ self.0[1]);
        ((product >> 64) as u64 ^ product as u64) as u32
    }
}

impl Default for FlowTable {
    fn default() -> Self {
        FlowTable::new()
    }
}

/// Takes packets to their flows, a run at a time.
///
/// A run waits twice for memory: for the places of its flows in the table, and for what views have of them. So three runs are
/// under way: the newest asks for its places, the one before is looked up, and the oldest is handed on together with the flows
/// of the one behind it, which views can then ask for.
#[derive(Default)]
pub struct Pipeline {
    asked: [Asked; 2],
    flows: [Vec<FlowRef>; 2],
}

impl Pipeline {
    /// Finds or makes the flows of all packets. `take` is handed the packets in order, at most [`RUN`] at a time, with their
    /// flows and the flows of the packets behind them; first it is handed no packets, and the flows of the first ones.
    #[inline]
    pub fn run(
        &mut self,
        table: &mut FlowTable,
        packets: &[Packet],
        mut take: impl FnMut(&[Packet], &[FlowRef], &[FlowRef], &FlowTable),
    ) {
        let run = |nth: usize| packets.chunks(RUN).nth(nth).unwrap_or_default();
        for step in 0..packets.len().div_ceil(RUN) + 2 {
            let ([one, other], [these, those]) = (&mut self.asked, &mut self.flows);
            let (asked, asking, flows, next) =
                if step % 2 == 0 { (one, other, these, those) } else { (other, one, those, these) };
            table.step(asked, run(step), asking, next);
            match step {
                0 => {}
                1 => take(&[], &[], next, table),
                _ => take(run(step - 2), flows, next, table),
            }
        }
    }
}

/// Packets on their way to their flows: keys whose cache lines were asked for.
#[derive(Clone)]
struct Asked {
    keys: [Key; RUN],
    tags: [u32; RUN],
    /// A bit a packet: its source is the high end.
    from_high: u64,
    len: usize,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { keys: [Key::zeroed(); RUN], tags: [0; RUN], from_high: 0, len: 0 }
    }
}

impl Asked {
    /// Takes the key of a packet and asks for the line where it is looked for.
    #[inline(always)]
    fn add(&mut self, packet: &Packet, looks: Looks<'_>, pairs: &mut Pairs, seed: Seed) {
        let nth = self.len % RUN;
        let (key, from_high) = key_of(packet, pairs);
        self.keys[nth] = key;
        self.tags[nth] = seed.tag(key);
        looks.ask(self.tags[nth]);
        self.from_high = self.from_high & !(1 << nth) | u64::from(from_high) << nth;
        self.len = nth + 1;
    }
}

/// The key of a packet's flow, and whether the packet's source is its high end.
#[inline(always)]
fn key_of(packet: &Packet, pairs: &mut Pairs) -> (Key, bool) {
    let protocol = u64::from(packet.protocol) << 56 | PRESENT;
    if packet.v6 {
        return key_v6(packet, protocol, pairs);
    }
    let src = (packet.src as u64) << 16 | u64::from(packet.src_port);
    let dst = (packet.dst as u64) << 16 | u64::from(packet.dst_port);
    (Key { low: src.min(dst), high: src.max(dst) | protocol }, src > dst)
}

#[inline(never)]
fn key_v6(packet: &Packet, protocol: u64, pairs: &mut Pairs) -> (Key, bool) {
    let src = (packet.src, packet.src_port);
    let dst = (packet.dst, packet.dst_port);
    let (low, high) = if src > dst { (dst, src) } else { (src, dst) };
    let pair = pairs.number(low.0, high.0);
    let key = Key { low: u64::from(pair) << 16 | u64::from(low.1), high: V6 | u64::from(high.1) | protocol };
    (key, src > dst)
}

impl FlowTable {
    /// An empty table with a hash key of its own, drawn at random: nobody can choose addresses that collide.
    #[must_use]
    pub fn new() -> FlowTable {
        let random = RandomState::new();
        FlowTable {
            index: Index::with_room(0),
            keys: Arena::default(),
            free: Vec::new(),
            pairs: Pairs::default(),
            seed: Seed([random.hash_one(1u8), random.hash_one(2u8)]),
        }
    }

    /// Flows known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no flow is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the largest flow id in use.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.keys.len()
    }

    /// Finds or makes the flows of packets that were asked for a step before, and asks for those of the next packets, at most
    /// [`RUN`]. `flows` becomes one entry a packet of `asked`.
    ///
    /// The two go hand in hand, a packet at a time: asked for in one go, the lines would be more than a core can wait for at
    /// once, and it would stand still before it has begun to work.
    fn step(&mut self, asked: &Asked, next: &[Packet], asking: &mut Asked, flows: &mut Vec<FlowRef>) {
        self.index.reserve(asked.len, |key| self.seed.tag(key));
        flows.clear();
        asking.len = 0;
        let mut next = next.iter().take(RUN);
        while flows.len() < asked.len {
            // Taken once; only a new flow makes that necessary again.
            let looks = self.index.looks();
            for nth in flows.len()..asked.len {
                if let Some(packet) = next.next() {
                    asking.add(packet, looks, &mut self.pairs, self.seed);
                }
                let Some(id) = looks.find(asked.keys[nth], asked.tags[nth]) else { break };
                flows.push(FlowRef { id, from_high: asked.from_high >> nth & 1 != 0 });
            }
            let nth = flows.len();
            if nth < asked.len {
                let id = self.add(asked.keys[nth], asked.tags[nth]);
                flows.push(FlowRef { id, from_high: asked.from_high >> nth & 1 != 0 });
            }
        }
        let looks = self.index.looks();
        next.for_each(|packet| asking.add(packet, looks, &mut self.pairs, self.seed));
    }

    /// Gives a flow an id.
    fn add(&mut self, key: Key, tag: u32) -> u32 {
        let id = match self.free.pop() {
            Some(id) => {
                self.keys[id as usize] = key;
                id
            }
            None => {
                self.keys.push(key);
                u32::try_from(self.keys.len() - 1).expect("fewer than 2^32 - 1 flows are alive")
            }
        };
        self.index.add(key, tag, id);
        if key.high & V6 != 0 {
            self.pairs.hold((key.low >> 16) as u32);
        }
        id
    }

    /// No packet will come any more: ids keep their 5-tuples, and the memory by which they are found is free for other use.
    pub fn settle(&mut self) {
        self.index = Index::with_room(0);
    }

    /// Forgets one flow.
    pub fn forget(&mut self, id: u32) {
        let key = self.keys[id as usize];
        let tag = self.seed.tag(key);
        if self.index.looks().find(key, tag) != Some(id) {
            return;
        }
        self.index.remove(key, tag);
        self.free.push(id);
        if key.high & V6 != 0 {
            self.pairs.release((key.low >> 16) as u32);
        }
    }

    /// Forgets every flow for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        // Asked in the order of ids, as views hold what they have of flows.
        let kept: Vec<bool> = (0..self.keys.len() as u32).map(keep).collect();
        let mut live = vec![false; kept.len()];
        let mut left = 0;
        for (key, id) in self.index.iter() {
            live[id as usize] = kept[id as usize];
            left += usize::from(live[id as usize]);
            if !live[id as usize] && key.high & V6 != 0 {
                self.pairs.release((key.low >> 16) as u32);
            }
        }
        let old = std::mem::replace(&mut self.index, Index::with_room(left));
        for (key, id) in old.iter().filter(|&(_, id)| live[id as usize]) {
            self.index.add(key, self.seed.tag(key), id);
        }
        if left == 0 {
            self.keys.clear();
            self.free.clear();
            self.pairs = Pairs::default();
            return;
        }
        self.free = (0..live.len() as u32).rev().filter(|&id| !live[id as usize]).collect();
    }

    /// The 5-tuple of a flow.
    #[must_use]
    pub fn tuple(&self, id: u32) -> FiveTuple {
        let ends = self.ends(id);
        FiveTuple {
            low: endpoint(ends.low, ends.v6, ends.low_port),
            high: endpoint(ends.high, ends.v6, ends.high_port),
            protocol: ends.protocol,
        }
    }

    /// The 5-tuple of a flow with addresses in integer form.
    #[inline]
    #[must_use]
    pub fn ends(&self, id: u32) -> Ends {
        let key = self.keys[id as usize];
        let v6 = key.high & V6 != 0;
        let (low, high) = if v6 {
            self.pairs.get((key.low >> 16) as u32)
        } else {
            (u128::from((key.low >> 16) as u32), u128::from((key.high >> 16) as u32))
        };
        Ends { low, high, low_port: key.low as u16, high_port: key.high as u16, protocol: (key.high >> 56) as u8, v6 }
    }
}

/// A flow's 5-tuple, addresses as integers (IPv4 in the low 32 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Smaller end's address.
    pub low: u128,
    /// Larger end's address.
    pub high: u128,
    /// Smaller end's port.
    pub low_port: u16,
    /// Larger end's port.
    pub high_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Addresses are IPv6.
    pub v6: bool,
}

impl Ends {
    /// Both are one address.
    pub(crate) fn are_one_host(&self) -> bool {
        self.low == self.high
    }

    /// Both are one address and one port.
    pub(crate) fn are_one(&self) -> bool {
        self.are_one_host() && self.low_port == self.high_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn packet(n: u64) -> Packet {
        let v6 = n.is_multiple_of(7);
        let (src, dst) = (u128::from(n % 513) + 1, u128::from(n % 211) + 1);
        let wide = |a: u128| if v6 { a << 64 | 0xfe80 } else { a };
        Packet {
            src: wide(src),
            dst: wide(dst),
            v6,
            src_port: (n % 5) as u16,
            dst_port: (n % 3) as u16,
            protocol: if n.is_multiple_of(2) { 6 } else { 17 },
            ..Packet::default()
        }
    }

    #[test]
    fn agrees_with_a_plain_map_through_growth_and_forgetting() {
        let mut table = FlowTable::new();
        let mut model: HashMap<FiveTuple, u32> = HashMap::new();
        let mut pipeline = Pipeline::default();
        for round in 0..3u64 {
            // A number of packets that is no multiple of a run.
            let packets: Vec<_> = (0..199_999).map(|n| packet(n * (round + 1))).collect();
            let (mut taken, mut foretold) = (0, Vec::new());
            pipeline.run(&mut table, &packets, |run, flows, next, table| {
                let known: Vec<u32> = flows.iter().map(|flow| flow.id).collect();
                assert_eq!(known, foretold);
                foretold = next.iter().map(|flow| flow.id).collect();
                for (packet, flow) in run.iter().zip(flows) {
                    assert_eq!(packet, &packets[taken]);
                    taken += 1;
                    let (tuple, from_high) = FiveTuple::of(packet);
                    assert_eq!(table.tuple(flow.id), tuple);
                    assert_eq!(flow.from_high, from_high);
                    assert_eq!(*model.entry(tuple).or_insert(flow.id), flow.id);
                }
            });
            assert_eq!(taken, packets.len());
            assert_eq!(table.len(), model.len());
            if round == 1 {
                // One by one, or all at once.
                model.values().filter(|id| *id % 3 != 0).for_each(|&id| table.forget(id));
            } else {
                table.retain(|id| id % 3 == 0);
            }
            model.retain(|_, id| *id % 3 == 0);
            assert_eq!(table.len(), model.len());
        }
        table.retain(|_| false);
        assert!(table.is_empty());
        assert_eq!(table.ids(), 0);
    }
}
