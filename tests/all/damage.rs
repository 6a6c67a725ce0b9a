//! Captures cut at every byte: what lies whole before the cut is read, and what is cut is named.

use std::io::Cursor;
use std::ops::Range;

use pcap_compactor::capture::{Io, LinkType, PcapLayout, PcapWriter, PcapngWriter, Status};
use pcap_compactor::engine::Report;
use pcap_compactor::{Config, Input, Timestamp};

use crate::corpus::corpus;
use crate::model;
use crate::run::{PLAIN, Said, Way, balances, file, gzip, job, number, say, zstd};
use crate::traffic::{Body, Frame, START, v4};

/// A record, a block or a header: where it lies, and whether it is a packet.
pub(crate) type Unit = (Range<usize>, bool);

/// What a capture is made of, read by nothing but lengths.
pub(crate) fn units(bytes: &[u8]) -> Vec<Unit> {
    let word = |at: usize, big: bool| {
        let word: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        (if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }) as usize
    };
    let mut units = Vec::new();
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let (mut at, mut big) = (0, false);
        while at < bytes.len() {
            let section = bytes[at..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]);
            if section {
                big = bytes[at + 8..].starts_with(&[0x1a, 0x2b, 0x3c, 0x4d]);
            }
            let end = at + word(at + 4, big);
            units.push((at..end, !section && matches!(word(at, big), 2 | 3 | 6)));
            at = end;
        }
        return units;
    }
    let big = bytes[0] == 0xa1;
    let modified = word(0, big) == 0xa1b2_cd34;
    let minor = if big { word(4, true) & 0xffff } else { word(4, false) >> 16 };
    let mut at = 24;
    units.push((0..at, false));
    while at < bytes.len() {
        let captured = word(at + if minor < 3 { 12 } else { 8 }, big);
        let end = at + if modified { 24 } else { 16 } + captured;
        units.push((at..end, true));
        at = end;
    }
    units
}

fn read(bytes: &[u8]) -> (Said, Report) {
    let mut said = Said::default();
    let input = Input::stream("cut", Box::new(Cursor::new(bytes.to_vec())));
    let job = job(&Config::default(), model::Range::default(), PLAIN);
    let report = job.run(vec![input], &mut said).expect("damage does not end a run");
    (said, report)
}

/// Packets, status and offset of the first `cut` bytes of a capture.
pub(crate) fn expected(units: &[Unit], cut: usize) -> (u64, Status, Option<u64>) {
    let whole = units.iter().filter(|(range, packet)| *packet && range.end <= cut).count() as u64;
    let border = cut == 0 || units.iter().any(|(range, _)| range.end == cut);
    let (status, offset) = match cut {
        0 => (Status::Empty, None),
        1..4 => (Status::Unsupported, Some(0)),
        _ if border => (Status::Complete, None),
        _ => {
            let inside = units.iter().find(|(range, _)| range.contains(&cut)).expect("a cut is in a unit");
            (Status::Truncated, Some(inside.0.start as u64))
        }
    };
    (whole, status, offset)
}

/// Holds what was read of the first `cut` bytes against the units.
fn check(name: &str, units: &[Unit], cut: usize, said: &Said, report: &Report) {
    let (whole, status, offset) = expected(units, cut);
    assert!(report.failed.is_empty(), "{name} cut at {cut}: {:?}", report.failed);
    let [file] = &report.files[..] else { panic!("{name} cut at {cut}: one file") };
    let capture = &file.capture;
    assert_eq!((capture.packets, capture.status, capture.offset), (whole, status, offset), "{name} cut at {cut}");
    assert_eq!(capture.message.is_some(), offset.is_some() || cut == 0, "{name} cut at {cut}: {capture:?}");
    balances(&said.metrics);
    let told = &said.metrics["files"][0];
    assert_eq!(number(&told["packets"]), whole);
    assert_eq!((told["status"].as_str(), told["offset"].as_u64()), (Some(status.name()), offset));
}

fn frames() -> Vec<Vec<u8>> {
    let (client, server) = (v4(10, 0, 0, 1), v4(10, 0, 0, 2));
    let tcp = |flags| Body::Tcp { src_port: 40_000, dst_port: 80, flags, payload: b"GET /a HTTP/1.1\r\n".to_vec() };
    let udp = Body::Udp { src_port: 40_000, dst_port: 53, payload: vec![1] };
    let bodies = [tcp(0x02), udp, Body::Arp, tcp(0x18)];
    bodies.map(|body| Frame::new(START, client, server, body).bytes().0).to_vec()
}

/// Small captures of every kind, with their names.
pub(crate) fn built() -> Vec<(String, Vec<u8>)> {
    let mut built = Vec::new();
    let some = frames();
    // An empty frame among others, none at all, and one alone.
    for (kind, frames) in [("four", &some[..]), ("an empty one", &[some[1].clone(), Vec::new()]), ("none", &[])] {
        for (big_endian, nanoseconds, modified, minor) in [
            (false, false, false, 4),
            (true, false, false, 4),
            (false, true, false, 4),
            (true, true, false, 4),
            (false, false, true, 4),
            (true, false, true, 4),
            (false, false, false, 2),
            (true, false, false, 2),
        ] {
            let layout = PcapLayout { big_endian, nanoseconds, modified, minor, ..PcapLayout::default() };
            let mut writer = PcapWriter::new(Vec::new(), layout).unwrap();
            for (n, frame) in frames.iter().enumerate() {
                writer.record(Timestamp(START + n as i64), frame.len() as u32, frame).unwrap();
            }
            built.push((format!("{layout:?} of {kind}"), writer.finish().unwrap()));
        }
        for big_endian in [false, true] {
            for blocks in ["enhanced", "simple", "obsolete", "mixed"] {
                built.push((
                    format!("{blocks} blocks of {kind}, big-endian {big_endian}"),
                    blocks_of(blocks, frames, big_endian),
                ));
            }
        }
    }
    built
}

fn blocks_of(blocks: &str, frames: &[Vec<u8>], big_endian: bool) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), big_endian).unwrap();
    writer.interface(LinkType(1), 0, 6, 0).unwrap();
    for (n, frame) in frames.iter().enumerate() {
        let (ticks, wire) = (START as u64 / 1000 + n as u64, frame.len() as u32);
        match (blocks, n % 3) {
            ("enhanced", _) | ("mixed", 0) => writer.packet(0, ticks, wire, frame),
            ("simple", _) | ("mixed", 1) => writer.simple(wire, frame),
            _ => writer.obsolete(0, 7, ticks, wire, frame),
        }
        .unwrap();
        if blocks == "mixed" {
            writer.statistics(0, 1, 2).unwrap();
            writer.block(0x0bad, b"custom").unwrap();
            writer.section(big_endian != (n % 2 == 0)).unwrap();
            writer.interface(LinkType(1), 65_535, 9, -1).unwrap();
        }
    }
    writer.finish().unwrap()
}

#[test]
fn a_cut_anywhere_leaves_the_whole_records_before_it() {
    let built = built();
    assert!(built.len() >= 30);
    for (name, bytes) in built {
        let units = units(&bytes);
        for cut in 0..=bytes.len() {
            let (said, report) = read(&bytes[..cut]);
            check(&name, &units, cut, &said, &report);
        }
    }
}

#[test]
fn a_cut_anywhere_leaves_the_whole_records_of_real_captures() {
    let Some(corpus) = corpus() else { return };
    let mut captures = 0;
    for (name, path) in &corpus.captures {
        let bytes = std::fs::read(path).unwrap();
        let (_, report) = read(&bytes);
        let capture = &report.files[0].capture;
        if bytes.len() > 800 || capture.status != Status::Complete || capture.compression.name() != "none" {
            continue;
        }
        captures += 1;
        let units = units(&bytes);
        for cut in 0..=bytes.len() {
            let (said, report) = read(&bytes[..cut]);
            check(name, &units, cut, &said, &report);
        }
    }
    assert!(captures >= 30, "{captures} small captures");
}

#[test]
fn a_cut_file_is_read_alike_by_map_and_by_reading() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in built().into_iter().filter(|(name, _)| name.contains("four")).step_by(3) {
        let units = units(&bytes);
        for cut in (0..=bytes.len()).step_by(3) {
            for (n, io) in [Io::Mmap, Io::Read].into_iter().enumerate() {
                let path = file(dir.path(), "cut", &bytes[..cut]);
                let way = Way { threads: 1 + n * 2, io };
                let (said, report) = say(&[path], &Config::default(), model::Range::default(), way);
                check(&name, &units, cut, &said, &report);
            }
        }
    }
}

#[test]
fn a_cut_compressed_capture_gives_no_more_than_it_holds_and_says_so() {
    for (name, bytes) in built().into_iter().filter(|(name, _)| name.contains("four")).step_by(4) {
        let all = units(&bytes).iter().filter(|(_, packet)| *packet).count() as u64;
        for packed in [gzip(&bytes), zstd(&bytes)] {
            let mut most = 0;
            for cut in 0..=packed.len() {
                let (said, report) = read(&packed[..cut]);
                balances(&said.metrics);
                let capture = &report.files[0].capture;
                assert!(capture.packets >= most, "{name} cut at {cut}: what was there is gone");
                most = capture.packets;
                let status = match cut {
                    0 => Status::Empty,
                    1..4 => Status::Unsupported,
                    _ if cut == packed.len() => Status::Complete,
                    _ => Status::Truncated,
                };
                assert_eq!(capture.status, status, "{name} cut at {cut} of {}: {capture:?}", packed.len());
            }
            assert_eq!(most, all);
        }
    }
}

#[test]
fn bytes_that_are_wrong_end_a_file_where_they_lie_and_leave_the_rest_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = &built()[2].1;
    let units = units(bytes);
    let mut damaged = bytes.clone();
    // The captured length of the third packet says 1 GiB.
    let at = units[3].0.start;
    damaged[at + 8..at + 12].copy_from_slice(&0x4000_0000_u32.to_le_bytes());
    let paths = [file(dir.path(), "damaged", &damaged), file(dir.path(), "sound", bytes)];
    let (said, report) = say(&paths, &Config::default(), model::Range::default(), PLAIN);
    let told: Vec<_> = report.files.iter().map(|f| (f.capture.status, f.capture.offset, f.capture.packets)).collect();
    assert_eq!(told, [(Status::Corrupt, Some(at as u64), 2), (Status::Complete, None, 4)]);
    assert_eq!(number(&said.metrics["ledger"]["read"]["packets"]), 6);
}
