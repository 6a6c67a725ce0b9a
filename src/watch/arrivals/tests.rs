//! The rules, by a clock of our own; and a folder of which nothing is told.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, unbounded};

use super::files::{Because, Files, Stamp};
use super::trouble::Trouble;
use super::*;
use crate::capture::{PcapLayout, PcapWriter};
use crate::watch::Settings;

const STABLE: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(60);

/// A capture of one packet.
fn capture(second: i64) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    writer.record(Timestamp::from_seconds(second), 60, &[0; 60]).unwrap();
    writer.finish().unwrap()
}

/// A folder, its files, and a clock.
struct Told {
    dir: tempfile::TempDir,
    files: Files,
    trouble: Trouble,
    start: Instant,
}

impl Told {
    fn new() -> Told {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned(), STABLE, Room::default());
        Told { dir, files, trouble: Trouble::default(), start: Instant::now() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Stamp {
        fs::write(self.path(name), bytes).unwrap();
        self.stamp(name)
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        File::options().append(true).open(self.path(name)).unwrap().write_all(bytes).unwrap();
    }

    fn stamp(&self, name: &str) -> Stamp {
        Stamp::of(&fs::symlink_metadata(self.path(name)).unwrap())
    }

    /// Somebody makes it, writes, and goes on.
    fn grow(&mut self, name: &str, bytes: &[u8], ms: u64) {
        let new = !self.path(name).exists();
        File::options().create(true).append(true).open(self.path(name)).unwrap();
        let stamp = self.stamp(name);
        let (path, now) = (self.path(name), self.at(ms));
        if new {
            self.files.appeared(&path, stamp, now);
            self.files.opened(&path);
        }
        self.append(name, bytes);
        self.files.grew(&path, now);
    }

    fn close(&mut self, name: &str, ms: u64) {
        let (path, now) = (self.path(name), self.at(ms));
        self.files.judge(&path, Because::Closed, &mut self.trouble, now);
    }

    fn find(&mut self, name: &str, at_start: bool, ms: u64) {
        let (path, stamp, now) = (self.path(name), self.stamp(name), self.at(ms));
        self.files.found(&path, stamp, at_start, &mut self.trouble, now);
    }

    /// What is told at a time.
    fn news(&mut self, ms: u64) -> Vec<String> {
        let now = self.at(ms);
        self.files.look(&mut self.trouble, now);
        words(self.dir.path(), self.files.news(now))
    }
}

fn words(root: &Path, news: Vec<Seen>) -> Vec<String> {
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let word = |seen: Seen| match seen {
        Seen::Complete(arrivals) => arrivals
            .iter()
            .map(|arrival| {
                assert_eq!(arrival.identity, Identity::of(&arrival.path).unwrap());
                assert_eq!(arrival.sensor, sensor_of(root, &arrival.path));
                format!("complete {}", name(&arrival.path))
            })
            .collect::<Vec<_>>()
            .join(", "),
        Seen::Growing { path, first, .. } => format!("growing {} {}", name(&path), first.seconds()),
        Seen::Gone { path, untold, .. } => {
            format!("gone {}{}", name(&path), if untold.is_some() { ", untold" } else { "" })
        }
        Seen::Unreadable { error, .. } | Seen::Trouble(error) => format!("trouble {error}"),
    };
    news.into_iter().map(word).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_file_that_loses_one_of_its_names_is_told_by_the_other() {
    let mut told = Told::new();
    for name in ["a", "alone"] {
        told.write(name, &capture(1));
        told.close(name, 0);
    }
    assert_eq!(told.news(0), ["complete a, complete alone"]);
    fs::hard_link(told.path("a"), told.path("b")).unwrap();
    told.close("b", 10);
    assert_eq!(told.news(10), ["complete b"]);
    for name in ["b", "alone"] {
        fs::remove_file(told.path(name)).unwrap();
        told.files.left(&told.path(name));
    }
    assert_eq!(told.news(20), ["gone b", "gone alone", "complete a"]);
    assert_eq!(told.news(30), NOTHING);
}

#[test]
fn what_no_line_has_room_for_is_told_later_and_the_oldest_first() {
    let mut told = Told::new();
    let room = Room { most: 4, ..Room::default() };
    told.files = Files::new(told.dir.path().to_owned(), STABLE, room.clone());
    fs::create_dir(told.path("b")).unwrap();
    let now = SystemTime::now();
    // The name says nothing of the order.
    for name in ["9", "7", "5", "3", "1", "8", "b/x"] {
        told.write(name, &capture(1));
        let age = name.parse().map_or(0, |age: u64| age * 60);
        File::options()
            .append(true)
            .open(told.path(name))
            .unwrap()
            .set_modified(now - Duration::from_secs(age))
            .unwrap();
        told.close(name, 0);
    }
    assert_eq!(told.news(0), ["complete 5, complete 7, complete 8, complete 9, complete b/x"]);
    assert!(told.files.is_behind());
    assert_eq!((room.queue.waiting(LOCAL), room.queue.waiting("b"), room.queue.unheard()), (6, 1, 7));
    room.queue.take(LOCAL, 4, 3);
    assert_eq!(told.news(1), NOTHING);
    // One that was not told yet is told to be gone, with what it was: it is known to nobody else.
    told.files.left(&told.path("3"));
    room.queue.take(LOCAL, 0, 2);
    assert_eq!(told.news(2), ["gone 3, untold", "complete 1"]);
    assert_eq!((told.files.is_behind(), room.queue.waiting(LOCAL)), (false, 3));
}

#[test]
fn a_file_that_is_written_to_is_complete_when_it_is_closed_and_tells_its_first_packet_once() {
    let mut told = Told::new();
    let bytes = capture(5);
    told.grow("a.pcap", &bytes[..24], 0);
    assert_eq!(told.news(0), NOTHING);
    told.grow("a.pcap", &bytes[24..50], 10);
    assert_eq!(told.news(10), NOTHING, "the packet is cut");
    told.grow("a.pcap", &bytes[50..], 20);
    assert_eq!(told.news(20), ["growing a.pcap 5"]);
    told.grow("a.pcap", &bytes[24..], 30);
    // It stays open for long, and whoever has it open will close it.
    assert_eq!(told.news(600_000), NOTHING);
    told.close("a.pcap", 600_001);
    assert_eq!(told.news(600_001), ["complete a.pcap"]);
    told.close("a.pcap", 600_002);
    assert_eq!(told.news(700_000), NOTHING, "closed again, and the same");
}

#[test]
fn an_empty_file_in_the_hands_of_its_writer_is_not_complete() {
    let mut told = Told::new();
    told.grow("a.pcap", b"", 0);
    assert_eq!(told.news(100_000), NOTHING);
    told.close("a.pcap", 100_000);
    assert_eq!(told.news(101_999), NOTHING, "it may be opened again");
    assert_eq!(told.news(102_000), ["complete a.pcap"]);
    // Nobody is known to have opened this one; it may be a link.
    let stamp = told.write("b.pcap", b"");
    let (path, now) = (told.path("b.pcap"), told.at(200_000));
    told.files.appeared(&path, stamp, now);
    assert_eq!(told.news(202_000), ["complete b.pcap"]);
}

#[test]
fn a_successor_completes_the_one_before_when_that_has_not_grown_for_a_moment() {
    let mut told = Told::new();
    fs::create_dir(told.path("s")).unwrap();
    fs::create_dir(told.path("t")).unwrap();
    told.grow("s/a.pcap", &capture(1), 0);
    told.grow("t/a.pcap", &capture(1), 0);
    assert_eq!(told.news(1000), ["growing s/a.pcap 1", "growing t/a.pcap 1"]);
    // Text is no successor.
    told.grow("s/notes.txt", b"hello", 1000);
    assert_eq!(told.news(3000), NOTHING);
    told.grow("s/b.pcap", &capture(2), 3000);
    assert_eq!(told.news(3000), ["growing s/b.pcap 2"]);
    told.grow("s/a.pcap", &capture(1)[24..], 3100);
    assert_eq!(told.news(3200), NOTHING, "it grew");
    assert_eq!(told.news(3399), NOTHING);
    assert_eq!(told.news(3400), ["complete s/a.pcap"]);
    assert_eq!(told.news(60_000), NOTHING, "another folder, and the newest");
}

#[test]
fn a_file_that_is_written_on_follows_neither_others_nor_itself() {
    let mut told = Told::new();
    told.grow("a.pcap", &capture(1), 0);
    told.close("a.pcap", 0);
    told.grow("b.pcap", &capture(2), 10);
    assert_eq!(told.news(10), ["complete a.pcap", "growing b.pcap 2"]);
    told.grow("a.pcap", b"more", 20);
    assert_eq!(told.news(20), ["gone a.pcap", "growing a.pcap 1"]);
    assert_eq!(told.news(60_000), NOTHING);
    told.close("b.pcap", 60_000);
    assert_eq!(told.news(60_000), ["complete b.pcap"]);
    told.grow("b.pcap", b"more", 60_010);
    assert_eq!(told.news(60_010), ["gone b.pcap", "growing b.pcap 2"]);
    assert_eq!(told.news(120_000), NOTHING);
}

#[test]
fn files_that_grow_side_by_side_do_not_follow_one_another() {
    let mut told = Told::new();
    told.grow("a.pcap", &capture(1), 0);
    assert_eq!(told.news(0), ["growing a.pcap 1"]);
    told.grow("b.pcap", &capture(2), 10);
    assert_eq!(told.news(10), ["growing b.pcap 2"]);
    assert_eq!(told.news(210), ["complete a.pcap"]);
    told.grow("a.pcap", &capture(1)[24..], 300);
    assert_eq!(told.news(300), ["gone a.pcap", "growing a.pcap 1"]);
    told.grow("c.pcap", &capture(3), 400);
    assert_eq!(told.news(60_000), ["growing c.pcap 3"]);
    for name in ["b.pcap", "a.pcap"] {
        told.close(name, 60_000);
    }
    assert_eq!(told.news(60_000), ["complete a.pcap, complete b.pcap"]);
}

#[test]
fn what_was_found_has_to_stay_as_it_is() {
    let mut told = Told::new();
    told.write("a.pcap", &capture(1));
    told.find("a.pcap", false, 0);
    assert_eq!(told.news(1000), ["growing a.pcap 1"]);
    told.append("a.pcap", b"more");
    assert_eq!(told.news(2000), NOTHING);
    assert_eq!(told.news(3999), NOTHING);
    assert_eq!(told.news(4000), ["complete a.pcap"]);
    // Found again, as it was; then with another time only; then as another.
    told.find("a.pcap", false, 5000);
    File::options().append(true).open(told.path("a.pcap")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    told.find("a.pcap", false, 5001);
    assert_eq!(told.news(9000), NOTHING);
    told.write("a.pcap", &capture(2));
    told.find("a.pcap", false, 9000);
    assert_eq!(told.news(9000), ["gone a.pcap", "growing a.pcap 2"]);
    assert_eq!(told.news(11_000), ["complete a.pcap"]);
}

#[test]
fn at_the_start_what_is_old_is_complete_at_once_and_a_time_to_come_is_not_old() {
    let mut told = Told::new();
    fs::create_dir(told.path("t")).unwrap();
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let times = [("c.pcap", now - hour), ("a.pcap", now - 3 * STABLE), ("t/b.pcap", now + hour), ("d.pcap", now)];
    for (name, time) in times {
        told.write(name, &capture(1));
        File::options().append(true).open(told.path(name)).unwrap().set_modified(time).unwrap();
        told.find(name, true, 0);
    }
    assert_eq!(told.news(0), ["complete a.pcap, complete c.pcap", "growing d.pcap 1", "growing t/b.pcap 1"]);
    assert_eq!(told.news(1999), NOTHING);
    assert_eq!(told.news(2000), ["complete d.pcap, complete t/b.pcap"]);
    // Later, an old time says nothing: it is the clock of whoever wrote it.
    told.write("e.pcap", &capture(1));
    File::options().append(true).open(told.path("e.pcap")).unwrap().set_modified(now - hour).unwrap();
    told.find("e.pcap", false, 3000);
    assert_eq!(told.news(4999), ["growing e.pcap 1"]);
    assert_eq!(told.news(5000), ["complete e.pcap"]);
}

#[test]
fn what_is_no_capture_is_passed_over_unless_its_name_promises_one() {
    let mut told = Told::new();
    for name in ["log", "a.pcap", "b.cap.gz", "short", "x.json"] {
        told.grow(name, if name == "short" { b"ab" } else { b"text, not packets" }, 0);
        told.close(name, 0);
    }
    told.grow("odd-name", &capture(1), 0);
    told.close("odd-name", 0);
    told.grow("zipped", &[0x1f, 0x8b, 8, 0, 0], 0);
    told.close("zipped", 0);
    assert_eq!(told.news(0), ["complete a.pcap, complete b.cap.gz, complete odd-name, complete zipped"]);
    // It becomes one.
    fs::remove_file(told.path("log")).unwrap();
    told.write("log", &capture(1));
    told.close("log", 1);
    assert_eq!(told.news(1), ["complete log"]);
    // And is none again.
    told.write("log", b"text once more");
    told.close("log", 2);
    assert_eq!(told.news(2), ["gone log"]);
    assert_eq!(told.news(100_000), NOTHING);
}

#[test]
fn a_file_that_is_renamed_while_it_grows_goes_on_growing() {
    let mut told = Told::new();
    told.grow("a.pcap", &capture(1), 0);
    assert_eq!(told.news(0), ["growing a.pcap 1"]);
    fs::rename(told.path("a.pcap"), told.path("b.pcap")).unwrap();
    let (from, to, now) = (told.path("a.pcap"), told.path("b.pcap"), told.at(10));
    told.files.went(&from, now);
    let stamp = told.stamp("b.pcap");
    told.files.came(&to, stamp, &mut told.trouble, now);
    assert_eq!(told.news(10), ["gone a.pcap", "growing b.pcap 1"]);
    assert_eq!(told.news(60_000), NOTHING);
    told.close("b.pcap", 60_000);
    assert_eq!(told.news(60_000), ["complete b.pcap"]);
}

#[test]
fn behind_a_lost_event_nobody_is_waited_for() {
    let mut told = Told::new();
    told.grow("a.pcap", &capture(1), 0);
    assert_eq!(told.news(10_000), ["growing a.pcap 1"]);
    let now = told.at(10_000);
    told.files.let_go(now);
    assert_eq!(told.news(11_999), NOTHING);
    assert_eq!(told.news(12_000), ["complete a.pcap"]);
    // A close without an end costs an hour, and no more.
    told.grow("b.pcap", &capture(1), 20_000);
    assert_eq!(told.news(20_000 + 3_599_000), ["growing b.pcap 1"]);
    let mut until = 20_000 + 3_600_000;
    assert_eq!(told.news(until), NOTHING, "it is seen to have grown since");
    until += 3_600_000;
    assert_eq!(told.news(until), ["complete b.pcap"]);
}

#[test]
fn what_was_complete_and_changed_before_it_was_told_is_told_as_it_is() {
    let mut told = Told::new();
    told.grow("a.pcap", &capture(1), 0);
    told.close("a.pcap", 0);
    told.grow("a.pcap", b"x", 0);
    assert_eq!(told.news(0), ["gone a.pcap, untold", "growing a.pcap 1"]);
    told.close("a.pcap", 1);
    fs::remove_file(told.path("a.pcap")).unwrap();
    let path = told.path("a.pcap");
    told.files.left(&path);
    assert_eq!(told.news(1), ["gone a.pcap, untold"]);
}

#[test]
fn sensors_are_first_folders() {
    let of = |path: &str| sensor_of(Path::new("/in"), Path::new(path));
    assert_eq!(of("/in/a.pcap"), LOCAL);
    assert_eq!(of("/in/north/a.pcap"), "north");
    assert_eq!(of("/in/north/2024/01/a.pcap"), "north");
    assert_eq!(of("/in/new\nline/a.pcap"), "new\nline");
    assert_eq!(of("/elsewhere/x/a.pcap"), LOCAL);
    use std::os::unix::ffi::OsStrExt;
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"/in/\xff/a"));
    assert_eq!(sensor_of(Path::new("/in"), odd), "\\xff");
    assert_eq!([of("/in/\\xff/a"), of("/in/a\\b\\x/a"), of("/in/a\\b/a")], ["\\\\xff", "a\\\\b\\\\x", "a\\b"]);
}

/// What comes of a folder of which nothing is told.
fn polled(root: &Path) -> (Arrivals, Receiver<Seen>) {
    let (tell, seen) = unbounded();
    let settings = Settings {
        stable: Duration::from_millis(300),
        ..Settings::new(root.to_owned(), PathBuf::from("/nowhere"), Vec::new())
    };
    let nothing = Err(io::Error::other("events are off"));
    (Arrivals::hearing(nothing, &settings, tell, Room::default()).unwrap(), seen)
}

fn next(root: &Path, seen: &Receiver<Seen>) -> String {
    words(root, vec![seen.recv_timeout(LONG).expect("something is seen in time")]).remove(0)
}

#[test]
fn without_events_the_folder_is_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("s")).unwrap();
    let (arrivals, seen) = polled(root);
    let trouble = next(root, &seen);
    assert!(
        trouble.ends_with("cannot watch: events are off; in place of that, it is looked at every 300ms"),
        "{trouble}"
    );
    fs::write(root.join("s/a.pcap"), capture(7)).unwrap();
    assert_eq!(next(root, &seen), "growing s/a.pcap 7");
    assert_eq!(next(root, &seen), "complete s/a.pcap");
    fs::create_dir_all(root.join("s/later/still")).unwrap();
    fs::write(root.join("s/later/still/b.pcap"), capture(8)).unwrap();
    assert_eq!(next(root, &seen), "growing s/later/still/b.pcap 8");
    assert_eq!(next(root, &seen), "complete s/later/still/b.pcap");
    // Who writes it need not wait for that.
    fs::write(root.join("c.pcap"), capture(9)).unwrap();
    arrivals.finished(root.join("c.pcap"));
    let told = next(root, &seen);
    assert!(told == "complete c.pcap" || next(root, &seen) == "complete c.pcap", "{told}");
    // At once: a look between the two would find them in the order in which they go.
    let beside = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
    fs::rename(root.join("s"), beside.path().join("s")).unwrap();
    assert_eq!(next(root, &seen), "gone s/a.pcap");
    assert_eq!(next(root, &seen), "gone s/later/still/b.pcap");
    fs::write(root.join("c.pcap"), capture(10)).unwrap();
    assert_eq!(next(root, &seen), "gone c.pcap");
    assert_eq!(next(root, &seen), "growing c.pcap 10");
    assert_eq!(next(root, &seen), "complete c.pcap");
    symlink("c.pcap", root.join("link.pcap")).unwrap();
    assert!(next(root, &seen).contains("link.pcap: cannot take: it is a link"));
    drop(arrivals);
    assert!(seen.recv().is_err(), "nothing more is seen");
}

#[test]
fn when_events_end_the_folder_is_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let (tell, seen) = unbounded();
    let settings = Settings {
        stable: Duration::from_millis(300),
        ..Settings::new(root.to_owned(), PathBuf::from("/nowhere"), Vec::new())
    };
    let (events, _) = Events::start(root).unwrap();
    // As if its thread had panicked.
    let (end, ends) = unbounded::<Heard>();
    let arrivals = Arrivals::hearing(Ok((events, ends)), &settings, tell, Room::default()).unwrap();
    drop(end);
    let trouble = next(root, &seen);
    let said =
        "cannot watch: the system's events cannot be read any more; in place of that, it is looked at every 300ms";
    assert!(trouble.ends_with(said), "{trouble}");
    for (name, second) in [("a.pcap", 7), ("s/b.pcap", 8)] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), capture(second)).unwrap();
        assert_eq!(next(root, &seen), format!("growing {name} {second}"));
        assert_eq!(next(root, &seen), format!("complete {name}"));
    }
    drop(arrivals);
}

#[test]
fn what_comes_at_the_start_is_told_with_what_stood_there() {
    let mut told = Told::new();
    for (name, age) in [("old.pcap", 3 * STABLE), ("young.pcap", Duration::ZERO)] {
        told.write(name, &capture(1));
        let file = File::options().append(true).open(told.path(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        told.find(name, true, 0);
    }
    assert_eq!(told.news(0), ["complete old.pcap", "growing young.pcap 1"]);
    let now = told.at(0);
    told.files.stand(now);
    told.write("new.pcap", &capture(2));
    told.close("new.pcap", 100);
    assert_eq!(told.news(100), NOTHING);
    assert_eq!(told.news(1999), NOTHING);
    assert!(told.files.is_behind());
    assert_eq!(told.news(2000), ["complete new.pcap, complete young.pcap"]);
    let now = told.at(2000);
    told.files.settle(now);
    assert!(!told.files.is_settling());
}

#[test]
fn what_stood_there_waits_for_no_other() {
    let mut told = Told::new();
    for name in ["a.pcap", "b.pcap"] {
        told.write(name, &capture(1));
        told.find(name, true, 0);
    }
    assert_eq!(told.news(0), ["growing a.pcap 1", "growing b.pcap 1"]);
    let now = told.at(0);
    told.files.stand(now);
    told.write("new.pcap", &capture(2));
    told.close("new.pcap", 10);
    assert_eq!(told.news(199), NOTHING);
    // By its successor.
    assert_eq!(told.news(200), ["complete a.pcap"]);
    assert_eq!(told.news(2000), ["complete b.pcap, complete new.pcap"]);
}

#[test]
fn what_comes_at_the_start_waits_for_no_file_that_grows_on() {
    let mut told = Told::new();
    for name in ["grows", "held"] {
        told.write(name, &capture(1));
        told.find(name, true, 0);
    }
    let now = told.at(0);
    told.files.stand(now);
    told.news(0);
    told.append("held", b"x");
    told.grow("held", b"y", 50);
    told.write("new", &capture(2));
    told.close("new", 60);
    assert_eq!(told.news(60), NOTHING);
    // Of one whose writer is not seen the system tells nothing.
    for ms in [1000, 2100] {
        told.append("grows", b"x");
        told.find("grows", false, ms);
        assert_eq!(told.news(ms), NOTHING);
    }
    assert_eq!(told.news(2200), ["complete new"]);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let (tell, _) = unbounded();
    let settings = Settings::new(PathBuf::from("/no/such"), PathBuf::from("/nowhere"), Vec::new());
    let error = Arrivals::start(&settings, tell).unwrap_err();
    assert!(error.to_string().starts_with("/no/such: cannot list: "), "{error}");
}

#[test]
fn it_is_at_work_until_what_was_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.pcap"), capture(1)).unwrap();
    let settings = Settings {
        stable: Duration::ZERO,
        ..Settings::new(dir.path().to_owned(), dir.path().join("none"), Vec::new())
    };
    // Whoever tells has to wait until it is taken.
    let (seen, sees) = bounded(0);
    let arrivals = Arrivals::start(&settings, seen).unwrap();
    let told = loop {
        assert!(arrivals.is_at_work(), "and nothing was told");
        match sees.recv_timeout(Duration::from_millis(50)) {
            Ok(Seen::Complete(told)) => break told,
            Ok(_) => {}
            Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
        }
    };
    assert_eq!(told.len(), 1);
    let end = Instant::now() + LONG;
    while arrivals.is_at_work() {
        assert!(Instant::now() < end, "it has nothing to do");
        std::thread::sleep(Duration::from_millis(2));
    }
}
