//! Rhythm: how fast and how much a subject asks for when a session begins, and how regularly somebody new to one does.
//!
//! In: the first uses of sessions, and of contexts that are new to one. Out: [`Rhythm`] of a subject, [`Watch`] of a
//! context.
//! Does not know: what is too fast or too regular. Only the first uses count: by then a script shows itself, and a
//! session's every line need not be looked at.

use super::bounded::Bounded;
use super::session::{ContextKey, Session};
use crate::domain::ids::SessionId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// So many uses show how somebody works. A page takes several; ten are two or three of them.
pub const OPENING: u8 = 10;

/// A watch is over after as many uses.
const WATCHED: u8 = 20;

/// Sessions before a subject's rhythm says anything.
const KNOWN_MIN: u16 = 5;

/// What is older than so many counts less and less.
const KNOWN_MAX: u16 = 64;

/// Twice as much as usual is nobody's news, however regular somebody is: the least deviation, of logarithms.
const DEVIATION_MIN: f64 = std::f64::consts::LN_2;

/// Gaps shorter than this on the average are one page's requests at once, and clocks of logs tick by the second.
const GAP_S_MIN: f64 = 1.0;

/// Contexts watched at a time.
const WATCHES_MAX: usize = 16_384;

/// Mean and deviation of a row of numbers, the late ones counting most.
/// Source: Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products", Technometrics, 1962.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moments {
    count: u16,
    mean: f32,
    squares: f32,
}

impl Moments {
    fn add(&mut self, value: f64) {
        if self.count == KNOWN_MAX {
            self.count -= 1;
            self.squares *= f32::from(self.count) / f32::from(KNOWN_MAX);
        }
        self.count += 1;
        let value = value as f32;
        let apart = value - self.mean;
        self.mean += apart / f32::from(self.count);
        self.squares += apart * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        let others = f64::from(self.count.saturating_sub(1).max(1));
        (f64::from(self.squares.max(0.0)) / others).sqrt()
    }

    /// By how many deviations a value is above the mean.
    fn above(&self, value: f64) -> Option<f64> {
        let known = self.count >= KNOWN_MIN;
        let deviation = self.deviation().max(DEVIATION_MIN);
        known.then(|| (value - f64::from(self.mean)) / deviation)
    }
}

/// What the first uses of a session, or from a context, took and gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opening {
    /// Uses a minute, as a logarithm.
    rate: f64,
    /// Response bytes, as a logarithm.
    bytes: f64,
}

impl Opening {
    fn new(seconds: f64, bytes: u64) -> Self {
        // Clocks of logs tick by the second.
        let minutes = seconds.max(1.0) / 60.0;
        Self {
            rate: (f64::from(OPENING) / minutes).ln(),
            bytes: (bytes as f64 + 1.0).ln(),
        }
    }

    /// That of a session in which nobody is suspected, when the last of its first uses was recorded just now: `before`
    /// it were so many.
    pub fn of(session: &Session, before: u32) -> Option<Self> {
        let last = u32::from(OPENING);
        if before >= last || session.requests != last {
            return None; // nearly every use
        }
        let calm = session.visits.iter().all(|visit| !visit.suspect);
        let bytes = session.visits.iter().map(|visit| visit.bytes).sum();
        calm.then(|| Self::new(session.last_seen().since_s(session.first_seen()), bytes))
    }
}

/// How a subject's sessions begin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rhythm {
    rate: Moments,
    bytes: Moments,
}

impl Rhythm {
    /// Learns how a session began.
    pub fn learn(&mut self, opening: Opening) {
        self.rate.add(opening.rate);
        self.bytes.add(opening.bytes);
    }

    /// By how many deviations the uses came faster than in the subject's sessions.
    pub fn faster(&self, opening: Opening) -> Option<f64> {
        self.rate.above(opening.rate)
    }

    /// By how many deviations they were answered with more.
    pub fn more(&self, opening: Opening) -> Option<f64> {
        self.bytes.above(opening.bytes)
    }
}

/// The first uses from a context that is new to its session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    uses: u8,
    first: Time,
    last: Time,
    gaps: Moments,
    bytes: u64,
    /// How much rarer than usual what was asked for is, summed, and of how many uses that is known.
    strange: f32,
    asked: u8,
}

impl Watch {
    /// Begins with a use.
    pub fn new(time: Time, bytes: u64, strange: Option<f64>) -> Self {
        let none = Self {
            uses: 0,
            first: time,
            last: time,
            gaps: Moments::default(),
            bytes: 0,
            strange: 0.0,
            asked: 0,
        };
        none.and(time, bytes, strange)
    }

    /// With one more use.
    #[must_use]
    pub fn and(mut self, time: Time, bytes: u64, strange: Option<f64>) -> Self {
        if self.uses > 0 {
            self.gaps.add(time.apart_s(self.last));
        }
        self.uses = self.uses.saturating_add(1);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(strange) = strange {
            self.strange += strange as f32;
            self.asked = self.asked.saturating_add(1);
        }
        self
    }

    /// True when enough was seen.
    pub fn is_over(&self) -> bool {
        self.uses >= WATCHED
    }

    /// What the first uses took and gave, at the last of them.
    pub fn opening(&self) -> Option<Opening> {
        let whole = self.uses == OPENING;
        whole.then(|| Opening::new(self.last.since_s(self.first), self.bytes))
    }

    /// The deviation of the time between uses, in means: none of a metronome's, above one of a person's.
    pub fn variation(&self) -> Option<f64> {
        let mean = f64::from(self.gaps.mean);
        let enough = self.uses >= OPENING && mean >= GAP_S_MIN;
        enough.then(|| self.gaps.deviation() / mean)
    }

    /// How much rarer what was asked for is than what others ask for, in the natural logarithm, per use.
    pub fn strangeness(&self) -> Option<f64> {
        let enough = self.asked >= OPENING;
        enough.then(|| f64::from(self.strange) / f64::from(self.asked))
    }
}

/// Contexts that are being watched.
#[derive(Debug, Serialize, Deserialize)]
pub struct Watches(Bounded<u128, Watch>);

impl Default for Watches {
    fn default() -> Self {
        Self(Bounded::new(WATCHES_MAX))
    }
}

impl Watches {
    /// The watch on a context of a session.
    pub fn of(&self, session: SessionId, context: ContextKey) -> Option<Watch> {
        self.0.get(name(session, context)).copied()
    }

    /// Keeps a watch until it is over. True while it goes on.
    pub fn keep(&mut self, session: SessionId, context: ContextKey, watch: Watch) -> bool {
        let name = name(session, context);
        if watch.is_over() {
            self.0.remove(name);
            return false;
        }
        self.0.insert(name, watch);
        true
    }
}

/// Both are keyed hashes, so what is left of them together is as good as one.
fn name(session: SessionId, context: ContextKey) -> u128 {
    session.get() ^ u128::from(context.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::EPOCH.plus_ms((seconds * 1000.0) as i64)
    }

    fn watch(times: impl IntoIterator<Item = f64>, bytes: u64) -> Watch {
        let mut times = times.into_iter();
        let first = Watch::new(at(times.next().unwrap()), bytes, None);
        times.fold(first, |watch, time| watch.and(at(time), bytes, None))
    }

    #[test]
    fn a_metronome_does_not_vary_and_a_person_does() {
        let metronome = watch((0..12).map(|turn| f64::from(turn) * 5.0), 1);
        assert!(metronome.variation().unwrap() < 0.01);
        let person = watch(
            [
                0.0, 1.0, 2.0, 40.0, 41.0, 95.0, 97.0, 180.0, 181.0, 182.0, 300.0,
            ],
            1,
        );
        assert!(person.variation().unwrap() > 0.9);
    }

    #[test]
    fn nine_uses_and_a_pages_requests_at_once_say_nothing() {
        assert_eq!(
            watch((0..9).map(|turn| f64::from(turn) * 5.0), 1).variation(),
            None
        );
        assert_eq!(
            watch((0..12).map(|turn| f64::from(turn) * 0.2), 1).variation(),
            None
        );
    }

    #[test]
    fn who_asks_for_ten_things_in_two_seconds_is_faster_than_who_takes_minutes_and_twice_as_fast_is_no_news()
     {
        let mut rhythm = Rhythm::default();
        let opening = |seconds, bytes| Opening::new(seconds, bytes);
        for seconds in [600.0, 500.0, 700.0, 650.0] {
            rhythm.learn(opening(seconds, 5000));
        }
        assert_eq!(rhythm.faster(opening(2.0, 5000)), None);
        rhythm.learn(opening(620.0, 6000));
        assert!(rhythm.faster(opening(2.0, 5000)).unwrap() > 5.0);
        assert!(rhythm.faster(opening(300.0, 5000)).unwrap() < 1.1);
        assert!(rhythm.more(opening(600.0, 50_000_000)).unwrap() > 5.0);
        assert!(rhythm.more(opening(600.0, 4000)).unwrap() < 0.5);
    }

    #[test]
    fn whose_sessions_differ_much_surprises_less() {
        let mut wild = Rhythm::default();
        for seconds in [2.0, 900.0, 30.0, 3000.0, 5.0] {
            wild.learn(Opening::new(seconds, 1));
        }
        assert!(wild.faster(Opening::new(2.0, 1)).unwrap() < 2.0);
    }

    #[test]
    fn what_was_long_ago_gives_way() {
        let mut moments = Moments::default();
        (0..100).for_each(|_| moments.add(1.0));
        (0..400).for_each(|_| moments.add(5.0));
        assert!(moments.mean > 4.9 && moments.count == KNOWN_MAX);
    }

    #[test]
    fn a_watch_ends_and_is_forgotten() {
        let mut watches = Watches::default();
        let (session, context) = (SessionId::new(7), ContextKey(9));
        let mut watch = Watch::new(at(0.0), 1, Some(2.0));
        for turn in 1..f64::from(WATCHED) as i32 - 1 {
            watch = watch.and(at(f64::from(turn)), 1, Some(2.0));
            assert!(watches.keep(session, context, watch));
        }
        assert!((watch.strangeness().unwrap() - 2.0).abs() < 0.01);
        assert!(!watches.keep(session, context, watch.and(at(99.0), 1, None)));
        assert_eq!(watches.of(session, context), None);
    }
}
