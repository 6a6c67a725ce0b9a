//! `compact`: captures in; groups, scans and a ledger out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use pcap_compactor::capture::{Input as Source, Io};
use pcap_compactor::config::{Backpressure, Measure};
use pcap_compactor::decode::Tunnels;
use pcap_compactor::engine::ledger::Amount;
use pcap_compactor::engine::{Builder, Progress, Report};
use pcap_compactor::job::Finished;
use pcap_compactor::sink::Sink;
use pcap_compactor::sink::atomic::write_whole;
use pcap_compactor::sink::channel::{Event, channel};
use pcap_compactor::sink::csv::Csv;
use pcap_compactor::sink::digest::DigestLines;
use pcap_compactor::sink::files::{Files, Format as FileFormat};
use pcap_compactor::sink::jsonl::{JsonLines, Lines, Times};
use pcap_compactor::sink::runs::Runs;
use pcap_compactor::views::groups::{Window, Windows};
use pcap_compactor::{Config, Engine, Input, Job, Timestamp};

use super::filter::FilterArgs;
use super::journal::{Journal, Resumed};
use super::progress::Bar;
use super::summary::{Sum, Watched, closing, complaints};
use super::text::things;
use super::units::{Found, Unit, named, nothing_of_sensors, of_sensors, weight};
use super::{Exit, Shared, Usage, interrupt, say, stdout, times};

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
    /// Captures (pcap, pcapng, also inside gzip or zstd), folders, or `-` for standard input.
    #[arg(value_name = "INPUT", conflicts_with = "root")]
    inputs: Vec<PathBuf>,

    /// Read segments from DIR/<sensor>/YYYY/MM/DD/HH/ instead; needs --hour, or --from and --to.
    #[arg(long, value_name = "DIR", help_heading = "Sensors")]
    root: Option<PathBuf>,
    /// Only this sensor; may be given several times. Default: all.
    #[arg(long, value_name = "NAME", requires = "root", help_heading = "Sensors")]
    sensor: Vec<String>,
    /// Run sensors apart: each record names its sensor, each has its own folder under -o. Default: they are merged.
    #[arg(long, help_heading = "Sensors")]
    by_sensor: bool,

    /// Only this UTC hour, such as 2023-10-19T13.
    #[arg(long, value_name = "TIME", value_parser = times::parse, conflicts_with_all = ["from", "to"], help_heading = "Time")]
    hour: Option<Timestamp>,
    /// Only packets from this time on: 2023-10-19T13, 2023-10-19T13:05:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = times::parse, help_heading = "Time")]
    from: Option<Timestamp>,
    /// Only packets before this time.
    #[arg(long, value_name = "TIME", value_parser = times::parse, help_heading = "Time")]
    to: Option<Timestamp>,
    /// Take the range from --from to --to as one window, whatever its length.
    #[arg(long, requires = "from", requires = "to", help_heading = "Time")]
    single_window: bool,
    /// Close hours that ended this many seconds before the newest packet, without waiting for the input's end.
    #[arg(long, value_name = "SECONDS", help_heading = "Time")]
    lateness: Option<u32>,

    /// Write files into this folder, one commit an hour, instead of standard output.
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,
    /// What to write; `none` does all the work and prints a digest of the records and the metrics.
    #[arg(long, value_enum, default_value_t = Format::Jsonl, help_heading = "Output")]
    format: Format,
    /// Skip hours in the output folder whose captures are unchanged since.
    #[arg(long, requires = "output", conflicts_with = "lateness", help_heading = "Output")]
    resume: bool,
    /// Times in records: seconds with nine decimals, or integer nanoseconds.
    #[arg(long, value_enum, default_value_t = TimesArg::S, help_heading = "Output")]
    times: TimesArg,
    /// Which length counts as a packet's bytes. Default: wire, or as in the config file.
    #[arg(long, value_enum, help_heading = "Output")]
    bytes: Option<BytesArg>,
    /// Write statistics of the run (seconds, threads, rates) to this file, as JSON.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    stats: Option<PathBuf>,

    /// Settings as TOML; `pcap-compactor config` prints them all, with their defaults.
    #[arg(long, value_name = "FILE", help_heading = "Processing")]
    config: Option<PathBuf>,
    /// Follow tunnels to the innermost addresses, or keep the outermost.
    #[arg(long, value_enum, default_value_t = TunnelsArg::Inner, help_heading = "Processing")]
    tunnels: TunnelsArg,
    /// Leave out frames equal in time, length and bytes to one of the N before them in their file.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Processing")]
    dedup: usize,
    #[command(flatten)]
    filter: FilterArgs,
    /// Threads in all. Default: the cores that we may use.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Processing")]
    threads: Option<u16>,
    /// Do not pin threads to cores.
    #[arg(long, help_heading = "Processing")]
    no_pin: bool,
    /// Map files into memory, or read them; auto maps those untouched for a minute.
    #[arg(long, value_enum, default_value_t = IoArg::Auto, help_heading = "Processing")]
    io: IoArg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum TimesArg {
    S,
    Ns,
}

#[derive(Clone, Copy, ValueEnum)]
enum BytesArg {
    Wire,
    Captured,
}

#[derive(Clone, Copy, ValueEnum)]
enum TunnelsArg {
    Inner,
    Outer,
}

#[derive(Clone, Copy, ValueEnum)]
enum IoArg {
    Auto,
    Mmap,
    Read,
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

/// Runs `compact`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let setup = setup(args, shared)?;
    let found = find(args, setup.range)?;
    let mut exit = Exit::Ok;
    for error in &found.failed {
        exit = Exit::Partial;
        say(&error.to_string());
    }
    for skipped in &found.skipped {
        exit = exit.max(weight(skipped));
        if weight(skipped) != Exit::Ok || !shared.quiet {
            say(&format!("{skipped}; it is left out"));
        }
    }
    if found.units.iter().all(|unit| unit.inputs.is_empty()) {
        match (&args.root, setup.range) {
            (Some(root), Some(range)) => anyhow::bail!("{}", nothing_of_sensors(root, &args.sensor, range)),
            _ => anyhow::bail!("there is nothing to read; name a capture, or a folder that holds some"),
        }
    }
    for sensor in found.silent.iter().filter(|_| !shared.quiet) {
        say(&format!("{sensor}: this sensor has no captures in the time that was asked for"));
    }
    if let Some(stats) = args.stats.as_ref().and_then(|path| path.canonicalize().ok()) {
        let inputs = found.units.iter().flat_map(|unit| &unit.inputs);
        if inputs.filter_map(|input| input.path().canonicalize().ok()).any(|input| input == stats) {
            return Err(Usage(format!("--stats {} is one of the inputs", stats.display())).into());
        }
    }
    interrupt::watch(&setup.progress)?;
    let total = found.units.iter().flat_map(|unit| &unit.inputs).map(length).sum();
    let bar = Bar::show(&setup.progress, total, shared.quiet);
    let began = Instant::now();
    let units = found.units.into_iter().filter(|unit| !unit.inputs.is_empty());
    let done = match args.output.as_ref().filter(|_| args.format != Format::None) {
        Some(folder) => units.map(|unit| into_folder(&setup, unit, folder)).collect::<anyhow::Result<_>>()?,
        None => into_stdout(&setup, units)?,
    };
    drop(bar);
    let took = began.elapsed();
    let mut sum = Sum::default();
    for Done { report, watched, dropped, kept } in &done {
        if *dropped > 0 {
            exit = Exit::Partial;
            say(&format!("{dropped} groups were dropped because the output was too slow (drop_oldest)"));
        }
        exit = exit.max(complaints(report, &watched.outcome, shared.quiet));
        sum.add(report, watched, *kept);
    }
    if !shared.quiet {
        closing(&sum, took);
    }
    if let Some(path) = &args.stats {
        write_whole(path, stats(&setup, sum.read_now(), took).as_bytes())?;
    }
    if sum.captures == 0 {
        anyhow::bail!("none of the inputs is a capture that can be read");
    }
    Ok(exit)
}

fn setup<'a>(args: &'a Args, shared: &Shared) -> anyhow::Result<Setup<'a>> {
    let mut config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    match args.bytes {
        Some(BytesArg::Wire) => config.bytes = Measure::Wire,
        Some(BytesArg::Captured) => config.bytes = Measure::Captured,
        None => {}
    }
    let range = range(args)?;
    let windows = match range {
        Some(window) if args.single_window => Windows::single(window),
        clip => Windows::tumbling(config.window_seconds, clip),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let progress = Arc::new(Progress::default());
    let engine = Engine::builder()
        .threads(threads)
        .pin(!args.no_pin && threads > 1 && threads <= cores)
        .io(match args.io {
            IoArg::Auto => Io::Auto,
            IoArg::Mmap => Io::Mmap,
            IoArg::Read => Io::Read,
        })
        .tunnels(match args.tunnels {
            TunnelsArg::Inner => Tunnels::Inner,
            TunnelsArg::Outer => Tunnels::Outer,
        })
        .dedup(args.dedup)
        .filter(args.filter.filter())
        .lateness_ns(args.lateness.map(|seconds| i64::from(seconds) * 1_000_000_000))
        .progress(Arc::clone(&progress));
    Ok(Setup { args, config, engine, progress, range, windows, threads, quiet: shared.quiet })
}

fn range(args: &Args) -> anyhow::Result<Option<Window>> {
    let window = match (args.hour, args.from, args.to) {
        (Some(hour), ..) => {
            let start = hour.window_start(3600 * 1_000_000_000);
            Some(Window { start, end: Timestamp(start.0.saturating_add(3600 * 1_000_000_000)) })
        }
        (None, None, None) => None,
        (None, from, to) => Some(Window { start: from.unwrap_or(Timestamp::MIN), end: to.unwrap_or(Timestamp::MAX) }),
    };
    if let Some(Window { start, end }) = window
        && start >= end
    {
        return Err(Usage("--from must lie before --to".into()).into());
    }
    Ok(window)
}

fn find(args: &Args, range: Option<Window>) -> anyhow::Result<Found> {
    match &args.root {
        None if args.inputs.is_empty() => {
            Err(Usage("name at least one INPUT, or --root with --hour; see `pcap-compactor compact --help`".into())
                .into())
        }
        None => Ok(named(&args.inputs, args.by_sensor)),
        Some(root) => match (range, args.hour.is_some() || (args.from.is_some() && args.to.is_some())) {
            (Some(range), true) => Ok(of_sensors(root, &args.sensor, range, args.by_sensor)?),
            _ => Err(Usage("--root needs --hour, or --from and --to".into()).into()),
        },
    }
}

fn length(input: &Source) -> u64 {
    std::fs::metadata(input.path()).map_or(0, |metadata| metadata.len())
}

/// What a unit came to: its report, its metrics, how many groups a full queue dropped, and what of it an earlier run had read.
struct Done {
    report: Report,
    watched: Watched<()>,
    dropped: u64,
    kept: Amount,
}

impl TimesArg {
    fn times(self) -> Times {
        match self {
            TimesArg::S => Times::Seconds,
            TimesArg::Ns => Times::Nanoseconds,
        }
    }
}

/// Runs all units into standard output, as one: one header, one line of metrics.
fn into_stdout(setup: &Setup<'_>, units: impl Iterator<Item = Unit>) -> anyhow::Result<Vec<Done>> {
    let (out, times) = (stdout::lock()?, setup.args.times.times());
    match setup.args.format {
        Format::Jsonl => as_one(setup, units, JsonLines::new(out, "standard output", Lines::new(times))),
        Format::Csv => as_one(setup, units, Csv::new(out, "standard output", times)),
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
    let folder = unit.sensor.as_ref().map_or(folder.to_owned(), |sensor| folder.join(sensor));
    let lock = lock(&folder)?;
    let format = if args.format == Format::Csv { FileFormat::Csv } else { FileFormat::Jsonl };
    let hourly = args.single_window || setup.config.window_seconds.is_multiple_of(3600);
    let files = Files::new(&folder, format, args.times.times(), hourly);
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

/// Everything that output depends on but the captures.
fn identity(setup: &Setup<'_>) -> anyhow::Result<String> {
    let args = setup.args;
    let config = serde_json::to_string(&setup.config).context("the configuration cannot be written down")?;
    let (times, tunnels) = (matches!(args.times, TimesArg::Ns), matches!(args.tunnels, TunnelsArg::Outer));
    let format = args.format == Format::Csv;
    Ok(format!(
        "{} {config} single={} csv={format} ns={times} outer={tunnels} dedup={} filter={:?}",
        env!("CARGO_PKG_VERSION"),
        args.single_window,
        args.dedup,
        args.filter.filter(),
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

fn stats(setup: &Setup<'_>, read: Amount, took: Duration) -> String {
    let Amount { packets, captured_bytes: bytes, .. } = read;
    let seconds = took.as_secs_f64();
    let value = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "threads": setup.threads,
        "seconds": seconds,
        "packets": packets,
        "captured_bytes": bytes,
        "packets_per_second": packets as f64 / seconds.max(1e-9),
        "captured_bytes_per_second": bytes as f64 / seconds.max(1e-9),
    });
    format!("{value:#}\n")
}
