//! What the engine counts about itself and about its sources: green must not mean blind.
//!
//! In: every event and use. Out: [`Totals`], [`SourceHealth`].
//! Does not know: metrics, output.

use super::prepare::Prepared;
use crate::domain::line::Source;
use crate::domain::token::Provenance;
use crate::sessions::Stores;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One address behind more than half of the events is a proxy, not a person: the client's address is in a header.
const PEER_SHARE_MAX: f64 = 0.5;

/// Fewer events than this say nothing about shares.
const PEER_EVENTS_MIN: u64 = 100;

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
    /// Entries forgotten for want of room, by store.
    pub evicted: Vec<(&'static str, u64)>,
}

impl Totals {
    /// All uses.
    pub fn all_uses(&self) -> u64 {
        self.uses.iter().sum()
    }
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
    current: usize,
    uses: [u64; 5],
    undecodable: u64,
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
        self.sources
            .iter()
            .position(|known| known.source == *source)
            .unwrap_or_else(|| {
                self.sources.push(SourceHealth {
                    source: source.clone(),
                    events: 0,
                    expected: 0,
                    identified: 0,
                    peer: None,
                    votes: 0,
                    hits: 0,
                });
                self.sources.len() - 1
            })
    }

    pub(super) fn used(&mut self, provenance: Provenance) {
        self.uses[provenance as usize] += 1;
    }

    pub(super) fn undecodable(&mut self) {
        self.undecodable += 1;
    }

    pub(super) fn totals(&self, stores: &Stores) -> Totals {
        Totals {
            events: self.sources.iter().map(|source| source.events).sum(),
            uses: self.uses,
            tokens: stores.tokens.len() as u64 + stores.tokens.evicted(),
            sessions: stores.sessions.len() as u64 + stores.sessions.evicted(),
            subjects: stores.subjects.len() as u64 + stores.subjects.evicted(),
            undecodable: self.undecodable,
            evicted: stores.evicted().to_vec(),
        }
    }

    pub(super) fn sources(&self) -> &[SourceHealth] {
        &self.sources
    }
}
