//! Version 2.0: packets, flows in files of several, an index, and totals.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Extent, Findings, Folder, MANIFEST};
use crate::views::timeline::flags::flag_type;

const HEADER: &str = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,seq_num,ack_num,length,protocol";
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

pub(super) fn check(folder: &mut Folder<'_>, manifest: &Value) {
    let [packets, tcp, hosts, flows, per_chunk, chunks] =
        ["total_packets", "tcp_packets", "unique_ips", "total_flows", "flows_per_chunk", "total_chunks"]
            .map(|name| folder.number(MANIFEST, manifest, name));
    let range = folder.range(manifest);
    let seen = if packets > 0 { totals(folder) } else { Totals::default() };
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
    let entries = index(folder);
    let listed: usize = entries.values().map(BTreeMap::len).sum();
    folder.findings.equal(MANIFEST, "total_flows", &flows, &(listed as i64));
    folder.findings.equal(MANIFEST, "total_chunks", &chunks, &(entries.len() as i64));
    for (name, entries) in &entries {
        let name = format!("flows/{name}");
        let mut place = 0;
        folder.elements(&name, |findings, flow| {
            match entries.get(&place) {
                Some(entry) => whole(findings, &name, &flow, entry),
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
fn totals(folder: &mut Folder<'_>) -> Totals {
    const NAME: &str = "packets.csv";
    let mut seen = Totals::default();
    let mut sums: BTreeMap<String, [i64; 6]> = BTreeMap::new();
    let mut flags: BTreeMap<String, i64> = BTreeMap::new();
    let rows = folder.rows(NAME, HEADER, |findings, line, cells| {
        let mut number = |at: usize| {
            cells[at].parse::<i64>().unwrap_or_else(|_| {
                findings.problem(NAME, format_args!("line {line}: {:?} is no whole number", cells[at]));
                0
            })
        };
        let [time, _, _, mask, _, _, length] = [0, 3, 4, 5, 7, 8, 9].map(&mut number);
        let name = cells[6];
        if name != "INVALID" && name != flag_type(Some(mask)) {
            findings.problem(NAME, format_args!("line {line}: flags {mask} are not {name}"));
        }
        seen.times.add(time);
        if seen.packets_read == 0 || time > seen.last {
            (seen.last, seen.at_last) = (time, 0);
        }
        seen.at_last += i64::from(time == seen.last);
        seen.packets_read += 1;
        for host in [cells[1], cells[2]] {
            if !seen.hosts.contains(host) {
                seen.hosts.insert(host.to_owned());
            }
        }
        if cells[10] == "6" {
            seen.tcp += 1;
            *flags.entry(name.to_owned()).or_default() += 1;
            for (at, host) in [cells[1], cells[2]].into_iter().enumerate() {
                let sum = sums.entry(host.to_owned()).or_insert([0, 0, 0, 0, time, time]);
                sum[at] += 1;
                sum[2 + at] = sum[2 + at].saturating_add(length.max(0));
                (sum[4], sum[5]) = (sum[4].min(time), sum[5].max(time));
            }
        }
    });
    seen.packets = rows as i64;
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

/// A flow in its file, against its entry.
fn whole(findings: &mut Findings, file: &str, flow: &Value, entry: &Value) {
    let here = flow["id"].to_string();
    for name in BOTH {
        if flow[name] != entry[name] {
            let (says, is) = (&entry[name], &flow[name]);
            findings.problem(file, format_args!("{here}: {name} is {is}, and {says} in the index"));
        }
    }
    for (phase, count) in PHASES {
        match flow["phases"][phase].as_array() {
            Some(list) if Some(list.len() as u64) == entry[count].as_u64() => {}
            Some(list) => findings.problem(
                file,
                format_args!("{here}: {} packets are of {phase}, and {} in the index", list.len(), entry[count]),
            ),
            None => findings.problem(file, format_args!("{here}: {phase} is no list")),
        }
    }
    let Some(packets) = flow["packets"].as_array() else {
        return findings.problem(file, format_args!("{here}: packets is no list"));
    };
    let total = flow["totalPackets"].as_u64().unwrap_or(0);
    if packets.len() as u64 != total {
        return findings.problem(file, format_args!("{here}: it lists {} of {total} packets", packets.len()));
    }
    let times: Vec<Option<i64>> = packets.iter().map(|packet| packet["timestamp"].as_i64()).collect();
    if times.contains(&None) || !times.is_sorted() {
        findings.problem(file, format_args!("{here}: packets are not in the order of time"));
    } else if let (Some(first), Some(last)) = (times.first(), times.last())
        && (*first, *last) != (flow["startTime"].as_i64(), flow["endTime"].as_i64())
    {
        findings.problem(file, format_args!("{here}: startTime and endTime are not those of its packets"));
    }
    let bytes = packets.iter().fold(0_i64, |sum, packet| sum.saturating_add(packet["length"].as_i64().unwrap_or(0)));
    if flow["totalBytes"].as_i64() != Some(bytes) {
        findings.problem(file, format_args!("{here}: totalBytes is {}, and packets have {bytes}", flow["totalBytes"]));
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
