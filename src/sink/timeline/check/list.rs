//! Version 5.0: flows by pair of hosts, and bins of five widths.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use serde::de::MapAccess;
use serde_json::{Map, Value};

use super::flow_row::{self, Packet};
use super::folder::Folder;
use super::started::{Open, Prints};
use super::stream::{Bounded, Elements, Held, LONGEST_ELEMENT, Members, plain};
use super::totals::{self, OfHost};
use super::{MANIFEST, bins_of_flows, manifest, print};
use crate::capture::Pieces;
use crate::sink::timeline::totals::Bins;
use crate::views::timeline::flags::flag_type;

pub(super) const INDEX: &str = "indices/flow_list/index.json";
const HEADER: &str = "start_time,src_port,dst_port,close_type,packets";

const STRUCTURE: [(&str, &str); 6] = [
    ("flow_list", INDEX),
    ("time_bins", "indices/bins.json"),
    ("flow_bins_index", bins_of_flows::INDEX),
    ("ip_stats", totals::HOSTS),
    ("flag_stats", totals::FLAGS),
    ("unique_ips", totals::NAMES),
];

/// What all lists together have.
pub(super) struct Seen {
    range: (i64, i64),
    /// Pairs by name, and what of each is in bins.
    pub(super) pairs: HashMap<Box<str>, u32>,
    pub(super) prints: Vec<Prints>,
    /// Parts that pairs have, where there are several: how many there are to be, and which were seen.
    parts: BTreeMap<u32, (u64, Vec<u64>)>,
    files: HashSet<u64>,
    flows: i64,
    /// Packets, and by flags.
    packets: u64,
    flags: BTreeMap<i64, u64>,
    hosts: BTreeMap<String, OfHost>,
    bins: Bins,
    at_last: u64,
    /// All packets have sequence and acknowledgement numbers.
    has_numbers: bool,
}

pub(super) fn check(folder: &mut Folder<'_>, says: &Value) {
    let [packets, tcp, flows, pairs, hosts] =
        ["total_packets", "tcp_packets", "total_flows", "total_ip_pairs", "unique_ips"]
            .map(|name| folder.number(MANIFEST, says, name));
    let range = folder.range(says);
    manifest::check(folder, says, &STRUCTURE);
    let mut seen = Seen {
        range,
        pairs: HashMap::new(),
        prints: Vec::new(),
        parts: BTreeMap::new(),
        files: HashSet::new(),
        flows: 0,
        packets: 0,
        flags: BTreeMap::new(),
        hosts: BTreeMap::new(),
        bins: Bins::new(range),
        at_last: 0,
        has_numbers: true,
    };
    lists(folder, &mut seen, [flows, pairs, hosts]);
    folder.has_packets = seen.has_numbers;
    let filter = manifest::Filter::of(says);
    let ends = seen.pairs.keys().filter_map(|pair| pair.split_once("<->"));
    ends.for_each(|(a, b)| filter.look(folder.findings, a, b));
    filter.finish(folder.findings);
    let unlisted = of_flags(folder, &seen, tcp);
    bins_of_flows::check(folder, &mut seen, flows, pairs, range, unlisted == 0);
    let listed = seen.packets as i64;
    totals::hosts_of_lists(folder, &seen.hosts, tcp, range, unlisted == 0);
    totals::names(folder, seen.hosts.keys(), hosts, unlisted == 0 && tcp == packets);
    let is_all = unlisted == 0 && listed == packets;
    totals::hundredths(folder, &seen.bins, seen.at_last as i64, packets, is_all);
}

/// Packets by the name of their flags, against their sum and against the lists; how many are in no list.
fn of_flags(folder: &mut Folder<'_>, seen: &Seen, tcp: i64) -> u64 {
    let mut stats: BTreeMap<String, u64> = BTreeMap::new();
    let then = "viewers of stored totals show that number";
    for (name, n) in totals::flags(folder) {
        totals::no_packets(folder, &name, &n);
        match n.as_u64() {
            Some(n) => _ = stats.insert(name, n),
            None => folder.problem(totals::FLAGS, format_args!("{name} is {n}, and no number of packets"), then),
        }
    }
    let sum = stats.values().fold(0, |sum: u64, n| sum.saturating_add(*n));
    folder.findings.equal(totals::FLAGS, "its sum", &(sum as i64), &tcp, then);
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for (flags, packets) in &seen.flags {
        *listed.entry(flag_type(Some(*flags)).into_owned()).or_default() += packets;
    }
    let is = |name: &str| stats.get(name).copied().unwrap_or(0);
    for (name, listed) in &listed {
        // Where there were no flags, lists have 0.
        let is = if name == "NONE" { is(name).saturating_add(is("INVALID")) } else { is(name) };
        if *listed > is {
            folder.problem(totals::FLAGS, format_args!("{name} is {is}, and lists have {listed}"), then);
        }
    }
    let unlisted = sum.saturating_sub(seen.packets);
    let without = listed.get("NONE").map_or(0, |listed| listed.saturating_sub(is("NONE")));
    let apart = unlisted.saturating_sub(is("INVALID").saturating_sub(without));
    if apart > 0 {
        folder.findings.notes.push(format!("{}: {apart} TCP packets are in no list", totals::FLAGS));
    }
    let has = |name: &str| listed.contains_key(if name == "INVALID" { "NONE" } else { name });
    for name in stats.keys().filter(|name| unlisted == 0 && !has(name) && is(name) > 0) {
        folder.problem(totals::FLAGS, format_args!("{name} is {}, and lists have none", is(name)), then);
    }
    unlisted
}

/// The index, whose entries are taken as they are read.
pub(super) struct Entries<F> {
    pub(super) held: Held,
    pub(super) take: F,
    /// The other members.
    pub(super) rest: Map<String, Value>,
}

impl<F: FnMut(Value)> Members for Entries<F> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        if name == "pairs" {
            return map.next_value_seed(Elements(self.held.here(), &mut self.take));
        }
        self.rest.insert(name, plain(map.next_value()?));
        Ok(())
    }
}

/// Reads the index and the lists of all pairs.
fn lists(folder: &mut Folder<'_>, seen: &mut Seen, [flows, pairs, hosts]: [i64; 3]) {
    // The index is read to its end beside the lists that it names.
    let Some(text) = folder.open(INDEX) else { return };
    let held = Held::default();
    let mut reader = serde_json::Deserializer::from_reader(Bounded::new(text, &held, LONGEST_ELEMENT));
    let mut open: (Option<u32>, Open) = (None, Open::default());
    let entries = Entries { held, take: |entry: Value| self::entry(folder, seen, &mut open, &entry), rest: Map::new() };
    let read = serde::de::DeserializeSeed::deserialize(super::stream::Object(entries), &mut reader);
    let read = read.and_then(|entries| reader.end().map(|()| entries.rest));
    if let (Some(pair), mut bins) = open {
        bins.finish(&mut seen.prints[pair as usize]);
    }
    let rest = match read {
        Ok(rest) => Value::Object(rest),
        Err(error) => return folder.problem(INDEX, error, "viewers load no flows"),
    };
    let then = "viewers do not take it for a list of flows";
    folder.findings.equal(INDEX, "version", &rest["version"], &"1.2".into(), then);
    folder.findings.equal(INDEX, "format", &rest["format"], &"flow_list_csv".into(), then);
    let columns: Vec<Value> = HEADER.split(',').map(Into::into).collect();
    folder.findings.equal(INDEX, "columns", &rest["columns"], &Value::Array(columns), then);
    let number = "viewers print that number";
    folder.findings.equal(INDEX, "unique_ips", &rest["unique_ips"].as_i64(), &Some(hosts), number);
    let times = ["start", "end"].map(|name| folder.number(INDEX, &rest["time_range"], name));
    folder.findings.equal(INDEX, "time_range", &times, &seen.range.into(), "viewers show another stretch of time");
    for (pair, (total, mut parts)) in std::mem::take(&mut seen.parts) {
        parts.sort_unstable();
        if !parts.iter().copied().eq(1..=total) {
            let what = format_args!("{} has the parts {parts:?} of {total}", name_of(&seen.pairs, pair));
            folder.problem(INDEX, what, "viewers show some of its flows twice, or not");
        }
    }
    for (file, says) in [(MANIFEST, flows), (INDEX, rest["total_flows"].as_i64().unwrap_or(-1))] {
        folder.findings.equal(file, "total_flows", &says, &seen.flows, number);
    }
    for (file, says) in [(MANIFEST, pairs), (INDEX, rest["total_pairs"].as_i64().unwrap_or(-1))] {
        folder.findings.equal(file, "the number of pairs", &says, &(seen.pairs.len() as i64), number);
    }
}

pub(super) fn name_of(pairs: &HashMap<Box<str>, u32>, pair: u32) -> String {
    pairs.iter().find(|(_, number)| **number == pair).map_or_else(String::new, |(name, _)| name.to_string())
}

/// An entry of the index, and the list that it names.
fn entry(folder: &mut Folder<'_>, seen: &mut Seen, open: &mut (Option<u32>, Open), entry: &Value) {
    let (Some(pair), Some(file)) = (entry["pair"].as_str(), entry["file"].as_str()) else {
        return folder.problem(INDEX, format_args!("no pair or no file: {entry}"), "viewers do not load it");
    };
    if pair.split_once("<->").is_none_or(|(a, b)| a > b) {
        folder.problem(INDEX, format_args!("{pair} is not in order"), "viewers do not find it by its hosts");
    }
    if !seen.files.insert(print(&file)) {
        folder.problem(INDEX, format_args!("{file} is listed twice"), "viewers show its flows twice");
    }
    let next = u32::try_from(seen.pairs.len()).unwrap_or(u32::MAX);
    let number = match seen.pairs.get(pair) {
        Some(&number) => number,
        None => {
            seen.pairs.insert(pair.into(), next);
            seen.prints.push(Prints::default());
            next
        }
    };
    part(folder, seen, number, next == number, pair, entry);
    if open.0 != Some(number) {
        if let Some(before) = open.0 {
            open.1.finish(&mut seen.prints[before as usize]);
        }
        *open = (Some(number), Open::default());
    }
    let size = entry["size"].as_u64();
    let rows = list(folder, pair, file, size, seen, number, &mut open.1);
    let then = "viewers print that number";
    folder.findings.alike(INDEX, &format!("count of {file}"), &entry["count"].as_u64(), &Some(rows), then);
    seen.flows += rows as i64;
}

/// Which part of a pair's list an entry is.
fn part(folder: &mut Folder<'_>, seen: &mut Seen, number: u32, is_first: bool, pair: &str, entry: &Value) {
    match (&entry["part"], &entry["total_parts"]) {
        (Value::Null, Value::Null) if is_first => {}
        (part, total) => match part.as_u64().zip(total.as_u64()) {
            Some((part, total)) => {
                let known = seen.parts.entry(number).or_insert((total, if is_first { vec![] } else { vec![1] }));
                if known.0 != total {
                    let what = format_args!("{pair} has {total} parts here, and {} before", known.0);
                    folder.findings.problem(INDEX, what, "viewers do not load them all");
                }
                known.1.push(part);
            }
            None => {
                let what = format_args!("{pair}: part is {part} of {total}");
                folder.findings.problem(INDEX, what, "viewers take it for the whole list");
            }
        },
    }
}

/// Reads the list of a pair, or a part of it; how many flows it has.
fn list(
    folder: &mut Folder<'_>,
    pair: &str,
    file: &str,
    size: Option<u64>,
    seen: &mut Seen,
    number: u32,
    open: &mut Open,
) -> u64 {
    let name = format!("indices/flow_list/{file}");
    let Some(mut lines) = folder.pieces(&name) else { return 0 };
    let is = folder.length(&name);
    folder.findings.alike(INDEX, &format!("size of {file}"), &size, &is, "viewers plan their loading by it");
    if !begins(folder, &name, &mut lines) {
        return 0;
    }
    let (range, hosts) = (seen.range, pair.split_once("<->"));
    let mut of = [OfHost::default(); 2];
    let (mut rows, mut before) = (0, i64::MIN);
    loop {
        let row = flow_row::read(&mut lines, |Packet { time, flags, up }| {
            seen.packets += 1;
            *seen.flags.entry(flags).or_default() += 1;
            of[usize::from(!up)].add(true, 0, time);
            of[usize::from(up)].add(false, 0, time);
            if time == range.1 {
                seen.at_last += 1;
            } else {
                seen.bins.add(time);
            }
        });
        let row = match row {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                folder.problem(&name, error, "viewers do not see the flows behind it");
                break;
            }
        };
        rows += 1;
        let line = rows + 1;
        match row {
            Ok(row) => {
                if row.start < before {
                    let what = format_args!("line {line} starts before the one before it");
                    folder.problem(&name, what, "viewers that search by time miss it");
                }
                if row.start < range.0 || row.end > range.1 {
                    let what = format_args!("line {line} is outside the time of the folder");
                    folder.problem(&name, what, "viewers draw it outside, or not");
                }
                before = row.start;
                seen.has_numbers &= row.has_numbers;
                folder.flows = folder.flows.wrapping_add(print(&(pair, row.print)));
                let since = row.start.saturating_sub(range.0);
                open.add(&mut seen.prints[number as usize], since, row.kind, row.by_low, (row.start, row.end));
            }
            Err(why) => {
                folder.problem(&name, format_args!("line {line}: {why}"), "viewers show the flow otherwise, or not")
            }
        }
    }
    if let Some((a, b)) = hosts {
        for (host, of) in [a, b].into_iter().zip(of) {
            seen.hosts.entry(host.to_owned()).or_default().join(&of);
        }
    }
    rows
}

/// Whether a list begins as it should.
fn begins(folder: &mut Folder<'_>, name: &str, lines: &mut Pieces<super::folder::Text>) -> bool {
    match lines.line() {
        Ok(first) => {
            let first = first.unwrap_or_default();
            folder.findings.alike(name, "its first line", &first, &HEADER, "viewers take a flow for the header");
            true
        }
        Err(error) => {
            folder.problem(name, error, "viewers do not see its flows");
            false
        }
    }
}

/// Hands over the flows of some pairs once more.
pub(super) fn again(folder: &mut Folder<'_>, pairs: &HashSet<String>, mut take: impl FnMut(&str, flow_row::Row)) {
    let mut files: Vec<(String, String)> = Vec::new();
    let find = |entry: Value| {
        if let (Some(pair), Some(file)) = (entry["pair"].as_str(), entry["file"].as_str())
            && pairs.contains(pair)
        {
            files.push((pair.to_owned(), file.to_owned()));
        }
    };
    // What cannot be read was told the first time.
    let mut quiet = super::findings::Findings::default();
    let mut folder = Folder::new(folder.path, &mut quiet);
    folder.members(INDEX, |held| Entries { held, take: find, rest: Map::new() });
    for (pair, file) in files {
        let Some(mut lines) = folder.pieces(&format!("indices/flow_list/{file}")) else { continue };
        if lines.line().is_err() {
            continue;
        }
        while let Ok(Some(row)) = flow_row::read(&mut lines, |_| {}) {
            if let Ok(row) = row {
                take(&pair, row);
            }
        }
    }
}
