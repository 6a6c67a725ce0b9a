//! Files that become others, and come back.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::names::without;
use super::silent::{captures, every};
use super::traffic::{SENSOR, Traffic, Work, compare, read, write};
use super::wait;
use crate::capture::{Capture, Io};
use crate::watch::journal::{Advance, Fed, Journal, Out};
use crate::watch::line::{Ended, Order};
use crate::watch::{Identity, Settings};

/// A line that is told of all files at once, and ends.
fn run(traffic: &Traffic, parts: &[PathBuf], close: bool) -> Ended {
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(parts)));
    work.finish(close)
}

fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

#[test]
fn a_late_file_has_its_hours_though_a_newer_one_is_replaced_meanwhile() {
    let traffic = Traffic::new(3000);
    let (late, last) = (&traffic.parts[10], traffic.parts.last().unwrap());
    let whole = fs::read(last).unwrap();
    fs::write(last, half(&whole)).unwrap();
    let others = without(&traffic.parts, late);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    wait(&work, others.len() as u64);
    fs::write(last, &whole).unwrap();
    work.tell(Order::Complete(traffic.arrivals(&[late.clone(), last.clone()])));
    // At the end it waits for no others that are late.
    wait(&work, others.len() as u64 + 2);
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &traffic.expected());
}

/// Completes a file under another name, as who writes it does; nobody is told.
fn complete(half: &Path, name: &Path, whole: &[u8]) {
    let so_far = fs::metadata(half).unwrap().len() as usize;
    fs::OpenOptions::new().append(true).open(half).unwrap().write_all(&whole[so_far..]).unwrap();
    fs::rename(half, name).unwrap();
}

#[test]
fn a_file_that_is_completed_and_renamed_between_two_looks_has_its_hours() {
    let traffic = Traffic::new(3000);
    let expected = traffic.expected();
    // Of an hour that is out by then, and of the one that is open.
    let names = [&traffic.parts[10], &traffic.parts[traffic.parts.len() - 2]];
    let whole = names.map(|name| fs::read(name).unwrap());
    for stops in [false, true] {
        let halves = [0, 1].map(|nth| names[nth].with_file_name(format!("w_{nth}.pcap")));
        for nth in [0, 1] {
            fs::remove_file(names[nth]).unwrap();
            fs::write(&halves[nth], half(&whole[nth])).unwrap();
        }
        let others = without(&without(&traffic.parts, names[0]), names[1]);
        let all = [&others[..], &halves].concat();
        let mut work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(&all)));
        wait(&work, all.len() as u64);
        if stops {
            work.finish(false);
            work = Work::start(traffic.settings());
        }
        (0..2).for_each(|nth| complete(&halves[nth], names[nth], &whole[nth]));
        if !stops {
            halves.iter().for_each(|half| work.tell(Order::Gone(half.clone(), None)));
        }
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
        let health = Arc::clone(&work.health);
        assert_eq!(work.finish(true).quarantined, 0);
        assert!(health.healthy().0, "{}", health.healthy().1);
        let of_halves = |text: &str| text.contains("the file ends inside a record");
        let troubles = health.status().troubles;
        assert!(troubles.iter().all(|trouble| of_halves(&trouble.text)), "{troubles:?}");
        compare(&traffic.made(), &expected);
        // Nor does another start miss them.
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
        let health = Arc::clone(&work.health);
        assert_eq!(work.finish(true), Ended::default());
        assert!(health.healthy().0, "{}", health.healthy().1);
        fs::remove_dir_all(traffic.output()).unwrap();
    }
}

#[test]
fn a_capture_that_has_the_number_of_one_that_is_gone_is_another() {
    let traffic = Traffic::new(3000);
    let (early, late) = (&traffic.parts[0], traffic.parts.last().unwrap());
    let number = traffic.folder.path().join("in").join(SENSOR).join("number.pcap");
    let bytes = fs::read(late).unwrap();
    fs::rename(early, &number).unwrap();
    run(&traffic, &[std::slice::from_ref(&number), &traffic.parts[1..4]].concat(), false);
    // In its place, so that it has its number, and longer.
    let longer = [&bytes[..], &vec![0; fs::metadata(&number).unwrap().len() as usize]].concat();
    fs::write(&number, longer).unwrap();
    fs::rename(&number, late).unwrap();
    let work = Work::start(Settings { stable: Duration::from_millis(100), ..traffic.settings() });
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(late))));
    let health = Arc::clone(&work.health);
    work.finish(false);
    assert_eq!(health.status().sensors[0].lost, 1, "{:?}", health.status().troubles);
}

#[test]
fn a_capture_that_is_again_what_it_was_is_read_again() {
    let traffic = Traffic::new(3000);
    let expected = traffic.expected();
    let changes = &traffic.parts[10];
    let (whole, identity) = (fs::read(changes).unwrap(), Identity::of(changes).unwrap());
    run(&traffic, &traffic.parts, true);
    for bytes in [half(&whole), &whole] {
        fs::write(changes, bytes).unwrap();
        let ended = run(&traffic, std::slice::from_ref(changes), true);
        assert_eq!((ended.files, ended.quarantined), (1, 0));
    }
    assert_eq!(Identity::of(changes).unwrap(), identity);
    compare(&traffic.made(), &expected);
    let held = Journal::open(&traffic.output()).unwrap().held().unwrap();
    assert!(held.iter().any(|held| held.identity == identity), "its age would never be looked at");
}

#[test]
fn a_capture_whose_name_another_had_for_a_while_is_read_again() {
    let traffic = Traffic::new(3000);
    let (changes, before) = (&traffic.parts[10], traffic.folder.path().join("before"));
    let files = traffic.parts.len() as u64;
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    wait(&work, files);
    fs::rename(changes, &before).unwrap();
    fs::write(changes, half(&fs::read(&before).unwrap())).unwrap();
    for nth in 1..=2 {
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(changes))));
        wait(&work, files + nth);
        if nth == 1 {
            fs::rename(&before, changes).unwrap();
        }
    }
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &traffic.expected());
}

/// Puts captures under the names of a ring of three, one behind the other; what overwrites one has a number of its own.
fn ring(traffic: &Traffic, work: &Work, parts: &[PathBuf]) {
    for (nth, part) in parts.iter().enumerate() {
        let name = part.with_file_name(format!("ring{}.pcap", nth % 3));
        let whole = part.with_extension("tmp");
        fs::copy(part, &whole).unwrap();
        fs::rename(&whole, &name).unwrap();
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&name))));
        wait(work, nth as u64 + 1);
    }
}

#[test]
fn a_ring_loses_nothing_while_it_is_read_and_a_stop_says_what() {
    let traffic = Traffic::new(3000);
    let work = Work::start(traffic.settings());
    let health = Arc::clone(&work.health);
    ring(&traffic, &work, &traffic.parts);
    assert_eq!(work.finish(true).quarantined, 0);
    assert!(health.status().troubles.is_empty(), "{:?}", health.status().troubles);
    compare(&traffic.made(), &traffic.expected());

    let traffic = Traffic::new(3000);
    let (before, after) = traffic.parts.split_at(traffic.parts.len() / 2);
    let work = Work::start(traffic.settings());
    ring(&traffic, &work, before);
    assert_eq!(work.finish(false).quarantined, 0);
    // What open hours need of those that are overwritten is lost with the run.
    let work = Work::start(traffic.settings());
    let health = Arc::clone(&work.health);
    ring(&traffic, &work, after);
    let lost = work.finish(true).quarantined;
    let troubles = health.status().troubles;
    let told = troubles.iter().filter(|trouble| trouble.text.contains("another has its name"));
    assert!(lost >= 3 && told.count() as u64 == lost, "{lost} {troubles:?}");
    let work = Work::start(traffic.settings());
    assert_eq!(work.finish(true).quarantined, 0, "it is told once");
}

#[test]
fn a_ring_that_is_too_small_says_so_and_reads_what_is_there_again() {
    let traffic = Traffic::new(3000);
    let (parts, before) = (&traffic.parts, traffic.folder.path().join("before"));
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&parts[..4])));
    wait(&work, 4);
    // No hour is out, and all is in memory.
    fs::rename(&parts[0], &before).unwrap();
    fs::rename(&parts[4], &parts[0]).unwrap();
    work.tell(Order::Complete(traffic.arrivals(&parts[..1])));
    wait(&work, 5);
    assert!(work.health.status().troubles.is_empty(), "{:?}", work.health.status().troubles);
    work.finish(false);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&parts[..4])));
    let end = Instant::now() + Duration::from_secs(20);
    let is_told = || work.health.status().troubles.iter().any(|trouble| trouble.text.contains("another has its name"));
    while !is_told() {
        assert!(Instant::now() < end, "{:?}", work.health.status().troubles);
        thread::sleep(Duration::from_millis(2));
    }
    assert!(!work.health.healthy().0);
    fs::rename(&parts[0], &parts[4]).unwrap();
    fs::rename(&before, &parts[0]).unwrap();
    work.tell(Order::Complete(traffic.arrivals(parts)));
    work.finish(true);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn what_a_ring_overwrites_before_it_is_read_is_missed() {
    let traffic = Traffic::new(3000);
    for is_told in [true, false] {
        let (waits, next) = (&traffic.parts[10], &traffic.parts[20]);
        let kept = [waits, next].map(|part| fs::read(part).unwrap());
        let others = without(&without(&traffic.parts, waits), next);
        let work = Work::start(Settings { output: traffic.output().join(is_told.to_string()), ..traffic.settings() });
        let health = Arc::clone(&work.health);
        work.tell(Order::Complete(traffic.arrivals(&others)));
        wait(&work, others.len() as u64);
        // It is late, and waits for a second.
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(waits))));
        thread::sleep(Duration::from_millis(200));
        fs::rename(next, waits).unwrap();
        if is_told {
            work.tell(Order::Gone(waits.clone(), None));
        }
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(waits))));
        wait(&work, others.len() as u64 + 1);
        // The end waits for what may have got another name.
        assert_eq!(work.finish(is_told).quarantined, 1);
        let troubles = health.status().troubles;
        assert!(troubles[0].text.ends_with("another took its name before it was read"), "{troubles:?}");
        let captures = [&others[..], std::slice::from_ref(waits)].concat();
        let made = read(&traffic.output().join(is_told.to_string()));
        let made =
            made.into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "csv" || end == "jsonl"));
        if is_told {
            compare(&made.collect(), &traffic.expected_of(&captures));
        }
        for (part, bytes) in [waits, next].into_iter().zip(kept) {
            fs::write(part, bytes).unwrap();
        }
    }
}

#[test]
fn what_becomes_another_while_its_line_is_busy_is_missed_and_what_grows_is_not() {
    for grows in [false, true] {
        let traffic = Traffic::new(3000);
        let (told, next) = (&traffic.parts[3], &traffic.parts[4]);
        let whole = fs::read(told).unwrap();
        if grows {
            fs::write(told, half(&whole)).unwrap();
        }
        let arrivals = traffic.arrivals(&traffic.parts[..4]);
        let others = without(&traffic.parts[5..], told);
        if grows {
            fs::File::options().append(true).open(told).unwrap().write_all(&whole[whole.len() / 2..]).unwrap();
        } else {
            fs::rename(next, told).unwrap();
        }
        let work = Work::start(traffic.settings());
        let health = Arc::clone(&work.health);
        work.tell(Order::Complete(arrivals));
        work.tell(Order::Gone(told.clone(), None));
        // What grows is complete later than files are missed.
        wait(&work, 3);
        thread::sleep(Duration::from_secs(if grows { 3 } else { 0 }));
        let captures = [&traffic.parts[..4], if grows { &traffic.parts[4..5] } else { &[] }, &others].concat();
        work.tell(Order::Complete(traffic.arrivals(&captures[3..])));
        wait(&work, captures.len() as u64);
        thread::sleep(Duration::from_secs(if grows { 0 } else { 3 }));
        assert_eq!(work.finish(true).quarantined, u64::from(!grows), "{:?}", health.status().troubles);
        compare(&traffic.made(), &traffic.expected_of(&captures));
    }
}

#[test]
fn what_a_ring_overwrites_while_nothing_runs_is_missed_file_by_file() {
    let traffic = Traffic::new(3000);
    let parts = &traffic.parts;
    run(&traffic, &parts[..6], false);
    // Hours later, and another behind the first hour is read before them.
    let (later, [first, second]) = (&parts[30], [&parts[0], &parts[1]]);
    fs::rename(&parts[40], first).unwrap();
    fs::rename(&parts[41], second).unwrap();
    let there = [&parts[..6], std::slice::from_ref(later)].concat();
    let work = Work::start(traffic.settings());
    let health = Arc::clone(&work.health);
    work.tell(Order::Complete(traffic.arrivals(&there)));
    let ended = work.finish(true);
    let troubles = health.status().troubles;
    assert_eq!((ended.files, ended.quarantined), (3, 2), "{troubles:?}");
    for path in [first, second] {
        let lost = format!("{}: another has its name", path.display());
        assert_eq!(troubles.iter().filter(|trouble| trouble.text.starts_with(&lost)).count(), 1, "{troubles:?}");
    }
    compare(&traffic.made(), &traffic.expected_of(&there));
    assert_eq!(run(&traffic, &there, true).quarantined, 0, "it is told once");
}

#[test]
fn what_a_ring_overwrites_slowly_is_missed_when_that_is_done() {
    let traffic = Traffic::new(3000);
    let parts = &traffic.parts;
    run(&traffic, &parts[..6], false);
    let (whole, later) = (fs::read(&parts[40]).unwrap(), &parts[30]);
    // Its header alone says nothing of what it will be.
    fs::write(&parts[0], &whole[..24]).unwrap();
    let work = Work::start(traffic.settings());
    let health = Arc::clone(&work.health);
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(later))));
    wait(&work, 1);
    fs::write(&parts[0], &whole).unwrap();
    work.tell(Order::Complete(traffic.arrivals(&parts[..1])));
    let ended = work.finish(true);
    let troubles = health.status().troubles;
    assert_eq!((ended.files, ended.quarantined), (2, 1), "{troubles:?}");
    assert!(troubles.iter().any(|trouble| trouble.text.contains("another has its name")), "{troubles:?}");
}

#[test]
fn what_was_never_read_and_has_lost_its_name_is_missed_and_what_took_it_is_read() {
    let traffic = Traffic::new(3000);
    let (unread, next) = (&traffic.parts[3], &traffic.parts[4]);
    let run = |parts: &[PathBuf]| {
        let work = Work::start(traffic.settings());
        let health = Arc::clone(&work.health);
        work.tell(Order::Complete(traffic.arrivals(parts)));
        (work.finish(true), health.status().troubles)
    };
    run(&traffic.parts[..3]);
    // As it is when a run is killed that reads it.
    let fed = Fed { path: unread.clone(), identity: Identity::of(unread).unwrap(), first: None, next: None };
    let first = Capture::open(unread, Io::Auto).unwrap().first_time().unwrap();
    Journal::open(&traffic.output()).unwrap().fed(SENSOR, &Fed { first, ..fed }).unwrap();
    fs::rename(next, unread).unwrap();
    let (ended, troubles) = run(&traffic.parts[..4]);
    assert_eq!((ended.files, ended.quarantined), (1, 1), "{troubles:?}");
    assert!(troubles.iter().any(|trouble| trouble.text.contains("another has its name")), "{troubles:?}");
    compare(&traffic.made(), &traffic.expected_of(&traffic.parts[..4]));
    let (ended, troubles) = run(&traffic.parts[..4]);
    assert_eq!((ended.files, ended.quarantined), (0, 0), "{troubles:?}");
}

#[test]
fn hours_are_not_made_again_without_what_a_ring_has_overwritten() {
    let traffic = Traffic::new(3000);
    let (before, after) = traffic.parts.split_at(15);
    run(&traffic, before, true);
    let made = traffic.made();
    // It begins in an hour that is out, and so does what it takes the name of.
    fs::rename(&after[0], &before[3]).unwrap();
    assert_eq!(run(&traffic, &before[3..4], true).quarantined, 1);
    compare(&traffic.made(), &made);
}

#[test]
fn a_file_that_was_emptied_makes_no_other_late() {
    let traffic = Traffic::new(3000);
    let expected = traffic.expected();
    let (empties, late) = (&traffic.parts[10], &traffic.parts[12]);
    let whole = fs::read(empties).unwrap();
    run(&traffic, &without(&traffic.parts, late), false);
    fs::write(empties, "").unwrap();
    assert_eq!(run(&traffic, std::slice::from_ref(empties), false).quarantined, 0);
    assert_eq!(run(&traffic, std::slice::from_ref(late), true).quarantined, 0);
    fs::write(empties, &whole).unwrap();
    assert_eq!(run(&traffic, std::slice::from_ref(empties), true).quarantined, 0);
    compare(&traffic.made(), &expected);
}

#[test]
fn a_capture_whose_name_a_later_one_had_for_a_while_is_read_again() {
    let traffic = Traffic::new(3000);
    let (parts, before) = (&traffic.parts, traffic.folder.path().join("before"));
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&parts[..50])));
    wait(&work, 50);
    // Its own hour is out, and what takes its name begins behind it.
    fs::rename(&parts[3], &before).unwrap();
    fs::copy(&parts[45], &parts[3]).unwrap();
    work.tell(Order::Complete(traffic.arrivals(&parts[3..4])));
    wait(&work, 51);
    fs::rename(&before, &parts[3]).unwrap();
    work.tell(Order::Complete(traffic.arrivals(&parts[3..4])));
    wait(&work, 52);
    work.tell(Order::Complete(traffic.arrivals(&parts[50..])));
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn an_hour_whose_packets_are_gone_has_no_file() {
    let hour = |nth: i64| every(nth * 3600 - 3600..nth * 3600 - 3500, 10);
    // In the midst, and the last one.
    for replaced in [1, 2] {
        let traffic = captures(&[hour(0), hour(1), hour(2)]);
        run(&traffic, &traffic.parts, true);
        let of_groups =
            traffic.output().join("groups").join(SENSOR).join(format!("2025/10/09/{}.jsonl", 10 + replaced));
        assert!(of_groups.exists());
        // The name is of other packets now, of the first hour.
        let part = &traffic.parts[replaced..=replaced];
        write(&part[0], &every(-3400..-3300, 10));
        assert_eq!(run(&traffic, part, true).quarantined, 0);
        compare(&traffic.made(), &traffic.expected_of(&traffic.parts));
        let left = Journal::open(&traffic.output()).unwrap().written().unwrap();
        assert_eq!(left.iter().filter(|hour| !traffic.output().join(&hour.file.path).exists()).count(), 0);
    }
}

#[test]
fn scans_are_whole_where_a_stop_came_before_their_groups_were_out() {
    let traffic = Traffic::new(20_000);
    run(&traffic, &traffic.parts, true);
    let (made, journal) = (traffic.made(), Journal::open(&traffic.output()).unwrap());
    let of_scans = made.iter().filter(|(path, text)| path.starts_with("scans") && !text.is_empty());
    assert!(of_scans.count() > 0);
    // Scans are out, and groups are not.
    let nothing = Advance { product: "groups".into(), out: Out::NOTHING, file: None, gone: Vec::new() };
    journal.commit(SENSOR, &[nothing], None).unwrap();
    drop(journal);
    run(&traffic, &traffic.parts, true);
    compare(&traffic.made(), &made);
}
