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

use super::client_address::{is_inside, parse_hop};
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::text::{Unit, is_escaped, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;
use std::net::IpAddr;
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
        // LiteSpeed: the whole line in quotes. Others quote the host that stands first.
        let (line, quoted) = match line.strip_prefix('"') {
            Some(inner) => (inner.strip_suffix('"').unwrap_or(inner), true),
            None => (line, false),
        };
        let bracket = time_bracket(line).ok_or(SkipReason::Malformed)?;
        let mut cut = Cut::new(line, event);
        let mut who = line.get(..bracket).unwrap_or_default().trim_end();
        // A host has no spaces; what LiteSpeed puts before a user's name has.
        if quoted
            && let Some((host, behind)) = who.split_once("\" ")
            && !host.contains(' ')
        {
            cut.set(Slot::Host, 0, host);
            who = behind;
        }
        cut.who(who);
        cut.set(
            Slot::Time,
            bracket + 1,
            line.get(bracket + 1..bracket + 27).unwrap_or_default(),
        );
        cut.at = bracket + 30;
        cut.request()?;
        cut.numbers();
        cut.header(Slot::Referer);
        cut.header(Slot::UserAgent);
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
        let who = Who::of(prefix);
        self.set(Slot::Host, 0, who.host.unwrap_or_default());
        match who.address {
            Some(address) => self.fields.set_remote(address),
            None => self.set(Slot::Remote, 0, who.client),
        }
        self.set(Slot::Chain, 0, who.chain);
        if who.user != "\"\"" {
            self.set(Slot::User, 0, unescape(who.user));
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
        let request = rest.get(..end).unwrap_or_default();
        // The line was cut in its request, and another one, with somebody else's answer, was written behind it.
        if time_bracket(request).is_some() {
            return Err(SkipReason::Malformed);
        }
        self.set(Slot::Request, self.at, request);
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

    fn header(&mut self, slot: Slot) {
        let at = self.at + 2;
        if let Some(text) = self.quoted() {
            self.set(slot, at, unescape(text));
        } else if let Some(rest) = self.rest().strip_prefix(" -")
            && matches!(rest.as_bytes().first(), None | Some(b' '))
        {
            self.at = at; // without quotes round it
        }
    }

    /// A space and a quoted field; one that does not end takes the rest of the line.
    fn quoted(&mut self) -> Option<&'a str> {
        let inner = self.rest().strip_prefix(" \"")?;
        let bytes = inner.as_bytes();
        let ends = |at: &usize| {
            ends_field(bytes.get(at + 1..).unwrap_or_default()) && !is_escaped(bytes, *at)
        };
        let end = memchr_iter(b'"', bytes).find(ends);
        if end.is_none() {
            self.fields.set_cut();
        }
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
        let comma = memchr(b',', text.as_bytes());
        let first = comma.and_then(|at| text.get(..at)).unwrap_or(text);
        // The first: addresses further behind are those of upstreams. Of what was cut, another address is left.
        let is_whole = self.line.as_bytes().get(at + 2 + text.len()) == Some(&b'"');
        let slot = if is_whole && !self.fields.has_chain() && parse_hop(first).is_some() {
            Slot::Chain
        } else if is_request_id(text) {
            Slot::RequestId // as Kong writes it
        } else {
            Slot::Other
        };
        self.set(slot, at + 2, unescape(text));
    }
}

/// Who asked, and whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Who<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) client: &'a str,
    /// The same, where it was read already.
    pub(super) address: Option<IpAddr>,
    /// A forwarding header, where one is logged in the place of the client or before it.
    pub(super) chain: &'a str,
    pub(super) user: &'a str,
}

impl<'a> Who<'a> {
    /// Reads `[vhost[:port] ]client ident [user]`.
    pub(super) fn of(prefix: &'a str) -> Self {
        let (first, rest) = first_word(prefix);
        let Some(address) = parse_hop(first) else {
            return Self::unusual(prefix, first, rest);
        };
        let (ident, user) = first_word(rest);
        let user = without_repeated(user);
        let named = Some(ident).filter(|ident| *ident != "-");
        let (host, user) = match named.and_then(parse_hop) {
            // lighttpd names the host where others name what nobody asks for any more (RFC 1413).
            None => (Some(ident).filter(|ident| ident.contains('.')), user),
            // The proxy behind a forwarding header that stands in the place of the client.
            Some(second) if is_inside(second) && !is_inside(address) => (None, first_word(user).1),
            // A host may be an address.
            Some(_) => return Self::hosted(first, rest),
        };
        Self {
            host,
            client: first,
            address: Some(address),
            user,
            ..Self::default()
        }
    }

    fn hosted(host: &'a str, rest: &'a str) -> Self {
        let (client, behind) = first_word(rest);
        Self {
            host: Some(host.rsplit_once(':').map_or(host, |(host, _port)| host)),
            client,
            user: first_word(behind).1,
            ..Self::default()
        }
    }

    /// What does not begin with one address: a host does, or a list of them, or a tag, or the client has a name.
    #[cold]
    fn unusual(prefix: &'a str, first: &'a str, rest: &'a str) -> Self {
        if first.ends_with(',') {
            return Self::listed(prefix);
        }
        let (second, behind) = first_word(rest);
        let is_address = |text: &str| parse_hop(text).is_some();
        // `nginx: 192.0.2.1 - -`, with or without a machine before it.
        for (tag, tagged) in [(first, rest), (second, behind)] {
            if tag.ends_with(':') && is_address(first_word(tagged).0) {
                return Self::of(tagged);
            }
        }
        // `pod container 192.0.2.1 - -`, as stern prints it: nobody is asked who he is any more.
        let (third, after) = first_word(behind);
        if second != "-" && after.starts_with("- ") && is_address(third) {
            return Self::of(behind);
        }
        // A client with a name has an identity and a user behind it, so four words begin with the host.
        if is_address(second) || second != "-" && behind.starts_with("- ") {
            return Self::hosted(first, rest);
        }
        Self {
            client: first,
            user: behind,
            ..Self::default()
        }
    }

    /// `203.0.113.9, 10.0.0.2 - -`: a forwarding header, perhaps with the connection's address behind it.
    fn listed(prefix: &'a str) -> Self {
        let (mut rest, mut last) = (prefix, "");
        while let (word, behind) = first_word(rest)
            && (last.is_empty() || last.ends_with(','))
            && !word.is_empty()
        {
            (last, rest) = (word, behind);
        }
        let chain = prefix
            .get(..prefix.len() - rest.len())
            .unwrap_or(prefix)
            .trim_end();
        let (next, behind) = first_word(rest);
        let has_peer = parse_hop(next).is_some();
        Self {
            client: if has_peer { next } else { chain },
            chain,
            user: if has_peer {
                first_word(behind).1
            } else {
                behind
            },
            ..Self::default()
        }
    }
}

/// The user behind `[203.0.113.9] -`: ingress-nginx named the client a second time there, until version 0.26.
fn without_repeated(user: &str) -> &str {
    let repeated = user
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] - "));
    match repeated {
        Some((address, user)) if parse_hop(address).is_some() => user,
        _ => user,
    }
}

/// A word, and what follows the spaces behind it.
fn first_word(text: &str) -> (&str, &str) {
    let end = memchr(b' ', text.as_bytes()).unwrap_or(text.len());
    let (word, mut rest) = text.split_at_checked(end).unwrap_or((text, ""));
    while let Some(behind) = rest.strip_prefix(' ') {
        rest = behind;
    }
    (word, rest)
}

/// True for what stands behind a quote that ends a field. Some servers log quotes in a header as they came: then the
/// word behind such a quote has the other one.
fn ends_field(behind: &[u8]) -> bool {
    match behind {
        [] | [b' ', b'"', ..] => true,
        [b' ', word @ ..] => {
            let word = word.split(|byte| *byte == b' ').next().unwrap_or(word);
            word.iter().filter(|byte| **byte == b'"').count() % 2 == 0
        }
        _ => false,
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

/// `$request_id` of nginx: 16 random bytes in hexadecimal; or a UUID, as AWS writes.
fn is_request_id(text: &str) -> bool {
    let hyphens = if text.len() == 36 { 4 } else { 0 };
    matches!(text.len(), 32 | 36)
        && text.bytes().filter(|b| b.is_ascii_hexdigit()).count() + hyphens == text.len()
}
