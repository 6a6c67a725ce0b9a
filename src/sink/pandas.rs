//! Floats as pandas writes them in JSON: with ten decimals at most.

use super::python::{self, Lead};
use super::text::Writing;

/// Decimals.
const DIGITS: usize = 10;
const SCALE: f64 = 1e10;

/// Between these it writes no exponent; 0 has none either.
const PLAIN: std::ops::RangeInclusive<f64> = 1e-15..=1e16;

/// A float that is finite.
pub(super) fn float(n: f64, text: &mut Writing<'_>) {
    if n != 0.0 && !PLAIN.contains(&n.abs()) {
        return python::float(n, Lead::NONE, text);
    }
    if n < 0.0 {
        text.put(b"-");
    }
    let mut whole = n.abs() as u64;
    let scaled = (n.abs() - whole as f64) * SCALE;
    let mut parts = scaled as u64;
    let left = scaled - parts as f64;
    // Its halves go to the even neighbour, but for the first.
    if left > 0.5 || left == 0.5 && (parts == 0 || parts % 2 == 1) {
        parts += 1;
    }
    if parts == SCALE as u64 {
        (whole, parts) = (whole + 1, 0);
    }
    text.number(whole);
    let decimals = format!(".{parts:0DIGITS$}");
    text.slice(if parts == 0 { b".0" } else { decimals.trim_end_matches('0').as_bytes() });
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::*;

    #[test]
    fn floats_are_those_of_pandas() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (2.5e-11, "0.0"),
            (5e-11, "0.0000000001"),
            (1.5e-10, "0.0000000002"),
            (1e-15, "0.0"),
            (1e-16, "1e-16"),
            (0.1, "0.1"),
            (-1.0 / 3.0, "-0.3333333333"),
            (-251.0, "-251.0"),
            (0.999_999_999_99, "1.0"),
            (2.000_000_000_05, "2.0000000001"),
            (999.999_999_999_95, "999.9999999999"),
            (54_274.485_883_707_03, "54274.485883707"),
            (1e9 + 1.0 / 3.0, "1000000000.3333333731"),
            (1e16, "10000000000000000.0"),
            (1.2345e20, "1.2345e+20"),
        ];
        for (n, expected) in cases {
            let (mut text, mut out) = (Text::default(), Vec::new());
            let mut writing = text.start();
            float(n, &mut writing);
            writing.finish(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
