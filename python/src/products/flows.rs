//! Flows as batches.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use pcap_compactor::engine::{Builder, Progress};
use pcap_compactor::flow::moments::Form;
use pcap_compactor::payload::Limits;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::decided;
use pcap_compactor::sink::flows::{FlowRuns, FlowSink};
use pcap_compactor::sink::most::MostPackets;
use pcap_compactor::sink::tables::flows::FlowRows;
use pcap_compactor::sink::tables::schema::schema;
use pcap_compactor::sink::tables::{About, Style};
use pcap_compactor::views::flows::columns::Group;
use pcap_compactor::views::flows::dialects::{Dialect, Zone};
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Labels, Lifetime, Settings, TcpEnd};
use pcap_compactor::{Error, Result};
use pyo3::prelude::*;

use crate::errors::{OptionError, Problem, raised};
use crate::options::{Options, refused};
use crate::product::{Done, Outlet, Product};
use crate::reading::{Found, Sources, config, engine, expression, filter, measure, packets, style};

const SECONDS: &str = "seconds go from 0 to 9223372036, with up to 9 decimals: 300 or 0.5";
const MILLISECONDS: &str = "milliseconds go from 0 to 9223372036854, with up to 6 decimals: 10 or 0.5";

/// What a dialect has of its own, and cannot be told.
const OF_DIALECT: [&str; 11] = [
    "flow_end",
    "tcp_timeout",
    "other_timeout",
    "active_timeout",
    "reorder",
    "no_retransmissions",
    "columns",
    "sequences",
    "stats_form",
    "app",
    "times",
];

/// What `pcap_compactor.wa1kpcap` may tell its dialect all the same, as its original can be told it. It alone sets `analyzer`, and with that also
/// `split_connections`, `no_default_filter` and `no_reassembly`.
const OF_ANALYZER: [&str; 3] = ["tcp_timeout", "no_retransmissions", "columns"];

/// Flows, by some options.
pub(crate) struct Flows {
    sources: Sources,
    settings: Settings,
    /// The file of rules, if there is one.
    rules: Option<PathBuf>,
    engine: Builder,
    most: Option<usize>,
    about: About,
    style: Style,
}

impl Flows {
    pub(crate) fn of(mut sources: Sources, options: &Options<'_>) -> PyResult<Flows> {
        let dialect = dialect(options)?;
        let settings = settings(options, dialect.as_ref(), &sources)?;
        sources.apart = options.flag("source_file")?;
        let mut engine = engine(options)?;
        if let Some(dialect) = &dialect
            && !options.flag("no_default_filter")?
        {
            engine = engine.filter(filter(options)?.and(dialect.filter().clone()));
        }
        let most = options.whole("max_flows", 1, u64::from(u32::MAX))?;
        let style = style(options)?;
        let about = about(options, dialect.as_ref(), &settings, style)?;
        let most = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        Ok(Flows { sources, settings, rules: options.path("label")?, engine, most, about, style })
    }

    fn rows(&self) -> FlowRows {
        FlowRows::new(self.settings.columns.clone(), self.style, &self.about)
    }
}

impl Product for Flows {
    fn sources(&self) -> &Sources {
        &self.sources
    }

    fn schema(&self) -> SchemaRef {
        let Flows { settings, style, about, .. } = self;
        Arc::new(schema(&settings.columns.list(), *style, about.dialect, about.metadata()))
    }

    fn run(&self, found: &Found, progress: &Arc<Progress>, out: &Outlet) -> Result<Done> {
        let batches = Batches { out, rows: self.rows(), done: Done::default() };
        let mut runs = FlowRuns::new(MostPackets::new(batches, self.most));
        let mut reports = Vec::new();
        // What rules come to is counted by pass.
        let labels = self.settings.labels.as_ref().map(|labels| Arc::new(labels.anew()));
        for unit in &found.units {
            let mut settings = Settings { labels: labels.clone(), ..self.settings.clone() };
            if let [capture] = &unit.captures[..]
                && self.sources.apart
            {
                settings.source_file = Some(self.sources.inside(capture.path()).display().to_string().into());
            }
            let sensor = unit.sensor.as_deref().or(self.sources.are_named().then_some("local"));
            let job = FlowJob::new(settings)
                .engine(self.engine.clone().progress(Arc::clone(progress)))
                .sensor(sensor, unit.sensor.is_some());
            reports.push(job.run(unit.inputs(), &mut runs)?);
        }
        let mut done = runs.finish()?.into_inner().done;
        reports.iter().for_each(|report| done.add_in_turn(report));
        if let Some((labels, rules)) = labels.zip(self.rules.as_ref()) {
            done.problems.extend(labels.report().idle.iter().map(|idle| Problem {
                path: Some(rules.clone()),
                offset: None,
                message: format!("{}: {idle}", rules.display()),
            }));
        }
        Ok(done)
    }
}

/// Gathers flows into batches.
struct Batches<'o> {
    out: &'o Outlet,
    rows: FlowRows,
    done: Done,
}

impl FlowSink for Batches<'_> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.rows.push(flow)?;
        self.out.full(self.rows.rows())
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        self.done.tell(metrics);
        self.out.rest(self.rows.rows())
    }
}

/// The dialect, with its switches.
fn dialect(options: &Options<'_>) -> PyResult<Option<Dialect>> {
    let Some(dialect) = options.read::<Dialect>("dialect")? else {
        for option in ["set", "time_zone"] {
            if options.has(option)? {
                return Err(OptionError::new_err(format!("{option} is about a dialect; name one, or leave it out")));
            }
        }
        return Ok(None);
    };
    let analyzer = options.flag("analyzer")?;
    for option in OF_DIALECT {
        if options.has(option)? && !(analyzer && OF_ANALYZER.contains(&option)) {
            let name = dialect.name();
            return Err(OptionError::new_err(format!("dialect '{name}' has {option} of its own; leave out {option}")));
        }
    }
    let of = |option: &'static str| move |mistake: Error| OptionError::new_err(format!("{option}: {mistake}"));
    let set = options.plain::<Vec<(String, String)>>("set", "switches and their values: {'std': 'population'}")?;
    let set = set.unwrap_or_default();
    let dialect = set.iter().try_fold(dialect, |dialect, (switch, value)| dialect.set(switch, value));
    let dialect = dialect.map_err(of("set"))?;
    match options.read::<Zone>("time_zone")? {
        Some(zone) => dialect.in_zone(zone).map(Some).map_err(of("time_zone")),
        None => Ok(Some(dialect)),
    }
}

/// What a table says of itself.
fn about(options: &Options<'_>, dialect: Option<&Dialect>, settings: &Settings, style: Style) -> PyResult<About> {
    let named =
        |option| -> PyResult<Option<String>> { Ok(options.path(option)?.map(|path| path.display().to_string())) };
    let (filter, label, config) = (expression(options)?, named("label")?, named("config_file")?);
    let zone = options.read::<Zone>("time_zone")?;
    let beside = decided::Beside {
        dialect,
        packets: packets(options, &filter)?,
        no_dialect_filter: options.flag("no_default_filter")?,
        max_flows: options.whole("max_flows", 1, u64::from(u32::MAX))?.and_then(|most| most.try_into().ok()),
        split_by_protocol: false,
        source_file: options.flag("source_file")?,
        times: style.times,
        time_zone: zone.as_ref().map_or("UTC", Zone::name),
        label: label.as_deref(),
        config: config.as_deref(),
    };
    let decided = decided::Flows::new(settings, beside);
    About::new("flows", dialect.map(Dialect::name), &decided).map_err(|error| raised(options.py(), &error))
}

/// What the engine is to do.
fn settings(options: &Options<'_>, dialect: Option<&Dialect>, sources: &Sources) -> PyResult<Settings> {
    let wrong = |error: Error| raised(options.py(), &error);
    let usual = Settings::new(&config(options)?);
    let app = [
        options.whole("app_buffer", 1024, 1 << 20)?,
        options.whole("app_items", 0, u64::from(u32::MAX))?,
        options.whole("app_text", 0, u64::from(u32::MAX))?,
    ];
    let limit = |limit: Option<u64>, usual: usize| limit.map_or(usual, |limit| limit as usize);
    let forms = [("population", Form::Population), ("sample", Form::Sample)];
    let labels = options.path("label")?.map(|path| Labels::load(&path)).transpose().map_err(wrong)?;
    let settings = Settings {
        lifetime: lifetime(options)?,
        reorder: options.length("reorder", 6, MILLISECONDS)?.unwrap_or(usual.reorder),
        sequences: options.whole("sequences", 0, u64::from(u32::MAX))?.unwrap_or(0) as usize,
        form: options.choice("stats_form", &forms)?.unwrap_or_default(),
        min_packets: options.whole("min_packets", 0, u64::MAX)?.unwrap_or(1),
        no_retransmissions: options.flag("no_retransmissions")?,
        bytes: measure(options)?.unwrap_or(usual.bytes),
        clip: sources.range,
        columns: if options.flag("analyzer")? { Columns::default() } else { columns(options)? },
        labels: labels.map(Arc::new),
        payload: Limits {
            stream: limit(app[0], 64 << 10),
            items: limit(app[1], 256),
            text: limit(app[2], 64 << 10),
            details: true,
        },
        ..usual
    };
    let mut settings = match dialect {
        Some(dialect) => of_dialect(dialect, settings, options)?,
        None => settings,
    };
    if !settings.columns.need_payload() && app != [None; 3] {
        return Err(OptionError::new_err("app_buffer, app_items and app_text are about payload; add app"));
    }
    if settings.labels.is_some() {
        settings.columns = settings.columns.and_label();
    }
    if options.flag("source_file")? {
        settings.columns = settings.columns.and_source_file();
    }
    Ok(settings)
}

/// The columns that are wanted.
fn columns(options: &Options<'_>) -> PyResult<Columns> {
    let wrong = |error: Error| raised(options.py(), &error);
    let list = options.has("columns")?.then(|| options.texts("columns")).transpose()?.map(|list| list.join(","));
    let mut columns = list.as_deref().map_or(Ok(Columns::default()), Columns::parse).map_err(wrong)?;
    if options.whole("sequences", 0, u64::from(u32::MAX))?.is_some_and(|packets| packets > 0) {
        columns = columns.and(Group::Sequences);
    } else if list.as_deref().is_some_and(Columns::names_sequences) {
        return Err(OptionError::new_err("columns of sequences need sequences, which says of how many packets"));
    }
    match options.get("app")? {
        None => Ok(columns),
        Some(app) if app.is_exact_instance_of::<pyo3::types::PyBool>() => {
            if app.is_truthy()? {
                columns.and_of_payload("app").map_err(wrong)
            } else {
                Ok(columns)
            }
        }
        Some(_) => columns.and_of_payload(&options.texts("app")?.join(",")).map_err(wrong),
    }
}

/// The settings of a dialect, where it has some.
fn of_dialect(dialect: &Dialect, usual: Settings, options: &Options<'_>) -> PyResult<Settings> {
    let name = dialect.name();
    let mut settings = dialect.settings(usual);
    if measure(options)?.is_some_and(|asked| asked != settings.bytes) {
        return Err(OptionError::new_err(format!(
            "dialect '{name}' has a measure of bytes of its own; leave out bytes"
        )));
    }
    if let Some(timeout) = options.length("udp_timeout", 9, SECONDS)? {
        if settings.sweeps {
            return Err(OptionError::new_err(format!(
                "dialect '{name}' ends flows in sweeps, not by a timeout; leave out udp_timeout"
            )));
        }
        if dialect.switches().iter().any(|switch| switch.name == "idle_timeout" && switch.value == "off") {
            return Err(OptionError::new_err(format!(
                "dialect '{name}' ends no flow by silence while its switch idle_timeout is off; leave out udp_timeout, or \
                 add set={{'idle_timeout': 'udp-120s'}}"
            )));
        }
        settings.lifetime.udp_idle = bounded(timeout);
    }
    if options.flag("analyzer")? { as_analyzer(settings, options) } else { Ok(settings) }
}

/// The settings of a dialect, with what its original can be told. Columns stand behind those of the dialect.
fn as_analyzer(mut settings: Settings, options: &Options<'_>) -> PyResult<Settings> {
    settings.lifetime.tcp_idle = options.length("tcp_timeout", 9, SECONDS)?.and_then(bounded);
    if options.flag("split_connections")? {
        settings.lifetime.tcp_end = TcpEnd::Closed;
    }
    settings.no_retransmissions = options.flag("no_retransmissions")?;
    let columns = options.texts("columns")?.join(",");
    settings.columns = settings.columns.and_named(&columns).map_err(|error| raised(options.py(), &error))?;
    settings.payload.details = true;
    if options.flag("no_reassembly")? {
        settings.payload.stream = 0;
    }
    Ok(settings)
}

/// When flows end.
fn lifetime(options: &Options<'_>) -> PyResult<Lifetime> {
    const TIMEOUTS: [&str; 4] = ["tcp_timeout", "udp_timeout", "other_timeout", "active_timeout"];
    if options.choice("flow_end", &[("rules", false), ("never", true)])?.unwrap_or(false) {
        for option in TIMEOUTS {
            if let Some(value) = options.get(option)? {
                return Err(refused(option, &value, &format!("flow_end 'never' has no timeouts; leave out {option}")));
            }
        }
        return Ok(Lifetime::NEVER);
    }
    let usual = Lifetime::default();
    let timeout = |option: &str, usual: Option<i64>| -> PyResult<Option<i64>> {
        Ok(options.length(option, 9, SECONDS)?.map_or(usual, bounded))
    };
    let [tcp, udp, other, active] = TIMEOUTS;
    Ok(Lifetime {
        tcp_idle: timeout(tcp, usual.tcp_idle)?,
        udp_idle: timeout(udp, usual.udp_idle)?,
        other_idle: timeout(other, usual.other_idle)?,
        active: timeout(active, usual.active)?,
        ..usual
    })
}

/// A length of time as a limit: 0 is none.
fn bounded(ns: i64) -> Option<i64> {
    (ns > 0).then_some(ns)
}
