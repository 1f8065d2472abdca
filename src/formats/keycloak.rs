//! Keycloak's events: the lines of its log, plain and JSON, and the objects of its event listeners and admin API.
//!
//! In: a line. Out: [`AccessEvent`] of the kind that the event's type is.
//! Does not know: the issuer, which is a URL; the log names the realm. `token_id` is the token's `jti`, `sessionId`
//! its `sid`, so they join without.
//! Source: Keycloak Server Administration Guide, "Configuring auditing to track events",
//! <https://www.keycloak.org/docs/latest/server_admin/#_auditing>; `JBossLoggingEventListenerProvider` (key and
//! value, in quotes since version 21) and `org.keycloak.events.Details`.

use super::fields::Fields;
use super::json::{Dialect, open_dialect};
use super::names::{Meaning, Remembered, Slot};
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
static MARKS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| [" type=", "realmId=", r#""loggerName""#, r#""message""#].map(Finder::new));

impl LineFormat for Keycloak {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if !line.starts_with('{') {
            return self.parse_text(line, event);
        }
        let [.., logger, message] = &*MARKS;
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
        let [kind, realm, ..] = &*MARKS;
        let start = kind.find(line.as_bytes()).ok_or(SkipReason::Malformed)? + 1;
        if realm.find(line.as_bytes()).is_none() {
            return Err(SkipReason::Malformed);
        }
        let mut fields = Fields::new(line, event);
        let time = line.get(..23).ok_or(SkipReason::NoTime)?;
        fields.set(Meaning::of(Slot::Time), || "time".into(), 0, time.into());
        let mut recall = self.pairs.recall();
        let pairs = || pairs(line.get(start..).unwrap_or_default());
        for (index, Pair { text, name, value }) in pairs().enumerate() {
            // Another event was written behind a line that was cut.
            if index > 0 && (name == "type" || name.ends_with(" type")) {
                break;
            }
            let at = value.as_ptr() as usize - line.as_ptr() as usize;
            let known = match recall.next(text) {
                Some(named) => Some(named.meaning),
                None => recall.meaning(name),
            };
            let meaning = known.unwrap_or_else(|| meaning(name));
            // What somebody called himself stands behind his address, and had no quotes round it once.
            if meaning.slot != Slot::Client || !fields.has_client() {
                fields.set(meaning, || name.into(), at, value.into());
            }
        }
        DIALECT.finish(&mut fields)?;
        self.pairs
            .learn(pairs().map(|pair| (pair.name, pair.text, meaning(pair.name))));
        Ok(())
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
    for Pair { name, value, .. } in pairs(&logged.message) {
        let name = name.to_owned();
        let value = value.to_owned().into();
        fields.set(meaning(&name), || name.clone().into(), line.len(), value);
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

/// A name, how it stands in the line with its `=`, and its value.
struct Pair<'a> {
    text: &'a str,
    name: &'a str,
    value: &'a str,
}

/// `key="value", key=value, …`
fn pairs(text: &str) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let equals = first(b'=', rest.as_bytes())?;
        let (text, after) = rest.split_at_checked(equals + 1)?;
        let (value, behind) = match after.strip_prefix('"') {
            // A value that does not end was cut, and is not what it was.
            Some(inner) => split_at(inner, "\", ")
                .or_else(|| inner.trim_end().strip_suffix('"').map(|inner| (inner, "")))
                .unwrap_or((inner.get(..0)?, "")),
            None => split_at(after, ", ").unwrap_or((after.trim_end_matches([',', ' ']), "")),
        };
        rest = behind;
        let name = text.get(..equals)?.trim_ascii();
        Some(Pair { text, name, value })
    })
    .take(PAIRS_MAX)
}

/// The text before and behind the first `separator`.
fn split_at<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let bytes = text.as_bytes();
    let begins = |at: usize| bytes[at..].starts_with(separator.as_bytes());
    let at = first_where(*separator.as_bytes().first()?, bytes, begins)?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}
