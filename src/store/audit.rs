//! The audit: one row before and one after everything that is done, chained so that a change shows.
//!
//! In: what is about to be done or was done, by whom. Out: rows that only grow, and [`AuditReport`] on whether they
//! hold.
//! Does not know: who may read it. A cut-off end does not show in the chain alone: compare [`AuditReport::head`] with
//! one kept elsewhere.
//! Source: Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics", 1999 (the chain; no keys here).

use super::{Store, StoreError};
use crate::domain::action::Delivery;
use crate::domain::ids::IncidentId;
use crate::domain::mask::mask;
use crate::domain::time::Time;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::Serialize;

/// One row's text.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Entry<'a> {
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<IncidentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    by: &'a str,
}

impl<'a> Entry<'a> {
    /// An entry that says what happens, on the policy's word.
    pub(super) fn of(what: &'a str) -> Self {
        Self {
            what,
            incident: None,
            row: None,
            target: None,
            why: None,
            by: "policy",
        }
    }

    pub(super) fn incident(self, incident: IncidentId) -> Self {
        Self {
            incident: Some(incident),
            ..self
        }
    }

    pub(super) fn row(self, row: &'a str) -> Self {
        Self {
            row: Some(row),
            ..self
        }
    }

    pub(super) fn why(self, why: Option<&'a str>) -> Self {
        Self { why, ..self }
    }

    pub(super) fn by(self, by: &'a str) -> Self {
        Self { by, ..self }
    }
}

/// Adds a row to the chain.
pub(super) fn append(tx: &Transaction<'_>, now: Time, entry: &Entry<'_>) -> Result<(), StoreError> {
    let text = serde_json::to_string(entry)?;
    let text = mask(&text);
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let (seq, before) = head(tx)?.unwrap_or((0, [0; 32]));
    let digest = digest_of(&salt, &text);
    let hash = hash_of(&before, seq + 1, now.as_ms(), &digest);
    tx.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute((seq + 1, now.as_ms(), &text, salt, digest, hash))?;
    Ok(())
}

/// Adds a row about a delivery.
pub(super) fn append_delivery(
    tx: &Transaction<'_>,
    now: Time,
    delivery: &Delivery,
    what: &str,
    why: Option<&str>,
) -> Result<(), StoreError> {
    append(tx, now, &Line::of(delivery).entry(what).why(why))
}

/// Adds a row about an action that a person released.
pub(super) fn append_approval(
    tx: &Transaction<'_>,
    now: Time,
    delivery: &Delivery,
    by: &str,
) -> Result<(), StoreError> {
    append(tx, now, &Line::of(delivery).entry("approved").by(by))
}

/// How the audit names a delivery.
struct Line {
    incident: IncidentId,
    row: String,
    target: Option<String>,
}

impl Line {
    fn of(delivery: &Delivery) -> Self {
        Self {
            incident: delivery.incident(),
            row: format!("{} {}", delivery.receiver(), delivery.id()),
            target: match delivery {
                Delivery::Action(action) => {
                    Some(format!("{}: {}", action.step.name(), action.target))
                }
                Delivery::Alert(_) => None,
            },
        }
    }

    fn entry<'a>(&'a self, what: &'a str) -> Entry<'a> {
        Entry {
            incident: Some(self.incident),
            row: Some(&self.row),
            target: self.target.as_deref(),
            ..Entry::of(what)
        }
    }
}

/// Number and hash of the last row.
fn head(connection: &Connection) -> rusqlite::Result<Option<(i64, [u8; 32])>> {
    connection
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn digest_of(salt: &[u8], text: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("tokentrip audit text v1");
    hasher.update(&(salt.len() as u64).to_le_bytes());
    hasher.update(salt);
    hasher.update(text.as_bytes());
    hasher.finalize().into()
}

fn hash_of(before: &[u8; 32], seq: i64, at_ms: i64, digest: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("tokentrip audit chain v1");
    hasher.update(before);
    hasher.update(&seq.to_le_bytes());
    hasher.update(&at_ms.to_le_bytes());
    hasher.update(digest);
    hasher.finalize().into()
}

/// Whether the audit chain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// How many rows there are.
    pub rows: u64,
    /// How many of them lost their text to retention or to a person's wish.
    pub erased: u64,
    /// Number of the first row that was changed, removed or put in between; `None` when the chain holds.
    pub broken_at: Option<i64>,
    /// Hash of the last row that holds, in hexadecimal.
    pub head: String,
}

impl Store {
    /// Walks the audit chain from its beginning.
    ///
    /// # Errors
    /// Those of the database.
    pub fn audit_verify(&self) -> Result<AuditReport, StoreError> {
        let reader = self.reader();
        let mut statement = reader
            .prepare("SELECT seq, at_ms, text, salt, digest, hash FROM audit ORDER BY seq")?;
        let mut rows = statement.query([])?;
        let mut before = [0; 32];
        let mut report = AuditReport {
            rows: 0,
            erased: 0,
            broken_at: None,
            head: String::new(),
        };
        while let Some(row) = rows.next()? {
            let (seq, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            let text: Option<String> = row.get(2)?;
            let salt: Option<Vec<u8>> = row.get(3)?;
            let digest: Vec<u8> = row.get(4)?;
            let hash = hash_of(&before, report.rows as i64 + 1, at_ms, &digest);
            let text_holds = match (&text, &salt) {
                (Some(text), Some(salt)) => digest == digest_of(salt, text),
                (None, None) => true,
                _ => false,
            };
            if !text_holds || row.get::<_, Vec<u8>>(5)? != hash {
                report.broken_at = Some(seq);
                break;
            }
            before = hash;
            report.rows += 1;
            report.erased += u64::from(text.is_none());
        }
        report.head = blake3::Hash::from(before).to_hex().to_string();
        Ok(report)
    }

    /// The newest rows of the audit, as JSON texts with their times, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub fn audit_tail(&self, limit: usize) -> Result<Vec<(Time, String)>, StoreError> {
        let reader = self.reader();
        let mut statement = reader
            .prepare("SELECT at_ms, coalesce(text, '{}') FROM audit ORDER BY seq DESC LIMIT ?1")?;
        let rows = statement.query_map([limit as i64], |row| {
            Ok((Time::default().plus_ms(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
