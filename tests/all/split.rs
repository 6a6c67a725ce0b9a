//! A table for each protocol, and one table of captures that are apart.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::{Ran, command};
use crate::csv::parse;
use crate::run::{balances, file, number};
use crate::traffic::{Body, Frame, START, pcap, v4};

/// A flow of each kind: TCP, UDP, ICMP, GRE, and a later fragment of UDP.
fn kinds() -> Vec<u8> {
    let bodies = [
        Body::Tcp { src_port: 1, dst_port: 80, flags: 2, payload: vec![] },
        Body::Udp { src_port: 2, dst_port: 53, payload: vec![0; 12] },
        Body::Icmp { protocol: 1, kind: 8 },
        Body::Other { protocol: 47 },
        Body::Later { identification: 7, protocol: 17, length: 30 },
    ];
    let frame = |(n, body)| Frame::new(START + n, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body);
    pcap(&(0..).zip(bodies).map(frame).collect::<Vec<_>>())
}

/// A query of UDP.
fn query() -> Vec<u8> {
    let body = Body::Udp { src_port: 2, dst_port: 53, payload: vec![0; 12] };
    pcap(&[Frame::new(START, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body)])
}

fn flows(folder: &Path, words: &str) -> Ran {
    let words = ["flows"].into_iter().chain(words.split(' '));
    Ran::of(command(words).current_dir(folder).output().unwrap())
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The cells of a column.
fn column(table: &str, name: &str) -> Vec<String> {
    let mut rows = parse(table).into_iter();
    let place = rows.next().unwrap().iter().position(|column| column == name).unwrap();
    rows.map(|row| row[place].clone()).collect()
}

#[test]
fn each_protocol_has_a_table_and_together_they_are_the_one() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    file(here, "a.pcap", &kinds());
    for (options, name, last, numbers) in [
        ("--format csv", "protocol", "other", [&["6"][..], &["17", "17"], &["1"], &["47"]]),
        ("--dialect cic", "Protocol", "other", [&["6"], &["17", "17"], &["1"], &["47"]]),
        ("--dialect nexus", "protocol", "unknown", [&["TCP"], &["UDP"], &["ICMP"], &["Unknown", "Unknown"]]),
    ] {
        let _ = fs::remove_dir_all(here.join("out"));
        let ran = flows(here, &format!("a.pcap -o out/f.csv --split-by-protocol {options}"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let tables = ["tcp", "udp", "icmp", last].map(|name| format!("f_{name}_flows.csv"));
        let mut expected = [&tables[..], &["f.csv.schema.json".to_owned()]].concat();
        expected.sort();
        assert_eq!(names(&here.join("out")), expected);
        let whole = flows(here, &format!("a.pcap {options}")).out;
        let mut rows: Vec<_> = whole.lines().collect();
        let header = rows.remove(0);
        for (table, numbers) in tables.iter().zip(numbers) {
            let table = text(&here.join("out"), table);
            assert_eq!(column(&table, name), numbers, "{options}");
            let mut lines = table.lines();
            assert_eq!(lines.next(), Some(header));
            for line in lines {
                // In the order of the one table, each once.
                rows.remove(rows.iter().position(|row| *row == line).unwrap_or_else(|| panic!("{line} is no row")));
            }
        }
        assert!(rows.is_empty(), "{options}: {rows:?}");
        let schema: Value = serde_json::from_str(&text(&here.join("out"), "f.csv.schema.json")).unwrap();
        assert_eq!((&schema["format"], &schema["options"]["split_by_protocol"]), (&"csv".into(), &true.into()));
    }
}

#[test]
fn protocols_without_flows_have_tables_too_so_none_of_a_run_before_stays() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    file(here, "a.pcap", &kinds());
    file(here, "q.pcap", &query());
    for capture in ["a.pcap", "q.pcap"] {
        assert_eq!(flows(here, &format!("{capture} -o f --split-by-protocol --format csv --no-schema")).code, Some(0));
    }
    let lines = |name: &str| text(here, &format!("f_{name}_flows.csv")).lines().count();
    assert_eq!(["tcp", "udp", "icmp", "other"].map(lines), [1, 2, 1, 1]);

    assert_eq!(flows(here, "q.pcap -o f.jsonl --split-by-protocol --no-schema").code, Some(0));
    for name in ["tcp", "udp"] {
        let lines = text(here, &format!("f_{name}_flows.jsonl"));
        let metrics: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        balances(&metrics);
        assert_eq!(number(&metrics["flows_emitted"]), 1, "the ledger is that of the run");
    }
    let array = flows(here, "q.pcap -o f.json --split-by-protocol --no-schema --dialect nexus");
    assert_eq!((array.code, text(here, "f_tcp_flows.json").as_str()), (Some(0), "[]"));
}

#[test]
fn tables_of_protocols_are_guarded_and_come_together() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    file(here, "a.pcap", &kinds());
    for (words, said) in [
        ("a.pcap --split-by-protocol", "--output"),
        #[cfg(unix)]
        ("a.pcap --split-by-protocol -o /dev/null", "which is a pipe or a device; name a file"),
        ("f_udp_flows.csv -o f.csv --split-by-protocol", "--output would take the place of an input"),
        ("a.pcap -o f.csv --split-by-protocol --stats f_tcp_flows.csv", "--stats would take the place of --output"),
        (
            "a.pcap -o out --each --split-by-protocol --stats out/a.pcap_icmp_flows.jsonl",
            "--stats would take the place",
        ),
    ] {
        fs::write(here.join("f_udp_flows.csv"), query()).unwrap();
        let ran = flows(here, words);
        assert!(ran.code == Some(2) && ran.said.contains(said), "{words}: {ran:?}");
        assert!(fs::read(here.join("f_udp_flows.csv")).unwrap() == query());
    }
    fs::remove_file(here.join("f_udp_flows.csv")).unwrap();
    // One that cannot be made leaves none.
    fs::create_dir(here.join("f_other_flows.csv")).unwrap();
    assert_eq!(flows(here, "a.pcap -o f.csv --split-by-protocol").code, Some(1));
    assert_eq!(names(here), ["a.pcap", "f_other_flows.csv"]);
}

#[test]
fn each_capture_has_a_table_for_each_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    fs::create_dir(here.join("in")).unwrap();
    file(here, "in/a.pcap", &kinds());
    file(here, "in/b.pcap", &query());
    let words = "in -o out --each --split-by-protocol --dialect nexus";
    assert_eq!(flows(here, words).code, Some(0));
    let tables = ["a", "b"].map(|name| {
        ["icmp", "tcp", "udp", "unknown"].map(|protocol| format!("{name}.pcap_{protocol}_flows.csv")).to_vec()
    });
    assert_eq!(
        names(&here.join("out")),
        [&tables.concat()[..], &["metrics.json".into(), "schema.json".into()]].concat()
    );
    let ran = flows(here, words);
    assert!(ran.code == Some(1) && ran.said.contains("--force replaces it"), "{ran:?}");
    assert_eq!(flows(here, &format!("{words} --force")).code, Some(0));
    assert_eq!(column(&text(&here.join("out"), "b.pcap_udp_flows.csv"), "protocol"), ["UDP"]);
}

#[test]
fn one_table_of_captures_names_them_and_keeps_them_apart() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    fs::create_dir_all(here.join("in/deeper")).unwrap();
    file(here, "in/deeper/a.pcap", &query());
    file(here, "in/b.pcap", &query());
    file(here, "in/c.pcap", &kinds());
    for dialect in ["nexus", "cic", "wa1kpcap", "cic-py", "nf-v3"] {
        let table = flows(here, &format!("in --source-file --dialect {dialect}"));
        assert_eq!(table.code, Some(0), "{table:?}");
        let mut expected = Vec::new();
        // What each capture has by itself, with its name.
        for capture in ["b.pcap", "c.pcap", "deeper/a.pcap"] {
            let alone = flows(here, &format!("in/{capture} --dialect {dialect}")).out;
            let mut lines = alone.lines();
            let header = lines.next().unwrap();
            assert_eq!(table.out.lines().next(), Some(format!("{header},source_file").as_str()));
            expected.extend(lines.map(|line| format!("{line},{capture}")));
        }
        assert_eq!(table.out.lines().skip(1).collect::<Vec<_>>(), expected, "{dialect}");
        let threads = flows(here, &format!("in --source-file --dialect {dialect} --threads 3"));
        assert_eq!(threads.out, table.out);
    }
    // Together the three queries are one flow.
    assert_eq!(flows(here, "in --dialect nexus --filter udp").out.lines().count(), 3);

    let ran = flows(here, "in --source-file --columns dst_port");
    balances(&ran.metrics());
    assert_eq!(ran.metrics()["files"].as_array().unwrap().len(), 3);
    assert_eq!(ran.lines()[0]["source_file"], "b.pcap");
    assert_eq!(flows(here, "in/b.pcap --source-file --columns dst_port").lines()[0]["source_file"], "b.pcap");
    let some = flows(here, "in --source-file --columns dst_port --max-flows 2");
    assert_eq!(some.records().len(), 2, "the limit is of the whole table");
    for (words, said) in [
        ("- --source-file", "--source-file goes by the names of captures, and standard input has no name"),
        ("in -o out --each --source-file", "cannot be used with"),
    ] {
        let ran = flows(here, words);
        assert!(ran.code == Some(2) && ran.said.contains(said), "{ran:?}");
    }
}

#[test]
fn what_is_no_capture_stops_no_other_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    fs::create_dir(here.join("in")).unwrap();
    file(here, "in/a.pcap", &query());
    file(here, "in/text", b"this is text");
    file(here, "in/z.pcap", &query());
    let ran = flows(here, "in/a.pcap in/text in/z.pcap --source-file --dialect nexus -o f.csv");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(column(&text(here, "f.csv"), "source_file"), ["a.pcap", "z.pcap"]);
    let schema: Value = serde_json::from_str(&text(here, "f.csv.schema.json")).unwrap();
    assert_eq!(schema["columns"].as_array().unwrap().last().unwrap()["name"], "source_file");
    assert_eq!(schema["options"]["source_file"], true);
}
