//! Products as tables: the values of JSON Lines, and the same bytes whatever the run met.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_schema::{DataType, Schema};
use serde_json::{Value, json};

use super::disturbed::kills;
use super::{Site, same};
use crate::command::run;
use crate::tables::{Table, group, scan};

/// By the hour those that can be so, by the capture dialects of every family.
const BY_HOUR: [&str; 6] = ["groups", "flows", "flows:cic", "flows:nf-v2", "flows:nf-v3", "buckets:1s"];
const BY_CAPTURE: [&str; 7] =
    ["groups", "flows", "flows:wa1kpcap", "flows:cic-py", "flows:nexus", "flows:lycos", "buckets:1s"];

fn site(products: &[&str], end: &str) -> Site {
    let mut site = Site::by(Duration::from_secs(600), 6000, 2);
    site.products = products.iter().map(|product| &*format!("{product}{end}").leak()).collect();
    site.parts.iter().for_each(|part| site.arrive(part, true));
    site
}

fn open(path: &Path) -> Table {
    if path.extension().is_some_and(|end| end == "arrow") { Table::arrow(path) } else { Table::parquet(path) }
}

/// A value as both have it: times as nanoseconds, of which each line has nine decimals or none; other numbers as floats; none, where a dialect
/// has text in place of a number.
fn plain(value: &Value, is_time: bool, is_line: bool) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| plain(item, is_time, is_line)).collect(),
        Value::Number(n) if is_time && is_line => {
            let text = n.to_string();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            json!(format!("{whole}{fraction:0<9}").parse::<i64>().unwrap())
        }
        Value::Number(_) if is_time => value.clone(),
        Value::Number(n) => json!(format!("{:?}", n.to_string().parse::<f64>().unwrap())),
        Value::String(text) if text.is_empty() || text.parse::<f64>().is_ok_and(|n| !n.is_finite()) => Value::Null,
        other => other.clone(),
    }
}

/// Rows as text, their values in the order of names.
fn rows(rows: &[Value], schema: &Schema, are_lines: bool) -> Vec<String> {
    let is_time = |name: &str| match schema.field_with_name(name).unwrap().data_type() {
        DataType::Timestamp(..) => true,
        DataType::List(item) => matches!(item.data_type(), DataType::Timestamp(..)),
        _ => false,
    };
    let row = |row: &Value| {
        let cells = row.as_object().unwrap().iter().filter(|(name, _)| *name != "type");
        let cells: BTreeMap<_, _> = cells.map(|(name, value)| (name, plain(value, is_time(name), are_lines))).collect();
        format!("{cells:?}")
    };
    rows.iter().map(row).collect()
}

/// Compares all tables of an output with the lines of another; how many rows each product has.
fn compare(tables: &Site, lines: &Site, end: &str) -> BTreeMap<String, usize> {
    let (made, expected) = (tables.records("out"), lines.records("out"));
    let of_table = |path: &PathBuf| path.with_extension(end);
    assert_eq!(made.keys().cloned().collect::<Vec<_>>(), expected.keys().map(of_table).collect::<Vec<_>>());
    let mut counts = BTreeMap::new();
    for (path, text) in &expected {
        let table = open(&tables.path("out").join(path.with_extension(end)));
        let product = path.iter().next().unwrap().to_str().unwrap();
        let flat = match product {
            "groups" => group,
            "scans" => scan,
            _ => Value::clone,
        };
        let text = str::from_utf8(text).unwrap();
        let text: Vec<Value> = text.lines().map(|line| flat(&serde_json::from_str(line).unwrap())).collect();
        let [mut ours, mut theirs] =
            [(table.rows(), false), (text, true)].map(|(list, are_lines)| rows(&list, &table.schema, are_lines));
        *counts.entry(product.to_owned()).or_default() += ours.len();
        if product.starts_with("flows") {
            // Of those that begin at one time, bytes decide, and they are others.
            ours.sort();
            theirs.sort();
        }
        let differs = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{}", path.display());
        assert_eq!(ours.len(), theirs.len(), "{}", path.display());
        assert_eq!(table.schema.field_with_name("sensor").is_ok(), has_sensor(product), "{product}");
    }
    counts
}

/// Dialects have the columns of their programs, which know no sensors.
fn has_sensor(product: &str) -> bool {
    !product.starts_with("flows-")
}

/// What the journal says that is out, by product.
fn told(site: &Site) -> BTreeMap<String, [u64; 2]> {
    let status = run([Path::new("status"), &site.path("out"), "--json".as_ref()]);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    let of = |of: &Value| {
        let number = |name: &str| of[name].as_u64().unwrap();
        (of["product"].as_str().unwrap().to_owned(), [number("records"), number("bytes")])
    };
    status["hours"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn tables_have_the_values_of_lines_by_the_hour_and_by_the_capture() {
    for (products, layout) in [(&BY_HOUR[..], ""), (&BY_CAPTURE[..], "/capture")] {
        let lines = site(products, &format!("@jsonl{layout}"));
        assert_eq!(lines.once("out"), Some(0));
        for end in ["parquet", "arrow"] {
            let tables = site(products, &format!("@{end}{layout}"));
            assert_eq!(tables.once("out"), Some(0));
            let counts = compare(&tables, &lines, end);
            assert_eq!(counts.len(), products.len() + 1, "scans, too");
            assert!(counts.values().all(|rows| *rows > 1), "{counts:?}");
            let records = tables.records("out");
            for (product, [rows, bytes]) in told(&tables) {
                let files = records.iter().filter(|(path, _)| path.starts_with(&product));
                let sizes: usize = files.map(|(_, bytes)| bytes.len()).sum();
                assert_eq!([rows, bytes], [counts[&product] as u64, sizes as u64], "{product}");
            }
        }
    }
}

#[test]
fn rows_of_an_hour_stand_in_the_order_of_their_first_packets() {
    let site = site(&["flows"], "@parquet");
    assert_eq!(site.once("out"), Some(0));
    for path in site.records("out").keys() {
        let rows = open(&site.path("out").join(path)).rows();
        let times: Vec<i64> = rows.iter().map(|row| row["first_ts"].as_i64().unwrap()).collect();
        assert!(times.len() > 10 && times.is_sorted(), "{}", path.display());
    }
}

#[test]
fn a_table_says_what_it_is_and_nothing_of_the_run() {
    for end in ["parquet", "arrow"] {
        let site = site(&["groups", "flows:cic"], &format!("@{end}"));
        assert_eq!(site.once("out"), Some(0));
        let mut products = Vec::new();
        for path in site.records("out").keys() {
            let table = open(&site.path("out").join(path));
            let about = |name: &str| table.about(name).to_owned();
            let stem = path.with_extension("");
            let hour: Vec<&str> = stem.iter().skip(2).map(|part| part.to_str().unwrap()).collect();
            assert_eq!(about("hour"), format!("{}T{}:00:00Z", hour[..3].join("-"), hour[3]), "{}", path.display());
            assert_eq!([about("sensor"), about("version")], ["gate", env!("CARGO_PKG_VERSION")]);
            assert_eq!([about("inputs"), about("metrics")], ["", ""], "an hour is of no capture");
            let settings: Value = serde_json::from_str(&about("settings")).unwrap();
            let is_flows = about("product") == "flows";
            assert_eq!(about("dialect"), if is_flows { "cic" } else { "" });
            assert_eq!(settings["product"], format!("{}@{end}", if is_flows { "flows:cic" } else { "groups" }));
            match is_flows {
                true => assert_eq!(settings["tcp_timeout_ns"], 120_000_000_000_i64),
                false => assert_eq!(settings["config"]["idle_split_seconds"], 120),
            }
            products.push(about("product"));
        }
        products.sort();
        products.dedup();
        assert_eq!(products, ["flows", "groups", "scans"]);
    }
    let site = site(&["groups", "buckets:1s"], "@parquet/capture");
    assert_eq!(site.once("out"), Some(0));
    for path in site.records("out").keys() {
        let table = open(&site.path("out").join(path));
        let name = path.with_extension("pcap").strip_prefix(path.iter().next().unwrap()).unwrap().to_owned();
        let inputs: Value = serde_json::from_str(table.about("inputs")).unwrap();
        let bytes = fs::metadata(site.path("in").join(&name)).unwrap().len();
        assert_eq!((&inputs[0]["name"], &inputs[0]["bytes"]), (&json!(name), &json!(bytes)));
        assert_eq!((table.about("sensor"), table.about("hour")), ("gate", ""));
    }
}

#[test]
fn the_same_hour_is_the_same_bytes_however_its_captures_are_cut_and_where_they_lie() {
    for end in ["@parquet", "@arrow"] {
        let coarse = site(&BY_HOUR, end);
        assert_eq!(coarse.once("out"), Some(0));
        let mut fine = Site::by(Duration::from_secs(90), 6000, 2);
        fine.products = coarse.products.clone();
        fine.parts.iter().for_each(|part| fine.arrive(part, true));
        assert_eq!(fine.once("elsewhere"), Some(0));
        same(&fine.records("elsewhere"), &coarse.records("out"));
    }
}

#[test]
fn a_kill_at_any_moment_changes_no_byte_of_a_table() {
    let mut site = Site::by(Duration::from_secs(300), 6000, 2);
    site.products = vec!["groups@parquet", "flows@arrow", "flows:cic@parquet/capture", "buckets:1s@parquet"];
    kills(&site, &site.expected(&site.parts));
}
