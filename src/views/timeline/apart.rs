//! Packets that are in no flow, and why.

use super::{Hosts, Mode, Packet};
use crate::decode::packet::protocol;

/// Why a packet is in no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// It is not TCP.
    OtherProtocol,
    /// Its TCP header was not captured, as in a packet that was cut or in a later fragment; or a table says nothing of its flags.
    NoHeader,
    /// In the original's mode, it has a port 0, or a host has no name.
    NoEnds,
}

impl Apart {
    /// How many there are.
    pub const COUNT: usize = 3;
}

impl Mode {
    /// Why a packet is in no flow of this mode; nothing if it is in one.
    #[must_use]
    pub fn apart(self, packet: &Packet, hosts: &Hosts) -> Option<Apart> {
        let has_ends = || {
            let are_named = !hosts.name(packet.src).is_empty() && !hosts.name(packet.dst).is_empty();
            packet.src_port != 0 && packet.dst_port != 0 && are_named
        };
        match self {
            _ if packet.protocol != Some(protocol::TCP.into()) => Some(Apart::OtherProtocol),
            Mode::Correct => packet.flags.is_none().then_some(Apart::NoHeader),
            Mode::Original => (!has_ends()).then_some(Apart::NoEnds),
        }
    }
}
