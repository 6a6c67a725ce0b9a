//! Long headers (RFC 8999, section 5.1; RFC 9000, section 17.2) and the frames of Initial packets.

/// A QUIC version by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// QUIC version 1 (RFC 9000).
    pub const V1: Version = Version(1);
    /// QUIC version 2 (RFC 9369).
    pub const V2: Version = Version(0x6b33_43cf);

    /// A version that was ever spoken: 1, 2, the IETF's drafts from 23 on, and mvfst's.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(self.0, 1 | 0x6b33_43cf | 0xff00_0017..=0xff00_0022 | 0xface_b000..=0xface_b00f)
    }

    /// Its name, such as `1`, `2` or `draft-29`; hexadecimal digits where it has none.
    #[must_use]
    pub fn name(self) -> String {
        match self.0 {
            1 => "1".to_owned(),
            0x6b33_43cf => "2".to_owned(),
            draft @ 0xff00_0000..=0xff00_00ff => format!("draft-{}", draft & 0xff),
            other => format!("0x{other:08x}"),
        }
    }
}

/// The header of a packet with a long header, its length read where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader<'p> {
    /// Version.
    pub version: Version,
    /// Destination connection id.
    pub destination: &'p [u8],
    /// Source connection id.
    pub source: &'p [u8],
    /// Offset of the packet number; 0 in packets that have none.
    pub number_at: usize,
    /// Offset of the end of the packet in its datagram.
    pub end: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    /// Retry, version negotiation: the rest of the datagram.
    Other,
}

/// The longest connection id of the versions that are known (RFC 9000, section 17.2).
const MAX_ID: u8 = 20;

impl<'p> LongHeader<'p> {
    /// Reads the long header at the start of a packet; nothing where there is none.
    #[must_use]
    pub fn read(packet: &'p [u8]) -> Option<LongHeader<'p>> {
        let (&first, rest) = packet.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let version = Version(u32::from_be_bytes(*version));
        let (destination, rest) = id(rest)?;
        let (source, mut rest) = id(rest)?;
        // The fixed bit may be greased (RFC 9287), but not in a client's first packet.
        if first & 0x80 == 0 {
            return None;
        }
        let kind = match ((first >> 4) & 3, version) {
            (_, Version(0)) => Kind::Other,
            (0, Version::V2) => Kind::Other,
            (kind, Version::V2) => [Kind::Initial, Kind::ZeroRtt, Kind::Handshake][usize::from(kind) - 1],
            (3, _) => Kind::Other,
            (kind, _) => [Kind::Initial, Kind::ZeroRtt, Kind::Handshake][usize::from(kind)],
        };
        let mut header = LongHeader { version, destination, source, number_at: 0, end: packet.len(), kind };
        if kind == Kind::Other || !version.is_known() {
            return Some(header);
        }
        if kind == Kind::Initial {
            let (token, after) = varint(rest)?;
            rest = after.get(usize::try_from(token).ok()?..)?;
        }
        let (length, rest) = varint(rest)?;
        header.number_at = packet.len() - rest.len();
        header.end = header.number_at.checked_add(usize::try_from(length).ok()?).filter(|&end| end <= packet.len())?;
        Some(header)
    }

    /// Whether it is an Initial packet.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        self.kind == Kind::Initial
    }
}

fn id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    if length > MAX_ID { None } else { rest.split_at_checked(usize::from(length)) }
}

/// A variable-length integer (RFC 9000, section 16), and what follows.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, _) = bytes.split_first()?;
    let (number, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let value = number[1..].iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte));
    Some((value, rest))
}

/// Hands over offset and bytes of each CRYPTO frame of an Initial packet's payload (RFC 9000, section 19). Ends at a frame
/// that may not be there.
pub(super) fn each_crypto(mut payload: &[u8], mut each: impl FnMut(u64, &[u8])) {
    while let Some((&kind, rest)) = payload.split_first() {
        let after = match kind {
            // PADDING and PING.
            0 | 1 => Some(rest),
            2 | 3 => ack(rest, kind == 3),
            6 => (|| {
                let (offset, rest) = varint(rest)?;
                let (length, rest) = varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                each(offset, bytes);
                Some(rest)
            })(),
            _ => None,
        };
        let Some(after) = after else { return };
        payload = after;
    }
}

/// Steps over the body of an ACK frame.
fn ack(body: &[u8], with_ecn: bool) -> Option<&[u8]> {
    let (_largest, rest) = varint(body)?;
    let (_delay, rest) = varint(rest)?;
    let (ranges, rest) = varint(rest)?;
    let (_first, mut rest) = varint(rest)?;
    let counts = if with_ecn { 3 } else { 0 };
    // Each range takes bytes, so a lying count ends with the payload.
    for _ in 0..ranges.checked_mul(2)?.checked_add(counts)? {
        rest = varint(rest)?.1;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_the_standard() {
        // RFC 9000, appendix A.1.
        let of = |hex: &[u8]| varint(hex).map(|(value, rest)| (value, rest.len()));
        assert_eq!(of(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]), Some((151_288_809_941_952_652, 0)));
        assert_eq!(of(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 0)));
        assert_eq!(of(&[0x7b, 0xbd, 9]), Some((15_293, 1)));
        assert_eq!(of(&[0x25]), Some((37, 0)));
        assert_eq!(of(&[0x40]), None);
    }

    #[test]
    fn frames_end_at_one_that_lies() {
        let mut found = Vec::new();
        let frames = [0, 0, 1, 2, 5, 0, 1, 0, 0, 0, 6, 3, 2, b'a', b'b', 6, 0, 9, b'c'];
        each_crypto(&frames, |offset, bytes| found.push((offset, bytes.to_vec())));
        assert_eq!(found, [(3, b"ab".to_vec())]);
    }
}
