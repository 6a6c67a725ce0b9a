//! `synth`: writes a capture whose content is known.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use pcap_compactor::capture::{Format, days_from_civil};
use pcap_compactor::sink::atomic::AtomicFile;
use pcap_compactor::synth::{self, Spec, Truth};
use serde::Serialize;

use super::places::{apart, standard_output};
use super::{Exit, Shared, stdout, taken, text};

/// Write a capture of made-up traffic, and print what is in it.
///
/// The same options make the same bytes on every machine. What was made (packets, conversations, requests, scanners with
/// their targets) is printed as one line of JSON, to check any tool against.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pcap-compactor synth traffic.pcap
  pcap-compactor synth big.pcap --packets 10000000 --hosts 500 > truth.json
  pcap-compactor synth - --hours 24 | pcap-compactor compact -")]
pub(crate) struct Args {
    /// File to write, or `-` for standard output (the line of JSON then goes to standard error)
    out: PathBuf,
    /// Packets, exactly
    #[arg(long, value_name = "N", default_value_t = Spec::default().packets)]
    packets: u64,
    /// Hours that the traffic covers
    #[arg(long, value_name = "N", default_value_t = Spec::default().hours)]
    hours: u32,
    /// First hour (UTC): 2023-10-19T13, or seconds since the epoch
    #[arg(long, value_name = "HOUR", default_value = "2023-10-19T13", value_parser = hour)]
    hour: u32,
    /// Clients that are active at once
    #[arg(long, value_name = "N", default_value_t = Spec::default().hosts)]
    hosts: u32,
    /// Scanners: one of many hosts, one of many ports, and so on in turn
    #[arg(long, value_name = "N", default_value_t = Spec::default().scanners)]
    scanners: u32,
    /// Another seed makes other traffic
    #[arg(long, value_name = "N", default_value_t = Spec::default().seed)]
    seed: u64,
    /// File format [default: pcapng if OUT ends so, else pcap]
    #[arg(long, value_enum)]
    format: Option<Kind>,
    /// Only Ethernet frames of the smallest size (64 bytes with their check sequence), without payload
    #[arg(long)]
    min64: bool,
    /// Replace OUT if it is a file that exists (what is a pipe or a device is written into)
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Pcap,
    Pcapng,
}

impl Args {
    fn spec(&self) -> Spec {
        let format = match self.format {
            Some(Kind::Pcap) => Format::Pcap,
            Some(Kind::Pcapng) => Format::Pcapng,
            None if self.out.extension().is_some_and(|extension| extension == "pcapng") => Format::Pcapng,
            None => Format::Pcap,
        };
        Spec {
            packets: self.packets,
            hour: self.hour,
            hours: self.hours,
            hosts: self.hosts,
            scanners: self.scanners,
            seed: self.seed,
            format,
            min64: self.min64,
        }
    }
}

/// `2023-10-19T13`, or seconds since the epoch.
fn hour(text: &str) -> Result<u32, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let parse = || {
        let (date, hour) = text.split_once('T')?;
        let mut parts = date.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let days = days_from_civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
        let hour: i64 = hour.parse().ok().filter(|hour| (0..24).contains(hour))?;
        u32::try_from(days * 86_400 + hour * 3600).ok()
    };
    parse().ok_or_else(|| "expected an hour between 1970 and 2106 such as 2023-10-19T13, or seconds".into())
}

/// The truth as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    seed: u64,
    #[serde(flatten)]
    truth: &'a Truth,
}

pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let spec = args.spec();
    if let Err(error) = spec.check() {
        text::complain("error", &error.to_string());
        return Ok(Exit::Usage);
    }
    let bar = bar(shared);
    let line = |truth: &Truth| serde_json::to_string(&Line { r#type: "truth", seed: spec.seed, truth });
    if args.out.as_os_str() == "-" {
        if io::stdout().is_terminal() {
            text::complain("error", "standard output is a terminal: name a file, or pipe into another command");
            return Ok(Exit::Usage);
        }
        let truth = match synth::write(&spec, BufWriter::with_capacity(1 << 18, bar.wrap_write(stdout::lock()?))) {
            Ok((_, truth)) => truth,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
            Err(error) => return Err(error).context("cannot write to standard output"),
        };
        bar.finish_and_clear();
        // There is nobody to tell if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{}", line(&truth)?);
        return Ok(Exit::Ok);
    }
    apart([("OUT", args.out.clone()), standard_output()], [])?;
    let truth = write_file(&spec, &args.out, args.force, &bar)?;
    bar.finish_and_clear();
    text::print(&format!("{}\n", line(&truth)?))?;
    Ok(Exit::Ok)
}

fn bar(shared: &Shared) -> ProgressBar {
    if shared.quiet {
        return ProgressBar::hidden();
    }
    // Drawn on standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template("{spinner} {bytes} written, {bytes_per_sec}");
    style.map_or_else(|_| ProgressBar::hidden(), |style| ProgressBar::no_length().with_style(style))
}

/// Writes a capture; its name never stands for half of one, and what it stands for is not replaced unasked.
fn write_file(spec: &Spec, path: &Path, force: bool, bar: &ProgressBar) -> anyhow::Result<Truth> {
    let unasked = |error| taken(error, "--force replaces it");
    let mut file = if force { AtomicFile::create(path) } else { AtomicFile::create_new(path) }.map_err(unasked)?;
    let out = BufWriter::with_capacity(1 << 18, bar.wrap_write(&mut file));
    let (_, truth) = synth::write(spec, out).with_context(|| format!("{}: cannot write", path.display()))?;
    file.commit().map_err(unasked)?;
    Ok(truth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_hour_is_a_date_or_a_number() {
        assert_eq!(hour("2023-10-19T13"), Ok(1_697_720_400));
        assert_eq!(hour("1697720400"), Ok(1_697_720_400));
        for wrong in ["2023-10-19", "2023-02-30T01", "2023-10-19T24", "2107-01-01T00", "-1", "x"] {
            assert!(hour(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all_and_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        let spec = Spec { packets: 2000, ..Spec::default() };
        write_file(&spec, &path, false, &ProgressBar::hidden()).unwrap();
        let first = fs::read(&path).unwrap();
        let other = Spec { seed: 1, ..spec };
        let refused = write_file(&other, &path, false, &ProgressBar::hidden()).unwrap_err().to_string();
        assert!(refused.contains("exists already"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), first);
        write_file(&other, &path, true, &ProgressBar::hidden()).unwrap();
        assert_ne!(fs::read(&path).unwrap(), first);
        let broken = Spec { hosts: 0, ..other };
        write_file(&broken, &folder.path().join("b.pcap"), false, &ProgressBar::hidden()).unwrap_err();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.pcap"], "nothing is left behind");
    }
}
