//! What a packet is to its connection: a step, or unexplained.

use super::record::Phase;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Verdict {
    Syn,
    SynAck,
    Ack,
    Data,
    AckData,
    Fin,
    AckClose,
    Rst,
    Retransmission,
    KeepAlive,
    UnexpectedSyn,
    UnexpectedAck,
    OutOfWindowRst,
    AfterClose,
    NoAck,
}

impl Verdict {
    /// Every verdict; its index is its number. Steps come first.
    pub(super) const ALL: [Verdict; 15] = [
        Verdict::Syn,
        Verdict::SynAck,
        Verdict::Ack,
        Verdict::Data,
        Verdict::AckData,
        Verdict::Fin,
        Verdict::AckClose,
        Verdict::Rst,
        Verdict::Retransmission,
        Verdict::KeepAlive,
        Verdict::UnexpectedSyn,
        Verdict::UnexpectedAck,
        Verdict::OutOfWindowRst,
        Verdict::AfterClose,
        Verdict::NoAck,
    ];

    /// The phase that the step is of; nothing for what is no step.
    pub(super) fn phase(self) -> Option<Phase> {
        match self {
            Verdict::Syn | Verdict::SynAck | Verdict::Ack => Some(Phase::Establishment),
            Verdict::Data | Verdict::AckData => Some(Phase::DataTransfer),
            Verdict::Fin | Verdict::AckClose | Verdict::Rst => Some(Phase::Closing),
            _ => None,
        }
    }

    /// The name of the step, or of the reason that there is none.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Verdict::Syn => "syn",
            Verdict::SynAck => "syn_ack",
            Verdict::Ack => "ack",
            Verdict::Data => "data",
            Verdict::AckData => "ack_data",
            Verdict::Fin => "fin",
            Verdict::AckClose => "ack_close",
            Verdict::Rst => "rst",
            Verdict::Retransmission => "retransmission",
            Verdict::KeepAlive => "keep_alive",
            Verdict::UnexpectedSyn => "unexpected_syn",
            Verdict::UnexpectedAck => "unexpected_ack",
            Verdict::OutOfWindowRst => "out_of_window_rst",
            Verdict::AfterClose => "after_close",
            Verdict::NoAck => "no_ack",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_stands_at_its_number_and_steps_come_first() {
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, number);
            assert_eq!(verdict.phase().is_some(), number <= Verdict::Rst as usize);
        }
    }
}
