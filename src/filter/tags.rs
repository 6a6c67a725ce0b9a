//! What the link header in front of the first IP header says: EtherType and VLAN tags.

use crate::capture::LinkType;

/// EtherTypes of VLAN tags: IEEE 802.1Q, 802.1ad, and two that came before it.
const TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

/// Tags that are looked at.
const MOST: usize = 8;

/// The EtherType field of a frame and where what it announces begins; for Ethernet and both Linux cooked link types.
fn announced(link: LinkType, frame: &[u8]) -> Option<(u16, usize)> {
    let (at, end) = match link.0 {
        1 => (12, 14),
        113 => (14, 16),
        276 => (0, 20),
        _ => return None,
    };
    Some((u16_at(frame, at)?, end))
}

/// The EtherType of a frame; of a tagged one, the tag's.
pub(super) fn ether_type(link: LinkType, frame: &[u8]) -> Option<u16> {
    announced(link, frame).map(|(ether_type, _)| ether_type)
}

/// The VLAN identifiers of a frame, outermost first.
pub(super) fn vlans(link: LinkType, frame: &[u8]) -> impl Iterator<Item = u16> {
    let mut next = announced(link, frame);
    std::iter::from_fn(move || {
        let (ether_type, at) = next?;
        if !TAGS.contains(&ether_type) {
            return None;
        }
        let tag = u16_at(frame, at)?;
        next = u16_at(frame, at + 2).map(|ether_type| (ether_type, at + 4));
        Some(tag & 0x0fff)
    })
    .take(MOST)
}

fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
