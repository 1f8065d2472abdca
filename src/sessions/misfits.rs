//! Signatures that do not fit, by issuer and key: one forger's work, or keys that are not the issuer's.
//!
//! In: accepted tokens, told whether their signature fits and whether their subject is where it always is. Out:
//! [`Misfit`]: forged, or the key is at fault and nobody forged anything.
//! Does not know: how a signature is checked, incidents.
//! Source: RFC 7517, section 4.5 (`kid`); OpenID Connect Core 1.0, section 10.1.1 (rotation of signing keys).

use super::bounded::Bounded;
use crate::domain::ids::SubjectId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Keys remembered; an issuer publishes a handful, and a forger who invents more forgets only his own.
const KEYS_MAX: usize = 4096;

/// One forger enters one account after the other; keys that do not fit keep nobody in. Three people at once who each
/// come from where they always do are no three thefts.
const SUBJECTS_MIN: usize = 3;

/// They must come within this time: a wrong key meets everybody's next request.
const WINDOW_S: f64 = 3600.0;

/// Subjects remembered of one key: the last ones tell whether three are at home.
const SEEN_MAX: usize = 16;

/// Whether the tokens of each key fit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Misfits {
    by_key: Bounded<u128, Key>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Key {
    /// A signature with it was verified, so those that fail are not the key's fault.
    fitted: bool,
    fault: bool,
    /// Who came lately, until the key is at fault for sure.
    seen: SmallVec<[Seen; 0]>,
    /// People who are known and were at home showed it, enough of them: it is at fault wherever it comes from.
    sure: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    subject: SubjectId,
    address: IpAddr,
    time: Time,
    home: bool,
}

/// Where a subject is, by what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In a network that it is known in.
    Home,
    /// Nothing is known of it.
    Unknown,
    /// Where it, or the session that the token names, never was.
    Elsewhere,
}

/// Why a signature does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Somebody made the token.
    Forged,
    /// It has just turned out that the key is at fault: what was said of these subjects before was not their doing.
    FaultFound(Vec<SubjectId>),
    /// The key is known to be at fault.
    Fault,
}

impl Default for Misfits {
    fn default() -> Self {
        Self {
            by_key: Bounded::new(KEYS_MAX),
        }
    }
}

impl Misfits {
    /// A signature with the key was verified.
    pub fn fits(&mut self, key: u128) {
        let key = self.by_key.get_or_insert_with(key, Key::default);
        (key.fitted, key.fault) = (true, false);
    }

    /// A token that was accepted though its signature does not fit.
    pub fn misfits(
        &mut self,
        key: u128,
        subject: SubjectId,
        address: IpAddr,
        whereabouts: Whereabouts,
        time: Time,
    ) -> Misfit {
        let key = self.by_key.get_or_insert_with(key, Key::default);
        // Who can make up subjects can make a key look at fault, but not for those who are known to be elsewhere.
        if key.fitted || (whereabouts == Whereabouts::Elsewhere && !key.sure) {
            return Misfit::Forged;
        }
        if key.sure {
            return Misfit::Fault;
        }
        key.seen.retain(|seen| seen.time.apart_s(time) <= WINDOW_S);
        if key.seen.iter().all(|seen| seen.subject != subject) {
            key.seen.push(Seen {
                subject,
                address,
                time,
                home: whereabouts == Whereabouts::Home,
            });
        }
        key.sure = key.seen.iter().filter(|seen| seen.home).count() >= SUBJECTS_MIN;
        // One sender with everybody's tokens is one forger.
        let senders = key.seen.iter().any(|seen| seen.address != address);
        let enough = key.seen.len() >= SUBJECTS_MIN && senders;
        let subjects: Vec<SubjectId> = key.seen.iter().map(|seen| seen.subject).collect();
        if key.seen.len() > SEEN_MAX {
            key.seen.remove(0);
        }
        match (key.fault, enough) {
            (true, _) => Misfit::Fault,
            (false, false) => Misfit::Forged,
            (false, true) => {
                key.fault = true;
                Misfit::FaultFound(subjects)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::IdKey;

    fn seen(misfits: &mut Misfits, who: &str, from: &str, at_s: i64) -> Misfit {
        seen_at(misfits, Whereabouts::Unknown, who, from, at_s)
    }

    fn seen_at(
        misfits: &mut Misfits,
        whereabouts: Whereabouts,
        who: &str,
        from: &str,
        at_s: i64,
    ) -> Misfit {
        let subject = SubjectId::of(&IdKey::public([0; 32]), &[who.as_bytes()]);
        let time = Time::from_ms(1_777_888_800_000 + at_s * 1000).unwrap();
        let address = from.parse().unwrap();
        misfits.misfits(1, subject, address, whereabouts, time)
    }

    #[test]
    fn three_people_from_their_own_addresses_are_one_fault() {
        let mut misfits = Misfits::default();
        assert_eq!(seen(&mut misfits, "a", "192.0.2.1", 0), Misfit::Forged);
        assert_eq!(seen(&mut misfits, "b", "192.0.2.2", 60), Misfit::Forged);
        assert_eq!(seen(&mut misfits, "a", "192.0.2.3", 70), Misfit::Forged);
        let found = seen(&mut misfits, "c", "192.0.2.4", 80);
        assert!(
            matches!(&found, Misfit::FaultFound(who) if who.len() == 3),
            "{found:?}"
        );
        assert_eq!(seen(&mut misfits, "d", "192.0.2.5", 90_000), Misfit::Fault);
    }

    #[test]
    fn who_is_known_to_be_elsewhere_stays_a_forgers_victim_until_three_at_home_speak_for_the_key() {
        let mut misfits = Misfits::default();
        let strangers = [("x", "192.0.2.1"), ("y", "192.0.2.2"), ("z", "192.0.2.3")];
        for (who, from) in strangers {
            seen(&mut misfits, who, from, 0);
        }
        let elsewhere = |misfits: &mut Misfits| {
            seen_at(misfits, Whereabouts::Elsewhere, "alice", "192.0.2.9", 10)
        };
        assert_eq!(elsewhere(&mut misfits), Misfit::Forged);
        for (who, from) in [("a", "192.0.2.4"), ("b", "192.0.2.5"), ("c", "192.0.2.6")] {
            let fault = seen_at(&mut misfits, Whereabouts::Home, who, from, 20);
            assert_eq!(fault, Misfit::Fault);
        }
        assert_eq!(elsewhere(&mut misfits), Misfit::Fault);
    }

    #[test]
    fn one_sender_a_slow_one_and_a_key_that_fits_are_none() {
        let mut misfits = Misfits::default();
        for who in ["a", "b", "c", "d", "e"] {
            assert_eq!(seen(&mut misfits, who, "192.0.2.1", 0), Misfit::Forged);
        }
        let mut misfits = Misfits::default();
        for (turn, who) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let (turn, from) = (turn as i64, format!("192.0.2.{}", turn + 1));
            assert_eq!(seen(&mut misfits, who, &from, turn * 4000), Misfit::Forged);
        }
        let mut misfits = Misfits::default();
        misfits.fits(1);
        for (who, from) in [("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3")] {
            assert_eq!(seen(&mut misfits, who, from, 0), Misfit::Forged);
        }
    }
}
