//! Who is the client of a flow, and on what evidence.
//!
//! Evidence is merged, never overwritten by arrival order: the strongest rank wins, inside a rank the earliest time,
//! then the smaller end. So the answer depends on the packets alone.

use crate::decode::packet::{Asks, tcp_flag};

/// The evidence that decided a direction, strongest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// It sent a SYN without ACK.
    Syn = 0,
    /// It was sent a SYN with ACK.
    SynAck = 1,
    /// It asked: an echo request, or a DNS, mDNS or LLMNR query by the QR bit.
    Request = 2,
    /// The other end has the only port of the two that is in the service map.
    ServicePort = 3,
    /// Another flow of the same two hosts in the window names the other end a server.
    Learned = 4,
    /// The other end has the only port of the two below 1024.
    LowPort = 5,
    /// It sent the earliest packet.
    #[default]
    FirstPacket = 6,
}

impl Direction {
    /// Every evidence, strongest first; its index is its number.
    pub const ALL: [Direction; 7] = [
        Direction::Syn,
        Direction::SynAck,
        Direction::Request,
        Direction::ServicePort,
        Direction::Learned,
        Direction::LowPort,
        Direction::FirstPacket,
    ];

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Syn => "syn",
            Direction::SynAck => "synack",
            Direction::Request => "request",
            Direction::ServicePort => "service_port",
            Direction::Learned => "learned",
            Direction::LowPort => "low_port",
            Direction::FirstPacket => "first_packet",
        }
    }
}

/// What one packet says of the direction by itself, by its TCP flags and its payload: the evidence, and whether the client is
/// the packet's sender.
#[inline]
#[must_use]
pub fn evidence(flags: u8, asks: Asks) -> Option<(Direction, bool)> {
    if flags & tcp_flag::SYN != 0 {
        return Some(if flags & tcp_flag::ACK == 0 { (Direction::Syn, true) } else { (Direction::SynAck, false) });
    }
    match asks {
        Asks::Unknown => None,
        Asks::Sender => Some((Direction::Request, true)),
        Asks::Receiver => Some((Direction::Request, false)),
    }
}

/// What two ports say: `Some(true)` when only the high end's port passes `is_server`, `Some(false)` when only the low
/// end's does.
#[inline]
#[must_use]
pub fn only_one(low_port: u16, high_port: u16, is_server: impl Fn(u16) -> bool) -> Option<bool> {
    match (is_server(low_port), is_server(high_port)) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}
