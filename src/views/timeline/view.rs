//! The view: packets of captures, as a timeline has them, to a machine.
//!
//! A shard only reads: what it makes of a packet is what the machine, which runs where the sink is, needs of it. One worker sees all packets in
//! the order of the capture. Every accepted packet is handed to the machine or counted:
//! `accepted = kept + filtered + out_of_window + over_limit`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::machine::Machine;
use super::{Hosts, Packet, TimelineSink};
use crate::decode::packet::{self, Fragment, protocol};
use crate::engine::ledger::{Amount, Intake, Outcome, balance};
use crate::engine::view::{Batch, Mark, Part, ShardView, View};
use crate::engine::{Builder, Engine, Input, Report};
use crate::error::Result;
use crate::table::FlowTable;
use crate::time::Timestamp;
use crate::views::groups::Window;

/// Which packets a timeline shows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only packets of this time range.
    pub clip: Option<Window>,
    /// Only packets from or to one of these; none: all.
    pub hosts: BTreeSet<IpAddr>,
    /// Only so many of these packets, the first; the others are over the limit in the ledger.
    pub most: Option<u64>,
}

/// The view.
pub struct Timeline<'s> {
    selection: Arc<Selection>,
    spare: Spare,
    machine: &'s mut dyn Machine,
    sink: &'s mut dyn TimelineSink,
    hosts: Hosts,
    outcome: Outcome,
}

impl<'s> Timeline<'s> {
    /// A view.
    #[must_use]
    pub fn new(selection: Selection, machine: &'s mut dyn Machine, sink: &'s mut dyn TimelineSink) -> Timeline<'s> {
        Timeline {
            selection: Arc::new(selection),
            spare: Spare::default(),
            machine,
            sink,
            hosts: Hosts::default(),
            outcome: Outcome::default(),
        }
    }

    /// What became of the accepted packets, so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// A packet whose hosts have no numbers yet.
#[derive(Clone, Copy, Debug)]
struct Seen {
    packet: Packet,
    src: IpAddr,
    dst: IpAddr,
    amount: Amount,
}

/// What a shard has read since the marker before.
#[derive(Debug, Default)]
struct Read {
    seen: Vec<Seen>,
    out_of_window: Amount,
    filtered: Amount,
}

struct Shard {
    selection: Arc<Selection>,
    spare: Spare,
    read: Read,
}

/// Lists whose packets have been handed on: using memory again costs less than new memory.
type Spare = Arc<Mutex<Vec<Vec<Seen>>>>;

impl View for Timeline<'_> {
    fn wants_flows(&self) -> bool {
        false
    }

    fn wants_marks(&self) -> bool {
        true
    }

    fn wants_order(&self) -> bool {
        true
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(Shard {
            selection: Arc::clone(&self.selection),
            spare: Arc::clone(&self.spare),
            read: Read::default(),
        })
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let Ok(mut read) = part.downcast::<Read>() else { continue };
            self.outcome.out_of_window += read.out_of_window;
            self.outcome.filtered += read.filtered;
            for Seen { packet, src, dst, amount } in read.seen.drain(..) {
                if self.selection.most.is_some_and(|most| self.outcome.kept.packets >= most) {
                    self.outcome.over_limit += amount;
                    continue;
                }
                self.outcome.kept += amount;
                let (src, dst) = (self.hosts.of_address(src), self.hosts.of_address(dst));
                self.machine.packet(Packet { src, dst, ..packet }, &self.hosts, self.sink)?;
            }
            if let Ok(mut spare) = self.spare.lock() {
                spare.push(read.seen);
            }
        }
        Ok(())
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        self.machine.finish(&self.hosts, self.sink)?;
        self.sink.finish(&self.hosts)?;
        let Outcome { kept, filtered, out_of_window, over_limit, .. } = self.outcome;
        balance("the timeline", intake.accepted, &[kept, filtered, out_of_window, over_limit])
    }
}

impl ShardView for Shard {
    fn packets(&mut self, batch: &Batch<'_>) {
        for packet in batch.packets {
            let amount = Amount::one(packet.wire, packet.captured);
            let Selection { clip, hosts, .. } = &*self.selection;
            if clip.is_some_and(|clip| packet.time < clip.start || packet.time >= clip.end) {
                self.read.out_of_window += amount;
                continue;
            }
            let (src, dst) = (packet.src_ip(), packet.dst_ip());
            if !hosts.is_empty() && !hosts.contains(&src) && !hosts.contains(&dst) {
                self.read.filtered += amount;
                continue;
            }
            self.read.seen.push(Seen { packet: seen(packet, batch.frame(packet)), src, dst, amount });
        }
    }

    fn mark(&mut self, _: Mark, _: &FlowTable) -> Option<Part> {
        self.part()
    }

    fn close(&mut self, _: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        self.part()
    }
}

impl Shard {
    fn part(&mut self) -> Option<Part> {
        let seen = self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        Some(Box::new(std::mem::replace(&mut self.read, Read { seen, ..Read::default() })))
    }
}

/// A packet as a timeline has it. Later fragments, and TCP of whose header flags or numbers were not captured, have no flags
/// and so no flow.
fn seen(packet: &packet::Packet, frame: &[u8]) -> Packet {
    let mut seen = Packet {
        time: packet.time.0.div_euclid(1000),
        src_port: packet.src_port.into(),
        dst_port: packet.dst_port.into(),
        length: packet.wire.into(),
        protocol: Some(packet.protocol.into()),
        flags: (packet.protocol != protocol::TCP).then_some(0),
        ..Packet::default()
    };
    let header = frame.get(usize::from(packet.transport_offset)..).and_then(|header| header.first_chunk::<12>());
    if packet.protocol == protocol::TCP
        && packet.has_flags
        && packet.fragment != Fragment::Later
        && let Some([_, _, _, _, a, b, c, d, e, f, g, h]) = header
    {
        seen.flags = Some(packet.tcp_flags.into());
        seen.seq = u32::from_be_bytes([*a, *b, *c, *d]).into();
        seen.ack = u32::from_be_bytes([*e, *f, *g, *h]).into();
        seen.payload = Some(packet.payload_length);
    }
    seen
}

/// Threads that a run has use for. The calling thread reads and runs the machine in turn, so that what was read does not pile up in front of
/// it; with more threads others would read ahead.
const THREADS: usize = 5;

/// A run of the timeline: captures in; packets, flows and what became of everything out.
#[derive(Clone, Debug, Default)]
pub struct TimelineJob {
    selection: Selection,
    engine: Option<Builder>,
}

impl TimelineJob {
    /// A job on one thread.
    #[must_use]
    pub fn new(selection: Selection) -> TimelineJob {
        TimelineJob { selection, engine: None }
    }

    /// How the engine runs; of more than five threads it uses five.
    #[must_use]
    pub fn engine(mut self, engine: Builder) -> TimelineJob {
        self.engine = Some(engine);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// The sink's or the machine's error, a stop that was asked for, or a ledger that does not balance. An input that cannot be read is
    /// no error: the others are finished, and [`Report::failed`] lists it.
    pub fn run(
        &self,
        inputs: Vec<Input>,
        machine: &mut dyn Machine,
        sink: &mut dyn TimelineSink,
    ) -> Result<(Report, Outcome)> {
        let engine = self.engine.clone().unwrap_or_else(Engine::builder);
        let mut timeline = Timeline::new(self.selection.clone(), machine, sink);
        let report = engine.at_most(THREADS).build().run(inputs, &mut [&mut timeline as &mut dyn View])?;
        Ok((report, timeline.outcome()))
    }
}
