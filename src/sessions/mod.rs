//! CORE: what was known before this use: bounded stores of tokens, sessions, subjects and source networks.
//!
//! In: uses, after they were judged. Out: [`Stores`].
//! Does not know: detectors, rules. What is only claimed lives in stores of its own and cannot evict what is real.

pub mod bindings;
pub mod bounded;
pub mod clients;
pub mod commons;
pub mod companions;
pub mod device;
pub mod endpoints;
pub mod families;
pub mod habits;
pub mod identity;
pub mod issued;
pub mod misfits;
pub mod networks;
pub mod population;
pub mod retinue;
pub mod rhythm;
pub mod session;
pub mod source;
pub mod subject;
pub mod tenants;
mod ways;

use crate::domain::context::{Context, Prefix};
use crate::domain::ids::{Digest, SessionId, SubjectId};
use crate::domain::time::Time;
use crate::domain::token::{Provenance, Token, Verdict};
use bindings::Bindings;
use bounded::Bounded;
use clients::{Clients, Forbidden};
use commons::Commons;
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
use session::{ContextKey, Session};
use source::Origin;
use std::sync::Arc;
use subject::Subject;
use tenants::Tenants;

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
    /// Room for a large service on a small machine: about 2 GB when every store is full, far less for most.
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

/// One token as it was found, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// The token.
    pub token: Arc<Token>,
    /// Its session, here too: for a use that repeats the last, nothing of the token but this entry is read.
    pub session: SessionId,
    /// The first and the last second since 1970 at which the token is nothing remarkable by itself, of the day on which
    /// it was judged.
    pub calm_s: (i64, i64),
    /// What checking its signature said.
    pub verdict: Verdict,
    /// Which key history said so: a later one may know more.
    pub keys_version: u64,
    /// When it first stood where others can read it.
    pub leaked: Option<Box<Leak>>,
    /// When it, or its session, was revoked.
    pub revoked: Option<Box<Time>>,
    /// How many denials had been heard of when `revoked` was looked up.
    pub revocations: u64,
    /// True once an accepted use was recorded.
    pub accepted: bool,
    /// The context of its last accepted use: there, rules have said all they can about it.
    pub judged: Option<ContextKey>,
    /// Why that use may be believed.
    pub provenance: Provenance,
    /// Who showed it before anybody was answered as the holder of a valid token is.
    pub shown: Option<Box<EarlyUse>>,
}

/// A use that was neither let in nor refused: not found, moved, broken. Its holder is the first that is known of all
/// the same, though it binds nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyUse {
    /// From which context.
    pub key: ContextKey,
    /// The same, to compare with.
    pub context: Arc<Context>,
    /// When.
    pub time: Time,
}

/// A token stood where others can read it: a query, a path, a Referer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// When, the first time.
    pub time: Time,
    /// On which path that was, by keyed hash: a link preview asks for it again.
    pub path: Option<u64>,
}

impl TokenEntry {
    /// A token that nobody has checked yet.
    pub fn new(token: Arc<Token>) -> Self {
        Self {
            session: token.session,
            calm_s: calm_s(&token),
            token,
            verdict: Verdict::NotConfigured,
            keys_version: 0,
            leaked: None,
            revoked: None,
            revocations: 0,
            accepted: false,
            judged: None,
            provenance: Provenance::Claimed,
            shown: None,
        }
    }
}

/// Rules about logs and gateways speak once a day.
const DAY_S: i64 = 86_400;

impl TokenEntry {
    /// Records that rules have said all they can about uses from this context, on the day of `time`.
    pub fn judge(&mut self, context: ContextKey, time: Time) {
        let day = time.as_s().div_euclid(DAY_S) * DAY_S;
        let (from_s, until_s) = calm_s(&self.token);
        self.judged = Some(context);
        self.calm_s = (from_s.max(day), until_s.min(day + DAY_S - 1));
    }

    /// Records that it stood where others can read it.
    pub fn leak(&mut self, time: Time, path: Option<u64>) {
        let leak = self
            .leaked
            .get_or_insert_with(|| Box::new(Leak { time, path }));
        leak.time = leak.time.min(time);
    }
}

/// When a token is nothing remarkable by itself; never under `alg` none, nor where each use has a proof of its own: a
/// span that ends before it begins.
fn calm_s(token: &Token) -> (i64, i64) {
    if token.header.alg_none || token.confirmation.is_some() {
        return (i64::MAX, i64::MIN);
    }
    let begin = token.issued_s.max(token.not_before_s);
    (
        begin.unwrap_or(i64::MIN),
        token.expires_s.unwrap_or(i64::MAX),
    )
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
    /// Tokens that a line shows to have been let in, by id and by `(iss, jti)`.
    answered: Bounded<u128, ()>,
    /// Paths that answered 2xx to a request without any credential, by keyed hash: an answer there accepts nothing.
    pub open_paths: Bounded<u64, ()>,
    /// What tokens have in common.
    #[serde(skip)]
    pub commons: Commons,
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
            commons: Commons::default(),
        }
    }

    /// Shares what tokens have in common, after a snapshot was read.
    pub fn share(&mut self) {
        for entry in self.tokens.values_mut().chain(self.claimed.values_mut()) {
            if let Some(token) = Arc::get_mut(&mut entry.token) {
                self.commons.share(token);
            }
        }
    }

    /// How often tokens or sessions were, or could have been, forgotten for want of room.
    pub fn turns(&self) -> u64 {
        self.tokens.turns() + self.sessions.turns()
    }

    /// Remembers that a token was let in.
    pub fn let_in(&mut self, token: &Token) {
        self.answered.insert(token.id.0, ());
        if let Some(jti) = token.jti_key {
            self.answered.insert(jti.0, ());
        }
    }

    /// True when a line showed that the token was let in, whole, by its id or by its claims.
    pub fn was_let_in(&self, token: &Token) -> bool {
        let jti = token.jti_key.map(|jti| jti.0);
        let mut names = [Some(token.id.0), jti].into_iter().flatten();
        names.any(|name| self.answered.get(name).is_some())
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
            size_of::<Token>(),
            size_of::<Session>(),
            size_of::<Subject>(),
            size_of::<Origin>(),
        ];
        assert!(sizes.iter().sum::<usize>() <= 784, "{sizes:?}");
    }
}
