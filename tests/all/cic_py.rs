//! `cic-py` and `cic-py-0.2`: against what cicflowmeter of PyPI wrote of the same captures, and its sweeps against a plain model.
//!
//! Every value of every row is compared; rows are a multiset by 5-tuple and start. Integers and text are equal, reals within
//! 1e-9, relative. The model holds flows in a list and walks all of them in each sweep, as the program does.

use std::net::{IpAddr, Ipv4Addr};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::flows::dialects::Dialect;
use proptest::prelude::*;

use crate::cic::{CAPTURES, Captured, Row, by_start, cell, ms, reference, rows, written};
use crate::command::run;
use crate::flows::{frame, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, SYN, Sent};
use crate::run::file;
use crate::traffic::START;

fn dialect(name: &str) -> Dialect {
    name.parse().unwrap()
}

fn same(ours: &str, theirs: &str) -> bool {
    let numbers = || Some((ours.parse::<f64>().ok()?, theirs.parse::<f64>().ok()?));
    let real = |text: &str| text.contains(['.', 'e', 'E']);
    ours == theirs
        || real(ours) && real(theirs) && numbers().is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()))
}

fn compare(name: &str, folder: &str) {
    let Some(reference) = reference() else { return };
    let dialect = dialect(name);
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for capture in CAPTURES {
        let text = std::fs::read_to_string(reference.join(folder).join(format!("{capture}.csv")));
        let theirs = by_start(rows(&text.expect("the reference is there")), 6, 11..15);
        let paths = [reference.join(format!("pcap/{capture}.pcap"))];
        let mut ours = by_start(rows(&written(&paths, &dialect, 1)), 6, 11..15);
        for (key, theirs) in theirs {
            let ours = ours.remove(&key).unwrap_or_default();
            if ours.len() != theirs.len() {
                wrong.push(format!("{capture}: {} rows of {}, not {}", ours.len(), key.join(" "), theirs.len()));
            }
            for ((name, ours), (column, theirs)) in ours.iter().zip(&theirs).flat_map(|(a, b)| a.iter().zip(b)) {
                assert_eq!(name, column);
                compared += 1;
                if !same(ours, theirs) {
                    wrong.push(format!("{capture}: {} {name}: {ours}, not {theirs}", key.join(" ")));
                }
            }
        }
        wrong.extend(ours.into_keys().map(|key| format!("{capture}: {} is not there", key.join(" "))));
    }
    assert!(wrong.is_empty(), "{} of {compared} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(compared, 82 * (1 + 797 + 24 + 44 + 11 + 11));
}

#[test]
fn every_value_of_0_4_2_is_the_same() {
    compare("cic-py", "py_cicflowmeter_0.4.2");
}

#[test]
fn every_value_of_0_2_0_is_the_same() {
    compare("cic-py-0.2", "py_cicflowmeter_0.2.0");
}

/// What is told of a flow: ends, protocol, start in seconds from [`START`], duration in seconds, packets forward and backward.
type Told = ((IpAddr, u16), (IpAddr, u16), u8, i64, String, u64, u64);

/// A flow of the model.
struct Held {
    src: (IpAddr, u16),
    dst: (IpAddr, u16),
    level: i64,
    protocol: u8,
    start: i64,
    last: i64,
    packets: [u64; 2],
}

impl Held {
    fn told(&self) -> Told {
        let duration = format!("{:?}", (self.last - self.start) as f64 / 1e9);
        let start = (self.start - START).div_euclid(SECOND);
        (self.src, self.dst, self.protocol, start, duration, self.packets[0], self.packets[1])
    }
}

/// The flows of packets, by the rules of the program.
fn model(packets: &[Sent]) -> Vec<Told> {
    let (mut held, mut told): (Vec<Held>, Vec<Told>) = (Vec::new(), Vec::new());
    for (n, packet) in (1..).zip(packets) {
        let is = |flow: &Held, level, forward| {
            let ends = if forward { (packet.src, packet.dst) } else { (packet.dst, packet.src) };
            flow.level == level && (flow.src, flow.dst) == ends
        };
        let begin = |held: &mut Vec<Held>, level, forward: bool| {
            let [src, dst] = if forward { [packet.src, packet.dst] } else { [packet.dst, packet.src] };
            let mut packets = [0; 2];
            // The first packet counts twice.
            packets[usize::from(!forward)] = 1;
            let (protocol, time) = (packet.protocol, packet.time);
            held.push(Held { src, dst, level, protocol, start: time, last: time, packets });
            held.len() - 1
        };
        let find = |held: &[Held], level, forward| held.iter().position(|flow| is(flow, level, forward));
        let (at, forward) = match (find(&held, 0, true), find(&held, 0, false)) {
            (Some(at), _) => (at, true),
            (None, Some(at)) => (at, false),
            (None, None) => (begin(&mut held, 0, true), true),
        };
        let (mut at, mut level) = (at, 0);
        while packet.time - held[at].last > 240 * SECOND * (level + 1) {
            level += 1;
            at = match find(&held, level, forward) {
                Some(at) => at,
                None => begin(&mut held, level, forward),
            };
        }
        let flow = &mut held[at];
        flow.packets[usize::from(!forward)] += 1;
        flow.last = flow.last.max(packet.time);
        if n % 1000 == 0 || flow.last - flow.start > 120 * SECOND {
            held.retain(|flow| {
                let stays = packet.time - flow.last < 240 * SECOND && flow.last - flow.start < 90 * SECOND;
                if !stays {
                    told.push(flow.told());
                }
                stays
            });
        }
    }
    told.extend(held.iter().map(Held::told));
    told.sort();
    told
}

/// What was written of flows.
fn told(text: &str) -> Vec<Told> {
    let told = |row: &Row| {
        let end = |ip, port| (cell(row, ip).parse().unwrap(), cell(row, port).parse().unwrap());
        let n = |name| cell(row, name).parse().unwrap();
        let time = cell(row, "timestamp");
        let part = |at: std::ops::Range<usize>| time[at].parse::<i64>().unwrap();
        // START is at noon of the 19th.
        let start = ((part(8..10) - 19) * 24 + part(11..13) - 12) * 3600 + part(14..16) * 60 + part(17..19);
        let (src, dst) = (end("src_ip", "src_port"), end("dst_ip", "dst_port"));
        let protocol = cell(row, "protocol").parse().unwrap();
        let duration = cell(row, "flow_duration").to_owned();
        (src, dst, protocol, start, duration, n("tot_fwd_pkts"), n("tot_bwd_pkts"))
    };
    let mut told: Vec<_> = rows(text).iter().map(told).collect();
    told.sort();
    told
}

/// A packet between few ends.
fn packet(from: u8, to: u8, protocol: u8) -> Sent {
    let end = |n: u8| (Ipv4Addr::new(10, 0, 0, n / 2).into(), u16::from(n % 2));
    Sent { src: end(from), dst: end(to), protocol, payload: 1, ..udp(0, 0) }
}

/// Packets close to one another, but for gaps beside all that sweeps ask for, and times that go back.
fn packets(back: bool) -> impl Strategy<Value = Vec<Sent>> {
    let beside = [89, 90, 91, 119, 120, 121, 239, 240, 241, 480, 481, 720];
    let beside = (prop::sample::select(beside.to_vec()), -1..=1_i64).prop_map(|(s, ms)| s * 1000 + ms);
    let step = prop_oneof![
        600 => 0..20_i64,
        40 => 0..2000_i64,
        2 => beside,
        u32::from(back) => -300_000..0_i64,
    ];
    let packet = (0..6_u8, 0..6_u8, prop::sample::select(vec![6, 17])).prop_map(|(a, b, p)| packet(a, b, p));
    prop::collection::vec((packet, step), 1..2500).prop_map(|list| {
        let mut now = 0;
        let set = |(packet, step)| {
            now += step;
            Sent { time: ms(now), ..packet }
        };
        list.into_iter().map(set).collect()
    })
}

proptest! {
    #[test]
    fn sweeps_are_those_of_the_model_on_any_number_of_threads(packets in prop::bool::ANY.prop_flat_map(packets)) {
        let (capture, dialect) = (Captured::new(&packets), dialect("cic-py"));
        let once = written(&capture.paths, &dialect, 1);
        prop_assert_eq!(told(&once), model(&packets));
        for threads in [2, 4] {
            prop_assert_eq!(&written(&capture.paths, &dialect, threads), &once);
        }
        // Files are in order of their first packet.
        let cut = packets.len() / 2;
        if let Some(cut) = (cut..packets.len()).find(|&cut| packets[cut].time > packets[0].time) {
            let parts = Captured::in_files(&[&packets[..cut], &packets[cut..]]);
            prop_assert_eq!(told(&written(&parts.paths, &dialect, 4)), told(&once));
        }
    }
}

/// One row, of a capture that has one flow.
fn only(packets: &[Sent], name: &str) -> Row {
    let mut rows = rows(&written(&Captured::new(packets).paths, &dialect(name), 1));
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

fn cells<const N: usize>(row: &Row, names: [&str; N]) -> [String; N] {
    names.map(|name| cell(row, name).to_owned())
}

#[test]
fn the_first_packet_counts_twice_and_a_single_gap_is_none() {
    const NAMES: [&str; 9] = [
        "tot_fwd_pkts",
        "totlen_fwd_pkts",
        "fwd_act_data_pkts",
        "syn_flag_cnt",
        "flow_iat_min",
        "flow_iat_max",
        "fwd_iat_tot",
        "flow_duration",
        "fwd_pkts_s",
    ];
    let talk = [segment(ms(0), true, SYN, 0, 0, 0), segment(ms(250), true, ACK, 0, 0, 46)];
    let twice = ["3", "208", "1", "2", "0.0", "0.25", "0.25", "0.25", "12.0"];
    assert_eq!(cells(&only(&talk, "cic-py"), NAMES), twice);
    let once = ["2", "154", "1", "1", "0", "0", "0", "250000.0", "8.0"];
    assert_eq!(cells(&only(&talk, "cic-py-0.2"), NAMES), once);
}

#[test]
fn padding_is_payload_and_neither_fin_nor_rst_end_a_flow() {
    let padded = Sent { padding: 6, ..segment(ms(0), true, FIN, 0, 0, 0) };
    let talk = [padded, segment(ms(10), false, RST, 0, 0, 0), segment(ms(20), true, SYN, 0, 0, 0)];
    let names = ["fwd_act_data_pkts", "fwd_pkt_len_max", "fwd_header_len", "fin_flag_cnt", "rst_flag_cnt"];
    assert_eq!(cells(&only(&talk, "cic-py-0.2"), names), ["1", "60", "40", "1", "1"]);
}

/// A flow of 95 s, which no other traffic tells anything but when sweeps come.
fn long() -> Vec<Sent> {
    [0, 95_000, 96_000].map(|at| segment(ms(at), true, ACK, 0, 0, 0)).to_vec()
}

#[test]
fn the_thousandth_packet_of_the_run_cuts_what_lasts_90_seconds() {
    let counts = |others: u32| {
        let mut packets = long();
        packets.splice(2..2, (0..others).map(|n| udp(ms(95_100), n)));
        let capture = Captured::new(&packets);
        let rows = rows(&written(&capture.paths, &dialect("cic-py-0.2"), 1));
        let of_tcp = rows.iter().filter(|row| cell(row, "protocol") == "6");
        of_tcp.map(|row| cell(row, "tot_fwd_pkts").to_owned()).collect::<Vec<_>>()
    };
    // Behind two of its packets, 997 others are not enough.
    assert_eq!((counts(997), counts(998)), (vec!["3".into()], vec!["2".into(), "1".into()]));
}

#[test]
fn a_flow_of_more_than_120_seconds_cuts_all_that_are_long_or_silent() {
    let mut packets = long();
    packets.splice(0..0, [udp(ms(0), 3), udp(ms(1), 2)]);
    // Of these 120 s are not enough, 120.001 s are: they end the long one, too.
    packets.extend([120_001, 120_002].map(|at| udp(ms(at), 2)));
    packets.push(segment(ms(120_003), true, ACK, 0, 0, 0));
    // Now the silent one, whose ends then begin anew.
    packets.extend([125_000, 245_001].map(|at| udp(ms(at), 4)));
    let silent = udp(ms(245_002), 3);
    packets.push(Sent { src: silent.dst, dst: silent.src, ..silent });
    let rows = rows(&written(&Captured::new(&packets).paths, &dialect("cic-py-0.2"), 1));
    let mut found: Vec<_> = rows.iter().map(|row| cells(row, ["src_ip", "flow_duration", "tot_fwd_pkts"])).collect();
    found.sort();
    let expected = [
        ["10.0.0.1", "0.0", "1"],
        ["10.0.0.1", "96000000.0", "3"],
        ["10.0.0.2", "120001000.0", "3"],
        ["10.0.0.3", "0.0", "1"],
        ["10.0.0.4", "120001000.0", "2"],
        ["9.0.0.1", "0.0", "1"],
    ];
    assert_eq!(found, expected);
}

/// The program ends with an error when it writes a flow that has no packet forward.
#[test]
fn a_flow_that_silence_parts_may_begin_backward() {
    let packets = [
        segment(ms(0), true, ACK, 0, 0, 0),
        segment(ms(240_001), false, ACK, 0, 0, 4),
        segment(ms(240_002), false, ACK, 0, 0, 4),
    ];
    let rows = rows(&written(&Captured::new(&packets).paths, &dialect("cic-py"), 1));
    let names = [
        "src_port",
        "dst_port",
        "tot_fwd_pkts",
        "tot_bwd_pkts",
        "fwd_seg_size_min",
        "down_up_ratio",
        "fwd_pkt_len_min",
    ];
    let found: Vec<_> = rows.iter().map(|row| cells(row, names)).collect();
    assert_eq!(found, [["40000", "80", "2", "0", "20", "0.0", "54"], ["40000", "80", "0", "3", "0", "0", "0"]]);
}

#[test]
fn tcp_and_udp_between_the_same_ends_are_one_flow() {
    let tcp = segment(ms(0), true, ACK, 0, 0, 0);
    let udp = Sent { protocol: 17, time: ms(1), payload: 3, ..segment(ms(0), false, 0, 0, 0, 0) };
    let names = ["protocol", "tot_fwd_pkts", "tot_bwd_pkts", "bwd_header_len", "init_bwd_win_byts"];
    assert_eq!(cells(&only(&[tcp.clone(), udp.clone()], "cic-py-0.2"), names), ["6", "1", "1", "8", "0"]);
    assert_eq!(cells(&only(&[udp, tcp], "cic-py"), names), ["17", "2", "1", "20", "500"]);
}

/// Each is 1 s longer than another flow beside takes; no sweep comes. The last goes on.
#[test]
fn ever_longer_silences_begin_flows_beside_one_another() {
    let mut now = 0;
    let begins = |level: i64| {
        now += level * 241_000;
        udp(ms(now), 1)
    };
    let mut packets: Vec<_> = (0..40).map(begins).collect();
    packets.extend((1..4).map(|n| udp(ms(now + n), 1)));
    let told = told(&written(&Captured::new(&packets).paths, &dialect("cic-py"), 1));
    assert_eq!((told.len(), &told), (40, &model(&packets)));
}

/// Thousands of sweeps, each earlier than the one before: at a marker all flows are asked, and the sweeps forgotten.
#[test]
fn sweeps_may_go_back_in_time() {
    let talk = |n: i64| [0, 121_000].map(|at| udp(ms(10_000_000 + at - n), 10 + n as u32));
    let silent = [9_700_000, 9_870_000, 9_890_000].map(ms);
    let silent: Vec<_> = silent.iter().zip(1..).map(|(&at, n)| udp(at, n)).collect();
    let mut packets = silent.clone();
    packets.extend((0..5_000).flat_map(talk));
    let cut = packets.len();
    packets.extend(silent.iter().map(|sent| Sent { time: sent.time + 239 * SECOND, ..sent.clone() }));
    packets.extend(talk(5_001));
    let capture = Captured::in_files(&[&packets[..cut], &packets[cut..]]);
    let dialect = dialect("cic-py");
    let once = written(&capture.paths, &dialect, 1);
    assert_eq!(told(&once), model(&packets));
    assert_eq!(written(&capture.paths, &dialect, 4), once);
}

#[test]
fn without_flows_there_is_a_header_and_what_the_filter_leaves_out_is_counted() {
    let arp = frame(&udp(ms(0), 1)).iter().enumerate().map(|(n, &byte)| if n == 13 { 6 } else { byte }).collect();
    let mut tagged = frame(&udp(ms(0), 1));
    tagged.splice(12..12, [0x81, 0x00, 0, 5]);
    let mut later = frame(&udp(ms(0), 1));
    later[21] = 9;
    let icmp = frame(&Sent { protocol: 1, payload: 8, ..udp(ms(0), 1) });
    let v6 = |n: u16| (std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into(), 1);
    let v6 = frame(&Sent { src: v6(1), dst: v6(2), ..udp(ms(0), 1) });
    let folder = tempfile::tempdir().unwrap();
    let capture = |name: &str, frames: &[Vec<u8>]| {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        for frame in frames {
            writer.record(Timestamp(ms(0)), frame.len() as u32, frame).unwrap();
        }
        file(folder.path(), name, &writer.finish().unwrap())
    };
    let others: Vec<Vec<u8>> = vec![arp, tagged, later, icmp, v6];
    for path in [capture("empty.pcap", &[]), capture("others.pcap", &others)] {
        for name in ["cic-py", "cic-py-0.2"] {
            let text = written(std::slice::from_ref(&path), &dialect(name), 2);
            assert_eq!(text.lines().map(|line| line.split(',').count()).collect::<Vec<_>>(), [82]);
        }
    }
    let ran =
        run(["flows", folder.path().join("others.pcap").to_str().unwrap(), "--dialect", "cic-py", "--format", "jsonl"]);
    assert_eq!(ran.metrics()["ledger"]["filtered"]["packets"], 4, "{}", ran.out);
}

#[test]
fn the_command_has_them_with_switches_and_without_timeouts() {
    let capture = Captured::new(&long());
    let flows = |words: &[&'static str]| {
        run(["flows", capture.paths[0].to_str().unwrap()].into_iter().chain(words.iter().copied()))
    };
    let usual = flows(&["--dialect", "cic-py"]);
    let set = flows(&["--dialect", "cic-py", "--set", "first_packet_twice=no", "--set", "time=us"]);
    let names = ["tot_fwd_pkts", "flow_duration", "timestamp"];
    let of = |ran: &crate::command::Ran| cells(&rows(&ran.out)[0], names);
    assert_eq!(of(&usual), ["4", "96.0", "2023-10-19 12:00:00"]);
    assert_eq!(of(&set), ["3", "96000000.0", "2023-10-19 12:00:00"]);
    let refused = flows(&["--dialect", "cic-py", "--udp-timeout", "60"]);
    assert!(refused.code == Some(2) && refused.said.contains("in sweeps"), "{}", refused.said);

    let schema = |name: &'static str| run(["schema", "flows", "--dialect", name]).out;
    let [columns, differences, switches] =
        schema("cic-py").split("\n\n").map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    let listed: Vec<_> = columns.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(usual.out.lines().next().unwrap().split(',').collect::<Vec<_>>(), listed);
    assert!(
        differences.contains("all is 0\tseen by running cicflowmeter 0.4.2\n")
            && switches.contains("\nsweeps\tyes\tno, yes\t")
    );
    assert!(columns.contains("\nflow_duration\tfloat\ts\t"), "{columns}");
    assert!(schema("cic-py-0.2").contains("\nflow_duration\tfloat\tµs\t"));
}
