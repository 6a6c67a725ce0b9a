//! Lines that end before they are told to, and the pipeline with them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::traffic::{SENSOR, Traffic};
use crate::error::ErrorKind;
use crate::watch::Settings;
use crate::watch::health::Health;
use crate::watch::line::PANICS;
use crate::watch::pipeline::{Pipeline, lies_in};

/// Longer than anything here takes on a slow machine, and shorter than a line waits to begin again.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_line_that_panics_ends_the_pipeline_at_once_and_that_is_said() {
    let traffic = Traffic::new(2_000);
    let health = Arc::new(Health::new(LONG, 0));
    let mut pipeline = Pipeline::start(traffic.settings(), Arc::clone(&health)).unwrap();
    let folder = traffic.folder.path().join("in").join(PANICS);
    fs::create_dir(&folder).unwrap();
    fs::copy(&traffic.parts[0], folder.join("a.pcap")).unwrap();
    let error = pipeline.wait(LONG).expect("it goes on without a line").unwrap_err();
    let said = error.to_string();
    assert!(matches!(error.kind(), ErrorKind::Invariant(_)), "{said}");
    assert!(said.contains("the line of panics panicked: ") && said.contains("as is asked of it"), "{said}");
    let (well, why) = health.healthy();
    assert!(!well && why.contains("sensor panics: failed: "), "{why}");
    drop(pipeline);
    let error = Pipeline::once(traffic.settings(), health).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invariant(_)), "also where all is worked off once: {error}");
}

#[test]
fn a_journal_that_is_damaged_inside_ends_the_pipeline_and_is_not_tried_again() {
    let traffic = Traffic::new(2_000);
    let settings = Settings { retry_delay: LONG * 2, ..traffic.settings() };
    Pipeline::once(settings.clone(), Arc::new(Health::new(LONG, 0))).unwrap();
    let journal = settings.output.join(".pcap-compactor/watch.sqlite");
    let db = rusqlite::Connection::open(&journal).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM file").unwrap();
    drop(db);
    let health = Arc::new(Health::new(LONG, 0));
    let mut pipeline = Pipeline::start(settings, Arc::clone(&health)).unwrap();
    let error = pipeline.wait(LONG).expect("it is tried again").unwrap_err();
    let said = error.to_string();
    assert!(matches!(error.kind(), ErrorKind::DamagedJournal { .. }), "{said}");
    assert!(said.contains("damaged") && said.contains("to begin anew, move it"), "{said}");
    let (well, why) = health.healthy();
    assert!(!well && why.contains(&format!("sensor {SENSOR}: failed: ")), "{why}");
}

#[test]
fn a_folder_under_another_name_is_that_folder() {
    let around = tempfile::tempdir().unwrap();
    let [folder, other, apart] = ["captures", "other", "apart"].map(|name| around.path().join(name));
    fs::create_dir_all(folder.join("gate")).unwrap();
    fs::create_dir(&apart).unwrap();
    // As where it is mounted once more: no spelling tells.
    std::os::unix::fs::symlink(&folder, &other).unwrap();
    for inner in ["", "gate", "records", "gate/records"] {
        assert!(lies_in(&other.join(inner), &folder) && lies_in(&folder.join(inner), &other), "{inner}");
        assert!(!lies_in(&apart.join(inner), &folder) && !lies_in(&folder.join(inner), &apart), "{inner}");
    }
}
