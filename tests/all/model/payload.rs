//! What the client's payload says: commands of FTP and SMB, words of HTTP targets.

use std::collections::{BTreeMap, BTreeSet};

use pcap_compactor::app::ftp::Ftp;
use pcap_compactor::app::notes::{Body, Notes};
use pcap_compactor::app::sample::MAX_TOKEN_BYTES;
use pcap_compactor::app::smb::Smb;
use pcap_compactor::app::{Enricher, Segment};
use pcap_compactor::config::Config;
use pcap_compactor::decode::Packet;
use pcap_compactor::table::key::FiveTuple;

use super::{Section, Seen, Tokens, flow_of};

pub(super) fn section(
    service: &str,
    client: &[usize],
    packets: &[&Seen],
    ports: &[(u16, u16, u8)],
    config: &Config,
) -> Section {
    let mut segments: Vec<usize> =
        client.iter().copied().filter(|&at| packets[at].protocol == 6 && !packets[at].payload.is_empty()).collect();
    match service {
        "ftp" => commands(&Ftp, "ftp", &segments, packets),
        "smb" => commands(&Smb, "smb", &segments, packets),
        "http" => {
            segments.sort_by_key(|&at| (packets[at].time, flow_of(packets[at], ports[at])));
            http(&segments, packets, ports, config)
        }
        _ => Section::None,
    }
}

fn commands(enricher: &dyn Enricher, name: &'static str, segments: &[usize], packets: &[&Seen]) -> Section {
    let mut counts = BTreeMap::new();
    for &at in segments {
        let packet = Packet::default();
        let mut notes = Notes::default();
        let segment = Segment { payload: &packets[at].payload, packet: &packet, flow: FiveTuple::of(&packet).0 };
        enricher.read(&segment, &mut notes);
        if let Some(section) = enricher.finish(notes) {
            let Body::Counts(found) = section.body else { panic!("{name} counts") };
            for (verb, n) in found {
                *counts.entry(verb.to_owned()).or_default() += n;
            }
        }
    }
    if counts.is_empty() { Section::None } else { Section::Counts(name, counts) }
}

fn http(segments: &[usize], packets: &[&Seen], ports: &[(u16, u16, u8)], config: &Config) -> Section {
    let lexicon = &config.http_always_keep_lexicon;
    let mut marks = BTreeSet::new();
    let mut others = Vec::new();
    let mut total = 0;
    for &at in segments {
        for (start, target) in targets(&packets[at].payload) {
            for form in forms(target) {
                for (number, entry) in lexicon.iter().enumerate() {
                    if holds(&form, entry) {
                        marks.insert(number);
                    }
                }
            }
            for (place, token) in words(target) {
                total += 1;
                match lexicon.iter().position(|entry| entry.to_ascii_lowercase() == token) {
                    Some(number) => {
                        marks.insert(number);
                    }
                    None => {
                        let flow = flow_of(packets[at], ports[at]);
                        let token = cut(token, MAX_TOKEN_BYTES);
                        others.push((packets[at].time, flow, start + place, token));
                    }
                }
            }
        }
    }
    if total == 0 && marks.is_empty() {
        return Section::None;
    }
    others.sort();
    Section::Tokens(Tokens {
        budget: (config.http_uri_token_budget as usize).saturating_sub(marks.len()),
        marks: marks.into_iter().map(|number| lexicon[number].clone()).collect(),
        others: others.into_iter().map(|(.., token)| token).collect(),
        total,
    })
}

const METHODS: [&str; 10] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "CONNECT", "TRACE"];

/// The request targets of a segment that starts with a request, with the places where they start.
fn targets(payload: &[u8]) -> Vec<(usize, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut expects_request = true;
    for line in payload.split(|&byte| byte == b'\n') {
        let start = at;
        at += line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if expects_request {
            let method = METHODS.iter().find(|method| line.starts_with(format!("{method} ").as_bytes()));
            if let Some(method) = method {
                let target = &line[method.len() + 1..];
                let end = target.windows(6).position(|six| six == b" HTTP/").unwrap_or(target.len());
                found.push((start + method.len() + 1, &target[..end]));
            } else if start == 0 {
                return Vec::new();
            }
        }
        expects_request = line.is_empty();
    }
    found
}

/// The target as it stands, decoded once, and decoded twice; in lower case.
fn forms(target: &[u8]) -> [Vec<u8>; 3] {
    let once = percent_decoded(target);
    let twice = percent_decoded(&once);
    [target.to_ascii_lowercase(), once.to_ascii_lowercase(), twice.to_ascii_lowercase()]
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// Words match whole, everything else anywhere.
fn holds(form: &[u8], entry: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    if entry.bytes().any(|byte| !byte.is_ascii_alphabetic()) {
        return form.windows(entry.len()).any(|window| window == entry.as_bytes());
    }
    // Bytes that are no UTF-8 end a word.
    let text: Vec<String> = form.utf8_chunks().map(|chunk| chunk.valid().to_owned()).collect();
    text.iter().any(|text| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == entry))
}

/// The tokens of a target in lower case, with the places where they start. Bytes that are no UTF-8 are dropped.
fn words(target: &[u8]) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    let mut at = 0;
    for chunk in target.utf8_chunks() {
        for c in chunk.valid().chars() {
            let separator = "/?&=+%.:-_#\x1c\x1d\x1e\x1f".contains(c) || c.is_whitespace();
            if separator {
                open = false;
            } else if open {
                found.last_mut().expect("a token is open").1.push(c);
            } else {
                found.push((at, c.to_string()));
                open = true;
            }
            at += c.len_utf8();
        }
        at += chunk.invalid().len();
    }
    for (_, token) in &mut found {
        *token = token.to_lowercase();
    }
    found
}

/// The text, or as much of it as fits so many bytes.
fn cut(mut text: String, most: usize) -> String {
    while text.len() > most {
        text.pop();
    }
    text
}
