//! What `watch` may be told: each an argument, and under the same name a key of the settings file. Arguments win.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args as _, ValueEnum};
use pcap_compactor::Config;
use pcap_compactor::live::{Capture, Folder};
use pcap_compactor::watch::{Product, Settings, WhenFull, full_names};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::amounts::{Length, Size};
use super::log::{Format, Level};
use crate::cli::{Usage, places};

/// Arguments that are settings too. What is nothing is not set, or for ever.
#[derive(clap::Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Knobs {
    /// The folder that is watched, with all below it; its first folders are the sensors.
    #[arg(value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// The folder for records and the journal; not in DIR, nor around it.
    #[arg(long, short, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// What is made, once for each: groups, flows, flows:DIALECT, buckets:WIDTH; with @csv, @jsonl, @parquet or @arrow in that format (tables
    /// need a build with --features full); with /capture behind, a file for each capture in place of an hour, and flows end with their capture:
    /// flows:nexus@csv/capture.
    #[arg(long = "product", value_name = "PRODUCT")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) products: Vec<String>,

    /// Capture from this interface into DIR, with tcpdump.
    #[arg(long, value_name = "IFACE", help_heading = "Capturing")]
    pub(super) capture: Option<String>,
    /// Capture only packets that match, as tcpdump has it: 'host 192.0.2.7 and not port 22'.
    #[arg(long, value_name = "EXPRESSION", help_heading = "Capturing")]
    pub(super) bpf: Option<String>,
    /// Bytes of each frame that are captured [default: 128]
    #[arg(long, value_name = "N", help_heading = "Capturing")]
    pub(super) snaplen: Option<u32>,
    /// The longest time from one file of a sensor to the next while there is traffic; captured files are as long [default: 60s]
    #[arg(long, visible_alias = "rotate", value_name = "TIME")]
    #[serde(alias = "rotate")]
    pub(super) rotation: Option<Length>,
    /// A captured file also ends before it would be larger.
    #[arg(long, value_name = "SIZE", help_heading = "Capturing")]
    pub(super) rotate_size: Option<Size>,
    /// The user whom tcpdump becomes when it is started as root; otherwise as it was built.
    #[arg(long, value_name = "NAME", help_heading = "Capturing")]
    pub(super) user: Option<String>,

    /// Sensors that are worked on at once [default: 2]
    #[arg(long, value_name = "N")]
    pub(super) workers: Option<usize>,
    /// How much longer is waited before the wall clock closes an hour [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub(super) grace: Option<Length>,
    /// How long a file that nobody was seen to close has to stay as it is [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub(super) stable: Option<Length>,
    /// How often a file is tried that cannot be read, before it is put aside [default: 3]
    #[arg(long, value_name = "N")]
    pub(super) tries: Option<u32>,
    /// How long is waited between tries [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub(super) retry_delay: Option<Length>,
    /// How long reading one file may take [default: 5min]
    #[arg(long, value_name = "TIME")]
    pub(super) timeout: Option<Length>,

    /// Remove captures this long after their last change, when their hours are out; without it, never.
    #[arg(long, value_name = "TIME", help_heading = "Keeping and removing")]
    pub(super) keep_captures: Option<Length>,
    /// Remove the oldest captures beyond so much, when their hours are out; without it, never.
    #[arg(long, value_name = "SIZE", help_heading = "Keeping and removing")]
    pub(super) keep_capture_bytes: Option<Size>,
    /// Remove records after this time; without it, never.
    #[arg(long, value_name = "TIME", help_heading = "Keeping and removing")]
    pub(super) keep_records: Option<Length>,
    /// Remove the oldest records beyond so much; without it, never.
    #[arg(long, value_name = "SIZE", help_heading = "Keeping and removing")]
    pub(super) keep_record_bytes: Option<Size>,
    /// Remove files that were put aside, with their reports, after this time; without it, never.
    #[arg(long, value_name = "TIME", help_heading = "Keeping and removing")]
    pub(super) keep_reports: Option<Length>,
    /// Remove the oldest of these beyond so much; without it, never.
    #[arg(long, value_name = "SIZE", help_heading = "Keeping and removing")]
    pub(super) keep_report_bytes: Option<Size>,
    /// Free space below which is warned [default: 1GB]
    #[arg(long, value_name = "SIZE", help_heading = "Keeping and removing")]
    pub(super) least_free: Option<Size>,
    /// What is done below that, beside warning [default: warn]
    #[arg(long, value_name = "WHAT", help_heading = "Keeping and removing")]
    pub(super) when_full: Option<Full>,
    /// How often free space and ages are looked at [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Keeping and removing")]
    pub(super) look: Option<Length>,

    /// Serve /metrics and /healthz there: 127.0.0.1:9184; only addresses of this machine itself.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Telling")]
    pub(super) listen: Option<SocketAddr>,
    /// How messages are written [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Telling")]
    pub(super) log_format: Option<Format>,
    /// Which messages are written [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Telling")]
    pub(super) log_level: Option<Level>,
    /// Also write them into this folder, a file a run: pipeline_YYYYMMDD_HHMMSS.log.
    #[arg(long, value_name = "DIR", help_heading = "Telling")]
    pub(super) log_file: Option<PathBuf>,
    /// Begin another file there when one is this large [default: 10MB]
    #[arg(long, value_name = "SIZE", help_heading = "Telling")]
    pub(super) log_size: Option<Size>,
    /// Keep so many files there, the newest [default: 10]
    #[arg(long, value_name = "N", help_heading = "Telling")]
    pub(super) log_count: Option<usize>,
    /// How long a stop may take to finish what is there; a second signal stops at once [default: 60s]
    #[arg(long, value_name = "TIME")]
    pub(super) stop_limit: Option<Length>,

    /// Settings of groups, as `pcap-compactor config` prints them.
    #[arg(skip)]
    pub(super) groups: Option<Config>,
}

/// What is done about a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Full {
    /// Nothing.
    Warn,
    /// Stop capturing, until there is room again.
    StopCapturing,
    /// Remove the oldest captures whose hours are out.
    DropOldest,
}

impl From<Full> for WhenFull {
    fn from(full: Full) -> WhenFull {
        match full {
            Full::Warn => WhenFull::Warn,
            Full::StopCapturing => WhenFull::StopCapturing,
            Full::DropOldest => WhenFull::DropOldest,
        }
    }
}

impl Knobs {
    /// The defaults of all that have one.
    fn usual() -> Knobs {
        let usual = Settings::new(PathBuf::new(), PathBuf::new(), Vec::new());
        let capture = Capture::on("");
        Knobs {
            snaplen: Some(capture.snaplen),
            workers: Some(usual.workers),
            rotation: Some(Length(usual.rotation)),
            grace: Some(Length(usual.grace)),
            stable: Some(Length(usual.stable)),
            tries: Some(usual.tries),
            retry_delay: Some(Length(usual.retry_delay)),
            timeout: Some(Length(usual.timeout)),
            least_free: Some(Size(usual.least_free)),
            when_full: Some(Full::Warn),
            look: Some(Length(usual.look)),
            log_format: Some(Format::Text),
            log_level: Some(Level::Info),
            log_size: Some(Size(10_000_000)),
            log_count: Some(10),
            stop_limit: Some(Length(Duration::from_secs(60))),
            groups: Some(usual.config),
            ..Knobs::default()
        }
    }

    /// These arguments over a settings file over the defaults.
    pub(super) fn over(&self, file: Option<&Path>) -> anyhow::Result<Knobs> {
        let mut all = Table::try_from(Knobs::usual()).expect("the defaults are TOML");
        if let Some(path) = file {
            all.extend(read(path)?);
        }
        all.extend(Table::try_from(self).map_err(|_| Usage("folders and files need names in UTF-8 here".into()))?);
        let knobs: Knobs = all.try_into().expect("what was read of each reads back");
        knobs.check()?;
        Ok(knobs)
    }

    /// Checks all bounds.
    fn check(&self) -> Result<(), Usage> {
        let (second, hour, day) = (1, 3600, 86_400);
        let times = [
            ("rotation", self.rotation, second, day),
            ("grace", self.grace, 0, day),
            ("stable", self.stable, 0, hour),
            ("retry-delay", self.retry_delay, 0, day),
            ("timeout", self.timeout, second, day),
            ("look", self.look, second, hour),
            ("stop-limit", self.stop_limit, 0, day),
            ("keep-captures", self.keep_captures, second, u64::MAX),
            ("keep-records", self.keep_records, second, u64::MAX),
            ("keep-reports", self.keep_reports, second, u64::MAX),
        ];
        for (name, time, low, high) in times {
            let fits = |Length(time): Length| (low..=high).contains(&time.as_secs());
            if let Some(time) = time.filter(|&time| !fits(time)) {
                let [low, high] = [low, high].map(|seconds| Length(Duration::from_secs(seconds)));
                let bounds =
                    if high.0.as_secs() == u64::MAX { format!("{low} or more") } else { format!("{low} to {high}") };
                return Err(Usage(format!("--{name} {time} is out of bounds: {bounds}")));
            }
        }
        let numbers = [
            ("workers", self.workers.map(|n| n as u64), 1, 1024),
            ("tries", self.tries.map(u64::from), 1, 1000),
            ("log-count", self.log_count.map(|n| n as u64), 1, 100_000),
            ("log-size", self.log_size.map(|size| size.0), 4096, u64::MAX),
        ];
        for (name, number, low, high) in numbers {
            if let Some(number) = number.filter(|number| !(low..=high).contains(number)) {
                let bounds = if high == u64::MAX { format!("{low} or more") } else { format!("{low} to {high}") };
                return Err(Usage(format!("--{name} {number} is out of bounds: {bounds}")));
            }
        }
        let lost = [
            ("--bpf", self.bpf.is_some()),
            ("--user", self.user.is_some()),
            ("--rotate-size", self.rotate_size.is_some()),
        ];
        match lost.iter().find(|(_, set)| *set && self.capture.is_none()) {
            Some((name, _)) => Err(Usage(format!("{name} is for our own capture; name the interface with --capture"))),
            None => Ok(()),
        }
    }

    /// What the pipeline is told.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let missing =
            |what: &str| Usage(format!("{what}, as an argument or in the settings file; --help has examples"));
        let folder = self.folder.clone().ok_or_else(|| missing("name the folder to watch"))?;
        let output = self.output.clone().ok_or_else(|| missing("name the folder for records (-o)"))?;
        if self.products.is_empty() {
            return Err(missing("name what is to be made (--product)").into());
        }
        let mut products: Vec<Product> = Vec::new();
        for text in &self.products {
            let product = Product::parse(text).map_err(Usage)?;
            if products.iter().any(|other| other.name() == product.name()) {
                return Err(Usage(format!("--product {text}: {} is made already", product.name())).into());
            }
            products.push(product);
        }
        if let Some((inner, outer)) = places::nested(&output, &folder) {
            let why = "records would be taken for captures, or removed with them";
            return Err(Usage(format!(
                "{} lies in {}: {why}; name another --output",
                inner.display(),
                outer.display()
            ))
            .into());
        }
        let mut settings = Settings::new(folder, output, products);
        let time = |length: Option<Length>, usual| length.map_or(usual, |Length(time)| time);
        settings.workers = self.workers.unwrap_or(settings.workers);
        settings.rotation = time(self.rotation, settings.rotation);
        settings.grace = time(self.grace, settings.grace);
        settings.stable = time(self.stable, settings.stable);
        settings.tries = self.tries.unwrap_or(settings.tries);
        settings.retry_delay = time(self.retry_delay, settings.retry_delay);
        settings.timeout = time(self.timeout, settings.timeout);
        settings.look = time(self.look, settings.look);
        settings.least_free = self.least_free.map_or(settings.least_free, |Size(bytes)| bytes);
        settings.when_full = self.when_full.map_or(settings.when_full, WhenFull::from);
        settings.listen = self.listen;
        settings.keep.captures = self.keep_captures.map(|Length(time)| time);
        settings.keep.capture_bytes = self.keep_capture_bytes.map(|Size(bytes)| bytes);
        settings.keep.records = self.keep_records.map(|Length(time)| time);
        settings.keep.record_bytes = self.keep_record_bytes.map(|Size(bytes)| bytes);
        settings.keep.reports = self.keep_reports.map(|Length(time)| time);
        settings.keep.report_bytes = self.keep_report_bytes.map(|Size(bytes)| bytes);
        if let Some(groups) = &self.groups {
            groups.check()?;
            settings.config = groups.clone();
        }
        Ok(settings)
    }

    /// Our own capture into a folder, if one is wanted.
    pub(super) fn capture(&self, folder: &Path) -> Option<(Capture, Folder)> {
        let on = Capture::on(self.capture.as_deref()?);
        let snaplen = self.snaplen.unwrap_or(on.snaplen);
        let filter = self.bpf.clone().unwrap_or_default();
        let mut files = Folder::new(folder);
        files.every = self.rotation.map_or(files.every, |Length(time)| time);
        files.size = self.rotate_size.map(|Size(bytes)| bytes);
        Some((Capture { filter, snaplen, user: self.user.clone(), ..on }, files))
    }

    /// The products by their full names; nothing if one of them is none.
    fn made(&self) -> Option<BTreeSet<String>> {
        let products: Result<Vec<Product>, String> = self.products.iter().map(|text| Product::parse(text)).collect();
        Some(full_names(&products.ok()?))
    }

    /// What only the next start takes up, by name, where it is another than `before`.
    pub(super) fn needs_a_start(&self, before: &Knobs) -> Vec<&'static str> {
        let compare = [
            ("folder", self.folder != before.folder),
            ("output", self.output != before.output),
            ("products", self.made() != before.made()),
            ("groups", self.groups != before.groups),
            ("capture", self.capture != before.capture),
            ("bpf", self.bpf != before.bpf),
            ("snaplen", self.snaplen != before.snaplen),
            // It is also how long lines wait, and that changes.
            ("rotation", before.capture.is_some() && self.rotation != before.rotation),
            ("rotate_size", self.rotate_size != before.rotate_size),
            ("stable", self.stable != before.stable),
            ("user", self.user != before.user),
            ("listen", self.listen != before.listen),
            ("log_format", self.log_format != before.log_format),
            ("log_level", self.log_level != before.log_level),
            ("log_file", self.log_file != before.log_file),
            ("log_size", self.log_size != before.log_size),
            ("log_count", self.log_count != before.log_count),
        ];
        compare.into_iter().filter(|(_, other)| *other).map(|(name, _)| name).collect()
    }

    /// What one works by that was begun with others: these, where they need a start.
    ///
    /// # Errors
    /// They cannot be written as TOML.
    pub(super) fn in_force(&self, begun: &Knobs) -> anyhow::Result<Table> {
        let (mut table, mut old) = (self.table()?, begun.table()?);
        // The list of products stays as it was ordered.
        let others = self.needs_a_start(begun).into_iter().filter(|name| *name != "products");
        for name in others.chain(["products"]) {
            table.remove(name);
            table.extend(old.remove_entry(name));
        }
        Ok(table)
    }

    fn table(&self) -> anyhow::Result<Table> {
        Table::try_from(self).context("the settings cannot be written as TOML")
    }

    /// All settings with what they mean, as a file for `--settings`.
    pub(super) fn to_toml(&self) -> anyhow::Result<String> {
        let values = self.table()?;
        let command = Knobs::augment_args(clap::Command::new(""));
        let mut text = String::new();
        for argument in command.get_arguments() {
            let key = argument.get_id().as_str();
            let meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let choices: Vec<String> =
                argument.get_possible_values().iter().map(|value| format!("\"{}\"", value.get_name())).collect();
            let choices = if choices.is_empty() { String::new() } else { format!(": {}", choices.join(", ")) };
            text += &format!("# {meaning}{choices}\n");
            match values.get(key) {
                Some(value) => text += &format!("{key} = {value}\n\n"),
                None => {
                    let name =
                        argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
                    let value = if key == "products" { format!("[\"{name}\"]") } else { format!("\"{name}\"") };
                    text += &format!("# {key} = {value}\n\n");
                }
            }
        }
        if let Some(groups) = &self.groups {
            let table = groups.to_toml().replace("\n[service_port_map]", "\n[groups.service_port_map]");
            text += &format!("# settings of groups\n[groups]\n{table}");
        }
        Ok(text)
    }
}

/// The keys of a settings file.
fn read(path: &Path) -> anyhow::Result<Table> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Usage(format!("{}: cannot read: {error}", path.display())))?;
    let refused = |error: &toml::de::Error| {
        let feeds = |end: usize| text.bytes().take(end).filter(|&byte| byte == b'\n').count();
        let line = 1 + error.span().map_or(0, |span| feeds(span.start));
        Usage(format!("{}: line {line}: {}", path.display(), told(error.message())))
    };
    let knobs: Knobs = toml::from_str(&text).map_err(|error| refused(&error))?;
    // Of groups, what the file leaves out is at its default, which reading has put there.
    Table::try_from(knobs).context("the settings cannot be read")
}

/// Arguments that are for one run, or a file, and no settings in one.
const ARGUMENTS: [&str; 6] = ["config", "once", "print_settings", "quiet", "settings", "verbose"];

/// An error of the TOML reader for people: for a key that there is not, the nearest that there is.
fn told(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.starts_with("unknown field"), quoted.split_first()) {
        (true, Some((key, _))) if ARGUMENTS.contains(key) => {
            format!("`{key}` is an argument, and no setting of a file")
        }
        (true, Some((key, keys))) => {
            let nearest = keys.iter().min_by_key(|name| strsim::damerau_levenshtein(key, name));
            let nearest = nearest.map_or(String::new(), |name| format!("; the nearest is `{name}`"));
            format!("there is no setting `{key}`{nearest}")
        }
        _ => {
            let message = message.replace('\n', " ");
            let of_number =
                ["usize", "u64", "u32"].iter().find_map(|kind| message.strip_suffix(&format!("expected {kind}")));
            of_number.map_or(message.clone(), |what| format!("{what}expected a whole number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn arguments_win_over_the_file_and_the_file_over_defaults() {
        let (_dir, path) =
            file("workers = 3\nrotate = \"5min\"\nproducts = [\"groups\"]\n[groups]\nidle_split_seconds = 7\n");
        let flags = Knobs { workers: Some(5), ..Knobs::default() };
        let knobs = flags.over(Some(&path)).unwrap();
        assert_eq!(
            (knobs.workers, knobs.rotation, knobs.tries),
            (Some(5), Some(Length(Duration::from_secs(300))), Some(3))
        );
        let groups = knobs.groups.unwrap();
        assert_eq!((groups.idle_split_seconds, groups.window_seconds), (7, 3600));
        assert_eq!(knobs.products, ["groups"]);
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_and_says_everything() {
        let flags =
            Knobs { keep_captures: "30min".parse().ok(), listen: "[::1]:9184".parse().ok(), ..Knobs::default() };
        for flags in [flags, Knobs::default()] {
            let knobs = flags.over(None).unwrap();
            let text = knobs.to_toml().unwrap();
            let (_dir, path) = file(&text);
            let again = Knobs::default().over(Some(&path)).unwrap();
            assert_eq!(again.to_toml().unwrap(), text);
            // What is not set has its line, too, which is right once it is filled in.
            for key in ["keep_records = ", "keep_report_bytes = ", "products = ", "capture = ", "folder = "] {
                assert!(text.contains(&format!("\n# {key}")) || text.starts_with("# The folder"), "{key}: {text}");
            }
        }
    }

    #[test]
    fn keys_that_there_are_not_are_refused_with_the_nearest() {
        let cases = [
            ("workers = 1\nrotatoin = \"1s\"", "line 2: there is no setting `rotatoin`; the nearest is `rotation`"),
            (
                "[groups]\nidle_split = 1",
                "line 2: there is no setting `idle_split`; the nearest is `idle_split_seconds`",
            ),
            ("once = true", "line 1: `once` is an argument, and no setting of a file"),
            ("rotation = \"1 week\"", "line 1: `1 week` is no time"),
            ("workers = ", "line 1: "),
            ("workers = \"2\"", "line 1: invalid type: string \"2\", expected a whole number"),
            ("tries = -1", "expected a whole number"),
            ("when_full = \"panic\"", "unknown variant `panic`"),
            ("tries = 0", "--tries 0 is out of bounds: 1 to 1000"),
            ("rotation = \"2d\"", "--rotation 2d is out of bounds: 1s to 1d"),
            ("bpf = \"tcp\"", "--bpf is for our own capture"),
        ];
        for (text, wanted) in cases {
            let (_dir, path) = file(text);
            let said = Knobs::default().over(Some(&path)).unwrap_err().to_string();
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }

    #[test]
    fn defaults_are_as_the_help_says() {
        let defaults = Table::try_from(Knobs::usual()).unwrap();
        let command = Knobs::augment_args(clap::Command::new(""));
        let mut told = 0;
        for argument in command.get_arguments() {
            let help = argument.get_help().unwrap().to_string();
            let default = help.rsplit_once(" [default: ").map(|(_, rest)| rest.trim_end_matches(']').to_owned());
            told += usize::from(default.is_some());
            let value = defaults.get(argument.get_id().as_str()).map(|value| value.to_string().replace('"', ""));
            assert_eq!(value, default, "{}", argument.get_id());
        }
        assert_eq!(told, 16);
    }

    #[test]
    fn what_the_next_start_takes_up_is_named() {
        let before = Knobs::default().over(None).unwrap();
        let after = Knobs { products: vec!["flows".into()], workers: Some(9), ..before.clone() };
        assert_eq!(after.needs_a_start(&before), ["products"]);
        assert!(!after.in_force(&before).unwrap().contains_key("products"));
        // In another order, and named in full, they are the same.
        let [two, again] = [["groups", "flows:cic"], ["flows:cic@csv/hour", "groups@jsonl"]];
        let two = Knobs { products: two.map(String::from).to_vec(), ..before.clone() };
        let again = Knobs { products: again.map(String::from).to_vec(), ..before.clone() };
        assert_eq!(again.needs_a_start(&two), [""; 0]);
        assert_eq!(again.in_force(&two).unwrap(), two.table().unwrap());
        let later = || Some(Length(Duration::from_secs(7)));
        let after = Knobs { stable: later(), rotation: later(), ..before.clone() };
        assert_eq!(after.needs_a_start(&before), ["stable"]);
        // Whoever captures for us rotates as it did.
        let before = Knobs { capture: Some("eth0".into()), ..before };
        let after = Knobs { rotation: later(), ..before.clone() };
        assert_eq!(after.needs_a_start(&before), ["rotation"]);
        assert_eq!(after.in_force(&before).unwrap(), before.table().unwrap());
        let after = Knobs { workers: Some(9), ..after };
        assert_eq!(after.in_force(&before).unwrap()["workers"].as_integer(), Some(9));
    }
}
