//! logfmt: `key=value key="quoted \"value\""`, with the same names as JSON logs.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: what names mean.
//! Source: <https://brandur.org/logfmt>; Go's `log/slog` text handler quotes as Go strings do.

use super::fields::Fields;
use super::names::Remembered;
use super::text::{is_escaped, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr_iter, memchr2};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "logfmt",
    aliases: &[],
    about: "key=value pairs, values with spaces in quotes",
    open: |names| Arc::new(Logfmt(Remembered::new(names))),
};

/// As many as a JSON line may have.
const PAIRS_MAX: usize = 512;

struct Logfmt(Remembered);

impl LineFormat for Logfmt {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        for (index, pair) in (Pairs { line, at: 0 }).enumerate() {
            let pair = pair?;
            if index >= PAIRS_MAX {
                return Err(SkipReason::TooComplex);
            }
            let name = || Cow::Borrowed(pair.name);
            let value = match pair.quoted {
                true => unescape(pair.value),
                false => pair.value.into(),
            };
            fields.set(self.0.meaning(pair.name), name, pair.at, value);
        }
        fields.finish()?;
        let pairs = Pairs { line, at: 0 }.flatten();
        self.0.learn(pairs.map(|pair| pair.name));
        Ok(())
    }
}

/// A name, and the value that begins at `at`.
struct Pair<'a> {
    name: &'a str,
    at: usize,
    value: &'a str,
    quoted: bool,
}

/// The pairs of a line. A word without a value is allowed, and says nothing.
struct Pairs<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, SkipReason>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.line.get(self.at..).filter(|rest| !rest.is_empty())?;
            // Names are shorter than what it takes to call a vector search.
            let ends = |byte| matches!(byte, b'=' | b' ' | b'\t');
            let end = rest.bytes().position(ends).unwrap_or(rest.len());
            let name = rest.get(..end)?;
            let equals = rest.as_bytes().get(end) == Some(&b'=');
            self.at += end + 1;
            if !equals {
                continue;
            }
            let (at, behind) = (self.at, self.line.get(self.at..)?);
            let Some((value, used)) = value_of(behind) else {
                return Some(Err(SkipReason::Malformed));
            };
            self.at += used;
            if !name.is_empty() {
                let quoted = behind.starts_with('"');
                return Some(Ok(Pair {
                    name,
                    at,
                    value,
                    quoted,
                }));
            }
        }
    }
}

/// The value without its quotes, and how many bytes it takes with them; `None` for a quote that does not end.
fn value_of(text: &str) -> Option<(&str, usize)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = memchr2(b' ', b'\t', text.as_bytes()).unwrap_or(text.len());
        return Some((text.get(..end)?, end));
    };
    let ends = |at: &usize| !is_escaped(inner.as_bytes(), *at);
    let end = memchr_iter(b'"', inner.as_bytes()).find(ends)?;
    Some((inner.get(..end)?, end + 2))
}
