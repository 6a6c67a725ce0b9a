//! Silences around the ends of hours: what a view still holds is waited for, and no more.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::metric;
use super::traffic::{Framed, PRODUCTS, SENSOR, Traffic, Work, compare};
use crate::time::{NS_PER_SECOND as S, Timestamp};
use crate::watch::Settings;
use crate::watch::line::Order;

/// 2025-10-09T11:00:00Z.
pub(super) const ELEVEN: i64 = 1_760_007_600 * S;

/// TCP, by its flags, or UDP.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Tcp(u8),
    Udp,
}

/// A packet from 10.0.0.1 to 10.0.1.1, or back where the first port is the smaller, so many nanoseconds behind 11 h.
pub(super) fn packet(behind: i64, ports: [u16; 2], body: Body) -> Framed {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let (protocol, length) = match body {
        Body::Tcp(_) => (6, 20 + 20 + 3),
        Body::Udp => (17, 20 + 8 + 3),
    };
    let [from, to] = if ports[0] < ports[1] { [1, 0] } else { [0, 1] };
    frame.extend([0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, from, 1, 10, 0, to, 1]);
    frame.extend(ports.into_iter().flat_map(u16::to_be_bytes));
    match body {
        Body::Tcp(flags) => frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 32, 0, 0, 0, 0, 0]),
        Body::Udp => frame.extend([0, 8 + 3, 0, 0]),
    }
    frame.extend(*b"one");
    (Timestamp(ELEVEN + behind), frame)
}

fn tcp(behind: i64) -> Framed {
    packet(behind, [5000, 80], Body::Tcp(0x18))
}

/// One of its own 5-tuple.
pub(super) fn udp(seconds: i64) -> Framed {
    packet(seconds * S, [10_000 + seconds as u16 % 20_000, 53], Body::Udp)
}

pub(super) fn every(seconds: std::ops::Range<i64>, step: usize) -> Vec<Framed> {
    seconds.step_by(step).map(udp).collect()
}

pub(super) fn captures(captures: &[Vec<Framed>]) -> Traffic {
    Traffic::captures(captures.iter().map(Vec::as_slice))
}

/// Whether it is stopped behind so many files.
fn in_two_runs(traffic: &Traffic, behind: usize) {
    let (before, _) = traffic.parts.split_at(behind);
    for (parts, close) in [(before, false), (&traffic.parts[..], true)] {
        let work = Work::start(traffic.settings());
        parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        work.finish(close);
    }
}

/// Stops behind each file, once behind one and once behind all.
fn stopped_anywhere(traffic: &Traffic) {
    let expected = traffic.expected_of(&traffic.parts);
    let anew = || {
        compare(&traffic.made(), &expected);
        fs::remove_dir_all(traffic.output()).unwrap();
    };
    for behind in (0..traffic.parts.len()).step_by(1 + traffic.parts.len() / 12) {
        in_two_runs(traffic, behind);
        anew();
    }
    for nth in 0..traffic.parts.len() {
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..=nth])));
        work.finish(nth + 1 == traffic.parts.len());
    }
    anew();
}

#[test]
fn rows_that_wait_for_a_second_packet_are_of_their_hour() {
    let files = [vec![udp(-900), udp(-899), udp(-898)], vec![udp(-300)], vec![udp(30)], every(400..403, 1)];
    stopped_anywhere(&captures(&files));
}

#[test]
fn a_flow_that_another_follows_closely_is_of_its_hour() {
    let one_and_two = [udp(-200), tcp(-100 * S), tcp(290 * S)];
    let files = [one_and_two.into_iter().chain(every(300..400, 7)).collect(), every(400..1500, 7)];
    stopped_anywhere(&captures(&files));
    let sorted = |mut frames: Vec<Framed>| {
        frames.sort_by_key(|(time, _)| *time);
        frames
    };
    let with = |seconds, frame| sorted([every(seconds, 7), vec![frame]].concat());
    let files =
        [with(-200..-25, tcp(-30 * S)), every(-25..240, 7), with(240..400, tcp(290 * S + 5)), every(400..1500, 7)];
    stopped_anywhere(&captures(&files));
}

/// 5-tuples that speak in bursts of up to 10 ms, behind silences around those that end flows; files of a packet and of many.
fn bursts(seed: u64) -> Traffic {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut below = |n: u64| dice.next_u64() % n;
    let mut frames = Vec::new();
    for tuple in 0..10_u16 {
        let body = if tuple % 3 == 0 { Body::Udp } else { Body::Tcp(0) };
        let mut now = (below(600) as i64 - 2000) * S;
        while now < 5000 * S {
            for _ in 0..1 + below(4) {
                let body = match body {
                    Body::Tcp(_) => Body::Tcp([0x02, 0x10, 0x18, 0x18, 0x11, 0x04][below(6) as usize]),
                    Body::Udp => Body::Udp,
                };
                let ports = [5000 + tuple, 80];
                let ports = if below(5) < 2 { [ports[1], ports[0]] } else { ports };
                frames.push(packet(now, ports, body));
                now += below(4_000_000) as i64;
            }
            let silence = [1, 50, 119, 120, 121, 240, 299, 300, 301, 310, 420, 700][below(12) as usize];
            now += silence * S + below(40_000_000) as i64 - 20_000_000;
        }
    }
    frames.sort_by_key(|(time, _)| *time);
    frames.dedup_by_key(|(time, _)| *time);
    let mut files = Vec::new();
    let mut rest = &frames[..];
    while !rest.is_empty() {
        let packets = if below(3) == 0 { 1 } else { 1 + below(39) as usize };
        let (file, later) = rest.split_at(packets.min(rest.len()));
        files.push(file);
        rest = later;
    }
    Traffic::captures(files)
}

#[test]
fn bursts_behind_silences_are_in_their_hours_wherever_it_stopped() {
    for seed in 0..2 {
        let traffic = bursts(seed);
        assert!(traffic.parts.len() > 20, "{}", traffic.parts.len());
        stopped_anywhere(&traffic);
    }
}

#[test]
fn a_product_is_the_same_whatever_others_there_are() {
    // Captures of one time, read one behind the other; a 5-tuple in both, silent for longer than any flow.
    let turned = [vec![udp(0), tcp(500 * S), udp(600)], vec![udp(1), tcp(90 * S), udp(601)], vec![udp(700), udp(5000)]];
    let made = |traffic: &Traffic, products: &[&str]| {
        let work = Work::start(traffic.settings_for(products));
        traffic.parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        work.finish(true);
        let made = traffic.made();
        fs::remove_dir_all(traffic.output()).unwrap();
        made
    };
    for traffic in [captures(&turned), bursts(7)] {
        let expected = traffic.expected_of(&traffic.parts);
        for set in 1..1_u32 << PRODUCTS.len() {
            let products: Vec<&str> =
                (0..).zip(PRODUCTS).filter(|(nth, _)| set >> nth & 1 == 1).map(|(_, name)| name).collect();
            let names: Vec<String> =
                traffic.settings_for(&products).products.iter().map(|product| product.name()).collect();
            let is_ours = |path: &PathBuf| {
                let name = path.iter().next().unwrap().to_str().unwrap();
                names.iter().any(|ours| ours == name) || name == "scans" && names[0] == "groups"
            };
            let ours: BTreeMap<PathBuf, String> = expected
                .iter()
                .filter(|(path, _)| is_ours(path))
                .map(|(path, text)| (path.clone(), text.clone()))
                .collect();
            compare(&made(&traffic, &products), &ours);
        }
    }
}

#[test]
fn rows_of_wide_buckets_are_of_the_hour_in_which_they_begin() {
    let traffic = captures(&[every(-7200..-3000, 600), every(-3000..4000, 600), every(4000..90_000, 3000)]);
    let wide = ["buckets:7s@csv", "buckets:2h@csv"];
    for behind in 0..3 {
        for (parts, close) in [(&traffic.parts[..behind], false), (&traffic.parts[..], true)] {
            let work = Work::start(traffic.settings_for(&wide));
            parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
            work.finish(close);
        }
        for (path, text) in traffic.made() {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let hour: i64 = stem.parse().unwrap();
            for line in text.lines().skip(1) {
                let start: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
                assert_eq!((start as i64).rem_euclid(86_400) / 3600, hour, "{}: {line}", path.display());
            }
        }
        fs::remove_dir_all(traffic.output()).unwrap();
    }
}

#[test]
fn what_comes_late_in_its_file_is_counted_and_never_a_stray() {
    // Behind the marker inside a file that passes the hour comes one that goes back there.
    let back = packet(-50 * S, [9, 9], Body::Udp);
    let mut long: Vec<Framed> = (0..66_000).map(|nth| tcp(-100 * S + nth * S / 66)).collect();
    long.extend([udp(901), back, udp(902), udp(903)]);
    let traffic = captures(&[every(-200..-100, 10), long, every(5000..5002, 1)]);
    let mut made: Option<BTreeMap<PathBuf, String>> = None;
    for behind in [0, 1, 2] {
        in_two_runs(&traffic, behind);
        let now = traffic.made();
        made.inspect(|before| compare(&now, before));
        made = Some(now);
        fs::remove_dir_all(traffic.output()).unwrap();
    }
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    let health = Arc::clone(&work.health);
    work.finish(true);
    let told = [health.prometheus(), String::new()];
    assert_eq!(metric(&told, "late_records_total"), 3, "in each kind of flows");
    let troubles = health.status().troubles;
    assert!(troubles.iter().any(|trouble| trouble.text.contains("1 records of hours that were out")), "{troubles:?}");
}

#[test]
fn an_hour_that_has_no_rows_when_it_is_made_again_has_no_file() {
    // A gap of more than an hour is one row. The clock closes the hour in which it begins, so it stands in the next; until a late file comes.
    let traffic = captures(&[vec![udp(-900)], vec![udp(-400)], every(6000..6003, 1)]);
    let moment = Duration::from_millis(100);
    let settings = || Settings { rotation: moment, grace: moment, ..traffic.settings_for(&["buckets:100ms@csv"]) };
    let work = Work::start(settings());
    let day = traffic.output().join("buckets-100ms").join(SENSOR).join("2025/10/09");
    let hours = || {
        ["10", "11", "12"].into_iter().filter(|hour| day.join(hour).with_extension("csv").exists()).collect::<Vec<_>>()
    };
    let wait_for = |expected: &[&str]| {
        let end = Instant::now() + Duration::from_secs(60);
        while hours() != expected {
            assert!(Instant::now() < end, "{:?}", hours());
            thread::sleep(Duration::from_millis(10));
        }
    };
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..1])));
    wait_for(&["10"]);
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[2..])));
    wait_for(&["10", "11", "12"]);
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[1..2])));
    wait_for(&["10", "12"]);
    work.finish(true);
}

#[test]
fn settings_that_were_read_again_stay_when_hours_are_made_again() {
    let traffic = captures(&[vec![udp(-900)], vec![udp(30)]]);
    let hour = Duration::from_secs(3600);
    let work = Work::start(Settings { rotation: hour, ..traffic.settings_for(&["flows"]) });
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[1..])));
    let moment = Duration::from_millis(100);
    let settings = Settings { rotation: moment, grace: moment, ..traffic.settings_for(&["flows"]) };
    work.tell(Order::Settings(Arc::new(settings)));
    super::wait(&work, 1);
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..1])));
    let ten = traffic.output().join("flows").join(SENSOR).join("2025/10/09/10.jsonl");
    let end = Instant::now() + Duration::from_secs(30);
    while !ten.exists() {
        assert!(Instant::now() < end, "the clock waits for an hour");
        thread::sleep(Duration::from_millis(10));
    }
    work.finish(true);
}

#[test]
fn a_silent_sensor_closes_its_hours_by_the_clock() {
    let files = [vec![udp(-900), udp(-899), udp(-898)], vec![udp(-300)], vec![udp(30)], vec![udp(400)]];
    let traffic = captures(&files);
    // To the clock a flow is over, and to a run its input.
    let of_any_end = |made: BTreeMap<PathBuf, String>| -> BTreeMap<PathBuf, String> {
        made.into_iter().map(|(path, text)| (path, text.replace("\"eof\"", "\"idle\""))).collect()
    };
    let expected = of_any_end(traffic.expected_of(&traffic.parts));
    let moment = Duration::from_millis(100);
    let settings = Settings { rotation: moment, grace: moment, ..traffic.settings() };
    let work = Work::start(settings);
    traffic.parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
    let end = Instant::now() + Duration::from_secs(60);
    while let Some(path) = expected.keys().find(|path| !traffic.output().join(path).exists()) {
        assert!(Instant::now() < end, "{}", path.display());
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(moment);
    compare(&of_any_end(traffic.made()), &expected);
    work.finish(true);
    compare(&of_any_end(traffic.made()), &expected);
}
