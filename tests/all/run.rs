//! Running the engine, and holding what it said against what the model expects.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::app::notes::Body;
use pcap_compactor::capture::Io;
use pcap_compactor::engine::Report;
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::digest::DigestLines;
use pcap_compactor::sink::jsonl::{JsonLines, Lines};
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::views::groups::{GroupRecord, Window, WindowTotals};
use pcap_compactor::{Config, Engine, Input, Job, Result, Timestamp};
use serde_json::Value;

use crate::model::{Expected, Group, Range, Scan, Section, Sum, Tokens};

/// One of the ways to run a job; none of them may show in the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) threads: usize,
    pub(crate) io: Io,
}

pub(crate) const PLAIN: Way = Way { threads: 1, io: Io::Read };
pub(crate) const THREADS: [usize; 5] = [1, 2, 3, 7, 16];

pub(crate) const WAYS: [Way; 10] = {
    let mut ways = [PLAIN; 10];
    let mut n = 0;
    while n < ways.len() {
        ways[n] = Way { threads: THREADS[n / 2], io: if n % 2 == 0 { Io::Mmap } else { Io::Read } };
        n += 1;
    }
    ways
};

/// What the engine said.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) windows: Vec<(Window, Vec<GroupRecord>, Vec<ScanSummary>)>,
    groups: Vec<GroupRecord>,
    scans: Vec<ScanSummary>,
    pub(crate) metrics: Value,
}

impl Sink for Said {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        assert!(self.scans.is_empty(), "a group behind its window's scans");
        self.groups.push(group.clone());
        Ok(())
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.scans.push(scan.clone());
        Ok(())
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        let (groups, scans) = (std::mem::take(&mut self.groups), std::mem::take(&mut self.scans));
        assert_eq!(totals.counts.groups_emitted, groups.len() as u64);
        assert_eq!(totals.counts.scans_collapsed, scans.len() as u64);
        self.windows.push((totals.window, groups, scans));
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        assert!(self.metrics.is_null(), "metrics come once");
        let mut line = Vec::new();
        metrics.write(&mut line);
        self.metrics = serde_json::from_slice(&line).expect("the metrics are JSON");
        Ok(())
    }
}

impl Said {
    pub(crate) fn groups(&self) -> impl Iterator<Item = &GroupRecord> {
        self.windows.iter().flat_map(|(_, groups, _)| groups)
    }

    pub(crate) fn scans(&self) -> impl Iterator<Item = &ScanSummary> {
        self.windows.iter().flat_map(|(_, _, scans)| scans)
    }
}

pub(crate) fn job(config: &Config, range: Range, way: Way) -> Job {
    let engine = Engine::builder().threads(way.threads).io(way.io);
    let job = Job::new(config.clone()).engine(engine);
    let window = |(from, to)| Window { start: Timestamp(from), end: Timestamp(to) };
    match range.clip {
        Some(clip) if range.single => job.single_window(window(clip)),
        clip => job.clip(clip.map(window)),
    }
}

pub(crate) fn inputs(paths: &[PathBuf]) -> Vec<Input> {
    paths.iter().map(Input::file).collect()
}

/// Runs a job and keeps its records.
pub(crate) fn say(paths: &[PathBuf], config: &Config, range: Range, way: Way) -> (Said, Report) {
    let mut said = Said::default();
    let report = job(config, range, way).run(inputs(paths), &mut said).expect("the run ends well");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    balances(&said.metrics);
    (said, report)
}

/// Runs a job and keeps its lines of JSON. Of the metrics' files, where and in what they were is left out.
pub(crate) fn lines(paths: &[PathBuf], config: &Config, range: Range, way: Way) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = JsonLines::new(&mut out, "memory", Lines::default());
    let report = job(config, range, way).run(inputs(paths), &mut sink).expect("the run ends well");
    drop(sink);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    without_places(out)
}

/// As [`lines`], of the digest.
pub(crate) fn digest(paths: &[PathBuf], config: &Config, range: Range, way: Way) -> String {
    let mut out = Vec::new();
    job(config, range, way).run(inputs(paths), &mut DigestLines::new(&mut out)).expect("the run ends well");
    String::from_utf8(without_places(out)).expect("JSON is UTF-8")
}

/// What [`lines`] returned, without the metrics.
pub(crate) fn records(lines: &[u8]) -> Vec<u8> {
    lines[..lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)].to_vec()
}

/// Takes path, format and compression out of the last line's `files`, which are then sorted by what is left.
fn without_places(mut out: Vec<u8>) -> Vec<u8> {
    assert_eq!(out.pop(), Some(b'\n'));
    let last = out.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut metrics: Value = serde_json::from_slice(&out[last..]).expect("the last line is JSON");
    assert_eq!(metrics["type"], "metrics");
    balances(&metrics);
    let files = metrics["files"].as_array_mut().expect("files are a list");
    for file in &mut *files {
        let file = file.as_object_mut().expect("a file is an object");
        for place in ["path", "format", "compression"] {
            file.remove(place).expect("it is told");
        }
    }
    files.sort_by_key(Value::to_string);
    out.truncate(last);
    out.extend_from_slice(metrics.to_string().as_bytes());
    out
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

pub(crate) fn sum(value: &Value) -> Sum {
    ["packets", "wire_bytes", "captured_bytes"].map(|measure| number(&value[measure]))
}

/// The ledger of a metrics line, in all three measures.
pub(crate) fn balances(metrics: &Value) {
    let ledger = &metrics["ledger"];
    let mut parts = [0; 3];
    for name in
        ["kept", "collapsed", "filtered", "out_of_window", "duplicate", "late", "not_ip", "malformed", "over_limit"]
    {
        for (total, part) in parts.iter_mut().zip(sum(&ledger[name])) {
            *total += part;
        }
    }
    assert_eq!(sum(&ledger["read"]), parts, "{ledger}");
    let of = |map: &Value| map.as_object().expect("a map").values().map(number).sum::<u64>();
    assert_eq!(of(&metrics["malformed_by"]), number(&ledger["malformed"]["packets"]));
    assert_eq!(of(&metrics["not_ip_by"]), number(&ledger["not_ip"]["packets"]));
    let accepted = of(&metrics["transports"]);
    let files = metrics["files"].as_array().expect("files are a list");
    assert_eq!(files.iter().map(|file| number(&file["accepted"])).sum::<u64>(), accepted);
    assert_eq!(files.iter().map(|file| number(&file["packets"])).sum::<u64>(), number(&ledger["read"]["packets"]));
}

/// Holds what was said against what was expected.
pub(crate) fn check(said: &Said, expected: &Expected) {
    let ledger = &said.metrics["ledger"];
    for (name, expected) in [
        ("kept", expected.kept),
        ("collapsed", expected.collapsed),
        ("out_of_window", expected.out_of_window),
        ("late", expected.late),
    ] {
        assert_eq!(sum(&ledger[name]), expected, "{name}");
    }
    let spans: Vec<_> = said.windows.iter().map(|(window, ..)| (window.start.0, window.end.0)).collect();
    assert_eq!(spans, expected.windows.iter().map(|(window, ..)| *window).collect::<Vec<_>>());
    let mut enriched: BTreeMap<&str, u64> = BTreeMap::new();
    let mut sampled = 0;
    for ((_, groups, scans), (window, expected_groups, expected_scans)) in said.windows.iter().zip(&expected.windows) {
        let mut found = Vec::new();
        // A section is checked by itself, for which tokens stay is left to chance.
        let mut plain = expected_groups.clone();
        for (group, expected) in groups.iter().zip(&mut plain) {
            let (name, chance) = check_section(group, &expected.section);
            *enriched.entry(name).or_default() += 1;
            sampled += u64::from(chance);
            expected.section = Section::None;
        }
        found.extend(groups.iter().map(of_engine));
        assert_same(&found, &plain);
        assert_eq!(scans.len(), expected_scans.len(), "scans of {window:?}: {scans:#?} for {expected_scans:#?}");
        for (scan, expected) in scans.iter().zip(expected_scans) {
            check_scan(scan, expected);
        }
    }
    let groups = expected.windows.iter().map(|(_, groups, _)| groups.len() as u64).sum::<u64>();
    let scans = expected.windows.iter().map(|(_, _, scans)| scans.len() as u64).sum::<u64>();
    for (name, n) in [
        ("packets_processed", expected.kept[0] + expected.collapsed[0]),
        ("groups_emitted", groups),
        ("scan_candidates", expected.candidates),
        ("scans_collapsed", scans),
        ("scan_outliers_kept", expected.spared),
        ("http_enriched", enriched.get("http").copied().unwrap_or(0)),
        ("ftp_enriched", enriched.get("ftp").copied().unwrap_or(0)),
        ("smb_enriched", enriched.get("smb").copied().unwrap_or(0)),
        ("sampling_applied", sampled),
    ] {
        assert_eq!(number(&said.metrics[name]), n, "{name}");
    }
}

/// The first difference, with what stands around it.
fn assert_same(found: &[Group], expected: &[Group]) {
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    if same < found.len().max(expected.len()) {
        panic!("record {same}:\nfound    {:#?}\nexpected {:#?}", found.get(same), expected.get(same));
    }
}

fn of_engine(group: &GroupRecord) -> Group {
    let (key, counts, flags, tokens) = (&group.key, &group.counts, &group.tcp_flags, &group.tokens);
    assert_eq!(group.amount.packets, counts.pkts_up + counts.pkts_dn);
    Group {
        window: (group.window.start.0, group.window.end.0),
        key: (key.src_ip, key.dst_ip, key.dst_port, key.transport.name(), key.service.to_string()),
        first: group.first_ts.0,
        last: group.last_ts.0,
        counts: [counts.pkts_up, counts.pkts_dn, counts.bytes_up, counts.bytes_dn],
        flags: [flags.syn, flags.ack, flags.rst, flags.fin],
        tokens: [
            i64::from(tokens.pkts_up_bin),
            i64::from(tokens.pkts_dn_bin),
            i64::from(tokens.bytes_up_bin),
            i64::from(tokens.bytes_dn_bin),
            i64::from(tokens.dur_bin),
            tokens.syn_bin as i64,
            tokens.ack_bin as i64,
            tokens.rst_bin as i64,
            tokens.fin_bin as i64,
        ],
        flows: group.flows,
        direction: group.direction.name(),
        section: Section::None,
    }
}

/// Returns the section's name, and whether its tokens were left to chance.
fn check_section(group: &GroupRecord, expected: &Section) -> (&'static str, bool) {
    let Some(section) = &group.section else {
        assert_eq!(&Section::None, expected, "{group:#?}");
        return ("", false);
    };
    match (&section.body, expected) {
        (Body::Counts(counts), Section::Counts(name, expected)) => {
            let counts: BTreeMap<String, u64> = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            assert_eq!((section.name, &counts), (*name, expected), "{group:#?}");
            (section.name, false)
        }
        (Body::Tokens { tokens, total, .. }, Section::Tokens(expected)) => {
            assert_eq!((section.name, *total), ("http", expected.total), "{group:#?}");
            (section.name, check_tokens(tokens, expected))
        }
        _ => panic!("{expected:?} expected: {group:#?}"),
    }
}

fn check_tokens(tokens: &[String], expected: &Tokens) -> bool {
    let (marks, others) = tokens.split_at(expected.marks.len().min(tokens.len()));
    assert_eq!(marks, expected.marks);
    if expected.others.len() <= expected.budget {
        assert_eq!(others, expected.others);
        return false;
    }
    // Some of them, in order.
    let mut rest = expected.others.iter();
    for token in others {
        assert!(rest.any(|other| other == token), "{others:?} out of {:?}", expected.others);
    }
    true
}

fn check_scan(scan: &ScanSummary, expected: &Scan) {
    let shown: std::collections::BTreeSet<_> = scan.sample_targets.iter().copied().collect();
    assert_eq!(shown.len(), scan.sample_targets.len(), "targets are distinct");
    let found = Scan {
        src: scan.src_ip,
        window: (scan.window.start.0, scan.window.end.0),
        unique_dsts: scan.unique_dsts,
        unique_ports: scan.unique_ports,
        syn_only_ratio: scan.syn_only_ratio,
        targets: expected.targets.clone(),
        transport: scan.transport.name(),
        kind: scan.kind.name(),
        forest: scan.forest_name(),
        answered: scan.answered,
        groups: scan.groups,
        packets: scan.amount.packets,
        bytes: scan.bytes,
    };
    assert_eq!(&found, expected);
    assert_eq!(shown.len(), expected.targets.len().min(20), "{scan:#?}");
    assert!(shown.is_subset(&expected.targets), "{scan:#?}");
}

/// Writes bytes to a file of a directory.
pub(crate) fn file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("the directory takes files");
    path
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes bytes")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes bytes")
}
