//! What a bucket says.

use std::ops::AddAssign;

use crate::time::Timestamp;
use crate::views::flows::FeatureColumn;
use crate::views::flows::columns::Kind;

/// Where a packet goes, seen from the hosts that were called local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To a local host.
    In,
    /// From one.
    Out,
    /// From one to another.
    Local,
    /// Neither end is local, or nobody said who is.
    Unknown,
}

/// Numbers by [`Way`].
pub type ByWay = [u64; 4];

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: ByWay,
    /// Their bytes, of frames.
    pub bytes: ByWay,
    /// Distinct destination addresses.
    pub dst_ips: ByWay,
    /// Distinct destination ports of TCP, UDP and SCTP; the same number of two protocols is two ports.
    pub dst_ports: ByWay,
    /// TCP packets; a later fragment counts by its IP header.
    pub tcp: u64,
    /// UDP packets.
    pub udp: u64,
    /// ICMP and ICMPv6 packets.
    pub icmp: u64,
    /// Packets of other protocols.
    pub other: u64,
    /// Packets of IPv6.
    pub ipv6: u64,
    /// Packets behind a VLAN tag.
    pub vlan: u64,
    /// Fragments that are not the first of their datagram.
    pub fragments: u64,
    /// SYN without ACK.
    pub syn: u64,
    /// SYN with ACK.
    pub syn_ack: u64,
    /// FIN.
    pub fin: u64,
    /// RST.
    pub rst: u64,
    /// Flows that begin, of TCP, UDP and others.
    pub new_flows: [u64; 3],
    /// DNS messages, over UDP and TCP, whose QR bit is clear.
    pub dns_queries: u64,
    /// Those whose QR bit is set.
    pub dns_responses: u64,
    /// Responses that say that there is no such name.
    pub dns_nxdomain: u64,
    /// Packets that came when their own bucket had left; they are in no other number.
    pub late: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        let by_way = [
            (&mut self.packets, more.packets),
            (&mut self.bytes, more.bytes),
            (&mut self.dst_ips, more.dst_ips),
            (&mut self.dst_ports, more.dst_ports),
        ];
        let more_by_way = by_way.into_iter().flat_map(|(counts, more)| counts.iter_mut().zip(more));
        let flows = self.new_flows.iter_mut().zip(more.new_flows);
        let others = [
            (&mut self.tcp, more.tcp),
            (&mut self.udp, more.udp),
            (&mut self.icmp, more.icmp),
            (&mut self.other, more.other),
            (&mut self.ipv6, more.ipv6),
            (&mut self.vlan, more.vlan),
            (&mut self.fragments, more.fragments),
            (&mut self.syn, more.syn),
            (&mut self.syn_ack, more.syn_ack),
            (&mut self.fin, more.fin),
            (&mut self.rst, more.rst),
            (&mut self.dns_queries, more.dns_queries),
            (&mut self.dns_responses, more.dns_responses),
            (&mut self.dns_nxdomain, more.dns_nxdomain),
            (&mut self.late, more.late),
        ];
        more_by_way.chain(flows).chain(others).for_each(|(count, more)| *count += more);
    }
}

/// A bucket, or several in a row without packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it begins.
    pub start: Timestamp,
    /// How long a bucket lasts, nanoseconds.
    pub width: i64,
    /// Buckets that the row stands for: 1, or those of a gap that was too long for a row each.
    pub buckets: u64,
    /// What is in it.
    pub counts: Counts,
}

impl Row {
    /// When it is over, nanoseconds since 1970, which may be beyond what a time can be.
    pub(super) fn end(&self) -> i128 {
        i128::from(self.start.0) + i128::from(self.width) * i128::from(self.buckets)
    }

    /// A row for each of its buckets, if these are no more than `limit`; else itself.
    pub(super) fn each(self, limit: u64) -> impl Iterator<Item = Row> {
        let (rows, buckets) = if self.buckets > limit { (1, self.buckets) } else { (self.buckets, 1) };
        (0..rows).map(move |nth| {
            let start = i128::from(self.start.0) + i128::from(self.width) * i128::from(nth);
            let start = Timestamp(start.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
            Row { start, buckets, ..self }
        })
    }
}

/// A column of counts.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it says.
    pub about: &'static str,
    /// Its number.
    pub get: fn(&Counts) -> u64,
}

const fn column(name: &'static str, unit: &'static str, about: &'static str, get: fn(&Counts) -> u64) -> Column {
    Column { name, unit, about, get }
}

/// The columns in front of the counts.
pub const HEAD: &[FeatureColumn] = &[
    FeatureColumn { name: "start", kind: Kind::Time, unit: "s", about: "when the bucket begins" },
    FeatureColumn { name: "width", kind: Kind::Duration, unit: "s", about: "how long it lasts" },
    FeatureColumn {
        name: "buckets",
        kind: Kind::Integer,
        unit: "buckets",
        about: "1, or how many empty ones the row stands for",
    },
    FeatureColumn {
        name: "t_mono_ns",
        kind: Kind::Integer,
        unit: "ns",
        about: "with --mono-origin: the start, less that",
    },
];

/// The columns behind `start`, `width` and `buckets`.
#[rustfmt::skip]
pub const COLUMNS: &[Column] = &[
    column("pkts_in", "packets", "packets to local hosts; all counts are of IP packets", |c| c.packets[0]),
    column("pkts_out", "packets", "packets from local hosts", |c| c.packets[1]),
    column("pkts_local", "packets", "packets from one local host to another", |c| c.packets[2]),
    column("pkts_unknown", "packets", "packets between hosts that are not local; all, if --local says nothing", |c| c.packets[3]),
    column("bytes_in", "bytes", "bytes of frames, as --bytes says", |c| c.bytes[0]),
    column("bytes_out", "bytes", "bytes of packets out", |c| c.bytes[1]),
    column("bytes_local", "bytes", "bytes of packets from one local host to another", |c| c.bytes[2]),
    column("bytes_unknown", "bytes", "bytes of packets between hosts that are not local", |c| c.bytes[3]),
    column("tcp", "packets", "TCP packets; a later fragment counts by its IP header", |c| c.tcp),
    column("udp", "packets", "UDP packets", |c| c.udp),
    column("icmp", "packets", "ICMP and ICMPv6 packets", |c| c.icmp),
    column("other", "packets", "packets of other protocols", |c| c.other),
    column("ipv6", "packets", "packets of IPv6", |c| c.ipv6),
    column("vlan", "packets", "packets behind a VLAN tag", |c| c.vlan),
    column("fragments", "packets", "fragments that are not the first of their datagram; they have no ports", |c| c.fragments),
    column("syn", "packets", "TCP with SYN and not ACK", |c| c.syn),
    column("syn_ack", "packets", "TCP with SYN and ACK", |c| c.syn_ack),
    column("fin", "packets", "TCP with FIN", |c| c.fin),
    column("rst", "packets", "TCP with RST", |c| c.rst),
    column("new_tcp_flows", "flows", "5-tuples not seen for more than 300 s, or opened anew behind FIN or RST; a SYN that comes again is not new; each in the bucket of its earliest packet", |c| c.new_flows[0]),
    column("new_udp_flows", "flows", "5-tuples not seen for more than 120 s", |c| c.new_flows[1]),
    column("new_other_flows", "flows", "pairs of hosts and protocol not seen for more than 60 s", |c| c.new_flows[2]),
    column("dns_queries", "messages", "DNS messages to or from port 53, 5353 or 5355 over UDP, 53 over TCP (each in a segment that begins with one), whose QR bit is clear; a message has a header with opcode 0, 1, 2, 4, 5 or 6, no more questions and records than it has room for, and a query a question (none with opcode 6)", |c| c.dns_queries),
    column("dns_responses", "messages", "such messages whose QR bit is set, with questions or without", |c| c.dns_responses),
    column("dns_nxdomain", "messages", "responses with code 3: there is no such name", |c| c.dns_nxdomain),
    column("dst_ips_in", "addresses", "distinct destination addresses of packets in", |c| c.dst_ips[0]),
    column("dst_ips_out", "addresses", "distinct destination addresses of packets out", |c| c.dst_ips[1]),
    column("dst_ips_local", "addresses", "distinct destination addresses of packets from one local host to another", |c| c.dst_ips[2]),
    column("dst_ips_unknown", "addresses", "distinct destination addresses of packets between hosts that are not local", |c| c.dst_ips[3]),
    column("dst_ports_in", "ports", "distinct destination ports of packets in, by protocol", |c| c.dst_ports[0]),
    column("dst_ports_out", "ports", "distinct destination ports of packets out, by protocol", |c| c.dst_ports[1]),
    column("dst_ports_local", "ports", "distinct destination ports of packets from one local host to another, by protocol", |c| c.dst_ports[2]),
    column("dst_ports_unknown", "ports", "distinct destination ports of packets between hosts that are not local, by protocol", |c| c.dst_ports[3]),
    column("late", "packets", "packets that came when their own bucket had left, in the newest one then; in no other number", |c| c.late),
];
