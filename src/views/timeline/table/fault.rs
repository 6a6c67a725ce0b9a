//! What can be wrong with rows, and how that is said.

use std::fmt;

/// What was wrong with some rows; as text a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What.
    pub fault: Fault,
    /// With how many rows.
    pub rows: u64,
    /// The line of the first of them, from 1.
    pub line: u64,
    /// What that one says, such as `src_port 70000`.
    pub says: String,
}

/// What can be wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its time is no number; it is left out.
    NoTime,
    /// Its time is before 1970, or beyond the 2^53 microseconds that viewers tell apart; it is left out.
    BadTime,
    /// A port is none, which are 0 to 65535; it is left out.
    BadPort,
    /// Its flags are no flags of TCP, which are 0 to 4095; it is left out.
    BadFlags,
    /// Its length is none that a packet has, which are 0 to 2^32 - 1, or its payload is longer than that; it is left out.
    BadLength,
    /// Its sequence or acknowledgement number is none of TCP, which are 0 to 2^32 - 1; it is left out.
    BadNumber,
    /// Its protocol is none, which are 0 to 255; it is left out.
    BadProtocol,
    /// It has more cells than the header; it is left out.
    TooWide,
    /// It has fewer cells than the header; it is left out.
    Short,
    /// An address is not UTF-8; it is left out.
    NotText,
    /// Its time is clearly none in microseconds, as the first is, and is taken as it is.
    UnitChanges,
    /// The first time but 0 is clearly none in microseconds, and is taken as it is, in the original's mode alone.
    OtherUnit,
    /// Its table lacks columns, which are 0 or no address then, in the original's mode alone.
    NoColumns,
    /// The cell of this column is no number that fits 64 bits, and counts as none.
    NoNumber(&'static str),
}

impl Fault {
    /// Whether rows of this fault are left out.
    #[must_use]
    pub fn leaves_out(self) -> bool {
        !matches!(self, Fault::UnitChanges | Fault::OtherUnit | Fault::NoColumns | Fault::NoNumber(_))
    }

    /// In a few words, for sums.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::NoTime => "without a time",
            Fault::BadTime => "bad time",
            Fault::BadPort => "bad port",
            Fault::BadFlags => "bad flags",
            Fault::BadLength => "bad length",
            Fault::BadNumber => "bad number",
            Fault::BadProtocol => "bad protocol",
            Fault::TooWide => "long row",
            Fault::Short => "short row",
            Fault::NotText => "address that is not UTF-8",
            Fault::UnitChanges | Fault::OtherUnit => "of another unit",
            Fault::NoColumns => "without a column",
            Fault::NoNumber(_) => "without a number",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remark { fault, rows, line, says } = self;
        if *fault == Fault::OtherUnit {
            return write!(f, "{says}; as in the original, times are taken as they are; line {line} is the first");
        }
        let (noun, have) = if *rows == 1 { ("row", "has") } else { ("rows", "have") };
        write!(f, "{rows} {noun} {have} ")?;
        match fault {
            Fault::NoTime => f.write_str("no time")?,
            Fault::BadTime => f.write_str("a time before 1970 or beyond 2^53 microseconds")?,
            Fault::BadPort => f.write_str("a port that is not 0 to 65535")?,
            Fault::BadFlags => f.write_str("flags that are not 0 to 4095")?,
            Fault::BadLength => f.write_str("a length that is not 0 to 4294967295, or a longer payload")?,
            Fault::BadNumber => f.write_str("a sequence or acknowledgement number that is not 0 to 4294967295")?,
            Fault::BadProtocol => f.write_str("a protocol that is not 0 to 255")?,
            Fault::TooWide => f.write_str("more cells than the header")?,
            Fault::Short => f.write_str("fewer cells than the header")?,
            Fault::NotText => f.write_str("an address that is not UTF-8")?,
            Fault::UnitChanges => f.write_str("a time that is clearly not in microseconds, as the first is")?,
            Fault::OtherUnit => {}
            Fault::NoColumns => f.write_str("not all columns")?,
            Fault::NoNumber(column) => write!(f, "no decimal number in column {column}")?,
        }
        f.write_str(match fault {
            Fault::UnitChanges => ": taken as it is; ",
            Fault::NoColumns => ": as in the original, taken for 0, or for no address; ",
            fault if fault.leaves_out() => ": left out; ",
            _ => ": taken for none; ",
        })?;
        write!(f, "line {line}{}", if *rows == 1 { "" } else { " is the first" })?;
        if says.is_empty() { Ok(()) } else { write!(f, ": {says}") }
    }
}
