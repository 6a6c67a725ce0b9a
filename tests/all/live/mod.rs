//! Captures from an interface: with tcpdump on a network of its own, and with programs that misbehave in its place.

mod fake;
mod network;

use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use pcap_compactor::capture::{Capture, Io, Records, Status};
use pcap_compactor::live::{Ended, Event};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// What is read of a capture: packets by the last four bytes of their frames, and whether it is whole.
fn read(path: &Path) -> (Vec<u32>, Status) {
    let mut capture = Capture::open(path, Io::Read).unwrap();
    let mut records = Records::default();
    let mut numbers = Vec::new();
    while capture.fill(&mut records, 1000).unwrap() {
        let number = |frame: &[u8]| frame.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        numbers.extend(records.list().iter().map(|record| number(records.frame(record))));
    }
    (numbers, capture.report().status)
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The next event.
fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(LONG).expect("something happens in time")
}

/// Whether a process of this number is there.
fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that nobody waits for is dead as well.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// How it ended, in words.
fn told(ended: &Ended) -> String {
    ended.last_words.join("\n")
}
