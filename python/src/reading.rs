//! What every product is told alike: what is read, how, and how columns are written.

use std::path::PathBuf;
use std::time::Duration;

use pcap_compactor::capture::{Cause, Input as Source, Io, Skipped, expand, segments};
use pcap_compactor::config::Measure;
use pcap_compactor::decode::Tunnels;
use pcap_compactor::engine::Builder;
use pcap_compactor::filter::Filter;
use pcap_compactor::sink::decided::Packets;
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::sink::tables::{Addresses, Style};
use pcap_compactor::views::groups::Window;
use pcap_compactor::{Config, Engine, Input, Timestamp};
use pyo3::prelude::*;

use crate::errors::{OptionError, Problem, raised};
use crate::options::Options;
use crate::pass::warn;

const HOUR: i64 = 3600 * 1_000_000_000;

/// What is read.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    inputs: Vec<PathBuf>,
    root: Option<PathBuf>,
    sensors: Vec<String>,
    by_sensor: bool,
    pub(crate) range: Option<Window>,
    /// Each capture is a run by itself.
    pub(crate) apart: bool,
}

/// The captures of one run.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its sensor, where sensors run apart.
    pub(crate) sensor: Option<String>,
    pub(crate) captures: Vec<Source>,
}

impl Unit {
    pub(crate) fn inputs(&self) -> Vec<Input> {
        self.captures.iter().cloned().map(Input::from).collect()
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) units: Vec<Unit>,
    /// What is not read, though it should be.
    pub(crate) problems: Vec<Problem>,
}

impl Found {
    /// Bytes of all captures, as far as they are known.
    pub(crate) fn bytes(&self) -> u64 {
        let captures = self.units.iter().flat_map(|unit| &unit.captures);
        captures.map(|capture| std::fs::metadata(capture.path()).map_or(0, |metadata| metadata.len())).sum()
    }
}

impl Sources {
    pub(crate) fn of(options: &Options<'_>, inputs: Vec<PathBuf>) -> PyResult<Sources> {
        let root = options.path("root")?;
        let sensors = options.texts("sensor")?;
        let (hour, from, to) = (options.time("hour")?, options.time("from_")?, options.time("to")?);
        let range = match (hour, from, to) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(OptionError::new_err("hour is a range of time by itself; leave out from_ and to"));
            }
            (Some(hour), ..) => {
                let start = hour.window_start(HOUR);
                Some(Window { start, end: Timestamp(start.0.saturating_add(HOUR)) })
            }
            (None, None, None) => None,
            (None, from, to) => {
                Some(Window { start: from.unwrap_or(Timestamp::MIN), end: to.unwrap_or(Timestamp::MAX) })
            }
        };
        if range.is_some_and(|range| range.start >= range.end) {
            return Err(OptionError::new_err("from_ must lie before to"));
        }
        match &root {
            Some(_) if !inputs.is_empty() => {
                return Err(OptionError::new_err("root and inputs exclude one another; leave out one of the two"));
            }
            Some(_) if hour.is_none() && (from.is_none() || to.is_none()) => {
                return Err(OptionError::new_err("root needs hour, or from_ and to"));
            }
            None if !sensors.is_empty() => return Err(OptionError::new_err("sensor needs root")),
            None if inputs.is_empty() => {
                return Err(OptionError::new_err("name at least one input, or root with hour"));
            }
            _ => {}
        }
        Ok(Sources { inputs, root, sensors, by_sensor: options.flag("by_sensor")?, range, apart: false })
    }

    /// Whether files were named by path, and belong to no sensor but `local`.
    pub(crate) fn are_named(&self) -> bool {
        self.root.is_none()
    }

    /// A capture's path inside the folder in which it was found; its name, if it was named itself.
    pub(crate) fn inside(&self, capture: &std::path::Path) -> PathBuf {
        let mut folders = self.inputs.iter().chain(&self.root);
        let inside =
            folders.find_map(|folder| capture.strip_prefix(folder).ok().filter(|rest| !rest.as_os_str().is_empty()));
        inside.or(capture.file_name().map(std::path::Path::new)).unwrap_or(capture).to_owned()
    }

    /// Looks for the captures.
    ///
    /// # Errors
    /// The root or a sensor's folder is not there, or there is nothing to read.
    pub(crate) fn find(&self) -> pcap_compactor::Result<Found> {
        let mut found = Found::default();
        let (skipped, failed) = match (&self.root, self.range) {
            (Some(root), Some(range)) => {
                let listed = segments(root, &self.sensors, range.start, range.end, Duration::from_millis(500))?;
                for segment in listed.list {
                    found.add(self.by_sensor.then_some(segment.sensor), Source::File(segment.path), self.apart);
                }
                found.problems.extend(listed.silent.iter().map(|sensor| Problem {
                    path: Some(root.join(sensor)),
                    offset: None,
                    message: format!("{sensor}: this sensor has no captures in the time that was asked for"),
                }));
                (listed.skipped, listed.failed)
            }
            _ => {
                let named = expand(&self.inputs);
                for capture in named.captures {
                    found.add(self.by_sensor.then(|| "local".to_owned()), capture, self.apart);
                }
                (named.skipped, named.failed)
            }
        };
        found.problems.extend(failed.iter().map(Problem::of));
        let in_hours = self.root.is_some();
        found.problems.extend(skipped.iter().filter(|skipped| is_missed(skipped, in_hours)).map(|skipped| Problem {
            path: Some(skipped.path.clone()),
            offset: None,
            message: format!("{skipped}; it is left out"),
        }));
        Ok(found)
    }
}

impl Found {
    fn add(&mut self, sensor: Option<String>, capture: Source, apart: bool) {
        match self.units.last_mut() {
            Some(unit) if unit.sensor == sensor && !apart => unit.captures.push(capture),
            _ => self.units.push(Unit { sensor, captures: vec![capture] }),
        }
    }

    /// An error if there is nothing to read.
    pub(crate) fn something(&self, py: Python<'_>) -> PyResult<()> {
        match (self.units.is_empty(), self.problems.first()) {
            (false, _) => Ok(()),
            (true, Some(problem)) => Err(problem.raised(py)),
            (true, None) => Err(Problem {
                path: None,
                offset: None,
                message: "there is nothing to read; name a capture, or a folder that holds some".into(),
            }
            .raised(py)),
        }
    }
}

/// Whether leaving a file out is worth a word: in folders of hours there is nothing but captures.
fn is_missed(skipped: &Skipped, in_hours: bool) -> bool {
    match skipped.cause {
        Cause::NotACapture => in_hours,
        Cause::Repeated | Cause::Hidden | Cause::Output => false,
        _ => true,
    }
}

/// The engine that options come to.
pub(crate) fn engine(options: &Options<'_>) -> PyResult<Builder> {
    Ok(Engine::builder()
        .threads(threads(options)?)
        .pin(!options.flag("no_pin")?)
        .io(io(options)?)
        .tunnels(tunnels(options)?)
        .dedup(dedup(options)?)
        .filter(filter(options)?))
}

/// How files are read.
pub(crate) fn io(options: &Options<'_>) -> PyResult<Io> {
    let ways = [("auto", Io::Auto), ("mmap", Io::Mmap), ("read", Io::Read)];
    Ok(options.choice("io", &ways)?.unwrap_or(Io::Auto))
}

/// How many threads there are in all: those that were asked for, or the cores that we may use.
pub(crate) fn threads(options: &Options<'_>) -> PyResult<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(options.whole("threads", 1, 1024)?.map_or(cores, |threads| threads as usize))
}

/// Which packets there are, for what tells what decided values; `filter` is the expression as it was given.
pub(crate) fn packets<'f>(options: &Options<'_>, filter: &'f str) -> PyResult<Packets<'f>> {
    Ok(Packets {
        filter,
        no_pure_acks: options.flag("no_pure_acks")?,
        no_rst: options.flag("no_rst")?,
        dedup: dedup(options)?,
        tunnels: tunnels(options)?,
    })
}

fn dedup(options: &Options<'_>) -> PyResult<usize> {
    let dedup = options.whole("dedup", 0, u64::from(u32::MAX))?.unwrap_or(0);
    Ok(usize::try_from(dedup).unwrap_or(usize::MAX))
}

fn tunnels(options: &Options<'_>) -> PyResult<Tunnels> {
    let tunnels = [("inner", Tunnels::Inner), ("outer", Tunnels::Outer)];
    Ok(options.choice("tunnels", &tunnels)?.unwrap_or(Tunnels::Inner))
}

/// The expression of a filter, as it was given; empty if there is none.
pub(crate) fn expression(options: &Options<'_>) -> PyResult<String> {
    Ok(options.plain("filter", "a text")?.unwrap_or_default())
}

/// Which packets.
pub(crate) fn filter(options: &Options<'_>) -> PyResult<Filter> {
    let filter = options.read::<Filter>("filter")?.unwrap_or_default();
    Ok(filter.without_pure_acks(options.flag("no_pure_acks")?).without_rst(options.flag("no_rst")?))
}

/// What is wrong with a filter that cannot be read: the reason, and the characters that it is about.
#[pyfunction]
pub(crate) fn mistake_of_filter(text: &str) -> Option<(String, usize, usize)> {
    let mistake = Filter::parse(text).err()?;
    let characters = |end: usize| text.get(..end).map_or(0, |before| before.chars().count());
    let at = mistake.at();
    Some((mistake.reason().to_owned(), characters(at.start), characters(at.end)))
}

/// Which length of a packet counts, where that was said.
pub(crate) fn measure(options: &Options<'_>) -> PyResult<Option<Measure>> {
    options.choice("bytes", &[("wire", Measure::Wire), ("captured", Measure::Captured)])
}

/// How columns are written.
pub(crate) fn style(options: &Options<'_>) -> PyResult<Style> {
    let addresses = [("text", Addresses::Text), ("binary", Addresses::Binary)];
    let times = [("s", Times::Seconds), ("ns", Times::Nanoseconds)];
    Ok(Style {
        addresses: options.choice("addresses", &addresses)?.unwrap_or_default(),
        times: options.choice("times", &times)?.unwrap_or_default(),
    })
}

/// The configuration, as the package writes it for us.
pub(crate) fn config(options: &Options<'_>) -> PyResult<Config> {
    let config = match options.plain::<String>("config", "a PipelineConfig, a dictionary, or the path of a file")? {
        Some(json) => read_config(&json)?,
        None => match options.path("config_file")? {
            Some(path) => Config::load(&path).map_err(|error| raised(options.py(), &error))?,
            None => Config::default(),
        },
    };
    Ok(Config { bytes: measure(options)?.unwrap_or(config.bytes), ..config })
}

/// Reads a configuration and checks it.
pub(crate) fn read_config(json: &str) -> PyResult<Config> {
    let config: Config = serde_json::from_str(json).map_err(|error| {
        // A place in a text that nobody has seen helps nobody, nor do the names of types that Python has not.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        let (said, kind) = text.rsplit_once(", expected ").unwrap_or((text, ""));
        OptionError::new_err(match kind {
            "u8" | "u16" | "u32" | "u64" | "usize" => format!("{said}, expected a whole number from 0 on"),
            "i8" | "i16" | "i32" | "i64" => format!("{said}, expected a whole number"),
            "f32" | "f64" => format!("{said}, expected a number"),
            _ => text.to_owned(),
        })
    })?;
    config.check().map_err(|error| OptionError::new_err(error.to_string()))?;
    Ok(config)
}

/// The defaults, as JSON.
#[pyfunction]
pub(crate) fn default_config() -> PyResult<String> {
    written(&Config::default())
}

/// Refuses fields of a configuration that are unknown or out of their bounds.
#[pyfunction]
pub(crate) fn check_config(json: &str) -> PyResult<()> {
    read_config(json).map(drop)
}

/// A file of TOML as JSON.
#[pyfunction]
pub(crate) fn load_config(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    written(&Config::load(&path).map_err(|error| raised(py, &error))?)
}

fn written(config: &Config) -> PyResult<String> {
    serde_json::to_string(config).map_err(|error| OptionError::new_err(error.to_string()))
}

/// The segments of sensors in a range of whole seconds: sensor and path. What is left out there, though it is a capture, is warned of.
#[pyfunction]
#[pyo3(name = "segments")]
pub(crate) fn segments_of(
    py: Python<'_>,
    root: PathBuf,
    sensors: Vec<String>,
    start: i64,
    end: i64,
) -> PyResult<Vec<(String, PathBuf)>> {
    let sources = Sources {
        inputs: Vec::new(),
        root: Some(root),
        sensors,
        by_sensor: true,
        range: Some(Window { start: Timestamp::from_seconds(start), end: Timestamp::from_seconds(end) }),
        apart: false,
    };
    let found = py.detach(|| sources.find()).map_err(|error| raised(py, &error))?;
    warn(py, &found.problems)?;
    let of_unit = |unit: Unit| {
        let sensor = unit.sensor.unwrap_or_default();
        unit.captures.into_iter().map(move |capture| (sensor.clone(), capture.path().to_owned())).collect::<Vec<_>>()
    };
    Ok(found.units.into_iter().flat_map(of_unit).collect())
}
