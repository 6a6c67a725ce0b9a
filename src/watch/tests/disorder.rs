//! Packets out of order around the silences that end flows: a restart needs what a whole run would have had.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::silent::{Body, captures, packet};
use super::traffic::{Framed, Traffic, Work, compare};
use crate::time::NS_PER_SECOND as S;
use crate::watch::line::Order;

/// What is made together: of several, what all need is read again.
const PRODUCTS: [&[&str]; 5] = [
    &["flows"],
    &["flows:cic"],
    &["buckets:1s@csv"],
    &["flows", "buckets:1min@csv"],
    &["flows:cic", "flows:nf-v3", "buckets:1min@csv"],
];

/// What lines make of captures; each is told the first so many, and the last ends the input.
fn made(traffic: &Traffic, products: &[&str], told: &[usize]) -> BTreeMap<PathBuf, String> {
    for (nth, files) in told.iter().enumerate() {
        let work = Work::start(traffic.settings_for(products));
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..*files])));
        work.finish(nth + 1 == told.len());
    }
    let made = traffic.made();
    fs::remove_dir_all(traffic.output()).unwrap();
    made
}

/// Stops behind each file, once behind one and once behind all.
fn stopped_anywhere(traffic: &Traffic, products: &[&str]) {
    let all = traffic.parts.len();
    let whole = made(traffic, products, &[all]);
    (1..all).for_each(|behind| compare(&made(traffic, products, &[behind, all]), &whole));
    compare(&made(traffic, products, &(1..=all).collect::<Vec<_>>()), &whole);
}

#[test]
fn a_flow_that_goes_on_since_a_late_packet_came_is_needed_from_its_begin() {
    let tcp = |milliseconds: i64| packet(milliseconds * (S / 1000), [5000, 80], Body::Tcp(0x18));
    for late in [110, 200, 30_000] {
        let back = [3_200_000, 3_500_100, 3_500_100 - late, 3_700_000].map(tcp).to_vec();
        let files =
            [vec![tcp(2_900_000), tcp(3_000_000)], back, vec![tcp(3_950_000), tcp(4_100_000)], vec![tcp(4_300_000)]];
        stopped_anywhere(&captures(&files), &["flows", "buckets:1min"]);
    }
}

/// A step of one flow, nanoseconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet behind the one before it.
    Goes(i64),
    /// One behind the idle timeout by so much, and behind it in the file one of so much before that.
    IsLate(i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..290 * S).prop_map(Step::Goes),
        2 => (11_000_000..S, 0..S).prop_map(|(behind, before)| Step::IsLate(behind, before)),
        1 => (301 * S..700 * S).prop_map(Step::Goes),
    ]
}

/// Captures of a few steps each.
fn one_flow(all: &[Step], steps: usize) -> Traffic {
    let mut now = -2400 * S;
    let tcp = |time: i64| packet(time, [5000, 80], Body::Tcp(0x18));
    let mut parts: Vec<Vec<Framed>> = Vec::new();
    for steps in all.chunks(steps) {
        let mut frames = Vec::new();
        for step in steps {
            match *step {
                Step::Goes(on) => now += on,
                Step::IsLate(behind, before) => {
                    now += 300 * S;
                    frames.extend([tcp(now + behind), tcp(now - before)]);
                    now += behind + 1;
                }
            }
            frames.push(tcp(now));
        }
        parts.push(frames);
    }
    captures(&parts)
}

/// A packet: how long behind the one before it of its 5-tuple, which of these that is, and how much later than its turn it is written; nanoseconds.
type Drawn = (i64, u16, i64);

fn drawn() -> impl Strategy<Value = Drawn> {
    let around = prop::sample::select(&[0, 0, 0, 1, 60, 120, 200, 299, 300, 300, 300, 301, 420, 700][..]);
    let about = prop_oneof![Just(0), -20_000_000..20_000_000_i64, 0..S / 4, 0..S / 4, -S..S];
    let late = prop_oneof![
        4 => Just(0),
        1 => 0..20_000_000_i64,
        3 => 0..S,
        1 => 0..30 * S,
        1 => 0..500 * S,
    ];
    (around, about, 0..4_u16, late).prop_map(|(around, about, tuple, late)| ((around * S + about).max(0), tuple, late))
}

/// Captures of these, from before the end of an hour, one behind the other; each is in disorder for itself.
fn disordered(all: &[Drawn], tuples: u16, files: usize) -> Traffic {
    let mut clocks = [-1800 * S; 4];
    let mut frames: Vec<(Framed, i64)> = Vec::new();
    for (behind, tuple, late) in all {
        let tuple = tuple % tuples;
        let now = &mut clocks[usize::from(tuple)];
        *now += behind;
        let body = if tuple == 3 { Body::Udp } else { Body::Tcp(0x18) };
        frames.push((packet(*now, [5000 + tuple, 80], body), *late));
    }
    frames.sort_by_key(|((time, _), _)| *time);
    frames.dedup_by_key(|((time, _), _)| *time);
    let mut parts: Vec<Vec<Framed>> = Vec::new();
    let packets = frames.len().div_ceil(files);
    for file in frames.chunks_mut(packets) {
        file.sort_by_key(|((time, _), late)| time.0 + late);
        parts.push(file.iter().map(|(frame, _)| frame.clone()).collect());
    }
    captures(&parts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn a_flow_is_needed_as_far_back_as_late_packets_join_it(all in prop::collection::vec(step(), 24..40), steps in 1..4_usize) {
        stopped_anywhere(&one_flow(&all, steps), &["flows", "buckets:1min@csv"]);
    }

    #[test]
    fn what_comes_out_of_order_is_the_same_wherever_it_stopped(
            all in prop::collection::vec(drawn(), 40..70),
            tuples in 1..=4_u16,
            files in 5..9_usize,
            products in prop::sample::select(&PRODUCTS[..]),
        ) {
            stopped_anywhere(&disordered(&all, tuples, files), products);
    }
}
