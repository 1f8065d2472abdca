//! What the users of a client ask for: how often each kind of path is.
//!
//! In: paths without the ids in them, of uses that nothing is strange about. Out: how rare a path is, and how rare they
//! are on the average.
//! Does not know: who asks, or what rarity is suspicious. A path that a release brings is known as soon as some asked.

use super::bounded::Bounded;
use serde::{Deserialize, Serialize};

/// Clients remembered; a provider knows some hundreds.
const CLIENTS_MAX: usize = 1024;

/// Kinds of path remembered of one client: a large interface has as many, the rarest gives way.
const KINDS_MAX: usize = 256;

/// So much is known before anything is rare.
const KNOWN_MIN: u32 = 200;

/// At so much all counts are halved, so that what a client became weighs more than what it was.
const KNOWN_MAX: u32 = 100_000;

/// How fast the average follows: the last few hundred uses.
const FOLLOWS: f64 = 1.0 / 256.0;

/// What clients ask for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Endpoints(Bounded<u64, Asked>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Asked {
    total: u32,
    /// How rare what is asked for is on the average.
    usual: f64,
    /// Kinds of path by hash, in order, with their counts.
    kinds: Vec<(u32, u32)>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self(Bounded::new(CLIENTS_MAX))
    }
}

impl Endpoints {
    /// How much rarer a kind of path is than what is asked for on the average, in the natural logarithm; `None` while
    /// little is known of the client.
    pub fn strangeness(&self, client: u64, kind: u32) -> Option<f64> {
        let asked = self.0.get(client)?;
        let known = asked.total >= KNOWN_MIN;
        known.then(|| asked.rarity(kind) - asked.usual)
    }

    /// Learns what was asked for.
    pub fn learn(&mut self, client: u64, kind: u32) {
        let asked = self.0.get_or_insert_with(client, Asked::default);
        let rarity = asked.rarity(kind);
        asked.add(kind);
        let weight = FOLLOWS.max(1.0 / f64::from(asked.total));
        asked.usual += (rarity - asked.usual) * weight;
    }
}

impl Asked {
    /// The negative logarithm of how likely the kind is. One never seen is as likely as half a use of it.
    fn rarity(&self, kind: u32) -> f64 {
        let at = self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind);
        let count = at.map_or(0, |at| self.kinds[at].1);
        let room = 0.5 * (self.kinds.len() as f64 + 1.0);
        -((f64::from(count) + 0.5) / (f64::from(self.total) + room)).ln()
    }

    fn add(&mut self, kind: u32) {
        if self.total >= KNOWN_MAX {
            self.kinds.iter_mut().for_each(|(_, count)| *count /= 2);
            self.kinds.retain(|(_, count)| *count > 0);
            self.total = self.kinds.iter().map(|(_, count)| count).sum();
        }
        self.total += 1;
        match self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => self.kinds[at].1 += 1,
            Err(_) => {
                if self.kinds.len() == KINDS_MAX {
                    let rarest = (0..KINDS_MAX).min_by_key(|at| self.kinds[*at].1);
                    self.kinds.remove(rarest.unwrap_or(0));
                }
                let at = self.kinds.partition_point(|(known, _)| *known < kind);
                self.kinds.insert(at, (kind, 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Endpoints {
        let mut endpoints = Endpoints::default();
        for turn in 0..1000 {
            endpoints.learn(1, turn % 7);
        }
        endpoints
    }

    #[test]
    fn what_nobody_asks_for_is_strange_and_what_everybody_does_is_not() {
        let endpoints = busy();
        assert!(endpoints.strangeness(1, 99).unwrap() > 4.0);
        assert!(endpoints.strangeness(1, 3).unwrap().abs() < 0.1);
    }

    #[test]
    fn of_a_client_that_is_hardly_known_nothing_is_strange() {
        let mut endpoints = Endpoints::default();
        (0..199).for_each(|_| endpoints.learn(1, 1));
        assert_eq!(endpoints.strangeness(1, 9), None);
        assert_eq!(busy().strangeness(2, 9), None);
    }

    #[test]
    fn a_path_that_a_release_brings_is_soon_like_any_other() {
        let mut endpoints = busy();
        for turn in 0..400 {
            endpoints.learn(1, [99, turn % 7][turn as usize % 2]);
        }
        assert!(endpoints.strangeness(1, 99).unwrap() < 0.5);
    }

    #[test]
    fn invented_paths_fill_no_memory() {
        let mut endpoints = busy();
        (0..10_000).for_each(|kind| endpoints.learn(1, kind));
        assert!(endpoints.0.get(1).unwrap().kinds.len() <= KINDS_MAX);
        (0..10_000).for_each(|client| endpoints.learn(client, 1));
        assert!(endpoints.0.len() <= CLIENTS_MAX);
    }
}
