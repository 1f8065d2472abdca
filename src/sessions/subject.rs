//! What is known of one subject: where, through which networks and with which programs their sessions live.
//!
//! In: uses of sessions that do not drift. Out: [`Subject`].
//! Does not know: what novelty means for a rule.

use super::device::places_apart;
use super::habits::Habits;
use crate::domain::context::{Context, Place};
use crate::domain::ids::SessionId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Things of each kind remembered: people have a handful; the least recently used gives way.
const KNOWN_MAX: usize = 16;

/// How long a thing must be known before it is no news: a thief's own first day must not make him familiar.
const FAMILIAR_S_MIN: f64 = 86_400.0;

/// A person's week repeats itself: two of them, or as many sessions as working days in them, show most of what they do.
const MATURE_S_MIN: f64 = 14.0 * 86_400.0;
const MATURE_SESSIONS_MIN: u32 = 10;

/// A program and the system it runs on.
pub type Program = (Arc<str>, Arc<str>);

/// Something a subject was seen with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known<T> {
    /// What.
    pub what: T,
    /// Event time of the first use with it.
    pub first: Time,
    /// Event time of the last.
    pub last: Time,
}

/// What is known of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Event time of the first use.
    pub first_seen: Time,
    /// Sessions so far.
    pub sessions: u32,
    /// The newest session, so that each is counted once.
    pub newest_session: Option<SessionId>,
    /// Places, told apart as detectors do.
    pub places: SmallVec<[Known<Place>; 1]>,
    /// Autonomous systems.
    pub networks: SmallVec<[Known<u32>; 1]>,
    /// Program and system.
    pub clients: SmallVec<[Known<Program>; 1]>,
    /// How often the subject was where and with what.
    pub habits: Box<Habits>,
}

impl Subject {
    /// A subject first seen at `time`.
    pub fn new(time: Time) -> Self {
        Self {
            first_seen: time,
            sessions: 0,
            newest_session: None,
            places: SmallVec::new(),
            networks: SmallVec::new(),
            clients: SmallVec::new(),
            habits: Box::default(),
        }
    }

    /// True when enough is known of the subject for something new to say anything: two weeks, or ten sessions that are
    /// not of one day. Who signs in twenty times within an hour showed one sitting.
    pub fn is_mature(&self, time: Time) -> bool {
        let known_s = time.since_s(self.first_seen);
        let often = self.sessions >= MATURE_SESSIONS_MIN && known_s >= FAMILIAR_S_MIN;
        known_s >= MATURE_S_MIN || often
    }

    /// Counts a session, the first time it is seen.
    pub fn count_session(&mut self, session: SessionId) {
        if self.newest_session != Some(session) {
            self.newest_session = Some(session);
            self.sessions = self.sessions.saturating_add(1);
        }
    }

    /// Learns the context of a use.
    pub fn learn(&mut self, context: &Context, time: Time) {
        self.first_seen = self.first_seen.min(time);
        if let Some(place) = context.reference_place() {
            learn(
                &mut self.places,
                |known| !places_apart(known, place),
                || place.clone(),
                time,
            );
        }
        if let Some(network) = &context.network {
            learn(
                &mut self.networks,
                |&asn| asn == network.asn,
                || network.asn,
                time,
            );
        }
        if let Some(client) = &context.client {
            let same = |(name, os): &Program| *name == client.name && *os == client.os;
            learn(
                &mut self.clients,
                same,
                || (client.name.clone(), client.os.clone()),
                time,
            );
        }
    }

    /// True when the place is known since at least a day before `time`.
    pub fn familiar_place(&self, place: &Place, time: Time) -> bool {
        familiar(&self.places, |known| !places_apart(known, place), time)
    }

    /// True when the autonomous system is known since at least a day before `time`.
    pub fn familiar_network(&self, asn: u32, time: Time) -> bool {
        familiar(&self.networks, |&known| known == asn, time)
    }

    /// True when the subject has had networks for a day or longer, and this is none of them.
    pub fn is_settled_elsewhere(&self, asn: u32, time: Time) -> bool {
        !self.familiar_network(asn, time) && familiar(&self.networks, |_| true, time)
    }

    /// True when network, place and program are the subject's for a day or longer. In a provider's network of a whole
    /// town there are others, too.
    pub fn is_at_home(&self, context: &Context, time: Time) -> bool {
        let network = context.network.as_ref();
        network.is_some_and(|network| self.familiar_network(network.asn, time))
            && self.is_as_usual(context, time)
    }

    /// True when network, place and program were the subject's before that time.
    pub fn was_with(&self, context: &Context, before: Time) -> bool {
        let (place, network) = (context.reference_place(), context.network.as_ref());
        let place = place
            .is_some_and(|place| was(&self.places, |known| !places_apart(known, place), before));
        let client = context.client.as_ref();
        place
            && network.is_some_and(|n| was(&self.networks, |&known| known == n.asn, before))
            && client.is_some_and(|client| {
                let same = |known: &Program| *known.0 == *client.name && *known.1 == *client.os;
                was(&self.clients, same, before)
            })
    }

    /// True when the subject has had networks for a day or longer, this is none of them, and it is not a line in the
    /// subject's own town, with their own program, either.
    pub fn is_stranger(&self, context: &Context, time: Time) -> bool {
        let network = context.network.as_ref();
        network.is_some_and(|network| self.is_settled_elsewhere(network.asn, time))
            && !self.is_as_usual(context, time)
    }

    /// True when place and program are the subject's for a day or longer.
    fn is_as_usual(&self, context: &Context, time: Time) -> bool {
        let (place, client) = (context.reference_place(), context.client.as_ref());
        place.is_some_and(|place| self.familiar_place(place, time))
            && client.is_some_and(|client| self.familiar_client(&client.name, &client.os, time))
    }

    /// True when the program on that system is known since at least a day before `time`.
    pub fn familiar_client(&self, name: &str, os: &str, time: Time) -> bool {
        familiar(
            &self.clients,
            |known| *known.0 == *name && *known.1 == *os,
            time,
        )
    }
}

fn learn<T, const N: usize>(
    known: &mut SmallVec<[Known<T>; N]>,
    same: impl Fn(&T) -> bool,
    make: impl FnOnce() -> T,
    time: Time,
) where
    [Known<T>; N]: smallvec::Array<Item = Known<T>>,
{
    if let Some(found) = known.iter_mut().find(|known| same(&known.what)) {
        found.first = found.first.min(time);
        found.last = found.last.max(time);
        return;
    }
    if known.len() == KNOWN_MAX {
        let oldest = (0..known.len())
            .min_by_key(|&index| known[index].last)
            .unwrap_or(0);
        known.remove(oldest);
    }
    known.push(Known {
        what: make(),
        first: time,
        last: time,
    });
}

fn was<T>(known: &[Known<T>], same: impl Fn(&T) -> bool, before: Time) -> bool {
    let mut known = known.iter();
    known.any(|known| same(&known.what) && known.first < before)
}

fn familiar<T>(known: &[Known<T>], same: impl Fn(&T) -> bool, time: Time) -> bool {
    known
        .iter()
        .any(|known| same(&known.what) && time.since_s(known.first) >= FAMILIAR_S_MIN)
}
