//! Uses told one by one, for who looks back at them.
//!
//! In: what is asked for, a use that was judged. Out: [`Followed`] uses.
//! Does not know: who looks, or why.

use super::prepare::Prepared;
use super::{Engine, Observation};
use crate::detectors::Standing;
use crate::domain::context::{Context, Prefix};
use crate::domain::finding::Evidence;
use crate::domain::ids::{FindingId, SessionId};
use crate::domain::mask::mask;
use crate::domain::time::Time;
use crate::domain::token::{CredentialPlace, Provenance, Token, Verdict};
use crate::domain::usage::TokenUse;
use crate::sessions::session::ContextKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which uses are told.
#[derive(Clone, Debug)]
pub enum Follow {
    /// All.
    All,
    /// Those of these sessions.
    Sessions(BTreeSet<SessionId>),
    /// Those from these networks that are no believed use of a session: forged or refused.
    Senders(BTreeSet<Prefix>),
    /// Those of tokens that stand where others can read them.
    Leaks,
}

/// One use.
#[derive(Clone, Debug)]
pub struct Followed {
    /// When.
    pub time: Time,
    /// The token.
    pub token: Arc<Token>,
    /// Where it stood.
    pub place: CredentialPlace,
    /// Where it came from and what made it.
    pub context: Arc<Context>,
    /// That context as logged.
    pub context_key: ContextKey,
    /// The request's method.
    pub method: Option<Arc<str>>,
    /// The host that was asked.
    pub host: Option<Arc<str>>,
    /// The path as logged, tokens masked.
    pub path: Option<Arc<str>>,
    /// The host of the Referer.
    pub referer_host: Option<Arc<str>>,
    /// The answer's status.
    pub status: u16,
    /// The answer's size.
    pub bytes: u64,
    /// How the gateway answered.
    pub standing: Standing,
    /// True when it ended the session.
    pub logout: bool,
    /// Why it may be believed.
    pub provenance: Provenance,
    /// What checking the signature said.
    pub verdict: Verdict,
    /// The findings about it.
    pub findings: Vec<FindingId>,
    /// The line.
    pub evidence: Evidence,
    /// The gateway's id of the request.
    pub request_id: Option<Arc<str>>,
}

impl Follow {
    fn wants(&self, usage: &TokenUse<'_>) -> bool {
        match self {
            Self::All => usage.place.presents(),
            Self::Sessions(sessions) => sessions.contains(&usage.token.session),
            Self::Senders(prefixes) => {
                let unwelcome =
                    usage.verdict.forged() || usage.token.header.alg_none || usage.event.refused();
                unwelcome && prefixes.contains(&usage.context.prefix())
            }
            Self::Leaks => is_readable(usage.place),
        }
    }
}

/// True for a place that others can read: the request line, a Referer.
pub fn is_readable(place: CredentialPlace) -> bool {
    !matches!(
        place,
        CredentialPlace::Header | CredentialPlace::Cookie | CredentialPlace::Field
    )
}

impl Engine {
    /// Tells these uses one by one from now on.
    pub fn follow(&mut self, follow: Follow) {
        self.follow = Some(follow);
    }

    /// True when no use may be settled without being looked at.
    pub(super) fn follows_each(&self) -> bool {
        matches!(&self.follow, Some(follow) if !matches!(follow, Follow::Leaks))
    }

    /// The contexts of a session that findings named.
    pub fn suspects_of(&self, session: SessionId) -> Vec<ContextKey> {
        let session = self.state.stores.sessions.get(session);
        let visits = session.iter().flat_map(|session| &session.visits);
        let suspects = visits.filter(|visit| visit.suspect);
        suspects.map(|visit| visit.key).collect()
    }

    /// Tells of a use, if it is asked for; `found` is the number of findings before it.
    pub(super) fn tell(
        &self,
        prepared: &Prepared<'_>,
        usage: &TokenUse<'_>,
        token: &Arc<Token>,
        standing: Standing,
        found: usize,
        out: &mut Observation,
    ) {
        if !self
            .follow
            .as_ref()
            .is_some_and(|follow| follow.wants(usage))
        {
            return;
        }
        let (event, line) = (usage.event, &prepared.line);
        let text = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_deref().map(|text| Arc::from(&*mask(text)))
        };
        let referer = event.referer.as_deref().and_then(host_of);
        let findings = out.findings.iter().skip(found).map(|finding| finding.id);
        let followed = Followed {
            time: event.time,
            token: Arc::clone(token),
            place: usage.place,
            context: Arc::clone(usage.context),
            context_key: prepared.context_key,
            method: text(&event.method),
            host: text(&event.host),
            path: text(&event.path),
            referer_host: referer.map(|host| mask(host).as_ref().into()),
            status: event.status,
            bytes: event.bytes,
            standing,
            logout: prepared.path.logout,
            provenance: usage.provenance,
            verdict: usage.verdict,
            findings: findings.collect(),
            evidence: Evidence {
                file: Arc::clone(&line.source.0),
                line: line.number,
                offset_bytes: line.offset_bytes,
                time: event.time,
            },
            request_id: text(&event.request_id),
        };
        out.followed.push(followed);
    }
}

/// The host of an absolute reference (RFC 3986, section 3.2).
fn host_of(reference: &str) -> Option<&str> {
    let (_, rest) = reference.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}
