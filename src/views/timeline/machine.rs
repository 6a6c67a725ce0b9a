//! What makes flows of packets.

use super::{Hosts, Packet, TimelineSink};
use crate::error::Result;

/// A state machine over all packets of a run, which hands what it sees to a sink.
pub trait Machine {
    /// Takes the next packet, TCP or not, in the order of the capture; hands it to the sink, then the flows that are over.
    ///
    /// # Errors
    /// What the sink says, and when what has to wait cannot be stored.
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()>;

    /// There are no more: hands over the flows that are left. The sink's own [finish](TimelineSink::finish) is the caller's to call.
    ///
    /// # Errors
    /// As [`Machine::packet`].
    fn finish(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()>;
}
