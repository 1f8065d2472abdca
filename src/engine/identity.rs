//! What an identity provider tells: joined with the uses of its tokens.
//!
//! In: an event of an identity provider with the names it carries. Out: changed stores: what was told of tokens and
//! sessions, sessions that are logged out.
//! Does not know: rules, or what of it is suspicious.

use super::Engine;
use super::prepare::Prepared;
use crate::domain::event::{EventKind, Told};
use crate::domain::ids::SessionId;
use crate::domain::token::{Claim, Shape, Token};
use crate::sessions::session::Logout;
use crate::tokens::decode::session_of_sid;
use std::sync::Arc;

impl Engine {
    /// Takes one event of an identity provider.
    pub(super) fn identity(&mut self, prepared: &Prepared<'_>) {
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
            let claim = |wanted| {
                let (_, value) = claims.iter().find(|(claim, _)| *claim == wanted)?;
                Some(&**value)
            };
            for name in [claim(Claim::Jti), claim(Claim::Sid)].into_iter().flatten() {
                let name = self.name(name);
                self.state.stores.identity.tell(name, told.clone());
            }
            if let Some(refresh) = claim(Claim::RefreshId) {
                let refresh = self.name(refresh);
                self.state.stores.identity.spend(refresh, &told);
            }
            for session in self.sessions_of(claim(Claim::Iss), claim(Claim::Sid)) {
                self.end(session, &told, !prepared.event.unvouched);
                self.state.incidents.tell(session, &told);
            }
        }
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

    fn name(&self, name: &str) -> u128 {
        self.settings.key.hash("told", &[name.as_bytes()])
    }

    /// The sessions at hand that go by this `sid`: of the issuer that is named, else of any that is known.
    fn sessions_of(&self, issuer: Option<&str>, sid: Option<&str>) -> Vec<SessionId> {
        let Some(sid) = sid else { return Vec::new() };
        let learned = self.state.stores.identity.issuers().iter();
        let known = learned.map(|issuer| &**issuer).chain(self.issuers.names());
        let ids = issuer.into_iter().chain(known);
        let ids = ids.map(|issuer| session_of_sid(issuer, sid, &self.settings.key));
        let mut found: Vec<SessionId> = ids
            .filter(|id| self.state.stores.sessions.get(*id).is_some())
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
            && session.logout.is_none()
        {
            session.logout = Some(Box::new(Logout {
                time: told.time,
                visit: session.current,
            }));
        }
    }
}

#[cfg(test)]
mod tests;
