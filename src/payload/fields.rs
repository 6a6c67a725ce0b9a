//! What was found in a flow's payload.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::columns::COLUMNS;
use super::commands::Commands;
use super::dns::Dns;
use super::http::Http;
use super::icmp::Icmp;
use super::quic::Quic;
use super::sctp::Sctp;
use super::ssh::Ssh;
use super::text::printable;
use super::tls::Tls;

/// What the payload of one flow said, by protocol.
///
/// [`COLUMNS`] lists it as flat columns. Serialised, it is a map of those columns that hold something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields {
    /// TLS, DTLS, and the handshake inside QUIC.
    pub tls: Option<Box<Tls>>,
    /// HTTP/1 over TCP, and its messages in datagrams (SSDP).
    pub http: Option<Box<Http>>,
    /// DNS, mDNS and LLMNR.
    pub dns: Option<Box<Dns>>,
    /// QUIC.
    pub quic: Option<Box<Quic>>,
    /// SSH.
    pub ssh: Option<Box<Ssh>>,
    /// FTP.
    pub ftp: Option<Box<Commands>>,
    /// SMTP.
    pub smtp: Option<Box<Commands>>,
    /// IMAP.
    pub imap: Option<Box<Commands>>,
    /// POP3.
    pub pop: Option<Box<Commands>>,
    /// ICMP and ICMPv6.
    pub icmp: Option<Box<Icmp>>,
    /// SCTP.
    pub sctp: Option<Box<Sctp>>,
    /// Places where TCP payload was missing and reading went on behind.
    pub gaps: u32,
    /// Things found but not kept, because the flow had used up its share of memory.
    pub left_out: u32,
    /// Memory used by what is kept.
    pub(super) kept: Kept,
}

/// How much a flow's fields hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Kept {
    items: usize,
    text: usize,
}

/// Bounds on the memory of one flow, and on what is worked out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that wait to be read, each direction: TCP segments ahead of their turn, and headers that are not complete.
    /// What is longer is not read, so below a few hundred bytes hardly anything is. Default 64 KiB.
    pub stream: usize,
    /// Requests, responses, names, commands and certificates kept. Default 256.
    pub items: usize,
    /// Bytes of text kept, with 24 for each piece. Default 64 KiB.
    pub text: usize,
    /// Whether hellos are fingerprinted and certificates read whole and hashed. Otherwise only subject and issuer are read,
    /// of the first certificate of a chain. Default true.
    pub details: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { stream: 64 << 10, items: 256, text: 64 << 10, details: true }
    }
}

impl Fields {
    /// Whether there is room for one more thing; if not, it is counted as left out.
    pub(super) fn room(&mut self, limits: &Limits) -> bool {
        let room = self.kept.items < limits.items;
        if room {
            self.kept.items += 1;
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
        room
    }

    /// Bytes as text to keep; nothing where the share of text is used up, which is counted.
    pub(super) fn text(&mut self, bytes: &[u8], limits: &Limits) -> Option<String> {
        // Empty ones cost memory too.
        let cost = bytes.len() + size_of::<String>();
        if self.kept.text + cost > limits.text {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        let text = printable(bytes);
        self.kept.text += text.len() + size_of::<String>();
        Some(text)
    }

    /// The protocols found, outermost first.
    #[must_use]
    pub fn apps(&self) -> Vec<&'static str> {
        let found = [
            (self.icmp.is_some(), "icmp"),
            (self.sctp.is_some(), "sctp"),
            (self.ftp.is_some(), "ftp"),
            (self.smtp.is_some(), "smtp"),
            (self.imap.is_some(), "imap"),
            (self.pop.is_some(), "pop"),
            (self.ssh.is_some(), "ssh"),
            (self.dns.is_some(), "dns"),
            (self.http.is_some(), "http"),
            (self.quic.is_some(), "quic"),
            (self.tls.is_some(), "tls"),
        ];
        found.iter().filter(|(found, _)| *found).map(|&(_, name)| name).collect()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for column in COLUMNS {
            let cell = (column.cell)(self);
            if !cell.is_absent() {
                map.serialize_entry(column.name, &cell)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_text_run_out_and_empty_text_costs_too() {
        let limits = Limits { items: 1, text: 100, ..Limits::default() };
        let mut fields = Fields::default();
        assert!(fields.room(&limits) && !fields.room(&limits));
        assert_eq!((0..10).filter_map(|_| fields.text(b"", &limits)).count(), 4);
        assert_eq!(fields.text(b"much longer than what is left", &limits), None);
        assert_eq!(fields.left_out, 1 + 6 + 1);
    }
}
