//! Comparisons of numbers out of packets: `tcp[tcpflags] & tcp-syn != 0`.

use super::super::expression::{Expression, Header, Number, Operator, Relation};
use super::super::lexer::Kind;
use super::super::{Mistake, names};
use super::name::number;
use super::{Parser, Type};

/// Operators that bind alike, from those that bind least to those that bind most, as in libpcap's grammar.
const LEVELS: [&[(&str, Operator)]; 4] = [
    &[("|", Operator::Or), ("&", Operator::And), ("^", Operator::Xor)],
    &[("<<", Operator::ShiftLeft), (">>", Operator::ShiftRight)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Modulo)],
];

/// Operators in a row; each nests the tree by one.
const LONGEST: usize = 100;

impl Parser<'_> {
    /// Whether the next token can only begin a number.
    pub(super) fn begins_number(&self) -> bool {
        let (next, behind) = (self.kind(), self.peek(1).kind);
        match next {
            Kind::Word("len") | Kind::Sign("-") => true,
            Kind::Word(word) if names::field(word).is_some() => true,
            Kind::Word(word) if number(word).is_some() => match behind {
                // `net 10 or 11/8`
                Kind::Sign("/") => self.qualifiers.is_none_or(|before| before.kind != Type::Net),
                Kind::Sign(sign) => !matches!(sign, ")" | "&&" | "||" | "("),
                _ => false,
            },
            Kind::Word(_) => behind == Kind::Sign("["),
            _ => false,
        }
    }

    pub(super) fn comparison(&mut self) -> Result<Expression, Mistake> {
        self.qualifiers = None;
        let left = self.arithmetic(0)?;
        let relation = match self.kind() {
            Kind::Sign("=" | "==") => Relation::Equal,
            Kind::Sign("!=") => Relation::Unequal,
            Kind::Sign("<") => Relation::Less,
            Kind::Sign("<=") => Relation::LessOrEqual,
            Kind::Sign(">") => Relation::Greater,
            Kind::Sign(">=") => Relation::GreaterOrEqual,
            _ => return Err(self.mistake("a number alone says nothing; compare it, with `!= 0` for instance")),
        };
        self.next += 1;
        let right = self.arithmetic(0)?;
        Ok(Expression::compare(left, relation, right))
    }

    fn arithmetic(&mut self, level: usize) -> Result<Number, Mistake> {
        let Some(operators) = LEVELS.get(level) else { return self.deeper(Self::factor) };
        let mut left = self.arithmetic(level + 1)?;
        for _ in 0..LONGEST {
            let Kind::Sign(sign) = self.kind() else { return Ok(left) };
            let Some(&(_, operator)) = operators.iter().find(|(known, _)| *known == sign) else { return Ok(left) };
            self.next += 1;
            let at = self.at();
            let right = self.arithmetic(level + 1)?;
            left = match (&left, &right) {
                (Number::Constant(left), Number::Constant(right)) => match operator.apply(*left, *right) {
                    Some(result) => Number::Constant(result),
                    None => return Err(self.mistake_at(at, "a division by 0")),
                },
                _ => Number::Operation(Box::new(left), operator, Box::new(right)),
            };
        }
        Err(self.mistake(format!("at most {LONGEST} operators may stand in a row")))
    }

    fn factor(&mut self) -> Result<Number, Mistake> {
        if self.takes("(") {
            let inside = self.arithmetic(0)?;
            return if self.takes(")") { Ok(inside) } else { Err(self.mistake("`)` is missing")) };
        }
        if self.takes("-") {
            let inside = self.deeper(Self::factor)?;
            return Ok(Number::Operation(Box::new(Number::Constant(0)), Operator::Subtract, Box::new(inside)));
        }
        let at = self.at();
        let Some(word) = self.word() else { return Err(self.mistake("a number is missing")) };
        self.next += 1;
        if word == "len" {
            return Ok(Number::Length);
        }
        if let Some(constant) = number(word).or_else(|| names::field(word)) {
            return Ok(Number::Constant(constant));
        }
        if !self.takes("[") {
            return Err(self.mistake_at(at, format!("`{word}` is no number")));
        }
        let protocol = names::PROTOCOLS.iter().find(|(known, ..)| *known == word);
        let header = match (word, protocol) {
            ("ether", _) => Header::Frame,
            ("ip", _) => Header::Ip(false),
            ("ip6", _) => Header::Ip(true),
            (_, Some(&(_, number, version))) => Header::Transport(number, version),
            _ => {
                return Err(self.mistake_at(
                    at,
                    format!("`{word}` has no bytes to look at; ether, ip, ip6, tcp, udp, icmp and icmp6 have"),
                ));
            }
        };
        let offset = self.arithmetic(0)?;
        let mut size = 1;
        if self.takes(":") {
            size = match self.word() {
                Some("1") => 1,
                Some("2") => 2,
                Some("4") => 4,
                _ => return Err(self.mistake("the size is 1, 2 or 4 bytes")),
            };
            self.next += 1;
        }
        if !self.takes("]") {
            return Err(self.mistake("`]` is missing"));
        }
        Ok(Number::Bytes(header, Box::new(offset), size))
    }
}
