//! What goes into and comes out of the tailer.
//!
//! In: nothing. Out: [`Polled`], [`Gap`], [`TailFault`], [`Obstacle`], [`Hint`], [`StartAt`], [`Positions`].
//! Does not know: how files are followed.

use super::known::Known;
use crate::domain::line::Source;
use crate::ingest::fault::ReadFault;
use crate::ingest::generation::{Extent, GenerationId, Position};
use crate::ingest::journal::Fed;
use crate::ingest::tracked::Batch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
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

/// What keeps a file from being followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It is not there, though its folder is.
    File,
    /// Its folder is not there.
    Folder,
    /// It may not be read.
    Permission,
    /// As many files are open as may be.
    Descriptors,
    /// It is no log.
    Content,
    /// The disk or the system failed.
    System,
}

impl Obstacle {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::File,
        Self::Folder,
        Self::Permission,
        Self::Descriptors,
        Self::Content,
        Self::System,
    ];

    /// What an error means.
    pub fn of(error: &io::Error) -> Self {
        // ENFILE and EMFILE (errno(3)), for which the library has no kind.
        const TOO_MANY: [i32; 2] = [23, 24];
        let too_many = error
            .raw_os_error()
            .is_some_and(|code| TOO_MANY.contains(&code));
        match error.kind() {
            _ if too_many => Self::Descriptors,
            _ if ReadFault::of(error).is_some() => Self::Content,
            io::ErrorKind::InvalidInput => Self::Content,
            io::ErrorKind::NotFound => Self::File,
            io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::System,
        }
    }

    /// Its name in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file_not_found",
            Self::Folder => "folder_not_found",
            Self::Permission => "permission",
            Self::Descriptors => "too_many_open_files",
            Self::Content => "no_log",
            Self::System => "system",
        }
    }

    /// True when somebody should know: a file may come later and a file that is no log is none of ours.
    pub fn blinds(self) -> bool {
        !matches!(self, Self::File | Self::Content)
    }
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
    /// Generations that were read to their end after their server had left them: for the journal, after the batches.
    pub done: Vec<GenerationId>,
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
            Fed::Done(id) => self
                .files
                .get_mut(id)
                .into_iter()
                .for_each(|file| file.done = true),
            _ => {}
        }
    }

    /// Takes note of lines that were fed.
    pub fn advance(&mut self, extent: &Extent) {
        if let Some(position) = self.files.get_mut(&extent.generation) {
            position.offset_bytes = extent.end_bytes;
            position.done = false;
            position.anchor = extent.anchor;
            if extent.number > 0 {
                position.number = extent.number + u64::from(extent.lines);
            }
        }
    }
}
