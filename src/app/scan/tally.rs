//! What each rule found: to try a set of rules on an archive before it is live.
//!
//! In: findings, and those that were excepted. Out: [`RuleSummary`] of each rule.
//! Does not know: lines, or how it is shown.

use crate::domain::finding::Finding;
use crate::domain::incident::Incident;
use crate::engine::Excepted;
use crate::sinks::ndjson::RuleSummary;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the rules found so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rules: BTreeMap<Arc<str>, Row>,
    exceptions: BTreeMap<Arc<str>, u64>,
}

#[derive(Debug, Default)]
struct Row {
    summary: RuleSummary,
    /// Issuer and subject, each once; findings are bounded, and so are these.
    subjects: BTreeSet<(Option<Arc<str>>, Arc<str>)>,
}

impl Tally {
    pub(super) fn finding(&mut self, finding: &Finding) {
        let row = self.rules.entry(Arc::clone(&finding.rule)).or_default();
        row.summary.level = finding.level;
        row.summary.shadow = finding.shadow;
        row.summary.findings += 1;
        if let Some(subject) = &finding.subject {
            let key = (finding.issuer.clone(), Arc::clone(subject));
            row.subjects.insert(key);
        }
    }

    pub(super) fn excepted(&mut self, excepted: Excepted) {
        let row = self.rules.entry(excepted.rule).or_default();
        row.summary.excepted += 1;
        *self.exceptions.entry(excepted.exception).or_default() += 1;
    }

    /// Findings by rule.
    pub(super) fn findings(&self) -> BTreeMap<Arc<str>, u64> {
        let spoke = self
            .rules
            .iter()
            .filter(|(_, row)| row.summary.findings > 0);
        spoke
            .map(|(rule, row)| (Arc::clone(rule), row.summary.findings))
            .collect()
    }

    /// Each rule's row, with the incidents that it speaks in.
    pub(super) fn rules(&self, incidents: &[Incident]) -> BTreeMap<Arc<str>, RuleSummary> {
        let row = |(rule, row): (&Arc<str>, &Row)| {
            let speaks_in = incidents.iter().filter(|one| one.rules.contains_key(rule));
            let summary = RuleSummary {
                subjects: row.subjects.len() as u64,
                incidents: speaks_in.count() as u64,
                ..row.summary.clone()
            };
            (Arc::clone(rule), summary)
        };
        self.rules.iter().map(row).collect()
    }

    /// Findings that were excepted, by exception.
    pub(super) fn exceptions(&self) -> BTreeMap<Arc<str>, u64> {
        self.exceptions.clone()
    }
}
