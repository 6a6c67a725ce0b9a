//! Version 3.3: packets, and bins of seven widths.

use serde_json::Value;

use super::findings::Findings;
use super::folder::{Folder, UNTOLD};
use super::level::{Chunk, Level, Names};
use super::{MANIFEST, manifest, recount};

/// The names that viewers know, and their widths in microseconds, the narrowest first.
const LEVELS: [(&str, i64); 8] = [
    ("raw", 1),
    ("1ms", 1_000),
    ("10ms", 10_000),
    ("100ms", 100_000),
    ("seconds", 1_000_000),
    ("10s", 10_000_000),
    ("minutes", 60_000_000),
    ("hours", 3_600_000_000),
];

pub(super) fn check(folder: &mut Folder<'_>, says: &Value) {
    let [packets, hosts] = ["total_packets", "unique_ips"].map(|name| folder.number(MANIFEST, says, name));
    let range = folder.range(says);
    manifest::created(folder, says);
    let Some(resolutions) = says["resolutions"].as_object() else {
        return folder.problem(MANIFEST, "resolutions is no object", "viewers show nothing");
    };
    if !resolutions.contains_key("hours") {
        folder.problem(MANIFEST, "the resolution hours is missing", "viewers show nothing without it");
    }
    for name in resolutions.keys().filter(|name| LEVELS.iter().all(|(known, _)| known != name)) {
        folder.findings.hidden.push(format!("the resolution {name}, which viewers do not know"));
    }
    let mut levels = Vec::new();
    for (name, width) in LEVELS {
        if let Some(told) = resolutions.get(name) {
            levels.extend(level(folder, name, width, told, range));
        }
    }
    let Some((finest, coarser)) = levels.split_first_mut() else { return };
    let mut names = Names::default();
    recount::recount(folder, &mut names, finest, coarser);
    let source = finest.name;
    let by = |what: &str| format!("{what}, by {source},");
    folder.findings.equal(MANIFEST, &by("total_packets"), &packets, &finest.packets, "viewers print that number");
    folder.findings.equal(MANIFEST, &by("unique_ips"), &hosts, &(finest.hosts.len() as i64), "viewers print it");
    folder.has_packets = finest.width == 1;
    if finest.width == 1 {
        let then = "viewers show another stretch of time at first";
        folder.findings.equal(MANIFEST, "time_range", &range, &finest.times.range(), then);
    }
    for level in &levels {
        total(folder, level, &resolutions[level.name]);
    }
}

/// Reads the index of a level, and says what of it is wrong by itself.
fn level(folder: &mut Folder<'_>, name: &'static str, width: i64, told: &Value, range: (i64, i64)) -> Option<Level> {
    let place = format!("resolutions/{name}");
    let file = format!("{place}/index.json");
    let then = "viewers look for it elsewhere";
    let wide = "viewers draw bins of that width";
    folder.findings.equal(MANIFEST, &format!("width of {name}"), &told["resolution_microseconds"], &width.into(), wide);
    folder.findings.equal(MANIFEST, &format!("index of {name}"), &told["index"], &file.as_str().into(), then);
    let index: Value = folder.whole(&file)?;
    folder.findings.equal(&file, "resolution", &index["resolution"], &name.into(), "viewers take it for that");
    folder.findings.equal(&file, "resolution_microseconds", &index["resolution_microseconds"], &width.into(), wide);
    let mut slot = None;
    if width == 1 {
        let said = folder.number(&file, &index, "chunk_duration_microseconds");
        if said < 1 {
            folder.problem(&file, "chunk_duration_microseconds is not above 0", "viewers find no chunk of a time");
        }
        slot = (said > 0).then_some((range.0, said));
        let seconds = &told["chunk_duration_seconds"];
        if seconds.is_null() {
            folder.findings.note(MANIFEST, "chunk_duration_seconds of raw is missing", UNTOLD);
        } else {
            let us = seconds.as_i64().map(|seconds| seconds.saturating_mul(1_000_000));
            let then = "viewers look in other chunks";
            folder.findings.equal(MANIFEST, "chunk_duration_seconds, in microseconds,", &us, &Some(said), then);
        }
    }
    let (mut chunks, mut whole) = (Vec::new(), None);
    match (index["data_file"].as_str(), index["chunks"].as_array()) {
        (Some(data), _) => {
            let path = format!("{place}/{data}");
            folder.findings.equal(MANIFEST, &format!("data of {name}"), &told["data"], &path.as_str().into(), then);
            whole = Some(path);
        }
        (None, Some(list)) => {
            let count = list.len().into();
            let number = format!("total_chunks of {name}");
            folder.findings.equal(MANIFEST, &number, &told["total_chunks"], &count, "viewers print that number");
            chunks = list
                .iter()
                .enumerate()
                .filter_map(|(number, chunk)| self::chunk(folder, &file, number, chunk))
                .collect();
        }
        (None, None) => folder.problem(&file, "neither data_file nor chunks", "viewers show nothing at this width"),
    }
    for pair in chunks.windows(2).filter(|pair| pair[1].start < pair[0].end) {
        let what = format_args!("chunk {} begins before the end of the one before it", pair[1].number);
        folder.findings.problem(&file, what, "viewers show packets twice, or none");
    }
    let total = folder.number(&file, &index, "total_count");
    let says = ["start", "end"].map(|name| folder.number(&file, &index["time_range"], name));
    Some(Level::new(name, width, place, whole, chunks, slot, total, says.into()))
}

/// What an index says of a file.
fn chunk(folder: &mut Folder<'_>, file: &str, number: usize, chunk: &Value) -> Option<Chunk> {
    let Some(data) = chunk["file"].as_str() else {
        folder.problem(file, format_args!("chunk {number} has no file"), "viewers do not load it");
        return None;
    };
    let [start, end, count] = ["start", "end", "count"].map(|name| folder.number(file, chunk, name));
    let then = "viewers take it for another";
    folder.findings.equal(file, &format!("index of chunk {number}"), &chunk["index"], &number.into(), then);
    if end < start {
        folder.problem(file, format_args!("chunk {number} ends before it starts"), "viewers do not load it");
    }
    Some(Chunk { file: data.to_owned(), number, start, end, count })
}

/// What index and manifest say of the rows of a level, now that they are read.
fn total(folder: &mut Folder<'_>, level: &Level, told: &Value) {
    let Level { name, width, rows, times, .. } = level;
    let file = format!("resolutions/{name}/index.json");
    let findings: &mut Findings = folder.findings;
    findings.equal(&file, "total_count", &level.total, rows, "viewers print that number");
    let number = if *width == 1 { "total_packets" } else { "total_bins" };
    findings.equal(
        MANIFEST,
        &format!("{number} of {name}"),
        &told[number],
        &(*rows).into(),
        "viewers print that number",
    );
    let (first, last) = times.range();
    let last = if *width == 1 || *rows == 0 { last } else { last.saturating_add(*width) };
    findings.equal(&file, "time_range", &level.says, &(first, last), "viewers ask for other times");
}
