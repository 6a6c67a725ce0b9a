//! The commands `flows` and `schema` as a script calls them.

use std::fs::File;
use std::process::Stdio;

use pcap_compactor::views::flows::columns::Group;
use serde_json::Value;

use crate::command::{Ran, command, run};
use crate::model::SECOND;
use crate::run::{balances, file, number};
use crate::sensors::sensors;
use crate::traffic::{Body, Frame, START, pcap, v4};

/// Two flows of UDP, one of them of a single packet.
fn capture() -> Vec<u8> {
    let body = |src_port| Body::Udp { src_port, dst_port: 53, payload: vec![0; 12] };
    let frame = |n: i64, src_port| Frame::new(START + n, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body(src_port));
    pcap(&[frame(0, 40_000), frame(1, 40_000), frame(2, 40_001)])
}

#[test]
fn flows_go_to_standard_output_or_into_a_file_and_come_from_either() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    let ran = run(["flows".as_ref(), path.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    balances(&ran.metrics());
    let lines = ran.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["type"], &lines[0]["sensor"]), (&"flow".into(), &"local".into()));
    assert_eq!([0, 1].map(|place| number(&lines[place]["pkts_up"])), [2, 1]);

    let out = dir.path().join("flows.csv");
    let into: [&std::ffi::OsStr; 6] =
        ["flows".as_ref(), path.as_os_str(), "--format".as_ref(), "csv".as_ref(), "-o".as_ref(), out.as_os_str()];
    let wrote = run(into);
    assert_eq!((wrote.code, wrote.out.as_str()), (Some(0), ""), "{wrote:?}");
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("flow_id,sensor,src_ip,dst_ip,src_port,dst_port,protocol,first_ts,last_ts,duration_s,"));
    assert_eq!(text.lines().count(), 3);

    let stdin = Stdio::from(File::open(&path).unwrap());
    let piped = Ran::of(command(["flows", "-q", "-"]).stdin(stdin).output().unwrap());
    assert_eq!(piped.records(), ran.records());
}

/// They are read in the order of time, whatever their names, and the bridge's rows have nothing to do with one another.
#[test]
fn captures_that_overlap_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let body = Body::Udp { src_port: 40_000, dst_port: 53, payload: vec![0; 12] };
    let from_to = |times: [i64; 2]| {
        pcap(&times.map(|n| Frame::new(START + n * SECOND, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body.clone())))
    };
    let [early, late] =
        [("b.pcap", [0, 5]), ("a.pcap", [4, 9])].map(|(name, times)| file(dir.path(), name, &from_to(times)));
    let told = |command: &[&str]| {
        let ran = run(command.iter().map(AsRef::as_ref).chain([early.as_os_str(), late.as_os_str()]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.said.contains("a.pcap begins before") && ran.said.contains("b.pcap ends")
    };
    assert_eq!([told(&["flows"]), told(&["buckets"])], [false; 2], "by a second");
    file(dir.path(), "b.pcap", &from_to([0, 6]));
    assert_eq!([told(&["flows"]), told(&["buckets"])], [true; 2]);
    assert_eq!([told(&["flows", "-q"]), told(&["buckets", "--dialect", "bridge"])], [false; 2]);
}

#[test]
fn what_is_left_out_is_in_the_ledger_and_what_is_not_there_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    let with = |options: &[&str]| {
        let mut all = vec!["flows".as_ref(), path.as_os_str()];
        all.extend(options.iter().map(|option| option.as_ref() as &std::ffi::OsStr));
        run(all)
    };
    let ran = with(&["--min-packets", "2"]);
    balances(&ran.metrics());
    assert_eq!(number(&ran.metrics()["ledger"]["filtered"]["packets"]), 1);
    assert_eq!(number(&ran.metrics()["flows_emitted"]), 1);
    let ran = with(&["--columns", "dst_port,@iat", "--format", "csv"]);
    assert!(ran.out.starts_with("dst_port,iat_count,iat_sum,"), "{ran:?}");
    let ran = with(&["--columns", "dst_prot"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.said.contains("`dst_prot`"), "{ran:?}");
}

#[test]
fn a_file_is_what_its_name_says_unless_the_format_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    let (csv, json) = ("flow_id,", "{\"type\":\"flow\"");
    let files: [(&str, &[&str], &str, &str); 12] = [
        ("a.csv", &[], csv, ""),
        ("a.CSV", &[], csv, ""),
        ("a.jsonl", &[], json, ""),
        ("a.ndjson", &[], json, ""),
        ("a.json", &[], json, ""),
        ("a.csv.txt", &[], json, ""),
        ("a", &[], json, ""),
        ("a.csv", &["--format", "csv"], csv, ""),
        ("a.csv", &["--format", "jsonl"], json, "a.csv: becomes JSON Lines, as --format says, not CSV"),
        ("a.json", &["--format", "json"], "[\n  {\n    \"flow_id\":", ""),
        ("a.csv", &["--format", "json"], "[\n  {", "a.csv: becomes JSON, as --format says, not CSV"),
        ("a.json", &["--format", "csv"], csv, "a.json: becomes CSV, as --format says, not JSON Lines"),
    ];
    for (name, options, begins, warning) in files {
        let out = dir.path().join(name);
        let ran = run(["flows".as_ref(), path.as_os_str(), "-o".as_ref(), out.as_os_str()]
            .into_iter()
            .chain(options.iter().map(|option| option.as_ref())));
        assert_eq!(ran.code, Some(0), "{name} {options:?}: {ran:?}");
        assert!(std::fs::read_to_string(&out).unwrap().starts_with(begins), "{name} {options:?}");
        assert_eq!(ran.said.contains("as --format says"), !warning.is_empty(), "{name} {options:?}: {ran:?}");
        assert!(ran.said.contains(warning), "{name} {options:?}: {ran:?}");
    }
    // A dialect has a default of its own, and a name still goes before it.
    let dialect = |name: &str| {
        let out = dir.path().join(name);
        let words = ["flows", path.to_str().unwrap(), "--dialect", "wa1kpcap", "-o", out.to_str().unwrap()];
        assert_eq!(run(words).code, Some(0));
        std::fs::read_to_string(out).unwrap()
    };
    assert!(dialect("b").starts_with("key,") && dialect("b.jsonl").starts_with(json));
    assert!(dialect("b.json").starts_with("[\n  {\n    \"key\":"));
}

#[test]
fn options_that_would_do_nothing_are_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    let out = dir.path().join("no/folder/out.csv");
    let with = |command: &str, options: &[&str]| {
        let names = options.iter().map(|option| if *option == "OUT" { out.as_os_str() } else { option.as_ref() });
        run([command.as_ref(), path.as_os_str()].into_iter().chain(names))
    };
    let seconds = "seconds go from 0 to 9223372036";
    let refused: [(&str, &[&str], &str); 31] = [
        ("flows", &["--format", "none", "-o", "OUT"], "--format none writes no records"),
        ("compact", &["--format", "none", "-o", "OUT"], "--format none writes no records"),
        (
            "compact",
            &["-o", "OUT"],
            "out.csv: --output of compact is a folder, with a file for each hour; for one file: --format csv > ",
        ),
        ("flows", &["--flow-end", "never", "--tcp-timeout", "300"], "leave out --tcp-timeout"),
        ("flows", &["--flow-end", "never", "--udp-timeout", "0"], "leave out --udp-timeout"),
        ("flows", &["--flow-end", "never", "--other-timeout", "1"], "leave out --other-timeout"),
        ("flows", &["--flow-end", "never", "--active-timeout", "1"], "leave out --active-timeout"),
        ("flows", &["-o", "rows.csv.gz"], "no .gz is written"),
        ("flows", &["--app-buffer", "0"], "1024 to 1048576"),
        ("flows", &["--app-buffer", "1048577"], "1024 to 1048576"),
        ("flows", &["--app-items", "5"], "add --app"),
        ("flows", &["--app-buffer", "1024"], "add --app"),
        ("flows", &["--dialect", "cic", "--times", "ns"], "cannot be used with"),
        ("flows", &["--from", "2020"], "`2020` is no time"),
        ("flows", &["--tcp-timeout", "9999999999"], seconds),
        ("flows", &["--tcp-timeout", "-5"], seconds),
        ("flows", &["--active-timeout", "-0.5"], seconds),
        ("flows", &["--udp-timeout", "0.0000000001"], seconds),
        ("flows", &["--reorder", "-1"], "milliseconds go from 0 to 9223372036854"),
        ("flows", &["--reorder", "9223372036855"], "milliseconds go from 0 to 9223372036854"),
        // Also where what they need is excluded by another option.
        ("flows", &["--set", "std=population"], "--set is about a dialect; add --dialect"),
        ("flows", &["--set", "foo=bar", "--columns", "src_ip"], "--set is about a dialect"),
        ("flows", &["--time-zone", "Europe/Berlin", "--sequences", "3"], "--time-zone is about a dialect"),
        ("flows", &["--report", "OUT", "--tcp-timeout", "5"], "--report is about a dialect"),
        ("flows", &["--sensor", "s1"], "'[INPUT]...' cannot be used with '--sensor <NAME>'"),
        ("compact", &["--sensor", "s1"], "'[INPUT]...' cannot be used with '--sensor <NAME>'"),
        ("buckets", &["--sensor", "s1"], "'[INPUT]...' cannot be used with '--sensor <NAME>'"),
        ("buckets", &["--bridge-address", "192.0.2.1"], "--bridge-address is about --dialect bridge"),
        (
            "buckets",
            &["--bridge-address", "192.0.2.1", "--bytes", "wire"],
            "--bridge-address is about --dialect bridge",
        ),
        ("flows", &["--force", "--source-file"], "cannot be used with"),
        ("flows", &["--force", "-o", "OUT"], "--each"),
    ];
    for (command, options, says) in refused {
        let ran = with(command, options);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{options:?}: {ran:?}");
        assert!(ran.said.contains(says), "{options:?}: {ran:?}");
    }
    #[cfg(not(feature = "tables"))]
    {
        let ran = with("flows", &["-o", "rows.Parquet"]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.said.contains("no .parquet is written"), "{ran:?}");
    }
    assert!(!dir.path().join("no").exists());
    let taken: [&[&str]; 3] = [
        &["--flow-end", "never"],
        &["--tcp-timeout", "9223372036", "--active-timeout", "9223372036.854775807"],
        &["--reorder", "9223372036854"],
    ];
    for options in taken {
        let ran = with("flows", options);
        assert_eq!((ran.code, ran.lines().len()), (Some(0), 3), "{options:?}: {ran:?}");
    }
    // Folders that are missing are made, and a file that is there is replaced.
    std::fs::create_dir_all(out.parent().unwrap().parent().unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(with("flows", &["-o", "OUT"]).code, Some(0));
        assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 3);
        std::fs::write(&out, "old").unwrap();
    }
}

#[test]
fn sensors_are_merged_or_run_apart() {
    let root = tempfile::tempdir().unwrap();
    sensors(root.path());
    let fixed = ["flows", "--root", root.path().to_str().unwrap(), "--hour", "2023-10-19T12"];
    let flows = |options: &[&str]| {
        let ran = run(fixed.iter().chain(options));
        assert_eq!(ran.code, Some(3), "a file is damaged: {}", ran.said);
        let metrics = ran.metrics();
        balances(&metrics);
        let mut lines = ran.lines();
        lines.pop();
        assert_eq!(number(&metrics["flows_emitted"]), lines.len() as u64);
        let said = |line: &Value| (line["sensor"].as_str().map(str::to_owned), number(&line["pkts_up"]));
        (lines.iter().map(said).collect::<Vec<_>>(), metrics)
    };
    let (merged, of_all) = flows(&[]);
    assert_eq!(merged, [(None, 9)]);
    let (apart, of_each) = flows(&["--by-sensor"]);
    assert_eq!(apart, [(Some("alps".into()), 2), (Some("north".into()), 7)]);
    assert_eq!(of_each["ledger"], of_all["ledger"]);
    assert!(of_each.get("sensor").is_none(), "it is of no one sensor");
    assert_eq!(of_each["files"][1]["sensor"], "north");
    let (one, _) = flows(&["--by-sensor", "--sensor", "north"]);
    assert_eq!(one, apart[1..]);
}

#[test]
fn a_flow_is_no_longer_than_the_active_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let body = Body::Udp { src_port: 40_000, dst_port: 53, payload: vec![0; 12] };
    let frame = |n: i64| Frame::new(START + n * SECOND, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body.clone());
    let path = file(dir.path(), "a.pcap", &pcap(&(0..6).map(frame).collect::<Vec<_>>()));
    let flows = |timeout: &str| {
        let ran = run(["flows", path.to_str().unwrap(), "--active-timeout", timeout]);
        balances(&ran.metrics());
        let mut lines = ran.lines();
        lines.pop();
        let said = |line: Value| (line["end_reason"].as_str().unwrap().to_owned(), number(&line["pkts_up"]));
        lines.into_iter().map(said).collect::<Vec<_>>()
    };
    let is = |reason: &str, packets: u64| (reason.to_owned(), packets);
    assert_eq!(flows("2.999999999"), [is("active", 3), is("eof", 3)]);
    assert_eq!(flows("3"), [is("active", 4), is("eof", 2)]);
    assert_eq!(flows("0"), [is("eof", 6)]);
}

#[test]
fn the_schema_names_every_column_with_its_type_and_meaning() {
    let ran = run(["schema", "flows"]);
    assert_eq!(ran.code, Some(0));
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split('\t').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 6 && row.iter().all(|field| !field.is_empty())), "{rows:?}");
    assert_eq!((rows[1][0], rows[1][1]), ("flow_id", "text"));
}

#[test]
fn the_readme_counts_the_columns_as_the_schema_does() {
    let schema = run(["schema", "flows"]).out;
    let rows: Vec<Vec<&str>> = schema.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let group =
        |row: &&Vec<&str>| Group::ALL.into_iter().find(|group| row[3].strip_prefix('@') == Some(group.about().0));
    let payload = rows.iter().filter(|row| group(row).expect("it is of a group").is_payload()).count();
    let default = rows.iter().filter(|row| row[4] == "yes").count();
    let readme = include_str!("../../README.md");
    let counts =
        format!("There are {default} columns by default, {} in all without those of payload:", rows.len() - payload);
    assert!(readme.contains(&counts), "{counts}");
    if cfg!(feature = "payload") {
        assert!(readme.contains(&format!("in {payload} columns")), "{payload}");
    }
}

#[cfg(not(feature = "payload"))]
#[test]
fn a_build_that_reads_no_payload_says_how_to_get_one_that_does() {
    for arguments in [["--app", "-"], ["--app=tls", "-"], ["--columns", "src_ip,tls_sni"], ["--columns", "@app"]] {
        let ran = run([&["flows"][..], &arguments].concat());
        assert_eq!((ran.code, ran.said.lines().count()), (Some(2), 1), "{ran:?}");
        assert!(ran.said.contains("cargo build --release --features full"), "{ran:?}");
    }
}

#[test]
fn flows_have_the_labels_of_rules_and_a_report_says_what_these_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &capture());
    let rules = |text: &str| file(dir.path(), "rules.toml", text.as_bytes());
    let with = |rules: &std::path::Path, options: &[&str]| {
        let all: [&std::ffi::OsStr; 4] = ["flows".as_ref(), path.as_os_str(), "--label".as_ref(), rules.as_os_str()];
        run(all.into_iter().chain(options.iter().map(|option| option.as_ref())))
    };
    let one = "[[rule]]\nlabel = \"lookup\"\nsrc_port = 40000\nsrc = \"10.0.0.1\"\nprotocol = \"udp\"\n[[rule]]\nlabel = \"none\"\nprotocol = 6\n";
    let ran = with(&rules(one), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let labels: Vec<_> = ran.lines()[..2].iter().map(|line| line["label"].clone()).collect();
    assert_eq!(labels, ["lookup".into(), Value::Null]);
    for says in ["labels: lookup 1; 1 flow without a rule", "1 flow of attackers", "line 6 (none) matched no flow"] {
        assert!(ran.said.contains(says), "{says}: {ran:?}");
    }
    let ran = with(&rules(&format!("default = \"other\"\n{one}")), &["--dialect", "wa1kpcap", "-q"]);
    let ends: Vec<_> = ran.out.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!((ends, ran.said.as_str()), (vec!["label", "lookup", "other"], ""), "{ran:?}");
    let ran = with(&rules(one), &["--dialect", "cic-engelen", "-q"]);
    assert!(ran.out.contains(",lookup") && ran.out.contains(",NeedManualLabel"), "{ran:?}");
    let bad = rules("[[rule]]\nlabel = \"a\"\nsrc = \"10.0.0.0/40\"\n");
    let ran = with(&bad, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.said.contains("rules.toml: line 3, column 7:"), "{ran:?}");
    let ran = with(&rules(one), &["-o", dir.path().join("rules.toml").to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.said.contains("--label"), "{ran:?}");
}

#[test]
fn what_came_too_late_to_be_put_right_is_told() {
    let body = || Body::Udp { src_port: 40_000, dst_port: 53, payload: vec![0; 12] };
    let frame = |at: i64| Frame::new(START + at * SECOND, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body());
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &pcap(&[0, 2, 4, 1].map(frame)));
    let ran = run(["flows".as_ref(), path.as_os_str()]);
    assert!(ran.code == Some(0) && ran.said.contains("1 packet behind the time"), "{}", ran.said);
    assert!(ran.said.contains("counted at once, ahead of packets that came before and still waited"), "{}", ran.said);
}
