//! Names and values in Cookie headers and queries.
//!
//! In: the text of one. Out: where each name and value stand; the value of a cookie that was split.
//! Does not know: which of them is a token.
//! Source: RFC 6265, section 4.2.1; Microsoft, `ChunkingCookieManager`; NextAuth.js, "Session token chunking"; URL
//! Standard, `application/x-www-form-urlencoded`.

use super::locate::{has_usual_opening, opens_object};
use crate::domain::bytes::has_any;
use memchr::{memchr, memchr_iter};
use std::mem;
use std::ops::Range;

/// Pieces that one cookie may be split into. Frameworks split at 4 KiB, and servers refuse more
/// than 16 KiB of headers.
const COOKIE_PIECES_MAX: usize = 10;

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

/// The cookie that a name is the first piece of.
#[derive(Clone, Copy)]
pub(super) struct Split<'n> {
    /// Its name before it was split.
    pub(super) stem: &'n str,
    /// What stands between that and the number.
    mark: char,
    /// The first number.
    first: usize,
}

impl<'n> Split<'n> {
    /// `name.0` (NextAuth, Supabase, Auth0), `name-0`, `name_0`, `nameC1` (ASP.NET Core).
    pub(super) fn of(name: &'n str) -> Option<Self> {
        let (marked, first) = match name.strip_suffix('0') {
            Some(marked) => (marked, 0),
            None => (name.strip_suffix('1')?, 1),
        };
        let mark = marked.chars().next_back()?;
        let fits = match first {
            0 => matches!(mark, '.' | '-' | '_'),
            _ => mark == 'C',
        };
        let stem = marked.strip_suffix(mark).filter(|_| fits)?;
        Some(Self { stem, mark, first })
    }

    /// Where its pieces stand in a Cookie header, in their order. Of equal names the first wins, as in servers.
    pub(super) fn pieces(self, text: &str) -> [Option<Range<usize>>; COOKIE_PIECES_MAX] {
        let mut pieces = [const { None }; COOKIE_PIECES_MAX];
        for (name, value) in pairs(text, b';') {
            if let Some(piece) = name
                .and_then(|name| self.number(text.get(name)?))
                .and_then(|number| pieces.get_mut(number))
            {
                let (start, rest) = (value.start, text.get(value).unwrap_or_default());
                let quote = usize::from(rest.starts_with('"'));
                let rest = rest.get(quote..).unwrap_or_default();
                // In a log without quotes the header ends at a space.
                let end = rest.find(['"', ' ']).unwrap_or(rest.len());
                piece.get_or_insert(start + quote..start + quote + end);
            }
        }
        pieces
    }

    fn number(self, name: &str) -> Option<usize> {
        let name = name.rsplit(' ').next()?;
        let number = name.strip_prefix(self.stem)?.strip_prefix(self.mark)?;
        number.parse::<usize>().ok()?.checked_sub(self.first)
    }

    /// Its value as it was before, as far as no piece is missing; `None` when there is no second one.
    pub(super) fn joined(self, text: &str) -> Option<String> {
        let pieces = self.pieces(text).into_iter();
        let pieces: Vec<&str> = pieces.map_while(|piece| text.get(piece?)).collect();
        (pieces.len() > 1).then(|| pieces.concat())
    }
}
