//! How bad a case is.
//!
//! In: the points and dimension of each finding. Out: a sum, a [`Level`], and whether acting is
//! justified.
//! Does not know: rules, time (it is told how long the suspect was away).
//!
//! A case takes the highest points of each dimension and adds these up, so that five repeats of one
//! weak signal stay weak. What it comes to:
//!
//! | sum | level of a theft | of a refused sender | of a gateway's fault |
//! |---|---|---|---|
//! | below 60 | not shown | not shown | not shown |
//! | 60 to 89 | medium | low | low |
//! | 90 to 119 | high | medium | medium |
//! | 120 and more | critical | medium | medium |
//!
//! What may be the holder's own second device or way, all of it, is medium however much it is.
//!
//! One level more when several accounts share the suspect, when it went for a password, mail, key
//! or payment path, or when a forged token was let in: then every account is open. A rule that
//! speaks of a theft proof gives 90 points or more, hence high at least.
//! Source: the numbers are judgement; levels as in Sigma.

use crate::domain::finding::{Dimension, Level};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// From here on a case is shown: one strong dimension, such as impossible travel, gets there alone.
pub(super) const SHOWN_AT: u32 = 60;
/// Two strong dimensions, or one proof.
const HIGH_AT: u32 = 90;
/// Three, or a proof with another dimension.
const CRITICAL_AT: u32 = 120;
/// Half of what is known counts after an hour without the suspect: half a working session.
const HALF_LIFE_S: f64 = 3600.0;

/// Whom a case is about decides how its sum is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// A token in foreign hands.
    Theft,
    /// Tokens that a gateway refused.
    Sender,
    /// A gateway or an issuer that does its work badly.
    Fault,
}

/// The points of a case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Score {
    /// What is left of each dimension.
    points: BTreeMap<Dimension, f64>,
    /// The most each dimension ever had.
    highest: BTreeMap<Dimension, u32>,
    /// The most the sum ever was.
    peak: u32,
    /// Dimensions in which something was found that the holder cannot have done with a second device or line.
    sure: BTreeSet<Dimension>,
}

impl Score {
    /// Counts a finding; one that is `doubtful` is shown, and justifies nothing.
    pub(super) fn add(&mut self, dimension: Dimension, points: u32, doubtful: bool) {
        if !doubtful {
            self.sure.insert(dimension);
        }
        let left = self.points.entry(dimension).or_default();
        *left = left.max(f64::from(points));
        let highest = self.highest.entry(dimension).or_default();
        *highest = points.max(*highest);
        let sum: f64 = self.points.values().sum();
        self.peak = self.peak.max(sum.round() as u32);
    }

    /// The suspect was away this long. What was once reached stays reached: an incident does not
    /// fade from sight.
    pub(super) fn decay(&mut self, away_s: f64) {
        if away_s > 0.0 {
            let factor = (-away_s / HALF_LIFE_S).exp2();
            self.points.values_mut().for_each(|left| *left *= factor);
        }
    }

    /// The most the sum ever was.
    pub(super) fn sum(&self) -> u32 {
        self.peak
    }

    /// True when a person should see it.
    pub(super) fn shown(&self) -> bool {
        self.peak >= SHOWN_AT
    }

    /// The most each dimension ever had.
    pub(super) fn highest(&self) -> &BTreeMap<Dimension, u32> {
        &self.highest
    }

    /// The level, see the table above.
    pub(super) fn level(&self, scale: Scale, raised: bool) -> Level {
        let theft = match self.peak {
            0..SHOWN_AT => Level::Low,
            SHOWN_AT..HIGH_AT => Level::Medium,
            // A person can be all of it.
            _ if self.sure.is_empty() => Level::Medium,
            HIGH_AT..CRITICAL_AT => Level::High,
            _ => Level::Critical,
        };
        match scale {
            Scale::Theft if raised => raise(theft),
            Scale::Theft => theft,
            Scale::Sender | Scale::Fault if self.peak < HIGH_AT => Level::Low,
            Scale::Sender | Scale::Fault => Level::Medium,
        }
    }

    /// Two independent dimensions, or a theft proof. Place and network are one; how much, what was asked for and how
    /// unusual it is depend on the person, and faults are nobody's theft: these never count. Taking turns between two
    /// networks says no more than the networks do, for a router with two lines does it all day: it counts beside a
    /// distance or another program.
    pub(super) fn convinces(&self) -> bool {
        let has = |dimension: Dimension| self.sure.contains(&dimension);
        let where_from = has(Dimension::Place) || has(Dimension::Network);
        let others = [Dimension::Client, Dimension::Tls, Dimension::Language];
        let others = others.into_iter().filter(|&dimension| has(dimension));
        let others = others.count();
        let turns = has(Dimension::Time) && (has(Dimension::Place) || others > 0);
        has(Dimension::Theft) || usize::from(where_from) + others + usize::from(turns) >= 2
    }
}

/// The next level.
pub(super) fn raise(level: Level) -> Level {
    match level {
        Level::Informational => Level::Low,
        Level::Low => Level::Medium,
        Level::Medium => Level::High,
        Level::High | Level::Critical => Level::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(findings: &[(Dimension, u32)]) -> Score {
        let mut score = Score::default();
        for &(dimension, points) in findings {
            score.add(dimension, points, false);
        }
        score
    }

    #[test]
    fn two_lines_that_take_turns_log_nobody_out() {
        let router = [(Dimension::Network, 15), (Dimension::Time, 60)];
        assert!(score(&router).shown() && !score(&router).convinces());
        assert!(score(&[(Dimension::Place, 30), (Dimension::Time, 60)]).convinces());
    }

    #[test]
    fn five_repeats_of_one_weak_signal_stay_weak() {
        let weak = score(&[(Dimension::Network, 20); 5]);
        assert_eq!((weak.sum(), weak.shown()), (20, false));
        assert!(score(&[(Dimension::Place, 60)]).shown());
    }

    #[test]
    fn acting_asks_for_two_independent_dimensions_or_a_proof() {
        use Dimension::{Client, Fault, Habit, Network, Path, Place, Theft, Tls, Volume};
        for (dimensions, convinces) in [
            (vec![Place], false),
            (vec![Place, Network], false),
            (vec![Place, Volume, Path, Habit, Fault], false),
            (vec![Network, Client], true),
            (vec![Client, Tls], true),
            (vec![Theft], true),
        ] {
            let findings: Vec<_> = dimensions.iter().map(|&d| (d, 60)).collect();
            assert_eq!(score(&findings).convinces(), convinces, "{dimensions:?}");
        }
    }

    #[test]
    fn what_may_be_the_holders_own_second_device_is_shown_and_justifies_nothing() {
        let mut score = Score::default();
        score.add(Dimension::Network, 15, true);
        score.add(Dimension::Client, 60, true);
        assert!(score.shown() && !score.convinces());
        score.add(Dimension::Time, 60, true);
        assert_eq!(score.level(Scale::Theft, false), Level::Medium);
        score.add(Dimension::Client, 60, false);
        assert_eq!(score.level(Scale::Theft, false), Level::Critical);
        assert!(!score.convinces());
        score.add(Dimension::Network, 60, false);
        assert!(score.convinces());
    }

    #[test]
    fn the_level_follows_the_table() {
        use Dimension::{Client, Place, Theft};
        for (findings, theft, raised, sender) in [
            (&[(Place, 59)][..], Level::Low, Level::Medium, Level::Low),
            (&[(Place, 60)], Level::Medium, Level::High, Level::Low),
            (&[(Theft, 90)], Level::High, Level::Critical, Level::Medium),
            (
                &[(Place, 60), (Client, 60)],
                Level::Critical,
                Level::Critical,
                Level::Medium,
            ),
        ] {
            let score = score(findings);
            assert_eq!(score.level(Scale::Theft, false), theft);
            assert_eq!(score.level(Scale::Theft, true), raised);
            assert_eq!(score.level(Scale::Sender, true), sender);
            assert_eq!(score.level(Scale::Fault, true), sender);
        }
    }

    #[test]
    fn what_is_an_hour_old_counts_half_but_what_was_reached_stays() {
        let mut aged = score(&[(Dimension::Place, 40)]);
        aged.decay(3600.0);
        aged.add(Dimension::Client, 39, false);
        assert_eq!(aged.sum(), 59);
        let mut reached = score(&[(Dimension::Place, 60)]);
        reached.decay(36_000.0);
        assert!(reached.shown());
    }
}
