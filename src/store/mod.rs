//! SHELL: SQLite: findings, incidents, outbox, denylist, audit.
//!
//! In: what the engine found and what was planned about it, in batches; what came of each attempt. Out: what of it was
//! new, pages of incidents, rows of the outbox that are due, the denylist to load at start.
//! Does not know: gates, providers, sinks, HTTP. Tokens never come here; text that came from a log is masked.
//! Source: <https://www.sqlite.org/wal.html>, <https://www.sqlite.org/pragma.html#pragma_synchronous>.

mod audit;
mod denials;
mod forget;
mod incidents;
mod outbox;
mod record;
mod sets;
mod views;

pub use audit::AuditReport;
pub use forget::Forgotten;
pub use incidents::{Page, Query};
pub use outbox::{Depth, Leased, Settled};
pub use record::{Batch, Recorded, Undone};
pub use views::{Denied, Waiting};

use crate::domain::time::Time;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
};
use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The steps from one version of the schema to the next; `user_version` counts those that were taken.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema_2.sql")];

/// The longest drill: a daemon that was not told of its end forgets it.
const DRILL_MS: i64 = 10 * 60_000;

/// How long one process waits for another's transaction, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// The database of one installation. Methods take `&self` and may be called from any thread; each takes a few
/// milliseconds of disk, so async code calls them off its runtime.
#[derive(Debug)]
pub struct Store {
    /// One writer, so that effects have one order.
    writer: Mutex<Connection>,
    /// Readers see the last commit (WAL), so that a long page never delays a denial.
    reader: Mutex<Connection>,
    path: PathBuf,
    /// The inode that was opened.
    inode: Mutex<u64>,
    /// How often somebody decided in this process.
    decided: AtomicU64,
}

/// What became of a database whose file somebody took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// Nobody took it.
    Untouched,
    /// It is there again with all that it held.
    Whole,
    /// It is there again and empty: what it held could not be read any more.
    Empty,
}

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or created.
    #[error("cannot open the database {path}: {source}; is the state folder there and writable?")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is no database, or a damaged one.
    #[error(
        "the database {path} is damaged: {reason}; move it away with its -wal and -shm files \
         (detection starts anew from the logs) or restore a copy"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A newer program wrote the file.
    #[error(
        "the database {path} has schema version {found} and this program knows up to {known}: \
         run the newer program, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// A statement failed.
    #[error("the database refused: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A stored object cannot be read or written.
    #[error("a stored object cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The system gave no random bytes.
    #[error("no random bytes from the system: {0}")]
    Random(#[from] getrandom::Error),
    /// The cursor of a page was not one that we gave.
    #[error("not a cursor of this list")]
    Cursor,
}

impl Store {
    /// Opens the database, creates it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is damaged, or comes from a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (writer, reader, inode) = open_both(path)?;
        Ok(Self {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            path: path.to_owned(),
            inode: Mutex::new(inode),
            decided: AtomicU64::new(0),
        })
    }

    /// Makes the database anew where somebody took its file away, from what SQLite still has open.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn restore(&self) -> Result<Restored, StoreError> {
        let mut inode = self.inode.lock().unwrap_or_else(PoisonError::into_inner);
        if std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == *inode) {
            return Ok(Restored::Untouched);
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for ending in ["-wal", "-shm"] {
            // Of another database, or gone.
            let _ = std::fs::remove_file(format!("{}{ending}", self.path.display()));
        }
        let copied = create_private(&self.path).and_then(|()| {
            let name = self.path.to_string_lossy();
            Ok(writer.execute("VACUUM INTO ?1", [name]).map(drop)?)
        });
        if copied.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        let (new_writer, new_reader, new_inode) = open_both(&self.path)?;
        *writer = new_writer;
        *self.reader() = new_reader;
        *inode = new_inode;
        Ok(copied.map_or(Restored::Empty, |()| Restored::Whole))
    }

    /// True when actions are paused.
    ///
    /// # Errors
    /// Those of the database.
    pub fn paused(&self) -> Result<bool, StoreError> {
        Ok(paused(&self.reader())?)
    }

    /// Pauses or resumes actions, on somebody's word. Detection and alerts go on.
    ///
    /// # Errors
    /// Those of the database.
    pub fn pause(&self, pause: bool, by: &str, now: Time) -> Result<(), StoreError> {
        self.write(|tx| {
            let what = if pause { "paused" } else { "resumed" };
            tx.execute(
                "INSERT INTO meta VALUES ('paused', ?1) ON CONFLICT DO UPDATE SET value = ?1",
                [if pause { "1" } else { "0" }],
            )?;
            audit::append(tx, now, &audit::Entry::of(what).by(by))
        })
    }

    /// Says that a drill about this subject, who is nobody, is under way for ten minutes at most.
    ///
    /// # Errors
    /// Those of the database.
    pub fn begin_drill(&self, subject: &str, by: &str, now: Time) -> Result<(), StoreError> {
        self.write(|tx| {
            let value = format!("{} {subject}", now.plus_ms(DRILL_MS).as_ms());
            tx.execute(
                "INSERT INTO meta VALUES ('drill', ?1) ON CONFLICT DO UPDATE SET value = ?1",
                [value],
            )?;
            audit::append(tx, now, &audit::Entry::of("drill").row(subject).by(by))
        })
    }

    /// The subject of the drill that is under way.
    ///
    /// # Errors
    /// Those of the database.
    pub fn drill(&self, now: Time) -> Result<Option<String>, StoreError> {
        let reader = self.reader();
        let value: Option<String> = reader
            .prepare_cached("SELECT value FROM meta WHERE name = 'drill'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let live = value.as_deref().and_then(|value| value.split_once(' '));
        let live =
            live.filter(|(end_ms, _)| end_ms.parse().is_ok_and(|end: i64| now.as_ms() < end));
        Ok(live.map(|(_, subject)| subject.to_owned()))
    }

    /// Ends the drill.
    ///
    /// # Errors
    /// Those of the database.
    pub fn end_drill(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            Ok(tx
                .execute("DELETE FROM meta WHERE name = 'drill'", [])
                .map(drop)?)
        })
    }

    /// Numbers that change when another process changed the database, or somebody approved or undid in this one.
    ///
    /// # Errors
    /// Those of the database.
    pub fn changes_of_others(&self) -> Result<(i64, u64), StoreError> {
        let decided = self.decided.load(Ordering::Acquire);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let version = writer.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        Ok((version, decided))
    }

    /// As [`Self::write`], for what a person decided.
    fn decide<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = self.write(work)?;
        self.decided.fetch_add(1, Ordering::Release);
        Ok(done)
    }

    /// One transaction: all of it is on disk when this returns, or nothing is.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // A panic inside a transaction rolled it back, so a poisoned lock guards a sound connection.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_both(path: &Path) -> Result<(Connection, Connection, u64), StoreError> {
    create_private(path)?;
    let writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&writer, path).map_err(|error| judge(error, path))?;
    let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let inode = std::fs::metadata(path).map(|metadata| metadata.ino());
    let inode = inode.map_err(|error| StoreError::Open {
        path: path.into(),
        source: error.into(),
    })?;
    Ok((writer, reader, inode))
}

fn paused(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'paused' AND value = '1')",
        [],
        |row| row.get(0),
    )
}

/// The database names people, so nobody else on the machine may read it. SQLite gives its WAL the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path);
    opened.map(drop).map_err(|error| StoreError::Open {
        path: path.into(),
        source: error.into(),
    })
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = connection.map_err(|error| judge(error.into(), path))?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(StoreError::Damaged {
            path: path.into(),
            reason: check,
        });
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // FULL: what was told or done outside must be known after a power cut, too.
    // What is deleted is overwritten: a person who was forgotten must not lie in a free page.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
    )?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let found = found as usize;
    let steps = MIGRATIONS.get(found..).ok_or_else(|| StoreError::Newer {
        path: path.into(),
        found,
        known: MIGRATIONS.len(),
    })?;
    for (version, step) in (found + 1..).zip(steps) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step} PRAGMA user_version = {version}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// Tells a damaged file from one that cannot be opened.
fn judge(error: StoreError, path: &Path) -> StoreError {
    let StoreError::Sql(error) = error else {
        return error;
    };
    let path = path.into();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
            path,
            reason: error.to_string(),
        },
        _ => StoreError::Open {
            path,
            source: error.into(),
        },
    }
}

#[cfg(test)]
mod tests;
