//! What is known of captures, whatever their names are by now: what became of them, where they lie, and which were removed.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::Journal;
use super::cells::{self, Bits, identity, path, time};
use super::known::{Aside, Became, Fed, Held, State};
use super::steps::{forget_removed, note, sensor_of, value};
use crate::error::Result;
use crate::time::Timestamp;
use crate::watch::Identity;

impl Journal {
    /// What is known of a file; nothing of one that is new.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn knows(&self, identity: &Identity) -> Result<Option<State>> {
        let Identity { device, inode, size, digest } = identity;
        let sql = "SELECT state FROM file WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4";
        let found = value(&self.db, sql, params![Bits(*device), Bits(*inode), Bits(*size), digest]);
        found.optional().map_err(|error| self.failed(&error))
    }

    /// The sensor of a file that is known, and where it lay last.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn whose(&self, identity: &Identity) -> Result<Option<(String, PathBuf)>> {
        let Identity { device, inode, size, digest } = identity;
        let sql = "SELECT name, path FROM file JOIN sensor ON sensor.id = file.sensor
            WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4";
        let known = params![Bits(*device), Bits(*inode), Bits(*size), digest];
        Ok(self.list(sql, known, |row| Ok((row.get(0)?, path(row, 1)?)))?.pop())
    }

    /// Knows nothing any more of files of this name and content that nothing needed: one is there again.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn unknow(&self, identity: &Identity, path: &Path) -> Result<()> {
        let Identity { size, digest, .. } = identity;
        let sql = "DELETE FROM file WHERE size = ?1 AND digest = ?2 AND path = ?3 AND state = ?4
            AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.file = file.id)";
        self.change(|db| {
            let files = params![Bits(*size), digest, path.as_os_str().as_bytes(), State::Done];
            db.prepare_cached(sql)?.execute(files).map(drop)
        })
    }

    /// Takes out of the sequence of a sensor what has this name and ends before a time, since another file has the name from here on. Whether that
    /// is all that has it; else nothing changes.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(in crate::watch) fn loses_name(&self, sensor: &str, path: &Path, before: Timestamp) -> Result<bool> {
        let of_name = "SELECT file.id FROM file JOIN entry ON entry.file = file.id
            WHERE path = ?1 AND entry.sensor = (SELECT id FROM sensor WHERE name = ?2)";
        let stays = value(
            &self.db,
            &format!(
                "SELECT EXISTS ({of_name} AND (last >= ?3 OR packets IS NULL OR last IS NULL AND (packets > 0 OR damage = ?4)))"
            ),
            params![path.as_os_str().as_bytes(), sensor, before.ns(), Became::UNREAD],
        );
        if stays.map_err(|error| self.failed(&error))? {
            return Ok(false);
        }
        self.change(|db| {
            let mut sql =
                db.prepare_cached(&format!("UPDATE file SET state = ?3 WHERE id IN ({of_name}) RETURNING id"))?;
            let done = params![path.as_os_str().as_bytes(), sensor, State::Done];
            let ids: Vec<i64> = sql.query_map(done, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            ids.iter()
                .try_for_each(|id| db.prepare_cached("DELETE FROM entry WHERE file = ?1")?.execute([id]).map(drop))
        })?;
        Ok(true)
    }

    /// Files of a sensor that are in its sequence no more, have packets from a time on or were never read, and of which that was not
    /// [told](Self::is_lost).
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(in crate::watch) fn lost(&self, sensor: &str, from: Timestamp) -> Result<Vec<(Identity, PathBuf)>> {
        let sql = "SELECT path, device, inode, size, digest FROM file WHERE sensor = (SELECT id FROM sensor WHERE name = ?1)
            AND state = ?2 AND (last >= ?3 OR packets IS NULL OR damage = ?4) AND removed = 0 AND reason IS NULL ORDER BY id";
        self.list(sql, params![sensor, State::Done, from.ns(), Became::UNREAD], |row| {
            Ok((cells::identity(row, 1)?, path(row, 0)?))
        })
    }

    /// Notes why hours to come lack a file.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(in crate::watch) fn lose(&self, identity: &Identity, why: &str) -> Result<()> {
        let Identity { device, inode, size, digest } = identity;
        let sql = "UPDATE file SET reason = ?5 WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4";
        let lost = params![Bits(*device), Bits(*inode), Bits(*size), digest, why];
        self.change(|db| db.prepare_cached(sql)?.execute(lost).map(drop))
    }

    /// Whether hours lack a file that they needed.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(in crate::watch) fn is_lost(&self, identity: &Identity) -> Result<bool> {
        let Identity { device, inode, size, digest } = identity;
        let sql = "SELECT EXISTS (SELECT 1 FROM file WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4 AND state IN (?5, ?6)
            AND reason IS NOT NULL)";
        let known = params![Bits(*device), Bits(*inode), Bits(*size), digest, State::Fed, State::Done];
        value(&self.db, sql, known).map_err(|error| self.failed(&error))
    }

    /// Another file of a sensor that was read and holds, as far as its ends tell, the same packets, under another name.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn like(&self, sensor: &str, identity: &Identity, path: &Path) -> Result<Option<PathBuf>> {
        let Identity { device, inode, size, digest } = identity;
        let sql =
            "SELECT path FROM file WHERE size = ?3 AND digest = ?4 AND NOT (device = ?1 AND inode = ?2) AND path <> ?6
            AND sensor = (SELECT id FROM sensor WHERE name = ?5) AND packets > 0 ORDER BY id LIMIT 1";
        let known = params![Bits(*device), Bits(*inode), Bits(*size), digest, sensor, path.as_os_str().as_bytes()];
        Ok(self.list(sql, known, |row| cells::path(row, 0))?.pop())
    }

    /// Files of a sensor that have packets, the number of this one, and fewer bytes; it may have been they.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn shorter(&self, sensor: &str, identity: &Identity) -> Result<Vec<(Identity, PathBuf)>> {
        let Identity { device, inode, size, .. } = identity;
        let sql =
            "SELECT path, device, inode, size, digest FROM file WHERE device = ?1 AND inode = ?2 AND first IS NOT NULL
            AND removed = 0 AND sensor = (SELECT id FROM sensor WHERE name = ?3)";
        let mut known = self.list(sql, params![Bits(*device), Bits(*inode), sensor], |row| {
            Ok((cells::identity(row, 1)?, cells::path(row, 0)?))
        })?;
        // Sizes are no numbers that SQLite could compare.
        known.retain(|(shorter, _)| shorter.size < *size);
        Ok(known)
    }

    /// Captures that have records by themselves, the number of this one, and fewer bytes; it may have been they.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn shorter_own(&self, identity: &Identity) -> Result<Vec<Identity>> {
        let Identity { device, inode, size, .. } = identity;
        let sql = "SELECT DISTINCT device, inode, size, digest FROM own WHERE device = ?1 AND inode = ?2";
        let mut known = self.list(sql, params![Bits(*device), Bits(*inode)], |row| cells::identity(row, 0))?;
        known.retain(|shorter| shorter.size < *size);
        Ok(known)
    }

    /// Notes that a file has gone to the folder of another sensor; it stays with its own, and so do its records.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn moved_out(&self, identity: &Identity, from: &Path, to: &Path) -> Result<()> {
        let Identity { device, inode, size, digest } = identity;
        self.change(|db| {
            for table in ["file", "own"] {
                let [from, to] = [from, to].map(|path| path.as_os_str().as_bytes());
                let moved = params![to, from, Bits(*device), Bits(*inode), Bits(*size), digest];
                let sql = format!(
                    "UPDATE {table} SET path = ?1 WHERE path = ?2 AND device = ?3 AND inode = ?4 AND size = ?5 AND digest = ?6"
                );
                db.prepare_cached(&sql)?.execute(moved)?;
            }
            Ok(())
        })
    }

    /// Notes where a file lies now; whether that is news.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn moved(&self, identity: &Identity, path: &Path) -> Result<bool> {
        let Identity { device, inode, size, digest } = identity;
        let lies = params![path.as_os_str().as_bytes(), Bits(*device), Bits(*inode), Bits(*size), digest];
        let elsewhere = "device = ?2 AND inode = ?3 AND size = ?4 AND digest = ?5 AND path <> ?1";
        // Mostly it is none, and then nobody has to wait.
        let is_news = value(&self.db, &format!("SELECT EXISTS (SELECT 1 FROM file WHERE {elsewhere})"), lies);
        if is_news.map_err(|error| self.failed(&error))? {
            let sql = format!("UPDATE file SET path = ?1, refused = NULL WHERE {elsewhere}");
            return self.change(|db| Ok(db.prepare_cached(&sql)?.execute(lies)? > 0));
        }
        Ok(false)
    }

    /// Notes a file that is in no sequence, and takes it out if it is in one.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn set_aside(&self, sensor: &str, path: &Path, identity: &Identity, state: State, reason: &str) -> Result<()> {
        let fed = Fed { path: path.to_owned(), identity: identity.clone(), first: None, next: None };
        self.change(|db| {
            let sensor = sensor_of(db, sensor)?;
            let id = note(db, sensor, &fed, None, state, Some(reason))?;
            db.prepare_cached("DELETE FROM entry WHERE file = ?1")?.execute([id]).map(drop)
        })
    }

    /// Files that came too late, could not be read, or get no records by themselves, in the order in which they came.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn aside(&self) -> Result<Vec<Aside>> {
        let sql = "SELECT name, path, device, inode, size, digest, iif(state IN (?1, ?2), state, ?3), coalesce(reason, refused, '')
            FROM file JOIN sensor ON sensor.id = file.sensor
            WHERE removed = 0 AND (state IN (?1, ?2) OR refused IS NOT NULL) ORDER BY file.id";
        self.list(sql, params![State::Late, State::Quarantined, State::Refused], |row| {
            let (sensor, state, reason) = (row.get(0)?, row.get(6)?, row.get(7)?);
            Ok(Aside { sensor, path: path(row, 1)?, identity: identity(row, 2)?, state, reason })
        })
    }

    /// Captures that were given to the pipeline and not removed, in the order in which they came. One that was written anew is only what it
    /// became, and that may be no capture that was given.
    pub(in crate::watch) fn held(&self) -> Result<Vec<Held>> {
        let sql = "SELECT file.id, name, path, device, inode, size, digest, state NOT IN (?1, ?4) OR packets IS NOT NULL, last, state = ?3,
                refused IS NOT NULL, EXISTS (SELECT 1 FROM own WHERE (own.device, own.inode, own.size, own.digest, own.path) =
                    (file.device, file.inode, file.size, file.digest, file.path))
            FROM file JOIN sensor ON sensor.id = file.sensor WHERE state IN (?1, ?2, ?3, ?4) AND removed = 0 AND NOT EXISTS
                (SELECT 1 FROM file AS newer WHERE newer.device = file.device AND newer.inode = file.inode AND newer.size = file.size AND newer.id > file.id)
            ORDER BY file.id";
        self.list(sql, params![State::Fed, State::Done, State::Late, State::Refused], |row| {
            let (id, sensor, read) = (row.get(0)?, row.get(1)?, row.get(7)?);
            let (last, late, refused, own) = (time(row, 8)?, row.get(9)?, row.get(10)?, row.get(11)?);
            Ok(Held { id, sensor, path: path(row, 2)?, identity: identity(row, 3)?, read, late, last, own, refused })
        })
    }

    /// Whether a capture was removed from here.
    pub(in crate::watch) fn was_removed(&self, identity: &Identity) -> Result<bool> {
        let Identity { device, inode, size, digest } = identity;
        let sql = "SELECT removed FROM file WHERE device = ?1 AND inode = ?2 AND size = ?3 AND digest = ?4";
        let removed = value(&self.db, sql, params![Bits(*device), Bits(*inode), Bits(*size), digest]).optional();
        Ok(removed.map_err(|error| self.failed(&error))?.unwrap_or(false))
    }

    /// Notes that captures were removed. Of one that is no part of a sequence nothing has to be known any more.
    pub(in crate::watch) fn removed_captures(&self, ids: &[i64]) -> Result<()> {
        self.change(|db| {
            for id in ids {
                db.prepare_cached("UPDATE file SET removed = 1 WHERE id = ?1")?.execute([id])?;
                let sql = "DELETE FROM own WHERE (device, inode, size, digest) =
                    (SELECT device, inode, size, digest FROM file WHERE id = ?1)";
                db.prepare_cached(sql)?.execute([id])?;
            }
            forget_removed(db)
        })
    }

    /// Knows nothing any more of a file that could not be read: it was removed, or is to be tried again.
    pub(in crate::watch) fn forget_quarantined(&self, device: u64, inode: u64, size: u64) -> Result<()> {
        let sql = "DELETE FROM file WHERE device = ?1 AND inode = ?2 AND size = ?3 AND state = ?4";
        let known = params![Bits(device), Bits(inode), Bits(size), State::Quarantined];
        self.change(|db| db.prepare_cached(sql)?.execute(known).map(drop))
    }
}
