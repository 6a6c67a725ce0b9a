//! Files that come late, and what they need.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::names::without;
use super::silent::{Body, ELEVEN, captures, packet, udp};
use super::traffic::{Framed, SENSOR, Traffic, Work, compare, write};
use super::wild::without_ids;
use super::{metric, wait};
use crate::capture::{Capture, Io, Records};
use crate::config::Config;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::buckets::Settings as BucketSettings;
use crate::watch::Product;
use crate::watch::journal::Journal;
use crate::watch::line::Order;
use crate::watch::spans::hour;

fn frames(capture: &Path) -> Vec<Framed> {
    let (mut capture, mut records) = (Capture::open(capture, Io::Auto).unwrap(), Records::default());
    let mut frames = Vec::new();
    while capture.fill(&mut records, 64).unwrap() {
        frames.extend(records.list().iter().map(|record| {
            let from = record.offset as usize;
            (record.time, records.bytes()[from..from + record.captured as usize].to_vec())
        }));
    }
    frames
}

/// Parts a capture in two of the same time: every second packet. Both have the first one if they are to begin at once.
fn halves(part: &PathBuf, at_once: bool) -> [PathBuf; 2] {
    let all = frames(part);
    fs::remove_file(part).unwrap();
    [0, 1].map(|half| {
        let path = part.with_extension(format!("eth{half}.pcap"));
        write(
            &path,
            (0..).zip(&all).filter(|(nth, _)| nth % 2 == half || at_once && *nth == 0).map(|(_, frame)| frame),
        );
        path
    })
}

#[test]
fn captures_that_overlap_make_the_same_one_by_one() {
    let traffic = Traffic::new(20_000);
    let parts: Vec<PathBuf> = traffic.parts.iter().flat_map(|part| halves(part, false)).collect();
    let work = Work::start(traffic.settings());
    // Around the end of an hour, and in the last one.
    let alone = |nth: usize| (54..62).contains(&nth) || nth + 4 >= parts.len();
    let mut told = 0;
    for (nth, part) in parts.iter().enumerate() {
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(part))));
        told += 1;
        if alone(nth) {
            wait(&work, told);
        }
    }
    wait(&work, told);
    let ended = work.finish(true);
    assert_eq!((ended.quarantined, ended.packets), (0, 20_000));
    compare(&traffic.made(), &traffic.expected_of(&parts));
}

#[test]
fn a_late_file_cuts_no_flow_that_is_out_whole() {
    let traffic = Traffic::new(20_000);
    let at = traffic.parts.len() - 10;
    let others = without(&traffic.parts, &traffic.parts[at]);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    work.finish(true);
    let made = traffic.made();
    let first = |part: &PathBuf| Capture::open(part, Io::Auto).unwrap().first_time().unwrap().unwrap();
    let from = Timestamp(hour(first(&traffic.parts[at]).0 - 600 * NS_PER_SECOND));
    let journal = Journal::open(&traffic.output()).unwrap();
    let products = ["groups", "flows", "flows-cic", "flows-nf-v3", "buckets-1s"];
    let needs = products.map(|product| journal.needed(SENSOR, product, from).unwrap()).into_iter().min().unwrap();
    // In front of the hours that are made again, and with a flow in them.
    let gone = traffic.parts.iter().find(|part| first(part) >= needs).unwrap();
    assert!(first(gone) < from);
    fs::remove_file(gone).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[at..=at])));
    let health = Arc::clone(&work.health);
    assert_eq!(work.finish(true).quarantined, 1);
    let troubles = health.status().troubles;
    assert!(troubles.iter().any(|trouble| trouble.text.contains(": late: ")), "{troubles:?}");
    compare(&traffic.made(), &made);
}

#[test]
fn a_late_file_waits_for_a_capture_that_is_away_for_a_moment() {
    let traffic = Traffic::new(5000);
    let (away, late) = (&traffic.parts[30], &traffic.parts[12]);
    let others = without(&traffic.parts, late);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    wait(&work, others.len() as u64);
    let elsewhere = traffic.folder.path().join("elsewhere");
    fs::rename(away, &elsewhere).unwrap();
    work.tell(Order::Gone(away.clone(), None));
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(late))));
    thread::sleep(Duration::from_secs(3));
    fs::rename(&elsewhere, away).unwrap();
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(away))));
    wait(&work, traffic.parts.len() as u64);
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_was_too_late_has_its_hours_when_what_it_needs_is_back() {
    let traffic = Traffic::new(5000);
    let (away, late) = (&traffic.parts[30], &traffic.parts[12]);
    let elsewhere = traffic.folder.path().join("elsewhere");
    let others = without(&traffic.parts, late);
    let hand_in = |parts: &[PathBuf]| {
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(parts)));
        work.finish(true)
    };
    hand_in(&others);
    fs::rename(away, &elsewhere).unwrap();
    assert_eq!(hand_in(std::slice::from_ref(late)).quarantined, 1);
    // Told again, with nothing changed, it stays.
    assert_eq!(hand_in(std::slice::from_ref(late)).files, 0);
    let work = Work::start(traffic.settings());
    work.tell(Order::Gone(away.clone(), None));
    fs::rename(&elsewhere, away).unwrap();
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(away))));
    wait(&work, 1);
    work.finish(true);
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_loses_one_of_two_names_is_held() {
    let traffic = Traffic::new(5000);
    let (twice, late) = (&traffic.parts[20], &traffic.parts[12]);
    let second = twice.with_extension("link.pcap");
    let others = without(&traffic.parts, late);
    for keeps in [twice, &second] {
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(&others)));
        wait(&work, others.len() as u64);
        fs::hard_link(twice, &second).unwrap();
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&second))));
        let loses = if keeps == twice { &second } else { twice };
        thread::sleep(Duration::from_millis(100));
        fs::remove_file(loses).unwrap();
        work.tell(Order::Gone(loses.clone(), None));
        work.tell(Order::Complete(traffic.arrivals(&[keeps.clone(), late.clone()])));
        wait(&work, traffic.parts.len() as u64);
        assert_eq!(work.finish(true).quarantined, 0);
        compare(&traffic.made(), &traffic.expected());
        if keeps == twice {
            fs::remove_dir_all(traffic.output()).unwrap();
        }
    }
}

#[test]
fn captures_that_begin_at_once_have_one_order() {
    let traffic = Traffic::new(5000);
    let parts: Vec<[PathBuf; 2]> = traffic.parts.iter().map(|part| halves(part, true)).collect();
    let work = Work::start(traffic.settings());
    let mut told = 0;
    for (nth, pair) in parts.iter().enumerate() {
        for part in pair.iter().rev() {
            work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(part))));
            told += 1;
            if nth % 20 == 3 {
                wait(&work, told);
            }
        }
    }
    assert_eq!(work.finish(true).quarantined, 0);
    compare(&traffic.made(), &traffic.expected_of(&parts.concat()));
}

#[test]
fn a_flow_that_goes_on_in_another_capture_is_needed_from_where_it_began() {
    let traffic = Traffic::new(3000);
    let all = frames(&traffic.whole);
    let (flow, other) = (&all[0].1, &all.iter().find(|(_, frame)| frame[26..38] != all[0].1[26..38]).unwrap().1);
    let end = hour(all[0].0.0) + 3600 * NS_PER_SECOND;
    let every = |from: i64, to: i64, step: usize, frame: &Vec<u8>| -> Vec<Framed> {
        let seconds = (from..=to).step_by(step);
        seconds.map(|second| (Timestamp(end + second * NS_PER_SECOND), frame.clone())).collect()
    };
    // In the second it is silent for longer than any flow may be, and in the third it goes on meanwhile.
    let mut second = [every(-600, -600, 1, flow), every(-590, 270, 30, other), every(280, 280, 1, flow)].concat();
    second.sort_by_key(|(time, _)| *time);
    let captures = [every(-1000, -650, 50, flow), second, every(-560, 240, 50, flow), every(800, 1500, 100, other)];
    traffic.parts.iter().for_each(|part| fs::remove_file(part).unwrap());
    let parts = &traffic.parts[..captures.len()];
    parts.iter().zip(&captures).for_each(|(part, frames)| write(part, frames));
    for close in [false, true] {
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(parts)));
        work.finish(close);
    }
    compare(&traffic.made(), &traffic.expected_of(parts));
}

/// What a line makes of captures that it is told in this order, each by itself; and how many packets it says are late.
fn one_by_one(traffic: &Traffic, products: &[&str], order: &[usize]) -> (BTreeMap<PathBuf, String>, u64) {
    let work = Work::start(traffic.settings_for(products));
    for (told, at) in (1..).zip(order) {
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[*at..=*at])));
        wait(&work, told);
    }
    let health = Arc::clone(&work.health);
    assert_eq!(work.finish(true).quarantined, 0);
    let late = metric(&[health.prometheus(), String::new()], "late_packets_total");
    let made = traffic.made();
    fs::remove_dir_all(traffic.output()).unwrap();
    (made, late)
}

#[test]
fn what_a_late_file_holds_of_times_before_its_first_packet_is_where_it_would_be() {
    // A file that ends an hour, one of the next hour, and one of that which begins with packets of the hour before.
    let ticks = |from: i64, to: i64| super::silent::every(from..to, 7);
    for (begins, before, left_out) in [
        (1, [0, -1], 0),
        (1, [-59, -60], 1),
        (40, [-2, -250], 1),
        (40, [-7200, 39], 1),
        (400, [-7200, -100], 2),
        (2 * 3600 + 3, [3600, 2 * 3600 + 1], 1),
    ] {
        let mut files = [ticks(-1200, -900), ticks(4000, 9000), ticks(begins, begins + 900)];
        files[2].splice(1..1, before.map(udp));
        let traffic = captures(&files);
        let in_order = if begins < 4000 { [0, 2, 1] } else { [0, 1, 2] };
        for products in [["flows"], ["buckets:1s"]] {
            let whole = one_by_one(&traffic, &products, &in_order);
            assert_eq!(whole.1, left_out, "{products:?} {begins} {before:?}");
            for order in [[0, 1, 2], [1, 2, 0], [2, 1, 0]] {
                let made = one_by_one(&traffic, &products, &order);
                compare(&made.0, &whole.0);
            }
        }
    }
}

/// What is made of captures in disorder.
const MADE: [&[&str]; 3] = [&["flows"], &["buckets:1s"], &["groups", "flows", "flows:cic", "buckets:1min"]];

/// Frames of a file: what is drawn of each is how many seconds behind the one before it comes, of which 5-tuple it is, and how many seconds before
/// that it is said to be.
fn drawn(begins: i64, all: &[(i64, u16, i64)]) -> Vec<Framed> {
    let mut now = begins;
    let frame = |(behind, tuple, before): &(i64, u16, i64)| {
        now += behind * NS_PER_SECOND / 10 + 1;
        packet(now - before * NS_PER_SECOND / 10, [5000 + tuple, 80], Body::Tcp(0x18))
    };
    all.iter().map(frame).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn captures_in_disorder_make_the_same_whichever_comes_late(
            files in prop::collection::vec(prop::collection::vec((
                prop::sample::select(&[1_i64, 20, 300, 900, 2990, 3010, 7000][..]),
                0..4_u16,
                prop::sample::select(&[0_i64, 0, 0, 0, 0, 1, 9, 20, 300, 590, 620, 3010, 40_000, 90_000][..]),
            ), 3..12), 3..6),
            begins in -3000..0_i64,
            order in Just(()).prop_perturb(|(), mut dice| dice.random::<u64>()),
            products in prop::sample::select(&MADE[..]),
        ) {
        let mut parts: Vec<Vec<Framed>> = Vec::new();
        let mut begins = begins * NS_PER_SECOND;
        for file in &files {
            let frames = drawn(begins, file);
            begins = frames.iter().map(|(time, _)| time.0).max().unwrap_or(0) - ELEVEN + NS_PER_SECOND;
            parts.push(frames);
        }
        // By their first packets, which are the ones that say where they stand.
        parts.sort_by_key(|frames| frames[0].0);
        let traffic = captures(&parts);
        let in_order: Vec<usize> = (0..parts.len()).collect();
        let (whole, late) = one_by_one(&traffic, products, &in_order);
        let mut other = in_order;
        let mut dice = order;
        for at in (1..other.len()).rev() {
            other.swap(at, (dice % (at as u64 + 1)) as usize);
            dice /= at as u64 + 1;
        }
        let (made, _) = one_by_one(&traffic, products, &other);
        compare(&without_ids(made), &without_ids(whole));
        // By hand: what is late of a file is so by its first packet.
        if !products.contains(&"groups") {
            let from = |of: &Vec<Framed>| of[0].0.0 - 60 * NS_PER_SECOND;
            let by_hand = parts.iter().flat_map(|of| of.iter().filter(|(time, _)| time.0 < from(of)));
            prop_assert_eq!(late, by_hand.count() as u64);
        }
    }
}

#[test]
fn hours_are_made_again_from_where_the_row_of_a_long_gap_begins() {
    let config = Config::default();
    let (buckets, limit) = (Product::parse("buckets:1s").unwrap(), BucketSettings::default().gap_limit as i64);
    // From 2 s on there is nothing.
    let gap = |at: i64, to: i64| if at > 2 * NS_PER_SECOND { [2 * NS_PER_SECOND, to * NS_PER_SECOND] } else { [at; 2] };
    let from = |to: i64| buckets.changes(1000 * NS_PER_SECOND, |at| gap(at, to), &config);
    // As many empty rows as buckets have one by one, and one more.
    assert_eq!([from(2 + limit), from(3 + limit)], [940, 2].map(|second| second * NS_PER_SECOND));
}

#[test]
fn a_late_file_has_the_hour_in_which_what_is_left_begins() {
    for product in ["groups", "flows:cic"] {
        let minutes = |begins: i64| vec![udp(60 * begins), udp(60 * begins + 30)];
        let traffic = captures(&[10, 80, 110, 150].map(minutes));
        let expected = traffic.expected_of(&traffic.parts);
        let (gone, late) = (&traffic.parts[0], &traffic.parts[1]);
        let settings = || traffic.settings_for(&[product]);
        let work = Work::start(settings());
        work.tell(Order::Complete(traffic.arrivals(&without(&traffic.parts, late))));
        work.finish(false);
        fs::remove_file(gone).unwrap();
        let work = Work::start(settings());
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[2..])));
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(late))));
        assert_eq!(work.finish(true).quarantined, 0, "{product}");
        let of_product =
            |path: &PathBuf| path.iter().next().is_some_and(|first| first.to_str() == Some(&product.replace(':', "-")));
        let expected = expected.into_iter().filter(|(path, _)| of_product(path)).collect();
        let made = traffic.made().into_iter().filter(|(path, _)| of_product(path)).collect();
        compare(&made, &expected);
    }
}

#[test]
fn two_late_files_of_an_hour_that_was_empty_are_both_in_it() {
    let minutes = |begins: i64| vec![udp(60 * begins), udp(60 * begins + 30)];
    let traffic = captures(&[13, 33, 68, 119, 151].map(minutes));
    for products in [&["flows:cic"][..], &["flows:nf-v3", "groups"], &["flows", "buckets:1s@csv"]] {
        let work = Work::start(traffic.settings_for(products));
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
        work.finish(true);
        let whole = traffic.made();
        fs::remove_dir_all(traffic.output()).unwrap();
        for (nth, comes) in [&[0, 1, 4][..], &[2], &[3]].into_iter().enumerate() {
            let work = Work::start(traffic.settings_for(products));
            let comes: Vec<PathBuf> = comes.iter().map(|part| traffic.parts[*part].clone()).collect();
            work.tell(Order::Complete(traffic.arrivals(&comes)));
            assert_eq!(work.finish(nth == 2).quarantined, 0);
        }
        compare(&traffic.made(), &whole);
        fs::remove_dir_all(traffic.output()).unwrap();
    }
}

/// Nothing was needed of the hour before, for there was a silence; what comes into it goes on from there.
#[test]
fn a_late_file_in_a_silence_knows_what_was_before_the_hour() {
    let again = |second: i64| packet(second * NS_PER_SECOND, [4000, 80], Body::Tcp(0x10));
    let files = [vec![again(-90)], vec![udp(-80)], vec![udp(-5)], vec![again(120)], vec![udp(1500), udp(1510)]];
    let traffic = captures(&files);
    for products in [&["buckets:1s"][..], &["flows:cic"], &["flows"], &["buckets:100ms", "flows:nf-v3"]] {
        let (whole, _) = one_by_one(&traffic, products, &[0, 1, 2, 3, 4]);
        let (late, _) = one_by_one(&traffic, products, &[0, 1, 2, 4, 3]);
        compare(&without_ids(late), &without_ids(whole));
    }
}

#[test]
fn what_takes_the_name_of_the_oldest_is_the_next_though_nothing_is_held_of_before() {
    let files = [
        vec![udp(-3000), udp(-2990)],
        vec![udp(-100), udp(-90)],
        vec![udp(100), udp(150), udp(160)],
        vec![udp(170), udp(180)],
    ];
    let traffic = captures(&files);
    let (whole, _) = one_by_one(&traffic, &["flows:cic"], &[0, 1, 2, 3]);
    let work = Work::start(traffic.settings_for(&["flows:cic"]));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..3])));
    wait(&work, 3);
    fs::rename(&traffic.parts[3], &traffic.parts[0]).unwrap();
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..1])));
    wait(&work, 4);
    assert_eq!(work.finish(true).quarantined, 0, "it is not late");
    compare(&traffic.made(), &whole);
}
