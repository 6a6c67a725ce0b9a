//! The columns in front of the counts: who talked to whom.

use crate::capture::civil_from_days;
use crate::decode::packet::protocol;
use crate::time::Timestamp;
use crate::views::flows::columns::{Column, Group, Kind, Source};
use crate::views::flows::{Cell, FlowRecord};

/// A time in microseconds, rounded.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.0.div_euclid(1000) + i64::from(time.0.rem_euclid(1000) >= 500)
}

/// A time in microseconds as `2017-07-06 12:00:30.000000`.
pub(super) fn civil(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let (minutes, second) = (seconds.rem_euclid(86_400) / 60, seconds.rem_euclid(60));
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

/// The ports, where the protocol is told by them.
fn ports(r: &FlowRecord) -> Option<[u16; 2]> {
    let ports = [r.src_port, r.dst_port];
    // A later fragment has none.
    (matches!(r.protocol, protocol::TCP | protocol::UDP) && ports != [0; 2]).then_some(ports)
}

/// The protocol of a flow, as the dialect calls it: TCP, UDP, ICMP or Unknown.
#[must_use]
pub fn name(r: &FlowRecord) -> &'static str {
    match (r.protocol, ports(r)) {
        (protocol::TCP, Some(_)) => "TCP",
        (protocol::UDP, Some(_)) => "UDP",
        (protocol::ICMP, _) => "ICMP",
        _ => "Unknown",
    }
}

fn id(r: &FlowRecord) -> String {
    let (src, dst, name) = (r.src_ip, r.dst_ip, name(r));
    match ports(r) {
        Some([from, to]) if from != 0 && to != 0 => format!("{src}:{from} <-> {dst}:{to} ({name})"),
        _ => format!("{src} <-> {dst} ({name})"),
    }
}

/// A port, unless it is 0.
pub(super) fn port(r: &FlowRecord, end: usize) -> Option<u16> {
    ports(r).map(|ports| ports[end]).filter(|port| *port != 0)
}

/// Empty text where there is none, in JSON too.
fn or_empty(port: Option<u16>) -> Cell<'static> {
    port.map_or("".into(), Cell::from)
}

const fn column(name: &'static str, kind: Kind, about: &'static str, cell: fn(&FlowRecord) -> Cell<'_>) -> Column {
    Column { name, kind, unit: "", about, group: Group::Base, default: true, cell: Source::Record(cell) }
}

use Kind::{Address, Integer, Text};

/// The columns.
pub(super) const BASE: &[Column] = &[
    column("flow_id", Text, "`A:p <-> B:q (NAME)`, without ports where one is 0", |r| id(r).into()),
    column("src_ip", Address, "the address that is the smaller as text", |r| r.src_ip.into()),
    column("dst_ip", Address, "the other address", |r| r.dst_ip.into()),
    column("src_port", Integer, "port of src_ip, of TCP and UDP; empty where it is 0", |r| or_empty(port(r, 0))),
    column("dst_port", Integer, "port of dst_ip, of TCP and UDP; empty where it is 0", |r| or_empty(port(r, 1))),
    column("protocol", Text, "TCP, UDP, ICMP or Unknown", |r| name(r).into()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil_and_rounded_on_both_sides_of_the_epoch() {
        let text = |ns| civil(micros(Timestamp(ns)));
        assert_eq!(text(0), "1970-01-01 00:00:00.000000");
        assert_eq!(text(1_499_342_430_000_000_499), "2017-07-06 12:00:30.000000");
        assert_eq!(text(1_499_342_430_999_999_500), "2017-07-06 12:00:31.000000");
        assert_eq!(text(-501), "1969-12-31 23:59:59.999999");
        assert_eq!(text(i64::MIN), "1677-09-21 00:12:43.145224");
        assert_eq!(text(i64::MAX), "2262-04-11 23:47:16.854776");
    }
}
