//! The folder of version 5.0, `flow_list_csv`: flows by pair of hosts, and how many there are in bins of five widths.
//!
//! Flows leave a run as they end, of any pair. They wait in a temporary file in the order of pair and start, so one file is written at a
//! time, however many pairs there are. Only pairs and hosts stay in memory.
//!
//! Bins begin at multiples of their width since the first packet. The two ends of a pair are in the order of their text. To the viewer who sent
//! a flow's first packet began it, so ports are in that order; `initiated_by` has who did.

use std::collections::BTreeMap;
use std::path::Path;

use hashbrown::{HashMap, HashSet};

use super::json::Json;
use super::manifest::{choice, finished, iso, items, plain, source, span, strings, time_range, write};
use super::sorted::{Record, Sorted};
use super::times::Times;
use super::totals::{Bins, Totals};
use super::{About, is_timeline};
use crate::error::Result;
use crate::flow::varint::{LONGEST, put, take, unzigzag, zigzag};
use crate::sink::atomic::folder_of;
use crate::sink::folder::AtomicFolder;
use crate::views::timeline::{Close, Flow, Host, Hosts, Packet, Reason, TimelineSink};

/// Widths of bins: name, microseconds, and the longest time range in minutes for which a viewer takes it; the last takes the others.
const WIDTHS: [(&str, i64, u64); 5] = [
    ("1s", 1_000_000, 10),
    ("10s", 10_000_000, 120),
    ("1min", 60_000_000, 1440),
    ("10min", 600_000_000, 7200),
    ("hour", 3_600_000_000, 7200),
];

/// What became of flows, by the number that the list has for it.
pub(super) const KINDS: [&str; 10] = [
    "open",
    "graceful",
    "abortive",
    "ongoing",
    "rst_during_handshake",
    "invalid_ack",
    "invalid_synack",
    "incomplete_no_synack",
    "incomplete_no_ack",
    "unknown_invalid",
];

/// The first kind that is invalid.
const INVALID: usize = 4;

/// Bytes of a pair's file, about, unless told otherwise; more make parts.
pub const PART: u64 = 16 << 20;

/// Writes the folder.
#[derive(Debug)]
pub struct FlowList {
    /// Nothing when it is visible.
    folder: Option<AtomicFolder>,
    about: About,
    part: u64,
    with_numbers: bool,
    totals: Totals,
    times: Option<Times>,
    lines: Option<Sorted<Line>>,
    flows: Option<Sorted<Short>>,
    pairs: Vec<Pair>,
    places: HashMap<(Host, Host), u32>,
    written: u64,
}

/// Two hosts that have flows.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// In the order of their text.
    hosts: [Host; 2],
    bytes: u64,
    flows: u64,
    /// The earliest start, and the number of its flow: pairs are listed in this order.
    first: (i64, u64),
}

impl FlowList {
    /// Starts the folder at `path`, in place of a timeline if `replaces`. Of a pair's file of more than `part` bytes ([`PART`] is
    /// usual) parts are made. `with_numbers` also lists sequence and acknowledgement numbers.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`].
    pub fn create(path: &Path, replaces: bool, part: u64, with_numbers: bool, about: About) -> Result<FlowList> {
        let folder = AtomicFolder::create(path, replaces, is_timeline)?;
        let around = folder_of(path);
        Ok(FlowList {
            folder: Some(folder),
            about,
            part,
            with_numbers,
            totals: Totals::default(),
            times: Some(Times::new(around)),
            lines: Some(Sorted::new(around)),
            flows: Some(Sorted::new(around)),
            pairs: Vec::new(),
            places: HashMap::new(),
            written: 0,
        })
    }

    fn pair(&mut self, a: Host, b: Host, hosts: &Hosts) -> u32 {
        let ends = if hosts.name(a) <= hosts.name(b) { (a, b) } else { (b, a) };
        *self.places.entry(ends).or_insert_with(|| {
            self.pairs.push(Pair { hosts: [ends.0, ends.1], bytes: 0, flows: 0, first: (i64::MAX, u64::MAX) });
            u32::try_from(self.pairs.len() - 1).expect("fewer than 2^32 pairs fit into memory")
        })
    }

    /// A row of the list.
    fn line(&self, flow: &Flow, first: &Packet, low: Host) -> String {
        let mut text = String::with_capacity(flow.packets.len() * 12 + 64);
        let mut buffer = itoa::Buffer::new();
        let mut number = |text: &mut String, n: i64, behind: char| {
            text.push_str(buffer.format(n));
            text.push(behind);
        };
        for n in [flow.start, first.src_port, first.dst_port, kind(flow) as i64] {
            number(&mut text, n, ',');
        }
        text.push('"');
        for packet in &flow.packets {
            number(&mut text, packet.time.saturating_sub(flow.start), ':');
            number(&mut text, packet.flags.unwrap_or(0), ':');
            number(&mut text, (packet.src == low).into(), if self.with_numbers { ':' } else { ',' });
            if self.with_numbers {
                number(&mut text, packet.seq, ':');
                number(&mut text, packet.ack, ',');
            }
        }
        text.pop();
        text.push_str("\"\n");
        text
    }

    /// Writes the files of all pairs; what the index is to say of them.
    fn lists(&self, lines: Sorted<Line>, folder: &AtomicFolder, hosts: &Hosts) -> Result<Vec<Listed>> {
        let mut taken = HashSet::new();
        let mut listed: Vec<Listed> = Vec::new();
        let mut open = None;
        let mut name = String::new();
        lines.each(|Line { pair, text, .. }| {
            let known = &self.pairs[pair as usize];
            let last = listed.last_mut().filter(|last| last.pair == pair);
            let full = last.as_ref().is_some_and(|last| last.bytes + text.len() as u64 > self.part);
            let part = match last {
                Some(last) if !full => last.part,
                Some(last) => last.part + 1,
                None => {
                    name = file_name(known.hosts.map(|host| hosts.name(host)), &mut taken);
                    1
                }
            };
            if listed.last().is_none_or(|last| (last.pair, last.part) != (pair, part)) {
                let parts = known.bytes + HEADER.len() as u64 > self.part;
                let file = if parts { format!("{name}_part{part}.csv") } else { format!("{name}.csv") };
                let next = folder.file(&format!("indices/flow_list/{file}"))?;
                if let Some(before) = open.replace(next) {
                    before.close()?;
                }
                if let Some(file) = &mut open {
                    file.append(HEADER)?;
                }
                listed.push(Listed { pair, file, part, flows: 0, bytes: HEADER.len() as u64 });
            }
            if let (Some(file), Some(last)) = (&mut open, listed.last_mut()) {
                file.append(text.as_bytes())?;
                last.flows += 1;
                last.bytes += text.len() as u64;
            }
            Ok(())
        })?;
        open.map_or(Ok(()), crate::sink::folder::Part::close)?;
        // Pairs were numbered as their flows ended.
        listed.sort_by_key(|listed| (self.pairs[listed.pair as usize].first, listed.part));
        Ok(listed)
    }

    fn write_lists(&self, json: &mut Json, listed: &[Listed], hosts: &Hosts, times: (i64, i64), unique: usize) {
        json.open(b'{');
        json.text("version", "1.2");
        json.text("format", "flow_list_csv");
        strings(json, "columns", ["start_time", "src_port", "dst_port", "close_type", "packets"]);
        json.int("total_flows", self.written);
        json.int("total_pairs", self.pairs.len());
        json.int("unique_ips", unique);
        span(json, times);
        json.key("pairs");
        json.open(b'[');
        let mut parts: HashMap<u32, usize> = HashMap::new();
        listed.iter().for_each(|listed| *parts.entry(listed.pair).or_default() += 1);
        for Listed { pair, file, part, flows, bytes } in listed {
            json.item();
            json.open(b'{');
            let [a, b] = self.pairs[*pair as usize].hosts.map(|host| hosts.name(host));
            json.text("pair", &format!("{a}<->{b}"));
            json.text("file", file);
            json.int("count", *flows);
            json.int("size", *bytes);
            if let Some(&parts) = parts.get(pair).filter(|parts| **parts > 1) {
                json.int("part", *part);
                json.int("total_parts", parts);
            }
            json.close(b'}');
        }
        json.close(b']');
        json.close(b'}');
    }

    /// Writes the bins of all widths; how many each has.
    fn bins(&self, flows: Sorted<Short>, folder: &AtomicFolder, hosts: &Hosts, first: i64) -> Result<[u64; 5]> {
        let mut files = Vec::new();
        for (name, ..) in WIDTHS {
            files.push(folder.file(&format!("indices/flow_bins_{name}.json"))?);
        }
        let mut open: [(i64, BTreeMap<u32, Counts>); 5] = Default::default();
        let mut written = [0; 5];
        let mut leave = |n: usize, bin: &mut (i64, BTreeMap<u32, Counts>)| {
            if bin.1.is_empty() {
                return Ok(());
            }
            let mut out = vec![if written[n] == 0 { b'[' } else { b',' }];
            written[n] += 1;
            self.bin(bin.0, WIDTHS[n].1, first, &std::mem::take(&mut bin.1), hosts, &mut out);
            files[n].append(&out)
        };
        flows.each(|flow| {
            for (n, bin) in open.iter_mut().enumerate() {
                let at = flow.start.saturating_sub(first).div_euclid(WIDTHS[n].1);
                if at != bin.0 {
                    leave(n, bin)?;
                    bin.0 = at;
                }
                bin.1.entry(flow.pair).or_default().add(&flow);
            }
            Ok(())
        })?;
        for (n, bin) in open.iter_mut().enumerate() {
            leave(n, bin)?;
        }
        for (mut file, written) in files.into_iter().zip(written) {
            file.append(if written == 0 { b"[]" } else { b"]" })?;
            file.close()?;
        }
        Ok(written)
    }

    /// Writes a bin.
    fn bin(&self, at: i64, width: i64, first: i64, counts: &BTreeMap<u32, Counts>, hosts: &Hosts, out: &mut Vec<u8>) {
        let start = first.saturating_add(at.saturating_mul(width));
        let text =
            format!("{{\"bin\":{at},\"start\":{start},\"end\":{},\"flows_by_ip_pair\":{{", start.saturating_add(width));
        out.extend_from_slice(text.as_bytes());
        let mut pairs: Vec<(&u32, &Counts)> = counts.iter().collect();
        pairs.sort_by_key(|(pair, _)| self.pairs[**pair as usize].first);
        for (nth, (&pair, counts)) in pairs.into_iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            let names = self.pairs[pair as usize].hosts.map(|host| hosts.name(host));
            string(&names.join("<->"), out);
            out.push(b':');
            counts.write(names, out);
        }
        out.extend_from_slice(b"}}");
    }
}

impl TimelineSink for FlowList {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.totals.add(packet);
        self.times.as_mut().ok_or_else(finished)?.push(packet.time)
    }

    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()> {
        let Some(first) = flow.packets.first() else { return Ok(()) };
        plain(hosts.name(first.src)).and(plain(hosts.name(first.dst)))?;
        let place = self.pair(first.src, first.dst, hosts);
        let low = self.pairs[place as usize].hosts[0];
        let text = self.line(flow, first, low);
        let pair = &mut self.pairs[place as usize];
        pair.bytes += text.len() as u64;
        pair.flows += 1;
        pair.first = pair.first.min((flow.start, flow.number));
        self.written += 1;
        let initiator = flow.sides.map_or(first.src, |sides| sides.initiator);
        let short = Short {
            start: flow.start,
            number: self.written,
            end: flow.end,
            pair: place,
            kind: kind(flow) as u8,
            by_low: initiator == low,
        };
        self.flows.as_mut().ok_or_else(finished)?.push(short)?;
        let line = Line { pair: place, start: flow.start, number: self.written, text };
        self.lines.as_mut().ok_or_else(finished)?.push(line)
    }

    /// Makes the folder visible.
    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        let folder = self.folder.take().ok_or_else(finished)?;
        let (Some(times), Some(lines), Some(flows)) = (self.times.take(), self.lines.take(), self.flows.take()) else {
            return Err(finished());
        };
        let range = self.totals.times.unwrap_or_default();
        let names = self.totals.names(hosts);
        let listed = self.lists(lines, &folder, hosts)?;
        write(&folder, "indices/flow_list/index.json", |json| {
            self.write_lists(json, &listed, hosts, range, names.len());
        })?;
        let bins = self.bins(flows, &folder, hosts, range.0)?;
        write(&folder, "indices/flow_bins_index.json", |json| self.write_widths(json, bins, range))?;
        write(&folder, "ips/ip_stats.json", |json| self.totals.write_hosts(json, hosts))?;
        write(&folder, "ips/flag_stats.json", |json| self.totals.write_flags(json))?;
        write(&folder, "ips/unique_ips.json", |json| items(json, names.iter().copied()))?;
        let mut parts = Bins::new(range);
        times.each(|time| match time == range.1 {
            true => parts.add_last(),
            false => parts.add(time),
        })?;
        write(&folder, "indices/bins.json", |json| {
            json.open(b'[');
            if self.totals.packets > 0 {
                parts.write(json, self.totals.packets);
            }
            json.close(b']');
        })?;
        write(&folder, "manifest.json", |json| self.manifest(json, range, names.len()))?;
        folder.commit()
    }
}

impl FlowList {
    fn write_widths(&self, json: &mut Json, bins: [u64; 5], (start, end): (i64, i64)) {
        json.open(b'{');
        json.key("resolutions");
        json.open(b'{');
        for (n, (name, width, minutes)) in WIDTHS.into_iter().enumerate() {
            json.key(name);
            json.open(b'{');
            json.text("file", &format!("flow_bins_{name}.json"));
            json.int("bin_width_us", width);
            json.int("bins_with_data", bins[n]);
            let last = n + 1 == WIDTHS.len();
            json.int(if last { "use_when_range_minutes_gt" } else { "use_when_range_minutes_lte" }, minutes);
            json.close(b'}');
        }
        json.close(b'}');
        json.key("time_range");
        json.open(b'{');
        json.int("start_us", start);
        json.int("end_us", end);
        json.int("duration_minutes", (i128::from(end) - i128::from(start)) / 60_000_000);
        json.close(b'}');
        json.int("total_flows", self.written);
        json.int("total_ip_pairs", self.pairs.len());
        json.close(b'}');
    }

    fn manifest(&self, json: &mut Json, range: (i64, i64), unique: usize) {
        json.open(b'{');
        json.text("version", "5.0");
        json.text("format", "flow_list_csv");
        json.text("created", &iso(self.about.created));
        source(json, &self.about);
        strings(json, "source_files", self.about.sources.iter().map(String::as_str));
        json.int("total_packets", self.totals.packets);
        json.int("tcp_packets", self.totals.tcp);
        json.int("unique_ips", unique);
        json.int("total_flows", self.written);
        json.int("total_ip_pairs", self.pairs.len());
        time_range(json, range);
        json.key("structure");
        json.open(b'{');
        json.text("flow_list", "indices/flow_list/index.json");
        json.text("time_bins", "indices/bins.json");
        json.text("flow_bins_index", "indices/flow_bins_index.json");
        json.text("ip_stats", "ips/ip_stats.json");
        json.text("flag_stats", "ips/flag_stats.json");
        json.text("unique_ips", "ips/unique_ips.json");
        json.close(b'}');
        choice(json, &self.about);
        json.close(b'}');
    }
}

const HEADER: &[u8] = b"start_time,src_port,dst_port,close_type,packets\n";

/// The number of what became of a flow.
fn kind(flow: &Flow) -> usize {
    match (flow.reason, flow.close) {
        (Some(Reason::RstDuringHandshake), _) => 4,
        (Some(Reason::InvalidAck), _) => 5,
        (Some(Reason::InvalidSynAck), _) => 6,
        (Some(Reason::IncompleteNoSynAck), _) => 7,
        (Some(Reason::IncompleteNoAck), _) => 8,
        (None, Some(Close::Invalid)) => 9,
        (None, Some(Close::Graceful)) => 1,
        (None, Some(Close::Abortive)) => 2,
        (None, Some(Close::Open)) => 3,
        (None, None) => 0,
    }
}

/// Characters of a host's name in the name of a file.
const MOST_OF_A_NAME: usize = 80;

/// The name of a pair's file without its end, as nobody else has it: what is neither letter nor digit is `-`.
fn file_name(names: [&str; 2], taken: &mut HashSet<String>) -> String {
    let simple = |name: &str| -> String {
        name.chars().take(MOST_OF_A_NAME).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
    };
    let name = names.map(simple).join("__");
    let mut free = name.clone();
    let mut number = 1;
    while !taken.insert(free.to_ascii_lowercase()) {
        number += 1;
        free = format!("{name}_{number}");
    }
    free
}

/// What the index says of a file.
#[derive(Debug)]
struct Listed {
    pair: u32,
    file: String,
    part: u64,
    flows: u64,
    bytes: u64,
}

/// Appends a string of JSON.
fn string(text: &str, out: &mut Vec<u8>) {
    let mut json = Json::default();
    json.string(text);
    out.append(&mut json.take());
}

/// A flow as a row, in the order of pairs and starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    pair: u32,
    start: i64,
    number: u64,
    text: String,
}

impl Record for Line {
    fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; 3 * LONGEST];
        let mut at = put(&mut bytes, 0, self.pair.into());
        at = put(&mut bytes, at, zigzag(self.start));
        at = put(&mut bytes, at, self.number);
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(self.text.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Line {
        let (pair, start, number) = (take(bytes) as u32, unzigzag(take(bytes)), take(bytes));
        Line { pair, start, number, text: String::from_utf8_lossy(bytes).into_owned() }
    }

    fn beside(&self) -> usize {
        self.text.len()
    }
}

/// A flow as bins count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Short {
    start: i64,
    number: u64,
    end: i64,
    pair: u32,
    kind: u8,
    /// The first host of the pair began it.
    by_low: bool,
}

impl Record for Short {
    fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; 5 * LONGEST];
        let mut at = put(&mut bytes, 0, zigzag(self.start));
        at = put(&mut bytes, at, self.number);
        at = put(&mut bytes, at, zigzag(self.end));
        at = put(&mut bytes, at, self.pair.into());
        at = put(&mut bytes, at, u64::from(self.kind) << 1 | u64::from(self.by_low));
        out.extend_from_slice(&bytes[..at]);
    }

    fn read(bytes: &mut &[u8]) -> Short {
        let (start, number) = (unzigzag(take(bytes)), take(bytes));
        let (end, pair, kind) = (unzigzag(take(bytes)), take(bytes) as u32, take(bytes));
        Short { start, number, end, pair, kind: (kind >> 1) as u8, by_low: kind & 1 == 1 }
    }
}

/// The flows of a pair in a bin.
#[derive(Clone, Debug, Default)]
struct Counts {
    /// By kind: those that each host began, and the time from the earliest start to the latest end.
    kinds: [[u64; 2]; KINDS.len()],
    ranges: [Option<(i64, i64)>; KINDS.len()],
}

impl Counts {
    fn add(&mut self, flow: &Short) {
        let kind = usize::from(flow.kind).min(KINDS.len() - 1);
        self.kinds[kind][usize::from(!flow.by_low)] += 1;
        let (start, end) = self.ranges[kind].unwrap_or((flow.start, flow.end));
        self.ranges[kind] = Some((start.min(flow.start), end.max(flow.end)));
    }

    fn write(&self, names: [&str; 2], out: &mut Vec<u8>) {
        let count = |kind: usize| self.kinds[kind].iter().sum::<u64>();
        let members = |out: &mut Vec<u8>, list: &mut dyn Iterator<Item = (&str, String)>| {
            out.push(b'{');
            for (nth, (name, value)) in list.enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
            }
            out.push(b'}');
        };
        out.extend_from_slice(format!("{{\"graceful\":{},\"abortive\":{},\"invalid\":", count(1), count(2)).as_bytes());
        let some = |kinds: std::ops::Range<usize>, count: &dyn Fn(usize) -> u64| -> Vec<(&str, String)> {
            kinds.filter(|&kind| count(kind) > 0).map(|kind| (KINDS[kind], count(kind).to_string())).collect()
        };
        members(out, &mut some(INVALID..KINDS.len(), &count).into_iter());
        out.extend_from_slice(
            format!(",\"ongoing\":{},\"open\":{},\"initiated_by\":{{", count(3), count(0)).as_bytes(),
        );
        for (side, name) in names.into_iter().enumerate() {
            if side == 1 && names[0] == names[1] {
                break;
            }
            if side == 1 {
                out.push(b',');
            }
            string(name, out);
            out.push(b':');
            members(out, &mut some(0..KINDS.len(), &|kind| self.kinds[kind][side]).into_iter());
        }
        out.extend_from_slice(b"},\"ranges\":");
        let range = |kind: usize| self.ranges[kind].map(|(start, end)| (KINDS[kind], format!("[{start},{end}]")));
        members(out, &mut (0..KINDS.len()).filter_map(range));
        out.push(b'}');
    }
}
