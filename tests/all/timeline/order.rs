//! Packets that were captured out of order: within the window they make the flows that they would make in order, and beyond it they are counted.

use pcap_compactor::views::timeline::correct::Settings;
use pcap_compactor::views::timeline::{Flow, Hosts, Packet, Packets, Sides, State};
use proptest::prelude::*;

use super::{ACK, FIN, RST, Row, SYN, handshake, packet, run, run_among};
use crate::properties::cases;

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Reset,
    Open,
}

/// A connection that begins at this millisecond, a packet each.
fn connection(ms: i64, number: i64, end: End) -> Vec<Row> {
    let [client, server] = [number * 100_000, number * 100_000 + 50_000];
    let mut rows = handshake(ms, client, server);
    rows.push((ms + 3, true, ACK, client + 1, server + 1, 9));
    match end {
        End::Closed => rows.extend([
            (ms + 4, false, FIN | ACK, server + 1, client + 10, 0),
            (ms + 5, true, FIN | ACK, client + 10, server + 2, 0),
            (ms + 6, false, ACK, server + 2, client + 11, 0),
        ]),
        End::Reset => rows.push((ms + 4, false, RST, server + 1, 0, 0)),
        End::Open => {}
    }
    rows
}

/// Connections between the same ends, one right behind the other, each packet with how long it took to be captured; and places where a packet
/// of a wild time stands among them.
fn captured() -> impl Strategy<Value = Vec<Packet>> {
    let end = prop_oneof![Just(End::Closed), Just(End::Reset), Just(End::Open)];
    let connections = prop::collection::vec((end, 0..4_i64), 1..6);
    let delays = prop::collection::vec(0..=10_000_i64, 45);
    let wild = prop::collection::btree_set(0..45_usize, 0..5);
    (connections, delays, wild).prop_map(|(connections, delays, wild)| {
        let (mut rows, mut ms) = (Vec::new(), 0);
        for (number, (end, pause)) in (1..).zip(connections) {
            rows.extend(connection(ms, number, end));
            ms = rows.last().map_or(0, |row: &Row| row.0) + 1 + pause;
        }
        let mut packets: Vec<Packet> = rows.iter().map(packet).collect();
        let mut arrivals: Vec<(i64, Packet)> =
            packets.drain(..).zip(delays).map(|(packet, delay)| (packet.time + delay, packet)).collect();
        arrivals.sort_by_key(|(arrival, _)| *arrival);
        let mut all = Vec::new();
        for (n, (_, packet)) in arrivals.into_iter().enumerate() {
            all.push(packet);
            if wild.contains(&n) {
                all.push(Packet { time: packet.time + 3_600_000_000, src_port: 1, dst_port: 2, ..packet });
            }
        }
        all
    })
}

fn behind(flows: &[Flow]) -> u64 {
    flows.iter().map(|flow| flow.behind).sum()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn within_the_window_it_is_as_if_packets_had_been_sorted(packets in captured()) {
        let mut sorted = packets.clone();
        sorted.sort_by_key(|packet| packet.time);
        let flows = run(Settings::default(), &packets).flows;
        prop_assert_eq!(behind(&flows), 0);
        prop_assert_eq!(&flows, &run(Settings { reorder: 0, ..Settings::default() }, &sorted).flows);
    }
}

/// Any packets of one pair of ends, one a millisecond, with how long each took to be captured.
fn any_packets() -> impl Strategy<Value = Vec<(Row, i64)>> {
    let flags = prop::sample::select(vec![SYN, SYN | ACK, ACK, ACK, FIN | ACK, FIN, RST, RST | ACK, SYN | RST]);
    let number = || prop::sample::select(vec![100, 101, 110, 200, 201, 210]);
    let row = (any::<bool>(), flags, number(), number(), prop::sample::select(vec![0_u32, 0, 9]));
    let row = row.prop_map(|(up, flags, seq, ack, payload)| (0, up, flags, seq, ack, payload));
    prop::collection::vec((row, 0..=10_000_i64), 1..14).prop_map(|mut rows| {
        for (ms, (row, _)) in (0..).zip(&mut rows) {
            row.0 = ms;
        }
        rows
    })
}

/// Flows of hosts in the other order, as they are in the usual one.
fn renamed(mut flows: Vec<Flow>) -> Vec<Flow> {
    for flow in &mut flows {
        flow.packets = Packets::new(flow.packets.iter().map(other_way).collect(), flow.packets.steps().collect());
        let turned = |sides: Sides| Sides { initiator: 1 - sides.initiator, responder: 1 - sides.responder, ..sides };
        flow.sides = flow.sides.map(turned);
    }
    flows
}

/// A packet among hosts in the other order.
fn other_way(packet: Packet) -> Packet {
    Packet { src: 1 - packet.src, dst: 1 - packet.dst, ..packet }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn a_flow_is_the_same_whichever_packet_or_host_came_first(rows in any_packets(), equal_ports in any::<bool>()) {
        let sent = |row: &Row| match packet(row) {
            packet if equal_ports => Packet { src_port: 179, dst_port: 179, ..packet },
            packet => packet,
        };
        let sorted: Vec<Packet> = rows.iter().map(|(row, _)| sent(row)).collect();
        let mut arrivals: Vec<(i64, Packet)> = rows.iter().map(|(row, delay)| (row.0 * 1000 + delay, sent(row))).collect();
        arrivals.sort_by_key(|(arrival, _)| *arrival);
        let shuffled: Vec<Packet> = arrivals.into_iter().map(|(_, packet)| packet).collect();
        let flows = run(Settings { reorder: 0, ..Settings::default() }, &sorted).flows;
        prop_assert_eq!(&flows, &run(Settings::default(), &shuffled).flows);
        let mut hosts = Hosts::default();
        ["10.0.0.10", "10.0.0.9"].into_iter().for_each(|name| _ = hosts.number(name));
        let swapped: Vec<Packet> = shuffled.into_iter().map(other_way).collect();
        let others = renamed(run_among(&hosts, Settings::default(), &swapped).flows);
        prop_assert_eq!(&flows, &others);
    }
}

/// Of equal ports and without a SYN, who spoke first began it, also where that came too late to be put in order.
#[test]
fn who_spoke_first_is_told_by_time() {
    let rows = [(9000, true, ACK, 50, 60, 5), (9001, false, ACK, 60, 55, 5), (0, false, ACK, 55, 50, 5)];
    let packets = rows.map(|row| Packet { src_port: 179, dst_port: 179, ..packet(&row) });
    let sides = |reorder| run(Settings { reorder, ..Settings::default() }, &packets).flows.remove(0).sides;
    assert_eq!(sides(10_000).map(|sides| sides.initiator), Some(1));
    assert_eq!(sides(10_000), sides(10_000_000));
}

/// Where the clock went back inside a connection its handshake stands behind its end, and says who began it.
#[test]
fn a_handshake_behind_what_it_opened_says_who_began() {
    let rows = connection(9000, 1, End::Closed);
    let mut packets: Vec<Packet> = rows.iter().map(packet).collect();
    // The server has the higher port.
    for packet in &mut packets {
        for port in [&mut packet.src_port, &mut packet.dst_port] {
            *port = 40_080 - *port;
        }
    }
    let straight = run(Settings { reorder: 0, ..Settings::default() }, &packets).flows.remove(0);
    packets[4..].iter_mut().for_each(|packet| packet.time -= 5_000_000);
    let back = run(Settings { reorder: 0, ..Settings::default() }, &packets).flows.remove(0);
    assert_eq!((back.sides, back.guessed), (straight.sides, false));
    assert!(back.packets.iter().is_sorted_by_key(|packet| packet.time) && back.behind > 0);
    assert!(back.unexplained.contains(&("unexpected_syn", 1)), "{back:?}");
}

/// A reset that comes when packets of the next connection have gone on, 20 ms behind its begin.
fn late_reset() -> Vec<Packet> {
    let mut rows = connection(0, 1, End::Reset);
    let reset = rows.pop().unwrap();
    rows.extend(connection(30, 2, End::Open));
    rows.extend([50, 51].map(|ms| (ms, false, ACK, 250_001, 200_010, 9)));
    rows.push(reset);
    rows.iter().map(packet).collect()
}

#[test]
fn beyond_the_window_it_has_no_say_and_is_counted() {
    let run = |ms: i64| run(Settings { reorder: ms * 1000, ..Settings::default() }, &late_reset()).flows;
    let seen =
        |flows: &[Flow]| flows.iter().map(|flow| (flow.state, flow.packets.len(), flow.behind)).collect::<Vec<_>>();
    assert_eq!(seen(&run(60)), [(State::Aborted, 5, 0), (State::Ongoing, 6, 0)]);
    let late = seen(&run(10));
    assert_eq!(late.iter().map(|(_, packets, behind)| (*packets, *behind)).collect::<Vec<_>>(), [(4, 0), (7, 1)]);
    assert_eq!(late[0].0, State::Ongoing, "the reset is of the flow that lasts");
}
