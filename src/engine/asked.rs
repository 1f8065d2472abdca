//! What a gateway asks about, as a use before its line is written.
//!
//! In: [`Presentation`]. Out: findings, as of a line; what is remembered of the session.
//! Does not know: the gateway's answer. Only a verified token that is alive and was let in before counts, and counts as
//! let in; whether it was is told by the line of the request, which takes the place of this use in every count.

use super::prepare::Prepared;
use super::standing::Presented;
use super::{Engine, Observation};
use crate::domain::event::{AccessEvent, EventKind, Text};
use crate::domain::line::{RawLine, Source};
use crate::domain::presentation::Presentation;
use crate::domain::time::Time;
use crate::domain::token::Verdict;
use crate::sessions::session::ContextKey;
use crate::sessions::token::TokenEntry;
use std::borrow::Cow;
use std::sync::Arc;

/// The name that evidence from a question bears.
const ASKED_SOURCE: &str = "/v1/check";

impl Engine {
    /// A use at the start of its request.
    pub(super) fn asked(&mut self, asked: &Presentation, out: &mut Observation) {
        self.keep_lanes();
        self.land_token(asked.digest);
        self.come_to(asked.time);
        // A token that nobody was seen to be let in with may be one that the service no longer knows: whoever replays
        // such a one must not cost its holder the session that goes on.
        let known = self.state.stores.was_let_in(&asked.token);
        if asked.verdict != Verdict::Verified || !asked.is_alive() || !known {
            return;
        }
        let known = self.state.stores.tokens.get_mut(asked.digest).cloned();
        let token = Arc::new(asked.token.clone());
        let mut entry = known.unwrap_or_else(|| TokenEntry::new(&token));
        entry.verdict = asked.verdict;
        entry.keys_version = self.state.keys_version;
        self.hear_of_revocations(&mut entry, &token);
        let session = self.state.stores.sessions.get(entry.session);
        // Whether an ended session is let in again, only the answer tells.
        if entry.revoked().is_some() || session.is_some_and(|session| session.logout().is_some()) {
            return;
        }
        let source = Source(ASKED_SOURCE.into());
        // Two questions about one token in one moment are told apart by where they come from.
        let text = format!("{:016x}", asked.context_key);
        let prepared = prepared(asked, &source, &text);
        let Some(context) = self.context(entry.session, &prepared) else {
            return;
        };
        let presented = Presented {
            digest: asked.digest,
            place: asked.place,
            // The proof that goes with a bound token is the request's, and its line tells of it.
            fits: None,
        };
        self.presented(&prepared, presented, (&token, entry), &context, out);
    }

    /// Event time has come this far.
    pub(super) fn come_to(&mut self, time: Time) {
        if time <= self.state.newest {
            return;
        }
        // A case closes by the minute, not by the line.
        if time.as_ms() / 60_000 != self.state.newest.as_ms() / 60_000 {
            self.state.incidents.tick(time);
        }
        self.state.newest = time;
    }
}

fn prepared<'a>(asked: &'a Presentation, source: &'a Source, text: &'a str) -> Prepared<'a> {
    fn borrowed(text: &Option<Box<str>>) -> Text<'_> {
        text.as_deref().map(Cow::Borrowed)
    }
    let line = RawLine {
        source,
        offset_bytes: 0,
        number: 0,
        text,
        truncated: false,
        written: None,
    };
    let event = AccessEvent {
        kind: EventKind::Asked,
        time: asked.time,
        client: Some(asked.client),
        method: borrowed(&asked.method),
        path: borrowed(&asked.path),
        host: borrowed(&asked.host),
        user_agent: borrowed(&asked.user_agent),
        language: borrowed(&asked.language),
        request_id: borrowed(&asked.request_id),
        ..AccessEvent::default()
    };
    Prepared {
        context_key: ContextKey(asked.context_key),
        intent: event.intent(),
        event,
        ..Prepared::blank(line)
    }
}
