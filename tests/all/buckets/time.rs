//! When rows come, of files, streams, gaps and wild times.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use pcap_compactor::views::buckets::{COLUMNS, Settings};
use serde_json::Value;

use super::{MS, written};
use crate::command::{command, run};
use crate::flows::{pcap, udp};
use crate::model::SECOND;
use crate::model::flows::Sent;
use crate::run::file;
use crate::traffic::START;

/// Files that overlap, each in order: what the second has is late for none of the buckets that the first has filled.
#[test]
fn files_that_overlap_fill_the_same_buckets() {
    let packets: Vec<Sent> = (0..4000).map(|n| udp(START + i64::from(n) * 10 * MS, 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let whole = file(folder.path(), "whole.pcap", &pcap(&packets));
    let every = |from| packets.iter().skip(from).step_by(2).cloned().collect::<Vec<_>>();
    let parts = [("a.pcap", every(0)), ("b.pcap", every(1))];
    let parts = parts.map(|(name, packets)| file(folder.path(), name, &pcap(&packets)));
    let settings = || Settings { widths: vec![100 * MS, SECOND], ..Settings::default() };
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = sorted(written(&[whole], settings(), 1));
    assert_eq!(expected.len(), 400 + 40, "{expected:?}");
    for threads in [1, 2, 4] {
        assert_eq!(sorted(written(&parts, settings(), threads)), expected);
    }
}

/// Rows of several widths come in an order that packets make, and not how they came: by the end of their buckets, the narrower first.
#[test]
fn rows_of_several_widths_come_in_the_same_order_however_packets_came() {
    let in_order: Vec<Sent> = (0..200).map(|n| udp(START + i64::from(n * n) * 7 * MS, n % 3)).collect();
    let mut late = in_order.clone();
    late.sort_by_key(|packet| packet.time + packet.time / MS % 13 * 70 * MS);
    assert_ne!(in_order, late);
    let folder = tempfile::tempdir().unwrap();
    let paths =
        [("a.pcap", &in_order), ("b.pcap", &late)].map(|(name, packets)| file(folder.path(), name, &pcap(packets)));
    // The widths as they are named last: gaps of up to 20 buckets of 100 ms are a row each.
    let settings = || Settings { widths: vec![3 * SECOND, 100 * MS, SECOND], gap_limit: 20, ..Settings::default() };
    let [expected, other] = paths.map(|path| written(&[path], settings(), 1));
    assert_eq!(other, expected);
    let ends: Vec<(i64, i64)> = expected
        .lines()
        .map(|line| {
            let mut cells = line.split(',').map(|cell| cell.parse::<i64>().unwrap());
            let [start, width, buckets] = [(); 3].map(|()| cells.next().unwrap());
            (start + width * buckets, width)
        })
        .collect();
    assert!(ends.is_sorted() && ends.iter().any(|(_, width)| *width == SECOND), "{expected}");
}

/// The longest gap that a classic capture can have, and a wild time between packets that are close.
#[test]
fn gaps_and_wild_times_make_few_rows() {
    let folder = tempfile::tempdir().unwrap();
    let ends = [udp(0, 1), udp(i64::from(u32::MAX) * SECOND, 1)];
    let bomb = file(folder.path(), "bomb.pcap", &pcap(&ends));
    let wild = [0, 10, 9_000_000_000_000, 20, 30].map(|ms| udp(START + ms * MS / 10, 1));
    let wild = file(folder.path(), "wild.pcap", &pcap(&wild));
    let rows = |path: &Path, options: &[&str]| {
        let ran = run(["buckets", "-q", path.to_str().unwrap()].iter().chain(options));
        assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""));
        ran
    };
    let said = rows(&bomb, &["--every", "100ms"]).lines();
    let counts: Vec<_> = said.iter().map(|row| (row["buckets"].as_u64(), row["pkts_unknown"].as_u64())).collect();
    assert_eq!(counts[..3], [(Some(1), Some(1)), (Some(42_949_672_949), Some(0)), (Some(1), Some(1))]);
    let said = rows(&bomb, &["--every", "366d"]).lines();
    assert_eq!(said.len(), 136 + 1);
    let said = rows(&wild, &["--every", "1s"]);
    let first = &said.lines()[0];
    assert_eq!((first["pkts_unknown"].as_u64(), first["late"].as_u64()), (Some(4), Some(0)));
    assert_eq!(said.metrics()["ledger"]["late"]["packets"], 0);

    let ran = run(["buckets", "--dialect", "bridge", bomb.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2));
    assert!(ran.said.contains("42,949,672,949 empty buckets left out"), "{}", ran.said);
    let ran = run(["buckets", "-q", "--dialect", "bridge", "--every", "1d", bomb.to_str().unwrap()]);
    assert_eq!(ran.out.lines().count(), 49_711);
}

/// With a time range, its empty ends are rows.
#[test]
fn a_range_is_covered_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START + 2500 * MS, 1), udp(START + 9 * SECOND, 1)]));
    let [from, to] = [0, 5].map(|seconds| (START / SECOND + seconds).to_string());
    for (options, starts) in [
        (&["--from", &from, "--to", &to][..], &[0, 1, 2, 3, 4][..]),
        (&["--to", &to], &[2, 3, 4]),
        (&["--from", &from], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (&[], &[2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        let arguments = ["buckets", "-q", "--every", "1s", "--times", "ns", path.to_str().unwrap()];
        let ran = run(arguments.iter().chain(options));
        let rows = ran.lines();
        let said: Vec<i64> = rows.iter().filter_map(|row| Some((row["start"].as_i64()? - START) / SECOND)).collect();
        assert_eq!(said, starts);
        let outside = ran.metrics()["ledger"]["out_of_window"]["packets"].clone();
        assert_eq!(outside, u64::from(options.contains(&"--to")));
    }
}

/// A row is there as soon as its bucket is over, though the stream goes on.
#[test]
fn rows_of_a_stream_come_as_time_passes() {
    let mut child = command(["buckets", "-", "--every", "1s", "--reorder", "0", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut rows) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let bytes = pcap(&[0, 100, 1200, 1300].map(|ms| udp(START + ms * MS, 1)));
    stdin.write_all(&bytes).unwrap();
    stdin.flush().unwrap();
    let row: Value = serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap();
    assert_eq!((row["pkts_unknown"].as_u64(), row["new_udp_flows"].as_u64()), (Some(2), Some(1)));
    // Empty rows wait for no full one.
    stdin.write_all(&pcap(&[5000, 5100].map(|ms| udp(START + ms * MS, 1)))[24..]).unwrap();
    stdin.flush().unwrap();
    let counts: [u64; 4] = std::array::from_fn(|_| {
        let row: Value = serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap();
        row["pkts_unknown"].as_u64().unwrap()
    });
    assert_eq!(counts, [2, 0, 0, 0]);
    drop(stdin);
    let row: Value = serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap();
    assert_eq!(row["pkts_unknown"], 2);
    assert!(rows.next().unwrap().unwrap().contains("metrics"));
    assert!(child.wait().unwrap().success());
}

/// A signal is the normal end of a stream: what is open is written, also into a file, and the exit code tells of it.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_stream_and_its_rows_are_whole() {
    for (signal, code, dialect) in [("INT", 130, false), ("TERM", 143, false), ("INT", 130, true)] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out.jsonl");
        let mut arguments = vec!["buckets", "-", "--every", "1s", "-o", place.to_str().unwrap()];
        if dialect {
            arguments.extend(["--dialect", "bridge"]);
        }
        let mut child = command(arguments).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&pcap(&[0, 100, 1200].map(|ms| udp(START + ms * MS, 1)))).unwrap();
        stdin.flush().unwrap();
        while std::fs::read_dir(folder.path()).unwrap().next().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains("3 in buckets") && said.contains("2 rows"), "{said}");
        let text = std::fs::read_to_string(&place).unwrap();
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |row: &Value| {
            let name = if dialect { "pkts_in" } else { "pkts_unknown" };
            row[name].as_u64()
        };
        assert_eq!(rows.iter().filter_map(count).collect::<Vec<_>>(), [2, 1], "{text}");
        assert_eq!(text.contains("metrics"), !dialect);
        drop(stdin);
    }
}

/// A signal ends a stream where it stands, inside a record or before the first byte: that is no damage, so nobody complains, and what there is
/// is written.
#[cfg(unix)]
#[test]
fn a_stream_that_a_signal_cuts_is_not_damaged() {
    let whole = pcap(&[0, 100, 1200].map(|ms| udp(START + ms * MS, 1)));
    for (bytes, packets) in [(&whole[..whole.len() - 5], 2), (&whole[..10], 0), (&[][..], 0)] {
        for quiet in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path().join("out.jsonl");
            let arguments = ["buckets", "-", "--every", "1s", "-o", place.to_str().unwrap()];
            let mut run = command(arguments.into_iter().chain(quiet.then_some("-q")));
            let mut child = run.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(bytes).unwrap();
            stdin.flush().unwrap();
            while std::fs::read_dir(folder.path()).unwrap().next().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let kill = std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
            assert!(kill.unwrap().success());
            let ended = child.wait_with_output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(130), "{said}");
            let complains = ["truncated", "empty", "stopped"].iter().any(|word| said.contains(word));
            assert!(!complains && said.is_empty() == quiet, "{said}");
            let text = std::fs::read_to_string(&place).unwrap();
            let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let counted: u64 = rows.iter().filter_map(|row| row["pkts_unknown"].as_u64()).sum();
            assert_eq!((counted, &rows.last().unwrap()["type"]), (packets, &Value::from("metrics")), "{text}");
            drop(stdin);
        }
    }
}

/// Where every other time is wild, buckets leave when too many are open; every packet is counted.
#[test]
fn open_buckets_are_bounded() {
    let times = (0..140_000_i64).map(|n| if n % 2 == 0 { START + n } else { START + n * 50_000 * SECOND / 1000 });
    let packets: Vec<Sent> = times.map(|time| udp(time, 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "wild.pcap", &pcap(&packets));
    let settings = Settings { gap_limit: 0, ..Settings::default() };
    let rows = written(&[path], settings, 1);
    let column = |name: &str| 3 + COLUMNS.iter().position(|column| column.name == name).unwrap();
    let [packets, late] = ["pkts_unknown", "late"].map(|name| {
        let cell = |row: &str| row.split(',').nth(column(name)).unwrap().parse::<u64>().unwrap();
        rows.lines().map(cell).sum::<u64>()
    });
    assert_eq!(packets + late, 140_000);
    assert!(late < 70_000, "{late}");
}
