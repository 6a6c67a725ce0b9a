//! Lines are there while their sensors have something to do, and begin again where they stood.

use super::*;

const AT_ONCE: [&str; 8] = ["--stable", "100ms", "--rotation", "1s", "--grace", "0s", "--look", "1s"];

/// Whether a sensor has a line.
fn has_line(watcher: &Watcher, sensor: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", watcher.0.id())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim_end() == format!("watch {sensor}"))
}

#[test]
fn a_line_that_has_ended_goes_on_where_it_stood() {
    let mut site = Site::by(Duration::from_secs(600), 4000, 3);
    // Where the clock closes an hour in it, a gap of buckets has its rows in the next, whether or not a line ends.
    site.products.retain(|product| !product.starts_with("buckets"));
    let expected = quiet(site.expected(&site.parts));
    let watcher = site.start("out", &AT_ONCE);
    let mut read = 0;
    // In the middle of an hour, at its end, and behind that.
    for parts in [&site.parts[..4], &site.parts[4..6], &site.parts[6..7], &site.parts[7..]] {
        parts.iter().for_each(|part| site.arrive(part, true));
        read += parts.len();
        let files = || site.status("out").is_some_and(|status| status["sensors"][0]["files"] == read);
        until("all files are read, and those from before counted", files);
        until("the line ends", || !has_line(&watcher, "gate"));
    }
    let status = site.status("out").unwrap();
    assert_eq!((&status["sensors"][0]["live_flows"], &status["healthy"]), (&0.into(), &true.into()), "{status}");
    assert_eq!(watcher.end(), Some(0));
    assert_eq!(site.once("out"), Some(0));
    same(&quiet(site.records("out")), &expected);
}

#[test]
fn sensors_that_are_finished_have_no_line_at_a_start() {
    let site = Site::by(Duration::from_secs(600), 1000, 1);
    site.parts[..3].iter().for_each(|part| site.arrive(part, true));
    let watcher = site.start("out", &AT_ONCE);
    until("hours are out", || site.records("out").len() > 2);
    until("the line ends", || !has_line(&watcher, "gate"));
    assert_eq!(watcher.end(), Some(0));
    let captures = fs::read_dir(site.path("in/gate")).unwrap().map(|entry| entry.unwrap().path());
    let captures: Vec<PathBuf> = captures.collect();
    let aside = site.path("away");
    fs::create_dir(&aside).unwrap();
    for path in &captures {
        fs::rename(path, aside.join(path.file_name().unwrap())).unwrap();
    }
    fs::remove_file(site.path("out/.pcap-compactor/status.json")).unwrap();
    let watcher = site.start("out", &AT_ONCE);
    let mut begun = false;
    until("it works", || {
        begun |= has_line(&watcher, "gate");
        site.status("out").is_some()
    });
    assert!(!begun, "nothing is to be done for it");
    for path in &captures {
        fs::rename(aside.join(path.file_name().unwrap()), path).unwrap();
    }
    until("a file comes, and the line begins", || has_line(&watcher, "gate"));
    assert_eq!(watcher.end(), Some(0));
}

#[test]
fn a_sensor_whose_hours_are_open_goes_on_at_a_start_without_a_file() {
    let site = Site::by(Duration::from_secs(600), 1000, 1);
    site.parts[..3].iter().for_each(|part| site.arrive(part, true));
    let watcher = site.start("out", &["--stable", "100ms", "--rotation", "1h"]);
    until("files are read", || site.status("out").is_some_and(|status| status["sensors"][0]["files"] == 3));
    assert!(has_line(&watcher, "gate"), "its hour is open");
    assert_eq!(watcher.end(), Some(0));
    assert!(site.records("out").is_empty());
    let watcher = site.start("out", &AT_ONCE);
    until("the hour is out", || site.records("out").len() > 2);
    until("the line ends", || !has_line(&watcher, "gate"));
    assert_eq!(watcher.end(), Some(0));
}
