//! What of a packet is counted, the same for buckets of every width.

use super::dns::{self, Messages};
use super::row::{Counts, Way};
use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol, tcp_flag};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) way: Way,
    pub(super) bytes: u32,
    pub(super) dst: u128,
    /// The destination port, with its protocol above.
    pub(super) dst_port: Option<u32>,
    /// Which of TCP, UDP, ICMP and others it is.
    kind: usize,
    v6: bool,
    vlan: bool,
    later: bool,
    /// SYN, SYN with ACK, FIN, RST.
    flags: [bool; 4],
    dns: Messages,
}

impl Seen {
    #[inline]
    pub(super) fn of(packet: &Packet, frame: &[u8], way: Way, bytes: u32) -> Seen {
        let later = packet.fragment == Fragment::Later;
        let has_ports = matches!(packet.protocol, protocol::TCP | protocol::UDP | protocol::SCTP) && !later;
        let flags = if packet.has_flags { packet.tcp_flags } else { 0 };
        let [syn, ack] = [tcp_flag::SYN, tcp_flag::ACK].map(|flag| flags & flag != 0);
        Seen {
            way,
            bytes,
            dst: packet.dst,
            dst_port: has_ports.then_some(u32::from(packet.protocol) << 16 | u32::from(packet.dst_port)),
            kind: match packet.protocol {
                protocol::TCP => 0,
                protocol::UDP => 1,
                protocol::ICMP | protocol::ICMPV6 => 2,
                _ => 3,
            },
            v6: packet.v6,
            vlan: packet.vlan.is_some(),
            later,
            flags: [syn && !ack, syn && ack, flags & tcp_flag::FIN != 0, flags & tcp_flag::RST != 0],
            dns: dns::messages(packet, frame),
        }
    }

    /// Adds it to what a bucket counts.
    #[inline]
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.packets[self.way as usize] += 1;
        counts.bytes[self.way as usize] += u64::from(self.bytes);
        let kind = match self.kind {
            0 => &mut counts.tcp,
            1 => &mut counts.udp,
            2 => &mut counts.icmp,
            _ => &mut counts.other,
        };
        *kind += 1;
        counts.ipv6 += u64::from(self.v6);
        counts.vlan += u64::from(self.vlan);
        counts.fragments += u64::from(self.later);
        let [syn, syn_ack, fin, rst] = self.flags.map(u64::from);
        counts.syn += syn;
        counts.syn_ack += syn_ack;
        counts.fin += fin;
        counts.rst += rst;
        counts.dns_queries += u64::from(self.dns.queries);
        counts.dns_responses += u64::from(self.dns.responses);
        counts.dns_nxdomain += u64::from(self.dns.nxdomain);
    }
}
