//! Later fragments wait here until their window closes, then inherit the ports of their datagram's first fragment.
//!
//! A datagram is known by sender, receiver, identification (and protocol, in IPv4) inside 64 seconds of capture time, half
//! a minute being what hosts wait for fragments (RFC 1122, section 3.3.2, asks for 60 to 120 s at most); a later
//! fragment whose own 64 seconds have no first one looks into those before and behind. Nothing is decided before the window
//! closes, so arrival order does not matter. A pair of hosts has room for [`ROOM`] datagrams a direction and window: the earliest by
//! (64 seconds, identification); what lies beyond stays under port 0.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::piece::{Piece, Pieces};
use crate::decode::PairSeed;
use crate::decode::fragment::Datagram;
use crate::decode::packet::Packet;

/// Datagrams a direction of a pair of hosts and window.
const ROOM: usize = 16_384;

/// Length of a slot of capture time, ns.
const SLOT: i64 = 64_000_000_000;

/// A window, a sender and a receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Route {
    window: u32,
    /// The keyed hash of the two hosts.
    hash: u32,
    src: u128,
    dst: u128,
    v6: bool,
}

impl Route {
    fn of(window: u32, packet: &Packet, seed: &PairSeed) -> Route {
        Route { window, hash: seed.of(packet), src: packet.src, dst: packet.dst, v6: packet.v6 }
    }

    /// hashbrown takes its tag from the top bits and the bucket from the bottom ones.
    fn spread(&self) -> u64 {
        let hash = self.hash ^ self.window.wrapping_mul(0x9e37_79b9);
        u64::from(hash) | u64::from(hash) << 32
    }
}

/// Flow id, and whether the sender is its high end.
pub(super) type Side = (u32, bool);

/// Waiting fragments of all open windows.
pub(super) struct Fragments {
    /// Longest gap inside a piece, ns.
    idle: i64,
    seed: PairSeed,
    routes: HashTable<(Route, Waiting)>,
}

/// Counters of later fragments by protocol number, with the flow under port 0 that is theirs if no ports are found. One
/// entry but for forgeries.
type Later = Vec<(u8, Side, Pieces)>;

#[derive(Default)]
struct Waiting {
    datagrams: BTreeMap<(i64, Datagram), Entry>,
    /// Smallest key that found no room; nothing at or above it is kept.
    full_from: Option<(i64, Datagram)>,
    /// What found no room, or whose datagram cannot be told.
    lost: Later,
}

#[derive(Default)]
struct Entry {
    /// Earliest first fragment: time, ports and protocol decide, the rest follows.
    first: Option<((i64, u16, u16, u8), Side)>,
    /// Later fragments that wait.
    later: Later,
}

fn add(into: &mut Later, protocol: u8, side: Side, piece: Piece, idle: i64) {
    if let Some((.., pieces)) = into.iter_mut().find(|(known, ..)| *known == protocol) {
        return pieces.absorb(piece, idle);
    }
    let mut pieces = Pieces::default();
    pieces.absorb(piece, idle);
    into.push((protocol, side, pieces));
}

impl Fragments {
    /// None wait yet.
    pub(super) fn new(idle: i64) -> Fragments {
        Fragments { idle, seed: PairSeed::random(), routes: HashTable::new() }
    }

    /// Remembers a first fragment.
    pub(super) fn first(&mut self, window: u32, packet: &Packet, datagram: Datagram, side: Side) {
        if let Some(entry) = self.entry(window, packet, datagram) {
            let key = (packet.time.0, packet.src_port, packet.dst_port, packet.protocol);
            if entry.first.is_none_or(|(known, _)| key < known) {
                entry.first = Some((key, side));
            }
        }
    }

    /// Keeps a later fragment until its window closes. `side` is its flow under port 0.
    pub(super) fn later(&mut self, window: u32, packet: &Packet, datagram: Option<Datagram>, side: Side, piece: Piece) {
        let idle = self.idle;
        if let Some(datagram) = datagram
            && let Some(entry) = self.entry(window, packet, datagram)
        {
            add(&mut entry.later, packet.protocol, side, piece, idle);
            return;
        }
        let waiting = self.waiting(Route::of(window, packet, &self.seed));
        add(&mut waiting.lost, packet.protocol, side, piece, idle);
    }

    fn waiting(&mut self, route: Route) -> &mut Waiting {
        let same = |(known, _): &(Route, Waiting)| *known == route;
        let entry = self.routes.entry(route.spread(), same, |(route, _)| route.spread());
        &mut entry.or_insert_with(|| (route, Waiting::default())).into_mut().1
    }

    fn entry(&mut self, window: u32, packet: &Packet, datagram: Datagram) -> Option<&mut Entry> {
        let idle = self.idle;
        let waiting = self.waiting(Route::of(window, packet, &self.seed));
        let key = (packet.time.0.div_euclid(SLOT), datagram);
        if waiting.full_from.is_some_and(|full| key >= full) {
            return None;
        }
        if waiting.datagrams.len() >= ROOM
            && !waiting.datagrams.contains_key(&key)
            && let Some((last, entry)) = waiting.datagrams.pop_last()
        {
            if last <= key {
                waiting.datagrams.insert(last, entry);
                waiting.full_from = Some(key);
                return None;
            }
            waiting.full_from = Some(last);
            for (protocol, side, pieces) in entry.later {
                for piece in pieces.into_iter() {
                    add(&mut waiting.lost, protocol, side, piece, idle);
                }
            }
        }
        Some(waiting.datagrams.entry(key).or_default())
    }

    /// The flows that waiting fragments may turn out to belong to; some more than once.
    pub(super) fn flows(&self) -> impl Iterator<Item = u32> {
        self.routes.iter().flat_map(|(_, waiting)| {
            let datagrams = waiting.datagrams.values().flat_map(|entry| {
                let first = entry.first.iter().map(|(_, side)| side.0);
                first.chain(entry.later.iter().map(|(_, side, _)| side.0))
            });
            datagrams.chain(waiting.lost.iter().map(|(_, side, _)| side.0))
        })
    }

    /// Hands over what waited in a closing window: which side of which flow each piece belongs to.
    pub(super) fn close(&mut self, closing: impl Fn(u32) -> bool, mut give: impl FnMut(u32, Side, Piece)) {
        for (route, waiting) in self.routes.extract_if(|(route, _)| closing(route.window)) {
            let first = |slot: i64, datagram: Datagram| {
                waiting.datagrams.get(&(slot, datagram)).and_then(|entry| entry.first).map(|(_, side)| side)
            };
            for (&(slot, datagram), entry) in &waiting.datagrams {
                let owner =
                    first(slot, datagram).or_else(|| first(slot - 1, datagram)).or_else(|| first(slot + 1, datagram));
                for (_, own, pieces) in &entry.later {
                    for piece in pieces.iter() {
                        give(route.window, owner.unwrap_or(*own), turn(piece, own.1, owner.unwrap_or(*own).1));
                    }
                }
            }
            for (_, side, pieces) in waiting.lost {
                for piece in pieces.into_iter() {
                    give(route.window, side, piece);
                }
            }
        }
    }
}

/// A piece of one sender as seen from a flow in which the sender is the other end.
fn turn(piece: &Piece, from_high: bool, to_high: bool) -> Piece {
    let mut piece = piece.clone();
    if from_high != to_high {
        piece.packets.swap(0, 1);
        piece.bytes.swap(0, 1);
        piece.first_high = to_high;
    }
    piece
}
