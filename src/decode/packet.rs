//! The decoded packet: a small copyable value, and where in its frame things are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capture::LinkType;
use crate::time::Timestamp;

/// IP protocol numbers that the engine knows by name.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// TCP flag bits as in the header's 14th byte (RFC 9293, section 3.1).
pub mod tcp_flag {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// ACK.
    pub const ACK: u8 = 0x10;

    /// SYN, ACK, RST and FIN as four counts of 16 bits, so that one addition counts all four.
    #[inline(always)]
    #[must_use]
    pub const fn lanes(flags: u8) -> u64 {
        LANES[(flags & 31) as usize]
    }

    const LANES: [u64; 32] = {
        let mut lanes = [0; 32];
        let mut flags = 0;
        while flags < 32u8 {
            let [syn, ack, rst, fin] = [flags & SYN != 0, flags & ACK != 0, flags & RST != 0, flags & FIN != 0];
            lanes[flags as usize] = syn as u64 | (ack as u64) << 16 | (rst as u64) << 32 | (fin as u64) << 48;
            flags += 1;
        }
        lanes
    };
}

/// What a packet's payload tells of who asks and who answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Asks {
    /// It does not tell.
    #[default]
    Unknown = 0,
    /// The sender asks: an ICMP or ICMPv6 echo request, or a DNS, mDNS or LLMNR query (QR bit clear).
    Sender = 1,
    /// The receiver asked: a DNS, mDNS or LLMNR response (QR bit set).
    Receiver = 2,
}

/// Whether a packet is part of a fragmented datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Fragment {
    /// Not fragmented.
    #[default]
    Whole = 0,
    /// The first fragment: it has the transport header.
    First = 1,
    /// A later fragment: it has no ports of its own.
    Later = 2,
}

/// The innermost tunnel that a packet was taken out of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tunnel {
    /// None: the packet's IP header is the frame's first.
    #[default]
    None = 0,
    /// IP in IP: IPv4 or IPv6 directly inside IPv4 or IPv6, but for 6in4.
    IpInIp = 1,
    /// IPv6 inside IPv4, protocol 41 (RFC 4213).
    SixInFour = 2,
    /// GRE (RFC 2784, 2890) and its PPTP form (RFC 2637).
    Gre = 3,
    /// ERSPAN types I to III.
    Erspan = 4,
    /// VXLAN (RFC 7348).
    Vxlan = 5,
    /// Geneve (RFC 8926).
    Geneve = 6,
    /// GTP-U version 1 (3GPP TS 29.281).
    GtpU = 7,
    /// Teredo (RFC 4380).
    Teredo = 8,
    /// L2TP version 2 data (RFC 2661).
    L2tp = 9,
}

impl Tunnel {
    /// Every kind, `None` first; a kind's index is its number.
    pub const ALL: [Tunnel; 10] = [
        Tunnel::None,
        Tunnel::IpInIp,
        Tunnel::SixInFour,
        Tunnel::Gre,
        Tunnel::Erspan,
        Tunnel::Vxlan,
        Tunnel::Geneve,
        Tunnel::GtpU,
        Tunnel::Teredo,
        Tunnel::L2tp,
    ];

    /// The name used in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Tunnel::None => "none",
            Tunnel::IpInIp => "ip_in_ip",
            Tunnel::SixInFour => "6in4",
            Tunnel::Gre => "gre",
            Tunnel::Erspan => "erspan",
            Tunnel::Vxlan => "vxlan",
            Tunnel::Geneve => "geneve",
            Tunnel::GtpU => "gtp_u",
            Tunnel::Teredo => "teredo",
            Tunnel::L2tp => "l2tp",
        }
    }
}

/// One IP packet of a capture, decoded.
///
/// Addresses, ports and flags are those of the innermost IP header that was followed. Lengths come from
/// headers, so a capture cut at a snap length keeps its true byte counts. The offsets say where the headers
/// lie in the frame, for views that want a field which is not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Source address: an IPv4 address in the low 32 bits, or an IPv6 address; `v6` says which.
    pub src: u128,
    /// Destination address, as `src`.
    pub dst: u128,
    /// When the frame was captured.
    pub time: Timestamp,
    /// Offset of the frame in its batch's bytes.
    pub frame: u32,
    /// Captured bytes of the whole frame.
    pub captured: u32,
    /// Wire bytes of the whole frame.
    pub wire: u32,
    /// Bytes of the IP packet by its header, IP header included, but no more than the frame had left on the wire; all of that
    /// where the header says 0, as in jumbograms and offloaded segments.
    pub ip_length: u32,
    /// Bytes of transport payload by the headers; may exceed what was captured. 0 for later fragments, and for TCP
    /// whose data offset was not captured or is wrong.
    pub payload_length: u32,
    /// Source port; 0 where the protocol has none or the packet is a later fragment. SCTP ports count.
    pub src_port: u16,
    /// Destination port, as `src_port`.
    pub dst_port: u16,
    /// Offset of the innermost IP header from the frame's start.
    pub ip_offset: u16,
    /// Offset of the transport header from the frame's start.
    pub transport_offset: u16,
    /// Offset of the transport payload from the frame's start; that of the transport header where its length is unknown.
    pub payload_offset: u16,
    /// IP protocol number after extension headers.
    pub protocol: u8,
    /// TCP flags (the header's 14th byte); 0 when `has_flags` is false.
    pub tcp_flags: u8,
    /// The addresses are IPv6.
    pub v6: bool,
    /// It is TCP and its flags were captured, behind a data offset of at least 5.
    pub has_flags: bool,
    /// Part of a fragmented datagram.
    pub fragment: Fragment,
    /// What the payload tells of the roles.
    pub asks: Asks,
    /// The innermost tunnel it was taken out of.
    pub tunnel: Tunnel,
    /// Offset of that tunnel's header from the frame's start; 0 without one.
    pub tunnel_offset: u16,
    /// VLAN number of the last tag in front of the outermost IP header, whatever else lies between; below 4,096.
    pub vlan: Option<u16>,
    /// What the frame begins with.
    pub link: LinkType,
}

impl Packet {
    /// Source address.
    #[must_use]
    pub fn src_ip(&self) -> IpAddr {
        address(self.src, self.v6)
    }

    /// Destination address.
    #[must_use]
    pub fn dst_ip(&self) -> IpAddr {
        address(self.dst, self.v6)
    }

    /// The number by which the innermost tunnel tells its networks or sessions apart, given the captured bytes of this
    /// packet's frame: the VNI of VXLAN and Geneve, the TEID of GTP-U, the key of GRE (of PPTP the call), the session of ERSPAN,
    /// of L2TP `tunnel << 16 | session`. Nothing where the tunnel has none.
    #[must_use]
    pub fn tunnel_id(&self, frame: &[u8]) -> Option<u32> {
        super::tunnel::id(self.tunnel, frame.get(usize::from(self.tunnel_offset)..)?)
    }

    /// Captured transport payload, given the captured bytes of this packet's frame; link-layer padding is left out.
    #[must_use]
    pub fn payload<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        let start = self.payload_offset as usize;
        let end = start.saturating_add(self.payload_length as usize).min(frame.len());
        frame.get(start..end).unwrap_or_default()
    }
}

/// An address out of its integer form: IPv4 in the low 32 bits, or IPv6.
#[must_use]
pub fn address(bits: u128, v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(Ipv6Addr::from_bits(bits)) } else { IpAddr::V4(Ipv4Addr::from_bits(bits as u32)) }
}
