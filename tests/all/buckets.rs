//! Buckets: the bridge's rows byte for byte, all others against a plain model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pcap_compactor::Engine;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::sink::buckets::{BucketWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::buckets::{BucketJob, COLUMNS, Settings};
use pcap_compactor::{Input, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use crate::command::{Ran, command, run};
use crate::flows::{frame, pcap, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, SYN, Sent};
use crate::run::file;
use crate::traffic::START;

const MS: i64 = SECOND / 1000;

/// The folder of the bridge's references; nothing, and a loud word, where there is none.
fn references() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/buckets");
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: the bridge's rows against references; {missing}")
        .expect("standard error takes text");
    None
}

#[test]
fn rows_of_the_bridge_are_those_of_its_references() {
    let Some(folder) = references() else { return };
    for (capture, options, reference) in [
        ("a_us_le.pcap", &[][..], "a_us_le.netflow.jsonl"),
        ("a_us_le.pcap", &["--every", "1s"], "a_us_le.1000ms.jsonl"),
        ("a_us_le.pcap", &["--mono-origin", "1699999990000000000"], "a_us_le.origin.jsonl"),
        ("b_ns_be.pcap", &[], "b_ns_be.netflow.jsonl"),
        ("empty.pcap", &[], "empty.netflow.jsonl"),
    ] {
        let capture = folder.join(capture);
        let arguments = ["buckets", "-q", "--dialect", "bridge", capture.to_str().unwrap()];
        let ran = run(arguments.iter().chain(options));
        assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""));
        assert!(ran.out == std::fs::read_to_string(folder.join(reference)).unwrap(), "{reference}");
    }
}

/// A frame of Ethernet and IPv4, whatever is behind.
fn ethernet(protocol: u8, src: [u8; 4], dst: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
    frame.extend(src);
    frame.extend(dst);
    frame.extend(rest);
    frame
}

/// What the bridge makes of one frame of each kind, by its rules: frames without IPv4 are `in`, cut headers have no ports, flags are
/// the lowest six, options are stepped over, fragments have ports that nobody sent.
#[test]
fn the_bridge_reads_headers_where_they_usually_are() {
    const BRIDGE: [u8; 4] = [10, 200, 0, 1];
    const GUEST: [u8; 4] = [10, 200, 0, 10];
    let tcp = |flags: u8| [&[156, 64, 1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags], &[0; 6][..]].concat();
    let options = |mut frame: Vec<u8>| {
        frame[14] = 0x46;
        frame.splice(34..34, [1; 4]);
        frame
    };
    let tagged = |mut frame: Vec<u8>| {
        frame.splice(12..12, [0x81, 0, 0, 5]);
        frame
    };
    let port_53 = [156, 64, 0, 53, 0, 8, 0, 0];
    for (frame, expected) in [
        (vec![1, 2, 3], "1 0 0 0 0 0 0 0 0 0 0"),
        (ethernet(6, GUEST, BRIDGE, &tcp(0x02)), "1 0 1 0 0 0 1 0 1 1 1"),
        (ethernet(6, BRIDGE, GUEST, &tcp(0x12)), "0 1 1 0 0 0 1 0 1 1 0"),
        (ethernet(6, BRIDGE, GUEST, &tcp(0xc5)), "0 1 0 1 1 0 1 0 1 1 0"),
        (ethernet(6, BRIDGE, GUEST, &tcp(0x02)[..19]), "0 1 0 0 0 0 1 0 1 0 0"),
        (options(ethernet(6, BRIDGE, GUEST, &tcp(0x02))), "0 1 1 0 0 0 1 0 1 1 1"),
        (tagged(ethernet(6, BRIDGE, GUEST, &tcp(0x02))), "1 0 0 0 0 0 0 0 0 0 0"),
        (ethernet(17, GUEST, BRIDGE, &port_53), "1 0 0 0 0 1 0 1 1 1 0"),
        (ethernet(17, GUEST, BRIDGE, &port_53[..7]), "1 0 0 0 0 1 0 0 1 0 0"),
        (ethernet(1, GUEST, BRIDGE, &port_53), "1 0 0 0 0 0 0 0 1 0 0"),
    ] {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        writer.record(Timestamp(START), frame.len() as u32 + 1000, &frame).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "one.pcap", &writer.finish().unwrap());
        let ran = run(["buckets", "-q", "--dialect", "bridge", path.to_str().unwrap()]);
        let row = &ran.lines()[0];
        let keys = ["pkts_in", "pkts_out", "syn_count", "fin_count", "rst_count", "udp_count", "tcp_count"];
        let more = ["dns_query_count", "unique_dst_ips", "unique_dst_ports", "tcp_new_flows"];
        let said: Vec<String> = keys.iter().chain(&more).map(|key| row[*key].to_string()).collect();
        assert_eq!(said.join(" "), expected, "{frame:?}");
        assert_eq!(row["bytes_in"].as_u64().unwrap() + row["bytes_out"].as_u64().unwrap(), frame.len() as u64);
    }
}

/// What decides rows, for the model.
#[derive(Clone, Debug)]
struct How {
    width: i64,
    from_start: bool,
    reorder: i64,
    gap_limit: u64,
    /// 10.0.0.0/8 is local.
    local: bool,
}

impl How {
    fn settings(&self) -> Settings {
        let local = if self.local { vec!["10.0.0.0/8".parse().unwrap()] } else { Vec::new() };
        let How { width, from_start, reorder, gap_limit, .. } = *self;
        Settings { widths: vec![width], from_start, local, reorder, gap_limit, ..Settings::default() }
    }

    fn way(&self, packet: &Sent) -> usize {
        let is_local = |host: IpAddr| self.local && matches!(host, IpAddr::V4(host) if host.octets()[0] == 10);
        match (is_local(packet.src.0), is_local(packet.dst.0)) {
            (false, true) => 0,
            (true, false) => 1,
            (true, true) => 2,
            (false, false) => 3,
        }
    }
}

/// Which packets open a flow: the first of their 5-tuple in a while, or a SYN behind a FIN or RST.
fn new_flows(packets: &[Sent]) -> Vec<bool> {
    let is_new = |(n, packet): (usize, &Sent)| {
        let same = |other: &&Sent| {
            let ends = [other.src, other.dst];
            other.protocol == packet.protocol && (ends == [packet.src, packet.dst] || ends == [packet.dst, packet.src])
        };
        let before: Vec<&Sent> = packets[..n].iter().filter(same).collect();
        let Some(last) = before.iter().map(|packet| packet.time).max() else { return true };
        let timeout = match packet.protocol {
            6 => 300,
            17 => 120,
            _ => 60,
        };
        // Of those since the last that was new, one closes.
        let since = (0..before.len()).rev().find(|&n| opens(&before[..=n], timeout)).unwrap_or(0);
        let closed = before[since..].iter().any(|packet| packet.protocol == 6 && packet.flags & (FIN | RST) != 0);
        packet.time - last > timeout * SECOND || (packet.protocol == 6 && closed && packet.flags & (SYN | ACK) == SYN)
    };
    packets.iter().enumerate().map(is_new).collect()
}

/// Whether the last of the packets of a flow is a new one.
fn opens(packets: &[&Sent], timeout: i64) -> bool {
    let (mut last, mut closed, mut new) = (None::<i64>, false, false);
    for packet in packets {
        let is_tcp = packet.protocol == 6;
        new = last.is_none_or(|last| packet.time - last > timeout * SECOND)
            || (is_tcp && closed && packet.flags & (SYN | ACK) == SYN);
        closed = (closed && !new) || (is_tcp && packet.flags & (FIN | RST) != 0);
        last = Some(last.map_or(packet.time, |last| last.max(packet.time)));
    }
    new
}

/// The rows of packets as CSV, by the rules alone.
fn model(packets: &[Sent], how: &How) -> String {
    let new = new_flows(packets);
    let origin = if how.from_start { packets.first().map_or(0, |packet| packet.time) } else { 0 };
    let number = |time: i64| (time - origin).div_euclid(how.width);
    let mut buckets: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut late: BTreeMap<i64, u64> = BTreeMap::new();
    // The bucket that leaves next.
    let mut next: Option<i64> = None;
    let (mut clock, mut last) = (i64::MIN, None::<i64>);
    for (n, packet) in packets.iter().enumerate() {
        if next.is_some_and(|next| number(packet.time) < next) {
            *late.entry(*buckets.keys().last().unwrap()).or_default() += 1;
        } else {
            buckets.entry(number(packet.time)).or_default().push(n);
        }
        let reached = last.replace(packet.time).map_or(i64::MIN, |last| last.min(packet.time));
        if reached <= clock {
            continue;
        }
        clock = reached;
        let now = clock.saturating_sub(how.reorder);
        while let Some((&first, _)) = buckets.range(next.unwrap_or(i64::MIN)..).next() {
            if origin + (first + 1) * how.width <= now {
                next = Some(first + 1);
                continue;
            }
            // Empty ones in front of it leave alone if they are a row each however late it comes.
            let until = first.min(number(now));
            let few = |next: i64| (first - next) as u64 <= how.gap_limit || until == first;
            next = next.map(|next| if next < until && few(next) { until } else { next });
            break;
        }
    }
    let mut text = String::new();
    let mut next = None;
    for (&at, members) in &buckets {
        let empty = next.map_or(0, |next: i64| (at - next) as u64);
        if empty > how.gap_limit {
            line(&mut text, how, origin, at - empty as i64, empty, &[], 0, &new);
        } else {
            (0..empty as i64).for_each(|n| line(&mut text, how, origin, at - empty as i64 + n, 1, &[], 0, &new));
        }
        let members: Vec<(usize, &Sent)> = members.iter().map(|&n| (n, &packets[n])).collect();
        line(&mut text, how, origin, at, 1, &members, late.get(&at).copied().unwrap_or(0), &new);
        next = Some(at + 1);
    }
    text
}

fn line(
    text: &mut String,
    how: &How,
    origin: i64,
    at: i64,
    n: u64,
    packets: &[(usize, &Sent)],
    late: u64,
    new: &[bool],
) {
    write!(text, "{},{},{n}", origin + at * how.width, how.width).unwrap();
    let count = |is: &dyn Fn(usize, &Sent) -> bool| packets.iter().filter(|(n, packet)| is(*n, packet)).count() as u64;
    let by_way = |of: &dyn Fn(&[&Sent]) -> u64| -> Vec<u64> {
        (0..4)
            .map(|way| {
                let of_way = packets.iter().map(|(_, packet)| *packet).filter(|packet| how.way(packet) == way);
                of(&of_way.collect::<Vec<_>>())
            })
            .collect()
    };
    let is_tcp = |packet: &Sent| packet.protocol == 6;
    let has_ports = |packet: &&&Sent| matches!(packet.protocol, 6 | 17);
    let mut numbers = by_way(&|packets| packets.len() as u64);
    numbers.extend(by_way(&|packets| packets.iter().map(|packet| frame(packet).len() as u64).sum()));
    numbers.extend([
        count(&|_, packet| is_tcp(packet)),
        count(&|_, packet| packet.protocol == 17),
        count(&|_, packet| matches!(packet.protocol, 1 | 58)),
        count(&|_, packet| !matches!(packet.protocol, 1 | 6 | 17 | 58)),
        count(&|_, packet| packet.src.0.is_ipv6()),
        0,
        0,
        count(&|_, packet| is_tcp(packet) && packet.flags & (SYN | ACK) == SYN),
        count(&|_, packet| is_tcp(packet) && packet.flags & (SYN | ACK) == SYN | ACK),
        count(&|_, packet| is_tcp(packet) && packet.flags & FIN != 0),
        count(&|_, packet| is_tcp(packet) && packet.flags & RST != 0),
        count(&|n, packet| new[n] && is_tcp(packet)),
        count(&|n, packet| new[n] && packet.protocol == 17),
        count(&|n, packet| new[n] && !matches!(packet.protocol, 6 | 17)),
    ]);
    // Of what payload is here, whatever is long enough and goes to or comes from the port is a query.
    let to_53 = |packet: &Sent| packet.src.1 == 53 || packet.dst.1 == 53;
    let header = |packet: &Sent| if is_tcp(packet) { 14 } else { 12 };
    let asks = |packet: &Sent| has_ports(&&packet) && to_53(packet) && packet.payload >= header(packet);
    numbers.extend([count(&|_, packet| asks(packet)), 0, 0]);
    numbers.extend(by_way(&|packets| packets.iter().map(|packet| packet.dst.0).collect::<BTreeSet<_>>().len() as u64));
    numbers.extend(by_way(&|packets| {
        let ports = packets.iter().filter(has_ports).map(|packet| (packet.protocol, packet.dst.1));
        ports.collect::<BTreeSet<_>>().len() as u64
    }));
    numbers.push(late);
    numbers.iter().for_each(|number| write!(text, ",{number}").unwrap());
    text.push('\n');
}

/// The rows of captures as CSV without its header, times in nanoseconds.
fn written(paths: &[PathBuf], settings: Settings, threads: usize) -> String {
    let how = (Form::Csv, Times::Nanoseconds);
    let mut writer = BucketWriter::new(Vec::new(), "memory", how, None, false, false);
    let job = BucketJob::new(settings).unwrap().engine(Engine::builder().threads(threads));
    let report = job.run(paths.iter().map(Input::file).collect(), &mut writer).unwrap();
    assert!(report.failed.is_empty());
    String::from_utf8(writer.finish().unwrap().0).unwrap()
}

fn packet() -> impl Strategy<Value = Sent> {
    let host = prop_oneof![
        4 => (1..5_u8).prop_map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))),
        4 => (1..5_u8).prop_map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))),
    ];
    let port = || prop_oneof![Just(53_u16), Just(80), 40_000..40_003_u16];
    let ends = (host.clone(), port(), host, port(), any::<prop::sample::Index>());
    let kind = (prop_oneof![4 => Just(6_u8), 4 => Just(17), 1 => Just(1), 1 => Just(89)], 0..32_u8, 0..40_u32);
    (ends, kind).prop_map(|((src, src_port, dst, dst_port, six), (protocol, flags, payload))| {
        let is_tcp = protocol == 6;
        let has_ports = matches!(protocol, 6 | 17);
        let v6 = |host: IpAddr| match host {
            IpAddr::V4(host) => IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(host.to_bits()))),
            host => host,
        };
        // ICMP would be another protocol there.
        let six = six.index(5) == 0 && protocol != 1;
        let end = |host, port| (if six { v6(host) } else { host }, if has_ports { port } else { 0 });
        let (src, dst) = (end(src, src_port), end(dst, dst_port));
        let flags = if is_tcp { flags } else { 0 };
        Sent { protocol, flags, src, dst, payload: payload + u32::from(protocol == 89), ..segment(0, true, 0, 1, 1, 0) }
    })
}

/// Packets close to one another, but for pauses, and some that are behind their time.
fn packets() -> impl Strategy<Value = Vec<Sent>> {
    let step = prop_oneof![
        20 => 0..60 * MS,
        4 => -300 * MS..0,
        2 => 0..3 * SECOND,
        1 => Just(130 * SECOND),
        1 => Just(301 * SECOND),
        1 => -40 * SECOND..0,
    ];
    prop::collection::vec((packet(), step), 0..120).prop_map(|steps| {
        let mut time = START;
        let at = |(packet, step): (Sent, i64)| {
            time += step;
            Sent { time, ..packet }
        };
        steps.into_iter().map(at).collect()
    })
}

fn how() -> impl Strategy<Value = How> {
    let width = prop_oneof![Just(100 * MS), Just(SECOND), Just(7 * MS), Just(60 * SECOND)];
    let reorder = prop_oneof![Just(0), Just(200 * MS), Just(SECOND)];
    (width, any::<bool>(), reorder, prop_oneof![Just(0_u64), Just(5), Just(40)], any::<bool>())
        .prop_map(|(width, from_start, reorder, gap_limit, local)| How { width, from_start, reorder, gap_limit, local })
}

proptest! {
    #![proptest_config(crate::properties::cases(300))]

    #[test]
    fn rows_are_those_of_the_model_on_any_number_of_threads(packets in packets(), how in how()) {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "a.pcap", &pcap(&packets));
        let expected = model(&packets, &how);
        for threads in [1, 3] {
            prop_assert_eq!(&written(std::slice::from_ref(&path), how.settings(), threads), &expected);
        }
    }

    /// A capture that is cut into files has the rows of the whole, wherever it is cut, as long as nothing is late.
    #[test]
    fn rows_of_files_are_those_of_the_whole(packets in packets(), cut in any::<prop::sample::Index>(), how in how()) {
        let mut packets = packets;
        packets.sort_by_key(|packet| packet.time);
        let cut = cut.index(packets.len() + 1);
        let folder = tempfile::tempdir().unwrap();
        let whole = file(folder.path(), "whole.pcap", &pcap(&packets));
        let parts = [("a.pcap", &packets[..cut]), ("b.pcap", &packets[cut..])];
        let parts = parts.map(|(name, packets)| file(folder.path(), name, &pcap(packets)));
        let expected = written(&[whole], how.settings(), 1);
        for threads in [1, 4] {
            prop_assert_eq!(&written(&parts, how.settings(), threads), &expected);
        }
    }
}

/// Files that overlap, each in order: what the second has is late for none of the buckets that the first has filled.
#[test]
fn files_that_overlap_fill_the_same_buckets() {
    let packets: Vec<Sent> = (0..4000).map(|n| udp(START + i64::from(n) * 10 * MS, 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let whole = file(folder.path(), "whole.pcap", &pcap(&packets));
    let every = |from| packets.iter().skip(from).step_by(2).cloned().collect::<Vec<_>>();
    let parts = [("a.pcap", every(0)), ("b.pcap", every(1))];
    let parts = parts.map(|(name, packets)| file(folder.path(), name, &pcap(&packets)));
    let settings = || Settings { widths: vec![100 * MS, SECOND], ..Settings::default() };
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = sorted(written(&[whole], settings(), 1));
    assert_eq!(expected.len(), 400 + 40, "{expected:?}");
    for threads in [1, 2, 4] {
        assert_eq!(sorted(written(&parts, settings(), threads)), expected);
    }
}

/// The longest gap that a classic capture can have, and a wild time between packets that are close.
#[test]
fn gaps_and_wild_times_make_few_rows() {
    let folder = tempfile::tempdir().unwrap();
    let ends = [udp(0, 1), udp(i64::from(u32::MAX) * SECOND, 1)];
    let bomb = file(folder.path(), "bomb.pcap", &pcap(&ends));
    let wild = [0, 10, 9_000_000_000_000, 20, 30].map(|ms| udp(START + ms * MS / 10, 1));
    let wild = file(folder.path(), "wild.pcap", &pcap(&wild));
    let rows = |path: &Path, options: &[&str]| {
        let ran = run(["buckets", "-q", path.to_str().unwrap()].iter().chain(options));
        assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""));
        ran
    };
    let said = rows(&bomb, &["--every", "100ms"]).lines();
    let counts: Vec<_> = said.iter().map(|row| (row["buckets"].as_u64(), row["pkts_unknown"].as_u64())).collect();
    assert_eq!(counts[..3], [(Some(1), Some(1)), (Some(42_949_672_949), Some(0)), (Some(1), Some(1))]);
    let said = rows(&bomb, &["--every", "366d"]).lines();
    assert_eq!(said.len(), 136 + 1);
    let said = rows(&wild, &["--every", "1s"]);
    let first = &said.lines()[0];
    assert_eq!((first["pkts_unknown"].as_u64(), first["late"].as_u64()), (Some(4), Some(0)));
    assert_eq!(said.metrics()["ledger"]["late"]["packets"], 0);

    let ran = run(["buckets", "--dialect", "bridge", bomb.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2));
    assert!(ran.said.contains("42,949,672,949 empty buckets left out"), "{}", ran.said);
    let ran = run(["buckets", "-q", "--dialect", "bridge", "--every", "1d", bomb.to_str().unwrap()]);
    assert_eq!(ran.out.lines().count(), 49_711);
}

/// With a time range, its empty ends are rows.
#[test]
fn a_range_is_covered_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START + 2500 * MS, 1), udp(START + 9 * SECOND, 1)]));
    let [from, to] = [0, 5].map(|seconds| (START / SECOND + seconds).to_string());
    for (options, starts) in [
        (&["--from", &from, "--to", &to][..], &[0, 1, 2, 3, 4][..]),
        (&["--to", &to], &[2, 3, 4]),
        (&["--from", &from], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (&[], &[2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        let arguments = ["buckets", "-q", "--every", "1s", "--times", "ns", path.to_str().unwrap()];
        let ran = run(arguments.iter().chain(options));
        let rows = ran.lines();
        let said: Vec<i64> = rows.iter().filter_map(|row| Some((row["start"].as_i64()? - START) / SECOND)).collect();
        assert_eq!(said, starts);
        let outside = ran.metrics()["ledger"]["out_of_window"]["packets"].clone();
        assert_eq!(outside, u64::from(options.contains(&"--to")));
    }
}

/// A row is there as soon as its bucket is over, though the stream goes on.
#[test]
fn rows_of_a_stream_come_as_time_passes() {
    let mut child = command(["buckets", "-", "--every", "1s", "--reorder", "0", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut rows) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let bytes = pcap(&[0, 100, 1200, 1300].map(|ms| udp(START + ms * MS, 1)));
    stdin.write_all(&bytes).unwrap();
    stdin.flush().unwrap();
    let row: Value = serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap();
    assert_eq!((row["pkts_unknown"].as_u64(), row["new_udp_flows"].as_u64()), (Some(2), Some(1)));
    // Empty rows wait for no full one.
    stdin.write_all(&pcap(&[5000, 5100].map(|ms| udp(START + ms * MS, 1)))[24..]).unwrap();
    stdin.flush().unwrap();
    let counts: [u64; 4] = std::array::from_fn(|_| {
        let row: Value = serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap();
        row["pkts_unknown"].as_u64().unwrap()
    });
    assert_eq!(counts, [2, 0, 0, 0]);
    drop(stdin);
    let row: Value = serde_json::from_str(&rows.next().unwrap().unwrap()).unwrap();
    assert_eq!(row["pkts_unknown"], 2);
    assert!(rows.next().unwrap().unwrap().contains("metrics"));
    assert!(child.wait().unwrap().success());
}

/// DNS by its QR bit, over UDP and TCP, and what only looks like it.
#[test]
fn dns_is_told_by_its_header() {
    let header = |flags: [u8; 2]| [&[0, 1][..], &flags, &[0; 8]].concat();
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

#[test]
fn output_is_replaced_or_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START, 1)]));
    let out = folder.path().join("out.csv");
    let [path, place] = [&path, &out].map(|path| path.to_str().unwrap());
    let lines = || std::fs::read_to_string(&out).unwrap().lines().count();
    for (options, expected) in [(&[][..], 2), (&["--append"], 3), (&["--append"], 4), (&[], 2)] {
        let ran = run(["buckets", "-q", path, "-o", place].iter().chain(options));
        assert_eq!((ran.code, lines()), (Some(0), expected), "{}", ran.said);
    }
    let header = std::fs::read_to_string(&out).unwrap();
    let names: Vec<&str> = header.lines().next().unwrap().split(',').collect();
    assert_eq!(names.len(), 3 + COLUMNS.len());
    let schema = run(["schema", "buckets"]).out;
    assert!(names.iter().all(|name| schema.lines().any(|line| line.split('\t').next() == Some(name))));
    let failed = run(["buckets", "-q", "/nonexistent.pcap", "-o", place]);
    assert_eq!((failed.code, lines()), (Some(1), 2));
}

/// Rows are added behind whole rows of the same columns, or not at all.
#[test]
fn nothing_is_added_to_what_is_not_whole_or_of_other_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&[udp(START, 1)]));
    let add = |place: &Path, options: &[&str]| {
        let arguments = ["buckets", "-q", path.to_str().unwrap(), "-o", place.to_str().unwrap(), "--append"];
        run(arguments.iter().chain(options))
    };
    for (name, there, why) in [
        ("cut.jsonl", "{\"type\":\"buck", "not whole"),
        ("cut.csv", "start", "not whole"),
        ("other.csv", "foo,bar\n1,2\n", "other columns"),
        ("short.csv", "1\n", "other columns"),
    ] {
        let place = file(folder.path(), name, there.as_bytes());
        let ran = add(&place, &[]);
        assert_eq!(ran.code, Some(2), "{}", ran.said);
        assert!(ran.said.contains(why) && ran.said.contains(name), "{}", ran.said);
        assert_eq!(std::fs::read_to_string(place).unwrap(), there);
    }
    let place = folder.path().join("rows.csv");
    assert_eq!(add(&place, &[]).code, Some(0));
    assert_eq!(add(&place, &["--mono-origin", "5"]).code, Some(2));
    assert_eq!(add(&place, &[]).code, Some(0));
}

/// Where every other time is wild, buckets leave when too many are open; every packet is counted.
#[test]
fn open_buckets_are_bounded() {
    let times = (0..140_000_i64).map(|n| if n % 2 == 0 { START + n } else { START + n * 50_000 * SECOND / 1000 });
    let packets: Vec<Sent> = times.map(|time| udp(time, 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "wild.pcap", &pcap(&packets));
    let settings = Settings { gap_limit: 0, ..Settings::default() };
    let rows = written(&[path], settings, 1);
    let column = |name: &str| 3 + COLUMNS.iter().position(|column| column.name == name).unwrap();
    let [packets, late] = ["pkts_unknown", "late"].map(|name| {
        let cell = |row: &str| row.split(',').nth(column(name)).unwrap().parse::<u64>().unwrap();
        rows.lines().map(cell).sum::<u64>()
    });
    assert_eq!(packets + late, 140_000);
    assert!(late < 70_000, "{late}");
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

#[test]
fn mistakes_are_named_with_the_way_out() {
    let said = |arguments: &[&str]| {
        let Ran { code, said, .. } = run(["buckets"].iter().chain(arguments));
        assert_eq!(code, Some(2), "{said}");
        said
    };
    for width in ["0s", "100", "1.5s", "367d", "99999999999999999d", "ms", "-1s", "999ns"] {
        assert!(said(&["a.pcap", &format!("--every={width}")]).contains("10min"), "{width}");
    }
    assert!(said(&["a.pcap", "--every", "1s", "--every", "1000ms"]).contains("each width once"));
    assert!(said(&["a.pcap", "--local", "10.0.0.0/33"]).contains("10.200.0.0/24"));
    assert!(said(&["a.pcap", "--dialect", "bridge", "--every", "1us"]).contains("whole milliseconds"));
    assert!(said(&["a.pcap", "--dialect", "bridge", "--local", "10.0.0.1"]).contains("cannot be used with"));
    assert!(said(&["a.pcap", "--bridge-address", "10.0.0.1"]).contains("--dialect"));
    assert!(said(&["a.pcap", "--format", "none", "-o", "x"]).contains("--output"));
    assert!(said(&[]).contains("name at least one INPUT"));
}
