//! `timeline --mode original`: against what tcp_data_loader_streaming.py wrote of the same tables, and its state machine case by case.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pcap_compactor::capture::Input;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::timeline::{About, Chunked};
use pcap_compactor::views::timeline::flags::{ACK, FIN, PSH, RST, SYN};
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::table::{self, Fault, Names};
use pcap_compactor::views::timeline::{
    Choice, Chosen, Close, Flow, Hosts, Machine, Mode, Packet, Reason, State, TimelineSink,
};
use pcap_compactor::{ErrorKind, Result, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use crate::command::{Ran, command};
use crate::csv::parse;
use crate::properties::cases;
use crate::run::{gzip, zstd};

const SA: i64 = SYN | ACK;
const FA: i64 = FIN | ACK;
const PA: i64 = PSH | ACK;
/// Microseconds.
const SECOND: i64 = 1_000_000;

// What the original wrote.

/// The folder of the original's output.
fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/timearcs");
    if folder.join("out_default").is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: TimeArcs' own output; {missing}").expect("standard error takes text");
    None
}

/// All files under a folder with what they hold, without the time of making.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    let without_time = |text: String| match text.find("  \"created\": ") {
        Some(at) => {
            let end = at + text[at..].find('\n').unwrap();
            [&text[..at], &text[end..]].concat()
        }
        None => text,
    };
    let hold = |path: &Path| without_time(fs::read_to_string(path).unwrap());
    files.map(|entry| (entry.path().strip_prefix(folder).unwrap().to_owned(), hold(entry.path()))).collect()
}

#[test]
fn every_folder_of_the_original_is_the_same_byte_for_byte() {
    let Some(reference) = reference() else { return };
    let filter = [
        "--filter-ips=10.0.0.3",
        "--filter-time-start=1700000000000000",
        "--filter-time-end=1700000003000000",
        "--attack-context=port scan",
    ];
    let cases: [(&str, &str, &[&str], i32); 8] = [
        ("out_default", "tiny_input.csv", &[], 0),
        ("out_dotted", "tiny_input_dotted.csv", &[], 0),
        ("out_read8_chunk3", "tiny_input.csv", &["--read-rows=8", "--flows-per-file=3"], 0),
        ("out_filter", "tiny_input.csv", &filter, 0),
        ("out_edge_input", "edge_input.csv", &[], 0),
        ("out_edge_hexflags", "edge_hexflags.csv", &[], 3),
        ("out_idle_input", "idle_input.csv", &[], 0),
        ("out_idle_read3", "idle_input.csv", &["--read-rows=3"], 0),
    ];
    for (name, input, options, code) in cases {
        let around = tempfile::tempdir().unwrap();
        let out = around.path().join("out");
        let mut command = command(["timeline", input, "--mode", "original", "--ip-map", "ip_map.json", "-o"]);
        let ran = Ran::of(command.arg(&out).args(options).current_dir(&reference).output().unwrap());
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.said);
        let (ours, theirs) = (files(&out), files(&reference.join(name)));
        assert!(theirs.len() >= 8, "{name}: {theirs:?}");
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(
            ran.said.contains("in column flags: taken for none; line 2 is the first"),
            code == 3,
            "{}",
            ran.said
        );
    }
}

// The state machine.

/// Keeps what a machine says.
#[derive(Default)]
struct Kept {
    packets: Vec<Packet>,
    flows: Vec<Flow>,
    finished: u32,
}

impl TimelineSink for Kept {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.packets.push(*packet);
        Ok(())
    }
    fn flow(&mut self, flow: &Flow, _: &Hosts) -> Result<()> {
        assert!(flow.packets.iter().all(|packet| self.packets.contains(packet)), "packets come before their flow");
        self.flows.push(flow.clone());
        Ok(())
    }
    fn finish(&mut self, _: &Hosts) -> Result<()> {
        self.finished += 1;
        Ok(())
    }
}

/// Hosts of tests: two, then one without a name.
fn hosts() -> Hosts {
    let mut hosts = Hosts::default();
    assert_eq!(["10.0.0.10", "10.0.0.2", ""].map(|name| hosts.number(name)), [0, 1, 2]);
    hosts
}

/// A packet of the client, or the server, which is host 1.
fn sent(by_client: bool, flags: i64, seq: i64, ack: i64, length: i64) -> Packet {
    let ((src, src_port), (dst, dst_port)) = if by_client { ((0, 4000), (1, 80)) } else { ((1, 80), (0, 4000)) };
    let (flags, protocol) = (Some(flags), Some(6));
    Packet { src, dst, src_port, dst_port, flags, seq, ack, length, protocol, ..Packet::default() }
}

fn c(flags: i64, seq: i64, ack: i64, length: i64) -> Packet {
    sent(true, flags, seq, ack, length)
}

fn s(flags: i64, seq: i64, ack: i64, length: i64) -> Packet {
    sent(false, flags, seq, ack, length)
}

/// A handshake, and what follows.
fn open(more: &[Packet]) -> Vec<Packet> {
    [&[c(SYN, 100, 0, 60), s(SA, 500, 101, 60), c(ACK, 101, 501, 52)], more].concat()
}

/// Runs packets, a microsecond from one to the next where they have no time.
fn flows(options: Options, packets: &[Packet]) -> Vec<Flow> {
    let (hosts, mut kept, mut machine) = (hosts(), Kept::default(), Original::new(options));
    for (n, packet) in (1..).zip(packets) {
        let time = if packet.time == 0 { n } else { packet.time };
        machine.packet(Packet { time, ..*packet }, &hosts, &mut kept).unwrap();
    }
    machine.finish(&hosts, &mut kept).unwrap();
    assert_eq!(kept.finished, 0, "the sink is finished by who runs the machine");
    kept.flows
}

fn flow(packets: &[Packet]) -> Flow {
    let [flow] = flows(Options::default(), packets).try_into().expect("it is one flow");
    flow
}

/// State, close and reason; steps with their packets, and the invalid one.
fn told(flow: &Flow) -> String {
    let mut text = flow.state.name().to_owned();
    text += &format!(" {} {} |", flow.close.map_or("-", Close::name), flow.reason.map_or("-", Reason::name));
    for step in &flow.steps {
        text += &format!(" {}@{}", step.name, step.packet);
    }
    flow.invalid_packet.map_or(text.clone(), |place| format!("{text} !{place}"))
}

fn steps_of(cases: &[(&str, Vec<Packet>, &str)]) {
    for (what, packets, expected) in cases {
        let flow = flow(packets);
        assert_eq!(told(&flow), *expected, "{what}");
        // What is told of a flow agrees with its steps.
        let has = |names: &[&str]| flow.steps.iter().any(|step| names.contains(&step.name));
        assert_eq!(flow.established, has(&["ack"]), "{what}");
        assert_eq!((flow.data, flow.closing), (has(&["data", "ack_data"]), has(&["fin"])), "{what}");
        assert_eq!(
            (flow.ongoing, flow.state == State::Ongoing),
            (flow.close == Some(Close::Open), flow.ongoing),
            "{what}"
        );
        assert_eq!(flow.total_packets, packets.len() as u64, "{what}");
        assert_eq!(flow.total_bytes, packets.iter().map(|packet| packet.length).sum::<i64>(), "{what}");
        assert!(flow.unexplained.is_empty() && !flow.by_timeout, "{what}");
    }
}

#[test]
fn a_syn_without_ack_begins() {
    let syn = c(SYN, 100, 0, 60);
    steps_of(&[
        ("the first", vec![syn], "invalid invalid incomplete_no_synack | syn@0"),
        ("with FIN too", vec![c(SYN | FIN, 100, 0, 60)], "invalid invalid incomplete_no_synack | syn@0"),
        ("another is none", vec![syn, s(SYN, 1, 0, 60)], "invalid invalid incomplete_no_synack | syn@0"),
        ("behind a RST too", vec![s(RST, 1, 0, 40), syn], "invalid invalid incomplete_no_synack | rst@0 syn@1 !0"),
        ("but not with RST", vec![c(SYN | RST, 100, 0, 60)], "aborted abortive - | rst@0 !0"),
    ]);
    let flow = flow(&[s(SYN, 7, 0, 60), syn]);
    let sides = flow.sides.unwrap();
    assert_eq!((sides.initiator, sides.initiator_port, sides.responder, sides.responder_port), (1, 80, 0, 4000));
    assert_eq!((flow.expected_ack, flow.expected_seq, flow.syn_packet), (Some(8), None, Some(0)));
}

#[test]
fn a_syn_ack_answers_the_syn() {
    let (syn, sa) = (c(SYN, 100, 0, 60), s(SA, 500, 101, 60));
    steps_of(&[
        ("its number", vec![syn, sa], "invalid invalid incomplete_no_ack | syn@0 syn_ack@1"),
        ("as often as it comes", vec![syn, sa, sa], "invalid invalid incomplete_no_ack | syn@0 syn_ack@1 syn_ack@2"),
        ("by whoever it is sent", vec![syn, c(SA, 5, 101, 60)], "invalid invalid incomplete_no_ack | syn@0 syn_ack@1"),
        ("or another number", vec![syn, s(SA, 500, 102, 60)], "invalid invalid invalid_synack | syn@0 !1"),
        ("without SYN", vec![sa], "new - - | syn_ack@0"),
        ("without SYN, twice", vec![sa, sa], "new - - | syn_ack@0"),
        ("behind the handshake", open(&[s(SA, 9, 9, 60)]), "ongoing open - | syn@0 syn_ack@1 ack@2"),
        (
            "with RST it is a RST",
            vec![syn, s(SA | RST, 500, 101, 60)],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
    ]);
    let flow = flow(&open(&[]));
    assert_eq!((flow.expected_ack, flow.expected_seq, flow.syn_ack_packet), (Some(101), Some(501), Some(1)));
}

#[test]
fn a_pure_ack_completes_the_handshake() {
    let [syn, sa, ack] = [c(SYN, 100, 0, 60), s(SA, 500, 101, 60), c(ACK, 101, 501, 52)];
    steps_of(&[
        ("both numbers", vec![syn, sa, ack], "ongoing open - | syn@0 syn_ack@1 ack@2"),
        ("another ack", vec![syn, sa, c(ACK, 101, 502, 52)], "invalid invalid invalid_ack | syn@0 syn_ack@1 !2"),
        ("another seq", vec![syn, sa, c(ACK, 100, 501, 52)], "invalid invalid invalid_ack | syn@0 syn_ack@1 !2"),
        ("without SYN+ACK, any", vec![syn, s(ACK, 77, 33, 52)], "ongoing open - | syn@0 ack@1"),
        (
            "with PSH it is none",
            vec![syn, sa, c(PA, 101, 501, 99)],
            "invalid invalid incomplete_no_ack | syn@0 syn_ack@1",
        ),
        (
            "0 passes for none",
            vec![syn, s(SA, -1, 101, 60), c(ACK, 7, 7, 52)],
            "ongoing open - | syn@0 syn_ack@1 ack@2",
        ),
        (
            "behind a RST it stays so",
            [&[s(RST, 1, 0, 40)], &open(&[])[..]].concat(),
            "established abortive - | rst@0 syn@1 syn_ack@2 ack@3 !0",
        ),
    ]);
}

#[test]
fn acknowledgements_are_data_by_their_length() {
    let hs = "syn@0 syn_ack@1 ack@2";
    let fin = c(FA, 101, 501, 52);
    steps_of(&[
        (
            "with length",
            open(&[c(PA, 101, 501, 99), s(ACK, 501, 148, 52)]),
            &format!("ongoing open - | {hs} data@3 data@4"),
        ),
        ("without", open(&[s(ACK, 501, 101, 0)]), &format!("ongoing open - | {hs} ack_data@3")),
        ("less than nothing", open(&[s(ACK, 501, 101, -1)]), &format!("ongoing open - | {hs} ack_data@3")),
        (
            "behind a FIN without",
            open(&[fin, s(ACK, 501, 102, 0)]),
            &format!("closed graceful - | {hs} fin@3 ack_close@4"),
        ),
        (
            "behind a FIN with",
            open(&[fin, s(ACK, 501, 102, 52)]),
            &format!("data_transfer graceful - | {hs} fin@3 data@4"),
        ),
        ("before a handshake", vec![c(PA, 101, 501, 99), s(ACK, 501, 200, 52)], "new - - |"),
    ]);
}

#[test]
fn fin_and_rst_end_a_flow_wherever_they_stand() {
    let hs = "syn@0 syn_ack@1 ack@2";
    let (fin, rst) = (c(FA, 101, 501, 0), s(RST, 501, 0, 40));
    steps_of(&[
        ("both FINs", open(&[fin, s(FA, 501, 102, 0)]), &format!("closed graceful - | {hs} fin@3 fin@4")),
        ("a FIN alone", vec![c(FIN, 1, 0, 60)], "closed graceful - | fin@0"),
        ("a FIN in the handshake", vec![c(SYN, 1, 0, 60), s(FIN, 1, 0, 60)], "closed graceful - | syn@0 fin@1"),
        (
            "a RST in the handshake",
            vec![c(SYN, 1, 0, 60), s(RST | ACK, 0, 2, 40)],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
        (
            "and nothing behind it",
            vec![c(SYN, 1, 0, 60), rst, fin, rst],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
        ("a RST behind the handshake", open(&[rst]), &format!("aborted abortive - | {hs} rst@3 !3")),
        ("two", open(&[rst, rst]), &format!("aborted abortive - | {hs} rst@3 rst@4 !4")),
        ("a RST alone", vec![rst], "aborted abortive - | rst@0 !0"),
        ("a RST behind a FIN", open(&[fin, rst]), &format!("aborted abortive - | {hs} fin@3 rst@4 !4")),
        ("a FIN behind a RST", open(&[rst, fin]), &format!("closed graceful - | {hs} rst@3 fin@4 !3")),
        ("RST and FIN are RST", open(&[c(FIN | RST, 1, 1, 40)]), &format!("aborted abortive - | {hs} rst@3 !3")),
    ]);
}

#[test]
fn what_has_no_flags_is_no_step() {
    let none = Packet { flags: None, ..c(0, 1, 1, 60) };
    steps_of(&[
        ("no bits", vec![c(0, 1, 0, 60)], "new - - |"),
        ("no number", vec![none, none], "new - - |"),
        ("other bits", open(&[c(0x20 | 0x100, 1, 0, 60)]), "ongoing open - | syn@0 syn_ack@1 ack@2"),
        ("FIN among others", vec![c(0, 1, 0, 60), c(FIN | PSH | 0x20, 1, 0, 60)], "closed graceful - | fin@1"),
        (
            "the bits of ECN are none",
            vec![c(SYN | 0xc0, 1, 0, 60), s(SA | 0x40, 5, 2, 60)],
            "invalid invalid incomplete_no_ack | syn@0 syn_ack@1",
        ),
    ]);
}

// Its mistakes.

#[test]
fn packets_behind_a_bad_handshake_are_counted_and_not_listed() {
    let bad = flow(&[c(SYN, 100, 0, 60), s(SA, 3, 999, 60), c(ACK, 101, 4, 52), c(ACK, 101, 4, 52)]);
    assert_eq!((bad.total_packets, bad.packets.len(), bad.total_bytes), (4, 2, 224));
    assert_eq!((bad.start, bad.end), (1, 4));
    let bad = flow(&[&open(&[])[..2], &[c(ACK, 1, 1, 52), c(ACK, 1, 1, 52)]].concat());
    assert_eq!((bad.total_packets, bad.packets.len()), (4, 3));
    // Behind a RST they are listed.
    let reset = flow(&[c(SYN, 100, 0, 60), s(RST, 0, 0, 40), c(ACK, 101, 4, 52)]);
    assert_eq!((reset.total_packets, reset.packets.len()), (3, 3));
}

#[test]
fn the_tail_of_a_closed_flow_is_another_in_the_next_chunk() {
    let talk = open(&[c(FA, 101, 501, 52), s(FA, 501, 102, 52), c(ACK, 102, 502, 52)]);
    let options = |read_rows| Options { read_rows, ..Options::default() };
    let whole = flows(options(6), &talk);
    assert_eq!(
        whole.iter().map(told).collect::<Vec<_>>(),
        ["data_transfer graceful - | syn@0 syn_ack@1 ack@2 fin@3 fin@4 data@5"]
    );
    let cut = flows(options(4), &talk);
    let ids: Vec<_> = cut.iter().map(|flow| (flow.number, flow.packets.len(), flow.sides.is_some())).collect();
    assert_eq!(ids, [(1, 4, true), (2, 2, false)]);
    assert_eq!(told(&cut[1]), "closed graceful - | fin@0");
    assert_eq!(cut[0].key, cut[1].key);
}

#[test]
fn only_a_syn_tells_who_began() {
    for packets in [vec![s(SA, 500, 101, 60), c(ACK, 101, 501, 52)], vec![c(PA, 1, 1, 99), s(RST, 1, 0, 40)]] {
        assert_eq!(flow(&packets).sides, None);
    }
}

#[test]
fn data_in_the_third_packet_spoils_a_handshake() {
    let [syn, sa] = [c(SYN, 10, 0, 60), s(SA, 20, 11, 60)];
    let spoilt = flow(&[syn, sa, c(PA, 11, 21, 300), s(ACK, 21, 261, 52)]);
    assert_eq!(told(&spoilt), "invalid invalid invalid_ack | syn@0 syn_ack@1 !3");
}

#[test]
fn numbers_do_not_wrap_around() {
    let wrapped = flow(&[c(SYN, 0xffff_ffff, 0, 60), s(SA, 500, 0, 60), c(ACK, 0, 501, 52)]);
    assert_eq!(told(&wrapped), "invalid invalid invalid_synack | syn@0 !1");
    assert_eq!(wrapped.expected_ack, Some(1 << 32));
}

#[test]
fn a_late_syn_is_nothing_and_ports_used_anew_are_one_flow() {
    let again = [c(SYN, 9000, 0, 60), s(SA, 7000, 9001, 60), c(ACK, 9001, 7001, 52)];
    let late = flow(&open(&again[..1]));
    assert_eq!(told(&late), "ongoing open - | syn@0 syn_ack@1 ack@2");
    let fin = [c(FA, 101, 501, 0)];
    let both = flow(&open(&[&fin[..], &again[..]].concat()));
    assert_eq!(told(&both), "data_transfer graceful - | syn@0 syn_ack@1 ack@2 fin@3 data@6");
    assert_eq!((both.expected_ack, both.syn_packet, both.syn_ack_packet), (Some(101), Some(0), Some(1)));
}

#[test]
fn what_is_sent_twice_counts_twice() {
    let data = c(PA, 101, 501, 99);
    let twice = flow(&open(&[data, data]));
    assert_eq!(told(&twice), "ongoing open - | syn@0 syn_ack@1 ack@2 data@3 data@4");
    assert_eq!(twice.total_bytes, 60 + 60 + 52 + 99 + 99);
}

// How flows are cut.

#[test]
fn ends_meet_in_either_direction_by_the_order_of_text() {
    let to = |dst_port| Packet { dst_port, ..c(SYN, 1, 0, 60) };
    let flows = flows(Options::default(), &[to(90), to(80), s(SA, 5, 2, 60), to(90)]);
    let keys: Vec<_> = flows.iter().map(|flow| (flow.number, flow.key.as_str(), flow.total_packets)).collect();
    let [first, second] = ["10.0.0.10:4000-10.0.0.2:90", "10.0.0.10:4000-10.0.0.2:80"];
    assert_eq!(keys, [(1, first, 2), (2, second, 2)]);
    let itself = Packet { dst: 0, dst_port: 4000, ..c(SYN, 1, 0, 60) };
    assert_eq!(flow(&[itself, itself]).key, "10.0.0.10:4000-10.0.0.10:4000");
}

#[test]
fn a_packet_without_port_or_address_or_of_another_protocol_is_in_no_flow() {
    let others = [
        Packet { src_port: 0, ..c(SYN, 1, 0, 60) },
        Packet { dst_port: 0, ..c(SYN, 1, 0, 60) },
        Packet { src: 2, ..c(SYN, 1, 0, 60) },
        Packet { dst: 2, ..c(SYN, 1, 0, 60) },
        Packet { protocol: Some(17), ..c(SYN, 1, 0, 60) },
        Packet { protocol: None, ..c(SYN, 1, 0, 60) },
    ];
    assert_eq!(flows(Options::default(), &others), []);
}

#[test]
fn packets_of_a_flow_are_in_the_order_of_time_and_of_one_time_as_they_came() {
    let at = |time, packet| Packet { time, ..packet };
    let mixed = [
        at(30, c(ACK, 101, 501, 52)),
        at(20, s(SA, 500, 101, 60)),
        at(10, c(SYN, 100, 0, 60)),
        at(30, c(PA, 101, 501, 99)),
    ];
    let flow = flow(&mixed);
    assert_eq!(told(&flow), "ongoing open - | syn@0 syn_ack@1 ack@2 data@3");
    assert_eq!((flow.start, flow.end), (10, 30));
}

/// Flows by number, with their packets and whether silence ended them.
fn cut(options: Options, packets: &[Packet]) -> Vec<(u64, u64, bool)> {
    flows(options, packets).iter().map(|flow| (flow.number, flow.total_packets, flow.by_timeout)).collect()
}

#[test]
fn silence_ends_a_flow_at_the_end_of_a_chunk_in_which_it_is_silent() {
    let at = |seconds, dst_port| Packet { time: seconds * SECOND + 1, dst_port, ..c(ACK, 1, 1, 52) };
    let options = |read_rows| Options { read_rows, ..Options::default() };
    // A gap inside a chunk is none, nor one at whose far end the next chunk begins.
    assert_eq!(cut(options(500), &[at(0, 80), at(1000, 80)]), [(1, 2, false)]);
    assert_eq!(cut(options(1), &[at(0, 80), at(1000, 80)]), [(1, 2, false)]);
    // Of the timeout, but not less; flows that end together come by number, the others last.
    assert_eq!(cut(options(2), &[at(0, 80), at(300, 90)]), [(1, 1, true), (2, 1, false)]);
    assert_eq!(
        cut(options(2), &[at(0, 80), Packet { time: 300 * SECOND, ..at(0, 90) }]),
        [(1, 1, false), (2, 1, false)]
    );
    assert_eq!(cut(options(2), &[at(0, 80), at(300, 90), at(300, 80)]), [(1, 1, true), (2, 1, false), (3, 1, false)]);
    // The last packet is that of the last row, not that of the newest time.
    let back = [at(400, 80), at(0, 80), at(350, 90)];
    assert_eq!(cut(options(3), &back), [(1, 2, true), (2, 1, false)]);
    // A FIN is a reason before silence.
    let closed = [at(0, 80), Packet { flags: Some(FA), ..at(0, 80) }, at(400, 90)];
    assert_eq!(cut(options(3), &closed), [(1, 2, false), (2, 1, false)]);
    assert_eq!(
        cut(Options { timeout_seconds: 0, ..options(1) }, &[at(0, 80), at(0, 80)]),
        [(1, 1, true), (2, 1, true)]
    );
    // A chunk without TCP ends nothing, however late it is.
    let udp = Packet { protocol: Some(17), ..at(9000, 53) };
    assert_eq!(cut(options(1), &[at(0, 80), udp]), [(1, 1, false)]);
    // A packet in no flow has a time all the same.
    assert_eq!(cut(options(1), &[at(0, 80), Packet { src_port: 0, ..at(300, 53) }]), [(1, 1, true)]);
}

#[test]
fn rows_that_are_left_out_have_their_place_in_a_chunk() {
    let fin = c(FA, 1, 1, 52);
    let other = Packet { time: 1, ..c(ACK, 1, 1, 52) };
    let choice = Choice { from: Some(2), ..Choice::default() };
    let options = |choice| Options { read_rows: 2, choice, ..Options::default() };
    assert_eq!(
        cut(options(choice), &[fin, other, fin].map(|packet| Packet { time: packet.time + 2, ..packet })),
        [(1, 2, false), (2, 1, false)]
    );
    let late = Packet { time: 5, ..fin };
    let chosen = Choice { from: Some(2), ..Choice::default() };
    assert_eq!(cut(options(chosen), &[late, other, late]), [(1, 1, false), (2, 1, false)]);

    let (hosts, mut kept, mut machine) = (hosts(), Kept::default(), Original::new(options(Choice::default())));
    machine.packet(late, &hosts, &mut kept).unwrap();
    machine.other_row(&hosts, &mut kept).unwrap();
    assert_eq!(kept.flows.len(), 1);
    machine.packet(late, &hosts, &mut kept).unwrap();
    machine.end_file(&hosts, &mut kept).unwrap();
    assert_eq!(kept.flows.len(), 2, "a file ends its chunk");
}

#[test]
fn of_most_packets_no_more_are_taken_and_the_machine_is_done() {
    let choice = Choice { most: Some(2), ..Choice::default() };
    let (hosts, mut kept, mut machine) =
        (hosts(), Kept::default(), Original::new(Options { choice, ..Options::default() }));
    for packet in open(&[]) {
        machine.packet(packet, &hosts, &mut kept).unwrap();
    }
    assert!(machine.is_done());
    machine.end_file(&hosts, &mut kept).unwrap();
    assert!(machine.is_done(), "of the next file none is wanted either");
    machine.finish(&hosts, &mut kept).unwrap();
    assert_eq!((kept.packets.len(), kept.flows.len()), (2, 1));
}

#[test]
fn a_file_is_left_when_fifty_chunks_behind_the_last_time_were_empty() {
    let choice = Choice { to: Some(10), ..Choice::default() };
    let run = |late: usize| {
        let options = Options { read_rows: 1, choice: choice.clone(), ..Options::default() };
        let (hosts, mut kept, mut machine) = (hosts(), Kept::default(), Original::new(options));
        let at = |time| Packet { time, ..c(ACK, 1, 1, 52) };
        for packet in [&[at(1)][..], &vec![at(11); late], &[at(2)]].concat() {
            machine.packet(packet, &hosts, &mut kept).unwrap();
        }
        let done = machine.is_done();
        machine.end_file(&hosts, &mut kept).unwrap();
        assert!(!machine.is_done(), "the next file is read");
        machine.packet(at(11), &hosts, &mut kept).unwrap();
        // The count goes on where it was.
        (done, machine.is_done(), kept.packets.len())
    };
    assert_eq!(run(49), (false, false, 2));
    assert_eq!(run(50), (true, true, 1));
}

// The command.

const HEADER: &str = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,seq_num,ack_num,length,protocol";

/// A time of 2023.
const T: i64 = 1_700_000_000_000_000;

/// A row of TCP.
fn row(time: i64, src: &str, dst: &str, ports: (u16, u16), flags: i64) -> String {
    format!("{time},{src},{dst},{},{},{flags},1,0,60,6", ports.0, ports.1)
}

fn table(rows: &[String]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

/// A folder with files, in which the command is run.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            fs::write(place.path(name), bytes).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// Runs `timeline` in the mode of the original into `out`.
    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = command(["timeline", "--mode", "original", "-o", "out"]);
        Ran::of(command.args(arguments).current_dir(self.0.path()).output().unwrap())
    }

    /// What lies here, hidden or not.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn small() -> String {
    table(&[
        row(T, "10.0.0.1", "10.0.0.2", (4000, 80), SYN),
        row(T + 200, "10.0.0.2", "10.0.0.1", (80, 4000), RST | ACK),
    ])
}

#[test]
fn names_are_kept_whatever_they_are_and_written_as_python_does() {
    let rows = ["\"say \"\"a\"\", b\"", "zoé 😀", "7", "3.0", "", "-1"].map(|name| row(T, name, "1", (1, 2), SYN));
    let place =
        Place::new(&[("in.csv", table(&rows).as_bytes()), ("map.json", br#"{"x": 1, "ten,\u00e9": 1, "three": 3}"#)]);
    let ran = place.run(&["in.csv", "--ip-map", "map.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let packets = place.text("out/packets.csv");
    let names: Vec<_> = parse(&packets).into_iter().skip(1).map(|row| [row[1].clone(), row[2].clone()]).collect();
    assert_eq!(
        names,
        ["say \"a\", b", "zoé 😀", "7", "three", "", "-1"].map(|name| [name.to_owned(), "ten,é".to_owned()])
    );
    assert!(packets.contains(&format!("\n{T},zoé 😀,\"ten,é\",1,2,2,SYN,1,0,60,6\n")), "{packets}");
    assert!(packets.contains(&format!("\n{T},\"say \"\"a\"\", b\",\"ten,é\",1,2,")), "{packets}");
    let names = place.text("out/ips/unique_ips.json");
    assert_eq!(
        names,
        "[\n  \"\",\n  \"-1\",\n  \"7\",\n  \"say \\\"a\\\", b\",\n  \"ten,\\u00e9\",\n  \"three\",\n  \"zo\\u00e9 \\ud83d\\ude00\"\n]"
    );
    // One has no address: it is among packets and hosts, and in no flow.
    assert_eq!(place.json("out/manifest.json")["total_flows"], 5);
    assert_eq!(place.json("out/ips/ip_stats.json")[""]["sent_packets"], 1);
    assert_eq!(place.json("out/flows/flows_index.json")[1]["key"], "ten,é:2-zoé 😀:1");
}

#[test]
fn several_files_are_one_stream_in_which_flows_go_on() {
    let [syn, ack] =
        [(T, SYN), (T + SECOND, ACK)].map(|(time, flags)| table(&[row(time, "a", "b", (4000, 80), flags)]));
    let place = Place::new(&[("1.csv", syn.as_bytes()), ("2.csv", ack.as_bytes())]);
    let ran = place.run(&["--data", "1.csv", "2.csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let manifest = place.json("out/manifest.json");
    assert_eq!((&manifest["source_file"], &manifest["total_flows"]), (&Value::Null, &1.into()));
    assert_eq!(manifest["source_files"], serde_json::json!(["1.csv", "2.csv"]));
    assert_eq!(place.json("out/flows/flows_index.json")[0]["state"], "ongoing");

    let ran = place.run(&["2.csv", "none.csv", "1.csv", "--force"]);
    assert!(ran.code == Some(3) && ran.said.contains("none.csv: cannot open"), "{}", ran.said);
    assert_eq!(place.json("out/manifest.json")["total_packets"], 2);
}

#[test]
fn flows_are_shared_out_over_files_and_the_index_finds_them() {
    let rows: Vec<String> = (1..=5).map(|port| row(T + i64::from(port), "a", "b", (port, 80), SYN)).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    assert_eq!(place.run(&["in.csv", "--flows-per-file", "2"]).code, Some(0));
    let index = place.json("out/flows/flows_index.json");
    let files: Vec<_> =
        index.as_array().unwrap().iter().map(|flow| (&flow["chunk_file"], &flow["chunk_index"])).collect();
    assert_eq!(files.len(), 5);
    for (flow, (file, at)) in index.as_array().unwrap().iter().zip(files) {
        let file = place.json(&format!("out/flows/{}", file.as_str().unwrap()));
        assert_eq!(file[usize::try_from(at.as_u64().unwrap()).unwrap()]["id"], flow["id"]);
    }
    assert_eq!(place.json("out/flows/chunk_00002.json").as_array().unwrap().len(), 1);
    let manifest = place.json("out/manifest.json");
    assert_eq!((&manifest["total_chunks"], &manifest["flows_per_chunk"]), (&3.into(), &2.into()));
}

#[test]
fn a_flow_of_many_packets_is_whole() {
    let rows: Vec<String> =
        (0..3000).map(|n| row(T + n, "a", "b", (4000, 80), if n == 0 { SYN } else { ACK })).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    assert_eq!(place.run(&["in.csv"]).code, Some(0));
    let flow = &place.json("out/flows/chunk_00000.json")[0];
    let times = |packets: &Value| -> Vec<i64> {
        packets.as_array().unwrap().iter().map(|packet| packet["timestamp"].as_i64().unwrap()).collect()
    };
    assert_eq!(times(&flow["packets"]), (0..3000).map(|n| T + n).collect::<Vec<_>>());
    assert_eq!(flow["phases"]["dataTransfer"].as_array().unwrap().len(), 2998);
    assert!(place.text("out/flows/chunk_00000.json").len() > 4 * (256 << 10), "it is more than is gathered at once");
}

#[test]
fn a_table_is_read_alike_packed_piped_and_with_any_ends_of_lines() {
    let plain = small();
    let crlf = plain.replace('\n', "\r\n");
    let marked = format!("\u{feff}{plain}");
    let wide = plain.replace("length", "extra,length").replace(",60,6", ",x,60,6").replace("\n1", "\n\n1");
    let place = Place::new(&[
        ("plain.csv", plain.as_bytes()),
        ("packed.csv", &gzip(plain.as_bytes())),
        ("zstd", &zstd(plain.as_bytes())),
        ("crlf.csv", crlf.as_bytes()),
        ("marked.csv", marked.as_bytes()),
        ("wide.csv", wide.as_bytes()),
        ("cut.csv", plain.trim_end().as_bytes()),
    ]);
    let written = |ran: Ran| {
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let files = files(&place.path("out"));
        fs::remove_dir_all(place.path("out")).unwrap();
        files.into_iter().filter(|(name, _)| name != Path::new("manifest.json")).collect::<Vec<_>>()
    };
    let expected = written(place.run(&["plain.csv"]));
    assert_eq!(expected.len(), 7);
    for name in ["packed.csv", "zstd", "crlf.csv", "marked.csv", "wide.csv", "cut.csv"] {
        assert_eq!(written(place.run(&[name])), expected, "{name}");
    }
    for bytes in [plain.as_bytes(), &gzip(plain.as_bytes())] {
        let mut command = command(["timeline", "-", "--mode", "original", "-o", "out"]);
        let command =
            command.current_dir(place.0.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert_eq!(written(Ran::of(child.wait_with_output().unwrap())), expected);
    }
}

#[test]
fn the_bytes_are_a_function_of_input_options_and_time_of_making() {
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    let manifest = |arguments: &[&str], epoch: Option<&str>| {
        let mut command = command(["timeline", "in.csv", "--mode", "original", "-o", "out", "--force"]);
        command.args(arguments).current_dir(place.0.path()).env_remove("SOURCE_DATE_EPOCH");
        let ran = Ran::of(command.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch))).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        (place.json("out/manifest.json")["created"].clone(), place.text("out/manifest.json"))
    };
    let fixed = manifest(&["--created", "2023-10-19T13:05:09.25"], Some("0"));
    assert_eq!(fixed.0, "2023-10-19T13:05:09.250000");
    assert_eq!(manifest(&[], Some("1700000000")), manifest(&["--created", "1700000000"], None));
    assert_eq!(manifest(&[], Some("1700000000")).0, "2023-11-14T22:13:20");
    let now = manifest(&[], None).0;
    assert!(now.as_str().is_some_and(|now| now > "2024"), "{now}");
    let mut wrong = command(["timeline", "in.csv", "--mode", "original", "-o", "new"]);
    let ran = Ran::of(wrong.current_dir(place.0.path()).env("SOURCE_DATE_EPOCH", "soon").output().unwrap());
    assert!(ran.code == Some(2) && ran.said.contains("SOURCE_DATE_EPOCH"), "{}", ran.said);
}

#[test]
fn times_and_hosts_choose_packets_and_the_manifest_says_so() {
    let rows: Vec<String> =
        (0..4).map(|n| row(T + n * SECOND, "a", if n == 2 { "c" } else { "b" }, (4000, 80), ACK)).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    let run = |arguments: &[&str]| {
        let ran = place.run(&[&["in.csv", "--force"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let manifest = place.json("out/manifest.json");
        (manifest["total_packets"].clone(), manifest["filter_applied"].clone())
    };
    let all = serde_json::json!({"ips": null, "time_start_us": null, "time_end_us": null, "time_start_minutes": null, "time_end_minutes": null});
    assert_eq!(run(&[]), (4.into(), all));
    // A range of ours ends before its end, one of the original's with it.
    let range = serde_json::json!({"ips": null, "time_start_us": T + 1, "time_end_us": T + 2 * SECOND - 1, "time_start_minutes": 28_333_333, "time_end_minutes": 28_333_333});
    assert_eq!(run(&["--from", "1700000000.0000005", "--to", "1700000002"]), (1.into(), range));
    assert_eq!(run(&["--filter-time-end", &(T + 2 * SECOND).to_string()]).0, 3);
    assert_eq!(run(&["--hosts", "c,x"]).0, 1);
    assert_eq!(run(&["--hosts", "c,x"]).1["ips"], serde_json::json!(["c", "x"]));
    assert_eq!(run(&["--max-records", "3"]).0, 3);
    assert_eq!(run(&["--max-records", "0"]).0, 4);
    let nobody = place.run(&["in.csv", "--force", "--hosts", "nobody"]);
    assert_eq!(nobody.code, Some(0), "{}", nobody.said);
    assert!(!place.path("out/packets.csv").exists());
    for (arguments, said) in [
        (&["--filter-time-start", "5", "--filter-time-end", "4"][..], "no time lies between"),
        (&["--filter", "tcp"], "--filter is about captures"),
    ] {
        let ran = place.run(&[&["in.csv", "--force"], arguments].concat());
        assert!(ran.code == Some(2) && ran.said.contains(said), "{}", ran.said);
    }
}

#[test]
fn without_packets_there_is_a_folder_that_says_so() {
    let place = Place::new(&[("in.csv", format!("{HEADER}\n").as_bytes())]);
    let ran = place.run(&["in.csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let read = |name: &str| place.text(&format!("out/{name}"));
    assert_eq!(["indices/bins.json", "flows/flows_index.json", "ips/unique_ips.json"].map(read), ["[]"; 3]);
    assert_eq!(["ips/ip_stats.json", "ips/flag_stats.json"].map(read), ["{}"; 2]);
    assert!(!place.path("out/packets.csv").exists() && !place.path("out/flows/chunk_00000.json").exists());
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["time_range"], serde_json::json!({"start": 0, "end": 0, "duration": 0}));
    assert_eq!((&manifest["total_packets"], &manifest["total_chunks"]), (&0.into(), &0.into()));
}

#[test]
fn packets_of_one_time_are_one_bin_and_those_of_the_last_time_are_in_none() {
    let bins = |times: &[i64]| {
        let rows: Vec<String> = times.iter().map(|&time| row(time, "a", "b", (1, 2), ACK)).collect();
        let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
        assert_eq!(place.run(&["in.csv"]).code, Some(0));
        let bins = place.json("out/indices/bins.json");
        bins.as_array()
            .unwrap()
            .iter()
            .map(|bin| ["start", "end", "count"].map(|key| bin[key].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(bins(&[T, T]), [[T, T, 2]]);
    let two = bins(&[T, T + 99, T + 100, T + 1, T + 200, T + 200]);
    assert_eq!(
        (two.len(), two[0], two[49], two[50]),
        (100, [T, T + 2, 2], [T + 98, T + 100, 1], [T + 100, T + 102, 1])
    );
    assert_eq!((two[99], two.iter().map(|bin| bin[2]).sum::<i64>()), ([T + 198, T + 200, 0], 4));
    // Narrower than floats of that size lie apart, most bins are empty.
    let narrow = bins(&[T, T + 1, T + 2]);
    assert_eq!(narrow.iter().map(|bin| bin[2]).sum::<i64>(), 2);
    assert_eq!(bins(&[-200, -100, 0])[50], [-100, -98, 1]);
}

// Input and places that are not as they should be.

#[test]
fn a_table_without_its_columns_is_named_and_nothing_is_written() {
    let place =
        Place::new(&[("other.csv", b"time,src_ip\n1,a\n"), ("empty.csv", b""), ("good.csv", small().as_bytes())]);
    for (name, said) in [
        (
            "other.csv",
            "other.csv, line 1: no table of packets, for want of columns: timestamp, dst_ip, src_port, dst_port, flags, length; there are: time, src_ip",
        ),
        ("empty.csv", "the file is empty"),
    ] {
        let ran = place.run(&[name]);
        assert!(ran.code == Some(1) && ran.said.contains(said), "{}", ran.said);
        assert_eq!(place.names(), ["empty.csv", "good.csv", "other.csv"]);
    }
    let ran = place.run(&["other.csv", "good.csv", "empty.csv"]);
    assert!(ran.code == Some(3) && ran.said.contains("for want of columns"), "{}", ran.said);
    assert_eq!(place.json("out/manifest.json")["total_packets"], 2);
}

#[test]
fn rows_that_are_wrong_are_left_out_and_counted() {
    let good = |time| row(T + time, "a", "b", (1, 2), ACK);
    let rows = [
        good(0),
        good(1).replace(&(T + 1).to_string(), "soon"),
        good(2) + ",7",
        "   ".into(),
        good(3).replace(",1,2,", ",http,,"),
        good(4).replace(&(T + 4).to_string(), "inf"),
        format!("{}.5,a,b,1,2,16", T + 5),
    ];
    let mut bytes = table(&rows).into_bytes();
    bytes.extend_from_slice(format!("{},\u{1}b,b,1,2,16\n", T + 6).as_bytes());
    let at = bytes.iter().rposition(|&byte| byte == 1).unwrap();
    bytes[at] = 0xff;
    let place = Place::new(&[("in.csv", &bytes)]);
    let ran = place.run(&["in.csv"]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    for said in [
        "in.csv: 2 rows have no time: left out; line 3 is the first",
        "in.csv: 1 row has more cells than the header: left out; line 4\n",
        "in.csv: 1 row has no decimal number in column src_port: taken for none; line 6\n",
        "in.csv: 1 row has an address that is not UTF-8: left out; line 9\n",
    ] {
        assert!(ran.said.contains(said), "{said}: {}", ran.said);
    }
    let packets = place.text("out/packets.csv");
    let rows: Vec<_> = packets.lines().skip(1).collect();
    let times = [0, 3, 5].map(|time| T + time);
    assert_eq!(
        rows,
        [
            format!("{},a,b,1,2,16,ACK,1,0,60,6", times[0]),
            format!("{},a,b,0,0,16,ACK,1,0,60,6", times[1]),
            format!("{},a,b,1,2,16,ACK,0,0,0,", times[2]),
        ]
    );
}

#[test]
fn a_packed_table_that_is_cut_keeps_what_lies_before() {
    let rows: Vec<String> = (0..20_000).map(|n| row(T + n * n, "a", "b", ((n % 60_000) as u16 + 1, 80), SYN)).collect();
    let packed = gzip(table(&rows).as_bytes());
    let place = Place::new(&[("in.csv.gz", &packed[..packed.len() / 2])]);
    let ran = place.run(&["in.csv.gz"]);
    assert!(ran.code == Some(3) && ran.said.contains("in.csv.gz: the gzip stream is cut"), "{}", ran.said);
    let packets = place.json("out/manifest.json")["total_packets"].as_u64().unwrap();
    assert!(packets > 1000 && ran.said.contains("packets before it kept"), "{packets}");
}

#[test]
fn captures_and_tables_are_not_mixed() {
    let place = Place::new(&[("in.csv", small().as_bytes()), ("a.pcap", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0])]);
    let ran = place.run(&["in.csv", "a.pcap"]);
    assert!(ran.code == Some(2) && ran.said.contains("in.csv and a.pcap are not both"), "{}", ran.said);
}

#[test]
fn a_map_that_is_none_is_refused() {
    for map in [&b"{\"a\": \"1\"}"[..], b"[1]", b"{", b""] {
        let place = Place::new(&[("in.csv", small().as_bytes()), ("map.json", map)]);
        let ran = place.run(&["in.csv", "--ip-map", "map.json"]);
        assert!(ran.code == Some(1) && ran.said.contains("map.json: cannot be read as a map"), "{}", ran.said);
        assert_eq!(place.names(), ["in.csv", "map.json"]);
    }
}

#[test]
fn a_folder_is_replaced_only_if_it_is_a_timeline_and_only_when_asked() {
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    fs::write(place.path("other.csv"), table(&[row(T, "x", "y", (1, 2), ACK)])).unwrap();
    fs::create_dir(place.path("out")).unwrap();
    assert_eq!(place.run(&["in.csv"]).code, Some(0), "an empty folder is as good as none");
    let before = files(&place.path("out"));
    let ran = place.run(&["other.csv"]);
    assert!(ran.code == Some(1) && ran.said.contains("exists already; --force replaces it"), "{}", ran.said);
    assert_eq!(files(&place.path("out")), before);

    fs::write(place.path("out/thesis.txt"), "ten years").unwrap();
    let ran = place.run(&["other.csv", "--force"]);
    assert!(ran.code == Some(1) && ran.said.contains("holds something else"), "{}", ran.said);
    assert_eq!(place.text("out/thesis.txt"), "ten years");
    fs::remove_file(place.path("out/thesis.txt")).unwrap();

    fs::rename(place.path("in.csv"), place.path("out/packets.csv")).unwrap();
    let ran = place.run(&["out/packets.csv", "--force"]);
    assert!(ran.code == Some(2) && ran.said.contains("lies in --output"), "{}", ran.said);

    assert_eq!(place.run(&["other.csv", "--force"]).code, Some(0));
    assert_eq!(place.json("out/ips/unique_ips.json"), serde_json::json!(["x", "y"]));
    assert_eq!(place.names(), ["other.csv", "out"]);
}

#[test]
fn a_file_in_the_way_stays() {
    let place = Place::new(&[("in.csv", small().as_bytes()), ("out", b"mine"), ("wall", b"mine")]);
    let ran = place.run(&["in.csv", "--force"]);
    assert!(ran.code == Some(1) && ran.said.contains("a file is there"), "{}", ran.said);
    let mut command = command(["timeline", "in.csv", "--mode", "original", "-o", "wall/out"]);
    let ran = Ran::of(command.current_dir(place.0.path()).output().unwrap());
    assert!(ran.code == Some(1) && ran.said.contains("wall"), "{}", ran.said);
    assert_eq!((place.text("out"), place.text("wall"), place.names().len()), ("mine".into(), "mine".into(), 3));
}

/// A limit on the size of files stands for a disk that is full.
#[cfg(unix)]
#[test]
fn a_write_that_fails_leaves_nothing() {
    let rows: Vec<String> = (0..2000).map(|n| row(T + n, "a", "b", (n as u16 + 1, 80), SYN)).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    let ran = |blocks: &str| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" timeline in.csv --mode original -o out");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_pcap-compactor")]);
        Ran::of(shell.current_dir(place.0.path()).output().unwrap())
    };
    // packets.csv, and then flows, which are larger.
    for blocks in ["16", "400"] {
        let ran = ran(blocks);
        assert!(ran.code == Some(1) && ran.said.contains("cannot write"), "{blocks}: {ran:?}");
        assert_eq!(place.names(), ["in.csv"], "{blocks}");
    }
    assert_eq!(ran("unlimited").code, Some(0));
}

/// Runs `in.csv` by the library, into `out`.
fn embedded(place: &Place, options: Options, progress: &Progress) -> Result<table::TableReport> {
    let about = About {
        created: Timestamp(0),
        sources: Vec::new(),
        choice: options.choice.clone(),
        context: None,
        mode: Mode::Original,
    };
    let mut sink = Chunked::create(&place.path("out"), false, 2, about)?;
    let inputs = [Input::File(place.path("in.csv"))];
    let mut machine = Original::new(options);
    let mut reports = table::run(&inputs, &Names::default(), Mode::Original, progress, &mut machine, &mut sink)?;
    Ok(reports.remove(0))
}

#[test]
fn a_run_that_is_stopped_leaves_nothing() {
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    let progress = Progress::default();
    progress.stop();
    let error = embedded(&place, Options::default(), &progress).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stopped));
    assert_eq!(place.names(), ["in.csv"]);
}

const NUMBERS: &[i64] = &[i64::MIN, i64::MAX, 0, 1, -1, 6, 16, 18, 17, T];
const OTHERS: &[&[u8]] =
    &[b"\"a,\n\"", b"\"", b"nan", b"1e300", b"", b"0x2", b"\xff", b"\r", b"9223372036854775808", b"\xf0\x9f\x98\x80"];

/// Cells as bad as they get.
fn cell() -> impl Strategy<Value = Vec<u8>> {
    let text = |n: i64| n.to_string().into_bytes();
    prop_oneof![
        4 => proptest::sample::select(NUMBERS).prop_map(text),
        4 => (0_i64..4).prop_map(text),
        1 => proptest::sample::select(OTHERS).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn no_cells_make_it_panic_or_write_what_does_not_add_up(
        rows in proptest::collection::vec(proptest::collection::vec(cell(), 1..12), 0..30),
        read_rows in 1_u64..9,
    ) {
        let mut bytes = format!("{HEADER}\n").into_bytes();
        for row in &rows {
            bytes.extend(row.join(&b','));
            bytes.push(b'\n');
        }
        let place = Place::new(&[("in.csv", &bytes)]);
        let report = embedded(&place, Options { read_rows, ..Options::default() }, &Progress::default()).unwrap();
        prop_assert!(report.failed.is_none());
        let manifest = place.json("out/manifest.json");
        prop_assert_eq!(&manifest["total_packets"], &Value::from(report.packets));
        let index = place.json("out/flows/flows_index.json");
        let index = index.as_array().unwrap();
        prop_assert_eq!(&manifest["total_flows"], &Value::from(index.len()));
        prop_assert_eq!(&manifest["total_chunks"], &Value::from(index.len().div_ceil(2)));
        let listed: u64 = index.iter().map(|flow| flow["totalPackets"].as_u64().unwrap()).sum();
        prop_assert!(listed <= manifest["tcp_packets"].as_u64().unwrap());
        let sent: u64 = place.json("out/ips/ip_stats.json").as_object().unwrap().values().map(|host| host["sent_packets"].as_u64().unwrap()).sum();
        let flagged: u64 = place.json("out/ips/flag_stats.json").as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        prop_assert_eq!([sent, flagged].map(Value::from), [manifest["tcp_packets"].clone(), manifest["tcp_packets"].clone()]);
        for flow in index {
            let file = place.json(&format!("out/flows/{}", flow["chunk_file"].as_str().unwrap()));
            let whole = &file[usize::try_from(flow["chunk_index"].as_u64().unwrap()).unwrap()];
            prop_assert_eq!(&whole["key"], &flow["key"]);
            prop_assert!(whole["packets"].as_array().unwrap().len() as u64 <= flow["totalPackets"].as_u64().unwrap());
        }
    }
}

// Tables for the other machine.

/// Makes no flows.
struct Passes;

impl Machine for Passes {
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        sink.packet(&packet, hosts)
    }
    fn finish(&mut self, _: &Hosts, _: &mut dyn TimelineSink) -> Result<()> {
        Ok(())
    }
}

fn correct(table: &str, choice: Choice) -> Result<(Kept, Vec<Fault>)> {
    let place = Place::new(&[("in.csv", table.as_bytes())]);
    let (mut kept, inputs) = (Kept::default(), [Input::File(place.path("in.csv"))]);
    let mut machine = Chosen::new(choice, Passes);
    let reports = table::run(&inputs, &Names::default(), Mode::Correct, &Progress::default(), &mut machine, &mut kept)?;
    Ok((kept, reports.into_iter().flat_map(|report| report.remarks).map(|remark| remark.fault).collect()))
}

#[test]
fn the_correct_machine_gets_no_times_of_other_units_and_no_flags_in_hexadecimal() {
    let packet = row(T, "a", "b", (1, 2), SYN);
    let refused = |rows: &[String]| match correct(&table(rows), Choice::default()).map(|_| ()).unwrap_err().kind() {
        ErrorKind::Table { path, line, message } => {
            assert!(path.ends_with("in.csv"));
            (*line, message.clone())
        }
        other => panic!("{other:?}"),
    };
    let (line, message) = refused(&[packet.clone(), packet.replace(",2,1,0,60", ",0x12,1,0,60")]);
    assert_eq!(
        (line, message.as_str()),
        (3, "column flags: 0x12 is hexadecimal; flags are decimal here, 18 in this row")
    );
    for (time, unit, way) in [
        ("1700000000.123456", "seconds", "multiply it by 1,000,000"),
        ("1700000000000", "milliseconds", "multiply it by 1,000"),
        ("1700000000000000000", "nanoseconds", "divide it by 1,000"),
    ] {
        let (line, message) = refused(&["soon".into(), packet.replace(&T.to_string(), time)]);
        assert!(line == 3 && message.contains(unit) && message.ends_with(way), "{message}");
    }
    // A time from a beginning of its own is known by the first, so a later one is taken.
    let own = [packet.replace(&T.to_string(), "0"), packet.replace(&T.to_string(), "1700000000")];
    let (kept, faults) = correct(&table(&own), Choice::default()).unwrap();
    assert_eq!((kept.packets.len(), kept.finished, faults), (2, 1, vec![]));
}

#[test]
fn the_correct_machine_gets_protocols_by_name_and_only_what_is_chosen() {
    let rows = ["6", "TCP", "udp", "", "SCTP"]
        .map(|name| row(T, "a", "b", (1, 2), SYN).replace(",60,6", &format!(",60,{name}")));
    let choice = Choice { most: Some(5), hosts: Some(vec!["b".into()]), ..Choice::default() };
    let (kept, faults) = correct(&table(&rows), choice.clone()).unwrap();
    let protocols: Vec<_> = kept.packets.iter().map(|packet| packet.protocol).collect();
    assert_eq!(protocols, [Some(6), Some(6), Some(17), None, None]);
    assert_eq!(faults, [Fault::NoNumber("protocol")]);
    let (kept, _) = correct(&table(&rows), Choice { most: Some(2), ..choice }).unwrap();
    assert_eq!(kept.packets.len(), 2);
}
