//! What a worker does when windows close: settle directions and sort flows by group.
//!
//! The result, [`Closed`], owns the rows of the closed windows. Entries are sorted by (source, destination, port,
//! transport), so the merge rolls flows up into groups by walking them, and needs no map.

use std::collections::{BTreeMap, HashSet};

use super::chain::Chains;
use super::record::{Transport, Window};
use super::row::{Extra, Row};
use super::shard::{Aside, Shard};
use crate::table::arena::Arena;
use crate::table::direction::{Direction, only_one};
use crate::table::{Ends, FlowTable};

/// Everything a worker hands over at a marker.
pub(super) struct Closed {
    pub(super) rows: Arena<Row>,
    pub(super) extras: Vec<Extra>,
    pub(super) chains: Chains,
    pub(super) windows: Vec<ClosedWindow>,
    pub(super) aside: BTreeMap<u32, Aside>,
    /// Files with smaller numbers have been read to the end.
    pub(super) read_before: u32,
}

/// One worker's flows of one window, by group.
pub(super) struct ClosedWindow {
    pub(super) window: Window,
    pub(super) v4: Vec<EntryV4>,
    pub(super) v6: Vec<EntryV6>,
}

/// A flow as part of a group: what orders it, and where its row is.
pub(crate) trait Entry: Copy + Ord {
    /// The client, IPv4 in the low 32 bits.
    fn src(&self) -> u128;
    /// The server.
    fn dst(&self) -> u128;
    /// `port << 48 | transport << 46 | answered << 45 | row`.
    fn rest(&self) -> u64;
    /// Whether the addresses are IPv6.
    const V6: bool;

    fn dst_port(&self) -> u16 {
        (self.rest() >> 48) as u16
    }
    fn transport(&self) -> Transport {
        Transport::ALL[(self.rest() >> 46 & 3) as usize]
    }
    fn answered(&self) -> bool {
        self.rest() >> 45 & 1 != 0
    }
    fn row(&self) -> usize {
        self.rest() as u32 as usize
    }
    /// Whether both flows are of one group.
    fn same_group(&self, other: &Self) -> bool;
}

/// An IPv4 flow in one sortable number: `src << 96 | dst << 64 | rest`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryV4(u128);

impl Entry for EntryV4 {
    const V6: bool = false;
    fn src(&self) -> u128 {
        self.0 >> 96
    }
    fn dst(&self) -> u128 {
        self.0 >> 64 & 0xffff_ffff
    }
    fn rest(&self) -> u64 {
        self.0 as u64
    }
    fn same_group(&self, other: &Self) -> bool {
        (self.0 ^ other.0) >> 46 == 0
    }
}

/// An IPv6 flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryV6 {
    src: u128,
    dst: u128,
    rest: u64,
}

impl Entry for EntryV6 {
    const V6: bool = true;
    fn src(&self) -> u128 {
        self.src
    }
    fn dst(&self) -> u128 {
        self.dst
    }
    fn rest(&self) -> u64 {
        self.rest
    }
    fn same_group(&self, other: &Self) -> bool {
        self.src == other.src && self.dst == other.dst && (self.rest ^ other.rest) >> 46 == 0
    }
}

/// Takes the closing windows out of a shard.
pub(super) fn hand_over(shard: &mut Shard, closing: &BTreeMap<Window, u32>, table: &FlowTable) -> Closed {
    if closing.is_empty() {
        return Closed {
            rows: Arena::default(),
            extras: Vec::new(),
            chains: Chains::default(),
            windows: Vec::new(),
            aside: std::mem::take(&mut shard.aside),
            read_before: shard.read_before,
        };
    }
    let numbers: HashSet<u32> = closing.values().copied().collect();
    let mut found = Vec::new();
    shard.fragments.close(|number| numbers.contains(&number), |number, side, piece| found.push((number, side, piece)));
    for (number, (flow, from_high), piece) in found {
        shard.absorb(flow, number, piece);
        shard.rows[flow as usize].mark_answer(from_high);
    }

    let mut taken = take_rows(shard, closing);
    shard.held = shard.parked.keys().map(|&(_, flow)| flow).chain(shard.fragments.flows()).collect();
    let mut windows = Vec::with_capacity(closing.len());
    for (at, &window) in closing.keys().enumerate() {
        settle(shard, &mut taken, at, window, table);
        let members = &taken.members[at];
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        if members.len() > 1024 {
            v4.reserve_exact(members.len());
        }
        for &at in members {
            let row = &taken.rows[at as usize];
            let ends = table.ends(taken.flows.of(at));
            let (src, dst, port) = match row.client_high() {
                true => (ends.high, ends.low, ends.low_port),
                false => (ends.low, ends.high, ends.high_port),
            };
            let rest = u64::from(port) << 48
                | (Transport::of(ends.protocol) as u64) << 46
                | u64::from(row.answered()) << 45
                | u64::from(at);
            if ends.v6 {
                v6.push(EntryV6 { src, dst, rest });
            } else {
                v4.push(EntryV4(src << 96 | dst << 64 | u128::from(rest)));
            }
        }
        v4.sort_unstable();
        v6.sort_unstable();
        windows.push(ClosedWindow { window, v4, v6 });
    }
    Closed {
        rows: taken.rows,
        extras: taken.extras,
        chains: taken.chains,
        windows,
        aside: std::mem::take(&mut shard.aside),
        read_before: shard.read_before,
    }
}

/// Rows of closing windows, out of their shard.
struct Taken {
    rows: Arena<Row>,
    extras: Vec<Extra>,
    chains: Chains,
    flows: Flows,
    /// Row indices by closing window.
    members: Vec<Vec<u32>>,
}

/// Which flow a taken row is of.
struct Flows {
    /// Below this, a row's index is its flow id.
    same: u32,
    /// The flow ids of the rows from there on.
    others: Vec<u32>,
}

impl Flows {
    fn of(&self, row: u32) -> u32 {
        if row < self.same { row } else { self.others[(row - self.same) as usize] }
    }
}

fn take_rows(shard: &mut Shard, closing: &BTreeMap<Window, u32>) -> Taken {
    let mut taken = Taken {
        rows: Arena::default(),
        extras: Vec::new(),
        chains: Chains::default(),
        flows: Flows { same: 0, others: Vec::new() },
        members: vec![Vec::new(); closing.len()],
    };
    if shard.open.is_empty() {
        // Every row belongs to a closing window: they leave as they lie.
        taken.rows = std::mem::take(&mut shard.rows);
        taken.extras = std::mem::take(&mut shard.extras);
        taken.chains = std::mem::take(&mut shard.chains);
        taken.flows.same = u32::try_from(taken.rows.len()).expect("row indices are flow ids");
        for (members, &number) in taken.members.iter_mut().zip(closing.values()) {
            *members = shard.members.take(number);
            shard.gone.extend_from_slice(members);
            for flow in members {
                if taken.rows[*flow as usize].window == number {
                    continue;
                }
                taken.rows.push(shard.parked.remove(&(number, *flow)).expect(HAS_ROW));
                taken.flows.others.push(*flow);
                *flow = u32::try_from(taken.rows.len() - 1).expect("fewer than 2^32 rows");
            }
        }
        return taken;
    }
    for (at, (window, &number)) in closing.iter().enumerate() {
        for flow in shard.members.take(number) {
            let own = &mut shard.rows[flow as usize];
            let row = match own.window == number {
                true => std::mem::replace(own, Row::of(0)),
                false => shard.parked.remove(&(number, flow)).expect(HAS_ROW),
            };
            taken.take(at, window.start.0, flow, row, &mut shard.extras, &shard.chains);
            shard.gone.push(flow);
        }
    }
    compact(shard);
    taken
}

const HAS_ROW: &str = "a flow of an open window has a row of it";

impl Taken {
    fn take(&mut self, at: usize, base: i64, flow: u32, mut row: Row, extras: &mut [Extra], chains: &Chains) {
        self.members[at].push(u32::try_from(self.rows.len()).expect("fewer than 2^32 rows"));
        move_chain(&mut row, base, extras, chains, &mut self.extras, &mut self.chains);
        self.rows.push(row);
        self.flows.others.push(flow);
    }
}

/// Moves what a row points at to other arenas.
fn move_chain(
    row: &mut Row,
    base: i64,
    extras: &mut [Extra],
    chains: &Chains,
    to: &mut Vec<Extra>,
    links: &mut Chains,
) {
    match row.extra() {
        Some(index) => {
            let mut extra = std::mem::take(&mut extras[index]);
            extra.chain = chains.copy(extra.chain, links, base);
            row.set_extra(to.len());
            to.push(extra);
        }
        None => row.set_chain(chains.copy(row.chain(), links, base)),
    }
}

/// Closes the holes that taken extras and chains left.
fn compact(shard: &mut Shard) {
    if shard.extras.is_empty() && shard.chains.is_empty() {
        return;
    }
    let (mut extras, mut chains) = (Vec::new(), Chains::default());
    for (window, &number) in &shard.open {
        for &flow in shard.members.of(number) {
            let own = &mut shard.rows[flow as usize];
            let row = match own.window == number {
                true => own,
                false => shard.parked.get_mut(&(number, flow)).expect(HAS_ROW),
            };
            move_chain(row, window.start.0, &mut shard.extras, &shard.chains, &mut extras, &mut chains);
        }
    }
    shard.extras = extras;
    shard.chains = chains;
}

/// Decides the direction of every flow of one window.
fn settle(shard: &Shard, taken: &mut Taken, at: usize, window: Window, table: &FlowTable) {
    let Taken { rows, extras, chains, flows, members } = taken;
    let members = &members[at];
    let services = &shard.plan.services;
    let mut undecided = Vec::new();
    let mut witnesses = false;
    for &at in members {
        let row = &mut rows[at as usize];
        let ends = table.ends(flows.of(at));
        if let Some((direction, client_high)) = row.evidence() {
            // A host that talks to itself on one port has no two ends: all is up.
            row.settle(direction, client_high && !ends.are_one());
            witnesses = true;
        } else if let Some(server_high) = only_one(ends.low_port, ends.high_port, |port| services.knows(port)) {
            row.settle(Direction::ServicePort, !server_high);
        } else {
            undecided.push(at);
        }
    }
    let learned =
        if witnesses { Learned::of(shard, rows, members, &undecided, flows, table) } else { Learned::default() };
    for at in undecided {
        let ends = table.ends(flows.of(at));
        let row = &mut rows[at as usize];
        if let Some(server_high) = learned.server_high(&ends) {
            row.settle(Direction::Learned, !server_high);
        } else if let Some(server_high) = only_one(ends.low_port, ends.high_port, |port| port < 1024) {
            row.settle(Direction::LowPort, !server_high);
        } else {
            let first = earliest(row, extras, chains, window.start.0);
            row.settle(Direction::FirstPacket, first && !ends.are_one());
        }
    }
}

/// Whether the flow's earliest packet came from its high end.
fn earliest(row: &Row, extras: &[Extra], chains: &Chains, base: i64) -> bool {
    if let Some(high) = row.earliest_high() {
        return high;
    }
    let mut first = row.piece().map(|piece| (piece.first, piece.first_high));
    let mut consider =
        |time: i64, high: bool| first = Some(first.map_or((time, high), |known| known.min((time, high))));
    let mut link = row.chain();
    if let Some(extra) = row.extra().map(|index| &extras[index]) {
        link = extra.chain;
        extra.older.iter().take(1).for_each(|piece| consider(piece.first, piece.first_high));
    }
    // Pieces of a chain begin one behind the other, but a late packet may have widened any.
    while !link.is_end() {
        let (piece, previous) = chains.get(link, base);
        consider(piece.first, piece.first_high);
        link = previous;
    }
    first.is_some_and(|(_, high)| high)
}

/// Ends that the packets of a window prove to be servers, of host pairs in which some flow's direction is open.
#[derive(Default)]
struct Learned {
    /// Host pair, IPv6, the server is the high end, its port.
    servers: HashSet<(u128, u128, bool, bool, u16)>,
}

impl Learned {
    fn of(
        shard: &Shard,
        rows: &Arena<Row>,
        members: &[u32],
        open: &[u32],
        flows: &Flows,
        table: &FlowTable,
    ) -> Learned {
        let mut learned = Learned::default();
        if open.is_empty() {
            return learned;
        }
        // Few flows are open as a rule. A bit a host pair that has one lets the others pass at the cost of a hash.
        let bits = (open.len() * 8).next_power_of_two().max(1024);
        let mut wanted = vec![0u64; bits / 64];
        let bit = |ends: &Ends| shard.pairs.hash(ends.low, ends.high, ends.v6) as usize & (bits - 1);
        for &at in open {
            let bit = bit(&table.ends(flows.of(at)));
            wanted[bit / 64] |= 1 << (bit % 64);
        }
        for &at in members {
            let row = &rows[at as usize];
            if row.evidence().is_none() {
                continue;
            }
            let ends = table.ends(flows.of(at));
            let bit = bit(&ends);
            if wanted[bit / 64] >> (bit % 64) & 1 != 0 {
                let server_high = !row.client_high();
                let port = if server_high { ends.high_port } else { ends.low_port };
                learned.servers.insert((ends.low, ends.high, ends.v6, server_high && ends.low != ends.high, port));
            }
        }
        learned
    }

    /// Whether the high end is the one of the two that is a server; nothing if both are or neither is.
    fn server_high(&self, ends: &Ends) -> Option<bool> {
        if self.servers.is_empty() {
            return None;
        }
        let distinct = ends.low != ends.high;
        let low = self.servers.contains(&(ends.low, ends.high, ends.v6, false, ends.low_port));
        let high = self.servers.contains(&(ends.low, ends.high, ends.v6, distinct, ends.high_port));
        match (low, high) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        }
    }
}
