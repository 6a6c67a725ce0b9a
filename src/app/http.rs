//! HTTP/1 request targets, as tokens.
//!
//! Read are segments that start with a request line, and in them every further request line that follows a blank one
//! (pipelining). Requests that start elsewhere, and those of HTTP/2, are not seen. Of a request only its target is read:
//! what stands between the method's space and ` HTTP/`, or the rest of the line where that is missing (a line cut by the
//! segment or the snap length, HTTP/0.9).
//!
//! A target's tokens are what is left between white space and the characters `/ ? & = + % . : - _ #`, in lower case, with
//! bytes that are no UTF-8 dropped. Nothing is decoded and nothing is deduplicated. Which of them stay is decided by
//! [`Sample`](super::sample::Sample); entries of the [`Lexicon`] that a target holds always stay.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::Enricher;
use super::lexicon::Lexicon;
use super::notes::{Body, Notes, Section, Segment};
use super::sample::{self, Draws};

/// The count of token occurrences, those that equal a lexicon entry included.
const TOKENS: &str = "tokens";

/// Reads request targets.
#[derive(Debug)]
pub struct Http {
    lexicon: Lexicon,
    budget: usize,
    capacity: usize,
    seed: u64,
}

impl Http {
    /// A reader that lets about `budget` tokens a record stay, lexicon entries among them, drawn with `seed`.
    #[must_use]
    pub fn new(lexicon: Lexicon, budget: usize, seed: u64) -> Http {
        Http { lexicon, budget, capacity: sample::capacity(budget), seed }
    }

    fn read_target(&self, target: &[u8], start: usize, segment: &Segment<'_>, draws: &Draws, notes: &mut Notes) {
        self.lexicon.find(target, |number| {
            notes.marks.insert(number);
        });
        let mut tokens = 0;
        for_each_token(target, |at, token| {
            tokens += 1;
            // Such a token has its mark; were it sampled too, the record could hold it twice.
            if let Some(number) = self.lexicon.number_of(&lower(token)) {
                notes.marks.insert(number);
                return;
            }
            let position = u32::try_from(start + at).unwrap_or(u32::MAX);
            notes.sample.add(self.capacity, draws, segment, position, || lower(token).into_owned());
        });
        if tokens > 0 {
            *notes.counts.entry(TOKENS).or_default() += tokens;
        }
    }
}

impl Enricher for Http {
    fn services(&self) -> &[&str] {
        &["http"]
    }

    #[inline]
    fn read(&self, segment: &Segment<'_>, notes: &mut Notes) {
        if method(segment.payload).is_some() {
            let draws = Draws::of(self.seed, segment);
            for_each_target(segment.payload, |start, target| self.read_target(target, start, segment, &draws, notes));
        }
    }

    fn finish(&self, notes: Notes) -> Option<Section> {
        if notes.is_empty() {
            return None;
        }
        let total = notes.counts.get(TOKENS).copied().unwrap_or(0);
        let mut tokens: Vec<String> =
            notes.marks.iter().filter_map(|&number| self.lexicon.entry(number)).map(str::to_owned).collect();
        let (others, sampled) = notes.sample.finish(self.budget.saturating_sub(tokens.len()));
        tokens.extend(others);
        Some(Section { name: "http", body: Body::Tokens { tokens, total, sampled } })
    }
}

/// Length of the request method at the start of `bytes`, its space included.
#[inline]
fn method(bytes: &[u8]) -> Option<usize> {
    let methods: &[&[u8]] = match bytes.first()? {
        b'G' => &[b"GET "],
        b'P' => &[b"POST ", b"PUT ", b"PATCH ", b"PROPFIND "],
        b'H' => &[b"HEAD "],
        b'D' => &[b"DELETE "],
        b'O' => &[b"OPTIONS "],
        b'C' => &[b"CONNECT "],
        b'T' => &[b"TRACE "],
        _ => return None,
    };
    methods.iter().find(|method| bytes.starts_with(method)).map(|method| method.len())
}

/// Calls `each` with the start and the bytes of every target in a payload that starts with a request.
fn for_each_target(payload: &[u8], mut each: impl FnMut(usize, &[u8])) {
    let marker = memmem::Finder::new(b" HTTP/");
    let mut after_blank = true;
    let mut start = 0;
    while let Some(rest) = payload.get(start..).filter(|rest| !rest.is_empty()) {
        let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
        let next = start + line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if after_blank && let Some(method) = method(line) {
            let target = &line[method..];
            each(start + method, &target[..marker.find(target).unwrap_or(target.len())]);
        }
        // Several blank lines are one: servers ignore empty lines before a request (RFC 9112, section 2.2).
        after_blank = line.is_empty();
        start = next;
    }
}

/// Calls `each` with the place and the text of every token of a target, in order.
fn for_each_token(target: &[u8], mut each: impl FnMut(usize, &str)) {
    match str::from_utf8(target) {
        Ok(text) => for_each_word(text, &mut each),
        Err(_) => {
            let mut text = String::with_capacity(target.len());
            // How far a byte of the text stands before its place in the target, from which byte of the text on.
            let mut dropped = Vec::new();
            let mut gap = 0;
            for chunk in target.utf8_chunks() {
                dropped.push((text.len(), gap));
                text.push_str(chunk.valid());
                gap += chunk.invalid().len();
            }
            let mut chunks = dropped.into_iter().peekable();
            let mut gap = 0;
            for_each_word(&text, &mut |at, word| {
                while let Some((_, here)) = chunks.next_if(|&(from, _)| from <= at) {
                    gap = here;
                }
                each(at + gap, word);
            });
        }
    }
}

fn for_each_word(text: &str, each: &mut impl FnMut(usize, &str)) {
    let mut start = 0;
    for (at, separator) in text.char_indices().filter(|&(_, c)| separates(c)) {
        if start < at {
            each(start, &text[start..at]);
        }
        start = at + separator.len_utf8();
    }
    if start < text.len() {
        each(start, &text[start..]);
    }
}

/// The original's separators, and white space as its language has it: Unicode's and the four ASCII separators.
fn separates(c: char) -> bool {
    matches!(c, '/' | '?' | '&' | '=' | '+' | '%' | '.' | ':' | '-' | '_' | '#' | '\x1c'..='\x1f') || c.is_whitespace()
}

fn lower(token: &str) -> Cow<'_, str> {
    if token.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(token)
    } else {
        Cow::Owned(token.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::lexicon::DEFAULT;
    use crate::decode::packet::Packet;
    use crate::table::key::FiveTuple;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn read(http: &Http, notes: &mut Notes, payload: &[u8], ns: i64) {
        let packet =
            Packet { src: 1, dst: 2, src_port: 40_000, dst_port: 80, time: Timestamp(ns), ..Packet::default() };
        http.read(&Segment { payload, packet: &packet, flow: FiveTuple::of(&packet).0 }, notes);
    }

    fn section(payload: &[u8], budget: usize) -> Option<(Vec<String>, u64, bool)> {
        let http = Http::new(Lexicon::default(), budget, 42);
        let mut notes = Notes::default();
        read(&http, &mut notes, payload, 1);
        match http.finish(notes)? {
            Section { name: "http", body: Body::Tokens { tokens, total, sampled } } => Some((tokens, total, sampled)),
            other => unreachable!("{other:?}"),
        }
    }

    fn tokens(payload: &[u8]) -> Vec<String> {
        section(payload, 1000).map(|(tokens, ..)| tokens).unwrap_or_default()
    }

    #[test]
    fn a_target_is_split_at_the_original_separators_and_lowered() {
        assert_eq!(
            tokens(b"GET /A/b.PHP?x=1&y_z=%7a+c:d-e#F HTTP/1.1\r\n\r\n"),
            ["a", "b", "php", "x", "1", "y", "z", "7a", "c", "d", "e", "f"]
        );
        assert_eq!(tokens(b"OPTIONS * HTTP/1.1\r\n"), ["*"]);
        assert_eq!(tokens(b"CONNECT host:443 HTTP/1.1\r\n"), ["host", "443"]);
        assert_eq!(tokens("GET /É\u{a0}x\x1cy HTTP/1.1\r\n".as_bytes()), ["é", "x", "y"]);
    }

    #[test]
    fn a_cut_line_gives_what_there_is() {
        assert_eq!(tokens(b"GET /a/b HTT"), ["a", "b", "htt"]);
        assert_eq!(tokens(b"GET /a\n"), ["a"]);
        assert_eq!(tokens(b"GET  HTTP/1.0\r\n"), [""; 0]);
        assert_eq!(tokens(b"GET "), [""; 0]);
    }

    #[test]
    fn only_requests_are_read() {
        for payload in
            [&b"HTTP/1.1 200 OK\r\n\r\nGET /a HTTP/1.1\r\n"[..], b"get /a HTTP/1.1", b"GETS /a", b"PRI * HTTP/2.0"]
        {
            assert_eq!(section(payload, 40), None);
        }
    }

    #[test]
    fn pipelined_requests_are_read_after_blank_lines_only() {
        let payload =
            b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPUT /b HTTP/1.1\r\nGET /no HTTP/1.1\r\n\r\n\r\nHEAD /c\n\nGET /d";
        assert_eq!(tokens(payload), ["a", "b", "c", "d"]);
    }

    #[test]
    fn invalid_bytes_are_dropped_and_positions_stay_those_of_the_payload() {
        let mut found = Vec::new();
        for_each_token(b"/a\xff\xfeb/\xffc/\xf0\x9fd", |at, token| found.push((at, token.to_owned())));
        assert_eq!(found, [(1, "ab".to_owned()), (7, "c".to_owned()), (11, "d".to_owned())]);
    }

    #[test]
    fn lexicon_entries_come_first_and_once_and_stay() {
        let payload = b"GET /x?q=%27%20or%201=1--&b=union HTTP/1.1\r\n\r\nGET /union/or HTTP/1.1\r\n\r\n";
        let (tokens, total, sampled) = section(payload, 40).unwrap();
        let expected = ["or", "union", "'", "--", "%27", "%20or%20", "x", "q", "27", "20or", "201", "1", "b"];
        assert_eq!(tokens, expected);
        assert_eq!((total, sampled), (10, false));
        let (tokens, total, sampled) = section(payload, 2).unwrap();
        assert_eq!((tokens.len(), total, sampled), (6, 10, true));
    }

    #[test]
    fn marks_alone_make_a_section() {
        assert_eq!(section(b"GET /.. HTTP/1.1\r\n", 40), Some((vec!["..".to_owned()], 0, false)));
    }

    #[test]
    fn the_budget_is_what_the_entries_leave() {
        let http = Http::new(Lexicon::new(DEFAULT), 40, 42);
        let mut notes = Notes::default();
        for i in 0..2000 {
            read(&http, &mut notes, format!("GET /t{i}?a=x%27 HTTP/1.1\r\n\r\n").as_bytes(), i);
        }
        let Some(Section { body: Body::Tokens { tokens, total, sampled }, .. }) = http.finish(notes) else {
            unreachable!()
        };
        assert_eq!((total, sampled), (8000, true));
        assert_eq!(tokens[..2], ["'", "%27"]);
        assert!((15..70).contains(&tokens.len()), "{}", tokens.len());
    }

    #[test]
    fn a_token_that_is_an_entry_in_any_spelling_is_its_mark_and_is_not_sampled() {
        let (tokens, total, _) = section("GET /x.OR.y/benchmar\u{212a} HTTP/1.1\r\n".as_bytes(), 40).unwrap();
        assert_eq!((tokens, total), (["or", "benchmark", "x", "y"].map(String::from).to_vec(), 4));
    }

    /// What the documentation says a token is, in the plainest words there are.
    fn plain_tokens(target: &[u8]) -> Vec<String> {
        let text: String = target.utf8_chunks().map(|chunk| chunk.valid()).collect();
        let text = text.replace(|c| "/?&=+%.:-_#\x1c\x1d\x1e\x1f".contains(c), " ").to_lowercase();
        text.split_whitespace().map(str::to_owned).collect()
    }

    proptest! {
        #[test]
        fn tokens_are_those_of_the_plain_description(
            target in prop::collection::vec(
                prop_oneof![any::<u8>(), Just(b'/'), Just(b'%'), Just(0xce), Just(0xa3), b'a'..b'f', b'A'..b'F'], 0..80,
            )
        ) {
            let mut found = Vec::new();
            for_each_token(&target, |at, token| {
                // A token stands where it is said to, but for bytes dropped inside it.
                assert_eq!(target[at], token.as_bytes()[0]);
                found.push(lower(token).into_owned());
            });
            prop_assert_eq!(found, plain_tokens(&target));
        }

        #[test]
        fn neither_the_order_of_segments_nor_their_split_over_notes_shows(
            segments in prop::collection::vec(("[a-c%27.]{0,12}", 0_i64..4, 0_usize..3), 1..40),
            budget in 1_usize..30,
        ) {
            let http = Http::new(Lexicon::default(), budget, 42);
            let mut whole = Notes::default();
            let mut parts = vec![Notes::default(); 3];
            for (target, ns, _) in &segments {
                read(&http, &mut whole, format!("GET /{target}/x/y HTTP/1.1\r\n\r\n").as_bytes(), *ns);
            }
            for (target, ns, part) in segments.iter().rev() {
                read(&http, &mut parts[*part], format!("GET /{target}/x/y HTTP/1.1\r\n\r\n").as_bytes(), *ns);
            }
            let mut merged = Notes::default();
            parts.into_iter().rev().for_each(|part| merged.merge(part));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(http.finish(merged), http.finish(whole));
        }

        #[test]
        fn any_bytes_behind_a_method_are_read(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            section(&[b"GET ", &payload[..], b"\n\nPUT ", &payload[..]].concat(), 40);
        }
    }
}
