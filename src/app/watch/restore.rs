//! What the last daemon left: its memory, and what it was fed after that.
//!
//! In: the state folder. Out: a restored engine and tailer, and the records to feed again.
//! Does not know: how records are fed.

use super::Error;
use crate::domain::line::Source;
use crate::engine::Engine;
use crate::ingest::journal::{self, Fed};
use crate::ingest::snapshot;
use crate::ingest::tail::{Gap, Positions, Tailer};
use crate::wrappers;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tracing::{info, warn};

/// What a snapshot holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    /// The engine's.
    pub(super) engine: Vec<u8>,
    /// How far every log was read.
    pub(super) positions: Positions,
    /// Pieces of lines whose ends had not come.
    pub(super) pieces: BTreeMap<Source, wrappers::Memory>,
}

impl Memory {
    /// The memory as bytes.
    ///
    /// # Errors
    /// When it cannot be written, which would be a mistake of ours.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_stdvec(self).map_err(Error::shown)
    }
}

/// What is left to do after the memory was taken back.
#[derive(Default)]
pub(super) struct Restored {
    /// The journal to go on with.
    pub(super) epoch: u64,
    /// What was fed after the snapshot.
    pub(super) records: Vec<Fed>,
    /// What is gone.
    pub(super) gaps: Vec<Gap>,
    /// Pieces of lines whose ends had not come.
    pub(super) pieces: BTreeMap<Source, wrappers::Memory>,
}

/// Takes back what the last daemon knew. A damaged memory is said and left behind: the logs are read from where the
/// journal begins.
///
/// # Errors
/// When the state folder cannot be read, or a newer program wrote it.
pub(super) fn restore(
    folder: &Path,
    engine: &mut Engine,
    tailer: &mut Tailer,
) -> Result<Restored, Error> {
    let stored = snapshot::read(folder).map_err(Error::shown)?;
    let begun = stored.is_some();
    let mut restored = Restored::default();
    let mut positions = Positions::default();
    if let Some(stored) = stored {
        if stored.is_previous {
            warn!("the newest snapshot is damaged: going on from the one before");
        }
        restored.epoch = stored.epoch;
        match postcard::from_bytes::<Memory>(&stored.bytes) {
            Ok(memory) => {
                positions = memory.positions;
                restored.pieces = memory.pieces;
                if let Err(error) = engine.restore(&memory.engine) {
                    warn!(%error, "the snapshot is of another version: sessions begin anew");
                }
            }
            Err(error) => {
                warn!(%error, "the snapshot cannot be understood: everything begins anew")
            }
        }
    }
    restored.records = journal::read_all(folder, restored.epoch).map_err(Error::shown)?;
    let known = begun || !restored.records.is_empty();
    for record in &restored.records {
        match record {
            Fed::Opened(position) => positions.open(position),
            Fed::Lines(extent) => positions.advance(extent),
            _ => {}
        }
    }
    if known {
        info!(
            records = restored.records.len(),
            "going on where the last daemon stopped"
        );
        restored.gaps = tailer.resume(positions, Instant::now());
    }
    Ok(restored)
}
