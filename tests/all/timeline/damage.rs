//! That a check of a folder finds damage, and takes for none what is none.

use std::path::{Path, PathBuf};

use pcap_compactor::sink::timeline::check::check;
use pcap_compactor::sink::timeline::{About, FlowList, PART};
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::{Machine, Mode, Packet, TimelineSink};
use serde_json::Value;

use super::folders::{clean, write, write_chunks};
use super::reference::about;
use super::{ACK, FIN, Row, SYN, handshake, hosts, packet};

fn edit(path: &Path, from: &str, to: &str) {
    edit_behind(path, "", from, to);
}

/// Changes the first that stands behind something.
fn edit_behind(path: &Path, behind: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) = text.split_at(text.rfind(behind).filter(|_| !behind.is_empty()).unwrap_or(0));
    assert!(rest.contains(from), "{from} in {rest}");
    std::fs::write(path, head.to_owned() + &rest.replacen(from, to, 1)).unwrap();
}

#[test]
fn each_kind_of_damage_is_found() {
    let mut rows = handshake(0, 100, 500);
    rows.extend([
        (3, true, FIN | ACK, 101, 501, 0),
        (4, false, FIN | ACK, 501, 102, 0),
        (5000, true, ACK, 102, 502, 0),
    ]);
    let packets: Vec<Packet> = rows.iter().map(packet).collect();
    let list = "indices/flow_list/10-0-0-10__10-0-0-9.csv";
    // Folder, file, what stands there, what stands there then, and what is said.
    let damages = [
        (0, "manifest.json", "\"total_packets\": 6", "\"total_packets\": 7", "total_packets"),
        (0, "manifest.json", "\"duration\": 5", "\"duration\": 6", "duration"),
        (0, "manifest.json", "\"version\": \"3.3\"", "\"version\": \"3.2\"", "are known"),
        (0, "manifest.json", "{", "[", "manifest.json"),
        (0, "manifest.json", "\"hours\": {", "\"days\": {", "hours is missing"),
        (0, "manifest.json", "\"unique_ips\": 2", "\"unique_ips\": \"2\"", "no whole number"),
        (0, "resolutions/hours/data.csv", ",FIN+ACK", ",ACK", "no row for 1 packets"),
        (0, "resolutions/10s/data.csv", ",1,54,SYN+ACK", ",1,55,SYN+ACK", "bytes"),
        (0, "resolutions/10s/data.csv", ",1,54,SYN+ACK", ",2,54,SYN+ACK", "2 packets of 54 bytes"),
        (0, "resolutions/1ms/chunk_000000.csv", ",bin_end", "", "first line"),
        (0, "resolutions/1ms/chunk_000000.csv", "000001000,1700000000001000", "000001000,1700000000000000", "no bin"),
        (0, "resolutions/seconds/index.json", "\"total_count\": ", "\"total_count\": 1", "total_count"),
        (0, "resolutions/raw/index.json", "\"count\": 6", "\"count\": 5", "count of chunk"),
        (0, "resolutions/raw/index.json", "\"index\": 0", "\"index\": 1", "index of chunk"),
        (0, "resolutions/raw/index.json", "\"file\": \"", "\"file\": \"../../", "leads out"),
        (0, "resolutions/raw/chunk_000000.csv", ",2,SYN,", ",16,SYN,", "are not SYN"),
        (0, "resolutions/raw/chunk_000000.csv", "\n1700000000001000", "\n1800000000001000", "earlier than"),
        (0, "resolutions/raw/chunk_000000.csv", ",54\n", "\n", "cells"),
        (0, "resolutions/raw/chunk_000000.csv", ",40000,80,", ",-1,80,", "-1 is no port"),
        (0, "resolutions/raw/chunk_000000.csv", ",40000,80,", ",40000,65536,", "65536 is no port"),
        (0, "resolutions/raw/chunk_000000.csv", ",2,SYN,", ",2,INVALID,", "flags 2 are not INVALID"),
        (1, "manifest.json", "\"total_flows\": 1", "\"total_flows\": 2", "total_flows"),
        (1, "manifest.json", "\"total_ip_pairs\": 1", "\"total_ip_pairs\": 3", "pairs"),
        (1, list, ",1,\"0:", ",2,\"0:", "of graceful, and by its list none"),
        (1, list, ",1,\"0:", ",12,\"0:", "close_type"),
        (1, list, ",1000:", ",10:", "size of"),
        (1, list, ":18:1:500:", ":18:7:500:", "goes nowhere"),
        (1, list, ":16:0:101", ":16:x:101", "goes nowhere"),
        (1, list, ":18:1:500:", ":4096:1:500:", "no TCP packet has these flags"),
        (1, list, ":18:1:500:", ":-2:1:500:", "no TCP packet has these flags"),
        (1, list, ":18:1:500:", ":2:1:500:", "flag_stats.json: SYN is 1, and lists have 2"),
        (1, list, ":18:1:500:", ":18:0:500:", "10.0.0.10: sent_packets is 2, and lists have 1"),
        (1, list, ",40000,80,", ",40000,-80,", "-80 is no port"),
        (1, list, ",40000,80,1,", ",40000,80\n", "fewer than five cells"),
        (1, "ips/ip_stats.json", "\"sent_packets\": 4", "\"sent_packets\": 5", "the sum of sent_packets"),
        (1, "ips/ip_stats.json", "\"sent_bytes\": ", "\"sent_bytes\": 9", "the sum of sent_bytes"),
        (1, "ips/ip_stats.json", "\"last_ts\": ", "\"last_ts\": 9", "outside the time"),
        (1, "indices/flow_list/index.json", "\"count\": 1", "\"count\": 2", "count of"),
        (1, "indices/flow_list/index.json", "10.0.0.10<->10.0.0.9", "10.0.0.9<->10.0.0.10", "not in order"),
        (1, "indices/flow_list/index.json", "__10-0-0-9.csv", "__10-0-0-8.csv", "No such file"),
        (1, "ips/flag_stats.json", "\"SYN\": 1", "\"SYN\": 1, \"RST\": 0", "RST is 0, and no packet has these flags"),
        (0, "manifest.json", "\"created\": \"2026-11-20T", "\"created\": \"2026-13-20T", "no time such as"),
        (1, "manifest.json", "\"created\": \"2026", "\"created\": \"yesterday", "no time such as"),
        (1, "indices/flow_bins_index.json", "\"hour\"", "\"hours\"", "hour is missing"),
        (1, "indices/flow_bins_index.json", "\"bins_with_data\": 1", "\"bins_with_data\": 2", "bins_with_data"),
        (1, "indices/flow_bins_1s.json", "\"graceful\":1,\"ab", "\"graceful\":2,\"ab", "were begun"),
        (1, "indices/flow_bins_1min.json", "\"start\":1700000000000000", "\"start\":1700000000000001", "not where"),
        (1, "indices/flow_bins_10s.json", "[[1700000000", "[[1600000000", "from 1600000000"),
        (1, "ips/flag_stats.json", "\"SYN\": 1", "\"SYN\": 2", "its sum"),
        (1, "ips/unique_ips.json", "10.0.0.10", "10.0.0.99", "it has not 10.0.0.10"),
        (1, "indices/bins.json", "\"count\": 5", "\"count\": 50", "packets, of"),
    ];
    for (folder, file, from, to, said) in damages {
        let dir = tempfile::tempdir().unwrap();
        let folder = &write(dir.path(), &packets, &hosts(), PART)[folder];
        clean(folder);
        let (from, to) = (from.replace("[[", "["), to.replace("[[", "["));
        edit(&folder.join(file), &from, &to);
        let findings = check(folder).unwrap();
        assert!(findings.problems.iter().any(|problem| problem.contains(said)), "{file} {to}: {findings:#?}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(check(dir.path()).is_err(), "no manifest");
    let nanoseconds: Vec<Packet> =
        packets.iter().map(|packet| Packet { time: packet.time * 1000, ..*packet }).collect();
    for folder in write(dir.path(), &nanoseconds, &hosts(), PART) {
        assert!(check(&folder).unwrap().problems[0].contains("2^53"));
    }
}

/// What stands in a chunk behind `packets`.
const PACKET: &str = "packets of a chunk";

/// A folder of version 2.0 by hand: a handshake.
fn chunked(dir: &Path) {
    let time = super::START;
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    };
    let rows = [("a,b,9,80,2,SYN,1,0,60", 0), ("b,a,80,9,18,SYN+ACK,5,2,60", 1), ("a,b,9,80,16,ACK,2,6,54", 2)];
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,seq_num,ack_num,length,protocol\n";
    let lines: String = rows.iter().map(|(row, after)| format!("{},{row},6\n", time + after)).collect();
    write("packets.csv", &(header.to_owned() + &lines));
    let packet = |(row, after): &(&str, i64)| {
        let mut packet = serde_json::json!({"timestamp": time + after});
        for (name, cell) in header.trim_end().split(',').skip(1).zip(row.split(',').chain(["6"])) {
            packet[name] = cell.parse::<i64>().map_or(cell.into(), Value::from);
        }
        packet
    };
    let packets: Vec<Value> = rows.iter().map(packet).collect();
    let name = ["syn", "syn_ack", "ack"];
    let described = ["Connection Request", "Connection Acceptance", "Connection Established"];
    let step = |n: usize| serde_json::json!({"packet": packets[n], "phase": name[n], "description": described[n]});
    let mut flow = serde_json::json!({
        "id": "flow_000001", "key": "a:9-b:80", "initiator": "a", "responder": "b", "initiatorPort": 9, "responderPort": 80,
        "state": "ongoing", "closeType": "open", "startTime": time, "endTime": time + 2, "totalPackets": 3, "totalBytes": 174,
        "establishmentComplete": true, "dataTransferStarted": false, "closingStarted": false, "invalidReason": null,
        "ongoing": true,
    });
    let mut entry = flow.clone();
    flow["phases"] =
        serde_json::json!({"establishment": [step(0), step(1), step(2)], "dataTransfer": [], "closing": []});
    flow["packets"] = packets.clone().into();
    (flow["synPacket"], flow["synAckPacket"]) = (packets[0].clone(), packets[1].clone());
    (flow["expectedAckNum"], flow["expectedSeqNum"]) = (2.into(), 6.into());
    for (name, value) in
        [("establishment_packets", 3), ("data_transfer_packets", 0), ("closing_packets", 0), ("chunk_index", 0)]
    {
        entry[name] = value.into();
    }
    entry["chunk_file"] = "chunk_00000.json".into();
    write("flows/chunk_00000.json", &Value::from(vec![flow]).to_string());
    write("flows/flows_index.json", &Value::from(vec![entry]).to_string());
    write("ips/unique_ips.json", "[\"a\",\"b\"]");
    write("ips/flag_stats.json", "{\"SYN\":1,\"SYN+ACK\":1,\"ACK\":1}");
    let stats = serde_json::json!({
        "a": {"sent_packets": 2, "recv_packets": 1, "sent_bytes": 114, "recv_bytes": 60, "first_ts": time, "last_ts": time + 2},
        "b": {"sent_packets": 1, "recv_packets": 2, "sent_bytes": 60, "recv_bytes": 114, "first_ts": time, "last_ts": time + 2},
    });
    write("ips/ip_stats.json", &stats.to_string());
    // Beyond 2^50 the original's numbers are multiples of a quarter.
    let edge = |n: i64| (time as f64 + n as f64 * 0.02) as i64;
    let count = |n: i64| i64::from([6, 56, 99].contains(&n));
    let bin = |n: i64| serde_json::json!({"bin": n, "start": edge(n), "end": edge(n + 1), "count": count(n)});
    write("indices/bins.json", &Value::from((0..100).map(bin).collect::<Vec<_>>()).to_string());
    let manifest = serde_json::json!({
        "version": "2.0", "format": "chunked", "total_packets": 3, "tcp_packets": 3, "unique_ips": 2, "total_flows": 1,
        "flows_per_chunk": 200, "total_chunks": 1, "time_range": {"start": time, "end": time + 2, "duration": 2},
        "structure": {
            "packets": "packets.csv", "flows_index": "flows/flows_index.json", "flow_chunks": "flows/chunk_*.json",
            "time_bins": "indices/bins.json", "ip_stats": "ips/ip_stats.json", "flag_stats": "ips/flag_stats.json",
            "unique_ips": "ips/unique_ips.json",
        },
    });
    write("manifest.json", &manifest.to_string());
}

#[test]
fn each_kind_of_damage_to_chunks_is_found() {
    let (index, chunk) = ("flows/flows_index.json", "flows/chunk_00000.json");
    let damages = [
        ("manifest.json", "\"total_packets\":3", "\"total_packets\":4", "total_packets"),
        ("manifest.json", "\"tcp_packets\":3", "\"tcp_packets\":4", "tcp_packets"),
        ("manifest.json", "\"total_flows\":1", "\"total_flows\":\"1\"", "no whole number"),
        ("manifest.json", "\"total_chunks\":1", "\"total_chunks\":2", "total_chunks"),
        ("manifest.json", "\"flows_per_chunk\":200", "\"flows_per_chunk\":0", "flows_per_chunk"),
        ("manifest.json", "\"duration\":2", "\"duration\":3", "duration"),
        ("packets.csv", ",2,SYN,", ",0x02,SYN,", "no whole number"),
        ("packets.csv", ",16,ACK,", ",24,ACK,", "are not ACK"),
        ("packets.csv", "a,b", "\"a\",b", "quotes"),
        ("packets.csv", ",9,80", ",9", "cells"),
        ("packets.csv", ",src_port,", ",port,", "no column src_port"),
        ("packets.csv", "a,b,9,", "a,b,99999,", "99999 is no port"),
        ("packets.csv", ",18,SYN+ACK,", ",18,ACK+SYN,", "flags 18 are not ACK+SYN"),
        ("packets.csv", ",18,SYN+ACK,", ",18,INVALID,", "flags 18 are not INVALID"),
        // Each of what a packet is known by, and a packet too many, and one of nobody.
        ("packets.csv", "0001,b,a", "0002,b,a", "flows list other packets"),
        ("packets.csv", ",16,ACK,", ",18,SYN+ACK,", "flows list other packets"),
        ("packets.csv", ",2,6,54", ",3,6,54", "flows list other packets"),
        ("packets.csv", ",2,6,54", ",2,6,55", "flows list other packets"),
        ("packets.csv", "a,b,9,80,2,", "a,b,9,81,2,", "line 2, a:9-b:81: no flow is of the ends"),
        (
            "packets.csv",
            "ack_num,length,protocol\n",
            "ack_num,length,protocol\n1700000000000000,a,b,9,80,4,RST,1,0,60,6\n",
            "it has 4 packets of these ends, and flows have 3",
        ),
        ("ips/unique_ips.json", "\"a\",", "", "unique_ips"),
        ("ips/ip_stats.json", "\"sent_bytes\":114", "\"sent_bytes\":115", "ip_stats"),
        ("ips/flag_stats.json", "\"ACK\":1", "\"ACK\":2", "flag_stats"),
        ("ips/flag_stats.json", "\"ACK\":1", "\"ACK\":1,\"RST\":0", "RST is 0, and no packet has these flags"),
        ("indices/bins.json", "\"count\":1", "\"count\":2", "packets, of"),
        (index, "\"chunk_index\":0", "\"chunk_index\":1", "does not know flow 0"),
        (index, "chunk_00000", "chunk_00001", "No such file"),
        (index, "chunk_00000", "../chunk_00000", "leads out"),
        (index, "\"state\":\"ongoing\"", "\"state\":\"odd\"", "state is"),
        (index, "\"closeType\":\"open\"", "\"closeType\":\"odd\"", "closeType is"),
        (index, "\"ongoing\":true", "\"ongoing\":1", "ongoing is 1"),
        (index, "\"totalBytes\":174", "\"totalBytes\":null", "totalBytes is null"),
        (index, "\"startTime\":", "\"startTime\":9", "ends before it starts"),
        (index, "\"startTime\":", "\"start\":", "the overview leaves"),
        (index, "\"establishment_packets\":3", "\"establishment_packets\":2", "are of establishment"),
        (chunk, "\"initiatorPort\":9", "\"initiatorPort\":8", "initiatorPort is"),
        (chunk, "\"dataTransfer\":[]", "\"dataTransfer\":{}", "expected an array"),
        (chunk, "\"totalBytes\":174", "\"totalBytes\":175", "totalBytes"),
        (chunk, "\"totalPackets\":3", "\"totalPackets\":4", "totalPackets is 4, and 3 in the index"),
        (chunk, "[{", "[", "chunk_00000"),
        (chunk, "\"phase\":\"syn\"", "\"phase\":\"sin\"", "a step of establishment is \"sin\""),
        (chunk, "\"ack_num\":6", "\"ack_num\":7", "not among packets"),
        (chunk, "\"flag_type\":\"SYN+ACK\"", "\"flag_type\":\"ACK+SYN\"", "are not ACK+SYN"),
        (PACKET, "\"flag_type\":\"SYN+ACK\"", "\"flag_type\":\"ACK+SYN\"", "flags 18 are not ACK+SYN"),
        (PACKET, "\"src_port\":9", "\"src_port\":8", "is not between the ends of"),
        (PACKET, "\"src_port\":9", "\"src_port\":\"9\"", "packet 0: src_port is \"9\""),
        (PACKET, "\"seq_num\":5", "\"seq_num\":4", "flows list other packets"),
        (PACKET, "\"protocol\":6", "\"protocol\":17", "packet 0: it is not TCP"),
    ];
    for (file, from, to, said) in damages {
        let dir = tempfile::tempdir().unwrap();
        chunked(dir.path());
        clean(dir.path());
        match file {
            PACKET => edit_behind(&dir.path().join(chunk), "\"packets\":[", from, to),
            _ => edit(&dir.path().join(file), from, to),
        }
        let findings = check(dir.path()).unwrap();
        assert!(findings.problems.iter().any(|problem| problem.contains(said)), "{file} {to}: {findings:#?}");
    }
    let dir = tempfile::tempdir().unwrap();
    chunked(dir.path());
    // Both ends changed alike.
    for file in [index, chunk] {
        edit(&dir.path().join(file), "\"initiator\":\"a\"", "\"initiator\":\"c\"");
    }
    let problems = check(dir.path()).unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("are not the ends of a:9-b:80")), "{problems:?}");
    let dir = tempfile::tempdir().unwrap();
    chunked(dir.path());
    for file in [index, chunk] {
        edit(&dir.path().join(file), "\"initiator\":\"a\"", "\"initiator\":null");
    }
    let findings = check(dir.path()).unwrap();
    assert!(findings.hidden[0].starts_with("1 flows of which nobody knows"), "{findings:#?}");
    let [problem] = &findings.problems[..] else { panic!("{findings:#?}") };
    assert!(problem.contains("initiator is null, and by its packets \"a\""), "its SYN tells: {problem}");
}

/// Two folders, of versions 2.0 and 5.0, of a flow that the original breaks off at its third packet, of five, and of a datagram behind it.
fn broken_off(dir: &Path) -> [PathBuf; 2] {
    let mut rows = handshake(0, 100, 500);
    rows[2].4 = 999;
    rows.extend([(5, false, ACK, 501, 101, 7), (9, true, ACK, 101, 508, 8)]);
    let mut packets: Vec<Packet> = rows.iter().map(packet).collect();
    packets.push(Packet { protocol: Some(17), flags: None, ..packet(&(20, true, 0, 0, 0, 1)) });
    let [chunks, lists] = ["chunks", "lists"].map(|name| dir.join(name));
    write_chunks(&chunks, &packets, &hosts(), Mode::Original);
    let mut sink = FlowList::create(&lists, true, PART, true, About { mode: Mode::Original, ..about() }).unwrap();
    let mut machine = Original::new(Options::default());
    packets.iter().for_each(|packet| machine.packet(*packet, &hosts(), &mut sink).unwrap());
    machine.finish(&hosts(), &mut sink).unwrap();
    sink.finish(&hosts()).unwrap();
    [chunks, lists]
}

/// Of packets that a flow counts and does not list there is the table to hold it against.
#[test]
fn what_a_flow_says_of_unlisted_packets_is_held_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let [chunks, lists] = broken_off(dir.path());
    [&chunks, &lists].into_iter().for_each(|folder| is_clean(folder));
    let files = ["flows/flows_index.json", "flows/chunk_00000.json"].map(|name| chunks.join(name));
    let flow: Value = serde_json::from_slice(&std::fs::read(&files[1]).unwrap()).unwrap();
    let (flow, listed) = (&flow[0], flow[0]["packets"].as_array().unwrap());
    assert!(listed.len() == 3 && flow["totalPackets"] == 5, "{flow}");
    let number = |value: &Value| value.as_i64().unwrap();
    let (start, end, bytes) = (number(&flow["startTime"]), number(&flow["endTime"]), number(&flow["totalBytes"]));
    let of_listed = listed.iter().map(|packet| number(&packet["length"])).sum::<i64>();
    for (name, from, to, said) in [
        ("startTime", start, start + 1, "startTime is "),
        ("startTime", start, start - 1_000_000, "startTime is "),
        // Behind the datagram, which is the last packet of all, and before the last that is listed.
        ("endTime", end, end + 11_001, "endTime is "),
        ("endTime", end, end + 1_000_000_000_000_000, "endTime is "),
        ("endTime", end, start + 1999, "endTime is "),
        ("totalBytes", bytes, bytes + 1_000_000, "1000000 more than it has"),
        ("totalBytes", bytes, bytes - 1, "1 fewer than it has"),
        ("totalBytes", bytes, of_listed - 1, "the packets that it lists alone have"),
        ("totalBytes", bytes, -500, "the packets that it lists alone have"),
    ] {
        let [from, to] = [from, to].map(|n| format!("\"{name}\": {n}"));
        files.iter().for_each(|file| edit(file, &from, &to));
        let problems = check(&chunks).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(said)), "{name} {to}: {problems:#?}");
        files.iter().for_each(|file| edit(file, &to, &from));
    }
    is_clean(&chunks);
    let bins = lists.join("indices/flow_bins_1s.json");
    let range = |end: i64| format!("\"invalid_ack\":[{start},{end}]");
    for (to, said) in [
        (end + 11_001, "and the last packet is of"),
        (end + 1_000_000_000, "and the last packet is of"),
        (start + 1999, "of invalid_ack, and by its list"),
    ] {
        edit(&bins, &range(end), &range(to));
        let problems = check(&lists).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(said)), "{to}: {problems:#?}");
        edit(&bins, &range(to), &range(end));
    }
    is_clean(&lists);
}

fn is_clean(folder: &Path) {
    let findings = check(folder).unwrap();
    assert!(findings.is_clean(), "{findings:#?}");
}

/// The original lists TCP packets of which it could not read the flags, and has 0 for these.
#[test]
fn lists_of_packets_without_flags_are_clean() {
    let without = |n: i64, flags: Option<i64>| Packet { flags, ..packet(&(n, n % 2 == 0, 0, n, 0, 1)) };
    for flags in [[None; 4], [None, Some(0), Some(ACK), None]] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x");
        let mut sink = FlowList::create(&folder, true, PART, true, About { mode: Mode::Original, ..about() }).unwrap();
        let mut machine = Original::new(Options { read_rows: 7, ..Options::default() });
        for (n, flags) in (0..).zip(flags) {
            machine.packet(without(n, flags), &hosts(), &mut sink).unwrap();
        }
        machine.finish(&hosts(), &mut sink).unwrap();
        sink.finish(&hosts()).unwrap();
        let findings = check(&folder).unwrap();
        assert!(findings.is_clean() && findings.notes.is_empty(), "{findings:#?}");
        edit(&folder.join("ips/flag_stats.json"), "\"INVALID\"", "\"SYN\"");
        let problems = check(&folder).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains("NONE is ")), "{problems:#?}");
    }
}

#[test]
fn whole_numbers_are_such_however_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    chunked(dir.path());
    for file in ["flows/flows_index.json", "flows/chunk_00000.json"] {
        edit(&dir.path().join(file), "\"totalPackets\":3", "\"totalPackets\":3e0");
    }
    edit(&dir.path().join("flows/flows_index.json"), "\"totalBytes\":174", "\"totalBytes\":1.74E+2");
    edit(&dir.path().join("flows/chunk_00000.json"), "\"src_port\":9", "\"src_port\":9.0");
    edit(&dir.path().join("manifest.json"), "\"duration\":2", "\"duration\":2.0");
    edit(&dir.path().join("ips/flag_stats.json"), "\"ACK\":1", "\"ACK\":1.0");
    edit(&dir.path().join("ips/ip_stats.json"), "\"sent_bytes\":114", "\"sent_bytes\":114.0");
    edit(&dir.path().join("indices/bins.json"), "\"count\":1", "\"count\":1.0");
    clean(dir.path());
    edit(&dir.path().join("manifest.json"), "\"duration\":2.0", "\"duration\":2.5");
    let problems = check(dir.path()).unwrap().problems;
    assert!(problems[0].contains("duration is 2.5, and no whole number"), "{problems:#?}");
}

/// What is null where there is none may as well be missing, but is told.
#[test]
fn what_is_missing_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    chunked(dir.path());
    edit(&dir.path().join("flows/chunk_00000.json"), "\"invalidReason\":null,", "");
    let notes = clean(dir.path()).notes;
    let chunk = "flows/chunk_00000.json: \"flow_000001\": ";
    for said in [
        format!("{chunk}invalidReason is missing"),
        format!("{chunk}invalidPacket is missing"),
        "manifest.json: created is missing".into(),
        "manifest.json: source_files is missing".into(),
        "manifest.json: attack_context is missing".into(),
        "manifest.json: filter_applied is missing".into(),
    ] {
        assert!(notes.iter().any(|note| note.starts_with(&said)), "{said}: {notes:#?}");
    }
}

/// Where all rows of a flow are gone, it is named by its ends.
#[test]
fn a_flow_without_rows_is_named() {
    let dir = tempfile::tempdir().unwrap();
    chunked(dir.path());
    let path = dir.path().join("packets.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    let problems = check(dir.path()).unwrap().problems;
    let said = "packets.csv: a:9-b:80: it has no packets of these ends, and flows have 3";
    assert!(problems.iter().any(|problem| problem.starts_with(said)), "{problems:#?}");
}

/// Packets behind a bad handshake, which the original counts only, are no problem, but any other that is missing is.
#[test]
fn what_the_original_does_not_list_is_told() {
    let rows =
        [(0, true, SYN, 1, 0, 0), (1, false, SYN | ACK, 5, 9, 0), (2, true, ACK, 2, 6, 0), (3, true, ACK, 2, 6, 0)];
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("x");
    write_chunks(&folder, &rows.map(|row| packet(&row)), &hosts(), Mode::Original);
    let findings = check(&folder).unwrap();
    assert!(findings.is_clean(), "{findings:#?}");
    let hidden = "2 packets behind a bad handshake, which flows count and do not list";
    assert!(findings.hidden.iter().any(|told| told == hidden), "{findings:#?}");
    for file in ["flows/chunk_00000.json", "flows/flows_index.json"] {
        edit(&folder.join(file), "\"totalPackets\": 4", "\"totalPackets\": 5");
    }
    let problems = check(&folder).unwrap().problems;
    let said = "packets.csv: line 2, 10.0.0.10:80-10.0.0.9:40000: it has 4 packets of these ends, and flows have 5";
    assert!(problems.len() == 1 && problems[0].starts_with(said), "{problems:?}");
}

/// Where all packets without flags stand behind bad handshakes, flows count them and list none. Those without a port are in no flow.
#[test]
fn a_kind_of_packets_that_flows_only_count_is_no_problem() {
    let bad =
        [(0, true, SYN, 1, 0, 0), (1, false, SYN | ACK, 5, 2, 0), (2, true, ACK, 9, 1, 0)].map(|row| packet(&row));
    let cut = Packet { flags: None, ..packet(&(3, false, 0, 0, 0, 0)) };
    let elsewhere = Packet { src_port: 7, dst_port: 8, ..cut };
    let apart = Packet { src_port: 0, ..packet(&(4, true, SYN, 7, 0, 0)) };
    let said = "packets.csv: line 2, 10.0.0.10:80-10.0.0.9:40000: it has ";
    for (more, of_flow) in [
        (&[cut][..], 4),
        (&[cut, apart], 4),
        (&[cut, cut, apart], 5),
        (&[apart, packet(&(5, true, ACK, 2, 6, 0))], 4),
        (&[elsewhere, cut], 4),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x");
        write_chunks(&folder, &[&bad, more].concat(), &hosts(), Mode::Original);
        assert_eq!(check(&folder).unwrap().problems, [""; 0], "{more:?}");
        let [counts, falsely] = [of_flow, of_flow + 1].map(|n| format!("\"totalPackets\": {n}"));
        for file in ["flows/chunk_00000.json", "flows/flows_index.json"] {
            edit(&folder.join(file), &counts, &falsely);
        }
        let problems = check(&folder).unwrap().problems;
        let said = format!("{said}{of_flow} packets of these ends, and flows have {}", of_flow + 1);
        assert!(problems.iter().any(|problem| problem.starts_with(&said)), "{more:?}: {problems:?}");
    }
}

/// A step is of a packet of its own, and steps are in the order of their packets.
#[test]
fn a_step_that_is_listed_twice_or_too_late_is_found() {
    let mut rows = handshake(0, 100, 500);
    rows.extend([
        (3, true, ACK, 101, 501, 10),
        (3, true, ACK, 111, 501, 10),
        (4, false, FIN | ACK, 501, 121, 0),
        (4, true, FIN | ACK, 121, 502, 0),
        (5, false, ACK, 502, 122, 0),
    ]);
    // Which phase, what is done with its steps, what is said.
    type Change = (&'static str, fn(&mut Vec<Value>), &'static str);
    let changes: [Change; 5] = [
        ("dataTransfer", |steps| steps[0] = steps[1].clone(), "packet 1 of dataTransfer is of another step too"),
        ("closing", |steps| steps.push(steps[2].clone()), "packet 3 of closing is of another step too"),
        ("closing", |steps| steps.swap(0, 1), "packet 1 of closing is listed before that of the step before"),
        ("dataTransfer", |steps| steps.swap(0, 1), "packet 1 of dataTransfer is listed before that of the step before"),
        ("closing", |steps| steps[2]["packet"]["length"] = 7.into(), "packet 2 of closing is not among packets"),
    ];
    let packets: Vec<Packet> = rows.iter().map(packet).collect();
    for (phase, change, said) in changes {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x");
        write_chunks(&folder, &packets, &hosts(), Mode::Correct);
        clean(&folder);
        let [chunk, index] = ["flows/chunk_00000.json", "flows/flows_index.json"].map(|name| folder.join(name));
        let [mut flows, mut entries]: [Value; 2] =
            [&chunk, &index].map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
        let steps = flows[0]["phases"][phase].as_array_mut().unwrap();
        change(steps);
        // The index counts with it.
        let count = if phase == "closing" { "closing_packets" } else { "data_transfer_packets" };
        entries[0][count] = steps.len().into();
        std::fs::write(&chunk, flows.to_string()).unwrap();
        std::fs::write(&index, entries.to_string()).unwrap();
        let problems = check(&folder).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(said)), "{said}: {problems:#?}");
    }
}

/// A packet that was captured twice is two steps of the original's.
#[test]
fn packets_that_are_alike_are_steps_of_their_own() {
    let rows = behind_handshake(&[(3, true, ACK, 101, 501, 10), (3, true, ACK, 101, 501, 10)]);
    let dir = tempfile::tempdir().unwrap();
    for mode in [Mode::Original, Mode::Correct] {
        let folder = dir.path().join(format!("{mode:?}"));
        write_chunks(&folder, &rows, &hosts(), mode);
        assert_eq!(check(&folder).unwrap().problems, [""; 0], "{mode:?}");
    }
}

fn behind_handshake(rows: &[Row]) -> Vec<Packet> {
    handshake(0, 100, 500).iter().chain(rows).map(packet).collect()
}

/// The numbers that a flow expects are those behind its SYN and its SYN+ACK, as far as it has them and, in the original, waits for them.
/// To the original only the first FIN ends anything, so a handshake may stand between two.
#[test]
fn a_second_fin_ends_no_handshake_of_the_original() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        (0, true, FIN | ACK, 1, 1, 0),
        (1, true, SYN, 100, 0, 0),
        (2, true, FIN, 101, 0, 0),
        (3, false, SYN | ACK, 500, 101, 0),
        (4, true, ACK, 101, 501, 0),
    ];
    let packets = rows.map(|row| packet(&row));
    let folder = dir.path().join("v2.0");
    write_chunks(&folder, &packets, &hosts(), Mode::Original);
    is_clean(&folder);
    // What it expects is a finding still.
    let chunk = folder.join("flows/chunk_00000.json");
    edit(&chunk, "\"expectedSeqNum\": 501", "\"expectedSeqNum\": null");
    assert!(check(&folder).unwrap().problems.iter().any(|problem| problem.contains("expectedSeqNum is null")));
}

#[test]
fn what_a_handshake_expects_is_told_where_it_is_otherwise() {
    let last = (1 << 31) + 1;
    let tries: [(&[Row], Mode, Value, Value); 6] = [
        (
            &[(0, true, SYN | ACK, 100, 200, 0), (1, false, SYN | ACK, 200, 101, 0)],
            Mode::Correct,
            Value::Null,
            101.into(),
        ),
        (
            &[(0, true, SYN, 1, 0, 0), (1, false, FIN, 7, 0, 0), (2, false, SYN | ACK, last, 2, 0)],
            Mode::Original,
            2.into(),
            Value::Null,
        ),
        (
            &[(0, true, SYN, 1, 0, 0), (1, false, ACK, 7, 2, 0), (2, false, SYN | ACK, last, 2, 0)],
            Mode::Original,
            2.into(),
            Value::Null,
        ),
        (
            &[(0, false, FIN, 7, 0, 0), (1, true, SYN, 1, 0, 0), (2, false, SYN | ACK, 9, 2, 0)],
            Mode::Original,
            2.into(),
            10.into(),
        ),
        (&[(0, false, SYN | ACK, 9, 2, 0), (1, true, SYN, 1, 0, 0)], Mode::Original, 2.into(), Value::Null),
        (
            &[
                (0, true, SYN, 100, 0, 0),
                (1, false, SYN, 200, 0, 0),
                (2, true, SYN | ACK, 100, 201, 0),
                (3, false, SYN | ACK, 200, 101, 0),
            ],
            Mode::Correct,
            101.into(),
            201.into(),
        ),
    ];
    for (rows, mode, ack, seq) in tries {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x");
        write_chunks(&folder, &rows.iter().map(packet).collect::<Vec<_>>(), &hosts(), mode);
        assert_eq!(check(&folder).unwrap().problems, [""; 0], "{rows:?}");
        let chunk = folder.join("flows/chunk_00000.json");
        let flows: Value = serde_json::from_slice(&std::fs::read(&chunk).unwrap()).unwrap();
        assert_eq!((&flows[0]["expectedAckNum"], &flows[0]["expectedSeqNum"]), (&ack, &seq), "{rows:?}");
        for name in ["expectedAckNum", "expectedSeqNum"] {
            for other in [Value::Null, 77.into(), 201.into(), 101.into(), (last + 1).into()] {
                let mut changed = flows.clone();
                changed[0][name] = other;
                std::fs::write(&chunk, changed.to_string()).unwrap();
                let problems = check(&folder).unwrap().problems;
                let is_told = problems.iter().any(|problem| problem.contains(&format!("{name} is ")));
                assert_eq!(is_told, changed != flows, "{rows:?} {changed:#}");
            }
        }
    }
}

/// Viewers take the first resolution that fits, so limits have to rise in the order of the file.
#[test]
fn resolutions_that_no_viewer_comes_to_are_found() {
    let packets = behind_handshake(&[]);
    let dir = tempfile::tempdir().unwrap();
    let [_, folder] = write(dir.path(), &packets, &hosts(), PART);
    clean(&folder);
    let index = folder.join("indices/flow_bins_index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    let ordered = |names: &[&str]| {
        let members: Vec<_> = names.iter().map(|name| format!("\"{name}\": {}", told["resolutions"][name])).collect();
        let mut rest = told.clone();
        rest["resolutions"] = "here".into();
        rest.to_string().replace("\"here\"", &format!("{{{}}}", members.join(", ")))
    };
    let problems = |text: &str| {
        std::fs::write(&index, text).unwrap();
        check(&folder).unwrap().problems
    };
    // No viewer takes 10min, and hour is taken where none fits.
    for names in [["1s", "10s", "1min", "10min", "hour"], ["hour", "10min", "1s", "10s", "1min"]] {
        assert_eq!(problems(&ordered(&names)), [""; 0], "{names:?}");
    }
    let reversed = problems(&ordered(&["hour", "10min", "1min", "10s", "1s"]));
    let said = "10s, for up to 120 minutes, stands behind 1min, for up to 1440; viewers take the first that fits, and never these bins";
    assert!(
        reversed.len() == 1 && reversed[0].contains(said) && reversed[0].ends_with("(and 1 more like it)"),
        "{reversed:?}"
    );
    let limit = |from: &str, to: &str| text.replacen(&format!("lte\": {from}"), &format!("lte\": {to}"), 1);
    assert_eq!(problems(&limit("10", "11")), [""; 0]);
    assert_eq!(problems(&limit("10", "120")).len(), 1);
    assert_eq!(problems(&limit("1440", "5")).len(), 1);
}

/// Neither a string nor a list without end is held whole.
#[test]
fn json_without_end_is_refused() {
    let packets: Vec<Packet> = handshake(0, 100, 500).iter().map(packet).collect();
    let (text, zeros) = ("7".repeat(1 << 20), "0,".repeat(1 << 19));
    let element = "an element is longer than 1 MiB";
    for (folder, file, from, to, said) in [
        (1, "indices/flow_bins_1s.json", "{\"graceful\"", format!("{{\"x\":\"{text}\",\"graceful\""), element),
        (1, "indices/flow_bins_10s.json", "{\"bin\"", format!("{{\"x\":[{zeros}0],\"bin\""), element),
        (1, "indices/flow_list/index.json", "\"pair\":", format!("\"x\":[{zeros}0],\"pair\":"), element),
        (1, "ips/ip_stats.json", "\"sent_packets\":", format!("\"x\":\"{text}\",\"sent_packets\":"), element),
        (1, "ips/unique_ips.json", "\"10.0.0.10\"", format!("\"{text}\""), element),
        (1, "indices/flow_bins_index.json", "{", format!("{{\"x\":[{}0],", zeros.repeat(16)), "longer than 16 MiB"),
        (1, "ips/flag_stats.json", "{", format!("{{\"x\":\"{}\",", text.repeat(16)), "longer than 16 MiB"),
        (0, "resolutions/raw/index.json", "{", format!("{{\"x\":\"{}\",", text.repeat(16)), "longer than 16 MiB"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let folder = &write(dir.path(), &packets, &hosts(), PART)[folder];
        edit(&folder.join(file), from, &to);
        let problems = check(folder).unwrap().problems;
        let is_found = |problem: &String| problem.starts_with(&format!("{file}: ")) && problem.contains(said);
        assert!(problems.iter().any(is_found), "{file}: {problems:#?}");
        assert!(problems.iter().all(|problem| problem.len() < 3000), "{file}");
    }
}

/// A line without end is not held whole.
#[test]
fn a_line_that_does_not_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    chunked(dir.path());
    let path = dir.path().join("packets.csv");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let begin = text.len();
    text.push_str(&"7".repeat((1 << 20) + 1));
    std::fs::write(&path, text).unwrap();
    let problems = check(dir.path()).unwrap().problems;
    let said = format!("packets.csv: the line that begins at byte {begin} is longer than 1 MiB");
    assert!(problems.iter().any(|problem| problem.starts_with(&said)), "{problems:?}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let problems = check(dir.path()).unwrap().problems;
    let said = "packets.csv: is not a regular file";
    assert!(problems.iter().any(|problem| problem.starts_with(said)), "{problems:?}");
}

/// A row of a list is as long as its flow, of whatever length.
#[test]
fn a_flow_of_many_packets_is_a_long_row() {
    let dir = tempfile::tempdir().unwrap();
    let packets: Vec<Packet> = (0..60_000).map(|n| packet(&(n, n % 2 == 0, ACK, n, 0, 1))).collect();
    let [_, flows] = write(dir.path(), &packets, &hosts(), PART);
    let list = flows.join("indices/flow_list/10-0-0-10__10-0-0-9.csv");
    assert!(std::fs::metadata(&list).unwrap().len() > 1 << 20);
    clean(&flows);
}
