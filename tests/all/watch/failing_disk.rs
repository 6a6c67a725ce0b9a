//! Disks that fail: a system call of the pipeline says EIO, by strace, and the next run has to come to what one comes to that nothing disturbs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use super::{Site, Watcher, same, until};
use crate::command::Ran;

const HOUR: Duration = Duration::from_secs(3600);

/// Whether strace may look into processes; said loudly if not.
fn can_trace() -> bool {
    let ran = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let missing = match ran {
        Ok(ran) if ran.status.success() => return true,
        Ok(ran) => format!("strace may not trace: {}", String::from_utf8_lossy(&ran.stderr).trim()),
        Err(error) => format!("strace cannot be run ({error}); install it"),
    };
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Past the test harness, which keeps what passing tests print.
    writeln!(std::io::stderr(), "LEFT OUT: a pipeline on a failing disk; {missing}")
        .expect("standard error takes text");
    false
}

/// A place with a capture of each hour, watched by products of both kinds.
fn site() -> Site {
    let mut site = Site::by(HOUR, 3000, 2);
    site.products = vec!["groups", "flows:cic", "buckets:10s@csv", "buckets:1s@csv/capture"];
    site
}

/// What stops a run soon and tells enough.
const ONCE: [&str; 5] = ["--once", "--stable", "100ms", "--retry-delay", "100ms"];

/// A run of the watcher under strace with these options, and what strace wrote.
fn traced(site: &Site, output: &str, options: &[String]) -> (Ran, Vec<String>) {
    traced_with(site, output, &[], options)
}

/// The same, with more options of the watcher.
fn traced_with(site: &Site, output: &str, more: &[&str], options: &[String]) -> (Ran, Vec<String>) {
    let watch = site.watch_aloud(output, &[&ONCE[..], more].concat());
    let trace = site.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "4096", "-o"]).arg(&trace).args(options);
    strace.arg(watch.get_program()).args(watch.get_args());
    let ran = Ran::of(strace.output().unwrap());
    let trace = fs::read(&trace).unwrap();
    (ran, String::from_utf8_lossy(&trace).lines().map(str::to_owned).collect())
}

/// Calls that write, make or rename something.
const CALLS: [&str; 6] = ["write", "pwrite64", "fsync", "renameat", "mkdirat", "openat"];

/// For each of these calls some of its turns, spread over a run. A turn is counted by the thread.
fn turns(site: &Site) -> Vec<(&'static str, usize)> {
    let (ran, trace) = traced(site, "counted", &[format!("-etrace={}", CALLS.join(","))]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let there = site.dir.path().to_str().unwrap();
    let mut turns = Vec::new();
    for call in CALLS {
        let mut threads: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut good, mut others) = (BTreeSet::new(), BTreeSet::new());
        for line in &trace {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            if !rest.trim_start().starts_with(&format!("{call}(")) {
                continue;
            }
            let turn = threads.entry(thread).or_default();
            *turn += 1;
            // Pipes and events of the kernel do not fail so, nor does a library that is loaded.
            if rest.contains(&format!("{there}/counted")) {
                good.insert(*turn)
            } else {
                others.insert(*turn)
            };
        }
        let good: Vec<usize> = good.difference(&others).copied().collect();
        assert!(good.len() >= 2, "{call}: {good:?}");
        turns.extend([good.len() / 5, good.len() / 2, good.len() - 1].map(|at| (call, good[at])));
    }
    turns
}

/// The paths in a line of strace, and their folders.
fn paths(line: &str, there: &Path) -> Vec<PathBuf> {
    let parts = line.split(['<', '>', '"']).map(Path::new).filter(|path| path.starts_with(there) && *path != there);
    parts.flat_map(|path| [Some(path.to_owned()), path.parent().map(Path::to_owned)]).flatten().collect()
}

#[test]
fn what_cannot_be_written_is_named_and_the_next_run_makes_it() {
    if !can_trace() {
        return;
    }
    let turns = &{
        let site = site();
        site.expected(&site.parts);
        site.parts.iter().for_each(|part| site.arrive(part, true));
        turns(&site)
    };
    const THREADS: usize = 4;
    let failed: usize = thread::scope(|scope| {
        let some = |nth: usize| {
            let site = site();
            let expected = site.expected(&site.parts);
            site.parts.iter().for_each(|part| site.arrive(part, true));
            let mine = turns.iter().enumerate().filter(|(at, _)| at % THREADS == nth);
            mine.filter(|(at, (call, turn))| {
                // Some go on to fail from there.
                let more = if at % 4 == 3 { "+" } else { "" };
                fails(&site, &expected, &format!("out{at}"), call, &format!("{turn}{more}"))
            })
            .count()
        };
        let all: Vec<_> = (0..THREADS).map(|nth| scope.spawn(move || some(nth))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(failed * 2 > turns.len(), "of {} failures {failed} stopped a run", turns.len());
}

/// Lets a call fail at its turn, then runs again; whether the first run came to nothing by that.
fn fails(site: &Site, expected: &BTreeMap<PathBuf, Vec<u8>>, output: &str, call: &str, turn: &str) -> bool {
    let options = [format!("-etrace={call}"), format!("-einject={call}:error=EIO:when={turn}")];
    let (ran, trace) = traced(site, output, &options);
    let injected: Vec<&String> = trace.iter().filter(|line| line.contains("(INJECTED)")).collect();
    let case = format!("{call} {turn}: {injected:?}\n{ran:?}");
    assert!(!injected.is_empty() && matches!(ran.code, Some(0 | 1 | 3)), "{case}");
    assert!(!ran.said.contains("panicked"), "{case}");
    if ran.code != Some(0) {
        let there = site.dir.path();
        let named = |path: &PathBuf| ran.said.contains(&format!("{}", path.display()));
        assert!(injected.iter().any(|line| paths(line, there).iter().any(named)), "{case}");
        let what = ["Input/output error", "disk I/O error", "unable to open database file"];
        assert!(what.iter().any(|what| ran.said.contains(what)), "{case}");
    }
    for (path, bytes) in site.records(output) {
        assert!(expected.get(&path) == Some(&bytes), "a half file {}: {case}", path.display());
    }
    assert_eq!(site.once(output), Some(0), "{case}");
    assert_eq!(site.temporary(output), 0, "{case}");
    same(&site.records(output), expected);
    ran.code != Some(0)
}

#[test]
fn a_kill_while_records_of_a_capture_appear_or_go_leaves_none_too_many_or_too_few() {
    if !can_trace() {
        return;
    }
    let mut site = site();
    site.products = vec!["flows:nexus@csv/capture", "buckets:1s@csv/capture"];
    let expected = site.expected(&site.parts);
    let folder = site.path("in/gate");
    // From the names that captures have to others, or back.
    let rename = |back: bool| {
        for part in &site.parts {
            let name = part.file_name().unwrap();
            let (here, other) = (folder.join(name), folder.join(format!("other_{}", name.to_str().unwrap())));
            if back { fs::rename(other, here) } else { fs::rename(here, other) }.unwrap();
        }
    };
    let turns = (1..=8).map(|turn| ("renameat", turn)).chain((1..=4).map(|turn| ("unlinkat", turn)));
    let mut between = BTreeSet::new();
    for (call, turn) in turns {
        let output = format!("{call}{turn}");
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        site.parts.iter().for_each(|part| site.arrive(part, true));
        if call == "unlinkat" {
            assert_eq!(site.once(&output), Some(0));
        }
        rename(false);
        let options = [format!("-etrace={call}"), format!("-einject={call}:signal=KILL:when={turn}")];
        let (ran, _) = traced(&site, &output, &options);
        rename(true);
        if ran.code != Some(0) && site.records(&output).len() % 2 == 1 {
            between.insert(call);
        }
        assert_eq!(site.once(&output), Some(0), "{output}: {ran:?}");
        same(&site.records(&output), &expected);
    }
    assert_eq!(between.len(), 2, "the records of a capture are never there by half: {between:?}");
}

#[test]
fn a_kill_while_a_run_ends_leaves_no_product_behind_the_others() {
    if !can_trace() {
        return;
    }
    let mut site = Site::by(HOUR / 4, 3000, 1);
    site.products = vec!["groups", "flows:cic", "buckets:10s@csv"];
    let expected = site.expected(&site.parts);
    let (last, before) = site.parts.split_last().unwrap();
    let folder = site.path("in/gate");
    let anew = || {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        before.iter().for_each(|part| site.arrive(part, true));
    };
    anew();
    // What the line writes to the journal: behind the last capture there is little but its end.
    let (ran, trace) = traced(&site, "counted", &["-etrace=pwrite64".into()]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let mut threads: BTreeMap<&str, usize> = BTreeMap::new();
    for (thread, _) in trace.iter().filter_map(|line| line.split_once(' ')) {
        *threads.entry(thread).or_default() += 1;
    }
    let most = threads.into_values().max().unwrap();
    let turns = (1..=4)
        .map(|turn| ("renameat", turn))
        .chain((most.saturating_sub(24)..=most).step_by(3).map(|turn| ("pwrite64", turn)));
    let mut between = 0;
    for (call, turn) in turns {
        let output = format!("{call}{turn}");
        anew();
        let options = [format!("-etrace={call}"), format!("-einject={call}:signal=KILL:when={turn}")];
        let (ran, _) = traced(&site, &output, &options);
        // Of groups with their scans, flows and buckets some are there.
        between += usize::from(ran.code != Some(0) && (1..4).contains(&site.records(&output).len()));
        site.arrive(last, true);
        assert_eq!(site.once(&output), Some(0), "{output}: {ran:?}");
        same(&site.records(&output), &expected);
    }
    assert!(between >= 3, "{between}");
}

/// Lets a read of a capture fail, of the reads of a thread this one and, with a plus, all behind it. Who looks at its ends alone does so by
/// `pread64`, and is spared.
fn read_fails(capture: &Path, turn: &str) -> Vec<String> {
    let path = format!("-P{}", capture.display());
    vec![path, "-etrace=read".into(), format!("-einject=read:error=EIO:when={turn}")]
}

/// With captures of many reads.
fn long() -> Site {
    let mut site = Site::by(24 * HOUR, 20_000, 2);
    site.products = vec!["groups", "flows:cic", "buckets:10s@csv"];
    site
}

/// Has the captures of a place arrive; the records of an undisturbed run, and where the first capture lies.
fn there(site: &Site) -> (BTreeMap<PathBuf, Vec<u8>>, PathBuf) {
    let expected = site.expected(&site.parts);
    site.parts.iter().for_each(|part| site.arrive(part, true));
    (expected, site.path("in/gate").join(site.parts[0].file_name().unwrap()))
}

/// In the middle of such a capture.
const MIDDLE: usize = 14;

#[test]
fn a_capture_that_breaks_off_once_is_read_again_whole() {
    if !can_trace() {
        return;
    }
    let site = long();
    let (expected, capture) = there(&site);
    for turn in [MIDDLE, MIDDLE + 3] {
        let output = format!("out{turn}");
        let (ran, trace) = traced(&site, &output, &read_fails(&capture, &turn.to_string()));
        assert!(trace.iter().any(|line| line.contains("(INJECTED)")), "{trace:?}");
        assert!(ran.code == Some(0), "{}", ran.said);
        let told = format!("{}: cannot read: Input/output error", capture.display());
        assert!(ran.said.contains(&told) && ran.said.contains("it is tried again"), "{}", ran.said);
        same(&site.records(&output), &expected);
    }
}

#[test]
fn a_capture_that_breaks_off_each_time_is_put_aside_and_the_others_are_read() {
    if !can_trace() {
        return;
    }
    let mut site = long();
    let small = Site::by(HOUR, 700, 1);
    let short = site.path("store/small.pcap");
    fs::copy(&small.parts[0], &short).unwrap();
    let long = std::mem::replace(&mut site.parts, vec![short]).remove(0);
    let expected = site.expected(&site.parts);
    site.arrive(&site.parts[0], true);
    site.arrive(&long, true);
    let capture = site.path("in/gate").join(long.file_name().unwrap());
    // Once is enough where it is tried once.
    let (ran, _) = traced_with(&site, "out", &["--tries", "1"], &read_fails(&capture, &MIDDLE.to_string()));
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    let mut reason = site.path("out/quarantine/gate").join(long.file_name().unwrap()).into_os_string();
    reason.push(".reason.txt");
    assert!(fs::read_to_string(&reason).unwrap_or_default().contains("Input/output error"), "{}", ran.said);
    assert!(!capture.exists());
    // What was out before it broke off has its first packets; nothing is out that the other has no part in.
    assert_eq!(site.once("again"), Some(0));
    same(&site.records("again"), &expected);
}

#[test]
fn a_capture_that_breaks_off_in_its_middle_each_time_is_put_aside_where_it_has_records_alone() {
    if !can_trace() {
        return;
    }
    let mut site = long();
    site.parts.truncate(1);
    // With hours beside it would be read for these, too.
    for products in [vec!["groups/capture"], vec!["flows", "groups/capture"]] {
        site.products = products;
        site.arrive(&site.parts[0], true);
        let capture = site.path("in/gate").join(site.parts[0].file_name().unwrap());
        let output = format!("out{}", site.products.len());
        // Each try comes to its begin, and not to its end.
        let fails = read_fails(&capture, &format!("{MIDDLE}+{MIDDLE}"));
        let (ran, trace) = traced_with(&site, &output, &["--tries", "3"], &fails);
        // Each but the last try reads it for both.
        let fewest = if site.products.len() == 1 { 3 } else { 5 };
        let failed = trace.iter().filter(|line| line.contains("(INJECTED)")).count();
        assert!(failed >= fewest, "{failed}: {} {trace:?}", ran.said);
        assert_eq!(ran.code, Some(3), "{}", ran.said);
        assert!(ran.said.contains("tries=2") && ran.said.contains(" 1 file put aside"), "{}", ran.said);
        let status = site.status(&output).unwrap();
        assert_eq!(status["sensors"][0]["quarantined"], 1, "{status}");
        assert!(!capture.exists() && !ran.said.contains("is gone"), "{}", ran.said);
    }
}

#[test]
fn a_capture_that_hours_to_come_need_is_read_again_and_else_missed() {
    if !can_trace() {
        return;
    }
    let site = long();
    let (expected, capture) = there(&site);
    for output in ["out", "given-up"] {
        let watcher: Watcher = site.start(output, &["--stable", "100ms"]);
        until("it is read", || site.status(output).is_some_and(|status| status["sensors"][0]["files"] == 1));
        assert_eq!(watcher.end(), Some(0));
    }
    let told = format!("{}: cannot read: Input/output error", capture.display());
    let (ran, trace) = traced(&site, "out", &read_fails(&capture, &MIDDLE.to_string()));
    assert!(trace.iter().any(|line| line.contains("(INJECTED)")), "{trace:?}");
    // It begins again if it is not asked to end just then.
    assert!(matches!(ran.code, Some(0 | 1)) && ran.said.contains(&told), "{}", ran.said);
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);

    // Tried once only, it is passed over, and that is said.
    let mut options = read_fails(&capture, &format!("{MIDDLE}+"));
    let watch = site.watch_aloud("given-up", &[&ONCE[..], &["--tries", "1"]].concat());
    let mut strace = Command::new("strace");
    options.insert(0, "-f".into());
    strace.args(options).args(["-qq", "-o", "/dev/null"]).arg(watch.get_program()).args(watch.get_args());
    let ran = Ran::of(strace.output().unwrap());
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    assert!(ran.said.contains("a capture that is still needed cannot be read"), "{}", ran.said);
}

/// Begins a watcher whose reading of a capture stops in the middle for some seconds, under strace, which ends with what it traces; and where what it
/// says is written.
fn delayed(site: &Site, watch: &Command, capture: &Path, seconds: u32) -> (Child, PathBuf) {
    let said = site.path("said");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(capture);
    strace.args(["-etrace=read", &format!("-einject=read:delay_enter={seconds}000000:when={MIDDLE}")]);
    strace.arg(watch.get_program()).args(watch.get_args()).stderr(fs::File::create(&said).unwrap());
    (strace.spawn().unwrap(), said)
}

#[test]
fn a_capture_that_takes_long_is_named_and_only_its_own_sensor_waits() {
    if !can_trace() {
        return;
    }
    let site = long();
    let capture = site.path("in/gate").join(site.parts[0].file_name().unwrap());
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let watch =
        site.watch_aloud("out", &["--stable", "100ms", "--rotation", "1s", "--grace", "1s", "--timeout", "60s"]);
    let (mut strace, said) = delayed(&site, &watch, &capture, 25);
    let end = End(&site, "out");
    let sensors = || site.status("out").map_or(serde_json::Value::Null, |status| status["sensors"].clone());
    until("it is read", || sensors()[0]["reading"]["path"] == capture.to_str().unwrap());
    fs::create_dir(site.path("in/other")).unwrap();
    let small = Site::by(HOUR, 700, 1);
    fs::copy(&small.parts[0], site.path("in/other/a.pcap")).unwrap();
    until("another sensor is done", || sensors()[1]["files"] == 1);
    let now = sensors();
    assert!(now[0]["files"] == 0 && now[0]["lag_seconds"].as_f64() > Some(0.0), "{now}");
    assert!(now[0]["reading"]["since"].as_i64() > Some(1_700_000_000), "{now}");
    let told = || fs::read_to_string(&said).unwrap().matches(".pcap: has been read for more than 1s;").count();
    until("it is named", || told() > 0);
    until("it is read to its end", || sensors()[0]["files"] == 1);
    assert_eq!(told(), 1, "once: {}", fs::read_to_string(&said).unwrap());
    drop(end);
    assert!(strace.wait().unwrap().success());
}

#[test]
fn a_capture_that_is_overwritten_while_it_is_read_is_missed_and_what_is_there_then_is_read() {
    if !can_trace() {
        return;
    }
    let site = long();
    // It begins later.
    let later = self::site();
    let next = &later.parts[1];
    site.arrive(&site.parts[0], true);
    let capture = site.path("in/gate").join(site.parts[0].file_name().unwrap());
    let watch = site.watch_aloud("out", &["--stable", "100ms", "--rotation", "1h"]);
    let (mut strace, said) = delayed(&site, &watch, &capture, 5);
    let end = End(&site, "out");
    let sensors = || site.status("out").map_or(serde_json::Value::Null, |status| status["sensors"].clone());
    until("it is read", || sensors()[0]["reading"]["path"] == capture.to_str().unwrap());
    // In its place, with its number.
    fs::write(&capture, fs::read(next).unwrap()).unwrap();
    let told = || fs::read_to_string(&said).unwrap().contains("another took its name before it was read");
    until("it is missed", told);
    until("the other is read", || sensors()[0]["files"] == 1);
    drop(end);
    assert_eq!(strace.wait().unwrap().code(), Some(3));
    assert_eq!(site.once("out"), Some(0));
    fs::copy(&capture, &site.parts[0]).unwrap();
    let expected = site.expected(&site.parts);
    same(&site.records("out"), &expected);
}

/// Ends the watcher of an output, which is no child of this process.
struct End<'s>(&'s Site, &'s str);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.0.status(self.1).and_then(|status| status["process"].as_u64()) {
            let _ = Command::new("kill").arg(process.to_string()).status();
        }
    }
}
