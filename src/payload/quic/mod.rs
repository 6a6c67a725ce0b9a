//! QUIC: the version, and the TLS handshake inside its Initial packets, whose keys follow from what they show (RFC 9001,
//! section 5.2).
//!
//! CRYPTO frames may come in any order, in several packets and datagrams. Versions 1 and 2 are read, and drafts 23 to 34.

mod keys;
mod packet;
#[cfg(test)]
pub(super) mod seal;

pub use keys::{InitialKeys, Keys};
pub use packet::{LongHeader, Version};

use super::fields::Limits;
use super::protocol::Context;
use super::segment::End;
use super::stream::{Shown, Step, Stream};
use super::tls::{Carrier, Messages, kind, note_client_hello, note_server_hello};

/// What QUIC's own packets say; the handshake inside is in [`Tls`](super::tls::Tls).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quic {
    /// The version of the last Initial packet read: the server may change to another than the client began with.
    pub version: Version,
    /// Initial packets that were opened.
    pub initials: u32,
}

/// Initial packets of each direction that are tried before it is given up; one that does not open counts for several.
const PACKETS: u8 = 32;
const UNOPENED: u8 = 8;

/// Whether a datagram begins with an Initial packet of a version that is known.
pub(super) fn begins(bytes: &[u8]) -> bool {
    LongHeader::read(bytes).is_some_and(|header| header.version.is_known() && header.is_initial())
}

/// Reads both directions of a connection up to its hellos.
#[derive(Debug, Default)]
pub(super) struct QuicReader {
    keys: Option<InitialKeys>,
    client: Option<End>,
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// The crypto stream: its offsets are the sequence numbers.
    crypto: Option<Stream>,
    messages: Messages,
    packets: u8,
    done: bool,
}

impl QuicReader {
    /// Reads a datagram; false when nothing more is wanted.
    pub(super) fn read(&mut self, from: End, datagram: &[u8], context: &mut Context<'_>) -> bool {
        let mut rest = datagram;
        while let Some(header) = LongHeader::read(rest) {
            let (packet, after) = rest.split_at(header.end);
            if header.is_initial() {
                self.initial(from, &header, packet, context);
            }
            rest = after;
        }
        !self.sides.iter().all(|side| side.done || side.packets >= PACKETS)
    }

    fn initial(&mut self, from: End, header: &LongHeader<'_>, packet: &[u8], context: &mut Context<'_>) {
        let side = &mut self.sides[from as usize];
        if side.done || side.packets >= PACKETS || !header.version.is_known() {
            return;
        }
        side.packets += 1;
        let quic = context.fields.quic.get_or_insert_default();
        if quic.initials == 0 {
            quic.version = header.version;
        }
        let Some(payload) = self.open(from, header, packet) else {
            let side = &mut self.sides[from as usize];
            side.packets = side.packets.saturating_add(UNOPENED - 1);
            return;
        };
        let quic = context.fields.quic.get_or_insert_default();
        quic.version = header.version;
        quic.initials = quic.initials.saturating_add(1);
        let side = &mut self.sides[from as usize];
        packet::each_crypto(&payload, |offset, bytes| side.crypto(offset, bytes, context));
    }

    /// Opens an Initial packet with the connection's keys, or with those of its own destination id, which are the
    /// connection's when the client sends its first packet, or its first after a Retry.
    fn open(&mut self, from: End, header: &LongHeader<'_>, packet: &[u8]) -> Option<Vec<u8>> {
        if let (Some(keys), Some(client)) = (&mut self.keys, self.client) {
            // The client's keys are of the version of each packet (RFC 9369, section 4.1).
            keys.change(header.version)?;
            let direction = if from == client { &keys.client } else { &keys.server };
            let opened = direction.open(packet, header.number_at);
            if opened.is_some() || from != client {
                return opened;
            }
        }
        let keys = InitialKeys::new(header.version, header.destination)?;
        let payload = keys.client.open(packet, header.number_at)?;
        self.keys = Some(keys);
        self.client = Some(from);
        Some(payload)
    }
}

impl Side {
    /// Takes bytes of the crypto stream.
    fn crypto(&mut self, offset: u64, bytes: &[u8], context: &mut Context<'_>) {
        let limits: &Limits = context.limits;
        let Some(offset) = u32::try_from(offset).ok().filter(|&offset| (offset as usize) < limits.stream) else {
            return;
        };
        let stream = self.crypto.get_or_insert_with(|| Stream::new(Some(0)));
        let (messages, done) = (&mut self.messages, &mut self.done);
        stream.push(offset, bytes, 0, limits.stream, &mut |shown| {
            let Shown::Bytes(bytes) = shown else { return Step::Closed };
            messages.push(bytes, limits, &mut |message| match message.kind {
                kind::CLIENT_HELLO => {
                    note_client_hello(message.body, true, Carrier::Quic, context.fields, limits);
                    *done = true;
                }
                kind::SERVER_HELLO => {
                    note_server_hello(message.body, None, context.fields, limits);
                    *done = true;
                }
                _ => {}
            });
            if *done { Step::Closed } else { Step::Took(bytes.len() as u64) }
        });
    }
}
