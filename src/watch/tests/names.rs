//! Files that have two names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::silent::{captures, udp};
use super::traffic::{SENSOR, Traffic, Work, compare};
use super::{metric, wait};
use crate::watch::journal::{Fed, Journal};
use crate::watch::line::Order;
use crate::watch::{Identity, Settings};

pub(super) fn without(parts: &[PathBuf], one: &Path) -> Vec<PathBuf> {
    parts.iter().filter(|part| *part != one).cloned().collect()
}

#[test]
fn a_file_with_two_names_is_read_once() {
    let traffic = Traffic::new(3000);
    let (twice, late) = (&traffic.parts[10], &traffic.parts[12]);
    let names = [twice, late].map(|part| {
        let second = part.with_extension("copy.pcap");
        fs::hard_link(part, &second).unwrap();
        [part.clone(), second]
    });
    let others = [without(&traffic.parts, late), names[0][1..].to_vec()].concat();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    wait(&work, traffic.parts.len() as u64 - 1);
    work.tell(Order::Complete(traffic.arrivals(&names[1])));
    let ended = work.finish(true);
    assert_eq!((ended.files, ended.packets, ended.quarantined), (traffic.parts.len() as u64, 3000, 0));
    compare(&traffic.made(), &traffic.expected());
}

#[test]
fn a_file_that_another_sensor_takes_meanwhile_stays_there() {
    let traffic = Traffic::new(3000);
    let (late, theirs) = (&traffic.parts[10], traffic.folder.path().join("theirs.pcap"));
    fs::hard_link(late, &theirs).unwrap();
    let others = without(&traffic.parts, late);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&others)));
    wait(&work, others.len() as u64);
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(late))));
    // It waits until no more late ones come.
    thread::sleep(Duration::from_millis(200));
    let fed = Fed { path: theirs, identity: Identity::of(late).unwrap(), first: None, next: None };
    Journal::open(&traffic.output()).unwrap().fed("other", &fed).unwrap();
    let health = Arc::clone(&work.health);
    assert_eq!(work.finish(true).files, others.len() as u64);
    let troubles = health.status().troubles;
    let said = format!("{}: was read as of the sensor other", late.display());
    assert!(troubles.iter().any(|trouble| trouble.text.starts_with(&said)), "{troubles:?}");
}

#[test]
fn a_capture_that_grows_and_is_renamed_before_its_hour_is_read_has_its_records_under_one_name() {
    let traffic = captures(&[vec![udp(10), udp(11)], vec![udp(1000)], vec![udp(10), udp(11), udp(12)], vec![]]);
    let [early, other, grown, empty] = &traffic.parts[..] else { panic!("{:?}", traffic.parts) };
    let (grown, more) = (fs::read(grown).unwrap(), fs::read(other).unwrap());
    let work = Work::start(traffic.settings_for(&["flows:nexus/capture", "groups"]));
    let records = traffic.output().join("flows-nexus").join(SENSOR);
    let wait_for = |path: &Path| {
        let end = Instant::now() + Duration::from_secs(60);
        while !records.join(path.file_stem().unwrap()).with_extension("csv").exists() {
            assert!(Instant::now() < end, "{} has no records", path.display());
            thread::sleep(Duration::from_millis(2));
        }
    };
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(other))));
    wait(&work, 1);
    // It is late, and waits for a second.
    for (path, grows_to) in [(early, &grown), (empty, &more)] {
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(path))));
        wait_for(path);
        let renamed = path.with_extension("renamed.pcap");
        let mut file = fs::File::options().write(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, grows_to).unwrap();
        fs::rename(path, &renamed).unwrap();
        work.tell(Order::Gone(path.clone(), None));
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&renamed))));
        wait_for(&renamed);
    }
    work.finish(true);
    let own = |path: &Path| path.starts_with("flows-nexus");
    let made: Vec<PathBuf> = traffic.made().into_keys().filter(|path| own(path)).collect();
    let names = ["part_00000000.renamed.csv", "part_00000001.csv", "part_00000003.renamed.csv"];
    assert_eq!(made, names.map(|name| Path::new("flows-nexus").join(SENSOR).join(name)));
}

#[test]
fn two_files_of_the_same_packets_are_told() {
    let traffic = Traffic::new(3000);
    let copy = traffic.parts[10].with_extension("copy.pcap");
    fs::copy(&traffic.parts[10], &copy).unwrap();
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    wait(&work, traffic.parts.len() as u64);
    let health = Arc::clone(&work.health);
    assert!(health.status().troubles.is_empty(), "{:?}", health.status().troubles);
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&copy))));
    work.finish(true);
    let troubles = health.status().troubles;
    let said = format!(
        "{}: holds what {} held, which was read: these packets count twice",
        copy.display(),
        traffic.parts[10].display()
    );
    assert!(troubles.iter().any(|trouble| trouble.text == said), "{troubles:?}");
}

#[test]
fn a_capture_that_was_read_may_take_the_name_of_one_that_cannot_be() {
    let traffic = Traffic::new(3000);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    work.finish(false);
    let other = traffic.parts[0].with_file_name("other.pcap");
    fs::write(&other, "this is no capture").unwrap();
    let work = Work::start(Settings { retry_delay: Duration::from_millis(300), ..traffic.settings() });
    work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(&other))));
    let end = Instant::now() + Duration::from_secs(20);
    while metric(&[work.health.prometheus(), String::new()], "file_failures_total") == 0 {
        assert!(Instant::now() < end, "nobody tries to read it");
        thread::sleep(Duration::from_millis(2));
    }
    fs::rename(&traffic.parts[0], &other).unwrap();
    work.tell(Order::Finish { close: true });
    while !work.thread.is_finished() {
        assert!(Instant::now() < end, "it waits for the one that is not there any more");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(work.thread.join().unwrap().unwrap().quarantined, 0);
    compare(&traffic.made(), &traffic.expected());
}
