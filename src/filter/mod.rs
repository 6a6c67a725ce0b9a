//! Packet filters in tcpdump's language, evaluated on decoded packets.
//!
//! ```
//! use pcap_compactor::filter::Filter;
//!
//! let web = Filter::parse("tcp port 80 or 443 and not net 10.0.0.0/8")?;
//! let mistake = Filter::parse("tcp prot 80").unwrap_err();
//! assert_eq!(mistake.at(), 4..8);
//! # Ok::<(), pcap_compactor::filter::Mistake>(())
//! ```
//!
//! # The language
//!
//! That of pcap-filter(7), but for what a decoded packet cannot know:
//!
//! | form | matches |
//! |---|---|
//! | `[ip\|ip6] [src\|dst\|src or dst\|src and dst] [host] ADDRESS` | an address; `host` may be left out |
//! | `... net 10.0.0.0/8`, `net 10`, `net 10.0.0.0 mask 255.0.0.0`, `net 2001:db8::/32` | a network |
//! | `[tcp\|udp\|sctp] [src\|dst ...] port 80`, `portrange 6000-6008` | ports by number or well-known name |
//! | `tcp` `udp` `sctp` `icmp` `icmp6` `igmp` `pim` `ah` `esp` `vrrp` `ip` `ip6` | a protocol; `icmp` is of IPv4, `icmp6` of IPv6 |
//! | `[ip\|ip6] proto N`, `ether proto N` | a protocol number or name |
//! | `vlan`, `vlan N` | a VLAN tag of the frame, in front of any tunnel, or one with this identifier |
//! | `less N`, `greater N` | wire bytes at most, or at least |
//! | `ip multicast`, `ip6 multicast` | a multicast or broadcast destination |
//! | `arp`, `rarp` | nothing: packets are IP; frames without IP are counted before any filter |
//! | `tcp[tcpflags] & (tcp-syn\|tcp-fin) != 0`, `ip[8] < 5`, `len > 100` | header bytes and arithmetic on them, modulo 2^32 |
//! | `not`, `and`, `or`, `!`, `&&`, `\|\|`, parentheses | `not` binds first; `and` and `or` bind alike, from left to right |
//!
//! Qualifiers carry over: `port 80 or 443` is `port 80 or port 443`.
//!
//! # Where it differs from libpcap
//!
//! It sees the packet that the decoder made: the innermost one of a tunnel (with
//! [`Tunnels::Inner`](crate::decode::Tunnels)), behind any VLAN tags, MPLS labels, PPPoE headers and IPv6 extension
//! headers, on any link type. libpcap looks at fixed places of the frame, so there `tcp port 80` misses a tagged packet
//! unless `vlan` comes first, and `tcp[13]` misses IPv6. `vlan` here neither shifts nor consumes anything: `vlan 5 and
//! vlan 7` asks for both tags in any order. Host names are not looked up. A comparison that looks into several headers
//! is false for a packet that lacks one; libpcap may look there nevertheless.
//!
//! A packet whose bytes were not captured as far as a comparison reads does not match, whatever is around it, `not`
//! included, as in libpcap.

mod expression;
mod known;
mod lexer;
mod names;
mod parser;
mod tags;

pub(crate) use names::protocol as protocol_number;

use std::fmt;
use std::ops::Range;

use crate::capture::LinkType;
use crate::decode::Packet;
use crate::decode::packet::tcp_flag;

use expression::{Expression, Subject};
use known::Asked;

/// Which packets a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    expression: Option<Box<Asked>>,
    no_pure_acks: bool,
    no_rst: bool,
}

impl Filter {
    /// Reads an expression. Nothing but blanks matches everything.
    ///
    /// # Errors
    /// A [`Mistake`] with its place.
    pub fn parse(text: &str) -> Result<Filter, Mistake> {
        Ok(Filter { expression: parser::parse(text)?.map(Asked::new), ..Filter::default() })
    }

    /// Leaves out TCP packets that only acknowledge: ACK, perhaps with ECE or CWR, but no other flag and no payload.
    /// Options do not matter.
    #[must_use]
    pub fn without_pure_acks(self, yes: bool) -> Filter {
        Filter { no_pure_acks: yes, ..self }
    }

    /// Leaves out TCP packets with RST.
    #[must_use]
    pub fn without_rst(self, yes: bool) -> Filter {
        Filter { no_rst: yes, ..self }
    }

    /// Leaves out what either leaves out.
    #[must_use]
    pub fn and(self, other: Filter) -> Filter {
        let both: Vec<_> = self.expression.into_iter().chain(other.expression).collect();
        let all = |both: Vec<Box<Asked>>| Expression::All(both.into_iter().map(|one| one.into_expression()).collect());
        Filter {
            expression: if both.len() > 1 { Some(Asked::new(all(both))) } else { both.into_iter().next() },
            no_pure_acks: self.no_pure_acks || other.no_pure_acks,
            no_rst: self.no_rst || other.no_rst,
        }
    }

    /// Whether every packet matches, so that there is no need to ask.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Filter::default()
    }

    /// Whether a packet matches. `frame` is its captured bytes, `link` the link type they begin with.
    #[must_use]
    pub fn matches(&self, packet: &Packet, link: LinkType, frame: &[u8]) -> bool {
        if packet.has_flags && (self.no_rst || self.no_pure_acks) {
            let rst = packet.tcp_flags & tcp_flag::RST != 0;
            if (self.no_rst && rst) || (self.no_pure_acks && is_pure_ack(packet)) {
                return false;
            }
        }
        match &self.expression {
            Some(asked) => asked.matches(&Subject { packet, link, frame }),
            None => true,
        }
    }
}

/// Whether a TCP packet only acknowledges.
#[must_use]
pub fn is_pure_ack(packet: &Packet) -> bool {
    // All flags but ECE and CWR (RFC 3168), which come with any segment.
    const CONTROL: u8 = 0x3f;
    packet.has_flags && packet.tcp_flags & CONTROL == tcp_flag::ACK && packet.payload_length == 0
}

impl std::str::FromStr for Filter {
    type Err = Mistake;
    fn from_str(text: &str) -> Result<Filter, Mistake> {
        Filter::parse(text)
    }
}

/// What is wrong with an expression, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    text: String,
    at: Range<usize>,
    reason: String,
}

impl Mistake {
    /// The bytes of the expression that it is about; empty at its end.
    #[must_use]
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// What is wrong, and what would be right.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The reason, the expression, and a line of carets under the mistake.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| text.replace(|c: char| c.is_control(), " ");
        let (before, marked) = (self.text.get(..self.at.start), self.text.get(self.at.clone()));
        let indent = before.unwrap_or_default().chars().count();
        let carets = marked.unwrap_or_default().chars().count().max(1);
        writeln!(f, "{}", self.reason)?;
        writeln!(f, "  {}", shown(&self.text))?;
        write!(f, "  {}{}", " ".repeat(indent), "^".repeat(carets))
    }
}

impl std::error::Error for Mistake {}

#[cfg(test)]
mod tests;
