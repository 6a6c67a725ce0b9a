//! The packet of a row, or what is wrong with it.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use super::super::cells::Row;
use super::super::number::{Number, digits, number};
use super::super::{Hosts, Mode, Packet};
use super::fault::Fault;
use super::names::{Names, Recent};
use super::{TableReport, refused};
use crate::error::{Error, ErrorKind, Result};

/// The columns that are read: first those that there must be, last those of our own.
pub(crate) const COLUMNS: [&str; 12] = [
    "timestamp",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
    "flags",
    "length",
    "seq_num",
    "ack_num",
    "protocol",
    "flag_type",
    "seg_len",
];
pub(super) const REQUIRED: usize = 7;

#[derive(Clone, Copy)]
pub(super) enum Column {
    Timestamp,
    SrcIp,
    DstIp,
    SrcPort,
    DstPort,
    Flags,
    Length,
    SeqNum,
    AckNum,
    Protocol,
    FlagType,
    SegLen,
}

/// What is known of the unit of a table's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// No time was seen but 0, which is the same in all.
    Unknown,
    /// The first was one in microseconds since 1970, so all are.
    Since1970,
    /// Whatever it is, it is taken.
    Taken,
}

/// Times that are clearly microseconds since 1970: those of 1973 to 5138.
const SINCE_1970: Range<i64> = 100_000_000_000_000..100_000_000_000_000_000;

/// What its cells are.
pub(super) struct Columns {
    pub(super) path: PathBuf,
    pub(super) mode: Mode,
    pub(super) width: usize,
    pub(super) places: [Option<usize>; COLUMNS.len()],
    /// The names of those that there must be, and are not.
    pub(super) missing: String,
    /// What is known of the unit of times.
    pub(super) unit: Unit,
    pub(super) recent: Recent,
}

impl Columns {
    /// Whether a line holds nothing but blanks, which is no row.
    pub(super) fn is_blank(&self, row: &Row) -> bool {
        self.width > 1 && row.len() == 1 && row.iter().all(|cell| cell.iter().all(u8::is_ascii_whitespace))
    }

    /// Says in which row a host has a name that cannot be written.
    pub(super) fn here(&self, line: u64, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Name(message) => refused(self.path.clone(), line, message.clone()),
            _ => error,
        }
    }

    pub(super) fn packet(
        &mut self,
        row: &Row,
        names: &Names,
        hosts: &mut Hosts,
        report: &mut TableReport,
    ) -> Result<Option<Packet>> {
        let line = row.line;
        let strict = self.mode != Mode::Original;
        if row.len() > self.width || (strict && row.len() < self.width) {
            let fault = if row.len() > self.width { Fault::TooWide } else { Fault::Short };
            report.remark(fault, line, || format!("{} of {} cells", row.len(), self.width));
            return Ok(None);
        }
        let cell = |column: Column| match self.places[column as usize] {
            Some(place) => row.get(place).unwrap_or_default(),
            // Of a column that is not there the original takes a time of 0, and not none.
            None if matches!(column, Column::Timestamp) => b"0",
            None => b"",
        };
        if !self.missing.is_empty() {
            report.remark(Fault::NoColumns, line, || self.missing.clone());
        }
        let says = |column: Column| said(column, cell(column));
        let Number::Is(time) = number(cell(Column::Timestamp)) else {
            report.remark(Fault::NoTime, line, || says(Column::Timestamp));
            return Ok(None);
        };
        match (self.unit, microseconds(time)) {
            (Unit::Unknown, Err(message)) if strict => {
                return Err(refused(self.path.clone(), line, message.to_string()));
            }
            (Unit::Unknown, Err(message)) => report.remark(Fault::OtherUnit, line, || message.to_string()),
            (Unit::Since1970, Err(_)) => report.remark(Fault::UnitChanges, line, || says(Column::Timestamp)),
            _ => {}
        }
        let flags = cell(Column::Flags);
        if strict
            && digits(flags).is_none()
            && let Some(hex) = hexadecimal(flags)
        {
            let text = String::from_utf8_lossy(flags);
            let message = format!("column flags: {text} is hexadecimal; flags are decimal here, {hex} in this row");
            return Err(refused(self.path.clone(), line, message));
        }
        let mut get = |column: Column| match number(cell(column)) {
            Number::Is(n) => Some(n),
            Number::None => None,
            Number::Other => {
                report.remark(Fault::NoNumber(COLUMNS[column as usize]), line, || says(column));
                None
            }
        };
        let named = if strict { protocol(cell(Column::Protocol)) } else { None };
        let mut packet = Packet {
            time,
            src_port: get(Column::SrcPort).unwrap_or(0),
            dst_port: get(Column::DstPort).unwrap_or(0),
            flags: get(Column::Flags),
            seq: get(Column::SeqNum).unwrap_or(0),
            ack: get(Column::AckNum).unwrap_or(0),
            length: get(Column::Length).unwrap_or(0),
            protocol: match self.places[Column::Protocol as usize].is_some() || !strict {
                true => named.or_else(|| get(Column::Protocol)),
                // Tables of TCP alone need not say so.
                false => Some(6),
            },
            ..Packet::default()
        };
        if strict {
            let payload = get(Column::SegLen);
            packet.payload = payload.and_then(|bytes| u32::try_from(bytes).ok());
            let is_longer = payload.is_some_and(|bytes| !(0..=packet.length).contains(&bytes));
            let beyond = beyond(&packet).or(is_longer.then_some((Fault::BadLength, Column::SegLen)));
            if let Some((fault, column)) = beyond {
                report.remark(fault, line, || says(column));
                return Ok(None);
            }
            packet.flags = packet.flags.filter(|_| cell(Column::FlagType) != b"INVALID");
        }
        // Before either is entered: a host of no packet is none.
        let is_text = |column: &Column| std::str::from_utf8(cell(*column)).is_ok();
        let mut host = |column| self.recent.host(cell(column), names, hosts);
        let ends = match [Column::SrcIp, Column::DstIp].iter().find(|column| !is_text(column)) {
            None => host(Column::SrcIp).zip(host(Column::DstIp)),
            Some(column) => {
                report.remark(Fault::NotText, line, || says(*column));
                None
            }
        };
        let Some((src, dst)) = ends else { return Ok(None) };
        if self.unit == Unit::Unknown && time != 0 {
            self.unit = if SINCE_1970.contains(&time) { Unit::Since1970 } else { Unit::Taken };
        }
        Ok(Some(Packet { src, dst, ..packet }))
    }
}

/// A number that no packet has, and its column.
fn beyond(packet: &Packet) -> Option<(Fault, Column)> {
    const PORTS: RangeInclusive<i64> = 0..=65_535;
    // The eight of RFC 9293 and what is kept for more.
    const FLAGS: RangeInclusive<i64> = 0..=0xfff;
    const WORDS: RangeInclusive<i64> = 0..=u32::MAX as i64;
    const PROTOCOLS: RangeInclusive<i64> = 0..=255;
    const TIMES: RangeInclusive<i64> = 0..=1 << 53;
    let Packet { time, src_port, dst_port, flags, seq, ack, length, protocol, .. } = packet;
    let known = [
        (TIMES, *time, Fault::BadTime, Column::Timestamp),
        (PORTS, *src_port, Fault::BadPort, Column::SrcPort),
        (PORTS, *dst_port, Fault::BadPort, Column::DstPort),
        (FLAGS, flags.unwrap_or(0), Fault::BadFlags, Column::Flags),
        (WORDS, *length, Fault::BadLength, Column::Length),
        (WORDS, *seq, Fault::BadNumber, Column::SeqNum),
        (WORDS, *ack, Fault::BadNumber, Column::AckNum),
        (PROTOCOLS, protocol.unwrap_or(0), Fault::BadProtocol, Column::Protocol),
    ];
    let beyond = known.into_iter().find(|(range, number, ..)| !range.contains(number));
    beyond.map(|(_, _, fault, column)| (fault, column))
}

/// What a cell says, as far as it is read at a glance.
fn said(column: Column, cell: &[u8]) -> String {
    const MOST: usize = 40;
    let text: String = String::from_utf8_lossy(cell).chars().take(MOST).collect();
    let name = COLUMNS[column as usize];
    if cell.is_empty() { format!("{name} is empty") } else { format!("{name} {text}") }
}

/// The value of a number such as 0x0012.
fn hexadecimal(cell: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(cell.trim_ascii()).ok()?;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok()
}

/// The number of a protocol that is named.
fn protocol(cell: &[u8]) -> Option<i64> {
    let named = [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58)];
    named.into_iter().find(|(name, _)| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes())).map(|(_, n)| n)
}

/// What is wrong with a table's first time that is not 0 if it is clearly of another unit: microseconds since 1970 are those of 1973 to 5138, or count from a
/// beginning of the table's own.
fn microseconds(time: i64) -> std::result::Result<(), Looks> {
    let (unit, way) = match time.unsigned_abs() {
        100_000_000..100_000_000_000 => ("seconds", "multiply it by 1,000,000"),
        100_000_000_000..100_000_000_000_000 => ("milliseconds", "multiply it by 1,000"),
        100_000_000_000_000_000.. => ("nanoseconds", "divide it by 1,000"),
        _ => return Ok(()),
    };
    Err(Looks { time, unit, way })
}

/// A time that looks like one of another unit, as text a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    time: i64,
    unit: &'static str,
    way: &'static str,
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Looks { time, unit, way } = self;
        write!(f, "column timestamp: {time} looks like {unit}; times are microseconds since 1970 here, so {way}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_since_1970_is_of_one_unit_and_one_from_a_beginning_of_any() {
        for (time, unit) in [
            (1_700_000_000, "seconds"),
            (1_700_000_000_000, "milliseconds"),
            (1_700_000_000_000_000_000, "nanoseconds"),
        ] {
            assert!(microseconds(time).unwrap_err().to_string().contains(&format!("like {unit};")), "{time}");
        }
        for time in [0, -5, 99_999_999, 1_700_000_000_000_000, 100_000_000_000_000] {
            assert_eq!(microseconds(time), Ok(()), "{time}");
        }
        assert!(microseconds(i64::MIN).is_err());
    }
}
