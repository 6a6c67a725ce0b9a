//! Version 2.0: packets, flows in files of several, an index, and totals.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use hashbrown::HashSet;
use serde_json::Value;

use super::findings::Findings;
use super::flow::{self, Flow};
use super::folder::{Folder, Text, cells, integer};
use super::packets::{Has, Sums, Told, is_tcp};
use super::stream::{Array, Object, plain};
use super::totals::{self, OfHost};
use super::{Extent, MANIFEST, PORTS, manifest, print};
use crate::error::Result;
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
use crate::sink::timeline::totals::Bins;
use crate::views::timeline::flags::flag_type;
use crate::views::timeline::table::COLUMNS;

const PACKETS: &str = "packets.csv";

/// Of the columns, those without which viewers show nothing.
const REQUIRED: usize = 7;

/// What only timelines of this project have, for whoever reads packets.csv again.
const SEG_LEN: &str = "seg_len";

const INDEX: &str = "flows/flows_index.json";

const STRUCTURE: [(&str, &str); 7] = [
    ("packets", PACKETS),
    ("flows_index", INDEX),
    ("flow_chunks", "flows/chunk_*.json"),
    ("time_bins", totals::BINS),
    ("ip_stats", totals::HOSTS),
    ("flag_stats", totals::FLAGS),
    ("unique_ips", totals::NAMES),
];

const STATES: [&str; 9] =
    ["new", "establishing", "established", "data_transfer", "ongoing", "closing", "closed", "aborted", "invalid"];

pub(super) fn check(folder: &mut Folder<'_>, says: &Value) -> Result<()> {
    let [packets, tcp, hosts, flows, per_chunk, chunks] =
        ["total_packets", "tcp_packets", "unique_ips", "total_flows", "flows_per_chunk", "total_chunks"]
            .map(|name| folder.number(MANIFEST, says, name));
    let range = folder.range(says);
    manifest::check(folder, says, &STRUCTURE);
    let mut sums = Sums::up_to(range.1);
    let mut seen = Seen { range, bins: Bins::new(range), ..Seen::default() };
    if packets != 0 || folder.path.join(PACKETS).exists() {
        rows(folder, &manifest::Filter::of(says), &mut sums, &mut seen);
    }
    let number = "viewers print that number";
    folder.findings.equal(MANIFEST, "total_packets", &packets, &seen.packets, number);
    folder.findings.equal(MANIFEST, "tcp_packets", &tcp, &seen.tcp, number);
    folder.findings.equal(MANIFEST, "time_range", &range, &seen.times.range(), "viewers name other times");
    folder.findings.equal(MANIFEST, "unique_ips", &hosts, &(seen.hosts.len() as i64), number);
    totals::names(folder, seen.hosts.keys(), hosts, true);
    let of_tcp = seen.hosts.iter().filter(|(_, of)| **of != OfHost::default());
    totals::hosts_are(folder, &of_tcp.map(|(host, of)| (host.clone(), *of)).collect());
    totals::flags_are(folder, &seen.flags);
    let walked = Walk::new(&mut sums).index(folder)?;
    folder.findings.equal(MANIFEST, "total_flows", &flows, &walked.0, number);
    folder.findings.equal(MANIFEST, "total_chunks", &chunks, &walked.1, number);
    let full = i128::from(walked.0) + i128::from(per_chunk) - 1;
    if per_chunk < 1 || walked.2 > per_chunk || i128::from(walked.1) != full.div_euclid(per_chunk.into()) {
        let what = format_args!(
            "flows_per_chunk is {per_chunk}, and {} files have {} flows, up to {} each",
            walked.1, walked.0, walked.2
        );
        folder.problem(MANIFEST, what, "viewers reckon with other files");
    }
    totals::hundredths(folder, &seen.bins, seen.at_last, seen.packets, true);
    sums.compare(folder, PACKETS);
    Ok(())
}

#[derive(Debug)]
struct Seen {
    range: (i64, i64),
    packets: i64,
    tcp: i64,
    times: Extent,
    bins: Bins,
    /// Packets of the last time.
    at_last: i64,
    /// Hosts, with what they sent and got over TCP.
    hosts: BTreeMap<String, OfHost>,
    flags: BTreeMap<String, i64>,
}

impl Default for Seen {
    fn default() -> Seen {
        let (times, bins) = (Extent::default(), Bins::new((0, 0)));
        let (hosts, flags) = (BTreeMap::new(), BTreeMap::new());
        Seen { range: (0, 0), packets: 0, tcp: 0, times, bins, at_last: 0, hosts, flags }
    }
}

/// Reads the packets.
fn rows(folder: &mut Folder<'_>, filter: &manifest::Filter<'_>, all: &mut Sums, seen: &mut Seen) {
    let (mut width, mut places): (usize, Vec<Option<usize>>) = (0, Vec::new());
    let (mut before, mut earlier, mut first_earlier) = (i64::MIN, 0_u64, 0);
    let mut pairs: HashSet<u64> = HashSet::new();
    let mut sum = folder.packets;
    folder.lines(PACKETS, |findings, line, text| {
        if line == 1 {
            let names: Vec<&str> = text.split(',').collect();
            width = names.len();
            places = COLUMNS.iter().map(|column| names.iter().position(|name| name == column)).collect();
            header(findings, &names, &places);
            return;
        }
        seen.packets += 1;
        if places.iter().take(REQUIRED).any(Option::is_none) {
            return;
        }
        let Some(row) = cells(findings, PACKETS, line, text, width) else { return };
        let cells: Vec<Option<&str>> = places.iter().map(|place| row.get((*place)?).copied()).collect();
        let mut number = |at: usize| cells[at].map_or(0, |cell| integer(findings, PACKETS, line, cell));
        let [time, src_port, dst_port, flags, length, seq, ack] = [0, 3, 4, 5, 6, 7, 8].map(&mut number);
        let [src, dst] = [1, 2].map(|at| cells[at].unwrap_or_default());
        all.has = Has { numbers: cells[7].is_some() && cells[8].is_some(), payload: cells[11].is_some() };
        let payload = cells[11].filter(|cell| !cell.is_empty()).map(|cell| integer(findings, PACKETS, line, cell));
        let spelled = flag_type(Some(flags));
        let name = cells[10].unwrap_or(&spelled);
        let numbers = if all.has.numbers { [seq, ack] } else { [0; 2] };
        let is_tcp = cells[9].is_none_or(is_tcp);
        let packet = Told { time, src, dst, src_port, dst_port, flags, name, numbers, length, payload, is_tcp };
        sound(findings, &packet, line, cells[9]);
        if time < before {
            first_earlier = if earlier == 0 { line } else { first_earlier };
            earlier += 1;
        }
        before = time;
        all.row(&packet, line);
        sum = sum.wrapping_add(print(&(time, src, dst, src_port, dst_port, flags, name, length)));
        if pairs.insert(print(&(src, dst))) {
            filter.look(findings, src, dst);
        }
        seen.add(&packet);
    });
    folder.packets = sum;
    filter.finish(folder.findings);
    if earlier > 0 {
        let what = format!("{earlier} rows are earlier than the one before them; the first is line {first_earlier}");
        folder.findings.notes.push(format!("{PACKETS}: {what}"));
    }
}

impl Seen {
    fn add(&mut self, packet: &Told<'_>) {
        let Told { time, src, dst, length, name, is_tcp, .. } = *packet;
        self.times.add(time);
        if time == self.range.1 {
            self.at_last += 1;
        } else {
            self.bins.add(time);
        }
        if is_tcp {
            self.tcp += 1;
            *entry(&mut self.flags, name) += 1;
        }
        for (host, sent) in [(src, true), (dst, false)] {
            let of = entry(&mut self.hosts, host);
            if is_tcp {
                of.add(sent, length, time);
            }
        }
    }
}

/// What a map has of a name, without a copy of a name that is there.
fn entry<'m, T: Default>(map: &'m mut BTreeMap<String, T>, name: &str) -> &'m mut T {
    if !map.contains_key(name) {
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name).expect("it was put there")
}

/// What of the first line is missing.
fn header(findings: &mut Findings, names: &[&str], places: &[Option<usize>]) {
    for (column, _) in COLUMNS.iter().zip(places).take(REQUIRED).filter(|(_, place)| place.is_none()) {
        findings.problem(PACKETS, format_args!("its first line has no column {column}"), "viewers show no packets");
    }
    let missing = COLUMNS.iter().zip(places).skip(REQUIRED).filter(|(_, place)| place.is_none());
    for (column, _) in missing.filter(|(column, _)| **column != SEG_LEN) {
        findings.note(PACKETS, format_args!("its first line has no column {column}"), "viewers take 0 for it");
    }
    for name in names.iter().filter(|name| !COLUMNS.contains(name)) {
        findings.note(PACKETS, format_args!("its first line has a column {name}"), "viewers do not read it");
    }
}

/// What is wrong with a row by itself.
fn sound(findings: &mut Findings, packet: &Told<'_>, line: u64, protocol: Option<&str>) {
    let Told { src_port, dst_port, flags, name, length, numbers, payload, is_tcp, .. } = *packet;
    if !packet.is_well_spelled() {
        let what = format_args!("line {line}: flags {flags} are not {name}");
        findings.problem(PACKETS, what, "viewers give the packet the colour of its flags");
    }
    for port in [src_port, dst_port].into_iter().filter(|port| !PORTS.contains(port)) {
        findings.problem(PACKETS, format_args!("line {line}: {port} is no port"), "viewers find no flow of it");
    }
    if length < 0 {
        findings.problem(PACKETS, format_args!("line {line}: {length} is no length"), "viewers sum it up");
    }
    if let Some(payload) = payload.filter(|payload| !(0..=length.max(0)).contains(payload)) {
        let what = format_args!("line {line}: seg_len is {payload} of {length} bytes");
        findings.problem(PACKETS, what, "a timeline that is made of it has other states");
    }
    if numbers.iter().any(|number| *number < 0) {
        findings.problem(PACKETS, format_args!("line {line}: no TCP number is negative"), "viewers show it");
    }
    let is_protocol = |text: &str| text.is_empty() || text.parse::<u8>().is_ok() || is_tcp;
    if let Some(text) = protocol.filter(|text| !is_protocol(text)) {
        findings.problem(PACKETS, format_args!("line {line}: no protocol is {text}"), "viewers show it");
    }
}

/// An entry of the index, in the order of what it leads to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    place: (String, u64),
    number: i64,
    text: String,
}

impl Record for Entry {
    type Before = ();

    fn write(&self, (): &mut (), out: &mut Vec<u8>) {
        for n in [self.place.1, self.number as u64, self.place.0.len() as u64] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(self.place.0.as_bytes());
        out.extend_from_slice(self.text.as_bytes());
    }

    fn read((): &mut (), bytes: &mut &[u8]) -> Entry {
        let mut number = || {
            let (first, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
            *bytes = rest;
            u64::from_le_bytes(*first)
        };
        let [at, number, length] = [(); 3].map(|()| number());
        let (file, text) = bytes.split_at_checked(length as usize).unwrap_or_default();
        let [file, text] = [file, text].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        *bytes = &[];
        Entry { place: (file, at), number: number as i64, text }
    }

    fn beside(&self) -> usize {
        self.place.0.len() + self.text.len()
    }
}

/// Goes through the files that the index names, with what it has of them.
struct Walk<'s> {
    sums: &'s mut Sums,
    ids: HashSet<u64>,
    /// The highest number of a flow.
    highest: i64,
    /// The file that is open, its name, and how many flows were read of it.
    array: Option<Array<Text>>,
    file: String,
    place: u64,
    files: i64,
    most: i64,
    /// Packets behind a bad handshake.
    unlisted: u64,
    nobody: u64,
}

impl<'s> Walk<'s> {
    fn new(sums: &'s mut Sums) -> Walk<'s> {
        let ids = HashSet::new();
        let (array, file) = (None, String::new());
        Walk { sums, ids, highest: 0, array, file, place: 0, files: 0, most: 0, unlisted: 0, nobody: 0 }
    }

    /// How many flows the index has, how many files, and how many flows the longest of these.
    fn index(mut self, folder: &mut Folder<'_>) -> Result<(i64, i64, i64)> {
        let mut flows = 0;
        let mut by_file = Sorted::new(Scratch::of_system());
        // As this project writes it, and as the original does.
        let (mut by_start, mut as_in_files) = (true, true);
        let (mut started, mut stood) = (i64::MIN, (String::new(), 0));
        if let Some(text) = folder.open(INDEX) {
            let mut index = Array::new(text);
            loop {
                match index.next(PhantomData::<Value>) {
                    Ok(Some(entry)) => {
                        let entry = plain(entry);
                        let start = entry["startTime"].as_i64().unwrap_or(i64::MIN);
                        by_start &= started <= start;
                        started = start;
                        if let Some(place) = self.entry(folder, flows, &entry) {
                            as_in_files &= stood <= place;
                            stood.clone_from(&place);
                            by_file.push(Entry { place, number: flows, text: entry.to_string() })?;
                        }
                        flows += 1;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        folder.problem(INDEX, error, "viewers do not load the folder");
                        break;
                    }
                }
            }
        }
        // Flows are numbered from 1, and no two have a number.
        if self.highest > flows {
            let what = format_args!("it has {flows} flows, and one has number {}", self.highest);
            folder.problem(INDEX, what, "viewers name flows otherwise than they were numbered");
        }
        if !by_start && !as_in_files {
            let what = "flows are neither in the order of their starts nor in that of their files";
            folder.findings.note(INDEX, what, "viewers list them so");
        }
        by_file.each(|Entry { place: (file, at), number, text }| {
            let entry = serde_json::from_str(&text).unwrap_or_default();
            self.flow(folder, (&file, at), number, &entry);
            Ok(())
        })?;
        self.close(folder);
        let hidden = &mut folder.findings.hidden;
        if self.nobody > 0 {
            let what = "flows of which nobody knows who began them (initiator or responder is null)";
            hidden.push(format!("{} {what}", self.nobody));
        }
        if self.unlisted > 0 {
            hidden.push(format!("{} packets behind a bad handshake, which flows count and do not list", self.unlisted));
        }
        Ok((flows, self.files, self.most))
    }

    /// Looks at an entry by itself; where its flow is, if it says so.
    fn entry(&mut self, folder: &mut Folder<'_>, number: i64, entry: &Value) -> Option<(String, u64)> {
        let here = format!("flow {number}, {}", entry["id"]);
        if !self.ids.insert(print(&entry["id"].to_string())) {
            folder.problem(INDEX, format_args!("{here}: the id is another's"), "viewers take one flow for the other");
        }
        match entry["id"].as_str().and_then(numbered) {
            Some(number) => self.highest = self.highest.max(number),
            None => folder.problem(INDEX, format_args!("{here}: the id has no number"), "viewers name the flow so"),
        }
        short_form(folder.findings, &here, entry);
        self.nobody += u64::from(entry["initiator"].is_null() || entry["responder"].is_null());
        let place = entry["chunk_file"].as_str().map(str::to_owned).zip(entry["chunk_index"].as_u64());
        if place.is_none() {
            folder.problem(INDEX, format_args!("{here}: no chunk_file or no chunk_index"), "viewers cannot load it");
        }
        place
    }

    /// Holds an entry against its flow. Entries come in the order of files and of places in them.
    fn flow(&mut self, folder: &mut Folder<'_>, (file, at): (&str, u64), number: i64, entry: &Value) {
        let here = format!("flow {number}, {}", entry["id"]);
        let then = "viewers load another flow, or none";
        if self.files == 0 || self.file != file {
            self.close(folder);
            file.clone_into(&mut self.file);
            self.place = 0;
            self.files += 1;
            self.array = folder.open(&format!("flows/{file}")).map(Array::new);
        }
        if at < self.place {
            let what = format_args!("{here}: its place {at} in {file} is another's");
            return folder.problem(INDEX, what, then);
        }
        while self.place < at && self.array.is_some() {
            self.stranger(folder);
        }
        let Some(array) = &mut self.array else { return };
        let name = format!("flows/{file}");
        match array.next(Object(Flow::new(self.sums, array.held()))) {
            Ok(Some(flow)) => {
                folder.flows = folder.flows.wrapping_add(flow.print());
                self.unlisted += flow::compare(folder.findings, &name, flow, entry);
                self.place += 1;
            }
            Ok(None) => {
                let what = format_args!("it has {} flows, and the index one at {at}", self.place);
                folder.problem(&name, what, then);
                self.array = None;
            }
            Err(error) => {
                folder.problem(&name, error, "viewers cannot load its flows");
                self.array = None;
            }
        }
    }

    /// Reads a flow that the index does not have.
    fn stranger(&mut self, folder: &mut Folder<'_>) -> bool {
        let Some(array) = &mut self.array else { return false };
        let name = format!("flows/{}", self.file);
        match array.next(Object(Flow::new(self.sums, array.held()))) {
            Ok(Some(_)) => {
                let what = format_args!("the index does not know flow {}", self.place);
                folder.problem(&name, what, "viewers do not show it");
                self.place += 1;
                true
            }
            Ok(None) => {
                self.array = None;
                false
            }
            Err(error) => {
                folder.problem(&name, error, "viewers cannot load its flows");
                self.array = None;
                false
            }
        }
    }

    /// Reads what is left of the file.
    fn close(&mut self, folder: &mut Folder<'_>) {
        while self.stranger(folder) {}
        self.most = self.most.max(i64::try_from(self.place).unwrap_or(i64::MAX));
    }
}

/// The number of a flow, from 1: behind `flow_`, in six digits or more.
fn numbered(id: &str) -> Option<i64> {
    let digits = id.strip_prefix("flow_")?;
    let is_spelled =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == 6 || !digits.starts_with('0'));
    digits.parse().ok().filter(|&number| is_spelled && digits.len() >= 6 && number > 0)
}

/// What is wrong with an entry of the index by itself.
fn short_form(findings: &mut Findings, here: &str, entry: &Value) {
    let mut tell = |what: String, then: &str| findings.problem(INDEX, format_args!("{here}: {what}"), then);
    for name in ["endTime", "totalPackets", "totalBytes"].into_iter().filter(|name| !entry[*name].is_i64()) {
        tell(format!("{name} is {}", entry[name]), "viewers print NaN");
    }
    for name in ["establishmentComplete", "dataTransferStarted", "closingStarted", "ongoing"] {
        if !entry[name].is_boolean() {
            tell(format!("{name} is {}", entry[name]), "viewers take it for another state");
        }
    }
    if !entry["state"].as_str().is_some_and(|state| STATES.contains(&state)) {
        tell(format!("state is {}", entry["state"]), "viewers do not know it");
    }
    let close = &entry["closeType"];
    if !matches!(close.as_str(), Some("graceful" | "abortive" | "invalid" | "open")) && !close.is_null() {
        tell(format!("closeType is {close}"), "viewers do not know it");
    }
    if entry["startTime"].as_i64() > entry["endTime"].as_i64() {
        tell("it ends before it starts".into(), "viewers draw no arc of it");
    }
    if !entry["startTime"].is_number() {
        tell(format!("startTime is {}, and no number", entry["startTime"]), "the overview leaves it out");
    }
}
