//! A row of the bridge, column by column.

use crate::views::flows::FeatureColumn;
use crate::views::flows::columns::Kind;

/// What a bucket comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// When the bucket begins, nanoseconds since 1970.
    pub start: i64,
    /// What the other clock shows then, nanoseconds.
    pub mono: i128,
    /// Milliseconds of the bucket.
    pub bucket_ms: u32,
    /// Frames in, and out.
    pub packets: [u64; 2],
    /// Their captured bytes.
    pub bytes: [u64; 2],
    /// TCP segments with SYN.
    pub syn: u64,
    /// TCP segments with FIN.
    pub fin: u64,
    /// TCP segments with RST.
    pub rst: u64,
    /// Frames of UDP.
    pub udp: u64,
    /// Frames of TCP.
    pub tcp: u64,
    /// Datagrams to port 53.
    pub dns: u64,
    /// Different destinations.
    pub ips: u64,
    /// Different destination ports.
    pub ports: u64,
    /// Segments with SYN and without ACK.
    pub new_flows: u64,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Number(i128),
    /// Text without a character that JSON or CSV would have to escape.
    Word(&'static str),
    /// Yes or no.
    Flag(bool),
}

impl From<u64> for Value {
    fn from(count: u64) -> Value {
        Value::Number(count.into())
    }
}

/// A column of the bridge's rows.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, unit and meaning.
    pub about: FeatureColumn,
    /// Its value in a row.
    pub get: fn(&Row) -> Value,
}

const fn column(name: &'static str, unit: &'static str, about: &'static str, get: fn(&Row) -> Value) -> Column {
    Column { about: FeatureColumn { name, kind: Kind::Integer, unit, about }, get }
}

const fn of_kind(kind: Kind, column: Column) -> Column {
    Column { about: FeatureColumn { kind, ..column.about }, ..column }
}

/// The columns in their order.
#[rustfmt::skip]
pub const COLUMNS: &[Column] = &[
    column("t_mono_ns", "ns", "t_wall_ns, less --mono-origin", |row| Value::Number(row.mono)),
    column("t_wall_ns", "ns", "when the bucket begins, since 1970", |row| Value::Number(row.start.into())),
    of_kind(Kind::Text, column("source", "", "always `bridge_pcap`", |_| Value::Word("bridge_pcap"))),
    of_kind(Kind::Boolean, column("available_in_deployment", "", "always true: a gateway sees this", |_| Value::Flag(true))),
    column("bucket_ms", "ms", "how long the bucket lasts", |row| u64::from(row.bucket_ms).into()),
    column("pkts_in", "packets", "frames that the bridge's address did not send, or that are not plain IPv4", |row| row.packets[0].into()),
    column("pkts_out", "packets", "frames that the bridge's address sent", |row| row.packets[1].into()),
    column("bytes_in", "bytes", "captured bytes of pkts_in", |row| row.bytes[0].into()),
    column("bytes_out", "bytes", "captured bytes of pkts_out", |row| row.bytes[1].into()),
    column("syn_count", "packets", "TCP segments with SYN", |row| row.syn.into()),
    column("fin_count", "packets", "TCP segments with FIN", |row| row.fin.into()),
    column("rst_count", "packets", "TCP segments with RST", |row| row.rst.into()),
    column("udp_count", "packets", "frames of UDP", |row| row.udp.into()),
    column("tcp_count", "packets", "frames of TCP", |row| row.tcp.into()),
    column("dns_query_count", "packets", "UDP datagrams to port 53", |row| row.dns.into()),
    column("unique_dst_ips", "addresses", "different destinations", |row| row.ips.into()),
    column("unique_dst_ports", "ports", "different destination ports of TCP and UDP together", |row| row.ports.into()),
    column("tcp_new_flows", "packets", "TCP segments with SYN and without ACK, those sent again as well", |row| row.new_flows.into()),
];
