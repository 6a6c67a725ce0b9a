//! What a packet says of DNS: the first twelve bytes of a message are enough.
//!
//! Over TCP a segment may hold several messages, each behind its length. They are counted where they begin; a segment is taken to begin with
//! one, so of a message that goes on in further segments the rest is read as a length and, mostly, no message.

use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol};

/// DNS messages of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    pub(super) queries: u32,
    pub(super) responses: u32,
    /// Of those, the ones that say that there is no such name.
    pub(super) nxdomain: u32,
}

/// DNS, multicast DNS (RFC 6762) and LLMNR (RFC 4795).
const PORTS: [u16; 3] = [53, 5353, 5355];

/// Bytes of a header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// The messages of a packet.
#[inline]
pub(super) fn messages(packet: &Packet, frame: &[u8]) -> Messages {
    let mut messages = Messages::default();
    let has = |port| packet.src_port == port || packet.dst_port == port;
    let over_tcp = match packet.protocol {
        protocol::UDP if PORTS.into_iter().any(has) => false,
        protocol::TCP if has(53) && packet.has_flags => true,
        _ => return messages,
    };
    if packet.fragment == Fragment::Later {
        return messages;
    }
    let payload = frame.get(usize::from(packet.payload_offset)..).unwrap_or_default();
    let mut payload = payload.get(..packet.payload_length as usize).unwrap_or(payload);
    if !over_tcp {
        messages.add(payload);
        return messages;
    }
    while let Some((length, message)) = payload.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        if length < HEADER || !messages.add(message) {
            break;
        }
        payload = message.get(length..).unwrap_or_default();
    }
    messages
}

impl Messages {
    /// Counts a message, if its header is there.
    fn add(&mut self, message: &[u8]) -> bool {
        let Some(header) = message.first_chunk::<HEADER>() else { return false };
        let (response, code) = (header[2] & 0x80 != 0, header[3] & 15);
        self.queries += u32::from(!response);
        self.responses += u32::from(response);
        self.nxdomain += u32::from(response && code == 3);
        true
    }
}
