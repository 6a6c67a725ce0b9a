//! Where rows go, and what is refused.

use std::path::Path;

use pcap_compactor::views::buckets::COLUMNS;

use crate::command::{Ran, run};
#[cfg(unix)]
use crate::command::{command, fifo};
use crate::flows::{pcap, udp};
use crate::run::file;
use crate::traffic::START;

#[test]
fn output_is_replaced_or_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START, 1)]));
    let out = folder.path().join("out.csv");
    let [path, place] = [&path, &out].map(|path| path.to_str().unwrap());
    let lines = || std::fs::read_to_string(&out).unwrap().lines().count();
    for (options, expected) in [(&[][..], 2), (&["--append"], 3), (&["--append"], 4), (&[], 2)] {
        let ran = run(["buckets", "-q", path, "-o", place].iter().chain(options));
        assert_eq!((ran.code, lines()), (Some(0), expected), "{}", ran.said);
    }
    let header = std::fs::read_to_string(&out).unwrap();
    let names: Vec<&str> = header.lines().next().unwrap().split(',').collect();
    assert_eq!(names.len(), 3 + COLUMNS.len());
    let schema = run(["schema", "buckets"]).out;
    assert!(names.iter().all(|name| schema.lines().any(|line| line.split('\t').next() == Some(name))));
    let failed = run(["buckets", "-q", "/nonexistent.pcap", "-o", place]);
    assert_eq!((failed.code, lines()), (Some(1), 2));
}

/// Folders that are missing are made, as without --append.
#[test]
fn rows_are_added_in_folders_that_are_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START, 1)]));
    let out = folder.path().join("new/er/x.jsonl");
    for runs in 1..=2 {
        let ran = run(["buckets", "-q", path.to_str().unwrap(), "-o", out.to_str().unwrap(), "--append"]);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(text.matches("\"type\":\"bucket\"").count(), runs, "{text}");
    }
    let help = run(["buckets", "--help"]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("rows of a narrower width may come behind those of wider ones"), "{help}");
}

/// Rows are added behind whole rows of the same columns, or not at all.
#[test]
fn nothing_is_added_to_what_is_not_whole_or_of_other_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START, 1)]));
    let add = |place: &Path, options: &[&str]| {
        let arguments = ["buckets", "-q", path.to_str().unwrap(), "-o", place.to_str().unwrap(), "--append"];
        run(arguments.iter().chain(options))
    };
    for (name, there, why) in [
        ("cut.jsonl", "{\"type\":\"buck", "not whole"),
        ("cut.csv", "start", "not whole"),
        ("other.csv", "foo,bar\n1,2\n", "other columns"),
        ("short.csv", "1\n", "other columns"),
        ("table.jsonl", "start,width\n", "other rows"),
        ("flows.jsonl", "{\"type\":\"flow\",\"start\":1.5}\n", "other rows"),
        ("few.jsonl", "{\"type\":\"bucket\",\"start\":1697716800.5,\"width\":1}\n", "other columns"),
    ] {
        let place = file(folder.path(), name, there.as_bytes());
        let ran = add(&place, &[]);
        assert_eq!(ran.code, Some(2), "{}", ran.said);
        assert!(ran.said.contains(why) && ran.said.contains(name), "{}", ran.said);
        assert_eq!(std::fs::read_to_string(place).unwrap(), there);
    }
    for place in ["rows.csv", "rows.jsonl"].map(|name| folder.path().join(name)) {
        assert_eq!(add(&place, &[]).code, Some(0));
        assert_eq!(add(&place, &["--mono-origin", "5"]).code, Some(2));
        let ran = add(&place, &["--times", "ns"]);
        assert!(ran.code == Some(2) && ran.said.contains("the other unit"), "{}", ran.said);
        assert_eq!(add(&place, &[]).code, Some(0));
    }
    // The bridge's rows and ours do not go together.
    let [ours, theirs] = ["rows.jsonl", "bridge.jsonl"].map(|name| folder.path().join(name));
    let bridge = ["--dialect", "bridge"];
    assert_eq!([add(&theirs, &bridge).code, add(&theirs, &bridge).code], [Some(0); 2]);
    assert_eq!([add(&ours, &bridge).code, add(&theirs, &[]).code], [Some(2); 2]);
    let [ours, theirs] = ["rows.csv", "bridge.csv"].map(|name| folder.path().join(name));
    assert_eq!([add(&theirs, &bridge).code, add(&theirs, &bridge).code], [Some(0); 2]);
    assert_eq!([add(&ours, &bridge).code, add(&theirs, &[]).code], [Some(2); 2]);
    let text = std::fs::read_to_string(&theirs).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("t_mono_ns,")).count(), 1);
}

/// A pipe has no rows to look at: it is written to as without --append. Nobody waits for it to be read before it is written.
#[cfg(unix)]
#[test]
fn rows_are_added_to_what_is_no_file_as_they_are_written_to_it() {
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START, 1)]));
    let arguments = ["buckets", "-q", path.to_str().unwrap()];
    let expected = run(arguments).out;
    let ran = run(arguments.iter().chain(&["-o", "/dev/stdout", "--append"]));
    assert_eq!((ran.code, ran.out, ran.said.as_str()), (Some(0), expected.clone(), ""));
    let pipe = fifo(folder.path());
    let mut run = command(arguments.iter().chain(&["-o", pipe.to_str().unwrap(), "--append"])).spawn().unwrap();
    let reader = std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap());
    let began = Instant::now();
    let code = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > Duration::from_secs(60) {
            run.kill().unwrap();
            panic!("it waits");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!((code, reader.join().unwrap()), (Some(0), expected));
}

#[test]
fn mistakes_are_named_with_the_way_out() {
    let said = |arguments: &[&str]| {
        let Ran { code, said, .. } = run(["buckets"].iter().chain(arguments));
        assert_eq!(code, Some(2), "{said}");
        said
    };
    for width in ["0s", "100", "1.5s", "367d", "99999999999999999d", "ms", "-1s", "999ns"] {
        assert!(said(&["a.pcap", &format!("--every={width}")]).contains("10min"), "{width}");
    }
    assert!(said(&["a.pcap", "--every", "1s", "--every", "1000ms"]).contains("each width once"));
    for wait in ["-1", "0.0000001", "1s"] {
        assert!(said(&["a.pcap", &format!("--reorder={wait}")]).contains("10 or 0.5"), "{wait}");
    }
    assert!(said(&["a.pcap", "--local", "10.0.0.0/33"]).contains("10.200.0.0/24"));
    for width in ["1us", "1500us", "60d", "4294967296ms"] {
        assert!(
            said(&["a.pcap", "--dialect", "bridge", "--every", width]).contains("milliseconds, from 1 to 4294967295")
        );
    }
    assert!(said(&["a.pcap", "--dialect", "bridge", "--local", "10.0.0.1"]).contains("cannot be used with"));
    #[cfg(feature = "tables")]
    assert!(
        said(&["a.pcap", "--dialect", "bridge", "-o", "a.parquet", "--addresses", "binary"])
            .contains("cannot be used with")
    );
    assert!(said(&["a.pcap", "--bridge-address", "10.0.0.1"]).contains("--dialect"));
    assert!(said(&["a.pcap", "--dialect", "bridge", "--format", "none"]).contains("no digest"));
    assert!(said(&["a.pcap", "--format", "none", "-o", "x"]).contains("--output"));
    assert!(said(&[]).contains("name at least one INPUT"));
}
