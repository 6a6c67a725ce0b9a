//! Real captures: against tshark's counts, against the model, and against themselves in other wrappings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{Capture, Io, LinkType, PcapngWriter, Records, Stamp};
use pcap_compactor::decode::fragment::datagram;
use pcap_compactor::decode::packet::Fragment;
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::Discard;
use pcap_compactor::time::NS_PER_SECOND;
use pcap_compactor::{Config, Engine, Job};
use serde_json::Value;

use crate::model::{Captured, Part, Range, Seen, expect};
use crate::run::{PLAIN, Said, WAYS, check, file, gzip, inputs, job, lines, number, say, zstd};

/// The captures of the corpus by name; nothing, and a loud word, where there is no corpus.
pub(crate) fn corpus() -> Option<Corpus> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("captures");
    let captures = std::fs::read_dir(folder.join("captures")).into_iter().flatten();
    let captures: BTreeMap<String, PathBuf> = captures
        .map(|entry| entry.expect("the folder can be listed").path())
        .map(|path| (path.file_name().expect("it has a name").to_string_lossy().into_owned(), path))
        .collect();
    if !captures.is_empty() {
        return Some(Corpus { captures, oracles: folder.join("oracle") });
    }
    let missing = format!("no captures in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Past the test harness, which keeps what passing tests print.
    writeln!(std::io::stderr(), "LEFT OUT: a test over real captures; {missing}").expect("standard error takes text");
    None
}

pub(crate) struct Corpus {
    pub(crate) captures: BTreeMap<String, PathBuf>,
    oracles: PathBuf,
}

impl Corpus {
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.captures.values().cloned().collect()
    }

    /// What is known of a capture.
    pub(crate) fn oracle(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.oracles.join(format!("{name}.json"))).expect("it has an oracle");
        serde_json::from_str(&text).expect("oracles are JSON")
    }

    /// What tshark says of a capture.
    pub(crate) fn tshark(&self, name: &str) -> Value {
        self.oracle(name)["tshark"].take()
    }
}

/// Every record of a file with its bytes.
pub(crate) fn each_record(path: &Path, mut each: impl FnMut(&pcap_compactor::capture::Record, &[u8])) {
    let mut capture = Capture::open(path, Io::Read).expect("it can be opened");
    let mut records = Records::default();
    while capture.fill(&mut records, 1000).expect("it can be read") {
        for record in records.list() {
            each(record, records.frame(record));
        }
    }
}

/// What the model is to see of a file.
fn seen(path: &Path, tunnels: Tunnels) -> Captured {
    let decoder = Decoder::new(tunnels);
    let mut captured = Captured::default();
    each_record(path, |record, frame| {
        captured.first_record.get_or_insert(record.time.0);
        captured.packets.extend(decoder.decode(record, frame).ok().map(|packet| seen_packet(&packet, frame)));
    });
    captured
}

fn seen_packet(packet: &Packet, frame: &[u8]) -> Seen {
    let part = match (packet.fragment, datagram(packet, frame)) {
        (Fragment::Whole, _) => Part::Whole,
        (_, None) => Part::Stray,
        (Fragment::First, Some(datagram)) => Part::First(datagram.identification, datagram.protocol),
        (Fragment::Later, Some(datagram)) => Part::Later(datagram.identification, datagram.protocol),
    };
    let transport = usize::from(packet.transport_offset);
    let inside = transport < usize::from(packet.ip_offset) + packet.ip_length as usize;
    Seen {
        time: packet.time.0,
        src: packet.src_ip(),
        dst: packet.dst_ip(),
        src_port: packet.src_port,
        dst_port: packet.dst_port,
        protocol: packet.protocol,
        flags: packet.has_flags.then_some(packet.tcp_flags),
        wire: u64::from(packet.wire),
        captured: u64::from(packet.captured),
        part,
        first_byte: frame.get(transport).copied().filter(|_| inside && packet.fragment != Fragment::Later),
        payload: if matches!(packet.protocol, 6 | 17) { packet.payload(frame).to_vec() } else { Vec::new() },
    }
}

/// Captures whose number of packets is not tshark's: ours, and why.
const OTHER_PACKETS: &[(&str, u64, &str)] = &[
    ("libpcap__filter_brcm-tag-stp.pcap", 4, "tshark refuses link type 281"),
    ("tcpdump__juniper_monitor_invalid_cookie_length.pcap", 1, "tshark refuses link type 164"),
    ("tcpdump__vtp_asan.pcap", 5, "tshark refuses link type 182"),
    ("pcapngtest__be_test017.pcapng", 0, "tshark counts its four custom blocks as packets"),
    ("pcapngtest__le_test017.pcapng", 0, "tshark counts its four custom blocks as packets"),
    ("pcapngtest__be_test102.pcapng", 5, "tshark counts its three custom blocks as packets"),
    ("pcapngtest__le_test102.pcapng", 5, "tshark counts its three custom blocks as packets"),
];

#[test]
fn packets_are_those_that_tshark_reads() {
    let Some(corpus) = corpus() else { return };
    let mut unequal = BTreeSet::new();
    for (name, path) in &corpus.captures {
        let mut packets = 0;
        each_record(path, |_, _| packets += 1);
        let theirs = number(&corpus.tshark(name)["packets"]);
        if packets != theirs {
            unequal.insert((name.as_str(), packets));
        }
    }
    let listed: BTreeSet<_> = OTHER_PACKETS.iter().map(|&(name, ours, _)| (name, ours)).collect();
    assert_eq!(unequal, listed);
}

/// Whose reading it is that a capture's counts differ.
#[derive(Clone, Copy, PartialEq)]
enum Lack {
    /// We do not read what tshark reads.
    Ours,
    /// tshark gives up on headers whose ports can be read.
    Theirs,
}

/// Captures in which we count other transports or flags than tshark: TCP and UDP packets, SYN, ACK, RST and FIN as we
/// count them, and why.
const OTHER_TRANSPORTS: &[(&str, [u64; 6], Lack, &str)] = &[
    (
        "libpcap__filter_AH-IPcomp-IPv6.pcap",
        [8, 0, 2, 7, 0, 2],
        Lack::Ours,
        "seven packets are compressed with IPComp, which tshark undoes",
    ),
    ("libpcap__filter_arcnet-rfc1201-arp-icmp-http.pcap", [0; 6], Lack::Ours, "link type 129 is not supported"),
    ("pcapsql__fuzz_pcap_reader_netlink-nflog.pcap", [0; 6], Lack::Ours, "link type 253 is not supported"),
    (
        "arkime__arkime_synthetic.pcap",
        [733, 141, 186, 636, 1, 83],
        Lack::Theirs,
        "frame 818 is UDP with a length field of 0, and gets no stream",
    ),
    (
        "tcpdump__bigtcp-ipv6-geneve-ipv4.pcap",
        [1, 0, 0, 1, 0, 0],
        Lack::Theirs,
        "an IPv6 payload length of 0 hides the UDP header and what is in the tunnel",
    ),
];

#[test]
fn transports_and_flags_are_those_that_tshark_finds() {
    let Some(corpus) = corpus() else { return };
    let mut unequal = BTreeMap::new();
    for (name, path) in &corpus.captures {
        let job = job(&Config::default(), Range::default(), PLAIN);
        let total = job.run(inputs(std::slice::from_ref(path)), &mut Discard).unwrap().total;
        let ours = [total.tcp, total.udp, total.flags.syn, total.flags.ack, total.flags.rst, total.flags.fin];
        let tshark = corpus.tshark(name);
        let of = |map: &str, key: &str| tshark[map].get(key).map_or(0, number);
        let [tcp, udp] = ["tcp", "udp"].map(|transport| of("transport_inner", transport));
        let [syn, ack, rst, fin] = ["syn", "ack", "rst", "fin"].map(|flag| of("tcp_flag_packets", flag));
        let theirs = [tcp, udp, syn, ack, rst, fin];
        if ours != theirs {
            unequal.insert(name.as_str(), ours);
        }
    }
    let listed: BTreeMap<_, _> = OTHER_TRANSPORTS.iter().map(|&(name, ours, ..)| (name, ours)).collect();
    assert_eq!(unequal, listed);
    assert!(OTHER_TRANSPORTS.len() * 100 <= corpus.captures.len() * 3, "97 in 100 are equal");
}

/// What a scan summary says in short: source, transport, shape, destinations, ports, answered contacts, packets.
type Verdict = (String, &'static str, &'static str, u64, u64, u64, u64);

fn verdicts(path: &Path, config: &Config) -> Vec<Verdict> {
    let (said, _) = say(&[path.to_owned()], config, Range::default(), PLAIN);
    let verdict = |scan: &ScanSummary| {
        let (transport, kind) = (scan.transport.name(), scan.kind.name());
        let (dsts, ports) = (scan.unique_dsts, scan.unique_ports);
        (scan.src_ip.to_string(), transport, kind, dsts, ports, scan.answered, scan.amount.packets)
    };
    said.scans().map(verdict).collect()
}

#[test]
fn a_capture_named_after_a_scan_has_one() {
    let Some(corpus) = corpus() else { return };
    let config = Config::default();
    // nmap's thousand ports of one host, of which three answered and stay groups with their fifteen packets.
    let scan = verdicts(&corpus.captures["ndpi__synscan.pcap"], &config);
    assert_eq!(scan, [("172.16.0.8".to_owned(), "tcp", "vertical", 1, 1000, 3, 1996)]);
    // Seven ports are no scan by the threshold, and five of them in vain are one by a lower threshold.
    let path = &corpus.captures["ndpi__tcp_scan.pcap"];
    assert_eq!(verdicts(path, &config), []);
    let scan = verdicts(path, &Config { scan_unique_ports_threshold: 6, ..config });
    assert_eq!(scan, [("192.168.1.178".to_owned(), "tcp", "vertical", 1, 7, 2, 10)]);
}

#[test]
fn the_whole_corpus_says_what_the_model_says() {
    let Some(corpus) = corpus() else { return };
    let files: Vec<Captured> = corpus.captures.values().map(|path| seen(path, Tunnels::Inner)).collect();
    let config = Config::default();
    for (path, captured) in corpus.captures.values().zip(&files) {
        let (said, _) = say(std::slice::from_ref(path), &config, Range::default(), PLAIN);
        check(&said, &expect(std::slice::from_ref(captured), &config, Range::default()));
    }
    let (said, _) = say(&corpus.paths(), &config, Range::default(), WAYS[6]);
    check(&said, &expect(&files, &config, Range::default()));

    let files: Vec<Captured> = corpus.captures.values().map(|path| seen(path, Tunnels::Outer)).collect();
    let mut said = Said::default();
    let job = Job::new(config.clone()).engine(Engine::builder().tunnels(Tunnels::Outer));
    job.run(inputs(&corpus.paths()), &mut said).unwrap();
    check(&said, &expect(&files, &config, Range::default()));
}

#[test]
fn the_whole_corpus_says_the_same_in_any_order_on_any_threads() {
    let Some(corpus) = corpus() else { return };
    let config = Config::default();
    let said = lines(&corpus.paths(), &config, Range::default(), PLAIN);
    let mut order: Vec<&PathBuf> = corpus.captures.values().collect();
    let mut draw = 42_u64;
    for turn in 0..20 {
        for at in (1..order.len()).rev() {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, (draw >> 33) as usize % (at + 1));
        }
        // Names follow the order, since files with the same first time are read by path.
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..order.len()).map(|n| dir.path().join(format!("{n:03}"))).collect();
        for (path, link) in order.iter().zip(&paths) {
            std::os::unix::fs::symlink(std::fs::canonicalize(path).unwrap(), link).unwrap();
        }
        let way = WAYS[turn % WAYS.len()];
        assert!(lines(&paths, &config, Range::default(), way) == said, "turn {turn}, {way:?}");
    }
}

#[test]
fn no_wrapping_of_a_capture_shows() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    let without_files = |lines: &[u8]| {
        let mut text = String::from_utf8(lines.to_vec()).unwrap();
        let at = text.rfind('\n').map_or(0, |at| at + 1);
        let mut metrics: Value = serde_json::from_str(&text[at..]).unwrap();
        metrics["files"].take();
        // A file that is no capture has a twin that is one.
        metrics["segments_valid"].take();
        text.truncate(at);
        text + &metrics.to_string()
    };
    for (name, path) in &corpus.captures {
        let said = |bytes: &[u8]| lines(&[file(dir.path(), "wrapped", bytes)], &config, Range::default(), PLAIN);
        let plain = lines(std::slice::from_ref(path), &config, Range::default(), PLAIN);
        if let Some(bytes) = unwrapped(path) {
            assert!(said(&bytes) == plain, "{name}");
            assert!(said(&gzip(&bytes)) == plain, "{name} in gzip");
            assert!(said(&zstd(&bytes)) == plain, "{name} in zstd");
        }
        assert_eq!(without_files(&said(&twin(path))), without_files(&plain), "{name} as pcapng");
    }
}

/// The bytes of a capture, decompressed; nothing where its compressed stream is damaged.
fn unwrapped(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).expect("it can be read");
    let mut plain = Vec::new();
    match bytes.get(..4) {
        Some([0x1f, 0x8b, ..]) => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).ok()?,
        Some([0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]) => {
            zstd::Decoder::new(&bytes[..]).ok()?.read_to_end(&mut plain).ok()?
        }
        _ => return Some(bytes),
    };
    Some(plain)
}

/// The same records as a pcapng: link types, times, lengths and bytes.
fn twin(path: &Path) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), false).expect("memory takes bytes");
    let mut interfaces: BTreeMap<(LinkType, u8, i64), u32> = BTreeMap::new();
    each_record(path, |record, frame| {
        let mut packet = |resolution, offset, ticks| {
            let interface = *interfaces
                .entry((record.link, resolution, offset))
                .or_insert_with(|| writer.interface(record.link, 0, resolution, offset).expect("memory takes bytes"));
            writer.packet(interface, ticks, record.wire, frame).expect("memory takes bytes");
        };
        let (seconds, ns) = (record.time.seconds(), record.time.ns().rem_euclid(NS_PER_SECOND) as u64);
        match record.stamp {
            Stamp::Known if seconds >= 0 => packet(9, 0, record.time.ns() as u64),
            Stamp::Known => packet(9, seconds, ns),
            Stamp::Unrepresentable => packet(0, 0, u64::MAX),
            Stamp::Missing => {
                // A simple packet is one of the first interface, and is as long as its snap length lets it be.
                assert!(record.captured <= record.wire, "a simple packet can only be cut");
                writer.section(false).expect("memory takes bytes");
                interfaces.clear();
                let snapshot = if record.captured < record.wire { record.captured } else { 0 };
                writer.interface(record.link, snapshot, 6, 0).expect("memory takes bytes");
                interfaces.insert((LinkType(u16::MAX), 0, 0), 0);
                writer.simple(record.wire, frame).expect("memory takes bytes");
            }
        }
    });
    writer.finish().expect("memory takes bytes")
}
