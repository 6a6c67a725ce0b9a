//! Flows against their model, over random traffic; and what must hold for any.

mod hostile;
mod lifetime;
mod model;
mod order;
mod outputs;
pub(crate) mod random;
mod tshark;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::{FlowSink, FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Settings};
use pcap_compactor::{Engine, Result, Timestamp};
use serde_json::Value;

use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::{PLAIN, Way, balances, file, inputs};

/// The frame of a packet.
pub(crate) fn frame(packet: &Sent) -> Vec<u8> {
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

pub(crate) fn pcap(packets: &[Sent]) -> Vec<u8> {
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

fn write(dir: &Path, files: &[Vec<Sent>]) -> Vec<PathBuf> {
    files.iter().enumerate().map(|(n, packets)| file(dir, &format!("{n:03}.pcap"), &pcap(packets))).collect()
}

pub(crate) fn udp(time: i64, n: u32) -> Sent {
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

fn flows_of(packets: &[Sent], settings: &Settings) -> Vec<FlowRecord> {
    let dir = tempfile::tempdir().unwrap();
    say(&[file(dir.path(), "a.pcap", &pcap(packets))], settings.clone(), PLAIN).flows
}

/// A segment from the client, or the server, of a connection.
pub(crate) fn segment(time: i64, up: bool, flags: u8, seq: u32, ack: u32, payload: u32) -> Sent {
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
