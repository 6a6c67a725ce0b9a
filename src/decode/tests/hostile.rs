//! Any bytes: no panic, and offsets that stay in order.

use proptest::prelude::*;

use super::frames;
use super::*;
use crate::decode::packet::Fragment;

/// What holds of every packet, whatever the frame.
fn check(frame: &[u8], packet: &Packet) {
    let (ip, transport, payload) = (packet.ip_offset, packet.transport_offset, packet.payload_offset);
    assert!(ip <= transport && transport <= payload, "{packet:?}");
    assert!(usize::from(transport) <= frame.len(), "{packet:?}");
    assert!(u64::from(packet.payload_length) <= u64::from(packet.ip_length), "{packet:?}");
    assert!(packet.has_flags || packet.tcp_flags == 0, "{packet:?}");
    if packet.fragment == Fragment::Later {
        assert_eq!((packet.src_port, packet.dst_port, packet.payload_length), (0, 0, 0));
    }
    let _ = packet.payload(frame);
}

fn check_frame(link: u16, frame: &[u8], wire: u32) {
    let mut record = record(link, frame);
    record.wire = wire;
    for tunnels in [Tunnels::Inner, Tunnels::Outer] {
        if let Ok(packet) = Decoder::new(tunnels).general(&record, frame) {
            check(frame, &packet);
        }
    }
}

/// A frame that is sound but for what follows: any link type around any tunnel.
fn sound() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let all: Vec<(u16, Vec<u8>)> = frames::links()
        .into_iter()
        .map(|(_, link, frame)| (link, frame))
        .chain(frames::tunnels().into_iter().map(|(_, _, frame)| (ETHERNET, frames::ethernet(0x0800, &frame))))
        .collect();
    proptest::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_panic(
        link in proptest::sample::select(&frames::LINK_TYPES[..]),
        frame in proptest::collection::vec(any::<u8>(), 0..300),
        wire in any::<u32>(),
    ) {
        check_frame(link, &frame, wire);
    }

    #[test]
    fn sound_frames_with_random_damage_never_panic(
        (link, mut frame) in sound(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        kept in any::<proptest::sample::Index>(),
    ) {
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let wire = frame.len() as u32;
        check_frame(link, &frame, wire);
        frame.truncate(kept.index(frame.len()));
        check_frame(link, &frame, wire);
    }
}

/// Offsets are 16 bits: a header beyond them is rejected, or left to the packet around it.
#[test]
fn headers_beyond_the_reach_of_an_offset_are_not_followed() {
    use crate::decode::reject::Malformed;
    let far = [&[0, 0, 0xff, 0xff, 1, 0, 0, 0][..], &vec![0; 0xffff - 8], &frames::ethernet(0x0800, &frames::inner())]
        .concat();
    assert_eq!(decode(192, &far), Err(Malformed::LinkDepth.into()));

    let mut routes = vec![0x40, 0, 8, 0, 0, 0, 0, 0];
    for _ in 0..15 {
        routes.extend([8, 0, 0, 255]);
        routes.extend([0; 255]);
    }
    routes.extend([0; 4]);
    routes.extend(frames::inner());
    let packet = decode(RAW, &frames::outer(47, &routes)).expect("a long source route");
    assert_eq!(packet.src, frames::INNER_SRC);
}
