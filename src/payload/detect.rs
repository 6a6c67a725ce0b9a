//! Which protocol payload belongs to, by its first bytes; a port where they leave it open.

use super::commands::{self, Kind};
use super::protocol::{Datagrams, Dialogue};
use super::segment::Segment;
use super::{dns, http, quic, ssh, tls};
use crate::decode::packet::protocol;

/// What bytes look like.
#[derive(Debug)]
pub(super) enum Verdict<T> {
    /// This protocol.
    Is(T),
    /// One of several, or none: there are too few bytes to tell.
    Unsure,
    /// None of those that are read.
    No,
}

/// Ports that only hint at a protocol: they decide where content fits several, and let a short beginning wait for more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    dns: bool,
    commands: Option<Kind>,
}

impl Hint {
    pub(super) fn of(segment: &Segment<'_>) -> Hint {
        Hint {
            dns: dns::PORTS.iter().any(|&port| segment.at(port)),
            commands: Kind::ALL.into_iter().find(|kind| kind.ports().iter().any(|&port| segment.at(port))),
        }
    }
}

/// What the bytes of a TCP connection's direction look like, from their first on.
pub(super) fn stream(bytes: &[u8], hint: Hint) -> Verdict<Dialogue> {
    let mut unsure = false;
    let mut check = |begins: Option<bool>| {
        unsure |= begins.is_none();
        begins == Some(true)
    };
    // The first byte alone settles most.
    match bytes.first() {
        None => return Verdict::Unsure,
        Some(0x16) if check(tls::begins(bytes)) => return Verdict::Is(Dialogue::Tls(Default::default())),
        Some(0x17) if tls::goes_on(bytes) => return Verdict::Is(Dialogue::Tls(Default::default())),
        Some(b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'*') => {
            if check(http::begins(bytes)) {
                return Verdict::Is(Dialogue::Http(Default::default()));
            }
            if check(starts_with(bytes, ssh::START)) {
                return Verdict::Is(Dialogue::Ssh(Default::default()));
            }
            if check(commands::begins(bytes, hint.commands)) {
                return Verdict::Is(Dialogue::Commands(commands::CommandsReader::new(hint.commands)));
            }
        }
        _ => {}
    }
    if check(dns::begins_over_tcp(bytes, hint.dns)) {
        return Verdict::Is(Dialogue::Dns(dns::DnsReader));
    }
    if unsure { Verdict::Unsure } else { Verdict::No }
}

/// What a datagram looks like.
pub(super) fn datagram(segment: &Segment<'_>) -> Option<Datagrams> {
    let bytes = segment.payload;
    match segment.protocol {
        protocol::ICMP | protocol::ICMPV6 => return Some(Datagrams::Icmp),
        protocol::SCTP => return Some(Datagrams::Sctp),
        protocol::UDP => {}
        _ => return None,
    }
    let named = dns::PORTS.iter().any(|&port| segment.at(port));
    if named && bytes.len() >= dns::HEADER || !segment.at(NETBIOS) && dns::is_message(bytes) {
        return Some(Datagrams::Dns);
    }
    match bytes.first()? {
        0x16 if tls::dtls::begins(bytes) => Some(Datagrams::Dtls(Default::default())),
        0xc0.. if quic::begins(bytes) => Some(Datagrams::Quic(Default::default())),
        b'A'..=b'Z' if http::begins(bytes) == Some(true) && http::is_datagram(bytes) => Some(Datagrams::Http),
        _ => None,
    }
}

/// NetBIOS name service: DNS's format, but other names.
const NETBIOS: u16 = 137;

/// Whether bytes begin with `start`; nothing where there are too few to tell.
pub(super) fn starts_with(bytes: &[u8], start: &[u8]) -> Option<bool> {
    let common = bytes.len().min(start.len());
    if bytes[..common] != start[..common] {
        return Some(false);
    }
    (common == start.len()).then_some(true)
}
