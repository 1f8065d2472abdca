//! HAProxy: `option httplog`, `option httpslog`, `option tcplog`, and its connection errors, with or without a
//! syslog header before them.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: names of captured headers, which the log does not have. `[source.fields]` can name them by
//! position (`capture.1`, `response_capture.1`); others are known by their look.
//! Source: HAProxy Configuration Manual, section 8.2 "Log formats" and 8.6 "Non-printable characters" (`#` and two
//! hexadecimal digits); <https://docs.haproxy.org/3.0/configuration.html#8.2>.
//!
//! `2001:db8::1:443` is an address and a port: HAProxy writes no brackets. Stamps have no zone.

use super::client_address::{parse_hop, without_port};
use super::cut::{Cutter, Value};
use super::fields::Fields;
use super::names::{FieldMap, Meaning, Slot};
use super::text::{Unit, hex, split_request};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memchr_iter, memmem};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "haproxy",
    aliases: &["haproxy_http", "haproxy_https", "haproxy_tcp"],
    about: "client:port [time] frontend backend/server timers status bytes … {captures} \"request\"",
    open: |names| {
        Arc::new(Haproxy {
            names: names.clone(),
        })
    },
};

struct Haproxy {
    names: FieldMap,
}

/// Captures that are looked at; a proxy is told to keep a handful.
const CAPTURES_MAX: usize = 32;

impl LineFormat for Haproxy {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let Some(bracket) = time_bracket(line) else {
            return connected(line, fields);
        };
        let before = line.get(..bracket).unwrap_or_default().trim_end();
        let (at, client) = match before.rfind(' ') {
            Some(space) => (space + 1, before.get(space + 1..).unwrap_or_default()),
            None => (0, before),
        };
        set(&mut fields, Slot::Remote, at, without_port(client));
        let length = memchr(b']', &line.as_bytes()[bracket..]).ok_or(SkipReason::Malformed)?;
        let time = line.get(bracket + 1..bracket + length).unwrap_or_default();
        set(&mut fields, Slot::Time, bracket + 1, time);
        let mut cut = Cutter::new(line, bracket + length + 2);
        let frontend = cut.word().ok_or(SkipReason::Malformed)?;
        if frontend.text.ends_with(':') {
            return fields.finish_note(); // `frontend/1: SSL handshake failure`
        }
        cut.word().ok_or(SkipReason::Malformed)?; // backend/server
        let timers = cut.word().ok_or(SkipReason::Malformed)?;
        let total = timers.text.rsplit('/').next().unwrap_or_default();
        set(
            &mut fields,
            Slot::Duration(Unit::Milliseconds),
            timers.at,
            total.trim_matches('+'),
        );
        if timers.text.split('/').count() < 4 {
            return tcp(fields, cut);
        }
        self.http(fields, cut)
    }
}

impl Haproxy {
    fn http<'a>(&self, mut fields: Fields<'_, 'a>, mut cut: Cutter<'a>) -> Result<(), SkipReason> {
        for slot in [Slot::Status, Slot::Bytes] {
            let value = cut.word().ok_or(SkipReason::Malformed)?;
            set(
                &mut fields,
                slot,
                value.at,
                value.text.trim_start_matches('+'),
            );
        }
        // Captured cookies, termination state, connections, queues.
        for slot in [Slot::Cookie, Slot::Other] {
            let value = cut.word().ok_or(SkipReason::Malformed)?;
            let text = meant(value.text);
            fields.set(Meaning::of(slot), || "cookie".into(), value.at, text);
        }
        for _ in 0..3 {
            cut.word().ok_or(SkipReason::Malformed)?;
        }
        let mut side = "capture";
        cut.spaces();
        while cut.rest().starts_with('{') {
            let (at, captures) = braces(&mut cut)?;
            // Requests come first; a single pair of braces is the request's.
            self.captures(&mut fields, side, at, captures);
            side = "response_capture";
            cut.spaces();
        }
        let request = cut.quoted_to_last();
        if request.is_some_and(|request| time_bracket(request.text).is_some()) {
            return Err(SkipReason::Malformed); // two lines, torn
        }
        if let Some(request) = request.filter(|request| !request.text.starts_with("<BADREQ>")) {
            set_request(&mut fields, &request);
        }
        // httpslog: five numbers about the connection; then SNI/version/cipher.
        let connection = cut.word();
        let is_httpslog = connection.is_some_and(|word| word.text.matches('/').count() == 4);
        if let Some(tls) = cut.word().filter(|_| is_httpslog) {
            let name = tls.text.split('/').next().unwrap_or_default();
            let meaning = Meaning {
                slot: Slot::Host,
                rank: 0,
            };
            fields.set(meaning, || "sni".into(), tls.at, name.into());
        }
        fields.finish()
    }

    fn captures<'a>(&self, fields: &mut Fields<'_, 'a>, side: &str, at: usize, text: &'a str) {
        let mut start = 0;
        for (index, value) in text.split('|').take(CAPTURES_MAX).enumerate() {
            let name = format!("{side}.{}", index + 1);
            let meaning = match self.names.override_of(&name) {
                Some(meaning) => meaning,
                None if side == "capture" => look(value),
                None => Meaning::OTHER,
            };
            fields.set(meaning, || name.into(), at + start, meant(value));
            start += value.len() + 1;
        }
    }
}

/// What a captured request header is, by its look.
fn look(value: &str) -> Meaning {
    let first = value.split(',').next().unwrap_or(value);
    let starts = |scheme: &str| {
        let start = value.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    Meaning::of(if parse_hop(first).is_some() {
        Slot::Chain
    } else if starts("bearer ") || starts("dpop ") {
        Slot::Header
    } else if is_product(value) {
        Slot::UserAgent
    } else if is_host(value) {
        Slot::Host
    } else {
        Slot::Other
    })
}

/// `Mozilla/5.0 (…)`, `curl/8.5.0`, `Go-http-client/2.0`: a name and a version begin it (RFC 9110, section 10.1.5).
fn is_product(value: &str) -> bool {
    let Some((name, version)) = value.split_once('/') else {
        return false;
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.bytes().all(is_name)
        && version.starts_with(|c: char| c.is_ascii_digit())
}

/// `api.example.com`, `api.example.com:8443`: names with dots between them, of which the last has letters only.
fn is_host(value: &str) -> bool {
    let (name, port) = value.split_once(':').unwrap_or((value, "443"));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    // 253 is the longest name that there can be (RFC 1035, section 2.3.4).
    name.len() <= 253
        && name.bytes().all(is_name)
        && port.parse::<u16>().is_ok()
        && name.rsplit_once('.').is_some_and(|(before, last)| {
            !before.is_empty()
                && last.len() > 1
                && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
}

/// `Connect from 192.0.2.1:33317 to 10.0.0.1:80 (frontend/HTTP)`, which HAProxy writes when no format is chosen. Its
/// time is in the syslog header.
#[cold]
fn connected<'a>(line: &'a str, mut fields: Fields<'_, 'a>) -> Result<(), SkipReason> {
    const OPENING: &str = "Connect from ";
    let at = memmem::find(line.as_bytes(), OPENING.as_bytes()).ok_or(SkipReason::Malformed)?;
    let rest = line.get(at + OPENING.len()..).unwrap_or_default();
    let (client, _) = rest.split_once(" to ").ok_or(SkipReason::Malformed)?;
    set(
        &mut fields,
        Slot::Remote,
        at + OPENING.len(),
        without_port(client),
    );
    fields.finish_note()
}

/// `bytes state connections queues`: a connection, which carries requests nobody looked into.
fn tcp<'a>(mut fields: Fields<'_, 'a>, mut cut: Cutter<'a>) -> Result<(), SkipReason> {
    let bytes = cut.word().ok_or(SkipReason::Malformed)?;
    set(
        &mut fields,
        Slot::Bytes,
        bytes.at,
        bytes.text.trim_start_matches('+'),
    );
    fields.finish_note()
}

/// Of HTTP/2 and 3 HAProxy writes the target in absolute form, which is not how the client sent it.
fn set_request<'a>(fields: &mut Fields<'_, 'a>, request: &Value<'a>) {
    match split_request(request.text) {
        (Some(method), target) => {
            set(fields, Slot::Method, request.at, method);
            set(fields, Slot::Target, request.at, target);
        }
        (None, _) => set(fields, Slot::Request, request.at, request.text),
    }
}

fn set<'a>(fields: &mut Fields<'_, 'a>, slot: Slot, at: usize, value: &'a str) {
    fields.set(Meaning::of(slot), || "extra".into(), at, value.into());
}

/// What stands between braces here; a brace inside is escaped.
fn braces<'a>(cut: &mut Cutter<'a>) -> Result<(usize, &'a str), SkipReason> {
    let rest = cut.rest();
    let is_end = |at: &usize| matches!(rest.as_bytes().get(at + 1), None | Some(b' '));
    let end = memchr_iter(b'}', rest.as_bytes()).find(is_end);
    let end = end.ok_or(SkipReason::Malformed)?;
    let at = cut.skip(end + 2) + 1;
    Ok((at, rest.get(1..end).unwrap_or_default()))
}

/// Where ` [06/Feb/2009:12:14:14.655] ` begins.
fn time_bracket(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let is_time = |at: &usize| {
        let shape = bytes.get(*at..*at + 22).unwrap_or_default();
        matches!(shape, [b'[', _, _, b'/', _, _, _, b'/', ..])
            && matches!(shape.get(21), Some(b'.' | b']'))
    };
    memchr_iter(b'[', bytes).take(8).find(is_time)
}

/// Undoes `#XX`.
fn meant(value: &str) -> Cow<'_, str> {
    if memchr(b'#', value.as_bytes()).is_none() {
        return value.into();
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match after {
            [high, low, after @ ..] if byte == b'#' => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                    continue;
                }
                _ => bytes.push(byte),
            },
            _ => bytes.push(byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}
