//! From tokens to a tree, by recursive descent.
//!
//! ```text
//! expression = term { ("and" | "or") term }            from left to right, both alike
//! term       = { "not" } ( "(" expression ")" | comparison | test )
//! test       = [protocol] [ends] [type] name           a name alone takes the qualifiers of the test before it
//!            | protocol | "vlan" [number] | "less" number | "greater" number | ...
//! name       = { "not" } ( address | number | ... | "(" name { ("and" | "or") name } ")" )
//! comparison = number ("=" | "!=" | "<" | ...) number
//! ```
//!
//! Depth is bounded, so that neither reading nor asking can exhaust the stack.

mod name;
mod number;

use std::ops::Range;

use super::expression::{Ends, Expression, Net};
use super::lexer::{Kind, Token, tokens};
use super::{Mistake, names};

/// How deep an expression may nest; changes between `and` and `or` nest too.
const DEEPEST: usize = 200;

/// Reads an expression; `None` if there is none.
pub(super) fn parse(text: &str) -> Result<Option<Expression>, Mistake> {
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0, qualifiers: None };
    if parser.kind() == Kind::End {
        return Ok(None);
    }
    let expression = parser.expression()?;
    match parser.kind() {
        Kind::End => Ok(Some(expression)),
        Kind::Sign(")") => Err(parser.mistake("this parenthesis was never opened")),
        _ => Err(parser.mistake("`and` or `or` is missing in front of this")),
    }
}

/// What stands before a name.
#[derive(Clone, Copy, Debug)]
struct Qualifiers<'t> {
    /// A protocol word, and where it stands.
    protocol: Option<&'t str>,
    protocol_at: usize,
    ends: Ends,
    kind: Type,
}

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// A host, or a network if it has a mask.
    Unsaid,
    Host,
    Net,
    Port,
    PortRange,
    Protocol,
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    next: usize,
    depth: usize,
    /// Those of the newest test, for a name without its own.
    qualifiers: Option<Qualifiers<'t>>,
}

impl<'t> Parser<'t> {
    /// The next token; behind the last, which is the end, there is only the end.
    fn peek(&self, ahead: usize) -> Token<'t> {
        let end = Token { kind: Kind::End, at: self.text.len()..self.text.len() };
        self.tokens.get(self.next + ahead).cloned().unwrap_or(end)
    }

    fn kind(&self) -> Kind<'t> {
        self.peek(0).kind
    }

    fn at(&self) -> Range<usize> {
        self.peek(0).at
    }

    fn word(&self) -> Option<&'t str> {
        match self.kind() {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Passes the next token if it is this sign or word.
    fn takes(&mut self, what: &str) -> bool {
        let there = matches!(self.kind(), Kind::Sign(it) | Kind::Word(it) if it == what);
        self.next += usize::from(there);
        there
    }

    /// A mistake at the next token.
    fn mistake(&self, reason: impl Into<String>) -> Mistake {
        self.mistake_at(self.at(), reason)
    }

    fn mistake_at(&self, at: Range<usize>, reason: impl Into<String>) -> Mistake {
        Mistake { text: self.text.into(), at, reason: reason.into() }
    }

    /// Does something one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.mistake(format!("an expression nests at most {DEEPEST} deep")));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn expression(&mut self) -> Result<Expression, Mistake> {
        self.chain(Self::term)
    }

    /// Parts with `and` and `or` between, from left to right.
    fn chain(&mut self, part: impl Fn(&mut Self) -> Result<Expression, Mistake>) -> Result<Expression, Mistake> {
        let mut whole = part(self)?;
        let mut changes = 0;
        loop {
            let all = match self.kind() {
                Kind::Word("and") | Kind::Sign("&&") => true,
                Kind::Word("or") | Kind::Sign("||") => false,
                _ => return Ok(whole),
            };
            self.next += 1;
            let right = part(self)?;
            whole = match (all, whole) {
                (true, Expression::All(mut parts)) | (false, Expression::Any(mut parts)) => {
                    parts.push(right);
                    if all { Expression::All(parts) } else { Expression::Any(parts) }
                }
                (_, left) => {
                    changes += 1;
                    if changes > DEEPEST {
                        return Err(
                            self.mistake(format!("`and` and `or` change at most {DEEPEST} times; use parentheses"))
                        );
                    }
                    if all { Expression::All(vec![left, right]) } else { Expression::Any(vec![left, right]) }
                }
            };
        }
    }

    /// Passes any `not`s; whether they come to one.
    fn negated(&mut self) -> bool {
        let mut not = false;
        while self.takes("not") || self.takes("!") {
            not = !not;
        }
        not
    }

    fn term(&mut self) -> Result<Expression, Mistake> {
        let not = self.negated();
        let expression = self.deeper(Self::positive_term)?;
        Ok(if not { Expression::Not(Box::new(expression)) } else { expression })
    }

    fn positive_term(&mut self) -> Result<Expression, Mistake> {
        if self.kind() != Kind::Sign("(") {
            return if self.begins_number() { self.comparison() } else { self.test() };
        }
        // What a parenthesis holds, a condition or a number, shows only behind it.
        let (begin, qualifiers) = (self.next, self.qualifiers);
        let as_number = self.comparison();
        let Err(number_mistake) = as_number else { return as_number };
        self.next = begin + 1;
        self.qualifiers = qualifiers;
        let as_condition = self
            .expression()
            .and_then(|expression| if self.takes(")") { Ok(expression) } else { Err(self.mistake("`)` is missing")) });
        // The reading that came further is the one that was meant.
        as_condition
            .map_err(|mistake| if number_mistake.at.start > mistake.at.start { number_mistake } else { mistake })
    }

    /// A test of a packet, or a name that takes the qualifiers of the one before.
    fn test(&mut self) -> Result<Expression, Mistake> {
        let Some(word) = self.word() else {
            return Err(self.mistake(match self.kind() {
                Kind::End => "something must follow: a test such as `port 80`".into(),
                Kind::Sign(sign) => format!("`{sign}` cannot stand here; a test such as `port 80` can"),
                Kind::Word(word) => format!("`{word}` cannot stand here"),
            }));
        };
        match word {
            "vlan" => {
                self.next += 1;
                let id = self.optional_number(0x0fff, "a VLAN identifier")?.map(|id| id as u16);
                self.qualifiers = None;
                return Ok(Expression::Vlan(id));
            }
            "less" | "greater" => {
                self.next += 1;
                let bytes = self.number_up_to(u32::MAX, "a number of bytes")?;
                self.qualifiers = None;
                return Ok(if word == "less" { Expression::Less(bytes) } else { Expression::Greater(bytes) });
            }
            "ip" | "ip6" if self.peek(1).kind == Kind::Word("multicast") => {
                self.next += 2;
                self.qualifiers = None;
                // As libpcap has it, all from 224.0.0.0 on, broadcast too.
                let (mask, v6) = if word == "ip" { (0xe000_0000, false) } else { (0xff << 120, true) };
                return Ok(Expression::Address(Ends::Destination, Net { v6, address: mask, mask }));
            }
            _ => {}
        }
        let begin = self.next;
        let qualifiers = self.read_qualifiers()?;
        if self.next == begin {
            let Some(before) = self.qualifiers else { return self.lone_name() };
            return self.name(before);
        }
        let alone = qualifiers.kind == Type::Unsaid && self.next == begin + 1;
        if let Some(protocol) = qualifiers.protocol.filter(|_| alone) {
            match self.kind() {
                Kind::Word("and" | "or") | Kind::Sign(_) | Kind::End => {}
                Kind::Word(next) => {
                    return Err(self.mistake(format!(
                        "`{next}` cannot follow `{protocol}`; `host`, `net`, `port`, `portrange` or `proto` is missing, \
                         or `and`"
                    )));
                }
            }
            self.qualifiers = None;
            return self.protocol_alone(protocol, begin);
        }
        self.qualifiers = Some(qualifiers);
        self.name(qualifiers)
    }

    /// A name without qualifiers where none came before: an address is a host or a network.
    fn lone_name(&mut self) -> Result<Expression, Mistake> {
        let word = self.word().unwrap_or_default();
        if !word.contains(['.', ':']) {
            let known = "a test begins with host, net, port, portrange, proto, src, dst, a protocol, vlan, less, greater, \
                         or is an address";
            let hint = match word {
                "broadcast" | "multicast" => "say `ip multicast`, `ip6 multicast`, or a host".into(),
                "mpls" | "pppoes" | "pppoed" | "geneve" | "vxlan" | "gateway" | "protochain" | "inbound"
                | "outbound" | "ifname" | "on" | "rnr" | "type" | "subtype" | "wlan" | "dir" | "llc" | "isis"
                | "decnet" => {
                    format!("`{word}` is not supported")
                }
                _ if word.chars().all(|c| c.is_ascii_digit()) => {
                    format!("what is {word}? say `port {word}`, `net {word}` or `proto {word}`")
                }
                _ if names::port(word).is_some() => format!("`{word}` is a port: say `port {word}`"),
                _ => format!("`{word}` is unknown: {known}"),
            };
            return Err(self.mistake(hint));
        }
        let plain = Qualifiers { protocol: None, protocol_at: self.next, ends: Ends::Either, kind: Type::Unsaid };
        self.qualifiers = Some(plain);
        self.name(plain)
    }

    fn read_qualifiers(&mut self) -> Result<Qualifiers<'t>, Mistake> {
        let protocol_at = self.next;
        let is_protocol = |word: &&str| {
            matches!(*word, "ether" | "ip" | "ip6" | "arp" | "rarp")
                || names::PROTOCOLS.iter().any(|(known, ..)| known == word)
        };
        let protocol = self.word().filter(is_protocol);
        self.next += usize::from(protocol.is_some());
        let ends = match self.word() {
            Some(first @ ("src" | "dst")) => {
                self.next += 1;
                let other = if first == "src" { "dst" } else { "src" };
                let joined = self.peek(1).kind == Kind::Word(other);
                match self.word() {
                    Some(joint @ ("or" | "and")) if joined => {
                        self.next += 2;
                        if joint == "or" { Ends::Either } else { Ends::Both }
                    }
                    _ if first == "src" => Ends::Source,
                    _ => Ends::Destination,
                }
            }
            _ => Ends::Either,
        };
        let kind = match self.word() {
            Some("host") => Type::Host,
            Some("net") => Type::Net,
            Some("port") => Type::Port,
            Some("portrange") => Type::PortRange,
            Some("proto") => Type::Protocol,
            Some(word @ ("protochain" | "gateway" | "broadcast" | "multicast")) if self.next > protocol_at => {
                return Err(self.mistake(format!("`{word}` is not supported here")));
            }
            _ => Type::Unsaid,
        };
        self.next += usize::from(kind != Type::Unsaid);
        Ok(Qualifiers { protocol, protocol_at, ends, kind })
    }

    /// A protocol word that stands alone.
    fn protocol_alone(&self, word: &str, at: usize) -> Result<Expression, Mistake> {
        Ok(match word {
            "ip" => Expression::Version(false),
            "ip6" => Expression::Version(true),
            "arp" | "rarp" => Expression::Never,
            _ => match names::PROTOCOLS.iter().find(|(known, ..)| *known == word) {
                Some(&(_, number, version)) => Expression::Protocol(number, version),
                None => {
                    let at = self.tokens.get(at).map_or(0..0, |token| token.at.clone());
                    return Err(self.mistake_at(at, format!("`{word}` alone says nothing; `{word} proto` does")));
                }
            },
        })
    }
}
