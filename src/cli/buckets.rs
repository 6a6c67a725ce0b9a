//! `buckets`: captures in; one row a stretch of time, and a ledger out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
#[cfg(feature = "tables")]
use std::io::IsTerminal;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use pcap_compactor::Input;
use pcap_compactor::capture::{Input as Source, Status};
use pcap_compactor::engine::ledger::{Amount, Outcome};
use pcap_compactor::engine::{Progress, Report};
use pcap_compactor::sink::atomic::{AtomicFile, write_whole};
use pcap_compactor::sink::bridge::{self as bridge_rows, BridgeWriter};
use pcap_compactor::sink::buckets::{BucketSink, BucketWriter, Form, header};
#[cfg(feature = "tables")]
use pcap_compactor::sink::decided::{Bridge, Buckets};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::sink::metrics::OwnedMetrics;
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::bridge::BridgeTable;
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::buckets::BucketTable;
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::{self, About};
use pcap_compactor::time;
use pcap_compactor::views::buckets::{BucketCounts, BucketJob, Local, NARROWEST, Settings, WIDEST, bridge};

use super::places::{Named, no_file_of_nothing, standard_output};
use super::progress::Bar;
use super::reading::{Reading, Sources, Writing, milliseconds};
use super::summary::{Sum, closing, complaints, stats};
use super::text::things;
use super::units::{Found, Unit};
use super::{Exit, Shared, Usage, interrupt, say, stdout};

/// Arguments of `buckets`.
#[derive(clap::Args)]
#[command(after_help = "\
A bucket is a stretch of time. Its row says how many packets went in and out, of which kinds, how many flows began, what DNS \
was asked, and how many destinations there were. Rows come in order of time, each as soon as its bucket is over; of several widths in the order in which buckets end, the narrower \
first, but where packets come late or gaps are longer than --gap-limit: there rows of a narrower width may come behind those of wider ones. Of `-` alone, a signal \
such as Ctrl-C ends the input: the last rows and the metrics are written, and the exit code tells of the signal (130). That the input then ends \
inside a record, or has none, is no damage.

Examples:
  pcap-compactor buckets capture.pcap > buckets.jsonl                        # 100 ms each
  pcap-compactor buckets capture.pcap --every 100ms --every 1s -o b.csv      # two widths in one pass
  pcap-compactor buckets capture.pcap --local 10.200.0.0/24 --format csv     # in and out, seen from these hosts
  pcap-compactor buckets capture.pcap --local 02:00:00:00:00:01              # or from an Ethernet address
  pcap-compactor buckets captures/ --every 10min --from 2024-05-01 --to 2024-05-02
  tcpdump -U -w - | pcap-compactor buckets - --every 1s                      # rows as time passes
  pcap-compactor buckets network.pcap --dialect bridge -o netflow.jsonl      # the rows of the bridge collector
  pcap-compactor buckets network.pcap --dialect bridge -o netflow.parquet    # the same as typed columns
  pcap-compactor schema buckets                                              # all columns, with unit and meaning")]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,

    /// How long a bucket lasts: 100ms, 1s, 10min, 1h, 1d; from 1us to 366d. May be given more than once: rows of all widths come in
    /// one output, and `width` tells them apart. Default: 100ms.
    #[arg(long, value_name = "TIME", value_parser = width, help_heading = "Buckets")]
    every: Vec<i64>,
    /// Where buckets begin: at multiples of their width since 1970, or at the first packet (with --from, there).
    #[arg(long, value_enum, default_value_t = Align::Epoch, help_heading = "Buckets")]
    align: Align,
    /// Who is local, so that packets go in or out: a network, an address, or an Ethernet address. May be given more than once. Without
    /// it all packets are `unknown`.
    #[arg(long, value_name = "NET|MAC", help_heading = "Buckets")]
    local: Vec<Local>,
    /// How long a bucket waits for packets that come late, in milliseconds. It leaves when two packets in a row are later than its end by
    /// so much: one alone may have a wild time. So from a stream that falls silent its last rows come when packets do, or it ends.
    /// Packets that come for a bucket behind that are counted as late. A row for a gap longer than --gap-limit leaves when the gap is
    /// over. Default: 1000.
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_negative_numbers = true, help_heading = "Buckets")]
    reorder: Option<i64>,
    /// Write a row for each empty bucket where at most N follow one another; more are one row, whose `buckets` says how many.
    /// Default: 36000, an hour of 100 ms; with --dialect bridge 864000, and more are left out.
    #[arg(long, value_name = "N", help_heading = "Buckets")]
    gap_limit: Option<u64>,
    /// Add `t_mono_ns`: what a clock shows at a bucket's start that showed 0 at this time, in nanoseconds since 1970. With --dialect
    /// bridge it is always there, and this is 0 if not said.
    #[arg(long, value_name = "NS", allow_negative_numbers = true, help_heading = "Buckets")]
    mono_origin: Option<i64>,

    /// Write into this file instead of standard output. It appears when it is whole, in place of one that was there; missing folders are
    /// made.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Add rows to the end of --output, as they come, in place of replacing it. CSV gets no second header. A pipe or a device is
    /// written to as without it.
    #[arg(long, requires = "output", help_heading = "Output")]
    append: bool,
    /// What to write: JSON Lines, CSV, Parquet, or Arrow's file format; `none` does all the work and prints a digest and the
    /// metrics. Default: as the name of --output ends (.csv; .parquet; .arrow, .feather), else jsonl.
    #[arg(long, value_enum, help_heading = "Output")]
    format: Option<Format>,
    /// Write rows as another program does. bridge: the collector on a bridge that training sets for gateways were made with; every frame
    /// counts, by its captured bytes, and nothing is put right. Its JSON Lines are byte for byte the collector's, without metrics.
    #[arg(long, value_enum, help_heading = "Output", conflicts_with_all = ["align", "local", "reorder", "times", "bytes",
        "root", "by_sensor", "from", "to", "hour", "tunnels", "dedup", "filter", "no_pure_acks", "no_rst"])]
    #[cfg_attr(feature = "tables", arg(conflicts_with = "addresses"))]
    dialect: Option<DialectArg>,
    /// With --dialect bridge, whose packets are `out`. Default: 10.200.0.1.
    #[arg(long, value_name = "ADDRESS", help_heading = "Output")]
    bridge_address: Option<Ipv4Addr>,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Align {
    Epoch,
    Start,
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DialectArg {
    Bridge,
}

/// A length of time with its unit, in nanoseconds.
fn width(text: &str) -> Result<i64, String> {
    time::length(text)
        .filter(|ns| (NARROWEST..=WIDEST).contains(ns))
        .ok_or_else(|| "write a whole number and a unit, from 1us to 366d: 100ms, 1s, 10min, 1h, 1d".into())
}

/// A run that is over, for the closing lines.
struct Done {
    reports: Vec<Report>,
    outcome: Outcome,
    counts: BucketCounts,
    /// A signal has ended the stream that it read.
    ended: bool,
}

impl Done {
    fn new(reports: Vec<Report>, outcome: Outcome, counts: BucketCounts) -> Done {
        Done { reports, outcome, counts, ended: false }
    }

    /// Takes it that a signal has ended the stream. It does so inside a record, or before the first, which is no damage: nobody is told of it
    /// but by the metrics.
    fn end(&mut self) {
        self.ended = true;
        for file in self.reports.iter_mut().flat_map(|report| &mut report.files) {
            if matches!(file.capture.status, Status::Truncated | Status::Empty) {
                file.capture.status = Status::Complete;
            }
        }
    }
}

/// Whether all that is read is standard input.
fn is_stream(found: &Found) -> bool {
    found.units.iter().flat_map(|unit| &unit.inputs).all(|input| matches!(input, Source::Stdin))
}

/// Runs `buckets`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    if args.format() == Format::None && args.output.is_some() {
        return Err(no_file_of_nothing().into());
    }
    #[cfg(feature = "tables")]
    match args.format() {
        Format::Parquet | Format::Arrow if args.append => {
            return Err(Usage(
                "a table of columns is written whole, so --append adds no rows; name a file of its own".into(),
            )
            .into());
        }
        Format::Parquet | Format::Arrow if args.output.is_none() && std::io::stdout().is_terminal() => {
            return Err(Usage(
                "Parquet and Arrow are not for a terminal; name a file: --output buckets.parquet".into(),
            )
            .into());
        }
        Format::Parquet | Format::Arrow => {}
        _ => args.writing.of_no_table()?,
    }
    // Clap would not ask for a dialect beside an option that excludes it.
    if args.dialect.is_none() && args.bridge_address.is_some() {
        return Err(Usage("--bridge-address is about --dialect bridge; add that, or leave it out".into()).into());
    }
    if args.dialect.is_some() && args.format() == Format::None {
        return Err(Usage(
            "--dialect bridge has no digest; choose another --format, or leave one of the two out".into(),
        )
        .into());
    }
    if let Some(folder) = args.output.as_deref().filter(|path| path.is_dir()) {
        return Err(Usage(format!("{}: is a folder; name a file", folder.display())).into());
    }
    match args.bridge_settings() {
        Some(settings) => _ = settings?,
        None => args.settings()?.check()?,
    }
    let (found, exit) = args.sources.find("buckets", args.sources.range()?, shared)?;
    let place = args.output.clone().map_or_else(standard_output, |path| ("--output", path));
    let stats_file = args.writing.stats.clone().map(|path| ("--stats", path));
    found.spare([place].into_iter().chain(stats_file).collect::<Vec<Named>>(), &[])?;
    let progress = Arc::new(Progress::default());
    // A stream goes on until somebody ends it, and its rows are whole then.
    if is_stream(&found) {
        interrupt::end_streams()?
    } else {
        interrupt::watch(&progress)?
    }
    let bytes = found.bytes();
    let bar = Bar::show(&progress, move || bytes, shared.quiet);
    let began = Instant::now();
    let done = into_place(args, found, &progress)?;
    drop(bar);
    let exit = close(args, &done, exit, began.elapsed(), shared)?;
    if done.ended { Err(interrupt::Ended.into()) } else { Ok(exit) }
}

impl Args {
    fn format(&self) -> Format {
        let end = self.output.as_deref().and_then(Path::extension);
        let by_name = match end.and_then(|end| end.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Format::Csv,
            #[cfg(feature = "tables")]
            Some("parquet") => Format::Parquet,
            #[cfg(feature = "tables")]
            Some("arrow" | "feather") => Format::Arrow,
            _ => Format::Jsonl,
        };
        self.format.unwrap_or(by_name)
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let usual = Settings::default();
        Ok(Settings {
            widths: if self.every.is_empty() { usual.widths } else { self.every.clone() },
            from_start: self.align == Align::Start,
            local: self.local.clone(),
            bytes: self.writing.measure().unwrap_or(usual.bytes),
            reorder: self.reorder.unwrap_or(usual.reorder),
            gap_limit: self.gap_limit.unwrap_or(usual.gap_limit),
            clip: self.sources.range()?,
        })
    }

    /// What a table says of itself.
    #[cfg(feature = "tables")]
    fn about(&self) -> anyhow::Result<About> {
        let settings = self.settings()?;
        Ok(About::new("buckets", None, &Buckets::new(&settings, self.mono_origin, self.reading.packets()))?)
    }

    /// The settings of the bridge's rows, if these are wanted.
    fn bridge_settings(&self) -> Option<anyhow::Result<bridge::Settings>> {
        self.dialect?;
        let usual = bridge::Settings::default();
        let bucket_ms = match &self.every[..] {
            [] => Some(usual.bucket_ms),
            [ns] => bridge::Settings::width(*ns),
            _ => None,
        };
        let widths = bridge::Settings::WIDTHS;
        let bucket_ms = bucket_ms.ok_or_else(|| Usage(format!("--dialect bridge has one width, of {widths}")).into());
        Some(bucket_ms.map(|bucket_ms| bridge::Settings {
            bucket_ms,
            bridge: self.bridge_address.unwrap_or(usual.bridge),
            mono_origin: self.mono_origin.unwrap_or(usual.mono_origin),
            gap_limit: self.gap_limit.unwrap_or(usual.gap_limit),
        }))
    }
}

/// Runs into the file that was named, or into standard output.
fn into_place(args: &Args, found: Found, progress: &Arc<Progress>) -> anyhow::Result<Done> {
    match &args.output {
        None => Ok(write(args, found, progress, stdout::open()?, Path::new("standard output"), true)?.1),
        Some(path) if args.append && can_grow(path) => {
            let is_new = goes_on(args, path, found.units.iter().any(|unit| unit.sensor.is_some()))?;
            if let Some(folder) = path.parent().filter(|folder| is_new && !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("{}: cannot make the folder", folder.display()))?;
            }
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.with_context(|| format!("{}: cannot open", path.display()))?;
            match write(args, found, progress, file, path, is_new) {
                Ok((_, done)) => Ok(done),
                Err(error) => {
                    cut_back(path);
                    Err(error)
                }
            }
        }
        Some(path) => {
            let (file, done) = write(args, found, progress, AtomicFile::create(path)?, path, true)?;
            // What a failed run has to say takes the place of nothing.
            if captures(&done) > 0 {
                file.commit()?;
            }
            Ok(done)
        }
    }
}

/// Whether a place is a file, or can become one: what is none, such as a pipe, has no rows to look at, and is written to as it is.
fn can_grow(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |there| there.is_file())
}

/// Whether a file that rows are added to is new. What it holds has to be whole rows of the same columns.
fn goes_on(args: &Args, path: &Path, sensors: bool) -> anyhow::Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        file => file.with_context(|| format!("{}: cannot open", path.display()))?,
    };
    let length = file.seek(SeekFrom::End(0)).with_context(|| format!("{}: cannot read", path.display()))?;
    if length == 0 {
        return Ok(true);
    }
    let refuse = |why: &str| Usage(format!("{}: {why}; mend it, or name another file", path.display()));
    let mut last = [0];
    let read = file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).and_then(|()| file.rewind());
    read.with_context(|| format!("{}: cannot read", path.display()))?;
    if last != *b"\n" {
        return Err(refuse("its last row is not whole, so nothing can be added").into());
    }
    let mut lines = BufReader::new(file.take(64 << 10)).lines();
    let mut line = || lines.next().transpose().with_context(|| format!("{}: cannot read", path.display()));
    let columns = match args.dialect {
        Some(DialectArg::Bridge) => bridge_rows::header(),
        None => header(args.mono_origin.is_some(), sensors),
    };
    let columns: Vec<&str> = columns.trim_end().split(',').collect();
    let first = line()?.unwrap_or_default();
    // Whether times are whole numbers, where there are any; nothing if these are other rows.
    let whole = match args.format() {
        Format::Csv if first == columns.join(",") && args.dialect.is_some() => Some(None),
        Format::Csv if first == columns.join(",") => {
            let row = line()?.unwrap_or_default();
            Some(row.split(',').nth(usize::from(sensors)).map(|start| !start.contains('.')))
        }
        Format::Csv => None,
        _ => {
            let row: BTreeMap<String, serde_json::Value> = serde_json::from_str(&first).unwrap_or_default();
            let names: BTreeSet<&str> = columns.into_iter().chain(["type"]).collect();
            match row.get("type").and_then(serde_json::Value::as_str) {
                None if args.dialect.is_some() && row.contains_key("bucket_ms") => Some(None),
                Some("bucket") if args.dialect.is_none() && row.keys().map(String::as_str).eq(names) => {
                    Some(row.get("start").map(|start| !start.is_f64()))
                }
                // Of a capture without packets.
                Some("metrics") if args.dialect.is_none() => Some(None),
                _ => None,
            }
        }
    };
    let Some(whole) = whole else {
        return Err(refuse("holds other rows, or other columns, so no rows can be added").into());
    };
    if whole.is_some_and(|whole| whole != (args.writing.times() == Times::Nanoseconds)) {
        return Err(refuse("has times of the other unit, see --times, so no rows can be added").into());
    }
    Ok(false)
}

/// Removes what a failed write left of a row at the end of a file.
fn cut_back(path: &Path) {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else { return };
    let Ok(length) = file.seek(SeekFrom::End(0)) else { return };
    // No row is longer.
    let from = length.saturating_sub(64 << 10);
    let mut end = Vec::new();
    if file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut end)).is_ok() {
        let whole = end.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let _ = file.set_len(from + whole as u64);
    }
}

fn captures(done: &Done) -> u64 {
    let mut sum = Sum::default();
    done.reports.iter().for_each(|report| sum.add(report, &Outcome::default(), Amount::default()));
    sum.captures
}

/// Writes the rows of all units to a stream.
fn write<W: Write + Send>(
    args: &Args,
    found: Found,
    progress: &Arc<Progress>,
    out: W,
    name: &Path,
    header: bool,
) -> anyhow::Result<(W, Done)> {
    let is_stream = is_stream(&found);
    let (out, mut done) = write_rows(args, found, progress, out, name, header)?;
    if is_stream && interrupt::came() {
        done.end();
    }
    Ok((out, done))
}

fn write_rows<W: Write + Send>(
    args: &Args,
    found: Found,
    progress: &Arc<Progress>,
    out: W,
    name: &Path,
    header: bool,
) -> anyhow::Result<(W, Done)> {
    let units = found.units.into_iter().filter(|unit| !unit.inputs.is_empty());
    if let Some(settings) = args.bridge_settings() {
        let inputs = units.flat_map(|unit| unit.inputs).map(Input::from).collect();
        return write_bridge(args, settings?, inputs, progress, (out, name), header);
    }
    let units: Vec<Unit> = units.collect();
    let sensors = units.iter().any(|unit| unit.sensor.is_some());
    let form = match args.format() {
        Format::Jsonl => Form::Lines,
        Format::Csv => Form::Csv,
        Format::None => Form::Digest,
        #[cfg(feature = "tables")]
        format @ (Format::Parquet | Format::Arrow) => {
            let form = if format == Format::Parquet { tables::Form::Parquet } else { tables::Form::Arrow };
            let about = args.about()?;
            let what = (args.mono_origin, sensors);
            let mut table = BucketTable::create(out, name, form, what, args.writing.style(), &about)?;
            let reports = run_all(args, units, progress, &mut table)?;
            return Ok(done(reports, table.finish()?));
        }
    };
    let how = (form, args.writing.times());
    let mut writer = BucketWriter::new(out, name, how, args.mono_origin, sensors, header);
    let reports = run_all(args, units, progress, &mut writer)?;
    Ok(done(reports, writer.finish()?))
}

/// Writes the rows of the bridge to a stream.
fn write_bridge<W: Write + Send>(
    args: &Args,
    settings: bridge::Settings,
    inputs: Vec<Input>,
    progress: &Arc<Progress>,
    (out, name): (W, &Path),
    header: bool,
) -> anyhow::Result<(W, Done)> {
    let run = |sink: &mut dyn bridge_rows::BridgeSink| bridge::run(settings, inputs, args.reading.io(), progress, sink);
    let (out, report, counts) = match args.format() {
        #[cfg(feature = "tables")]
        format @ (Format::Parquet | Format::Arrow) => {
            let form = if format == Format::Parquet { tables::Form::Parquet } else { tables::Form::Arrow };
            let about = About::new("buckets", Some("bridge"), &Bridge::from(&settings))?;
            let mut table = BridgeTable::create(out, name, form, &about)?;
            let (report, counts) = run(&mut table)?;
            (table.finish(&bridge::metrics(&report, counts))?, report, counts)
        }
        format => {
            let form = if format == Format::Csv { bridge_rows::Form::Csv } else { bridge_rows::Form::Lines };
            let mut writer = BridgeWriter::new(out, name, form, header);
            let (report, counts) = run(&mut writer)?;
            (writer.finish()?, report, counts)
        }
    };
    if counts.left_out > 0 {
        let rows = things(counts.left_out, "empty bucket");
        say(&format!("{rows} left out, in gaps longer than --gap-limit; raise it to have them"));
    }
    let (outcome, counts) = {
        let metrics = bridge::metrics(&report, counts);
        (metrics.outcome, metrics.counts)
    };
    Ok((out, Done::new(vec![report], outcome, counts)))
}

/// Runs all units into one sink.
fn run_all(
    args: &Args,
    units: Vec<Unit>,
    progress: &Arc<Progress>,
    sink: &mut impl BucketSink,
) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for Unit { sensor, inputs } in units {
        // Of a stream, rows leave as their buckets end only where nobody waits for another thread.
        let streams = inputs.iter().any(|input| matches!(input, Source::Stdin));
        let engine = args.reading.engine(progress);
        let engine = if streams { engine.threads(1) } else { engine };
        let job = BucketJob::new(args.settings()?)?.engine(engine).sensor(sensor);
        reports.push(job.run(inputs.into_iter().map(Input::from).collect(), &mut *sink)?);
    }
    Ok(reports)
}

/// What the runs came to.
fn done<W>(reports: Vec<Report>, (out, metrics): (W, Option<OwnedMetrics<BucketCounts>>)) -> (W, Done) {
    let metrics = metrics.as_ref().map(OwnedMetrics::borrow);
    let outcome = metrics.as_ref().map_or_else(Outcome::default, |metrics| metrics.outcome);
    let counts = metrics.map_or_else(BucketCounts::default, |metrics| metrics.counts);
    (out, Done::new(reports, outcome, counts))
}

/// Says what the run came to; one that a signal has ended may have come to nothing.
fn close(args: &Args, done: &Done, exit: Exit, took: Duration, shared: &Shared) -> anyhow::Result<Exit> {
    let (mut sum, mut exit, mut outcome) = (Sum::default(), exit, done.outcome);
    for report in &done.reports {
        // What it says of late packets is about hours.
        exit = exit.max(complaints(report, &Outcome { late: Amount::default(), ..outcome }, shared.quiet));
        // The bridge's rows are of each capture alone.
        let overlap = report.overlap().filter(|_| !shared.quiet && args.dialect.is_none());
        overlap.iter().for_each(|overlap| say(&overlap.to_string()));
        // Told once, of all runs together.
        sum.add(report, &std::mem::take(&mut outcome), Amount::default());
    }
    if !shared.quiet {
        closing(&sum, took, "in buckets", &things(done.counts.rows, "row"));
    }
    if done.counts.late > 0 {
        let late = things(done.counts.late, "packet");
        say(&format!("{late} came when their bucket had left; --reorder says how long one waits"));
        exit = exit.max(Exit::Partial);
    }
    if sum.captures == 0 && !done.ended {
        anyhow::bail!("none of the inputs is a capture that can be read");
    }
    if let Some(path) = &args.writing.stats {
        write_whole(path, stats(args.reading.threads(), sum.read_now(), took).as_bytes())?;
    }
    Ok(exit)
}
