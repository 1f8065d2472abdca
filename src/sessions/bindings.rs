//! Which hosts see the keys that tokens are bound to, which sessions showed theirs, and which proofs were used.
//!
//! In: what accepted uses of bound tokens showed. Out: [`Seen`].
//! Does not know: how a proof is checked. Where no use ever showed a key that fits, a proxy in front ends TLS or turns
//! proofs into something else, and what is missing or another's there says nothing.
//! Source: RFC 9449, section 11.1 (proofs that come twice).

use super::bounded::Bounded;
use super::session::ContextKey;
use crate::domain::ids::SessionId;
use crate::domain::possession::{Fit, Fits, Way};
use serde::{Deserialize, Serialize};

/// Issuers by hosts; a gateway has some hundreds.
const HOSTS_MAX: usize = 4096;

/// Sessions that showed a key, and proofs: half an hour of a service that is busy with bound tokens.
const SHOWN_MAX: usize = 65_536;

/// What bound tokens showed so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bindings {
    hosts: Bounded<u64, Ways>,
    sessions: Bounded<SessionId, Ways>,
    proofs: Bounded<u64, ContextKey>,
}

/// A set of ways to bind a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways(u8);

impl Ways {
    /// True when the way is in the set.
    pub fn has(self, way: Way) -> bool {
        self.0 & (1 << way as u8) != 0
    }

    fn add_fitting(&mut self, fits: &Fits) {
        let fitting = Way::ALL
            .into_iter()
            .filter(|way| fits.of(*way) == Fit::Fits);
        self.0 |= fitting.fold(0, |ways, way| ways | 1 << way as u8);
    }
}

/// What was seen before a use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Ways in which the host ever saw a key that fits.
    pub host: Ways,
    /// Ways in which the session did.
    pub session: Ways,
    /// The very proof came before, from another context.
    pub replayed: bool,
}

impl Default for Bindings {
    fn default() -> Self {
        Self {
            hosts: Bounded::new(HOSTS_MAX),
            sessions: Bounded::new(SHOWN_MAX),
            proofs: Bounded::new(SHOWN_MAX),
        }
    }
}

impl Bindings {
    /// What was seen of the host, the session and the proof.
    pub fn seen(&self, host: u64, session: SessionId, fits: &Fits, from: ContextKey) -> Seen {
        let proof = fits.proof.and_then(|proof| self.proofs.get(proof));
        Seen {
            host: self.hosts.get(host).copied().unwrap_or_default(),
            session: self.sessions.get(session).copied().unwrap_or_default(),
            replayed: proof.is_some_and(|first| *first != from),
        }
    }

    /// Records what an accepted use showed.
    pub fn show(&mut self, host: u64, session: SessionId, fits: &Fits, from: ContextKey) {
        let mut shown = Ways::default();
        shown.add_fitting(fits);
        if let Some(proof) = fits.proof.filter(|_| shown.has(Way::Dpop)) {
            self.proofs.get_or_insert_with(proof, || from);
        }
        if shown != Ways::default() {
            self.hosts
                .get_or_insert_with(host, Ways::default)
                .add_fitting(fits);
            self.sessions
                .get_or_insert_with(session, Ways::default)
                .add_fitting(fits);
        }
    }
}
