//! The states of one TCP connection, as its packets show them to who stands beside the wire; [`correct`](super::correct) says by which rules.

use super::record::{Close, Reason, State};
use super::verdict::Verdict;
use crate::decode::packet::tcp_flag::{ACK, FIN, RST, SYN};
use crate::flow::Side;
use crate::flow::sequence::{self, Class};

const PSH: u8 = 0x08;

/// How far from what was seen a number may be and be of the same connection: the largest window (RFC 7323, section 2.3).
const REACH: i32 = 1 << 30;

/// The largest window without a scale.
const WINDOW: u32 = 65_535;

/// What is read of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    /// Bytes of payload. Where they are not known, PSH says that there are some.
    pub(super) payload: Option<u32>,
}

impl Segment {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn has_data(&self) -> bool {
        self.payload.map_or(self.has(PSH), |payload| payload > 0)
    }

    /// The number behind its last.
    fn end(&self) -> u32 {
        let controls = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.payload.unwrap_or(0)).wrapping_add(controls)
    }
}

/// `a` is not before `b`.
fn reaches(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 >= 0
}

fn is_near(a: u32, b: u32) -> bool {
    (-REACH..=REACH).contains(&(a.wrapping_sub(b) as i32))
}

/// Whether a packet begins another connection between the same ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anew {
    No,
    /// It does if the other side answers it.
    Perhaps,
    Yes,
}

/// What one side has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// The number of its SYN.
    isn: Option<u32>,
    /// The lowest number that it began with.
    first: Option<u32>,
    /// The number behind the highest.
    next: Option<u32>,
    /// The highest that it acknowledged.
    ack: Option<u32>,
    /// What its last packet acknowledged, sensible or not.
    said: Option<u32>,
    /// The number behind its FIN.
    fin: Option<u32>,
    syn_acked: bool,
    fin_acked: bool,
    /// It has answered a SYN.
    answered: bool,
    /// Number and acknowledgement of its last packet, if they were far from all before.
    far: Option<(u32, u32)>,
}

/// How one knows who began, the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    /// A SYN or SYN+ACK that is unexpected.
    Late,
    SynAck,
    Syn,
}

/// What a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) state: State,
    pub(super) close: Option<Close>,
    pub(super) reason: Option<Reason>,
    pub(super) established: bool,
    pub(super) data: bool,
    pub(super) closing: bool,
    pub(super) ongoing: bool,
    /// The end that began it, if a SYN or SYN+ACK tells.
    pub(super) initiator: Option<usize>,
    /// The number behind the SYN+ACK, the responder's if both answer.
    pub(super) expected_seq: Option<u32>,
    /// The number behind the initiator's SYN, if it was seen.
    pub(super) expected_ack: Option<u32>,
    /// The packet that made it invalid or reset it, by its place.
    pub(super) invalid: Option<u64>,
}

/// A connection; starts with [`Connection::default`].
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    numbers: sequence::Connection,
    halves: [Half; 2],
    state: State,
    close: Option<Close>,
    reason: Option<Reason>,
    established: bool,
    data: bool,
    opener: Option<(Evidence, usize)>,
    /// What to say of a handshake that nothing completed, and of which packet.
    wrong: Option<(Reason, u64)>,
    reset: Option<u64>,
    taken: u64,
}

impl Connection {
    /// Nothing but leftovers can follow.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Aborted | State::Invalid)
            || self.halves.iter().all(|half| half.fin.is_some())
    }

    /// Whether a packet begins another connection.
    pub(super) fn begins_anew(&self, from: usize, segment: &Segment) -> Anew {
        if !segment.has(SYN) || segment.has(RST) {
            return Anew::No;
        }
        let (me, them) = (&self.halves[from], &self.halves[1 - from]);
        let other_number = me.isn != Some(segment.seq);
        if segment.has(ACK) {
            return if self.is_over() && other_number { Anew::Yes } else { Anew::No };
        }
        if !other_number {
            // A repetition, unless another connection begins where this one did.
            return if self.is_over() { Anew::Perhaps } else { Anew::No };
        }
        let behind = Some(segment.seq.wrapping_add(1));
        let overtaken = me.isn.is_none() && (me.first == behind || them.answered && them.said == behind);
        let crossing = me.isn.is_none() && them.isn.is_some() && !them.answered && self.state == State::Establishing;
        if overtaken || crossing && me.next.is_none() {
            return Anew::No;
        }
        match self.state {
            State::New => Anew::No,
            _ if self.is_over() => Anew::Yes,
            State::Establishing => Anew::Yes,
            _ => Anew::Perhaps,
        }
    }

    /// Whether a packet answers a SYN of the other side with this number, so that it begins another connection.
    pub(super) fn answers(&self, from: usize, segment: &Segment, number: u32) -> bool {
        let (me, them) = (&self.halves[from], &self.halves[1 - from]);
        // The number that the other side began with is proved new by that of the answer alone.
        let is_new = them.isn != Some(number) || segment.has(SYN) && me.isn != Some(segment.seq);
        segment.has(SYN | RST) && segment.has(ACK) && segment.ack == number.wrapping_add(1) && is_new
    }

    /// Takes the next packet, from one end or the other, and tells what it is.
    pub(super) fn take(&mut self, from: usize, segment: &Segment) -> Verdict {
        let verdict = match (segment.has(RST), segment.has(SYN), segment.has(ACK)) {
            (true, ..) => self.rst(from, segment),
            (_, true, false) => self.syn(from, segment),
            (_, true, true) => self.syn_ack(from, segment),
            (_, _, false) => Verdict::NoAck,
            _ => self.ordinary(from, segment),
        };
        if segment.has(ACK) {
            self.halves[from].said = Some(segment.ack);
        }
        self.taken += 1;
        verdict
    }

    fn rst(&mut self, from: usize, segment: &Segment) -> Verdict {
        if matches!(self.state, State::Closed | State::Aborted | State::Invalid) {
            return Verdict::AfterClose;
        }
        if !self.is_taken(from, segment) {
            return Verdict::OutOfWindowRst;
        }
        if self.is_over() {
            // Both had said all; how the last of them let go is no matter.
            self.state = State::Closed;
            return Verdict::Rst;
        }
        self.reset = Some(self.taken);
        if self.state == State::Establishing && !self.established {
            (self.state, self.close) = (State::Invalid, Some(Close::Invalid));
            self.reason = Some(Reason::RstDuringHandshake);
        } else {
            (self.state, self.close) = (State::Aborted, Some(Close::Abortive));
        }
        Verdict::Rst
    }

    /// Whether a receiver would take a RST.
    fn is_taken(&self, from: usize, segment: &Segment) -> bool {
        let (me, them) = (&self.halves[from], &self.halves[1 - from]);
        if them.said == Some(segment.seq) {
            return true;
        }
        let within = |low: u32, high: u32| reaches(segment.seq, low) && reaches(high.wrapping_add(WINDOW), segment.seq);
        match (me.next, me.first) {
            (Some(next), Some(first)) => {
                let low = them.ack.unwrap_or(first);
                within(low, if reaches(next, low) { next } else { low })
            }
            // Its side has sent nothing else.
            _ => match (them.isn, them.next, them.ack.or(them.said)) {
                (Some(isn), Some(next), _) if segment.has(ACK) => {
                    reaches(segment.ack, isn.wrapping_add(1)) && reaches(next, segment.ack)
                }
                (None, Some(next), _) if segment.has(ACK) => reaches(next, segment.ack) && is_near(next, segment.ack),
                (_, _, Some(ack)) => within(ack, ack),
                // Who has sent a SYN and heard nothing knows no number, and goes by the acknowledgement alone.
                (isn, ..) => isn.is_none(),
            },
        }
    }

    fn syn(&mut self, from: usize, segment: &Segment) -> Verdict {
        if self.halves[from].isn == Some(segment.seq) {
            return Verdict::Retransmission;
        }
        if self.begins_anew(from, segment) != Anew::No || self.halves[from].isn.is_some() {
            self.opened(Evidence::Late, from);
            return Verdict::UnexpectedSyn;
        }
        if self.state == State::New {
            self.state = State::Establishing;
        }
        self.opened(Evidence::Syn, from);
        self.data |= segment.has_data();
        self.send(from, segment);
        self.halves[from].isn = Some(segment.seq);
        Verdict::Syn
    }

    fn syn_ack(&mut self, from: usize, segment: &Segment) -> Verdict {
        let (me, them) = (self.halves[from], self.halves[1 - from]);
        let again = me.isn == Some(segment.seq);
        if self.is_over() || me.answered {
            return match (again, self.is_over()) {
                (true, _) => Verdict::Retransmission,
                (_, true) => Verdict::AfterClose,
                _ => Verdict::UnexpectedSyn,
            };
        }
        if let Some(isn) = them.isn {
            let sent = them.next.unwrap_or(isn);
            if !(reaches(segment.ack, isn.wrapping_add(1)) && reaches(sent, segment.ack)) {
                self.note(Reason::InvalidSynAck);
                return Verdict::UnexpectedAck;
            }
        } else if them.next.is_some_and(|next| !is_near(next, segment.ack)) {
            return Verdict::UnexpectedAck;
        }
        if me.isn.is_some() && !again || me.isn.is_none() && me.first.is_some_and(|first| !reaches(first, segment.seq))
        {
            self.opened(Evidence::Late, 1 - from);
            return Verdict::UnexpectedSyn;
        }
        if self.state == State::New {
            self.state = State::Establishing;
        }
        self.opened(Evidence::SynAck, 1 - from);
        self.data |= segment.has_data();
        self.send(from, segment);
        let me = &mut self.halves[from];
        (me.isn, me.answered, me.ack) = (Some(segment.seq), true, Some(segment.ack));
        let them = &mut self.halves[1 - from];
        them.syn_acked = true;
        them.next.get_or_insert(segment.ack);
        self.settle();
        Verdict::SynAck
    }

    /// Neither SYN nor RST, but ACK.
    fn ordinary(&mut self, from: usize, segment: &Segment) -> Verdict {
        if matches!(self.state, State::Aborted | State::Invalid) {
            return Verdict::AfterClose;
        }
        let (me, them) = (&self.halves[from], &self.halves[1 - from]);
        let far = |next: Option<u32>, number: u32| next.is_some_and(|next| !is_near(next, number));
        let mut completes = false;
        if self.state == State::Establishing {
            match self.handshake(from, segment) {
                Ok(done) => completes = done,
                Err(verdict) => return verdict,
            }
        } else if far(me.next, segment.seq) || far(them.next, segment.ack) {
            let near = |far: Option<(u32, u32)>, seq, ack| far.is_some_and(|(a, b)| is_near(a, seq) && is_near(b, ack));
            let agrees = near(me.far, segment.seq, segment.ack) || near(them.far, segment.ack, segment.seq);
            self.halves[from].far = Some((segment.seq, segment.ack));
            if !agrees {
                return Verdict::UnexpectedAck;
            }
            // What lies between was not captured.
            self.halves[from].next = Some(segment.seq);
            self.halves[1 - from].next = Some(segment.ack);
            self.halves[1 - from].far = None;
        }
        self.halves[from].far = None;
        if self.state == State::New {
            self.state = State::Established;
        }
        let verdict = self.open(from, segment);
        if completes && verdict != Verdict::Fin { Verdict::Ack } else { verdict }
    }

    /// A packet while the handshake lasts: whether it completes it, or why it does not matter.
    fn handshake(&mut self, from: usize, segment: &Segment) -> Result<bool, Verdict> {
        let (me, them) = (self.halves[from], self.halves[1 - from]);
        let acks = them
            .isn
            .map(|isn| reaches(segment.ack, isn.wrapping_add(1)) && reaches(them.next.unwrap_or(isn), segment.ack));
        let follows = me.isn.is_none_or(|isn| reaches(segment.seq, isn.wrapping_add(1)) && is_near(segment.seq, isn));
        if acks == Some(false) || !follows {
            if them.answered {
                self.note(Reason::InvalidAck);
            }
            return Err(Verdict::UnexpectedAck);
        }
        let says_more = segment.has_data() || segment.has(FIN);
        if acks == Some(true) {
            self.halves[1 - from].syn_acked = true;
            if me.isn.is_some() && me.syn_acked || me.isn.is_none() && me.next.is_some() {
                self.settle();
                return Ok(true);
            }
            if me.answered {
                // Its answer is still to be acknowledged, as with data in the SYN (RFC 7413).
                return if says_more { Ok(false) } else { Err(Verdict::Retransmission) };
            }
        }
        // The SYN+ACK was not seen. Data would not come without it.
        if says_more && self.wrong.is_none() {
            self.establish();
            return Ok(false);
        }
        Err(Verdict::UnexpectedAck)
    }

    /// A packet of a connection that is open, or of one half that still is.
    fn open(&mut self, from: usize, segment: &Segment) -> Verdict {
        let repeats = self.halves[from].ack == Some(segment.ack) && self.halves[from].next == Some(segment.seq);
        let (quiet, closed) = (!self.data, self.state == State::Closed);
        let them = &self.halves[1 - from];
        let acks_fin = them.fin.is_some_and(|fin| reaches(segment.ack, fin));
        if !self.established && self.state == State::Established && (segment.has_data() || them.next.is_some()) {
            self.established = true;
        }
        if !self.established && them.isn.is_some_and(|isn| reaches(segment.ack, isn.wrapping_add(1))) {
            self.halves[1 - from].syn_acked = true;
            self.settle();
        }
        self.halves[1 - from].fin_acked |= acks_fin;
        let verdict = match self.halves[from].fin {
            Some(fin) if (segment.has(FIN) || segment.has_data()) && !reaches(fin, segment.end()) => {
                Verdict::AfterClose
            }
            // The FIN may have overtaken it.
            Some(_) if segment.has_data() => match self.send(from, segment) {
                Class::New | Class::OutOfOrder | Class::PartialOverlap => {
                    self.data = true;
                    Verdict::Data
                }
                _ => Verdict::Retransmission,
            },
            Some(_) if segment.has(FIN) => Verdict::Retransmission,
            None if segment.has(FIN) => {
                self.send(from, segment);
                self.halves[from].fin = Some(segment.end());
                self.data |= segment.has_data();
                (self.state, self.close) = (State::Closing, Some(Close::Graceful));
                Verdict::Fin
            }
            _ if segment.has_data() => match self.send(from, segment) {
                Class::KeepAlive => Verdict::KeepAlive,
                Class::Retransmission => Verdict::Retransmission,
                _ => {
                    self.data = true;
                    if self.state == State::Established {
                        self.state = State::DataTransfer;
                    }
                    Verdict::Data
                }
            },
            fin => match self.send(from, segment) {
                _ if acks_fin => Verdict::AckClose,
                _ if closed => Verdict::AfterClose,
                Class::KeepAlive if fin.is_none() => Verdict::KeepAlive,
                _ if quiet && repeats => Verdict::Retransmission,
                _ => Verdict::AckData,
            },
        };
        let them = &mut self.halves[1 - from];
        // What is acknowledged was sent, captured or not.
        them.next = them.next.map(|next| if reaches(segment.ack, next) { segment.ack } else { next });
        let me = &mut self.halves[from];
        me.ack = Some(me.ack.filter(|&ack| reaches(ack, segment.ack)).unwrap_or(segment.ack));
        if self.halves.iter().all(|half| half.fin.is_some() && half.fin_acked) {
            self.state = State::Closed;
        }
        verdict
    }

    /// Enters the numbers of a packet.
    fn send(&mut self, from: usize, segment: &Segment) -> Class {
        let side = [Side::Up, Side::Down][from];
        let half = &mut self.halves[from];
        half.first.get_or_insert(segment.seq);
        half.next = Some(half.next.filter(|&next| reaches(next, segment.end())).unwrap_or(segment.end()));
        let Segment { seq, ack, flags, payload } = *segment;
        // A window that is not known is taken to be open.
        self.numbers.add(side, &sequence::Segment { seq, ack, flags, window: 1, payload: payload.unwrap_or(0) }).class
    }

    /// Notes who began, unless that is known as well or better.
    fn opened(&mut self, by: Evidence, end: usize) {
        if self.opener.is_none_or(|(known, _)| known < by) {
            self.opener = Some((by, end));
        }
    }

    /// Notes what is wrong with a handshake, if nothing was.
    fn note(&mut self, reason: Reason) {
        if !self.established {
            self.wrong.get_or_insert((reason, self.taken));
        }
    }

    /// The handshake is complete when each side has acknowledged the other's SYN.
    fn settle(&mut self) {
        if self.halves.iter().all(|half| half.syn_acked) {
            self.establish();
        }
    }

    fn establish(&mut self) {
        self.established = true;
        if self.state == State::Establishing {
            self.state = if self.data { State::DataTransfer } else { State::Established };
        }
    }

    /// What it came to, when nothing more comes.
    pub(super) fn outcome(&self) -> Outcome {
        let initiator = self.opener.map(|(_, end)| end);
        // Where both ask and both answer, it is the responder's answer that counts.
        let sides = initiator.map_or([0, 1], |end| [1 - end, end]);
        let answer = sides.into_iter().find(|&end| self.halves[end].answered).and_then(|end| self.halves[end].isn);
        // A SYN+ACK of its own is no question.
        let asked = self.opener.filter(|(evidence, _)| *evidence == Evidence::Syn);
        let question = asked.and_then(|(_, end)| self.halves[end].isn);
        let mut outcome = Outcome {
            state: self.state,
            close: self.close,
            reason: self.reason,
            established: self.established,
            data: self.data,
            closing: self.halves.iter().any(|half| half.fin.is_some()),
            ongoing: false,
            initiator,
            expected_seq: answer.map(|isn| isn.wrapping_add(1)),
            expected_ack: question.map(|isn| isn.wrapping_add(1)),
            invalid: self.reset,
        };
        match self.state {
            State::Closing if self.is_over() => outcome.state = State::Closed,
            State::Establishing => {
                let missing = if answer.is_none() { Reason::IncompleteNoSynAck } else { Reason::IncompleteNoAck };
                outcome.invalid = self.wrong.map(|(_, packet)| packet);
                outcome.reason = Some(self.wrong.map_or(missing, |(reason, _)| reason));
                (outcome.state, outcome.close) = (State::Invalid, Some(Close::Invalid));
            }
            State::Established | State::DataTransfer => {
                (outcome.state, outcome.close, outcome.ongoing) = (State::Ongoing, Some(Close::Open), true);
            }
            _ => {}
        }
        outcome
    }
}
