//! What the engine counts about itself and about its sources: green must not mean blind.
//!
//! In: every event and use. Out: [`Totals`], [`SourceHealth`].
//! Does not know: metrics, output.

use super::Engine;
use super::prepare::Prepared;
use crate::domain::context::Prefix;
use crate::domain::line::Source;
use crate::domain::time::Time;
use crate::domain::token::Provenance;
use crate::sessions::Stores;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// One address behind more than half of the events is a proxy, not a person: the client's address is in a header.
const PEER_SHARE_MAX: f64 = 0.5;

/// Fewer events than this say nothing about shares.
const PEER_EVENTS_MIN: u64 = 100;

/// So many subjects in ten minutes behind one address are no household.
const PROXY_SUBJECTS_MIN: usize = 5;

/// Counts since the engine began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events.
    pub events: u64,
    /// Uses by provenance, in the order of [`Provenance`].
    pub uses: [u64; 5],
    /// Distinct tokens that were believed.
    pub tokens: u64,
    /// Sessions.
    pub sessions: u64,
    /// Subjects.
    pub subjects: u64,
    /// Credentials that nothing could be made of.
    pub undecodable: u64,
    /// Uses that were not looked at in a flood of forged tokens.
    pub deferred: u64,
    /// Entries forgotten for want of room, by store.
    pub evicted: Vec<(&'static str, u64)>,
}

impl Totals {
    /// All uses.
    pub fn all_uses(&self) -> u64 {
        self.uses.iter().sum()
    }
}

/// Bounds of how long a session was let in after its logout. Half a minute is a request in flight, an hour the longest
/// that a token should live (RFC 6750, section 5.3), a day one that nobody revokes.
pub const AFTER_LOGOUT_S: [i64; 6] = [30, 60, 300, 900, 3600, 86_400];

/// How soon a gateway lets nobody in any more after a logout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterLogout {
    /// Sessions that ended here.
    pub logouts: u64,
    /// Sessions whose last accepted use came so long after their logout: up to each bound, and beyond the last.
    pub sessions: [u64; AFTER_LOGOUT_S.len() + 1],
    /// Milliseconds from a logout to the last accepted use of its session, at most.
    pub longest_ms: i64,
}

impl AfterLogout {
    /// Counts an accepted use at `time` of a session whose newest use was at `before`.
    fn used(&mut self, logout: Time, before: Time, time: Time) {
        if time <= logout {
            return;
        }
        // The session was counted by the use before, which was not its last.
        if before > logout {
            let counted = &mut self.sessions[bucket(logout, before)];
            *counted = counted.saturating_sub(1);
        }
        self.sessions[bucket(logout, time.max(before))] += 1;
        self.longest_ms = self.longest_ms.max(time.as_ms() - logout.as_ms());
    }

    /// Sessions that were used after their logout.
    pub fn used_after(&self) -> u64 {
        self.sessions.iter().sum()
    }
}

fn bucket(logout: Time, time: Time) -> usize {
    let after_s = (time.as_ms() - logout.as_ms()) / 1000;
    AFTER_LOGOUT_S
        .iter()
        .take_while(|bound_s| after_s > **bound_s)
        .count()
}

/// What one source looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// The source.
    pub source: Source,
    /// Events.
    pub events: u64,
    /// Events answered 2xx that should carry a token: all, or those on protected paths where such are configured.
    pub expected: u64,
    /// Those of them that did.
    pub identified: u64,
    /// What its gateway does after a logout.
    pub after_logout: AfterLogout,
    /// The address that may be behind most events.
    peer: Option<IpAddr>,
    /// Votes for it, after Boyer and Moore, "MJRTY: A Fast Majority Vote Algorithm", 1981.
    votes: u64,
    /// Events from it since it became the candidate.
    hits: u64,
}

impl SourceHealth {
    /// Share of the events that should carry a token and do; 1 when there is none.
    pub fn identified_ratio(&self) -> f64 {
        if self.expected == 0 {
            1.0
        } else {
            self.identified as f64 / self.expected as f64
        }
    }

    /// The address behind most events with a lower bound of its share, exact when it leads from the beginning.
    pub fn top_peer(&self) -> Option<(IpAddr, f64)> {
        self.peer
            .map(|peer| (peer, self.hits as f64 / self.events.max(1) as f64))
    }

    /// The address behind so many events that it must be a proxy, with its share.
    pub fn leading_peer(&self) -> Option<(IpAddr, f64)> {
        let enough = self.events >= PEER_EVENTS_MIN;
        self.top_peer()
            .filter(|(_, share)| enough && *share > PEER_SHARE_MAX)
    }

    fn count_peer(&mut self, client: Option<IpAddr>) {
        let Some(client) = client else { return };
        if self.peer == Some(client) {
            self.votes += 1;
            self.hits += 1;
        } else if self.votes == 0 {
            (self.peer, self.votes, self.hits) = (Some(client), 1, 1);
        } else {
            self.votes -= 1;
        }
    }
}

/// The counters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Health {
    sources: Vec<SourceHealth>,
    /// Where each source stands in the row; made anew after a restart.
    #[serde(skip)]
    places: HashMap<Source, usize>,
    current: usize,
    uses: [u64; 5],
    undecodable: u64,
    deferred: u64,
    protects: bool,
}

impl Health {
    pub(super) fn new(protects: bool) -> Self {
        Self {
            protects,
            ..Self::default()
        }
    }

    pub(super) fn event(&mut self, prepared: &Prepared<'_>) {
        if prepared.unread.is_some() {
            return;
        }
        let source = prepared.line.source;
        // Lines come in chunks of one source: the last one is nearly always the right one.
        if self
            .sources
            .get(self.current)
            .is_none_or(|known| known.source != *source)
        {
            self.current = self.index_of(source);
        }
        let Some(health) = self.sources.get_mut(self.current) else {
            return;
        };
        let event = &prepared.event;
        health.events += 1;
        health.count_peer(event.client);
        if event.succeeded() && (prepared.path.protected || !self.protects) {
            health.expected += 1;
            health.identified += u64::from(!prepared.credentials.is_empty());
        }
    }

    fn index_of(&mut self, source: &Source) -> usize {
        if self.places.len() < self.sources.len() {
            let sources = self.sources.iter().map(|known| known.source.clone());
            self.places = sources.zip(0..).collect();
        }
        if let Some(place) = self.places.get(source) {
            return *place;
        }
        let place = self.sources.len();
        self.places.insert(source.clone(), place);
        self.sources.push(SourceHealth {
            source: source.clone(),
            events: 0,
            expected: 0,
            identified: 0,
            after_logout: AfterLogout::default(),
            peer: None,
            votes: 0,
            hits: 0,
        });
        place
    }

    /// A session ended at the source of the event at hand.
    pub(super) fn logout(&mut self) {
        if let Some(health) = self.sources.get_mut(self.current) {
            health.after_logout.logouts += 1;
        }
    }

    /// A session was let in after its logout, by the gateway of the event at hand.
    pub(super) fn used_after(&mut self, logout: Time, before: Time, time: Time) {
        if let Some(health) = self.sources.get_mut(self.current) {
            health.after_logout.used(logout, before, time);
        }
    }

    pub(super) fn used(&mut self, provenance: Provenance) {
        self.uses[provenance as usize] += 1;
    }

    pub(super) fn undecodable(&mut self) {
        self.undecodable += 1;
    }

    pub(super) fn deferred(&mut self) {
        self.deferred += 1;
    }

    pub(super) fn totals(&self, stores: &Stores) -> Totals {
        Totals {
            events: self.sources.iter().map(|source| source.events).sum(),
            uses: self.uses,
            tokens: stores.tokens.len() as u64 + stores.tokens.evicted(),
            sessions: stores.sessions.len() as u64 + stores.sessions.evicted(),
            subjects: stores.subjects.len() as u64 + stores.subjects.evicted(),
            undecodable: self.undecodable,
            deferred: self.deferred,
            evicted: stores.evicted().to_vec(),
        }
    }

    pub(super) fn sources(&self) -> &[SourceHealth] {
        &self.sources
    }
}

impl Engine {
    /// Event time of the newest event; `None` before the first.
    pub fn newest(&self) -> Option<Time> {
        Some(self.state.newest).filter(|newest| *newest != Time::default())
    }

    /// What was counted.
    pub fn totals(&self) -> Totals {
        self.state.health.totals(&self.state.stores)
    }

    /// What each source looks like.
    pub fn sources(&self) -> &[SourceHealth] {
        self.state.health.sources()
    }

    /// Sources in which one address stands for many people: a proxy that nobody configured. With its share of the
    /// events.
    pub fn hidden_clients(&self) -> impl Iterator<Item = (&SourceHealth, IpAddr, f64)> {
        let sources = &self.state.stores.sources;
        // One busy client, or one thief in a hurry, is no proxy: it presents few people's tokens.
        let many = |peer: &IpAddr| {
            let origin = sources.get(Prefix::of(*peer));
            origin.is_some_and(|origin| {
                origin.subjects.count(self.state.newest) >= PROXY_SUBJECTS_MIN
            })
        };
        self.state
            .health
            .sources()
            .iter()
            .filter_map(move |source| {
                let (peer, share) = source.leading_peer().filter(|(peer, _)| many(peer))?;
                Some((source, peer, share))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_row_also_after_a_restart() {
        let source = |number: usize| Source(format!("{number}.log").into());
        let mut health = Health::default();
        for _ in 0..2 {
            let places: Vec<_> = (0..100).map(|at| health.index_of(&source(at))).collect();
            assert_eq!(places, (0..100).collect::<Vec<_>>());
            let snapshot = postcard::to_stdvec(&health).unwrap();
            health = postcard::from_bytes(&snapshot).unwrap();
        }
        assert_eq!(health.index_of(&source(100)), 100);
        assert_eq!(health.sources().len(), 101);
    }

    #[test]
    fn a_session_counts_once_after_its_logout_by_its_last_use() {
        let at = |s: i64| Time::from_ms(s * 1000).unwrap();
        let mut after = AfterLogout::default();
        for (before, time) in [(0, 110), (110, 170), (170, 4000), (4000, 3000)] {
            after.used(at(100), at(before), at(time));
        }
        after.used(at(5000), at(4990), at(5000));
        assert_eq!(
            (after.sessions, after.used_after()),
            ([0, 0, 0, 0, 0, 1, 0], 1)
        );
        assert_eq!(after.longest_ms, 3_900_000);
    }
}
