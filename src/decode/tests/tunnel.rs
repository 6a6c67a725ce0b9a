//! Decapsulation: what is followed, and what falls back to the packet around it.

use super::frames::{self, INNER_DST, INNER_SRC, OUTER_DST, OUTER_SRC, ethernet, inner, ipv4, ipv6, join, outer_udp};
use super::*;
use crate::decode::general::MAX_LEVELS;
use crate::decode::packet::Tunnel;

#[test]
fn every_tunnel_leads_to_the_packet_inside() {
    for (name, kind, frame) in frames::tunnels() {
        let packet = decode(RAW, &frame).expect(name);
        assert_eq!((packet.src, packet.dst, packet.tunnel), (INNER_SRC, INNER_DST, kind), "{name}");
        assert_eq!((packet.src_port, packet.dst_port), (1000, 2000), "{name}");
        assert_eq!(packet.payload(&frame), b"data", "{name}");
    }
    let mut kinds: Vec<Tunnel> = frames::tunnels().into_iter().map(|(_, kind, _)| kind).collect();
    kinds.push(Tunnel::None);
    assert!(Tunnel::ALL.iter().all(|kind| kinds.contains(kind)), "a kind has no frame here");
}

#[test]
fn tunnels_have_their_numbers() {
    let numbers: Vec<_> = frames::tunnels()
        .into_iter()
        .filter_map(|(name, _, frame)| Some((name, decode(RAW, &frame).expect(name).tunnel_id(&frame)?)))
        .collect();
    let expected = [
        ("gre, checksum, key, sequence", 7),
        ("gre, ethernet", 0x0100_0008),
        ("pptp", 6),
        ("erspan ii", 0x105),
        ("erspan iii", 3),
        ("erspan iii with subheader", 0),
        ("vxlan", 5),
        ("vxlan, old port", 5),
        ("vxlan, policy", 5),
        ("vxlan-gpe", 5),
        ("geneve", 5),
        ("geneve with options", 5),
        ("gtp-u", 9),
        ("gtp-u, sequence", 9),
        ("gtp-u, extensions", 9),
        ("l2tp", 1 << 16 | 2),
        ("l2tp, all options", 1 << 16 | 2),
    ];
    assert_eq!(numbers, expected);
}

/// A tag inside a tunnel is of a network of its own.
#[test]
fn the_vlan_is_that_in_front_of_the_tunnel() {
    let tag = |number: u8, payload: &[u8]| ethernet(0x8100, &join(&[&[0, number, 8, 0], payload]));
    for (name, kind, frame) in frames::tunnels() {
        let packet = decode(ETHERNET, &tag(5, &frame)).expect(name);
        assert_eq!((packet.src, packet.tunnel, packet.vlan), (INNER_SRC, kind, Some(5)), "{name}");
    }
    let inside = outer_udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 5, 0], &tag(6, &inner())]));
    for decode in [decode, decode_outer] {
        assert_eq!(decode(ETHERNET, &ethernet(0x0800, &inside)).expect("VXLAN").vlan, None);
        assert_eq!(decode(ETHERNET, &tag(5, &inside)).expect("VXLAN").vlan, Some(5));
    }
}

#[test]
fn no_tunnel_is_followed_when_the_outer_packet_is_asked_for() {
    for (name, _, frame) in frames::tunnels() {
        let packet = decode_outer(RAW, &frame).expect(name);
        assert_eq!((packet.src, packet.dst, packet.tunnel), (OUTER_SRC, OUTER_DST, Tunnel::None), "{name}");
    }
    let tagged = ethernet(0x8100, &join(&[&[0, 5, 8, 0], &inner()]));
    assert_eq!(decode_outer(ETHERNET, &tagged).expect("tagged").src, INNER_SRC);
}

/// The room inside a tunnel is what the headers around it leave, down from the frame's.
#[test]
fn lengths_inside_tunnels_end_with_the_room_there() {
    for (name, kind, mut frame) in frames::tunnels() {
        let whole = decode(RAW, &frame).expect(name);
        let field = usize::from(whole.ip_offset) + if whole.v6 { 4 } else { 2 };
        frame[2] = 0xf0;
        // Teredo's port is shared with anything; what does not fit there is not of it.
        if kind != Tunnel::Teredo {
            frame[field] = 0xf0;
        }
        let packet = decode(RAW, &frame).expect(name);
        assert_eq!(packet, whole, "{name}");
    }
}

#[test]
fn either_end_of_a_udp_tunnel_may_have_the_port() {
    for (name, kind, mut frame) in frames::tunnels().into_iter().filter(|(_, _, frame)| frame[9] == 17) {
        let (src, dst) = ([frame[20], frame[21]], [frame[22], frame[23]]);
        frame[20..22].copy_from_slice(&dst);
        frame[22..24].copy_from_slice(&src);
        assert_eq!(decode(RAW, &frame).expect(name).tunnel, kind, "{name}");
    }
}

#[test]
fn a_tunnel_cut_anywhere_leaves_the_outer_packet() {
    for (name, kind, frame) in frames::tunnels() {
        let whole = decode(RAW, &frame).expect(name);
        for kept in 24..frame.len() {
            let packet = decode_cut(RAW, &frame, kept).expect(name);
            // The inner packet stands as soon as both of its ports are there.
            if kept >= usize::from(whole.transport_offset) + 4 {
                assert_eq!((packet.src, packet.tunnel), (INNER_SRC, kind), "{name} at {kept}");
                assert_eq!((packet.ip_length, packet.payload_length), (whole.ip_length, 4), "{name} at {kept}");
            } else {
                assert_eq!((packet.src, packet.tunnel), (OUTER_SRC, Tunnel::None), "{name} at {kept}");
            }
        }
    }
}

#[test]
fn headers_that_do_not_check_out_leave_the_outer_packet() {
    let ip = inner();
    let frame = ethernet(0x0800, &ip);
    let ppp = join(&[&[0, 0x21], &ip]);
    let gtp = |head: [u8; 4]| outer_udp(2152, &join(&[&head, &[0; 4], &ip]));
    let gre = |head: &[u8], payload: &[u8]| frames::outer(47, &join(&[head, payload]));
    let vxlan = |head: [u8; 8]| outer_udp(4789, &join(&[&head, &frame]));
    let cases = [
        ("vxlan without its flag", vxlan([0, 0, 0, 0, 0, 0, 5, 0])),
        ("vxlan with a reserved byte", vxlan([8, 0, 1, 0, 0, 0, 5, 0])),
        ("vxlan with the last byte", vxlan([8, 0, 0, 0, 0, 0, 5, 1])),
        ("vxlan-gpe with an unknown protocol", vxlan([0x0c, 0, 0, 9, 0, 0, 5, 0])),
        ("vxlan on another port", outer_udp(4788, &join(&[&[8, 0, 0, 0, 0, 0, 5, 0], &frame]))),
        ("vxlan around ARP", outer_udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 5, 0], &ethernet(0x0806, &[0; 28])]))),
        ("geneve, version 1", outer_udp(6081, &join(&[&[0x40, 0, 0x65, 0x58, 0, 0, 5, 0], &frame]))),
        ("geneve, options beyond the end", outer_udp(6081, &join(&[&[0x3f, 0, 0x65, 0x58, 0, 0, 5, 0], &frame]))),
        ("geneve, unknown protocol", outer_udp(6081, &join(&[&[0, 0, 0x88, 0x47, 0, 0, 5, 0], &frame]))),
        ("gtp, version 2", gtp([0x50, 255, 0, 32])),
        ("gtp prime", gtp([0x20, 255, 0, 32])),
        ("gtp echo", gtp([0x30, 1, 0, 32])),
        ("gtp longer than its datagram", gtp([0x30, 255, 0, 33])),
        ("gtp with an empty extension", outer_udp(2152, &join(&[&[0x34, 255, 0, 37, 0, 0, 0, 0, 0, 0, 0, 1, 0], &ip]))),
        ("teredo with IPv4", outer_udp(3544, &ip)),
        (
            "teredo longer than its datagram",
            outer_udp(3544, &{
                let mut six = frames::inner6();
                six[5] += 1;
                six
            }),
        ),
        ("l2tp control", outer_udp(1701, &join(&[&[0x80, 2, 0, 1, 0, 2], &ppp]))),
        ("l2tp, version 3", outer_udp(1701, &join(&[&[0, 3, 0, 1, 0, 2], &ppp]))),
        ("l2tp around LCP", outer_udp(1701, &[0, 2, 0, 1, 0, 2, 0xc0, 0x21, 1, 1])),
        ("gre, version 2", gre(&[0, 2, 8, 0], &ip)),
        ("gre, unknown protocol", gre(&[0, 0, 0x88, 0xcc], &ip)),
        ("gre, length for a protocol", gre(&[0, 0, 0, 40], &join(&[&[6, 6, 3], &ip]))),
        ("pptp without key", gre(&[0, 1, 0x88, 0x0b, 0, 0, 0, 0], &ppp)),
        ("erspan ii, version 2", gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0], &frame)),
        ("ip in ip with the other version", frames::outer(41, &ip)),
        ("ip in ip, malformed", frames::outer(4, &[0x41; 20])),
    ];
    for (name, frame) in cases {
        let packet = decode(RAW, &frame).expect(name);
        assert_eq!((packet.src, packet.tunnel), (OUTER_SRC, Tunnel::None), "{name}");
    }
}

#[test]
fn a_teredo_bubble_is_an_ipv6_packet() {
    let packet = decode(RAW, &outer_udp(3544, &ipv6(1, 2, 59, &[]))).expect("a bubble");
    assert_eq!((packet.src, packet.protocol, packet.ip_length), (1, 59, 40));
    assert_eq!(packet.tunnel, Tunnel::Teredo);
}

#[test]
fn tunnels_nest_up_to_eight_ip_headers() {
    for levels in 1..=MAX_LEVELS + 3 {
        let mut frame = inner();
        for level in (1..levels).rev() {
            frame = ipv4(level as u128, 99, 4, &frame);
        }
        let packet = decode(RAW, &frame).expect("nested");
        let expected = if levels <= MAX_LEVELS { INNER_SRC } else { MAX_LEVELS as u128 };
        assert_eq!(packet.src, expected, "{levels} levels");
        assert_eq!(usize::from(packet.ip_offset), 20 * (levels.min(MAX_LEVELS) - 1));
    }
}

#[test]
fn the_innermost_tunnel_names_the_packet() {
    let vxlan = outer_udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 5, 0], &ethernet(0x0800, &ipv4(5, 6, 4, &inner()))]));
    let packet = decode(RAW, &vxlan).expect("nested");
    assert_eq!((packet.src, packet.tunnel), (INNER_SRC, Tunnel::IpInIp));
}
