//! The engine against the model, and against itself.

use pcap_compactor::Config;
use pcap_compactor::capture::Io;
use pcap_compactor::config::{Measure, ScanPolicy};
use proptest::prelude::*;
use proptest::test_runner::Config as Cases;

use crate::model::{Range, SECOND, expect};
use crate::run::{PLAIN, THREADS, Way, check, digest, file, lines, say};
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
