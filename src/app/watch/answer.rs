//! What follows from findings and incidents: a plan, rows in the store, denials in force, somebody told.
//!
//! In: findings, changed incidents. Out: one transaction; what was denied.
//! Does not know: how a line was judged, how a call is made.

mod alerts;
mod known;

use self::known::Known;
use super::line::Shared;
use super::unstored::Unstored;
use super::{Error, wall};
use crate::app::receivers::Receivers;
use crate::config::Config;
use crate::domain::action::{Action, Delivery, Outcome, Standing};
use crate::domain::finding::{Finding, Level};
use crate::domain::ids::IncidentId;
use crate::domain::incident::{Incident, Target};
use crate::domain::time::Time;
use crate::engine::{Engine, Totals};
use crate::metrics::Metrics;
use crate::response::breaker::Breaker;
use crate::response::dispatch;
use crate::response::plan::{self, Situation};
use crate::response::storm::Storms;
use crate::sessions::bounded::Bounded;
use crate::store::{Recorded, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use tracing::{error, info};

/// Between looks for what is older than the retention allows.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Incidents of which it is known what was planned and told: some kilobytes each, and the double of what the engine
/// keeps. What is forgotten is planned again, with the same ids.
const KNOWN_MAX: usize = 20_000;

/// What a person decided.
#[derive(Default)]
pub(super) struct Decided {
    /// What is newly denied.
    pub(super) denied: Vec<Target>,
    /// What is no longer denied.
    pub(super) undone: Vec<Target>,
}

/// What follows from findings and incidents.
pub(super) struct Answer {
    receivers: Receivers,
    breaker: Breaker,
    storms: Storms,
    known: Bounded<IncidentId, Known>,
    /// What other processes had changed in the store when it was looked at last.
    others: (i64, u64),
    /// What is denied, as far as it was said to the engine.
    denied: HashSet<Target>,
    evicted: HashMap<&'static str, u64>,
    uses: [u64; 5],
    deferred: u64,
    prune_at: Instant,
    unstored: Unstored,
    /// It was said that the database takes nothing.
    says_unstored: bool,
}

impl Answer {
    /// Goes on with the incidents that are in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn new(receivers: Receivers, shared: &Shared) -> Result<Self, Error> {
        show_open(shared)?;
        Ok(Self {
            receivers,
            breaker: Breaker::default(),
            storms: Storms::default(),
            known: Bounded::new(KNOWN_MAX),
            others: shared.store.changes_of_others().map_err(Error::shown)?,
            denied: listed(shared).map_err(Error::shown)?.into_keys().collect(),
            evicted: HashMap::new(),
            uses: [0; 5],
            deferred: 0,
            prune_at: Instant::now(),
            unstored: Unstored::default(),
            says_unstored: false,
        })
    }

    /// Answers by these from now on; what was planned stays planned.
    pub(super) fn answer_by(&mut self, receivers: Receivers) {
        self.receivers = receivers;
    }

    /// Who answers now.
    pub(super) fn receivers(&self) -> &Receivers {
        &self.receivers
    }

    /// What was spent so far.
    pub(super) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// What was told together so far.
    pub(super) fn storms(&self) -> &Storms {
        &self.storms
    }

    /// Goes on with what was spent and told before.
    pub(super) fn resume(&mut self, breaker: Breaker, storms: Storms) {
        (self.breaker, self.storms) = (breaker, storms);
    }

    /// Records, denies and tells what was found in lines that were read at `read`. Gives what was newly denied. What
    /// the database does not take waits; a denial does not.
    pub(super) fn give(
        &mut self,
        findings: Vec<Finding>,
        mut incidents: Vec<Incident>,
        read: Instant,
        engine: &Engine,
        shared: &Shared,
    ) -> Vec<Target> {
        let begun = Instant::now();
        let (mut deliveries, mut actions) = (Vec::new(), Vec::new());
        for incident in &mut incidents {
            incident.journey = engine.journey(incident);
            let planned = self.plan(incident, engine, shared);
            deliveries.extend(planned.iter().cloned().map(Delivery::Action));
            actions.extend(planned);
            let alerts = self.alerts(incident, engine, shared);
            deliveries.extend(alerts.into_iter().map(Delivery::Alert));
        }
        self.storm(&mut incidents, &mut deliveries);
        let found = findings.len();
        self.unstored.add(findings, incidents, deliveries);
        let recorded = self.store(shared);
        dispatch::contain(&shared.denylist, &actions);
        (0..found).for_each(|_| {
            shared
                .metrics
                .detection_latency(read.elapsed().as_secs_f64())
        });
        let is_new = |action: &&Action| {
            let recorded = recorded.as_ref();
            action.standing == Standing::Go
                && action.denied_until.is_some()
                && recorded.is_none_or(|recorded| recorded.deliveries.contains(&action.id))
        };
        let new = actions.iter().filter(is_new);
        let denied: Vec<Target> = new.map(|action| action.target.clone()).collect();
        self.denied.extend(denied.iter().cloned());
        if !denied.is_empty() {
            shared
                .metrics
                .containment_latency(begun.elapsed().as_secs_f64());
        }
        denied
    }

    /// Stores what waits, or says why it waits on.
    fn store(&mut self, shared: &Shared) -> Option<Recorded> {
        // A database that another process holds keeps each try waiting for seconds.
        if !self.unstored.is_due() {
            self.say_waiting(shared);
            return None;
        }
        let waited = self.says_unstored;
        let stored = match self.unstored.store(&shared.store) {
            Ok(stored) => stored,
            Err(error) => {
                self.cannot_store(&error, shared);
                return None;
            }
        };
        shared.readiness.ready("store");
        shared.metrics.unstored(0.0);
        if std::mem::take(&mut self.says_unstored) {
            info!("the database takes findings again: nothing was lost");
        }
        let recorded = &stored.recorded;
        shared.wake.notify_one();
        let new = |finding: &&Finding| recorded.findings.contains(&finding.id);
        for finding in stored.findings.iter().filter(new) {
            let (rule, level) = (&finding.rule, finding.level.name());
            shared.metrics.findings(rule, level, 1);
            if finding.facts.contains_key("fault.after_revocation") {
                shared.metrics.revocation_drift(1);
            }
        }
        let new = recorded.incidents.iter();
        for incident in new.filter_map(|id| stored.incidents.get(id)) {
            shared.metrics.incidents(incident.level.name(), 1);
            if !waited {
                info!(id = %incident.id, level = incident.level.name(), "incident");
            }
        }
        Some(stored.recorded)
    }

    fn cannot_store(&mut self, error: &StoreError, shared: &Shared) {
        if !std::mem::replace(&mut self.says_unstored, true) {
            error!(%error, "findings cannot be stored: they wait in memory, detection goes on");
            let said = "the database takes no findings; they wait in memory";
            shared.readiness.not_ready("store", said);
        }
        self.say_waiting(shared);
    }

    fn say_waiting(&mut self, shared: &Shared) {
        shared.metrics.unstored(self.unstored.len() as f64);
        // Nobody can look them up, so the log is where they are.
        for incident in self.unstored.not_said() {
            info!(id = %incident.id, level = incident.level.name(), "incident");
        }
    }

    /// Tries again to store what waits, when that is due.
    pub(super) fn retry(&mut self, shared: &Shared) {
        if self.unstored.is_due() {
            self.store(shared);
        }
    }

    /// True while something waits that only a replay could find again.
    pub(super) fn waits(&self) -> bool {
        self.unstored.len() > 0
    }

    /// True when no more may wait.
    pub(super) fn is_full(&self) -> bool {
        self.unstored.is_full()
    }

    /// Plans again when the incident asks for more than before; else keeps what was said then.
    fn plan(&mut self, incident: &mut Incident, engine: &Engine, shared: &Shared) -> Vec<Action> {
        let targets: Vec<String> = incident
            .steps
            .revoke
            .targets
            .iter()
            .map(ToString::to_string)
            .collect();
        if let Some(known) = self.known.get_mut(incident.id)
            && known.actionable == incident.actionable
            && known.targets == targets
        {
            known.complete(incident);
            return Vec::new();
        }
        let account = incident.issuer.as_deref().zip(incident.subject.as_deref());
        let subject_since = account.and_then(|(iss, sub)| engine.subject_since(iss, sub));
        let drill = shared.store.drill(wall()).unwrap_or_default();
        let situation = Situation {
            drill: drill.as_deref(),
            now: wall(),
            paused: shared.store.paused().unwrap_or(true),
            subject_since,
            active_subjects: engine.totals().subjects,
            doubt: doubt(engine),
        };
        let plan = plan::plan(
            incident,
            &self.receivers.policy,
            &situation,
            &self.receivers.providers,
            &mut self.breaker,
        );
        shared
            .metrics
            .breaker_open(f64::from(u8::from(self.breaker.is_open())));
        let told = match self.known.get(incident.id) {
            Some(known) => (known.told, known.of_many),
            // Before a restart, perhaps.
            None => (shared.store.told(incident.id).unwrap_or_default(), false),
        };
        let known = Known {
            told: told.0,
            of_many: told.1,
            actionable: incident.actionable,
            targets,
            refusals: plan.refusals,
            waits: plan
                .actions
                .iter()
                .any(|action| action.standing == Standing::Wait),
        };
        known.complete(incident);
        self.known.insert(incident.id, known);
        plan.actions
    }

    /// Takes over what a person decided, here or with the command line: approvals and what was undone.
    pub(super) fn decisions(&mut self, shared: &Shared) -> Decided {
        // What the database has not taken yet is not in it, and was undone by nobody.
        if self.waits() {
            return Decided::default();
        }
        let Ok(others) = shared.store.changes_of_others() else {
            return Decided::default();
        };
        if others == self.others {
            return Decided::default();
        }
        let Ok(listed) = listed(shared) else {
            return Decided::default();
        };
        self.others = others;
        let is_gone = |denied: &&Target| !listed.contains_key(*denied);
        let undone: Vec<Target> = self.denied.iter().filter(is_gone).cloned().collect();
        for target in &undone {
            shared.denylist.undo(target);
        }
        // Last, so that what another incident denies as well stays denied.
        for (target, until) in &listed {
            // What finds no room is counted by the list itself.
            let _ = shared.denylist.deny(target, *until);
        }
        let is_new = |target: &&Target| !self.denied.contains(*target);
        let denied = listed.keys().filter(is_new).cloned().collect();
        self.denied = listed.into_keys().collect();
        shared.wake.notify_one();
        Decided { denied, undone }
    }

    /// Gauges of the store and the engine; what is too old is deleted.
    pub(super) fn chores(&mut self, totals: &Totals, config: &Config, shared: &Shared) {
        let metrics = &shared.metrics;
        metrics.sessions(totals.sessions as f64);
        for (index, provenance) in PROVENANCES.iter().enumerate() {
            let new = totals.uses[index].saturating_sub(self.uses[index]);
            metrics.uses(provenance, new);
        }
        self.uses = totals.uses;
        metrics.deferred(totals.deferred.saturating_sub(self.deferred));
        self.deferred = totals.deferred;
        for (store, count) in &totals.evicted {
            let before = self.evicted.insert(store, *count).unwrap_or_default();
            metrics.evictions(store, "full", count.saturating_sub(before));
        }
        if let Ok(depth) = shared.store.depth() {
            metrics.outbox_depth(depth.open as f64);
            metrics.dead_letters(depth.dead as f64);
        }
        if let Err(error) = show_open(shared) {
            error!(%error, "the store cannot be read");
        }
        self.tell_of_storm(shared);
        shared.denylist.sweep(wall());
        if Instant::now() >= self.prune_at {
            self.prune_at = Instant::now() + PRUNE_EVERY;
            let kept_ms = i64::from(config.privacy.retention_days) * 86_400_000;
            if let Err(error) = shared.store.prune(wall().plus_ms(-kept_ms), wall()) {
                error!(%error, "what is older than the retention allows is still there");
            }
        }
    }
}

/// What the store says is denied, until when.
fn listed(shared: &Shared) -> Result<HashMap<Target, Time>, StoreError> {
    Ok(shared.store.denylist(wall())?.into_iter().collect())
}

/// Behind a proxy that nobody configured everybody has one address, and whoever is judged by it may be somebody else.
fn doubt(engine: &Engine) -> Option<&'static str> {
    engine
        .hidden_clients()
        .next()
        .map(|_| "one address stands for many subjects in a source: `trusted_proxies` is missing")
}

/// In the order of `Provenance`.
const PROVENANCES: [&str; 5] = [
    "claimed",
    "presumed",
    "unverifiable",
    "accepted",
    "verified",
];

fn show_open(shared: &Shared) -> Result<(), Error> {
    let open: BTreeMap<Level, u64> = shared.store.incidents_open().map_err(Error::shown)?;
    for level in Level::ALL {
        let count = open.get(&level).copied().unwrap_or_default();
        shared.metrics.incidents_open(level.name(), count as f64);
    }
    Ok(())
}

/// Counts one attempt at a delivery.
pub(super) fn count_delivery(metrics: &Metrics, delivery: &Delivery, outcome: &Outcome) {
    match delivery {
        Delivery::Action(action) => {
            metrics.actions(&action.provider, action.step.name(), outcome.name(), 1);
        }
        Delivery::Alert(alert) => metrics.alerts(&alert.sink, outcome.name(), 1),
    }
}
