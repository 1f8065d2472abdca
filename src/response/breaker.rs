//! The breaker: how many subjects may be hurt (logged out, forced to a new password), and how many tokens denied.
//!
//! In: who is to be hurt for which incident, with the suspect and the account's age. Out: leave, or the gate that
//! refuses.
//! Does not know: the wall clock, what the actions are. What it remembers is kept by whoever
//! snapshots the engine.

use crate::domain::context::Prefix;
use crate::domain::ids::IncidentId;
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An incident ends after one hour of silence, so a second one about a subject within the hour is most likely the
/// same theft, and its holder was logged out for it already.
const COOLDOWN_MS: i64 = HOUR_MS;

/// An account younger than this may have been made for the attack.
const YOUNG_MS: i64 = 7 * DAY_MS;

/// A theft of 10,000 tokens at once is denied within the minute; a broken rule on a large site is stopped.
const DENIALS_PER_MINUTE_MAX: u32 = 20_000;

/// How many subjects may be hurt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// In a minute.
    pub subjects_per_minute_max: u32,
    /// In a day.
    pub subjects_per_day_max: u32,
    /// In an hour, as a share of the subjects that were active in it, from 0 to 1. Never fewer than in a minute.
    pub active_subjects_share_per_hour_max: f64,
}

/// Whom an action would hurt, and on whose account.
#[derive(Clone, Debug)]
pub(super) struct Hurt {
    pub(super) incident: IncidentId,
    pub(super) subject: Arc<str>,
    /// The suspect's network: an attacker has few of them.
    pub(super) suspect: String,
    /// When the subject was first seen.
    pub(super) since: Option<Time>,
    /// Subjects active in the last hour.
    pub(super) active_subjects: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Spending {
    at: Time,
    incident: IncidentId,
    subject: Arc<str>,
    suspect: String,
    young: bool,
}

/// What was spent. One for the process, in the order of the incidents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Breaker {
    /// Of the last day, oldest first; the daily budget bounds it.
    spent: VecDeque<Spending>,
    denials: u32,
    denials_since: Time,
    open: bool,
}

impl Breaker {
    /// True when the last question was refused for want of budget.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Spends one subject, or says why a person has to decide. Asking again for the same incident is free. Neither
    /// one suspect nor the young accounts together get more than half, so that throwaway accounts cannot use the
    /// budget up before the real theft.
    pub(super) fn spend(&mut self, hurt: Hurt, budget: &Budget, now: Time) -> Result<(), Stop> {
        while self
            .spent
            .front()
            .is_some_and(|s| apart_ms(s.at, now) > DAY_MS)
        {
            self.spent.pop_front();
        }
        let same = |s: &&Spending| s.subject == hurt.subject;
        if self
            .spent
            .iter()
            .filter(same)
            .any(|s| s.incident == hurt.incident)
        {
            return Ok(());
        }
        let mut others = self.spent.iter().filter(same);
        if others.any(|s| apart_ms(s.at, now) < COOLDOWN_MS) {
            return Err(Stop::Cooldown);
        }
        let young = is_young(hurt.since, now);
        self.open = !self.has_room(&hurt.suspect, young, hurt.active_subjects, budget, now);
        if self.open {
            return Err(Stop::Breaker);
        }
        self.spent.push_back(Spending {
            at: now,
            incident: hurt.incident,
            subject: hurt.subject,
            suspect: hurt.suspect,
            young,
        });
        Ok(())
    }

    /// Spends one denial of a token or a session, which can be taken back and so has a budget of its own.
    pub(super) fn spend_denial(&mut self, now: Time) -> Result<(), Stop> {
        if apart_ms(self.denials_since, now) >= MINUTE_MS {
            (self.denials, self.denials_since) = (0, now);
        }
        if self.denials >= DENIALS_PER_MINUTE_MAX {
            return Err(Stop::Breaker);
        }
        self.denials += 1;
        Ok(())
    }

    fn has_room(
        &self,
        suspect: &str,
        young: bool,
        active: u64,
        budget: &Budget,
        now: Time,
    ) -> bool {
        let minute = u64::from(budget.subjects_per_minute_max);
        let share = (active as f64 * budget.active_subjects_share_per_hour_max).ceil() as u64;
        let windows = [
            (MINUTE_MS, minute),
            (HOUR_MS, share.max(minute)),
            (DAY_MS, u64::from(budget.subjects_per_day_max)),
        ];
        windows.into_iter().all(|(window_ms, max)| {
            let recent = || {
                self.spent
                    .iter()
                    .filter(|s| apart_ms(s.at, now) < window_ms)
            };
            let half = max.div_ceil(2);
            let of_suspect = recent().filter(|s| s.suspect == suspect).count() as u64;
            let of_young = recent().filter(|s| s.young).count() as u64;
            (recent().count() as u64) < max && of_suspect < half && (!young || of_young < half)
        })
    }
}

/// Why a person has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Cooldown,
    Breaker,
}

/// True when an account that was first seen then, or never, may have been made for an attack.
pub(super) fn is_young(since: Option<Time>, now: Time) -> bool {
    since.is_none_or(|since| apart_ms(since, now) < YOUNG_MS)
}

/// The suspect's network: an attacker has few of them.
pub(super) fn network_of(incident: &Incident) -> String {
    let first = incident.suspect.ips.first();
    first.map_or_else(String::new, |ip| Prefix::of(*ip).to_string())
}

pub(super) fn apart_ms(a: Time, b: Time) -> i64 {
    (b.as_ms() - a.as_ms()).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget {
        subjects_per_minute_max: 5,
        subjects_per_day_max: 100,
        active_subjects_share_per_hour_max: 0.01,
    };

    fn at(s: i64) -> Time {
        Time::from_ms(1_777_889_520_000 + s * 1000).unwrap()
    }

    fn hurt(number: u32, suspect: &str, young: bool) -> Hurt {
        Hurt {
            incident: IncidentId::new(number.into()),
            subject: format!("u{number}").into(),
            suspect: suspect.to_owned(),
            since: (!young).then(|| at(-30 * 86_400)),
            active_subjects: 100,
        }
    }

    #[test]
    fn throwaway_accounts_from_many_networks_leave_half_for_the_real_theft() {
        let mut breaker = Breaker::default();
        let mut throwaway =
            |n: u32| breaker.spend(hurt(n, &format!("net{n}"), true), &BUDGET, at(0));
        let spent: Vec<_> = (0..6).map(|n| throwaway(n).is_ok()).collect();
        assert_eq!(spent, [true, true, true, false, false, false]);
        assert!(breaker.is_open());
        assert_eq!(
            breaker.spend(hurt(9, "thief", false), &BUDGET, at(1)),
            Ok(())
        );
        assert!(!breaker.is_open());
    }

    #[test]
    fn one_suspect_leaves_half_for_the_others_however_old_his_accounts_are() {
        let mut breaker = Breaker::default();
        let mut same = |n| breaker.spend(hurt(n, "net", false), &BUDGET, at(0)).is_ok();
        assert_eq!((0..6).filter(|&n| same(n)).count(), 3);
        assert_eq!(
            breaker.spend(hurt(9, "thief", false), &BUDGET, at(1)),
            Ok(())
        );
    }

    #[test]
    fn minutes_hours_and_days_each_have_an_end() {
        let mut breaker = Breaker::default();
        let mut each_minute = |n: u32, s| {
            let one = Hurt {
                active_subjects: 700,
                ..hurt(n, &format!("net{n}"), false)
            };
            breaker.spend(one, &BUDGET, at(s)).is_ok()
        };
        let hour = (0..60)
            .filter(|&n| each_minute(n, i64::from(n) * 60))
            .count();
        assert_eq!(hour, 7, "one in a hundred of the active");
        assert!(each_minute(99, 3600));
    }

    #[test]
    fn the_same_incident_is_paid_once_and_the_same_subject_rests_an_hour() {
        let mut breaker = Breaker::default();
        let mut spend = |number, s| {
            let subject = Hurt {
                subject: "alice".into(),
                ..hurt(number, "net", false)
            };
            breaker.spend(subject, &BUDGET, at(s))
        };
        assert_eq!(spend(1, 0), Ok(()));
        assert_eq!(spend(1, 1), Ok(()));
        assert_eq!(spend(2, 2), Err(Stop::Cooldown));
        assert_eq!(spend(2, 3600), Ok(()));
    }

    #[test]
    fn ten_thousand_denials_in_a_minute_are_fine_and_thirty_thousand_are_not() {
        let mut breaker = Breaker::default();
        let denied = (0..30_000)
            .filter(|_| breaker.spend_denial(at(0)).is_ok())
            .count();
        assert_eq!(denied, 20_000);
        assert!(breaker.spend_denial(at(60)).is_ok());
    }
}
