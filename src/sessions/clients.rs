//! What the clients of issuers are like: whether people drive them, where their machines stand, how long their tokens
//! live.
//!
//! In: tokens as they are first used, where nothing about that is strange. Out: [`Nature`].
//! Does not know: subjects, or what is suspicious.

use super::bounded::Bounded;
use crate::domain::context::{ClientKind, Context};
use crate::domain::ids::SessionId;
use crate::domain::token::Token;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Clients remembered; a provider knows some hundreds.
const CLIENTS_MAX: usize = 4096;

/// Networks and lifetimes remembered of one client: it has a handful, the rarest gives way.
const KINDS_MAX: usize = 8;

/// At so many all counts are halved, so that what a client became weighs more than what it was.
const COUNT_MAX: u32 = 1000;

/// A thing that changes once in so many times has a place.
const STEADY: u32 = 10;

/// The clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clients {
    by_key: Bounded<u64, Nature>,
}

/// What is known of one client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nature {
    /// Tokens of people that were first used in a browser or an app.
    pub in_person: u32,
    /// Tokens of people that were first used by a tool.
    pub in_tools: u32,
    /// Tokens of machines that were first used in a browser.
    pub machines_in_person: u32,
    /// Tokens of machines, by autonomous system.
    machines: Counts<u32>,
    /// Lifetimes in seconds.
    lifetimes: Counts<i64>,
}

/// How often each of a few things was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counts<T> {
    known: SmallVec<[(T, u32); 0]>,
    /// How often something came that was not among them.
    arrivals: u32,
}

impl<T> Default for Counts<T> {
    fn default() -> Self {
        Self {
            known: SmallVec::new(),
            arrivals: 0,
        }
    }
}

impl<T: PartialEq> Counts<T> {
    fn add(&mut self, what: T) {
        let known = self.known.iter().position(|(known, _)| *known == what);
        let at = known.unwrap_or_else(|| {
            if self.known.len() == KINDS_MAX {
                let rarest = (0..KINDS_MAX).min_by_key(|at| self.known[*at].1);
                self.known.remove(rarest.unwrap_or(0));
            }
            self.arrivals = self.arrivals.saturating_add(1);
            self.known.push((what, 0));
            self.known.len() - 1
        });
        self.known[at].1 += 1;
        if self.known[at].1 >= COUNT_MAX {
            self.known.iter_mut().for_each(|(_, count)| *count /= 2);
            self.known.retain(|(_, count)| *count > 0);
            self.arrivals /= 2;
        }
    }

    fn count(&self, what: &T) -> u32 {
        let known = self.known.iter().find(|(known, _)| known == what);
        known.map_or(0, |(_, count)| *count)
    }

    /// True when what comes is nearly always what was there before.
    fn is_steady(&self) -> bool {
        self.arrivals.saturating_mul(STEADY) <= self.sum()
    }

    fn sum(&self) -> u32 {
        self.known.iter().map(|(_, count)| count).sum()
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            by_key: Bounded::new(CLIENTS_MAX),
        }
    }
}

impl Clients {
    /// What is known of a client.
    pub fn of(&self, client: u64) -> Option<&Nature> {
        self.by_key.get(client)
    }

    /// Learns from the first use of a token.
    pub fn learn(&mut self, client: u64, token: &Token, context: &Context) {
        let nature = self.by_key.get_or_insert_with(client, Nature::default);
        let kind = context.client_kind();
        let person = matches!(kind, ClientKind::Browser | ClientKind::App);
        if token.is_machine() {
            let in_browser = u32::from(kind == ClientKind::Browser);
            nature.machines_in_person = nature.machines_in_person.saturating_add(in_browser);
            if let Some(network) = &context.network {
                nature.machines.add(network.asn);
            }
        } else {
            nature.in_person += u32::from(person);
            nature.in_tools += u32::from(kind == ClientKind::Tool);
        }
        if let Some((issued_s, expires_s)) = token.issued_s.zip(token.expires_s) {
            nature.lifetimes.add(expires_s.saturating_sub(issued_s));
        }
        if nature.in_person.max(nature.in_tools) >= COUNT_MAX {
            nature.in_person /= 2;
            nature.in_tools /= 2;
        }
    }
}

impl Nature {
    /// Tokens of the client's machines so far.
    pub fn machine_tokens(&self) -> u32 {
        self.machines.sum()
    }

    /// True when its machines keep to a few autonomous systems, and this is none of them.
    pub fn never_has_machines_in(&self, asn: u32) -> bool {
        self.machines.is_steady() && self.machines.count(&asn) == 0
    }

    /// The longest lifetime that the client's tokens had more than once, and how many tokens are known.
    pub fn longest_life_s(&self) -> Option<(i64, u32)> {
        let usual = self.lifetimes.known.iter().filter(|(_, count)| *count > 1);
        let longest = usual.map(|(life_s, _)| *life_s).max()?;
        Some((longest, self.lifetimes.sum()))
    }
}

/// Sessions in which paths are forbidden: a scan of a service's paths shows in one.
const FORBIDDEN_SESSIONS_MAX: usize = 4096;

/// Paths remembered of one session.
const FORBIDDEN_MAX: usize = 32;

/// Paths that were answered 403, by session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forbidden(Bounded<SessionId, SmallVec<[(u64, i64); 0]>>);

impl Default for Forbidden {
    fn default() -> Self {
        Self(Bounded::new(FORBIDDEN_SESSIONS_MAX))
    }
}

impl Forbidden {
    /// Counts a path, by its keyed hash, and tells how many distinct ones there were in the last ten minutes.
    pub fn add(&mut self, session: SessionId, path: u64, at_ms: i64) -> usize {
        const WINDOW_MS: i64 = 600_000;
        let paths = self.0.get_or_insert_with(session, SmallVec::new);
        paths.retain(|(known, seen_ms)| *known != path && (at_ms - *seen_ms).abs() < WINDOW_MS);
        if paths.len() == FORBIDDEN_MAX {
            paths.remove(0);
        }
        paths.push((path, at_ms));
        paths.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_gives_way_and_counts_are_halved() {
        let mut counts = Counts::default();
        for what in 0..KINDS_MAX as i64 {
            counts.add(what);
            counts.add(what);
        }
        counts.add(99);
        assert_eq!((counts.known.len(), counts.count(&99)), (KINDS_MAX, 1));
        for _ in 0..COUNT_MAX {
            counts.add(99);
        }
        assert!(counts.count(&99) < COUNT_MAX && counts.count(&7) <= 1);
    }

    #[test]
    fn a_client_whose_networks_change_all_the_time_is_nowhere_at_home() {
        let mut counts = Counts::default();
        for _ in 0..40 {
            counts.add(64_500);
        }
        assert!(counts.is_steady());
        for asn in 0..20 {
            counts.add(asn);
        }
        assert!(!counts.is_steady());
    }

    #[test]
    fn forbidden_paths_are_counted_once_and_for_ten_minutes() {
        let mut forbidden = Forbidden::default();
        let session = SessionId::new(1);
        assert_eq!(forbidden.add(session, 1, 0), 1);
        assert_eq!(forbidden.add(session, 1, 10), 1);
        assert_eq!(forbidden.add(session, 2, 20), 2);
        assert_eq!(forbidden.add(session, 3, 700_000), 1);
        let many = (0..1000).map(|path| forbidden.add(session, path, 700_000));
        assert_eq!(many.max(), Some(FORBIDDEN_MAX));
    }
}
