//! What the daemon remembers between snapshots of its state: the engine's memory, what was spent on
//! answers, whether a storm goes on, and lines in pieces.
//!
//! In: the engine, the answer, the readings. Out: bytes, and back.
//! Does not know: how far the logs were read (see [`crate::ingest::follow`]).

use super::Error;
use super::answer::Answer;
use super::readings::{Readings, Remembered};
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::ingest::index::Open;
use crate::response::breaker::Breaker;
use crate::response::storm::Storms;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tracing::warn;

/// Key sets as they were received last, by issuer: a replay judges by the keys of then.
pub(super) type Keys = BTreeMap<String, FetchedSet>;

/// A key set as it was received, and when.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct FetchedSet {
    pub(super) bytes: Vec<u8>,
    pub(super) at: Time,
}

/// What a snapshot holds beside the places in the logs.
#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    engine: Vec<u8>,
    breaker: Breaker,
    storms: Storms,
    readings: Remembered,
    keys: Keys,
    /// What may still grow of the index of positions.
    places: Open,
}

impl Memory {
    /// The memory as bytes.
    ///
    /// # Errors
    /// When it cannot be written, which would be a mistake of ours.
    pub(super) fn of(
        engine: &mut Engine,
        answer: &Answer,
        readings: &Readings,
        keys: &Keys,
        places: &Open,
    ) -> Result<Vec<u8>, Error> {
        let memory = Self {
            engine: engine.snapshot().map_err(Error::shown)?,
            breaker: answer.breaker().clone(),
            storms: answer.storms().clone(),
            readings: readings.memory(),
            keys: keys.clone(),
            places: places.clone(),
        };
        postcard::to_stdvec(&memory).map_err(Error::shown)
    }

    /// Takes the memory back. One that cannot be understood is said and left behind.
    pub(super) fn restore(
        bytes: &[u8],
        engine: &mut Engine,
        answer: &mut Answer,
    ) -> (Readings, Keys, Open) {
        match postcard::from_bytes::<Self>(bytes) {
            Ok(memory) => {
                answer.resume(memory.breaker, memory.storms);
                if let Err(error) = engine.restore(&memory.engine) {
                    warn!(%error, "the snapshot is of another version: sessions begin anew");
                }
                let readings = Readings::resume(memory.readings);
                (readings, memory.keys, memory.places)
            }
            Err(error) => {
                warn!(%error, "the snapshot cannot be understood: sessions begin anew");
                Default::default()
            }
        }
    }
}
