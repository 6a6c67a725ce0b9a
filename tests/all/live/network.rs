//! tcpdump itself, on a network that only the test can see: a pair of interfaces, `here` with an address and `there` behind it.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pcap_compactor::capture::Status;
use pcap_compactor::live::{Capture, Episode, Event, Failure, Folder, Output, Patience, Supervisor};

use super::{is_alive, next, read, until};
use crate::command::{Ran, command};

/// Says to a test that it is inside.
const INSIDE: &str = "PCAP_COMPACTOR_TEST_NETWORK";

const NETWORK: &str = "ip link set lo up && ip link add here type veth peer name there && ip addr add 10.9.0.1/24 dev here \
    && ip link set here up && ip link set there up && ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev here";

/// How a network of its own is had: as root, or as root of a user namespace; nothing, and a loud word, where it is not.
fn way() -> Option<&'static str> {
    static WAY: OnceLock<Option<&str>> = OnceLock::new();
    *WAY.get_or_init(|| {
        let works = |way: &&str| {
            let all = format!("{NETWORK} && tcpdump --version");
            let tried = Command::new("unshare").args([way, "sh", "-c", &all]).output();
            tried.is_ok_and(|output| output.status.success())
        };
        let way = ["-n", "-rn"].into_iter().find(|way| works(way));
        if way.is_none() {
            let missing = "they need unshare, ip and tcpdump, and permission to make a network";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            // Past the test harness, which keeps what passing tests print.
            writeln!(std::io::stderr(), "LEFT OUT: tests over tcpdump; {missing}").expect("standard error takes text");
        }
        way
    })
}

/// Runs `test`, the one of this name, on a network of its own.
fn inside(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let Some(way) = way() else { return };
    let mut again = Command::new("unshare");
    again.args([way, "sh", "-c", &format!("{NETWORK} && exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
    again.args(["--exact", &format!("live::network::{name}"), "--nocapture"]).env(INSIDE, "1");
    let ran = Ran::of(again.output().unwrap());
    assert!(ran.code == Some(0) && ran.out.contains("1 passed"), "{}\n{}", ran.out, ran.said);
}

/// What is sent, numbered.
struct Sender(UdpSocket, u32);

impl Sender {
    fn new() -> Sender {
        Sender(UdpSocket::bind("10.9.0.1:0").unwrap(), 0)
    }

    fn send(&mut self, packets: u32) {
        for _ in 0..packets {
            self.1 += 1;
            self.0.send_to(&self.1.to_be_bytes(), "10.9.0.2:9").unwrap();
        }
    }

    /// A packet each millisecond.
    fn send_for(&mut self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.send(1);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Who may not become another user stays root.
fn on_there() -> Capture {
    Capture { filter: "udp port 9".into(), user: Some("root".into()), ..Capture::on("there") }
}

#[test]
fn packets_in_the_file_are_those_that_were_sent_and_those_that_tcpdump_counts() {
    inside("packets_in_the_file_are_those_that_were_sent_and_those_that_tcpdump_counts", || {
        // Handed over one by one, or some at a time: those of the last moment are there, too.
        for unbuffered in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.pcap");
            let capture = Capture { unbuffered, snaplen: 46, ..on_there() };
            let output = Output::File { path: path.clone(), replace: false };
            let episode = Episode::start(&capture, output).unwrap();
            let mut sender = Sender::new();
            sender.send(300);
            if unbuffered {
                until("it can be read while it grows", || read(&path).0.len() == 300);
            }
            sender.send(200);
            let ended = episode.stop().unwrap();
            let counts = ended.counts.unwrap();
            assert_eq!((counts.captured, counts.received, counts.dropped_by_kernel), (500, 500, 0), "{ended:?}");
            assert_eq!((ended.written.packets, ended.is_well()), (500, true));
            assert_eq!(read(&path), ((1..=500).collect(), Status::Complete));
        }
    });
}

#[test]
fn no_packet_is_lost_between_files() {
    inside("no_packet_is_lost_between_files", || {
        let dir = tempfile::tempdir().unwrap();
        let folder =
            Folder { every: Duration::from_secs(1), size: Some(8192), ..Folder::new(dir.path().join("files")) };
        let (supervisor, events) = Supervisor::start(on_there(), folder, Patience::default()).unwrap();
        let mut sender = Sender::new();
        sender.send_for(Duration::from_millis(2200));
        supervisor.stop();
        let (mut numbers, mut files, mut counts) = (Vec::new(), Vec::new(), None);
        for event in events {
            match event {
                Event::Finished(written) => {
                    let (read, status) = read(&written.path);
                    assert_eq!((read.len() as u64, status), (written.packets, Status::Complete));
                    let size = std::fs::metadata(&written.path).unwrap().len();
                    assert!(size == written.bytes && size <= 8192);
                    numbers.extend(read);
                    files.push(written.path);
                }
                Event::Stopped(ended) => counts = ended.counts,
                Event::Started { .. } | Event::Opened { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(numbers, (1..=sender.1).collect::<Vec<_>>());
        assert_eq!(counts.unwrap().captured, u64::from(sender.1));
        assert!(files.len() > 10 && files.is_sorted(), "{files:?}");
    });
}

#[test]
fn tcpdump_is_started_again_when_it_is_killed() {
    inside("tcpdump_is_started_again_when_it_is_killed", || {
        let dir = tempfile::tempdir().unwrap();
        let patience =
            Patience { first: Duration::from_millis(20), longest: Duration::from_millis(20), ..Patience::default() };
        let capture = Capture { unbuffered: true, ..on_there() };
        let (supervisor, events) = Supervisor::start(capture, Folder::new(dir.path()), patience).unwrap();
        let (mut sender, mut killed, mut packets) = (Sender::new(), 0, 0);
        let mut take = |event: Event| match event {
            Event::Started { process } => {
                sender.send(10);
                Some(process)
            }
            Event::Died(ended) => {
                let status = ended.status.unwrap().to_string();
                assert!(status.contains("signal: 9") && ended.counts.is_none(), "{status}");
                killed += 1;
                None
            }
            Event::Finished(written) => {
                let (read, status) = read(&written.path);
                assert_eq!((read.len() as u64, status), (written.packets, Status::Complete));
                packets += written.packets;
                None
            }
            _ => None,
        };
        for round in 0..4 {
            let process = loop {
                if let Some(process) = take(next(&events)) {
                    break process;
                }
            };
            // A file begins with its first packet.
            while !matches!(next(&events), Event::Opened { .. }) {}
            if round < 3 {
                std::thread::sleep(Duration::from_millis(300));
                assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
            }
        }
        supervisor.stop();
        for event in events {
            take(event);
        }
        assert_eq!((killed, packets, sender.1), (3, 40, 40));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4, "within a second or not");
    });
}

#[test]
fn what_cannot_be_captured_is_refused_with_reasons() {
    inside("what_cannot_be_captured_is_refused_with_reasons", || {
        let failure = Capture { filter: "udp prt 9".into(), ..on_there() }.compile().unwrap_err();
        assert!(matches!(&failure, Failure::Filter { said, .. } if said.contains("syntax error")), "{failure}");
        // Of this link type.
        let filter = "wlan host 2:0:0:0:0:1 and type mgt";
        assert!(Capture { filter: filter.into(), ..on_there() }.compile().is_err());
        on_there().compile().unwrap();
        let failure = Capture { interface: "where".into(), ..on_there() }.compile().unwrap_err();
        let Failure::NoInterface { existing, .. } = &failure else { panic!("{failure}") };
        assert!(["here", "lo", "there"].iter().all(|name| existing.iter().any(|other| other == name)), "{failure}");
        let dir = tempfile::tempdir().unwrap();
        let output = Output::File { path: dir.path().join("a.pcap"), replace: false };
        let failure =
            Episode::start(&Capture { user: Some("nobody-at-all".into()), ..on_there() }, output).unwrap_err();
        assert!(failure.to_string().contains("nobody-at-all"), "{failure}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    });
}

#[test]
fn the_command_ends_by_a_signal_by_time_and_by_packets() {
    inside("the_command_ends_by_a_signal_by_time_and_by_packets", || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pcap");
        let start = |options: &[&str]| {
            let with = ["capture", "there", "--bpf", "udp port 9", "--user", "root", "-o", path.to_str().unwrap()];
            let mut command = command(with.iter().chain(options));
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            until("it captures", || path.exists());
            // The file is there a moment before tcpdump's header, and that before the first packet.
            until("it has begun", || std::fs::metadata(&path).unwrap().len() >= 24);
            child
        };
        let mut sender = Sender::new();
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let child = start(&[]);
            sender.send(20);
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
            let ran = Ran::of(child.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(code), "{ran:?}");
            assert!(
                ran.said.contains("a.pcap: 20 packets") && ran.said.contains("tcpdump: 20 captured, 20 received"),
                "{ran:?}"
            );
            assert_eq!(read(&path).0.len(), 20);
            std::fs::remove_file(&path).unwrap();
        }
        let child = start(&["--packets", "3"]);
        sender.send(5);
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, read(&path).0.len()), (Some(0), 3), "{ran:?}");
        let again = command(["capture", "there", "--user", "root", "-o", path.to_str().unwrap()]).output().unwrap();
        let again = Ran::of(again);
        assert!(again.code == Some(1) && again.said.contains("exists already; --force replaces it"), "{again:?}");
        let ran = Ran::of(start(&["--force", "--for", "100ms", "-q"]).wait_with_output().unwrap());
        assert_eq!((ran.code, ran.said.as_str(), read(&path).0.len()), (Some(0), "", 0));
    });
}

#[test]
fn tcpdump_ends_at_the_next_packet_when_the_command_is_killed() {
    inside("tcpdump_ends_at_the_next_packet_when_the_command_is_killed", || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pcap");
        let mut child = command(["capture", "there", "--user", "root", "-o", path.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("it has begun", || std::fs::metadata(&path).is_ok_and(|file| file.len() >= 24));
        let all = children(child.id());
        assert_eq!(all.len(), 1, "{all:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let mut sender = Sender::new();
        until("it is gone", || {
            sender.send(1);
            !is_alive(all[0])
        });
    });
}

/// The processes that one has started and that are there.
fn children(process: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let list = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        all.extend(list.split_whitespace().map(|process| process.parse::<u32>().unwrap()));
    }
    all
}

#[test]
fn a_few_packets_are_in_a_file_on_time_though_none_follow() {
    inside("a_few_packets_are_in_a_file_on_time_though_none_follow", || {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { every: Duration::from_secs(1), ..Folder::new(dir.path()) };
        let (supervisor, events) = Supervisor::start(on_there(), folder, Patience::default()).unwrap();
        Sender::new().send(3);
        let sent = Instant::now();
        let mut numbers = Vec::new();
        while numbers.len() < 3 {
            // Two files, if a second ends between them.
            if let Event::Finished(written) = next(&events) {
                numbers.extend(read(&written.path).0);
            }
        }
        // A second for tcpdump, one for the file, two for what may come late, and the rest for a slow machine.
        assert!(sent.elapsed() < Duration::from_secs(15), "{:?}", sent.elapsed());
        assert_eq!(numbers, [1, 2, 3]);
        supervisor.stop();
    });
}

#[test]
fn a_watcher_that_is_killed_leaves_what_came_a_moment_before_and_no_tcpdump_behind_the_next_packet() {
    let name = "a_watcher_that_is_killed_leaves_what_came_a_moment_before_and_no_tcpdump_behind_the_next_packet";
    inside(name, || {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut watch = command(["watch"]);
        watch.arg(path("in")).arg("-o").arg(path("out")).args(["--product", "groups@csv"]);
        watch.args(["--capture", "there", "--bpf", "udp port 9", "--rotate", "60s", "--user", "root"]);
        let mut child = watch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut sender = Sender::new();
        let numbers = || -> Vec<u32> {
            let Ok(files) = std::fs::read_dir(path("in")) else { return Vec::new() };
            let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            files.sort();
            files.iter().flat_map(|file| read(file).0).collect()
        };
        let started = Instant::now();
        while numbers().is_empty() {
            assert!(started.elapsed() < super::LONG, "no packet has come");
            sender.send(1);
            std::thread::sleep(Duration::from_millis(2500));
        }
        let (first, before) = (numbers()[0], sender.1);
        sender.send(5);
        std::thread::sleep(Duration::from_millis(2500));
        let captured = children(child.id());
        assert_eq!(captured.len(), 1, "{captured:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(numbers(), (first..=before + 5).collect::<Vec<_>>());
        sender.send(1);
        until("it is gone", || !is_alive(captured[0]));
    });
}

#[test]
fn a_pipeline_accounts_for_every_packet_that_tcpdump_reports() {
    inside("a_pipeline_accounts_for_every_packet_that_tcpdump_reports", || {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let watch = |more: &[&str]| {
            let mut watch = command(["watch"]);
            watch.arg(path("in")).arg("-o").arg(path("out")).args(more);
            for product in ["groups@csv", "flows@csv", "flows:cic", "buckets:100ms@csv"] {
                watch.args(["--product", product]);
            }
            watch
        };
        let tap = ["--capture", "there", "--bpf", "udp port 9", "--rotate", "1s", "--user", "root"];
        let mut child = watch(&tap).stderr(Stdio::piped()).spawn().unwrap();
        until("files are written", || {
            path("in").is_dir() && std::fs::read_dir(path("in")).unwrap().next().is_some() || {
                Sender::new().send(1);
                false
            }
        });
        let mut sender = Sender::new();
        sender.send_for(Duration::from_millis(2500));
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        let once = Ran::of(watch(&["--once"]).output().unwrap());
        assert_eq!(once.code, Some(0), "{}", once.said);
        let of_tcpdump = said.lines().find_map(|line| {
            let (before, _) = line.split_once(" captured, ")?;
            before.rsplit(' ').next()?.replace(',', "").parse::<u64>().ok()
        });
        let captured = of_tcpdump.expect("tcpdump's counts are told");
        let files = std::fs::read_dir(path("in")).unwrap();
        let in_files: usize = files.map(|entry| read(&entry.unwrap().path()).0.len()).sum();
        assert!(captured >= 2500 && in_files as u64 == captured, "{in_files} in files\n{said}");
        let sum = |product: &str, columns: &[&str]| -> u64 {
            let files = walkdir::WalkDir::new(path("out").join(product)).into_iter().map(Result::unwrap);
            let mut sum = 0;
            for file in files.filter(|file| file.file_type().is_file()) {
                let mut rows = csv::Reader::from_path(file.path()).unwrap();
                let header = rows.headers().unwrap().clone();
                let places: Vec<usize> =
                    columns.iter().map(|name| header.iter().position(|column| column == *name).unwrap()).collect();
                for row in rows.records() {
                    let row = row.unwrap();
                    sum += places.iter().map(|&place| row[place].parse::<u64>().unwrap()).sum::<u64>();
                }
            }
            sum
        };
        let counted = [
            sum("groups", &["pkts_up", "pkts_dn"]),
            sum("flows", &["pkts_up", "pkts_dn"]),
            sum("flows-cic", &["Total Fwd Packet", "Total Bwd packets"]),
            sum("buckets-100ms", &["pkts_in", "pkts_out", "pkts_local", "pkts_unknown"]),
        ];
        assert_eq!(counted, [captured; 4], "{said}");
    });
}
