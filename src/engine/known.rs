//! What the engine already knows of a credential, and the fast path that rests on it.
//!
//! In: [`Prepared`], [`Credential`]. Out: a [`TokenEntry`], a context, whether a use repeats the last one.
//! Does not know: facts, rules.

use super::prepare::Prepared;
use super::standing;
use super::{Engine, Observation, record};
use crate::domain::context::Context;
use crate::domain::event::Intent;
use crate::domain::facts::Fact;
use crate::domain::ids::{Digest, SessionId};
use crate::domain::line::SkipReason;
use crate::domain::token::{Credential, CredentialPlace, Provenance, Token, Verdict};
use crate::domain::usage::TokenUse;
use crate::sessions::Stores;
use crate::sessions::issued::Clash;
use crate::sessions::rhythm::Opening;
use crate::sessions::session::{Answer, ContextKey, Session};
use crate::sessions::token::TokenEntry;
use crate::tokens::decode::decode;
use crate::tokens::verify::judge;
use std::sync::Arc;

/// Lines whose entries are looked at together.
pub const FORESEEN: usize = 16;

/// A use that was settled.
pub(super) struct Settled {
    pub(super) digest: Digest,
    pub(super) session: SessionId,
    pub(super) key: ContextKey,
    pub(super) calm_s: (u32, u32),
    pub(super) provenance: Provenance,
    /// What a use that was not answered to is to be believed for.
    pub(super) unanswered: Provenance,
}

/// Tokens kept decoded: those of whom is looked at use by use, of some hundred bytes each.
pub(super) const DECODED_MAX: usize = 16_384;

/// Issuer and client of most tokens are shorter together.
const NAMES_BYTES_USUAL: usize = 128;

impl Engine {
    /// Looks at what the next lines, [`FORESEEN`] at most, will ask for. Nothing changes by it; but a table of many
    /// megabytes answers many questions at once in the time of one.
    pub fn foresee(&self, lines: &[Result<Prepared<'_>, SkipReason>]) {
        let Stores {
            tokens, sessions, ..
        } = &self.state.stores;
        let mut known = [None; FORESEEN];
        for (known, line) in known.iter_mut().zip(lines) {
            let line = line.as_ref().ok();
            let shown = line.and_then(|line| line.credentials.first());
            let digest = shown.map(|shown| shown.digest);
            let digest = digest.filter(|digest| !self.lanes.holds(*digest));
            *known = digest.and_then(|digest| Some(tokens.get(digest)?.session));
        }
        let sessions = known.into_iter().flatten().map(|id| sessions.get(id));
        std::hint::black_box(
            sessions
                .flatten()
                .map(|session| session.requests)
                .map(u64::from)
                .sum::<u64>(),
        );
    }

    /// The fast path: true when the use repeats its session's last one and everything about it is recorded.
    pub(super) fn settle(&mut self, prepared: &Prepared<'_>, credential: &Credential<'_>) -> bool {
        let digest = credential.digest;
        let gate = self.rules.gate();
        if !unremarkable(prepared, credential.place)
            || gate.sees_every_use()
            || gate.text_hit(&prepared.event)
            || self.watched(prepared)
        {
            return false;
        }
        if let Some(provenance) = self.ride(prepared, digest) {
            self.state.health.used(provenance);
            return true;
        }
        let Some(entry) = self.state.stores.tokens.get_mut(digest) else {
            return false;
        };
        let stale =
            stale(entry, self.state.keys_version) || entry.revocations != self.state.revocations;
        if stale || !plain(entry, prepared) {
            return false;
        }
        let settled = Settled {
            digest,
            session: entry.session,
            key: prepared.context_key,
            calm_s: entry.calm_s,
            provenance: entry.provenance,
            unanswered: standing::unanswered(&prepared.event, entry),
        };
        self.land(settled.session);
        let Some(session) = self.state.stores.sessions.get_mut(settled.session) else {
            return false;
        };
        let woken = self.rules.thresholds(Fact::SessionRequests);
        if !stays(session, prepared)
            || woken.contains(&(f64::from(session.requests) + 1.0))
            || (self.settings.sightings && record::sighting_due(session, prepared.event.time))
        {
            return false;
        }
        let (subject, opening) = (session.subject, repeat(session, prepared));
        if !prepared.event.succeeded() {
            self.state.health.used(settled.unanswered);
            return true;
        }
        self.state.health.used(settled.provenance);
        self.learn_opening(subject, opening);
        self.open_lane(settled);
        true
    }

    /// One credential that is not known to repeat the last: derive what it is and where it comes from.
    pub(super) fn credential(
        &mut self,
        prepared: &Prepared<'_>,
        credential: &Credential<'_>,
        out: &mut Observation,
    ) {
        let Some((token, entry)) = self.known_or_decoded(prepared, credential, out) else {
            return self.state.health.undecodable();
        };
        if let Some(context) = self.context(entry.session, prepared) {
            let presented = self.shown(credential, &token, prepared);
            self.presented(prepared, presented, (&token, entry), &context, out);
        }
    }

    /// What [`Self::settle`] records, for a use that was measured all the same.
    pub(super) fn settle_repeat(
        &mut self,
        prepared: &Prepared<'_>,
        usage: &TokenUse<'_>,
        out: &mut Observation,
    ) {
        let Some(session) = self.state.stores.sessions.get_mut(usage.token.session) else {
            return;
        };
        let (subject, opening) = (session.subject, repeat(session, prepared));
        if self.settings.sightings && prepared.event.succeeded() {
            record::sight(
                session,
                session.current,
                prepared,
                usage,
                &mut out.sightings,
            );
        }
        self.learn_opening(subject, opening);
    }

    /// True when the use repeats its session's current context, token and answer.
    pub(super) fn repeats(
        &self,
        entry: &TokenEntry,
        prepared: &Prepared<'_>,
        place: CredentialPlace,
    ) -> bool {
        let session = self.state.stores.sessions.get(entry.session);
        unremarkable(prepared, place)
            && plain(entry, prepared)
            && session.is_some_and(|session| stays(session, prepared))
    }

    fn watched(&self, prepared: &Prepared<'_>) -> bool {
        let client = prepared
            .event
            .client
            .map(crate::domain::context::Prefix::of);
        client.is_some_and(|prefix| self.state.incidents.suspects(prefix))
    }

    /// The token and its entry, checked when it is new, or when a newer key set may say more. `None` when nothing can
    /// be made of it.
    pub(super) fn known_or_decoded(
        &mut self,
        prepared: &Prepared<'_>,
        credential: &Credential<'_>,
        out: &mut Observation,
    ) -> Option<(Arc<Token>, TokenEntry)> {
        let digest = credential.digest;
        self.land_token(digest);
        let known = match self.state.stores.tokens.get_mut(digest) {
            Some(entry) => Some(entry.clone()),
            None => self
                .state
                .stores
                .claimed
                .get_mut(digest)
                .map(|entry| entry.clone()),
        };
        let anew = !self.settings.fast_path;
        let foretold = prepared.foretold.as_ref().filter(|_| !anew);
        let foretold = foretold.and_then(|foretold| foretold.of(digest, &self.issuers));
        let token = match (&known, foretold) {
            (None, Some((token, _))) => Arc::clone(token),
            (None, None) => self.decode(credential)?,
            (Some(_), _) if anew => self.decode(credential)?,
            (Some(entry), _) => self.decode_again(credential, entry)?,
        };
        let mut entry = known.unwrap_or_else(|| TokenEntry::new(&token));
        if stale(&entry, self.state.keys_version) || anew {
            let verdict = match foretold {
                Some((_, verdict)) => verdict,
                None => judge(credential, &token, &self.issuers),
            };
            if verdict != entry.verdict {
                // What rules said of the token, they said of another verdict.
                entry.judge_again();
            }
            entry.verdict = verdict;
            entry.keys_version = self.state.keys_version;
            if matches!(entry.verdict, Verdict::UnknownKey | Verdict::Unverifiable)
                && let Some(issuer) = token.issuer.as_deref()
                && !out.wanted_keys.iter().any(|wanted| **wanted == *issuer)
            {
                out.wanted_keys.push(issuer.into());
            }
        }
        self.hear_of_revocations(&mut entry, &token);
        Some((token, entry))
    }

    fn decode(&self, credential: &Credential<'_>) -> Option<Arc<Token>> {
        decode(credential, &self.settings.key).ok().map(Arc::new)
    }

    /// The token of an entry, as its credential shows it once more: which nearly no use asks for, and then mostly those
    /// of a few tokens.
    fn decode_again(
        &mut self,
        credential: &Credential<'_>,
        entry: &TokenEntry,
    ) -> Option<Arc<Token>> {
        let known = entry
            .whole()
            .or_else(|| self.decoded.get(credential.digest));
        if let Some(token) = known {
            return Some(Arc::clone(token));
        }
        let token = self.decode(credential)?;
        self.decoded.insert(credential.digest, Arc::clone(&token));
        Some(token)
    }

    /// Looks again whether the token was revoked, when something was since it was looked at last.
    pub(super) fn hear_of_revocations(&mut self, entry: &mut TokenEntry, token: &Token) {
        if entry.revocations != self.state.revocations {
            entry.revocations = self.state.revocations;
            entry.revoke(self.revoked(token));
        }
    }

    /// Keeps what became of a token: with those that are believed, or apart with those that only claim.
    pub(super) fn remember(&mut self, digest: Digest, entry: TokenEntry, believed: bool) {
        let Stores {
            tokens, claimed, ..
        } = &mut self.state.stores;
        let table = if believed || entry.accepted {
            tokens
        } else {
            claimed
        };
        table.insert(digest, entry);
    }

    /// The context of a use: that of the session's visit, where it was there before.
    pub(super) fn context(
        &mut self,
        session: SessionId,
        prepared: &Prepared<'_>,
    ) -> Option<Arc<Context>> {
        let known = self
            .settings
            .fast_path
            .then(|| {
                self.state
                    .stores
                    .sessions
                    .get(session)?
                    .visit(prepared.context_key)
            })
            .flatten();
        if let Some((_, visit)) = known {
            return Some(Arc::new(visit.context.clone()));
        }
        self.surroundings.describe(&prepared.event).map(Arc::new)
    }

    /// True when issuers are configured and the token's is none of them.
    pub(super) fn foreign(&self, token: &Token) -> bool {
        let own = token
            .issuer
            .as_deref()
            .is_some_and(|issuer| self.issuers.is_configured(issuer));
        !own && self.issuers.names().next().is_some()
    }

    /// Keyed digest of the client that a token was issued to, and of its issuer.
    pub(super) fn client_key(&self, token: &Token) -> u64 {
        let names = [token.issuer.as_deref(), token.client_id.as_deref()];
        let mut parts = Vec::with_capacity(NAMES_BYTES_USUAL);
        for name in names {
            parts.extend_from_slice(name.unwrap_or_default().as_bytes());
            parts.push(0xff);
        }
        self.settings.key.short_digest_of(&parts)
    }

    /// What already stands under the token's `(iss, jti)`.
    pub(super) fn issued_before(&mut self, token: &Token) -> Option<Clash> {
        let issuer = token.issuer.as_deref().unwrap_or_default();
        let issuer = self.settings.key.digest("issuer", &[issuer.as_bytes()]);
        self.state.stores.issued.record(issuer.0, token)
    }
}

/// True when a newer key set may say more about a token than the one that judged it.
fn stale(entry: &TokenEntry, keys_version: u32) -> bool {
    let open = matches!(
        entry.verdict,
        Verdict::UnknownKey | Verdict::Unverifiable | Verdict::NotConfigured
    );
    entry.keys_version == 0 || (open && entry.keys_version != keys_version)
}

/// True when there is nothing remarkable about the request and its answer, which says that the token was accepted, or
/// nothing of it: not found, moved, out of order.
fn unremarkable(prepared: &Prepared<'_>, place: CredentialPlace) -> bool {
    let event = &prepared.event;
    let is_final = event.status >= 200;
    is_final
        && !event.refused()
        && prepared.intent != Intent::Options
        && !prepared.path.logout
        && !prepared.path.sensitive
        && matches!(
            place,
            CredentialPlace::Header | CredentialPlace::Cookie | CredentialPlace::Field
        )
}

/// True when there is nothing remarkable about the token, where it is and now.
fn plain(entry: &TokenEntry, prepared: &Prepared<'_>) -> bool {
    let event = &prepared.event;
    entry.is_calm(prepared.context_key, event.start(), event.time)
}

/// True when the session stays where it is, in order, and was accepted there before.
fn stays(session: &Session, prepared: &Prepared<'_>) -> bool {
    session.logout().is_none()
        && !session.unattended(prepared.event.time)
        && prepared.event.time >= session.last_seen()
        && session.current().is_some_and(|visit| {
            visit.key == prepared.context_key && visit.accepted > 0 && !visit.suspect
        })
}

/// Counts the use. How the session began, when it has with this one.
fn repeat(session: &mut Session, prepared: &Prepared<'_>) -> Option<Opening> {
    let (event, before) = (&prepared.event, session.requests);
    let writes = prepared.intent == Intent::Write;
    let (answer, writes, bytes) = match event.succeeded() {
        true => (Answer::Accepted, writes, event.bytes),
        false => (Answer::Other, false, 0),
    };
    match answer {
        Answer::Accepted => session.stay(event.time),
        Answer::Refused | Answer::Other => session.ask(event.time),
    }
    session.count(session.current, answer, writes, bytes);
    Opening::of(session, before)
}
