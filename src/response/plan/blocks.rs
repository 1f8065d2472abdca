//! Blocking the suspect's addresses at the edge.
//!
//! In: an incident. Out: actions for those who can block an address.
//! Does not know: which addresses may be blocked ([`gates`] does), or how.

use super::{Breaker, Planning, Provider, Standing, Step, Target, gates};
use std::sync::Arc;

impl Planning<'_> {
    /// The suspect's addresses, at the edge: those that nobody else is behind, as far as can be told.
    pub(super) fn blocks(&mut self, providers: &[Arc<dyn Provider>], breaker: &mut Breaker) {
        let now = self.situation.now;
        let targets = gates::blockable(self.incident, self.policy);
        let targets: Vec<_> = targets
            .into_iter()
            .map(|ip| Target::Address { ip })
            .collect();
        let able = |target: &Target| {
            providers
                .iter()
                .any(|p| p.calls(Step::Block, target).is_some())
        };
        for target in targets.into_iter().filter(able) {
            let Some(mut standing) = self.standing(self.policy.block) else {
                return self.refuse("mode", "observe: no address is blocked");
            };
            if standing == Standing::Go && breaker.spend_denial(now).is_err() {
                standing = Standing::Wait;
            }
            for provider in providers {
                self.ask_provider(Step::Block, &target, standing, provider);
            }
        }
    }
}
