//! Every damage of a folder that a check could know of is found: one is planted at a time, in each file, at each value.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pcap_compactor::Timestamp;
use pcap_compactor::sink::timeline::check::{Findings, check, check_versions};
use pcap_compactor::sink::timeline::{About, Chunked, FlowList, Multires, Several};
use pcap_compactor::views::timeline::correct::Settings;
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::{Choice, Correct, Hosts, Machine, Mode, Packet, TimelineSink};

use serde_json::{Value, json};

use super::{ACK, End, FIN, PSH, RST, START, SYN, sent};

/// What is written down of a network.
#[derive(Default)]
struct Tape {
    packets: Vec<Packet>,
    hosts: Hosts,
}

impl Tape {
    fn put(&mut self, ms: i64, src: End, dst: End, flags: i64, numbers: [i64; 2], payload: u32) {
        self.packets.push(sent(ms, src, dst, flags, numbers, payload));
    }

    fn handshake(&mut self, ms: i64, a: End, b: End, [x, y]: [i64; 2]) {
        self.put(ms, a, b, SYN, [x, 0], 0);
        self.put(ms + 1, b, a, SYN | ACK, [y, x + 1], 0);
        self.put(ms + 3, a, b, ACK, [x + 1, y + 1], 0);
    }

    fn data(&mut self, ms: i64, a: End, b: End, [x, y]: [i64; 2]) {
        self.put(ms, a, b, PSH | ACK, [x + 1, y + 1], 40);
        self.put(ms + 2, b, a, ACK, [y + 1, x + 41], 0);
    }

    fn close(&mut self, ms: i64, a: End, b: End, [x, y]: [i64; 2]) {
        self.put(ms, a, b, FIN | ACK, [x, y], 0);
        self.put(ms + 1, b, a, FIN | ACK, [y, x + 1], 0);
        self.put(ms + 2, a, b, ACK, [x + 1, y + 1], 0);
    }

    fn datagram(&mut self, ms: i64, src: End, dst: End) {
        self.put(ms, src, dst, 0, [0, 0], 8);
        if let Some(last) = self.packets.last_mut() {
            (last.protocol, last.flags) = (Some(17), None);
        }
    }
}

/// Three hours of five hosts: connections that end well, badly, never, or began before; both ends of a pair begin some.
fn tape() -> Tape {
    let mut tape = Tape::default();
    let [a, b, c, d, e] =
        ["10.0.0.9", "10.0.0.10", "192.168.1.3", "fe80::1", "172.16.0.4"].map(|name| tape.hosts.number(name));
    tape.handshake(0, (a, 40_000), (b, 80), [100, 500]);
    tape.data(10, (a, 40_000), (b, 80), [100, 500]);
    tape.put(14, (a, 40_000), (b, 80), PSH | ACK, [101, 501], 40);
    tape.close(20, (a, 40_000), (b, 80), [141, 501]);
    tape.handshake(500, (b, 41_000), (a, 22), [7, 9]);
    tape.data(510, (b, 41_000), (a, 22), [7, 9]);
    tape.put(700, (a, 22), (b, 41_000), RST | ACK, [10, 48], 0);
    tape.put(1200, (a, 40_001), (b, 81), SYN, [3, 0], 0);
    tape.put(1201, (b, 81), (a, 40_001), RST | ACK, [0, 4], 0);
    tape.datagram(1300, (a, 53), (b, 5353));
    for ms in [61_000, 62_000] {
        tape.put(ms, (c, 5000), (a, 443), SYN, [77, 0], 0);
    }
    for (ms, port, length) in [(100_000, 40_010, 30), (100_200, 40_011, 900)] {
        tape.handshake(ms, (a, port), (b, 80), [1000, 2000]);
        tape.close(ms + length, (a, port), (b, 80), [1001, 2001]);
    }
    for n in 0..4 {
        tape.put(600_000 + n * 700, (b, 9000), (c, 50_000), PSH | ACK, [300 + n * 10, 5], 10);
    }
    tape.datagram(600_100, (b, 5353), (c, 53));
    tape.handshake(3_605_000, (a, 40_002), (c, 80), [11, 22]);
    tape.data(3_606_000, (a, 40_002), (c, 80), [11, 22]);
    tape.put(7_300_000, (c, 5002), (b, 25), SYN, [1, 0], 0);
    tape.put(7_300_001, (b, 25), (c, 5002), SYN | ACK, [2, 2], 0);
    tape.put(7_300_500, (d, 6000), (a, 80), SYN, [1, 0], 0);
    tape.put(7_300_501, (a, 80), (d, 6000), SYN | ACK, [5, 9], 0);
    tape.put(7_300_502, (d, 6000), (a, 80), ACK, [2, 6], 0);
    tape.handshake(10_800_100, (e, 1024), (b, 80), [5, 6]);
    tape.close(10_800_900, (e, 1024), (b, 80), [6, 7]);
    tape
}

fn about(mode: Mode) -> About {
    About {
        created: Timestamp(1_795_132_800_000_000_000),
        sources: vec!["a.pcap".into()],
        choice: Choice {
            hosts: Some(["10.0.0.9", "10.0.0.10"].map(str::to_owned).to_vec()),
            from: Some(START - 90_000_000),
            to: Some(START + 20_000_000_000),
            most: None,
        },
        context: Some("a test".into()),
        mode,
    }
}

/// The folders of the three versions, of few flows a file and few bytes a list.
fn write(dir: &Path, tape: &Tape, mode: Mode) -> [PathBuf; 3] {
    let Tape { packets, hosts } = tape;
    let folders = ["v2.0", "v3.3", "v5.0"].map(|name| dir.join(name));
    let mut chunks = Chunked::create(&folders[0], false, 3, about(mode)).unwrap();
    let mut bins = Multires::create(&folders[1], false, about(mode)).unwrap();
    let mut lists = FlowList::create(&folders[2], false, 900, true, about(mode)).unwrap();
    let mut sink = Several(vec![&mut chunks, &mut bins, &mut lists]);
    let mut machine: Box<dyn Machine> = match mode {
        Mode::Correct => Box::new(Correct::new(Settings::default())),
        Mode::Original => Box::new(Original::new(Options { read_rows: 17, ..Options::default() })),
    };
    packets.iter().for_each(|packet| machine.packet(*packet, hosts, &mut sink).unwrap());
    machine.finish(hosts, &mut sink).unwrap();
    sink.finish(hosts).unwrap();
    folders
}

/// Where values of a JSON text are.
#[derive(Default)]
struct Places {
    /// Values without parts, by their keys; elements of arrays are `*`.
    leaves: Vec<(String, Range<usize>)>,
    /// Members and elements of what has parts.
    parts: Vec<(String, bool, Vec<Range<usize>>)>,
}

impl Places {
    fn of(text: &str) -> Places {
        let mut places = Places::default();
        let mut at = 0;
        places.value(text.as_bytes(), &mut at, "");
        assert_eq!(at, text.trim_end().len());
        places
    }

    fn value(&mut self, text: &[u8], at: &mut usize, path: &str) {
        let begin = *at;
        match text[*at] {
            open @ (b'{' | b'[') => {
                let mut parts = Vec::new();
                *at += 1;
                loop {
                    skip(text, at);
                    match text[*at] {
                        b'}' | b']' => break *at += 1,
                        b',' => *at += 1,
                        _ if open == b'[' => {
                            let begin = *at;
                            self.value(text, at, &format!("{path}/*"));
                            parts.push(begin..*at);
                        }
                        _ => {
                            let begin = *at;
                            string(text, at);
                            let key = String::from_utf8_lossy(&text[begin + 1..*at - 1]).into_owned();
                            skip(text, at);
                            *at += 1;
                            skip(text, at);
                            self.value(text, at, &format!("{path}/{key}"));
                            parts.push(begin..*at);
                        }
                    }
                }
                self.parts.push((path.to_owned(), open == b'[', parts));
            }
            b'"' => {
                string(text, at);
                self.leaves.push((path.to_owned(), begin..*at));
            }
            _ => {
                while !b",]} \n".contains(&text[*at]) {
                    *at += 1;
                }
                self.leaves.push((path.to_owned(), begin..*at));
            }
        }
    }
}

fn skip(text: &[u8], at: &mut usize) {
    while b" \n:".contains(&text[*at]) && (text[*at] != b':') {
        *at += 1;
    }
}

fn string(text: &[u8], at: &mut usize) {
    *at += 1;
    while text[*at] != b'"' {
        *at += 1 + usize::from(text[*at] == b'\\');
    }
    *at += 1;
}

/// A damage: where it is, what it is, and what the file is then; nothing if it is gone.
struct Damage {
    place: String,
    kind: &'static str,
    text: Option<Vec<u8>>,
}

struct Damages<'t> {
    text: &'t str,
    list: Vec<Damage>,
}

impl Damages<'_> {
    fn add(&mut self, place: &str, kind: &'static str, text: impl Into<Vec<u8>>) {
        self.list.push(Damage { place: place.to_owned(), kind, text: Some(text.into()) });
    }

    /// Puts something in the place of a range.
    fn put(&mut self, place: &str, kind: &'static str, range: Range<usize>, with: &str) {
        let text = [&self.text[..range.start], with, &self.text[range.end..]].concat();
        if text != self.text {
            self.add(place, kind, text);
        }
    }

    /// Changes a value.
    fn value(&mut self, place: &str, range: Range<usize>) {
        let value = self.text[range.clone()].to_owned();
        if let Ok(n) = value.parse::<i64>() {
            self.put(place, "+1", range.clone(), &(n + 1).to_string());
            self.put(place, "negative", range, &(-n - 1).to_string());
        } else if let Some(inside) = value.strip_suffix('"').filter(|inside| !inside.is_empty()) {
            self.put(place, "altered", range.clone(), &format!("{inside}x\""));
            if value.contains('.') {
                self.put(place, "led out", range, &format!("\"../{}", &inside[1..]));
            }
        } else {
            match value.as_str() {
                "true" => self.put(place, "flipped", range, "false"),
                "false" => self.put(place, "flipped", range, "true"),
                "null" => self.put(place, "filled", range, "\"x\""),
                _ => self.put(place, "altered", range, &format!("{value}x")),
            }
        }
    }

    /// Drops, doubles and exchanges neighbours, between which `comma` stands.
    fn parts(&mut self, place: &str, parts: &[Range<usize>], comma: &str) {
        let text = self.text;
        for (n, part) in parts.iter().enumerate() {
            let here = &text[part.clone()];
            let (cut, next) = match parts.get(n + 1) {
                Some(next) => (part.start..next.start, Some(next)),
                None if n > 0 => (parts[n - 1].end..part.end, None),
                None => (part.clone(), None),
            };
            self.put(place, "dropped", cut, "");
            self.put(place, "doubled", part.clone(), &format!("{here}{comma}{here}"));
            if let Some(next) = next {
                let swapped = format!("{}{}{here}", &text[next.clone()], &text[part.end..next.start]);
                let first = |row: &str| row.split_once(',').map(|(first, _)| first.to_owned());
                let is_one_bin = comma.is_empty() && first(here) == first(&text[next.clone()]);
                let kind = if is_one_bin { "swapped inside its bin" } else { "swapped" };
                self.put(place, kind, part.start..next.end, &swapped);
            }
        }
    }

    fn json(&mut self) {
        let places = Places::of(self.text);
        let leaves: BTreeSet<usize> = places.leaves.iter().map(|(_, range)| range.end).collect();
        for (place, range) in &places.leaves {
            self.value(place, range.clone());
        }
        for (place, is_list, parts) in &places.parts {
            if *is_list {
                self.parts(place, parts, ",");
                continue;
            }
            if let Some(first) = parts.first() {
                let member = &self.text[first.clone()];
                self.put(place, "its first member twice", first.clone(), &format!("{member},{member}"));
            }
            for (n, part) in parts.iter().enumerate().filter(|(_, part)| leaves.contains(&part.end)) {
                let cut = match parts.get(n + 1) {
                    Some(next) => part.start..next.start,
                    None if n > 0 => parts[n - 1].end..part.end,
                    None => part.clone(),
                };
                let name = self.text[part.start + 1..part.end].split('"').next().unwrap_or_default();
                let is_null = self.text[part.clone()].ends_with("null");
                let kind = if is_null { "null removed" } else { "removed" };
                self.put(&format!("{place}/{name}"), kind, cut, "");
            }
        }
    }

    fn table(&mut self) {
        let mut at = 0;
        let mut rows: Vec<Range<usize>> = Vec::new();
        for line in self.text.split_inclusive('\n') {
            rows.push(at..at + line.len());
            at += line.len();
        }
        let header: Vec<&str> = self.text.lines().next().unwrap_or_default().split(',').collect();
        self.put("header", "dropped", rows[0].clone(), "");
        self.put("header", "altered", rows[0].clone(), &self.text[rows[0].clone()].replacen('t', "T", 1));
        self.parts("row", &rows[1..], "");
        for row in &rows[1..] {
            let (mut begin, mut column, mut inner) = (row.start, 0, 0);
            for end in row.clone() {
                let byte = self.text.as_bytes()[end];
                let is_packets = header.get(column).is_none_or(|name| *name == "packets");
                if !(matches!(byte, b',' | b'\n' | b'"') || byte == b':' && is_packets) {
                    continue;
                }
                if begin < end {
                    let inside = ["delta", "flags", "way", "seq", "ack"].get(inner).unwrap_or(&"more");
                    let place = if is_packets { inside } else { header[column] };
                    let protocol = self.text[row.clone()]
                        .trim_end()
                        .split(',')
                        .zip(&header)
                        .find(|(_, name)| **name == "protocol");
                    let is_other = protocol.is_some_and(|(cell, _)| cell == "17");
                    let place = if is_other { format!("{place} of another protocol") } else { place.to_owned() };
                    self.value(&place, begin..end);
                }
                begin = end + 1;
                inner = if byte == b':' { inner + 1 } else { 0 };
                column += usize::from(byte == b',');
            }
        }
    }
}

/// All damages of a file.
fn damages(name: &str, text: &str) -> Vec<Damage> {
    let mut damages = Damages { text, list: Vec::new() };
    let whole = "the file";
    damages.list.push(Damage { place: whole.into(), kind: "removed", text: None });
    damages.add(whole, "emptied", "");
    damages.add(whole, "cut in half", &text[..text.len() / 2]);
    damages.add(whole, "cut at the end", &text[..text.len() - 1]);
    damages.add(whole, "cut in the last value", &text[..text.trim_end().len() - 1]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    damages.add(whole, "packed", packed.finish().unwrap());
    if name.ends_with(".json") {
        damages.json()
    } else {
        damages.table()
    }
    damages.list
}

fn files(folder: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned()).collect()
}

/// What is told of a folder; `None` where it cannot be checked, which is told too.
fn told(folder: &Path) -> Option<Findings> {
    check(folder).ok()
}

/// A name with its digits taken out.
fn shape(name: &str) -> String {
    name.replace(|c: char| c.is_ascii_digit(), "#")
}

/// Plants each damage in a folder; those that are not told of, by kind, with how often and an example.
fn missed(folder: &Path, strays: &[&str]) -> (usize, BTreeMap<String, (usize, String)>) {
    let sound = told(folder).unwrap();
    assert!(sound.is_clean(), "{sound:#?}");
    let (mut planted, mut missed) = (0, BTreeMap::new());
    let mut look = |name: &str, damage: &Damage| {
        planted += 1;
        let found = told(folder);
        if found.as_ref() == Some(&sound) {
            let what = format!("{} {} {}", shape(name), damage.place, damage.kind);
            let entry = missed.entry(what).or_insert_with(|| (0, name.to_owned()));
            entry.0 += 1;
        }
    };
    for name in files(folder) {
        let path = folder.join(&name);
        let text = std::fs::read_to_string(&path).unwrap();
        for damage in damages(&name, &text) {
            match &damage.text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            look(&name, &damage);
        }
        std::fs::write(&path, text).unwrap();
    }
    for name in strays {
        let path = folder.join(name);
        std::fs::write(&path, "x").unwrap();
        look(name, &Damage { place: "the file".into(), kind: "left over", text: None });
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(told(folder), Some(sound), "what was planted is gone");
    (planted, missed)
}

/// What no check can know of: the file, the value with its damage, and why. [`SET`], [`UNLISTED`] and [`NO_PAYLOAD`] say what several have in common.
const UNKNOWABLE: [(&str, &str, &str); 25] = [
    ("", "null removed", "viewers take what is not there for null"),
    ("manifest", "created removed", "viewers do not ask for it"),
    ("manifest", "source_file altered", "version 3.3 names it once"),
    ("manifest", "source_file removed", "version 3.3 names it once, and null stands for several"),
    ("manifest", "attack_context/type altered", "it is a free text"),
    ("manifest", "_us +1", "a limit may lie anywhere around the packets"),
    ("manifest", "_us negative", "a limit may lie anywhere around the packets"),
    ("manifest", "_us removed", "a filter is told nowhere else"),
    ("manifest", "filter_applied/ips swapped", SET),
    ("packets.csv", "of another protocol +1", "of other protocols than TCP nothing else tells"),
    ("flows/chunk", "completed_by_timeout removed", "the timeout is told nowhere"),
    ("flows/chunk", "packets/*/seg_len +1", NO_PAYLOAD),
    ("flows/chunk", "packets/*/seg_len removed", NO_PAYLOAD),
    ("raw/chunk", "_port +1", "ports are told nowhere else in version 3.3"),
    ("raw/chunk", "timestamp +1", "bins are no finer than a millisecond"),
    ("resolutions", "row swapped inside its bin", SET),
    ("indices/flow_list/#", "_port +1", "ports are told nowhere else in version 5.0"),
    ("indices/flow_list/#", "seq +1", "numbers are told nowhere else in version 5.0"),
    ("indices/flow_list/#", "ack +1", "numbers are told nowhere else in version 5.0"),
    ("indices/flow_list/#", "delta +1", "of times between the first and the last nothing else tells"),
    ("indices/flow_list/index", "/pairs swapped", SET),
    ("indices/flow_bins", "ranges/invalid_synack/* +1", UNLISTED),
    ("ips/ip_stats", "last_ts +1", UNLISTED),
    ("packets.csv", "_num +1", UNLISTED),
    ("packets.csv", "timestamp +1", UNLISTED),
];

const SET: &str = "their order means nothing";

/// What excuse the original alone.
const NO_PAYLOAD: &str = "the original has no payload of packets in packets.csv";
const UNLISTED: &str =
    "the original lists no packet behind a bad handshake, so of these there is no more than a number";

fn is_unknowable(what: &str, mode: Mode) -> bool {
    UNKNOWABLE.iter().any(|(file, end, why)| {
        what.contains(file) && what.ends_with(end) && (mode == Mode::Original || ![UNLISTED, NO_PAYLOAD].contains(why))
    })
}

/// Files that are called as parts of a version, and one that is not.
const STRAYS: [&[&str]; 3] = [
    &["flows/chunk_00099.json", "packets.csv.gz", "notes.txt"],
    &["resolutions/raw/chunk_000099.csv", "resolutions/hours/chunk_000000.csv", "notes.txt"],
    &["indices/flow_list/a__b.csv", "indices/flow_bins_5s.json", "indices/flow_bins_1s.json.gz"],
];

fn all_is_told(version: usize) {
    let mut seen = Vec::new();
    for mode in [Mode::Correct, Mode::Original] {
        let dir = tempfile::tempdir().unwrap();
        let folder = &write(dir.path(), &tape(), mode)[version];
        let (planted, missed) = missed(folder, STRAYS[version]);
        assert!(planted > 3000, "{planted}");
        for (what, (times, example)) in missed {
            if !is_unknowable(&what, mode) {
                seen.push(format!("{mode:?} {times:5} {what}   ({example})"));
            }
        }
    }
    assert!(seen.is_empty(), "{} kinds are not told of:\n{}", seen.len(), seen.join("\n"));
}

#[test]
fn damage_of_version_2_is_told() {
    all_is_told(0);
}

#[test]
fn damage_of_version_3_is_told() {
    all_is_told(1);
}

#[test]
fn damage_of_version_5_is_told() {
    all_is_told(2);
}

/// Changes the entry of a flow and the flow alike.
type Lie = Box<dyn Fn(&mut Value, &mut Value)>;

/// The same, by what is written down here.
type Change = fn(&mut Value, &mut Value);

/// What is said of a flow, changed alike in index and file.
fn lies() -> Vec<(String, Lie)> {
    let mut lies: Vec<(String, Lie)> = Vec::new();
    let states =
        ["new", "establishing", "established", "data_transfer", "ongoing", "closed", "closing", "aborted", "invalid"];
    let closes = [json!("graceful"), json!("abortive"), json!("open"), json!("invalid"), Value::Null];
    let reasons =
        ["invalid_synack", "invalid_ack", "rst_during_handshake", "incomplete_no_synack", "incomplete_no_ack"];
    let values = [
        ("state", states.map(Value::from).to_vec()),
        ("closeType", closes.to_vec()),
        ("invalidReason", reasons.map(Value::from).into_iter().chain([Value::Null]).collect()),
        ("establishmentComplete", vec![json!(true), json!(false)]),
        ("dataTransferStarted", vec![json!(true), json!(false)]),
        ("closingStarted", vec![json!(true), json!(false)]),
        ("id", vec![json!("flow_999999"), json!("flow_000000"), json!("flow_1"), json!("one"), json!("flow_0000001")]),
    ];
    for (name, values) in values {
        for value in values {
            let what = format!("{name} {value}");
            lies.push((what, Box::new(move |entry, flow| (entry[name], flow[name]) = (value.clone(), value.clone()))));
        }
    }
    let more: [(&str, Change); 16] = [
        ("ongoing turned", |entry, flow| {
            let is = entry["ongoing"] == true;
            entry["ongoing"] = json!(!is);
            if is { _ = flow.as_object_mut().unwrap().remove("ongoing") } else { flow["ongoing"] = json!(true) }
        }),
        ("the ends swapped", |entry, flow| {
            for of in [entry, flow] {
                for (a, b) in [("initiator", "responder"), ("initiatorPort", "responderPort")] {
                    let (of_a, of_b) = (of[a].clone(), of[b].clone());
                    (of[a], of[b]) = (of_b, of_a);
                }
            }
        }),
        ("the last data is ack_data", |_, flow| renamed(flow, "dataTransfer", "ack_data", "Data Acknowledgment")),
        ("the last ack_data is data", |_, flow| renamed(flow, "dataTransfer", "data", "Data Transfer")),
        ("the last of closing is rst", |_, flow| renamed(flow, "closing", "rst", "Connection Aborted")),
        ("the last of closing is fin", |_, flow| renamed(flow, "closing", "fin", "Close Request")),
        ("the last of closing is ack_close", |_, flow| renamed(flow, "closing", "ack_close", "Close Acknowledgment")),
        ("no handshake step", |entry, flow| dropped(entry, flow, "establishment", "establishment_packets")),
        ("a data step less", |entry, flow| dropped(entry, flow, "dataTransfer", "data_transfer_packets")),
        ("a closing step less", |entry, flow| dropped(entry, flow, "closing", "closing_packets")),
        ("a data step in closing", |entry, flow| {
            let Some(mut step) = flow["phases"]["dataTransfer"].as_array_mut().unwrap().pop() else { return };
            (step["phase"], step["description"]) = (json!("ack_close"), json!("Close Acknowledgment"));
            flow["phases"]["closing"].as_array_mut().unwrap().push(step);
            entry["data_transfer_packets"] = json!(entry["data_transfer_packets"].as_i64().unwrap() - 1);
            entry["closing_packets"] = json!(entry["closing_packets"].as_i64().unwrap() + 1);
        }),
        ("no invalidPacket", |_, flow| flow["invalidPacket"] = Value::Null),
        ("another invalidPacket", |_, flow| flow["invalidPacket"] = flow["packets"][0].clone()),
        ("the last as invalidPacket", |_, flow| {
            flow["invalidPacket"] = flow["packets"].as_array().unwrap().last().unwrap().clone();
        }),
        ("another reason", |_, flow| {
            let Some(unexplained) = flow.get_mut("unexplained").and_then(Value::as_object_mut) else { return };
            let Some(first) = unexplained.keys().next().cloned() else { return };
            let n = unexplained.remove(&first).unwrap();
            let other = if first == "after_close" { "keep_alive" } else { "after_close" };
            unexplained.insert(other.into(), n);
        }),
        ("a reason that there is not", |_, flow| {
            let Some(unexplained) = flow.get_mut("unexplained").and_then(Value::as_object_mut) else { return };
            let Some(first) = unexplained.keys().next().cloned() else { return };
            let n = unexplained.remove(&first).unwrap();
            unexplained.insert("cosmic_rays".into(), n);
        }),
    ];
    lies.extend(more.into_iter().map(|(what, lie)| (what.to_owned(), Box::new(lie) as Lie)));
    lies
}

/// Gives the last step of a phase another name.
fn renamed(flow: &mut Value, phase: &str, name: &str, description: &str) {
    if let Some(step) = flow["phases"][phase].as_array_mut().unwrap().last_mut() {
        (step["phase"], step["description"]) = (json!(name), json!(description));
    }
}

/// Takes the first step of a phase out; its packet is then one that nobody explains.
fn dropped(entry: &mut Value, flow: &mut Value, phase: &str, count: &str) {
    let steps = flow["phases"][phase].as_array_mut().unwrap();
    if steps.is_empty() {
        return;
    }
    steps.remove(0);
    entry[count] = json!(entry[count].as_i64().unwrap() - 1);
    if let Some(unexplained) = flow.get_mut("unexplained").and_then(Value::as_object_mut) {
        let n = unexplained.get("retransmission").and_then(Value::as_i64).unwrap_or(0);
        unexplained.insert("retransmission".into(), json!(n + 1));
    }
}

/// An index and a file that agree may still say of a flow what its packets do not.
#[test]
fn what_index_and_file_say_alike_is_held_against_the_packets() {
    let mut missed = Vec::new();
    for mode in [Mode::Correct, Mode::Original] {
        let dir = tempfile::tempdir().unwrap();
        let folder = &write(dir.path(), &tape(), mode)[0];
        let index_path = folder.join("flows/flows_index.json");
        let read = |path: &Path| serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
        let index = read(&index_path);
        let entries = index.as_array().unwrap();
        let mut planted = 0;
        for (at, entry) in entries.iter().enumerate() {
            let path = folder.join("flows").join(entry["chunk_file"].as_str().unwrap());
            let file = read(&path);
            let place = entry["chunk_index"].as_u64().unwrap() as usize;
            for (what, lie) in lies() {
                let (mut entry, mut flow) = (entry.clone(), file[place].clone());
                lie(&mut entry, &mut flow);
                if (&entry, &flow) == (&entries[at], &file[place]) {
                    continue;
                }
                planted += 1;
                let (mut lying_index, mut lying_file) = (index.clone(), file.clone());
                (lying_index[at], lying_file[place]) = (entry, flow);
                std::fs::write(&index_path, lying_index.to_string()).unwrap();
                std::fs::write(&path, lying_file.to_string()).unwrap();
                if check(folder).unwrap().is_clean() {
                    missed.push(format!("{mode:?} {}: {what}", entries[at]["id"]));
                }
            }
            std::fs::write(&index_path, index.to_string()).unwrap();
            std::fs::write(&path, file.to_string()).unwrap();
        }
        assert!(planted > 300, "{planted}");
        assert!(check(folder).unwrap().is_clean());
    }
    assert!(missed.is_empty(), "{} lies are believed:\n{}", missed.len(), missed.join("\n"));
}

/// What is packed and called so is inflated as by the viewer.
#[test]
fn packed_bins_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let [_, _, folder] = write(dir.path(), &tape(), Mode::Correct);
    let (plain, packed) = (folder.join("indices/flow_bins_1s.json"), folder.join("indices/flow_bins_1s.json.gz"));
    let text = std::fs::read(&plain).unwrap();
    let pack = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    std::fs::remove_file(&plain).unwrap();
    std::fs::write(&packed, pack(&text)).unwrap();
    let index = folder.join("indices/flow_bins_index.json");
    let told = std::fs::read_to_string(&index).unwrap().replace("flow_bins_1s.json", "flow_bins_1s.json.gz");
    std::fs::write(&index, told).unwrap();
    let sound = check(&folder).unwrap();
    assert!(sound.is_clean() && sound.notes.is_empty(), "{sound:#?}");
    let changed = String::from_utf8(text.clone()).unwrap().replacen("\"graceful\":1", "\"graceful\":2", 1);
    for (bytes, said) in [
        (pack(changed.as_bytes()), "were begun"),
        (text.clone(), "it cannot be inflated"),
        (pack(&text)[..40].to_vec(), "it cannot be inflated"),
    ] {
        std::fs::write(&packed, bytes).unwrap();
        let problems = check(&folder).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(said)), "{said}: {problems:#?}");
    }
}

/// What a version tells once is held against another version beside it.
#[test]
fn versions_side_by_side_have_the_same_packets_and_flows() {
    for mode in [Mode::Correct, Mode::Original] {
        let dir = tempfile::tempdir().unwrap();
        let [_, bins, lists] = write(dir.path(), &tape(), mode);
        let problems = || {
            let checked = check_versions(dir.path()).unwrap();
            assert_eq!(checked.len(), 3);
            checked.into_iter().flat_map(|(_, findings)| findings.problems).collect::<Vec<String>>()
        };
        assert!(problems().is_empty(), "{mode:?}: {:#?}", problems());
        for (gone, beside, of) in [("v3.3", "v5.0", "packets"), ("v5.0", "v3.3", "flows")] {
            let aside = dir.path().join("aside");
            std::fs::rename(dir.path().join(gone), &aside).unwrap();
            let told: Vec<_> = check_versions(dir.path()).unwrap();
            let told =
                told.iter().flat_map(|(version, findings)| findings.problems.iter().map(move |told| (*version, told)));
            let said = format!("manifest.json: {gone} is missing beside it; viewers have no {of} to show");
            assert_eq!(told.collect::<Vec<_>>(), [(beside, &said)]);
            std::fs::rename(aside, dir.path().join(gone)).unwrap();
        }
        let raw = bins.join("resolutions/raw/chunk_000000.csv");
        let list = lists.join("indices/flow_list/10-0-0-9__fe80--1.csv");
        for (file, places, said) in [
            (raw, &["timestamp", "src_port", "dst_port"][..], "it has other packets than packets.csv"),
            (list, &["src_port", "dst_port", "delta", "seq", "ack"][..], "it has other flows than flows"),
        ] {
            let text = std::fs::read_to_string(&file).unwrap();
            let told = |damage: &&Damage| damage.kind == "+1" && places.contains(&damage.place.as_str());
            let all = damages(file.to_str().unwrap(), &text);
            assert!(all.iter().filter(told).count() > 5);
            for damage in all.iter().filter(told) {
                std::fs::write(&file, damage.text.as_ref().unwrap()).unwrap();
                let problems = problems();
                let is_found = check(file.ancestors().nth(3).unwrap()).unwrap().problems == problems;
                assert!(
                    !problems.is_empty() && (is_found || problems.iter().any(|problem| problem.contains(said))),
                    "{mode:?} {}: {problems:#?}",
                    damage.place
                );
            }
            std::fs::write(&file, text).unwrap();
        }
    }
}
