//! The numbers of a record as text, in a buffer of fixed size: most are of one or two digits, and asking a growing buffer
//! for room at each of them costs more than writing them. A record that may be longer makes room now and then.

use super::jsonl::Times;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::groups::GroupRecord;

/// The buffer.
#[derive(Clone, Debug)]
pub(super) struct Text([u8; ROOM]);

/// More than a record's names and its numbers, were all as long as can be, take together (about 1,000 bytes; a test writes
/// such a record).
const ROOM: usize = 1280;

/// Room for a number and what stands around it.
const SPARE: usize = 64;

/// Text under way. A value of its own, so that its end stays in a register: in memory, each write would wait for the one
/// before it.
pub(super) struct Writing<'t> {
    bytes: &'t mut [u8; ROOM],
    used: usize,
}

/// The decimal digits of 00 to 99.
pub(super) static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < pairs.len() {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// The digits of a number below 10,000, in the low bytes of a word, and how many they are. No branch tells their number:
/// lengths of packets follow no order.
#[inline(always)]
pub(super) fn few(n: u32) -> (u64, usize) {
    let leading = usize::from(n < 10) + usize::from(n < 100) + usize::from(n < 1000);
    (u64::from(u32::from_le_bytes(four(n))) >> (8 * leading), 4 - leading)
}

/// The last four digits of a number.
#[inline(always)]
fn four(n: u32) -> [u8; 4] {
    let ([a, b], [c, d]) = (PAIRS[(n / 100 % 100) as usize], PAIRS[(n % 100) as usize]);
    [a, b, c, d]
}

impl Default for Text {
    fn default() -> Self {
        Text([0; ROOM])
    }
}

impl Text {
    /// Starts anew.
    #[inline(always)]
    pub(super) fn start(&mut self) -> Writing<'_> {
        Writing { bytes: &mut self.0, used: 0 }
    }
}

impl Writing<'_> {
    /// Appends the text to `out`.
    #[inline(always)]
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.used]);
    }

    /// Appends the text to `out` where the room runs out, and starts anew.
    #[inline(always)]
    pub(super) fn make_room(&mut self, out: &mut Vec<u8>) {
        if self.used > ROOM - SPARE {
            out.extend_from_slice(&self.bytes[..self.used]);
            self.used = 0;
        }
    }

    /// Puts the low bytes of a word, up to eight.
    #[inline(always)]
    pub(super) fn word(&mut self, word: u64, length: usize) {
        self.bytes[self.used..self.used + 8].copy_from_slice(&word.to_le_bytes());
        self.used += length;
    }

    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.bytes[self.used..self.used + N].copy_from_slice(text);
        self.used += N;
    }

    #[inline(always)]
    pub(super) fn slice(&mut self, text: &[u8]) {
        self.bytes[self.used..self.used + text.len()].copy_from_slice(text);
        self.used += text.len();
    }

    #[inline(always)]
    pub(super) fn number(&mut self, n: u64) {
        match n {
            0..10 => self.put(&[b'0' + n as u8]),
            10..100 => self.put(&PAIRS[n as usize]),
            100..10_000 => {
                let ([a, b], [c, d]) = (PAIRS[(n / 100) as usize], PAIRS[(n % 100) as usize]);
                if n < 1000 { self.put(&[b, c, d]) } else { self.put(&[a, b, c, d]) }
            }
            10_000..100_000_000 => {
                let (digits, length) = few((n / 10_000) as u32);
                self.word(digits, length);
                self.put(&four((n % 10_000) as u32));
            }
            100_000_000..1_000_000_000_000 => {
                let (digits, length) = few((n / 100_000_000) as u32);
                let rest = (n % 100_000_000) as u32;
                self.word(digits, length);
                self.put(&four(rest / 10_000));
                self.put(&four(rest));
            }
            _ => self.slice(itoa::Buffer::new().format(n).as_bytes()),
        }
    }

    /// Nanoseconds of a second, not 0, as decimals without trailing zeros.
    #[inline(always)]
    pub(super) fn fraction(&mut self, ns: u32) {
        let ([a, b, c, d], [e, f, g, h]) = (four(ns / 100_000), four(ns / 10));
        // Last digits are in the high bytes.
        let zeros = (u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_le_bytes([b'0'; 8])).leading_zeros() / 8;
        match ns % 10 {
            0 => self.word(u64::from_le_bytes([a, b, c, d, e, f, g, h]), 8 - zeros as usize),
            last => self.put(&[a, b, c, d, e, f, g, h, b'0' + last as u8]),
        }
    }

    #[inline(always)]
    pub(super) fn field<const N: usize>(&mut self, name: &[u8; N], n: u64) {
        self.put(name);
        self.number(n);
    }

    #[inline(always)]
    pub(super) fn signed<const N: usize>(&mut self, name: &[u8; N], n: i32) {
        self.put(name);
        if n < 0 {
            self.put(b"-");
        }
        self.number(u64::from(n.unsigned_abs()));
    }

    /// Writes a group's first time, its last and its duration, the latter two behind their names.
    #[inline(always)]
    pub(super) fn span<const A: usize, const B: usize>(
        &mut self,
        group: &GroupRecord,
        (last, duration): (&[u8; A], &[u8; B]),
        times: Times,
    ) {
        let from = self.used;
        self.time(group.first_ts, times);
        let first = from..self.used;
        self.put(last);
        if group.last_ts == group.first_ts {
            // Most groups of slow flows are one packet.
            let length = first.len();
            self.bytes.copy_within(first, self.used);
            self.used += length;
        } else {
            self.time(group.last_ts, times);
        }
        self.put(duration);
        self.time(Timestamp(group.duration_ns()), times);
    }

    #[inline(always)]
    pub(super) fn time(&mut self, time: Timestamp, times: Times) {
        if time.0 < 0 {
            self.put(b"-");
        }
        if time.0 == 0 && times == Times::Seconds {
            return self.put(b"0.000000000");
        }
        let ns = time.0.unsigned_abs();
        if times == Times::Nanoseconds {
            return self.number(ns);
        }
        let pair = |n: u32| PAIRS[(n % 100) as usize];
        let (seconds, fraction) = (ns / NS_PER_SECOND.unsigned_abs(), (ns % NS_PER_SECOND.unsigned_abs()) as u32);
        match u32::try_from(seconds) {
            // From 2001 to 2106.
            Ok(n @ 1_000_000_000..) => {
                let ([a, b], [c, d], [e, f]) = (pair(n / 100_000_000), pair(n / 1_000_000), pair(n / 10_000));
                let ([g, h], [i, j]) = (pair(n / 100), pair(n));
                self.put(&[a, b, c, d, e, f, g, h, i, j]);
            }
            _ => self.number(seconds),
        }
        let (high, low) = (fraction / 10_000, fraction % 10_000);
        let ([b, c], [d, e], [f, g], [h, i]) = (pair(high / 100), pair(high), pair(low / 100), pair(low));
        self.put(&[b'.', b'0' + (high / 10_000) as u8, b, c, d, e, f, g, h, i]);
    }
}
