//! Names and values in Cookie headers and queries.
//!
//! In: the text of one. Out: where each name and value stand; the value of a cookie that was split.
//! Does not know: which of them is a token.
//! Source: RFC 6265, section 4.2.1; URL Standard, `application/x-www-form-urlencoded`.

use super::locate::{has_usual_opening, opens_object};
use crate::domain::bytes::has_any;
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;
use std::mem;
use std::ops::Range;

/// Pieces that one cookie may be split into. Frameworks split at 4 KiB, and servers refuse more
/// than 16 KiB of headers.
pub(super) const COOKIE_PIECES_MAX: u32 = 10;

/// True when a value in this Cookie header or query may be a token, or what scrubbing left of one.
pub(super) fn may_hold_pairs(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Every opening has one of these letters.
    has_any(bytes, [b'y', b'w', b'~'])
        && (has_usual_opening(text)
            || memchr(b'~', bytes).is_some()
            || opens_object(bytes)
            || memchr_iter(b'=', bytes).any(|at| opens_object(&bytes[at + 1..])))
}

/// Where name and value of each pair stand. A piece without `=`, or that begins with a token, is a
/// value alone.
pub(super) fn pairs(
    text: &str,
    separator: u8,
) -> impl Iterator<Item = (Option<Range<usize>>, Range<usize>)> {
    let bytes = text.as_bytes();
    let ends = memchr_iter(separator, bytes).chain([bytes.len()]);
    ends.scan(0, |next, end| {
        let start = mem::replace(next, end + 1);
        Some(start..end)
    })
    .map(move |piece| {
        let spaces = bytes[piece.clone()]
            .iter()
            .take_while(|b| **b == b' ')
            .count();
        let start = piece.start + spaces;
        let inside = &bytes[start..piece.end];
        match memchr(b'=', inside).filter(|_| !opens_object(inside)) {
            Some(at) => (Some(start..start + at), start + at + 1..piece.end),
            None => (None, start..piece.end),
        }
    })
}

/// The value of a cookie that was split into `stem.0`, `stem.1` and so on, as it was before.
pub(super) fn joined_cookie<'a>(text: &str, stem: &str) -> Cow<'a, str> {
    let mut joined = String::new();
    for index in 0..COOKIE_PIECES_MAX {
        let wanted = format!("{stem}.{index}");
        let value = pairs(text, b';')
            .find(|(name, _)| name.clone().and_then(|name| text.get(name)) == Some(&wanted))
            .and_then(|(_, value)| text.get(value));
        match value {
            Some(value) => joined.push_str(value),
            None => break,
        }
    }
    Cow::Owned(joined)
}
