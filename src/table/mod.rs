//! The flow table: it knows identity, the views know lifetime.
//!
//! A canonical 5-tuple maps to a dense `u32` flow id. Views keep their own rows, indexed by that id, and say at each
//! marker which ids they still need; the rest are forgotten and their numbers used again.
//!
//! The index is ours and not a library's because the hot path asks for its cache lines a batch ahead: hash, prefetch the
//! slot; compare the key in the slot, prefetch the views' rows. hashbrown cannot be prefetched, which on a
//! thousand warm flows makes it the faster of the two and on a million cold ones the slower by more than half (`cargo bench --bench table`). It serves
//! where no prefetch is needed. Slots are 24 bytes: the key, 32 bits of keyed hash, whose top bits are the position, and
//! the id; linear probing at a load of at most one half; growth reads slots in order. Smaller slots with the key elsewhere cost a
//! second cache and page-table miss a packet.

pub mod arena;
pub mod direction;
pub mod key;
mod pairs;

use std::hash::{BuildHasher, RandomState};

use arena::Arena;
use bytemuck::{Pod, Zeroable};

use crate::decode::packet::Packet;
use crate::prefetch::prefetch;
use key::{FiveTuple, endpoint, from_high};
use pairs::Pairs;

/// Packets resolved at a time: their slots and rows fit the first-level cache together.
pub const RUN: usize = 64;

/// A packet's flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowRef {
    /// Dense flow id.
    pub id: u32,
    /// The packet's source is the `high` end of the flow's 5-tuple.
    pub from_high: bool,
}

/// Where a view keeps its rows, so that the resolver can ask for them early.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Address of row 0.
    pub base: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// The canonical 5-tuple in 16 bytes.
///
/// IPv4: each half is `address << 16 | port`, the smaller first. IPv6: `low` is `pair number << 16 | port of the
/// smaller address`, `high` is `V6 | port of the larger`. The protocol number is in the top byte of `high`.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Key {
    low: u64,
    high: u64,
}

const V6: u64 = 1 << 48;

/// A place of the index: a key with its hash and flow id.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Slot {
    key: Key,
    /// Keyed hash of the key; its top bits are the position.
    tag: u32,
    /// The flow id plus one; 0 in a free slot.
    id: u32,
}

/// Maps 5-tuples to dense flow ids.
pub struct FlowTable {
    slots: Arena<Slot>,
    shift: u32,
    keys: Arena<Key>,
    live: usize,
    free: Vec<u32>,
    pairs: Pairs,
    seed: [u64; 2],
}

impl Default for FlowTable {
    fn default() -> Self {
        FlowTable::new()
    }
}

const FIRST_BITS: u32 = 12;

impl FlowTable {
    /// An empty table with a hash key of its own, drawn at random: nobody can choose addresses that collide.
    #[must_use]
    pub fn new() -> FlowTable {
        let random = RandomState::new();
        let mut slots = Arena::default();
        slots.reach(1 << FIRST_BITS);
        FlowTable {
            slots,
            shift: 32 - FIRST_BITS,
            keys: Arena::default(),
            live: 0,
            free: Vec::new(),
            pairs: Pairs::default(),
            seed: [random.hash_one(1u8), random.hash_one(2u8)],
        }
    }

    /// Flows known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no flow is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// One more than the largest flow id in use.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.keys.len()
    }

    /// Finds or makes the flow of each of at most [`RUN`] packets; `flows` gets one entry a packet.
    pub fn resolve(&mut self, packets: &[Packet], rows: &[Rows], flows: &mut Vec<FlowRef>) {
        let mut keys = [Key { low: 0, high: 0 }; RUN];
        let mut tags = [0u32; RUN];
        let packets = &packets[..packets.len().min(RUN)];
        while (self.live + packets.len()) * 2 > self.slots.len() {
            self.grow();
        }
        for ((packet, key), tag) in packets.iter().zip(&mut keys).zip(&mut tags) {
            *key = self.key(packet);
            *tag = self.tag(*key);
            let at = self.slots.as_ptr() as usize + (*tag >> self.shift) as usize * size_of::<Slot>();
            // One slot in four lies across two lines.
            prefetch(at);
            prefetch(at + size_of::<Slot>() - 1);
        }
        let mut done = 0;
        while done < packets.len() {
            // The slice is taken once; only a new flow makes that necessary again.
            let slots = &self.slots[..];
            let mask = slots.len() - 1;
            let mut free = None;
            for (packet, (&key, &tag)) in packets.iter().zip(keys.iter().zip(&tags)).skip(done) {
                let mut at = (tag >> self.shift) as usize & mask;
                while slots[at].id != 0 && slots[at].key != key {
                    at = (at + 1) & mask;
                }
                if slots[at].id == 0 {
                    free = Some(at);
                    break;
                }
                let id = slots[at].id - 1;
                for row in rows {
                    prefetch(row.base.wrapping_add((id as usize).wrapping_mul(row.stride)));
                }
                flows.push(FlowRef { id, from_high: from_high(packet) });
                done += 1;
            }
            if let Some(at) = free {
                let id = self.add(keys[done], tags[done], at);
                flows.push(FlowRef { id, from_high: from_high(&packets[done]) });
                done += 1;
            }
        }
    }

    #[inline]
    fn key(&mut self, packet: &Packet) -> Key {
        let protocol = u64::from(packet.protocol) << 56;
        if packet.v6 {
            return self.key_v6(packet, protocol);
        }
        let src = (packet.src as u64) << 16 | u64::from(packet.src_port);
        let dst = (packet.dst as u64) << 16 | u64::from(packet.dst_port);
        Key { low: src.min(dst), high: src.max(dst) | protocol }
    }

    #[inline(never)]
    fn key_v6(&mut self, packet: &Packet, protocol: u64) -> Key {
        let src = (packet.src, packet.src_port);
        let dst = (packet.dst, packet.dst_port);
        let (low, high) = if src > dst { (dst, src) } else { (src, dst) };
        let pair = self.pairs.number(low.0, high.0);
        Key { low: u64::from(pair) << 16 | u64::from(low.1), high: V6 | u64::from(high.1) | protocol }
    }

    #[inline]
    fn tag(&self, key: Key) -> u32 {
        let product = u128::from(key.low ^ self.seed[0]) * u128::from(key.high ^ self.seed[1]);
        ((product >> 64) as u64 ^ product as u64) as u32
    }

    /// Puts a flow into a free slot.
    fn add(&mut self, key: Key, tag: u32, at: usize) -> u32 {
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
        self.slots[at] = Slot { key, tag, id: id + 1 };
        self.live += 1;
        id
    }

    #[cold]
    fn grow(&mut self) {
        let mut bigger = Arena::default();
        bigger.reach(self.slots.len() * 2);
        self.shift -= 1;
        let old = std::mem::replace(&mut self.slots, bigger);
        reinsert(&mut self.slots, self.shift, &old, |_| true);
    }

    /// Forgets every flow for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let mut live = vec![false; self.keys.len()];
        self.live = 0;
        for slot in self.slots.iter().filter(|slot| slot.id != 0) {
            let id = slot.id - 1;
            live[id as usize] = keep(id);
            self.live += usize::from(live[id as usize]);
        }
        let bits = (self.live * 4).next_power_of_two().trailing_zeros().max(FIRST_BITS);
        let mut fitting = Arena::default();
        fitting.reach(1 << bits);
        self.shift = 32 - bits;
        let old = std::mem::replace(&mut self.slots, fitting);
        reinsert(&mut self.slots, self.shift, &old, |id| live[id as usize]);
        if self.live == 0 {
            self.keys.clear();
            self.free.clear();
            self.pairs = Pairs::default();
            return;
        }
        self.free = (0..live.len() as u32).rev().filter(|&id| !live[id as usize]).collect();
        let mut used = vec![false; self.pairs.len()];
        for (key, _) in self.keys.iter().zip(&live).filter(|(key, live)| **live && key.high & V6 != 0) {
            used[(key.low >> 16) as usize] = true;
        }
        self.pairs.retain(&used);
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

fn reinsert(slots: &mut Arena<Slot>, shift: u32, old: &[Slot], keep: impl Fn(u32) -> bool) {
    let slots = &mut slots[..];
    let mask = slots.len() - 1;
    for slot in old.iter().filter(|slot| slot.id != 0 && keep(slot.id - 1)) {
        let mut at = (slot.tag >> shift) as usize & mask;
        while slots[at].id != 0 {
            at = (at + 1) & mask;
        }
        slots[at] = *slot;
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
        let mut flows = Vec::new();
        for round in 0..3u64 {
            for start in (0..200_000u64).step_by(RUN) {
                let packets: Vec<_> = (start..start + RUN as u64).map(|n| packet(n * (round + 1))).collect();
                flows.clear();
                table.resolve(&packets, &[], &mut flows);
                for (packet, flow) in packets.iter().zip(&flows) {
                    let (tuple, from_high) = FiveTuple::of(packet);
                    assert_eq!(table.tuple(flow.id), tuple);
                    assert_eq!(flow.from_high, from_high);
                    assert_eq!(*model.entry(tuple).or_insert(flow.id), flow.id);
                }
            }
            assert_eq!(table.len(), model.len());
            table.retain(|id| id % 3 == 0);
            model.retain(|_, id| *id % 3 == 0);
            assert_eq!(table.len(), model.len());
        }
        table.retain(|_| false);
        assert!(table.is_empty());
        assert_eq!(table.ids(), 0);
    }
}
