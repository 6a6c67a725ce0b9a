//! What of a packet is counted, the same for buckets of every width.

use super::dns::{self, Messages};
use super::row::{Counts, Way};
use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol, tcp_flag};

/// Kinds of packets: their traits below, all that can be told together.
const KINDS: usize = 32;

/// TCP, UDP, ICMP and others are the lowest two bits of a kind.
const PROTOCOL: usize = 3;
const IPV6: usize = 4;
const VLAN: usize = 8;
const LATER: usize = 16;

/// Flags of TCP that are counted.
const FLAGS: u8 = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'p> {
    packet: &'p Packet,
    pub(super) way: Way,
    bytes: u32,
    dns: Messages,
}

impl<'p> Seen<'p> {
    #[inline]
    pub(super) fn of<'f>(packet: &'p Packet, frame: impl Fn() -> &'f [u8], way: Way, bytes: u32) -> Seen<'p> {
        let dns = if dns::may_have(packet) { dns::messages(packet, frame()) } else { Messages::default() };
        Seen { packet, way, bytes, dns }
    }

    /// The destination.
    #[inline]
    pub(super) fn dst(&self) -> u128 {
        self.packet.dst
    }

    /// The destination port, with its protocol above.
    #[inline]
    pub(super) fn dst_port(&self) -> Option<u32> {
        let Packet { protocol, dst_port, fragment, .. } = *self.packet;
        let has_ports = matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP);
        (has_ports && fragment != Fragment::Later).then_some(u32::from(protocol) << 16 | u32::from(dst_port))
    }

    #[inline]
    fn kind(&self) -> usize {
        let packet = self.packet;
        let one = |is, bit| if is { bit } else { 0 };
        usize::from(PROTOCOLS[usize::from(packet.protocol)])
            | one(packet.v6, IPV6)
            | one(packet.vlan.is_some(), VLAN)
            | one(packet.fragment == Fragment::Later, LATER)
    }
}

/// What protocols are in a kind.
const PROTOCOLS: [u8; 256] = {
    let mut kinds = [3; 256];
    kinds[protocol::TCP as usize] = 0;
    kinds[protocol::UDP as usize] = 1;
    kinds[protocol::ICMP as usize] = 2;
    kinds[protocol::ICMPV6 as usize] = 2;
    kinds
};

/// What is counted of packets, without what is counted of their distinct destinations.
#[derive(Debug)]
pub(super) struct Tally {
    /// Packets by way and kind.
    packets: [[u64; KINDS]; 4],
    /// Bytes, flags and DNS.
    counts: Counts,
    is_empty: bool,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { packets: [[0; KINDS]; 4], counts: Counts::default(), is_empty: true }
    }
}

impl Tally {
    #[inline]
    pub(super) fn add(&mut self, seen: &Seen<'_>) {
        self.is_empty = false;
        let way = seen.way as usize;
        self.packets[way][seen.kind() % KINDS] += 1;
        self.counts.bytes[way] += u64::from(seen.bytes);
        // Only TCP whose flags were captured has some.
        let flags = seen.packet.tcp_flags;
        if flags & FLAGS != 0 {
            let [syn, ack, fin, rst] =
                [tcp_flag::SYN, tcp_flag::ACK, tcp_flag::FIN, tcp_flag::RST].map(|flag| u64::from(flags & flag != 0));
            self.counts.syn += syn & !ack;
            self.counts.syn_ack += syn & ack;
            self.counts.fin += fin;
            self.counts.rst += rst;
        }
        if seen.dns != Messages::default() {
            self.counts.dns_queries += u64::from(seen.dns.queries);
            self.counts.dns_responses += u64::from(seen.dns.responses);
            self.counts.dns_nxdomain += u64::from(seen.dns.nxdomain);
        }
    }

    /// What it has counted, if anything; it is as new then.
    pub(super) fn take(&mut self) -> Option<Counts> {
        if self.is_empty {
            return None;
        }
        let Tally { packets, mut counts, .. } = std::mem::take(self);
        for (of_way, packets) in counts.packets.iter_mut().zip(packets) {
            for (kind, packets) in packets.into_iter().enumerate().filter(|(_, packets)| *packets > 0) {
                *of_way += packets;
                let of_protocol = match kind & PROTOCOL {
                    0 => &mut counts.tcp,
                    1 => &mut counts.udp,
                    2 => &mut counts.icmp,
                    _ => &mut counts.other,
                };
                *of_protocol += packets;
                for (bit, of_trait) in
                    [(IPV6, &mut counts.ipv6), (VLAN, &mut counts.vlan), (LATER, &mut counts.fragments)]
                {
                    *of_trait += if kind & bit == 0 { 0 } else { packets };
                }
            }
        }
        Some(counts)
    }
}
