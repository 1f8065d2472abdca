//! IIS in the Windows event log: the W3C fields of a request as XML, one event a line.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: events of other providers, or events over several lines.
//! Source: Microsoft, "Configure logging in IIS" (`ETW`; provider Microsoft-Windows-IIS-Logging, event 6200),
//! <https://learn.microsoft.com/en-us/iis/get-started/whats-new-in-iis-85/logging-to-etw-in-iis-85>; XML 1.0, section
//! 4.6.
//!
//! As in W3C logs, `+` stands for a space inside headers, and times are UTC.

use super::fields::Fields;
use super::names::{Meaning, Recall, Remembered, Slot};
use super::search::{first, split_at_first};
use super::text::plus_decoded;
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memchr;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

pub(super) static FORMAT: Format = Format {
    name: "iis_event",
    aliases: &["iis_etw", "iis_xml"],
    about: "Windows events of Microsoft-Windows-IIS-Logging, as XML",
    open: |names| Arc::new(IisEvent(Remembered::new(names))),
};

struct IisEvent(Remembered);

/// Who writes such events.
static PROVIDER: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("Microsoft-Windows-IIS-Logging"));

/// What stands before a field's name.
static OPENING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("<Data Name="));

/// What stands behind the last value; whatever follows it is another event.
const ENDING: &str = "</Data></EventData>";

/// More than IIS can log.
const FIELDS_MAX: usize = 64;

impl LineFormat for IisEvent {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if !line.starts_with("<Event") {
            return Err(SkipReason::Malformed);
        }
        let provider = PROVIDER.find(line.as_bytes());
        let provider = provider.ok_or(SkipReason::Malformed)?;
        let mut fields = Fields::new(line, event);
        let mut data = Data::behind(provider, line, self.0.recall());
        while let Some(field) = data.next() {
            let Field {
                head, at, value, ..
            } = field;
            let meaning = field.meaning.unwrap_or_else(|| self.meaning(head));
            let value = match meaning.slot {
                Slot::UserAgent | Slot::Referer | Slot::Cookie | Slot::Header | Slot::Chain => {
                    plus_decoded(value)
                }
                _ => Cow::Borrowed(value),
            };
            let value = match field.escaped {
                true => unescaped(&value).into(),
                false => value,
            };
            fields.set(meaning, || name_of(head), at, value);
        }
        fields.finish()?;
        self.learn(line);
        Ok(())
    }
}

impl IisEvent {
    fn meaning(&self, head: &str) -> Meaning {
        self.0.map.meaning(&name_of(head))
    }

    fn learn(&self, line: &str) {
        let mut data = Data::behind(0, line, Recall::default());
        self.0.learn(std::iter::from_fn(|| {
            let Field { head, .. } = data.next()?;
            Some((quoted_name(head), head, self.meaning(head)))
        }));
    }
}

/// One field: what stands between the value before and its own, what it means where that is remembered, its value,
/// where that is, and whether an escape may be in it.
struct Field<'a> {
    head: &'a str,
    meaning: Option<Meaning>,
    value: &'a str,
    at: usize,
    escaped: bool,
}

/// The fields of a line, from left to right.
struct Data<'r, 'a> {
    line: &'a str,
    at: usize,
    left: usize,
    /// Where the next escape is.
    escape: usize,
    recall: Recall<'r>,
}

impl<'r, 'a> Data<'r, 'a> {
    fn behind(at: usize, line: &'a str, recall: Recall<'r>) -> Self {
        let found = line
            .as_bytes()
            .get(at..)
            .and_then(|rest| OPENING.find(rest));
        Self {
            line,
            at: found.map_or(line.len(), |found| at + found),
            left: FIELDS_MAX,
            escape: 0,
            recall,
        }
    }

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `</Data><Data Name="c-ip">192.0.2.1</Data>`
        let before = self.at;
        let (length, meaning) = match self.recall.next(self.line.as_bytes().get(before..)?) {
            Some(named) => (named.text.len(), Some(named.meaning)),
            None => self.unexpected(before)?,
        };
        let at = before + length;
        // A value's own `<` is escaped.
        self.at = at + first(b'<', self.line.as_bytes().get(at..)?)?;
        Some(Field {
            head: self.line.get(before..at)?,
            meaning,
            value: self.line.get(at..self.at)?,
            at,
            escaped: self.escape_from(at) < self.at,
        })
    }

    /// The length of what stands before a value, where it is not what stood there in the line that is remembered, and
    /// what it means. `None` behind the last one.
    fn unexpected(&mut self, at: usize) -> Option<(usize, Option<Meaning>)> {
        let rest = self
            .line
            .get(at..)
            .filter(|rest| !rest.starts_with(ENDING))?;
        let name = OPENING.find(rest.as_bytes())? + OPENING.needle().len();
        let end = name + first(b'>', rest.as_bytes().get(name..)?)?;
        let meaning = self.recall.meaning(quoted_name(rest.get(..=end)?));
        Some((end + 1, meaning))
    }

    /// Where the first escape from here on is. Most fields have none, so one search serves many.
    #[inline]
    fn escape_from(&mut self, at: usize) -> usize {
        if self.escape < at || self.escape == 0 {
            let rest = self.line.as_bytes().get(at..).unwrap_or_default();
            self.escape = memchr(b'&', rest).map_or(usize::MAX, |found| at + found);
        }
        self.escape
    }
}

/// `"c-ip"` of `</Data><Data Name="c-ip">`
fn quoted_name(head: &str) -> &str {
    let opening = OPENING.find(head.as_bytes());
    let name = opening.and_then(|at| head.get(at + OPENING.needle().len()..));
    name.unwrap_or(head).trim_end_matches('>')
}

/// The field's name. Headers are called `csUser-Agent`.
fn name_of(head: &str) -> Cow<'_, str> {
    let name = quoted_name(head).trim().trim_matches(['"', '\'']);
    let header = name
        .strip_prefix("cs")
        .filter(|rest| rest.starts_with(char::is_uppercase));
    match header {
        Some(header) => format!("cs-{header}").into(),
        None => name.into(),
    }
}

/// Undoes the five escapes that XML has of itself; other ampersands stay.
fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((plain, behind)) = split_at_first(b'&', rest) {
        let (meant, length) = match behind.as_bytes() {
            [b'a', b'm', b'p', b';', ..] => ("&", 4),
            [b'l', b't', b';', ..] => ("<", 3),
            [b'g', b't', b';', ..] => (">", 3),
            [b'q', b'u', b'o', b't', b';', ..] => ("\"", 5),
            [b'a', b'p', b'o', b's', b';', ..] => ("'", 5),
            _ => ("&", 0),
        };
        text.push_str(plain);
        text.push_str(meant);
        rest = behind.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}
