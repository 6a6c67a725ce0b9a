//! The columns of flows: one table, from which every way of writing them and the schema follow.

use std::sync::Arc;

use super::cell::Cell;
use super::feature::{Feature, FeatureColumn};
use super::record::{FlowRecord, SideRecord};
use super::said;
use super::statistics::STATISTICS;
use super::steps::Step;
use crate::error::{Error, Result};
use crate::flow::Side;
use crate::flow::moments::Figures;
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

/// Columns that go together, and are computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in Group::about")]
pub enum Group {
    Base,
    Link,
    Flags,
    Tcp,
    Times,
    FrameLen,
    IpLen,
    L4Len,
    PayloadLen,
    Iat,
    Window,
    Sequences,
    App,
    Tls,
    Http,
    Dns,
    Quic,
    Ssh,
    Ftp,
    Smtp,
    Imap,
    Pop,
    Icmp,
    Sctp,
}

impl Group {
    /// Every group, in the order of columns. Those from `App` on have columns only in builds that read payload.
    pub const ALL: [Group; 24] = [
        Group::Base,
        Group::Link,
        Group::Flags,
        Group::Tcp,
        Group::Times,
        Group::FrameLen,
        Group::IpLen,
        Group::L4Len,
        Group::PayloadLen,
        Group::Iat,
        Group::Window,
        Group::Sequences,
        Group::App,
        Group::Tls,
        Group::Http,
        Group::Dns,
        Group::Quic,
        Group::Ssh,
        Group::Ftp,
        Group::Smtp,
        Group::Imap,
        Group::Pop,
        Group::Icmp,
        Group::Sctp,
    ];

    /// Its name behind the `@`, and what it holds.
    #[must_use]
    pub const fn about(self) -> (&'static str, &'static str) {
        match self {
            Group::Base => ("base", "who talked to whom, when and how much"),
            Group::Link => ("link", "VLAN, tunnel, ICMP, time to live"),
            Group::Flags => ("flags", "packets with each TCP flag"),
            Group::Tcp => ("tcp", "TCP windows, handshake and sequence analysis"),
            Group::Times => ("times", "further times"),
            Group::FrameLen => ("frame_len", "statistics of frame lengths"),
            Group::IpLen => ("ip_len", "statistics of IP lengths"),
            Group::L4Len => ("l4_len", "statistics of transport lengths"),
            Group::PayloadLen => ("payload_len", "statistics of payload lengths"),
            Group::Iat => ("iat", "statistics of inter-arrival times"),
            Group::Window => ("window", "statistics of TCP windows"),
            Group::Sequences => ("sequences", "packets one by one, with --sequences"),
            Group::App => ("app", "which protocols payload is of; `@app` also stands for all groups below"),
            Group::Tls => ("tls", "TLS and DTLS, also inside QUIC: hellos, fingerprints, certificates"),
            Group::Http => ("http", "HTTP/1 requests and responses"),
            Group::Dns => ("dns", "DNS, mDNS and LLMNR names and answers"),
            Group::Quic => ("quic", "QUIC's version"),
            Group::Ssh => ("ssh", "SSH identifications"),
            Group::Ftp => ("ftp", "FTP greeting and commands"),
            Group::Smtp => ("smtp", "SMTP greeting and commands"),
            Group::Imap => ("imap", "IMAP greeting and commands"),
            Group::Pop => ("pop", "POP3 greeting and commands"),
            Group::Icmp => ("icmp", "types and codes of all ICMP and ICMPv6 messages"),
            Group::Sctp => ("sctp", "types of SCTP chunks"),
        }
    }

    /// Whether its columns are of what payload says.
    #[must_use]
    pub fn is_payload(self) -> bool {
        self >= Group::App
    }

    fn is_statistics(self) -> bool {
        self >= Group::FrameLen && self <= Group::Window
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
    column(Link, "vlan", Integer, "", "VLAN number in front of the IP header of the first packet", |r| r.vlan.into()),
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

/// Every column in the order of the schema.
pub fn all() -> impl Iterator<Item = &'static Column> {
    COLUMNS
        .iter()
        .filter(|column| column.group < Group::FrameLen)
        .chain(STATISTICS.iter().flatten())
        .chain(COLUMNS.iter().filter(|column| column.group >= Group::FrameLen))
        .chain(said::columns())
}

/// What is written in one go.
#[derive(Clone, Copy, Debug)]
enum Pick {
    Table(&'static Column),
    /// All columns of a quantity and direction: their place in [`STATISTICS`].
    Figures(usize),
    /// The column of a feature, its place among the cells of all features, and how many from here on are written with it; none
    /// where it is written with one before.
    Feature(FeatureColumn, usize, usize),
}

/// Cells of a flow.
pub(crate) enum Piece<'r> {
    Cell(Cell<'r>),
    /// Those of features, and how many there are to be.
    Lent(&'r [Cell<'r>], usize),
    /// Twelve: a count, and numbers.
    Figures(u64, [f64; 11]),
    /// One of what payload says.
    #[cfg(feature = "payload")]
    Said(crate::payload::Cell<'r>),
}

/// The columns that are written, in order.
#[derive(Clone, Debug)]
pub struct Columns(Vec<Pick>);

impl Default for Columns {
    fn default() -> Columns {
        Columns(all().filter(|column| column.default).map(Pick::Table).collect())
    }
}

impl Columns {
    /// Those of a table.
    #[must_use]
    pub fn of(table: &'static [Column]) -> Columns {
        Columns(table.iter().map(Pick::Table).collect())
    }

    /// The columns that a list names, in its order, each once: names of columns, and groups as `@tcp`, `@stats` (all
    /// statistics), `@app` (all that payload says), `@default`, or `@all` (all but what payload says).
    ///
    /// # Errors
    /// A name that no column or group has; the message says what there is.
    pub fn parse(list: &str) -> Result<Columns> {
        let mut columns = Columns(Vec::new());
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            columns.add(word, word.strip_prefix('@'))?;
        }
        if columns.0.is_empty() {
            return Err(Error::config("no columns are named"));
        }
        Ok(Columns(together(columns.0)))
    }

    /// With what payload says behind, as far as it is not there: of the protocols that a list names, as `tls,dns`, or of
    /// all (`app`).
    ///
    /// # Errors
    /// A name that is no protocol's, or a build that reads no payload; the message says what there is.
    pub fn and_of_payload(mut self, list: &str) -> Result<Columns> {
        if cfg!(not(feature = "payload")) {
            return Err(unread("--app"));
        }
        let groups = Group::ALL.into_iter().filter(|group| group.is_payload());
        for word in list.split(',').map(str::trim) {
            let Some(named) = groups.clone().find(|group| group.about().0 == word) else {
                let names: Vec<_> = groups.map(|group| group.about().0).collect();
                return Err(Error::config(format!(
                    "`{word}` is no protocol of payload; there are {}",
                    names.join(", ")
                )));
            };
            let wanted = |group| named == Group::App || group == named || group == Group::App;
            self = groups.clone().filter(|&group| wanted(group)).fold(self, Columns::and);
        }
        Ok(self)
    }

    /// Adds the columns of a group, or the one of a name, as far as they are not there.
    fn add(&mut self, word: &str, group: Option<&str>) -> Result<()> {
        let mut found = false;
        for column in all().filter(|column| match group {
            Some("all") => !column.group.is_payload(),
            Some("app") => column.group.is_payload(),
            Some("default") => column.default,
            Some("stats") => column.group.is_statistics(),
            Some(group) => column.group.about().0 == group,
            None => column.name == word,
        }) {
            found = true;
            self.put(column);
        }
        if found {
            return Ok(());
        }
        if cfg!(not(feature = "payload")) && is_of_payload(word) {
            return Err(unread(word));
        }
        let groups: Vec<_> = Group::ALL.iter().map(|group| format!("@{}", group.about().0)).collect();
        Err(Error::config(format!(
            "there is no column `{word}`; `pcap-compactor schema flows` lists them; groups are @default, @all, @stats, {}",
            groups.join(", ")
        )))
    }

    fn put(&mut self, column: &'static Column) {
        if self.names().all(|name| name != column.name) {
            self.0.push(Pick::Table(column));
        }
    }

    /// With those of a group behind, as far as they are not there.
    #[must_use]
    pub fn and(mut self, group: Group) -> Columns {
        all().filter(|column| column.group == group).for_each(|column| self.put(column));
        self
    }

    /// With those of features behind.
    #[must_use]
    pub fn with(mut self, features: &[Arc<dyn Feature>]) -> Columns {
        let columns: Vec<_> = features.iter().flat_map(|feature| feature.columns()).collect();
        let run = |place| if place == 0 { columns.len() } else { 0 };
        self.0.extend(columns.iter().enumerate().map(|(place, column)| Pick::Feature(*column, place, run(place))));
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|pick| {
            let (one, many): (_, &[Column]) = match pick {
                Pick::Table(column) => (Some(column.name), &[]),
                Pick::Feature(column, ..) => (Some(column.name), &[]),
                Pick::Figures(place) => (None, &STATISTICS[*place]),
            };
            one.into_iter().chain(many.iter().map(|column| column.name))
        })
    }

    /// The cells of a flow.
    #[inline]
    pub(crate) fn pieces<'r>(&self, record: &'r FlowRecord) -> impl Iterator<Item = Piece<'r>> {
        self.0.iter().filter_map(|pick| match pick {
            Pick::Table(column) => match column.cell {
                Source::Record(cell) => Some(Piece::Cell(cell(record))),
                #[cfg(feature = "payload")]
                Source::Payload(cell) => Some(Piece::Said(record.app.as_deref().map(cell).into())),
            },
            Pick::Feature(_, _, 0) => None,
            Pick::Feature(_, place, run) => {
                let cells = record.features.get(*place..).unwrap_or_default();
                Some(Piece::Lent(&cells[..cells.len().min(*run)], *run))
            }
            Pick::Figures(place) => {
                let figures = record.figures.as_ref().map(|figures| figures[place / 3][place % 3]);
                let Figures { count, sum, mean, std, var, min, max, range, median, skew, kurt, cv } =
                    figures.unwrap_or_default();
                Some(Piece::Figures(count, [sum, mean, std, var, min, max, range, median, skew, kurt, cv]))
            }
        })
    }

    fn any(&self, of: impl Fn(&Column) -> bool) -> bool {
        self.0.iter().any(|pick| match pick {
            Pick::Table(column) => of(column),
            Pick::Figures(place) => of(&STATISTICS[*place][0]),
            Pick::Feature(..) => false,
        })
    }

    /// Which quantities have statistics, in the order of [`Quantity::ALL`](crate::flow::statistics::Quantity::ALL).
    pub(super) fn quantities(&self) -> [bool; 6] {
        let groups = [Group::FrameLen, Group::IpLen, Group::L4Len, Group::PayloadLen, Group::Iat, Group::Window];
        groups.map(|group| self.any(|column| column.group == group))
    }

    /// Whether payload has to be read.
    #[must_use]
    pub fn need_payload(&self) -> bool {
        self.any(|column| column.group.is_payload())
    }

    pub(super) fn need_tcp(&self) -> bool {
        self.any(|column| matches!(column.group, Group::Tcp | Group::Flags))
    }
}

fn unread(word: &str) -> Error {
    Error::config(format!(
        "`{word}` is of payload, which this build does not read; build it with `cargo build --release --features full`"
    ))
}

/// Whether a column or group would be of what payload says.
fn is_of_payload(word: &str) -> bool {
    let protocol = word.trim_start_matches('@').split('_').next();
    Group::ALL.iter().any(|group| group.is_payload() && Some(group.about().0) == protocol)
}

/// Puts all columns of a quantity and direction together where they stand so.
fn together(picks: Vec<Pick>) -> Vec<Pick> {
    let mut rest = picks.as_slice();
    let mut together = Vec::with_capacity(picks.len());
    let is = |pick: &Pick, column: &Column| matches!(pick, Pick::Table(own) if own.name == column.name);
    while let Some(&first) = rest.first() {
        let block = STATISTICS.iter().position(|block| {
            rest.get(..block.len()).is_some_and(|picks| picks.iter().zip(block).all(|(pick, column)| is(pick, column)))
        });
        together.push(block.map_or(first, Pick::Figures));
        rest = &rest[block.map_or(1, |place| STATISTICS[place].len())..];
    }
    together
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_first_columns_never_move_and_the_default_is_narrow() {
        let first = [
            "flow_id",
            "sensor",
            "src_ip",
            "dst_ip",
            "src_port",
            "dst_port",
            "protocol",
            "first_ts",
            "last_ts",
            "duration_s",
            "pkts_up",
            "pkts_dn",
            "bytes_up",
            "bytes_dn",
            "payload_bytes_up",
            "payload_bytes_dn",
            "end_reason",
            "direction",
            "community_id",
        ];
        let names: Vec<_> = Columns::default().names().collect();
        assert_eq!(names[..first.len()], first);
        assert!(names.len() <= 60);
    }

    #[test]
    fn names_are_distinct_and_a_list_keeps_its_order() {
        let names: Vec<_> = all().map(|column| column.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let of_headers: Vec<_> = all().filter(|column| !column.group.is_payload()).map(|column| column.name).collect();
        assert_eq!(Columns::parse("@all").unwrap().names().collect::<Vec<_>>(), of_headers);
        let picked = Columns::parse("iat_mean, src_ip,@window,iat_mean").unwrap();
        let names: Vec<_> = picked.names().collect();
        assert_eq!((&names[..3], names.len()), (&["iat_mean", "src_ip", "window_count"][..], 2 + 36));
        assert!(Columns::parse("src_ipp").unwrap_err().to_string().contains("`src_ipp`"));
        assert!(Columns::parse("").is_err());
    }
}
