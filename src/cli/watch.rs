//! `watch`: the pipeline of a sensor, from its start to a clean stop, with its signals, its own capture, and what it tells.

mod amounts;
mod knobs;
mod log;
mod tap;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Select, unbounded};
use pcap_compactor::Config;
use pcap_compactor::config::differing;
use pcap_compactor::watch::health::{Health, STATUS, Status as How};
use pcap_compactor::watch::{Ended, Pipeline, Stop};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use toml::Table;
use tracing::{error, info, warn};

use super::capture::explained;
use super::http::{Answer, Server, Status};
use super::text::{self, things};
use super::{Exit, Shared, Usage, interrupt, say};
use amounts::{Length, Size};
use knobs::Knobs;
use tap::Tap;

/// How often is looked whether something is to be done of which nobody tells, and whether the status is another.
pub(super) const TICK: Duration = Duration::from_secs(5);

/// How long nothing is written of the status at most, though nothing has happened.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a stop at once may take.
const AT_ONCE: Duration = Duration::from_secs(3);

/// The part that speaks.
const PART: &str = "Watch";

/// Arguments of `watch`.
#[derive(clap::Args)]
#[command(after_help = "\
Captures that appear in DIR become records in OUTPUT/PRODUCT/SENSOR/YYYY/MM/DD/HH, an hour when nothing of it can come any more; of products with /capture behind, in OUTPUT/PRODUCT/SENSOR/a.csv of a.pcap, when it is complete. The folders in \
DIR are the sensors; files beside them are of the sensor `local`. Flows live across files. Whatever ends it, the next start goes on where it was, \
and writes nothing twice. The first Ctrl-C or SIGTERM ends the capture and finishes what is there, the second stops at once; SIGHUP reads the settings \
file again. `pcap-compactor status OUTPUT` tells how it is.

Examples:
  pcap-compactor watch captures -o records --product groups
  pcap-compactor watch captures -o records --product flows:cic --product buckets:100ms
  pcap-compactor watch captures -o records --product flows:nexus/capture   # a file a capture
  pcap-compactor watch captures -o records --product groups --capture eth0 --bpf 'not port 22'
  pcap-compactor watch captures -o records --product flows --keep-captures 30min
  pcap-compactor watch captures -o records --product groups --once   # what is there, no more
  pcap-compactor watch --settings sensor.toml --listen 127.0.0.1:9184
  pcap-compactor watch captures -o records --product groups --print-settings > sensor.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    knobs: Knobs,
    /// Read settings from this file (TOML); arguments win over it.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Read settings of groups from this file (TOML), as `compact --config` does; it wins over [groups] of --settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings as a file for --settings, with what they mean, and end.
    #[arg(long)]
    print_settings: bool,
    /// Work off what is there, write all of it, the last hour too, and end.
    #[arg(long, conflicts_with = "capture")]
    once: bool,
}

impl Args {
    /// The settings as they are now.
    fn knobs(&self) -> anyhow::Result<Knobs> {
        let mut knobs = self.knobs.over(self.settings.as_deref())?;
        if let Some(path) = &self.config {
            knobs.groups = Some(Config::load(path).map_err(|error| Usage(error.to_string()))?);
        }
        Ok(knobs)
    }
}

/// Runs `watch`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    // First of all. Whoever changes the settings just now says so; that is no reason to end.
    let works = Arc::new(AtomicBool::new(false));
    let signals = heard(&works)?;
    let knobs = args.knobs()?;
    if args.print_settings {
        text::print(&knobs.to_toml()?)?;
        return Ok(Exit::Ok);
    }
    let settings = knobs.settings()?;
    if args.once && knobs.capture.is_some() {
        return Err(Usage("--once works off what is there; it does not go with a capture".into()).into());
    }
    // A file that may grow no more is an error of the write, which is told and leaves nothing half-written.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    let server = settings.listen.map(listen).transpose()?;
    let capture = knobs.capture(&settings.folder);
    if let Some((capture, folder)) = &capture {
        folder.check().and_then(|()| capture.compile()).map_err(explained)?;
        // It is ours to fill, so it need not be there yet.
        std::fs::create_dir_all(&folder.path).with_context(|| format!("{}: cannot make it", folder.path.display()))?;
    }
    if !settings.folder.is_dir() {
        return Err(Usage(format!("{}: there is no such folder to watch", settings.folder.display())).into());
    }
    speak(&knobs, shared)?;
    let health = Arc::new(Health::new(settings.rotation, settings.least_free));
    let output = settings.output.clone();
    let folder = settings.folder.clone();
    let start = if args.once { Pipeline::start_once } else { Pipeline::start };
    // What it refuses is all that is said.
    let work = start(settings, Arc::clone(&health))?;
    if let Some(server) = server {
        info!(target: PART, "metrics are at http://{}/metrics", server.address());
        serve(server, Arc::clone(&health))?;
    }
    for product in &knobs.products {
        info!(target: PART, "{} -> {}: {product}", folder.display(), output.display());
    }
    let tap = match capture {
        Some((capture, folder)) => Some(Tap::open(capture, folder, &health).map_err(explained)?),
        None => None,
    };
    let limit = knobs.stop_limit.map_or(Duration::from_secs(60), |Length(time)| time);
    let watch = Watch {
        args,
        in_force: knobs.in_force(&knobs)?,
        knobs,
        output,
        health,
        signals,
        work,
        tap,
        limit,
        signal: None,
        written: None,
        mute: false,
    };
    works.store(true, Ordering::Relaxed);
    watch.run()
}

/// Signals, as they come. From here on they do nothing by themselves; but as long as nobody `works` who hears of them, the second that asks to
/// stop ends the process.
fn heard(works: &Arc<AtomicBool>) -> anyhow::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let (tell, told) = unbounded();
    let (works, mut is_asked) = (Arc::clone(works), false);
    let hear = move || {
        signals.forever().try_for_each(|signal| {
            if signal != SIGHUP && std::mem::replace(&mut is_asked, true) && !works.load(Ordering::Relaxed) {
                interrupt::end(signal);
            }
            tell.send(signal)
        })
    };
    thread::Builder::new().name("signals".into()).spawn(hear)?;
    Ok(told)
}

/// Begins to write messages.
fn speak(knobs: &Knobs, shared: &Shared) -> anyhow::Result<()> {
    let files = match &knobs.log_file {
        Some(folder) => {
            let size = knobs.log_size.map_or(u64::MAX, |Size(bytes)| bytes);
            Some(log::Files::create(folder, size, knobs.log_count.unwrap_or(usize::MAX))?)
        }
        None => None,
    };
    let level = match shared {
        Shared { quiet: true, .. } => log::Level::Error,
        Shared { verbose: true, .. } => log::Level::Debug,
        _ => knobs.log_level.unwrap_or(log::Level::Info),
    };
    log::start(knobs.log_format.unwrap_or(log::Format::Text), level, files)
}

fn listen(address: SocketAddr) -> anyhow::Result<Server> {
    Server::bind(address).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Usage(format!("--listen {address}: {error}")).into(),
        ErrorKind::AddrInUse => anyhow::anyhow!("--listen {address}: another program has this port"),
        _ => anyhow::anyhow!("--listen {address}: cannot listen: {error}"),
    })
}

/// Answers whoever asks how it is, until the process ends.
fn serve(server: Server, health: Arc<Health>) -> anyhow::Result<()> {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let answer = move |path: &str, _: &str| match path {
        "/metrics" => Answer::ok("text/plain; version=0.0.4; charset=utf-8", health.prometheus()),
        "/healthz" => {
            let (well, why) = health.healthy();
            let status = if well { Status::Ok } else { Status::Unavailable };
            Answer { status, ..Answer::ok(PLAIN, why) }
        }
        "/" => Answer::ok(PLAIN, "/metrics\n/healthz\n"),
        _ => Answer::no(Status::NotFound, "there are /metrics and /healthz"),
    };
    thread::Builder::new().name("server".into()).spawn(move || server.run(answer))?;
    Ok(())
}

/// A watcher that runs.
struct Watch<'a> {
    args: &'a Args,
    /// As it was started.
    knobs: Knobs,
    /// What it works by now.
    in_force: Table,
    output: PathBuf,
    health: Arc<Health>,
    signals: Receiver<i32>,
    work: Pipeline,
    tap: Option<Tap>,
    /// How long a stop may take.
    limit: Duration,
    /// The signal that asked to stop, when it has to be done, and whether the pipeline knows.
    signal: Option<(i32, Instant, bool)>,
    /// The status that was written, and when.
    written: Option<(How, Instant)>,
    /// That the status cannot be written has been said.
    mute: bool,
}

impl Watch<'_> {
    fn run(mut self) -> anyhow::Result<Exit> {
        let mut looked: Option<Instant> = None;
        let ended = loop {
            while let Ok(signal) = self.signals.try_recv() {
                match signal {
                    SIGHUP => self.reload(),
                    signal => self.stop(signal),
                }
            }
            self.capture();
            if let Some((signal, until, _)) = self.signal
                && Instant::now() >= until
            {
                let limit = Length(self.limit);
                warn!(target: PART, "not finished within {limit}; what is left is done at the next start");
                self.stop_now(signal);
            }
            if looked.is_none_or(|looked| looked.elapsed() >= TICK) {
                looked = Some(Instant::now());
                self.status();
            }
            self.sleep();
            if let Some(ended) = self.work.wait(Duration::ZERO) {
                break ended.map_err(Into::into);
            }
        };
        // Without it, tcpdump would still write into the folder.
        drop(self.tap.take());
        self.status();
        self.told(ended)
    }

    /// Says what it came to.
    fn told(&self, ended: anyhow::Result<Ended>) -> anyhow::Result<Exit> {
        let Ended { files, packets, waiting, quarantined } = match ended {
            Ok(ended) => ended,
            Err(failed) => {
                error!(target: PART, "{failed:#}");
                return Err(failed);
            }
        };
        info!(target: PART, "{} read, {}", things(files, "file"), things(packets, "packet"));
        if waiting > 0 {
            warn!(target: PART, "{} left for the next start", things(waiting, "file"));
        }
        if quarantined > 0 {
            warn!(target: PART, "{} put aside, late or gone; `pcap-compactor status {}` says why", things(quarantined, "file"), self.output.display());
        }
        // A signal is how a watcher ends, but not how all is worked off.
        let is_short = self.args.once && self.signal.is_some();
        if is_short {
            warn!(target: PART, "stopped; run it again for what is left");
        }
        Ok(if waiting + quarantined > 0 || is_short { Exit::Partial } else { Exit::Ok })
    }

    /// Waits until somebody tells something, or it is time to look.
    fn sleep(&self) {
        let left = self.signal.map_or(TICK, |(_, until, _)| until.saturating_duration_since(Instant::now()));
        let mut select = Select::new();
        select.recv(&self.signals);
        select.recv(self.work.ended());
        if let Some(events) = self.tap.as_ref().and_then(Tap::events) {
            select.recv(events);
        }
        // What is ready is found by who looks for it.
        let _ = select.ready_timeout(left.min(TICK));
    }

    /// A signal to stop has come.
    fn stop(&mut self, signal: i32) {
        if self.signal.is_some() {
            warn!(target: PART, "stopping at once; what is left is done at the next start");
            self.stop_now(signal);
        }
        let limit = Length(self.limit);
        let what = if self.args.once { "the file that is read" } else { "what is there" };
        info!(target: PART, "stopping: finishing {what}, within {limit}; a second signal stops at once");
        self.health.stopping();
        self.signal = Some((signal, Instant::now() + self.limit, false));
        if let Some(tap) = &mut self.tap {
            tap.close();
        }
    }

    /// Ends the process, with the pipeline at a good place if it gets there soon.
    fn stop_now(&mut self, signal: i32) -> ! {
        self.work.stop(Stop::Now);
        // How it ended is told by the next start, which goes on there.
        let _ = self.work.wait(AT_ONCE);
        self.status();
        interrupt::end(signal)
    }

    /// Hears of our own capture, and once it has ended with a stop, asks the pipeline to finish.
    fn capture(&mut self) {
        if let Some(tap) = &mut self.tap {
            let pause = self.knobs.when_full == Some(knobs::Full::StopCapturing) && self.health.is_low_on_disk();
            tap.look(&self.work, &self.health, pause);
        }
        if let Some((_, _, told @ false)) = &mut self.signal
            && self.tap.as_ref().is_none_or(Tap::is_over)
        {
            *told = true;
            self.work.stop(Stop::Finish);
        }
    }

    /// Reads the settings again. What is wrong with them changes nothing.
    fn reload(&mut self) {
        let Some(path) = &self.args.settings else {
            return warn!(target: PART, "SIGHUP: there is no settings file to read again");
        };
        let read = self.args.knobs().and_then(|knobs| Ok((knobs.settings()?, knobs)));
        let (mut settings, knobs) = match read {
            Ok(read) => read,
            Err(failed) => return error!(target: PART, "the settings stay as they were: {failed:#}"),
        };
        let later = knobs.needs_a_start(&self.knobs);
        if !later.is_empty() {
            warn!(target: PART, "{} cannot change while it runs; restart for that", later.join(", "));
        }
        let old = match self.knobs.settings() {
            Ok(old) => old,
            Err(failed) => return error!(target: PART, "the settings stay as they were: {failed:#}"),
        };
        (settings.folder, settings.output, settings.products) = (old.folder, old.output, old.products);
        (settings.config, settings.listen) = (old.config, old.listen);
        self.limit = knobs.stop_limit.map_or(self.limit, |Length(time)| time);
        self.knobs.when_full = knobs.when_full;
        self.health.limits(settings.rotation, settings.least_free);
        self.work.reload(settings);
        match knobs.in_force(&self.knobs) {
            Ok(now) => {
                let news = match differing(&std::mem::replace(&mut self.in_force, now), &self.in_force).join(", ") {
                    news if news.is_empty() => "it changes nothing".to_owned(),
                    news => news,
                };
                info!(target: PART, "{}: read again: {news}", path.display());
            }
            Err(failed) => error!(target: PART, "{}: read again: {failed:#}", path.display()),
        }
    }

    /// Writes how it is, for `status`, if that is news.
    fn status(&mut self) {
        let now = self.health.status();
        let is_known = |(before, at): &(How, Instant)| now.is_as(before) && at.elapsed() + TICK < HEARTBEAT;
        if self.written.as_ref().is_some_and(is_known) {
            return;
        }
        let written = serde_json::to_vec_pretty(&now)
            .map_err(anyhow::Error::from)
            .and_then(|json| Ok(How::put(&json, &self.output)?));
        self.written = Some((now, Instant::now()));
        if let Err(failed) = written
            && !std::mem::replace(&mut self.mute, true)
        {
            warn!(target: PART, "the status cannot be written: {failed:#}");
        }
    }
}

/// Where a watcher tells how it is.
pub(super) fn status_file(output: &Path) -> PathBuf {
    output.join(STATUS)
}
