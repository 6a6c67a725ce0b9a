//! Late files with packets from before their first one.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::silent::{Body, captures, packet, udp};
use super::traffic::{Framed, Traffic, Work, compare};
use crate::time::{NS_PER_SECOND as S, Timestamp};
use crate::watch::line::Order;

/// What is made together.
const PRODUCTS: [&[&str]; 6] = [
    &["groups"],
    &["flows"],
    &["buckets:1s@csv"],
    &["buckets:1min@csv", "flows:cic/capture"],
    &["groups", "flows", "buckets:1min@csv"],
    &["groups/capture", "flows:cic", "flows:nf-v3", "buckets:100ms@csv"],
];

/// What is made of captures that are told together, and then of those behind.
fn made(traffic: &Traffic, products: &[&str], told: &[Vec<PathBuf>]) -> BTreeMap<PathBuf, String> {
    for (nth, files) in told.iter().enumerate() {
        let work = Work::start(traffic.settings_for(products));
        work.tell(Order::Complete(traffic.arrivals(files)));
        // Which of the records that stand in the next hour are told to be late ones is not asked here.
        work.tell(Order::Finish { close: nth + 1 == told.len() });
        assert_eq!(work.thread.join().unwrap().unwrap().quarantined, 0);
    }
    let made = traffic.made();
    fs::remove_dir_all(traffic.output()).unwrap();
    made
}

/// A capture: how long behind the begin of the one before it begins, and its packets: how long behind the one before each is, of which 5-tuple, and how
/// far back from there; nanoseconds.
type Drawn = (i64, Vec<(i64, u16, i64)>);

fn drawn() -> impl Strategy<Value = Drawn> {
    let begins = prop_oneof![3 => S..1200 * S, 1 => S..3 * 3600 * S, 1 => Just(3600 * S - 40_000_000)];
    let on = prop_oneof![3 => 0..2 * S, 1 => 0..400 * S];
    let back = prop_oneof![
        6 => Just(0),
        2 => 0..4 * S,
        1 => 0..60 * S,
        1 => 0..5 * 3600 * S,
        1 => 0..60 * 3600 * S,
    ];
    (begins, prop::collection::vec((on, 0..6_u16, back), 1..7))
}

/// Captures of these, each in an order of its own.
fn drawn_captures(all: &[Drawn]) -> Traffic {
    let mut begin = -60 * S;
    let mut parts = Vec::new();
    for (behind, packets) in all {
        begin += behind;
        let mut now = begin;
        let mut frames: Vec<Framed> = Vec::new();
        for (nth, (on, tuple, back)) in packets.iter().enumerate() {
            now += on;
            let body = if *tuple == 5 { Body::Udp } else { Body::Tcp(0x18) };
            // The first one says when it begins.
            let time = if nth == 0 { begin } else { now - back };
            frames.push(packet(time, [5000 + tuple, 80], body));
        }
        parts.push(frames);
    }
    captures(&parts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_late_file_in_disorder_makes_what_a_clean_run_makes(
        all in prop::collection::vec((drawn(), 0..3_usize), 5..14),
        runs in 2..4_usize,
        products in prop::sample::select(&PRODUCTS[..]),
    ) {
        let traffic = drawn_captures(&all.iter().map(|(drawn, _)| drawn.clone()).collect::<Vec<_>>());
        let clean = made(&traffic, products, std::slice::from_ref(&traffic.parts));
        let mut told = vec![Vec::new(); runs];
        traffic.parts.iter().zip(&all).for_each(|(part, (_, run))| told[run % runs].push(part.clone()));
        let eventful = made(&traffic, products, &told);
        compare(&eventful, &clean);
    }
}

#[test]
fn rows_of_empty_buckets_go_on_behind_the_last_packet_in_order() {
    // What of the third file is of the first hour was over when that file began: the rows of the second hour begin behind the first file.
    let files = [
        vec![udp(-59), udp(87)],
        vec![udp(5319)],
        vec![udp(6914), udp(2206), udp(7157)],
        vec![udp(6004)],
        vec![udp(7677)],
    ];
    let mut in_order = files.to_vec();
    in_order.swap(2, 3);
    let clean = captures(&in_order);
    let clean = made(&clean, &["buckets:1s@csv"], std::slice::from_ref(&clean.parts));
    let traffic = captures(&files);
    let (first, last) = traffic.parts.split_at(3);
    compare(&made(&traffic, &["buckets:1s@csv"], &[first.to_vec(), last.to_vec()]), &clean);
}

#[test]
fn a_late_file_that_ends_with_a_packet_of_long_ago_ends_no_earlier_for_that() {
    // The second begins before the first ends; the others are before its latest packets.
    let files = [
        vec![udp(-3600), udp(1800)],
        vec![udp(600), udp(3600), udp(3690), udp(-90_000)],
        vec![udp(1830), udp(1920)],
        vec![udp(2400), udp(2460)],
        vec![udp(4200)],
    ];
    let traffic = captures(&files);
    for products in [["buckets:1s@csv"], ["flows"]] {
        let clean = made(&traffic, &products, std::slice::from_ref(&traffic.parts));
        let (first, last) = traffic.parts.split_at(1);
        compare(&made(&traffic, &products, &[first.to_vec(), last.to_vec()]), &clean);
        // And each by itself, to a line that works.
        let told: Vec<_> = traffic.parts.iter().map(|part| vec![part.clone()]).collect();
        compare(&made(&traffic, &products, &told), &clean);
    }
}

#[test]
fn a_late_file_parts_the_row_of_a_gap_that_lies_in_one_file() {
    let hours = |hours: i64| hours * 3600;
    // Between the two packets of the first, or of what is no packet of a view around a gap of two.
    let arp = |second: i64| (Timestamp(udp(second).0.0), [&[0xff; 12][..], &[8, 6], &[0; 28]].concat());
    let inside = vec![
        vec![udp(600), udp(hours(15)), udp(hours(15) + 1)],
        vec![udp(hours(17)), udp(hours(17) + 1)],
        vec![udp(hours(12)), udp(hours(12) + 60)],
    ];
    let around = vec![
        vec![udp(600), udp(660), arp(hours(11))],
        vec![arp(hours(14)), udp(hours(15)), udp(hours(16)), udp(hours(16) + 1)],
        vec![udp(hours(12)), udp(hours(12) + 60)],
    ];
    for files in [inside, around] {
        let traffic = captures(&files);
        let [first, second, late] = &traffic.parts[..] else { unreachable!("three files") };
        let clean = made(&traffic, &["buckets:1s@csv"], std::slice::from_ref(&traffic.parts));
        let told = [vec![first.clone(), second.clone()], vec![late.clone()]];
        compare(&made(&traffic, &["buckets:1s@csv"], &told), &clean);
    }
}

#[test]
fn what_is_late_for_a_bucket_is_so_behind_a_restart() {
    // The first file, or the packet an hour before, lets buckets leave; the second, which the hour that is not out needs, goes back behind these.
    let tenths = |tenths: i64| packet(36_000 * S / 10 + tenths * S / 10, [5000, 53], Body::Udp);
    let over = [-2, 3, -25, 5, 6, 50, 60, 6000, 12_000, 35_000, 35_010, 35_020].map(tenths).to_vec();
    let behind = vec![tenths(72_000), tenths(72_010), tenths(72_020)];
    for before in [vec![-600, -300, -20, -11], vec![-600, -300], vec![-36_600]] {
        let traffic = captures(&[before.into_iter().map(tenths).collect(), over.clone(), behind.clone()]);
        for products in [["buckets:100ms@csv"], ["buckets:1s@csv"], ["buckets:1min@csv"]] {
            let clean = made(&traffic, &products, std::slice::from_ref(&traffic.parts));
            let (first, last) = traffic.parts.split_at(2);
            compare(&made(&traffic, &products, &[first.to_vec(), last.to_vec()]), &clean);
        }
    }
}
