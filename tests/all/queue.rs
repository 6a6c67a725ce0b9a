//! The queue between the engine and a slow taker: with `block` nothing is lost, with `drop_oldest` the oldest groups are, and are counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pcap_compactor::config::Backpressure;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::channel::{Event, Events, channel};
use pcap_compactor::views::groups::GroupRecord;
use pcap_compactor::{Config, Engine, Input, Job};

use crate::model::{Range, SECOND};
use crate::run::{PLAIN, Said, file, say};
use crate::traffic::{Body, Frame, START, pcap, v4};

/// Three hours, each with a hundred groups and a scan.
fn capture(folder: &std::path::Path) -> PathBuf {
    let syn = |time: i64, src, dst, dst_port| {
        Frame::new(time, src, dst, Body::Tcp { src_port: 40_000, dst_port, flags: 0x02, payload: Vec::new() })
    };
    let hour = |hour: i64| {
        let start = START + hour * 3600 * SECOND;
        let groups = (0..100).map(move |n| syn(start + n, v4(10, 0, 0, n as u8), v4(10, 0, 1, 1), 80));
        groups.chain((0..200).map(move |n| syn(start + n, v4(10, 9, 9, 9), v4(10, 0, 2, n as u8), 23)))
    };
    file(folder, "queue.pcap", &pcap(&(0..3).flat_map(hour).collect::<Vec<_>>()))
}

/// Runs the job into a queue on a thread of its own.
fn start(path: PathBuf, capacity: usize, policy: Backpressure) -> (thread::JoinHandle<bool>, Events) {
    let (mut sink, events) = channel(capacity, policy);
    let job = Job::new(Config::default()).sensor(Some("here".into()));
    (thread::spawn(move || job.run(vec![Input::file(path)], &mut sink).is_ok()), events)
}

fn groups(events: &[Event]) -> Vec<GroupRecord> {
    let group = |event: &Event| if let Event::Group(group) = event { Some((**group).clone()) } else { None };
    events.iter().filter_map(group).collect()
}

/// What is never dropped: where it stands in the order of events is told by its letter.
fn others(events: &[Event]) -> String {
    let letter = |event: &Event| match event {
        Event::Sensor(_) => Some('s'),
        Event::File(_) => Some('f'),
        Event::Scan(_) => Some('x'),
        Event::Window(_) => Some('w'),
        Event::Metrics(_) => Some('m'),
        Event::Group(_) => None,
    };
    events.iter().filter_map(letter).collect()
}

const OTHERS: &str = "sfxwxwxwm";

fn expected(path: &std::path::Path) -> Said {
    say(&[path.to_owned()], &Config::default(), Range::default(), PLAIN).0
}

#[test]
fn with_block_the_engine_waits_for_a_slow_taker_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    let said = expected(&path);
    for capacity in [0, 1, 7, 100_000] {
        let (run, mut events) = start(path.clone(), capacity, Backpressure::Block);
        if capacity < 100 {
            thread::sleep(Duration::from_millis(100));
            assert!(!run.is_finished(), "it waits for room");
        }
        let taken: Vec<Event> = events.by_ref().collect();
        assert!(run.join().unwrap());
        assert_eq!(events.dropped(), 0);
        assert_eq!(groups(&taken), said.groups().cloned().collect::<Vec<_>>());
        assert_eq!(others(&taken), OTHERS);
    }
}

#[test]
fn with_drop_oldest_the_newest_groups_stay_and_no_scan_or_metrics_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    let all: Vec<GroupRecord> = expected(&path).groups().cloned().collect();
    for capacity in [1, 7, 150, 100_000] {
        let (run, mut events) = start(path.clone(), capacity, Backpressure::DropOldest);
        // Nobody takes anything before the run is over: it must not wait.
        assert!(run.join().unwrap());
        let kept = capacity.min(all.len());
        assert_eq!(events.dropped(), (all.len() - kept) as u64);
        let taken: Vec<Event> = events.by_ref().collect();
        assert_eq!(groups(&taken), all[all.len() - kept..]);
        assert_eq!(others(&taken), OTHERS);
        let Some(Event::Metrics(metrics)) = taken.last() else { panic!("the metrics are last") };
        assert_eq!(metrics.borrow().counts.groups_emitted, all.len() as u64, "they tell of what was made");
        // Scans stand behind the groups of their window still.
        if capacity == 150 {
            let first_scan = taken.iter().position(|event| matches!(event, Event::Scan(_))).unwrap();
            let second_window = taken.iter().skip(first_scan).filter(|event| matches!(event, Event::Group(_))).count();
            assert_eq!(second_window, kept);
        }
    }
}

#[test]
fn a_run_ends_when_its_taker_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    for policy in [Backpressure::Block, Backpressure::DropOldest] {
        let (run, mut events) = start(path.clone(), 1, policy);
        if policy == Backpressure::Block {
            assert!(events.any(|event| matches!(event, Event::Group(_))));
            drop(events);
            assert!(!run.join().unwrap(), "it fails");
        } else {
            drop(events);
            run.join().unwrap();
        }
    }
}

#[test]
fn events_may_be_taken_some_at_a_time_without_waiting_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    let (mut sink, mut events) = channel(7, Backpressure::Block);
    let nothing = events.within(Duration::from_millis(1), 3).expect("more may come");
    assert!(nothing.is_empty(), "nobody has sent anything yet");
    let job = Job::new(Config::default()).sensor(Some("here".into()));
    let run = thread::spawn(move || job.run(vec![Input::file(path)], &mut sink).is_ok());
    let mut taken = Vec::new();
    while let Some(some) = events.within(Duration::from_secs(1), 3) {
        assert!(some.len() <= 3);
        taken.extend(some);
    }
    assert!(run.join().unwrap());
    assert_eq!(others(&taken), OTHERS);
    assert_eq!(groups(&taken), expected(&folder.path().join("queue.pcap")).groups().cloned().collect::<Vec<_>>());
}

#[test]
fn a_run_that_fails_leaves_the_ledger_of_what_it_had_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    for threads in [1, 3] {
        let progress = Arc::new(Progress::default());
        let engine = Engine::builder().threads(threads).progress(Arc::clone(&progress));
        let (mut sink, events) = channel(1, Backpressure::Block);
        drop(events);
        let inputs = vec![Input::file(&path), Input::file("nowhere.pcap")];
        assert!(Job::new(Config::default()).engine(engine).run(inputs, &mut sink).is_err());
        let intake = progress.tally().intake;
        intake.check("a run that failed").unwrap();
        assert_eq!(intake.read.packets, progress.packets(), "what was read is accounted for");
        assert!(intake.read.packets > 0);
    }
}
