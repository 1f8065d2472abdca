//! Error logs of nginx, Apache httpd and LiteSpeed, as far as they tell of a client.
//!
//! In: a line. Out: [`AccessEvent`] of kind [`Note`](crate::domain::event::EventKind::Note): who it was about and
//! what was asked for. The request has its own line in the access log.
//! Does not know: messages, but for those that say what was asked for. Lines that name no client are skipped.
//! Source: nginx `src/core/ngx_log.c` and `ngx_http_log_error_handler` (`, client: …, server: …, request: "…"`);
//! Apache httpd "ErrorLogFormat", <https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat>; OpenLiteSpeed
//! `error.log`; ModSecurity, "Message format" (`[hostname "…"] [uri "…"]`).
//!
//! Messages quote what the client sent, and nginx escapes nothing in them. So where a line names two clients, it is
//! about none: one of them may be made up. A line that nginx cut is about none either. One that something else cut
//! looks like a whole one, so a transport's limit should not be below nginx's 2,048 bytes.

use super::client_address::without_port;
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memmem::{self, Finder};
use std::sync::{Arc, LazyLock};

pub(super) static FORMAT: Format = Format {
    name: "error_log",
    aliases: &["nginx_error", "apache_error", "litespeed_error"],
    about: "error logs of nginx, Apache and LiteSpeed, where they name a client",
    open: |_| Arc::new(ErrorLog),
};

struct ErrorLog;

impl LineFormat for ErrorLog {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let note = Note {
            line,
            fields: Fields::new(line, event),
        };
        match line.as_bytes() {
            [b'[', ..] => note.apache(),
            [_, _, _, _, b'-', ..] => note.litespeed(),
            _ => note.nginx(),
        }
    }
}

/// nginx cuts its lines at 2,048 bytes with their end (`NGX_MAX_ERROR_STR`).
const NGINX_BYTES_MAX: usize = 2_047;

/// What stands before the client.
static CLIENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(", client: "));

/// The names a line of nginx may have behind its client, in their order.
static NGINX: LazyLock<[(Finder<'static>, Option<Slot>); 7]> = LazyLock::new(|| {
    [
        (Finder::new(", server: "), None),
        (Finder::new(", login: \""), Some(Slot::User)), // a mail proxy
        (Finder::new(", request: \""), Some(Slot::Request)),
        (Finder::new(", subrequest: \""), None),
        (Finder::new(", upstream: \""), None),
        (Finder::new(", host: \""), Some(Slot::Host)),
        (Finder::new(", referrer: \""), Some(Slot::Referer)),
    ]
});

/// One line and what is known of it.
struct Note<'e, 'a> {
    line: &'a str,
    fields: Fields<'e, 'a>,
}

impl<'a> Note<'_, 'a> {
    fn set(&mut self, slot: Slot, value: Option<&'a str>) {
        if let Some(value) = value {
            let at = value.as_ptr() as usize - self.line.as_ptr() as usize;
            let meaning = Meaning::of(slot);
            self.fields
                .set(meaning, || "extra".into(), at, value.into());
        }
    }

    /// `2026/05/04 10:11:12 [error] 7#7: *9 message, client: 192.0.2.1, server: …, request: "…", host: "…"`, perhaps
    /// with a host before it.
    fn nginx(mut self) -> Result<(), SkipReason> {
        let time = |line: &'a str| line.get(..19).filter(|time| is_nginx_time(time));
        let behind_host = || self.line.split_once(' ').and_then(|(_, rest)| time(rest));
        let time = time(self.line).or_else(behind_host);
        self.set(Slot::Time, Some(time.ok_or(SkipReason::Malformed)?));
        let (client, named) = self.nginx_client().ok_or(SkipReason::Malformed)?;
        self.set(Slot::Remote, client);
        // `*9 user "alice": password mismatch, client: …`
        let message = self.line.split_once(": *").map(|(_, rest)| rest);
        let refused = message.and_then(|text| text.split_once(' ')?.1.strip_prefix("user \""));
        self.set(Slot::User, refused.and_then(|text| text.split('"').next()));
        self.nginx_values(named);
        self.fields.finish_note()
    }

    /// Who the line is about: `None` where nobody is named, and nobody where two are. And what is behind it.
    fn nginx_client(&self) -> Option<(Option<&'a str>, &'a str)> {
        let behind = |text: &'a str| {
            let at = CLIENT.find(text.as_bytes())? + CLIENT.needle().len();
            text.get(at..)
        };
        let Some(named) = behind(self.line) else {
            // A mail proxy: `*9 client 192.0.2.1:53044 connected to 0.0.0.0:25`.
            let (_, message) = self.line.split_once(": *")?;
            let (_, message) = message.split_once(" client ")?;
            return Some((Some(first_word(message)), ""));
        };
        let (first, mut rest) = (first_word(named), named);
        // The server stands behind the client in every whole line, and what nginx cut may name whom a client made up.
        let behind_first = named.get(first.len()..).unwrap_or_default();
        let [(server, _), ..] = &*NGINX;
        let is_whole = server.find(behind_first.as_bytes()).is_some();
        if !is_whole || self.line.len() >= NGINX_BYTES_MAX {
            return Some((None, ""));
        }
        while let Some(other) = behind(rest) {
            if first_word(other) != first {
                return Some((None, named));
            }
            rest = other;
        }
        Some((Some(first), named))
    }

    /// The values behind the client, each up to the name that follows it or the end of the line: before the client
    /// stands what a message quotes, which is the client's to choose.
    fn nginx_values(&mut self, named: &'a str) {
        let (mut rest, mut last) = (named, None);
        for (name, slot) in &*NGINX {
            let Some(at) = name.find(rest.as_bytes()) else {
                continue;
            };
            self.nginx_value(last, rest.get(..at).unwrap_or_default());
            rest = rest.get(at + name.needle().len()..).unwrap_or_default();
            last = *slot;
        }
        self.nginx_value(last, rest);
    }

    fn nginx_value(&mut self, slot: Option<Slot>, value: &'a str) {
        if let Some(slot) = slot {
            let value = value.trim_end();
            let value = match slot {
                Slot::Host | Slot::User => value.split('"').next().unwrap_or(value),
                _ => value.strip_suffix('"').unwrap_or(value),
            };
            self.set(slot, Some(value));
        }
    }

    /// `[Wed Oct 11 14:32:52.123456 2022] [core:error] [pid 7:tid 1] [client 192.0.2.1:50000] message`.
    fn apache(mut self) -> Result<(), SkipReason> {
        let line = self.line;
        let time = between(line, "[", "]").ok_or(SkipReason::Malformed)?;
        self.set(Slot::Time, Some(time));
        let client = between(line, "[client ", "] ").or_else(|| between(line, "[client ", "]"));
        let client = client.ok_or(SkipReason::Malformed)?;
        // Since 2.4 the port is always there, without brackets round IPv6, and the stamp has a fraction.
        let has_port = time.contains('.') && client.split(':').nth(2).is_some();
        let client = if has_port {
            without_port(client)
        } else {
            client
        };
        self.set(Slot::Remote, Some(client));
        // `AH01618: user alice not found: /`, `AH01617: user alice: authentication failure for "/"`
        let user = between(line, "] AH01618: user ", " not found: ");
        let user = user.or_else(|| between(line, "] AH01617: user ", ": authentication failure"));
        self.set(Slot::User, user);
        let asked = between(line, "authentication failure for \"", "\"");
        self.set(Slot::Target, asked);
        for words in [" not found: ", "client denied by server configuration: "] {
            let behind = line.split_once(words).map(|(_, uri)| uri);
            self.set(Slot::Target, behind.map(without_referer));
        }
        let invalid = line
            .split_once(": Invalid URI in request ")
            .map(|(_, uri)| uri);
        self.set(Slot::Request, invalid.map(without_referer));
        self.set(Slot::Target, between_last(line, " [uri \"", "\"]"));
        self.set(Slot::Host, between_last(line, " [hostname \"", "\"]"));
        let referer = line.rsplit_once(", referer: ").map(|(_, referer)| referer);
        self.set(Slot::Referer, referer);
        self.fields.finish_note()
    }

    /// `2026-05-04 10:11:12.123456 [INFO] [1226038] [192.0.2.1:61120-5#Example] …`.
    fn litespeed(mut self) -> Result<(), SkipReason> {
        let (time, rest) = self.line.split_once(" [").ok_or(SkipReason::Malformed)?;
        self.set(Slot::Time, Some(time));
        let client = litespeed_client(rest).ok_or(SkipReason::Malformed)?;
        self.set(Slot::Remote, Some(client));
        self.set(
            Slot::User,
            between(rest, "] User '", "' failed to authenticate"),
        );
        self.fields.finish_note()
    }
}

/// `2026/05/04 10:11:12`
fn is_nginx_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(
        bytes,
        [_, _, _, _, b'/', _, _, b'/', _, _, b' ', _, _, b':', ..]
    )
}

fn first_word(text: &str) -> &str {
    text.split([',', ' ']).next().unwrap_or(text)
}

fn without_referer(text: &str) -> &str {
    text.split(", referer: ").next().unwrap_or(text)
}

/// `[INFO] [1226038] [192.0.2.1:61120-5#Example] …` of LiteSpeed, behind its first bracket.
fn litespeed_client(rest: &str) -> Option<&str> {
    let connection = rest.split("] [").nth(2)?;
    let (node, _) = connection.split_once(['-', '#', ']'])?;
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
