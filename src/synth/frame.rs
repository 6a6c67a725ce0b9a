//! Frames, built from the outside in: Ethernet, VLAN tag, IPv4 or IPv6, transport; lengths and checksums sound.

use std::net::{IpAddr, Ipv4Addr};

use crate::decode::packet::protocol;

/// Smallest frame, without its check sequence, which captures do not hold.
pub(super) const SMALLEST: usize = 60;

/// A host on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) ip: IpAddr,
    pub(super) mac: [u8; 6],
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) from: Host,
    pub(super) to: Host,
    pub(super) vlan: Option<u16>,
}

/// The fields of a TCP header that vary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp {
    pub(super) ports: [u16; 2],
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    /// Maximum segment size, selective acknowledgement and window scale.
    pub(super) options: bool,
}

/// Bytes that stand for content nobody looks into.
pub(super) struct Noise(Vec<u8>);

/// Longest stretch of noise.
pub(super) const LONGEST_NOISE: usize = 4096;

impl Noise {
    pub(super) fn new(mut bits: impl FnMut() -> u64) -> Noise {
        Noise((0..(65_536 + LONGEST_NOISE) / 8).flat_map(|_| bits().to_le_bytes()).collect())
    }

    /// `length` bytes, others for another `at`.
    pub(super) fn get(&self, at: u16, length: usize) -> &[u8] {
        &self.0[usize::from(at)..][..length.min(LONGEST_NOISE)]
    }
}

/// A frame under construction; its buffer serves one frame after the other.
#[derive(Default)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    transport: usize,
}

impl Frame {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn tcp(&mut self, way: &Way, id: u16, tcp: Tcp, head: &[u8], noise: &[u8]) {
        const OPTIONS: [u8; 12] = [2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7];
        let header = if tcp.options { 32 } else { 20 };
        self.ip(way, protocol::TCP, id, DO_NOT_FRAGMENT, header + head.len() + noise.len());
        self.words(&tcp.ports);
        self.bytes.extend_from_slice(&tcp.seq.to_be_bytes());
        self.bytes.extend_from_slice(&tcp.ack.to_be_bytes());
        self.bytes.extend_from_slice(&[(header as u8 / 4) << 4, tcp.flags]);
        self.words(&[64_240, 0, 0]);
        if tcp.options {
            self.bytes.extend_from_slice(&OPTIONS);
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(noise);
        self.checksum(way, protocol::TCP, 16);
        self.pad();
    }

    pub(super) fn udp(&mut self, way: &Way, id: u16, ports: [u16; 2], head: &[u8], noise: &[u8]) {
        let length = 8 + head.len() + noise.len();
        self.ip(way, protocol::UDP, id, 0, length);
        self.words(&ports);
        self.words(&[length as u16, 0]);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(noise);
        self.checksum(way, protocol::UDP, 6);
        self.pad();
    }

    /// An echo request or reply.
    pub(super) fn echo(&mut self, way: &Way, id: u16, reply: bool, sequence: u16) {
        const DATA: &[u8; 56] = b"abcdefghijklmnopqrstuvwabcdefghijklmnopqrstuvwabcdefghij";
        let (number, kind) = match (way.from.ip, reply) {
            (IpAddr::V4(_), false) => (protocol::ICMP, 8),
            (IpAddr::V4(_), true) => (protocol::ICMP, 0),
            (IpAddr::V6(_), false) => (protocol::ICMPV6, 128),
            (IpAddr::V6(_), true) => (protocol::ICMPV6, 129),
        };
        self.ip(way, number, id, 0, 8 + DATA.len());
        self.bytes.extend_from_slice(&[kind, 0, 0, 0]);
        self.words(&[0x1d, sequence]);
        self.bytes.extend_from_slice(DATA);
        self.checksum(way, number, 2);
        self.pad();
    }

    /// A UDP datagram over IPv4 in two fragments; the first carries `first` bytes of it, a multiple of eight.
    pub(super) fn fragments(&mut self, way: &Way, id: u16, ports: [u16; 2], data: &[u8], first: usize) -> [Vec<u8>; 2] {
        const MORE: u16 = 0x2000;
        self.udp(way, id, ports, data, &[]);
        let datagram = self.bytes[self.transport..].to_vec();
        let (head, tail) = datagram.split_at(first);
        [(head, MORE), (tail, (first / 8) as u16)].map(|(part, field)| {
            self.ip(way, protocol::UDP, id, field, part.len());
            self.bytes.extend_from_slice(part);
            self.pad();
            self.bytes.clone()
        })
    }

    /// An ARP request, or the reply to one (RFC 826).
    pub(super) fn arp(&mut self, way: &Way, reply: bool) {
        const BROADCAST: [u8; 6] = [0xff; 6];
        self.ethernet(if reply { way.to.mac } else { BROADCAST }, way.from.mac, way.vlan, 0x0806);
        self.words(&[1, 0x0800, 0x0604, if reply { 2 } else { 1 }]);
        self.bytes.extend_from_slice(&way.from.mac);
        self.bytes.extend_from_slice(&v4(way.from.ip).octets());
        self.bytes.extend_from_slice(&if reply { way.to.mac } else { [0; 6] });
        self.bytes.extend_from_slice(&v4(way.to.ip).octets());
        self.pad();
    }

    /// A switch that tells its name (IEEE 802.1AB): an EtherType that is not IP.
    pub(super) fn lldp(&mut self, from: [u8; 6]) {
        self.ethernet([0x01, 0x80, 0xc2, 0, 0, 0x0e], from, None, 0x88cc);
        self.bytes.extend_from_slice(&[0x02, 7, 4]);
        self.bytes.extend_from_slice(&from);
        self.bytes.extend_from_slice(&[0x04, 3, 7, b'g', b'1', 0x06, 2, 0, 120, 0x0a, 5]);
        self.bytes.extend_from_slice(b"core1\0\0");
        self.pad();
    }

    fn pad(&mut self) {
        if self.bytes.len() < SMALLEST {
            self.bytes.resize(SMALLEST, 0);
        }
    }

    fn words(&mut self, words: &[u16]) {
        words.iter().for_each(|word| self.bytes.extend_from_slice(&word.to_be_bytes()));
    }

    fn ethernet(&mut self, to: [u8; 6], from: [u8; 6], vlan: Option<u16>, kind: u16) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&to);
        self.bytes.extend_from_slice(&from);
        if let Some(tag) = vlan {
            self.words(&[0x8100, tag]);
        }
        self.words(&[kind]);
    }

    /// Starts a frame up to the transport header, `length` bytes of which and of payload follow.
    fn ip(&mut self, way: &Way, number: u8, id: u16, fragment: u16, length: usize) {
        match (way.from.ip, way.to.ip) {
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                self.ethernet(way.to.mac, way.from.mac, way.vlan, 0x86dd);
                self.bytes.extend_from_slice(&[0x60, 0, 0, 0]);
                self.words(&[length as u16]);
                self.bytes.extend_from_slice(&[number, 64]);
                self.bytes.extend_from_slice(&from.octets());
                self.bytes.extend_from_slice(&to.octets());
            }
            (from, to) => {
                self.ethernet(way.to.mac, way.from.mac, way.vlan, 0x0800);
                let start = self.bytes.len();
                self.bytes.extend_from_slice(&[0x45, 0]);
                self.words(&[(20 + length) as u16, id, fragment]);
                self.bytes.extend_from_slice(&[64, number, 0, 0]);
                self.bytes.extend_from_slice(&v4(from).octets());
                self.bytes.extend_from_slice(&v4(to).octets());
                let sum = !fold(sum(&self.bytes[start..]));
                self.bytes[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        self.transport = self.bytes.len();
    }

    /// Fills in the transport checksum, `at` bytes into the transport header.
    fn checksum(&mut self, way: &Way, number: u8, at: usize) {
        let length = self.bytes.len() - self.transport;
        let pseudo = match (way.from.ip, way.to.ip) {
            _ if number == protocol::ICMP => 0,
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                sum(&from.octets()) + sum(&to.octets()) + length as u64 + u64::from(number)
            }
            (from, to) => sum(&v4(from).octets()) + sum(&v4(to).octets()) + length as u64 + u64::from(number),
        };
        let sum = match !fold(pseudo + sum(&self.bytes[self.transport..])) {
            // Zero says that there is none (RFC 768).
            0 if number == protocol::UDP => 0xffff,
            sum => sum,
        };
        let at = self.transport + at;
        self.bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

const DO_NOT_FRAGMENT: u16 = 0x4000;

fn v4(ip: IpAddr) -> Ipv4Addr {
    match ip {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// The one's complement sum of RFC 1071, two words at a time and not folded yet.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(4);
    let mut rest = [0; 4];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    let whole: u64 = words.map(|word| u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))).sum();
    whole + u64::from(u32::from_be_bytes(rest))
}

pub(super) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
