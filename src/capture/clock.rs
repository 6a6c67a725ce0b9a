//! A pcapng interface's clock: from ticks to nanoseconds, exactly.

use super::record::Stamp;
use crate::time::{NS_PER_SECOND, Timestamp};

/// Turns an interface's ticks into time, by its `if_tsresol` and `if_tsoffset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Nanoseconds in a tick where that is a whole number, else 0.
    unit: u64,
    /// The offset in nanoseconds, where it fits; `unit` is 0 where it does not.
    offset_ns: i64,
    resolution: u8,
    offset: i64,
}

impl Default for Clock {
    /// Microseconds since the epoch, as for an interface that does not say.
    fn default() -> Clock {
        Clock::new(6, 0)
    }
}

impl Clock {
    /// `resolution` as in `if_tsresol`: a negative power of 10, or of 2 if the upper bit is set. `offset` in seconds.
    pub(super) fn new(resolution: u8, offset: i64) -> Clock {
        let (unit, offset_ns) = match (resolution, offset.checked_mul(NS_PER_SECOND)) {
            (0..=9, Some(offset_ns)) => (10u64.pow(9 - u32::from(resolution)), offset_ns),
            _ => (0, 0),
        };
        Clock { unit, offset_ns, resolution, offset }
    }

    /// The time after so many ticks, rounded down to nanoseconds.
    #[inline(always)]
    pub(super) fn time(&self, ticks: u64) -> (Timestamp, Stamp) {
        if self.unit != 0
            && let Some(ns) = ticks.checked_mul(self.unit)
            && let Some(time) = self.offset_ns.checked_add_unsigned(ns)
        {
            return (Timestamp(time), Stamp::Known);
        }
        self.time_by_long_division(ticks)
    }

    #[cold]
    fn time_by_long_division(&self, ticks: u64) -> (Timestamp, Stamp) {
        let ticks = u128::from(ticks);
        let exponent = u32::from(self.resolution & 0x7f);
        let ns = if self.resolution & 0x80 != 0 {
            // Below 2^94, and the shift below 128: nothing is lost but the fraction.
            (ticks * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            ticks * 10u128.pow(9 - exponent)
        } else {
            // 64 bits of ticks are fewer than 10^20.
            10u128.checked_pow(exponent - 9).map_or(0, |divisor| ticks / divisor)
        };
        let time = i128::try_from(ns).ok().map(|ns| ns + i128::from(self.offset) * i128::from(NS_PER_SECOND));
        match time.map(i64::try_from) {
            Some(Ok(time)) => (Timestamp(time), Stamp::Known),
            _ => (Timestamp::default(), Stamp::Unrepresentable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(resolution: u8, offset: i64, ticks: u64) -> Option<i64> {
        let (time, stamp) = Clock::new(resolution, offset).time(ticks);
        (stamp == Stamp::Known).then_some(time.ns())
    }

    #[test]
    fn powers_of_ten_are_exact_and_round_down() {
        assert_eq!(ns(0, 0, 7), Some(7_000_000_000));
        assert_eq!(ns(6, 0, 1_697_716_800_123_456), Some(1_697_716_800_123_456_000));
        assert_eq!(ns(9, 0, 1_697_716_800_123_456_789), Some(1_697_716_800_123_456_789));
        assert_eq!(ns(12, 0, 1_999), Some(1));
        assert_eq!(ns(28, 0, u64::MAX), Some(1));
        assert_eq!(ns(29, 0, u64::MAX), Some(0));
        assert_eq!(ns(127, 0, u64::MAX), Some(0));
    }

    #[test]
    fn powers_of_two_are_exact_and_round_down() {
        assert_eq!(ns(0x80, 0, 3), Some(3_000_000_000));
        assert_eq!(ns(0x80 | 10, 0, 1536), Some(1_500_000_000));
        assert_eq!(ns(0x80 | 32, 0, (5 << 32) | 1), Some(5_000_000_000));
        assert_eq!(ns(0x80 | 64, 0, 1 << 63), Some(500_000_000));
        assert_eq!(ns(0xff, 0, u64::MAX), Some(0));
    }

    #[test]
    fn offsets_are_signed_seconds() {
        assert_eq!(ns(6, -10, 1_000_000), Some(-9_000_000_000));
        assert_eq!(ns(6, 1_697_716_800, 1), Some(1_697_716_800_000_001_000));
        // Each by itself is out of range, the sum is not.
        assert_eq!(ns(0, -10_000_000_000, 10_000_000_001), Some(1_000_000_000));
    }

    #[test]
    fn times_beyond_64_bits_are_named_as_such() {
        assert_eq!(ns(6, 0, u64::MAX), None);
        assert_eq!(ns(9, 0, i64::MAX as u64), Some(i64::MAX));
        assert_eq!(ns(9, 0, i64::MAX as u64 + 1), None);
        assert_eq!(ns(9, i64::MIN, 0), None);
        assert_eq!(ns(0, i64::MAX, u64::MAX), None);
    }
}
