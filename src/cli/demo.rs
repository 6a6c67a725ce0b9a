//! `demo`: the main job on made-up traffic, shown on one screen and a half.

mod pretty;

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use pcap_compactor::app::notes::Body;
use pcap_compactor::engine::ledger::{Amount, Outcome};
use pcap_compactor::engine::{Engine, Report};
use pcap_compactor::scan::summary::{Kind, ScanSummary};
use pcap_compactor::sink::atomic::AtomicFile;
use pcap_compactor::sink::jsonl::Lines;
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::synth::{self, ScanKind, Spec, Truth};
use pcap_compactor::views::groups::GroupRecord;
use pcap_compactor::{Config, Input, Job};

use pretty::pretty;

use super::text::{self, Align, Style, Table, bytes, count, rough, things};
use super::{Exit, Shared, taken};

/// Show what this tool does, on traffic that it makes up: run this first.
///
/// Makes a capture of two hours with two scanners in it, turns it into groups, and shows what came out, with the
/// account of every packet. Takes a second or two; nothing is left behind unless --keep is given.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keep the capture and the records, as demo.pcap and demo.jsonl in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Packets to make
    #[arg(long, value_name = "N", default_value_t = Spec::default().packets)]
    packets: u64,
}

pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let spec = Spec { packets: args.packets, ..Spec::default() };
    if let Err(error) = spec.check() {
        text::complain("error", &error.to_string());
        return Ok(Exit::Usage);
    }
    let folder = match &args.keep {
        Some(folder) => Folder { path: folder.clone(), remove: false },
        None => Folder::temporary()?,
    };
    let (capture, records) = (folder.path.join("demo.pcap"), folder.path.join("demo.jsonl"));
    let new = |path| AtomicFile::create_new(path).map_err(|error| taken(error, "name another folder or remove it"));
    let (capture_file, mut records_file) = (new(&capture)?, new(&records)?);
    let truth = make(&spec, capture_file)?;
    let mut highlights = Highlights::new(&mut records_file);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let job = Job::new(Config::default()).engine(Engine::builder().threads(threads));
    let report = job.run(vec![Input::file(&capture)], &mut highlights)?;
    let took = started.elapsed();
    if let Some(error) = report.failed.first() {
        anyhow::bail!("{error}");
    }
    let size = fs::metadata(&capture).map_or(0, |metadata| metadata.len());
    let shown = Shown { spec: &spec, truth: &truth, report: &report, highlights: &highlights, took, threads, size };
    let shown = shown.render(Style { color: shared.color }, args.keep.as_deref());
    records_file.commit()?;
    text::print(&shown)?;
    Ok(Exit::Ok)
}

/// Where the demonstration's files are.
struct Folder {
    path: PathBuf,
    remove: bool,
}

impl Folder {
    fn temporary() -> anyhow::Result<Folder> {
        let base = std::env::temp_dir();
        for number in 0..100 {
            let path = base.join(format!("pcap-compactor-demo-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Folder { path, remove: true }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("{}: cannot make this folder", path.display()));
                }
            }
        }
        anyhow::bail!("{}: cannot make a folder in it", base.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.remove {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn make(spec: &Spec, mut file: AtomicFile) -> anyhow::Result<Truth> {
    let (_, truth) = synth::write(spec, &mut file).context("the capture cannot be written")?;
    file.commit()?;
    Ok(truth)
}

/// Busiest groups to show.
const TOP: usize = 5;

/// A sink that writes every record and remembers what is shown.
struct Highlights<W> {
    out: W,
    lines: Lines,
    line: Vec<u8>,
    written: u64,
    groups: u64,
    top: Vec<GroupRecord>,
    scans: Vec<ScanSummary>,
    example: Option<(u64, String)>,
    outcome: Outcome,
}

impl<W: Write> Highlights<W> {
    fn new(out: W) -> Highlights<W> {
        Highlights {
            out,
            lines: Lines::default(),
            line: Vec::new(),
            written: 0,
            groups: 0,
            top: Vec::new(),
            scans: Vec::new(),
            example: None,
            outcome: Outcome::default(),
        }
    }

    fn write(&mut self) -> pcap_compactor::Result<()> {
        self.written += self.line.len() as u64;
        let written = self.out.write_all(&self.line);
        written.map_err(pcap_compactor::Error::sink)
    }

    fn rank(&mut self, group: &GroupRecord) {
        let packets = group.amount.packets;
        if self.top.len() < TOP || self.top.last().is_some_and(|least| least.amount.packets < packets) {
            let at = self.top.partition_point(|other| other.amount.packets >= packets);
            self.top.insert(at, group.clone());
            self.top.truncate(TOP);
        }
    }
}

/// How much a group shows of what a record can hold, in few lines: best of all an attack among a few requests.
fn telling(group: &GroupRecord) -> u64 {
    const ATTACKS: [&str; 5] = ["union", "select", "sleep", "'", ".."];
    match group.section.as_ref().map(|section| &section.body) {
        Some(Body::Tokens { tokens, .. }) if tokens.len() <= 25 => {
            let attack = tokens.iter().any(|token| ATTACKS.contains(&token.as_str()));
            if attack { 100 - tokens.len() as u64 } else { 2 + tokens.len() as u64 }
        }
        Some(_) => 1,
        None => 0,
    }
}

impl<W: Write> Sink for Highlights<W> {
    fn on_group(&mut self, group: &GroupRecord) -> pcap_compactor::Result<()> {
        self.groups += 1;
        self.rank(group);
        self.line.clear();
        self.lines.group(group, &mut self.line);
        let telling = telling(group);
        if self.example.as_ref().is_none_or(|(best, _)| *best < telling) {
            self.example = Some((telling, String::from_utf8_lossy(&self.line).trim_end().to_owned()));
        }
        self.write()
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> pcap_compactor::Result<()> {
        self.scans.push(scan.clone());
        self.line.clear();
        self.lines.scan(scan, &mut self.line);
        self.write()
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> pcap_compactor::Result<()> {
        self.outcome = metrics.outcome;
        self.line.clear();
        metrics.write(&mut self.line);
        self.write()
    }
}

/// Everything that is shown.
struct Shown<'a, W> {
    spec: &'a Spec,
    truth: &'a Truth,
    report: &'a Report,
    highlights: &'a Highlights<W>,
    took: Duration,
    threads: usize,
    size: u64,
}

impl<W: Write> Shown<'_, W> {
    fn render(&self, style: Style, keep: Option<&Path>) -> String {
        let mut text = String::new();
        let mut part = |title: &str, body: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}\n{body}", style.bold(title));
        };
        part("1. A capture was made", self.made());
        part("2. It was turned into groups", self.compacted());
        part("3. Every packet is accounted for", self.ledger(style));
        part("4. The busiest groups", self.busiest(style));
        part(&self.found(style), self.scans(style));
        if let Some((_, line)) = &self.highlights.example {
            part("6. One group, as it is written (on one line)", pretty(line, 78));
        }
        part("Next, with a capture of your own: what is in it, and its groups by the hour", next(keep));
        text
    }

    fn made(&self) -> String {
        let (spec, truth) = (self.spec, self.truth);
        format!(
            "  {} hours of {} clients and {}: {} packets, {},\n  {} conversations. What is in it is known, so the result can be checked.\n",
            spec.hours,
            count(u64::from(spec.hosts)),
            things(u64::from(spec.scanners), "scanner"),
            count(truth.packets),
            bytes(self.size),
            count(truth.five_tuples),
        )
    }

    fn compacted(&self) -> String {
        let shown = self.highlights;
        let records = shown.groups + shown.scans.len() as u64;
        let mut table = Table::new([Align::Left, Align::Left, Align::Left]);
        table.row([
            format!("{} packets", count(self.truth.packets)),
            format!("->  {} groups, {}", count(shown.groups), summaries(shown.scans.len())),
            format!("({} packets a record)", self.truth.packets / records.max(1)),
        ]);
        table.row([
            format!("{} of pcap", bytes(self.size)),
            format!("->  {} of JSON Lines", bytes(shown.written)),
            format!("({} times smaller)", self.size / shown.written.max(1)),
        ]);
        let rate = |n: u64| (u128::from(n) * 1_000_000_000 / self.took.as_nanos().max(1)) as u64;
        format!(
            "{}  in {} ms on {}: {} packets/s, {}/s\n",
            table.render(Style { color: false }),
            self.took.as_millis(),
            things(self.threads as u64, "thread"),
            rough(rate(self.truth.packets)),
            bytes(rate(self.size)),
        )
    }

    fn ledger(&self, style: Style) -> String {
        let (intake, outcome) = (&self.report.total.intake, &self.highlights.outcome);
        let parts = [
            ("in groups", outcome.kept, ""),
            ("in scan summaries", outcome.collapsed, "probes that nobody answered"),
            ("outside the time range", outcome.out_of_window, ""),
            ("late", outcome.late, ""),
            ("over a limit", outcome.over_limit, ""),
            ("filtered", intake.filtered, ""),
            ("duplicates", intake.duplicate, ""),
            ("not IP", intake.not_ip, "ARP, LLDP"),
            ("malformed", intake.malformed, "cut inside the IP header"),
        ];
        let mut table = Table::new([Align::Left, Align::Right, Align::Right, Align::Left]);
        table.head(["", "packets", "wire bytes", ""]);
        let mut sum = Amount::default();
        for (name, amount, what) in parts.into_iter().filter(|(_, amount, _)| amount.packets > 0) {
            sum += amount;
            table.row([name.into(), count(amount.packets), count(amount.wire_bytes), what.into()]);
        }
        table.rule();
        let verdict = if sum == intake.read { "= what was read" } else { "NOT what was read" };
        table.row(["sum".into(), count(sum.packets), count(sum.wire_bytes), style.green(verdict)]);
        table.render(style)
    }

    fn busiest(&self, style: Style) -> String {
        let mut table =
            Table::new([Align::Left, Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Right]);
        table.head(["client", "server", "service", "flows", "packets", "up", "down"]);
        for group in &self.highlights.top {
            let (key, counts) = (&group.key, &group.counts);
            let server = match key.dst_ip.is_ipv6() {
                true => format!("[{}]:{}", key.dst_ip, key.dst_port),
                false => format!("{}:{}", key.dst_ip, key.dst_port),
            };
            let service = match &*key.service {
                "unknown" => key.transport.name(),
                service => service,
            };
            table.row([
                key.src_ip.to_string(),
                server,
                service.to_owned(),
                count(group.flows),
                count(group.amount.packets),
                bytes(counts.bytes_up),
                bytes(counts.bytes_dn),
            ]);
        }
        table.render(style)
    }

    /// The summaries of scanners that were made, and of sources that were not.
    fn verdict(&self) -> (usize, usize) {
        let made = |scan: &&ScanSummary| {
            self.truth.scanners.iter().any(|scanner| scanner.src_ip == scan.src_ip && kind(scanner.kind) == scan.kind)
        };
        let right = self.highlights.scans.iter().filter(made).count();
        (right, self.highlights.scans.len() - right)
    }

    fn found(&self, style: Style) -> String {
        let (right, wrong) = self.verdict();
        let made = self.truth.scanners.len();
        let verdict = match wrong {
            0 => format!("found {right} of {made} scanners, and nobody else was taken for one"),
            _ => format!("found {right} of {made} scanners, and took {wrong} others for one"),
        };
        format!("5. Scans: {}", if (right, wrong) == (made, 0) { style.green(&verdict) } else { verdict })
    }

    fn scans(&self, style: Style) -> String {
        let mut table = Table::new([
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
        table.head(["source", "kind", "hosts", "ports", "answered", "packets", "instead of"]);
        for scan in &self.highlights.scans {
            table.row([
                scan.src_ip.to_string(),
                scan.kind.name().into(),
                count(scan.unique_dsts),
                count(scan.unique_ports),
                count(scan.answered),
                count(scan.amount.packets),
                format!("{} groups", count(scan.groups)),
            ]);
        }
        let mut text = table.render(style);
        let answered: usize = self.truth.scanners.iter().map(|scanner| scanner.answered.len()).sum();
        let _ = writeln!(text, "  What answered stays a group: {}.", things(answered as u64, "target"));
        if let Some((scanner, (ip, port))) =
            self.truth.scanners.iter().find_map(|scanner| Some((scanner, scanner.login?)))
        {
            let _ = writeln!(text, "  One of them is the FTP login of {} on {ip}:{port}.", scanner.src_ip);
        }
        text
    }
}

fn kind(kind: ScanKind) -> Kind {
    match kind {
        ScanKind::Horizontal => Kind::Horizontal,
        ScanKind::Vertical => Kind::Vertical,
    }
}

fn summaries(n: usize) -> String {
    format!("{n} scan {}", if n == 1 { "summary" } else { "summaries" })
}

/// What to try, by the name this program was called by.
fn next(keep: Option<&Path>) -> String {
    let called = std::env::args().next().filter(|name| name.len() <= 32).unwrap_or_else(|| "pcap-compactor".into());
    let called = text::printable(&called);
    let mut lines = String::new();
    if let Some(folder) = keep {
        let show = |name| text::printable(&folder.join(name).to_string_lossy()).into_owned();
        let _ = writeln!(lines, "  The capture is {}, the records are {}.", show("demo.pcap"), show("demo.jsonl"));
    }
    for command in ["inspect YOUR.pcap", "compact YOUR.pcap -o out"] {
        let _ = writeln!(lines, "  {called} {command}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demonstration_shows_a_ledger_that_adds_up_and_finds_its_scanners_in_80_columns() {
        let folder = Folder::temporary().unwrap();
        let spec = Spec { packets: 20_000, ..Spec::default() };
        let truth = make(&spec, AtomicFile::create_new(&folder.path.join("a.pcap")).unwrap()).unwrap();
        let mut highlights = Highlights::new(Vec::new());
        let report =
            Job::new(Config::default()).run(vec![Input::file(folder.path.join("a.pcap"))], &mut highlights).unwrap();
        let shown = Shown {
            spec: &spec,
            truth: &truth,
            report: &report,
            highlights: &highlights,
            took: Duration::from_millis(20),
            threads: 1,
            size: 1,
        };
        let text = shown.render(Style { color: false }, None);
        assert!(text.contains("found 2 of 2 scanners, and nobody else was taken for one"), "{text}");
        assert!(text.contains("= what was read"), "{text}");
        assert!(text.contains("\"type\": \"group\""), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80 && !line.contains('\x1b'), "{line}");
        }
        assert_eq!(highlights.out.len() as u64, highlights.written);
        let path = folder.path.clone();
        drop(folder);
        assert!(!path.exists(), "the temporary folder is removed");
    }
}
