//! Version 2.0: packets, flows in files of several, an index, and totals.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::packets::{Sums, Told, is_tcp, key};
use super::{Extent, Findings, Folder, MANIFEST, PORTS};
use crate::views::timeline::flags::flag_type;

const PACKETS: &str = "packets.csv";

/// The columns that viewers read; those without which they show nothing first.
const COLUMNS: [&str; 11] = [
    "timestamp",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
    "flags",
    "length",
    "flag_type",
    "seq_num",
    "ack_num",
    "protocol",
];
const REQUIRED: usize = 7;

const INDEX: &str = "flows/flows_index.json";

/// What index and file have both.
const BOTH: [&str; 16] = [
    "id",
    "key",
    "initiator",
    "responder",
    "initiatorPort",
    "responderPort",
    "state",
    "closeType",
    "startTime",
    "endTime",
    "totalPackets",
    "totalBytes",
    "establishmentComplete",
    "dataTransferStarted",
    "closingStarted",
    "invalidReason",
];

const STATES: [&str; 9] =
    ["new", "establishing", "established", "data_transfer", "ongoing", "closing", "closed", "aborted", "invalid"];

const PHASES: [(&str, &str); 3] = [
    ("establishment", "establishment_packets"),
    ("dataTransfer", "data_transfer_packets"),
    ("closing", "closing_packets"),
];

/// What packets do in flows.
const STEPS: [&str; 8] = ["syn", "syn_ack", "ack", "data", "ack_data", "fin", "ack_close", "rst"];

/// The reasons for which the original lists no packet behind the one that they are about.
const BROKEN_OFF: [&str; 2] = ["invalid_synack", "invalid_ack"];

pub(super) fn check(folder: &mut Folder<'_>, manifest: &Value) {
    let [packets, tcp, hosts, flows, per_chunk, chunks] =
        ["total_packets", "tcp_packets", "unique_ips", "total_flows", "flows_per_chunk", "total_chunks"]
            .map(|name| folder.number(MANIFEST, manifest, name));
    let range = folder.range(manifest);
    let entries = index(folder);
    let keys = entries.values().flat_map(BTreeMap::values).filter_map(|entry| entry["key"].as_str());
    let mut sums = Sums::new(keys.map(str::to_owned));
    let seen = if packets > 0 { totals(folder, &mut sums) } else { Totals::default() };
    folder.findings.equal(MANIFEST, "total_packets", &packets, &seen.packets);
    folder.findings.equal(MANIFEST, "tcp_packets", &tcp, &seen.tcp);
    folder.findings.equal(MANIFEST, "time_range", &range, &seen.times.range());
    folder.findings.equal(MANIFEST, "unique_ips", &hosts, &(seen.hosts.len() as i64));
    folder.hosts("ips/unique_ips.json", &seen.hosts);
    for (name, is) in [("ips/ip_stats.json", seen.of_hosts), ("ips/flag_stats.json", seen.flags)] {
        if let Some(says) = folder.json(name) {
            folder.findings.equal(name, "it", &says, &Value::Object(is));
        }
    }
    let listed: usize = entries.values().map(BTreeMap::len).sum();
    folder.findings.equal(MANIFEST, "total_flows", &flows, &(listed as i64));
    folder.findings.equal(MANIFEST, "total_chunks", &chunks, &(entries.len() as i64));
    let mut unlisted = 0;
    for (name, entries) in &entries {
        let name = format!("flows/{name}");
        let mut place = 0;
        folder.elements(&name, |findings, flow| {
            match entries.get(&place) {
                Some(entry) => unlisted += whole(findings, &name, &flow, entry, &mut sums),
                None => findings.problem(&name, format_args!("the index does not know flow {place}, {}", flow["id"])),
            }
            place += 1;
        });
        if let Some((last, _)) = entries.last_key_value().filter(|(last, _)| **last >= place) {
            folder.problem(&name, format_args!("it has {place} flows, and the index one at {last}"));
        }
        if place as i64 > per_chunk {
            folder.problem(&name, format_args!("it has {place} flows, and flows_per_chunk is {per_chunk}"));
        }
    }
    if unlisted > 0 {
        let what = format!("{unlisted} packets behind a bad handshake, which flows count and do not list");
        folder.findings.hidden.push(what);
    }
    sums.compare(folder.findings, PACKETS);
    bins(folder, packets, seen.at_last);
}

#[derive(Default)]
struct Totals {
    packets: i64,
    tcp: i64,
    times: Extent,
    /// Packets of the last time.
    last: i64,
    at_last: i64,
    packets_read: u64,
    hosts: BTreeSet<String>,
    of_hosts: Map<String, Value>,
    flags: Map<String, Value>,
}

/// Reads the packets.
fn totals(folder: &mut Folder<'_>, all: &mut Sums) -> Totals {
    let mut seen = Totals::default();
    let mut sums: BTreeMap<String, [i64; 6]> = BTreeMap::new();
    let mut flags: BTreeMap<String, i64> = BTreeMap::new();
    let (mut before, mut earlier, mut first_earlier) = (i64::MIN, 0_u64, 0);
    let rows = folder.table(PACKETS, &COLUMNS, REQUIRED, |findings, line, cells| {
        let mut number = |at: usize| {
            let Some(cell) = cells[at] else { return 0 };
            cell.parse::<i64>().unwrap_or_else(|_| {
                findings.problem(PACKETS, format_args!("line {line}: {cell:?} is no whole number"));
                0
            })
        };
        let [time, src_port, dst_port, mask, length, seq, ack] = [0, 3, 4, 5, 6, 8, 9].map(&mut number);
        let [src, dst] = [1, 2].map(|at| cells[at].unwrap_or_default());
        all.with_numbers = cells[8].is_some() && cells[9].is_some();
        let spelled = flag_type(Some(mask));
        let name = cells[7].unwrap_or(&spelled);
        let packet = Told {
            time,
            src,
            dst,
            src_port,
            dst_port,
            flags: mask,
            name,
            numbers: if all.with_numbers { [seq, ack] } else { [0; 2] },
            length,
            is_tcp: cells[10].is_none_or(is_tcp),
        };
        if !packet.is_well_spelled() {
            findings.problem(PACKETS, format_args!("line {line}: flags {mask} are not {name}"));
        }
        for port in [src_port, dst_port].into_iter().filter(|port| !PORTS.contains(port)) {
            findings.problem(PACKETS, format_args!("line {line}: {port} is no port"));
        }
        if time < before {
            first_earlier = if earlier == 0 { line } else { first_earlier };
            earlier += 1;
        }
        before = time;
        all.row(&packet, line);
        seen.times.add(time);
        if seen.packets_read == 0 || time > seen.last {
            (seen.last, seen.at_last) = (time, 0);
        }
        seen.at_last += i64::from(time == seen.last);
        seen.packets_read += 1;
        for host in [src, dst] {
            if !seen.hosts.contains(host) {
                seen.hosts.insert(host.to_owned());
            }
        }
        if packet.is_tcp {
            seen.tcp += 1;
            *flags.entry(name.to_owned()).or_default() += 1;
            for (at, host) in [src, dst].into_iter().enumerate() {
                let sum = sums.entry(host.to_owned()).or_insert([0, 0, 0, 0, time, time]);
                sum[at] += 1;
                sum[2 + at] = sum[2 + at].saturating_add(length.max(0));
                (sum[4], sum[5]) = (sum[4].min(time), sum[5].max(time));
            }
        }
    });
    seen.packets = rows as i64;
    if earlier > 0 {
        let what = format!("{earlier} rows are earlier than the one before them; the first is line {first_earlier}");
        folder.findings.notes.push(format!("{PACKETS}: {what}"));
    }
    const NAMES: [&str; 6] = ["sent_packets", "recv_packets", "sent_bytes", "recv_bytes", "first_ts", "last_ts"];
    let object = |sums: [i64; 6]| NAMES.into_iter().zip(sums).map(|(name, n)| (name.to_owned(), n.into())).collect();
    seen.of_hosts = sums.into_iter().map(|(host, sums)| (host, Value::Object(object(sums)))).collect();
    seen.flags = flags.into_iter().map(|(name, n)| (name, n.into())).collect();
    seen
}

/// Entries of the index, by file and place in it.
fn index(folder: &mut Folder<'_>) -> BTreeMap<String, BTreeMap<u64, Value>> {
    let mut entries: BTreeMap<String, BTreeMap<u64, Value>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let (mut place, mut nobody, mut timeless) = (0_u64, 0_u64, 0_u64);
    folder.elements(INDEX, |findings, entry| {
        let here = format!("flow {place}, {}", entry["id"]);
        place += 1;
        if !ids.insert(entry["id"].to_string()) {
            findings.problem(INDEX, format_args!("{here}: the id is another's"));
        }
        for name in ["endTime", "totalPackets", "totalBytes"] {
            if !entry[name].is_i64() {
                findings.problem(INDEX, format_args!("{here}: {name} is {}", entry[name]));
            }
        }
        for name in ["establishmentComplete", "dataTransferStarted", "closingStarted", "ongoing"] {
            if !entry[name].is_boolean() {
                findings.problem(INDEX, format_args!("{here}: {name} is {}", entry[name]));
            }
        }
        if !entry["state"].as_str().is_some_and(|state| STATES.contains(&state)) {
            findings.problem(INDEX, format_args!("{here}: state is {}", entry["state"]));
        }
        if !matches!(entry["closeType"].as_str(), Some("graceful" | "abortive" | "invalid" | "open"))
            && !entry["closeType"].is_null()
        {
            findings.problem(INDEX, format_args!("{here}: closeType is {}", entry["closeType"]));
        }
        if entry["startTime"].as_i64() > entry["endTime"].as_i64() {
            findings.problem(INDEX, format_args!("{here}: it ends before it starts"));
        }
        timeless += u64::from(!entry["startTime"].is_number());
        nobody += u64::from(entry["initiator"].is_null() || entry["responder"].is_null());
        match (entry["chunk_file"].as_str(), entry["chunk_index"].as_u64()) {
            (Some(file), Some(at)) => {
                if entries.entry(file.to_owned()).or_default().insert(at, entry).is_some() {
                    findings.problem(INDEX, format_args!("{here}: another has its place in {}", "its file"));
                }
            }
            _ => findings.problem(INDEX, format_args!("{here}: no chunk_file or no chunk_index")),
        }
    });
    if nobody > 0 {
        let what = format!("{nobody} flows of which nobody knows who began them (initiator or responder is null)");
        folder.findings.hidden.push(what);
    }
    if timeless > 0 {
        folder.problem(
            INDEX,
            format_args!("{timeless} flows whose startTime is no number: the overview leaves them out"),
        );
    }
    entries
}

/// A flow in its file, against its entry; how many packets it counts and rightly does not list.
fn whole(findings: &mut Findings, file: &str, flow: &Value, entry: &Value, sums: &mut Sums) -> u64 {
    let here = flow["id"].to_string();
    for name in BOTH {
        if flow[name] != entry[name] {
            let (says, is) = (&entry[name], &flow[name]);
            findings.problem(file, format_args!("{here}: {name} is {is}, and {says} in the index"));
        }
    }
    let Some(packets) = flow["packets"].as_array() else {
        findings.problem(file, format_args!("{here}: packets is no list"));
        return 0;
    };
    let prints = listed(findings, file, flow, packets, sums);
    steps(findings, file, flow, entry, &prints, sums.with_numbers);
    let total = flow["totalPackets"].as_u64().unwrap_or(0);
    let broken_off = flow["invalidReason"].as_str().is_some_and(|why| BROKEN_OFF.contains(&why))
        && packets.last().is_some_and(|last| *last == flow["invalidPacket"]);
    let times: Vec<Option<i64>> = packets.iter().map(|packet| packet["timestamp"].as_i64()).collect();
    if times.contains(&None) || !times.is_sorted() {
        findings.problem(file, format_args!("{here}: packets are not in the order of time"));
    }
    match total.checked_sub(packets.len() as u64) {
        Some(0) => {}
        Some(unlisted) if broken_off => {
            sums.unlisted(flow["key"].as_str().unwrap_or_default(), unlisted);
            return unlisted;
        }
        _ => {
            findings.problem(file, format_args!("{here}: it lists {} of {total} packets", packets.len()));
            return 0;
        }
    }
    if let (Some(first), Some(last)) = (times.first(), times.last())
        && (*first, *last) != (flow["startTime"].as_i64(), flow["endTime"].as_i64())
    {
        findings.problem(file, format_args!("{here}: startTime and endTime are not those of its packets"));
    }
    let bytes = packets.iter().fold(0_i64, |sum, packet| sum.saturating_add(packet["length"].as_i64().unwrap_or(0)));
    if flow["totalBytes"].as_i64() != Some(bytes) {
        findings.problem(file, format_args!("{here}: totalBytes is {}, and packets have {bytes}", flow["totalBytes"]));
    }
    0
}

/// The packets that a flow lists: what tells them from others. Of what is wrong with several, the first is told.
fn listed(findings: &mut Findings, file: &str, flow: &Value, packets: &[Value], sums: &mut Sums) -> HashSet<u64> {
    let (here, ends) = (flow["id"].to_string(), flow["key"].as_str().unwrap_or_default());
    let side = |who, port| flow[who].as_str().zip(flow[port].as_i64());
    if let Some((a, b)) = side("initiator", "initiatorPort").zip(side("responder", "responderPort"))
        && key(a, b) != ends
    {
        findings.problem(file, format_args!("{here}: initiator and responder are not the ends of {ends}"));
    }
    let mut prints = HashSet::with_capacity(packets.len());
    let mut wrong: Option<String> = None;
    for (place, packet) in packets.iter().enumerate() {
        let packet = match Told::of(packet, sums.with_numbers) {
            Ok(packet) => packet,
            Err(name) => {
                wrong.get_or_insert_with(|| format!("{name} of packet {place} is {}", packet[name]));
                continue;
            }
        };
        prints.insert(packet.print());
        if packet.key() != ends {
            wrong.get_or_insert_with(|| format!("packet {place} is not between the ends of {ends}"));
        }
        if !packet.is_well_spelled() {
            wrong.get_or_insert_with(|| format!("packet {place}: flags {} are not {}", packet.flags, packet.name));
        }
        if !sums.listed(ends, &packet) {
            wrong.get_or_insert_with(|| format!("packet {place} is not TCP, or has neither flags nor ports"));
        }
    }
    if let Some(wrong) = wrong {
        findings.problem(file, format_args!("{here}: {wrong}"));
    }
    prints
}

/// The steps of a flow, whose packets are to be among those that it lists.
fn steps(findings: &mut Findings, file: &str, flow: &Value, entry: &Value, prints: &HashSet<u64>, with_numbers: bool) {
    let here = flow["id"].to_string();
    for (phase, count) in PHASES {
        let Some(list) = flow["phases"][phase].as_array() else {
            findings.problem(file, format_args!("{here}: {phase} is no list"));
            continue;
        };
        if Some(list.len() as u64) != entry[count].as_u64() {
            let (is, says) = (list.len(), &entry[count]);
            findings.problem(file, format_args!("{here}: {is} packets are of {phase}, and {says} in the index"));
        }
        let is_known = |step: &&Value| step["phase"].as_str().is_some_and(|name| STEPS.contains(&name));
        if let Some(step) = list.iter().find(|step| !is_known(step)) {
            findings.problem(file, format_args!("{here}: a step of {phase} is {}", step["phase"]));
        }
        let is_listed =
            |step: &Value| Told::of(&step["packet"], with_numbers).is_ok_and(|packet| prints.contains(&packet.print()));
        if !list.iter().all(is_listed) {
            findings.problem(file, format_args!("{here}: a packet of {phase} is not among packets"));
        }
    }
}

/// The hundredths of the time. The last packets are in none of the original's.
fn bins(folder: &mut Folder<'_>, packets: i64, at_last: i64) {
    const NAME: &str = "indices/bins.json";
    let Some(bins) = folder.json(NAME) else { return };
    let sum: i64 = bins.as_array().into_iter().flatten().filter_map(|bin| bin["count"].as_i64()).sum();
    if sum != packets && sum != packets - at_last || bins.as_array().is_none() {
        folder.problem(NAME, format_args!("{sum} packets, of {packets}"));
    } else if sum < packets {
        folder.findings.hidden.push(format!("{} packets of the last time, which no bin counts", packets - sum));
    }
}
