//! Random traffic, as bad as it gets: few hosts and ports, so that everything collides and every host plays both roles;
//! times on the borders of slices, windows and fragment slots; flags that contradict each other; fragments in any order.
//!
//! A [`Frame`] knows its bytes and what the model is to see of them, so that the decoder is tested along.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter, PcapngWriter};
use proptest::prelude::*;

use crate::model::{Captured, Part, SECOND, Seen};

/// A full hour: 2023-10-19T12:00:00Z.
pub(crate) const START: i64 = 1_697_716_800 * SECOND;

/// A frame to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) time: i64,
    pub(crate) src: IpAddr,
    /// Of the family of `src`.
    pub(crate) dst: IpAddr,
    pub(crate) body: Body,
    /// VLAN tags.
    pub(crate) tags: usize,
    /// Link-layer padding behind the packet.
    pub(crate) padding: usize,
    /// Bytes cut off by a snap length, at most the padding and the payload.
    pub(crate) cut: usize,
    /// A wire length that the record claims instead of its own.
    pub(crate) lie: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Tcp {
        src_port: u16,
        dst_port: u16,
        flags: u8,
        payload: Vec<u8>,
    },
    Udp {
        src_port: u16,
        dst_port: u16,
        payload: Vec<u8>,
    },
    Sctp {
        src_port: u16,
        dst_port: u16,
    },
    /// ICMP, or ICMPv6 by its protocol number.
    Icmp {
        protocol: u8,
        kind: u8,
    },
    Other {
        protocol: u8,
    },
    /// The first fragment of a datagram.
    First {
        identification: u32,
        body: Box<Body>,
    },
    /// A later fragment.
    Later {
        identification: u32,
        protocol: u8,
        length: usize,
    },
    /// No IP at all.
    Arp,
}

impl Frame {
    pub(crate) fn new(time: i64, src: IpAddr, dst: IpAddr, body: Body) -> Frame {
        Frame { time, src, dst, body, tags: 0, padding: 0, cut: 0, lie: None }
    }

    /// The stored bytes, and how many there were on the wire.
    pub(crate) fn bytes(&self) -> (Vec<u8>, u32) {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in 0..self.tags {
            frame.extend(if tag + 1 < self.tags { [0x88, 0xa8] } else { [0x81, 0x00] });
            frame.extend([0, 7]);
        }
        match (&self.body, self.src, self.dst) {
            (Body::Arp, ..) => {
                frame.extend([0x08, 0x06]);
                frame.extend([0; 28]);
            }
            (body, IpAddr::V4(src), IpAddr::V4(dst)) => {
                frame.extend([0x08, 0x00]);
                let payload = body.transport();
                let (identification, fragment) = match body {
                    Body::First { identification, .. } => (*identification as u16, 0x2000_u16),
                    Body::Later { identification, .. } => (*identification as u16, 185),
                    _ => (0, 0x4000),
                };
                frame.extend([0x45, 0]);
                frame.extend((20 + payload.len() as u16).to_be_bytes());
                frame.extend(identification.to_be_bytes());
                frame.extend(fragment.to_be_bytes());
                frame.extend([64, body.protocol(), 0, 0]);
                frame.extend(src.octets());
                frame.extend(dst.octets());
                frame.extend(payload);
            }
            (body, IpAddr::V6(src), IpAddr::V6(dst)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                let fragment = match body {
                    Body::First { identification, .. } => Some((*identification, 1_u16)),
                    Body::Later { identification, .. } => Some((*identification, 185 << 3)),
                    _ => None,
                };
                let payload = body.transport();
                let extension = if fragment.is_some() { 8 } else { 0 };
                frame.extend((payload.len() as u16 + extension).to_be_bytes());
                frame.extend([if fragment.is_some() { 44 } else { body.protocol() }, 64]);
                frame.extend(src.octets());
                frame.extend(dst.octets());
                if let Some((identification, offset)) = fragment {
                    frame.extend([body.protocol(), 0]);
                    frame.extend(offset.to_be_bytes());
                    frame.extend(identification.to_be_bytes());
                }
                frame.extend(payload);
            }
            _ => panic!("addresses of two families"),
        }
        frame.extend(vec![0x55; self.padding]);
        let wire = self.lie.unwrap_or(frame.len() as u32);
        frame.truncate(frame.len() - self.cut.min(self.padding + self.body.payload().len()));
        (frame, wire)
    }

    /// What the model is to see of it; nothing if it is no IP packet.
    pub(crate) fn seen(&self) -> Option<Seen> {
        if matches!(self.body, Body::Arp) {
            return None;
        }
        let (frame, wire) = self.bytes();
        let v4 = self.src.is_ipv4();
        let (part, body) = match &self.body {
            Body::First { identification, body } => {
                (Part::First(*identification, if v4 { body.protocol() } else { 0 }), &**body)
            }
            Body::Later { identification, protocol, .. } => {
                (Part::Later(*identification, if v4 { *protocol } else { 0 }), &self.body)
            }
            body => (Part::Whole, body),
        };
        let (src_port, dst_port) = match body {
            Body::Tcp { src_port, dst_port, .. }
            | Body::Udp { src_port, dst_port, .. }
            | Body::Sctp { src_port, dst_port } => (*src_port, *dst_port),
            _ => (0, 0),
        };
        let mut payload = body.payload().to_vec();
        payload.truncate((payload.len() + self.padding).saturating_sub(self.cut));
        Some(Seen {
            time: self.time,
            src: self.src,
            dst: self.dst,
            src_port,
            dst_port,
            protocol: body.protocol(),
            flags: if let Body::Tcp { flags, .. } = body { Some(*flags) } else { None },
            wire: u64::from(wire),
            captured: frame.len() as u64,
            part,
            first_byte: if matches!(body, Body::Later { .. }) { None } else { body.transport().first().copied() },
            payload,
        })
    }
}

impl Body {
    fn protocol(&self) -> u8 {
        match self {
            Body::Tcp { .. } => 6,
            Body::Udp { .. } => 17,
            Body::Sctp { .. } => 132,
            Body::Icmp { protocol, .. } | Body::Other { protocol } | Body::Later { protocol, .. } => *protocol,
            Body::First { body, .. } => body.protocol(),
            Body::Arp => panic!("ARP has no protocol number"),
        }
    }

    fn payload(&self) -> &[u8] {
        match self {
            Body::Tcp { payload, .. } | Body::Udp { payload, .. } => payload,
            Body::First { body, .. } => body.payload(),
            _ => &[],
        }
    }

    /// What lies behind the IP header.
    fn transport(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Body::Tcp { src_port, dst_port, flags, payload } => {
                bytes.extend(src_port.to_be_bytes());
                bytes.extend(dst_port.to_be_bytes());
                bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, *flags, 1, 0, 0, 0, 0, 0]);
                bytes.extend(payload);
            }
            Body::Udp { src_port, dst_port, payload } => {
                bytes.extend(src_port.to_be_bytes());
                bytes.extend(dst_port.to_be_bytes());
                bytes.extend((8 + payload.len() as u16).to_be_bytes());
                bytes.extend([0, 0]);
                bytes.extend(payload);
            }
            Body::Sctp { src_port, dst_port } => {
                bytes.extend(src_port.to_be_bytes());
                bytes.extend(dst_port.to_be_bytes());
                bytes.extend([0; 12]);
            }
            Body::Icmp { kind, .. } => bytes.extend([*kind, 0, 0, 0, 0, 1, 0, 1]),
            Body::Other { .. } => bytes.extend([8; 12]),
            Body::First { body, .. } => {
                bytes = body.transport();
                if let Body::Udp { .. } = **body {
                    // The length of the whole datagram, which is longer than what is here.
                    bytes[4..6].copy_from_slice(&1480_u16.to_be_bytes());
                }
            }
            Body::Later { length, .. } => bytes.resize(*length, 8),
            Body::Arp => {}
        }
        bytes
    }
}

/// The bytes of a pcap with nanoseconds.
pub(crate) fn pcap(frames: &[Frame]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).expect("memory takes bytes");
    for frame in frames {
        let (bytes, wire) = frame.bytes();
        writer.record(Timestamp(frame.time), wire, &bytes).expect("the time fits");
    }
    writer.finish().expect("memory takes bytes")
}

/// The same as pcapng, with times that count from `offset` seconds after the epoch, or before it.
pub(crate) fn pcapng(frames: &[Frame], big_endian: bool, offset: i64) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), big_endian).expect("memory takes bytes");
    let layout = PcapLayout::default();
    let interface = writer.interface(layout.link, layout.snapshot, 9, offset).expect("memory takes bytes");
    for frame in frames {
        let (bytes, wire) = frame.bytes();
        writer.packet(interface, (frame.time - offset * SECOND) as u64, wire, &bytes).expect("memory takes bytes");
    }
    writer.finish().expect("memory takes bytes")
}

/// What the model is to see of a file.
pub(crate) fn captured(frames: &[Frame]) -> Captured {
    Captured {
        first_record: frames.first().map(|frame| frame.time),
        packets: frames.iter().filter_map(Frame::seen).collect(),
    }
}

pub(crate) fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// An ARP frame, which belongs to no record but is the first of its file.
pub(crate) fn herald(time: i64) -> Frame {
    let host = v4(0, 0, 0, 0);
    Frame::new(time, host, host, Body::Arp)
}

// Strategies.

fn hosts() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    // In order of number and of text these are two orders.
    let v4 = || prop::sample::select(vec![v4(9, 0, 0, 1), v4(10, 0, 0, 1), v4(100, 0, 0, 1), v4(255, 255, 255, 255)]);
    let v6 = || {
        prop::sample::select(vec![
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped()),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        ])
    };
    prop_oneof![3 => (v4(), v4()), 1 => (v6(), v6())]
}

fn port() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![0, 21, 53, 80, 443, 445, 1023, 1024, 5353, 5355, 8080, 40_000, 40_001, 65_535])
}

fn flags() -> impl Strategy<Value = u8> {
    // SYN, SYN+ACK, ACK, RST, RST+ACK, FIN+ACK, nothing, and whatever else there is.
    prop_oneof![6 => prop::sample::select(vec![0x02, 0x12, 0x10, 0x18, 0x04, 0x14, 0x11, 0x00]), 1 => any::<u8>()]
}

pub(crate) fn smb2_negotiate() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 64, 0xfe, b'S', b'M', b'B', 64, 0];
    message.resize(68, 0);
    message
}

fn tcp_payload() -> impl Strategy<Value = Vec<u8>> {
    let texts: [&[u8]; 9] = [
        b"",
        b"GET /index.html?id=1&x=y HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\nPOST /b/c/d?q=%2527%20or%201=1-- HTTP/1.1\r\n\r\nPUT /no",
        b"HTTP/1.1 200 OK\r\n\r\nGET /not/a/request HTTP/1.1\r\n\r\n",
        b"HEAD /caf\xc3\x89/\xff\xfe/../UNION/select\x1cx",
        b"USER anonymous\r\nPASS x\r\nretr file\r\n",
        b"230 User logged in\r\n",
        b"DELETE /%53%4c%45%45%50(5)/or HTTP/1.0\n\nOPTIONS *\n",
        b"\x16\x03\x01\x00\x05hello",
    ];
    prop_oneof![
        9 => prop::sample::select(texts.map(<[u8]>::to_vec).to_vec()),
        1 => Just(smb2_negotiate()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn udp_payload() -> impl Strategy<Value = Vec<u8>> {
    // A query, a response, and either of them a byte too short.
    prop_oneof![
        (prop::sample::select(vec![0x01, 0x81]), prop::sample::select(vec![0, 11, 12, 40])).prop_map(
            |(bits, length)| {
                let mut message = vec![0, 7, bits, 0, 0, 1];
                message.resize(length, 0);
                message
            }
        ),
        Just(b"GET /over/udp HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

fn whole_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        8 => (port(), port(), flags(), tcp_payload())
            .prop_map(|(src_port, dst_port, flags, payload)| Body::Tcp { src_port, dst_port, flags, payload }),
        4 => (port(), port(), udp_payload())
            .prop_map(|(src_port, dst_port, payload)| Body::Udp { src_port, dst_port, payload }),
        1 => (port(), port()).prop_map(|(src_port, dst_port)| Body::Sctp { src_port, dst_port }),
        2 => (prop::sample::select(vec![1, 58]), prop::sample::select(vec![0, 3, 8, 128, 129]))
            .prop_map(|(protocol, kind)| Body::Icmp { protocol, kind }),
        1 => prop::sample::select(vec![2, 89, 103, 255]).prop_map(|protocol| Body::Other { protocol }),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let identification = || prop::sample::select(vec![0, 1, 2, 0x1_0001]);
    prop_oneof![
        12 => whole_body(),
        2 => (identification(), whole_body()).prop_map(|(identification, body)| Body::First {
            identification: identification & 0xffff,
            body: Box::new(body),
        }),
        3 => (identification(), prop::sample::select(vec![6, 17, 17, 1]), prop::sample::select(vec![0, 1, 8, 40]))
            .prop_map(|(identification, protocol, length)| Body::Later {
                identification: identification & 0xffff,
                protocol,
                length,
            }),
        1 => Just(Body::Arp),
    ]
}

/// Times on and beside the borders of slices (120 s), windows (1 h) and fragment slots (64 s), within three hours.
pub(crate) fn time() -> impl Strategy<Value = i64> {
    let beside = -1..=1_i64;
    prop_oneof![
        6 => (0..45_i64, beside.clone()).prop_map(|(minutes, ns)| START + minutes * 60 * SECOND + ns),
        2 => (0..180_i64, beside.clone()).prop_map(|(minutes, ns)| START + minutes * 60 * SECOND + ns),
        2 => (1..40_i64, beside).prop_map(|(slots, ns)| (START / (64 * SECOND) + slots) * 64 * SECOND + ns),
        2 => (0..5_i64).prop_map(|ns| START + ns),
        1 => (0..3 * 3600 * SECOND).prop_map(|ns| START + ns),
    ]
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    let few = || prop_oneof![60 => Just(0_usize), 20 => 0..30_usize, 1 => Just(66_000)];
    let tags = prop_oneof![4 => Just(0), 1 => 0..3_usize];
    let lie = prop_oneof![
        20 => Just(None),
        1 => prop::sample::select(vec![0, 1, 65_535, 65_536, u32::MAX]).prop_map(Some),
    ];
    (time(), hosts(), body(), tags, few(), few(), lie).prop_map(|(time, (src, dst), body, tags, padding, cut, lie)| {
        Frame { time, src, dst, body, tags, padding, cut, lie }
    })
}

pub(crate) fn frames(most: usize) -> impl Strategy<Value = Vec<Frame>> {
    prop::collection::vec(frame(), 0..most)
}
