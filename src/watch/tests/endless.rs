//! A 5-tuple that is never silent.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::silent::{Body, captures, packet};
use super::traffic::{Framed, SENSOR, Work, compare};
use crate::time::{NS_PER_SECOND as S, Timestamp};
use crate::watch::journal::{Entry, Journal};
use crate::watch::keeper::Keeper;
use crate::watch::line::Order;
use crate::watch::spans::{HOUR, LONGEST};

/// Captures of a quarter of an hour.
const A_QUARTER: usize = 15 * 60;

#[test]
fn what_never_ends_needs_a_day_of_captures_and_is_cut_there_by_a_restart() {
    let file = |from: usize| -> Vec<Framed> {
        (from..from + A_QUARTER).step_by(100).map(|second| packet(second as i64 * S, [123, 124], Body::Udp)).collect()
    };
    let quarters = 50 * 4;
    let traffic = captures(&(0..quarters).map(|nth| file(nth * A_QUARTER)).collect::<Vec<_>>());
    let settings = || traffic.settings_for(&["flows", "buckets:1min@csv"]);
    let run = |parts, close| {
        let work = Work::start(settings());
        work.tell(Order::Complete(traffic.arrivals(parts)));
        let health = Arc::clone(&work.health);
        work.finish(close);
        health
    };
    run(&traffic.parts, true);
    let mut whole = traffic.made();
    fs::remove_dir_all(traffic.output()).unwrap();

    let (before, after) = traffic.parts.split_at(quarters - 10);
    run(before, false);
    let journal = Journal::open(&traffic.output()).unwrap();
    let mut keep = settings();
    keep.keep.captures = Some(Duration::ZERO);
    keep.least_free = 0;
    let now = SystemTime::now() + Duration::from_secs(3600);
    let looked = Keeper::new(Arc::new(keep)).look(&journal, now).unwrap();
    let left = before.iter().filter(|part| part.exists()).count();
    assert_eq!((looked.needed, looked.removed.len()), (0, before.len() - left));
    assert!((24 * 4..26 * 4).contains(&left), "{left}");

    let health = run(after, true);
    let troubles = health.status().troubles;
    let [trouble] = &troubles[..] else { panic!("{troubles:?}") };
    assert!(trouble.text.contains("live for more than a day"), "{troubles:?}");
    // What is gone is known no more.
    let sequence = journal.sequence(SENSOR).unwrap();
    let is_there = |entry: &Entry| matches!(entry, Entry::File { fed, .. } if fed.path.exists());
    assert!(sequence.len() <= left + 11, "{}", sequence.len());
    assert!(sequence.iter().filter(|entry| is_there(entry)).count() >= left);

    // Buckets are the same; the flow lacks what came more than a day before the first hour that was not out.
    let mut made = traffic.made();
    let flow = |made: &mut std::collections::BTreeMap<std::path::PathBuf, String>| {
        let path = made.keys().find(|path| path.starts_with("flows")).unwrap().clone();
        let text = made.remove(&path).unwrap();
        assert_eq!(text.lines().count(), 1);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let [cut, all] = [&mut made, &mut whole].map(flow);
    compare(&made, &whole);
    assert_eq!(cut["last_ts"], all["last_ts"]);
    let [cut, all] = [cut, all].map(|flow| Timestamp((flow["first_ts"].as_f64().unwrap() * S as f64) as i64));
    let out = all.0 + (before.len() * A_QUARTER) as i64 * S - HOUR;
    assert!((out - LONGEST - HOUR..out - LONGEST + HOUR).contains(&cut.0), "{cut} of {all}");
}
