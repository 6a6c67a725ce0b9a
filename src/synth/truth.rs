//! What was made, counted while it was made.

use std::net::IpAddr;

use serde::Serialize;

/// What a capture holds. Packets are frames; fields that count packets say so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Frames.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
    /// Their bytes in the capture.
    pub captured_bytes: u64,
    /// Start of the first hour, in seconds since the epoch.
    pub start: u32,
    /// End of the last hour.
    pub end: u32,
    /// Distinct bidirectional 5-tuples, protocol number included.
    pub five_tuples: u64,
    /// TCP packets.
    pub tcp_packets: u64,
    /// UDP packets, first fragments included.
    pub udp_packets: u64,
    /// Later fragments.
    pub fragment_packets: u64,
    /// Packets of other IP protocols.
    pub other_packets: u64,
    /// IPv6 packets.
    pub ipv6_packets: u64,
    /// Frames with a VLAN tag.
    pub vlan_packets: u64,
    /// ARP frames.
    pub arp_packets: u64,
    /// LLDP frames.
    pub lldp_packets: u64,
    /// Frames cut inside the IP header.
    pub cut_packets: u64,
    /// What was said in them.
    #[serde(flatten)]
    pub said: Said,
    /// Scanners, in order of their addresses.
    pub scanners: Vec<Scanner>,
}

/// What applications said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    /// HTTP requests.
    pub http_requests: u64,
    /// HTTP requests whose target is an attack (SQL injection, path traversal).
    pub http_attacks: u64,
    /// DNS queries.
    pub dns_queries: u64,
    /// Sessions that look like TLS.
    pub tls_sessions: u64,
    /// SMB2 sessions.
    pub smb_sessions: u64,
    /// SMB2 requests.
    pub smb_requests: u64,
    /// SSH sessions.
    pub ssh_sessions: u64,
    /// Voice calls over RTP.
    pub calls: u64,
    /// FTP logins.
    pub ftp_logins: u64,
    /// NTP requests.
    pub ntp_requests: u64,
    /// Conversations of ICMP echoes.
    pub pings: u64,
}

/// The shape of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanKind {
    /// One port on many hosts.
    Horizontal,
    /// Many ports on one host.
    Vertical,
}

/// A scanner and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scanner {
    /// Its address.
    pub src_ip: IpAddr,
    /// The shape of its scan, over TCP and within one hour.
    pub kind: ScanKind,
    /// Targets (addresses and ports) it probed, each once.
    pub targets: u64,
    /// Targets that answered with SYN+ACK.
    pub answered: Vec<(IpAddr, u16)>,
    /// The answered target that it then logged into.
    pub login: Option<(IpAddr, u16)>,
    /// Packets with the targets that answered, logins included: a summary does not stand for them.
    pub answered_packets: u64,
    /// All its packets, in both directions.
    pub packets: u64,
}
