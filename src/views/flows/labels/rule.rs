//! One rule: which flows it is about, and when.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use ipnet::IpNet;

use crate::views::flows::FlowRecord;

/// A rule. A list without anything in it stands for any.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) label: Arc<str>,
    pub(super) priority: i64,
    /// When the first packet is, ns since 1970.
    pub(super) window: Range<i64>,
    pub(super) src: Vec<IpNet>,
    pub(super) dst: Vec<IpNet>,
    pub(super) src_ports: Vec<RangeInclusive<u16>>,
    pub(super) dst_ports: Vec<RangeInclusive<u16>>,
    pub(super) protocols: Vec<u8>,
    /// Its source may also be the server.
    pub(super) either: bool,
    /// Where it begins in the file, in bytes.
    pub(super) at: usize,
}

/// What a rule asks of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) src: (IpAddr, u16),
    pub(super) dst: (IpAddr, u16),
    pub(super) protocol: u8,
    pub(super) first: i64,
}

impl Subject {
    pub(super) fn of(flow: &FlowRecord) -> Subject {
        Subject {
            src: (flow.src_ip, flow.src_port),
            dst: (flow.dst_ip, flow.dst_port),
            protocol: flow.protocol,
            first: flow.first_ts.0,
        }
    }
}

impl Rule {
    /// Whether it is about a flow, whenever that was.
    pub(super) fn is_about(&self, flow: &Subject) -> bool {
        let is = |src: (IpAddr, u16), dst: (IpAddr, u16)| {
            holds(&self.src, |net| net.contains(&src.0))
                && holds(&self.dst, |net| net.contains(&dst.0))
                && holds(&self.src_ports, |ports| ports.contains(&src.1))
                && holds(&self.dst_ports, |ports| ports.contains(&dst.1))
        };
        holds(&self.protocols, |&protocol| protocol == flow.protocol)
            && (is(flow.src, flow.dst) || self.either && is(flow.dst, flow.src))
    }

    /// The line of a text where it begins.
    pub(super) fn line(&self, text: &str) -> usize {
        super::file::position(text, self.at).0
    }

    /// Whether there could be a flow that both match.
    fn meets(&self, other: &Rule) -> bool {
        let ends = |a: &Rule, b: [(&[IpNet], &[RangeInclusive<u16>]); 2]| {
            let nets = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
            let ports = |a: &RangeInclusive<u16>, b: &RangeInclusive<u16>| a.start() <= b.end() && b.start() <= a.end();
            meet(&a.src, b[0].0, nets)
                && meet(&a.dst, b[1].0, nets)
                && meet(&a.src_ports, b[0].1, ports)
                && meet(&a.dst_ports, b[1].1, ports)
        };
        let (src, dst) = ((&other.src[..], &other.src_ports[..]), (&other.dst[..], &other.dst_ports[..]));
        self.window.start < other.window.end
            && other.window.start < self.window.end
            && meet(&self.protocols, &other.protocols, |a, b| a == b)
            && (ends(self, [src, dst]) || (self.either || other.either) && ends(self, [dst, src]))
    }
}

/// Whether something of a list holds; of an empty one all does.
fn holds<T>(list: &[T], test: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(test)
}

/// Whether two lists have something in common.
fn meet<T>(some: &[T], others: &[T], common: impl Fn(&T, &T) -> bool) -> bool {
    some.is_empty() || others.is_empty() || some.iter().any(|a| others.iter().any(|b| common(a, b)))
}

/// Two rules of one priority and different labels that one flow could match, in the order of the file; `rules` are in order
/// of priority.
pub(super) fn undecided(rules: &[Rule]) -> Option<(&Rule, &Rule)> {
    rules.chunk_by(|a, b| a.priority == b.priority).find_map(|equal| {
        let second = |place: usize| {
            let (first, rest) = (&equal[place], &equal[place + 1..]);
            rest.iter().find(|rule| rule.label != first.label && rule.meets(first)).map(|rule| (first, rule))
        };
        (0..equal.len()).find_map(second)
    })
}
