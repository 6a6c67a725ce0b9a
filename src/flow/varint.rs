//! Numbers as bytes, seven bits each, least first (LEB128), signed ones by zigzag: small magnitudes take few bytes.

/// Bytes of the longest number.
pub(crate) const LONGEST: usize = 10;

/// Writes a number at `at`, where [`LONGEST`] bytes must be free; returns where it ends.
#[inline]
pub(crate) fn put(bytes: &mut [u8], mut at: usize, mut number: u64) -> usize {
    while number >= 0x80 {
        bytes[at] = number as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    at + 1
}

/// Appends the first `end` bytes of a record to a list.
#[inline]
pub(crate) fn append<const N: usize>(list: &mut Vec<u8>, record: &[u8; N], end: usize) {
    if list.capacity() - list.len() >= N {
        // A copy of known length is a few instructions, one of any length is a call.
        let length = list.len() + end;
        list.extend_from_slice(record);
        list.truncate(length);
    } else {
        append_exactly(list, &record[..end]);
    }
}

/// Not inlined, or both copies become one again, of any length.
#[cold]
#[inline(never)]
fn append_exactly(list: &mut Vec<u8>, record: &[u8]) {
    list.extend_from_slice(record);
}

/// Takes a number from the front; 0 where there is none.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    let mut shift = 0;
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 || shift > 63 {
            break;
        }
    }
    number
}

/// 0, -1, 1, -2 ... as 0, 1, 2, 3 ...
#[inline]
pub(crate) fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

/// The number that [`zigzag`] made this of.
#[inline]
pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_as_they_went_in(n: i64, shift in 0..64) {
            let n = n >> shift;
            let mut bytes = [0; LONGEST];
            let end = put(&mut bytes, 0, zigzag(n));
            let mut rest = &bytes[..end];
            prop_assert_eq!(unzigzag(take(&mut rest)), n);
            prop_assert!(rest.is_empty());
        }
    }
}
