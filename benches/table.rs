//! The flow table against a hash map that cannot be prefetched: few warm flows, a million cold ones, and new ones.

mod traffic;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use pcap_compactor::decode::Packet;
use pcap_compactor::table::key::from_high;
use pcap_compactor::table::{FlowRef, FlowTable, Pipeline, RUN};
use traffic::Numbers;

/// A packet of an IPv4 flow.
fn packet(flow: u64, from_client: bool) -> Packet {
    let client = (u128::from(0x0a00_0000 + flow as u32), 40_000);
    let server = (u128::from(0x1700_0000 + (flow as u32).wrapping_mul(2_654_435_761) % 0x9000_0000), 443);
    let (src, dst) = if from_client { (client, server) } else { (server, client) };
    Packet { src: src.0, dst: dst.0, src_port: src.1, dst_port: dst.1, protocol: 6, ..Packet::default() }
}

/// Packets of random flows.
fn packets(count: u64, flows: u64) -> Vec<Packet> {
    let mut numbers = Numbers(flows);
    (0..count).map(|_| packet(numbers.below(flows), numbers.below(2) == 0)).collect()
}

/// One packet of every flow.
fn every(flows: u64) -> Vec<Packet> {
    (0..flows).map(|flow| packet(flow, true)).collect()
}

/// What is measured.
trait Table: Default {
    /// Hands on packets with their flows, a run at a time.
    fn resolve(&mut self, packets: &[Packet], take: impl FnMut(&[Packet], &[FlowRef]));
    fn flows(&self) -> usize;
}

#[derive(Default)]
struct Ours(FlowTable, Pipeline);

impl Table for Ours {
    fn resolve(&mut self, packets: &[Packet], mut take: impl FnMut(&[Packet], &[FlowRef])) {
        self.1.run(&mut self.0, packets, |packets, flows, _, _| take(packets, flows));
    }

    fn flows(&self) -> usize {
        self.0.len()
    }
}

/// The same key in hashbrown's table, keys inside.
#[derive(Default)]
struct Hashbrown(HashTable<([u64; 2], u32)>);

fn hash(key: [u64; 2]) -> u64 {
    let product = u128::from(key[0] ^ 0xa076_1d64_78bd_642f) * u128::from(key[1] ^ 0xe703_7ed1_a0b4_28db);
    (product >> 64) as u64 ^ product as u64
}

impl Table for Hashbrown {
    fn resolve(&mut self, packets: &[Packet], mut take: impl FnMut(&[Packet], &[FlowRef])) {
        let mut flows = Vec::with_capacity(RUN);
        for run in packets.chunks(RUN) {
            flows.clear();
            for packet in run {
                let src = (packet.src as u64) << 16 | u64::from(packet.src_port);
                let dst = (packet.dst as u64) << 16 | u64::from(packet.dst_port);
                let key = [src.min(dst), src.max(dst) | u64::from(packet.protocol) << 56];
                let next = self.0.len() as u32;
                let id = match self.0.entry(hash(key), |entry| entry.0 == key, |entry| hash(entry.0)) {
                    Entry::Occupied(entry) => entry.get().1,
                    Entry::Vacant(entry) => entry.insert((key, next)).get().1,
                };
                flows.push(FlowRef { id, from_high: from_high(packet) });
            }
            take(run, &flows);
        }
    }

    fn flows(&self) -> usize {
        self.0.len()
    }
}

/// Resolves as a worker does.
fn resolve<T: Table>(table: &mut T, packets: &[Packet]) {
    table.resolve(packets, |_, flows| {
        black_box(flows);
    });
}

/// Every flow once, so that ids are the flows' numbers; then packets of known flows.
fn filled<T: Table>(flows: u64, packets: &[Packet]) -> T {
    let mut table = T::default();
    resolve(&mut table, &every(flows));
    assert_eq!(table.flows() as u64, flows);
    table.resolve(packets, |run, found| {
        for (packet, flow) in run.iter().zip(found) {
            let client = if packet.dst_port == 443 { packet.src } else { packet.dst };
            assert_eq!(u128::from(flow.id) + 0x0a00_0000, client);
        }
    });
    assert_eq!(table.flows() as u64, flows);
    table
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, flows, count) in [("warm", 1_000, 65_536), ("cold", 1_000_000, 1_048_576)] {
        let packets = packets(count, flows);
        let mut group = criterion.benchmark_group(format!("table/{name}"));
        group.throughput(Throughput::Elements(count)).sample_size(20);
        let mut table: Ours = filled(flows, &packets);
        group.bench_function("ours", |bencher| bencher.iter(|| resolve(&mut table, &packets)));
        drop(table);
        let mut table: Hashbrown = filled(flows, &packets);
        group.bench_function("hashbrown", |bencher| bencher.iter(|| resolve(&mut table, &packets)));
        group.finish();
    }

    const NEW: u64 = 200_000;
    let packets = every(NEW);
    let mut group = criterion.benchmark_group("table/new");
    group.throughput(Throughput::Elements(NEW)).sample_size(20);
    group.bench_function("ours", |bencher| {
        bencher.iter_batched_ref(Ours::default, |table| resolve(table, &packets), BatchSize::PerIteration);
    });
    group.bench_function("hashbrown", |bencher| {
        bencher.iter_batched_ref(Hashbrown::default, |table| resolve(table, &packets), BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}
