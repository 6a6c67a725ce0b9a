//! How a TCP connection ends by the rules of CICFlowMeter and LycoSTand, which look at flags alone.

use super::record::EndReason;
use super::settings::TcpEnd;
use crate::decode::packet::tcp_flag;
use crate::time::NS_PER_SECOND;

/// How far the connection of a flow has come: bits, since every flow has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Teardown(u8);

/// The client sent a FIN; the server's is the next bit.
const FIN: u8 = 1;
const FINS: u8 = FIN | FIN << 1;
/// A FIN came behind the first packet.
const FIRST: u8 = 1 << 2;
/// So did another, when both ends had sent one.
const BOTH: u8 = 1 << 3;
/// A SYN begins another flow.
const READY: u8 = 1 << 4;
/// The flow before was ended by a FIN or RST, and no other has begun.
const CLOSED: u8 = 1 << 5;

/// How long packets are left out behind a FIN or RST by [`TcpEnd::AnyFin`], in nanoseconds.
pub(super) const LINGER: i64 = 240 * NS_PER_SECOND;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is of the flow.
    Stays,
    /// It is of the flow, and its last.
    Ends(EndReason),
    /// It is left out.
    LeftOut,
}

impl Teardown {
    /// Behind a FIN or RST.
    pub(super) const AFTER: Teardown = Teardown(CLOSED);

    /// Takes the next segment by a rule that judges; `opens` is true for that which begins the flow.
    pub(super) fn judge(&mut self, rule: TcpEnd, flags: u8, backward: bool, opens: bool) -> Verdict {
        let [fin, syn, rst, ack] =
            [tcp_flag::FIN, tcp_flag::SYN, tcp_flag::RST, tcp_flag::ACK].map(|flag| flags & flag != 0);
        let own = FIN << u8::from(backward);
        let seen = self.is(own);
        self.0 |= if fin { own } else { 0 };
        match rule {
            TcpEnd::Closed | TcpEnd::Never => {}
            // What begins a flow is not asked, and its FIN not remembered.
            TcpEnd::FirstFin | TcpEnd::BackwardFin if opens => *self = Teardown::default(),
            TcpEnd::FirstFin if fin => return Verdict::Ends(EndReason::Fin),
            TcpEnd::BackwardFin if fin && backward => return Verdict::Ends(EndReason::Fin),
            TcpEnd::BackwardFin if fin && seen => return Verdict::LeftOut,
            TcpEnd::BackwardFin if rst && !fin => return Verdict::Ends(EndReason::Rst),
            TcpEnd::FirstFin | TcpEnd::BackwardFin => {}
            TcpEnd::AnyFin if opens && (fin || rst || self.is_closed() && !syn) => return Verdict::LeftOut,
            TcpEnd::AnyFin if opens => *self = Teardown::default(),
            TcpEnd::AnyFin if fin => return Verdict::Ends(EndReason::Fin),
            TcpEnd::AnyFin if rst => return Verdict::Ends(EndReason::Rst),
            TcpEnd::AnyFin => {}
            TcpEnd::States if opens => {}
            TcpEnd::States if fin => self.0 |= if self.is(FIRST | FINS) { BOTH } else { FIRST },
            TcpEnd::States => self.0 |= if rst || ack && self.is(BOTH) { READY } else { 0 },
        }
        Verdict::Stays
    }

    /// A SYN is of another flow.
    pub(super) fn is_ready(self) -> bool {
        self.is(READY)
    }

    /// A FIN or RST ended the flow before, and no other has begun.
    pub(super) fn is_closed(self) -> bool {
        self.is(CLOSED)
    }

    fn is(self, what: u8) -> bool {
        self.0 & what == what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIN: u8 = tcp_flag::FIN | tcp_flag::ACK;

    fn judged(rule: TcpEnd, segments: &[(u8, bool)]) -> (Vec<Verdict>, Teardown) {
        let mut teardown = Teardown::default();
        let judge = |(place, &(flags, backward))| teardown.judge(rule, flags, backward, place == 0);
        let verdicts = segments.iter().enumerate().map(judge).collect();
        (verdicts, teardown)
    }

    #[test]
    fn the_servers_first_fin_ends_at_once_and_the_clients_second_is_left_out() {
        use Verdict::{Ends, LeftOut, Stays};
        let of = |segments: &[(u8, bool)]| judged(TcpEnd::BackwardFin, segments).0;
        let sent = [(0, false), (FIN, false), (FIN, false), (tcp_flag::ACK, false), (FIN, true)];
        assert_eq!(of(&sent), [Stays, Stays, LeftOut, Stays, Ends(EndReason::Fin)]);
        assert_eq!(of(&[(tcp_flag::RST, true), (tcp_flag::RST, false)]), [Stays, Ends(EndReason::Rst)]);
        assert_eq!(of(&[(FIN, false), (FIN, false), (FIN, false)]), [Stays, Stays, LeftOut]);
        let first = judged(TcpEnd::FirstFin, &[(0, false), (tcp_flag::RST, true), (FIN, false)]).0;
        assert_eq!(first, [Stays, Stays, Ends(EndReason::Fin)]);
    }

    #[test]
    fn any_fin_or_rst_ends_and_only_a_syn_begins_anew() {
        use Verdict::{Ends, LeftOut, Stays};
        const SYN: u8 = tcp_flag::SYN;
        let of = |segments: &[(u8, bool)]| judged(TcpEnd::AnyFin, segments).0;
        assert_eq!(of(&[(SYN, false), (tcp_flag::ACK, true), (FIN, false)]), [Stays, Stays, Ends(EndReason::Fin)]);
        assert_eq!(of(&[(SYN, false), (tcp_flag::RST, true)]), [Stays, Ends(EndReason::Rst)]);
        assert_eq!(
            [of(&[(FIN, false)]), of(&[(tcp_flag::RST, false)]), of(&[(0, false)])],
            [[LeftOut], [LeftOut], [Stays]]
        );
        for (flags, verdict) in [(0, LeftOut), (tcp_flag::RST, LeftOut), (SYN | FIN, LeftOut), (SYN, Stays)] {
            let mut teardown = Teardown::AFTER;
            assert_eq!(teardown.judge(TcpEnd::AnyFin, flags, true, true), verdict);
            assert_eq!(teardown.is_closed(), verdict == LeftOut);
        }
    }

    #[test]
    fn by_states_both_fins_and_an_ack_or_a_rst_make_ready() {
        let ready = |segments: &[(u8, bool)]| judged(TcpEnd::States, segments).1.is_ready();
        let closing = [(0, false), (FIN, false), (FIN, true), (tcp_flag::ACK, false)];
        assert!(ready(&closing) && !ready(&closing[..3]));
        assert!(!ready(&[(0, false), (FIN, false), (FIN, false), (tcp_flag::ACK, true)]));
        assert!(ready(&[(0, false), (tcp_flag::RST, true)]) && !ready(&[(tcp_flag::RST, true)]));
    }
}
