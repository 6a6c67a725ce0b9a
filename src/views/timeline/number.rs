//! Numbers of a table's cells. A cell of nothing but digits, as most are, is one at once; others are what pandas takes them for.

/// What a cell says.
#[derive(Debug, PartialEq)]
pub(super) enum Number {
    /// A number, without its fraction.
    Is(i64),
    /// Nothing.
    None,
    /// Something else.
    Other,
}

/// What pandas takes for an empty cell.
const NONE: [&[u8]; 19] = [
    b"",
    b"#N/A",
    b"#N/A N/A",
    b"#NA",
    b"-1.#IND",
    b"-1.#QNAN",
    b"-NaN",
    b"-nan",
    b"1.#IND",
    b"1.#QNAN",
    b"<NA>",
    b"N/A",
    b"NA",
    b"NULL",
    b"NaN",
    b"None",
    b"n/a",
    b"nan",
    b"null",
];

pub(super) fn number(cell: &[u8]) -> Number {
    digits(cell).map_or_else(|| any_number(cell), Number::Is)
}

/// The number of a cell of nothing but digits, so few that it fits.
pub(super) fn digits(cell: &[u8]) -> Option<i64> {
    if cell.is_empty() || cell.len() > 18 {
        return None;
    }
    let mut number = 0;
    let (eights, rest) = cell.as_chunks();
    for eight in eights {
        number = 100_000_000 * number + eight_digits(*eight)?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = 10 * number + i64::from(digit);
    }
    Some(number)
}

/// The number of eight digits, of which neighbours are put together all at once: pairs, then fours, then eight.
fn eight_digits(digits: [u8; 8]) -> Option<i64> {
    let word = u64::from_le_bytes(digits) ^ u64::from_ne_bytes([b'0'; 8]);
    // Beyond 9, a byte has a high bit, or gets one.
    let beyond = word.wrapping_add(u64::from_ne_bytes([0x76; 8])) | word;
    if beyond & u64::from_ne_bytes([0x80; 8]) != 0 {
        return None;
    }
    let pairs = (10 * word + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (100 * pairs + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((10_000 * (fours & 0xffff_ffff) + (fours >> 32)) as i64)
}

fn any_number(cell: &[u8]) -> Number {
    if NONE.contains(&cell) {
        return Number::None;
    }
    let Ok(text) = std::str::from_utf8(cell.trim_ascii()) else { return Number::Other };
    if let Ok(n) = text.parse() {
        return Number::Is(n);
    }
    // 2^63, the first that does not fit, is a float.
    match text.parse::<f64>() {
        Ok(n) if n.abs() < (1_u64 << 63) as f64 => Number::Is(n as i64),
        _ => Number::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_quick_says_the_same(cell in "[0-9]{0,20}|[0-9]{0,9}[/:;é~ \u{80}][0-9]{0,9}|[-+0-9.: ]{0,8}|[-#./0-9:a-zA-Z]{0,6}|nan|NULL") {
            prop_assert_eq!(number(cell.as_bytes()), any_number(cell.as_bytes()));
            if cell.contains(':') || cell.matches('.').count() > 1 {
                prop_assert_eq!(any_number(cell.as_bytes()), Number::Other);
            }
        }
    }

    #[test]
    fn a_cell_is_a_number_none_or_something_else() {
        for (cell, n) in [("6", 6), (" 7 ", 7), ("+8", 8), ("-1", -1), ("2.9", 2), ("-2.9", -2), ("1e3", 1000)] {
            assert_eq!(number(cell.as_bytes()), Number::Is(n), "{cell}");
        }
        assert_eq!(number(b"9223372036854775807"), Number::Is(i64::MAX));
        for cell in ["", "nan", "NaN", "NULL", "N/A"] {
            assert_eq!(number(cell.as_bytes()), Number::None, "{cell}");
        }
        for cell in ["0x02", "inf", "TCP", "9223372036854775808", "1,5", " "] {
            assert_eq!(number(cell.as_bytes()), Number::Other, "{cell}");
        }
        assert_eq!(number(b"\xff"), Number::Other);
    }
}
