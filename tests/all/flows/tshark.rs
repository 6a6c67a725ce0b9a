//! Flows that never end against the streams of tshark.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pcap_compactor::views::flows::{Lifetime, Settings, SideRecord};
use serde_json::Value;

use super::{all, say};
use crate::corpus::corpus;
use crate::run::{PLAIN, number};

/// A flow's name and what goes each way, from the smaller end: packets, then bytes.
type Stream = (Name, [u64; 4]);
type Name = (u8, (IpAddr, u16), (IpAddr, u16));

fn stream(protocol: u8, from: (IpAddr, u16), to: (IpAddr, u16), [a, b, c, d]: [u64; 4]) -> Stream {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => ((protocol, from, to), [a, b, c, d]),
        std::cmp::Ordering::Equal => ((protocol, from, to), [a + b, 0, c + d, 0]),
        std::cmp::Ordering::Greater => ((protocol, to, from), [b, a, d, c]),
    }
}

/// The inner streams of tshark by 5-tuple, and those of which some packets carry others: of these only the packets
/// that do not are known, in all.
fn streams(tshark: &Value) -> (BTreeMap<Name, [u64; 4]>, BTreeMap<Name, u64>) {
    let (mut streams, mut mixed) = (BTreeMap::new(), BTreeMap::new());
    for (protocol, list) in [(6, "tcp_streams"), (17, "udp_streams")] {
        for row in tshark[list].as_array().into_iter().flatten() {
            let end = |at: usize| -> (IpAddr, u16) {
                let address = row[at].as_str().expect("an address").parse().expect("an address");
                (address, number(&row[at + 1]) as u16)
            };
            let sums = [6, 7, 8, 9].map(|at| number(&row[at]));
            let (packets, carriers) = (sums[0] + sums[1], number(&row[14]));
            let (name, sums) = stream(protocol, end(2), end(4), sums);
            if carriers == 0 {
                let known: &mut [u64; 4] = streams.entry(name).or_default();
                known.iter_mut().zip(sums).for_each(|(sum, n)| *sum += n);
            } else if carriers < packets {
                *mixed.entry(name).or_default() += packets - carriers;
            }
        }
    }
    (streams, mixed)
}

/// Captures whose flows are not tshark's streams, and why.
const OTHER_STREAMS: &[(&str, &str)] = &[
    ("arkime__arkime_synthetic.pcap", "VXLAN-GPE is not followed; tshark gives no stream to a UDP length of 0"),
    ("libpcap__filter_AH-IPcomp-IPv6.pcap", "seven packets are compressed with IPComp, which tshark undoes"),
    ("libpcap__filter_arcnet-rfc1201-arp-icmp-http.pcap", "link type 129 is not supported"),
    ("ndpi__fuzz-2006-06-26-2594.pcap", "tshark joins RTP to the ports that SIP told it, whatever the address"),
    ("ndpi__reasm_crash_anon.pcapng", "one segment's header is damaged, and tshark gives it no stream"),
    ("pcapsql__fuzz_pcap_reader_netlink-nflog.pcap", "link type 253 is not supported"),
    ("tcpdump__bigtcp-ipv6-geneve-ipv4.pcap", "an IPv6 payload length of 0 hides from tshark what is in the tunnel"),
];

#[test]
fn without_ends_flows_are_the_streams_of_tshark() {
    let Some(corpus) = corpus() else { return };
    let settings = Settings { lifetime: Lifetime::NEVER, columns: all(), ..Settings::default() };
    let mut unequal = Vec::new();
    for (name, path) in &corpus.captures {
        let (theirs, mut mixed) = streams(&corpus.tshark(name));
        let said = say(std::slice::from_ref(path), settings.clone(), PLAIN);
        let mut ours = BTreeMap::new();
        for flow in said.flows.iter().filter(|flow| matches!(flow.protocol, 6 | 17)) {
            let [up, down] = &flow.sides;
            // tshark gives no stream to a TCP header that no receiver would take.
            let sound = |side: &SideRecord| side.segments.windows.count > 0;
            if flow.protocol == 6 && !sound(up) && !sound(down) {
                continue;
            }
            let sums = [up.packets, down.packets, up.bytes, down.bytes];
            let (key, sums) = stream(flow.protocol, (flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port), sums);
            let of_fragments = (flow.src_port, flow.dst_port) == (0, 0) && !theirs.contains_key(&key);
            if mixed.get(&key) == Some(&(sums[0] + sums[1])) {
                mixed.remove(&key);
            } else if !of_fragments {
                assert!(ours.insert(key, sums).is_none(), "{name}: one flow a 5-tuple");
            }
        }
        if ours != theirs || !mixed.is_empty() {
            unequal.push(name.as_str());
        }
    }
    assert_eq!(unequal, OTHER_STREAMS.iter().map(|&(name, _)| name).collect::<Vec<_>>());
    assert!(OTHER_STREAMS.len() * 100 <= corpus.captures.len() * 3, "97 in 100 are equal");
}
