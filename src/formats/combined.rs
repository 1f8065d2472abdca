//! The common log format and what grew out of it: nginx and Apache combined, Apache common and vhost_combined,
//! Traefik CLF, ingress-nginx, and combined with fields of one's own behind it.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: variables; see [`super::log_format`] for formats that a string describes.
//! Source: Apache httpd "Log Files" (common, combined), nginx `ngx_http_log_module` (`combined`), Traefik "Access
//! Logs", ingress-nginx "Log format" (`log-format-upstream`), OpenLiteSpeed "Access Log" (whose default format stands
//! in quotes as a whole).
//!
//! Behind the user agent, quoted fields are taken for X-Forwarded-For when they begin with an address and looked at
//! for tokens otherwise; of bare ones, `0.123` and `42ms` are the duration and 32 hexadecimal digits the request id.
//! Request, path and query stay as logged; other fields have their escapes undone.

use super::client_address::parse_hop;
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::text::{Unit, is_escaped, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "combined",
    aliases: &[
        "nginx_combined",
        "nginx",
        "apache_combined",
        "apache",
        "common",
        "clf",
        "vhost_combined",
        "traefik_clf",
        "ingress_nginx",
        "litespeed",
        "openlitespeed",
    ],
    about: "client - user [time] \"request\" status bytes \"referer\" \"user agent\", and its relatives",
    open: |_| Arc::new(Combined),
};

struct Combined;

/// Fields behind the user agent that are looked at; the rest is left.
const EXTRAS_MAX: usize = 32;

impl LineFormat for Combined {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        // LiteSpeed: the whole line in quotes.
        let line = match line.strip_prefix('"') {
            Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
            None => line,
        };
        let mut cut = Cut::new(line, event);
        let bracket = time_bracket(line).ok_or(SkipReason::Malformed)?;
        cut.who(line.get(..bracket).unwrap_or_default().trim_end());
        cut.set(
            Slot::Time,
            bracket + 1,
            line.get(bracket + 1..bracket + 27).unwrap_or_default(),
        );
        cut.at = bracket + 30;
        cut.request()?;
        cut.numbers();
        cut.quoted_as(Slot::Referer);
        cut.quoted_as(Slot::UserAgent);
        cut.extras();
        cut.fields.finish()
    }
}

/// Where ` [time] "` begins. Users can contain brackets, so the shape of the whole is asked for.
fn time_bracket(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let is_time = |at: &usize| {
        let shape = bytes.get(*at..*at + 30).unwrap_or_default();
        matches!(shape, [_, _, _, b'/', .., b']', b' ', b'"']) && shape.get(21) == Some(&b' ')
    };
    memchr_iter(b'[', bytes).take(16).find(is_time)
}

/// One line and how far it is cut.
struct Cut<'e, 'a> {
    line: &'a str,
    at: usize,
    fields: Fields<'e, 'a>,
}

impl<'e, 'a> Cut<'e, 'a> {
    fn new(line: &'a str, event: &'e mut AccessEvent<'a>) -> Self {
        Self {
            line,
            at: 0,
            fields: Fields::new(line, event),
        }
    }

    fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn set(&mut self, slot: Slot, at: usize, value: impl Into<Cow<'a, str>>) {
        let name = || Cow::Borrowed("extra");
        self.fields.set(Meaning::of(slot), name, at, value.into());
    }

    /// What stands before the time: `[vhost[:port] ]client ident [user]`. A client that is no address is a host name.
    fn who(&mut self, prefix: &'a str) {
        let (first, rest) = prefix.split_once(' ').unwrap_or((prefix, ""));
        let (second, after_second) = rest.split_once(' ').unwrap_or((rest, ""));
        let first_is_address = parse_hop(first).is_some();
        if !first_is_address && parse_hop(second).is_some() {
            let host = first.rsplit_once(':').map_or(first, |(host, _port)| host);
            self.set(Slot::Host, 0, host);
            self.set(Slot::Remote, 0, second);
            let user = after_second
                .split_once(' ')
                .map_or("", |(_ident, user)| user);
            self.set(Slot::User, 0, unescape(user));
        } else {
            self.set(Slot::Remote, 0, first);
            self.set(Slot::User, 0, unescape(after_second));
        }
    }

    /// The request line, behind its quote. Some servers log quotes in it as they came, so its end is the first quote
    /// that the status follows.
    fn request(&mut self) -> Result<(), SkipReason> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let ends = |at: &usize| !is_escaped(bytes, *at) && is_status(bytes.get(at + 1..));
        let end = memchr_iter(b'"', bytes)
            .find(ends)
            .ok_or(SkipReason::Malformed)?;
        self.set(Slot::Request, self.at, rest.get(..end).unwrap_or_default());
        self.at += end + 1;
        Ok(())
    }

    /// ` status bytes`.
    fn numbers(&mut self) {
        for slot in [Slot::Status, Slot::Bytes] {
            let text = self.rest().strip_prefix(' ').unwrap_or_default();
            let end = memchr(b' ', text.as_bytes()).unwrap_or(text.len());
            let number = text.get(..end).unwrap_or_default();
            if number.starts_with('"') {
                return; // no bytes in this log
            }
            self.set(slot, self.at + 1, number);
            self.at += usize::from(!text.is_empty()) + end;
        }
    }

    fn quoted_as(&mut self, slot: Slot) {
        if let Some(text) = self.quoted() {
            self.set(slot, self.at, unescape(text));
        }
    }

    /// A space and a quoted field; one that does not end takes the rest of the line.
    fn quoted(&mut self) -> Option<&'a str> {
        let inner = self.rest().strip_prefix(" \"")?;
        let bytes = inner.as_bytes();
        let ends =
            |at: &usize| matches!(bytes.get(at + 1), None | Some(b' ')) && !is_escaped(bytes, *at);
        let end = memchr_iter(b'"', bytes).find(ends);
        let text = inner.get(..end.unwrap_or(inner.len()))?;
        self.at += 2 + end.map_or(inner.len(), |end| end + 1);
        Some(text)
    }

    fn extras(&mut self) {
        let mut has_duration = false;
        for _ in 0..EXTRAS_MAX {
            let at = self.at;
            if let Some(text) = self.quoted() {
                self.quoted_extra(at, text);
                continue;
            }
            let Some(rest) = self.rest().strip_prefix(' ') else {
                return;
            };
            let end = memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
            let text = rest.get(..end).unwrap_or_default();
            self.at += 1 + end;
            if !has_duration && is_duration(text) {
                has_duration = true;
                self.set(Slot::Duration(Unit::Seconds), at + 1, text);
            } else if is_request_id(text) {
                self.set(Slot::RequestId, at + 1, text);
            } else {
                self.set(Slot::Other, at + 1, text);
            }
        }
    }

    fn quoted_extra(&mut self, at: usize, text: &'a str) {
        let first = text.split(',').next().unwrap_or(text);
        let slot = if parse_hop(first).is_some() {
            Slot::Chain
        } else {
            Slot::Other
        };
        self.set(slot, at + 2, unescape(text));
    }
}

/// True for ` ddd` or ` -` and the end of that field.
fn is_status(after_quote: Option<&[u8]>) -> bool {
    match after_quote {
        Some([b' ', a, b, c, rest @ ..]) if [a, b, c].iter().all(|d| d.is_ascii_digit()) => {
            matches!(rest.first(), None | Some(b' '))
        }
        Some([b' ', b'-', rest @ ..]) => matches!(rest.first(), None | Some(b' ')),
        _ => false,
    }
}

/// Seconds with three decimals, as `$request_time` has, or milliseconds with their unit, as Traefik writes them.
fn is_duration(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && fraction.len() == 3 && is_digits(fraction),
        None => text.strip_suffix("ms").is_some_and(is_digits),
    }
}

/// `$request_id` of nginx: 16 random bytes in hexadecimal.
fn is_request_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
