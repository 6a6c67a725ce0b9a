//! DTLS 1.0 and 1.2 over UDP (RFC 6347): the handshake up to the first encrypted record, its messages put together from
//! their fragments.

use super::super::protocol::Context;
use super::super::segment::End;
use super::super::stream::{Shown, Step, Stream};
use super::fingerprint::Carrier;
use super::messages::kind;
use super::{note_certificates, note_client_hello, note_server_hello};

/// Bytes of a record header, and of a handshake message's.
const RECORD: usize = 13;
const MESSAGE: usize = 12;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;

/// Messages of one direction that may be incomplete at once.
const OPEN: usize = 8;

/// Whether a datagram begins with a handshake record of DTLS.
pub(in crate::payload) fn begins(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<{ RECORD + 1 }>() else { return false };
    let version = u16::from_be_bytes([header[1], header[2]]);
    header[0] == HANDSHAKE && matches!(version, 0xfeff | 0xfefd | 0x0100) && kind::exists(header[RECORD])
}

/// Reads both directions of a DTLS handshake.
#[derive(Debug, Default)]
pub(in crate::payload) struct DtlsReader {
    sides: [Side; 2],
    client: Option<End>,
}

#[derive(Debug, Default)]
struct Side {
    done: bool,
    open: Vec<Partial>,
}

/// A message whose fragments have not all come.
#[derive(Debug)]
struct Partial {
    number: u16,
    kind: u8,
    length: u32,
    fragments: Stream,
}

impl DtlsReader {
    /// Reads a datagram; false when nothing more is wanted.
    pub(in crate::payload) fn read(&mut self, from: End, datagram: &[u8], context: &mut Context<'_>) -> bool {
        let mut rest = datagram;
        while let Some((header, after)) = rest.split_first_chunk::<RECORD>() {
            let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
            let Some((content, after)) = after.split_at_checked(length) else { break };
            let encrypted = header[3..5] != [0, 0];
            let side = &mut self.sides[from as usize];
            match header[0] {
                _ if side.done => {}
                CHANGE_CIPHER_SPEC => side.done = true,
                _ if encrypted => side.done = true,
                HANDSHAKE => self.handshake(from, content, context),
                _ => {}
            }
            rest = after;
        }
        !self.sides.iter().all(|side| side.done)
    }

    fn handshake(&mut self, from: End, mut content: &[u8], context: &mut Context<'_>) {
        while let Some((header, after)) = content.split_first_chunk::<MESSAGE>() {
            let &[kind, a, b, c, n, m, d, e, f, x, y, z] = header;
            let length = u32::from_be_bytes([0, a, b, c]);
            let offset = u32::from_be_bytes([0, d, e, f]);
            let Some((fragment, after)) = after.split_at_checked(u32::from_be_bytes([0, x, y, z]) as usize) else {
                return;
            };
            content = after;
            let number = u16::from_be_bytes([n, m]);
            let wanted = matches!(kind, kind::CLIENT_HELLO | kind::SERVER_HELLO | kind::CERTIFICATE);
            if !wanted || length as usize > context.limits.stream {
                continue;
            }
            if fragment.len() == length as usize {
                self.note(from, kind, fragment, context);
            } else if let Some(body) =
                self.sides[from as usize].join(number, kind, length, offset, fragment, context.limits.stream)
            {
                self.note(from, kind, &body, context);
            }
        }
    }

    fn note(&mut self, from: End, kind: u8, body: &[u8], context: &mut Context<'_>) {
        let (fields, limits) = (&mut *context.fields, context.limits);
        match kind {
            kind::CLIENT_HELLO => {
                self.client.get_or_insert(from);
                if let Some(hello) = without_cookie(body) {
                    note_client_hello(&hello, true, Carrier::Dtls, fields, limits);
                }
            }
            kind::SERVER_HELLO => {
                self.client.get_or_insert(from.other());
                // tls-parser reads no version of DTLS, whose server hello is TLS's in all else.
                if let Some((version, rest)) = body.split_first_chunk() {
                    let hello = [&[3, 3], rest].concat();
                    note_server_hello(&hello, Some(u16::from_be_bytes(*version)), fields, limits);
                }
            }
            _ => note_certificates(body, self.client == Some(from), fields, limits),
        }
    }
}

impl Side {
    /// Takes a fragment; gives the message if that makes it whole.
    fn join(
        &mut self,
        number: u16,
        kind: u8,
        length: u32,
        offset: u32,
        fragment: &[u8],
        limit: usize,
    ) -> Option<Vec<u8>> {
        let same = |partial: &Partial| (partial.number, partial.kind, partial.length) == (number, kind, length);
        let at = self.open.iter().position(same).unwrap_or_else(|| {
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.open.push(Partial { number, kind, length, fragments: Stream::new(Some(0)) });
            self.open.len() - 1
        });
        let mut whole = None;
        if offset.checked_add(u32::try_from(fragment.len()).ok()?)? > length {
            return None;
        }
        self.open[at].fragments.push(offset, fragment, 0, limit, &mut |shown| match shown {
            Shown::Bytes(bytes) if bytes.len() < length as usize => Step::Wants(length as usize),
            Shown::Bytes(bytes) => {
                whole = Some(bytes.to_vec());
                Step::Closed
            }
            Shown::Gap(_) => Step::Closed,
        });
        whole
    }
}

/// A client hello as TLS has it: without the cookie behind the session id (RFC 6347, section 4.2.1).
fn without_cookie(body: &[u8]) -> Option<Vec<u8>> {
    let cookie = 35 + usize::from(*body.get(34)?);
    let after = cookie + 1 + usize::from(*body.get(cookie)?);
    Some([&body[..cookie], body.get(after..)?].concat())
}
