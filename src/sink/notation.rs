//! How CSV writes numbers and lists: as JSON does, or as another program whose files are to be matched.
//!
//! A notation writes the cells that look different in its files, and leaves the others to the sink. Text is not its
//! matter, since what a spreadsheet would run has to be guarded there alike.

use std::ops::Range;

use super::python::{self, Lead};
use super::text::{Text, Writing};
use super::{csv, java, jsonl};
use crate::views::flows::{Cell, Cells, Plain};

/// A way to write numbers and lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// As JSON: the shortest number that reads back the same, lists without blanks.
    #[default]
    Json,
    /// As Python's `repr`, and quoted as pandas does: `1e-05`, `inf`, `True`, `[1, 2]`, `['a', 'b']`.
    Python,
    /// As Java's `Double.toString`: `1.0E-5`. Lists are as in Python.
    Java,
}

impl Notation {
    /// Writes a cell of CSV if it looks different in this notation; else returns false.
    pub(super) fn writes(self, cell: &Cell<'_>, text: &mut Text, out: &mut Vec<u8>) -> bool {
        let plain = match cell {
            Cell::Absent => Plain::Absent,
            Cell::Flag(true) => Plain::True,
            Cell::Flag(false) => Plain::False,
            Cell::Count(n) => Plain::Count(*n),
            Cell::Integer(n) => Plain::Integer(*n),
            Cell::Float(n) => Plain::Float(*n),
            _ => return self != Notation::Json && list(cell, text, out),
        };
        let mut writing = text.start();
        match self {
            Notation::Json => return false,
            Notation::Python => number(plain, Lead::NONE, python::float, &mut writing),
            Notation::Java => number(plain, Lead::NONE, java::float, &mut writing),
        };
        writing.finish(out);
        true
    }

    /// Writes cells of CSV in these places, a comma in front of each, up to the first that does not look different in this
    /// notation; says how many.
    pub(super) fn row(self, cells: &Cells, places: Range<usize>, text: &mut Text, out: &mut Vec<u8>) -> usize {
        match self {
            Notation::Json => 0,
            Notation::Python => row(cells, places, python::float, text, out),
            Notation::Java => row(cells, places, java::float, text, out),
        }
    }
}

/// A run of cells, by a way to write floats.
#[inline(always)]
fn row(
    cells: &Cells,
    places: Range<usize>,
    float: impl Copy + Fn(f64, Lead, &mut Writing<'_>),
    text: &mut Text,
    out: &mut Vec<u8>,
) -> usize {
    let run = cells.plain().get(places.start..places.end.min(cells.len())).unwrap_or_default();
    let mut rest = run.iter();
    loop {
        let mut writing = text.start();
        let other = rest.find_map(|&plain| {
            writing.make_room(out);
            number(plain, Lead::COMMA, float, &mut writing)
        });
        writing.finish(out);
        let Some(other) = other else { return run.len() };
        if !list(cells.other(other), text, out) {
            // Its comma is written by who writes the cell.
            out.pop();
            return run.len() - rest.len() - 1;
        }
    }
}

/// Writes a number, a truth or nothing; else returns the place of what it is.
#[inline(always)]
fn number(
    plain: Plain,
    lead: Lead,
    float: impl Fn(f64, Lead, &mut Writing<'_>),
    text: &mut Writing<'_>,
) -> Option<usize> {
    match plain {
        Plain::Float(n) => float(n, lead, text),
        Plain::Integer(n) => python::integer(n, lead, text),
        Plain::Count(n @ 0..10_000) => python::integer(n as i64, lead, text),
        plain => {
            lead.put(text);
            match plain {
                Plain::Count(n) => text.number(n),
                Plain::True => text.put(b"True"),
                Plain::False => text.put(b"False"),
                Plain::Other(other) => return Some(other),
                Plain::Absent | Plain::Integer(_) | Plain::Float(_) => {}
            }
        }
    }
    None
}

/// Writes a list in quotes, if it needs them; else returns false.
fn list(cell: &Cell<'_>, text: &mut Text, out: &mut Vec<u8>) -> bool {
    // Of what is in a list, numbers need no quotes; one alone has no comma.
    let quote = |needed: bool, out: &mut Vec<u8>| {
        if needed {
            out.push(b'"');
        }
    };
    match cell {
        Cell::Numbers(list) => {
            quote(list.len() > 1, out);
            numbers(list, python::integer, text, out);
            quote(list.len() > 1, out);
        }
        Cell::Floats(list) => {
            quote(list.len() > 1, out);
            numbers(list, python::float, text, out);
            quote(list.len() > 1, out);
        }
        Cell::List(cells) if cells.iter().all(is_word) => {
            quote(cells.len() > 1, out);
            for (place, cell) in cells.iter().enumerate() {
                out.extend_from_slice(if place == 0 { b"['" } else { b"', '" });
                if let Cell::Text(word) = cell {
                    out.extend_from_slice(word.as_bytes());
                }
            }
            out.extend_from_slice(if cells.is_empty() { b"[]" } else { b"']" });
            quote(cells.len() > 1, out);
        }
        Cell::List(_) => {
            csv::cell(&repr(cell, text), out);
        }
        _ => return false,
    }
    true
}

/// Text without anything that CSV or Python would write otherwise.
fn is_word(cell: &Cell<'_>) -> bool {
    matches!(cell, Cell::Text(text) if text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A list of numbers.
#[inline(always)]
fn numbers<N: Copy>(list: &[N], write: impl Fn(N, Lead, &mut Writing<'_>), text: &mut Text, out: &mut Vec<u8>) {
    let mut writing = text.start();
    writing.put(b"[");
    if let Some((&first, list)) = list.split_first() {
        write(first, Lead::NONE, &mut writing);
        for &n in list {
            writing.make_room(out);
            write(n, Lead::COMMA_BLANK, &mut writing);
        }
    }
    writing.put(b"]");
    writing.finish(out);
}

/// A cell as `repr` of Python has it.
pub(super) fn repr(cell: &Cell<'_>, text: &mut Text) -> String {
    let mut out = String::new();
    element(cell, text, &mut out);
    out
}

/// An element of a list of cells.
fn element(cell: &Cell<'_>, text: &mut Text, out: &mut String) {
    let mut plain = |write: &dyn Fn(&mut Text, &mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(text, &mut bytes);
        out.push_str(&String::from_utf8_lossy(&bytes));
    };
    match cell {
        Cell::Text(text) => string(text, out),
        Cell::Absent => out.push_str("None"),
        Cell::Flag(flag) => out.push_str(if *flag { "True" } else { "False" }),
        Cell::Count(n) | Cell::Id(n) => plain(&|_, bytes| jsonl::number(bytes, *n)),
        Cell::Span(n) | Cell::Integer(n) => plain(&|_, bytes| jsonl::number(bytes, *n)),
        Cell::Float(n) => plain(&|text, bytes| {
            let mut writing = text.start();
            python::float(*n, Lead::NONE, &mut writing);
            writing.finish(bytes);
        }),
        Cell::Numbers(list) => plain(&|text, bytes| numbers(list, python::integer, text, bytes)),
        Cell::Floats(list) => plain(&|text, bytes| numbers(list, python::float, text, bytes)),
        Cell::List(cells) => {
            out.push('[');
            for (place, cell) in cells.iter().enumerate() {
                if place > 0 {
                    out.push_str(", ");
                }
                element(cell, text, out);
            }
            out.push(']');
        }
        Cell::Time(time) => string(&time.to_string(), out),
        Cell::Address(address) => string(&address.to_string(), out),
    }
}

/// Appends text as `repr` of Python has it, but for characters beyond ASCII that are not printed: they stay as they are.
pub(crate) fn string(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\')) {
        out.push_str(text);
        return out.push(quote);
    }
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

    fn written(cell: &Cell<'static>) -> String {
        let (mut text, mut out, mut row) = (Text::default(), Vec::new(), Vec::new());
        assert!(Notation::Python.writes(cell, &mut text, &mut out));
        let mut cells = Cells::default();
        cells.extend([cell.clone(), cell.clone()]);
        assert_eq!(Notation::Python.row(&cells, 0..2, &mut text, &mut row), 2);
        assert_eq!(row, [b",", &out[..], b",", &out].concat());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lists_are_quoted_where_csv_needs_it() {
        assert_eq!(written(&Cell::Numbers(vec![])), "[]");
        assert_eq!(written(&Cell::Numbers(vec![-3])), "[-3]");
        assert_eq!(written(&Cell::Numbers(vec![1, -2])), "\"[1, -2]\"");
        assert_eq!(written(&Cell::Floats(vec![1.0, 0.00001])), "\"[1.0, 1e-05]\"");
        let words = |words: &[&'static str]| Cell::List(words.iter().map(|word| Cell::from(*word)).collect());
        assert_eq!(written(&words(&[])), "[]");
        assert_eq!(written(&words(&["IPv4"])), "['IPv4']");
        assert_eq!(written(&words(&["a,b"])), "\"['a,b']\"");
        assert_eq!(written(&words(&["IPv4", "TCP"])), "\"['IPv4', 'TCP']\"");
        assert_eq!(written(&words(&["it's", "a\\b\n"])), r#""[""it's"", 'a\\b\n']""#);
        let mixed = vec![Cell::Absent, true.into(), 7_u64.into(), 0.5.into(), Cell::Numbers(vec![1, -2])];
        assert_eq!(written(&Cell::List(mixed)), "\"[None, True, 7, 0.5, [1, -2]]\"");
    }

    #[test]
    fn truths_and_what_is_no_number_are_words() {
        assert_eq!([true, false].map(|flag| written(&Cell::Flag(flag))), ["True", "False"]);
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY].map(|n| written(&Cell::Float(n))), ["inf", "-inf"]);
    }

    #[test]
    fn lists_and_rows_may_be_of_any_length() {
        let list: Vec<i64> = (0..5_000).map(|n| n * 7_777_777 * (1 - n % 2 * 2)).collect();
        assert_eq!(written(&Cell::Numbers(list.clone())), format!("\"{list:?}\""));
        let mut cells = Cells::default();
        cells.extend([-1.797_693_134_862_315_7e308; 500].map(Cell::Float));
        let (mut text, mut out) = (Text::default(), Vec::new());
        assert_eq!(Notation::Python.row(&cells, 0..500, &mut text, &mut out), 500);
        assert_eq!(String::from_utf8(out).unwrap(), ",-1.7976931348623157e+308".repeat(500));
    }

    #[test]
    fn other_cells_are_left_to_the_sink() {
        let (mut text, mut out) = (Text::default(), Vec::new());
        assert!(!Notation::Python.writes(&Cell::Span(1), &mut text, &mut out));
        assert!(!Notation::Json.writes(&Cell::Float(1.0), &mut text, &mut out));
        let mut cells = Cells::default();
        cells.extend([Cell::Float(1.0), Cell::Absent, Cell::Span(1), Cell::Absent]);
        assert_eq!(Notation::Json.row(&cells, 0..4, &mut text, &mut out), 0);
        assert!(out.is_empty());
        assert_eq!(Notation::Python.row(&cells, 0..4, &mut text, &mut out), 2);
        assert_eq!(out, b",1.0,");
        assert_eq!(Notation::Python.row(&cells, 3..9, &mut text, &mut out), 1);
        assert_eq!(Notation::Python.row(&cells, 0..1, &mut text, &mut out), 1);
        assert_eq!(out, b",1.0,,,1.0");
    }
}
