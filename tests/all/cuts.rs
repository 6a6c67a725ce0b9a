//! Where a capture is cut into files does not show in any dialect, nor how many threads read it, and the ledger balances.
//!
//! On any number of threads every byte is the same. Cut, every row is; only the order follows files, since a file's end is a
//! marker: in each stretch flows are by first packet, behind those of stretches before. So where all flows leave at the end of
//! input, the order is the same, too.

use std::path::PathBuf;

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::engine::ledger::{Amount, Intake};
use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::{FlowJob, Lifetime, Settings};
use pcap_compactor::{Engine, Timestamp};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::cic::{CAPTURES, Captured, everything, ms, reference};
use crate::corpus::each_record;
use crate::flows::{segment, udp};
use crate::fuzz::bodies::Flows;
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::{file, inputs};

/// The bytes of a dialect's table, and what became of the packets: all, and those in flows.
fn accounted(captures: &[PathBuf], dialect: &Dialect, threads: usize) -> (String, Intake, Amount) {
    let settings = dialect.settings(Settings::default());
    let mut out = Vec::new();
    let writer = FlowWriter::new(&mut out, "memory", Form::Csv, settings.columns.clone(), Times::Seconds);
    let mut sink = Flows::new(writer.notation(dialect.notation()));
    let engine = Engine::builder().threads(threads).filter(dialect.filter().clone());
    let report = FlowJob::new(settings).engine(engine).run(inputs(captures), &mut sink).expect("the ledger balances");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let kept = sink.kept;
    (String::from_utf8(out).expect("it is text"), report.total.intake, kept)
}

/// A packet as a capture has it.
struct Stored {
    time: i64,
    wire: u32,
    frame: Vec<u8>,
}

/// A capture whose frames begin with Ethernet.
fn stored(path: &std::path::Path) -> Vec<Stored> {
    let mut packets = Vec::new();
    each_record(path, |record, frame| {
        assert_eq!(record.link.0, 1);
        packets.push(Stored { time: record.time.0, wire: record.wire, frame: frame.to_vec() });
    });
    packets
}

/// Cuts a capture in front of these packets. Files are read in order of their first packets, so a file ends only in front of one
/// that is later than its first.
fn parts(packets: &[Stored], mut cuts: impl FnMut(usize, &Stored) -> bool) -> Vec<&[Stored]> {
    let mut parts = Vec::new();
    let mut from = 0;
    for (place, packet) in packets.iter().enumerate() {
        if packet.time > packets[from].time && cuts(place, packet) {
            parts.push(&packets[from..place]);
            from = place;
        }
    }
    parts.push(&packets[from..]);
    parts
}

/// A capture in files of a minute each.
fn minutes(packets: &[Stored]) -> Vec<&[Stored]> {
    let mut reached = 0;
    parts(packets, |_, packet| {
        let minute = (packet.time - packets[0].time).div_euclid(60 * SECOND);
        let before = reached;
        reached = minute.max(before);
        minute > before
    })
}

/// A capture in a few files that a seed cuts anywhere.
fn anywhere(packets: &[Stored], seed: u64) -> Vec<&[Stored]> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
    let cuts: Vec<_> = (0..6).map(|_| (dice.next_u64() % packets.len() as u64) as usize).collect();
    parts(packets, |place, _| cuts.contains(&place))
}

fn in_files(folder: &std::path::Path, name: &str, parts: &[&[Stored]]) -> Vec<PathBuf> {
    let write = |(n, packets): (usize, &&[Stored])| {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        for Stored { time, wire, frame } in *packets {
            writer.record(Timestamp(*time), *wire, frame).unwrap();
        }
        file(folder, &format!("{name}-{n:03}.pcap"), &writer.finish().unwrap())
    };
    parts.iter().enumerate().map(write).collect()
}

/// The same lines; in the same order, too, where no flow leaves before the end of input.
fn same_rows(dialect: &Dialect, [whole, cut]: [&str; 2]) -> bool {
    let Settings { lifetime, sweeps, .. } = dialect.settings(Settings::default());
    if lifetime == Lifetime::NEVER && !sweeps {
        return whole == cut;
    }
    let [whole, cut] = [whole, cut].map(|text| {
        let mut lines: Vec<_> = text.split('\n').collect();
        lines[1..].sort_unstable();
        lines
    });
    whole == cut
}

/// Writes a capture in every dialect, whole and cut, on several numbers of threads. Returns the rows of all dialects.
fn hold(capture: &str, packets: &[Stored]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let whole = in_files(folder.path(), "whole", &[packets]);
    let mut cuts = vec![in_files(folder.path(), "minute", &minutes(packets))];
    cuts.extend((0..6).map(|seed| in_files(folder.path(), &format!("seed-{seed}"), &anywhere(packets, seed))));
    let mut rows = 0;
    for name in Dialect::NAMES {
        let dialect: Dialect = name.parse().unwrap();
        let (once, intake, kept) = accounted(&whole, &dialect, 1);
        assert_eq!(intake.read.packets, packets.len() as u64);
        rows += once.lines().count() - 1;
        for threads in [2, 4] {
            assert!(
                accounted(&whole, &dialect, threads) == (once.clone(), intake, kept),
                "{capture}, {name}, {threads}"
            );
        }
        for (nth, files) in cuts.iter().enumerate() {
            let cut = accounted(files, &dialect, 1);
            assert!(same_rows(&dialect, [&once, &cut.0]), "{capture}, {name}, cut {nth}");
            assert_eq!((cut.1, cut.2), (intake, kept), "{capture}, {name}, cut {nth}");
            for threads in [2, 4] {
                assert!(accounted(files, &dialect, threads) == cut, "{capture}, {name}, cut {nth}, {threads}");
            }
        }
    }
    rows
}

/// All that ends and leaves out packets in a dialect, most of it across minutes: switches' traffic, then ports that are closed for
/// 240 s, repeated segments, silences of 30 s, flows of 120 s, what filters leave out, and what sweeps end.
fn traffic() -> Vec<Sent> {
    let mut packets = everything();
    let mut later = Vec::new();
    let tcp = |at: i64, up, flags, seq| segment(ms(150_000 + at), up, flags, seq, 0, 10);
    later.extend([tcp(0, true, SYN, 0), tcp(1, false, SYN | ACK, 0), tcp(20, true, ACK, 1), tcp(61_000, true, ACK, 1)]);
    later.extend([tcp(62_000, true, FIN | ACK, 11), tcp(62_001, false, FIN | ACK, 1), tcp(62_002, true, ACK, 12)]);
    later.extend([162_000, 302_000, 302_001, 302_003, 440_000].map(|at| tcp(at, at % 2 == 0, ACK, 12)));
    later.extend([0, 30, 59, 61, 91, 122, 153].map(|second| udp(ms(150_000 + second * 1000), 20)));
    later.extend((0..30).map(|n| udp(ms(150_001 + n * 10_000), 21)));
    later.extend([0, 1].map(|n| Sent {
        src: (udp(0, 22).src.0, 68),
        dst: (udp(0, 22).dst.0, 67),
        ..udp(ms(150_000 + n), 22)
    }));
    later.extend((0..1_500).map(|n: i64| {
        let talk = udp(ms(150_000 + n * 400), 30 + (n * n % 7) as u32);
        if n % 3 == 0 { Sent { src: talk.dst, dst: talk.src, ..talk } } else { talk }
    }));
    later.sort_by_key(|packet| packet.time);
    packets.extend(later);
    packets
}

#[test]
fn cuts_and_threads_do_not_show_in_traffic_of_all_kinds() {
    let packets = stored(&Captured::new(&traffic()).paths[0]);
    assert!(minutes(&packets).len() >= 12 && anywhere(&packets, 0).len() > 3);
    assert!(hold("traffic", &packets) > 12 * 20);
}

#[test]
fn cuts_and_threads_do_not_show_in_real_captures() {
    let Some(reference) = reference() else { return };
    let mut files = 0;
    for capture in CAPTURES {
        let packets = stored(&reference.join(format!("pcap/{capture}.pcap")));
        files += minutes(&packets).len() - 1;
        assert!(hold(capture, &packets) > 0);
    }
    assert!(files > 5, "only {files} captures are longer than a minute");
}
