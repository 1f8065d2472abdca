//! A case, or several that share a suspect, as the contract shows them.
//!
//! In: [`Case`]s. Out: [`Incident`].
//! Does not know: what is stored about actions and states (the shell adds both).

use super::blast_radius::{Breach, TEMPLATES_APART_MAX};
use super::case::{Case, Key};
use super::root_cause::{Causes, Scene};
use super::score::{SHOWN_AT, raise};
use super::shared_source::Shared;
use super::sides::{Side, client_words, network_words, place_words};
use super::steps;
use super::targets::Targets;
use super::text::counted;
use super::words;
use crate::domain::event::Told;
use crate::domain::finding::Level;
use crate::domain::incident::{
    IdentityEvent, Impact, Incident, PasswordStep, RevokeStep, State, Steps, Suspect,
};
use crate::domain::time::Time;
use crate::domain::token::Provenance;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ids shown in a parent's lists.
const LISTED_MAX: usize = 50;

/// Other subjects that were seen at a suspect: some of the names, and how many.
pub(super) type OtherSubjects = (Vec<Arc<str>>, u64);

/// A case as an incident.
pub(super) fn incident(case: &Case, others: OtherSubjects, now: Time) -> Incident {
    let (names, count) = others;
    let scene = Scene {
        victim: case.victim.first(),
        suspect: case.suspect.first(),
        accepted_forgery: case.accepted_forgery,
        without_subject: matches!(case.key, Key::Sender(_) | Key::Gateway(..)),
        accounts: if case.parent.is_some() { count + 1 } else { 1 },
    };
    let steps = Steps {
        password: steps::password(case),
        revoke: steps::revoke(case),
        breach: case.breach.step(names, count.max(case.other_subjects)),
        root_cause: case.causes.step(&scene),
    };
    Incident {
        id: case.id,
        level: case.level(),
        score: case.score.sum(),
        title: words::title(case),
        subject: case.subject.clone(),
        issuer: case.issuer.clone(),
        sessions: sessions(case),
        opened: case.opened,
        updated: case.last,
        findings: case.findings.clone(),
        rules: case.rules.clone(),
        dimensions: dimensions(case),
        victim: case.victim.first().map(|_| case.victim.shown()),
        suspect: suspect(
            &case.suspect,
            case.suspect_since,
            case.last,
            case.breach.requests,
        ),
        steps,
        state: State::Open,
        next: words::next(case),
        live_until: live_until(&case.targets),
        suspect_active: case.active(now),
        provenance: case.believable.unwrap_or(Provenance::Claimed),
        actionable: case.actionable(),
        actions: Vec::new(),
        refused: Vec::new(),
        impact: Impact {
            sessions: case.sessions_of_subject,
            last_legitimate_use: case.last_legitimate_use.map(|time| time.to_string()),
        },
        alternatives: words::alternatives(case),
        prior: case.prior.clone(),
        parent: case.parent,
        children: Vec::new(),
        request_ids: case.request_ids.clone(),
        identity: case.told.iter().map(identity_event).collect(),
        journey: Vec::new(),
    }
}

fn identity_event(told: &Told) -> IdentityEvent {
    let context = told.context.as_deref();
    IdentityEvent {
        time: told.time,
        action: told.kind,
        ip: context.map(|context| context.address.ip()),
        network: context.map(network_words),
        client: context.and_then(|context| context.client.as_deref().map(client_words)),
    }
}

/// The sessions at stake: a sender's forged tokens name sessions of others, which are not.
fn sessions(case: &Case) -> Vec<crate::domain::ids::SessionId> {
    match case.key {
        Key::Account(_) | Key::Session(_) if !case.accepted_forgery => case.sessions.clone(),
        _ => Vec::new(),
    }
}

fn dimensions(case: &Case) -> BTreeMap<Arc<str>, u32> {
    let highest = case.score.highest().iter();
    highest
        .map(|(dimension, points)| (dimension.name().into(), *points))
        .collect()
}

fn suspect(side: &Side, first_seen: Time, last_seen: Time, requests: u64) -> Suspect {
    let shown = side.shown();
    Suspect {
        ips: side.ips().to_vec(),
        networks: shown.networks,
        clients: shown.clients,
        first_seen,
        last_seen,
        requests,
    }
}

fn live_until(targets: &Targets) -> Option<String> {
    let ms = targets.live_until_s()?.checked_mul(1000)?;
    Time::from_ms(ms).map(|time| time.to_string())
}

fn level_of(case: &Case) -> Level {
    match case.excused {
        Some(_) => Level::Informational,
        None => case.score.level(case.key.scale(), true),
    }
}

/// Cases that share a suspect, as the incident above theirs. Acting is its children's matter.
pub(super) fn parent(
    shared: &Shared,
    cases: &[&Case],
    others: OtherSubjects,
    now: Time,
) -> Incident {
    let mut all = Gathered::default();
    cases.iter().for_each(|case| all.add(case));
    let last = cases
        .iter()
        .map(|case| case.last)
        .max()
        .unwrap_or(shared.opened);
    let level = cases.iter().map(|case| level_of(case)).max();
    let accounts = shared.accounts();
    let place = all
        .suspect
        .first()
        .map_or_else(|| shared.prefix.to_string(), place_words);
    let (steps, issuer) = (all.steps(accounts, others, last), all.issuer(cases));
    Incident {
        id: shared.id,
        level: level.unwrap_or_else(|| raise(Level::Medium)),
        score: cases
            .iter()
            .map(|case| case.score.sum())
            .max()
            .unwrap_or(SHOWN_AT),
        title: format!(
            "one source in {place} uses the tokens of {}",
            counted(accounts, "account")
        ),
        subject: None,
        issuer,
        sessions: all.sessions,
        opened: shared.opened,
        updated: last,
        findings: all.findings,
        rules: all.rules,
        dimensions: all.dimensions,
        victim: None,
        suspect: suspect(
            &all.suspect,
            all.since.unwrap_or(shared.opened),
            last,
            all.breach.requests,
        ),
        steps,
        state: State::Open,
        next: next_of_all(shared),
        live_until: live_until(&all.targets),
        suspect_active: cases.iter().any(|case| case.active(now)),
        provenance: all.believable.unwrap_or(Provenance::Claimed),
        actionable: false,
        actions: Vec::new(),
        refused: Vec::new(),
        impact: Impact {
            sessions: cases.iter().map(|case| case.sessions_of_subject).sum(),
            last_legitimate_use: None,
        },
        alternatives: vec![words::alternative(
            "an office, a carrier's address translation or a company proxy that people share",
            "look whether the accounts have used this network for days",
        )],
        prior: Vec::new(),
        parent: None,
        children: shared.children().collect(),
        request_ids: Vec::new(),
        identity: Vec::new(),
        journey: Vec::new(),
    }
}

fn next_of_all(shared: &Shared) -> String {
    format!(
        "Block {} at the edge, then do steps 1 and 2 for each of its {}.",
        shared.prefix,
        counted(shared.children().count() as u64, "incident")
    )
}

/// What the children know together.
#[derive(Default)]
struct Gathered {
    sessions: Vec<crate::domain::ids::SessionId>,
    findings: Vec<crate::domain::ids::FindingId>,
    rules: BTreeMap<Arc<str>, u64>,
    dimensions: BTreeMap<Arc<str>, u32>,
    suspect: Side,
    since: Option<Time>,
    breach: Breach,
    targets: Targets,
    causes: Causes,
    believable: Option<Provenance>,
}

impl Gathered {
    fn add(&mut self, case: &Case) {
        let room = LISTED_MAX.saturating_sub(self.sessions.len());
        self.sessions.extend(case.sessions.iter().take(room));
        let room = LISTED_MAX.saturating_sub(self.findings.len());
        self.findings.extend(case.findings.iter().take(room));
        for (rule, count) in &case.rules {
            *self.rules.entry(rule.clone()).or_default() += count;
        }
        for (dimension, points) in dimensions(case) {
            let highest = self.dimensions.entry(dimension).or_default();
            *highest = points.max(*highest);
        }
        self.suspect.merge(&case.suspect);
        self.since = Some(
            self.since
                .map_or(case.suspect_since, |t| t.min(case.suspect_since)),
        );
        self.breach.merge(&case.breach, TEMPLATES_APART_MAX);
        self.targets.merge(&case.targets);
        self.causes.merge(&case.causes);
        self.believable = self.believable.max(case.believable);
    }

    fn steps(&self, accounts: u64, (names, count): OtherSubjects, last: Time) -> Steps {
        let scene = Scene {
            victim: None,
            suspect: self.suspect.first(),
            accepted_forgery: false,
            without_subject: false,
            accounts,
        };
        let people = counted(accounts, "account");
        Steps {
            password: PasswordStep {
                needed: true,
                subject: None,
                advice: format!("ask the people of all {people}: each incident below names one"),
                calls: Vec::new(),
            },
            revoke: RevokeStep {
                calls: Vec::new(),
                ..steps::revoke_tokens(&self.targets, last)
            },
            breach: self.breach.step(names, count.max(accounts)),
            root_cause: self.causes.step(&scene),
        }
    }

    /// The issuer, when all have the same.
    fn issuer(&self, cases: &[&Case]) -> Option<Arc<str>> {
        let first = cases.first()?.issuer.clone();
        first.filter(|first| cases.iter().all(|case| case.issuer.as_ref() == Some(first)))
    }
}
