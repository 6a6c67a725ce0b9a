//! Transport headers: ports, flags, where the payload lies, and what it tells of who asks.
//!
//! Read by hand rather than through etherparse, which refuses a TCP or UDP header that is not captured whole: a snap
//! length of 34 bytes behind Ethernet still leaves both ports, and one of 48 the TCP flags.

use super::ip::Ip;
use super::packet::{Asks, Fragment, Packet, protocol};
use super::reject::Malformed;
use super::span::Span;

/// Makes the packet of an IP packet; all but what its record knows.
pub(super) fn read(ip: &Ip<'_>) -> Result<Packet, Malformed> {
    let mut packet = Packet {
        src: ip.src,
        dst: ip.dst,
        v6: ip.v6,
        protocol: ip.protocol,
        fragment: ip.fragment,
        ip_length: u32::try_from(ip.length).unwrap_or(u32::MAX),
        ip_offset: offset(ip.offset)?,
        transport_offset: offset(ip.rest.start())?,
        ..Packet::default()
    };
    packet.payload_offset = packet.transport_offset;
    if ip.fragment == Fragment::Later {
        return Ok(packet);
    }
    let (header, payload) = match ip.protocol {
        protocol::TCP => {
            ports(&mut packet, ip.rest)?;
            tcp(&mut packet, ip)
        }
        protocol::UDP => {
            ports(&mut packet, ip.rest)?;
            udp(ip)
        }
        protocol::SCTP => {
            ports(&mut packet, ip.rest)?;
            fixed(12, ip.rest.wire())
        }
        _ => (0, ip.rest.wire()),
    };
    packet.payload_offset = offset(ip.rest.start() + header)?;
    packet.payload_length = u32::try_from(payload).unwrap_or(u32::MAX);
    packet.asks = asks(&packet, ip.rest, header);
    Ok(packet)
}

/// Offsets are 16 bits; a header that far into a frame is treated like too many link headers before it.
fn offset(at: usize) -> Result<u16, Malformed> {
    u16::try_from(at).map_err(|_| Malformed::LinkDepth)
}

fn ports(packet: &mut Packet, rest: Span<'_>) -> Result<(), Malformed> {
    packet.src_port = rest.u16(0).ok_or(Malformed::TransportTruncated)?;
    packet.dst_port = rest.u16(2).ok_or(Malformed::TransportTruncated)?;
    Ok(())
}

/// Header and payload bytes where the header has one length; (0, 0) where the IP packet is too short for it.
fn fixed(header: usize, remainder: usize) -> (usize, usize) {
    remainder.checked_sub(header).map_or((0, 0), |payload| (header, payload))
}

/// RFC 9293, section 3.1. A data offset below the fixed header's five words makes the header invalid: every receiver
/// drops it, and its flags are not flags (nor are they to Wireshark).
fn tcp(packet: &mut Packet, ip: &Ip<'_>) -> (usize, usize) {
    let header = match ip.rest.u8(12).map(|byte| usize::from(byte >> 4) * 4) {
        Some(header @ 20..) => header,
        _ => return (0, 0),
    };
    if let Some(flags) = ip.rest.u8(13) {
        packet.tcp_flags = flags;
        packet.has_flags = true;
    }
    fixed(header, ip.rest.wire())
}

/// RFC 768. A length field that was not captured, or that contradicts the IP header (0 in jumbograms and offloaded
/// segments, the whole datagram's in a first fragment), yields to the IP header.
fn udp(ip: &Ip<'_>) -> (usize, usize) {
    let remainder = ip.rest.wire();
    let length = match ip.rest.u16(4).map(usize::from) {
        Some(length) if (8..=remainder).contains(&length) => length,
        _ => remainder,
    };
    fixed(8, length)
}

/// What the payload tells of who asks; `header` bytes of `rest` are transport header.
fn asks(packet: &Packet, rest: Span<'_>, header: usize) -> Asks {
    match (packet.protocol, rest.u8(0)) {
        (protocol::ICMP, Some(8)) | (protocol::ICMPV6, Some(128)) => Asks::Sender,
        (protocol::UDP, _) if is_name_service(packet.src_port) != is_name_service(packet.dst_port) => {
            match rest.skip(header).map(|payload| payload.first(packet.payload_length as usize)) {
                // The query/response bit of a whole DNS header (RFC 1035, section 4.1.1).
                Some(message) => match message.array::<12>(0) {
                    Some([_, _, bits, ..]) if bits & 0x80 == 0 => Asks::Sender,
                    Some(_) => Asks::Receiver,
                    None => Asks::Unknown,
                },
                None => Asks::Unknown,
            }
        }
        _ => Asks::Unknown,
    }
}

/// DNS, mDNS and LLMNR.
#[inline(always)]
pub(super) fn is_name_service(port: u16) -> bool {
    matches!(port, 53 | 5353 | 5355)
}
