//! The newest token of each session that has an id of its own: what its holder's side shows of a family of tokens.
//!
//! In: tokens as their session's holder first uses them. Out: [`Line`].
//! Does not know: what two lines mean.
//! Source: RFC 9700, section 4.14.2 (a stolen refresh token forks its family).

use super::bounded::Bounded;
use crate::domain::ids::SessionId;
use crate::domain::token::Token;
use serde::{Deserialize, Serialize};

/// Of so many sessions at hand one is remembered: a fork shows while both sides are busy, and those are few.
const SHARE: usize = 8;

/// When a token was issued, until when it lives, and to which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `iat`.
    pub issued_s: i64,
    /// `exp`; for a token that names none, the end of time.
    pub expires_s: i64,
    /// Whether it was issued for more than a password, where that is told.
    pub strong: Option<bool>,
    /// Keyed digest of the client id: applications that share a session have a family each.
    client: u64,
}

impl Line {
    /// The line of a token; `None` without `sid`, for then every token is a session, and without `iat`.
    pub fn of(token: &Token, client: u64) -> Option<Self> {
        token.sid.as_ref()?;
        Some(Self {
            issued_s: token.issued_s?,
            expires_s: token.expires_s.unwrap_or(i64::MAX),
            strong: token.strong,
            client,
        })
    }

    /// True for a later token of the same client that was issued for less.
    pub fn is_weaker_than(&self, other: &Self) -> bool {
        self.client == other.client
            && self.issued_s > other.issued_s
            && (other.strong, self.strong) == (Some(true), Some(false))
    }

    /// True when both live at some moment, and one client got them, more than `apart_s` after one another.
    pub fn forks(&self, other: &Self, apart_s: i64) -> bool {
        let apart = self
            .issued_s
            .saturating_sub(other.issued_s)
            .saturating_abs();
        self.client == other.client
            && apart > apart_s
            && self.issued_s < other.expires_s
            && other.issued_s < self.expires_s
    }
}

/// The newest token of each session, as its holder showed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Families {
    own: Bounded<SessionId, Line>,
}

impl Families {
    /// Remembers the busiest of `sessions`.
    pub fn new(sessions: usize) -> Self {
        Self {
            own: Bounded::new(sessions / SHARE),
        }
    }

    /// The newest token of the session's holder.
    pub fn of(&self, session: SessionId) -> Option<Line> {
        self.own.get(session).copied()
    }

    /// The holder shows a token.
    pub fn show(&mut self, session: SessionId, line: Line) {
        let own = self.own.get_or_insert_with(session, || line);
        if line.issued_s >= own.issued_s {
            *own = line;
        }
    }
}
