//! How CSV writes numbers and lists: as JSON does, or as another program whose files are to be matched.
//!
//! A notation writes the cells that look different in its files, and leaves the others to the sink. Text is not its
//! matter, since what a spreadsheet would run has to be guarded there alike.

use super::{csv, jsonl};
use crate::views::flows::Cell;

/// A way to write numbers and lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// As JSON: the shortest number that reads back the same, lists without blanks.
    #[default]
    Json,
    /// As Python's `repr`, and quoted as pandas does: `1e-05`, `[1, 2]`, `['a', 'b']`.
    Python,
}

impl Notation {
    /// Writes a cell of CSV if it looks different in this notation; else returns false.
    #[inline(always)]
    pub(super) fn writes(self, cell: &Cell<'_>, out: &mut Vec<u8>) -> bool {
        match (self, cell) {
            (Notation::Python, Cell::Absent) => {}
            (Notation::Python, Cell::Float(n)) => float(*n, out),
            (Notation::Python, Cell::Count(n @ 0..10)) => out.push(b'0' + *n as u8),
            (Notation::Python, Cell::Numbers(list)) => quoted(list, out, |&n, out| integer(n, out)),
            (Notation::Python, Cell::Floats(list)) => quoted(list, out, |&n, out| float(n, out)),
            (Notation::Python, Cell::List(cells)) => {
                let mut text = Vec::new();
                list(cells, &mut text, element);
                csv::cell(&String::from_utf8_lossy(&text), out);
            }
            _ => return false,
        }
        true
    }
}

/// A list of what needs no quotes itself. A list of one needs none either.
#[inline]
fn quoted<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    if items.len() < 2 {
        return list(items, out, write);
    }
    out.push(b'"');
    list(items, out, write);
    out.push(b'"');
}

#[inline]
fn list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        write(item, out);
    }
    out.push(b']');
}

/// An integer. Those of few digits are most, and appending as many bytes as the compiler knows costs least.
#[inline]
fn integer(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    let digit = |n: u64| b'0' + (n % 10) as u8;
    match n.unsigned_abs() {
        n @ 0..10 => out.push(digit(n)),
        n @ 10..100 => out.extend_from_slice(&[digit(n / 10), digit(n)]),
        n @ 100..1000 => out.extend_from_slice(&[digit(n / 100), digit(n / 10), digit(n)]),
        n @ 1000..10_000 => out.extend_from_slice(&[digit(n / 1000), digit(n / 100), digit(n / 10), digit(n)]),
        n => jsonl::number(out, n),
    }
}

/// `repr` of a float: the shortest digits that read back the same, an exponent below 1e-4 and from 1e16 on, of two digits
/// at least.
#[inline]
fn float(n: f64, out: &mut Vec<u8>) {
    // Most are whole: lengths, counts, and what is 0.
    let whole = n as i64;
    if whole as f64 == n && whole.unsigned_abs() < 1 << 53 && (whole != 0 || n.is_sign_positive()) {
        integer(whole, out);
        return out.extend_from_slice(b".0");
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(n);
    // Only here are the shortest digits laid out otherwise.
    if (1e-9..1e-4).contains(&n.abs()) { small(text, out) } else { out.extend_from_slice(text.as_bytes()) }
}

#[cold]
fn small(text: &str, out: &mut Vec<u8>) {
    let (sign, magnitude) = text.strip_prefix('-').map_or(("", text), |magnitude| ("-", magnitude));
    out.extend_from_slice(sign.as_bytes());
    if let Some(digits) = magnitude.strip_prefix("0.0000") {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        out.extend_from_slice(format!("{first}{point}{rest}e-05").as_bytes());
    } else {
        out.extend_from_slice(magnitude.replace("e-", "e-0").as_bytes());
    }
}

/// An element of a list of cells.
fn element(cell: &Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Text(text) => quote(text, out),
        Cell::Absent => out.extend_from_slice(b"None"),
        Cell::Flag(flag) => out.extend_from_slice(if *flag { b"True" } else { b"False" }),
        Cell::Count(n) | Cell::Id(n) => jsonl::number(out, *n),
        Cell::Float(n) => float(*n, out),
        Cell::Numbers(numbers) => list(numbers, out, |&n, out| integer(n, out)),
        Cell::Floats(numbers) => list(numbers, out, |&n, out| float(n, out)),
        Cell::List(cells) => list(cells, out, element),
        Cell::Time(time) => quote(&time.to_string(), out),
        Cell::Span(ns) => jsonl::number(out, *ns),
        Cell::Address(address) => quote(&address.to_string(), out),
    }
}

fn quote(text: &str, out: &mut Vec<u8>) {
    let mut quoted = String::new();
    string(text, &mut quoted);
    out.extend_from_slice(quoted.as_bytes());
}

/// Appends `repr` of a string.
pub(crate) fn string(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => out.extend(['\\', c]),
            _ if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {

    use super::*;

    fn written(cell: &Cell<'_>) -> String {
        let mut out = Vec::new();
        assert!(Notation::Python.writes(cell, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_those_of_python() {
        let pairs = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (-7.0, "-7.0"),
            (9_007_199_254_740_991.0, "9007199254740991.0"),
            (54.0, "54.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00005, "5e-05"),
            (-0.000015, "-1.5e-05"),
            (7.009506225585938e-05, "7.009506225585938e-05"),
            (1e-5, "1e-05"),
            (9.5e-6, "9.5e-06"),
            (1e-9, "1e-09"),
            (-2.5e-10, "-2.5e-10"),
            (1e-100, "1e-100"),
            (1_755_141_753.294776, "1755141753.294776"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.5e22, "1.5e+22"),
            (1e100, "1e+100"),
        ];
        for (n, text) in pairs {
            assert_eq!(written(&Cell::Float(n)), text);
        }
    }

    #[test]
    fn lists_are_quoted_where_csv_needs_it() {
        assert_eq!(written(&Cell::Numbers(vec![])), "[]");
        assert_eq!(written(&Cell::Numbers(vec![-3])), "[-3]");
        assert_eq!(written(&Cell::Numbers(vec![1, -2])), "\"[1, -2]\"");
        let numbers = [0, 9, -10, 99, 100, -999, 1000, 9999, 10_000, i64::MIN, i64::MAX];
        assert_eq!(written(&Cell::Numbers(numbers.to_vec())), format!("\"{numbers:?}\""));
        assert_eq!(written(&Cell::Floats(vec![1.0, 0.00001])), "\"[1.0, 1e-05]\"");
        let words = |words: &[&'static str]| Cell::List(words.iter().map(|word| Cell::from(*word)).collect());
        assert_eq!(written(&words(&["IPv4", "TCP"])), "\"['IPv4', 'TCP']\"");
        assert_eq!(written(&words(&["it's", "a\\b\n"])), r#""[""it's"", 'a\\b\n']""#);
    }

    #[test]
    fn other_cells_are_left_to_the_sink() {
        assert!(!Notation::Python.writes(&Cell::Count(10), &mut Vec::new()));
        assert!(!Notation::Json.writes(&Cell::Float(1.0), &mut Vec::new()));
    }
}
