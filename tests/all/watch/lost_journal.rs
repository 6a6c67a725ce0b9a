//! Outputs whose journal is lost: what lies there stays, and what is to come goes on.

use super::*;

/// How soon hours are closed, and captures looked at.
const SOON: [&str; 8] = ["--rotation", "1s", "--grace", "0s", "--stable", "100ms", "--look", "1s"];

impl Site {
    fn lose_journal(&self, output: &str) {
        let own = self.path(output).join(".pcap-compactor");
        let entries = fs::read_dir(own).unwrap().map(|entry| entry.unwrap().path());
        let is_of_journal = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("watch.sqlite");
        let files: Vec<PathBuf> = entries.filter(is_of_journal).collect();
        assert!(!files.is_empty());
        files.iter().for_each(|file| fs::remove_file(file).unwrap());
    }
}

#[test]
fn hours_whose_captures_are_gone_stay_as_they_are() {
    let site = Site::new(5000, 2);
    let expected = site.expected(&site.parts);
    site.parts.iter().for_each(|part| site.arrive(part, true));
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);
    site.lose_journal("out");
    // As retention leaves them.
    let (last, gone) = site.parts.split_last().unwrap();
    gone.iter().for_each(|part| fs::remove_file(site.path("in/gate").join(part.file_name().unwrap())).unwrap());
    let ran = Ran::of(site.watch_aloud("out", &["--once", "--stable", "100ms"]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.said.contains(&format!("out: {} files of hours lie there", expected.len())), "{ran:?}");
    let second = expected.keys().filter(|path| ran.said.contains(path.to_str().unwrap())).count();
    assert!(second > 0 && second < expected.len(), "hours of which captures are there are named: {ran:?}");
    assert!(!ran.said.contains(" 0 records"), "{ran:?}");
    same(&site.records("out"), &expected);
    // A restart, as systemd's, changes nothing, nor does one that makes hours again.
    site.arrive(&gone[gone.len() - 2], true);
    let watcher = site.start("out", &SOON);
    let told = || site.status("out").filter(|status| status["process"] == watcher.0.id());
    until("its hour is over again", || {
        told().is_some_and(|status| status["troubles"].to_string().contains("are not written"))
    });
    assert_eq!(watcher.end(), Some(0));
    same(&site.records("out"), &expected);
    // Without the files that lie there, hours are made of what is there.
    for product in ["groups", "scans", "flows", "flows-cic", "buckets-1s"] {
        fs::rename(site.path("out").join(product), site.path(&format!("away-{product}"))).unwrap();
    }
    site.lose_journal("out");
    site.parts.iter().for_each(|part| site.arrive(part, true));
    assert_eq!(site.once("out"), Some(0));
    same(&site.records("out"), &expected);
    assert!(last.exists());
}

#[test]
fn what_is_not_out_is_made_as_if_nothing_was_lost() {
    let (site, before) = silent_around_the_hour();
    let expected = site.expected(&site.parts);
    let (early, rest) = site.parts.split_at(before + 5);
    early.iter().for_each(|part| site.arrive(part, true));
    let keep = ["--keep-captures", "1s", "--look", "1s"];
    let watcher = site.start("out", &keep);
    let there = || fs::read_dir(site.path("in/gate")).unwrap().count();
    until("captures go whose hour is out", || there() < early.len());
    watcher.kill();
    let lay = site.records("out");
    assert!(!lay.is_empty() && lay.len() < expected.len());
    site.lose_journal("out");
    rest.iter().for_each(|part| site.arrive(part, true));
    assert_eq!(site.once("out"), Some(0));
    let made = site.records("out");
    assert!(lay.iter().all(|(path, bytes)| made[path] == *bytes));
    same(&made, &expected);
}
