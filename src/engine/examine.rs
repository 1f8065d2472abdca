//! Lines that are read again for incidents: what in them is their suspects'.
//!
//! In: [`BreachQuery`]s, then lines in any order, each once. Out: a [`BreachStep`] for each incident.
//! Does not know: where the lines come from, nor anything that the engine remembers: tokens, contexts and verdicts are
//! made anew from the line.

use super::Engine;
use super::flood::FORGED_EACH_MAX;
use super::prepare::Prepared;
use crate::context::Surroundings;
use crate::context::tables::Tables;
use crate::domain::breach::BreachStep;
use crate::domain::context::{Client, Context, Prefix};
use crate::domain::event::EventKind;
use crate::domain::ids::{Digest, IdKey, IncidentId, SessionId, SubjectId, TokenId};
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::domain::token::{Credential, Provenance, Token, Verdict};
use crate::domain::usage::TokenUse;
use crate::incidents::BreachQuery;
use crate::incidents::rereading::Rereading;
use crate::sessions::bounded::Bounded;
use crate::tokens::decode::decode;
use crate::tokens::verify::{Issuers, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tokens and contexts held: those of the busiest network, and a thief's.
const HELD_MAX: usize = 16_384;
/// Subjects told apart in one network; an office of this size is no suspect. And in all networks together.
const SUBJECTS_MAX: usize = 1000;
const SUBJECTS_IN_ALL_MAX: usize = 20_000;
/// Programs remembered of one subject in one network.
const PROGRAMS_MAX: usize = 8;

/// Looks through lines for the suspects of incidents.
pub struct Examiner {
    key: IdKey,
    issuers: Arc<Issuers>,
    surroundings: Surroundings,
    tokens: Bounded<Digest, Option<Arc<Token>>>,
    /// True for a forged one. Only what names somebody and was not refused is checked.
    forged: Bounded<Digest, bool>,
    contexts: Bounded<u64, Option<Arc<Context>>>,
    readings: Vec<Rereading>,
    places: BTreeMap<Prefix, Place>,
    subjects_count: usize,
}

/// Suspects' uses in one line.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Whose suspects'.
    pub incidents: Vec<IncidentId>,
    /// The tokens.
    pub tokens: Vec<TokenId>,
    /// The session of the last.
    pub session: Option<SessionId>,
}

/// What is looked for in one network, and whose tokens came from there.
#[derive(Default)]
struct Place {
    /// Places in `readings`.
    asked: Vec<usize>,
    subjects: BTreeMap<SubjectId, Seen>,
    /// There were more subjects.
    is_full: bool,
    /// Forged tokens that came from here.
    forged: u32,
}

/// Somebody's token that came from a suspect's network.
struct Seen {
    token: Arc<Token>,
    programs: Vec<Option<Arc<Client>>>,
    first: Time,
    last: Time,
}

impl Engine {
    /// These incidents as they stand.
    pub fn incidents_named(&self, ids: &BTreeSet<IncidentId>) -> Vec<Incident> {
        self.state.incidents.named(ids)
    }

    /// Gives these incidents again with those that changed: something else is known of them.
    pub fn show_again(&mut self, ids: &BTreeSet<IncidentId>) {
        self.state.incidents.touch_named(ids);
    }
}

impl Examiner {
    /// Looks for the suspects of these incidents.
    pub fn new(key: IdKey, issuers: Arc<Issuers>, tables: Tables, incidents: &[Incident]) -> Self {
        let queries = incidents.iter().map(BreachQuery::of);
        let readings = queries.map(|query| Rereading::new(query, incidents.len()));
        let readings: Vec<Rereading> = readings.collect();
        let mut places: BTreeMap<Prefix, Place> = BTreeMap::new();
        for (at, reading) in readings.iter().enumerate() {
            // What is above others has done what they did.
            if !reading.query().children().is_empty() {
                continue;
            }
            for prefix in reading.query().prefixes() {
                places.entry(*prefix).or_default().asked.push(at);
            }
        }
        Self {
            key,
            issuers,
            surroundings: Surroundings::new(tables),
            tokens: Bounded::new(HELD_MAX),
            forged: Bounded::new(HELD_MAX),
            contexts: Bounded::new(HELD_MAX),
            readings,
            places,
            subjects_count: 0,
        }
    }

    /// What is looked for: in which networks, and between which times. What is above others asks for nothing itself.
    pub fn asked(&self) -> impl Iterator<Item = &BreachQuery> {
        let queries = self.readings.iter().map(Rereading::query);
        queries.filter(|query| query.children().is_empty())
    }

    /// Takes one line. Gives what suspects' uses stand in it.
    pub fn line(&mut self, prepared: &Prepared<'_>) -> Found {
        let mut found = Found::default();
        if let Some(prefix) = self.asked_in(prepared) {
            for credential in &prepared.credentials {
                self.credential(prepared, credential, prefix, &mut found);
            }
        }
        found
    }

    /// Takes one line for the sums alone. Of a flood of tokens that were refused, it decodes no more than are told
    /// apart.
    pub fn count(&mut self, prepared: &Prepared<'_>) {
        let Some(prefix) = self.asked_in(prepared) else {
            return;
        };
        for credential in &prepared.credentials {
            if !self.refused(prepared, prefix) {
                self.credential(prepared, credential, prefix, &mut Found::default());
            }
        }
    }

    /// The network of a line, when something is looked for in it.
    fn asked_in(&self, prepared: &Prepared<'_>) -> Option<Prefix> {
        let event = &prepared.event;
        let prefix = event.client.map(Prefix::of)?;
        let asked = !event.kind.is_identity() && self.places.contains_key(&prefix);
        asked.then_some(prefix)
    }

    /// True for a refused use that was counted without its token, since all who ask for its network ask for whatever
    /// was refused, and have seen more tokens than they tell apart.
    fn refused(&mut self, prepared: &Prepared<'_>, prefix: Prefix) -> bool {
        let Some(place) = self.places.get(&prefix) else {
            return false;
        };
        let readings = &self.readings;
        let mut asked = place.asked.iter().filter_map(|at| readings.get(*at));
        if !prepared.event.refused() || !asked.all(Rereading::needs_no_more_tokens) {
            return false;
        }
        let Some(context) = self.context(prepared) else {
            return true; // as with a token
        };
        let asked = self.places.get(&prefix).map(|place| &place.asked);
        for at in asked.into_iter().flatten() {
            if let Some(reading) = self.readings.get_mut(*at) {
                reading.note_refused(&prepared.event, &context, prepared.line.source);
            }
        }
        true
    }

    fn credential(
        &mut self,
        prepared: &Prepared<'_>,
        credential: &Credential<'_>,
        prefix: Prefix,
        found: &mut Found,
    ) {
        let (Some(token), Some(context)) = (self.token(credential), self.context(prepared)) else {
            return;
        };
        let names = self.names_somebody(prepared, credential, prefix, &token);
        let usage = TokenUse {
            event: &prepared.event,
            token: &token,
            place: credential.place,
            context: &context,
            // Nothing here asks for it, beside whom the token names.
            verdict: Verdict::NotConfigured,
            provenance: Provenance::Claimed,
        };
        let Some(place) = self.places.get_mut(&prefix) else {
            return;
        };
        if names {
            let is_room = self.subjects_count < SUBJECTS_IN_ALL_MAX;
            self.subjects_count += usize::from(place.see(&usage, &token, is_room));
        }
        let before = found.incidents.len();
        for at in &place.asked {
            if let Some(reading) = self.readings.get_mut(*at)
                && reading.note(&usage, prepared.line.source)
            {
                found.incidents.push(reading.query().incident());
            }
        }
        if found.incidents.len() > before {
            found.tokens.push(token.id);
            found.session = Some(token.session);
        }
    }

    /// True when a use is its subject's word: nobody refused it, and the token is not forged. In a flood of forged
    /// ones, nobody is named by what was not let in.
    fn names_somebody(
        &mut self,
        prepared: &Prepared<'_>,
        credential: &Credential<'_>,
        prefix: Prefix,
        token: &Token,
    ) -> bool {
        let event = &prepared.event;
        let says = event.kind == EventKind::Request && !event.refused();
        if !says || token.subject.is_none() || token.header.alg_none {
            return false;
        }
        if let Some(forged) = self.forged.get(credential.digest) {
            return !forged;
        }
        let Some(place) = self.places.get_mut(&prefix) else {
            return false;
        };
        if place.forged >= FORGED_EACH_MAX && !event.succeeded() {
            return false;
        }
        let forged = judge(credential, token, &self.issuers).forged();
        place.forged += u32::from(forged);
        self.forged.insert(credential.digest, forged);
        !forged
    }

    fn token(&mut self, credential: &Credential<'_>) -> Option<Arc<Token>> {
        let key = &self.key;
        let known = self.tokens.get_or_insert_with(credential.digest, || {
            decode(credential, key).ok().map(Arc::new)
        });
        known.clone()
    }

    fn context(&mut self, prepared: &Prepared<'_>) -> Option<Arc<Context>> {
        let surroundings = &mut self.surroundings;
        let known = self
            .contexts
            .get_or_insert_with(prepared.context_key.0, || {
                surroundings.describe(&prepared.event).map(Arc::new)
            });
        known.clone()
    }

    /// Says that something could not be read, to those that ask for something in these times.
    pub fn miss(&mut self, reason: &str, (from, until): (Time, Time)) {
        let readings = self.readings.iter_mut();
        readings
            .filter(|reading| {
                let query = reading.query();
                query.children().is_empty() && query.from() <= until && query.until() >= from
            })
            .for_each(|reading| reading.miss(reason));
    }

    /// Gives each of the incidents what was found.
    pub fn complete(self, incidents: &mut [Incident]) {
        let counted: BTreeMap<IncidentId, BreachStep> = incidents
            .iter()
            .map(|incident| (incident.id, incident.steps.breach.clone()))
            .collect();
        let mut steps = self.finish(|id| counted.get(&id).cloned());
        for incident in incidents {
            if let Some(step) = steps.remove(&incident.id) {
                incident.suspect.requests = step.requests;
                incident.steps.breach = step;
            }
        }
    }

    /// What was found for each of the incidents; `counted` is what was counted as things happened.
    pub fn finish(
        mut self,
        counted: impl Fn(IncidentId) -> Option<BreachStep>,
    ) -> BTreeMap<IncidentId, BreachStep> {
        self.say_what_found_no_room();
        let ids: BTreeMap<IncidentId, usize> = self
            .readings
            .iter()
            .enumerate()
            .map(|(at, reading)| (reading.query().incident(), at))
            .collect();
        let mut steps = BTreeMap::new();
        for (id, at) in &ids {
            let mut reading = self.readings[*at].clone();
            let mut others = self.others(reading.query());
            let children = reading.query().children().to_vec();
            for child in &children {
                match ids.get(child).and_then(|at| self.readings.get(*at)) {
                    Some(child) => {
                        reading.merge(child);
                        others.extend(self.others(child.query()));
                    }
                    None => reading.miss("an incident below it is no longer known"),
                }
            }
            let counted = counted(*id).unwrap_or_default();
            steps.insert(*id, reading.step(&others, &counted));
        }
        steps
    }

    fn say_what_found_no_room(&mut self) {
        for place in self.places.values().filter(|place| place.is_full) {
            for at in &place.asked {
                if let Some(reading) = self.readings.get_mut(*at) {
                    reading.miss("its networks are used by more subjects than are told apart");
                }
            }
        }
    }

    /// Whose tokens else the suspect presented: other subjects, in its networks and time, with its programs.
    fn others(&self, query: &BreachQuery) -> BTreeSet<Arc<str>> {
        let places = query.prefixes().iter();
        let seen = places
            .filter_map(|prefix| self.places.get(prefix))
            .flat_map(|place| place.subjects.values());
        let others = seen.filter(|seen| seen.first <= query.until() && seen.last >= query.from());
        others
            .filter_map(|seen| query.other(&seen.token, &seen.programs))
            .collect()
    }
}

impl Place {
    /// Remembers whose token came from here. True for somebody new.
    fn see(&mut self, usage: &TokenUse<'_>, token: &Arc<Token>, is_room: bool) -> bool {
        let Some(id) = token.subject else {
            return false;
        };
        let is_new = !self.subjects.contains_key(&id);
        if is_new && !(is_room && self.subjects.len() < SUBJECTS_MAX) {
            self.is_full = true;
            return false;
        }
        let time = usage.event.time;
        let seen = self.subjects.entry(id).or_insert_with(|| Seen {
            token: Arc::clone(token),
            programs: Vec::new(),
            first: time,
            last: time,
        });
        (seen.first, seen.last) = (seen.first.min(time), seen.last.max(time));
        let program = &usage.context.client;
        if seen.programs.len() < PROGRAMS_MAX && !seen.programs.contains(program) {
            seen.programs.push(program.clone());
        }
        is_new
    }
}
