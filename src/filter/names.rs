//! Names for numbers: protocols, EtherTypes, ports, and the places and values of header fields.

use crate::decode::packet::protocol;

/// Protocols that are words of the language: name, number, and whether they are of one IP version only.
pub(super) const PROTOCOLS: [(&str, u8, Option<bool>); 10] = [
    ("tcp", protocol::TCP, None),
    ("udp", protocol::UDP, None),
    ("sctp", protocol::SCTP, None),
    ("icmp", protocol::ICMP, Some(false)),
    ("icmp6", protocol::ICMPV6, Some(true)),
    ("igmp", 2, Some(false)),
    ("pim", 103, None),
    ("ah", 51, None),
    ("esp", 50, None),
    ("vrrp", 112, Some(false)),
];

/// Further protocols (IANA, "Assigned Internet Protocol Numbers"), for `proto NAME`.
const MORE_PROTOCOLS: [(&str, u8); 6] =
    [("ipip", 4), ("ipv6-icmp", 58), ("gre", 47), ("ospf", 89), ("udplite", 136), ("l2tp", 115)];

/// EtherTypes, for `ether proto NAME`.
const ETHER_TYPES: [(&str, u16); 4] = [("ip", 0x0800), ("ip6", 0x86dd), ("arp", 0x0806), ("rarp", 0x8035)];

/// Ports (IANA, "Service Name and Transport Protocol Port Number Registry").
const PORTS: [(&str, u16); 37] = [
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap", 143),
    ("imap2", 143),
    ("snmp", 161),
    ("snmptrap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("isakmp", 500),
    ("syslog", 514),
    ("ldaps", 636),
    ("imaps", 993),
    ("pop3s", 995),
    ("radius", 1812),
    ("nfs", 2049),
    ("mysql", 3306),
    ("sip", 5060),
    ("mdns", 5353),
    ("postgresql", 5432),
];

/// Offsets and values of header fields, as pcap-filter(7) names them.
const FIELDS: [(&str, u32); 41] = [
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130),
    ("icmp6-multicastlistenerreportv1", 131),
    ("icmp6-multicastlistenerdone", 132),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
];

fn find<N: Copy>(list: &[(&str, N)], name: &str) -> Option<N> {
    list.iter().find(|(known, _)| *known == name).map(|&(_, number)| number)
}

/// A protocol's number.
pub(crate) fn protocol(name: &str) -> Option<u8> {
    let word = PROTOCOLS.iter().find(|(known, ..)| *known == name).map(|&(_, number, _)| number);
    word.or_else(|| find(&MORE_PROTOCOLS, name))
}

/// An EtherType.
pub(super) fn ether_type(name: &str) -> Option<u16> {
    find(&ETHER_TYPES, name)
}

/// A port.
pub(super) fn port(name: &str) -> Option<u16> {
    find(&PORTS, name)
}

/// An offset or value of a header field.
pub(super) fn field(name: &str) -> Option<u32> {
    find(&FIELDS, name)
}
