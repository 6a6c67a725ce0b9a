//! Which packets a timeline is of.

use super::{Host, Hosts, Machine, Packet, TimelineSink};
use crate::error::Result;

/// Which packets are taken. The default takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only those that one of these hosts sent or got.
    pub hosts: Option<Vec<String>>,
    /// Only those from this time on, microseconds since 1970.
    pub from: Option<i64>,
    /// Only those up to this time, which is included.
    pub to: Option<i64>,
    /// Only so many, the first.
    pub most: Option<u64>,
}

/// A choice at work.
#[derive(Clone, Debug)]
pub(super) struct Chooser {
    choice: Choice,
    /// What is known of hosts, by number.
    wanted: Vec<Option<bool>>,
    taken: u64,
}

impl Chooser {
    pub(super) fn new(choice: Choice) -> Chooser {
        Chooser { choice, wanted: Vec::new(), taken: 0 }
    }

    /// Whether a packet is taken, which then counts.
    pub(super) fn takes(&mut self, packet: &Packet, hosts: &Hosts) -> bool {
        let taken = !self.is_full()
            && self.choice.from.is_none_or(|from| packet.time >= from)
            && !self.is_past(packet.time)
            && (self.wants(packet.src, hosts) || self.wants(packet.dst, hosts));
        self.taken += u64::from(taken);
        taken
    }

    /// Whether as many are taken as may be.
    pub(super) fn is_full(&self) -> bool {
        self.choice.most.is_some_and(|most| self.taken >= most)
    }

    /// Whether a time lies behind all that are taken.
    pub(super) fn is_past(&self, time: i64) -> bool {
        self.choice.to.is_some_and(|to| time > to)
    }

    fn wants(&mut self, host: Host, hosts: &Hosts) -> bool {
        let Some(names) = &self.choice.hosts else { return true };
        let place = host as usize;
        if self.wanted.len() <= place {
            self.wanted.resize(place + 1, None);
        }
        *self.wanted[place].get_or_insert_with(|| names.iter().any(|name| name == hosts.name(host)))
    }
}

/// A machine that sees only chosen packets.
#[derive(Clone, Debug)]
pub struct Chosen<M> {
    chooser: Chooser,
    machine: M,
}

impl<M> Chosen<M> {
    /// Puts a choice in front of a machine.
    pub fn new(choice: Choice, machine: M) -> Chosen<M> {
        Chosen { chooser: Chooser::new(choice), machine }
    }

    /// Whether as many packets were taken as may be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.chooser.is_full()
    }
}

impl<M: Machine> Machine for Chosen<M> {
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        if self.chooser.takes(&packet, hosts) { self.machine.packet(packet, hosts, sink) } else { Ok(()) }
    }

    fn finish(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        self.machine.finish(hosts, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_chosen_by_either_end_by_both_times_included_and_by_number() {
        let mut hosts = Hosts::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| hosts.number(name));
        let choice = Choice { hosts: Some(vec!["a".into(), "x".into()]), from: Some(2), to: Some(4), most: Some(4) };
        let mut chooser = Chooser::new(choice);
        let mut takes = |time, src, dst| chooser.takes(&Packet { time, src, dst, ..Packet::default() }, &hosts);
        assert_eq!([1, 2, 4, 5].map(|time| takes(time, a, b)), [false, true, true, false]);
        assert_eq!([(b, a), (b, c), (a, a), (a, b)].map(|(src, dst)| takes(3, src, dst)), [true, false, true, false]);
        assert!(Chooser::new(Choice::default()).takes(&Packet::default(), &hosts));
    }
}
