//! Flows against their model.

use pcap_compactor::flow::statistics::Quantity;
use pcap_compactor::views::flows::FlowRecord;
use proptest::prelude::*;

use super::random::{files, rules, settings, way};
use super::{say, write};
use crate::model::flows::{File, Row, Rules, Sent, expect};
use crate::properties::cases;
use crate::run::number;

/// Holds a record against what it must be.
fn check(found: &FlowRecord, expected: &Row, rules: &Rules) {
    let says = format!("{found:#?}\nfor {expected:#?}");
    assert_eq!((found.src_ip, found.src_port), expected.src, "{says}");
    assert_eq!((found.dst_ip, found.dst_port), expected.dst, "{says}");
    assert_eq!(found.protocol, expected.protocol);
    assert_eq!(found.end_reason.name(), expected.reason, "{says}");
    assert_eq!(found.direction.name(), expected.direction, "{says}");
    assert_eq!(found.behind, expected.behind, "{says}");
    assert_eq!(found.handshake_ns, expected.handshake, "{says}");
    let times = || expected.packets.iter().map(|(packet, _)| packet.time);
    assert_eq!(Some(found.first_ts.0), times().min());
    assert_eq!(Some(found.last_ts.0), times().max());
    let with_payload = expected.packets.iter().filter(|(packet, _)| packet.payload > 0).map(|(packet, _)| packet.time);
    assert_eq!(found.first_payload.map(|time| time.0), with_payload.min());
    for (side, found) in found.sides.iter().enumerate() {
        let of: Vec<&Sent> = expected.packets.iter().filter(|(_, of)| *of == side).map(|(packet, _)| packet).collect();
        assert_eq!(found.packets, of.len() as u64, "{says}");
        assert_eq!(found.bytes, of.iter().map(|packet| u64::from(packet.lengths()[0])).sum::<u64>());
        assert_eq!(found.payload_bytes, of.iter().map(|packet| u64::from(packet.payload)).sum::<u64>());
        let ttl = of.iter().map(|packet| packet.ttl);
        assert_eq!(found.ttl, ttl.clone().min().zip(ttl.max()).map(|(min, max)| [min, max]));
        if expected.protocol == 6 {
            for bit in 0..8 {
                let with = of.iter().filter(|packet| packet.flags >> bit & 1 != 0).count();
                assert_eq!(found.segments.flags[bit], with as u32);
            }
            let windows: Vec<u16> = of.iter().map(|packet| packet.window).collect();
            assert_eq!(found.segments.windows.count, windows.len() as u64);
            if let (Some(&first), Some(&min), Some(&max)) =
                (windows.first(), windows.iter().min(), windows.iter().max())
            {
                let found = found.segments.windows;
                assert_eq!((found.initial, found.min, found.max), (first, min, max));
                let sum: f64 = windows.iter().map(|&window| f64::from(window)).sum();
                assert_eq!(found.mean(), sum / windows.len() as f64);
            }
            assert_eq!(found.segments.classes, expected.classes[side], "{says}");
            assert_eq!(found.segments.duplicate_acks, expected.duplicate_acks[side], "{says}");
            assert_eq!(found.segments.zero_windows, expected.zero_windows[side], "{says}");
        }
    }
    check_figures(found, expected);
    let kept = expected.packets.len().min(rules.sequences);
    assert_eq!(found.sequence.steps.len(), kept);
    if rules.sequences > 0 {
        assert_eq!(found.sequence.left_out, (expected.packets.len() - kept) as u64);
    }
    for (step, (packet, side)) in found.sequence.steps.iter().zip(&expected.packets) {
        let sample = step.sample;
        assert_eq!(step.time.0, packet.time);
        assert_eq!([sample.frame, sample.ip, sample.l4, sample.payload], packet.lengths());
        assert_eq!(sample.side as usize, *side, "{says}");
        assert_eq!(step.tcp_flags, (packet.protocol == 6).then_some(packet.flags));
        assert_eq!(sample.window, (packet.protocol == 6).then_some(packet.window));
    }
}

/// Statistics from lists of all values, by the textbook.
fn check_figures(found: &FlowRecord, expected: &Row) {
    let figures = found.figures.as_ref().expect("they were asked for");
    assert!(found.medians_exact);
    for (place, quantity) in Quantity::ALL.into_iter().enumerate() {
        for sides in 0..3 {
            let mut values: Vec<f64> = Vec::new();
            let (mut newest, mut before) = (i64::MIN, None);
            for (packet, side) in &expected.packets {
                newest = newest.max(packet.time);
                if sides > 0 && *side != sides - 1 {
                    continue;
                }
                match quantity {
                    Quantity::Time => {
                        values.extend(before.map(|before| (newest - before) as f64));
                        before = Some(newest);
                    }
                    Quantity::Window => values.extend((packet.protocol == 6).then_some(f64::from(packet.window))),
                    length => values.push(f64::from(packet.lengths()[length as usize])),
                }
            }
            let found = figures[place][sides];
            values.sort_by(f64::total_cmp);
            let n = values.len() as f64;
            assert_eq!(found.count, values.len() as u64, "{quantity:?} {sides}: {values:?}");
            if values.is_empty() {
                continue;
            }
            // Times are nanoseconds so far. As seconds, long ones that differ little would lose the digits in which they do.
            let unit = if quantity == Quantity::Time { 1e9 } else { 1.0 };
            let least = values[0];
            let offsets: Vec<f64> = values.iter().map(|value| (value - least) / unit).collect();
            let centre = offsets.iter().sum::<f64>() / n;
            let moment = |k: i32| offsets.iter().map(|offset| (offset - centre).powi(k)).sum::<f64>() / n;
            values.iter_mut().for_each(|value| *value /= unit);
            let sum: f64 = values.iter().sum();
            let mean = sum / n;
            let (min, max) = (values[0], values[values.len() - 1]);
            let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
            let var = moment(2);
            let flat = max == min;
            let expected = [
                (found.sum, sum),
                (found.mean, mean),
                (found.var, if flat { 0.0 } else { var }),
                (found.std, if flat { 0.0 } else { var.sqrt() }),
                (found.min, min),
                (found.max, max),
                (found.range, max - min),
                (found.median, median),
                (found.skew, if flat { 0.0 } else { moment(3) / var.powf(1.5) }),
                (found.kurt, if flat { 0.0 } else { moment(4) / (var * var) - 3.0 }),
                (found.cv, if flat || sum == 0.0 { 0.0 } else { var.sqrt() / mean }),
            ];
            for (figure, (ours, theirs)) in expected.into_iter().enumerate() {
                assert!(
                    (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0),
                    "{quantity:?} {sides} {figure}: {ours} for {theirs} of {values:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn the_flows_are_those_of_the_model(
        files in files(5, 60),
        rules in rules(),
        way in way(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let said = say(&write(dir.path(), &files), settings(&rules), way);
        let files: Vec<_> = files.iter().map(|packets| File { packets }).collect();
        let (rows, filtered) = expect(&files, &rules);
        prop_assert_eq!(number(&said.metrics["ledger"]["filtered"]["packets"]), filtered);
        prop_assert_eq!(number(&said.metrics["flows_emitted"]), said.flows.len() as u64);
        let names = |record: &FlowRecord| (record.first_ts.0, record.protocol, record.end_reason.name(), record.amount.packets);
        let found: Vec<_> = said.flows.iter().map(names).collect();
        let names = |row: &Row| {
            let first = row.packets.iter().map(|(packet, _)| packet.time).min().unwrap_or(0);
            (first, row.protocol, row.reason, row.packets.len() as u64)
        };
        prop_assert_eq!(found, rows.iter().map(names).collect::<Vec<_>>());
        for (found, expected) in said.flows.iter().zip(&rows) {
            check(found, expected, &rules);
        }
        let mut ids: Vec<u64> = said.flows.iter().map(FlowRecord::flow_id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), rows.len(), "every flow has a name of its own");
    }
}
