//! The first columns: who talked to whom.

use std::net::IpAddr;

use super::columns::Layout;
use super::state::IGMP;
use super::switches::Protocols;
use crate::decode::packet::protocol;
use crate::sink::jsonl::{address, number};
use crate::views::flows::columns::{Column, Group, Kind, Source};
use crate::views::flows::{Cell, FlowRecord};

/// The columns of a layout; protocols decide which have a number.
pub(super) fn columns(layout: Layout, protocols: Protocols) -> &'static [Column] {
    let [all, five, tcp_udp]: [&[Column]; 3] = match layout {
        Layout::Classic | Layout::Extended => SHORT.each_ref().map(|table| &table[..]),
        Layout::Short => ORDERED.each_ref().map(|table| &table[..]),
        Layout::Long => LONG.each_ref().map(|table| &table[..]),
        Layout::Lycos => LYCOS.each_ref().map(|table| &table[..]),
        Layout::Python => PYTHON.each_ref().map(|table| &table[..]),
    };
    match protocols {
        Protocols::All => all,
        Protocols::Five | Protocols::FiveWithLengths => five,
        Protocols::TcpUdp => tcp_udp,
    }
}

type Get = fn(&FlowRecord) -> Cell<'_>;
type Table = [Column; 6];

/// The table for each way to number protocols.
macro_rules! tables {
    ($names:ident, $ordered:literal) => {
        [
            table($names, |r| id(r, r.protocol, $ordered), |r| r.protocol.into()),
            table($names, |r| id(r, five(r), $ordered), |r| five(r).into()),
            table($names, |r| id(r, tcp_udp(r), $ordered), |r| tcp_udp(r).into()),
        ]
    };
}

static SHORT: [Table; 3] = tables!(NAMES, false);
static LONG: [Table; 3] = tables!(LONG_NAMES, false);
static ORDERED: [Table; 3] = tables!(NAMES, true);
static LYCOS: [Table; 3] = tables!(LYCOS_NAMES, false);
static PYTHON: [[Column; 5]; 3] =
    [python(|r| r.protocol.into()), python(|r| five(r).into()), python(|r| tcp_udp(r).into())];

const NAMES: [&str; 6] = ["Flow ID", "Src IP", "Src Port", "Dst IP", "Dst Port", "Protocol"];
const LONG_NAMES: [&str; 6] = ["Flow ID", "Source IP", "Source Port", "Destination IP", "Destination Port", "Protocol"];
const LYCOS_NAMES: [&str; 6] = ["flow_id", "src_addr", "src_port", "dst_addr", "dst_port", "ip_prot"];

const fn table([name, src, src_port, dst, dst_port, number]: [&'static str; 6], id: Get, protocol: Get) -> Table {
    use Kind::{Address, Integer, Text};
    [
        column(name, Text, "`src-dst-sport-dport-protocol`", id),
        column(src, Address, "address of the source, who sent the first packet; see `synack_swaps`", |r| {
            r.src_ip.into()
        }),
        column(src_port, Integer, "port of the source; 0 without", |r| r.src_port.into()),
        column(dst, Address, "address of the destination", |r| r.dst_ip.into()),
        column(dst_port, Integer, "port of the destination; 0 without", |r| r.dst_port.into()),
        column(number, Integer, "IP protocol number; 0 for what has none here", protocol),
    ]
}

/// Those of Python have another order, and no identifier.
const fn python(protocol: Get) -> [Column; 5] {
    use Kind::{Address, Integer};
    [
        column("src_ip", Address, "address of the source, who sent the first packet; see `synack_swaps`", |r| {
            r.src_ip.into()
        }),
        column("dst_ip", Address, "address of the destination", |r| r.dst_ip.into()),
        column("src_port", Integer, "port of the source; 0 without", |r| r.src_port.into()),
        column("dst_port", Integer, "port of the destination; 0 without", |r| r.dst_port.into()),
        column("protocol", Integer, "IP protocol number of the first packet", protocol),
    ]
}

const fn column(name: &'static str, kind: Kind, about: &'static str, cell: Get) -> Column {
    Column { name, kind, unit: "", about, group: Group::Base, default: true, cell: Source::Record(cell) }
}

/// ICMP, IGMP, TCP, UDP and SCTP.
fn five(r: &FlowRecord) -> u8 {
    let has_number = matches!(r.protocol, protocol::ICMP | IGMP | protocol::SCTP) || tcp_udp(r) > 0;
    if has_number { r.protocol } else { 0 }
}

/// TCP and UDP, but not later fragments, whose ports are 0.
fn tcp_udp(r: &FlowRecord) -> u8 {
    let has_number = matches!(r.protocol, protocol::TCP | protocol::UDP) && (r.src_port, r.dst_port) != (0, 0);
    if has_number { r.protocol } else { 0 }
}

/// By signed bytes of the addresses the source is the greater.
fn is_greater(r: &FlowRecord) -> bool {
    match (r.src_ip, r.dst_ip) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => src.octets().map(|byte| byte as i8) > dst.octets().map(|byte| byte as i8),
        (src, dst) => src > dst,
    }
}

fn id(r: &FlowRecord, protocol: u8, ordered: bool) -> Cell<'_> {
    let [mut first, mut second] = [(r.src_ip, r.src_port), (r.dst_ip, r.dst_port)];
    if ordered && is_greater(r) {
        std::mem::swap(&mut first, &mut second);
    }
    let mut id = Vec::with_capacity(48);
    address(first.0, &mut id);
    id.push(b'-');
    address(second.0, &mut id);
    for n in [first.1, second.1, protocol.into()] {
        id.push(b'-');
        number(&mut id, n);
    }
    String::from_utf8(id).ok().into()
}
