//! What a pipeline meets: kills at any moment, files that are no captures, files that change, disks that are full.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::{Site, quiet, same, until};

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

/// Takes a file system away when the test ends.
struct Unmount<'p>(&'p Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
