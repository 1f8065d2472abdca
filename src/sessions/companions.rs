//! Who belongs to a session beside its holder: a backend that acts for a person, an edge that hands its requests on,
//! the other line of a router, the next step of a build.
//!
//! In: [`Session`], a context. Out: whether it was there from the first moments, and whether its person still is.
//! Does not know: what follows from it.

use super::device::{
    apart, is_echo, is_errands, is_persons, is_server, may_be_edge, same_network, same_owner,
    two_devices_nearby, two_lines,
};
use super::session::{ContextKey, Session, Visit};
use super::token::EarlyUse;
use crate::domain::context::Context;
use crate::domain::time::Time;

/// How soon after a session's first use a server that forwards its token shows up beside it: it is called by the page
/// that the login loads. So does the computer that a sign-in on a phone was for. A thief needs longer to get the token
/// and try it.
const COMPANION_S_MAX: f64 = 20.0;

/// A router with two lines spreads requests over both from the start; a session's first pages bring both. Five
/// minutes are a handful of clicks, of which all go over one line in one case of thirty.
const SECOND_LINE_S_MAX: f64 = 300.0;

/// A backend acts while its person does. Half an hour of silence is where sites end sessions for want of activity
/// (OWASP Session Management Cheat Sheet: 15 to 30 minutes for low-risk applications).
const UNATTENDED_S_MAX: f64 = 1800.0;

/// A build hands its token from step to step, each with a program of its own and in a cloud of its own, for as long as
/// the token lives: an hour (GitHub: installation access tokens; GitLab: default timeout of a job).
const ERRAND_S_MAX: f64 = 3600.0;

/// How soon after a person's request the server calls that makes the page: a page that begins to come after
/// 1.8 s is a poor one (web.dev, Time to First Byte).
const ANSWER_S_MAX: f64 = 2.0;

/// How soon the line of a request that two gateways write, an edge and the one behind it, comes after the other: each
/// writes it when it is answered.
const ECHO_S_MAX: f64 = 2.0;

/// How long a page goes on being made, with as many calls as it takes: then gateways give it up (nginx:
/// `proxy_read_timeout`).
const ANSWER_GOES_ON_S_MAX: f64 = 60.0;

/// How soon one call of a page follows on another: after as long, most who wait have left (web.dev, RAIL: 10 s), and a
/// person who tries out what he took pauses as long.
const NEXT_CALL_S_MAX: f64 = 10.0;

/// Programs of the command line, which answer nobody but who types. Pages are made with libraries.
const BY_HAND: [&str; 4] = ["curl", "wget", "httpie", "postman"];

/// A companion as an arrival shows it.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// A server, which acts for a person.
    Backend(&'a Context),
    /// Two lines of one router.
    Lines(&'a Context, &'a Context),
}

impl Session {
    /// True for a context that has been part of the session from its first moments: a backend that renders pages or
    /// forwards the browser's token, from whichever of its addresses, or the other line of a router that has two. Who
    /// came later is somebody else.
    pub fn companion(&self, key: ContextKey, context: &Context, time: Time) -> bool {
        let first = self.visit(key).map_or(time, |(_, visit)| visit.first);
        let usual = self.visit(key).is_some_and(|(_, visit)| visit.usual);
        self.joins(key, context, usual, time) || self.began_with(key, context, first, time)
    }

    /// True when the visit is a companion's.
    pub fn accompanies(&self, visit: &Visit) -> bool {
        let time = self.last_seen();
        visit.answers
            || self.joins(visit.key, &visit.context, visit.usual, time)
            || self.began_with(visit.key, &visit.context, visit.first, time)
    }

    /// True for a server that never called but right after the person did, as one that makes the person's pages. A
    /// thief does not know when that is: the first use that answers nobody ends it for the rest of the session.
    pub fn answers(&self, key: ContextKey, context: &Context, time: Time) -> bool {
        if !is_server(context) || is_by_hand(context) {
            return false;
        }
        let here = self.visit(key).map(|(_, visit)| visit);
        // Who is suspected asks for nothing here, nor does who sits in the server's own network.
        let persons = self.visits.iter().filter(|visit| {
            let own = visit.accepted > 0 && !visit.suspect && is_persons(&visit.context);
            own && same_network(&visit.context, context) != Some(true)
        });
        let asked = persons.map(|visit| visit.last).max();
        asked.is_some_and(|asked| {
            let called = self.visits.iter().filter(|visit| {
                visit.answers && visit.last >= asked && one_backend(&visit.context, context)
            });
            let called = called.map(|visit| visit.last).max();
            let goes_on = called.is_some_and(|called| {
                let in_one_go = time.apart_s(called) <= NEXT_CALL_S_MAX;
                in_one_go && time.apart_s(asked) <= ANSWER_GOES_ON_S_MAX
            });
            here.is_none_or(|visit| visit.answers)
                && self.is_no_holder(key)
                && (goes_on || time.apart_s(asked) <= ANSWER_S_MAX)
        })
    }

    /// True for a companion that other people's sessions have, too, and that may come late; a backend while the person
    /// is about whom it serves.
    pub fn joins(&self, key: ContextKey, context: &Context, usual: bool, time: Time) -> bool {
        usual && self.is_no_holder(key) && (!is_server(context) || self.attended(time))
    }

    /// True for the next step of an errand: a session of programs in server networks, and of nobody else, that is not
    /// older than a build gets.
    pub fn runs_errands(&self, context: &Context, time: Time) -> bool {
        let mut visits = self.visits.iter();
        time.apart_s(self.first_seen()) <= ERRAND_S_MAX
            && is_errands(context)
            && visits.all(|visit| is_errands(&visit.context))
    }

    fn is_no_holder(&self, key: ContextKey) -> bool {
        self.bound().all(|bound| bound.key != key)
    }

    /// The companions that a visit shows which began just now: itself, or those that it meets.
    pub fn shown_by(&self, index: u8) -> impl Iterator<Item = Shown<'_>> {
        let here = self.visits.get(usize::from(index));
        let others = self.visits.iter().filter(|visit| visit.accepted > 0);
        here.into_iter().flat_map(move |here| {
            let others = others.clone().filter(|visit| visit.key != here.key);
            others.filter_map(|other| self.shown_of(here, other))
        })
    }

    fn shown_of<'a>(&self, here: &'a Visit, other: &'a Visit) -> Option<Shown<'a>> {
        let serves = |backend: &Visit, person: &Visit| {
            self.began_beside(backend) && is_persons(&person.context)
        };
        let early = here.first.apart_s(self.first_seen()) <= SECOND_LINE_S_MAX;
        match (serves(here, other), serves(other, here)) {
            (true, _) => Some(Shown::Backend(&here.context)),
            (_, true) => Some(Shown::Backend(&other.context)),
            _ => lines(other, here).filter(|_| early),
        }
    }

    /// True when the visit is a server's that was there from the first moments, from whichever of its addresses and
    /// however well known it is.
    pub fn is_served_by(&self, index: u8) -> bool {
        let visit = self.visits.get(usize::from(index));
        visit.is_some_and(|visit| self.began_beside(visit) || self.is_served_from(&visit.context))
    }

    /// The two lines that a person's session went between, where they can be one router's.
    pub fn lines_between(&self, left: u8, index: u8) -> Option<Shown<'_>> {
        let end = |index: u8| self.visits.get(usize::from(index));
        let (a, b) = end(left).zip(end(index))?;
        lines(a, b).filter(|_| a.accepted > 0 && b.accepted > 0)
    }

    fn began_with(&self, key: ContextKey, context: &Context, first: Time, time: Time) -> bool {
        let age_s = first.apart_s(self.first_seen());
        if is_server(context) && (context.is_internal() || !is_by_hand(context)) {
            let served = age_s <= COMPANION_S_MAX || self.is_served_from(context);
            return served && self.attended(time);
        }
        if may_be_edge(context) {
            let early = age_s <= ECHO_S_MAX || self.is_echoed_from(context);
            return early && self.is_no_holder(key) && self.echoes(context);
        }
        let lines = |bound: &Visit| two_lines(&bound.context, context);
        // Who goes on with what was begun on the other device has left that one.
        let devices = |bound: &Visit| {
            bound.last.since_s(first) <= ECHO_S_MAX && two_devices_nearby(&bound.context, context)
        };
        self.is_no_holder(key)
            && (age_s <= SECOND_LINE_S_MAX && self.bound().any(lines)
                || age_s <= COMPANION_S_MAX && self.bound().any(devices))
    }

    /// True when the context is one more address of a backend that was there from the start.
    fn is_served_from(&self, context: &Context) -> bool {
        let early = |visit: &&Visit| visit.accepted > 0 && self.began_beside(visit);
        let mut early = self.visits.iter().filter(early);
        early.any(|visit| one_backend(&visit.context, context))
    }

    /// True when a person's program is seen through a network of servers, too: an edge that hands requests on to a
    /// gateway, both of which write them down.
    fn echoes(&self, context: &Context) -> bool {
        let mut visits = self.visits.iter().filter(|visit| visit.accepted > 0);
        visits.any(|visit| is_echo(&visit.context, context))
    }

    /// True when a person's session was seen through this network from its first request.
    fn is_echoed_from(&self, context: &Context) -> bool {
        let mut edges = self.visits.iter().filter(|visit| self.began_as_echo(visit));
        edges.any(|visit| same_owner(&visit.context, context))
    }

    /// True for an edge that was there from the start: by it its other addresses are known.
    pub(super) fn began_as_echo(&self, visit: &Visit) -> bool {
        visit.first.apart_s(self.first_seen()) <= ECHO_S_MAX && self.echoes(&visit.context)
    }

    /// True for a server that was there from the start: by it the later addresses of a backend are known.
    pub(super) fn began_beside(&self, visit: &Visit) -> bool {
        visit.first.apart_s(self.first_seen()) <= COMPANION_S_MAX && is_server(&visit.context)
    }

    /// True while the person whom a backend serves is about, and in a session that no person takes part in.
    fn attended(&self, time: Time) -> bool {
        let mut persons = self
            .visits
            .iter()
            .filter(|visit| visit.accepted > 0 && is_persons(&visit.context))
            .peekable();
        persons.peek().is_none()
            || persons.any(|visit| time.since_s(visit.last) <= UNATTENDED_S_MAX)
    }

    /// True when the session is where a backend would be that goes on although its person left long ago.
    pub fn unattended(&self, time: Time) -> bool {
        self.may_be_unattended() && (!self.attended(time) || self.answers_no_more(time))
    }

    /// True when the session is where a server answered the person until now, and this use answers nobody.
    fn answers_no_more(&self, time: Time) -> bool {
        let answers = |visit: &&Visit| visit.answers && !visit.usual;
        let here = self.current().filter(answers);
        here.is_some_and(|here| !self.answers(here.key, &here.context, time))
    }

    /// True when the session is where a backend would be, and was elsewhere.
    pub fn may_be_unattended(&self) -> bool {
        let is_server = |visit: &Visit| is_server(&visit.context);
        self.visits.len() > 1 && self.current().is_some_and(is_server)
    }

    /// True when an edge wrote the person's first request down before the gateway did.
    pub fn foreruns(&self, edge: &Visit, person: &Context, time: Time) -> bool {
        time.apart_s(self.first_seen()) <= ECHO_S_MAX && is_echo(person, &edge.context)
    }

    /// True when so far only a companion binds the session, and this is the browser or the app that it serves.
    pub fn waits_for(&self, context: &Context, time: Time) -> bool {
        let age_s = time.apart_s(self.first_seen());
        let gives_way = |bound: &Visit| match is_server(&bound.context) {
            true => age_s <= COMPANION_S_MAX && self.accompanies(bound),
            false => self.foreruns(bound, context, time),
        };
        is_persons(context) && self.bound().all(gives_way)
    }
}

impl EarlyUse {
    /// True when a session that is let in for the first time at `time` began with this use: what is let in moments
    /// after it may be the backend's part of one page.
    pub fn begins_session_at(&self, time: Time) -> bool {
        time.apart_s(self.time) <= COMPANION_S_MAX
    }
}

/// One program in one network and place: clouds give a backend as many addresses as it has instances.
fn one_backend(a: &Context, b: &Context) -> bool {
    let programs = a.client.as_ref().zip(b.client.as_ref());
    programs.is_some_and(|(a, b)| a.same_program(b))
        && same_network(a, b) == Some(true)
        && apart(a, b) != Some(true)
}

/// True for a program of the command line.
fn is_by_hand(context: &Context) -> bool {
    let begins = |name: &str, program: &str| {
        let start = name.get(..program.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(program))
    };
    let client = context.client.as_ref();
    client.is_some_and(|client| BY_HAND.iter().any(|program| begins(&client.name, program)))
}

/// Two visits that can be over two lines of one router.
fn lines<'a>(a: &'a Visit, b: &'a Visit) -> Option<Shown<'a>> {
    let lines = [a, b].iter().all(|visit| is_persons(&visit.context))
        && a.context.prefix() != b.context.prefix()
        && two_lines(&a.context, &b.context);
    lines.then_some(Shown::Lines(&a.context, &b.context))
}
