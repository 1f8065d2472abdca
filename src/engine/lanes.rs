//! Lanes: all that a use which repeats its session's last one asks for, in one line of the processor's cache.
//!
//! In: uses that were settled. Out: whether the next one of the token repeats it; what was counted, as soon as somebody
//! else looks at the session.
//! Does not know: what a lane stands for is true only as long as nobody else touched token or session, so whoever does
//! closes the lane first. Lanes are no memory: without them the same is found, and no snapshot holds any.

use super::Engine;
use super::known::Settled;
use super::prepare::Prepared;
use crate::domain::event::Intent;
use crate::domain::facts::Fact;
use crate::domain::ids::{Digest, SessionId};
use crate::domain::time::Time;
use crate::domain::token::Provenance;
use crate::sessions::rhythm::OPENING;
use crate::sessions::session::{ContextKey, Repeats};

/// Lanes at once, which take 8 MB: beyond, the table would fall out of the cache that it is made for.
const LANES_MAX: usize = 1 << 17;

/// Lanes that share a place. A token has two places to choose from and takes the emptier: in a table that is three
/// quarters full, one in twenty finds all taken and drives another out. With one place it would be one in five.
const WAYS: usize = 2;

/// Places to begin with.
const PLACES_MIN: usize = 1 << 8;

/// One token's lane.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lane {
    digest: Digest,
    key: ContextKey,
    /// Response bytes of the uses counted here.
    bytes: u64,
    /// Event time of the last use.
    last: Time,
    /// The seconds since 1970 at which the token is nothing remarkable.
    calm_s: (u32, u32),
    /// The engine's world when the lane was opened; 0 for none.
    world: u32,
    /// Uses until a rule may want to see one, or something is learned from one.
    left: u32,
    /// Uses counted here.
    uses: u32,
    /// Those of them that wrote.
    writes: u16,
    provenance: Provenance,
    /// The same of a use whose answer says nothing of the token.
    unanswered: Provenance,
}

const _: () = assert!(size_of::<Lane>() == 64, "a lane is a line of the cache");

impl Lane {
    const NONE: Self = Self {
        digest: Digest(0),
        key: ContextKey(0),
        bytes: 0,
        last: Time::EPOCH,
        calm_s: (1, 0),
        world: 0,
        left: 0,
        uses: 0,
        writes: 0,
        provenance: Provenance::Claimed,
        unanswered: Provenance::Claimed,
    };

    fn is_open(&self) -> bool {
        self.world != 0
    }

    fn name(&self) -> u64 {
        name(self.digest)
    }

    fn repeats(&self) -> Repeats {
        Repeats {
            uses: self.uses,
            writes: self.writes.into(),
            bytes: self.bytes,
            last: self.last,
        }
    }
}

/// By which a session knows the lane that counts for it; 0 is no name.
fn name(digest: Digest) -> u64 {
    digest.0 as u64
}

/// The lanes that are open.
pub(super) struct Lanes {
    /// Their number is a power of two, or none at all.
    places: Vec<[Lane; WAYS]>,
    open: usize,
    /// Grows with every input that may change what a line means.
    world: u32,
    /// How often the stores forgot what was old, as far as was heard.
    turns: u64,
}

impl Lanes {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            open: 0,
            world: 1,
            turns: 0,
        }
    }

    /// Where the lane of that name can be.
    fn places_of(&self, name: u64) -> [usize; 2] {
        // Names are digests, so any of their bits will do.
        let last = self.places.len().max(1) - 1;
        [name as usize & last, name.rotate_right(32) as usize & last]
    }

    fn find(&mut self, name: u64) -> Option<&mut Lane> {
        let [first, second] = self.places_of(name);
        let is_it = |lane: &Lane| lane.name() == name && lane.is_open();
        let at = |place: usize| self.places.get(place)?.iter().position(is_it);
        let (place, way) = match at(first) {
            Some(way) => (first, way),
            None => (second, at(second)?),
        };
        self.places.get_mut(place)?.get_mut(way)
    }

    /// True when the token has a lane.
    pub(super) fn holds(&self, digest: Digest) -> bool {
        let at = |place: usize| {
            let lanes = self.places.get(place)?.iter();
            Some(lanes.fold(false, |holds, lane| holds | (lane.digest == digest)))
        };
        let [first, second] = self.places_of(name(digest)).map(at);
        // Both are looked at, so that the memory brings both at once.
        first.unwrap_or(false) | second.unwrap_or(false)
    }

    /// True when there is a lane.
    #[cfg(test)]
    pub(super) fn holds_any(&self) -> bool {
        self.open > 0
    }

    /// Opens a lane. Who had to leave for it is returned.
    fn open(&mut self, lane: Lane) -> Option<Lane> {
        let lanes = self.places.len() * WAYS;
        if self.open * 4 >= lanes * 3 && lanes < LANES_MAX {
            self.grow();
        }
        let places = self.places_of(lane.name()).into_iter();
        let ways = places.flat_map(|place| (0..WAYS).map(move |way| (place, way)));
        let (place, way) = ways.min_by_key(|&(place, way)| {
            let lanes = &self.places[place];
            let open = lanes.iter().filter(|lane| lane.is_open()).count();
            (lanes[way].is_open(), open, lanes[way].last)
        })?;
        let left = std::mem::replace(&mut self.places[place][way], lane);
        self.open += usize::from(!left.is_open());
        left.is_open().then_some(left)
    }

    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(PLACES_MIN);
        let old = std::mem::replace(&mut self.places, vec![[Lane::NONE; WAYS]; places]);
        for (from, lanes) in old.iter().enumerate() {
            for lane in lanes.iter().filter(|lane| lane.is_open()) {
                // Lanes of one place go to the two that it has become, so there is room for each.
                let mut places = self.places_of(lane.name()).into_iter();
                let place = places.find(|place| place % old.len() == from);
                let room = place.and_then(|place| self.places.get_mut(place));
                let mut room = room.into_iter().flatten();
                if let Some(free) = room.find(|lane| !lane.is_open()) {
                    *free = *lane;
                }
            }
        }
    }

    fn close(&mut self, name: u64) -> Option<Lane> {
        let lane = std::mem::replace(self.find(name)?, Lane::NONE);
        self.open -= 1;
        Some(lane)
    }

    fn close_all(&mut self) -> impl Iterator<Item = Lane> + use<> {
        self.open = 0;
        let places = std::mem::take(&mut self.places);
        places.into_iter().flatten().filter(Lane::is_open)
    }
}

impl Engine {
    /// Counts a use that repeats the last one of its token, as far as its lane can tell; `None` sends it the long way.
    pub(super) fn ride(&mut self, prepared: &Prepared<'_>, digest: Digest) -> Option<Provenance> {
        let event = &prepared.event;
        let world = self.lanes.world;
        let lane = self.lanes.find(name(digest))?;
        let (from_s, until_s) = (lane.calm_s.0.into(), lane.calm_s.1.into());
        let calm = event.start().as_s() >= from_s && event.time.as_s() <= until_s;
        let same = lane.digest == digest && lane.key == prepared.context_key && lane.world == world;
        if !same || !calm || event.time < lane.last || lane.left == 0 {
            return None;
        }
        if !event.succeeded() {
            lane.last = event.time;
            return Some(lane.unanswered);
        }
        let writes = prepared.intent == Intent::Write;
        lane.writes = lane.writes.checked_add(u16::from(writes))?;
        lane.uses += 1;
        lane.left -= 1;
        lane.bytes = lane.bytes.saturating_add(event.bytes);
        lane.last = event.time;
        Some(lane.provenance)
    }

    /// Opens a lane for a token whose use was settled just now.
    pub(super) fn open_lane(&mut self, settled: Settled) {
        // Other nodes want to hear of some repetitions.
        let name = name(settled.digest);
        if self.settings.sightings || name == 0 {
            return;
        }
        let woken = self.rules.thresholds(Fact::SessionRequests);
        let Some(session) = self.state.stores.sessions.peek_mut(settled.session) else {
            return;
        };
        // What depends on the time of other visits is looked at every time.
        if session.may_be_unattended() {
            return;
        }
        let requests = f64::from(session.requests);
        // How a session begins is learned from its counts, which are none while a lane holds them.
        let stops = woken.iter().copied().chain([f64::from(OPENING)]);
        let left = stops.filter(|stop| *stop > requests);
        let left = left.map(|stop| (stop - 1.0 - requests) as u32).min();
        session.lane = name;
        let lane = Lane {
            digest: settled.digest,
            key: settled.key,
            last: session.last_seen(),
            calm_s: settled.calm_s,
            world: self.lanes.world,
            left: left.unwrap_or(u32::MAX),
            provenance: settled.provenance,
            unanswered: settled.unanswered,
            ..Lane::NONE
        };
        if let Some(left) = self.lanes.open(lane) {
            self.catch_up(&left);
        }
    }

    /// Closes the lane that counts for a session, before anybody looks at it.
    pub(super) fn land(&mut self, session: SessionId) {
        let sessions = &mut self.state.stores.sessions;
        if let Some(session) = sessions.peek_mut(session)
            && session.lane != 0
        {
            if let Some(lane) = self.lanes.close(session.lane) {
                session.catch_up(&lane.repeats());
            }
            session.lane = 0;
        }
    }

    /// Closes the lane of a token.
    pub(super) fn land_token(&mut self, digest: Digest) {
        if self.lanes.holds(digest)
            && let Some(lane) = self.lanes.close(name(digest))
        {
            self.catch_up(&lane);
        }
    }

    /// Closes all lanes.
    pub(super) fn land_all(&mut self) {
        for lane in self.lanes.close_all() {
            self.catch_up(&lane);
        }
    }

    /// What a lane means may be different from now on: each is closed when its token comes again.
    pub(super) fn change_lanes(&mut self) {
        match self.lanes.world.checked_add(1) {
            Some(world) => self.lanes.world = world,
            None => self.land_all(),
        }
    }

    /// Closes all lanes when a store forgot what was old: what a lane stands for must not be forgotten before what it
    /// counted is known.
    pub(super) fn keep_lanes(&mut self) {
        let turns = self.state.stores.turns();
        if turns != self.lanes.turns {
            self.land_all();
            self.lanes.turns = turns;
        }
    }

    /// Forgets all lanes, with what they counted.
    pub(super) fn forget_lanes(&mut self) {
        drop(self.lanes.close_all());
        self.change_lanes();
    }

    fn catch_up(&mut self, lane: &Lane) {
        let stores = &mut self.state.stores;
        let Some(entry) = stores.tokens.get(lane.digest) else {
            return;
        };
        if let Some(session) = stores.sessions.peek_mut(entry.session) {
            session.catch_up(&lane.repeats());
            if session.lane == lane.name() {
                session.lane = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(digest: u128, last_ms: i64) -> Lane {
        Lane {
            digest: Digest(digest),
            last: Time::EPOCH.plus_ms(last_ms),
            world: 1,
            ..Lane::NONE
        }
    }

    #[test]
    fn lanes_stay_while_the_table_grows_and_each_is_closed_once() {
        let mut lanes = Lanes::new();
        let mut left = 0;
        for digest in 1..=100_000 {
            left += usize::from(lanes.open(lane(digest, 0)).is_some());
        }
        let held = (1..=100_000).filter(|digest| lanes.holds(Digest(*digest)));
        assert_eq!(held.count() + left, 100_000);
        assert!(left < 100_000 / 15, "{left} found all taken");
        assert!(lanes.close(7).is_some());
        assert!(lanes.close(7).is_none());
        assert_eq!(lanes.close_all().count() + left + 1, 100_000);
        assert!(!lanes.holds(Digest(8)));
    }

    #[test]
    fn there_are_never_too_many_and_the_one_used_longest_ago_leaves() {
        let mut lanes = Lanes::new();
        for digest in 1..=(4 * LANES_MAX as u128) {
            lanes.open(lane(digest, digest as i64));
        }
        assert_eq!(lanes.places.len() * WAYS, LANES_MAX);
        assert!(lanes.open <= LANES_MAX);
        assert!(lanes.holds(Digest(4 * LANES_MAX as u128)));
        assert!(!lanes.holds(Digest(1)));
    }
}
