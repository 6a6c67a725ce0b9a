//! Traffic that benches are run on: the same on every machine, built in code.

// Each bench is a crate of its own and uses its part of this.
#![allow(dead_code)]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use etherparse::{PacketBuilder, PacketBuilderStep, VlanId};
use pcap_compactor::Timestamp;
use pcap_compactor::capture::{Capture, PcapLayout, PcapWriter, Records};

/// What a frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ethernet, IPv4, TCP.
    Tcp4,
    /// Ethernet, IPv4, UDP.
    Udp4,
    /// Ethernet, VLAN, IPv4, TCP.
    VlanTcp4,
    /// Ethernet, IPv6, TCP.
    Tcp6,
    /// Ethernet, IPv6, UDP.
    Udp6,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Kind; 5] = [Kind::Tcp4, Kind::Udp4, Kind::VlanTcp4, Kind::Tcp6, Kind::Udp6];

    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tcp4 => "tcp4",
            Kind::Udp4 => "udp4",
            Kind::VlanTcp4 => "vlan_tcp4",
            Kind::Tcp6 => "tcp6",
            Kind::Udp6 => "udp6",
        }
    }

    /// The kind of a flow in mixed traffic: mostly TCP over IPv4.
    fn of_flow(flow: u64) -> Kind {
        match flow % 20 {
            0 => Kind::Tcp6,
            1 => Kind::Udp6,
            2 | 3 => Kind::VlanTcp4,
            4..=7 => Kind::Udp4,
            _ => Kind::Tcp4,
        }
    }
}

/// A sequence of numbers that look random (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// The next one.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// The next one, below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

/// A frame of a flow, from its client or from its server.
pub(crate) fn frame(kind: Kind, flow: u64, from_client: bool, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = (flow as u32 / 8).to_be_bytes();
    let client = [10, b ^ a, c, d];
    let server = [23, 7, (flow % 251) as u8, (flow % 13) as u8];
    let client_port = 32_768 + (flow % 28_000) as u16;
    let server_port = [443, 80, 53, 22, 8080][(flow % 5) as usize];
    let (src, dst) = if from_client { (client, server) } else { (server, client) };
    let (sport, dport) = if from_client { (client_port, server_port) } else { (server_port, client_port) };
    let wide = |v4: [u8; 4]| {
        let mut v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        v6[12..].copy_from_slice(&v4);
        v6
    };
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let tcp = |step: PacketBuilderStep<etherparse::IpHeaders>| {
        let step = step.tcp(sport, dport, flow as u32, 64_000).ack(1);
        let mut bytes = Vec::with_capacity(step.size(payload.len()));
        step.write(&mut bytes, payload).expect("a vector takes all bytes");
        bytes
    };
    let udp = |step: PacketBuilderStep<etherparse::IpHeaders>| {
        let step = step.udp(sport, dport);
        let mut bytes = Vec::with_capacity(step.size(payload.len()));
        step.write(&mut bytes, payload).expect("a vector takes all bytes");
        bytes
    };
    match kind {
        Kind::Tcp4 => tcp(ethernet.ipv4(src, dst, 64)),
        Kind::Udp4 => udp(ethernet.ipv4(src, dst, 64)),
        Kind::VlanTcp4 => {
            let vlan = VlanId::try_new(7).expect("7 is a VLAN's number");
            tcp(ethernet.single_vlan(vlan).ipv4(src, dst, 64))
        }
        Kind::Tcp6 => tcp(ethernet.ipv6(wide(src), wide(dst), 64)),
        Kind::Udp6 => udp(ethernet.ipv6(wide(src), wide(dst), 64)),
    }
}

/// A capture of so many packets of one hour, over flows of random choice; of one kind, or mixed.
pub(crate) fn capture(packets: u64, flows: u64, kind: Option<Kind>) -> Vec<u8> {
    let layout = PcapLayout { nanoseconds: false, ..PcapLayout::default() };
    let mut writer = PcapWriter::new(Vec::new(), layout).expect("a vector takes all bytes");
    let mut numbers = Numbers(1);
    let filler = [0x5a; 1448];
    for n in 0..packets {
        let flow = numbers.below(flows);
        let kind = kind.unwrap_or(Kind::of_flow(flow));
        let from_client = numbers.below(2) == 0;
        let target;
        let payload = if from_client && flow % 5 == 1 {
            target = format!("GET /page/{}?user={}&q=words HTTP/1.1\r\nHost: example.net\r\n\r\n", flow % 97, n % 89);
            target.as_bytes()
        } else {
            // Half of the frames are small, a fifth full, as in most traffic.
            let length = [0, 0, 0, 40, 90, 200, 400, 800, 1448, 1448][numbers.below(10) as usize];
            &filler[..length]
        };
        let bytes = frame(kind, flow, from_client, payload);
        let time = Timestamp::from_seconds(1_697_716_800).ns() + (n * 3_599_000_000_000 / packets.max(1)) as i64;
        writer.record(Timestamp(time), bytes.len() as u32, &bytes).expect("a vector takes all bytes");
    }
    writer.finish().expect("a vector takes all bytes")
}

/// A capture in memory, opened.
pub(crate) fn open(bytes: &Arc<[u8]>) -> Capture {
    let stream = Box::new(Cursor::new(Arc::clone(bytes)));
    Capture::from_reader(Path::new("memory"), stream).expect("memory can be read")
}

/// All records of a capture in memory.
pub(crate) fn records(bytes: &Arc<[u8]>) -> Vec<Records> {
    let mut capture = open(bytes);
    let mut all = Vec::new();
    loop {
        let mut batch = Records::default();
        if !capture.fill(&mut batch, 512).expect("memory can be read") {
            return all;
        }
        all.push(batch);
    }
}
