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
use super::names::{FieldMap, Slot};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memmem;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "iis_event",
    aliases: &["iis_etw", "iis_xml"],
    about: "Windows events of Microsoft-Windows-IIS-Logging, as XML",
    open: |names| Arc::new(IisEvent(names.clone())),
};

struct IisEvent(FieldMap);

/// What stands before a field's name, and between it and its value.
const OPENING: &str = "<Data Name=";
const CLOSING: &str = "</Data>";

/// More than IIS can log.
const FIELDS_MAX: usize = 64;

impl LineFormat for IisEvent {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let provider = memmem::find(line.as_bytes(), b"Microsoft-Windows-IIS-Logging");
        if !line.starts_with("<Event") || provider.is_none() {
            return Err(SkipReason::Malformed);
        }
        let mut fields = Fields::new(line, event);
        for data in line.split(OPENING).skip(1).take(FIELDS_MAX) {
            let Some((name, value)) = named(data) else {
                continue;
            };
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
        fields.finish()
    }
}

/// `"c-ip">192.0.2.1</Data>`. Headers are called `csUser-Agent`.
fn named(data: &str) -> Option<(Cow<'_, str>, &str)> {
    let (name, rest) = data.split_once('>')?;
    let (value, _) = rest.split_once(CLOSING)?;
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
