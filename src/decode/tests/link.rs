//! Link types and the layers down to IP.

use super::frames::{self, ethernet, inner, inner6, join};
use super::*;
use crate::decode::reject::{Malformed, NotIp};

#[test]
fn every_link_type_leads_to_the_packet_inside() {
    let seen: std::collections::BTreeSet<u16> = frames::links().iter().map(|(_, link, _)| *link).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), frames::LINK_TYPES);
    for (name, link, frame) in frames::links() {
        let packet = decode(link, &frame).expect(name);
        let whole = if packet.v6 { inner6() } else { inner() };
        let found = (packet.src, packet.dst, packet.src_port, packet.dst_port, packet.protocol);
        assert_eq!(found, (frames::INNER_SRC, frames::INNER_DST, 1000, 2000, 17), "{name}");
        assert_eq!(usize::from(packet.ip_offset), frame.len() - whole.len(), "{name}");
        assert_eq!(packet.ip_length as usize, whole.len(), "{name}");
        assert_eq!(packet.payload(&frame), b"data", "{name}");
    }
}

#[test]
fn a_link_header_cut_anywhere_is_malformed_and_never_a_packet() {
    for (name, link, frame) in frames::links() {
        let ip = usize::from(decode(link, &frame).expect(name).ip_offset);
        for kept in 0..ip {
            let cut = decode_cut(link, &frame, kept).expect_err(name);
            let allowed =
                matches!(cut, Reject::Malformed(Malformed::LinkTruncated) | Reject::NotIp(NotIp::Mpls | NotIp::Nflog));
            assert!(allowed, "{name} at {kept}: {cut:?}");
        }
    }
}

#[test]
fn the_record_is_carried_over() {
    let frame = ethernet(0x0800, &inner());
    let mut record = record(ETHERNET, &frame);
    record.wire += 4;
    let packet = Decoder::new(Tunnels::Inner).general(&record, &frame).expect("a sound frame");
    assert_eq!((packet.time, packet.frame), (record.time, record.offset));
    assert_eq!((packet.captured, packet.wire), (record.captured, record.wire));
}

#[test]
fn a_time_that_does_not_fit_rejects_the_frame_first() {
    let mut record = record(999, &[]);
    record.stamp = crate::capture::Stamp::Unrepresentable;
    assert_eq!(Decoder::new(Tunnels::Inner).general(&record, &[]), Err(Malformed::Time.into()));
}

#[test]
fn link_types_that_are_not_supported_are_said_to_be_so() {
    for link in (0..512).filter(|link| !frames::LINK_TYPES.contains(link)) {
        assert_eq!(decode(link, &inner()), Err(Malformed::LinkType.into()), "{link}");
    }
}

#[test]
fn eight_vlan_tags_of_any_kind_are_followed_and_no_more() {
    let kinds = [0x8100, 0x88a8, 0x9100, 0x9200, 0x8100, 0x8100, 0x88a8, 0x8100, 0x8100];
    for tags in 0..=kinds.len() {
        let mut payload = inner();
        let mut kind = 0x0800_u16;
        for tag in &kinds[..tags] {
            payload = join(&[&[0, 5], &kind.to_be_bytes(), &payload]);
            kind = *tag;
        }
        let result = decode(ETHERNET, &ethernet(kind, &payload));
        if tags <= 8 {
            assert_eq!(usize::from(result.expect("followed").ip_offset), 14 + 4 * tags);
        } else {
            assert_eq!(result, Err(Malformed::LinkDepth.into()));
        }
    }
}

/// The tag that leads to the VLAN's own frames, whatever they carry.
#[test]
fn the_innermost_tag_numbers_the_vlan() {
    let tag = |number: u16, kind: u16, payload: &[u8]| join(&[&number.to_be_bytes(), &kind.to_be_bytes(), payload]);
    let ip = inner();
    let pppoe = join(&[&[0x11, 0, 0, 1, 0, 34, 0, 0x21], &ip]);
    let pseudowire = |inside: &[u8]| join(&[&[0, 1, 1, 64, 0, 0, 0, 0], inside]);
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0], &tag(5, 0x0800, &ip)]);
    let cases = [
        ("none", ethernet(0x0800, &ip), None),
        ("one, with a priority", ethernet(0x8100, &tag(0xe005, 0x0800, &ip)), Some(5)),
        ("the least and the greatest", ethernet(0x88a8, &tag(0, 0x8100, &tag(0x0fff, 0x0800, &ip))), Some(0x0fff)),
        ("a priority alone", ethernet(0x8100, &tag(0xe000, 0x0800, &ip)), Some(0)),
        ("three", ethernet(0x9100, &tag(7, 0x88a8, &tag(6, 0x8100, &tag(5, 0x0800, &ip)))), Some(5)),
        ("in front of PPPoE", ethernet(0x8100, &tag(5, 0x8864, &pppoe)), Some(5)),
        ("in front of MPLS", ethernet(0x8100, &tag(5, 0x8847, &join(&[&[0, 1, 1, 64], &ip]))), Some(5)),
        ("in front of a pseudowire", ethernet(0x8100, &tag(5, 0x8847, &pseudowire(&ethernet(0x0800, &ip)))), Some(5)),
        (
            "in a pseudowire",
            ethernet(0x8100, &tag(5, 0x8847, &pseudowire(&ethernet(0x8100, &tag(6, 0x0800, &ip))))),
            Some(6),
        ),
        ("behind SNAP", ethernet(snap.len() as u16, &snap), Some(5)),
    ];
    for (name, frame, vlan) in cases {
        let packet = Decoder::new(Tunnels::Inner).decode(&record(ETHERNET, &frame), &frame).expect(name);
        assert_eq!((packet.src, packet.vlan), (frames::INNER_SRC, vlan), "{name}");
    }
    let cooked = frames::links().into_iter().find(|(name, ..)| *name == "cooked, vlan").expect("it is there");
    assert_eq!(decode(cooked.1, &cooked.2).expect("cooked").vlan, Some(9));
}

#[test]
fn endless_stacks_of_headers_end() {
    let labels = ethernet(0x8847, &[0, 1, 0, 64].repeat(2000));
    assert_eq!(decode(ETHERNET, &labels), Err(Malformed::LinkDepth.into()));
    let bridges = ethernet(0x6558, &ethernet(0x6558, &[]).repeat(2000));
    assert_eq!(decode(ETHERNET, &bridges), Err(Malformed::LinkDepth.into()));
}

#[test]
fn frames_without_ip_say_what_they_carry() {
    let cases: [(u16, Vec<u8>, NotIp); 12] = [
        (1, ethernet(0x0806, &[0; 28]), NotIp::EtherType(0x0806)),
        (1, ethernet(0x8100, &[0, 5, 0x88, 0xcc, 0, 0]), NotIp::EtherType(0x88cc)),
        (1, ethernet(38, &[0x42, 0x42, 3, 0, 0]), NotIp::Llc(0x42)),
        (1, ethernet(38, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 1]), NotIp::Llc(0xaa)),
        (1, ethernet(0x8864, &[0x11, 0, 0, 1, 0, 4, 0xc0, 0x21, 1, 1]), NotIp::Ppp(0xc021)),
        (1, ethernet(0x8847, &[0, 1, 1, 64, 0x10, 0, 0, 0]), NotIp::Mpls),
        (0, vec![7, 0, 0, 0, 1], NotIp::Family(7)),
        (108, vec![0, 0, 0, 7, 1], NotIp::Family(7)),
        (10, vec![0x41; 30], NotIp::Fddi(0x41)),
        (113, vec![0; 20], NotIp::Cooked(0)),
        (192, vec![0, 0, 8, 0, 105, 0, 0, 0, 1], NotIp::Ppi(105)),
        (239, vec![2, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0], NotIp::Nflog),
    ];
    for (link, frame, what) in cases {
        assert_eq!(decode(link, &frame), Err(what.into()));
    }
}

#[test]
fn an_announced_version_must_be_the_headers_own() {
    assert_eq!(decode(ETHERNET, &ethernet(0x0800, &inner6())), Err(Malformed::IpVersion.into()));
    assert_eq!(decode(ETHERNET, &ethernet(0x86dd, &inner())), Err(Malformed::IpVersion.into()));
    assert_eq!(decode(RAW, &[0x50; 40]), Err(Malformed::IpTruncated.into()));
}

#[test]
fn link_headers_that_contradict_themselves_are_invalid() {
    for (link, frame) in [
        (192, vec![0, 0, 7, 0, 1, 0, 0, 0, 1]),
        (239, vec![2, 0, 0, 0, 1, 0, 9, 0]),
        (1, ethernet(0x8864, &[0x21, 0, 0, 0, 0, 0, 0, 0x21])),
    ] {
        assert_eq!(decode(link, &frame), Err(Malformed::LinkInvalid.into()));
    }
}
