//! Packets from a table: CSV with a header, as the original reads.
//!
//! Columns are known by their names, others are passed over. Times are microseconds since 1970; a fraction is cut. Addresses are
//! numbers that [`Names`] translates, or any text. An empty cell, or one that pandas takes for none (`nan`, `NULL`), is 0, or no
//! address.
//!
//! Cells are read one by one. The original lets pandas guess a type from all cells of a column in a chunk, which shows only where a
//! column holds both kinds: `1` is then a name beside names, and `2.0` no number beside text. A row with more cells than the header ends a
//! file there, and its chunk is lost; here that row alone is left out.
//!
//! [`Mode::Original`] takes what the original takes: flags in hexadecimal for none, times of any unit, and numbers that no packet has. Else
//! the first two are refused, and a row with such a number, or with fewer cells than the header, is left out: a [`Fault`] says which are.
//!
//! packets.csv of our own folders has two columns that say what the others do not: `seg_len`, the bytes of payload, and `flag_type`, by which flags
//! that are not known are no flags that are 0. So it makes the flows that its capture made.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use hashbrown::HashMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::cells::{Cells, Row};
use super::number::{Number, digits, number};
use super::original::Original;
use super::{Chosen, Host, Hosts, Machine, Mode, Packet, TimelineSink};
use crate::capture::{Contents, Input};
use crate::engine::Progress;
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
const REQUIRED: usize = 7;

#[derive(Clone, Copy)]
enum Column {
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

/// Takes the rows of tables: a machine, and what it may want to know beside packets.
pub trait Rows: Machine {
    /// A row holds no packet.
    ///
    /// # Errors
    /// As [`Machine::packet`].
    fn other_row(&mut self, _hosts: &Hosts, _sink: &mut dyn TimelineSink) -> Result<()> {
        Ok(())
    }

    /// A table has ended.
    ///
    /// # Errors
    /// As [`Machine::packet`].
    fn end_file(&mut self, _hosts: &Hosts, _sink: &mut dyn TimelineSink) -> Result<()> {
        Ok(())
    }

    /// Whether the rest of the table is not wanted.
    fn is_done(&self) -> bool {
        false
    }
}

impl Rows for Original {
    fn other_row(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        Original::other_row(self, hosts, sink)
    }

    fn end_file(&mut self, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        Original::end_file(self, hosts, sink)
    }

    fn is_done(&self) -> bool {
        Original::is_done(self)
    }
}

impl<M: Machine> Rows for Chosen<M> {
    fn is_done(&self) -> bool {
        self.is_full()
    }
}

/// Addresses by number.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<i64, Box<str>>);

/// From `{"10.0.0.1": 1, ...}`; of several addresses with one number the last has it.
impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Names, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of addresses, each with its number")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Names, A::Error> {
                let (mut entries, mut places) = (Vec::<(String, i64)>::new(), HashMap::new());
                while let Some((name, number)) = map.next_entry::<String, i64>()? {
                    // An address that comes again keeps its first place.
                    let place = *places.entry(name.clone()).or_insert(entries.len());
                    match entries.get_mut(place) {
                        Some(entry) => entry.1 = number,
                        None => entries.push((name, number)),
                    }
                }
                Ok(Names(entries.into_iter().map(|(name, number)| (number, name.into())).collect()))
            }
        }
        from.deserialize_map(Map)
    }
}

/// What became of a table.
#[derive(Debug)]
pub struct TableReport {
    /// Its path.
    pub path: PathBuf,
    /// Rows.
    pub rows: u64,
    /// Those that are packets; the others are left out, as remarks say.
    pub packets: u64,
    /// What was wrong with rows.
    pub remarks: Vec<Remark>,
    /// Why it was not read to its end.
    pub damage: Option<String>,
    /// Why it was not read at all.
    pub failed: Option<Error>,
}

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
    /// The cell of this column is no number that fits 64 bits, and counts as none.
    NoNumber(&'static str),
}

impl Fault {
    /// Whether rows of this fault are left out.
    #[must_use]
    pub fn leaves_out(self) -> bool {
        !matches!(self, Fault::NoNumber(_))
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
            Fault::NoNumber(_) => "without a number",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remark { fault, rows, line, says } = self;
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
            Fault::NoNumber(column) => write!(f, "no decimal number in column {column}")?,
        }
        f.write_str(if fault.leaves_out() { ": left out; " } else { ": taken for none; " })?;
        write!(f, "line {line}{}", if *rows == 1 { "" } else { " is the first" })?;
        if says.is_empty() { Ok(()) } else { write!(f, ": {says}") }
    }
}

/// Reads tables, one behind the other, and finishes machine and sink, unless no table could be read at all.
///
/// # Errors
/// The sink's; a stop that was asked for; and, but for [`Mode::Original`], a table with flags in hexadecimal or times that are clearly no
/// microseconds. What cannot be read is no error: its report says so.
pub fn run(
    inputs: &[Input],
    names: &Names,
    mode: Mode,
    progress: &Progress,
    machine: &mut dyn Rows,
    sink: &mut dyn TimelineSink,
) -> Result<Vec<TableReport>> {
    let mut hosts = Hosts::default();
    let mut reports = Vec::new();
    for input in inputs {
        let mut report = TableReport {
            path: input.path().to_owned(),
            rows: 0,
            packets: 0,
            remarks: Vec::new(),
            damage: None,
            failed: None,
        };
        match Table::open(input, mode) {
            Ok(mut table) => {
                table.rows(names, progress, &mut hosts, machine, sink, &mut report)?;
                machine.end_file(&hosts, sink)?;
            }
            Err(error) => report.failed = Some(error),
        }
        reports.push(report);
    }
    if reports.iter().any(|report| report.failed.is_none()) {
        machine.finish(&hosts, sink)?;
        sink.finish(&hosts)?;
    }
    Ok(reports)
}

/// A table under way.
struct Table {
    rows: Cells<Contents>,
    columns: Columns,
}

/// What its cells are.
struct Columns {
    path: PathBuf,
    mode: Mode,
    width: usize,
    places: [Option<usize>; COLUMNS.len()],
    /// A time was seen, and looked like microseconds.
    has_unit: bool,
    recent: Recent,
}

/// Rows between two looks at the progress.
const STRIDE: u64 = 4096;

impl Table {
    fn open(input: &Input, mode: Mode) -> Result<Table> {
        let path = input.path();
        let mut rows = Cells::new(Contents::open(input)?);
        let header: Vec<Vec<u8>> = match rows.header() {
            Ok(header) => header.iter().flat_map(Row::iter).map(<[u8]>::to_vec).collect(),
            Err(error) => {
                let place = place_of(rows.source());
                return Err(refused(path.to_owned(), 1, format!("the header cannot be read: {error}{place}")));
            }
        };
        let places = COLUMNS.map(|name| header.iter().position(|cell| *cell == name.as_bytes()));
        let missing: Vec<&str> = COLUMNS
            .into_iter()
            .zip(places)
            .take(REQUIRED)
            .filter(|(_, place)| place.is_none())
            .map(|(name, _)| name)
            .collect();
        if !missing.is_empty() {
            let found: Vec<_> = header.iter().map(|cell| String::from_utf8_lossy(cell)).collect();
            let found =
                if found.is_empty() { "the file is empty".into() } else { format!("there are: {}", found.join(", ")) };
            let message = format!("no table of packets, for want of columns: {}; {found}", missing.join(", "));
            return Err(refused(path.to_owned(), 1, message));
        }
        // Only folders of our own have both columns, and their times are of one unit.
        let is_ours = places[Column::FlagType as usize].is_some() && places[Column::SegLen as usize].is_some();
        let has_unit = mode == Mode::Original || is_ours;
        let path = path.to_owned();
        Ok(Table {
            rows,
            columns: Columns { path, mode, width: header.len(), places, has_unit, recent: Recent::default() },
        })
    }

    /// Hands on all rows, or those that are wanted.
    fn rows(
        &mut self,
        names: &Names,
        progress: &Progress,
        hosts: &mut Hosts,
        machine: &mut dyn Rows,
        sink: &mut dyn TimelineSink,
        report: &mut TableReport,
    ) -> Result<()> {
        let (mut bytes, mut seen) = (0, 0);
        while !machine.is_done() {
            let line = self.rows.line();
            let row = match self.rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) => {
                    report.damage = Some(format!("{error}{}, in line {line}", place_of(self.rows.source())));
                    break;
                }
            };
            if self.columns.is_blank(&row) {
                continue;
            }
            seen += 1;
            report.rows += 1;
            let line = row.line;
            match self.columns.packet(&row, names, hosts, report)? {
                Some(packet) => {
                    report.packets += 1;
                    machine.packet(packet, hosts, sink).map_err(|error| self.columns.here(line, error))?;
                }
                None => machine.other_row(hosts, sink)?,
            }
            if seen == STRIDE {
                let read = self.rows.source().bytes_read();
                progress.add(read - bytes, seen);
                (bytes, seen) = (read, 0);
                progress.stopped()?;
            }
        }
        progress.add(self.rows.source().bytes_read() - bytes, seen);
        progress.stopped()
    }
}

impl Columns {
    /// Whether a line holds nothing but blanks, which is no row.
    fn is_blank(&self, row: &Row) -> bool {
        self.width > 1 && row.len() == 1 && row.iter().all(|cell| cell.iter().all(u8::is_ascii_whitespace))
    }

    /// Says in which row a host has a name that cannot be written.
    fn here(&self, line: u64, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Name(message) => refused(self.path.clone(), line, message.clone()),
            _ => error,
        }
    }

    fn packet(
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
        let cell = |column: Column| self.places[column as usize].and_then(|place| row.get(place)).unwrap_or_default();
        let says = |column: Column| said(column, cell(column));
        let Number::Is(time) = number(cell(Column::Timestamp)) else {
            report.remark(Fault::NoTime, line, || says(Column::Timestamp));
            return Ok(None);
        };
        if !self.has_unit {
            microseconds(time).map_err(|message| refused(self.path.clone(), line, message))?;
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
        let mut host = |column| self.recent.host(cell(column), names, hosts);
        let (Some(src), Some(dst)) = (host(Column::SrcIp), host(Column::DstIp)) else {
            let column = if std::str::from_utf8(cell(Column::SrcIp)).is_err() { Column::SrcIp } else { Column::DstIp };
            report.remark(Fault::NotText, line, || says(column));
            return Ok(None);
        };
        self.has_unit = true;
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

/// How far a compressed table was read, where that is damaged.
fn place_of(contents: &Contents) -> String {
    match contents.is_packed() {
        true => format!(" at byte {}", contents.bytes_read()),
        false => String::new(),
    }
}

impl TableReport {
    fn remark(&mut self, fault: Fault, line: u64, says: impl FnOnce() -> String) {
        match self.remarks.iter_mut().find(|remark| remark.fault == fault) {
            Some(remark) => remark.rows += 1,
            None => self.remarks.push(Remark { fault, rows: 1, line, says: says() }),
        }
    }
}

fn refused(path: PathBuf, line: u64, message: String) -> Error {
    ErrorKind::Table { path, line, message }.into()
}

/// The hosts of short cells that were seen a moment ago: most come again soon.
#[derive(Debug)]
struct Recent(Vec<(u128, Host)>);

impl Default for Recent {
    fn default() -> Recent {
        // No cell has this key: it would be longer than short.
        Recent(vec![(u128::MAX, 0); 1 << Recent::BITS])
    }
}

impl Recent {
    const BITS: u32 = 10;

    fn host(&mut self, cell: &[u8], names: &Names, hosts: &mut Hosts) -> Option<Host> {
        let Some(key) = Recent::key(cell) else { return host(cell, names, hosts) };
        let mixed = ((key >> 64) as u64 ^ key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let recent = &mut self.0[(mixed >> (u64::BITS - Recent::BITS)) as usize];
        if recent.0 != key {
            *recent = (key, host(cell, names, hosts)?);
        }
        Some(recent.1)
    }

    /// A cell of up to 15 bytes and its length as a number.
    fn key(cell: &[u8]) -> Option<u128> {
        let mut bytes = [0; 16];
        bytes[15] = u8::try_from(cell.len()).ok()?;
        bytes[..15].get_mut(..cell.len())?.copy_from_slice(cell);
        Some(u128::from_le_bytes(bytes))
    }
}

/// The host of a cell; nothing if it is not UTF-8.
fn host(cell: &[u8], names: &Names, hosts: &mut Hosts) -> Option<Host> {
    let text = std::str::from_utf8(cell).ok()?;
    // No number has two dots or a colon, nor has what pandas takes for none.
    if cell.contains(&b':') || cell.iter().filter(|byte| **byte == b'.').count() > 1 {
        return Some(hosts.number(text));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    let name = match number(cell) {
        Number::None => Cow::Borrowed(""),
        Number::Is(n) if is_number => match names.0.get(&n) {
            Some(name) => Cow::Borrowed(&**name),
            None => Cow::Owned(n.to_string()),
        },
        _ => Cow::Borrowed(text),
    };
    Some(hosts.number(&name))
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

/// Refuses a table's first time if it is clearly of another unit: microseconds since 1970 are those of 1973 to 5138, or count from a
/// beginning of the table's own.
fn microseconds(time: i64) -> std::result::Result<(), String> {
    let (unit, way) = match time.unsigned_abs() {
        100_000_000..100_000_000_000 => ("seconds", "multiply it by 1,000,000"),
        100_000_000_000..100_000_000_000_000 => ("milliseconds", "multiply it by 1,000"),
        100_000_000_000_000_000.. => ("nanoseconds", "divide it by 1,000"),
        _ => return Ok(()),
    };
    Err(format!("column timestamp: {time} looks like {unit}; times are microseconds since 1970 here, so {way}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cell_has_its_host_recent_or_not(cells in prop::collection::vec("[0-9]{0,3}|10[.]0[.]0[.][0-9]|nan|[a-é]{0,2}|x{14,17}", 0..300)) {
            let (mut recent, names) = (Recent::default(), Names::default());
            let [mut quick, mut slow] = [Hosts::default(), Hosts::default()];
            for cell in cells.iter().map(String::as_bytes) {
                prop_assert_eq!(recent.host(cell, &names, &mut quick), host(cell, &names, &mut slow));
            }
        }
    }

    #[test]
    fn a_number_is_translated_and_text_stays() {
        let names = Names(HashMap::from([(1, "10.0.0.1".into()), (2, "fe80::1".into())]));
        let mut hosts = Hosts::default();
        let cells = ["1", "2.0", "007", "10.0.0.9", "1.2.3", "nan", "", "1e5", "café", "inf"];
        let named = cells.map(|cell| {
            let host = host(cell.as_bytes(), &names, &mut hosts).unwrap();
            hosts.name(host).to_owned()
        });
        assert_eq!(named, ["10.0.0.1", "fe80::1", "7", "10.0.0.9", "1.2.3", "", "", "1e5", "café", "inf"]);
        assert_eq!(host(b"\xff", &names, &mut hosts), None);
    }

    #[test]
    fn a_time_since_1970_is_of_one_unit_and_one_from_a_beginning_of_any() {
        for (time, unit) in [
            (1_700_000_000, "seconds"),
            (1_700_000_000_000, "milliseconds"),
            (1_700_000_000_000_000_000, "nanoseconds"),
        ] {
            assert!(microseconds(time).unwrap_err().contains(&format!("like {unit};")), "{time}");
        }
        for time in [0, -5, 99_999_999, 1_700_000_000_000_000, 100_000_000_000_000] {
            assert_eq!(microseconds(time), Ok(()), "{time}");
        }
        assert!(microseconds(i64::MIN).is_err());
    }
}
