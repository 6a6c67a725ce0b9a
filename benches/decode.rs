//! Frames to packets: the fast path, the general path, and etherparse, on the same frames.

mod traffic;

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_compactor::capture::{Record, Records};
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use traffic::Kind;

const PACKETS: u64 = 20_000;

/// What all engines are asked for: both ends, the protocol, the flags and the length by the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    ends: [(IpAddr, u16); 2],
    protocol: u8,
    flags: u8,
    ip_length: u32,
}

fn ours(packet: Packet) -> Answer {
    Answer {
        ends: [(packet.src_ip(), packet.src_port), (packet.dst_ip(), packet.dst_port)],
        protocol: packet.protocol,
        flags: packet.tcp_flags,
        ip_length: packet.ip_length,
    }
}

fn etherparse(frame: &[u8]) -> Option<Answer> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (src, dst, ip_length) = match packet.net? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()), u32::from(header.total_len()))
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            let length = u32::from(header.payload_length()) + 40;
            (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()), length)
        }
        _ => return None,
    };
    let (ports, protocol, flags) = match packet.transport? {
        TransportSlice::Tcp(tcp) => ([tcp.source_port(), tcp.destination_port()], 6, tcp.slice()[13]),
        TransportSlice::Udp(udp) => ([udp.source_port(), udp.destination_port()], 17, 0),
        _ => return None,
    };
    Some(Answer { ends: [(src, ports[0]), (dst, ports[1])], protocol, flags, ip_length })
}

/// Runs an engine over all frames.
fn each<T>(batches: &[Records], mut engine: impl FnMut(&Record, &[u8]) -> T) {
    for batch in batches {
        for record in batch.list() {
            black_box(engine(record, batch.frame(record)));
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let decoder = Decoder::new(Tunnels::Inner);
    let mixes = Kind::ALL.map(|kind| (kind.name(), Some(kind))).into_iter().chain([("mix", None)]);
    for (name, kind) in mixes {
        let bytes: Arc<[u8]> = traffic::capture(PACKETS, 1_000, kind).into();
        let batches = traffic::records(&bytes);
        let mut checked = 0;
        each(&batches, |record, frame| {
            let truth = etherparse(frame).expect("etherparse knows the frames that it made");
            assert_eq!(decoder.decode(record, frame).map(ours), Ok(truth));
            assert_eq!(decoder.general(record, frame).map(ours), Ok(truth));
            checked += 1;
        });
        assert_eq!(checked, PACKETS);

        let mut group = criterion.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Elements(PACKETS));
        group.bench_function("fast", |bencher| {
            bencher.iter(|| each(&batches, |record, frame| decoder.decode(record, frame)));
        });
        group.bench_function("general", |bencher| {
            bencher.iter(|| each(&batches, |record, frame| decoder.general(record, frame)));
        });
        group.bench_function("etherparse", |bencher| {
            bencher.iter(|| each(&batches, |_, frame| etherparse(frame)));
        });
        group.finish();
    }
    criterion.final_summary();
}
