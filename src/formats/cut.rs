//! Cutting a line at its spaces, where some values stand in quotes.
//!
//! In: a line. Out: one value after the other, each with where it begins.
//! Does not know: what values mean.
//! Source: see the formats that use it.

use super::search::{Each, first_where};
use super::text::is_escaped;
use memchr::memrchr;

/// A value and where it begins in the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) at: usize,
    pub(super) text: &'a str,
    pub(super) quoted: bool,
}

/// One line and how far it is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cutter<'a> {
    line: &'a str,
    at: usize,
    spaces: Each<'a>,
}

impl<'a> Cutter<'a> {
    /// Begins at byte `at`.
    pub(super) fn new(line: &'a str, at: usize) -> Self {
        let spaces = Each::of(b' ', line.as_bytes());
        Self { line, at, spaces }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Goes `length` bytes on; where it stood before is returned.
    pub(super) fn skip(&mut self, length: usize) -> usize {
        let before = self.at;
        self.at = (self.at + length).min(self.line.len());
        before
    }

    /// Steps over spaces that stand for nothing.
    pub(super) fn spaces(&mut self) {
        self.at += self.rest().bytes().take_while(|byte| *byte == b' ').count();
    }

    /// What stands before the next space.
    #[inline]
    pub(super) fn word(&mut self) -> Option<Value<'a>> {
        let (at, length) = (self.at, self.line.len());
        if at >= length {
            return None;
        }
        let end = self.spaces.first_from(at).unwrap_or(length);
        self.at = (end + 1).min(length);
        Some(Value {
            at,
            text: self.line.get(at..end)?,
            quoted: false,
        })
    }

    /// What stands in quotes here, up to the first quote for which `ends` holds, given what follows it; an unbalanced
    /// quote takes the rest of the line, but for a quote that stands last.
    pub(super) fn quoted_until(&mut self, ends: impl Fn(&[u8]) -> bool) -> Option<Value<'a>> {
        let rest = self.rest();
        let inner = rest.strip_prefix('"')?.as_bytes();
        let is_end =
            |at: usize| !is_escaped(inner, at) && ends(inner.get(at + 1..).unwrap_or_default());
        match first_where(b'"', inner, is_end) {
            Some(end) => self.take(1, end, end + 3, true),
            None => {
                let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
                self.take(1, inner.len(), rest.len(), true)
            }
        }
    }

    /// What stands between the quote here and the last one of the line.
    pub(super) fn quoted_to_last(&mut self) -> Option<Value<'a>> {
        let inner = self.rest().strip_prefix('"')?;
        let end = memrchr(b'"', inner.as_bytes()).unwrap_or(inner.len());
        self.take(1, end, end + 3, true)
    }

    /// What stands in brackets here; a bracket inside is not followed by a space.
    pub(super) fn bracketed(&mut self) -> Option<Value<'a>> {
        let inner = self.rest().strip_prefix('[')?.as_bytes();
        let is_end = |at: usize| matches!(inner.get(at + 1), None | Some(b' '));
        let end = first_where(b']', inner, is_end)?;
        self.take(1, end, end + 3, false)
    }

    /// The next value, in quotes or not.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        if self.rest().starts_with('"') {
            return self.quoted_until(|behind| matches!(behind.first(), None | Some(b' ')));
        }
        self.word()
    }

    /// `length` bytes, `skip` bytes from here; the next value begins `step` bytes from here.
    fn take(&mut self, skip: usize, length: usize, step: usize, quoted: bool) -> Option<Value<'a>> {
        let at = self.at + skip;
        let text = self.line.get(at..at + length)?;
        self.at = (self.at + step).min(self.line.len());
        Some(Value { at, text, quoted })
    }
}

/// True for ` ddd` or ` -` and the end of that field: what stands behind a request line.
pub(super) fn is_status(behind: &[u8]) -> bool {
    match behind {
        [b' ', a, b, c, rest @ ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) => {
            matches!(rest.first(), None | Some(b' '))
        }
        [b' ', b'-' | b'0', rest @ ..] => matches!(rest.first(), None | Some(b' ')),
        _ => false,
    }
}
