//! The columns in front of the features: who talked to whom, and what the payload says.

use std::borrow::Cow;

use crate::decode::packet::protocol;
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

/// What a flow's payload says, by the name of the field: the seam for the columns of payload. Records have none of them
/// yet.
fn application<'r>(_record: &'r FlowRecord, _field: &str) -> Cell<'r> {
    Cell::Absent
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

fn key(r: &FlowRecord) -> String {
    format!("{}:{} -> {}:{} ({})", r.src_ip, r.src_port, r.dst_ip, r.dst_port, transport(r.protocol))
}

/// The protocols from IP on. Those above are what payload says.
fn protocols(r: &FlowRecord) -> Cell<'_> {
    let mut words = vec![Cell::from(if r.src_ip.is_ipv6() { "IPv6" } else { "IPv4" })];
    match r.protocol {
        protocol::SCTP => words.push("SCTP".into()),
        protocol::TCP | protocol::UDP | protocol::ICMP | protocol::ICMPV6 => {
            words.push(Cell::Text(transport(r.protocol)))
        }
        _ => {}
    }
    if let Cell::List(further) = application(r, "protocols") {
        words.extend(further);
    }
    Cell::List(words)
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

use Kind::{Address, Float, Integer, Text, Texts};

/// The columns.
pub(super) const BASE: &[Column] = &[
    column("key", Text, "", "`A:p -> B:q (NAME)`", |r| key(r).into()),
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
    column("ext_protocol", Texts, "", "protocols from IP on", protocols),
    column("tls", Text, "", "what TLS says; empty without payload columns", |r| application(r, "tls")),
    column("http", Text, "", "what HTTP says; empty without payload columns", |r| application(r, "http")),
    column("dns", Text, "", "what DNS says; empty without payload columns", |r| application(r, "dns")),
];
