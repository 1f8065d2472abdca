//! The outbox: rows are leased, attempted and settled.
//!
//! In: [`Settled`], what became of a leased row. Out: [`Leased`] rows that are due, [`Depth`].
//! Does not know: how a row is delivered, how long to wait before the next attempt.
//! Source: transactional outbox, <https://microservices.io/patterns/data/transactional-outbox.html>.

use super::audit::{self, Entry};
use super::record::put_delivery;
use super::{Store, StoreError, paused};
use crate::domain::action::{Action, Delivery, Outcome, Step};
use crate::domain::ids::IncidentId;
use crate::domain::mask::mask;
use crate::domain::time::Time;
use rusqlite::Transaction;
use std::collections::BTreeSet;

/// A row that one worker may attempt until its lease ends.
#[derive(Clone, Debug)]
pub struct Leased {
    /// What to deliver.
    pub delivery: Delivery,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What becomes of a row after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is delivered.
    Done,
    /// Another attempt, not before this moment.
    Again(Time),
    /// A dead letter: given up until a person replays it.
    Dead,
}

/// How much waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Rows to be delivered.
    pub open: u64,
    /// Rows that wait for a person.
    pub waiting: u64,
    /// Rows that were given up.
    pub dead: u64,
    /// When the next row is due.
    pub next: Option<Time>,
}

impl Store {
    /// Leases up to `limit` rows that are due, denials first and alerts last; none but alerts while paused. A row
    /// whose lease ended is leased again when doing it twice is as good as once, and given up otherwise: nobody
    /// knows whether it was done. `may` is asked before each; a receiver that it refuses is passed over, and others
    /// take its turn.
    ///
    /// # Errors
    /// Those of the database.
    pub fn lease(
        &self,
        limit: usize,
        until: Time,
        now: Time,
        may: &mut dyn FnMut(&Delivery) -> bool,
    ) -> Result<Vec<Leased>, StoreError> {
        self.write(|tx| {
            give_up_unknown(tx, now)?;
            let mut leased = Vec::with_capacity(limit);
            let mut closed = BTreeSet::new();
            // Each round but the last closes a receiver.
            loop {
                let before = closed.len();
                for row in due(tx, limit - leased.len(), &closed, now)? {
                    leased.extend(lease_one(tx, row, &mut closed, (until, now), may)?);
                }
                if closed.len() == before || leased.len() == limit {
                    return Ok(leased);
                }
            }
        })
    }

    /// Writes down what came of an attempt, and what is to follow.
    ///
    /// # Errors
    /// Those of the database.
    pub fn settle(
        &self,
        delivery: &Delivery,
        outcome: &Outcome,
        settled: Settled,
        next: Option<Action>,
        now: Time,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            settle(tx, delivery, outcome, settled, now)?;
            if let Some(next) = next {
                put_delivery(tx, &Delivery::Action(next), now)?;
            }
            Ok(())
        })
    }

    /// Writes down what came of many attempts, at once.
    ///
    /// # Errors
    /// Those of the database; none of them is written down then.
    pub fn settle_all(
        &self,
        attempts: &[(Delivery, Outcome, Settled)],
        now: Time,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            for (delivery, outcome, settled) in attempts {
                settle(tx, delivery, outcome, *settled, now)?;
            }
            Ok(())
        })
    }

    /// Puts an incident's dead letters back: they are tried again. Gives how many.
    ///
    /// # Errors
    /// Those of the database.
    pub fn replay(&self, incident: IncidentId, by: &str, now: Time) -> Result<usize, StoreError> {
        self.write(|tx| {
            let count = tx.execute(
                "UPDATE outbox SET state = 'pending', attempts = 0, next_ms = ?2, at_ms = ?2
                 WHERE state = 'dead' AND incident = ?1",
                (incident.to_string(), now.as_ms()),
            )?;
            if count > 0 {
                audit::append(tx, now, &Entry::of("replayed").incident(incident).by(by))?;
            }
            Ok(count)
        })
    }

    /// How much waits in the outbox.
    ///
    /// # Errors
    /// Those of the database.
    pub fn depth(&self) -> Result<Depth, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT count(*) FILTER (WHERE state IN ('pending', 'leased')),
                    count(*) FILTER (WHERE state = 'waiting'),
                    count(*) FILTER (WHERE state = 'dead'),
                    min(next_ms) FILTER (WHERE state IN ('pending', 'leased')
                                           AND (kind = 'alert' OR NOT ?1))
             FROM outbox WHERE state IN ('pending', 'leased', 'waiting', 'dead')",
        )?;
        Ok(statement.query_row([paused(&reader)?], |row| {
            let next_ms: Option<i64> = row.get(3)?;
            Ok(Depth {
                open: row.get::<_, i64>(0)? as u64,
                waiting: row.get::<_, i64>(1)? as u64,
                dead: row.get::<_, i64>(2)? as u64,
                next: next_ms.map(|ms| Time::default().plus_ms(ms)),
            })
        })?)
    }
}

fn settle(
    tx: &Transaction<'_>,
    delivery: &Delivery,
    outcome: &Outcome,
    settled: Settled,
    now: Time,
) -> Result<(), StoreError> {
    let (state, due) = match settled {
        Settled::Done => ("done", now),
        Settled::Again(due) => ("pending", due),
        Settled::Dead => ("dead", now),
    };
    // What was undone meanwhile stays undone.
    tx.prepare_cached(
        "UPDATE outbox SET state = ?2, next_ms = ?3, outcome = ?4, why = ?5, at_ms = ?6
         WHERE id = ?1 AND state = 'leased'",
    )?
    .execute((
        delivery.id().to_string(),
        state,
        due.as_ms(),
        outcome.name(),
        outcome.why().map(mask),
        now.as_ms(),
    ))?;
    audit::append_delivery(tx, now, delivery, outcome.name(), outcome.why())
}

/// Kind and name: a provider and a sink may have the same one.
fn receiver_of(delivery: &Delivery) -> String {
    let kind = match delivery {
        Delivery::Action(_) => "action",
        Delivery::Alert(_) => "alert",
    };
    format!("{kind} {}", delivery.receiver())
}

fn begin(
    tx: &Transaction<'_>,
    id: &str,
    attempt: u32,
    until: Time,
    now: Time,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE outbox SET state = 'leased', attempts = ?2, next_ms = ?3, at_ms = ?4 WHERE id = ?1",
    )?
    .execute((id, attempt, until.as_ms(), now.as_ms()))?;
    Ok(())
}

/// A row that is due; `None` when it was put aside, or its receiver is closed or now closes.
fn lease_one(
    tx: &Transaction<'_>,
    (id, attempts, payload): (String, u32, String),
    closed: &mut BTreeSet<String>,
    (until, now): (Time, Time),
    may: &mut dyn FnMut(&Delivery) -> bool,
) -> Result<Option<Leased>, StoreError> {
    let delivery = serde_json::from_str(&payload)?;
    if asked_before(tx, &id, &delivery, now)? {
        return Ok(None);
    }
    let receiver = receiver_of(&delivery);
    if closed.contains(&receiver) || !may(&delivery) {
        closed.insert(receiver);
        return Ok(None);
    }
    let attempt = attempts + 1;
    begin(tx, &id, attempt, until, now)?;
    audit::append_delivery(tx, now, &delivery, "attempt", None)?;
    Ok(Some(Leased { delivery, attempt }))
}

/// Identifier, attempts and payload of the rows that are due and not for a receiver that is `closed`.
fn due(
    tx: &Transaction<'_>,
    limit: usize,
    closed: &BTreeSet<String>,
    now: Time,
) -> Result<Vec<(String, u32, String)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, attempts, payload FROM outbox
         WHERE state IN ('pending', 'leased') AND next_ms <= ?1 AND (kind = 'alert' OR NOT ?2)
           AND (?4 = '[]' OR kind || ' ' || coalesce(payload ->> '$.provider', payload ->> '$.sink')
                             NOT IN (SELECT value FROM json_each(?4)))
         ORDER BY rank, next_ms, id LIMIT ?3",
    )?;
    let closed = serde_json::to_string(closed)?;
    let rows = statement.query_map((now.as_ms(), paused(tx)?, limit as i64, closed), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// At most one mail a person in this time: more would teach people to click, and be a way to annoy somebody.
const ASKED_MS: i64 = 24 * 3_600_000;

/// Why such a mail is not sent.
const ASKED: &str = "the person was asked by mail within the last 24 hours";

/// Puts a mail aside whose receiver was written to before, by whatever provider and for whatever incident. An attempt
/// counts, whatever came of it but a plain refusal to take it.
fn asked_before(
    tx: &Transaction<'_>,
    id: &str,
    delivery: &Delivery,
    now: Time,
) -> Result<bool, StoreError> {
    let Delivery::Action(action) = delivery else {
        return Ok(false);
    };
    if action.step != Step::Ask {
        return Ok(false);
    }
    let asked: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox
             WHERE kind = 'action' AND NOT idempotent AND id <> ?1 AND at_ms > ?2
               AND (state IN ('leased', 'done')
                    OR state = 'dead' AND outcome IN ('unknown', 'pending'))
               AND attempts > 0 AND payload ->> '$.step' = 'ask'
               AND payload ->> '$.target.iss' = ?3 AND payload ->> '$.target.sub' = ?4)",
        )?
        .query_row(
            (
                id,
                now.as_ms() - ASKED_MS,
                action.target.issuer(),
                action.target.name(),
            ),
            |row| row.get(0),
        )?;
    if asked {
        tx.execute(
            "UPDATE outbox SET state = 'done', outcome = 'already_done', why = ?2, at_ms = ?3
             WHERE id = ?1",
            (id, ASKED, now.as_ms()),
        )?;
        audit::append_delivery(tx, now, delivery, "already_done", Some(ASKED))?;
    }
    Ok(asked)
}

/// Why such a call is given up.
const WHY: &str = "the program stopped during the call: look whether it was done";

/// A call that must not be made twice, and whose worker died in the middle of it.
fn give_up_unknown(tx: &Transaction<'_>, now: Time) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE outbox SET state = 'dead', outcome = 'unknown', why = ?2, at_ms = ?1
         WHERE state = 'leased' AND next_ms <= ?1 AND NOT idempotent RETURNING payload",
    )?;
    let rows = statement
        .query_map((now.as_ms(), WHY), |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for payload in rows {
        let delivery = serde_json::from_str(&payload)?;
        audit::append_delivery(tx, now, &delivery, "unknown", Some(WHY))?;
    }
    Ok(())
}
