//! `compact`: captures in; groups, scans and a ledger out.

#[cfg(feature = "tables")]
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use pcap_compactor::config::Backpressure;
use pcap_compactor::decode::Tunnels;
use pcap_compactor::engine::ledger::Amount;
use pcap_compactor::engine::{Builder, Progress, Report};
use pcap_compactor::job::Finished;
use pcap_compactor::sink::Sink;
use pcap_compactor::sink::atomic::write_whole;
use pcap_compactor::sink::channel::{Event, channel};
use pcap_compactor::sink::csv::Csv;
#[cfg(feature = "tables")]
use pcap_compactor::sink::decided::Groups;
use pcap_compactor::sink::digest::DigestLines;
use pcap_compactor::sink::files::{Files, Format as FileFormat};
use pcap_compactor::sink::jsonl::{JsonLines, Lines, Times};
use pcap_compactor::sink::runs::Runs;
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::groups::GroupTable;
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::{self, About};
use pcap_compactor::views::groups::{GroupCounts, Window, Windows};
use pcap_compactor::{Config, Input, Job};

use super::journal::{Journal, Resumed};
use super::places::{Named, no_file_of_nothing, standard_output};
use super::progress::Bar;
use super::reading::{Reading, Sources, Writing};
use super::summary::{Sum, Watched, closing, complaints, stats};
use super::text::things;
use super::units::Unit;
use super::{Exit, Shared, Usage, interrupt, say, stdout};

/// Arguments of `compact`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pcap-compactor compact capture.pcap > groups.jsonl
  pcap-compactor compact captures/ -o out --resume
  pcap-compactor compact --root /sensors --from 2023-10-19T00 --to 2023-10-20T00 -o out
  pcap-compactor compact capture.pcap --filter 'tcp port 80 or 443 and not host 10.0.0.1'
  tcpdump -w - | pcap-compactor compact - --lateness 60")]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Take the range from --from to --to, or that of --hour, as one window, whatever its length.
    #[arg(long, requires = "from", requires = "to", help_heading = "Time")]
    single_window: bool,
    /// Close hours that ended this many seconds before the newest packet, without waiting for the input's end.
    #[arg(long, value_name = "SECONDS", help_heading = "Time")]
    lateness: Option<u32>,

    /// Write files into this folder, one commit an hour, instead of standard output.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,
    /// What to write; `none` does all the work and prints a digest of the records and the metrics. Scan summaries are in JSON
    /// Lines, and with --output in files beside; Parquet and Arrow are for programs.
    #[arg(long, value_enum, default_value_t = Format::Jsonl, help_heading = "Output")]
    format: Format,
    /// Skip hours in the output folder whose captures are unchanged since.
    #[arg(long, requires = "output", conflicts_with = "lateness", help_heading = "Output")]
    resume: bool,
    #[command(flatten)]
    writing: Writing,

    /// Settings as TOML; `pcap-compactor config` prints them all, with their defaults.
    #[arg(long, value_name = "FILE", help_heading = "Processing")]
    config: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    #[cfg(feature = "tables")]
    Parquet,
    #[cfg(feature = "tables")]
    Arrow,
    None,
}

#[cfg(feature = "tables")]
impl Format {
    /// As which table.
    fn table(self) -> Option<tables::Form> {
        match self {
            Format::Parquet => Some(tables::Form::Parquet),
            Format::Arrow => Some(tables::Form::Arrow),
            _ => None,
        }
    }
}

impl Args {
    /// How late packets may come, nanoseconds.
    fn lateness_ns(&self) -> Option<i64> {
        self.lateness.map(|seconds| i64::from(seconds) * 1_000_000_000)
    }
}

/// What the arguments come to.
struct Setup<'a> {
    args: &'a Args,
    config: Config,
    engine: Builder,
    progress: Arc<Progress>,
    range: Option<Window>,
    windows: Windows,
    threads: usize,
    quiet: bool,
}

/// Refuses a folder that has a name as files of records have, and is not there yet.
fn not_a_file(folder: &Path) -> Result<(), Usage> {
    let format = match folder.extension().and_then(|end| end.to_str()) {
        Some("jsonl" | "ndjson" | "json") => "jsonl",
        Some("csv") => "csv",
        Some("parquet") => "parquet",
        Some("arrow" | "feather") => "arrow",
        _ => return Ok(()),
    };
    let name = folder.display();
    Err(Usage(format!(
        "{name}: --output of compact is a folder, with a file for each hour; for one file: --format {format} > {name}"
    )))
}

/// Runs `compact`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    if args.format == Format::None && args.output.is_some() {
        return Err(no_file_of_nothing().into());
    }
    if let Some(folder) = args.output.as_deref().filter(|folder| !folder.is_dir()) {
        not_a_file(folder)?;
    }
    #[cfg(feature = "tables")]
    match args.format.table() {
        Some(form) if args.output.is_none() && std::io::stdout().is_terminal() => {
            let name = form.ending();
            return Err(Usage(format!(
                "a table is not for a terminal; name a folder with --output, or pass it on: > groups.{name}"
            ))
            .into());
        }
        Some(_) => {}
        None => args.writing.of_no_table()?,
    }
    let setup = setup(args, shared)?;
    let (found, mut exit) = args.sources.find("compact", setup.range, shared)?;
    found.spare(outputs(args, &found.units), &[("--config", args.config.as_deref())])?;
    interrupt::watch(&setup.progress)?;
    let total = found.bytes();
    let bar = Bar::show(&setup.progress, move || total, shared.quiet);
    let began = Instant::now();
    let units = found.units.into_iter().filter(|unit| !unit.inputs.is_empty());
    let done = match &args.output {
        Some(folder) => units.map(|unit| into_folder(&setup, unit, folder)).collect::<anyhow::Result<_>>()?,
        None => into_stdout(&setup, units)?,
    };
    drop(bar);
    let took = began.elapsed();
    let (mut sum, mut counts) = (Sum::default(), GroupCounts::default());
    for Done { report, watched, dropped, kept } in &done {
        if *dropped > 0 {
            exit = Exit::Partial;
            say(&format!("{dropped} groups were dropped because the output was too slow (drop_oldest)"));
        }
        exit = exit.max(complaints(report, &watched.outcome, shared.quiet));
        sum.add(report, &watched.outcome, *kept);
        counts += watched.counts;
    }
    if !shared.quiet {
        let emitted = format!("{}, {}", things(counts.groups_emitted, "group"), things(counts.scans_collapsed, "scan"));
        closing(&sum, took, "in groups", &emitted);
    }
    if sum.captures == 0 {
        anyhow::bail!("none of the inputs is a capture that can be read");
    }
    if let Some(path) = &args.writing.stats {
        write_whole(path, stats(setup.threads, sum.read_now(), took).as_bytes())?;
    }
    Ok(exit)
}

/// What a run writes in a folder.
const OWN: [&str; 4] = ["groups", "scans", "metrics.json", ".pcap-compactor"];

/// What is written, and by which option.
fn outputs(args: &Args, units: &[Unit]) -> Vec<Named> {
    let stats = args.writing.stats.clone().map(|path| ("--stats", path));
    let Some(folder) = &args.output else { return std::iter::once(standard_output()).chain(stats).collect() };
    let folders = units.iter().map(|unit| unit.folder(folder));
    folders.flat_map(|folder| OWN.map(|name| ("--output", folder.join(name)))).chain(stats).collect()
}

fn setup<'a>(args: &'a Args, shared: &Shared) -> anyhow::Result<Setup<'a>> {
    let mut config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    config.bytes = args.writing.measure().unwrap_or(config.bytes);
    let range = args.sources.range()?;
    let windows = match range {
        Some(window) if args.single_window => Windows::single(window),
        clip => Windows::tumbling(config.window_seconds, clip),
    };
    let progress = Arc::new(Progress::default());
    let threads = args.reading.threads();
    let engine = args.reading.engine(&progress).lateness_ns(args.lateness_ns());
    Ok(Setup { args, config, engine, progress, range, windows, threads, quiet: shared.quiet })
}

/// What a unit came to: its report, its metrics, how many groups a full queue dropped, and what of it an earlier run had read.
struct Done {
    report: Report,
    watched: Watched<()>,
    dropped: u64,
    kept: Amount,
}

/// Runs all units into standard output, as one: one header, one line of metrics.
fn into_stdout(setup: &Setup<'_>, units: impl Iterator<Item = Unit>) -> anyhow::Result<Vec<Done>> {
    let (out, times) = (stdout::open()?, setup.args.writing.times());
    match setup.args.format {
        Format::Jsonl => as_one(setup, units, JsonLines::new(out, "standard output", Lines::new(times))),
        Format::Csv => as_one(setup, units, Csv::new(out, "standard output", times)),
        #[cfg(feature = "tables")]
        format @ (Format::Parquet | Format::Arrow) => {
            let form = if format == Format::Parquet { tables::Form::Parquet } else { tables::Form::Arrow };
            let about = about(setup)?;
            let (out, style) = (stdout::open()?, setup.args.writing.style());
            as_one(setup, units, GroupTable::create(out, "standard output", form, style, &about)?)
        }
        Format::None => as_one(setup, units, DigestLines::new(out)),
    }
}

fn as_one<S: Sink>(setup: &Setup<'_>, units: impl Iterator<Item = Unit>, sink: S) -> anyhow::Result<Vec<Done>> {
    let mut runs = Runs::new(sink);
    let done = units.map(|unit| job(setup, unit, Finished::default(), &mut runs)).collect::<anyhow::Result<_>>()?;
    runs.finish()?;
    Ok(done)
}

/// Runs one unit into a folder; a sensor that runs apart has one of its own in there.
fn into_folder(setup: &Setup<'_>, mut unit: Unit, folder: &Path) -> anyhow::Result<Done> {
    let args = setup.args;
    if setup.config.emitter_backpressure_policy == Backpressure::DropOldest {
        let reason =
            "drop_oldest is for output that cannot wait; files can: leave emitter_backpressure_policy at block";
        return Err(Usage(reason.into()).into());
    }
    let folder = unit.folder(folder);
    let lock = lock(&folder)?;
    let format = match args.format {
        Format::Csv => FileFormat::Csv,
        Format::Jsonl | Format::None => FileFormat::Jsonl,
        #[cfg(feature = "tables")]
        Format::Parquet => FileFormat::Table(tables::Form::Parquet, args.writing.style()),
        #[cfg(feature = "tables")]
        Format::Arrow => FileFormat::Table(tables::Form::Arrow, args.writing.style()),
    };
    let hourly = args.single_window || setup.config.window_seconds.is_multiple_of(3600);
    let files = Files::new(&folder, format, args.writing.times(), hourly);
    #[cfg(feature = "tables")]
    let files = files.told(&about(setup)?.settings);
    files.sweep();
    let mut journal = Journal::open(&folder, identity(setup)?, setup.range, args.resume);
    let Resumed { finished, damaged, left } = journal.finished(&mut unit.inputs, &setup.windows, &files);
    for path in damaged {
        say(&format!("{}: is missing or not as it was written; its hour is done again", path.display()));
    }
    if !setup.quiet && left > 0 {
        let hours = things(left as u64, "hour");
        say(&format!("{}: {hours} of captures that this run does not read stay as they are", folder.display()));
    }
    if !setup.quiet && !finished.windows.is_empty() {
        let hours = things(finished.windows.len() as u64, "finished hour");
        let files = things(finished.files.len() as u64, "file");
        let of = unit.sensor.as_ref().map_or(String::new(), |sensor| format!("{sensor}: "));
        say(&format!("{of}{hours} kept, {files} not read again"));
    }
    let done = job(setup, unit, finished, journal.write(files)?)?;
    drop(lock);
    Ok(done)
}

/// Keeps two runs from writing into one folder.
fn lock(folder: &Path) -> anyhow::Result<std::fs::File> {
    let state = folder.join(".pcap-compactor");
    std::fs::create_dir_all(&state).with_context(|| format!("{}: cannot make the folder", state.display()))?;
    let path = state.join("lock");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("{}: cannot open", path.display()))?;
    if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
        anyhow::bail!("{}: another run is writing here; wait for it, or choose another folder", folder.display());
    }
    Ok(file)
}

/// What a table says of itself.
#[cfg(feature = "tables")]
fn about(setup: &Setup<'_>) -> anyhow::Result<About> {
    let args = setup.args;
    let decided =
        Groups::new(&setup.config, (setup.range, args.single_window), args.lateness_ns(), args.reading.packets());
    Ok(About::new("groups", None, &decided)?)
}

/// Everything that output depends on but the captures.
fn identity(setup: &Setup<'_>) -> anyhow::Result<String> {
    let args = setup.args;
    let config = serde_json::to_string(&setup.config).context("the configuration cannot be written down")?;
    let (times, tunnels) = (args.writing.times() == Times::Nanoseconds, args.reading.tunnels() == Tunnels::Outer);
    let csv = args.format == Format::Csv;
    #[cfg(feature = "tables")]
    let table = args
        .format
        .table()
        .map_or(String::new(), |form| format!(" table={form:?} {:?}", args.writing.style().addresses));
    #[cfg(not(feature = "tables"))]
    let table = "";
    Ok(format!(
        "{} {config} single={} csv={csv}{table} ns={times} outer={tunnels} dedup={} filter={:?}",
        env!("CARGO_PKG_VERSION"),
        args.single_window,
        args.reading.dedup,
        args.reading.filter.filter(),
    ))
}

/// Runs the job, through a queue and a writer of its own where the configuration asks for one.
fn job<S: Sink>(setup: &Setup<'_>, unit: Unit, finished: Finished, sink: S) -> anyhow::Result<Done> {
    let mut kept = Amount::default();
    finished.files.iter().for_each(|(file, _)| kept += file.tally.intake.read);
    let mut job = Job::new(setup.config.clone()).engine(setup.engine.clone()).sensor(unit.sensor).finished(finished);
    job = match setup.range {
        Some(range) if setup.args.single_window => job.single_window(range),
        range => job.clip(range),
    };
    let inputs: Vec<Input> = unit.inputs.into_iter().map(Input::from).collect();
    let mut watched = Watched::new(sink);
    if setup.config.emitter_backpressure_policy == Backpressure::Block {
        // A queue that blocks and no queue at all write the same; writing straight away is cheaper.
        let report = job.run(inputs, &mut watched)?;
        return Ok(Done { report, watched: watched.without_sink(), dropped: 0, kept });
    }
    let (mut queue, events) = channel(setup.config.emitter_queue_capacity, Backpressure::DropOldest);
    let (report, dropped) = std::thread::scope(|scope| {
        let runner = scope.spawn(move || job.run(inputs, &mut queue));
        let mut failed = None;
        let mut events = events;
        for event in &mut events {
            let written = match event {
                Event::Sensor(sensor) => watched.on_sensor(&sensor),
                Event::Group(group) => watched.on_group(&group),
                Event::Scan(scan) => watched.on_scan(&scan),
                Event::File(file) => watched.on_file(&file.0, &file.1),
                Event::Window(totals) => watched.on_window(&totals),
                Event::Metrics(metrics) => watched.on_metrics(&metrics.borrow()),
            };
            if let Err(error) = written {
                failed = Some(error);
                break;
            }
        }
        let dropped = events.dropped();
        drop(events);
        let ran = runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match failed {
            Some(error) => Err(error),
            None => ran.map(|report| (report, dropped)),
        }
    })?;
    Ok(Done { report, watched: watched.without_sink(), dropped, kept })
}

impl<S> Watched<S> {
    fn without_sink(self) -> Watched<()> {
        Watched { sink: (), outcome: self.outcome, counts: self.counts }
    }
}
