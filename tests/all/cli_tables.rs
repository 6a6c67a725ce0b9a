//! Tables of flows in files: what stands beside them, and one for each capture.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pcap_compactor::views::flows::dialects::Dialect;
use serde_json::Value;

use crate::command::{Ran, command, run};
use crate::run::{balances, file, number};
use crate::sensors::sensors;
use crate::traffic::{Body, Frame, START, pcap, v4};

/// Two flows of UDP; one of two packets, one of `n`.
fn capture(n: i64) -> Vec<u8> {
    let body = |src_port| Body::Udp { src_port, dst_port: 53, payload: vec![0; 12] };
    let frame = |n: i64, src_port| Frame::new(START + n, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body(src_port));
    let frames = [frame(0, 40_000), frame(1, 40_000)].into_iter().chain((2..2 + n).map(|n| frame(n, 40_001)));
    pcap(&frames.collect::<Vec<_>>())
}

fn flows(words: &[&str]) -> Ran {
    run(["flows"].iter().chain(words))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The lines of a list of objects, as `schema` writes them; what is empty in a list of columns is a dash there.
fn lines(list: &Value, header: &str, fields: &[&str]) -> String {
    let mut text = format!("{header}\n");
    for object in list.as_array().unwrap() {
        let field = |name: &&str| match &object[*name] {
            Value::String(text) if text.is_empty() => "-".to_owned(),
            Value::String(text) => text.clone(),
            Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
            Value::Array(values) => values.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join(", "),
            other => panic!("{other}"),
        };
        text += &(fields.iter().map(field).collect::<Vec<_>>().join("\t") + "\n");
    }
    text
}

#[test]
fn beside_a_table_is_what_the_schema_says_of_its_dialect() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(1));
    let [out, beside] = ["f.csv", "f.csv.schema.json"].map(|name| dir.path().join(name));
    for name in Dialect::NAMES {
        let words = [path.to_str().unwrap(), "--dialect", name, "-o", out.to_str().unwrap()];
        assert_eq!(flows(&words).code, Some(0), "{name}");
        let bytes = fs::read(&beside).unwrap();
        let said = json(&beside);
        let dialect: Dialect = name.parse().unwrap();
        assert_eq!((&said["dialect"], &said["of"]), (&name.into(), &dialect.about().into()));
        assert_eq!(
            (&said["program"], &said["version"], &said["format"]),
            (&"pcap-compactor".into(), &env!("CARGO_PKG_VERSION").into(), &"csv".into())
        );
        let mut text = lines(&said["columns"], "column\ttype\tunit\tmeaning", &["name", "type", "unit", "meaning"]);
        let fields = ["name", "switch", "original", "here", "source"];
        text += &lines(&said["differences"], "\ndifference\tswitch\toriginal\there\tsource", &fields);
        if !said["switches"].as_array().unwrap().is_empty() {
            let fields = ["name", "value", "values", "meaning", "source"];
            text += &lines(&said["switches"], "\nswitch\tvalue\tvalues\tmeaning\tsource", &fields);
        }
        assert_eq!(text, run(["schema", "flows", "--dialect", name]).out, "{name}");
        assert_eq!(flows(&words).code, Some(0));
        assert!(fs::read(&beside).unwrap() == bytes, "{name}: equal runs write equal bytes");
    }
}

#[test]
fn beside_a_table_are_the_options_that_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(1));
    let rules = file(dir.path(), "rules.toml", b"[[rule]]\nlabel = \"a\"\n");
    let (path, rules) = (path.to_str().unwrap(), rules.to_str().unwrap());
    let with = |name: &str, options: &[&str]| {
        let out = dir.path().join(name);
        let ran = flows(&[&[path, "-o", out.to_str().unwrap()], options].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let said = json(&dir.path().join(format!("{name}.schema.json")));
        let names: Vec<_> = said["columns"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
        let header = fs::read_to_string(&out).unwrap().lines().next().unwrap_or_default().to_owned();
        if said["format"] == "csv" {
            assert_eq!(names, header.split(',').map(Value::from).collect::<Vec<_>>());
        }
        (said["options"].clone(), said)
    };
    let (options, said) = with("plain", &["--format", "csv", "--columns", "dst_port,@iat", "--tcp-timeout", "0.5"]);
    assert_eq!((&said["dialect"], &said["switches"]), (&Value::Null, &Value::Array(vec![])));
    assert_eq!(said["columns"][0]["name"], "dst_port");
    assert_eq!((&options["tcp_timeout_seconds"], &options["udp_timeout_seconds"]), (&0.5.into(), &120.into()));
    assert_eq!((&options["active_timeout_seconds"], &options["stats_form"]), (&Value::Null, &"population".into()));

    let given = ["--dialect", "cic", "--set", "std=population", "--udp-timeout", "7", "--label", rules];
    let (options, said) = with("cic.jsonl", &[&given[..], &["--filter", "udp and port 53", "--from", "5"]].concat());
    assert_eq!((&said["format"], &options["label"]), (&"jsonl".into(), &rules.into()));
    assert_eq!((&options["tcp_timeout_seconds"], &options["udp_timeout_seconds"]), (&120.into(), &7.into()));
    assert_eq!((&options["tcp_end"], &options["filter"]), (&"states".into(), &"udp and port 53".into()));
    assert_eq!((&options["from"], &options["to"]), (&"1970-01-01T00:00:05.000000000Z".into(), &Value::Null));
    let std = said["switches"].as_array().unwrap().iter().find(|switch| switch["name"] == "std").unwrap();
    assert_eq!(std["value"], "population");
    for (name, otherwise) in [("cic", "a constant"), ("lycos", "NeedLabel")] {
        let (_, said) = with(&format!("{name}.csv"), &["--dialect", name, "--label", rules]);
        let label = said["columns"].as_array().unwrap().last().unwrap();
        let meaning = format!("by the rules of --label; {otherwise} where no rule is about the flow");
        assert_eq!(label["meaning"], *meaning);
    }

    let (_, said) = with("never", &["--dialect", "wa1kpcap", "--label", rules]);
    let columns = said["columns"].as_array().unwrap();
    assert_eq!(columns.last().unwrap()["name"], "label");
}

#[test]
fn nothing_stands_beside_a_table_where_none_is_wanted_or_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(1));
    let [out, beside] = ["f", "f.schema.json"].map(|name| dir.path().join(name));
    let (path, out) = (path.to_str().unwrap(), out.to_str().unwrap());
    assert_eq!(flows(&[path, "-o", out, "--no-schema"]).code, Some(0));
    assert!(!beside.exists());
    assert_eq!(flows(&[path, "--no-schema"]).code, Some(2));
    let ran = flows(&[path, "-o", dir.path().to_str().unwrap()]);
    assert!(ran.code == Some(2) && ran.said.contains("is a folder; name a file, or take --each"), "{ran:?}");
    #[cfg(unix)]
    assert_eq!(flows(&[path, "-o", "/dev/null"]).code, Some(0));
    assert!(!Path::new("/dev/null.schema.json").exists());

    let beside = beside.to_str().unwrap();
    for (words, said) in [
        (&[path, "-o", out, "--stats", beside][..], "--stats would take the place of the schema beside --output"),
        (&[path, beside, "-o", out], "the schema beside --output would take the place of an input"),
    ] {
        fs::write(beside, capture(1)).unwrap();
        let ran = flows(words);
        assert!(ran.code == Some(2) && ran.said.contains(said), "{ran:?}");
        assert!(fs::read(beside).unwrap() == capture(1));
    }
}

#[test]
fn a_run_without_a_capture_leaves_files_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let no = file(dir.path(), "no.txt", b"no capture\n");
    let (out, stats, report) = ("keep.csv", "stats.json", "report.txt");
    let words = |command| {
        let mut words = vec![command, "--stats", stats];
        if command == "flows" {
            words.extend(["--dialect", "nexus", "--report", report, "-o", out]);
        }
        words
    };
    for command_name in ["flows", "compact"] {
        for input in [no.to_str().unwrap(), "-"] {
            for name in [out, stats, report] {
                file(dir.path(), name, b"keep\n");
            }
            let mut words = words(command_name);
            words.push(input);
            let ran = Ran::of(command(words).current_dir(dir.path()).output().unwrap());
            assert_eq!(ran.code, Some(1), "{command_name} {input}: {ran:?}");
            let mut there = files(dir.path());
            assert!(there.remove("no.txt").is_some());
            assert_eq!(there.keys().collect::<Vec<_>>(), [out, report, stats], "{command_name} {input}");
            assert!(there.values().all(|bytes| bytes == b"keep\n"), "{command_name} {input}");
        }
    }
    let split = ["flows", "no.txt", "--split-by-protocol", "-o", out];
    file(dir.path(), "keep_tcp_flows.csv", b"keep\n");
    assert_eq!(Ran::of(command(split).current_dir(dir.path()).output().unwrap()).code, Some(1));
    let there = files(dir.path());
    assert_eq!((&there["keep_tcp_flows.csv"][..], there.len()), (&b"keep\n"[..], 5));
}

#[test]
fn a_file_of_another_making_is_not_replaced_by_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "a.pcap", &capture(1));
    let flows = |rest: &[&str]| {
        let words = ["flows", "a.pcap", "-o", "f.csv"].iter().chain(rest);
        Ran::of(command(words).current_dir(dir.path()).output().unwrap())
    };
    for text in
        ["mine", "", "[]", "{\"a\":1}", "{\"program\":\"another\"}", "{\"program\":\"pcap-compactor\"} and more"]
    {
        let beside = file(dir.path(), "f.csv.schema.json", text.as_bytes());
        let ran = flows(&[]);
        assert!(
            ran.code == Some(2) && ran.said.contains("take --no-schema, or name another --output"),
            "{text}: {ran:?}"
        );
        assert!(fs::read(&beside).unwrap() == text.as_bytes() && !dir.path().join("f.csv").exists(), "{text}");
    }
    assert_eq!(flows(&["--no-schema"]).code, Some(0));
    fs::remove_file(dir.path().join("f.csv.schema.json")).unwrap();
    for format in ["csv", "jsonl"] {
        assert_eq!(flows(&["--format", format]).code, Some(0));
        assert_eq!(json(&dir.path().join("f.csv.schema.json"))["format"], format);
    }
}

#[test]
fn a_timeout_where_silence_ends_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(1));
    let with = |rest: &[&str]| flows(&[&[path.to_str().unwrap(), "--udp-timeout", "5", "--dialect"], rest].concat());
    for words in [&["cic", "--set", "idle_timeout=off"][..], &["lycos"]] {
        let ran = with(words);
        assert!(ran.code == Some(2) && ran.said.contains("leave out --udp-timeout"), "{ran:?}");
    }
    for words in
        [&["cic"][..], &["cic", "--set", "idle_timeout=udp-120s"], &["lycos", "--set", "idle_timeout=udp-120s"]]
    {
        assert_eq!(with(words).code, Some(0), "{words:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_that_takes_nothing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(1));
    let ran = flows(&[path.to_str().unwrap(), "-o", "/dev/full"]);
    assert!(ran.code == Some(1) && ran.said.contains("/dev/full: cannot write"), "{ran:?}");
}

#[test]
fn rules_that_are_no_text_have_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture(1));
    let rules = file(dir.path(), "rules.toml", b"[[rule]]\nlabel = \"\xc3\xa9\xff\"\n");
    let ran = flows(&[path.to_str().unwrap(), "--label", rules.to_str().unwrap()]);
    let said = "rules.toml: line 2, column 11: this byte is not UTF-8";
    assert!(ran.code == Some(2) && ran.said.contains(said), "{ran:?}");
}

/// Every file in a folder and those in it: its bytes by its path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inside, bytes)| (format!("{name}/{inside}"), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// A folder of captures: in folders of their own, one without flows, one that is cut.
fn captures(folder: &Path) {
    for name in ["x", "y"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    file(folder, "x/a.pcap", &capture(1));
    file(folder, "y/a.pcap", &capture(2));
    file(folder, "b", &capture(3));
    file(folder, "empty.pcap", &pcap(&[]));
    let whole = capture(4);
    file(folder, "cut.pcap", &whole[..whole.len() - 5]);
}

#[test]
fn each_capture_has_a_table_of_its_own_and_a_broken_one_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    captures(&here.join("in"));
    let dialects = Dialect::NAMES.iter().map(|name| vec!["--dialect", name]);
    for options in dialects.chain([vec!["--format", "csv"], vec![], vec!["--dialect", "nexus", "--format", "json"]]) {
        let ending = match options[..] {
            [] => "jsonl",
            [.., "json"] => "json",
            _ => "csv",
        };
        let each = |out: &str, threads: &str| {
            let words = [&["flows", "in", "-o", out, "--each", "--threads", threads][..], &options].concat();
            let ran = Ran::of(command(words).current_dir(here).output().unwrap());
            assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{options:?}: {ran:?}");
            assert!(ran.said.contains("cut.pcap: ") && ran.said.contains("from 5 files"), "{ran:?}");
            let files = files(&here.join(out));
            fs::remove_dir_all(here.join(out)).unwrap();
            files
        };
        let tables = each("out", "1");
        assert!(tables == each("out", "3"), "{options:?}");
        let captures = ["b", "cut.pcap", "empty.pcap", "x/a.pcap", "y/a.pcap"];
        let names: Vec<_> = captures.iter().map(|name| format!("{name}.{ending}")).collect();
        let mut all: Vec<_> = names.iter().map(String::as_str).chain(["metrics.json", "schema.json"]).collect();
        all.sort();
        assert_eq!(tables.keys().collect::<Vec<_>>(), all);
        for (capture, name) in captures.iter().zip(&names) {
            let capture = format!("in/{capture}");
            let alone = command([&["flows", &capture][..], &options].concat()).current_dir(here).output().unwrap();
            assert!(tables[name] == alone.stdout, "{options:?} {capture}");
        }
        let metrics: Value = serde_json::from_slice(&tables["metrics.json"]).unwrap();
        balances(&metrics);
        let status = |file: &Value| format!("{} {} {}", file["path"], number(&file["packets"]), file["status"]);
        let expected = [
            "\"in/b\" 5 \"complete\"",
            "\"in/cut.pcap\" 5 \"truncated\"",
            "\"in/empty.pcap\" 0 \"complete\"",
            "\"in/x/a.pcap\" 3 \"complete\"",
            "\"in/y/a.pcap\" 4 \"complete\"",
        ];
        assert_eq!(metrics["files"].as_array().unwrap().iter().map(status).collect::<Vec<_>>(), expected);
        assert_eq!(number(&metrics["segments_seen"]), 5);
    }
    let whole = here.join("in/cut.pcap");
    fs::write(&whole, capture(4)).unwrap();
    let ran = flows(&[here.join("in").to_str().unwrap(), "-o", here.join("out").to_str().unwrap(), "--each"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn what_is_no_capture_has_no_table_and_what_would_share_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    captures(&dir.path().join("in"));
    file(dir.path(), "in/text", b"this is text");
    let each = |words: &[&str]| {
        let words = [&["flows", "--each", "-o", "out"], words].concat();
        let ran = Ran::of(command(words).current_dir(dir.path()).output().unwrap());
        let out = dir.path().join("out");
        let names: Vec<_> = if out.exists() { files(&out).into_keys().collect() } else { vec![] };
        let _ = fs::remove_dir_all(out);
        (ran, names)
    };
    let (ran, names) = each(&["in/text", "in/b", "in/missing"]);
    assert_eq!((ran.code, names), (Some(3), ["b.jsonl", "metrics.json", "schema.json"].map(str::to_owned).into()));
    assert!(ran.said.contains("in/text: unsupported") && ran.said.contains("in/missing: cannot open"), "{ran:?}");
    let (ran, names) = each(&["in/text"]);
    assert_eq!((ran.code, names.len()), (Some(1), 2), "{ran:?}");

    for (words, said) in [
        (&["in/x/a.pcap", "in/y/a.pcap"][..], &["in/x/a.pcap and in/y/a.pcap", "out/a.pcap.jsonl"][..]),
        (&["in/x", "in/y"], &["in/x/a.pcap and in/y/a.pcap", "out/a.pcap.jsonl"]),
        (&["-"], &["standard input has no name"]),
        (&["in/b", "--report", "r", "--dialect", "nexus"], &["--report"]),
        (&["in/b", "--format", "none"], &["--format none writes no records"]),
        (&["in/b", "--stats", "out/metrics.json"], &["--stats would take the place of the metrics in --output"]),
        (&["in/b", "--stats", "out/b.jsonl"], &["--stats would take the place of --output"]),
    ] {
        let (ran, names) = each(words);
        assert_eq!((ran.code, names.len()), (Some(2), 0), "{words:?}: {ran:?}");
        assert!(said.iter().all(|said| ran.said.contains(said)), "{words:?}: {ran:?}");
    }
    fs::rename(dir.path().join("in/b"), dir.path().join("in/schema")).unwrap();
    let (ran, _) = each(&["in/schema", "--dialect", "nexus", "--format", "json"]);
    assert!(ran.code == Some(2) && ran.said.contains("the schema in --output"), "{ran:?}");
    assert_eq!(each(&["in/schema", "--dialect", "nexus", "--format", "json", "--no-schema"]).0.code, Some(0));
    let (ran, names) = each(&["in/x", "in/x/../y/../empty.pcap"]);
    assert_eq!((ran.code, &names[..2]), (Some(0), &["a.pcap.jsonl", "empty.pcap.jsonl"].map(str::to_owned)[..]));
    assert_eq!(each(&["in/x", "in/x/a.pcap"]).0.code, Some(0), "it is one capture, named twice");
    assert_eq!(run(["flows", "-", "--each"]).code, Some(2), "without a folder");
}

#[test]
fn tables_lie_beside_their_captures_and_are_replaced_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("in");
    captures(&here);
    fs::remove_file(here.join("cut.pcap")).unwrap();
    let before = files(&here);
    let folder = here.to_str().unwrap();
    let each = |options: &[&str]| flows(&[&[folder, "-o", folder, "--each", "--dialect", "cic"], options].concat());
    let ran = each(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let written = files(&here);
    assert_eq!(written.len(), 2 * before.len() + 2);
    assert!(before.iter().all(|(name, bytes)| written[name] == *bytes), "captures are as they were");

    file(&here, "x/a.pcap.csv", b"mine");
    let ran = each(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.said.contains("b.csv: cannot create: it exists already; --force replaces it"), "{ran:?}");
    assert_eq!(fs::read(here.join("x/a.pcap.csv")).unwrap(), b"mine");
    assert_eq!(each(&["--force"]).code, Some(0));
    assert!(files(&here) == written, "and what was written before is written again");
    assert_eq!(flows(&[folder, "--force"]).code, Some(2), "without --each");
}

#[test]
fn segments_of_sensors_have_tables_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("root"), dir.path().join("out"));
    sensors(&root);
    for (options, sensor) in [(&[][..], Value::Null), (&["--by-sensor"], "north".into())] {
        let fixed =
            ["--root", root.to_str().unwrap(), "--hour", "2023-10-19T12", "--each", "-o", out.to_str().unwrap()];
        let ran = flows(&[&fixed, options].concat());
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let tables = files(&out);
        let segments = ["alps/2023/10/19/12/a", "north/2023/10/19/12/a", "north/2023/10/19/12/b"];
        let names = segments.map(|segment| format!("{segment}.pcap.jsonl"));
        let others = ["metrics.json", "schema.json"].map(str::to_owned);
        assert_eq!(
            tables.keys().cloned().collect::<Vec<_>>(),
            [&names[..1], &others[..1], &names[1..], &others[1..]].concat()
        );
        let line = tables[&names[1]].split(|byte| *byte == b'\n').next().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(line).unwrap()["sensor"], sensor);
        let metrics: Value = serde_json::from_slice(&tables["metrics.json"]).unwrap();
        balances(&metrics);
        assert_eq!((number(&metrics["segments_seen"]), number(&metrics["flows_emitted"])), (3, 3));
        assert_eq!(metrics["files"][1].get("sensor").cloned().unwrap_or_default(), sensor);
        fs::remove_dir_all(&out).unwrap();
    }
}
