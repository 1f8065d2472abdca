//! The storm: so many incidents at once that nobody could read of each. Receivers are told of all together.
//!
//! In: what is to be told of an incident, and whose it is, at a moment. Out: whether it is told alone; news of those
//! that are not, as one incident that stands above them.
//! Does not know: sinks, the store, the wall clock. What it remembers is kept by whoever snapshots the engine; without
//! it, counting begins anew and another storm is told.
//!
//! Only messages are fewer: every incident is stored, planned and answered as if it were alone. A storm must not be a
//! place to hide in, so each level has room of its own, and so have protected subjects, whom a person has to look
//! after; neither one suspect nor the accounts of the last week get more than half of it.

mod told;

use crate::domain::finding::Level;
use crate::domain::ids::{IdKey, IncidentId};
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::response::breaker::{apart_ms, is_young, network_of};
use crate::sinks::Event;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use told::Sum;

/// A storm to which nothing was added for so long is over; so old messages no longer count.
const WINDOW_MS: i64 = 10 * 60_000;

/// One message every half minute is what a person on call can read and act on.
const ALONE_MAX: usize = 20;

/// Between two messages about a storm that grows, unless it grew worse.
const PAUSE_MS: i64 = 60_000;

/// Members remembered, so that one that goes on is not counted twice: the double of what `incidents` keeps. Of more,
/// some may be.
const MEMBERS_MAX: usize = 20_000;

/// Whose incident it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// A protected subject's.
    Protected,
    /// An account's that has been there for a while.
    Known,
    /// Nobody's, or an account's that may have been made for the attack.
    Young,
}

impl Whose {
    /// Whose an incident is whose subject was first seen then.
    pub fn of(protected: bool, since: Option<Time>, now: Time) -> Self {
        match protected {
            true => Self::Protected,
            false if is_young(since, now) => Self::Young,
            false => Self::Known,
        }
    }
}

/// What was told alone lately, and the storm that goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Storms {
    /// Of the last ten minutes, oldest first.
    alone: VecDeque<Alone>,
    storm: Option<Storm>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Alone {
    at: Time,
    level: Level,
    suspect: String,
    whose: Whose,
}

/// Incidents that nobody is told of one by one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Storm {
    id: IncidentId,
    /// When the last of them came.
    last: Time,
    members: BTreeSet<IncidentId>,
    sum: Sum,
    told: Option<Told>,
}

/// What was told of a storm last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Told {
    at: Time,
    level: Level,
    incidents: u64,
}

/// What is to be told of a storm.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// What happened to it.
    pub event: Event,
    /// The name of this news among those of this storm: told twice, it is the same.
    pub what: String,
    /// The storm, as an incident.
    pub incident: Incident,
}

impl Storms {
    /// True when the incident is told alone. Otherwise it belongs to the storm from now on. `waits` says that something
    /// about it waits for a person.
    pub fn alone(&mut self, incident: &Incident, whose: Whose, waits: bool, now: Time) -> bool {
        let old = |alone: &Alone| apart_ms(alone.at, now) >= WINDOW_MS;
        while self.alone.front().is_some_and(old) {
            self.alone.pop_front();
        }
        let new = Alone {
            at: now,
            level: incident.level,
            suspect: network_of(incident),
            whose,
        };
        if self.has_room(&new) {
            self.alone.push_back(new);
            return true;
        }
        let storm = self.storm.get_or_insert_with(|| Storm {
            id: id_after(incident.id),
            last: now,
            members: BTreeSet::new(),
            sum: Sum::begun(incident),
            told: None,
        });
        storm.add(incident, waits, now);
        false
    }

    fn has_room(&self, new: &Alone) -> bool {
        let protected = |alone: &Alone| alone.whose == Whose::Protected;
        let same = |alone: &&Alone| alone.level == new.level && protected(alone) == protected(new);
        let told = || self.alone.iter().filter(same);
        let half = ALONE_MAX / 2;
        let of_suspect = told().filter(|alone| alone.suspect == new.suspect).count();
        let of_young = told().filter(|alone| alone.whose == Whose::Young).count();
        told().count() < ALONE_MAX
            && of_suspect < half
            && (new.whose != Whose::Young || of_young < half)
    }

    /// What is to be told now: that a storm began, grew or got worse, or that it is over.
    pub fn news(&mut self, now: Time) -> Option<News> {
        let storm = self.storm.as_mut()?;
        let over = apart_ms(storm.last, now) >= WINDOW_MS;
        let news = storm.news(over, now);
        if over {
            self.storm = None;
        }
        news
    }
}

impl Storm {
    fn add(&mut self, incident: &Incident, waits: bool, now: Time) {
        self.last = now;
        let known = self.members.contains(&incident.id);
        if !known && self.members.len() < MEMBERS_MAX {
            self.members.insert(incident.id);
        }
        match known {
            true => self.sum.worsen(incident),
            false => self.sum.add(incident, waits),
        }
    }

    /// Each doubling is told, so ten thousand incidents are thirteen messages at most.
    fn news(&mut self, over: bool, now: Time) -> Option<News> {
        let (level, incidents) = (self.sum.level(), self.sum.incidents());
        let due = |told: Told| {
            let rested = apart_ms(told.at, now) >= PAUSE_MS;
            level > told.level || rested && incidents >= told.incidents.saturating_mul(2)
        };
        if !over && !self.told.is_none_or(due) {
            return None;
        }
        let event = match self.told {
            None => Event::Opened,
            Some(_) => Event::Updated,
        };
        self.told = Some(Told {
            at: now,
            level,
            incidents,
        });
        let stage = if over { "over" } else { "goes on" };
        Some(News {
            event,
            what: format!("storm {stage} {} {incidents}", level.name()),
            incident: self.sum.shown(self.id, &self.members, over),
        })
    }
}

/// The id of the storm that begins with an incident: its id is a keyed hash already, so the key may be the public one.
fn id_after(first: IncidentId) -> IncidentId {
    let first = first.to_string();
    IncidentId::of(&IdKey::public([0; 32]), &[b"storm", first.as_bytes()])
}

#[cfg(test)]
mod tests;
