//! Filters: what it costs to ask one about a decoded packet.

mod traffic;

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use pcap_compactor::capture::Records;
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use pcap_compactor::filter::Filter;

const PACKETS: u64 = 20_000;

fn packets(batches: &[Records]) -> Vec<(Packet, usize, usize)> {
    let decoder = Decoder::new(Tunnels::Inner);
    let mut packets = Vec::new();
    for (batch, records) in batches.iter().enumerate() {
        for (at, record) in records.list().iter().enumerate() {
            packets.extend(decoder.decode(record, records.frame(record)).ok().map(|packet| (packet, batch, at)));
        }
    }
    packets
}

fn filters(criterion: &mut Criterion) {
    let bytes: Arc<[u8]> = traffic::capture(PACKETS, 1000, None).into();
    let batches = traffic::records(&bytes);
    let packets = packets(&batches);
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Elements(packets.len() as u64));
    for text in [
        "tcp",
        "tcp port 80 or 443",
        "not net 10.0.0.0/8 and (udp port 53 or host 10.0.0.1)",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    ] {
        let filter = Filter::parse(text).expect("it is an expression");
        group.bench_function(BenchmarkId::from_parameter(text), |bench| {
            bench.iter(|| {
                let matches = packets.iter().filter(|(packet, batch, at)| {
                    let records = &batches[*batch];
                    let record = &records.list()[*at];
                    filter.matches(packet, record.link, records.frame(record))
                });
                matches.count()
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    filters(&mut criterion);
    criterion.final_summary();
}
