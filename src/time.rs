//! Capture time: signed nanoseconds since 1970-01-01T00:00:00 UTC.
//!
//! Times come from the capture alone. They are integers inside and exact
//! decimals outside; no float ever holds one.

mod written;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capture::civil_from_days;

pub use written::{decimal, length, point};

/// Nanoseconds in one second.
pub const NS_PER_SECOND: i64 = 1_000_000_000;

/// A point in capture time, in nanoseconds since the Unix epoch (UTC).
///
/// The range is that of `i64`: the years 1677 to 2262. A capture that claims a
/// time outside it is counted `malformed.time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest representable time.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest representable time.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Whole seconds since the epoch as a time; saturates at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(NS_PER_SECOND))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(NS_PER_SECOND)
    }

    /// The start of the window of `length_ns` nanoseconds, counted from the epoch, that holds this time.
    ///
    /// Saturates at [`Timestamp::MIN`]. `length_ns` must be positive.
    #[must_use]
    pub const fn window_start(self, length_ns: i64) -> Timestamp {
        Timestamp(self.0.saturating_sub(self.0.rem_euclid(length_ns)))
    }
}

/// Writes seconds with nine decimals, exactly: `1697716800.123456789`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ns = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
    }
}

/// A time in ISO 8601 with nine decimals: `2023-10-19T13:00:00.000000000Z`.
#[must_use]
pub fn utc(time: Timestamp) -> String {
    let (seconds, ns) = (time.seconds(), time.ns().rem_euclid(1_000_000_000));
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil_on_both_sides_of_the_epoch() {
        assert_eq!(utc(Timestamp(1_697_720_400_123_456_789)), "2023-10-19T13:00:00.123456789Z");
        assert_eq!(utc(Timestamp(951_782_399_000_000_001)), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(utc(Timestamp(-1)), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(utc(Timestamp::MIN), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(utc(Timestamp::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn prints_nine_exact_decimals_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp(1_697_716_800_123_456_789).to_string(), "1697716800.123456789");
        assert_eq!(Timestamp(-1).to_string(), "-0.000000001");
        assert_eq!(Timestamp::MIN.to_string(), "-9223372036.854775808");
    }

    #[test]
    fn windows_tumble_from_the_epoch_also_before_it() {
        let hour = 3600 * NS_PER_SECOND;
        assert_eq!(Timestamp(-1).window_start(hour), Timestamp::from_seconds(-3600));
        assert_eq!(Timestamp::from_seconds(3600).window_start(hour), Timestamp::from_seconds(3600));
        assert_eq!(Timestamp::MIN.window_start(hour), Timestamp::MIN);
    }
}
