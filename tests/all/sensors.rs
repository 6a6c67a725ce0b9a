//! Sensors that run apart: whose each record is, and one account for all of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::{Ran, run};
use crate::model::SECOND;
use crate::run::{balances, number, sum};
use crate::traffic::{Body, Frame, START, pcap, v4};

/// Two sensors that saw the same conversation, and more of it in the north; one file there is damaged.
pub(crate) fn sensors(root: &Path) {
    let frames = |n: i64| -> Vec<Frame> {
        let syn = Body::Tcp { src_port: 40_000, dst_port: 80, flags: 0x02, payload: Vec::new() };
        (0..n).map(|i| Frame::new(START + i * SECOND, v4(10, 0, 0, 1), v4(10, 0, 0, 2), syn.clone())).collect()
    };
    for (name, bytes) in
        [("alps/a.pcap", pcap(&frames(2))), ("north/a.pcap", pcap(&frames(3))), ("north/b.pcap", pcap(&frames(5)))]
    {
        let (sensor, file) = name.split_once('/').unwrap();
        let folder = root.join(sensor).join("2023/10/19/12");
        fs::create_dir_all(&folder).unwrap();
        let cut = if name == "north/b.pcap" { 1 } else { 0 };
        fs::write(folder.join(file), &bytes[..bytes.len() - cut]).unwrap();
    }
}

fn compact(root: &Path, arguments: &[&str]) -> Ran {
    let root = root.to_str().unwrap();
    let fixed = ["compact", "--root", root, "--hour", "2023-10-19T12", "--by-sensor"];
    run(fixed.iter().chain(arguments))
}

fn of_sensor<'v>(records: &'v [Value], sensor: &str) -> Vec<&'v Value> {
    records.iter().filter(|record| record["sensor"] == sensor).collect()
}

#[test]
fn sensors_apart_on_standard_output_end_in_one_line_that_accounts_for_all() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    let ran = compact(root.path(), &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    let metrics = ran.metrics();
    balances(&metrics);
    assert!(metrics.get("sensor").is_none(), "it is of no one sensor");
    assert_eq!(number(&metrics["segments_seen"]), 3);
    assert_eq!(number(&metrics["groups_emitted"]), 2);
    assert_eq!(number(&metrics["ledger"]["kept"]["packets"]), 2 + 3 + 4);
    let files: Vec<_> = metrics["files"].as_array().unwrap().iter().collect();
    assert_eq!(
        files.iter().map(|file| file["sensor"].as_str().unwrap()).collect::<Vec<_>>(),
        ["alps", "north", "north"]
    );
    assert_eq!(files[2]["status"], "truncated");
    let lines = ran.lines();
    let records = &lines[..lines.len() - 1];
    let packets = |sensor| number(&of_sensor(records, sensor)[0]["counts"]["pkts_up"]);
    assert_eq!((records.len(), packets("alps"), packets("north")), (2, 2, 7));
    // Merged, the same packets are one group.
    let merged = run(["compact", "--root", root.path().to_str().unwrap(), "--hour", "2023-10-19T12"]);
    assert_eq!(merged.lines().len(), 2);
    assert_eq!(merged.metrics()["ledger"], metrics["ledger"]);
    assert!(merged.metrics()["files"][0].get("sensor").is_none());
    // One account on standard error, too.
    assert_eq!(ran.said.lines().filter(|line| line.contains("packets/s")).count(), 1, "{}", ran.said);
}

#[test]
fn csv_of_several_sensors_has_one_header_and_a_digest_covers_all() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    let csv = compact(root.path(), &["--format", "csv"]).out;
    let rows: Vec<&str> = csv.lines().map(|line| line.split_once(',').unwrap().0).collect();
    assert_eq!(rows, ["sensor", "alps", "north"]);
    let none = compact(root.path(), &["--format", "none"]);
    let [digest, _] = &none.lines()[..] else { panic!("a digest and the metrics: {}", none.out) };
    assert_eq!((digest["type"].as_str(), number(&digest["records"])), (Some("digest"), 2));
    none.metrics();
    // Whose a record is is part of it.
    fs::rename(root.path().join("alps"), root.path().join("east")).unwrap();
    assert_ne!(compact(root.path(), &["--format", "none"]).lines()[0], *digest);
}

#[test]
fn sensors_apart_in_a_folder_have_their_own_with_their_own_metrics() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    let out = tempfile::tempdir().unwrap();
    let ran = compact(root.path(), &["-o", out.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{}", ran.said);
    let all = compact(root.path(), &[]);
    let mut total = [0; 3];
    for sensor in ["alps", "north"] {
        let read = |name: &str| fs::read_to_string(out.path().join(sensor).join(name)).unwrap();
        let metrics: Value = serde_json::from_str(&read("metrics.json")).unwrap();
        balances(&metrics);
        assert_eq!(metrics["sensor"], sensor);
        for (total, n) in total.iter_mut().zip(sum(&metrics["ledger"]["read"])) {
            *total += n;
        }
        let groups: Vec<Value> =
            read("groups/2023/10/19/12.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(groups.iter().collect::<Vec<_>>(), of_sensor(&all.lines(), sensor));
    }
    assert_eq!(total, sum(&all.metrics()["ledger"]["read"]));
}

#[test]
fn hours_without_captures_are_told_with_where_they_were_looked_for_and_what_there_is() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    fs::create_dir(root.path().join("west")).unwrap();
    let place = root.path().to_str().unwrap();
    let compact = |options: &[&str]| run(["compact", "--root", place].iter().chain(options));
    let ran = compact(&["--hour", "2023-10-20T12"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let expected = "there are no captures in SENSOR/2023/10/20/11 to 2023/10/20/12 (UTC); the hours that are there go \
                    from 2023/10/19/12 to 2023/10/19/12";
    assert!(ran.said.contains(&format!("{place}: {expected}")), "{}", ran.said);
    let ran = compact(&["--hour", "2023-10-19T12", "--sensor", "west"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("no such folder is there at all"), "{}", ran.said);
    let ran = compact(&["--hour", "2023-10-19T12"]);
    assert!(ran.said.contains("west: this sensor has no captures"), "{}", ran.said);
    for (root, told) in
        [("/nowhere/at/all", "there is no such folder"), (place, "no: cannot list: there is no such sensor")]
    {
        let ran = run(["compact", "--root", root, "--hour", "2023-10-19T12", "--sensor", "no"]);
        assert_eq!(ran.code, Some(1), "{}", ran.said);
        assert!(ran.said.contains(told), "{}", ran.said);
    }
}

#[test]
fn files_given_by_path_belong_to_the_sensor_local() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    let file = root.path().join("alps/2023/10/19/12/a.pcap");
    let ran = run(["compact", "--by-sensor", file.to_str().unwrap()]);
    assert_eq!((ran.code, &ran.lines()[0]["sensor"]), (Some(0), &Value::from("local")));
    assert_eq!(ran.metrics()["files"][0]["sensor"], "local");
}

#[test]
fn a_sensor_is_a_name_and_leads_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    let out = root.path().join("out");
    let inside = root.path().join("alps");
    for name in ["../alps", "alps/", ".", "alps/2023", inside.to_str().unwrap()] {
        let ran = compact(root.path(), &["--sensor", name, "-o", out.to_str().unwrap()]);
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.said);
        assert!(ran.said.contains("is no name of a folder in"), "{}", ran.said);
    }
    assert!(!out.exists() && !inside.join("metrics.json").exists());
}
