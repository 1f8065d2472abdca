//! What an identity provider tells: joined with the uses of its tokens.
//!
//! In: an event of an identity provider with the names it carries. Out: changed stores: what was told of tokens and
//! sessions, sessions that are logged out; findings about refresh tokens that come twice.
//! Does not know: rules, or what of it is suspicious.

use super::blame::Blame;
use super::prepare::Prepared;
use super::{Engine, Observation};
use crate::detectors::{self, Look};
use crate::domain::context::Context;
use crate::domain::event::{EventKind, Told};
use crate::domain::facts::Facts;
use crate::domain::ids::SessionId;
use crate::domain::time::Time;
use crate::domain::token::{Claim, Credential, CredentialPlace, Provenance, Shape, Token, Verdict};
use crate::domain::usage::TokenUse;
use crate::sessions::device::{apart, one_device};
use crate::sessions::identity as refresh;
use crate::sessions::moves::Logout;
use crate::sessions::session::Session;
use crate::sessions::token::TokenEntry;
use crate::tokens::decode::{decode, session_of_sid};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// How late a provider's log may be read.
const TOLD_S_MAX: f64 = 120.0;

/// When a token was issued.
fn issued(token: &Token) -> Option<Time> {
    Time::from_ms(token.issued_s?.checked_mul(1000)?)
}

/// Claims by name, as the provider told them.
type Claims<'c> = [(Claim, Cow<'c, str>)];

fn claim<'c>(claims: &'c Claims<'_>, wanted: Claim) -> Option<&'c str> {
    let (_, value) = claims.iter().find(|(claim, _)| *claim == wanted)?;
    Some(value)
}

impl Engine {
    /// Takes one event of an identity provider.
    pub(super) fn identity(&mut self, prepared: &Prepared<'_>, out: &mut Observation) {
        let context = self.surroundings.describe(&prepared.event).map(Arc::new);
        let told = Told {
            kind: prepared.event.kind,
            time: prepared.event.time,
            context,
        };
        for credential in &prepared.credentials {
            let (Shape::Claims(claims) | Shape::Hash(_, claims)) = &credential.shape else {
                continue;
            };
            let names = [Claim::Jti, Claim::Sid].map(|name| claim(claims, name));
            let names = names.into_iter().flatten().map(|name| self.name(name));
            let names: SmallVec<[u128; 2]> = names.collect();
            if matches!(
                told.kind,
                EventKind::Refreshed | EventKind::RefreshRefused | EventKind::RefreshReused
            ) {
                self.refresh_presented(prepared, credential, claims, &told, out);
            }
            for name in names {
                self.state.stores.identity.tell(name, told.clone());
            }
            let (issuer, sid) = (claim(claims, Claim::Iss), claim(claims, Claim::Sid));
            for (_, session) in self.sessions_of(issuer, sid) {
                self.end(session, &told, !prepared.event.unvouched);
                self.state.incidents.tell(session, &told);
            }
        }
    }

    /// A refresh token was presented: when it came before, that is measured and judged.
    fn refresh_presented(
        &mut self,
        prepared: &Prepared<'_>,
        credential: &Credential<'_>,
        claims: &Claims<'_>,
        told: &Told,
        out: &mut Observation,
    ) {
        let name = |wanted| claim(claims, wanted).map(|name| self.name(name));
        let presented = refresh::Presented {
            refresh: name(Claim::RefreshId),
            session: name(Claim::Sid),
            client: name(Claim::Azp).unwrap_or_default(),
        };
        let identity = &mut self.state.stores.identity;
        let earlier = identity.spent(presented, told.kind).cloned();
        let (rotates, keeps) = (identity.rotates(presented), identity.keeps(presented));
        if told.kind == EventKind::Refreshed {
            identity.spend(presented, told);
        }
        // What anybody could have sent accuses nobody.
        let again = earlier.is_some() || told.kind == EventKind::RefreshReused;
        if again && !prepared.event.unvouched {
            let reuse = refresh::Reuse {
                earlier: earlier.as_ref(),
                rotates,
                keeps,
            };
            self.judge_refresh(prepared, credential, claims, reuse, out);
        }
    }

    fn judge_refresh(
        &mut self,
        prepared: &Prepared<'_>,
        credential: &Credential<'_>,
        claims: &Claims<'_>,
        reuse: refresh::Reuse<'_>,
        out: &mut Observation,
    ) {
        let Some(context) = self.surroundings.describe(&prepared.event).map(Arc::new) else {
            return;
        };
        let sid = claim(claims, Claim::Sid);
        let known = self.sessions_of(claim(claims, Claim::Iss), sid);
        let known = known.into_iter().next();
        let mut credential = credential.clone();
        if let (Some((issuer, _)), Shape::Claims(claims) | Shape::Hash(_, claims)) =
            (&known, &mut credential.shape)
        {
            claims.retain(|(claim, _)| *claim != Claim::Iss);
            claims.push((Claim::Iss, issuer.to_string().into()));
        }
        let Ok(mut token) = decode(&credential, &self.settings.key) else {
            return;
        };
        let stores = &self.state.stores;
        let session = known.and_then(|(_, id)| stores.sessions.get(id));
        // The gateway's name for the subject is the one that its other findings bear.
        token.subject = session
            .and_then(|session| session.subject)
            .or(token.subject);
        let token = Arc::new(token);
        let entry = TokenEntry::new(&token);
        let usage = TokenUse {
            event: &prepared.event,
            token: &token,
            place: CredentialPlace::Field,
            context: &context,
            verdict: Verdict::NotConfigured,
            provenance: Provenance::Presumed,
        };
        let mut facts = Facts::default();
        // Where a provider sees a refresh come from is often a backend: nothing else is measured of it.
        let look = Look {
            reuse: Some(reuse),
            ..Look::of(&usage, &entry, prepared.context_key)
        };
        detectors::measure(&look, &mut facts);
        let subject = token.subject.and_then(|id| stores.subjects.get(id));
        let sessions = subject.map_or(0, |subject| u64::from(subject.sessions));
        let blame = Blame {
            sessions_of_subject: sessions,
            ..self.presenters(&usage, prepared, reuse.earlier, sid, session)
        };
        self.judge(prepared, &usage, &facts, &blame, out);
    }

    /// Which of the two that presented a refresh token does not belong: who was not seen at the login, nor with the
    /// session's tokens at the gateway. Where that tells nothing, the later one, and nobody is named as its victim.
    fn presenters(
        &self,
        usage: &TokenUse<'_>,
        prepared: &Prepared<'_>,
        earlier: Option<&Told>,
        sid: Option<&str>,
        session: Option<&Session>,
    ) -> Blame {
        let now = (Arc::clone(usage.context), usage.event.time);
        let mut blame = Blame::of_sender(now.0, prepared.context_key, now.1);
        let before = earlier.and_then(|told| Some((Arc::clone(told.context.as_ref()?), told.time)));
        let Some(before) = before else { return blame };
        let identity = &self.state.stores.identity;
        let told = sid.map_or(&[][..], |sid| identity.told(self.name(sid)));
        let own = |here: &Context| {
            let told = told.iter().filter(|told| told.time < before.1);
            let told = told.filter_map(|told| told.context.as_deref());
            let bound = session.into_iter().flat_map(Session::bound);
            let mut all = told.chain(bound.map(|visit| &visit.context));
            all.any(|there| one_device(there, here) && apart(there, here) != Some(true))
        };
        match (own(&before.0), own(&blame.suspect)) {
            (true, false) => blame.victim = Some(before.0),
            (false, true) => {
                blame.victim = Some(std::mem::replace(&mut blame.suspect, before.0));
                blame.suspect_since = before.1;
            }
            _ => {}
        }
        blame
    }

    /// What the identity provider told of a token: of itself, else of its session.
    pub(super) fn told(&self, token: &Token) -> &[Told] {
        let identity = &self.state.stores.identity;
        if identity.is_empty() {
            return &[];
        }
        let names = [token.jti.as_deref(), token.sid.as_deref()];
        let told = names.into_iter().flatten();
        told.map(|name| identity.told(self.name(name)))
            .find(|told| !told.is_empty())
            .unwrap_or_default()
    }

    /// The login that was told of a token's session.
    pub(super) fn login(&self, token: &Token) -> Option<&Told> {
        let identity = &self.state.stores.identity;
        let sid = token.sid.as_deref().filter(|_| !identity.is_empty())?;
        let mut told = identity.told(self.name(sid)).iter();
        told.find(|told| told.kind == EventKind::Login)
    }

    /// True when a login should have been told of a token's session, and none was. A source that is read late may
    /// still tell it, so the first minutes say nothing.
    pub(super) fn lacks_login(&self, token: &Token, time: Time) -> bool {
        let Some(issued) = issued(token) else {
            return false;
        };
        token.sid.is_some()
            && time.since_s(issued) >= TOLD_S_MAX
            && self.state.stores.identity.tells_logins(issued)
            && self.told(token).is_empty()
    }

    /// Learns whether logins are told, from the first use of a session.
    pub(super) fn learn_coverage(&mut self, token: &Token) {
        if self.state.stores.identity.is_empty() || token.sid.is_none() {
            return;
        }
        if let Some(issued) = issued(token) {
            let is_told = !self.told(token).is_empty();
            let identity = &mut self.state.stores.identity;
            identity.learn_coverage(issued, is_told);
        }
    }

    fn name(&self, name: &str) -> u128 {
        self.settings.key.hash("told", &[name.as_bytes()])
    }

    /// The sessions at hand that go by this `sid`: of the issuer that is named, else of any that is known.
    fn sessions_of(&self, issuer: Option<&str>, sid: Option<&str>) -> Vec<(Arc<str>, SessionId)> {
        let Some(sid) = sid else { return Vec::new() };
        let learned = self.state.stores.identity.issuers().iter();
        let known = learned.map(|issuer| &**issuer).chain(self.issuers.names());
        let ids = issuer.into_iter().chain(known);
        let ids = ids.map(|issuer| (issuer, session_of_sid(issuer, sid, &self.settings.key)));
        let mut found: Vec<(Arc<str>, SessionId)> = ids
            .filter(|(_, id)| self.state.stores.sessions.get(*id).is_some())
            .map(|(issuer, id)| (issuer.into(), id))
            .collect();
        found.dedup();
        found
    }

    /// A logout at the provider ends the session as one at the gateway does. One that anybody could have sent ends
    /// nothing: the session's own next use would look like a thief's.
    fn end(&mut self, session: SessionId, told: &Told, vouched: bool) {
        if !vouched || !matches!(told.kind, EventKind::Logout | EventKind::Revoked) {
            return;
        }
        self.land(session);
        if let Some(session) = self.state.stores.sessions.get_mut(session)
            && session.logout().is_none()
        {
            session.end(Logout {
                time: told.time,
                visit: session.current,
            });
        }
    }
}

#[cfg(test)]
mod tests;
