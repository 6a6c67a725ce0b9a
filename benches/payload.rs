//! What payload costs a packet: flows in which nothing is recognised, flows of one protocol, and, where
//! `PCAP_COMPACTOR_CORPUS` names it, the corpus.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput};
use pcap_compactor::Timestamp;
use pcap_compactor::capture::{Capture, Io, Records};
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use pcap_compactor::payload::{Conversation, End, Limits, Segment};

/// A flow: protocol, ports of A and B, and who says what.
struct Flow {
    name: &'static str,
    protocol: u8,
    ports: [u16; 2],
    says: Vec<(End, Vec<u8>)>,
}

impl Flow {
    /// Shows the flow to a conversation; gives whether anything was recognised.
    fn play(&self, limits: &Limits) -> bool {
        let mut conversation = Conversation::default();
        let mut next = [0_u32; 2];
        for (time, (from, payload)) in self.says.iter().enumerate() {
            let seq = &mut next[*from as usize];
            let [a, b] = self.ports;
            let segment = Segment {
                from: *from,
                time: Timestamp(time as i64),
                protocol: self.protocol,
                ports: if *from == End::A { [a, b] } else { [b, a] },
                seq: *seq,
                flags: 0x18,
                payload,
                cut: 0,
            };
            *seq += payload.len() as u32;
            conversation.push(&segment, limits);
        }
        conversation.finish(limits).is_some()
    }
}

/// Bytes behind their length in two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// A TLS record with a hello of either side: its body up to the extensions, and those.
fn hello(kind: u8, body: &[u8], extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let extensions: Vec<u8> =
        extensions.iter().flat_map(|(kind, bytes)| [&kind.to_be_bytes()[..], &long(bytes)].concat()).collect();
    let body = [&[3, 3][..], &[7; 32], &[0], body, &long(&extensions)].concat();
    let message = [&[kind, 0][..], &long(&body)].concat();
    [&[22, 3, 1][..], &long(&message)].concat()
}

fn flows() -> Vec<Flow> {
    let flow = |name, protocol, ports, says| Flow { name, protocol, ports, says };
    let rest = |first: &[(End, &[u8])], then: &[u8]| -> Vec<(End, Vec<u8>)> {
        let first = first.iter().map(|(from, payload)| (*from, payload.to_vec()));
        first.chain((0..28).map(|_| (End::B, then.to_vec()))).collect()
    };
    let request = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 39200\r\n\r\n";
    let ciphers: Vec<u8> = (0xc000_u16..0xc020).flat_map(u16::to_be_bytes).collect();
    let client = hello(
        1,
        &[&long(&ciphers)[..], &[1, 0]].concat(),
        &[
            (0, &long(&[&[0][..], &long(b"www.example.org")].concat())),
            (10, &long(&[0, 29, 0, 23])),
            (11, &[1, 0]),
            (13, &long(&[4, 3, 8, 4, 4, 1])),
            (16, &long(b"\x02h2\x08http/1.1")),
            (43, &[4, 3, 4, 3, 3]),
        ],
    );
    let server = hello(2, &[0x13, 1, 0], &[(43, &[3, 4])]);
    let query = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";
    let answer = [
        &query[..2],
        b"\x81\x80\x00\x01\x00\x01",
        &query[8..],
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x00\x00\x04\xc0\x00\x02\x01",
    ];
    let encrypted = [&[23, 3, 3, 5, 115][..], &[0xa5; 1395]].concat();
    vec![
        flow("unknown_tcp", 6, [50_000, 9999], rest(&[(End::A, b"\x05\x01\x02"), (End::B, b"?")], &[0xa5; 1400])),
        flow("unknown_udp", 17, [50_000, 9999], rest(&[(End::A, b"\x85"), (End::B, b"\x85")], &[0xa5; 1200])),
        flow("http", 6, [50_000, 80], rest(&[(End::A, request), (End::B, response)], &[0xa5; 1400])),
        flow("tls", 6, [50_000, 443], rest(&[(End::A, &client), (End::B, &server)], &encrypted)),
        flow("dns", 17, [50_000, 53], vec![(End::A, query.to_vec()), (End::B, answer.concat())]),
        flow("ssh", 6, [50_000, 22], rest(&[(End::A, b"SSH-2.0-a\r\n"), (End::B, b"SSH-2.0-b\r\n")], &[0xa5; 400])),
    ]
}

/// Address and port.
type Host = (IpAddr, u16);

/// The packets of a capture that are whole, with their frames and the numbers of their flows.
struct Decoded {
    packets: Vec<(Packet, Vec<u8>, usize, End)>,
    flows: usize,
}

fn decode(path: &Path) -> Decoded {
    let decoder = Decoder::new(Tunnels::Inner);
    let mut capture = Capture::open(path, Io::Read).expect("it can be opened");
    let mut records = Records::default();
    let mut numbers: HashMap<(Host, Host, u8), usize> = HashMap::new();
    let mut packets = Vec::new();
    while capture.fill(&mut records, 1000).expect("it can be read") {
        for record in records.list() {
            let frame = records.frame(record);
            let Ok(packet) = decoder.decode(record, frame) else { continue };
            let (a, b) = ((packet.src_ip(), packet.src_port), (packet.dst_ip(), packet.dst_port));
            let count = numbers.len();
            let number = *numbers.entry((a.min(b), a.max(b), packet.protocol)).or_insert(count);
            packets.push((packet, frame.to_vec(), number, if a <= b { End::A } else { End::B }));
        }
    }
    Decoded { packets, flows: numbers.len() }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("payload");
    for flow in flows() {
        assert_eq!(flow.play(&limits), !flow.name.starts_with("unknown"));
        group.throughput(Throughput::Elements(flow.says.len() as u64));
        group.bench_function(flow.name, |bencher| bencher.iter(|| black_box(flow.play(&limits))));
    }
    if let Some(folder) = std::env::var_os("PCAP_COMPACTOR_CORPUS") {
        let folder = PathBuf::from(folder).join("captures/captures");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let captures: Vec<Decoded> = paths.iter().map(|path| decode(path)).collect();
        let packets: usize = captures.iter().map(|capture| capture.packets.len()).sum();
        group.throughput(Throughput::Elements(packets as u64)).sample_size(10);
        group.bench_function("corpus", |bencher| {
            bencher.iter(|| {
                let mut recognised = 0;
                for capture in &captures {
                    let mut flows: Vec<Conversation> = (0..capture.flows).map(|_| Conversation::default()).collect();
                    for (packet, frame, flow, from) in &capture.packets {
                        if let Some(segment) = Segment::of(packet, frame, *from) {
                            flows[*flow].push(&segment, &limits);
                        }
                    }
                    recognised += flows.into_iter().filter_map(|flow| flow.finish(&limits)).count();
                }
                recognised
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
