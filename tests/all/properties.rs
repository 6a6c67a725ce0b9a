//! The engine against the model, and against itself.

use pcap_compactor::capture::Io;
use pcap_compactor::config::{Measure, Port, ScanPolicy};
use pcap_compactor::sink::jsonl::{JsonLines, Lines};
use pcap_compactor::{Config, Engine, Job};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::Config as Cases;

use crate::model::{Range, SECOND, expect};
use crate::run::{PLAIN, THREADS, WAYS, Way, check, digest, file, gzip, inputs, lines, records, say, zstd};
use crate::traffic::{Body, Frame, START, captured, frames, herald, pcap, pcapng, v4};

/// As many cases as said, or as `PROPTEST_CASES` says.
pub(crate) fn cases(n: u32) -> Cases {
    let n = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(n);
    Cases { cases: n, failure_persistence: None, ..Cases::default() }
}

/// Settings under which little traffic makes slices, windows, scans and samples.
fn config() -> impl Strategy<Value = Config> {
    let windows = prop::sample::select(vec![3600, 3600, 60, 1000, 100_000]);
    let scans = (
        prop_oneof![1 => Just(50_u64), 2 => 0..4_u64],
        prop_oneof![1 => Just(100_u64), 2 => 0..6_u64],
        prop::sample::select(vec![ScanPolicy::Guarded, ScanPolicy::Guarded, ScanPolicy::Original]),
        prop::sample::select(vec![0.0, 0.14, 0.3, 0.5]),
    );
    let rest = (
        prop::sample::select(vec![120_u64, 120, 0, 1, 59, 60]),
        prop::sample::select(vec![2.0, 3.0, 10.0]),
        prop::sample::select(vec![Measure::Wire, Measure::Captured]),
        prop::sample::select(vec![40, 1, 3, 10]),
        prop_oneof![2 => Just(None), 1 => Just(Some(Vec::new())), 1 => Just(Some(vec![
            (40_000, "http"), (0, "ssh"), (53, "ftp"), (443, "http"), (445, "smb"), (1023, "http"),
        ]))],
        prop_oneof![2 => Just(None), 1 => Just(Some(vec!["Index", "a", "X", "=1", "%2f", "2f"]))],
    );
    (windows, scans, rest).prop_map(|(window, (dsts, ports, policy, contamination), rest)| {
        let (idle, base, bytes, budget, services, lexicon) = rest;
        let usual = Config::default();
        let services = services.map(|list| list.iter().map(|&(port, name)| (Port(port), name.to_owned())).collect());
        let lexicon = lexicon.map(|list| list.iter().map(|&entry| entry.to_owned()).collect());
        Config {
            service_port_map: services.unwrap_or(usual.service_port_map),
            http_always_keep_lexicon: lexicon.unwrap_or(usual.http_always_keep_lexicon),
            window_seconds: window,
            idle_split_seconds: idle,
            scan_unique_dsts_threshold: dsts,
            scan_unique_ports_threshold: ports,
            scan_policy: policy,
            iforest_contamination: contamination,
            iforest_estimators: 32,
            count_log_base: base,
            duration_log_base: base,
            http_uri_token_budget: budget,
            bytes,
            ..Config::default()
        }
    })
}

fn range() -> impl Strategy<Value = Range> {
    let seconds = 0..10_000_i64;
    prop_oneof![
        3 => Just(Range::default()),
        1 => (seconds.clone(), seconds, any::<bool>()).prop_map(|(a, b, single)| Range {
            clip: Some((START + a.min(b) * SECOND, START + (a.max(b) + 1) * SECOND)),
            single,
        }),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    (prop::sample::select(THREADS.to_vec()), prop::sample::select(vec![Io::Mmap, Io::Read]))
        .prop_map(|(threads, io)| Way { threads, io })
}

/// Writes each list of frames to a file of its own.
fn write(dir: &tempfile::TempDir, files: &[Vec<Frame>]) -> Vec<std::path::PathBuf> {
    files.iter().enumerate().map(|(n, frames)| file(dir.path(), &format!("{n:03}.pcap"), &pcap(frames))).collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn the_engine_says_what_the_model_says(
        files in prop::collection::vec(frames(60), 1..4),
        config in config(),
        range in range(),
        way in way(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (said, _) = say(&write(&dir, &files), &config, range, way);
        let files: Vec<_> = files.iter().map(|frames| captured(frames)).collect();
        check(&said, &expect(&files, &config, range));
    }

    #[test]
    fn windows_slices_and_fragments_go_on_below_the_epoch(mut frames in frames(60), config in config(), way in way()) {
        let dir = tempfile::tempdir().unwrap();
        for frame in &mut frames {
            frame.time -= START + 3600 * SECOND;
        }
        let path = file(dir.path(), "before.pcapng", &pcapng(&frames, false, -10_000));
        let (said, _) = say(&[path], &config, Range::default(), way);
        check(&said, &expect(&[captured(&frames)], &config, Range::default()));
    }
}

/// Frames, and the same in another order.
fn in_two_orders(most: usize) -> impl Strategy<Value = (Vec<Frame>, Vec<Frame>)> {
    frames(most).prop_flat_map(|frames| (Just(frames.clone()), Just(frames).prop_shuffle()))
}

/// Behind a frame of the earliest time no packet is late.
fn behind_a_herald(frames: &[Frame]) -> Vec<Frame> {
    [&[herald(START - 1)], frames].concat()
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn neither_order_nor_files_show(
        (frames, shuffled) in in_two_orders(200),
        size in 1..60_usize,
        config in config(),
        range in range(),
        way in way(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let said = |files: &[Vec<Frame>], way| {
            let dir = tempfile::tempdir_in(dir.path()).unwrap();
            String::from_utf8(records(&lines(&write(&dir, files), &config, range, way))).unwrap()
        };
        let whole = said(&[behind_a_herald(&frames)], PLAIN);
        prop_assert_eq!(&said(&[behind_a_herald(&shuffled)], way), &whole, "shuffled");
        let at_random: Vec<Vec<Frame>> = shuffled.chunks(size).map(behind_a_herald).collect();
        prop_assert_eq!(&said(&at_random, way), &whole, "split at random");
        let mut by_time = shuffled;
        by_time.sort_by_key(|frame| frame.time);
        let by_time: Vec<Vec<Frame>> = by_time.chunks(size).map(<[Frame]>::to_vec).collect();
        prop_assert_eq!(&said(&by_time, way), &whole, "split by time");
    }

    #[test]
    fn no_way_of_running_shows(
        files in prop::collection::vec(frames(80), 1..5),
        config in config(),
        range in range(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = write(&dir, &files);
        let (said, digested) = (lines(&paths, &config, range, PLAIN), digest(&paths, &config, range, PLAIN));
        let metrics = said.rsplit(|&byte| byte == b'\n').next().unwrap();
        prop_assert!(digested.as_bytes().ends_with(metrics), "both end with one metrics line");
        for way in WAYS {
            prop_assert!(lines(&paths, &config, range, way) == said, "{:?}", way);
            prop_assert_eq!(&digest(&paths, &config, range, way), &digested);
            paths.rotate_left(1);
        }
    }

    #[test]
    fn no_format_shows(frames in frames(80), config in config(), range in range(), big_endian in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let bytes = pcap(&frames);
        let said = |name, bytes: &[u8]| lines(&[file(dir.path(), name, bytes)], &config, range, PLAIN);
        let plain = said("plain", &bytes);
        prop_assert!(said("gzip", &gzip(&bytes)) == plain);
        prop_assert!(said("zstd", &zstd(&bytes)) == plain);
        prop_assert!(said("pcapng", &pcapng(&frames, big_endian, 0)) == plain);
        prop_assert!(said("pcapng in zstd", &zstd(&pcapng(&frames, !big_endian, -1))) == plain);
    }
}

#[test]
fn batches_have_no_edges() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let dir = tempfile::tempdir().unwrap();
    let many = prop::collection::vec(crate::traffic::frame(), 4097).new_tree(&mut runner).unwrap().current();
    for n in [63, 64, 65, 511, 512, 513, 1023, 1025, 4095, 4096, 4097] {
        let frames = &many[..n];
        let path = file(dir.path(), "edge.pcap", &pcap(frames));
        let expected = expect(&[captured(frames)], &Config::default(), Range::default());
        for way in [PLAIN, Way { threads: 3, io: Io::Mmap }] {
            check(&say(std::slice::from_ref(&path), &Config::default(), Range::default(), way).0, &expected);
        }
    }
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn with_a_lateness_no_way_of_running_shows_either(
        frames in prop::collection::vec(crate::traffic::frame(), 0..3000),
        seconds in prop::sample::select(vec![0_i64, 60, 600]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut frames = frames;
        // Mostly forward, as captures run.
        frames.chunks_mut(40).for_each(|some| some.sort_by_key(|frame| frame.time));
        frames.sort_by_key(|frame| frame.time / (600 * SECOND));
        let config = Config { window_seconds: 300, ..Config::default() };
        let path = [file(dir.path(), "late.pcap", &pcap(&frames))];
        let said = |way: Way| {
            let engine = Engine::builder().threads(way.threads).io(way.io).lateness_ns(Some(seconds * SECOND));
            let mut said = Vec::new();
            let mut sink = JsonLines::new(&mut said, "memory", Lines::default());
            Job::new(config.clone()).engine(engine).run(inputs(&path), &mut sink).unwrap();
            drop(sink);
            String::from_utf8(said).unwrap()
        };
        let plain = said(PLAIN);
        for way in WAYS {
            prop_assert!(said(way) == plain, "{:?}", way);
        }
    }
}

#[test]
fn counters_are_wide_enough_for_a_flow_that_never_rests() {
    // More packets than 16 bits count and more bytes than 32 bits do, in one slice, with a gap or out of order at the end.
    let (a, b) = (v4(10, 0, 0, 1), v4(10, 0, 0, 2));
    let mut frames: Vec<Frame> = (0..140_000)
        .map(|n| {
            let body =
                Body::Tcp { src_port: 40_000, dst_port: 80, flags: [0x02, 0x10, 0x14, 0x11][n % 4], payload: vec![] };
            let (src, dst, body) = match n % 3 {
                0 => (b, a, Body::Tcp { src_port: 80, dst_port: 40_000, flags: 0x12, payload: vec![] }),
                _ => (a, b, body),
            };
            Frame { lie: Some(65_535), ..Frame::new(START + n as i64 * 20_000_000, src, dst, body) }
        })
        .collect();
    for end in [START + 3599 * SECOND, START + 7 * SECOND, START] {
        let mut last = frames[1].clone();
        (last.time, last.lie) = (end, Some(u32::MAX));
        frames.push(last);
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "wide.pcap", &pcap(&frames));
        let (said, _) = say(&[path], &Config::default(), Range::default(), PLAIN);
        check(&said, &expect(&[captured(&frames)], &Config::default(), Range::default()));
    }
}
