//! Packets and sequence numbers out of order, and beyond all bounds.

use pcap_compactor::views::flows::{FlowRecord, Lifetime, Settings};

use super::{all, connection, flows_of, pcap, say, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, Sent};
use crate::run::{PLAIN, Way, file, number};
use crate::traffic::START;

#[test]
fn sequence_numbers_that_wrap_are_in_order() {
    for initial in [u32::MAX, u32::MAX - 50, u32::MAX - 101, u32::MAX - 102] {
        let flows = flows_of(&connection(START, initial, initial), &Settings { columns: all(), ..Settings::default() });
        assert_eq!((flows.len(), flows[0].end_reason.name()), (1, "fin"), "{initial}");
        assert!(flows[0].sides.iter().all(|side| side.segments.classes[2..] == [0; 5]), "{flows:#?}");
    }
}

#[test]
fn holes_beyond_the_bound_are_counted_in_the_metrics() {
    let segments: Vec<Sent> = (0..70).map(|n| segment(START + i64::from(n), true, ACK, n * 20, 1, 10)).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "a.pcap", &pcap(&segments));
    let said = say(&[path], Settings { columns: all(), ..Settings::default() }, PLAIN);
    assert_eq!((said.flows[0].forgotten_holes, number(&said.metrics["forgotten_holes"])), (5, 5));
}

#[test]
fn time_that_jumps_makes_no_long_and_no_negative_flow() {
    let year = 365 * 86_400 * SECOND;
    let times = [START, START + 1, START + year, START + year + 1, START + 2, START + 3, START + 3 * year, START + 4];
    let packets: Vec<Sent> = times.iter().map(|&time| udp(time, 1)).collect();
    let flows = flows_of(&packets, &Settings::default());
    assert!(flows.iter().all(|flow| (0..10).contains(&flow.duration_ns())), "{flows:#?}");
    assert_eq!(flows.iter().map(|flow| flow.amount.packets).sum::<u64>(), 8);
    // What waits does not keep what is older from its flow.
    assert_eq!(flows.len(), 4);
}

#[test]
fn every_flow_that_begins_where_time_went_back_is_counted() {
    let hour = 3600 * SECOND;
    let dir = tempfile::tempdir().unwrap();
    let told = |times: &[i64]| {
        let packets: Vec<Sent> = times.iter().map(|&time| udp(START + time, 1)).collect();
        let said = say(&[file(dir.path(), "a.pcap", &pcap(&packets))], Settings::default(), PLAIN);
        let behind = said.metrics["flows_behind"].as_u64().unwrap();
        let mut flows: Vec<_> = said.flows.iter().map(|flow| (flow.first_ts.0 - START, flow.amount.packets)).collect();
        flows.sort_unstable();
        (flows, behind)
    };
    // What waits goes to its own flow first.
    assert_eq!(told(&[hour, hour + 1, 0, 1, 2]), (vec![(0, 3), (hour, 2)], 1));
    // Behind a step back, packets are put in order as ever.
    assert_eq!(told(&[hour, 5, 3, 4, SECOND]).1, 1);
    assert_eq!(told(&[hour, 5, 3, 4, SECOND]).0, [(3, 4), (hour, 1)]);
    // Two clocks an hour apart that take turns: each turn back is a flow, and counted.
    let turns: Vec<i64> = (0..200).map(|n| n * 1_000_000 + if n % 2 == 0 { hour } else { 0 }).collect();
    let (flows, behind) = told(&turns);
    assert!(behind > 10, "{flows:?}");
    assert_eq!(flows.len() as u64, 2 * behind + 1, "{flows:?}");
}

/// A packet of the year 2100.
fn wild() -> Sent {
    udp(4_102_444_800 * SECOND, 0x00ff_ffff)
}

/// Records from one marker to the next.
const STRETCH: usize = 65_536;

#[test]
fn a_wild_time_inside_a_stretch_ends_no_flow_and_leaves_none_behind() {
    let dir = tempfile::tempdir().unwrap();
    let lifetime = Lifetime { udp_idle: Some(2 * SECOND), ..Lifetime::default() };
    let settings = Settings { lifetime, columns: all(), ..Settings::default() };
    // A thousand flows last from end to end, and others begin all the time.
    let n = |place: u32| if place.is_multiple_of(2) { place % 2000 } else { 10_000 + place };
    let sound: Vec<Sent> =
        (0..3 * STRETCH as u32).map(|place| udp(START + i64::from(place) * SECOND / 2000, n(place))).collect();
    let mut packets = sound.clone();
    packets.insert(STRETCH * 3 / 2, wild());
    let paths = [sound, packets].map(|packets| file(dir.path(), &format!("{}.pcap", packets.len()), &pcap(&packets)));
    for threads in [1, 3] {
        let [mut without, mut with] = paths.each_ref().map(|path| {
            let said = say(std::slice::from_ref(path), settings.clone(), Way { threads, ..PLAIN });
            assert_eq!(number(&said.metrics["flows_behind"]), 0);
            said.flows.iter().map(|flow| (flow.flow_id(), flow.first_ts, flow.amount.packets)).collect::<Vec<_>>()
        });
        without.push(*with.iter().find(|(_, first, packets)| (first.0, *packets) == (wild().time, 1)).unwrap());
        without.sort_unstable();
        with.sort_unstable();
        assert!(with == without);
    }
}

#[test]
fn a_wild_time_in_front_of_a_marker_counts_until_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut packets: Vec<Sent> =
        (0..3 * STRETCH as u32).map(|n| udp(START + i64::from(n) * SECOND / 1000, n)).collect();
    packets[STRETCH - 1] = wild();
    let paths = [file(dir.path(), "a.pcap", &pcap(&packets))];
    for threads in [1, 3] {
        let said = say(&paths, Settings::default(), Way { threads, ..PLAIN });
        assert_eq!(said.flows.len(), 3 * STRETCH);
        assert_eq!(number(&said.metrics["flows_behind"]), STRETCH as u64);
    }
}

/// Time goes back and comes again, and by then nothing is left of the flow that first began at it.
#[test]
fn flows_that_begin_at_one_time_have_names_of_their_own() {
    let back = 121 * SECOND;
    let files: Vec<Vec<Sent>> = [&[back, 0][..], &[back, 0], &[back]]
        .map(|times| times.iter().map(|&time| udp(START + time, 1)).collect())
        .into();
    let dir = tempfile::tempdir().unwrap();
    let said = say(&super::write(dir.path(), &files), Settings::default(), PLAIN);
    let names: std::collections::BTreeSet<_> = said.flows.iter().map(FlowRecord::flow_id).collect();
    assert_eq!((said.flows.len(), names.len()), (5, 5), "{:?}", said.flows);
}

/// As above, where what was there has left by the active timeout, which is shorter.
#[test]
fn flows_that_the_active_timeout_ended_have_names_of_their_own() {
    let files: Vec<Vec<Sent>> = [&[0, 1][..], &[3, 4, 0]]
        .map(|times| times.iter().map(|&second| udp(START + second * SECOND, u32::from(second > 2))).collect())
        .into();
    let dir = tempfile::tempdir().unwrap();
    let lifetime = Lifetime { active: Some(SECOND / 2), ..Lifetime::default() };
    let said = say(&super::write(dir.path(), &files), Settings { lifetime, ..Settings::default() }, PLAIN);
    let names: std::collections::BTreeSet<_> = said.flows.iter().map(FlowRecord::flow_id).collect();
    assert_eq!((said.flows.len(), names.len()), (5, 5), "{:?}", said.flows);
}
