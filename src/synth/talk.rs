//! A conversation on one 5-tuple: a script of steps, and the state that turns each into a frame.

use std::vec::IntoIter;

use super::frame::{Frame, Host, Noise, Tcp, Way};
use crate::decode::packet::tcp_flag::{ACK, FIN, RST, SYN};

/// The PSH bit, which the engine has no use for.
const PSH: u8 = 0x08;

/// A microsecond in nanoseconds.
pub(super) const MICRO: u64 = 1000;
/// A millisecond in nanoseconds.
pub(super) const MILLI: u64 = 1_000_000;
/// A second in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Tcp,
    Udp,
    Echo,
}

/// Payload: bytes that mean something, then noise.
#[derive(Debug, Default)]
pub(super) struct Payload {
    pub(super) head: Box<[u8]>,
    pub(super) noise: u16,
    pub(super) at: u16,
}

impl Payload {
    pub(super) fn bytes(head: impl Into<Vec<u8>>) -> Payload {
        Payload { head: head.into().into_boxed_slice(), noise: 0, at: 0 }
    }

    fn length(&self) -> u32 {
        self.head.len() as u32 + u32::from(self.noise)
    }
}

/// One packet of a script.
#[derive(Debug)]
struct Step {
    /// Nanoseconds behind the step before.
    gap: u64,
    up: bool,
    flags: u8,
    payload: Payload,
}

/// The packets of a conversation, before they are sent.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Step>);

impl Script {
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn step(&mut self, gap: u64, up: bool, flags: u8, payload: Payload) {
        self.0.push(Step { gap, up, flags, payload });
    }

    /// The three-way handshake.
    pub(super) fn open(&mut self, round_trip: u64) {
        self.step(0, true, SYN, Payload::default());
        self.step(round_trip, false, SYN | ACK, Payload::default());
        self.step(30 * MICRO, true, ACK, Payload::default());
    }

    /// A segment with data.
    pub(super) fn data(&mut self, gap: u64, up: bool, payload: Payload) {
        self.step(gap, up, PSH | ACK, payload);
    }

    /// A segment without data.
    pub(super) fn ack(&mut self, gap: u64, up: bool) {
        self.step(gap, up, ACK, Payload::default());
    }

    /// The client closes, the server follows.
    pub(super) fn close(&mut self, round_trip: u64) {
        self.step(2 * MILLI, true, FIN | ACK, Payload::default());
        self.step(round_trip, false, FIN | ACK, Payload::default());
        self.ack(40 * MICRO, true);
    }

    /// A probe that gets an RST, a SYN+ACK that it resets, or nothing.
    pub(super) fn probe(&mut self, answer: Answer, round_trip: u64) {
        self.step(0, true, SYN, Payload::default());
        match answer {
            Answer::Nothing => {}
            Answer::Reset => self.step(round_trip, false, RST | ACK, Payload::default()),
            Answer::Open => {
                self.step(round_trip, false, SYN | ACK, Payload::default());
                self.step(25 * MICRO, true, RST, Payload::default());
            }
        }
    }

    fn duration(&self) -> u64 {
        self.0.iter().map(|step| step.gap).sum()
    }

    /// Shortens the gaps so that it takes less than `room`.
    pub(super) fn squeeze(&mut self, room: u64) {
        let duration = self.duration();
        if duration >= room {
            for step in &mut self.0 {
                step.gap = (u128::from(step.gap) * u128::from(room) / (u128::from(duration) + 1)) as u64;
            }
        }
    }
}

/// What a probed port does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Reset,
    Open,
}

/// Who talks, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    pub(super) client: Host,
    pub(super) server: Host,
    pub(super) ports: [u16; 2],
    pub(super) vlan: Option<u16>,
    pub(super) carrier: Carrier,
}

/// A conversation under way.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) parties: Parties,
    /// Whether SYN segments carry options.
    options: bool,
    steps: IntoIter<Step>,
    next: Option<Step>,
    /// Sequence numbers, the client's first.
    seq: [u32; 2],
    id: [u16; 2],
    sent: u16,
}

impl Talk {
    pub(super) fn new(parties: Parties, script: Script, options: bool, bits: u64) -> Talk {
        let mut steps = script.0.into_iter();
        let next = steps.next();
        let seq = [bits as u32, (bits >> 32) as u32];
        let id = [(bits >> 16) as u16, (bits >> 48) as u16];
        Talk { parties, options, steps, next, seq, id, sent: 0 }
    }

    /// Builds the next frame; returns how long after it another follows, if one does.
    pub(super) fn send(&mut self, frame: &mut Frame, noise: &Noise) -> Option<u64> {
        let step = self.next.take()?;
        let Parties { client, server, ports, vlan, carrier } = self.parties;
        let (from, to, ports, me) = match step.up {
            true => (client, server, ports, 0),
            false => (server, client, [ports[1], ports[0]], 1),
        };
        let way = Way { from, to, vlan };
        let id = self.id[me];
        self.id[me] = id.wrapping_add(1);
        let payload = &step.payload;
        let filler = noise.get(payload.at, payload.noise.into());
        match carrier {
            Carrier::Udp => frame.udp(&way, id, ports, &payload.head, filler),
            Carrier::Echo => frame.echo(&way, id, !step.up, self.sent / 2 + 1),
            Carrier::Tcp => {
                let flags = step.flags;
                // A reset answers the probe's sequence number; the prober's own carries no acknowledgement.
                let ack = if flags & ACK != 0 { self.seq[1 - me] } else { 0 };
                let options = self.options && flags & SYN != 0;
                frame.tcp(&way, id, Tcp { ports, seq: self.seq[me], ack, flags, options }, &payload.head, filler);
                let turn = u32::from(flags & (SYN | FIN) != 0);
                self.seq[me] = self.seq[me].wrapping_add(payload.length() + turn);
            }
        }
        self.sent += 1;
        self.next = self.steps.next();
        self.next.as_ref().map(|step| step.gap)
    }
}
