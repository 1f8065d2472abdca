//! What the engine found and what was planned about it goes in, once.
//!
//! In: [`Batch`]. Out: [`Recorded`], what of it was new. Also: approval, undo, states, retention.
//! Does not know: when a batch ends, or what is done with what was new.

use super::audit::{self, Entry};
use super::{Store, StoreError};
use crate::domain::action::{Action, Alert, Delivery, GATEWAY, Standing, Step};
use crate::domain::finding::Finding;
use crate::domain::ids::{ActionId, FindingId, IncidentId};
use crate::domain::incident::{Incident, State, Target};
use crate::domain::mask::mask;
use crate::domain::time::Time;
use hashbrown::HashMap;
use rusqlite::Transaction;

/// What belongs together: it is recorded whole or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Findings, new or seen before.
    pub findings: &'a [Finding],
    /// Incidents as they stand now.
    pub incidents: &'a [Incident],
    /// Planned actions and alerts.
    pub deliveries: &'a [Delivery],
}

/// What of a batch was not known before. A replay of the same batch gives nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Findings.
    pub findings: Vec<FindingId>,
    /// Incidents.
    pub incidents: Vec<IncidentId>,
    /// Deliveries that were new, or that may go ahead now and might not before.
    pub deliveries: Vec<ActionId>,
}

/// What taking an incident's actions back gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What no incident denies any more: to be taken off the denylist in memory, too.
    pub targets: Vec<Target>,
    /// How many calls that were not made yet will not be made.
    pub cancelled: usize,
    /// How many calls were made that are now taken back, each by a call of its own.
    pub reversed: usize,
}

impl Store {
    /// Records a batch in one transaction.
    ///
    /// # Errors
    /// Those of the database; nothing of the batch is recorded then.
    pub fn record(&self, batch: Batch<'_>, now: Time) -> Result<Recorded, StoreError> {
        self.write(|tx| {
            let mut recorded = Recorded::default();
            for incident in batch.incidents {
                if put_incident(tx, incident, now)? {
                    recorded.incidents.push(incident.id);
                }
            }
            let incident_of = incidents_of(batch.incidents);
            for finding in batch.findings {
                if put_finding(tx, finding, incident_of.get(&finding.id), now)? {
                    recorded.findings.push(finding.id);
                }
            }
            for delivery in batch.deliveries {
                if put_delivery(tx, delivery, now)? {
                    recorded.deliveries.push(delivery.id());
                }
            }
            Ok(recorded)
        })
    }

    /// Lets an incident's waiting actions go ahead, on a person's word, and gives them: the denials among them are
    /// to be applied in memory, too.
    ///
    /// # Errors
    /// Those of the database.
    pub fn approve(
        &self,
        incident: IncidentId,
        by: &str,
        now: Time,
    ) -> Result<Vec<Action>, StoreError> {
        self.decide(|tx| {
            let mut released = Vec::new();
            for payload in release(tx, incident, by, now)? {
                let mut delivery = serde_json::from_str(&payload)?;
                audit::append_approval(tx, now, &delivery, by)?;
                if let Delivery::Action(action) = &mut delivery {
                    action.standing = Standing::Go;
                    put_denial(tx, action)?;
                    released.push(action.clone());
                }
            }
            Ok(released)
        })
    }

    /// Takes back what can be taken back of an incident: denials, and calls that were not made yet.
    ///
    /// # Errors
    /// Those of the database.
    pub fn undo(&self, incident: IncidentId, by: &str, now: Time) -> Result<Undone, StoreError> {
        self.decide(|tx| {
            let cancelled = tx.execute(
                "UPDATE outbox SET state = 'cancelled', by = ?2, at_ms = ?3
                 WHERE incident = ?1 AND kind = 'action' AND payload ->> '$.step' <> 'undo'
                   AND (state IN ('pending', 'waiting') OR rank = 0)",
                (incident.to_string(), by, now.as_ms()),
            )?;
            // Another incident may deny the same thing: it stays denied then.
            let targets = tx
                .prepare(
                    "DELETE FROM denylist WHERE incident = ?1 RETURNING target, target IN
                       (SELECT target FROM denylist AS other WHERE other.incident <> ?1)",
                )?
                .query_map([incident.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(String, bool)>, _>>()?;
            let targets = targets.iter().filter(|(_, elsewhere)| !elsewhere);
            let targets = targets.map(|(json, _)| serde_json::from_str(json));
            let targets = targets.collect::<Result<_, _>>()?;
            tx.execute(
                "UPDATE incidents SET state = 'acknowledged' WHERE id = ?1 AND state = 'contained'",
                [incident.to_string()],
            )?;
            audit::append(tx, now, &Entry::of("undone").incident(incident).by(by))?;
            let reversed = reverse(tx, incident, now)?;
            Ok(Undone {
                targets,
                cancelled,
                reversed,
            })
        })
    }

    /// Sets where an incident stands, on a person's word, and tells of it; false when there is no such incident.
    ///
    /// # Errors
    /// Those of the database.
    pub fn set_state(
        &self,
        incident: IncidentId,
        state: State,
        alerts: Vec<Alert>,
        by: &str,
        now: Time,
    ) -> Result<bool, StoreError> {
        self.decide(|tx| {
            let known = tx.execute(
                "UPDATE incidents SET state = ?2 WHERE id = ?1",
                (incident.to_string(), state.name()),
            )? > 0;
            if known {
                audit::append(tx, now, &Entry::of(state.name()).incident(incident).by(by))?;
                for alert in alerts {
                    put_delivery(tx, &Delivery::Alert(alert), now)?;
                }
            }
            Ok(known)
        })
    }

    /// Forgets incidents, findings and deliveries older than `before` (event time), denials that ended before `now`,
    /// and the texts of the audit rows of that age; the chain stays. Gives the number of incidents.
    ///
    /// # Errors
    /// Those of the database.
    pub fn prune(&self, before: Time, now: Time) -> Result<usize, StoreError> {
        self.write(|tx| {
            let before_ms = [before.as_ms()];
            tx.execute(
                "DELETE FROM outbox WHERE at_ms < ?1 AND state NOT IN ('pending', 'leased')",
                before_ms,
            )?;
            tx.execute("DELETE FROM findings WHERE stored_ms < ?1", before_ms)?;
            tx.execute("DELETE FROM denylist WHERE until_ms <= ?1", [now.as_ms()])?;
            tx.execute("DELETE FROM sets WHERE at_ms < ?1", before_ms)?;
            tx.execute(
                "UPDATE audit SET text = NULL, salt = NULL WHERE at_ms < ?1",
                before_ms,
            )?;
            Ok(tx.execute("DELETE FROM incidents WHERE stored_ms < ?1", before_ms)?)
        })
    }
}

/// Plans the undoing of every call that was made and can be taken back, once each. Gives how many.
fn reverse(tx: &Transaction<'_>, incident: IncidentId, now: Time) -> Result<usize, StoreError> {
    let made = tx
        .prepare(
            "SELECT payload FROM outbox WHERE incident = ?1 AND kind = 'action' AND attempts > 0
               AND payload ->> '$.undoable' = 1",
        )?
        .query_map([incident.to_string()], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let mut reversed = 0;
    for payload in made {
        if let Delivery::Action(action) = serde_json::from_str(&payload)? {
            let undoing = Delivery::Action(action.followed_by(Step::Undo));
            reversed += usize::from(put_delivery(tx, &undoing, now)?);
        }
    }
    Ok(reversed)
}

fn incidents_of(incidents: &[Incident]) -> HashMap<FindingId, IncidentId> {
    let each = |incident: &Incident| {
        let id = incident.id;
        incident.findings.clone().into_iter().map(move |f| (f, id))
    };
    incidents.iter().flat_map(each).collect()
}

/// True when the incident is new. An older version of it, which a replay brings, changes nothing.
fn put_incident(tx: &Transaction<'_>, incident: &Incident, now: Time) -> Result<bool, StoreError> {
    let id = incident.id.to_string();
    let json = serde_json::to_string(incident)?;
    let known: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM incidents WHERE id = ?1)")?
        .query_row([&id], |row| row.get(0))?;
    tx.prepare_cached(
        "INSERT INTO incidents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE
         SET level = ?2, subject = ?3, updated_ms = ?6, stored_ms = ?7, json = ?8
         WHERE ?6 >= updated_ms",
    )?
    .execute((
        &id,
        incident.level as i64,
        incident.subject.as_deref().map(mask),
        incident.state.name(),
        incident.opened.as_ms(),
        incident.updated.as_ms(),
        now.as_ms(),
        mask(&json),
    ))?;
    Ok(!known)
}

fn put_finding(
    tx: &Transaction<'_>,
    finding: &Finding,
    incident: Option<&IncidentId>,
    now: Time,
) -> Result<bool, StoreError> {
    let json = serde_json::to_string(finding)?;
    let inserted = tx
        .prepare_cached("INSERT OR IGNORE INTO findings VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((
            finding.id.to_string(),
            incident.map(ToString::to_string),
            finding.time.as_ms(),
            now.as_ms(),
            mask(&json),
        ))?;
    Ok(inserted > 0)
}

/// True when the delivery is new, or was held and may go ahead now. A later plan may release, never hold back.
pub(super) fn put_delivery(
    tx: &Transaction<'_>,
    delivery: &Delivery,
    now: Time,
) -> Result<bool, StoreError> {
    let (kind, rank, idempotent, state) = match delivery {
        Delivery::Action(action) => (
            "action",
            i64::from(&*action.provider != GATEWAY),
            action.idempotent,
            match action.standing {
                Standing::Go => "pending",
                Standing::Wait => "waiting",
                Standing::DryRun => "dry_run",
            },
        ),
        // The receiver of an alert knows it again by its id.
        Delivery::Alert(_) => ("alert", 2, true, "pending"),
    };
    let changed = tx
        .prepare_cached(
            "INSERT INTO outbox (id, incident, kind, rank, idempotent, state, next_ms, at_ms, by, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 'policy', ?8)
             ON CONFLICT DO UPDATE SET state = ?6, next_ms = ?7, at_ms = ?7, payload = ?8
             WHERE state IN ('waiting', 'dry_run') AND ?6 = 'pending'",
        )?
        .execute((
            delivery.id().to_string(),
            delivery.incident().to_string(),
            kind,
            rank,
            idempotent,
            state,
            now.as_ms(),
            serde_json::to_string(delivery)?,
        ))?;
    if let (Delivery::Action(action), 1..) = (delivery, changed) {
        put_denial(tx, action)?;
        let what = match action.standing {
            Standing::Go => "planned",
            Standing::Wait => "held",
            Standing::DryRun => "dry_run",
        };
        audit::append_delivery(tx, now, delivery, what, None)?;
    }
    Ok(changed > 0)
}

/// Turns the incident's waiting rows to pending and gives their payloads, denials first.
fn release(
    tx: &Transaction<'_>,
    incident: IncidentId,
    by: &str,
    now: Time,
) -> rusqlite::Result<Vec<String>> {
    let incident = incident.to_string();
    let payloads = tx
        .prepare("SELECT payload FROM outbox WHERE incident = ?1 AND state = 'waiting' ORDER BY rank, id")?
        .query_map([&incident], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tx.execute(
        "UPDATE outbox SET state = 'pending', by = ?2, next_ms = ?3, at_ms = ?3
         WHERE incident = ?1 AND state = 'waiting'",
        (&incident, by, now.as_ms()),
    )?;
    Ok(payloads)
}

/// A denial that goes ahead is kept over a restart, and contains its incident.
fn put_denial(tx: &Transaction<'_>, action: &Action) -> Result<(), StoreError> {
    let (Standing::Go, Some(until)) = (action.standing, action.denied_until) else {
        return Ok(());
    };
    let incident = action.incident.to_string();
    tx.prepare_cached(
        "INSERT INTO denylist VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET until_ms = max(until_ms, ?3)",
    )?
    .execute((
        serde_json::to_string(&action.target)?,
        &incident,
        until.as_ms(),
    ))?;
    tx.prepare_cached(
        "UPDATE incidents SET state = 'contained' WHERE id = ?1 AND state IN ('open', 'acknowledged')",
    )?
    .execute([&incident])?;
    Ok(())
}
