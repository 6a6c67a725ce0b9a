//! How a TCP connection ends by the rules of CICFlowMeter, which look at flags alone.

use super::record::EndReason;
use super::settings::TcpEnd;
use crate::decode::packet::tcp_flag;

/// How far the connection of a flow has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Teardown {
    /// The client, the server sent a FIN.
    fins: [bool; 2],
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// There was a FIN.
    First,
    /// Both ends sent one.
    Both,
    /// A SYN begins another flow.
    Ready,
}

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
    /// Takes the next segment by a rule that judges; `opens` is true for that which begins the flow.
    pub(super) fn judge(&mut self, rule: TcpEnd, flags: u8, backward: bool, opens: bool) -> Verdict {
        let [fin, rst, ack] = [tcp_flag::FIN, tcp_flag::RST, tcp_flag::ACK].map(|flag| flags & flag != 0);
        let seen = self.fins[usize::from(backward)];
        self.fins[usize::from(backward)] |= fin;
        match rule {
            TcpEnd::Closed | TcpEnd::Never => {}
            // What begins a flow is not asked, and its FIN not remembered.
            TcpEnd::FirstFin | TcpEnd::BackwardFin if opens => *self = Teardown::default(),
            TcpEnd::FirstFin if fin => return Verdict::Ends(EndReason::Fin),
            TcpEnd::BackwardFin if fin && backward => return Verdict::Ends(EndReason::Fin),
            TcpEnd::BackwardFin if fin && seen => return Verdict::LeftOut,
            TcpEnd::BackwardFin if rst && !fin => return Verdict::Ends(EndReason::Rst),
            TcpEnd::FirstFin | TcpEnd::BackwardFin => {}
            TcpEnd::States if opens => {}
            TcpEnd::States => {
                self.state = match self.state {
                    State::Open if fin => State::First,
                    State::First if fin && self.fins == [true; 2] => State::Both,
                    state if fin => state,
                    _ if rst => State::Ready,
                    State::Both if ack => State::Ready,
                    state => state,
                }
            }
        }
        Verdict::Stays
    }

    /// A SYN is of another flow.
    pub(super) fn is_ready(self) -> bool {
        self.state == State::Ready
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
    fn by_states_both_fins_and_an_ack_or_a_rst_make_ready() {
        let ready = |segments: &[(u8, bool)]| judged(TcpEnd::States, segments).1.is_ready();
        let closing = [(0, false), (FIN, false), (FIN, true), (tcp_flag::ACK, false)];
        assert!(ready(&closing) && !ready(&closing[..3]));
        assert!(!ready(&[(0, false), (FIN, false), (FIN, false), (tcp_flag::ACK, true)]));
        assert!(ready(&[(0, false), (tcp_flag::RST, true)]) && !ready(&[(tcp_flag::RST, true)]));
    }
}
