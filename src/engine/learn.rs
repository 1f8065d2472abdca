//! What a believed use teaches beside its session's and its subject's context: what its client is like, and which token
//! its holder has.
//!
//! In: a use that was recorded. Out: changed stores, and what they know of the next.
//! Does not know: rules. A use that drifts, in a session where somebody is suspected, teaches nothing.

use super::Engine;
use super::prepare::{self, Prepared};
use crate::domain::context::Context;
use crate::domain::token::Token;
use crate::sessions::TokenEntry;
use crate::sessions::families::Line;

/// What a use may teach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    /// Its session begins with it.
    pub(super) begins: bool,
    /// Nothing about it is strange.
    pub(super) calm: bool,
}

impl Engine {
    /// Learns from a believed use.
    pub(super) fn learn(
        &mut self,
        entry: &TokenEntry,
        token: &Token,
        context: &Context,
        lesson: Lesson,
    ) {
        let first = !entry.accepted && lesson.calm;
        let client = self.client_key(token);
        if first && token.client_id.is_some() {
            self.state.stores.clients.learn(client, token, context);
        }
        if lesson.begins {
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
