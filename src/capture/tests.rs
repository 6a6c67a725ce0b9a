//! Tests of reading: every way of reading gives the same records and the same report, for whole and for broken files.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use super::reader::Sizes;
use super::*;
use crate::time::Timestamp;

type Row = (i64, Vec<u8>, u32, u16, Stamp);

const SECOND: i64 = 1_697_716_800;

fn drain(mut capture: Capture, limit: usize) -> (Vec<Row>, Report) {
    let (mut rows, mut batch) = (Vec::new(), Records::default());
    let mut held = Vec::new();
    while capture.fill(&mut batch, limit).unwrap() {
        assert!(!batch.list().is_empty() && batch.list().len() <= limit);
        for record in batch.list() {
            let frame = batch.frame(record);
            assert_eq!(frame.len(), record.captured as usize);
            rows.push((record.time.ns(), frame.to_vec(), record.wire, record.link.0, record.stamp));
        }
        // A consumer that is slow: the chunk may not be used again meanwhile.
        held.push((batch.bytes.clone(), batch.bytes().to_vec()));
    }
    assert!(!capture.fill(&mut batch, limit).unwrap() && batch.list().is_empty());
    for (bytes, copy) in held {
        assert_eq!(bytes.as_slice(), copy);
    }
    let mut report = capture.report().clone();
    report.bytes_read = 0;
    assert_eq!(report.packets, rows.len() as u64);
    (rows, report)
}

/// Hands out one byte a call, as a slow pipe would.
struct Drip(Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let room = out.len().min(1);
        self.0.read(&mut out[..room])
    }
}

/// Reads the bytes in every way there is and insists that all agree.
fn read(bytes: &[u8]) -> (Vec<Row>, Report) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let open = |io, chunk| Capture::open_sized(file.path(), io, Sizes { chunk, span: chunk }).unwrap();
    let usual = drain(Capture::open(file.path(), Io::Read).unwrap(), 1000);
    assert_eq!(usual, drain(Capture::open(file.path(), Io::Mmap).unwrap(), 1000));
    for (chunk, limit) in [(1, 1), (7, 1000), (64, 2), (100, 3)] {
        assert_eq!(usual, drain(open(Io::Read, chunk), limit), "read in chunks of {chunk}");
        assert_eq!(usual, drain(open(Io::Mmap, chunk), limit), "mapped, {chunk} at a time");
    }
    let stream = Capture::from_reader(Path::new("-"), Box::new(Drip(Cursor::new(bytes.to_vec())))).unwrap();
    assert_eq!(usual, drain(stream, 1000), "dripping");
    usual
}

fn frame(index: usize) -> Vec<u8> {
    (0..index * 7 % 31 + 1).map(|byte| (byte * 3 + index) as u8).collect()
}

fn pcap(layout: PcapLayout, count: usize) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), layout).unwrap();
    for index in 0..count {
        let frame = frame(index);
        let time = Timestamp(SECOND * 1_000_000_000 + index as i64 * 1_001_001_001);
        writer.record(time, frame.len() as u32 + 100, &frame).unwrap();
    }
    writer.finish().unwrap()
}

fn pcapng(big: bool) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), big).unwrap();
    writer.interface(LinkType(1), 65_535, 9, 0).unwrap();
    writer.interface(LinkType(101), 0, 6, -3600).unwrap();
    writer.packet(0, SECOND as u64 * 1_000_000_000 + 7, 100, &frame(1)).unwrap();
    writer.block(4, &[1, 2, 3, 4, 5]).unwrap();
    writer.packet(1, SECOND as u64 * 1_000_000, 50, &frame(2)).unwrap();
    writer.simple(60, &frame(3)).unwrap();
    writer.obsolete(1, 5, SECOND as u64 * 1_000_000 + 1, 70, &frame(4)).unwrap();
    writer.statistics(0, 10, 3).unwrap();
    writer.statistics(0, 11, 3).unwrap();
    writer.section(!big).unwrap();
    writer.interface(LinkType(228), 65_535, 6, 0).unwrap();
    writer.packet(0, SECOND as u64 * 1_000_000, 80, &frame(5)).unwrap();
    writer.statistics(0, 0, 100).unwrap();
    writer.finish().unwrap()
}

fn layouts() -> Vec<PcapLayout> {
    let mut layouts = Vec::new();
    for big_endian in [false, true] {
        for (nanoseconds, modified) in [(false, false), (true, false), (false, true)] {
            layouts.push(PcapLayout { big_endian, nanoseconds, modified, ..PcapLayout::default() });
        }
    }
    layouts
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn every_layout_of_pcap_gives_the_same_records() {
    for layout in layouts() {
        let (rows, report) = read(&pcap(layout, 9));
        assert_eq!((report.format, report.status, report.offset), (Format::Pcap, Status::Complete, None), "{layout:?}");
        for (index, row) in rows.iter().enumerate() {
            let ns = SECOND * 1_000_000_000 + index as i64 * 1_001_001_001;
            let ns = if layout.nanoseconds { ns } else { ns / 1000 * 1000 };
            let frame = frame(index);
            assert_eq!(*row, (ns, frame.clone(), frame.len() as u32 + 100, 1, Stamp::Known), "{layout:?}");
        }
        assert_eq!(rows.len(), 9);
        assert_eq!(report.captured_bytes, rows.iter().map(|row| row.1.len() as u64).sum::<u64>());
        assert_eq!(report.wire_bytes, report.captured_bytes + 900);
        assert_eq!(report.first_time.map(Timestamp::ns), Some(rows[0].0));
        assert_eq!(report.max_time.map(Timestamp::ns), Some(rows[8].0));
        assert_eq!(report.link_types, [LinkType(1)]);
    }
}

#[test]
fn a_pcap_cut_at_any_byte_keeps_its_whole_records_and_names_the_cut() {
    for layout in layouts() {
        let whole = pcap(layout, 4);
        let (all, _) = read(&whole);
        let header = if layout.modified { 24 } else { 16 };
        let mut ends = vec![24];
        for row in &all {
            ends.push(ends[ends.len() - 1] + header + row.1.len());
        }
        for cut in 0..=whole.len() {
            let (rows, report) = read(&whole[..cut]);
            let kept = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(rows, all[..kept.saturating_sub(1)]);
            let expected = match cut {
                0 => (Status::Empty, None),
                1..4 => (Status::Unsupported, Some(0)),
                4..24 => (Status::Truncated, Some(0)),
                _ if ends.contains(&cut) => (Status::Complete, None),
                _ => (Status::Truncated, Some(ends[kept - 1] as u64)),
            };
            assert_eq!((report.status, report.offset), expected, "cut at {cut}");
            assert_eq!(report.message.is_none(), report.status == Status::Complete);
        }
    }
}

#[test]
fn a_pcapng_cut_at_any_byte_keeps_its_whole_blocks_and_names_the_cut() {
    for big in [false, true] {
        let whole = pcapng(big);
        let (all, report) = read(&whole);
        assert_eq!((all.len(), report.status), (5, Status::Complete));
        let mut borders = vec![0];
        let mut order = big;
        while borders[borders.len() - 1] < whole.len() {
            let at = borders[borders.len() - 1];
            let word: [u8; 4] = whole[at + 4..at + 8].try_into().unwrap();
            if whole[at..].starts_with(&[10, 13, 13, 10]) {
                order = whole[at + 8] == 0x1a;
            }
            let length = if order { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
            borders.push(at + length as usize);
        }
        for cut in 0..=whole.len() {
            let (rows, report) = read(&whole[..cut]);
            assert_eq!(rows, all[..rows.len()]);
            let expected = match cut {
                0 => (Status::Empty, None),
                1..4 => (Status::Unsupported, Some(0)),
                _ if borders.contains(&cut) => (Status::Complete, None),
                _ => (Status::Truncated, borders.iter().copied().filter(|&end| end <= cut).max().map(|end| end as u64)),
            };
            assert_eq!((report.status, report.offset), expected, "cut at {cut}");
        }
    }
}

#[test]
fn pcapng_sections_interfaces_clocks_and_drops_are_followed() {
    for big in [false, true] {
        let (rows, report) = read(&pcapng(big));
        let ns = SECOND * 1_000_000_000;
        assert_eq!(
            rows,
            [
                (ns + 7, frame(1), 100, 1, Stamp::Known),
                (ns - 3_600_000_000_000, frame(2), 50, 101, Stamp::Known),
                (0, frame(3)[..22.min(frame(3).len())].to_vec(), 60, 1, Stamp::Missing),
                (ns - 3_600_000_000_000 + 1000, frame(4), 70, 101, Stamp::Known),
                (ns, frame(5), 80, 228, Stamp::Known),
            ]
            .map(|mut row: Row| {
                if row.4 == Stamp::Missing {
                    // A simple packet block has no captured length of its own: the room is the padded frame.
                    row.1.resize(row.1.len().next_multiple_of(4), 0);
                }
                row
            })
        );
        // 5 of the packet block, 11 + 3 of the last statistics of the first section, 100 of the second.
        assert_eq!(report.dropped, 5 + 14 + 100);
        assert_eq!(report.link_types, [LinkType(1), LinkType(101), LinkType(228)]);
        assert_eq!(report.without_time, 1);
    }
}

#[test]
fn a_simple_packet_is_as_long_as_wire_snapshot_and_block_allow() {
    for (snapshot, wire, expected) in [(0, 10, 10), (8, 10, 8), (100, 50, 12)] {
        let mut writer = PcapngWriter::new(Vec::new(), false).unwrap();
        writer.interface(LinkType(1), snapshot, 6, 0).unwrap();
        writer.simple(wire, &[9; 12]).unwrap();
        let (rows, _) = read(&writer.finish().unwrap());
        assert_eq!(rows, [(0, vec![9; expected], wire, 1, Stamp::Missing)]);
    }
}

#[test]
fn times_that_do_not_fit_are_counted_and_read_zero() {
    let mut writer = PcapngWriter::new(Vec::new(), true).unwrap();
    writer.interface(LinkType(1), 0, 6, 0).unwrap();
    writer.packet(0, u64::MAX, 1, &[1]).unwrap();
    let (rows, report) = read(&writer.finish().unwrap());
    assert_eq!(rows, [(0, vec![1], 1, 1, Stamp::Unrepresentable)]);
    assert_eq!((report.without_time, report.first_time, report.max_time), (1, None, None));
}

#[test]
fn an_impossible_captured_length_ends_the_file_where_it_stands() {
    let good = pcap(PcapLayout { snapshot: 100, ..PcapLayout::default() }, 3);
    for (captured, status) in [(262_145, Status::Corrupt), (u32::MAX, Status::Corrupt), (262_144, Status::Truncated)] {
        let mut bytes = good.clone();
        for word in [1, 2, captured, 4] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([0; 50]);
        let (rows, report) = read(&bytes);
        assert_eq!((rows.len(), report.status, report.offset), (3, status, Some(good.len() as u64)));
    }
}

#[test]
fn a_snapshot_length_above_the_usual_limit_is_believed_and_an_absurd_one_is_not() {
    for (snapshot, status) in [(400_000, Status::Complete), (u32::MAX, Status::Corrupt), (0, Status::Corrupt)] {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout { snapshot, ..PcapLayout::default() }).unwrap();
        writer.record(Timestamp::from_seconds(SECOND), 300_000, &vec![5; 300_000]).unwrap();
        writer.record(Timestamp::from_seconds(SECOND), 3, &[1, 2, 3]).unwrap();
        let bytes = writer.finish().unwrap();
        let (rows, report) = read(&bytes);
        assert_eq!((rows.len() == 2, report.status), (status == Status::Complete, status));
    }
}

#[test]
fn lies_about_lengths_and_fractions_are_data() {
    let mut bytes = pcap(PcapLayout { nanoseconds: false, ..PcapLayout::default() }, 0);
    for word in [10u32, 3_000_000, 4, 1] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([1, 2, 3, 4]);
    let (rows, _) = read(&bytes);
    assert_eq!(rows, [(13_000_000_000, vec![1, 2, 3, 4], 1, 1, Stamp::Known)]);
}

#[test]
fn old_versions_have_their_lengths_the_other_way_round_and_other_versions_are_refused() {
    for minor in [0, 2, 3, 4] {
        let (rows, report) = read(&pcap(PcapLayout { minor, ..PcapLayout::default() }, 3));
        assert_eq!((rows.len(), report.status), (3, Status::Complete), "2.{minor}");
        assert_eq!(rows[2].2, frame(2).len() as u32 + 100);
    }
    // Version 2.3, written the other way round.
    let mut bytes = pcap(PcapLayout { minor: 2, ..PcapLayout::default() }, 3);
    bytes[6] = 3;
    assert_eq!(read(&bytes).0, read(&pcap(PcapLayout::default(), 3)).0);
    bytes[4] = 1;
    let (rows, report) = read(&bytes);
    assert_eq!((rows.len(), report.status, report.offset), (0, Status::Unsupported, Some(0)));
}

#[test]
fn the_frame_check_bits_are_no_part_of_the_link_type() {
    let mut bytes = pcap(PcapLayout::default(), 1);
    bytes[23] = 0x24;
    assert_eq!(read(&bytes).0[0].3, 1);
}

#[test]
fn broken_blocks_end_the_file_where_they_stand() {
    let mut writer = PcapngWriter::new(Vec::new(), false).unwrap();
    writer.interface(LinkType(1), 0, 6, 0).unwrap();
    writer.packet(0, 1, 1, &[1]).unwrap();
    let good = writer.finish().unwrap();
    let block = |kind: u32, length: u32, body: &[u8], trailer: u32| {
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body, &trailer.to_le_bytes()].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let cases = [
        ("length 0", block(9, 0, &[], 0), Status::Corrupt),
        ("length 8", block(9, 8, &[], 8), Status::Corrupt),
        ("no multiple of 4", block(9, 13, &[0; 1], 13), Status::Corrupt),
        ("another trailer", block(9, 16, &[0; 4], 12), Status::Corrupt),
        ("16 MiB and more", block(9, (16 << 20) + 4, &[], 0), Status::Corrupt),
        ("16 MiB, cut", block(9, 16 << 20, &[], 0), Status::Truncated),
        ("short packet", block(6, 12, &[], 12), Status::Corrupt),
        ("packet of 28", block(6, 28, &[0; 16], 28), Status::Corrupt),
        ("unknown interface", block(6, 32, &words(&[1, 0, 0, 0, 0]), 32), Status::Corrupt),
        ("more captured than room", block(6, 32, &words(&[0, 0, 0, 1, 1]), 32), Status::Corrupt),
        ("captured wraps", block(6, 32, &words(&[0, 0, 0, u32::MAX, 1]), 32), Status::Corrupt),
        ("short simple packet", block(3, 12, &[], 12), Status::Corrupt),
        ("short interface", block(1, 16, &[0; 4], 16), Status::Corrupt),
        ("short statistics", block(5, 16, &[0; 4], 16), Status::Corrupt),
        ("section without order", block(0x0a0d_0d0a, 28, &[0; 16], 28), Status::Corrupt),
        ("section of version 2", block(0x0a0d_0d0a, 28, &words(&[0x1a2b_3c4d, 2, 0, 0]), 28), Status::Unsupported),
        ("short section", block(0x0a0d_0d0a, 16, &words(&[0x1a2b_3c4d]), 16), Status::Corrupt),
    ];
    for (name, bad, status) in cases {
        let (rows, report) = read(&[&good[..], &bad].concat());
        assert_eq!((rows.len(), report.status, report.offset), (1, status, Some(good.len() as u64)), "{name}");
    }
}

#[test]
fn a_packet_without_any_interface_is_damage_also_in_a_later_section() {
    for simple in [false, true] {
        let mut writer = PcapngWriter::new(Vec::new(), false).unwrap();
        writer.interface(LinkType(1), 0, 6, 0).unwrap();
        writer.section(true).unwrap();
        if simple {
            writer.simple(1, &[1]).unwrap()
        } else {
            writer.packet(0, 1, 1, &[1]).unwrap()
        }
        let (rows, report) = read(&writer.finish().unwrap());
        assert_eq!((rows.len(), report.status), (0, Status::Corrupt));
    }
}

#[test]
fn what_is_no_capture_is_unsupported() {
    for bytes in [&b"hello, world"[..], &[0; 100], b"\x0a\x0d\x0d"] {
        let (rows, report) = read(bytes);
        assert_eq!((rows.len(), report.status, report.offset), (0, Status::Unsupported, Some(0)));
    }
    let twice = gzip(&gzip(&pcap(PcapLayout::default(), 1)));
    let (_, report) = read(&twice);
    assert_eq!(report.status, Status::Unsupported);
    assert!(report.message.unwrap().contains("twice"));
}

#[test]
fn compressed_captures_read_as_plain_ones_and_cut_ones_keep_what_can_be_decoded() {
    for plain in [pcap(PcapLayout::default(), 60), pcapng(true)] {
        let (all, expected) = read(&plain);
        for (pack, compression) in [(gzip as fn(&[u8]) -> Vec<u8>, Compression::Gzip), (zstd, Compression::Zstd)] {
            // Two members or frames, cut in the middle of a record.
            let (front, back) = plain.split_at(plain.len() / 2 + 3);
            let packed = [pack(front), pack(back)].concat();
            let (rows, report) = read(&packed);
            assert_eq!(rows, all);
            assert_eq!(report, Report { compression, ..expected.clone() });
            let mut most = 0;
            for cut in 0..packed.len() {
                let (rows, report) = read(&packed[..cut]);
                assert_eq!(rows, all[..rows.len()]);
                assert!(rows.len() >= most);
                most = rows.len();
                let border = cut == pack(front).len();
                let status = match cut {
                    0 => Status::Empty,
                    1..4 => Status::Unsupported,
                    _ => Status::Truncated,
                };
                assert_eq!(report.status, status, "cut at {cut} of {}, border {border}", packed.len());
            }
            assert!(most > 0);
        }
    }
}

#[test]
fn a_flipped_byte_in_a_compressed_stream_is_never_taken_for_a_good_file() {
    let plain = pcap(PcapLayout::default(), 40);
    let (all, _) = read(&plain);
    let checked = {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    for (packed, from) in [(gzip(&plain), 10), (checked, 4)] {
        for index in from..packed.len() {
            let mut bad = packed.clone();
            bad[index] ^= 0x10;
            let (rows, report) = read(&bad);
            assert!(report.status != Status::Complete || rows == all, "byte {index} of {}", packed.len());
        }
    }
}

#[test]
fn what_was_decoded_before_the_damage_is_kept() {
    let frames: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    for (index, frame) in frames.chunks(1000).enumerate() {
        writer.record(Timestamp::from_seconds(index as i64), 1000, frame).unwrap();
    }
    let plain = writer.finish().unwrap();
    for mut packed in [gzip(&plain), zstd(&plain)] {
        let at = packed.len() * 9 / 10;
        for byte in &mut packed[at..at + 100] {
            *byte = 0xff;
        }
        let (rows, report) = read(&packed);
        // zstd decodes in blocks of 128 KiB; gzip up to the very spot or, in stored blocks, beyond it.
        assert!(rows.len() >= 128, "{}", rows.len());
        assert_eq!(report.status, Status::Corrupt);
        assert!(report.offset.is_some_and(|offset| offset >= 128 * 1016));
    }
}

#[test]
fn zeros_behind_a_gzip_stream_are_padding_and_other_bytes_are_damage() {
    let packed = gzip(&pcap(PcapLayout::default(), 5));
    let (rows, report) = read(&[&packed[..], &[0; 600]].concat());
    assert_eq!((rows.len(), report.status), (5, Status::Complete));
    for garbage in [&b"xyz"[..], b"\0\0\0x"] {
        let (rows, report) = read(&[&packed[..], garbage].concat());
        assert_eq!((rows.len(), report.status), (5, Status::Corrupt));
    }
}

#[test]
fn skippable_zstd_frames_are_skipped_also_in_front() {
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], &[1, 2, 3]].concat();
    let packed = [skippable.clone(), zstd(&pcap(PcapLayout::default(), 5)), skippable].concat();
    let (rows, report) = read(&packed);
    assert_eq!((rows.len(), report.status, report.compression), (5, Status::Complete, Compression::Zstd));
}

#[test]
fn the_first_time_can_be_asked_for_without_losing_a_record() {
    let bytes = pcap(PcapLayout::default(), 5);
    let (all, report) = read(&bytes);
    let mut capture = Capture::from_reader(Path::new("-"), Box::new(Cursor::new(bytes))).unwrap();
    for _ in 0..2 {
        assert_eq!(capture.first_time().unwrap(), Some(Timestamp(all[0].0)));
        assert_eq!(capture.report().packets, 0);
    }
    assert_eq!(drain(capture, 10), (all, report));
    let mut none = Capture::from_reader(Path::new("-"), Box::new(std::io::empty())).unwrap();
    assert_eq!(none.first_time().unwrap(), None);
    assert_eq!(none.report().status, Status::Empty);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_truncated_even_on_a_border() {
    let bytes = pcap(PcapLayout { snapshot: 10, ..PcapLayout::default() }, 50);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let mut capture = Capture::open_sized(file.path(), Io::Read, Sizes { chunk: 100, span: 100 }).unwrap();
    let mut batch = Records::default();
    assert!(capture.fill(&mut batch, 1).unwrap());
    file.as_file().set_len(24 + 17).unwrap();
    while capture.fill(&mut batch, 100).unwrap() {}
    assert_eq!(capture.report().status, Status::Truncated);
}

#[test]
fn a_read_error_names_the_file_and_ends_the_capture() {
    struct Broken(Cursor<Vec<u8>>);
    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(std::io::Error::other("the disk is on fire")),
                read => Ok(read),
            }
        }
    }
    let whole = pcap(PcapLayout::default(), 5);
    for bytes in [whole.clone(), gzip(&whole)[..60].to_vec()] {
        let mut capture = Capture::from_reader(Path::new("some.pcap"), Box::new(Broken(Cursor::new(bytes)))).unwrap();
        let mut batch = Records::default();
        let error = loop {
            match capture.fill(&mut batch, 2) {
                Ok(more) => assert!(more),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(error, "some.pcap: cannot read: the disk is on fire");
        assert!(!capture.fill(&mut batch, 2).unwrap());
    }
}

#[test]
fn folders_and_missing_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Capture::open(folder.path(), Io::Auto).is_err());
    assert!(Capture::open(&folder.path().join("missing"), Io::Auto).is_err());
}

#[test]
fn random_damage_never_panics_and_never_tells_the_ways_of_reading_apart() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let sources = [pcap(PcapLayout::default(), 8), pcapng(false), pcapng(true)];
    for round in 0..600 {
        let mut bytes = sources[round % sources.len()].clone();
        for _ in 0..random() % 4 + 1 {
            let at = random() as usize % bytes.len();
            bytes[at] = [0, 1, 0x7f, 0xff, random() as u8][random() as usize % 5];
        }
        read(&bytes);
    }
}

#[test]
fn a_zstd_frame_that_asks_for_too_much_is_not_called_damaged() {
    let capture = pcap(PcapLayout::default(), 9);
    let (all, _) = read(&capture);
    // The descriptor of the window is the byte behind that of the frame.
    let mut wide = zstd(&capture);
    assert_eq!(wide[4] & 0x20, 0, "the frame has a window");
    wide[5] = (28 - 10) << 3;
    let (rows, report) = read(&wide);
    assert_eq!((rows.len(), report.status, report.offset), (0, Status::Unsupported, Some(0)));
    assert!(
        report.message.unwrap().contains("needs a window of more than 128 MiB; unpack it with `zstd -d --long=31`")
    );
    // What other frames hold in front of it stays.
    let half = capture.len() / 2;
    let mut second = zstd(&capture[half..]);
    second[5] = (28 - 10) << 3;
    let (rows, report) = read(&[zstd(&capture[..half]), second].concat());
    assert!(!rows.is_empty() && rows[..] == all[..rows.len()]);
    assert_eq!(report.status, Status::Unsupported);
    // As wide as it may be.
    wide[5] = (27 - 10) << 3;
    assert_eq!(read(&wide).0, all);
    // A dictionary's number of one byte comes behind the window.
    let mut foreign = zstd(&capture);
    foreign[4] |= 1;
    foreign.insert(6, 7);
    let (rows, report) = read(&foreign);
    assert_eq!((rows.len(), report.status), (0, Status::Unsupported));
    assert!(report.message.unwrap().contains("needs a dictionary"));
}
