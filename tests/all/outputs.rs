//! Where results go: files that appear whole, pipes and devices that stay what they are.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{Ran, command, fifo, run};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_the_demonstration_keeps_is_whole_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().to_str().unwrap();
    let demo = || run(["demo", "--packets", "20000", "--keep", keep]);
    assert_eq!(demo().code, Some(0));
    assert_eq!(names(folder.path()), ["demo.jsonl", "demo.pcap"]);
    let records = fs::read_to_string(folder.path().join("demo.jsonl")).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "metrics");
    fs::write(folder.path().join("demo.pcap"), "mine").unwrap();
    let again = demo();
    assert_eq!(again.code, Some(1));
    assert!(again.said.contains("demo.pcap: cannot create: it exists already; name another folder"), "{}", again.said);
    assert_eq!(fs::read(folder.path().join("demo.pcap")).unwrap(), b"mine");
    assert_eq!(names(folder.path()), ["demo.jsonl", "demo.pcap"]);
}

/// Runs the command line with a redirection of the shell.
fn redirected(arguments: &[&str], redirection: &str) -> Ran {
    let script = format!("exec \"$@\" {redirection}");
    let shell = ["-c", &script, "sh", env!("CARGO_BIN_EXE_pcap-compactor")];
    Ran::of(Command::new("sh").args(shell).args(arguments).output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_is_an_error_where_something_would_be_written_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("a.pcap"), folder.path().join("out"));
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    assert_eq!(run(["synth", file, "--packets", "2000"]).code, Some(0));
    let commands: [&[&str]; 6] = [
        &["compact", file],
        &["compact", file, "--format", "none"],
        &["inspect", file],
        &["synth", "-", "--packets", "2000"],
        &["demo", "--packets", "2000"],
        &["completions", "bash"],
    ];
    for command in commands {
        let ran = redirected(command, ">&-");
        assert_eq!(ran.code, Some(1), "{command:?}: {}", ran.said);
        assert!(ran.said.contains("standard output is closed"), "{command:?}: {}", ran.said);
        // Thrown away on purpose, it is none; whichever way it was opened.
        for null in [">/dev/null", "1<>/dev/null"] {
            assert_eq!(redirected(command, null).code, Some(0), "{command:?}");
        }
    }
    // What goes elsewhere needs none.
    assert_eq!(redirected(&["compact", file, "-o", out], ">&-").code, Some(0));
}

#[test]
fn a_made_capture_replaces_a_file_only_when_asked_and_a_device_or_pipe_never() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcap");
    let synth =
        |out: &Path, options: &[&str]| run(["synth", out.to_str().unwrap(), "--packets", "2000"].iter().chain(options));
    assert_eq!(synth(&file, &[]).code, Some(0));
    let made = fs::read(&file).unwrap();
    let refused = synth(&file, &["--seed", "1"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.said.contains("a.pcap: cannot create: it exists already; --force replaces it"), "{}", refused.said);
    assert_eq!(fs::read(&file).unwrap(), made);
    assert_eq!(synth(&file, &["--seed", "1", "--force"]).code, Some(0));
    assert_ne!(fs::read(&file).unwrap(), made);
    for device in ["/dev/null", "/dev/zero"] {
        assert_eq!(synth(Path::new(device), &["--force"]).code, Some(0));
        assert!(fs::metadata(device).unwrap().file_type().is_char_device());
    }
    let pipe = fifo(folder.path());
    for options in [&[][..], &["--force"]] {
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        assert_eq!(synth(&pipe, options).code, Some(0));
        assert!(reader.join().unwrap() == made, "the capture went into the pipe");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }
    assert_eq!(names(folder.path()), ["a.pcap", "fifo"]);
}

/// A made capture of two hours.
fn capture(folder: &Path) -> String {
    let path = folder.join("made.pcap").to_str().unwrap().to_owned();
    assert_eq!(run(["synth", &path, "--packets", "20000"]).code, Some(0));
    path
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let commands: [&[&str]; 8] = [
        &["compact", &file],
        &["compact", &file, "--format", "csv"],
        &["compact", &file, "--format", "none"],
        &["inspect", &file],
        &["synth", "-", "--packets", "2000"],
        &["demo", "--packets", "2000"],
        &["config"],
        &["completions", "bash"],
    ];
    for command in commands {
        let ran = redirected(command, ">/dev/full");
        assert_eq!(ran.code, Some(1), "{command:?}: {}", ran.said);
        assert!(
            ran.said.contains("standard output") && ran.said.contains("No space left"),
            "{command:?}: {}",
            ran.said
        );
    }
    let ran = run(["compact", &file, "--stats", "/dev/full"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("/dev/full: cannot write: No space left"), "{}", ran.said);
}

#[test]
fn a_disk_that_fills_up_leaves_whole_hours_and_room_later_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let [out, whole] = ["out", "whole"].map(|name| folder.path().join(name));
    // The shell's limit on the length of files stands for a disk that is full.
    let limited = |arguments: &[&str], blocks: u32| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let shell = ["-c", &script, "sh", env!("CARGO_BIN_EXE_pcap-compactor")];
        Ran::of(Command::new("sh").args(shell).args(arguments).output().unwrap())
    };
    let compact = ["compact", &file, "-o", out.to_str().unwrap(), "--resume"];
    let ran = limited(&compact, 8);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("groups/2023/10/19/13.jsonl: cannot write: File too large"), "{}", ran.said);
    assert_eq!(names(&out.join("groups/2023/10/19")), [""; 0], "nothing that is half");
    assert_eq!(run(compact).code, Some(0));
    run(["compact", &file, "-o", whole.to_str().unwrap()]);
    for name in
        ["groups/2023/10/19/13.jsonl", "groups/2023/10/19/14.jsonl", "scans/2023/10/19/13.jsonl", "metrics.json"]
    {
        assert!(fs::read(out.join(name)).unwrap() == fs::read(whole.join(name)).unwrap(), "{name}");
    }
    let made = folder.path().join("cut.pcap");
    let ran = limited(&["synth", made.to_str().unwrap()], 8);
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("cut.pcap: cannot write: File too large"), "{}", ran.said);
    assert_eq!(names(folder.path()), ["made.pcap", "out", "whole"], "no half capture is left");
}

#[test]
fn statistics_go_into_a_pipe_that_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let pipe = fifo(folder.path());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    let ran = run(["compact", &file, "--format", "none", "--stats", pipe.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let stats: Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
    assert_eq!(stats["packets"], 20_000);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_run_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcap");
    assert_eq!(run(["synth", file.to_str().unwrap()]).code, Some(0));
    let mut child =
        command([Path::new("compact"), &file]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"type\":\"group\""));
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.said.as_str()), (Some(141), ""));
}

#[test]
fn no_output_takes_the_place_of_another_or_of_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    fs::create_dir(here.join("real")).unwrap();
    for (link, target) in [("linked", "real"), ("to-be", "real/out")] {
        std::os::unix::fs::symlink(target, here.join(link)).unwrap();
    }
    assert_eq!(run(["synth", here.join("a.pcap").to_str().unwrap(), "--packets", "2000"]).code, Some(0));
    fs::write(here.join("c.toml"), "").unwrap();
    let absolute = here.join("out");
    let absolute = absolute.to_str().unwrap();
    // The command, what the error names, and the place.
    let meet: [(&[&str], [&str; 2], &str); 15] = [
        (&["flows", "a.pcap", "-o", "out", "--stats", "out"], ["--output", "--stats"], "out"),
        (&["flows", "a.pcap", "-o", "out", "--stats", absolute], ["--output", "--stats"], "out"),
        (&["flows", "a.pcap", "-o", "real/../out", "--stats", "./out"], ["--output", "--stats"], "out"),
        (&["flows", "a.pcap", "-o", "no/../out", "--stats", "./out"], ["--output", "--stats"], "out"),
        (&["flows", "a.pcap", "-o", "real/out", "--stats", "linked/out"], ["--output", "--stats"], "real/out"),
        (&["flows", "a.pcap", "-o", "real/no/out", "--stats", "linked/no/out"], ["--output", "--stats"], "real/no/out"),
        (&["flows", "a.pcap", "-o", "to-be", "--stats", "real/out"], ["--output", "--stats"], "real/out"),
        (&["flows", "a.pcap", "-o", "real/../a.pcap"], ["--output", "an input"], "a.pcap"),
        (&["flows", "a.pcap", "--stats", "a.pcap"], ["--stats", "an input"], "a.pcap"),
        (&["flows", "a.pcap", "--config", "c.toml", "-o", "c.toml"], ["--output", "--config"], "c.toml"),
        (&["compact", "a.pcap", "--stats", "a.pcap"], ["--stats", "an input"], "a.pcap"),
        (
            &["compact", "a.pcap", "-o", "out", "--stats", "out/metrics.json"],
            ["--output", "--stats"],
            "out/metrics.json",
        ),
        (&["compact", "a.pcap", "-o", "out", "--stats", "out/groups/a"], ["--output", "--stats"], "out/groups/a"),
        (&["compact", "a.pcap", "-o", "out", "--stats", "out"], ["--output", "--stats"], "out"),
        (
            &["compact", "a.pcap", "-o", "out", "--by-sensor", "--stats", "out/local/metrics.json"],
            ["--output", "--stats"],
            "out/local/metrics.json",
        ),
    ];
    let there = names(&here);
    for (arguments, options, place) in meet {
        let ran = Ran::of(command(arguments).current_dir(&here).output().unwrap());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.said);
        for word in options.into_iter().chain([here.join(place).to_str().unwrap()]) {
            assert!(ran.said.contains(word), "{arguments:?} {word}: {}", ran.said);
        }
        assert_eq!((names(&here), names(&here.join("real"))), (there.clone(), vec![]), "{arguments:?}");
    }
    // Beside one another, they are fine; so is a device for both.
    for (output, stats) in [("real/out", "real/stats"), ("/dev/null", "/dev/null")] {
        let arguments = ["flows", "a.pcap", "-q", "-o", output, "--stats", stats];
        let ran = Ran::of(command(arguments).current_dir(&here).output().unwrap());
        assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""), "{arguments:?}");
    }
    let ran =
        Ran::of(command(["compact", "a.pcap", "-q", "-o", "o", "--stats", "o/s"]).current_dir(&here).output().unwrap());
    assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_shell_redirects_to_is_an_output_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for command in ["compact", "flows"] {
        let ran = redirected(&[command, &file, "--stats", out], &format!("> {out}"));
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.said);
        assert!(ran.said.contains("--stats would take the place of standard output"), "{command}: {}", ran.said);
        let ran = redirected(&[command, "-", "--stats", &file], &format!("< {file}"));
        assert!(ran.said.contains("--stats would take the place of standard input"), "{command}: {}", ran.said);
        let before = fs::read(&file).unwrap();
        let ran = redirected(&[command, &file], &format!(">> {file}"));
        assert!(ran.said.contains("standard output would take the place of an input"), "{command}: {}", ran.said);
        assert!(fs::read(&file).unwrap() == before);
    }
    let ran = redirected(&["synth", out, "--packets", "2000", "--force"], &format!("> {out}"));
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    assert!(ran.said.contains("standard output would take the place of OUT"), "{}", ran.said);
}
