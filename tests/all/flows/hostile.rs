//! Frames that lie.

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::flows::Settings;

use super::{all, frame, say, segment};
use crate::model::flows::{ACK, SYN};
use crate::run::{PLAIN, file};
use crate::traffic::START;

/// A capture of one frame, which claims this length on the wire.
fn one(frame: &[u8], wire: u32) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).expect("memory takes bytes");
    writer.record(Timestamp(START), wire, frame).expect("the time fits");
    writer.finish().expect("memory takes bytes")
}

#[test]
fn lengths_end_with_the_wire_and_those_of_zero_reach_there() {
    let dir = tempfile::tempdir().unwrap();
    let segment = segment(START, true, ACK, 1, 1, 1000);
    // Segmentation offload: the IP header says 0, the frame knows.
    let mut offloaded = frame(&segment);
    offloaded[16..18].copy_from_slice(&[0, 0]);
    // A header that claims more than is there.
    let mut claims = frame(&segment);
    claims[16..18].copy_from_slice(&[0xff, 0xff]);
    let settings = Settings { columns: all(), ..Settings::default() };
    for (frame, wire, payload) in [
        (&offloaded, 1054, 1000),
        (&offloaded, 60_054, 60_000),
        (&claims, 1054, 1000),
        (&claims, 60_054, 60_000),
        (&claims, 0, 1000),
    ] {
        let said = say(&[file(dir.path(), "a.pcap", &one(frame, wire))], settings.clone(), PLAIN);
        let up = &said.flows[0].sides[0];
        assert_eq!((up.packets, up.payload_bytes), (1, payload), "{wire}");
    }
}

#[test]
fn flows_know_the_vlan_in_front_of_whatever_carries_them() {
    let plain = frame(&segment(START, true, SYN, 1, 0, 0));
    let ip = &plain[14..];
    let link = |headers: &[u8], payload: &[u8]| [&plain[..12], headers, payload].concat();
    let outer = |protocol: u8, payload: &[u8]| {
        let [high, low] = (20 + payload.len() as u16).to_be_bytes();
        [&[0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, 9, 0, 0, 8, 9, 0, 0, 9], payload].concat()
    };
    let gre = outer(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 77], ip].concat());
    let [high, low] = (16 + plain.len() as u16 + 4).to_be_bytes();
    let inside = link(&[0x81, 0, 0, 6, 8, 0], ip);
    let vxlan = outer(17, &[&[0, 9, 0x12, 0xb5, high, low, 0, 0, 8, 0, 0, 0, 0, 0, 88, 0], &inside[..]].concat());
    let [high, low] = (2 + ip.len() as u16).to_be_bytes();
    let cases = [
        (link(&[0x81, 0, 0xe0, 5, 8, 0], ip), Some(5), None),
        (link(&[0x88, 0xa8, 0, 4, 0x81, 0, 0, 5, 8, 0], ip), Some(5), None),
        (link(&[0x81, 0, 0, 5, 0x88, 0x64, 0x11, 0, 0, 1, high, low, 0, 0x21], ip), Some(5), None),
        (link(&[0x81, 0, 0, 5, 0x88, 0x47, 0, 1, 1, 64], ip), Some(5), None),
        (link(&[0x81, 0, 0x0f, 0xff, 8, 0], &gre), Some(0x0fff), Some(77)),
        (link(&[0x81, 0, 0, 5, 8, 0], &vxlan), Some(5), Some(88)),
        (link(&[8, 0], &vxlan), None, Some(88)),
        (plain.clone(), None, None),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (frame, vlan, tunnel) in cases {
        let path = file(dir.path(), "a.pcap", &one(&frame, frame.len() as u32));
        let flow = &say(&[path], Settings { columns: all(), ..Settings::default() }, PLAIN).flows[0];
        assert_eq!((flow.dst_port, flow.vlan, flow.tunnel_id), (80, vlan, tunnel), "{frame:x?}");
    }
}
