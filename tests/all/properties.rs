//! The engine against the model, and against itself.

use pcap_compactor::Config;
use pcap_compactor::capture::Io;
use pcap_compactor::config::{Measure, ScanPolicy};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::Config as Cases;

use crate::model::{Range, SECOND, expect};
use crate::run::{PLAIN, THREADS, WAYS, Way, check, digest, file, gzip, lines, records, say, zstd};
use crate::traffic::{Frame, START, captured, frames, herald, pcap, pcapng};

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
    );
    (windows, scans, rest).prop_map(|(window, (dsts, ports, policy, contamination), (idle, base, bytes, budget))| {
        Config {
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
        prop_assert!(said("pcapng", &pcapng(&frames, big_endian)) == plain);
        prop_assert!(said("pcapng in zstd", &zstd(&pcapng(&frames, !big_endian))) == plain);
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
