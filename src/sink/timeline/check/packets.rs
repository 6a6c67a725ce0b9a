//! Whether the flows of version 2.0 have the packets that packets.csv has.
//!
//! Of each flow's key there are a count and a sum of hashes, of packets.csv and less those of flows, so neither order nor the number of
//! packets matters. Which TCP packets are in flows differs: the original takes those without flags, the correct machine those without a
//! port. Each of these kinds is in flows whole, or not at all.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde_json::Value;

use super::folder::Folder;
use super::{is_called, print};

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
    /// Bytes of payload, where packets.csv has them and they are known.
    pub(super) payload: Option<i64>,
    pub(super) is_tcp: bool,
}

/// What packets.csv has of packets beside what it has to have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Has {
    /// Sequence and acknowledgement number.
    pub(super) numbers: bool,
    /// Bytes of payload.
    pub(super) payload: bool,
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
    pub(super) fn of(packet: &'t Value, has: Has) -> Result<Told<'t>, &'static str> {
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
            numbers: if has.numbers { [number("seq_num")?, number("ack_num")?] } else { [0; 2] },
            length: number("length")?,
            payload: packet["seg_len"].as_i64().filter(|_| has.payload),
            is_tcp: protocol.is_null() || protocol == 6 || protocol.as_str().is_some_and(is_tcp),
        })
    }

    /// Its flow's key, as viewers make it.
    pub(super) fn key(&self) -> String {
        let Told { src, dst, src_port, dst_port, .. } = self;
        key((src, *src_port), (dst, *dst_port))
    }

    /// What tells it from others.
    fn print(&self) -> u64 {
        let Told { time, src, dst, src_port, dst_port, flags, name, numbers, length, payload, .. } = self;
        print(&(time, src, dst, src_port, dst_port, flags, name, numbers, length, payload))
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
    /// Packets of packets.csv by [`Kind`], and of flows.
    rows: [u32; 3],
    listed: [u32; 3],
    /// Hashes of rows, less those of flows.
    prints: [u64; 3],
    /// Packets that flows count and do not list.
    unlisted: u32,
    /// Bytes of rows, less those of flows.
    bytes: i64,
    /// The line of the first.
    line: u64,
}

/// The sums of all keys, by their hash.
#[derive(Debug, Default)]
pub(super) struct Sums {
    of: HashMap<u64, Sum>,
    /// Packets of flows.
    listed: [u64; 3],
    /// A flow counts packets that it does not list.
    breaks_off: bool,
    /// Keys of flows, by their hash, of which there was no row when they were read: the first.
    strangers: BTreeMap<u64, String>,
    /// A row has a length that no frame has: negative, or so long that the original's sums are not known.
    odd_lengths: bool,
    /// The last time of all packets.
    latest: i64,
    pub(super) has: Has,
}

/// Keys that are named.
const NAMED: usize = 20;

impl Sums {
    /// Of packets up to a time.
    pub(super) fn up_to(latest: i64) -> Sums {
        Sums { latest, ..Sums::default() }
    }

    /// The last time of all packets.
    pub(super) fn latest(&self) -> i64 {
        self.latest
    }

    /// Adds a row of packets.csv.
    pub(super) fn row(&mut self, packet: &Told, line: u64) {
        let Some(kind) = packet.kind().map(|kind| kind as usize) else { return };
        let sum = self.of.entry(print(&packet.key())).or_insert_with(|| Sum { line, ..Sum::default() });
        sum.rows[kind] += 1;
        sum.bytes = sum.bytes.wrapping_add(packet.length);
        self.odd_lengths |= !(0..=i64::from(u32::MAX)).contains(&packet.length);
        sum.prints[kind] = sum.prints[kind].wrapping_add(packet.print());
    }

    /// Adds a packet of a flow; false if it is one that is in no flow.
    pub(super) fn listed(&mut self, packet: &Told) -> bool {
        let Some(kind) = packet.kind().map(|kind| kind as usize) else { return false };
        self.listed[kind] += 1;
        let key = packet.key();
        let hash = print(&key);
        let sum = self.of.entry(hash).or_default();
        if sum.line == 0 && self.strangers.len() < NAMED {
            self.strangers.entry(hash).or_insert(key);
        }
        sum.listed[kind] += 1;
        sum.bytes = sum.bytes.wrapping_sub(packet.length);
        sum.prints[kind] = sum.prints[kind].wrapping_sub(packet.print());
        true
    }

    /// Whether lengths of rows are those of frames.
    pub(super) fn has_usual_lengths(&self) -> bool {
        !self.odd_lengths
    }

    /// Adds packets that a flow of this key does not list, and their bytes.
    pub(super) fn unlisted(&mut self, key: &str, packets: u64, bytes: i64) {
        self.breaks_off |= packets > 0;
        if let Some(sum) = self.of.get_mut(&print(&key)) {
            sum.unlisted = sum.unlisted.saturating_add(u32::try_from(packets).unwrap_or(u32::MAX));
            sum.bytes = sum.bytes.wrapping_sub(bytes);
        }
    }

    /// Says what does not agree.
    pub(super) fn compare(&self, folder: &mut Folder<'_>, file: &str) {
        let known =
            [true, self.listed[Kind::Flags as usize] > 0 || self.breaks_off, self.listed[Kind::Ends as usize] > 0];
        let kinds = || (0..3).filter(|&kind| known[kind]);
        let mut wrong: BTreeMap<u64, String> = BTreeMap::new();
        let mut others = 0_u64;
        let then = "viewers show these packets in no flow, or flows of other packets";
        let mut strange: BTreeMap<&str, u64> = BTreeMap::new();
        for (hash, sum) in &self.of {
            let rows: u64 = kinds().map(|kind| u64::from(sum.rows[kind])).sum();
            let flows: u64 = kinds().map(|kind| u64::from(sum.listed[kind])).sum::<u64>() + u64::from(sum.unlisted);
            if sum.line == 0 && flows > 0 {
                match self.strangers.get(hash) {
                    Some(key) => _ = strange.insert(key, flows),
                    None => others += 1,
                }
                continue;
            }
            let what = if rows != flows && flows == 0 {
                "no flow is of the ends of this TCP packet".to_owned()
            } else if rows != flows {
                format!("it has {rows} packets of these ends, and flows have {flows}")
            } else if sum.unlisted == 0 && kinds().any(|kind| sum.prints[kind] != 0) {
                "flows list other packets of these ends than it has, by time, flags, numbers or length".to_owned()
            } else if sum.unlisted > 0 && sum.bytes != 0 && self.has_usual_lengths() {
                let which = if sum.bytes > 0 { "fewer" } else { "more" };
                format!("totalBytes of the flows of these ends are {} {which} than it has", sum.bytes.unsigned_abs())
            } else {
                continue;
            };
            wrong.insert(sum.line, what);
            if wrong.len() > NAMED {
                others += 1;
                wrong.pop_last();
            }
        }
        let names = names(folder, file, &wrong);
        for (line, what) in &wrong {
            let name = names.get(line).map_or("", |name| name);
            folder.problem(file, format_args!("line {line}, {name}: {what}"), then);
        }
        for (key, flows) in strange {
            folder.problem(file, format_args!("{key}: it has no packets of these ends, and flows have {flows}"), then);
        }
        (0..others).for_each(|_| folder.problem(file, "others", then));
    }
}

/// The ends of packets in these lines.
fn names(folder: &mut Folder<'_>, file: &str, lines: &BTreeMap<u64, String>) -> BTreeMap<u64, String> {
    let mut names = BTreeMap::new();
    let Some((&last, _)) = lines.last_key_value() else { return names };
    let Some(mut text) = folder.open(file).map(crate::capture::Pieces::new) else { return names };
    let mut places: Vec<Option<usize>> = Vec::new();
    for number in 1..=last {
        let Ok(Some(line)) = text.line() else { break };
        let cells: Vec<&str> = line.split(',').collect();
        if number == 1 {
            let place = |name: &str| cells.iter().position(|cell| *cell == name);
            places = ["src_ip", "src_port", "dst_ip", "dst_port"].map(place).to_vec();
        } else if lines.contains_key(&number) {
            let at = |n: usize| places[n].and_then(|at| cells.get(at)).copied().unwrap_or_default();
            let port = |n: usize| at(n).parse().unwrap_or(0);
            names.insert(number, key((at(0), port(1)), (at(2), port(3))));
        }
    }
    names
}
