//! Error logs of nginx, Apache httpd and LiteSpeed, as far as they tell of a client.
//!
//! In: a line. Out: [`AccessEvent`] of kind [`Note`](crate::domain::event::EventKind::Note): who it was about and
//! what was asked for. The request has its own line in the access log.
//! Does not know: messages, which it does not read. Lines that name no client are skipped.
//! Source: nginx `src/core/ngx_log.c` and `ngx_http_log_error_handler` (`, client: …, server: …, request: "…"`);
//! Apache httpd "ErrorLogFormat", <https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat>; OpenLiteSpeed
//! `error.log`.

use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memmem;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "error_log",
    aliases: &["nginx_error", "apache_error", "litespeed_error"],
    about: "error logs of nginx, Apache and LiteSpeed, where they name a client",
    open: |_| Arc::new(ErrorLog),
};

struct ErrorLog;

impl LineFormat for ErrorLog {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: Option<&'a str>| {
            if let Some(value) = value {
                let at = value.as_ptr() as usize - line.as_ptr() as usize;
                fields.set(Meaning::of(slot), || "extra".into(), at, value.into());
            }
        };
        let client = if let Some(rest) = line.strip_prefix('[') {
            let (time, _) = rest.split_once(']').ok_or(SkipReason::Malformed)?;
            set(Slot::Time, Some(time));
            between(line, "[client ", "]")
        } else if line.as_bytes().get(4) == Some(&b'-') {
            let (time, rest) = line.split_once(" [").ok_or(SkipReason::Malformed)?;
            set(Slot::Time, Some(time));
            litespeed_client(rest)
        } else {
            let time = line.get(..19).filter(|time| time.as_bytes()[4] == b'/');
            set(Slot::Time, Some(time.ok_or(SkipReason::Malformed)?));
            between(line, ", client: ", ",").or_else(|| line.split_once(", client: ").map(|c| c.1))
        };
        set(Slot::Remote, Some(client.ok_or(SkipReason::Malformed)?));
        // The last ones, for what a message quotes is the client's to choose.
        set(Slot::Request, between_last(line, ", request: \"", "\""));
        // Apache's words when a password is wrong.
        set(
            Slot::Target,
            between(line, "authentication failure for \"", "\""),
        );
        let not_found = line.split_once(" not found: ").map(|(_, uri)| uri);
        set(
            Slot::Target,
            not_found.and_then(|uri| uri.split(", referer: ").next()),
        );
        set(Slot::Host, between_last(line, ", host: \"", "\""));
        set(Slot::Referer, between_last(line, ", referrer: \"", "\""));
        set(
            Slot::Referer,
            line.rsplit_once(", referer: ").map(|(_, referer)| referer),
        );
        fields.finish_note()
    }
}

/// `[INFO] [1226038] [192.0.2.1:61120-5#Example] …` of LiteSpeed, behind its first bracket.
fn litespeed_client(rest: &str) -> Option<&str> {
    let connection = rest.split("] [").nth(2)?;
    let node = connection.split(['-', '#', ']']).next()?;
    // The protocol may stand behind the port: `192.0.2.1:45164:HTTP2-41`.
    let named = node
        .rsplit_once(':')
        .filter(|(_, name)| name.starts_with('H'));
    Some(named.map_or(node, |(node, _)| node))
}

fn between<'a>(line: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let start = memmem::find(line.as_bytes(), before.as_bytes())? + before.len();
    let rest = line.get(start..)?;
    rest.get(..memmem::find(rest.as_bytes(), behind.as_bytes())?)
}

fn between_last<'a>(line: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let start = memmem::rfind(line.as_bytes(), before.as_bytes())? + before.len();
    let rest = line.get(start..)?;
    rest.get(..memmem::find(rest.as_bytes(), behind.as_bytes())?)
}
