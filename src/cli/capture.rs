//! `capture`: packets from an interface into a file, until it is enough.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use pcap_compactor::live::{Capture, Counts, Ended, Episode, Failure, LONGEST_SNAPLEN, Output};
use pcap_compactor::time;

use super::text::{bytes, count, things};
use super::{Exit, Shared, Usage, interrupt, say, stdout};

/// How long it may take to stop: what tcpdump is given, and some more.
const GRACE: Duration = Duration::from_secs(10);

/// How often is looked whether it is enough.
const TICK: Duration = Duration::from_millis(50);

/// Arguments of `capture`.
#[derive(clap::Args)]
#[command(after_help = "\
tcpdump has to be installed, and captures; it needs root, or once `sudo setcap cap_net_raw,cap_net_admin=eip $(command -v tcpdump)`. \
The file can be read while it grows, and holds whole packets whatever happens. Ctrl-C ends it, and SIGTERM; the exit code is then 130 or 143, and \
all that was captured is in the file. It is 3 if the kernel dropped packets.

Examples:
  pcap-compactor capture eth0 -o now.pcap                                   # until Ctrl-C
  pcap-compactor capture eth0 -o now.pcap --for 10min --bpf 'host 192.0.2.7 and not port 22'
  pcap-compactor capture any -o dns.pcap --bpf 'udp port 53' --packets 100 --snaplen 512
  pcap-compactor capture eth0 -o - | pcap-compactor flows -                 # flows as they end
  pcap-compactor capture eth0 -o - | pcap-compactor buckets - --every 1s    # and rows as time passes")]
pub(crate) struct Args {
    /// The interface, as `ip link` lists it; `any` is all of them.
    #[arg(value_name = "IFACE")]
    interface: String,
    /// Write into this file, or `-` for standard output. It is there from the beginning; missing folders are made.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Only packets that match, as tcpdump has it (pcap-filter): 'tcp port 443 and not net 10.0.0.0/8'. The kernel leaves out
    /// the others.
    #[arg(long, value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    bpf: String,
    /// Bytes of each frame that are kept; the true length is noted, too.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_SNAPLEN)))]
    snaplen: u32,
    /// End after this time: 500ms, 10s, 5min, 1h, 1d; up to 366d.
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    time: Option<Duration>,
    /// End after so many packets.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    packets: Option<u32>,
    /// The user whom tcpdump becomes when it is started as root. Default: as tcpdump was built, often `tcpdump`.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Replace FILE if it exists (what is a pipe or a device is written into).
    #[arg(long)]
    force: bool,
}

fn length(text: &str) -> Result<Duration, String> {
    const LONGEST: i64 = 366 * 86_400_000_000_000;
    let ns = time::length(text).filter(|ns| (1..=LONGEST).contains(ns));
    let ns = ns.ok_or("write a whole number and a unit, up to 366d: 500ms, 10s, 5min, 1h, 1d")?;
    Ok(Duration::from_nanos(ns.unsigned_abs()))
}

impl Args {
    fn capture(&self) -> Capture {
        Capture {
            filter: self.bpf.clone(),
            snaplen: self.snaplen,
            packets: self.packets,
            user: self.user.clone(),
            unbuffered: true,
            ..Capture::on(&self.interface)
        }
    }

    fn is_stream(&self) -> bool {
        self.output.as_os_str() == "-"
    }

    fn to(&self) -> anyhow::Result<Output> {
        if !self.is_stream() {
            if self.output.is_dir() {
                return Err(Usage(format!("{}: is a folder; name a file", self.output.display())).into());
            }
            return Ok(Output::File { path: self.output.clone(), replace: self.force });
        }
        let out = stdout::lock()?;
        if out.is_terminal() {
            return Err(Usage("standard output is a terminal: name a file, or pipe into another command".into()).into());
        }
        let out = out.as_fd().try_clone_to_owned().context("standard output: cannot write")?;
        Ok(Output::Writer(Box::new(File::from(out)), "standard output"))
    }
}

/// Runs `capture`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    interrupt::listen(GRACE, || {})?;
    let mut episode = Episode::start(&args.capture(), args.to()?).map_err(explained)?;
    let until = args.time.map(|time| Instant::now() + time);
    if !shared.quiet {
        let end = if until.is_some() || args.packets.is_some() { "" } else { "; Ctrl-C ends" };
        say(&format!("{}: capturing into {}{end}", args.interface, name(args)));
    }
    let bar = bar(shared);
    let ended = loop {
        if interrupt::came() || until.is_some_and(|until| Instant::now() >= until) {
            break episode.stop()?;
        }
        if let Some(ended) = episode.wait(TICK) {
            break ended;
        }
        let (packets, written) = episode.written();
        bar.set_message(format!("{}, {}", things(packets, "packet"), bytes(written)));
        bar.tick();
    };
    bar.finish_and_clear();
    told(args, ended, shared)
}

/// The output for people.
fn name(args: &Args) -> String {
    let name = if args.is_stream() { Path::new("standard output") } else { &args.output };
    name.display().to_string()
}

/// Packets so far; drawn on standard error, and only if that is a terminal.
fn bar(shared: &Shared) -> ProgressBar {
    if shared.quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() }
}

/// Says what it came to.
fn told(args: &Args, ended: Ended, shared: &Shared) -> anyhow::Result<Exit> {
    // Somebody else may have ended it.
    let well = ended.is_well() && (ended.stopped || args.packets.is_some());
    let Ended { written, counts, lasted, .. } = &ended;
    if !shared.quiet {
        let (packets, size) = (things(written.packets, "packet"), bytes(written.bytes));
        say(&format!("{}: {packets}, {size} in {:.2} s", name(args), lasted.as_secs_f64()));
        if let Some(Counts { captured, received, dropped_by_kernel, dropped_by_interface }) = counts {
            let interface = match dropped_by_interface {
                0 => String::new(),
                n => format!(", {} dropped by interface", count(*n)),
            };
            say(&format!(
                "tcpdump: {} captured, {} received by filter, {} dropped by kernel{interface}",
                count(*captured),
                count(*received),
                count(*dropped_by_kernel)
            ));
        }
    }
    match ended.failure {
        // Whoever read our output has seen enough.
        Some(Failure::Write { source, .. }) if args.is_stream() && source.kind() == ErrorKind::BrokenPipe => {
            return Ok(Exit::Ok);
        }
        Some(failure) => return Err(explained(failure)),
        None => {}
    }
    let mut exit = Exit::Ok;
    let mut complain = |line: &str| {
        exit = Exit::Partial;
        say(line);
    };
    if ended.killed {
        complain("tcpdump did not end when it was asked to, and was killed; packets that it still held are lost");
    }
    if let Some(dropped) = counts.map(|counts| counts.dropped_by_kernel).filter(|&dropped| dropped > 0) {
        complain(&format!(
            "{} dropped by the kernel, because they came faster than they were taken; a narrower --bpf or a smaller --snaplen helps",
            match dropped {
                1 => "1 packet was".to_owned(),
                n => format!("{} were", things(n, "packet")),
            }
        ));
    }
    if interrupt::came() {
        return Err(pcap_compactor::Error::from(pcap_compactor::ErrorKind::Stopped).into());
    }
    if !well && !ended.killed {
        let how = ended.status.map_or_else(|| "its status is lost".to_owned(), |status| status.to_string());
        bail!("tcpdump died ({how}): {}; what it captured is kept", said(&ended.last_words));
    }
    Ok(exit)
}

fn said(words: &[String]) -> String {
    if words.is_empty() { "it said nothing".to_owned() } else { words.join(" ") }
}

/// A failure as an error of the command: with a way out, and as a wrong use where it is one.
pub(super) fn explained(failure: Failure) -> anyhow::Error {
    match &failure {
        Failure::Setting(_) | Failure::NoInterface { .. } | Failure::Filter { .. } => Usage(failure.to_string()).into(),
        Failure::Write { path, source } if source.kind() == ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{}: it exists already; --force replaces it", path.display())
        }
        _ => failure.into(),
    }
}
