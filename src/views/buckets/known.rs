//! Which flows are known, so that new ones can be told.
//!
//! A flow is new when its 5-tuple has not been seen for its protocol's timeout, or when a SYN comes behind a FIN or RST. So a SYN that is
//! sent again is not new, and neither is an answer.
//!
//! A later fragment has no ports, opens no flow, and keeps one alive.
//!
//! New is the flow's earliest packet by time. That may come behind others: then it is new in their place, as long as its own bucket is open,
//! and so theirs. What is earlier than a SYN that came behind a FIN or RST is of the flow before, and stays there. A flow costs eight bytes and a
//! packet one comparison for that.

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
    /// The time of the packet that counts as new; the earliest time where there was no packet, [`FRAGMENTS`] where there were later fragments
    /// alone.
    start: i64,
    /// A FIN or RST was.
    closed: bool,
    /// That packet came behind a FIN or RST.
    anew: bool,
}

/// No packet has this time.
const FRAGMENTS: i64 = i64::MAX;

const UNKNOWN: Known = Known { last: i64::MIN, start: i64::MIN, closed: false, anew: false };

/// A packet that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct New {
    /// Of TCP, UDP, others.
    pub(super) kind: usize,
    /// The time of a later packet of the flow, in whose place it is new.
    pub(super) instead: Option<i64>,
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
            self.known.resize(ids, UNKNOWN);
        }
    }

    /// Where a flow lies, for a prefetch.
    #[inline]
    pub(super) fn address(&self, id: u32) -> usize {
        self.known.as_ptr().addr().wrapping_add(id as usize * size_of::<Known>())
    }

    /// Takes a packet; says if it is new.
    #[inline]
    pub(super) fn is_new(&mut self, id: u32, packet: &Packet) -> Option<New> {
        let known = &mut self.known[id as usize];
        let kind = match packet.protocol {
            protocol::TCP => 0,
            protocol::UDP => 1,
            _ => 2,
        };
        let time = packet.time.0;
        // A later fragment has no ports, and is of the flow of the first.
        let is_later = packet.fragment == Fragment::Later;
        let flags = if packet.has_flags && !is_later { packet.tcp_flags } else { 0 };
        let closes = flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
        if known.start == FRAGMENTS {
            known.last = known.last.max(time);
            if is_later {
                return None;
            }
            (known.start, known.closed, known.anew) = (time, closes, false);
            return Some(New { kind, instead: None });
        }
        if time < known.start {
            // It is of this flow where it lies in the silence in front of it, and not before that.
            if known.anew || is_later || known.start.saturating_sub(time) > TIMEOUTS[kind] {
                return None;
            }
            known.closed |= closes;
            return Some(New { kind, instead: Some(std::mem::replace(&mut known.start, time)) });
        }
        let opens = flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        let was_silent = known.last == i64::MIN || time.saturating_sub(known.last) > TIMEOUTS[kind];
        let is_new = was_silent || (known.closed && opens);
        if is_new {
            (known.start, known.anew) = (if is_later { FRAGMENTS } else { time }, !was_silent);
        }
        known.closed = (known.closed && !is_new) || closes;
        known.last = known.last.max(time);
        (is_new && !is_later).then_some(New { kind, instead: None })
    }

    /// A packet that was new in the place of a later one is late, and counts nowhere.
    #[cold]
    pub(super) fn stays(&mut self, id: u32, start: i64) {
        self.known[id as usize].start = start;
    }

    /// Lets go of flows that are over at `now`; looks once in the longest timeout.
    pub(super) fn expire(&mut self, now: i64) {
        if now.saturating_sub(self.looked) < LONGEST {
            return;
        }
        self.looked = now;
        for (id, known) in (0..).zip(&mut self.known) {
            if known.last != i64::MIN && now.saturating_sub(known.last) > LONGEST {
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
            let said = flows.is_new(0, &packet(seconds, protocol::TCP, flags));
            assert_eq!(said, new.then_some(New { kind: 0, instead: None }), "{seconds}");
        }
        for (seconds, new) in [(0, true), (120, false), (241, true)] {
            let said = flows.is_new(1, &packet(seconds, protocol::UDP, 0));
            assert_eq!(said, new.then_some(New { kind: 1, instead: None }), "{seconds}");
        }
        let later = Packet { fragment: Fragment::Later, ..packet(0, protocol::ICMP, 0) };
        assert_eq!(flows.is_new(2, &later), None);
        let other = New { kind: 2, instead: None };
        assert_eq!(flows.is_new(2, &packet(50, protocol::ICMP, 0)), Some(other));
        assert_eq!(flows.is_new(2, &packet(61, protocol::ICMP, 0)), None);
        flows.expire(Timestamp::from_seconds(562).0);
        let mut ended = Vec::new();
        flows.ended(&mut ended);
        assert_eq!((ended, flows.keeps(0), flows.keeps(1), flows.keeps(9)), (vec![1, 2], true, false, false));
        assert_eq!(flows.is_new(1, &packet(300, protocol::UDP, 0)), Some(New { kind: 1, instead: None }));
    }

    #[test]
    fn the_earliest_packet_is_new_whenever_it_comes() {
        let (syn, fin, ack) = (0x02, 0x11, 0x10);
        let mut flows = Flows::default();
        flows.reach(2);
        let new = |instead: Option<i64>| Some(New { kind: 0, instead: instead.map(|s| Timestamp::from_seconds(s).0) });
        for (seconds, flags, said) in [
            (5, ack, new(None)),
            (4, syn, new(Some(5))),
            (4, syn, None),
            (3, fin, new(Some(4))),
            // Behind a FIN, so it is another flow, of which what is earlier is none.
            (9, syn, new(None)),
            (8, ack, None),
            (7, fin, None),
            (10, syn, None),
        ] {
            assert_eq!(flows.is_new(0, &packet(seconds, protocol::TCP, flags)), said, "{seconds}");
        }
        // A later fragment is not new, and takes nothing from what is.
        let later = |seconds| Packet { fragment: Fragment::Later, ..packet(seconds, protocol::ICMP, 0) };
        assert_eq!(flows.is_new(1, &later(9)), None);
        assert_eq!(flows.is_new(1, &packet(8, protocol::ICMP, 0)), Some(New { kind: 2, instead: None }));
        assert_eq!(flows.is_new(1, &later(7)), None);
        assert_eq!(flows.is_new(1, &packet(9, protocol::ICMP, 0)), None);
    }
}
