//! Conversations built in code.

mod any;
mod bytes;
mod fragments;
mod lines;
mod packets;
mod web;

use super::*;
use crate::Timestamp;
use bytes::*;

/// Plays packets of one flow, and gives what they said.
pub(super) struct Play {
    conversation: Conversation,
    limits: Limits,
    protocol: u8,
    /// Ports of A and B.
    ports: [u16; 2],
    /// Next sequence numbers of A and B.
    next: [u32; 2],
    time: i64,
}

impl Play {
    /// A TCP connection that A opens.
    pub(super) fn tcp(ports: [u16; 2]) -> Play {
        let mut play = Play {
            conversation: Conversation::default(),
            limits: Limits::default(),
            protocol: 6,
            ports,
            // One of them wraps.
            next: [1000, u32::MAX - 40],
            time: 0,
        };
        play.send(End::A, 0x02, &[]);
        play.send(End::B, 0x12, &[]);
        play.next = play.next.map(|next| next.wrapping_add(1));
        play
    }

    /// Datagrams.
    pub(super) fn datagrams(protocol: u8, ports: [u16; 2]) -> Play {
        Play { protocol, ..Play::tcp(ports) }.fresh()
    }

    fn fresh(mut self) -> Play {
        self.conversation = Conversation::default();
        self
    }

    fn send(&mut self, from: End, flags: u8, payload: &[u8]) {
        let seq = self.next[from as usize];
        self.at(from, seq, flags, payload, 0);
    }

    /// A packet with any sequence number.
    pub(super) fn at(&mut self, from: End, seq: u32, flags: u8, payload: &[u8], cut: u32) {
        let [a, b] = self.ports;
        let ports = if from == End::A { [a, b] } else { [b, a] };
        let segment =
            Segment { from, time: Timestamp(self.time), protocol: self.protocol, ports, seq, flags, payload, cut };
        self.conversation.push(&segment, &self.limits);
    }

    /// The next payload of an end.
    pub(super) fn say(mut self, from: End, payload: &[u8]) -> Play {
        self.time += 1_000;
        self.send(from, 0x18, payload);
        let next = &mut self.next[from as usize];
        *next = next.wrapping_add(payload.len() as u32);
        self
    }

    /// Payload of an end that was not captured.
    pub(super) fn lose(mut self, from: End, bytes: u32) -> Play {
        let next = &mut self.next[from as usize];
        *next = next.wrapping_add(bytes);
        self
    }

    pub(super) fn end(self) -> Option<Fields> {
        self.conversation.finish(&self.limits).map(|fields| *fields)
    }
}

/// What a connection says to which A and B each say one thing.
pub(super) fn dialogue(ports: [u16; 2], a: &[u8], b: &[u8]) -> Option<Fields> {
    Play::tcp(ports).say(End::A, a).say(End::B, b).end()
}

/// What is in a column, as JSON.
pub(super) fn cell(fields: &Fields, name: &str) -> serde_json::Value {
    serde_json::to_value(fields).unwrap()[name].clone()
}

#[test]
fn a_conversation_is_small_and_boxed_only_when_recognised() {
    assert!(size_of::<Conversation>() <= 24, "{} bytes", size_of::<Conversation>());
    let play = Play::tcp([50_000, 9999]).say(End::A, b"\x01\x02\x03 nothing known").say(End::B, b"\xff");
    assert!(play.conversation.fields().is_none());
    assert_eq!(play.end(), None);
}

#[test]
fn columns_have_names_of_their_own_and_say_what_they_hold() {
    let mut names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COLUMNS.len());
    assert!(COLUMNS.iter().all(|column| !column.about.is_empty()));
    let nothing = Fields::default();
    assert_eq!(serde_json::to_string(&nothing).unwrap(), "{}");
}

#[test]
fn a_column_holds_what_was_said_and_absent_ones_are_left_out() {
    let fields = dialogue([50_000, 443], &client_hello("example.org"), &server_hello(0x1301, true)).unwrap();
    assert_eq!(cell(&fields, "app"), serde_json::json!(["tls"]));
    assert_eq!(cell(&fields, "tls_sni"), "example.org");
    assert_eq!(cell(&fields, "tls_version"), "TLS 1.3");
    assert_eq!(cell(&fields, "tls_cipher"), 0x1301);
    assert_eq!(cell(&fields, "http_method"), serde_json::Value::Null);
}
