//! What a use leaves behind, once it was judged.
//!
//! In: the use and its facts. Out: changed stores, sightings.
//! Does not know: rules. A use that is not believed moves nothing of its subject's.

use super::health::Health;
use super::learn::{Arrival, Lesson, Serving, is_calm};
use super::prepare::{self, Prepared};
use super::standing::{self, forgery};
use super::{Engine, Observation};
use crate::detectors::OriginCounts;
use crate::domain::context::Context;
use crate::domain::event::{EventKind, Intent};
use crate::domain::facts::{Fact, Facts};
use crate::domain::incident::Target;
use crate::domain::sighting::Sighting;
use crate::domain::time::Time;
use crate::domain::token::{CredentialPlace, Token};
use crate::domain::usage::TokenUse;
use crate::sessions::Stores;
use crate::sessions::device::one_device;
use crate::sessions::moves::Logout;
use crate::sessions::rhythm::Opening;
use crate::sessions::session::{Answer, ContextKey, Session};
use crate::sessions::source::Origin;
use crate::sessions::token::{EarlyUse, TokenEntry};
use std::sync::Arc;

/// At most one sighting of a session in a context in this time: a fleet hears of moves, not of requests.
const SIGHTING_MS_MIN: i64 = 60_000;

impl Engine {
    /// Counts a use for its source network. Believed uses and others are counted apart, so that a flood of forgeries
    /// cannot evict what is real.
    pub(super) fn count_origin(
        &mut self,
        prepared: &Prepared<'_>,
        token: &Token,
        context: &Context,
        believed: bool,
        forgery: bool,
    ) -> OriginCounts {
        let Stores {
            sources,
            claimants,
            sessions,
            ..
        } = &mut self.state.stores;
        let time = prepared.event.time;
        let table = if believed { sources } else { claimants };
        let origin = table.get_or_insert_with(context.prefix(), Origin::default);
        let refused = prepared.event.refused();
        let mut counts = OriginCounts {
            rejected: if refused {
                origin.odd_mut().rejected.add(time)
            } else {
                0
            },
            forged: if forgery {
                self.state.forged.add(time);
                origin.odd_mut().forged.add(time)
            } else {
                0
            },
            ..OriginCounts::default()
        };
        if let Some(subject) = token.subject {
            if believed {
                origin.subjects.add(subject, time);
                if sessions
                    .get(token.session)
                    .is_some_and(|s| at_home_elsewhere(s, context))
                {
                    origin.odd_mut().newcomers.add(subject, time);
                }
            } else if forgery || refused {
                origin.odd_mut().named.add(subject, time);
            }
        }
        counts.subjects = origin.subjects.count(time);
        if let Some(odd) = origin.odd() {
            counts.newcomers = odd.newcomers.count(time);
            counts.named = odd.named.count(time);
        }
        if believed {
            self.count_crowd(prepared, token, context, &mut counts);
        }
        counts
    }

    /// Tokens that a note mentions: they were written where others can read them, and presented to nobody. One that
    /// names no client can be held against none.
    pub(super) fn mentioned(&mut self, prepared: &Prepared<'_>, out: &mut Observation) {
        for credential in &prepared.credentials {
            if prepared.event.client.is_some() {
                if !self.defers(prepared, credential.digest) {
                    self.credential(prepared, credential, out);
                }
                continue;
            }
            let Some((_, mut entry)) = self.known_or_decoded(prepared, credential, out) else {
                self.state.health.undecodable();
                continue;
            };
            let time = Some(prepared.event.time).filter(|time| *time != Time::default());
            let time = time.unwrap_or(self.state.newest);
            entry.leak(time, None);
            self.remember(credential.digest, entry, false);
        }
    }

    /// Records a use that does not repeat the last.
    pub(super) fn record(
        &mut self,
        prepared: &Prepared<'_>,
        entry: &mut TokenEntry,
        usage: &TokenUse<'_>,
        facts: &Facts,
        believed: bool,
        out: &mut Observation,
    ) {
        let time = usage.event.time;
        let asked = usage.event.kind == EventKind::Asked;
        self.note_token(entry, usage, believed);
        if !believed {
            note_shown(entry, prepared.context_key, usage);
            self.record_refusal(prepared, usage);
            return;
        }
        let context = Arc::clone(usage.context);
        let token = usage.token;
        let sessions = &self.state.stores.sessions;
        let known = sessions.get(token.session);
        let begins = known.is_none();
        let arrives = known.is_none_or(|session| session.visit(prepared.context_key).is_none());
        let new = || Session::new(token.subject);
        let session = self
            .state
            .stores
            .sessions
            .get_or_insert_with(token.session, new);
        let shown = entry.take_shown();
        if begins && let Some(shown) = shown.filter(|shown| shown.begins_session_at(time)) {
            session.record(shown.key, &shown.context, shown.time);
        }
        let (before, left, requests) = (session.last_seen(), session.current, session.requests);
        let served = Serving::of(session, prepared.context_key);
        let index = session.record(prepared.context_key, &context, time);
        let serves = served.and_then(|served| served.goes_on(session, index, time));
        let returns_from = (!arrives && session.current != left).then_some(left);
        if asked {
            session.await_line(index);
        } else {
            let (writes, bytes) = (usage.event.writes(), usage.event.bytes);
            session.count(index, Answer::Accepted, writes, bytes);
        }
        let joins = facts.is(Fact::SessionUsualCompanion);
        if joins {
            session.accompany(index);
        }
        note_logout(&mut self.state.health, session, prepared, index, before);
        let opening = Opening::of(session, requests);
        let calm = is_calm(session, facts, time);
        if self.settings.sightings {
            sight(session, index, prepared, usage, &mut out.sightings);
        }
        if let Some(id) = token.subject {
            self.learn_subject(id, usage, calm, arrives);
        }
        let lesson = Lesson { begins, calm };
        self.learn(entry, token, &context, time, lesson);
        self.learn_requests(usage, calm);
        self.learn_opening(token.subject, opening);
        if calm && arrives {
            self.learn_home(usage);
        }
        let arrival = Arrival {
            index,
            joins,
            is_new: arrives && calm,
            returns_from,
            serves,
        };
        self.learn_company(token, &context, arrival);
        let joins_others = arrives && !begins && !joins;
        let watched = self.watch(usage, prepared.context_key, facts, joins_others);
        entry.accepted = true;
        judged(entry, usage, prepared, watched);
        entry.provenance = usage.provenance;
    }

    /// Notes what a use says of its token: that it was let in, or stands where others can read it.
    fn note_token(&mut self, entry: &mut TokenEntry, usage: &TokenUse<'_>, believed: bool) {
        if usage.event.kind != EventKind::Asked {
            self.state.health.used(usage.provenance);
            if believed && !entry.accepted {
                self.state.stores.let_in(usage.token);
            }
        }
        let readable = !matches!(
            usage.place,
            CredentialPlace::Header | CredentialPlace::Cookie | CredentialPlace::Field
        );
        if readable {
            let path = prepare::path_key(&self.settings.key, usage.event);
            entry.leak(usage.event.time, path);
        }
    }

    /// A use that was not believed still counts in a context the session already has.
    fn record_refusal(&mut self, prepared: &Prepared<'_>, usage: &TokenUse<'_>) {
        let Some(session) = self.state.stores.sessions.get_mut(usage.token.session) else {
            return;
        };
        let Some((index, visit)) = session.visit(prepared.context_key) else {
            return;
        };
        let own = visit.accepted > 0 && !forgery(usage.token, usage.verdict);
        let event = usage.event;
        let answered = event.status >= 200 && !event.refused();
        let asks = answered && event.intent() != Intent::Options;
        if own && asks && index == session.current {
            session.ask(event.time);
        }
        if own && standing::is_holders(usage) {
            session.turn(index, event.time);
        }
        let answer = if usage.event.refused() {
            Answer::Refused
        } else {
            Answer::Other
        };
        session.count(index, answer, false, 0);
        // A logout often answers with a redirect, which accepts nothing, and still ends the session.
        let redirects = (300..400).contains(&usage.event.status);
        if prepared.path.logout && redirects && session.logout().is_none() {
            session.end(Logout {
                time: usage.event.time,
                visit: index,
            });
            self.state.health.logout();
        }
    }

    /// Remembers what was denied, for tokens not yet seen and for those at hand.
    pub(super) fn revoke(&mut self, target: &Target, time: Time) {
        let key = self.revoked_key(target);
        self.state.revoked.get_or_insert_with(key, || time);
        self.state.revocations = self.state.revocations.wrapping_add(1);
    }

    /// Forgets that it was denied: what its holder does from now on is no drift.
    pub(super) fn restored(&mut self, target: &Target) {
        let key = self.revoked_key(target);
        self.state.revoked.remove(key);
        self.state.revocations = self.state.revocations.wrapping_add(1);
    }

    fn revoked_key(&self, target: &Target) -> u128 {
        let name = target.name();
        let parts = [
            target.kind().as_bytes(),
            target.issuer().as_bytes(),
            name.as_bytes(),
        ];
        self.settings.key.hash("revoked", &parts)
    }

    /// When this token, its session or its subject was revoked, if it was.
    pub(super) fn revoked(&mut self, token: &Token) -> Option<Time> {
        if self.state.revoked.is_empty() {
            return None;
        }
        let issuer = token.issuer.as_deref().unwrap_or_default();
        let id = token.id.to_string();
        let names = [
            ("jti", token.jti.as_deref()),
            ("sid", token.sid.as_deref()),
            ("token", Some(&*id)),
        ];
        names
            .iter()
            .filter_map(|(kind, name)| Some((kind, (*name)?)))
            .filter_map(|(kind, name)| {
                let parts = [kind.as_bytes(), issuer.as_bytes(), name.as_bytes()];
                self.state
                    .revoked
                    .get(self.settings.key.hash("revoked", &parts))
                    .copied()
            })
            .min()
    }
}

/// Remembers who showed a token first, when the answer told nothing of it. A token that its issuer cannot have made is
/// nobody's.
fn note_shown(entry: &mut TokenEntry, key: ContextKey, usage: &TokenUse<'_>) {
    let event = usage.event;
    let tells_nothing =
        event.kind == EventKind::Request && !event.refused() && event.intent() != Intent::Options;
    let is_first = entry.shown().is_none() && !entry.accepted;
    if is_first && tells_nothing && usage.place.presents() && !forgery(usage.token, entry.verdict) {
        entry.show(EarlyUse {
            key,
            context: Arc::clone(usage.context),
            time: event.time,
        });
    }
}

/// Records that rules have said all they can about uses from this context, unless more is wanted: of who is watched,
/// and of a question, whose line tells more.
fn judged(entry: &mut TokenEntry, usage: &TokenUse<'_>, prepared: &Prepared<'_>, watched: bool) {
    if watched {
        entry.judge_again();
    } else if usage.event.kind != EventKind::Asked {
        entry.judge(usage.token, prepared.context_key, usage.event.time);
    }
}

/// Notes that a use ends its session, or comes after its end.
fn note_logout(
    health: &mut Health,
    session: &mut Session,
    prepared: &Prepared<'_>,
    visit: u8,
    before: Time,
) {
    let time = prepared.event.time;
    match session.logout() {
        Some(logout) => health.used_after(logout.time, before, time),
        None if prepared.path.logout => {
            session.end(Logout { time, visit });
            health.logout();
        }
        None => {}
    }
}

/// True when the session is bound to a context that one device could not also have here.
fn at_home_elsewhere(session: &Session, here: &Context) -> bool {
    let mut bound = session.bound().peekable();
    bound.peek().is_some() && bound.all(|visit| !one_device(&visit.context, here))
}

/// True when another node should hear again that the session is where it is.
pub(super) fn sighting_due(session: &Session, time: Time) -> bool {
    let here = session.current();
    let sighted = here.and_then(|visit| session.sighted(visit.key));
    sighted.is_none_or(|last| time.as_ms() - last.as_ms() >= SIGHTING_MS_MIN)
}

/// Tells other nodes of a visit, unless they heard of it within a minute.
pub(super) fn sight(
    session: &mut Session,
    index: u8,
    prepared: &Prepared<'_>,
    usage: &TokenUse<'_>,
    sightings: &mut Vec<Sighting>,
) {
    let Some(visit) = session.visits.get(usize::from(index)) else {
        return;
    };
    let (key, uses, time) = (visit.key, visit.accepted, usage.event.time);
    let sighted = session.sighted(key);
    if sighted.is_some_and(|last| time.as_ms() - last.as_ms() < SIGHTING_MS_MIN) {
        return;
    }
    session.sight(key, time);
    sightings.push(Sighting {
        time,
        token: usage.token.clone(),
        context: Arc::clone(usage.context),
        context_key: prepared.context_key.0,
        verdict: usage.verdict,
        provenance: usage.provenance,
        uses,
    });
}
