//! Whether a token that was let in with a signature that does not fit is somebody's forgery, or the keys are at fault.
//!
//! In: a token with its verdict, and where it comes from. Out: true for a fault of the keys; incidents that were
//! opened before that was known are excused.
//! Does not know: rules. A use that is not believed stays so: the signature was not checked by anybody's right key.

use super::Engine;
use super::standing::Presented;
use crate::domain::context::Context;
use crate::domain::time::Time;
use crate::domain::token::{Token, Verdict};
use crate::sessions::device::{one_device, same_network};
use crate::sessions::misfits::{Misfit, Whereabouts};

impl Engine {
    /// Learns from a verdict on an accepted token; true when the keys are at fault.
    pub(super) fn key_fault(
        &mut self,
        token: &Token,
        verdict: Verdict,
        presented: Presented,
        context: &Context,
        time: Time,
    ) -> bool {
        if !presented.place.presents() {
            return false;
        }
        if verdict == Verdict::Verified {
            let key = self.signing_key(token);
            self.state.stores.misfits.fits(key);
            return false;
        }
        // What a header gives away needs no key.
        let made_up = token.header.alg_none || token.header.injection || token.header.malformed;
        let Some(subject) = token.subject.filter(|_| verdict.forged() && !made_up) else {
            return false;
        };
        let key = self.signing_key(token);
        let whereabouts = self.whereabouts(token, context);
        let misfits = &mut self.state.stores.misfits;
        match misfits.misfits(key, subject, context.address.ip(), whereabouts, time) {
            Misfit::Forged => false,
            Misfit::Fault => true,
            Misfit::FaultFound(subjects) => {
                self.state.incidents.excuse(&subjects);
                true
            }
        }
    }

    fn signing_key(&self, token: &Token) -> u128 {
        let parts = [
            token.issuer.as_deref(),
            token.kid.as_deref(),
            token.alg.as_deref(),
        ];
        let parts = parts.map(|part| part.unwrap_or_default().as_bytes());
        self.settings.key.hash("signing key", &parts)
    }

    /// Where the subject and the session that the token names are known to be.
    fn whereabouts(&self, token: &Token, here: &Context) -> Whereabouts {
        let stores = &self.state.stores;
        let session = stores.sessions.get(token.session);
        let strange_session = session.is_some_and(|session| {
            let mut bound = session.bound().peekable();
            bound.peek().is_some()
                && bound.all(|visit| {
                    let there = &visit.context;
                    !one_device(there, here) || same_network(there, here) == Some(false)
                })
        });
        let networks = token.subject.and_then(|id| stores.subjects.get(id));
        let networks = networks.map(|subject| &subject.networks);
        let networks = networks.filter(|networks| !networks.is_empty());
        let known = networks.zip(here.network.as_ref());
        let known = known.map(|(all, here)| all.iter().any(|known| known.what == here.asn));
        match (strange_session, known) {
            (true, _) | (_, Some(false)) => Whereabouts::Elsewhere,
            (false, Some(true)) => Whereabouts::Home,
            (false, None) => Whereabouts::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
