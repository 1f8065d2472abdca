//! Following with a memory: the tailer, the journal of what it gave, and the snapshots between.
//!
//! In: the state folder, patterns, the caller's memory as bytes. Out: [`Polled`] lines that are in the journal, and
//! after a crash the memory and the [`Fed`] records that came after it.
//! Does not know: what is made of the lines, nor what the memory holds.
//!
//! A disk that is full or read-only stops nothing: records wait in memory, and are written when the disk takes them.
//! What the journal lacks after a crash then is read from the logs once more, and gives the same ids.

use super::journal::{self, Fed, Journal, JournalFault};
use super::snapshot::{self, SnapshotFault};
use super::tail::{Gap, Hint, Obstacle, Polled, Positions, StartAt, TailFault, Tailer};
use crate::domain::line::{Chunk, Source};
use crate::ingest::generation::{Extent, GenerationId, Position};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How many records wait for a disk that takes nothing: about 64 MiB, and at 256 KiB a batch of lines a quarter of a
/// terabyte of logs. Then the logs wait.
const WAITING_MAX: usize = 1 << 20;

/// Between tries to write to a disk that took nothing.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Between tries to take a snapshot, which may be large.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(5);

/// Why the state cannot be read.
#[derive(Debug, Error)]
pub enum FollowFault {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotFault),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    memory: Vec<u8>,
    positions: Positions,
}

/// What the last process left.
#[derive(Debug, Default)]
pub struct Left {
    /// The caller's memory, as it was at the newest whole snapshot.
    pub memory: Option<Vec<u8>>,
    /// What was fed after it, in order.
    pub records: Vec<Fed>,
    /// What is gone.
    pub gaps: Vec<Gap>,
    /// Files that cannot be followed now.
    pub faults: Vec<TailFault>,
    /// The newest snapshot was damaged: this is the one before.
    pub is_previous: bool,
}

/// Follows logs, and can go on after a crash.
pub struct Follower {
    folder: PathBuf,
    tailer: Tailer,
    journal: Option<Journal>,
    epoch: u64,
    waiting: Vec<Fed>,
    trouble: Option<String>,
    retry_at: Option<Instant>,
    /// After a snapshot that was not taken.
    snapshot_at: Option<Instant>,
}

impl Follower {
    /// Goes on where the last process stopped, or begins; then what `from_end` names begins at its end. Nothing is read
    /// yet; where everything begins should be written down with [`Self::snapshot`] first.
    ///
    /// # Errors
    /// When the state folder cannot be used, or a newer program wrote it.
    pub fn open(
        folder: &Path,
        patterns: Vec<OsString>,
        from_end: Vec<OsString>,
        now: Instant,
    ) -> Result<(Self, Left), FollowFault> {
        let mut left = Left::default();
        let mut positions = None;
        let mut epoch = 0;
        if let Some(stored) = snapshot::read(folder)? {
            left.is_previous = stored.is_previous;
            epoch = stored.epoch;
            if let Ok(kept) = postcard::from_bytes::<Kept>(&stored.bytes) {
                left.memory = Some(kept.memory);
                positions = Some(kept.positions);
            }
        }
        left.records = journal::read_all(folder, epoch)?;
        if !left.records.is_empty() {
            let positions = positions.get_or_insert_default();
            left.records
                .iter()
                .for_each(|record| positions.take(record));
        }
        let mut tailer = Tailer::new(patterns, StartAt::Beginning)
            .from_end(from_end)
            .scratch(folder);
        if let Some(positions) = positions {
            left.gaps = tailer.resume(positions, now);
        }
        let polled = tailer.begin(now);
        left.faults = polled.faults;
        let follower = Self {
            folder: folder.to_owned(),
            tailer,
            journal: Some(Journal::begin(folder, epoch)?),
            epoch,
            waiting: Vec::new(),
            trouble: None,
            retry_at: None,
            snapshot_at: None,
        };
        Ok((follower, left))
    }

    /// Reads what is due, about `budget_bytes` in all, and journals it. Never waits.
    pub fn poll(&mut self, now: Instant, budget_bytes: usize) -> Polled {
        if self.waiting.len() >= WAITING_MAX {
            self.write_waiting(now);
            return Polled::default();
        }
        let mut polled = self.tailer.poll(now, budget_bytes);
        let opened = polled.opened.drain(..).map(Fed::Opened);
        self.waiting.extend(opened);
        let lines = polled.batches.iter().map(|batch| Fed::Lines(batch.extent));
        self.waiting.extend(lines);
        self.waiting.extend(polled.done.drain(..).map(Fed::Done));
        self.write_waiting(now);
        polled
    }

    /// Journals something else that is fed.
    pub fn note(&mut self, record: Fed, now: Instant) {
        self.note_all(vec![record], now);
    }

    /// Journals what else is fed, in one piece.
    pub fn note_all(&mut self, records: Vec<Fed>, now: Instant) {
        self.waiting.extend(records);
        self.write_waiting(now);
    }

    fn write_waiting(&mut self, now: Instant) {
        if self.waiting.is_empty() || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let written = self.journal().and_then(|journal| journal.append(&waiting));
        if !self.judged(written, now) {
            self.waiting = waiting;
        }
    }

    /// Puts what was journalled on the disk: effects of it may leave then. False while the disk does not take it.
    pub fn sync(&mut self, now: Instant) -> bool {
        self.write_waiting(now);
        if !self.waiting.is_empty() {
            return false;
        }
        let synced = self.journal().and_then(Journal::sync);
        self.judged(synced, now)
    }

    fn journal(&mut self) -> Result<&mut Journal, JournalFault> {
        match self.journal.take() {
            Some(journal) => Ok(self.journal.insert(journal)),
            None => {
                let journal = Journal::begin(&self.folder, self.epoch)?;
                Ok(self.journal.insert(journal))
            }
        }
    }

    fn judged(&mut self, done: Result<(), JournalFault>, now: Instant) -> bool {
        match done {
            Ok(()) => {
                self.trouble = None;
                self.retry_at = None;
                true
            }
            Err(fault) => {
                self.trouble = Some(fault.to_string());
                self.retry_at = Some(now + RETRY_PAUSE);
                false
            }
        }
    }

    /// Why the state is not on the disk, while it is not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// True when it is time for a snapshot: the journal is long, or somebody took it away.
    pub fn wants_snapshot(&self, now: Instant) -> bool {
        let journal = self.journal.as_ref();
        self.snapshot_at.is_none_or(|at| at <= now)
            && journal.is_some_and(|journal| journal.is_full() || journal.is_gone())
    }

    /// Writes down the caller's memory together with how far everything was read. False when the disk does not take it.
    pub fn snapshot(&mut self, memory: Vec<u8>, now: Instant) -> bool {
        let positions = self.tailer.checkpoint();
        let written = postcard::to_stdvec(&Kept { memory, positions })
            .map_err(|error| error.to_string())
            .and_then(|bytes| {
                snapshot::write(&self.folder, self.epoch + 1, &bytes).map_err(|e| e.to_string())
            });
        if let Err(error) = written {
            self.trouble = Some(error);
            self.snapshot_at = Some(now + SNAPSHOT_PAUSE);
            return false;
        }
        let previous = self.epoch;
        self.epoch += 1;
        // What waited is in the snapshot, and what follows belongs into the journal after it.
        self.waiting.clear();
        self.journal = None;
        let pruned = self.journal().and_then(|journal| journal.prune(previous));
        self.judged(pruned, now)
    }

    /// The lines of an extent once more. A gap when they cannot be had; none when that was said before.
    ///
    /// # Errors
    /// As said.
    pub fn reread(&mut self, extent: &Extent) -> Result<Chunk, Option<Gap>> {
        self.tailer.reread(extent)
    }

    /// See [`Tailer::end_of`].
    pub fn end_of(&self, extent: &Extent) -> Option<Position> {
        self.tailer.end_of(extent)
    }

    /// See [`Tailer::held`].
    pub fn held(&self) -> impl Iterator<Item = (GenerationId, &File)> {
        self.tailer.held()
    }

    /// Follows what these patterns name instead, see [`Tailer::rename`].
    pub fn rename(&mut self, patterns: Vec<OsString>, from_end: Vec<OsString>, now: Instant) {
        self.tailer.rename(patterns, from_end, now);
    }

    /// Makes the next poll look sooner.
    pub fn hint(&mut self, hint: &Hint) {
        self.tailer.hint(hint);
    }

    /// When the next look is due; `None` when it is due now.
    pub fn next_look(&self) -> Option<Instant> {
        self.tailer.next_look()
    }

    /// What keeps files from being followed now, and where.
    pub fn faults(&self) -> impl Iterator<Item = (&Path, Obstacle)> {
        self.tailer.faults()
    }

    /// Bytes seen and not read yet, by source.
    pub fn backlog_bytes(&self) -> impl Iterator<Item = (&Source, u64)> {
        self.tailer.backlog_bytes()
    }
}

#[cfg(test)]
mod model;
