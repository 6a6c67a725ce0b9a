//! Version 3.3: packets, and bins of seven widths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Extent, Findings, Folder, MANIFEST, PORTS, is_called};

const BINS: &str = "timestamp,bin_start,bin_end,src_ip,dst_ip,count,total_bytes,flag_type";
const RAW: &str = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,length";

/// The names that viewers know, and their widths in microseconds.
const LEVELS: [(&str, i64); 8] = [
    ("hours", 3_600_000_000),
    ("minutes", 60_000_000),
    ("10s", 10_000_000),
    ("seconds", 1_000_000),
    ("100ms", 100_000),
    ("10ms", 10_000),
    ("1ms", 1_000),
    ("raw", 1),
];

/// What a level counts.
#[derive(Default)]
struct Seen {
    rows: i64,
    packets: i64,
    bytes: i64,
    times: Extent,
    last: Option<i64>,
    hosts: BTreeSet<String>,
    /// Packets by the name of their flags.
    flags: BTreeMap<String, i64>,
}

pub(super) fn check(folder: &mut Folder<'_>, manifest: &Value) {
    let [packets, hosts] = ["total_packets", "unique_ips"].map(|name| folder.number(MANIFEST, manifest, name));
    let range = folder.range(manifest);
    let Some(resolutions) = manifest["resolutions"].as_object() else {
        return folder.problem(MANIFEST, "resolutions is no object");
    };
    if !resolutions.contains_key("hours") {
        folder.problem(MANIFEST, "the resolution hours is missing, without which viewers show nothing");
    }
    let mut flags: Option<(String, BTreeMap<String, i64>)> = None;
    let mut bytes: Option<i64> = None;
    for (name, level) in resolutions {
        let Some(&(_, width)) = LEVELS.iter().find(|(known, _)| known == name) else {
            folder.findings.hidden.push(format!("the resolution {name}, which viewers do not know"));
            continue;
        };
        folder.findings.equal(MANIFEST, &format!("width of {name}"), &level["resolution_microseconds"], &width.into());
        let seen = self::level(folder, name, width, level);
        folder.findings.equal(MANIFEST, &format!("total_packets, by {name},"), &packets, &seen.packets);
        folder.findings.equal(MANIFEST, &format!("unique_ips, by {name},"), &hosts, &(seen.hosts.len() as i64));
        if width == 1 {
            folder.findings.equal(MANIFEST, "time_range", &range, &seen.times.range());
        }
        let sum = *bytes.get_or_insert(seen.bytes);
        folder.findings.equal(name, "its bytes, by the level before,", &sum, &seen.bytes);
        match &flags {
            Some((other, known)) if *known != seen.flags => {
                folder.problem(name, format_args!("it counts other packets by flags than {other}"));
            }
            Some(_) => {}
            None => flags = Some((name.clone(), seen.flags)),
        }
    }
}

/// Reads a level, and checks it against its index.
fn level(folder: &mut Folder<'_>, name: &str, width: i64, level: &Value) -> Seen {
    let place = format!("resolutions/{name}");
    let file = format!("{place}/index.json");
    let mut seen = Seen::default();
    folder.findings.equal(MANIFEST, &format!("index of {name}"), &level["index"], &file.as_str().into());
    let Some(index) = folder.json(&file) else { return seen };
    folder.findings.equal(&file, "resolution", &index["resolution"], &name.into());
    folder.findings.equal(&file, "resolution_microseconds", &index["resolution_microseconds"], &width.into());
    if let Some(data) = index["data_file"].as_str() {
        read(folder, &format!("{place}/{data}"), width, None, &mut seen);
    }
    let chunks = index["chunks"].as_array();
    if chunks.is_none() && index["data_file"].is_null() {
        folder.problem(&file, "neither data_file nor chunks");
    }
    let mut before = i64::MIN;
    for (number, chunk) in chunks.into_iter().flatten().enumerate() {
        let Some(data) = chunk["file"].as_str() else {
            folder.problem(&file, format_args!("chunk {number} has no file"));
            continue;
        };
        let [start, end, count] = ["start", "end", "count"].map(|name| folder.number(&file, chunk, name));
        folder.findings.equal(&file, &format!("index of chunk {number}"), &chunk["index"], &number.into());
        if start < before || end < start {
            folder.problem(&file, format_args!("chunk {number} is not behind the one before it"));
        }
        before = end;
        let rows = seen.rows;
        read(folder, &format!("{place}/{data}"), width, Some((start, end)), &mut seen);
        folder.findings.equal(&file, &format!("count of chunk {number}"), &count, &(seen.rows - rows));
    }
    let total = folder.number(&file, &index, "total_count");
    folder.findings.equal(&file, "total_count", &total, &seen.rows);
    let rows = if width == 1 { "total_packets" } else { "total_bins" };
    folder.findings.equal(MANIFEST, &format!("{rows} of {name}"), &level[rows], &seen.rows.into());
    if let Some(chunks) = chunks {
        folder.findings.equal(
            MANIFEST,
            &format!("total_chunks of {name}"),
            &level["total_chunks"],
            &chunks.len().into(),
        );
    }
    let [start, end] = ["start", "end"].map(|name| folder.number(&file, &index["time_range"], name));
    let (first, last) = seen.times.range();
    let last = if width == 1 || seen.rows == 0 { last } else { last.saturating_add(width) };
    folder.findings.equal(&file, "time_range", &(start, end), &(first, last));
    seen
}

/// Reads a file of a level, whose rows are of the time that is told.
fn read(folder: &mut Folder<'_>, file: &str, width: i64, time: Option<(i64, i64)>, seen: &mut Seen) {
    let row = |findings: &mut Findings, line: u64, cells: &[&str]| {
        seen.rows += 1;
        let number = |findings: &mut Findings, at: usize| {
            cells[at].parse::<i64>().unwrap_or_else(|_| {
                findings.problem(file, format_args!("line {line}: {:?} is no whole number", cells[at]));
                0
            })
        };
        let start = number(findings, 0);
        let (hosts, name, count, bytes) = if width == 1 {
            let [src_port, dst_port, flags, length] = [3, 4, 5, 7].map(|at| number(findings, at));
            for port in [src_port, dst_port].into_iter().filter(|port| !PORTS.contains(port)) {
                findings.problem(file, format_args!("line {line}: {port} is no port"));
            }
            if !is_called(flags, cells[6]) {
                findings.problem(file, format_args!("line {line}: flags {flags} are not {}", cells[6]));
            }
            ([cells[1], cells[2]], cells[6], 1, length)
        } else {
            let [begin, end, count, bytes] = [1, 2, 5, 6].map(|at| number(findings, at));
            if begin != start || end.saturating_sub(begin) != width || begin.rem_euclid(width) != 0 || count < 1 {
                findings.problem(file, format_args!("line {line}: that is no bin of {width} microseconds"));
            }
            ([cells[3], cells[4]], cells[7], count, bytes)
        };
        if seen.last.is_some_and(|last| start < last) {
            findings.problem(file, format_args!("line {line} is earlier than the row before it"));
        }
        if time.is_some_and(|(first, end)| start < first || start >= end) {
            findings.problem(file, format_args!("line {line} is outside the time that the index has for it"));
        }
        seen.last = Some(start);
        seen.times.add(start);
        seen.packets += count;
        seen.bytes = seen.bytes.saturating_add(bytes);
        *seen.flags.entry(name.to_owned()).or_default() += count;
        for host in hosts {
            if !seen.hosts.contains(host) {
                seen.hosts.insert(host.to_owned());
            }
        }
    };
    folder.rows(file, if width == 1 { RAW } else { BINS }, row);
}
