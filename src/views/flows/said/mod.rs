//! What the payload of flows says, in runs that want it.
//!
//! A flow's [`Conversation`] is shown packets as they come, before they wait in the reorder stage; so payload is not copied.
//! But it must be settled which flow a packet is of. The first packets of a flow, and one that may begin the next
//! (`may_follow`), leave a copy of their payload here ([`Held`]), as do those behind them, and are shown when their turn has
//! come: what was said stands in the record in which the packet counts. Of each end no more bytes are held than a stream
//! may hold; what is beyond counts as not captured. One exception is worth no copies: a packet that still waits when one
//! comes that has an earlier time and begins another flow has spoken to the flow before.
//!
//! A datagram that came in fragments is shown when it is complete, to the flow of its first fragment unless that is over;
//! or in the place of the first fragment, while that is held. Where fragments count does not depend on it.

mod columns;

use std::collections::VecDeque;

use super::arrival::Arrival;
use super::flow::Flow;
use super::settings::Plan;
use crate::Timestamp;
use crate::decode::Packet;
use crate::decode::packet::Fragment;
use crate::payload::fragments::{Fragments, Reassembled};
use crate::payload::{Conversation, End, Fields, Limits, Segment};
use crate::prefetch::prefetch_all;
use crate::table::{Ends, FlowRef, FlowTable};

pub(super) use columns::columns;

/// What a flow said, once it has ended.
pub(super) type Words = Option<Box<Fields>>;

/// What a flow has said; nothing where it had no payload so far.
#[derive(Debug, Default)]
pub(super) struct Said(Option<Box<Conversation>>);

/// Payload of a row's packets that wait and are not yet shown, in their order. Mostly none.
#[derive(Debug, Default)]
pub(super) struct Held(Option<Box<Pieces>>);

#[derive(Debug, Default)]
struct Pieces {
    list: VecDeque<Piece>,
    /// Bytes by end.
    bytes: [usize; 2],
}

#[derive(Debug)]
struct Piece {
    time: i64,
    bytes: Box<[u8]>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Payload,
    /// The place of a datagram of which this is the first fragment's number.
    Place(u64),
    /// A datagram of this protocol, with its transport header.
    Datagram(u8),
}

impl Said {
    /// Asks for its memory.
    #[inline]
    pub(super) fn ask(&self) {
        if let Some(conversation) = &self.0 {
            prefetch_all(&**conversation);
        }
    }

    /// Takes a packet whose turn has come.
    #[inline]
    pub(super) fn take(&mut self, arrival: &Arrival, held: &mut Held, ends: impl Fn() -> Ends, plan: &Plan) {
        if arrival.is_held() {
            self.show(arrival, held, &ends(), &plan.settings.payload);
        }
    }

    fn show(&mut self, arrival: &Arrival, held: &mut Held, ends: &Ends, limits: &Limits) {
        let Some(piece) = held.pop(arrival.end()) else { return };
        let from = end(arrival.sent_by_high());
        match piece.what {
            What::Payload => self.push(&segment(arrival, from, ends, &piece.bytes), limits),
            What::Place(_) => {}
            What::Datagram(protocol) => self.datagram(protocol, &piece.bytes, arrival.time, from, limits),
        }
    }

    fn datagram(&mut self, protocol: u8, bytes: &[u8], time: i64, from: End, limits: &Limits) {
        if let Some(segment) = Segment::of_datagram(protocol, bytes, Timestamp(time), from) {
            self.push(&segment, limits);
        }
    }

    #[inline]
    fn push(&mut self, segment: &Segment<'_>, limits: &Limits) {
        self.0.get_or_insert_default().push(segment, limits);
    }

    /// What was said, now that the flow has ended.
    pub(super) fn finish(&mut self, plan: &Plan) -> Words {
        self.0.take()?.finish(&plan.settings.payload)
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Keeps a packet's payload, as far as there is room.
    fn keep(&mut self, arrival: &mut Arrival, payload: &[u8], room: usize) {
        let pieces = self.0.get_or_insert_default();
        let used = &mut pieces.bytes[arrival.end()];
        let bytes = &payload[..payload.len().min(room.saturating_sub(*used))];
        *used += bytes.len();
        pieces.insert(arrival, Piece { time: arrival.time, bytes: bytes.into(), what: What::Payload });
    }

    /// Keeps a place for the datagram of a first fragment.
    fn reserve(&mut self, arrival: &mut Arrival, number: u64) {
        let piece = Piece { time: arrival.time, bytes: Box::default(), what: What::Place(number) };
        self.0.get_or_insert_default().insert(arrival, piece);
    }

    /// Puts a datagram into the place of its first fragment; false if that waits no more.
    fn fill(&mut self, datagram: &Reassembled<First>, room: usize) -> bool {
        let Some(pieces) = &mut self.0 else { return false };
        let place = What::Place(datagram.with.number);
        let Some(piece) = pieces.list.iter_mut().find(|piece| piece.what == place) else { return false };
        let used = &mut pieces.bytes[usize::from(datagram.with.flow.from_high)];
        let bytes = &datagram.bytes[..datagram.bytes.len().min(room.saturating_sub(*used))];
        *used += bytes.len();
        (piece.bytes, piece.what) = (bytes.into(), What::Datagram(datagram.protocol));
        true
    }

    fn pop(&mut self, end: usize) -> Option<Piece> {
        let pieces = self.0.as_mut()?;
        let piece = pieces.list.pop_front()?;
        pieces.bytes[end] -= piece.bytes.len();
        if pieces.list.is_empty() {
            self.0 = None;
        }
        Some(piece)
    }
}

impl Pieces {
    /// Where a packet will wait among the others: behind those of its time.
    fn insert(&mut self, arrival: &mut Arrival, piece: Piece) {
        arrival.hold();
        if self.list.back().is_none_or(|last| last.time <= piece.time) {
            return self.list.push_back(piece);
        }
        let at = self.list.partition_point(|other| other.time <= piece.time);
        self.list.insert(at, piece);
    }
}

/// Whether a packet may be of another flow than `flow` is now. What waits in front of it can only shorten its silence, but by
/// rules that judge end it.
#[inline]
fn may_follow(arrival: &Arrival, flow: &Flow, idle: i64, plan: &Plan) -> bool {
    !flow.has_begun()
        || plan.settings.reorder > idle.min(plan.active)
        || arrival.has_syn()
        || plan.judges
        || flow.over(arrival.time, idle, plan).is_some()
}

fn end(high: bool) -> End {
    if high { End::B } else { End::A }
}

fn segment<'p>(arrival: &Arrival, from: End, ends: &Ends, payload: &'p [u8]) -> Segment<'p> {
    let [a, b] = [ends.low_port, ends.high_port];
    Segment {
        from,
        time: Timestamp(arrival.time),
        protocol: arrival.protocol,
        ports: if from == End::A { [a, b] } else { [b, a] },
        seq: arrival.segment().map_or(0, |segment| segment.seq),
        flags: arrival.flags,
        payload,
        cut: arrival.payload.saturating_sub(u32::try_from(payload.len()).unwrap_or(u32::MAX)),
    }
}

/// What a worker keeps back of packets before they go to their flows, and the datagrams that it puts together.
#[derive(Debug, Default)]
pub(super) struct Listener {
    fragments: Fragments<First>,
    /// Names the next first fragment.
    number: u64,
}

/// Where a first fragment was put.
#[derive(Clone, Copy, Debug)]
struct First {
    flow: FlowRef,
    ends: Ends,
    time: i64,
    number: u64,
}

impl Listener {
    /// Shows a packet to the conversation of its row's flow, before it goes there; or keeps what may be wanted of it, and
    /// notes that in the arrival. `idle` is the longest silence inside a flow.
    #[inline]
    pub(super) fn hear(
        &mut self,
        packet: &Packet,
        frame: &[u8],
        arrival: &mut Arrival,
        flow: &mut Flow,
        held: &mut Held,
        idle: i64,
        plan: &Plan,
    ) {
        if arrival.payload == 0 && !arrival.has_syn() && packet.fragment == Fragment::Whole {
            return;
        }
        let settled = held.is_empty() && !may_follow(arrival, flow, idle, plan);
        match packet.fragment {
            Fragment::Whole => {
                let Some(segment) = Segment::of(packet, frame, end(arrival.sent_by_high())) else { return };
                if settled {
                    flow.said.push(&segment, &plan.settings.payload);
                } else {
                    held.keep(arrival, segment.payload, plan.settings.payload.stream);
                }
            }
            Fragment::First => {
                self.number += 1;
                if !settled {
                    held.reserve(arrival, self.number);
                }
            }
            Fragment::Later => {}
        }
    }

    /// Takes a fragment that has gone to its flow. Shows the datagram that it completes to the flow of its first fragment;
    /// `row` gives what is live at an id.
    #[cold]
    pub(super) fn join<'r>(
        &mut self,
        packet: &Packet,
        frame: &[u8],
        flow: FlowRef,
        table: &FlowTable,
        plan: &Plan,
        row: impl FnOnce(u32) -> Option<(&'r mut Flow, &'r mut Held)>,
    ) {
        let first = First { flow, ends: table.ends(flow.id), time: packet.time.0, number: self.number };
        let Some(datagram) = self.fragments.push(packet, frame, first) else { return };
        let (first, limits) = (datagram.with, &plan.settings.payload);
        let Some((flow, held)) = row(first.flow.id) else { return };
        if table.ends(first.flow.id) != first.ends || held.fill(&datagram, limits.stream) {
            return;
        }
        if flow.has_begun() && flow.first <= first.time {
            let from = end(first.flow.from_high);
            flow.said.datagram(datagram.protocol, &datagram.bytes, first.time, from, limits);
        }
    }

    /// Ends a stretch with this many fragments, for all workers. No packet before this time will come, but out of order. Says
    /// how many datagrams were let go of for want of room.
    pub(super) fn end_stretch(&mut self, fragments: u32, before: i64) -> u64 {
        self.fragments.forget_before(Timestamp(before));
        self.fragments.end_stretch(fragments);
        self.fragments.take_let_go()
    }
}

// A row has a word for each, whatever waits.
const _: () = assert!(size_of::<Said>() == size_of::<usize>() && size_of::<Held>() == size_of::<usize>());
