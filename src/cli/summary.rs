//! What a run tells on standard error when it ends, and in `--stats`.

use std::time::Duration;

use pcap_compactor::capture::{self, Status};
use pcap_compactor::engine::Report;
use pcap_compactor::engine::ledger::{Amount, Intake, Outcome};
use pcap_compactor::error::Result;
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::views::groups::{Aside, GroupCounts, GroupRecord, WindowTotals};

use super::text::{bytes, count, things};
use super::{Exit, say};

/// Passes records on and remembers what the metrics say.
pub(crate) struct Watched<S> {
    pub(crate) sink: S,
    pub(crate) outcome: Outcome,
    pub(crate) counts: GroupCounts,
}

impl<S> Watched<S> {
    pub(crate) fn new(sink: S) -> Watched<S> {
        Watched { sink, outcome: Outcome::default(), counts: GroupCounts::default() }
    }
}

impl<S: Sink> Sink for Watched<S> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.sink.on_sensor(sensor)
    }
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.sink.on_group(group)
    }
    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.sink.on_scan(scan)
    }
    fn on_file(&mut self, file: &pcap_compactor::engine::FileReport, aside: &Aside) -> Result<()> {
        self.sink.on_file(file, aside)
    }
    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.sink.on_window(totals)
    }
    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        self.outcome = metrics.outcome;
        self.counts = metrics.counts;
        self.sink.on_metrics(metrics)
    }
}

/// Names damaged and unsupported files, and what was left out; says whether the run is whole.
pub(crate) fn complaints(report: &Report, outcome: &Outcome, quiet: bool) -> Exit {
    let (lines, exit) = findings(report, outcome, quiet);
    lines.iter().for_each(|line| say(line));
    exit
}

/// What [`complaints`] says, line by line.
pub(crate) fn findings(report: &Report, outcome: &Outcome, quiet: bool) -> (Vec<String>, Exit) {
    let (mut lines, mut exit) = (Vec::new(), Exit::Ok);
    let mut complain = |line: String| {
        exit = Exit::Partial;
        lines.push(line);
    };
    for error in &report.failed {
        complain(error.to_string());
    }
    for file in &report.files {
        let (path, capture) = (file.path.display(), &file.capture);
        if capture.status != Status::Complete {
            let message = capture.message.as_deref().unwrap_or("the file is empty");
            let at = capture.offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
            let kept = match file.tally.intake.read.packets {
                0 => String::new(),
                n => format!("; {} before it {} kept", things(n, "packet"), if n == 1 { "is" } else { "are" }),
            };
            complain(format!("{path}: {}{at}: {message}{kept}", capture.status.name()));
        }
        for (link, n) in &file.tally.unsupported_links {
            let (frames, are) = (things(*n, "frame"), if *n == 1 { "is" } else { "are" });
            complain(format!("{path}: link type {link} is not supported; {frames} {are} left out"));
        }
    }
    if outcome.late.packets > 0 {
        let (late, n) = (things(outcome.late.packets, "packet"), outcome.late.packets);
        let (are, their) = if n == 1 { ("is", "its") } else { ("are", "their") };
        let without: u64 = report.files.iter().map(|file| file.capture.without_time).sum();
        let way_out = match without {
            0 => "sort that file first, with `reordercap IN OUT` say".to_owned(),
            n => format!("{} without a time count as of 1970", things(n, "packet")),
        };
        complain(format!("{late} {are} late: {their} hour ended before {their} own file began; {way_out}"));
    }
    for file in report.files.iter().filter(|file| !quiet && file.tally.unsupported_links.is_empty()) {
        let intake = &file.tally.intake;
        if intake.accepted.packets == 0 && intake.read.packets > 0 {
            let (path, n) = (file.path.display(), count(intake.read.packets));
            lines.push(match intake.filtered.packets {
                0 => format!(
                    "{path}: not one of its {n} packets is sound IP; `pcap-compactor inspect` tells what they are"
                ),
                _ => format!("{path}: not one of its {n} packets passes --filter, --no-pure-acks and --no-rst"),
            });
        }
    }
    (lines, exit)
}

/// What several runs came to.
#[derive(Default)]
pub(crate) struct Sum {
    files: u64,
    /// Files that are captures, damaged ones included.
    pub(crate) captures: u64,
    intake: Intake,
    outcome: Outcome,
    /// Read by an earlier run.
    kept: Amount,
}

impl Sum {
    pub(crate) fn add(&mut self, report: &Report, outcome: &Outcome, kept: Amount) {
        self.files += report.files.len() as u64;
        self.captures += report.files.iter().filter(|file| is_capture(&file.capture)).count() as u64;
        self.intake += report.total.intake;
        self.outcome += *outcome;
        self.kept += kept;
    }

    /// What this run has read itself.
    pub(crate) fn read_now(&self) -> Amount {
        self.intake.read - self.kept
    }
}

/// Whether a file is something to work with, whole or not; without one the exit code is 1.
pub(crate) fn is_capture(report: &capture::Report) -> bool {
    report.packets > 0 || !matches!(report.status, Status::Unsupported | Status::Empty)
}

/// The closing lines: what came in, what became of it, how fast, and what was emitted. `kept` says where packets are that
/// are in records.
pub(crate) fn closing(sum: &Sum, took: Duration, kept: &str, emitted: &str) {
    let Sum { files, intake, outcome, .. } = sum;
    let read = intake.read;
    let seconds = took.as_secs_f64().max(1e-9);
    let now = match sum.read_now().packets {
        all if all == read.packets => String::new(),
        some => format!("; {} of them read", count(some)),
    };
    say(&format!(
        "{} packets, {} on the wire, from {}{now} in {seconds:.2} s ({} packets/s)",
        count(read.packets),
        bytes(read.wire_bytes),
        things(*files, "file"),
        count((sum.read_now().packets as f64 / seconds) as u64),
    ));
    let parts = parts(intake, outcome, kept);
    let parts: Vec<String> = parts.map(|(name, Amount { packets, .. })| format!("{} {name}", count(packets))).collect();
    say(&format!("= {}", parts.join(" + ")));
    say(emitted);
}

/// What became of packets, by its name: `kept` is always told, the rest where there is some.
pub(crate) fn parts<'k>(
    intake: &Intake,
    outcome: &Outcome,
    kept: &'k str,
) -> impl Iterator<Item = (&'k str, Amount)> + use<'k> {
    let parts = [
        (kept, outcome.kept),
        ("in scan summaries", outcome.collapsed),
        ("outside the time range", outcome.out_of_window),
        ("late", outcome.late),
        ("not IP", intake.not_ip),
        ("malformed", intake.malformed),
        ("duplicate", intake.duplicate),
        ("filtered", intake.filtered + outcome.filtered),
        ("over a limit", outcome.over_limit),
    ];
    parts.into_iter().filter(move |(name, amount)| amount.packets > 0 || *name == kept)
}

/// What `--stats` writes.
pub(crate) fn stats(threads: usize, read: Amount, took: Duration) -> String {
    let Amount { packets, captured_bytes: bytes, .. } = read;
    let seconds = took.as_secs_f64();
    let value = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "threads": threads,
        "seconds": seconds,
        "packets": packets,
        "captured_bytes": bytes,
        "packets_per_second": packets as f64 / seconds.max(1e-9),
        "captured_bytes_per_second": bytes as f64 / seconds.max(1e-9),
    });
    format!("{value:#}\n")
}
