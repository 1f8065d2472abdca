//! The tailer: follows every log of the configured sources through rotation, truncation and restarts.
//!
//! In: paths, folders and globs; moments of the caller's clock; hints. Out: [`Polled`]: batches of whole lines, oldest
//! generation first, with gaps and faults beside them.
//! Does not know: threads, the wall clock, notifications (see [`super::wake`]): it is polled.
//!
//! Every file is looked at on a timer; a hint only shortens the wait, so a lost notification costs latency, not lines.
//! What copytruncate discards between its copy and its cut was never readable, and is the one loss nobody can count.

use super::discover;
use super::fault::ReadFault;
use super::generation::{
    Extent, FileKey, Generation, GenerationId, Position, Print, Verdict, read_range,
};
use super::lines;
use super::open;
pub use super::tracked::Batch;
use super::tracked::{Look, Tracked, open_log};
use crate::domain::line::{Chunk, Source};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
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

/// Where to begin with files that are there when a daemon starts for the first time. Files that appear later are
/// always read from their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With all that is in them.
    Beginning,
    /// With the next line.
    End,
}

/// Something that makes a look worthwhile now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// This file may have grown.
    Grown(PathBuf),
    /// Files were made, renamed or removed.
    Names,
    /// Notifications were lost: anything may have happened.
    All,
}

/// Bytes known to be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The source's name in evidence.
    pub source: Source,
    /// The generation's number.
    pub generation: GenerationId,
    /// Lost from here.
    pub offset_bytes: u64,
    /// How many; `None` when nobody can know.
    pub bytes: Option<u64>,
}

/// A file that cannot be followed now. It is tried again; told once for each reason.
#[derive(Debug)]
pub struct TailFault {
    /// The path, or the pattern.
    pub path: PathBuf,
    /// Why, in words that can be shown.
    pub reason: String,
}

/// What one poll found.
#[derive(Debug, Default)]
pub struct Polled {
    /// Generations whose first batch is in this poll: for the journal, before the batches.
    pub opened: Vec<Position>,
    /// Lines, in the order to be fed.
    pub batches: Vec<Batch>,
    /// Bytes lost.
    pub gaps: Vec<Gap>,
    /// Files that cannot be followed now.
    pub faults: Vec<TailFault>,
    /// The budget ended before the lines did: poll again at once.
    pub more: bool,
}

/// How far everything was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    files: BTreeMap<GenerationId, Position>,
    passed: BTreeSet<FileKey>,
    next_id: GenerationId,
}

impl Positions {
    /// Takes note of a generation that was opened.
    pub fn open(&mut self, position: &Position) {
        self.next_id = self.next_id.max(position.id + 1);
        self.files.insert(position.id, position.clone());
    }

    /// Takes note of lines that were fed.
    pub fn advance(&mut self, extent: &Extent) {
        if let Some(position) = self.files.get_mut(&extent.generation) {
            position.offset_bytes = extent.end_bytes;
            position.anchor = extent.anchor;
            if extent.number > 0 {
                position.number = extent.number + u64::from(extent.lines);
            }
        }
    }
}

/// Follows the logs that a set of paths, folders and globs names.
pub struct Tailer {
    patterns: Vec<OsString>,
    start: StartAt,
    files: Vec<Tracked>,
    /// Files under the names that are followed whose lines are not wanted: archives, copies, no logs.
    passed: BTreeSet<FileKey>,
    told: HashMap<PathBuf, String>,
    next_id: GenerationId,
    next_discovery: Option<Instant>,
}

impl Tailer {
    /// A tailer that has seen nothing yet.
    pub fn new(patterns: Vec<OsString>, start: StartAt) -> Self {
        Self {
            patterns,
            start,
            files: Vec::new(),
            passed: BTreeSet::new(),
            told: HashMap::new(),
            next_id: 0,
            next_discovery: None,
        }
    }

    /// Goes on where another process stopped. Every generation is looked for under its name, its rotated names and all
    /// names that are followed; what is gone is a gap. Files that appeared meanwhile are read from their beginning.
    pub fn resume(&mut self, positions: Positions, now: Instant) -> Vec<Gap> {
        self.start = StartAt::Beginning;
        self.next_id = positions.next_id;
        self.passed = positions.passed;
        let named = self.named(&mut Polled::default());
        let mut gaps = Vec::new();
        for (_, position) in positions.files {
            let mut candidates = vec![position.path()];
            candidates.extend(siblings(&position.path()));
            candidates.extend(named.iter().cloned());
            if !self.recover(&position, &candidates, now) {
                gaps.push(gap(&position, None));
            }
        }
        gaps
    }

    /// How far everything was read, to go on there in another process.
    pub fn checkpoint(&self) -> Positions {
        let files = self.files.iter().filter(|file| file.told);
        Positions {
            files: files.map(|f| (f.position.id, f.position.clone())).collect(),
            passed: self.passed.clone(),
            next_id: self.next_id,
        }
    }

    /// Makes the next poll look sooner.
    pub fn hint(&mut self, hint: &Hint) {
        for file in &mut self.files {
            match hint {
                Hint::Grown(path) if file.position.path() == *path => file.wake(),
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

    /// Reads what is due, about `budget_bytes` in all, at least a batch. Never waits.
    pub fn poll(&mut self, now: Instant, budget_bytes: usize) -> Polled {
        let mut polled = Polled::default();
        if self.next_discovery.is_none_or(|at| at <= now) {
            self.discover(now, &mut polled);
            self.next_discovery = Some(now + DISCOVERY_PAUSE);
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
        for at in 0..self.files.len() {
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
                self.files[at].rest(now);
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
                self.tell(&path, &error.to_string(), polled);
                self.files[at].rest(now);
                true
            }
        }
    }

    fn push(&mut self, at: usize, batch: Batch, polled: &mut Polled) {
        let file = &mut self.files[at];
        if !file.told {
            file.told = true;
            let mut opened = file.position.clone();
            opened.offset_bytes = batch.extent.start_bytes;
            opened.number = batch.extent.number;
            opened.anchor = Print::anchor(&file.file, opened.offset_bytes).unwrap_or_default();
            polled.opened.push(opened);
        }
        polled.batches.push(batch);
    }

    /// The file was truncated or rewritten under us. What was not read of it may live on in a copy.
    fn end_generation(&mut self, at: usize, lost_bytes: u64, now: Instant, polled: &mut Polled) {
        let old = self.files[at].position.clone();
        let told = self.files[at].told;
        let id = self.take_id();
        if let Err(error) = self.files[at].begin_again(id) {
            self.tell(&old.path(), &error.to_string(), polled);
            self.files[at].rest(now);
        }
        let copied = old.offset_bytes > 0 && self.recover(&old, &siblings(&old.path()), now);
        if copied {
            let copy = self
                .files
                .iter_mut()
                .find(|file| file.position.id == old.id);
            copy.into_iter().for_each(|file| file.told = told);
        } else if lost_bytes > 0 {
            polled.gaps.push(gap(&old, Some(lost_bytes)));
        }
    }

    /// Finds the generation of `position` among `candidates` and follows it there: the file itself, else a copy.
    fn recover(&mut self, position: &Position, candidates: &[PathBuf], now: Instant) -> bool {
        let files: Vec<_> = candidates
            .iter()
            .filter_map(|path| Some((path, open::regular(path).ok()?.0)))
            .collect();
        let (offset, anchor) = (position.offset_bytes, position.anchor);
        let is_same = |file: &fs::File| {
            let verdict = position.generation.matches(file, offset, anchor);
            matches!(verdict, Ok(Verdict::Same))
        };
        let is_held = |file: &fs::File| {
            let held = position.generation.is_held_by(file, offset, anchor);
            offset > 0 && matches!(held, Ok(true))
        };
        let same = files.iter().position(|(_, file)| is_same(file));
        let Some(at) = same.or_else(|| files.iter().position(|(_, file)| is_held(file))) else {
            return false;
        };
        let Some((path, file)) = files.into_iter().nth(at) else {
            return false;
        };
        let Ok(metadata) = file.metadata() else {
            return false;
        };
        let mut tracked = Tracked::new(file, position.clone(), now);
        tracked.told = true;
        tracked.position.named(path);
        // A copy is followed as the file it is: its key is not the original's, which may live on.
        tracked.position.generation.held_in(&metadata);
        self.files.push(tracked);
        self.files.sort_by_key(|file| file.position.id);
        true
    }

    fn discover(&mut self, now: Instant, polled: &mut Polled) {
        let mut found = HashMap::new();
        let mut order = Vec::new();
        for path in self.named(polled) {
            // A name that vanishes between two calls is a name that was not there.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let key = FileKey::of(&metadata);
            if found.insert(key, path.clone()).is_none() {
                order.push(key);
            }
        }
        self.passed.retain(|key| found.contains_key(key));
        for file in &mut self.files {
            match found.remove(&current_key(file)) {
                Some(path) => {
                    file.position.named(&path);
                    file.detached = None;
                }
                None if file.detached.is_none() => {
                    file.detached = Some(now);
                    file.wake();
                }
                None => {}
            }
        }
        for key in order {
            if let Some(path) = found.remove(&key).filter(|_| !self.passed.contains(&key)) {
                self.follow(key, &path, now, polled);
            }
        }
        self.start = StartAt::Beginning;
    }

    /// The paths that the patterns name now.
    fn named(&mut self, polled: &mut Polled) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for pattern in self.patterns.clone() {
            match discover::expand(&pattern) {
                Ok(found) => paths.extend(found),
                Err(fault) => self.tell(Path::new(&pattern), &fault.to_string(), polled),
            }
        }
        paths
    }

    fn follow(&mut self, key: FileKey, path: &Path, now: Instant, polled: &mut Polled) {
        match self.start_following(path, now) {
            Ok(true) => {
                self.told.remove(path);
            }
            Ok(false) => {
                self.passed.insert(key);
            }
            Err(error) => {
                if ReadFault::of(&error).is_some() || error.kind() == io::ErrorKind::InvalidInput {
                    self.passed.insert(key);
                }
                self.tell(path, &error.to_string(), polled);
            }
        }
    }

    fn start_following(&mut self, path: &Path, now: Instant) -> io::Result<bool> {
        let Some((file, metadata)) = open_log(path)? else {
            return Ok(false);
        };
        if self
            .files
            .iter()
            .any(|known| is_copy_of(known, &file, path))
        {
            return Ok(false);
        }
        let position = Position::new(self.next_id, path, Generation::of(&file)?);
        let mut tracked = Tracked::new(file, position, now);
        if self.start == StartAt::End {
            tracked.skip_to_end(metadata.len())?;
        }
        self.take_id();
        self.files.push(tracked);
        Ok(true)
    }

    fn take_id(&mut self) -> GenerationId {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Lets go of files that have no name, are read to the end and no longer grow.
    fn close_ended(&mut self, now: Instant, polled: &mut Polled) {
        let is_over = |file: &Tracked| {
            let waited = |since: Instant| now.duration_since(since) >= DETACHED_PAUSE;
            file.detached.is_some_and(waited) && waited(file.grown)
        };
        for at in 0..self.files.len() {
            if !is_over(&self.files[at]) {
                continue;
            }
            if let Ok(Some(batch)) = self.files[at].flush() {
                self.push(at, batch, polled);
            }
        }
        self.files.retain(|file| !is_over(file));
        let detached = |file: &&Tracked| file.detached.is_some();
        while self.files.iter().filter(detached).count() > DETACHED_MAX {
            let Some(at) = self.files.iter().position(|file| file.detached.is_some()) else {
                break;
            };
            let file = self.files.remove(at);
            if file.backlog_bytes() > 0 {
                polled
                    .gaps
                    .push(gap(&file.position, Some(file.backlog_bytes())));
            }
        }
    }

    /// The lines of an extent once more, to replay what was fed before a crash. A gap when they cannot be had.
    pub fn reread(&self, extent: &Extent) -> Result<Chunk, Option<Gap>> {
        let holder = self
            .files
            .iter()
            .find(|file| file.position.id == extent.generation);
        let file = holder.ok_or(None)?;
        let lost = || {
            let mut lost = gap(&file.position, Some(extent.end_bytes - extent.start_bytes));
            lost.offset_bytes = extent.start_bytes;
            Some(lost)
        };
        let anchor = Print::anchor(&file.file, extent.end_bytes);
        if !anchor.is_ok_and(|anchor| anchor == extent.anchor) {
            return Err(lost());
        }
        let bytes =
            read_range(&file.file, extent.start_bytes, extent.end_bytes).map_err(|_| lost())?;
        let source = &file.position.source;
        Ok(lines::chunk_of(source, bytes, extent.start_bytes, extent.number).0)
    }

    fn tell(&mut self, path: &Path, reason: &str, polled: &mut Polled) {
        let before = self.told.insert(path.to_owned(), reason.to_owned());
        if before.as_deref() != Some(reason) {
            polled.faults.push(TailFault {
                path: path.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }
}

fn current_key(file: &Tracked) -> FileKey {
    file.position.generation.key()
}

fn gap(position: &Position, bytes: Option<u64>) -> Gap {
    Gap {
        source: position.source.clone(),
        generation: position.id,
        offset_bytes: position.offset_bytes,
        bytes,
    }
}

/// True when `file` is what copytruncate made of a file that is followed: a rotated name and the same bytes.
fn is_copy_of(known: &Tracked, file: &fs::File, path: &Path) -> bool {
    let Position {
        generation,
        offset_bytes,
        anchor,
        ..
    } = &known.position;
    is_rotated_name(path, &known.position.path())
        && *offset_bytes > 0
        && generation
            .is_held_by(file, *offset_bytes, *anchor)
            .unwrap_or(false)
}

/// `access.log.1` and `access.log-20260504` are rotated names of `access.log`.
fn is_rotated_name(path: &Path, original: &Path) -> bool {
    let rest = path.as_os_str().as_encoded_bytes();
    let rest = rest.strip_prefix(original.as_os_str().as_encoded_bytes());
    rest.is_some_and(|rest| rest.starts_with(b".") || rest.starts_with(b"-"))
}

fn siblings(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut siblings: Vec<_> = paths.filter(|other| is_rotated_name(other, path)).collect();
    siblings.sort();
    siblings
}

#[cfg(test)]
mod tests;
