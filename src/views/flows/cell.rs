//! What stands in one column of one flow.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::time::Timestamp;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'r> {
    /// Nothing: null in JSON, empty in CSV.
    Absent,
    /// Yes or no.
    Flag(bool),
    /// A count.
    Count(u64),
    /// A whole number that may be negative.
    Integer(i64),
    /// A number. Where it is infinite or undefined, it is null in JSON.
    Float(f64),
    /// Text.
    Text(Cow<'r, str>),
    /// A number of 64 bits that is a name: sixteen hexadecimal digits.
    Id(u64),
    /// A point in time.
    Time(Timestamp),
    /// A length of time in nanoseconds, written as times are.
    Span(i64),
    /// A host.
    Address(IpAddr),
    /// Integers.
    Numbers(Vec<i64>),
    /// Numbers; none infinite, none undefined.
    Floats(Vec<f64>),
    /// Several, by position.
    List(Vec<Cell<'r>>),
}

impl Cell<'_> {
    /// A copy that borrows nothing.
    pub(super) fn owned(&self) -> Cell<'static> {
        match self {
            Cell::Absent => Cell::Absent,
            Cell::Flag(flag) => Cell::Flag(*flag),
            Cell::Count(n) => Cell::Count(*n),
            Cell::Integer(n) => Cell::Integer(*n),
            Cell::Float(n) => Cell::Float(*n),
            Cell::Text(text) => Cell::Text(text.to_string().into()),
            Cell::Id(id) => Cell::Id(*id),
            Cell::Time(time) => Cell::Time(*time),
            Cell::Span(ns) => Cell::Span(*ns),
            Cell::Address(address) => Cell::Address(*address),
            Cell::Numbers(list) => Cell::Numbers(list.clone()),
            Cell::Floats(list) => Cell::Floats(list.clone()),
            Cell::List(list) => Cell::List(list.iter().map(Cell::owned).collect()),
        }
    }

    /// Whether it has memory of its own.
    #[inline]
    pub(super) fn owns(&self) -> bool {
        matches!(self, Cell::Text(Cow::Owned(_)) | Cell::Numbers(_) | Cell::Floats(_) | Cell::List(_))
    }
}

impl From<u64> for Cell<'_> {
    fn from(n: u64) -> Self {
        Cell::Count(n)
    }
}

impl From<u32> for Cell<'_> {
    fn from(n: u32) -> Self {
        Cell::Count(n.into())
    }
}

impl From<u16> for Cell<'_> {
    fn from(n: u16) -> Self {
        Cell::Count(n.into())
    }
}

impl From<u8> for Cell<'_> {
    fn from(n: u8) -> Self {
        Cell::Count(n.into())
    }
}

impl From<f64> for Cell<'_> {
    fn from(n: f64) -> Self {
        Cell::Float(n)
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Cell::Flag(flag)
    }
}

impl<'r> From<&'r str> for Cell<'r> {
    fn from(text: &'r str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Text(Cow::Owned(text))
    }
}

impl From<Timestamp> for Cell<'_> {
    fn from(time: Timestamp) -> Self {
        Cell::Time(time)
    }
}

impl From<IpAddr> for Cell<'_> {
    fn from(address: IpAddr) -> Self {
        Cell::Address(address)
    }
}

impl<'r, T: Into<Cell<'r>>> From<Option<T>> for Cell<'r> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Absent, Into::into)
    }
}
