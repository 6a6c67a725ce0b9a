//! JSON as Python's `json.dump(..., indent=2)` lays it out: an item a line, nothing but ASCII, no line feed at the end.

use std::fmt::Write as _;

use crate::error::Result;
use crate::sink::folder::Part;

/// Text under way.
#[derive(Debug)]
pub(super) struct Json {
    text: Vec<u8>,
    /// What parts two items of the innermost container: a comma, and the begin of the next line.
    between: Vec<u8>,
    /// Nothing is in the innermost container yet.
    empty: bool,
    /// The file that takes long text, and why it took no more.
    to: Option<(Part, Result<()>)>,
}

/// Bytes of text that wait for a file at most, but for one item.
const GATHER: usize = 64 << 10;

impl Default for Json {
    fn default() -> Json {
        Json { text: Vec::new(), between: b",\n".to_vec(), empty: false, to: None }
    }
}

impl Json {
    /// Text that goes into a file as it grows.
    pub(super) fn to(file: Part) -> Json {
        Json { to: Some((file, Ok(()))), ..Json::default() }
    }

    /// Writes what is left into the file.
    ///
    /// # Errors
    /// It could not be written, now or before.
    pub(super) fn finish(mut self) -> Result<()> {
        self.hand_over();
        let Some((file, written)) = self.to else { return Ok(()) };
        written.and_then(|()| file.close())
    }

    fn hand_over(&mut self) {
        if let Some((file, written)) = &mut self.to {
            if written.is_ok() {
                *written = file.append(&self.text);
            }
            self.text.clear();
        }
    }

    /// The text since the last call.
    #[cfg(test)]
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Bytes of text that wait to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.text.len()
    }

    /// Hands the text on, of which none waits then.
    pub(super) fn hand_on(&mut self, to: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        let handed = to(&self.text);
        self.text.clear();
        handed
    }

    /// For a value that is laid out already.
    pub(super) fn laid_out(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    pub(super) fn open(&mut self, bracket: u8) {
        self.text.push(bracket);
        self.between.extend_from_slice(b"  ");
        self.empty = true;
    }

    pub(super) fn close(&mut self, bracket: u8) {
        self.between.truncate(self.between.len().saturating_sub(2).max(2));
        if !self.empty {
            self.text.extend_from_slice(&self.between[1..]);
        }
        self.text.push(bracket);
        self.empty = false;
    }

    /// The next item of an array begins.
    pub(super) fn item(&mut self) {
        if self.text.len() >= GATHER {
            self.hand_over();
        }
        let comma = usize::from(std::mem::take(&mut self.empty));
        self.text.extend_from_slice(&self.between[comma..]);
    }

    /// The next member of an object begins; its name is plain.
    pub(super) fn key(&mut self, name: &'static str) {
        self.item();
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\": ");
    }

    /// The next member of an object begins, of any name.
    pub(super) fn key_of(&mut self, name: &str) {
        self.item();
        self.string(name);
        self.text.extend_from_slice(b": ");
    }

    pub(super) fn integer(&mut self, n: impl itoa::Integer) {
        self.text.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    pub(super) fn string(&mut self, text: &str) {
        string(text, &mut self.text);
    }

    pub(super) fn null(&mut self) {
        self.text.extend_from_slice(b"null");
    }

    pub(super) fn int(&mut self, name: &'static str, n: impl itoa::Integer) {
        self.key(name);
        self.integer(n);
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.key(name);
        self.string(text);
    }

    pub(super) fn flag(&mut self, name: &'static str, flag: bool) {
        self.key(name);
        self.text.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    pub(super) fn int_or_null(&mut self, name: &'static str, n: Option<i64>) {
        self.key(name);
        match n {
            Some(n) => self.integer(n),
            None => self.null(),
        }
    }

    pub(super) fn text_or_null(&mut self, name: &'static str, text: Option<&str>) {
        self.key(name);
        match text {
            Some(text) => self.string(text),
            None => self.null(),
        }
    }
}

/// A number in decimal. Flags, protocols and counts often have one digit.
pub(super) fn integer(n: i64, out: &mut Vec<u8>) {
    match u8::try_from(n) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
    }
}

/// A string with everything but printable ASCII escaped, what is beyond 16 bits as two surrogates.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            ' '..='~' => out.push(c as u8),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            _ => {
                let mut escaped = String::new();
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
                out.extend_from_slice(escaped.as_bytes());
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3: `json.dumps({"a": [], "b": {}, "c": [1, {"d": None}], "e": True}, indent=2)`.
    #[test]
    fn it_is_laid_out_as_by_python() {
        let mut json = Json::default();
        json.open(b'{');
        json.key("a");
        json.open(b'[');
        json.close(b']');
        json.key("b");
        json.open(b'{');
        json.close(b'}');
        json.key("c");
        json.open(b'[');
        json.item();
        json.integer(1);
        json.item();
        json.open(b'{');
        json.int_or_null("d", None);
        json.close(b'}');
        json.close(b']');
        json.flag("e", true);
        json.close(b'}');
        let expected = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"d\": null\n    }\n  ],\n  \"e\": true\n}";
        assert_eq!(String::from_utf8(json.take()).unwrap(), expected);
    }

    #[test]
    fn a_number_is_decimal() {
        for n in [0, 9, 10, 255, -1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            integer(n, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }

    /// Python 3: `json.dumps('a"b\\c/\n\r\t\b\f\x00\x1f\x7f\xe9\u2028\U0001f600')`.
    #[test]
    fn a_string_is_ascii() {
        let mut out = Vec::new();
        string("a\"b\\c/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}é\u{2028}😀", &mut out);
        let expected = r#""a\"b\\c/\n\r\t\b\f\u0000\u001f\u007f\u00e9\u2028\ud83d\ude00""#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
