//! How long cases are kept: silence closes them, and a bound drops the least interesting.
//!
//! In: the moment in event time. Out: closed and dropped cases, and what was dropped, counted.
//! Does not know: how a case came to be.

use super::case::{ACTIVE_S, Case, SILENCE_S_MAX};
use super::correlate::{Incidents, most};
use super::watched::CaseNo;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cases kept, open and shown: at some 10 kB each, a hundred megabytes when all are full.
pub(super) const CASES_MAX: usize = 10_000;
/// How many make room at once, so that a flood of cases pays for sorting them rarely.
const EVICTED_AT_ONCE: usize = CASES_MAX / 8;

/// What was dropped because a bound was reached, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evictions {
    /// Cases that had not scored enough to be shown.
    pub quiet: u64,
    /// Incidents whose last form nobody had asked for.
    pub shown: u64,
}

impl Incidents {
    /// Looks through open cases: what is silent is closed, what has just gone quiet is told.
    pub(super) fn look(&mut self, now: Time) {
        let looked = self.looked.replace(now).unwrap_or(now);
        let mut silent = Vec::new();
        for (no, case) in self.cases.iter().filter(|(_, case)| !case.closed) {
            if now.since_s(case.last) > SILENCE_S_MAX {
                silent.push(*no);
            }
            if case.active(looked) && now.since_s(case.last) > ACTIVE_S {
                self.changed.insert(*no);
            }
        }
        for no in silent {
            self.close(no);
        }
    }

    fn close(&mut self, no: CaseNo) {
        let Some(case) = self.cases.get(&no) else {
            return;
        };
        if !case.shown() {
            return self.forget(no);
        }
        // What is watched ends here; what it told stays with those that are shown.
        let (others, prefixes) = (self.others(case), case.suspect.prefixes());
        for at in 0..self.shared.len() {
            let prefix = self.shared[at].prefix;
            if prefixes.contains(&prefix) {
                let seen = self.others_at(&[prefix], None);
                self.shared[at].others = most(seen, &self.shared[at].others);
            }
        }
        self.watched.remove(no, &prefixes);
        if let Some(case) = self.cases.get_mut(&no) {
            case.closed = true;
            case.others = others;
        }
    }

    fn forget(&mut self, no: CaseNo) {
        self.changed.remove(&no);
        let Some(case) = self.cases.remove(&no) else {
            return;
        };
        let prefixes = case.suspect.prefixes();
        self.watched.remove(no, &prefixes);
        drop_from(&mut self.by_key, &case.key, no);
        for prefix in &prefixes {
            drop_from(&mut self.by_suspect, prefix, no);
        }
    }

    /// Drops the least interesting cases: first those never shown, then those closed and told, then
    /// the oldest.
    pub(super) fn make_room(&mut self) {
        let rank = |(no, case): (&CaseNo, &Case)| {
            let told = case.closed && !self.changed.contains(no);
            (
                case.shown() && !told,
                case.shown(),
                !case.closed,
                case.last,
                *no,
            )
        };
        let mut ranked: Vec<_> = self.cases.iter().map(rank).collect();
        ranked.sort_unstable();
        for (untold, shown, .., no) in ranked.into_iter().take(EVICTED_AT_ONCE) {
            self.evictions.quiet += u64::from(!shown);
            self.evictions.shown += u64::from(untold);
            self.forget(no);
        }
    }
}

fn drop_from<K: Ord>(map: &mut BTreeMap<K, Vec<CaseNo>>, key: &K, no: CaseNo) {
    if let Some(numbers) = map.get_mut(key) {
        numbers.retain(|known| *known != no);
        if numbers.is_empty() {
            map.remove(key);
        }
    }
}
