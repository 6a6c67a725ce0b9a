//! The dialect `lycos` against a plain model: packets of a flow are a list, and every figure is worked out of it.
//!
//! There is no output of LycoSTand to compare with. The model follows its code: what ends and begins flows, and each formula.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pcap_compactor::views::flows::dialects::cic::{Preset, dialect};
use proptest::prelude::*;

use crate::cic::written;
use crate::command::run;
use crate::corpus::corpus;
use crate::csv::parse;
use crate::flows::random::packets;
use crate::flows::{pcap, segment};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, SYN, Sent};
use crate::properties::cases;
use crate::run::{balances, file, number};
use crate::traffic::START;

const PSH: u8 = 8;
const URG: u8 = 32;
const HEADER: usize = 83;

/// What is expected of a cell.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
}

fn text(text: impl ToString) -> Value {
    Value::Text(text.to_string())
}

/// Greatest, least, mean, variance and deviation (of a sample) of values, and their sum.
fn figures(values: &[f64]) -> [f64; 6] {
    let n = values.len() as f64;
    if values.is_empty() {
        return [0.0; 6];
    }
    let sum: f64 = values.iter().sum();
    let spread: f64 = values.iter().map(|value| (value - sum / n).powi(2)).sum();
    let var = if n < 2.0 { 0.0 } else { spread / (n - 1.0) };
    let fold = |start, pick: fn(f64, f64) -> f64| values.iter().copied().fold(start, pick);
    [fold(f64::MIN, f64::max), fold(f64::MAX, f64::min), sum / n, var, var.sqrt(), sum]
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// A flow: its source, and its packets with 0 for forward and 1 for backward.
#[derive(Clone, Debug)]
struct Flow {
    src: (IpAddr, u16),
    packets: Vec<(Sent, usize)>,
}

/// Microseconds.
fn micros(packet: &Sent) -> f64 {
    packet.time.div_euclid(1000) as f64
}

/// Bytes of payload and of the transport header.
fn lengths(packet: &Sent) -> (f64, f64) {
    match packet.protocol {
        6 => (packet.payload.into(), 20.0),
        17 => (packet.payload.into(), 8.0),
        _ => (packet.payload.saturating_sub(8).into(), 8.0),
    }
}

impl Flow {
    fn new(src: (IpAddr, u16), packet: &Sent) -> Flow {
        let mut flow = Flow { src, packets: Vec::new() };
        flow.add(packet);
        flow
    }

    fn add(&mut self, packet: &Sent) {
        self.packets.push((packet.clone(), usize::from(packet.src != self.src)));
    }

    fn side(&self, side: usize) -> Vec<&Sent> {
        self.packets.iter().filter(|(_, of)| *of == side).map(|(packet, _)| packet).collect()
    }

    fn with(&self, side: Option<usize>, flag: u8) -> Value {
        let has = |(packet, of): &&(Sent, usize)| {
            packet.protocol == 6 && packet.flags & flag != 0 && side.is_none_or(|side| side == *of)
        };
        Value::Number(self.packets.iter().filter(has).count() as f64)
    }

    /// Bulks of a direction: how many, their packets, bytes and microseconds.
    fn bulks(&self, side: usize) -> [f64; 4] {
        let mut runs: Vec<Vec<&Sent>> = vec![Vec::new()];
        let mut theirs = f64::MIN;
        for (packet, of) in self.packets.iter().filter(|(packet, _)| lengths(packet).0 > 0.0) {
            if *of != side {
                theirs = micros(packet);
                continue;
            }
            let run = runs.last_mut().unwrap();
            let pause = run.last().is_some_and(|last| micros(packet) - micros(last) > 1e6);
            let interrupted = run.first().is_some_and(|first| theirs > micros(first));
            if pause || interrupted { runs.push(vec![packet]) } else { run.push(packet) }
        }
        let bulks: Vec<_> = runs.iter().filter(|run| run.len() >= 4).collect();
        let sum = |of: &dyn Fn(&[&Sent]) -> f64| bulks.iter().map(|run| of(run)).sum::<f64>();
        [
            bulks.len() as f64,
            sum(&|run| run.len() as f64),
            sum(&|run| run.iter().map(|packet| lengths(packet).0).sum()),
            sum(&|run| micros(run[run.len() - 1]) - micros(run[0])),
        ]
    }

    /// Active periods and pauses, parted by gaps over 5 s; a FIN or RST ends none.
    fn periods(&self) -> [Vec<f64>; 2] {
        let (mut active, mut idle) = (Vec::new(), Vec::new());
        let mut since = micros(&self.packets[0].0);
        for pair in self.packets.windows(2) {
            let [last, next] = [&pair[0].0, &pair[1].0];
            let gap = micros(next) - micros(last);
            let closes = next.protocol == 6 && next.flags & (FIN | RST) != 0;
            if gap > 5e6 && !closes {
                active.extend(Some(micros(last) - since).filter(|period| *period > 0.0));
                idle.push(gap);
                since = micros(next);
            }
        }
        [active, idle]
    }

    fn row(&self) -> Vec<Value> {
        let first = &self.packets[0].0;
        let dst = if first.src == self.src { first.dst } else { first.src };
        let all: Vec<&Sent> = self.packets.iter().map(|(packet, _)| packet).collect();
        let sides = [self.side(0), self.side(1)];
        let times = |packets: &[&Sent]| packets.iter().map(|packet| micros(packet)).collect::<Vec<_>>();
        let payloads = |packets: &[&Sent]| packets.iter().map(|packet| lengths(packet).0).collect::<Vec<_>>();
        let duration = micros(all[all.len() - 1]) - micros(all[0]);
        let rate = |n: f64| if duration > 0.0 { n / (duration / 1e6) } else { 0.0 };
        let part = |n: f64, of: f64| if of == 0.0 { 0.0 } else { n / of };
        let counts = [sides[0].len() as f64, sides[1].len() as f64];
        let [max, min, mean, var, std, sum] = figures(&payloads(&all));

        let protocol = first.protocol;
        let ((src_ip, src_port), (dst_ip, dst_port)) = (self.src, dst);
        let mut row = vec![
            text(format!("{src_ip}-{dst_ip}-{src_port}-{dst_port}-{protocol}")),
            text(src_ip),
            text(src_port),
            text(dst_ip),
            text(dst_port),
            text(protocol),
            text(micros(first) as i64),
            text(duration as i64),
        ];
        let mut put = |values: &[f64]| row.extend(values.iter().copied().map(Value::Number));
        put(&[part(counts[1], counts[0]), max, min, mean, var, std, rate(sum), rate(all.len() as f64)]);
        put(&counts.map(rate));
        for packets in &sides {
            let [max, min, mean, _, std, sum] = figures(&payloads(packets));
            let headers: Vec<f64> = packets.iter().map(|packet| lengths(packet).1).collect();
            let data = packets.iter().filter(|packet| lengths(packet).0 > 0.0).count() as f64;
            put(&[packets.len() as f64, sum, max, min, mean, std, figures(&headers)[5], figures(&headers)[1], data]);
        }
        let [max, min, mean, _, std, _] = figures(&gaps(&times(&all)));
        put(&[max, min, mean, std]);
        for packets in &sides {
            let [max, min, mean, _, std, sum] = figures(&gaps(&times(packets)));
            put(&[sum, max, min, mean, std]);
        }
        for periods in self.periods() {
            let [max, min, mean, _, std, _] = figures(&periods);
            put(&[max, min, mean, std]);
        }
        let flags = [(None, SYN), (None, FIN), (None, RST), (None, ACK), (None, PSH), (Some(0), PSH), (Some(1), PSH)];
        row.extend(flags.map(|(side, flag)| self.with(side, flag)));
        row.extend(
            [(None, URG), (Some(0), URG), (Some(1), URG), (None, 128), (None, 64)]
                .map(|(side, flag)| self.with(side, flag)),
        );
        for side in 0..2 {
            let [bulks, packets, bytes, time] = self.bulks(side);
            row.extend([part(bytes, bulks), part(packets, bulks), part(bytes, time / 1e6)].map(Value::Number));
        }
        let subflows = 1.0 + gaps(&times(&all)).iter().filter(|gap| **gap > 1e6).count() as f64;
        for packets in &sides {
            let bytes: f64 = payloads(packets).iter().sum();
            row.extend([bytes / subflows, packets.len() as f64 / subflows].map(Value::Number));
        }
        let window =
            |packets: &[&Sent]| packets.first().filter(|_| protocol == 6).map_or(-1.0, |packet| packet.window.into());
        row.extend([Value::Number(window(&sides[0])), Value::Number(window(&sides[1])), text("NeedLabel")]);
        row
    }
}

/// What is between two ends.
#[derive(Default)]
struct Place {
    open: Option<Flow>,
    closed: Option<i64>,
}

/// The rows of packets, and how many packets are left out.
fn expected(packets: &[Sent]) -> (Vec<Vec<Value>>, usize) {
    let mut places: BTreeMap<_, Place> = BTreeMap::new();
    let (mut flows, mut left_out) = (Vec::new(), 0);
    for packet in packets {
        if packet.src.0.is_ipv6() || !matches!(packet.protocol, 1 | 2 | 6 | 17) {
            left_out += 1;
            continue;
        }
        let place =
            places.entry((packet.src.min(packet.dst), packet.src.max(packet.dst), packet.protocol)).or_default();
        let has = |flag| packet.protocol == 6 && packet.flags & flag != 0;
        let closes = has(FIN) || has(RST);
        let mut src = if has(SYN) && has(ACK) { packet.dst } else { packet.src };
        let lingers = place.closed.is_some_and(|at| packet.time - at < 240 * SECOND);
        if let Some(mut flow) = place.open.take() {
            if packet.time - flow.packets[0].0.time < 120 * SECOND {
                flow.add(packet);
                if closes {
                    flows.push(flow);
                    place.closed = Some(packet.time);
                } else {
                    place.open = Some(flow);
                }
                continue;
            }
            src = flow.src;
            flows.push(flow);
        } else if lingers && (closes || !has(SYN)) {
            left_out += 1;
            continue;
        }
        if closes {
            left_out += 1;
            place.closed = Some(packet.time);
        } else {
            place.open = Some(Flow::new(src, packet));
            place.closed = None;
        }
    }
    flows.extend(places.into_values().filter_map(|place| place.open));
    (flows.iter().map(Flow::row).collect(), left_out)
}

/// Rows by who talked, when, and how much; what is equal in all of that is told apart by no figure.
fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    let key = |row: &Vec<Value>| {
        row.iter()
            .map(|value| match value {
                Value::Text(text) => text.clone(),
                Value::Number(number) => format!("{number:.3e}"),
            })
            .collect::<Vec<_>>()
    };
    rows.sort_by_key(key);
    rows
}

fn compare(out: &str, expected: Vec<Vec<Value>>) {
    let mut table = parse(out).into_iter();
    let header = table.next().expect("a header");
    let ours: Vec<Vec<Value>> = table
        .map(|row| {
            let value = |(place, cell): (usize, String)| match cell.parse() {
                Ok(number) if place > 7 => Value::Number(number),
                _ => Value::Text(cell),
            };
            row.into_iter().enumerate().map(value).collect()
        })
        .collect();
    assert_eq!(ours.len(), expected.len(), "{out}");
    for (ours, theirs) in sorted(ours).iter().zip(sorted(expected)) {
        assert_eq!([ours.len(), theirs.len(), header.len()], [HEADER; 3]);
        for ((ours, theirs), name) in ours.iter().zip(&theirs).zip(&header) {
            let same = match (ours, theirs) {
                (Value::Number(a), Value::Number(b)) => (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3),
                _ => ours == theirs,
            };
            assert!(same, "{name}: {ours:?}, not {theirs:?}");
        }
    }
}

fn of(packets: &[Sent], threads: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let paths = [file(folder.path(), "a.pcap", &pcap(packets))];
    written(&paths, &dialect(Preset::Lycos, Preset::Lycos.switches()), threads)
}

fn ms(n: i64) -> i64 {
    START + n * SECOND / 1000
}

/// A connection of which all that is counted occurs, what is left out behind it, and the next.
fn connection() -> Vec<Sent> {
    let sent = |at, up, flags, payload, window| Sent { window, ..segment(ms(at), up, flags, 0, 0, payload) };
    let mut packets = vec![sent(0, true, SYN, 0, 1000), sent(10, false, SYN | ACK, 0, 0)];
    packets.extend((20..24).map(|at| sent(at, true, PSH | ACK, 100, 300)));
    packets.extend([
        sent(30, false, PSH | URG | ACK, 50, 200),
        sent(2_030, true, ACK, 7, 300),
        sent(9_030, false, ACK, 3, 199),
        sent(15_030, true, FIN | ACK, 0, 300),
        sent(15_040, false, FIN | ACK, 0, 198),
        sent(15_050, true, ACK, 0, 299),
        sent(16_000, true, SYN, 0, 900),
    ]);
    packets
}

/// What the first flow of [`connection`] comes to, worked out by hand.
fn by_hand() -> Vec<Value> {
    let mut row: Vec<Value> =
        ["10.0.0.1-9.0.0.1-40000-80-6", "10.0.0.1", "40000", "9.0.0.1", "80", "6"].map(text).into();
    row.extend([text("1697716800000000"), text("15030000")]);
    let gap_spread = 1e8 * 2.0 + 1e6 * 3.0 + 4.9e7 + 4e12 + 4.9e13 + 3.6e13 - 15_030_000_f64.powi(2) / 9.0;
    let forward_spread = 4e8 + 3e6 + 2_007_000_f64.powi(2) + 1.69e14 - 15_030_000_f64.powi(2) / 6.0;
    #[rustfmt::skip]
    let numbers = [
        3.0 / 7.0, 100.0, 0.0, 46.0, 21_398.0 / 9.0, (21_398_f64 / 9.0).sqrt(), 460.0 / 15.03, 10.0 / 15.03, 7.0 / 15.03, 3.0 / 15.03,
        // Forward 0, four times 100, 7 and 0; backward 0, 50 and 3.
        7.0, 407.0, 100.0, 0.0, 407.0 / 7.0, ((40_049.0 - 407_f64.powi(2) / 7.0) / 6.0).sqrt(), 140.0, 20.0, 5.0,
        3.0, 53.0, 50.0, 0.0, 53.0 / 3.0, ((2_509.0 - 53_f64.powi(2) / 3.0) / 2.0).sqrt(), 60.0, 20.0, 2.0,
        // Gaps.
        7e6, 1e3, 1.67e6, (gap_spread / 8.0).sqrt(),
        1.503e7, 1.3e7, 1e3, 2.505e6, (forward_spread / 5.0).sqrt(),
        9.02e6, 9e6, 2e4, 4.51e6, (4e8 + 8.1e13 - 9.02e6_f64.powi(2) / 2.0).sqrt(),
        // Active up to the gap of 7 s. That of 6 s is in front of a FIN.
        2.03e6, 2.03e6, 2.03e6, 0.0, 7e6, 7e6, 7e6, 0.0,
        // Flags: SYN, FIN, RST, ACK, PSH thrice, URG thrice, CWR, ECE.
        2.0, 1.0, 0.0, 9.0, 5.0, 4.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0,
        // Four packets in 3 ms; four subflows.
        400.0, 4.0, 400.0 / 0.003, 0.0, 0.0, 0.0, 407.0 / 4.0, 7.0 / 4.0, 53.0 / 4.0, 3.0 / 4.0,
        1000.0, 0.0,
    ];
    row.extend(numbers.map(Value::Number));
    row.push(text("NeedLabel"));
    row
}

#[test]
fn every_column_is_what_it_is_by_hand() {
    let out = of(&connection(), 1);
    let mut next: Vec<Value> = by_hand();
    next[6..8].clone_from_slice(&[text("1697716816000000"), text("0")]);
    next[8..HEADER - 1].fill(Value::Number(0.0));
    // One packet forward, 20 bytes of header, a SYN, windows.
    for (place, number) in [(18, 1.0), (24, 20.0), (25, 20.0), (58, 1.0), (80, 900.0), (81, -1.0)] {
        next[place] = Value::Number(number);
    }
    // One packet in one subflow.
    next[77] = Value::Number(1.0);
    compare(&out, vec![by_hand(), next]);
    assert_eq!(out.lines().next().unwrap().split(',').count(), HEADER);
    // As the header of the original, in its order and cases.
    assert!(
        out.starts_with("flow_id,src_addr,src_port,dst_addr,dst_port,ip_prot,timestamp,flow_duration,down_up_ratio,")
    );
    let end = "fwd_subflow_bytes_mean,fwd_subflow_pkt_mean,bwd_subflow_bytes_mean,bwd_subflow_pkt_mean,\
               fwd_tcp_init_win_bytes,bwd_tcp_init_win_bytes,label";
    assert!(out.lines().next().unwrap().ends_with(end), "{out}");
    assert_eq!(expected(&connection()).1, 2);
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn flows_and_figures_are_those_of_the_model(mut packets in packets(60)) {
        for packet in &mut packets {
            if packet.protocol == 89 && packet.ttl == 255 {
                packet.protocol = 2;
            }
            // An end that answers to itself has no direction.
            if packet.protocol == 6 && packet.src == packet.dst {
                packet.dst.1 += 1;
            }
        }
        let (rows, _) = expected(&packets);
        let once = of(&packets, 1);
        prop_assert_eq!(&once, &of(&packets, 4));
        compare(&once, rows);
    }
}

#[test]
fn ports_are_closed_for_four_minutes_and_what_is_left_out_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut packets = connection();
    packets.pop();
    packets.extend([100_000, 255_029].map(|at| segment(ms(at), true, ACK, 0, 0, 5)));
    packets.extend([255_030, 256_000, 380_000].map(|at| segment(ms(at), false, ACK, 0, 0, 5)));
    let (rows, left_out) = expected(&packets);
    assert_eq!((rows.len(), left_out), (3, 4));
    compare(&of(&packets, 1), rows);
    let path = file(folder.path(), "whole.pcap", &pcap(&packets));
    let ran = run(["flows", path.to_str().unwrap(), "--dialect", "lycos", "--format", "jsonl"]);
    let metrics = ran.metrics();
    balances(&metrics);
    assert_eq!(number(&metrics["ledger"]["filtered"]["packets"]), 4);
}

#[test]
fn real_captures_are_accounted_for() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.paths()[0].parent().unwrap().to_owned();
    let ran = run(["flows", folder.to_str().unwrap(), "--dialect", "lycos", "--format", "jsonl"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.said);
    let metrics = ran.metrics();
    balances(&metrics);
    let mut lines = ran.lines();
    lines.pop();
    let packets: u64 = lines.iter().map(|line| number(&line["fwd_pkt_cnt"]) + number(&line["bwd_pkt_cnt"])).sum();
    assert!(packets > 1000);
    assert_eq!(packets, number(&metrics["ledger"]["kept"]["packets"]));
}

#[test]
fn the_schema_has_all_columns_and_differences() {
    let out = run(["schema", "flows", "--dialect", "lycos"]).out;
    let [columns, differences, switches] = out.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{out}") };
    assert_eq!(columns.lines().count(), 1 + HEADER);
    assert!(differences.contains("\nopen_flows\tno\tflows that last ") && switches.contains("\ntcp_end\tany-fin\t"));
}
