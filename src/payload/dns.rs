//! DNS: names asked for, and what was answered; over UDP and TCP, mDNS and LLMNR.
//!
//! Whole messages are read by simple-dns. It refuses a message for one unknown query type, one damaged record or a missing
//! end; of such a message the questions are read here, and answers are left out.

use std::fmt::Write;

use simple_dns::rdata::RData;
use simple_dns::{Name, ResourceRecord};

use super::protocol::{Context, Foreign};
use super::stream::{Shown, Step};
use super::text::{plain, printable};
use crate::Timestamp;

/// What DNS messages say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dns {
    /// Questions with their answers, and announcements, in order.
    pub lookups: Vec<Lookup>,
    /// Query messages.
    pub queries: u32,
    /// Response messages.
    pub responses: u32,
}

/// One question and what became of it; or records that nobody asked for, as mDNS announces them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lookup {
    /// Message identifier.
    pub id: u16,
    /// The name; the root is `.`.
    pub name: String,
    /// The type asked for (1 is A).
    pub kind: u16,
    /// Queries with this question that had no response yet.
    pub queries: u32,
    /// Responses to it.
    pub responses: u32,
    /// Response code of the first response.
    pub rcode: Option<u8>,
    /// Data of the answers, in order.
    pub answers: Vec<String>,
    /// The lowest time to live of the answers, in seconds.
    pub ttl: Option<u32>,
    /// The time to live of the first A record among the answers, in seconds.
    pub a_ttl: Option<u32>,
    /// From the last query to the first response, in nanoseconds.
    pub latency: Option<i64>,
    /// When it was last asked.
    asked: Option<Timestamp>,
}

/// Bytes of a message header (RFC 1035, section 4.1.1).
pub(super) const HEADER: usize = 12;

/// The longest message whose answers are read. Pointers reach 16 KiB far, and hostile ones make reading cost as their
/// square.
const LONGEST: usize = 16 << 10;

/// Questions and records read of a message: comparing each with those of before is to stay cheap.
const QUESTIONS: usize = 32;
const RECORDS: usize = 128;

/// Pointers followed, and bytes, in a name of a message that simple-dns refuses.
const POINTERS: usize = 32;
const NAME: usize = 255;

/// Ports of DNS, mDNS and LLMNR.
pub(super) const PORTS: [u16; 3] = [53, 5353, 5355];

/// Whether bytes are a whole DNS message by content alone: a query or response with one ordinary question.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    let Some(&[_, _, flags, low, counts @ ..]) = bytes.first_chunk::<HEADER>() else { return false };
    let count = |at: usize| u16::from_be_bytes([counts[at], counts[at + 1]]);
    let (questions, answers, authorities, additional) = (count(0), count(2), count(4), count(6));
    let response = flags & 0x80 != 0;
    if flags & 0x78 != 0 || low & 0x40 != 0 || questions != 1 || (!response && answers > 0) {
        return false;
    }
    // A question has 5 bytes or more, a record 11.
    let records = usize::from(answers) + usize::from(authorities) + usize::from(additional);
    if HEADER + 5 + records * 11 > bytes.len() {
        return false;
    }
    let Some((_, kind, end)) = question(bytes, HEADER) else { return false };
    let class =
        bytes.get(end - 2..end).and_then(|class| class.first_chunk()).map_or(0, |class| u16::from_be_bytes(*class));
    let ordinary = matches!(kind, 1..=31 | 33..=65 | 249..=257) && matches!(class & 0x7fff, 1 | 3 | 255);
    ordinary && (records > 0 || end == bytes.len())
}

/// Reads DNS over TCP: messages behind their length (RFC 1035, section 4.2.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DnsReader;

impl DnsReader {
    pub(super) fn read(&mut self, shown: Shown<'_>, context: &mut Context<'_>) -> Result<Step, Foreign> {
        let bytes = match shown {
            Shown::Bytes(bytes) => bytes,
            // Where the next message begins is not known.
            Shown::Gap(rest) => {
                note(rest.get(2..).unwrap_or_default(), context);
                return Ok(Step::Closed);
            }
        };
        let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(Step::Wants(2)) };
        let length = usize::from(u16::from_be_bytes(*length));
        match rest.get(..length) {
            Some(message) => {
                note(message, context);
                Ok(Step::Took(2 + length as u64))
            }
            None => Ok(Step::Wants(2 + length)),
        }
    }
}

/// Whether bytes begin a DNS message behind its length; nothing where there are too few to tell.
pub(super) fn begins_over_tcp(bytes: &[u8], hinted: bool) -> Option<bool> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return if hinted { None } else { Some(false) } };
    let length = usize::from(u16::from_be_bytes(*length));
    if hinted {
        return Some(length >= HEADER);
    }
    Some(rest.get(..length).is_some_and(is_message))
}

/// Notes a message.
pub(super) fn note(message: &[u8], context: &mut Context<'_>) {
    let Some(header) = message.first_chunk::<HEADER>() else { return };
    let id = u16::from_be_bytes([header[0], header[1]]);
    let response = header[2] & 0x80 != 0;
    let dns = context.fields.dns.get_or_insert_default();
    let count = if response { &mut dns.responses } else { &mut dns.queries };
    *count = count.saturating_add(1);

    let rcode = header[3] & 15;
    let whole = (message.len() <= LONGEST).then(|| simple_dns::Packet::parse(message).ok()).flatten();
    let Some(packet) = whole else {
        let mut at = HEADER;
        for _ in 0..usize::from(u16::from_be_bytes([header[4], header[5]])).min(QUESTIONS) {
            let Some((name, kind, end)) = question(message, at) else { return };
            note_question(id, name, kind, response.then_some((rcode, &[][..])), context);
            at = end;
        }
        return;
    };
    let answers = &packet.answers[..packet.answers.len().min(RECORDS)];
    if packet.questions.is_empty() && response {
        note_announcement(id, answers, context);
    }
    for question in packet.questions.iter().take(QUESTIONS) {
        let answer = response.then_some((rcode, answers));
        note_question(id, name_text(&question.qname), u16::from(question.qtype), answer, context);
    }
}

/// Notes a question; with a response code and answers where it comes with a response.
fn note_question(
    id: u16,
    name: String,
    kind: u16,
    response: Option<(u8, &[ResourceRecord<'_>])>,
    context: &mut Context<'_>,
) {
    let time = context.time;
    let same = |lookup: &&mut Lookup| lookup.id == id && lookup.kind == kind && lookup.name == name;
    let Some((rcode, answers)) = response else {
        // A query repeated before it had an answer is the same lookup.
        let open = |lookup: &&mut Lookup| lookup.responses == 0 && same(lookup);
        let known = context.fields.dns.as_mut().and_then(|dns| dns.lookups.iter_mut().rev().find(open));
        if let Some(lookup) = known {
            lookup.queries = lookup.queries.saturating_add(1);
            lookup.asked = Some(time);
        } else if context.fields.room(context.limits) {
            let Some(name) = context.fields.text(name.as_bytes(), context.limits) else { return };
            let lookup = Lookup { id, name, kind, queries: 1, asked: Some(time), ..Lookup::default() };
            context.fields.dns.get_or_insert_default().lookups.push(lookup);
        }
        return;
    };
    let lookups = context.fields.dns.as_mut().map(|dns| &mut dns.lookups);
    let known = lookups.and_then(|lookups| lookups.iter_mut().rev().find(same));
    if let Some(lookup) = known {
        lookup.responses = lookup.responses.saturating_add(1);
        if lookup.responses > 1 {
            return;
        }
        lookup.rcode = Some(rcode);
        lookup.latency = lookup.asked.map(|asked| time.ns().saturating_sub(asked.ns()));
    } else {
        if !context.fields.room(context.limits) {
            return;
        }
        let Some(name) = context.fields.text(name.as_bytes(), context.limits) else { return };
        let lookup = Lookup { id, name, kind, responses: 1, rcode: Some(rcode), ..Lookup::default() };
        context.fields.dns.get_or_insert_default().lookups.push(lookup);
    }
    let texts: Vec<String> = answers
        .iter()
        .filter_map(|answer| context.fields.text(data_text(&answer.rdata).as_bytes(), context.limits))
        .collect();
    let ttl = answers.iter().map(|answer| answer.ttl).min();
    let a_ttl = answers.iter().find(|answer| matches!(answer.rdata, RData::A(_))).map(|answer| answer.ttl);
    let found = context.fields.dns.as_mut().and_then(|dns| {
        dns.lookups.iter_mut().rev().find(|lookup| lookup.id == id && lookup.kind == kind && lookup.name == name)
    });
    if let Some(lookup) = found {
        lookup.answers = texts;
        (lookup.ttl, lookup.a_ttl) = (ttl, a_ttl);
    }
}

/// Notes records that come without a question: one lookup a name and type, however often they are repeated.
fn note_announcement(id: u16, records: &[ResourceRecord<'_>], context: &mut Context<'_>) {
    for record in records {
        let (name, kind) = (name_text(&record.name), u16::from(record.rdata.type_code()));
        let data = data_text(&record.rdata);
        let lookups = context.fields.dns.as_mut().map(|dns| &mut dns.lookups);
        let same = |lookup: &&mut Lookup| lookup.queries == 0 && lookup.kind == kind && lookup.name == name;
        if let Some(lookup) = lookups.and_then(|lookups| lookups.iter_mut().find(same)) {
            lookup.ttl = lookup.ttl.min(Some(record.ttl));
            if lookup.answers.contains(&data) {
                lookup.responses = lookup.responses.saturating_add(1);
                continue;
            }
        } else {
            if !context.fields.room(context.limits) {
                continue;
            }
            let Some(name) = context.fields.text(name.as_bytes(), context.limits) else { continue };
            let ttl = Some(record.ttl);
            let lookup = Lookup { id, name, kind, responses: 1, ttl, ..Lookup::default() };
            context.fields.dns.get_or_insert_default().lookups.push(lookup);
        }
        let Some(data) = context.fields.text(data.as_bytes(), context.limits) else { continue };
        let lookups = context.fields.dns.as_mut().map(|dns| &mut dns.lookups);
        if let Some(lookup) = lookups.and_then(|lookups| lookups.iter_mut().find(same)) {
            lookup.answers.push(data);
        }
    }
}

/// Name, type and end of the question at `at`; nothing where it does not end in the message.
fn question(message: &[u8], at: usize) -> Option<(String, u16, usize)> {
    let mut name = String::new();
    let (mut at, mut end, mut pointers, mut length) = (at, None, 0, 0);
    loop {
        match *message.get(at)? {
            0 => break,
            low @ 1..=63 => {
                let label = message.get(at + 1..=at + usize::from(low))?;
                length += label.len() + 1;
                if length > NAME {
                    return None;
                }
                push_label(&mut name, label);
                at += 1 + usize::from(low);
            }
            high @ 0xc0.. => {
                pointers += 1;
                let target = usize::from(u16::from_be_bytes([high & 0x3f, *message.get(at + 1)?]));
                if pointers > POINTERS || target >= at {
                    return None;
                }
                end.get_or_insert(at + 2);
                at = target;
            }
            _ => return None,
        }
    }
    let end = end.unwrap_or(at + 1);
    let kind = u16::from_be_bytes(*message.get(end..end + 4)?.first_chunk()?);
    if name.is_empty() {
        name.push('.');
    }
    Some((name, kind, end + 4))
}

fn name_text(name: &Name<'_>) -> String {
    let mut text = String::with_capacity(64);
    for label in name.as_bytes() {
        push_label(&mut text, label);
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// Appends a label, dots and backslashes in it escaped (RFC 1035, section 5.1).
fn push_label(name: &mut String, label: &[u8]) {
    if !name.is_empty() {
        name.push('.');
    }
    if let Some(text) = plain(label).filter(|text| !text.contains(['.', '\\'])) {
        return name.push_str(text);
    }
    for chunk in label.utf8_chunks() {
        for c in chunk.valid().chars() {
            if matches!(c, '.' | '\\') {
                name.push('\\');
            }
            if c.is_control() {
                let _ = write!(name, "\\{:03}", u32::from(c));
            } else {
                name.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(name, "\\{byte:03}");
        }
    }
}

/// Record data as text, as in a zone file.
fn data_text(data: &RData<'_>) -> String {
    match data {
        RData::A(a) => std::net::Ipv4Addr::from(a.address).to_string(),
        RData::AAAA(a) => std::net::Ipv6Addr::from(a.address).to_string(),
        RData::NS(name) => name_text(&name.0),
        RData::CNAME(name) => name_text(&name.0),
        RData::PTR(name) => name_text(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, name_text(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, name_text(&srv.target)),
        RData::SOA(soa) => format!("{} {} {}", name_text(&soa.mname), name_text(&soa.rname), soa.serial),
        RData::TXT(txt) => {
            let strings = txt.iter_raw().map(|(key, value)| match value {
                Some(value) => format!("{}={}", printable(key), printable(value)),
                None => printable(key),
            });
            strings.collect::<Vec<_>>().join(" ")
        }
        RData::SVCB(svcb) => format!("{} {}", svcb.priority, name_text(&svcb.target)),
        RData::HTTPS(https) => format!("{} {}", https.priority, name_text(&https.target)),
        other => format!("TYPE{}", u16::from(other.type_code())),
    }
}
