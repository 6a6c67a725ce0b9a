//! Keys that an object of JSON has twice, which readers of JSON do not tell: they take the last.
//!
//! The text is looked at as it is read by whoever takes its values. Of each object that is open there are the hashes of its keys.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;

use hashbrown::HashSet;

use super::findings::Findings;
use super::print;

/// Objects and arrays inside one another that are looked at: readers refuse more.
const DEEPEST: usize = 128;

/// Bytes of a key that are looked at: readers refuse elements as long as that.
const LONGEST: usize = 1 << 20;

/// A set of keys that is kept for the next object; a larger one would be slow to empty.
const SPARE: usize = 64;

/// What was found, by file.
#[derive(Clone, Debug, Default)]
pub(super) struct Twice(Rc<RefCell<BTreeMap<String, Keys>>>);

/// Of the keys of one file that come twice, the first, where it comes again, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Keys {
    name: String,
    at: u64,
    count: u64,
}

impl Twice {
    /// Looks at text as it is read.
    pub(super) fn watch<R: Read>(&self, file: &str, text: R) -> Watched<R> {
        Watched { text, file: file.to_owned(), scan: Scan::default(), twice: self.clone() }
    }

    /// Looks at text that is there.
    pub(super) fn look(&self, file: &str, text: &str) {
        let mut scan = Scan::default();
        text.bytes().for_each(|byte| scan.byte(byte));
        self.note(file, &scan);
    }

    fn note(&self, file: &str, scan: &Scan) {
        if let Some(keys) = &scan.found {
            // A file that is read again says the same.
            self.0.borrow_mut().insert(file.to_owned(), keys.clone());
        }
    }

    /// Tells of what was found.
    pub(super) fn tell(&self, findings: &mut Findings) {
        for (file, Keys { name, at, count }) in &*self.0.borrow() {
            let others = if *count > 1 { format!(", and so are {} others", count - 1) } else { String::new() };
            let what = format_args!("the key {name:?} is in its object for the second time at byte {at}{others}");
            findings.of_kind("twice", file, what, "viewers take the last");
        }
    }
}

/// Text of JSON that is read.
pub(super) struct Watched<R> {
    text: R,
    file: String,
    scan: Scan,
    twice: Twice,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.text.read(buffer)?;
        buffer.iter().take(n).for_each(|&byte| self.scan.byte(byte));
        Ok(n)
    }
}

impl<R> Drop for Watched<R> {
    fn drop(&mut self) {
        self.twice.note(&self.file, &self.scan);
    }
}

/// What is open where one reads.
#[derive(Debug, Default)]
enum Inside {
    #[default]
    Nothing,
    String,
    /// Behind a backslash.
    Escape,
}

/// How far text was looked at. What is no JSON is told by who reads it.
#[derive(Debug, Default)]
struct Scan {
    at: u64,
    inside: Inside,
    /// Objects, and arrays between them, that are open; the first so many of `keys` are of them.
    open: Vec<bool>,
    keys: Vec<HashSet<u64>>,
    /// A string would be a key.
    expects_key: bool,
    key: Vec<u8>,
    found: Option<Keys>,
}

impl Scan {
    fn byte(&mut self, byte: u8) {
        self.at += 1;
        match (&self.inside, byte) {
            (Inside::Nothing, b'"') => {
                self.key.clear();
                self.inside = Inside::String;
            }
            (Inside::Nothing, b'{' | b'[') => self.begin(byte == b'{'),
            (Inside::Nothing, b'}' | b']') => {
                self.open.pop();
                self.expects_key = false;
            }
            (Inside::Nothing, b',') => self.expects_key = self.open.last() == Some(&true),
            (Inside::Nothing, b':') => self.expects_key = false,
            (Inside::Nothing, _) => {}
            (Inside::String, b'"') => {
                self.inside = Inside::Nothing;
                self.end_key();
            }
            (inside, _) => {
                let escapes = matches!(inside, Inside::String) && byte == b'\\';
                self.inside = if escapes { Inside::Escape } else { Inside::String };
                if self.expects_key && self.key.len() < LONGEST {
                    self.key.push(byte);
                }
            }
        }
    }

    fn begin(&mut self, is_object: bool) {
        self.open.push(is_object);
        self.expects_key = is_object;
        if !is_object || self.open.len() > DEEPEST {
            return;
        }
        self.keys.resize_with(self.keys.len().max(self.open.len()), HashSet::new);
        let Some(keys) = self.keys.get_mut(self.open.len() - 1) else { return };
        if keys.capacity() > SPARE { *keys = HashSet::new() } else { keys.clear() }
    }

    fn end_key(&mut self) {
        if !std::mem::take(&mut self.expects_key) {
            return;
        }
        // One key may be written in several ways.
        if self.key.contains(&b'\\')
            && let Ok(plain) = serde_json::from_slice::<String>(&[b"\"", &self.key[..], b"\""].concat())
        {
            self.key = plain.into_bytes();
        }
        let Some(keys) = self.keys.get_mut(self.open.len() - 1) else { return };
        if keys.insert(print(&self.key[..])) {
            return;
        }
        match &mut self.found {
            Some(found) => found.count += 1,
            None => {
                let name = String::from_utf8_lossy(&self.key).into_owned();
                self.found = Some(Keys { name, at: self.at, count: 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(String, u64)> {
        let mut scan = Scan::default();
        text.bytes().for_each(|byte| scan.byte(byte));
        scan.found.map(|keys| (keys.name, keys.count))
    }

    #[test]
    fn a_key_comes_once_in_an_object_however_it_is_written() {
        for text in [
            r#"{"a": 1, "b": {"a": 1}, "c": [{"a": "a"}, {"a": ["a", "a"]}]}"#,
            r#"[{"a\"": ",\"a\":", "a": "\\"}, {"a": 1}, "a", "a"]"#,
            r#"{"\u0061b": 1, "a": {}, "b": [], "": 0}"#,
            "[1, \"a\", \"a\"]}]{\"a\":",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        for (text, name, count) in [
            (r#"{"a": 1, "a": 1}"#, "a", 1),
            (r#"[{"a": {"b": [1], "b": 2}}]"#, "b", 1),
            (r#"{"x": {"y": {}}, "z": [{}, {"a": 0, "\u0061": 0, "a": 0}]}"#, "a", 2),
            (r#"{"a\\": "}", "b": "{", "a\\": 0}"#, "a\\", 1),
        ] {
            assert_eq!(found(text), Some((name.to_owned(), count)), "{text}");
        }
        let deep = "[{\"a\":".repeat(200) + "{\"b\": 1, \"b\": 2}";
        assert_eq!(found(&deep), None, "readers refuse it");
    }
}
