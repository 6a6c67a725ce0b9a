//! The pieces of flow features: statistics added to and summarised (all eighteen sets), TCP segments classified, community
//! ids.

use criterion::{BenchmarkId, Criterion, Throughput};
use pcap_compactor::flow::community_id::{Endpoints, community_id};
use pcap_compactor::flow::moments::Form;
use pcap_compactor::flow::sequence::{Connection, Segment};
use pcap_compactor::flow::statistics::{Bounds, Quantity, Room, Sides, Statistics};
use pcap_compactor::flow::{Sample, Side};

/// A download: data down, acknowledgements up.
fn download(packets: usize) -> Vec<(i64, Sample)> {
    let mut draw = 1_u64;
    let packet = |n| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let gap = (draw >> 44) as i64;
        let (side, payload) = match n % 3 {
            0 => (Side::Up, 0),
            _ if draw >> 58 == 0 => (Side::Down, (draw >> 32) as u32 % 1448),
            _ => (Side::Down, 1448),
        };
        let window = Some(if n % 3 == 0 { 500 + (draw >> 58) as u16 } else { 509 });
        (gap, Sample { side, frame: payload + 66, ip: payload + 52, l4: payload + 32, payload, window })
    };
    (0..packets).map(packet).collect()
}

fn statistics(packets: &[(i64, Sample)], bounds: &Bounds) -> Statistics {
    let mut statistics = Statistics::default();
    for (gap, sample) in packets {
        statistics.add(*gap, sample, bounds);
    }
    statistics
}

fn flows(criterion: &mut Criterion) {
    let bounds = Bounds::default();
    let mut group = criterion.benchmark_group("statistics");
    for packets in [1, 10, 100, 1000, 100_000] {
        let traffic = download(packets);
        group.throughput(Throughput::Elements(packets as u64));
        group.bench_function(BenchmarkId::new("add", packets), |bench| bench.iter(|| statistics(&traffic, &bounds)));
        let flow = statistics(&traffic, &bounds);
        let mut room = Room::default();
        group.bench_function(BenchmarkId::new("summarise", packets), |bench| {
            bench.iter(|| {
                let mut values = room.lay_out(&flow);
                let mut sum = 0.0;
                for quantity in Quantity::ALL {
                    for sides in Sides::ALL {
                        sum += values.summary(quantity, sides, Form::Population).kurt;
                    }
                }
                sum
            });
        });
    }
    group.finish();
}

/// The same download as segments; every hundredth data segment comes two places late.
fn segments(criterion: &mut Criterion) {
    let mut next = [1_u32, 1];
    let mut segments: Vec<_> = download(10_000)
        .into_iter()
        .map(|(_, sample)| {
            let side = sample.side as usize;
            let segment =
                Segment { seq: next[side], ack: next[1 - side], flags: 0x10, window: 501, payload: sample.payload };
            next[side] = next[side].wrapping_add(sample.payload);
            (sample.side, segment)
        })
        .collect();
    for at in (1..9_900).step_by(100) {
        segments.swap(at, at + 2);
    }
    let mut group = criterion.benchmark_group("sequence");
    group.throughput(Throughput::Elements(segments.len() as u64));
    group.bench_function("add", |bench| {
        bench.iter(|| {
            let mut connection = Connection::default();
            segments.iter().map(|(side, segment)| connection.add(*side, segment).class as u64).sum::<u64>()
        });
    });
    group.finish();
}

fn ids(criterion: &mut Criterion) {
    let endpoints =
        Endpoints { src: [10, 0, 0, 1].into(), dst: [10, 0, 0, 2].into(), protocol: 6, ports: [40_000, 443] };
    criterion.bench_function("community_id", |bench| bench.iter(|| community_id(std::hint::black_box(&endpoints), 0)));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    flows(&mut criterion);
    segments(&mut criterion);
    ids(&mut criterion);
    criterion.final_summary();
}
