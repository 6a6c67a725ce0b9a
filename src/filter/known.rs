//! What is known of a condition once the protocol of a packet and its IP version are: for most packets of most filters, all.

use super::expression::{Expression, Subject};
use crate::decode::packet::protocol;

/// A condition, and the protocols that settle it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    expression: Expression,
    /// By IP version and protocol. Nothing where the condition may fail, for then a packet does not match, whatever is around that.
    settled: Option<[[Option<bool>; 256]; 2]>,
}

impl Asked {
    /// In a place of its own: filters are moved, and most have none.
    pub(super) fn new(expression: Expression) -> Box<Asked> {
        let settled = (!may_fail(&expression)).then(|| {
            let of = |v6| std::array::from_fn(|number| settled(&expression, number as u8, v6));
            [of(false), of(true)]
        });
        Box::new(Asked { expression, settled })
    }

    pub(super) fn into_expression(self) -> Expression {
        self.expression
    }

    /// Whether the packet matches.
    #[inline]
    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        let packet = subject.packet;
        let settled = self.settled.as_ref();
        let settled = settled.and_then(|by| by[usize::from(packet.v6)][usize::from(packet.protocol)]);
        settled.unwrap_or_else(|| self.expression.holds(subject).unwrap_or(false))
    }
}

/// Whether there may be packets of which it cannot be said.
fn may_fail(expression: &Expression) -> bool {
    match expression {
        Expression::All(parts) | Expression::Any(parts) => parts.iter().any(may_fail),
        Expression::Not(part) => may_fail(part),
        Expression::Compare(..) => true,
        _ => false,
    }
}

/// Whether it holds for all packets of a protocol over an IP version, or for none of them.
fn settled(expression: &Expression, number: u8, v6: bool) -> Option<bool> {
    let among = |parts: &[Expression], decisive: bool| {
        let mut said = parts.iter().map(|part| settled(part, number, v6));
        let (one, all) = (Some(decisive), Some(!decisive));
        if said.clone().any(|said| said == one) { one } else { said.all(|said| said == all).then_some(!decisive) }
    };
    match expression {
        Expression::All(parts) => among(parts, false),
        Expression::Any(parts) => among(parts, true),
        Expression::Not(part) => settled(part, number, v6).map(|holds| !holds),
        Expression::Port(_, of, _) => {
            let has_ports = match of {
                Some(of) => number == *of,
                None => matches!(number, protocol::TCP | protocol::UDP | protocol::SCTP),
            };
            if has_ports { None } else { Some(false) }
        }
        Expression::Protocol(of, version) => Some(number == *of && version.is_none_or(|version| version == v6)),
        Expression::Version(version) => Some(v6 == *version),
        Expression::EtherType(0x0800) => Some(!v6),
        Expression::EtherType(0x86dd) => Some(v6),
        Expression::Address(_, net) if net.v6 != v6 => Some(false),
        Expression::Part { .. } if v6 => Some(false),
        Expression::Never => Some(false),
        _ => None,
    }
}
