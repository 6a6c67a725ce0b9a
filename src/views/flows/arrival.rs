//! What is kept of a packet until its turn in packet time has come.

use crate::decode::packet::{Asks, Fragment, Packet, Tunnel, protocol, tcp_flag};
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
    /// The innermost tunnel's number.
    tunnel_id: u32,
    /// Bytes of the frame in front of the IP header, and of the IP header itself.
    pub(super) below: u16,
    ip_header: u16,
    window: u16,
    /// Its VLAN in the lower twelve bits, the kind of the innermost tunnel in the others.
    layers: u16,
    pub(super) flags: u8,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    bits: u8,
}

// Every live flow holds one at least.
const _: () = assert!(size_of::<Arrival>() == 48);

/// Bits of `layers` below the tunnel's kind.
const VLAN: u32 = 12;
const _: () = assert!(Tunnel::ALL.len() <= 1 << (u16::BITS - VLAN));

const FROM_HIGH: u8 = 1;
/// It is TCP, and its flags and numbers were captured.
const TCP: u8 = 1 << 1;
/// More of its header was captured: the window of TCP, or type and code of ICMP. Of UDP and SCTP, it is there at all.
const HEADER: u8 = 1 << 2;
/// It has a VLAN.
const TAGGED: u8 = 1 << 3;
/// Its tunnel has a number.
const NUMBERED: u8 = 1 << 4;
/// Its payload is held until its turn has come.
#[cfg(feature = "payload")]
const HELD: u8 = 1 << 5;
/// Two bits: what [`Asks`] is.
const ASKS: u32 = 6;

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
            layers: (packet.tunnel as u16) << VLAN | packet.vlan.unwrap_or(0),
            bits: (packet.asks as u8) << ASKS
                | if from_high { FROM_HIGH } else { 0 }
                | if packet.vlan.is_some() { TAGGED } else { 0 },
            ..Arrival::default()
        };
        let at = usize::from(packet.ip_offset) + if packet.v6 { 7 } else { 8 };
        arrival.ttl = frame.get(at).copied().unwrap_or(0);
        let transport = frame.get(usize::from(packet.transport_offset)..).unwrap_or_default();
        if packet.has_flags {
            if let Some([_, _, _, _, a, b, c, d, e, f, g, h]) = transport.first_chunk::<12>() {
                arrival.seq = u32::from_be_bytes([*a, *b, *c, *d]);
                arrival.ack = u32::from_be_bytes([*e, *f, *g, *h]);
                arrival.bits |= TCP;
            }
            if let Some([.., a, b]) = transport.first_chunk::<16>() {
                arrival.window = u16::from_be_bytes([*a, *b]);
                arrival.bits |= HEADER;
            }
        } else if matches!(packet.protocol, protocol::UDP | protocol::SCTP) {
            arrival.bits |= if packet.fragment == Fragment::Later { 0 } else { HEADER };
        } else if matches!(packet.protocol, protocol::ICMP | protocol::ICMPV6)
            && packet.fragment != Fragment::Later
            && let Some([kind, code]) = transport.first_chunk::<2>()
        {
            arrival.seq = u32::from(*kind) << 8 | u32::from(*code);
            arrival.bits |= HEADER;
        }
        if packet.tunnel != Tunnel::None
            && let Some(id) = packet.tunnel_id(frame)
        {
            arrival.tunnel_id = id;
            arrival.bits |= NUMBERED;
        }
        arrival
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
        (self.bits & (TCP | HEADER) == TCP | HEADER).then_some(self.window)
    }

    /// It is TCP, with a sound header of which flags and numbers were captured.
    #[inline]
    pub(super) fn is_tcp(&self) -> bool {
        self.is(TCP)
    }

    /// The TCP header of what [is TCP](Arrival::is_tcp).
    #[inline]
    pub(super) fn segment(&self) -> Option<Segment> {
        self.is_tcp().then_some(Segment {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            payload: self.payload,
        })
    }

    /// It has a header of UDP or SCTP, whichever is asked for, which a later fragment has not.
    pub(super) fn has_header_of(&self, protocol: u8) -> bool {
        self.is(HEADER) && self.protocol == protocol
    }

    /// Type and code of an ICMP or ICMPv6 message.
    pub(super) fn icmp(&self) -> Option<[u8; 2]> {
        (self.is(HEADER) && matches!(self.protocol, protocol::ICMP | protocol::ICMPV6))
            .then_some([(self.seq >> 8) as u8, self.seq as u8])
    }

    /// The innermost VLAN in front of any tunnel.
    pub(super) fn vlan(&self) -> Option<u16> {
        self.is(TAGGED).then_some(self.layers & ((1 << VLAN) - 1))
    }

    /// The innermost tunnel.
    pub(super) fn tunnel(&self) -> Tunnel {
        Tunnel::ALL.get(usize::from(self.layers >> VLAN)).copied().unwrap_or_default()
    }

    /// The number of the innermost tunnel, if it has one.
    pub(super) fn tunnel_id(&self) -> Option<u32> {
        self.is(NUMBERED).then_some(self.tunnel_id)
    }

    /// What it says of the direction: the evidence, and whether the client is the high end.
    #[inline]
    pub(super) fn evidence(&self) -> Option<(Direction, bool)> {
        const SENDER: u8 = Asks::Sender as u8;
        const RECEIVER: u8 = Asks::Receiver as u8;
        let asks = match self.bits >> ASKS {
            SENDER => Asks::Sender,
            RECEIVER => Asks::Receiver,
            _ => Asks::Unknown,
        };
        let (direction, sender) = evidence(self.flags, asks)?;
        Some((direction, sender == self.sent_by_high()))
    }

    /// Its payload is held, and is the first piece when its turn has come.
    #[cfg(feature = "payload")]
    pub(super) fn is_held(&self) -> bool {
        self.is(HELD)
    }

    /// Notes that its payload is held.
    #[cfg(feature = "payload")]
    pub(super) fn hold(&mut self) {
        self.bits |= HELD;
    }

    /// A SYN, with ACK or without.
    #[cfg(feature = "payload")]
    pub(super) fn has_syn(&self) -> bool {
        self.flags & tcp_flag::SYN != 0
    }

    /// A SYN with ACK.
    pub(super) fn answers(&self) -> bool {
        const BOTH: u8 = tcp_flag::SYN | tcp_flag::ACK;
        self.flags & BOTH == BOTH
    }

    /// A SYN without ACK.
    pub(super) fn asks_to_connect(&self) -> bool {
        self.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_a_word_is_kept_apart() {
        for tunnel in Tunnel::ALL {
            for (vlan, asks) in [(None, Asks::Receiver), (Some(0), Asks::Sender), (Some(0x0fff), Asks::Unknown)] {
                for from_high in [false, true] {
                    let packet = Packet { tunnel, vlan, asks, ..Packet::default() };
                    let arrival = Arrival::of(&packet, from_high, &[]);
                    assert_eq!((arrival.tunnel(), arrival.vlan()), (tunnel, vlan));
                    let client_high = match asks {
                        Asks::Unknown => None,
                        Asks::Sender => Some(from_high),
                        Asks::Receiver => Some(!from_high),
                    };
                    assert_eq!(arrival.evidence(), client_high.map(|high| (Direction::Request, high)));
                    assert_eq!((arrival.sent_by_high(), arrival.is_tcp(), arrival.icmp()), (from_high, false, None));
                }
            }
        }
    }
}
