//! An hour, whose records go to a sink that is written in Python.
//!
//! The engine works in a thread of its own and fills the queue of the configuration; this thread empties it, with the interpreter's lock
//! only while it calls the sink, and looks after signals.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use pcap_compactor::app::notes::Body;
use pcap_compactor::config::Backpressure;
use pcap_compactor::engine::{Progress, Report};
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::channel::{Event, Events, channel};
use pcap_compactor::views::groups::{GroupRecord, Window};
use pcap_compactor::{Engine, Error, Input, Job, Result, Timestamp};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::calls::{call, call_named};
use crate::errors::{OptionError, Problem, with_ledger};
use crate::options::Options;
use crate::pass::{LOOK, of_engine, warn};
use crate::product::Done;
use crate::reading::{read_config, threads};
use crate::rows::seconds;

/// Records that are handed over before signals are looked after again, at the most.
const MOST: usize = 256;

/// Runs an hour; see `hour.py`.
#[pyfunction]
#[pyo3(signature = (paths, sink, config, start, end, options, report))]
pub(crate) fn run_hour(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    sink: Bound<'_, PyAny>,
    config: &str,
    start: i64,
    end: i64,
    options: Bound<'_, PyDict>,
    report: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    if start >= end {
        return Err(OptionError::new_err("hour_start must lie before hour_end"));
    }
    let config = read_config(config)?;
    let may_drop = config.emitter_backpressure_policy != Backpressure::Block;
    let progress = Arc::new(Progress::default());
    let engine = Engine::builder().threads(threads(&Options::new(options))?).progress(Arc::clone(&progress));
    let (mut queue, events) = channel(config.emitter_queue_capacity, config.emitter_backpressure_policy);
    let window = Window { start: Timestamp::from_seconds(start), end: Timestamp::from_seconds(end) };
    let job = Job::new(config).engine(engine).single_window(window);
    let bytes = paths.iter().map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len())).sum();
    let inputs: Vec<Input> = paths.into_iter().map(Input::file).collect();
    let work = move || job.run(inputs, &mut queue);
    let thread = thread::Builder::new().name("pcap-compactor".into()).spawn(work)?;
    let mut hour = Hour { events, sink: Sink::new(&sink)?, report, progress: Arc::clone(&progress), bytes, may_drop };
    let handed = hour.hand_over(py);
    if handed.is_err() {
        progress.stop();
    }
    drop(hour);
    let ran: Result<Report> =
        py.detach(|| thread.join()).unwrap_or_else(|_| Err(Error::sink("the engine failed; please report this")));
    // What the sink or a signal raised comes before what that did to the engine.
    let ran = handed.and_then(|()| ran.map_err(of_engine));
    let report = ran.map_err(|error| with_ledger(py, error, &progress.tally()))?;
    let mut done = Done::default();
    done.add(&report);
    warn(py, &done.problems)
}

/// An hour under way.
struct Hour<'py> {
    events: Events,
    sink: Sink<'py>,
    report: Option<Bound<'py, PyAny>>,
    progress: Arc<Progress>,
    bytes: u64,
    may_drop: bool,
}

impl Hour<'_> {
    fn hand_over(&mut self, py: Python<'_>) -> PyResult<()> {
        let mut looked = Instant::now();
        loop {
            let events = py.detach(|| self.events.within(LOOK.saturating_sub(looked.elapsed()), MOST));
            if looked.elapsed() >= LOOK || events.is_none() {
                looked = Instant::now();
                py.check_signals()?;
                if let Some(report) = &self.report {
                    call(report, (self.progress.bytes(), self.bytes, self.progress.packets(), events.is_none()))?;
                }
            }
            let Some(events) = events else { return Ok(()) };
            for event in events {
                match event {
                    Event::Group(group) => self.sink.group(&group)?,
                    Event::Scan(scan) => self.sink.scan(&scan)?,
                    Event::Metrics(metrics) => {
                        let mut done = Done::default();
                        done.tell(&metrics.borrow());
                        self.dropped(py)?;
                        let dropped = self.may_drop.then(|| self.events.dropped());
                        self.sink.metrics(&done.metrics, dropped)?;
                    }
                    Event::Sensor(_) | Event::Window(_) | Event::File(_) => {}
                }
            }
        }
    }

    /// Warns of groups that a full queue has dropped.
    fn dropped(&self, py: Python<'_>) -> PyResult<()> {
        let dropped = self.events.dropped();
        if dropped == 0 {
            return Ok(());
        }
        let message = format!("{dropped} groups were dropped because the sink was too slow (drop_oldest)");
        warn(py, &[Problem { path: None, offset: None, message }])
    }
}

/// The sink's methods, and the classes of what they take.
struct Sink<'py> {
    on_group: Bound<'py, PyAny>,
    on_scan: Bound<'py, PyAny>,
    on_metrics: Bound<'py, PyAny>,
    loads: Bound<'py, PyAny>,
    taken: Bound<'py, PyAny>,
    group_key: Bound<'py, PyAny>,
    group_record: Bound<'py, PyAny>,
    scan_summary: Bound<'py, PyAny>,
}

impl<'py> Sink<'py> {
    fn new(sink: &Bound<'py, PyAny>) -> PyResult<Sink<'py>> {
        let py = sink.py();
        let records = py.import("pcap_compactor.records")?;
        let get = py.import("builtins")?.getattr("getattr")?;
        let method = |name: &str| call(&get, (sink, name));
        Ok(Sink {
            on_group: method("on_group")?,
            on_scan: method("on_scan")?,
            on_metrics: method("on_metrics")?,
            taken: py.import("pcap_compactor.ports")?.getattr("taken")?,
            loads: py.import("json")?.getattr("loads")?,
            group_key: records.getattr("GroupKey")?,
            group_record: records.getattr("GroupRecord")?,
            scan_summary: records.getattr("ScanSummary")?,
        })
    }

    fn group(&self, group: &GroupRecord) -> PyResult<()> {
        let py = self.on_group.py();
        let key = &group.key;
        let parts = (key.src_ip.to_string(), key.dst_ip.to_string(), key.dst_port, key.transport.name(), &*key.service);
        let key = call(&self.group_key, parts)?;
        let (counts, flags, tokens) = (&group.counts, &group.tcp_flags, &group.tokens);
        let counts = dict(
            py,
            &[
                ("pkts_up", counts.pkts_up.into()),
                ("pkts_dn", counts.pkts_dn.into()),
                ("bytes_up", counts.bytes_up.into()),
                ("bytes_dn", counts.bytes_dn.into()),
            ],
        )?;
        let flags = dict(
            py,
            &[
                ("syn", flags.syn.into()),
                ("ack", flags.ack.into()),
                ("rst", flags.rst.into()),
                ("fin", flags.fin.into()),
            ],
        )?;
        let tokens = dict(
            py,
            &[
                ("pkts_up_bin", tokens.pkts_up_bin.into()),
                ("pkts_dn_bin", tokens.pkts_dn_bin.into()),
                ("bytes_up_bin", tokens.bytes_up_bin.into()),
                ("bytes_dn_bin", tokens.bytes_dn_bin.into()),
                ("dur_bin", tokens.dur_bin.into()),
                ("syn_bin", tokens.syn_bin.into()),
                ("ack_bin", tokens.ack_bin.into()),
                ("rst_bin", tokens.rst_bin.into()),
                ("fin_bin", tokens.fin_bin.into()),
            ],
        )?;
        let section = |name: &str| -> PyResult<Option<Bound<'py, PyDict>>> {
            let section = group.section.as_ref().filter(|section| section.name == name);
            section.map(|section| body(py, &section.body)).transpose()
        };
        let fields: [Bound<'py, PyAny>; 13] = [
            key,
            seconds(group.first_ts).into_pyobject(py)?.into_any(),
            seconds(group.last_ts).into_pyobject(py)?.into_any(),
            seconds(Timestamp(group.duration_ns())).into_pyobject(py)?.into_any(),
            counts.into_any(),
            flags.into_any(),
            tokens.into_any(),
            section("http")?.into_pyobject(py)?.into_any(),
            section("ftp")?.into_pyobject(py)?.into_any(),
            section("smb")?.into_pyobject(py)?.into_any(),
            (group.window.start.seconds(), group.window.end.seconds()).into_pyobject(py)?.into_any(),
            group.flows.into_pyobject(py)?.into_any(),
            group.direction.name().into_pyobject(py)?.into_any(),
        ];
        self.takes(&self.on_group, &call(&self.group_record, PyTuple::new(py, fields)?)?)
    }

    fn scan(&self, scan: &ScanSummary) -> PyResult<()> {
        let py = self.on_scan.py();
        let targets: Vec<(String, u16)> =
            scan.sample_targets.iter().map(|(address, port)| (address.to_string(), *port)).collect();
        let about = PyDict::new(py);
        about.set_item("src_ip", scan.src_ip.to_string())?;
        about.set_item("window", (scan.window.start.seconds(), scan.window.end.seconds()))?;
        about.set_item("unique_dsts", scan.unique_dsts)?;
        about.set_item("unique_ports", scan.unique_ports)?;
        about.set_item("syn_only_ratio", scan.syn_only_ratio)?;
        about.set_item("sample_targets", targets)?;
        about.set_item("transport", scan.transport.name())?;
        about.set_item("kind", scan.kind.name())?;
        about.set_item("forest", scan.forest_name())?;
        about.set_item("answered", scan.answered)?;
        about.set_item("groups", scan.groups)?;
        about.set_item("packets", scan.amount.packets)?;
        about.set_item("bytes", scan.bytes)?;
        self.takes(&self.on_scan, &call_named(&self.scan_summary, (), &about)?)
    }

    /// Hands over the metrics; with what a full queue has dropped where it may.
    fn metrics(&self, line: &str, dropped: Option<u64>) -> PyResult<()> {
        let metrics = call(&self.loads, (line,))?;
        metrics.del_item("type")?;
        if let Some(dropped) = dropped {
            metrics.set_item("groups_dropped", dropped)?;
        }
        self.takes(&self.on_metrics, &metrics)
    }

    /// Calls a method of the sink. What it gives back lives and ends in there.
    fn takes(&self, method: &Bound<'_, PyAny>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        call(&self.taken, (method, record)).map(drop)
    }
}

fn dict<'py>(py: Python<'py>, items: &[(&str, i128)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, n) in items {
        dict.set_item(pyo3::types::PyString::intern(py, name), i64::try_from(*n)?)?;
    }
    Ok(dict)
}

/// What a section holds.
fn body<'py>(py: Python<'py>, body: &Body) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    match body {
        Body::Tokens { tokens, total, .. } => {
            dict.set_item("uri_tokens", tokens)?;
            dict.set_item("uri_tokens_total", total)?;
        }
        Body::Counts(counts) => counts.iter().try_for_each(|(name, n)| dict.set_item(name, n))?,
    }
    Ok(dict)
}
