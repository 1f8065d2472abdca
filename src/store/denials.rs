//! What is denied, over a restart.
//!
//! In: a thing that another daemon took back. Out: what is denied, to load the denylist with.
//! Does not know: how a denial came about (see `record.rs`), or who asks for it.

use super::audit::{self, Entry};
use super::{Store, StoreError};
use crate::domain::ids::IncidentId;
use crate::domain::incident::Target;
use crate::domain::time::Time;

impl Store {
    /// What is denied at `now`, with the end of each denial: to load the denylist at start.
    ///
    /// # Errors
    /// Those of the database.
    pub fn denylist(&self, now: Time) -> Result<Vec<(Target, Time)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare(
            "SELECT target, max(until_ms) FROM denylist WHERE until_ms > ?1 GROUP BY target",
        )?;
        let rows = statement.query_map([now.as_ms()], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })?;
        rows.map(|row| {
            let (json, until_ms) = row?;
            Ok((
                serde_json::from_str(&json)?,
                Time::default().plus_ms(until_ms),
            ))
        })
        .collect()
    }

    /// Takes the denials of one thing back, for whichever incident they were; true when there was one.
    ///
    /// # Errors
    /// Those of the database.
    pub fn take_back(&self, target: &Target, by: &str, now: Time) -> Result<bool, StoreError> {
        self.decide(|tx| {
            let rows: Vec<(String, String)> = tx
                .prepare("SELECT target, incident FROM denylist")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut taken = false;
            for (json, incident) in rows {
                let denied: Target = serde_json::from_str(&json)?;
                if !is_same(&denied, target) {
                    continue;
                }
                taken = true;
                tx.execute(
                    "DELETE FROM denylist WHERE target = ?1 AND incident = ?2",
                    (&json, &incident),
                )?;
                let what = target.to_string();
                let entry = Entry::of("taken_back").row(&what).by(by);
                let incident: Option<IncidentId> = incident.parse().ok();
                audit::append(tx, now, &incident.map_or(entry, |id| entry.incident(id)))?;
            }
            Ok(taken)
        })
    }
}

/// True when both are the same thing, whatever their times.
fn is_same(one: &Target, other: &Target) -> bool {
    one.kind() == other.kind() && one.issuer() == other.issuer() && one.name() == other.name()
}
