//! What the corrected dialect of CICFlowMeter says of ends that are one host, and of headers that are not there.

use std::net::{IpAddr, Ipv4Addr};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::flows::dialects::cic::{Preset, dialect};

use crate::cic::{Row, cell, ms, rows, written};
use crate::flows::{frame, segment, udp};
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::file;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ETHERNET: usize = 14;
const HEADERS: usize = ETHERNET + 20;

/// The rows of frames that were captured a millisecond apart, as long as is said.
fn of(preset: Preset, frames: &[(Vec<u8>, u32)]) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    for ((bytes, wire), n) in frames.iter().zip(0..) {
        writer.record(Timestamp(ms(n)), *wire, bytes).unwrap();
    }
    let path = file(folder.path(), "a.pcap", &writer.finish().unwrap());
    rows(&written(&[path], &dialect(preset, preset.switches()), 1))
}

fn whole(bytes: Vec<u8>) -> (Vec<u8>, u32) {
    let wire = bytes.len() as u32;
    (bytes, wire)
}

/// The same as a later fragment.
fn later((mut bytes, wire): (Vec<u8>, u32)) -> (Vec<u8>, u32) {
    bytes[ETHERNET + 7] = 2;
    (bytes, wire)
}

/// Segments with these flags, up or down, between two ports of one host.
fn alone(server: u16, segments: &[(bool, u8)]) -> Vec<(Vec<u8>, u32)> {
    let ends = |up| if up { [(HOST, 40_000), (HOST, server)] } else { [(HOST, server), (HOST, 40_000)] };
    let sent = |&(up, flags)| {
        let [src, dst] = ends(up);
        whole(frame(&Sent { src, dst, ..segment(0, up, flags, 0, 0, 0) }))
    };
    segments.iter().map(sent).collect()
}

fn cells<const N: usize>(rows: &[Row], names: [&str; N]) -> Vec<[String; N]> {
    rows.iter().map(|row| names.map(|name| cell(row, name).to_owned())).collect()
}

const PACKETS: [&str; 2] = ["Total Fwd Packet", "Total Bwd packets"];

#[test]
fn ports_tell_the_ends_of_one_host_apart_where_they_are_compared() {
    let connection = [(true, SYN), (false, SYN | ACK), (true, ACK), (true, FIN | ACK), (false, FIN | ACK), (true, ACK)];
    let twice = [connection, connection].concat();
    assert_eq!(cells(&of(Preset::Corrected, &alone(80, &twice)), PACKETS), [["4", "2"], ["4", "2"]]);
    // By addresses alone nothing comes back: no server closes.
    assert_eq!(cells(&of(Preset::Engelen, &alone(80, &twice)), PACKETS), [["12", "0"]]);
    assert_eq!(cells(&of(Preset::Corrected, &alone(40_000, &twice)), PACKETS), [["12", "0"]]);
}

#[test]
fn what_an_end_sends_to_itself_is_forward_though_it_begins_with_an_answer() {
    let answered = [(false, SYN | ACK), (true, ACK), (true, FIN | ACK)];
    assert_eq!(cells(&of(Preset::Corrected, &alone(40_000, &answered)), PACKETS), [["3", "0"]]);
    assert_eq!(cells(&of(Preset::Corrected, &alone(80, &answered)), PACKETS), [["2", "1"]]);
}

#[test]
fn later_fragments_have_no_header_whatever_their_length() {
    const NAMES: [&str; 2] = ["Fwd Header Length", "Total Length of Fwd Packet"];
    let of = |frame| cells(&of(Preset::Corrected, &[frame]), NAMES);
    let empty = || whole(frame(&Sent { payload: 0, ..udp(0, 1) }));
    assert_eq!([of(empty()), of(later(empty()))], [[["8", "0.0"]], [["0", "0.0"]]]);
    // The model has no header of SCTP: twelve bytes are that alone.
    let sctp = |payload| whole(frame(&Sent { protocol: 132, payload, ..udp(0, 1) }));
    let [bare, full, cut, fragment] = [of(sctp(12)), of(sctp(20)), of(sctp(8)), of(later(sctp(12)))];
    assert_eq!([bare, full, cut, fragment], [[["12", "0.0"]], [["12", "8.0"]], [["0", "0.0"]], [["0", "0.0"]]]);
}

#[test]
fn the_least_header_is_of_packets_that_have_one() {
    const NAMES: [&str; 3] = ["Total Fwd Packet", "Fwd Header Length", "Fwd Seg Size Min"];
    let good = || whole(frame(&segment(0, true, ACK, 0, 0, 7)));
    let (mut short, wire) = good();
    let cut = (short[..HEADERS + 8].to_vec(), wire);
    short[HEADERS + 12] = 0x40;
    for bad in [cut, (short, wire)] {
        assert_eq!(cells(&of(Preset::Corrected, &[good(), bad.clone()]), NAMES), [["2", "20", "20"]]);
        assert_eq!(cells(&of(Preset::Corrected, &[bad]), NAMES), [["1", "0", "0"]]);
    }
}
