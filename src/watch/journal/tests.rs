use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use super::*;

fn identity(n: u64) -> Identity {
    Identity { device: u64::MAX, inode: n, size: 1 << 63 | n, digest: format!("{n:040x}") }
}

fn fed(n: u64) -> Fed {
    let path = PathBuf::from(format!("/captures/s/{n}.pcap"));
    Fed { path, identity: identity(n), first: Some(Timestamp(n as i64)), next: None }
}

fn file(n: u64) -> Entry {
    Entry::File { place: 0, fed: fed(n), became: None }
}

fn out(until: i64) -> Out {
    Out { until: Timestamp(until), needs: Timestamp(until - 7) }
}

fn step(product: &str, out: Out, file: Option<Written>) -> [Advance; 1] {
    [Advance { product: product.to_owned(), out, file, gone: Vec::new() }]
}

fn written(path: &str, hour: i64) -> Written {
    Written { path: path.into(), hour: Timestamp(hour), bytes: 10, rows: 2 }
}

/// Files and moments of a sequence, without their places.
fn steps(journal: &Journal, sensor: &str) -> Vec<std::result::Result<u64, i64>> {
    let sequence = journal.sequence(sensor).unwrap();
    let mut asked = 0;
    let second = journal.first(sensor, |_| (asked += 1, asked == 2).1).unwrap();
    assert_eq!((second.as_ref(), asked), (sequence.get(1), sequence.len().min(2)));
    assert!(sequence.is_sorted_by(|a, b| a.place() < b.place()), "{sequence:?}");
    let step = |entry: &Entry| match entry {
        Entry::File { fed, .. } => Ok(fed.identity.inode),
        Entry::Quiet { until, .. } => Err(until.ns()),
    };
    sequence.iter().map(step).collect()
}

#[test]
fn what_was_noted_is_there_when_it_is_opened_again() {
    let output = tempfile::tempdir().unwrap();
    let bytes = Path::new(OsStr::from_bytes(b"/captures/\xff\xfe/a\nb.pcap"));
    let odd = Fed { path: bytes.to_owned(), next: Some(Timestamp::MAX), first: None, ..fed(2) };
    let became = Became {
        packets: u64::MAX,
        last: Some(Timestamp::MIN),
        damage: Some("cut at byte 24".to_owned()),
        seen: Some([3, 9].map(Timestamp)),
        wild: u64::MAX,
    };
    let before = {
        let journal = Journal::open(output.path()).unwrap();
        let place = journal.fed("a", &fed(1)).unwrap();
        journal.quiet("a", Timestamp(-5), true).unwrap();
        journal.fed("a", &odd).unwrap();
        journal.fed("b", &fed(3)).unwrap();
        journal.read(place, &became).unwrap();
        journal.commit("a", &step("groups", out(9), Some(written("groups/a/x", 3))), None).unwrap();
        journal.set_aside("c", bytes, &identity(4), State::Late, "its hour is out").unwrap();
        journal.sequence("a").unwrap()
    };
    let journal = Journal::open(output.path()).unwrap();
    assert_eq!(journal.sequence("a").unwrap(), before);
    let [Entry::File { fed: first, became: Some(read), .. }, Entry::Quiet { until, follows: true, .. }, last] =
        &before[..]
    else {
        panic!("{before:?}");
    };
    assert_eq!((first, read, *until), (&fed(1), &became, Timestamp(-5)));
    assert_eq!(last, &Entry::File { place: last.place(), fed: odd, became: None });
    assert_eq!(journal.sensors().unwrap(), ["a", "b", "c"]);
    assert_eq!((journal.out("a", "groups").unwrap(), journal.out("b", "groups").unwrap()), (out(9), Out::NOTHING));
    let late = Aside {
        sensor: "c".to_owned(),
        path: bytes.to_owned(),
        identity: identity(4),
        state: State::Late,
        reason: "its hour is out".to_owned(),
    };
    assert_eq!(journal.aside().unwrap(), [late]);
    let counts = Counts { fed: 3, unread: 2, late: 1, hours: 1, bytes: 10, rows: 2, ..Counts::default() };
    assert_eq!(journal.counts().unwrap(), counts);
}

#[test]
fn what_records_depend_on_is_fixed_once_and_another_is_told() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    assert_eq!(journal.fixed("settings").unwrap(), None);
    assert_eq!(journal.fix("settings", "one").unwrap(), None);
    assert_eq!(journal.fix("settings", "one").unwrap(), None);
    assert_eq!(journal.fix("settings", "two").unwrap(), Some("one".to_owned()));
    assert_eq!(journal.fix("groups", "two").unwrap(), None);
    assert_eq!(journal.fixed("settings").unwrap(), Some("one".to_owned()));
}

#[test]
fn a_file_is_known_by_all_that_it_is() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    journal.fed("a", &fed(1)).unwrap();
    assert_eq!(journal.knows(&identity(1)).unwrap(), Some(State::Fed));
    let Identity { device, inode, size, digest } = identity(1);
    let others = [
        Identity { device: device - 1, inode, size, digest: digest.clone() },
        Identity { device, inode: inode + 1, size, digest: digest.clone() },
        Identity { device, inode, size: size + 1, digest },
        Identity { digest: "other".to_owned(), ..identity(1) },
    ];
    for other in others {
        assert_eq!(journal.knows(&other).unwrap(), None, "{other:?}");
    }
}

#[test]
fn a_file_stands_in_one_sequence_once() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    journal.fed("a", &fed(1)).unwrap();
    let renamed = Fed { path: "/captures/s/new.pcap".into(), ..fed(1) };
    assert!(journal.fed("a", &renamed).is_err());
    assert!(journal.fed("b", &renamed).is_err());
    assert_eq!(journal.sequence("a").unwrap().len(), 1);
    let [Entry::File { fed: kept, .. }] = &journal.sequence("a").unwrap()[..] else { panic!() };
    assert_eq!(kept, &fed(1), "what was refused left a trace");
    let error = journal.read(99, &Became::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invariant(_)), "{error}");
}

#[test]
fn a_file_that_is_forgotten_stays_known_and_its_place_is_not_used_again() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    let places: Vec<i64> = (0..4).map(|n| journal.fed("a", &fed(n)).unwrap()).collect();
    journal.fed("b", &fed(9)).unwrap();
    journal.forget("a", places[3]).unwrap();
    assert_eq!((steps(&journal, "a"), steps(&journal, "b")), (vec![Ok(3)], vec![Ok(9)]));
    assert_eq!(journal.knows(&identity(2)).unwrap(), Some(State::Done));
    assert_eq!(journal.knows(&identity(3)).unwrap(), Some(State::Fed));
    journal.forget("a", i64::MAX).unwrap();
    journal.forget("b", i64::MAX).unwrap();
    assert!(journal.fed("a", &fed(5)).unwrap() > places[3] + 1);
}

#[test]
fn a_line_that_turns_back_has_its_new_order_and_how_far_it_is_at_once() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    for n in [1, 3, 4] {
        journal.fed("a", &fed(n)).unwrap();
    }
    journal.quiet("a", Timestamp(50), false).unwrap();
    journal.fed("b", &fed(7)).unwrap();
    for product in ["groups", "flows", "buckets"] {
        journal.commit("a", &step(product, out(100), None), None).unwrap();
    }
    journal.set_aside("a", Path::new("2.pcap"), &identity(2), State::Late, "late").unwrap();
    let mut entries = journal.sequence("a").unwrap();
    entries.retain(|entry| !matches!(entry, Entry::File { fed, .. } if fed.identity.inode == 4));
    entries.insert(1, file(2));
    let back = [("groups".to_owned(), out(20)), ("flows".to_owned(), out(10))];
    journal.turn_back("a", &entries, &[], &back).unwrap();
    assert_eq!(steps(&journal, "a"), [Ok(1), Ok(2), Ok(3), Err(50)]);
    assert_eq!(
        ["groups", "flows", "buckets"].map(|product| journal.out("a", product).unwrap().until.ns()),
        [20, 10, 100]
    );
    assert_eq!(
        [2, 3, 4].map(|n| journal.knows(&identity(n)).unwrap()),
        [State::Fed, State::Fed, State::Done].map(Some)
    );
    assert!(journal.aside().unwrap().is_empty());

    // The file of another sensor, at the end: nothing of it all happens.
    assert!(journal.turn_back("a", &[file(8), file(7)], &[], &[("groups".to_owned(), out(1))]).is_err());
    assert_eq!(steps(&journal, "a"), [Ok(1), Ok(2), Ok(3), Err(50)]);
    assert_eq!((journal.out("a", "groups").unwrap(), journal.knows(&identity(8)).unwrap()), (out(20), None));
}

#[test]
fn a_file_that_is_set_aside_leaves_the_sequence() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    journal.fed("a", &fed(1)).unwrap();
    journal.fed("a", &fed(2)).unwrap();
    journal.set_aside("a", Path::new("1.pcap"), &identity(1), State::Quarantined, "no capture").unwrap();
    assert_eq!(steps(&journal, "a"), [Ok(2)]);
    assert_eq!(journal.knows(&identity(1)).unwrap(), Some(State::Quarantined));
    journal.forget_quarantined(u64::MAX, 1, identity(1).size).unwrap();
    assert_eq!(journal.knows(&identity(1)).unwrap(), None);
}

#[test]
fn the_file_of_an_hour_is_listed_until_it_is_removed() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    journal.commit("b", &step("flows", out(8), Some(written("flows/b/8", 7))), None).unwrap();
    journal.commit("a", &step("flows", out(3), Some(written("flows/a/3", 2))), None).unwrap();
    journal.commit("a", &step("flows", out(3), Some(Written { rows: 5, ..written("flows/a/3", 2) })), None).unwrap();
    let listed = journal.written().unwrap();
    let shape: Vec<_> = listed.iter().map(|hour| (&*hour.sensor, hour.file.hour.ns(), hour.file.rows)).collect();
    assert_eq!(shape, [("a", 2, 5), ("b", 7, 2)]);
    journal.removed(Path::new("flows/a/3")).unwrap();
    assert_eq!(journal.written().unwrap(), listed[1..]);
    assert_eq!(journal.out("a", "flows").unwrap(), out(3));
}

#[test]
fn a_capture_that_is_removed_stays_known_while_it_is_in_the_sequence() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    let places: Vec<i64> = (1..=3).map(|n| journal.fed("a", &fed(n)).unwrap()).collect();
    journal.read(places[1], &Became { packets: 1, last: Some(Timestamp(6)), ..Became::default() }).unwrap();
    journal.forget("a", places[1]).unwrap();
    let held = journal.held().unwrap();
    let shape: Vec<_> = held.iter().map(|held| (held.identity.inode, held.read, held.last)).collect();
    assert_eq!(shape, [(1, true, None), (2, true, Some(Timestamp(6))), (3, false, None)]);
    journal.removed_captures(&[held[0].id, held[1].id]).unwrap();
    assert_eq!([1, 2].map(|n| journal.knows(&identity(n)).unwrap()), [None, Some(State::Fed)]);
    assert_eq!((journal.held().unwrap().len(), steps(&journal, "a")), (1, vec![Ok(2), Ok(3)]));
    journal.forget("a", places[2]).unwrap();
    assert_eq!(journal.knows(&identity(2)).unwrap(), None);
}

#[test]
fn how_far_forgotten_files_reach_stays_known_also_when_they_are_removed() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    for (n, last) in [(1, None), (2, Some(70)), (3, Some(60)), (4, Some(90))] {
        let place = journal.fed("a", &fed(n)).unwrap();
        journal.read(place, &Became { last: last.map(Timestamp), ..Became::default() }).unwrap();
    }
    journal.fed("b", &fed(5)).unwrap();
    let forgotten = || ["a", "b", "c"].map(|sensor| journal.forgotten(sensor).unwrap().map(Timestamp::ns));
    let place = |n: usize| journal.sequence("a").unwrap()[n].place();
    journal.forget("a", place(1)).unwrap();
    assert_eq!(forgotten(), [None; 3]);
    journal.forget("a", place(2)).unwrap();
    assert_eq!(forgotten(), [Some(70), None, None]);
    let ids: Vec<i64> = journal.held().unwrap().iter().map(|held| held.id).collect();
    journal.removed_captures(&ids[..4]).unwrap();
    assert_eq!(journal.held().unwrap().len(), 1);
    assert_eq!(forgotten(), [Some(70), None, None]);
    journal.forget("a", i64::MAX).unwrap();
    assert_eq!(forgotten(), [Some(90), None, None]);
}

#[test]
fn threads_with_connections_of_their_own_wait_for_one_another() {
    let output = tempfile::tempdir().unwrap();
    let write = |sensor: u64| {
        let journal = Journal::open(output.path()).unwrap();
        let name = sensor.to_string();
        for n in 0..25 {
            journal.fed(&name, &fed(sensor * 100 + n)).unwrap();
            journal.commit(&name, &step("groups", out(n as i64), None), None).unwrap();
        }
    };
    thread::scope(|scope| (1..=4).for_each(|sensor| _ = scope.spawn(move || write(sensor))));
    let journal = Journal::open(output.path()).unwrap();
    for sensor in 1..=4 {
        let all: Vec<_> = (0..25).map(|n| Ok(sensor * 100 + n)).collect();
        assert_eq!((steps(&journal, &sensor.to_string()), journal.sensors().unwrap().len()), (all, 4));
    }
}

#[test]
fn sensors_are_unfinished_until_all_that_they_have_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let products = ["groups".to_owned(), "flows".to_owned()];
    let unfinished = || journal.unfinished(&products).unwrap();
    let fed = |n| Fed { path: "x".into(), identity: identity(n), first: Some(Timestamp(5)), next: None };
    let step = |product: &str, until| {
        let out = Out { until: Timestamp(until), needs: Timestamp(until) };
        let step = Advance { product: product.to_owned(), out, file: None, gone: Vec::new() };
        journal.commit("s", &[step], None).unwrap();
    };
    let place = journal.fed("s", &fed(1)).unwrap();
    ["groups", "flows"].into_iter().for_each(|product| step(product, 100));
    assert_eq!(unfinished(), ["s"], "a file is not read");
    journal.read(place, &Became { packets: 1, last: Some(Timestamp(99)), ..Became::default() }).unwrap();
    assert!(unfinished().is_empty());
    step("flows", 99);
    assert_eq!(unfinished(), ["s"], "an hour is not out");
    step("flows", 100);
    journal.appears("s", "flows", Path::new("flows/s/late"), Timestamp(100)).unwrap();
    assert_eq!(unfinished(), ["s"], "a file of an hour is there that is not out");
    step("flows", 200);
    assert!(unfinished().is_empty());
    journal.unsettle("other", Path::new("other/x")).unwrap();
    assert_eq!(unfinished(), ["other"]);
}

/// Turns a line back again and again, to `n % 5` files and until `n`; tells `n` when it is done.
fn turn(journal: &Journal, mut done: impl FnMut(i64) -> bool) {
    for n in 1.. {
        let entries: Vec<Entry> = (0..n as u64 % 5).map(file).collect();
        journal.turn_back("a", &entries, &[], &[("groups".to_owned(), out(n))]).unwrap();
        if !done(n) {
            return;
        }
    }
}

/// How far [`turn`] came, if what the journal holds is of one moment.
fn turned(journal: &Journal) -> i64 {
    let until = journal.out("a", "groups").unwrap().until.ns().max(0);
    assert_eq!(journal.sequence("a").unwrap().len() as i64, until % 5, "of another moment than {until}");
    until
}

#[test]
fn nothing_that_was_said_to_be_done_is_lost_when_the_process_is_killed() {
    const OUTPUT: &str = "JOURNAL_OF_A_CHILD";
    if let Some(output) = std::env::var_os(OUTPUT) {
        let journal = Journal::open(Path::new(&output)).unwrap();
        return turn(&journal, |n| {
            writeln!(std::io::stderr(), "\ndone {n}").unwrap();
            true
        });
    }
    let output = tempfile::tempdir().unwrap();
    let mut most = 0;
    for lines in [1, 7, 30] {
        let name = "watch::journal::tests::nothing_that_was_said_to_be_done_is_lost_when_the_process_is_killed";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env(OUTPUT, output.path());
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut done = || said.by_ref().find_map(|line| line.unwrap().strip_prefix("done ")?.parse::<i64>().ok());
        (1..lines).for_each(|_| _ = done());
        let last = done().expect("the child ended too early");
        child.kill().unwrap();
        child.wait().unwrap();
        let last = std::iter::from_fn(done).last().unwrap_or(last);
        let kept = turned(&Journal::open(output.path()).unwrap());
        assert!(kept == last || kept == last + 1, "{last} was done, {kept} is kept");
        most = most.max(kept);
    }
    assert!(most >= 30);
}

#[test]
fn a_log_that_is_cut_anywhere_holds_whole_steps() {
    let (output, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(output.path()).unwrap();
    turn(&journal, |n| n < 12);
    let names = ["watch.sqlite", "watch.sqlite-wal"].map(|name| Path::new(schema::OWN).join(name));
    let [db, log] = names.clone().map(|name| fs::read(output.path().join(name)).unwrap());
    fs::create_dir(copy.path().join(schema::OWN)).unwrap();
    let mut seen = vec![];
    for end in (0..=log.len()).step_by(2999).chain([log.len()]) {
        let _ = fs::remove_file(copy.path().join(schema::OWN).join("watch.sqlite-shm"));
        fs::write(copy.path().join(&names[0]), &db).unwrap();
        fs::write(copy.path().join(&names[1]), &log[..end]).unwrap();
        seen.push(turned(&Journal::open(copy.path()).unwrap()));
    }
    assert!(seen.is_sorted(), "{seen:?}");
    seen.dedup();
    assert_eq!(seen, (0..=12).collect::<Vec<_>>());
}

/// What is said of a journal that is made by `make`.
fn refusal(make: impl FnOnce(&Path)) -> String {
    let output = tempfile::tempdir().unwrap();
    let path = output.path().join(schema::OWN).join("watch.sqlite");
    fs::create_dir(path.parent().unwrap()).unwrap();
    make(&path);
    let before = fs::read(&path).unwrap();
    let said = Journal::open(output.path()).unwrap_err().to_string();
    assert_eq!(fs::read(&path).unwrap(), before, "what was refused was changed");
    said.strip_prefix(path.to_str().unwrap()).expect(&said).to_owned()
}

#[test]
fn what_is_no_journal_of_this_version_is_refused_with_what_to_do() {
    let of = |sql: &'static str| move |path: &Path| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let newer = refusal(of("CREATE TABLE meta (x); PRAGMA user_version = 9"));
    assert!(
        newer.starts_with(": is of another version of this program (tables 9, not 8); to begin anew, move it"),
        "{newer}"
    );
    let other = refusal(of("CREATE TABLE recipe (x)"));
    assert!(other.starts_with(": is a database of something else"), "{other}");
    let garbage = refusal(|path| fs::write(path, "no database, ".repeat(1000)).unwrap());
    assert!(garbage.starts_with(": is no journal, or damaged (") && garbage.contains("move it"), "{garbage}");
}

#[test]
fn damage_inside_is_an_error_that_says_what_to_do() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    (0..200).for_each(|n| _ = journal.fed("a", &fed(n)).unwrap());
    drop(journal);
    let path = output.path().join(schema::OWN).join("watch.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let said = Journal::open(output.path()).and_then(|journal| journal.sequence("a")).unwrap_err().to_string();
    assert!(said.contains("damaged") && said.contains("move it"), "{said}");
}

#[test]
fn a_second_pipeline_is_refused_and_the_first_is_named() {
    let around = tempfile::tempdir().unwrap();
    let [output, folder, other] = [(); 3].map(|()| tempfile::tempdir_in(around.path()).unwrap());
    let first = Journal::lock(output.path(), folder.path()).unwrap();
    let me = format!("by process {}, since 2", std::process::id());

    let said = Journal::lock(output.path(), other.path()).unwrap_err().to_string();
    assert!(said.starts_with(output.path().to_str().unwrap()) && said.contains(&me), "{said}");
    let new = around.path().join("new/records");
    let said = Journal::lock(&new, folder.path()).unwrap_err().to_string();
    assert!(said.contains("watched already, by ") && !around.path().join("new").exists(), "{said}");
    let said = Journal::lock(other.path(), folder.path()).unwrap_err().to_string();
    assert!(said.starts_with(folder.path().to_str().unwrap()) && said.contains("watched already, by "), "{said}");
    // Some file systems have another device in the list of locks than in that of files, so that nobody can be named.
    let named = said.contains(&me) && said.contains(&format!("writes to {}", output.path().display()));
    assert!(named || said.contains("by another process"), "{said}");

    let inner = folder.path().join("eth0");
    for watched in [folder.path().parent().unwrap(), &inner] {
        if watched == inner {
            fs::create_dir(&inner).unwrap();
        }
        let refused = Journal::lock(other.path(), watched).unwrap_err().to_string();
        let around = if watched == inner { folder.path() } else { watched };
        assert!(refused.starts_with(around.to_str().unwrap()), "{refused}");
        let named = refused.contains(&me) && refused.contains(&format!("watches {}", folder.path().display()));
        assert!(named || refused.contains("by another process"), "{refused}");
        let _ = fs::remove_dir(&inner);
    }

    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was written where captures arrive");
    drop(first);
    Journal::lock(output.path(), other.path()).unwrap();
    Journal::lock(other.path(), folder.path()).unwrap();
}

#[test]
fn a_journal_of_the_version_before_is_taken_over() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    journal.fed("s", &fed(1)).unwrap();
    journal
        .db
        .execute_batch(
            "DROP TABLE own; DROP TABLE needed; ALTER TABLE file DROP COLUMN refused; ALTER TABLE entry DROP COLUMN follows; ALTER TABLE hour DROP COLUMN stays; ALTER TABLE hour DROP COLUMN begun; ALTER TABLE file DROP COLUMN seen_first; ALTER TABLE file DROP COLUMN seen_last; ALTER TABLE file DROP COLUMN wild; DROP TABLE unsettled; DROP INDEX file_content; PRAGMA user_version = 1",
        )
        .unwrap();
    drop(journal);
    let journal = Journal::open(output.path()).unwrap();
    assert_eq!(steps(&journal, "s"), [Ok(1)]);
    assert_eq!(journal.own_of(&identity(1)).unwrap(), []);
    let files =
        [("flows".to_owned(), written("flows/s/1.csv", 7)), ("scans".to_owned(), written("scans/s/1.jsonl", 7))];
    let own = own("s/1", &fed(1));
    journal.commit_own("s", &own, &files).unwrap();
    assert_eq!([1, 2].map(|n| journal.own_of(&identity(n)).unwrap()), [vec![own], vec![]]);
    let paths: Vec<PathBuf> = journal.written().unwrap().into_iter().map(|hour| hour.file.path).collect();
    assert_eq!(paths, [Path::new("flows/s/1.csv"), Path::new("scans/s/1.jsonl")]);
    // Of a capture that was removed nothing stays.
    let ids: Vec<i64> = journal.held().unwrap().iter().filter(|held| held.own).map(|held| held.id).collect();
    journal.removed_captures(&ids).unwrap();
    assert_eq!(journal.own_of(&identity(1)).unwrap(), []);
}

fn own(records: &str, fed: &Fed) -> Own {
    Own { records: records.into(), capture: fed.path.clone(), identity: fed.identity.clone() }
}

#[test]
fn a_place_has_the_records_of_the_last_capture_and_a_capture_may_have_several_places() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    let [first, renamed, second] = [own("s/x", &fed(1)), own("s/x1", &fed(1)), own("s/x", &fed(2))];
    let file = [("flows".to_owned(), written("flows/s/x.csv", 7))];
    journal.commit_own("s", &first, &file).unwrap();
    journal.commit_own("s", &renamed, &[]).unwrap();
    assert_eq!(journal.own_of(&identity(1)).unwrap(), [first, renamed.clone()]);
    journal.commit_own("s", &second, &[]).unwrap();
    assert_eq!(journal.own_of(&identity(1)).unwrap(), [renamed]);
    assert_eq!(journal.own_at(Path::new("s/x")).unwrap(), Some(second));
    journal.disown(Path::new("s/x"), &["flows/s/x.csv".into()]).unwrap();
    assert_eq!((journal.own_at(Path::new("s/x")).unwrap(), journal.written().unwrap()), (None, vec![]));
    // What is begun there is known until it is done.
    for done in [true, false] {
        journal.unsettle("new", Path::new("new/x")).unwrap();
        journal.unsettle("new", Path::new("new/x")).unwrap();
        assert_eq!(journal.unsettled().unwrap(), [Path::new("new/x")]);
        assert_eq!(journal.sensors().unwrap(), ["new", "s"]);
        if done {
            journal.commit_own("new", &own("new/x", &fed(3)), &[]).unwrap();
        } else {
            journal.disown(Path::new("new/x"), &[]).unwrap();
        }
        assert_eq!(journal.unsettled().unwrap(), [] as [PathBuf; 0]);
    }
}

#[test]
fn what_was_needed_is_known_of_every_time_to_turn_back_to() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    let needed = |behind| journal.needed("s", "flows", Timestamp(behind)).unwrap();
    assert_eq!(needed(100), Timestamp::MIN);
    for until in [10, 20, 30] {
        let both = [step("flows", out(until), None), step("groups", out(until + 1), None)].concat();
        journal.commit("s", &both, None).unwrap();
    }
    assert_eq!([9, 10, 29, 99].map(needed), [Timestamp::MIN, Timestamp(3), Timestamp(13), Timestamp(23)]);
    // What was out further on is not any more.
    journal.turn_back("s", &[file(1)], &[], &[("flows".into(), out(20))]).unwrap();
    assert_eq!(needed(99), Timestamp(13));
    journal.quiet("s", Timestamp(50), false).unwrap();
    journal.fed("s", &fed(40)).unwrap();
    let last = journal.sequence("s").unwrap()[2].place();
    journal.forget("s", last).unwrap();
    assert_eq!(needed(99), Timestamp(13), "a turn back to 40 may go there");
    // What none goes back to is not kept for ever.
    let day = |nth: i64| nth * LONGEST;
    for nth in 1..=5 {
        journal.commit("s", &step("flows", out(day(nth)), None), None).unwrap();
    }
    journal.fed("s", &fed(day(5) as u64 + 1)).unwrap();
    let last = journal.sequence("s").unwrap().last().unwrap().place();
    journal.forget("s", last).unwrap();
    assert_eq!([3, 4, 5].map(|nth| needed(day(nth))), [Timestamp::MIN, Timestamp(day(4) - 7), Timestamp(day(5) - 7)]);
}

#[test]
fn of_what_lies_there_hours_stay_and_what_captures_have_is_written_again() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    let hour =
        |name: &str, stays| Hour { sensor: "s".to_owned(), product: "flows".to_owned(), file: written(name, 5), stays };
    let lying = [hour("flows/s/5.csv", true), hour("flows/s/x.csv", false)];
    journal.adopt(&lying).unwrap();
    assert_eq!(journal.fix("settings", "flows").unwrap(), None);
    assert_eq!((journal.written().unwrap(), journal.sensors().unwrap()), (lying.to_vec(), vec!["s".to_owned()]));
    assert_eq!(lying.each_ref().map(|hour| journal.stays(&hour.file.path).unwrap()), [true, false]);
    // Whatever is out of its hour, it is none that goes with it.
    journal.appears("s", "flows", &lying[0].file.path, Timestamp(5)).unwrap();
    let not_out = journal.hours("s", "flows", Timestamp::MIN, Timestamp::MAX).unwrap();
    assert_eq!(not_out, [(Timestamp(5), "flows/s/x.csv".into())]);
    assert_eq!(journal.written().unwrap(), lying);
    journal.removed(&lying[0].file.path).unwrap();
    assert!(!journal.stays(&lying[0].file.path).unwrap());
}

#[test]
fn what_was_not_read_to_its_end_is_new_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let known = |name: &str| Identity { device: 1, inode: 2, size: 3, digest: name.to_owned() };
    let fed = |name: &str| Fed { path: name.into(), identity: known(name), first: None, next: None };
    let places = ["a", "b"].map(|name| journal.fed("s", &fed(name)).unwrap());
    let quiet = journal.quiet("s", Timestamp(7), false).unwrap();
    journal.unfed(places[0]).unwrap();
    assert_eq!((journal.knows(&known("a")).unwrap(), journal.knows(&known("b")).unwrap()), (None, Some(State::Fed)));
    let left: Vec<i64> = journal.sequence("s").unwrap().iter().map(Entry::place).collect();
    assert_eq!(left, [places[1], quiet]);
    assert!(journal.fed("s", &fed("a")).unwrap() > quiet);
}

#[test]
fn what_goes_to_another_sensor_keeps_its_own_and_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    let identity = Identity { device: 1, inode: 2, size: 3, digest: "a".to_owned() };
    let [from, to] = ["s/a", "t/a"].map(PathBuf::from);
    assert_eq!(journal.whose(&identity).unwrap(), None);
    journal.fed("s", &Fed { path: from.clone(), identity: identity.clone(), first: None, next: None }).unwrap();
    let own = Own { records: "s/a".into(), capture: from.clone(), identity: identity.clone() };
    journal.commit_own("s", &own, &[]).unwrap();
    journal.moved_out(&identity, &from, &to).unwrap();
    assert_eq!(journal.whose(&identity).unwrap(), Some(("s".to_owned(), to.clone())));
    assert_eq!(journal.own_of(&identity).unwrap(), [Own { capture: to, ..own }]);
}

#[test]
fn the_end_of_a_run_is_noted_with_all_that_is_out_by_it() {
    let output = tempfile::tempdir().unwrap();
    let journal = Journal::open(output.path()).unwrap();
    journal.fed("s", &fed(1)).unwrap();
    for (name, hour) in [("flows/s/2", 2), ("flows/s/3", 3)] {
        journal.appears("s", "flows", Path::new(name), Timestamp(hour)).unwrap();
    }
    // They may be there, and are not out.
    assert_eq!((journal.written().unwrap(), journal.counts().unwrap().hours), (vec![], 0));
    assert_eq!(journal.hours("s", "flows", Timestamp(3), Timestamp(9)).unwrap(), [(Timestamp(3), "flows/s/3".into())]);
    let flows =
        Advance { gone: vec!["flows/s/3".into()], ..step("flows", out(3), Some(written("flows/s/2", 2)))[0].clone() };
    journal.commit("s", &[&[flows][..], &step("groups", out(3), None)].concat(), Some(Timestamp(3))).unwrap();
    let rows: Vec<_> = journal.written().unwrap().into_iter().map(|hour| (hour.file.path, hour.file.rows)).collect();
    assert_eq!(rows, [("flows/s/2".into(), 2)]);
    assert_eq!(["flows", "groups"].map(|product| journal.out("s", product).unwrap()), [out(3); 2]);
    assert_eq!(steps(&journal, "s"), [Ok(1), Err(3)]);
}

#[test]
fn what_is_told_to_be_lost_stays_told_however_its_sequence_is_put() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let fed = |nth: u64| Fed {
        path: format!("{nth}.pcap").into(),
        identity: identity(nth),
        first: Some(Timestamp(5)),
        next: None,
    };
    journal.set_aside("a", Path::new("2.pcap"), &identity(2), State::Late, "late").unwrap();
    for nth in [1, 2] {
        let place = journal.fed("a", &fed(nth)).unwrap();
        let last = Some(Timestamp(7));
        journal.read(place, &Became { packets: 1, last, ..Became::default() }).unwrap();
    }
    assert!(!journal.is_lost(&identity(2)).unwrap(), "it is late no more");
    journal.lose(&identity(1), "why").unwrap();
    let sequence = journal.sequence("a").unwrap();
    journal.turn_back("a", &sequence, &[], &[]).unwrap();
    assert!(journal.is_lost(&identity(1)).unwrap() && !journal.is_lost(&identity(2)).unwrap());
    // Out of the sequence, only the other is still to be told, and only where it is needed.
    journal.turn_back("a", &[], &[], &[]).unwrap();
    let lost = |from| journal.lost("a", Timestamp(from)).unwrap().into_iter().map(|(_, path)| path).collect::<Vec<_>>();
    assert_eq!((lost(7), lost(8)), (vec![PathBuf::from("2.pcap")], vec![]));
    assert!(journal.loses_name("a", Path::new("1.pcap"), Timestamp(9)).unwrap(), "nothing has it");
    let place = journal.fed("a", &fed(3)).unwrap();
    assert!(!journal.loses_name("a", Path::new("3.pcap"), Timestamp(9)).unwrap(), "it was not read");
    journal.read(place, &Became { packets: 1, last: Some(Timestamp(7)), ..Became::default() }).unwrap();
    assert!(!journal.loses_name("a", Path::new("3.pcap"), Timestamp(7)).unwrap(), "what has its name is not behind it");
    assert!(journal.loses_name("a", Path::new("3.pcap"), Timestamp(8)).unwrap());
    assert_eq!((journal.knows(&identity(3)).unwrap(), journal.sequence("a").unwrap().len()), (Some(State::Done), 0));
}
