//! A timeline as a page shows it: packets as marks at every scale, flows as lines of a list, and the packets of each flow.
//!
//! All of it is held in memory: under 200 bytes a packet, and as much a flow. What leaves is columns of numbers, so that a page gets a million
//! packets without reading a million objects.

mod level;
mod order;

pub use level::{COARSE_ROWS, Level, Rows, Told};
use order::Busy;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::hosts::{Host, Hosts};
use super::record::{Close, Flow, Packet, Phase, Reason, State};
use super::{Step, TimelineSink};
use crate::error::Result;

/// No host.
pub const NOBODY: Host = Host::MAX;

const TCP: i64 = 6;
const FIN: i64 = 1;
const SYN: i64 = 2;
const RST: i64 = 4;
const PSH: i64 = 8;
const ACK: i64 = 16;

/// What a packet is for the eye, by its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// ACK and nothing else.
    Ack,
    /// PSH, or payload.
    Data,
    /// FIN.
    Fin,
    /// RST.
    Rst,
    /// None of these, or not TCP.
    Other,
}

impl Class {
    /// The names, in the order of numbers.
    pub const NAMES: [&'static str; 7] = ["SYN", "SYN+ACK", "ACK", "data", "FIN", "RST", "other"];

    /// That of a packet; what ends or begins a connection comes before what is said in it.
    #[must_use]
    pub fn of(packet: &Packet) -> Class {
        let Some(flags) = packet.flags.filter(|_| packet.protocol == Some(TCP)) else { return Class::Other };
        let has = |flag| flags & flag != 0;
        match () {
            () if has(RST) => Class::Rst,
            () if has(SYN) && has(ACK) => Class::SynAck,
            () if has(SYN) => Class::Syn,
            () if has(FIN) => Class::Fin,
            () if has(PSH) || packet.payload.is_some_and(|bytes| bytes > 0) => Class::Data,
            () if has(ACK) => Class::Ack,
            () => Class::Other,
        }
    }
}

/// What became of a flow, in five words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// It was closed by FIN.
    Graceful,
    /// It was reset.
    Abortive,
    /// It was established, and did not end.
    Open,
    /// It did not become a connection.
    Invalid,
    /// Its beginning was not seen, and its end neither.
    Incomplete,
}

impl Ending {
    /// The names, in the order of numbers.
    pub const NAMES: [&'static str; 5] = ["graceful", "abortive", "open", "invalid", "incomplete"];

    /// That of a flow: what is invalid in any respect is invalid.
    #[must_use]
    pub fn of(flow: &Flow) -> Ending {
        let invalid = flow.state == State::Invalid || flow.reason.is_some();
        match flow.close {
            Some(Close::Invalid) => Ending::Invalid,
            _ if invalid => Ending::Invalid,
            Some(Close::Graceful) => Ending::Graceful,
            Some(Close::Abortive) => Ending::Abortive,
            Some(Close::Open) => Ending::Open,
            None if flow.established || matches!(flow.state, State::Established | State::DataTransfer) => Ending::Open,
            None => Ending::Incomplete,
        }
    }
}

/// A flow as a line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number; from 1.
    pub number: u64,
    /// Time of its earliest packet, microseconds since 1970.
    pub start: i64,
    /// Time of its latest packet.
    pub end: i64,
    /// Who began it, or sent its first packet where that is not known; [`NOBODY`] if there is none.
    pub initiator: Host,
    /// The other.
    pub responder: Host,
    /// The port of the initiator.
    pub initiator_port: i64,
    /// The port of the responder.
    pub responder_port: i64,
    /// It is known who began it.
    pub sides: bool,
    /// Where it got to.
    pub state: State,
    /// What became of it.
    pub ending: Ending,
    /// Why it is invalid.
    pub reason: Option<Reason>,
    /// Steps of each [`Phase`].
    pub phases: [u32; 3],
    /// Packets, also those that are not listed.
    pub packets: u64,
    /// Their lengths.
    pub bytes: i64,
    /// It ended because it was silent.
    pub by_timeout: bool,
    /// Packets that no step explains, by why; shared by flows of which the same is to be said.
    pub unexplained: Arc<[(&'static str, u64)]>,
    /// Place of the packet that made it invalid or reset it.
    pub broken_by: Option<u32>,
    /// Where its packets lie in [`Scene::listed`].
    pub listed: std::ops::Range<usize>,
}

/// A packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Microseconds since 1970.
    pub time: i64,
    /// Sequence number.
    pub seq: i64,
    /// Acknowledgement number.
    pub ack: i64,
    /// Bytes.
    pub length: i64,
    /// TCP flags, FIN first.
    pub flags: Option<i64>,
    /// Bytes of payload, where they are known.
    pub payload: Option<u32>,
    /// Its class.
    pub class: Class,
    /// The initiator sent it.
    pub forward: bool,
    /// What it does: the phase, and the step's place in [`Scene::steps`].
    pub step: Option<(Phase, u8)>,
}

/// What a page shows. It is filled as a [`TimelineSink`], and can be read when that has finished.
#[derive(Debug, Default)]
pub struct Scene {
    hosts: Vec<Box<str>>,
    order: Vec<Host>,
    /// The earliest and the latest time.
    times: Option<(i64, i64)>,
    levels: Vec<Level>,
    told: Told,
    busy: Busy,
    lines: Vec<Line>,
    listed: Vec<Listed>,
    steps: Vec<&'static str>,
    marks: Vec<Mark>,
    claims: Vec<Claim>,
    /// Lists of why, each once.
    whys: HashSet<Arc<[(&'static str, u64)]>>,
    hasher: RandomState,
    /// Packets that come alone have no sequence number, or no acknowledgement number.
    without: [bool; 2],
    strangers: u64,
}

/// A packet before it is in its column.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time: i64,
    /// What else tells it from others.
    print: u64,
    src: Host,
    dst: Host,
    bytes: u64,
    /// Place of its flow among the lines, plus 1; 0 for none.
    flow: u32,
    class: Class,
}

/// A packet of a flow, which is among the marks as well.
#[derive(Clone, Copy, Debug)]
struct Claim {
    time: i64,
    print: u64,
    /// Its flow, as of [`Mark`].
    flow: u32,
    /// Its place in [`Scene::listed`].
    listed: u32,
}

impl Scene {
    /// The names of hosts, by number.
    #[must_use]
    pub fn hosts(&self) -> &[Box<str>] {
        &self.hosts
    }

    /// The hosts in rows: the busiest first, then always the one that has most to do with those above it; and behind the [busy](Self::busy)
    /// ones the others.
    #[must_use]
    pub fn order(&self) -> &[Host] {
        &self.order
    }

    /// How many hosts do enough to be told apart, the first of the [order](Self::order): all, or at most 1,000 if there are more than that. What
    /// is shown of others is shown of all together.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.busy.n()
    }

    /// What bins tell of the hosts of their packets, at least: those of fine scales may tell more.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told
    }

    /// The packets of some hosts whose bins of a [level](Self::levels) touch `from..to`, microseconds behind the first packet, in such bins.
    /// These hosts are told apart, and who they talk with if it is busy. Nothing if there is no such level.
    #[must_use]
    pub fn of_hosts(&self, level: usize, from: u64, to: u64, hosts: &[Host]) -> Rows {
        let (Some(packets), Some(&Level { width, .. })) = (self.levels.first(), self.levels.get(level)) else {
            return Rows::default();
        };
        let mut range = packets.rows.between(from / width * width, to);
        if to == u64::MAX {
            range.end = packets.rows.len();
        }
        packets.rows.of_hosts(range, width, hosts, &self.busy)
    }

    /// The earliest and the latest time, microseconds since 1970; nothing if there is no packet.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// Packets at every scale, the packets themselves first; each has at most half the rows of the one before, but for the last and the
    /// first of at most [`COARSE_ROWS`], which there always is. None if there is no packet.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The flows, by start, then number.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The packets of all flows, flow by flow.
    #[must_use]
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The names of steps that occur.
    #[must_use]
    pub fn steps(&self) -> &[&'static str] {
        &self.steps
    }

    /// Packets that come alone have no sequence number (`seq`) or no acknowledgement number (`ack`), so those of flows are known without.
    /// To be said before flows come.
    pub fn join_without(&mut self, seq: bool, ack: bool) {
        self.without = [seq, ack];
    }

    /// Packets of flows that did not come alone as well.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    fn see(&mut self, time: i64) {
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }

    fn mark(&self, packet: &Packet, flow: u32) -> Mark {
        let Packet { time, src, dst, .. } = *packet;
        let [seq, ack] = [(packet.seq, self.without[0]), (packet.ack, self.without[1])]
            .map(|(number, without)| if without { 0 } else { number });
        let other = (packet.src_port, packet.dst_port, packet.flags, seq, ack, packet.length);
        let print = self.hasher.hash_one((src, dst, other));
        Mark { time, print, src, dst, bytes: packet.length.max(0).unsigned_abs(), flow, class: Class::of(packet) }
    }

    fn step(&mut self, step: &Step) -> (Phase, u8) {
        let place = self.steps.iter().position(|&name| name == step.name).unwrap_or_else(|| {
            self.steps.push(step.name);
            self.steps.len() - 1
        });
        (step.phase, u8::try_from(place).expect("a state machine has fewer than 256 names for steps"))
    }

    /// Tells every packet which flow it is of. Flows come with copies of their packets, and equal ones are taken in turn.
    fn join(&mut self) {
        let key = |mark: &Mark| (mark.time, mark.print);
        let mut claims = std::mem::take(&mut self.claims);
        self.marks.sort_unstable_by_key(key);
        claims.sort_unstable_by_key(|claim| (claim.time, claim.print, claim.flow));
        let mut at = 0;
        let mut strangers = Vec::new();
        for claim in claims {
            let wanted = (claim.time, claim.print);
            while self.marks.get(at).is_some_and(|mark| key(mark) < wanted) {
                at += 1;
            }
            match self.marks.get_mut(at) {
                Some(mark) if key(mark) == wanted => {
                    mark.flow = claim.flow;
                    // A folder says in flows alone how much payload a packet has.
                    mark.class = self.listed[claim.listed as usize].class;
                    at += 1;
                }
                // A folder may list packets in flows alone.
                _ => strangers.push(self.stranger(&claim)),
            }
        }
        self.strangers = strangers.len() as u64;
        self.marks.append(&mut strangers);
        // Equal ones are the same to every eye, so the order of the input is nothing to keep.
        self.marks.sort_unstable_by_key(|mark| (mark.time, mark.src, mark.dst, mark.class, mark.flow, mark.bytes));
    }

    /// A packet as its flow alone knows it.
    fn stranger(&self, claim: &Claim) -> Mark {
        let (line, listed) = (&self.lines[claim.flow as usize - 1], &self.listed[claim.listed as usize]);
        let (src, dst) =
            if listed.forward { (line.initiator, line.responder) } else { (line.responder, line.initiator) };
        let bytes = listed.length.max(0).unsigned_abs();
        Mark { time: claim.time, print: claim.print, src, dst, bytes, flow: claim.flow, class: listed.class }
    }

    /// The marks as rows.
    fn rows(&mut self) -> Rows {
        let marks = std::mem::take(&mut self.marks);
        let origin = self.times.map_or(0, |times| times.0);
        Rows {
            time: marks.iter().map(|mark| mark.time.abs_diff(origin)).collect(),
            src: marks.iter().map(|mark| mark.src).collect(),
            dst: marks.iter().map(|mark| mark.dst).collect(),
            class: marks.iter().map(|mark| mark.class as u8).collect(),
            count: vec![1; marks.len()],
            bytes: marks.iter().map(|mark| mark.bytes).collect(),
            flow: marks.iter().map(|mark| mark.flow).collect(),
        }
    }

    /// A list of why, as others have it.
    fn why(&mut self, unexplained: &[(&'static str, u64)]) -> Arc<[(&'static str, u64)]> {
        if let Some(known) = self.whys.get(unexplained) {
            return Arc::clone(known);
        }
        let list: Arc<[_]> = unexplained.into();
        self.whys.insert(Arc::clone(&list));
        list
    }
}

impl TimelineSink for Scene {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.see(packet.time);
        self.marks.push(self.mark(packet, 0));
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, _: &Hosts) -> Result<()> {
        let first = self.listed.len();
        self.see(flow.start);
        self.see(flow.end);
        // In the order of calls; the place in the list is known at the end.
        let place = u32::try_from(self.lines.len() + 1).expect("fewer than 2^32 flows");
        let sender = flow.packets.first();
        let (initiator, initiator_port, responder, responder_port) = match (flow.sides, sender) {
            (Some(sides), _) => (sides.initiator, sides.initiator_port, sides.responder, sides.responder_port),
            (None, Some(packet)) => (packet.src, packet.src_port, packet.dst, packet.dst_port),
            (None, None) => (NOBODY, 0, NOBODY, 0),
        };
        for packet in &flow.packets {
            self.see(packet.time);
            let mark = self.mark(&packet, place);
            let listed = u32::try_from(self.listed.len()).expect("fewer than 2^32 packets fit into memory");
            self.claims.push(Claim { time: mark.time, print: mark.print, flow: place, listed });
            self.listed.push(Listed {
                time: packet.time,
                seq: packet.seq,
                ack: packet.ack,
                length: packet.length,
                flags: packet.flags,
                payload: packet.payload,
                class: mark.class,
                forward: packet.src == initiator && packet.src_port == initiator_port,
                step: None,
            });
        }
        let mut phases = [0u32; 3];
        for step in flow.packets.steps() {
            phases[step.phase as usize] += 1;
            let named = self.step(&step);
            if let Some(listed) = self.listed.get_mut(first + step.packet as usize) {
                listed.step = Some(named);
            }
        }
        let unexplained = self.why(&flow.unexplained);
        self.lines.push(Line {
            number: flow.number,
            start: flow.start,
            end: flow.end,
            initiator,
            responder,
            initiator_port,
            responder_port,
            sides: flow.sides.is_some() && !flow.guessed,
            state: flow.state,
            ending: Ending::of(flow),
            reason: flow.reason,
            phases,
            packets: flow.total_packets,
            bytes: flow.total_bytes,
            by_timeout: flow.by_timeout,
            unexplained,
            broken_by: flow.invalid_packet,
            listed: first..self.listed.len(),
        });
        Ok(())
    }

    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.hosts = hosts.names().to_vec();
        self.whys = HashSet::new();
        // What grew has room to grow, which nothing will.
        self.lines.shrink_to_fit();
        self.listed.shrink_to_fit();
        let mut places: Vec<u32> = (0..self.lines.len() as u32).collect();
        // Numbers may repeat in a folder. What is equal even so has no packets, and so nothing that would go astray.
        let key = |line: &Line| (line.start, line.number, line.listed.start, line.listed.end);
        places.sort_unstable_by_key(|&place| key(&self.lines[place as usize]));
        let mut listed_at = vec![0; places.len() + 1];
        for (at, &place) in (1..).zip(&places) {
            listed_at[place as usize + 1] = at;
        }
        self.lines.sort_unstable_by_key(key);
        self.claims.iter_mut().for_each(|claim| claim.flow = listed_at[claim.flow as usize]);
        self.join();
        let packets = self.rows();
        self.busy = Busy::of(&packets, self.hosts.len());
        (self.levels, self.told) = level::levels(packets, &self.busy);
        // Bins do, unless they do not tell to whom.
        let pairs = if self.told == Told::Senders { self.levels.first() } else { self.levels.last() };
        self.order = order::order(pairs.map(|level| &level.rows), &self.busy);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
