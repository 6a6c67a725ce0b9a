//! Version 5.0: flows by pair of hosts, and bins of five widths.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use serde_json::Value;

use super::{Folder, MANIFEST, PORTS};
use crate::capture::Pieces;
use crate::sink::timeline::flow_bins::KINDS;
use crate::views::timeline::flags::flag_type;

const INDEX: &str = "indices/flow_list/index.json";
const WIDTHS: &str = "indices/flow_bins_index.json";
const HEADER: &str = "start_time,src_port,dst_port,close_type,packets";

/// Flags have 12 bits in a TCP header.
const FLAGS: std::ops::Range<i64> = 0..1 << 12;

/// Flows by pair and kind.
type Counts = BTreeMap<(String, &'static str), u64>;

/// Start, end and kind of a flow.
type Row = (i64, i64, &'static str);

/// What all lists together have.
#[derive(Debug, Default)]
struct Seen {
    counts: Counts,
    /// Packets by flags.
    flags: BTreeMap<i64, u64>,
    /// Packets that each host sent and got.
    hosts: BTreeMap<String, [u64; 2]>,
}

pub(super) fn check(folder: &mut Folder<'_>, manifest: &Value) {
    let [packets, flows, pairs, hosts] = ["total_packets", "total_flows", "total_ip_pairs", "unique_ips"]
        .map(|name| folder.number(MANIFEST, manifest, name));
    let range = folder.range(manifest);
    let seen = lists(folder, flows, pairs, hosts, range);
    widths(folder, flows, range, &seen.counts);
    let tcp = manifest["tcp_packets"].as_i64();
    of_hosts(folder, &seen, tcp, range);
    of_flags(folder, &seen, tcp);
    if let Some(list) = folder.json("ips/unique_ips.json") {
        let names: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        folder.findings.equal("ips/unique_ips.json", "its length", &(names.len() as i64), &hosts);
        if !names.is_sorted() {
            folder.problem("ips/unique_ips.json", "it is not sorted");
        }
    }
    if let Some(bins) = folder.json("indices/bins.json") {
        let sum: i64 = bins.as_array().into_iter().flatten().filter_map(|bin| bin["count"].as_i64()).sum();
        if sum > packets {
            folder.problem("indices/bins.json", format_args!("{sum} packets, of {packets}"));
        } else if sum < packets {
            folder.findings.hidden.push(format!("{} packets of the last time, which no bin counts", packets - sum));
        }
    }
}

/// What hosts sent and got, against their sum and against the lists, which have no packet that they have not.
fn of_hosts(folder: &mut Folder<'_>, seen: &Seen, tcp: Option<i64>, range: (i64, i64)) {
    const NAME: &str = "ips/ip_stats.json";
    let Some(stats) = folder.json(NAME) else { return };
    let Some(stats) = stats.as_object() else { return folder.problem(NAME, "it is no object") };
    let sum = |name: &str| stats.values().fold(0_i64, |sum, of| sum.saturating_add(of[name].as_i64().unwrap_or(0)));
    for name in ["sent_packets", "recv_packets"] {
        folder.findings.equal(NAME, &format!("the sum of {name}"), &Some(sum(name)), &tcp);
    }
    folder.findings.equal(NAME, "the sum of sent_bytes", &sum("sent_bytes"), &sum("recv_bytes"));
    for (host, of) in stats {
        let times = [&of["first_ts"], &of["last_ts"]].map(Value::as_i64);
        if !matches!(times, [Some(first), Some(last)] if range.0 <= first && first <= last && last <= range.1) {
            folder.problem(NAME, format_args!("{host}: first_ts and last_ts are outside the time of the folder"));
        }
    }
    for (host, listed) in &seen.hosts {
        for (name, listed) in ["sent_packets", "recv_packets"].into_iter().zip(*listed) {
            let is = stats.get(host).and_then(|of| of[name].as_u64()).unwrap_or(0);
            if listed > is {
                folder.problem(NAME, format_args!("{host}: {name} is {is}, and lists have {listed}"));
            }
        }
    }
}

/// Packets by the name of their flags, against their sum and against the lists.
fn of_flags(folder: &mut Folder<'_>, seen: &Seen, tcp: Option<i64>) {
    const NAME: &str = "ips/flag_stats.json";
    let Some(stats) = folder.json(NAME) else { return };
    let is = |name: &str| stats[name].as_u64().unwrap_or(0);
    let sum = stats.as_object().into_iter().flatten().filter_map(|(_, n)| n.as_i64()).fold(0, i64::saturating_add);
    folder.findings.equal(NAME, "its sum", &Some(sum), &tcp);
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for (flags, packets) in &seen.flags {
        *listed.entry(flag_type(Some(*flags)).into_owned()).or_default() += packets;
    }
    for (name, listed) in &listed {
        // Where there were no flags, lists have 0.
        let is = if name == "NONE" { is(name).saturating_add(is("INVALID")) } else { is(name) };
        if *listed > is {
            folder.problem(NAME, format_args!("{name} is {is}, and lists have {listed}"));
        }
    }
    let listed: u64 = listed.values().sum();
    let apart = sum.unsigned_abs().saturating_sub(is("INVALID")).saturating_sub(listed);
    if apart > 0 && sum > 0 {
        folder.findings.notes.push(format!("{apart} TCP packets are in no list"));
    }
}

/// Reads the lists of all pairs.
fn lists(folder: &mut Folder<'_>, flows: i64, pairs: i64, hosts: i64, range: (i64, i64)) -> Seen {
    let mut seen = Seen::default();
    let Some(index) = folder.json(INDEX) else { return seen };
    folder.findings.equal(INDEX, "format", &index["format"], &"flow_list_csv".into());
    let columns: Vec<Value> = HEADER.split(',').map(Into::into).collect();
    folder.findings.equal(INDEX, "columns", &index["columns"], &Value::Array(columns));
    folder.findings.equal(INDEX, "unique_ips", &index["unique_ips"].as_i64(), &Some(hosts));
    let [start, end] = ["start", "end"].map(|name| folder.number(INDEX, &index["time_range"], name));
    folder.findings.equal(INDEX, "time_range", &(start, end), &range);
    let mut listed = 0;
    let mut parts: BTreeMap<&str, (u64, BTreeSet<u64>)> = BTreeMap::new();
    let mut files = BTreeSet::new();
    for entry in index["pairs"].as_array().into_iter().flatten() {
        let (Some(pair), Some(file)) = (entry["pair"].as_str(), entry["file"].as_str()) else {
            folder.problem(INDEX, format_args!("no pair or no file: {entry}"));
            continue;
        };
        if pair.split_once("<->").is_none_or(|(a, b)| a > b) {
            folder.problem(INDEX, format_args!("{pair} is not in order"));
        }
        if !files.insert(file) {
            folder.problem(INDEX, format_args!("{file} is listed twice"));
        }
        let part = parts.entry(pair).or_insert((entry["total_parts"].as_u64().unwrap_or(1), BTreeSet::new()));
        part.1.insert(entry["part"].as_u64().unwrap_or(1));
        let rows = list(folder, pair, file, entry["size"].as_u64(), range, &mut seen);
        folder.findings.equal(INDEX, &format!("count of {file}"), &entry["count"].as_u64(), &Some(rows));
        listed += rows as i64;
    }
    for (pair, (total, parts)) in &parts {
        if !parts.iter().copied().eq(1..=*total) {
            folder.problem(INDEX, format_args!("{pair} has the parts {parts:?} of {total}"));
        }
    }
    for (file, says) in [(MANIFEST, flows), (INDEX, index["total_flows"].as_i64().unwrap_or(-1))] {
        folder.findings.equal(file, "total_flows", &says, &listed);
    }
    for (file, says) in [(MANIFEST, pairs), (INDEX, index["total_pairs"].as_i64().unwrap_or(-1))] {
        folder.findings.equal(file, "the number of pairs", &says, &(parts.len() as i64));
    }
    seen
}

/// Reads the list of a pair, or a part of it; how many flows it has.
fn list(folder: &mut Folder<'_>, pair: &str, file: &str, size: Option<u64>, range: (i64, i64), seen: &mut Seen) -> u64 {
    let name = format!("indices/flow_list/{file}");
    let Some(lines) = folder.open(&name) else { return 0 };
    let length = lines.get_ref().metadata().map(|file| file.len()).ok();
    folder.findings.equal(INDEX, &format!("size of {file}"), &size, &length);
    let mut lines = Pieces::new(lines);
    match lines.line() {
        Ok(first) => folder.findings.equal(&name, "its first line", &first.unwrap_or_default(), &HEADER),
        Err(error) => {
            folder.problem(&name, error);
            return 0;
        }
    }
    let (mut rows, mut before, mut ways) = (0, i64::MIN, [0; 2]);
    loop {
        let row = match row(&mut lines, &mut seen.flags, &mut ways) {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                folder.problem(&name, error);
                break;
            }
        };
        rows += 1;
        let number = rows + 1;
        match row {
            Ok((start, end, kind)) => {
                if start < before {
                    folder.problem(&name, format_args!("line {number} starts before the one before it"));
                }
                if start < range.0 || end > range.1 {
                    folder.problem(&name, format_args!("line {number} is outside the time of the folder"));
                }
                before = start;
                *seen.counts.entry((pair.to_owned(), kind)).or_default() += 1;
            }
            Err(why) => folder.problem(&name, format_args!("line {number}: {why}")),
        }
    }
    if let Some((a, b)) = pair.split_once("<->") {
        let [down, up] = ways;
        for (host, of) in [(a, [up, down]), (b, [down, up])] {
            let sums = seen.hosts.entry(host.to_owned()).or_default();
            sums.iter_mut().zip(of).for_each(|(sum, packets)| *sum += packets);
        }
    }
    rows
}

/// A row, or what is wrong with it first: start, end and kind. It may be as long as its flow, so it is read cell by cell. Its packets are
/// counted by flags, and by the way that they go.
fn row(
    cells: &mut Pieces<impl BufRead>,
    flags: &mut BTreeMap<i64, u64>,
    ways: &mut [u64; 2],
) -> io::Result<Option<Result<Row, String>>> {
    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("{text:?} is no whole number"));
    let (mut start, mut kind, mut last, mut wrong) = (0, "", None, None);
    let mut at = 0_u64;
    while let Some((cell, is_last)) = cells.cell()? {
        let mut take = || -> Result<(), String> {
            match at {
                0 => start = number(cell)?,
                1 | 2 => {
                    let port = number(cell)?;
                    if !PORTS.contains(&port) {
                        return Err(format!("{port} is no port"));
                    }
                }
                3 => {
                    let named = usize::try_from(number(cell)?).ok().and_then(|kind| KINDS.get(kind));
                    kind = named.ok_or_else(|| "its close_type is none".to_owned())?;
                }
                _ => {
                    let packet = if at == 4 { cell.strip_prefix('"') } else { Some(cell) };
                    let packet =
                        packet.and_then(|packet| if is_last { packet.strip_suffix('"') } else { Some(packet) });
                    let packet = packet.ok_or_else(|| "packets are not in quotes".to_owned())?;
                    let parts: Vec<&str> = packet.split(':').collect();
                    let ([delta, mask, way] | [delta, mask, way, _, _]) = parts[..] else {
                        return Err(format!("{packet:?} is no packet"));
                    };
                    parts.iter().try_for_each(|part| number(part).map(drop))?;
                    let (delta, mask) = (number(delta)?, number(mask)?);
                    if last.map_or(delta != 0, |last| delta < last) || !matches!(way, "0" | "1") {
                        return Err(format!("{packet:?} is not in order, or goes nowhere"));
                    }
                    if !FLAGS.contains(&mask) {
                        return Err(format!("{packet:?}: no TCP packet has these flags"));
                    }
                    last = Some(delta);
                    *flags.entry(mask).or_default() += 1;
                    ways[usize::from(way == "1")] += 1;
                }
            }
            Ok(())
        };
        if let (Err(why), None) = (take(), &wrong) {
            wrong = Some(why);
        }
        at += 1;
        if is_last {
            break;
        }
    }
    if at == 0 {
        return Ok(None);
    }
    if at < 5 && wrong.is_none() {
        wrong = Some("fewer than five cells".into());
    }
    Ok(Some(wrong.map_or(Ok((start, start.saturating_add(last.unwrap_or(0)), kind)), Err)))
}

/// Reads the bins of all widths.
fn widths(folder: &mut Folder<'_>, flows: i64, range: (i64, i64), counts: &Counts) {
    let Some(index) = folder.json(WIDTHS) else { return };
    folder.findings.equal(WIDTHS, "total_flows", &index["total_flows"].as_i64(), &Some(flows));
    let says = ["start_us", "end_us"].map(|name| folder.number(WIDTHS, &index["time_range"], name));
    folder.findings.equal(WIDTHS, "time_range", &(says[0], says[1]), &range);
    let Some(resolutions) = index["resolutions"].as_object() else {
        return folder.problem(WIDTHS, "resolutions is no object");
    };
    if !resolutions.contains_key("hour") {
        folder.problem(WIDTHS, "the resolution hour is missing, which viewers take when no other fits");
    }
    for (name, resolution) in resolutions {
        let Some(file) = resolution["file"].as_str() else {
            folder.problem(WIDTHS, format_args!("{name} has no file"));
            continue;
        };
        let width = folder.number(WIDTHS, resolution, "bin_width_us").max(1);
        let file = format!("indices/{file}");
        let (mut bins, mut before, mut seen) = (0_u64, i64::MIN, Counts::new());
        folder.elements(&file, |findings, bin| {
            bins += 1;
            let number = bin["bin"].as_i64().unwrap_or(-1);
            let start = range.0.saturating_add(number.saturating_mul(width));
            let span = (bin["start"].as_i64(), bin["end"].as_i64());
            if number <= before || span != (Some(start), Some(start.saturating_add(width))) {
                findings.problem(&file, format_args!("bin {number} is not where it should be"));
            }
            before = number;
            for (pair, of) in bin["flows_by_ip_pair"].as_object().into_iter().flatten() {
                for (nth, kind) in KINDS.into_iter().enumerate() {
                    let count = if nth < 4 { &of[kind] } else { &of["invalid"][kind] }.as_u64().unwrap_or(0);
                    let hosts = of["initiated_by"].as_object().into_iter().flatten();
                    let begun: u64 = hosts.filter_map(|(_, kinds)| kinds[kind].as_u64()).sum();
                    if begun != count {
                        findings
                            .problem(&file, format_args!("bin {number}, {pair}: {begun} of {count} {kind} were begun"));
                    }
                    let first = of["ranges"][kind][0].as_i64();
                    if (count > 0) != first.is_some_and(|first| first >= start && first < start.saturating_add(width)) {
                        findings.problem(
                            &file,
                            format_args!("bin {number}, {pair}: the range of {kind} is of another bin"),
                        );
                    }
                    if count > 0 {
                        *seen.entry((pair.clone(), kind)).or_default() += count;
                    }
                }
            }
        });
        folder.findings.equal(
            WIDTHS,
            &format!("bins_with_data of {name}"),
            &resolution["bins_with_data"].as_u64(),
            &Some(bins),
        );
        if seen != *counts {
            folder.problem(&file, "it counts other flows than the lists have");
        }
    }
}
