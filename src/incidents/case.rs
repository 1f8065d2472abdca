//! One case: what is known about one subject and one suspect.
//!
//! In: [`Report`]s and uses that belong to it. Out: the gathered state that `words`, `steps` and
//! `shown` read.
//! Does not know: other cases.

use super::Report;
use super::blast_radius::Breach;
use super::excuses::Excuse;
use super::root_cause::Causes;
use super::score::{Scale, Score};
use super::shown::OtherSubjects;
use super::sides::Side;
use super::targets::{Targets, forged};
use super::text::{shown, shown_arc};
use crate::domain::context::{Context, Prefix};
use crate::domain::event::{EventKind, Told};
use crate::domain::facts::Fact;
use crate::domain::finding::Level;
use crate::domain::ids::{FindingId, IdKey, IncidentId, SessionId, SubjectId};
use crate::domain::time::Time;
use crate::domain::token::Provenance;
use crate::domain::usage::TokenUse;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Finding ids kept: the first ones say how it began, the counts by rule say the rest.
const FINDINGS_MAX: usize = 50;
/// Sessions kept of one subject.
pub(super) const SESSIONS_MAX: usize = 50;
/// Rules counted by name.
const RULES_MAX: usize = 64;
/// Request ids kept, as the contract says.
const REQUEST_IDS_MAX: usize = 20;
/// Events of the identity provider kept: the login, the issuance and what came last.
const TOLD_MAX: usize = 20;
/// A suspect counts as active this long after its last use: the pause between two bursts of a
/// script.
pub(super) const ACTIVE_S: f64 = 600.0;
/// Silence after which the same suspect is another story; half a working session.
pub(super) const SILENCE_S_MAX: f64 = 3600.0;

/// Whom a case is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Key {
    /// An account: findings about any of its sessions.
    Account(SubjectId),
    /// A session whose tokens name no subject.
    Session(SessionId),
    /// Nobody: somebody sends tokens that are refused.
    Sender(Prefix),
    /// A gateway's host and an issuer: somebody's fault and nobody's theft.
    Gateway(Arc<str>, Arc<str>),
}

impl Key {
    /// How the points of such a case are read.
    pub(super) fn scale(&self) -> Scale {
        match self {
            Self::Account(_) | Self::Session(_) => Scale::Theft,
            Self::Sender(_) => Scale::Sender,
            Self::Gateway(..) => Scale::Fault,
        }
    }
}

/// What is known about one subject and one suspect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) key: Key,
    pub(super) id: IncidentId,
    pub(super) subject: Option<Arc<str>>,
    pub(super) issuer: Option<Arc<str>>,
    pub(super) opened: Time,
    /// Event time of the newest use that belongs to it.
    pub(super) last: Time,
    pub(super) closed: bool,
    pub(super) score: Score,
    pub(super) findings: Vec<FindingId>,
    pub(super) rules: BTreeMap<Arc<str>, u64>,
    /// What the weightiest finding said.
    pub(super) says: (u32, String),
    pub(super) sessions: Vec<SessionId>,
    pub(super) victim: Side,
    pub(super) suspect: Side,
    pub(super) suspect_since: Time,
    /// From the rightful holder's last use to the suspect's first, when the case was opened.
    pub(super) gap_s: Option<f64>,
    pub(super) breach: Breach,
    pub(super) targets: Targets,
    pub(super) causes: Causes,
    /// The strongest provenance of a use by the suspect that was answered as valid and had not
    /// expired.
    pub(super) believable: Option<Provenance>,
    pub(super) accepted_forgery: bool,
    /// Why it was nobody's deed, once that is known.
    pub(super) excused: Option<Excuse>,
    /// Days on which the subject signed in where the suspect is, since it was opened.
    pub(super) signed_in: SmallVec<[i64; 1]>,
    /// The subject is a program.
    pub(super) machine: bool,
    /// The suspect went for a password, mail, key or payment path.
    pub(super) sensitive: bool,
    pub(super) request_ids: Vec<String>,
    pub(super) last_legitimate_use: Option<Time>,
    pub(super) sessions_of_subject: u64,
    /// Other subjects the stores had counted at the suspect's prefix.
    pub(super) other_subjects: u64,
    /// Other subjects seen at the suspect's prefixes when the case was closed.
    pub(super) others: OtherSubjects,
    /// What the identity provider told, oldest first.
    pub(super) told: Vec<Told>,
    pub(super) prior: Vec<IncidentId>,
    pub(super) parent: Option<IncidentId>,
}

impl Case {
    /// A case about `key`, named after its first finding.
    pub(super) fn open(key: Key, report: &Report<'_>, prior: Vec<IncidentId>) -> Self {
        let token = report.usage.token;
        let about_subject = matches!(key, Key::Account(_));
        let time = report.usage.event.time;
        Self {
            id: id_after("case", report.finding.id.get()),
            subject: token
                .sub
                .as_deref()
                .filter(|_| about_subject)
                .map(shown_arc),
            issuer: token.issuer.as_deref().map(shown_arc),
            opened: time,
            last: time,
            closed: false,
            score: Score::default(),
            findings: Vec::new(),
            rules: BTreeMap::new(),
            says: (0, String::new()),
            sessions: Vec::new(),
            victim: Side::default(),
            suspect: Side::default(),
            suspect_since: report.suspect_since.min(time),
            gap_s: report
                .last_legitimate_use
                .map(|used| report.suspect_since.since_s(used)),
            breach: Breach::default(),
            targets: Targets::default(),
            causes: Causes::default(),
            believable: None,
            accepted_forgery: report.accepted_forgery,
            excused: None,
            signed_in: SmallVec::new(),
            machine: about_subject && token.is_machine(),
            sensitive: false,
            request_ids: Vec::new(),
            last_legitimate_use: None,
            sessions_of_subject: 0,
            other_subjects: 0,
            others: OtherSubjects::default(),
            told: Vec::new(),
            prior,
            parent: None,
            key,
        }
    }

    /// Takes a finding in.
    pub(super) fn add(&mut self, report: &Report<'_>) {
        let finding = report.finding;
        self.advance(report.usage.event.time);
        self.opened = self.opened.min(report.usage.event.time);
        self.score
            .add(finding.dimension, finding.score, report.doubtful);
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding.id);
        }
        if self.rules.len() < RULES_MAX || self.rules.contains_key(&finding.rule) {
            *self.rules.entry(finding.rule.clone()).or_default() += 1;
        }
        if finding.score > self.says.0 {
            self.says = (finding.score, shown(&finding.says));
        }
        self.tell(report.told);
        let new_session = self.see_session(report.usage.token.session);
        if self.suspect.see(report.suspect) || new_session {
            self.breach.add_earlier(&report.stats);
        }
        if let Some(victim) = report.victim {
            self.victim.see(victim);
        }
        self.causes.hear(finding, &report.hints);
        self.sensitive |= finding.facts.contains_key(Fact::SensitiveAfterDrift.name());
        self.accepted_forgery |= report.accepted_forgery;
        // What was said of a place that is the subject's own may be said again, and of no other place.
        self.excused = self
            .excused
            .filter(|why| *why == Excuse::Own && self.place().is_some());
        self.suspect_since = self.suspect_since.min(report.suspect_since);
        self.last_legitimate_use = self.last_legitimate_use.max(report.last_legitimate_use);
        self.sessions_of_subject = self.sessions_of_subject.max(report.sessions_of_subject);
        self.other_subjects = self.other_subjects.max(report.stats.other_subjects);
    }

    /// Takes in what the identity provider told, each event once.
    pub(super) fn tell(&mut self, told: &[Told]) -> bool {
        let before = self.told.len();
        for one in told {
            if self.told.len() < TOLD_MAX && !self.told.contains(one) {
                self.told.push(one.clone());
            }
        }
        self.told.sort_by_key(|one| one.time);
        self.told.len() > before
    }

    /// Counts a use by the suspect.
    pub(super) fn count(&mut self, usage: &TokenUse<'_>) {
        let event = usage.event;
        self.advance(event.time);
        self.suspect.see(usage.context);
        // What is asked about is counted with its line, which tells the answer.
        if event.kind != EventKind::Asked {
            self.breach.add(event);
        }
        self.causes.look(usage);
        if matches!(self.key.scale(), Scale::Theft) {
            self.targets.add(usage);
        }
        if believable(usage) {
            self.believable = self.believable.max(Some(usage.provenance));
        }
        if let Some(id) = event.request_id.as_deref().map(shown)
            && self.request_ids.len() < REQUEST_IDS_MAX
            && !self.request_ids.contains(&id)
        {
            self.request_ids.push(id);
        }
    }

    /// Moves to a later moment; what happened while the suspect was away lets the points fade.
    fn advance(&mut self, time: Time) {
        self.closed = false;
        self.score.decay(time.since_s(self.last) - ACTIVE_S);
        self.last = self.last.max(time);
    }

    fn see_session(&mut self, session: SessionId) -> bool {
        let new = !self.sessions.contains(&session) && self.sessions.len() < SESSIONS_MAX;
        if new {
            self.sessions.push(session);
        }
        new
    }

    /// True when an hour lies between the case and this moment, on either side.
    pub(super) fn silent(&self, time: Time) -> bool {
        time.since_s(self.last).max(self.opened.since_s(time)) > SILENCE_S_MAX
    }

    /// True when what this suspect does at `time` goes on with the case.
    pub(super) fn goes_on(&self, time: Time, suspect: &Context, session: SessionId) -> bool {
        !self.silent(time) && self.is_suspect(suspect, session)
    }

    /// True when a finding about this suspect belongs to the case. The program alone joins what each is worth a
    /// person's time: a copied user agent must not bring the holder's own journeys under suspicion, nor the thief's
    /// deeds into a case about one of those.
    pub(super) fn takes_in(&self, report: &Report<'_>) -> bool {
        let by_program = self.shown() && report.finding.level >= Level::Medium;
        let (usage, suspect) = (report.usage, report.suspect);
        self.goes_on(usage.event.time, suspect, usage.token.session)
            && (by_program || !self.is_accounts() || self.suspect.shares(suspect))
    }

    fn is_accounts(&self) -> bool {
        !matches!(self.key, Key::Gateway(..) | Key::Sender(_))
    }

    fn is_suspect(&self, suspect: &Context, session: SessionId) -> bool {
        !self.is_accounts()
            || self.suspect.shares(suspect)
            || self.sessions.contains(&session) && self.suspect.uses_program(suspect)
    }

    /// True when the suspect was seen in the last ten minutes.
    pub(super) fn active(&self, now: Time) -> bool {
        now.since_s(self.last) <= ACTIVE_S
    }

    /// True when a person should see it.
    pub(super) fn shown(&self) -> bool {
        self.score.shown()
    }

    /// How bad it is.
    pub(super) fn level(&self) -> Level {
        if self.excused.is_some() {
            return Level::Informational;
        }
        let raised = self.parent.is_some() || self.sensitive || self.accepted_forgery;
        self.score.level(self.key.scale(), raised)
    }

    /// True when acting is justified. A forged token is no deciding event: nobody vouches for it,
    /// and the account's own sessions are not the problem.
    pub(super) fn actionable(&self) -> bool {
        matches!(self.key.scale(), Scale::Theft)
            && !self.accepted_forgery
            && self.excused.is_none()
            && self.score.convinces()
            && self.believable >= Some(Provenance::Accepted)
    }
}

/// The id of an incident that follows from one that is keyed already.
pub(super) fn id_after(kind: &str, id: u128) -> IncidentId {
    // The id it is made from is a keyed hash, so a public key gives nothing away.
    let key = IdKey::public([0; 32]);
    IncidentId::of(&key, &[kind.as_bytes(), &id.to_be_bytes()])
}

/// True for the use that may decide: answered as a valid token's, or asked about as one, unexpired when the request
/// began, not forged.
fn believable(usage: &TokenUse<'_>) -> bool {
    let start_s = usage.event.start().as_s();
    let alive = usage
        .token
        .expires_s
        .is_none_or(|expires_s| expires_s > start_s);
    // Only a verified token is asked about.
    let let_in = usage.event.succeeded() || usage.event.kind == EventKind::Asked;
    let_in && alive && !forged(usage) && usage.place.presents()
}
