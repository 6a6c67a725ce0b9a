//! What a timeline is made of: packets, and flows of them.

use super::hosts::Host;
use super::packets::Packets;

/// A packet. Numbers have 64 bits because a CSV may say anything; those of a capture are in the range of their header's field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Microseconds since 1970.
    pub time: i64,
    /// Who sent it.
    pub src: Host,
    /// To whom.
    pub dst: Host,
    /// Port of the sender; 0 without.
    pub src_port: i64,
    /// Port of the receiver; 0 without.
    pub dst_port: i64,
    /// TCP flags, FIN first; nothing where a CSV has something else there.
    pub flags: Option<i64>,
    /// Sequence number; 0 without.
    pub seq: i64,
    /// Acknowledgement number; 0 without.
    pub ack: i64,
    /// Bytes of the frame on the wire; of a CSV, what it calls length.
    pub length: i64,
    /// Bytes of TCP payload, by the headers; unknown in a CSV.
    pub payload: Option<u32>,
    /// IP protocol number; nothing where a CSV has none.
    pub protocol: Option<i64>,
}

/// The parts of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The handshake.
    Establishment,
    /// Data, and what acknowledges it.
    DataTransfer,
    /// FIN, RST, and what acknowledges them.
    Closing,
}

/// A packet that takes the state machine somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place among the flow's packets.
    pub packet: u32,
    /// The part of the connection's life that it is of.
    pub phase: Phase,
    /// What it does, as `syn`, `syn_ack`, `ack`, `data`, `ack_data`, `fin`, `ack_close`, `rst`.
    pub name: &'static str,
}

/// Where a flow has got to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing that the machine knows has happened.
    #[default]
    New,
    /// A SYN has.
    Establishing,
    /// The handshake is complete.
    Established,
    /// And there was data.
    DataTransfer,
    /// It was open when it ended here.
    Ongoing,
    /// One side has closed it.
    Closing,
    /// It was closed.
    Closed,
    /// It was reset.
    Aborted,
    /// It did not become a connection.
    Invalid,
}

impl State {
    /// As folders have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Establishing => "establishing",
            State::Established => "established",
            State::DataTransfer => "data_transfer",
            State::Ongoing => "ongoing",
            State::Closing => "closing",
            State::Closed => "closed",
            State::Aborted => "aborted",
            State::Invalid => "invalid",
        }
    }
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// By FIN.
    Graceful,
    /// By RST.
    Abortive,
    /// It did not begin.
    Invalid,
    /// It did not end.
    Open,
}

impl Close {
    /// As folders have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Close::Graceful => "graceful",
            Close::Abortive => "abortive",
            Close::Invalid => "invalid",
            Close::Open => "open",
        }
    }
}

/// Why a flow is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its SYN+ACK acknowledges something else.
    InvalidSynAck,
    /// The packet that would complete the handshake has other numbers.
    InvalidAck,
    /// It was reset in the handshake.
    RstDuringHandshake,
    /// No SYN+ACK came.
    IncompleteNoSynAck,
    /// Nothing completed the handshake.
    IncompleteNoAck,
}

impl Reason {
    /// As folders have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::InvalidSynAck => "invalid_synack",
            Reason::InvalidAck => "invalid_ack",
            Reason::RstDuringHandshake => "rst_during_handshake",
            Reason::IncompleteNoSynAck => "incomplete_no_synack",
            Reason::IncompleteNoAck => "incomplete_no_ack",
        }
    }
}

/// Who began a flow, and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Who began it.
    pub initiator: Host,
    /// Who answers.
    pub responder: Host,
    /// The port of who began it.
    pub initiator_port: i64,
    /// The port of who answers.
    pub responder_port: i64,
}

/// A flow that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// From 1, in the order of first packets.
    pub number: u64,
    /// The ends as text, `address:port-address:port`, the one that sorts first in front.
    pub key: String,
    /// Who began it, where that is known.
    pub sides: Option<Sides>,
    /// Neither SYN nor SYN+ACK was seen, so that who began it follows from ports, or from who spoke first.
    pub guessed: bool,
    /// Where it got to.
    pub state: State,
    /// How it ended.
    pub close: Option<Close>,
    /// Why it is invalid.
    pub reason: Option<Reason>,
    /// The handshake is complete.
    pub established: bool,
    /// There was data.
    pub data: bool,
    /// There was a FIN.
    pub closing: bool,
    /// It was open when it ended here.
    pub ongoing: bool,
    /// It ended because it was silent.
    pub by_timeout: bool,
    /// Time of its earliest packet, microseconds since 1970.
    pub start: i64,
    /// Time of its latest packet.
    pub end: i64,
    /// Packets; all of them, whether or not they are listed.
    pub total_packets: u64,
    /// Their lengths.
    pub total_bytes: i64,
    /// Packets that came behind later ones of theirs by more than the machine puts right, so that where the flow begins and ends was decided
    /// without them; 0 in [`Mode::Original`](super::Mode::Original). Folders do not have it.
    pub behind: u64,
    /// The number that its SYN+ACK's successor acknowledges, and that acknowledges its SYN.
    pub expected_seq: Option<i64>,
    /// What its SYN+ACK has to acknowledge.
    pub expected_ack: Option<i64>,
    /// Places among its packets: the one that made it invalid or reset it, its SYN, its SYN+ACK.
    pub invalid_packet: Option<u32>,
    /// As above.
    pub syn_packet: Option<u32>,
    /// As above.
    pub syn_ack_packet: Option<u32>,
    /// Its packets, by time, and what they do.
    pub packets: Packets,
    /// Packets that no step explains, by why; empty in [`Mode::Original`](super::Mode::Original).
    pub unexplained: Vec<(&'static str, u64)>,
}
