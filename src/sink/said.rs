//! Cells of what payload says, as JSON, in CSV and in a digest. A list without anything in it is no cell; inside a list it
//! is one.

use super::csv;
use super::flows::span;
use super::jsonl::{self, Times};
use super::text::Text;
use crate::payload::Cell;
use crate::stable::StableHash;
use crate::views::flows as views;

/// A cell of JSON.
pub(super) fn json_cell(cell: &Cell<'_>, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    if cell.is_absent() { out.extend_from_slice(b"null") } else { value(cell, times, text, out) }
}

/// A cell as text, times in nanoseconds.
pub(crate) fn text(cell: &Cell<'_>) -> String {
    let (mut room, mut out) = (Text::default(), Vec::new());
    json_cell(cell, Times::Nanoseconds, &mut room, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A cell of CSV: a list is a JSON array.
pub(super) fn csv_cell(cell: &Cell<'_>, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    match cell {
        Cell::Text(text) => csv::cell(text, out),
        Cell::List(list) if !list.is_empty() => {
            let mut array = Vec::new();
            value(cell, times, text, &mut array);
            quoted(&array, out);
        }
        Cell::Absent | Cell::List(_) => {}
        Cell::Flag(_) | Cell::Number(_) | Cell::Time(_) => value(cell, times, text, out),
    }
}

/// As a cell of flows; a list is the text of a JSON array, with times as they are asked for.
pub(super) fn cell<'c>(cell: &'c Cell<'_>, times: Times, text: &mut Text) -> views::Cell<'c> {
    match cell {
        Cell::Absent => views::Cell::Absent,
        Cell::List(list) if list.is_empty() => views::Cell::Absent,
        Cell::Flag(flag) => views::Cell::Flag(*flag),
        Cell::Number(n) => views::Cell::Integer(*n),
        Cell::Text(text) => views::Cell::from(&**text),
        Cell::Time(time) => views::Cell::Time(*time),
        Cell::List(_) => {
            let mut array = Vec::new();
            value(cell, times, text, &mut array);
            String::from_utf8_lossy(&array).into_owned().into()
        }
    }
}

/// As a cell of flows, lists as lists.
#[cfg(feature = "tables")]
pub(super) fn typed<'c>(cell: &'c Cell<'_>) -> views::Cell<'c> {
    if cell.is_absent() { views::Cell::Absent } else { item(cell) }
}

#[cfg(feature = "tables")]
fn item<'c>(cell: &'c Cell<'_>) -> views::Cell<'c> {
    match cell {
        Cell::Absent => views::Cell::Absent,
        Cell::Flag(flag) => views::Cell::Flag(*flag),
        Cell::Number(n) => views::Cell::Integer(*n),
        Cell::Text(text) => views::Cell::from(&**text),
        Cell::Time(time) => views::Cell::Time(*time),
        Cell::List(list) => views::Cell::List(list.iter().map(item).collect()),
    }
}

/// Bytes in quotes.
fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for part in bytes.split_inclusive(|&byte| byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

fn value(cell: &Cell<'_>, times: Times, text: &mut Text, out: &mut Vec<u8>) {
    match cell {
        Cell::Absent => out.extend_from_slice(b"null"),
        Cell::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Cell::Number(n) => jsonl::number(out, *n),
        Cell::Text(text) => jsonl::string(text, out),
        Cell::Time(time) => span(time.0, times, text, out),
        Cell::List(list) => {
            out.push(b'[');
            for (place, cell) in list.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                value(cell, times, text, out);
            }
            out.push(b']');
        }
    }
}

/// Adds a cell to a digest, with what it is.
pub(super) fn digest(hash: &mut StableHash, cell: &Cell<'_>) {
    if cell.is_absent() { hash.number(1 << 63) } else { add(hash, cell) }
}

fn add(hash: &mut StableHash, cell: &Cell<'_>) {
    match cell {
        Cell::Absent => hash.number(1 << 63),
        Cell::Flag(flag) => hash.number(u64::from(*flag)),
        Cell::Number(n) => hash.number(*n as u64),
        Cell::Text(text) => hash.text(text),
        Cell::Time(time) => hash.number(time.0 as u64),
        Cell::List(list) => {
            hash.number(list.len() as u64);
            list.iter().for_each(|cell| add(hash, cell));
        }
    }
}
