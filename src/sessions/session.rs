//! One session: uses that should belong to one holder, and the contexts they came from.
//!
//! In: accepted uses. Out: [`Session`] with its [`Visit`]s, its binding and its switches.
//! Does not know: what difference is suspicious.

use super::device::{one_device, past_a_vpn, twins, two_hands, updated};
use super::moves::{Moves, Switch};
use crate::domain::context::Context;
use crate::domain::ids::SubjectId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Contexts remembered of one session. A person has a handful (home, office, phone; two families of addresses each);
/// a session that has more says no more by the next one.
const VISITS_MAX: usize = 12;

/// Which context a use came from: a keyed hash of address, user agent, fingerprint and language as logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContextKey(pub u64);

/// What one use counts as, for the counters of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Accepted: it may bind and teach.
    Accepted,
    /// 401 or 403.
    Refused,
    /// Anything else.
    Other,
}

/// One context of a session, and what was done from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// The context as logged.
    pub key: ContextKey,
    /// The context, looked up.
    pub context: Context,
    /// Event time of its first use.
    pub first: Time,
    /// Event time of its last.
    pub last: Time,
    /// Accepted uses.
    pub accepted: u32,
    /// Refused uses.
    pub refused: u32,
    /// Uses that wrote.
    pub writes: u32,
    /// Response bytes.
    pub bytes: u64,
    /// True once a finding named this context: its uses are counted for the incident.
    pub suspect: bool,
    /// One of the accepted uses is only known from a gateway's question: its line will be counted in its place.
    pub awaited: bool,
    /// True for a companion as several people's sessions have, and for the next step of an errand.
    pub usual: bool,
    /// True for a server that came late and whose every use so far answers the person's.
    pub answers: bool,
}

/// Uses that should belong to one holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Who it belongs to.
    pub subject: Option<SubjectId>,
    /// Uses so far.
    pub requests: u32,
    /// The contexts, oldest first; never empty once a use was recorded.
    pub visits: SmallVec<[Visit; 1]>,
    /// Which visit the last use belongs to.
    pub current: u8,
    /// The context of the first accepted uses, and its twin of the other address family in the same place.
    pub binding: [Option<u8>; 2],
    /// What a session does not have that is still where it began.
    pub(super) moves: Option<Box<Moves>>,
    /// The lane of the engine that counts for it now; 0 for none.
    #[serde(skip)]
    pub lane: u64,
}

/// Uses that repeated the one before, counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// How many.
    pub uses: u32,
    /// Those of them that wrote.
    pub writes: u32,
    /// Response bytes.
    pub bytes: u64,
    /// Event time of the last.
    pub last: Time,
}

impl Session {
    /// A session before its first use.
    pub fn new(subject: Option<SubjectId>) -> Self {
        Self {
            subject,
            requests: 0,
            visits: SmallVec::new(),
            current: 0,
            binding: [None; 2],
            moves: None,
            lane: 0,
        }
    }

    /// The visit of a context, if the session was there.
    pub fn visit(&self, key: ContextKey) -> Option<(u8, &Visit)> {
        let index = self.visits.iter().position(|visit| visit.key == key)?;
        Some((index as u8, &self.visits[index]))
    }

    /// The visit of the last use.
    pub fn current(&self) -> Option<&Visit> {
        self.visits.get(usize::from(self.current))
    }

    /// The visits that bind the session: its own contexts.
    pub fn bound(&self) -> impl Iterator<Item = &Visit> + '_ {
        self.binding
            .iter()
            .flatten()
            .filter_map(|&index| self.visits.get(usize::from(index)))
    }

    /// The bound visit that `address` is compared with: that of its own family, else the first.
    pub fn bound_for(&self, address: IpAddr) -> Option<&Visit> {
        let family = address.to_canonical().is_ipv4();
        self.bound()
            .find(|visit| visit.context.address.ip().is_ipv4() == family)
            .or_else(|| self.bound().next())
    }

    /// Records a use from a context. The index of its visit is returned.
    pub fn record(&mut self, key: ContextKey, context: &Context, time: Time) -> u8 {
        self.requests = self.requests.saturating_add(1);
        let answers = self.answers(key, context, time);
        let newest = self.last_seen();
        let index = match self.visits.iter().position(|visit| visit.key == key) {
            Some(index) => index,
            None => self.arrive(key, context, time),
        };
        let visit = &mut self.visits[index];
        visit.answers &= answers;
        visit.first = visit.first.min(time);
        visit.last = visit.last.max(time);
        let index = index as u8;
        // A late line adds to its visit but did not happen now: only the newest use moves the session.
        if time >= newest && index != self.current {
            if let Some(switch) = self.switch(index, time) {
                self.note_switch(switch);
            }
            self.current = index;
        }
        if let Some(moves) = &mut self.moves {
            moves.first_seen = moves.first_seen.min(time);
        }
        index
    }

    /// Records a use from where the session is, in order.
    pub fn stay(&mut self, time: Time) {
        self.requests = self.requests.saturating_add(1);
        if let Some(visit) = self.visits.get_mut(usize::from(self.current)) {
            visit.last = visit.last.max(time);
        }
    }

    /// Records that somebody is where the session is, whatever was answered: what a page that was not found asks of a
    /// backend is asked all the same.
    pub fn ask(&mut self, time: Time) {
        if let Some(visit) = self.visits.get_mut(usize::from(self.current)) {
            visit.last = visit.last.max(time);
        }
    }

    /// Records accepted uses from where the session is, after one that was recorded by itself.
    pub fn catch_up(&mut self, repeats: &Repeats) {
        self.requests = self.requests.saturating_add(repeats.uses);
        if let Some(visit) = self.visits.get_mut(usize::from(self.current)) {
            visit.last = visit.last.max(repeats.last);
            visit.accepted = visit.accepted.saturating_add(repeats.uses);
            visit.writes = visit.writes.saturating_add(repeats.writes);
            visit.bytes = visit.bytes.saturating_add(repeats.bytes);
        }
    }

    /// Counts what was answered to the use just recorded in `visit`, and binds the session by its first accepted use.
    pub fn count(&mut self, index: u8, answer: Answer, writes: bool, bytes: u64) {
        let Some(visit) = self.visits.get_mut(usize::from(index)) else {
            return;
        };
        if std::mem::take(&mut visit.awaited) {
            visit.accepted = visit.accepted.saturating_sub(1);
            self.requests = self.requests.saturating_sub(1);
        }
        visit.bytes = visit.bytes.saturating_add(bytes);
        visit.writes = visit.writes.saturating_add(u32::from(writes));
        match answer {
            Answer::Accepted => visit.accepted = visit.accepted.saturating_add(1),
            Answer::Refused => visit.refused = visit.refused.saturating_add(1),
            Answer::Other => {}
        }
        if answer == Answer::Accepted {
            self.bind(index);
        }
    }

    /// Counts the use just recorded in `visit` as accepted until its line comes, once however often a gateway asks.
    pub fn await_line(&mut self, index: u8) {
        let Some(visit) = self.visits.get_mut(usize::from(index)) else {
            return;
        };
        let again = std::mem::replace(&mut visit.awaited, true);
        visit.accepted = visit.accepted.saturating_add(u32::from(!again));
        self.requests = self.requests.saturating_sub(u32::from(again));
        self.bind(index);
    }

    /// Marks a visit as that of a companion, however late it came.
    pub fn accompany(&mut self, index: u8) {
        if let Some(visit) = self.visits.get_mut(usize::from(index)) {
            visit.usual = true;
        }
    }

    /// Marks the visit of a context as a suspect's: from now on its uses are looked at one by one.
    pub fn suspect(&mut self, key: ContextKey) {
        if let Some(visit) = self.visits.iter_mut().find(|visit| visit.key == key) {
            visit.suspect = true;
        }
    }

    /// True when the context can be that of a device the session was accepted from, other than a suspect's.
    pub fn is_known_device(&self, context: &Context) -> bool {
        let mut known = self.visits.iter();
        known.any(|visit| {
            visit.accepted > 0 && !visit.suspect && one_device(&visit.context, context)
        })
    }

    fn bind(&mut self, index: u8) {
        // Nearly every use: nothing below moves a visit that binds already, and its context need not be looked at.
        if self.binding.contains(&Some(index)) {
            return;
        }
        let visit = &self.visits[usize::from(index)];
        let context = &visit.context;
        match self.binding {
            [None, _] => self.binding[0] = Some(index),
            // A backend can be logged before the browser that it serves: it answers first, and is no holder.
            [Some(_), _] if self.waits_for(context, visit.first) => {
                self.binding = [Some(index), None];
            }
            [Some(first), None] if first != index => {
                let bound = &self.visits[usize::from(first)].context;
                if twins(bound, context) {
                    self.binding[1] = Some(index);
                } else if updated(bound, context) {
                    self.binding[0] = Some(index);
                }
            }
            [Some(first), Some(_)]
                if first != index && updated(&self.visits[usize::from(first)].context, context) =>
            {
                self.binding[0] = Some(index);
            }
            _ => {}
        }
    }

    fn arrive(&mut self, key: ContextKey, context: &Context, time: Time) -> usize {
        let visit = Visit {
            key,
            context: context.clone(),
            first: time,
            last: time,
            accepted: 0,
            refused: 0,
            writes: 0,
            bytes: 0,
            suspect: false,
            awaited: false,
            usual: false,
            answers: true,
        };
        if self.visits.len() < VISITS_MAX {
            if !self.visits.is_empty() {
                self.moves(); // which knows the beginning
            }
            self.visits.push(visit);
            return self.visits.len() - 1;
        }
        // The place of the visit that matters least: neither bound, suspect nor current, no backend's
        // or edge's that was there from the start, and seen longest ago.
        let spare = (0..self.visits.len())
            .filter(|&index| {
                let bound = self.binding.contains(&Some(index as u8));
                !bound && index != usize::from(self.current) && !self.visits[index].suspect
            })
            .min_by_key(|&index| {
                let visit = &self.visits[index];
                let began = self.began_beside(visit) || self.began_as_echo(visit);
                (began, visit.accepted > 0, visit.last)
            })
            .unwrap_or(VISITS_MAX - 1);
        let gone = std::mem::replace(&mut self.visits[spare], visit);
        let moves = self.moves();
        moves
            .switches
            .retain(|s| usize::from(s.from) != spare && usize::from(s.to) != spare);
        moves.sighted.retain(|(known, _)| *known != gone.key);
        spare
    }

    /// The switch that going to visit `to` is, when it is worth remembering: to other hands, or past a VPN, and no
    /// hand-over that one device makes by itself.
    pub fn switch(&self, to: u8, time: Time) -> Option<Switch> {
        let (here, there) = (self.current()?, self.visits.get(usize::from(to))?);
        let alone = !self.accompanies(here) && !self.accompanies(there);
        let hands = two_hands(&here.context, &there.context);
        let vpn = !hands && past_a_vpn(&here.context, &there.context);
        (alone && (hands || vpn)).then_some(Switch {
            time,
            from: self.current,
            to,
            vpn,
            close: self.follows_closely(time),
            brief: self.stayed_briefly(),
        })
    }
}
