//! `nf-v2` and `nf-v3`: the NetFlow feature sets of Sarhan and others (2021) and of Luay and others (2025), as nProbe exports them.
//!
//! | dialect | data sets | columns |
//! |---|---|---|
//! | [`nf-v2`](Version::V2) | NF-UQ-NIDS-v2: NF-UNSW-NB15-v2, NF-ToN-IoT-v2, NF-BoT-IoT-v2, NF-CSE-CIC-IDS2018-v2 | 44 |
//! | [`nf-v3`](Version::V3) | the same in version 3: those columns, two times and eight statistics of gaps | 54 |
//!
//! A flow is bidirectional; its source is who sent the first packet. It ends by nProbe's defaults: 30 s of silence
//! (`--idle-timeout`) or 120 s from its start (`--lifetime-timeout`), or as TCP closes or resets it. Bytes and lengths are those of
//! IP packets, by their headers. Times are milliseconds, rounded down, and so is what is made of them, but `*_SECOND_BYTES`.
//! What a flow has not is 0, as in the sets. `_IN` is what the source sent, `_OUT` what it was sent.
//!
//! Definitions are those of nProbe's list of information elements (its user's guide, "Flow Information Elements"), which the
//! papers repeat; [`columns`](super::Dialect::columns) has the formulas. Two of them are in no document, and were found in
//! published rows: throughput is by a duration 1 ms longer, and so has a value for flows of one packet; and `*_SECOND_BYTES` of a flow that
//! lasts less than a second are its bytes.
//!
//! `Label` and `Attack` are filled by `--label`: `Attack` is the label, and `Label` is 0 for `Benign`, however it is written, else 1. Both
//! are empty where no rule and no default says anything, so give the rules `default = "Benign"`. `FTP_COMMAND_RET_CODE` and what DNS says are read from
//! payload, on any port; a build that reads none has 0 there.
//!
//! # Where they differ from the original
//!
//! How flows end, and of whom times to live are, is said of the versions of nProbe whose code was open; later ones may differ.
//!
//! | difference | switch | the original | here | source |
//! |---|---|---|---|---|
//! | `l7_proto` | | `L7_PROTO`, the number that nDPI has for the application | it is not there | nProbe user's guide, Flow Information Elements |
//! | `second_bytes` | | bytes second by second, which stand in the sets as the digits of one number; in version 3 also less | bytes / seconds that have begun: the same below a second | rows of NF-UQ-NIDS |
//! | `wraps` | | durations of flows in which time goes back are near 4294967 | never negative: latest - earliest | rows of NF-UQ-NIDS |
//! | `ipv6` | | `IPV4_SRC_ADDR` and `IPV4_DST_ADDR` have no IPv6 addresses | they have; `--filter ip` leaves these flows out | nProbe user's guide, Flow Information Elements |
//! | `close` | | TCP flows end 10 s behind FIN with ACK, or RST, of both ends | behind a RST, or FINs of both ends and their acknowledgement, with the next SYN; trailing packets stay | code of nProbe, when it was open |
//! | `idle` | | also where one of two ends is silent, and when flows are looked at in rounds | where both are, in the time of packets | code of nProbe, when it was open |
//! | `timeouts` | | 30 s and 120 s end flows, in whole seconds | what is longer does | code of nProbe, when it was open |
//! | `retransmitted` | | which bytes count, and what a retransmission is, is not documented | IP bytes of segments whose sequence numbers had all been seen | nProbe user's guide, Flow Information Elements |
//! | `ttl` | | `MIN_TTL` and `MAX_TTL` are of the source's packets | of both ends' | code of nProbe, when it was open |
//! | `icmp` | | of which message type and code are is not documented | of the first, if the flow begins with it; ICMPv6 has `ICMP_TYPE` alone | nProbe user's guide, Flow Information Elements |
//! | `ports` | | NetFlow may have type and code of ICMP in `L4_DST_PORT` | 0 | NetFlow version 5; ntop/PF_RING#982 |
//! | `dns` | | of which query of several is not documented | the first that was asked or answered; of answers the first A record | nProbe user's guide, Flow Information Elements |
//! | `ftp` | | of which command of several is not documented | the last reply to a command | nProbe user's guide, Flow Information Elements |
//! | `stddev` | | of a population or a sample is not documented | of a population, as in nDPI | nProbe user's guide, Flow Information Elements |
//! | `tunnels` | | the outer addresses, unless `--tunnel` | the innermost, unless `--tunnels outer` | nProbe user's guide |
//! | `wide` | | counters have 32 bits, and lengths 16 | 64 | nProbe user's guide, Flow Information Elements |

mod columns;
mod packets;
#[cfg(feature = "payload")]
mod words;
#[cfg(not(feature = "payload"))]
#[path = "silent.rs"]
mod words;

use std::sync::Arc;

use super::{Dialect, Difference, Notation, difference};
use crate::filter::Filter;
use crate::time::NS_PER_SECOND;
use crate::views::flows::{ClientRule, Lifetime, Settings};

/// Which of the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Of 2021.
    V2,
    /// Of 2025.
    V3,
}

/// The dialect of a version.
#[must_use]
pub fn dialect(version: Version) -> Dialect {
    let (name, about, columns) = match version {
        Version::V2 => ("nf-v2", "NetFlow features of NF-UQ-NIDS-v2 (2021), as of nProbe", &columns::V2[..]),
        Version::V3 => ("nf-v3", "NetFlow features of version 3 (2025), as of nProbe", &columns::V3[..]),
    };
    Dialect {
        name,
        about,
        switches: None,
        filter: Filter::default(),
        rules,
        columns,
        accumulator: Arc::new(packets::Packets),
        notation: Notation::Python,
        differences: DIFFERENCES,
    }
}

fn rules(usual: Settings) -> Settings {
    let idle = Some(30 * NS_PER_SECOND);
    Settings {
        lifetime: Lifetime {
            tcp_idle: idle,
            udp_idle: idle,
            other_idle: idle,
            active: Some(120 * NS_PER_SECOND),
            ..Lifetime::default()
        },
        sequences: 0,
        no_retransmissions: false,
        client: ClientRule::FirstPacket,
        #[cfg(feature = "payload")]
        payload: crate::payload::Limits { details: false, ..usual.payload },
        ..usual
    }
}

/// What the table in the module's documentation says.
const DIFFERENCES: &[Difference] = &[
    difference(
        "l7_proto",
        "nProbe user's guide, Flow Information Elements",
        "`L7_PROTO`, the number that nDPI has for the application",
        "it is not there",
    ),
    difference(
        "second_bytes",
        "rows of NF-UQ-NIDS",
        "bytes second by second, which stand in the sets as the digits of one number; in version 3 also less",
        "bytes / seconds that have begun: the same below a second",
    ),
    difference(
        "wraps",
        "rows of NF-UQ-NIDS",
        "durations of flows in which time goes back are near 4294967",
        "never negative: latest - earliest",
    ),
    difference(
        "ipv6",
        "nProbe user's guide, Flow Information Elements",
        "`IPV4_SRC_ADDR` and `IPV4_DST_ADDR` have no IPv6 addresses",
        "they have; `--filter ip` leaves these flows out",
    ),
    difference(
        "close",
        "code of nProbe, when it was open",
        "TCP flows end 10 s behind FIN with ACK, or RST, of both ends",
        "behind a RST, or FINs of both ends and their acknowledgement, with the next SYN; trailing packets stay",
    ),
    difference(
        "idle",
        "code of nProbe, when it was open",
        "also where one of two ends is silent, and when flows are looked at in rounds",
        "where both are, in the time of packets",
    ),
    difference(
        "timeouts",
        "code of nProbe, when it was open",
        "30 s and 120 s end flows, in whole seconds",
        "what is longer does",
    ),
    difference(
        "retransmitted",
        "nProbe user's guide, Flow Information Elements",
        "which bytes count, and what a retransmission is, is not documented",
        "IP bytes of segments whose sequence numbers had all been seen",
    ),
    difference(
        "ttl",
        "code of nProbe, when it was open",
        "`MIN_TTL` and `MAX_TTL` are of the source's packets",
        "of both ends'",
    ),
    difference(
        "icmp",
        "nProbe user's guide, Flow Information Elements",
        "of which message type and code are is not documented",
        "of the first, if the flow begins with it; ICMPv6 has `ICMP_TYPE` alone",
    ),
    difference(
        "ports",
        "NetFlow version 5; ntop/PF_RING#982",
        "NetFlow may have type and code of ICMP in `L4_DST_PORT`",
        "0",
    ),
    difference(
        "dns",
        "nProbe user's guide, Flow Information Elements",
        "of which query of several is not documented",
        "the first that was asked or answered; of answers the first A record",
    ),
    difference(
        "ftp",
        "nProbe user's guide, Flow Information Elements",
        "of which command of several is not documented",
        "the last reply to a command",
    ),
    difference(
        "stddev",
        "nProbe user's guide, Flow Information Elements",
        "of a population or a sample is not documented",
        "of a population, as in nDPI",
    ),
    difference(
        "tunnels",
        "nProbe user's guide",
        "the outer addresses, unless `--tunnel`",
        "the innermost, unless `--tunnels outer`",
    ),
    difference("wide", "nProbe user's guide, Flow Information Elements", "counters have 32 bits, and lengths 16", "64"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_version_3_without_times_and_gaps() {
        let [v2, v3] = [Version::V2, Version::V3].map(|version| dialect(version).columns());
        assert_eq!((v2.len(), v3.len()), (44, 54));
        let of_time =
            |name: &str| name.contains("_IAT_") || matches!(name, "FLOW_START_MILLISECONDS" | "FLOW_END_MILLISECONDS");
        assert_eq!(v2, v3.into_iter().filter(|column| !of_time(column.name)).collect::<Vec<_>>());
    }
}
