//! The flow table: it knows identity, the views know lifetime.
//!
//! A canonical 5-tuple maps to a dense `u32` flow id. Views keep their own rows, indexed by that id, and say at each
//! marker which ids they still need; the rest are forgotten and their numbers used again.
//!
//! The index is ours and not a library's because the hot path asks for its cache lines a batch ahead: hash, prefetch the
//! slot; compare the key in the slot, prefetch the views' rows. hashbrown cannot be prefetched, which on a
//! thousand warm flows makes it the faster of the two and on a million cold ones the slower by more than half (`cargo bench --bench table`). It serves
//! where no prefetch is needed. Slots are 24 bytes: the key, 32 bits of keyed hash, whose top bits are the position, and
//! the id; linear probing at a load of at most 7/10; growth happens in place. Smaller slots with the key elsewhere cost a
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
#[derive(Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Key {
    low: u64,
    high: u64,
}

const V6: u64 = 1 << 48;

/// A place of the index: a key with its hash and flow id.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
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

/// Packets on their way to their flows: between [`FlowTable::ask`] and [`FlowTable::resolve`].
#[derive(Clone)]
pub struct Asked {
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

const FIRST_BITS: u32 = 12;

/// The load at which the index grows, as a fraction. Above it chains of taken slots reach far beyond the lines asked for;
/// below, the index would be memory that is touched for little.
const FULL: (usize, usize) = (7, 10);

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

    /// Takes the keys of at most [`RUN`] packets and asks for the cache lines where they are looked for.
    #[inline]
    pub fn ask(&mut self, packets: &[Packet], asked: &mut Asked) {
        let (slots, shift) = (self.slots.as_ptr() as usize, self.shift);
        let places = asked.keys.iter_mut().zip(&mut asked.tags);
        asked.from_high = 0;
        for (nth, (packet, (key, tag))) in packets.iter().zip(places).enumerate() {
            let from_high;
            (*key, from_high) = self.key(packet);
            *tag = self.tag(*key);
            asked.from_high |= u64::from(from_high) << nth;
            let at = slots + (*tag >> shift) as usize * size_of::<Slot>();
            // One slot in four lies across two lines.
            prefetch(at);
            prefetch(at + size_of::<Slot>() - 1);
        }
        asked.len = packets.len().min(RUN);
    }

    /// Finds or makes the flow of each packet that was asked for; `flows` gets one entry a packet. The rows of flows that
    /// are known are asked for in their turn.
    pub fn resolve(&mut self, asked: &Asked, rows: &[Rows], flows: &mut Vec<FlowRef>) {
        while (self.live + asked.len) * FULL.1 > self.slots.len() * FULL.0 {
            self.grow();
        }
        let mut done = 0;
        while done < asked.len {
            // The slice is taken once; only a new flow makes that necessary again.
            let slots = &self.slots[..];
            let mask = slots.len() - 1;
            let mut free = None;
            for (&key, &tag) in asked.keys[..asked.len].iter().zip(&asked.tags).skip(done) {
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
                flows.push(FlowRef { id, from_high: asked.from_high >> done & 1 != 0 });
                done += 1;
            }
            if let Some(at) = free {
                let id = self.add(asked.keys[done], asked.tags[done], at);
                flows.push(FlowRef { id, from_high: asked.from_high >> done & 1 != 0 });
                done += 1;
            }
        }
    }

    /// The key of a packet's flow, and whether the packet's source is its high end.
    #[inline(always)]
    fn key(&mut self, packet: &Packet) -> (Key, bool) {
        let protocol = u64::from(packet.protocol) << 56;
        if packet.v6 {
            return self.key_v6(packet, protocol);
        }
        let src = (packet.src as u64) << 16 | u64::from(packet.src_port);
        let dst = (packet.dst as u64) << 16 | u64::from(packet.dst_port);
        (Key { low: src.min(dst), high: src.max(dst) | protocol }, src > dst)
    }

    #[inline(never)]
    fn key_v6(&mut self, packet: &Packet, protocol: u64) -> (Key, bool) {
        let src = (packet.src, packet.src_port);
        let dst = (packet.dst, packet.dst_port);
        let (low, high) = if src > dst { (dst, src) } else { (src, dst) };
        let pair = self.pairs.number(low.0, high.0);
        let key = Key { low: u64::from(pair) << 16 | u64::from(low.1), high: V6 | u64::from(high.1) | protocol };
        (key, src > dst)
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
        if key.high & V6 != 0 {
            self.pairs.hold((key.low >> 16) as u32);
        }
        id
    }

    /// Doubles the index where it lies: memory that was never touched is the dearest there is.
    ///
    /// A slot's position is the top bits of its tag, so a flow moves from about `i` to about `2 i`. Taken from the last
    /// slot down, flows come to lie behind all that have not moved. The few of which that is not certain, in the first
    /// slots and at the end, wait until all others are in place.
    #[cold]
    fn grow(&mut self) {
        let before = self.slots.len();
        self.slots.reach(before * 2);
        self.shift -= 1;
        let shift = self.shift;
        let slots = &mut self.slots[..];
        let mut waiting: Vec<Slot> = Vec::new();
        for from in (0..before).rev() {
            let slot = std::mem::take(&mut slots[from]);
            if slot.id == 0 {
                continue;
            }
            let mut at = (slot.tag >> shift) as usize;
            if at < from {
                waiting.push(slot);
                continue;
            }
            while at < slots.len() && slots[at].id != 0 {
                at += 1;
            }
            match slots.get_mut(at) {
                Some(free) => *free = slot,
                None => waiting.push(slot),
            }
        }
        reinsert(&mut self.slots, shift, &waiting, |_| true);
    }

    /// Forgets one flow. The slots behind it close up, so the index is as if the flow had never been.
    pub fn forget(&mut self, id: u32) {
        let key = self.keys[id as usize];
        let (tag, shift) = (self.tag(key), self.shift);
        let slots = &mut self.slots[..];
        let mask = slots.len() - 1;
        let mut hole = (tag >> shift) as usize & mask;
        while slots[hole].id != id + 1 {
            if slots[hole].id == 0 {
                return;
            }
            hole = (hole + 1) & mask;
        }
        let mut next = (hole + 1) & mask;
        while slots[next].id != 0 {
            // A slot may move up to its own place and not before it.
            let home = (slots[next].tag >> shift) as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                slots[hole] = slots[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        slots[hole] = Slot::default();
        self.live -= 1;
        self.free.push(id);
        if key.high & V6 != 0 {
            self.pairs.release((key.low >> 16) as u32);
        }
    }

    /// Forgets every flow for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let mut live = vec![false; self.keys.len()];
        self.live = 0;
        for slot in self.slots.iter().filter(|slot| slot.id != 0) {
            let id = slot.id - 1;
            live[id as usize] = keep(id);
            self.live += usize::from(live[id as usize]);
            if !live[id as usize] && slot.key.high & V6 != 0 {
                self.pairs.release((slot.key.low >> 16) as u32);
            }
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

/// Puts slots into an index that has room for them.
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
        let mut asked = Asked::default();
        for round in 0..3u64 {
            for start in (0..200_000u64).step_by(RUN) {
                let packets: Vec<_> = (start..start + RUN as u64).map(|n| packet(n * (round + 1))).collect();
                flows.clear();
                table.ask(&packets, &mut asked);
                table.resolve(&asked, &[], &mut flows);
                for (packet, flow) in packets.iter().zip(&flows) {
                    let (tuple, from_high) = FiveTuple::of(packet);
                    assert_eq!(table.tuple(flow.id), tuple);
                    assert_eq!(flow.from_high, from_high);
                    assert_eq!(*model.entry(tuple).or_insert(flow.id), flow.id);
                }
            }
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
