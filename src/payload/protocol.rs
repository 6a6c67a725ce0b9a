//! The protocols that can be read, one state each.

use super::commands::CommandsReader;
use super::detect::{self, Hint, Verdict};
use super::dns::{self, DnsReader};
use super::fields::{Fields, Limits};
use super::http::{self, HttpReader};
use super::quic::QuicReader;
use super::segment::{End, Segment};
use super::ssh::SshReader;
use super::stream::{Shown, Step};
use super::tls::TlsReader;
use super::tls::dtls::DtlsReader;
use super::{icmp, sctp};
use crate::Timestamp;

/// What a reader knows beside the bytes, and where it notes what they say.
#[derive(Debug)]
pub(super) struct Context<'c> {
    pub(super) time: Timestamp,
    /// Ports of the sender and of the receiver.
    pub(super) ports: [u16; 2],
    /// The end that opened the connection, where that was seen.
    pub(super) opener: Option<End>,
    pub(super) limits: &'c Limits,
    pub(super) fields: &'c mut Fields,
}

impl Context<'_> {
    /// Whether the sender is the client: who opened the connection, or who has the higher port.
    pub(super) fn is_client(&self, from: End) -> bool {
        self.opener.map_or(self.ports[0] > self.ports[1], |opener| opener == from)
    }
}

/// The bytes belong to another protocol, which takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// TLS: after STARTTLS, or in a proxy's tunnel.
    Tls,
}

/// A protocol over TCP, with what its reader remembers of both directions.
#[derive(Debug)]
pub(super) enum Dialogue {
    /// Too few bytes came to tell.
    Undecided(Hint),
    /// It is none of those that are read.
    Unknown,
    Tls(Box<TlsReader>),
    Http(Box<HttpReader>),
    Dns(DnsReader),
    Ssh(SshReader),
    Commands(CommandsReader),
}

impl Dialogue {
    /// Shows bytes of one direction to the reader.
    pub(super) fn read(&mut self, from: End, shown: Shown<'_>, context: &mut Context<'_>) -> Step {
        loop {
            let turn = match self {
                Dialogue::Undecided(hint) => {
                    let Shown::Bytes(bytes) = shown else { return Step::Took(1) };
                    match detect::stream(bytes, *hint) {
                        Verdict::Is(dialogue) => *self = dialogue,
                        Verdict::Unsure => return Step::Wants(bytes.len() + 1),
                        Verdict::No => *self = Dialogue::Unknown,
                    }
                    continue;
                }
                Dialogue::Unknown => return Step::Closed,
                Dialogue::Tls(reader) => return reader.read(from, shown, context.fields, context.limits),
                Dialogue::Http(reader) => reader.read(from, shown, context),
                Dialogue::Dns(reader) => reader.read(shown, context),
                Dialogue::Ssh(reader) => reader.read(from, shown, context),
                Dialogue::Commands(reader) => reader.read(from, shown, context),
            };
            match turn {
                Ok(step) => return step,
                Err(Foreign::Tls) => *self = Dialogue::Tls(Default::default()),
            }
        }
    }
}

/// A protocol in datagrams.
#[derive(Debug)]
pub(super) enum Datagrams {
    Dns,
    Http,
    Quic(Box<QuicReader>),
    Dtls(Box<DtlsReader>),
    Icmp,
    Sctp,
}

impl Datagrams {
    /// Reads a datagram; false when nothing more is wanted.
    pub(super) fn read(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> bool {
        let bytes = segment.payload;
        match self {
            Datagrams::Dns => dns::note(bytes, context),
            Datagrams::Http => http::note_datagram(bytes, context.fields, context.limits),
            Datagrams::Quic(reader) => return reader.read(segment.from, bytes, context),
            Datagrams::Dtls(reader) => return reader.read(segment.from, bytes, context),
            Datagrams::Icmp => icmp::note(bytes, context.fields, context.limits),
            Datagrams::Sctp => sctp::note(bytes, context.fields, context.limits),
        }
        true
    }
}
