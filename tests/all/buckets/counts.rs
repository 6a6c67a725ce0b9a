//! What is counted of a packet.

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::buckets::{COLUMNS, Settings};

use super::{MS, ethernet, written};
use crate::command::run;
use crate::flows::{pcap, segment};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::file;
use crate::traffic::START;

/// DNS by its QR bit, over UDP and TCP, and what only looks like it.
#[test]
fn dns_is_told_by_its_header() {
    // A question for the root, also where none is asked for.
    let counted = |flags: [u8; 2], counts: [u8; 8]| [&[0, 1][..], &flags, &counts, &[0, 0, 1, 0, 1]].concat();
    let header = |flags: [u8; 2]| counted(flags, [0, 1, 0, 0, 0, 0, 0, 0]);
    let update = |room: usize| [&counted([0x28, 0], [0, 1, 0, 1, 0, 0, 0, 0])[..], &vec![0; room]].concat();
    let over_tcp = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let udp_to = |ports: [u16; 2], message: &[u8]| {
        let [src, dst] = ports.map(u16::to_be_bytes);
        ethernet(17, [10, 0, 0, 1], [10, 0, 0, 2], &[&src[..], &dst, &[0, 20, 0, 0], message].concat())
    };
    let tcp_to = |ports: [u16; 2], payload: &[u8]| {
        let [src, dst] = ports.map(u16::to_be_bytes);
        let header = [&src[..], &dst, &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]].concat();
        ethernet(6, [10, 0, 0, 1], [10, 0, 0, 2], &[&header[..], payload].concat())
    };
    let (query, answer, nxdomain) = (header([1, 0]), header([0x81, 0x80]), header([0x81, 0x83]));
    for (mut frame, expected) in [
        (udp_to([40_000, 53], &query), [1, 0, 0]),
        (udp_to([53, 40_000], &answer), [0, 1, 0]),
        (udp_to([53, 40_000], &nxdomain), [0, 1, 1]),
        (udp_to([5353, 5353], &answer), [0, 1, 0]),
        (udp_to([40_000, 5355], &query), [1, 0, 0]),
        (udp_to([40_000, 54], &query), [0, 0, 0]),
        // Opcodes, and how many questions and records there may be.
        (udp_to([40_000, 53], &header([0x18, 0])), [0, 0, 0]),
        (udp_to([40_000, 53], &header([0x38, 0])), [0, 0, 0]),
        (udp_to([40_000, 53], &header([0x20, 0])), [1, 0, 0]),
        (udp_to([40_000, 53], &counted([0x30, 0], [0; 8])), [1, 0, 0]),
        (udp_to([40_000, 53], &counted([1, 0], [0; 8])), [0, 0, 0]),
        (udp_to([53, 40_000], &counted([0x81, 0x80], [0; 8])), [0, 1, 0]),
        (udp_to([53, 40_000], &counted([0x81, 0x80], [0, 2, 0, 0, 0, 0, 0, 0])), [0, 0, 0]),
        (udp_to([53, 40_000], &counted([0x81, 0x80], [0, 1, 0, 9, 0, 0, 0, 0])), [0, 0, 0]),
        (udp_to([53, 40_000], &counted([0x83, 0x80], [0, 1, 0, 9, 0, 0, 0, 0])), [0, 1, 0]),
        (udp_to([40_000, 53], &update(11)), [1, 0, 0]),
        (udp_to([40_000, 53], &update(10)), [0, 0, 0]),
        (udp_to([40_000, 53], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), [0, 0, 0]),
        (udp_to([40_000, 53], &query[..11]), [0, 0, 0]),
        (tcp_to([40_000, 53], &over_tcp(&query)), [1, 0, 0]),
        (tcp_to([53, 40_000], &over_tcp(&nxdomain)), [0, 1, 1]),
        (tcp_to([40_000, 53], &[]), [0, 0, 0]),
        (tcp_to([40_000, 53], &over_tcp(&query)[..13]), [0, 0, 0]),
        (tcp_to([40_000, 53], &[&[0, 11][..], &query].concat()), [0, 0, 0]),
        (tcp_to([40_000, 5353], &over_tcp(&query)), [0, 0, 0]),
        (tcp_to([40_000, 53], &[over_tcp(&query), over_tcp(&query)].concat()), [2, 0, 0]),
        (tcp_to([53, 40_000], &[over_tcp(&answer), over_tcp(&nxdomain)].concat()), [0, 2, 1]),
        (tcp_to([40_000, 53], &[&over_tcp(&query)[..], &[0, 9], &query].concat()), [1, 0, 0]),
        (tcp_to([40_000, 53], &[&over_tcp(&query)[..], &over_tcp(&query)[..13]].concat()), [1, 0, 0]),
        // One that goes on in the next segment counts where it begins.
        (tcp_to([53, 40_000], &[&over_tcp(&answer)[..], &[1, 0], &answer, &[7; 9]].concat()), [0, 2, 0]),
    ] {
        let length = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        if frame[23] == 17 {
            frame[38..40].copy_from_slice(&(length - 20).to_be_bytes());
        }
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        writer.record(Timestamp(START), frame.len() as u32, &frame).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "one.pcap", &writer.finish().unwrap());
        let rows = run(["buckets", "-q", path.to_str().unwrap()]).lines();
        let said = ["dns_queries", "dns_responses", "dns_nxdomain"].map(|name| rows[0][name].as_u64().unwrap());
        assert_eq!(said, expected, "{frame:?}");
    }
}

/// A datagram in fragments is one flow.
#[test]
fn later_fragments_open_no_flow() {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    for part in [0x2000_u16, 1] {
        let mut frame = ethernet(17, [10, 0, 0, 1], [10, 0, 0, 2], &[&[156, 64, 0, 80, 0, 24, 0, 0][..]].concat());
        frame[16..18].copy_from_slice(&28_u16.to_be_bytes());
        frame[20..22].copy_from_slice(&part.to_be_bytes());
        writer.record(Timestamp(START), frame.len() as u32, &frame).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "parts.pcap", &writer.finish().unwrap());
    let row = &run(["buckets", "-q", path.to_str().unwrap()]).lines()[0];
    let said = ["udp", "fragments", "new_udp_flows", "new_other_flows"].map(|name| row[name].as_u64().unwrap());
    assert_eq!(said, [2, 1, 1, 0]);
}

/// A flow is new in the bucket of its earliest packet, though that comes behind others.
#[test]
fn a_flow_is_new_where_it_begins() {
    let at = |ms: i64, packet: Sent| Sent { time: START + ms * MS, ..packet };
    let (syn, answer) = (segment(0, true, SYN, 100, 0, 0), segment(0, false, SYN | ACK, 500, 101, 0));
    let folder = tempfile::tempdir().unwrap();
    let new = |packets: &[Sent], reorder: i64| {
        let capture = file(folder.path(), "a.pcap", &pcap(packets));
        let settings = Settings { widths: vec![100 * MS, SECOND], reorder, ..Settings::default() };
        let text = written(&[capture], settings, 1);
        let place = COLUMNS.iter().position(|column| column.name == "new_tcp_flows").unwrap();
        let mut rows: Vec<Vec<i64>> = text
            .lines()
            .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect::<Vec<i64>>())
            .map(|row| vec![row[1] / MS, (row[0] - START) / MS, row[3 + place]])
            .collect();
        rows.sort();
        rows
    };
    let late = [at(150, answer.clone()), at(90, syn.clone()), at(160, answer.clone())];
    assert_eq!(new(&late, SECOND), [[100, 0, 1], [100, 100, 0], [1000, 0, 1]]);
    // Too late for the narrow bucket, and not for the wide one.
    let later = [at(150, answer.clone()), at(420, answer.clone()), at(430, answer.clone()), at(90, syn.clone())];
    let rows = new(&later, 100 * MS);
    assert_eq!(rows.iter().map(|row| row[2]).sum::<i64>(), 2, "{rows:?}");
    assert!(rows.contains(&vec![100, 100, 1]) && rows.contains(&vec![1000, 0, 1]), "{rows:?}");
    // The SYN of the next flow is captured before the FINs in front of it.
    let fin = |ms, up| at(ms, segment(0, up, FIN | ACK, 200, 600, 0));
    let anew = [at(0, syn.clone()), at(10, answer.clone()), at(300, syn.clone()), fin(200, true), fin(210, false)];
    let rows = new(&anew, SECOND);
    assert!(rows.contains(&vec![100, 300, 1]) && rows.contains(&vec![1000, 0, 2]), "{rows:?}");
    // The first packet of a flow is late for all, or for one width: the flow begins with the first that is not.
    let other = Sent { src: (answer.src.0, 7), ..answer.clone() };
    for (ms, late) in [(-3000, 2), (20, 2)] {
        let packets = [at(150, syn.clone()), at(420, syn.clone()), at(430, syn.clone()), at(ms, other.clone())];
        let packets = [&packets[..], &[at(440, other.clone()), at(450, other.clone())]].concat();
        let rows = new(&packets, 100 * MS);
        let of = |width: i64| rows.iter().filter(|row| row[0] == width).map(|row| row[2]).sum::<i64>();
        assert_eq!((of(100), of(1000)), (late, late), "{ms}: {rows:?}");
    }
}
