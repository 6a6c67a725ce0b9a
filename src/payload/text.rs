//! Text out of bytes: names, targets and banners as they may be shown and kept.

/// Printable UTF-8 as it is; every other byte as `\x` and two hexadecimal digits.
pub(super) fn printable(bytes: &[u8]) -> String {
    if let Some(text) = plain(bytes) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut utf8 = [0; 4];
                escape(&mut text, c.encode_utf8(&mut utf8).as_bytes());
            } else {
                text.push(c);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// Bytes as text, where they are printable ASCII; which is nearly always.
pub(super) fn plain(bytes: &[u8]) -> Option<&str> {
    if bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e)) { std::str::from_utf8(bytes).ok() } else { None }
}

fn escape(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        text.push_str("\\x");
        push_hex(text, byte);
    }
}

/// Appends a byte as two lower-case hexadecimal digits. Formatting machinery costs ten times as much, and fingerprints
/// write hundreds of digits.
pub(super) fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|&byte| push_hex(&mut text, byte));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        assert_eq!(printable("a b\u{e9}".as_bytes()), "a b\u{e9}");
        assert_eq!(printable(b"a\x00\xffb\n"), r"a\x00\xffb\x0a");
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
