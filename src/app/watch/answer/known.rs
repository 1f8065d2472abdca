//! What was planned and told about an incident, so that neither happens twice.
//!
//! In: an incident as it stands now. Out: the same, with what was not done and what a person can do about it.
//! Does not know: plans, the store.

use crate::domain::finding::Level;
use crate::domain::incident::{Incident, Refusal};

/// What was planned and told about one incident.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The level that was told; nothing was told yet without one.
    pub(super) told: Option<Level>,
    /// It was told as one of many.
    pub(super) of_many: bool,
    pub(super) actionable: bool,
    pub(super) targets: Vec<String>,
    pub(super) refusals: Vec<Refusal>,
    /// Something waits for a person's word.
    pub(super) waits: bool,
}

impl Known {
    /// Says in the incident what was not done, and what a person can do about it.
    pub(super) fn complete(&self, incident: &mut Incident) {
        incident.refused.extend(self.refusals.iter().cloned());
        if self.waits {
            let command = format!(" Then: `tokentrip incidents approve {}`.", incident.id);
            incident.next.push_str(&command);
        }
    }
}
