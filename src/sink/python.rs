//! Numbers as Python's `repr` writes them.
//!
//! A float is written as the shortest decimal that reads back as the same. Most floats here are whole, or times: a decimal of
//! few places. If a float is the nearest to a decimal, then that decimal without its trailing zeros is the shortest, as long as
//! no other decimal of as many places can be as near:
//!
//! - below 2^32 floats lie within 2^-21 of one another, so between the middles beside one lies at most one multiple of 10^-6;
//! - of up to 15 digits no two decimals have one nearest float.
//!
//! The division of integers below 2^53 is rounded once, so comparing its result with the float tells. Others take the
//! general way.

use super::text::{Writing, few};

/// The integers below are laid out in words: what stands in front, a sign, four digits and what follows.
const FEW: u64 = 10_000;

/// What stands in front of a number: up to two bytes.
#[derive(Clone, Copy)]
pub(super) struct Lead {
    bytes: u64,
    length: usize,
}

impl Lead {
    pub(super) const NONE: Lead = Lead { bytes: 0, length: 0 };
    pub(super) const COMMA: Lead = Lead { bytes: b',' as u64, length: 1 };
    pub(super) const COMMA_BLANK: Lead = Lead { bytes: u16::from_le_bytes(*b", ") as u64, length: 2 };

    /// Puts it alone.
    #[inline(always)]
    pub(super) fn put(self, text: &mut Writing<'_>) {
        text.word(self.bytes, self.length);
    }
}

/// An integer.
#[inline(always)]
pub(super) fn integer(n: i64, lead: Lead, text: &mut Writing<'_>) {
    let magnitude = n.unsigned_abs();
    if magnitude < FEW {
        let (digits, length) = few(magnitude as u32);
        signed(n < 0, digits, length, lead, text);
    } else {
        lead.put(text);
        if n < 0 {
            text.put(b"-");
        }
        text.number(magnitude);
    }
}

/// A float: an exponent below 1e-4 and from 1e16 on, of two digits at least.
#[inline(always)]
pub(super) fn float(n: f64, lead: Lead, text: &mut Writing<'_>) {
    let magnitude = n.abs();
    let whole = magnitude as u32;
    if magnitude < FEW as f64 && f64::from(whole) == magnitude {
        let (digits, length) = few(whole);
        let point = u64::from(u16::from_le_bytes(*b".0")) << (8 * length);
        // A word has no room for more than one byte in front.
        let lead = if lead.length > 1 {
            lead.put(text);
            Lead::NONE
        } else {
            lead
        };
        signed(n.is_sign_negative(), digits | point, length + 2, lead, text);
    } else {
        lead.put(text);
        long(n, text);
    }
}

/// Digits behind a lead and a minus, if there is one, up to eight bytes in all: no branch tells, since lengths of both
/// directions alternate.
#[inline(always)]
fn signed(minus: bool, digits: u64, length: usize, lead: Lead, text: &mut Writing<'_>) {
    let sign = usize::from(minus);
    let number = (digits << (8 * sign)) | (u64::from(b'-') * sign as u64);
    text.word((number << (8 * lead.length)) | lead.bytes, length + sign + lead.length);
}

#[inline(never)]
fn long(n: f64, text: &mut Writing<'_>) {
    if n.is_sign_negative() {
        text.put(b"-");
    }
    let n = n.abs();
    if n < (1_u64 << 53) as f64 && (n as u64) as f64 == n {
        text.number(n as u64);
        return text.put(b".0");
    }
    if n < (1_u64 << 32) as f64 {
        let (micro, near) = parts(n, 1e6);
        if near && micro as f64 / 1e6 == n {
            return if micro < 100 { smallest(micro as u8, text) } else { decimal(micro, 1_000_000, text) };
        }
    }
    if (1e-4..1e6).contains(&n) {
        let (nano, near) = parts(n, 1e9);
        if near && nano as f64 / 1e9 == n {
            return decimal(nano, 1_000_000_000, text);
        }
    }
    general(n, text);
}

/// The nearest number of parts, and whether this may be it: of a number of parts the product is off by a half of its last bit
/// and that of its factor's together. Most others are further off, and asking costs less than a division.
#[inline(always)]
fn parts(n: f64, of: f64) -> (u64, bool) {
    let product = n * of;
    let nearest = (product + 0.5) as u64;
    (nearest, (product - nearest as f64).abs() <= product * (2.0 * f64::EPSILON))
}

/// So many parts of one, of which there are 10^6 or 10^9; not a whole number of ones, and no less than 1e-4.
#[inline(always)]
fn decimal(parts: u64, of: u64, text: &mut Writing<'_>) {
    text.number(parts / of);
    text.put(b".");
    text.fraction((parts % of * (1_000_000_000 / of)) as u32);
}

/// 1 to 99 parts of a million.
fn smallest(micro: u8, text: &mut Writing<'_>) {
    let [tens, ones] = [b'0' + micro / 10, b'0' + micro % 10];
    match (tens, ones) {
        (b'0', _) => text.put(&[ones, b'e', b'-', b'0', b'6']),
        (_, b'0') => text.put(&[tens, b'e', b'-', b'0', b'5']),
        _ => text.put(&[tens, b'.', ones, b'e', b'-', b'0', b'5']),
    }
}

fn general(n: f64, text: &mut Writing<'_>) {
    let mut buffer = zmij::Buffer::new();
    let plain = buffer.format(n);
    // Only here are the shortest digits laid out otherwise.
    if !(1e-9..1e-4).contains(&n) {
        text.slice(plain.as_bytes());
    } else if let Some(digits) = plain.strip_prefix("0.0000") {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        text.slice(format!("{first}{point}{rest}e-05").as_bytes());
    } else {
        text.slice(plain.replace("e-", "e-0").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text::Text;
    use super::*;

    fn written(write: impl FnOnce(&mut Writing<'_>)) -> String {
        let (mut text, mut out) = (Text::default(), Vec::new());
        let mut writing = text.start();
        write(&mut writing);
        writing.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn repr(n: f64) -> String {
        written(|text| float(n, Lead::NONE, text))
    }

    /// The same by the general way alone.
    fn plainly(n: f64) -> String {
        let minus = if n.is_sign_negative() { "-" } else { "" };
        let text = written(|text| general(n.abs(), text));
        // The general way has an exponent from 1e16 on, as Python.
        format!("{minus}{text}")
    }

    #[test]
    fn floats_are_those_of_python() {
        let pairs = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (-7.0, "-7.0"),
            (9_999.0, "9999.0"),
            (10_000.0, "10000.0"),
            (9_007_199_254_740_991.0, "9007199254740991.0"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (54.0, "54.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.000_123_456, "0.000123456"),
            (0.00005, "5e-05"),
            (0.000_099, "9.9e-05"),
            (-0.000015, "-1.5e-05"),
            (0.000_001, "1e-06"),
            (7.009506225585938e-05, "7.009506225585938e-05"),
            (0.000_012_345, "1.2345e-05"),
            (1e-5, "1e-05"),
            (9.5e-6, "9.5e-06"),
            (1e-9, "1e-09"),
            (-2.5e-10, "-2.5e-10"),
            (1e-100, "1e-100"),
            (5e-324, "5e-324"),
            (1_755_141_753.294776, "1755141753.294776"),
            (4_294_967_295.999_999, "4294967295.999999"),
            (1_755_141_753.2947762, "1755141753.2947762"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.5e22, "1.5e+22"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
        ];
        for (n, text) in pairs {
            assert_eq!(repr(n), text);
        }
    }

    #[test]
    fn integers_are_plain() {
        for n in [0, 9, -10, 99, 100, -999, 1000, -9999, 10_000, 12_345, -99_999, i64::MIN, i64::MAX] {
            assert_eq!(written(|text| integer(n, Lead::NONE, text)), n.to_string());
        }
    }

    /// Numbers of the kinds that have a way of their own, those beside them, and any.
    fn number() -> impl Strategy<Value = f64> {
        let near = |n: f64, step: i8| f64::from_bits(n.to_bits().saturating_add_signed(step.into()));
        let of_parts = |most: u64, of: f64| (0..most, -1_i8..=1).prop_map(move |(n, step)| near(n as f64 / of, step));
        prop_oneof![
            of_parts(100_000, 1.0),
            of_parts(1 << 54, 1.0),
            of_parts(1_000, 1e6),
            of_parts(5_000_000_000_000_000, 1e6),
            of_parts(200_000, 1e9),
            of_parts(2_000_000_000_000_000, 1e9),
            of_parts(1 << 40, 3.0),
            any::<f64>().prop_filter("finite", |n| n.is_finite()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn the_short_ways_write_what_the_general_way_writes(n in number()) {
            for n in [n, -n] {
                let text = repr(n);
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), n.to_bits());
                prop_assert_eq!(text, plainly(n));
            }
        }

        #[test]
        fn integers_are_those_of_the_library(n in any::<i64>(), shift in 0..64) {
            let n = n >> shift;
            prop_assert_eq!(written(|text| integer(n, Lead::NONE, text)), n.to_string());
        }
    }
}
