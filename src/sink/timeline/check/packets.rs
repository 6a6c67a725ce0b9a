//! Whether the flows of version 2.0 have the packets that packets.csv has.
//!
//! Of each flow's key there are a count and a sum of hashes, of packets.csv and of flows, so neither order nor the number of packets
//! matters. Which TCP packets are in flows differs: the original takes those without flags, the correct machine those
//! without a port. Each of these kinds is in flows whole, or not at all.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::{Findings, is_called};

/// A packet, as a row or a flow has it.
#[derive(Clone, Debug)]
pub(super) struct Told<'t> {
    pub(super) time: i64,
    pub(super) src: &'t str,
    pub(super) dst: &'t str,
    pub(super) src_port: i64,
    pub(super) dst_port: i64,
    pub(super) flags: i64,
    pub(super) name: &'t str,
    /// Sequence and acknowledgement number, where both packets.csv and flows have them.
    pub(super) numbers: [i64; 2],
    pub(super) length: i64,
    pub(super) is_tcp: bool,
}

/// What a packet of TCP lacks.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Nothing,
    Flags,
    Ends,
}

impl<'t> Told<'t> {
    /// A packet of a flow; or what of it is missing, or not of its type.
    pub(super) fn of(packet: &'t Value, with_numbers: bool) -> Result<Told<'t>, &'static str> {
        let number = |name| packet[name].as_i64().ok_or(name);
        let text = |name| packet[name].as_str().ok_or(name);
        let protocol = &packet["protocol"];
        Ok(Told {
            time: number("timestamp")?,
            src: text("src_ip")?,
            dst: text("dst_ip")?,
            src_port: number("src_port")?,
            dst_port: number("dst_port")?,
            flags: number("flags")?,
            name: text("flag_type")?,
            numbers: if with_numbers { [number("seq_num")?, number("ack_num")?] } else { [0; 2] },
            length: number("length")?,
            is_tcp: protocol.is_null() || protocol == 6 || protocol.as_str().is_some_and(is_tcp),
        })
    }

    /// Its flow's key, as viewers make it.
    pub(super) fn key(&self) -> String {
        let Told { src, dst, src_port, dst_port, .. } = self;
        key((src, *src_port), (dst, *dst_port))
    }

    /// What tells it from others.
    pub(super) fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Told { time, src, dst, src_port, dst_port, flags, name, numbers, length, .. } = self;
        (time, src, dst, src_port, dst_port, flags, name, numbers, length).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether its flags have the name that goes with them.
    pub(super) fn is_well_spelled(&self) -> bool {
        is_called(self.flags, self.name)
    }

    /// Nothing of what is in no flow.
    fn kind(&self) -> Option<Kind> {
        let ends = self.src_port != 0 && self.dst_port != 0 && !self.src.is_empty() && !self.dst.is_empty();
        match (self.is_tcp, ends, self.name != "INVALID") {
            (true, true, true) => Some(Kind::Nothing),
            (true, true, false) => Some(Kind::Flags),
            (true, false, true) => Some(Kind::Ends),
            _ => None,
        }
    }
}

/// Whether a protocol is TCP.
pub(super) fn is_tcp(protocol: &str) -> bool {
    protocol == "6" || protocol.eq_ignore_ascii_case("tcp")
}

/// The key of a flow between two ends.
pub(super) fn key(a: (&str, i64), b: (&str, i64)) -> String {
    let [a, b] = [a, b].map(|(host, port)| format!("{host}:{port}"));
    format!("{a}-{b}").min(format!("{b}-{a}"))
}

/// What there is of a key.
#[derive(Debug, Default)]
struct Sum {
    /// Packets of packets.csv, and of flows, by [`Kind`].
    rows: [u64; 3],
    listed: [u64; 3],
    /// Hashes of rows, less those of flows.
    prints: [u64; 3],
    /// Packets that flows count and do not list.
    unlisted: u64,
}

/// The sums of all keys.
#[derive(Debug, Default)]
pub(super) struct Sums {
    of: BTreeMap<String, Sum>,
    /// Rows of keys that no flow has: how many, and the line of the first.
    strangers: [(u64, u64); 3],
    /// Packets of flows.
    listed: [u64; 3],
    /// Whether rows have sequence and acknowledgement numbers.
    pub(super) with_numbers: bool,
}

impl Sums {
    /// Sums of these keys.
    pub(super) fn new(keys: impl Iterator<Item = String>) -> Sums {
        Sums { of: keys.map(|key| (key, Sum::default())).collect(), ..Sums::default() }
    }

    /// Adds a row of packets.csv.
    pub(super) fn row(&mut self, packet: &Told, line: u64) {
        let Some(kind) = packet.kind().map(|kind| kind as usize) else { return };
        match self.of.get_mut(&packet.key()) {
            Some(sum) => {
                sum.rows[kind] += 1;
                sum.prints[kind] = sum.prints[kind].wrapping_add(packet.print());
            }
            None => {
                let (rows, first) = &mut self.strangers[kind];
                *first = if *rows == 0 { line } else { *first };
                *rows += 1;
            }
        }
    }

    /// Adds a packet of a flow of this key; false if it is one that is in no flow.
    pub(super) fn listed(&mut self, key: &str, packet: &Told) -> bool {
        let Some(kind) = packet.kind().map(|kind| kind as usize) else { return false };
        self.listed[kind] += 1;
        if let Some(sum) = self.of.get_mut(key) {
            sum.listed[kind] += 1;
            sum.prints[kind] = sum.prints[kind].wrapping_sub(packet.print());
        }
        true
    }

    /// Adds packets that a flow of this key does not list.
    pub(super) fn unlisted(&mut self, key: &str, packets: u64) {
        if let Some(sum) = self.of.get_mut(key) {
            sum.unlisted += packets;
        }
    }

    /// Says what does not agree.
    pub(super) fn compare(&self, findings: &mut Findings, file: &str) {
        let kinds = || (0..3).filter(|&kind| kind == Kind::Nothing as usize || self.listed[kind] > 0);
        for (key, sum) in &self.of {
            let rows: u64 = kinds().map(|kind| sum.rows[kind]).sum();
            let listed: u64 = kinds().map(|kind| sum.listed[kind]).sum();
            let flows = listed + sum.unlisted;
            if rows != flows {
                findings.problem(file, format_args!("{key}: it has {rows} packets of it, and flows have {flows}"));
            } else if sum.unlisted == 0 && kinds().any(|kind| sum.prints[kind] != 0) {
                let what = "flows list other packets than it has, by time, ends, flags, numbers or length";
                findings.problem(file, format_args!("{key}: {what}"));
            }
        }
        for (rows, first) in kinds().map(|kind| self.strangers[kind]).filter(|(rows, _)| *rows > 0) {
            let what = format_args!("line {first}: no flow is of the ends of this TCP packet; {rows} are so");
            findings.problem(file, what);
        }
    }
}
