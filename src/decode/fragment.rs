//! Which datagram a fragment belongs to.

use super::ip::MAX_EXTENSIONS;
use super::packet::Packet;

/// Identifies a fragmented datagram between one sender and one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datagram {
    /// The identification field: 16 bits in IPv4 (RFC 791), 32 in IPv6 (RFC 8200, section 4.5).
    pub identification: u32,
    /// IPv4's protocol field, which is part of the identity there; 0 for IPv6.
    pub protocol: u8,
}

/// Reads the identity of the datagram that a fragment belongs to; `None` if the header is not in the frame.
#[must_use]
pub fn datagram(packet: &Packet, frame: &[u8]) -> Option<Datagram> {
    let ip = frame.get(usize::from(packet.ip_offset)..)?;
    if !packet.v6 {
        let identification = u32::from(u16::from_be_bytes([*ip.get(4)?, *ip.get(5)?]));
        return Some(Datagram { identification, protocol: *ip.get(9)? });
    }
    let (mut next, mut at) = (*ip.get(6)?, 40usize);
    for _ in 0..=MAX_EXTENSIONS {
        match next {
            44 => {
                let field: &[u8; 4] = ip.get(at + 4..)?.first_chunk()?;
                return Some(Datagram { identification: u32::from_be_bytes(*field), protocol: 0 });
            }
            51 => {
                next = *ip.get(at)?;
                at += (usize::from(*ip.get(at + 1)?) + 2) * 4;
            }
            0 | 43 | 60 | 135 | 139 | 140 | 253 | 254 => {
                next = *ip.get(at)?;
                at += (usize::from(*ip.get(at + 1)?) + 1) * 8;
            }
            _ => return None,
        }
    }
    None
}
