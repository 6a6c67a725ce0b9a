//! Cells as bytes, for rows that wait, in order or on disk, until their table is written. A row is its cells one behind the other, in the
//! order of the columns; each says by its first byte what it is:
//!
//! | first byte | cell | behind it |
//! |---|---|---|
//! | 0 | absent | |
//! | 1, 2 | no, yes | |
//! | 3 | count | number |
//! | 4, 5, 6 | integer, time, length of time | signed number |
//! | 7 | number that is 0 | |
//! | 8 | number | 8 bytes |
//! | 9 | text | its bytes, and these |
//! | 10 | name of 64 bits | 8 bytes |
//! | 11, 12 | address of IPv4, of IPv6 | 4 bytes, 16 bytes |
//! | 13 | integers | how many, and as many signed numbers |
//! | 14 | numbers | how many, and 8 bytes for each |
//! | 15 | list | how many, and as many cells |
//! | 128 to 255 | count less than 128 | |
//!
//! Numbers are LEB128, signed ones by zigzag; eight bytes are little-endian. Equal rows are equal bytes, and no cell begins another.

use std::net::IpAddr;

use crate::flow::varint::{self, LONGEST, append, unzigzag, zigzag};
use crate::time::Timestamp;
use crate::views::flows::Cell;

/// Lists in lists that are taken back; no column has more than two.
const DEPTH: u32 = 4;

const SMALL: u8 = 0x80;

/// Appends a cell.
pub(super) fn put(cell: &Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Absent => out.push(0),
        Cell::Flag(flag) => out.push(if *flag { 2 } else { 1 }),
        Cell::Count(n @ 0..0x80) => out.push(SMALL | *n as u8),
        Cell::Count(n) => with_number(3, *n, out),
        Cell::Integer(n) => with_number(4, zigzag(*n), out),
        Cell::Time(time) => with_number(5, zigzag(time.0), out),
        Cell::Span(ns) => with_number(6, zigzag(*ns), out),
        Cell::Float(n) if n.to_bits() == 0 => out.push(7),
        Cell::Float(n) => with_bytes(8, &n.to_bits().to_le_bytes(), out),
        Cell::Text(text) => {
            with_number(9, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Cell::Id(id) => with_bytes(10, &id.to_le_bytes(), out),
        Cell::Address(IpAddr::V4(address)) => with_bytes(11, &address.octets(), out),
        Cell::Address(IpAddr::V6(address)) => with_bytes(12, &address.octets(), out),
        Cell::Numbers(items) => {
            with_number(13, items.len() as u64, out);
            items.iter().for_each(|n| number(zigzag(*n), out));
        }
        Cell::Floats(items) => {
            with_number(14, items.len() as u64, out);
            items.iter().for_each(|n| out.extend_from_slice(&n.to_bits().to_le_bytes()));
        }
        Cell::List(items) => {
            with_number(15, items.len() as u64, out);
            items.iter().for_each(|cell| put(cell, out));
        }
    }
}

fn number(n: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; LONGEST];
    let end = varint::put(&mut bytes, 0, n);
    append(out, &bytes, end);
}

fn with_number(what: u8, n: u64, out: &mut Vec<u8>) {
    out.push(what);
    number(n, out);
}

fn with_bytes(what: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(what);
    out.extend_from_slice(bytes);
}

/// Takes a cell from the front; nothing where none is, or is not whole.
pub(super) fn take<'b>(bytes: &mut &'b [u8]) -> Option<Cell<'b>> {
    take_within(bytes, DEPTH)
}

fn take_within<'b>(bytes: &mut &'b [u8], depth: u32) -> Option<Cell<'b>> {
    let (&what, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match what {
        0 => Cell::Absent,
        1 => Cell::Flag(false),
        2 => Cell::Flag(true),
        3 => Cell::Count(take_number(bytes)?),
        4 => Cell::Integer(take_signed(bytes)?),
        5 => Cell::Time(Timestamp(take_signed(bytes)?)),
        6 => Cell::Span(take_signed(bytes)?),
        7 => Cell::Float(0.0),
        8 => Cell::Float(take_float(bytes)?),
        9 => {
            let length = usize::try_from(take_number(bytes)?).ok()?;
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Cell::from(str::from_utf8(text).ok()?)
        }
        10 => Cell::Id(u64::from_le_bytes(take_bytes(bytes)?)),
        11 => Cell::Address(IpAddr::from(take_bytes::<4>(bytes)?)),
        12 => Cell::Address(IpAddr::from(take_bytes::<16>(bytes)?)),
        13 => Cell::Numbers(take_items(bytes, take_signed)?),
        14 => Cell::Floats(take_items(bytes, take_float)?),
        15 => {
            let depth = depth.checked_sub(1)?;
            Cell::List(take_items(bytes, |bytes| take_within(bytes, depth))?)
        }
        SMALL.. => Cell::Count((what & !SMALL).into()),
        _ => return None,
    })
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    // It has to end.
    bytes.iter().take(LONGEST).find(|byte| **byte < 0x80)?;
    Some(varint::take(bytes))
}

fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    take_number(bytes).map(unzigzag)
}

fn take_float(bytes: &mut &[u8]) -> Option<f64> {
    take_bytes(bytes).map(f64::from_le_bytes)
}

fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// As many as are said to be there; each takes a byte at least, so no more room than for those that can be.
fn take_items<'b, T>(bytes: &mut &'b [u8], mut take: impl FnMut(&mut &'b [u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = usize::try_from(take_number(bytes)?).ok().filter(|count| *count <= bytes.len())?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(take(bytes)?);
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Cells of every kind; floats of any bits.
    fn cells() -> impl Strategy<Value = Cell<'static>> {
        let float = || any::<u64>().prop_map(f64::from_bits);
        let flat = prop_oneof![
            Just(Cell::Absent),
            any::<bool>().prop_map(Cell::Flag),
            (any::<u64>(), 0..64).prop_map(|(n, shift)| Cell::Count(n >> shift)),
            (any::<i64>(), 0..64).prop_map(|(n, shift)| Cell::Integer(n >> shift)),
            any::<i64>().prop_map(|ns| Cell::Time(Timestamp(ns))),
            any::<i64>().prop_map(Cell::Span),
            prop_oneof![Just(0.0), Just(-0.0), float()].prop_map(Cell::Float),
            "\\PC{0,200}".prop_map(Cell::from),
            any::<u64>().prop_map(Cell::Id),
            any::<u32>().prop_map(|bits| Cell::Address(Ipv4Addr::from(bits).into())),
            any::<u128>().prop_map(|bits| Cell::Address(Ipv6Addr::from(bits).into())),
            vec(any::<i64>(), 0..9).prop_map(Cell::Numbers),
            vec(float(), 0..9).prop_map(Cell::Floats),
        ];
        flat.prop_recursive(DEPTH, 40, 5, |cell| vec(cell, 0..5).prop_map(Cell::List))
    }

    fn bytes(cells: &[Cell<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        cells.iter().for_each(|cell| put(cell, &mut out));
        out
    }

    proptest! {
        #[test]
        fn cells_come_back_as_they_went_in(row in vec(cells(), 0..20)) {
            let packed = bytes(&row);
            let mut rest = &packed[..];
            let mut back = Vec::new();
            while !rest.is_empty() {
                back.push(take(&mut rest).unwrap());
            }
            // Numbers that are none are told apart by their bits alone.
            prop_assert_eq!(format!("{back:?}"), format!("{row:?}"));
            prop_assert_eq!(bytes(&back), packed);
        }

        #[test]
        fn a_cell_that_is_cut_is_none(cell in cells(), cut: prop::sample::Index) {
            let packed = bytes(&[cell]);
            prop_assert_eq!(take(&mut &packed[..cut.index(packed.len())]), None);
        }

        #[test]
        fn any_bytes_are_cells_or_none(mut packed in vec(any::<u8>(), 0..100), what in 0..16_u8) {
            if let Some(first) = packed.first_mut() {
                *first = what;
            }
            let mut rest = &packed[..];
            while take(&mut rest).is_some() {}
            prop_assert!(rest.len() <= packed.len());
        }
    }

    #[test]
    fn what_claims_to_be_long_or_deep_is_none() {
        let long = [[15].as_slice(), &[0xff; 9], &[1]].concat();
        for bytes in
            [&[15; 1000][..], &[15, 1].repeat(1000)[..], &long[..], &[9, 0xff, 0xff, 3, b'a'], &[9, 1, 0xff], &[16]]
        {
            assert_eq!(take(&mut &bytes[..]), None);
        }
    }
}
