//! Parts of a time: the modifiers `minute` to `year`.
//!
//! In: a time as text, RFC 3339, or a number of seconds since 1970. Out: one number of it, in UTC.
//! Does not know: time zones; the specification leaves them out.
//! Source: Sigma specification 2.1, appendix "Modifiers", "Time Modifiers",
//! <https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html>.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Minute,
    Hour,
    Day,
    /// As ISO 8601 numbers them, so that a long year has a week 53.
    Week,
    Month,
    Year,
}

impl Part {
    /// The part a modifier names.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The part of a time; nothing where the text is none.
    pub(super) fn of(self, text: &str) -> Option<f64> {
        let seconds = || Timestamp::from_second(text.parse::<f64>().ok()? as i64).ok();
        let time: Timestamp = text.parse().ok().or_else(seconds)?;
        let time = TimeZone::UTC.to_datetime(time);
        Some(match self {
            Self::Minute => f64::from(time.minute()),
            Self::Hour => f64::from(time.hour()),
            Self::Day => f64::from(time.day()),
            Self::Week => f64::from(time.date().iso_week_date().week()),
            Self::Month => f64::from(time.month()),
            Self::Year => f64::from(time.year()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_time_is_a_number_in_utc() {
        let of = |name, text| Part::of_name(name).and_then(|part| part.of(text));
        let late = "2026-12-31T23:59:01.500+01:00";
        for (name, number) in [
            ("minute", 59.0),
            ("hour", 22.0),
            ("day", 31.0),
            ("week", 53.0),
            ("month", 12.0),
            ("year", 2026.0),
        ] {
            assert_eq!(of(name, late), Some(number), "{name}");
        }
        assert_eq!(of("hour", "3600"), Some(1.0));
        assert_eq!(of("hour", "noon"), None);
        assert_eq!(of("second", late), None);
    }
}
