//! The plan of a drill: what names nobody is denied, and every call is written down and never made.
//!
//! In: an incident about the subject that was drawn for the drill. Out: [`Plan`](super::Plan).
//! Does not know: who asked for it. Only names that begin with the drawn one are denied: whoever forges a token of its
//! subject with somebody else's session in it denies nobody.

use super::super::breaker::Breaker;
use super::super::providers::Provider;
use super::{GATEWAY, Planning, Standing, Step, is_subject};
use std::sync::Arc;

/// How long a drill's denial lasts, should nobody take it back.
const DENIED_MS: i64 = 10 * 60_000;

impl Planning<'_> {
    pub(super) fn rehearse(
        &mut self,
        drill: &str,
        providers: &[Arc<dyn Provider>],
        breaker: &mut Breaker,
    ) {
        let now = self.situation.now;
        let targets = &self.incident.steps.revoke.targets;
        let own = |target: &&_| !is_subject(target) && target.name().starts_with(drill);
        for target in targets.iter().filter(own) {
            if breaker.spend_denial(now).is_err() {
                continue;
            }
            let calls = vec![format!("deny {target} at the gateway, for the drill")];
            self.add(Step::Revoke, target, GATEWAY.into(), calls, Standing::Go);
            if let Some(added) = self.plan.actions.last_mut() {
                added.denied_until = Some(now.plus_ms(DENIED_MS));
            }
        }
        for (step, target, mode) in self.wanted() {
            self.call(step, &target, Standing::DryRun, mode, providers);
        }
    }
}
