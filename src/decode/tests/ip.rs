//! IPv4 and IPv6: lengths, fragments, extension headers.

use super::frames::{INNER_DST, INNER_SRC, ethernet, inner, inner6, ipv4, ipv4_part, ipv6, join, outer, tcp, udp};
use super::*;
use crate::decode::ip::MAX_EXTENSIONS;
use crate::decode::packet::{Fragment, protocol};
use crate::decode::reject::Malformed;

#[test]
fn link_padding_is_neither_length_nor_payload() {
    let frame = join(&[&ethernet(0x0800, &inner()), &[0xee; 14]]);
    let packet = decode(ETHERNET, &frame).expect("padded");
    assert_eq!((packet.ip_length, packet.payload_length), (32, 4));
    assert_eq!(packet.payload(&frame), b"data");
}

#[test]
fn lengths_are_the_headers_when_the_snap_length_cut_the_frame() {
    let frame = ethernet(0x0800, &ipv4(INNER_SRC, INNER_DST, 6, &tcp(1, 2, 0x18, &[7; 1000])));
    for kept in 48..frame.len() {
        let packet = decode_cut(ETHERNET, &frame, kept).expect("both ports and the flags are there");
        assert_eq!((packet.ip_length, packet.payload_length, packet.tcp_flags), (1040, 1000, 0x18));
        assert_eq!(packet.payload(&frame[..kept]).len(), kept.saturating_sub(54));
    }
}

/// What a header claims beyond the frame was never sent. A snap length is no such claim.
#[test]
fn a_length_beyond_the_wire_ends_with_the_wire() {
    let segment = tcp(1, 2, 0x18, b"data");
    let v4 = ethernet(0x0800, &ipv4(INNER_SRC, INNER_DST, 6, &segment));
    let v6 = ethernet(0x86dd, &ipv6(INNER_SRC, INNER_DST, 6, &segment));
    for (mut frame, field, length) in [(v4, 16, 44), (v6, 18, 64)] {
        frame[field..field + 2].copy_from_slice(&60_000_u16.to_be_bytes());
        let packet = decode(ETHERNET, &frame).expect("the headers are whole");
        assert_eq!((packet.ip_length, packet.payload_length), (length, 4));
        assert_eq!(packet.payload(&frame), b"data");

        let kept = frame.len() - 2;
        let cut = decode_cut(ETHERNET, &frame, kept).expect("the headers are whole");
        assert_eq!((cut.ip_length, cut.payload_length), (length, 4));
        assert_eq!(cut.payload(&frame[..kept]), b"da");

        let mut record = record(ETHERNET, &frame);
        record.wire += 1000;
        let cut = Decoder::new(Tunnels::Inner).decode(&record, &frame).expect("the headers are whole");
        assert_eq!((cut.ip_length, cut.payload_length), (length + 1000, 1004));
    }
}

#[test]
fn a_fragment_ends_with_the_wire_too() {
    let mut first = ipv4_part(1, 2, 17, 0x2000, &udp(1000, 2000, &[1; 16]));
    let mut later = ipv4_part(1, 2, 17, 0x2003, &[1; 24]);
    let mut extension = ipv6(1, 2, 44, &join(&[&[17, 0, 0, 1, 0, 0, 0, 9], &udp(1000, 2000, &[1; 16])]));
    first[2] = 0xff;
    later[2] = 0xff;
    extension[4] = 0xff;
    for (frame, payload) in [(first, 16), (later, 0), (extension, 16)] {
        let packet = decode(RAW, &frame).expect("a fragment");
        assert_eq!((packet.ip_length as usize, packet.payload_length), (frame.len(), payload));
    }
}

#[test]
fn a_total_length_of_zero_means_the_rest_of_the_frame_on_the_wire() {
    let mut v4 = inner();
    v4[2..4].fill(0);
    let mut v6 = inner6();
    v6[4..6].fill(0);
    for packet in [v4, v6] {
        let length = packet.len();
        let mut record = record(RAW, &packet);
        assert_eq!(decode(RAW, &packet).expect("offloaded").ip_length as usize, length);
        record.wire += 60_000;
        let cut = Decoder::new(Tunnels::Inner).general(&record, &packet).expect("offloaded and cut");
        assert_eq!(cut.ip_length as usize, length + 60_000);
    }
}

#[test]
fn an_ipv6_packet_without_payload_is_no_jumbogram() {
    let frame = join(&[&ethernet(0x86dd, &ipv6(1, 2, 59, &[])), &[0; 6]]);
    let packet = decode(ETHERNET, &frame).expect("no next header");
    assert_eq!((packet.ip_length, packet.protocol, packet.payload_length), (40, 59, 0));
}

#[test]
fn ipv4_lengths_that_contradict_each_other_are_malformed() {
    let mut short_header = inner();
    short_header[0] = 0x44;
    let mut short_total = inner();
    short_total[3] = 19;
    let mut options_cut = inner();
    options_cut[0] = 0x4f;
    assert_eq!(decode(RAW, &short_header), Err(Malformed::IpLength.into()));
    assert_eq!(decode(RAW, &short_total), Err(Malformed::IpLength.into()));
    assert_eq!(decode(RAW, &options_cut), Err(Malformed::IpTruncated.into()));
}

#[test]
fn ip_headers_cut_anywhere_are_truncated() {
    for (packet, header) in [(inner(), 20), (inner6(), 40)] {
        for kept in 0..header {
            assert_eq!(decode_cut(RAW, &packet, kept), Err(Malformed::IpTruncated.into()));
        }
    }
}

#[test]
fn first_fragments_have_ports_and_later_ones_only_their_protocol() {
    let payload = udp(1000, 2000, &[1; 24]);
    for (part, expected) in
        [(0x2000, Fragment::First), (0x2003, Fragment::Later), (0x0003, Fragment::Later), (0x4000, Fragment::Whole)]
    {
        let packet = decode(RAW, &ipv4_part(1, 2, 17, part, &payload)).expect("a fragment");
        let later = expected == Fragment::Later;
        assert_eq!((packet.fragment, packet.protocol), (expected, 17));
        assert_eq!((packet.src_port, packet.dst_port), if later { (0, 0) } else { (1000, 2000) });
        assert_eq!(packet.payload_length, if later { 0 } else { 24 });
        assert_eq!(packet.payload_offset, if later { 20 } else { 28 });
    }
}

#[test]
fn ipv6_fragment_headers_say_the_same() {
    let payload = udp(1000, 2000, &[1; 24]);
    for (field, expected) in
        [(0_u16, Fragment::Whole), (1, Fragment::First), (8, Fragment::Later), (9, Fragment::Later)]
    {
        let header = join(&[&[17, 0], &field.to_be_bytes(), &[0, 0, 0, 9], &payload]);
        let packet = decode(RAW, &ipv6(1, 2, 44, &header)).expect("a fragment");
        assert_eq!((packet.fragment, packet.protocol), (expected, 17));
        assert_eq!(packet.src_port == 1000, expected != Fragment::Later);
        assert_eq!(packet.transport_offset, 48);
    }
}

/// What follows a later fragment's header is data, even where its number names an extension header.
#[test]
fn a_later_fragment_is_not_read_beyond_its_fragment_header() {
    let packet = decode(RAW, &ipv6(1, 2, 44, &[60, 0, 0, 8, 0, 0, 0, 9])).expect("a fragment");
    assert_eq!((packet.fragment, packet.protocol, packet.payload_length), (Fragment::Later, 60, 0));
    let packet = decode(RAW, &ipv4_part(1, 2, 51, 3, &[0; 4])).expect("a fragment");
    assert_eq!((packet.fragment, packet.protocol), (Fragment::Later, 51));
}

#[test]
fn a_fragmented_datagram_is_not_decapsulated() {
    for part in [0x2000, 0x0003] {
        let packet = decode(RAW, &ipv4_part(1, 2, 4, part, &inner())).expect("a fragment");
        assert_eq!((packet.src, packet.protocol, packet.tunnel), (1, 4, crate::decode::packet::Tunnel::None));
    }
}

fn options(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

#[test]
fn extension_headers_are_walked_in_any_order() {
    let transport = udp(1000, 2000, b"data");
    let authentication = [&[60_u8, 4, 0, 0][..], &[0; 20]].concat();
    let chain =
        [&options(60)[..], &options(43), &options(0), &options(51), &authentication, &options(17), &transport].concat();
    let packet = decode(RAW, &ipv6(1, 2, 0, &chain)).expect("extension headers");
    assert_eq!((packet.protocol, packet.src_port, packet.payload_length), (17, 1000, 4));
    assert_eq!(usize::from(packet.transport_offset), 40 + 4 * 8 + 24 + 8);
}

#[test]
fn the_authentication_header_is_walked_in_ipv4_too() {
    let header = [&[17_u8, 4, 0, 0][..], &[0; 20]].concat();
    let frame = ipv4(1, 2, 51, &join(&[&header, &udp(1000, 2000, b"data")]));
    let packet = decode(RAW, &frame).expect("authenticated");
    assert_eq!((packet.protocol, packet.src_port, packet.transport_offset), (17, 1000, 44));
    assert_eq!(decode_cut(RAW, &frame, 43), Err(Malformed::IpExtension.into()));
}

#[test]
fn extension_headers_have_a_bound() {
    for count in 0..MAX_EXTENSIONS + 3 {
        let chain: Vec<u8> = (0..count).flat_map(|n| options(if n + 1 == count { 17 } else { 60 })).collect();
        let first = if count == 0 { 17 } else { 60 };
        let result = decode(RAW, &ipv6(1, 2, first, &join(&[&chain, &udp(1, 2, &[])])));
        if count <= MAX_EXTENSIONS {
            assert_eq!(result.expect("within the bound").protocol, 17);
        } else {
            assert_eq!(result, Err(Malformed::IpExtensionDepth.into()));
        }
    }
}

#[test]
fn extension_headers_cut_anywhere_are_malformed() {
    let frame = ipv6(1, 2, 0, &join(&[&options(44), &[17, 0, 0, 0, 0, 0, 0, 1], &udp(1000, 2000, b"data")]));
    for kept in 40..56 {
        assert_eq!(decode_cut(RAW, &frame, kept), Err(Malformed::IpExtension.into()));
    }
}

/// Bytes behind the end that the IP header names belong to nobody.
#[test]
fn transport_headers_end_with_the_ip_packet() {
    let mut frame = ipv4(1, 2, 17, &udp(1000, 2000, b"data"));
    frame[3] = 22;
    assert_eq!(decode(RAW, &frame), Err(Malformed::TransportTruncated.into()));
}

#[test]
fn headers_quoted_in_an_icmp_error_are_not_followed() {
    let frame = outer(protocol::ICMP, &join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &inner()]));
    let packet = decode(RAW, &frame).expect("an ICMP error");
    assert_eq!((packet.protocol, packet.src_port, packet.dst_port), (protocol::ICMP, 0, 0));
    assert_eq!((packet.transport_offset, packet.payload_offset, packet.payload_length), (20, 20, 40));
}
