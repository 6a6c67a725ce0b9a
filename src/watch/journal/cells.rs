//! Values of this program in the cells of SQLite.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::known::{Became, Entry, Fed, Own, State};
use crate::time::Timestamp;
use crate::watch::Identity;

pub(super) fn ns(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::ns)
}

pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp))
}

/// Names of files are bytes, of no encoding.
pub(super) fn path(row: &Row<'_>, at: usize) -> rusqlite::Result<PathBuf> {
    Ok(OsString::from_vec(row.get(at)?).into())
}

pub(super) fn identity(row: &Row<'_>, at: usize) -> rusqlite::Result<Identity> {
    let (Bits(device), Bits(inode), Bits(size)) = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
    Ok(Identity { device, inode, size, digest: row.get(at + 3)? })
}

pub(super) fn own(row: &Row<'_>) -> rusqlite::Result<Own> {
    Ok(Own { records: path(row, 0)?, capture: path(row, 1)?, identity: identity(row, 2)? })
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let place = row.get(0)?;
    if let Some(until) = row.get(1)? {
        return Ok(Entry::Quiet { place, until: Timestamp(until), follows: row.get(15)? });
    }
    let fed = Fed { path: path(row, 2)?, identity: identity(row, 3)?, first: time(row, 7)?, next: time(row, 8)? };
    let became = match row.get(9)? {
        Some(Bits(packets)) => {
            let seen = time(row, 12)?.zip(time(row, 13)?).map(<[Timestamp; 2]>::from);
            let Bits(wild) = row.get(14)?;
            Some(Became { packets, last: time(row, 10)?, damage: row.get(11)?, seen, wild })
        }
        None => None,
    };
    Ok(Entry::File { place, fed, became })
}

/// A number of 64 bits, kept as the signed one of the same bits: SQLite has no others.
pub(super) struct Bits(pub(super) u64);

impl ToSql for Bits {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Bits {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Bits> {
        Ok(Bits(value.as_i64()?.cast_unsigned()))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<State> {
        let number = value.as_i64()?;
        let states = [State::Fed, State::Late, State::Quarantined, State::Done, State::Refused];
        states.into_iter().find(|state| *state as i64 == number).ok_or(FromSqlError::OutOfRange(number))
    }
}
