//! Filters against libpcap's over real captures, and through the engine and the command line.

use std::process::Command;

use pcap_compactor::decode::{Decoder, Tunnels};
use pcap_compactor::filter::Filter;
use pcap_compactor::{Config, Engine, Job};

use crate::corpus::{corpus, each_record};
use crate::model::Range;
use crate::run::{PLAIN, Said, balances, inputs, job, sum};

/// Captures without tunnels and tags, and without TCP over IPv6: where libpcap looks at the same headers.
const CAPTURES: [&str; 7] = [
    "nfstream-old__teams.pcap",
    "ndpi__netflix.pcap",
    "nfstream__tor.pcapng",
    "ndpi__KakaoTalk_chat.pcap",
    "nfstream__ip_fragmented_garbage.pcap",
    "ndpi__dnscrypt-v1-and-resolver-pings.pcap",
    "arkime__sctp-www.pcap",
];

/// How many packets of each capture match `(ip or ip6) and (EXPRESSION)` in libpcap 1.10.3 (`pcap_compile`, `pcap_offline_filter`).
const MATCHES: [(&str, [usize; 7]); 75] = [
    ("ip", [2775, 1793, 3688, 347, 9077, 608, 84]),
    ("ip6", [0, 0, 6, 0, 0, 0, 0]),
    ("tcp", [2594, 1748, 3677, 310, 9077, 0, 0]),
    ("udp", [179, 44, 17, 36, 0, 608, 0]),
    ("icmp", [2, 0, 0, 1, 0, 0, 0]),
    ("icmp6", [0, 0, 0, 0, 0, 0, 0]),
    ("sctp", [0, 0, 0, 0, 0, 0, 84]),
    ("igmp", [0, 1, 0, 0, 0, 0, 0]),
    ("tcp port 443", [2553, 665, 3677, 239, 0, 0, 0]),
    ("udp port 53", [45, 28, 0, 36, 0, 0, 0]),
    ("port 80 or 443", [2553, 1748, 3677, 275, 0, 326, 84]),
    ("tcp and port 80 or 443", [2553, 1748, 3677, 275, 0, 326, 0]),
    ("tcp or udp and port 53", [45, 28, 0, 36, 0, 0, 0]),
    ("not tcp", [181, 45, 17, 37, 0, 608, 84]),
    ("not (tcp or udp)", [2, 1, 0, 1, 0, 0, 84]),
    ("tcp port 80 or (udp port 53 and less 120)", [24, 1099, 0, 60, 0, 0, 0]),
    ("src port 53", [22, 14, 0, 18, 0, 0, 0]),
    ("dst port 80", [0, 553, 0, 17, 0, 0, 43]),
    ("tcp dst port 80 or 8080", [0, 553, 0, 34, 0, 0, 0]),
    ("portrange 1024-5000", [110, 16, 0, 2, 1, 68, 0]),
    ("tcp src portrange 1-1023", [1218, 831, 2277, 137, 0, 0, 0]),
    ("udp portrange 5000-6000 or 53", [45, 28, 0, 36, 0, 0, 0]),
    ("net 10.0.0.0/8", [0, 0, 0, 347, 9077, 608, 0]),
    ("net 10", [0, 0, 0, 347, 9077, 608, 0]),
    ("net 192.168", [2774, 1793, 3688, 0, 0, 0, 0]),
    ("not net 192.168.0.0/16", [1, 0, 6, 347, 9077, 608, 84]),
    ("src net 192.168.0.0/16 and dst net 10.0.0.0/8", [0, 0, 0, 0, 0, 0, 0]),
    ("src or dst net 172.16.0.0/12", [0, 0, 0, 0, 0, 0, 0]),
    ("src and dst net 192.168", [57, 28, 11, 0, 0, 0, 0]),
    ("dst net 224.0.0.0/4", [0, 17, 0, 0, 0, 0, 0]),
    ("ip multicast", [8, 17, 0, 0, 0, 0, 0]),
    ("ip6 multicast", [0, 0, 6, 0, 0, 0, 0]),
    ("net 192.168.0.0 mask 255.255.0.0", [2774, 1793, 3688, 0, 0, 0, 0]),
    ("ip6 net fe80::/10", [0, 0, 6, 0, 0, 0, 0]),
    ("net 2001::/16 or fe80::/64", [0, 0, 6, 0, 0, 0, 0]),
    ("host 192.168.1.1 or 10.0.0.1", [45, 28, 10, 0, 0, 608, 0]),
    ("ip proto 17", [179, 44, 11, 36, 0, 608, 0]),
    (r"ip proto \tcp or \icmp", [2596, 1748, 3677, 311, 9077, 0, 0]),
    (r"ip6 proto \udp", [0, 0, 6, 0, 0, 0, 0]),
    ("proto 6", [2594, 1748, 3677, 310, 9077, 0, 0]),
    (r"ether proto \ip", [2775, 1793, 3688, 347, 9077, 608, 84]),
    ("ether proto 0x86dd", [0, 0, 6, 0, 0, 0, 0]),
    ("less 64", [805, 33, 1232, 146, 9077, 0, 40]),
    ("greater 1000", [824, 567, 1686, 22, 0, 120, 27]),
    ("len > 100", [1410, 831, 2412, 122, 0, 482, 44]),
    ("len <= 60 and tcp", [797, 32, 1229, 146, 9077, 0, 0]),
    ("greater 60 and not port 443", [222, 1124, 17, 82, 0, 282, 80]),
    ("tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", [107, 153, 28, 37, 26, 0, 0]),
    ("tcp[tcpflags] & tcp-syn != 0 and tcp[tcpflags] & tcp-ack = 0", [38, 46, 7, 12, 9, 0, 0]),
    ("tcp[tcpflags] == tcp-syn", [38, 46, 7, 12, 0, 0, 0]),
    ("tcp[13] = 18", [38, 46, 7, 12, 0, 0, 0]),
    ("tcp[13] & 7 != 0", [110, 185, 31, 41, 27, 0, 0]),
    ("tcp[tcpflags] & (tcp-rst) != 0", [3, 32, 3, 4, 8, 0, 0]),
    ("tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", [0, 30, 0, 2, 0, 0, 0]),
    ("tcp[2:2] > 1023 and tcp[0:2] > 1023", [41, 0, 0, 35, 29, 0, 0]),
    ("tcp[14:2] = 0", [2, 31, 3, 2, 0, 0, 0]),
    ("ip[8] < 64", [84, 848, 2277, 171, 0, 237, 41]),
    ("ip[6:2] & 0x1fff = 0", [2775, 1793, 3688, 347, 29, 488, 84]),
    ("ip[6] & 0x40 != 0", [2621, 1762, 3687, 328, 0, 274, 84]),
    ("ip[0] & 0xf != 5", [0, 1, 0, 0, 0, 0, 0]),
    ("udp[4:2] > 100", [109, 28, 11, 3, 0, 482, 0]),
    ("udp[8:2] = 0", [0, 0, 0, 0, 0, 0, 0]),
    ("icmp[icmptype] == icmp-echo or icmp[icmptype] = icmp-echoreply", [0, 0, 0, 0, 0, 0, 0]),
    ("not tcp[13] & 2 != 0", [2699, 1701, 3680, 323, 9061, 608, 84]),
    ("ether[0] & 1 = 0 and ip", [2765, 1776, 3677, 347, 9077, 608, 84]),
    ("not icmp and not icmp6", [2773, 1793, 3694, 346, 9077, 608, 84]),
    ("!tcp && !(udp port 53)", [136, 17, 17, 1, 0, 608, 84]),
    ("tcp port http or https or ssh", [2553, 1748, 3677, 275, 0, 0, 0]),
    ("ip host 192.168.0.1", [6, 0, 0, 0, 0, 0, 0]),
    ("src host 192.168.0.1 or 192.168.1.1", [28, 14, 10, 0, 0, 0, 0]),
    ("port (53 or 123)", [45, 28, 0, 36, 0, 0, 0]),
    ("udp and (port 67 or port 68 or port 5353)", [7, 0, 0, 0, 0, 0, 0]),
    ("ip[9] ^ 6 = 0", [2594, 1748, 3677, 310, 9077, 0, 0]),
    ("ip[2:2] * 2 + 3 % 5 > 200", [1370, 813, 2405, 106, 0, 482, 39]),
    ("tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)", [0, 494, 0, 4, 0, 0, 0]),
];

#[test]
fn expressions_match_as_many_packets_as_in_libpcap() {
    let Some(corpus) = corpus() else { return };
    let filters: Vec<Filter> =
        MATCHES.iter().map(|(text, _)| Filter::parse(text).unwrap_or_else(|mistake| panic!("{mistake}"))).collect();
    let decoder = Decoder::new(Tunnels::Inner);
    for (at, name) in CAPTURES.iter().enumerate() {
        let mut found = vec![0; filters.len()];
        each_record(&corpus.captures[*name], |record, frame| {
            let Ok(packet) = decoder.decode(record, frame) else { return };
            for (filter, found) in filters.iter().zip(&mut found) {
                *found += usize::from(filter.matches(&packet, record.link, frame));
            }
        });
        for ((text, matches), found) in MATCHES.iter().zip(found) {
            assert_eq!(found, matches[at], "{name}: {text}");
        }
    }
}

/// libpcap asks for `vlan` first; here the tag may be asked for anywhere.
#[test]
fn tagged_packets_match_as_behind_vlan_in_libpcap() {
    let Some(corpus) = corpus() else { return };
    let count = |name: &str, text: &str| {
        let (filter, mut found) = (Filter::parse(text).unwrap(), 0);
        each_record(&corpus.captures[name], |record, frame| {
            if let Ok(packet) = Decoder::new(Tunnels::Outer).decode(record, frame) {
                found += usize::from(filter.matches(&packet, record.link, frame));
            }
        });
        found
    };
    // libpcap 1.10.3: `vlan and (ip or ip6)`, `vlan and tcp`, `vlan and udp`.
    for (name, matches) in [("arkime__stun.pcap", [5, 3, 2]), ("arkime__irc-cap-req.pcap", [26, 26, 0])] {
        assert_eq!(["vlan", "tcp and vlan", "udp and vlan"].map(|text| count(name, text)), matches, "{name}");
    }
}

#[test]
fn what_a_filter_leaves_out_is_in_the_ledger() {
    let Some(corpus) = corpus() else { return };
    let path = corpus.captures["ndpi__netflix.pcap"].clone();
    for threads in [1, 3] {
        let filter = Filter::parse("tcp port 443").unwrap();
        let engine = Engine::builder().threads(threads).filter(filter);
        let mut said = Said::default();
        Job::new(Config::default()).engine(engine).run(inputs(std::slice::from_ref(&path)), &mut said).unwrap();
        balances(&said.metrics);
        let ledger = &said.metrics["ledger"];
        assert_eq!(sum(&ledger["filtered"])[0], 1793 - 665);
        assert_eq!(sum(&ledger["kept"])[0], 665);
        assert!(said.groups().all(|group| group.key.dst_port == 443));
    }
    let mut whole = Said::default();
    job(&Config::default(), Range::default(), PLAIN).run(inputs(&[path]), &mut whole).unwrap();
    assert_eq!(sum(&whole.metrics["ledger"]["filtered"]), [0; 3]);
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let run = Command::new(env!("CARGO_BIN_EXE_pcap-compactor"))
        .args(["compact", "none.pcap", "--filter", "tcp and hots 10.0.0.1"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("  tcp and hots 10.0.0.1\n          ^^^^\n"), "{said}");
}
