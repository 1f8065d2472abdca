//! Text from a log, made fit for people.
//!
//! In: anything a client sent. Out: the same without tokens, control characters and direction
//! marks, and not long.
//! Does not know: terminals, HTML, JSON (each sink escapes for itself).
//! Source: Unicode Standard Annex 9, section 2 (explicit directional formatting characters).

use crate::domain::mask::mask;
use std::fmt::Write as _;
use std::sync::Arc;

/// More than this nobody reads in an incident; evidence in full is in the log.
const SHOWN_CHARS_MAX: usize = 200;
/// How much is looked at: every character may be an escape or part of a token that becomes short.
const READ_BYTES_MAX: usize = 4 * SHOWN_CHARS_MAX;

/// The text with tokens masked, control characters and direction marks escaped, cut at 200
/// characters.
pub(super) fn shown(text: &str) -> String {
    let read = &text[..text.floor_char_boundary(READ_BYTES_MAX)];
    let masked = mask(read);
    // Nearly every text is as it should be.
    if read.len() <= SHOWN_CHARS_MAX && masked.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return masked.into_owned();
    }
    let mut out = String::with_capacity(masked.len().min(SHOWN_CHARS_MAX) + 4);
    for (count, c) in masked.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
            out.push('…');
            return out;
        }
        if c.is_control() || directs(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    if read.len() < text.len() {
        out.push('…');
    }
    out
}

/// [`shown`], shared.
pub(super) fn shown_arc(text: &str) -> Arc<str> {
    shown(text).into()
}

/// True for characters that turn the direction of what follows, or hide: `\u{202e}gpj.exe`.
fn directs(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// A duration in words of one unit: `40 seconds`, `4 minutes`, `11 hours`, `3 days`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.abs().round() as u64;
    let (count, unit) = match whole {
        0..=119 => (whole, "second"),
        120..=7199 => (whole / 60, "minute"),
        7200..=172_799 => (whole / 3600, "hour"),
        _ => (whole / 86_400, "day"),
    };
    counted(count, unit)
}

/// `1 request`, `12,000 requests`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

/// A number with a comma before every three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_log_cannot_carry_a_token_a_colour_or_a_turned_line() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
        assert!(!shown(&format!("alice {token}")).contains("eyJ"));
        assert_eq!(shown("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shown(&"é".repeat(10_000)).chars().count(), 201);
    }

    #[test]
    fn numbers_and_durations_read_like_a_sentence() {
        assert_eq!(duration(240.0), "4 minutes");
        assert_eq!(duration(-1.0), "1 second");
        assert_eq!(duration(11.0 * 3600.0), "11 hours");
        assert_eq!(counted(1_234_567, "request"), "1,234,567 requests");
    }
}
