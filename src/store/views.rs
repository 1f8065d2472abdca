//! What the console shows beside incidents: the denylist and the outbox as they stand.
//!
//! In: a moment. Out: rows for people. Does not know: HTTP, who may see what.

use super::{Store, StoreError};
use crate::domain::action::Delivery;
use crate::domain::finding::rfc3339;
use crate::domain::incident::Target;
use crate::domain::time::Time;
use serde::Serialize;

/// Rows of one list at most: more nobody reads, and the counts say the rest.
const ROWS_MAX: i64 = 500;

/// One thing that is denied.
#[derive(Clone, Debug, Serialize)]
pub struct Denied {
    /// What.
    pub target: Target,
    /// For which incident.
    pub incident: String,
    /// Until when.
    #[serde(with = "rfc3339")]
    pub until: Time,
}

/// One row of the outbox that is not done.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// For which incident.
    pub incident: String,
    /// `action` or `alert`.
    pub kind: String,
    /// Which step, of an action.
    pub step: Option<&'static str>,
    /// On what, of an action.
    pub target: Option<String>,
    /// Which provider or sink.
    pub receiver: String,
    /// `pending`, `leased`, `waiting` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt did not do it.
    pub why: Option<String>,
    /// When that was, by the wall clock.
    #[serde(with = "rfc3339")]
    pub at: Time,
}

impl Store {
    /// What is denied at `now`, what ends last first, and how much there is in all.
    ///
    /// # Errors
    /// Those of the database.
    pub fn denied(&self, now: Time) -> Result<(Vec<Denied>, u64), StoreError> {
        let reader = self.reader();
        let count: i64 = reader.query_row(
            "SELECT count(*) FROM denylist WHERE until_ms > ?1",
            [now.as_ms()],
            |row| row.get(0),
        )?;
        let mut statement = reader.prepare_cached(
            "SELECT target, incident, until_ms FROM denylist WHERE until_ms > ?1
             ORDER BY until_ms DESC, target LIMIT ?2",
        )?;
        let mut rows = statement.query((now.as_ms(), ROWS_MAX))?;
        let mut denied = Vec::new();
        while let Some(row) = rows.next()? {
            let target: String = row.get(0)?;
            denied.push(Denied {
                target: serde_json::from_str(&target)?,
                incident: row.get(1)?,
                until: Time::default().plus_ms(row.get(2)?),
            });
        }
        Ok((denied, count as u64))
    }

    /// What of the outbox is not done: dead letters first, then what waits for a person, then what is under way.
    ///
    /// # Errors
    /// Those of the database.
    pub fn undelivered(&self) -> Result<Vec<Waiting>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT id, incident, kind, state, attempts, why, at_ms, payload FROM outbox
             WHERE state IN ('pending', 'leased', 'waiting', 'dead')
             ORDER BY state <> 'dead', state <> 'waiting', at_ms DESC, id LIMIT ?1",
        )?;
        let mut rows = statement.query([ROWS_MAX])?;
        let mut waiting = Vec::new();
        while let Some(row) = rows.next()? {
            let payload: String = row.get(7)?;
            let delivery: Delivery = serde_json::from_str(&payload)?;
            let action = match &delivery {
                Delivery::Action(action) => Some(action),
                Delivery::Alert(_) => None,
            };
            waiting.push(Waiting {
                id: row.get(0)?,
                incident: row.get(1)?,
                kind: row.get(2)?,
                step: action.map(|action| action.step.name()),
                target: action.map(|action| action.target.to_string()),
                receiver: delivery.receiver().to_string(),
                state: row.get(3)?,
                attempts: row.get(4)?,
                why: row.get(5)?,
                at: Time::default().plus_ms(row.get(6)?),
            });
        }
        Ok(waiting)
    }

    /// A number that changes whenever the database does, by whomever.
    ///
    /// # Errors
    /// Those of the database.
    pub fn version(&self) -> Result<i64, StoreError> {
        let reader = self.reader();
        Ok(reader.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }
}
