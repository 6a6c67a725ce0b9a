//! Flows of real captures against the TCP streams of tshark.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pcap_compactor::Input;
use pcap_compactor::views::timeline::correct::{Correct, Settings};
use pcap_compactor::views::timeline::{Flow, Hosts, TimelineJob, view};
use serde_json::Value;

use super::Said;
use crate::corpus::corpus;
use crate::run::number;

type End = (IpAddr, u64);
/// Packets each way, from the smaller end; then those with SYN, ACK, RST and FIN.
type Sums = ([u64; 2], [u64; 4]);
type Streams = BTreeMap<(End, End), Vec<Sums>>;

fn enter(streams: &mut Streams, a: End, b: End, [from_a, from_b]: [u64; 2], flags: [u64; 4]) {
    let (key, ways) = match a.cmp(&b) {
        std::cmp::Ordering::Less => ((a, b), [from_a, from_b]),
        std::cmp::Ordering::Equal => ((a, b), [from_a + from_b, 0]),
        std::cmp::Ordering::Greater => ((b, a), [from_b, from_a]),
    };
    streams.entry(key).or_default().push((ways, flags));
}

fn theirs(tshark: &Value) -> Streams {
    let mut streams = Streams::new();
    for row in tshark["tcp_streams"].as_array().into_iter().flatten() {
        let end = |at: usize| (row[at].as_str().unwrap().parse().unwrap(), number(&row[at + 1]));
        let [to, back, carriers] = [6, 7, 14].map(|at| number(&row[at]));
        let flags = [0, 1, 2, 3].map(|at| number(&row[15][at]));
        if carriers == 0 {
            enter(&mut streams, end(2), end(4), [to, back], flags);
        }
    }
    sorted(streams)
}

fn ours(flows: &[Flow], hosts: &Hosts) -> Streams {
    let mut streams = Streams::new();
    for flow in flows {
        let sides = flow.sides.expect("every flow has sides");
        let end = |host, port| (hosts.name(host).parse().expect("an address"), port as u64);
        let initiator = (sides.initiator, sides.initiator_port);
        let up = flow.packets.iter().filter(|packet| (packet.src, packet.src_port) == initiator).count() as u64;
        let with = |flag| flow.packets.iter().filter(|packet| packet.flags.unwrap() & flag != 0).count() as u64;
        let (a, b) = (end(sides.initiator, sides.initiator_port), end(sides.responder, sides.responder_port));
        enter(&mut streams, a, b, [up, flow.total_packets - up], [2, 16, 4, 1].map(with));
    }
    sorted(streams)
}

fn sorted(mut streams: Streams) -> Streams {
    streams.values_mut().for_each(|list| list.sort_unstable());
    streams
}

/// Captures whose flows are not tshark's streams, and why.
const OTHER: &[(&str, &str)] = &[
    ("libpcap__filter_AH-IPcomp-IPv6.pcap", "seven packets are compressed with IPComp, which tshark undoes"),
    ("libpcap__filter_arcnet-rfc1201-arp-icmp-http.pcap", "link type 129 is not supported"),
    ("tcpdump__bigtcp-ipv6-geneve-ipv4.pcap", "an IPv6 payload length of 0 hides from tshark what is in the tunnel"),
    ("zeek__llc.pcap", "between RSTs of one connection lies more than the time for which it lingers"),
];

#[test]
fn flows_are_the_streams_of_tshark() {
    let Some(corpus) = corpus() else { return };
    let mut unequal = Vec::new();
    for (name, path) in &corpus.captures {
        let mut said = Said::default();
        let mut machine = Correct::new(Settings { timeout: i64::MAX, ..Settings::default() });
        TimelineJob::new(view::Selection::default()).run(vec![Input::file(path)], &mut machine, &mut said).unwrap();
        assert_eq!(said.finished, 1);
        let (ours, theirs) = (ours(&said.flows, &said.hosts), theirs(&corpus.tshark(name)));
        if ours != theirs {
            unequal.push(name.as_str());
        }
    }
    assert_eq!(unequal, OTHER.iter().map(|&(name, _)| name).collect::<Vec<_>>());
    assert!(OTHER.len() * 100 <= corpus.captures.len() * 3, "97 in 100 are equal");
}
