//! Names of numbers that a user should not have to look up.

use pcap_compactor::capture::LinkType;
use pcap_compactor::decode::reject::{Malformed, NotIp};

/// `1 (Ethernet)`.
pub(super) fn link_name(link: LinkType) -> String {
    match known_link(link) {
        "" => link.0.to_string(),
        name => format!("{} ({name})", link.0),
    }
}

/// Names of <https://www.tcpdump.org/linktypes.html>, of the types that are met; empty for others.
pub(super) const fn known_link(link: LinkType) -> &'static str {
    match link.0 {
        0 => "BSD loopback",
        1 => "Ethernet",
        6 => "Token Ring",
        7 => "ARCNET",
        8 => "SLIP",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "raw IP",
        50 => "PPP in HDLC-like framing",
        51 => "PPPoE",
        100 => "ATM",
        104 => "Cisco HDLC",
        105 => "IEEE 802.11",
        107 => "Frame Relay",
        108 => "OpenBSD loopback",
        113 => "Linux cooked",
        114 => "LocalTalk",
        117 => "OpenBSD pflog",
        119 => "IEEE 802.11 with Prism header",
        127 => "IEEE 802.11 with radiotap header",
        138 => "Apple IP over IEEE 1394",
        143 => "DOCSIS",
        147..=162 => "private use",
        163 => "IEEE 802.11 with AVS header",
        187 => "Bluetooth HCI H4",
        189 => "USB, Linux",
        192 => "PPI",
        195 => "IEEE 802.15.4",
        201 => "Bluetooth HCI H4 with direction",
        203 => "LAPD",
        220 => "USB, Linux, padded",
        227 => "CAN, SocketCAN",
        228 => "raw IPv4",
        229 => "raw IPv6",
        230 => "IEEE 802.15.4 without FCS",
        239 => "NFLOG",
        240 => "netANALYZER",
        242 => "IP over InfiniBand",
        247 => "InfiniBand",
        249 => "USBPcap",
        251 => "Bluetooth LE",
        252 => "Wireshark upper PDU",
        253 => "netlink",
        254 => "Bluetooth Linux monitor",
        272 => "nordic BLE",
        276 => "Linux cooked v2",
        _ => "",
    }
}

/// `ARP`, or the name used in metrics where no other is known.
pub(crate) fn not_ip_name(what: NotIp) -> String {
    let known = match what {
        NotIp::EtherType(kind) => ether_type(kind),
        NotIp::Llc(0x42) => Some("spanning tree"),
        NotIp::Llc(0xaa) => Some("SNAP"),
        NotIp::Llc(0xe0) => Some("IPX"),
        NotIp::Llc(0xf0) => Some("NetBIOS"),
        NotIp::Llc(0xfe) => Some("IS-IS"),
        NotIp::Ppp(0xc021) => Some("PPP LCP"),
        NotIp::Ppp(0xc023) => Some("PPP PAP"),
        NotIp::Ppp(0xc223) => Some("PPP CHAP"),
        NotIp::Ppp(0x8021) => Some("PPP IPCP"),
        NotIp::Ppp(0x8057) => Some("PPP IPv6CP"),
        _ => None,
    };
    known.map_or_else(|| what.name().into_owned(), str::to_owned)
}

/// Names of IEEE EtherTypes that are met in captures.
const fn ether_type(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x0806 => "ARP",
        0x0842 => "wake-on-LAN",
        0x2000 => "CDP",
        0x6002 => "DEC MOP",
        0x8035 => "RARP",
        0x809b => "AppleTalk",
        0x80f3 => "AARP",
        0x8137 => "IPX",
        0x8808 => "Ethernet flow control",
        0x8809 => "LACP and other slow protocols",
        0x8863 => "PPPoE discovery",
        0x886d => "Intel ANS",
        0x8899 => "Realtek RRCP",
        0x888e => "EAPOL",
        0x8892 => "PROFINET",
        0x88a2 => "ATA over Ethernet",
        0x88a4 => "EtherCAT",
        0x88b8 => "GOOSE",
        0x88cc => "LLDP",
        0x88e1 | 0x8912 => "HomePlug",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x8902 => "CFM",
        0x8906 => "FCoE",
        0x9000 => "Ethernet loopback test",
        _ => return None,
    })
}

/// A reason in words.
pub(crate) const fn malformed_text(reason: Malformed) -> &'static str {
    match reason {
        Malformed::Time => "its time is out of range",
        Malformed::LinkType => "its link type is not supported",
        Malformed::LinkTruncated => "its link header is cut",
        Malformed::LinkInvalid => "its link header contradicts itself",
        Malformed::LinkDepth => "too many tags or labels",
        Malformed::IpTruncated => "its IP header is cut, or none",
        Malformed::IpVersion => "its IP version is not the one announced",
        Malformed::IpLength => "its IPv4 lengths contradict each other",
        Malformed::IpExtension => "an IP extension header is cut or too short",
        Malformed::IpExtensionDepth => "too many IPv6 extension headers",
        Malformed::TransportTruncated => "it ends before its ports",
    }
}
