//! IPv4 and IPv6 headers, with the extension headers up to the transport header.
//!
//! Single headers are sliced by etherparse. The walk over them is ours, because etherparse's own
//! (`LaxIpSlice::from_slice`) differs from what a capture needs: it reads on behind the header of a later fragment,
//! where there is only data; stops at a hop-by-hop header that is not the first; follows one authentication header
//! in IPv4 but any number in IPv6, without a bound; and takes an IPv4 total length below the header length for a
//! packet that reaches to the end of the frame.
//!
//! A packet ends where its header says, or where the layers around it end on the wire, whichever comes first. A snap length
//! cuts neither. Believed, a greater length would be payload that nobody sent, and what is sent after it a repetition.

use etherparse::err::ipv4::HeaderError as V4Content;
use etherparse::err::{ipv4::HeaderSliceError as V4Error, ipv6::HeaderSliceError as V6Error};
use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
    ip_number,
};

use super::layer::Version;
use super::packet::Fragment;
use super::reject::Malformed;
use super::span::Span;

/// Extension headers that are followed in one packet. Stacks of a hundred occur in real test traffic; the walk is linear
/// in the frame in any case.
pub(in crate::decode) const MAX_EXTENSIONS: usize = 128;

/// An IP packet whose headers were read up to the transport header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip<'f> {
    /// Source, in the integer form of [`Packet`](super::Packet).
    pub(super) src: u128,
    /// Destination.
    pub(super) dst: u128,
    /// It is IPv6.
    pub(super) v6: bool,
    /// Protocol number after the extension headers.
    pub(super) protocol: u8,
    /// Part of a fragmented datagram.
    pub(super) fragment: Fragment,
    /// Offset of the IP header from the frame's start.
    pub(super) offset: usize,
    /// Bytes of the packet on the wire, the header included.
    pub(super) length: usize,
    /// What follows the IP headers, up to the packet's end.
    pub(super) rest: Span<'f>,
}

/// Reads the IP packet at the start of `span`.
pub(super) fn read(version: Version, span: Span<'_>) -> Result<Ip<'_>, Malformed> {
    let nibble = span.u8(0).ok_or(Malformed::IpTruncated)? >> 4;
    match (version, nibble) {
        (Version::Four | Version::Either, 4) => read_v4(span),
        (Version::Six | Version::Either, 6) => read_v6(span),
        (Version::Either, _) => Err(Malformed::IpTruncated),
        _ => Err(Malformed::IpVersion),
    }
}

fn read_v4(span: Span<'_>) -> Result<Ip<'_>, Malformed> {
    let header = Ipv4HeaderSlice::from_slice(span.bytes()).map_err(|error| match error {
        V4Error::Len(_) => Malformed::IpTruncated,
        V4Error::Content(V4Content::UnexpectedVersion { .. }) => Malformed::IpVersion,
        V4Error::Content(V4Content::HeaderLengthSmallerThanHeader { .. }) => Malformed::IpLength,
    })?;
    let header_length = header.slice().len();
    let length = match usize::from(header.total_len()) {
        // A segment that the network card was to cut up, captured before it did.
        0 => span.wire(),
        length if length < header_length => return Err(Malformed::IpLength),
        length => length.min(span.wire()),
    };
    let fragment = fragment(header.fragments_offset().value(), header.more_fragments());
    let rest = span.first(length).skip(header_length).ok_or(Malformed::IpTruncated)?;
    let mut ip = Ip {
        src: u32::from_be_bytes(header.source()).into(),
        dst: u32::from_be_bytes(header.destination()).into(),
        v6: false,
        protocol: header.protocol().0,
        fragment,
        offset: span.start(),
        length,
        rest,
    };
    if fragment != Fragment::Later {
        ip.follow_extensions(|number| number == ip_number::AUTH)?;
    }
    Ok(ip)
}

fn read_v6(span: Span<'_>) -> Result<Ip<'_>, Malformed> {
    let header = Ipv6HeaderSlice::from_slice(span.bytes()).map_err(|error| match error {
        V6Error::Len(_) => Malformed::IpTruncated,
        V6Error::Content(_) => Malformed::IpVersion,
    })?;
    let header_length = header.slice().len();
    let length = match (usize::from(header.payload_length()), header.next_header()) {
        (0, ip_number::IPV6_NO_NEXT_HEADER) => header_length,
        // A jumbogram (RFC 2675), or a segment captured before the network card cut it up.
        (0, _) => span.wire(),
        (payload, _) => (header_length + payload).min(span.wire()),
    };
    let mut ip = Ip {
        src: u128::from_be_bytes(header.source()),
        dst: u128::from_be_bytes(header.destination()),
        v6: true,
        protocol: header.next_header().0,
        fragment: Fragment::Whole,
        offset: span.start(),
        length,
        rest: span.first(length).skip(header_length).ok_or(Malformed::IpTruncated)?,
    };
    ip.follow_extensions(|number| {
        matches!(
            number,
            ip_number::IPV6_HOP_BY_HOP
                | ip_number::IPV6_ROUTE
                | ip_number::IPV6_FRAG
                | ip_number::IPV6_DEST_OPTIONS
                | ip_number::AUTH
                | ip_number::SHIM6
        )
    })?;
    Ok(ip)
}

impl Ip<'_> {
    /// Steps over the headers that `is_extension` names, and stops behind the fragment header of a later fragment:
    /// what follows there is data.
    fn follow_extensions(&mut self, is_extension: impl Fn(IpNumber) -> bool) -> Result<(), Malformed> {
        for _ in 0..=MAX_EXTENSIONS {
            let number = IpNumber(self.protocol);
            if self.fragment == Fragment::Later || !is_extension(number) {
                return Ok(());
            }
            let bytes = self.rest.bytes();
            let (next, length) = match number {
                ip_number::AUTH => {
                    let header = IpAuthHeaderSlice::from_slice(bytes).map_err(|_| Malformed::IpExtension)?;
                    (header.next_header(), header.slice().len())
                }
                ip_number::IPV6_FRAG => {
                    let header = Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| Malformed::IpExtension)?;
                    // A second fragment header must not make a fragment whole again.
                    match fragment(header.fragment_offset().value(), header.more_fragments()) {
                        Fragment::Whole => {}
                        part => self.fragment = part,
                    }
                    (header.next_header(), header.slice().len())
                }
                _ => {
                    let header = Ipv6RawExtHeaderSlice::from_slice(bytes).map_err(|_| Malformed::IpExtension)?;
                    (header.next_header(), header.slice().len())
                }
            };
            self.protocol = next.0;
            self.rest = self.rest.skip(length).ok_or(Malformed::IpExtension)?;
        }
        Err(Malformed::IpExtensionDepth)
    }
}

fn fragment(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        _ => Fragment::Later,
    }
}
