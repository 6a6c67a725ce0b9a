//! Folders of versions 3.3 and 5.0, and of 2.0: what they promise for any packets.

use std::path::{Path, PathBuf};

use pcap_compactor::sink::timeline::check::{Findings, check};
use pcap_compactor::sink::timeline::{About, Chunked, FlowList, Folders, Layout, Multires, PART, Several};
use pcap_compactor::views::timeline::correct::Settings;
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::{Correct, Hosts, Machine, Mode, Packet, TimelineSink};
use proptest::prelude::*;
use serde_json::Value;

use super::reference::{about, files};
use super::{ACK, SYN, handshake, hosts, packet};
use crate::properties::cases;

/// Both folders of packets, from one pass.
pub(super) fn write(dir: &Path, packets: &[Packet], hosts: &Hosts, part: u64) -> [PathBuf; 2] {
    let folders = [dir.join("packets"), dir.join("flows")];
    let mut bins = Multires::create(&folders[0], true, about()).unwrap();
    let mut lists = FlowList::create(&folders[1], true, part, true, about()).unwrap();
    let mut sink = Several(vec![&mut bins, &mut lists]);
    let mut machine = Correct::new(Settings::default());
    packets.iter().for_each(|packet| machine.packet(*packet, hosts, &mut sink).unwrap());
    machine.finish(hosts, &mut sink).unwrap();
    sink.finish(hosts).unwrap();
    folders
}

pub(super) fn clean(folder: &Path) -> Findings {
    let findings = check(folder).unwrap();
    assert!(findings.is_clean() && findings.hidden.is_empty(), "{findings:#?}");
    findings
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The names of an object's members that are indented once, as they stand.
fn json_order(text: &str) -> Vec<&str> {
    let members = text.lines().filter_map(|line| line.strip_prefix("  \"")?.split_once("\":"));
    members.map(|(name, _)| name).collect()
}

fn by_name(text: &str) -> Vec<&str> {
    let mut names = json_order(text);
    assert!(names.len() > 1, "{text}");
    names.sort_unstable();
    names
}

#[test]
fn nothing_makes_folders_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folders = write(dir.path(), &[], &Hosts::default(), PART);
    assert_eq!(folders.map(|folder| clean(&folder).format), ["multires_packets", "flow_list_csv"]);
}

#[test]
fn a_gap_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |time| Packet { time, ..packet(&(0, true, SYN, 1, 0, 0)) };
    let last = ((1_i64 << 32) - 1) * 1_000_000;
    let [packets, flows] = write(dir.path(), &[at(0), at(last)], &hosts(), PART);
    clean(&packets);
    clean(&flows);
    let mut bytes = 0;
    for folder in [&packets, &flows] {
        for name in files(folder) {
            bytes += std::fs::metadata(folder.join(name)).unwrap().len();
        }
    }
    assert!(bytes < 40_000, "{bytes}");
    let index = json(&packets.join("resolutions/raw/index.json"));
    assert_eq!(index["chunks"].as_array().unwrap().len(), 2);
    assert_eq!(index["chunks"][1]["index"], 1);
}

#[test]
fn late_packets_are_in_their_bins() {
    let dir = tempfile::tempdir().unwrap();
    let mut packets: Vec<Packet> = (0..400).map(|n| packet(&(n * 777, n % 2 == 0, ACK, n, 0, 1))).collect();
    let in_order = write(&dir.path().join("a"), &packets, &hosts(), PART);
    packets.reverse();
    packets.rotate_left(123);
    let shuffled = write(&dir.path().join("b"), &packets, &hosts(), PART);
    assert_eq!(files(&in_order[0]), files(&shuffled[0]));
    for name in files(&in_order[0]) {
        let [a, b] = [&in_order[0], &shuffled[0]].map(|folder| std::fs::read(folder.join(&name)).unwrap());
        assert!(a == b, "{name}");
    }
}

#[test]
fn many_rows_make_many_files() {
    let dir = tempfile::tempdir().unwrap();
    let packets: Vec<Packet> =
        (0..250_000).map(|n| Packet { time: n * 200, ..packet(&(0, n % 2 == 0, ACK, n, 0, 1)) }).collect();
    let mut sink = Multires::create(&dir.path().join("x"), false, about()).unwrap();
    packets.iter().for_each(|packet| sink.packet(packet, &hosts()).unwrap());
    sink.finish(&hosts()).unwrap();
    clean(&dir.path().join("x"));
    let chunks = |name: &str| json(&dir.path().join(format!("x/resolutions/{name}/index.json")))["chunks"].clone();
    assert_eq!(chunks("raw").as_array().unwrap().len(), 3);
    assert_eq!((chunks("1ms")[0]["count"].clone(), chunks("100ms").as_array().unwrap().len()), (100_000.into(), 1));
}

#[test]
fn the_list_of_a_busy_pair_has_parts_and_names_stay_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut hosts = hosts();
    for name in ["10-0-0-9", "fe80::1", "10.0.0.9/../x"] {
        hosts.number(name);
    }
    let mut packets = Vec::new();
    for n in 0..60_i64 {
        for mut packet in handshake(n * 10, n, n).iter().map(packet) {
            let port = if packet.src == 0 { &mut packet.src_port } else { &mut packet.dst_port };
            *port += n;
            for host in [&mut packet.src, &mut packet.dst] {
                if *host == 0 && n >= 50 {
                    *host = 2 + (n % 3) as u32;
                }
            }
            packets.push(packet);
        }
    }
    let [_, flows] = write(dir.path(), &packets, &hosts, 700);
    clean(&flows);
    let index = json(&flows.join("indices/flow_list/index.json"));
    let pairs = index["pairs"].as_array().unwrap();
    assert_eq!((pairs[0]["part"].clone(), &pairs[0]["file"]), (1.into(), &"10-0-0-10__10-0-0-9_part1.csv".into()));
    assert!(pairs[0]["total_parts"].as_u64().unwrap() > 3);
    let alike = pairs.iter().filter(|entry| entry["pair"] == "10-0-0-9<->10.0.0.10").count();
    assert_eq!((alike, index["total_pairs"].clone()), (1, 4.into()));
    let names: Vec<&str> = pairs.iter().map(|entry| entry["file"].as_str().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains(['/', ':'])), "{names:?}");
}

#[test]
fn a_name_that_would_break_a_row_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut hosts = Hosts::default();
    hosts.number("a,b");
    hosts.number("c");
    let mut sink = Multires::create(&dir.path().join("x"), false, about()).unwrap();
    sink.packet(&packet(&(0, true, SYN, 1, 0, 0)), &hosts).unwrap();
    let error = sink.finish(&hosts).unwrap_err();
    assert!(error.to_string().contains("a,b"), "{error}");
    assert!(!dir.path().join("x").exists());
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn folders_of_any_packets_are_clean(
        rows in prop::collection::vec((0..500_000_i64, 0..64_i64, 0..6_u32, any::<bool>(), prop::sample::select(vec![0, 6, 17])), 0..120)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut hosts = hosts();
        hosts.number("fe80::1");
        let make = |&(time, flags, hosts, up, protocol): &(i64, i64, u32, bool, i64)| Packet {
            src: hosts % 3,
            dst: hosts / 2,
            flags: (flags < 60).then_some(flags),
            protocol: (protocol > 0).then_some(protocol),
            ..packet(&(time, up, flags, time % 977, 0, 0))
        };
        let packets: Vec<Packet> = rows.iter().map(make).collect();
        for folder in write(dir.path(), &packets, &hosts, 300) {
            clean(&folder);
        }
    }
}

/// Version 2.0 of packets, as a mode makes it.
pub(super) fn write_chunks(path: &Path, packets: &[Packet], hosts: &Hosts, mode: Mode) {
    let mut sink = Chunked::create(path, false, 3, About { mode, ..about() }).unwrap();
    let mut machine: Box<dyn Machine> = match mode {
        Mode::Correct => Box::new(Correct::new(Settings::default())),
        Mode::Original => Box::new(Original::new(Options { read_rows: 7, ..Options::default() })),
    };
    packets.iter().for_each(|packet| machine.packet(*packet, hosts, &mut sink).unwrap());
    machine.finish(hosts, &mut sink).unwrap();
    sink.finish(hosts).unwrap();
}

/// Two orders of arrival that the machine puts right make folders that are byte for byte the same; packets.csv of version 2.0 alone keeps
/// the order of arrival.
#[test]
fn folders_are_the_same_in_whichever_order_packets_came() {
    let dir = tempfile::tempdir().unwrap();
    let forth: Vec<Packet> = handshake(0, 100, 500).iter().map(packet).collect();
    let back: Vec<Packet> = forth.iter().rev().copied().collect();
    let made = [("forth", forth), ("back", back)].map(|(name, packets)| {
        let dir = dir.path().join(name);
        let [bins, lists] = write(&dir, &packets, &hosts(), PART);
        write_chunks(&dir.join("chunks"), &packets, &hosts(), Mode::Correct);
        [bins, lists, dir.join("chunks")]
    });
    let mut compared = 0;
    for (a, b) in made[0].iter().zip(&made[1]) {
        assert_eq!(files(a), files(b));
        for name in files(a).iter().filter(|name| *name != "packets.csv") {
            let [a, b] = [a, b].map(|folder| std::fs::read_to_string(folder.join(name)).unwrap());
            assert_eq!(a, b, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

/// What counts hosts and flags has them by name, whichever packet came first; the original has them as they came.
#[test]
fn totals_are_the_same_in_whichever_order_packets_came() {
    let dir = tempfile::tempdir().unwrap();
    let rows = handshake(0, 100, 500);
    let forth: Vec<Packet> = rows.iter().map(packet).collect();
    let back: Vec<Packet> = forth.iter().rev().copied().collect();
    for name in ["ips/ip_stats.json", "ips/flag_stats.json"] {
        let of = |packets: &[Packet], mode: Mode| {
            let folder = dir.path().join(format!("{mode:?}{}", packets[0].time));
            if !folder.exists() {
                write_chunks(&folder, packets, &hosts(), mode);
            }
            std::fs::read_to_string(folder.join(name)).unwrap()
        };
        assert_eq!(of(&forth, Mode::Correct), of(&back, Mode::Correct));
        assert_eq!(json_order(&of(&forth, Mode::Correct)), by_name(&of(&forth, Mode::Correct)), "{name}");
        assert_ne!(json_order(&of(&forth, Mode::Original)), by_name(&of(&forth, Mode::Original)), "{name}");
    }
}

/// Errors name places as the user did, in every layout: what has a temporary name is gone when they are read.
#[test]
fn an_error_names_a_file_of_a_version_where_it_was_to_be() {
    for (layout, expected) in [(Layout::Chunked, "out/packets.csv"), (Layout::All, "out/v2.0/packets.csv")] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("out");
        let mut sink = Folders::create(&place, false, layout, 3, &about()).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let under_way = entry.unwrap().path();
            std::fs::remove_dir_all(&under_way).unwrap();
            std::fs::write(under_way, "").unwrap();
        }
        let said = sink.packet(&packet(&handshake(0, 1, 2)[0]), &hosts()).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{}: cannot create: ", dir.path().join(expected).display())), "{said}");
    }
}

proptest! {
    #![proptest_config(cases(64))]

    /// Of any packets, those without flags, ports or names among them, in any order.
    #[test]
    fn chunks_of_any_packets_are_clean_in_both_modes(
        rows in prop::collection::vec((0..500_000_i64, 0..64_i64, 0..8_u32, any::<bool>(), 0..30_i64), 0..60)
    ) {
        let mut hosts = hosts();
        hosts.number("fe80::1");
        hosts.number("");
        let make = |&(time, flags, hosts, up, other): &(i64, i64, u32, bool, i64)| {
            let usual = packet(&(time, up, flags, time % 977, 0, 0));
            Packet {
                src: hosts % 4,
                dst: hosts / 2,
                flags: (flags < 60).then_some(flags),
                protocol: [None, Some(17), Some(1)].get(usize::try_from(other).unwrap()).copied().unwrap_or(Some(6)),
                src_port: if other == 4 { 0 } else { usual.src_port },
                ..usual
            }
        };
        let packets: Vec<Packet> = rows.iter().map(make).collect();
        for mode in [Mode::Correct, Mode::Original] {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("x");
            write_chunks(&folder, &packets, &hosts, mode);
            let findings = check(&folder).unwrap();
            prop_assert!(findings.is_clean(), "{mode:?} {findings:#?}");
            let in_order = packets.is_sorted_by_key(|packet| packet.time);
            prop_assert_eq!(findings.notes.is_empty(), in_order);
        }
    }
}
