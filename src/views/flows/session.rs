//! How a TCP connection ends, as far as the life of its flow depends on it.
//!
//! It is closed when both FINs have been acknowledged, or by a RST; what comes first is the reason. Trailing packets stay
//! with it. A SYN with another initial sequence number than its sender's is of the next connection between the same
//! ports when this one is closed; when it is not, a SYN without ACK is if only one end has ever spoken, or if nobody has
//! for [`QUIET`]. The sender of such a SYN cannot know of a connection any more, but a stray or forged one shall not
//! cut a connection at work.

use super::record::EndReason;
use super::teardown::Teardown;
use crate::decode::packet::tcp_flag;
use crate::flow::sequence::Segment;
use crate::time::NS_PER_SECOND;

/// A connection that has been silent this long, in nanoseconds, may be followed by another without having been closed.
pub const QUIET: i64 = NS_PER_SECOND;

/// The state of a connection; ends are 0 and 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Session {
    /// Initial sequence numbers: of the SYN, or one less than the first that was seen.
    initial: [u32; 2],
    /// Numbers behind the FINs.
    fin: [u32; 2],
    /// Bits by end.
    known: u8,
    pub(super) closed: Option<EndReason>,
    /// The same by rules that look at flags alone.
    pub(super) teardown: Teardown,
}

/// `initial` means something.
const INITIAL: u8 = 1;
/// `fin` does.
const FIN: u8 = 1 << 2;
/// The FIN was acknowledged.
const ACKED: u8 = 1 << 4;

impl Session {
    fn knows(&self, what: u8) -> bool {
        self.known & what == what
    }

    /// Whether a segment belongs to the next connection; `silence` is the time since the packet before, in ns.
    #[inline]
    pub(super) fn is_followed_by(&self, end: usize, segment: &Segment, silence: i64) -> bool {
        if segment.flags & (tcp_flag::SYN | tcp_flag::RST) != tcp_flag::SYN {
            return false;
        }
        let known = self.knows(INITIAL << end);
        let (same, answers) = (segment.seq == self.initial[end], segment.flags & tcp_flag::ACK != 0);
        match (self.closed, answers) {
            (Some(_), false) => !known || !same,
            (Some(_), true) => known && !same,
            (None, false) => known && !same && (!self.knows(INITIAL | INITIAL << 1) || silence >= QUIET),
            (None, true) => false,
        }
    }

    /// Takes the next segment of the connection.
    #[inline]
    pub(super) fn take(&mut self, end: usize, segment: &Segment) {
        if segment.flags & tcp_flag::RST != 0 {
            self.closed.get_or_insert(EndReason::Rst);
            return;
        }
        let syn = segment.flags & tcp_flag::SYN != 0;
        if !self.knows(INITIAL << end) {
            self.known |= INITIAL << end;
            self.initial[end] = segment.seq.wrapping_sub(u32::from(!syn));
        }
        if segment.flags & tcp_flag::FIN != 0 && !self.knows(FIN << end) {
            self.known |= FIN << end;
            self.fin[end] = segment.seq.wrapping_add(segment.payload).wrapping_add(1 + u32::from(syn));
        }
        let other = 1 - end;
        if self.knows(FIN << other)
            && segment.flags & tcp_flag::ACK != 0
            && (segment.ack.wrapping_sub(self.fin[other]) as i32) >= 0
        {
            self.known |= ACKED << other;
            if self.knows(ACKED | ACKED << 1) {
                self.closed.get_or_insert(EndReason::Fin);
            }
        }
    }
}
