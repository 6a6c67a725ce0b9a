//! `flows`: captures in; one row a flow and a ledger out.

mod args;
mod beside;
mod each;
mod settings;
mod tables;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use pcap_compactor::Input;
use pcap_compactor::engine::Progress;
use pcap_compactor::engine::ledger::{Amount, Outcome};
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::atomic::{AtomicFile, write_whole};
use pcap_compactor::sink::flows::{FlowRuns, FlowSink};
use pcap_compactor::sink::metrics::OwnedMetrics;
use pcap_compactor::sink::most::MostPackets;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::nexus::Report;
use pcap_compactor::views::flows::{FlowCounts, FlowJob, FlowRecord, Settings};

use super::places::{Named, no_file_of_nothing, standard_output};
use super::progress::Bar;
use super::summary::{Sum, closing, complaints, is_capture, stats};
use super::text::things;
use super::units::Unit;
use super::{Exit, Shared, Usage, interrupt, labels, say, stdout};
pub(crate) use args::Args;
use args::Format;
use settings::settings;
use tables::{Table, Tables};

/// Runs `flows`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    if args.format() == Format::None && args.output.is_some() {
        return Err(no_file_of_nothing().into());
    }
    args.output.as_deref().filter(|_| !args.each).map_or(Ok(()), of_no_other_kind)?;
    if args.split_by_protocol && args.output.as_deref().is_some_and(is_a_stream) {
        return Err(Usage(
            "--split-by-protocol makes files beside --output, which is a pipe or a device; name a file".into(),
        )
        .into());
    }
    if args.format().is_binary() && args.output.is_none() && std::io::stdout().is_terminal() {
        let (what, end) = (args.format().about(), args.format().ending());
        return Err(Usage(format!("{what} is not for a terminal; name a file: --output flows.{end}")).into());
    }
    #[cfg(feature = "tables")]
    if !args.format().is_table() {
        args.writing.of_no_table()?;
    }
    let dialect = args.dialect()?;
    let settings = settings(args, dialect.as_ref())?;
    let mut about = report(args)?;
    let (found, exit) = args.sources.find("flows", settings.clip, shared)?;
    let folder = args.output.as_deref().filter(|_| args.each);
    let tables = folder.map(|folder| each::tables(args, folder, &found)).transpose()?;
    let outputs = outputs(args, folder.zip(tables.as_deref()));
    found.spare(outputs, &[("--config", args.config.as_deref()), ("--label", args.label.as_deref())])?;
    if let (None, Some(place)) = (folder, schema(args)) {
        beside::replaceable(&place)?;
    }
    if let Some(path) = args.output.as_deref()
        && let Some(by_name) = args.format_by_name().filter(|by_name| *by_name != args.format() && !shared.quiet)
    {
        let (path, format) = (path.display(), args.format().about());
        say(&format!("{path}: becomes {format}, as --format says, not {}, as its name does", by_name.about()));
    }
    let rules = settings.labels.clone();
    let progress = Arc::new(Progress::default());
    interrupt::watch(&progress)?;
    let bytes = found.bytes();
    let units = if args.source_file { each::apart(args, &found.units)? } else { found.units };
    let bar = Bar::show(&progress, move || bytes, shared.quiet);
    let began = Instant::now();
    let run = Run { args, dialect: dialect.as_ref(), settings, progress: &progress };
    let done = match (&args.output, tables) {
        (Some(folder), Some(tables)) => each::run(&run, folder, tables)?,
        (Some(path), None) => vec![into_files(&run, path, units, about.as_mut())?],
        (None, _) => vec![write(&run, units, about.as_mut(), vec![("standard output".into(), stdout::open()?)])?.1],
    };
    drop(bar);
    let took = began.elapsed();
    let mut sum = Sum::default();
    let (mut counts, mut exit) = (FlowCounts::default(), exit);
    for Done { reports, metrics } in &done {
        let metrics = metrics.as_ref().map(OwnedMetrics::borrow);
        counts += metrics.as_ref().map_or_else(FlowCounts::default, |metrics| metrics.counts);
        // Told once, of all runs together.
        let mut outcome = metrics.map_or_else(Outcome::default, |metrics| metrics.outcome);
        for report in reports {
            exit = exit.max(complaints(report, &outcome, shared.quiet));
            report.overlap().iter().filter(|_| !shared.quiet).for_each(|overlap| say(&overlap.to_string()));
            sum.add(report, &std::mem::take(&mut outcome), Amount::default());
        }
    }
    if !shared.quiet {
        closing(&sum, took, "in flows", &things(counts.flows, "flow"));
        limits(&counts);
        rules.iter().for_each(|rules| labels::tell(&rules.report()));
    }
    // What a failed run has to say takes the place of nothing.
    if sum.captures == 0 {
        anyhow::bail!("none of the inputs is a capture that can be read");
    }
    if let (Some(path), Some(about)) = (&args.report, about) {
        let read = done.iter().flat_map(|done| &done.reports).flat_map(|report| &report.files);
        let names: Vec<_> = read.map(|file| file.path.display().to_string()).collect();
        write_whole(path, about.text(&names.join(", ")).as_bytes())?;
    }
    if let Some(path) = &args.writing.stats {
        write_whole(path, stats(args.reading.threads(), sum.read_now(), took).as_bytes())?;
    }
    Ok(exit)
}

/// Whether it is there, and is a pipe or a device.
fn is_a_stream(path: &Path) -> bool {
    path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Refuses folders, and names of files of a kind that is not written.
fn of_no_other_kind(path: &Path) -> Result<(), Usage> {
    if path.is_dir() {
        let path = path.display();
        return Err(Usage(format!(
            "{path}: is a folder; name a file, or take --each for a table of each capture in there"
        )));
    }
    let end = path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase);
    let tables: &[&str] = if cfg!(feature = "tables") { &[] } else { &["parquet", "arrow", "feather"] };
    let others = ["gz", "zst", "xz", "bz2", "zip", "xls"];
    match end.filter(|end| others.iter().chain(tables).any(|other| other == end)) {
        Some(end) => Err(Usage(format!(
            "{}: no .{end} is written; name it .csv, .jsonl, .json, .xlsx{}, or leave out --output and pass the rows on",
            path.display(),
            if tables.is_empty() { ", .parquet or .arrow" } else { " (this build writes no Parquet)" },
        ))),
        None => Ok(()),
    }
}

/// Says where a limit was reached, and what that did.
fn limits(counts: &FlowCounts) {
    let reached = [
        (
            counts.packets_behind,
            "packet",
            "behind the time or the 33 packets within which --reorder puts right: counted at once, ahead of packets that came before and still waited",
        ),
        (
            counts.flows_behind,
            "flow",
            "of ends that had been silent for longer than the timeout when time went back: each stands for itself",
        ),
        (
            counts.forgotten_holes,
            "hole",
            "of TCP sequences forgotten, as too many or too far back; what fills them counts as repeated",
        ),
        (counts.app_gaps, "gap", "in TCP payload: it was not captured, or did not fit into --app-buffer"),
        (
            counts.app_left_out,
            "thing",
            "that payload said did not fit into --app-items or --app-text; `app_left_out` counts them by flow",
        ),
        (counts.unread_certificates, "certificate", "could not be read whole; `tls_certs_unread` counts them by flow"),
        (
            counts.datagrams_let_go,
            "datagram",
            "in fragments, too many of which were open at once: their payload was not read",
        ),
        (counts.flows_over_limit, "flow", "left out by --max-flows, which keeps those of most packets"),
    ];
    for (n, thing, what) in reached.into_iter().filter(|(n, ..)| *n > 0) {
        say(&format!("{} {what}", things(n, thing)));
    }
}

/// What is written, and by which option; into a folder, the tables in there.
fn outputs(args: &Args, tables: Option<(&Path, &[each::Table])>) -> Vec<Named> {
    let places = args.output.iter().flat_map(|path| tables::places(args, path)).map(|path| ("--output", path));
    let records = if args.output.is_some() { places.collect() } else { vec![standard_output()] };
    let schema = schema(args).map(|path| ("the schema beside --output", path));
    let mut outputs = match tables {
        Some((folder, tables)) => each::outputs(args, folder, tables),
        None => records.into_iter().chain(schema).collect(),
    };
    let others = [("--stats", &args.writing.stats), ("--report", &args.report)];
    outputs.extend(others.into_iter().filter_map(|(option, path)| Some((option, path.clone()?))));
    outputs
}

/// Where the table's schema goes, if there is to be one.
fn schema(args: &Args) -> Option<PathBuf> {
    args.output.as_deref().filter(|_| !args.no_schema).and_then(beside::place)
}

/// The report, if it is to be written.
fn report(args: &Args) -> Result<Option<Report>, Usage> {
    match (&args.report, &args.dialect) {
        (Some(_), Some(dialect)) if dialect.name() != "nexus" => {
            Err(Usage(format!("--dialect {} has no report; leave out --report", dialect.name())))
        }
        (report, _) => Ok(report.as_ref().map(|_| Report::default())),
    }
}

/// What tables came to: the runs, and the metrics of all of them; none if there was no run.
struct Done {
    reports: Vec<pcap_compactor::engine::Report>,
    metrics: Option<OwnedMetrics<FlowCounts>>,
}

/// What the arguments come to.
struct Run<'a> {
    args: &'a Args,
    dialect: Option<&'a Dialect>,
    settings: Settings,
    progress: &'a Arc<Progress>,
}

impl Done {
    /// Whether a capture was read; without one no file takes the place of another.
    fn has_captures(&self) -> bool {
        self.reports.iter().flat_map(|report| &report.files).any(|file| is_capture(&file.capture))
    }
}

/// Runs all units into one file, or one a protocol, and writes beside it what it is.
fn into_files(run: &Run<'_>, path: &Path, units: Vec<Unit>, about: Option<&mut Report>) -> anyhow::Result<Done> {
    let create = |place: PathBuf| AtomicFile::create(&place).map(|file| (place, file));
    let files = tables::places(run.args, path).into_iter().map(create).collect::<Result<_, _>>()?;
    let schema = schema(run.args).map(|place| Ok::<_, anyhow::Error>((AtomicFile::create(&place)?, place)));
    let schema = schema.transpose()?;
    let (files, done) = write(run, units, about, files)?;
    if !done.has_captures() {
        return Ok(done);
    }
    for file in files {
        file.commit()?;
    }
    if let Some((mut file, place)) = schema {
        let text = beside::text(run.args, run.dialect, &run.settings)?;
        file.write_all(text.as_bytes()).with_context(|| format!("{}: cannot write", place.display()))?;
        file.commit()?;
    }
    Ok(done)
}

/// Runs all units into one stream, or one a protocol; each has a name for errors.
fn write<W: Write + Send>(
    run: &Run<'_>,
    units: Vec<Unit>,
    about: Option<&mut Report>,
    outs: Vec<(PathBuf, W)>,
) -> anyhow::Result<(Vec<W>, Done)> {
    let Run { args, dialect, settings, progress } = run;
    let mut engine = args.reading.engine(progress);
    if let Some(dialect) = dialect {
        engine = engine.filter(args.reading.filter.filter().and(dialect.filter().clone()));
    }
    let writers = outs.into_iter().map(|(name, out)| Table::create(run, name, out)).collect::<anyhow::Result<_>>()?;
    let watched = Watched { sink: Tables::new(args, writers), about, metrics: None };
    let limit = args.max_flows.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut runs = FlowRuns::new(MostPackets::new(watched, limit));
    let mut reports = Vec::new();
    for unit in units.into_iter().filter(|unit| !unit.inputs.is_empty()) {
        let mut settings = settings.clone();
        if let [capture] = &unit.inputs[..]
            && args.source_file
        {
            settings.source_file = Some(args.sources.inside(capture.path()).display().to_string().into());
        }
        let apart = unit.sensor.is_some();
        let sensor = unit.sensor.as_deref().or(args.sources.are_named().then_some("local"));
        let job = FlowJob::new(settings).engine(engine.clone()).sensor(sensor, apart);
        reports.push(job.run(unit.inputs.into_iter().map(Input::from).collect(), &mut runs)?);
    }
    let Watched { sink, metrics, .. } = runs.finish()?.into_inner();
    Ok((sink.into_inner(), Done { reports, metrics }))
}

/// Passes flows on, tells the report of them, and keeps the metrics.
struct Watched<'r, S> {
    sink: S,
    about: Option<&'r mut Report>,
    metrics: Option<OwnedMetrics<FlowCounts>>,
}

impl<S: FlowSink> FlowSink for Watched<'_, S> {
    fn on_flow(&mut self, flow: &FlowRecord) -> pcap_compactor::Result<()> {
        if let Some(about) = &mut self.about {
            about.add(flow);
        }
        self.sink.on_flow(flow)
    }
    fn on_marker(&mut self) -> pcap_compactor::Result<()> {
        self.sink.on_marker()
    }
    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> pcap_compactor::Result<()> {
        self.metrics = Some(metrics.to_owned());
        self.sink.on_metrics(metrics)
    }
}
