//! What goes into and comes out of the tailer.
//!
//! In: nothing. Out: [`Polled`], [`Gap`], [`TailFault`], [`Hint`], [`StartAt`], [`Positions`].
//! Does not know: how files are followed.

use super::known::Known;
use crate::domain::line::Source;
use crate::ingest::generation::{Extent, GenerationId, Position};
use crate::ingest::journal::Fed;
use crate::ingest::tracked::Batch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    pub(super) files: BTreeMap<GenerationId, Position>,
    pub(super) known: Known,
    pub(super) next_id: GenerationId,
}

impl Positions {
    /// Takes note of a generation that was opened.
    pub fn open(&mut self, position: &Position) {
        self.next_id = self.next_id.max(position.id + 1);
        self.files.insert(position.id, position.clone());
    }

    /// Takes note of a record of the journal.
    pub(in crate::ingest) fn take(&mut self, record: &Fed) {
        match record {
            Fed::Opened(position) => self.open(position),
            Fed::Lines(extent) => self.advance(extent),
            _ => {}
        }
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
