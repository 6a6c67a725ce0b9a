//! Frames that lie.

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::flows::Settings;

use super::{all, frame, say, segment};
use crate::model::flows::ACK;
use crate::run::{PLAIN, file};
use crate::traffic::START;

/// A capture of one frame, which claims this length on the wire.
fn one(frame: &[u8], wire: u32) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).expect("memory takes bytes");
    writer.record(Timestamp(START), wire, frame).expect("the time fits");
    writer.finish().expect("memory takes bytes")
}

#[test]
fn lengths_that_lie_and_lengths_of_zero_are_counted_as_they_claim() {
    let dir = tempfile::tempdir().unwrap();
    let segment = segment(START, true, ACK, 1, 1, 1000);
    // Segmentation offload: the IP header says 0, the frame knows.
    let mut offloaded = frame(&segment);
    offloaded[16..18].copy_from_slice(&[0, 0]);
    // A header that claims more than is there.
    let mut claims = frame(&segment);
    claims[16..18].copy_from_slice(&[0xff, 0xff]);
    let settings = Settings { columns: all(), ..Settings::default() };
    for (frame, wire, payload) in
        [(&offloaded, 1054, 1000), (&offloaded, 60_054, 60_000), (&claims, 1054, 65_495), (&claims, 0, 65_495)]
    {
        let said = say(&[file(dir.path(), "a.pcap", &one(frame, wire))], settings.clone(), PLAIN);
        let up = &said.flows[0].sides[0];
        assert_eq!((up.packets, up.payload_bytes), (1, payload), "{wire}");
    }
}
