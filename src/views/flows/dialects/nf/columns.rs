//! The columns: those of version 3, of which version 2 is a part.

use super::packets::Kept;
use super::words;
use crate::decode::packet::protocol;
use crate::time::Timestamp;
use crate::views::flows::columns::{Column, Group, Kind, Source};
use crate::views::flows::{Cell, FlowRecord};

type Get = fn(&FlowRecord) -> Cell<'_>;

const fn column(name: &'static str, kind: Kind, unit: &'static str, about: &'static str, cell: Get) -> Column {
    Column { name, kind, unit, about, group: Group::Base, default: true, cell: Source::Record(cell) }
}

/// A number.
const fn number(name: &'static str, unit: &'static str, about: &'static str, cell: Get) -> Column {
    column(name, Kind::Integer, unit, about, cell)
}

/// As [`number`], of what payload says.
const fn said(group: Group, name: &'static str, unit: &'static str, about: &'static str, cell: Get) -> Column {
    Column { group, ..number(name, unit, about, cell) }
}

/// What a column of payload says, and where it says nothing.
macro_rules! about {
    ($what:literal) => {
        if cfg!(feature = "payload") { $what } else { concat!($what, "; this build reads no payload: 0") }
    };
}

/// Milliseconds since 1970.
fn millis(time: Timestamp) -> i64 {
    time.ns().div_euclid(1_000_000)
}

fn duration(r: &FlowRecord) -> u64 {
    millis(r.last_ts).abs_diff(millis(r.first_ts))
}

/// The least or greatest time to live of both ends; 0 is that of a flow whose IP headers were not captured so far.
fn ttl(r: &FlowRecord, of: fn([u8; 2]) -> u8, pick: fn(u8, u8) -> u8) -> Cell<'_> {
    r.sides.iter().filter_map(|side| side.ttl).map(of).reduce(pick).unwrap_or(0).into()
}

fn icmp(r: &FlowRecord) -> u16 {
    r.icmp.map_or(0, u16::from_be_bytes)
}

fn icmp_v4(r: &FlowRecord) -> u8 {
    r.icmp.filter(|_| r.protocol == protocol::ICMP).map_or(0, |[kind, _]| kind)
}

/// 0 is benign, 1 an attack.
fn label(r: &FlowRecord) -> Cell<'_> {
    r.label.as_deref().map(|label| u8::from(!label.eq_ignore_ascii_case("benign"))).into()
}

/// Columns of version 3 that version 2 has not: in front, and behind those that it has.
const TIMES: usize = 2;
const GAPS: usize = 8;

/// Those of version 3.
pub(super) static V3: [Column; 54] = ALL;

/// Those of version 2.
pub(super) static V2: [Column; 54 - TIMES - GAPS] = {
    let mut columns = [ALL[0]; 54 - TIMES - GAPS];
    let labels = columns.len() - 2;
    let mut at = 0;
    while at < columns.len() {
        columns[at] = ALL[at + TIMES + if at < labels { 0 } else { GAPS }];
        at += 1;
    }
    columns
};

#[rustfmt::skip]
const ALL: [Column; 54] = [
    number("FLOW_START_MILLISECONDS", "ms", "time of the earliest packet, since 1970", |r| Cell::Integer(millis(r.first_ts))),
    number("FLOW_END_MILLISECONDS", "ms", "time of the latest packet, since 1970", |r| Cell::Integer(millis(r.last_ts))),
    column("IPV4_SRC_ADDR", Kind::Address, "", "sender of the first packet; also an IPv6 address", |r| r.src_ip.into()),
    number("L4_SRC_PORT", "", "its port; 0 without", |r| r.src_port.into()),
    column("IPV4_DST_ADDR", Kind::Address, "", "receiver of the first packet; also an IPv6 address", |r| r.dst_ip.into()),
    number("L4_DST_PORT", "", "its port; 0 without", |r| r.dst_port.into()),
    number("PROTOCOL", "", "IP protocol number", |r| r.protocol.into()),
    number("IN_BYTES", "bytes", "sum of IP lengths from the source", |r| Kept::InBytes.of(r)),
    number("IN_PKTS", "packets", "packets from the source", |r| r.sides[0].packets.into()),
    number("OUT_BYTES", "bytes", "sum of IP lengths from the destination", |r| Kept::OutBytes.of(r)),
    number("OUT_PKTS", "packets", "packets from the destination", |r| r.sides[1].packets.into()),
    number("TCP_FLAGS", "", "flags of all segments together: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128", |r| Kept::TcpFlags.of(r)),
    number("CLIENT_TCP_FLAGS", "", "those from the source", |r| Kept::ClientFlags.of(r)),
    number("SERVER_TCP_FLAGS", "", "those from the destination", |r| Kept::ServerFlags.of(r)),
    number("FLOW_DURATION_MILLISECONDS", "ms", "from the earliest to the latest packet", |r| duration(r).into()),
    number("DURATION_IN", "ms", "from the earliest to the latest packet of the source", |r| Kept::DurationIn.of(r)),
    number("DURATION_OUT", "ms", "from the earliest to the latest packet of the destination", |r| Kept::DurationOut.of(r)),
    number("MIN_TTL", "", "least time to live or hop limit", |r| ttl(r, |[least, _]| least, u8::min)),
    number("MAX_TTL", "", "greatest time to live or hop limit", |r| ttl(r, |[_, greatest]| greatest, u8::max)),
    number("LONGEST_FLOW_PKT", "bytes", "greatest IP length", |r| Kept::Longest.of(r)),
    number("SHORTEST_FLOW_PKT", "bytes", "least IP length", |r| Kept::Shortest.of(r)),
    number("MIN_IP_PKT_LEN", "bytes", "least IP length", |r| Kept::Shortest.of(r)),
    number("MAX_IP_PKT_LEN", "bytes", "greatest IP length", |r| Kept::Longest.of(r)),
    column("SRC_TO_DST_SECOND_BYTES", Kind::Float, "bytes/s", "IN_BYTES / (whole seconds of FLOW_DURATION_MILLISECONDS + 1)", |r| Kept::InSecondBytes.of(r)),
    column("DST_TO_SRC_SECOND_BYTES", Kind::Float, "bytes/s", "OUT_BYTES / (whole seconds of FLOW_DURATION_MILLISECONDS + 1)", |r| Kept::OutSecondBytes.of(r)),
    number("RETRANSMITTED_IN_BYTES", "bytes", "IP lengths of segments from the source whose sequence numbers had all been seen", |r| Kept::InAgainBytes.of(r)),
    number("RETRANSMITTED_IN_PKTS", "packets", "those segments", |r| Kept::InAgainPackets.of(r)),
    number("RETRANSMITTED_OUT_BYTES", "bytes", "IP lengths of segments from the destination whose sequence numbers had all been seen", |r| Kept::OutAgainBytes.of(r)),
    number("RETRANSMITTED_OUT_PKTS", "packets", "those segments", |r| Kept::OutAgainPackets.of(r)),
    number("SRC_TO_DST_AVG_THROUGHPUT", "bit/s", "8000 * IN_BYTES / (FLOW_DURATION_MILLISECONDS + 1), rounded down", |r| Kept::InThroughput.of(r)),
    number("DST_TO_SRC_AVG_THROUGHPUT", "bit/s", "8000 * OUT_BYTES / (FLOW_DURATION_MILLISECONDS + 1), rounded down", |r| Kept::OutThroughput.of(r)),
    number("NUM_PKTS_UP_TO_128_BYTES", "packets", "packets whose IP length is at most 128", |r| Kept::UpTo128.of(r)),
    number("NUM_PKTS_128_TO_256_BYTES", "packets", "packets whose IP length is above 128, at most 256", |r| Kept::UpTo256.of(r)),
    number("NUM_PKTS_256_TO_512_BYTES", "packets", "packets whose IP length is above 256, at most 512", |r| Kept::UpTo512.of(r)),
    number("NUM_PKTS_512_TO_1024_BYTES", "packets", "packets whose IP length is above 512, at most 1024", |r| Kept::UpTo1024.of(r)),
    number("NUM_PKTS_1024_TO_1514_BYTES", "packets", "packets whose IP length is above 1024, at most 1514", |r| Kept::UpTo1514.of(r)),
    number("TCP_WIN_MAX_IN", "", "greatest window field from the source, not scaled", |r| Kept::InWindow.of(r)),
    number("TCP_WIN_MAX_OUT", "", "greatest window field from the destination, not scaled", |r| Kept::OutWindow.of(r)),
    number("ICMP_TYPE", "", "type * 256 + code of the ICMP or ICMPv6 message that begins the flow", |r| icmp(r).into()),
    number("ICMP_IPV4_TYPE", "", "type of the ICMP message that begins the flow", |r| icmp_v4(r).into()),
    said(Group::Dns, "DNS_QUERY_ID", "", about!("identifier of the first DNS query"), |r| words::query(r).0.into()),
    said(Group::Dns, "DNS_QUERY_TYPE", "", about!("type of the first DNS query: 1 is A"), |r| words::query(r).1.into()),
    said(Group::Dns, "DNS_TTL_ANSWER", "s", about!("time to live of the first A record of a DNS answer"), |r| words::answer_ttl(r).into()),
    said(Group::Ftp, "FTP_COMMAND_RET_CODE", "", about!("code of the last reply to an FTP command"), |r| words::ftp_code(r).into()),
    number("SRC_TO_DST_IAT_MIN", "ms", "least gap between packets of the source, rounded down as the seven below", |r| Kept::InGapMin.of(r)),
    number("SRC_TO_DST_IAT_MAX", "ms", "greatest gap between packets of the source", |r| Kept::InGapMax.of(r)),
    number("SRC_TO_DST_IAT_AVG", "ms", "mean gap between packets of the source", |r| Kept::InGapMean.of(r)),
    number("SRC_TO_DST_IAT_STDDEV", "ms", "standard deviation of gaps between packets of the source, of a population", |r| Kept::InGapStd.of(r)),
    number("DST_TO_SRC_IAT_MIN", "ms", "least gap between packets of the destination", |r| Kept::OutGapMin.of(r)),
    number("DST_TO_SRC_IAT_MAX", "ms", "greatest gap between packets of the destination", |r| Kept::OutGapMax.of(r)),
    number("DST_TO_SRC_IAT_AVG", "ms", "mean gap between packets of the destination", |r| Kept::OutGapMean.of(r)),
    number("DST_TO_SRC_IAT_STDDEV", "ms", "standard deviation of gaps between packets of the destination, of a population", |r| Kept::OutGapStd.of(r)),
    number("Label", "", "0 if Attack is Benign, else 1; empty without a rule of --label", label),
    column("Attack", Kind::Text, "", "the label, by the rules of --label", |r| r.label.as_deref().into()),
];
