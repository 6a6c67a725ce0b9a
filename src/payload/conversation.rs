//! The state of one flow: what it is, if that is known, and what it has said.

use super::detect::{self, Hint, Verdict};
use super::fields::{Fields, Limits};
use super::protocol::{Context, Datagrams, Dialogue};
use super::segment::{End, Segment};
use super::stream::Stream;
use crate::Timestamp;
use crate::decode::packet::{protocol, tcp_flag};

/// Packets with payload of each direction whose first bytes are looked at before a flow is given up. More than one,
/// since TLS may follow other words: a greeting, a proxy's handshake, a request to encrypt.
pub const ATTEMPTS: u8 = 8;

/// What is known of a flow's payload.
#[derive(Debug, Default)]
pub struct Conversation(State);

#[derive(Debug)]
enum State {
    /// Nothing is recognised yet.
    Opening(Opening),
    /// A protocol is recognised, or its first bytes are being waited for.
    Reading(Box<Reading>),
}

impl Default for State {
    fn default() -> State {
        State::Opening(Opening::default())
    }
}

/// A flow in which nothing is recognised.
#[derive(Clone, Copy, Debug, Default)]
struct Opening {
    /// The next sequence number of each direction, as far as it is known.
    next: [Option<u32>; 2],
    /// Looks taken at each direction.
    attempts: [u8; 2],
    /// The end that sent the SYN.
    opener: Option<End>,
}

#[derive(Debug)]
struct Reading {
    fields: Fields,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Connection(Box<Connection>),
    Datagrams(Datagrams),
    /// Nothing more is wanted.
    Done,
}

/// A TCP connection with a reader.
#[derive(Debug)]
struct Connection {
    streams: [Stream; 2],
    dialogue: Dialogue,
    opening: Opening,
    /// The ports of the ends.
    ports: [u16; 2],
    /// When its last packet came.
    last: Timestamp,
}

impl Conversation {
    /// Takes the flow's next packet, in capture order.
    pub fn push(&mut self, segment: &Segment<'_>, limits: &Limits) {
        match &mut self.0 {
            State::Reading(reading) => reading.push(segment, limits),
            State::Opening(opening) => {
                if segment.protocol != protocol::TCP && segment.payload.is_empty() {
                    return;
                }
                let Some(reader) = opening.recognise(segment, limits) else { return };
                let mut reading = Box::new(Reading { fields: Fields::default(), reader });
                reading.push(segment, limits);
                self.0 = State::Reading(reading);
            }
        }
        self.forget_unknown(segment.from);
    }

    /// The flow has ended: what it said, if anything was recognised.
    #[must_use]
    pub fn finish(self, limits: &Limits) -> Option<Box<Fields>> {
        let State::Reading(mut reading) = self.0 else { return None };
        reading.finish(limits);
        let fields = reading.fields;
        (!fields.apps().is_empty()).then(|| Box::new(fields))
    }

    /// What was found so far. Streams that wait for missing bytes have not said all.
    #[must_use]
    pub fn fields(&self) -> Option<&Fields> {
        match &self.0 {
            State::Reading(reading) => Some(&reading.fields),
            State::Opening(_) => None,
        }
    }

    /// Goes back to looking where bytes that were waited for turned out to be nothing known.
    fn forget_unknown(&mut self, from: End) {
        let State::Reading(reading) = &self.0 else { return };
        if let Reader::Connection(connection) = &reading.reader
            && matches!(connection.dialogue, Dialogue::Unknown)
        {
            let mut opening = connection.opening;
            opening.next = [connection.streams[0].next(), connection.streams[1].next()];
            opening.attempts[from as usize] += 1;
            self.0 = State::Opening(opening);
        }
    }
}

impl Opening {
    /// Looks at a packet; gives a reader where it is recognised, or where its bytes must wait for others.
    fn recognise(&mut self, segment: &Segment<'_>, limits: &Limits) -> Option<Reader> {
        let from = segment.from as usize;
        if segment.protocol != protocol::TCP {
            if self.attempts[from] >= ATTEMPTS {
                return None;
            }
            let found = detect::datagram(segment).map(Reader::Datagrams);
            self.attempts[from] += u8::from(found.is_none());
            return found;
        }
        if segment.flags & tcp_flag::SYN != 0 {
            let answers = segment.flags & tcp_flag::ACK != 0;
            self.opener = Some(if answers { segment.from.other() } else { segment.from });
            self.next[from].get_or_insert(segment.first_byte());
        }
        if self.attempts[from] >= ATTEMPTS || segment.payload.is_empty() {
            return None;
        }
        let first = segment.first_byte();
        let ahead = self.next[from].map_or(0, |next| first.wrapping_sub(next) as i32);
        let near = (ahead.unsigned_abs() as usize) < limits.stream;
        if ahead < 0 && near {
            return None;
        }
        let hint = Hint::of(segment);
        let dialogue = if ahead > 0 && near && self.attempts[from] == 0 {
            // Its turn has not come: what the direction begins with may tell. Later on, nothing is worth the memory.
            Dialogue::Undecided(hint)
        } else {
            match detect::stream(segment.payload, hint) {
                Verdict::Is(dialogue) => dialogue,
                Verdict::Unsure => Dialogue::Undecided(hint),
                Verdict::No => {
                    self.attempts[from] += 1;
                    let length = u32::try_from(segment.payload.len()).unwrap_or(u32::MAX);
                    self.next[from] = Some(first.wrapping_add(length).wrapping_add(segment.cut));
                    return None;
                }
            }
        };
        if !near {
            self.next[from] = Some(first);
        }
        let streams = self.next.map(Stream::new);
        let [source, destination] = segment.ports;
        let ports = if segment.from == End::A { [source, destination] } else { [destination, source] };
        Some(Reader::Connection(Box::new(Connection { streams, dialogue, opening: *self, ports, last: segment.time })))
    }
}

impl Reading {
    fn push(&mut self, segment: &Segment<'_>, limits: &Limits) {
        let wanted = match &mut self.reader {
            Reader::Done => return,
            Reader::Datagrams(datagrams) => {
                let fields = &mut self.fields;
                let mut context = Context { time: segment.time, ports: segment.ports, opener: None, limits, fields };
                datagrams.read(segment, &mut context)
            }
            Reader::Connection(connection) => {
                connection.push(segment, limits, &mut self.fields);
                connection.is_open()
            }
        };
        if !wanted {
            self.done();
        }
    }

    fn finish(&mut self, limits: &Limits) {
        if let Reader::Connection(connection) = &mut self.reader {
            connection.finish(limits, &mut self.fields);
        }
        self.done();
    }

    /// Lets go of everything but the fields.
    fn done(&mut self) {
        if let Reader::Connection(connection) = &self.reader {
            self.fields.gaps = connection.streams.iter().map(Stream::gaps).sum();
        }
        self.reader = Reader::Done;
    }
}

impl Connection {
    fn push(&mut self, segment: &Segment<'_>, limits: &Limits, fields: &mut Fields) {
        let from = segment.from;
        self.last = segment.time;
        let mut context =
            Context { time: segment.time, ports: segment.ports, opener: self.opening.opener, limits, fields };
        let dialogue = &mut self.dialogue;
        self.streams[from as usize].push(
            segment.first_byte(),
            segment.payload,
            segment.cut,
            limits.stream,
            &mut |shown| dialogue.read(from, shown, &mut context),
        );
    }

    /// Whether anything is still wanted of either direction.
    fn is_open(&self) -> bool {
        matches!(self.dialogue, Dialogue::Unknown) || !self.streams.iter().all(Stream::is_closed)
    }

    fn finish(&mut self, limits: &Limits, fields: &mut Fields) {
        for from in [End::A, End::B] {
            let ports = [self.ports[from as usize], self.ports[from.other() as usize]];
            let mut context = Context { time: self.last, ports, opener: self.opening.opener, limits, fields };
            let dialogue = &mut self.dialogue;
            self.streams[from as usize].finish(limits.stream, &mut |shown| dialogue.read(from, shown, &mut context));
        }
    }
}
