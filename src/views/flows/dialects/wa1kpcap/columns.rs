//! The columns in front of the features: who talked to whom, and what the payload says.

use std::borrow::Cow;

use super::words;
use crate::decode::packet::protocol;
use crate::sink::jsonl::{address, number};
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::flows::columns::{Column, Group, Kind, Source};
use crate::views::flows::{Cell, FlowRecord};

/// A time as the nearest float of seconds since 1970.
pub(super) fn seconds(time: Timestamp) -> f64 {
    // Whole seconds are exact, and a fraction of nine digits is never so near the middle of two floats that its own
    // rounding tells.
    let (whole, fraction) = (time.0.div_euclid(NS_PER_SECOND), time.0.rem_euclid(NS_PER_SECOND));
    whole as f64 + fraction as f64 / NS_PER_SECOND as f64
}

fn transport(number: u8) -> Cow<'static, str> {
    match number {
        protocol::TCP => "TCP".into(),
        protocol::UDP => "UDP".into(),
        protocol::ICMP => "ICMP".into(),
        protocol::ICMPV6 => "ICMPv6".into(),
        other => format!("PROTO({other})").into(),
    }
}

/// Without the machinery of formatting, which costs more than all other cells in front of the features.
fn key(r: &FlowRecord) -> Cell<'_> {
    let mut key = Vec::with_capacity(128);
    let mut end = |before: &str, ip, port: u16| {
        key.extend_from_slice(before.as_bytes());
        address(ip, &mut key);
        key.push(b':');
        number(&mut key, port);
    };
    end("", r.src_ip, r.src_port);
    end(" -> ", r.dst_ip, r.dst_port);
    for part in [" (", &transport(r.protocol), ")"] {
        key.extend_from_slice(part.as_bytes());
    }
    String::from_utf8(key).ok().into()
}

/// The protocols from IP on.
fn protocols(r: &FlowRecord) -> Cell<'_> {
    let mut names = vec![Cell::from(if r.src_ip.is_ipv6() { "IPv6" } else { "IPv4" })];
    match r.protocol {
        protocol::SCTP => names.push("SCTP".into()),
        protocol::TCP | protocol::UDP | protocol::ICMP | protocol::ICMPV6 => {
            names.push(Cell::Text(transport(r.protocol)))
        }
        _ => {}
    }
    words::protocols(r, |name| names.push(name.into()));
    Cell::List(names)
}

const fn column(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    about: &'static str,
    cell: fn(&FlowRecord) -> Cell<'_>,
) -> Column {
    Column { name, kind, unit, about, group: Group::Base, default: true, cell: Source::Record(cell) }
}

/// As [`column`], of what payload says.
const fn said(
    group: Group,
    name: &'static str,
    kind: Kind,
    about: &'static str,
    cell: fn(&FlowRecord) -> Cell<'_>,
) -> Column {
    Column { group, ..column(name, kind, "", about, cell) }
}

/// What a column of payload says, and where it says nothing.
macro_rules! about {
    ($what:literal) => {
        if cfg!(feature = "payload") { $what } else { concat!($what, "; this build reads no payload: empty") }
    };
    ($what:literal, without: $less:literal) => {
        if cfg!(feature = "payload") { $what } else { $less }
    };
}

use Kind::{Address, Float, Integer, Text, Texts};

/// The columns.
pub(super) const BASE: &[Column] = &[
    column("key", Text, "", "`A:p -> B:q (NAME)`", key),
    column("protocol", Text, "", "TCP, UDP, ICMP, ICMPv6 or PROTO(number)", |r| Cell::Text(transport(r.protocol))),
    column("src_ip", Address, "", "sender of the first packet", |r| r.src_ip.into()),
    column("dst_ip", Address, "", "its receiver", |r| r.dst_ip.into()),
    column("src_port", Integer, "", "port of the sender of the first packet; 0 without", |r| r.src_port.into()),
    column("dst_port", Integer, "", "port of its receiver; 0 without", |r| r.dst_port.into()),
    column("start_time", Float, "s", "time of the first packet, since 1970", |r| seconds(r.opened()).into()),
    column("end_time", Float, "s", "latest time, since 1970", |r| seconds(r.last_ts).into()),
    column("duration", Float, "s", "end_time - start_time", |r| {
        (r.last_ts.0.saturating_sub(r.opened().0) as f64 / NS_PER_SECOND as f64).into()
    }),
    column("packet_count", Integer, "packets", "packets", |r| (r.sides[0].packets + r.sides[1].packets).into()),
    column("byte_count", Integer, "bytes", "frame bytes, on the wire (--bytes)", |r| {
        (r.sides[0].bytes + r.sides[1].bytes).into()
    }),
    column("up_packet_count", Integer, "packets", "packets up", |r| r.sides[0].packets.into()),
    column("up_byte_count", Integer, "bytes", "frame bytes up", |r| r.sides[0].bytes.into()),
    column("down_packet_count", Integer, "packets", "packets down", |r| r.sides[1].packets.into()),
    column("down_byte_count", Integer, "bytes", "frame bytes down", |r| r.sides[1].bytes.into()),
    said(
        Group::App,
        "ext_protocol",
        Texts,
        about!(
            "protocols from IP on: those of payload are DNS, HTTP, QUIC, TLS, and HTTPS where ALPN has HTTP",
            without: "protocols from IP on; this build reads no payload: none above transport"
        ),
        protocols,
    ),
    said(
        Group::Tls,
        "tls",
        Text,
        about!("Python dict of TLS: version (chosen), sni, cert_subject, cert_issuer"),
        words::tls,
    ),
    said(Group::Http, "http", Text, about!("Python dict of the first HTTP request: host, user_agent"), words::http),
    said(Group::Dns, "dns", Text, about!("Python dict of DNS: queries, the names asked for"), words::dns),
];
