//! Tunnels: from an IP packet to the layer inside it, where the tunnel's header checks out.
//!
//! Most tunnels over UDP are known by a port alone, which any other traffic may use; so every field that a header
//! fixes is compared, and the caller takes the inner packet only if that is sound as well.

use super::ip::Ip;
use super::layer::{Layer, Version, ether_type};
use super::packet::{Fragment, Packet, Tunnel, protocol};
use super::span::Span;

/// Extension headers of one GTP-U header, or routing entries of one GRE header, that are followed.
const MAX_ENTRIES: usize = 16;

/// The tunnel that an IP packet carries: its kind, its payload's first layer, and where that lies.
type Inside<'f> = (Tunnel, Layer, Span<'f>);

/// Looks inside an IP packet. A fragmented datagram is never looked into: only its first fragment could be.
pub(super) fn inside<'f>(ip: &Ip<'f>, packet: &Packet) -> Option<Inside<'f>> {
    const IPV4: u8 = 4;
    const IPV6: u8 = 41;
    const GRE: u8 = 47;

    if ip.fragment != Fragment::Whole {
        return None;
    }
    match ip.protocol {
        IPV4 => Some((Tunnel::IpInIp, Layer::Ip(Version::Four), ip.rest)),
        IPV6 if ip.v6 => Some((Tunnel::IpInIp, Layer::Ip(Version::Six), ip.rest)),
        IPV6 => Some((Tunnel::SixInFour, Layer::Ip(Version::Six), ip.rest)),
        GRE => gre(ip.rest),
        protocol::UDP => {
            let header = usize::from(packet.payload_offset - packet.transport_offset);
            let payload = ip.rest.skip(header)?.first(packet.payload_length as usize);
            over_udp(packet.dst_port, payload).or_else(|| over_udp(packet.src_port, payload))
        }
        _ => None,
    }
}

/// Whether a UDP port may carry a tunnel: those that [`over_udp`] knows.
#[inline(always)]
pub(super) fn carries_tunnel(port: u16) -> bool {
    matches!(port, 1701 | 2152 | 3544 | 4789 | 4790 | 6081 | 8472)
}

fn over_udp(port: u16, payload: Span<'_>) -> Option<Inside<'_>> {
    match port {
        4789 | 4790 | 8472 => vxlan(payload),
        6081 => geneve(payload),
        2152 => gtp_u(payload),
        3544 => teredo(payload),
        1701 => l2tp(payload),
        _ => None,
    }
}

/// The number by which a tunnel tells its networks or sessions apart; `header` starts with the tunnel's own, which was found
/// sound. See [`Packet::tunnel_id`].
pub(super) fn id(kind: Tunnel, header: &[u8]) -> Option<u32> {
    let u16_at = |at: usize| Some(u32::from(u16::from_be_bytes(*header.get(at..)?.first_chunk()?)));
    let u32_at = |at: usize| Some(u32::from_be_bytes(*header.get(at..)?.first_chunk()?));
    match kind {
        Tunnel::None | Tunnel::IpInIp | Tunnel::SixInFour | Tunnel::Teredo => None,
        Tunnel::Vxlan | Tunnel::Geneve => Some(u32_at(4)? >> 8),
        Tunnel::GtpU => u32_at(4),
        Tunnel::Gre | Tunnel::Erspan => {
            let flags = u16_at(0)? as u16;
            let checksum = if flags & (gre::CHECKSUM | gre::ROUTING) == 0 { 0 } else { 4 };
            let words = |set: u16| 4 * (flags & set).count_ones() as usize;
            match kind {
                // Type I has no header, and thus no session.
                Tunnel::Erspan if flags & gre::SEQUENCE == 0 && u16_at(2)? == u32::from(gre::ERSPAN_OLD) => None,
                // A session of ten bits; a frame with source routes in front of it is not looked into.
                Tunnel::Erspan if flags & gre::ROUTING == 0 => {
                    Some(u16_at(4 + checksum + words(gre::KEY | gre::SEQUENCE) + 2)? & 0x3ff)
                }
                Tunnel::Gre if flags & gre::VERSION == 1 => u16_at(6),
                Tunnel::Gre if flags & gre::KEY != 0 => u32_at(4 + checksum),
                _ => None,
            }
        }
        Tunnel::L2tp => u32_at(if u16_at(0)? as u16 & l2tp::LENGTH == 0 { 2 } else { 4 }),
    }
}

/// Fields of the GRE header.
mod gre {
    pub(super) const CHECKSUM: u16 = 0x8000;
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    pub(super) const ACKNOWLEDGMENT: u16 = 0x0080;
    pub(super) const VERSION: u16 = 0x0007;
    pub(super) const ERSPAN_OLD: u16 = 0x88be;
    pub(super) const ERSPAN_III: u16 = 0x22eb;
}

/// Fields of the L2TP header.
mod l2tp {
    pub(super) const LENGTH: u16 = 0x4000;
}

/// RFC 2784 and 2890, with the source routes of RFC 1701; version 1 is PPTP's (RFC 2637).
fn gre(span: Span<'_>) -> Option<Inside<'_>> {
    use gre::{ACKNOWLEDGMENT, CHECKSUM, ERSPAN_III, ERSPAN_OLD, KEY, ROUTING, SEQUENCE, VERSION};

    let flags = span.u16(0)?;
    let kind = span.u16(2)?;
    let words = |set: u16| 4 * (flags & set).count_ones() as usize;
    match flags & VERSION {
        0 => {
            let checksum = if flags & (CHECKSUM | ROUTING) == 0 { 0 } else { 4 };
            let mut rest = span.skip(4 + checksum + words(KEY | SEQUENCE))?;
            if flags & ROUTING != 0 {
                rest = behind_routes(rest)?;
            }
            match kind {
                ERSPAN_OLD if flags & SEQUENCE == 0 => Some((Tunnel::Erspan, Layer::Ethernet, rest)),
                ERSPAN_OLD => erspan_ii(rest),
                ERSPAN_III => erspan_iii(rest),
                0..0x0600 => None,
                _ => Some((Tunnel::Gre, Layer::EtherType(kind), rest)),
            }
        }
        1 if flags & (CHECKSUM | ROUTING) == 0 && flags & KEY != 0 && kind == ether_type::PPP => {
            Some((Tunnel::Gre, Layer::Ppp, span.skip(8 + words(SEQUENCE | ACKNOWLEDGMENT))?))
        }
        _ => None,
    }
}

/// What follows a list of GRE source route entries: family, offset, length, and a family of zero at its end.
fn behind_routes(mut span: Span<'_>) -> Option<Span<'_>> {
    for _ in 0..MAX_ENTRIES {
        let family = span.u16(0)?;
        let length = span.u8(3)?;
        span = span.skip(4 + usize::from(length))?;
        if family == 0 && length == 0 {
            return Some(span);
        }
    }
    None
}

/// ERSPAN type II (draft-foschiano-erspan-03): version 1, eight bytes.
fn erspan_ii(span: Span<'_>) -> Option<Inside<'_>> {
    (span.u8(0)? >> 4 == 1).then_some(())?;
    Some((Tunnel::Erspan, Layer::Ethernet, span.skip(8)?))
}

/// ERSPAN type III (same draft): version 2, twelve bytes, and eight more where the last bit says so.
fn erspan_iii(span: Span<'_>) -> Option<Inside<'_>> {
    const ETHERNET: u8 = 0;
    const IP: u8 = 2;

    (span.u8(0)? >> 4 == 2).then_some(())?;
    let layer = match (span.u8(10)? >> 2) & 0x1f {
        ETHERNET => Layer::Ethernet,
        IP => Layer::Ip(Version::Either),
        _ => return None,
    };
    let header = if span.u8(11)? & 1 == 0 { 12 } else { 20 };
    Some((Tunnel::Erspan, layer, span.skip(header)?))
}

/// RFC 7348; its group policy extension (draft-smith-vxlan-group-policy-05), which fills reserved bytes; and its generic
/// protocol extension (draft-ietf-nvo3-vxlan-gpe-13), which names what follows and is often met on VXLAN's own port.
fn vxlan(span: Span<'_>) -> Option<Inside<'_>> {
    const IPV4: u8 = 1;
    const IPV6: u8 = 2;
    const ETHERNET: u8 = 3;

    let layer = match span.array::<8>(0)? {
        [0x08, 0, 0, 0, .., 0] | [0x88, _, _, _, .., 0] => Layer::Ethernet,
        [0x0c, 0, 0, kind, .., 0] => match kind {
            IPV4 => Layer::Ip(Version::Four),
            IPV6 => Layer::Ip(Version::Six),
            ETHERNET => Layer::Ethernet,
            _ => return None,
        },
        _ => return None,
    };
    Some((Tunnel::Vxlan, layer, span.skip(8)?))
}

/// RFC 8926.
fn geneve(span: Span<'_>) -> Option<Inside<'_>> {
    let first = span.u8(0)?;
    (first >> 6 == 0).then_some(())?;
    let kind = span.u16(2)?;
    matches!(kind, ether_type::ETHERNET | ether_type::IPV4 | ether_type::IPV6).then_some(())?;
    let options = usize::from(first & 0x3f) * 4;
    Some((Tunnel::Geneve, Layer::EtherType(kind), span.skip(8 + options)?))
}

/// 3GPP TS 29.281, sections 5.1 and 5.2: version 1, a G-PDU, IP inside.
fn gtp_u(span: Span<'_>) -> Option<Inside<'_>> {
    const G_PDU: u8 = 255;
    const EXTENSION: u8 = 0x04;
    const OPTIONAL: u8 = 0x07;

    let [flags, message] = span.array(0)?;
    // Version 1, protocol type GTP.
    (flags & 0xf0 == 0x30 && message == G_PDU).then_some(())?;
    let length = usize::from(span.u16(2)?);
    (8 + length <= span.wire()).then_some(())?;
    let mut rest = span.first(8 + length).skip(8)?;
    if flags & OPTIONAL != 0 {
        let mut next = rest.u8(3)?;
        rest = rest.skip(4)?;
        let mut entries = 0;
        while flags & EXTENSION != 0 && next != 0 {
            let length = usize::from(rest.u8(0)?) * 4;
            entries += 1;
            if length == 0 || entries > MAX_ENTRIES {
                return None;
            }
            next = rest.u8(length - 1)?;
            rest = rest.skip(length)?;
        }
    }
    Some((Tunnel::GtpU, Layer::Ip(Version::Either), rest))
}

/// RFC 4380, section 5.1.1: optional authentication, optional origin, and an IPv6 packet that fits.
fn teredo(mut span: Span<'_>) -> Option<Inside<'_>> {
    if span.u16(0)? == 1 {
        let lengths = usize::from(span.u8(2)?) + usize::from(span.u8(3)?);
        span = span.skip(4 + lengths + 9)?;
    }
    if span.u16(0)? == 0 {
        span = span.skip(8)?;
    }
    let payload = usize::from(span.u16(4)?);
    (40 + payload <= span.wire()).then_some(())?;
    Some((Tunnel::Teredo, Layer::Ip(Version::Six), span))
}

/// RFC 2661, section 3.1: a data message of version 2.
fn l2tp(span: Span<'_>) -> Option<Inside<'_>> {
    use l2tp::LENGTH;
    const CONTROL: u16 = 0x8000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const VERSION: u16 = 0x000f;

    let flags = span.u16(0)?;
    (flags & CONTROL == 0 && flags & VERSION == 2).then_some(())?;
    let mut at = 2;
    let mut span = span;
    if flags & LENGTH != 0 {
        let length = usize::from(span.u16(at)?);
        (length <= span.wire()).then_some(())?;
        span = span.first(length);
        at += 2;
    }
    at += 4;
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & OFFSET != 0 {
        at += 2 + usize::from(span.u16(at)?);
    }
    Some((Tunnel::L2tp, Layer::Ppp, span.skip(at)?))
}
