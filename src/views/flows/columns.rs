//! The columns of flows: one table, from which every way of writing them and the schema follow.

use super::cell::Cell;
pub use super::choice::Columns;
pub(crate) use super::choice::Piece;
pub use super::group::Group;
use super::record::{FlowRecord, SideRecord};
use super::said;
use super::statistics::STATISTICS;
use super::steps::Step;
use crate::flow::Side;
use crate::flow::sequence::Class;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Boolean,
    /// A count or a code.
    Integer,
    /// A number.
    Float,
    /// Text.
    Text,
    /// A time: seconds with nine decimals, or integer nanoseconds with `--times ns`.
    Time,
    /// A length of time, written as times are.
    Duration,
    /// An IP address.
    Address,
    /// Integers, as a JSON array.
    Integers,
    /// Numbers, as a JSON array.
    Floats,
    /// Texts, as a JSON array.
    Texts,
    /// Times, as a JSON array.
    Times,
    /// Lists of texts, as a JSON array of arrays.
    TextLists,
}

impl Kind {
    /// Its name in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Float => "float",
            Kind::Text => "text",
            Kind::Time => "time",
            Kind::Duration => "duration",
            Kind::Address => "address",
            Kind::Integers => "list of integers",
            Kind::Floats => "list of floats",
            Kind::Texts => "list of texts",
            Kind::Times => "list of times",
            Kind::TextLists => "list of lists of texts",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells are.
    pub kind: Kind,
    /// Their unit; empty if they have none.
    pub unit: &'static str,
    /// What they say, or the formula.
    pub about: &'static str,
    /// The columns that it goes with.
    pub group: Group,
    /// It is written unless other columns are asked for.
    pub default: bool,
    /// A flow's cell.
    pub cell: Source,
}

/// What the cells of a column are taken from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// The record.
    Record(fn(&FlowRecord) -> Cell<'_>),
    /// What payload says, where it says anything.
    #[cfg(feature = "payload")]
    Payload(fn(&crate::payload::Fields) -> crate::payload::Cell<'_>),
}

const fn column(
    group: Group,
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    about: &'static str,
    cell: fn(&FlowRecord) -> Cell<'_>,
) -> Column {
    let default = !matches!(group, Group::Sequences);
    Column { name, kind, unit, about, group, default, cell: Source::Record(cell) }
}

/// As [`column`], of the columns that have to be asked for.
const fn further(
    group: Group,
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    about: &'static str,
    cell: fn(&FlowRecord) -> Cell<'_>,
) -> Column {
    Column { default: false, ..column(group, name, kind, unit, about, cell) }
}

fn flag(record: &FlowRecord, side: usize, bit: usize) -> Cell<'_> {
    record.sides[side].segments.flags[bit].into()
}

fn class(record: &FlowRecord, side: usize, class: Class) -> Cell<'_> {
    record.sides[side].segments.classes[class as usize].into()
}

fn window<'r>(record: &'r FlowRecord, side: usize, cell: impl FnOnce(&SideRecord) -> Cell<'r>) -> Cell<'r> {
    let side = &record.sides[side];
    if side.segments.windows.count == 0 { Cell::Absent } else { cell(side) }
}

fn list(record: &FlowRecord, number: impl Fn(&Step) -> i64) -> Cell<'_> {
    Cell::Numbers(record.sequence.steps.iter().map(number).collect())
}

/// A length with its direction as sign.
fn signed(step: &Step, length: u32) -> i64 {
    if step.sample.side == Side::Up { length.into() } else { -i64::from(length) }
}

use Group::{Base, Flags, Link, Sequences, Tcp, Times};
use Kind::{Address, Duration, Float, Integer, Integers, Text, Time};

/// The columns that are no statistics, in the order in which they are written. The first nineteen never move.
pub const COLUMNS: &[Column] = &[
    column(Base, "flow_id", Text, "", "hash of 5-tuple, time of the first packet and number; 16 hex digits", |r| {
        Cell::Id(r.flow_id())
    }),
    column(Base, "sensor", Text, "", "where it was seen; `local` for files by path", |r| r.sensor.as_deref().into()),
    column(Base, "src_ip", Address, "", "the client", |r| r.src_ip.into()),
    column(Base, "dst_ip", Address, "", "the server", |r| r.dst_ip.into()),
    column(Base, "src_port", Integer, "", "the client's port; 0 where the protocol has none", |r| r.src_port.into()),
    column(Base, "dst_port", Integer, "", "the server's port; 0 where the protocol has none", |r| r.dst_port.into()),
    column(Base, "protocol", Integer, "", "IP protocol number", |r| r.protocol.into()),
    column(Base, "first_ts", Time, "s", "earliest packet", |r| r.first_ts.into()),
    column(Base, "last_ts", Time, "s", "latest packet", |r| r.last_ts.into()),
    column(Base, "duration_s", Duration, "s", "last_ts - first_ts", |r| Cell::Span(r.duration_ns())),
    column(Base, "pkts_up", Integer, "packets", "packets from the client", |r| r.sides[0].packets.into()),
    column(Base, "pkts_dn", Integer, "packets", "packets from the server", |r| r.sides[1].packets.into()),
    column(Base, "bytes_up", Integer, "bytes", "frame bytes from the client, on the wire (--bytes)", |r| {
        r.sides[0].bytes.into()
    }),
    column(Base, "bytes_dn", Integer, "bytes", "frame bytes from the server, on the wire (--bytes)", |r| {
        r.sides[1].bytes.into()
    }),
    column(Base, "payload_bytes_up", Integer, "bytes", "transport payload from the client, by the headers", |r| {
        r.sides[0].payload_bytes.into()
    }),
    column(Base, "payload_bytes_dn", Integer, "bytes", "transport payload from the server, by the headers", |r| {
        r.sides[1].payload_bytes.into()
    }),
    column(Base, "end_reason", Text, "", "why it ended: fin, rst, reuse, idle, active, eof, over_limit", |r| {
        r.end_reason.name().into()
    }),
    column(
        Base,
        "direction",
        Text,
        "",
        "the evidence that told the client: syn, synack, request, service_port, low_port, first_packet",
        |r| r.direction.name().into(),
    ),
    column(Base, "community_id", Text, "", "Community ID, version 1, seed 0", |r| r.community_id().into()),
    column(
        Link,
        "vlan",
        Integer,
        "",
        "VLAN number of the first packet: the innermost tag, in front of any tunnel",
        |r| r.vlan.into(),
    ),
    column(Link, "tunnel", Text, "", "innermost tunnel of the first packet, or none", |r| r.tunnel.name().into()),
    column(
        Link,
        "tunnel_id",
        Integer,
        "",
        "number of that tunnel: VNI (VXLAN, Geneve), TEID (GTP-U), key (GRE), session (ERSPAN), tunnel << 16 | session (L2TP)",
        |r| r.tunnel_id.into(),
    ),
    column(Link, "icmp_type", Integer, "", "type of the first ICMP or ICMPv6 message", |r| {
        r.icmp.map(|[kind, _]| kind).into()
    }),
    column(Link, "icmp_code", Integer, "", "code of the first ICMP or ICMPv6 message", |r| {
        r.icmp.map(|[_, code]| code).into()
    }),
    column(Link, "ttl_min_up", Integer, "", "least time to live or hop limit from the client", |r| {
        r.sides[0].ttl.map(|ttl| ttl[0]).into()
    }),
    column(Link, "ttl_max_up", Integer, "", "greatest time to live or hop limit from the client", |r| {
        r.sides[0].ttl.map(|ttl| ttl[1]).into()
    }),
    column(Link, "ttl_min_dn", Integer, "", "least time to live or hop limit from the server", |r| {
        r.sides[1].ttl.map(|ttl| ttl[0]).into()
    }),
    column(Link, "ttl_max_dn", Integer, "", "greatest time to live or hop limit from the server", |r| {
        r.sides[1].ttl.map(|ttl| ttl[1]).into()
    }),
    column(Flags, "fin_up", Integer, "packets", "FIN from the client", |r| flag(r, 0, 0)),
    column(Flags, "syn_up", Integer, "packets", "SYN from the client", |r| flag(r, 0, 1)),
    column(Flags, "rst_up", Integer, "packets", "RST from the client", |r| flag(r, 0, 2)),
    column(Flags, "psh_up", Integer, "packets", "PSH from the client", |r| flag(r, 0, 3)),
    column(Flags, "ack_up", Integer, "packets", "ACK from the client", |r| flag(r, 0, 4)),
    column(Flags, "urg_up", Integer, "packets", "URG from the client", |r| flag(r, 0, 5)),
    column(Flags, "ece_up", Integer, "packets", "ECE from the client", |r| flag(r, 0, 6)),
    column(Flags, "cwr_up", Integer, "packets", "CWR from the client", |r| flag(r, 0, 7)),
    column(Flags, "fin_dn", Integer, "packets", "FIN from the server", |r| flag(r, 1, 0)),
    column(Flags, "syn_dn", Integer, "packets", "SYN from the server", |r| flag(r, 1, 1)),
    column(Flags, "rst_dn", Integer, "packets", "RST from the server", |r| flag(r, 1, 2)),
    column(Flags, "psh_dn", Integer, "packets", "PSH from the server", |r| flag(r, 1, 3)),
    column(Flags, "ack_dn", Integer, "packets", "ACK from the server", |r| flag(r, 1, 4)),
    column(Flags, "urg_dn", Integer, "packets", "URG from the server", |r| flag(r, 1, 5)),
    column(Flags, "ece_dn", Integer, "packets", "ECE from the server", |r| flag(r, 1, 6)),
    column(Flags, "cwr_dn", Integer, "packets", "CWR from the server", |r| flag(r, 1, 7)),
    column(Tcp, "handshake_rtt_s", Duration, "s", "from the last SYN before SYN+ACK to the ACK of that", |r| {
        r.handshake_ns.map_or(Cell::Absent, Cell::Span)
    }),
    column(Tcp, "init_window_up", Integer, "", "window field of the client's first segment, not scaled", |r| {
        window(r, 0, |side| side.segments.windows.initial.into())
    }),
    column(Tcp, "init_window_dn", Integer, "", "window field of the server's first segment, not scaled", |r| {
        window(r, 1, |side| side.segments.windows.initial.into())
    }),
    column(
        Tcp,
        "retransmitted_up",
        Integer,
        "packets",
        "segments from the client whose bytes had all been seen",
        |r| class(r, 0, Class::Retransmission),
    ),
    column(
        Tcp,
        "retransmitted_dn",
        Integer,
        "packets",
        "segments from the server whose bytes had all been seen",
        |r| class(r, 1, Class::Retransmission),
    ),
    column(Tcp, "out_of_order_up", Integer, "packets", "segments from the client that filled a hole", |r| {
        class(r, 0, Class::OutOfOrder)
    }),
    column(Tcp, "out_of_order_dn", Integer, "packets", "segments from the server that filled a hole", |r| {
        class(r, 1, Class::OutOfOrder)
    }),
    column(Tcp, "dup_ack_up", Integer, "packets", "repeated acknowledgements from the client (RFC 5681)", |r| {
        r.sides[0].segments.duplicate_acks.into()
    }),
    column(Tcp, "dup_ack_dn", Integer, "packets", "repeated acknowledgements from the server (RFC 5681)", |r| {
        r.sides[1].segments.duplicate_acks.into()
    }),
    column(Tcp, "zero_window_up", Integer, "packets", "segments from the client that closed its window", |r| {
        r.sides[0].segments.zero_windows.into()
    }),
    column(Tcp, "zero_window_dn", Integer, "packets", "segments from the server that closed its window", |r| {
        r.sides[1].segments.zero_windows.into()
    }),
    further(Tcp, "overlapping_up", Integer, "packets", "segments from the client that were partly new", |r| {
        class(r, 0, Class::PartialOverlap)
    }),
    further(Tcp, "overlapping_dn", Integer, "packets", "segments from the server that were partly new", |r| {
        class(r, 1, Class::PartialOverlap)
    }),
    further(Tcp, "keep_alive_up", Integer, "packets", "keep-alives from the client (RFC 1122)", |r| {
        class(r, 0, Class::KeepAlive)
    }),
    further(Tcp, "keep_alive_dn", Integer, "packets", "keep-alives from the server (RFC 1122)", |r| {
        class(r, 1, Class::KeepAlive)
    }),
    further(Tcp, "window_probe_up", Integer, "packets", "zero-window probes from the client (RFC 9293)", |r| {
        class(r, 0, Class::ZeroWindowProbe)
    }),
    further(Tcp, "window_probe_dn", Integer, "packets", "zero-window probes from the server (RFC 9293)", |r| {
        class(r, 1, Class::ZeroWindowProbe)
    }),
    further(Tcp, "min_window_up", Integer, "", "least window field of the client", |r| {
        window(r, 0, |side| side.segments.windows.min.into())
    }),
    further(Tcp, "min_window_dn", Integer, "", "least window field of the server", |r| {
        window(r, 1, |side| side.segments.windows.min.into())
    }),
    further(Tcp, "max_window_up", Integer, "", "greatest window field of the client", |r| {
        window(r, 0, |side| side.segments.windows.max.into())
    }),
    further(Tcp, "max_window_dn", Integer, "", "greatest window field of the server", |r| {
        window(r, 1, |side| side.segments.windows.max.into())
    }),
    further(Tcp, "mean_window_up", Float, "", "mean window field of the client", |r| {
        window(r, 0, |side| side.segments.windows.mean().into())
    }),
    further(Tcp, "mean_window_dn", Float, "", "mean window field of the server", |r| {
        window(r, 1, |side| side.segments.windows.mean().into())
    }),
    further(
        Tcp,
        "forgotten_holes",
        Integer,
        "",
        "holes of the sequence beyond the bound; 0: all classes are right",
        |r| r.forgotten_holes.into(),
    ),
    column(Times, "first_payload_ts", Time, "s", "earliest packet with payload", |r| r.first_payload.into()),
    column(
        Times,
        "pkts_behind",
        Integer,
        "packets",
        "packets that came later than --reorder allows to put right",
        |r| r.behind.into(),
    ),
    further(
        Group::Iat,
        "medians_exact",
        Kind::Boolean,
        "",
        "no median of the flow is of a histogram (within 1/128)",
        |r| r.figures.as_ref().map(|_| r.medians_exact).into(),
    ),
    further(Base, "label", Text, "", "what the flow is known to be, by the rules of --label", |r| {
        r.label.as_deref().into()
    }),
    column(Sequences, "seq_time_ns", Integers, "ns", "times of the first packets, since 1970", |r| {
        list(r, |step| step.time.0)
    }),
    column(
        Sequences,
        "seq_iat_ns",
        Integers,
        "ns",
        "time since the packet before; 0 for the first, never negative",
        |r| {
            let mut newest = r.sequence.steps.first().map_or(0, |step| step.time.0);
            let gap = |step: &Step| {
                let gap = step.time.0.saturating_sub(newest).max(0);
                newest = newest.max(step.time.0);
                gap
            };
            Cell::Numbers(r.sequence.steps.iter().map(gap).collect())
        },
    ),
    column(Sequences, "seq_direction", Integers, "", "1 from the client, -1 from the server", |r| {
        list(r, |step| signed(step, 1))
    }),
    column(Sequences, "seq_frame_len", Integers, "bytes", "frame lengths; negative from the server", |r| {
        list(r, |step| signed(step, step.sample.frame))
    }),
    column(Sequences, "seq_ip_len", Integers, "bytes", "IP lengths; negative from the server", |r| {
        list(r, |step| signed(step, step.sample.ip))
    }),
    column(
        Sequences,
        "seq_l4_len",
        Integers,
        "bytes",
        "transport lengths, headers included; negative from the server",
        |r| list(r, |step| signed(step, step.sample.l4)),
    ),
    column(Sequences, "seq_payload_len", Integers, "bytes", "payload lengths; negative from the server", |r| {
        list(r, |step| signed(step, step.sample.payload))
    }),
    column(Sequences, "seq_tcp_flags", Integers, "", "TCP flags, FIN 1 to CWR 128; -1 where there are none", |r| {
        list(r, |step| step.tcp_flags.map_or(-1, i64::from))
    }),
    column(Sequences, "seq_window", Integers, "", "TCP window fields; -1 where there are none", |r| {
        list(r, |step| step.sample.window.map_or(-1, i64::from))
    }),
    column(Sequences, "seq_left_out", Integer, "packets", "packets of the flow beyond --sequences", |r| {
        r.sequence.left_out.into()
    }),
];

/// The capture of a flow, for tables of captures that are apart.
pub(super) static SOURCE_FILE: Column =
    further(Base, "source_file", Text, "", "the capture, as it lies in the folder that was named", |r| {
        r.source_file.as_deref().into()
    });

/// Every column in the order of the schema.
pub fn all() -> impl Iterator<Item = &'static Column> {
    COLUMNS
        .iter()
        .filter(|column| column.group < Group::FrameLen)
        .chain(STATISTICS.iter().flatten())
        .chain(COLUMNS.iter().filter(|column| column.group >= Group::FrameLen))
        .chain(said::columns())
}
