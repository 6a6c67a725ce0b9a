//! Columns by what they are about.

/// Columns that go together, and are computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in Group::about")]
pub enum Group {
    Base,
    Link,
    Flags,
    Tcp,
    Times,
    FrameLen,
    IpLen,
    L4Len,
    PayloadLen,
    Iat,
    Window,
    Sequences,
    App,
    Tls,
    Http,
    Dns,
    Quic,
    Ssh,
    Ftp,
    Smtp,
    Imap,
    Pop,
    Icmp,
    Sctp,
}

impl Group {
    /// Every group, in the order of columns. Those from `App` on have columns only in builds that read payload.
    pub const ALL: [Group; 24] = [
        Group::Base,
        Group::Link,
        Group::Flags,
        Group::Tcp,
        Group::Times,
        Group::FrameLen,
        Group::IpLen,
        Group::L4Len,
        Group::PayloadLen,
        Group::Iat,
        Group::Window,
        Group::Sequences,
        Group::App,
        Group::Tls,
        Group::Http,
        Group::Dns,
        Group::Quic,
        Group::Ssh,
        Group::Ftp,
        Group::Smtp,
        Group::Imap,
        Group::Pop,
        Group::Icmp,
        Group::Sctp,
    ];

    /// Its name behind the `@`, and what it holds.
    #[must_use]
    pub const fn about(self) -> (&'static str, &'static str) {
        match self {
            Group::Base => ("base", "who talked to whom, when and how much"),
            Group::Link => ("link", "VLAN, tunnel, ICMP, time to live"),
            Group::Flags => ("flags", "packets with each TCP flag"),
            Group::Tcp => ("tcp", "TCP windows, handshake and sequence analysis"),
            Group::Times => ("times", "further times"),
            Group::FrameLen => ("frame_len", "statistics of frame lengths"),
            Group::IpLen => ("ip_len", "statistics of IP lengths"),
            Group::L4Len => ("l4_len", "statistics of transport lengths"),
            Group::PayloadLen => ("payload_len", "statistics of payload lengths"),
            Group::Iat => ("iat", "statistics of inter-arrival times"),
            Group::Window => ("window", "statistics of TCP windows"),
            Group::Sequences => ("sequences", "packets one by one, with --sequences"),
            Group::App => ("app", "which protocols payload is of; `@app` also stands for all groups below"),
            Group::Tls => ("tls", "TLS and DTLS, also inside QUIC: hellos, fingerprints, certificates"),
            Group::Http => ("http", "HTTP/1 requests and responses"),
            Group::Dns => ("dns", "DNS, mDNS and LLMNR names and answers"),
            Group::Quic => ("quic", "QUIC's version"),
            Group::Ssh => ("ssh", "SSH identifications"),
            Group::Ftp => ("ftp", "FTP greeting and commands"),
            Group::Smtp => ("smtp", "SMTP greeting and commands"),
            Group::Imap => ("imap", "IMAP greeting and commands"),
            Group::Pop => ("pop", "POP3 greeting and commands"),
            Group::Icmp => ("icmp", "types and codes of all ICMP and ICMPv6 messages"),
            Group::Sctp => ("sctp", "types of SCTP chunks"),
        }
    }

    /// Whether its columns are of what payload says.
    #[must_use]
    pub fn is_payload(self) -> bool {
        self >= Group::App
    }

    pub(super) fn is_statistics(self) -> bool {
        self >= Group::FrameLen && self <= Group::Window
    }
}
