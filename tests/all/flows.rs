//! Flows against their model, over random traffic; and what must hold for any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{Io, PcapLayout, PcapWriter};
use pcap_compactor::flow::statistics::Quantity;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::{FlowSink, FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Lifetime, Settings};
use pcap_compactor::{Engine, Result, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use crate::corpus::corpus;
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, File, RST, Row, Rules, SYN, Sent, expect};
use crate::properties::cases;
use crate::run::{PLAIN, WAYS, Way, balances, file, inputs, number};
use crate::traffic::START;

/// The frame of a packet.
fn frame(packet: &Sent) -> Vec<u8> {
    let [_, ip, l4, payload] = packet.lengths();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match (packet.src.0, packet.dst.0) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((ip as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, packet.ttl, packet.protocol, 0, 0]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((l4 as u16).to_be_bytes());
            frame.extend([packet.protocol, packet.ttl]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
        }
        _ => panic!("addresses of two families"),
    }
    match packet.protocol {
        6 => {
            frame.extend(packet.src.1.to_be_bytes());
            frame.extend(packet.dst.1.to_be_bytes());
            frame.extend(packet.seq.to_be_bytes());
            frame.extend(packet.ack.to_be_bytes());
            frame.extend([0x50, packet.flags]);
            frame.extend(packet.window.to_be_bytes());
            frame.extend([0; 4]);
        }
        17 => {
            frame.extend(packet.src.1.to_be_bytes());
            frame.extend(packet.dst.1.to_be_bytes());
            frame.extend((l4 as u16).to_be_bytes());
            frame.extend([0; 2]);
        }
        _ => {}
    }
    let mut body = vec![0x20; payload as usize];
    if packet.protocol == 1
        && let Some(kind) = body.first_mut()
    {
        *kind = packet.flags;
    }
    frame.extend(body);
    frame.extend(vec![0x55; packet.padding as usize]);
    frame
}

fn pcap(packets: &[Sent]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).expect("memory takes bytes");
    for packet in packets {
        let frame = frame(packet);
        writer.record(Timestamp(packet.time), frame.len() as u32, &frame).expect("the time fits");
    }
    writer.finish().expect("memory takes bytes")
}

/// What the engine said.
#[derive(Default)]
struct Said {
    flows: Vec<FlowRecord>,
    metrics: Value,
}

impl FlowSink for Said {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.flows.push(flow.clone());
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        let mut line = Vec::new();
        metrics.write(&mut line);
        self.metrics = serde_json::from_slice(&line).expect("the metrics are JSON");
        balances(&self.metrics);
        Ok(())
    }
}

fn say(paths: &[PathBuf], settings: Settings, way: Way) -> Said {
    let mut said = Said::default();
    let engine = Engine::builder().threads(way.threads).io(way.io);
    let report = FlowJob::new(settings).engine(engine).run(inputs(paths), &mut said).expect("the run ends well");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    said
}

/// Everything that is written of captures, without the metrics.
fn written(paths: &[PathBuf], settings: &Settings, form: Form, way: Way) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = FlowWriter::new(&mut out, "memory", form, settings.columns.clone(), Times::Seconds);
    let engine = Engine::builder().threads(way.threads).io(way.io);
    FlowJob::new(settings.clone())
        .engine(engine)
        .sensor(Some("local"), false)
        .run(inputs(paths), &mut writer)
        .expect("the run ends well");
    drop(writer);
    out
}

fn all() -> Columns {
    Columns::parse("@all").unwrap()
}

fn settings(rules: &Rules) -> Settings {
    Settings {
        lifetime: rules.lifetime,
        reorder: rules.reorder,
        sequences: rules.sequences,
        no_retransmissions: rules.no_retransmissions,
        min_packets: rules.min_packets,
        columns: all(),
        ..Settings::default()
    }
}

// Strategies.

fn ends() -> impl Strategy<Value = ((IpAddr, u16), (IpAddr, u16))> {
    let v4 = || prop::sample::select(vec![Ipv4Addr::new(9, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 1)]).prop_map(IpAddr::V4);
    let v6 = || {
        prop::sample::select(vec![Ipv6Addr::LOCALHOST, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)]).prop_map(IpAddr::V6)
    };
    let port = || prop::sample::select(vec![80, 1000, 40_000]);
    prop_oneof![3 => (v4(), v4()), 1 => (v6(), v6())]
        .prop_flat_map(move |(a, b)| (port(), port()).prop_map(move |(p, q)| ((a, p), (b, q))))
}

fn packet() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![
        8 => prop::sample::select(vec![SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, FIN | ACK, RST, RST | ACK]),
        1 => any::<u8>(),
    ];
    let numbers = (
        prop::sample::select(vec![0_u32, 1, 2, 3, 12, 13, 100, u32::MAX, 1 << 31]),
        prop::sample::select(vec![0_u32, 1, 2, 3, 12, 13, 14, 101]),
        prop::sample::select(vec![0_u16, 1, 500, 65_535]),
        prop::sample::select(vec![0_u32, 0, 1, 2, 10, 11, 1460]),
    );
    let protocol = prop::sample::select(vec![6, 6, 6, 6, 17, 1, 89]);
    (ends(), protocol, flags, numbers, prop::sample::select(vec![1_u8, 64, 255]), 0..3_u32).prop_map(
        |((mut src, mut dst), protocol, flags, (seq, ack, window, payload), ttl, padding)| {
            if !matches!(protocol, 6 | 17) {
                (src.1, dst.1) = (0, 0);
            }
            // ICMP has its type where others have flags, and its header among its payload. An IPv6 packet without
            // any payload would be one whose length is told elsewhere.
            let icmp = protocol == 1;
            let least = [1, 8][usize::from(icmp)];
            Sent {
                time: 0,
                src,
                dst,
                protocol,
                flags: if icmp { flags & 8 } else { flags },
                seq,
                ack,
                window,
                ttl,
                payload: if matches!(protocol, 6 | 17) { payload } else { payload.max(least) },
                padding,
            }
        },
    )
}

/// Times that go on, mostly: by nothing, within the reorder window, on and beside timeouts, and back.
fn step() -> impl Strategy<Value = i64> {
    let ms = SECOND / 1000;
    prop_oneof![
        6 => 0..3_i64,
        6 => (0..15_i64).prop_map(move |n| n * ms),
        3 => (-12..0_i64).prop_map(move |n| n * ms),
        3 => (0..3_i64).prop_map(move |n| n * SECOND),
        3 => prop::sample::select(vec![60, 120, 300]).prop_flat_map(|s| (-1..=1_i64).prop_map(move |ns| s * SECOND + ns)),
        1 => (-400..400_i64).prop_map(move |n| n * SECOND),
    ]
}

fn packets(most: usize) -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec((packet(), step()), 1..most).prop_map(|list| {
        let mut now = START;
        let set = |(mut packet, step): (Sent, i64)| {
            now += step;
            packet.time = now;
            packet
        };
        list.into_iter().map(set).collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let idle = || prop::sample::select(vec![Some(0), Some(SECOND), Some(60 * SECOND), Some(300 * SECOND), None]);
    let life = (idle(), idle(), idle(), prop_oneof![2 => Just(None), 1 => idle()], any::<bool>());
    let life = prop_oneof![
        2 => Just(Lifetime::default()),
        2 => life.prop_map(|(tcp_idle, udp_idle, other_idle, active, tcp_end)| Lifetime {
            tcp_idle, udp_idle, other_idle, active, tcp_end,
        }),
        1 => Just(Lifetime::NEVER),
    ];
    let reorder = prop::sample::select(vec![10_000_000, 10_000_000, 0, 1, 5 * SECOND]);
    let least = prop::sample::select(vec![0, 0, 2]);
    (life, reorder, prop::sample::select(vec![0, 3, 1000]), any::<bool>(), least).prop_map(
        |(lifetime, reorder, sequences, no_retransmissions, min_packets)| Rules {
            lifetime,
            reorder,
            sequences,
            no_retransmissions,
            min_packets,
        },
    )
}

fn way() -> impl Strategy<Value = Way> {
    prop::sample::select(WAYS.to_vec())
}

fn write(dir: &Path, files: &[Vec<Sent>]) -> Vec<PathBuf> {
    files.iter().enumerate().map(|(n, packets)| file(dir, &format!("{n:03}.pcap"), &pcap(packets))).collect()
}

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
                        values.extend(before.map(|before| (newest - before) as f64 / 1e9));
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
            let sum: f64 = values.iter().sum();
            let mean = sum / n;
            let moment = |k: i32| values.iter().map(|value| (value - mean).powi(k)).sum::<f64>() / n;
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
        files in prop::collection::vec(packets(60), 1..4),
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

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn no_way_of_running_shows(files in prop::collection::vec(packets(80), 1..5), rules in rules()) {
        let dir = tempfile::tempdir().unwrap();
        let paths = write(dir.path(), &files);
        let settings = settings(&rules);
        for form in [Form::Lines, Form::Csv, Form::Digest] {
            let plain = written(&paths, &settings, form, PLAIN);
            for way in WAYS {
                prop_assert!(written(&paths, &settings, form, way) == plain, "{way:?}");
            }
        }
    }
}

#[cfg(not(feature = "payload"))]
#[test]
fn a_build_that_reads_no_payload_says_how_to_get_one_that_does() {
    for arguments in [["--app", "-"], ["--app=tls", "-"], ["--columns", "src_ip,tls_sni"], ["--columns", "@app"]] {
        let ran = crate::command::run([&["flows"][..], &arguments].concat());
        assert_eq!((ran.code, ran.said.lines().count()), (Some(2), 1), "{ran:?}");
        assert!(ran.said.contains("cargo build --release --features full"), "{ran:?}");
    }
}
