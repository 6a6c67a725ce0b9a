//! The folder of version 5.0, `flow_list_csv`: flows by pair of hosts, and how many there are in bins of five widths.
//!
//! Flows leave a run as they end, of any pair. They wait in a temporary file in the order of pair and start, so one file is written at a
//! time, however many pairs there are. Only pairs and hosts stay in memory.
//!
//! Bins begin at multiples of their width since the first packet. The two ends of a pair are in the order of their text. To the viewer who sent
//! a flow's first packet began it, so ports are in that order, and `initiated_by` counts the same host.

use std::path::Path;

use hashbrown::HashMap;

use super::cells::number;
use super::flow_bins::{self, Pairs, Short, WIDTHS};
use super::json::Json;
use super::manifest::{choice, finished, iso, items, plain, source, span, strings, time_range, write};
use super::times::Times;
use super::totals::{Bins, Totals};
use super::{About, is_timeline};
use crate::error::Result;
use crate::flow::varint::{LONGEST, put, take, unzigzag, zigzag};
use crate::sink::folder::AtomicFolder;
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
use crate::views::timeline::{Close, Flow, Host, Hosts, Mode, Packet, Reason, TimelineSink};

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
    /// The row of a flow.
    text: Vec<u8>,
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
        Ok(FlowList::fill(AtomicFolder::create(path, replaces, is_timeline)?, part, with_numbers, about))
    }

    /// As [`FlowList::create`] with parts of [`PART`] and with numbers, in a folder of another that is under way.
    pub(super) fn inside(around: &AtomicFolder, name: &str, about: About) -> Result<FlowList> {
        Ok(FlowList::fill(around.inside(name, is_timeline)?, PART, true, about))
    }

    fn fill(folder: AtomicFolder, part: u64, with_numbers: bool, about: About) -> FlowList {
        let scratch = Scratch::beside(&folder);
        FlowList {
            folder: Some(folder),
            about,
            part,
            with_numbers,
            totals: Totals::default(),
            times: Some(Times::new(scratch.clone())),
            text: Vec::new(),
            lines: Some(Sorted::new(scratch.clone())),
            flows: Some(Sorted::new(scratch)),
            pairs: Vec::new(),
            places: HashMap::new(),
            written: 0,
        }
    }

    /// The number of a pair.
    ///
    /// # Errors
    /// A name that does not fit the list.
    fn pair(&mut self, a: Host, b: Host, hosts: &Hosts) -> Result<u32> {
        let known = self.places.get(&(a, b)).or_else(|| self.places.get(&(b, a)));
        if let Some(&place) = known {
            return Ok(place);
        }
        plain(hosts.name(a)).and(plain(hosts.name(b)))?;
        let ends = if hosts.name(a) <= hosts.name(b) { [a, b] } else { [b, a] };
        let place = u32::try_from(self.pairs.len()).expect("fewer than 2^32 pairs fit into memory");
        self.pairs.push(Pair { hosts: ends, bytes: 0, flows: 0, first: (i64::MAX, u64::MAX) });
        self.places.insert((ends[0], ends[1]), place);
        Ok(place)
    }

    /// Lays out a row of the list.
    fn lay_out(&mut self, flow: &Flow, first: &Packet, low: Host) {
        let text = &mut self.text;
        text.clear();
        for n in [flow.start, first.src_port, first.dst_port, kind(flow) as i64] {
            number(n, b',', text);
        }
        text.push(b'"');
        for packet in &flow.packets {
            number(packet.time.saturating_sub(flow.start), b':', text);
            number(packet.flags.unwrap_or(0), b':', text);
            text.push(if packet.src == low { b'1' } else { b'0' });
            if self.with_numbers {
                text.push(b':');
                number(packet.seq, b':', text);
                number(packet.ack, b',', text);
            } else {
                text.push(b',');
            }
        }
        text.pop();
        text.extend_from_slice(b"\"\n");
    }

    /// Writes the files of all pairs; what the index is to say of them.
    fn lists(&self, lines: Sorted<Line>, ranks: &[u32], folder: &AtomicFolder, hosts: &Hosts) -> Result<Vec<Listed>> {
        let shelf = folder.shelf("indices/flow_list")?;
        let mut used = HashMap::new();
        let mut listed: Vec<Listed> = Vec::new();
        let mut text = Vec::new();
        let mut name = String::new();
        let put = |listed: &[Listed], text: &[u8]| listed.last().map_or(Ok(()), |last| shelf.put(&last.file, text));
        lines.each(|Line { pair, text: line, .. }| {
            let known = &self.pairs[pair as usize];
            let last = listed.last_mut().filter(|last| last.pair == pair);
            let part = match last {
                Some(last) if last.bytes + line.len() as u64 <= self.part => {
                    last.flows += 1;
                    last.bytes += line.len() as u64;
                    text.extend_from_slice(&line);
                    return Ok(());
                }
                Some(last) => last.part + 1,
                None => {
                    name = file_name(known.hosts.map(|host| hosts.name(host)), &mut used);
                    1
                }
            };
            put(&listed, &text)?;
            text.clear();
            text.extend_from_slice(HEADER);
            text.extend_from_slice(&line);
            let parts = known.bytes + HEADER.len() as u64 > self.part;
            let file = if parts { format!("{name}_part{part}.csv") } else { [&name, ".csv"].concat() };
            listed.push(Listed { pair, file, part, flows: 1, bytes: text.len() as u64 });
            Ok(())
        })?;
        put(&listed, &text)?;
        // Pairs were numbered as their flows ended.
        listed.sort_by_key(|listed| (ranks[listed.pair as usize], listed.part));
        Ok(listed)
    }

    /// Puts pairs in the order in which they are listed.
    fn ranked(&self) -> Pairs {
        let mut order: Vec<u32> = (0..).zip(&self.pairs).map(|(number, _)| number).collect();
        order.sort_unstable_by_key(|&number| self.pairs[number as usize].first);
        let mut ranks = vec![0; order.len()];
        for (rank, &number) in (0..).zip(&order) {
            ranks[number as usize] = rank;
        }
        Pairs { ranks, hosts: order.into_iter().map(|number| self.pairs[number as usize].hosts).collect() }
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
            json.text("pair", &[a, "<->", b].concat());
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
}

impl TimelineSink for FlowList {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.totals.add(packet);
        self.times.as_mut().ok_or_else(finished)?.push(packet.time)
    }

    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()> {
        let Some(first) = flow.packets.first() else { return Ok(()) };
        let place = self.pair(first.src, first.dst, hosts)?;
        let low = self.pairs[place as usize].hosts[0];
        self.lay_out(flow, &first, low);
        let pair = &mut self.pairs[place as usize];
        pair.bytes += self.text.len() as u64;
        pair.flows += 1;
        pair.first = pair.first.min((flow.start, flow.number));
        self.written += 1;
        let short = Short {
            start: flow.start,
            number: self.written,
            end: flow.end,
            pair: place,
            kind: kind(flow) as u8,
            by_low: first.src == low,
        };
        self.flows.as_mut().ok_or_else(finished)?.push(short)?;
        let line = Line { pair: place, start: flow.start, number: self.written, text: self.text[..].into() };
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
        let pairs = self.ranked();
        let listed = self.lists(lines, &pairs.ranks, &folder, hosts)?;
        write(&folder, "indices/flow_list/index.json", |json| {
            self.write_lists(json, &listed, hosts, range, names.len());
        })?;
        drop(listed);
        let bins = flow_bins::write(flows, &pairs, range.0, &folder, hosts)?;
        write(&folder, "indices/flow_bins_index.json", |json| self.write_widths(json, bins, range))?;
        if self.about.mode == Mode::Correct {
            self.totals.sort(hosts);
        }
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

/// The name of a pair's file without its end, as nobody else has it: what is neither letter nor digit is `-`, and a number behind `_` tells
/// pairs apart whose names are then alike, also where letters have no case. `used` has how many there are of each.
fn file_name(names: [&str; 2], used: &mut HashMap<String, u64>) -> String {
    let simple = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let [a, b] = names.map(|name| name.chars().take(MOST_OF_A_NAME).map(simple));
    let mut name = String::with_capacity(2 * MOST_OF_A_NAME);
    name.extend(a);
    name.push_str("__");
    name.extend(b);
    // No name has `_` of its own but the two in the middle, so one with a number is none without.
    let number = used.entry(name.to_ascii_lowercase()).or_default();
    *number += 1;
    if *number > 1 {
        name.push_str(&format!("_{number}"));
    }
    name
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

/// A flow as a row, in the order of pairs and starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    pair: u32,
    start: i64,
    number: u64,
    text: Box<[u8]>,
}

impl Record for Line {
    type Before = ();

    fn write(&self, (): &mut (), out: &mut Vec<u8>) {
        let mut bytes = [0; 3 * LONGEST];
        let mut at = put(&mut bytes, 0, self.pair.into());
        at = put(&mut bytes, at, zigzag(self.start));
        at = put(&mut bytes, at, self.number);
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(&self.text);
    }

    fn read((): &mut (), bytes: &mut &[u8]) -> Line {
        let (pair, start, number) = (take(bytes) as u32, unzigzag(take(bytes)), take(bytes));
        Line { pair, start, number, text: (*bytes).into() }
    }

    fn beside(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_whose_names_are_alike_have_numbers() {
        let mut used = HashMap::new();
        let long = "x".repeat(MOST_OF_A_NAME);
        for (names, file) in [
            (["10.0.0.1", "fe80::1"], "10-0-0-1__fe80--1"),
            (["10.0.0.1", "fe80--1"], "10-0-0-1__fe80--1_2"),
            (["10-0-0.1", "FE80::1"], "10-0-0-1__FE80--1_3"),
            (["10.0.0.1", "fe80::1_2"], "10-0-0-1__fe80--1-2"),
            (["é", "ü"], "-__-"),
            (["è", "日"], "-__-_2"),
            (["", ""], "__"),
            (["", ""], "___2"),
            ([&format!("{long}a"), "b"], &format!("{long}__b")),
            ([&format!("{long}c"), "b"], &format!("{long}__b_2")),
        ] {
            assert_eq!(file_name(names, &mut used), file);
        }
    }

    /// A look a name: were names before it tried in turn, this would take days.
    #[test]
    fn very_many_names_may_be_alike() {
        let mut used = HashMap::new();
        let last = (0..1_000_000).map(|_| file_name(["主", "机"], &mut used)).last();
        assert_eq!(last.as_deref(), Some("-__-_1000000"));
    }
}
