//! Words that always stay: a lexicon of what injection and traversal attempts look like in a request target.
//!
//! An entry made of ASCII letters alone is a word, and matches a whole word. Every other entry is a pattern, and matches
//! anywhere. Both are sought without regard to ASCII case in the target as it stands and percent-decoded once and twice,
//! since an attacker's quote is `'`, `%27` or `%2527`. Only `%XX` is decoded; `+` needs no decoding, for it ends a word.
//!
//! A word ends where a token may end: at anything but a letter or a digit, `_` included. Letters and digits of other scripts
//! count as such (`señor` holds no `or`), while bytes that are no UTF-8 do not: databases take a bare A0 for a space.
//!
//! Time is linear in the target for a given lexicon, memory twice the target.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use percent_encoding::percent_decode;

/// The entries of the original, in its order.
pub const DEFAULT: [&str; 15] =
    ["or", "and", "union", "select", "sleep", "benchmark", "'", "\"", "--", ";", "/*", "*/", "%27", "%20or%20", ".."];

/// A list of entries, and what finds them.
#[derive(Debug)]
pub struct Lexicon {
    entries: Vec<String>,
    /// Entries in lower case with their numbers, in order.
    exact: Vec<(String, u16)>,
    /// Lengths of the entries, in bytes: bit `n` for `n` bytes, bit 63 for more.
    lengths: u64,
    /// The same of the words among them.
    word_lengths: u64,
    patterns: Vec<(memmem::Finder<'static>, u16)>,
}

impl Default for Lexicon {
    fn default() -> Self {
        Lexicon::new(DEFAULT)
    }
}

impl Lexicon {
    /// A lexicon of these entries, numbered in order.
    ///
    /// Empty entries and those that differ from an earlier one in ASCII case at most are left out, and so is what
    /// follows the first 65,536.
    pub fn new<I>(entries: I) -> Lexicon
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut lexicon =
            Lexicon { entries: Vec::new(), exact: Vec::new(), lengths: 0, word_lengths: 0, patterns: Vec::new() };
        for entry in entries {
            let entry: String = entry.into();
            let Ok(number) = u16::try_from(lexicon.entries.len()) else { break };
            let lower = entry.to_ascii_lowercase();
            let Err(place) = lexicon.exact.binary_search_by(|(text, _)| text.as_str().cmp(&lower)) else { continue };
            if lower.is_empty() {
                continue;
            }
            lexicon.lengths |= length_bit(lower.len());
            if lower.bytes().all(|byte| byte.is_ascii_lowercase()) {
                lexicon.word_lengths |= length_bit(lower.len());
            } else {
                lexicon.patterns.push((memmem::Finder::new(lower.as_bytes()).into_owned(), number));
            }
            lexicon.exact.insert(place, (lower, number));
            lexicon.entries.push(entry);
        }
        lexicon
    }

    /// The entry of this number, as it was given.
    #[must_use]
    pub fn entry(&self, number: u16) -> Option<&str> {
        self.entries.get(usize::from(number)).map(String::as_str)
    }

    /// The number of the entry that `token`, in lower case, is.
    #[must_use]
    pub fn number_of(&self, token: &str) -> Option<u16> {
        if self.lengths & length_bit(token.len()) == 0 {
            return None;
        }
        let place = self.exact.binary_search_by(|(text, _)| text.as_str().cmp(token)).ok()?;
        self.exact.get(place).map(|&(_, number)| number)
    }

    /// Calls `hit` with the number of each entry that `target` holds, as it stands or decoded; some numbers more than once.
    pub fn find(&self, target: &[u8], mut hit: impl FnMut(u16)) {
        let mut form: Cow<'_, [u8]> = Cow::Owned(target.to_ascii_lowercase());
        self.find_in(&form, &mut hit);
        for _ in 0..2 {
            if memchr(b'%', &form).is_none() {
                break;
            }
            // `%41` decodes to a capital, which the first pass did not lower.
            let decoded = percent_decode(&form).collect::<Vec<u8>>().to_ascii_lowercase();
            if decoded.len() == form.len() {
                break;
            }
            form = Cow::Owned(decoded);
            self.find_in(&form, &mut hit);
        }
    }

    fn find_in(&self, lower: &[u8], hit: &mut impl FnMut(u16)) {
        // Most targets lack a byte of most patterns, and one pass tells.
        let present = Bytes::of(lower);
        for (pattern, number) in &self.patterns {
            if present.hold(pattern.needle()) && pattern.find(lower).is_some() {
                hit(*number);
            }
        }
        if self.word_lengths == 0 {
            return;
        }
        for chunk in lower.utf8_chunks() {
            for word in chunk.valid().split(|c: char| !c.is_alphanumeric()) {
                if self.word_lengths & length_bit(word.len()) != 0
                    && let Some(number) = self.number_of(word)
                {
                    hit(number);
                }
            }
        }
    }
}

/// The set of bytes that a text is made of.
struct Bytes([u64; 4]);

impl Bytes {
    fn of(text: &[u8]) -> Bytes {
        let mut set = [0; 4];
        for &byte in text {
            set[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        Bytes(set)
    }

    fn hold(&self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1)
    }
}

fn length_bit(bytes: usize) -> u64 {
    1 << bytes.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(target: &str) -> Vec<&'static str> {
        let lexicon = Lexicon::default();
        let mut numbers = std::collections::BTreeSet::new();
        lexicon.find(target.as_bytes(), |number| {
            numbers.insert(number);
        });
        numbers.into_iter().map(|number| DEFAULT[usize::from(number)]).collect()
    }

    #[test]
    fn words_match_whole_and_in_any_case() {
        assert_eq!(hits("/a?x=1+OR+1"), ["or"]);
        assert_eq!(hits("/or"), ["or"]);
        assert_eq!(hits("/terms_and_conditions"), ["and"]);
        assert_eq!(hits("/order/word/for2/2or"), [""; 0]);
        assert_eq!(hits("/sleep(5)"), ["sleep"]);
    }

    #[test]
    fn letters_of_other_scripts_belong_to_words_and_stray_bytes_do_not() {
        assert_eq!(hits("/señor/se%C3%B1or"), [""; 0]);
        assert_eq!(hits("/1%A0union%a0select"), ["union", "select"]);
    }

    #[test]
    fn patterns_match_anywhere() {
        assert_eq!(hits("/a?q='x\"--;/*y*/"), ["'", "\"", "--", ";", "/*", "*/"]);
        assert_eq!(hits("/../../etc/passwd"), [".."]);
        assert_eq!(hits("/a,b-c/*"), ["/*"]);
    }

    #[test]
    fn encoded_entries_are_found_raw_and_decoded_once_and_twice() {
        assert_eq!(hits("/?q=%27"), ["'", "%27"]);
        assert_eq!(hits("/?q=%2527"), ["'", "%27"]);
        assert_eq!(hits("/?q=%252527"), ["%27"]);
        assert_eq!(hits("/?q=1%20OR%201"), ["or", "%20or%20"]);
        assert_eq!(hits("/?q=%53%45lect"), ["select"]);
        assert_eq!(hits("/%2e%2E/%252e%252E/"), [".."]);
        assert_eq!(hits("/100%"), [""; 0]);
    }

    #[test]
    fn entries_of_the_user_keep_their_case_and_their_first_number() {
        let lexicon = Lexicon::new(["Admin", "", "ADMIN", "%2E%2e"]);
        let mut numbers = Vec::new();
        lexicon.find(b"/admin%2e%2E", |number| numbers.push(number));
        assert_eq!(numbers, [1, 0, 0]);
        assert_eq!((lexicon.entry(0), lexicon.entry(1), lexicon.entry(2)), (Some("Admin"), Some("%2E%2e"), None));
        assert_eq!((lexicon.number_of("admin"), lexicon.number_of("Admin")), (Some(0), None));
    }
}
