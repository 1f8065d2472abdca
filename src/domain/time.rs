//! Event time: the log's clock, and the only one the core knows.
//!
//! In: milliseconds since the Unix epoch. Out: [`Time`], shown as RFC 3339 in UTC with milliseconds.
//! Does not know: the wall clock, time zones (formats resolve them).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment in event time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(i64);

impl Time {
    /// Years 0000 to 9999, what RFC 3339 can write.
    const MS_RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The first moment that can be written.
    pub const EARLIEST: Self = Self(*Self::MS_RANGE.start());

    /// The last moment that can be written.
    pub const LATEST: Self = Self(*Self::MS_RANGE.end());

    /// The moment `ms` milliseconds after the epoch; `None` outside the years 0000 to 9999.
    pub fn from_ms(ms: i64) -> Option<Self> {
        Self::MS_RANGE.contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since the epoch.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down, as JWT's NumericDate counts (RFC 7519, section 2).
    #[inline]
    pub fn as_s(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Year, month and day in UTC.
    pub fn civil(self) -> (i64, u32, u32) {
        civil_from_days(self.0.div_euclid(86_400_000))
    }

    /// Seconds from `earlier` to this moment; negative when `earlier` is later.
    pub fn since_s(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1000.0
    }

    /// Seconds between two moments, whichever is first.
    pub fn apart_s(self, other: Self) -> f64 {
        self.since_s(other).abs()
    }

    /// This moment moved by `ms` milliseconds, held inside the years that can be written.
    #[must_use]
    #[inline]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(
            self.0
                .saturating_add(ms)
                .clamp(*Self::MS_RANGE.start(), *Self::MS_RANGE.end()),
        )
    }
}

/// Civil date of a day number, after Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_shifted + 2) / 5 + 1) as u32;
    let month = if month_shifted < 10 {
        month_shifted + 3
    } else {
        month_shifted - 9
    } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Day number of a civil date (proleptic Gregorian), the inverse of what [`Time`] shows.
/// The caller checks that month and day are in range.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_shifted = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * month_shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(86_400_000));
        let ms = self.0.rem_euclid(86_400_000);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            ms % 1000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_shows_as_rfc_3339_on_both_sides_of_the_epoch_and_of_leap_days() {
        for (ms, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_777_889_472_345, "2026-05-04T10:11:12.345Z"),
        ] {
            assert_eq!(
                Time::from_ms(ms).map(|t| t.to_string()).as_deref(),
                Some(shown)
            );
        }
    }

    #[test]
    fn civil_days_go_there_and_back() {
        for days in (-700_000..2_900_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn a_time_that_no_year_can_write_is_refused() {
        assert_eq!(Time::from_ms(i64::MAX), None);
        assert_eq!(Time::from_ms(-62_167_219_200_001), None);
    }
}
