//! What most sessions never have: switches from one context to another, an end, sightings.
//!
//! In: what a [`Session`] and the engine note. Out: the same, and when the session began.
//! Does not know: which switch is worth noting.

use super::session::{ContextKey, Session};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// Switches remembered of one session: enough for the ten minutes that alternation looks at, at one every 40 seconds.
const SWITCHES_MAX: usize = 16;

/// The session went from one of its visits to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// When the session arrived.
    pub time: Time,
    /// The visit it left.
    pub from: u8,
    /// The visit it went to.
    pub to: u8,
    /// True when one of the two is a VPN's exit, which the holder can have switched on or off.
    pub vpn: bool,
    /// True when it came right after a use from where it left.
    pub close: bool,
    /// True when the stay that it ended was over as soon as a page is there.
    pub brief: bool,
}

/// The session was ended by its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logout {
    /// When.
    pub time: Time,
    /// From which visit.
    pub visit: u8,
}

/// What most sessions never have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moves {
    /// Event time of the first use.
    pub(super) first_seen: Time,
    /// The last switches, oldest first.
    pub(super) switches: Vec<Switch>,
    /// When its holder ended it.
    logout: Option<Logout>,
    /// Event time of the last sighting of a visit that was sent out.
    pub(super) sighted: Vec<(ContextKey, Time)>,
}

impl Session {
    /// Event time of the first use.
    pub fn first_seen(&self) -> Time {
        match &self.moves {
            Some(moves) => moves.first_seen,
            None => self.visits.first().map_or(Time::EPOCH, |visit| visit.first),
        }
    }

    /// Event time of the newest use: only that moves the session.
    pub fn last_seen(&self) -> Time {
        self.current().map_or(Time::EPOCH, |visit| visit.last)
    }

    /// The last switches, oldest first.
    pub fn switches(&self) -> &[Switch] {
        self.moves.as_ref().map_or(&[], |moves| &moves.switches)
    }

    /// When its holder ended it.
    pub fn logout(&self) -> Option<&Logout> {
        self.moves.as_ref()?.logout.as_ref()
    }

    /// Ends the session.
    pub fn end(&mut self, logout: Logout) {
        self.moves().logout = Some(logout);
    }

    /// Event time of the last sighting of a context that was sent out.
    pub fn sighted(&self, key: ContextKey) -> Option<Time> {
        let mut sighted = self.moves.as_ref()?.sighted.iter();
        let (_, time) = sighted.find(|(known, _)| *known == key)?;
        Some(*time)
    }

    /// Notes that a sighting of a context was sent out.
    pub fn sight(&mut self, key: ContextKey, time: Time) {
        let sighted = &mut self.moves().sighted;
        sighted.retain(|(known, _)| *known != key);
        sighted.push((key, time));
    }

    /// Records that the holder is at one of the visits again, by a use that was not let in and counts for nothing else.
    pub fn turn(&mut self, to: u8, time: Time) {
        if to == self.current || time < self.last_seen() {
            return;
        }
        if let Some(switch) = self.switch(to, time) {
            self.note_switch(switch);
        }
        self.current = to;
        self.ask(time);
    }

    pub(super) fn moves(&mut self) -> &mut Moves {
        let first_seen = self.first_seen();
        self.moves.get_or_insert_with(|| {
            Box::new(Moves {
                first_seen,
                switches: Vec::new(),
                logout: None,
                sighted: Vec::new(),
            })
        })
    }

    pub(super) fn note_switch(&mut self, switch: Switch) {
        let switches = &mut self.moves().switches;
        if switches.len() == SWITCHES_MAX {
            switches.remove(0);
        }
        switches.push(switch);
    }
}
