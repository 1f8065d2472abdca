//! CORE: what was known before this use: bounded stores of tokens, sessions, subjects and source networks.
//!
//! In: uses, after they were judged. Out: [`Stores`].
//! Does not know: detectors, rules. What is only claimed lives in stores of its own and cannot evict what is real.

pub mod bindings;
pub mod bounded;
pub mod clients;
pub mod companions;
pub mod device;
pub mod endpoints;
pub mod families;
pub mod habits;
pub mod identity;
pub mod issued;
pub mod misfits;
pub mod moves;
pub mod networks;
pub mod population;
pub mod retinue;
pub mod rhythm;
pub mod session;
pub mod source;
pub mod subject;
pub mod tenants;
pub mod token;
mod ways;

use crate::domain::context::{Context, Prefix};
use crate::domain::ids::{Digest, SessionId, SubjectId, TokenId};
use crate::domain::token::Token;
use bindings::Bindings;
use bounded::Bounded;
use clients::{Clients, Forbidden};
use endpoints::Endpoints;
use families::Families;
use identity::Identity;
use issued::Issued;
use misfits::Misfits;
use networks::Networks;
use population::Population;
use retinue::Retinue;
use rhythm::Watches;
use serde::{Deserialize, Serialize};
use session::Session;
use source::Origin;
use subject::Subject;
use tenants::Tenants;
use token::TokenEntry;

/// How much each store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tokens that were accepted.
    pub tokens: usize,
    /// Sessions.
    pub sessions: usize,
    /// Subjects.
    pub subjects: usize,
    /// Source networks.
    pub sources: usize,
    /// Tokens that are only claimed, and source networks that only sent such.
    pub claimed: usize,
}

impl Default for Limits {
    /// Room for a large service on a small machine: about 1.5 GB when every store is full, far less for most.
    fn default() -> Self {
        Self {
            tokens: 2_000_000,
            sessions: 1_000_000,
            subjects: 1_000_000,
            sources: 500_000,
            claimed: 200_000,
        }
    }
}

/// Everything that is known between two lines.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stores {
    /// Tokens by the digest of their text.
    pub tokens: Bounded<Digest, TokenEntry>,
    /// Tokens that are only claimed.
    pub claimed: Bounded<Digest, TokenEntry>,
    /// Sessions.
    pub sessions: Bounded<SessionId, Session>,
    /// Subjects.
    pub subjects: Bounded<SubjectId, Subject>,
    /// How often anybody was where and with what.
    pub population: Population,
    /// Source networks.
    pub sources: Bounded<Prefix, Origin>,
    /// What is usual in networks.
    pub networks: Networks,
    /// Source networks that only sent what is claimed or refused.
    pub claimants: Bounded<Prefix, Origin>,
    /// What stands under each `(iss, jti)`.
    pub issued: Issued,
    /// What identity providers told.
    pub identity: Identity,
    /// The newest token of each session with an id, as its holder shows it.
    pub families: Families,
    /// Whether the signatures of each key fit.
    pub misfits: Misfits,
    /// Who showed the keys of bound tokens.
    pub bindings: Bindings,
    /// What clients are like.
    pub clients: Clients,
    /// Who accompanies people's sessions.
    pub retinue: Retinue,
    /// What was forbidden to sessions.
    pub forbidden: Forbidden,
    /// Contexts that are new to their sessions.
    pub watches: Watches,
    /// What clients ask for.
    pub endpoints: Endpoints,
    /// Where requests name tenants.
    pub tenants: Tenants,
    /// Tokens without `(iss, jti)` that a line shows to have been let in.
    answered: Bounded<TokenId, ()>,
    /// Paths that answered 2xx to a request without any credential, by keyed hash: an answer there accepts nothing.
    pub open_paths: Bounded<u64, ()>,
}

/// Paths known to be open: more than any service has templates for.
const OPEN_PATHS_MAX: usize = 65_536;

impl Stores {
    /// Empty stores.
    pub fn new(limits: &Limits) -> Self {
        Self {
            tokens: Bounded::new(limits.tokens),
            claimed: Bounded::new(limits.claimed),
            sessions: Bounded::new(limits.sessions),
            subjects: Bounded::new(limits.subjects),
            population: Population::default(),
            sources: Bounded::new(limits.sources),
            networks: Networks::default(),
            claimants: Bounded::new(limits.claimed),
            issued: Issued::new(limits.tokens),
            identity: Identity::new(limits.tokens),
            families: Families::new(limits.sessions),
            misfits: Misfits::default(),
            bindings: Bindings::default(),
            clients: Clients::default(),
            retinue: Retinue::default(),
            forbidden: Forbidden::default(),
            watches: Watches::default(),
            endpoints: Endpoints::default(),
            tenants: Tenants::default(),
            answered: Bounded::new(limits.tokens),
            open_paths: Bounded::new(OPEN_PATHS_MAX),
        }
    }

    /// Every context that a session was in.
    pub fn contexts_mut(&mut self) -> impl Iterator<Item = &mut Context> {
        let sessions = self.sessions.values_mut();
        let visits = sessions.flat_map(|session| &mut session.visits);
        visits.map(|visit| &mut visit.context)
    }

    /// How often tokens or sessions were, or could have been, forgotten for want of room.
    pub fn turns(&self) -> u64 {
        self.tokens.turns() + self.sessions.turns()
    }

    /// Remembers that a token was let in.
    pub fn let_in(&mut self, token: &Token) {
        // What has an `(iss, jti)` is known by it.
        if token.jti_key.is_none() {
            self.answered.insert(token.id, ());
        }
    }

    /// True when a line showed that the token was let in, whole or by its claims.
    pub fn was_let_in(&self, token: &Token) -> bool {
        match token.jti_key {
            Some(jti) => self.issued.knows(jti),
            None => self.answered.get(token.id).is_some(),
        }
    }

    /// Entries forgotten for want of room, by store.
    pub fn evicted(&self) -> [(&'static str, u64); 5] {
        [
            ("tokens", self.tokens.evicted()),
            ("claimed", self.claimed.evicted() + self.claimants.evicted()),
            ("sessions", self.sessions.evicted()),
            ("subjects", self.subjects.evicted()),
            ("sources", self.sources.evicted()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_sessions_have_stays_small() {
        // With its key, its place in a table and what it points at, this is what a million of each are bounded by.
        let sizes = [
            size_of::<TokenEntry>(),
            size_of::<Session>(),
            size_of::<Subject>(),
            size_of::<Origin>(),
        ];
        assert!(sizes.iter().sum::<usize>() <= 448, "{sizes:?}");
    }
}
