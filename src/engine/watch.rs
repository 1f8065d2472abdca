//! Who is new to a session is watched for some uses: how fast, how regularly, and what for he asks; and whose data a
//! request is about.
//!
//! In: believed uses. Out: what detectors compare, changed stores.
//! Does not know: rules. While a context is watched its uses take the long way; there are twenty of them at most. How
//! a session began is learned from its counts, whichever way its uses took.

use super::Engine;
use crate::domain::context::NetworkKind;
use crate::domain::event::AccessEvent;
use crate::domain::facts::{Fact, Facts};
use crate::domain::ids::SubjectId;
use crate::domain::usage::TokenUse;
use crate::incidents::template;
use crate::sessions::rhythm::{Opening, Watch};
use crate::sessions::session::ContextKey;
use crate::sessions::tenants::Word;

/// Parts of a path in which a tenant can stand: services put it in front.
const PARTS_MAX: usize = 5;

impl Engine {
    /// The watch on the use's context, with the use.
    pub(super) fn watch_of(&self, usage: &TokenUse<'_>, key: ContextKey) -> Option<Watch> {
        let event = usage.event;
        let watch = self.state.stores.watches.of(usage.token.session, key)?;
        Some(watch.and(event.time, event.bytes, self.strangeness(usage)))
    }

    /// How much rarer than usual it is that somebody asks for this.
    fn strangeness(&self, usage: &TokenUse<'_>) -> Option<f64> {
        let kind = self.kind_of_path(usage.event)?;
        let client = self.client_key(usage.token);
        self.state.stores.endpoints.strangeness(client, kind)
    }

    fn kind_of_path(&self, event: &AccessEvent<'_>) -> Option<u32> {
        let template = template(event.path.as_deref()?);
        Some(self.settings.key.short_digest_of(template.as_bytes()) as u32)
    }

    /// Goes on watching, or begins to: who is new to his session and differs from its holder. True while it goes on.
    pub(super) fn watch(
        &mut self,
        usage: &TokenUse<'_>,
        key: ContextKey,
        facts: &Facts,
        joins_others: bool,
    ) -> bool {
        let event = usage.event;
        let differs = facts
            .get(Fact::DriftDimensions)
            .is_some_and(|count| count > 0.0);
        // Behind a VPN nothing differs, and one of many who come there at once is only known by those after him.
        let hides = usage.context.network_kind() == NetworkKind::Vpn;
        let stranger =
            differs || hides || facts.is(Fact::SessionAnswers) || facts.is(Fact::NovelAddress);
        let begins = || {
            let new = || Watch::new(event.time, event.bytes, self.strangeness(usage));
            (joins_others && stranger).then(new)
        };
        let watch = self.watch_of(usage, key).or_else(begins);
        let watches = &mut self.state.stores.watches;
        watch.is_some_and(|watch| watches.keep(usage.token.session, key, watch))
    }

    /// Learns what is asked for, from a use that nothing is strange about.
    pub(super) fn learn_endpoint(&mut self, usage: &TokenUse<'_>) {
        if let Some(kind) = self.kind_of_path(usage.event) {
            let client = self.client_key(usage.token);
            self.state.stores.endpoints.learn(client, kind);
        }
    }

    /// Learns how a subject's session began, once it has.
    pub(super) fn learn_opening(&mut self, subject: Option<SubjectId>, opening: Option<Opening>) {
        let subjects = &mut self.state.stores.subjects;
        let subject = opening.and_then(|_| subjects.get_mut(subject?));
        if let Some((opening, subject)) = opening.zip(subject) {
            subject.habits.rhythm.learn(opening);
        }
    }

    /// True when the request is about another tenant than its token's.
    pub(super) fn is_other_tenants(&self, usage: &TokenUse<'_>) -> bool {
        let words = self.tenant_words(usage);
        words.is_some_and(|(own, words)| self.state.stores.tenants.is_others(own, &words))
    }

    /// Learns where tenants stand.
    pub(super) fn learn_tenant(&mut self, usage: &TokenUse<'_>) {
        if let Some((own, words)) = self.tenant_words(usage) {
            self.state.stores.tenants.learn(own, &words);
        }
    }

    /// The token's tenant, and the words of the request among which it may be: the first label of the host, and the
    /// first parts of the path.
    fn tenant_words(&self, usage: &TokenUse<'_>) -> Option<(u64, Vec<Word>)> {
        let tenant = usage.token.tenant.as_deref()?;
        let issuer = usage.token.issuer.as_deref().unwrap_or_default();
        let digest = |place: &str, text: &str| {
            let text = format!("{issuer} {place} {}", text.to_ascii_lowercase());
            self.settings.key.short_digest_of(text.as_bytes())
        };
        let word = |spot: u64, text: &str| Word {
            spot,
            text: digest("tenant", text),
        };
        let host = usage.event.host.as_deref().unwrap_or_default();
        let label = host.split('.').next().unwrap_or_default();
        let mut words = vec![word(digest("host", ""), label)];
        let path = usage.event.path.as_deref().unwrap_or_default();
        let parts = path.split('/').filter(|part| !part.is_empty());
        let mut before = "";
        for part in parts.take(PARTS_MAX) {
            words.push(word(digest("after", before), part));
            before = part;
        }
        Some((digest("tenant", tenant), words))
    }
}
