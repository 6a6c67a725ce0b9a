//! What a pipeline has to know after a restart, at whatever moment it was stopped.
//!
//! One SQLite file, `OUTPUT/.pcap-compactor/watch.sqlite`, with a write-ahead log. Whatever a call changes is whole, or not there
//! at all, and on the disk when it returns; only what a run was handed, and what became of it, comes there no later than the next hour that is out. Threads each open it for themselves and wait for one another, up to [`PATIENCE`].
//!
//! - The **sequence** of a sensor is what its run was handed: files, and moments at which the wall clock spoke. Places grow, and none is used twice.
//! - **Files** are known by what they are, not by name. One that leaves the sequence stays known, so that it is not taken again.
//! - **Products** have a time up to which their hours are out, and the files of these hours; of products by the capture it is known which
//!   capture has records where, and under which name it had them.
//!
//! It does not look into files, nor whether they are there.

mod captures;
mod cells;
mod known;
mod lock;
mod schema;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use self::cells::{Bits, entry, ns, own, path, time};
pub(super) use self::known::Held;
pub use self::known::{Advance, Aside, Became, Counts, Entry, Fed, Hour, Out, Own, State, Written};
pub use self::lock::Lock;
use self::steps::{
    append, append_quiet, dismiss, forget_removed, seen, sensor_of, set_out, settle, unwrite, value, write,
};
use super::Identity;
use super::spans::LONGEST;
use crate::error::{ErrorKind, Result};
use crate::time::Timestamp;

/// All of the sequence of a sensor.
const SEQUENCE: &str =
    "SELECT place, until, path, device, inode, size, digest, first, next, packets, last, damage, seen_first, seen_last, wild, follows
    FROM entry LEFT JOIN file ON file.id = entry.file
    WHERE entry.sensor = (SELECT id FROM sensor WHERE name = ?1) ORDER BY place";

/// How long a thread waits for another that writes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the journal of an output folder.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    db: Connection,
    /// The device and number of its file, as long as nothing takes its place.
    file: Option<(u64, u64)>,
}

impl Journal {
    /// Takes an output folder and a watched folder for this process, until the lock is dropped. Nothing is written in the watched folder.
    ///
    /// # Errors
    /// Another process, which is named if that can be known, has one of them; or a folder is not there, or cannot be written.
    pub fn lock(output: &Path, folder: &Path) -> Result<Lock> {
        Lock::take(output, folder)
    }

    /// Opens the journal of an output folder; makes it and the folder if they are missing.
    ///
    /// # Errors
    /// It cannot be opened or made, is damaged, of another version, or no journal at all.
    pub fn open(output: &Path) -> Result<Journal> {
        schema::open(output)
    }

    /// Where its file lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether its file still lies where it did. What is written to one that does not is lost.
    ///
    /// # Errors
    /// [`ErrorKind::DamagedJournal`]: it was removed, or another lies there. Where the output folder is gone with it, that is told by whoever writes
    /// there.
    pub fn is_there(&self) -> Result<()> {
        if self.file == schema::file(&self.path) || !schema::has_folder(&self.path) {
            return Ok(());
        }
        Err(schema::gone(&self.path))
    }

    /// Fixes what stands under a name. If something else does, returns that, which stays.
    ///
    /// # Errors
    /// As of all calls: the journal cannot be read or written.
    pub fn fix(&self, name: &str, now: &str) -> Result<Option<String>> {
        self.change(|db| {
            db.prepare_cached("INSERT OR IGNORE INTO meta (name, value) VALUES (?1, ?2)")?.execute([name, now])?;
            let fixed: String = value(db, "SELECT value FROM meta WHERE name = ?1", [name])?;
            Ok(Some(fixed).filter(|fixed| fixed != now))
        })
    }

    /// What was fixed under a name.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn fixed(&self, name: &str) -> Result<Option<String>> {
        let fixed = value(&self.db, "SELECT value FROM meta WHERE name = ?1", [name]).optional();
        fixed.map_err(|error| self.failed(&error))
    }

    /// Notes files that lie in the output and are not known.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn adopt(&self, lying: &[Hour]) -> Result<()> {
        if lying.is_empty() {
            return Ok(());
        }
        let sql = "INSERT OR IGNORE INTO hour (path, sensor, product, hour, bytes, rows, stays) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.change(|db| {
            for Hour { sensor, product, file: Written { path, hour, bytes, rows }, stays } in lying {
                let sensor = sensor_of(db, sensor)?;
                let row =
                    params![path.as_os_str().as_bytes(), sensor, product, hour.ns(), Bits(*bytes), Bits(*rows), stays];
                db.prepare_cached(sql)?.execute(row)?;
            }
            Ok(())
        })
    }

    /// Whether a file of an hour lay there before the journal, and stays as it is.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn stays(&self, path: &Path) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM hour WHERE path = ?1 AND stays)";
        value(&self.db, sql, [path.as_os_str().as_bytes()]).map_err(|error| self.failed(&error))
    }

    /// All sensors that were ever named, in order.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn sensors(&self) -> Result<Vec<String>> {
        self.list("SELECT name FROM sensor ORDER BY name", [], |row| row.get(0))
    }

    /// Sensors of which something is not finished, as far as files and these products by the hour tell, in order: a file of the sequence is not read,
    /// the hour of its latest packet is not out, a file of an hour lies there that is not, or the place of records by the capture is not settled.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn unfinished(&self, products: &[String]) -> Result<Vec<String>> {
        let sql = "SELECT name, max(file.packets IS NULL), max(last) FROM entry JOIN file ON file.id = entry.file
            JOIN sensor ON sensor.id = entry.sensor GROUP BY entry.sensor";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, time(row, 2)?));
        let sequences: Vec<(String, bool, Option<Timestamp>)> = self.list(sql, [], read)?;
        let sql = "SELECT name, product, max(hour) FROM hour JOIN sensor ON sensor.id = hour.sensor GROUP BY hour.sensor, product";
        let hours: Vec<(String, String, i64)> =
            self.list(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut unfinished = BTreeSet::new();
        for (sensor, is_unread, last) in sequences {
            let mut is_out = !is_unread;
            for product in products {
                let until = self.out(&sensor, product)?.until;
                is_out &= last.is_none_or(|last| last < until);
            }
            if !is_out {
                unfinished.insert(sensor);
            }
        }
        for (sensor, product, hour) in hours.into_iter().filter(|(_, product, _)| products.contains(product)) {
            if self.out(&sensor, &product)?.until.ns() <= hour {
                unfinished.insert(sensor);
            }
        }
        let unsettled = self.unsettled()?;
        let is_unsettled = |sensor: &String| unsettled.iter().any(|records| records.starts_with(sensor));
        unfinished.extend(self.sensors()?.into_iter().filter(is_unsettled));
        Ok(unfinished.into_iter().collect())
    }

    /// Appends a file to the sequence of a sensor, and returns its place.
    ///
    /// # Errors
    /// The file is in a sequence already; the journal cannot be written.
    pub fn fed(&self, sensor: &str, file: &Fed) -> Result<i64> {
        self.note(|db| {
            let sensor = sensor_of(db, sensor)?;
            append(db, sensor, file, None)
        })
    }

    /// Appends to the sequence of a sensor that the wall clock spoke, and whether it was known that a packet follows; returns the place.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn quiet(&self, sensor: &str, until: Timestamp, follows: bool) -> Result<i64> {
        self.note(|db| {
            let sensor = sensor_of(db, sensor)?;
            append_quiet(db, sensor, until, follows)
        })
    }

    /// Notes what became of the file at a place; a second time in place of the first.
    ///
    /// # Errors
    /// [`ErrorKind::Invariant`]: there is no file at the place. The journal cannot be written.
    pub fn read(&self, place: i64, what: &Became) -> Result<()> {
        let rows = self.note(|db| {
            let sql = "UPDATE file SET packets = ?2, last = ?3, damage = ?4, seen_first = ?5, seen_last = ?6, wild = ?7
                WHERE id = (SELECT file FROM entry WHERE place = ?1)";
            let [first, last] = seen(Some(what));
            let Became { packets, damage, wild, .. } = what;
            let row = params![place, Bits(*packets), ns(what.last), damage, first, last, Bits(*wild)];
            db.prepare_cached(sql)?.execute(row)
        })?;
        if rows == 1 {
            return Ok(());
        }
        Err(ErrorKind::Invariant(format!("the journal has no file at place {place}")).into())
    }

    /// Takes the file at a place out of its sequence, and knows nothing of it any more: it could not be read, and will be handed over anew.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn unfed(&self, place: i64) -> Result<()> {
        self.change(|db| {
            let sql = "DELETE FROM entry WHERE place = ?1 RETURNING file";
            let file: Option<Option<i64>> = value(db, sql, [place]).optional()?;
            db.prepare_cached("DELETE FROM file WHERE id = ?1")?.execute([file.flatten()]).map(drop)
        })
    }

    /// The sequence of a sensor, in order.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn sequence(&self, sensor: &str) -> Result<Vec<Entry>> {
        self.list(SEQUENCE, [sensor], entry)
    }

    /// The first step of the sequence of a sensor that is as asked; what stands behind it is not read.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn first(&self, sensor: &str, mut is: impl FnMut(&Entry) -> bool) -> Result<Option<Entry>> {
        let mut run = || {
            let mut sql = self.db.prepare_cached(SEQUENCE)?;
            let mut steps = sql.query_map([sensor], entry)?;
            steps.find(|step| step.as_ref().map_or(true, &mut is)).transpose()
        };
        run().map_err(|error| self.failed(&error))
    }

    /// The latest packet of files that were taken out of the sequence of a sensor because nothing needed them any more.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn forgotten(&self, sensor: &str) -> Result<Option<Timestamp>> {
        let sql = "WITH this AS (SELECT id, forgotten FROM sensor WHERE name = ?1)
            SELECT max(last) FROM
                (SELECT last FROM file WHERE sensor = (SELECT id FROM this) AND state = ?2
                UNION ALL SELECT forgotten FROM this)";
        let last = value::<Option<i64>>(&self.db, sql, params![sensor, State::Done]);
        Ok(last.map_err(|error| self.failed(&error))?.map(Timestamp))
    }

    /// Replaces the sequence of a sensor, and how far the named products of it are.
    ///
    /// Entries stand in the order in which they are given and get new places, which [`Journal::sequence`] tells; their old ones do not
    /// matter. Files that are no longer among them are [`State::Done`]; of those that were replaced, nothing is known any more.
    ///
    /// # Errors
    /// A file is there twice, or in the sequence of another sensor; the journal cannot be written. Then nothing is replaced.
    pub fn turn_back(
        &self,
        sensor: &str,
        entries: &[Entry],
        replaced: &[Identity],
        out_until: &[(String, Out)],
    ) -> Result<()> {
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            dismiss(db, sensor, i64::MAX)?;
            let mut sql = db.prepare_cached(
                "DELETE FROM file WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4 AND sensor = ?5",
            )?;
            for Identity { device, inode, size, digest } in replaced {
                sql.execute(params![Bits(*device), Bits(*inode), Bits(*size), digest, sensor])?;
            }
            for entry in entries {
                match entry {
                    Entry::File { fed, became, .. } => append(db, sensor, fed, became.as_ref())?,
                    Entry::Quiet { until, follows, .. } => append_quiet(db, sensor, *until, *follows)?,
                };
            }
            forget_removed(db)?;
            out_until.iter().try_for_each(|(product, out)| set_out(db, sensor, product, *out))
        })
    }

    /// Takes what stands before a place out of the sequence of a sensor. Its files are [`State::Done`].
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn forget(&self, sensor: &str, before: i64) -> Result<()> {
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            dismiss(db, sensor, before)?;
            // A turn back may go to the hour that what is left begins in, and further: by a day it is cut.
            let sql = "DELETE FROM needed WHERE sensor = ?1 AND until < (
                SELECT max(until) FROM needed AS back WHERE back.sensor = ?1 AND back.product = needed.product AND until <=
                    (SELECT min(first) FROM file JOIN entry ON entry.file = file.id WHERE entry.sensor = ?1) - ?2)";
            db.prepare_cached(sql)?.execute([sensor, LONGEST])?;
            forget_removed(db)
        })
    }

    /// How far a product of a sensor is; [`Out::NOTHING`] at first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn out(&self, sensor: &str, product: &str) -> Result<Out> {
        let sql =
            "SELECT until, needs FROM out WHERE sensor = (SELECT id FROM sensor WHERE name = ?1) AND product = ?2";
        let out = |row: &Row<'_>| Ok(Out { until: Timestamp(row.get(0)?), needs: Timestamp(row.get(1)?) });
        let found = self.db.prepare_cached(sql).and_then(|mut sql| sql.query_row([sensor, product], out).optional());
        Ok(found.map_err(|error| self.failed(&error))?.unwrap_or(Out::NOTHING))
    }

    /// From which packet on a product of a sensor has to be made to make what ends behind a time, as it was when hours were out up to there;
    /// [`Timestamp::MIN`] if that is not known.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn needed(&self, sensor: &str, product: &str, behind: Timestamp) -> Result<Timestamp> {
        let sql = "SELECT needs FROM needed WHERE sensor = (SELECT id FROM sensor WHERE name = ?1) AND product = ?2 AND until <= ?3
            ORDER BY until DESC LIMIT 1";
        let found = value(&self.db, sql, params![sensor, product, behind.ns()]).optional();
        Ok(found.map_err(|error| self.failed(&error))?.map_or(Timestamp::MIN, Timestamp))
    }

    /// Notes how far products of a sensor are by now, whole or not at all: files of hours that are out are on the disk, and those that are gone are
    /// not. Where a run has `ended` there, no packet before will come, as if the wall clock had spoken.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn commit(&self, sensor: &str, steps: &[Advance], ended: Option<Timestamp>) -> Result<()> {
        if steps.is_empty() && ended.is_none() {
            return Ok(());
        }
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            for Advance { product, out, file, gone } in steps {
                gone.iter().try_for_each(|path| unwrite(db, path))?;
                file.as_ref().map_or(Ok(()), |file| write(db, sensor, product, file))?;
                set_out(db, sensor, product, *out)?;
            }
            ended.map_or(Ok(()), |ended| append_quiet(db, sensor, ended, false).map(drop))
        })
    }

    /// Notes that the file of an hour may be there from now on, though the hour is not out.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn appears(&self, sensor: &str, product: &str, path: &Path, hour: Timestamp) -> Result<()> {
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            let sql =
                "INSERT OR IGNORE INTO hour (path, sensor, product, hour, bytes, rows, begun) VALUES (?1, ?2, ?3, ?4, 0, 0, 1)";
            db.prepare_cached(sql)?.execute(params![path.as_os_str().as_bytes(), sensor, product, hour.ns()]).map(drop)
        })
    }

    /// Hours from a time to another that have a file of a product which does not stay, with its path.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn hours(
        &self,
        sensor: &str,
        product: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, PathBuf)>> {
        let sql = "SELECT hour, path FROM hour WHERE sensor = (SELECT id FROM sensor WHERE name = ?1) AND product = ?2
            AND hour >= ?3 AND hour < ?4 AND NOT stays ORDER BY hour";
        let hours = params![sensor, product, from.ns(), until.ns()];
        self.list(sql, hours, |row| Ok((Timestamp(row.get(0)?), path(row, 1)?)))
    }

    /// Notes that files at the place of records by the capture are about to be written or removed. [`Journal::commit_own`] and
    /// [`Journal::disown`] say that it is done.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn unsettle(&self, sensor: &str, records: &Path) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO unsettled (records) VALUES (?1)";
        self.change(|db| {
            // So that the next start has a line for it.
            sensor_of(db, sensor)?;
            db.prepare_cached(sql)?.execute([records.as_os_str().as_bytes()]).map(drop)
        })
    }

    /// Places of records by the capture where files were being written or removed when somebody was stopped.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn unsettled(&self) -> Result<Vec<PathBuf>> {
        self.list("SELECT records FROM unsettled ORDER BY records", [], |row| path(row, 0))
    }

    /// Notes that the records which a capture has by itself are out: these files, with their products, are on the disk. What had its records there
    /// has them no more.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn commit_own(&self, sensor: &str, own: &Own, files: &[(String, Written)]) -> Result<()> {
        let Own { records, capture, identity: Identity { device, inode, size, digest } } = own;
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            files.iter().try_for_each(|(product, file)| write(db, sensor, product, file))?;
            let sql = "INSERT OR REPLACE INTO own (records, path, device, inode, size, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let [records, capture] = [records, capture].map(|path| path.as_os_str().as_bytes());
            let own = params![records, capture, Bits(*device), Bits(*inode), Bits(*size), digest];
            db.prepare_cached(sql)?.execute(own)?;
            settle(db, records)?;
            let sql = "UPDATE file SET refused = NULL WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4";
            db.prepare_cached(sql)?.execute(params![Bits(*device), Bits(*inode), Bits(*size), digest]).map(drop)
        })
    }

    /// Notes that a capture gets no records by itself under its name, and why; and whether that is all that becomes of it, or it is still to be read
    /// for hours.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn refuse(&self, sensor: &str, path: &Path, identity: &Identity, reason: &str, is_all: bool) -> Result<()> {
        let Identity { device, inode, size, digest } = identity;
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            let sql = "INSERT INTO file (device, inode, size, digest, sensor, path, state, refused, packets)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                ON CONFLICT (device, inode, size, digest) DO UPDATE SET refused = excluded.refused WHERE path = excluded.path";
            let (path, packets) = (path.as_os_str().as_bytes(), is_all.then_some(Bits(0)));
            let file = params![
                Bits(*device),
                Bits(*inode),
                Bits(*size),
                digest,
                sensor,
                path,
                State::Refused,
                reason,
                packets
            ];
            db.prepare_cached(sql)?.execute(file).map(drop)
        })
    }

    /// The records which a capture has by itself and that are out, under all names that it had.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn own_of(&self, identity: &Identity) -> Result<Vec<Own>> {
        let Identity { device, inode, size, digest } = identity;
        let sql = "SELECT records, path, device, inode, size, digest FROM own
            WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4 ORDER BY records";
        self.list(sql, params![Bits(*device), Bits(*inode), Bits(*size), digest], own)
    }

    /// Whose records lie at a place.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn own_at(&self, records: &Path) -> Result<Option<Own>> {
        let sql = "SELECT records, path, device, inode, size, digest FROM own WHERE records = ?1";
        Ok(self.list(sql, [records.as_os_str().as_bytes()], own)?.pop())
    }

    /// Notes that nobody has records at a place: these files, named as in [`Written::path`], were removed.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn disown(&self, records: &Path, files: &[PathBuf]) -> Result<()> {
        self.change(|db| {
            files.iter().try_for_each(|file| unwrite(db, file))?;
            let sql = "DELETE FROM own WHERE records = ?1";
            db.prepare_cached(sql)?.execute([records.as_os_str().as_bytes()])?;
            settle(db, records.as_os_str().as_bytes())
        })
    }

    /// Files of hours that were written and not removed, by hour and path.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn written(&self) -> Result<Vec<Hour>> {
        let sql =
            "SELECT name, product, path, hour, bytes, rows, stays FROM hour JOIN sensor ON sensor.id = hour.sensor
            WHERE NOT begun ORDER BY hour, path";
        self.list(sql, [], |row| {
            let (Bits(bytes), Bits(rows)) = (row.get(4)?, row.get(5)?);
            let file = Written { path: path(row, 2)?, hour: Timestamp(row.get(3)?), bytes, rows };
            Ok(Hour { sensor: row.get(0)?, product: row.get(1)?, file, stays: row.get(6)? })
        })
    }

    /// Notes that the file of an hour, named as in [`Written::path`], was removed.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn removed(&self, path: &Path) -> Result<()> {
        self.change(|db| unwrite(db, path))
    }

    /// How much it holds.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        let states = self.list("SELECT state, count(*) FROM file WHERE removed = 0 GROUP BY state", [], |row| {
            Ok((row.get(0)?, row.get::<_, Bits>(1)?.0))
        })?;
        for (state, files) in states {
            *match state {
                State::Fed => &mut counts.fed,
                State::Late => &mut counts.late,
                State::Quarantined => &mut counts.quarantined,
                State::Done => &mut counts.done,
                State::Refused => &mut counts.refused,
            } = files;
        }
        let sql = "SELECT count(*) FROM file WHERE state = ?1 AND removed = 0 AND packets IS NULL";
        let unread = value(&self.db, sql, [State::Fed]).map_err(|error| self.failed(&error))?;
        let sql = "SELECT count(*), coalesce(sum(bytes), 0), coalesce(sum(rows), 0) FROM hour WHERE NOT begun";
        let hours = self.list(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Bits(counts.unread) = unread;
        if let [(Bits(hours), Bits(bytes), Bits(rows))] = hours[..] {
            (counts.hours, counts.bytes, counts.rows) = (hours, bytes, rows);
        }
        Ok(counts)
    }

    /// Makes a change that need not be on the disk when the call returns: it is before the next hour that is out. So a file costs no wait
    /// for the disk, which is most of what a small one would.
    fn note<T>(&self, make: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let wait = |wait: &str| {
            let set = self.db.execute_batch(&format!("PRAGMA synchronous = {wait}"));
            set.map_err(|error| self.failed(&error))
        };
        wait("NORMAL")?;
        let made = self.change(make);
        wait("FULL")?;
        made
    }

    /// Makes a change whole or not at all.
    fn change<T>(&self, make: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let run = || {
            // One that begins as a reader and then writes would fail, without waiting, where another wrote meanwhile.
            let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
            let made = make(&transaction)?;
            transaction.commit()?;
            Ok(made)
        };
        run().map_err(|error| self.failed(&error))
    }

    fn list<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let run = || self.db.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<_>>();
        run().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> crate::Error {
        schema::failed(&self.path, error)
    }
}
