//! What identity providers tell: logins, issuance, refreshes, logouts, by the names that uses of tokens show again.
//!
//! In: identity events with the names they carry (`jti`, `sid`, the id of a refresh token). Out: [`Told`], by token
//! and by session, and the first time that a refresh token was spent.
//! Does not know: issuers of the names. Providers write none into their events; a name made to be unique needs none.
//! Source: RFC 7519, section 4.1.7 (`jti`); OpenID Connect Front-Channel Logout 1.0, section 3 (`sid`); RFC 9700,
//! section 4.14.2 (a refresh token that is used twice).

use super::bounded::Bounded;
use crate::domain::event::Told;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Events kept of one name: the first, which is the login or the issuance, and the last ones.
const TOLD_MAX: usize = 8;

/// Issuers whose sessions are looked for under a `sid`; a gateway trusts a handful.
const ISSUERS_MAX: usize = 64;

/// Identity events by name. Empty as long as no source holds any.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    by_name: Bounded<u128, SmallVec<[Told; 2]>>,
    spent: Bounded<u128, Told>,
    issuers: Vec<Arc<str>>,
}

impl Identity {
    /// Remembers at most `capacity` names.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_name: Bounded::new(capacity),
            spent: Bounded::new(capacity),
            issuers: Vec::new(),
        }
    }

    /// True while nothing was told: then no use needs to ask.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Records an event under one of its names, given as a keyed hash.
    pub fn tell(&mut self, name: u128, told: Told) {
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

    /// Records that a refresh token was presented; the time before, when this is not the first.
    pub fn spend(&mut self, refresh: u128, told: &Told) -> Option<Told> {
        let mut first = false;
        let spent = self.spent.get_or_insert_with(refresh, || {
            first = true;
            told.clone()
        });
        (!first).then(|| std::mem::replace(spent, told.clone()))
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
