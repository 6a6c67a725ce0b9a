//! Numbers as Java's `Double.toString` writes them: plain from 10^-3 up to 10^7, with one decimal at least, and outside of that
//! with an exponent: `500.0`, `1.0E7`, `5.0E-4`.
//!
//! The digits are the shortest that read back as the same float, as of Java 19; those before wrote one more now and then.

use super::python::{self, Lead};
use super::text::Writing;

/// A float.
#[inline]
pub(super) fn float(n: f64, lead: Lead, text: &mut Writing<'_>) {
    if n == 0.0 || (1e-3..1e7).contains(&n.abs()) {
        // There the two are the same.
        python::float(n, lead, text);
    } else {
        lead.put(text);
        scientific(n, text);
    }
}

#[inline(never)]
fn scientific(n: f64, text: &mut Writing<'_>) {
    let digits = format!("{n:E}");
    let (mantissa, exponent) = digits.split_once('E').unwrap_or((&digits, "0"));
    text.slice(mantissa.as_bytes());
    if !mantissa.contains('.') {
        text.put(b".0");
    }
    text.put(b"E");
    text.slice(exponent.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::*;

    #[test]
    fn floats_are_those_of_java() {
        let pairs = [
            (0.0, "0.0"),
            (-1.0, "-1.0"),
            (500.0, "500.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-1.2e8, "-1.2E8"),
            (18_333_333.333_333_332, "1.8333333333333332E7"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (0.000_5, "5.0E-4"),
            (12_782.406_060_606_061, "12782.406060606061"),
            (f64::MAX, "1.7976931348623157E308"),
        ];
        for (n, expected) in pairs {
            let (mut text, mut out) = (Text::default(), Vec::new());
            let mut writing = text.start();
            float(n, Lead::NONE, &mut writing);
            writing.finish(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
