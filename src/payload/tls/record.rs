//! The record layer over TCP.

use super::super::fields::{Fields, Limits};
use super::super::segment::End;
use super::super::stream::{Shown, Step};
use super::fingerprint::Carrier;
use super::messages::{Message, Messages, kind};
use super::{note_certificates, note_client_hello, note_server_hello};

/// Bytes of a record header.
const HEADER: usize = 5;
/// The longest record: 2^14 bytes and what encryption may add (RFC 5246, section 6.2.3).
const MAX_RECORD: u16 = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Whether bytes begin a record with a handshake message in it; nothing where there are too few to tell.
pub(in crate::payload) fn begins(bytes: &[u8]) -> Option<bool> {
    let checks: [fn(u8) -> bool; 6] =
        [|b| b == HANDSHAKE, |b| b == 3, |b| b <= 4, |b| b <= (MAX_RECORD >> 8) as u8, |_| true, kind::exists];
    if !bytes.iter().zip(checks).all(|(&byte, check)| check(byte)) {
        return Some(false);
    }
    (bytes.len() >= checks.len()).then_some(true)
}

/// Whether bytes begin a record of encrypted data, as in a connection that was there before the capture. A seal has 16 bytes.
pub(in crate::payload) fn goes_on(bytes: &[u8]) -> bool {
    matches!(bytes, &[APPLICATION_DATA, 3, 1..=3, high, low, ..] if (17..=MAX_RECORD).contains(&u16::from_be_bytes([high, low])))
}

/// Whether bytes begin an alert that is not encrypted. Servers send warnings in front of their hello.
fn warns(bytes: &[u8]) -> bool {
    matches!(bytes, [ALERT, 3, 0..=4, 0, 2, 1 | 2, ..])
}

/// Reads both directions of a TLS connection over TCP.
#[derive(Clone, Debug, Default)]
pub(in crate::payload) struct TlsReader {
    sides: [Side; 2],
    /// The end that sent the client hello.
    client: Option<End>,
}

#[derive(Clone, Debug, Default)]
struct Side {
    at: Place,
    messages: Messages,
}

/// Where in the record layer a direction is.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// Not in it: looks for a record at the start of segments.
    #[default]
    Outside,
    /// In front of a record header.
    Header,
    /// In a handshake record, with this many bytes left.
    Handshake(u16),
}

impl TlsReader {
    pub(in crate::payload) fn read(
        &mut self,
        from: End,
        shown: Shown<'_>,
        fields: &mut Fields,
        limits: &Limits,
    ) -> Step {
        let TlsReader { sides, client } = self;
        let side = &mut sides[from as usize];
        let mut each = |message: Message<'_>| note(message, from, client, fields, limits);
        let bytes = match shown {
            Shown::Bytes(bytes) => bytes,
            Shown::Gap(_) => {
                side.messages.end(&mut each);
                side.at = Place::Outside;
                return Step::Took(1);
            }
        };
        match side.at {
            Place::Outside if goes_on(bytes) => {
                fields.tls.get_or_insert_default();
                return Step::Closed;
            }
            Place::Outside if warns(bytes) => side.at = Place::Header,
            Place::Outside => match begins(bytes) {
                Some(true) => side.at = Place::Header,
                Some(false) => return Step::Took(bytes.len() as u64),
                None => return Step::Wants(bytes.len() + 1),
            },
            Place::Handshake(left) => {
                let here = bytes.len().min(usize::from(left));
                side.messages.push(&bytes[..here], limits, &mut each);
                let left = left - here as u16;
                side.at = if left == 0 { Place::Header } else { Place::Handshake(left) };
                return Step::Took(here as u64);
            }
            Place::Header => {}
        }
        let Some(&[content, major, _, high, low]) = bytes.first_chunk::<HEADER>() else {
            return Step::Wants(HEADER);
        };
        let length = u16::from_be_bytes([high, low]);
        if major != 3 || !(CHANGE_CIPHER_SPEC..=24).contains(&content) || length > MAX_RECORD {
            side.at = Place::Outside;
            return Step::Took(bytes.len() as u64);
        }
        match content {
            HANDSHAKE => {
                side.at = if length == 0 { Place::Header } else { Place::Handshake(length) };
                Step::Took(HEADER as u64)
            }
            // Encrypted from here on, but in front of a second hello, where the change means nothing.
            CHANGE_CIPHER_SPEC if !second_hello_follows(fields) => Step::Closed,
            APPLICATION_DATA => Step::Closed,
            _ => Step::Took(HEADER as u64 + u64::from(length)),
        }
    }
}

fn second_hello_follows(fields: &Fields) -> bool {
    fields.tls.as_ref().is_some_and(|tls| tls.hello_retry && tls.version.is_none())
}

fn note(message: Message<'_>, from: End, client: &mut Option<End>, fields: &mut Fields, limits: &Limits) {
    match message.kind {
        kind::CLIENT_HELLO => {
            client.get_or_insert(from);
            note_client_hello(message.body, message.whole, Carrier::Tcp, fields, limits);
        }
        kind::SERVER_HELLO => {
            client.get_or_insert(from.other());
            note_server_hello(message.body, None, fields, limits);
        }
        kind::CERTIFICATE => note_certificates(message.body, *client == Some(from), fields, limits),
        _ => {}
    }
}
