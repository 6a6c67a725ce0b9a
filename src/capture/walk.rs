//! What the record walks of both formats share: how they stop, how far they look ahead, how they read integers.

use super::report::Status;
use crate::prefetch::prefetch_row;

/// A captured length up to this is believed whatever the snapshot length says (libpcap and Wireshark: 262,144).
pub(super) const CAPTURED_LIMIT: u32 = 262_144;

/// The longest pcapng block, and the longest snapshot length that is believed.
pub(super) const BLOCK_LIMIT: u32 = 16 << 20;

/// The largest captured length that a record under this snapshot length may claim.
pub(super) fn captured_limit(snapshot: u32) -> u32 {
    if snapshot > BLOCK_LIMIT { CAPTURED_LIMIT } else { snapshot.max(CAPTURED_LIMIT) }
}

/// Why a walk over a window stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The batch has as many records as it should.
    Full,
    /// The record at hand needs at least so many bytes, counted from its own first byte.
    More(usize),
    /// What is at hand cannot be read.
    Damage(Status, String),
}

impl Stop {
    pub(super) fn corrupt(message: impl Into<String>) -> Stop {
        Stop::Damage(Status::Corrupt, message.into())
    }
}

/// Cache lines in front of a walk, each asked for once.
///
/// Only memory maps need it: a chunk that was just read lies in the cache.
pub(crate) struct LookAhead {
    distance: usize,
    next: usize,
}

impl LookAhead {
    const LINE: usize = 64;
    const DISTANCE: usize = 4096;

    /// For a window whose first `asked` bytes were asked for by the walk before it.
    pub(super) fn on(asked: usize) -> LookAhead {
        LookAhead { distance: LookAhead::DISTANCE, next: asked }
    }

    /// No prefetching.
    pub(crate) fn off() -> LookAhead {
        LookAhead { distance: 0, next: usize::MAX }
    }

    /// The walk stands at `at` of `window`.
    #[inline(always)]
    pub(super) fn at(&mut self, window: &[u8], at: usize) {
        let horizon = at + self.distance;
        if self.next < at {
            self.catch_up(at);
        }
        while self.next < horizon {
            prefetch_row(window, self.next);
            self.next += LookAhead::LINE;
        }
    }

    /// Leaves out what a long record made the walk step over.
    ///
    /// A call, so that the compiler does not make it a conditional move: then every prefetch would wait for the very
    /// load of the record's length that it is there to speed up.
    #[cold]
    #[inline(never)]
    fn catch_up(&mut self, at: usize) {
        self.next = at;
    }

    /// How many bytes behind `used` have been asked for already.
    pub(super) fn asked(&self, used: usize) -> usize {
        self.next.saturating_sub(used)
    }
}

/// An integer in the file's byte order, which is a constant of the walk.
#[inline(always)]
pub(super) fn u32_of<const BIG: bool>(bytes: [u8; 4]) -> u32 {
    if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// As [`u32_of`].
#[inline(always)]
pub(super) fn u16_of<const BIG: bool>(bytes: [u8; 2]) -> u16 {
    if BIG { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}
