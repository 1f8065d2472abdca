//! Tokens that were exposed and not yet abused: what to revoke before somebody does.
//!
//! In: tokens seen where others can read them; the incidents at the end. Out: [`AtRisk`].
//! Does not know: how thefts are found. Tokens of one leak stood in the same place: the query or path of the same
//! function, or the Referer of the same site.

use crate::app::pseudonyms::Pseudonyms;
use crate::domain::ids::{IncidentId, SessionId, TokenId};
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::domain::token::CredentialPlace;
use crate::engine::Engine;
use crate::engine::follow::Followed;
use crate::incidents::template;
use crate::sinks::ndjson;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leaked tokens remembered: more in one archive is no leak but a design, and the list would be no work list.
const LEAKS_MAX: usize = 100_000;

/// Tokens named of one leak on a terminal.
const NAMED_MAX: usize = 10;

/// One way out: where tokens stood.
type Channel = (&'static str, Option<Arc<str>>, String);

/// What leaked so far.
#[derive(Debug, Default)]
pub(super) struct Leaks {
    tokens: BTreeMap<(Channel, TokenId), Followed>,
    /// Tokens that found no room.
    forgotten: u64,
}

/// What is to be revoked.
#[derive(Clone, Debug, Default)]
pub(super) struct AtRisk {
    /// The tokens: those of a leak that somebody uses already come first.
    pub(super) tokens: Vec<ndjson::AtRisk>,
    /// Tokens that found no room.
    forgotten: u64,
}

impl Leaks {
    /// Remembers the first time that a token stood somewhere.
    pub(super) fn see(&mut self, leak: Followed) {
        if leak.verdict.forged() || leak.token.header.alg_none {
            return;
        }
        let host = match leak.place {
            CredentialPlace::Referer => leak.referer_host.clone(),
            _ => leak.host.clone(),
        };
        let path = match leak.place {
            CredentialPlace::Referer => String::new(),
            _ => leak.path.as_deref().map(template).unwrap_or_default(),
        };
        let key = ((leak.place.name(), host, path), leak.token.id);
        if self.tokens.len() >= LEAKS_MAX && !self.tokens.contains_key(&key) {
            self.forgotten += 1;
            return;
        }
        self.tokens.entry(key).or_insert(leak);
    }

    /// Those that still work at the end of the log and belong to no incident.
    pub(super) fn at_risk(&self, engine: &Engine, incidents: &[Incident]) -> AtRisk {
        let abused: BTreeMap<SessionId, IncidentId> = incidents
            .iter()
            .flat_map(|one| one.sessions.iter().map(|session| (*session, one.id)))
            .collect();
        let mut used: BTreeMap<&Channel, IncidentId> = BTreeMap::new();
        for ((channel, _), leak) in &self.tokens {
            if let Some(incident) = abused.get(&leak.token.session) {
                used.entry(channel).or_insert(*incident);
            }
        }
        let now_s = engine.newest().map_or(0, Time::as_s);
        let lives = |leak: &&Followed| leak.token.expires_s.is_none_or(|exp| exp > now_s);
        let mut tokens: Vec<ndjson::AtRisk> = (self.tokens.iter())
            .filter(|(_, leak)| lives(leak) && !abused.contains_key(&leak.token.session))
            .map(|((channel, _), leak)| shown(channel, leak, used.get(channel).copied()))
            .collect();
        tokens.sort_by_key(|token| (token.incident.is_none(), token.leaked, token.token));
        AtRisk {
            tokens,
            forgotten: self.forgotten,
        }
    }
}

fn shown(channel: &Channel, leak: &Followed, incident: Option<IncidentId>) -> ndjson::AtRisk {
    let (place, host, path) = channel.clone();
    let token = &leak.token;
    let until = token.expires_s.and_then(|exp| exp.checked_mul(1000));
    ndjson::AtRisk {
        token: token.id,
        session: token.session,
        subject: token.sub.as_deref().map(Into::into),
        issuer: token.issuer.as_deref().map(Into::into),
        place,
        host,
        path,
        leaked: leak.time,
        live_until: until.and_then(Time::from_ms).map(|time| time.to_string()),
        incident,
        evidence: leak.evidence.clone(),
    }
}

impl AtRisk {
    /// The same without names.
    pub(super) fn renamed(&self, pseudonyms: &Pseudonyms) -> Self {
        let mut renamed = self.clone();
        for token in &mut renamed.tokens {
            let name = token.subject.as_deref();
            token.subject = name.map(|name| pseudonyms.name(name).into());
        }
        renamed
    }

    /// Labels and texts for people.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        if self.tokens.is_empty() {
            let none = "no token that stood in a URL or a Referer still works unabused";
            return vec![("at risk", none.to_owned())];
        }
        let mut leaks: Vec<(String, Vec<&ndjson::AtRisk>)> = Vec::new();
        for token in &self.tokens {
            let leak = leak_words(token);
            match leaks.iter_mut().find(|(known, _)| *known == leak) {
                Some((_, tokens)) => tokens.push(token),
                None => leaks.push((leak, vec![token])),
            }
        }
        let mut rows = Vec::new();
        for (leak, tokens) in leaks {
            let count = tokens.len();
            let (noun, verb) = if count == 1 {
                ("token", "works")
            } else {
                ("tokens", "work")
            };
            rows.push((
                "at risk",
                format!("{count} {noun} that {leak} still {verb}: revoke"),
            ));
            for token in tokens.iter().take(NAMED_MAX) {
                rows.push(("", token_words(token)));
            }
            if count > NAMED_MAX {
                let rest = count - NAMED_MAX;
                rows.push(("", format!("and {rest} more: `--output ndjson` lists all")));
            }
        }
        if self.forgotten > 0 {
            let forgotten = self.forgotten;
            rows.push((
                "",
                format!("{forgotten} more leaks found no room to be remembered"),
            ));
        }
        rows
    }
}

fn leak_words(token: &ndjson::AtRisk) -> String {
    let host = token.host.as_deref().unwrap_or_default();
    let place = match token.place {
        "referer" => format!("pages of {host} gave away in a Referer"),
        place => format!("stood in the {place} of {host}{}", token.path),
    };
    match token.incident {
        Some(incident) => format!("{place}, the leak of {incident},"),
        None => place,
    }
}

fn token_words(token: &ndjson::AtRisk) -> String {
    let whose = token.subject.as_deref().unwrap_or("nobody's name");
    match &token.live_until {
        Some(until) => format!("{} of {whose}, until {until}", token.token),
        None => format!("{} of {whose}, which never expires", token.token),
    }
}
