//! Input that nobody means well with: times that jump, hosts that collide, files that are none.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;

use pcap_compactor::capture::{LinkType, PcapngWriter, Status};
use pcap_compactor::engine::Report;
use pcap_compactor::sink::Discard;
use pcap_compactor::views::groups::Transport;
use pcap_compactor::{Config, Engine, Input, Job};

use crate::model::{Range, SECOND, expect};
use crate::run::{PLAIN, WAYS, Way, check, file, gzip, inputs, job, number, say, zstd};
use crate::traffic::{Body, Frame, START, captured, pcap, v4};

fn syn(time: i64, src: IpAddr, dst: IpAddr, dst_port: u16) -> Frame {
    Frame::new(time, src, dst, Body::Tcp { src_port: 40_000, dst_port, flags: 0x02, payload: Vec::new() })
}

fn one(time: i64) -> Frame {
    syn(time, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 80)
}

/// Runs files of frames, and holds what was said against the model.
fn modelled(files: &[Vec<Frame>], config: &Config, way: Way) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> =
        files.iter().enumerate().map(|(n, frames)| file(dir.path(), &format!("{n:04}"), &pcap(frames))).collect();
    let (said, report) = say(&paths, config, Range::default(), way);
    let captured: Vec<_> = files.iter().map(|frames| captured(frames)).collect();
    check(&said, &expect(&captured, config, Range::default()));
    report
}

#[test]
fn a_jump_in_time_costs_neither_rows_nor_memory() {
    let last = i64::from(u32::MAX) * SECOND + 999_999_999;
    for times in [[0, last], [last, 0]] {
        let started = Instant::now();
        modelled(&[times.map(one).to_vec()], &Config::default(), PLAIN);
        modelled(&[times.map(one).to_vec()], &Config { window_seconds: 1, ..Config::default() }, WAYS[4]);
        let both = times.map(|time| vec![one(time)]);
        modelled(&both, &Config { window_seconds: 1, idle_split_seconds: 0, ..Config::default() }, PLAIN);
        assert!(started.elapsed().as_secs() < 5);
    }
}

#[test]
fn a_hundred_thousand_windows_are_as_many_groups() {
    let hours: Vec<Frame> = (0..100_000).map(|hour| one(hour * 3600 * SECOND)).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = [file(dir.path(), "hours", &pcap(&hours))];
    let started = Instant::now();
    for way in [PLAIN, WAYS[2]] {
        let (said, _) = say(&path, &Config::default(), Range::default(), way);
        assert_eq!(number(&said.metrics["groups_emitted"]), 100_000);
        assert!(said.windows.is_sorted_by_key(|(window, ..)| *window));
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn packets_that_zigzag_between_windows_find_them_again() {
    // Between two windows, and over fifty.
    for windows in [2, 50] {
        let frames: Vec<Frame> = (0..5_000)
            .map(|n| {
                let window = n * 7 % windows;
                syn(START + window * 3600 * SECOND + n, v4(10, 0, 0, 1), v4(10, 0, 0, (2 + n % 3) as u8), 80)
            })
            .collect();
        modelled(std::slice::from_ref(&frames), &Config::default(), PLAIN);
        let halves: Vec<Vec<Frame>> = frames.chunks(2_500).map(<[Frame]>::to_vec).collect();
        modelled(&halves, &Config::default(), WAYS[4]);
    }
}

#[test]
fn more_files_than_stay_open_are_read_in_order_of_time() {
    let mut files: Vec<Vec<Frame>> = (0..300)
        .map(|hour| vec![one(START + hour * 3600 * SECOND), one(START + (hour * 3600 + 3599) * SECOND)])
        .collect();
    files.reverse();
    modelled(&files, &Config::default(), WAYS[2]);
}

#[test]
fn what_was_captured_before_its_file_began_is_late_by_window() {
    // An hour and a nanosecond before its file is late; within the hour that the file begins in it is not.
    let file = vec![one(START + 3600 * SECOND), one(START + 3600 * SECOND - 1), one(START + 2 * 3600 * SECOND)];
    modelled(std::slice::from_ref(&file), &Config::default(), PLAIN);
    let earlier = vec![one(START), one(START + 2 * 3600 * SECOND)];
    modelled(&[file, earlier], &Config::default(), WAYS[4]);
}

/// A pcapng with these times in ticks of `resolution`, shifted by `offset` seconds.
fn timed(resolution: u8, offset: i64, ticks: &[u64]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), false).unwrap();
    writer.interface(LinkType(1), 0, resolution, offset).unwrap();
    let (frame, wire) = one(0).bytes();
    ticks.iter().for_each(|&ticks| writer.packet(0, ticks, wire, &frame).unwrap());
    writer.finish().unwrap()
}

#[test]
fn times_at_both_ends_of_what_there_is_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let last = file(dir.path(), "last", &timed(9, 0, &[i64::MAX as u64, i64::MAX as u64 - 1]));
    // -9223372036 s is the last whole second above the smallest time.
    let first = file(dir.path(), "first", &timed(9, -9_223_372_036, &[0, 1, 2 * SECOND as u64]));
    for window_seconds in [1, 3600, 1_000_000_000] {
        for paths in [vec![last.clone()], vec![first.clone()], vec![last.clone(), first.clone()]] {
            let config = Config { window_seconds, ..Config::default() };
            let (said, _) = say(&paths, &config, Range::default(), PLAIN);
            let ledger = &said.metrics["ledger"];
            assert_eq!(ledger["kept"], ledger["read"], "{paths:?} in windows of {window_seconds} s");
        }
    }
}

#[test]
fn times_beyond_them_are_malformed() {
    let dir = tempfile::tempdir().unwrap();
    let beyond =
        [timed(9, 0, &[1 << 63]), timed(0, 0, &[u64::MAX]), timed(6, i64::MAX, &[0]), timed(6, i64::MIN, &[0])];
    for (n, bytes) in beyond.iter().enumerate() {
        let (said, _) = say(&[file(dir.path(), "beyond", bytes)], &Config::default(), Range::default(), PLAIN);
        assert_eq!(number(&said.metrics["malformed_by"]["record.time"]), 1, "case {n}: {}", said.metrics);
    }
}

#[test]
fn packets_without_a_time_have_time_zero_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PcapngWriter::new(Vec::new(), true).unwrap();
    writer.interface(LinkType(1), 0, 6, 0).unwrap();
    let (frame, wire) = one(0).bytes();
    writer.simple(wire, &frame).unwrap();
    writer.packet(0, START as u64 / 1000, wire, &frame).unwrap();
    let path = file(dir.path(), "simple", &writer.finish().unwrap());
    let (said, _) = say(&[path], &Config::default(), Range::default(), PLAIN);
    assert_eq!(said.groups().map(|group| group.first_ts.0).collect::<Vec<_>>(), [0, START]);
    assert_eq!(number(&said.metrics["files"][0]["without_time"]), 1);
}

#[test]
fn what_is_no_capture_is_named_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let good = pcap(&[one(START)]);
    let named = |name: &str, bytes: &[u8]| file(dir.path(), name, bytes);
    let paths = [
        named("1 empty", b""),
        named("2 short", b"abc"),
        named("3 text", b"These are no packets, and there are more than 24 bytes of them.\n"),
        named("4 packed twice", &gzip(&gzip(&good))),
        named("5 packed nothing", &zstd(b"")),
        named("6 good", &good),
        dir.path().join("7 missing"),
        dir.path().to_owned(),
        named("9 packed text", &zstd(b"These are no packets, and there are more than 24 bytes of them.\n")),
    ];
    let mut said = crate::run::Said::default();
    let report = job(&Config::default(), Range::default(), PLAIN).run(inputs(&paths), &mut said).unwrap();
    let told: BTreeMap<_, _> = report
        .files
        .iter()
        .map(|file| (file.path.file_name().unwrap().to_str().unwrap().to_owned(), file.capture.status))
        .collect();
    let expected = [
        ("1 empty", Status::Empty),
        ("2 short", Status::Unsupported),
        ("3 text", Status::Unsupported),
        ("4 packed twice", Status::Unsupported),
        ("5 packed nothing", Status::Empty),
        ("6 good", Status::Complete),
        ("9 packed text", Status::Unsupported),
    ];
    assert_eq!(told, expected.map(|(name, status)| (name.to_owned(), status)).into());
    // Each one that could not be opened is named in its own line.
    assert_eq!(report.failed.len(), 2);
    for (error, path) in report.failed.iter().zip(&paths[6..8]) {
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    assert_eq!(said.groups().count(), 1);
    assert_eq!(number(&said.metrics["segments_seen"]), 9);
    assert_eq!(number(&said.metrics["segments_valid"]), 1);
}

#[test]
fn a_link_type_that_nobody_knows_is_counted_frame_by_frame() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PcapngWriter::new(Vec::new(), false).unwrap();
    for link in [1, 147] {
        writer.interface(LinkType(link), 0, 9, 0).unwrap();
    }
    let (frame, wire) = one(0).bytes();
    for interface in [0, 1, 1] {
        writer.packet(interface, START as u64, wire, &frame).unwrap();
    }
    let path = file(dir.path(), "links", &writer.finish().unwrap());
    let (said, report) = say(&[path], &Config::default(), Range::default(), PLAIN);
    assert_eq!(number(&said.metrics["malformed_by"]["link.type"]), 2);
    assert_eq!(report.total.unsupported_links, BTreeMap::from([(147, 2)]));
    assert_eq!(said.groups().count(), 1);
}

#[test]
fn chosen_addresses_cost_no_more_than_others() {
    let n = 60_000_u32;
    let host = |bits: u32| IpAddr::V4(bits.into());
    let v6 = |high: u64, low: u64| IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)));
    type Pair = (&'static str, Box<dyn Fn(u32) -> (IpAddr, IpAddr, u16)>);
    let patterns: [Pair; 6] = [
        ("scattered", Box::new(move |n| (host(n.wrapping_mul(0x9e37_79b9)), host(!n.wrapping_mul(0x85eb_ca6b)), 80))),
        ("in a row", Box::new(move |n| (host(0x0a00_0000 + n), host(0x0b00_0000), 80))),
        ("in the upper half", Box::new(move |n| (host(n << 16 | 1), host(n & 0xffff_0000), 80))),
        ("each with itself", Box::new(move |n| (host(n), host(n), 80))),
        ("by port alone", Box::new(move |n| (host(1), host(2), n as u16))),
        ("in the middle of IPv6", Box::new(move |n| (v6(u64::from(n), 1), v6(1, u64::from(n) << 32), 80))),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut usual = None;
    for (name, pair) in patterns {
        let frames: Vec<Frame> = (0..n)
            .map(|n| {
                let (src, dst, port) = pair(n);
                syn(START + i64::from(n), src, dst, port)
            })
            .collect();
        let path = file(dir.path(), "pattern", &pcap(&frames));
        // No scan detection: it is the table that is asked.
        let never = 1_000_000;
        let config =
            Config { scan_unique_dsts_threshold: never, scan_unique_ports_threshold: never, ..Config::default() };
        let started = Instant::now();
        let report = job(&config, Range::default(), PLAIN).run(vec![Input::file(path)], &mut Discard).unwrap();
        let took = started.elapsed();
        assert_eq!(report.total.intake.accepted.packets, u64::from(n));
        let usual = *usual.get_or_insert(took);
        assert!(took < usual * 10 + std::time::Duration::from_millis(500), "{name}: {took:?}, usually {usual:?}");
    }
}

#[test]
fn a_scanner_of_many_hosts_is_one_summary_and_what_answered_stays() {
    let scanner = v4(203, 0, 113, 9);
    let mut frames: Vec<Frame> =
        (0..2_000_u32).map(|n| syn(START + i64::from(n), scanner, IpAddr::V4((0x0a00_0000 + n).into()), 23)).collect();
    // One opens, one refuses.
    for (host, flags) in [(7, 0x12), (8, 0x14)] {
        let reply = Body::Tcp { src_port: 23, dst_port: 40_000, flags, payload: Vec::new() };
        frames.push(Frame::new(START + SECOND, v4(10, 0, 0, host), scanner, reply));
    }
    // A busy client of as many hosts, all of which answer.
    let client = v4(198, 51, 100, 1);
    for n in 0..200_u32 {
        let server = IpAddr::V4((0x0a01_0000 + n).into());
        frames.push(syn(START + i64::from(n), client, server, 443));
        let reply = Body::Tcp { src_port: 443, dst_port: 40_000, flags: 0x12, payload: Vec::new() };
        frames.push(Frame::new(START + i64::from(n) + 1, server, client, reply));
    }
    for way in [PLAIN, WAYS[4]] {
        modelled(std::slice::from_ref(&frames), &Config::default(), way);
    }
    let dir = tempfile::tempdir().unwrap();
    let (said, _) = say(&[file(dir.path(), "scan", &pcap(&frames))], &Config::default(), Range::default(), PLAIN);
    let [scan] = &said.scans().collect::<Vec<_>>()[..] else { panic!("one summary") };
    assert_eq!((scan.src_ip, scan.transport, scan.unique_dsts, scan.answered), (scanner, Transport::Tcp, 2_000, 1));
    assert_eq!((scan.groups, scan.amount.packets), (1_999, 2_000));
    let stayed: Vec<_> =
        said.groups().filter(|group| group.key.src_ip == scanner).map(|group| group.key.dst_ip).collect();
    assert_eq!(stayed, [v4(10, 0, 0, 7)]);
}

#[test]
fn lateness_is_judged_by_packets_and_not_by_how_many_come_at_once() {
    // A packet of a second ago per second; the one that goes back three minutes comes in the middle of a batch.
    let dir = tempfile::tempdir().unwrap();
    let mut frames: Vec<Frame> = (0..400).map(|n| Frame { padding: 1000, ..one(START + n * SECOND) }).collect();
    frames[300].time = START + 100 * SECOND;
    let path = file(dir.path(), "back", &pcap(&frames));
    let config = Config { window_seconds: 60, ..Config::default() };
    let late = |way: Way| {
        let engine = Engine::builder().threads(way.threads).io(way.io).lateness_ns(Some(0));
        let mut said = crate::run::Said::default();
        Job::new(config.clone()).engine(engine).run(vec![Input::file(&path)], &mut said).unwrap();
        number(&said.metrics["ledger"]["late"]["packets"])
    };
    for way in WAYS {
        assert_eq!(late(way), 1, "{way:?}");
    }
}

#[test]
fn only_what_was_just_seen_is_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    // The same frame three times, with two others between the second and the third.
    let frames = [one(START), one(START), one(START + 1), one(START + 2), one(START)];
    let path = file(dir.path(), "twice", &pcap(&frames));
    for (records, expected) in [(0, 0), (1, 1), (2, 1), (3, 2), (100, 2)] {
        let mut said = crate::run::Said::default();
        let job = Job::new(Config::default()).engine(Engine::builder().dedup(records));
        // A second file is another story: nothing is a duplicate of what another file holds.
        job.run(vec![Input::file(&path), Input::file(&path)], &mut said).unwrap();
        crate::run::balances(&said.metrics);
        assert_eq!(number(&said.metrics["ledger"]["duplicate"]["packets"]), 2 * expected, "the last {records}");
    }
}
