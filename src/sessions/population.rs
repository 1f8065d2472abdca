//! The population: how often anybody was seen on a network and with a program.
//!
//! In: observations of subjects. Out: [`Population`], and the share of it that has the same values.
//! Does not know: whose observation it was. What is rare is smoothed, see [`super::habits`].

use super::bounded::Bounded;
use super::habits::{
    CLIENT_WEIGHTS, Habits, LEVELS, NETWORK_WEIGHTS, Seen, Shares, Values, Weights,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How often anybody was seen where and with what.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Population {
    /// Subjects ever.
    pub(super) subjects: u64,
    /// Observations ever.
    pub(super) seen: u64,
    pub(super) network: Eras,
    pub(super) client: Eras,
}

/// This era and the one before it: an era that is full becomes the old one, so that a program that nobody uses any
/// more is forgotten.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Eras {
    pub(super) young: Common,
    pub(super) old: Common,
}

/// How often everybody's observations had the same values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Everybody {
    pub(super) shares: Shares,
    /// How likely the finest value is among those with it, which smoothing leaves below one.
    pub(super) among_its_own: f64,
    /// The share of what was never seen.
    pub(super) least: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Common {
    pub(super) total: u64,
    pub(super) finest: Bounded<u32, Finest>,
    upper: [Bounded<u32, u32>; LEVELS - 1],
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finest {
    count: u32,
    /// Values of the upper levels that were seen with it, with their level: mostly one each.
    above: SmallVec<[(u8, u32); 3]>,
}

/// Observations of one era: some weeks of a large service.
pub(super) const ERA_SEEN: u64 = 1_000_000;

/// Addresses and user agents remembered of everybody, at about 60 bytes each. One that is forgotten counts as never
/// seen, which is nearly as rare.
const FINEST_MAX: usize = 65_536;

/// Values of upper levels: there are 90,000 autonomous systems, and people are in a tenth of them.
const UPPER_MAX: usize = 16_384;

/// Values above one finest value: an address that changes hands between more is nobody's.
const ABOVE_MAX: usize = 16;

impl Default for Eras {
    fn default() -> Self {
        Self {
            young: Common::new(),
            old: Common::new(),
        }
    }
}

impl Population {
    /// Learns an observation of a subject of whom `habits` are known before it.
    pub fn learn(&mut self, seen: Seen, habits: &Habits) {
        self.subjects += u64::from(habits.seen == 0);
        self.seen += 1;
        let features = [
            (&mut self.network, seen.network, NETWORK_WEIGHTS),
            (&mut self.client, seen.client, CLIENT_WEIGHTS),
        ];
        for (eras, values, weights) in features {
            if let Some(values) = values {
                eras.learn(values, weights);
            }
        }
    }
}

impl Eras {
    pub(super) fn learn(&mut self, values: Values, weights: Weights) {
        if self.young.total == ERA_SEEN {
            self.old = std::mem::replace(&mut self.young, Common::new());
        }
        self.young.learn(values, weights);
    }

    /// The shares of everybody's observations that had these values, smoothed so that none is impossible: the finest
    /// level keeps room for as many new values as there are of the upper ones, and one more.
    pub(super) fn shares(&self, values: Values) -> Option<Everybody> {
        let eras = [&self.young, &self.old];
        let total = eras.iter().map(|era| era.total).sum::<u64>() as f64;
        if total == 0.0 {
            return None;
        }
        let finest = eras.map(|era| era.finest.get(values[0]));
        let counts = finest
            .iter()
            .flatten()
            .map(|finest| u64::from(finest.count));
        let count = counts.sum::<u64>() as f64;
        let above = (finest.iter().flatten())
            .map(|finest| finest.above.len())
            .max();
        let kinds = |era: &&Common| era.upper.iter().map(Bounded::len).sum::<usize>();
        let unseen = eras.iter().map(kinds).max().unwrap_or_default() as f64 + 1.0;
        let upper = |level: usize| {
            let of = |era: &&Common| era.upper[level - 1].get(values[level]).copied();
            eras.iter().filter_map(of).map(f64::from).sum::<f64>() / total
        };
        let least = 1.0 / (total + unseen);
        Some(Everybody {
            shares: std::array::from_fn(|level| match level {
                0 => count.max(1.0) * least,
                upper_level => upper(upper_level),
            }),
            among_its_own: above.map_or(1.0, |above| count / (count + above as f64 + 1.0)),
            least,
        })
    }
}

impl Common {
    fn new() -> Self {
        Self {
            total: 0,
            finest: Bounded::new(FINEST_MAX),
            upper: std::array::from_fn(|_| Bounded::new(UPPER_MAX)),
        }
    }

    pub(super) fn learn(&mut self, values: Values, weights: Weights) {
        self.total += 1;
        let finest = self.finest.get_or_insert_with(values[0], Finest::default);
        finest.count += 1;
        for level in (1..LEVELS).filter(|&level| weights[level] > 0.0) {
            let above = (level as u8, values[level]);
            if finest.above.len() < ABOVE_MAX && !finest.above.contains(&above) {
                finest.above.push(above);
            }
            *self.upper[level - 1].get_or_insert_with(values[level], || 0) += 1;
        }
    }
}
