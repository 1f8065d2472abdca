//! The tailer: follows every log of the configured sources through rotation, truncation and restarts.
//!
//! In: paths, folders and globs; moments of the caller's clock; hints. Out: [`Polled`]: batches of whole lines, oldest
//! generation first, with gaps and faults beside them.
//! Does not know: threads, the wall clock, notifications (see [`super::wake`]): it is polled.
//!
//! Every file is looked at on a timer; a hint only shortens the wait, so a lost notification costs latency, not lines.
//! Two losses nobody can count: what copytruncate discards between its copy and its cut was never readable; and what a
//! server still wrote to a renamed file that was read to its end, when a copy is written over it before the next look.

mod known;
mod look_round;
mod names;
mod polled;
mod recover;
mod told;

use self::known::Known;
pub(in crate::ingest) use self::names::home_of;
pub use self::polled::{Gap, Hint, Obstacle, Polled, Positions, StartAt, TailFault};
pub(in crate::ingest) use self::recover::packed_head;
use self::told::Told;
use super::generation::{Change, Extent, FileKey, GenerationId, Position, Print, read_range};
pub use super::tracked::Batch;
use super::tracked::{Look, Tracked};
use super::{discover, lines};
use crate::domain::line::{Chunk, Source};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between looks for new names: a rotation is seen within this even without notifications.
const DISCOVERY_PAUSE: Duration = Duration::from_secs(1);

/// How long a file without a name is watched after it last grew: servers reopen their logs within seconds of a
/// rotation, and logrotate's `delaycompress` exists because some take longer.
const DETACHED_PAUSE: Duration = Duration::from_secs(30);

/// How many files without a name are kept open: each holds disk space that its owner believes is free.
const DETACHED_MAX: usize = 64;

/// Follows the logs that a set of paths, folders and globs names.
pub struct Tailer {
    patterns: Vec<OsString>,
    /// Of these, what is there at the next look begins at its end.
    from_end: Vec<OsString>,
    files: Vec<Tracked>,
    known: Known,
    /// The names that servers write to.
    homes: BTreeSet<PathBuf>,
    /// Where archives are unpacked.
    scratch: PathBuf,
    told: HashMap<PathBuf, Told>,
    next_id: GenerationId,
    next_discovery: Option<Instant>,
}

impl Tailer {
    /// A tailer that has seen nothing yet.
    pub fn new(patterns: Vec<OsString>, start: StartAt) -> Self {
        let from_end = match start {
            StartAt::End => patterns.clone(),
            StartAt::Beginning => Vec::new(),
        };
        Self {
            patterns,
            from_end,
            files: Vec::new(),
            known: Known::default(),
            homes: BTreeSet::new(),
            scratch: std::env::temp_dir(),
            told: HashMap::new(),
            next_id: 0,
            next_discovery: None,
        }
    }

    /// Of these patterns, what is there at the next look begins at its end; all else at its beginning.
    pub fn from_end(mut self, patterns: Vec<OsString>) -> Self {
        self.from_end = patterns;
        self
    }

    /// Follows what these patterns name instead. What they no longer name is read to its end and let go; what was
    /// followed before under them goes on where it was.
    pub fn rename(&mut self, patterns: Vec<OsString>, from_end: Vec<OsString>, now: Instant) {
        // What came since the last look round came under the old names. What keeps files from being followed is told
        // at the next.
        self.look_round(now, &mut Polled::default());
        self.told.clear();
        let covered = |path: &Path| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| discover::covers(Path::new(pattern), path))
        };
        for file in &mut self.files {
            file.leaving = !covered(&file.position.home());
            file.wake();
        }
        self.homes.retain(|home| covered(home));
        self.patterns = patterns;
        self.from_end = from_end;
        self.next_discovery = None;
    }

    /// Unpacks what must be read from archives in this folder, in files without a name.
    pub fn scratch(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.scratch);
        self
    }

    /// How far everything was read, to go on there in another process.
    pub fn checkpoint(&self) -> Positions {
        let files = self.files.iter().map(|file| &file.position);
        Positions {
            files: files.map(|at| (at.id, at.clone())).collect(),
            known: self.known.clone(),
            next_id: self.next_id,
        }
    }

    /// Makes the next poll look sooner.
    pub fn hint(&mut self, hint: &Hint) {
        for file in &mut self.files {
            match hint {
                Hint::Grown(path) if file.position.is_at(path) => file.wake(),
                Hint::All => file.wake(),
                _ => {}
            }
        }
        if !matches!(hint, Hint::Grown(_)) {
            self.next_discovery = None;
        }
    }

    /// When the next look is due; `None` when it is due now.
    pub fn next_look(&self) -> Option<Instant> {
        let discovery = self.next_discovery?;
        self.files.iter().try_fold(discovery, |first, file| {
            file.next_look().map(|at| at.min(first))
        })
    }

    /// Bytes seen and not read yet, by source.
    pub fn backlog_bytes(&self) -> impl Iterator<Item = (&Source, u64)> {
        let files = self.files.iter();
        files.map(|file| (&file.position.source, file.backlog_bytes()))
    }

    /// Looks round once without reading anything, so that where everything begins can be written down first.
    pub fn begin(&mut self, now: Instant) -> Polled {
        let mut polled = Polled::default();
        self.look_round(now, &mut polled);
        polled
    }

    /// Reads what is due, about `budget_bytes` in all, at least a batch. Never waits.
    pub fn poll(&mut self, now: Instant, budget_bytes: usize) -> Polled {
        let mut polled = Polled::default();
        if self.next_discovery.is_none_or(|at| at <= now) {
            self.next_discovery = Some(now + DISCOVERY_PAUSE);
            self.look_round(now, &mut polled);
        }
        let mut left = budget_bytes as u64;
        while self.pass(now, &mut left, &mut polled) {}
        if !polled.more {
            self.close_ended(now, &mut polled);
        }
        polled
    }

    /// Looks once at every file that is due, an older generation of a source before a newer. True when there was
    /// anything to read.
    fn pass(&mut self, now: Instant, left: &mut u64, polled: &mut Polled) -> bool {
        let mut busy = HashSet::new();
        let mut at = 0;
        while at < self.files.len() {
            at += 1;
            let at = at - 1;
            let source = self.files[at].position.source.clone();
            if busy.contains(&source) || !self.files[at].is_due(now) {
                continue;
            }
            if *left == 0 {
                polled.more = true;
                return false;
            }
            let looked = self.files[at].look(now);
            if !self.settle(at, looked, now, left, polled) {
                busy.insert(source);
            }
        }
        !busy.is_empty()
    }

    /// Takes in what a look found; true when the file may rest.
    fn settle(
        &mut self,
        at: usize,
        looked: io::Result<Look>,
        now: Instant,
        left: &mut u64,
        polled: &mut Polled,
    ) -> bool {
        match looked {
            Ok(Look::Nothing) => {
                let file = &mut self.files[at];
                let before = file.position.done;
                file.rest(now);
                let done = !before && file.position.done;
                polled.done.extend(done.then_some(file.position.id));
                true
            }
            Ok(Look::Passed) => false,
            Ok(Look::Batch(batch)) => {
                let read = batch.extent.end_bytes - batch.extent.start_bytes;
                *left = left.saturating_sub(read);
                self.push(at, batch, polled);
                false
            }
            Ok(Look::Ended(lost)) => {
                self.end_generation(at, lost, now, polled);
                false
            }
            Err(error) => {
                let path = self.files[at].position.path();
                self.tell(&path, Obstacle::of(&error), &error.to_string(), now, polled);
                self.files[at].rest(now);
                true
            }
        }
    }

    fn push(&mut self, at: usize, batch: Batch, polled: &mut Polled) {
        let file = &mut self.files[at];
        let header_bytes = file.position.generation.header().len();
        if file.told != Some(header_bytes) {
            file.told = Some(header_bytes);
            let mut opened = file.position.clone();
            opened.offset_bytes = batch.extent.start_bytes;
            opened.number = batch.extent.number;
            opened.anchor = Print::anchor(&file.file, opened.offset_bytes).unwrap_or_default();
            polled.opened.push(opened);
        }
        polled.batches.push(batch);
    }

    fn take_id(&mut self) -> GenerationId {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Lets go of files that have no name, are read to the end and no longer grow.
    fn close_ended(&mut self, now: Instant, polled: &mut Polled) {
        let is_over = |file: &Tracked| {
            if file.leaving {
                return file.is_read();
            }
            let waited = |since: Instant| now.duration_since(since) >= DETACHED_PAUSE;
            file.detached.is_some_and(waited) && waited(file.grown) && file.is_read()
        };
        for at in 0..self.files.len() {
            // What somebody goes on writing to may be wanted again, half a line and all.
            if !is_over(&self.files[at]) || self.files[at].leaving {
                continue;
            }
            if let Ok(Some(batch)) = self.files[at].flush() {
                self.push(at, batch, polled);
            }
            // What a failing disk did not give.
            let unread = self.files[at].unread_bytes();
            if unread > 0 {
                let gap = gap(&self.files[at].position, Some(unread));
                polled.gaps.push(gap);
            }
        }
        let (over, rest) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(is_over);
        self.files = rest;
        over.into_iter().for_each(|file: Tracked| self.close(file));
        while self.files.iter().filter(|file| file.is_held()).count() > DETACHED_MAX {
            let Some(at) = self.files.iter().position(Tracked::is_held) else {
                break;
            };
            let file = self.files.remove(at);
            if file.backlog_bytes() > 0 {
                polled
                    .gaps
                    .push(gap(&file.position, Some(file.backlog_bytes())));
            }
            self.close(file);
        }
    }

    /// Lets go of a file; it is taken up again where it was left when it turns out to have grown.
    fn close(&mut self, file: Tracked) {
        if let Ok(metadata) = file.file.metadata() {
            let (key, header) = (FileKey::of(&metadata), file.position.generation.header());
            self.known.pass(key, header, Change::of(&metadata));
        }
        self.known.close(file.position);
    }

    /// Where a generation that is followed ends with these lines: by that it is found again.
    pub fn end_of(&self, extent: &Extent) -> Option<Position> {
        let mut files = self.files.iter();
        let file = files.find(|file| file.position.id == extent.generation)?;
        let mut end = file.position.clone();
        end.moved_to(extent);
        Some(end)
    }

    /// The files that only we still hold, which no name leads to.
    pub fn held(&self) -> impl Iterator<Item = (GenerationId, &File)> {
        let held = self.files.iter().filter(|file| file.nameless);
        held.map(|file| (file.position.id, &file.file))
    }

    /// The lines of an extent once more, to replay what was fed before a crash. A gap when they cannot be had.
    pub fn reread(&mut self, extent: &Extent) -> Result<Chunk, Option<Gap>> {
        let mut files = self.files.iter();
        let at = files.position(|file| file.position.id == extent.generation);
        let at = at.ok_or(None)?;
        if let Some(chunk) = self.read_extent(at, extent) {
            return Ok(chunk);
        }
        // It was copied and cut while we replayed.
        let moved = self.move_to_copy(at, extent);
        moved
            .then(|| self.read_extent(at, extent))
            .flatten()
            .ok_or_else(|| {
                let bytes = extent.end_bytes - extent.start_bytes;
                let mut lost = gap(&self.files[at].position, Some(bytes));
                lost.offset_bytes = extent.start_bytes;
                Some(lost)
            })
    }

    fn read_extent(&self, at: usize, extent: &Extent) -> Option<Chunk> {
        let Tracked { file, position, .. } = &self.files[at];
        let anchor = Print::anchor(file, extent.end_bytes).ok()?;
        if anchor != extent.anchor {
            return None;
        }
        let bytes = read_range(file, extent.start_bytes, extent.end_bytes).ok()?;
        let source = &position.source;
        Some(lines::chunk_of(source, bytes, extent.start_bytes, extent.number).0)
    }
}

fn gap(position: &Position, bytes: Option<u64>) -> Gap {
    Gap {
        source: position.source.clone(),
        generation: position.id,
        offset_bytes: position.offset_bytes,
        bytes,
    }
}

#[cfg(test)]
mod tests;
