//! What the corrected dialect of CICFlowMeter says of ends that are one host.

use std::net::{IpAddr, Ipv4Addr};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::flows::dialects::cic::{Preset, dialect};

use crate::cic::{Row, cell, ms, rows, written};
use crate::flows::{frame, segment};
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::file;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
