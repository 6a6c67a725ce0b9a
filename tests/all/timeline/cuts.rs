//! Where flows are cut, and that nothing else cuts them.

use pcap_compactor::engine::ledger::Amount;
use pcap_compactor::views::groups::Window;
use pcap_compactor::views::timeline::correct::Settings;
use pcap_compactor::views::timeline::{Correct, Packet, State, TimelineJob, view};
use pcap_compactor::{Engine, Input, Timestamp};
use proptest::prelude::*;

use super::{ACK, FIN, RST, Row, SYN, Said, flows, handshake, packet, run};
use crate::flows::random;
use crate::properties::cases;
use crate::run::{THREADS, file};

fn lengths(rows: &[Row]) -> Vec<(u64, usize, bool)> {
    flows(rows).iter().map(|flow| (flow.number, flow.packets.len(), flow.by_timeout)).collect()
}

fn closed(ms: i64, client: i64, server: i64) -> Vec<Row> {
    let mut rows = handshake(ms, client, server);
    rows.extend([
        (ms + 3, true, FIN | ACK, client + 1, server + 1, 0),
        (ms + 4, false, FIN | ACK, server + 1, client + 2, 0),
        (ms + 5, true, ACK, client + 2, server + 2, 0),
    ]);
    rows
}

#[test]
fn ports_that_are_used_anew_make_another_flow() {
    let mut rows = closed(0, 100, 500);
    rows.extend(closed(1000, 9000, 7000));
    assert_eq!(lengths(&rows), [(1, 6, false), (2, 6, false)]);
    // Behind a reset, and where nobody answered.
    let mut rows = vec![(0, true, SYN, 1, 0, 0), (1, false, RST | ACK, 0, 2, 0), (2, true, SYN, 9, 0, 0)];
    rows.extend(handshake(3, 77, 88));
    assert_eq!(lengths(&rows), [(1, 2, false), (2, 1, false), (3, 3, false)]);
    // The other side had forgotten a connection that was open here.
    let mut rows = handshake(0, 100, 500);
    rows.extend(handshake(1000, 9000, 7000));
    rows.insert(4, (1000, true, SYN, 9000, 0, 0));
    assert_eq!(lengths(&rows), [(1, 3, false), (2, 4, false)]);
    assert_eq!(flows(&rows)[0].end, super::START + 2000, "the SYNs are of the other");
}

/// Once a connection is over, a SYN with its number is a repetition, or begins another: the number of the answer tells.
#[test]
fn a_connection_may_begin_with_the_number_of_the_one_before() {
    for end in [closed(0, 100, 500), [handshake(0, 100, 500), vec![(5, true, RST | ACK, 101, 501, 0)]].concat()] {
        let first = end.len();
        let again = [end.clone(), handshake(1000, 100, 7000)].concat();
        assert_eq!(lengths(&again), [(1, first, false), (2, 3, false)]);
        let next = &flows(&again)[1];
        assert_eq!((next.state, next.syn_packet, next.guessed), (State::Ongoing, Some(0), false));
        // The answer is the old one, a reset, or none.
        for answer in [(1001, false, SYN | ACK, 500, 101, 0), (1001, false, RST | ACK, 0, 101, 0)] {
            let rows = [end.clone(), vec![(1000, true, SYN, 100, 0, 0), answer]].concat();
            assert_eq!(lengths(&rows), [(1, first + 2, false)]);
        }
        let rows = [end, vec![(1000, true, SYN, 100, 0, 0), (1001, true, SYN, 100, 0, 0)]].concat();
        assert_eq!(lengths(&rows), [(1, first + 2, false)]);
        assert_eq!(flows(&rows)[0].unexplained, [("retransmission", 2)]);
    }
    // Behind a refusal.
    let mut rows = vec![(0, true, SYN, 100, 0, 0), (1, false, RST | ACK, 0, 101, 0)];
    rows.extend(handshake(500, 100, 7000));
    assert_eq!(lengths(&rows), [(1, 2, false), (2, 3, false)]);
}

#[test]
fn silence_cuts_a_flow_whatever_came() {
    let mut rows = handshake(0, 100, 500);
    rows.push((300_002, true, ACK, 101, 501, 9));
    assert_eq!(lengths(&rows), [(1, 4, false)]);
    rows[3].0 += 1;
    assert_eq!(lengths(&rows), [(1, 3, true), (2, 1, false)]);
    assert_eq!(flows(&rows)[1].state, State::Ongoing);
    // What is closed waits for less, and did not end for silence.
    let mut rows = closed(0, 100, 500);
    rows.push((240_006, false, FIN | ACK, 501, 102, 0));
    assert_eq!(lengths(&rows), [(1, 6, false), (2, 1, false)]);
    rows[6].0 -= 1;
    assert_eq!(lengths(&rows), [(1, 7, false)]);
}

#[test]
fn a_flow_is_handed_over_when_nothing_can_be_of_it_any_more() {
    let mut packets: Vec<Packet> = closed(0, 1, 2).iter().map(packet).collect();
    let mut other = packet(&(0, true, ACK, 1, 1, 1));
    other.src_port = 1;
    for n in 0..140_000_i64 {
        packets.push(Packet { time: other.time + n * 10_000, seq: n, ..other });
    }
    // One wild time hastens nothing.
    packets[65_000].time += 1 << 50;
    let said = run(Settings::default(), &packets);
    let numbers: Vec<u64> = said.flows.iter().map(|flow| flow.number).collect();
    assert_eq!((numbers[0], said.flows[0].packets.len()), (1, 6));
    let total: usize = said.flows.iter().map(|flow| flow.packets.len()).sum();
    assert_eq!((total, said.packets.len()), (packets.len(), packets.len()));
}

#[test]
fn packets_that_are_not_in_memory_are_the_same() {
    let mut packets = Vec::new();
    for n in 0..3000_i64 {
        let mut packet = packet(&(n * 3, n % 3 == 0, ACK, 1000 + n * 7, 2000 + n, (n % 5) as u32));
        let port = if n % 3 == 0 { &mut packet.src_port } else { &mut packet.dst_port };
        *port += n % 17;
        packets.push(packet);
    }
    let whole = run(Settings::default(), &packets);
    assert_eq!(whole.flows.len(), 17);
    for budget in [0, 100, 5000] {
        assert_eq!(run(Settings { budget, ..Settings::default() }, &packets).flows, whole.flows, "{budget}");
    }
}

fn from_captures(
    files: &[Vec<u8>],
    threads: usize,
    selection: view::Selection,
    settings: Settings,
) -> (Said, [Amount; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let paths = files.iter().enumerate().map(|(n, bytes)| Input::file(file(dir.path(), &format!("{n}.pcap"), bytes)));
    let mut said = Said::default();
    let engine = Engine::builder().threads(threads);
    let job = TimelineJob::new(selection).engine(engine);
    let (report, outcome) = job.run(paths.collect(), &mut Correct::new(settings), &mut said).unwrap();
    assert!(report.failed.is_empty());
    assert_eq!(said.finished, 1);
    assert_eq!(said.packets.len() as u64, outcome.kept.packets);
    (said, [outcome.kept, outcome.filtered, outcome.out_of_window])
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn flows_are_of_packets_alone_and_every_packet_is_in_one(
        packets in random::packets(200),
        cut in 0..200_usize,
        budget in prop_oneof![Just(0_usize), Just(1 << 20)],
    ) {
        let whole = from_captures(&[crate::flows::pcap(&packets)], 1, view::Selection::default(), Settings::default()).0;
        for &threads in &THREADS {
            let settings = Settings { budget, ..Settings::default() };
            let again = from_captures(&[crate::flows::pcap(&packets)], threads, view::Selection::default(), settings).0;
            prop_assert_eq!(&again.flows, &whole.flows);
            prop_assert_eq!(&again.packets, &whole.packets);
        }
        let cut = cut.min(packets.len());
        let later = |part: &[crate::model::flows::Sent]| part.iter().map(|packet| packet.time).min();
        if later(&packets[..cut]) <= later(&packets[cut..]) && cut > 0 {
            let files = [crate::flows::pcap(&packets[..cut]), crate::flows::pcap(&packets[cut..])];
            let again = from_captures(&files, 2, view::Selection::default(), Settings::default()).0;
            if again.packets == whole.packets {
                prop_assert_eq!(&again.flows, &whole.flows);
            }
        }
        let mut listed: Vec<Packet> = whole.flows.iter().flat_map(|flow| flow.packets.iter()).collect();
        let mut seen: Vec<Packet> =
            whole.packets.iter().filter(|packet| packet.protocol == Some(6) && packet.flags.is_some()).copied().collect();
        let order = |packet: &Packet| format!("{packet:?}");
        listed.sort_by_key(order);
        seen.sort_by_key(order);
        prop_assert_eq!(listed, seen, "once each");
        for flow in &whole.flows {
            prop_assert_eq!(flow.total_packets as usize, flow.packets.len());
            prop_assert!(flow.packets.iter().is_sorted_by_key(|packet| packet.time));
            prop_assert!(flow.packets.steps().is_sorted_by_key(|step| step.packet));
            let unexplained: u64 = flow.unexplained.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(flow.packets.steps().count() as u64 + unexplained, flow.total_packets);
            prop_assert_eq!(Some(flow.start), flow.packets.first().map(|packet| packet.time));
            prop_assert_eq!(Some(flow.end), flow.packets.iter().last().map(|packet| packet.time));
            prop_assert!(flow.sides.is_some());
        }
        let mut numbers: Vec<u64> = whole.flows.iter().map(|flow| flow.number).collect();
        numbers.sort_unstable();
        prop_assert!(numbers.into_iter().eq(1..=whole.flows.len() as u64));
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn packets_of_a_moment_may_come_in_any_order(packets in Just(closed(0, 100, 500)).prop_shuffle()) {
        prop_assert_eq!(flows(&packets), flows(&closed(0, 100, 500)));
    }
}

#[test]
fn directions_may_be_in_two_files() {
    use crate::flows::segment;
    let second = 1_000_000_000;
    let rows =
        [(0, true, 2, 100, 0, 0), (1, false, 18, 500, 101, 0), (2, true, 16, 101, 501, 9), (3, false, 4, 501, 0, 0)];
    let all = rows.map(|(at, up, flags, seq, ack, payload)| segment(at * second, up, flags, seq, ack, payload));
    let [up, down] = [0, 1].map(|skip| all.iter().skip(skip).step_by(2).cloned().collect::<Vec<_>>());
    let files = [crate::flows::pcap(&up), crate::flows::pcap(&down)];
    let run = |files: &[Vec<u8>]| from_captures(files, 1, view::Selection::default(), Settings::default()).0.flows;
    let whole = run(&[crate::flows::pcap(&all)]);
    assert_eq!(run(&files), whole);
    assert_eq!((whole[0].state, whole[0].invalid_packet, super::steps(&whole[0])[2]), (State::Aborted, Some(3), "ack"));
}

#[test]
fn what_is_left_out_is_counted() {
    use crate::flows::{segment, udp};
    let second = 1_000_000_000;
    let packets = [segment(0, true, 2, 1, 0, 0), udp(second, 7), segment(2 * second + 999, false, 18, 9, 2, 0)];
    let bytes = [crate::flows::pcap(&packets)];
    let window = Window { start: Timestamp(second), end: Timestamp(9 * second) };
    let run = |selection| from_captures(&bytes, 2, selection, Settings::default());
    let count = |amounts: [Amount; 3]| amounts.map(|amount| amount.packets);
    let (said, amounts) = run(view::Selection::default());
    assert_eq!((count(amounts), said.flows.len()), ([3, 0, 0], 1));
    assert_eq!((said.packets[1].flags, said.packets[1].src_port, said.packets[2].time), (Some(0), 40_000, 2_000_000));
    let (said, amounts) = run(view::Selection { clip: Some(window), ..Default::default() });
    assert_eq!((count(amounts), said.flows[0].packets.len()), ([2, 0, 1], 1));
    let (said, amounts) = run(view::Selection { hosts: ["10.0.0.1".parse().unwrap()].into(), ..Default::default() });
    assert_eq!((count(amounts), said.flows[0].packets.len()), ([2, 1, 0], 2));
    assert_eq!(said.hosts.names().len(), 2);
}
