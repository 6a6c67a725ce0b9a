//! Programs that misbehave in tcpdump's place.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{LinkType, PcapLayout, PcapWriter, Status};
use pcap_compactor::live::{Capture, Episode, Event, Failure, Folder, Output, Patience, Supervisor};
use tempfile::TempDir;

use super::{is_alive, next, read, told, until};

/// A folder with a program, and a capture beside it: two records of 20 bytes.
struct Fake {
    dir: TempDir,
    capture: Capture,
}

/// Begins as tcpdump does.
const LISTEN: &str = "echo 'tcpdump: listening on lo, link-type EN10MB' >&2";

impl Fake {
    /// A shell script of these lines, which find that capture as `$HERE/two.pcap`.
    fn new(lines: &[&str]) -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let layout = PcapLayout { link: LinkType(1), ..PcapLayout::default() };
        let mut writer = PcapWriter::new(Vec::new(), layout).unwrap();
        for n in 1..=2 {
            writer
                .record(Timestamp::from_seconds(1_760_886_000), 20, &[[0; 16].as_slice(), &[0, 0, 0, n]].concat())
                .unwrap();
        }
        std::fs::write(dir.path().join("two.pcap"), writer.finish().unwrap()).unwrap();
        let text = format!("#!/bin/sh\nHERE='{}'\n{}\n", dir.path().display(), lines.join("\n"));
        let program = dir.path().join("tcpdump");
        script(&program, &text);
        let capture = Capture { program, unbuffered: true, ..Capture::on("lo") };
        Fake { dir, capture }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("out.pcap")
    }

    fn start(&self) -> Result<Episode, Failure> {
        Episode::start(&self.capture, Output::File { path: self.file(), replace: false })
    }
}

/// Writes a script. Another process does, since one that is forked meanwhile would hold ours open for writing, and what is
/// open for writing cannot be run.
fn script(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", "cat > \"$0\" && chmod +x \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn one_that_dies_at_once_is_refused_with_its_words() {
    let failure = Fake::new(&["echo 'tcpdump: so it is' >&2", "exit 1"]).start().unwrap_err();
    assert!(matches!(&failure, Failure::NotBegun { said } if said == "tcpdump: so it is"), "{failure}");
    let fake = Fake::new(&["exit 0"]);
    let failure = fake.start().unwrap_err().to_string();
    assert_eq!((failure.as_str(), fake.file().exists()), ("tcpdump ended at once and said nothing", false));
    let failure = Fake::new(&["echo 'tcpdump: lo: You do not have permission' >&2", "exit 1"]).start().unwrap_err();
    assert!(failure.to_string().contains("setcap cap_net_raw"), "{failure}");
}

#[test]
fn the_words_about_a_filter_are_those_of_its_compiler() {
    let mut fake = Fake::new(&["echo \"tcpdump: no: $*\" >&2", "exit 1"]);
    fake.capture.filter = "no such $(word)".into();
    let failure = fake.capture.compile().unwrap_err();
    let Failure::Filter { filter, said } = &failure else { panic!("{failure}") };
    assert_eq!(
        (filter.as_str(), said.as_str()),
        ("no such $(word)", "tcpdump: no: -d -i lo -s 128 -- no such $(word)")
    );
}

#[test]
fn endless_talk_holds_nothing_up() {
    let fake = Fake::new(&[LISTEN, "cat \"$HERE/two.pcap\"", "while :; do echo 'blah blah blah' >&2; done"]);
    let episode = fake.start().unwrap();
    until("its packets are there", || episode.written().0 == 2);
    let started = Instant::now();
    let ended = episode.stop().unwrap();
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    // A shell keeps ignoring the signal where it was ignored when it began, as in a script's background; tcpdump does not.
    let ignored = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    let is_ignored = u64::from_str_radix(ignored, 16).unwrap() & 1 << (libc::SIGINT - 1) != 0;
    assert!((ended.stopped, ended.killed) == (true, is_ignored) && ended.last_words.len() <= 20, "{ended:?}");
    assert_eq!(read(&fake.file()), (vec![1, 2], Status::Complete));
}

#[test]
fn one_that_ignores_the_request_to_end_is_killed_with_its_children() {
    let child = "sleep 1000 & echo $! > \"$HERE/child\"";
    let fake = Fake::new(&["trap '' INT", LISTEN, "cat \"$HERE/two.pcap\"", child, "while :; do sleep 1; done"]);
    let episode = fake.start().unwrap();
    let process = episode.process();
    let path = fake.dir.path().join("child");
    until("its child is there", || std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n')));
    let child = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
    assert!(is_alive(process) && is_alive(child));
    let started = Instant::now();
    let ended = episode.stop().unwrap();
    assert!(ended.killed && !ended.is_well() && started.elapsed() >= Duration::from_secs(5), "{ended:?}");
    until("both are gone", || !is_alive(process) && !is_alive(child));
    assert_eq!(read(&fake.file()), (vec![1, 2], Status::Complete));
}

#[test]
fn a_child_that_keeps_the_pipes_open_is_not_waited_for() {
    let fake = Fake::new(&[LISTEN, "cat \"$HERE/two.pcap\"", "sleep 20 &", "exit 3"]);
    let started = Instant::now();
    let mut episode = fake.start().unwrap();
    let ended = episode.wait(super::LONG).unwrap();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!((ended.status.and_then(|status| status.code()), ended.written.packets), (Some(3), 2));
    assert!(!ended.is_well() && episode.wait(Duration::ZERO).is_none());
}

#[test]
fn half_a_record_is_not_written_and_what_is_no_capture_ends_it() {
    let fake = Fake::new(&[LISTEN, "head -c 90 \"$HERE/two.pcap\""]);
    let ended = fake.start().unwrap().wait(super::LONG).unwrap();
    assert!(ended.is_well(), "{ended:?}");
    assert_eq!((read(&fake.file()), ended.written.bytes), ((vec![1], Status::Complete), 24 + 36));

    let fake = Fake::new(&[LISTEN, "cat \"$HERE/two.pcap\"", "sleep 0.5", "exec yes"]);
    let ended = fake.start().unwrap().wait(super::LONG).unwrap();
    assert!(matches!(ended.failure, Some(Failure::NoCapture(_))), "{ended:?}");
    assert_eq!(read(&fake.file()), (vec![1, 2], Status::Complete));

    let fake = Fake::new(&[LISTEN, "exec yes"]);
    let failure = fake.start().unwrap_err();
    assert!(matches!(failure, Failure::NoCapture(_)) && !fake.file().exists(), "{failure}");
}

#[test]
fn a_file_that_is_there_stays_and_no_process_does() {
    let fake = Fake::new(&[LISTEN, "echo $$ > \"$HERE/process\"", "cat \"$HERE/two.pcap\"", "exec sleep 1000"]);
    std::fs::write(fake.file(), "mine").unwrap();
    let failure = fake.start().unwrap_err().to_string();
    assert!(failure.contains("out.pcap: cannot write: File exists"), "{failure}");
    assert_eq!(std::fs::read(fake.file()).unwrap(), b"mine");
    // It may have been killed before it wrote its number, and behind making the file for it.
    let process = std::fs::read_to_string(fake.dir.path().join("process")).unwrap_or_default();
    if let Some(process) = process.strip_suffix('\n') {
        assert!(!is_alive(process.parse().unwrap()));
    }
}

#[test]
fn what_is_dropped_is_stopped() {
    let fake = Fake::new(&[LISTEN, "cat \"$HERE/two.pcap\"", "exec sleep 1000"]);
    let episode = fake.start().unwrap();
    let process = episode.process();
    assert!(is_alive(process));
    drop(episode);
    assert!(!is_alive(process));
}

#[test]
fn one_that_dies_is_started_again_ever_later_and_no_file_is_written_over() {
    // The third start is refused.
    let count = "echo x >> \"$HERE/starts\"; n=$(wc -l < \"$HERE/starts\")";
    let refuse = "[ $n != 3 ] || { echo 'tcpdump: not now' >&2; exit 1; }";
    let fake = Fake::new(&[
        count,
        refuse,
        LISTEN,
        "cat \"$HERE/two.pcap\"",
        "[ $n = 5 ] && exec sleep 1000",
        "echo bye >&2",
        "exit 1",
    ]);
    let folder = Folder::new(fake.dir.path().join("files"));
    let ms = Duration::from_millis;
    let patience = Patience { first: ms(10), longest: ms(25), well: super::LONG };
    let (supervisor, events) = Supervisor::start(fake.capture.clone(), folder.clone(), patience).unwrap();
    let (mut happened, mut waits, mut files) = (String::new(), Vec::new(), Vec::new());
    let mut take = |event| match event {
        Event::Started { .. } => happened.push('s'),
        Event::Opened { .. } => happened.push('o'),
        Event::Finished(written) => {
            happened.push('f');
            assert_eq!(read(&written.path), (vec![1, 2], Status::Complete));
            files.push(written.path.file_name().unwrap().to_string_lossy().into_owned());
        }
        Event::Died(ended) => {
            happened.push('d');
            assert_eq!((told(&ended).as_str(), ended.written.packets), ("bye", 2));
        }
        Event::Refused(failure) => {
            happened.push('r');
            assert_eq!(failure.to_string(), "tcpdump: not now");
        }
        Event::Restarting { after } => {
            happened.push('.');
            waits.push(after);
        }
        Event::Stopped(ended) => {
            happened.push('S');
            assert!(ended.stopped, "{ended:?}");
        }
        other => panic!("{other:?}"),
    };
    let mut opened = 0;
    while opened < 4 {
        let event = next(&events);
        opened += u32::from(matches!(event, Event::Opened { .. }));
        take(event);
    }
    supervisor.stop();
    events.iter().for_each(&mut take);
    assert_eq!(happened, "sofd.sofd.r.sofd.sofS");
    assert_eq!(waits, [ms(10), ms(20), ms(25), ms(25)]);
    let name = |n: &str| format!("capture_20251019_150000{n}.pcap");
    assert_eq!(files, [name(""), name("_001"), name("_002"), name("_003")]);
}

#[test]
fn a_supervisor_stops_at_once_between_two_runs() {
    let fake = Fake::new(&[LISTEN, "cat \"$HERE/two.pcap\"", "exit 1"]);
    let patience = Patience { first: super::LONG, ..Patience::default() };
    let folder = Folder::new(fake.dir.path().join("files"));
    let (supervisor, events) = Supervisor::start(fake.capture.clone(), folder, patience).unwrap();
    while !matches!(next(&events), Event::Restarting { .. }) {}
    let started = Instant::now();
    supervisor.stop();
    assert!(started.elapsed() < Duration::from_secs(10) && events.iter().next().is_none());
}
