//! The layers between a link type, or a tunnel header, and IP.
//!
//! Ethernet, VLAN tags, LLC and SNAP, MPLS with its pseudowires, PPP, PPPoE and Cisco HDLC are the same wherever they
//! occur, so link types and tunnels share this walk. It ends at an IP header or with the reason why there is none.

use super::reject::{Malformed, NotIp, Reject};
use super::span::Span;

/// VLAN tags that are followed in one walk.
pub(super) const MAX_TAGS: usize = 8;
/// Labels that are followed in one MPLS stack.
pub(super) const MAX_LABELS: usize = 16;
/// Headers that are followed in one walk, tags included; an MPLS stack is one.
pub(super) const MAX_HEADERS: usize = 24;

/// EtherTypes that lead on.
pub(super) mod ether_type {
    pub(in crate::decode) const IPV4: u16 = 0x0800;
    pub(in crate::decode) const ARP: u16 = 0x0806;
    pub(in crate::decode) const ETHERNET: u16 = 0x6558;
    pub(in crate::decode) const VLAN: u16 = 0x8100;
    pub(in crate::decode) const IPV6: u16 = 0x86dd;
    pub(in crate::decode) const PPP: u16 = 0x880b;
    pub(in crate::decode) const MPLS: u16 = 0x8847;
    pub(in crate::decode) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(in crate::decode) const PPPOE: u16 = 0x8864;
    pub(in crate::decode) const QINQ: u16 = 0x88a8;
    pub(in crate::decode) const QINQ_OLD: u16 = 0x9100;
    pub(in crate::decode) const QINQ_OLDER: u16 = 0x9200;
}

/// What the next header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// An Ethernet header.
    Ethernet,
    /// What this EtherType, or IEEE 802.3 length, announces.
    EtherType(u16),
    /// An IEEE 802.2 LLC header.
    Llc,
    /// PPP, with or without its HDLC address and control bytes.
    Ppp,
    /// PPP in HDLC framing, or Cisco HDLC.
    Hdlc,
    /// A PPPoE session header.
    Pppoe,
    /// An MPLS label stack.
    Mpls,
    /// IP.
    Ip(Version),
}

/// What the layer below says of the IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
    /// Nothing; the header's first nibble decides.
    Either,
}

/// The bits of a tag that number the VLAN (IEEE 802.1Q, section 9.6).
pub(super) const VLAN_NUMBER: u16 = 0x0fff;

/// Where a walk ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bottom<'f> {
    pub(super) version: Version,
    /// From the IP header on.
    pub(super) span: Span<'f>,
    /// VLAN number of the last tag on the way.
    pub(super) vlan: Option<u16>,
}

/// Follows headers down to IP.
pub(super) fn descend(mut layer: Layer, mut span: Span<'_>) -> Result<Bottom<'_>, Reject> {
    let (mut tags, mut vlan) = (0, None);
    for _ in 0..MAX_HEADERS {
        (layer, span) = match layer {
            Layer::Ip(version) => return Ok(Bottom { version, span, vlan }),
            Layer::Ethernet => {
                let kind = span.u16(12).ok_or(Malformed::LinkTruncated)?;
                (Layer::EtherType(kind), skip(span, 14)?)
            }
            Layer::EtherType(ether_type::VLAN | ether_type::QINQ | ether_type::QINQ_OLD | ether_type::QINQ_OLDER) => {
                tags += 1;
                if tags > MAX_TAGS {
                    return Err(Malformed::LinkDepth.into());
                }
                let kind = span.u16(2).ok_or(Malformed::LinkTruncated)?;
                vlan = span.u16(0).map(|tag| tag & VLAN_NUMBER);
                (Layer::EtherType(kind), skip(span, 4)?)
            }
            Layer::EtherType(kind) => (announced(kind)?, span),
            Layer::Llc => llc(span)?,
            Layer::Ppp => ppp(span)?,
            Layer::Hdlc => hdlc(span)?,
            Layer::Pppoe => pppoe(span)?,
            Layer::Mpls => mpls(span)?,
        };
    }
    Err(Malformed::LinkDepth.into())
}

/// What follows `length` bytes of link header.
pub(super) fn skip(span: Span<'_>, length: usize) -> Result<Span<'_>, Reject> {
    span.skip(length).ok_or(Reject::Malformed(Malformed::LinkTruncated))
}

fn announced(kind: u16) -> Result<Layer, Reject> {
    Ok(match kind {
        ether_type::IPV4 => Layer::Ip(Version::Four),
        ether_type::IPV6 => Layer::Ip(Version::Six),
        ether_type::MPLS | ether_type::MPLS_UPSTREAM => Layer::Mpls,
        ether_type::PPPOE => Layer::Pppoe,
        ether_type::PPP => Layer::Ppp,
        ether_type::ETHERNET => Layer::Ethernet,
        0..=1500 => Layer::Llc,
        other => return Err(NotIp::EtherType(other).into()),
    })
}

/// IEEE 802.2: IP by its own access point, or an EtherType behind SNAP (RFC 1042).
fn llc(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    const IP: u8 = 0x06;
    const SNAP: u8 = 0xaa;
    const UNNUMBERED_INFORMATION: u8 = 0x03;
    // IEEE 802.1H keeps this one for EtherTypes that bridges tunnel.
    const BRIDGE_TUNNEL: [u8; 3] = [0x00, 0x00, 0xf8];

    let [access, _, control] = span.array(0).ok_or(Malformed::LinkTruncated)?;
    match (access, control) {
        (IP, UNNUMBERED_INFORMATION) => Ok((Layer::Ip(Version::Four), skip(span, 3)?)),
        (SNAP, UNNUMBERED_INFORMATION) => {
            let owner = span.array::<3>(3).ok_or(Malformed::LinkTruncated)?;
            let kind = span.u16(6).ok_or(Malformed::LinkTruncated)?;
            let rest = skip(span, 8)?;
            match owner {
                // A length has no place here, and following one would loop back to this header.
                [0, 0, 0] | BRIDGE_TUNNEL if kind > 1500 => Ok((Layer::EtherType(kind), rest)),
                _ => Err(NotIp::Llc(SNAP).into()),
            }
        }
        _ => Err(NotIp::Llc(access).into()),
    }
}

/// RFC 1661, with the compressed protocol field that its first byte's lowest bit tells.
fn ppp(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    let span = match span.bytes() {
        [0xff, 0x03, ..] => skip(span, 2)?,
        [0xff] => return Err(Malformed::LinkTruncated.into()),
        _ => span,
    };
    let first = span.u8(0).ok_or(Malformed::LinkTruncated)?;
    let (protocol, rest) = if first & 1 == 1 {
        (u16::from(first), skip(span, 1)?)
    } else {
        (span.u16(0).ok_or(Malformed::LinkTruncated)?, skip(span, 2)?)
    };
    match protocol {
        0x0021 => Ok((Layer::Ip(Version::Four), rest)),
        0x0057 => Ok((Layer::Ip(Version::Six), rest)),
        0x0281 | 0x0283 => Ok((Layer::Mpls, rest)),
        other => Err(NotIp::Ppp(other).into()),
    }
}

/// PPP, or Cisco HDLC: told apart by the address byte.
fn hdlc(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    match span.u8(0).ok_or(Malformed::LinkTruncated)? {
        0x0f | 0x8f => {
            let kind = span.u16(2).ok_or(Malformed::LinkTruncated)?;
            Ok((Layer::EtherType(kind), skip(span, 4)?))
        }
        _ => Ok((Layer::Ppp, span)),
    }
}

/// RFC 2516, session stage.
fn pppoe(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    match span.array(0).ok_or(Malformed::LinkTruncated)? {
        [0x11, 0] => Ok((Layer::Ppp, skip(span, 6)?)),
        [0x11, _] => Err(NotIp::EtherType(ether_type::PPPOE).into()),
        _ => Err(Malformed::LinkInvalid.into()),
    }
}

/// RFC 3032. The stack does not say what it carries: the first nibble does (RFC 4928), and where that is no IP
/// version, an Ethernet pseudowire (RFC 4448) with or without control word is taken if it looks like one.
fn mpls(mut span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    const BOTTOM_OF_STACK: u32 = 0x100;
    for _ in 0..MAX_LABELS {
        let label = span.u32(0).ok_or(Malformed::LinkTruncated)?;
        span = skip(span, 4)?;
        if label & BOTTOM_OF_STACK == 0 {
            continue;
        }
        return match span.u8(0).ok_or(Malformed::LinkTruncated)? >> 4 {
            4 => Ok((Layer::Ip(Version::Four), span)),
            6 => Ok((Layer::Ip(Version::Six), span)),
            nibble => {
                let behind_control_word = span.skip(4).filter(|inner| nibble == 0 && looks_like_ethernet(*inner));
                let bare = Some(span).filter(|inner| looks_like_ethernet(*inner));
                match behind_control_word.or(bare) {
                    Some(inner) => Ok((Layer::Ethernet, inner)),
                    None => Err(NotIp::Mpls.into()),
                }
            }
        };
    }
    Err(Malformed::LinkDepth.into())
}

/// Whether a pseudowire's payload can be an Ethernet frame: nothing announces it, so its type must be a usual one,
/// and its IP version must agree.
fn looks_like_ethernet(span: Span<'_>) -> bool {
    let version = span.u8(14).map(|byte| byte >> 4);
    match span.u16(12) {
        Some(ether_type::IPV4) => version == Some(4),
        Some(ether_type::IPV6) => version == Some(6),
        Some(
            ether_type::ARP
            | ether_type::VLAN
            | ether_type::QINQ
            | ether_type::QINQ_OLD
            | ether_type::MPLS
            | ether_type::PPPOE,
        ) => true,
        Some(length @ 3..=1500) => usize::from(length) + 14 <= span.wire(),
        _ => false,
    }
}
