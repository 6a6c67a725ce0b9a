//! The dialects `nf-v2` and `nf-v3`: every column worked out by hand, and against a plain model over random traffic.
//!
//! Which packets make a flow is left to the model of flows; here every figure is worked out of its whole list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use pcap_compactor::flow::Side;
use pcap_compactor::flow::sequence::{Class, Connection, Segment};
use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::columns::Kind;
use pcap_compactor::views::flows::dialects::nf::{Version, dialect};
use pcap_compactor::views::flows::{
    Cell, Cells, Feature, FeatureColumn, FeatureState, FlowJob, FlowPacket, Labels, Lifetime, Roles, Settings,
};
use proptest::prelude::*;

use crate::cic::written;
use crate::command::run;
use crate::corpus::corpus;
use crate::csv::parse;
use crate::flows::random::files;
use crate::flows::{pcap, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, File, RST, Row, Rules, SYN, Sent, expect};
use crate::properties::cases;
use crate::run::{balances, file, inputs, number};
use crate::traffic::START;

const PSH: u8 = 8;

/// As in the header of the published files, without `L7_PROTO`.
const HEADER: &str = "FLOW_START_MILLISECONDS,FLOW_END_MILLISECONDS,IPV4_SRC_ADDR,L4_SRC_PORT,IPV4_DST_ADDR,L4_DST_PORT,\
    PROTOCOL,IN_BYTES,IN_PKTS,OUT_BYTES,OUT_PKTS,TCP_FLAGS,CLIENT_TCP_FLAGS,SERVER_TCP_FLAGS,FLOW_DURATION_MILLISECONDS,\
    DURATION_IN,DURATION_OUT,MIN_TTL,MAX_TTL,LONGEST_FLOW_PKT,SHORTEST_FLOW_PKT,MIN_IP_PKT_LEN,MAX_IP_PKT_LEN,\
    SRC_TO_DST_SECOND_BYTES,DST_TO_SRC_SECOND_BYTES,RETRANSMITTED_IN_BYTES,RETRANSMITTED_IN_PKTS,\
    RETRANSMITTED_OUT_BYTES,RETRANSMITTED_OUT_PKTS,SRC_TO_DST_AVG_THROUGHPUT,DST_TO_SRC_AVG_THROUGHPUT,\
    NUM_PKTS_UP_TO_128_BYTES,NUM_PKTS_128_TO_256_BYTES,NUM_PKTS_256_TO_512_BYTES,NUM_PKTS_512_TO_1024_BYTES,\
    NUM_PKTS_1024_TO_1514_BYTES,TCP_WIN_MAX_IN,TCP_WIN_MAX_OUT,ICMP_TYPE,ICMP_IPV4_TYPE,DNS_QUERY_ID,DNS_QUERY_TYPE,\
    DNS_TTL_ANSWER,FTP_COMMAND_RET_CODE,SRC_TO_DST_IAT_MIN,SRC_TO_DST_IAT_MAX,SRC_TO_DST_IAT_AVG,\
    SRC_TO_DST_IAT_STDDEV,DST_TO_SRC_IAT_MIN,DST_TO_SRC_IAT_MAX,DST_TO_SRC_IAT_AVG,DST_TO_SRC_IAT_STDDEV,Label,Attack";

/// A time in microseconds.
fn us(n: i64) -> i64 {
    START + n * 1000
}

fn back(sent: Sent) -> Sent {
    Sent { src: sent.dst, dst: sent.src, ..sent }
}

/// A connection that a RST ends, an echo and its answer, and a datagram of IPv6.
fn three() -> Vec<Sent> {
    let sent = |at, up, flags, seq, payload| segment(us(at), up, flags, seq, 1, payload);
    let echo = Sent {
        time: us(2_000),
        src: (Ipv4Addr::new(10, 0, 0, 2).into(), 0),
        dst: (Ipv4Addr::new(9, 0, 0, 1).into(), 0),
        protocol: 1,
        flags: 8,
        payload: 8,
        ..udp(0, 0)
    };
    let v6 = |n, port| (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)), port);
    let mut packets = vec![
        Sent { window: 1000, ..sent(0, true, SYN, 100, 0) },
        Sent { window: 2000, ttl: 50, ..sent(10_900, false, SYN | ACK, 500, 0) },
        sent(20_000, true, PSH | ACK, 101, 88),
        sent(21_000, true, ACK, 189, 89),
        sent(22_000, true, ACK, 278, 472),
        // It is sent again.
        sent(30_000, true, ACK, 278, 472),
        sent(1_040_000, false, ACK, 501, 1474),
        sent(1_041_000, false, ACK, 1975, 1475),
        sent(1_050_000, false, RST | ACK, 3450, 0),
        echo.clone(),
        back(Sent { flags: 0, time: us(2_900), ..echo }),
        Sent { time: us(3_000), src: v6(1, 7), dst: v6(2, 9), ..udp(0, 0) },
    ];
    packets.sort_by_key(|packet| packet.time);
    packets
}

/// What they come to, by hand.
const ROWS: [&str; 3] = [
    // 40, 128, 129, 512 and 512 bytes; 40, 1514, 1515 and 40.
    "1697716800000,1697716801050,10.0.0.1,40000,9.0.0.1,80,6,1321,5,3109,4,30,26,22,1050,30,1040,50,64,1515,40,40,1515,\
     660.5,1554.5,512,1,0,0,10055,23665,4,1,2,0,1,1000,2000,0,0,0,0,0,0,1,20,7,7,1,1030,346,483,,",
    // Type 8, and 32 for a code.
    "1697716800002,1697716800002,10.0.0.2,0,9.0.0.1,0,1,28,1,28,1,0,0,0,0,0,0,64,64,28,28,28,28,28.0,28.0,0,0,0,0,\
     224000,224000,2,0,0,0,0,0,0,2080,8,0,0,0,0,0,0,0,0,0,0,0,0,,",
    "1697716800003,1697716800003,2001:db8::1,7,2001:db8::2,9,17,60,1,0,0,0,0,0,0,0,0,64,64,60,60,60,60,60.0,0.0,0,0,0,0,\
     480000,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,,",
];

fn of(paths: &[PathBuf], version: Version, threads: usize) -> String {
    written(paths, &dialect(version), threads)
}

#[test]
fn every_column_is_what_it_is_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [file(folder.path(), "a.pcap", &pcap(&three()))];
    let v3 = of(&paths, Version::V3, 1);
    assert_eq!(v3.lines().next(), Some(HEADER));
    assert_eq!(v3.lines().skip(1).collect::<Vec<_>>(), ROWS);
    // Version 2 is the same without the two times and the eight figures of gaps.
    for (v2, v3) in of(&paths, Version::V2, 1).lines().zip(v3.lines()) {
        let v3: Vec<_> = v3.split(',').collect();
        assert_eq!(v2, [&v3[2..44], &v3[52..]].concat().join(","));
    }
}

/// The cells of a flow, from its packets.
fn cells(row: &Row) -> Vec<String> {
    let first = &row.packets[0].0;
    let one_end = first.src == first.dst;
    let of = |source: bool| -> Vec<&Sent> {
        row.packets
            .iter()
            .map(|(packet, _)| packet)
            .filter(|packet| (packet.src == first.src || one_end) == source)
            .collect()
    };
    let (ins, outs) = (of(true), of(false));
    let all: Vec<&Sent> = row.packets.iter().map(|(packet, _)| packet).collect();
    let tcp = first.protocol == 6;
    let ip = |packet: &Sent| u64::from(packet.lengths()[1]);
    let ms = |packet: &Sent| packet.time.div_euclid(1_000_000);
    let bytes = |packets: &[&Sent]| packets.iter().map(|packet| ip(packet)).sum::<u64>();
    let span = |packets: &[&Sent]| {
        let times = || packets.iter().map(|packet| ms(packet));
        (times().max().unwrap_or(0) - times().min().unwrap_or(0)) as u64
    };
    let flags = |packets: &[&Sent]| packets.iter().filter(|_| tcp).fold(0, |flags, packet| flags | packet.flags);
    let window = |packets: &[&Sent]| packets.iter().filter(|_| tcp).map(|packet| packet.window).max().unwrap_or(0);
    let sized = |from: u64, to: u64| all.iter().filter(|packet| (from + 1..=to).contains(&ip(packet))).count();
    let lengths: Vec<u64> = all.iter().map(|packet| ip(packet)).collect();
    let duration = span(&all);

    let mut connection = Connection::default();
    let mut again = [[0; 2]; 2];
    for packet in all.iter().filter(|_| tcp) {
        let &Sent { seq, ack, flags, window, payload, .. } = *packet;
        let side = if packet.src > packet.dst { Side::Down } else { Side::Up };
        if connection.add(side, &Segment { seq, ack, flags, window, payload }).class == Class::Retransmission {
            let side = &mut again[usize::from(packet.src != first.src)];
            *side = [side[0] + ip(packet), side[1] + 1];
        }
    }
    let gaps = |packets: &[&Sent]| -> [u64; 4] {
        let mut newest = packets.first().map_or(0, |packet| ms(packet));
        let gaps: Vec<f64> = packets
            .iter()
            .skip(1)
            .map(|packet| {
                let gap = (ms(packet) - newest).max(0);
                newest = newest.max(ms(packet));
                gap as f64
            })
            .collect();
        if gaps.is_empty() {
            return [0; 4];
        }
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let std = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / n).sqrt();
        [gaps.iter().copied().fold(f64::MAX, f64::min), gaps.iter().copied().fold(0.0, f64::max), mean, std]
            .map(|gap| gap as u64)
    };
    let kind = if first.protocol == 1 { first.flags } else { 0 };

    let mut cells = vec![
        all.iter().map(|packet| ms(packet)).min().unwrap().to_string(),
        all.iter().map(|packet| ms(packet)).max().unwrap().to_string(),
        first.src.0.to_string(),
        first.src.1.to_string(),
        first.dst.0.to_string(),
        first.dst.1.to_string(),
        first.protocol.to_string(),
    ];
    let mut put = |numbers: &[u64]| cells.extend(numbers.iter().map(u64::to_string));
    put(&[bytes(&ins), ins.len() as u64, bytes(&outs), outs.len() as u64]);
    put(&[&all, &ins, &outs].map(|packets| flags(packets).into()));
    put(&[duration, span(&ins), span(&outs)]);
    put(&[all.iter().map(|packet| packet.ttl).min(), all.iter().map(|packet| packet.ttl).max()]
        .map(|ttl| ttl.unwrap().into()));
    let (least, most) = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
    put(&[most, least, least, most]);
    cells.extend([&ins, &outs].map(|packets| format!("{:?}", bytes(packets) as f64 / (duration / 1000 + 1) as f64)));
    let mut put = |numbers: &[u64]| cells.extend(numbers.iter().map(u64::to_string));
    put(again.as_flattened());
    put(&[&ins, &outs].map(|packets| bytes(packets) * 8000 / (duration + 1)));
    put(&[sized(0, 128), sized(128, 256), sized(256, 512), sized(512, 1024), sized(1024, 1514)].map(|n| n as u64));
    put(&[window(&ins).into(), window(&outs).into()]);
    put(&[u64::from(kind) * 256 + if first.protocol == 1 { 0x20 } else { 0 }, kind.into()]);
    put(&[0; 4]);
    put(&gaps(&ins));
    put(&gaps(&outs));
    cells.extend([String::new(), String::new()]);
    cells
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn figures_are_those_of_the_model(files in files(4, 40)) {
        let Settings { lifetime, reorder, .. } = dialect(Version::V3).settings(Settings::default());
        let Lifetime { tcp_idle, udp_idle, other_idle, active, .. } = lifetime;
        prop_assert_eq!([tcp_idle, udp_idle, other_idle, active], [Some(30), Some(30), Some(30), Some(120)].map(|s| s.map(|s| s * SECOND)));
        let rules = Rules { lifetime, reorder, sequences: 0, no_retransmissions: false, min_packets: 0 };
        let list: Vec<_> = files.iter().map(|packets| File { packets }).collect();
        let (rows, _) = expect(&list, &rules);
        let mut expected: Vec<_> = rows.iter().map(cells).collect();

        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> =
            files.iter().enumerate().map(|(n, packets)| file(folder.path(), &format!("{n}.pcap"), &pcap(packets))).collect();
        let once = of(&paths, Version::V3, 1);
        for threads in [2, 4] {
            prop_assert_eq!(&once, &of(&paths, Version::V3, threads));
        }
        let mut ours: Vec<_> = parse(&once).into_iter().skip(1).collect();
        ours.sort();
        expected.sort();
        prop_assert_eq!(ours, expected);
    }
}

/// A feature of an embedder's, beside the dialect's own.
#[derive(Debug)]
struct Packets(u64);

impl Feature for Packets {
    fn columns(&self) -> Vec<FeatureColumn> {
        let column = |name| FeatureColumn { name, kind: Kind::Integer, unit: "packets", about: "packets" };
        ["LABEL", "packets"].map(column).into()
    }

    fn start(&self) -> Box<dyn FeatureState> {
        Box::new(Packets(0))
    }
}

impl FeatureState for Packets {
    fn packet(&mut self, _: &FlowPacket) {
        self.0 += 1;
    }

    fn finish(&self, _: Roles, cells: &mut Cells) {
        cells.extend([Cell::Absent, self.0.into()]);
    }
}

#[test]
fn features_of_a_caller_stand_behind_the_columns() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [file(folder.path(), "a.pcap", &pcap(&three()))];
    let mut settings = dialect(Version::V2).settings(Settings::default());
    settings.features.push(Arc::new(Packets(0)));
    settings.columns = settings.columns.with(&settings.features);
    settings.labels = Some(Arc::new(Labels::from_toml("default = \"all\"").unwrap()));
    let mut out = Vec::new();
    let mut writer = FlowWriter::new(&mut out, "memory", Form::Csv, settings.columns.clone(), Times::Seconds);
    FlowJob::new(settings).run(inputs(&paths), &mut writer).expect("it can be read");
    drop(writer);
    let text = String::from_utf8(out).unwrap();
    let ends: Vec<_> = text.lines().map(|line| line.rsplitn(5, ',').take(4).collect::<Vec<_>>()).collect();
    let count = |packets| vec![packets, "all", "all", "1"];
    assert_eq!(ends, [vec!["packets", "LABEL", "Attack", "Label"], count("9"), count("2"), count("1")]);
}

#[test]
fn label_is_one_for_what_is_not_benign_and_attack_is_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.pcap", &pcap(&three()));
    let ends = |rules: &str, version: &str| -> Vec<String> {
        let rules = file(folder.path(), "rules.toml", rules.as_bytes());
        let words = ["flows", path.to_str().unwrap(), "-q", "--dialect", version, "--label", rules.to_str().unwrap()];
        let ran = run(words);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let end = |line: &str| line.rsplitn(3, ',').take(2).collect::<Vec<_>>().join(",");
        ran.out.lines().map(end).collect()
    };
    let rule = "[[rule]]\nlabel = \"scanning\"\nprotocol = \"icmp\"\n";
    for version in ["nf-v2", "nf-v3"] {
        let all = ends(&format!("default = \"Benign\"\n{rule}"), version);
        assert_eq!(all, ["Attack,Label", "Benign,0", "scanning,1", "Benign,0"]);
        assert_eq!(ends(rule, version), ["Attack,Label", ",", "scanning,1", ","]);
    }
}

#[test]
fn real_captures_are_accounted_for() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.paths()[0].parent().unwrap().to_owned();
    for version in ["nf-v2", "nf-v3"] {
        let ran = run(["flows", folder.to_str().unwrap(), "--dialect", version, "--format", "jsonl"]);
        assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.said);
        let metrics = ran.metrics();
        balances(&metrics);
        let mut lines = ran.lines();
        lines.pop();
        let sum =
            |names: &[&str]| lines.iter().flat_map(|line| names.iter().map(|name| number(&line[name]))).sum::<u64>();
        let packets = sum(&["IN_PKTS", "OUT_PKTS"]);
        assert_eq!(packets, number(&metrics["ledger"]["kept"]["packets"]));
        assert_eq!(
            packets
                + number(&metrics["ledger"]["not_ip"]["packets"])
                + number(&metrics["ledger"]["malformed"]["packets"]),
            number(&metrics["ledger"]["read"]["packets"])
        );
        if cfg!(feature = "payload") {
            assert!(sum(&["DNS_QUERY_ID"]) > 0 && sum(&["DNS_TTL_ANSWER"]) > 0);
        }
    }
}

#[test]
fn the_schema_has_all_columns_and_differences() {
    for (version, header) in
        [("nf-v2", &HEADER.split(',').collect::<Vec<_>>()[..]), ("nf-v3", &HEADER.split(',').collect::<Vec<_>>()[..])]
    {
        let out = run(["schema", "flows", "--dialect", version]).out;
        let (columns, differences) = out.split_once("\n\n").unwrap();
        let names: Vec<_> = columns.lines().skip(1).map(|line| line.split('\t').next().unwrap()).collect();
        let of_time =
            |name: &&&str| name.contains("_IAT_") || name.starts_with("FLOW_START") || name.starts_with("FLOW_END");
        let expected: Vec<_> = header.iter().filter(|name| version == "nf-v3" || !of_time(name)).copied().collect();
        assert_eq!(names, expected);
        assert!(differences.contains("\nsecond_bytes\tno\tbytes second by second, "), "{differences}");
    }
}

#[cfg(feature = "payload")]
mod payload {
    use pcap_compactor::Timestamp;
    use pcap_compactor::capture::{PcapLayout, PcapWriter};

    use super::*;
    use crate::traffic::{Body, Frame, v4};

    /// A frame's bytes, with a sequence number if it is TCP.
    fn frame(body: Body, up: bool, seq: u32) -> Vec<u8> {
        let (src, dst) = if up { (v4(10, 0, 0, 1), v4(9, 0, 0, 1)) } else { (v4(9, 0, 0, 1), v4(10, 0, 0, 1)) };
        let is_tcp = matches!(body, Body::Tcp { .. });
        let mut bytes = Frame::new(START, src, dst, body).bytes().0;
        if is_tcp {
            bytes[38..42].copy_from_slice(&seq.to_be_bytes());
        }
        bytes
    }

    fn row(frames: &[Vec<u8>]) -> Vec<String> {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        for (n, bytes) in frames.iter().enumerate() {
            writer.record(Timestamp(us(n as i64 * 20_000)), bytes.len() as u32, bytes).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let paths = [file(folder.path(), "a.pcap", &writer.finish().unwrap())];
        let mut rows = parse(&of(&paths, Version::V2, 1));
        assert_eq!(rows.len(), 2);
        // DNS_QUERY_ID to FTP_COMMAND_RET_CODE.
        rows.remove(1)[38..42].to_vec()
    }

    /// A message about `a.b` of a type, with answers of types, times to live and data.
    fn dns(id: u16, kind: u16, answers: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let flags = if answers.is_empty() { [1, 0] } else { [0x81, 0x80] };
        let mut message = [id.to_be_bytes(), flags, [0, 1], [0, answers.len() as u8], [0, 0], [0, 0]].concat();
        message.extend(*b"\x01a\x01b\x00");
        message.extend([kind.to_be_bytes(), [0, 1]].concat());
        for (kind, ttl, data) in answers {
            message.extend([0xc0, 12]);
            message.extend([kind.to_be_bytes(), [0, 1]].concat());
            message.extend(ttl.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[test]
    fn dns_is_of_the_first_query_and_the_first_a_record() {
        let datagram = |up: bool, payload| {
            let (src_port, dst_port) = if up { (40_000, 53) } else { (53, 40_000) };
            frame(Body::Udp { src_port, dst_port, payload }, up, 0)
        };
        let alias: (u16, u32, &[u8]) = (5, 9, b"\x01c\xc0\x0e");
        let first = [datagram(true, dns(0x1234, 28, &[])), datagram(false, dns(0x1234, 28, &[alias]))];
        assert_eq!(row(&first), ["4660", "28", "0", "0"]);
        let second = [
            datagram(true, dns(7, 1, &[])),
            datagram(false, dns(7, 1, &[alias, (1, 300, &[1, 2, 3, 4]), (1, 5, &[1, 2, 3, 5])])),
        ];
        assert_eq!(row(&[first, second].concat()), ["4660", "28", "300", "0"]);
    }

    #[test]
    fn ftp_has_the_code_of_the_last_reply() {
        let mut next = [1, 1];
        let mut said = |up: bool, words: &str| {
            let (src_port, dst_port) = if up { (40_000, 21) } else { (21, 40_000) };
            let body = Body::Tcp { src_port, dst_port, flags: ACK, payload: words.as_bytes().to_vec() };
            let seq = &mut next[usize::from(up)];
            let bytes = frame(body, up, *seq);
            *seq += words.len() as u32;
            bytes
        };
        let frames = [
            said(true, ""),
            said(false, "220 ftp\r\n"),
            said(true, "USER a\r\n"),
            said(false, "331 word?\r\n"),
            said(true, "PASS b\r\n"),
            said(false, "530-no\r\n530 go\r\n"),
        ];
        assert_eq!(row(&frames), ["0", "0", "0", "530"]);
    }
}
