//! The state machine of the original, tcp_data_loader_streaming.py of TimeArcs, and how it cuts flows.
//!
//! It reads tables in chunks of rows, and looks for flows that are over at the end of each: one with a FIN or RST, and one whose last
//! packet, in the order of rows, is older than the newest of the chunk by the timeout. What comes behind is another flow. Only
//! then a flow's packets are put in order of time and walked through. So flows depend on the length of a chunk, and
//! on rows that are left out, since they have a place in theirs.
//!
//! Its mistakes are kept, since whoever asks for this mode compares with what they have: of a flow that becomes invalid the packets
//! behind are counted and not listed; only its first SYN counts, and tells who began it; numbers do not wrap around at 2^32; nobody asks which side an
//! acknowledgement comes from; a length is that of the frame, so that acknowledgements are data; a RST or FIN behind the end changes it.

use std::ops::ControlFlow;

use hashbrown::HashMap;

use super::choice::Chooser;
use super::flags::{ACK, FIN, PSH, RST, SYN};
use super::packed::{Before, Placed};
use super::packets::{End, Packed};
use super::verdict::Verdict;
use super::{Choice, Close, Flow, Hosts, Machine, Mode, Packet, Reason, Sides, State, TimelineSink};
use crate::error::Result;

/// What the original can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rows of a chunk, at least 1.
    pub read_rows: u64,
    /// The silence behind which a flow is over, in seconds.
    pub timeout_seconds: u32,
    /// Which packets are taken.
    pub choice: Choice,
}

impl Default for Options {
    fn default() -> Options {
        Options { read_rows: 500_000, timeout_seconds: 300, choice: Choice::default() }
    }
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Original {
    options: Options,
    chooser: Chooser,
    /// Open flows, in the order of their numbers.
    open: Vec<Open>,
    /// Where they are, by their ends.
    places: HashMap<(End, End), usize>,
    flows: u64,
    chunk: Chunk,
    /// A time behind [`Choice::to`] was seen.
    past: bool,
    /// Chunks without a packet, one behind the other.
    empty: u32,
    given_up: bool,
}

/// A flow under way.
#[derive(Clone, Debug)]
struct Open {
    number: u64,
    ends: (End, End),
    /// Its packets, packed: most of what is in memory is they.
    bytes: Vec<u8>,
    before: Before,
    /// Of the packet that came last.
    last: i64,
    closes: bool,
}

/// What was seen of a chunk.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    rows: u64,
    taken: u64,
    /// The newest time of a TCP packet.
    newest: Option<i64>,
}

/// What a packet is that takes no step; nobody asks why.
const NO_STEP: Verdict = Verdict::NoAck;

/// Chunks without a packet behind which the original gives up on a file, once times are past the last that is asked for.
const PATIENCE: u32 = 50;

impl Original {
    /// A machine that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Original {
        Original {
            chooser: Chooser::new(options.choice.clone()),
            options,
            open: Vec::new(),
            places: HashMap::new(),
            flows: 0,
            chunk: Chunk::default(),
            past: false,
            empty: 0,
            given_up: false,
        }
    }

    /// Takes a row that holds no packet.
    ///
    /// # Errors
    /// As [`Machine::packet`].
    pub fn other_row(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        self.chunk.rows += 1;
        if self.chunk.rows >= self.options.read_rows { self.end_chunk(hosts, sink) } else { Ok(()) }
    }

    /// A file ends here, and a chunk with it.
    ///
    /// # Errors
    /// As [`Machine::packet`].
    pub fn end_file(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        if self.chunk.rows > 0 {
            self.end_chunk(hosts, sink)?;
        }
        self.given_up = false;
        Ok(())
    }

    /// Whether it wants no more of this file: it has as many packets as may be, or waited long enough behind the last time.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.given_up || self.chooser.is_full()
    }

    fn group(&mut self, packet: Packet, hosts: &Hosts) {
        self.chunk.newest = Some(self.chunk.newest.map_or(packet.time, |newest| newest.max(packet.time)));
        if Mode::Original.apart(&packet, hosts).is_some() {
            return;
        }
        let (src, dst) = ((packet.src, packet.src_port), (packet.dst, packet.dst_port));
        let ends = (src.min(dst), src.max(dst));
        let place = *self.places.entry(ends).or_insert_with(|| {
            self.flows += 1;
            self.open.push(Open {
                number: self.flows,
                ends,
                bytes: Vec::new(),
                before: Before::default(),
                last: packet.time,
                closes: false,
            });
            self.open.len() - 1
        });
        let flow = &mut self.open[place];
        flow.last = packet.time;
        flow.closes |= packet.flags.unwrap_or(0) & (FIN | RST) != 0;
        // Nothing is said of it before the flow ends.
        let placed = Placed { packet, from: usize::from(src != ends.0), verdict: NO_STEP };
        flow.before.write(&placed, &mut flow.bytes);
    }

    fn end_chunk(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        self.empty = if chunk.taken == 0 { self.empty + 1 } else { 0 };
        self.given_up |= self.past && self.empty >= PATIENCE;
        let Some(newest) = chunk.newest else { return Ok(()) };
        let timeout = i128::from(self.options.timeout_seconds) * 1_000_000;
        self.places.clear();
        for flow in std::mem::take(&mut self.open) {
            let silent = i128::from(newest) - i128::from(flow.last) >= timeout;
            if flow.closes || silent {
                let by_timeout = !flow.closes;
                sink.flow(&flow.end(by_timeout, hosts), hosts)?;
            } else {
                self.places.insert(flow.ends, self.open.len());
                self.open.push(flow);
            }
        }
        Ok(())
    }
}

impl Machine for Original {
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        self.past |= self.chooser.is_past(packet.time);
        if self.chooser.takes(&packet, hosts) {
            self.chunk.taken += 1;
            sink.packet(&packet, hosts)?;
            if packet.protocol == Some(6) {
                self.group(packet, hosts);
            }
        }
        self.other_row(hosts, sink)
    }

    fn finish(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        self.end_file(hosts, sink)?;
        self.places.clear();
        for flow in std::mem::take(&mut self.open) {
            sink.flow(&flow.end(false, hosts), hosts)?;
        }
        Ok(())
    }
}

impl Open {
    fn end(self, by_timeout: bool, hosts: &Hosts) -> Flow {
        let Open { number, ends: (a, b), bytes, before, .. } = self;
        let mut packets = Packed::new(bytes, &before, [a, b]);
        let mut flow = Flow { number, key: key(a, b, hosts), by_timeout, ..Flow::default() };
        packets.tell(|_, Placed { packet, .. }| {
            if flow.total_packets == 0 {
                flow.start = packet.time;
            }
            flow.end = packet.time;
            flow.total_packets += 1;
            flow.total_bytes = flow.total_bytes.saturating_add(packet.length);
            ControlFlow::Continue(NO_STEP)
        });
        packets.tell(|place, Placed { packet, from, .. }| {
            let ((src, src_port), (dst, dst_port)) = if *from == 0 { (a, b) } else { (b, a) };
            walk(&mut flow, place, &Packet { src, src_port, dst, dst_port, ..*packet })
        });
        judge(&mut flow);
        Flow { packets: packets.into(), ..flow }
    }
}

fn key(a: End, b: End, hosts: &Hosts) -> String {
    let mut port = itoa::Buffer::new();
    let [a, b] = [a, b].map(|(host, number)| [hosts.name(host), ":", port.format(number)].concat());
    [&*a, "-", &*b].concat().min([&*b, "-", &*a].concat())
}

/// The step that a packet takes; the one that breaks off the handshake is the last.
pub(super) fn walk(flow: &mut Flow, place: u32, packet: &Packet) -> ControlFlow<Verdict, Verdict> {
    if flow.state == State::Invalid {
        return ControlFlow::Continue(NO_STEP);
    }
    let verdict = step(flow, place, packet).unwrap_or(NO_STEP);
    match flow.reason {
        Some(Reason::InvalidSynAck | Reason::InvalidAck) => ControlFlow::Break(verdict),
        _ => ControlFlow::Continue(verdict),
    }
}

fn step(flow: &mut Flow, place: u32, packet: &Packet) -> Option<Verdict> {
    let flags = packet.flags.unwrap_or(0);
    let [fin, syn, rst, psh, ack] = [FIN, SYN, RST, PSH, ACK].map(|flag| flags & flag != 0);
    let only_acks = ack && !syn && !fin && !rst;
    if syn && !ack && !rst {
        if flow.sides.is_some() {
            // Another SYN is no step, and changes nothing.
            return None;
        }
        flow.sides = Some(Sides {
            initiator: packet.src,
            responder: packet.dst,
            initiator_port: packet.src_port,
            responder_port: packet.dst_port,
        });
        flow.state = State::Establishing;
        flow.syn_packet = Some(place);
        flow.expected_ack = Some(packet.seq.saturating_add(1));
        Some(Verdict::Syn)
    } else if syn && ack && !rst {
        if flow.state == State::Establishing {
            if flow.expected_ack != Some(packet.ack) {
                return refuse(flow, place, Reason::InvalidSynAck);
            }
            flow.expected_seq = Some(packet.seq.saturating_add(1));
        } else if flow.syn_ack_packet.is_some() {
            return None;
        }
        flow.syn_ack_packet = Some(place);
        Some(Verdict::SynAck)
    } else if only_acks && !psh && flow.state == State::Establishing {
        // A number of 0 passes for none there.
        match flow.expected_seq.filter(|&expected| expected != 0) {
            Some(expected) if packet.ack != expected || flow.expected_ack != Some(packet.seq) => {
                refuse(flow, place, Reason::InvalidAck)
            }
            _ => {
                flow.established = true;
                flow.state = State::Established;
                Some(Verdict::Ack)
            }
        }
    } else if only_acks && flow.established && packet.length > 0 {
        carries(flow);
        Some(Verdict::Data)
    } else if fin && !rst {
        if !flow.closing {
            flow.closing = true;
            flow.state = State::Closing;
            flow.close = Some(Close::Graceful);
        }
        Some(Verdict::Fin)
    } else if rst {
        if flow.state == State::Establishing {
            flow.reason = Some(Reason::RstDuringHandshake);
            flow.state = State::Invalid;
            flow.close = Some(Close::Invalid);
        } else {
            flow.state = State::Aborted;
            flow.close = Some(Close::Abortive);
        }
        flow.invalid_packet = Some(place);
        Some(Verdict::Rst)
    } else if only_acks && flow.established {
        if flow.closing {
            return Some(Verdict::AckClose);
        }
        carries(flow);
        Some(Verdict::AckData)
    } else {
        None
    }
}

fn carries(flow: &mut Flow) {
    if !flow.data {
        flow.data = true;
        flow.state = State::DataTransfer;
    }
}

/// The packet takes no step.
fn refuse(flow: &mut Flow, place: u32, reason: Reason) -> Option<Verdict> {
    flow.state = State::Invalid;
    flow.reason = Some(reason);
    flow.close = Some(Close::Invalid);
    flow.invalid_packet = Some(place);
    None
}

/// Says what a flow came to, when all its packets are known.
pub(super) fn judge(flow: &mut Flow) {
    match flow.state {
        State::Establishing => {
            flow.state = State::Invalid;
            flow.close = Some(Close::Invalid);
            flow.reason = Some(match flow.syn_ack_packet {
                None => Reason::IncompleteNoSynAck,
                Some(_) => Reason::IncompleteNoAck,
            });
        }
        State::Closing => flow.state = State::Closed,
        _ => {}
    }
    let ended = matches!(flow.state, State::Invalid | State::Closed | State::Aborted) || flow.close.is_some();
    if !ended && (flow.established || flow.data) {
        flow.state = State::Ongoing;
        flow.ongoing = true;
        flow.close = Some(Close::Open);
    }
}
