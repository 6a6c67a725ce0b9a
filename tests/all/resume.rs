//! `--resume`: after a crash, a change or damage the output folder is as if one run had made it, and no more is done than need be.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::command::{Ran, command, fifo, run};
use crate::model::SECOND;
use crate::traffic::{Body, Frame, START, pcap, v4};

const HOUR: i64 = 3600 * SECOND;

/// Packets of one client, a minute apart from the hour's tenth minute on.
fn packets(client: u8, hour: i64, n: i64) -> Vec<Frame> {
    let syn = Body::Tcp { src_port: 40_000, dst_port: 80, flags: 0x02, payload: Vec::new() };
    let time = |minute| START + hour * HOUR + (10 + minute) * 60 * SECOND;
    (0..n).map(|n| Frame::new(time(n), v4(10, 0, 0, client), v4(10, 0, 0, 200), syn.clone())).collect()
}

/// A folder of captures and an output folder.
struct Backfill {
    captures: tempfile::TempDir,
    out: tempfile::TempDir,
}

impl Backfill {
    fn new() -> Backfill {
        Backfill { captures: tempfile::tempdir().unwrap(), out: tempfile::tempdir().unwrap() }
    }

    /// An hour a file, and one that lies in the first and the last hour.
    fn of_three_hours() -> Backfill {
        let backfill = Backfill::new();
        for hour in 0..3 {
            backfill.capture(&format!("{hour}.pcap"), &packets(1, hour, 20));
        }
        backfill.capture("both.pcap", &[packets(2, 0, 5), packets(2, 2, 5)].concat());
        backfill.resume();
        backfill
    }

    fn capture(&self, name: &str, frames: &[Frame]) {
        fs::write(self.captures.path().join(name), pcap(frames)).unwrap();
    }

    fn arguments(&self) -> [PathBuf; 4] {
        ["compact".into(), self.captures.path().into(), "-o".into(), self.out.path().into()]
    }

    fn resume(&self) -> Ran {
        run(self.arguments().iter().map(PathBuf::as_path).chain([Path::new("--resume")]))
    }

    /// Resumes, and tells which hours were written.
    fn resumed(&self) -> (Ran, Vec<u32>) {
        let inodes = || -> BTreeMap<u32, Option<u64>> {
            (12..15).map(|hour| (hour, fs::metadata(self.groups(hour)).ok().map(|file| file.ino()))).collect()
        };
        // Kept open, so that no inode is used again.
        let held: Vec<_> = (12..15).map(|hour| fs::File::open(self.groups(hour)).ok()).collect();
        let before = inodes();
        let ran = self.resume();
        let after = inodes();
        drop(held);
        (ran, (12..15).filter(|hour| before[hour] != after[hour]).collect())
    }

    fn groups(&self, hour: u32) -> PathBuf {
        self.out.path().join(format!("groups/2023/10/19/{hour}.jsonl"))
    }

    fn journal(&self) -> PathBuf {
        self.out.path().join(".pcap-compactor/journal.jsonl")
    }

    /// Holds the output folder against that of one run over what is there now.
    fn check(&self) {
        let fresh = tempfile::tempdir().unwrap();
        let ran = run([Path::new("compact"), self.captures.path(), Path::new("-o"), fresh.path()]);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        assert_eq!(tree(self.out.path()), tree(fresh.path()));
    }
}

/// Every file of a folder but the journal and the lock.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let files = WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let files = files.map(|entry| (entry.path().strip_prefix(folder).unwrap().to_owned(), entry.into_path()));
    files
        .filter(|(name, _)| !name.starts_with(".pcap-compactor"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn without_a_change_nothing_is_read_or_written_again() {
    let backfill = Backfill::of_three_hours();
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(0), vec![]), "{}", ran.said);
    assert!(ran.said.contains("3 finished hours kept, 4 files not read again"), "{}", ran.said);
    assert!(ran.said.contains("70 packets, 3.8 kB on the wire, from 4 files; 0 of them read in"), "{}", ran.said);
    backfill.check();
}

#[test]
fn a_run_that_was_killed_between_two_commits_is_taken_up_behind_the_first() {
    let backfill = Backfill::new();
    backfill.capture("0.pcap", &packets(1, 0, 20));
    // The second hour comes through a pipe, so the run waits with the first one committed.
    let pipe = fifo(backfill.captures.path());
    let second = pcap(&packets(1, 1, 20));
    let first = backfill.captures.path().join("0.pcap");
    // One thread, which commits before it reads on.
    let mut killed = command(["compact", "--threads", "1"]);
    let mut killed = killed.args([&first, &pipe, Path::new("-o"), backfill.out.path()]).spawn().unwrap();
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(&second[..second.len() / 2]).unwrap();
    let began = Instant::now();
    while !fs::read_to_string(backfill.journal()).is_ok_and(|journal| journal.contains("\"Window\"")) {
        assert!(began.elapsed() < Duration::from_secs(60), "the first hour is committed");
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    drop(writer);
    assert!(backfill.groups(12).is_file() && !backfill.groups(13).exists());
    // What a killed run leaves is no record of anything.
    let left = backfill.out.path().join("groups/2023/10/19/.13.jsonl.123-4.tmp");
    fs::write(&left, "half").unwrap();
    fs::remove_file(&pipe).unwrap();
    fs::write(&pipe, second).unwrap();
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(0), vec![13]), "{}", ran.said);
    assert!(ran.said.contains("1 finished hour kept, 1 file not read again"), "{}", ran.said);
    assert!(!left.exists());
    backfill.check();
}

#[test]
fn a_journal_that_ends_anywhere_is_taken_up_where_it_ends() {
    let backfill = Backfill::of_three_hours();
    let journal = fs::read(backfill.journal()).unwrap();
    let ends = journal.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let mut kept = 3;
    for end in ends.collect::<Vec<_>>().into_iter().rev() {
        // Behind a line, and inside the line behind that.
        for end in [end + 9, end] {
            fs::write(backfill.journal(), &journal[..end.min(journal.len())]).unwrap();
            let ran = backfill.resume();
            assert_eq!(ran.code, Some(0), "{}", ran.said);
            let finished = ran.said.split_once(" finished hour").map_or(0, |(n, _)| n[n.len() - 1..].parse().unwrap());
            assert!(finished <= kept, "{} behind {kept}", ran.said);
            kept = finished;
            backfill.check();
        }
    }
    assert_eq!(kept, 0);
}

#[test]
fn a_changed_file_touches_its_own_hours_and_no_others() {
    let backfill = Backfill::of_three_hours();
    backfill.capture("1.pcap", &packets(1, 1, 25));
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(0), vec![13]), "{}", ran.said);
    assert!(ran.said.contains("2 finished hours kept"), "{}", ran.said);
    backfill.check();
    // It moves into another hour: that, and where it was.
    backfill.capture("1.pcap", &packets(1, 2, 5));
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(0), vec![13, 14]), "{}", ran.said);
    assert!(!backfill.groups(13).exists(), "nothing is left of an hour that has no packets any more");
    backfill.check();
}

#[test]
fn a_file_that_comes_late_touches_its_own_hours_and_no_others() {
    let backfill = Backfill::of_three_hours();
    backfill.capture("late.pcap", &packets(3, 0, 5));
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(0), vec![12]), "{}", ran.said);
    backfill.check();
    // Its second packet is of an hour that was over when the file began, so it is late there and touches nothing.
    backfill.capture("later.pcap", &[packets(4, 2, 1), packets(4, 1, 1)].concat());
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(3), vec![14]), "{}", ran.said);
    // A file without packets touches nothing at all.
    fs::remove_file(backfill.captures.path().join("later.pcap")).unwrap();
    backfill.resume();
    backfill.capture("none.pcap", &[]);
    let (ran, written) = backfill.resumed();
    assert_eq!((ran.code, written), (Some(0), vec![]), "{}", ran.said);
    backfill.check();
}

#[test]
fn a_file_that_is_gone_takes_its_packets_with_it() {
    let backfill = Backfill::of_three_hours();
    for (name, touched) in [("2.pcap", vec![14]), ("1.pcap", vec![13]), ("both.pcap", vec![12, 14])] {
        fs::remove_file(backfill.captures.path().join(name)).unwrap();
        let (ran, written) = backfill.resumed();
        assert_eq!((ran.code, written), (Some(0), touched), "{}", ran.said);
        backfill.check();
    }
}

#[test]
fn damaged_output_is_found_named_and_made_again() {
    let backfill = Backfill::of_three_hours();
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("groups/2023/10/19/13.jsonl", |path| {
            let text = fs::read(path).unwrap();
            fs::write(path, &text[..text.len() - 1]).unwrap();
        }),
        ("groups/2023/10/19/13.jsonl", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replacen("\"pkts_up\":2", "\"pkts_up\":3", 1)).unwrap();
        }),
        ("groups/2023/10/19/13.jsonl", |path| fs::remove_file(path).unwrap()),
        ("scans/2023/10/19/13.jsonl", |path| fs::write(path, "{}").unwrap()),
    ];
    for (name, damage) in damages {
        let path = backfill.out.path().join(name);
        let before = fs::read(&path).unwrap();
        damage(&path);
        assert_ne!(fs::read(&path).ok(), Some(before));
        let (ran, written) = backfill.resumed();
        assert_eq!((ran.code, written), (Some(0), vec![13]), "{}", ran.said);
        let line = format!("{}: is missing or not as it was written; its hour is done again", path.display());
        assert!(ran.said.lines().any(|said| said == line), "{}", ran.said);
        backfill.check();
    }
}

#[test]
fn another_job_starts_anew() {
    let backfill = Backfill::of_three_hours();
    let arguments = backfill.arguments();
    let ran = run(arguments.iter().map(PathBuf::as_path).chain(["--resume", "--times", "ns"].map(Path::new)));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(!ran.said.contains("finished hour"), "{}", ran.said);
    let (_, written) = backfill.resumed();
    assert_eq!(written, [12, 13, 14]);
    backfill.check();
}

/// Runs over some captures into the folder, without `--resume`.
fn over(backfill: &Backfill, names: &[&str], more: &[&str]) -> Ran {
    let captures: Vec<PathBuf> = names.iter().map(|name| backfill.captures.path().join(name)).collect();
    let out = [Path::new("-o"), backfill.out.path()];
    run([Path::new("compact")]
        .into_iter()
        .chain(captures.iter().map(PathBuf::as_path))
        .chain(out)
        .chain(more.iter().map(Path::new)))
}

#[test]
fn hours_outside_of_a_range_are_left_alone() {
    for resume in [&[][..], &["--resume"]] {
        let backfill = Backfill::of_three_hours();
        let all = tree(backfill.out.path());
        let hour = |hour: &'static str| [resume, &["--hour", hour]].concat();
        let fresh = Backfill { captures: backfill.captures, out: tempfile::tempdir().unwrap() };
        for at in ["2023-10-19T12", "2023-10-19T13", "2023-10-19T14"] {
            let ran = over(&fresh, &["0.pcap", "1.pcap", "2.pcap", "both.pcap"], &hour(at));
            assert_eq!(ran.code, Some(0), "{}", ran.said);
        }
        // Windows of whole hours are the same with and without the range, and so are their files.
        let hours = tree(fresh.out.path());
        for (name, text) in all.iter().filter(|(name, _)| name.as_os_str() != "metrics.json") {
            assert_eq!(hours.get(name), Some(text), "{}", name.display());
        }
    }
}

#[test]
fn a_wider_range_does_only_the_hours_that_are_new() {
    let backfill = Backfill::of_three_hours();
    let out = Backfill { captures: backfill.captures, out: tempfile::tempdir().unwrap() };
    let names = ["0.pcap", "1.pcap", "2.pcap", "both.pcap"];
    let until = |to: &'static str| ["--resume", "--from", "2023-10-19T12", "--to", to];
    assert_eq!(over(&out, &names, &until("2023-10-19T14")).code, Some(0));
    let inode = |hour| fs::metadata(out.groups(hour)).map(|file| file.ino()).ok();
    let before = [12, 13, 14].map(inode);
    assert!(before[0].is_some() && before[2].is_none());
    let ran = over(&out, &names, &until("2023-10-19T15"));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let after = [12, 13, 14].map(inode);
    assert_eq!((after[0], after[1]), (before[0], before[1]), "{}", ran.said);
    assert!(after[2].is_some());
}

#[test]
fn hours_of_other_captures_stay_and_are_never_overwritten() {
    let backfill = Backfill::of_three_hours();
    let out = Backfill { captures: backfill.captures, out: tempfile::tempdir().unwrap() };
    assert_eq!(over(&out, &["0.pcap"], &[]).code, Some(0));
    let first = tree(out.out.path());
    // Other hours join.
    let ran = over(&out, &["1.pcap"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("1 hour of captures that this run does not read stay"), "{}", ran.said);
    let groups = Path::new("groups/2023/10/19/12.jsonl");
    assert_eq!(tree(out.out.path())[groups], first[groups]);
    assert!(out.groups(13).is_file());
    // The same hour of another capture is refused, and nothing of it is lost.
    let ran = over(&out, &["both.pcap"], &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("12.jsonl: cannot replace: it holds packets of "), "{}", ran.said);
    assert_eq!(tree(out.out.path())[groups], first[groups]);
    // With both, it is the hour of both.
    let ran = over(&out, &["0.pcap", "1.pcap", "both.pcap"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_ne!(tree(out.out.path())[groups], first[groups]);
}

#[test]
fn a_run_that_fails_leaves_the_hours_that_were_there_and_no_metrics() {
    let backfill = Backfill::of_three_hours();
    let before = tree(backfill.out.path());
    // In place of an hour's file lies a folder: it cannot be replaced.
    fs::remove_file(backfill.groups(12)).unwrap();
    fs::create_dir(backfill.groups(12)).unwrap();
    let ran = over(&backfill, &["0.pcap", "1.pcap", "2.pcap", "both.pcap"], &["--times", "ns"]);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    let after = tree(backfill.out.path());
    for hour in [13, 14] {
        let name = PathBuf::from(format!("groups/2023/10/19/{hour}.jsonl"));
        assert_eq!(after[&name], before[&name]);
    }
    assert!(!after.contains_key(Path::new("metrics.json")));
}

#[test]
fn output_among_the_captures_is_no_input() {
    let backfill = Backfill::of_three_hours();
    let captures = backfill.captures.path();
    let out = captures.join("out");
    let arguments = [Path::new("compact"), captures, Path::new("-o"), &out];
    let first = run(arguments);
    assert_eq!(first.code, Some(0), "{}", first.said);
    let made = tree(&out);
    let again = run(arguments);
    assert_eq!(again.code, Some(0), "{}", again.said);
    assert_eq!(tree(&out), made);
}
