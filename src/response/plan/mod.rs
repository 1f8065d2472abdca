//! The plan: what may be done about an incident, after every gate.
//!
//! In: an [`Incident`], the [`Policy`], the [`Situation`], what the [`Breaker`] has spent. Out: a [`Plan`] of
//! [`Action`]s, contain-first, and of what is not done and why. Pure: the same inputs give the same plan.
//! Does not know: the database, the network, the clock.
//!
//! Two kinds of action. Denying one token or one session at the gateway can be taken back: it has a budget of its own
//! and ignores protection and cooldown. Everything at a provider, and a not-before for a whole subject, hurts.
//! A subject is logged out everywhere only when the narrow targets cannot contain the theft: no `sid` is known, so a
//! thief may hold a refresh token nobody can name, or several of the subject's sessions are at stake.

mod blocks;
mod drill;
mod gates;
pub mod policy;

use super::breaker::{Breaker, Hurt, Stop, network_of};
use super::providers::Provider;
use crate::domain::action::{Action, GATEWAY, Mode, Standing, Step};
use crate::domain::incident::{Incident, Refusal, Target};
use crate::domain::time::Time;
use policy::Policy;
use std::sync::Arc;

/// Gateways let a token live a little after `exp`, for clocks that differ (RFC 7519, section 4.1.4: "a few minutes").
const LEEWAY_MS: i64 = 5 * 60_000;

/// How things stand when the plan is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Situation<'a> {
    /// The wall clock.
    pub now: Time,
    /// Somebody pushed the stop button.
    pub paused: bool,
    /// When the subject was first seen; unknown counts as just now.
    pub subject_since: Option<Time>,
    /// Subjects active in the last hour.
    pub active_subjects: u64,
    /// The subject of a drill that is under way: nobody.
    pub drill: Option<&'a str>,
    /// What makes judgements doubtful at the moment: place tables or keys are stale, proxies are not configured.
    pub doubt: Option<&'a str>,
}

/// What is done, what waits for a person, and what is not done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In the order they are carried out.
    pub actions: Vec<Action>,
    /// Gates that refused or held something.
    pub refusals: Vec<Refusal>,
}

/// Plans the answer to an incident.
pub fn plan(
    incident: &Incident,
    policy: &Policy,
    situation: &Situation<'_>,
    providers: &[Arc<dyn Provider>],
    breaker: &mut Breaker,
) -> Plan {
    let mut plan = Planning {
        incident,
        policy,
        situation,
        held: false,
        plan: Plan::default(),
    };
    if let Some(drill) = situation.drill
        && incident.subject.as_deref() == Some(drill)
    {
        plan.rehearse(drill, providers, breaker);
        return plan.plan;
    }
    if let Some((gate, reason)) = gates::forbidden(incident, policy) {
        plan.refuse(gate, reason);
        return plan.plan;
    }
    for (gate, reason) in gates::doubts(incident, situation) {
        plan.ask(gate, reason);
    }
    plan.denials(breaker);
    plan.calls(providers, breaker);
    plan.blocks(providers, breaker);
    plan.plan
}

struct Planning<'a> {
    incident: &'a Incident,
    policy: &'a Policy,
    situation: &'a Situation<'a>,
    /// A gate asks for a person.
    held: bool,
    plan: Plan,
}

impl Planning<'_> {
    /// Step 2a: what the gateway is to deny.
    fn denials(&mut self, breaker: &mut Breaker) {
        let now = self.situation.now;
        let targets = &self.incident.steps.revoke.targets;
        let narrow = targets.iter().filter(|target| !is_subject(target));
        for target in narrow {
            let until = self.denied_until(target);
            if until <= now {
                continue; // it is dead already
            }
            let Some(mut standing) = self.standing(self.policy.deny) else {
                self.refuse("mode", "observe: nothing is denied");
                return;
            };
            if standing == Standing::Go && breaker.spend_denial(now).is_err() {
                self.refuse(
                    "denial_budget",
                    "too many denials in a minute: a person has to look",
                );
                standing = Standing::Wait;
            }
            let calls = vec![format!("deny {target} at the gateway until {until}")];
            self.add(Step::Revoke, target, GATEWAY.into(), calls, standing);
        }
    }

    /// Steps 2b and 1: what hurts the subject. Step 4: what is proposed beyond.
    fn calls(&mut self, providers: &[Arc<dyn Provider>], breaker: &mut Breaker) {
        let Some(subject) = self.incident.subject.clone() else {
            return;
        };
        let wanted = self.wanted();
        if wanted.is_empty() {
            return;
        }
        if self.policy.protects(&subject) {
            self.refuse(
                "protected",
                "the subject is protected: the token is denied, a person decides the rest",
            );
            return;
        }
        let held = self.held;
        if wanted
            .iter()
            .any(|(_, _, mode)| self.standing(*mode) == Some(Standing::Go))
        {
            self.spend(subject, breaker);
        }
        for (step, target, mode) in wanted {
            match self.standing(mode) {
                Some(standing) => self.call(step, &target, standing, mode, providers),
                None if is_extra(step) => {}
                None => self.refuse(
                    "mode",
                    &format!("observe: step {} is not taken", step.name()),
                ),
            }
        }
        self.held = held;
    }

    /// What is to be done at the provider, with the mode of its step.
    fn wanted(&self) -> Vec<(Step, Target, Mode)> {
        let steps = &self.incident.steps;
        let targets = &steps.revoke.targets;
        let everywhere = self.incident.sessions.len() > 1
            || !targets
                .iter()
                .any(|target| matches!(target, Target::Sid { .. }));
        let mut wanted = Vec::new();
        for target in targets {
            let asked = match target {
                // Few providers know single tokens; the gateway denies those.
                Target::Sid { .. } | Target::Jti { .. } | Target::Token { .. } => true,
                Target::Subject { .. } => everywhere,
                Target::Address { .. } => false,
            };
            if asked {
                wanted.push((Step::Revoke, target.clone(), self.policy.revoke));
            }
        }
        if let (true, Some(sub), Some(iss)) = (
            steps.password.needed,
            &steps.password.subject,
            &self.incident.issuer,
        ) {
            let target = Target::Subject {
                iss: iss.clone(),
                sub: sub.clone(),
                not_before_s: self.incident.updated.as_s(),
            };
            wanted.push((Step::Password, target.clone(), self.policy.password));
            wanted.push((Step::Ask, target.clone(), self.policy.ask));
            wanted.push((Step::Risk, target.clone(), self.policy.risk));
            wanted.push((Step::Mfa, target, self.policy.mfa));
        }
        wanted
    }

    fn spend(&mut self, subject: Arc<str>, breaker: &mut Breaker) {
        let hurt = Hurt {
            incident: self.incident.id,
            subject,
            suspect: network_of(self.incident),
            since: self.situation.subject_since,
            active_subjects: self.situation.active_subjects,
        };
        match breaker.spend(hurt, &self.policy.budget, self.situation.now) {
            Ok(()) => {}
            Err(Stop::Cooldown) => {
                self.ask(
                    "cooldown",
                    "the subject was logged out within the last hour",
                );
            }
            Err(Stop::Breaker) => {
                self.ask("breaker", "too many subjects at once: a person has to look");
            }
        }
    }

    fn call(
        &mut self,
        step: Step,
        target: &Target,
        standing: Standing,
        mode: Mode,
        providers: &[Arc<dyn Provider>],
    ) {
        // A subject's tokens of before now are dead at the gateway, too: the provider's own not-before does not
        // reach those who check signatures themselves.
        if step == Step::Revoke
            && is_subject(target)
            && self.policy.mode_for(self.incident, self.policy.deny) >= mode
        {
            let calls = vec![format!("deny older tokens of {target} at the gateway")];
            self.add(step, target, GATEWAY.into(), calls, standing);
        }
        let before = self.plan.actions.len();
        for provider in providers.iter().filter(|p| p.answers_for(target.issuer())) {
            // Who is asked for a new password at the next login needs no mail of the same provider.
            let forced = self.forces(provider.name()) && !provider.forces_blindly();
            if step == Step::Ask && forced {
                continue;
            }
            self.ask_provider(step, target, standing, provider);
        }
        let rare = matches!(target, Target::Jti { .. } | Target::Token { .. }) || is_extra(step);
        if self.plan.actions.len() == before && !rare {
            let reason = format!(
                "nobody is configured to carry out step {} there",
                step.name()
            );
            self.refuse("provider", &reason);
        }
    }

    fn ask_provider(
        &mut self,
        step: Step,
        target: &Target,
        standing: Standing,
        provider: &Arc<dyn Provider>,
    ) {
        let Some(calls) = provider.calls(step, target) else {
            return;
        };
        self.add(step, target, provider.name().clone(), calls, standing);
        if let Some(added) = self.plan.actions.last_mut() {
            added.idempotent = provider.idempotent(step, target);
            added.undoable = provider.calls(Step::Undo, target).is_some();
        }
    }

    /// True when the provider forces a new password in this plan.
    fn forces(&self, provider: &str) -> bool {
        let mut actions = self.plan.actions.iter();
        actions.any(|action| action.step == Step::Password && *action.provider == *provider)
    }

    fn add(
        &mut self,
        step: Step,
        target: &Target,
        provider: Arc<str>,
        calls: Vec<String>,
        standing: Standing,
    ) {
        self.plan.actions.push(Action {
            id: Action::id_of(self.incident.id, step, target, &provider),
            incident: self.incident.id,
            step,
            target: target.clone(),
            denied_until: (*provider == *GATEWAY).then(|| self.denied_until(target)),
            provider,
            calls,
            idempotent: true,
            standing,
            undoable: false,
            before: Vec::new(),
        });
    }

    /// A token is denied until it is dead by itself, anything else for as long as a session can live.
    fn denied_until(&self, target: &Target) -> Time {
        let session_ms = i64::from(self.policy.session_s_max) * 1000;
        match expires_s(target) {
            Some(end_s) => Time::default()
                .plus_ms(end_s.saturating_mul(1000))
                .plus_ms(LEEWAY_MS),
            None => self.situation.now.plus_ms(session_ms),
        }
    }

    fn standing(&self, mode: Mode) -> Option<Standing> {
        match self.policy.mode_for(self.incident, mode) {
            Mode::Observe => None,
            Mode::DryRun => Some(Standing::DryRun),
            Mode::Approve => Some(Standing::Wait),
            Mode::Enforce if self.held => Some(Standing::Wait),
            Mode::Enforce => Some(Standing::Go),
        }
    }

    fn ask(&mut self, gate: &str, reason: &str) {
        self.held = true;
        self.refuse(gate, reason);
    }

    fn refuse(&mut self, gate: &str, reason: &str) {
        let refusal = Refusal {
            gate: gate.to_owned(),
            reason: reason.to_owned(),
        };
        if !self.plan.refusals.contains(&refusal) {
            self.plan.refusals.push(refusal);
        }
    }
}

/// A mail and what is proposed for afterwards: that nobody does it needs no word.
fn is_extra(step: Step) -> bool {
    matches!(step, Step::Ask | Step::Risk | Step::Mfa)
}

fn is_subject(target: &Target) -> bool {
    matches!(target, Target::Subject { .. })
}

fn expires_s(target: &Target) -> Option<i64> {
    match target {
        Target::Jti { expires_s, .. } | Target::Token { expires_s, .. } => *expires_s,
        Target::Sid { .. } | Target::Subject { .. } | Target::Address { .. } => None,
    }
}

#[cfg(test)]
mod tests;
