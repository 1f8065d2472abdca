//! What is known of the files that are not followed: what was read of them, and what they begin with.
//!
//! In: files that were closed or passed over. Out: whether a file that turns up is one of them, or a copy of one.
//! Does not know: names.

use crate::ingest::generation::{Change, FileKey, HEADER_BYTES_MAX, Position, Print, read_range};
use crate::ingest::tracked::Tracked;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io;

/// How many files that were read to their end are remembered: two years of a daily rotation.
const CLOSED_MAX: usize = 1024;

/// How many passed files without a name are remembered: a folder that cannot be listed for a moment must not make
/// its archives look new.
const NAMELESS_MAX: usize = 4096;

/// A file whose lines are not wanted (again): an archive, a copy, no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Passed {
    header: Print,
    change: Change,
}

/// The files that are known and not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ingest) struct Known {
    /// The folders were looked through once: what turns up from now on is new.
    pub(super) looked: bool,
    passed: BTreeMap<FileKey, Passed>,
    closed: VecDeque<Position>,
}

impl Known {
    /// Passes a file over until it changes.
    pub(super) fn pass(&mut self, key: FileKey, header: Print, change: Change) {
        self.passed.insert(key, Passed { header, change });
    }

    /// Remembers how far a file was read that is no longer followed.
    pub(super) fn close(&mut self, position: Position) {
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        if position.offset_bytes > 0 {
            self.closed.push_back(position);
        }
    }

    /// True when the file was passed over and has not changed since.
    pub(super) fn is_passed(&self, key: FileKey, change: Change) -> bool {
        self.passed
            .get(&key)
            .is_some_and(|known| known.change == change)
    }

    /// Gives back the place reached in `file`, when it was followed before.
    pub(super) fn reopen(&mut self, file: &File) -> io::Result<Option<Position>> {
        let key = FileKey::of(&file.metadata()?);
        for (at, closed) in self.closed.iter().enumerate().rev() {
            let generation = &closed.generation;
            if generation.key() == key
                && generation.is_held_by(file, closed.offset_bytes, closed.anchor)?
            {
                return Ok(self.closed.remove(at));
            }
        }
        Ok(None)
    }

    /// True when a file that begins with `head` begins as one does that is known.
    pub(super) fn begins(&self, head: &[u8]) -> bool {
        let mut prints: HashMap<usize, Print> = HashMap::new();
        let passed = self.passed.values().map(|passed| passed.header);
        let mut headers = passed.chain(self.closed.iter().map(|closed| closed.generation.header()));
        headers.any(|header| {
            let length = header.len();
            let enough = header.tells() && length <= head.len();
            enough
                && *prints
                    .entry(length)
                    .or_insert_with(|| Print::of(&head[..length]))
                    == header
        })
    }

    /// Forgets files that are no longer there, once they are many.
    pub(super) fn forget(&mut self, present: &BTreeSet<FileKey>) {
        if self.passed.len() > 2 * present.len() + NAMELESS_MAX {
            self.passed.retain(|key, _| present.contains(key));
        }
    }
}

/// What a file has to do with one that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    None,
    /// It holds what was read of the other.
    Read,
    /// It holds what is still to be read of the other.
    Unread,
}

impl Kinship {
    fn with(known: &Tracked, same: bool) -> Self {
        match same {
            true if known.position.offset_bytes > 0 => Self::Read,
            true => Self::Unread,
            false => Self::None,
        }
    }
}

/// Whether `copy`, as far as it goes, is a copy of the file that is followed: what `copytruncate` makes, finished or
/// not.
pub(super) fn kinship_of_copy(known: &Tracked, copy: &File) -> io::Result<Kinship> {
    let Position {
        generation,
        offset_bytes,
        anchor,
        ..
    } = &known.position;
    let length = copy.metadata()?.len();
    let end = length.min(HEADER_BYTES_MAX);
    let same = length > 0
        && length <= known.file.metadata()?.len()
        && read_range(copy, 0, end)? == read_range(&known.file, 0, end)?
        && Print::anchor(copy, length)? == Print::anchor(&known.file, length)?;
    if known.is_intact()? {
        return Ok(Kinship::with(known, same));
    }
    // The original was cut: the copy is finished, or one of what was written after the cut.
    match generation.is_copied_in(copy, *offset_bytes, *anchor)? {
        true => Ok(Kinship::Read),
        false if same => Ok(Kinship::Unread),
        false => Ok(Kinship::None),
    }
}

/// The same for an archive that unpacks to a file that begins with `head`.
pub(super) fn kinship_of_archive(known: &Tracked, head: &[u8]) -> io::Result<Kinship> {
    let length = known.file.metadata()?.len().min(HEADER_BYTES_MAX);
    let own = read_range(&known.file, 0, length)?;
    let same = !head.is_empty() && own.starts_with(head);
    if known.is_intact()? {
        return Ok(Kinship::with(known, same));
    }
    let begun = known.position.offset_bytes > 0;
    match begun && known.position.generation.header().begins(head) {
        true => Ok(Kinship::Read),
        false if same => Ok(Kinship::Unread),
        false => Ok(Kinship::None),
    }
}
