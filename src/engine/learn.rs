//! What a believed use teaches beside its session's and its subject's context: what its client is like, and which token
//! its holder has, who accompanies whom.
//!
//! In: a use that was recorded. Out: changed stores, and what they know of the next.
//! Does not know: rules. A use that drifts teaches nothing but over which two lines it goes, nor does another in its
//! session until who is suspected there was silent for a week.

use super::Engine;
use super::prepare::{self, Prepared};
use crate::domain::context::{Context, NetworkKind};
use crate::domain::facts::{Fact, Facts};
use crate::domain::ids::{IdKey, SubjectId};
use crate::domain::time::Time;
use crate::domain::token::Token;
use crate::domain::usage::TokenUse;
use crate::sessions::Stores;
use crate::sessions::companions::Shown;
use crate::sessions::device::{is_persons, is_server, same_build, two_lines};
use crate::sessions::families::Line;
use crate::sessions::habits::{Model, Seen};
use crate::sessions::session::{ContextKey, Session, Visit};
use crate::sessions::subject::Subject;
use crate::sessions::token::TokenEntry;

/// What a use may teach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    /// Its session begins with it.
    pub(super) begins: bool,
    /// Nothing about it is strange.
    pub(super) calm: bool,
}

/// How a use came into its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Its visit.
    pub(super) index: u8,
    /// As a companion that is known already.
    pub(super) joins: bool,
    /// For the first time, and nothing about it is strange.
    pub(super) is_new: bool,
    /// From the visit that the session was in, back to one that it had left.
    pub(super) returns_from: Option<u8>,
    /// As a server that answered the person until now: whether it still does.
    pub(super) serves: Option<bool>,
}

/// A suspect who has been silent for as long has lost the session, or never was one: people's weeks repeat themselves.
const QUIET_S_MIN: f64 = 7.0 * 86_400.0;

/// So long after its first call, what a server answers is another page.
const NEXT_PAGE_S_MIN: f64 = 60.0;

/// A visit that only answered its session's person, before one more use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    first: Time,
    last: Time,
}

impl Serving {
    /// What the context did so far, where that was to answer.
    pub(super) fn of(session: &Session, key: ContextKey) -> Option<Self> {
        let (_, visit) = session.visit(key)?;
        let (first, last) = (visit.first, visit.last);
        visit.answers.then_some(Self { first, last })
    }

    /// False once it goes on alone, true the first time that it answers another page.
    pub(super) fn goes_on(self, session: &Session, index: u8, time: Time) -> Option<bool> {
        let visit = session.visits.get(usize::from(index))?;
        let later = |time: Time| time.since_s(self.first) >= NEXT_PAGE_S_MIN;
        let again = later(time) && !later(self.last);
        (again || !visit.answers).then_some(visit.answers)
    }
}

impl Engine {
    /// Learns from a believed use.
    pub(super) fn learn(
        &mut self,
        entry: &TokenEntry,
        token: &Token,
        context: &Context,
        time: Time,
        lesson: Lesson,
    ) {
        let first = !entry.accepted && lesson.calm;
        let client = self.client_key(token);
        if first && token.client_id.is_some() {
            self.state.stores.clients.learn(client, token, context);
        }
        if lesson.begins {
            self.state.stores.retinue.begin();
            self.learn_exit(token, context, time);
            self.learn_coverage(token);
        }
        if let Some(line) = Line::of(token, client).filter(|_| first) {
            self.state.stores.families.show(token.session, line);
        }
        if !entry.accepted
            && let Some(issuer) = token.issuer.as_deref()
        {
            self.state.stores.identity.learn_issuer(issuer);
        }
    }

    /// Counts a use for its subject, and learns from it where it `teaches`; `arrives` says that its session was never
    /// in this context before.
    pub(super) fn learn_subject(
        &mut self,
        id: SubjectId,
        usage: &TokenUse<'_>,
        teaches: bool,
        arrives: bool,
    ) {
        let time = usage.event.time;
        let Stores {
            subjects,
            population,
            ..
        } = &mut self.state.stores;
        let subject = subjects.get_or_insert_with(id, || Subject::new(time));
        subject.count_session(usage.token.session);
        if !teaches {
            return;
        }
        subject.learn(usage.context, time);
        if arrives {
            let seen = Seen::of(usage.context, usage.event.user_agent.as_deref());
            population.learn(seen, &subject.habits);
            subject.habits.learn(seen, time, &Model::OURS);
        }
    }

    /// Learns what people ask for, and about whose data.
    pub(super) fn learn_requests(&mut self, usage: &TokenUse<'_>, calm: bool) {
        if calm {
            self.learn_endpoint(usage);
        }
        self.learn_tenant(usage);
    }

    /// Learns who accompanies whom from how a use came into its session.
    pub(super) fn learn_company(&mut self, token: &Token, context: &Context, arrival: Arrival) {
        let session = self.state.stores.sessions.get(token.session);
        let from_the_start = session.is_some_and(|session| session.is_served_by(arrival.index));
        if arrival.joins && !from_the_start {
            self.learn_late(token, context);
        } else if arrival.joins || arrival.is_new {
            self.learn_companions(token, arrival.index);
        } else if let Some(answers) = arrival.serves {
            self.learn_service(token, context, answers);
        } else if let Some(left) = arrival.returns_from {
            self.learn_lines(token, left, arrival.index);
        }
    }

    /// Learns that a server which came late answers the person's pages, or goes on alone.
    fn learn_service(&mut self, token: &Token, context: &Context, answers: bool) {
        let name = backend_name(&self.settings.key, token, context);
        let retinue = &mut self.state.stores.retinue;
        match (name, token.subject) {
            (Some(name), Some(person)) if answers => retinue.answers(name, person),
            (Some(name), _) if !answers => retinue.went_on_alone(name),
            _ => {}
        }
    }

    /// Learns who accompanies a session from its first moments: what an arrival shows.
    fn learn_companions(&mut self, token: &Token, index: u8) {
        let Stores {
            sessions, retinue, ..
        } = &mut self.state.stores;
        let session = sessions.get(token.session);
        let Some((person, session)) = token.subject.zip(session) else {
            return;
        };
        for shown in session.shown_by(index) {
            match shown {
                Shown::Backend(backend) => {
                    let name = backend_name(&self.settings.key, token, backend);
                    if name.is_some_and(|name| retinue.served(name, person)) {
                        self.state.incidents.excuse_backend(backend);
                    }
                }
                Shown::Lines(a, b) => {
                    if retinue.went_over(lines_name(&self.settings.key, a, b), person) {
                        self.state.incidents.excuse_lines([a.line(), b.line()]);
                    }
                }
            }
        }
    }

    /// Learns that a person's session began at an address. Carriers put whole towns behind one, and in networks of
    /// servers sessions begin with phishing proxies. A token without `sid` may be one that a thief renewed.
    fn learn_exit(&mut self, token: &Token, context: &Context, time: Time) {
        let Some(person) = token.subject.filter(|_| may_be_exit(context)) else {
            return;
        };
        let name = exit_name(&self.settings.key, token, context);
        if self.state.stores.retinue.began_at(name, person) {
            self.state.incidents.excuse_exit(context.line());
        }
        if token.sid.is_some() {
            self.state.incidents.excuse_own(person, context, time);
        }
    }

    /// Counts a session that a backend joins late.
    fn learn_late(&mut self, token: &Token, context: &Context) {
        if let Some(name) = backend_name(&self.settings.key, token, context) {
            self.state.stores.retinue.joined(name);
        }
    }

    /// Learns over which two lines a session goes to and fro, whatever was said of that: two thieves are not found in
    /// one office, between the same lines.
    fn learn_lines(&mut self, token: &Token, left: u8, index: u8) {
        let Stores {
            sessions, retinue, ..
        } = &mut self.state.stores;
        let session = sessions.get(token.session);
        let Some((person, session)) = token.subject.zip(session) else {
            return;
        };
        if let Some(Shown::Lines(a, b)) = session.lines_between(left, index)
            && retinue.went_over(lines_name(&self.settings.key, a, b), person)
        {
            self.state.incidents.excuse_lines([a.line(), b.line()]);
        }
        self.learn_ways(token, left, index);
    }

    /// Learns that a session's program takes two ways at once, as this person's will in the next session.
    fn learn_ways(&mut self, token: &Token, left: u8, index: u8) {
        let Stores {
            sessions, retinue, ..
        } = &mut self.state.stores;
        let Some(session) = sessions.get_mut(token.session) else {
            return;
        };
        let Some(other) = session.other_way(left, index) else {
            return;
        };
        let end = |index: u8| session.visits.get(usize::from(index));
        if let Some((a, b)) = end(left).zip(end(index)) {
            let (a, b) = (&a.context, &b.context);
            if let Some(person) = token.subject {
                retinue.takes(ways_name(&self.settings.key, person, a, b));
            }
            let lines = [a.line(), b.line()];
            self.state.incidents.excuse_ways(token.session, lines);
        }
        session.take_way(other);
    }

    /// True when a context is that of a companion as several people's sessions have, which its session had not known as
    /// one, or of the next step of an errand, whose subject has no other place.
    pub(super) fn is_usual(
        &self,
        session: &Session,
        subject: Option<&Subject>,
        usage: &TokenUse<'_>,
        key: ContextKey,
    ) -> bool {
        let (here, time) = (&**usage.context, usage.event.time);
        let here_before = session.visit(key).map(|(_, visit)| visit);
        // Which lines are one router's can become known while a session goes over them; a backend shows at first, or
        // when it goes on without the person whom it only answered.
        let shown = |visit: &Visit| visit.usual || is_server(here) && !visit.answers;
        let known = here_before.is_some_and(shown);
        if known || session.bound().any(|bound| bound.key == key) {
            return false;
        }
        let retinue = &self.state.stores.retinue;
        let usual = if is_server(here) {
            let settled = subject.zip(here.network.as_ref());
            let settled = settled.is_some_and(|(s, n)| s.is_settled_elsewhere(n.asn, time));
            let name = backend_name(&self.settings.key, usage.token, here);
            session.runs_errands(here, time) && !settled
                || name.is_some_and(|name| retinue.serves(name))
        } else {
            let key = &self.settings.key;
            let mut bound = session.bound().map(|bound| &bound.context);
            let is_exit = |end: &Context| {
                may_be_exit(end) && retinue.is_exit(exit_name(key, usage.token, end))
            };
            // Into the tunnel from wherever; out of it only to where the subject was before.
            let knows_here = subject.is_some_and(|s| s.was_with(here, session.first_seen()));
            let through = |bound: &Context| {
                same_build(bound, here) && (is_exit(here) || knows_here && is_exit(bound))
            };
            let ways = |bound: &Context| {
                let person = usage.token.subject;
                let name = person.map(|person| ways_name(key, person, bound, here));
                name.is_some_and(|name| retinue.are_ways(name)) && same_build(bound, here)
            };
            bound.any(|bound| {
                two_lines(bound, here) && retinue.are_one_routers(lines_name(key, bound, here))
                    || ways(bound)
                    || through(bound)
            })
        };
        session.joins(key, here, usual, time)
    }

    /// True for a server that acts for others, too, though it is not known for a backend yet: nobody is logged out for
    /// what a service's own server does in its first days.
    pub(super) fn may_serve(&self, token: &Token, context: &Context) -> bool {
        let name = is_server(context).then(|| backend_name(&self.settings.key, token, context));
        let retinue = &self.state.stores.retinue;
        let name = name.flatten();
        name.is_some_and(|name| retinue.may_serve(name, token.subject))
    }

    /// True for a backend that several people's sessions had from the start.
    pub(super) fn serves_people(&self, usage: &TokenUse<'_>) -> bool {
        let here = &**usage.context;
        let name = is_server(here).then(|| backend_name(&self.settings.key, usage.token, here));
        let retinue = &self.state.stores.retinue;
        name.flatten().is_some_and(|name| retinue.knows(name))
    }

    /// Counts a path that was forbidden to a session: distinct ones in ten minutes.
    pub(super) fn count_forbidden(
        &mut self,
        token: &Token,
        prepared: &Prepared<'_>,
        trusted: bool,
    ) -> usize {
        let event = &prepared.event;
        let path = prepare::path_key(&self.settings.key, event);
        let Some(path) = path.filter(|_| event.status == 403 && trusted) else {
            return 0;
        };
        let forbidden = &mut self.state.stores.forbidden;
        forbidden.add(token.session, path, event.time.as_ms())
    }
}

/// True when a use may teach: a thief must not train what is known of his victim. Who drifts teaches nothing, however
/// long he goes on, and nobody does in a session until who is suspected in it has been silent for a week.
pub(super) fn is_calm(session: &Session, facts: &Facts, time: Time) -> bool {
    let dimensions = facts.get(Fact::DriftDimensions);
    let drifts = dimensions.is_some_and(|count| count > 0.0) || facts.is(Fact::SessionAnswers);
    let active = |visit: &Visit| visit.suspect && time.since_s(visit.last) < QUIET_S_MIN;
    !drifts && !session.visits.iter().any(active)
}

/// What a backend is known by: whose tokens it brings, its program, its network and country. Clouds give it another
/// address each day.
fn backend_name(key: &IdKey, token: &Token, backend: &Context) -> Option<u128> {
    let (client, network) = backend.client.as_ref().zip(backend.network.as_ref())?;
    let country = backend.place.as_ref().map(|place| place.country);
    let country = country.as_ref().map_or("", |country| country.as_str());
    let issuer = token.issuer.as_deref().unwrap_or_default();
    let parts = [
        issuer.as_bytes(),
        client.name.as_bytes(),
        &network.asn.to_le_bytes(),
        country.as_bytes(),
    ];
    Some(key.hash("backend", &parts))
}

/// True where people can have a way out in common that is not by nature one.
fn may_be_exit(context: &Context) -> bool {
    let kind = context.network_kind();
    let shared = matches!(kind, NetworkKind::Mobile | NetworkKind::Hosting);
    is_persons(context) && !shared && !kind.moves_by_nature() && !context.is_internal()
}

/// What a way out is known by: its very address, and whose people go there.
fn exit_name(key: &IdKey, token: &Token, context: &Context) -> u128 {
    let issuer = token.issuer.as_deref().unwrap_or_default();
    let line = context.line().to_string();
    key.hash("exit", &[issuer.as_bytes(), line.as_bytes()])
}

/// What two lines are known by: their very addresses, in either order. Their /24s are whole streets', where so many
/// go from one provider to the other that a thief in the next house would pass for a second line.
fn lines_name(key: &IdKey, a: &Context, b: &Context) -> u128 {
    let mut ends = [a, b].map(Context::line);
    ends.sort_unstable();
    let [a, b] = ends.map(|end| end.to_string());
    key.hash("lines", &[a.as_bytes(), b.as_bytes()])
}

/// What two ways of one person's program are known by: whose it is, and the networks, in either order.
fn ways_name(key: &IdKey, person: SubjectId, a: &Context, b: &Context) -> u128 {
    let mut ends = [a, b].map(|end| end.prefix().to_string());
    ends.sort_unstable();
    let [a, b] = ends;
    let person = person.get().to_le_bytes();
    key.hash("ways", &[&person, a.as_bytes(), b.as_bytes()])
}
