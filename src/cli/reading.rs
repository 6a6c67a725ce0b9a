//! Options that are alike for every command that turns captures into records: what is read and how, and how records
//! are written.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use pcap_compactor::capture::{Input, Io, Skipped};
use pcap_compactor::config::Measure;
use pcap_compactor::decode::Tunnels;
use pcap_compactor::engine::{Builder, Progress};
use pcap_compactor::sink::decided::Packets;
use pcap_compactor::sink::jsonl::Times;
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::{Addresses, Style};
use pcap_compactor::views::groups::Window;
use pcap_compactor::{Engine, Timestamp, time};

use super::filter::FilterArgs;
use super::places::{Named, apart};
use super::units::{Found, named, nothing_of_sensors, of_sensors, weight};
use super::{Exit, Shared, Usage, say};

/// Milliseconds with up to six decimals, as nanoseconds.
pub(crate) fn milliseconds(text: &str) -> Result<i64, String> {
    time::decimal(text, 6)
        .ok_or_else(|| "milliseconds go from 0 to 9223372036854, with up to 6 decimals: 10 or 0.5".into())
}

/// What is read.
#[derive(Clone, clap::Args)]
pub(crate) struct Sources {
    /// Captures (pcap, pcapng, also inside gzip or zstd), folders, or `-` for standard input.
    #[arg(value_name = "INPUT", conflicts_with = "root")]
    inputs: Vec<PathBuf>,

    /// Read segments from DIR/<sensor>/YYYY/MM/DD/HH/ instead; needs --hour, or --from and --to.
    #[arg(long, value_name = "DIR", help_heading = "Sensors")]
    root: Option<PathBuf>,
    /// Only this sensor; may be given several times. Default: all.
    #[arg(long, value_name = "NAME", requires = "root", conflicts_with = "inputs", help_heading = "Sensors")]
    sensor: Vec<String>,
    /// Run sensors apart: each record names its sensor; a folder of output has one for each. Default: they are merged.
    #[arg(long, help_heading = "Sensors")]
    by_sensor: bool,

    /// Only this UTC hour, such as 2023-10-19T13.
    #[arg(long, value_name = "TIME", value_parser = time::point, conflicts_with_all = ["from", "to"], help_heading = "Time")]
    hour: Option<Timestamp>,
    /// Only packets from this time on: 2023-10-19T13, 2023-10-19T13:05:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time::point, help_heading = "Time")]
    from: Option<Timestamp>,
    /// Only packets before this time.
    #[arg(long, value_name = "TIME", value_parser = time::point, help_heading = "Time")]
    to: Option<Timestamp>,
}

impl Sources {
    /// The time range that was asked for.
    pub(crate) fn range(&self) -> anyhow::Result<Option<Window>> {
        let window = match (self.hour, self.from, self.to) {
            (Some(hour), ..) => {
                let start = hour.window_start(3600 * 1_000_000_000);
                Some(Window { start, end: Timestamp(start.0.saturating_add(3600 * 1_000_000_000)) })
            }
            (None, None, None) => None,
            (None, from, to) => {
                Some(Window { start: from.unwrap_or(Timestamp::MIN), end: to.unwrap_or(Timestamp::MAX) })
            }
        };
        if let Some(Window { start, end }) = window
            && start >= end
        {
            return Err(Usage("--from must lie before --to".into()).into());
        }
        Ok(window)
    }

    /// With more inputs, behind these.
    pub(crate) fn with(&self, more: &[PathBuf]) -> Sources {
        let mut sources = self.clone();
        sources.inputs.extend_from_slice(more);
        sources
    }

    /// Whether files were named by path, and belong to no sensor but `local`.
    pub(crate) fn are_named(&self) -> bool {
        self.root.is_none()
    }

    /// A capture's path inside the folder in which it was found; its name, if it was named itself.
    pub(crate) fn inside<'p>(&self, capture: &'p Path) -> &'p Path {
        // What leads out of a folder was not found in there.
        let is_inside =
            |rest: &&Path| !rest.as_os_str().is_empty() && rest.components().all(|part| part != Component::ParentDir);
        let mut named = self.inputs.iter().chain(&self.root);
        let inside = named.find_map(|folder| capture.strip_prefix(folder).ok().filter(is_inside));
        inside.unwrap_or_else(|| capture.file_name().map_or(capture, Path::new))
    }

    /// The captures of a command, and whether some that were named are left out, which has then been said.
    pub(crate) fn find(&self, command: &str, range: Option<Window>, shared: &Shared) -> anyhow::Result<(Found, Exit)> {
        self.find_or(command, range, shared, |_| None)
    }

    /// The same, with a way out for what is left out.
    pub(crate) fn find_or(
        &self,
        command: &str,
        range: Option<Window>,
        shared: &Shared,
        way: impl Fn(&Skipped) -> Option<String>,
    ) -> anyhow::Result<(Found, Exit)> {
        let found = self.look_for(command, range)?;
        let mut exit = Exit::Ok;
        for error in &found.failed {
            exit = Exit::Partial;
            say(&error.to_string());
        }
        for skipped in &found.skipped {
            exit = exit.max(weight(skipped));
            if weight(skipped) != Exit::Ok || !shared.quiet {
                let way = way(skipped).map_or_else(String::new, |way| format!("; {way}"));
                say(&format!("{skipped}; it is left out{way}"));
            }
        }
        if found.units.iter().all(|unit| unit.inputs.is_empty()) {
            match (&self.root, range) {
                (Some(root), Some(range)) => anyhow::bail!("{}", nothing_of_sensors(root, &self.sensor, range)),
                _ => anyhow::bail!("there is nothing to read; name a capture, or a folder that holds some"),
            }
        }
        for sensor in found.silent.iter().filter(|_| !shared.quiet) {
            say(&format!("{sensor}: this sensor has no captures in the time that was asked for"));
        }
        Ok((found, exit))
    }

    fn look_for(&self, command: &str, range: Option<Window>) -> anyhow::Result<Found> {
        match &self.root {
            None if self.inputs.is_empty() => {
                let see = format!("see `pcap-compactor {command} --help`");
                Err(Usage(format!("name at least one INPUT, or --root with --hour; {see}")).into())
            }
            None => Ok(named(&self.inputs, self.by_sensor)),
            Some(root) => match (range, self.hour.is_some() || (self.from.is_some() && self.to.is_some())) {
                (Some(range), true) => Ok(of_sensors(root, &self.sensor, range, self.by_sensor)?),
                _ => Err(Usage("--root needs --hour, or --from and --to".into()).into()),
            },
        }
    }
}

impl Found {
    /// Refuses outputs that would take the place of one another, of an input, or of another file that is read.
    pub(crate) fn spare(&self, outputs: Vec<Named>, read: &[(&'static str, Option<&Path>)]) -> anyhow::Result<()> {
        let inputs = self.units.iter().flat_map(|unit| &unit.inputs).map(|input| match input {
            Input::Stdin => ("standard input", "/dev/stdin".into()),
            Input::File(path) => ("an input", path.clone()),
        });
        let read = read.iter().filter_map(|&(option, path)| Some((option, path?.to_owned())));
        Ok(apart(outputs, inputs.chain(read))?)
    }

    /// Bytes of all inputs, as far as they are known.
    pub(crate) fn bytes(&self) -> u64 {
        let length = |input: &Input| std::fs::metadata(input.path()).map_or(0, |metadata| metadata.len());
        self.units.iter().flat_map(|unit| &unit.inputs).map(length).sum()
    }
}

/// How captures are read.
#[derive(clap::Args)]
pub(crate) struct Reading {
    /// Follow tunnels to the innermost addresses, or keep the outermost.
    #[arg(long, value_enum, default_value_t = TunnelsArg::Inner, help_heading = "Processing")]
    tunnels: TunnelsArg,
    /// Leave out frames equal in time, length and bytes to one of the N before them in their file.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Processing")]
    pub(crate) dedup: usize,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
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

impl Reading {
    /// Threads in all.
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or(cores, usize::from)
    }

    /// Whether tunnels are followed.
    pub(crate) fn tunnels(&self) -> Tunnels {
        match self.tunnels {
            TunnelsArg::Inner => Tunnels::Inner,
            TunnelsArg::Outer => Tunnels::Outer,
        }
    }

    /// Which packets there are, for what tells what decided values.
    pub(crate) fn packets(&self) -> Packets<'_> {
        Packets {
            filter: self.filter.text(),
            no_pure_acks: self.filter.no_pure_acks,
            no_rst: self.filter.no_rst,
            dedup: self.dedup,
            tunnels: self.tunnels(),
        }
    }

    /// How files are read.
    pub(crate) fn io(&self) -> Io {
        match self.io {
            IoArg::Auto => Io::Auto,
            IoArg::Mmap => Io::Mmap,
            IoArg::Read => Io::Read,
        }
    }

    /// The engine that they come to, telling `progress` how far it is.
    pub(crate) fn engine(&self, progress: &Arc<Progress>) -> Builder {
        Engine::builder()
            .threads(self.threads())
            .pin(!self.no_pin)
            .io(self.io())
            .tunnels(self.tunnels())
            .dedup(self.dedup)
            .filter(self.filter.filter())
            .progress(Arc::clone(progress))
    }
}

/// How records are written.
#[derive(clap::Args)]
pub(crate) struct Writing {
    /// Times in records: seconds with nine decimals, or integer nanoseconds.
    #[arg(long, value_enum, default_value_t = TimesArg::S, help_heading = "Output")]
    times: TimesArg,
    /// Which length counts as a packet's bytes. Default: wire, or as in the config file.
    #[arg(long, value_enum, help_heading = "Output")]
    bytes: Option<BytesArg>,
    /// How addresses stand in Parquet and Arrow: as text, or as 16 bytes, those of IPv4 mapped (::ffff:a.b.c.d). Default: text.
    #[cfg(feature = "tables")]
    #[arg(long, value_enum, help_heading = "Output")]
    addresses: Option<AddressesArg>,
    /// Write statistics of the run (seconds, threads, rates) to this file, as JSON.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) stats: Option<PathBuf>,
}

impl Writing {
    /// How times are written.
    pub(crate) fn times(&self) -> Times {
        match self.times {
            TimesArg::S => Times::Seconds,
            TimesArg::Ns => Times::Nanoseconds,
        }
    }

    /// Which length counts, where that was said.
    pub(crate) fn measure(&self) -> Option<Measure> {
        self.bytes.map(|bytes| match bytes {
            BytesArg::Wire => Measure::Wire,
            BytesArg::Captured => Measure::Captured,
        })
    }
}

#[cfg(feature = "tables")]
impl Writing {
    /// How columns of tables are written.
    pub(crate) fn style(&self) -> Style {
        let addresses = match self.addresses {
            None | Some(AddressesArg::Text) => Addresses::Text,
            Some(AddressesArg::Binary) => Addresses::Binary,
        };
        Style { addresses, times: self.times() }
    }

    /// Refuses what is about tables where none is written.
    ///
    /// # Errors
    /// The text names the option.
    pub(crate) fn of_no_table(&self) -> Result<(), Usage> {
        match self.addresses {
            Some(_) => Err(Usage("--addresses is about --format parquet and arrow; leave it out".into())),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "tables")]
#[derive(Clone, Copy, ValueEnum)]
enum AddressesArg {
    Text,
    Binary,
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
