//! A person is forgotten.
//!
//! In: a subject. Out: [`Forgotten`]: how much was erased, and what has to stay for now.
//! Does not know: logs, and the engine's memory, which ends with its own bounds.
//! Source: GDPR, article 17; the chain of the audit holds over digests, so its texts can go.

use super::audit::{self, Entry};
use super::{Store, StoreError};
use crate::domain::incident::Target;
use crate::domain::mask::mask;
use crate::domain::time::Time;
use data_encoding::BASE64URL_NOPAD;
use rusqlite::Transaction;
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands where a name stood.
const NOBODY: &str = "[forgotten]";

/// What forgetting a person gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Incidents about them that are gone.
    pub incidents: usize,
    /// Findings that are gone.
    pub findings: usize,
    /// Incidents of others in which their name was replaced.
    pub mentions: usize,
    /// Security event tokens about them that no receiver had polled yet, and now none will.
    pub events: usize,
    /// Rows of the audit that lost their text.
    pub audit: usize,
    /// Denials that name them and go on: without them a stolen token would be let in again. They end by themselves.
    pub denials: usize,
}

impl Store {
    /// Erases a subject, of whichever issuer: incidents, findings, what waits, and the texts of the audit that name
    /// them.
    ///
    /// # Errors
    /// Those of the database; nothing is erased then.
    pub fn forget(&self, subject: &str, by: &str, now: Time) -> Result<Forgotten, StoreError> {
        let forgotten = self.decide(|tx| {
            let subject = mask(subject);
            let ids: Vec<String> = tx
                .prepare("SELECT id FROM incidents WHERE subject = ?1")?
                .query_map([&subject], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut forgotten = Forgotten {
                incidents: ids.len(),
                ..Forgotten::default()
            };
            for id in &ids {
                forgotten.findings +=
                    tx.execute("DELETE FROM findings WHERE incident = ?1", [id])?;
                tx.execute("DELETE FROM outbox WHERE incident = ?1", [id])?;
                tx.execute("DELETE FROM incidents WHERE id = ?1", [id])?;
            }
            forgotten.findings += tx.execute(
                "DELETE FROM findings WHERE json_extract(json, '$.subject') = ?1",
                [&subject],
            )?;
            forgotten.mentions = forget_mentions(tx, &subject)?;
            forgotten.events = forget_events(tx, &subject)?;
            forgotten.audit = forget_audit(tx, &subject, &ids.into_iter().collect())?;
            forgotten.denials = denials(tx, &subject)?;
            audit::append(tx, now, &Entry::of("forgotten").by(by))?;
            Ok(forgotten)
        })?;
        // What was erased must not lie in the file any more.
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(forgotten)
    }
}

/// In incidents of others: a thief may have had tokens of many.
fn forget_mentions(tx: &Transaction<'_>, subject: &str) -> Result<usize, StoreError> {
    let rows: Vec<(String, String)> = tx
        .prepare("SELECT id, json FROM incidents WHERE instr(json, ?1) > 0")?
        .query_map([serde_json::to_string(subject)?], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for (id, json) in rows {
        let mut incident: Value = serde_json::from_str(&json)?;
        if replace(&mut incident, subject) {
            count += 1;
            tx.execute(
                "UPDATE incidents SET json = ?2 WHERE id = ?1",
                (&id, serde_json::to_string(&incident)?),
            )?;
        }
    }
    Ok(count)
}

/// What waits for receivers that poll: signed, so it can only go as a whole.
fn forget_events(tx: &Transaction<'_>, subject: &str) -> Result<usize, StoreError> {
    let rows: Vec<(String, String, String)> = tx
        .prepare("SELECT stream, jti, text FROM sets")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for (stream, jti, text) in rows {
        let payload = text.split('.').nth(1).unwrap_or_default();
        let payload = BASE64URL_NOPAD
            .decode(payload.as_bytes())
            .unwrap_or_default();
        let mut claims = serde_json::from_slice(&payload).unwrap_or_default();
        if replace(&mut claims, subject) {
            count += tx.execute(
                "DELETE FROM sets WHERE stream = ?1 AND jti = ?2",
                (&stream, &jti),
            )?;
        }
    }
    Ok(count)
}

/// Replaces every text that is the subject; true when there was one.
fn replace(value: &mut Value, subject: &str) -> bool {
    match value {
        Value::String(text) if *text == subject => {
            NOBODY.clone_into(text);
            true
        }
        // All of them: none may be passed over once one was found.
        Value::Array(values) => {
            let replaced = values.iter_mut().map(|value| replace(value, subject));
            replaced.filter(|replaced| *replaced).count() > 0
        }
        Value::Object(fields) => {
            let replaced = fields.values_mut().map(|value| replace(value, subject));
            replaced.filter(|replaced| *replaced).count() > 0
        }
        _ => false,
    }
}

fn forget_audit(
    tx: &Transaction<'_>,
    subject: &str,
    incidents: &BTreeSet<String>,
) -> Result<usize, StoreError> {
    let rows: Vec<(i64, String)> = tx
        .prepare("SELECT seq, text FROM audit WHERE text IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let named = format!(" {subject}");
    let mut count = 0;
    for (seq, text) in rows {
        let entry: Value = serde_json::from_str(&text)?;
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let about = incidents.contains(text("incident"))
            || ["target", "row"]
                .iter()
                .any(|name| text(name).ends_with(&named));
        if about {
            count += 1;
            tx.execute(
                "UPDATE audit SET text = NULL, salt = NULL WHERE seq = ?1",
                [seq],
            )?;
        }
    }
    Ok(count)
}

fn denials(tx: &Transaction<'_>, subject: &str) -> Result<usize, StoreError> {
    let rows: Vec<String> = tx
        .prepare("SELECT target FROM denylist")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for json in rows {
        let target: Target = serde_json::from_str(&json)?;
        count += usize::from(matches!(&target, Target::Subject { sub, .. } if **sub == *subject));
    }
    Ok(count)
}
