//! Who belongs to a session beside its holder: a backend that acts for a person, the other line of a router.
//!
//! In: [`Session`], a context. Out: whether it was there from the first moments, and whether its person still is.
//! Does not know: what follows from it.

use super::device::{apart, is_persons, is_server, same_network, two_lines};
use super::session::{ContextKey, Session, Visit};
use crate::domain::context::Context;
use crate::domain::time::Time;

/// How soon after a session's first use a server that forwards its token shows up beside it: it is called by the page
/// that the login loads. A thief needs longer to get the token and try it.
const COMPANION_S_MAX: f64 = 20.0;

/// A router with two lines spreads requests over both from the start; a session's first pages bring both. Five
/// minutes are a handful of clicks, of which all go over one line in one case of thirty.
const SECOND_LINE_S_MAX: f64 = 300.0;

/// A backend acts while its person does. Half an hour of silence is where sites end sessions for want of activity
/// (OWASP Session Management Cheat Sheet: 15 to 30 minutes for low-risk applications).
const UNATTENDED_S_MAX: f64 = 1800.0;

impl Session {
    /// True for a context that has been part of the session from its first moments: a backend that renders pages or
    /// forwards the browser's token, from whichever of its addresses, or the other line of a router that has two. Who
    /// came later is somebody else.
    pub fn companion(&self, key: ContextKey, context: &Context, time: Time) -> bool {
        let first = self.visit(key).map_or(time, |(_, visit)| visit.first);
        self.began_with(key, context, first, time)
    }

    /// True when the visit is a companion's.
    pub fn accompanies(&self, visit: &Visit) -> bool {
        self.began_with(visit.key, &visit.context, visit.first, self.last_seen)
    }

    fn began_with(&self, key: ContextKey, context: &Context, first: Time, time: Time) -> bool {
        let age_s = first.apart_s(self.first_seen);
        if is_server(context) {
            let served = age_s <= COMPANION_S_MAX || self.is_served_from(context);
            return served && self.attended(time);
        }
        age_s <= SECOND_LINE_S_MAX
            && self.bound().all(|bound| bound.key != key)
            && self.bound().any(|bound| two_lines(&bound.context, context))
    }

    /// True when the context is one more address of a backend that was there from the start: its program, in its
    /// network and place. Clouds give a backend as many addresses as it has instances.
    fn is_served_from(&self, context: &Context) -> bool {
        let early = |visit: &&Visit| visit.accepted > 0 && self.began_beside(visit);
        let same = |visit: &Visit| {
            let programs = visit.context.client.as_ref().zip(context.client.as_ref());
            programs.is_some_and(|(a, b)| a.same_program(b))
                && same_network(&visit.context, context) == Some(true)
                && apart(&visit.context, context) != Some(true)
        };
        self.visits.iter().filter(early).any(same)
    }

    /// True for a server that was there from the start: by it the later addresses of a backend are known.
    pub(super) fn began_beside(&self, visit: &Visit) -> bool {
        visit.first.apart_s(self.first_seen) <= COMPANION_S_MAX && is_server(&visit.context)
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
        self.may_be_unattended() && !self.attended(time)
    }

    /// True when the session is where a backend would be, and was elsewhere.
    pub fn may_be_unattended(&self) -> bool {
        let is_server = |visit: &Visit| is_server(&visit.context);
        self.visits.len() > 1 && self.current().is_some_and(is_server)
    }

    /// True when so far only a companion binds the session, and this is the browser or the app that it serves.
    pub fn waits_for(&self, context: &Context, time: Time) -> bool {
        self.bound()
            .all(|bound| is_server(&bound.context) && self.accompanies(bound))
            && is_persons(context)
            && time.apart_s(self.first_seen) <= COMPANION_S_MAX
    }
}
