//! What payload says of real captures, against tshark.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use pcap_compactor::decode::packet::Fragment;
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use pcap_compactor::payload::fragments::Fragments;
use pcap_compactor::payload::http::Request;
use pcap_compactor::payload::{Conversation, End, Fields, Limits, Segment};
use serde_json::Value;

use crate::corpus::{Corpus, corpus, each_record};
use crate::run::number;

mod flows;

/// One end of a flow.
type Host = (IpAddr, u16);

/// The flows of a capture by their ends and protocol; more than one where a connection was opened anew.
#[derive(Default)]
struct Flows {
    flows: BTreeMap<(Host, Host, u8), Vec<Flow>>,
    fragments: Fragments,
}

#[derive(Default)]
struct Flow {
    conversation: Conversation,
    /// Sequence number of the SYN that opened it.
    opened: Option<u32>,
}

impl Flows {
    fn packet(&mut self, packet: &Packet, frame: &[u8], limits: &Limits) {
        if packet.fragment == Fragment::Whole {
            let a = (packet.src_ip(), packet.src_port);
            let b = (packet.dst_ip(), packet.dst_port);
            let from = if a <= b { End::A } else { End::B };
            if let Some(segment) = Segment::of(packet, frame, from) {
                self.segment(a, b, &segment, limits);
            }
        } else if let Some(whole) = self.fragments.push(packet, frame, ()) {
            let probe = Segment::of_datagram(whole.protocol, &whole.bytes, packet.time, End::A);
            let Some(ports) = probe.map(|segment| segment.ports) else { return };
            let (a, b) = ((packet.src_ip(), ports[0]), (packet.dst_ip(), ports[1]));
            let from = if a <= b { End::A } else { End::B };
            if let Some(segment) = Segment::of_datagram(whole.protocol, &whole.bytes, packet.time, from) {
                self.segment(a, b, &segment, limits);
            }
        }
    }

    fn segment(&mut self, a: Host, b: Host, segment: &Segment<'_>, limits: &Limits) {
        let flows = self.flows.entry((a.min(b), a.max(b), segment.protocol)).or_default();
        let anew = segment.opens() && flows.last().is_none_or(|flow| flow.opened.is_some_and(|seq| seq != segment.seq));
        if anew || flows.is_empty() {
            flows.push(Flow { opened: segment.opens().then_some(segment.seq), ..Flow::default() });
        }
        if let Some(flow) = flows.last_mut() {
            if segment.opens() {
                flow.opened = Some(segment.seq);
            }
            flow.conversation.push(segment, limits);
        }
    }
}

type Read = BTreeMap<(Host, Host, u8), Vec<Fields>>;

fn read(path: &Path, limits: &Limits) -> Read {
    let decoder = Decoder::new(Tunnels::Inner);
    let mut flows = Flows::default();
    each_record(path, |record, frame| {
        if let Ok(packet) = decoder.decode(record, frame) {
            flows.packet(&packet, frame, limits);
        }
    });
    let finish =
        |flows: Vec<Flow>| flows.into_iter().filter_map(|flow| flow.conversation.finish(limits)).map(|f| *f).collect();
    flows.flows.into_iter().map(|(key, flows)| (key, finish(flows))).collect()
}

/// The flow that tshark gives a stream number.
struct Streams(BTreeMap<String, (Host, Host, u8)>);

impl Streams {
    fn of(oracle: &Value) -> Streams {
        let mut streams = BTreeMap::new();
        for (letter, table, protocol) in [("t", "tcp_streams", 6), ("u", "udp_streams", 17)] {
            for row in oracle["tshark"][table].as_array().into_iter().flatten() {
                let host = |at: usize| -> Option<Host> {
                    Some((row[at].as_str()?.parse().ok()?, u16::try_from(row[at + 1].as_u64()?).ok()?))
                };
                if let (Some(a), Some(b)) = (host(2), host(4)) {
                    streams.insert(format!("{letter}{}", row[0]), (a.min(b), a.max(b), protocol));
                }
            }
        }
        Streams(streams)
    }
}

/// A row: the flow, where tshark tells it, and what was found in it.
type Row = (Option<(Host, Host, u8)>, Vec<String>);

/// How much of what tshark found we found.
#[derive(Default)]
struct Score {
    rows: usize,
    misses: Vec<(String, Row)>,
    /// Rows that tshark does not have, by capture.
    beyond: BTreeMap<String, usize>,
}

impl Score {
    /// Takes the rows of a capture: each of theirs must be in ours.
    fn compare(&mut self, name: &str, ours: impl IntoIterator<Item = Row>, theirs: impl IntoIterator<Item = Row>) {
        let mut left: BTreeMap<Row, usize> = BTreeMap::new();
        ours.into_iter().for_each(|row| *left.entry(row).or_default() += 1);
        for row in theirs {
            self.rows += 1;
            match left.get_mut(&row) {
                Some(count) if *count > 0 => *count -= 1,
                _ => self.misses.push((name.to_owned(), row)),
            }
        }
        let beyond: usize = left.values().sum();
        if beyond > 0 {
            self.beyond.insert(name.to_owned(), beyond);
        }
    }
}

/// Why we do not have what tshark has.
#[derive(Clone, Copy, PartialEq)]
enum Lack {
    /// We do not read it.
    Ours,
    /// It is no word of the payload: it was opened with secrets, came in a frame that is not decoded, or is misread.
    Theirs,
}

/// What tshark has and we do not: kind, capture, rows, whose lack, and why.
const LACKS: &[(&str, &str, usize, Lack, &str)] = &[
    ("certificate", "ndpi__doq.pcapng", 1, Lack::Theirs, "opened with secrets in the capture"),
    ("certificate", "ndpi__openvpn.pcapng", 4, Lack::Ours, "TLS inside OpenVPN's control packets"),
    ("certificate", "nfstream-old__ietf_quic.pcapng", 1, Lack::Theirs, "opened with secrets in the capture"),
    ("certificate", "nfstream__quic-33.pcapng", 1, Lack::Theirs, "opened with secrets in the capture"),
    ("dns", "libpcap__filter_arcnet-rfc1201-arp-icmp-http.pcap", 4, Lack::Theirs, "link type 129 is not supported"),
    ("dns", "ndpi__fuzz-2006-06-26-2594.pcap", 12, Lack::Ours, "labels of no known kind, which leave no name"),
    ("dns", "pcapsql__fuzz_pcap_reader_netlink-nflog.pcap", 3, Lack::Theirs, "link type 253 is not supported"),
    ("ftp", "ndpi__ftp-start-tls.pcap", 2, Lack::Ours, "commands in the clear after TLS has ended"),
    ("http request", "arkime__gre-erspan-vxlan.pcap", 1, Lack::Theirs, "tshark ends a target at its first space"),
    ("http request", "arkime__sctp-www.pcap", 3, Lack::Ours, "HTTP over SCTP"),
    (
        "http request",
        "fq__inet_tls12-ipv4-linkframe-keylog.pcapng",
        2,
        Lack::Theirs,
        "opened with secrets in the capture",
    ),
    ("http request", "libpcap__filter_AH-IPcomp-IPv6.pcap", 1, Lack::Theirs, "compressed with IPComp"),
    ("http request", "nfstream__http-manipulated.pcapng", 1, Lack::Theirs, "a target too long for tshark's field"),
    ("http request", "pcapsql__fuzz_pcap_reader_netlink-nflog.pcap", 1, Lack::Theirs, "link type 253 is not supported"),
    ("http status", "arkime__sctp-www.pcap", 1, Lack::Ours, "HTTP over SCTP"),
    (
        "http status",
        "fq__inet_tls12-ipv4-linkframe-keylog.pcapng",
        1,
        Lack::Theirs,
        "opened with secrets in the capture",
    ),
    ("http status", "libpcap__filter_AH-IPcomp-IPv6.pcap", 1, Lack::Theirs, "compressed with IPComp"),
    ("http status", "pcapsql__fuzz_pcap_reader_netlink-nflog.pcap", 1, Lack::Theirs, "link type 253 is not supported"),
    ("quic", "ndpi__snapchat_call_v1.pcapng", 390, Lack::Theirs, "media that tshark takes for QUIC"),
    ("server suite", "ndpi__openvpn.pcapng", 2, Lack::Ours, "TLS inside OpenVPN's control packets"),
    ("server suite", "ndpi__openvpn_nohmac.pcapng", 1, Lack::Ours, "TLS inside OpenVPN's control packets"),
    ("server suite", "nfstream-old__ietf_quic.pcapng", 1, Lack::Ours, "a second connection between the same ports"),
    ("sni", "ndpi__rdp2.pcapng", 1, Lack::Ours, "TLS inside RDP's own transport over UDP"),
];

/// What must be found in at least 98 of 100 rows.
const PROMISED: [&str; 6] = ["sni", "alpn", "certificate", "http request", "dns", "ssh"];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A name as tshark writes it: no escapes but for control characters.
fn as_tshark(name: &str) -> String {
    if name == "." {
        return "<Root>".to_owned();
    }
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        match (byte, rest.clone().next()) {
            (b'\\', Some(digit)) if digit.is_ascii_digit() => {
                let digits = [(); 3].map(|()| u32::from(rest.next().expect("an escape has three digits") - b'0'));
                bytes.push(u8::try_from(digits[0] * 100 + digits[1] * 10 + digits[2]).expect("it is a byte"));
            }
            (b'\\', _) => bytes.extend(rest.next()),
            _ => bytes.push(byte),
        }
    }
    let mut text = String::new();
    for c in String::from_utf8_lossy(&bytes).chars() {
        match c {
            '\r' => text += "\\r",
            c if c.is_ascii_control() => text += &format!("\\{:03o}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

/// The keys of a map in an oracle, as rows without a flow.
fn keys(map: &Value) -> Vec<Row> {
    map.as_object().into_iter().flatten().map(|(key, _)| (None, vec![key.clone()])).collect()
}

/// Rows without a flow, each once.
fn once(rows: impl Iterator<Item = Vec<String>>) -> BTreeSet<Row> {
    rows.map(|row| (None, row)).collect()
}

fn compare(name: &str, all: &Read, oracle: &Value, scores: &mut BTreeMap<&str, Score>) {
    let streams = Streams::of(oracle);
    let app = &oracle["app"];
    let rows = |key: &str| app[key].as_array().cloned().unwrap_or_default();
    let flow = |row: &Value| streams.0.get(row[0].as_str().unwrap_or_default()).copied();
    let cells = |row: &Value, at: &[usize]| at.iter().map(|&at| text(&row[at])).collect::<Vec<_>>();
    let theirs =
        |key: &str, at: &[usize]| -> Vec<Row> { rows(key).iter().map(|row| (flow(row), cells(row, at))).collect() };
    let fields = || all.iter().flat_map(|(key, flows)| flows.iter().map(move |fields| (Some(*key), fields)));
    let tls = || fields().filter_map(|(key, fields)| Some((key, fields.tls.as_deref()?)));
    let http = || fields().filter_map(|(key, fields)| Some((key, fields.http.as_deref()?)));

    let ours: BTreeSet<Row> = tls().filter_map(|(key, tls)| Some((key, vec![tls.sni.clone()?]))).collect();
    let asked: BTreeSet<Row> = theirs("tls_sni", &[1]).into_iter().collect();
    scores.entry("sni").or_default().compare(name, ours, asked);

    let ours = once(tls().flat_map(|(_, tls)| tls.alpn_offered.iter().chain(&tls.alpn)).map(|alpn| vec![alpn.clone()]));
    scores.entry("alpn").or_default().compare(name, ours, keys(&app["tls_alpn"]));

    let ours = tls().flat_map(|(key, tls)| {
        let chains = tls.certificates.iter().chain(&tls.client_certificates);
        chains.map(move |certificate| (key, vec![certificate.sha256.clone()]))
    });
    scores.entry("certificate").or_default().compare(name, ours, theirs("tls_certs", &[2]));

    let ours = once(tls().filter_map(|(_, tls)| Some(vec![format!("0x{:04x}", tls.cipher?)])));
    scores.entry("server suite").or_default().compare(name, ours, keys(&app["tls_server_suites"]));

    let ours = http().flat_map(|(key, http)| {
        let cells = |request: &Request| {
            [&request.method, &request.host, &request.target].map(|cell| cell.clone().unwrap_or_default()).to_vec()
        };
        http.requests.iter().map(move |request| (key, cells(request)))
    });
    scores.entry("http request").or_default().compare(name, ours, theirs("http_requests", &[1, 2, 3]));

    let ours =
        once(http().flat_map(|(_, http)| http.responses.iter()).map(|response| vec![response.status.to_string()]));
    scores.entry("http status").or_default().compare(name, ours, keys(&app["http_response_codes"]));

    let lookups = fields().flat_map(|(_, fields)| fields.dns.iter().flat_map(|dns| dns.lookups.iter()));
    let ours = once(lookups.flat_map(|lookup| {
        let kinds = [(lookup.queries, "0"), (lookup.responses, "1")];
        kinds
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(_, response)| vec![as_tshark(&lookup.name), lookup.kind.to_string(), response.to_owned()])
    }));
    let names = rows("dns").iter().map(|row| (None, cells(row, &[0, 1, 2]))).collect::<Vec<Row>>();
    scores.entry("dns").or_default().compare(name, ours, names);

    let ours = fields().flat_map(|(key, fields)| {
        let ends = fields.ssh.iter().flat_map(|ssh| ssh.client.iter().chain(&ssh.server));
        ends.map(move |end| (key, vec![end.clone()]))
    });
    scores.entry("ssh").or_default().compare(name, ours, theirs("ssh_banners", &[1]));

    let verbs = fields().flat_map(|(_, fields)| fields.ftp.iter().flat_map(|ftp| ftp.commands.iter()));
    let ours = verbs.map(|verb| (None, vec![(*verb).to_owned()]));
    let verbs = app["ftp_commands"].as_object().into_iter().flatten();
    let verbs = verbs.flat_map(|(verb, count)| vec![(None, vec![verb.clone()]); number(count) as usize]);
    scores.entry("ftp").or_default().compare(name, ours, verbs);

    let versions = fields().filter_map(|(_, fields)| Some(fields.quic.as_ref()?.version.0));
    let ours = once(versions.map(|version| vec![format!("0x{version:08x}")]));
    scores.entry("quic").or_default().compare(name, ours, keys(&app["quic_versions"]));
}

/// Holds what is read of every capture against tshark; what we lack must be what is listed.
fn agrees_with_tshark(corpus: &Corpus, read: impl Fn(&Path) -> Read) {
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    for (name, path) in &corpus.captures {
        compare(name, &read(path), &corpus.oracle(name), &mut scores);
    }
    let mut unequal: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    // Past the test harness, which keeps what passing tests print.
    let mut out = std::io::stderr();
    for (what, score) in &scores {
        let (rows, misses) = (score.rows, score.misses.len());
        let of_kind = LACKS.iter().filter(|lack| lack.0 == *what);
        let theirs = of_kind.clone().filter(|lack| lack.3 == Lack::Theirs).map(|lack| lack.2).sum::<usize>();
        let percent = |rows: usize| (score.rows - misses) as f64 * 100.0 / rows.max(1) as f64;
        let (all, fair) = (percent(rows), percent(rows - theirs));
        let beyond = score.beyond.values().sum::<usize>();
        let found = rows - misses;
        writeln!(out, "{what}: {found} of {rows} = {all:.2} %, of words of the payload {fair:.2} %; {beyond} beyond")
            .expect("standard error takes text");
        for (_, name, rows, _, why) in of_kind {
            writeln!(out, "  not {rows} of {name}: {why}").expect("standard error takes text");
        }
        for (name, row) in &score.misses {
            let count = unequal.entry((*what, name.as_str())).or_default();
            *count += 1;
            if !LACKS.iter().any(|lack| lack.0 == *what && lack.1 == name) {
                writeln!(out, "  not {row:?} of {name}, and nobody said why").expect("standard error takes text");
            }
        }
        assert!(fair >= 98.0 || !PROMISED.contains(what), "{what}");
    }
    let listed: BTreeMap<_, _> = LACKS.iter().map(|&(what, name, rows, ..)| ((what, name), rows)).collect();
    assert_eq!(unequal, listed);
}

#[test]
fn payload_says_what_tshark_says() {
    let Some(corpus) = corpus() else { return };
    agrees_with_tshark(&corpus, |path| read(path, &Limits::default()));
}

#[test]
fn bounds_on_memory_cost_words_and_nothing_else() {
    let Some(corpus) = corpus() else { return };
    let tight = Limits { stream: 2000, items: 3, text: 500, details: true };
    for path in corpus.captures.values() {
        for fields in read(path, &tight).values().flatten() {
            let http = fields.http.as_deref().map_or(0, |http| http.requests.len() + http.responses.len());
            let dns = fields.dns.as_deref().map_or(0, |dns| dns.lookups.len());
            assert!(http + dns <= tight.items);
        }
    }
}

#[test]
fn fingerprints_are_those_that_are_published() {
    let Some(corpus) = corpus() else { return };
    // FoxIO's results for captures that the corpus has too.
    let published = [
        ("ja4__badcurveball.pcap", "t13d1615h2_46e7e9700bed_45f260be83e2"),
        ("arkime__socks-https-example.pcap", "t10d230100_6a57a6f57151_000000000000"),
    ];
    for (name, ja4) in published {
        let read = read(&corpus.captures[name], &Limits::default());
        let found = read.values().flatten().filter_map(|fields| fields.tls.as_ref()?.ja4.as_deref());
        assert!(
            found.clone().count() > 0 && found.clone().all(|found| found == ja4),
            "{name}: {:?}",
            found.collect::<Vec<_>>()
        );
    }
}
