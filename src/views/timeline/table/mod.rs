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
//! [`Mode::Original`] takes what the original takes: flags in hexadecimal for none, times of any unit, numbers that no packet has, and a table
//! without a column, which is 0 or no address then; of all but numbers it remarks. Only a table without flags is refused, which the original calls UNKNOWN. The first time but 0 tells the unit; of later times of another there is a remark in both modes. Else these are refused, and a row with such a number, or with fewer cells than the header, is left out: a [`Fault`] says which are.
//!
//! packets.csv of our own folders has two columns that say what the others do not: `seg_len`, the bytes of payload, and `flag_type`, by which flags
//! that are not known are no flags that are 0. So it makes the flows that its capture made.

mod fault;
mod names;
mod row;

use std::path::PathBuf;

use super::cells::{Cells, Row};
use super::original::Original;
use super::{Chosen, Hosts, Machine, Mode, TimelineSink};
use crate::capture::{Contents, Input};
use crate::engine::Progress;
use crate::error::{Error, ErrorKind, Result};

pub use fault::{Fault, Remark};
pub use names::Names;
use names::Recent;
pub(crate) use row::COLUMNS;
use row::{Column, Columns, REQUIRED, Unit};

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
        let required = COLUMNS.into_iter().zip(places).take(REQUIRED);
        let mut missing: Vec<&str> = required.filter(|(_, place)| place.is_none()).map(|(name, _)| name).collect();
        let is_refused = match mode {
            Mode::Correct => !missing.is_empty(),
            Mode::Original => places[Column::Flags as usize].is_none(),
        };
        if is_refused {
            missing.retain(|name| mode == Mode::Correct || *name == COLUMNS[Column::Flags as usize]);
            let found: Vec<_> = header.iter().map(|cell| String::from_utf8_lossy(cell)).collect();
            let found =
                if found.is_empty() { "the file is empty".into() } else { format!("there are: {}", found.join(", ")) };
            let message = format!("no table of packets, for want of columns: {}; {found}", missing.join(", "));
            return Err(refused(path.to_owned(), 1, message));
        }
        // Only folders of our own have both columns, and their times are of one unit.
        let is_ours = places[Column::FlagType as usize].is_some() && places[Column::SegLen as usize].is_some();
        let unit = if is_ours { Unit::Taken } else { Unit::Unknown };
        let (path, missing) = (path.to_owned(), missing.join(", "));
        Ok(Table {
            rows,
            columns: Columns { path, mode, width: header.len(), places, missing, unit, recent: Recent::default() },
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
