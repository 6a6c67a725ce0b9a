//! The steps that changes of a journal are made of.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, params};

use super::cells::{Bits, ns};
use super::known::{Became, Fed, Out, State, Written};
use crate::time::Timestamp;
use crate::watch::Identity;

/// The number of a sensor, which it is given when it is first named.
pub(super) fn sensor_of(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    let known = value(db, "SELECT id FROM sensor WHERE name = ?1", [name]).optional()?;
    known.map_or_else(|| db.prepare_cached("INSERT INTO sensor (name) VALUES (?1)")?.insert([name]), Ok)
}

pub(super) fn append(db: &Connection, sensor: i64, fed: &Fed, became: Option<&Became>) -> rusqlite::Result<i64> {
    let file = note(db, sensor, fed, became, State::Fed, None)?;
    db.prepare_cached("INSERT INTO entry (sensor, file) VALUES (?1, ?2)")?.insert([sensor, file])
}

pub(super) fn append_quiet(db: &Connection, sensor: i64, until: Timestamp, follows: bool) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO entry (sensor, until, follows) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.insert(params![sensor, until.ns(), follows])
}

/// Notes a file, in place of what was known of it, and returns its row.
pub(super) fn note(
    db: &Connection,
    sensor: i64,
    fed: &Fed,
    became: Option<&Became>,
    state: State,
    reason: Option<&str>,
) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO file (device, inode, size, digest, sensor, path, state, reason, first, next, packets, last, damage, seen_first, seen_last, wild)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
        ON CONFLICT (device, inode, size, digest) DO UPDATE SET sensor = excluded.sensor, path = excluded.path, state = excluded.state,
            reason = iif(excluded.state = ?17 AND file.state IN (?17, ?18), file.reason, excluded.reason), first = excluded.first, next = excluded.next, packets = excluded.packets, last = excluded.last,
            damage = excluded.damage, seen_first = excluded.seen_first, seen_last = excluded.seen_last, wild = excluded.wild
        RETURNING id";
    let [seen_first, seen_last] = seen(became);
    let Fed { path, identity: Identity { device, inode, size, digest }, first, next } = fed;
    let row = params![
        Bits(*device),
        Bits(*inode),
        Bits(*size),
        digest,
        sensor,
        path.as_os_str().as_bytes(),
        state,
        reason,
        ns(*first),
        ns(*next),
        became.map(|became| Bits(became.packets)),
        ns(became.and_then(|became| became.last)),
        became.and_then(|became| became.damage.as_ref()),
        seen_first,
        seen_last,
        Bits(became.map_or(0, |became| became.wild)),
        // What is told of one that stays in the sequence is told once.
        State::Fed,
        State::Done,
    ];
    value(db, sql, row)
}

/// The cells of what views had of a file.
pub(super) fn seen(became: Option<&Became>) -> [Option<i64>; 2] {
    became.and_then(|became| became.seen).map_or([None; 2], |seen| seen.map(|time| Some(time.ns())))
}

/// Takes what stands before a place out of the sequence of a sensor.
pub(super) fn dismiss(db: &Connection, sensor: i64, before: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE file SET state = ?3 WHERE id IN (SELECT file FROM entry WHERE sensor = ?1 AND place < ?2)";
    db.prepare_cached(sql)?.execute(params![sensor, before, State::Done])?;
    db.prepare_cached("DELETE FROM entry WHERE sensor = ?1 AND place < ?2")?.execute([sensor, before]).map(drop)
}

/// A file that is gone cannot come again. How far it reached stays known.
pub(super) fn forget_removed(db: &Connection) -> rusqlite::Result<()> {
    let sql = "UPDATE sensor SET forgotten = max(coalesce(forgotten, gone.last), gone.last)
        FROM (SELECT sensor, max(last) AS last FROM file WHERE removed = 1 AND state = ?1 GROUP BY sensor) AS gone
        WHERE sensor.id = gone.sensor AND gone.last IS NOT NULL";
    db.prepare_cached(sql)?.execute([State::Done])?;
    let sql = "DELETE FROM file WHERE removed = 1 AND state IN (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute([State::Done, State::Late, State::Refused]).map(drop)
}

pub(super) fn write(db: &Connection, sensor: i64, product: &str, file: &Written) -> rusqlite::Result<()> {
    let Written { path, hour, bytes, rows } = file;
    let sql = "INSERT OR REPLACE INTO hour (path, sensor, product, hour, bytes, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![path.as_os_str().as_bytes(), sensor, product, hour.ns(), Bits(*bytes), Bits(*rows)];
    db.prepare_cached(sql)?.execute(row).map(drop)
}

/// The file of an hour is no more.
pub(super) fn unwrite(db: &Connection, file: &Path) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM hour WHERE path = ?1")?.execute([file.as_os_str().as_bytes()]).map(drop)
}

pub(super) fn set_out(db: &Connection, sensor: i64, product: &str, out: Out) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO out (sensor, product, until, needs) VALUES (?1, ?2, ?3, ?4)";
    let row = params![sensor, product, out.until.ns(), out.needs.ns()];
    db.prepare_cached(sql)?.execute(row)?;
    let later = "DELETE FROM needed WHERE sensor = ?1 AND product = ?2 AND until > ?3";
    db.prepare_cached(later)?.execute(params![sensor, product, out.until.ns()])?;
    let sql = "INSERT OR REPLACE INTO needed (sensor, product, until, needs) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(row).map(drop)
}

/// Nothing is under way at a place of records by the capture any more.
pub(super) fn settle(db: &Connection, records: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM unsettled WHERE records = ?1")?.execute([records]).map(drop)
}

/// The one value that a statement returns.
pub(super) fn value<T: FromSql>(db: &Connection, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<T> {
    db.prepare_cached(sql)?.query_row(params, |row| row.get(0))
}
