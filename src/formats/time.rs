//! The ways logs write time.
//!
//! In: the text of a time field. Out: [`Time`] and how much of it was written, or `None` for what is no time.
//! Does not know: which field of a line holds the time; the wall clock; the zone or the year that is not written (see
//! [`crate::domain::clock`]).
//! Source: CLF as in Apache httpd `mod_log_config` (`%t`), RFC 3339 section 5.6, epochs as `$msec` of nginx and
//! `ts` of Caddy write them.

use super::search::everywhere;
use crate::domain::clock::Stamp;
use crate::domain::time::{Time, days_from_civil};

/// Reads a time in any of the known notations, told apart by their shape, with what it leaves open. White space round
/// it is stepped over.
pub(super) fn read(text: &str) -> Option<(Time, Stamp)> {
    let bytes = text.as_bytes();
    if let Some(read) = rfc3339(bytes) {
        return Some(read); // as most logs write it
    }
    let is_bare = matches!(bytes, [b'!'..=b'~', .., b'!'..=b'~']);
    let text = if is_bare { text } else { text.trim() };
    let bytes = text.as_bytes();
    match bytes {
        [b'[', inner @ .., b']'] => clf(inner),
        [_, _, b'/', ..] => clf(bytes),
        [_, b'/', ..] => clf(format!("0{text}").as_bytes()),
        [_, _, _, _, b'-', .., b']'] => rfc3339(without_zone_id(bytes)),
        [_, _, _, _, b'-', ..] => rfc3339(bytes),
        [_, _, _, _, _, _, _, _, b'T', ..] => basic(text),
        [_, _, _, _, b'/', ..] => with_slashes(bytes),
        [_, _, b':', ..] => time_only(bytes),
        // As BIND and Tomcat write it.
        [d1, d2, b'-', m1, m2, m3, b'-', rest @ ..] => {
            behind_month([*d1, *d2], month_of([*m1, *m2, *m3])?, rest)
        }
        [b'A'..=b'Z', _, _, b',', b' ', rest @ ..] => imf_fixdate(rest),
        [b'A'..=b'Z', _, _, b' ', month, ..] if month.is_ascii_uppercase() => {
            ctime(bytes.get(4..)?)
        }
        [b'A'..=b'Z', _, _, b' ', ..] => year_less(bytes),
        _ => epoch(text).map(|time| (time, Stamp::Whole)),
    }
}

/// `2026/05/04 10:11:12`, as Go's and nginx's loggers write it.
fn with_slashes(bytes: &[u8]) -> Option<(Time, Stamp)> {
    // As long as the longest stamp: a fraction of nine digits and a zone.
    let mut stamp = [0; 40];
    let stamp = stamp.get_mut(..bytes.len())?;
    stamp.copy_from_slice(bytes);
    let slashes = stamp.iter_mut().take(8).filter(|byte| **byte == b'/');
    slashes.for_each(|byte| *byte = b'-');
    rfc3339(stamp)
}

/// `20260504T101112Z`: ISO 8601 in its basic form, as AWS signs requests.
#[cold]
fn basic(text: &str) -> Option<(Time, Stamp)> {
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, clock) = (
        [part(0, 4)?, part(4, 6)?, part(6, 8)?],
        [part(9, 11)?, part(11, 13)?],
    );
    let [date, clock] = [date.join("-"), clock.join(":")];
    rfc3339(format!("{date}T{clock}:{}", text.get(13..)?).as_bytes())
}

/// `…+02:00` of `…+02:00[Europe/Berlin]`, as Java prints it (RFC 9557, section 3).
#[cold]
fn without_zone_id(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == b'[');
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes)
}

/// `10:11:12.345`
fn time_only(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let (clock, ms) = time_of_day(bytes)?;
    moment((1970, 1, 1), clock, ms, 0).map(|time| (time, Stamp::TimeOnly))
}

/// A date and a time of day in fields of their own, which are UTC wherever they stand so (W3C extended logs).
pub(super) fn read_dated(date: &str, time: &str) -> Option<(Time, Stamp)> {
    if time.as_bytes().get(2) != Some(&b':') {
        return read(time); // the time says all itself
    }
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date.as_bytes() else {
        return None;
    };
    let [century, year, month, day] = pairs([y1, y2, y3, y4, m1, m2, d1, d2])?;
    let (clock, ms) = time_of_day(time.as_bytes())?;
    let date = (century * 100 + year, month, day);
    moment(date, clock, ms, 0).map(|time| (time, Stamp::Whole))
}

/// `Oct 11 14:32:52.123456 2022` of Apache's error log, behind the day of the week; `date` puts a zone before the year.
fn ctime(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let [m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = bytes else {
        return None;
    };
    let (clock, year) = rest.split_at_checked(rest.len().checked_sub(5)?)?;
    let [b' ', y1, y2, y3, y4] = year else {
        return None;
    };
    let (clock, zone_s) = match clock {
        [clock @ .., b' ', b'U', b'T', b'C'] | [clock @ .., b' ', b'G', b'M', b'T'] => {
            (clock, Some(0))
        }
        [clock @ .., b' ', sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (clock, Some(zone(*sign, two(*h1, *h2)?, two(*m1, *m2)?)?))
        }
        clock => (clock, None),
    };
    let (clock, ms) = time_of_day(clock)?;
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let date = (year, month_of([*m1, *m2, *m3])?, two(tens, *d2)?);
    let stamp = zone_s.map_or(Stamp::NoZone, |_| Stamp::Whole);
    moment(date, clock, ms, zone_s.unwrap_or_default()).map(|time| (time, stamp))
}

/// `04 May 2026 10:11:12 GMT` of HTTP (RFC 9110, section 5.6.7), behind the day of the week.
fn imf_fixdate(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let (stamp, zone) = bytes.split_at_checked(20)?;
    let [d1, d2, b' ', m1, m2, m3, b' ', year @ ..] = stamp else {
        return None;
    };
    let (year, clock) = year.split_at_checked(4)?;
    let zone = match zone {
        b" GMT" | b" UTC" | b" Z" => b" +0000",
        zone => zone,
    };
    let clock = clock.strip_prefix(b" ")?;
    clf(&[
        &[*d1, *d2, b'/', *m1, *m2, *m3, b'/'],
        year,
        b":",
        clock,
        zone,
    ]
    .concat())
}

/// `May  4 10:11:12.345`, as in syslog.
fn year_less(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let [m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = bytes else {
        return None;
    };
    let tens = if *d1 == b' ' { b'0' } else { *d1 };
    let (clock, ms) = time_of_day(rest)?;
    let date = (1972, month_of([*m1, *m2, *m3])?, two(tens, *d2)?);
    moment(date, clock, ms, 0).map(|time| (time, Stamp::NoYear))
}

fn time_of_day(bytes: &[u8]) -> Option<((u32, u32, u32), i64)> {
    let [h1, h2, b':', i1, i2, b':', s1, s2, rest @ ..] = bytes else {
        return None;
    };
    let (ms, rest) = match rest {
        [b'.' | b',', rest @ ..] => fraction_ms(rest)?,
        _ => (0, rest),
    };
    let clock = (two(*h1, *h2)?, two(*i1, *i2)?, two(*s1, *s2)?);
    rest.is_empty().then_some((clock, ms))
}

/// `17/May/2015:10:05:03 +0000`, the common log format's; with a space before the hour, as Python's servers write it.
fn clf(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let [d1, d2, b'/', m1, m2, m3, b'/', rest @ ..] = bytes else {
        return clf_in_digits(bytes);
    };
    let month = month_of([*m1, *m2, *m3])?;
    behind_month([*d1, *d2], month, rest)
}

/// `05/17/2015:10:05:03 -0000`: cPanel writes the month in digits and before the day. What can only be a day is one.
#[cold]
fn clf_in_digits(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let [m1, m2, b'/', d1, d2, b'/', rest @ ..] = bytes else {
        return None;
    };
    let (first, second) = (two(*m1, *m2)?, two(*d1, *d2)?);
    match first > 12 {
        true => behind_month([*m1, *m2], second, rest),
        false => behind_month([*d1, *d2], first, rest),
    }
}

/// `2015:10:05:03 +0000`, where day and month are known.
fn behind_month(day: [u8; 2], month: u32, bytes: &[u8]) -> Option<(Time, Stamp)> {
    let [y1, y2, y3, y4, b':' | b' ', rest @ ..] = bytes else {
        return None;
    };
    let [h1, h2, b':', i1, i2, b':', s1, s2, rest @ ..] = rest else {
        return None;
    };
    // HAProxy writes milliseconds and no zone.
    let (ms, rest) = match rest {
        [b'.', rest @ ..] => fraction_ms(rest)?,
        _ => (0, rest),
    };
    let (zone_s, stamp) = match rest {
        [b' ', b'+' | b'-', b'0', b'0', b'0', b'0'] => (0, Stamp::Whole), // as most servers have it
        [b' ', sign, h1, h2, m1, m2] | [b' ', sign, h1, h2, b':', m1, m2] => {
            let zone_s = zone(*sign, two(*h1, *h2)?, two(*m1, *m2)?)?;
            (zone_s, Stamp::Whole)
        }
        [b' ', b'Z'] => (0, Stamp::Whole),
        [] => (0, Stamp::NoZone),
        _ => return None,
    };
    let [d1, d2] = day;
    let [day, century, year, hour] = pairs([d1, d2, *y1, *y2, *y3, *y4, *h1, *h2])?;
    let [minute, second, ..] = pairs([*i1, *i2, *s1, *s2, b'0', b'0', b'0', b'0'])?;
    let date = (century * 100 + year, month, day);
    moment(date, (hour, minute, second), ms, zone_s).map(|time| (time, stamp))
}

/// `2026-05-04T10:11:12.345+02:00`: T or a space between date and time, 0 to 9 digits of a second's fraction, zone as
/// `Z`, `±hh:mm`, `±hhmm`, `±hh`, or none.
fn rfc3339(bytes: &[u8]) -> Option<(Time, Stamp)> {
    let (head, rest) = bytes.split_first_chunk::<19>()?;
    let separators = [head[4], head[7], head[10], head[13], head[16]];
    let [b'-', b'-', b'T' | b't' | b' ', b':', b':'] = separators else {
        return None;
    };
    let [y1, y2, y3, y4, _, m1, m2, _, d1, d2, ..] = *head;
    let [.., h1, h2, _, i1, i2, _, s1, s2] = *head;
    let [century, year, month, day] = pairs([y1, y2, y3, y4, m1, m2, d1, d2])?;
    let [hour, minute, second, _] = pairs([h1, h2, i1, i2, s1, s2, b'0', b'0'])?;
    let date = (century * 100 + year, month, day);
    let clock = (hour, minute, second);
    let (ms, rest) = match rest {
        [b'.' | b',', rest @ ..] => fraction_ms(rest)?,
        _ => (0, rest),
    };
    let stamp = match rest {
        [] => Stamp::NoZone,
        _ => Stamp::Whole,
    };
    let zone_s = match rest {
        [] | [b'Z' | b'z'] | [b'+' | b'-', b'0', b'0', b':', b'0', b'0'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            zone(*sign, two(*h1, *h2)?, two(*m1, *m2)?)?
        }
        [sign @ (b'+' | b'-'), h1, h2] => zone(*sign, two(*h1, *h2)?, 0)?,
        _ => zone_apart(rest)?,
    };
    moment(date, clock, ms, zone_s).map(|time| (time, stamp))
}

/// ` +0200`, ` UTC`, ` +0200 CEST`: a zone that stands apart, perhaps with its name, as Go and others print it.
#[cold]
fn zone_apart(bytes: &[u8]) -> Option<i64> {
    let mut words = bytes.trim_ascii_start().split(|byte| *byte == b' ');
    let zone_s = match words.next()? {
        b"UTC" | b"GMT" | b"Z" => 0,
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => {
            zone(*sign, two(*h1, *h2)?, two(*m1, *m2)?)?
        }
        _ => return None,
    };
    let is_name = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase);
    let is_end = words.next().is_none_or(is_name) && words.next().is_none();
    is_end.then_some(zone_s)
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by size: each unit covers the years
/// 2001 to 5138. No log that we read is older, and what is left of a number that was cut is none.
fn epoch(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 19 || !is_digits(whole) || !is_digits(fraction) {
        return epoch_float(text);
    }
    let count: i64 = whole.parse().ok()?;
    let ms = match count {
        1_000_000_000..=99_999_999_999 => {
            let (ms, rest) = match fraction.as_bytes() {
                [] => (0, &[][..]),
                digits => match fraction_ms(digits) {
                    Some(read) => read,
                    None => return epoch_float(text),
                },
            };
            if !rest.is_empty() {
                return epoch_float(text);
            }
            count * 1000 + ms
        }
        1_000_000_000_000..=99_999_999_999_999 => count,
        1_000_000_000_000_000..=99_999_999_999_999_999 => count / 1000,
        1_000_000_000_000_000_000.. => count / 1_000_000,
        _ => return None,
    };
    Time::from_ms(ms)
}

/// The same in scientific notation, as JSON writers print large floats.
fn epoch_float(text: &str) -> Option<Time> {
    let count: f64 = text.parse().ok()?;
    let ms = match count {
        1e9..1e11 => count * 1e3,
        1e12..1e14 => count,
        1e15..1e17 => count / 1e3,
        1e18..1e19 => count / 1e6,
        _ => return None,
    };
    Time::from_ms(ms as i64)
}

/// Milliseconds of 1 to 9 digits after the point, rounded down, and what follows them.
fn fraction_ms(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let digit = |at: usize| match bytes.get(at) {
        Some(b) if at < digits => i64::from(b - b'0'),
        _ => 0,
    };
    Some((
        digit(0) * 100 + digit(1) * 10 + digit(2),
        bytes.get(digits..)?,
    ))
}

fn moment(
    (year, month, day): (u32, u32, u32),
    (hour, minute, second): (u32, u32, u32),
    ms: i64,
    zone_s: i64,
) -> Option<Time> {
    // Second 60 is a leap second and counts as the first of the next minute.
    if !(1..=days_in(year, month)?).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_from_civil(i64::from(year), month, day);
    let clock_s = i64::from(hour * 3600 + minute * 60 + second);
    Time::from_ms((days * 86_400 + clock_s - zone_s) * 1000 + ms)
}

fn days_in(year: u32, month: u32) -> Option<u32> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => return None,
    })
}

fn zone(sign: u8, hours: u32, minutes: u32) -> Option<i64> {
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn month_of(name: [u8; 3]) -> Option<u32> {
    let [first, rest @ ..] = name;
    let rest = rest.map(|letter| letter | 0x20);
    Some(match &[first & !0x20, rest[0], rest[1]] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// The numbers that eight digits are, two by two. All are read at once, in the bytes of one word.
fn pairs(digits: [u8; 8]) -> Option<[u32; 4]> {
    let values = u64::from_le_bytes(digits) ^ everywhere(b'0');
    // Of a byte above nine, the upper half is not empty, or is not when six is added.
    let wrong = (values | values.wrapping_add(everywhere(6))) & everywhere(0xf0);
    let tens_and_ones = values.wrapping_mul(10).wrapping_add(values >> 8);
    let number = |pair: u32| (tens_and_ones >> (pair * 16)) as u32 & 0xff;
    (wrong == 0).then(|| [number(0), number(1), number(2), number(3)])
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stamp that says its date.
    fn parse(text: &str) -> Option<Time> {
        let (time, stamp) = read(text)?;
        matches!(stamp, Stamp::Whole | Stamp::NoZone).then_some(time)
    }

    #[test]
    fn t73_what_a_stamp_leaves_open_is_known() {
        for (text, stamp, ms) in [
            ("2026-05-04T10:11:12", Stamp::NoZone, 1_777_889_472_000),
            ("04/May/2026:10:11:12", Stamp::NoZone, 1_777_889_472_000),
            ("10:11:12.345", Stamp::TimeOnly, 36_672_345),
            ("Jan  2 00:00:01", Stamp::NoYear, 63_158_401_000),
            ("Feb 29 00:00:00,5", Stamp::NoYear, 68_169_600_500),
        ] {
            assert_eq!(
                read(text),
                Time::from_ms(ms).map(|time| (time, stamp)),
                "{text}"
            );
        }
        for text in [
            "24:00:00",
            "10:11",
            "10:11:12Z",
            "Foo 12 10:11:12",
            "May 32 10:11:12",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn one_moment_in_every_notation() {
        for text in [
            "04/May/2026:10:11:12 +0000",
            "[04/May/2026:12:11:12 +0200]",
            "04/May/2026:05:41:12 -0430",
            "4/may/2026:10:11:12 +00:00",
            "04/May/2026 10:11:12 Z",
            "Mon, 04 May 2026 10:11:12 GMT",
            "Mon, 04 May 2026 12:11:12 +0200",
            "04/May/2026 10:11:12",
            "05/04/2026:10:11:12 -0000",
            "2026-05-04T10:11:12Z",
            "2026-05-04 10:11:12",
            "2026-05-04T12:11:12+02:00",
            "2026-05-04T12:11:12+0200",
            "2026-05-04t08:11:12.000000000-02",
            "2026-05-04 10:11:12.000000 +0000 UTC",
            "2026-05-04 12:11:12 +0200 CEST",
            "2026-05-04 12:11:12.000 +02:00",
            "2026-05-04T10:11:12UTC",
            "2026/05/04 10:11:12 GMT",
            "04-May-2026 10:11:12.000 +0000",
            "04-May-2026 10:11:12",
            "2026-05-04T10:10:72Z".replace("10:72", "11:12").as_str(),
            "1777889472",
            "1777889472.000",
            "1777889472000",
            "1777889472000999",
            "1777889472000999999",
            "1.777889472e9",
        ] {
            let shown = parse(text).map(|time| time.to_string());
            assert_eq!(shown.as_deref(), Some("2026-05-04T10:11:12.000Z"), "{text}");
        }
    }

    #[test]
    fn fractions_are_cut_to_milliseconds() {
        for (text, ms) in [
            ("2026-05-04T10:11:12.3Z", 300),
            ("2026-05-04T10:11:12.345678999Z", 345),
            ("1777889472.34", 340),
            ("1777889472345", 345),
        ] {
            assert_eq!(parse(text).map(|t| t.as_ms() % 1000), Some(ms), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_first_of_the_next_minute() {
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01T00:00:00Z"));
        assert!(parse("31/Dec/2016:23:59:60 +0000").is_some());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "now",
            "29/Feb/2025:00:00:00 +0000",
            "31/Apr/2025:00:00:00 +0000",
            "01/Foo/2025:00:00:00 +0000",
            "01/Jan/2025:24:00:00 +0000",
            "13/13/2025:10:00:00 +0000",
            "00/01/2025:10:00:00 +0000",
            "1/",
            "/",
            "01/Jan/2025:00:00:00 0000",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-01-00T00:00:00Z",
            "2025-01-01T00:60:00Z",
            "2025-01-01T00:00:61Z",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00.1234567890Z",
            "2025-01-01T00:00:00+24:00",
            "-1",
            "1e300",
            "NaN",
            "99999999999999999999",
            "2025-01-01T00:00:00Zx",
            "1777889472.x",
            "2026-05-04 10:11:12 CEST",
            "2026-05-04 10:11:12 +0200 a b",
            "0",
            "2",
            "177788947",    // what is left of seconds
            "177788947234", // of milliseconds
            "177788947234500.5e3",
            "1.7e8",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_back_as_it_is_shown(ms in 0i64..253_402_300_799_999) {
            let time = Time::from_ms(ms).unwrap();
            prop_assert_eq!(parse(&time.to_string()), Some(time));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", digits in "[0-9./:TZ +-]{0,40}") {
            let _ = (parse(&text), parse(&digits));
        }
    }
}
