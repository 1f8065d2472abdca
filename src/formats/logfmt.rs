//! logfmt: `key=value key="quoted \"value\""`, with the same names as JSON logs.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: what names mean.
//! Source: <https://brandur.org/logfmt>; Go's `log/slog` text handler quotes as Go strings do.

use super::fields::Fields;
use super::names::FieldMap;
use super::text::{is_escaped, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "logfmt",
    aliases: &[],
    about: "key=value pairs, values with spaces in quotes",
    open: |names| {
        Arc::new(Logfmt {
            names: names.clone(),
        })
    },
};

/// As many as a JSON line may have.
const PAIRS_MAX: usize = 512;

struct Logfmt {
    names: FieldMap,
}

impl LineFormat for Logfmt {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut pairs = 0;
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            pairs += 1;
            if pairs > PAIRS_MAX {
                return Err(SkipReason::TooComplex);
            }
            let (word, _) = rest.split_once(' ').unwrap_or((rest, ""));
            let Some(equals) = memchr(b'=', word.as_bytes()).filter(|at| *at > 0) else {
                rest = rest.get(word.len()..).unwrap_or_default().trim_start();
                continue; // a word without a value is allowed, and says nothing
            };
            let (name, value) = rest.split_at_checked(equals).ok_or(SkipReason::Malformed)?;
            let (raw, used) = value_of(value.get(1..).unwrap_or_default())?;
            let at = line.len() - rest.len() + equals + 1;
            fields.set(
                self.names.meaning(name),
                || Cow::Borrowed(name),
                at,
                unescape(raw),
            );
            rest = rest
                .get(equals + 1 + used..)
                .unwrap_or_default()
                .trim_start();
        }
        fields.finish()
    }
}

/// The value without its quotes, and how many bytes it takes with them.
fn value_of(text: &str) -> Result<(&str, usize), SkipReason> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = memchr(b' ', text.as_bytes()).unwrap_or(text.len());
        return Ok((text.get(..end).unwrap_or_default(), end));
    };
    let ends = |at: &usize| !is_escaped(inner.as_bytes(), *at);
    let end = memchr_iter(b'"', inner.as_bytes())
        .find(ends)
        .ok_or(SkipReason::Malformed)?;
    Ok((inner.get(..end).unwrap_or_default(), end + 2))
}
