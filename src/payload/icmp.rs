//! ICMP and ICMPv6: which messages were exchanged.

use super::fields::{Fields, Limits};

/// The kinds of messages of a flow, in order of their first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Icmp {
    /// Type, code, and how many messages had them.
    pub kinds: Vec<(u8, u8, u32)>,
}

/// Notes a message.
pub(super) fn note(message: &[u8], fields: &mut Fields, limits: &Limits) {
    let Some(&[kind, code]) = message.first_chunk() else { return };
    let known =
        fields.icmp.as_mut().and_then(|icmp| icmp.kinds.iter_mut().find(|seen| (seen.0, seen.1) == (kind, code)));
    if let Some(seen) = known {
        seen.2 = seen.2.saturating_add(1);
    } else if fields.room(limits) {
        fields.icmp.get_or_insert_default().kinds.push((kind, code, 1));
    }
}
