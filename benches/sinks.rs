//! Records to text: JSON Lines, CSV and the digest of the same groups, and serde_json as the rival.

mod traffic;

use std::io::{self, Write};

use criterion::{Criterion, Throughput};
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::csv::Csv;
use pcap_compactor::sink::digest::Digest;
use pcap_compactor::sink::jsonl::{JsonLines, Lines, Times};
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::views::groups::GroupRecord;
use pcap_compactor::{Config, Input, Job, Result};
use serde::Serialize;

/// Keeps groups.
#[derive(Default)]
struct Keep(Vec<GroupRecord>);

impl Sink for Keep {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.0.push(group.clone());
        Ok(())
    }

    fn on_scan(&mut self, _: &ScanSummary) -> Result<()> {
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}

/// The fields of a group but for its section, as a serialiser wants them. Times are floats, as they would have to be.
#[derive(Serialize)]
struct Flat<'g> {
    r#type: &'static str,
    key: Key<'g>,
    first_ts: f64,
    last_ts: f64,
    duration_s: f64,
    counts: [u64; 4],
    tcp_flags: [u64; 4],
    tokens: [i64; 9],
    lineage_hour: [i64; 2],
    flows: u64,
    direction: &'static str,
}

#[derive(Serialize)]
struct Key<'g> {
    src_ip: std::net::IpAddr,
    dst_ip: std::net::IpAddr,
    dst_port: u16,
    transport: &'static str,
    service: &'g str,
}

fn flat(group: &GroupRecord) -> Flat<'_> {
    let (key, counts, flags, tokens) = (&group.key, &group.counts, &group.tcp_flags, &group.tokens);
    Flat {
        r#type: "group",
        key: Key {
            src_ip: key.src_ip,
            dst_ip: key.dst_ip,
            dst_port: key.dst_port,
            transport: key.transport.name(),
            service: &key.service,
        },
        first_ts: group.first_ts.0 as f64 / 1e9,
        last_ts: group.last_ts.0 as f64 / 1e9,
        duration_s: group.duration_ns() as f64 / 1e9,
        counts: [counts.pkts_up, counts.pkts_dn, counts.bytes_up, counts.bytes_dn],
        tcp_flags: [flags.syn, flags.ack, flags.rst, flags.fin],
        tokens: [
            tokens.pkts_up_bin.into(),
            tokens.pkts_dn_bin.into(),
            tokens.bytes_up_bin.into(),
            tokens.bytes_dn_bin.into(),
            tokens.dur_bin.into(),
            tokens.syn_bin as i64,
            tokens.ack_bin as i64,
            tokens.rst_bin as i64,
            tokens.fin_bin as i64,
        ],
        lineage_hour: [group.window.start.seconds(), group.window.end.seconds()],
        flows: group.flows,
        direction: group.direction.name(),
    }
}

fn jsonl(groups: &[GroupRecord], out: &mut Vec<u8>) {
    let mut lines = Lines::default();
    for group in groups {
        lines.group(group, out);
    }
}

fn csv(groups: &[GroupRecord], out: impl Write) {
    let mut sink = Csv::new(out, "nowhere", Times::Seconds);
    for group in groups {
        sink.on_group(group).expect("the stream takes all bytes");
    }
    sink.finish().expect("the stream takes all bytes");
}

fn serde(groups: &[GroupRecord], out: &mut Vec<u8>) {
    for group in groups {
        serde_json::to_writer(&mut *out, &flat(group)).expect("a vector takes all bytes");
        out.push(b'\n');
    }
}

/// Every line is JSON and says what the record says; every row has all columns.
fn check(groups: &[GroupRecord]) {
    let (mut ours, mut theirs, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    jsonl(groups, &mut ours);
    serde(groups, &mut theirs);
    csv(groups, &mut rows);
    let lines = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    let (ours, theirs, rows) = (lines(ours), lines(theirs), lines(rows));
    assert_eq!(ours.lines().count(), groups.len());
    assert_eq!(rows.lines().count(), groups.len() + 1);
    for ((ours, theirs), group) in ours.lines().zip(theirs.lines()).zip(groups) {
        let ours: serde_json::Value = serde_json::from_str(ours).expect("a line is JSON");
        let theirs: serde_json::Value = serde_json::from_str(theirs).expect("a line is JSON");
        for field in ["type", "key", "flows", "direction", "lineage_hour"] {
            assert_eq!(ours[field], theirs[field], "{field}");
        }
        assert_eq!(ours["counts"]["bytes_up"], group.counts.bytes_up);
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("sinks.pcap");
    std::fs::write(&path, traffic::capture(60_000, 20_000, None)).expect("the disk has room");
    let mut keep = Keep::default();
    Job::new(Config::default()).run(vec![Input::file(&path)], &mut keep).expect("the job ends");
    let groups = keep.0;
    assert!(groups.len() > 1_000 && groups.iter().any(|group| group.section.is_some()));
    check(&groups);

    let mut group = criterion.benchmark_group("sinks");
    group.throughput(Throughput::Elements(groups.len() as u64));
    group.bench_function("jsonl", |bencher| {
        bencher.iter(|| {
            let mut sink = JsonLines::new(io::sink(), "nowhere", Lines::default());
            for group in &groups {
                sink.on_group(group).expect("the stream takes all bytes");
            }
        });
    });
    let mut buffer = Vec::new();
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            serde(&groups, &mut buffer);
        });
    });
    group.bench_function("csv", |bencher| bencher.iter(|| csv(&groups, io::sink())));
    group.bench_function("digest", |bencher| {
        bencher.iter(|| {
            let mut digest = Digest::default();
            groups.iter().for_each(|group| digest.group(group));
            digest.value()
        });
    });
    group.finish();
    criterion.final_summary();
}
