//! Statistics of rows, from a capture to the figures, against sixty-digit arithmetic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Columns, FlowCounts, FlowJob, FlowRecord, Lifetime, Settings};
use crate::capture::{PcapLayout, PcapWriter};
use crate::engine::Input;
use crate::flow::oracle::largest_errors;
use crate::flow::statistics::Quantity;
use crate::sink::Metrics;
use crate::sink::flows::FlowSink;
use crate::{Result, Timestamp};

/// A packet of the one flow: time, whether the client sent it, payload, window, and bytes of the frame behind the IP packet.
type Sent = (i64, bool, u16, u16, u32);

const HEADERS: u32 = 54;

/// The headers of a packet; no more of it is captured.
fn frame(&(_, up, payload, window, _): &Sent) -> [u8; HEADERS as usize] {
    let mut frame = [0; HEADERS as usize];
    frame[12..16].copy_from_slice(&[0x08, 0, 0x45, 0]);
    frame[16..18].copy_from_slice(&(40 + payload).to_be_bytes());
    frame[22..24].copy_from_slice(&[64, 6]);
    let ends = [[10, 0, 0, 1], [10, 0, 0, 2]];
    let ports = [40_000_u16, 443].map(u16::to_be_bytes);
    let [from, to] = if up { [0, 1] } else { [1, 0] };
    frame[26..30].copy_from_slice(&ends[from]);
    frame[30..34].copy_from_slice(&ends[to]);
    frame[34..36].copy_from_slice(&ports[from]);
    frame[36..38].copy_from_slice(&ports[to]);
    frame[46..48].copy_from_slice(&[0x50, 0x10]);
    frame[48..50].copy_from_slice(&window.to_be_bytes());
    frame
}

/// The record of the flow.
fn record(packets: &[Sent]) -> FlowRecord {
    struct Kept(Vec<FlowRecord>);
    impl FlowSink for Kept {
        fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
            self.0.push(flow.clone());
            Ok(())
        }
        fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
            Ok(())
        }
    }
    let layout = PcapLayout { nanoseconds: true, ..PcapLayout::default() };
    let mut writer = PcapWriter::new(Vec::new(), layout).unwrap();
    for packet in packets {
        let wire = HEADERS + u32::from(packet.2) + packet.4;
        writer.record(Timestamp(packet.0), wire, &frame(packet)).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), writer.finish().unwrap()).unwrap();
    let columns = Columns::parse("@stats").unwrap();
    let settings = Settings { lifetime: Lifetime::NEVER, columns, ..Settings::default() };
    let mut kept = Kept(Vec::new());
    FlowJob::new(settings).run(vec![Input::file(file.path())], &mut kept).unwrap();
    assert_eq!(kept.0.len(), 1);
    kept.0.remove(0)
}

fn values(packets: &[Sent], quantity: Quantity, sides: usize) -> Vec<(i64, u64)> {
    let chosen: Vec<&Sent> = packets.iter().filter(|packet| sides == 0 || packet.1 == (sides == 1)).collect();
    let mut values = BTreeMap::new();
    let mut count = |value: i64| *values.entry(value).or_default() += 1;
    if quantity == Quantity::Time {
        chosen.windows(2).for_each(|pair| count(pair[1].0 - pair[0].0));
    }
    for &&(_, _, payload, window, behind) in &chosen {
        let payload = i64::from(payload);
        match quantity {
            Quantity::Frame => count(54 + payload + i64::from(behind)),
            Quantity::Ip => count(40 + payload),
            Quantity::L4 => count(20 + payload),
            Quantity::Payload => count(payload),
            Quantity::Window => count(window.into()),
            Quantity::Time => {}
        }
    }
    values.into_iter().collect()
}

/// The largest error of all figures of the flow, and that of its medians.
fn hold(packets: &[Sent]) -> [f64; 2] {
    let record = record(packets);
    let figures = record.figures.expect("they were asked for");
    let mut worst = [0.0_f64; 2];
    for (place, quantity) in Quantity::ALL.into_iter().enumerate() {
        let unit = if quantity == Quantity::Time { 1_000_000_000 } else { 1 };
        for sides in 0..3 {
            let [figure, median] = largest_errors(&figures[place][sides], &values(packets, quantity, sides), unit);
            worst[0] = worst[0].max(figure);
            if record.medians_exact || quantity != Quantity::Time {
                worst[1] = worst[1].max(median);
            }
        }
    }
    worst
}

/// Measured over thousands of flows: 1.3e-15, and one rounding of an exact median, to the unit of the column.
const ALLOWED: [f64; 2] = [1e-14, 3e-16];

fn check(packets: &[Sent]) {
    let worst = hold(packets);
    assert!(worst[0] <= ALLOWED[0] && worst[1] <= ALLOWED[1], "{worst:?} of {} packets", packets.len());
}

/// The latest time that a capture can have, in ns: 2^32 s, nearly 2^62.
const LATEST: i64 = (1 << 32) * 1_000_000_000 - 1;

fn packets(most: usize) -> impl Strategy<Value = Vec<Sent>> {
    let payload = prop_oneof![3 => 0..1460_u16, 1 => Just(0), 1 => Just(1448), 1 => 65_000..65_495_u16];
    let behind = prop_oneof![4 => Just(0), 1 => 0..50_u32];
    // From all times alike to gaps that take the whole range.
    let times = (0..63_u32, prop_oneof![Just(0), Just(1_700_000_000_000_000_000), 0..LATEST]);
    let packet = (any::<u64>(), any::<bool>(), payload, any::<u16>(), behind);
    (times, prop::collection::vec(packet, 1..most), any::<bool>()).prop_map(|((bits, start), packets, constant)| {
        let mut packets: Vec<Sent> = packets
            .into_iter()
            .map(|(draw, up, payload, window, behind)| {
                let gap = (draw & ((1 << bits) - 1)) as i64;
                (start.saturating_add(gap).min(LATEST), up, payload, window, behind)
            })
            .collect();
        packets.sort_by_key(|packet| packet.0);
        if constant {
            let (_, _, payload, window, behind) = packets[0];
            packets.iter_mut().for_each(|packet| (packet.2, packet.3, packet.4) = (payload, window, behind));
        }
        packets
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn figures_are_right_to_fourteen_digits(packets in packets(400)) {
        check(&packets);
    }
}

#[test]
fn figures_of_flows_of_any_length_are_right() {
    let mut draw = 1_u64;
    let mut next = || {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        draw >> 33
    };
    for (count, start, gap) in [
        (1, 0, 0),
        (2, LATEST - 1, 1),
        (1000, 0, 1 << 51),
        (5000, 1_700_000_000_000_000_000, 1 << 30),
        (20_000, LATEST - (1 << 40), 1 << 10),
        (100_000, 1_700_000_000_000_000_000, 1 << 24),
    ] {
        let mut time = start;
        let packets: Vec<Sent> = (0..count)
            .map(|_| {
                time = (time + next() as i64 % (gap + 1)).min(LATEST);
                (time, next() % 3 > 0, if next() % 4 == 0 { 0 } else { next() as u16 % 1460 }, next() as u16, 0)
            })
            .collect();
        check(&packets);
    }
}
