//! What random traffic once found, in the fewest packets that show it.

use std::net::{IpAddr, Ipv6Addr};

use pcap_compactor::Config;

use crate::model::{Range, SECOND, expect};
use crate::run::{PLAIN, check, file, lines, records, say};
use crate::traffic::{Body, Frame, START, captured, herald, pcap, v4};

const HOUR: i64 = 3600 * SECOND;

fn modelled(files: &[Vec<Frame>]) {
    let dir = tempfile::tempdir().unwrap();
    let write = |(n, frames): (usize, &Vec<Frame>)| file(dir.path(), &n.to_string(), &pcap(frames));
    let paths: Vec<_> = files.iter().enumerate().map(write).collect();
    let (said, _) = say(&paths, &Config::default(), Range::default(), PLAIN);
    let captured: Vec<_> = files.iter().map(|frames| captured(frames)).collect();
    check(&said, &expect(&captured, &Config::default(), Range::default()));
}

fn udp(time: i64, src_port: u16) -> Frame {
    let body = Body::Udp { src_port, dst_port: 9, payload: Vec::new() };
    Frame::new(time, v4(10, 0, 0, 1), v4(10, 0, 0, 2), body)
}

#[test]
fn a_flow_of_later_fragments_alone_outlives_the_window_before_its_own() {
    let later = Body::Later { identification: 1, protocol: 17, length: 8 };
    let later = Frame::new(START + HOUR, v4(10, 0, 0, 3), v4(10, 0, 0, 4), later);
    // The second file closes the first hour while the fragment waits in the second.
    modelled(&[vec![udp(START, 1), later], vec![udp(START + HOUR + 1, 2), udp(START + HOUR + 2, 3)]]);
}

#[test]
fn a_flow_seen_last_in_a_closing_window_keeps_its_packets_in_an_open_one() {
    modelled(&[vec![udp(START, 1), udp(START + HOUR, 1), udp(START + 1, 1)], vec![udp(START + HOUR + 2, 2)]]);
}

#[test]
fn of_two_first_fragments_that_differ_in_protocol_alone_the_order_does_not_choose() {
    let [src, dst] = [1, 2].map(|n| IpAddr::V6(Ipv6Addr::from_bits(n)));
    let first = |body| Frame::new(START, src, dst, Body::First { identification: 7, body: Box::new(body) });
    let tcp = first(Body::Tcp { src_port: 5, dst_port: 6, flags: 0x10, payload: Vec::new() });
    let udp = first(Body::Udp { src_port: 5, dst_port: 6, payload: Vec::new() });
    let later = Frame::new(START, src, dst, Body::Later { identification: 7, protocol: 17, length: 8 });
    let dir = tempfile::tempdir().unwrap();
    let said = |frames: [&Frame; 3]| {
        let frames = [vec![herald(START)], frames.map(Frame::clone).to_vec()].concat();
        modelled(std::slice::from_ref(&frames));
        records(&lines(&[file(dir.path(), "firsts", &pcap(&frames))], &Config::default(), Range::default(), PLAIN))
    };
    assert_eq!(said([&tcp, &udp, &later]), said([&later, &udp, &tcp]));
}

#[test]
fn what_is_learned_of_ipv4_hosts_says_nothing_of_ipv6_hosts_with_the_same_numbers() {
    let hosts = [v4(10, 0, 0, 1), v4(10, 0, 0, 2)];
    let wide = hosts.map(|host| match host {
        IpAddr::V4(v4) => IpAddr::V6(Ipv6Addr::from_bits(v4.to_bits().into())),
        v6 => v6,
    });
    let datagram = |time, src, dst, src_port, dst_port| {
        Frame::new(time, src, dst, Body::Udp { src_port, dst_port, payload: Vec::new() })
    };
    let syn = Body::Tcp { src_port: 40_000, dst_port: 5000, flags: 2, payload: Vec::new() };
    let open = datagram(START + 1, hosts[0], hosts[1], 6000, 7000);
    let twin = datagram(START + 2, wide[1], wide[0], 5000, 40_001);
    modelled(&[vec![Frame::new(START, hosts[0], hosts[1], syn), open, twin]]);
}

#[test]
fn a_piece_starts_with_its_own_packet_behind_one_too_long_for_a_row() {
    // Near 1970 an empty piece, which begins and ends at 0, would be near enough to grow.
    let long = Frame { lie: Some(70_000), ..udp(10 * SECOND, 1) };
    let frames = [long, udp(60 * SECOND, 1), udp(70 * SECOND, 1)];
    modelled(&[frames.to_vec()]);
    let back = frames.map(|frame| Frame { src: frame.dst, dst: frame.src, ..frame });
    modelled(&[back.to_vec()]);
    modelled(&[back.into_iter().rev().collect()]);
}
