//! Where `timeline` writes: whole or not at all, and in place of nothing but a timeline.

use std::process::Stdio;

use crate::command::{Ran, command};
use crate::flows::pcap;
use crate::run::file;

use super::{packets, timeline};

/// A folder goes into its place by its name, so the one that one stands in is not replaced.
#[test]
fn a_place_without_a_name_or_that_leads_nowhere_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let inside = dir.path().join("here");
    std::fs::create_dir(&inside).unwrap();
    let run = |place: &str| {
        let mut command = command(["timeline", capture.to_str().unwrap(), "--force", "-o", place]);
        Ran::of(command.current_dir(&inside).output().unwrap())
    };
    for place in [".", "./", "..", "../here/..", "/"] {
        let ran = run(place);
        assert_eq!(ran.code, Some(2), "{place}: {}", ran.said);
        assert!(ran.said.contains("name one in it, such as") && ran.said.contains("timeline"), "{}", ran.said);
    }
    assert_eq!((std::fs::read_dir(&inside).unwrap().count(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 2));
    assert_eq!(run("../here/out").code, Some(0));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", inside.join("loose")).unwrap();
        let ran = run("loose");
        assert_eq!(ran.code, Some(1), "{}", ran.said);
        assert!(ran.said.contains("loose: cannot write: it is a link to what is not there; remove it"), "{}", ran.said);
        assert!(!ran.said.contains("os error") && !inside.join("nowhere").exists(), "{}", ran.said);
    }
}

/// A run that waits for its input is ended, and leaves nothing under a temporary name.
#[cfg(unix)]
#[test]
fn nothing_stays_of_a_run_that_a_signal_ended() {
    for (signal, code) in [("INT", 130), ("HUP", 129)] {
        for arguments in [&["timeline", "-", "-o", "out"][..], &["flows", "-", "-o", "out.csv"]] {
            let dir = tempfile::tempdir().unwrap();
            let mut run = command(arguments);
            let mut child = run.current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, &pcap(&packets())).unwrap();
            while std::fs::read_dir(dir.path()).unwrap().next().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
            assert!(kill.unwrap().success());
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signal} {arguments:?}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{signal} {arguments:?}");
        }
    }
}

/// A stream on which nothing comes holds up no stop.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_waits_for_a_silent_stream_stops_at_once() {
    use std::time::{Duration, Instant};
    for arguments in [
        &["timeline", "-", "-o", "out"][..],
        &["timeline", "-", "-o", "out", "--mode", "original"],
        &["flows", "-", "-o", "out.csv"],
        &["compact", "-", "-o", "out"],
        &["view", "-"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut run = command(arguments);
        let mut child = run.current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &pcap(&packets())).unwrap();
        let catches_signals = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
            u64::from_str_radix(caught, 16).unwrap() & 1 << (2 - 1) != 0
        };
        while !catches_signals() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200));
        let kill = std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let asked = Instant::now();
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), &*said), (Some(130), "pcap-compactor: stopped\n"), "{arguments:?}");
        // Later than that it would be ended for not stopping.
        assert!(asked.elapsed() < Duration::from_secs(2), "{arguments:?}: {:?}", asked.elapsed());
        // compact makes its folder before, and a journal in it.
        let is_left = |name: &std::ffi::OsStr| name != "out" && name != ".pcap-compactor";
        let folders = [dir.path().to_owned(), dir.path().join("out")];
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).filter(|name| is_left(name)).collect();
        assert!(left.is_empty(), "{arguments:?}: {left:?}");
        drop(stdin);
    }
}

/// What a killed run left goes with the next run to the same place, and not while the run lives.
#[cfg(unix)]
#[test]
fn a_killed_run_is_cleared_away_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let begun = |layout: &str| {
        let mut run = command(["timeline", "-", "-o", "out", "--force", "--layout", layout]);
        let mut child = run.current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &pcap(&packets())).unwrap();
        let under_way = format!(".{}-", child.id());
        let marked = || {
            let mut entries = std::fs::read_dir(dir.path()).unwrap().flatten();
            entries.any(|entry| {
                let ours = entry.file_name().to_string_lossy().contains(&under_way);
                ours && entry.path().join(".under-way").exists()
            })
        };
        while !marked() {
            assert!(child.try_wait().unwrap().is_none(), "it runs");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        (child, stdin)
    };
    let next = || {
        let mut run = command(["timeline", capture.to_str().unwrap(), "-o", "out", "--force"]);
        let ran = Ran::of(run.current_dir(dir.path()).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        ran.said
    };
    let there = || std::fs::read_dir(dir.path()).unwrap().count();
    for layout in ["2.0", "all"] {
        let (mut child, stdin) = begun(layout);
        assert!(!next().contains("was killed"), "it lives");
        assert_eq!(there(), 3, "capture, folder, and what is under way");
        child.kill().unwrap();
        child.wait().unwrap();
        drop(stdin);
        assert_eq!(there(), 3);
        let said = next();
        assert_eq!(said.matches(".tmp: removed; a run that was killed had left it").count(), 1, "{said}");
        assert_eq!(there(), 2);
    }
    assert_eq!(timeline(&["--check", dir.path().join("out").to_str().unwrap()]).code, Some(0));
}

/// A second signal ends a run while it writes: it loses its files, which is no failure of its own, and all of them go. One that has
/// ended by then leaves a timeline that is whole.
#[cfg(unix)]
#[test]
fn a_run_that_is_ended_while_it_writes_exits_by_its_signal() {
    use std::fmt::Write;
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n");
    for n in 0..8000_i64 {
        let host = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        writeln!(table, "{},{host},192.0.2.1,1000,80,2,60", 1_700_000_000_000_000 + n).unwrap();
    }
    file(dir.path(), "a.csv", table.as_bytes());
    let under_way = || {
        let entries = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path());
        let lists = entries.flat_map(|folder| ["v5.0", ""].map(|part| folder.join(part).join("indices/flow_list")));
        lists.filter_map(|list| std::fs::read_dir(list).ok()).map(Iterator::count).sum::<usize>()
    };
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut run = command(["timeline", "-q", "a.csv", "-o", "out", "--layout", "3.3+5.0"]);
        let mut child = run.current_dir(dir.path()).stderr(Stdio::null()).spawn().unwrap();
        while under_way() == 0 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let kill = ["INT", signal].map(|signal| format!("kill -{signal} {}", child.id())).join("; sleep 0.02; ");
        std::process::Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().unwrap();
        let ended = child.wait().unwrap().code();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        // Two that come while the system writes are told by their numbers, and then the second is that of the higher.
        assert!([Some(code), Some(130), Some(0)].contains(&ended), "{signal}: {ended:?}");
        if left.len() == 1 && ended != Some(0) {
            assert_eq!(left, ["a.csv"], "{signal}");
        } else {
            // It was quicker, if not always with its exit.
            let out = dir.path().join("out");
            assert_eq!(left.len(), 2, "{signal}: {left:?}");
            let checked = timeline(&["--check", out.to_str().unwrap()]);
            assert_eq!(checked.code, Some(0), "{signal}: {ended:?} {left:?} {checked:?}");
            std::fs::remove_dir_all(out).unwrap();
        }
    }
}

/// What is written into a timeline would make it none, and nothing would replace it any more.
#[test]
fn a_place_inside_a_timeline_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let run = |name: &str, more: &[&str]| timeline(&[&[capture.to_str().unwrap(), "-o", &place(name)], more].concat());
    for (layout, inner) in
        [("2.0", ["a/v2.0", "a/inner", "a/flows/x/y"]), ("3.3+5.0", ["a/v2.0", "a/inner", "a/v3.3/x"])]
    {
        assert_eq!(run("a", &["--layout", layout, "--force"]).code, Some(0));
        for name in inner {
            let ran = run(name, &["--force"]);
            assert!(
                ran.code == Some(2) && ran.said.contains("/a, which is a timeline; name a place outside it"),
                "{ran:?}"
            );
            assert!(!std::path::Path::new(&place(name)).exists());
        }
        assert_eq!(run("a", &["--layout", layout, "--force"]).code, Some(0), "it is still one");
    }
    // A version beside what is no timeline is a folder like others.
    std::fs::create_dir(place("work")).unwrap();
    std::fs::write(place("work/notes.txt"), "mine").unwrap();
    assert_eq!(["work/v2.0", "work/other"].map(|name| run(name, &[]).code), [Some(0); 2]);
}

/// Nothing of anybody else's is replaced, however deep it lies.
#[test]
fn a_stranger_in_a_timeline_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    let (capture, place) = (capture.to_str().unwrap(), out.to_str().unwrap());
    let again = || timeline(&[capture, "-o", place, "--layout", "all", "--force"]);
    assert_eq!(again().code, Some(0));
    for name in ["v2.0/flows/sub", "v3.3/resolutions/raw/my.csv", "v5.0/indices/flow_list/notes.txt", "notes.txt"] {
        let stranger = out.join(name);
        std::fs::write(&stranger, "mine").unwrap();
        let ran = again();
        let said = format!("it holds {name}, which is no part of a timeline; name another folder");
        assert!(ran.code == Some(1) && ran.said.contains(&said), "{ran:?}");
        assert_eq!(std::fs::read_to_string(&stranger).unwrap(), "mine");
        std::fs::remove_file(stranger).unwrap();
    }
    assert_eq!(again().code, Some(0));
}
