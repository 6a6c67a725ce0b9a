//! What a packet says of DNS: the first twelve bytes of a message are enough. Its port alone says little, so they have to be a header that a
//! message can have: an opcode that is in use, and no more questions and records than there is room for.
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

/// Bytes of the longest message.
const LONGEST: usize = u16::MAX as usize;

/// Bytes that a question has at least: the root's name, type, class.
const QUESTION: usize = 5;

/// Bytes that a record has at least: the root's name, type, class, time to live, length.
const RECORD: usize = 11;

/// DNS stateful operations (RFC 8490), which ask no questions.
const STATEFUL: u8 = 6;

/// Whether a message of `length` bytes may begin so.
fn is_plausible(header: [u8; HEADER], length: usize) -> bool {
    let [_, _, flags, _, counts @ ..] = header;
    let [questions, a, b, c] = [0, 2, 4, 6].map(|at| usize::from(u16::from_be_bytes([counts[at], counts[at + 1]])));
    let (is_response, is_cut, opcode) = (flags & 0x80 != 0, flags & 2 != 0, flags >> 3 & 15);
    let room = length.saturating_sub(HEADER);
    let has_room = QUESTION * questions <= room && (is_cut || QUESTION * questions + RECORD * (a + b + c) <= room);
    matches!(opcode, 0..=2 | 4..=6) && has_room && (is_response || questions > 0 || opcode == STATEFUL)
}

/// Whether a packet may have messages.
#[inline]
pub(super) fn may_have(packet: &Packet) -> bool {
    let has = |port| packet.src_port == port || packet.dst_port == port;
    match packet.protocol {
        protocol::TCP => has(53) && packet.has_flags,
        protocol::UDP => PORTS.into_iter().any(has),
        _ => false,
    }
}

/// The messages of a packet that [may have](may_have) some.
pub(super) fn messages(packet: &Packet, frame: &[u8]) -> Messages {
    let mut messages = Messages::default();
    if packet.fragment == Fragment::Later {
        return messages;
    }
    let over_tcp = packet.protocol == protocol::TCP;
    let payload = frame.get(usize::from(packet.payload_offset)..).unwrap_or_default();
    let mut payload = payload.get(..packet.payload_length as usize).unwrap_or(payload);
    if !over_tcp {
        // Of a datagram in fragments nobody knows here how long it is.
        let whole = if packet.fragment == Fragment::First { LONGEST } else { packet.payload_length as usize };
        messages.add(payload, whole);
        return messages;
    }
    while let Some((length, message)) = payload.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        if length < HEADER || !messages.add(message, length) {
            break;
        }
        payload = message.get(length..).unwrap_or_default();
    }
    messages
}

impl Messages {
    /// Counts a message of `length` bytes, if its header is there and is one.
    fn add(&mut self, message: &[u8], length: usize) -> bool {
        let Some(header) = message.first_chunk::<HEADER>().filter(|header| is_plausible(**header, length)) else {
            return false;
        };
        let (response, code) = (header[2] & 0x80 != 0, header[3] & 15);
        self.queries += u32::from(!response);
        self.responses += u32::from(response);
        self.nxdomain += u32::from(response && code == 3);
        true
    }
}
