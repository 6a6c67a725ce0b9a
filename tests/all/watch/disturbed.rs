//! What a pipeline meets: kills at any moment, files that are no captures, files that change, disks that are full.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::{LONG, Site, Watcher, quiet, same, until};
use crate::command::Ran;

/// Kills, unless `PCAP_COMPACTOR_KILLS` says otherwise.
const KILLS: u64 = 8;

#[test]
fn a_kill_at_any_moment_changes_nothing() {
    let site = Site::new(20_000, 3);
    kills(&site, &site.expected(&site.parts));
}

/// Kills watchers while files arrive.
pub(super) fn kills(site: &Site, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    let kills = std::env::var("PCAP_COMPACTOR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(kills);
    let mut left = site.parts.iter().peekable();
    for nth in 1..=kills {
        let watcher = site.start("out", &[]);
        let until = nth * site.parts.len() as u64 / kills;
        while site.parts.len() as u64 - (left.len() as u64) < until {
            if let Some(part) = left.next() {
                site.arrive(part, dice.next_u64() % 2 == 0);
            }
            sleep(Duration::from_micros(dice.next_u64() % 20_000));
        }
        sleep(Duration::from_millis(dice.next_u64() % 300));
        watcher.kill();
    }
    assert!(left.peek().is_none());
    assert_eq!(site.once("out"), Some(0));
    assert_eq!(site.temporary("out"), 0);
    same(&site.records("out"), expected);
}

#[test]
fn what_comes_for_an_hour_that_was_closed_with_all_makes_it_again() {
    let site = Site::new(5000, 1);
    let expected = site.expected(&site.parts);
    for some in site.parts.chunks(site.parts.len().div_ceil(3)) {
        some.iter().for_each(|part| site.arrive(part, true));
        assert_eq!(site.once("out"), Some(0));
    }
    same(&site.records("out"), &expected);
}

#[test]
fn files_that_cannot_be_read_are_put_aside_and_delay_no_other() {
    let site = Site::new(5000, 1);
    let expected = site.expected(&site.parts);
    let watcher =
        site.start("out", &["--retry-delay", "100ms", "--stable", "100ms", "--rotation", "4s", "--grace", "1s"]);
    let place = |name: &str| site.path("in/gate").join(name);
    let (first, rest) = site.parts.split_at(site.parts.len() / 2);
    fs::write(place("corrupt.pcap"), "this is no capture").unwrap();
    fs::write(place("empty.pcap"), "").unwrap();
    // One that grows all the time.
    let mut grows = OpenOptions::new().create(true).append(true).open(place("zz_grows.pcap")).unwrap();
    let last = fs::read(rest.last().unwrap()).unwrap();
    for part in first {
        site.arrive(part, true);
    }
    for (part, bytes) in rest[..rest.len() - 1].iter().zip(last.chunks(last.len().div_ceil(rest.len() - 1))) {
        site.arrive(part, false);
        grows.write_all(bytes).unwrap();
        sleep(Duration::from_millis(5));
    }
    drop(grows);
    until("all hours are out", || site.records("out").len() == expected.len());
    let aside = site.path("out/quarantine/gate");
    until("the corrupt file is put aside", || aside.join("corrupt.pcap.reason.txt").exists());
    assert_eq!(watcher.end(), Some(3));
    same(&site.records("out"), &quiet(expected));
    let names: Vec<_> =
        fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(place("empty.pcap").exists() && !place("corrupt.pcap").exists());
}

#[test]
fn a_full_disk_leaves_no_half_file_and_nothing_out() {
    let site = Site::new(20_000, 2);
    let expected = site.expected(&site.parts);
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let small = site.path("out");
    fs::create_dir(&small).unwrap();
    let mount = |size: &str, how: &str| {
        let options = format!("{how}size={size}");
        Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&small).status()
    };
    if !mount("1m", "").is_ok_and(|status| status.success()) {
        // Past the test harness, which keeps what passing tests print.
        writeln!(std::io::stderr(), "LEFT OUT: a pipeline on a full disk; it needs permission to mount").unwrap();
        return;
    }
    let _unmount = Unmount(&small);
    assert_ne!(site.once("out"), Some(0));
    for (path, bytes) in site.records("out") {
        assert!(expected.get(&path) == Some(&bytes), "{}", path.display());
    }
    assert!(site.records("out").len() < expected.len());
    assert!(mount("100m", "remount,").unwrap().success());
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);
}

#[test]
fn a_bad_file_stays_on_another_disk_and_its_report_says_so() {
    let site = Site::new(700, 1);
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let (bad, out) = (site.path("in/gate/bad.pcap"), site.path("out"));
    fs::write(&bad, "this is no capture").unwrap();
    fs::create_dir(&out).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&out).status();
    if !mounted.is_ok_and(|status| status.success()) {
        // Past the test harness, which keeps what passing tests print.
        writeln!(std::io::stderr(), "LEFT OUT: an output on another disk; it needs permission to mount").unwrap();
        return;
    }
    let _unmount = Unmount(&out);
    assert_eq!(site.once("out"), Some(3));
    let report = out.join("quarantine/gate/bad.pcap.reason.txt");
    let text = || fs::read_to_string(&report).unwrap();
    let first = text();
    assert!(first.contains("; left where it is: ") && first.contains("cannot move: ") && bad.exists(), "{first}");
    assert_eq!(site.once("out"), Some(0));
    assert!(text() == first && bad.exists(), "{}", text());
    // One of the same name in another folder of the sensor has a report of its own.
    fs::create_dir(site.path("in/gate/more")).unwrap();
    fs::write(site.path("in/gate/more/bad.pcap"), "this is none either").unwrap();
    assert_eq!(site.once("out"), Some(3));
    assert_eq!(text(), first);
    let other = fs::read_to_string(out.join("quarantine/gate/bad.pcap.1.reason.txt")).unwrap();
    assert!(other.contains("more/bad.pcap"), "{other}");
    fs::remove_file(&report).unwrap();
    assert_eq!(site.once("out"), Some(0));
    assert!(!report.exists(), "nothing is said twice");
}

/// Takes a file system away when the test ends.
struct Unmount<'p>(&'p Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Lets a process run as nobody in particular, whom permissions hold for, if this one may do that.
fn as_nobody(site: &Site, command: &mut Command) {
    if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65_534;
        fs::set_permissions(site.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["out", "in", "in/gate"] {
            fs::create_dir_all(site.path(folder)).unwrap();
            std::os::unix::fs::chown(site.path(folder), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What makes hours close soon, and what is wrong be tried again soon.
const SOON: [&str; 8] = ["--retry-delay", "100ms", "--stable", "100ms", "--rotation", "1s", "--grace", "1s"];

#[test]
fn a_link_in_the_output_is_refused_by_name_and_nothing_is_written_where_it_leads() {
    let site = Site::new(3000, 1);
    let expected = quiet(site.expected(&site.parts));
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let elsewhere = site.path("elsewhere");
    fs::create_dir_all(elsewhere.join("gate")).unwrap();
    fs::create_dir_all(site.path("out/flows")).unwrap();
    let [flows, quarantine] = ["out/flows/gate", "out/quarantine"].map(|name| site.path(name));
    symlink(&elsewhere, &flows).unwrap();
    // The output itself may be one: it was chosen.
    fs::rename(site.path("out"), site.path("real")).unwrap();
    symlink(site.path("real"), site.path("out")).unwrap();
    let watcher = site.start("out", &SOON);
    let named = |link: &Path| format!("{}: cannot enter: it is a link", link.display());
    until("the link of a product is named", || site.failed("out").contains(&named(&flows)));
    fs::remove_file(&flows).unwrap();
    until("all hours are out", || site.records("out").len() == expected.len());
    symlink(&elsewhere, &quarantine).unwrap();
    fs::write(site.path("in/gate/corrupt.pcap"), "this is no capture").unwrap();
    until("the link of bad files is named", || site.failed("out").contains(&named(&quarantine)));
    fs::remove_file(&quarantine).unwrap();
    until("the bad file is put aside", || quarantine.join("gate/corrupt.pcap.reason.txt").exists());
    assert_eq!(watcher.end(), Some(3));
    same(&site.records("out"), &expected);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert_eq!(fs::read_dir(elsewhere.join("gate")).unwrap().count(), 0);

    // Nor does the journal lie behind one.
    let own = site.path("real/.pcap-compactor");
    fs::rename(&own, elsewhere.join("own")).unwrap();
    symlink(elsewhere.join("own"), &own).unwrap();
    let ran = Ran::of(site.watch("out", &[]).stderr(Stdio::piped()).output().unwrap());
    assert!(
        ran.code == Some(1) && ran.said.contains("out/.pcap-compactor: cannot enter: it is a link"),
        "{}",
        ran.said
    );
}

#[test]
fn a_folder_that_cannot_be_written_for_a_while_costs_nothing_but_time() {
    let site = Site::new(5000, 2);
    let expected = quiet(site.expected(&site.parts));
    let mut watch = site.watch("out", &SOON);
    as_nobody(&site, &mut watch);
    let watcher = Watcher(watch.spawn().unwrap());
    let (first, rest) = site.parts.split_at(site.parts.len() * 2 / 3);
    first.iter().for_each(|part| site.arrive(part, true));
    until("an hour is out", || site.records("out").keys().any(|path| path.starts_with("flows")));
    let before = site.records("out");
    let flows = site.path("out/flows/gate");
    let of_day = walkdir::WalkDir::new(&flows).into_iter().flatten().map(walkdir::DirEntry::into_path);
    let folders: Vec<PathBuf> = of_day.filter(|path| path.is_dir()).collect();
    folders.iter().for_each(|folder| permit(folder, 0o555));
    // Nothing that is made for the first time can be either.
    permit(&site.path("out"), 0o555);
    rest.iter().for_each(|part| site.arrive(part, true));
    until("it says so", || {
        site.failed("out").contains("out/flows/gate/") && site.failed("out").contains("ermission denied")
    });
    let now = site.records("out");
    assert!(before.iter().all(|(path, bytes)| now.get(path) == Some(bytes)) && now.len() < expected.len());
    permit(&site.path("out"), 0o755);
    folders.iter().for_each(|folder| permit(folder, 0o755));
    until("all hours are out", || site.records("out").len() == expected.len());
    assert_eq!((watcher.end(), site.temporary("out")), (Some(0), 0));
    same(&site.records("out"), &expected);
}

#[test]
fn a_journal_that_cannot_be_written_is_an_error_at_the_start_and_the_next_goes_on() {
    let site = Site::new(5000, 2);
    let expected = site.expected(&site.parts);
    let once = || {
        let mut once = site.watch("out", &["--once", "--stable", "100ms"]);
        as_nobody(&site, &mut once);
        Ran::of(once.stderr(Stdio::piped()).output().unwrap())
    };
    let (first, rest) = site.parts.split_at(site.parts.len() / 2);
    first.iter().for_each(|part| site.arrive(part, true));
    let mut watch = site.watch("out", &[]);
    as_nobody(&site, &mut watch);
    let watcher = Watcher(watch.spawn().unwrap());
    until("it has begun", || site.status("out").is_some());
    assert_eq!(watcher.end(), Some(0));
    rest.iter().for_each(|part| site.arrive(part, true));
    let own = site.path("out/.pcap-compactor");
    let files: Vec<PathBuf> = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.iter().for_each(|file| permit(file, 0o444));
    permit(&own, 0o555);
    let before = site.records("out");
    let ran = once();
    assert!(ran.code == Some(1) && ran.said.contains("out/.pcap-compactor/"), "{}", ran.said);
    same(&site.records("out"), &before);
    permit(&own, 0o755);
    files.iter().for_each(|file| permit(file, 0o644));
    let ran = once();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    same(&site.records("out"), &expected);
}

#[test]
fn an_output_that_is_removed_is_missed_and_made_anew_by_the_next_start() {
    let site = Site::new(5000, 2);
    let expected = site.expected(&site.parts);
    let mut watch = site.watch("out", &SOON);
    let said = site.path("said");
    let watcher = Watcher(watch.stderr(fs::File::create(&said).unwrap()).spawn().unwrap());
    let (first, rest) = site.parts.split_at(site.parts.len() * 2 / 3);
    first.iter().for_each(|part| site.arrive(part, true));
    until("an hour is out", || site.records("out").keys().any(|path| path.starts_with("flows")));
    fs::remove_dir_all(site.path("out")).unwrap();
    rest.iter().for_each(|part| site.arrive(part, true));
    until("it says so", || fs::read_to_string(&said).unwrap().contains("the output folder has been removed"));
    until("and when it goes on", || fs::read_to_string(&said).unwrap().contains("; it begins again in 100ms"));
    // Nor does a sensor make it anew that is new itself.
    fs::create_dir(site.path("in/other")).unwrap();
    fs::copy(&site.parts[0], site.path("in/other/a.pcap")).unwrap();
    until("it says so", || fs::read_to_string(&said).unwrap().contains("sensor=other"));
    fs::remove_dir_all(site.path("in/other")).unwrap();
    assert!(!site.path("out").exists());
    watcher.end();
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);
}

#[test]
fn a_capture_that_may_not_be_read_is_read_when_it_may_and_a_folder_of_its_name_is_a_folder() {
    let site = Site::new(3000, 1);
    let expected = quiet(site.expected(&site.parts));
    let mut watch = site.watch("out", &[&SOON[..], &["--look", "1s"]].concat());
    as_nobody(&site, &mut watch);
    let closed = site.path("in/gate").join(site.parts[0].file_name().unwrap());
    fs::copy(&site.parts[0], site.path("aside")).unwrap();
    permit(&site.path("aside"), 0o000);
    fs::rename(site.path("aside"), &closed).unwrap();
    // Nobody writes into it.
    crate::command::fifo(&site.path("in/gate"));
    fs::rename(site.path("in/gate/fifo"), site.path("in/gate/fifo.pcap")).unwrap();
    fs::create_dir(site.path("in/gate/folder.pcap")).unwrap();
    let watcher = Watcher(watch.spawn().unwrap());
    site.parts[1..].iter().for_each(|part| site.arrive(part, true));
    let told = format!("{}: cannot read: Permission denied", closed.display());
    until("it says so", || site.status("out").is_some_and(|status| status["troubles"].to_string().contains(&told)));
    permit(&closed, 0o644);
    // It may make hours again that were out without it.
    until("all is out as it should be", || site.records("out") == expected);
    assert_eq!(watcher.end(), Some(0));
    same(&site.records("out"), &expected);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_read_is_left_for_the_next_start_by_name() {
    let site = Site::new(3000, 1);
    let parts = &site.parts[..3];
    let expected = site.expected(parts);
    parts.iter().for_each(|part| site.arrive(part, true));
    let closed = site.path("in/gate").join(parts[1].file_name().unwrap());
    for (mode, code) in [(0o000, 3), (0o644, 0)] {
        permit(&closed, mode);
        let mut once = site.watch_aloud("out", &["--once", "--stable", "100ms"]);
        as_nobody(&site, &mut once);
        let ran = Ran::of(once.stderr(Stdio::piped()).output().unwrap());
        let named = format!("could not be read, and is left for the next start path={}", closed.display());
        assert_eq!((ran.code, ran.said.contains(&named)), (Some(code), code == 3), "{}", ran.said);
        assert_eq!(ran.said.contains("1 file left for the next start"), code == 3, "{}", ran.said);
    }
    same(&site.records("out"), &expected);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_watcher_at_work_cannot_read_waits_and_is_left_when_it_ends() {
    let site = Site::new(3000, 1);
    let mut watch = site.watch("out", &[&SOON[..], &["--look", "1s"]].concat());
    as_nobody(&site, &mut watch);
    let watcher = Watcher(watch.spawn().unwrap());
    site.parts[1..3].iter().for_each(|part| site.arrive(part, true));
    let closed = site.path("aside");
    fs::copy(&site.parts[0], &closed).unwrap();
    permit(&closed, 0o000);
    fs::rename(&closed, site.path("in/gate/closed.pcap")).unwrap();
    until("it is counted", || {
        let sensor = site.status("out").map(|status| status["sensors"][0].clone()).unwrap_or_default();
        (sensor["waiting"].as_u64(), sensor["failures"].as_u64(), sensor["files"].as_u64())
            == (Some(1), Some(1), Some(2))
    });
    assert_eq!(watcher.end(), Some(3));
}

#[test]
fn a_journal_that_is_removed_while_it_is_in_use_ends_the_watcher() {
    let site = Site::new(3000, 1);
    let parts = &site.parts[..3];
    let expected = site.expected(parts);
    let mut watch = site.watch_aloud("out", &[&SOON[..], &["--look", "1s"]].concat());
    let said = site.path("said");
    let mut watcher = Watcher(watch.stderr(fs::File::create(&said).unwrap()).spawn().unwrap());
    parts.iter().for_each(|part| site.arrive(part, true));
    let files = |status: serde_json::Value| status["sensors"][0]["files"].as_u64();
    until("they are read", || site.status("out").and_then(files) == Some(3));
    fs::remove_file(site.path("out/.pcap-compactor/watch.sqlite")).unwrap();
    let mut code = None;
    until("it ends", || {
        code = watcher.0.try_wait().unwrap();
        code.is_some()
    });
    let said = fs::read_to_string(&said).unwrap();
    assert_eq!(code.unwrap().code(), Some(1), "{said}");
    assert!(said.contains("watch.sqlite: was removed, or replaced, while it was in use"), "{said}");
    assert_eq!(site.once("out"), Some(0));
    // What the wall clock had closed by then stays as it was.
    same(&quiet(site.records("out")), &quiet(expected));
}

#[test]
fn a_capture_that_is_cut_while_it_is_mapped_is_read_to_the_cut() {
    let site = Site::new(3000, 1);
    let long = site.path("long.pcap");
    let ran = crate::command::run(["synth".as_ref(), long.as_os_str(), "--packets".as_ref(), "300000".as_ref()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // What was written just now is read and not mapped.
    let hour = Duration::from_secs(3600);
    OpenOptions::new().append(true).open(&long).unwrap().set_modified(SystemTime::now() - hour).unwrap();
    let half = fs::metadata(&long).unwrap().len() / 2 + 1;
    let watcher = site.start("out", &SOON);
    until("it has begun", || site.status("out").is_some());
    let there = site.path("in/gate/long.pcap");
    fs::rename(&long, &there).unwrap();
    let maps = format!("/proc/{}/maps", watcher.0.id());
    let is_mapped = || fs::read_to_string(&maps).unwrap().contains("in/gate/long.pcap");
    let end = Instant::now() + LONG;
    while !is_mapped() {
        assert!(Instant::now() < end, "it is not mapped");
    }
    OpenOptions::new().write(true).open(&there).unwrap().set_len(half).unwrap();
    // It lives, tells of the damage, and comes to the same as one that finds it so.
    let damaged = |status: serde_json::Value| status["sensors"][0]["damaged"].as_u64() > Some(0);
    until("the damage is told", || site.status("out").is_some_and(damaged));
    until("its hours are out", || site.records("out").keys().filter(|path| path.starts_with("flows")).count() >= 1);
    watcher.end();
    assert_eq!(site.once("out"), Some(0));
    assert_eq!(site.once("found"), Some(0));
    same(&quiet(site.records("out")), &quiet(site.records("found")));
}

#[test]
fn of_many_small_files_all_but_the_bad_are_read_and_no_bad_one_holds_up_another() {
    let site = Site::by(Duration::from_secs(10), 15_000, 5);
    assert!(site.parts.len() >= 300, "{}", site.parts.len());
    let expected = quiet(site.expected(&site.parts));
    let said = site.path("said");
    let more =
        ["--retry-delay", "4s", "--stable", "100ms", "--rotation", "4s", "--grace", "1s", "--log-format", "json"];
    let mut watch = site.watch_aloud("out", &more);
    let watcher = Watcher(watch.stderr(fs::File::create(&said).unwrap()).spawn().unwrap());
    until("it has begun", || site.status("out").is_some());
    let place = |name: &str| site.path("in/gate").join(name);
    fs::write(place("empty.pcap"), "").unwrap();
    // Another sensor has the same files at the same time, and no bad one: what makes all of them slow is no bad file's doing.
    let calm = site.path("in/calm");
    fs::create_dir(&calm).unwrap();
    let mut came = BTreeSet::new();
    let name = |part: &Path| part.file_name().unwrap().to_str().unwrap().to_owned();
    let (replaced, grows) = (site.parts.len() / 4, site.parts.len() / 2);
    for (nth, part) in site.parts.iter().enumerate() {
        fs::copy(part, site.path("aside")).unwrap();
        fs::rename(site.path("aside"), calm.join(name(part))).unwrap();
        match nth {
            // Another takes its name while it is read, or just before or behind that.
            _ if nth == replaced => {
                fs::write(place(&name(part)), fs::read(&site.parts[0]).unwrap()).unwrap();
                sleep(Duration::from_millis(3));
                site.arrive(part, true);
            }
            // It is complete at the end.
            _ if nth == grows => {
                let bytes = fs::read(part).unwrap();
                let mut file = OpenOptions::new().create(true).append(true).open(place(&name(part))).unwrap();
                file.write_all(&bytes[..bytes.len() / 2]).unwrap();
                file.flush().unwrap();
                let rest = bytes[bytes.len() / 2..].to_vec();
                std::thread::spawn(move || {
                    sleep(Duration::from_millis(700));
                    file.write_all(&rest).unwrap();
                });
            }
            _ => {
                if nth % 100 == 40 {
                    fs::write(place(&format!("corrupt_{nth}.pcap")), "this is no capture").unwrap();
                }
                site.arrive(part, nth % 2 == 0);
                came.insert(name(part));
            }
        }
        sleep(Duration::from_millis(20));
    }
    let of_gate = || {
        let mut records = site.records("out");
        records.retain(|path, _| !path.iter().any(|part| part == "calm"));
        records
    };
    until("all hours are out", || of_gate() == expected);
    until("bad files are put aside", || {
        fs::read_dir(site.path("out/quarantine/gate")).is_ok_and(|dir| dir.count() == 6)
    });
    assert_eq!(watcher.end(), Some(3));
    same(&of_gate(), &expected);
    let said = fs::read_to_string(&said).unwrap();
    let lines = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut read: BTreeMap<(String, String), i64> = BTreeMap::new();
    for line in lines.filter(|line| line["message"] == "read") {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let at: jiff::Timestamp = text("timestamp").parse().unwrap();
        // Files that are read again by then were read before.
        read.entry((text("sensor"), name(Path::new(&text("path"))))).or_insert(at.as_millisecond());
    }
    let at = |sensor: &str, part: &String| read[&(sensor.to_owned(), part.clone())];
    let worst = came.iter().map(|part| at("gate", part) - at("calm", part)).max().unwrap();
    // What waited for a bad one would wait for 4 s and more.
    assert!(worst < 1000, "{worst} ms");
}
