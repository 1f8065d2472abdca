//! logfmt: `key=value key="quoted \"value\""`, with the same names as JSON logs.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: what names mean; whether the last value of a line was cut, where no quotes stand round it.
//! Source: <https://brandur.org/logfmt>; Go's `log/slog` text handler quotes as Go strings do.

use super::fields::Fields;
use super::names::{Meaning, Recall, Remembered};
use super::scan::Scalar;
use super::search::first_of;
use super::text::unescape;
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
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
        let mut pairs = Pairs {
            line,
            at: 0,
            recall: self.0.recall(),
        };
        for index in 0.. {
            let Some(pair) = pairs.next()? else { break };
            if index >= PAIRS_MAX {
                return Err(SkipReason::TooComplex);
            }
            let name = || Cow::Borrowed(pair.name);
            let value = match pair.value.escaped {
                true => unescape(pair.value.raw),
                false => pair.value.raw.into(),
            };
            let meaning = pair
                .meaning
                .unwrap_or_else(|| self.0.map.meaning(pair.name));
            fields.set(meaning, name, pair.value.at, value);
        }
        fields.finish()?;
        self.learn(line);
        Ok(())
    }
}

impl Logfmt {
    fn learn(&self, line: &str) {
        let recall = Recall::default();
        let mut pairs = Pairs {
            line,
            at: 0,
            recall,
        };
        self.0.learn(std::iter::from_fn(|| {
            let pair = pairs.next().ok().flatten()?;
            let begin = pair.name.as_ptr() as usize - line.as_ptr() as usize;
            let text = line.get(begin..=begin + pair.name.len())?;
            Some((pair.name, text, self.0.map.meaning(pair.name)))
        }));
    }
}

/// A name, what it means where that is remembered, and its value.
struct Pair<'a> {
    name: &'a str,
    meaning: Option<Meaning>,
    value: Scalar<'a>,
}

/// The pairs of a line. A word without a value is allowed, and says nothing.
struct Pairs<'r, 'a> {
    line: &'a str,
    at: usize,
    recall: Recall<'r>,
}

impl<'a> Pairs<'_, 'a> {
    #[inline]
    fn next(&mut self) -> Result<Option<Pair<'a>>, SkipReason> {
        loop {
            let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
            let rest = self.line.as_bytes().get(self.at..).unwrap_or_default();
            self.at += rest.iter().take_while(|byte| is_space(byte)).count();
            let Some(rest) = self.line.get(self.at..).filter(|rest| !rest.is_empty()) else {
                return Ok(None);
            };
            let (name, meaning) = match self.recall.next(rest.as_bytes()) {
                Some(named) => (rest.get(..named.text.len() - 1), Some(named.meaning)),
                None => {
                    let ends = |byte| byte == b'=' || is_space(&byte);
                    let end = rest.bytes().position(ends).unwrap_or(rest.len());
                    (rest.get(..end), None)
                }
            };
            let name = name.unwrap_or_default();
            self.at += name.len() + 1;
            if rest.as_bytes().get(name.len()) != Some(&b'=') {
                continue;
            }
            let value = self.value().ok_or(SkipReason::Malformed)?;
            if !name.is_empty() {
                let meaning = meaning.or_else(|| self.recall.meaning(name));
                return Ok(Some(Pair {
                    name,
                    meaning,
                    value,
                }));
            }
        }
    }

    /// The value that stands here; `None` for a quote that does not end.
    fn value(&mut self) -> Option<Scalar<'a>> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        if let Some(inner) = rest.strip_prefix('"') {
            let (scalar, _) = Scalar::string(inner, self.at + 1)?;
            self.at += scalar.raw.len() + 2;
            return Some(scalar);
        }
        let end = first_of(b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
        let (at, raw) = (self.at, rest.get(..end)?);
        self.at += end;
        Some(Scalar {
            raw,
            at,
            quoted: false,
            escaped: false,
        })
    }
}
