//! The fast path answers as the general path does, or not at all.

use proptest::prelude::*;

use super::super::packet::{Asks, Fragment, Tunnel};
use super::super::{Decoder, Packet, Tunnels};
use crate::capture::{LinkType, Record, Stamp};
use crate::time::Timestamp;

prop_compose! {
    /// A frame that is nearly in order: tags, addresses, options, fragment bits and lengths vary, then a few bytes change.
    fn frame()(
        tags in prop::collection::vec(prop::sample::select(vec![0x8100u16, 0x88a8]), 0..4),
        v6 in any::<bool>(),
        options in 0u8..4,
        fragment in prop::sample::select(vec![0u16, 0, 0, 0x4000, 0x2000, 0x2001, 0x0005]),
        protocol in prop::sample::select(vec![6u8, 6, 17, 17, 1, 132, 44, 51]),
        ports in (
            prop::sample::select(vec![53u16, 80, 5353, 40000, 4789, 4790, 2152, 1701]),
            prop::sample::select(vec![53u16, 443, 5355, 50000, 6081, 3544, 8472]),
        ),
        body in prop::collection::vec(any::<u8>(), 0..60),
        offset in 4u8..8,
        lies in (-3i32..4, prop::sample::select(vec![-3i32, -2, -1, 0, 0, 0, 1, 2, 3, 1400, 60_000])),
        hits in prop::collection::vec((0usize..90, any::<u8>()), 0..3),
    ) -> Vec<u8> {
        let mut transport = Vec::new();
        transport.extend(ports.0.to_be_bytes());
        transport.extend(ports.1.to_be_bytes());
        if protocol == 6 {
            transport.extend([0; 8]);
            transport.extend([offset << 4, body.first().copied().unwrap_or(2)]);
            transport.extend([0; 6]);
        } else {
            transport.extend(((8 + body.len() as i32 + lies.0) as u16).to_be_bytes());
            transport.extend([0; 2]);
        }
        transport.extend(&body);
        let mut frame = vec![2; 12];
        for (number, tag) in (0x2005_u16..).zip(tags) {
            frame.extend(tag.to_be_bytes());
            frame.extend(number.to_be_bytes());
        }
        let length = transport.len() as i32 + lies.1;
        if v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((length as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend([0x20; 32]);
        } else {
            frame.extend([0x08, 0x00, 0x45 + options, 0]);
            frame.extend((length as u16 + 20 + u16::from(options) * 4).to_be_bytes());
            frame.extend([0, 9]);
            frame.extend(fragment.to_be_bytes());
            frame.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            frame.extend(vec![1; usize::from(options) * 4]);
        }
        frame.extend(transport);
        for (at, byte) in hits {
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
        }
        frame
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn fast_and_general_agree(
        frame in frame(),
        kept in 0usize..130,
        wire in prop::sample::select(vec![-2i64, -1, 0, 0, 0, 1, 2, 1400]),
        outer in any::<bool>(),
        stamp in prop::sample::select(vec![Stamp::Known, Stamp::Missing, Stamp::Unrepresentable]),
    ) {
        let captured = &frame[..kept.min(frame.len())];
        let record = Record {
            time: Timestamp(5),
            offset: 77,
            captured: captured.len() as u32,
            wire: (frame.len() as i64 + wire).max(0) as u32,
            link: LinkType(1),
            stamp,
        };
        let decoder = Decoder::new(if outer { Tunnels::Outer } else { Tunnels::Inner });
        let general = decoder.general(&record, captured);
        prop_assert_eq!(decoder.decode(&record, captured), general);
        // It writes every field, whatever was there.
        let mut packet = used();
        let answer = decoder.decode_into(&record, captured, &mut packet);
        prop_assert_eq!(answer.map(|()| packet), general);
    }
}

/// A packet that is unlike the default in every field.
fn used() -> Packet {
    Packet {
        src: u128::MAX,
        dst: u128::MAX,
        time: Timestamp(i64::MIN),
        frame: 1,
        captured: 2,
        wire: 3,
        ip_length: 4,
        payload_length: 5,
        src_port: 6,
        dst_port: 7,
        ip_offset: 8,
        transport_offset: 9,
        payload_offset: 10,
        protocol: 11,
        tcp_flags: 12,
        v6: true,
        has_flags: true,
        fragment: Fragment::First,
        asks: Asks::Receiver,
        tunnel: Tunnel::Vxlan,
        tunnel_offset: 13,
        vlan: Some(14),
        link: LinkType(15),
    }
}

#[test]
fn the_fast_path_does_answer() {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 9, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    let record = Record { captured: 54, wire: 54, link: LinkType(1), ..Record::default() };
    let decoder = Decoder::new(Tunnels::Inner);
    let mut packet = Packet::default();
    let answer = super::super::fast::ethernet(&record, &frame, decoder.tunnels, &mut packet);
    assert!(answer.is_some());
    assert_eq!(packet.dst_port, 80);
}
