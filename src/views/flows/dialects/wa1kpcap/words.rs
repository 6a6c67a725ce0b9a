//! What payload says, as the original writes it: dicts in Python's notation, and names of protocols.

use std::collections::BTreeSet;

use crate::decode::packet::protocol;
use crate::payload::Fields;
use crate::payload::dns::Dns;
use crate::payload::tls::Tls;
use crate::sink::notation::string;
use crate::views::flows::{Cell, FlowRecord};

/// `{'version': '3.3', 'sni': ['example.org'], 'cert_subject': 'CN=example.org', 'cert_issuer': 'O=Example'}`: the version
/// that the server chose, and of its own certificate. Names that are not there are left out.
pub(super) fn tls(record: &FlowRecord) -> Cell<'_> {
    let Some(tls) = connection(record) else { return Cell::Absent };
    let mut dict = Dict::default();
    dict.text("version", tls.version.map(|version| format!("{}.{}", version >> 8, version & 255)).as_deref());
    if let Some(name) = &tls.sni {
        dict.texts("sni", [name.as_str()]);
    }
    if let Some(own) = tls.certificates.first() {
        dict.text("cert_subject", own.subject.as_deref());
        dict.text("cert_issuer", own.issuer.as_deref());
    }
    dict.finish().into()
}

/// `{'host': 'example.org', 'user_agent': None}`, of the first request.
pub(super) fn http(record: &FlowRecord) -> Cell<'_> {
    let Some(http) = said(record).and_then(|said| said.http.as_deref()) else { return Cell::Absent };
    let first = http.requests.first();
    let mut dict = Dict::default();
    dict.text("host", first.and_then(|request| request.host.as_deref()));
    dict.text("user_agent", first.and_then(|request| request.user_agent.as_deref()));
    dict.finish().into()
}

/// `{'queries': ['example.org']}`: all names asked for, each once.
pub(super) fn dns(record: &FlowRecord) -> Cell<'_> {
    let Some(dns) = said(record).and_then(|said| said.dns.as_deref()) else { return Cell::Absent };
    let mut dict = Dict::default();
    dict.texts("queries", questions(dns));
    dict.finish().into()
}

/// The protocols above that of the transport.
pub(super) fn protocols(record: &FlowRecord, mut word: impl FnMut(&'static str)) {
    let Some(said) = said(record) else { return };
    let mut found = |there: bool, name| {
        if there {
            word(name);
        }
    };
    let tls = connection(record);
    found(said.dns.is_some(), "DNS");
    found(said.http.is_some(), "HTTP");
    found(said.quic.is_some(), "QUIC");
    found(tls.is_some(), "TLS");
    found(tls.is_some_and(speaks_http), "HTTPS");
}

fn said(record: &FlowRecord) -> Option<&Fields> {
    record.app.as_deref()
}

/// TLS over TCP. The handshake inside QUIC is none for the original, and DTLS it does not know.
fn connection(record: &FlowRecord) -> Option<&Tls> {
    said(record).filter(|_| record.protocol == protocol::TCP)?.tls.as_deref()
}

/// HTTP was offered or chosen.
fn speaks_http(tls: &Tls) -> bool {
    let is_http = |name: &String| {
        let name = name.to_ascii_lowercase();
        name == "h2" || name == "http" || name.starts_with("http/")
    };
    tls.alpn_offered.iter().chain(&tls.alpn).any(is_http)
}

/// Names that were asked for, in order. What is announced without a question has no response code.
fn questions(dns: &Dns) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    let asked = dns.lookups.iter().filter(|lookup| lookup.queries > 0 || lookup.rcode.is_some());
    asked.map(|lookup| lookup.name.as_str()).filter(move |&name| seen.insert(name))
}

/// A dict under way.
#[derive(Default)]
struct Dict(String);

impl Dict {
    fn key(&mut self, key: &str) {
        self.0.push_str(if self.0.is_empty() { "{" } else { ", " });
        string(key, &mut self.0);
        self.0.push_str(": ");
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        match value {
            Some(value) => string(value, &mut self.0),
            None => self.0.push_str("None"),
        }
    }

    fn texts<'t>(&mut self, key: &str, values: impl IntoIterator<Item = &'t str>) {
        self.key(key);
        self.0.push('[');
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.0.push_str(", ");
            }
            string(value, &mut self.0);
        }
        self.0.push(']');
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
