//! The canonical 5-tuple: one name for both directions of a conversation.

use std::net::IpAddr;

use crate::decode::packet::{Packet, address};

/// One end of a flow. Ordered IPv4 before IPv6, then by number, then by port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The host.
    pub address: IpAddr,
    /// Its port; 0 where the protocol has none.
    pub port: u16,
}

/// A bidirectional 5-tuple, ends in order: `low <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// The smaller end.
    pub low: Endpoint,
    /// The larger end.
    pub high: Endpoint,
    /// IP protocol number.
    pub protocol: u8,
}

impl FiveTuple {
    /// The 5-tuple of a packet, and whether the packet's source is its `high` end.
    #[must_use]
    pub fn of(packet: &Packet) -> (FiveTuple, bool) {
        let src = Endpoint { address: packet.src_ip(), port: packet.src_port };
        let dst = Endpoint { address: packet.dst_ip(), port: packet.dst_port };
        let from_high = src > dst;
        let (low, high) = if from_high { (dst, src) } else { (src, dst) };
        (FiveTuple { low, high, protocol: packet.protocol }, from_high)
    }
}

/// Whether a packet's source is the `high` end of its 5-tuple. Cheaper than [`FiveTuple::of`], same answer.
#[inline]
#[must_use]
pub fn from_high(packet: &Packet) -> bool {
    (packet.src, packet.src_port) > (packet.dst, packet.dst_port)
}

/// An endpoint from an address in integer form.
#[must_use]
pub fn endpoint(bits: u128, v6: bool, port: u16) -> Endpoint {
    Endpoint { address: address(bits, v6), port }
}
