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

    /// Whether there could be a flow that both match.
    pub(super) fn meets(&self, other: &Rule) -> bool {
        self.meets_forward(other) || (self.either || other.either) && self.meets_ends(other, [Dst, Src])
    }

    /// Whether there could be one if the sources of both were clients.
    pub(super) fn meets_forward(&self, other: &Rule) -> bool {
        self.meets_ends(other, [Src, Dst])
    }

    /// Whether there could be a flow whose source and destination are these of the other rule.
    fn meets_ends(&self, other: &Rule, ends: [End; 2]) -> bool {
        let end = |(nets, ports): (&[IpNet], &[Ports]), (others, other_ports): (&[IpNet], &[Ports])| {
            meet(nets, others, |a, b| a.contains(b) || b.contains(a))
                && meet(ports, other_ports, |a, b| a.start() <= b.end() && b.start() <= a.end())
        };
        self.window.start < other.window.end
            && other.window.start < self.window.end
            && meet(&self.protocols, &other.protocols, |a, b| a == b)
            && end(self.end(Src), other.end(ends[0]))
            && end(self.end(Dst), other.end(ends[1]))
    }

    fn end(&self, end: End) -> (&[IpNet], &[Ports]) {
        match end {
            Src => (&self.src, &self.src_ports),
            Dst => (&self.dst, &self.dst_ports),
        }
    }
}

type Ports = RangeInclusive<u16>;

#[derive(Clone, Copy)]
enum End {
    Src,
    Dst,
}

use End::{Dst, Src};

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
pub(super) fn undecided(rules: &[Rule]) -> Option<[&Rule; 2]> {
    let mut equal = rules.chunk_by(|a, b| a.priority == b.priority).flat_map(overlapping);
    let mut pair = equal.find(|[a, b]| a.label != b.label && a.meets(b))?;
    pair.sort_by_key(|rule| rule.at);
    Some(pair)
}

/// The pairs whose windows overlap. Rules are gone through in the order in which their windows begin, beside those that have not
/// ended, so rules at different times cost nothing.
pub(super) fn overlapping(rules: &[Rule]) -> impl Iterator<Item = [&Rule; 2]> {
    let mut begin: Vec<&Rule> = rules.iter().collect();
    begin.sort_by_key(|rule| rule.window.start);
    let mut open: Vec<&Rule> = Vec::new();
    begin.into_iter().flat_map(move |rule| {
        open.retain(|earlier| earlier.window.end > rule.window.start);
        let pairs: Vec<_> = open.iter().map(|earlier| [*earlier, rule]).collect();
        open.push(rule);
        pairs
    })
}
