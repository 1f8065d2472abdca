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

use super::client_address::parse_hop;
use super::cut::Cutter;
use super::fields::Fields;
use super::names::{FieldMap, Meaning, Slot};
use super::text::{Unit, hex};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memchr_iter};
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
        let bracket = time_bracket(line).ok_or(SkipReason::Malformed)?;
        let mut fields = Fields::new(line, event);
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
        for index in 0..5 {
            let value = cut.word().ok_or(SkipReason::Malformed)?;
            let slot = if index == 0 {
                Slot::Cookie
            } else {
                Slot::Other
            };
            fields.set(
                Meaning::of(slot),
                || "cookie".into(),
                value.at,
                meant(value.text),
            );
        }
        let mut side = "capture";
        while cut.rest().starts_with('{') {
            let (at, captures) = braces(&mut cut)?;
            // Requests come first; a single pair of braces is the request's.
            self.captures(&mut fields, side, at, captures);
            side = "response_capture";
        }
        let request = cut.quoted_to_last();
        if let Some(request) = request.filter(|request| !request.text.starts_with("<BADREQ>")) {
            set(&mut fields, Slot::Request, request.at, request.text);
        }
        // httpslog: error code, connection errors; then SNI/version/cipher.
        cut.word();
        if let Some(tls) = cut.word() {
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
    } else if starts("mozilla/") {
        Slot::UserAgent
    } else {
        Slot::Other
    })
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

/// The address without the port that HAProxy always writes behind it.
fn without_port(client: &str) -> &str {
    match client.rsplit_once(':') {
        Some((address, port)) if port.bytes().all(|b| b.is_ascii_digit()) => address,
        _ => client,
    }
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
