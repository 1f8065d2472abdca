//! One thief with many tokens: the incident above those of the subjects.
//!
//! In: shown cases with the same suspect prefix and program. Out: [`Shared`], their list.
//! Does not know: what the cases say.

use super::case::{Case, Key, SILENCE_S_MAX, id_after};
use super::correlate::Incidents;
use super::score::Scale;
use super::shown::OtherSubjects;
use super::sides::{Program, program};
use super::watched::{CaseNo, Group};
use crate::domain::context::Prefix;
use crate::domain::ids::IncidentId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// From this many accounts on they share a suspect: two may be a couple behind one router.
const ACCOUNTS_MIN: usize = 3;
/// Parents kept.
const SHARED_MAX: usize = 1000;
/// Children kept.
const CHILDREN_MAX: usize = 1000;

/// Cases with one suspect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shared {
    pub(super) id: IncidentId,
    pub(super) prefix: Prefix,
    program: Program,
    pub(super) opened: Time,
    last: Time,
    children: BTreeMap<CaseNo, IncidentId>,
    accounts: BTreeSet<Key>,
    /// Subjects seen at the prefix when a child was closed.
    pub(super) others: OtherSubjects,
}

impl Shared {
    /// The list of these cases, when their accounts are enough.
    pub(super) fn of(prefix: Prefix, cases: &[(CaseNo, &Case)]) -> Option<Self> {
        let accounts: BTreeSet<_> = cases.iter().map(|(_, case)| &case.key).collect();
        let (_, first) = cases.first()?;
        if accounts.len() < ACCOUNTS_MIN {
            return None;
        }
        let mut shared = Self {
            id: id_after("shared source", first.id.get()),
            prefix,
            program: first.suspect.first().and_then(program),
            opened: first.opened,
            last: first.last,
            children: BTreeMap::new(),
            accounts: BTreeSet::new(),
            others: OtherSubjects::default(),
        };
        for (no, case) in cases {
            shared.add(*no, case);
        }
        Some(shared)
    }

    /// True when a case with this suspect, active now, belongs here.
    pub(super) fn takes(&self, prefix: Prefix, program: &Program, time: Time) -> bool {
        self.prefix == prefix
            && self.program == *program
            && time.since_s(self.last) <= SILENCE_S_MAX
            && self.children.len() < CHILDREN_MAX
    }

    /// Puts a case in, or keeps its last activity.
    pub(super) fn add(&mut self, no: CaseNo, case: &Case) {
        self.opened = self.opened.min(case.opened);
        self.last = self.last.max(case.last);
        self.children.insert(no, case.id);
        self.accounts.insert(case.key.clone());
    }

    /// The numbers of the cases.
    pub(super) fn numbers(&self) -> impl Iterator<Item = CaseNo> + '_ {
        self.children.keys().copied()
    }

    /// The ids of the cases, in order of opening.
    pub(super) fn children(&self) -> impl Iterator<Item = IncidentId> + '_ {
        self.children.values().copied()
    }

    /// How many accounts there are.
    pub(super) fn accounts(&self) -> u64 {
        self.accounts.len() as u64
    }
}

impl Incidents {
    /// Lists a shown case with the others of its suspect, once they are enough accounts.
    pub(super) fn share(&mut self, no: CaseNo) {
        let Some(case) = self.cases.get(&no) else {
            return;
        };
        if case.parent.is_some() || case.key.scale() != Scale::Theft {
            return;
        }
        let of = case.suspect.first().and_then(program);
        for prefix in case.suspect.prefixes() {
            let mut takers = self.shared.iter_mut().rev();
            let id = if let Some(shared) = takers.find(|s| s.takes(prefix, &of, case.last)) {
                shared.add(no, case);
                shared.id
            } else {
                let Some(shared) = Shared::of(prefix, &self.peers(prefix, no)) else {
                    continue;
                };
                let id = shared.id;
                if self.shared.len() >= SHARED_MAX {
                    self.shared.remove(0);
                }
                self.shared.push(shared);
                id
            };
            return self.adopt(id);
        }
    }

    /// Shown cases at a prefix that have no parent yet and the same program as this one, with it.
    fn peers(&self, prefix: Prefix, no: CaseNo) -> Vec<(CaseNo, &Case)> {
        let Some((group, case)) = self.watched.at(prefix).zip(self.cases.get(&no)) else {
            return Vec::new();
        };
        let of = case.suspect.first().and_then(program);
        let cases = group.cases().into_iter();
        cases
            .filter_map(|no| Some((no, self.cases.get(&no)?)))
            .filter(|(_, peer)| peer.shown() && peer.parent.is_none() && !peer.silent(case.last))
            .filter(|(_, peer)| peer.suspect.first().and_then(program) == of)
            .collect()
    }

    fn adopt(&mut self, parent: IncidentId) {
        let Some(shared) = self.shared.iter().find(|shared| shared.id == parent) else {
            return;
        };
        self.changed_shared.insert(parent);
        for no in shared.numbers() {
            if let Some(case) = self.cases.get_mut(&no)
                && case.parent.is_none()
            {
                case.parent = Some(parent);
                self.changed.insert(no);
            }
        }
    }

    pub(super) fn touch(&mut self, no: CaseNo) {
        self.changed.insert(no);
        let Some(case) = self.cases.get(&no) else {
            return;
        };
        if let Some(parent) = case.parent {
            self.changed_shared.insert(parent);
            if let Some(shared) = self.shared.iter_mut().find(|shared| shared.id == parent) {
                shared.add(no, case);
            }
        }
    }

    /// News for the few cases that share a prefix; where there are many, their parent tells it.
    pub(super) fn touch_neighbours(&mut self, prefix: Prefix) {
        let cases = self.watched.at(prefix).map(Group::cases);
        let cases = cases.unwrap_or_default();
        if cases.len() <= ACCOUNTS_MIN {
            self.changed.extend(cases);
        }
        let parents = self.shared.iter().filter(|shared| shared.prefix == prefix);
        self.changed_shared.extend(parents.map(|shared| shared.id));
    }
}
