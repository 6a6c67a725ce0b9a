//! The accumulator: what all columns of the family follow from, in a size that does not grow with the packets of a flow, but
//! for the segments that [repetitions](Extra) are told by.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::sums::Sums;
use super::bulk::Bulk;
use super::columns::{Figured, Layout};
use super::switches::{
    Activity, BulkPause, Bulks, Compare, Counted, FirstPacket, Header, InitWinBwd, InitWinFwd, KeepsIdle, Length,
    LengthSource, Protocols, Switches,
};
use crate::decode::packet::{protocol, tcp_flag};
use crate::views::flows::dialects::Zone;
use crate::views::flows::{Cells, Feature, FeatureColumn, FeatureState, FlowPacket, Roles};

// A size that memory is given out in: what is larger takes 896 bytes.
const _: () = assert!(size_of::<State>() <= 768);

/// Microseconds of silence that part active periods.
const IDLE: i64 = 5_000_000;
/// Microseconds of silence that part subflows.
const PAUSE: i64 = 1_000_000;
/// Microseconds of [`Activity::Gaps`]: the shortest gap that is looked at, and by how much more than the one before it is idle.
const GAP: i64 = 1_000;
const MORE: i64 = 5_000;

pub(super) const IGMP: u8 = 2;

const PSH: u8 = 0x08;
const URG: u8 = 0x20;

/// What all flows of a dialect have in common.
#[derive(Debug)]
pub(super) struct Cic {
    pub(super) switches: Switches,
    pub(super) layout: Layout,
    /// Of times that are civil.
    pub(super) zone: Zone,
}

/// The accumulator of a dialect.
#[derive(Clone, Debug)]
pub(super) struct Accumulator(pub(super) Arc<Cic>);

impl Feature for Accumulator {
    fn columns(&self) -> Vec<FeatureColumn> {
        self.0.layout.columns(&self.0.switches)
    }

    fn start(&self) -> Box<dyn FeatureState> {
        let extra = self.0.layout.has_extra().then(Box::default);
        Box::new(State { cic: Arc::clone(&self.0), flow: Flow::default(), extra })
    }
}

/// The state of one flow.
#[derive(Debug)]
pub(super) struct State {
    pub(super) cic: Arc<Cic>,
    pub(super) flow: Flow,
    pub(super) extra: Option<Box<Extra>>,
}

/// What one direction has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Direction {
    pub(super) lengths: Sums,
    pub(super) gaps: Sums,
    /// Bytes of headers, and of the least of those that are there.
    pub(super) headers: u64,
    pub(super) least_header: Option<u32>,
    pub(super) psh: u64,
    pub(super) urg: u64,
    pub(super) rst: u64,
    /// Packets with payload.
    pub(super) data: u64,
    pub(super) bulk: Bulk,
    /// Time of its last packet.
    last: i64,
    /// The window of its first packet, and by the switch that which stands for it.
    pub(super) first_window: Option<u16>,
    pub(super) window: Option<u16>,
}

/// Times in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// Forward, backward.
    pub(super) sides: [Direction; 2],
    pub(super) begun: bool,
    pub(super) start: i64,
    pub(super) last: i64,
    pub(super) earliest: i64,
    pub(super) latest: i64,
    pub(super) gaps: Sums,
    /// Packets by flag, FIN first.
    pub(super) flags: [u64; 8],
    /// Payload of the first packet, and which direction it is of.
    pub(super) first_payload: u32,
    pub(super) first_backward: bool,
    /// Pauses between subflows.
    pub(super) pauses: u64,
    /// Where the active period began that lasts; of gaps, that which was last idle, and the last.
    pub(super) active_since: i64,
    last_gap: i64,
    /// Active and idle times; few flows have any.
    pub(super) times: Option<Box<ActiveIdle>>,
}

/// See the switch `activity`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ActiveIdle {
    pub(super) active: Sums,
    pub(super) idle: Sums,
}

/// What only the longest layout has.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Segments of the connection: 16 bytes each.
    seen: HashSet<(bool, u32, u32, u32, u16)>,
    /// Segments that had been seen, by direction.
    pub(super) repeated: [u64; 2],
    /// Code and type of the first packet.
    pub(super) icmp: Option<[u8; 2]>,
    /// The connection has a duration.
    connected: bool,
    /// From the beginning of the connection to that of the flow, microseconds; the end of the flow before.
    before: i64,
    ended: Option<i64>,
}

impl Extra {
    /// The duration of the connection up to now, microseconds; 0 of what is neither TCP nor UDP.
    pub(super) fn connection(&self, flow: &Flow) -> i64 {
        if self.connected { self.before + (flow.last - flow.start) } else { 0 }
    }
}

/// How long a packet is, and what of it is.
#[derive(Clone, Copy)]
struct Lengths {
    length: u32,
    payload: u32,
    header: u32,
}

impl State {
    fn lengths(&self, packet: &FlowPacket) -> Lengths {
        let (switches, ip) = (&self.cic.switches, packet.sample.ip.saturating_sub(packet.sample.l4));
        let transport = self.transport_header(packet);
        let padded =
            || packet.captured.saturating_sub(u32::from(packet.ip_offset)).saturating_sub(ip).saturating_sub(transport);
        // The headers of these count as payload elsewhere.
        let inside = if matches!(packet.protocol, protocol::ICMP | IGMP) { transport } else { 0 };
        let payload = match switches.length_source {
            _ if transport == 0 => 0,
            LengthSource::Headers => packet.sample.payload.saturating_sub(inside),
            LengthSource::Captured => packet.captured_payload.saturating_sub(inside),
            LengthSource::Padded => padded(),
        };
        let length = match switches.length {
            Length::Payload => payload,
            Length::Frame => packet.captured,
        };
        let header = match switches.header {
            Header::Transport => transport,
            Header::IpOfTcp if packet.protocol == protocol::UDP => transport,
            Header::Ip | Header::IpOfTcp => ip,
        };
        Lengths { length, payload, header }
    }

    /// Bytes of the transport's header; 0 of what has none here, and no payload.
    fn transport_header(&self, packet: &FlowPacket) -> u32 {
        let switches = &self.cic.switches;
        let (padded, sctp) = (switches.length_source == LengthSource::Padded, switches.protocols != Protocols::TcpUdp);
        match packet.protocol {
            protocol::TCP if packet.tcp_flags.is_some() => packet.sample.l4.saturating_sub(packet.sample.payload),
            // A fragment that is not the first has no header, and no payload of its own.
            protocol::UDP if packet.udp && (padded || packet.sample.l4 >= 8) => 8,
            protocol::SCTP if sctp && packet.sctp && packet.sample.l4 >= 12 => 12,
            protocol::ICMP | IGMP if switches.protocols == Protocols::FiveWithLengths => 8,
            _ => 0,
        }
    }

    fn is_backward(&self, packet: &FlowPacket) -> bool {
        let switches = &self.cic.switches;
        match switches.first_packet {
            FirstPacket::Forward if !self.flow.begun => false,
            FirstPacket::Backward if !self.flow.begun => true,
            _ if packet.one_host && switches.direction_compare == Compare::Ip => false,
            _ => packet.from_high != packet.client_high,
        }
    }

    /// Counts a packet of a connection, of which a flow may be a part.
    fn add_extra(&mut self, packet: &FlowPacket, time: i64, payload: u32, backward: bool) {
        let Some(extra) = &mut self.extra else { return };
        if !self.flow.begun {
            extra.icmp = packet.icmp;
            extra.connected = matches!(packet.protocol, protocol::TCP | protocol::UDP);
            if let Some(ended) = extra.ended.take() {
                extra.before += time - ended;
            }
        }
        if let Some((seq, ack)) = packet.numbers {
            let from = packet.from_high && !packet.one_host;
            let segment = (from, seq, ack, payload, packet.sample.window.unwrap_or(0));
            if !extra.seen.insert(segment) {
                extra.repeated[usize::from(backward)] += 1;
            }
        }
    }
}

impl FeatureState for State {
    fn packet(&mut self, packet: &FlowPacket) {
        let switches = self.cic.switches;
        let time = packet.time.ns().div_euclid(1000);
        let lengths = self.lengths(packet);
        let backward = self.is_backward(packet);
        self.add_extra(packet, time, lengths.payload, backward);
        let flow = &mut self.flow;
        let first = !std::mem::replace(&mut flow.begun, true);
        let flags = packet.tcp_flags.unwrap_or(0);
        if first {
            (flow.start, flow.last) = (time, time);
            flow.active_since = if switches.activity == Activity::Periods { time } else { 0 };
            (flow.earliest, flow.latest) = (time, time);
            (flow.first_payload, flow.first_backward) = (lengths.payload, backward);
        } else {
            let keeps_idle = match switches.fin_keeps_idle {
                KeepsIdle::No => false,
                KeepsIdle::Fin => flags & tcp_flag::FIN != 0,
                KeepsIdle::FinOrRst => flags & (tcp_flag::FIN | tcp_flag::RST) != 0,
            };
            flow.pass(time, &switches, keeps_idle);
        }
        flow.bulk(&switches, backward, time, lengths.payload);
        flow.count(packet, time, lengths, first, backward, &switches);
        if first && switches.first_packet_twice {
            flow.gaps.add(0);
            flow.count(packet, time, lengths, first, backward, &switches);
        }
    }

    fn finish(&self, _: Roles, cells: &mut Cells) {
        self.cic.layout.cells(&Figured::of(self), cells);
    }

    fn heir(&mut self) -> Option<Box<dyn FeatureState>> {
        let flow = &self.flow;
        let extra = self.extra.as_mut().map(|extra| {
            let (before, ended) = (extra.connection(flow), Some(flow.last));
            Box::new(Extra { seen: std::mem::take(&mut extra.seen), before, ended, ..Extra::default() })
        });
        Some(Box::new(State { cic: Arc::clone(&self.cic), flow: Flow::default(), extra }))
    }
}

impl Flow {
    /// Goes on to the next packet, which comes at `time`.
    fn pass(&mut self, time: i64, switches: &Switches, keeps_idle: bool) {
        let gap = time - if switches.gaps_from_latest { self.latest } else { self.last };
        self.gaps.add(gap);
        self.pauses += u64::from(gap > PAUSE);
        match switches.activity {
            Activity::Periods if gap > IDLE && !keeps_idle => {
                let active = self.last - self.active_since;
                self.add_times(active, gap);
                self.active_since = time;
            }
            Activity::Gaps if gap > GAP => self.take_gap(gap),
            _ => {}
        }
        self.last = time;
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
    }

    /// Takes a gap for a time, as what calls itself active and idle then does.
    fn take_gap(&mut self, gap: i64) {
        let more = gap - self.last_gap;
        if more > MORE {
            let active = self.last_gap.abs_diff(self.active_since) as i64;
            self.add_times(active, more);
            self.active_since = gap;
        }
        self.last_gap = gap;
    }

    #[cold]
    fn add_times(&mut self, active: i64, idle: i64) {
        let times = self.times.get_or_insert_default();
        if active > 0 {
            times.active.add(active);
        }
        times.idle.add(idle);
    }

    fn bulk(&mut self, switches: &Switches, backward: bool, time: i64, payload: u32) {
        let pause = match switches.bulk_pause {
            BulkPause::Second => 1_000_000,
            BulkPause::Millisecond => 1_000,
        };
        let [forth, back] = &mut self.sides;
        match switches.bulk {
            Bulks::Off => {}
            Bulks::OfData if payload == 0 => {}
            Bulks::MergedBackward => back.bulk.take(time, payload, pause, None),
            Bulks::PerDirection | Bulks::OfData if backward => back.bulk.take(time, payload, pause, Some(&forth.bulk)),
            Bulks::PerDirection | Bulks::OfData => forth.bulk.take(time, payload, pause, Some(&back.bulk)),
        }
    }

    /// Counts a packet of a direction.
    fn count(&mut self, packet: &FlowPacket, time: i64, of: Lengths, first: bool, backward: bool, switches: &Switches) {
        let flags = packet.tcp_flags.unwrap_or(0);
        if first || switches.flags == Counted::All {
            for (bit, count) in self.flags.iter_mut().enumerate() {
                *count += u64::from(flags >> bit & 1);
            }
        }
        let side = &mut self.sides[usize::from(backward)];
        if side.lengths.count > 0 {
            side.gaps.add(time - side.last);
        }
        side.last = time;
        side.lengths.add(of.length.into());
        side.headers += u64::from(of.header);
        if of.header > 0 {
            side.least_header = Some(side.least_header.map_or(of.header, |least| least.min(of.header)));
        }
        if first || switches.psh_urg == Counted::All {
            side.psh += u64::from(flags & PSH != 0);
            side.urg += u64::from(flags & URG != 0);
        }
        side.rst += u64::from(flags & tcp_flag::RST != 0);
        side.data += u64::from(of.payload > 0 && !(first && switches.act_data_skip_first));
        let nonzero = !backward && switches.init_win_fwd == InitWinFwd::FirstNonzero;
        side.see_window(packet.sample.window, if nonzero { InitWinBwd::FirstNonzero } else { switches.init_win_bwd });
    }
}

impl Direction {
    fn see_window(&mut self, window: Option<u16>, rule: InitWinBwd) {
        if self.lengths.count == 1 {
            self.first_window = window;
        }
        if window.is_none() {
            return;
        }
        let stands = match rule {
            InitWinBwd::First => self.lengths.count > 1,
            InitWinBwd::FirstNonzero => self.window.is_some_and(|window| window > 0),
            InitWinBwd::Last => false,
        };
        if !stands {
            self.window = window;
        }
    }
}
