//! From a stored frame to a [`Packet`], or to the [`Reject`] that says why it is none.
//!
//! The decoder follows every header that leads to IP, then every tunnel whose headers check out, and keeps the
//! innermost IP packet. It promises, for any bytes: no panic, no allocation, time linear in the headers, and never
//! to lose a sound outer packet to an unsound inner one. It does not verify checksums, reassemble, or follow the
//! headers that an ICMP error quotes.

pub mod fragment;
pub mod packet;
pub mod reject;

mod fast;
mod general;
mod ip;
mod layer;
mod link;
mod pair_hash;
mod span;
mod transport;
mod tunnel;

use crate::capture::{LinkType, Record, Stamp};

pub use packet::Packet;
pub use pair_hash::PairSeed;
pub use reject::Reject;

use reject::Malformed;

/// Which IP header's addresses make the packet, where one lies inside another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnels {
    /// The innermost that checks out.
    #[default]
    Inner,
    /// The outermost: no tunnel is followed. Link layers (VLAN, MPLS, PPPoE) still are.
    Outer,
}

/// Turns frames into packets.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    tunnels: Tunnels,
}

impl Decoder {
    /// A decoder that follows tunnels, or does not.
    #[must_use]
    pub fn new(tunnels: Tunnels) -> Decoder {
        Decoder { tunnels }
    }

    /// Decodes a frame. `frame` is the record's captured bytes.
    ///
    /// # Errors
    ///
    /// As [`Decoder::general`], which it agrees with on every frame.
    pub fn decode(&self, record: &Record, frame: &[u8]) -> Result<Packet, Reject> {
        let mut packet = Packet::default();
        self.decode_into(record, frame, &mut packet).map(|()| packet)
    }

    /// Decodes a frame into the place where its packet will stay, whatever that holds. After an error, what is there means
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Decoder::general`].
    #[inline(always)]
    pub(crate) fn decode_into(&self, record: &Record, frame: &[u8], packet: &mut Packet) -> Result<(), Reject> {
        if record.link == LinkType(1) && fast::ethernet(record, frame, self.tunnels, packet).is_some() {
            return Ok(());
        }
        *packet = self.general(record, frame)?;
        Ok(())
    }

    /// Decodes a frame of any supported link type. `frame` is the record's captured bytes.
    ///
    /// # Errors
    ///
    /// A [`Reject`] where the frame holds no IP packet, or none that can be told.
    pub fn general(&self, record: &Record, frame: &[u8]) -> Result<Packet, Reject> {
        if record.stamp == Stamp::Unrepresentable {
            return Err(Malformed::Time.into());
        }
        let packet = general::decode(record, frame, self.tunnels)?;
        Ok(Packet { link: record.link, ..packet })
    }
}

#[cfg(test)]
mod tests;
