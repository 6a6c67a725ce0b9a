//! Timelines: the states of connections, the cut of flows, folders, and real captures.

mod cuts;
mod damage;
mod folders;
mod order;
mod planted;
mod reference;
mod round_trip;
mod states;
mod tshark;

use pcap_compactor::Result;
use pcap_compactor::views::timeline::correct::{Correct, Settings};
use pcap_compactor::views::timeline::{Flow, Host, Hosts, Machine, Packet, TimelineSink};

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) packets: Vec<Packet>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) hosts: Hosts,
    pub(crate) finished: usize,
}

impl TimelineSink for Said {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.packets.push(*packet);
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, _: &Hosts) -> Result<()> {
        self.flows.push(flow.clone());
        Ok(())
    }

    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.hosts = hosts.clone();
        self.finished += 1;
        Ok(())
    }
}

pub(crate) const FIN: i64 = 1;
pub(crate) const SYN: i64 = 2;
pub(crate) const RST: i64 = 4;
pub(crate) const PSH: i64 = 8;
pub(crate) const ACK: i64 = 16;

/// When the tests begin, in microseconds.
pub(crate) const START: i64 = 1_700_000_000_000_000;

/// A segment of the client's, or the server's: milliseconds, who sent it, flags, numbers, payload.
pub(crate) type Row = (i64, bool, i64, i64, i64, u32);

pub(crate) fn hosts() -> Hosts {
    let mut hosts = Hosts::default();
    hosts.number("10.0.0.9");
    hosts.number("10.0.0.10");
    hosts
}

/// A host and a port.
pub(crate) type End = (Host, i64);

/// A TCP packet, so many milliseconds after [`START`].
pub(crate) fn sent(ms: i64, src: End, dst: End, flags: i64, [seq, ack]: [i64; 2], payload: u32) -> Packet {
    Packet {
        time: START + ms * 1000,
        src: src.0,
        src_port: src.1,
        dst: dst.0,
        dst_port: dst.1,
        flags: Some(flags),
        seq,
        ack,
        length: 54 + i64::from(payload),
        payload: Some(payload),
        protocol: Some(6),
    }
}

pub(crate) fn packet(&(ms, up, flags, seq, ack, payload): &Row) -> Packet {
    let (client, server) = ((0, 40_000), (1, 80));
    let (from, to) = if up { (client, server) } else { (server, client) };
    sent(ms, from, to, flags, [seq, ack], payload)
}

/// What a machine makes of packets.
pub(crate) fn run(settings: Settings, packets: &[Packet]) -> Said {
    run_among(&hosts(), settings, packets)
}

/// The same, of hosts in another order.
pub(crate) fn run_among(hosts: &Hosts, settings: Settings, packets: &[Packet]) -> Said {
    let (mut said, mut machine) = (Said::default(), Correct::new(settings));
    packets.iter().for_each(|packet| machine.packet(*packet, hosts, &mut said).unwrap());
    machine.finish(hosts, &mut said).unwrap();
    said
}

pub(crate) fn flows(rows: &[Row]) -> Vec<Flow> {
    run(Settings::default(), &rows.iter().map(packet).collect::<Vec<_>>()).flows
}

/// The names of a flow's steps by packet; a dash for a packet that is none.
pub(crate) fn steps(flow: &Flow) -> Vec<&'static str> {
    let mut names = vec!["-"; flow.packets.len()];
    for step in flow.packets.steps() {
        assert_eq!(std::mem::replace(&mut names[step.packet as usize], step.name), "-", "a packet is one step");
    }
    names
}

/// A handshake from these numbers on.
pub(crate) fn handshake(ms: i64, client: i64, server: i64) -> Vec<Row> {
    let next = |n: i64| (n + 1) % (1 << 32);
    vec![
        (ms, true, SYN, client, 0, 0),
        (ms + 1, false, SYN | ACK, server, next(client), 0),
        (ms + 2, true, ACK, next(client), next(server), 0),
    ]
}
