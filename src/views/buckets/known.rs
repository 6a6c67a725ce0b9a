//! Which flows are known, so that new ones can be told.
//!
//! A flow is new when its 5-tuple has not been seen for its protocol's timeout, or when a SYN comes behind a FIN or RST. So a SYN that is
//! sent again is not new, and neither is an answer.
//!
//! A later fragment has no ports, opens no flow, and keeps one alive.
//!
//! Packets are taken in the order of time; `shard.rs` has them wait for that.

use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol, tcp_flag};
use crate::time::NS_PER_SECOND;

/// Silence behind which a 5-tuple is another flow: of TCP, UDP, others.
const TIMEOUTS: [i64; 3] = [300 * NS_PER_SECOND, 120 * NS_PER_SECOND, 60 * NS_PER_SECOND];

/// Silence behind which nothing is a flow any more, nanoseconds.
pub(super) const LONGEST: i64 = TIMEOUTS[0];

/// What of a packet says whether a flow begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
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
        Step { flow, kind, is_later, opens, closes: flags & (tcp_flag::FIN | tcp_flag::RST) != 0 }
    }
}

/// A 5-tuple.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// When it was last seen; the earliest time: never.
    last: i64,
    /// Packets of it that wait.
    waiting: u32,
    /// There was a packet that is no later fragment.
    begun: bool,
    /// A FIN or RST was.
    closed: bool,
}

const UNKNOWN: Known = Known { last: i64::MIN, waiting: 0, begun: false, closed: false };

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

    /// A packet of a flow waits: its id stays.
    #[inline]
    pub(super) fn wait(&mut self, id: u32) {
        self.known[id as usize].waiting += 1;
    }

    /// Takes the next packet, which has waited; says of which of TCP, UDP and others a flow begins with it.
    #[inline]
    pub(super) fn take(&mut self, time: i64, step: &Step) -> Option<usize> {
        let known = &mut self.known[step.flow as usize];
        known.waiting -= 1;
        let kind = usize::from(step.kind);
        let was_silent = known.last == i64::MIN || time.saturating_sub(known.last) > TIMEOUTS[kind];
        let begins = was_silent || !known.begun || (known.closed && step.opens);
        known.last = known.last.max(time);
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
    use super::*;
    use crate::Timestamp;

    fn packet(seconds: i64, protocol: u8, flags: u8) -> Packet {
        let has_flags = protocol == protocol::TCP;
        Packet { time: Timestamp::from_seconds(seconds), protocol, tcp_flags: flags, has_flags, ..Packet::default() }
    }

    /// Takes a packet that need not wait.
    fn take(flows: &mut Flows, id: u32, packet: &Packet) -> Option<usize> {
        flows.wait(id);
        flows.take(packet.time.0, &Step::of(id, packet))
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
