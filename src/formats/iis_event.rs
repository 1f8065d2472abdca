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
use super::names::{Remembered, Slot};
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

/// More than IIS can log.
const FIELDS_MAX: usize = 64;

impl LineFormat for IisEvent {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if !line.starts_with("<Event") || PROVIDER.find(line.as_bytes()).is_none() {
            return Err(SkipReason::Malformed);
        }
        let mut fields = Fields::new(line, event);
        for (name, value) in named(line) {
            let meaning = self.0.meaning(&name);
            let at = value.as_ptr() as usize - line.as_ptr() as usize;
            let value = match meaning.slot {
                Slot::UserAgent | Slot::Referer | Slot::Cookie | Slot::Header | Slot::Chain => {
                    Cow::Owned(value.replace('+', " "))
                }
                _ => Cow::Borrowed(value),
            };
            fields.set(meaning, || name, at, unescaped(value));
        }
        fields.finish()?;
        self.0.learn(named(line).map(|(name, _)| name));
        Ok(())
    }
}

/// The names of a line's fields, and their values.
fn named(line: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let begins = OPENING.find_iter(line.as_bytes()).take(FIELDS_MAX);
    begins.filter_map(|at| named_in(line.get(at + OPENING.needle().len()..)?))
}

/// `"c-ip">192.0.2.1</Data>`. Headers are called `csUser-Agent`.
fn named_in(data: &str) -> Option<(Cow<'_, str>, &str)> {
    let (name, rest) = data.split_once('>')?;
    // A value's own `<` is escaped.
    let value = rest.get(..memchr(b'<', rest.as_bytes())?)?;
    let name = name.trim().trim_matches(['"', '\'']);
    let header = name
        .strip_prefix("cs")
        .filter(|rest| rest.starts_with(char::is_uppercase));
    Some(match header {
        Some(header) => (format!("cs-{header}").into(), value),
        None => (name.into(), value),
    })
}

/// Undoes the five escapes that XML has of itself.
fn unescaped(value: Cow<'_, str>) -> Cow<'_, str> {
    if !value.contains('&') {
        return value;
    }
    let escapes = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let undone = escapes
        .iter()
        .fold(value.into_owned(), |text, (escape, meant)| {
            text.replace(escape, meant)
        });
    undone.into()
}
