//! Where a service writes whose data a request is about: in its host, or in one part of the path.
//!
//! In: tenants of tokens that were let in, and the words of their requests. Out: whether a request is about another
//! tenant than its token's.
//! Does not know: that it must not be. A word counts as a tenant only where many requests have their own there, and
//! only when it is another token's.

use super::bounded::Bounded;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Tenants and places of them remembered: some thousand customers of a service.
const TENANTS_MAX: usize = 16_384;
const SPOTS_MAX: usize = 4096;

/// So many requests, of so many tenants, show that a place holds the tenant.
const FITS_MIN: u32 = 20;
const TENANTS_MIN: usize = 3;

/// Where one request in so many is about another tenant, that is how the service is used.
const RARE: u32 = 20;

/// At so many all counts are halved.
const FITS_MAX: u32 = 100_000;

/// The tenants, and where they stand.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tenants {
    known: Bounded<u64, ()>,
    spots: Bounded<u64, Spot>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Spot {
    fits: u32,
    others: u32,
    tenants: SmallVec<[u64; TENANTS_MIN]>,
}

/// One word of a request, and the place that it stands at: keyed digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Which word of a request it is, and after which.
    pub spot: u64,
    /// The word.
    pub text: u64,
}

impl Default for Tenants {
    fn default() -> Self {
        Self {
            known: Bounded::new(TENANTS_MAX),
            spots: Bounded::new(SPOTS_MAX),
        }
    }
}

impl Tenants {
    /// True when a word stands where tenants do, and is another one's.
    pub fn is_others(&self, own: u64, words: &[Word]) -> bool {
        words.iter().any(|word| {
            let spot = self.spots.get(word.spot);
            word.text != own
                && self.known.get(word.text).is_some()
                && spot.is_some_and(Spot::holds_tenants)
        })
    }

    /// Learns from a request that was let in.
    pub fn learn(&mut self, own: u64, words: &[Word]) {
        self.known.get_or_insert_with(own, || ());
        for word in words {
            if word.text == own {
                self.spots
                    .get_or_insert_with(word.spot, Spot::default)
                    .fits(own);
            } else if self.known.get(word.text).is_some()
                && let Some(spot) = self.spots.get_mut(word.spot)
            {
                spot.others = spot.others.saturating_add(1);
            }
        }
    }
}

impl Spot {
    fn fits(&mut self, tenant: u64) {
        self.fits += 1;
        if self.tenants.len() < TENANTS_MIN && !self.tenants.contains(&tenant) {
            self.tenants.push(tenant);
        }
        if self.fits >= FITS_MAX {
            self.fits /= 2;
            self.others /= 2;
        }
    }

    fn holds_tenants(&self) -> bool {
        self.fits >= FITS_MIN
            && self.tenants.len() >= TENANTS_MIN
            && self.others.saturating_mul(RARE) <= self.fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn word(text: u64) -> Word {
        Word { spot: 1, text }
    }

    fn service(tenants: u64, requests: u64) -> Tenants {
        let mut known = Tenants::default();
        for request in 0..requests {
            let tenant = 100 + request % tenants;
            known.learn(tenant, &[word(tenant), Word { spot: 2, text: 7 }]);
        }
        known
    }

    #[test]
    fn another_tenants_word_where_tenants_stand_is_told() {
        let known = service(4, 40);
        assert!(known.is_others(100, &[word(101)]));
        assert!(!known.is_others(100, &[word(100)]));
    }

    #[test]
    fn a_word_that_is_no_tenant_or_stands_elsewhere_is_not() {
        let known = service(4, 40);
        assert!(!known.is_others(100, &[word(55)]));
        assert!(!known.is_others(100, &[Word { spot: 2, text: 101 }]));
    }

    #[test]
    fn few_requests_and_few_tenants_show_no_place() {
        assert!(!service(4, 16).is_others(100, &[word(101)]));
        assert!(!service(2, 400).is_others(100, &[word(101)]));
    }

    #[test]
    fn where_people_work_for_each_other_all_day_nothing_is_told() {
        let mut known = service(4, 40);
        (0..4).for_each(|_| known.learn(100, &[word(101)]));
        assert!(!known.is_others(100, &[word(102)]));
    }

    #[test]
    fn invented_tenants_fill_no_memory() {
        let mut known = service(4, 40);
        (0..100_000).for_each(|tenant| {
            known.learn(
                tenant,
                &[Word {
                    spot: tenant,
                    text: tenant,
                }],
            )
        });
        assert!(known.known.len() <= TENANTS_MAX && known.spots.len() <= SPOTS_MAX);
    }
}
