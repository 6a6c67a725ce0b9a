//! What makes flows of packets.

use super::{Hosts, Packet, TimelineSink};
use crate::error::Result;

/// A state machine over all packets of a run, in their order. Every packet that it takes reaches the sink before anything that
/// comes of it.
pub trait Machine {
    /// Takes a packet, TCP or not.
    ///
    /// # Errors
    /// The sink's.
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()>;

    /// There are no more packets: ends the flows that are open. [`TimelineSink::finish`] stays to be called.
    ///
    /// # Errors
    /// As [`Machine::packet`].
    fn finish(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()>;
}
