//! The nexus dialect against what NexusFlowMeter 0.1.5 wrote of the same captures.
//!
//! Every value of every row is compared, joined by flow and start; integers and text are equal, reals within 1e-9,
//! relative. Rows without counterpart are named below, with the reason.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{LinkType, PcapLayout, PcapWriter};
use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::dialects::nexus::dialect;
use pcap_compactor::views::flows::{FlowJob, Settings};
use pcap_compactor::{Engine, Timestamp};
use serde_json::Value;

use crate::command::run;
use crate::csv::parse;
use crate::run::{file, inputs};
use crate::traffic::{Body, Frame, START, pcap, v4};

type Row = BTreeMap<String, String>;

/// Rows that stand there only: captures with how many there are, which, and why.
const APART: &[(&str, usize, &str)] = &[
    ("443-firefox", 0, ""),
    ("WebattackRCE", 0, ""),
    ("bittorrent", 0, ""),
    ("iphone", 3, "ARP: it is not IP"),
    ("synthetic_edges", 1, "ARP: it is not IP"),
    ("synthetic_edges_snap96", 1, "ARP: it is not IP"),
];

/// Columns whose values are reals.
const REALS: [&str; 8] = [
    "duration_seconds",
    "forward_backward_ratio",
    "packets_per_second",
    "bytes_per_second",
    "avg_packet_size",
    "avg_inter_arrival_ms",
    "min_inter_arrival_ms",
    "max_inter_arrival_ms",
];

fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/cic");
    if folder.join("nexusflowmeter_0.1.5").is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: NexusFlowMeter's own output; {missing}").expect("standard error takes text");
    None
}

fn rows(text: &str) -> Vec<Row> {
    let mut lines = parse(text).into_iter();
    let header = lines.next().unwrap_or_default();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

/// What the dialect writes of captures.
fn written(captures: &[PathBuf], threads: usize, form: Form) -> String {
    let dialect = dialect();
    let settings = dialect.settings(Settings::default());
    let mut out = Vec::new();
    let writer = FlowWriter::new(&mut out, "memory", form, settings.columns.clone(), Times::Seconds);
    let mut writer = writer.notation(dialect.notation());
    let engine = Engine::builder().filter(dialect.filter().clone()).threads(threads);
    FlowJob::new(settings).engine(engine).run(inputs(captures), &mut writer).expect("the run ends well");
    drop(writer);
    String::from_utf8(out).expect("it is UTF-8")
}

fn same(column: &str, ours: &str, theirs: &str) -> bool {
    ours == theirs
        || REALS.contains(&column)
            && match (ours.parse::<f64>(), theirs.parse::<f64>()) {
                (Ok(a), Ok(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
                _ => false,
            }
}

#[test]
fn every_value_is_that_of_the_original() {
    let Some(folder) = reference() else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for &(name, apart, why) in APART {
        let text = std::fs::read_to_string(folder.join(format!("nexusflowmeter_0.1.5/nx_{name}.csv")));
        let text = text.expect("there is a reference");
        let ours = written(&[folder.join(format!("pcap/{name}.pcap"))], 2, Form::Csv);
        assert_eq!(ours.lines().next(), text.lines().next(), "the header");
        let (arp, theirs): (Vec<_>, Vec<_>) = rows(&text).into_iter().partition(|row| row["protocol"] == "ARP");
        assert_eq!(arp.len(), apart, "{name}: {why}");
        let ours = rows(&ours);
        // Those of equal bytes are in no order there.
        let bytes = |rows: &[Row]| rows.iter().map(|row| row["total_bytes"].clone()).collect::<Vec<_>>();
        assert_eq!(bytes(&ours), bytes(&theirs), "{name}");
        let by_flow = |rows: Vec<Row>| -> BTreeMap<[String; 2], Row> {
            let count = rows.len();
            let key = |row: &Row| ["flow_id", "start_time"].map(|column| row[column].clone());
            let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (key(&row), row)).collect();
            assert_eq!(rows.len(), count, "{name}: a flow stands twice");
            rows
        };
        let (ours, theirs) = (by_flow(ours), by_flow(theirs));
        assert!(ours.keys().eq(theirs.keys()), "{name}: {:?} {:?}", ours.keys(), theirs.keys());
        for (key, row) in &ours {
            for (column, cell) in row {
                compared += 1;
                let theirs = &theirs[key][column];
                if !same(column, cell, theirs) {
                    wrong.push(format!("{name}, {}, {column}: {theirs} there, {cell} here", key[0]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 30_000, "only {compared} values were compared");
}

#[test]
fn the_table_of_a_folder_is_that_of_the_original() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read_to_string(folder.join("nexusflowmeter_0.1.5/merged_dir_example.csv"));
    let text = text.expect("there is a reference");
    let captures = ["443-firefox", "bittorrent"].map(|name| folder.join(format!("pcap/{name}.pcap")));
    let words = captures.iter().map(|path| path.to_str().unwrap());
    let ours = run(["flows", "--dialect", "nexus", "--source-file"].into_iter().chain(words));
    assert_eq!((ours.code, ours.out.lines().next()), (Some(0), text.lines().next()), "{}", ours.said);
    let sorted = |text: &str| {
        let mut rows = rows(text);
        rows.sort_by(|a, b| a["source_file"].cmp(&b["source_file"]).then_with(|| a["flow_id"].cmp(&b["flow_id"])));
        rows
    };
    let (ours, theirs) = (sorted(&ours.out), sorted(&text));
    assert_eq!((ours.len(), theirs.len()), (25, 25));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for (column, cell) in ours {
            assert!(same(column, cell, &theirs[column]), "{column}: {} there, {cell} here", theirs[column]);
        }
    }
}

/// Without the brackets, and the commas between objects.
fn objects(array: &str) -> Vec<&str> {
    let inner = array.strip_prefix("[\n").and_then(|rest| rest.strip_suffix("\n]"));
    inner
        .unwrap_or_else(|| panic!("it is an array: {array}"))
        .split_inclusive("\n  }")
        .map(|o| o.trim_start_matches(",\n"))
        .collect()
}

#[test]
fn the_array_is_that_of_the_original() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read_to_string(folder.join("nexusflowmeter_0.1.5/nx_synthetic_edges.json"));
    let text = text.expect("there is a reference");
    let ours = written(&[folder.join("pcap/synthetic_edges.pcap")], 1, Form::Array);
    let (arp, theirs): (Vec<_>, Vec<_>) = objects(&text).into_iter().partition(|object| object.contains("(ARP)"));
    assert_eq!((arp.len(), theirs.len()), (1, 11));
    assert_eq!(objects(&ours), theirs);
}

fn tcp(at: i64, src: (u8, u16), dst: (u8, u16), flags: u8, payload: &[u8]) -> Frame {
    let body = Body::Tcp { src_port: src.1, dst_port: dst.1, flags, payload: payload.to_vec() };
    Frame::new(START + at, v4(10, 0, 0, src.0), v4(10, 0, 0, dst.0), body)
}

fn udp(at: i64, src: (u8, u16), dst: (u8, u16), payload: &[u8]) -> Frame {
    let body = Body::Udp { src_port: src.1, dst_port: dst.1, payload: payload.to_vec() };
    Frame::new(START + at, v4(10, 0, 0, src.0), v4(10, 0, 0, dst.0), body)
}

const MS: i64 = 1_000_000;

/// All that is peculiar: 10.0.0.10 is the smaller text of the two.
fn edges() -> Vec<Frame> {
    let (client, server) = ((9, 5000), (10, 80));
    let (from, to) = (v4(10, 0, 0, 9), v4(10, 0, 0, 10));
    let icmp = |at, src, dst| Frame::new(START + at, src, dst, Body::Icmp { protocol: 1, kind: 8 });
    let other = |at, protocol| Frame::new(START + at, from, to, Body::Other { protocol });
    let later = |at| {
        let body = Body::Later { identification: 7, protocol: 17, length: 30 };
        Frame::new(START + at, from, to, body)
    };
    vec![
        tcp(0, client, server, 0x02, b""),
        Frame { padding: 6, ..tcp(10 * MS, server, client, 0x12, b"") },
        tcp(250 * MS, client, server, 0x18, b"0123456789"),
        // Time goes back, also behind the first.
        Frame { cut: 4, ..tcp(-MS, client, server, 0x00, b"0123456789") },
        udp(MS, (9, 53), (9, 5353), b"self"),
        Frame { tags: 1, ..udp(2 * MS, (9, 1000), (10, 2000), b"tagged") },
        Frame { tags: 2, ..udp(3 * MS, (10, 2000), (9, 1000), b"") },
        udp(4 * MS, (9, 0), (10, 7), b"no port"),
        tcp(5 * MS, (9, 1), (10, 2), 0x14, b""),
        tcp(6 * MS, (9, 3), (10, 4), 0x02, b""),
        tcp(7 * MS, (9, 3), (10, 4), 0x11, b""),
        icmp(8 * MS, from, to),
        icmp(8 * MS, to, from),
        later(9 * MS),
        other(10 * MS, 47),
        Frame::new(START, from, to, Body::Arp),
    ]
}

/// What NexusFlowMeter 0.1.5 says of them, but that the two flows `Unknown` are one there.
const ROWS: [&str; 9] = [
    "10.0.0.10:80 <-> 10.0.0.9:5000 (TCP),10.0.0.10,10.0.0.9,80,5000,TCP,2023-10-19 12:00:00.000000,\
     2023-10-19 11:59:59.999000,-0.001,4,1,3,True,0.3333333333333333,238,60,178,102,26,76,0.0,0.0,54,64,59.5,\
     -0.3333333333333333,-251.0,240.0,\",PA,S,SA\",1,0,0,2,Established",
    "10.0.0.10:4 <-> 10.0.0.9:3 (TCP),10.0.0.10,10.0.0.9,4,3,TCP,2023-10-19 12:00:00.006000,2023-10-19 12:00:00.007000,\
     0.001,2,0,2,False,0.0,108,0,108,40,0,40,2000.0,108000.0,54,54,54.0,1.0,1.0,1.0,\"FA,S\",1,1,0,1,Closed",
    "10.0.0.10:2000 <-> 10.0.0.9:1000 (UDP),10.0.0.10,10.0.0.9,2000,1000,UDP,2023-10-19 12:00:00.002000,\
     2023-10-19 12:00:00.003000,0.001,2,1,1,True,1.0,102,50,52,66,32,34,2000.0,102000.0,50,52,51.0,1.0,1.0,1.0,,\
     0,0,0,0,Unknown",
    "10.0.0.10 <-> 10.0.0.9 (ICMP),10.0.0.10,10.0.0.9,,,ICMP,2023-10-19 12:00:00.008000,2023-10-19 12:00:00.008000,0.0,\
     2,1,1,True,1.0,84,42,42,0,0,0,0.0,0.0,42,42,42.0,0.0,0.0,0.0,,0,0,0,0,Unknown",
    "10.0.0.10 <-> 10.0.0.9 (Unknown),10.0.0.10,10.0.0.9,,,Unknown,2023-10-19 12:00:00.009000,\
     2023-10-19 12:00:00.009000,0.0,1,0,1,False,0.0,64,0,64,0,0,0,0.0,0.0,64,64,64.0,0.0,0.0,0.0,,0,0,0,0,Unknown",
    "10.0.0.10:2 <-> 10.0.0.9:1 (TCP),10.0.0.10,10.0.0.9,2,1,TCP,2023-10-19 12:00:00.005000,2023-10-19 12:00:00.005000,\
     0.0,1,0,1,False,0.0,54,0,54,20,0,20,0.0,0.0,54,54,54.0,0.0,0.0,0.0,RA,0,0,1,1,Reset",
    "10.0.0.10 <-> 10.0.0.9 (UDP),10.0.0.10,10.0.0.9,7,,UDP,2023-10-19 12:00:00.004000,2023-10-19 12:00:00.004000,0.0,1,\
     0,1,False,0.0,49,0,49,15,0,15,0.0,0.0,49,49,49.0,0.0,0.0,0.0,,0,0,0,0,Unknown",
    "10.0.0.9:53 <-> 10.0.0.9:5353 (UDP),10.0.0.9,10.0.0.9,53,5353,UDP,2023-10-19 12:00:00.001000,\
     2023-10-19 12:00:00.001000,0.0,1,1,0,False,inf,46,46,0,12,12,0,0.0,0.0,46,46,46.0,0.0,0.0,0.0,,0,0,0,0,Unknown",
    "10.0.0.10 <-> 10.0.0.9 (Unknown),10.0.0.10,10.0.0.9,,,Unknown,2023-10-19 12:00:00.010000,\
     2023-10-19 12:00:00.010000,0.0,1,0,1,False,0.0,46,0,46,0,0,0,0.0,0.0,46,46,46.0,0.0,0.0,0.0,,0,0,0,0,Unknown",
];

fn header() -> Vec<&'static str> {
    dialect().columns().iter().map(|column| column.name).collect()
}

#[test]
fn what_is_peculiar_is_as_in_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let text = written(&[file(folder.path(), "a.pcap", &pcap(&edges()))], 1, Form::Csv);
    assert_eq!(text.lines().next(), Some(header().join(",").as_str()));
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ROWS);
}

#[test]
fn the_array_has_what_the_rows_say_and_null_for_infinity() {
    let folder = tempfile::tempdir().unwrap();
    let text = written(&[file(folder.path(), "a.pcap", &pcap(&edges()))], 1, Form::Array);
    let array: Value = serde_json::from_str(&text).unwrap();
    let rows = rows(&format!("{}\n{}\n", header().join(","), ROWS.join("\n")));
    assert_eq!(array.as_array().unwrap().len(), rows.len());
    for (object, row) in array.as_array().unwrap().iter().zip(rows) {
        assert_eq!(object.as_object().unwrap().len(), row.len());
        for (column, cell) in row {
            let expected = match (cell.as_str(), cell.parse::<f64>()) {
                ("inf", _) => Value::Null,
                ("True" | "False", _) => (cell == "True").into(),
                (_, Ok(n)) if REALS.contains(&&*column) => ((n * 1e10).round() / 1e10).into(),
                _ => cell.parse::<u64>().map_or(cell.clone().into(), Value::from),
            };
            assert_eq!(object[&column], expected, "{column}");
        }
    }
    let empty = written(&[file(folder.path(), "a.pcap", &pcap(&[]))], 1, Form::Array);
    assert_eq!(empty, "[]");
}

#[test]
fn without_a_link_layer_payload_begins_a_layer_further_in() {
    let bytes = udp(0, (1, 7), (2, 8), b"payload").bytes().0;
    let layout = PcapLayout { link: LinkType(101), ..PcapLayout::default() };
    let mut writer = PcapWriter::new(Vec::new(), layout).unwrap();
    writer.record(Timestamp(START), 35, &bytes[14..]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = written(&[file(folder.path(), "a.pcap", &writer.finish().unwrap())], 1, Form::Csv);
    assert_eq!([&rows(&text)[0]["total_bytes"], &rows(&text)[0]["total_payload_bytes"]], ["35", "7"]);
}

#[test]
fn the_command_writes_rows_of_most_bytes_first_and_the_same_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("a.pcap");
    let path = capture.to_str().unwrap();
    assert_eq!(run(["synth", path, "--packets", "20000"]).code, Some(0));
    let alone = run(["flows", path, "--dialect", "nexus"]);
    assert_eq!(alone.code, Some(0), "{}", alone.said);
    let rows = rows(&alone.out);
    let bytes: Vec<u64> = rows.iter().map(|row| row["total_bytes"].parse().unwrap()).collect();
    assert!(rows.len() > 100 && bytes.is_sorted_by(|a, b| a >= b), "{bytes:?}");

    let lines = run(["flows", path, "--dialect", "nexus", "--format", "jsonl"]);
    for (line, row) in lines.lines().iter().zip(&rows) {
        let ratio = &line["forward_backward_ratio"];
        assert_eq!(
            (line["flow_id"].as_str(), ratio.is_null()),
            (Some(&*row["flow_id"]), row["backward_packets"] == "0")
        );
    }
}

/// Its lines, but those that say what was read, when, and how long that took.
fn lines_of(report: &str) -> Vec<&str> {
    let of_run = ["Source file: ", "Analysis time: ", "Processing duration: "];
    report.lines().filter(|line| !of_run.iter().any(|begin| line.starts_with(begin))).collect()
}

#[test]
fn the_report_is_that_of_the_original() {
    let Some(folder) = reference() else { return };
    let place = tempfile::tempdir().unwrap();
    let report = place.path().join("report.txt");
    // Those without ARP.
    for name in ["443-firefox", "WebattackRCE", "bittorrent"] {
        let capture = folder.join(format!("pcap/{name}.pcap"));
        let (capture, out) = (capture.to_str().unwrap(), report.to_str().unwrap());
        assert_eq!(run(["flows", capture, "--dialect", "nexus", "--report", out]).code, Some(0));
        let ours = std::fs::read_to_string(&report).unwrap();
        assert!(ours.contains(&format!("\n\nSource file: {capture}\nTotal flows analyzed: ")), "{ours}");
        let theirs = std::fs::read_to_string(folder.join(format!("nexusflowmeter_0.1.5/nx_{name}_flow_report.txt")));
        assert_eq!(lines_of(&ours), lines_of(&theirs.expect("there is a reference")), "{name}");
    }
}

#[test]
fn the_report_tells_of_all_flows_and_is_of_this_dialect() {
    let folder = tempfile::tempdir().unwrap();
    let capture = file(folder.path(), "a.pcap", &pcap(&edges()));
    let report = folder.path().join("report.txt");
    let (capture, out) = (capture.to_str().unwrap(), report.to_str().unwrap());
    assert_eq!(run(["flows", capture, "--dialect", "nexus", "--report", out]).code, Some(0));
    let text = std::fs::read_to_string(&report).unwrap();
    for line in [
        "Total flows analyzed: 9",
        "  TCP     :      3 flows ( 33.3%)",
        "  Unknown :      2 flows ( 22.2%)",
        "  Max packets/flow:      4",
        "  10.0.0.10: <-> 10.0.0.9: (ICMP): 2 packets",
        "  Unidirectional flows: 6 (66.7%)",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    let [protocols, top] =
        ["  TCP  ", "  10.0.0.10"].map(|begin| text.lines().position(|line| line.starts_with(begin)));
    assert!(protocols < top && top.is_some(), "{text}");

    let empty = file(folder.path(), "empty.pcap", &pcap(&[]));
    assert_eq!(run(["flows", empty.to_str().unwrap(), "--dialect", "nexus", "--report", out]).code, Some(0));
    assert!(std::fs::read_to_string(&report).unwrap().contains("  Average:     0.00 seconds"));

    for options in [&["--report", out][..], &["--report", out, "--dialect", "wa1kpcap"]] {
        assert_eq!(run([&["flows", capture], options].concat()).code, Some(2), "{options:?}");
    }
    assert_eq!(run(["flows", capture, "--dialect", "nexus", "--report", capture]).code, Some(2));
}

#[test]
fn without_flows_there_is_a_header_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let arp = edges().split_off(15);
    for frames in [&[][..], &arp] {
        let capture = file(folder.path(), "a.pcap", &pcap(frames));
        let ran = run(["flows", capture.to_str().unwrap(), "--dialect", "nexus"]);
        assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 1), "{}", ran.said);
        assert!(ran.out.starts_with("flow_id,src_ip,"), "{}", ran.out);
    }
}

#[test]
fn a_measure_that_the_dialect_has_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let capture = file(folder.path(), "a.pcap", &pcap(&edges()));
    let with = |bytes| run(["flows", capture.to_str().unwrap(), "--dialect", "nexus", "--bytes", bytes]);
    let (captured, wire) = (with("captured"), with("wire"));
    assert_eq!((captured.code, wire.code), (Some(0), Some(2)));
    assert!(wire.said.contains("leave out --bytes"), "{}", wire.said);
}
