//! Tables of typed columns against what JSON Lines say of the same records.

use std::fs::{self, File};
use std::net::Ipv6Addr;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pcap_compactor::capture::Identity;
use serde_json::{Value, json};

use crate::command::run;
use crate::corpus::corpus;
use crate::run::file;
use crate::traffic::{Body, Frame, START, pcap, v4};

/// A table that was read back, and what the file says of itself.
pub(crate) struct Table {
    pub(crate) schema: Schema,
    batches: Vec<RecordBatch>,
    about: Vec<(String, String)>,
    groups: usize,
}

impl Table {
    pub(crate) fn parquet(path: &Path) -> Table {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let metadata = builder.metadata().clone();
        let about = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
        Table {
            schema: (**builder.schema()).clone(),
            batches: builder.build().unwrap().map(|batch| batch.unwrap()).collect(),
            about: about.into_iter().map(|pair| (pair.key, pair.value.unwrap_or_default())).collect(),
            groups: metadata.num_row_groups(),
        }
    }

    pub(crate) fn arrow(path: &Path) -> Table {
        let reader = FileReader::try_new(File::open(path).unwrap(), None).unwrap();
        let about = reader.custom_metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let schema = (*reader.schema()).clone();
        let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
        Table { schema, groups: batches.len(), batches, about }
    }

    /// Its rows as objects, times as nanoseconds.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cell = |(at, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
                    (field.name().clone(), value(batch.column(at), row))
                };
                rows.push(Value::Object(self.schema.fields().iter().enumerate().map(cell).collect()));
            }
        }
        rows
    }

    pub(crate) fn about(&self, name: &str) -> &str {
        let name = format!("pcap_compactor.{name}");
        let told = self.about.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        told.or_else(|| self.schema.metadata().get(&name)).map_or("", String::as_str)
    }
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampNanosecondType>().value(row).into(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|at| value(&items, at)).collect::<Vec<_>>().into()
        }
        other => panic!("{other}"),
    }
}

/// Equal as values: 1 and 1.0 are; so is a time in seconds to one in nanoseconds, for there the decimal has all digits.
fn same(table: &Value, line: &Value, is_time: bool) -> bool {
    match (table, line) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, is_time)),
        (Value::Number(a), Value::Number(b)) if is_time => {
            let text = b.to_string();
            let Some((whole, fraction)) = text.split_once('.') else { return a == b };
            let ns = format!("{whole}{fraction:0<9}").parse::<i64>().unwrap();
            a.as_i64() == Some(ns)
        }
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.to_string().parse::<f64>().unwrap() == b.to_string().parse::<f64>().unwrap()
        }
        // Where a dialect has no number, it has no text, or says what it is.
        (Value::Null, Value::String(text)) => text.is_empty() || text.parse::<f64>().is_ok_and(|n| !n.is_finite()),
        _ => table == line,
    }
}

/// Whether a table has the rows that lines have. Values that lines cannot have, as infinite ones, are null there.
fn compare(table: &Table, lines: &[Value], what: &str) {
    let rows = table.rows();
    assert_eq!(rows.len(), lines.len(), "{what}");
    for (nth, (row, line)) in rows.iter().zip(lines).enumerate() {
        let line = line.as_object().unwrap();
        let fields = line.iter().filter(|(name, _)| *name != "type");
        assert_eq!(fields.clone().count(), row.as_object().unwrap().len(), "{what}: columns");
        for (name, said) in fields {
            let field = table.schema.field_with_name(name).unwrap();
            let is_time = match field.data_type() {
                DataType::Timestamp(..) => true,
                DataType::List(item) => matches!(item.data_type(), DataType::Timestamp(..)),
                _ => false,
            };
            let cell = &row[name];
            assert!(same(cell, said, is_time), "{what}, row {nth}, {name}: {cell} in the table, {said} in the line");
        }
    }
}

/// Runs a command twice, into a table and into lines, and compares.
fn both(words: &[&str], capture: &Path, more: &[&str], what: &str) -> Table {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("table.parquet");
    let capture = capture.to_str().unwrap();
    let out = ["-q", "-o", path.to_str().unwrap()];
    let ran = run([words, &[capture], &out, more].concat());
    assert!(matches!(ran.code, Some(0 | 3)), "{what}: {ran:?}");
    let lines = run([words, &[capture, "-q", "--format", "jsonl"], more].concat()).lines();
    let table = Table::parquet(&path);
    let records: Vec<Value> = lines.iter().filter(|line| line["type"] != "metrics").cloned().collect();
    compare(&table, &records, what);
    let metrics: Value = serde_json::from_str(table.about("metrics")).unwrap();
    assert_eq!(Some(&metrics), lines.last(), "{what}");
    table
}

#[test]
fn tables_of_flows_and_buckets_have_what_lines_have_on_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let mut rows = 0;
    for (name, path) in &corpus.captures {
        if run(["inspect", "-q", path.to_str().unwrap()]).code == Some(1) {
            continue;
        }
        let all = ["--columns", "@all,@app,label", "--sequences", "50", "--times", "ns"];
        rows += both(&["flows"], path, &all, name).rows().len();
        both(&["buckets"], path, &["--every", "1s", "--times", "ns"], name);
    }
    assert!(rows > 8000, "{rows}");
}

#[test]
fn tables_of_dialects_have_what_lines_have() {
    let Some(corpus) = corpus() else { return };
    let dialects = [
        "wa1kpcap",
        "cic",
        "cic-java",
        "cic-engelen",
        "cic-2018",
        "cic-2017",
        "cic-py",
        "cic-py-0.2",
        "lycos",
        "nexus",
        "nf-v2",
        "nf-v3",
    ];
    for (nth, (name, path)) in corpus.captures.iter().step_by(5).enumerate() {
        if run(["inspect", "-q", path.to_str().unwrap()]).code == Some(1) {
            continue;
        }
        let dialect = dialects[nth % dialects.len()];
        let table = both(&["flows", "--dialect", dialect], path, &[], &format!("{name} {dialect}"));
        assert_eq!(table.about("dialect"), dialect);
    }
}

/// Of the bridge's rows lines have no metrics; CSV has the same values under the same names.
#[test]
fn tables_of_the_bridge_have_what_its_lines_have() {
    let Some(corpus) = corpus() else { return };
    let (dir, mut rows) = (tempfile::tempdir().unwrap(), 0);
    for (name, path) in &corpus.captures {
        let capture = path.to_str().unwrap();
        if run(["inspect", "-q", capture]).code == Some(1) {
            continue;
        }
        let words =
            ["buckets", "-q", "--dialect", "bridge", "--bridge-address", "10.0.0.1", "--gap-limit", "9", capture];
        let [parquet, arrow, csv] = ["b.parquet", "b.arrow", "b.csv"].map(|name| {
            let path = dir.path().join(name);
            let ran = run(words.iter().chain(&["-o", path.to_str().unwrap()]));
            assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
            path
        });
        let lines = run(words).lines();
        let (parquet, arrow) = (Table::parquet(&parquet), Table::arrow(&arrow));
        compare(&parquet, &lines, name);
        compare(&arrow, &lines, name);
        let csv = fs::read_to_string(csv).unwrap();
        let (header, csv) = csv.split_once('\n').unwrap();
        let csv: Vec<Value> = csv.lines().map(|line| line.split(',').collect::<Vec<_>>().into()).collect();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let expected = |line: &Value| header.split(',').map(|name| text(&line[name])).collect::<Vec<_>>().into();
        assert_eq!(csv, lines.iter().map(expected).collect::<Vec<Value>>(), "{name}");
        let metrics: Value = serde_json::from_str(parquet.about("metrics")).unwrap();
        assert_eq!(metrics["buckets_emitted"], lines.len());
        assert_eq!(metrics["ledger"]["read"]["packets"], metrics["files"][0]["packets"]);
        rows += lines.len();
        if rows == lines.len() {
            assert_eq!((parquet.about("product"), parquet.about("dialect")), ("buckets", "bridge"));
            let settings: Value = serde_json::from_str(parquet.about("settings")).unwrap();
            let told = json!({"bucket_ms": 100, "bridge_address": "10.0.0.1", "mono_origin_ns": 0, "gap_limit": 9});
            assert_eq!(settings, told);
            let said = run(["schema", "buckets", "--dialect", "bridge"]).out;
            for (field, line) in parquet.schema.fields().iter().zip(said.lines().skip(1)) {
                let cells: Vec<&str> = line.split('\t').collect();
                let about = |name: &str| field.metadata().get(name).map_or("-", String::as_str);
                assert_eq!((about("dialect"), field.name().as_str()), ("bridge", cells[0]));
                assert_eq!([about("unit"), about("meaning")], [cells[2], cells[3]]);
            }
            assert_eq!(said.lines().count(), 1 + 18);
        }
    }
    assert!(rows > 1000, "{rows}");
}

/// UDP flows, one packet each.
fn many(flows: u16) -> Vec<u8> {
    let frame = |n: u16| {
        let body = Body::Udp { src_port: n, dst_port: 53, payload: vec![0; 12] };
        Frame::new(START + i64::from(n), v4(10, 0, 0, 1), v4(9, 0, 0, 1), body)
    };
    pcap(&(1..=flows).map(frame).collect::<Vec<_>>())
}

#[test]
fn equal_records_are_equal_bytes_and_both_formats_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &many(20_000));
    let table = |name: &str, threads: &str| {
        let path = dir.path().join(name);
        let words = ["flows", capture.to_str().unwrap(), "-q", "--no-schema", "--threads", threads, "-o"];
        let ran = run(words.iter().chain(&[path.to_str().unwrap()]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        path
    };
    for end in ["parquet", "arrow"] {
        let [one, two] = ["1", "2"].map(|threads| fs::read(table(&format!("{threads}.{end}"), threads)).unwrap());
        assert!(one == two, "{end}");
    }
    let (parquet, arrow) = (Table::parquet(&dir.path().join("1.parquet")), Table::arrow(&dir.path().join("1.arrow")));
    assert_eq!(parquet.schema.fields(), arrow.schema.fields());
    assert_eq!(parquet.rows(), arrow.rows());
    for name in ["version", "product", "settings", "inputs", "metrics"] {
        assert_eq!(parquet.about(name), arrow.about(name));
        assert_ne!(parquet.about(name), "", "{name}");
    }
    assert!(arrow.groups > 1, "it leaves in pieces");
    let inputs: Value = serde_json::from_str(parquet.about("inputs")).unwrap();
    assert_eq!(inputs[0]["name"], capture.to_str().unwrap());
    assert_eq!(inputs[0]["bytes"], json!(fs::metadata(&capture).unwrap().len()));
    assert_eq!(inputs[0]["digest"], Identity::of(&capture).unwrap().digest);
    // Behind a link is the same capture.
    let link = dir.path().join("link.pcap");
    std::os::unix::fs::symlink(&capture, &link).unwrap();
    let of_link = dir.path().join("link.parquet");
    let words = ["flows", link.to_str().unwrap(), "-q", "-o", of_link.to_str().unwrap()];
    assert_eq!(run(words).code, Some(0));
    let of_link: Value = serde_json::from_str(Table::parquet(&of_link).about("inputs")).unwrap();
    assert_eq!([&of_link[0]["bytes"], &of_link[0]["digest"]], [&inputs[0]["bytes"], &inputs[0]["digest"]]);
    let column = parquet.schema.field_with_name("duration_s").unwrap();
    assert_eq!((column.metadata()["unit"].as_str(), column.data_type()), ("s", &DataType::Float64));
}

#[test]
fn addresses_may_be_sixteen_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &many(2));
    let path = dir.path().join("t.parquet");
    let words = ["flows", capture.to_str().unwrap(), "-q", "--addresses", "binary", "-o", path.to_str().unwrap()];
    assert_eq!(run(words).code, Some(0));
    let table = Table::parquet(&path);
    let bytes = table.batches[0].column_by_name("src_ip").unwrap().as_fixed_size_binary().value(0);
    assert_eq!(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap()), "::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap());
    let ran = run(["flows", capture.to_str().unwrap(), "--addresses", "binary"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.said.contains("--addresses is about --format parquet and arrow"), "{}", ran.said);
}

#[test]
fn groups_and_scans_of_hours_are_tables_and_resume_as_files_do() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let captures: Vec<&str> = corpus.captures.values().map(|path| path.to_str().unwrap()).collect();
    let into = |folder: &str, format: &str, resume: &[&str]| {
        let folder = dir.path().join(folder);
        let words = [&["compact", "-q", "--times", "ns", "--format", format, "-o"], &[folder.to_str().unwrap()][..]];
        let ran = run([&words.concat(), resume, &captures].concat());
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    };
    into("lines", "jsonl", &[]);
    into("tables", "parquet", &[]);
    let mut hours = 0;
    for (kind, flat) in [("groups", group as fn(&Value) -> Value), ("scans", scan)] {
        let folder = dir.path().join("lines").join(kind);
        for entry in walkdir::WalkDir::new(&folder).into_iter().map(|entry| entry.unwrap()) {
            if !entry.file_type().is_file() {
                continue;
            }
            let inside = entry.path().strip_prefix(dir.path().join("lines")).unwrap();
            let table = Table::parquet(&dir.path().join("tables").join(inside).with_extension("parquet"));
            let text = fs::read_to_string(entry.path()).unwrap();
            let lines: Vec<Value> = text.lines().map(|line| flat(&serde_json::from_str(line).unwrap())).collect();
            compare(&table, &lines, &inside.display().to_string());
            assert_eq!(table.about("product"), kind);
            hours += 1;
        }
    }
    assert!(hours > 100, "{hours}");
    let made = |folder: &Path| fs::metadata(folder.join("groups")).unwrap().modified().unwrap();
    let before = made(&dir.path().join("tables"));
    into("tables", "parquet", &["--resume"]);
    assert_eq!(made(&dir.path().join("tables")), before, "hours that are finished stay");
    let traces = |ending: &str| {
        let files = walkdir::WalkDir::new(dir.path().join("tables")).into_iter().map(|entry| entry.unwrap());
        files.filter(|entry| entry.path().extension().is_some_and(|end| end == ending)).count()
    };
    // In another format, nothing of the one before stays.
    into("tables", "csv", &[]);
    assert_eq!(traces("parquet"), 0);
    assert_eq!(traces("csv") * 2, hours);
}

/// A line of a group, flat as its row.
pub(crate) fn group(line: &Value) -> Value {
    let mut row = serde_json::Map::new();
    row.insert("sensor".into(), line["sensor"].clone());
    for part in ["key", "counts", "tcp_flags", "tokens"] {
        row.extend(line[part].as_object().unwrap().clone());
    }
    for name in ["first_ts", "last_ts", "duration_s", "flows", "direction"] {
        row.insert(name.into(), line[name].clone());
    }
    row.insert("window_start".into(), line["lineage_hour"][0].clone());
    row.insert("window_end".into(), line["lineage_hour"][1].clone());
    let section = ["http", "ftp", "smb"].into_iter().find(|name| line.get(name).is_some());
    row.insert("section".into(), json!(section));
    let body = section.map_or(&Value::Null, |name| &line[name]);
    let is_tokens = body.get("uri_tokens").is_some();
    row.insert("uri_tokens".into(), body["uri_tokens"].clone());
    row.insert("uri_tokens_total".into(), body["uri_tokens_total"].clone());
    let counts = body.as_object().filter(|_| !is_tokens).cloned();
    row.insert("commands".into(), json!(counts.as_ref().map(|counts| counts.keys().collect::<Vec<_>>())));
    row.insert("command_counts".into(), json!(counts.map(|counts| counts.values().cloned().collect::<Vec<_>>())));
    row.into()
}

/// A line of a scan summary, flat as its row.
pub(crate) fn scan(line: &Value) -> Value {
    let mut row = line.as_object().unwrap().clone();
    row.entry("sensor").or_insert(Value::Null);
    let window = row.remove("window").unwrap();
    row.insert("window_start".into(), window[0].clone());
    row.insert("window_end".into(), window[1].clone());
    let targets = row.remove("sample_targets").unwrap();
    let of = |at: usize| targets.as_array().unwrap().iter().map(|target| target[at].clone()).collect::<Vec<_>>();
    row.insert("sample_dsts".into(), of(0).into());
    row.insert("sample_ports".into(), of(1).into());
    row.into()
}
