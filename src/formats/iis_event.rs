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
        if !line.starts_with("<Event") || PROVIDER.find(line.as_bytes()).is_none() {
            return Err(SkipReason::Malformed);
        }
        let mut fields = Fields::new(line, event);
        let mut data = Data::of(line, self.0.recall());
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
            fields.set(meaning, || name_of(head), at, unescaped(value));
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
        let mut data = Data::of(line, Recall::default());
        self.0.learn(std::iter::from_fn(|| {
            let Field { head, .. } = data.next()?;
            Some((quoted_name(head), head, self.meaning(head)))
        }));
    }
}

/// One field: what stands between the value before and its own, what it means where that is remembered, its value, and
/// where that is.
struct Field<'a> {
    head: &'a str,
    meaning: Option<Meaning>,
    value: &'a str,
    at: usize,
}

/// The fields of a line, from left to right.
struct Data<'r, 'a> {
    line: &'a str,
    at: usize,
    left: usize,
    recall: Recall<'r>,
}

impl<'r, 'a> Data<'r, 'a> {
    fn of(line: &'a str, recall: Recall<'r>) -> Self {
        Self {
            line,
            at: OPENING.find(line.as_bytes()).unwrap_or(line.len()),
            left: FIELDS_MAX,
            recall,
        }
    }

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `</Data><Data Name="c-ip">192.0.2.1</Data>`
        let rest = self.line.get(self.at..)?;
        let (head, meaning) = match self.recall.next(rest) {
            Some(named) => (rest.get(..named.text.len())?, Some(named.meaning)),
            None if rest.starts_with(ENDING) => return None,
            None => {
                let name = OPENING.find(rest.as_bytes())? + OPENING.needle().len();
                let end = name + first(b'>', rest.as_bytes().get(name..)?)?;
                let head = rest.get(..=end)?;
                (head, self.recall.meaning(quoted_name(head)))
            }
        };
        let at = self.at + head.len();
        // A value's own `<` is escaped.
        let (value, _) = split_at_first(b'<', self.line.get(at..)?)?;
        self.at = at + value.len();
        Some(Field {
            head,
            meaning,
            value,
            at,
        })
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

/// The five escapes that XML has of itself.
const ESCAPES: [(&str, char); 5] = [
    ("lt;", '<'),
    ("gt;", '>'),
    ("quot;", '"'),
    ("apos;", '\''),
    ("amp;", '&'),
];

/// Undoes them; other ampersands stay.
fn unescaped(value: Cow<'_, str>) -> Cow<'_, str> {
    let Some((plain, mut rest)) = split_at_first(b'&', &value) else {
        return value;
    };
    let mut text = String::with_capacity(value.len());
    text.push_str(plain);
    loop {
        let mut escapes = ESCAPES.into_iter();
        let escape = escapes.find_map(|(name, meant)| Some((meant, rest.strip_prefix(name)?)));
        let (meant, behind) = escape.unwrap_or(('&', rest));
        text.push(meant);
        let Some((plain, next)) = split_at_first(b'&', behind) else {
            text.push_str(behind);
            return text.into();
        };
        text.push_str(plain);
        rest = next;
    }
}
