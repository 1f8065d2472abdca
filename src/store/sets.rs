//! Security event tokens that wait for their receivers to poll.
//!
//! In: a stream's name, a SET. Out: those that were not acknowledged, oldest first.
//! Does not know: who polls, or what is in them.
//! Source: RFC 8936, section 2.

use super::{Store, StoreError};
use crate::domain::time::Time;

impl Store {
    /// Keeps a SET for its receiver; the same one again changes nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub fn offer(&self, stream: &str, jti: &str, set: &str, now: Time) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT OR IGNORE INTO sets VALUES (?1, ?2, ?3, ?4)",
                (stream, jti, set, now.as_ms()),
            )?;
            Ok(())
        })
    }

    /// Forgets the SETs that a receiver acknowledges, then gives up to `limit` others, and whether there are more.
    ///
    /// # Errors
    /// Those of the database.
    pub fn poll(
        &self,
        stream: &str,
        acknowledged: &[String],
        limit: usize,
    ) -> Result<(Vec<(String, String)>, bool), StoreError> {
        self.write(|tx| {
            for jti in acknowledged {
                tx.execute(
                    "DELETE FROM sets WHERE stream = ?1 AND jti = ?2",
                    (stream, jti),
                )?;
            }
            let mut statement = tx.prepare_cached(
                "SELECT jti, text FROM sets WHERE stream = ?1 ORDER BY at_ms, jti LIMIT ?2",
            )?;
            let rows = statement.query_map((stream, limit as i64 + 1), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            let mut sets: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
            let more = sets.len() > limit;
            sets.truncate(limit);
            Ok((sets, more))
        })
    }
}
