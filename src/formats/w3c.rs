//! W3C extended logs, whose `#Fields` line says what stands in them and may change in the middle: IIS, CloudFront.
//!
//! In: a line, and the directives before it. Out: [`AccessEvent`].
//! Does not know: lines without any `#Fields` before them, except in the default layouts of IIS and CloudFront.
//! Source: W3C Working Draft "Extended Log File Format", <https://www.w3.org/TR/WD-logfile.html>; Microsoft, "W3C
//! Logging", <https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging>; AWS, "Standard logging (access
//! logs)", <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html>.
//!
//! IIS separates by spaces and writes `+` for those inside headers; CloudFront separates by tabs and percent-encodes
//! headers once. Times are UTC in both. The date of lines that have a time alone is that of `#Date`.

use super::fields::Fields;
use super::names::{FieldMap, Meaning, Slot};
use super::text::{percent_decoded, plus_decoded};
use super::{Format, LineFormat, time};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memmem};
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "w3c",
    aliases: &["w3c_extended", "iis", "cloudfront", "aws_cloudfront"],
    about: "values in the order of the last #Fields line (IIS, CloudFront)",
    open: |names| Arc::new(W3c::of(names.clone(), None)),
};

/// What IIS writes unless told otherwise.
const IIS: &str = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip \
                   cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";

/// What CloudFront writes, which nobody can change.
const CLOUDFRONT: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem \
                          sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) \
                          x-edge-result-type x-edge-request-id x-host-header cs-protocol \
                          cs-bytes time-taken x-forwarded-for";

/// More columns than any server can log.
const COLUMNS_MAX: usize = 256;

#[derive(Clone)]
struct W3c {
    names: FieldMap,
    /// What `#Fields` said; `None` before the first.
    columns: Option<Arc<[Column]>>,
    defaults: [Arc<[Column]>; 2],
    /// What `#Date` said.
    begun: Option<Begun>,
}

/// When a log was begun, for lines that have a time of day alone.
#[derive(Clone)]
struct Begun {
    date: Box<str>,
    day_after: Box<str>,
    clock: Box<str>,
}

struct Column {
    name: Box<str>,
    meaning: Meaning,
    /// A header, which the server escaped.
    escaped: bool,
}

impl W3c {
    fn of(names: FieldMap, columns: Option<Arc<[Column]>>) -> Self {
        let defaults = [IIS, CLOUDFRONT].map(|fields| columns_of(fields, &names));
        Self {
            names,
            columns,
            defaults,
            begun: None,
        }
    }

    /// The date of a line that has none itself.
    fn date_of(&self, clock: &str) -> Option<String> {
        let begun = self.begun.as_ref()?;
        // Such a log is begun anew at least once a day, so an earlier hour is the next day's.
        let is_day_after = begun.clock.get(..2)? > clock.get(..2)?;
        let date = if is_day_after {
            &begun.day_after
        } else {
            &begun.date
        };
        Some(date.to_string())
    }
}

impl Begun {
    /// `2026-05-04 10:11:12`
    fn of(directive: &str) -> Option<Self> {
        let (date, clock) = directive.trim().split_once(' ')?;
        let (day, _) = time::read(&format!("{date}T00:00:00Z"))?;
        let day_after = day.plus_ms(86_400_000).to_string();
        Some(Self {
            date: date.into(),
            day_after: day_after.get(..10)?.into(),
            clock: clock.into(),
        })
    }
}

fn columns_of(fields: &str, names: &FieldMap) -> Arc<[Column]> {
    let column = |name: &str| {
        // `cs(User-Agent)` is the header User-Agent, as `cs-user-agent` would be.
        let header = name
            .strip_prefix("cs(")
            .and_then(|rest| rest.strip_suffix(')'));
        let meaning = match (names.override_of(name), header) {
            (Some(meaning), _) => meaning,
            (None, Some(header)) => names.meaning(&format!("cs-{header}")),
            (None, None) => names.meaning(name),
        };
        let escaped = header.is_some()
            || matches!(
                meaning.slot,
                Slot::UserAgent
                    | Slot::Referer
                    | Slot::Cookie
                    | Slot::User
                    | Slot::Chain
                    | Slot::Header
            );
        Column {
            name: name.into(),
            meaning,
            escaped,
        }
    };
    fields
        .split_whitespace()
        .take(COLUMNS_MAX)
        .map(column)
        .collect()
}

impl LineFormat for W3c {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if line.starts_with('#') {
            return Err(SkipReason::Comment);
        }
        let tabs = memchr(b'\t', line.as_bytes()).is_some();
        let columns = match &self.columns {
            Some(columns) => columns,
            None if begins_with_a_date(line) => &self.defaults[usize::from(tabs)],
            None => return Err(SkipReason::Malformed),
        };
        let mut fields = Fields::new(line, event);
        let separator = if tabs { b'\t' } else { b' ' };
        let dated = columns.iter().any(|c| c.meaning.slot == Slot::Date);
        // One quote that does not end is enough: the others are looked for in vain.
        let (mut at, mut unbalanced) = (0, false);
        for (index, column) in columns.iter().enumerate() {
            let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            let (raw, used) = match (!unbalanced).then(|| quoted(rest, separator)).flatten() {
                Some(quoted) => quoted,
                None => {
                    unbalanced |= rest.starts_with('"');
                    bare(rest, separator)
                }
            };
            let is_cut = at + used >= line.len() && index + 1 < columns.len();
            if is_cut && names_somebody(column.meaning.slot) {
                break; // somebody else, perhaps
            }
            let value = match (column.escaped, tabs) {
                (true, true) => percent_decoded(raw),
                (true, false) => plus_decoded(raw),
                (false, _) => raw.into(),
            };
            let start = at + usize::from(rest.starts_with('"'));
            if column.meaning.slot == Slot::Time
                && let Some(date) = self.date_of(&value).filter(|_| !dated)
            {
                fields.set(Meaning::of(Slot::Date), || "date".into(), 0, date.into());
            }
            fields.set(
                column.meaning,
                || column.name.to_string().into(),
                start,
                value,
            );
            at += used + 1;
        }
        fields.finish()?;
        // Nothing said what the columns are, and an application's lines begin with a date, too.
        if self.columns.is_none() && event.client.is_none() {
            return Err(SkipReason::Malformed);
        }
        Ok(())
    }

    fn after(&self, directive: &str) -> Option<Arc<dyn LineFormat>> {
        let mut after = self.clone();
        if let Some(fields) = directive.strip_prefix("#Fields:") {
            after.columns = Some(columns_of(fields, &self.names));
        } else {
            after.begun = Some(Begun::of(directive.strip_prefix("#Date:")?)?);
        }
        Some(Arc::new(after))
    }

    fn has_directives(&self) -> bool {
        true
    }
}

/// True for what means somebody or something else when its end is missing.
fn names_somebody(slot: Slot) -> bool {
    matches!(
        slot,
        Slot::Remote
            | Slot::Client
            | Slot::Peer
            | Slot::Chain
            | Slot::Host
            | Slot::User
            | Slot::Claim(_)
            | Slot::Hash
    )
}

/// A value in quotes, which the draft allows and IIS does not use, and how long it is with them.
fn quoted(rest: &str, separator: u8) -> Option<(&str, usize)> {
    let inner = rest.strip_prefix('"')?;
    let end = memmem::find(inner.as_bytes(), &[b'"', separator])
        .or_else(|| inner.ends_with('"').then(|| inner.len() - 1))?;
    Some((inner.get(..end)?, end + 2))
}

/// A value without quotes, and how long it is.
fn bare(rest: &str, separator: u8) -> (&str, usize) {
    let end = memchr(separator, rest.as_bytes()).unwrap_or(rest.len());
    (rest.get(..end).unwrap_or_default(), end)
}

/// `2026-05-04`, and a space or tab behind it.
fn begins_with_a_date(line: &str) -> bool {
    let is_digit = |at: usize| line.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    [0, 1, 2, 3, 5, 6, 8, 9, 11, 12].into_iter().all(is_digit)
        && line.as_bytes().get(4) == Some(&b'-')
        && matches!(line.as_bytes().get(10), Some(b' ' | b'\t'))
        && line.as_bytes().get(13) == Some(&b':')
        && matches!(line.as_bytes().get(19), Some(b' ' | b'\t'))
}
