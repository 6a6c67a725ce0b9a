//! What is kept of a packet until its turn in packet time has come.

use super::said::Shows;
use crate::decode::packet::{Fragment, Packet, Tunnel, protocol, tcp_flag};
use crate::flow::sequence::Segment;
use crate::flow::{Sample, Side};
use crate::table::direction::{Direction, evidence};

/// A packet of a flow, without its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    pub(super) time: i64,
    pub(super) wire: u32,
    pub(super) captured: u32,
    ip: u32,
    pub(super) payload: u32,
    /// Sequence number of TCP; type and code of ICMP and ICMPv6.
    seq: u32,
    ack: u32,
    /// VLAN number outside of tunnels, the tunnel's number inside.
    link: u32,
    /// Bytes of the frame in front of the IP header, and of the IP header itself.
    below: u16,
    ip_header: u16,
    window: u16,
    pub(super) flags: u8,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) tunnel: Tunnel,
    /// What of its payload is wanted.
    pub(super) shows: Shows,
    bits: u8,
}

const FROM_HIGH: u8 = 1;
/// `seq` means something.
const NUMBERED: u8 = 1 << 1;
const WINDOW: u8 = 1 << 2;
/// `link` means something.
const TAGGED: u8 = 1 << 3;
/// Two bits: no evidence of a direction, or one more than its rank.
const EVIDENCE: u32 = 4;
const CLIENT_SENT: u8 = 1 << 6;
const TCP: u8 = 1 << 7;

impl Arrival {
    /// What is kept of a packet, of whose frame these bytes were captured.
    #[inline]
    pub(super) fn of(packet: &Packet, from_high: bool, frame: &[u8]) -> Arrival {
        let mut arrival = Arrival {
            time: packet.time.0,
            wire: packet.wire,
            captured: packet.captured,
            ip: packet.ip_length,
            below: packet.ip_offset,
            ip_header: packet.transport_offset.saturating_sub(packet.ip_offset),
            payload: packet.payload_length,
            flags: packet.tcp_flags,
            protocol: packet.protocol,
            tunnel: packet.tunnel,
            bits: if from_high { FROM_HIGH } else { 0 },
            ..Arrival::default()
        };
        let at = usize::from(packet.ip_offset) + if packet.v6 { 7 } else { 8 };
        arrival.ttl = frame.get(at).copied().unwrap_or(0);
        let transport = frame.get(usize::from(packet.transport_offset)..).unwrap_or_default();
        if packet.has_flags {
            arrival.bits |= TCP;
            if let Some([_, _, _, _, a, b, c, d, e, f, g, h]) = transport.first_chunk::<12>() {
                arrival.seq = u32::from_be_bytes([*a, *b, *c, *d]);
                arrival.ack = u32::from_be_bytes([*e, *f, *g, *h]);
                arrival.bits |= NUMBERED;
            }
            if let Some([.., a, b]) = transport.first_chunk::<16>() {
                arrival.window = u16::from_be_bytes([*a, *b]);
                arrival.bits |= WINDOW;
            }
        } else if matches!(packet.protocol, protocol::ICMP | protocol::ICMPV6)
            && packet.fragment != Fragment::Later
            && let Some([kind, code]) = transport.first_chunk::<2>()
        {
            arrival.seq = u32::from(*kind) << 8 | u32::from(*code);
            arrival.bits |= NUMBERED;
        }
        if let Some((rank, sender)) = evidence(packet) {
            arrival.bits |= (rank as u8 + 1) << EVIDENCE | if sender { CLIENT_SENT } else { 0 };
        }
        if packet.tunnel != Tunnel::None {
            if let Some(id) = packet.tunnel_id(frame) {
                arrival.link = id;
                arrival.bits |= TAGGED;
            }
        } else if packet.ip_offset >= 18 {
            arrival.tag(packet, frame);
        }
        arrival
    }

    /// Reads the VLAN tag in front of the IP header, if there is one: its EtherType, its number, and the EtherType of IP.
    fn tag(&mut self, packet: &Packet, frame: &[u8]) {
        let end = usize::from(packet.ip_offset);
        let Some(&[a, b, c, d, e, f]) = frame.get(end - 6..end).and_then(|bytes| bytes.first_chunk()) else { return };
        let tag = matches!(u16::from_be_bytes([a, b]), 0x8100 | 0x88a8 | 0x9100 | 0x9200);
        if tag && matches!(u16::from_be_bytes([e, f]), 0x0800 | 0x86dd) {
            self.link = u32::from(u16::from_be_bytes([c, d]) & 0x0fff);
            self.bits |= TAGGED;
        }
    }

    fn is(&self, what: u8) -> bool {
        self.bits & what != 0
    }

    /// Its sender is the high end of the 5-tuple.
    #[inline]
    pub(super) fn sent_by_high(&self) -> bool {
        self.is(FROM_HIGH)
    }

    /// The end that sent it: 0 low, 1 high.
    #[inline]
    pub(super) fn end(&self) -> usize {
        usize::from(self.sent_by_high())
    }

    /// The end as a side of pieces that know two; which of them is up is decided when the flow has ended.
    #[inline]
    pub(super) fn side(&self) -> Side {
        if self.sent_by_high() { Side::Down } else { Side::Up }
    }

    /// Its lengths and window.
    #[inline]
    pub(super) fn sample(&self) -> Sample {
        Sample {
            side: self.side(),
            frame: self.wire,
            ip: self.ip,
            l4: self.ip.saturating_sub(self.ip_header.into()),
            payload: self.payload,
            window: self.window(),
        }
    }

    /// Bytes of the transport payload that were captured.
    #[inline]
    pub(super) fn captured_payload(&self) -> u32 {
        let cut = u32::from(self.below).saturating_add(self.ip).saturating_sub(self.captured);
        self.payload.saturating_sub(cut)
    }

    /// The window field, where it was captured.
    #[inline]
    pub(super) fn window(&self) -> Option<u16> {
        self.is(WINDOW).then_some(self.window)
    }

    /// It is TCP and its flags were captured.
    #[inline]
    pub(super) fn is_tcp(&self) -> bool {
        self.is(TCP)
    }

    /// The TCP header, where it is sound and its numbers were captured.
    #[inline]
    pub(super) fn segment(&self) -> Option<Segment> {
        (self.bits & (TCP | NUMBERED) == TCP | NUMBERED).then_some(Segment {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            payload: self.payload,
        })
    }

    /// Type and code of an ICMP or ICMPv6 message.
    pub(super) fn icmp(&self) -> Option<[u8; 2]> {
        (self.bits & (TCP | NUMBERED) == NUMBERED).then_some([(self.seq >> 8) as u8, self.seq as u8])
    }

    /// The innermost VLAN of a packet outside tunnels.
    pub(super) fn vlan(&self) -> Option<u16> {
        (self.is(TAGGED) && self.tunnel == Tunnel::None).then_some(self.link as u16)
    }

    /// The number of the innermost tunnel, if it has one.
    pub(super) fn tunnel_id(&self) -> Option<u32> {
        (self.is(TAGGED) && self.tunnel != Tunnel::None).then_some(self.link)
    }

    /// What it says of the direction: the evidence, and whether the client is the high end.
    #[inline]
    pub(super) fn evidence(&self) -> Option<(Direction, bool)> {
        let rank = (self.bits >> EVIDENCE & 3).checked_sub(1)?;
        let direction = *Direction::ALL.get(usize::from(rank))?;
        Some((direction, self.is(CLIENT_SENT) == self.sent_by_high()))
    }

    /// A SYN, with ACK or without.
    #[cfg(feature = "payload")]
    pub(super) fn has_syn(&self) -> bool {
        self.flags & tcp_flag::SYN != 0
    }

    /// A SYN without ACK.
    pub(super) fn asks_to_connect(&self) -> bool {
        self.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
    }
}
