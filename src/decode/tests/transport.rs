//! Ports, flags, payload bounds, and who asks.

use super::frames::{inner, ipv4, ipv6, tcp, udp};
use super::*;
use crate::decode::packet::{Asks, protocol};
use crate::decode::reject::Malformed;

#[test]
fn ports_need_four_bytes_and_flags_fourteen() {
    let frame = ipv4(1, 2, 6, &tcp(1000, 2000, 0x12, b"data"));
    for kept in 20..frame.len() {
        let result = decode_cut(RAW, &frame, kept);
        if kept < 24 {
            assert_eq!(result, Err(Malformed::TransportTruncated.into()));
            continue;
        }
        let packet = result.expect("both ports");
        assert_eq!((packet.src_port, packet.dst_port), (1000, 2000));
        assert_eq!((packet.has_flags, packet.tcp_flags), if kept < 34 { (false, 0) } else { (true, 0x12) });
        assert_eq!((packet.payload_offset, packet.payload_length), if kept < 33 { (20, 0) } else { (40, 4) });
    }
}

#[test]
fn a_tcp_data_offset_out_of_bounds_leaves_no_payload() {
    for (data_offset, has_flags) in [(0x00, false), (0x40, false), (0x70, true), (0xf0, true)] {
        let mut frame = ipv4(1, 2, 6, &tcp(1000, 2000, 0x02, b"data"));
        frame[32] = data_offset;
        let packet = decode(RAW, &frame).expect("ports are there");
        assert_eq!((packet.payload_offset, packet.payload_length), (20, 0));
        assert_eq!(packet.has_flags, has_flags);
    }
}

#[test]
fn a_udp_length_counts_unless_it_contradicts_the_ip_header() {
    for (length, payload) in [(12_u16, 4), (8, 0), (10, 2), (7, 4), (0, 4), (13, 4), (0xffff, 4)] {
        let mut frame = inner();
        frame[24..26].copy_from_slice(&length.to_be_bytes());
        let packet = decode(RAW, &frame).expect("ports are there");
        assert_eq!((packet.payload_offset, packet.payload_length), (28, payload), "{length}");
    }
}

/// The IP packet ends with the wire, and so does what it carries.
#[test]
fn transport_payload_ends_with_the_wire() {
    let sctp = ipv4(1, 2, 132, &[&[3, 0xe8, 7, 0xd0][..], &[0; 12]].concat());
    let icmp = ipv4(1, 2, protocol::ICMP, &[8, 0, 0, 0]);
    let mut datagram = inner();
    datagram[24..26].copy_from_slice(&1000_u16.to_be_bytes());
    for (mut frame, payload) in [(sctp, 4), (icmp, 4), (datagram, 4)] {
        frame[2] = 0xf0;
        assert_eq!(decode(RAW, &frame).expect("ports are there").payload_length, payload);
    }
}

#[test]
fn sctp_ports_count_and_udp_lite_has_none() {
    let payload = [&[3, 0xe8, 7, 0xd0][..], &[0; 12]].concat();
    let sctp = decode(RAW, &ipv4(1, 2, 132, &payload)).expect("SCTP");
    assert_eq!((sctp.src_port, sctp.dst_port, sctp.payload_offset, sctp.payload_length), (1000, 2000, 32, 4));
    let udp_lite = decode(RAW, &ipv4(1, 2, 136, &payload)).expect("UDP-Lite");
    assert_eq!((udp_lite.src_port, udp_lite.dst_port, udp_lite.payload_length), (0, 0, 16));
}

#[test]
fn only_echo_requests_ask() {
    let asks = |packet: Vec<u8>| decode(RAW, &packet).expect("ICMP").asks;
    for kind in 0..=255 {
        let expected = |echo: u8| if kind == echo { Asks::Sender } else { Asks::Unknown };
        assert_eq!(asks(ipv4(1, 2, protocol::ICMP, &[kind, 0, 0, 0])), expected(8));
        assert_eq!(asks(ipv6(1, 2, protocol::ICMPV6, &[kind, 0, 0, 0])), expected(128));
    }
    assert_eq!(asks(ipv4(1, 2, protocol::ICMP, &[])), Asks::Unknown);
}

#[test]
fn a_name_services_query_bit_tells_who_asks() {
    let mut query = [0_u8; 12];
    let asks =
        |src: u16, dst: u16, message: &[u8]| decode(RAW, &ipv4(1, 2, 17, &udp(src, dst, message))).expect("UDP").asks;
    for port in [53, 5353, 5355] {
        query[2] = 0x01;
        assert_eq!(asks(4000, port, &query), Asks::Sender);
        assert_eq!(asks(port, 4000, &query), Asks::Sender);
        assert_eq!(asks(4000, port, &query[..11]), Asks::Unknown);
        assert_eq!(asks(port, 5353, &query), Asks::Unknown);
        query[2] = 0x81;
        assert_eq!(asks(4000, port, &query), Asks::Receiver);
    }
    assert_eq!(asks(4000, 5354, &query), Asks::Unknown);
}

#[test]
fn a_query_whose_header_was_cut_does_not_tell() {
    let frame = ipv4(1, 2, 17, &udp(4000, 53, &[0; 12]));
    assert_eq!(decode_cut(RAW, &frame, frame.len() - 1).expect("ports").asks, Asks::Unknown);
    let mut fragment = frame;
    fragment[6] = 0x20;
    assert_eq!(decode(RAW, &fragment).expect("first fragment").asks, Asks::Sender);
}
