//! Folders against those that a viewer was seen to take.

use std::path::{Path, PathBuf};

use pcap_compactor::sink::timeline::check::check;
use pcap_compactor::sink::timeline::{About, FlowList, Multires, PART, Several};
use pcap_compactor::views::timeline::correct::Settings;
use pcap_compactor::views::timeline::{
    Choice, Close, Correct, Flow, Hosts, Machine, Mode, Packet, Reason, Sides, State, TimelineJob, TimelineSink,
};
use pcap_compactor::{Engine, Input, Timestamp};
use serde_json::Value;

use super::{Said, flows};
use crate::corpus::corpus;

/// The folder of references; nothing, and a loud word, where there is none.
fn references() -> Option<PathBuf> {
    corpus()?;
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from);
    Some(shared.join("reference/timearcs"))
}

pub(super) fn about() -> About {
    About {
        created: Timestamp(1_795_132_800_000_000_000),
        sources: vec!["tiny_input.csv".into()],
        choice: Choice::default(),
        context: None,
        mode: Mode::Correct,
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).expect("it is JSON")
}

/// The packets of the reference.
fn packets(folder: &Path, hosts: &mut Hosts) -> Vec<Packet> {
    let text = read(&folder.join("out_default/packets.csv"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let n = |at: usize| cells[at].parse::<i64>().expect("a number");
        Packet {
            time: n(0),
            src: hosts.number(cells[1]),
            dst: hosts.number(cells[2]),
            src_port: n(3),
            dst_port: n(4),
            flags: Some(n(5)),
            seq: n(7),
            ack: n(8),
            length: n(9),
            payload: None,
            protocol: Some(n(10)),
        }
    };
    text.lines().skip(1).map(row).collect()
}

/// The flows that the original made of them.
fn originals(folder: &Path, hosts: &mut Hosts) -> Vec<Flow> {
    let chunk = json(&folder.join("out_default/flows/chunk_00000.json"));
    let flow = |flow: &Value| {
        let text = |name: &str| flow[name].as_str();
        let close = [Close::Graceful, Close::Abortive, Close::Invalid, Close::Open];
        let reasons = [
            Reason::InvalidSynAck,
            Reason::InvalidAck,
            Reason::RstDuringHandshake,
            Reason::IncompleteNoSynAck,
            Reason::IncompleteNoAck,
        ];
        let packet = |packet: &Value| Packet {
            time: packet["timestamp"].as_i64().unwrap(),
            src: hosts.number(packet["src_ip"].as_str().unwrap()),
            dst: hosts.number(packet["dst_ip"].as_str().unwrap()),
            src_port: packet["src_port"].as_i64().unwrap(),
            dst_port: packet["dst_port"].as_i64().unwrap(),
            flags: packet["flags"].as_i64(),
            ..Packet::default()
        };
        let packets: Vec<Packet> = flow["packets"].as_array().unwrap().iter().map(packet).collect();
        Flow {
            number: text("id").unwrap().trim_start_matches("flow_").parse().unwrap(),
            close: close.into_iter().find(|close| Some(close.name()) == text("closeType")),
            reason: reasons.into_iter().find(|reason| Some(reason.name()) == text("invalidReason")),
            sides: text("initiator").map(|initiator| Sides {
                initiator: hosts.number(initiator),
                responder: hosts.number(text("responder").unwrap()),
                initiator_port: flow["initiatorPort"].as_i64().unwrap(),
                responder_port: flow["responderPort"].as_i64().unwrap(),
            }),
            start: flow["startTime"].as_i64().unwrap(),
            end: flow["endTime"].as_i64().unwrap(),
            packets: packets.into(),
            ..Flow::default()
        }
    };
    chunk.as_array().unwrap().iter().map(flow).collect()
}

fn write(sink: &mut dyn TimelineSink, packets: &[Packet], flows: &[Flow], hosts: &Hosts) {
    packets.iter().for_each(|packet| sink.packet(packet, hosts).unwrap());
    flows.iter().for_each(|flow| sink.flow(flow, hosts).unwrap());
    sink.finish(hosts).unwrap();
}

/// Every file of a folder by its name there.
pub(super) fn files(folder: &Path) -> Vec<String> {
    let files =
        walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
    let mut names: Vec<String> = files.map(|entry| name(entry.path())).collect();
    names.sort();
    names
}

#[test]
fn folders_are_those_that_the_viewer_takes() {
    let Some(reference) = references() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (packets_dir, flows_dir) = (dir.path().join("packets"), dir.path().join("flows"));
    let mut hosts = Hosts::default();
    let packets = packets(&reference, &mut hosts);
    let originals = originals(&reference, &mut hosts);
    write(&mut Multires::create(&packets_dir, false, about()).unwrap(), &packets, &originals, &hosts);
    // In the order of its totals too.
    let about = About { mode: Mode::Original, ..about() };
    write(&mut FlowList::create(&flows_dir, false, PART, false, about).unwrap(), &packets, &originals, &hosts);
    for (ours, theirs) in [(&packets_dir, "attack_packets_day1to5"), (&flows_dir, "attack_flows_day1to5")] {
        let theirs = reference.join("v3_out").join(theirs);
        assert_eq!(files(ours), files(&theirs));
        for name in files(ours) {
            let (ours, theirs) = (ours.join(&name), theirs.join(&name));
            if name.contains("flow_bins_") && !name.contains("index") {
                assert_eq!(json(&ours), json(&theirs), "{name}");
            } else if name.ends_with("/bins.json") {
                // The last packet is in the last bin.
                let mut theirs = json(&theirs);
                assert_eq!(theirs[99]["count"], 0);
                theirs[99]["count"] = 1.into();
                assert_eq!(json(&ours), theirs);
            } else {
                assert_eq!(read(&ours), read(&theirs), "{name}");
            }
        }
    }
    for folder in [&packets_dir, &flows_dir] {
        let findings = check(folder).unwrap();
        assert!(findings.is_clean() && findings.hidden.is_empty(), "{findings:#?}");
        // One has no port, and one stands behind a bad handshake.
        let notes = if folder == &flows_dir { &["ips/flag_stats.json: 2 TCP packets are in no list"][..] } else { &[] };
        assert_eq!(findings.notes, notes);
    }
}

#[test]
fn folders_of_the_original_are_checked() {
    let Some(reference) = references() else { return };
    let check = |name: &str| check(&reference.join(name)).unwrap();
    let findings = check("out_default");
    let hidden = [
        "1 flows of which nobody knows who began them (initiator or responder is null)",
        "1 packets behind a bad handshake, which flows count and do not list",
        "1 packets of the last time, which no bin counts",
    ];
    assert_eq!(findings.hidden, hidden, "{findings:#?}");
    let mut folders = 0;
    for entry in std::fs::read_dir(&reference).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("out_") {
            folders += 1;
            let findings = check(&name);
            // One was made of a table without numbers, by a loader that says less of what it did.
            let known = ["no column seq_num", "source_files is", "attack_context is", "filter_applied is"];
            let is_known =
                |note: &String| name == "out_chunked_loader" && known.iter().any(|known| note.contains(known));
            assert!(findings.is_clean() && findings.notes.iter().all(is_known), "{name}: {findings:#?}");
        }
    }
    assert!(folders >= 9, "{folders}");
    for name in ["v3_out/attack_packets_day1to5", "v3_out/attack_flows_day1to5"] {
        assert!(check(name).is_clean(), "{name}: {:#?}", check(name));
    }
}

#[test]
fn folders_of_real_captures_are_clean_and_the_same_on_any_number_of_threads() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let write = |threads: usize, budget| {
        let folders = ["packets", "flows"].map(|name| dir.path().join(threads.to_string()).join(name));
        let mut bins = Multires::create(&folders[0], false, about()).unwrap();
        let mut lists = FlowList::create(&folders[1], false, 1 << 20, true, about()).unwrap();
        let mut machine = Correct::new(Settings { budget, ..Settings::default() });
        let mut sink = Several(vec![&mut bins, &mut lists]);
        let inputs = corpus.paths().into_iter().map(Input::file).collect();
        let job = TimelineJob::default().engine(Engine::builder().threads(threads));
        let (_, outcome) = job.run(inputs, &mut machine, &mut sink).unwrap();
        assert!(outcome.kept.packets > 100_000);
        folders
    };
    let (one, five) = (write(1, 1 << 20), write(5, 1 << 16));
    for (one, five) in one.iter().zip(&five) {
        let findings = check(one).unwrap();
        assert!(findings.is_clean() && findings.hidden.is_empty(), "{findings:#?}");
        assert_eq!(files(one), files(five));
        for name in files(one) {
            assert!(std::fs::read(one.join(&name)).unwrap() == std::fs::read(five.join(&name)).unwrap(), "{name}");
        }
    }
}

#[test]
fn states_of_the_reference_are_right() {
    let Some(reference) = references() else { return };
    let mut hosts = Hosts::default();
    let packets = packets(&reference, &mut hosts);
    let (mut said, mut machine) = (Said::default(), Correct::new(Settings::default()));
    packets.iter().for_each(|packet| machine.packet(*packet, &hosts, &mut said).unwrap());
    machine.finish(&hosts, &mut said).unwrap();
    let ends: Vec<_> = said.flows.iter().map(|flow| (flow.state, flow.reason, flow.packets.len())).collect();
    let expected = [
        (State::Closed, None, 10),
        (State::Invalid, Some(Reason::RstDuringHandshake), 2),
        (State::Invalid, Some(Reason::IncompleteNoSynAck), 2),
        (State::Invalid, Some(Reason::InvalidSynAck), 3),
        (State::Ongoing, None, 4),
        (State::Ongoing, None, 4),
        (State::Aborted, None, 2),
        (State::Aborted, None, 5),
        (State::Invalid, Some(Reason::IncompleteNoSynAck), 1),
    ];
    assert_eq!(ends, expected);
    assert!(flows(&[]).is_empty());
}
