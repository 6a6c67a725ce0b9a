//! Packets of wild times, ahead and long ago.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use super::silent::{Body, captures, packet};
use super::traffic::{SENSOR, Traffic, Work, compare};
use super::{metric, wait};
use crate::capture::{PcapLayout, PcapWriter};
use crate::synth::{Spec, frames};
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::watch::journal::{Entry, Journal};
use crate::watch::line::Order;

const YEAR: i64 = 365 * 86_400 * NS_PER_SECOND;

/// Stops in the middle and goes on; what the metrics say of both runs, and what is needed at the stop.
fn in_two_runs(traffic: &Traffic) -> ([String; 2], Timestamp) {
    let (before, after) = traffic.parts.split_at(traffic.parts.len() * 2 / 3);
    let mut needs = Timestamp::MIN;
    let told = [(before, false), (after, true)].map(|(parts, close)| {
        let work = Work::start(traffic.settings());
        parts.chunks(1).for_each(|part| work.tell(Order::Complete(traffic.arrivals(part))));
        let health = Arc::clone(&work.health);
        work.finish(close);
        if !close {
            needs = Journal::open(&traffic.output()).unwrap().out(SENSOR, "flows").unwrap().needs;
        }
        health.prometheus()
    });
    (told, needs)
}

#[test]
fn packets_of_a_wild_time_are_counted_and_change_no_hour() {
    let usual = Traffic::new(20_000);
    let (_, needs) = in_two_runs(&usual);
    let expected = usual.expected();
    // A year ahead in the midst of files, three in a row, and as the last of its file.
    let traffic = Traffic::with(20_000, |nth| match nth {
        1000 | 5000..5003 => Some(YEAR),
        _ => None,
    });
    let last = &traffic.parts[traffic.parts.len() / 2];
    let mut bytes = fs::read(last).unwrap();
    let mut record = bytes[24..].to_vec();
    let length = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
    record.truncate(16 + length);
    // 2096, which no clock can show.
    record[..4].copy_from_slice(&4_000_000_000u32.to_le_bytes());
    bytes.append(&mut record);
    fs::write(last, bytes).unwrap();
    let (told, needs_with) = in_two_runs(&traffic);
    compare(&traffic.made(), &expected);
    assert_eq!(needs_with, needs, "a restart reads no more for it");
    assert_eq!(metric(&told, "wild_packets_total"), 5);
    assert_eq!(metric(&told, "packets_total"), 20_005);
}

#[test]
fn a_wild_time_that_shows_by_the_next_file_alone_is_counted_then() {
    let tcp = |seconds: i64| packet(seconds * NS_PER_SECOND, [5000, 80], Body::Tcp(0x18));
    // Ahead of the others, and not of today.
    let ahead = (Timestamp(tcp(0).0.0 + YEAR / 2), tcp(0).1);
    let files = [vec![tcp(0), tcp(60), ahead], vec![tcp(600), tcp(660)], vec![tcp(36_000)], vec![tcp(72_000)]];
    let traffic = captures(&files);
    let work = Work::start(traffic.settings());
    for (told, part) in (1..).zip(&traffic.parts) {
        work.tell(Order::Complete(traffic.arrivals(std::slice::from_ref(part))));
        wait(&work, told);
    }
    let health = Arc::clone(&work.health);
    work.finish(false);
    assert_eq!(metric(&[health.prometheus(), String::new()], "wild_packets_total"), 1);
    let journal = Journal::open(&traffic.output()).unwrap();
    let sequence = journal.sequence(SENSOR).unwrap();
    let Some(Entry::File { became: Some(first), .. }) = sequence.first() else { panic!("{sequence:?}") };
    assert_eq!((first.last, first.wild, first.packets), (Some(tcp(60).0), 1, 3));
}

#[test]
fn a_packet_of_long_ago_is_in_no_record_and_no_hour_waits_for_it() {
    let usual = Traffic::new(20_000);
    let (_, needs) = in_two_runs(&usual);
    let traffic = Traffic::with(20_000, |nth| (nth == 5000 || nth == 12_000).then_some(-YEAR));
    let (told, needs_with) = in_two_runs(&traffic);
    assert!(needs_with >= needs, "a restart reads no more for it: {needs_with:?}, {needs:?}");
    assert_eq!((metric(&told, "wild_packets_total"), metric(&told, "packets_total")), (0, 20_002));
    assert_eq!(metric(&told, "late_packets_total"), 2);
    compare(&without_ids(traffic.made()), &without_ids(usual.made()));
}

/// Where time goes back, the id of a flow also goes by the markers of the run, which a restart counts anew.
pub(super) fn without_ids(mut made: BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    for text in made.values_mut() {
        let mut parts = text.split("\"flow_id\":\"");
        let first = parts.next().unwrap_or_default().to_owned();
        *text = first + &parts.map(|part| &part[16..]).collect::<String>();
    }
    made
}

#[test]
fn a_day_without_packets_is_no_wild_time() {
    let mut traffic = Traffic::new(1000);
    let whole = traffic.folder.path().join("in").join(SENSOR).join("gap.pcap");
    let mut out = PcapWriter::new(File::create(&whole).unwrap(), PcapLayout::default()).unwrap();
    let mut nth = 0;
    frames(&Spec { packets: 3000, hours: 1, ..Spec::default() }, |time, wire, frame| {
        nth += 1;
        let gap = if nth > 1200 { 3 * 86_400 * NS_PER_SECOND } else { 0 };
        out.record(Timestamp(time.0 + gap), wire, frame)
    })
    .unwrap();
    out.finish().unwrap();
    (traffic.parts, traffic.whole) = (vec![whole.clone()], whole);
    let work = Work::start(traffic.settings());
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts)));
    assert_eq!(work.finish(true).packets, 3000);
    compare(&traffic.made(), &traffic.expected());
}
