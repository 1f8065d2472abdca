//! The line itself: lines in, findings, incidents and sightings out.
//!
//! In: [`Input`]s in one order. Out: what each adds to an [`Observation`]; incidents on demand.
//! Does not know: files, clocks, threads, networks. The same inputs in the same order give the same outputs.

pub mod ahead;
mod asked;
mod blame;
mod bound;
mod correlate;
mod crowd;
pub mod examine;
mod flood;
pub mod follow;
mod health;
mod identity;
mod journey;
mod judge;
mod known;
mod lanes;
mod learn;
mod look;
mod misfits;
pub mod paths;
pub mod prepare;
mod record;
mod sighting;
mod standing;
mod watch;

use crate::context::Surroundings;
use crate::context::tables::Tables;
use crate::detectors::{self, Look, OriginCounts};
use crate::domain::context::Context;
use crate::domain::event::EventKind;
use crate::domain::facts::Facts;
use crate::domain::finding::Finding;
use crate::domain::ids::{Digest, IdKey, SubjectId};
use crate::domain::incident::{Incident, Target};
use crate::domain::presentation::Presentation;
use crate::domain::sighting::Sighting;
use crate::domain::time::Time;
use crate::domain::token::Token;
use crate::domain::usage::TokenUse;
use crate::incidents::Incidents;
use crate::rules::RuleSet;
use crate::sessions::bounded::Bounded;
use crate::sessions::source::Tally;
use crate::sessions::token::TokenEntry;
use crate::sessions::{Limits, Stores};
use crate::tokens::verify::Issuers;
use ahead::Waiting;
use correlate::Windows;
use follow::{Follow, Followed};
use health::Health;
pub use health::{AFTER_LOGOUT_S, AfterLogout, SourceHealth, Totals};
use judge::Edges;
pub use known::FORESEEN;
use lanes::Lanes;
use prepare::Prepared;
use serde::{Deserialize, Serialize};
use standing::Presented;
use std::sync::Arc;

/// Everything a finding can depend on, in one order.
pub enum Input<'a> {
    /// One line.
    Line(&'a Prepared<'a>),
    /// The key sets of the configured issuers, with their history.
    Keys(Arc<Issuers>),
    /// A new set of rules.
    Rules(Arc<RuleSet>),
    /// Something was denied or revoked.
    Revoked {
        /// What.
        target: Target,
        /// When, in event time.
        time: Time,
    },
    /// That was taken back.
    Restored(&'a Target),
    /// New tables of places and networks.
    Tables(Tables),
    /// What another node saw.
    Sighting(&'a Sighting),
    /// What a gateway asked about.
    Asked(&'a Presentation),
    /// Event time has come this far, though no line says so.
    Tick(Time),
}

/// What the inputs since the last look gave.
#[derive(Debug, Default)]
pub struct Observation {
    /// New findings, in order.
    pub findings: Vec<Finding>,
    /// Findings that an exception explains, and that nobody is told of.
    pub excepted: Vec<Excepted>,
    /// The uses that were asked for.
    pub followed: Vec<Followed>,
    /// What other nodes should hear.
    pub sightings: Vec<Sighting>,
    /// Issuers that use a key nobody knows here: their key sets should be fetched again.
    pub wanted_keys: Vec<Arc<str>>,
}

/// A finding that was not made, for an exception explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excepted {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The exception's name.
    pub exception: Arc<str>,
}

/// What does not change while an engine lives.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The installation's keys.
    pub key: IdKey,
    /// How much the stores may hold.
    pub limits: Limits,
    /// True when paths are configured as protected.
    pub protects: bool,
    /// True when sightings are wanted.
    pub sightings: bool,
    /// False to derive everything anew at every line: slower, and the same findings.
    pub fast_path: bool,
}

/// The line.
pub struct Engine {
    settings: Settings,
    rules: Arc<RuleSet>,
    issuers: Arc<Issuers>,
    surroundings: Surroundings,
    follow: Option<Follow>,
    state: State,
    lanes: Lanes,
    /// Tokens that were decoded again lately.
    decoded: Bounded<Digest, Arc<Token>>,
    /// Networks whose tokens nobody looks at ahead, for they wait.
    waiting: Arc<Waiting>,
}

/// All that one line leaves behind for the next: what a snapshot holds.
#[derive(Serialize, Deserialize)]
struct State {
    stores: Stores,
    edges: Edges,
    windows: Windows,
    incidents: Incidents,
    health: Health,
    /// Forged tokens of all networks.
    forged: Tally,
    /// What was denied, by keyed hash of its kind, issuer and name, and since when.
    revoked: Bounded<u128, Time>,
    /// How often something was denied: an entry that counted fewer must look again.
    revocations: u32,
    /// How often the key sets changed: a token judged before may be judged again.
    keys_version: u32,
    newest: Time,
}

impl State {
    fn new(settings: &Settings) -> Self {
        Self {
            stores: Stores::new(&settings.limits),
            edges: Edges::default(),
            windows: Windows::default(),
            incidents: Incidents::default(),
            health: Health::new(settings.protects),
            forged: Tally::default(),
            revoked: Bounded::new(REVOKED_MAX),
            revocations: 0,
            keys_version: 1,
            newest: Time::default(),
        }
    }
}

/// Denials remembered; the gateway's own list is bounded alike.
const REVOKED_MAX: usize = 2_000_000;

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(
        settings: Settings,
        rules: Arc<RuleSet>,
        issuers: Arc<Issuers>,
        tables: Tables,
    ) -> Self {
        let surroundings = Surroundings::new(tables);
        Self {
            state: State::new(&settings),
            settings,
            rules,
            issuers,
            surroundings,
            follow: None,
            lanes: Lanes::new(),
            decoded: Bounded::new(known::DECODED_MAX),
            waiting: Arc::default(),
        }
    }

    /// Everything the engine remembers, as bytes. Rules, keys and tables are not part of it: they are inputs.
    ///
    /// # Errors
    /// When the state cannot be written, which would be a mistake of ours.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, postcard::Error> {
        self.land_all();
        postcard::to_stdvec(&self.state)
    }

    /// Remembers what [`Self::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are no snapshot of this version.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), postcard::Error> {
        self.state = postcard::from_bytes(snapshot)?;
        self.forget_lanes();
        for context in self.state.stores.contexts_mut() {
            self.surroundings.share(context);
        }
        Ok(())
    }

    /// Takes one input.
    pub fn observe(&mut self, input: Input<'_>, out: &mut Observation) {
        if !matches!(input, Input::Line(_) | Input::Asked(_) | Input::Tick(_)) {
            self.change_lanes();
        }
        match input {
            Input::Line(prepared) => self.line(prepared, out),
            Input::Keys(issuers) => {
                self.issuers = issuers;
                self.state.keys_version += 1;
            }
            Input::Rules(rules) => self.rules = rules,
            Input::Revoked { target, time } => self.revoke(&target, time),
            Input::Restored(target) => self.restored(target),
            Input::Tables(tables) => self.surroundings.replace_tables(tables),
            Input::Sighting(sighting) => self.sighting(sighting, out),
            Input::Asked(asked) => self.asked(asked, out),
            Input::Tick(time) => self.tick(time),
        }
    }

    /// The incidents whose shown form changed since this was asked last.
    pub fn changed_incidents(&mut self) -> Vec<Incident> {
        self.state.incidents.changed()
    }

    /// Every incident so far, in order of opening.
    pub fn incidents(&self) -> Vec<Incident> {
        self.state.incidents.finish()
    }

    /// When a subject was first seen, in event time.
    pub fn subject_since(&self, issuer: &str, sub: &str) -> Option<Time> {
        let parts = [issuer.as_bytes(), sub.as_bytes()];
        let id = SubjectId::of(&self.settings.key, &parts);
        self.state
            .stores
            .subjects
            .get(id)
            .map(|subject| subject.first_seen)
    }

    fn tick(&mut self, time: Time) {
        self.state.newest = self.state.newest.max(time);
        self.state.incidents.tick(self.state.newest);
    }

    fn line(&mut self, prepared: &Prepared<'_>, out: &mut Observation) {
        self.keep_lanes();
        let event = &prepared.event;
        self.state.health.event(prepared);
        self.come_to(event.time);
        if event.kind.is_identity() {
            return self.identity(prepared, out);
        }
        if prepared.credentials.is_empty() {
            if event.kind == EventKind::Request
                && standing::opens_its_path(event)
                && let Some(key) = prepare::path_key(&self.settings.key, event)
            {
                self.state.stores.open_paths.get_or_insert_with(key, || ());
            }
            self.judge_bare_event(prepared, out);
            return;
        }
        if event.kind == EventKind::Note {
            return self.mentioned(prepared, out);
        }
        let mut deferred = 0;
        for credential in &prepared.credentials {
            if !self.follows_each() && self.settings.fast_path && self.settle(prepared, credential)
            {
                continue;
            }
            if self.defers(prepared, credential.digest) {
                deferred += 1;
                continue;
            }
            self.credential(prepared, credential, out);
        }
        if deferred == prepared.credentials.len() {
            self.judge_bare_event(prepared, out);
        }
    }

    /// One use: measure, judge, record.
    fn presented(
        &mut self,
        prepared: &Prepared<'_>,
        presented: Presented,
        (token, mut entry): (&Arc<Token>, TokenEntry),
        context: &Arc<Context>,
        out: &mut Observation,
    ) {
        let event = &prepared.event;
        self.land(token.session);
        let open_paths = &self.state.stores.open_paths;
        let path_key = prepare::path_key(&self.settings.key, event);
        let open = path_key.is_some_and(|key| open_paths.get(key).is_some());
        let mut standing = standing::standing(event, prepared.path, self.settings.protects, open);
        standing.accepted &= !standing::passed_over(&prepared.credentials, presented);
        let is_forged = standing::forgery(token, entry.verdict);
        let key_fault = standing.accepted
            && (is_forged || !entry.accepted)
            && self.key_fault(token, entry.verdict, presented, context, event.time);
        let forgery = is_forged && !key_fault;
        let presents = self.presents(event, presented.place, path_key, &entry, context);
        let believed = presents && standing::believed(event, token, entry.verdict, standing);
        let usage = TokenUse {
            event,
            token,
            place: presented.place,
            context,
            verdict: entry.verdict,
            provenance: standing::provenance(event, token, entry.verdict, standing, prepared.path),
        };
        let repeats = self.repeats(&entry, prepared, presented.place);
        let clash = (believed && !entry.accepted)
            .then(|| self.issued_before(token))
            .flatten();
        let origin = if repeats || !presents {
            OriginCounts::default()
        } else {
            self.count_origin(prepared, token, context, believed, forgery)
        };
        let trusted = presents && !is_forged;
        let forbidden = self.count_forbidden(token, prepared, trusted);
        let look = Look {
            path: prepared.path,
            standing,
            clash,
            binding: self.binding(token, presented.fits, prepared),
            key_fault,
            origin,
            forbidden,
            repeats,
            ..self.look(&usage, &entry, prepared.context_key, trusted)
        };
        let mut facts = Facts::default();
        detectors::measure(&look, &mut facts);
        let mut blame = blame::blame(&look, believed, forgery);
        blame.doubtful |= self.may_serve(token, &blame.suspect);
        let found = out.findings.len();
        let shown = self.judge(prepared, &usage, &facts, &blame, out);
        if repeats {
            let answered = event.succeeded().then_some(entry.provenance);
            self.state.health.used(answered.unwrap_or(usage.provenance));
            self.settle_repeat(prepared, &usage, out);
            self.remember(presented.digest, entry, believed);
        } else {
            self.record(prepared, &mut entry, &usage, &facts, believed, out);
            self.remember(presented.digest, entry, believed);
        }
        if shown {
            self.suspect(token, &blame, event.time);
        }
        self.show_binding(token, presented.fits.filter(|_| believed), prepared);
        if self.state.incidents.suspects(context.prefix()) {
            self.state.incidents.note(&usage);
        }
        self.tell(prepared, &usage, token, standing, found, out);
    }
}

#[cfg(test)]
mod tests;
