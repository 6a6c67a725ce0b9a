//! What a pipeline makes: groups, flows, buckets, each a view of the packets of a sensor, by the hour or by the capture.

mod by_capture;
mod by_hour;
mod filtered;
mod page;
mod told;

use std::fmt;
use std::io::Write;
use std::sync::Arc;

pub(super) use self::by_capture::{Made, files, make, place};
pub(super) use self::by_hour::Making;
#[cfg(test)]
pub(super) use self::by_hour::Records;
#[cfg(feature = "tables")]
use self::told::Decided;
#[cfg(feature = "tables")]
pub(super) use self::told::of_hour;
use crate::config::Config;
use crate::error::Result;
use crate::filter::Filter;
use crate::sink::buckets::{BucketSink, BucketWriter, Form as BucketForm};
use crate::sink::flows::{FlowWriter, Form as FlowForm};
use crate::sink::jsonl::Times;
#[cfg(feature = "tables")]
use crate::sink::{
    atomic::AtomicFile,
    tables::{About, Form, TableFile},
};
use crate::time::{NS_PER_SECOND, length};
use crate::views::buckets::{NARROWEST, Settings as BucketSettings, WIDEST};
use crate::views::flows::Settings as FlowSettings;
use crate::views::flows::dialects::Dialect;
use crate::watch::punctual::REACH;

/// How times are written.
const TIMES: Times = Times::Seconds;

/// A product with its format and its layout.
#[derive(Clone, Debug)]
pub struct Product {
    kind: Kind,
    format: Format,
    by_capture: bool,
}

/// What its files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Jsonl,
    Csv,
    #[cfg(feature = "tables")]
    Table(Form),
}

impl Format {
    fn parse(text: &str) -> std::result::Result<Format, String> {
        match text {
            "jsonl" => Ok(Format::Jsonl),
            "csv" => Ok(Format::Csv),
            #[cfg(feature = "tables")]
            "parquet" => Ok(Format::Table(Form::Parquet)),
            #[cfg(feature = "tables")]
            "arrow" => Ok(Format::Table(Form::Arrow)),
            #[cfg(not(feature = "tables"))]
            "parquet" | "arrow" => Err(format!(
                "@{text} is of tables, which this build does not write; build it with `cargo build --release --features full`"
            )),
            other if cfg!(feature = "tables") => {
                Err(format!("there is no format `{other}`, but csv, jsonl, parquet and arrow"))
            }
            other => Err(format!("there is no format `{other}`, but csv and jsonl")),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            #[cfg(feature = "tables")]
            Format::Table(form) => form.ending(),
        }
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Groups,
    Flows(Option<Dialect>),
    Buckets { width: i64, name: String },
}

/// The folder of scans, which groups come with.
pub(super) const SCANS: &str = "scans";

/// What can be asked for.
const FORMS: &str = "groups; flows, or flows:DIALECT (flows:cic); buckets:WIDTH (buckets:100ms); each may end in @csv, @jsonl, @parquet \
     or @arrow, and then in /hour or /capture";

impl Product {
    /// Reads `groups`, `flows`, `flows:DIALECT` or `buckets:WIDTH`, with `@csv`, `@jsonl`, `@parquet` or `@arrow` behind; without, dialects are CSV
    /// and the others JSON Lines. The last two need the feature `tables`. Last may stand `/hour`, which is so without it, or `/capture`: then each
    /// capture has a file by itself, and no flow goes on in the next.
    ///
    /// # Errors
    /// What is wrong, and what there is.
    pub fn parse(text: &str) -> std::result::Result<Product, String> {
        let (product, layout) = text.split_once('/').map_or((text, None), |(text, layout)| (text, Some(layout)));
        let (what, format) = product.split_once('@').map_or((product, None), |(what, format)| (what, Some(format)));
        let kind = match what.split_once(':') {
            None if what == "groups" => Kind::Groups,
            None if what == "flows" => Kind::Flows(None),
            None if what == "buckets" => Kind::Buckets { width: NS_PER_SECOND / 10, name: "100ms".into() },
            Some(("flows", dialect)) => {
                let dialect: Dialect = dialect.parse().map_err(|error: crate::Error| error.to_string())?;
                Kind::Flows(Some(dialect))
            }
            Some(("buckets", width)) => {
                let fits = |ns: &i64| (NARROWEST..=WIDEST).contains(ns);
                let ns = length(width)
                    .filter(fits)
                    .ok_or_else(|| format!("`{width}` is no width; write 100ms, 1s, 10min, 1h"))?;
                Kind::Buckets { width: ns, name: width.replace(' ', "") }
            }
            _ => return Err(format!("there is no product `{text}`, but: {FORMS}")),
        };
        let format = match format {
            None if matches!(kind, Kind::Flows(Some(_))) => Format::Csv,
            None => Format::Jsonl,
            Some(format) => Format::parse(format)?,
        };
        let by_capture = match layout {
            None | Some("hour") => false,
            Some("capture") => true,
            Some(other) => return Err(format!("there is no layout `{other}`, but hour and capture")),
        };
        let product = Product { kind, format, by_capture };
        product.can_be_watched()?;
        Ok(product)
    }

    /// Its name, which its folder has: `groups`, `flows`, `flows-cic`, `buckets-100ms`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Groups => "groups".into(),
            Kind::Flows(None) => "flows".into(),
            Kind::Flows(Some(dialect)) => format!("flows-{}", dialect.name()),
            Kind::Buckets { name, .. } => format!("buckets-{name}"),
        }
    }

    /// Its name with its format, as [`Product::parse`] reads it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let what = match &self.kind {
            Kind::Groups => "groups".into(),
            Kind::Flows(None) => "flows".into(),
            Kind::Flows(Some(dialect)) => format!("flows:{}", dialect.name()),
            Kind::Buckets { name, .. } => format!("buckets:{name}"),
        };
        format!("{what}@{}{}", self.extension(), if self.by_capture { "/capture" } else { "" })
    }

    /// Whether each capture has a file by itself.
    #[must_use]
    pub fn is_by_capture(&self) -> bool {
        self.by_capture
    }

    /// Whether it makes what is in the folder of this name: scans are of groups.
    pub(super) fn makes(&self, name: &str) -> bool {
        self.name() == name || matches!(self.kind, Kind::Groups) && name == SCANS
    }

    /// The folders of its files, and what these end in.
    pub(super) fn folders(&self) -> Vec<(String, &'static str)> {
        let scans = matches!(self.kind, Kind::Groups).then(|| (SCANS.to_owned(), self.scans_extension()));
        [(self.name(), self.extension())].into_iter().chain(scans).collect()
    }

    /// Whether its records are of windows, and what comes late for one is in none.
    pub(super) fn has_windows(&self) -> bool {
        matches!(self.kind, Kind::Groups)
    }

    fn extension(&self) -> &'static str {
        self.format.extension()
    }

    /// Scans are JSON Lines beside CSV, and otherwise what groups are.
    fn scans_extension(&self) -> &'static str {
        if self.format == Format::Csv { Format::Jsonl.extension() } else { self.extension() }
    }

    /// The earliest time of records that a file which begins at a time may change, nanoseconds. As far as its packets may be before the first, a flow
    /// that had ended may go on with one, or have a fragment of it, its bucket has begun, and the long gap that it comes into may be one row. `gap`
    /// is from the last packet before a time to the first behind it.
    pub(super) fn changes(&self, first: i64, gap: impl Fn(i64) -> [i64; 2], config: &Config) -> i64 {
        let earliest = first.saturating_sub(REACH);
        match (&self.kind, self.flow_settings(config)) {
            (_, Some(settings)) => {
                let hindsight = settings.hindsight();
                hindsight.begin(earliest).min(earliest.saturating_sub(hindsight.records))
            }
            (Kind::Buckets { width, .. }, None) => {
                let long = self.long_gap(config).unwrap_or(i64::MAX);
                let begins = [earliest, first].map(|time| match gap(time) {
                    [from, to] if to.saturating_sub(from) >= long => from,
                    _ => time,
                });
                begins[0].min(begins[1]).div_euclid(*width).saturating_mul(*width)
            }
            // Windows that have ended have no packets of it.
            (Kind::Groups | Kind::Flows(_), None) => first,
        }
    }

    /// From when on packets say what a file that begins at a time is to their 5-tuples, nanoseconds; nothing where none do.
    pub(super) fn remembers(&self, first: i64, config: &Config) -> Option<i64> {
        let hindsight = match (&self.kind, self.flow_settings(config)) {
            (_, Some(settings)) => settings.hindsight(),
            (Kind::Buckets { width, .. }, None) => buckets(*width, config).hindsight(),
            (Kind::Groups | Kind::Flows(_), None) => return None,
        };
        Some(hindsight.begin(first.saturating_sub(REACH).saturating_sub(hindsight.flows)))
    }

    /// From when on packets of a file that begins at a time may come for records that have left, nanoseconds; nothing where which do so is not asked.
    pub(super) fn late_since(&self, first: i64) -> Option<i64> {
        let Kind::Buckets { width, .. } = self.kind else { return None };
        Some(first.saturating_sub(REACH).div_euclid(width).saturating_mul(width))
    }

    /// From how long on a time without packets has one record, and not one for each part of it, nanoseconds; nothing of a product that has none
    /// for such times.
    pub(super) fn long_gap(&self, config: &Config) -> Option<i64> {
        let Kind::Buckets { width, .. } = self.kind else { return None };
        let limit = i64::try_from(buckets(width, config).gap_limit).unwrap_or(i64::MAX);
        Some(limit.saturating_add(1).saturating_mul(width))
    }

    /// Whether its records are of flows.
    pub(super) fn has_flows(&self) -> bool {
        matches!(self.kind, Kind::Flows(_))
    }

    /// Refuses flows that nothing ends: their rows would never be complete.
    fn can_be_watched(&self) -> std::result::Result<(), String> {
        let Some(settings) = self.flow_settings(&Config::default()).filter(|_| !self.by_capture) else { return Ok(()) };
        let life = settings.lifetime;
        let endless = [life.tcp_idle, life.udp_idle, life.other_idle].contains(&None);
        if !endless && !settings.sweeps {
            return Ok(());
        }
        let why = if settings.sweeps { "in sweeps over all traffic" } else { "by no silence" };
        Err(format!(
            "{} ends flows {why}, so no hour would ever be complete; take {}/capture, which has a file for each capture; or by the hour flows, \
             flows:cic, flows:nf-v2, flows:nf-v3",
            self.name(),
            self.full_name()
        ))
    }

    fn flow_settings(&self, config: &Config) -> Option<FlowSettings> {
        let usual = FlowSettings::new(config);
        match &self.kind {
            Kind::Flows(None) => Some(usual),
            Kind::Flows(Some(dialect)) => Some(dialect.settings(usual)),
            _ => None,
        }
    }

    /// What writes its flows as text.
    fn flow_writer<W: Write>(&self, dialect: Option<&Dialect>, settings: &FlowSettings, out: W) -> FlowWriter<W> {
        let form = if self.format == Format::Csv { FlowForm::Csv } else { FlowForm::Lines };
        let writer = FlowWriter::new(out, self.name(), form, settings.columns.clone(), TIMES);
        match dialect {
            Some(dialect) => writer.notation(dialect.notation()),
            None => writer,
        }
    }

    /// What writes its buckets as text.
    fn bucket_writer<W: Write>(&self, sensor: &Arc<str>, out: W) -> Result<BucketWriter<W>> {
        let form = if self.format == Format::Csv { BucketForm::Csv } else { BucketForm::Lines };
        let mut writer = BucketWriter::new(out, self.name(), (form, TIMES), None, true, true);
        writer.on_sensor(Some(sensor))?;
        Ok(writer)
    }

    /// What its tables say of themselves.
    #[cfg(feature = "tables")]
    fn about(&self, config: &Config) -> Result<About> {
        let (product, dialect, settings) = match &self.kind {
            Kind::Groups => ("groups", None, Decided::Groups { config }.json(&self.full_name())?),
            Kind::Flows(dialect) => {
                let (settings, _) = flows(dialect.as_ref(), config);
                ("flows", dialect.as_ref().map(Dialect::name), Decided::flows(&settings).json(&self.full_name())?)
            }
            Kind::Buckets { width, .. } => {
                ("buckets", None, Decided::buckets(&buckets(*width, config)).json(&self.full_name())?)
            }
        };
        Ok(About { product, dialect, settings })
    }
}

/// What flows are, and the packets that they are of.
fn flows(dialect: Option<&Dialect>, config: &Config) -> (FlowSettings, Filter) {
    let usual = FlowSettings::new(config);
    match dialect {
        Some(dialect) => (dialect.settings(usual), dialect.filter().clone()),
        None => (usual, Filter::default()),
    }
}

/// What buckets are.
fn buckets(width: i64, config: &Config) -> BucketSettings {
    BucketSettings { widths: vec![width], bytes: config.bytes, ..BucketSettings::default() }
}

/// Begins a table.
#[cfg(feature = "tables")]
pub(super) fn table(file: AtomicFile, form: Form, schema: arrow_schema::SchemaRef) -> Result<TableFile<AtomicFile>> {
    let name = file.named().to_owned();
    TableFile::create(file, name, form, schema)
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_read_back_from_its_full_name() {
        let tables: &[&str] = if cfg!(feature = "tables") { &["@parquet", "@arrow"] } else { &[] };
        for format in [&["@csv", "@jsonl"], tables].concat() {
            for (name, layout) in [("groups", ""), ("flows:cic", "/capture"), ("buckets:100ms", "/capture")] {
                let full = format!("{name}{format}{layout}");
                let product = Product::parse(&full).unwrap();
                assert_eq!((product.full_name(), product.extension()), (full, &format[1..]));
            }
        }
        for (short, full) in
            [("groups/hour", "groups@jsonl"), ("flows:cic", "flows:cic@csv"), ("buckets:1s", "buckets:1s@jsonl")]
        {
            assert_eq!(Product::parse(short).unwrap().full_name(), full);
        }
    }

    #[test]
    fn scans_are_lines_beside_csv_and_else_what_groups_are() {
        let scans = |product| Product::parse(product).map(|product| product.scans_extension());
        assert_eq!([scans("groups@csv"), scans("groups")], [Ok("jsonl"), Ok("jsonl")]);
        let table = scans("groups@parquet/capture");
        match cfg!(feature = "tables") {
            true => assert_eq!(table, Ok("parquet")),
            false => assert!(table.unwrap_err().starts_with("@parquet is of tables, which this build does not write")),
        }
    }
}
