//! The commands `watch` and `status` as an administrator meets them: wrong words, settings, signals, and what they tell.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::time::Timestamp;
use tempfile::TempDir;

use crate::command::{Ran, command, run};
use crate::run::gzip;

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// A folder with `captures`, where there is one, and a place for records.
struct Site(TempDir);

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("captures")).unwrap();
        let capture = dir.path().join("captures/a.pcap");
        assert_eq!(run([Path::new("synth"), &capture, "--packets".as_ref(), "2000".as_ref()]).code, Some(0));
        Site(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `watch` in that folder.
    fn watch(&self, arguments: &[&str]) -> Command {
        let mut watch = command(["watch"]);
        watch.args(arguments).current_dir(self.0.path());
        watch
    }

    fn ran(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.watch(arguments).output().unwrap())
    }

    fn status(&self, more: &[&str]) -> Ran {
        let mut status = command(["status", "records"]);
        Ran::of(status.args(more).current_dir(self.0.path()).output().unwrap())
    }

    /// A program in the place of tcpdump, of these lines; its folder is first in the PATH that is handed over.
    fn tcpdump(&self, lines: &str) -> String {
        let folder = self.path("bin");
        fs::create_dir_all(&folder).unwrap();
        // Another process writes it: one that is forked meanwhile would hold ours open, and such a file cannot be run.
        let mut write = Command::new("sh");
        write.args(["-c", "cat > \"$0\" && chmod +x \"$0\""]).arg(folder.join("tcpdump")).stdin(Stdio::piped());
        let mut child = write.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{lines}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
    }
}

/// A watcher that ends with the test, and what it says.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(site: &Site, mut watch: Command) -> Running {
        let log = site.path("said");
        let child = watch.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        Running { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has said something, and hands over the line.
    fn until(&mut self, text: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            let said = self.said();
            if let Some(line) = said.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let over = self.child.try_wait().unwrap();
            assert!(over.is_none() && Instant::now() < end, "`{text}` is not said: {over:?}\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn code(&mut self) -> Option<i32> {
        let end = Instant::now() + LONG;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of a server: its first line, and its body.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn wrong_words_are_refused_with_the_right_ones() {
    let site = Site::new();
    fs::write(site.path("bad.toml"), "rotatoin = \"60s\"\n").unwrap();
    fs::write(site.path("minutes.toml"), "window_seconds = 60\n").unwrap();
    let (table, other) = match cfg!(feature = "tables") {
        true => ("groups@parquets", "there is no format `parquets`, but csv, jsonl, parquet and arrow"),
        false => ("groups@parquet", "build it with `cargo build --release --features full`"),
    };
    let cases: [(&[&str], &str); 21] = [
        (&["--settings", "missing.toml"], "missing.toml: cannot read: "),
        (
            &["captures", "-o", "records", "--product", "groups", "--config", "missing.toml"],
            "missing.toml: cannot read",
        ),
        (
            &["captures", "-o", "records", "--product", "groups", "--config", "minutes.toml"],
            "windows of groups are whole hours here",
        ),
        (&[], "name the folder to watch"),
        (&["captures"], "name the folder for records"),
        (&["captures", "-o", "records"], "name what is to be made (--product)"),
        (&["captures", "-o", "records", "--product", "grups"], "groups"),
        (&["captures", "-o", "records", "--product", "groups", "--product", "groups"], "groups is made already"),
        (
            &["captures", "-o", "records", "--product", "flows:nexus"],
            "no hour would ever be complete; take flows:nexus@csv/capture, which has a file for each capture",
        ),
        (&["captures", "-o", "records", "--product", table], other),
        (
            &["captures", "-o", "records", "--product", "groups/minute"],
            "there is no layout `minute`, but hour and capture",
        ),
        (
            &["captures", "-o", "records", "--product", "groups", "--product", "groups/capture"],
            "groups is made already",
        ),
        (&["captures", "-o", "captures/records", "--product", "groups"], "captures/records lies in captures: "),
        (&["captures", "-o", ".", "--product", "groups"], "captures lies in .: "),
        (&["captures", "-o", "captures", "--product", "groups"], "name another --output"),
        (&["nowhere", "-o", "records", "--product", "groups"], "nowhere: there is no such folder to watch"),
        (&["captures", "-o", "records", "--product", "groups", "--rotation", "2d"], "out of bounds: 1s to 1d"),
        (&["captures", "-o", "records", "--product", "groups", "--bpf", "tcp"], "name the interface with --capture"),
        (
            &["captures", "-o", "records", "--product", "groups", "--listen", "0.0.0.0:0"],
            "only addresses of this machine",
        ),
        (&["captures", "-o", "records", "--product", "groups", "--capture", "a;b"], "is no name of an interface"),
        (&["--settings", "bad.toml"], "bad.toml: line 1: there is no setting `rotatoin`; the nearest is `rotation`"),
    ];
    for (arguments, told) in cases {
        let ran = site.ran(arguments);
        assert!(ran.code == Some(2) && ran.said.contains(told), "{arguments:?}: {ran:?}");
        assert_eq!(ran.said.lines().count(), 1, "it is all that is said: {ran:?}");
    }
    assert!(!site.path("records").exists(), "nothing is made for a wrong word");
}

#[test]
fn an_output_that_cannot_be_taken_is_all_that_is_said() {
    let site = Site::new();
    let once = ["captures", "-o", "records", "--once", "--product"];
    std::os::unix::fs::symlink("nowhere", site.path("records")).unwrap();
    let ran = site.ran(&[&once[..], &["groups"]].concat());
    assert!(ran.code == Some(1) && ran.said.contains("it is a link to nothing; make the folder"), "{ran:?}");
    fs::create_dir(site.path("nowhere")).unwrap();
    assert_eq!(site.ran(&[&once[..], &["groups"]].concat()).code, Some(0));
    let ran = site.ran(&[&once[..], &["flows"]].concat());
    let told =
        "its hours were made with other settings (products dropped: groups@jsonl, added: flows@jsonl); take these";
    assert!(ran.code == Some(2) && ran.said.contains(told), "{ran:?}");
    assert_eq!(ran.said.lines().count(), 1, "{ran:?}");
    let ran = site.ran(&[&once[..], &["groups", "--product", "flows"]].concat());
    assert!(ran.said.contains("with other settings (products added: flows@jsonl); take these"), "{ran:?}");
    fs::write(site.path("groups.toml"), "idle_split_seconds = 60\n").unwrap();
    let ran = site.ran(&[&once[..], &["groups", "--config", "groups.toml"]].concat());
    let told = "with other settings ([groups] idle_split_seconds = 60 (was 120)); take these";
    assert!(ran.code == Some(2) && ran.said.contains(told), "{ran:?}");
}

#[test]
fn a_pipe_in_the_place_of_a_status_is_not_waited_for() {
    for name in ["status.json", "watch.lock"] {
        let site = Site::new();
        let own = site.path("records/.pcap-compactor");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("status.json"), "").unwrap();
        let _ = fs::remove_file(own.join(name));
        assert!(Command::new("mkfifo").arg(own.join(name)).status().unwrap().success());
        if name == "watch.lock" {
            fs::remove_file(own.join("status.json")).unwrap();
            fs::write(own.join("watch.sqlite"), "").unwrap();
        }
        let mut status = command(["status", "records"]);
        let child = status.current_dir(site.0.path()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut running = Running { child, log: site.path("said") };
        fs::write(&running.log, "").unwrap();
        assert_eq!(running.code(), Some(1), "{name}");
        let mut said = String::new();
        running.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains(&format!("{name}: cannot read: it is no regular file")), "{said}");
    }
}

#[test]
fn settings_that_are_said_to_have_changed_while_they_are_read_end_nothing() {
    let site = Site::new();
    let pipe = site.path("settings.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let watch = site.watch(&["captures", "-o", "records", "--product", "groups", "--settings", "settings.toml"]);
    let mut running = Running::start(&site, watch);
    // Nobody waits for it longer than it waits for us.
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    running.signal("HUP");
    fs::write(site.path("whole.toml"), "grace = \"2s\"\n").unwrap();
    fs::rename(site.path("whole.toml"), &pipe).unwrap();
    writer.write_all(b"grace = \"1s\"\n").unwrap();
    drop(writer);
    running.until("settings.toml: read again");
    running.signal("TERM");
    assert_eq!(running.code(), Some(0), "{}", running.said());
}

#[test]
fn what_tcpdump_lacks_is_said_with_what_helps() {
    let site = Site::new();
    let arguments = ["captures", "-o", "records", "--product", "groups", "--capture", "no-such-eth"];
    let with = |path: &str| Ran::of(site.watch(&arguments).env("PATH", path).output().unwrap());
    let cases = [
        ("No such device exists", "there is no such interface; there are ", 2),
        ("You don't have permission to capture on that device", "setcap cap_net_raw", 1),
    ];
    for (words, told, code) in cases {
        let ran = with(&site.tcpdump(&format!("echo \"tcpdump: no-such-eth: {words}\" >&2; exit 1")));
        assert!(ran.code == Some(code) && ran.said.contains(told), "{ran:?}");
    }
    // Where it is looked for whatever PATH says.
    let installed = ["/usr/sbin/tcpdump", "/sbin/tcpdump"].iter().any(|place| Path::new(place).exists());
    if !installed {
        let ran = with("/nonexistent");
        assert!(ran.code == Some(1) && ran.said.contains("apt install tcpdump"), "{ran:?}");
    }
}

#[test]
fn printed_settings_are_a_settings_file() {
    let site = Site::new();
    let printed = site.ran(&[
        "captures",
        "-o",
        "records",
        "--product",
        "flows:nexus/capture",
        "--keep-captures",
        "30min",
        "--print-settings",
    ]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(printed.out.contains("\nproducts = [\"flows:nexus/capture\"]\n"), "{printed:?}");
    assert!(printed.out.contains("\nkeep_captures = \"30min\"\n") && printed.out.contains("\n[groups]\n"));
    fs::write(site.path("settings.toml"), &printed.out).unwrap();
    assert_eq!(site.ran(&["--settings", "settings.toml", "--print-settings"]).out, printed.out);
    let other = site.ran(&["--settings", "settings.toml", "--workers", "7", "--print-settings"]);
    let changed: Vec<(&str, &str)> =
        printed.out.lines().zip(other.out.lines()).filter(|(before, after)| before != after).collect();
    assert_eq!(changed, [("workers = 2", "workers = 7")]);
}

#[test]
fn the_first_steps_of_the_page_work_one_after_the_other() {
    let page = include_str!("../../docs/sensor.md");
    let site = Site::new();
    let steps: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("pcap-compactor watch "))
        .map(|step| step.split(' ').collect())
        .filter(|step: &Vec<&str>| !step.iter().any(|word| word.contains('/')))
        .collect();
    let steps: Vec<&[&str]> = steps.iter().map(Vec::as_slice).collect();
    let &[first, &[ref print @ .., ">", file], last] = &steps[..] else { panic!("{steps:?}") };
    let once = ["--once", "--stable", "100ms"];
    assert_eq!(site.ran(&[first, &once[..]].concat()).code, Some(0));
    let printed = site.ran(print);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    fs::write(site.path(file), printed.out).unwrap();
    let ran = site.ran(&[last, &once[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_watcher_tells_how_it_is_until_it_is_asked_to_stop() {
    let site = Site::new();
    fs::write(site.path("settings.toml"), "grace = \"1s\"\n").unwrap();
    let arguments = "captures -o records --product groups --settings settings.toml --listen 127.0.0.1:0 --log-file logs --stop-limit 50s";
    let mut running = Running::start(&site, site.watch(&arguments.split(' ').collect::<Vec<_>>()));
    let line = running.until("metrics are at http://");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    // `[2025-10-19 15:00:00] INFO - Watch - ...`
    assert!(line.starts_with('[') && line[20..].starts_with("] INFO - Watch - "), "{line}");
    running.until("captures -> records: groups");
    let slow = TcpStream::connect(address).unwrap();
    let (head, body) = get(address, "/healthz");
    drop(slow);
    assert_eq!((head.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "ok\n"));
    let (head, body) = get(address, "/metrics");
    assert!(head == "HTTP/1.1 200 OK" && body.contains("\npcap_compactor_healthy 1\n"), "{body}");
    assert_eq!(get(address, "/other").0, "HTTP/1.1 404 Not Found");
    let end = Instant::now() + LONG;
    while !site.path("records/.pcap-compactor/status.json").exists() {
        assert!(Instant::now() < end, "{}", running.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = site.status(&[]);
    assert!(told.code == Some(0) && told.out.contains("records: the watcher runs (process "), "{told:?}");
    assert!(told.out.contains(" free, of which "), "the disk is known from the start: {told:?}");

    fs::write(site.path("settings.toml"), "grace = \"2s\"\nproducts = [\"flows\"]\nlook = \"5s\"\n").unwrap();
    running.signal("HUP");
    running.until("settings.toml: read again: grace = \"2s\" (was \"1s\"), look = \"5s\" (was \"30s\")");
    running.signal("HUP");
    running.until("settings.toml: read again: it changes nothing");
    assert!(!running.said().contains("cannot change"), "the argument wins over the file's products");
    fs::write(site.path("settings.toml"), "listen = \"127.0.0.1:1\"\nlog_size = \"5MB\"\n").unwrap();
    running.signal("HUP");
    running.until("WARNING - Watch - log_size cannot change while it runs; restart for that");
    fs::write(site.path("settings.toml"), "grace = 1\n").unwrap();
    running.signal("HUP");
    running.until("ERROR - Watch - the settings stay as they were: settings.toml: line 1: ");

    running.signal("TERM");
    assert_eq!(running.code(), Some(0), "{}", running.said());
    let said = running.said();
    assert!(said.contains("stopping: finishing what is there, within 50s; a second signal stops at once"), "{said}");
    let told = site.status(&[]);
    assert!(told.code == Some(3) && told.out.contains("no watcher runs; this is how it was at "), "{told:?}");
    let told = site.status(&["--json"]);
    let value: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&value["running"], &value["status"]["stopping"]), (&false.into(), &true.into()), "{value}");
    let logs: Vec<PathBuf> = fs::read_dir(site.path("logs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(logs.len(), 1);
    assert_eq!(fs::read_to_string(&logs[0]).unwrap(), said, "the file has what was said");
}

#[test]
fn messages_that_cannot_be_written_are_lost_and_nothing_else() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let site = Site::new();
    let records = |folder: &str| {
        let all = walkdir::WalkDir::new(site.path(folder).join("groups")).into_iter().filter_map(Result::ok);
        all.filter(|entry| entry.file_type().is_file()).count()
    };
    let once = ["captures", "-o", "once", "--product", "groups", "--once", "--stable", "100ms", "--log-file", "logs"];
    assert_eq!(site.watch(&once).stderr(full()).status().unwrap().code(), Some(0));
    assert!(records("once") > 0);
    let log = fs::read_dir(site.path("logs")).unwrap().next().unwrap().unwrap().path();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("INFO - Line - read") && log.contains("1 file read, "), "{log}");
    let compact =
        command(["compact", "-v", "captures", "-o", "compact"]).current_dir(site.0.path()).stderr(full()).status();
    assert_eq!(compact.unwrap().code(), Some(0));

    // Who reads them is gone when something happens.
    for format in ["text", "json"] {
        let folder = format!("records-{format}");
        let more = ["--rotation", "1s", "--grace", "0s", "--stable", "100ms", "--log-format", format];
        let watch = &mut site.watch(&["captures", "-o", &folder, "--product", "groups"]);
        let mut child = watch.args(more).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        let mut running = Running { child, log: site.path("settings.toml") };
        let end = Instant::now() + LONG;
        while records(&folder) == 0 {
            assert!(running.child.try_wait().unwrap().is_none() && Instant::now() < end, "nothing is out: {folder}");
            std::thread::sleep(Duration::from_millis(20));
        }
        running.signal("TERM");
        assert_eq!(running.code(), Some(0), "{folder}");
    }
}

#[test]
fn messages_are_json_if_that_is_wanted() {
    let site = Site::new();
    let ran = site.ran(&["captures", "-o", "records", "--product", "groups", "--once", "--log-format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<serde_json::Value> = ran.said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines.iter().any(|line| line["level"] == "INFO" && line["message"] == "captures -> records: groups"),
        "{ran:?}"
    );
    let told = site.status(&[]);
    assert!(told.code == Some(3) && told.out.starts_with("records: no watcher runs"), "{told:?}");
}

#[test]
fn our_own_capture_goes_into_the_folder_and_ends_with_the_watcher() {
    let site = Site::new();
    fs::rename(site.path("captures/a.pcap"), site.path("a.pcap")).unwrap();
    let path = site.tcpdump(&format!(
        "case \" $* \" in *' -d '*) exit 0;; esac\n\
         echo 'tcpdump: listening on lo, link-type EN10MB' >&2\n\
         trap 'printf \"7 packets captured\\n9 packets received by filter\\n2 packets dropped by kernel\\n\" >&2; exit 0' INT\n\
         cat '{}'\nwhile :; do sleep 0.1; done",
        site.path("a.pcap").display()
    ));
    let mut watch =
        site.watch(&["captures", "-o", "records", "--product", "groups", "--capture", "lo", "--rotate", "1h"]);
    watch.env("PATH", path);
    let mut running = Running::start(&site, watch);
    running.until("INFO - Capture - capturing on lo into captures");
    let line = running.until("INFO - Capture - tcpdump captures, as process ");
    let process = Path::new("/proc").join(line.rsplit(' ').next().unwrap());
    let end = Instant::now() + LONG;
    while fs::read_dir(site.path("captures")).unwrap().next().is_none() {
        assert!(Instant::now() < end, "{}", running.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("INT");
    assert_eq!(running.code(), Some(0), "{}", running.said());
    assert!(!process.exists(), "{} is there still", process.display());
    let said = running.said();
    assert!(said.contains(".pcap: finished, "), "{said}");
    assert!(said.contains("WARNING - Capture - 7 captured, 9 received by filter; 2 packets dropped"), "{said}");
    let told = site.status(&["--json"]);
    let value: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (&value["status"]["capture"]["running"], &value["status"]["capture"]["dropped"]),
        (&false.into(), &2.into())
    );
}

#[test]
fn a_folder_that_nobody_watched_has_no_status() {
    let site = Site::new();
    fs::create_dir(site.path("records")).unwrap();
    let told = site.status(&[]);
    assert!(told.code == Some(1) && told.said.contains("records: no watcher has written there"), "{told:?}");
}

#[test]
fn a_signal_lets_a_run_of_what_is_there_finish_the_file_that_it_reads() {
    let site = Site::new();
    fs::remove_file(site.path("captures/a.pcap")).unwrap();
    let names: Vec<String> = (0..60).map(|nth| format!("captures/{nth:02}.pcap")).collect();
    for (nth, name) in names.iter().enumerate() {
        let (path, seed) = (site.path(name), nth.to_string());
        let synth = ["synth", path.to_str().unwrap(), "--packets", "3000", "--seed", &seed];
        assert_eq!(run(synth).code, Some(0));
    }
    let once = ["captures", "-o", "records", "--product", "groups", "--once"];
    let mut running = Running::start(&site, site.watch(&once));
    running.until("INFO - Line - read ");
    running.signal("TERM");
    let code = running.code();
    let said = running.said();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("stopping: finishing the file that is read, within 60s; a second signal"), "{said}");
    assert!(
        said.contains(" left for the next start") && said.contains("stopped; run it again for what is left"),
        "{said}"
    );
    let read = said.matches("INFO - Line - read ").count();
    assert!(read < names.len() && said.contains(&format!("{read} file")), "{said}");
    let ran = site.ran(&once);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let again = ran.said.matches("INFO - Line - read ").count();
    assert_eq!(read + again, names.len(), "each is read for the first time once: {said}{}", ran.said);
}

#[test]
fn what_is_no_capture_stays_where_it_is_and_a_link_is_no_file_that_is_left() {
    let site = Site::new();
    let place = |name: &str| site.path("captures").join(name);
    for (name, bytes) in [("notes.txt", &b"text"[..]), ("empty", b""), ("bad.pcap", b"text")] {
        fs::write(place(name), bytes).unwrap();
    }
    // It is compressed, and may have been a capture.
    fs::write(place("notes.gz"), gzip(b"text, and no packets in it at all")).unwrap();
    std::os::unix::fs::symlink("a.pcap", place("link.pcap")).unwrap();
    let arguments = "captures -o records --product groups --once --stable 100ms --retry-delay 10ms";
    for (start, code) in [3, 0].into_iter().enumerate() {
        let ran = site.ran(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        for name in ["notes.txt", "empty"] {
            let told = format!(" and is not read path=captures/{name}");
            assert_eq!(ran.said.matches(&told).count(), 1, "{told}: {ran:?}");
        }
        assert!(ran.said.contains("captures/link.pcap: cannot take: it is a link"), "{ran:?}");
        assert!(!ran.said.contains("left for the next start"), "{ran:?}");
        for name in ["bad.pcap", "notes.gz"] {
            assert_eq!(ran.said.contains(&format!("path=captures/{name}")), start == 0, "{ran:?}");
            assert!(site.path(&format!("records/quarantine/local/{name}.reason.txt")).exists(), "{name}");
        }
    }
    let stay = ["notes.txt", "empty", "notes.gz", "link.pcap", "a.pcap"];
    assert!(stay.iter().all(|name| place(name).exists()) && !place("bad.pcap").exists());
}

#[test]
fn what_was_put_aside_and_is_put_back_is_tried_again() {
    let site = Site::new();
    let aside = |name: &str| site.path("records/quarantine").join(name);
    let report = |name: &str| fs::read_to_string(aside(&format!("{name}.reason.txt"))).unwrap();
    let once = || {
        site.ran(
            &"captures -o records --product groups --once --stable 100ms --retry-delay 10ms"
                .split(' ')
                .collect::<Vec<_>>(),
        )
    };
    let [bad, notes, early] = ["bad.pcap", "notes.gz", "early.pcap"].map(|name| site.path("captures").join(name));
    fs::write(&bad, b"text").unwrap();
    fs::write(&notes, gzip(b"text, and no packets in it at all")).unwrap();
    // Of a time that is believed in four seconds.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let of = now + Duration::from_secs(24 * 3600 + 4);
    let mut writer = PcapWriter::new(fs::File::create(&early).unwrap(), PcapLayout::default()).unwrap();
    let time = Timestamp(of.as_nanos() as i64);
    writer.record(time, 60, &[0; 60]).unwrap();
    writer.finish().unwrap();
    let ran = once();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        notes.exists() && report("local/notes.gz").ends_with("left where it is, as it is not named as a capture\n")
    );
    for name in ["local/bad.pcap", "local/early.pcap"] {
        assert!(
            aside(name).exists() && report(name).ends_with("moved here; put it back to have it tried again\n"),
            "{name}"
        );
    }
    let ran = once();
    assert_eq!(ran.code, Some(0), "nothing is tried that stays as it is: {ran:?}");

    // Into the folder of another sensor, where it is of that.
    let other = site.path("captures/other");
    fs::create_dir(&other).unwrap();
    fs::rename(aside("local/bad.pcap"), other.join("bad.pcap")).unwrap();
    fs::rename(aside("local/early.pcap"), &early).unwrap();
    thread::sleep(Duration::from_secs(5));
    let ran = once();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.said.matches("was put aside, and is tried again").count(), 2, "{ran:?}");
    assert!(ran.said.contains("early.pcap sensor=local packets=1") && early.exists(), "{ran:?}");
    assert!(!aside("local/bad.pcap.reason.txt").exists() && !aside("local/early.pcap.reason.txt").exists());
    assert!(aside("other/bad.pcap").exists() && report("other/bad.pcap").contains("captures/other/bad.pcap\n"));
    assert_eq!(once().code, Some(0));
    // Another of its name has another.
    fs::write(other.join("bad.pcap"), b"other text").unwrap();
    assert_eq!(once().code, Some(3));
    assert!(report("other/bad.pcap.1").contains("tried 3 times"));
}

#[test]
fn a_signal_that_comes_while_it_starts_ends_it_well_and_a_second_one_at_once() {
    let site = Site::new();
    crate::command::fifo(site.0.path());
    for (signals, code) in [(1, 0), (2, 143)] {
        let arguments = "captures -o records --product groups --settings fifo";
        let mut running = Running::start(&site, site.watch(&arguments.split(' ').collect::<Vec<_>>()));
        // It reads this by then.
        let mut settings = fs::File::options().write(true).open(site.path("fifo")).unwrap();
        for _ in 0..signals {
            running.signal("TERM");
            std::thread::sleep(Duration::from_millis(100));
        }
        // Where two came, nobody may be there any more.
        let _ = settings.write_all(b"grace = \"1s\"\n");
        drop(settings);
        assert_eq!(running.code(), Some(code), "{}", running.said());
        assert_eq!(running.said().contains("stopping: finishing what is there"), signals == 1, "{}", running.said());
    }
}
