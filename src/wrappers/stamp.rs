//! The ways wrappers write time.
//!
//! In: text. Out: [`Time`]. Does not know: which field it stood in.
//! Source: RFC 3339, section 5.6; RFC 3164, section 4.1.2.

use crate::domain::clock::{Clock, YearLess};
use crate::domain::time::Time;

/// The months as RFC 3164 writes them.
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `2026-05-04T10:11:12.345678901Z`, with any offset.
pub(super) fn rfc3339(text: &str) -> Option<Time> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Time::from_ms(stamp.as_millisecond())
}

/// Microseconds since the epoch, as a number in text.
pub(super) fn micros(text: &str) -> Option<Time> {
    Time::from_ms(text.parse::<i64>().ok()? / 1000)
}

/// `May  4 10:11:12`, 15 bytes, perhaps with a fraction of a second behind it, and what follows.
pub(super) fn rfc3164<'a>(text: &'a str, clock: &Clock) -> Option<(Time, &'a str)> {
    let (month, rest) = text.split_at_checked(3)?;
    let month = MONTHS.iter().position(|known| *known == month)? as u32 + 1;
    let (day, rest) = rest.strip_prefix(' ')?.split_at_checked(2)?;
    let day: u32 = day.trim_start().parse().ok()?;
    let (time, rest) = rest.strip_prefix(' ')?.split_at_checked(8)?;
    let clock_ms = time_of_day_ms(time)?;
    let fraction = rest.strip_prefix('.').map(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest.split_at_checked(digits)
    });
    let rest = match fraction {
        Some(split) => split?.1,
        None => rest,
    };
    let time = clock.year_less(YearLess {
        month,
        day,
        clock_ms,
    })?;
    Some((time, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// `10:11:12`; second 60 is a leap second.
fn time_of_day_ms(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| digits)
    });
    let mut next = |max: i64| parts.next().flatten().filter(|part| *part <= max);
    let (hour, minute, second) = (next(23)?, next(59)?, next(60)?);
    Some(((hour * 60 + minute) * 60 + second) * 1000)
}
