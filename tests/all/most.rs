//! `--max-flows`: the flows of most packets, and the ledger of all.

use std::fs;
use std::path::Path;

use pcap_compactor::views::flows::dialects::Dialect;

use crate::command::{Ran, run};
use crate::run::{balances, file, number};
use crate::traffic::{Body, Frame, START, pcap, v4};

/// Flows of UDP to port 53 with so many packets each, in this order, from ports 1000 on.
fn capture(packets: &[u16]) -> Vec<u8> {
    let mut frames = Vec::new();
    for (port, &packets) in (1000..).zip(packets) {
        for n in 0..i64::from(packets) {
            let body = Body::Udp { src_port: port, dst_port: 53, payload: vec![0; 12] };
            frames.push(Frame::new(START + i64::from(port) * 1000 + n, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body));
        }
    }
    pcap(&frames)
}

fn flows(path: &Path, options: &[&str]) -> Ran {
    run([&["flows", path.to_str().unwrap()], options].concat())
}

/// The ports that rows are from.
fn ports(ran: &Ran) -> Vec<u64> {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.lines().iter().filter(|line| line["type"] == "flow").map(|line| number(&line["src_port"])).collect()
}

#[test]
fn the_flows_of_most_packets_stay_in_their_order_and_of_equal_ones_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(&[2, 3, 1, 3, 3, 5, 2]));
    for (limit, expected) in [
        ("1", &[1005][..]),
        ("2", &[1001, 1005]),
        ("3", &[1001, 1003, 1005]),
        ("5", &[1000, 1001, 1003, 1004, 1005]),
        ("6", &[1000, 1001, 1003, 1004, 1005, 1006]),
        ("7", &[1000, 1001, 1002, 1003, 1004, 1005, 1006]),
        ("4294967295", &[1000, 1001, 1002, 1003, 1004, 1005, 1006]),
    ] {
        for threads in ["1", "3"] {
            assert_eq!(ports(&flows(&path, &["--max-flows", limit, "--threads", threads])), expected, "{limit}");
        }
    }
    for wrong in ["0", "-1", "x"] {
        assert_eq!(flows(&path, &["--max-flows", wrong]).code, Some(2));
    }
}

#[test]
fn packets_of_the_others_are_over_the_limit_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(&[2, 3, 1, 3]));
    let ran = flows(&path, &["--max-flows", "2"]);
    let metrics = ran.metrics();
    balances(&metrics);
    let ledger = |name: &str| number(&metrics["ledger"][name]["packets"]);
    assert_eq!((ledger("read"), ledger("kept"), ledger("over_limit"), ledger("filtered")), (9, 6, 3, 0));
    let count = |name: &str| number(&metrics[name]);
    assert_eq!((count("flows_emitted"), count("ended_eof"), count("flows_over_limit")), (2, 2, 2));
    assert_eq!(count("packets_processed"), 6);
    assert!(ran.said.contains("6 in flows + 3 over a limit"), "{}", ran.said);
    assert!(ran.said.contains("2 flows left out by --max-flows, which keeps those of most packets"), "{}", ran.said);
    // A limit that is not reached leaves nothing out.
    let (all, plain) = (flows(&path, &["--max-flows", "4"]), flows(&path, &[]));
    assert_eq!(all.out, plain.out);
    assert_eq!(number(&all.metrics()["ledger"]["over_limit"]["packets"]), 0);
}

#[test]
fn every_dialect_has_a_limit_and_with_each_every_table() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    let path = file(&folder, "a.pcap", &capture(&[2, 3, 2, 4]));
    file(&folder, "b.pcap", &capture(&[5, 2, 3]));
    for name in Dialect::NAMES {
        let of = |options: &[&str]| -> Vec<String> {
            let ran = flows(&path, &[&["--dialect", name], options].concat());
            assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
            ran.out.lines().map(str::to_owned).collect()
        };
        let (all, some) = (of(&[]), of(&["--max-flows", "2"]));
        assert_eq!((all.len(), some.len()), (5, 3), "{name}");
        // They stand in all rows in this order, and those of two packets are not there.
        let mut rest = all.iter();
        assert!(some.iter().all(|row| rest.any(|other| other == row)), "{name}: {some:?}");
        assert!(some.iter().all(|row| !row.contains("1000") && !row.contains("1002")), "{name}: {some:?}");
    }
    let out = dir.path().join("out");
    let ran = flows(&folder, &["-o", out.to_str().unwrap(), "--each", "--max-flows", "2", "--columns", "src_port"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let table = |name: &str| fs::read_to_string(out.join(name)).unwrap().lines().count();
    assert_eq!([table("a.pcap.jsonl"), table("b.pcap.jsonl")], [3; 2]);
    let metrics = serde_json::from_slice(&fs::read(out.join("metrics.json")).unwrap()).unwrap();
    balances(&metrics);
    assert_eq!((number(&metrics["flows_emitted"]), number(&metrics["flows_over_limit"])), (4, 3));
    assert_eq!(number(&metrics["ledger"]["over_limit"]["packets"]), 2 + 2 + 2);

    let report = dir.path().join("report.txt");
    let options = ["--dialect", "nexus", "--max-flows", "3", "--report", report.to_str().unwrap()];
    assert_eq!(flows(&path, &options).code, Some(0));
    let text = fs::read_to_string(&report).unwrap();
    assert!(text.contains("Total flows analyzed: 3\n"), "{text}");
}
