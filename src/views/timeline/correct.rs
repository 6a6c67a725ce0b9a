//! Flows as TCP has them.
//!
//! # What is a flow
//!
//! A packet is of the flow of its two ends, ports included, if its TCP flags are known. Packets are first put in the order of time, as
//! far as they come within a window of each other (10 ms, unless told otherwise; at most 65,536 packets wait), those of one microsecond as they
//! were captured. So a SYN that was captured before the FIN or RST in front of it is behind that. A flow ends when
//!
//! - its ends have been silent for longer than the timeout, or for longer than [`LINGER`] once it is over;
//! - a SYN with another number comes once it is over, or before it was open;
//! - such a SYN comes while it is open and the other side answers it. Until then SYNs are held back; if the next packet is no answer, they
//!   are `unexpected_syn` in the flow that goes on;
//! - a SYN with its own number comes once it is over, and the other side answers it with a number that is not that of its own SYN. It is held
//!   back likewise, and without such an answer a `retransmission`.
//!
//! What comes later still has no say in where its flow begins and ends, and is of the one that lasts. When that has ended, such packets are put in
//! their place and its states are gone through again; [`Flow::behind`] says how many they are.
//!
//! So the tail of a connection, repeated FINs say, is of its flow, and the flow is handed over when nothing can be of it any more. That is
//! looked at every 65,536 packets, by packet time, so what is handed over in which order follows from the packets alone.
//!
//! Who began a flow: who sent the SYN; else who was sent the SYN+ACK; else the same by one that is `unexpected_syn`, as where the clock of a
//! capture went back, so that by time the handshake stands behind what it opened; else who has the higher port; else who spoke first, by
//! the times of its packets.
//!
//! # What a packet is in it
//!
//! Numbers are compared modulo 2^32 (RFC 9293, section 3.4). A packet is one step at most: the first that it takes. Data that completes the
//! handshake is its `ack`, data with FIN is a `fin`. A bare ACK is one without payload. What is no step is counted as unexplained, and changes nothing:
//!
//! | | |
//! |---|---|
//! | `retransmission` | all its numbers were seen before; or it repeats the acknowledgement that completed the handshake; or, of a payload that is not known, it comes behind the FIN of its sender and is of no numbers behind that |
//! | `keep_alive` | at most one byte, at the last number that was seen |
//! | `unexpected_syn` | a SYN inside a connection that goes on, or a second answer with another number |
//! | `unexpected_ack` | it acknowledges what was not sent, or is far from what was; or a bare ACK in place of the SYN+ACK, or behind none |
//! | `out_of_window_rst` | a RST that its receiver would not take, as one that answers a SYN and does not acknowledge it |
//! | `after_close` | behind the end of what its sender, or both, had to say |
//! | `no_ack` | none of SYN, RST and ACK, which no receiver looks at |
//!
//! A RST is taken if its number is what the other side has acknowledged or at most 65,535 beyond, or beyond what its own side has sent;
//! if it answers the last packet of the other side (RFC 9293, section 3.5.2); or if nothing is known of its numbers. One that is the first packet
//! of its side behind a SYN is taken if it acknowledges the SYN, and no more than was sent; without ACK it is not (RFC 9293, section
//! 3.10.7.3), unless the other side has acknowledged something since. The window itself is
//! not known, as its scale is seldom. A RST behind one FIN aborts; behind both it changes nothing, and what is over stays as it is.
//!
//! What is seen from the middle on is taken to be open; that the handshake was complete is known when there is data or both sides
//! have spoken. Where one side alone was captured, its data says that the other has answered. Numbers far from all before are taken up when a second
//! packet agrees with them: then a stretch was not captured. Numbers in front of a FIN that overtook them are `data`, and reopen nothing.
//!
//! # Memory
//!
//! Of a live flow there is a state of fixed size, and its packets, SYNs that are held back included, in about twelve bytes each; beyond a budget
//! these go to a temporary file.
//! When it ends, its packets are all in memory, still packed: sinks unpack one after the other. Those of a flow in which times go
//! back, as of files that overlap, are put in order first, for which each takes 112 bytes more for that moment.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hashbrown::HashMap;

use super::connection::{Anew, Connection, Segment};
use super::hosts::Hosts;
use super::machine::Machine;
use super::packed::{Before, Placed};
use super::packets::{End, Packed};
use super::record::{Flow, Packet, Sides};
use super::reorder::Reorder;
use super::spill::{Spill, Waiting};
use super::{Mode, TimelineSink, verdict::Verdict};
use crate::error::Result;
use crate::sink::scratch::Scratch;
use crate::views::flows::deadlines::Deadlines;
use crate::views::rows::Rows;

/// Microseconds for which packets of a connection that is over may follow: twice the longest life of a segment (RFC 9293, section 3.4.2).
pub const LINGER: i64 = 240_000_000;

/// The longest silence inside a flow, unless told otherwise, in microseconds.
pub const TIMEOUT: i64 = 300_000_000;

/// How long a packet waits for earlier ones, unless told otherwise, in microseconds.
pub const REORDER: i64 = 10_000;

/// Bytes of packets in memory, unless told otherwise.
pub const BUDGET: usize = 256 << 20;

/// Why packets have no step: the words of [`Flow::unexplained`].
pub const UNEXPLAINED: [&str; 7] = [
    Verdict::Retransmission.name(),
    Verdict::KeepAlive.name(),
    Verdict::UnexpectedSyn.name(),
    Verdict::UnexpectedAck.name(),
    Verdict::OutOfWindowRst.name(),
    Verdict::AfterClose.name(),
    Verdict::NoAck.name(),
];

/// Packets from one look for flows that are over to the next.
const LOOK: u64 = 65_536;

/// The packets before a look of which the earliest says what time it is: one wild time does not.
const CLOCK: u64 = 256;

/// SYNs held back at most.
const HELD: usize = 16;

/// How the correct machine works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest silence inside a flow, in microseconds; one that is longer ends it. Default [`TIMEOUT`].
    pub timeout: i64,
    /// How long a packet waits for earlier ones, by the times of those behind it, in microseconds; default [`REORDER`]. At most
    /// 65,536 packets wait.
    pub reorder: i64,
    /// Bytes of packets in memory; default [`BUDGET`].
    pub budget: usize,
    /// Where the others go. Default: where the system has temporary files.
    pub temporary: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { timeout: TIMEOUT, reorder: REORDER, budget: BUDGET, temporary: None }
    }
}

/// A flow that lasts.
#[derive(Debug, Default)]
struct Live {
    /// The ends, the lower first.
    ends: [End; 2],
    /// 0 where there is none: the place is free.
    number: u64,
    connection: Connection,
    before: Before,
    waiting: Waiting,
    held: Option<Box<Held>>,
    /// The latest time, of SYNs that are held back too.
    last: i64,
    packets: u64,
    bytes: i64,
    /// Packets that came behind later ones.
    behind: u64,
}

/// SYNs of one side and number that may begin the next flow: at least one.
#[derive(Debug)]
struct Held {
    from: usize,
    number: u32,
    count: usize,
    before: Before,
    waiting: Waiting,
}

/// The machine.
#[derive(Debug)]
pub struct Correct {
    timeout: i64,
    reorder: Reorder,
    places: HashMap<[End; 2], u32>,
    rows: Rows<Live>,
    free: Vec<u32>,
    deadlines: Deadlines,
    spill: Spill,
    begun: u64,
    taken: u64,
    clock: i64,
    /// What it was at the last look.
    looked: i64,
}

impl Default for Correct {
    fn default() -> Correct {
        Correct::new(Settings::default())
    }
}

impl Correct {
    /// A machine that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Correct {
        Correct {
            timeout: settings.timeout,
            reorder: Reorder::new(settings.reorder),
            places: HashMap::new(),
            rows: Rows::default(),
            free: Vec::new(),
            deadlines: Deadlines::default(),
            spill: Spill::new(settings.budget, settings.temporary.map_or_else(Scratch::of_system, Scratch::chosen)),
            begun: 0,
            taken: 0,
            clock: i64::MAX,
            looked: i64::MIN,
        }
    }

    /// The last moment of a flow if nothing more comes.
    fn deadline(&self, live: &Live) -> i64 {
        let silence = if live.connection.is_over() { self.timeout.min(LINGER) } else { self.timeout };
        live.last.saturating_add(silence)
    }

    fn place(&mut self, ends: [End; 2], time: i64) -> u32 {
        if let Some(&place) = self.places.get(&ends) {
            return place;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            assert!(self.rows.len() < u32::MAX as usize, "fewer than 2^32 flows fit into memory");
            self.rows.push(Live::default())
        });
        self.rows[place].ends = ends;
        self.places.insert(ends, place);
        self.deadlines.insert(slot_time(time.saturating_add(self.timeout)), place);
        place
    }

    /// Takes the next TCP packet in the order of time.
    fn take(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        let (ends, from) = ends(&packet);
        let segment = segment(&packet);
        let at = self.place(ends, packet.time);
        let live = &self.rows[at];
        let behind = u64::from(packet.time < if live.number == 0 { self.looked } else { live.last });
        if self.rows[at].number != 0 && packet.time > self.deadline(&self.rows[at]) {
            self.end(at, !self.rows[at].connection.is_over(), hosts, sink)?;
        }
        if let Some(held) = &self.rows[at].held {
            let other_side = held.from != from;
            if other_side && self.rows[at].connection.answers(from, &segment, held.number) {
                let held = self.no_longer_held(at)?;
                self.end(at, false, hosts, sink)?;
                for syn in held {
                    self.add(at, &syn.packet, syn.from, &self::segment(&syn.packet))?;
                }
            } else if other_side || held.number != segment.seq || held.count == HELD {
                self.keep_held(at)?;
            }
        }
        match self.rows[at].connection.begins_anew(from, &segment) {
            Anew::Yes => self.end(at, false, hosts, sink)?,
            Anew::Perhaps => {
                self.rows[at].behind += behind;
                return self.hold(at, &packet, from);
            }
            Anew::No => {}
        }
        self.add(at, &packet, from, &segment)?;
        self.rows[at].behind += behind;
        Ok(())
    }

    /// Adds a packet to the flow of a place, which it begins if there is none.
    fn add(&mut self, at: u32, packet: &Packet, from: usize, segment: &Segment) -> Result<()> {
        let live = &mut self.rows[at];
        if live.number == 0 {
            self.begun += 1;
            (live.number, live.last) = (self.begun, packet.time);
        }
        let verdict = live.connection.take(from, segment);
        let before = live.waiting.bytes.len();
        live.before.write(&Placed { packet: *packet, from, verdict }, &mut live.waiting.bytes);
        live.last = live.last.max(packet.time);
        live.packets += 1;
        live.bytes = live.bytes.saturating_add(packet.length);
        let grown = live.waiting.bytes.len() - before;
        self.grown(grown)
    }

    /// Holds a SYN back.
    fn hold(&mut self, at: u32, syn: &Packet, from: usize) -> Result<()> {
        let live = &mut self.rows[at];
        live.last = live.last.max(syn.time);
        let (number, before, waiting) = (syn.seq as u32, Before::default(), Waiting::default());
        let held = live.held.get_or_insert_with(|| Box::new(Held { from, number, count: 0, before, waiting }));
        let before = held.waiting.bytes.len();
        let placed = Placed { packet: *syn, from, verdict: Verdict::UnexpectedSyn };
        held.before.write(&placed, &mut held.waiting.bytes);
        held.count += 1;
        let grown = held.waiting.bytes.len() - before;
        self.grown(grown)
    }

    /// Counts bytes of packets, and puts all away where they are too many.
    fn grown(&mut self, by: usize) -> Result<()> {
        if !self.spill.grown(by) {
            return Ok(());
        }
        self.spill.put_away(self.rows.iter_mut().flat_map(|live| {
            let held = live.held.as_mut().map(|held| &mut held.waiting);
            [Some(&mut live.waiting), held].into_iter().flatten()
        }))
    }

    /// The SYNs that were held back until now.
    fn no_longer_held(&mut self, at: u32) -> Result<Vec<Placed>> {
        let Some(mut held) = self.rows[at].held.take() else { return Ok(Vec::new()) };
        let bytes = self.spill.take(&mut held.waiting)?;
        let (mut rest, mut before) = (&bytes[..], Before::default());
        Ok(std::iter::from_fn(|| before.read(&mut rest)).collect())
    }

    /// SYNs that nobody answered are of the flow in which they came.
    fn keep_held(&mut self, at: u32) -> Result<()> {
        for syn in self.no_longer_held(at)? {
            self.add(at, &syn.packet, syn.from, &segment(&syn.packet))?;
        }
        Ok(())
    }

    /// Hands over the flow of a place.
    fn end(&mut self, at: u32, by_timeout: bool, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        self.keep_held(at)?;
        let ends = self.rows[at].ends;
        let mut live = std::mem::replace(&mut self.rows[at], Live { ends, ..Live::default() });
        let bytes = self.spill.take(&mut live.waiting)?;
        sink.flow(&live.flow(bytes, by_timeout, hosts), hosts)
    }

    /// Hands over the flows of places, in the order in which they began, and forgets the places.
    fn end_all(
        &mut self,
        mut places: Vec<(u64, u32)>,
        by_timeout: bool,
        hosts: &Hosts,
        sink: &mut dyn TimelineSink,
    ) -> Result<()> {
        places.sort_unstable();
        for (number, place) in places {
            let at = place;
            if number != 0 {
                self.end(at, by_timeout && !self.rows[at].connection.is_over(), hosts, sink)?;
            }
            self.places.remove(&self.rows[at].ends);
            self.free.push(place);
        }
        Ok(())
    }

    /// Hands over the flows that have been silent for too long.
    fn look(&mut self, now: i64, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        let mut over = Vec::new();
        for (_, place) in self.deadlines.passed(slot_time(now)) {
            let live = &self.rows[place];
            let deadline = self.deadline(live);
            if live.number == 0 || deadline < now {
                over.push((live.number, place));
            } else {
                self.deadlines.insert(slot_time(deadline), place);
            }
        }
        self.end_all(over, true, hosts, sink)
    }
}

/// Deadlines are in nanoseconds.
fn slot_time(microseconds: i64) -> i64 {
    microseconds.saturating_mul(1000)
}

/// What the states are told of a packet. Numbers of a CSV are modulo 2^32.
pub(super) fn segment(packet: &Packet) -> Segment {
    Segment {
        flags: packet.flags.unwrap_or(0) as u8,
        seq: packet.seq as u32,
        ack: packet.ack as u32,
        payload: packet.payload,
    }
}

/// What the verdicts of a flow's packets leave behind, in their order.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Packets so far, as far as their number fits.
    places: u32,
    /// Who sent the first.
    first: usize,
    /// The first SYN, and each side's first SYN+ACK.
    asked: Option<u32>,
    answered: [Option<u32>; 2],
    unexplained: [u64; Verdict::ALL.len()],
}

impl Course {
    /// Takes the verdict of the next packet, from one end or the other.
    pub(super) fn add(&mut self, from: usize, verdict: Verdict) {
        let place = self.places;
        if place == 0 {
            self.first = from;
        }
        self.places = place.saturating_add(1);
        match verdict {
            Verdict::Syn => _ = self.asked.get_or_insert(place),
            Verdict::SynAck => _ = self.answered[from].get_or_insert(place),
            _ => {}
        }
        self.unexplained[verdict as usize] += u64::from(verdict.phase().is_none());
    }

    /// What a flow between these ends came to. What its packets alone tell is not in it.
    pub(super) fn end(self, connection: &Connection, ends: &[End; 2]) -> Flow {
        let outcome = connection.outcome();
        let why = Verdict::ALL.into_iter().map(Verdict::name).zip(self.unexplained).filter(|(_, packets)| *packets > 0);
        // The responder's, if both answer.
        let [begins, answers] = outcome.initiator.map_or([1, 0], |end| [end, 1 - end]);
        Flow {
            sides: Some(sides(ends, outcome.initiator, self.first)),
            guessed: outcome.initiator.is_none(),
            state: outcome.state,
            close: outcome.close,
            reason: outcome.reason,
            established: outcome.established,
            data: outcome.data,
            closing: outcome.closing,
            ongoing: outcome.ongoing,
            expected_seq: outcome.expected_seq.map(i64::from),
            expected_ack: outcome.expected_ack.map(i64::from),
            invalid_packet: outcome.invalid.and_then(|packet| u32::try_from(packet).ok()),
            syn_packet: self.asked,
            syn_ack_packet: self.answered[answers].or(self.answered[begins]),
            unexplained: why.collect(),
            ..Flow::default()
        }
    }
}

/// Who began a flow, by the SYN, or else by ports, or else by who spoke first.
fn sides(ends: &[End; 2], initiator: Option<usize>, first: usize) -> Sides {
    let [low, high] = *ends;
    let by_port = match low.1.cmp(&high.1) {
        std::cmp::Ordering::Less => 1,
        std::cmp::Ordering::Equal => first,
        std::cmp::Ordering::Greater => 0,
    };
    let end = initiator.unwrap_or(by_port);
    let [(initiator, initiator_port), (responder, responder_port)] = [ends[end], ends[1 - end]];
    Sides { initiator, responder, initiator_port, responder_port }
}

/// The ends of a packet, the lower first, and which of them sent it.
pub(super) fn ends(packet: &Packet) -> ([End; 2], usize) {
    let [src, dst] = [(packet.src, packet.src_port), (packet.dst, packet.dst_port)];
    if dst < src { ([dst, src], 1) } else { ([src, dst], 0) }
}

impl Live {
    /// The flow, of whose packets these are the bytes.
    fn flow(self, bytes: Vec<u8>, by_timeout: bool, hosts: &Hosts) -> Flow {
        let mut packets = Packed::new(bytes, &self.before, self.ends);
        // Some came too late to be put in order before, as where files overlap in time: now all are there.
        let mut again = self.before.goes_back().then(Connection::default);
        let mut extent: Option<(i64, i64)> = None;
        let mut course = Course::default();
        packets.tell(|_, Placed { packet, from, verdict }| {
            let verdict = match &mut again {
                Some(connection) => connection.take(*from, &segment(packet)),
                None => *verdict,
            };
            extent = Some((extent.map_or(packet.time, |(start, _)| start), packet.time));
            course.add(*from, verdict);
            ControlFlow::Continue(verdict)
        });
        let (start, end) = extent.unwrap_or_default();
        Flow {
            number: self.number,
            key: self.key(hosts),
            by_timeout,
            start,
            end,
            total_packets: self.packets,
            total_bytes: self.bytes,
            behind: self.behind,
            packets: packets.into(),
            ..course.end(again.as_ref().unwrap_or(&self.connection), &self.ends)
        }
    }

    fn key(&self, hosts: &Hosts) -> String {
        let [a, b] = self.ends.map(|(host, port)| [hosts.name(host), ":", itoa::Buffer::new().format(port)].concat());
        if a <= b { [&a, "-", &b].concat() } else { [&b, "-", &a].concat() }
    }
}

impl Machine for Correct {
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        sink.packet(&packet, hosts)?;
        if Mode::Correct.apart(&packet, hosts).is_some() {
            return Ok(());
        }
        self.reorder.push(packet);
        while let Some(packet) = self.reorder.pop() {
            self.take(packet, hosts, sink)?;
            self.taken += 1;
            if LOOK - self.taken % LOOK <= CLOCK || self.taken.is_multiple_of(LOOK) {
                self.clock = self.clock.min(packet.time);
            }
            if self.taken.is_multiple_of(LOOK) {
                let now = std::mem::replace(&mut self.clock, i64::MAX);
                self.looked = self.looked.max(now);
                self.look(now, hosts, sink)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        while let Some(packet) = self.reorder.flush() {
            self.take(packet, hosts, sink)?;
        }
        let places = self.places.values().map(|&place| (self.rows[place].number, place)).collect();
        self.end_all(places, false, hosts, sink)?;
        // A sink that has everything may have much to do, for which the room of what is over is free.
        (self.places, self.rows, self.free) = (HashMap::new(), Rows::default(), Vec::new());
        self.deadlines = Deadlines::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl TimelineSink for Nobody {
        fn packet(&mut self, _: &Packet, _: &Hosts) -> Result<()> {
            Ok(())
        }
        fn flow(&mut self, _: &Flow, _: &Hosts) -> Result<()> {
            Ok(())
        }
        fn finish(&mut self, _: &Hosts) -> Result<()> {
            Ok(())
        }
    }

    /// A SYN that is held back is a packet like others, and of many flows they would be most of what is in memory.
    #[test]
    fn what_is_held_back_is_of_the_budget() {
        const BUDGET: usize = 4096;
        let mut hosts = Hosts::default();
        let [client, server] = ["10.0.0.1", "10.0.0.2"].map(|name| hosts.number(name));
        let settings = Settings { budget: BUDGET, reorder: 0, ..Settings::default() };
        let mut machine = Correct::new(settings);
        let mut put_away = 0;
        for n in 0..200_i64 {
            // Open, and then asked for anew.
            for (number, flags) in [(1, 16), (9000, 2), (9000, 2), (9000, 2)] {
                let packet = Packet {
                    time: n,
                    src: client,
                    dst: server,
                    src_port: 1000 + n,
                    dst_port: 80,
                    flags: Some(flags),
                    seq: number,
                    ack: 1,
                    length: 60,
                    payload: Some(u32::from(flags == 16)),
                    protocol: Some(6),
                };
                machine.packet(packet, &hosts, &mut Nobody).unwrap();
                let held = |live: &Live| live.held.as_ref().map_or(0, |held| held.waiting.bytes.len());
                let bytes: usize = machine.rows.iter().map(|(_, live)| live.waiting.bytes.len() + held(live)).sum();
                assert!(bytes <= BUDGET, "{bytes}");
                put_away += usize::from(bytes == 0);
            }
        }
        assert!(machine.rows.iter().filter(|(_, live)| live.held.is_some()).count() >= 190);
        assert!(put_away >= 2, "{put_away}");
        machine.finish(&hosts, &mut Nobody).unwrap();
    }
}
