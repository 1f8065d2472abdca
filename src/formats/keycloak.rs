//! Keycloak's events: the lines of its log, plain and JSON, and the objects of its event listeners and admin API.
//!
//! In: a line. Out: [`AccessEvent`] of the kind that the event's type is.
//! Does not know: the issuer, which is a URL; the log names the realm. `token_id` is the token's `jti`, `sessionId`
//! its `sid`, so they join without.
//! The last value of a line without quotes round values may have been cut: it then names nobody, unless it is a UUID.
//! Source: Keycloak Server Administration Guide, "Configuring auditing to track events",
//! <https://www.keycloak.org/docs/latest/server_admin/#_auditing>; `JBossLoggingEventListenerProvider` (key and
//! value, in quotes since version 21) and `org.keycloak.events.Details`.

use super::fields::Fields;
use super::json::{Dialect, open_dialect};
use super::names::{Meaning, Recall, Remembered, Slot};
use super::scan::{Extent, Name, Scalar, Sink, scan};
use super::search::{first, first_where};
use super::{Format, LineFormat};
use crate::domain::event::{AccessEvent, EventKind};
use crate::domain::line::SkipReason;
use crate::domain::token::Claim;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

pub(super) static FORMAT: Format = Format {
    name: "keycloak",
    aliases: &["keycloak_events"],
    about: "Keycloak's events: type, realmId, sessionId, token_id, in its log or as JSON",
    open: |names| {
        Arc::new(Keycloak {
            objects: open_dialect(names, &DIALECT),
            pairs: Remembered::default(),
        })
    },
};

static DIALECT: Dialect = Dialect {
    marks: &[&[r#""type""#, r#""realmId""#, r#""ipAddress""#]],
    names: &[
        ("time", Slot::Time, 3),
        ("type", Slot::Kind, 2),
        ("ipAddress", Slot::Client, 3),
        ("userId", Slot::Claim(Claim::Sub), 2),
        ("clientId", Slot::Claim(Claim::Azp), 2),
        ("sessionId", Slot::Claim(Claim::Sid), 2),
        ("error", Slot::Failure, 2),
        ("id", Slot::RequestId, 2),
        ("details.reason", Slot::Failure, 2),
        ("details.username", Slot::User, 2),
        ("details.code_id", Slot::Claim(Claim::Sid), 2),
        ("details.token_id", Slot::Claim(Claim::Jti), 2),
        ("details.refresh_token_id", Slot::Claim(Claim::RefreshId), 2),
        ("details.grant_type", Slot::Grant, 2),
    ],
    kinds: &[
        ("LOGIN", EventKind::Login),
        ("IDENTITY_PROVIDER_LOGIN", EventKind::Login),
        ("LOGIN_ERROR", EventKind::LoginRefused),
        ("IDENTITY_PROVIDER_LOGIN_ERROR", EventKind::LoginRefused),
        ("CODE_TO_TOKEN", EventKind::Issued),
        ("CLIENT_LOGIN", EventKind::Issued),
        ("TOKEN_EXCHANGE", EventKind::Issued),
        ("OAUTH2_DEVICE_CODE_TO_TOKEN", EventKind::Issued),
        ("AUTHREQID_TO_TOKEN", EventKind::Issued),
        ("CODE_TO_TOKEN_ERROR", EventKind::LoginRefused),
        ("REFRESH_TOKEN", EventKind::Refreshed),
        ("REFRESH_TOKEN_ERROR", EventKind::RefreshRefused),
        ("REVOKE_GRANT", EventKind::Revoked),
        ("LOGOUT", EventKind::Logout),
    ],
    tells_failure: false,
};

/// More pairs than any event has.
const PAIRS_MAX: usize = 128;

struct Keycloak {
    objects: Arc<dyn LineFormat>,
    /// The names of the pairs in its plain log.
    pairs: Remembered,
}

/// What gives its lines away, plain and in JSON.
static MARKS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [" type=", r#""loggerName""#, r#""message""#].map(Finder::new));

impl LineFormat for Keycloak {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if !line.starts_with('{') {
            return self.parse_text(line, event);
        }
        let [_, logger, message] = &*MARKS;
        let has = |mark: &Finder<'_>| mark.find(line.as_bytes()).is_some();
        if has(logger) && has(message) {
            parse_logged(line, event)
        } else {
            self.objects.parse(line, event)
        }
    }
}

impl Keycloak {
    /// `2026-05-04 10:11:12,345 DEBUG [org.keycloak.events] (executor-thread-1) type="LOGIN", realmId="…", …`
    fn parse_text<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let [kind, ..] = &*MARKS;
        let start = kind.find(line.as_bytes()).ok_or(SkipReason::Malformed)? + 1;
        let text = line.get(start..).unwrap_or_default();
        let mut fields = Fields::new(line, event);
        let time = line.get(..23).ok_or(SkipReason::NoTime)?;
        fields.set(Meaning::of(Slot::Time), || "time".into(), 0, time.into());
        let mut pairs = Pairs::of(text, self.pairs.recall());
        let mut has_realm = false;
        while let Some(pair) = pairs.next() {
            has_realm |= pair.text == "realmId=";
            let at = pair.value.as_ptr() as usize - line.as_ptr() as usize;
            let meaning = pair.meaning.unwrap_or_else(|| meaning(pair.name()));
            if pairs.may_be_cut && names_somebody(meaning.slot) && !is_uuid(pair.value) {
                continue;
            }
            // What somebody called himself stands behind his address, and had no quotes round it once.
            if meaning.slot != Slot::Client || !fields.has_client() {
                fields.set(meaning, || pair.name().into(), at, pair.value.into());
            }
        }
        if !has_realm {
            return Err(SkipReason::Malformed);
        }
        DIALECT.finish(&mut fields)?;
        self.learn(text);
        Ok(())
    }

    fn learn(&self, text: &str) {
        let mut pairs = Pairs::of(text, Recall::default());
        self.pairs.learn(std::iter::from_fn(|| {
            let pair = pairs.next()?;
            Some((pair.name(), pair.text, meaning(pair.name())))
        }));
    }
}

/// The same as the `message` of one of Quarkus's JSON lines.
fn parse_logged<'a>(line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
    let mut logged = Logged::default();
    let extent = scan(line, &mut logged)?;
    if extent == Extent::Cut || !logged.message.contains("realmId=") {
        return Err(SkipReason::Malformed);
    }
    let mut fields = Fields::new(line, event);
    fields.set(
        Meaning::of(Slot::Time),
        || "timestamp".into(),
        0,
        logged.time,
    );
    let mut pairs = Pairs::of(&logged.message, Recall::default());
    while let Some(pair) = pairs.next() {
        let name = || pair.name().to_owned().into();
        let value = pair.value.to_owned().into();
        fields.set(meaning(pair.name()), name, line.len(), value);
    }
    DIALECT.finish(&mut fields)
}

#[derive(Default)]
struct Logged<'a> {
    time: Cow<'a, str>,
    message: Cow<'a, str>,
}

impl<'a> Sink<'a> for Logged<'a> {
    fn value(&mut self, name: Name<'_, 'a>, scalar: Scalar<'a>) -> Result<(), SkipReason> {
        match name.as_str() {
            "timestamp" => self.time = scalar.text()?,
            "message" => self.message = scalar.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// The details stand beside the event's own fields in the log.
fn meaning(name: &str) -> Meaning {
    let known = DIALECT
        .names
        .iter()
        .find(|(known, ..)| *known == name || known.strip_prefix("details.") == Some(name));
    match known {
        Some(&(_, Slot::Time | Slot::RequestId, _)) | None => Meaning::OTHER,
        Some(&(_, slot, rank)) => Meaning { slot, rank },
    }
}

/// What makes another person of an event when its end is missing.
fn names_somebody(slot: Slot) -> bool {
    matches!(slot, Slot::Client | Slot::Claim(_))
}

/// True for the ids that Keycloak makes: one whose end is missing is shorter.
fn is_uuid(text: &str) -> bool {
    let is_of_uuid = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    text.len() == 36 && text.bytes().all(is_of_uuid)
}

/// How a name stands in the line with its `=`, what it means where that is remembered, and its value.
struct Pair<'a> {
    text: &'a str,
    meaning: Option<Meaning>,
    value: &'a str,
}

impl<'a> Pair<'a> {
    fn name(&self) -> &'a str {
        self.text.trim_end_matches('=').trim_ascii()
    }
}

/// `key="value", key=value, …`, up to where another event was written behind one that was cut.
struct Pairs<'r, 'a> {
    text: &'a str,
    at: usize,
    left: usize,
    /// The line ends with the value that was given last, without a quote to say that it is all of it.
    may_be_cut: bool,
    recall: Recall<'r>,
}

impl<'r, 'a> Pairs<'r, 'a> {
    fn of(text: &'a str, recall: Recall<'r>) -> Self {
        Self {
            text,
            at: 0,
            left: PAIRS_MAX,
            may_be_cut: false,
            recall,
        }
    }

    #[inline(always)]
    fn next(&mut self) -> Option<Pair<'a>> {
        self.left = self.left.checked_sub(1)?;
        let name = self.at;
        let (length, meaning) = match self.recall.next(self.text.as_bytes().get(name..)?) {
            Some(named) => (named.text.len(), Some(named.meaning)),
            None => self.unexpected(name)?,
        };
        let value = self.value(name + length)?;
        Some(Pair {
            text: self.text.get(name..name + length)?,
            meaning,
            value,
        })
    }

    /// The length of a name that did not stand here in the line that is remembered, and what it means.
    fn unexpected(&mut self, at: usize) -> Option<(usize, Option<Meaning>)> {
        let rest = self.text.get(at..)?;
        let equals = first(b'=', rest.as_bytes())?;
        let name = rest.get(..equals)?.trim_ascii();
        let is_another = at > 0 && (name == "type" || name.ends_with(" type"));
        (!is_another).then_some((equals + 1, self.recall.meaning(name)))
    }

    /// The value that begins at `begin`.
    #[inline(always)]
    fn value(&mut self, begin: usize) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(begin..)?;
        let quotes = usize::from(rest.first() == Some(&b'"'));
        let is_end = |comma: usize| {
            let is_quoted = || comma > 1 && rest[comma - 1] == b'"';
            rest.get(comma + 1) == Some(&b' ') && (quotes == 0 || is_quoted())
        };
        let Some(comma) = first_where(b',', rest, is_end) else {
            return self.last_value(begin);
        };
        self.at = begin + comma + 2;
        self.text.get(begin + quotes..begin + comma - quotes)
    }

    fn last_value(&mut self, begin: usize) -> Option<&'a str> {
        self.at = self.text.len();
        let value = self.text.get(begin..)?;
        self.may_be_cut = !value.starts_with('"');
        match value.strip_prefix('"') {
            // A value that does not end was cut, and is not what it was.
            Some(inner) => inner.trim_end().strip_suffix('"').or(inner.get(..0)),
            None => Some(value.trim_end_matches([',', ' '])),
        }
    }
}
