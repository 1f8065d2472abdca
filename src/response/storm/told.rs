//! A storm in numbers and words.
//!
//! In: its members, as they come. Out: one [`Incident`] that stands above them, for receivers and the store.
//! Does not know: when it is told, or to whom.

use crate::domain::breach::{BreachStep, Coverage};
use crate::domain::finding::Level;
use crate::domain::ids::IncidentId;
use crate::domain::incident::{
    Alternative, Cause, Hypothesis, Impact, Incident, PasswordStep, RevokeStep, RootCauseStep,
    State, Steps, Suspect,
};
use crate::domain::time::Time;
use crate::domain::token::Provenance;
use crate::sinks::brief::grouped;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Members named in the incident; the rest is counted.
const CHILDREN_MAX: usize = 1000;

/// Addresses, networks and programs named, as in any incident.
const NAMED_MAX: usize = 20;

/// What the members of a storm come to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sum {
    incidents: u64,
    /// Of them, those of which something waits for a person.
    waiting: u64,
    level: Level,
    score: u32,
    /// Event times of the first and of the newest member.
    opened: Time,
    updated: Time,
    /// While all have the same.
    issuer: Option<Arc<str>>,
    rules: BTreeMap<Arc<str>, u64>,
    dimensions: BTreeMap<Arc<str>, u32>,
    ips: Vec<IpAddr>,
    networks: Vec<String>,
    clients: Vec<String>,
    first_seen: Time,
    last_seen: Time,
    provenance: Provenance,
    requests: u64,
    writes: u64,
    bytes: u64,
    denied: u64,
}

impl Sum {
    /// Of a storm that begins with this incident, which is still to be added.
    pub(super) fn begun(first: &Incident) -> Self {
        Self {
            incidents: 0,
            waiting: 0,
            level: first.level,
            score: 0,
            opened: first.opened,
            updated: first.updated,
            issuer: first.issuer.clone(),
            rules: BTreeMap::new(),
            dimensions: BTreeMap::new(),
            ips: Vec::new(),
            networks: Vec::new(),
            clients: Vec::new(),
            first_seen: first.suspect.first_seen,
            last_seen: first.suspect.last_seen,
            provenance: first.provenance,
            requests: 0,
            writes: 0,
            bytes: 0,
            denied: 0,
        }
    }

    pub(super) fn incidents(&self) -> u64 {
        self.incidents
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Takes a new member in.
    pub(super) fn add(&mut self, incident: &Incident, waits: bool) {
        self.incidents += 1;
        self.waiting += u64::from(waits);
        self.worsen(incident);
        self.opened = self.opened.min(incident.opened);
        if self.issuer != incident.issuer {
            self.issuer = None;
        }
        for rule in incident.rules.keys() {
            *self.rules.entry(Arc::clone(rule)).or_default() += 1;
        }
        let suspect = &incident.suspect;
        self.first_seen = self.first_seen.min(suspect.first_seen);
        name(&mut self.ips, &suspect.ips);
        name(&mut self.networks, &suspect.networks);
        name(&mut self.clients, &suspect.clients);
        let breach = &incident.steps.breach;
        self.requests = self.requests.saturating_add(breach.requests);
        self.writes = self.writes.saturating_add(breach.writes);
        self.bytes = self.bytes.saturating_add(breach.bytes);
        self.denied = self.denied.saturating_add(breach.denied);
    }

    /// Takes in how a member stands now.
    pub(super) fn worsen(&mut self, incident: &Incident) {
        self.level = self.level.max(incident.level);
        self.score = self.score.max(incident.score);
        self.provenance = self.provenance.max(incident.provenance);
        self.updated = self.updated.max(incident.updated);
        self.last_seen = self.last_seen.max(incident.suspect.last_seen);
        for (dimension, points) in &incident.dimensions {
            let highest = self.dimensions.entry(Arc::clone(dimension)).or_default();
            *highest = (*highest).max(*points);
        }
    }

    /// The incident above the members.
    pub(super) fn shown(
        &self,
        id: IncidentId,
        members: &BTreeSet<IncidentId>,
        over: bool,
    ) -> Incident {
        Incident {
            id,
            level: self.level,
            score: self.score,
            title: self.title(over),
            subject: None,
            issuer: self.issuer.clone(),
            sessions: Vec::new(),
            opened: self.opened,
            updated: self.updated,
            findings: Vec::new(),
            rules: self.rules.clone(),
            dimensions: self.dimensions.clone(),
            victim: None,
            suspect: Suspect {
                ips: self.ips.clone(),
                networks: self.networks.clone(),
                clients: self.clients.clone(),
                first_seen: self.first_seen,
                last_seen: self.last_seen,
                requests: self.requests,
            },
            steps: self.steps(),
            state: State::Open,
            next: self.next(),
            live_until: None,
            suspect_active: !over,
            provenance: self.provenance,
            actionable: false,
            actions: Vec::new(),
            refused: Vec::new(),
            impact: Impact::default(),
            alternatives: alternatives(),
            prior: Vec::new(),
            parent: None,
            children: members.iter().take(CHILDREN_MAX).copied().collect(),
            request_ids: Vec::new(),
            identity: Vec::new(),
            journey: Vec::new(),
        }
    }

    fn title(&self, over: bool) -> String {
        let more = match self.incidents {
            1 => "1 more incident".to_owned(),
            count => format!("{} more incidents", grouped(count)),
        };
        match over {
            true => format!("{more} at once; no more come"),
            false => format!("{more} at once: too many to tell of each"),
        }
    }

    fn next(&self) -> String {
        let from = self.opened;
        let look = format!("look at what they share (`tokentrip incidents list --since {from}`)");
        let stop = "`tokentrip pause` stops all actions";
        let go = format!("`tokentrip incidents approve --since {from}` lets go ahead what waits");
        format!("Before anything else {look}; {stop}, {go}.")
    }

    fn steps(&self) -> Steps {
        let password = "find the common cause first: where a signing key or a store of tokens is lost, \
                        everybody has to log in anew, not these alone";
        let denied = "the gateway denies each token as far as mode and gates allow; \
                      logging out stops at the budget";
        let waiting = match self.waiting {
            0 => denied.to_owned(),
            waiting => format!("{denied}; waiting for a person: {}", grouped(waiting)),
        };
        let reason =
            "a sum of what each had done when it was counted; each incident has its own report";
        Steps {
            password: PasswordStep {
                needed: true,
                advice: password.to_owned(),
                ..PasswordStep::default()
            },
            revoke: RevokeStep {
                advice: waiting,
                ..RevokeStep::default()
            },
            breach: BreachStep {
                status: Coverage::without([reason]),
                requests: self.requests,
                writes: self.writes,
                bytes: self.bytes,
                denied: self.denied,
                ..BreachStep::default()
            },
            root_cause: RootCauseStep {
                hypotheses: vec![self.cause()],
            },
        }
    }

    fn cause(&self) -> Hypothesis {
        Hypothesis {
            cause: Cause::InadequateMeasures,
            hint: "many tokens were lost in one place: a log, a backup, a store of sessions, a signing key".to_owned(),
            evidence: format!("{} incidents within minutes", grouped(self.incidents)),
            fix: "find the place and close it; replace the signing key when tokens could be made, which ends all of them"
                .to_owned(),
        }
    }
}

fn alternatives() -> Vec<Alternative> {
    let known = [
        (
            "a proxy or a load balancer that is new and not in `trusted_proxies`, so everybody seems to have moved",
            "look whether the suspects' addresses are your own: `tokentrip doctor`",
        ),
        (
            "a rule that errs, or an application that behaves differently since its last release",
            "look whether one rule speaks in all of them, and what was released since",
        ),
    ];
    let each = |(explanation, check): (&str, &str)| Alternative {
        explanation: explanation.to_owned(),
        check: check.to_owned(),
    };
    known.map(each).into()
}

/// Adds what is new to a list, as long as it has room.
fn name<T: Clone + PartialEq>(named: &mut Vec<T>, new: &[T]) {
    for one in new {
        if named.len() < NAMED_MAX && !named.contains(one) {
            named.push(one.clone());
        }
    }
}
