//! wa1kpcap 0.2.0: the columns that its `to_csv` writes with default options, in its order.
//!
//! One flow a 5-tuple, however long. Who sent the first packet is `up`. ICMP, ICMPv6, DHCP and repeated TCP segments are left
//! out, and the ledger counts them as filtered. Packets are taken in the order of the capture.
//!
//! `tls`, `http`, `dns` and the names in `ext_protocol` above the transport are what payload says, in builds that read it
//! (Cargo feature `payload`); in others they are empty. Dicts and lists are text in Python's notation, as there.
//!
//! All columns are always there, those of payload too: the original leaves out what no flow of the capture has. Cells of
//! a block without values (times of one packet, TCP fields of UDP) are empty, as there. Counts stay integers where pandas
//! makes `13.0` of them. Every packet of a flow stands in its sequences, so memory follows packets, 16 bytes each.
//!
//! Kept as they are: `up` and `down` of a block are its positive and its negative values, so packets without payload are
//! of neither, times between packets are `up` unless time goes back, and flags and windows are always `up`.
//!
//! # Where it is right and the original is not
//!
//! Sections are those of the description of the original, flow-features. Those with a switch can be had as there, see
//! [`Switches`].
//!
//! | difference | switch | section | the original | here |
//! |---|---|---|---|---|
//! | `float_times` | yes | 2, 12.23 | times are floats of seconds, to 0.24 µs, and `iats` their differences | nanoseconds up to the cell |
//! | `udp_without_payload` | yes | 4, 12.9 | `payload_bytes` are 0 for UDP | they are those of `app_lengths` |
//! | `summed_duration` | yes | 5, 12.9 | `feature.duration` adds up the magnitudes of `iats` | latest less earliest time |
//! | `retransmissions` | | 3.2, 12.5 | drops every segment that is not newer than the newest, and what a later connection sends below its numbers | only segments whose bytes were all seen in this connection |
//! | `variance` | | 5 | one pass in floats, which cancels | exact |
//! | `capture_times` | | 6, 12.10 | pcapng times of other units are taken for microseconds | read as written |
//! | `zero_ip_length` | | 6, 12.9 | of an IPv4 packet of total length 0, `ip_lengths` is 0, and `trans_lengths` and `app_lengths` wrap below zero | `ip_lengths` is what the frame has left on the wire, as TSO means it, and the others follow from that |
//! | `short_ip_length` | | 6, 12.9 | an IPv4 packet of total length below its header is a row | malformed, and counted so |
//! | `memory` | | 5 | everything in memory until the end | the packets of a flow, 16 bytes each, until it ends, which is the end of input |
//! | `long_ip_length` | | 4 | `ip_lengths` are what headers claim | no more than the frame had on the wire |
//! | `fragments` | | 7, 12.12 | payload of later IPv6 fragments is read as ports, a first fragment counts the whole datagram | flows with ports 0; lengths of the fragment |
//! | `icmpv6_behind_headers` | | 1.3, 12.21 | `not icmpv6` misses it behind extension headers | left out |
//! | `tunnels` | | 2 | IP in IP, 6in4, ERSPAN and others are not followed | followed, unless `--tunnels outer` |
//! | `sctp_ports` | | 2, 12.16 | SCTP has no ports | it has |
//! | `vlan` | | 2 | the same ends in two VLANs are two flows | one |
//! | `link_types` | | 6, 12.11 | frames of link types it does not know, and of PPPoE, vanish | 16 link types and PPPoE; others are counted |
//! | `flow_limit` | | 1.1, 12.18 | flows from the 100,001st on vanish | there is no limit |
//! | `order` | | 1.1, 12.19 | rows in no order | by first packet |
//! | `tls_version` | | 8, 12.17 | `version` is that of the first record's header | the version that the server chose; None without its hello |
//! | `tls_records` | | 7, 12.13 | records are cut out in the order of arrival, up to the first hole | in order of sequence, on behind holes |
//! | `certificates` | | 9, 12.3 | a TLS certificate ends the export | `cert_subject` and `cert_issuer` are those of the server's own, as text |
//! | `http` | | 8, 12.14 | HTTP is not read | `host` and `user_agent` of the first request, on any port |
//! | `dns` | | 8, 12.15 | only datagrams of port 53 | also other ports, TCP, mDNS and LLMNR |

mod block;
mod columns;
mod packets;
mod steps;
mod sums;
#[cfg(feature = "payload")]
mod words;
#[cfg(not(feature = "payload"))]
#[path = "silent.rs"]
mod words;

use std::sync::Arc;

use super::switches::switches;
use super::{Dialect, Difference, Notation, Switched, difference};
use crate::filter::Filter;
use crate::views::flows::{ClientRule, Lifetime, Settings};

switches! {
    /// What is done as the original does it, though it is wrong. The default is nothing.
    #[derive(Default)]
    struct Switches {
        /// whether times between packets are differences of times as 64-bit floats of seconds
        float_times: bool,
        /// whether `payload_bytes` of UDP are 0
        udp_without_payload: bool,
        /// whether `feature.duration` is the sum of the magnitudes of times between packets
        summed_duration: bool,
    }
}

impl Switches {
    /// All of them.
    pub const ORIGINAL: Switches = Switches { float_times: true, udp_without_payload: true, summed_duration: true };
}

/// The packets that count, by the original's default filter: DHCP and DHCPv6 by their ports.
const FILTER: &str = "not (icmp or icmp6 or udp portrange 67-68 or 546-547)";

/// The dialect, with these switches.
#[must_use]
pub fn dialect(switches: Switches) -> Dialect {
    Dialect {
        name: "wa1kpcap",
        about: "wa1kpcap 0.2.0, to_csv with default options",
        filter: Filter::parse(FILTER).expect("a test parses it"),
        rules,
        columns: columns::BASE,
        accumulator: Arc::new(packets::Packets(switches)),
        notation: Notation::Python,
        differences: DIFFERENCES,
        switches: Some(Switched::Wa1kpcap(switches)),
    }
}

fn rules(usual: Settings) -> Settings {
    Settings {
        lifetime: Lifetime::NEVER,
        reorder: 0,
        sequences: 0,
        no_retransmissions: true,
        client: ClientRule::FirstPacket,
        // No column has a fingerprint, or more than the server's own certificate.
        #[cfg(feature = "payload")]
        payload: crate::payload::Limits { details: false, ..usual.payload },
        ..usual
    }
}

const fn switch(name: &'static str, section: &'static str, original: &'static str, here: &'static str) -> Difference {
    Difference { switch: true, ..difference(name, section, original, here) }
}

/// What the table in the module's documentation says.
const DIFFERENCES: &[Difference] = &[
    switch(
        "float_times",
        "2, 12.23",
        "times are floats of seconds, to 0.24 µs, and `iats` their differences",
        "nanoseconds up to the cell",
    ),
    switch("udp_without_payload", "4, 12.9", "`payload_bytes` are 0 for UDP", "they are those of `app_lengths`"),
    switch(
        "summed_duration",
        "5, 12.9",
        "`feature.duration` adds up the magnitudes of `iats`",
        "latest less earliest time",
    ),
    difference(
        "retransmissions",
        "3.2, 12.5",
        "drops every segment that is not newer than the newest, and what a later connection sends below its numbers",
        "only segments whose bytes were all seen in this connection",
    ),
    difference("variance", "5", "one pass in floats, which cancels", "exact"),
    difference(
        "capture_times",
        "6, 12.10",
        "pcapng times of other units are taken for microseconds",
        "read as written",
    ),
    difference(
        "zero_ip_length",
        "6, 12.9",
        "of an IPv4 packet of total length 0, `ip_lengths` is 0, and `trans_lengths` and `app_lengths` wrap below zero",
        "`ip_lengths` is what the frame has left on the wire, as TSO means it, and the others follow from that",
    ),
    difference(
        "short_ip_length",
        "6, 12.9",
        "an IPv4 packet of total length below its header is a row",
        "malformed, and counted so",
    ),
    difference(
        "memory",
        "5",
        "everything in memory until the end",
        "the packets of a flow, 16 bytes each, until it ends, which is the end of input",
    ),
    difference("long_ip_length", "4", "`ip_lengths` are what headers claim", "no more than the frame had on the wire"),
    difference(
        "fragments",
        "7, 12.12",
        "payload of later IPv6 fragments is read as ports, a first fragment counts the whole datagram",
        "flows with ports 0; lengths of the fragment",
    ),
    difference("icmpv6_behind_headers", "1.3, 12.21", "`not icmpv6` misses it behind extension headers", "left out"),
    difference(
        "tunnels",
        "2",
        "IP in IP, 6in4, ERSPAN and others are not followed",
        "followed, unless `--tunnels outer`",
    ),
    difference("sctp_ports", "2, 12.16", "SCTP has no ports", "it has"),
    difference("vlan", "2", "the same ends in two VLANs are two flows", "one"),
    difference(
        "link_types",
        "6, 12.11",
        "frames of link types it does not know, and of PPPoE, vanish",
        "16 link types and PPPoE; others are counted",
    ),
    difference("flow_limit", "1.1, 12.18", "flows from the 100,001st on vanish", "there is no limit"),
    difference("order", "1.1, 12.19", "rows in no order", "by first packet"),
    difference(
        "tls_version",
        "8, 12.17",
        "`version` is that of the first record's header",
        "the version that the server chose; None without its hello",
    ),
    difference(
        "tls_records",
        "7, 12.13",
        "records are cut out in the order of arrival, up to the first hole",
        "in order of sequence, on behind holes",
    ),
    difference(
        "certificates",
        "9, 12.3",
        "a TLS certificate ends the export",
        "`cert_subject` and `cert_issuer` are those of the server's own, as text",
    ),
    difference("http", "8, 12.14", "HTTP is not read", "`host` and `user_agent` of the first request, on any port"),
    difference("dns", "8, 12.15", "only datagrams of port 53", "also other ports, TCP, mDNS and LLMNR"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_one() {
        assert!(!dialect(Switches::default()).filter().is_open());
    }
}
