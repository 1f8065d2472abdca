//! Networks' own histories: how many people come to a network at once on its other days, how many are at home there.
//!
//! In: believed uses, by issuer and /24 or /64. Out: [`Crowd`], and how many are at home.
//! Does not know: what is too many. Who is suspected in a network teaches it nothing of that day, and nobody is at home
//! who is not known there for a day and known well.
//! Source: linear counting, Whang, Vander-Zanden and Taylor, ACM TODS 15(2), 1990.

use super::bounded::Bounded;
use super::source::Recent;
use crate::domain::ids::SubjectId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// Networks remembered, at some 120 bytes each: those that people moved to, or are at home in, longest ago give way.
const NETWORKS_MAX: usize = 65_536;

/// What a log's first day does not show says nothing of what is usual.
const WATCHED_S_MIN: f64 = 86_400.0;

const DAY_S: i64 = 86_400;

/// What was usual counts half after a week: people's weeks repeat themselves.
const HALF_LIFE_DAYS: f64 = 7.0;

/// Who has not been at home in a network for one to two times as long is not at home there.
const HOME_DAYS: i64 = 28;

/// Places in a sketch of people: with all but one of them taken, it counts some 600.
const PLACES: u32 = u128::BITS;

/// The histories.
#[derive(Debug, Serialize, Deserialize)]
pub struct Networks {
    since: Option<Time>,
    known: Bounded<u128, History>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct History {
    /// Who came from elsewhere in the last ten minutes.
    came: Recent,
    /// The most of one day, as far as nobody was suspected on it.
    most: u32,
    day: i64,
    suspected: bool,
    /// The most of the days before, halved by the week.
    usual: f32,
    /// Who is at home, of this span of days and of the one before.
    home: [u128; 2],
    span: i64,
}

/// People who moved to a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crowd {
    /// Within ten minutes.
    pub came: usize,
    /// The same in people who came at once on earlier days; `None` on a log's first day.
    pub over_usual: Option<f64>,
}

impl Default for Networks {
    fn default() -> Self {
        Self {
            since: None,
            known: Bounded::new(NETWORKS_MAX),
        }
    }
}

impl Networks {
    /// A believed use, whoever's and wherever.
    pub fn come_to(&mut self, time: Time) {
        self.since.get_or_insert(time);
    }

    /// Somebody's session comes to the network from another.
    pub fn arrives(&mut self, network: u128, subject: SubjectId, time: Time) {
        let history = self.known.get_or_insert_with(network, History::default);
        history.turn(time);
        history.came.add(subject, time);
        let count = u32::try_from(history.came.count(time)).unwrap_or(u32::MAX);
        history.most = history.most.max(count);
    }

    /// Who came lately, beside what is usual; `None` when nobody ever did.
    pub fn crowd(&self, network: u128, time: Time) -> Option<Crowd> {
        let history = self.known.get(network)?;
        let came = history.came.count(time);
        let watched = self
            .since
            .is_some_and(|since| time.since_s(since) >= WATCHED_S_MIN);
        let usual = history.usual_at(time).max(1.0);
        Some(Crowd {
            came,
            over_usual: watched.then(|| came as f64 / usual),
        })
    }

    /// Somebody in the network is suspected: what came there today is no measure for other days.
    pub fn suspect(&mut self, network: u128, time: Time) {
        if let Some(history) = self.known.get_mut(network) {
            history.turn(time);
            history.suspected = true;
        }
    }

    /// Somebody is at home in the network.
    pub fn at_home(&mut self, network: u128, subject: SubjectId, time: Time) {
        let history = self.known.get_or_insert_with(network, History::default);
        history.turn(time);
        history.home[0] |= 1 << (subject.get() % u128::from(PLACES));
    }

    /// About how many people are at home in the network.
    pub fn residents(&self, network: u128, time: Time) -> f64 {
        let history = self.known.get(network);
        history.map_or(0.0, |history| history.residents(time))
    }
}

impl History {
    /// Brings the history to the day of `time`. A late line counts for the day that is kept.
    fn turn(&mut self, time: Time) {
        let day = time.as_s().div_euclid(DAY_S);
        if day > self.day {
            self.usual = self.usual_at(time) as f32;
            (self.day, self.most, self.suspected) = (day, 0, false);
        }
        let span = day.div_euclid(HOME_DAYS);
        if span > self.span {
            let one_on = span == self.span + 1;
            self.home = [0, if one_on { self.home[0] } else { 0 }];
            self.span = span;
        }
    }

    /// The most that came at once before the day of `time`.
    fn usual_at(&self, time: Time) -> f64 {
        let days = time.as_s().div_euclid(DAY_S) - self.day;
        if days <= 0 {
            return f64::from(self.usual);
        }
        let most = if self.suspected { 0 } else { self.most };
        let faded = f64::from(self.usual) * (-(days as f64) / HALF_LIFE_DAYS).exp2();
        faded.max(f64::from(most) * (-((days - 1) as f64) / HALF_LIFE_DAYS).exp2())
    }

    fn residents(&self, time: Time) -> f64 {
        let spans = time.as_s().div_euclid(DAY_S * HOME_DAYS) - self.span;
        let home = match spans {
            ..=0 => self.home[0] | self.home[1],
            1 => self.home[0],
            _ => 0,
        };
        let places = f64::from(PLACES);
        let empty = f64::from(home.count_zeros().max(1));
        -places * (empty / places).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, second: i64) -> Time {
        Time::from_ms((1_777_852_800 + day * DAY_S + second) * 1000).unwrap()
    }

    fn come(networks: &mut Networks, people: u128, day: i64) {
        for who in 0..people {
            networks.come_to(at(day, 0));
            networks.arrives(7, SubjectId::new(who), at(day, who as i64));
        }
    }

    fn over_usual(networks: &Networks, day: i64) -> Option<f64> {
        networks.crowd(7, at(day, 30)).unwrap().over_usual
    }

    #[test]
    fn a_crowd_is_compared_with_the_networks_own_days_and_not_on_the_first() {
        let mut networks = Networks::default();
        come(&mut networks, 6, 0);
        assert_eq!(over_usual(&networks, 0), None);
        come(&mut networks, 6, 1);
        assert_eq!(over_usual(&networks, 1), Some(1.0));
        come(&mut networks, 18, 2);
        assert_eq!(over_usual(&networks, 2), Some(3.0));
        assert_eq!(networks.crowd(8, at(2, 0)), None);
    }

    #[test]
    fn what_was_usual_fades_and_a_network_where_nobody_came_has_none() {
        let mut networks = Networks::default();
        networks.come_to(at(0, 0));
        come(&mut networks, 8, 1);
        assert_eq!(over_usual(&networks, 1), Some(8.0));
        come(&mut networks, 8, 9);
        assert_eq!(over_usual(&networks, 9), Some(2.0));
    }

    #[test]
    fn who_is_suspected_makes_nothing_usual() {
        let mut networks = Networks::default();
        come(&mut networks, 9, 0);
        networks.suspect(7, at(0, 40));
        come(&mut networks, 9, 1);
        assert_eq!(over_usual(&networks, 1), Some(9.0));
    }

    #[test]
    fn who_is_at_home_is_counted_once_and_forgotten_when_away_for_long() {
        let mut networks = Networks::default();
        for who in (0..40).chain(0..40) {
            networks.at_home(7, SubjectId::new(who), at(0, 0));
        }
        let residents = |day| networks.residents(7, at(day, 0)).round() as i64;
        assert!((38..52).contains(&residents(0)), "{}", residents(0));
        assert_eq!(residents(2 * HOME_DAYS), 0);
    }
}
