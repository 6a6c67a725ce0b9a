//! Lines against whole runs over the same packets.

mod back;
mod closing;
mod disorder;
mod endless;
mod ends;
mod fragments;
mod late;
mod names;
mod replaced;
mod silent;
mod strays;
mod traffic;
mod wild;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::traffic::{SENSOR, Traffic, Work, compare};
use super::Settings;
use super::journal::Journal;
use super::line::Order;
use super::spans::hour;
use crate::capture::{Capture, Io};
use crate::time::{NS_PER_SECOND, Timestamp};

#[test]
fn files_one_by_one_make_what_a_whole_run_makes() {
    let traffic = Traffic::new(30_000);
    let work = Work::start(traffic.settings());
    for part in traffic.parts.chunks(1) {
        work.tell(Order::Complete(traffic.arrivals(part)));
    }
    let ended = work.finish(true);
    assert_eq!((ended.files, ended.packets, ended.waiting), (traffic.parts.len() as u64, 30_000, 0));
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_line_that_is_stopped_anywhere_goes_on_where_it_stood() {
    let traffic = Traffic::new(20_000);
    let expected = traffic.expected();
    let mut rest = &traffic.parts[..];
    for (nth, files) in [7, 20, 1, 13, 25, 2].into_iter().enumerate() {
        let work = Work::start(traffic.settings());
        let (now, later) = rest.split_at(files.min(rest.len()));
        rest = later;
        now.chunks(3).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        if nth % 2 == 0 {
            work.finish(false);
        } else {
            thread::sleep(Duration::from_millis(10 * nth as u64));
            work.control.stop();
            drop(work.orders);
            let _ = work.thread.join().unwrap();
        }
    }
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    work.finish(true);
    compare(&traffic.made(), &expected);
}

#[test]
fn a_late_file_makes_its_hours_again() {
    let traffic = Traffic::new(20_000);
    let work = Work::start(traffic.settings());
    let late = traffic.parts.len() / 3;
    let others: Vec<PathBuf> = [&traffic.parts[..late], &traffic.parts[late + 1..]].concat();
    others.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
    wait(&work, others.len() as u64);
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[late..=late])));
    wait(&work, traffic.parts.len() as u64);
    assert_eq!(work.health.status().sensors[0].waiting, 0, "what turned it back waits no more");
    assert_eq!(work.finish(true).packets, 20_000);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn what_is_no_capture_is_set_aside_and_delays_nothing() {
    let traffic = Traffic::new(5_000);
    let bad = traffic.folder.path().join("in").join(SENSOR).join("bad.pcap");
    fs::write(&bad, "this is no capture").unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&bad))));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let ended = work.finish(true);
    assert_eq!((ended.packets, ended.quarantined), (5_000, 1));
    assert!(!bad.exists());
    let reason =
        fs::read_to_string(traffic.output().join("quarantine").join(SENSOR).join("bad.pcap.reason.txt")).unwrap();
    assert!(reason.starts_with(&format!("{}\n", bad.display())) && reason.contains("tried 3 times"), "{reason}");
    assert!(!reason.contains("sink"), "it names the reason and no part of the program: {reason}");
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_has_become_a_pipe_is_not_waited_for() {
    let traffic = Traffic::new(5_000);
    let pipe = traffic.folder.path().join("in").join(SENSOR).join("pipe.pcap");
    fs::copy(&traffic.parts[0], &pipe).unwrap();
    let arrivals = traffic.arrivals(std::slice::from_ref(&pipe));
    fs::remove_file(&pipe).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(arrivals));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let ended = work.finish(true);
    assert_eq!((ended.packets, ended.quarantined), (5_000, 1));
    let reason = traffic.output().join("quarantine").join(SENSOR).join("pipe.pcap.reason.txt");
    let said = fs::read_to_string(reason).unwrap();
    let named = format!("{}\ncannot read: it is no regular file\n", pipe.display());
    assert!(said.starts_with(&named), "{said}");
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_is_read_again_is_found_under_its_new_name() {
    let traffic = Traffic::new(5_000);
    let expected = traffic.expected();
    let work = Work::start(traffic.settings());
    let (first, rest) = traffic.parts.split_at(traffic.parts.len() / 4);
    work.tell(Order::Complete(traffic.arrivals(first)));
    work.finish(false);
    let renamed: Vec<PathBuf> = first.iter().map(|path| path.with_extension("done.pcap")).collect();
    first.iter().zip(&renamed).for_each(|(from, to)| fs::rename(from, to).unwrap());
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&[&renamed, rest].concat())));
    work.finish(true);
    compare(&traffic.made(), &expected);
}

#[test]
fn a_file_that_grew_after_all_is_read_anew_and_makes_no_other_late() {
    let traffic = Traffic::new(5_000);
    let expected = traffic.expected();
    let (grows, late) = (&traffic.parts[3], &traffic.parts[1]);
    let whole = fs::read(grows).unwrap();
    fs::write(grows, &whole[..whole.len() / 2]).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&[traffic.parts[0].clone(), grows.clone()])));
    thread::sleep(Duration::from_millis(300));
    fs::write(grows, &whole).unwrap();
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(late))));
    let rest = [&traffic.parts[2..3], &traffic.parts[3..]].concat();
    work.tell(Order::Complete(traffic.arrivals(&rest)));
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &expected);
}

#[test]
fn captures_that_are_gone_when_they_are_needed_are_told_and_those_that_were_renamed_are_not() {
    let traffic = Traffic::new(5_000);
    let lost = |work: &Work| work.health.status().sensors.first().map_or(0, |sensor| sensor.lost);
    let work = Work::start(traffic.settings());
    let (first, rest) = traffic.parts.split_at(traffic.parts.len() / 3);
    work.tell(Order::Complete(traffic.arrivals(first)));
    work.finish(false);
    // Its hour is not out.
    fs::remove_file(&first[first.len() - 1]).unwrap();
    let (vanishes, moves) = (&rest[rest.len() - 1], &rest[rest.len() - 2]);
    let arrivals = traffic.arrivals(rest);
    fs::remove_file(vanishes).unwrap();
    let moved = moves.with_extension("moved.pcap");
    fs::rename(moves, &moved).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(arrivals));
    work.tell(Order::Complete(traffic.arrivals(&[moved])));
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while lost(&work) < 2 && std::time::Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(lost(&work), 2);
    let (well, why) = work.health.healthy();
    assert!(!well && why.contains("captures that are lost: 2; the last one: "), "{why}");
    assert_eq!(work.finish(false).files, rest.len() as u64 - 1);
}

fn metric(told: &[String; 2], name: &str) -> u64 {
    let value = |text: &String| {
        let lines = text.lines().filter(|line| line.starts_with(&format!("pcap_compactor_{name}{{")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    told.iter().map(value).sum()
}

/// Waits until so many files have been read.
fn wait(work: &Work, files: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while metric(&[work.health.prometheus(), String::new()], "files_read_total") < files {
        assert!(Instant::now() < end, "it reads no more");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_name_that_another_capture_takes_leaves_the_records_of_the_first() {
    // More files than hours to come need.
    const RING: usize = 38;
    let traffic = Traffic::new(3000);
    assert!(traffic.parts.len() > RING + 10, "{}", traffic.parts.len());
    let expected = traffic.expected();
    let work = Work::start(traffic.settings());
    for (nth, part) in traffic.parts.iter().enumerate() {
        let ring = part.with_file_name(format!("ring_{:02}.pcap", nth % RING));
        fs::rename(part, &ring).unwrap();
        work.tell(Order::Complete(traffic.arrivals(&[ring])));
        wait(&work, nth as u64 + 1);
    }
    let ended = work.finish(true);
    assert_eq!((ended.quarantined, ended.files), (0, traffic.parts.len() as u64));
    compare(&traffic.made(), &expected);
}

#[test]
fn what_was_completed_later_makes_no_other_file_late() {
    let traffic = Traffic::new(3000);
    let expected = traffic.expected();
    let (half, late) = (&traffic.parts[40], &traffic.parts[42]);
    let whole = fs::read(half).unwrap();
    fs::write(half, &whole[..whole.len() / 2]).unwrap();
    let others: Vec<PathBuf> = traffic.parts.iter().filter(|part| *part != late).cloned().collect();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    assert_eq!(work.finish(true).files, others.len() as u64);
    for (part, bytes) in [(half, Some(&whole)), (late, None)] {
        bytes.map_or(Ok(()), |bytes| fs::write(part, bytes)).unwrap();
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(part))));
        assert_eq!(work.finish(true).quarantined, 0);
    }
    compare(&traffic.made(), &expected);
}

#[test]
fn what_begins_before_a_file_that_grew_between_two_runs_has_its_hours() {
    let traffic = Traffic::new(3000);
    let expected = traffic.expected();
    let settings = || Settings { stable: Duration::from_millis(100), ..traffic.settings() };
    let (grows, before) = traffic.parts.split_last().unwrap();
    let whole = fs::read(grows).unwrap();
    fs::write(grows, &whole[..whole.len() / 2]).unwrap();
    let work = Work::start(settings());
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(grows))));
    // Hours without a packet are out now.
    assert_eq!(work.finish(false).files, 1);
    fs::write(grows, &whole).unwrap();
    let work = Work::start(settings());
    work.tell(Order::Complete(traffic.arrivals(before)));
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(grows))));
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &expected);
}

#[test]
fn rows_of_empty_buckets_are_there_whenever_it_stopped() {
    // Silent around the ends of hours, for longer than any flow is held.
    let near = |time: Timestamp| (time.0 + 600 * NS_PER_SECOND).rem_euclid(3600 * NS_PER_SECOND) < 1200 * NS_PER_SECOND;
    let traffic = Traffic::of(3000, |_| None, |time| !near(time));
    let expected = traffic.expected();
    let hours: Vec<i64> = traffic
        .parts
        .iter()
        .map(|part| hour(Capture::open(part, Io::Auto).unwrap().first_time().unwrap().unwrap().0))
        .collect();
    let turns = (1..hours.len()).filter(|&at| hours[at - 1] < hours[at]);
    for cut in turns.flat_map(|at| [at, at + 1, at + 2]) {
        let (before, after) = traffic.parts.split_at(cut);
        for (parts, close) in [(before, false), (after, true)] {
            let work = Work::start(traffic.settings());
            work.tell(Order::Complete(traffic.arrivals(parts)));
            work.finish(close);
        }
        compare(&traffic.made(), &expected);
        fs::remove_dir_all(traffic.output()).unwrap();
        fs::create_dir(traffic.output()).unwrap();
    }
}

#[test]
fn a_file_whose_reading_cannot_be_noted_counts_once() {
    let traffic = Traffic::new(3000);
    drop(Journal::open(&traffic.output()).unwrap());
    let database = rusqlite::Connection::open(traffic.output().join(".pcap-compactor/watch.sqlite")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF packets ON file BEGIN SELECT RAISE(ABORT, 'no room'); END";
    database.execute_batch(refuse).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let end = Instant::now() + Duration::from_secs(60);
    while work.health.healthy().0 {
        assert!(Instant::now() < end, "it does not fail");
        thread::sleep(Duration::from_millis(2));
    }
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    let health = Arc::clone(&work.health);
    while metric(&[health.prometheus(), String::new()], "files_read_total") < traffic.parts.len() as u64 {
        assert!(Instant::now() < end, "it does not go on");
        thread::sleep(Duration::from_millis(5));
    }
    let ended = work.finish(true);
    assert_eq!((ended.files, ended.packets), (traffic.parts.len() as u64, 3000));
    assert_eq!(metric(&[health.prometheus(), String::new()], "packets_total"), 3000);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn to_make_hours_again_only_what_they_need_is_read() {
    let traffic = Traffic::new(20_000);
    let expected = traffic.expected();
    let at = traffic.parts.len() - 10;
    let others: Vec<PathBuf> = [&traffic.parts[..at], &traffic.parts[at + 1..]].concat();
    let work = Work::start(traffic.settings());
    others.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
    work.finish(true);
    let first = |part: &PathBuf| Capture::open(part, Io::Auto).unwrap().first_time().unwrap().unwrap();
    let from = Timestamp(hour(first(&traffic.parts[at]).0 - 600 * NS_PER_SECOND));
    let journal = Journal::open(&traffic.output()).unwrap();
    let products = ["groups", "flows", "flows-cic", "flows-nf-v3", "buckets-1s"];
    let needs = products.map(|product| journal.needed(SENSOR, product, from).unwrap()).into_iter().min().unwrap();
    // What ends before is gone.
    let gone: Vec<&PathBuf> =
        traffic.parts.windows(2).filter(|two| first(&two[1]) < needs).map(|two| &two[0]).collect();
    assert!(gone.len() > 3, "{needs:?} of {from:?}");
    gone.into_iter().for_each(|part| fs::remove_file(part).unwrap());
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[at..=at])));
    let health = Arc::clone(&work.health);
    assert_eq!(work.finish(true).quarantined, 0);
    assert!(health.status().troubles.is_empty(), "{:?}", health.status().troubles);
    compare(&traffic.made(), &expected);
}
