//! CORE: one file per family of facts. A detector measures; it never decides.
//!
//! In: a [`Look`] at one use and at what was known before it. Out: [`Facts`].
//! Does not know: thresholds, rules, incidents.

mod alternation;
mod binding;
mod drift;
mod ending;
mod endpoints;
mod family;
mod forgery;
mod honeytoken;
mod identity;
mod issuance;
mod leaks;
mod lifetime;
mod misuse;
mod novelty;
mod origin;
mod pace;
mod refresh;
mod retinue;
mod risk;
mod sensitive;
mod travel;
mod volume;

use crate::domain::event::Told;
#[cfg(test)]
use crate::domain::facts::FactSet;
use crate::domain::facts::{Fact, Facts};
use crate::domain::possession::Fits;
use crate::domain::usage::TokenUse;
use crate::sessions::bindings::Seen;
use crate::sessions::clients::Nature;
use crate::sessions::families::Line;
use crate::sessions::identity::Reuse;
use crate::sessions::issued::Clash;
use crate::sessions::networks::Crowd;
use crate::sessions::population::Population;
use crate::sessions::rhythm::Watch;
use crate::sessions::session::{ContextKey, Session, Visit};
use crate::sessions::subject::Subject;
use crate::sessions::token::TokenEntry;

/// Every detector, in the order they measure: later ones may read what earlier ones set.
pub static ALL: &[&Detector] = &[
    &forgery::DETECTOR,
    &lifetime::DETECTOR,
    &misuse::DETECTOR,
    &identity::DETECTOR,
    &honeytoken::DETECTOR,
    &binding::DETECTOR,
    &refresh::DETECTOR,
    &issuance::DETECTOR,
    &ending::DETECTOR,
    &retinue::DETECTOR,
    &travel::DETECTOR,
    &drift::DETECTOR,
    &family::DETECTOR,
    &alternation::DETECTOR,
    &novelty::DETECTOR,
    &pace::DETECTOR,
    &volume::DETECTOR,
    &endpoints::DETECTOR,
    &risk::DETECTOR,
    &origin::DETECTOR,
    &leaks::DETECTOR,
    &sensitive::DETECTOR,
];

/// What all of them together may set: tests of a rule or of the engine end where a fact is not among them.
#[cfg(test)]
pub fn measured() -> FactSet {
    let mut measured = FactSet::default();
    let facts = ALL.iter().flat_map(|detector| detector.facts);
    facts.for_each(|fact| measured.insert(*fact));
    measured
}

/// One family of facts.
#[derive(Debug)]
pub struct Detector {
    /// Its name: its file's stem.
    pub name: &'static str,
    /// The facts it may set.
    pub facts: &'static [Fact],
    /// Measures one use.
    pub measure: fn(&Look<'_>, &mut Facts),
}

/// One use, and what was known before it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The use.
    pub usage: &'a TokenUse<'a>,
    /// What is known of its token.
    pub entry: &'a TokenEntry,
    /// Its session before this use; `None` for a new one, and for a token that cannot be believed.
    pub session: Option<&'a Session>,
    /// Its subject before this use; likewise.
    pub subject: Option<&'a Subject>,
    /// What everybody's uses look like; `None` where only one use is known.
    pub population: Option<&'a Population>,
    /// The context it came from.
    pub key: ContextKey,
    /// Keyed digest of the client that the token was issued to, by its id.
    pub client: u64,
    /// What is known of that client; `None` for a client without name, whose tokens nothing joins.
    pub nature: Option<&'a Nature>,
    /// What kind of path it asked for.
    pub path: PathClass,
    /// How the gateway answered.
    pub standing: Standing,
    /// Another token that stands under the same `(iss, jti)`.
    pub clash: Option<Clash>,
    /// The newest token that the session's holder showed, where the session has an id.
    pub family: Option<Line>,
    /// What a refresh token that came twice came with; only where an identity provider told of it.
    pub reuse: Option<Reuse<'a>>,
    /// What the request shows of the key that the token is bound to, and what was seen before.
    pub binding: Option<(Fits, Seen)>,
    /// True when the token was let in, its signature does not fit, and the key set is at fault.
    pub key_fault: bool,
    /// The counters of its source network, this use included.
    pub origin: OriginCounts,
    /// What the identity provider told of the token, else of its session, oldest first; mostly nothing.
    pub told: &'a [Told],
    /// The login that the identity provider told of the session.
    pub login: Option<&'a Told>,
    /// True when the identity provider tells of nearly every login, and told of none for this session.
    pub without_login: bool,
    /// Distinct paths that were forbidden to the session in ten minutes, this one included.
    pub forbidden: usize,
    /// True when issuers are configured and the token's is none of them.
    pub foreign_issuer: bool,
    /// True when the token names audiences, its issuer's are configured, and none of them is among them.
    pub foreign_audience: bool,
    /// True when an id of the token was planted for thieves.
    pub honeytoken: bool,
    /// True when the request names another tenant than the token does, where requests name their own.
    pub other_tenant: bool,
    /// What is known of the first uses from a context that is new to its session, with this one.
    pub watch: Option<Watch>,
    /// True when the context is new to its session and that of a companion as several people's sessions have, or of the
    /// next step of an errand.
    pub usual: bool,
    /// True when the context is that of a backend that several people's sessions had from the start.
    pub serves_people: bool,
    /// True when it repeats the session's current context, answer and token: nothing about the session is new.
    pub repeats: bool,
}

impl<'a> Look<'a> {
    /// A use of which nothing was known before.
    pub fn of(usage: &'a TokenUse<'a>, entry: &'a TokenEntry, key: ContextKey) -> Self {
        Self {
            usage,
            entry,
            session: None,
            subject: None,
            population: None,
            key,
            client: 0,
            nature: None,
            path: PathClass::default(),
            standing: Standing::default(),
            clash: None,
            family: None,
            reuse: None,
            binding: None,
            key_fault: false,
            origin: OriginCounts::default(),
            told: &[],
            login: None,
            without_login: false,
            forbidden: 0,
            foreign_issuer: false,
            foreign_audience: false,
            honeytoken: false,
            other_tenant: false,
            watch: None,
            usual: false,
            serves_people: false,
            repeats: false,
        }
    }

    /// The session, unless the use only repeats what was measured before.
    fn changed_session(&self) -> Option<&'a Session> {
        self.session.filter(|_| !self.repeats)
    }

    /// True when the use is of one that belongs to the session beside its holder.
    fn is_companions(&self, session: &Session) -> bool {
        let context = self.usage.context;
        self.usual || session.companion(self.key, context, self.usage.event.time)
    }

    /// True when the use is of a server that never called but right after the session's holder did.
    fn answers(&self, session: &Session) -> bool {
        session.answers(self.key, self.usage.context, self.usage.event.time)
    }

    /// The bound context to compare with, unless this use stands in a bound context itself.
    fn elsewhere(&self) -> Option<(&'a Session, &'a Visit)> {
        let session = self.changed_session()?;
        let bound = session.bound_for(self.usage.context.address.ip())?;
        let context = self.usage.context;
        let seen = session.visit(self.key);
        let since = seen.map_or(self.usage.event.time, |(_, visit)| visit.first);
        let own =
            session.bound().any(|visit| visit.key == self.key) || session.waits_for(context, since);
        (!own).then_some((session, bound))
    }
}

/// What kind of path a request asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathClass {
    /// Ends a session.
    pub logout: bool,
    /// Changes credentials, keys, payments or rights.
    pub sensitive: bool,
    /// Is configured as protected.
    pub protected: bool,
}

/// How the gateway answered a use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// As to a valid token, on a path that is not open to everybody.
    pub accepted: bool,
    /// 401 or 403.
    pub refused: bool,
}

/// Counters of a source network over the last ten minutes, and what is usual there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OriginCounts {
    /// Subjects whose tokens it presented.
    pub subjects: usize,
    /// Those of them that are at home elsewhere.
    pub newcomers: usize,
    /// Subjects named by forged or refused tokens.
    pub named: usize,
    /// Refused uses.
    pub rejected: u32,
    /// Forged tokens.
    pub forged: u32,
    /// Whose sessions came here from elsewhere; `None` when this use did not.
    pub crowd: Option<Crowd>,
    /// People at home there.
    pub residents: f64,
}

/// Measures everything about one use.
pub fn measure(look: &Look<'_>, facts: &mut Facts) {
    facts.flag(Fact::UseAccepted, look.standing.accepted);
    facts.flag(Fact::UseRefused, look.standing.refused);
    for detector in ALL {
        (detector.measure)(look, facts);
    }
}
