//! The record walk alone: from a memory map, by reading, and from a stream in memory.

mod traffic;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use pcap_compactor::capture::{Capture, Io, Records};

const PACKETS: u64 = 100_000;

/// Packets and captured bytes.
fn walk(mut capture: Capture) -> (u64, u64) {
    let (mut packets, mut bytes) = (0, 0);
    let mut batch = Records::default();
    while capture.fill(&mut batch, 512).expect("the capture can be read") {
        packets += batch.list().len() as u64;
        bytes += batch.list().iter().map(|record| u64::from(record.captured)).sum::<u64>();
    }
    (packets, bytes)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let bytes = traffic::capture(PACKETS, 5_000, None);
    let truth = (PACKETS, bytes.len() as u64 - 24 - 16 * PACKETS);
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("walk.pcap");
    std::fs::write(&path, &bytes).expect("the disk has room");
    let memory: Arc<[u8]> = bytes.into();
    let file = |path: &Path, io| Capture::open(path, io).expect("the file is there");

    let engines: [(&str, &dyn Fn() -> Capture); 3] = [
        ("mmap", &|| file(&path, Io::Mmap)),
        ("read", &|| file(&path, Io::Read)),
        ("stream", &|| traffic::open(&memory)),
    ];
    let mut group = criterion.benchmark_group("walk");
    group.throughput(Throughput::Elements(PACKETS));
    for (name, open) in engines {
        assert_eq!(walk(open()), truth, "{name}");
        group.bench_with_input(BenchmarkId::from_parameter(name), open, |bencher, open| {
            bencher.iter(|| black_box(walk(open())));
        });
    }
    group.finish();
    criterion.final_summary();
}
