//! Lengths of time and sizes as people write them, in arguments and in files.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pcap_compactor::time;
use serde::{Deserialize, Serialize};

/// The longest time that is taken, in days.
const LONGEST: i64 = 366 * 100;

/// A length of time: `2s`, `5min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Length(pub(super) Duration);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Length, String> {
        let ns = time::length(text).filter(|&ns| ns / 86_400_000_000_000 < LONGEST);
        let ns = ns
            .ok_or_else(|| format!("`{text}` is no time; write a whole number and a unit: 500ms, 2s, 5min, 1h, 30d"))?;
        Ok(Length(Duration::from_nanos(ns.unsigned_abs())))
    }
}

/// Units that lengths are written in, and their nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_nanos() {
            0 => f.write_str("0s"),
            // As rotations are spoken of.
            60_000_000_000 => f.write_str("60s"),
            ns => {
                let (name, unit) =
                    UNITS.into_iter().find(|(_, unit)| ns.is_multiple_of(*unit)).unwrap_or(("us", 1_000));
                write!(f, "{}{name}", ns / unit)
            }
        }
    }
}

/// A size: `500MB`, `1GiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Size(pub(super) u64);

/// Units of sizes, and their bytes.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
        let size = unit.and_then(|(_, unit)| number.parse::<u64>().ok()?.checked_mul(*unit));
        // TOML ends there.
        let size = size.filter(|&size| i64::try_from(size).is_ok());
        size.map(Size).ok_or_else(|| format!("`{text}` is no size; write a whole number and a unit: 500MB, 1GB, 1GiB"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = SIZES.iter().filter(|(_, unit)| self.0.is_multiple_of(*unit));
        let (name, unit) = fitting.min_by_key(|(_, unit)| self.0 / unit).unwrap_or(&("", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl From<Length> for String {
    fn from(length: Length) -> String {
        length.to_string()
    }
}

impl TryFrom<String> for Length {
    type Error = String;
    fn try_from(text: String) -> Result<Length, String> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

impl TryFrom<String> for Size {
    type Error = String;
    fn try_from(text: String) -> Result<Size, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_are_written_as_they_are_read() {
        for text in ["60s", "2s", "5min", "500ms", "30d", "1us", "90s", "0s", "36h"] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length.to_string().parse::<Length>().unwrap(), length, "{text}");
        }
        let written = [300, 60, 3600, 86_400, 90].map(|seconds| Length(Duration::from_secs(seconds)).to_string());
        assert_eq!(written, ["5min", "60s", "1h", "1d", "90s"]);
        for (text, bytes) in [("1GiB", 1 << 30), ("500MB", 500_000_000), ("4097", 4097), ("1gb", 1_000_000_000)] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().parse::<Size>().unwrap()), (bytes, size), "{text}");
        }
        for text in ["", "GB", "1.5GB", "-1", "1 parsec", "99999999TB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in ["", "5", "-1s", "1 week", "40000d"] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }
}
