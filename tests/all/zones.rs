//! `--time-zone`: civil times of dialects as clocks of a place show them.

use std::fs;
use std::path::Path;

use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::dialects::{Dialect, Zone};
use pcap_compactor::views::flows::{FlowJob, Settings};
use serde_json::Value;

use crate::command::{Ran, run};
use crate::csv::parse;
use crate::run::{file, inputs};
use crate::traffic::{Body, Frame, pcap, v4};

const SECOND: i64 = 1_000_000_000;

/// Two packets of UDP, the first so many seconds after 1970.
fn capture(dir: &Path, seconds: i64) -> String {
    let body = |src_port, dst_port| Body::Udp { src_port, dst_port, payload: vec![0; 12] };
    let time = seconds * SECOND + 250_000_000;
    let frames = [
        Frame::new(time, v4(10, 0, 0, 1), v4(10, 0, 0, 2), body(1000, 53)),
        Frame::new(time + SECOND, v4(10, 0, 0, 2), v4(10, 0, 0, 1), body(53, 1000)),
    ];
    file(dir, "a.pcap", &pcap(&frames)).to_str().unwrap().to_owned()
}

fn with(path: &str, dialect: &str, options: &[&str]) -> Ran {
    let ran = run([&["flows", path, "--dialect", dialect], options].concat());
    assert_eq!(ran.code, Some(0), "{options:?}: {ran:?}");
    ran
}

/// The cells of columns, in the first row.
fn cells<const N: usize>(ran: &Ran, names: [&str; N]) -> [String; N] {
    let rows = parse(&ran.out);
    names.map(|name| rows[1][rows[0].iter().position(|column| column == name).unwrap()].clone())
}

const TIMES: [(&str, i64, &str, &str); 7] = [
    ("UTC", 1_673_784_000, "2023-01-15 12:00:00.250", "15/01/2023 12:00:00 PM"),
    ("Europe/Berlin", 1_673_784_000, "2023-01-15 13:00:00.250", "15/01/2023 01:00:00 PM"),
    ("Europe/Berlin", 1_689_422_400, "2023-07-15 14:00:00.250", "15/07/2023 02:00:00 PM"),
    // West of UTC it is the day before.
    ("America/Moncton", 1_499_220_000, "2017-07-04 23:00:00.250", "04/07/2017 11:00:00 PM"),
    // The hour that comes twice, and the next.
    ("Europe/Berlin", 1_698_539_400, "2023-10-29 02:30:00.250", "29/10/2023 02:30:00 AM"),
    ("Europe/Berlin", 1_698_543_000, "2023-10-29 02:30:00.250", "29/10/2023 02:30:00 AM"),
    ("Europe/Berlin", 1_698_546_600, "2023-10-29 03:30:00.250", "29/10/2023 03:30:00 AM"),
];

#[test]
fn times_are_those_of_the_clocks_of_a_place() {
    let dir = tempfile::tempdir().unwrap();
    for (zone, seconds, iso, twelve) in TIMES {
        let path = capture(dir.path(), seconds);
        let of =
            |dialect: &str, column: &str| cells(&with(&path, dialect, &["--time-zone", zone]), [column])[0].clone();
        assert_eq!(of("nexus", "start_time"), format!("{iso}000"), "{zone} {seconds}");
        for dialect in ["cic", "cic-engelen"] {
            assert_eq!(of(dialect, "Timestamp"), iso, "{zone} {seconds} {dialect}");
        }
        for dialect in ["cic-java", "cic-2018", "cic-2017"] {
            assert_eq!(of(dialect, "Timestamp"), twelve, "{zone} {seconds} {dialect}");
        }
        for dialect in ["cic-py", "cic-py-0.2"] {
            assert_eq!(of(dialect, "timestamp"), iso.split('.').next().unwrap(), "{zone} {seconds} {dialect}");
        }
    }
}

#[test]
fn only_times_differ_and_lengths_of_time_stay() {
    let dir = tempfile::tempdir().unwrap();
    // Half a second before clocks go back by an hour.
    let path = capture(dir.path(), 1_698_541_199);
    let [utc, berlin] = [&[][..], &["--time-zone", "Europe/Berlin"]].map(|options| with(&path, "nexus", options));
    let names = ["start_time", "end_time", "duration_seconds"];
    assert_eq!(cells(&utc, names), ["2023-10-29 00:59:59.250000", "2023-10-29 01:00:00.250000", "1.0"]);
    assert_eq!(cells(&berlin, names), ["2023-10-29 02:59:59.250000", "2023-10-29 02:00:00.250000", "1.0"]);
    for name in Dialect::NAMES {
        let utc = with(&path, name, &[]);
        let explicit = run(["flows", &path, "--dialect", name, "--time-zone", "UTC"]);
        let zoned = run(["flows", &path, "--dialect", name, "--time-zone", "Asia/Tokyo"]);
        if ["wa1kpcap", "lycos", "nf-v2", "nf-v3"].contains(&name) {
            assert!(zoned.code == Some(2) && zoned.said.contains("has no times that are of a zone"), "{zoned:?}");
            continue;
        }
        assert_eq!((explicit.code, &explicit.out), (Some(0), &utc.out), "{name}");
        let [utc, zoned] = [&utc, &zoned].map(|ran| parse(&ran.out));
        let differ = utc[0].iter().enumerate().filter(|(at, _)| utc[1][*at] != zoned[1][*at]).map(|(_, name)| name);
        let differ: Vec<_> = differ.map(|name| name.to_ascii_lowercase()).collect();
        let expected = if name == "nexus" { &["start_time", "end_time"][..] } else { &["timestamp"] };
        assert_eq!(differ, expected, "{name}");
    }
    let text = with(&path, "lycos", &["--set", "timestamp=iso-utc", "--time-zone", "Asia/Tokyo"]);
    assert_eq!(cells(&text, ["timestamp"]), ["2023-10-29 09:59:59.250"]);
}

#[test]
fn the_zone_stands_beside_the_table_and_a_wrong_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path(), 1_673_784_000);
    let out = dir.path().join("f.csv");
    for (options, name) in [(&[][..], "UTC"), (&["--time-zone", "america/new_york"], "America/New_York")] {
        with(&path, "cic", &[&["-o", out.to_str().unwrap()], options].concat());
        let schema = fs::read(dir.path().join("f.csv.schema.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&schema).unwrap()["options"]["time_zone"], name);
    }
    for (zone, near) in [("Europe/Berln", "`Europe/Berlin`"), ("moncton", "`America/Moncton`")] {
        let ran = run(["flows", &path, "--dialect", "cic", "--time-zone", zone]);
        assert!(ran.code == Some(2) && ran.said.contains(near), "{ran:?}");
    }
    assert_eq!(run(["flows", &path, "--time-zone", "UTC"]).code, Some(2), "it is of a dialect");
}

#[test]
fn a_switch_that_is_set_leaves_the_zone() {
    let zone: Zone = "Asia/Tokyo".parse().unwrap();
    let dialect = "cic-java".parse::<Dialect>().unwrap().in_zone(zone).unwrap();
    let dialect = dialect.set("timestamp", "iso-utc").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path(), 1_673_784_000);
    assert_eq!(written(&dialect, &path), "2023-01-15 21:00:00.250");
}

/// The time of the only flow.
fn written(dialect: &Dialect, path: &str) -> String {
    let settings = dialect.settings(Settings::default());
    let mut out = Vec::new();
    let mut writer = FlowWriter::new(&mut out, "memory", Form::Csv, settings.columns.clone(), Times::Seconds);
    FlowJob::new(settings).run(inputs(&[path.into()]), &mut writer).unwrap();
    let rows = parse(&String::from_utf8(out).unwrap());
    rows[1][rows[0].iter().position(|column| column == "Timestamp").unwrap()].clone()
}
