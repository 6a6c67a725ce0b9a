//! What each stage of a run costs: `cargo run --release --example stages -- ROUNDS CAPTURE...`
//!
//! Prints a Markdown table of CPU seconds, user and system, on one thread; medians over rounds in which all runs take turns. A stage
//! that cannot run alone is the difference of two runs that differ by it: decoding is a run that walks and decodes, less one
//! that walks. The groups view is cut where the engine calls it, by a view around it that looks at the clock.

use std::env;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pcap_compactor::capture::{Capture, Io, Records};
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use pcap_compactor::engine::ledger::Intake;
use pcap_compactor::engine::view::{Batch, Part, ShardView, View};
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::digest::Digest;
use pcap_compactor::sink::jsonl::{JsonLines, Lines};
use pcap_compactor::sink::{Discard, Metrics, Sink};
use pcap_compactor::table::{FlowTable, Pipeline};
use pcap_compactor::views::groups::{GroupRecord, Groups, Windows};
use pcap_compactor::{Config, Engine, Input, Result, Timestamp};

/// Records a batch, as in the engine.
const BATCH: usize = 512;

/// CPU time of this process, user and system, in nanoseconds.
#[allow(unsafe_code)]
fn cpu() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes the struct that it is handed and nothing else.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "every system that this runs on has a clock of CPU time");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds inside the calls that end a window.
#[derive(Default)]
struct Clock {
    close: AtomicU64,
    merge: AtomicU64,
}

/// Runs `work` and adds what it took to `sum`.
fn timed<T>(sum: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = cpu();
    let done = work();
    sum.fetch_add(cpu() - start, Ordering::Relaxed);
    done
}

/// The groups view, watched.
struct Watched<'s> {
    groups: Groups<'s>,
    clock: Arc<Clock>,
}

impl View for Watched<'_> {
    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(WatchedShard { shard: self.groups.shard(), clock: Arc::clone(&self.clock) })
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        timed(&self.clock.merge, || self.groups.merge(parts))
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        self.groups.finish(intake)
    }
}

struct WatchedShard {
    shard: Box<dyn ShardView>,
    clock: Arc<Clock>,
}

impl ShardView for WatchedShard {
    fn packets(&mut self, batch: &Batch<'_>) {
        self.shard.packets(batch);
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        timed(&self.clock.close, || self.shard.close(before, table))
    }

    fn keeps(&self, flow: u32) -> bool {
        self.shard.keeps(flow)
    }
}

/// Digests records, without a line about it.
#[derive(Default)]
struct Digesting(Digest);

impl Sink for Digesting {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.0.group(group);
        Ok(())
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.0.scan(scan);
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}

/// What one round took, in nanoseconds, and what its runs found.
struct Round {
    walk: u64,
    decode: u64,
    table: u64,
    discard: Whole,
    digest: Whole,
    jsonl: Whole,
    packets: u64,
}

/// A whole run.
struct Whole {
    all: u64,
    close: u64,
    merge: u64,
}

/// Walks a capture and hands each batch to `take`; CPU time and records.
fn walk(path: &Path, mut take: impl FnMut(&Records)) -> Result<(u64, u64)> {
    let start = cpu();
    let mut capture = Capture::open(path, Io::Mmap)?;
    let mut records = Records::default();
    while capture.fill(&mut records, BATCH)? {
        take(&records);
    }
    records.clear();
    let packets = capture.report().packets;
    drop(capture);
    Ok((cpu() - start, packets))
}

/// The engine with the groups view; also the packets that were accepted.
fn whole(path: &Path, sink: &mut dyn Sink) -> Result<(Whole, u64)> {
    let start = cpu();
    let config = Config::default();
    let clock = Arc::new(Clock::default());
    let groups = Groups::new(&config, Windows::tumbling(config.window_seconds, None), sink)?;
    let mut view = Watched { groups, clock: Arc::clone(&clock) };
    let engine = Engine::builder().io(Io::Mmap).build();
    let mut report = engine.run(vec![Input::file(path)], &mut [&mut view])?;
    if let Some(error) = report.failed.pop() {
        return Err(error);
    }
    drop(view);
    let all = cpu() - start;
    let (close, merge) = (clock.close.load(Ordering::Relaxed), clock.merge.load(Ordering::Relaxed));
    Ok((Whole { all, close, merge }, report.total.intake.accepted.packets))
}

fn round(path: &Path) -> Result<Round> {
    let decoder = Decoder::new(Tunnels::Inner);
    let (walked, packets) = walk(path, |records| {
        black_box(records.list().iter().map(|record| u64::from(record.wire)).sum::<u64>());
    })?;

    let mut accepted = 0;
    let mut batch: Vec<Packet> = Vec::with_capacity(BATCH);
    let mut decode = |records: &Records, batch: &mut Vec<Packet>| {
        batch.clear();
        batch.extend(records.list().iter().filter_map(|r| decoder.decode(r, records.frame(r)).ok()));
        accepted += batch.len() as u64;
    };
    let (decoded, _) = walk(path, |records| {
        decode(records, &mut batch);
        black_box(&batch);
    })?;

    let start = cpu();
    let mut table = FlowTable::new();
    let mut pipeline = Pipeline::default();
    walk(path, |records| {
        decode(records, &mut batch);
        pipeline.run(&mut table, &batch, |_, flows, _, _| {
            black_box(flows);
        });
    })?;
    drop(table);
    let resolved = cpu() - start;

    let (discard, kept) = whole(path, &mut Discard)?;
    assert_eq!(2 * kept, accepted, "every run accepts the same packets");
    let (digest, _) = whole(path, &mut Digesting::default())?;
    let (jsonl, _) = whole(path, &mut JsonLines::new(io::sink(), "nowhere", Lines::default()))?;
    Ok(Round { walk: walked, decode: decoded, table: resolved, discard, digest, jsonl, packets })
}

/// The middle of what `pick` takes out of each round, in seconds.
fn median(rounds: &[Round], pick: impl Fn(&Round) -> i64) -> f64 {
    let mut all: Vec<i64> = rounds.iter().map(pick).collect();
    all.sort_unstable();
    let middle = all.len() / 2;
    let sum = if all.len().is_multiple_of(2) { all[middle - 1] + all[middle] } else { 2 * all[middle] };
    sum as f64 / 2e9
}

/// What is subtracted from what, as shown, and the difference in nanoseconds.
type Stage = (&'static str, &'static str, fn(&Round) -> i64);

const STAGES: [Stage; 10] = [
    ("walk", "the capture's records alone", |r| r.walk as i64),
    ("decode", "walk and decode, less walk", |r| r.decode as i64 - r.walk as i64),
    ("table", "with flow ids, less without", |r| r.table as i64 - r.decode as i64),
    ("rows", "a run until its windows close, less all above: flow rows, payload, ledger", |r| {
        let run = &r.discard;
        (run.all - run.close - run.merge) as i64 - r.table as i64
    }),
    ("sort", "closing windows: directions, sort by group, contacts", |r| r.discard.close as i64),
    ("roll-up", "merging windows: slices, scans, records", |r| r.discard.merge as i64),
    ("run without output", "all of the above", |r| r.discard.all as i64),
    ("emit: digest", "a run with a digest, less one without; its merging only", |r| {
        r.digest.merge as i64 - r.discard.merge as i64
    }),
    ("emit: JSON Lines", "likewise, written nowhere", |r| r.jsonl.merge as i64 - r.discard.merge as i64),
    ("run with JSON Lines", "", |r| r.jsonl.all as i64),
];

#[allow(clippy::print_stdout)]
fn report(path: &Path, rounds: &[Round]) {
    let packets = rounds.first().map_or(0, |round| round.packets);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    println!("| {name}: {packets} packets | CPU s | ns a packet | what is timed |");
    println!("|---|---|---|---|");
    for (stage, what, pick) in STAGES {
        let seconds = median(rounds, pick);
        println!("| {stage} | {seconds:.4} | {:.1} | {what} |", seconds * 1e9 / packets.max(1) as f64);
    }
    println!();
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let rounds = arguments.next().and_then(|n| n.to_str()?.parse::<usize>().ok()).filter(|&n| n > 0);
    let paths: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let Some(rounds) = rounds.filter(|_| !paths.is_empty()) else {
        eprintln!("usage: stages ROUNDS CAPTURE...");
        return ExitCode::from(2);
    };
    for path in paths {
        // The first round warms up.
        let measured: Result<Vec<Round>> = (0..=rounds).map(|_| round(&path)).skip(1).collect();
        match measured {
            Ok(measured) => report(&path, &measured),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
