//! Products by the capture: each capture has records by itself, those that the commands write.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::disturbed::kills;
use super::{Site, same, until};
use crate::command::{command, run};

/// Products, and the arguments of the commands that write the same.
const SAME: [(&str, &str, &[&str]); 5] = [
    ("flows:nexus/capture", "flows-nexus", &["flows", "--dialect", "nexus"]),
    ("flows:lycos@csv/capture", "flows-lycos", &["flows", "--dialect", "lycos"]),
    ("flows:cic-py/capture", "flows-cic-py", &["flows", "--dialect", "cic-py"]),
    ("flows:nf-v2/capture", "flows-nf-v2", &["flows", "--dialect", "nf-v2"]),
    ("flows:wa1kpcap/capture", "flows-wa1kpcap", &["flows", "--dialect", "wa1kpcap"]),
];

/// Few captures of many packets each.
fn site() -> Site {
    let mut site = Site::new(6000, 1);
    site.parts.drain(5..);
    site.products = SAME.iter().map(|(product, ..)| *product).collect();
    site
}

/// What the commands write of captures that lie in the sensor's folder by these names.
fn written(captures: &[(&str, &Path)]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for (_, name, arguments) in SAME {
        for (stem, capture) in captures {
            let ran = command(arguments).arg(capture).output().unwrap();
            all.insert(Path::new(name).join("gate").join(format!("{stem}.csv")), ran.stdout);
        }
    }
    all
}

fn stems(parts: &[PathBuf]) -> Vec<(&str, &Path)> {
    parts.iter().map(|part| (part.file_stem().unwrap().to_str().unwrap(), part.as_path())).collect()
}

#[test]
fn a_capture_has_the_records_that_the_command_writes_of_it() {
    let site = site();
    site.parts.iter().for_each(|part| site.arrive(part, true));
    assert_eq!(site.once("out"), Some(0));
    let expected = written(&stems(&site.parts));
    assert!(expected.values().all(|text| text.iter().filter(|byte| **byte == b'\n').count() > 1));
    same(&site.records("out"), &expected);
    // Nothing is made again.
    let path = site.path("out").join(expected.keys().next().unwrap());
    let made = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(site.once("out"), Some(0));
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
}

#[test]
fn hours_and_captures_go_beside_each_other_and_every_product_can_be_either() {
    let mut site = Site::new(6000, 1);
    site.parts.drain(5..);
    site.products = vec!["groups", "flows:cic"];
    let hours = site.expected(&site.parts);
    site.products = vec!["groups", "flows:cic", "flows/capture", "buckets:1s@csv/capture"];
    site.parts.iter().for_each(|part| site.arrive(part, true));
    assert_eq!(site.once("out"), Some(0));
    let (by_capture, by_hour): (BTreeMap<_, _>, BTreeMap<_, _>) = site
        .records("out")
        .into_iter()
        .partition(|(path, _)| path.starts_with("flows") || path.starts_with("buckets-1s"));
    same(&by_hour, &hours);
    let mut expected = BTreeMap::new();
    for (stem, part) in stems(&site.parts) {
        // A file by its path is of the sensor `local`.
        let flows = run([Path::new("flows"), "--by-sensor".as_ref(), part]);
        let text = flows.records().join("\n").replace("\"sensor\":\"local\"", "\"sensor\":\"gate\"") + "\n";
        expected.insert(Path::new("flows/gate").join(format!("{stem}.jsonl")), text.into_bytes());
        let width = ["buckets", "--by-sensor", "--format", "csv", "--every", "1s"];
        let buckets = run(width.iter().map(Path::new).chain([part]));
        let text = buckets.out.replace("\nlocal,", "\ngate,");
        expected.insert(Path::new("buckets-1s/gate").join(format!("{stem}.csv")), text.into_bytes());
    }
    same(&by_capture, &expected);
    site.products = vec!["groups/capture"];
    assert_eq!(site.once("groups"), Some(0));
    let groups = site.records("groups");
    let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    for (stem, part) in stems(&site.parts) {
        let rows = run([Path::new("compact"), part]);
        let of_type = |kind: &str| rows.lines().iter().filter(|line| line["type"] == kind).count();
        let [group, scan] =
            ["groups", "scans"].map(|name| lines(&groups[&PathBuf::from(format!("{name}/gate/{stem}.jsonl"))]));
        assert_eq!([group, scan], [of_type("group"), of_type("scan")], "{stem}");
        assert!(group > 0);
    }
}

#[test]
fn captures_of_one_name_in_other_folders_have_records_there() {
    let site = site();
    let [a, b, c, d, e] = &site.parts[..] else { panic!() };
    for (part, name) in [(a, "x.pcap"), (b, "m/x.pcap"), (c, "n/x.pcap"), (d, "x.pcap1"), (e, "x.y.pcap")] {
        let path = site.path("in/gate").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(part, path).unwrap();
    }
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &written(&[("x", a), ("m/x", b), ("n/x", c), ("x.pcap1", d), ("x.y", e)]));
    // Without an ending it would have the records of another: it is told, and takes the place of nothing.
    fs::copy(b, site.path("in/gate/x")).unwrap();
    assert_eq!(site.once("out"), Some(3));
    same(&site.records("out"), &written(&[("x", a), ("m/x", b), ("n/x", c), ("x.pcap1", d), ("x.y", e)]));
}

#[test]
fn of_a_damaged_capture_there_is_what_was_before_of_an_empty_one_a_header() {
    let site = site();
    let whole = fs::read(&site.parts[0]).unwrap();
    let [cut, header] = ["cut", "header"].map(|name| site.path("store").join(format!("{name}.pcap")));
    fs::write(&cut, &whole[..whole.len() / 2 + 7]).unwrap();
    fs::write(&header, &whole[..24]).unwrap();
    [&cut, &header].into_iter().for_each(|part| site.arrive(part, true));
    fs::write(site.path("in/gate/nothing.pcap"), "").unwrap();
    fs::write(site.path("in/gate/text.pcap"), "this is no capture").unwrap();
    assert_eq!(site.once("out"), Some(3));
    let expected = written(&[("cut", &cut), ("header", &header)]);
    assert!(expected.iter().all(|(path, text)| !path.ends_with("header.csv") || text.ends_with(b"\n")));
    same(&site.records("out"), &expected);
}

#[test]
fn a_capture_that_has_become_another_is_made_anew_and_a_late_one_is_not_late() {
    let site = site();
    let watcher = site.start("out", &["--stable", "100ms"]);
    let [late, grows, replaced, last, other] = &site.parts[..] else { panic!() };
    let place = |part: &Path| site.path("in/gate").join(part.file_name().unwrap());
    let whole = fs::read(grows).unwrap();
    fs::write(place(grows), &whole[..whole.len() / 2]).unwrap();
    site.arrive(replaced, true);
    site.arrive(last, true);
    until("three captures have records", || site.records("out").len() == 3 * SAME.len());
    fs::write(place(grows), &whole).unwrap();
    site.arrive(late, true);
    fs::copy(other, site.path("aside")).unwrap();
    fs::rename(site.path("aside"), place(replaced)).unwrap();
    let [late_name, grows_name, replaced_name, last_name] =
        [late, grows, replaced, last].map(|part| part.file_stem().unwrap().to_str().unwrap().to_owned());
    let expected = written(&[(&late_name, late), (&grows_name, grows), (&replaced_name, other), (&last_name, last)]);
    until("all are as they are now", || site.records("out") == expected);
    assert_eq!(watcher.end(), Some(0));
    same(&site.records("out"), &expected);
}

#[test]
fn a_kill_at_any_moment_changes_nothing_of_captures_either() {
    let mut site = site();
    site.products.push("groups");
    let expected = site.expected(&site.parts);
    kills(&site, &expected);
}

#[test]
fn captures_and_records_are_removed_by_age_when_records_are_out() {
    let site = site();
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let old = SystemTime::now() - Duration::from_secs(3600);
    for part in &site.parts {
        let file = fs::File::options().write(true).open(site.path("in/gate").join(part.file_name().unwrap())).unwrap();
        file.set_modified(old).unwrap();
    }
    let expected = written(&stems(&site.parts));
    let watcher = site.start("out", &["--keep-captures", "30min", "--look", "1s"]);
    until("captures are gone", || fs::read_dir(site.path("in/gate")).unwrap().next().is_none());
    assert_eq!(watcher.end(), Some(0));
    same(&site.records("out"), &expected);
    let watcher = site.start("out", &["--keep-records", "1s", "--look", "1s"]);
    until("records are gone", || site.records("out").is_empty());
    assert_eq!(watcher.end(), Some(0));
}

#[test]
fn captures_that_go_at_a_restart_are_not_lost_when_their_records_are_out() {
    let mut site = Site::new(6000, 1);
    site.products = vec!["flows:nexus/capture"];
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let watcher = site.start("out", &[]);
    until("records are out", || site.records("out").len() == site.parts.len());
    watcher.kill();
    let out = site.records("out");
    sleep(Duration::from_millis(1100));
    let watcher = site.start("out", &["--keep-captures", "1s", "--look", "1s"]);
    until("captures are gone", || fs::read_dir(site.path("in/gate")).unwrap().next().is_none());
    assert_eq!(watcher.end(), Some(0));
    let status = site.status("out").unwrap();
    assert_eq!((status["reasons"].to_string(), status["troubles"].to_string()), ("[]".into(), "[]".into()));
    same(&site.records("out"), &out);
}

#[test]
fn a_capture_that_is_renamed_has_its_records_under_its_name_and_what_takes_its_old_one_has_them_there() {
    let mut site = site();
    site.products.truncate(2);
    let [a, b, c, d, _] = &site.parts[..] else { panic!() };
    let place = |name: &str| site.path("in/gate").join(name);
    let rotate = |part: &Path| {
        for (from, to) in [("x2.pcap", "x3.pcap"), ("x1.pcap", "x2.pcap"), ("x.pcap", "x1.pcap")] {
            if place(from).exists() {
                fs::rename(place(from), place(to)).unwrap();
            }
        }
        fs::copy(part, site.path("aside")).unwrap();
        fs::rename(site.path("aside"), place("x.pcap")).unwrap();
    };
    let two = |captures: &[(&str, &Path)]| {
        let products = ["flows-nexus", "flows-lycos"];
        let all = written(captures).into_iter();
        all.filter(|(path, _)| products.iter().any(|product| path.starts_with(product))).collect::<BTreeMap<_, _>>()
    };
    // Between runs, and while it runs.
    rotate(a);
    assert_eq!(site.once("out"), Some(0));
    rotate(b);
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &two(&[("x", b), ("x1", a)]));
    let watcher = site.start("out", &["--stable", "100ms"]);
    for (part, expected) in
        [(c, two(&[("x", c), ("x1", b), ("x2", a)])), (d, two(&[("x", d), ("x1", c), ("x2", b), ("x3", a)]))]
    {
        rotate(part);
        until("each is under its name", || site.records("out") == expected);
    }
    // The old name has none where no other takes it, and a second name of one capture has its own.
    fs::rename(place("x3.pcap"), place("y.pcap")).unwrap();
    fs::hard_link(place("x1.pcap"), place("z.pcap")).unwrap();
    let expected = two(&[("x", d), ("x1", c), ("z", c), ("x2", b), ("y", a)]);
    until("the old name has none", || site.records("out") == expected);
    assert_eq!(watcher.end(), Some(0));
    // Nothing is made again.
    let path = site.path("out").join(expected.keys().next().unwrap());
    let made = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(site.once("out"), Some(0));
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
    // One without bytes that takes a name has none there.
    fs::rename(place("y.pcap"), place("y1.pcap")).unwrap();
    fs::write(place("y.pcap"), "").unwrap();
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &two(&[("x", d), ("x1", c), ("z", c), ("x2", b), ("y1", a)]));
}

#[test]
fn a_capture_whose_records_can_have_no_place_is_told_and_all_others_go_on() {
    let mut site = site();
    site.products = vec!["flows:nexus/capture", "buckets:1s/capture"];
    let [a, b, c, ..] = &site.parts[..] else { panic!() };
    let arrive = |part: &Path, name: &str| {
        let path = site.path("in/gate").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(part, site.path("aside")).unwrap();
        fs::rename(site.path("aside"), path).unwrap();
    };
    let out = || site.records("out").into_keys().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let records = |stems: &[&str]| {
        let products = [("buckets-1s", "jsonl"), ("flows-nexus", "csv")];
        let of = |(product, end)| stems.iter().map(move |stem| format!("{product}/gate/{stem}.{end}"));
        products.into_iter().flat_map(of).collect::<Vec<_>>()
    };
    arrive(a, "a.pcap");
    arrive(a, "d.csv/x.pcap");
    assert_eq!(site.once("out"), Some(0));
    assert_eq!(out(), records(&["a", "d.csv/x"]));
    let watcher = site.start("out", &["--stable", "100ms"]);
    // A folder where a file is, a file where a folder is, and a name that is too long with another ending.
    let long = format!("{}.pcap", "n".repeat(250));
    for name in ["a.csv/x.pcap", "d.pcap", &long] {
        arrive(b, name);
    }
    arrive(c, "z.pcap");
    until("the last one has records", || out() == records(&["a", "d.csv/x", "z"]));
    let told = || site.status("out").map_or(String::new(), |status| status["troubles"].to_string());
    until("each is told", || {
        ["a.csv/x.pcap: its", "d.pcap: its", &format!("{long}: its")].iter().all(|name| told().contains(name))
    });
    assert_eq!(told().matches("have no place; rename it").count(), 3, "{}", told());
    assert_eq!(watcher.end(), Some(3));
    assert_eq!(site.once("out"), Some(3));
    assert_eq!(out(), records(&["a", "d.csv/x", "z"]));
    // Under other names they have some.
    for (name, new) in [("a.csv/x.pcap", "x.pcap"), ("d.pcap", "e.pcap"), (&long, "n.pcap")] {
        fs::rename(site.path("in/gate").join(name), site.path("in/gate").join(new)).unwrap();
    }
    assert_eq!(site.once("out"), Some(0));
    assert_eq!(out(), records(&["a", "d.csv/x", "e", "n", "x", "z"]));
}

#[test]
fn a_capture_that_gets_no_records_goes_for_its_age_like_one_that_has_them() {
    let mut site = site();
    for products in [vec!["flows:nexus/capture"], vec!["flows:nexus/capture", "groups"]] {
        let output = format!("out{}", products.len());
        site.products = products;
        let old = SystemTime::now() - Duration::from_secs(3600);
        for (part, name) in site.parts.iter().zip(["x.pcap", "x"]) {
            fs::copy(part, site.path("aside")).unwrap();
            fs::File::options().write(true).open(site.path("aside")).unwrap().set_modified(old).unwrap();
            fs::rename(site.path("aside"), site.path("in/gate").join(name)).unwrap();
        }
        let more = ["--keep-captures", "30min", "--look", "1s", "--rotation", "1s", "--grace", "1s"];
        let watcher = site.start(&output, &more);
        until("both are gone", || fs::read_dir(site.path("in/gate")).unwrap().next().is_none());
        until("it is counted", || site.status(&output).is_some_and(|status| status["removed_unread"] == 1));
        watcher.end();
    }
}

#[test]
fn a_capture_that_goes_to_another_sensor_stays_with_its_own() {
    let mut site = site();
    site.products = vec!["groups", "flows:nexus/capture"];
    let expected = site.expected(&site.parts);
    let [first, ..] = &site.parts[..] else { panic!() };
    site.parts.iter().for_each(|part| site.arrive(part, true));
    let watcher = site.start("out", &["--stable", "100ms"]);
    let read = |status: serde_json::Value| status["sensors"][0]["files"] == site.parts.len();
    until("all are read", || site.status("out").is_some_and(read));
    let name = first.file_name().unwrap();
    fs::create_dir(site.path("in/other")).unwrap();
    fs::rename(site.path("in/gate").join(name), site.path("in/other").join(name)).unwrap();
    let told = "was read as of the sensor gate, which keeps its records";
    until("it is told", || site.status("out").is_some_and(|status| status["troubles"].to_string().contains(told)));
    assert_eq!(watcher.end(), Some(0));
    // Hours to come need it, where it lies now.
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);
    // What has its records with another may go for its age.
    let file = fs::File::options().write(true).open(site.path("in/other").join(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    // As long as it is open it stays.
    drop(file);
    let watcher = site.start("out", &["--keep-captures", "30min", "--look", "1s"]);
    until("it is gone", || !site.path("in/other").join(name).exists());
    assert_eq!(watcher.end(), Some(0));
    same(&site.records("out"), &expected);
}
