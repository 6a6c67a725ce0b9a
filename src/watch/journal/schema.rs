//! The tables of a journal, and opening them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};

use super::{Journal, PATIENCE};
use crate::error::{Error, ErrorKind, Result};
use crate::watch::output::Output;

/// The folder of an output folder that is not for its readers.
pub(super) const OWN: &str = ".pcap-compactor";

/// The journal's name in there.
const NAME: &str = "watch.sqlite";

/// The version of the tables; another one when they change.
const VERSION: i64 = 8;

/// `place` is never used twice, also not behind the end of a sequence that was taken back.
const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE sensor (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, forgotten INTEGER) STRICT;
    CREATE TABLE file (
        id INTEGER PRIMARY KEY,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, digest TEXT NOT NULL,
        sensor INTEGER NOT NULL REFERENCES sensor,
        path BLOB NOT NULL,
        state INTEGER NOT NULL, reason TEXT,
        first INTEGER, next INTEGER,
        packets INTEGER, last INTEGER, damage TEXT,
        removed INTEGER NOT NULL DEFAULT 0,
        UNIQUE (device, inode, size, digest)
    ) STRICT;
    CREATE INDEX file_state ON file (state, removed);
    CREATE TABLE entry (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        sensor INTEGER NOT NULL REFERENCES sensor,
        file INTEGER UNIQUE REFERENCES file,
        until INTEGER,
        CHECK ((file IS NULL) <> (until IS NULL))
    ) STRICT;
    CREATE INDEX entry_sensor ON entry (sensor);
    CREATE TABLE out (
        sensor INTEGER NOT NULL REFERENCES sensor, product TEXT NOT NULL,
        until INTEGER NOT NULL, needs INTEGER NOT NULL,
        PRIMARY KEY (sensor, product)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE hour (
        path BLOB PRIMARY KEY,
        sensor INTEGER NOT NULL REFERENCES sensor, product TEXT NOT NULL,
        hour INTEGER NOT NULL, bytes INTEGER NOT NULL, rows INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// Since version 2: captures whose records by the capture are out; and for each time up to which hours were out, what was needed then.
const SECOND: &str = "
    CREATE TABLE own (
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (device, inode, size, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE needed (
        sensor INTEGER NOT NULL REFERENCES sensor, product TEXT NOT NULL,
        until INTEGER NOT NULL, needs INTEGER NOT NULL,
        PRIMARY KEY (sensor, product, until)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 2;
";

/// Since version 3: of records by the capture also where they lie, and of which name of the capture they are. Of those from before that is not
/// known, so they are made anew.
const THIRD: &str = "
    DROP TABLE own;
    CREATE TABLE own (
        records BLOB PRIMARY KEY, path BLOB NOT NULL,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, digest TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX own_capture ON own (device, inode, size, digest);
    PRAGMA user_version = 3;
";

/// Since version 4: why a capture gets no records by itself.
const FOURTH: &str = "
    ALTER TABLE file ADD COLUMN refused TEXT;
    PRAGMA user_version = 4;
";

/// Since version 5: where the wall clock spoke, whether a packet was known to follow; and places at which files of records by the capture
/// are being written or removed.
const FIFTH: &str = "
    ALTER TABLE entry ADD COLUMN follows INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE unsettled (records BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 5;
";

/// Since version 6: files of the same bytes are found.
const SIXTH: &str = "
    CREATE INDEX file_content ON file (size, digest);
    PRAGMA user_version = 6;
";

/// Since version 7: files of hours that lay there before the journal, and stay as they are; and those that may be there, and are not out.
const SEVENTH: &str = "
    ALTER TABLE hour ADD COLUMN stays INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE hour ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
    PRAGMA user_version = 7;
";

/// Since version 8: where packets are known to be that views had, and how many are of a wild time. Of files from before only all packets are known,
/// as it was: a gap that ARP alone parts is none there.
const EIGHTH: &str = "
    ALTER TABLE file ADD COLUMN seen_first INTEGER;
    ALTER TABLE file ADD COLUMN seen_last INTEGER;
    ALTER TABLE file ADD COLUMN wild INTEGER NOT NULL DEFAULT 0;
    UPDATE file SET seen_first = first, seen_last = last WHERE last >= first;
    PRAGMA user_version = 8;
";

/// See [`Journal::open`].
pub(super) fn open(output: &Path) -> Result<Journal> {
    Output::make(output)?;
    let folder = Output::open(output)?.folder(Path::new(OWN))?;
    let path = output.join(OWN).join(NAME);
    if path.is_symlink() {
        return Err(refused(
            &path,
            "it is a link, and nothing is written through one; put what it leads to there".into(),
        ));
    }
    // It takes no path with a link in it, and the output folder may be one.
    let real = output.canonicalize().map_err(|source| Error::io("open", output, source))?;
    let db = connect(&real.join(OWN).join(NAME)).map_err(|error| failed(&path, &error))?;
    prepare(&db, &path)?;
    // So that the file itself survives a loss of power; a file system that cannot sync folders has its own promise.
    let _ = rustix::fs::fsync(folder);
    let file = file(&path);
    Ok(Journal { path, db, file })
}

/// The device and number of a journal's file, if it is there.
pub(super) fn file(path: &Path) -> Option<(u64, u64)> {
    let there = path.symlink_metadata().ok()?;
    Some((there.dev(), there.ino()))
}

/// Whether the output folder of a journal is there.
pub(super) fn has_folder(path: &Path) -> bool {
    path.ancestors().nth(2).is_some_and(Path::is_dir)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW)?;
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(64);
    // A journal that is not one is said to be none here.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

/// Makes the tables in a new file; refuses what others made.
fn prepare(db: &Connection, path: &Path) -> Result<()> {
    let make = || {
        let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        if version(db)? == 0 {
            let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
            let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            // Another thread may have been first.
            if version(&transaction)? == 0 && tables == 0 {
                transaction.execute_batch(TABLES)?;
            }
            transaction.commit()?;
        }
        let since = [SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH];
        for (before, tables) in (1..).zip(since) {
            if version(db)? == before {
                let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
                if version(&transaction)? == before {
                    transaction.execute_batch(tables)?;
                }
                transaction.commit()?;
            }
        }
        version(db)
    };
    let version = make().map_err(|error| failed(path, &error))?;
    if version != VERSION {
        let whose =
            if version == 0 { "is a database of something else" } else { "is of another version of this program" };
        return Err(refused(path, format!("{whose} (tables {version}, not {VERSION}); {ANEW}")));
    }
    let set = || {
        // A change of the file is in the log before a call returns, and reading does not wait for it.
        let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
        rusqlite::Result::Ok(mode)
    };
    let mode = set().map_err(|error| failed(path, &error))?;
    if mode != "wal" {
        let message =
            "this file system cannot hold it with a write-ahead log; the output folder has to be on a local disk";
        return Err(refused(path, message.to_owned()));
    }
    Ok(())
}

/// What to do about a file that is no journal.
const ANEW: &str = "to begin anew, move it and those beside it that begin with its name away: what captures the watched folder holds is then \
                    read again, and hours are made that have no file; those that have one stay as they are, unless it is moved away, too";

fn refused(path: &Path, message: String) -> Error {
    ErrorKind::Watch { path: path.to_owned(), message }.into()
}

/// A journal was removed, or another lies in its place, while it was in use.
pub(super) fn gone(path: &Path) -> Error {
    let message = "was removed, or replaced, while it was in use: the next start reads again what captures the watched folder holds, and hours that have a file stay as they are";
    ErrorKind::DamagedJournal { path: path.to_owned(), message: message.to_owned() }.into()
}

/// An error of SQLite, and what to do about it.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    // What was written here reads back as it was.
    let is_other = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::Utf8Error(..)
    );
    let is_moved = error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_DBMOVED);
    if is_moved && has_folder(path) {
        return gone(path);
    }
    let is_damaged = matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt));
    if is_other || is_damaged {
        let message = format!("is no journal, or damaged ({error}); {ANEW}");
        return ErrorKind::DamagedJournal { path: path.to_owned(), message }.into();
    }
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "cannot be written: the disk is full".to_owned(),
        Some(ErrorCode::DatabaseBusy) => format!("is held by another process for more than {} s", PATIENCE.as_secs()),
        _ => format!("the journal cannot be used: {error}"),
    };
    refused(path, what)
}
