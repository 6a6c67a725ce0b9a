//! Files that come into a folder, as the system tells of them: complete ones are seen at once, and others not before they are.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, unbounded};
use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::watch::arrivals::{Arrivals, Seen, sensor_of};
use pcap_compactor::watch::{Identity, Settings};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// What comes in a test's time did not wait for this.
const STABLE: Duration = Duration::from_secs(3600);

/// How long is waited for what should not come.
const QUIET: Duration = Duration::from_millis(400);

/// A capture of one packet.
fn capture(second: i64) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    writer.record(Timestamp::from_seconds(second), 60, &[0; 60]).unwrap();
    writer.finish().unwrap()
}

/// A watched folder.
struct Watched {
    arrivals: Arrivals,
    seen: Receiver<Seen>,
    waiting: Vec<String>,
    dir: tempfile::TempDir,
}

impl Watched {
    fn new(stable: Duration, before: impl FnOnce(&Path)) -> Watched {
        let dir = tempfile::tempdir().unwrap();
        before(dir.path());
        let (tell, seen) = unbounded();
        let settings = Settings {
            stable,
            look: 2 * LONG,
            ..Settings::new(dir.path().to_owned(), PathBuf::from("/nowhere"), Vec::new())
        };
        let arrivals = Arrivals::start(&settings, tell).unwrap();
        Watched { arrivals, seen, waiting: Vec::new(), dir }
    }

    /// Nothing but two files: the coming of the first says that the folder is watched, that of the second that nothing more comes of the first.
    fn empty() -> Watched {
        let watched = Watched::new(STABLE, |_| {});
        loop {
            fs::write(watched.path("first.pcap"), capture(0)).unwrap();
            if let Ok(Seen::Complete(_)) = watched.seen.recv_timeout(QUIET) {
                break;
            }
        }
        let last = watched.path("second.pcap");
        fs::write(&last, capture(0)).unwrap();
        loop {
            let seen = watched.seen.recv_timeout(LONG).expect("the second is seen in time");
            if matches!(seen, Seen::Complete(arrivals) if arrivals.iter().any(|arrival| arrival.path == last)) {
                break watched;
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn word(&self, seen: Seen) -> Vec<String> {
        let name = |path: &Path| path.strip_prefix(self.dir.path()).unwrap().display().to_string();
        match seen {
            Seen::Complete(arrivals) => {
                let arrival = |arrival: &pcap_compactor::watch::arrivals::Arrival| {
                    assert_eq!(arrival.sensor, sensor_of(self.dir.path(), &arrival.path));
                    format!("complete {}", name(&arrival.path))
                };
                arrivals.iter().map(arrival).collect()
            }
            Seen::Growing { path, first, .. } => vec![format!("growing {} {}", name(&path), first.seconds())],
            Seen::Gone { path, .. } => vec![format!("gone {}", name(&path))],
            Seen::Unreadable { error, .. } | Seen::Trouble(error) => vec![format!("trouble {error}")],
        }
    }

    /// The next word.
    fn next(&mut self) -> String {
        if self.waiting.is_empty() {
            let seen = self.seen.recv_timeout(LONG).expect("something is seen in time");
            self.waiting = self.word(seen);
        }
        self.waiting.remove(0)
    }

    /// The next word that is no first packet, which may come or not if the file is closed at once.
    fn settled(&mut self) -> String {
        loop {
            let word = self.next();
            if !word.starts_with("growing") {
                return word;
            }
        }
    }

    /// Nothing comes for a while.
    fn quiet(&mut self) {
        assert!(self.waiting.is_empty(), "{:?}", self.waiting);
        if let Ok(seen) = self.seen.recv_timeout(QUIET) {
            panic!("{:?}", self.word(seen));
        }
    }

    /// A file that stays open.
    fn open(&self, name: &str, bytes: &[u8]) -> File {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        file
    }
}

#[test]
fn what_stands_there_at_the_start_comes_together_and_in_order() {
    let mut watched = Watched::new(Duration::from_secs(5), |root| {
        for sensor in ["south", "north"] {
            fs::create_dir_all(root.join(sensor).join("2024")).unwrap();
        }
        for name in ["south/2024/b.pcap", "north/a.pcap", "z.pcap", "north/2024/c.pcap", "north/a.pcap.tmp", ".b.pcap"]
        {
            fs::write(root.join(name), capture(1)).unwrap();
            let file = OpenOptions::new().append(true).open(root.join(name)).unwrap();
            file.set_modified(SystemTime::now() - LONG).unwrap();
        }
    });
    let Seen::Complete(arrivals) = watched.seen.recv_timeout(LONG).unwrap() else { panic!("files are complete") };
    let sensors: Vec<&str> = arrivals.iter().map(|arrival| arrival.sensor.as_str()).collect();
    assert_eq!(sensors, ["north", "north", "south", "local"]);
    for arrival in &arrivals {
        assert_eq!(arrival.identity, Identity::of(&arrival.path).unwrap());
    }
    watched.waiting = watched.word(Seen::Complete(arrivals));
    let words: Vec<String> = std::mem::take(&mut watched.waiting);
    assert_eq!(
        words,
        ["complete north/2024/c.pcap", "complete north/a.pcap", "complete south/2024/b.pcap", "complete z.pcap"]
    );
    watched.quiet();
}

#[test]
fn a_file_that_grows_tells_its_first_packet_and_is_complete_when_it_is_closed() {
    let mut watched = Watched::empty();
    let mut file = watched.open("a.pcap", &capture(7)[..24]);
    watched.quiet();
    file.write_all(&capture(7)[24..]).unwrap();
    assert_eq!(watched.next(), "growing a.pcap 7");
    file.write_all(&capture(8)[24..]).unwrap();
    watched.quiet();
    drop(file);
    assert_eq!(watched.next(), "complete a.pcap");
    // Opened once more, it is another when it has grown.
    let mut file = watched.open("a.pcap", b"");
    watched.quiet();
    file.write_all(&capture(9)[24..]).unwrap();
    assert_eq!(watched.next(), "gone a.pcap");
    assert_eq!(watched.next(), "growing a.pcap 7");
    drop(file);
    assert_eq!(watched.next(), "complete a.pcap");
    // Read, or opened and closed as it is, it is the same.
    fs::read(watched.path("a.pcap")).unwrap();
    drop(watched.open("a.pcap", b""));
    watched.quiet();
}

#[test]
fn a_successor_completes_a_file_that_nobody_closes() {
    let mut watched = Watched::empty();
    let _held = watched.open("a.pcap", &capture(1));
    assert_eq!(watched.next(), "growing a.pcap 1");
    let _next = watched.open("b.pcap", &capture(2));
    assert_eq!(watched.next(), "growing b.pcap 2");
    assert_eq!(watched.next(), "complete a.pcap");
    watched.quiet();
}

#[test]
fn a_file_is_complete_when_it_gets_its_name() {
    let mut watched = Watched::empty();
    let beside = tempfile::tempdir_in(watched.dir.path().parent().unwrap()).unwrap();
    // From elsewhere, from a name of what is not finished, from the name of a complete one, and in place of one.
    fs::write(beside.path().join("x"), capture(1)).unwrap();
    fs::rename(beside.path().join("x"), watched.path("a.pcap")).unwrap();
    assert_eq!(watched.next(), "complete a.pcap");
    fs::write(watched.path("b.pcap.part"), capture(2)).unwrap();
    watched.quiet();
    fs::rename(watched.path("b.pcap.part"), watched.path("b.pcap")).unwrap();
    assert_eq!(watched.next(), "complete b.pcap");
    fs::rename(watched.path("b.pcap"), watched.path("c.pcap")).unwrap();
    assert_eq!((watched.next(), watched.next()), ("gone b.pcap".into(), "complete c.pcap".into()));
    fs::write(watched.path(".d"), capture(3)).unwrap();
    fs::rename(watched.path(".d"), watched.path("a.pcap")).unwrap();
    assert_eq!((watched.next(), watched.next()), ("gone a.pcap".into(), "complete a.pcap".into()));
    fs::remove_file(watched.path("a.pcap")).unwrap();
    assert_eq!(watched.next(), "gone a.pcap");
    // While it is written to, a new name changes nothing.
    let mut file = watched.open("e.pcap", &capture(4));
    assert_eq!(watched.next(), "growing e.pcap 4");
    fs::rename(watched.path("e.pcap"), watched.path("f.pcap")).unwrap();
    assert_eq!((watched.next(), watched.next()), ("gone e.pcap".into(), "growing f.pcap 4".into()));
    file.write_all(b"more").unwrap();
    watched.quiet();
    drop(file);
    assert_eq!(watched.next(), "complete f.pcap");
}

#[test]
fn a_file_that_is_written_anew_in_its_place_is_told_anew() {
    let mut watched = Watched::empty();
    for second in 1..4 {
        // One that is written in the very moment of its length before differs by its content alone.
        fs::write(watched.path("a.pcap"), capture(second)).unwrap();
        if second > 1 {
            assert_eq!(watched.settled(), "gone a.pcap");
        }
        assert_eq!(watched.settled(), "complete a.pcap");
    }
}

#[test]
fn folders_that_come_later_are_watched() {
    let mut watched = Watched::new(Duration::from_secs(1), |_| {});
    fs::create_dir_all(watched.path("s/2024/05")).unwrap();
    fs::write(watched.path("s/2024/05/a.pcap"), capture(1)).unwrap();
    assert_eq!(watched.settled(), "complete s/2024/05/a.pcap");
    fs::write(watched.path("s/2024/05/b.pcap"), capture(2)).unwrap();
    assert_eq!(watched.settled(), "complete s/2024/05/b.pcap");
    // One that comes with all in it, under its name or under another.
    let beside = tempfile::tempdir_in(watched.dir.path().parent().unwrap()).unwrap();
    fs::create_dir(beside.path().join("t")).unwrap();
    fs::write(beside.path().join("t/c.pcap"), capture(3)).unwrap();
    fs::rename(beside.path().join("t"), watched.path("t")).unwrap();
    assert_eq!(watched.settled(), "complete t/c.pcap");
    fs::rename(watched.path("t"), watched.path("u")).unwrap();
    assert_eq!(watched.settled(), "gone t/c.pcap");
    assert_eq!(watched.settled(), "complete u/c.pcap");
    // Removed and made again, it is watched again.
    for second in 4..8 {
        fs::remove_dir_all(watched.path("s")).unwrap();
        fs::create_dir(watched.path("s")).unwrap();
        if second == 4 {
            assert_eq!(watched.settled(), "gone s/2024/05/a.pcap");
            assert_eq!(watched.settled(), "gone s/2024/05/b.pcap");
        } else {
            assert_eq!(watched.settled(), "gone s/d.pcap");
        }
        fs::write(watched.path("s/d.pcap"), capture(second)).unwrap();
        assert_eq!(watched.settled(), "complete s/d.pcap");
    }
}

#[test]
fn a_burst_is_seen_whole_and_each_file_once() {
    let mut watched = Watched::new(Duration::from_secs(1), |_| {});
    fs::create_dir(watched.path("s")).unwrap();
    for number in 0..2000 {
        fs::write(watched.path(&format!("s/{number:04}.pcap")), capture(number)).unwrap();
    }
    let mut names: Vec<String> = (0..2000).map(|_| watched.settled()).collect();
    names.sort_unstable();
    let expected: Vec<String> = (0..2000).map(|number| format!("complete s/{number:04}.pcap")).collect();
    assert_eq!(names, expected);
    fs::write(watched.path("last.pcap"), capture(1)).unwrap();
    assert_eq!(watched.settled(), "complete last.pcap");
}

#[test]
fn more_events_than_the_system_keeps_cost_only_time() {
    // A reader that does not read: what happens meanwhile is too much to be kept.
    let dir = tempfile::tempdir().unwrap();
    let (tell, seen) = crossbeam_channel::bounded(0);
    let settings = Settings {
        stable: Duration::from_millis(500),
        look: 2 * LONG,
        ..Settings::new(dir.path().to_owned(), PathBuf::from("/nowhere"), Vec::new())
    };
    let _arrivals = Arrivals::start(&settings, tell).unwrap();
    let number = 20_000;
    for number in 0..number {
        fs::write(dir.path().join(format!("{number:05}.pcap")), &capture(1)[..30]).unwrap();
    }
    let end = Instant::now() + LONG;
    let mut paths = std::collections::BTreeSet::new();
    while paths.len() < number {
        assert!(Instant::now() < end, "{} files of {number} are seen", paths.len());
        if let Ok(Seen::Complete(arrivals)) = seen.recv_timeout(LONG) {
            paths.extend(arrivals.into_iter().map(|arrival| arrival.path));
        }
    }
}

#[test]
fn who_writes_a_file_may_say_that_it_is_complete() {
    let mut watched = Watched::empty();
    let held = watched.open("a.pcap", &capture(1));
    assert_eq!(watched.next(), "growing a.pcap 1");
    watched.arrivals.finished(watched.path("a.pcap"));
    assert_eq!(watched.next(), "complete a.pcap");
    drop(held);
    watched.arrivals.finished(watched.path("a.pcap"));
    watched.arrivals.finished("/etc/passwd".into());
    watched.arrivals.finished(watched.path("none.pcap"));
    watched.quiet();
}

#[test]
fn no_link_is_followed_and_nothing_but_files_is_opened() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.pcap"), capture(1)).unwrap();
    let mut watched = Watched::new(STABLE, |root| {
        symlink(outside.path(), root.join("folder")).unwrap();
        symlink(outside.path().join("x.pcap"), root.join("a.pcap")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.join("fifo.pcap")).status().unwrap();
        assert!(made.success());
    });
    let why = "it is a link, and no link is followed; what it leads to may be moved here";
    // In the order in which the disk has them.
    let mut told = [watched.next(), watched.next()];
    told.sort();
    symlink(outside.path().join("x.pcap"), watched.path("b.pcap")).unwrap();
    for (told, link) in told.into_iter().chain([watched.next()]).zip(["a.pcap", "folder", "b.pcap"]) {
        assert!(told.contains(&format!("/{link}: ")) && told.ends_with(why), "{told}");
    }
    watched.quiet();
}

#[test]
fn a_folder_that_cannot_be_read_is_told_once_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let shut = dir.path().join("shut");
    fs::create_dir(&shut).unwrap();
    fs::write(shut.join("a.pcap"), capture(1)).unwrap();
    let mode = |mode| fs::set_permissions(&shut, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    if fs::read_dir(&shut).is_ok() {
        mode(0o700);
        // Past the test harness, which keeps what passing tests print.
        writeln!(std::io::stderr(), "LEFT OUT: a folder that cannot be read; to root none is").unwrap();
        return;
    }
    let (tell, seen) = unbounded();
    let settings = Settings {
        stable: Duration::from_millis(100),
        look: Duration::from_millis(200),
        ..Settings::new(dir.path().to_owned(), PathBuf::from("/nowhere"), Vec::new())
    };
    let _arrivals = Arrivals::start(&settings, tell).unwrap();
    let Seen::Unreadable { error, .. } = seen.recv_timeout(LONG).unwrap() else { panic!("it cannot be read") };
    assert!(error.to_string().contains("shut: cannot list: Permission denied"), "{error}");
    assert!(seen.recv_timeout(2 * QUIET).is_err(), "it is told once");
    mode(0o700);
    assert!(matches!(seen.recv_timeout(LONG).unwrap(), Seen::Growing { .. } | Seen::Complete(_)));
}

#[test]
fn paths_begin_as_the_folder_was_given_and_the_thread_ends_with_its_handle() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let there = dir.path().join("in");
    fs::create_dir(&there).unwrap();
    // Relative, if temporary files of tests lie below where they run; and with steps that lead nowhere.
    let here = std::env::current_dir().unwrap();
    let given = dir.path().strip_prefix(here).unwrap_or(dir.path()).join("in/../in");
    let (tell, seen) = crossbeam_channel::bounded(0);
    let settings = Settings { stable: STABLE, ..Settings::new(given.clone(), PathBuf::from("/nowhere"), Vec::new()) };
    let arrivals = Arrivals::start(&settings, tell).unwrap();
    let path = loop {
        fs::write(there.join("a.pcap"), capture(1)).unwrap();
        if let Ok(Seen::Complete(arrivals)) = seen.recv_timeout(QUIET) {
            break arrivals[0].path.clone();
        }
    };
    assert_eq!(path, given.join("a.pcap"));
    // Nobody reads, and it ends all the same.
    fs::write(there.join("b.pcap"), capture(1)).unwrap();
    drop(arrivals);
    assert!(seen.recv().is_err());
}
