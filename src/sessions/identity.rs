//! What identity providers tell: logins, issuance, refreshes, logouts, by the names that uses of tokens show again.
//!
//! In: identity events with the names they carry (`jti`, `sid`, the id of a refresh token). Out: [`Told`], by token
//! and by session, and the first time that a refresh token was spent.
//! Does not know: issuers of the names. Providers write none into their events; a name made to be unique needs none.
//! Source: RFC 7519, section 4.1.7 (`jti`); OpenID Connect Front-Channel Logout 1.0, section 3 (`sid`); RFC 9700,
//! section 4.14.2 (a refresh token that is used twice).

use super::bounded::Bounded;
use super::device::one_device;
use crate::domain::event::{EventKind, Told};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Events kept of one name: the first, which is the login or the issuance, and the last ones.
const TOLD_MAX: usize = 8;

/// Issuers whose sessions are looked for under a `sid`; a gateway trusts a handful.
const ISSUERS_MAX: usize = 64;

/// Clients whose habits are kept; a provider knows some hundreds.
const CLIENTS_MAX: usize = 4096;

/// From so many on it is a client's habit to take the new refresh token: one may be a second login in one session.
const TURNED_MIN: u32 = 2;

/// The reuse intervals that providers allow are 0 to 60 s, mostly 30.
const TOGETHER_S_MAX: f64 = 30.0;

/// Logins that show whether a source tells of them: all but one in so many.
const LOGINS_MIN: u32 = 20;

/// At so many the counts are halved.
const LOGINS_MAX: u32 = 10_000;

/// Identity events by name. Empty as long as no source holds any.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    by_name: Bounded<u128, SmallVec<[Told; 2]>>,
    spent: Bounded<u128, Told>,
    /// The refresh token that a session presented last.
    newest: Bounded<u128, u128>,
    habits: Bounded<u128, Habit>,
    issuers: Vec<Arc<str>>,
    /// Event time of the first event.
    since: Option<Time>,
    /// Sessions that began since, with a login that was told and without.
    logins: [u32; 2],
}

/// What a client does with its refresh tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Habit {
    /// Times that a session came with another one than before.
    turned: u32,
    /// Times that one device came with the same again.
    kept: u32,
}

/// A refresh token that is presented, by keyed hashes of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The token's own id, where the provider tells it.
    pub refresh: Option<u128>,
    /// Its session.
    pub session: Option<u128>,
    /// The client.
    pub client: u128,
}

/// A refresh token that comes a second time.
#[derive(Clone, Copy, Debug)]
pub struct Reuse<'a> {
    /// The time before; `None` when only the provider knows of it.
    pub earlier: Option<&'a Told>,
    /// The client is known to take a new refresh token each time.
    pub rotates: bool,
    /// The client is known to come with the same one again.
    pub keeps: bool,
}

impl Identity {
    /// Remembers at most `capacity` names.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_name: Bounded::new(capacity),
            spent: Bounded::new(capacity),
            newest: Bounded::new(capacity),
            habits: Bounded::new(CLIENTS_MAX),
            issuers: Vec::new(),
            since: None,
            logins: [0; 2],
        }
    }

    /// True while nothing was told: then no use needs to ask.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Records an event under one of its names, given as a keyed hash.
    pub fn tell(&mut self, name: u128, told: Told) {
        self.since = Some(self.since.map_or(told.time, |since| since.min(told.time)));
        let known = self.by_name.get_or_insert_with(name, SmallVec::new);
        if known.len() == TOLD_MAX {
            known.remove(1);
        }
        known.push(told);
    }

    /// What was told under a name, oldest first.
    pub fn told(&self, name: u128) -> &[Told] {
        self.by_name.get(name).map_or(&[], |told| told)
    }

    /// The time before that a refresh token was taken; where only the provider knows that it was, the last time that
    /// its session got tokens.
    pub fn spent(&self, presented: Presented, kind: EventKind) -> Option<&Told> {
        let same = presented
            .refresh
            .and_then(|refresh| self.spent.get(refresh));
        let session = presented
            .session
            .filter(|_| kind == EventKind::RefreshReused);
        same.or_else(|| {
            let told = session.map_or(&[][..], |session| self.told(session));
            let got = |told: &&Told| matches!(told.kind, EventKind::Refreshed | EventKind::Issued);
            told.iter().rev().find(got)
        })
    }

    /// True when the client is known to come with the same refresh token again.
    pub fn keeps(&self, presented: Presented) -> bool {
        let habit = self.habits.get(presented.client);
        habit.is_some_and(|habit| habit.kept > 0)
    }

    /// True when the client is known to take a new refresh token each time.
    pub fn rotates(&self, presented: Presented) -> bool {
        let habit = self.habits.get(presented.client);
        habit.is_some_and(|habit| habit.turned >= TURNED_MIN) && !self.keeps(presented)
    }

    /// Records that a refresh token was taken.
    pub fn spend(&mut self, presented: Presented, told: &Told) {
        let Some(refresh) = presented.refresh else {
            return;
        };
        let habit = self
            .habits
            .get_or_insert_with(presented.client, Habit::default);
        if let Some(session) = presented.session {
            let newest = self.newest.get_or_insert_with(session, || refresh);
            habit.turned = habit.turned.saturating_add(u32::from(*newest != refresh));
            *newest = refresh;
        }
        let mut first = false;
        let spent = self.spent.get_or_insert_with(refresh, || {
            first = true;
            told.clone()
        });
        if first {
            return;
        }
        // Tabs and retries come together, whatever the client's habit.
        let again = told.time.apart_s(spent.time) > TOGETHER_S_MAX;
        let ends = spent.context.as_deref().zip(told.context.as_deref());
        let one = ends.is_none_or(|(there, here)| one_device(there, here));
        habit.kept = habit.kept.saturating_add(u32::from(one && again));
        *spent = told.clone();
    }

    /// Learns whether the login of a session is told, when one begins that was issued after the first event.
    pub fn learn_coverage(&mut self, issued: Time, is_told: bool) {
        if self.since.is_some_and(|since| issued > since) {
            let count = &mut self.logins[usize::from(!is_told)];
            *count = count.saturating_add(1);
            if *count >= LOGINS_MAX {
                self.logins = self.logins.map(|count| count / 2);
            }
        }
    }

    /// True when nearly every login is told, and a session that was issued then should have one.
    pub fn tells_logins(&self, issued: Time) -> bool {
        let [told, untold] = self.logins;
        let since = self.since.is_some_and(|since| issued > since);
        since && told >= LOGINS_MIN && untold * LOGINS_MIN <= told
    }

    /// Learns the issuer of a token that was believed.
    pub fn learn_issuer(&mut self, issuer: &str) {
        if self.issuers.len() < ISSUERS_MAX && !self.issuers.iter().any(|known| **known == *issuer)
        {
            self.issuers.push(issuer.into());
        }
    }

    /// The issuers of tokens that were believed.
    pub fn issuers(&self) -> &[Arc<str>] {
        &self.issuers
    }
}
