//! Names: addresses, networks, ports and protocols, by the qualifiers in front of them.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use super::super::expression::{Ends, Expression, Net};
use super::super::lexer::Kind;
use super::super::{Mistake, names};
use super::{Parser, Qualifiers, Type};

impl<'t> Parser<'t> {
    /// A name, or names in parentheses, under these qualifiers.
    pub(super) fn name(&mut self, qualifiers: Qualifiers<'t>) -> Result<Expression, Mistake> {
        let not = self.negated();
        let expression = if self.takes("(") {
            let inside = self.deeper(|parser| parser.chain(|parser| parser.name(qualifiers)))?;
            if !self.takes(")") {
                return Err(self.mistake("`)` is missing"));
            }
            inside
        } else {
            self.single_name(qualifiers)?
        };
        Ok(if not { Expression::Not(Box::new(expression)) } else { expression })
    }

    fn single_name(&mut self, qualifiers: Qualifiers<'t>) -> Result<Expression, Mistake> {
        let Qualifiers { protocol, ends, kind, .. } = qualifiers;
        match (kind, protocol) {
            (Type::Unsaid | Type::Host | Type::Net, None | Some("ip" | "ip6" | "arp" | "rarp")) => {
                let net = self.address(kind)?;
                Ok(match protocol {
                    Some("ip") if net.v6 => Expression::Never,
                    Some("ip6") if !net.v6 => Expression::Never,
                    Some("arp" | "rarp") => Expression::Never,
                    _ => Expression::Address(ends, net),
                })
            }
            (Type::Port | Type::PortRange, None) => Ok(Expression::Port(ends, None, self.ports(kind)?)),
            (Type::Port | Type::PortRange, Some(word @ ("tcp" | "udp" | "sctp"))) => {
                Ok(Expression::Port(ends, names::protocol(word), self.ports(kind)?))
            }
            (Type::Protocol, None | Some("ip" | "ip6")) if ends == Ends::Either => {
                let number = self.protocol_number()?;
                Ok(Expression::Protocol(number, protocol.map(|word| word == "ip6")))
            }
            (Type::Protocol, Some("ether")) if ends == Ends::Either => self.ether_type().map(Expression::EtherType),
            (_, protocol) => {
                let word = match kind {
                    Type::Unsaid => "an address",
                    Type::Host => "`host`",
                    Type::Net => "`net`",
                    Type::Port => "`port`",
                    Type::PortRange => "`portrange`",
                    Type::Protocol => "`proto`",
                };
                let before = protocol.map_or("`src` and `dst`".into(), |protocol| format!("`{protocol}`"));
                let way_out = match (kind, protocol) {
                    (Type::Unsaid, Some("tcp" | "udp" | "sctp")) => "; `port` may be missing",
                    (Type::Port | Type::PortRange, _) => "; `tcp`, `udp` and `sctp` do",
                    (Type::Protocol, _) => "; `ip`, `ip6` and `ether` do",
                    (_, Some("ether")) => "; addresses of the link layer are not supported",
                    _ => "; join the two with `and`",
                };
                let at = self.tokens.get(qualifiers.protocol_at).map_or(0..0, |token| token.at.clone());
                Err(self.mistake_at(at, format!("{before} does not go with {word}{way_out}")))
            }
        }
    }

    fn address(&mut self, kind: Type) -> Result<Net, Mistake> {
        let at = self.at();
        let Some(word) = self.word() else { return Err(self.mistake("an address is missing")) };
        self.next += 1;
        let (v6, address, known_bits) = match word.parse() {
            Ok(IpAddr::V6(address)) => (true, address.to_bits(), 128),
            Ok(IpAddr::V4(address)) => (false, address.to_bits().into(), 32),
            Err(_) => match short(word) {
                Some((address, bits)) if kind == Type::Net => (false, address.into(), bits),
                Some(_) => {
                    let reason = format!("`{word}` is not a whole address; for a network say `net {word}`");
                    return Err(self.mistake_at(at, reason));
                }
                None => {
                    let reason = format!("`{word}` is no IP address; names are not looked up");
                    return Err(self.mistake_at(at, reason));
                }
            },
        };
        let width = if v6 { 128 } else { 32 };
        let mask = if kind != Type::Host && self.takes("/") {
            bits(width, self.number_up_to(width, "a prefix length")?)
        } else if kind != Type::Host && !v6 && self.takes("mask") {
            let mask: Option<Ipv4Addr> = self.word().and_then(|word| word.parse().ok());
            let Some(mask) = mask else { return Err(self.mistake("a mask is missing, such as 255.255.0.0")) };
            self.next += 1;
            u128::from(mask.to_bits())
        } else {
            bits(width, known_bits)
        };
        if address & !mask != 0 {
            let end = self.tokens.get(self.next - 1).map_or(at.end, |token| token.at.end);
            let reason = format!(
                "`{word}` has bits set behind the mask; {} has not",
                crate::decode::packet::address(address & mask, v6)
            );
            return Err(self.mistake_at(at.start..end, reason));
        }
        Ok(Net { v6, address, mask })
    }

    fn ports(&mut self, kind: Type) -> Result<RangeInclusive<u16>, Mistake> {
        let Some(word) = self.word() else { return Err(self.mistake("a port is missing")) };
        let port =
            |word: &str| names::port(word).or_else(|| number(word).and_then(|number| u16::try_from(number).ok()));
        let range = match (port(word), word.split_once('-')) {
            (Some(port), _) => port..=port,
            (None, Some((first, last))) if kind == Type::PortRange => match (port(first), port(last)) {
                // libpcap takes either order.
                (Some(first), Some(last)) => first.min(last)..=first.max(last),
                _ => return Err(self.mistake(format!("`{word}` is no range of ports; 6000-6008 is one"))),
            },
            (None, Some((first, last))) if port(first).is_some() && port(last).is_some() => {
                return Err(self.mistake(format!("`{word}` is a range: say `portrange {word}`")));
            }
            _ => return Err(self.mistake(format!("`{word}` is no port: a number up to 65535, or a well-known name"))),
        };
        self.next += 1;
        Ok(range)
    }

    fn protocol_number(&mut self) -> Result<u8, Mistake> {
        let Some(word) = self.word() else { return Err(self.mistake("a protocol is missing")) };
        let number = names::protocol(word).or_else(|| number(word).and_then(|number| u8::try_from(number).ok()));
        let Some(number) = number else {
            return Err(self.mistake(format!("`{word}` is no IP protocol: a number up to 255, or a name such as tcp")));
        };
        self.next += 1;
        Ok(number)
    }

    fn ether_type(&mut self) -> Result<u16, Mistake> {
        let Some(word) = self.word() else { return Err(self.mistake("an EtherType is missing")) };
        let number = names::ether_type(word).or_else(|| number(word).and_then(|number| u16::try_from(number).ok()));
        let Some(number) = number else {
            return Err(self.mistake(format!("`{word}` is no EtherType: a number such as 0x0800, or ip, ip6 or arp")));
        };
        self.next += 1;
        Ok(number)
    }

    /// A number that must follow.
    pub(super) fn number_up_to(&mut self, most: u32, what: &str) -> Result<u32, Mistake> {
        match self.optional_number(most, what)? {
            Some(number) => Ok(number),
            None => Err(self.mistake(format!("{what} is missing"))),
        }
    }

    /// A number that may follow.
    pub(super) fn optional_number(&mut self, most: u32, what: &str) -> Result<Option<u32>, Mistake> {
        let Kind::Word(word) = self.kind() else { return Ok(None) };
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let Some(number) = number(word).filter(|&number| number <= most) else {
            return Err(self.mistake(format!("{what} is a number up to {most}")));
        };
        self.next += 1;
        Ok(Some(number))
    }
}

/// The bits of a network mask.
fn bits(width: u32, set: u32) -> u128 {
    let whole = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    whole & !whole.checked_shr(set).unwrap_or(0)
}

/// A number as libpcap reads it: decimal, hexadecimal behind 0x, octal behind 0.
pub(super) fn number(word: &str) -> Option<u32> {
    let digits = |text: &str, radix| {
        text.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(text, radix).ok()).flatten()
    };
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hexadecimal) => digits(hexadecimal, 16),
        None if word.len() > 1 && word.starts_with('0') => digits(word, 8),
        None => digits(word, 10),
    }
}

/// A network by its first one to three numbers, with the bits they make.
fn short(word: &str) -> Option<(u32, u32)> {
    let numbers: Option<Vec<u32>> =
        word.split('.').map(|part| part.parse().ok().filter(|&number: &u32| number < 256)).collect();
    let numbers = numbers.filter(|numbers| numbers.len() < 4)?;
    let address = numbers.iter().enumerate().fold(0, |address, (at, number)| address | number << (24 - 8 * at));
    Some((address, 8 * numbers.len() as u32))
}
