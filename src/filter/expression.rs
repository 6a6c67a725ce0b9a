//! The tree that an expression becomes, and whether it holds for a packet.

use std::ops::RangeInclusive;

use super::tags;
use crate::capture::LinkType;
use crate::decode::Packet;
use crate::decode::packet::{Fragment, protocol};

/// What an expression is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'p> {
    pub(super) packet: &'p Packet,
    pub(super) link: LinkType,
    pub(super) frame: &'p [u8],
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// Every one of these.
    All(Vec<Expression>),
    /// Any one of these.
    Any(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// An address in a network.
    Address(Ends, Net),
    /// A port in a range, of this protocol or of TCP, UDP and SCTP.
    Port(Ends, Option<u8>, RangeInclusive<u16>),
    /// This protocol, over this IP version (true: 6) or over both.
    Protocol(u8, Option<bool>),
    /// This IP version (true: 6).
    Version(bool),
    /// This EtherType.
    EtherType(u16),
    /// A VLAN tag, or one with this identifier.
    Vlan(Option<u16>),
    /// At most so many wire bytes.
    Less(u32),
    /// At least so many wire bytes.
    Greater(u32),
    /// A part of an IPv4 datagram: a later one, or the first or only one.
    Part {
        /// It is a later one.
        later: bool,
    },
    /// Two numbers compare so.
    Compare(Box<Number>, Relation, Box<Number>),
    /// Nothing.
    Never,
}

/// Which end of a packet, or how both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Source,
    Destination,
    Either,
    Both,
}

impl Ends {
    fn ask<T: Copy>(self, [source, destination]: [T; 2], holds: impl Fn(T) -> bool) -> bool {
        match self {
            Ends::Source => holds(source),
            Ends::Destination => holds(destination),
            Ends::Either => holds(source) || holds(destination),
            Ends::Both => holds(source) && holds(destination),
        }
    }
}

/// A network of one IP version; a host has a full mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Net {
    pub(super) v6: bool,
    pub(super) address: u128,
    pub(super) mask: u128,
}

/// A number out of a packet, modulo 2^32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Constant(u32),
    /// Wire bytes of the frame.
    Length,
    /// Bytes of a header: which, from where, and how many (1, 2 or 4).
    Bytes(Header, Box<Number>, u8),
    Operation(Box<Number>, Operator, Box<Number>),
}

/// The header that an offset is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The frame itself.
    Frame,
    /// IP of this version (true: 6).
    Ip(bool),
    /// A transport protocol, over this IP version or over both.
    Transport(u8, Option<bool>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    /// A comparison. Whether the offset of a fragment is 0, as filters have always asked, is known of every packet.
    pub(super) fn compare(left: Number, relation: Relation, right: Number) -> Expression {
        if let (Number::Operation(field, Operator::And, mask), Number::Constant(0)) = (&left, &right)
            && let (Number::Bytes(Header::Ip(false), offset, 2), Number::Constant(0x1fff)) = (&**field, &**mask)
            && **offset == Number::Constant(6)
            && let Relation::Equal | Relation::Unequal = relation
        {
            return Expression::Part { later: relation == Relation::Unequal };
        }
        Expression::Compare(Box::new(left), relation, Box::new(right))
    }

    /// Whether it holds. `None` where it reads what was not captured, or divides by 0: then the packet does not match.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        let packet = subject.packet;
        Some(match self {
            Expression::All(parts) => {
                for part in parts {
                    if !part.holds(subject)? {
                        return Some(false);
                    }
                }
                true
            }
            Expression::Any(parts) => {
                for part in parts {
                    if part.holds(subject)? {
                        return Some(true);
                    }
                }
                false
            }
            Expression::Not(part) => !part.holds(subject)?,
            Expression::Address(ends, net) => {
                net.v6 == packet.v6 && ends.ask([packet.src, packet.dst], |address| address & net.mask == net.address)
            }
            Expression::Port(ends, transport, range) => {
                let has_ports = match transport {
                    Some(transport) => packet.protocol == *transport,
                    None => matches!(packet.protocol, protocol::TCP | protocol::UDP | protocol::SCTP),
                };
                has_ports
                    && packet.fragment != Fragment::Later
                    && ends.ask([packet.src_port, packet.dst_port], |port| range.contains(&port))
            }
            Expression::Protocol(number, version) => {
                packet.protocol == *number && version.is_none_or(|v6| packet.v6 == v6)
            }
            Expression::Version(v6) => packet.v6 == *v6,
            Expression::EtherType(0x0800) => !packet.v6,
            Expression::EtherType(0x86dd) => packet.v6,
            Expression::EtherType(number) => tags::ether_type(subject.link, subject.frame) == Some(*number),
            Expression::Vlan(None) => packet.vlan.is_some(),
            Expression::Vlan(Some(id)) => {
                packet.vlan == Some(*id) || tags::vlans(subject.link, subject.frame).any(|tag| tag == *id)
            }
            Expression::Less(bytes) => packet.wire <= *bytes,
            Expression::Greater(bytes) => packet.wire >= *bytes,
            Expression::Part { later } => !packet.v6 && (packet.fragment == Fragment::Later) == *later,
            Expression::Compare(left, relation, right) => {
                // Bytes of a header that the packet has not are no mistake: the comparison is false.
                if !left.has_headers(subject) || !right.has_headers(subject) {
                    return Some(false);
                }
                relation.holds(left.value(subject)?, right.value(subject)?)
            }
            Expression::Never => false,
        })
    }
}

impl Relation {
    fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Relation::Equal => left == right,
            Relation::Unequal => left != right,
            Relation::Less => left < right,
            Relation::LessOrEqual => left <= right,
            Relation::Greater => left > right,
            Relation::GreaterOrEqual => left >= right,
        }
    }
}

impl Number {
    fn has_headers(&self, subject: &Subject<'_>) -> bool {
        match self {
            Number::Constant(_) | Number::Length => true,
            Number::Bytes(header, offset, _) => header.start(subject).is_some() && offset.has_headers(subject),
            Number::Operation(left, _, right) => left.has_headers(subject) && right.has_headers(subject),
        }
    }

    fn value(&self, subject: &Subject<'_>) -> Option<u32> {
        Some(match self {
            Number::Constant(number) => *number,
            Number::Length => subject.packet.wire,
            Number::Bytes(header, offset, size) => {
                let at = header.start(subject)?.checked_add(offset.value(subject)? as usize)?;
                let bytes = subject.frame.get(at..at.checked_add(usize::from(*size))?)?;
                bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
            }
            Number::Operation(left, operator, right) => operator.apply(left.value(subject)?, right.value(subject)?)?,
        })
    }
}

impl Header {
    /// Where it begins in the frame, if the packet has it.
    fn start(self, subject: &Subject<'_>) -> Option<usize> {
        let packet = subject.packet;
        let (there, at) = match self {
            Header::Frame => (true, 0),
            Header::Ip(v6) => (packet.v6 == v6, packet.ip_offset),
            Header::Transport(number, version) => {
                let same = packet.protocol == number && version.is_none_or(|v6| packet.v6 == v6);
                (same && packet.fragment != Fragment::Later, packet.transport_offset)
            }
        };
        there.then_some(usize::from(at))
    }
}

impl Operator {
    /// The result; `None` for a division by 0.
    pub(super) fn apply(self, left: u32, right: u32) -> Option<u32> {
        Some(match self {
            Operator::Add => left.wrapping_add(right),
            Operator::Subtract => left.wrapping_sub(right),
            Operator::Multiply => left.wrapping_mul(right),
            Operator::Divide => left.checked_div(right)?,
            Operator::Modulo => left.checked_rem(right)?,
            Operator::And => left & right,
            Operator::Or => left | right,
            Operator::Xor => left ^ right,
            Operator::ShiftLeft => left.checked_shl(right).unwrap_or(0),
            Operator::ShiftRight => left.checked_shr(right).unwrap_or(0),
        })
    }
}
