//! What the database did not take yet.
//!
//! In: findings, incidents and deliveries. Out: the same, in the store, in one transaction, once it takes them.
//! Does not know: what they mean. A full disk keeps nothing from being found: what was found waits here, bounded.

use super::wall;
use crate::domain::action::Delivery;
use crate::domain::finding::Finding;
use crate::domain::ids::IncidentId;
use crate::domain::incident::Incident;
use crate::store::{Batch, Recorded, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How much waits: at a few kilobytes an incident some fifty megabytes, and more than any hour of thefts. Then the logs
/// wait, which are there to be read later.
const WAITING_MAX: usize = 10_000;

/// Between tries.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What waits for the database, usually for no longer than it takes to write it.
#[derive(Default)]
pub(super) struct Unstored {
    findings: Vec<Finding>,
    /// As they stand now.
    incidents: BTreeMap<IncidentId, Incident>,
    deliveries: Vec<Delivery>,
    /// Incidents that were said to wait.
    said: BTreeSet<IncidentId>,
    retry_at: Option<Instant>,
}

/// What a try gave.
pub(super) struct Stored {
    /// What of it was new.
    pub(super) recorded: Recorded,
    /// All of it.
    pub(super) findings: Vec<Finding>,
    /// All of it.
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
}

impl Unstored {
    pub(super) fn add(
        &mut self,
        findings: Vec<Finding>,
        incidents: Vec<Incident>,
        deliveries: Vec<Delivery>,
    ) {
        self.findings.extend(findings);
        self.deliveries.extend(deliveries);
        let newest = incidents
            .into_iter()
            .map(|incident| (incident.id, incident));
        self.incidents.extend(newest);
    }

    pub(super) fn len(&self) -> usize {
        self.findings.len() + self.incidents.len() + self.deliveries.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= WAITING_MAX
    }

    /// True when the next try is due.
    pub(super) fn is_due(&self) -> bool {
        self.len() > 0 && self.retry_at.is_none_or(|at| at <= Instant::now())
    }

    /// Incidents that wait and were not said yet.
    pub(super) fn not_said(&mut self) -> Vec<&Incident> {
        let said = &mut self.said;
        let incidents = self.incidents.values();
        incidents
            .filter(|incident| said.insert(incident.id))
            .collect()
    }

    /// Tries to store everything.
    pub(super) fn store(&mut self, store: &Store) -> Result<Stored, StoreError> {
        let incidents: Vec<Incident> = self.incidents.values().cloned().collect();
        let batch = Batch {
            findings: &self.findings,
            incidents: &incidents,
            deliveries: &self.deliveries,
        };
        match store.record(batch, wall()) {
            Ok(recorded) => {
                let stored = std::mem::take(self);
                Ok(Stored {
                    recorded,
                    findings: stored.findings,
                    incidents: stored.incidents,
                })
            }
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY_PAUSE);
                Err(error)
            }
        }
    }
}
