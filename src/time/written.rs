//! Times as people write them.

use super::Timestamp;
use crate::capture::days_from_civil;

/// Reads `2023-10-19T13`, `2023-10-19T13:05`, `2023-10-19T13:05:09.25`, each with or without `Z`, `2023-10-19`, or
/// seconds since the epoch with up to nine decimals. All are UTC.
///
/// # Errors
/// It is no such time; the text says what would be.
pub fn point(text: &str) -> Result<Timestamp, String> {
    let wrong =
        || format!("`{text}` is no time; write 2023-10-19T13, 2023-10-19T13:05:00Z or seconds since 1970 (UTC)");
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let seconds = match plain.get(4..5) {
        Some("-") => {
            let (date, clock) = plain.split_once(['T', ' ']).unwrap_or((plain, "00"));
            let mut date = date.split('-').map(|part| part.parse::<u32>().ok());
            let mut next = || date.next().flatten();
            let (year, month, day) = (next(), next(), next());
            let (Some(year), Some(month), Some(day), None) = (year, month, day, next()) else { return Err(wrong()) };
            let days = days_from_civil(i64::from(year), month, day).ok_or_else(wrong)?;
            let mut clock = clock.splitn(3, ':');
            let hour = clock.next().and_then(|part| two(part, 24)).ok_or_else(wrong)?;
            let minute = clock.next().map_or(Some(0), |part| two(part, 60)).ok_or_else(wrong)?;
            let rest = clock.next().unwrap_or("00");
            let (second, fraction) = rest.split_once('.').unwrap_or((rest, ""));
            let second = two(second, 60).ok_or_else(wrong)?;
            return with_fraction(days * 86_400 + hour * 3600 + minute * 60 + second, fraction).ok_or_else(wrong);
        }
        _ => plain,
    };
    if seconds.len() == 4 {
        // A year, more likely than the first three hours of 1970.
        return Err(wrong());
    }
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    whole.parse().ok().and_then(|whole| with_fraction(whole, fraction)).ok_or_else(wrong)
}

fn two(part: &str, below: i64) -> Option<i64> {
    let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| part.parse().ok()).flatten().filter(|&n| n < below)
}

fn with_fraction(seconds: i64, fraction: &str) -> Option<Timestamp> {
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ns: i64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(ns).map(Timestamp)
}

/// Units of time, and their nanoseconds.
const UNITS: [(&str, i64); 7] = [
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads a length of time, in nanoseconds: a whole number and its unit, as in `100ms`, `1s`, `10min`;
/// nothing if it is none, or does not fit.
#[must_use]
pub fn length(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, ns) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<i64>().ok()?.checked_mul(*ns)
}

/// A decimal number, not negative, times ten to the power of `places`, exactly: `0.5` is 500 with three places. Nothing if it is none, has
/// more decimals, or does not fit.
#[must_use]
pub fn decimal(text: &str, places: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > places || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_people_write_them() {
        let hour = Timestamp::from_seconds(1_697_720_400);
        for text in ["2023-10-19T13", "2023-10-19T13:00", "2023-10-19T13:00:00Z", "1697720400", "1697720400.0"] {
            assert_eq!(point(text), Ok(hour), "{text}");
        }
        assert_eq!(point("2023-10-19"), Ok(Timestamp::from_seconds(1_697_673_600)));
        assert_eq!(point("2023-10-19T13:05:09.25"), Ok(Timestamp(1_697_720_709_250_000_000)));
        for text in
            ["", "yesterday", "2023-13-01", "2023-10-19T24", "2023-10-19T1", "12.1234567890", "9e9", "2023-10", "2023"]
        {
            assert!(point(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_length_is_a_whole_number_and_its_unit() {
        assert_eq!(
            ["1us", "250ms", "10 s", "2min", "1d"].map(length),
            [1_000, 250_000_000, 10_000_000_000, 120_000_000_000, 86_400_000_000_000].map(Some)
        );
        for text in ["", "10", "s", "-1s", "1.5s", "1 week", "9223372036855s"] {
            assert_eq!(length(text), None, "{text}");
        }
    }
}
