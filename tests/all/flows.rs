//! Flows against their model, over random traffic; and what must hold for any.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::flow::statistics::Quantity;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::{FlowSink, FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Lifetime, Settings, SideRecord};
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

/// A flow's name and what goes each way, from the smaller end: packets, then bytes.
type Stream = (Name, [u64; 4]);
type Name = (u8, (IpAddr, u16), (IpAddr, u16));

fn stream(protocol: u8, from: (IpAddr, u16), to: (IpAddr, u16), [a, b, c, d]: [u64; 4]) -> Stream {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => ((protocol, from, to), [a, b, c, d]),
        std::cmp::Ordering::Equal => ((protocol, from, to), [a + b, 0, c + d, 0]),
        std::cmp::Ordering::Greater => ((protocol, to, from), [b, a, d, c]),
    }
}

/// The inner streams of tshark by 5-tuple, and those of which some packets carry others: of these only the packets
/// that do not are known, in all.
fn streams(tshark: &Value) -> (BTreeMap<Name, [u64; 4]>, BTreeMap<Name, u64>) {
    let (mut streams, mut mixed) = (BTreeMap::new(), BTreeMap::new());
    for (protocol, list) in [(6, "tcp_streams"), (17, "udp_streams")] {
        for row in tshark[list].as_array().into_iter().flatten() {
            let end = |at: usize| -> (IpAddr, u16) {
                let address = row[at].as_str().expect("an address").parse().expect("an address");
                (address, number(&row[at + 1]) as u16)
            };
            let sums = [6, 7, 8, 9].map(|at| number(&row[at]));
            let (packets, carriers) = (sums[0] + sums[1], number(&row[14]));
            let (name, sums) = stream(protocol, end(2), end(4), sums);
            if carriers == 0 {
                let known: &mut [u64; 4] = streams.entry(name).or_default();
                known.iter_mut().zip(sums).for_each(|(sum, n)| *sum += n);
            } else if carriers < packets {
                *mixed.entry(name).or_default() += packets - carriers;
            }
        }
    }
    (streams, mixed)
}

/// Captures whose flows are not tshark's streams, and why.
const OTHER_STREAMS: &[(&str, &str)] = &[
    ("arkime__arkime_synthetic.pcap", "VXLAN-GPE is not followed; tshark gives no stream to a UDP length of 0"),
    ("libpcap__filter_AH-IPcomp-IPv6.pcap", "seven packets are compressed with IPComp, which tshark undoes"),
    ("libpcap__filter_arcnet-rfc1201-arp-icmp-http.pcap", "link type 129 is not supported"),
    ("ndpi__fuzz-2006-06-26-2594.pcap", "tshark joins RTP to the ports that SIP told it, whatever the address"),
    ("ndpi__reasm_crash_anon.pcapng", "one segment's header is damaged, and tshark gives it no stream"),
    ("pcapsql__fuzz_pcap_reader_netlink-nflog.pcap", "link type 253 is not supported"),
    ("tcpdump__bigtcp-ipv6-geneve-ipv4.pcap", "an IPv6 payload length of 0 hides from tshark what is in the tunnel"),
];

#[test]
fn without_ends_flows_are_the_streams_of_tshark() {
    let Some(corpus) = corpus() else { return };
    let settings = Settings { lifetime: Lifetime::NEVER, columns: all(), ..Settings::default() };
    let mut unequal = Vec::new();
    for (name, path) in &corpus.captures {
        let (theirs, mut mixed) = streams(&corpus.tshark(name));
        let said = say(std::slice::from_ref(path), settings.clone(), PLAIN);
        let mut ours = BTreeMap::new();
        for flow in said.flows.iter().filter(|flow| matches!(flow.protocol, 6 | 17)) {
            let [up, down] = &flow.sides;
            // tshark gives no stream to a TCP header that no receiver would take.
            let sound = |side: &SideRecord| side.segments.windows.count > 0;
            if flow.protocol == 6 && !sound(up) && !sound(down) {
                continue;
            }
            let sums = [up.packets, down.packets, up.bytes, down.bytes];
            let (key, sums) = stream(flow.protocol, (flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port), sums);
            let of_fragments = (flow.src_port, flow.dst_port) == (0, 0) && !theirs.contains_key(&key);
            if mixed.get(&key) == Some(&(sums[0] + sums[1])) {
                mixed.remove(&key);
            } else if !of_fragments {
                assert!(ours.insert(key, sums).is_none(), "{name}: one flow a 5-tuple");
            }
        }
        if ours != theirs || !mixed.is_empty() {
            unequal.push(name.as_str());
        }
    }
    assert_eq!(unequal, OTHER_STREAMS.iter().map(|&(name, _)| name).collect::<Vec<_>>());
    assert!(OTHER_STREAMS.len() * 100 <= corpus.captures.len() * 3, "97 in 100 are equal");
}

#[test]
fn no_way_of_running_shows_over_real_captures() {
    let Some(corpus) = corpus() else { return };
    let settings = Settings { columns: all(), sequences: 5, ..Settings::default() };
    let paths = corpus.paths();
    let plain = written(&paths, &settings, Form::Lines, PLAIN);
    let last = plain[..plain.len() - 1].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    balances(&serde_json::from_slice(&plain[last..]).expect("the last line is JSON"));
    for way in WAYS {
        assert!(written(&paths, &settings, Form::Lines, way) == plain, "{way:?}");
    }
}

fn udp(time: i64, n: u32) -> Sent {
    Sent {
        time,
        src: (Ipv4Addr::from_bits(0x0a00_0000 + n).into(), 40_000),
        dst: (Ipv4Addr::new(9, 0, 0, 1).into(), 53),
        protocol: 17,
        flags: 0,
        seq: 0,
        ack: 0,
        window: 0,
        ttl: 64,
        payload: 12,
        padding: 0,
    }
}

/// Counts flows by the marker at which they left.
#[derive(Default)]
struct ByMarker {
    left: Vec<u64>,
    now: u64,
}

impl FlowSink for ByMarker {
    fn on_flow(&mut self, _: &FlowRecord) -> Result<()> {
        self.now += 1;
        Ok(())
    }

    fn on_marker(&mut self) -> Result<()> {
        self.left.push(std::mem::take(&mut self.now));
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_million_flows_of_one_packet_leave_as_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let many = 1_000_000_u32;
    let packets: Vec<Sent> = (0..many).map(|n| udp(START + i64::from(n) * SECOND / 1000, n)).collect();
    let paths = [file(dir.path(), "many.pcap", &pcap(&packets))];
    for threads in [1, 3] {
        let mut left = ByMarker::default();
        let engine = Engine::builder().threads(threads);
        let lifetime = Lifetime { udp_idle: Some(SECOND), ..Lifetime::default() };
        let settings = Settings { lifetime, columns: all(), ..Settings::default() };
        FlowJob::new(settings).engine(engine).run(inputs(&paths), &mut left).unwrap();
        assert_eq!(left.left.iter().sum::<u64>(), u64::from(many));
        // All but those of the last second have left at each marker.
        for (place, pair) in left.left.iter().take(15).enumerate() {
            assert!((64_000..=66_600).contains(pair), "{place}: {:?}", left.left);
        }
    }
}

fn flows_of(packets: &[Sent], settings: &Settings) -> Vec<FlowRecord> {
    let dir = tempfile::tempdir().unwrap();
    say(&[file(dir.path(), "a.pcap", &pcap(packets))], settings.clone(), PLAIN).flows
}

/// A segment from the client, or the server, of a connection.
fn segment(time: i64, up: bool, flags: u8, seq: u32, ack: u32, payload: u32) -> Sent {
    let client = (Ipv4Addr::new(10, 0, 0, 1).into(), 40_000);
    let server = (Ipv4Addr::new(9, 0, 0, 1).into(), 80);
    let (src, dst) = if up { (client, server) } else { (server, client) };
    Sent { time, src, dst, protocol: 6, flags, seq, ack, window: 500, ttl: 64, payload, padding: 0 }
}

/// A connection that begins at a time with these initial numbers, and is closed.
fn connection(at: i64, client: u32, server: u32) -> Vec<Sent> {
    let ms = |n: i64| at + n * SECOND / 1000;
    let (c, s) = (client.wrapping_add(1), server.wrapping_add(1));
    vec![
        segment(ms(0), true, SYN, client, 0, 0),
        segment(ms(20), false, SYN | ACK, server, c, 0),
        segment(ms(50), true, ACK, c, s, 0),
        segment(ms(60), true, ACK, c, s, 100),
        segment(ms(80), false, ACK, s, c.wrapping_add(100), 1000),
        segment(ms(90), true, FIN | ACK, c.wrapping_add(100), s.wrapping_add(1000), 0),
        segment(ms(110), false, FIN | ACK, s.wrapping_add(1000), c.wrapping_add(101), 0),
        segment(ms(130), true, ACK, c.wrapping_add(101), s.wrapping_add(1001), 0),
    ]
}

#[test]
fn a_closed_connection_ends_with_the_next_one_and_keeps_what_trails() {
    let mut packets = connection(START, 1000, 5000);
    packets.push(segment(START + SECOND, false, RST, 6002, 0, 0));
    packets.extend(connection(START + 2 * SECOND, 70_000, 90_000));
    let flows = flows_of(&packets, &Settings { columns: all(), ..Settings::default() });
    let said: Vec<_> = flows.iter().map(|flow| (flow.end_reason.name(), flow.amount.packets)).collect();
    assert_eq!(said, [("fin", 9), ("fin", 8)]);
    assert!(flows.iter().all(|flow| flow.handshake_ns == Some(50_000_000) && flow.direction.name() == "syn"));
    let again = flows_of(&packets, &Settings { lifetime: Lifetime::NEVER, ..Settings::default() });
    assert_eq!((again.len(), again[0].end_reason.name()), (1, "eof"));
}

#[test]
fn sequence_numbers_that_wrap_are_in_order() {
    for initial in [u32::MAX, u32::MAX - 50, u32::MAX - 101, u32::MAX - 102] {
        let flows = flows_of(&connection(START, initial, initial), &Settings { columns: all(), ..Settings::default() });
        assert_eq!((flows.len(), flows[0].end_reason.name()), (1, "fin"), "{initial}");
        assert!(flows[0].sides.iter().all(|side| side.segments.classes[2..] == [0; 5]), "{flows:#?}");
    }
}

#[test]
fn ports_are_used_anew_when_nobody_answered_or_nothing_was_said_for_a_while() {
    let settings = Settings::default();
    let reasons = |packets: &[Sent]| -> Vec<(&str, u64)> {
        flows_of(packets, &settings).iter().map(|flow| (flow.end_reason.name(), flow.amount.packets)).collect()
    };
    let syn = |at: i64, seq: u32| segment(START + at, true, SYN, seq, 0, 0);
    // The same SYN again is the same connection; another is another, for nobody has answered.
    assert_eq!(reasons(&[syn(0, 1), syn(SECOND, 1), syn(2 * SECOND, 7)]), [("reuse", 2), ("eof", 1)]);
    let open = [
        segment(START, true, SYN, 1, 0, 0),
        segment(START + 1, false, SYN | ACK, 9, 2, 0),
        segment(START + 2, true, ACK, 2, 10, 50),
    ];
    let with = |at: i64| [open.as_slice(), &[syn(at, 77)]].concat();
    assert_eq!(reasons(&with(SECOND / 2)), [("eof", 4)], "a stray SYN cuts no connection at work");
    assert_eq!(reasons(&with(3 * SECOND)), [("reuse", 3), ("eof", 1)]);
    assert_eq!(reasons(&with(301 * SECOND)), [("idle", 3), ("eof", 1)]);
}

#[test]
fn time_that_jumps_makes_no_long_and_no_negative_flow() {
    let year = 365 * 86_400 * SECOND;
    let times = [START, START + 1, START + year, START + year + 1, START + 2, START + 3, START + 3 * year, START + 4];
    let packets: Vec<Sent> = times.iter().map(|&time| udp(time, 1)).collect();
    let flows = flows_of(&packets, &Settings::default());
    assert!(flows.iter().all(|flow| (0..10).contains(&flow.duration_ns())), "{flows:#?}");
    assert_eq!(flows.iter().map(|flow| flow.amount.packets).sum::<u64>(), 8);
    // What waits does not keep what is older from its flow.
    assert_eq!(flows.len(), 4);
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

/// A packet of the year 2100.
fn wild() -> Sent {
    udp(4_102_444_800 * SECOND, 0x00ff_ffff)
}

/// Records from one marker to the next.
const STRETCH: usize = 65_536;

#[test]
fn a_wild_time_inside_a_stretch_ends_no_flow_and_leaves_none_behind() {
    let dir = tempfile::tempdir().unwrap();
    let lifetime = Lifetime { udp_idle: Some(2 * SECOND), ..Lifetime::default() };
    let settings = Settings { lifetime, columns: all(), ..Settings::default() };
    // A thousand flows last from end to end, and others begin all the time.
    let n = |place: u32| if place.is_multiple_of(2) { place % 2000 } else { 10_000 + place };
    let sound: Vec<Sent> =
        (0..3 * STRETCH as u32).map(|place| udp(START + i64::from(place) * SECOND / 2000, n(place))).collect();
    let mut packets = sound.clone();
    packets.insert(STRETCH * 3 / 2, wild());
    let paths = [sound, packets].map(|packets| file(dir.path(), &format!("{}.pcap", packets.len()), &pcap(&packets)));
    for threads in [1, 3] {
        let [mut without, mut with] = paths.each_ref().map(|path| {
            let said = say(std::slice::from_ref(path), settings.clone(), Way { threads, ..PLAIN });
            assert_eq!(number(&said.metrics["flows_behind"]), 0);
            said.flows.iter().map(|flow| (flow.flow_id(), flow.first_ts, flow.amount.packets)).collect::<Vec<_>>()
        });
        without.push(*with.iter().find(|(_, first, packets)| (first.0, *packets) == (wild().time, 1)).unwrap());
        without.sort_unstable();
        with.sort_unstable();
        assert!(with == without);
    }
}

#[test]
fn a_wild_time_in_front_of_a_marker_counts_until_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut packets: Vec<Sent> =
        (0..3 * STRETCH as u32).map(|n| udp(START + i64::from(n) * SECOND / 1000, n)).collect();
    packets[STRETCH - 1] = wild();
    let paths = [file(dir.path(), "a.pcap", &pcap(&packets))];
    for threads in [1, 3] {
        let said = say(&paths, Settings::default(), Way { threads, ..PLAIN });
        assert_eq!(said.flows.len(), 3 * STRETCH);
        assert_eq!(number(&said.metrics["flows_behind"]), STRETCH as u64);
    }
}

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

#[cfg(not(feature = "payload"))]
#[test]
fn a_build_that_reads_no_payload_says_how_to_get_one_that_does() {
    for arguments in [["--app", "-"], ["--app=tls", "-"], ["--columns", "src_ip,tls_sni"], ["--columns", "@app"]] {
        let ran = crate::command::run([&["flows"][..], &arguments].concat());
        assert_eq!((ran.code, ran.said.lines().count()), (Some(2), 1), "{ran:?}");
        assert!(ran.said.contains("cargo build --release --features full"), "{ran:?}");
    }
}
