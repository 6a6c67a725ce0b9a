//! Version 5.0: flows by pair of hosts, and bins of five widths.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde_json::Value;

use super::{Folder, MANIFEST};
use crate::sink::timeline::flow_bins::KINDS;

const INDEX: &str = "indices/flow_list/index.json";
const WIDTHS: &str = "indices/flow_bins_index.json";
const HEADER: &str = "start_time,src_port,dst_port,close_type,packets";

/// Flows by pair and kind.
type Counts = BTreeMap<(String, &'static str), u64>;

pub(super) fn check(folder: &mut Folder<'_>, manifest: &Value) {
    let [packets, flows, pairs, hosts] = ["total_packets", "total_flows", "total_ip_pairs", "unique_ips"]
        .map(|name| folder.number(MANIFEST, manifest, name));
    let range = folder.range(manifest);
    let counts = lists(folder, flows, pairs, hosts, range);
    widths(folder, flows, range, &counts);
    let stats = folder.json("ips/ip_stats.json");
    if stats.is_some_and(|stats| !stats.is_object()) {
        folder.problem("ips/ip_stats.json", "it is no object");
    }
    let flags = folder.json("ips/flag_stats.json");
    let sum: i64 = flags.iter().flat_map(|flags| flags.as_object()).flatten().filter_map(|(_, n)| n.as_i64()).sum();
    folder.findings.equal("ips/flag_stats.json", "its sum", &Some(sum), &manifest["tcp_packets"].as_i64());
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

/// Reads the lists of all pairs.
fn lists(folder: &mut Folder<'_>, flows: i64, pairs: i64, hosts: i64, range: (i64, i64)) -> Counts {
    let mut counts = Counts::new();
    let Some(index) = folder.json(INDEX) else { return counts };
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
        let rows = list(folder, pair, file, entry["size"].as_u64(), range, &mut counts);
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
    counts
}

/// Reads the list of a pair, or a part of it; how many flows it has.
fn list(
    folder: &mut Folder<'_>,
    pair: &str,
    file: &str,
    size: Option<u64>,
    range: (i64, i64),
    counts: &mut Counts,
) -> u64 {
    let name = format!("indices/flow_list/{file}");
    let Some(lines) = folder.open(&name) else { return 0 };
    let length = lines.get_ref().metadata().map(|file| file.len()).ok();
    folder.findings.equal(INDEX, &format!("size of {file}"), &size, &length);
    let (mut rows, mut before) = (0, i64::MIN);
    for (number, line) in (1_u64..).zip(lines.lines()) {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                folder.problem(&name, error);
                break;
            }
        };
        if number == 1 {
            folder.findings.equal(&name, "its first line", &line.as_str(), &HEADER);
            continue;
        }
        rows += 1;
        match row(&line) {
            Ok((start, end, kind)) => {
                if start < before {
                    folder.problem(&name, format_args!("line {number} starts before the one before it"));
                }
                if start < range.0 || end > range.1 {
                    folder.problem(&name, format_args!("line {number} is outside the time of the folder"));
                }
                before = start;
                *counts.entry((pair.to_owned(), kind)).or_default() += 1;
            }
            Err(why) => folder.problem(&name, format_args!("line {number}: {why}")),
        }
    }
    rows
}

/// Start, end and kind of a row.
fn row(line: &str) -> Result<(i64, i64, &'static str), String> {
    let cells: Vec<&str> = line.splitn(5, ',').collect();
    let [start, src, dst, kind, packets] = cells[..] else { return Err("fewer than five cells".into()) };
    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("{text:?} is no whole number"));
    let start = number(start)?;
    number(src).and(number(dst))?;
    let kind = usize::try_from(number(kind)?).ok().and_then(|kind| KINDS.get(kind));
    let kind = *kind.ok_or_else(|| "its close_type is none".to_owned())?;
    let packets = packets.strip_prefix('"').and_then(|packets| packets.strip_suffix('"'));
    let mut last = None;
    for packet in packets.ok_or_else(|| "packets are not in quotes".to_owned())?.split(',') {
        let parts: Vec<&str> = packet.split(':').collect();
        let ([delta, _, way] | [delta, _, way, _, _]) = parts[..] else {
            return Err(format!("{packet:?} is no packet"));
        };
        parts.iter().try_for_each(|part| number(part).map(drop))?;
        let delta = number(delta)?;
        if last.map_or(delta != 0, |last| delta < last) || !matches!(way, "0" | "1") {
            return Err(format!("{packet:?} is not in order, or goes nowhere"));
        }
        last = Some(delta);
    }
    Ok((start, start.saturating_add(last.unwrap_or(0)), kind))
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
