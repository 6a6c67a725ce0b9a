//! Several sinks of one run.

use crate::error::Result;
use crate::views::timeline::{Flow, Hosts, Packet, TimelineSink};

/// Hands everything to each of several sinks, in their order, so that one pass writes several layouts. The first error ends it; sinks that
/// were finished before stay so.
#[derive(Default)]
pub struct Several<'s>(pub Vec<&'s mut dyn TimelineSink>);

impl TimelineSink for Several<'_> {
    fn packet(&mut self, packet: &Packet, hosts: &Hosts) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.packet(packet, hosts))
    }

    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.flow(flow, hosts))
    }

    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.finish(hosts))
    }
}
