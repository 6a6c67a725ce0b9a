//! What a packet says of DNS: the first twelve bytes of a message are enough.

use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol};

/// A DNS message, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Query,
    Response {
        /// There is no such name.
        nxdomain: bool,
    },
}

/// DNS, multicast DNS (RFC 6762) and LLMNR (RFC 4795).
const PORTS: [u16; 3] = [53, 5353, 5355];

/// Bytes of a header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// The message that a packet begins with. Over TCP only a message whose length stands in front of it, in the same segment.
#[inline]
pub(super) fn message(packet: &Packet, frame: &[u8]) -> Option<Message> {
    let has = |port| packet.src_port == port || packet.dst_port == port;
    match packet.protocol {
        protocol::UDP if PORTS.into_iter().any(has) => {}
        protocol::TCP if has(53) && packet.has_flags => {}
        _ => return None,
    }
    if packet.fragment == Fragment::Later {
        return None;
    }
    let payload = frame.get(usize::from(packet.payload_offset)..)?;
    let payload = payload.get(..(packet.payload_length as usize).min(payload.len()))?;
    let header = match packet.protocol {
        protocol::TCP => {
            let (length, message) = payload.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)) >= HEADER).then_some(message)?
        }
        _ => payload,
    };
    let header = header.first_chunk::<HEADER>()?;
    let (response, code) = (header[2] & 0x80 != 0, header[3] & 15);
    Some(if response { Message::Response { nxdomain: code == 3 } } else { Message::Query })
}
