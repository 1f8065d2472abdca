//! CORE: one file per log format, and what finds out which one a log is in.
//!
//! In: a line, a format's name, an nginx or Apache format string, or the first lines of a log. Out: [`Parser`] and its
//! [`AccessEvent`]s, [`Detection`].
//! Does not know: files, proxies that are trusted (see [`client_address`]), tokens.
//!
//! To add a format: one file with a `FORMAT`, its folder in `tests/fixtures/formats/`, and its two lines here.

pub mod client_address;
pub mod detect;

mod apache;
mod apache_ssl_request;
mod auth0;
mod aws_alb;
mod aws_api_gateway;
mod aws_cloudtrail;
mod azure_application_gateway;
mod azure_front_door;
mod cloudflare;
mod combined;
mod cut;
mod entra;
mod envoy;
mod error_log;
mod fields;
#[cfg(test)]
mod fixtures;
mod gcp_load_balancer;
mod gin;
mod haproxy;
#[cfg(test)]
mod hostile;
mod iis_event;
mod json;
mod keycloak;
mod kong;
mod kubernetes_audit;
mod log_format;
mod logfmt;
mod loose;
mod ltsv;
mod mixed;
mod names;
mod nginx_proxy_manager;
mod okta;
mod request;
mod scan;
mod search;
mod text;
mod text_json;
mod time;
mod vocabulary;
mod w3c;
mod zoraxy;

pub use detect::{Detection, detect, detect_wrapped};
pub use names::FieldMap;

use crate::domain::clock::{Clock, Stamp};
use crate::domain::event::{AccessEvent, Carrier, CarrierKind, EventKind};
use crate::domain::line::{Chunk, SkipReason};
use crate::domain::time::Time;
use std::fmt;
use std::sync::Arc;

/// Every format that has a name, in the order detection prefers them when they fit equally.
pub const ALL: &[&Format] = &[
    // Dialects before the JSON that anybody may write.
    &cloudflare::FORMAT,
    &kong::FORMAT,
    &gcp_load_balancer::FORMAT,
    &azure_application_gateway::FORMAT,
    &azure_front_door::FORMAT,
    &aws_api_gateway::FORMAT,
    &aws_cloudtrail::FORMAT,
    &kubernetes_audit::FORMAT,
    &keycloak::FORMAT,
    &auth0::FORMAT,
    &okta::FORMAT,
    &entra::FORMAT,
    &json::FORMAT,
    &combined::FORMAT,
    &nginx_proxy_manager::FORMAT,
    &haproxy::FORMAT,
    &envoy::FORMAT,
    &aws_alb::FORMAT,
    &w3c::FORMAT,
    &iis_event::FORMAT,
    &zoraxy::FORMAT,
    &gin::FORMAT,
    &apache_ssl_request::FORMAT,
    &text_json::FORMAT,
    &error_log::FORMAT,
    &ltsv::FORMAT,
    &logfmt::FORMAT,
    // Last: it reads some of what many of those above read better.
    &loose::FORMAT,
];

/// One kind of log.
pub struct Format {
    /// Its name in `--format`, configuration and reports.
    pub name: &'static str,
    /// Other names it answers to.
    pub aliases: &'static [&'static str],
    /// What it looks like, in a few words.
    pub about: &'static str,
    open: fn(&FieldMap) -> Arc<dyn LineFormat>,
}

/// What a format does. A line that does not fit is no error of anybody's: it is counted and skipped.
trait LineFormat: Send + Sync {
    /// Fills `event`, which is blank; where that fails, what was filled by then means nothing.
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason>;

    /// The format of what follows a line that describes it (`#Fields:`); `None` for any other line.
    fn after(&self, _directive: &str) -> Option<Arc<dyn LineFormat>> {
        None
    }

    /// True for a format in which such lines stand.
    fn has_directives(&self) -> bool {
        false
    }
}

/// One format, ready to read lines. Cheap to clone; clones may be used on many threads.
#[derive(Clone)]
pub struct Parser {
    name: Arc<str>,
    format: Arc<dyn LineFormat>,
    /// Completes stamps without a zone or a year; none reads them as UTC, and those without a year not at all.
    clock: Option<Arc<Clock>>,
    /// Its events say that anybody could have written them.
    unvouched: bool,
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parser({})", self.name)
    }
}

impl Parser {
    /// The parser that `--format` and `format =` describe: a name of [`ALL`], or a format string, which has a `$` or
    /// `%` in it.
    ///
    /// # Errors
    /// [`FormatFault`] for an unknown name or a string that cannot be compiled.
    pub fn from_spec(spec: &str, fields: &FieldMap) -> Result<Self, FormatFault> {
        if spec.contains(['$', '%']) {
            return log_format::open(spec, fields).map(|format| Self::new("log_format", format));
        }
        let format = ALL
            .iter()
            .find(|format| format.name == spec || format.aliases.contains(&spec))
            .ok_or_else(|| FormatFault::UnknownName {
                name: spec.to_owned(),
                known: ALL
                    .iter()
                    .map(|format| format.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
        Ok(format.parser(fields))
    }

    /// The format of that name or alias.
    ///
    /// # Errors
    /// [`FormatFault::UnknownName`] with the names there are.
    pub fn named(name: &str) -> Result<Self, FormatFault> {
        Self::from_spec(name, &FieldMap::default())
    }

    /// Compiles the body of an nginx `log_format` (with or without `escape=…` and quotes), or an Apache `LogFormat`
    /// string.
    ///
    /// # Errors
    /// [`FormatFault`] when nothing tells where a variable ends, or there is no variable or no time.
    pub fn from_log_format(body: &str) -> Result<Self, FormatFault> {
        let format = log_format::open(body, &FieldMap::default())?;
        Ok(Self::new("log_format", format))
    }

    /// JSON lines with the usual names, and those of `fields`.
    pub fn json(fields: FieldMap) -> Self {
        json::FORMAT.parser(&fields)
    }

    fn new(name: &str, format: Arc<dyn LineFormat>) -> Self {
        Self {
            name: name.into(),
            format,
            clock: None,
            unvouched: false,
        }
    }

    /// The same for a source that anybody can write to, when `unvouched`.
    #[must_use]
    pub fn with_doubt(self, unvouched: bool) -> Self {
        Self { unvouched, ..self }
    }

    /// The same, with what completes the stamps of its source.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self {
            clock: Some(Arc::new(clock)),
            ..self
        }
    }

    /// The format's name, as reports and metrics show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one line, given without its ending. The event borrows from it.
    ///
    /// # Errors
    /// Why there is no event, to be counted.
    pub fn parse<'a>(&self, line: &'a str) -> Result<AccessEvent<'a>, SkipReason> {
        let mut event = AccessEvent::default();
        self.parse_into(line, None, &mut event)?;
        Ok(event)
    }

    /// Reads one line into `event`, which is blank: an event is too large to be moved for every line. When a wrapper
    /// says that the line was `written`, that counts for what the line does not say itself.
    ///
    /// # Errors
    /// As [`Self::parse`]; the event then means nothing.
    pub fn parse_into<'a>(
        &self,
        line: &'a str,
        written: Option<Time>,
        event: &mut AccessEvent<'a>,
    ) -> Result<(), SkipReason> {
        self.read(line, written, event)
            .map_err(|reason| explain(line, reason))
    }

    /// The same, with a reason that says less, for who asks a format about lines that are not its own.
    #[inline]
    fn read<'a>(
        &self,
        line: &'a str,
        written: Option<Time>,
        event: &mut AccessEvent<'a>,
    ) -> Result<(), SkipReason> {
        let line = text::begun(line);
        let parsed = self.format.parse(line, event);
        event.unvouched = self.unvouched;
        // Nearly every line.
        if parsed.is_ok() && event.stamp == Stamp::Whole {
            return Ok(());
        }
        parsed.and_then(|()| self.complete(event, written))
    }

    /// Completes the stamp of an event.
    #[cold]
    fn complete(
        &self,
        event: &mut AccessEvent<'_>,
        written: Option<Time>,
    ) -> Result<(), SkipReason> {
        let utc = || Clock::utc(written.unwrap_or_default());
        let time = match (&self.clock, event.stamp, written) {
            // About nothing there is no year.
            (None, Stamp::NoYear, None) => None,
            (Some(clock), stamp, written) => clock.complete(event.time, stamp, written),
            (None, stamp, written) => utc().complete(event.time, stamp, written),
        };
        let reason = match event.stamp {
            Stamp::Absent => SkipReason::NoTime,
            _ => SkipReason::BadTime,
        };
        event.time = time.ok_or(reason)?;
        Ok(())
    }
}

impl Parser {
    /// Hears a line that may describe those after it (`#Fields:` of W3C logs).
    #[inline]
    pub fn follow(&mut self, line: &str) {
        let line = text::begun(line);
        if line.starts_with('#')
            && let Some(format) = self.format.after(line)
        {
            self.format = format;
        }
    }

    /// True when lines may describe those after them.
    pub fn hears(&self) -> bool {
        self.format.has_directives()
    }

    /// Hears all lines of a chunk at once: how the chunk after it begins.
    pub fn follow_chunk(&mut self, chunk: &Chunk) {
        if self.format.has_directives() {
            chunk.lines().for_each(|line| self.follow(line.text));
        }
    }
}

impl Format {
    fn parser(&self, fields: &FieldMap) -> Parser {
        Parser::new(self.name, (self.open)(fields))
    }
}

/// What is left of a line that no format reads, where a token may stand in it. Its time is what a wrapper says, else
/// not known.
pub fn note(line: &str, written: Option<Time>) -> Option<AccessEvent<'_>> {
    let carrier = Carrier {
        kind: CarrierKind::Field,
        name: "line".into(),
        text: line.into(),
    };
    text::holds_token(line).then(|| AccessEvent {
        kind: EventKind::Note,
        time: written.unwrap_or_default(),
        carriers: [carrier].into_iter().collect(),
        ..AccessEvent::default()
    })
}

/// A better reason than "malformed" for lines that no format was meant to read.
#[cold]
fn explain(line: &str, reason: SkipReason) -> SkipReason {
    let text = line.trim_matches(|c: char| c.is_whitespace() || text::BEFORE_LINES.contains(&c));
    let is_binary = |c: char| c == char::REPLACEMENT_CHARACTER || (c.is_control() && c != '\t');
    match reason {
        _ if text.is_empty() => SkipReason::Empty,
        _ if text.starts_with('#') => SkipReason::Comment,
        SkipReason::Malformed | SkipReason::NoTime if text.contains(is_binary) => {
            SkipReason::Binary
        }
        reason => reason,
    }
}

/// Why there is no parser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// No format has that name.
    #[error("no log format is called `{name}`: use auto, {known}, or an nginx log_format string")]
    UnknownName {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// `[source.fields]` names something we do not have.
    #[error("no field is called `{name}`: the left side is one of {known}")]
    UnknownField {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A format string has no variables.
    #[error("the format `{0}` has no $variable or %directive in it")]
    NoVariables(String),
    /// A format string has no time.
    #[error("the format has no time: add $time_iso8601, $time_local or $msec (Apache: %t) to it")]
    NoTime,
    /// Two variables stand side by side.
    #[error(
        "nothing tells where `{first}` ends and `{second}` begins: put a space or a quote between them"
    )]
    NotSeparated {
        /// The variable on the left.
        first: String,
        /// The variable on the right.
        second: String,
    },
    /// A directive of an Apache format is not known, so neither is what it prints.
    #[error("`{0}` is no directive of Apache's LogFormat")]
    UnknownDirective(String),
    /// No format fits the lines.
    #[error(
        "no known format fits these {lines} lines ({tried}): name one with --format, or give the gateway's \
         log_format string"
    )]
    Undetected {
        /// How many lines there were that were not blank or comments.
        lines: usize,
        /// What came nearest, and the share of lines each could read.
        tried: String,
    },
}
