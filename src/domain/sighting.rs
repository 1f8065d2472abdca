//! What nodes of a fleet tell each other: that a session was used in a context.
//!
//! In: the first use, and then at most one a minute, of a session in a context. Out: [`Sighting`], which merges in any
//! order and may be repeated.
//! Does not know: how sightings travel.

use super::context::Context;
use super::time::Time;
use super::token::{Provenance, Token, Verdict};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A session was used in a context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Event time of the use.
    pub time: Time,
    /// The token, without its signature: ids and claims as decoded.
    pub token: Token,
    /// Where the use came from and what made it.
    pub context: Arc<Context>,
    /// Keyed hash of the context as logged.
    pub context_key: u64,
    /// What checking the signature said.
    pub verdict: Verdict,
    /// Why the use may be believed.
    pub provenance: Provenance,
    /// Uses of the session in this context so far.
    pub uses: u32,
}
