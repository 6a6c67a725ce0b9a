//! What a conversation is shown of a packet.

use crate::Timestamp;
use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol, tcp_flag};

/// One of the two ends of a flow. Which is which is the caller's choice, and stays for the life of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one.
    A = 0,
    /// The other.
    B = 1,
}

impl End {
    /// The end that is not this.
    #[must_use]
    pub const fn other(self) -> End {
        match self {
            End::A => End::B,
            End::B => End::A,
        }
    }
}

/// One packet of a flow, as far as its payload matters.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'p> {
    /// The end that sent it.
    pub from: End,
    /// When it was captured.
    pub time: Timestamp,
    /// IP protocol number.
    pub protocol: u8,
    /// Source and destination port; 0 where the protocol has none.
    pub ports: [u16; 2],
    /// TCP sequence number as in the header.
    pub seq: u32,
    /// TCP flags.
    pub flags: u8,
    /// The captured payload. Of ICMP it is the whole message, of SCTP the chunks.
    pub payload: &'p [u8],
    /// Bytes of payload that were on the wire but not captured, behind those that were.
    pub cut: u32,
}

impl<'p> Segment<'p> {
    /// The segment of a packet, given the captured bytes of its frame; nothing for a fragment (see
    /// [`fragments`](super::fragments)) or for TCP without a whole header.
    #[must_use]
    pub fn of(packet: &Packet, frame: &'p [u8], from: End) -> Option<Segment<'p>> {
        if packet.fragment != Fragment::Whole {
            return None;
        }
        let payload = packet.payload(frame);
        let mut seq = 0;
        if packet.protocol == protocol::TCP {
            let at = usize::from(packet.transport_offset) + 4;
            seq = u32::from_be_bytes(*frame.get(at..)?.first_chunk()?);
            if !packet.has_flags {
                return None;
            }
        }
        Some(Segment {
            from,
            time: packet.time,
            protocol: packet.protocol,
            ports: [packet.src_port, packet.dst_port],
            seq,
            flags: packet.tcp_flags,
            payload,
            cut: packet.payload_length.saturating_sub(u32::try_from(payload.len()).unwrap_or(u32::MAX)),
        })
    }

    /// The segment in a reassembled datagram's IP payload: transport header and what follows. Nothing where the header is
    /// not whole.
    #[must_use]
    pub fn of_datagram(protocol: u8, bytes: &'p [u8], time: Timestamp, from: End) -> Option<Segment<'p>> {
        let mut segment = Segment { from, time, protocol, ports: [0, 0], seq: 0, flags: 0, payload: bytes, cut: 0 };
        let header = match protocol {
            protocol::TCP => {
                segment.seq = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
                segment.flags = *bytes.get(13)?;
                usize::from(*bytes.get(12)? >> 4) * 4
            }
            protocol::UDP => 8,
            protocol::SCTP => 12,
            _ => return Some(segment),
        };
        let ports = bytes.first_chunk::<4>()?;
        segment.ports = [u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])];
        segment.payload = bytes.get(header..)?;
        Some(segment)
    }

    /// Whether it opens a connection: SYN without ACK.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.protocol == protocol::TCP && self.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
    }

    /// Sequence number of the first payload byte: SYN takes one.
    pub(super) fn first_byte(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.flags & tcp_flag::SYN != 0))
    }

    /// Whether one of the ends has this port.
    pub(super) fn at(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}
