//! Which flows are known, so that new ones can be told.
//!
//! A flow is new when its 5-tuple has not been seen for its protocol's timeout, or when a SYN comes behind a FIN or RST. So a SYN that is
//! sent again is not new, and neither is an answer.

use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol, tcp_flag};
use crate::time::NS_PER_SECOND;

/// Silence behind which a 5-tuple is another flow: of TCP, UDP, others.
const TIMEOUTS: [i64; 3] = [300 * NS_PER_SECOND, 120 * NS_PER_SECOND, 60 * NS_PER_SECOND];

/// Silence behind which nothing is a flow any more, nanoseconds.
pub(super) const LONGEST: i64 = TIMEOUTS[0];

/// A 5-tuple.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// When it was last seen; the earliest time: never.
    last: i64,
    /// A FIN or RST was.
    closed: bool,
}

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
            self.known.resize(ids, Known { last: i64::MIN, closed: false });
        }
    }

    /// Where a flow lies, for a prefetch.
    #[inline]
    pub(super) fn address(&self, id: u32) -> usize {
        self.known.as_ptr().addr().wrapping_add(id as usize * size_of::<Known>())
    }

    /// Takes a packet; the kind of its flow if that is new: TCP, UDP, others.
    #[inline]
    pub(super) fn is_new(&mut self, id: u32, packet: &Packet) -> Option<usize> {
        let known = &mut self.known[id as usize];
        let kind = match packet.protocol {
            protocol::TCP => 0,
            protocol::UDP => 1,
            _ => 2,
        };
        let time = packet.time.0;
        let flags = if packet.has_flags && packet.fragment != Fragment::Later { packet.tcp_flags } else { 0 };
        let opens = flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        let is_new =
            known.last == i64::MIN || time.saturating_sub(known.last) > TIMEOUTS[kind] || (known.closed && opens);
        known.closed = (known.closed && !is_new) || flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
        known.last = known.last.max(time);
        // A later fragment has no ports, and is of the flow of the first.
        (is_new && packet.fragment != Fragment::Later).then_some(kind)
    }

    /// Lets go of flows that are over at `now`; looks once in the longest timeout.
    pub(super) fn expire(&mut self, now: i64) {
        if now.saturating_sub(self.looked) < LONGEST {
            return;
        }
        self.looked = now;
        for (id, known) in (0..).zip(&mut self.known) {
            if known.last != i64::MIN && now.saturating_sub(known.last) > LONGEST {
                known.last = i64::MIN;
                known.closed = false;
                self.ended.push(id);
            }
        }
    }

    /// Hands over the ids of flows that it let go of.
    pub(super) fn ended(&mut self, flows: &mut Vec<u32>) {
        flows.append(&mut self.ended);
    }

    pub(super) fn keeps(&self, id: u32) -> bool {
        self.known.get(id as usize).is_some_and(|known| known.last != i64::MIN)
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
            assert_eq!(flows.is_new(0, &packet(seconds, protocol::TCP, flags)), new.then_some(0), "{seconds}");
        }
        for (seconds, new) in [(0, true), (120, false), (241, true)] {
            assert_eq!(flows.is_new(1, &packet(seconds, protocol::UDP, 0)), new.then_some(1));
        }
        let later = Packet { fragment: Fragment::Later, ..packet(0, protocol::ICMP, 0) };
        assert_eq!(flows.is_new(2, &later), None);
        assert_eq!(flows.is_new(2, &packet(61, protocol::ICMP, 0)), Some(2));
        flows.expire(Timestamp::from_seconds(562).0);
        let mut ended = Vec::new();
        flows.ended(&mut ended);
        assert_eq!((ended, flows.keeps(0), flows.keeps(1), flows.keeps(9)), (vec![1, 2], true, false, false));
        assert_eq!(flows.is_new(1, &packet(300, protocol::UDP, 0)), Some(1));
    }
}
