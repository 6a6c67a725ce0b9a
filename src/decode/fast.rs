//! The fast path: Ethernet, up to two VLAN tags, IPv4 or IPv6 without extensions, TCP or UDP or a later fragment, at fixed
//! offsets.
//!
//! It answers only for frames that are in order in every respect, and hands the rest to [`super::general`] with
//! `None`. Where it answers, it answers as the general path does; a property test holds the two together.
//!
//! It writes the packet where it will stay: built on the stack and moved, its narrow fields would be read back in wide words
//! before they have left the store buffer, which costs more than decoding. Nor is the place cleared before: that would write
//! every packet twice.

use super::Tunnels;
use super::layer::VLAN_NUMBER;
use super::packet::{Asks, Fragment, Packet, Tunnel, protocol};
use super::transport::is_name_service;
use super::tunnel::carries_tunnel;
use crate::capture::{Record, Stamp};

const ETHERNET: usize = 14;
const TAG: usize = 4;

/// Decodes an Ethernet frame of the common kind into `packet`. An answer writes every field; without one, what is there means
/// nothing.
#[inline(always)]
pub(super) fn ethernet(record: &Record, frame: &[u8], tunnels: Tunnels, packet: &mut Packet) -> Option<()> {
    if record.stamp == Stamp::Unrepresentable || record.wire < record.captured {
        return None;
    }
    let mut ether_type = u16_at(frame, ETHERNET - 2)?;
    let (mut ip, mut vlan) = (ETHERNET, None);
    while ether_type == 0x8100 || ether_type == 0x88a8 {
        if ip > ETHERNET + TAG {
            return None;
        }
        vlan = Some(u16_at(frame, ip)? & VLAN_NUMBER);
        ether_type = u16_at(frame, ip + 2)?;
        ip += TAG;
    }
    packet.time = record.time;
    packet.frame = record.offset;
    packet.captured = record.captured;
    packet.wire = record.wire;
    packet.ip_offset = ip as u16;
    (packet.tunnel, packet.tunnel_offset) = (Tunnel::None, 0);
    packet.vlan = vlan;
    packet.link = record.link;
    packet.asks = Asks::Unknown;
    let (transport, room) = match ether_type {
        0x0800 => ipv4(frame, ip, packet)?,
        0x86dd => ipv6(frame, ip, packet)?,
        _ => return None,
    };
    // A length beyond the frame is for the general path to cut.
    if ip as u32 + packet.ip_length > record.wire {
        return None;
    }
    packet.transport_offset = transport as u16;
    if packet.fragment == Fragment::Later {
        packet.payload_offset = transport as u16;
        packet.payload_length = 0;
        (packet.src_port, packet.dst_port) = (0, 0);
        (packet.tcp_flags, packet.has_flags) = (0, false);
        return Some(());
    }
    match packet.protocol {
        protocol::TCP => tcp(frame, transport, room, packet),
        protocol::UDP => udp(frame, transport, room, tunnels, packet),
        _ => None,
    }
}

/// Reads an IPv4 header; returns the transport header's offset and the bytes from there on.
#[inline(always)]
fn ipv4(frame: &[u8], at: usize, packet: &mut Packet) -> Option<(usize, u32)> {
    let header: &[u8; 20] = frame.get(at..at + 20)?.first_chunk()?;
    let length = u32::from(u16::from_be_bytes([header[2], header[3]]));
    let header_length = u32::from(header[0] & 15) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    let transport = at + header_length as usize;
    if header[0] >> 4 != 4 || header_length < 20 || length < header_length || frame.len() < transport {
        return None;
    }
    packet.fragment = match fragment {
        0 => Fragment::Whole,
        part if part & 0x1fff == 0 => Fragment::First,
        _ => Fragment::Later,
    };
    packet.src = u128::from(u32::from_be_bytes([header[12], header[13], header[14], header[15]]));
    packet.dst = u128::from(u32::from_be_bytes([header[16], header[17], header[18], header[19]]));
    packet.v6 = false;
    packet.ip_length = length;
    packet.protocol = header[9];
    Some((transport, length - header_length))
}

/// Reads an IPv6 header without extensions; returns as [`ipv4`] does.
#[inline(always)]
fn ipv6(frame: &[u8], at: usize, packet: &mut Packet) -> Option<(usize, u32)> {
    let header: &[u8; 40] = frame.get(at..at + 40)?.first_chunk()?;
    let room = u32::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || room == 0 {
        return None;
    }
    packet.src = u128::from_be_bytes(*header[8..].first_chunk()?);
    packet.dst = u128::from_be_bytes(*header[24..].first_chunk()?);
    packet.v6 = true;
    packet.fragment = Fragment::Whole;
    packet.ip_length = room + 40;
    packet.protocol = header[6];
    Some((at + 40, room))
}

#[inline(always)]
fn tcp(frame: &[u8], at: usize, room: u32, packet: &mut Packet) -> Option<()> {
    let header: &[u8; 14] = frame.get(at..at + 14)?.first_chunk()?;
    let header_length = u32::from(header[12] >> 4) * 4;
    if header_length < 20 || header_length > room {
        return None;
    }
    packet.src_port = u16::from_be_bytes([header[0], header[1]]);
    packet.dst_port = u16::from_be_bytes([header[2], header[3]]);
    packet.tcp_flags = header[13];
    packet.has_flags = true;
    packet.payload_offset = (at + header_length as usize) as u16;
    packet.payload_length = room - header_length;
    Some(())
}

#[inline(always)]
fn udp(frame: &[u8], at: usize, room: u32, tunnels: Tunnels, packet: &mut Packet) -> Option<()> {
    let header: &[u8; 8] = frame.get(at..at + 8)?.first_chunk()?;
    let (src, dst) = (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]));
    let length = u32::from(u16::from_be_bytes([header[4], header[5]]));
    // A first fragment has the length of its whole datagram, and damaged headers have any: then the IP header knows.
    let length = if (8..=room).contains(&length) { length } else { room };
    if length < 8 || (tunnels == Tunnels::Inner && (carries_tunnel(src) || carries_tunnel(dst))) {
        return None;
    }
    packet.src_port = src;
    packet.dst_port = dst;
    packet.payload_offset = (at + 8) as u16;
    packet.payload_length = length - 8;
    (packet.tcp_flags, packet.has_flags) = (0, false);
    if is_name_service(src) != is_name_service(dst) {
        // The general path also looks at how much of a short message was captured.
        if length < 20 || frame.len() < at + 20 {
            return None;
        }
        packet.asks = if frame[at + 10] & 0x80 == 0 { Asks::Sender } else { Asks::Receiver };
    }
    Some(())
}

#[inline(always)]
fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
