//! The prefixes that open cases are about: the table that every use is held against.
//!
//! In: cases and their suspects. Out: which case a use belongs to, and whose tokens else came from
//! there.
//! Does not know: scores, time.

use super::sides::{Program, program};
use super::text::shown_arc;
use crate::domain::context::{Context, Prefix};
use crate::domain::ids::{SessionId, SubjectId};
use crate::domain::token::Token;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sessions indexed at one prefix: a thief with more tokens is found by the parent incident long
/// before.
const SESSIONS_MAX: usize = 4096;
/// Subjects counted at one prefix; an office of this size is no suspect.
pub(super) const SUBJECTS_MAX: usize = 1000;
/// Programs remembered at one prefix.
const PROGRAMS_MAX: usize = 20;

/// Number of a case, in order of opening.
pub(super) type CaseNo = u64;

/// Watched prefixes. The hash is not keyed: whoever picks prefixes to collide must own them, and
/// cases are bounded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Watched {
    groups: HashMap<Prefix, Group, foldhash::fast::FixedState>,
}

/// What is watched at one prefix.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    sessions: BTreeMap<SessionId, CaseNo>,
    /// Cases that are about the sender and about no session.
    senders: BTreeSet<CaseNo>,
    programs: Vec<Program>,
    /// Subjects whose tokens came from here with a suspect's program.
    subjects: BTreeMap<SubjectId, Arc<str>>,
}

impl Watched {
    /// True when a case is open about this prefix.
    pub(super) fn contains(&self, prefix: Prefix) -> bool {
        !self.groups.is_empty() && self.groups.contains_key(&prefix)
    }

    /// What is watched there.
    pub(super) fn at(&self, prefix: Prefix) -> Option<&Group> {
        self.groups.get(&prefix)
    }

    /// Watches a suspect of a case; `session` is `None` for a case about a sender.
    pub(super) fn add(&mut self, no: CaseNo, suspect: &Context, session: Option<SessionId>) {
        let group = self.groups.entry(suspect.prefix()).or_default();
        match session {
            Some(session) if group.sessions.len() < SESSIONS_MAX => {
                group.sessions.insert(session, no);
            }
            Some(_) => {}
            None => {
                group.senders.insert(no);
            }
        }
        let program = program(suspect);
        if group.programs.len() < PROGRAMS_MAX && !group.programs.contains(&program) {
            group.programs.push(program);
        }
    }

    /// Remembers whose token a suspect presented. True when it is news.
    pub(super) fn see_subject(&mut self, token: &Token, context: &Context) -> bool {
        let Some(group) = self.groups.get_mut(&context.prefix()) else {
            return false;
        };
        let (Some(id), Some(sub)) = (token.subject, &token.sub) else {
            return false;
        };
        let suspicious = group.programs.contains(&program(context));
        let news =
            suspicious && group.subjects.len() < SUBJECTS_MAX && !group.subjects.contains_key(&id);
        if news {
            group.subjects.insert(id, shown_arc(sub));
        }
        news
    }

    /// Stops watching for a case.
    pub(super) fn remove(&mut self, no: CaseNo, prefixes: &[Prefix]) {
        for prefix in prefixes {
            let Some(group) = self.groups.get_mut(prefix) else {
                continue;
            };
            group.sessions.retain(|_, case| *case != no);
            group.senders.remove(&no);
            if group.sessions.is_empty() && group.senders.is_empty() {
                self.groups.remove(prefix);
            }
        }
    }
}

impl Group {
    /// The case about a session's use from here.
    pub(super) fn case_of(&self, session: SessionId) -> Option<CaseNo> {
        self.sessions.get(&session).copied()
    }

    /// The case about the sender.
    pub(super) fn sender(&self) -> Option<CaseNo> {
        self.senders.last().copied()
    }

    /// Every case about sessions here.
    pub(super) fn cases(&self) -> BTreeSet<CaseNo> {
        self.sessions.values().copied().collect()
    }

    /// The subjects seen here.
    pub(super) fn subjects(&self) -> &BTreeMap<SubjectId, Arc<str>> {
        &self.subjects
    }
}
