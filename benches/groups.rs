//! The main job whole, from a mapped file to records: let go of, digested, and written nowhere as JSON Lines.

mod traffic;

use std::hint::black_box;
use std::io;

use criterion::{Criterion, Throughput};
use pcap_compactor::capture::Io;
use pcap_compactor::sink::digest::DigestLines;
use pcap_compactor::sink::jsonl::{JsonLines, Lines};
use pcap_compactor::sink::{Discard, Sink};
use pcap_compactor::{Config, Engine, Input, Job};

const PACKETS: u64 = 200_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    for (name, flows) in [("few_flows", 1_000), ("many_flows", 50_000)] {
        let path = folder.path().join(name);
        std::fs::write(&path, traffic::capture(PACKETS, flows, None)).expect("the disk has room");
        let job = Job::new(Config::default()).engine(Engine::builder().io(Io::Mmap));
        let run = |sink: &mut dyn Sink| {
            let report = job.run(vec![Input::file(&path)], sink).expect("the job ends");
            assert!(report.failed.is_empty());
            report.total.intake.accepted.packets
        };
        assert_eq!(run(&mut Discard), PACKETS);

        let mut group = criterion.benchmark_group(format!("groups/{name}"));
        group.throughput(Throughput::Elements(PACKETS)).sample_size(20);
        group.bench_function("discard", |bencher| bencher.iter(|| black_box(run(&mut Discard))));
        group.bench_function("digest", |bencher| bencher.iter(|| run(&mut DigestLines::new(io::sink()))));
        group.bench_function("jsonl", |bencher| {
            bencher.iter(|| run(&mut JsonLines::new(io::sink(), "nowhere", Lines::default())));
        });
        group.finish();
    }
    criterion.final_summary();
}
