//! What the payload of flows says, in runs that want it.
//!
//! A flow's [`Conversation`] is shown a packet when its turn in packet time has come and it is settled which flow it is
//! of: what was said stands in the record in which the packet counts. Until then a copy of the payload waits here
//! ([`Held`]), unless nothing is to be learned from it: bodies that are skipped and records that are encrypted cost no copy.
//! Of each end no more bytes wait than a stream may hold; what is beyond counts as not captured.
//!
//! A datagram that came in fragments stands where its first fragment does, if that still waits. Otherwise it is shown at
//! once, unless the flow of the first fragment is over. Where fragments count does not depend on it.

mod columns;

use std::collections::VecDeque;

use super::arrival::Arrival;
use super::flow::Flow;
use super::settings::Plan;
use crate::Timestamp;
use crate::decode::Packet;
use crate::decode::packet::{Fragment, tcp_flag};
use crate::payload::fragments::{Fragments, Reassembled};
use crate::payload::{Conversation, End, Fields, Limits, Segment};
use crate::prefetch::prefetch;
use crate::table::{Ends, FlowRef, FlowTable};

pub(super) use columns::columns;

/// What a flow said, once it has ended.
pub(super) type Words = Option<Box<Fields>>;

/// What a flow's conversation is to see of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shows {
    #[default]
    Nothing,
    /// It has no payload, but opens a connection.
    Header,
    /// The first piece that waits.
    Piece,
}

/// What a flow has said; nothing where it had no payload so far.
#[derive(Debug, Default)]
pub(super) struct Said(Option<Box<Talk>>);

#[derive(Debug)]
struct Talk {
    conversation: Conversation,
    /// Time of the newest packet that may begin the next flow. While it waits, the packets behind it may be of a flow of
    /// which all is wanted.
    turn: i64,
}

/// Payload of a row's packets that wait, in their order.
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
    pub(super) fn prefetch(&self) {
        if let Some(talk) = &self.0 {
            prefetch(std::ptr::from_ref(&**talk).addr());
        }
    }

    /// Takes a packet whose turn has come.
    #[inline]
    pub(super) fn take(&mut self, arrival: &Arrival, held: &mut Held, ends: impl Fn() -> Ends, plan: &Plan) {
        if arrival.shows != Shows::Nothing {
            self.show(arrival, held, &ends(), &plan.settings.payload);
        }
    }

    fn show(&mut self, arrival: &Arrival, held: &mut Held, ends: &Ends, limits: &Limits) {
        let piece = if arrival.shows == Shows::Piece { held.pop(arrival.end()) } else { None };
        let bytes = piece.as_ref().map_or(&[][..], |piece| &piece.bytes);
        let from = end(arrival.sent_by_high());
        match piece.as_ref().map_or(What::Payload, |piece| piece.what) {
            What::Payload => self.push(&segment(arrival, from, ends, bytes), limits),
            What::Place(_) => {}
            What::Datagram(protocol) => {
                let segment = Segment::of_datagram(protocol, bytes, Timestamp(arrival.time), from);
                segment.into_iter().for_each(|segment| self.push(&segment, limits));
            }
        }
    }

    /// A packet at this time may begin the next flow.
    fn turn(&mut self, time: i64) {
        if let Some(talk) = &mut self.0 {
            talk.turn = talk.turn.max(time);
        }
    }

    fn push(&mut self, segment: &Segment<'_>, limits: &Limits) {
        let new = || Box::new(Talk { conversation: Conversation::default(), turn: i64::MIN });
        self.0.get_or_insert_with(new).conversation.push(segment, limits);
    }

    /// What was said, now that the flow has ended.
    pub(super) fn finish(&mut self, plan: &Plan) -> Words {
        self.0.take()?.conversation.finish(&plan.settings.payload)
    }
}

impl Held {
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
        Some(piece)
    }
}

impl Pieces {
    /// Where a packet will wait among the others: behind those of its time.
    fn insert(&mut self, arrival: &mut Arrival, piece: Piece) {
        arrival.shows = Shows::Piece;
        if self.list.back().is_none_or(|last| last.time <= piece.time) {
            return self.list.push_back(piece);
        }
        let at = self.list.partition_point(|other| other.time <= piece.time);
        self.list.insert(at, piece);
    }
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
    /// Keeps what the conversation of a packet's flow may want of it, and notes that in the arrival. `idle` is the longest
    /// silence inside a flow.
    #[inline]
    pub(super) fn keep(
        &mut self,
        packet: &Packet,
        frame: &[u8],
        arrival: &mut Arrival,
        flow: &mut Flow,
        held: &mut Held,
        idle: i64,
        plan: &Plan,
    ) {
        if packet.fragment == Fragment::First {
            self.number += 1;
            return held.reserve(arrival, self.number);
        }
        let opens = arrival.is_tcp() && arrival.flags & tcp_flag::SYN != 0;
        if arrival.payload == 0 && !opens {
            return;
        }
        let Some(segment) = Segment::of(packet, frame, end(arrival.sent_by_high())) else { return };
        if let Some(talk) = &flow.said.0 {
            let (time, wants) = (arrival.time, talk.turn >= flow.last || talk.conversation.wants(&segment));
            let next = arrival.asks_to_connect() || flow.over(time, idle, plan).is_some() || flow.is_behind(time, idle);
            if next {
                flow.said.turn(time);
            } else if !wants {
                return;
            }
        }
        if arrival.payload == 0 {
            arrival.shows = Shows::Header;
        } else {
            held.keep(arrival, segment.payload, plan.settings.payload.stream);
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
            let (time, from) = (Timestamp(first.time), end(first.flow.from_high));
            let segment = Segment::of_datagram(datagram.protocol, &datagram.bytes, time, from);
            segment.into_iter().for_each(|segment| flow.said.push(&segment, limits));
        }
    }

    /// No packet before this time will come, but out of order.
    pub(super) fn forget_before(&mut self, time: i64) {
        self.fragments.forget_before(Timestamp(time));
    }
}

// A row has a word for each, whatever waits.
const _: () = assert!(size_of::<Said>() == size_of::<usize>() && size_of::<Held>() == size_of::<usize>());
