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
//! Those with a switch can be had as there, see [`Switches`].
//!
//! | difference | switch | the original | here | source |
//! |---|---|---|---|---|
//! | `float_times` | yes | times are floats of seconds, to 0.24 µs, and `iats` their differences | nanoseconds up to the cell | seen by running wa1kpcap 0.2.0 |
//! | `udp_without_payload` | yes | `payload_bytes` are 0 for UDP | they are those of `app_lengths` | seen by running wa1kpcap 0.2.0 |
//! | `summed_duration` | yes | `feature.duration` adds up the magnitudes of `iats` | latest less earliest time | seen by running wa1kpcap 0.2.0 |
//! | `retransmissions` | | drops every segment that is not newer than the newest, and what a later connection sends below its numbers | only segments whose bytes were all seen in this connection | seen by running wa1kpcap 0.2.0 |
//! | `variance` | | one pass in floats, which cancels | exact | seen by running wa1kpcap 0.2.0 |
//! | `capture_times` | | pcapng times of other units are taken for microseconds | read as written | seen by running wa1kpcap 0.2.0 |
//! | `zero_ip_length` | | of an IPv4 packet of total length 0, `ip_lengths` is 0, and `trans_lengths` and `app_lengths` wrap below zero | `ip_lengths` is what the frame has left on the wire, as TSO means it, and the others follow from that | seen by running wa1kpcap 0.2.0 |
//! | `short_ip_length` | | an IPv4 packet of total length below its header is a row | malformed, and counted so | seen by running wa1kpcap 0.2.0 |
//! | `memory` | | everything in memory until the end | the packets of a flow, 16 bytes each, until it ends, which is the end of input | seen by running wa1kpcap 0.2.0 |
//! | `long_ip_length` | | `ip_lengths` are what headers claim | no more than the frame had on the wire | code of wa1kpcap 0.2.0 |
//! | `cut_headers` | | of a TCP header that the snap length cut, `trans_lengths` are the bytes that were captured, 20 where they are fewer, and its flags and window 0 if they are not among them | `trans_lengths` are the header's own, 0 where its data offset was not captured; `tcp_flags` and `tcp_window_sizes` leave out a packet of which they were not | seen by running wa1kpcap 0.2.0 |
//! | `fragments` | | payload of later IPv6 fragments is read as ports, a first fragment counts the whole datagram | flows with ports 0; lengths of the fragment | seen by running wa1kpcap 0.2.0 |
//! | `icmpv6_behind_headers` | | `not icmpv6` misses it behind extension headers | left out | seen by running wa1kpcap 0.2.0 |
//! | `tunnels` | | IP in IP, 6in4, ERSPAN and others are not followed | followed, unless `--tunnels outer` | code of wa1kpcap 0.2.0 |
//! | `sctp_ports` | | SCTP has no ports | it has | seen by running wa1kpcap 0.2.0 |
//! | `vlan` | | the same ends in two VLANs are two flows | one | code of wa1kpcap 0.2.0 |
//! | `link_types` | | frames of link types it does not know, and of PPPoE, vanish | 16 link types and PPPoE; others are counted | code of wa1kpcap 0.2.0 |
//! | `flow_limit` | | flows from the 100,001st on vanish | there is no limit | seen by running wa1kpcap 0.2.0 |
//! | `order` | | rows in no order | by first packet | code of wa1kpcap 0.2.0 |
//! | `tls_version` | | `version` is that of the first record's header | the version that the server chose; None without its hello | seen by running wa1kpcap 0.2.0 |
//! | `tls_records` | | records are cut out in the order of arrival, up to the first hole | in order of sequence, on behind holes | code of wa1kpcap 0.2.0 |
//! | `certificates` | | a TLS certificate ends the export | `cert_subject` and `cert_issuer` are those of the server's own, as text | seen by running wa1kpcap 0.2.0 |
//! | `http` | | HTTP is not read | `host` and `user_agent` of the first request, on any port | seen by running wa1kpcap 0.2.0 |
//! | `dns` | | only datagrams of port 53 | also other ports, TCP, mDNS and LLMNR | seen by running wa1kpcap 0.2.0 |

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
        float_times: bool from "seen by running wa1kpcap 0.2.0",
        /// whether `payload_bytes` of UDP are 0
        udp_without_payload: bool from "seen by running wa1kpcap 0.2.0",
        /// whether `feature.duration` is the sum of the magnitudes of times between packets
        summed_duration: bool from "seen by running wa1kpcap 0.2.0",
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

const fn switch(name: &'static str, source: &'static str, original: &'static str, here: &'static str) -> Difference {
    Difference { switch: true, ..difference(name, source, original, here) }
}

/// What the table in the module's documentation says.
const DIFFERENCES: &[Difference] = &[
    switch(
        "float_times",
        "seen by running wa1kpcap 0.2.0",
        "times are floats of seconds, to 0.24 µs, and `iats` their differences",
        "nanoseconds up to the cell",
    ),
    switch(
        "udp_without_payload",
        "seen by running wa1kpcap 0.2.0",
        "`payload_bytes` are 0 for UDP",
        "they are those of `app_lengths`",
    ),
    switch(
        "summed_duration",
        "seen by running wa1kpcap 0.2.0",
        "`feature.duration` adds up the magnitudes of `iats`",
        "latest less earliest time",
    ),
    difference(
        "retransmissions",
        "seen by running wa1kpcap 0.2.0",
        "drops every segment that is not newer than the newest, and what a later connection sends below its numbers",
        "only segments whose bytes were all seen in this connection",
    ),
    difference("variance", "seen by running wa1kpcap 0.2.0", "one pass in floats, which cancels", "exact"),
    difference(
        "capture_times",
        "seen by running wa1kpcap 0.2.0",
        "pcapng times of other units are taken for microseconds",
        "read as written",
    ),
    difference(
        "zero_ip_length",
        "seen by running wa1kpcap 0.2.0",
        "of an IPv4 packet of total length 0, `ip_lengths` is 0, and `trans_lengths` and `app_lengths` wrap below zero",
        "`ip_lengths` is what the frame has left on the wire, as TSO means it, and the others follow from that",
    ),
    difference(
        "short_ip_length",
        "seen by running wa1kpcap 0.2.0",
        "an IPv4 packet of total length below its header is a row",
        "malformed, and counted so",
    ),
    difference(
        "memory",
        "seen by running wa1kpcap 0.2.0",
        "everything in memory until the end",
        "the packets of a flow, 16 bytes each, until it ends, which is the end of input",
    ),
    difference(
        "long_ip_length",
        "code of wa1kpcap 0.2.0",
        "`ip_lengths` are what headers claim",
        "no more than the frame had on the wire",
    ),
    difference(
        "cut_headers",
        "seen by running wa1kpcap 0.2.0",
        "of a TCP header that the snap length cut, `trans_lengths` are the bytes that were captured, 20 where they are fewer, and its flags and window 0 if they are not among them",
        "`trans_lengths` are the header's own, 0 where its data offset was not captured; `tcp_flags` and `tcp_window_sizes` leave out a packet of which they were not",
    ),
    difference(
        "fragments",
        "seen by running wa1kpcap 0.2.0",
        "payload of later IPv6 fragments is read as ports, a first fragment counts the whole datagram",
        "flows with ports 0; lengths of the fragment",
    ),
    difference(
        "icmpv6_behind_headers",
        "seen by running wa1kpcap 0.2.0",
        "`not icmpv6` misses it behind extension headers",
        "left out",
    ),
    difference(
        "tunnels",
        "code of wa1kpcap 0.2.0",
        "IP in IP, 6in4, ERSPAN and others are not followed",
        "followed, unless `--tunnels outer`",
    ),
    difference("sctp_ports", "seen by running wa1kpcap 0.2.0", "SCTP has no ports", "it has"),
    difference("vlan", "code of wa1kpcap 0.2.0", "the same ends in two VLANs are two flows", "one"),
    difference(
        "link_types",
        "code of wa1kpcap 0.2.0",
        "frames of link types it does not know, and of PPPoE, vanish",
        "16 link types and PPPoE; others are counted",
    ),
    difference(
        "flow_limit",
        "seen by running wa1kpcap 0.2.0",
        "flows from the 100,001st on vanish",
        "there is no limit",
    ),
    difference("order", "code of wa1kpcap 0.2.0", "rows in no order", "by first packet"),
    difference(
        "tls_version",
        "seen by running wa1kpcap 0.2.0",
        "`version` is that of the first record's header",
        "the version that the server chose; None without its hello",
    ),
    difference(
        "tls_records",
        "code of wa1kpcap 0.2.0",
        "records are cut out in the order of arrival, up to the first hole",
        "in order of sequence, on behind holes",
    ),
    difference(
        "certificates",
        "seen by running wa1kpcap 0.2.0",
        "a TLS certificate ends the export",
        "`cert_subject` and `cert_issuer` are those of the server's own, as text",
    ),
    difference(
        "http",
        "seen by running wa1kpcap 0.2.0",
        "HTTP is not read",
        "`host` and `user_agent` of the first request, on any port",
    ),
    difference(
        "dns",
        "seen by running wa1kpcap 0.2.0",
        "only datagrams of port 53",
        "also other ports, TCP, mDNS and LLMNR",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_one() {
        assert!(!dialect(Switches::default()).filter().is_open());
    }
}
