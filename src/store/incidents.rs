//! Incidents as they are shown: as the engine made them, with what people and the outbox know since.
//!
//! In: [`Query`]. Out: [`Page`]s of [`Incident`]s, newest first.
//! Does not know: HTTP, who may see what.

use super::{Store, StoreError};
use crate::domain::action::Delivery;
use crate::domain::finding::{Finding, Level};
use crate::domain::ids::IncidentId;
use crate::domain::incident::{ActionShown, Incident, State};
use crate::domain::time::Time;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;

/// Incidents on one page at most, about a megabyte.
const PAGE_MAX: usize = 500;

/// Which incidents are asked for. Empty fields ask for all.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// At least this level.
    pub level: Option<Level>,
    /// Of exactly this subject.
    pub subject: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Updated (event time) at this moment or later.
    pub since: Option<Time>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// At most this many; 0 and more than 500 are 500.
    pub limit: usize,
}

/// Some incidents, newest first, and where the next page begins.
#[derive(Clone, Debug)]
pub struct Page {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// The cursor of the next page; `None` on the last.
    pub next: Option<String>,
}

impl Store {
    /// A page of incidents.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not ours, else those of the database.
    pub fn incidents(&self, query: &Query) -> Result<Page, StoreError> {
        let limit = match query.limit {
            0 => PAGE_MAX,
            limit => limit.min(PAGE_MAX),
        };
        let (before_ms, before_id) = match &query.cursor {
            Some(cursor) => read_cursor(cursor).ok_or(StoreError::Cursor)?,
            None => (i64::MAX, String::new()),
        };
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT json, state FROM incidents
             WHERE (opened_ms, id) < (?1, ?2)
               AND level >= ?3 AND (?4 IS NULL OR subject = ?4)
               AND (?5 IS NULL OR state = ?5) AND updated_ms >= ?6
             ORDER BY opened_ms DESC, id DESC LIMIT ?7",
        )?;
        let rows = statement.query_map(
            (
                before_ms,
                before_id,
                query.level.unwrap_or_default() as i64,
                &query.subject,
                query.state.map(State::name),
                query.since.map_or(i64::MIN, Time::as_ms),
                limit as i64 + 1,
            ),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
        let more = rows.len() > limit;
        let shown = rows.iter().take(limit);
        let incidents = shown.map(|(json, state)| read_incident(&reader, json, state));
        let incidents = incidents.collect::<Result<Vec<_>, _>>()?;
        let last = incidents.last().filter(|_| more);
        let next = last.map(|last| format!("{}.{}", last.opened.as_ms(), last.id));
        Ok(Page { incidents, next })
    }

    /// One incident.
    ///
    /// # Errors
    /// Those of the database.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        let reader = self.reader();
        let row = reader
            .prepare_cached("SELECT json, state FROM incidents WHERE id = ?1")?
            .query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let read = |(json, state): (String, String)| read_incident(&reader, &json, &state);
        row.map(read).transpose()
    }

    /// The findings of an incident, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub fn findings(&self, incident: IncidentId) -> Result<Vec<Finding>, StoreError> {
        let reader = self.reader();
        let mut statement = reader
            .prepare_cached("SELECT json FROM findings WHERE incident = ?1 ORDER BY time_ms, id")?;
        let rows = statement.query_map([incident.to_string()], |row| row.get::<_, String>(0))?;
        rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
    }

    /// Who was, or is to be, told about an incident, and how far that came.
    ///
    /// # Errors
    /// Those of the database.
    pub fn messages(&self, incident: IncidentId) -> Result<Vec<(String, String)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT json_extract(payload, '$.sink'), state FROM outbox
             WHERE incident = ?1 AND kind = 'alert' ORDER BY id",
        )?;
        let rows =
            statement.query_map([incident.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The level at which an incident was stored, when somebody was told of it then.
    ///
    /// # Errors
    /// Those of the database.
    pub fn told(&self, incident: IncidentId) -> Result<Option<Level>, StoreError> {
        let reader = self.reader();
        let level: Option<i64> = reader
            .prepare_cached(
                "SELECT level FROM incidents WHERE id = ?1 AND EXISTS
                   (SELECT 1 FROM outbox WHERE incident = ?1 AND kind = 'alert')",
            )?
            .query_row([incident.to_string()], |row| row.get(0))
            .optional()?;
        Ok(level.and_then(|level| Level::ALL.get(level as usize).copied()))
    }

    /// How many incidents of each level are open, acknowledged or contained.
    ///
    /// # Errors
    /// Those of the database.
    pub fn incidents_open(&self) -> Result<BTreeMap<Level, u64>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT level, count(*) FROM incidents
             WHERE state IN ('open', 'acknowledged', 'contained') GROUP BY level",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        let mut open: BTreeMap<_, _> = Level::ALL.map(|level| (level, 0)).into();
        for row in rows {
            let (level, count): (i64, i64) = row?;
            if let Some(open) = Level::ALL.get(level as usize).and_then(|l| open.get_mut(l)) {
                *open = count as u64;
            }
        }
        Ok(open)
    }
}

fn read_cursor(cursor: &str) -> Option<(i64, String)> {
    let (ms, id) = cursor.split_once('.')?;
    let id: IncidentId = id.parse().ok()?;
    Some((ms.parse().ok()?, id.to_string()))
}

fn read_incident(reader: &Connection, json: &str, state: &str) -> Result<Incident, StoreError> {
    let mut incident: Incident = serde_json::from_str(json)?;
    incident.state = serde_json::from_value(state.into())?;
    incident.actions = actions_of(reader, incident.id)?;
    Ok(incident)
}

/// What the outbox knows about an incident's actions, in the order they are carried out.
fn actions_of(reader: &Connection, incident: IncidentId) -> Result<Vec<ActionShown>, StoreError> {
    let mut statement = reader.prepare_cached(
        "SELECT payload, state, coalesce(outcome, state), at_ms, by FROM outbox
         WHERE incident = ?1 AND kind = 'action' ORDER BY rank, id",
    )?;
    let mut rows = statement.query([incident.to_string()])?;
    let mut actions = Vec::new();
    while let Some(row) = rows.next()? {
        let payload: String = row.get(0)?;
        let Delivery::Action(action) = serde_json::from_str(&payload)? else {
            continue;
        };
        let state: String = row.get(1)?;
        let outcome = match &*state {
            "done" => row.get(2)?,
            "leased" => "pending".to_owned(),
            _ => state,
        };
        actions.push(ActionShown {
            step: action.step.name().to_owned(),
            target: action.target.to_string(),
            provider: action.provider.to_string(),
            outcome,
            at: Time::default().plus_ms(row.get(3)?).to_string(),
            by: row.get(4)?,
        });
    }
    Ok(actions)
}
