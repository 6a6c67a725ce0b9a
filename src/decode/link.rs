//! Link types: from a record to the first layer that its link header announces.
//!
//! The numbers and layouts are those of <https://www.tcpdump.org/linktypes.html>.

use super::layer::{Layer, Version, ether_type, skip};
use super::reject::{Malformed, NotIp, Reject};
use super::span::Span;
use crate::capture::LinkType;

/// Reads the link header of a whole frame.
pub(super) fn first_layer(link: LinkType, span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    match plain(link) {
        Some(layer) => Ok((layer, span)),
        None => match link.0 {
            0 => null(span),
            10 => fddi(span),
            108 => family(span.u32(0).ok_or(Malformed::LinkTruncated)?, span),
            113 => cooked(span.u16(14), span, 16),
            192 => ppi(span),
            239 => nflog(span),
            276 => cooked(span.u16(0), span, 20),
            _ => Err(Malformed::LinkType.into()),
        },
    }
}

/// Link types without a header of their own here.
fn plain(link: LinkType) -> Option<Layer> {
    Some(match link.0 {
        1 => Layer::Ethernet,
        9 | 50 => Layer::Hdlc,
        12 | 14 | 101 => Layer::Ip(Version::Either),
        51 => Layer::Pppoe,
        228 => Layer::Ip(Version::Four),
        229 => Layer::Ip(Version::Six),
        _ => return None,
    })
}

/// BSD loopback: the address family in the byte order of the machine that captured, which nothing else tells.
fn null(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    let word = span.u32(0).ok_or(Malformed::LinkTruncated)?;
    // No family reaches 65,536, so the order that makes the number small is the order it was written in.
    family(if word > 0xffff { word.swap_bytes() } else { word }, span)
}

fn family(number: u32, span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    let version = match number {
        2 => Version::Four,
        // Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
        10 | 24 | 28 | 30 => Version::Six,
        other => {
            let family = u16::try_from(other).map_err(|_| Malformed::LinkInvalid)?;
            return Err(NotIp::Family(family).into());
        }
    };
    Ok((Layer::Ip(version), skip(span, 4)?))
}

/// FDDI: frame control and two addresses, then LLC if the frame control says so.
fn fddi(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    let control = span.u8(0).ok_or(Malformed::LinkTruncated)?;
    if control & 0xf0 != 0x50 {
        return Err(NotIp::Fddi(control).into());
    }
    Ok((Layer::Llc, skip(span, 13)?))
}

/// Linux cooked captures, both versions: an EtherType, or a small number that is none.
fn cooked(protocol: Option<u16>, span: Span<'_>, header: usize) -> Result<(Layer, Span<'_>), Reject> {
    const LLC: u16 = 4;
    let rest = skip(span, header)?;
    match protocol.ok_or(Malformed::LinkTruncated)? {
        LLC => Ok((Layer::Llc, rest)),
        small @ 0..0x0600 => Err(NotIp::Cooked(small).into()),
        kind => Ok((Layer::EtherType(kind), rest)),
    }
}

/// Per-packet information: little-endian, with the link type of what follows.
fn ppi(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    const PPI: u16 = 192;
    let length = u16::from_le_bytes(span.array(2).ok_or(Malformed::LinkTruncated)?);
    let link = u32::from_le_bytes(span.array(4).ok_or(Malformed::LinkTruncated)?);
    if length < 8 {
        return Err(Malformed::LinkInvalid.into());
    }
    let rest = skip(span, length.into())?;
    let link = u16::try_from(link).map_err(|_| Malformed::LinkInvalid)?;
    let not_followed = Reject::NotIp(NotIp::Ppi(link));
    if link == PPI {
        return Err(not_followed);
    }
    first_layer(LinkType(link), rest).map_err(|reject| match reject {
        Reject::Malformed(Malformed::LinkType) => not_followed,
        other => other,
    })
}

/// Netfilter's log: family, version and resource, then attributes in the byte order of the machine that captured.
///
/// Attribute lengths tell that order: in the wrong one, the first is far beyond the frame or below its own header.
fn nflog(span: Span<'_>) -> Result<(Layer, Span<'_>), Reject> {
    const IPV4: u8 = 2;
    const IPV6: u8 = 10;

    let [family, version, ..] = span.array::<4>(0).ok_or(Malformed::LinkTruncated)?;
    if version != 0 {
        return Err(NotIp::Nflog.into());
    }
    let attributes = skip(span, 4)?;
    let first = attributes.array::<2>(0).ok_or(Reject::NotIp(NotIp::Nflog))?;
    let fits = |length: u16| (4..=attributes.wire()).contains(&usize::from(length));
    let read = match (fits(u16::from_le_bytes(first)), fits(u16::from_be_bytes(first))) {
        (true, _) => u16::from_le_bytes,
        (false, true) => u16::from_be_bytes,
        (false, false) => return Err(Malformed::LinkInvalid.into()),
    };
    let (payload, kind) = attribute_walk(attributes, read)?;
    let layer = match (family, kind) {
        (IPV4, _) => Layer::Ip(Version::Four),
        (IPV6, _) => Layer::Ip(Version::Six),
        (_, Some(kind @ 0x0600..)) if kind != ether_type::ETHERNET => Layer::EtherType(kind),
        _ => return Err(NotIp::Nflog.into()),
    };
    Ok((layer, payload))
}

/// The payload among Netfilter log attributes, and the EtherType that the kernel noted before it.
fn attribute_walk(mut span: Span<'_>, read: fn([u8; 2]) -> u16) -> Result<(Span<'_>, Option<u16>), Reject> {
    const PACKET_HEADER: u16 = 1;
    const PAYLOAD: u16 = 9;

    let mut kind = None;
    while !span.bytes().is_empty() {
        let length = usize::from(read(span.array(0).ok_or(Malformed::LinkTruncated)?));
        // The upper two bits are flags.
        let attribute = read(span.array(2).ok_or(Malformed::LinkTruncated)?) & 0x3fff;
        if length < 4 {
            return Err(Malformed::LinkInvalid.into());
        }
        match attribute {
            PAYLOAD => return Ok((skip(span, 4)?.first(length - 4), kind)),
            // Its own fields are in network order whatever the machine.
            PACKET_HEADER if length >= 8 => kind = span.u16(4),
            _ => {}
        }
        // The last attribute may lack its padding.
        let padded = length.next_multiple_of(4);
        match span.skip(padded) {
            Some(rest) => span = rest,
            None if span.bytes().len() >= length => break,
            None => return Err(Malformed::LinkTruncated.into()),
        }
    }
    Err(NotIp::Nflog.into())
}
