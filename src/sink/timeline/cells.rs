//! Cells of rows. Most are so short that a copy of known length, cut off where the cell ends, is quicker than one that has the cell's: that is
//! a few instructions, the other a call.

use crate::sink::text::PAIRS;

/// Bytes of a cell that is short, and of any number with what follows it.
pub(super) const SHORT: usize = 32;

/// Appends the first bytes of a cell, `length` of them.
#[inline]
pub(super) fn put(cell: &[u8; SHORT], length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.extend_from_slice(cell);
    out.truncate(end);
}

/// Appends a number, and what follows it.
#[inline]
pub(super) fn number(n: i64, behind: u8, out: &mut Vec<u8>) {
    digits(n.unsigned_abs(), n < 0, behind, out);
}

/// Appends a number that is not negative, and what follows it.
#[inline]
pub(super) fn count(n: u64, behind: u8, out: &mut Vec<u8>) {
    digits(n, false, behind, out);
}

#[inline]
fn digits(mut left: u64, is_negative: bool, behind: u8, out: &mut Vec<u8>) {
    if left < 10 && !is_negative {
        return out.extend_from_slice(&[b'0' + left as u8, behind]);
    }
    // From the back. A copy from where it begins is within the text, wherever that is.
    let mut text = [0; 2 * SHORT];
    let mut at = SHORT - 1;
    text[at] = behind;
    while left >= 100 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(left % 100) as usize]);
        left /= 100;
    }
    if left >= 10 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[left as usize]);
    } else {
        at -= 1;
        text[at] = b'0' + left as u8;
    }
    if is_negative {
        at -= 1;
        text[at] = b'-';
    }
    let cell = text[at..].first_chunk::<SHORT>().expect("it begins in the first half of the text");
    put(cell, SHORT - at, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_decimal(n: i64, shift in 0..64, room in 0..100_usize) {
            let n = n >> shift;
            let mut out = Vec::with_capacity(room);
            number(n, b',', &mut out);
            count(n.unsigned_abs(), b'\n', &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{n},{}\n", n.unsigned_abs()));
        }
    }

    #[test]
    fn the_longest_numbers_fit() {
        let mut out = Vec::new();
        [0, 9, 10, 99, 100, i64::MIN, i64::MAX].into_iter().for_each(|n| number(n, b' ', &mut out));
        count(u64::MAX, b'.', &mut out);
        let expected = "0 9 10 99 100 -9223372036854775808 9223372036854775807 18446744073709551615.";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
