//! The numbers of a record as text, in a buffer of fixed size: most are of one or two digits, and asking a growing buffer
//! for room at each of them costs more than writing them.

use super::jsonl::Times;
use crate::time::{NS_PER_SECOND, Timestamp};

/// Text under way.
#[derive(Clone, Debug)]
pub(super) struct Text {
    bytes: [u8; ROOM],
    used: usize,
}

/// More than a record's names and its numbers, were all as long as can be, take together (about 1,000 bytes; a test writes
/// such a record).
const ROOM: usize = 1280;

/// The decimal digits of 00 to 99.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < pairs.len() {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

impl Default for Text {
    fn default() -> Self {
        Text { bytes: [0; ROOM], used: 0 }
    }
}

impl Text {
    /// Appends the text to `out` and starts anew.
    #[inline]
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.used]);
        self.used = 0;
    }

    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.bytes[self.used..self.used + N].copy_from_slice(text);
        self.used += N;
    }

    fn slice(&mut self, text: &[u8]) {
        self.bytes[self.used..self.used + text.len()].copy_from_slice(text);
        self.used += text.len();
    }

    #[inline(always)]
    pub(super) fn number(&mut self, n: u64) {
        match n {
            0..10 => self.put(&[b'0' + n as u8]),
            10..100 => self.put(&PAIRS[n as usize]),
            _ => self.slice(itoa::Buffer::new().format(n).as_bytes()),
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

    #[inline]
    pub(super) fn time(&mut self, time: Timestamp, times: Times) {
        if time.0 < 0 {
            self.put(b"-");
        }
        let ns = time.0.unsigned_abs();
        if times == Times::Nanoseconds {
            return self.number(ns);
        }
        self.number(ns / NS_PER_SECOND.unsigned_abs());
        let fraction = (ns % NS_PER_SECOND.unsigned_abs()) as u32;
        let (high, low) = (fraction / 10_000, fraction % 10_000);
        let pair = |n: u32| PAIRS[(n % 100) as usize];
        let ([b, c], [d, e], [f, g], [h, i]) = (pair(high / 100), pair(high), pair(low / 100), pair(low));
        self.put(&[b'.', b'0' + (high / 10_000) as u8, b, c, d, e, f, g, h, i]);
    }
}
