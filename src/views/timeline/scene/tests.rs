use super::*;
use crate::views::timeline::{Packets, Sides};

fn packet(time: i64, src: Host, dst: Host, flags: i64) -> Packet {
    let (src_port, dst_port) = if src < dst { (40_000, 80) } else { (80, 40_000) };
    Packet {
        time,
        src,
        dst,
        src_port,
        dst_port,
        flags: Some(flags),
        length: 60,
        protocol: Some(6),
        ..Packet::default()
    }
}

fn hosts(n: usize) -> Hosts {
    let mut hosts = Hosts::default();
    for host in 0..n {
        hosts.number(&format!("h{host}"));
    }
    hosts
}

fn filled(packets: &[Packet], flows: &[Flow], n: usize) -> Scene {
    let (hosts, mut scene) = (hosts(n), Scene::default());
    packets.iter().try_for_each(|packet| scene.packet(packet, &hosts)).unwrap();
    flows.iter().try_for_each(|flow| scene.flow(flow, &hosts)).unwrap();
    scene.finish(&hosts).unwrap();
    scene
}

fn flow(number: u64, packets: &[Packet]) -> Flow {
    let (start, end) = (packets[0].time, packets[packets.len() - 1].time);
    Flow {
        number,
        start,
        end,
        total_packets: packets.len() as u64,
        packets: packets.to_vec().into(),
        ..Flow::default()
    }
}

#[test]
fn nothing_makes_an_empty_scene() {
    let scene = filled(&[], &[], 0);
    assert_eq!((scene.times(), scene.levels().len(), scene.order().len()), (None, 0, 0));
}

#[test]
fn classes_go_by_flags_and_what_is_not_tcp_is_other() {
    let class = |flags, payload, protocol| {
        Class::of(&Packet { flags: Some(flags), payload, protocol, ..Packet::default() }) as usize
    };
    let tcp = |flags| Class::NAMES[class(flags, None, Some(6))];
    assert_eq!(
        [2, 18, 16, 24, 17, 20, 0, 3, 41].map(tcp),
        ["SYN", "SYN+ACK", "ACK", "data", "FIN", "RST", "other", "SYN", "FIN"]
    );
    assert_eq!(Class::NAMES[class(16, Some(1), Some(6))], "data");
    assert_eq!(Class::NAMES[class(2, None, Some(17))], "other");
}

#[test]
fn every_level_adds_up_to_the_packets_and_a_silence_of_a_century_costs_nothing() {
    let century = 136 * 365 * 86_400_000_000;
    let packets: Vec<_> = (0..4000).map(|n| packet(n * 700 + (n / 2000) * century, 0, 1, 16)).collect();
    let scene = filled(&packets, &[], 2);
    let levels = scene.levels();
    assert!(levels.len() > 3);
    for pair in levels.windows(2) {
        assert!(pair[1].width > pair[0].width && pair[1].rows.len() <= pair[0].rows.len());
    }
    for level in levels {
        let rows = &level.rows;
        assert!(rows.time.is_sorted() && rows.time.iter().all(|time| time.is_multiple_of(level.width)));
        assert_eq!(rows.count.iter().map(|&n| u64::from(n)).sum::<u64>(), 4000);
        assert_eq!(rows.bytes.iter().sum::<u64>(), 4000 * 60);
    }
    let total: usize = levels.iter().map(|level| level.rows.len()).sum();
    assert!(total <= 2 * packets.len(), "{total}");
    assert_eq!(levels[levels.len() - 1].rows.len(), 1);
}

/// Every level has all packets, all hosts have a place, and a level that a page gets at once says something about time.
fn holds(scene: &Scene, packets: usize) {
    let levels = scene.levels();
    for level in levels {
        let rows = &level.rows;
        assert!(rows.time.is_sorted() && rows.time.iter().all(|time| time.is_multiple_of(level.width)));
        assert_eq!(rows.count.iter().map(|&n| n as usize).sum::<usize>(), packets, "width {}", level.width);
        assert_eq!(rows.bytes.iter().sum::<u64>(), packets as u64 * 60, "width {}", level.width);
    }
    let (first, last) = scene.times().unwrap();
    let coarse = levels.iter().find(|level| level.rows.len() <= COARSE_ROWS).unwrap();
    assert!(coarse.width == 1 || coarse.width <= last.abs_diff(first) / 64, "{:?}", coarse.width);
    let mut hosts = scene.order().to_vec();
    hosts.sort_unstable();
    assert!(hosts.into_iter().eq(0..scene.hosts().len() as Host));
}

const MINUTE: i64 = 60_000_000;

/// As many pairs as packets, so no bin of pairs has more than one.
#[test]
fn a_scan_has_bins_although_every_packet_is_of_another_pair() {
    let n = 150_000;
    // Behind a conversation of two that have more to do.
    let mut packets: Vec<_> = (0..20).map(|at| packet(at, 0, 1, 16)).collect();
    packets.extend((0..n).map(|at| packet(at * MINUTE / n, 2, 3 + at as Host, 2)));
    let scene = filled(&packets, &[], 3 + n as usize);
    holds(&scene, packets.len());
    assert_eq!((scene.told(), scene.busy()), (Told::Busy, 3));
    // Who is scanned does too little to be told apart.
    assert_eq!(scene.order()[..3], [2, 0, 1]);
    let (coarse, others) = (&scene.levels()[scene.levels().len() - 1].rows, scene.hosts().len() as Host);
    assert_eq!((&coarse.src[..], &coarse.dst[..]), (&[0, 2][..], &[1, others][..]));
    // But they are there for who asks.
    for (level, width) in scene.levels().iter().map(|level| level.width).enumerate() {
        let rows = scene.of_hosts(level, 0, u64::MAX, &[3 + 70_000, 1]);
        let at = 70_000 * MINUTE as u64 / n as u64;
        let last = (rows.time.len() - 1, rows.count.iter().sum::<u32>());
        assert_eq!(
            (rows.time[last.0], rows.src[last.0], rows.dst[last.0], last.1),
            (at / width * width, 2, 70_003, 21)
        );
    }
    let touching = |from, to| scene.of_hosts(2, from, to, &[3 + 70_000]).len();
    let (at, width) = (70_000 * MINUTE as u64 / n as u64, scene.levels()[2].width);
    assert_eq!([touching(0, at), touching(at, at + 1), touching(at + width, u64::MAX)], [0, 1, 0]);
}

/// All pairs of hosts, each for a moment: fine bins tell them, but also where all hosts are busy, coarse ones of pairs would be as many.
#[test]
fn coarse_bins_of_a_crowd_that_all_talk_with_all_tell_who_sent() {
    let (hosts, prime) = (400, 91_019);
    let pairs = hosts * (hosts - 1);
    let packets: Vec<_> = (0..pairs)
        .flat_map(|at| {
            let pair = (u64::from(at) * prime % u64::from(pairs)) as u32;
            let (src, dst) = (pair / (hosts - 1), pair % (hosts - 1));
            [packet(i64::from(at) * MINUTE / i64::from(pairs), src, dst + u32::from(dst >= src), 24); 3]
        })
        .collect();
    let scene = filled(&packets, &[], hosts as usize);
    holds(&scene, packets.len());
    assert_eq!((scene.told(), scene.busy()), (Told::Senders, 400));
    let [.., coarse] = scene.levels() else { panic!("there are packets") };
    assert!(coarse.rows.dst.iter().all(|&dst| dst == NOBODY) && coarse.rows.count.iter().all(|&n| n == 3 * 399));
    let fine = &scene.levels()[1];
    assert!(fine.width == 4 && fine.rows.dst.iter().all(|&dst| dst < hosts) && fine.rows.len() == pairs as usize);
}

#[test]
fn bins_of_few_pairs_tell_both_ends_however_many_packets_there_are() {
    let packets: Vec<_> = (0..120_000).map(|at| packet(at * 500, at as Host % 7, 7 + at as Host % 5, 16)).collect();
    let scene = filled(&packets, &[], 12);
    holds(&scene, packets.len());
    assert_eq!((scene.told(), scene.busy()), (Told::Pairs, 12));
}

#[test]
fn hosts_that_do_as_little_as_the_first_without_a_place_have_none_either() {
    // So many send two packets each, and so many one, each to a host of its own.
    let busy = |two: u32, one: u32| {
        let mut packets: Vec<_> = (0..two + one).map(|host| packet(0, 2 * host, 2 * host + 1, 16)).collect();
        packets.extend((0..two).map(|host| packet(1, 2 * host, 2 * host + 1, 16)));
        filled(&packets, &[], 2 * (two + one) as usize).busy()
    };
    assert_eq!([busy(0, 500), busy(3, 497), busy(3, 498), busy(500, 1), busy(0, 501)], [1000, 1000, 6, 1000, 1000]);
}

#[test]
fn times_as_far_apart_as_there_are_do_not_overflow() {
    let scene = filled(&[packet(i64::MAX, 0, 1, 2), packet(i64::MIN, 0, 1, 2)], &[], 2);
    assert_eq!(scene.levels()[0].rows.time, [0, u64::MAX]);
    assert_eq!(scene.levels()[0].rows.between(1, u64::MAX), 1..1);
}

#[test]
fn packets_know_their_flow_and_equal_ones_are_taken_in_turn() {
    let [a, b, c] = [packet(5, 0, 1, 2), packet(5, 0, 1, 2), packet(9, 1, 0, 18)];
    let lone = packet(7, 2, 0, 16);
    // The later flow comes first, as a machine may hand them over.
    let scene = filled(&[a, b, lone, c], &[flow(2, &[b]), flow(1, &[a, c])], 3);
    assert_eq!(scene.lines().iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2]);
    let rows = &scene.levels()[0].rows;
    assert_eq!(rows.time, [0, 0, 2, 4]);
    assert_eq!(rows.flow, [1, 2, 0, 1]);
    // What is listed in a flow alone is a packet all the same.
    assert_eq!(filled(&[], &[flow(1, &[a, c])], 2).levels()[0].rows.flow, [1, 1]);
}

/// A table may lack what flows have of packets.
#[test]
fn packets_without_numbers_are_joined_without() {
    let (alone, later) = (packet(5, 0, 1, 2), packet(6, 0, 1, 16));
    let of_flow = [Packet { seq: 7, ack: 9, ..alone }, Packet { seq: 8, ack: 9, ..later }];
    let shown = |seq, ack, alone: [Packet; 2]| {
        let (hosts, mut scene) = (hosts(2), Scene::default());
        alone.iter().try_for_each(|packet| scene.packet(packet, &hosts)).unwrap();
        scene.join_without(seq, ack);
        scene.flow(&flow(1, &of_flow), &hosts).unwrap();
        scene.finish(&hosts).unwrap();
        (scene.strangers(), scene.levels()[0].rows.flow.clone(), scene.listed()[0].seq)
    };
    assert_eq!(shown(true, true, [alone, later]), (0, vec![1, 1], 7));
    assert_eq!(shown(true, false, of_flow.map(|packet| Packet { seq: 0, ..packet })), (0, vec![1, 1], 7));
    assert_eq!(shown(true, false, [alone, later]), (2, vec![0, 1, 0, 1], 7));
}

/// In a folder packets alone have no payload, and those of flows do.
#[test]
fn a_packet_has_the_class_that_its_flow_knows() {
    let ack = packet(5, 0, 1, 16);
    let data = Packet { payload: Some(1), ..ack };
    let scene = filled(&[ack, packet(6, 0, 1, 16)], &[flow(1, &[data])], 2);
    assert_eq!(scene.levels()[0].rows.class, [Class::Data as u8, Class::Ack as u8]);
}

#[test]
fn packets_of_a_flow_have_sides_and_steps() {
    let packets = [packet(0, 0, 1, 2), packet(1, 1, 0, 18)];
    let sides = Sides { initiator: 0, responder: 1, initiator_port: 40_000, responder_port: 80 };
    let step = |packet, name| Step { packet, phase: Phase::Establishment, name };
    let steps = vec![step(0, "syn"), step(1, "syn_ack")];
    let listed = Packets::new(packets.to_vec(), steps);
    let scene = filled(&packets, &[Flow { sides: Some(sides), packets: listed, ..flow(1, &packets) }], 2);
    let listed = scene.listed();
    assert_eq!([listed[0].forward, listed[1].forward], [true, false]);
    assert_eq!(listed[1].step, Some((Phase::Establishment, 1)));
    assert_eq!((scene.steps(), scene.lines()[0].phases), (&["syn", "syn_ack"][..], [2, 0, 0]));
}

#[test]
fn hosts_that_talk_are_near_and_the_busiest_are_first() {
    let mut packets = Vec::new();
    // 0 and 3 talk, 1 and 4 talk more, 2 says a word to 4, and 5 says nothing.
    for (src, dst, n) in [(0, 3, 10), (1, 4, 20), (2, 4, 1)] {
        packets.extend((0..n).map(|time| packet(time, src, dst, 16)));
    }
    assert_eq!(filled(&packets, &[], 6).order(), [4, 1, 2, 0, 3, 5]);
}

#[test]
fn an_ending_is_one_of_five() {
    let of = |state, close, reason, established| {
        Ending::NAMES[Ending::of(&Flow { state, close, reason, established, ..Flow::default() }) as usize]
    };
    assert_eq!(of(State::Closed, Some(Close::Graceful), None, true), "graceful");
    assert_eq!(of(State::Closed, Some(Close::Graceful), Some(Reason::InvalidAck), true), "invalid");
    assert_eq!(of(State::Aborted, Some(Close::Abortive), None, false), "abortive");
    assert_eq!(of(State::Ongoing, None, None, true), "open");
    assert_eq!(of(State::New, None, None, false), "incomplete");
}
