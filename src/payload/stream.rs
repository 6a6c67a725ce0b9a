//! One direction of a TCP connection: segments in, contiguous bytes out.
//!
//! A segment that is next in sequence goes to the reader by reference; bytes are copied only where the reader wants more
//! than the segment holds, or where the segment is ahead of its turn. Sequence numbers wrap. Where segments overlap, the
//! bytes that came first stay. What is held (segments ahead of their turn and bytes the reader has not taken) never
//! exceeds the limit: when it would, the missing bytes are given up and the reader is told of a gap.
//!
//! A reader may skip bytes that it does not want, such as a body whose length it knows. They are neither copied nor
//! missed when they were not captured.

use std::collections::VecDeque;

/// What a reader makes of the bytes it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It has used this many bytes, which may be more than it was shown: the rest is skipped. Not 0.
    Took(u64),
    /// It uses none before it is shown at least this many.
    Wants(usize),
    /// It wants nothing more of this direction.
    Closed,
}

/// What a reader is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown<'b> {
    /// The bytes that follow the last ones used.
    Bytes(&'b [u8]),
    /// The bytes that follow are lost; these are the last ones before, which the reader had left.
    Gap(&'b [u8]),
}

/// The reassembly of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of the byte behind `backlog`, once one is known.
    next: Option<u32>,
    closed: bool,
    /// Bytes still to skip, of which `next` knows nothing yet.
    skip: u64,
    /// The reader is not asked before the backlog has this many bytes.
    wants: usize,
    /// Bytes shown to the reader that it has not used.
    backlog: Vec<u8>,
    /// Pieces ahead of their turn, in order and without overlaps.
    ahead: VecDeque<Piece>,
    /// What `ahead` counts against the limit.
    held: usize,
    /// Gaps that were given up.
    gaps: u32,
}

#[derive(Clone, Debug)]
struct Piece {
    seq: u32,
    bytes: Box<[u8]>,
    /// Bytes behind these that were on the wire, but not captured.
    cut: u32,
}

/// What a piece costs beyond its bytes, so that many tiny pieces are bounded too.
const PIECE: usize = 64;

/// The farthest that skipping moves `next` at once: comparing sequence numbers is sound within half their range.
const STRIDE: u64 = 1 << 30;

impl Stream {
    /// A stream whose first byte has this sequence number, if it is known.
    pub(super) fn new(next: Option<u32>) -> Stream {
        Stream { next, ..Stream::default() }
    }

    /// The sequence number that comes next, once one is known.
    pub(super) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Gaps that were given up so far.
    pub(super) fn gaps(&self) -> u32 {
        self.gaps
    }

    /// Nothing more will be shown of this direction.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes of memory that count against the limit.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.held + self.backlog.len()
    }

    /// Takes a segment with the sequence number of its first byte. `cut` bytes behind `payload` were on the wire but not
    /// captured. `limit` bounds the bytes held.
    pub(super) fn push(
        &mut self,
        seq: u32,
        payload: &[u8],
        cut: u32,
        limit: usize,
        read: &mut impl FnMut(Shown<'_>) -> Step,
    ) {
        if self.closed || (payload.is_empty() && cut == 0) {
            return;
        }
        let mut ahead = self.distance(seq);
        if ahead > 0 && self.skip > 0 {
            let jump = self.skip.min(ahead as u64);
            self.skip -= jump;
            self.advance(jump as u32);
            self.catch_up(limit, read);
            ahead = self.distance(seq);
        }
        if self.closed {
            return;
        }
        if ahead <= 0 && self.ahead.is_empty() {
            return self.turn(seq, payload, cut, limit, read);
        }
        // Bytes held came before these, so they stay where both have the same place.
        let old = ahead.min(0).unsigned_abs();
        if let Some(fresh) = payload.get(old as usize..) {
            self.hold(seq.wrapping_add(old), fresh, cut);
        }
        self.catch_up(limit, read);
        while self.held + self.backlog.len() > limit && !self.closed {
            self.give_up(limit, read);
        }
    }

    /// The capture is over, or the flow: shows what waits behind gaps.
    pub(super) fn finish(&mut self, limit: usize, read: &mut impl FnMut(Shown<'_>) -> Step) {
        while !self.ahead.is_empty() && !self.closed {
            self.give_up(limit, read);
        }
        if !self.closed && !self.backlog.is_empty() {
            read(Shown::Gap(&std::mem::take(&mut self.backlog)));
        }
        self.close();
    }

    /// How far a sequence number lies ahead of the next byte; the first one defines it.
    fn distance(&mut self, seq: u32) -> i32 {
        seq.wrapping_sub(*self.next.get_or_insert(seq)) as i32
    }

    fn advance(&mut self, bytes: u32) {
        self.next = self.next.map(|next| next.wrapping_add(bytes));
    }

    fn close(&mut self) {
        *self = Stream { next: self.next, closed: true, gaps: self.gaps, ..Stream::default() };
    }

    /// Takes a segment that does not begin ahead of its turn.
    fn turn(&mut self, seq: u32, payload: &[u8], cut: u32, limit: usize, read: &mut impl FnMut(Shown<'_>) -> Step) {
        let old = self.distance(seq).unsigned_abs();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if old >= length.saturating_add(cut) {
            return;
        }
        let fresh = payload.get(old as usize..).unwrap_or_default();
        self.advance(fresh.len() as u32);
        self.show(fresh, limit, read);
        let lost = cut.min(length.saturating_add(cut) - old);
        if lost > 0 && !self.closed {
            self.lose(lost, read);
        }
        let jump = self.skip.min(STRIDE);
        self.skip -= jump;
        self.advance(jump as u32);
    }

    /// Shows contiguous bytes to the reader for as long as it uses any.
    fn show(&mut self, mut fresh: &[u8], limit: usize, read: &mut impl FnMut(Shown<'_>) -> Step) {
        let skipped = self.skip.min(fresh.len() as u64);
        self.skip -= skipped;
        fresh = &fresh[skipped as usize..];
        if fresh.is_empty() {
            return;
        }
        // The backlog leaves its place while it is shown, and comes back with what was not used.
        let mut backlog = std::mem::take(&mut self.backlog);
        let copied = !backlog.is_empty();
        if copied {
            backlog.extend_from_slice(fresh);
        }
        let mut bytes = if copied { &backlog[..] } else { fresh };
        while !bytes.is_empty() && bytes.len() >= self.wants {
            match read(Shown::Bytes(bytes)) {
                Step::Took(used) => {
                    let here = used.min(bytes.len() as u64);
                    self.skip = used - here;
                    self.wants = 0;
                    bytes = &bytes[here as usize..];
                }
                Step::Wants(more) => self.wants = more.max(bytes.len() + 1),
                Step::Closed => return self.close(),
            }
        }
        if self.wants.max(bytes.len()) > limit {
            self.gaps += 1;
            self.wants = 0;
            if read(Shown::Gap(bytes)) == Step::Closed {
                self.close();
            }
        } else if copied {
            let used = backlog.len() - bytes.len();
            backlog.drain(..used);
            self.backlog = backlog;
        } else {
            self.backlog = bytes.to_vec();
        }
    }

    /// Moves past bytes that were never captured.
    fn lose(&mut self, lost: u32, read: &mut impl FnMut(Shown<'_>) -> Step) {
        self.advance(lost);
        let skipped = self.skip.min(u64::from(lost));
        self.skip -= skipped;
        if u64::from(lost) > skipped {
            self.gaps += 1;
            self.wants = 0;
            if read(Shown::Gap(&std::mem::take(&mut self.backlog))) == Step::Closed {
                self.close();
            }
        }
    }

    /// Keeps a segment for later, but for the bytes that are kept already.
    fn hold(&mut self, seq: u32, payload: &[u8], cut: u32) {
        let Some(next) = self.next else { return };
        let place = |seq: u32| u64::from(seq.wrapping_sub(next));
        let (mut at, end) = (place(seq), place(seq) + payload.len() as u64);
        let from = place(seq);
        let mut index = self.ahead.partition_point(|piece| place(piece.seq) + piece.bytes.len() as u64 <= at);
        while at < end {
            let (gap_end, resume) = match self.ahead.get(index) {
                Some(piece) => (place(piece.seq).min(end), place(piece.seq) + piece.bytes.len() as u64),
                None => (end, end),
            };
            if at < gap_end {
                let bytes: Box<[u8]> = payload[(at - from) as usize..(gap_end - from) as usize].into();
                let cut = if gap_end == end { cut } else { 0 };
                self.held += bytes.len() + PIECE;
                self.ahead.insert(index, Piece { seq: next.wrapping_add(at as u32), bytes, cut });
                index += 1;
            }
            at = at.max(resume);
            index += 1;
        }
    }

    /// Takes the pieces whose turn has come.
    fn catch_up(&mut self, limit: usize, read: &mut impl FnMut(Shown<'_>) -> Step) {
        while let Some(piece) = self.ahead.pop_front() {
            if self.distance_from_next(piece.seq) > 0 {
                return self.ahead.push_front(piece);
            }
            self.held -= piece.bytes.len() + PIECE;
            self.turn(piece.seq, &piece.bytes, piece.cut, limit, read);
        }
    }

    fn distance_from_next(&self, seq: u32) -> i32 {
        self.next.map_or(0, |next| seq.wrapping_sub(next) as i32)
    }

    /// Stops waiting for the bytes in front of the first piece.
    fn give_up(&mut self, limit: usize, read: &mut impl FnMut(Shown<'_>) -> Step) {
        let Some(first) = self.ahead.front() else {
            // Without pieces the backlog alone is over the limit, which `show` does not let happen.
            return self.close();
        };
        let missing = self.distance_from_next(first.seq);
        if missing > 0 {
            self.lose(missing as u32, read);
        }
        self.catch_up(limit, read);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64 << 10;

    /// What a reader that takes everything was shown: bytes, and `|` for a gap.
    fn shown(stream: &mut Stream, segments: &[(u32, &[u8], u32)], limit: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for &(seq, payload, cut) in segments {
            stream.push(seq, payload, cut, limit, &mut |shown| take(&mut all, shown));
            assert!(stream.held() <= limit, "{} bytes are held", stream.held());
        }
        stream.finish(limit, &mut |shown| take(&mut all, shown));
        all
    }

    fn take(all: &mut Vec<u8>, shown: Shown<'_>) -> Step {
        match shown {
            Shown::Bytes(bytes) => {
                all.extend_from_slice(bytes);
                Step::Took(bytes.len() as u64)
            }
            Shown::Gap(_) => {
                all.push(b'|');
                Step::Took(1)
            }
        }
    }

    fn of(segments: &[(u32, &[u8])]) -> String {
        let segments: Vec<_> = segments.iter().map(|&(seq, payload)| (seq, payload, 0)).collect();
        let all = shown(&mut Stream::default(), &segments, LIMIT);
        String::from_utf8(all).expect("tests are in ASCII")
    }

    #[test]
    fn segments_come_in_order_across_the_wrap() {
        let end = u32::MAX;
        assert_eq!(of(&[(end - 1, b"ab"), (2, b"ef"), (0, b"cd")]), "abcdef");
    }

    #[test]
    fn bytes_that_came_first_stay() {
        assert_eq!(of(&[(0, b"abcd"), (2, b"XXef")]), "abcdef", "shown ones");
        assert_eq!(of(&[(0, b"a"), (3, b"DE"), (2, b"xxxxx"), (1, b"yyyyyyyy")]), "ayxDExxyy", "held ones");
    }

    #[test]
    fn what_never_comes_is_a_gap_at_the_end() {
        assert_eq!(of(&[(0, b"ab"), (5, b"f"), (3, b"d")]), "ab|d|f");
    }

    #[test]
    fn what_was_not_captured_is_a_gap_at_once() {
        let mut stream = Stream::default();
        assert_eq!(shown(&mut stream, &[(0, b"ab", 3), (5, b"f", 0)], LIMIT), b"ab|f");
        assert_eq!(stream.gaps(), 1);
    }

    #[test]
    fn skipped_bytes_are_not_missed() {
        let mut stream = Stream::new(Some(0));
        let mut all = Vec::new();
        let mut read = |shown: Shown<'_>| match shown {
            Shown::Bytes([b's', ..]) => Step::Took(5_000_000_000),
            other => take(&mut all, other),
        };
        stream.push(0, b"abs", 0, LIMIT, &mut |shown| match shown {
            Shown::Bytes([b'a', b'b', ..]) => Step::Took(2),
            other => read(other),
        });
        // More than a turn of the sequence numbers, with a segment in every stride.
        for at in [1_000_000_000_u64, 2_000_000_000, 3_000_000_000, 4_000_000_000, 4_999_999_999] {
            stream.push((at + 2) as u32, b"....", 0, LIMIT, &mut read);
        }
        stream.push(5_000_000_005_u64 as u32, b"end", 0, LIMIT, &mut read);
        stream.finish(LIMIT, &mut read);
        assert_eq!(all, b"...end");
    }

    #[test]
    fn a_gap_is_given_up_when_the_limit_is_reached() {
        let mut stream = Stream::new(Some(0));
        let ahead = [b'x'; 400];
        let segments: Vec<_> = (0..6).map(|n| (10 + n * 400, &ahead[..], 0)).collect();
        let all = shown(&mut stream, &segments, 1000);
        assert_eq!(all.len(), 1 + 6 * 400);
        assert_eq!((all[0], stream.gaps()), (b'|', 1));
    }

    #[test]
    fn a_reader_that_wants_more_than_the_limit_gets_a_gap() {
        let mut stream = Stream::default();
        let mut gaps = 0;
        for n in 0..100_u32 {
            stream.push(n * 10, &[b'x'; 10], 0, 55, &mut |shown| match shown {
                Shown::Bytes(bytes) => Step::Wants(bytes.len() + 1),
                Shown::Gap(rest) => {
                    assert_eq!(rest.len(), 60);
                    gaps += 1;
                    Step::Took(1)
                }
            });
            assert!(stream.held() <= 55);
        }
        assert_eq!(gaps, 16);
    }

    proptest! {
        #[test]
        fn chops_order_and_repeats_do_not_show(
            bytes in prop::collection::vec(any::<u8>(), 1..2000),
            start in any::<u32>(),
            cuts in prop::collection::vec((0_usize..2000, 1_usize..300), 0..60),
            wants in 1_usize..50,
        ) {
            // Random pieces in random order, and then the whole in order, so that nothing is missing.
            let mut pieces: Vec<(usize, usize)> =
                cuts.iter().map(|&(at, length)| (at % bytes.len(), length)).collect();
            pieces.extend((0..bytes.len()).step_by(100).map(|at| (at, 100)));
            let mut stream = Stream::new(Some(start));
            let mut all = Vec::new();
            // A reader that takes whole units only.
            let mut read = |shown: Shown<'_>| match shown {
                Shown::Bytes(bytes) if bytes.len() < wants => Step::Wants(wants),
                Shown::Bytes(bytes) => {
                    all.extend_from_slice(&bytes[..wants]);
                    Step::Took(wants as u64)
                }
                Shown::Gap(rest) => {
                    all.extend_from_slice(rest);
                    Step::Took(1)
                }
            };
            for (at, length) in pieces {
                let end = (at + length).min(bytes.len());
                stream.push(start.wrapping_add(at as u32), &bytes[at..end], 0, LIMIT, &mut read);
                prop_assert!(stream.held() <= LIMIT);
            }
            stream.finish(LIMIT, &mut read);
            prop_assert_eq!(all, bytes);
            prop_assert_eq!(stream.gaps(), 0);
        }

        #[test]
        fn any_segments_stay_within_the_limit(
            segments in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..200), 0_u32..50), 0..200),
            limit in 0_usize..3000,
            took in 1_u64..5000,
        ) {
            let mut stream = Stream::default();
            let mut turn = 0;
            for (seq, payload, cut) in &segments {
                stream.push(u32::from(*seq).wrapping_sub(1000), payload, *cut, limit, &mut |_| {
                    turn += 1;
                    if turn % 3 == 0 { Step::Took(took) } else { Step::Wants(took as usize) }
                });
                prop_assert!(stream.held() <= limit);
            }
            stream.finish(limit, &mut |_| Step::Took(1));
        }
    }
}
