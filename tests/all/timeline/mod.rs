//! Timelines: the states of connections, the cut of flows, folders, and real captures.

mod tshark;

use pcap_compactor::Result;
use pcap_compactor::views::timeline::{Flow, Hosts, Packet, TimelineSink};

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) packets: Vec<Packet>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) hosts: Hosts,
    pub(crate) finished: usize,
}

impl TimelineSink for Said {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.packets.push(*packet);
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, _: &Hosts) -> Result<()> {
        self.flows.push(flow.clone());
        Ok(())
    }

    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.hosts = hosts.clone();
        self.finished += 1;
        Ok(())
    }
}
