//! Which flows are known, so that new ones can be told.
//!
//! A flow is new when its 5-tuple has not been seen for its protocol's timeout, or when a SYN comes behind a FIN or RST. So a SYN that is
//! sent again is not new, and neither is an answer.
//!
//! A later fragment has no ports, opens no flow, and keeps one alive.
//!
//! Packets are taken in the order of time; `shard.rs` has them wait for that. Most need not: with a packet that has none of the flags that matter
//! no flow begins if one of its flow lies before it, by no more than the timeout, whatever was sent before that and is yet to come. So it
//! passes, and what is remembered of it is where it lies: behind the first of its flow that waits, what came without a silence is a
//! *stretch*, and one that comes for a place inside it finds no silence there.

use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol, tcp_flag};
use crate::table::FlowRef;
use crate::time::NS_PER_SECOND;

/// Silence behind which a 5-tuple is another flow: of TCP, UDP, others.
const TIMEOUTS: [i64; 3] = [300 * NS_PER_SECOND, 120 * NS_PER_SECOND, 60 * NS_PER_SECOND];

/// Silence behind which nothing is a flow any more, nanoseconds.
pub(super) const LONGEST: i64 = TIMEOUTS[0];

/// What of a packet says whether a flow begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The latest time at or before its own at which a packet is known to lie that did not wait; the earliest time if there is none.
    before: i64,
    flow: u32,
    /// Of TCP, UDP, others.
    kind: u8,
    is_later: bool,
    opens: bool,
    closes: bool,
}

impl Step {
    #[inline]
    pub(super) fn of(flow: u32, packet: &Packet) -> Step {
        let kind = match packet.protocol {
            protocol::TCP => 0,
            protocol::UDP => 1,
            _ => 2,
        };
        // A later fragment has no ports, and is of the flow of the first.
        let is_later = packet.fragment == Fragment::Later;
        let flags = if packet.has_flags && !is_later { packet.tcp_flags } else { 0 };
        let opens = flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        let closes = flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
        Step { before: i64::MIN, flow, kind, is_later, opens, closes }
    }

    #[inline]
    pub(super) fn is_later(&self) -> bool {
        self.is_later
    }
}

/// A 5-tuple, in a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Known {
    /// When it was last seen, of what has been taken or passed; the earliest time: never.
    last: i64,
    /// As long as packets wait: from the first of them on to where packets came without a silence between them. Empty where that one is a later
    /// fragment, with which no flow begins.
    stretch: [i64; 2],
    /// What comes behind the stretch waits, for packets behind a silence do.
    is_over: bool,
    /// By direction: where a packet was counted last.
    counted: [u64; 2],
    /// Packets of it that wait.
    waiting: u32,
    /// There was a packet that is no later fragment.
    begun: bool,
    /// A FIN or RST was.
    closed: bool,
}

const UNKNOWN: Known =
    Known { last: i64::MIN, stretch: NOTHING, is_over: true, counted: [0; 2], waiting: 0, begun: false, closed: false };

/// A stretch without a packet.
const NOTHING: [i64; 2] = [i64::MAX, i64::MIN];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Flows {
    known: Vec<Known>,
    /// When it was last looked for what is over.
    looked: i64,
    ended: Vec<u32>,
}

impl Flows {
    /// Makes room for all ids below `ids`.
    #[inline]
    pub(super) fn reach(&mut self, ids: usize) {
        if ids > self.known.len() {
            self.known.resize(ids, UNKNOWN);
        }
    }

    /// Where a flow lies, for a prefetch.
    #[inline]
    pub(super) fn address(&self, id: u32) -> usize {
        self.known.as_ptr().addr().wrapping_add(id as usize * size_of::<Known>())
    }

    /// Whether no packet of this flow and direction has been counted in a place, which has a number that is not 0; one has, then.
    #[inline]
    pub(super) fn is_new_in(&mut self, place: u64, flow: FlowRef) -> bool {
        let counted = &mut self.known[flow.id as usize].counted[usize::from(flow.from_high)];
        std::mem::replace(counted, place) != place
    }

    /// Whether a packet passes; else it waits, and its flow's id stays. It has to come in the order in which packets came.
    #[inline]
    pub(super) fn passes(&mut self, time: i64, step: &mut Step) -> bool {
        let known = &mut self.known[step.flow as usize];
        let timeout = TIMEOUTS[usize::from(step.kind)];
        let is_plain = !(step.is_later || step.opens || step.closes);
        if known.waiting == 0 {
            let silence = time.saturating_sub(known.last);
            if is_plain && known.begun && (0..=timeout).contains(&silence) {
                known.last = time;
                return true;
            }
            (known.stretch, known.is_over) = if step.is_later { (NOTHING, true) } else { ([time; 2], false) };
        } else {
            let [from, to] = known.stretch;
            if time >= to && !known.is_over {
                known.is_over = time.saturating_sub(to) > timeout;
                if !known.is_over {
                    known.stretch[1] = time;
                    if is_plain {
                        return true;
                    }
                }
            }
            if time >= from {
                // Inside a stretch there is no silence.
                step.before = time.min(to);
            }
        }
        known.waiting += 1;
        false
    }

    /// Takes the next packet, which has waited; says of which of TCP, UDP and others a flow begins with it.
    #[inline]
    pub(super) fn take(&mut self, time: i64, step: &Step) -> Option<usize> {
        let known = &mut self.known[step.flow as usize];
        let kind = usize::from(step.kind);
        let last = known.last.max(step.before);
        let was_silent = last == i64::MIN || time.saturating_sub(last) > TIMEOUTS[kind];
        let begins = was_silent || !known.begun || (known.closed && step.opens);
        known.last = known.last.max(time);
        known.waiting -= 1;
        if known.waiting == 0 {
            known.last = known.last.max(known.stretch[1]);
        }
        if step.is_later {
            (known.begun, known.closed) = (known.begun && !was_silent, known.closed && !was_silent);
            return None;
        }
        (known.begun, known.closed) = (true, (known.closed && !begins) || step.closes);
        begins.then_some(kind)
    }

    /// Lets go of flows that are over at `now`; looks once in the longest timeout.
    pub(super) fn expire(&mut self, now: i64) {
        if now.saturating_sub(self.looked) < LONGEST {
            return;
        }
        self.looked = now;
        for (id, known) in (0..).zip(&mut self.known) {
            if known.waiting == 0 && known.last != i64::MIN && now.saturating_sub(known.last) > LONGEST {
                *known = UNKNOWN;
                self.ended.push(id);
            }
        }
    }

    /// Hands over the ids of flows that it let go of.
    pub(super) fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.ended);
    }

    pub(super) fn keeps(&self, id: u32) -> bool {
        self.known.get(id as usize).is_some_and(|known| known.waiting > 0 || known.last != i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;
    use crate::views::in_order::InOrder;

    fn packet(seconds: i64, protocol: u8, flags: u8) -> Packet {
        let has_flags = protocol == protocol::TCP;
        Packet { time: Timestamp::from_seconds(seconds), protocol, tcp_flags: flags, has_flags, ..Packet::default() }
    }

    impl Flows {
        /// Has a packet wait, whether or not it could pass.
        fn wait(&mut self, id: u32) {
            self.known[id as usize].waiting += 1;
        }
    }

    /// Takes a packet that need not wait.
    fn take(flows: &mut Flows, id: u32, packet: &Packet) -> Option<usize> {
        let mut step = Step::of(id, packet);
        let passes = flows.passes(packet.time.0, &mut step);
        if passes { None } else { flows.take(packet.time.0, &step) }
    }

    #[test]
    fn a_flow_is_new_once() {
        let (syn, syn_ack, fin, ack) = (0x02, 0x12, 0x11, 0x10);
        let mut flows = Flows::default();
        flows.reach(3);
        for (seconds, flags, new) in [
            (0, syn, true),
            (1, syn, false),
            (1, syn_ack, false),
            (301, ack, false),
            (601, fin, false),
            (602, ack, false),
            (603, syn, true),
            (604, syn, false),
            (905, ack, true),
            (300, ack, false),
            (1205, ack, false),
        ] {
            let said = take(&mut flows, 0, &packet(seconds, protocol::TCP, flags));
            assert_eq!(said, new.then_some(0), "{seconds}");
        }
        for (seconds, new) in [(0, true), (120, false), (241, true)] {
            let said = take(&mut flows, 1, &packet(seconds, protocol::UDP, 0));
            assert_eq!(said, new.then_some(1), "{seconds}");
        }
        // A later fragment is not new, and takes nothing from what is.
        let later = |seconds| Packet { fragment: Fragment::Later, ..packet(seconds, protocol::ICMP, 0) };
        for (said, expected) in [
            (take(&mut flows, 2, &later(0)), None),
            (take(&mut flows, 2, &packet(50, protocol::ICMP, 0)), Some(2)),
            (take(&mut flows, 2, &later(61)), None),
            (take(&mut flows, 2, &packet(62, protocol::ICMP, 0)), None),
            (take(&mut flows, 2, &later(123)), None),
            (take(&mut flows, 2, &packet(124, protocol::ICMP, 0)), Some(2)),
        ] {
            assert_eq!(said, expected);
        }
        flows.expire(Timestamp::from_seconds(562).0);
        let mut ended = Vec::new();
        flows.ended(&mut ended);
        assert_eq!((ended, flows.keeps(0), flows.keeps(1), flows.keeps(9)), (vec![1, 2], true, false, false));
        assert_eq!(take(&mut flows, 1, &packet(300, protocol::UDP, 0)), Some(1));
    }

    /// The times of packets with which flows begin, of packets that wait for those up to `window` seconds before them: all of them do, or those that
    /// cannot pass.
    fn begun(packets: &[(u32, Packet)], window: i64, some_pass: bool) -> Vec<(i64, usize)> {
        let mut flows = Flows::default();
        flows.reach(4);
        let (mut waiting, mut begun) = (InOrder::default(), Vec::new());
        let (mut clock, mut last) = (i64::MIN, i64::MIN);
        for (id, packet) in packets {
            let (time, mut step) = (packet.time.0, Step::of(*id, packet));
            if !some_pass {
                flows.wait(*id);
            }
            if !some_pass || !flows.passes(time, &mut step) {
                waiting.push(time, step);
            }
            clock = clock.max(time.min(last));
            last = time;
            let now = clock.saturating_sub(window * NS_PER_SECOND);
            while let Some((time, step)) = waiting.pop_by(now.saturating_sub(1)) {
                begun.extend(flows.take(time, &step).map(|kind| (time, kind)));
            }
            flows.expire(now);
        }
        while let Some((time, step)) = waiting.pop() {
            begun.extend(flows.take(time, &step).map(|kind| (time, kind)));
        }
        begun
    }

    proptest! {
        #[test]
        fn what_passes_changes_nothing(
            packets in prop::collection::vec((0..4_u32, 0..700_i64, prop::sample::select(&[0x10, 0x10, 0x10, 0x02, 0x12, 0x11, 0x04][..]), prop::bool::weighted(0.1)), 0..60),
            window in prop::sample::select(&[0, 1, 30, 200, 500, 2000][..]),
            drift in 0..60_i64,
        ) {
            let packets: Vec<(u32, Packet)> = (0..).zip(packets).map(|(nth, (id, seconds, flags, is_later))| {
                // Times that rise, more or less.
                let seconds = nth * drift + seconds / if drift > 0 { 4 } else { 1 };
                let protocol = if id == 3 { protocol::UDP } else { protocol::TCP };
                let fragment = if is_later { Fragment::Later } else { Fragment::Whole };
                (id, Packet { fragment, ..packet(seconds, protocol, flags) })
            }).collect();
            prop_assert_eq!(begun(&packets, window, true), begun(&packets, window, false));
        }
    }

    #[test]
    fn a_flow_of_which_a_packet_waits_is_kept() {
        let mut flows = Flows::default();
        flows.reach(2);
        let udp = |seconds| packet(seconds, protocol::UDP, 0);
        assert_eq!(take(&mut flows, 0, &udp(0)), Some(1));
        flows.wait(0);
        flows.wait(1);
        flows.expire(Timestamp::from_seconds(1000).0);
        assert!(flows.keeps(0) && flows.keeps(1));
        assert_eq!(flows.take(Timestamp::from_seconds(100).0, &Step::of(0, &udp(100))), None);
    }
}
