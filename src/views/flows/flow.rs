//! One flow while it lasts: what has been seen of it, by end of its 5-tuple.
//!
//! Which end is the client is not known before the flow has ended, so everything is kept by end. Packets come from the
//! reorder stage in packet time; what does not depend on order (counts, first and last time, evidence) would be the same
//! in any.

use super::arrival::Arrival;
use super::feature::{FeatureState, FlowPacket};
use super::record::EndReason;
use super::said::Said;
use super::segments::Analysis;
use super::session::Session;
use super::settings::{ClientRule, Plan, TcpEnd};
use super::steps::Sequence;
use super::teardown::{LINGER, Teardown, Verdict};
use crate::config::Measure;
use crate::decode::packet::{Tunnel, protocol, tcp_flag};
use crate::engine::ledger::Amount;
use crate::flow::sequence::Class;
use crate::flow::statistics::Statistics;
use crate::prefetch::prefetch_all;
use crate::table::Ends;
use crate::table::direction::Direction;
use crate::time::Timestamp;

/// Tells flows of one 5-tuple apart that begin at one time. All 0 for most: `count` rises when a flow is followed by
/// another that may begin at its own time, the others where time goes back behind a flow that may have been emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Serial {
    /// Name of the marker behind which time had gone back.
    pub(super) mark: u32,
    /// How often it had since.
    pub(super) turns: u32,
    pub(super) count: u32,
}

/// Bit of the mark of a flow behind which time went back; its other bits are the name of the marker before that.
pub(super) const LEFT_BEHIND: u32 = 1 << 31;

/// A flow.
#[derive(Debug)]
pub(super) struct Flow {
    /// Time of the packet that began it.
    pub(super) opened: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) serial: Serial,
    pub(super) packets: [u64; 2],
    pub(super) wire: [u64; 2],
    pub(super) captured: [u64; 2],
    pub(super) payload: [u64; 2],
    /// The earliest packet with payload; the latest time if there is none.
    pub(super) first_payload: i64,
    evidence_time: i64,
    pub(super) evidence: Option<Direction>,
    pub(super) client_high: bool,
    /// The earliest packet came from the high end.
    pub(super) first_high: bool,
    /// The packet that came first did; by other rules for the client, or where the flow goes on from another, the end that is
    /// the client.
    pub(super) began_high: bool,
    pub(super) session: Session,
    /// Packets that came further behind their time than the reorder window.
    pub(super) behind: u64,
    /// The smallest and greatest time to live by end.
    pub(super) ttl: [[u8; 2]; 2],
    pub(super) vlan: Option<u16>,
    /// Type and code of the first ICMP message, and the end that sent it.
    pub(super) icmp: Option<([u8; 2], bool)>,
    pub(super) tunnel: Tunnel,
    pub(super) tunnel_id: Option<u32>,
    /// Where they were asked for.
    pub(super) statistics: Statistics,
    pub(super) segments: Option<Box<Analysis>>,
    pub(super) more: Option<Box<More>>,
    pub(super) said: Said,
}

/// What a flow has that few runs ask for.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) sequence: Sequence,
    pub(super) features: Vec<Box<dyn FeatureState>>,
    /// Both ends are one address.
    one_host: bool,
}

impl Default for Flow {
    /// A flow without packets.
    fn default() -> Flow {
        Flow {
            opened: 0,
            first: i64::MAX,
            last: i64::MIN,
            serial: Serial::default(),
            packets: [0; 2],
            wire: [0; 2],
            captured: [0; 2],
            payload: [0; 2],
            first_payload: i64::MAX,
            evidence_time: 0,
            evidence: None,
            client_high: false,
            first_high: false,
            began_high: false,
            session: Session::default(),
            behind: 0,
            ttl: [[u8::MAX, 0]; 2],
            vlan: None,
            icmp: None,
            tunnel: Tunnel::None,
            tunnel_id: None,
            statistics: Statistics::default(),
            segments: None,
            more: None,
            said: Said::default(),
        }
    }
}

impl Flow {
    /// It has packets.
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.first <= self.last
    }

    /// Asks for what it has elsewhere.
    #[inline]
    pub(super) fn ask(&self) {
        if let Some(segments) = &self.segments {
            prefetch_all(&**segments);
        }
        if let Some(more) = &self.more {
            prefetch_all(&**more);
        }
        self.statistics.ask();
        self.said.ask();
    }

    /// Asks for the states of features, which what [`Flow::ask`] asks for leads to.
    #[inline]
    pub(super) fn ask_features(&self) {
        if let Some(more) = &self.more {
            more.features.iter().for_each(|state| prefetch_all(&**state));
        }
    }

    /// All its packets.
    pub(super) fn amount(&self) -> Amount {
        let sum = |pair: [u64; 2]| pair[0] + pair[1];
        Amount { packets: sum(self.packets), wire_bytes: sum(self.wire), captured_bytes: sum(self.captured) }
    }

    /// Bytes of its frames by end, by the measure that counts.
    pub(super) fn bytes(&self, plan: &Plan) -> [u64; 2] {
        match plan.settings.bytes {
            Measure::Wire => self.wire,
            Measure::Captured => self.captured,
        }
    }

    /// Why the flow has ended before a packet of it at `time`; nothing if it has not.
    #[inline]
    pub(super) fn over(&self, time: i64, idle: i64, plan: &Plan) -> Option<EndReason> {
        let silent = time.saturating_sub(self.last) > idle;
        let long = time.saturating_sub(self.opened) > plan.active;
        if !silent && !long {
            return None;
        }
        let earlier = self.last.saturating_add(idle) <= self.opened.saturating_add(plan.active);
        Some(if silent && (earlier || !long) { EndReason::Idle } else { EndReason::Active })
    }

    /// Whether a packet is of the next connection between the same ports.
    #[inline]
    pub(super) fn is_followed_by(&self, arrival: &Arrival, plan: &Plan) -> bool {
        match plan.settings.lifetime.tcp_end {
            TcpEnd::Closed => {
                let silence = arrival.time.saturating_sub(self.last);
                let end = arrival.end();
                arrival.segment().is_some_and(|segment| self.session.is_followed_by(end, &segment, silence))
            }
            TcpEnd::States => self.is_followed_by_states(arrival),
            TcpEnd::Never | TcpEnd::FirstFin | TcpEnd::BackwardFin | TcpEnd::AnyFin => false,
        }
    }

    fn is_followed_by_states(&self, arrival: &Arrival) -> bool {
        if let (Some(([kind, code], _)), Some([other, another])) = (self.icmp, arrival.icmp()) {
            return kind != other && code != another;
        }
        self.session.teardown.is_ready() && arrival.flags & tcp_flag::SYN != 0
    }

    /// What becomes of a packet by rules that look at flags alone.
    pub(super) fn judge(&mut self, arrival: &Arrival, ends: impl Fn() -> Ends, plan: &Plan) -> Verdict {
        if self.is_closed() && (!arrival.is_tcp() || arrival.time.saturating_sub(self.last) >= LINGER) {
            *self = Flow { serial: self.serial, ..Flow::default() };
        }
        if !arrival.is_tcp() {
            return Verdict::Stays;
        }
        let opens = !self.has_begun();
        let other = !opens && arrival.sent_by_high() != self.began_high;
        let backward = other && !(plan.settings.one_host_is_forward && ends().are_one_host());
        let verdict = self.session.teardown.judge(plan.settings.lifetime.tcp_end, arrival.flags, backward, opens);
        if opens && verdict == Verdict::LeftOut {
            let since = if self.is_closed() { self.last } else { arrival.time };
            *self = Flow::closed(self.serial, since);
        } else if opens {
            self.last = i64::MIN;
        }
        verdict
    }

    /// What stands in the place of a flow behind a FIN or RST that came at `time`.
    fn closed(serial: Serial, time: i64) -> Flow {
        let mut flow = Flow { serial, last: time, ..Flow::default() };
        flow.session.teardown = Teardown::AFTER;
        flow
    }

    /// It stands in the place of a flow that a FIN or RST ended at its `last` time.
    pub(super) fn is_closed(&self) -> bool {
        self.session.teardown.is_closed()
    }

    /// What stands in its place once it was ended by a packet at `time`.
    pub(super) fn remains(&self, time: i64, plan: &Plan) -> Flow {
        let Serial { mark, turns, count } = self.serial;
        let serial = Serial { mark, turns, count: count + 1 };
        if plan.settings.lifetime.tcp_end == TcpEnd::AnyFin {
            return Flow::closed(serial, time);
        }
        Flow { serial, ..Flow::default() }
    }

    /// Whether a packet at `time`, behind the active timeout, goes on with it in another flow.
    pub(super) fn goes_on(&self, arrival: &Arrival, idle: i64, plan: &Plan) -> bool {
        plan.goes_on(arrival.protocol)
            && arrival.time.saturating_sub(self.last) <= idle
            && !self.is_followed_by(arrival, plan)
    }

    /// A flow that goes on from this one.
    pub(super) fn heir(&mut self, plan: &Plan) -> Flow {
        let more = self.more.get_or_insert_default();
        let heirs = more.features.iter_mut().zip(&plan.settings.features);
        let features = heirs.map(|(state, feature)| state.heir().unwrap_or_else(|| feature.start())).collect();
        let more = Some(Box::new(More { features, one_host: more.one_host, ..More::default() }));
        Flow { began_high: self.began_high, more, ..Flow::default() }
    }

    /// A flow between the same client and server, that begins anew.
    pub(super) fn beside(&self, ends: &Ends, plan: &Plan) -> Flow {
        let features = plan.settings.features.iter().map(|feature| feature.start()).collect();
        let more = Some(Box::new(More { features, one_host: ends.are_one_host(), ..More::default() }));
        Flow { began_high: self.began_high, more, ..Flow::default() }
    }

    /// Adds a packet; false if it is left out as a repetition.
    #[inline]
    pub(super) fn add(&mut self, arrival: &Arrival, ends: impl Fn() -> Ends, plan: &Plan) -> bool {
        if plan.tcp && arrival.is_tcp() {
            let segments = self.segments.get_or_insert_default();
            let verdict = segments.judge(arrival);
            let repeats = verdict.is_some_and(|verdict| verdict.class == Class::Retransmission);
            if repeats && plan.settings.no_retransmissions {
                return false;
            }
            segments.count(arrival, verdict);
        }
        let (time, end) = (arrival.time, arrival.end());
        if !self.has_begun() {
            self.begin(arrival, &ends, plan);
        } else if time < self.last {
            self.behind += 1;
        }
        let earliest = (time, arrival.sent_by_high()) < (self.first, self.first_high);
        if earliest || !self.has_begun() {
            (self.first, self.first_high) = (time, arrival.sent_by_high());
        }
        if let Some((rank, client_high)) = arrival.evidence() {
            let new = (rank, time, client_high);
            if self.evidence.is_none_or(|old| new < (old, self.evidence_time, self.client_high)) {
                (self.evidence, self.evidence_time, self.client_high) = (Some(rank), time, client_high);
            }
        }
        self.packets[end] += 1;
        self.wire[end] += u64::from(arrival.wire);
        self.captured[end] += u64::from(arrival.captured);
        if arrival.payload > 0 {
            self.payload[end] += u64::from(arrival.payload);
            self.first_payload = self.first_payload.min(time);
        }
        self.ttl[end] = [self.ttl[end][0].min(arrival.ttl), self.ttl[end][1].max(arrival.ttl)];
        if let Some(segment) = arrival.segment() {
            self.session.take(end, &segment);
        }
        // A packet that is behind its time has no gap before it.
        let newest = self.last.max(time);
        if plan.statistics {
            self.statistics.add(newest.saturating_sub(self.last), &arrival.sample(), &plan.settings.bounds);
        }
        self.last = newest;
        if plan.keeps_more() {
            self.add_more(arrival, ends, plan);
        }
        true
    }

    fn begin(&mut self, arrival: &Arrival, ends: impl Fn() -> Ends, plan: &Plan) {
        self.opened = arrival.time;
        // Nothing but an heir has more before its first packet.
        if self.more.is_none() {
            let answers = plan.settings.client == ClientRule::Opener && arrival.answers() && !ends().are_one();
            self.began_high = arrival.sent_by_high() != answers;
        }
        self.vlan = arrival.vlan();
        self.icmp = arrival.icmp().map(|icmp| (icmp, arrival.sent_by_high()));
        self.tunnel = arrival.tunnel();
        self.tunnel_id = arrival.tunnel_id();
    }

    #[inline(never)]
    fn add_more(&mut self, arrival: &Arrival, ends: impl Fn() -> Ends, plan: &Plan) {
        let settings = &plan.settings;
        let client_high = self.began_high;
        let more = self.more.get_or_insert_with(|| {
            let features = settings.features.iter().map(|feature| feature.start()).collect();
            Box::new(More { features, one_host: ends().are_one_host(), ..More::default() })
        });
        if settings.sequences > 0 {
            more.sequence.add(arrival, settings.sequences);
        }
        for feature in &mut more.features {
            feature.packet(&FlowPacket {
                time: Timestamp(arrival.time),
                from_high: arrival.sent_by_high(),
                protocol: arrival.protocol,
                tcp_flags: arrival.is_tcp().then_some(arrival.flags),
                sample: arrival.sample(),
                captured_payload: arrival.captured_payload(),
                captured: arrival.captured,
                ip_offset: arrival.below,
                vlan: arrival.vlan(),
                udp: arrival.has_header_of(protocol::UDP),
                sctp: arrival.has_header_of(protocol::SCTP),
                numbers: arrival.segment().map(|segment| (segment.seq, segment.ack)),
                icmp: arrival.icmp(),
                client_high,
                one_host: more.one_host,
            });
        }
    }
}
