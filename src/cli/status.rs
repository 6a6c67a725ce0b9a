//! `status`: how the watcher of an output folder is, and what it came to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use pcap_compactor::watch::health::{CaptureStatus, Reading, SensorStatus, Status};
use pcap_compactor::watch::journal::{Journal, State};
use pcap_compactor::{Timestamp, time};
use serde::Serialize;

use super::text::{self, Align, Style, Table, bytes, count, printable, things};
use super::{Exit, Shared, watch};

/// Arguments of `status`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 it runs and all is well; 3 it does not run, or not all is well; 1 no watcher ever wrote there, or nothing can be read.

Examples:
  pcap-compactor status records
  pcap-compactor status records --json | jq '.aside[].reason'")]
pub(crate) struct Args {
    /// The folder that `watch` writes to, its --output.
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// Print all of it as one object of JSON.
    #[arg(long)]
    json: bool,
}

/// All that a folder tells.
#[derive(Debug, Serialize)]
struct Told {
    /// A watcher has the folder.
    running: bool,
    /// What the watcher said last.
    status: Option<Status>,
    hours: Vec<Hours>,
    aside: Vec<Aside>,
    /// Why hours and files are not told.
    unreadable: Option<String>,
}

/// The hours of a product that are out.
#[derive(Debug, Serialize)]
struct Hours {
    product: String,
    sensor: String,
    /// Files that are there.
    hours: u64,
    records: u64,
    bytes: u64,
    /// When the newest begins, in seconds since 1970.
    newest: i64,
}

/// A file that is not in the records.
#[derive(Debug, Serialize)]
struct Aside {
    sensor: String,
    path: String,
    /// It came too late; otherwise it could not be read.
    late: bool,
    reason: String,
}

/// Runs `status`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let told = look(&args.output)?;
    let well = told.running && told.status.as_ref().is_some_and(|status| status.healthy);
    let text = match args.json {
        true => serde_json::to_string_pretty(&told)? + "\n",
        false => page(&args.output, &told, Style { color: shared.color }),
    };
    text::print(&text)?;
    Ok(if well { Exit::Ok } else { Exit::Partial })
}

fn look(output: &Path) -> anyhow::Result<Told> {
    let own = output.join(".pcap-compactor");
    let (path, journal) = (watch::status_file(output), own.join("watch.sqlite"));
    if !path.exists() && !journal.exists() {
        bail!("{}: no watcher has written there; name the folder that is its --output", output.display());
    }
    let read = || {
        let mut text = Vec::new();
        open(&path)?.read_to_end(&mut text).map(|_| text)
    };
    let mut status: Option<Status> = match read() {
        Ok(text) => Some(serde_json::from_slice(&text).with_context(|| format!("{}: is no status", path.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("{}: cannot read", path.display())),
    };
    let running = is_locked(&own.join("watch.lock"))?;
    if let Some(status) = status.as_mut().filter(|_| running) {
        is_of_now(status, SystemTime::now());
        if let Ok(disk) = rustix::fs::statvfs(output) {
            status.disk(disk.f_bavail.saturating_mul(disk.f_frsize));
        }
    }
    let mut told = Told { running, status, hours: vec![], aside: vec![], unreadable: None };
    if journal.exists() {
        // Somebody who may not write there cannot read a journal that is written to.
        if let Err(error) = of_journal(output, &mut told) {
            told.unreadable = Some(error.to_string());
        }
    }
    Ok(told)
}

/// Opens a file for reading. A pipe in its place is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// Seconds for which a watcher may write nothing: as long as one does to which nothing happens, and a moment.
const SILENCE: i64 = (watch::HEARTBEAT.as_secs() + watch::TICK.as_secs()) as i64;

/// One that runs and has not written for long hangs, or cannot write: then not all is well, whatever it said last.
fn is_of_now(status: &mut Status, now: SystemTime) {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    let silent = now.saturating_sub(status.time);
    // What it was behind then it is behind still, or it would have said so.
    for sensor in status.sensors.iter_mut().filter(|sensor| sensor.lag_seconds > 0.0) {
        sensor.lag_seconds += silent.max(0) as f64;
    }
    if silent > SILENCE {
        status.healthy = false;
        status
            .reasons
            .insert(0, format!("it has written nothing for {silent} s: it hangs, or its output cannot be written"));
    }
}

/// Whether somebody has the lock. It is tried, for a moment, so two who look at once could see each other: then it is free.
fn is_locked(path: &Path) -> anyhow::Result<bool> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot read", path.display())),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{}: cannot look at it", path.display())),
    }
}

fn of_journal(output: &Path, told: &mut Told) -> pcap_compactor::Result<()> {
    let journal = Journal::open(output)?;
    let mut hours: BTreeMap<(String, String), Hours> = BTreeMap::new();
    for hour in journal.written()? {
        let (product, sensor) = (hour.product.clone(), hour.sensor.clone());
        let begins = hour.file.hour.seconds();
        let of = hours.entry((product, sensor)).or_insert_with(|| {
            let (product, sensor) = (hour.product, hour.sensor);
            Hours { product, sensor, hours: 0, records: 0, bytes: 0, newest: begins }
        });
        of.hours += 1;
        of.records += hour.file.rows;
        of.bytes += hour.file.bytes;
        of.newest = of.newest.max(begins);
    }
    told.hours = hours.into_values().collect();
    let aside = journal.aside()?.into_iter().map(|aside| Aside {
        sensor: aside.sensor,
        path: aside.path.display().to_string(),
        late: aside.state == State::Late,
        reason: aside.reason,
    });
    told.aside = aside.collect();
    Ok(())
}

/// `2025-10-19 15:00:00`, in UTC.
fn utc(seconds: i64) -> String {
    time::utc(Timestamp::from_seconds(seconds))[..19].replace('T', " ")
}

/// What a folder tells, for people.
fn page(output: &Path, told: &Told, style: Style) -> String {
    let head = match (&told.status, told.running) {
        (Some(status), true) => {
            let how = match (status.stopping, status.healthy) {
                (true, _) => "is stopping".to_owned(),
                (false, true) => style.green("all is well"),
                (false, false) => style.bold("not all is well"),
            };
            format!("the watcher runs (process {}, since {} UTC): {how}", status.process, utc(status.begun))
        }
        (None, true) => "the watcher runs, and has not said yet how it is".to_owned(),
        (Some(status), false) => format!("no watcher runs; this is how it was at {} UTC", utc(status.time)),
        (None, false) => "no watcher runs".to_owned(),
    };
    let mut page = format!("{}: {head}\n", printable(&output.display().to_string()));
    if let Some(status) = &told.status {
        for reason in &status.reasons {
            page += &format!("  {}\n", printable(reason));
        }
        page += &sensors(&status.sensors, style);
        page += &slow(status);
    }
    if !told.hours.is_empty() {
        let mut table = Table::new([Align::Left, Align::Left, Align::Left, Align::Right, Align::Right, Align::Right]);
        table.head(["product", "sensor", "newest (UTC)", "files", "records", "size"]);
        for of in &told.hours {
            let names = [&of.product, &of.sensor].map(|name| printable(name).into_owned());
            let [product, sensor] = names;
            table.row([product, sensor, utc(of.newest), count(of.hours), count(of.records), bytes(of.bytes)]);
        }
        page += &format!("\n{}\n{}", style.bold("Records that are out"), table.render(style));
    }
    if let Some(status) = &told.status {
        page += &machine(status, style);
    }
    if let Some(why) = &told.unreadable {
        page += &format!("\nhours and files put aside are not known: {}\n", printable(why));
    }
    if !told.aside.is_empty() {
        page += &format!("\n{}\n", style.bold("Put aside"));
        for aside in &told.aside {
            let late = if aside.late { "late: " } else { "" };
            page += &format!("  {}: {late}{}\n", printable(&aside.path), printable(&aside.reason));
        }
    }
    let troubles = told.status.iter().flat_map(|status| &status.troubles).collect::<Vec<_>>();
    if !troubles.is_empty() {
        page += &format!("\n{}\n", style.bold("What happened"));
        for trouble in troubles {
            page += &format!("  {}  {}\n", style.dim(&utc(trouble.time)), printable(&trouble.text));
        }
    }
    page
}

fn sensors(sensors: &[SensorStatus], style: Style) -> String {
    if sensors.is_empty() {
        return String::new();
    }
    let right = Align::Right;
    let mut table = Table::new([Align::Left, right, right, right, right, right, right, right]);
    table.head(["sensor", "waiting", "behind", "files", "packets", "live flows", "damaged", "put aside"]);
    for sensor in sensors {
        table.row([
            printable(&sensor.sensor).into_owned(),
            count(sensor.waiting),
            format!("{:.0} s", sensor.lag_seconds),
            count(sensor.files),
            count(sensor.packets),
            count(sensor.live_flows),
            count(sensor.damaged),
            count(sensor.quarantined + sensor.late),
        ]);
    }
    format!("\n{}\n{}", style.bold("Sensors, since the watcher began"), table.render(style))
}

/// Files that have been read for a while.
fn slow(status: &Status) -> String {
    let mut text = String::new();
    for sensor in &status.sensors {
        if let Some(Reading { path, since }) = &sensor.reading
            && status.time - since >= WHILE
        {
            let (sensor, path) = (printable(&sensor.sensor), printable(path));
            text += &format!("  {sensor} has been reading {path} since {} UTC\n", utc(*since));
        }
    }
    text
}

/// Seconds for which a file is read until somebody wants to know which.
const WHILE: i64 = 2;

/// Disk, memory and capture.
fn machine(status: &Status, style: Style) -> String {
    let mut table = Table::new([Align::Left, Align::Left]);
    if let Some(free) = status.disk_free {
        table.row([
            "disk".into(),
            format!("{} free, of which {} are to stay so", bytes(free), bytes(status.least_free)),
        ]);
    }
    if status.kept_for_hours > 0 {
        let kept = things(status.kept_for_hours, "capture");
        table.row([
            "kept".into(),
            format!("{kept} past the time, which hours still need, or which may still be written"),
        ]);
    }
    if status.removed_unread > 0 {
        let removed = things(status.removed_unread, "capture");
        table.row(["removed".into(), format!("{removed} that came too late, or whose records had no place")]);
    }
    if status.removed_needed > 0 {
        let removed = things(status.removed_needed, "capture");
        table.row([
            "removed".into(),
            format!("{removed} that hours to come need; a restart cuts flows that began there"),
        ]);
    }
    if let Some(bytes_held) = status.resident {
        table.row(["memory".into(), bytes(bytes_held)]);
    }
    if let Some(CaptureStatus { running, begun, captured, dropped, .. }) = status.capture {
        let runs = if running { "runs" } else { "does not run" };
        let again = if begun > 1 { format!(", begun {} times", count(begun)) } else { String::new() };
        let counts = match captured + dropped {
            0 => String::new(),
            _ => format!("; before: {} captured, {} dropped", count(captured), count(dropped)),
        };
        table.row(["capture".into(), format!("{runs}{again}{counts}")]);
    }
    let text = table.render(style);
    if text.is_empty() { text } else { format!("\n{text}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pcap_compactor::watch::health::Health;

    use super::*;

    #[test]
    fn a_page_says_what_is_wrong_and_cannot_steer_the_terminal() {
        let health = Health::new(Duration::from_secs(60), 2_000_000_000);
        health.queue("a\x1b[31m", 3);
        health.lag("a\x1b[31m", Duration::from_secs(7));
        health.disk_free(1_500_000_000);
        health.trouble("one\x07");
        let hours = Hours {
            product: "groups".into(),
            sensor: "a".into(),
            hours: 2,
            records: 1234,
            bytes: 5000,
            newest: 1_760_886_000,
        };
        let aside = Aside { sensor: "a".into(), path: "x\n.pcap".into(), late: true, reason: "no\rway".into() };
        let told = Told {
            running: true,
            status: Some(health.status()),
            hours: vec![hours],
            aside: vec![aside],
            unreadable: None,
        };
        let page = page(Path::new("out"), &told, Style { color: false });
        assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "{page:?}");
        for text in [
            "out: the watcher runs (process ",
            "not all is well\n  disk: 1500000000 bytes are free, fewer than 2000000000\n",
            "  groups   a       2025-10-19 15:00:00      2    1,234  5.0 kB\n",
            "  x\\n.pcap: late: no\\rway\n",
            "1.5 GB free, of which 2.0 GB are to stay so",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
    }

    #[test]
    fn a_watcher_that_says_nothing_is_not_well() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        for (time, well) in [(999_980, true), (999_979, false), (1_000_500, true)] {
            let mut status =
                Status { time, healthy: true, ..Health::new(std::time::Duration::from_secs(60), 0).status() };
            status.reasons.clear();
            is_of_now(&mut status, now);
            assert_eq!((status.healthy, status.reasons.is_empty()), (well, well), "{time}");
        }
    }

    #[test]
    fn a_disk_that_has_become_full_shows_though_no_status_could_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join(".pcap-compactor");
        std::fs::create_dir(&own).unwrap();
        let lock = File::create(own.join("watch.lock")).unwrap();
        let health = Health::new(Duration::from_secs(60), u64::MAX - 1);
        health.disk_free(u64::MAX - 1);
        let status = health.status();
        assert!(status.healthy);
        std::fs::write(watch::status_file(dir.path()), serde_json::to_vec(&status).unwrap()).unwrap();
        let status = |told: Told| told.status.unwrap();
        assert!(status(look(dir.path()).unwrap()).healthy, "what is free now is no matter where none runs");
        lock.lock().unwrap();
        let now = status(look(dir.path()).unwrap());
        assert!(!now.healthy && now.disk_free.unwrap() < u64::MAX - 1, "{now:?}");
        assert!(now.reasons[0].starts_with("disk: "), "{now:?}");
    }

    #[test]
    fn a_lock_that_nobody_has_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watch.lock");
        assert!(!is_locked(&path).unwrap());
        let file = File::create(&path).unwrap();
        assert!(!is_locked(&path).unwrap());
        file.lock().unwrap();
        assert!(is_locked(&path).unwrap());
        drop(file);
        assert!(!is_locked(&path).unwrap());
    }
}
