//! Which finding belongs to which case.
//!
//! In: [`Report`], [`TokenUse`], [`Time`]. Out: [`Incident`]s.
//! Does not know: how a case scores or what its steps say.

use super::Report;
use crate::domain::context::Prefix;
use crate::domain::ids::IncidentId;
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::domain::usage::TokenUse;
use serde::{Deserialize, Serialize};

/// Every case that goes on or was shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Incidents {
    evictions: Evictions,
}

/// What was dropped because a bound was reached, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evictions {
    /// Cases that never scored enough to be shown.
    pub quiet: u64,
    /// Incidents that were shown.
    pub shown: u64,
}

impl Incidents {
    /// Puts a finding into its case. Gives the incident's id when the case is, or has just become, one.
    ///
    /// The use itself is counted by [`Self::note`], once, after all its findings were recorded.
    pub fn record(&mut self, _report: &Report<'_>) -> Option<IncidentId> {
        None
    }

    /// True when a case is open about senders in this prefix: then every use from there goes to [`Self::note`].
    /// One look into a small table.
    pub fn suspects(&self, _prefix: Prefix) -> bool {
        false
    }

    /// Counts a use from a watched prefix, for the case it belongs to. Uses of nobody's interest change nothing.
    pub fn note(&mut self, _usage: &TokenUse<'_>) {}

    /// Closes cases that were silent for an hour of event time.
    pub fn tick(&mut self, _now: Time) {}

    /// The incidents whose shown form changed since this was asked last, in order of opening, then id.
    pub fn changed(&mut self) -> Vec<Incident> {
        Vec::new()
    }

    /// Every incident, in order of opening, then id.
    pub fn finish(&self) -> Vec<Incident> {
        Vec::new()
    }

    /// What was dropped so far.
    pub fn evictions(&self) -> Evictions {
        self.evictions
    }
}
