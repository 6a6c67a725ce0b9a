//! `--format xlsx`: the archive and its sheet read back, cell by cell.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::DeflateDecoder;
use pcap_compactor::views::flows::dialects::Dialect;
use serde_json::Value;

use crate::command::{command, run};
use crate::csv::parse;
use crate::run::file;
use crate::traffic::{Body, Frame, START, pcap, v4};

/// A cell: its kind, and what stands there.
type Cell = (String, String);

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    bytes[at..at + width].iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte))
}

/// The files of an archive, by its directory; lengths and checksums are looked at.
fn unzip(bytes: &[u8]) -> BTreeMap<String, String> {
    let end = bytes.len() - 22;
    assert_eq!(number(bytes, end, 4), 0x0605_4b50);
    let mut at = number(bytes, end + 16, 4);
    assert_eq!(at + number(bytes, end + 12, 4), end, "the directory is in front of the end");
    let mut files = BTreeMap::new();
    for _ in 0..number(bytes, end + 10, 2) {
        assert_eq!(number(bytes, at, 4), 0x0201_4b50);
        let [checksum, packed, length] = [16, 20, 24].map(|field| number(bytes, at + field, 4));
        let (name, local) = (number(bytes, at + 28, 2), number(bytes, at + 42, 4));
        let title = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).unwrap();
        assert_eq!([number(bytes, at + 12, 2), number(bytes, at + 14, 2)], [0, 0x21], "1980-01-01");
        assert_eq!(number(bytes, local, 4), 0x0403_4b50);
        assert_eq!(&bytes[local + 30..local + 30 + name], title.as_bytes());
        let from = local + 30 + name;
        let behind = from + packed;
        assert_eq!(number(bytes, behind, 4), 0x0807_4b50);
        assert_eq!([4, 8, 12].map(|field| number(bytes, behind + field, 4)), [checksum, packed, length]);
        let mut text = String::new();
        DeflateDecoder::new(&bytes[from..behind]).read_to_string(&mut text).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        assert_eq!((text.len(), crc.sum() as usize), (length, checksum), "{title}");
        files.insert(title, text);
        at += 46 + name;
    }
    assert_eq!(at, end);
    files
}

/// What stands between two marks, and what is behind.
fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<(&'t str, &'t str)> {
    text.split_once(from)?.1.split_once(to)
}

/// The rows of a workbook's sheet: cells by the letters of their columns.
fn sheet(bytes: &[u8]) -> Vec<BTreeMap<String, Cell>> {
    let files = unzip(bytes);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "[Content_Types].xml",
            "_rels/.rels",
            "xl/_rels/workbook.xml.rels",
            "xl/workbook.xml",
            "xl/worksheets/sheet1.xml"
        ]
    );
    let mut rest = files["xl/worksheets/sheet1.xml"].as_str();
    assert!(rest.starts_with("<?xml version=\"1.0\"") && rest.ends_with("</sheetData></worksheet>"));
    let mut rows = Vec::new();
    while let Some((row, behind)) = between(rest, "<row ", "</row>") {
        let (mut row, mut cells) = (row, BTreeMap::new());
        assert!(row.starts_with(&format!("r=\"{}\">", rows.len() + 1)), "{row}");
        while let Some((cell, behind)) = between(row, "<c r=\"", "</c>") {
            let (place, cell) = cell.split_once('"').unwrap();
            let letters = place.strip_suffix(&(rows.len() + 1).to_string()).unwrap();
            let (kind, value) = cell.split_once('>').unwrap();
            let text = match kind.trim() {
                "t=\"inlineStr\"" => between(value, "<is><t xml:space=\"preserve\">", "</t></is>"),
                "t=\"b\"" | "" => between(value, "<v>", "</v>"),
                other => panic!("no kind of cell: {other}"),
            };
            let text = text.unwrap().0.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            assert!(cells.insert(letters.to_owned(), (kind.trim().to_owned(), text)).is_none());
            row = behind;
        }
        rows.push(cells);
        rest = behind;
    }
    rows
}

/// Flows with infinite ratios, truths, ports that are missing and text.
fn capture() -> Vec<u8> {
    let bodies = [
        Body::Tcp { src_port: 1, dst_port: 80, flags: 2, payload: vec![] },
        Body::Udp { src_port: 2, dst_port: 53, payload: vec![0; 12] },
        Body::Icmp { protocol: 1, kind: 8 },
    ];
    let there =
        (0..).zip(bodies).map(|(n, body)| Frame::new(START + n * 1_000_000, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body));
    let back = Body::Udp { src_port: 53, dst_port: 2, payload: vec![0; 99] };
    let back = Frame::new(START + 7_000_001, v4(9, 0, 0, 1), v4(10, 0, 0, 1), back);
    pcap(&there.chain([back]).collect::<Vec<_>>())
}

fn workbook(path: &Path, options: &[&str]) -> Vec<u8> {
    let out = path.with_extension("xlsx");
    let words = [&["flows", path.to_str().unwrap(), "-o", out.to_str().unwrap(), "--no-schema"], options].concat();
    let ran = run(words);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{options:?}: {ran:?}");
    fs::read(out).unwrap()
}

#[test]
fn cells_are_those_of_csv_and_of_their_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    for options in [
        &["--dialect", "nexus"][..],
        &["--dialect", "cic-java"],
        &["--dialect", "wa1kpcap"],
        &["--columns", "@all", "--sequences", "3"],
    ] {
        let kinds = compared(&path, options);
        assert!(kinds[""] > 10 && kinds["t=\"inlineStr\""] > 10, "{kinds:?}");
        if options.contains(&"nexus") {
            assert_eq!(kinds["t=\"b\""], 3, "one a flow");
        }
    }
}

#[cfg(feature = "payload")]
#[test]
fn what_payload_says_is_in_cells_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcap");
    assert_eq!(run(["synth", path.to_str().unwrap(), "--packets", "3000"]).code, Some(0));
    let kinds = compared(&path, &["--columns", "@default,@app"]);
    assert!(kinds["t=\"b\""] > 10 && kinds["t=\"inlineStr\""] > 1000, "{kinds:?}");
}

/// Holds a workbook against CSV; how many cells there are of each kind.
fn compared(path: &Path, options: &[&str]) -> BTreeMap<String, usize> {
    let csv = parse(&run([&["flows", path.to_str().unwrap(), "--format", "csv"], options].concat()).out);
    let rows = sheet(&workbook(path, options));
    assert_eq!(rows.len(), csv.len(), "{options:?}");
    let header: BTreeMap<_, _> = rows[0].iter().map(|(letters, (_, text))| (text, letters)).collect();
    assert_eq!(header.len(), csv[0].len());
    let mut kinds = BTreeMap::new();
    for (row, cells) in rows.iter().zip(&csv) {
        for (name, expected) in csv[0].iter().zip(cells) {
            let (kind, text) = row.get(header[name]).map_or(("none", ""), |(kind, text)| (kind, text));
            let same = match kind {
                "t=\"b\"" => matches!((text, &**expected), ("1", "True" | "true") | ("0", "False" | "false")),
                "" => text.parse::<f64>().unwrap() == expected.parse::<f64>().unwrap(),
                _ => text == expected,
            };
            assert!(same, "{options:?} {name}: {text} here, {expected} in CSV");
            *kinds.entry(kind.to_owned()).or_insert(0) += 1;
        }
    }
    kinds
}

#[test]
fn what_is_infinite_is_text_and_text_is_no_formula() {
    let dir = tempfile::tempdir().unwrap();
    let body = Body::Udp { src_port: 1, dst_port: 2, payload: vec![] };
    let path = file(dir.path(), "a.pcap", &pcap(&[Frame::new(START, v4(1, 0, 0, 1), v4(2, 0, 0, 1), body)]));
    let rules = file(dir.path(), "rules.toml", b"default = \"=1+1 <&> \\u0001_x0041_\"\n");
    let rows = sheet(&workbook(&path, &["--dialect", "nexus", "--label", rules.to_str().unwrap()]));
    let text = |letters: &str| rows[1][letters].clone();
    assert_eq!(rows[0]["N"].1, "forward_backward_ratio");
    assert_eq!(text("N"), ("t=\"inlineStr\"".into(), "inf".into()));
    assert_eq!(rows[0]["AI"].1, "label");
    // Escaped as ECMA-376 has it, so that it reads back as it was.
    assert_eq!(text("AI"), ("t=\"inlineStr\"".into(), "=1+1 <&> _x0001__x005F_x0041_".into()));
}

#[test]
fn the_same_input_gives_the_same_bytes_on_any_number_of_threads_and_into_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcap");
    assert_eq!(run(["synth", path.to_str().unwrap(), "--packets", "20000"]).code, Some(0));
    let first = workbook(&path, &["--dialect", "nexus"]);
    assert!(sheet(&first).len() > 100);
    for threads in ["1", "3"] {
        assert!(workbook(&path, &["--dialect", "nexus", "--threads", threads]) == first);
    }
    let words = ["flows", path.to_str().unwrap(), "--dialect", "nexus", "--format", "xlsx"];
    assert!(command(words).output().unwrap().stdout == first);
    // Without flows there is a header.
    let empty = file(dir.path(), "empty.pcap", &pcap(&[]));
    assert_eq!(sheet(&workbook(&empty, &[])).len(), 1);
}

#[test]
fn tables_of_captures_and_protocols_are_spreadsheets_too() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    fs::create_dir(here.join("in")).unwrap();
    file(here, "in/a.pcap", &capture());
    let with = |words: &str| {
        let ran = command(["flows"].into_iter().chain(words.split(' '))).current_dir(here).output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    };
    with("in -o out --each --format xlsx --dialect nexus");
    assert_eq!(sheet(&fs::read(here.join("out/a.pcap.xlsx")).unwrap()).len(), 4);
    with("in -o f.xlsx --split-by-protocol");
    let rows = ["tcp", "udp", "icmp", "other"]
        .map(|name| sheet(&fs::read(here.join(format!("f_{name}_flows.xlsx"))).unwrap()).len());
    assert_eq!(rows, [2, 2, 2, 1]);
    let schema: Value = serde_json::from_slice(&fs::read(here.join("f.xlsx.schema.json")).unwrap()).unwrap();
    assert_eq!(schema["format"], "xlsx");
}

#[test]
fn text_that_no_cell_has_room_for_stops_the_run_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let rules = file(dir.path(), "rules.toml", format!("default = \"{}\"\n", "a".repeat(32_768)).as_bytes());
    let path = file(dir.path(), "a.pcap", &capture());
    let out = dir.path().join("f.xlsx");
    let words = ["flows", path.to_str().unwrap(), "--label", rules.to_str().unwrap(), "-o", out.to_str().unwrap()];
    let ran = run(words);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.said.contains("row 2 has more than the 32,767 characters") && ran.said.contains("`label`"), "{ran:?}");
    assert!(!out.exists());
    assert_eq!(run([&words[..], &["--format", "csv", "--quiet"]].concat()).code, Some(0));
}

#[test]
fn every_dialect_has_a_spreadsheet() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    for name in Dialect::NAMES {
        let rows = sheet(&workbook(&path, &["--dialect", name]));
        let lines = run(["flows", path.to_str().unwrap(), "--dialect", name]).out.lines().count();
        assert_eq!((rows.len(), rows[0].len()), (lines, name.parse::<Dialect>().unwrap().columns().len()), "{name}");
    }
}

/// A full disk, say, is an error.
#[cfg(target_os = "linux")]
#[test]
fn a_place_that_takes_no_bytes_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    let words = ["flows", path.to_str().unwrap(), "--format", "xlsx", "-o", "/dev/full"];
    let ran = run(words);
    assert!(ran.code == Some(1) && ran.said.contains("cannot write"), "{ran:?}");
}
