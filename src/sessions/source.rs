//! One source network (a /24 or /64) over the last ten minutes: whose tokens it presents, and how they fare.
//!
//! In: uses, accepted or not. Out: [`Origin`] with its counters.
//! Does not know: what count is suspicious, or who shares the address.

use crate::domain::ids::SubjectId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The window of all counters here.
const WINDOW_MS: i64 = 600_000;

/// Subjects told apart in one window: rules ask for tens at most, and beyond that the count stands still.
const SUBJECTS_MAX: usize = 128;

/// Which subjects did something in the last ten minutes, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    seen: SmallVec<[(SubjectId, Time); 1]>,
}

impl Recent {
    /// Adds a subject; true when it was not in the window yet.
    pub fn add(&mut self, subject: SubjectId, time: Time) -> bool {
        if let Some(entry) = self.seen.iter_mut().find(|(known, _)| *known == subject) {
            entry.1 = entry.1.max(time);
            return false;
        }
        self.seen
            .retain(|(_, last)| time.as_ms() - last.as_ms() < WINDOW_MS);
        if self.seen.len() < SUBJECTS_MAX {
            self.seen.push((subject, time));
        }
        true
    }

    /// How many subjects are in the window that ends at `time`.
    pub fn count(&self, time: Time) -> usize {
        self.seen
            .iter()
            .filter(|(_, last)| time.as_ms() - last.as_ms() < WINDOW_MS)
            .count()
    }
}

/// Events in the last ten minutes, by the minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    minutes: [u32; 10],
    newest_minute: i64,
}

impl Tally {
    /// Counts one event; the count of the window that ends with it is returned.
    pub fn add(&mut self, time: Time) -> u32 {
        let minute = time.as_ms().div_euclid(60_000);
        self.turn(minute);
        // A line more than ten minutes late belongs to no window that is still kept.
        if self.newest_minute - minute < 10 {
            let slot = &mut self.minutes[minute.rem_euclid(10) as usize];
            *slot = slot.saturating_add(1);
        }
        self.sum()
    }

    /// How many events are in the window that ends at `time`, or in the newest when that is later.
    pub fn count(&self, time: Time) -> u32 {
        let minute = time.as_ms().div_euclid(60_000);
        if minute <= self.newest_minute {
            return self.sum();
        }
        // What is ten minutes old by then stands in the places of the minutes that have passed.
        let mut then = self.clone();
        then.turn(minute);
        then.sum()
    }

    fn sum(&self) -> u32 {
        self.minutes
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Forgets what is in no window any more when this minute has come.
    fn turn(&mut self, minute: i64) {
        let passed = minute.saturating_sub(self.newest_minute);
        for step in 1..=passed.min(10) {
            self.minutes[(self.newest_minute + step).rem_euclid(10) as usize] = 0;
        }
        self.newest_minute = self.newest_minute.max(minute);
    }
}

/// What a source network did in the last ten minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Subjects whose tokens it presented.
    pub subjects: Recent,
    /// What few networks do.
    odd: Option<Box<Odd>>,
}

/// What a source network did that most never do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Odd {
    /// Its subjects that are at home elsewhere.
    pub newcomers: Recent,
    /// Subjects named by tokens that were forged or refused.
    pub named: Recent,
    /// Refused uses.
    pub rejected: Tally,
    /// Forged tokens.
    pub forged: Tally,
}

impl Origin {
    /// What it did that most never do, if it did anything of it.
    pub fn odd(&self) -> Option<&Odd> {
        self.odd.as_deref()
    }

    /// The same, to count in.
    pub fn odd_mut(&mut self) -> &mut Odd {
        self.odd.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Time {
        Time::from_ms(1_700_000_000_000 + minute * 60_000).unwrap()
    }

    #[test]
    fn a_tally_counts_ten_minutes_and_forgets_the_eleventh() {
        let mut tally = Tally::default();
        assert_eq!((0..10).map(|minute| tally.add(at(minute))).max(), Some(10));
        assert_eq!(tally.add(at(10)), 10);
        assert_eq!(tally.add(at(100)), 1);
        assert_eq!(
            tally.add(at(80)),
            1,
            "a line twenty minutes late changes nothing"
        );
    }

    #[test]
    fn a_subject_counts_once_in_a_window() {
        let mut recent = Recent::default();
        assert!(recent.add(SubjectId::new(1), at(0)));
        assert!(!recent.add(SubjectId::new(1), at(5)));
        assert!(recent.add(SubjectId::new(2), at(6)));
        assert_eq!(
            (
                recent.count(at(6)),
                recent.count(at(15)),
                recent.count(at(30))
            ),
            (2, 1, 0)
        );
    }
}
