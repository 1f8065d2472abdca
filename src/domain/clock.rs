//! What completes a stamp that leaves something open: a zone, and the time it is about.
//!
//! In: civil times as logs write them. Out: [`Time`].
//! Does not know: the wall clock; who makes a [`Clock`] says what time it is about.
//! Source: RFC 3164, section 4.1.2 (a stamp has neither year nor zone); RFC 9557 on zones.

use super::time::{Time, days_from_civil};
use jiff::tz::TimeZone;

/// How far a stamp may be ahead of the time it is about before it must be of the year before: a day covers every zone
/// that nobody configured.
const AHEAD_MS_MAX: i64 = DAY_MS;

const DAY_MS: i64 = 86_400_000;

/// How much of its time a line says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// All of it.
    #[default]
    Whole,
    /// Date and time of day of a zone that is not said; read as if it were UTC.
    NoZone,
    /// Month, day and time of day; read as if the year were 1972.
    NoYear,
    /// Time of day alone; read as if it were of 1970-01-01.
    TimeOnly,
    /// Nothing.
    Absent,
}

/// A month, a day and a time of day without a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YearLess {
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// Milliseconds since midnight.
    pub clock_ms: i64,
}

/// Completes stamps.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    zone: TimeZone,
    around: Time,
}

impl Clock {
    /// For stamps written in `zone` at about the time `around`.
    pub fn new(zone: TimeZone, around: Time) -> Self {
        Self { zone, around }
    }

    /// For stamps in UTC at about the time `around`.
    pub fn utc(around: Time) -> Self {
        Self::new(TimeZone::UTC, around)
    }

    /// About when.
    pub fn around(&self) -> Time {
        self.around
    }

    /// Takes note of a stamp that was complete: a log goes on from there.
    pub fn advance(&mut self, time: Time) {
        self.around = self.around.max(time);
    }

    /// The moment of a civil time in the zone, given as if it were UTC. In the hour that a clock set back shows twice
    /// it is the first, in the hour that it skips the moment after the skip.
    pub fn local(&self, civil: Time) -> Time {
        let stamp = jiff::Timestamp::from_millisecond(civil.as_ms()).ok();
        let civil_time = stamp.map(|stamp| TimeZone::UTC.to_datetime(stamp));
        civil_time
            .and_then(|civil_time| self.zone.to_timestamp(civil_time).ok())
            .and_then(|stamp| Time::from_ms(stamp.as_millisecond()))
            .unwrap_or(civil)
    }

    /// The moment that an incomplete stamp means; `None` when too little is known.
    pub fn complete(&self, time: Time, stamp: Stamp, written: Option<Time>) -> Option<Time> {
        match stamp {
            Stamp::Whole => Some(time),
            Stamp::NoZone => Some(self.local(time)),
            Stamp::NoYear => {
                let (_, month, day) = time.civil();
                let clock_ms = time.as_ms().rem_euclid(DAY_MS);
                let around = written.map_or(self.around, |at| at.max(self.around));
                let clock = Self::new(self.zone.clone(), around);
                clock.year_less(YearLess {
                    month,
                    day,
                    clock_ms,
                })
            }
            Stamp::TimeOnly => self.of_day(time.as_ms(), written?),
            Stamp::Absent => written,
        }
    }

    /// The moment of a stamp without a year: the latest that is not ahead of what it is about.
    pub fn year_less(&self, stamp: YearLess) -> Option<Time> {
        let (mut year, _, _) = self.around.civil();
        let limit = self.around.plus_ms(AHEAD_MS_MAX);
        year += 1;
        // A 29 February may be eight years back: 1896 and 1904 are leap years, 1900 is none.
        (0..10)
            .filter_map(|back| self.of_year(year - back, stamp))
            .find(|time| *time <= limit)
    }

    fn of_year(&self, year: i64, stamp: YearLess) -> Option<Time> {
        let days = days_from_civil(year, stamp.month, stamp.day);
        let (_, month, day) = Time::from_ms(days * DAY_MS)?.civil();
        let civil = Time::from_ms(days * DAY_MS + stamp.clock_ms)?;
        ((month, day) == (stamp.month, stamp.day)).then(|| self.local(civil))
    }

    /// The moment of a bare time of day that was written at about `written`: the nearest.
    pub fn of_day(&self, clock_ms: i64, written: Time) -> Option<Time> {
        let days = written.as_ms().div_euclid(DAY_MS);
        let civil = (days - 1..=days + 1).filter_map(|day| Time::from_ms(day * DAY_MS + clock_ms));
        civil
            .map(|civil| self.local(civil))
            .min_by_key(|time| (time.as_ms() - written.as_ms()).abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        let stamp: jiff::Timestamp = text.parse().unwrap();
        Time::from_ms(stamp.as_millisecond()).unwrap()
    }

    #[test]
    fn t73_a_stamp_without_a_year_is_of_the_year_that_makes_sense() {
        let noon = 12 * 3_600_000;
        let stamp = |month, day| YearLess {
            month,
            day,
            clock_ms: noon,
        };
        let about = Clock::utc(time("2026-01-02T00:00:00Z"));
        for (month, day, expected) in [
            (12, 31, Some("2025-12-31T12:00:00Z")),
            (1, 2, Some("2026-01-02T12:00:00Z")),
            (1, 4, Some("2025-01-04T12:00:00Z")),
            (2, 29, Some("2024-02-29T12:00:00Z")),
            (2, 30, None),
        ] {
            assert_eq!(about.year_less(stamp(month, day)), expected.map(time));
        }
    }

    #[test]
    fn t73_a_clock_that_is_set_back_or_ahead_shows_no_time_twice_differently() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let clock = Clock::new(zone, time("2026-01-01T00:00:00Z"));
        for (civil, moment) in [
            ("2026-07-01T12:00:00Z", "2026-07-01T10:00:00Z"),
            ("2026-12-01T12:00:00Z", "2026-12-01T11:00:00Z"),
            ("2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"),
            ("2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(clock.local(time(civil)), time(moment), "{civil}");
        }
    }
}
