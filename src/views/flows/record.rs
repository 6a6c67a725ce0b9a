//! What the flows view emits: one wide record a flow.

use std::net::IpAddr;
use std::sync::Arc;

use super::cells::Cells;
use super::feature::Roles;
use super::flow::{Flow, Serial};
use super::said::Words;
use super::segments::Segments;
use super::settings::{ClientRule, Plan};
use super::steps::Sequence;
use crate::decode::packet::{Tunnel, address};
use crate::engine::ledger::Amount;
use crate::flow::Side;
use crate::flow::community_id::{Endpoints, community_id};
use crate::flow::moments::Figures;
use crate::flow::statistics::{Quantity, Room};
use crate::stable::StableHash;
use crate::table::Ends;
use crate::table::direction::{Direction, only_one};
use crate::table::key::Endpoint;
use crate::time::{NS_PER_SECOND, Timestamp};

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// Both ends sent a FIN, and both were acknowledged.
    Fin = 0,
    /// One end sent a RST.
    Rst = 1,
    /// Its ports were used for another connection before it was closed.
    Reuse = 2,
    /// It was silent for longer than the idle timeout.
    Idle = 3,
    /// It went on for longer than the active timeout.
    Active = 4,
    /// The input ended.
    Eof = 5,
    /// A limit that was asked for was reached. No limit of this version ends flows.
    OverLimit = 6,
}

impl EndReason {
    /// Every reason; its index is its number.
    pub const ALL: [EndReason; 7] = [
        EndReason::Fin,
        EndReason::Rst,
        EndReason::Reuse,
        EndReason::Idle,
        EndReason::Active,
        EndReason::Eof,
        EndReason::OverLimit,
    ];

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EndReason::Fin => "fin",
            EndReason::Rst => "rst",
            EndReason::Reuse => "reuse",
            EndReason::Idle => "idle",
            EndReason::Active => "active",
            EndReason::Eof => "eof",
            EndReason::OverLimit => "over_limit",
        }
    }
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideRecord {
    /// Packets.
    pub packets: u64,
    /// Bytes of their frames, by the configured measure.
    pub bytes: u64,
    /// Bytes of transport payload by the headers.
    pub payload_bytes: u64,
    /// Smallest and greatest time to live, or hop limit; nothing without packets.
    pub ttl: Option<[u8; 2]>,
    /// Its TCP segments.
    pub segments: Segments,
}

/// The figures of every quantity of a flow, for both directions, up and down.
pub type FlowFigures = [[Figures; 3]; Quantity::ALL.len()];

/// One flow.
#[derive(Clone, Debug)]
pub struct FlowRecord {
    /// Where it was seen, where that is known.
    pub sensor: Option<Arc<str>>,
    /// The client.
    pub src_ip: IpAddr,
    /// The server.
    pub dst_ip: IpAddr,
    /// The client's port; 0 where the protocol has none.
    pub src_port: u16,
    /// The server's port.
    pub dst_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Earliest packet.
    pub first_ts: Timestamp,
    /// Latest packet.
    pub last_ts: Timestamp,
    /// Up, then down.
    pub sides: [SideRecord; 2],
    /// Why it ended.
    pub end_reason: EndReason,
    /// The evidence that decided which end is the client.
    pub direction: Direction,
    /// Its VLAN: the innermost tag of its first packet's frame, in front of any tunnel.
    pub vlan: Option<u16>,
    /// The innermost tunnel that its first packet was taken out of.
    pub tunnel: Tunnel,
    /// Its number, as [`Packet::tunnel_id`](crate::decode::Packet::tunnel_id) has it.
    pub tunnel_id: Option<u32>,
    /// Type and code of its first ICMP or ICMPv6 message, as the client sent it or was sent it.
    pub icmp: Option<[u8; 2]>,
    /// Its earliest packet with payload.
    pub first_payload: Option<Timestamp>,
    /// From the last SYN before the answer to the client's acknowledgement of it, ns.
    pub handshake_ns: Option<i64>,
    /// Packets that came further behind their time than the reorder window.
    pub behind: u64,
    /// Holes of the TCP sequence that were forgotten; while there are none, every class of segment is right.
    pub forgotten_holes: u64,
    /// Its statistics, where they were asked for.
    pub figures: Option<Box<FlowFigures>>,
    /// Whether all their medians are exact.
    pub medians_exact: bool,
    /// Its first packets, where sequences were asked for. Their side is the direction.
    pub sequence: Sequence,
    /// What its payload says, where that was asked for and anything was recognised.
    #[cfg(feature = "payload")]
    pub app: Option<Box<crate::payload::Fields>>,
    /// What it is known to be, where there are [labels](super::labels).
    pub label: Option<Arc<str>>,
    /// Its capture, where captures are apart; see [`Settings`](super::Settings).
    pub source_file: Option<Arc<str>>,
    /// Cells of the caller's features.
    pub features: Cells,
    /// All its packets, in the ledger's measures.
    pub amount: Amount,
    opened: i64,
    serial: Serial,
    icmp_up: bool,
}

impl FlowRecord {
    /// `last_ts - first_ts` in nanoseconds; never negative.
    #[must_use]
    pub fn duration_ns(&self) -> i64 {
        self.last_ts.0.saturating_sub(self.first_ts.0)
    }

    /// Time of the packet that came first, which need not be the earliest.
    #[must_use]
    pub fn opened(&self) -> Timestamp {
        Timestamp(self.opened)
    }

    /// A name of the flow that follows from what it is: a hash of 64 bits over its 5-tuple, the time of the packet that
    /// began it, and its number among flows for which these are equal.
    #[must_use]
    pub fn flow_id(&self) -> u64 {
        let mut ends = [(self.src_ip, self.src_port), (self.dst_ip, self.dst_port)];
        ends.sort_by_key(|&(address, port)| Endpoint { address, port });
        let mut hash = StableHash::new(u64::from(self.protocol));
        for (address, port) in ends {
            hash.address(address);
            hash.number(port.into());
        }
        hash.number(self.opened as u64);
        let Serial { mark, turns, count } = self.serial;
        hash.number(u64::from(mark) << 32 | u64::from(turns));
        hash.number(count.into());
        hash.finish()
    }

    /// Its Community ID, version 1, seed 0.
    #[must_use]
    pub fn community_id(&self) -> String {
        let up = (self.src_ip, self.dst_ip, [self.src_port, self.dst_port]);
        let (src, dst, ports) = match self.icmp {
            Some(icmp) if self.icmp_up => (up.0, up.1, icmp.map(u16::from)),
            Some(icmp) => (up.1, up.0, icmp.map(u16::from)),
            None => up,
        };
        community_id(&Endpoints { src, dst, protocol: self.protocol, ports }, 0)
    }
}

/// Makes records of flows that have ended; keeps what it needs for it.
#[derive(Debug, Default)]
pub(super) struct Finisher {
    room: Room,
    /// Those of the record before, to be written over.
    figures: Option<Box<FlowFigures>>,
    features: Cells,
}

impl Finisher {
    /// The record of a flow.
    pub(super) fn finish(
        &mut self,
        ends: &Ends,
        flow: &mut Flow,
        words: Words,
        end_reason: EndReason,
        sensor: Option<Arc<str>>,
        plan: &Plan,
    ) -> FlowRecord {
        #[cfg(not(feature = "payload"))]
        let None = words;
        let (direction, client_high) = direction(ends, flow, plan);
        let [up, down] = if client_high { [1, 0] } else { [0, 1] };
        let all = [(ends.low, ends.low_port), (ends.high, ends.high_port)];
        let bytes = flow.bytes(plan);
        let side = |end: usize| SideRecord {
            packets: flow.packets[end],
            bytes: bytes[end],
            payload_bytes: flow.payload[end],
            ttl: (flow.packets[end] > 0).then_some(flow.ttl[end]),
            segments: flow.segments.as_ref().map_or_else(Segments::default, |segments| segments.ends[end]),
        };
        let mut record = FlowRecord {
            sensor,
            src_ip: address(all[up].0, ends.v6),
            dst_ip: address(all[down].0, ends.v6),
            src_port: all[up].1,
            dst_port: all[down].1,
            protocol: ends.protocol,
            first_ts: Timestamp(flow.first),
            last_ts: Timestamp(flow.last),
            sides: [side(up), side(down)],
            end_reason,
            direction,
            vlan: flow.vlan,
            tunnel: flow.tunnel,
            tunnel_id: flow.tunnel_id,
            icmp: flow.icmp.map(|(icmp, _)| icmp),
            first_payload: (flow.payload != [0; 2]).then_some(Timestamp(flow.first_payload)),
            handshake_ns: flow.segments.as_ref().and_then(|segments| segments.handshake),
            behind: flow.behind,
            forgotten_holes: flow.segments.as_ref().map_or(0, |segments| segments.forgotten_holes()),
            figures: None,
            medians_exact: true,
            sequence: Sequence::default(),
            #[cfg(feature = "payload")]
            app: words,
            label: None,
            source_file: plan.settings.source_file.clone(),
            features: std::mem::take(&mut self.features),
            amount: flow.amount(),
            opened: flow.opened,
            serial: flow.serial,
            icmp_up: flow.icmp.is_some_and(|(_, from_high)| from_high == client_high),
        };
        if plan.statistics {
            let mut values = self.room.lay_out(&flow.statistics);
            let mut figures = self.figures.take().unwrap_or_default();
            let wanted = Quantity::ALL.into_iter().zip(figures.iter_mut()).zip(plan.quantities);
            for ((quantity, of_quantity), _) in wanted.filter(|(_, wanted)| *wanted) {
                let unit = if quantity == Quantity::Time { NS_PER_SECOND as f64 } else { 1.0 };
                let summaries = values.summaries(quantity, plan.settings.form);
                record.medians_exact &= summaries.iter().all(|summary| summary.median_is_exact);
                *of_quantity = summaries.map(|summary| summary.figures(unit));
                if client_high {
                    of_quantity.swap(1, 2);
                }
            }
            record.figures = Some(figures);
        }
        if let Some(more) = flow.more.take() {
            let more = *more;
            record.sequence = more.sequence;
            if client_high {
                for step in &mut record.sequence.steps {
                    let side = &mut step.sample.side;
                    *side = if *side == Side::Up { Side::Down } else { Side::Up };
                }
            }
            let roles = Roles { client_high, one_host: ends.are_one_host() };
            for feature in more.features {
                feature.finish(roles, &mut record.features);
            }
        }
        record
    }

    /// Takes back what a record need not keep.
    pub(super) fn reuse(&mut self, record: &mut FlowRecord) {
        self.figures = record.figures.take();
        self.features = std::mem::take(&mut record.features);
        self.features.clear();
    }
}

/// Which end is the client, and how that is known: as for groups, from the flow's own packets. Flows leave as they end,
/// so what other flows of the two hosts say ([`Direction::Learned`]) is not asked.
fn direction(ends: &Ends, flow: &Flow, plan: &Plan) -> (Direction, bool) {
    let ports = |is_server: &dyn Fn(u16) -> bool| only_one(ends.low_port, ends.high_port, is_server);
    let (direction, client_high) = if plan.settings.client == ClientRule::SmallerText {
        let text = |bits, port: u16| (address(bits, ends.v6).to_string(), port);
        (Direction::FirstPacket, text(ends.high, ends.high_port) < text(ends.low, ends.low_port))
    } else if plan.settings.client != ClientRule::Evidence {
        (Direction::FirstPacket, flow.began_high)
    } else if let Some(evidence) = flow.evidence {
        (evidence, flow.client_high)
    } else if let Some(server_high) = ports(&|port| plan.settings.service_ports.contains(&port)) {
        (Direction::ServicePort, !server_high)
    } else if let Some(server_high) = ports(&|port| port < 1024) {
        (Direction::LowPort, !server_high)
    } else {
        (Direction::FirstPacket, flow.first_high)
    };
    // A host that talks to itself on one port has no two ends: all is up.
    (direction, client_high && !ends.are_one())
}
