//! How runs end, and what of hours goes with their packets: the same for all products.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::silent::{Body, ELEVEN, captures, every, packet, udp};
use super::traffic::{Framed, PRODUCTS, SENSOR, Traffic, Work, compare, write};
use super::{metric, wait};
use crate::time::{NS_PER_SECOND as S, Timestamp};
use crate::watch::Settings;
use crate::watch::journal::{Journal, Out};
use crate::watch::line::Order;

/// Packets of the hour so many behind 11 h.
fn of_hour(nth: i64) -> Vec<Framed> {
    every(nth * 3600..nth * 3600 + 100, 10)
}

/// All products by their folders.
const FOLDERS: [&str; 6] = ["groups", "scans", "flows", "flows-cic", "flows-nf-v3", "buckets-1s"];

fn run(traffic: &Traffic, files: std::ops::Range<usize>, close: bool) {
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[files])));
    assert_eq!(work.finish(close).quarantined, 0);
}

fn outs(traffic: &Traffic) -> [Out; 6] {
    let journal = Journal::open(&traffic.output()).unwrap();
    FOLDERS.map(|product| journal.out(SENSOR, product).unwrap())
}

#[test]
fn an_end_that_fails_on_its_way_is_none() {
    let traffic = captures(&[of_hour(0), every(1000..1100, 10), of_hour(1)]);
    for product in FOLDERS {
        // As where the disk is full by then.
        let stands = traffic.output().join(product);
        fs::create_dir_all(traffic.output()).unwrap();
        fs::write(&stands, "").unwrap();
        let work = Work::start(traffic.settings());
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..1])));
        work.tell(Order::Finish { close: true });
        assert!(work.thread.join().unwrap().is_err(), "{product}");
        assert!(outs(&traffic).iter().all(|out| out.until <= Timestamp(ELEVEN)), "{product}: {:?}", outs(&traffic));
        fs::remove_file(&stands).unwrap();
        run(&traffic, 1..3, true);
        compare(&traffic.made(), &traffic.expected_of(&traffic.parts));
        fs::remove_dir_all(traffic.output()).unwrap();
    }
}

#[test]
fn an_end_is_at_one_time_for_all_products() {
    // The last hour has a packet, but none of any product.
    let traffic = captures(&[of_hour(0), vec![arp(3700)]]);
    run(&traffic, 0..2, true);
    let end = Timestamp(ELEVEN + 3600 * S);
    assert_eq!(outs(&traffic), [Out { until: end, needs: end }; 6]);
}

#[test]
fn hours_go_with_their_packets() {
    for (replaced, by) in [(1, vec![]), (1, every(200..300, 10)), (2, vec![]), (2, every(200..300, 10))] {
        let traffic = captures(&[of_hour(0), of_hour(1), of_hour(2)]);
        run(&traffic, 0..3, true);
        compare(&traffic.made(), &traffic.expected_of(&traffic.parts));
        write(&traffic.parts[replaced], &by);
        run(&traffic, replaced..replaced + 1, true);
        compare(&traffic.made(), &traffic.expected_of(&traffic.parts));
        let known = Journal::open(&traffic.output()).unwrap().written().unwrap();
        assert!(known.iter().all(|hour| traffic.output().join(&hour.file.path).exists()), "{known:?}");
    }
}

#[test]
fn a_file_that_nobody_noted_goes_with_its_packets() {
    let traffic = captures(&[of_hour(0)]);
    let stands = traffic.output().join("flows");
    fs::create_dir_all(traffic.output()).unwrap();
    fs::write(&stands, "").unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    work.tell(Order::Finish { close: true });
    assert!(work.thread.join().unwrap().is_err());
    assert!(!traffic.made().is_empty(), "groups have appeared");
    fs::remove_file(&stands).unwrap();
    write(&traffic.parts[0], &[]);
    run(&traffic, 0..1, true);
    assert!(traffic.made().is_empty(), "{:?}", traffic.made().keys());
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_last_hour_goes_with_its_packets_by_the_wall_clock() {
    let moment = Duration::from_millis(100);
    for products in [&PRODUCTS[..], &PRODUCTS[..1]] {
        for by in [vec![], every(200..300, 10)] {
            let traffic = captures(&[of_hour(0), of_hour(1)]);
            let names = |hours: usize| {
                let made = traffic.expected_of(&traffic.parts[..hours]);
                let ours = |name: &str| products.len() > 1 || name.starts_with("groups") || name.starts_with("scans");
                made.into_keys().filter(|path| ours(path.to_str().unwrap())).collect::<Vec<_>>()
            };
            let (both, first) = (names(2), names(1));
            let made = || traffic.made().into_keys().collect::<Vec<_>>();
            let settings = Settings { rotation: moment, grace: moment, ..traffic.settings_for(products) };
            let work = Work::start(settings);
            work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
            until("both hours are out", || made() == both);
            write(&traffic.parts[1], &by);
            work.tell(Order::Complete(traffic.arrivals(&traffic.parts[1..])));
            until("the last is gone", || made() == first);
            work.finish(false);
        }
    }
}

/// Who has an address, so many seconds behind 11 h.
fn arp(seconds: i64) -> Framed {
    let mut frame = [[0xff; 6], [2, 0, 0, 0, 0, 1]].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    (Timestamp(ELEVEN + seconds * S), frame)
}

#[test]
fn hours_without_a_packet_of_any_product_are_out() {
    let files: Vec<_> = (0..10).map(|nth| vec![arp(nth * 1200), arp(nth * 1200 + 600)]).collect();
    for products in [&PRODUCTS[..], &PRODUCTS[..1]] {
        let traffic = captures(&files);
        let work = Work::start(traffic.settings_for(products));
        traffic.parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        work.finish(false);
        let until = outs(&traffic).map(|out| out.until);
        let made = if products.len() > 1 { &until[..] } else { &until[..2] };
        assert!(made.iter().all(|until| *until >= Timestamp(ELEVEN + 2 * 3600 * S)), "{until:?}");
        assert!(traffic.made().is_empty());
    }
}

#[test]
fn packets_that_are_late_are_counted_once_and_told() {
    // It begins with the hour, and goes back behind that.
    let back = |behind| packet(3600 * S + behind, [2000, 53], Body::Udp);
    let traffic = captures(&[vec![udp(100), udp(101)], vec![back(500_000), back(-500_000), udp(1800), udp(3700)]]);
    for (products, late) in [(&PRODUCTS[..], 2), (&PRODUCTS[..1], 2), (&PRODUCTS[1..], 1)] {
        for (close, late) in [(false, late), (true, 0)] {
            let work = Work::start(traffic.settings_for(products));
            work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
            let health = Arc::clone(&work.health);
            work.finish(close);
            assert_eq!(metric(&[health.prometheus(), String::new()], "late_packets_total"), late);
            let said =
                format!("{}: {late} packets were over when the file began: no record of ", traffic.parts[1].display());
            let troubles = health.status().troubles;
            assert_eq!(troubles.iter().any(|trouble| trouble.text.starts_with(&said)), late > 0, "{troubles:?}");
        }
        fs::remove_dir_all(traffic.output()).unwrap();
    }
}

#[test]
fn rows_of_a_gap_are_the_same_whether_or_not_the_file_behind_it_was_seen_to_grow() {
    for (behind, is_near) in [(3610, true), (3 * 3600, false)] {
        let traffic = captures(&[every(100..110, 1), every(behind..behind + 10, 1)]);
        let start = || Work::start(traffic.settings_for(&["buckets:100ms@csv"]));
        let made = |work: Work| {
            assert_eq!(work.finish(true).packets, 20);
            let made = traffic.made();
            fs::remove_dir_all(traffic.output()).unwrap();
            made
        };
        let work = start();
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
        let complete = made(work);
        let work = start();
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..1])));
        wait(&work, 1);
        work.tell(Order::Growing(traffic.parts[1].clone(), Timestamp(ELEVEN + behind * S)));
        if is_near {
            until("the hour before it is out", || traffic.made().len() == 1);
        } else {
            std::thread::sleep(Duration::from_millis(300));
            assert!(traffic.made().is_empty());
        }
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[1..])));
        compare(&made(work), &complete);
    }
}

#[test]
fn a_long_gap_in_front_of_a_packet_that_waits_is_one_row_where_a_file_grows() {
    // The file that grows begins before the packet behind the gap, and with one of no view.
    let grows = vec![arp(3709), udp(3711), udp(3712), udp(3713)];
    let traffic = captures(&[vec![udp(100), packet(3_709_500 * (S / 1000), [1000, 53], Body::Udp)], grows]);
    let start = || Work::start(traffic.settings_for(&["buckets:100ms@csv"]));
    let work = start();
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    work.finish(true);
    let complete = traffic.made();
    fs::remove_dir_all(traffic.output()).unwrap();
    let work = start();
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[..1])));
    wait(&work, 1);
    work.tell(Order::Growing(traffic.parts[1].clone(), Timestamp(ELEVEN + 3709 * S)));
    std::thread::sleep(Duration::from_millis(300));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[1..])));
    work.finish(true);
    compare(&traffic.made(), &complete);
}
