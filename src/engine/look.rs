//! What is known of a use before it is measured, as far as the stores and the configuration tell.
//!
//! In: a use and its token's entry. Out: [`Look`], to which the engine adds what the request itself shows.
//! Does not know: facts, rules.

use super::{Engine, standing};
use crate::detectors::Look;
use crate::domain::context::Context;
use crate::domain::event::AccessEvent;
use crate::domain::token::CredentialPlace;
use crate::domain::usage::TokenUse;
use crate::sessions::session::ContextKey;
use crate::sessions::token::TokenEntry;

impl Engine {
    /// True when somebody presents the token, and nothing merely looks at a link that holds it.
    pub(super) fn presents(
        &self,
        event: &AccessEvent<'_>,
        place: CredentialPlace,
        path_key: Option<u64>,
        entry: &TokenEntry,
        context: &Context,
    ) -> bool {
        let begun = self.state.stores.sessions.get(entry.session).is_some();
        let use_of = (place, context);
        place.presents() && !standing::opens_link(event, path_key, entry, use_of, begun)
    }

    /// What is known before a use; of a token that cannot be trusted, neither session nor subject.
    pub(super) fn look<'a>(
        &'a self,
        usage: &'a TokenUse<'a>,
        entry: &'a TokenEntry,
        key: ContextKey,
        trusted: bool,
    ) -> Look<'a> {
        let (token, stores) = (usage.token, &self.state.stores);
        let session = stores.sessions.get(token.session);
        let subject = token.subject.and_then(|id| stores.subjects.get(id));
        let client = self.client_key(token);
        let nature = stores.clients.of(client);
        Look {
            session: session.filter(|_| trusted),
            subject: subject.filter(|_| trusted),
            population: Some(&stores.population),
            client,
            nature: nature.filter(|_| token.client_id.is_some()),
            family: stores.families.of(token.session),
            told: self.told(token),
            login: self.login(token),
            without_login: self.lacks_login(token, usage.event.time),
            usual: session
                .is_some_and(|session| trusted && self.is_usual(session, subject, usage, key)),
            serves_people: trusted && self.serves_people(usage),
            foreign_issuer: self.foreign(token),
            foreign_audience: self.issuers.is_foreign_audience(token),
            honeytoken: self.issuers.is_honeytoken(token),
            other_tenant: self.is_other_tenants(usage),
            watch: self.watch_of(usage, key).filter(|_| trusted),
            ..Look::of(usage, entry, key)
        }
    }
}
