//! Random traffic, and random settings for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pcap_compactor::views::flows::{GoesOn, Lifetime, Settings, TcpEnd};
use proptest::prelude::*;

use super::all;
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, Rules, SYN, Sent};
use crate::run::{WAYS, Way};
use crate::traffic::START;

pub(super) fn settings(rules: &Rules) -> Settings {
    Settings {
        lifetime: rules.lifetime,
        reorder: rules.reorder,
        sequences: rules.sequences,
        no_retransmissions: rules.no_retransmissions,
        min_packets: rules.min_packets,
        columns: all(),
        ..Settings::default()
    }
}

fn ends() -> impl Strategy<Value = ((IpAddr, u16), (IpAddr, u16))> {
    let v4 = || prop::sample::select(vec![Ipv4Addr::new(9, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 1)]).prop_map(IpAddr::V4);
    let v6 = || {
        prop::sample::select(vec![Ipv6Addr::LOCALHOST, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)]).prop_map(IpAddr::V6)
    };
    let port = || prop::sample::select(vec![80, 1000, 40_000]);
    prop_oneof![3 => (v4(), v4()), 1 => (v6(), v6())]
        .prop_flat_map(move |(a, b)| (port(), port()).prop_map(move |(p, q)| ((a, p), (b, q))))
}

fn packet() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![
        8 => prop::sample::select(vec![SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, FIN | ACK, RST, RST | ACK]),
        1 => any::<u8>(),
    ];
    let numbers = (
        prop::sample::select(vec![0_u32, 1, 2, 3, 12, 13, 100, u32::MAX, 1 << 31]),
        prop::sample::select(vec![0_u32, 1, 2, 3, 12, 13, 14, 101]),
        prop::sample::select(vec![0_u16, 1, 500, 65_535]),
        prop::sample::select(vec![0_u32, 0, 1, 2, 10, 11, 1460]),
    );
    let protocol = prop::sample::select(vec![6, 6, 6, 6, 17, 1, 89]);
    (ends(), protocol, flags, numbers, prop::sample::select(vec![1_u8, 64, 255]), 0..3_u32).prop_map(
        |((mut src, mut dst), protocol, flags, (seq, ack, window, payload), ttl, padding)| {
            if !matches!(protocol, 6 | 17) {
                (src.1, dst.1) = (0, 0);
            }
            // ICMP has its type where others have flags, and its header among its payload. An IPv6 packet without
            // any payload would be one whose length is told elsewhere.
            let icmp = protocol == 1;
            let least = [1, 8][usize::from(icmp)];
            Sent {
                time: 0,
                src,
                dst,
                protocol,
                flags: if icmp { flags & 8 } else { flags },
                seq,
                ack,
                window,
                ttl,
                payload: if matches!(protocol, 6 | 17) { payload } else { payload.max(least) },
                padding,
            }
        },
    )
}

/// Times that go on, mostly: by nothing, within the reorder window, on and beside timeouts, and back.
fn step() -> impl Strategy<Value = i64> {
    let ms = SECOND / 1000;
    prop_oneof![
        6 => 0..3_i64,
        6 => (0..15_i64).prop_map(move |n| n * ms),
        3 => (-12..0_i64).prop_map(move |n| n * ms),
        3 => (0..3_i64).prop_map(move |n| n * SECOND),
        3 => prop::sample::select(vec![60, 120, 300]).prop_flat_map(|s| (-1..=1_i64).prop_map(move |ns| s * SECOND + ns)),
        1 => (-400..400_i64).prop_map(move |n| n * SECOND),
    ]
}

pub(crate) fn packets(most: usize) -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec((packet(), step()), 1..most).prop_map(|list| {
        let mut now = START;
        let set = |(mut packet, step): (Sent, i64)| {
            now += step;
            packet.time = now;
            packet
        };
        list.into_iter().map(set).collect()
    })
}

/// Files that mostly follow one another in time, so that flows end at the markers between them.
pub(crate) fn files(most: usize, packets_each: usize) -> impl Strategy<Value = Vec<Vec<Sent>>> {
    prop::collection::vec((packets(packets_each), prop::bool::weighted(0.7)), 1..most).prop_map(|files| {
        let mut end = START;
        let place = |(mut packets, follows): (Vec<Sent>, bool)| {
            let by = if follows { end - START } else { 0 };
            packets.iter_mut().for_each(|packet| packet.time += by);
            end = packets.last().map_or(end, |packet| packet.time);
            packets
        };
        files.into_iter().map(place).collect()
    })
}

pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let idle = || prop::sample::select(vec![Some(0), Some(SECOND), Some(60 * SECOND), Some(300 * SECOND), None]);
    let life = (idle(), idle(), idle(), prop_oneof![2 => Just(None), 1 => idle()], any::<bool>());
    let life = prop_oneof![
        2 => Just(Lifetime::default()),
        2 => life.prop_map(|(tcp_idle, udp_idle, other_idle, active, tcp_end)| Lifetime {
            tcp_idle, udp_idle, other_idle, active,
            tcp_end: if tcp_end { TcpEnd::Closed } else { TcpEnd::Never },
            goes_on: GoesOn::Never,
        }),
        1 => Just(Lifetime::NEVER),
    ];
    let reorder = prop::sample::select(vec![10_000_000, 10_000_000, 0, 1, 5 * SECOND]);
    let least = prop::sample::select(vec![0, 0, 2]);
    (life, reorder, prop::sample::select(vec![0, 3, 1000]), any::<bool>(), least).prop_map(
        |(lifetime, reorder, sequences, no_retransmissions, min_packets)| Rules {
            lifetime,
            reorder,
            sequences,
            no_retransmissions,
            min_packets,
        },
    )
}

pub(super) fn way() -> impl Strategy<Value = Way> {
    prop::sample::select(WAYS.to_vec())
}
