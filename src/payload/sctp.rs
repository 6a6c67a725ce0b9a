//! SCTP: which chunks were exchanged (RFC 9260, section 3.2).

use super::fields::{Fields, Limits};

/// The kinds of chunks of a flow, in order of their first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sctp {
    /// Chunk type, and how many there were.
    pub chunks: Vec<(u8, u32)>,
}

/// Notes the chunks of a packet.
pub(super) fn note(mut chunks: &[u8], fields: &mut Fields, limits: &Limits) {
    while let Some(&[kind, _, high, low]) = chunks.first_chunk() {
        let known = fields.sctp.as_mut().and_then(|sctp| sctp.chunks.iter_mut().find(|seen| seen.0 == kind));
        if let Some(seen) = known {
            seen.1 = seen.1.saturating_add(1);
        } else if fields.room(limits) {
            fields.sctp.get_or_insert_default().chunks.push((kind, 1));
        }
        // A length below the header's own is a lie, and the next chunk cannot be found.
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 4 {
            return;
        }
        chunks = chunks.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}
