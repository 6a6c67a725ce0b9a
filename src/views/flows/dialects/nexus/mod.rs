//! NexusFlowMeter 0.1.5: the 34 columns that it writes of a capture, in its order.
//!
//! One flow a 5-tuple, however long, in the order of the capture. `src` is the end whose address is the smaller as text, then
//! whose port is, so it is often the server; `forward` is what its host sent. Bytes are those that were captured. Rows are in order
//! of `total_bytes`, the greatest first, then of time. Memory follows flows, not their packets.
//!
//! Kept as they are: `payload` bytes are those of TCP or UDP with their headers and the padding behind them, behind a VLAN tag
//! with the IP header too; times and times between packets are negative where time goes back, and rates then 0.
//!
//! CSV is as pandas writes it, and an [array](crate::sink::flows::Form::Array) of JSON too, with null for what is infinite. [`Report`] is the
//! text beside it.
//!
//! # Where it differs from the original
//!
//! | difference | switch | the original | here | source |
//! |---|---|---|---|---|
//! | `arp` | | ARP is a flow of the hosts that it names | it is not IP, and stands in the ledger | seen by running NexusFlowMeter 0.1.5 |
//! | `unknown` | | of all other protocols two hosts have one flow, `Unknown` | one a protocol, each `Unknown` | seen by running NexusFlowMeter 0.1.5 |
//! | `fragments` | | later fragments are of the flow `Unknown` | of a flow without ports, which is `ICMP` for ICMP, else `Unknown` | seen by running NexusFlowMeter 0.1.5 |
//! | `sctp_ports` | | SCTP has no ports | its ports tell flows apart | code of NexusFlowMeter 0.1.5 |
//! | `cut_headers` | | with TCP and UDP headers that were not captured whole a packet is `Unknown` | it is of the flow of its ports | code of NexusFlowMeter 0.1.5, which reads by scapy |
//! | `ns_flag` | | `tcp_flags` have N for the bit in front of CWR | that bit is not read | code of NexusFlowMeter 0.1.5, which reads by scapy |
//! | `zone` | | local time | UTC, unless `--time-zone` says otherwise | code of NexusFlowMeter 0.1.5 |
//! | `fine_times` | | times finer than microseconds are rounded after they were floats | rounded as they are | code of NexusFlowMeter 0.1.5 |
//! | `tunnels` | | GRE and others have the outer addresses with inner ports, if any | the innermost of both, unless `--tunnels outer` | code of NexusFlowMeter 0.1.5, which reads by scapy |
//! | `layers` | | `payload` bytes begin two layers in, whatever these are: PPPoE, MPLS, PPP, radio, IPv6 extension headers | at the TCP or UDP header, but for a VLAN tag and without a link layer | code of NexusFlowMeter 0.1.5 |
//! | `lengths` | | a packet of which it read more (Kerberos, IGMP) is as long as it would write it | as it was captured | code of NexusFlowMeter 0.1.5, which measures layers of scapy |
//! | `malformed` | | a packet counts as far as it can be read | it stands in the ledger | code of NexusFlowMeter 0.1.5, which reads by scapy |
//! | `link_types` | | frames of link types and families that it does not know are of no flow | 16 link types; others are counted | code of NexusFlowMeter 0.1.5, which reads by scapy |
//! | `order` | | rows of equal bytes in no order | by first time, then by ends | code of NexusFlowMeter 0.1.5 |
//! | `chunks` | | above 1 GiB in pieces, whose flows are put together without the gaps between them | one | code of NexusFlowMeter 0.1.5 |
//! | `empty` | | a capture without flows is an error | a header without rows | seen by running NexusFlowMeter 0.1.5 |
//! | `report` | | the report has when and how long it was made | neither, so it is the same in every run | seen by running NexusFlowMeter 0.1.5 |
//! | `split` | | `--split-by-protocol` has tables of the protocols that there are | of all four, some without rows | code of NexusFlowMeter 0.1.5 |
//! | `merged` | | rows of `-d --merge` in order of bytes over all captures | capture by capture (`--source-file`) | seen by running NexusFlowMeter 0.1.5 |
//! | `options` | | `--protocols tcp,udp` | `--filter 'tcp or udp'` | code of NexusFlowMeter 0.1.5 |

mod columns;
mod counts;
mod report;

use std::sync::Arc;

pub use columns::name as protocol;
pub use report::Report;

use super::{Dialect, Difference, Notation, Zone, difference};
use crate::config::Measure;
use crate::filter::Filter;
use crate::views::flows::{ClientRule, Lifetime, Order, Settings};

/// The dialect.
#[must_use]
pub fn dialect() -> Dialect {
    in_zone(Zone::default())
}

/// The dialect, with times of a zone.
pub(super) fn in_zone(zone: Zone) -> Dialect {
    Dialect {
        name: "nexus",
        about: "NexusFlowMeter 0.1.5",
        switches: None,
        filter: Filter::default(),
        rules,
        columns: columns::BASE,
        accumulator: Arc::new(counts::Counts { zone }),
        notation: Notation::Python,
        differences: DIFFERENCES,
    }
}

fn rules(usual: Settings) -> Settings {
    Settings {
        lifetime: Lifetime::NEVER,
        reorder: 0,
        sequences: 0,
        no_retransmissions: false,
        bytes: Measure::Captured,
        client: ClientRule::SmallerText,
        order: Order::Bytes,
        ..usual
    }
}

/// What the table in the module's documentation says.
const DIFFERENCES: &[Difference] = &[
    difference(
        "arp",
        "seen by running NexusFlowMeter 0.1.5",
        "ARP is a flow of the hosts that it names",
        "it is not IP, and stands in the ledger",
    ),
    difference(
        "unknown",
        "seen by running NexusFlowMeter 0.1.5",
        "of all other protocols two hosts have one flow, `Unknown`",
        "one a protocol, each `Unknown`",
    ),
    difference(
        "fragments",
        "seen by running NexusFlowMeter 0.1.5",
        "later fragments are of the flow `Unknown`",
        "of a flow without ports, which is `ICMP` for ICMP, else `Unknown`",
    ),
    difference("sctp_ports", "code of NexusFlowMeter 0.1.5", "SCTP has no ports", "its ports tell flows apart"),
    difference(
        "cut_headers",
        "code of NexusFlowMeter 0.1.5, which reads by scapy",
        "with TCP and UDP headers that were not captured whole a packet is `Unknown`",
        "it is of the flow of its ports",
    ),
    difference(
        "ns_flag",
        "code of NexusFlowMeter 0.1.5, which reads by scapy",
        "`tcp_flags` have N for the bit in front of CWR",
        "that bit is not read",
    ),
    difference("zone", "code of NexusFlowMeter 0.1.5", "local time", "UTC, unless `--time-zone` says otherwise"),
    difference(
        "fine_times",
        "code of NexusFlowMeter 0.1.5",
        "times finer than microseconds are rounded after they were floats",
        "rounded as they are",
    ),
    difference(
        "tunnels",
        "code of NexusFlowMeter 0.1.5, which reads by scapy",
        "GRE and others have the outer addresses with inner ports, if any",
        "the innermost of both, unless `--tunnels outer`",
    ),
    difference(
        "layers",
        "code of NexusFlowMeter 0.1.5",
        "`payload` bytes begin two layers in, whatever these are: PPPoE, MPLS, PPP, radio, IPv6 extension headers",
        "at the TCP or UDP header, but for a VLAN tag and without a link layer",
    ),
    difference(
        "lengths",
        "code of NexusFlowMeter 0.1.5, which measures layers of scapy",
        "a packet of which it read more (Kerberos, IGMP) is as long as it would write it",
        "as it was captured",
    ),
    difference(
        "malformed",
        "code of NexusFlowMeter 0.1.5, which reads by scapy",
        "a packet counts as far as it can be read",
        "it stands in the ledger",
    ),
    difference(
        "link_types",
        "code of NexusFlowMeter 0.1.5, which reads by scapy",
        "frames of link types and families that it does not know are of no flow",
        "16 link types; others are counted",
    ),
    difference(
        "order",
        "code of NexusFlowMeter 0.1.5",
        "rows of equal bytes in no order",
        "by first time, then by ends",
    ),
    difference(
        "chunks",
        "code of NexusFlowMeter 0.1.5",
        "above 1 GiB in pieces, whose flows are put together without the gaps between them",
        "one",
    ),
    difference(
        "empty",
        "seen by running NexusFlowMeter 0.1.5",
        "a capture without flows is an error",
        "a header without rows",
    ),
    difference(
        "report",
        "seen by running NexusFlowMeter 0.1.5",
        "the report has when and how long it was made",
        "neither, so it is the same in every run",
    ),
    difference(
        "split",
        "code of NexusFlowMeter 0.1.5",
        "`--split-by-protocol` has tables of the protocols that there are",
        "of all four, some without rows",
    ),
    difference(
        "merged",
        "seen by running NexusFlowMeter 0.1.5",
        "rows of `-d --merge` in order of bytes over all captures",
        "capture by capture (`--source-file`)",
    ),
    difference("options", "code of NexusFlowMeter 0.1.5", "`--protocols tcp,udp`", "`--filter 'tcp or udp'`"),
];
