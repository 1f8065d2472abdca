//! One program that takes two ways at once: part of each page comes through a tunnel, the rest past it.
//!
//! In: the switches of a [`Session`]. Out: whether two of its visits are two ways of one program.
//! Does not know: what follows from it. A tunnel ends in any network of any country; what shows it is that the requests
//! of one page are spread over both ends, page after page, while a thief does not know when the holder opens one.

use super::device::{hosted, is_persons, same_build};
use super::moves::Switch;
use super::session::Session;
use crate::domain::time::Time;

/// The requests of one page follow one another as closely: those that come later are said to be slow (web.dev, Largest
/// Contentful Paint: 2.5 s for all that a reader sees first).
const CLOSE_S_MAX: f64 = 2.5;

/// A page goes on asking for as long (web.dev, RAIL: who waits for more than 10 s leaves; half of that is a slow page).
const BRIEF_S_MAX: f64 = 5.0;

/// Two moments as far apart are two pages.
const PAGES_S_MIN: f64 = 10.0;

/// So many close turns are no chance, were they two of three: who asks once in 12 s beside a holder who asks once in
/// 25 s takes a third of all turns within 2.5 s, and eight of twelve in one session of a hundred.
const CLOSE_MIN: usize = 8;

/// More uses than this in a stay are a program's that works by itself.
const USES_EACH_MAX: usize = 3;

impl Session {
    /// True when a use now follows closely on the last.
    pub(super) fn follows_closely(&self, time: Time) -> bool {
        time.apart_s(self.last_seen()) <= CLOSE_S_MAX
    }

    /// True when the session came to where it is, from other hands or past a VPN, only moments before its last use.
    pub(super) fn stayed_briefly(&self) -> bool {
        let came = self
            .switches()
            .last()
            .filter(|last| last.to == self.current);
        came.is_some_and(|came| self.last_seen().apart_s(came.time) <= BRIEF_S_MAX)
    }

    /// The visit of the two that is the holder's other way, where they are two ways of one program.
    pub fn other_way(&self, a: u8, b: u8) -> Option<u8> {
        let is_bound = |index: u8| self.binding.contains(&Some(index));
        let other = match (is_bound(a), is_bound(b)) {
            (true, false) => b,
            (false, true) => a,
            _ => return None,
        };
        let end = |index: u8| self.visits.get(usize::from(index));
        let ends = [end(a)?, end(b)?];
        let persons = ends.iter().all(|visit| is_persons(&visit.context));
        // A copied browser in a network of servers looks the same.
        let lines = hosted(&ends[0].context) == hosted(&ends[1].context);
        let one = persons && lines && same_build(&ends[0].context, &ends[1].context);
        let between = |s: &&Switch| (s.from, s.to) == (a, b) || (s.from, s.to) == (b, a);
        let turns: Vec<&Switch> = self.switches().iter().filter(between).collect();
        let close: Vec<&Switch> = turns.iter().copied().filter(|turn| turn.close).collect();
        let pages = close.first().zip(close.last());
        let pages = pages.is_some_and(|(first, last)| last.time.since_s(first.time) >= PAGES_S_MIN);
        let stays = turns.iter().filter(|turn| turn.from == other);
        let brief = stays.clone().filter(|turn| turn.brief).count();
        let stays = stays.count();
        let uses = end(other)?.accepted as usize;
        let mingles = close.len() >= CLOSE_MIN && close.len() * 3 >= turns.len() * 2;
        let at_once = brief >= 2 && brief * 3 >= stays && uses <= USES_EACH_MAX * (stays + 1);
        (one && pages && mingles && at_once).then_some(other)
    }

    /// From now on the visit is one of the holder's own ways.
    pub fn take_way(&mut self, index: u8) {
        if let Some(visit) = self.visits.get_mut(usize::from(index)) {
            (visit.usual, visit.suspect) = (true, false);
        }
    }
}
