//! What the configuration allows.
//!
//! In: modes of the steps, caps of rules, budgets, who is protected. Out: the mode of a step for one incident.
//! Does not know: what is planned.

use crate::domain::action::Mode;
use crate::domain::incident::Incident;
use crate::response::breaker::Budget;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the configuration allows.
#[derive(Clone, Debug)]
pub struct Policy {
    /// For denials at the gateway.
    pub deny: Mode,
    /// For step 2 at the provider.
    pub revoke: Mode,
    /// For step 1 at the provider.
    pub password: Mode,
    /// For step 1 by mail to the user.
    pub ask: Mode,
    /// For blocking the suspect's address at the edge.
    pub block: Mode,
    /// For step 4: telling the provider that the account is at risk.
    pub risk: Mode,
    /// For step 4: having a second factor set up.
    pub mfa: Mode,
    /// For incidents that only these rules speak of, where that is less.
    pub rules: BTreeMap<Arc<str>, Mode>,
    /// True when an accepted token is proof enough.
    pub act_on_accepted: bool,
    /// How many subjects may be hurt.
    pub budget: Budget,
    /// Subjects whose tokens are denied and who are never logged out or forced.
    pub protected_subjects: Vec<glob::Pattern>,
    /// Networks of one's own: what comes from there alone is never acted on.
    pub home: Vec<IpNet>,
    /// How long the issuers' longest session lives: a `sid` stays denied for as long, or a thief who refreshes his
    /// token would walk free. Thirty days unless configured.
    pub session_s_max: u32,
}

impl Policy {
    /// True when this subject is never logged out or forced.
    pub fn protects(&self, subject: &str) -> bool {
        let mut patterns = self.protected_subjects.iter();
        patterns.any(|pattern| pattern.matches(subject))
    }

    /// A step's mode for one incident. A new rule in shadow does not act; an incident that another rule speaks of as
    /// well is that rule's.
    pub(super) fn mode_for(&self, incident: &Incident, mode: Mode) -> Mode {
        let rules = incident.rules.keys();
        let caps = rules.map(|rule| *self.rules.get(rule).unwrap_or(&Mode::Enforce));
        mode.min(caps.max().unwrap_or(Mode::Enforce))
    }
}
