//! CSV: a row a group, saying what its line of JSON says.

use pcap_compactor::Config;
use pcap_compactor::sink::csv::{COLUMNS, Csv};
use pcap_compactor::sink::jsonl::Times;
use proptest::prelude::*;
use serde_json::Value;

use crate::command::run;
use crate::model::Range;
use crate::properties::cases;
use crate::run::{PLAIN, file, inputs, job, lines};
use crate::traffic::{Body, Frame, START, frames, pcap, v4};

/// The rows of a CSV file (RFC 4180).
pub(crate) fn parse(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            c => row.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted && rows.pop().unwrap() == [""], "the last row ends in a line feed");
    rows
}

/// What a group's row must be, by its line of JSON.
fn row(group: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (key, counts, flags, tokens) = (&group["key"], &group["counts"], &group["tcp_flags"], &group["tokens"]);
    let section = ["http", "ftp", "smb"].iter().find(|name| group.get(name).is_some()).copied().unwrap_or("");
    let body = &group[section];
    let cell = |column: &str| match column {
        "sensor" => String::new(),
        "section" => section.into(),
        "uri_tokens" => body["uri_tokens"]
            .as_array()
            .map_or(String::new(), |tokens| tokens.iter().map(text).collect::<Vec<_>>().join(" ")),
        "uri_tokens_total" => body.get("uri_tokens_total").map_or(String::new(), text),
        "commands" if section == "http" => String::new(),
        "commands" => body.as_object().map_or(String::new(), |counts| {
            counts.iter().map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" ")
        }),
        "window_start" => text(&group["lineage_hour"][0]) + ".000000000",
        "window_end" => text(&group["lineage_hour"][1]) + ".000000000",
        column => {
            let holder = [key, counts, flags, tokens].into_iter().find(|holder| holder.get(column).is_some());
            text(&holder.unwrap_or(group)[column])
        }
    };
    let guard = |cell: String| match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\0') => format!("'{cell}"),
        _ => cell,
    };
    COLUMNS
        .iter()
        .map(|column| (*column, cell(column)))
        .map(|(column, cell)| match column {
            "uri_tokens" | "commands" => guard(cell),
            _ => cell,
        })
        .collect()
}

/// Rows of the same packets as CSV and as JSON.
fn both(frames: &[Frame]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = [file(dir.path(), "csv.pcap", &pcap(frames))];
    let config = Config { scan_unique_dsts_threshold: 3, ..Config::default() };
    let mut out = Vec::new();
    let mut sink = Csv::new(&mut out, "memory", Times::Seconds);
    job(&config, Range::default(), PLAIN).run(inputs(&paths), &mut sink).unwrap();
    drop(sink);
    let json = lines(&paths, &config, Range::default(), PLAIN);
    let json = String::from_utf8(json).unwrap();
    let groups = json.lines().filter(|line| line.starts_with("{\"type\":\"group\""));
    let header = COLUMNS.map(str::to_owned).to_vec();
    let rows = groups.map(|line| row(&serde_json::from_str(line).unwrap()));
    (parse(&String::from_utf8(out).unwrap()), [header].into_iter().chain(rows).collect())
}

#[test]
fn what_a_client_sends_can_neither_break_a_row_nor_start_a_formula() {
    let get = |time: i64, client: u8, target: &str| {
        let payload = format!("GET {target} HTTP/1.1\r\n\r\n").into_bytes();
        let body = Body::Tcp { src_port: 40_000, dst_port: 80, flags: 0x18, payload };
        Frame::new(START + time, v4(10, 0, 0, client), v4(10, 0, 1, 1), body)
    };
    let frames = [
        get(1, 1, "/a?q=\"x\",'y'"),
        get(2, 2, "/@cmd|'/C calc'!A0"),
        get(3, 3, "/--"),
        get(4, 4, "/\u{1}\tx,\u{85}"),
        get(5, 5, "/plain"),
    ];
    let (rows, expected) = both(&frames);
    assert_eq!(rows, expected);
    let tokens: Vec<&str> = rows[1..].iter().map(|row| row[27].as_str()).collect();
    assert!(tokens[1].starts_with('\'') && tokens[2].starts_with("'--"), "{tokens:?}");
}

#[test]
fn rows_are_the_same_on_standard_output_and_by_hour() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (capture, out) = (path("a.pcap"), path("out"));
    assert_eq!(run(["synth", &capture, "--packets", "20000"]).code, Some(0));
    let stream = run(["compact", &capture, "--format", "csv", "--times", "ns"]);
    assert_eq!(stream.code, Some(0), "{}", stream.said);
    assert_eq!(run(["compact", &capture, "--format", "csv", "--times", "ns", "-o", &out]).code, Some(0));
    let hour = |hour| std::fs::read_to_string(format!("{out}/groups/2023/10/19/{hour}.csv")).unwrap();
    let (header, rows) = stream.out.split_once('\n').unwrap();
    let hours = [13, 14].map(hour).map(|text| text.strip_prefix(&format!("{header}\n")).unwrap().to_owned());
    assert!(hours.iter().all(|rows| !rows.is_empty()) && hours.concat() == rows);
    // What has no rows is there all the same.
    let scans = std::fs::read_to_string(format!("{out}/scans/2023/10/19/13.jsonl")).unwrap();
    let metrics: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{out}/metrics.json")).unwrap()).unwrap();
    assert!(!scans.is_empty() && metrics["groups_emitted"] == rows.lines().count());
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_row_says_what_its_line_says(frames in frames(100)) {
        let (rows, expected) = both(&frames);
        prop_assert_eq!(rows, expected);
    }
}
